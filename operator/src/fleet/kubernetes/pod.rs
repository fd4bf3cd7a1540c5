//! The pod of one server. The installation sets image and account, the manifest sets resources and scheduling, and the security context is
//! fixed. Pure.

use super::names;
use super::secret_names::SecretNames;
use crate::validate::{Invalid, parse_bytes};
use api::egress::{EgressPolicy, Rule};
use crds::ArrayJob;
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, HTTPGetAction, LocalObjectReference, Pod,
    PodSecurityContext, PodSpec, Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Toleration,
    TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The container's name.
pub const CONTAINER: &str = "server";
/// User and group id of the servers, as in the image.
const USER: i64 = 65532;
const TLS_DIR: &str = "/etc/arrayjob/tls";
/// Volume of the Secret of the source.
pub(super) const SOURCE: &str = "source";
const SOURCE_DIR: &str = "/etc/arrayjob/source";
const SCRATCH_DIR: &str = "/scratch";
/// Environment variable: the end of the server that this server replaces.
const AFTER: &str = "ARRAYJOB_AFTER";
/// Time for responses in progress. A server has nothing to save.
const GRACE_SECONDS: i64 = 2;
/// Time that pods stay bound to an unreachable node. Repeating the work elsewhere is faster than waiting for the node.
const UNREACHABLE_SECONDS: i64 = 10;

/// Settings of the installation.
#[derive(Clone, Debug)]
pub struct Options {
    /// Image of the servers.
    pub image: String,
    /// Pull policy: Always, IfNotPresent or Never.
    pub image_pull_policy: Option<String>,
    /// Secrets to pull the image with.
    pub image_pull_secrets: Vec<String>,
    /// Service account of the pods. Its token is never mounted.
    pub service_account: Option<String>,
    /// CPUs of a server if the manifest states none, as a quantity.
    pub cpu: String,
    /// Memory of a server if the manifest states none, as a quantity.
    pub memory: String,
    /// Addresses and hosts that servers may reach.
    pub egress: EgressPolicy,
    /// Secrets that `source.secretRef` may name.
    pub source_secrets: SecretNames,
}

/// The resources of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// Requests and limits; a memory limit is always present.
    pub resources: ResourceRequirements,
    /// The memory limit, in bytes.
    pub memory_bytes: u64,
    /// Compute threads.
    pub threads: usize,
}

/// The parts of a pod that are equal for all servers of a job.
#[derive(Clone, Debug)]
pub struct Template {
    /// Settings of the installation.
    pub options: Options,
    /// Resources.
    pub size: Size,
    /// Disk for the arrays of one server, in bytes.
    pub scratch_bytes: u64,
}

/// The resources of the manifest, completed with the defaults of the installation.
///
/// # Errors
/// If a quantity is not valid.
pub fn size(job: &ArrayJob, options: &Options) -> Result<Size, Invalid> {
    let given = job.spec.servers.as_ref().and_then(|servers| servers.resources.clone()).unwrap_or_default();
    let (mut requests, mut limits) = (given.requests, given.limits);
    let memory = limits.get("memory").or_else(|| requests.get("memory")).unwrap_or(&options.memory).clone();
    // The plan needs a limit. A smaller request could overcommit the node.
    limits.entry("memory".into()).or_insert_with(|| memory.clone());
    requests.entry("memory".into()).or_insert_with(|| memory.clone());
    let cpu = limits.get("cpu").or_else(|| requests.get("cpu")).unwrap_or(&options.cpu).clone();
    requests.entry("cpu".into()).or_insert_with(|| cpu.clone());
    let field = |name: &str| format!("spec.servers.resources.{name}");
    let invalid = |name: &str, text: &str| Invalid { field: field(name), rule: format!("'{text}' is not a quantity; examples: 8Gi, 500m") };
    let memory_bytes = parse_bytes(&memory).filter(|&bytes| bytes > 0).ok_or_else(|| invalid("limits.memory", &memory))?;
    let cores = cores(&cpu).ok_or_else(|| invalid("limits.cpu", &cpu))?;
    let quantities = |map: BTreeMap<String, String>| map.into_iter().map(|(name, text)| (name, Quantity(text))).collect();
    Ok(Size {
        resources: ResourceRequirements { requests: Some(quantities(requests)), limits: Some(quantities(limits)), claims: None },
        memory_bytes,
        threads: (cores.ceil() as usize).max(1),
    })
}

/// Checks that the installation permits the Secret of the source.
fn check_secret(job: &ArrayJob, options: &Options) -> Result<(), Invalid> {
    let secret = job.spec.source.secret_ref.as_ref().map(|secret| &secret.name);
    let Some(secret) = secret.filter(|name| !options.source_secrets.permit(name)) else { return Ok(()) };
    let rule = format!("this cluster does not permit jobs to send the Secret '{secret}'; permitted: {}", options.source_secrets);
    Err(Invalid { field: "spec.source.secretRef".into(), rule })
}

