//! Liveness and readiness of the operator. An operator whose watches have failed runs on without effect; `/livez` therefore reports the
//! watches. A watch is dead if its errors last, or if an audit finds that its cache differs from a new list.

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

/// Interval of the audits.
const AUDIT_INTERVAL: Duration = Duration::from_secs(30);
/// A failing watch or a stale cache makes the operator not alive after this time.
const LIVENESS_TIMEOUT: Duration = Duration::from_secs(150);

/// The state of the operator's watches.
#[derive(Debug, Default)]
pub struct Health {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    watches: BTreeMap<&'static str, Watch>,
    /// Whether another operator holds the lease.
    standby: bool,
    /// Since when the cache is stale, and the difference.
    stale: Option<(Instant, String)>,
}

#[derive(Debug, Default)]
struct Watch {
    /// Whether the first list is complete.
    complete: bool,
    /// Since when the watch fails, and the last error.
    failing: Option<(Instant, String)>,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This operator leads: the watches start, and each must complete its first list.
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

    /// Records an event of a watch. `complete`: the first list is complete.
    pub fn record_event(&self, watch: &'static str, complete: bool) {
        let mut inner = self.lock();
        let watch = inner.watches.entry(watch).or_default();
        watch.complete |= complete;
        watch.failing = None;
    }

    /// Records an error of a watch. The watch restarts.
    pub fn record_error(&self, watch: &'static str, error: &str) {
        let mut inner = self.lock();
        let state = inner.watches.entry(watch).or_default();
        if state.failing.is_none() {
            tracing::warn!(watch, error, "a watch failed and restarts");
        }
        state.failing.get_or_insert_with(|| (Instant::now(), error.to_owned())).1 = error.to_owned();
    }

    /// Compares the cache with a new list every 30 s, in a task of its own.
    pub fn audit(self: &Arc<Self>, client: Client, namespace: Option<String>, caches: Caches) {
        let health = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(AUDIT_INTERVAL).await;
                health.compare_cache(&client, namespace.as_deref(), &caches).await;
            }
        });
    }

    async fn compare_cache(&self, client: &Client, namespace: Option<&str>, caches: &Caches) {
        let api: Api<ArrayJob> = scope(client, namespace);
        // The API server lists from its own cache: the request is cheap, and newer than a failed watch.
        let list = api.list_metadata(&ListParams::default().match_any()).await;
        let stale = match list {
            Err(error) => Some(format!("cannot list ArrayJobs: {error}")),
            Ok(list) => {
                let cached: HashSet<String> = caches.jobs.state().iter().filter_map(|job| job.uid()).collect();
                let missing = list.items.iter().find(|job| job.uid().is_some_and(|uid| !cached.contains(&uid)));
                missing.map(|job| format!("the watch does not show {}", job.name_any()))
            }
        };
        let mut inner = self.lock();
        inner.stale = stale.map(|stale| (inner.stale.as_ref().map_or_else(Instant::now, |(since, _)| *since), stale));
    }

    /// Why Kubernetes should restart the operator; `None` if the operator is alive.
    pub fn liveness_problem(&self) -> Option<String> {
        let inner = self.lock();
        let failing = inner.watches.iter().find_map(|(name, watch)| {
            watch
                .failing
                .as_ref()
                .filter(|(since, _)| since.elapsed() > LIVENESS_TIMEOUT)
                .map(|(_, error)| format!("the watch of {name} fails: {error}"))
        });
        let stale = inner.stale.as_ref().filter(|(since, _)| since.elapsed() > LIVENESS_TIMEOUT).map(|(_, stale)| stale.clone());
        failing.or(stale)
    }

    /// Why the operator is not ready; `None` if it is ready. An operator that waits for the lease is ready.
    pub fn readiness_problem(&self) -> Option<String> {
        let inner = self.lock();
        if inner.standby {
            return None;
        }
        if inner.watches.is_empty() {
            return Some("the lease is not held yet".into());
        }
        inner.watches.iter().find(|(_, watch)| !watch.complete || watch.failing.is_some()).map(|(name, watch)| match &watch.failing {
            Some((_, error)) if error.contains("404") => {
                format!("cannot watch {name} ({error}); install the CRD: helm install arrayjob-crds charts/arrayjob-crds")
            }
            Some((_, error)) => format!("cannot watch {name}: {error}"),
            None => format!("the first list of {name} is not complete"),
        })
    }
}

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    let response = |problem: Option<String>| match problem {
        None => (StatusCode::OK, "ok".to_owned()).into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem).into_response(),
    };
    let live = move |State(health): State<Arc<Health>>| async move { response(health.liveness_problem()) };
    let ready = move |State(health): State<Arc<Health>>| async move { response(health.readiness_problem()) };
    let metrics = move || async move { metrics_response(&metrics) };
    Router::new().route("/livez", get(live)).route("/readyz", get(ready)).route("/metrics", get(metrics)).with_state(health)
}

fn metrics_response(metrics: &Metrics) -> Response {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_keeps_failing_fails_liveness_and_a_recovered_watch_does_not() {
        let health = Health::default();
        assert!(health.readiness_problem().unwrap().contains("lease"));
        health.lead();
        assert!(health.readiness_problem().unwrap().contains("first list"));
        health.record_event("arrayjobs", true);
        health.record_event("pods", true);
        assert_eq!((health.readiness_problem(), health.liveness_problem()), (None, None));
        health.record_error("pods", "no route");
        assert!(health.readiness_problem().unwrap().contains("no route"));
        assert_eq!(health.liveness_problem(), None);
        tokio::time::advance(LIVENESS_TIMEOUT + Duration::from_secs(1)).await;
        assert!(health.liveness_problem().unwrap().contains("watch of pods"));
        health.record_event("pods", false);
        assert_eq!((health.readiness_problem(), health.liveness_problem()), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_without_the_crd_names_the_chart() {
        let health = Health::default();
        health.lead();
        health.record_error("arrayjobs", "404 page not found");
        assert!(health.readiness_problem().unwrap().contains("helm install arrayjob-crds"));
        health.stand_by();
        assert_eq!(health.readiness_problem(), None);
    }
}
