//! Installing, upgrading and uninstalling the operator costs no job anything.

use crate::common::{PATIENCE, QUICK_MOVIE, SERVERS, SLOW_MOVIE, SOON, losses, quick_job, quick_slices, slow_job, slow_slices};
use std::path::PathBuf;
use tempfile::NamedTempFile;
use tests::cluster::operator::{self, NAMESPACE, RELEASE};
use tests::cluster::{Stage, helm, kubectl, tool};
use tests::repository;

/// The release as it was before the test, and is again in the end.
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
            // The test has failed already, and says why.
            let _ = tool("helm", self.arguments(chart().to_str().unwrap(), &[]), "");
        }
    }
}

#[test]
fn an_upgrade_while_a_job_runs() {
    let (stage, release) = (Stage::new("upgrade").expecting(&["retried"]), Release::now());
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("upgraded", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, SOON);
    job.until_at("Load", 0, PATIENCE);
    let before = stage.operator.pods();
    stage.operator.touch();
    release.install(&["--set", "podAnnotations.test=upgraded"]);
    job.must_complete(PATIENCE);
    stage.operator.must_come_back();
    assert_ne!(stage.operator.pods()[0].name, before[0].name, "the upgrade changed nothing");
    slow_slices().must_equal(&job.reader());
    assert_eq!((job.pods(), losses(&job)), (pods, [0, 0, 0]), "servers were disturbed");
    stage.operator.touch();
    release.restore();
    stage.operator.must_come_back();
    stage.end();
}

#[test]
fn a_job_outlives_its_operators_release() {
    let (stage, release) = (Stage::new("reinstall").expecting(&["retried"]), Release::now());
    let source = stage.movie(&SLOW_MOVIE);
    let job = stage.start("orphaned", &slow_job(&source.url));
    let pods = job.until_started(SERVERS, SOON);
    job.until_at("Load", 0, PATIENCE);
    stage.operator.touch();
    helm(["uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--timeout", "60s"]);
    assert_eq!(job.pods(), pods, "pods went with the operator");
    assert!(!job.object().is_null(), "the ArrayJob went with the operator");
    kubectl(["get", "customresourcedefinition", "arrayjobs.arrayjob.dev"]);
    release.restore();
    job.must_complete(PATIENCE);
    slow_slices().must_equal(&job.reader());
    assert_eq!((job.pods(), losses(&job)), (pods, [0, 0, 0]), "servers were disturbed");
    stage.end();
}

#[test]
fn an_operator_of_one_namespace_leaves_others_alone_and_names_an_image_that_is_not_there() {
    let (stage, release) = (Stage::new("scoped"), Release::now());
    let elsewhere = Stage::new("elsewhere");
    elsewhere.operator.touch();
    let source = elsewhere.movie(&QUICK_MOVIE);
    stage.operator.touch();
    let watch = format!("watchNamespace={}", stage.namespace);
    release.install(&["--set", "rbac.scope=namespace", "--set", &watch, "--set", "servers.image.tag=no-such-tag"]);
    stage.operator.must_come_back();
    let ignored = elsewhere.start("ignored", &quick_job(&source.url));
    let job = stage.start("imageless", &quick_job("http://nobody.invalid/{index}.png"));
    let message = job.must_stall("ImagePullFailed", SOON);
    assert!(message.contains("no-such-tag") && message.contains("servers.image"), "{message}");
    assert!(ignored.status().is_null(), "a job of another namespace is worked on: {:#}", ignored.status());
    let roles = kubectl(["get", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance=arrayjob", "-o", "name"]);
    assert_eq!(roles, "", "an install for one namespace is cluster-wide");
    job.delete();
    stage.operator.touch();
    release.restore();
    ignored.must_complete(PATIENCE);
    quick_slices().must_equal(&ignored.reader());
    elsewhere.end();
    stage.end();
}
