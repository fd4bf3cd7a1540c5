//! Requests of every kind of client to a server on loopback, which the policy of a cluster closes.

use super::resolver::permitted;
use super::*;
use crate::objects::Access;
use crate::source::{self, Source};
use api::egress::HostCheck;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use object_store::{ObjectStoreExt as _, PutPayload};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server that counts its requests. `/to?URL` redirects to the URL.
struct Local {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Local {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, requests) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&requests);
        let respond = move |uri: axum::http::Uri| {
            counter.fetch_add(1, Ordering::Relaxed);
            let to = uri.query().filter(|_| uri.path() == "/to").map(str::to_owned);
            std::future::ready(match to {
                Some(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
                None => "secret".into_response(),
            })
        };
        let mut task = JoinSet::new();
        task.spawn(transport::listen::serve(listener, Router::new().fallback(get(respond.clone()).put(respond)), std::future::pending()));
        Self { address, requests, _task: task }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// URLs that lead to this server, directly or through a name.
    fn urls(&self) -> Vec<String> {
        let port = self.address.port();
        let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"];
        hosts.map(|host| format!("http://{host}:{port}/a.png")).to_vec()
    }
}

fn policy(allow: &[&str]) -> Arc<EgressPolicy> {
    Arc::new(EgressPolicy { deny: vec![], allow: allow.iter().map(|rule| rule.parse().unwrap()).collect() })
}

fn source(policy: Option<Arc<EgressPolicy>>) -> Source {
    Source::new(source::Options { egress: policy, ..source::Options::default() }).unwrap()
}

async fn refusal(source: &Source, url: &str) -> String {
    let started = Instant::now();
    let error = source.fetch(url, &mut Vec::new()).await.unwrap_err();
    assert!(error.is_final() && started.elapsed().as_secs() < 5, "{url}: {error} after {:?}", started.elapsed());
    error.to_string()
}

#[tokio::test]
async fn a_closed_address_is_never_connected_to() {
    let local = Local::start().await;
    let closed = source(Some(policy(&[])));
    for url in local.urls() {
        let error = refusal(&closed, &url).await;
        assert!(
            error.contains("is not permitted: loopback addresses") || error.contains("is not permitted: unspecified"),
            "{url}: {error}"
        );
    }
    for url in ["http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/x", "http://[64:ff9b::169.254.169.254]/x"] {
        assert!(refusal(&closed, url).await.contains("is not permitted: link-local addresses"), "{url}");
    }
    assert_eq!(local.requests(), 0);
    let mut body = Vec::new();
    source(None).fetch(&local.urls()[0], &mut body).await.unwrap();
    assert_eq!((body.as_slice(), local.requests()), (b"secret".as_slice(), 1), "everything is reachable on one machine");
}

#[tokio::test]
async fn a_redirect_to_a_closed_address_is_not_followed() {
    let (outside, inside) = (Local::start().await, Local::start().await);
    // The first server is open by its name, the second has another name.
    let source = source(Some(policy(&["localhost"])));
    let through = |to: &str| format!("http://localhost:{}/to?{to}", outside.address.port());
    let mut body = Vec::new();
    source.fetch(&format!("http://localhost:{}/a.png", outside.address.port()), &mut body).await.unwrap();
    for target in inside.urls().iter().filter(|url| !url.contains("localhost")) {
        assert!(refusal(&source, &through(target)).await.contains("is not permitted"), "{target}");
    }
    assert!(refusal(&source, &through("http://169.254.169.254/latest")).await.contains("link-local"));
    assert_eq!(inside.requests(), 0);
}

#[tokio::test]
async fn object_stores_obey_the_policy() {
    let (local, outside) = (Local::start().await, Local::start().await);
    for url in local.urls() {
        let access = Access::new([], false).with_egress(Some(policy(&["localhost"])));
        if url.contains("localhost") {
            continue;
        }
        let location = access.open(&url).unwrap();
        let started = Instant::now();
        let read = location.store.get(&location.path).await.unwrap_err();
        let written = location.store.put(&location.path, PutPayload::from_static(b"x")).await.unwrap_err();
        for error in [read, written] {
            assert!(blocked(&error).is_some(), "{url}: {error}");
        }
        // A closed address is not retried.
        assert!(started.elapsed().as_secs() < 5, "{url}: {:?}", started.elapsed());
        let through = access.open(&format!("http://localhost:{}/to", outside.address.port())).unwrap();
        let _ = through.store.get(&through.path).await;
    }
    assert_eq!(local.requests(), 0);
}

#[cfg(feature = "object-stores")]
#[tokio::test]
async fn the_endpoint_of_a_store_obeys_the_policy() {
    let local = Local::start().await;
    let keys = [
        ("AWS_ENDPOINT_URL", format!("http://{}", local.address)),
        ("AWS_ACCESS_KEY_ID", "a".into()),
        ("AWS_SECRET_ACCESS_KEY", "b".into()),
        ("AWS_REGION", "c".into()),
    ];
    let access = Access::new(keys.map(|(name, value)| (name.to_owned(), value)), false).with_egress(Some(policy(&[])));
    let location = access.open("s3://bucket/key").unwrap();
    let error = location.store.get(&location.path).await.unwrap_err();
    assert!(blocked(&error).is_some(), "{error}");
    assert_eq!(local.requests(), 0);
}

#[test]
fn a_name_with_open_and_closed_addresses_leads_to_the_open_ones() {
    let found = |addresses: &[&str]| addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect::<Vec<_>>();
    let policy = EgressPolicy::default();
    let of = |addresses: &[&str], check| permitted(&policy, "images.example.org", check, found(addresses));
    assert_eq!(of(&["127.0.0.1", "192.0.2.7", "::1"], HostCheck::ByAddress), Ok(found(&["192.0.2.7"])));
    assert_eq!(of(&["127.0.0.1"], HostCheck::Open), Ok(found(&["127.0.0.1"])));
    assert_eq!(of(&[], HostCheck::ByAddress), Ok(vec![]));
    let error = of(&["169.254.169.254", "::1"], HostCheck::ByAddress).unwrap_err().to_string();
    assert!(error.starts_with("images.example.org (169.254.169.254) is not permitted: link-local addresses"), "{error}");
}
