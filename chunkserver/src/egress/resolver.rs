//! Resolves names to permitted addresses.

use api::egress::{Blocked, EgressPolicy, HostCheck};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A resolver that omits closed addresses.
pub(super) struct Resolver {
    policy: Arc<EgressPolicy>,
    names: Names,
}

impl Resolver {
    pub(super) fn new(policy: Arc<EgressPolicy>) -> Self {
        Self { policy, names: Names::default() }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, names) = (Arc::clone(&self.policy), self.names.clone());
        Box::pin(async move {
            let name = name.as_str();
            let check = policy.check_name(name)?;
            let found = names.addresses(name).await?;
            Ok(Box::new(permitted(&policy, name, check, found)?.into_iter()) as Addrs)
        })
    }
}

/// The permitted addresses of a name.
///
/// # Errors
/// When all addresses are closed.
pub(super) fn permitted(policy: &EgressPolicy, name: &str, check: HostCheck, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Blocked> {
    if check == HostCheck::Open {
        return Ok(found);
    }
    let (mut open, mut closed) = (Vec::new(), None);
    for address in found {
        match policy.check_address(address.ip()) {
            Ok(()) => open.push(address),
            Err(blocked) => closed = closed.or(Some(blocked)),
        }
    }
    match closed {
        Some(Blocked { destination, cause }) if open.is_empty() => Err(Blocked { destination: format!("{name} ({destination})"), cause }),
        _ => Ok(open),
    }
}

/// The resolver of the system.
#[cfg(not(feature = "static-dns"))]
#[derive(Clone, Default)]
struct Names(());

#[cfg(not(feature = "static-dns"))]
impl Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// A resolver in Rust, created at the first name.
#[cfg(feature = "static-dns")]
#[derive(Clone, Default)]
struct Names(Arc<tokio::sync::OnceCell<hickory_resolver::TokioResolver>>);

#[cfg(feature = "static-dns")]
impl Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let resolver = self.0.get_or_try_init(async || {
            let mut builder = hickory_resolver::TokioResolver::builder_tokio()?;
            builder.options_mut().ip_strategy = hickory_resolver::config::LookupIpStrategy::Ipv6AndIpv4;
            builder.build()
        });
        let resolver = resolver.await.map_err(io::Error::other)?;
        let found = resolver.lookup_ip(name).await.map_err(io::Error::other)?;
        Ok(found.iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}
