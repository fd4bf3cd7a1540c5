//! Networks, and the IPv4 addresses inside IPv6 addresses.

use super::RuleError;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// Bits before the IPv4 address in a mapped address, `::ffff:a.b.c.d`.
const MAPPED: u8 = 96;

/// A network in CIDR notation. A single address is a network of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Length of the prefix, in bits.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the network is of IPv6.
    pub const fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// Whether the network contains an address of its own family.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u64::from(own.to_bits() ^ other.to_bits()) >> (32 - self.prefix)) == 0,
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(u32::from(128 - self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether this network contains all addresses of another one.
    pub fn includes(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let invalid = || RuleError(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.parse().map_err(|_| invalid()))?;
        if prefix > longest {
            return Err(invalid());
        }
        // Connections to a mapped address use IPv4, and are checked as such.
        let (address, prefix) = match address {
            IpAddr::V6(v6) if prefix >= MAPPED => v6.to_ipv4_mapped().map_or((address, prefix), |v4| (v4.into(), prefix - MAPPED)),
            IpAddr::V4(_) | IpAddr::V6(_) => (address, prefix),
        };
        // Kubernetes refuses networks with bits after the prefix.
        let masked = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Ok(Self { address: masked, prefix })
    }
}

/// The address, and each IPv4 address that a gateway on the way may read from it:
///
/// - mapped and compatible, `::ffff:a.b.c.d` and `::a.b.c.d` ([RFC 4291, section 2.5.5](https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5)),
///   and translated, `::ffff:0:a.b.c.d` ([RFC 2765](https://www.rfc-editor.org/rfc/rfc2765)),
/// - NAT64, `64:ff9b::/96` and the networks of other sizes in `64:ff9b:1::/48` ([RFC 6052](https://www.rfc-editor.org/rfc/rfc6052#section-2.2),
///   [RFC 8215](https://www.rfc-editor.org/rfc/rfc8215)),
/// - 6to4, `2002::/16` ([RFC 3056](https://www.rfc-editor.org/rfc/rfc3056)),
/// - Teredo, `2001::/32`: its server, and its client with inverted bits ([RFC 4380](https://www.rfc-editor.org/rfc/rfc4380#section-4)),
/// - ISATAP, with the interface id `0:5efe:a.b.c.d` or `200:5efe:a.b.c.d` ([RFC 5214](https://www.rfc-editor.org/rfc/rfc5214#section-6.1)).
pub(super) fn forms(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else { return vec![address] };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return vec![v4.into()];
    }
    let bits = v6.to_bits();
    // The 32 bits that end `after` bits before the end of the address.
    let at = |after: u32| IpAddr::V4(Ipv4Addr::from_bits((bits >> after) as u32));
    let begins = |prefix: u128, length: u32| bits >> (128 - length) == prefix;
    let mut forms = vec![address];
    if begins(0, 96) || begins(0xffff_0000, 96) || begins(0x0064_ff9b << 64, 96) {
        forms.push(at(0));
    }
    if begins(0x0064_ff9b_0001, 48) {
        // The octets of an IPv4 address before and after octet 8, which is not part of the address, for prefixes of 48, 56, 64 and 96 bits.
        let octets = v6.octets();
        let candidates = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]]
            .map(|places| Ipv4Addr::from(places.map(|place: usize| octets[place])));
        // Only one of them is meant. The others may begin with the zeros of the format.
        forms.extend(candidates.into_iter().filter(|v4| v4.octets()[0] != 0).map(IpAddr::V4));
    }
    if begins(0x2002, 16) {
        forms.push(at(80));
    }
    if begins(0x2001_0000, 32) {
        forms.extend([at(64), IpAddr::V4(Ipv4Addr::from_bits(!(bits as u32)))]);
    }
    if [0x0000_5efe, 0x0200_5efe].contains(&((bits >> 32) as u32)) {
        forms.push(at(0));
    }
    forms
}
