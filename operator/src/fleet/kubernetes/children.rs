//! The objects of a job that are not pods: the Secret with certificates and token, the Service for readers, and the NetworkPolicy. Pure.

mod egress;

use super::names;
use crate::identity::Identities;
use api::egress::EgressPolicy;
use crds::ArrayJob;
use k8s_openapi::api::core::v1::{Secret, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use std::collections::BTreeMap;

fn metadata(job: &ArrayJob, name: String, component: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: job.namespace(),
        labels: Some(names::labels(job, component)),
        owner_references: Some(names::owner(job)),
        ..ObjectMeta::default()
    }
}

/// The Secret that every pod of the job mounts. Readers get the token from it.
pub fn secret(job: &ArrayJob, identities: &Identities) -> Secret {
    let server = &identities.server;
    let entries = [("ca.crt", &server.authority), ("tls.crt", &server.certificate), ("tls.key", &server.key), ("token", &identities.token)];
    Secret {
        metadata: metadata(job, names::own(job), "identity"),
        immutable: Some(true),
        string_data: Some(entries.into_iter().map(|(name, text)| (name.to_owned(), text.clone())).collect()),
        type_: Some("Opaque".into()),
        ..Secret::default()
    }
}

/// The Service for readers. It selects all servers that are ready.
pub fn service(job: &ArrayJob) -> Service {
    let port = ServicePort {
        name: Some("http".into()),
        port: 80,
        target_port: Some(IntOrString::String("http".into())),
        protocol: Some("TCP".into()),
        ..ServicePort::default()
    };
    Service {
        metadata: metadata(job, job.name_any(), "front-door"),
        spec: Some(ServiceSpec { selector: Some(names::selector(job)), ports: Some(vec![port]), ..ServiceSpec::default() }),
        ..Service::default()
    }
}

/// Allowed connections to the pods: peers and the operator to the port for peers, pods of the namespace to the port for readers, all pods
/// of the cluster to the port for metrics. Allowed connections from the pods: [`egress::rules`].
pub fn network_policy(job: &ArrayJob, operator_namespace: &str, egress: &EgressPolicy) -> NetworkPolicy {
    let labels = |labels: BTreeMap<String, String>| LabelSelector { match_labels: Some(labels), match_expressions: None };
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let port = |name: &str| NetworkPolicyPort { port: Some(IntOrString::String(name.into())), ..NetworkPolicyPort::default() };
    let peers = NetworkPolicyPeer { pod_selector: Some(labels(names::selector(job))), ..NetworkPolicyPeer::default() };
    let operator = NetworkPolicyPeer {
        namespace_selector: Some(labels(map(&[("kubernetes.io/metadata.name", operator_namespace)]))),
        pod_selector: Some(labels(map(&[("app.kubernetes.io/name", "arrayjob"), ("app.kubernetes.io/component", "operator")]))),
        ..NetworkPolicyPeer::default()
    };
    let namespace = NetworkPolicyPeer { pod_selector: Some(LabelSelector::default()), ..NetworkPolicyPeer::default() };
    let rule = |ports: &[&str], from: Vec<NetworkPolicyPeer>| NetworkPolicyIngressRule {
        from: (!from.is_empty()).then_some(from),
        ports: Some(ports.iter().map(|name| port(name)).collect()),
    };
    NetworkPolicy {
        metadata: metadata(job, names::own(job), "network-policy"),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels(names::selector(job))),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(vec![rule(&["peers"], vec![peers, operator]), rule(&["http"], vec![namespace]), rule(&["metrics"], vec![])]),
            egress: Some(egress::rules(job, egress)),
        }),
    }
}
