//! The target of a command: a URL, a job of this machine, an ArrayJob of a cluster, or a manifest.

use crate::args::ClusterOptions;
use std::ffi::OsStr;
use std::path::Path;

/// The target of a JOB argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A served job at this URL.
    Url(String),
    /// An ArrayJob.
    ArrayJob,
    /// An ArrayJob, if a cluster is configured.
    ArrayJobIfCluster,
}

/// Whether this program runs as `kubectl arrayjob`.
pub fn is_plugin() -> bool {
    std::env::args_os().next().is_some_and(|name| is_plugin_name(&name))
}

/// The name of this program in texts with commands to type.
pub fn program() -> &'static str {
    if is_plugin() { "kubectl arrayjob" } else { "arrayjob" }
}

/// A job and its cluster as arguments that select the same job again.
#[cfg(feature = "kubernetes")]
pub(crate) fn arguments(job: &str, options: &ClusterOptions) -> String {
    let flag = |name: &str, value: Option<String>| value.map(|value| format!(" {name} {value}")).unwrap_or_default();
    let namespace = flag("-n", options.namespace.clone());
    let context = flag("--context", options.context.clone());
    let kubeconfig = flag("--kubeconfig", options.kubeconfig.as_ref().map(|path| path.display().to_string()));
    format!("{job}{namespace}{context}{kubeconfig}")
}

fn is_plugin_name(program: &OsStr) -> bool {
    Path::new(program).file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("kubectl-arrayjob"))
}

/// The target of a JOB argument. A plugin of kubectl, or any option of the cluster, selects the cluster. Otherwise a job that
/// this machine serves takes precedence; `find_local` returns its URL.
pub(crate) fn target_of(job: &str, plugin: bool, options: &ClusterOptions, find_local: impl FnOnce(&str) -> Option<String>) -> Target {
    if job.contains("://") {
        return Target::Url(job.to_owned());
    }
    if plugin || *options != ClusterOptions::default() {
        return Target::ArrayJob;
    }
    find_local(job).map_or(Target::ArrayJobIfCluster, Target::Url)
}

/// Whether the first argument of `peek` is a manifest: an existing file, or a text that is not a valid job name. A text that is
/// both a file and a job name is a job if the command selects a cluster.
pub(crate) fn is_manifest(argument: &Path, plugin: bool, options: &ClusterOptions) -> bool {
    match argument.to_str() {
        Some(text) if text.contains("://") => false,
        Some(text) if is_job_name(text) => !plugin && *options == ClusterOptions::default() && argument.exists(),
        _ => true,
    }
}

/// Whether the text is a valid job name: letters a to z, digits and inner hyphens.
pub(crate) fn is_job_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(namespace: &str) -> ClusterOptions {
        ClusterOptions { namespace: Some(namespace.to_owned()), ..ClusterOptions::default() }
    }

    #[test]
    fn the_programs_name_selects_the_plugin() {
        for name in ["kubectl-arrayjob", "/usr/bin/kubectl-arrayjob", "./kubectl-arrayjob.exe", "kubectl-arrayjob-linux"] {
            assert!(is_plugin_name(OsStr::new(name)), "{name}");
        }
        for name in ["arrayjob", "/opt/kubectl-arrayjob/arrayjob", ""] {
            assert!(!is_plugin_name(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_job_of_this_machine_precedes_a_cluster() {
        let served = |name: &str| (name == "here").then(|| "http://127.0.0.1:1/?token=t".to_owned());
        let none = ClusterOptions::default();
        assert_eq!(target_of("here", false, &none, served), Target::Url("http://127.0.0.1:1/?token=t".into()));
        assert_eq!(target_of("there", false, &none, served), Target::ArrayJobIfCluster);
        assert_eq!(target_of("here", true, &none, served), Target::ArrayJob);
        assert_eq!(target_of("here", false, &namespace("lab"), served), Target::ArrayJob);
        assert_eq!(target_of("http://h/?token=t", true, &namespace("lab"), served), Target::Url("http://h/?token=t".into()));
    }

    #[cfg(feature = "kubernetes")]
    #[test]
    fn arguments_repeat_the_cluster() {
        assert_eq!(arguments("j", &ClusterOptions::default()), "j");
        let options = ClusterOptions { context: Some("c".into()), kubeconfig: Some("k".into()), ..namespace("lab") };
        assert_eq!(arguments("j", &options), "j -n lab --context c --kubeconfig k");
    }

    #[test]
    fn a_manifest_is_a_file_or_not_a_job_name() {
        let none = ClusterOptions::default();
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), Path::new("-"), Path::new("job.yaml"), Path::new("no/such/file"), Path::new("Job")] {
            assert!(is_manifest(path, true, &none), "{}", path.display());
        }
        for name in ["demo", "stack-2", "http://h:1/"] {
            assert!(!is_manifest(Path::new(name), false, &none), "{name}");
        }
        // Tests run in the crate's folder, where `src` exists.
        assert!(is_manifest(Path::new("src"), false, &none));
        assert!(!is_manifest(Path::new("src"), true, &none));
        assert!(!is_manifest(Path::new("src"), false, &namespace("lab")));
    }
}
