//! Names, labels and ports of the objects of a job. Names are deterministic, so that a restarted operator finds existing objects.

use crds::ArrayJob;
use kube::{Resource as _, ResourceExt as _};
use std::collections::BTreeMap;

/// Field manager of server-side apply, and value of the label `managed-by`.
pub const MANAGER: &str = "arrayjob-operator";
/// Label: name of the ArrayJob.
pub const JOB: &str = "arrayjob.dev/name";
/// Label: uid of the ArrayJob. A job never adopts objects of a deleted job of the same name.
pub const UID: &str = "arrayjob.dev/uid";
/// Label: index of the server.
pub const INDEX: &str = "arrayjob.dev/server-index";
/// Annotation: servers of the job that had failed when this pod was created.
pub const FAILURES: &str = "arrayjob.dev/failures";
/// Annotation: servers of the job that had been removed from outside when this pod was created.
pub const DISRUPTIONS: &str = "arrayjob.dev/disruptions";
/// Label of a Kueue queue (<https://kueue.sigs.k8s.io>), copied from the ArrayJob to its objects.
pub const QUEUE: &str = "kueue.x-k8s.io/queue-name";

/// Port for peers and the operator: mutual TLS.
pub const PEER_PORT: u16 = 7443;
/// Port for readers: HTTP with the token.
pub const HTTP_PORT: u16 = 8080;
/// Port for probes and metrics.
pub const METRICS_PORT: u16 = 9090;

/// Label selector for the pods of every job.
pub fn all_servers() -> String {
    format!("app.kubernetes.io/managed-by={MANAGER},app.kubernetes.io/component=chunk-server")
}

/// Name of the pod of server `index`.
pub fn pod(job: &str, index: usize) -> String {
    format!("{job}-{index}")
}

/// Name of the job's Secret and NetworkPolicy. The name contains a part of the uid and is therefore unique to the job: the operator may
/// create Secrets but not read them, so it cannot check an owner.
pub fn own(job: &ArrayJob) -> String {
    let uid = job.uid().unwrap_or_default();
    format!("{}-{}", job.name_any(), uid.split('-').next().unwrap_or_default())
}

/// Labels that select the objects of this job.
pub fn selector(job: &ArrayJob) -> BTreeMap<String, String> {
    [(JOB.to_owned(), job.name_any()), (UID.to_owned(), job.uid().unwrap_or_default())].into()
}

/// Labels of an object of the job.
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

/// The ArrayJob as owner: the garbage collector deletes its objects with it.
pub fn owner(job: &ArrayJob) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference> {
    job.controller_owner_ref(&()).into_iter().collect()
}
