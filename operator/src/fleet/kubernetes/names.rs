//! Names, labels and ports of everything that belongs to a job. Names are deterministic: what exists already is found again.

use crds::ArrayJob;
use kube::{Resource as _, ResourceExt as _};
use std::collections::BTreeMap;

/// Who writes, as server-side apply knows it, and what `managed-by` says.
pub const MANAGER: &str = "arrayjob-operator";
/// Label: the ArrayJob's name.
pub const JOB: &str = "arrayjob.dev/name";
/// Label: its uid, so that a job never takes over what belonged to another one of the same name.
pub const UID: &str = "arrayjob.dev/uid";
/// Label: the server's number.
pub const INDEX: &str = "arrayjob.dev/server-index";
/// Annotation: servers that had failed by themselves when this pod was made.
pub const FAILURES: &str = "arrayjob.dev/failures";
/// Annotation: servers that had been taken away when this pod was made.
pub const DISRUPTIONS: &str = "arrayjob.dev/disruptions";
/// Label of a queue that admits jobs; copied from the ArrayJob to its pods.
pub const QUEUE: &str = "kueue.x-k8s.io/queue-name";

/// Port of peers and the operator: mutual TLS.
pub const PEER_PORT: u16 = 7443;
/// Port of readers: HTTP with the token.
pub const HTTP_PORT: u16 = 8080;
/// Port of probes and metrics.
pub const METRICS_PORT: u16 = 9090;

/// The pods of every job, for the watch.
pub fn all_servers() -> String {
    format!("app.kubernetes.io/managed-by={MANAGER},app.kubernetes.io/component=chunk-server")
}

/// The name of server `index`'s pod.
pub fn pod(job: &str, index: usize) -> String {
    format!("{job}-{index}")
}

/// The name of the job's Secret, with the servers' certificate and the readers' token, and of its NetworkPolicy. The uid is
/// in it, so that it cannot be somebody else's: the operator may create Secrets and not read them.
pub fn own(job: &ArrayJob) -> String {
    let uid = job.uid().unwrap_or_default();
    format!("{}-{}", job.name_any(), uid.split('-').next().unwrap_or_default())
}

/// Labels that only this job's objects carry.
pub fn selector(job: &ArrayJob) -> BTreeMap<String, String> {
    [(JOB.to_owned(), job.name_any()), (UID.to_owned(), job.uid().unwrap_or_default())].into()
}

/// Labels of everything that belongs to a job.
pub fn labels(job: &ArrayJob, component: &str) -> BTreeMap<String, String> {
    let mut labels = selector(job);
    let recommended = [
        ("name", "arrayjob"),
        ("instance", &job.name_any()),
        ("component", component),
        ("part-of", "arrayjob"),
        ("managed-by", MANAGER),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    labels.extend(recommended.map(|(key, value)| (format!("app.kubernetes.io/{key}"), value.to_owned())));
    if let Some(queue) = job.labels().get(QUEUE) {
        labels.insert(QUEUE.to_owned(), queue.clone());
    }
    labels
}

/// The ArrayJob as owner: what it owns goes with it.
pub fn owner(job: &ArrayJob) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference> {
    job.controller_owner_ref(&()).into_iter().collect()
}
