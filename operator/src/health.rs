//! Whether the operator is alive and ready, as Kubernetes asks. An operator whose watches are dead looks healthy from outside
//! and does nothing for ever; so `/livez` is about the watches: each must have been heard of, or found right by an audit that
//! compares the cache with a fresh list.

use crate::fleet::kubernetes::{Caches, scope};
use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use crds::ArrayJob;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Between two audits.
const AUDIT: Duration = Duration::from_secs(30);
/// A watch that has failed for so long, or a cache that has been wrong for so long, is dead.
const DEAD: Duration = Duration::from_secs(150);

/// What is known of the operator's own state.
#[derive(Debug, Default)]
pub struct Health {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    watches: BTreeMap<&'static str, Watch>,
    /// Whether this operator waits for another one's lease.
    standby: bool,
    /// Since when the audit finds the cache wrong.
    wrong: Option<(Instant, String)>,
}

#[derive(Debug, Default)]
struct Watch {
    complete: bool,
    failing: Option<(Instant, String)>,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches begin: from now on each has to complete its first list.
    pub fn lead(&self) {
        let mut inner = self.lock();
        inner.standby = false;
        for name in ["arrayjobs", "pods"] {
            inner.watches.entry(name).or_default();
        }
    }

    /// Another operator leads.
    pub fn stand_by(&self) {
        self.lock().standby = true;
    }

    /// An event of a watch; `complete` says that its first list is.
    pub fn heard(&self, watch: &'static str, complete: bool) {
        let mut inner = self.lock();
        let watch = inner.watches.entry(watch).or_default();
        watch.complete |= complete;
        watch.failing = None;
    }

    /// An error of a watch, which is tried again.
    pub fn failed(&self, watch: &'static str, error: &str) {
        let mut inner = self.lock();
        let state = inner.watches.entry(watch).or_default();
        if state.failing.is_none() {
            tracing::warn!(watch, error, "a watch failed and is made anew");
        }
        state.failing.get_or_insert_with(|| (Instant::now(), error.to_owned())).1 = error.to_owned();
    }

    /// Compares the cache with fresh lists for as long as the operator lives.
    pub fn audit(self: &Arc<Self>, client: Client, namespace: Option<String>, caches: Caches) {
        let health = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(AUDIT).await;
                health.look(&client, namespace.as_deref(), &caches).await;
            }
        });
    }

    async fn look(&self, client: &Client, namespace: Option<&str>, caches: &Caches) {
        let api: Api<ArrayJob> = scope(client, namespace);
        // From the API server's own cache: cheap, and newer than what a dead watch has.
        let list = api.list_metadata(&ListParams::default().match_any()).await;
        let wrong = match list {
            Err(error) => Some(format!("the API server does not list ArrayJobs: {error}")),
            Ok(list) => {
                let cached: HashSet<String> = caches.jobs.state().iter().filter_map(|job| job.uid()).collect();
                let missing = list.items.iter().find(|job| job.uid().is_some_and(|uid| !cached.contains(&uid)));
                missing.map(|job| format!("the watch has not seen {}", job.name_any()))
            }
        };
        let mut inner = self.lock();
        inner.wrong = wrong.map(|wrong| (inner.wrong.as_ref().map_or_else(Instant::now, |(since, _)| *since), wrong));
    }

    /// Why the operator should be started again, if it should.
    pub fn dead(&self) -> Option<String> {
        let inner = self.lock();
        let failing = inner.watches.iter().find_map(|(name, watch)| {
            watch
                .failing
                .as_ref()
                .filter(|(since, _)| since.elapsed() > DEAD)
                .map(|(_, error)| format!("the watch of {name} fails: {error}"))
        });
        let wrong = inner.wrong.as_ref().filter(|(since, _)| since.elapsed() > DEAD).map(|(_, wrong)| wrong.clone());
        failing.or(wrong)
    }

    /// What is missing before the operator can do its work; an operator that stands by is ready to.
    pub fn missing(&self) -> Option<String> {
        let inner = self.lock();
        if inner.standby {
            return None;
        }
        if inner.watches.is_empty() {
            return Some("the lease is not held yet".into());
        }
        inner.watches.iter().find(|(_, watch)| !watch.complete || watch.failing.is_some()).map(|(name, watch)| match &watch.failing {
            Some((_, error)) if error.contains("404") => {
                format!("{name} cannot be watched ({error}); is the CRD installed? helm install arrayjob-crds charts/arrayjob-crds")
            }
            Some((_, error)) => format!("{name} cannot be watched: {error}"),
            None => format!("the first list of {name} is not complete"),
        })
    }
}

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    let answer = |problem: Option<String>| match problem {
        None => (StatusCode::OK, "ok".to_owned()).into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem).into_response(),
    };
    let live = move |State(health): State<Arc<Health>>| async move { answer(health.dead()) };
    let ready = move |State(health): State<Arc<Health>>| async move { answer(health.missing()) };
    let numbers = move || async move { numbers(&metrics) };
    Router::new().route("/livez", get(live)).route("/readyz", get(ready)).route("/metrics", get(numbers)).with_state(health)
}

fn numbers(metrics: &Metrics) -> Response {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_keeps_failing_is_dead_and_one_that_recovers_is_not() {
        let health = Health::default();
        assert!(health.missing().unwrap().contains("lease"));
        health.lead();
        assert!(health.missing().unwrap().contains("first list"));
        health.heard("arrayjobs", true);
        health.heard("pods", true);
        assert_eq!((health.missing(), health.dead()), (None, None));
        health.failed("pods", "no route");
        assert!(health.missing().unwrap().contains("no route"));
        assert_eq!(health.dead(), None);
        tokio::time::advance(DEAD + Duration::from_secs(1)).await;
        assert!(health.dead().unwrap().contains("watch of pods"));
        health.heard("pods", false);
        assert_eq!((health.missing(), health.dead()), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_names_the_crd() {
        let health = Health::default();
        health.lead();
        health.failed("arrayjobs", "404 page not found");
        assert!(health.missing().unwrap().contains("helm install arrayjob-crds"));
        health.stand_by();
        assert_eq!(health.missing(), None);
    }
}
