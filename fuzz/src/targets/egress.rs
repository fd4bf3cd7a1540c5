//! The egress policy: hosts are those that the crate `url` connects to, and no form of a closed address is open.
//!
//! Input: lines. `deny RULE` and `allow RULE` add a rule; every other line is a URL or a host.

use api::egress::{EgressPolicy, Network, Rule};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

pub(super) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let mut policy = EgressPolicy::default();
    let mut urls = Vec::new();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("deny", rule)) => policy.deny.extend(parsed(rule)),
            Some(("allow", rule)) => policy.allow.extend(parsed(rule)),
            _ => urls.push(line),
        }
    }
    for policy in [&policy, &EgressPolicy { allow: Vec::new(), ..policy.clone() }, &EgressPolicy::default()] {
        check_networks(policy);
        urls.iter().for_each(|url| check_url(policy, url));
    }
}

/// A rule is printed and parsed again.
fn parsed(text: &str) -> Option<Rule> {
    let rule: Rule = text.parse().ok()?;
    assert_eq!(rule.to_string().parse().as_ref(), Ok(&rule), "{text}");
    Some(rule)
}

fn check_url(policy: &EgressPolicy, text: &str) {
    let _ = (policy.check_host(text), policy.check_name(text));
    let Ok(url) = Url::parse(text) else { return };
    let Some(host) = url.host() else { return };
    let found = policy.check_host(url.host_str().unwrap_or_default());
    match host {
        // A name in a URL without a scheme of the web may be an address in another notation.
        Host::Domain(name) => {
            assert_eq!(found.is_ok(), policy.check_host(name).is_ok());
            let is_open = policy.check_name(name).is_ok();
            if !name.ends_with('.') {
                assert_eq!(policy.check_name(&format!("{name}.")).is_ok(), is_open, "{text}");
            }
            assert_eq!(policy.check_name(&name.to_ascii_uppercase()).is_ok(), is_open, "{text}");
        }
        Host::Ipv4(address) => {
            assert_eq!(found, policy.check_address(address.into()), "{text}");
            check_ipv4(policy, address);
        }
        Host::Ipv6(address) => {
            assert_eq!(found, policy.check_address(address.into()), "{text}");
            check_ipv6(policy, address);
        }
    }
}

/// Whether the rules alone close an IPv4 address.
fn is_closed(policy: &EgressPolicy, address: Ipv4Addr) -> bool {
    let has = |rules: &[Rule]| rules.iter().filter_map(Rule::network).any(|network| model(&network, address.into()));
    let [a, b, ..] = address.octets();
    let metadata = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
    let always = a == 127 || a == 0 || (a, b) == (169, 254) || metadata.contains(&address);
    !has(&policy.allow) && (has(&policy.deny) || always)
}

/// Whether the first bits of an address are those of a network, from the text of the network.
fn model(network: &Network, address: IpAddr) -> bool {
    let text = network.to_string();
    let (own, prefix) = text.split_once('/').unwrap();
    let bits = |address: IpAddr| -> String {
        match address {
            IpAddr::V4(address) => format!("{:032b}", address.to_bits()),
            IpAddr::V6(address) => format!("{:0128b}", address.to_bits()),
        }
    };
    let (own, address, prefix) = (bits(own.parse().unwrap()), bits(address), prefix.parse::<usize>().unwrap());
    own.len() == address.len() && own[..prefix] == address[..prefix]
}

fn check_ipv4(policy: &EgressPolicy, address: Ipv4Addr) {
    let closed = is_closed(policy, address);
    assert_eq!(policy.check_address(address.into()).is_err(), closed, "{address} {policy:?}");
    assert_eq!(policy.check_address(address.to_ipv6_mapped().into()).is_err(), closed, "{address} {policy:?}");
    if !closed {
        return;
    }
    let bits = u128::from(address.to_bits());
    let forms = [bits, 0xffff_0000 << 32 | bits, 0x0064_ff9b << 96 | bits, 0x2002 << 112 | bits << 80, 0x2001_0000 << 96 | bits << 64];
    for form in forms.map(Ipv6Addr::from_bits) {
        let allowed = policy.allow.iter().filter_map(Rule::network).any(|network| model(&network, form.into()));
        assert!(allowed || policy.check_address(form.into()).is_err(), "{address} as {form} {policy:?}");
    }
}

fn check_ipv6(policy: &EgressPolicy, address: Ipv6Addr) {
    let has = |rules: &[Rule]| rules.iter().filter_map(Rule::network).any(|network| model(&network, address.into()));
    if address.to_ipv4_mapped().is_none() && !has(&policy.allow) && (has(&policy.deny) || address.is_loopback() || address.is_unspecified())
    {
        assert!(policy.check_address(address.into()).is_err(), "{address} {policy:?}");
    }
    if let Some(v4) = address.to_ipv4_mapped() {
        check_ipv4(policy, v4);
    }
}

/// The networks for a NetworkPolicy are closed for connections too, and none includes another.
fn check_networks(policy: &EgressPolicy) {
    for ipv6 in [false, true] {
        let networks = policy.closed_networks(ipv6);
        for (at, network) in networks.iter().enumerate() {
            assert_eq!(network.is_ipv6(), ipv6);
            assert!(networks.iter().enumerate().all(|(other, wider)| other == at || !wider.includes(network)), "{networks:?}");
            let text = network.to_string();
            let first: IpAddr = text.split('/').next().unwrap().parse().unwrap();
            assert!(model(network, first));
            if policy.allow.is_empty() {
                assert!(policy.check_address(first).is_err(), "{network}");
            }
        }
    }
}
