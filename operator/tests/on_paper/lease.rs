//! Who leads.

use crate::api_server::Cluster;
use operator::key;
use operator::lease::Election;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

const LEASE: &str = "arrayjob-operator";

fn election(cluster: &Cluster, name: &str) -> Election {
    Election::new(cluster.client(), "arrayjob-system", name.into())
}

fn holder(cluster: &Cluster) -> serde_json::Value {
    cluster.get("leases", LEASE).unwrap()["spec"]["holderIdentity"].clone()
}

/// Whether it wins within these seconds.
async fn wins(election: &Election, seconds: u64) -> bool {
    timeout(Duration::from_secs(seconds), election.win(|| {})).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn of_many_that_want_the_lease_one_has_it() {
    let cluster = Cluster::default();
    let leaders = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..5)
        .map(|index| {
            let (election, leaders) = (election(&cluster, &format!("operator-{index}")), Arc::clone(&leaders));
            tokio::spawn(async move {
                election.win(|| {}).await;
                leaders.fetch_add(1, Ordering::Relaxed);
                election.hold().await;
                leaders.fetch_sub(1, Ordering::Relaxed);
            })
        })
        .collect();
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(leaders.load(Ordering::Relaxed), 1);
    }
    assert_eq!(cluster.get("leases", LEASE).unwrap()["spec"]["leaseTransitions"], 1);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_had_at_once() {
    let cluster = Cluster::default();
    let (first, second) = (election(&cluster, "first"), election(&cluster, "second"));
    let waited = AtomicBool::new(false);
    first.win(|| {}).await;
    assert!(timeout(Duration::from_secs(5), second.win(|| waited.store(true, Ordering::Relaxed))).await.is_err());
    assert!(waited.load(Ordering::Relaxed), "it said that it stands by");
    first.resign().await;
    assert!(holder(&cluster).is_null());
    assert!(wins(&second, 1).await);
    assert_eq!(holder(&cluster), "second");
    first.resign().await;
    assert_eq!(holder(&cluster), "second", "what is not one's own cannot be given back");
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_one_that_is_gone_is_taken_after_a_while_by_ones_own_clock() {
    let cluster = Cluster::default();
    election(&cluster, "gone").win(|| {}).await;
    let second = election(&cluster, "second");
    let since = Instant::now();
    assert!(wins(&second, 60).await);
    let took = since.elapsed().as_secs();
    assert!((15..=20).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_has_renewed_for_minutes_is_taken_at_once() {
    let cluster = Cluster::default();
    election(&cluster, "gone").win(|| {}).await;
    cluster.edit("leases", LEASE, |lease| lease["spec"]["renewTime"] = json!("2026-01-01T00:00:00.000000Z"));
    assert!(wins(&election(&cluster, "second"), 1).await);
}

#[tokio::test(start_paused = true)]
async fn one_that_starts_again_under_its_name_has_its_lease_at_once() {
    let cluster = Cluster::default();
    election(&cluster, "same").win(|| {}).await;
    assert!(wins(&election(&cluster, "same"), 1).await);
    assert_eq!(cluster.get("leases", LEASE).unwrap()["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn one_whose_lease_is_taken_stops() {
    let cluster = Cluster::default();
    let first = election(&cluster, "first");
    first.win(|| {}).await;
    assert!(timeout(Duration::from_secs(60), first.hold()).await.is_err(), "it holds as long as it can renew");
    cluster.edit("leases", LEASE, |lease| lease["spec"]["holderIdentity"] = json!("second"));
    assert!(timeout(Duration::from_secs(5), first.hold()).await.is_ok());
    assert_eq!(holder(&cluster), "second");
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_renew_has_stopped_before_another_may_begin() {
    // Silent from the start of a renewal, or refusing for a while and then silent: in the worst of moments.
    for refusing in [0, 3, 7, 9] {
        let cluster = Cluster::default();
        let first = election(&cluster, "first");
        first.win(|| {}).await;
        let renewed = Instant::now();
        let holding = tokio::spawn(async move { first.hold().await });
        cluster.refuse(|_| Some(crate::answer::Refused::new(500, "InternalError", "etcd is slow")));
        tokio::time::sleep(Duration::from_secs(refusing)).await;
        cluster.freeze();
        timeout(Duration::from_secs(60), holding).await.unwrap().unwrap();
        let took = renewed.elapsed().as_secs();
        assert!(took < 15, "it works on for {took} s, and after 15 s another one may begin");
    }
}

#[tokio::test(start_paused = true)]
async fn all_operators_have_one_key_whoever_makes_it() {
    let cluster = Cluster::default();
    let load = || async { key::load(&cluster.client(), "arrayjob-system").await };
    // Each finds no key and makes one; one of them wins.
    let keys = futures_util::future::join_all((0..4).map(|_| load())).await;
    let tokens: Vec<String> = keys.into_iter().chain([load().await]).map(|key| key.unwrap().identities("uid").unwrap().token).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    let codes: Vec<u16> = cluster.requests("create secrets").iter().map(|request| request.code).collect();
    assert_eq!(codes, [200, 409, 409, 409]);
    assert_eq!(cluster.get("secrets", key::SECRET).unwrap()["immutable"], true);
    cluster.edit("secrets", key::SECRET, |secret| secret["data"]["key"] = json!("c2hvcnQ="));
    let error = load().await.unwrap_err().to_string();
    assert!(error.contains("holds no key of 32 bytes; delete it"), "{error}");
}
