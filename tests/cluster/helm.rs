//! Install, upgrade and uninstall of the operator do not disturb jobs.

use crate::common::{QUICK_MOVIE, SERVERS, SLOW_MOVIE, STATUS_TIMEOUT, TIMEOUT, losses, quick_job, quick_slices, slow_job, slow_slices};
use std::path::PathBuf;
use tempfile::NamedTempFile;
use tests::cluster::operator::{self, NAMESPACE, RELEASE};
use tests::cluster::{Stage, helm, kubectl, tool};
use tests::repository;

/// The values of the release before the test. Dropping the value restores the release.
struct Release {
    values: NamedTempFile,
    restored: bool,
}

fn chart() -> PathBuf {
    repository().join("charts/arrayjob")
}

impl Release {
    fn now() -> Self {
        let values = NamedTempFile::new().unwrap();
        std::fs::write(values.path(), operator::values()).unwrap();
        Self { values, restored: false }
    }

    fn arguments<'a>(&'a self, chart: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let values = self.values.path().to_str().unwrap();
        [&["upgrade", "--install", RELEASE, chart, "-n", NAMESPACE, "-f", values, "--wait", "--timeout", "90s"], more].concat()
    }

    fn install(&self, more: &[&str]) {
        helm(self.arguments(chart().to_str().unwrap(), more));
    }

    fn restore(mut self) {
        self.install(&[]);
        self.restored = true;
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if !self.restored {
            // The test has already failed with its own message.
            let _ = tool("helm", self.arguments(chart().to_str().unwrap(), &[]), "");
        }
    }
}

#[test]
fn an_upgrade_does_not_disturb_a_running_job() {
    let (stage, release) = (Stage::new("upgrade").expecting(&["retried"]), Release::now());
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("upgraded", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, STATUS_TIMEOUT);
    job.until_in_phase("Load", 0, TIMEOUT);
    let before = stage.operator.pods();
    stage.operator.allow_restart();
    release.install(&["--set", "podAnnotations.test=upgraded"]);
    job.must_complete(TIMEOUT);
    stage.operator.must_become_ready();
    assert_ne!(stage.operator.pods()[0].name, before[0].name, "the upgrade did not replace the pod of the operator");
    slow_slices().must_equal(&job.reader());
    assert_eq!((job.pods(), losses(&job)), (pods, [0, 0, 0]), "pods and losses after the change");
    stage.operator.allow_restart();
    release.restore();
    stage.operator.must_become_ready();
    stage.end();
}

#[test]
fn a_job_survives_the_uninstall_of_the_operator() {
    let (stage, release) = (Stage::new("reinstall").expecting(&["retried"]), Release::now());
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("orphaned", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, STATUS_TIMEOUT);
    job.until_in_phase("Load", 0, TIMEOUT);
    stage.operator.allow_restart();
    helm(["uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--timeout", "60s"]);
    assert_eq!(job.pods(), pods, "the uninstall changed the pods of the job");
    assert!(!job.object().is_null(), "the uninstall deleted the ArrayJob");
    kubectl(["get", "customresourcedefinition", "arrayjobs.arrayjob.dev"]);
    release.restore();
    job.must_complete(TIMEOUT);
    slow_slices().must_equal(&job.reader());
    assert_eq!((job.pods(), losses(&job)), (pods, [0, 0, 0]), "pods and losses after the change");
    stage.end();
}

#[test]
fn an_operator_of_one_namespace_ignores_others_and_reports_a_missing_image() {
    let (stage, release) = (Stage::new("scoped"), Release::now());
    let elsewhere = Stage::new("elsewhere");
    elsewhere.operator.allow_restart();
    let source = elsewhere.movie(&QUICK_MOVIE);
    stage.operator.allow_restart();
    let watch = format!("watchNamespace={}", stage.namespace);
    release.install(&["--set", "rbac.scope=namespace", "--set", &watch, "--set", "servers.image.tag=no-such-tag"]);
    stage.operator.must_become_ready();
    let ignored = elsewhere.start("ignored", &quick_job(&source.url));
    let job = stage.start("imageless", &quick_job("http://nobody.invalid/{index}.png"));
    let message = job.must_stall("ImagePullFailed", STATUS_TIMEOUT);
    assert!(message.contains("no-such-tag") && message.contains("servers.image"), "{message}");
    assert!(ignored.status().is_null(), "the operator changed a job of another namespace: {:#}", ignored.status());
    let roles = kubectl(["get", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance=arrayjob", "-o", "name"]);
    assert_eq!(roles, "", "an install for one namespace has cluster roles");
    job.delete();
    stage.operator.allow_restart();
    release.restore();
    ignored.must_complete(TIMEOUT);
    quick_slices().must_equal(&ignored.reader());
    elsewhere.end();
    stage.end();
}
