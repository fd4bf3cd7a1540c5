//! One operator at a time, by a Lease. An operator acquires a free or expired Lease, and releases its Lease at the end. Every write
//! contains the resource version of its read, so that only one of two concurrent writes succeeds. The times have the names of
//! [client-go](https://pkg.go.dev/k8s.io/client-go/tools/leaderelection).

use crate::fleet::kubernetes::names::MANAGER;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt as _};
use std::time::Duration;
use tokio::time::Instant;

/// A Lease that is not renewed for this time expires.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// A holder that cannot renew for this time stops, before another operator can acquire the Lease.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Interval of the attempts.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// The Lease, and the name of this operator.
#[derive(Clone, Debug)]
pub struct Election {
    api: Api<Lease>,
    identity: String,
}

/// One version of another operator's Lease, and the time of its first observation. Only the local clock measures the time without change,
/// because clocks of nodes differ.
#[derive(Debug)]
struct ObservedLease {
    version: Option<String>,
    since: Instant,
}

impl Election {
    /// The election among the operators of one namespace.
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self { api: Api::namespaced(client, namespace), identity }
    }

    /// Waits until this operator holds the Lease. `on_wait` is called while another operator holds it.
    pub async fn acquire(&self, on_wait: impl Fn()) {
        let mut observed: Option<ObservedLease> = None;
        loop {
            match self.attempt(&mut observed).await {
                Ok(true) => return,
                Ok(false) => on_wait(),
                Err(error) => tracing::warn!(error = api::words::chain(&error), "cannot acquire the lease; the request is retried"),
            }
            tokio::time::sleep(RETRY_PERIOD).await;
        }
    }

    /// Renews the Lease until another operator holds it, or until no renewal succeeded within the deadline.
    pub async fn renew_until_lost(&self) {
        let mut renewed = Instant::now();
        let mut observed = None;
        while renewed.elapsed() < RENEW_DEADLINE {
            tokio::time::sleep(RETRY_PERIOD).await;
            match tokio::time::timeout(RENEW_DEADLINE.saturating_sub(renewed.elapsed()), self.attempt(&mut observed)).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return,
                Ok(Err(error)) => tracing::warn!(error = api::words::chain(&error), "cannot renew the lease; the request is retried"),
                Err(_) => tracing::warn!("cannot renew the lease: the API server does not respond"),
            }
        }
    }

    /// Releases the Lease, so that the next operator does not wait for its expiry.
    pub async fn release(&self) {
        if let Ok(Some(mut lease)) = self.api.get_opt(MANAGER).await
            && self.holds(&lease)
        {
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = None;
            // A conflict means that another operator holds the Lease.
            let _ = self.api.replace(MANAGER, &PostParams::default(), &lease).await;
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) == Some(&self.identity)
    }

    /// Acquires or renews the Lease if that is possible now.
    async fn attempt(&self, observed: &mut Option<ObservedLease>) -> Result<bool, kube::Error> {
        let now = Timestamp::now();
        let Some(mut lease) = self.api.get_opt(MANAGER).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(MANAGER.into()), ..ObjectMeta::default() },
                spec: Some(self.spec(&LeaseSpec::default(), now)),
            };
            return unless_conflict(self.api.create(&PostParams::default(), &lease).await);
        };
        let before = lease.spec.clone().unwrap_or_default();
        if !self.holds(&lease) && before.holder_identity.is_some() {
            let version = lease.resource_version();
            let known = observed.as_ref().filter(|observed| observed.version == version);
            let since = known.map_or_else(Instant::now, |observed| observed.since);
            *observed = Some(ObservedLease { version, since });
            // A renewal time far in the past shows the expiry at the first observation despite differences of clocks.
            let expired_by_its_clock = before
                .renew_time
                .as_ref()
                .is_some_and(|at| now.duration_since(at.0) > SignedDuration::from_secs(4 * LEASE_DURATION.as_secs() as i64));
            if since.elapsed() < LEASE_DURATION && !expired_by_its_clock {
                return Ok(false);
            }
        }
        lease.spec = Some(self.spec(&before, now));
        unless_conflict(self.api.replace(MANAGER, &PostParams::default(), &lease).await)
    }

    fn spec(&self, before: &LeaseSpec, now: Timestamp) -> LeaseSpec {
        let own = before.holder_identity.as_deref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(LEASE_DURATION.as_secs() as i32),
            acquire_time: if own { before.acquire_time.clone() } else { Some(MicroTime(now)) },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!own)),
            ..LeaseSpec::default()
        }
    }
}

/// A conflict means that another operator was faster.
fn unless_conflict(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
