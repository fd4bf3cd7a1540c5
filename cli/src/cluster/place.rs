//! Which place is meant, a cluster or this machine, and the way to the cluster.

use crate::args::Where;
use crate::error::Error;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

/// Time for a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one answer of the API server. Watches and forwards last longer, and are not asked this way.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A cluster and a namespace of it.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// What a first argument names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A served job, behind this URL.
    Url(String),
    /// An ArrayJob.
    Cluster,
    /// An ArrayJob, if there is a cluster at all.
    ClusterIfAny,
}

/// Whether this program was called as `kubectl arrayjob`.
pub fn is_plugin() -> bool {
    std::env::args_os().next().is_some_and(|name| named_as_plugin(&name))
}

/// How people call this program, for sentences that tell them what to type.
pub fn program() -> &'static str {
    if is_plugin() { "kubectl arrayjob" } else { "arrayjob" }
}

/// A job and its place, as they have to be typed to mean the same again.
pub(crate) fn typed(job: &str, place: &Where) -> String {
    let flag = |name: &str, value: Option<String>| value.map(|value| format!(" {name} {value}")).unwrap_or_default();
    let namespace = flag("-n", place.namespace.clone());
    let context = flag("--context", place.context.clone());
    let kubeconfig = flag("--kubeconfig", place.kubeconfig.as_ref().map(|path| path.display().to_string()));
    format!("{job}{namespace}{context}{kubeconfig}")
}

fn named_as_plugin(program: &OsStr) -> bool {
    Path::new(program).file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("kubectl-arrayjob"))
}

/// A URL is a URL. A plugin of kubectl, or one who names a cluster, means the cluster. Otherwise what is served on this
/// machine is nearer.
pub(crate) fn choose(job: &str, plugin: bool, place: &Where, local: impl FnOnce(&str) -> Option<String>) -> Choice {
    if job.contains("://") {
        return Choice::Url(job.to_owned());
    }
    if plugin || *place != Where::default() {
        return Choice::Cluster;
    }
    local(job).map_or(Choice::ClusterIfAny, Choice::Url)
}

/// Whether the first argument of `peek` is a manifest: a file that is there, or whatever cannot be a job's name. One who
/// means the cluster means a job by a name that could be either.
pub(crate) fn is_manifest(argument: &Path, plugin: bool, place: &Where) -> bool {
    match argument.to_str() {
        Some(text) if text.contains("://") => false,
        Some(text) if is_name(text) => !plugin && *place == Where::default() && argument.exists(),
        _ => true,
    }
}

/// Whether a job may be called that.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The cluster that is meant.
///
/// # Errors
/// When there is no kubeconfig, or it cannot be used.
pub(crate) async fn connect(place: &Where) -> Result<Cluster, Error> {
    transport::crypto::install_crypto();
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| Error::Kubeconfig(source);
    let options = KubeConfigOptions { context: place.context.clone(), ..KubeConfigOptions::default() };
    let config = match &place.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(error.into()))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(error.into()))
        }
        // A pod that was given no kubeconfig asks the cluster that it runs in.
        None => match Config::from_kubeconfig(&options).await {
            Ok(config) => Ok(config),
            Err(error) if place.context.is_none() => Config::incluster().map_err(|_| unusable(error.into())),
            Err(error) => Err(unusable(error.into())),
        },
    };
    let mut config = config?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let namespace = place.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| unusable(error.into()))?;
    Ok(Cluster { client, namespace })
}

/// An answer of the API server, or in words why there is none. `doing` is what was asked, as in "read Secret x"; `role` is
/// what one who may not do it has to be given.
pub(crate) async fn answer<T>(doing: &str, role: &str, question: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_TIMEOUT, question).await {
        Ok(answer) => answer.map_err(|error| explain(doing, role, error)),
        Err(late) => Err(Error::Cluster { doing: doing.to_owned(), source: late.into() }),
    }
}

/// What the API server refused, in words.
pub(crate) fn explain(doing: &str, role: &str, error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) if status.code == 403 => Error::Refused(format!("you may not {doing}: it takes a Role with {role}")),
        kube::Error::Api(status) if status.code == 401 => {
            Error::Refused(format!("the cluster does not know you ({}); log in again, or choose another --context", status.message))
        }
        kube::Error::Api(status) => Error::Refused(format!("cannot {doing}: {}", status.message)),
        other => Error::Cluster { doing: doing.to_owned(), source: other.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn place(namespace: &str) -> Where {
        Where { namespace: Some(namespace.to_owned()), ..Where::default() }
    }

    #[test]
    fn the_name_of_the_program_tells_a_plugin() {
        for name in ["kubectl-arrayjob", "/usr/bin/kubectl-arrayjob", "./kubectl-arrayjob.exe", "kubectl-arrayjob-linux"] {
            assert!(named_as_plugin(OsStr::new(name)), "{name}");
        }
        for name in ["arrayjob", "/opt/kubectl-arrayjob/arrayjob", ""] {
            assert!(!named_as_plugin(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn what_is_served_here_is_nearer_than_a_cluster() {
        let served = |name: &str| (name == "here").then(|| "http://127.0.0.1:1/?token=t".to_owned());
        let nowhere = Where::default();
        assert_eq!(choose("here", false, &nowhere, served), Choice::Url("http://127.0.0.1:1/?token=t".into()));
        assert_eq!(choose("there", false, &nowhere, served), Choice::ClusterIfAny);
        assert_eq!(choose("here", true, &nowhere, served), Choice::Cluster);
        assert_eq!(choose("here", false, &place("lab"), served), Choice::Cluster);
        assert_eq!(choose("http://h/?token=t", true, &place("lab"), served), Choice::Url("http://h/?token=t".into()));
    }

    #[test]
    fn a_job_is_typed_with_its_place() {
        assert_eq!(typed("j", &Where::default()), "j");
        let place = Where { context: Some("c".into()), kubeconfig: Some("k".into()), ..place("lab") };
        assert_eq!(typed("j", &place), "j -n lab --context c --kubeconfig k");
    }

    #[test]
    fn a_manifest_is_a_file_or_what_cannot_be_a_name() {
        let nowhere = Where::default();
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), Path::new("-"), Path::new("job.yaml"), Path::new("no/such/file"), Path::new("Job")] {
            assert!(is_manifest(path, true, &nowhere), "{}", path.display());
        }
        for name in ["demo", "stack-2", "http://h:1/"] {
            assert!(!is_manifest(Path::new(name), false, &nowhere), "{name}");
        }
        // Tests run in the crate's folder, which has one called src.
        assert!(is_manifest(Path::new("src"), false, &nowhere));
        assert!(!is_manifest(Path::new("src"), true, &nowhere));
        assert!(!is_manifest(Path::new("src"), false, &place("lab")));
    }

    #[test]
    fn a_refusal_says_what_is_missing() {
        let status = |code| kube::Error::Api(Status::failure("secrets \"s\" is forbidden", "Forbidden").with_code(code).boxed());
        let sentence = |code| explain("read Secret s", "secrets: get", status(code)).sentence();
        assert_eq!(sentence(403), "you may not read Secret s: it takes a Role with secrets: get");
        assert_eq!(sentence(500), "cannot read Secret s: secrets \"s\" is forbidden");
        assert!(sentence(401).contains("log in"));
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_not_there_is_named() {
        let place = Where { kubeconfig: Some("/no/such/config".into()), ..Where::default() };
        let error = connect(&place).await.err().unwrap().sentence();
        assert!(error.contains("--kubeconfig") && error.contains("/no/such/config"), "{error}");
    }
}
