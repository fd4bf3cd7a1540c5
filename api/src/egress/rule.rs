//! One rule: a network or a host name.

use super::RuleError;
use super::network::Network;
use core::net::IpAddr;
use std::fmt;
use std::str::FromStr;

/// A network, or a name of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// All addresses of a network.
    Network(Network),
    /// A host name in lower case, or `*.` and a domain for all names below the domain.
    Host(String),
}

impl Rule {
    /// The network of the rule.
    pub const fn network(&self) -> Option<Network> {
        match self {
            Self::Network(network) => Some(*network),
            Self::Host(_) => None,
        }
    }

    /// Whether the rule is a network with this address.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.network().is_some_and(|network| network.contains(address))
    }

    /// Whether the rule is a name of this host.
    pub(super) fn is_name(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        match self {
            Self::Network(_) => false,
            Self::Host(name) => match name.strip_prefix('*') {
                // The dot stays, so that `*.example.org` is no rule for `badexample.org`.
                Some(domain) => host.len() > domain.len() && host.ends_with(domain),
                None => host == *name,
            },
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Host(name) => f.write_str(name),
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_label = |label: &str| {
            !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        // A name whose last label is a number is an address with an error.
        let is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if name.split('.').all(is_label) && !is_number {
            Ok(Self::Host(text.to_ascii_lowercase()))
        } else {
            Err(RuleError(text.to_owned()))
        }
    }
}