/// CPUs of a quantity: `8`, `500m`, `1.5`.
fn cores(text: &str) -> Option<f64> {
    let (number, scale) = text.trim().strip_suffix('m').map_or((text.trim(), 1.0), |milli| (milli, 1e-3));
    let value = number.parse::<f64>().ok()? * scale;
    (value > 0.0 && value <= 4096.0).then_some(value)
}

/// One start of one server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    /// Index of the server.
    pub index: usize,
    /// Failures and disruptions of the job so far.
    pub counts: (u32, u32),
    /// The end of the replaced server; `None` for the first start.
    pub previous_end: Option<&'a str>,
}

/// The pod of a server.
///
/// # Errors
/// If tolerations, affinity or spread constraints are not valid fields of a pod, or jobs may not send the Secret of the source.
pub fn build(job: &ArrayJob, template: &Template, start: Start<'_>) -> Result<Pod, Invalid> {
    let Template { options, size, scratch_bytes } = template;
    check_secret(job, options)?;
    let Start { index, counts, previous_end } = start;
    let servers = job.spec.servers.clone().unwrap_or_default();
    let mut labels = servers.labels;
    labels.extend(names::labels(job, "chunk-server"));
    labels.insert(names::INDEX.to_owned(), index.to_string());
    let mut annotations = servers.annotations;
    annotations.insert(names::FAILURES.to_owned(), counts.0.to_string());
    annotations.insert(names::DISRUPTIONS.to_owned(), counts.1.to_string());
    let mut tolerations: Vec<Toleration> = scheduling_fields("tolerations", servers.tolerations)?;
    for taint in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if !tolerations.iter().any(|toleration| toleration.key.as_deref() == Some(taint)) {
            tolerations.push(Toleration {
                key: Some(taint.into()),
                operator: Some("Exists".into()),
                effect: Some("NoExecute".into()),
                toleration_seconds: Some(UNREACHABLE_SECONDS),
                ..Toleration::default()
            });
        }
    }
    let mut spread: Vec<TopologySpreadConstraint> = scheduling_fields("topologySpreadConstraints", servers.topology_spread_constraints)?;
    if spread.is_empty() {
        spread.push(spread_over_nodes(job));
    }
    let affinity: Option<Affinity> = servers.affinity.map(|value| scheduling_field("affinity", value)).transpose()?;
    let mut pull_secrets: Vec<String> = servers.image_pull_secrets.into_iter().map(|secret| secret.name).collect();
    pull_secrets.extend(options.image_pull_secrets.iter().cloned());
    let pull_secrets: Vec<_> = pull_secrets.into_iter().map(|name| LocalObjectReference { name }).collect();
    Ok(Pod {
        metadata: ObjectMeta {
            name: Some(names::pod(&job.name_any(), index)),
            namespace: job.namespace(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(names::owner(job)),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            containers: vec![container(job, options, size, previous_end)],
            volumes: Some(volumes(job, *scratch_bytes)),
            // A container is never restarted in its pod, so that the operator can read how it ended.
            restart_policy: Some("Never".into()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            service_account_name: options.service_account.clone(),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                fs_group: Some(USER),
                seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
                ..PodSecurityContext::default()
            }),
            node_selector: (!servers.node_selector.is_empty()).then_some(servers.node_selector),
            tolerations: Some(tolerations),
            affinity,
            topology_spread_constraints: Some(spread),
            priority_class_name: servers.priority_class_name,
            image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
            ..PodSpec::default()
        }),
        status: None,
    })
}

