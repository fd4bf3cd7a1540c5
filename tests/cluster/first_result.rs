//! The first steps of a new user: the manifest of the demo from the repository.

use serde_json::Value;
use tests::cluster::{Applied, Slices, Stage, kubectl, seconds, until};
use tests::repository;

const CONDITIONS: [&str; 7] = ["Complete", "Failed", "Finished", "Suspended", "Ready", "Progressing", "Stalled"];

/// The manifest of the demo, with the image under test.
fn demo(stage: &Stage) -> String {
    let text = std::fs::read_to_string(repository().join("crds/examples/demo.yaml")).unwrap();
    let images = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("image: ")).collect::<Vec<_>>();
    assert_eq!(images.len(), 1, "the demo has one container");
    text.replace(images[0], &stage.operator.image())
}

/// The object of the demo with this kind.
fn object(stage: &Stage, kind: &str) -> Value {
    let path = repository().join("crds/examples/demo.yaml");
    let text = stage.kubectl(&["create", "--dry-run=client", "-o", "json", "-f", path.to_str().unwrap()]);
    let objects = serde_json::Deserializer::from_str(&text).into_iter::<Value>().map(Result::unwrap);
    let flat = objects.flat_map(|object| object["items"].as_array().cloned().unwrap_or_else(|| vec![object]));
    flat.into_iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("the demo has no {kind}"))
}

/// Results of the demo's job on the local machine, over the same movie.
fn on_this_machine(stage: &Stage, selections: &[&str]) -> Slices {
    let container = object(stage, "Deployment")["spec"]["template"]["spec"]["containers"][0].clone();
    let words = ["command", "args"].into_iter().flat_map(|field| container[field].as_array().cloned().unwrap_or_default());
    let words: Vec<String> = words.map(|word| word.as_str().unwrap().to_owned()).collect();
    let movie = words.iter().position(|word| word == "movie").unwrap();
    let mut more: Vec<&str> = words[movie + 1..].iter().map(String::as_str).collect();
    if let Some(listen) = more.iter().position(|word| word.starts_with("--listen")) {
        more.drain(listen..listen + if more[listen].contains('=') { 1 } else { 2 });
    }
    Slices::of_run(&more, selections, |url| {
        let mut job = object(stage, "ArrayJob");
        job["metadata"] = serde_json::json!({"name": "demo"});
        job["spec"]["source"]["images"]["urlTemplate"] = url.into();
        job.to_string()
    })
}

fn must_have_a_full_status(job: &Applied<'_>) {
    let object = job.object();
    let status = &object["status"];
    assert_eq!(status["observedGeneration"], object["metadata"]["generation"]);
    for field in ["startTime", "completionTime", "plan", "servers", "progress", "phases", "endpoint"] {
        assert!(!status[field].is_null(), "status has no {field}: {status:#}");
    }
    let types: Vec<&str> = status["conditions"].as_array().unwrap().iter().map(|condition| condition["type"].as_str().unwrap()).collect();
    assert_eq!(types, CONDITIONS);
    for condition in status["conditions"].as_array().unwrap() {
        let filled = ["reason", "message", "lastTransitionTime"].map(|field| !condition[field].as_str().unwrap_or_default().is_empty());
        assert_eq!(filled, [true; 3], "{condition}");
        assert_eq!(condition["observedGeneration"], object["metadata"]["generation"], "{condition}");
    }
    let is = CONDITIONS.map(|type_| job.condition(type_).is);
    assert_eq!(is, [true, false, true, false, true, false, false], "{status:#}");
    for phase in status["phases"].as_array().unwrap() {
        assert_eq!((&phase["state"], &phase["done"]), (&"Complete".into(), &phase["total"]), "{phase}");
    }
}

/// The table of `kubectl get` has at most 80 columns and contains state, progress and servers.
fn must_be_listed_in_80_columns(stage: &Stage) {
    let listed = stage.kubectl(&["get", "aj"]);
    assert!(listed.lines().all(|line| line.trim_end().chars().count() <= 80), "wider than 80:\n{listed}");
    let words: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words[1..6], ["Complete", "Done", "100%", "2/2", "0"], "{listed}");
}

#[test]
fn the_demo_gives_equal_results_on_a_cluster_and_on_one_machine() {
    let stage = Stage::new("first-result");
    stage.try_apply(&demo(&stage)).must_succeed();
    let name = object(&stage, "ArrayJob")["metadata"]["name"].as_str().unwrap().to_owned();
    stage.kubectl(&["wait", "--for=condition=Finished", &format!("aj/{name}"), "--timeout=120s"]);
    let job = stage.job(&name);
    job.must_complete(seconds(1));

    let reader = job.reader();
    on_this_machine(&stage, &["power[:,10,10]", "raw_mean_frame"]).must_equal(&reader);
    assert_eq!(reader.without_token("/slice/power?sel=:,10,10"), 401, "a slice without the token");

    must_have_a_full_status(&job);
    must_be_listed_in_80_columns(&stage);
    let events = job.events();
    for reason in ["Planned", "ServersReady", "Complete"] {
        let counts: Vec<u64> = events.iter().filter(|(found, _)| found == reason).map(|(_, count)| *count).collect();
        assert_eq!(counts, [1], "counts of {reason}: {events:?}");
    }

    // A second apply changes nothing.
    let before = (job.object()["metadata"].clone(), job.pods());
    let ended = stage.try_apply(&demo(&stage));
    assert!(ended.text().lines().all(|line| line.ends_with("unchanged")), "{}", ended.text());
    assert_eq!((job.object()["metadata"].clone(), job.pods()), before);

    drop(reader);
    job.delete();
    stage.end();
}

#[test]
fn kubectl_explain_describes_the_fields_of_the_manifest() {
    let explained = kubectl(["explain", "arrayjob.spec.recenter"]);
    for word in ["crop", "method", "threshold", "centroid", "Height and width of the crop"] {
        assert!(explained.contains(word), "no '{word}' in:\n{explained}");
    }
    let fields = kubectl(["explain", "arrayjob", "--recursive"]);
    assert!(fields.contains("urlTemplate") && fields.contains("etaSeconds"), "{fields}");
}

#[test]
fn a_deleted_namespace_with_the_demo_leaves_nothing() {
    // For each deletion order of the objects, the operator must not delay the deletion by new pods.
    let stage = Stage::new("namespace-goes").expecting(&["server lost", "retried"]);
    stage.try_apply(&demo(&stage)).must_succeed();
    let name = object(&stage, "ArrayJob")["metadata"]["name"].as_str().unwrap().to_owned();
    until("the servers of the demo are launched", seconds(60), || {
        let pods = stage.job(&name).pods();
        if pods.len() == 2 { Ok(()) } else { Err(format!("{pods:?}")) }
    });
    kubectl(["delete", "namespace", &stage.namespace, "--timeout=60s"]);
    stage.end();
}
