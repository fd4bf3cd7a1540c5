//! The election of one operator.

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

/// Whether the operator acquires the lease within these seconds.
async fn acquires(election: &Election, seconds: u64) -> bool {
    timeout(Duration::from_secs(seconds), election.acquire(|| {})).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn one_of_many_operators_holds_the_lease() {
    let cluster = Cluster::default();
    let leaders = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..5)
        .map(|index| {
            let (election, leaders) = (election(&cluster, &format!("operator-{index}")), Arc::clone(&leaders));
            tokio::spawn(async move {
                election.acquire(|| {}).await;
                leaders.fetch_add(1, Ordering::Relaxed);
                election.renew_until_lost().await;
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
async fn a_released_lease_is_acquired_at_once() {
    let cluster = Cluster::default();
    let (first, second) = (election(&cluster, "first"), election(&cluster, "second"));
    let waited = AtomicBool::new(false);
    first.acquire(|| {}).await;
    assert!(timeout(Duration::from_secs(5), second.acquire(|| waited.store(true, Ordering::Relaxed))).await.is_err());
    assert!(waited.load(Ordering::Relaxed), "the callback reports the wait");
    first.release().await;
    assert!(holder(&cluster).is_null());
    assert!(acquires(&second, 1).await);
    assert_eq!(holder(&cluster), "second");
    first.release().await;
    assert_eq!(holder(&cluster), "second", "an operator cannot release the lease of another operator");
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_lost_operator_expires_by_the_local_clock() {
    let cluster = Cluster::default();
    election(&cluster, "lost").acquire(|| {}).await;
    let second = election(&cluster, "second");
    let since = Instant::now();
    assert!(acquires(&second, 60).await);
    let took = since.elapsed().as_secs();
    assert!((15..=20).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_lease_without_renewal_for_minutes_is_acquired_at_once() {
    let cluster = Cluster::default();
    election(&cluster, "lost").acquire(|| {}).await;
    cluster.edit("leases", LEASE, |lease| lease["spec"]["renewTime"] = json!("2026-01-01T00:00:00.000000Z"));
    assert!(acquires(&election(&cluster, "second"), 1).await);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_operator_of_the_same_name_acquires_its_lease_at_once() {
    let cluster = Cluster::default();
    election(&cluster, "same").acquire(|| {}).await;
    assert!(acquires(&election(&cluster, "same"), 1).await);
    assert_eq!(cluster.get("leases", LEASE).unwrap()["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_loses_its_lease_stops() {
    let cluster = Cluster::default();
    let first = election(&cluster, "first");
    first.acquire(|| {}).await;
    assert!(
        timeout(Duration::from_secs(60), first.renew_until_lost()).await.is_err(),
        "the operator holds the lease while renewals succeed"
    );
    cluster.edit("leases", LEASE, |lease| lease["spec"]["holderIdentity"] = json!("second"));
    assert!(timeout(Duration::from_secs(5), first.renew_until_lost()).await.is_ok());
    assert_eq!(holder(&cluster), "second");
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_cannot_renew_stops_before_the_lease_expires() {
    // The API server refuses for some seconds, and then does not respond.
    for refusing in [0, 3, 7, 9] {
        let cluster = Cluster::default();
        let first = election(&cluster, "first");
        first.acquire(|| {}).await;
        let renewed = Instant::now();
        let renewal = tokio::spawn(async move { first.renew_until_lost().await });
        cluster.refuse(|_| Some(crate::responses::Refused::new(500, "InternalError", "etcd is slow")));
        tokio::time::sleep(Duration::from_secs(refusing)).await;
        cluster.freeze();
        timeout(Duration::from_secs(60), renewal).await.unwrap().unwrap();
        let took = renewed.elapsed().as_secs();
        assert!(took < 15, "the operator works for {took} s, and the lease expires after 15 s");
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_operators_create_one_key() {
    let cluster = Cluster::default();
    let load = || async { key::load(&cluster.client(), "arrayjob-system").await };
    // Each operator finds no key and creates one; one creation succeeds.
    let keys = futures_util::future::join_all((0..4).map(|_| load())).await;
    let tokens: Vec<String> = keys.into_iter().chain([load().await]).map(|key| key.unwrap().identities("uid").unwrap().token).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    let codes: Vec<u16> = cluster.requests("create secrets").iter().map(|request| request.code).collect();
    assert_eq!(codes, [200, 409, 409, 409]);
    assert_eq!(cluster.get("secrets", key::SECRET).unwrap()["immutable"], true);
    cluster.edit("secrets", key::SECRET, |secret| secret["data"]["key"] = json!("c2hvcnQ="));
    let error = load().await.unwrap_err().to_string();
    assert!(error.contains("does not contain a key of 32 bytes; delete the Secret"), "{error}");
}
