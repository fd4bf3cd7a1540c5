//! One operator at a time: a Lease, taken when its holder has not renewed it, and given back at the end. Every write names
//! the version it follows, so that of two takers one loses.

use crate::fleet::kubernetes::names::MANAGER;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt as _};
use std::time::Duration;
use tokio::time::Instant;

/// A holder that has not renewed for so long is gone.
const LASTS: Duration = Duration::from_secs(15);
/// A holder that cannot renew stops working before others may begin.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// The lease, and who we are.
#[derive(Clone, Debug)]
pub struct Election {
    api: Api<Lease>,
    identity: String,
}

/// Another's lease as it was first seen: its own clock is not trusted, ours says how long it has not changed.
#[derive(Debug)]
struct Sight {
    version: Option<String>,
    since: Instant,
}

impl Election {
    /// The election of the operators of one namespace.
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self { api: Api::namespaced(client, namespace), identity }
    }

    /// Waits until this operator leads. `waits` is called while another one does.
    pub async fn win(&self, waits: impl Fn()) {
        let mut sight: Option<Sight> = None;
        loop {
            match self.attempt(&mut sight).await {
                Ok(true) => return,
                Ok(false) => waits(),
                Err(error) => tracing::warn!(error = api::words::chain(&error), "the lease cannot be had; tried again"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Renews for as long as it can; done when the lease is another's, or could not be renewed in time.
    pub async fn hold(&self) {
        let mut renewed = Instant::now();
        let mut sight = None;
        while renewed.elapsed() < GIVE_UP {
            tokio::time::sleep(EVERY).await;
            match tokio::time::timeout(GIVE_UP.saturating_sub(renewed.elapsed()), self.attempt(&mut sight)).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return,
                Ok(Err(error)) => tracing::warn!(error = api::words::chain(&error), "the lease cannot be renewed; tried again"),
                Err(_) => tracing::warn!("the API server does not answer; the lease cannot be renewed"),
            }
        }
    }

    /// Gives the lease back, so that the next operator need not wait.
    pub async fn resign(&self) {
        if let Ok(Some(mut lease)) = self.api.get_opt(MANAGER).await
            && self.holds(&lease)
        {
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = None;
            // Whoever wrote meanwhile has taken it already.
            let _ = self.api.replace(MANAGER, &PostParams::default(), &lease).await;
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) == Some(&self.identity)
    }

    /// Takes or renews the lease if that is possible now.
    async fn attempt(&self, sight: &mut Option<Sight>) -> Result<bool, kube::Error> {
        let now = Timestamp::now();
        let Some(mut lease) = self.api.get_opt(MANAGER).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(MANAGER.into()), ..ObjectMeta::default() },
                spec: Some(self.spec(&LeaseSpec::default(), now)),
            };
            return lost_race(self.api.create(&PostParams::default(), &lease).await);
        };
        let before = lease.spec.clone().unwrap_or_default();
        if !self.holds(&lease) && before.holder_identity.is_some() {
            let version = lease.resource_version();
            let known = sight.as_ref().filter(|sight| sight.version == version);
            let since = known.map_or_else(Instant::now, |sight| sight.since);
            *sight = Some(Sight { version, since });
            // Long unrenewed by its holder's clock as well as ours needs no second look.
            let by_its_clock = before
                .renew_time
                .as_ref()
                .is_some_and(|at| now.duration_since(at.0) > SignedDuration::from_secs(4 * LASTS.as_secs() as i64));
            if since.elapsed() < LASTS && !by_its_clock {
                return Ok(false);
            }
        }
        lease.spec = Some(self.spec(&before, now));
        lost_race(self.api.replace(MANAGER, &PostParams::default(), &lease).await)
    }

    fn spec(&self, before: &LeaseSpec, now: Timestamp) -> LeaseSpec {
        let ours = before.holder_identity.as_deref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(LASTS.as_secs() as i32),
            acquire_time: if ours { before.acquire_time.clone() } else { Some(MicroTime(now)) },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!ours)),
            ..LeaseSpec::default()
        }
    }
}

/// A conflict says that another one was faster.
fn lost_race(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
