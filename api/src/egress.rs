//! The addresses and hosts that jobs on a cluster may reach: rules of the installation, in addition to the networks that are always closed.

mod network;
mod rule;

pub use network::Network;
pub use rule::Rule;

use core::net::IpAddr;
use network::forms;
use std::fmt;
use thiserror::Error;

/// Networks that no job reaches, unless the installation permits them, with the name of each.
///
/// Loopback, unspecified and link-local addresses are those of [RFC 6890](https://www.rfc-editor.org/rfc/rfc6890). The other addresses belong
/// to metadata services of clouds, which hand out the keys of the machine:
/// [AWS](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html),
/// [Google Cloud](https://cloud.google.com/compute/docs/metadata/querying-metadata),
/// [Alibaba Cloud](https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata) and
/// [Azure](https://learn.microsoft.com/en-us/azure/virtual-network/what-is-ip-address-168-63-129-16).
const CLOSED: [(&str, &str); 10] = [
    ("127.0.0.0/8", "loopback"),
    ("::1/128", "loopback"),
    ("0.0.0.0/8", "unspecified"),
    ("::/128", "unspecified"),
    ("169.254.0.0/16", "link-local"),
    ("fe80::/10", "link-local"),
    ("100.100.100.200/32", "metadata"),
    ("168.63.129.16/32", "metadata"),
    ("fd00:ec2::254/128", "metadata"),
    ("fd20:ce::254/128", "metadata"),
];

/// What jobs may reach. `allow` takes precedence over `deny`, and both over the networks that are always closed. Everything else is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Networks and hosts that are closed in addition.
    pub deny: Vec<Rule>,
    /// Networks and hosts that are open although another rule closes them.
    pub allow: Vec<Rule>,
}

/// A text that is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' is not a network or a host name; examples: 10.0.0.0/8, fd00::/8, 192.0.2.7, images.example.org, *.example.org")]
pub struct RuleError(String);

/// A destination that a job may not reach.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{destination} is not permitted: {cause}")]
pub struct Blocked {
    /// The host or address; for a host that resolves to a closed address, both.
    pub destination: String,
    /// The rule.
    pub cause: BlockedBy,
}

/// The rule that closes a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockedBy {
    /// One of the networks that are always closed: its name.
    Kind(&'static str),
    /// A rule of the installation.
    Rule(Rule),
}

impl fmt::Display for BlockedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "{kind} addresses are closed to jobs on this cluster (value servers.egress of the chart)"),
            Self::Rule(rule) => write!(f, "this cluster closes {rule} to jobs (value servers.egress.deny of the chart)"),
        }
    }
}

/// The decision about a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCheck {
    /// The name is permitted with every address.
    Open,
    /// The addresses of the name decide.
    ByAddress,
}

impl EgressPolicy {
    /// Checks a host name before it is resolved.
    ///
    /// # Errors
    /// When a rule closes the name.
    pub fn check_name(&self, name: &str) -> Result<HostCheck, Blocked> {
        if self.allow.iter().any(|rule| rule.is_name(name)) {
            return Ok(HostCheck::Open);
        }
        match self.deny.iter().find(|rule| rule.is_name(name)) {
            Some(rule) => Err(Blocked { destination: name.to_owned(), cause: BlockedBy::Rule(rule.clone()) }),
            None => Ok(HostCheck::ByAddress),
        }
    }

    /// Checks an address, and each IPv4 address that an IPv6 address contains.
    ///
    /// # Errors
    /// When a rule closes the address.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Blocked> {
        let blocked = |cause| Blocked { destination: address.to_string(), cause };
        for form in forms(address) {
            if self.allow.iter().any(|rule| rule.has(form)) {
                continue;
            }
            if let Some(rule) = self.deny.iter().find(|rule| rule.has(form)) {
                return Err(blocked(BlockedBy::Rule(rule.clone())));
            }
            if let Some((_, kind)) = closed().find(|(network, _)| network.contains(form)) {
                return Err(blocked(BlockedBy::Kind(kind)));
            }
        }
        Ok(())
    }

    /// Checks the host of a URL: an address is checked, a name only by its name. IPv6 addresses may have brackets.
    ///
    /// # Errors
    /// When a rule closes the host.
    pub fn check_host(&self, host: &str) -> Result<(), Blocked> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match bare.parse() {
            Ok(address) => self.check_address(address),
            Err(_) => self.check_name(host).map(|_| ()),
        }
    }

    /// The closed networks of one family, for a NetworkPolicy. Without the installation's own rules if hosts are allowed by name, because
    /// a NetworkPolicy has no names.
    pub fn closed_networks(&self, ipv6: bool) -> Vec<Network> {
        let by_name = self.allow.iter().any(|rule| matches!(rule, Rule::Host(_)));
        let denied = self.deny.iter().filter_map(Rule::network).filter(|_| !by_name);
        let mut networks: Vec<Network> =
            denied.chain(closed().map(|(network, _)| network)).filter(|network| network.is_ipv6() == ipv6).collect();
        networks.sort_by_key(Network::prefix);
        let mut kept: Vec<Network> = Vec::new();
        for network in networks {
            if !kept.iter().any(|wider| wider.includes(&network)) {
                kept.push(network);
            }
        }
        kept
    }

    /// Networks that the installation opens.
    pub fn open_networks(&self) -> impl Iterator<Item = Network> {
        self.allow.iter().filter_map(Rule::network)
    }

    /// Whether the installation closes networks.
    pub fn denies_networks(&self) -> bool {
        self.deny.iter().any(|rule| rule.network().is_some())
    }
}

/// The networks that are always closed.
fn closed() -> impl Iterator<Item = (Network, &'static str)> {
    CLOSED.iter().filter_map(|(network, kind)| Some((network.parse().ok()?, *kind)))
}

#[cfg(test)]
mod tests;
