//! Applies the [`EgressPolicy`] of a cluster to connections: to the host of each URL and of each redirect, and to each resolved address. The
//! checked address is the address of the connection, so a name that resolves differently the next time changes nothing.

mod connector;
mod resolver;

pub use connector::Connector;

use api::egress::{Blocked, EgressPolicy};
use api::words::causes;
use reqwest::ClientBuilder;
use resolver::Resolver;
use std::error::Error;
use std::sync::Arc;
use url::Url;

/// A client whose connections obey the policy. Without a policy, as on one machine, every address is reachable. The client still needs
/// [`check`] for the URL of each request and of each redirect: the HTTP library does not resolve addresses.
pub fn restrict(client: ClientBuilder, policy: Option<&Arc<EgressPolicy>>) -> ClientBuilder {
    match policy {
        Some(policy) => client.dns_resolver(Arc::new(Resolver::new(Arc::clone(policy)))),
        None => client,
    }
}

/// Checks the host of a URL.
///
/// # Errors
/// When the policy closes the host.
pub fn check(url: &Url, policy: Option<&Arc<EgressPolicy>>) -> Result<(), Blocked> {
    match (policy, url.host_str()) {
        (Some(policy), Some(host)) => policy.check_host(host),
        (None, _) | (_, None) => Ok(()),
    }
}

/// The blocked destination among the causes of an error.
pub fn blocked(error: &(dyn Error + 'static)) -> Option<Blocked> {
    causes(error).find_map(|cause| cause.downcast_ref::<Blocked>()).cloned()
}

#[cfg(test)]
mod tests;
