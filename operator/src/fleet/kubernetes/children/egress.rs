//! The connections that pods of a job may open, as rules of a NetworkPolicy. The servers check each address themselves; the policy is a
//! second protection where the network enforces policies.

use crate::fleet::kubernetes::names;
use api::egress::{EgressPolicy, Network};
use crds::ArrayJob;
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Ports of DNS servers. A policy sees the port of the DNS pod, which is 5353 on OpenShift and 1053 in some installations.
const DNS_PORTS: [i32; 3] = [53, 1053, 5353];

/// The rules: DNS, the job's own pods, all open networks, and all pods unless the installation closes networks.
pub(super) fn rules(job: &ArrayJob, policy: &EgressPolicy) -> Vec<NetworkPolicyEgressRule> {
    let dns = ["UDP", "TCP"].into_iter().flat_map(|protocol| {
        DNS_PORTS.map(|port| NetworkPolicyPort {
            port: Some(IntOrString::Int(port)),
            protocol: Some(protocol.into()),
            ..NetworkPolicyPort::default()
        })
    });
    let own = NetworkPolicyPeer {
        pod_selector: Some(LabelSelector { match_labels: Some(names::selector(job)), match_expressions: None }),
        ..NetworkPolicyPeer::default()
    };
    let mut open = Vec::new();
    if !policy.denies_networks() {
        // Some networks apply blocks of addresses to pods, others do not.
        open.push(NetworkPolicyPeer { namespace_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() });
    }
    for (all, ipv6) in [("0.0.0.0/0", false), ("::/0", true)] {
        let closed = policy.closed_networks(ipv6);
        // The API server refuses an exception that is the whole block.
        if closed.iter().all(|network| network.prefix() > 0) {
            open.push(block(all.to_owned(), closed.iter().map(Network::to_string).collect()));
        }
    }
    open.extend(policy.open_networks().map(|network| block(network.to_string(), Vec::new())));
    vec![
        NetworkPolicyEgressRule { ports: Some(dns.collect()), to: None },
        NetworkPolicyEgressRule { ports: None, to: Some(vec![own]) },
        NetworkPolicyEgressRule { ports: None, to: Some(open) },
    ]
}

fn block(cidr: String, except: Vec<String>) -> NetworkPolicyPeer {
    let except = (!except.is_empty()).then_some(except);
    NetworkPolicyPeer { ip_block: Some(IPBlock { cidr, except }), ..NetworkPolicyPeer::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse;

    /// The rules for other addresses than those of DNS and of the job: whether pods are open, and each block with its exceptions.
    fn open(deny: &[&str], allow: &[&str]) -> (bool, Vec<(String, Vec<String>)>) {
        let text = "apiVersion: arrayjob.dev/v1alpha1\nkind: ArrayJob\nmetadata: {name: stack, namespace: lab, uid: 0a1b2c3d-4e5f}\n\
                    spec: {source: {images: {urlTemplate: 'http://h/{index}', count: 9}}}\n";
        let parsed = |rules: &[&str]| rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let rules = rules(&parse(text).unwrap(), &EgressPolicy { deny: parsed(deny), allow: parsed(allow) });
        let [dns, own, open] = &rules[..] else { panic!("{rules:?}") };
        assert!(dns.to.is_none() && dns.ports.as_ref().unwrap().iter().any(|port| port.port == Some(IntOrString::Int(53))));
        assert!(own.ports.is_none() && own.to.as_ref().unwrap()[0].pod_selector.as_ref().unwrap().match_labels.is_some());
        let peers = open.to.as_ref().unwrap();
        let blocks = peers.iter().filter_map(|peer| peer.ip_block.clone());
        (
            peers.iter().any(|peer| peer.namespace_selector.is_some()),
            blocks.map(|block| (block.cidr, block.except.unwrap_or_default())).collect(),
        )
    }

    #[test]
    fn link_local_and_loopback_networks_are_exceptions() {
        let (pods, blocks) = open(&[], &[]);
        let [(v4, except_v4), (v6, except_v6)] = &blocks[..] else { panic!("{blocks:?}") };
        assert!(pods && v4 == "0.0.0.0/0" && v6 == "::/0");
        for network in ["169.254.0.0/16", "127.0.0.0/8"] {
            assert!(except_v4.iter().any(|except| except == network), "{except_v4:?}");
        }
        for network in ["fe80::/10", "::1/128", "fd00:ec2::254/128"] {
            assert!(except_v6.iter().any(|except| except == network), "{except_v6:?}");
        }
    }

    #[test]
    fn rules_of_the_installation_are_exceptions_and_blocks() {
        let (pods, blocks) = open(&["10.0.0.0/8"], &["10.1.0.0/16", "169.254.20.10"]);
        assert!(!pods && blocks[0].1.contains(&"10.0.0.0/8".to_owned()), "{blocks:?}");
        let single: Vec<&str> = blocks[2..].iter().map(|(cidr, _)| cidr.as_str()).collect();
        assert_eq!(single, ["10.1.0.0/16", "169.254.20.10/32"]);
        let (pods, blocks) = open(&["0.0.0.0/0", "::/0"], &["192.0.2.0/24"]);
        assert_eq!((pods, blocks), (false, vec![("192.0.2.0/24".to_owned(), vec![])]));
    }

    #[test]
    fn hosts_that_are_open_by_name_leave_the_decision_to_the_servers() {
        let (_, blocks) = open(&["0.0.0.0/0"], &["images.example.org"]);
        assert!(blocks[0].0 == "0.0.0.0/0" && blocks[0].1.contains(&"169.254.0.0/16".to_owned()), "{blocks:?}");
    }
}