fn container(job: &ArrayJob, options: &Options, size: &Size, previous_end: Option<&str>) -> Container {
    let mut env = vec![("ARRAYJOB_TLS_DIR", TLS_DIR.to_owned()), ("ARRAYJOB_SCRATCH_DIR", SCRATCH_DIR.to_owned())];
    env.push(("ARRAYJOB_THREADS", size.threads.to_string()));
    env.push(("ARRAYJOB_PEER_PORT", names::PEER_PORT.to_string()));
    env.push(("ARRAYJOB_HTTP_PORT", names::HTTP_PORT.to_string()));
    env.push(("ARRAYJOB_METRICS_PORT", names::METRICS_PORT.to_string()));
    env.extend(previous_end.map(|end| (AFTER, literal(end))));
    for (name, rules) in [("ARRAYJOB_EGRESS_DENY", &options.egress.deny), ("ARRAYJOB_EGRESS_ALLOW", &options.egress.allow)] {
        if !rules.is_empty() {
            env.push((name, rules.iter().map(Rule::to_string).collect::<Vec<_>>().join(",")));
        }
    }
    let mut mounts = vec![mount("tls", TLS_DIR, true), mount("scratch", SCRATCH_DIR, false)];
    if job.spec.source.secret_ref.is_some() {
        env.push(("ARRAYJOB_SOURCE_DIR", SOURCE_DIR.to_owned()));
        mounts.push(mount(SOURCE, SOURCE_DIR, true));
    }
    let port = |name: &str, port: u16| ContainerPort { name: Some(name.into()), container_port: port.into(), ..ContainerPort::default() };
    Container {
        name: CONTAINER.into(),
        image: Some(options.image.clone()),
        image_pull_policy: options.image_pull_policy.clone(),
        command: Some(vec!["/chunkserver".into()]),
        env: Some(env.into_iter().map(|(name, value)| EnvVar { name: name.into(), value: Some(value), ..EnvVar::default() }).collect()),
        ports: Some(vec![port("peers", names::PEER_PORT), port("http", names::HTTP_PORT), port("metrics", names::METRICS_PORT)]),
        resources: Some(size.resources.clone()),
        // The last line of a failed server's log becomes a part of the status.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        liveness_probe: Some(Probe { period_seconds: Some(10), timeout_seconds: Some(5), failure_threshold: Some(6), ..probe("/livez") }),
        readiness_probe: Some(Probe { period_seconds: Some(2), timeout_seconds: Some(2), ..probe("/readyz") }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// A copy of a pod with the fields that the operator reads. The other fields take most of the memory of a pod.
pub fn without_unread(pod: &Pod) -> Pod {
    let mut metadata = pod.metadata.clone();
    metadata.managed_fields = None;
    let spec = pod.spec.as_ref().map(|spec| PodSpec {
        containers: spec.containers.iter().map(container_without_unread).collect(),
        node_name: spec.node_name.clone(),
        // The Secret of the source, which may be missing.
        volumes: spec.volumes.as_ref().map(|volumes| volumes.iter().filter(|volume| volume.name == SOURCE).cloned().collect()),
        ..PodSpec::default()
    });
    Pod { metadata, spec, status: pod.status.clone() }
}

fn container_without_unread(container: &Container) -> Container {
    let env = container.env.iter().flatten().filter(|variable| variable.name == AFTER).cloned().collect();
    Container { name: container.name.clone(), env: Some(env), resources: container.resources.clone(), ..Container::default() }
}

/// Whether the server in this pod replaces a lost one.
pub fn is_replacement(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.flat_map(|container| container.env.iter().flatten()).any(|variable| variable.name == AFTER)
}

/// Escapes the value of an environment variable: Kubernetes expands `$(NAME)`, and `$$` is a literal `$`.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn probe(path: &str) -> Probe {
    let get = HTTPGetAction { path: Some(path.into()), port: IntOrString::String("metrics".into()), ..HTTPGetAction::default() };
    Probe { http_get: Some(get), ..Probe::default() }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount { name: name.into(), mount_path: path.into(), read_only: Some(read_only), ..VolumeMount::default() }
}

fn volumes(job: &ArrayJob, scratch_bytes: u64) -> Vec<Volume> {
    let secret = |name: &str, secret: String| Volume {
        name: name.into(),
        secret: Some(SecretVolumeSource { secret_name: Some(secret), default_mode: Some(0o440), ..SecretVolumeSource::default() }),
        ..Volume::default()
    };
    // 10 % more than planned, for the metadata of the file system.
    let limit = (scratch_bytes > 0).then(|| Quantity((scratch_bytes + scratch_bytes / 10).to_string()));
    let scratch =
        Volume { name: "scratch".into(), empty_dir: Some(EmptyDirVolumeSource { size_limit: limit, medium: None }), ..Volume::default() };
    let source = job.spec.source.secret_ref.as_ref().map(|reference| secret(SOURCE, reference.name.clone()));
    [secret("tls", names::own(job)), scratch].into_iter().chain(source).collect()
}

/// Servers of one job prefer different nodes, so that a lost node costs one server.
fn spread_over_nodes(job: &ArrayJob) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".into(),
        when_unsatisfiable: "ScheduleAnyway".into(),
        label_selector: Some(LabelSelector { match_labels: Some(names::selector(job)), match_expressions: None }),
        ..TopologySpreadConstraint::default()
    }
}

fn scheduling_fields<T: DeserializeOwned>(field: &str, values: Vec<serde_json::Value>) -> Result<Vec<T>, Invalid> {
    values.into_iter().map(|value| scheduling_field(field, value)).collect()
}

fn scheduling_field<T: DeserializeOwned>(field: &str, value: serde_json::Value) -> Result<T, Invalid> {
    serde_json::from_value(value).map_err(|error| Invalid { field: format!("spec.servers.{field}"), rule: error.to_string() })
}

#[cfg(test)]
mod tests;
