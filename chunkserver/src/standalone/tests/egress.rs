//! A server with the policy of a cluster, which closes loopback, and a source on loopback.

use super::source::FrameServer;
use super::support::{Authority, HttpResponse, ServerFolders, TOKEN, client_of, job};
use crate::standalone::Server;
use api::egress::EgressPolicy;
use api::phase::{Phase, Progress, reason};
use api::plan::{Allowance, Budget, Plan};
use api::wire::{Assignment, Peer, ProbeRequest, VERSION, VERSION_HEADER, route};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_closed_source_is_refused_by_probes_and_fails_a_job_at_once() {
    let (frames, authority) = (FrameServer::start().await, Authority::new());
    let folders = ServerFolders::new(&authority, TOKEN, &[]);
    let mut settings = folders.settings();
    settings.egress = EgressPolicy::default();
    let server = Server::bind(&settings).unwrap();
    let (address, boot) = (format!("127.0.0.1:{}", server.addresses().peers.port()), server.boot().clone());
    let _server = tokio::spawn(server.serve(std::future::pending()));
    let operator = client_of(&authority.leaf("operator.example"));
    let (url, job) = (format!("https://{address}"), job(&frames));

    let body = serde_json::to_vec(&ProbeRequest { source: job.source.clone(), frames: job.frames }).unwrap();
    let request = operator.post(format!("{url}{}", route::PROBE)).header("content-type", "application/json").body(body);
    let (status, stated, error) = HttpResponse::to(request).await.unwrap().problem();
    assert_eq!((status, stated.as_deref()), (422, Some(reason::SOURCE_UNAVAILABLE)), "{error}");
    assert!(error.contains("127.0.0.1 is not permitted: loopback addresses"), "{error}");

    let plan = Plan::new(&job, Some(1), &Budget { memory: Allowance::PerServer(2 << 30), cores: 2 }).unwrap();
    let assignment = Assignment { job, plan, peers: vec![Some(Peer { address, boot })], goal: Phase::Fft };
    let request = operator.put(format!("{url}{}?server=0", route::ASSIGNMENT)).header(VERSION_HEADER, VERSION);
    let assigned = HttpResponse::to(request.body(serde_json::to_vec(&assignment).unwrap())).await.unwrap();
    assert_eq!(assigned.status, 200, "{}", assigned.text());
    let started = Instant::now();
    let failure = loop {
        let progress: Progress = HttpResponse::to(operator.get(format!("{url}{}", route::PROGRESS))).await.unwrap().json();
        if let Some(failure) = progress.failure {
            break failure;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "the job does not fail");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(failure.reason, reason::SOURCE_UNAVAILABLE);
    assert!(failure.message.contains("127.0.0.1 is not permitted: loopback addresses"), "{}", failure.message);
    assert_eq!(frames.served(), 0, "the source received a request");
}
