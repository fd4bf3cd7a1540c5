//! The status of the whole job from any server, once and as events.

use super::source::{FrameServer, SECRET};
use super::support::{Cluster, FRAMES, TOKEN, builder, job};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The connection of a listener.
struct Listener {
    response: reqwest::Response,
    unread: String,
}

impl Listener {
    async fn of(cluster: &Cluster, server: usize) -> Self {
        let url = cluster.reader_url(server, "/api/v1/events");
        let response = builder().build().unwrap().get(url).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &"text/event-stream".parse().unwrap()));
        Self { response, unread: String::new() }
    }

    /// The id and the status of the next event.
    async fn next(&mut self) -> (u64, Value) {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let event = event.to_owned();
                self.unread = rest.to_owned();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                let Some(data) = field("data") else { continue };
                assert_eq!(field("event"), Some("status"));
                return (field("id").unwrap().parse().unwrap(), serde_json::from_str(data).unwrap());
            }
            let chunk = self.response.chunk().await.unwrap().expect("the stream ended");
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The first status that meets `condition`, and the number of events until then.
    async fn until(&mut self, condition: impl Fn(&Value) -> bool) -> (usize, Value) {
        let (mut count, mut last) = (0, 0);
        loop {
            let (id, status) = self.next().await;
            assert!(id > last, "event {id} after {last}");
            (count, last) = (count + 1, id);
            if condition(&status) {
                return (count, status);
            }
        }
    }
}

#[tokio::test]
async fn every_server_reports_the_status_of_the_whole_job() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(3, &[("X-Api-Key", SECRET)]));
    let mut job = job(&frames);
    job.outputs.clear();
    cluster.assign(&job).await;
    cluster.until_computed().await;
    for server in 0..3 {
        let status: Value = cluster.read(server, "/api/v1/status").await.json();
        assert_eq!((&status["job"], &status["uid"], &status["generation"]), (&json!("movie"), &json!("u"), &json!(1)));
        assert_eq!((&status["state"], &status["server"]), (&json!("Finished"), &json!(server)));
        let phases = status["phases"].as_array().unwrap();
        let names: Vec<&str> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Load", "Rechunk", "Fft"]);
        assert_eq!((&phases[0]["done"], &phases[0]["total"]), (&json!(FRAMES), &json!(FRAMES)));
        assert!(phases.iter().all(|phase| phase["done"] == phase["total"] && phase["started_ms"].as_u64() > Some(0)), "{phases:?}");
        let fleet = status["fleet"].as_array().unwrap();
        assert!(fleet.iter().enumerate().all(|(id, member)| member["server"] == id && member["answers"] == true), "{fleet:?}");
        let loaded: u64 = fleet.iter().map(|member| member["progress"]["phases"][0]["done"].as_u64().unwrap()).sum();
        assert_eq!(loaded, FRAMES as u64);
        assert_eq!(status["progress"]["boot"], fleet[server]["progress"]["boot"]);
        for (id, member) in fleet.iter().enumerate() {
            let vitals = &member["progress"]["vitals"];
            let (received, sent) = cluster.workers[id].client.traffic.bytes();
            assert_eq!(vitals["cores"], 2);
            // All servers run in this process.
            assert!(vitals["cpu_ms"].as_u64() > Some(10) && vitals["resident_bytes"].as_u64() > Some(1 << 20), "{vitals}");
            let blocks = member["progress"]["phases"][1]["bytes"].as_u64().unwrap();
            let reported = vitals["received_bytes"].as_u64().unwrap();
            assert!(
                blocks > 0 && (blocks + member["progress"]["phases"][0]["bytes"].as_u64().unwrap()..=received).contains(&reported),
                "{vitals}"
            );
            // Each server has sent about as many bytes as it has pulled.
            assert!((blocks / 2..=sent).contains(&vitals["sent_bytes"].as_u64().unwrap()), "{vitals}");
            assert_eq!(vitals["waits"], json!([]));
        }
        // The operator's requests contain no vitals, which change with every sample.
        assert_eq!(cluster.progress(server).await.vitals, None);
        let raw = &status["arrays"][0];
        assert_eq!((&raw["name"], &raw["chunks"]), (&json!("raw"), &json!([4, 120, 100])));
        assert_eq!((&status["blank"], &status["failure"]), (&json!([]), &Value::Null));
    }
    // The JSON matches the documented schemas.
    let status: Value = cluster.read(0, "/api/v1/status").await.json();
    let schemas = crate::server::openapi()["components"]["schemas"].clone();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    for (sent, schema) in [(&status, "Status"), (&status["phases"][0], "PhaseStatus"), (&status["fleet"][0], "Member")] {
        assert_eq!(names(sent), names(&schemas[schema]["properties"]), "{schema}");
    }
}

#[tokio::test]
async fn listeners_receive_the_start_the_end_and_a_loss() {
    let (frames, cluster) = (FrameServer::start().await, Cluster::start(2, &[("X-Api-Key", SECRET)]));
    // Before the job.
    let mut early = Listener::of(&cluster, 0).await;
    let started = Instant::now();
    let mut job = job(&frames);
    job.outputs.clear();
    cluster.assign(&job).await;
    let (count, finished) = early.until(|status| status["state"] == "Finished").await;
    assert!(count as f64 <= 4.0 * started.elapsed().as_secs_f64() + 1.0, "{count} events in {:?}", started.elapsed());
    assert_eq!(finished["phases"][2]["done"], finished["phases"][2]["total"]);

    // After the end, events contain only new vitals, at long intervals.
    let rest = tokio::time::Instant::now() + Duration::from_millis(7500);
    let (mut count, mut last) = (0, finished.clone());
    while let Ok((_, status)) = tokio::time::timeout_at(rest, early.next()).await {
        (count, last) = (count + 1, status);
    }
    assert!((1..=4).contains(&count), "{count} events");
    let at = |status: &Value| status["fleet"][1]["progress"]["vitals"]["at_ms"].as_u64().unwrap();
    assert!(at(&last) > at(&finished) && last["state"] == "Finished");

    let mut late = Listener::of(&cluster, 0).await;
    let (id, status) = tokio::time::timeout(Duration::from_secs(5), late.next()).await.expect("the first event comes at once");
    assert!(id >= 1 && status["state"] == "Finished", "{status}");

    cluster.lose(1);
    for listener in [&mut early, &mut late] {
        let (_, lost) = listener.until(|status| status["fleet"][1]["answers"] == false).await;
        assert_eq!((&lost["state"], &lost["fleet"][1]["progress"]), (&json!("Loading"), &Value::Null));
        assert_eq!(lost["fleet"][0]["answers"], true);
    }
    let response = cluster.read(0, "/api/v1/status").await;
    assert_eq!((response.status, &response.json::<Value>()["servers"]), (200, &json!(2)));

    // Listeners also receive the status of the next job.
    job.uid = "w".into();
    let alone = api::plan::Plan::new(&job, Some(1), &api::plan::Budget { memory: api::plan::Allowance::PerServer(2 << 30), cores: 2 });
    let assignment = api::wire::Assignment { plan: alone.unwrap(), job, peers: vec![None], goal: api::phase::Phase::Fft };
    assert_eq!(cluster.assign_one(0, &assignment).await.status, 200);
    late.until(|status| status["uid"] == "w" && status["state"] == "Finished" && status["servers"] == 1).await;
}
