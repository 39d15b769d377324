//! What counts as one place on the network.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Where a request comes from, as far as limits and familiar places go: one IPv4 address, or the /64 of an IPv6 one, since
/// a single line has a whole /64 at least.
///
/// An IPv4 address that is written as an IPv6 one, mapped (RFC 4291 section 2.5.5.2) or translated (RFC 6052, the
/// well-known prefix), is that IPv4 address.
///
/// ```
/// use std::net::IpAddr;
/// use cloakroom_core::credential::Network;
///
/// let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
/// assert_eq!(network("::ffff:203.0.113.7"), network("203.0.113.7"));
/// assert_eq!(network("2001:db8:1:2:3:4:5:6").to_string(), "2001:db8:1:2::/64");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(Prefix);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Prefix {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Network {
    /// The network in a form for keys: no two have the same bytes.
    pub(super) fn key(self) -> [u8; 9] {
        let mut key = [0; 9];
        match self.0 {
            Prefix::V4(address) => {
                key[0] = 4;
                key[1..5].copy_from_slice(&address.octets());
            }
            Prefix::V6(prefix) => {
                key[0] = 6;
                for (place, part) in key[1..].chunks_exact_mut(2).zip(prefix) {
                    place.copy_from_slice(&part.to_be_bytes());
                }
            }
        }
        key
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = match address {
            IpAddr::V4(address) => return Self(Prefix::V4(address)),
            IpAddr::V6(address) => address,
        };
        match address.segments() {
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                Self(Prefix::V4(Ipv4Addr::new(a, b, c, d)))
            }
            [a, b, c, d, ..] => Self(Prefix::V6([a, b, c, d])),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Prefix::V4(address) => address.fmt(f),
            Prefix::V6(prefix) => {
                let mut segments = [0; 8];
                segments[..4].copy_from_slice(&prefix);
                write!(f, "{}/64", Ipv6Addr::from(segments))
            }
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn network(text: &str) -> Network {
        Network::from(text.parse::<IpAddr>().unwrap())
    }

    /// F117: ten thousand addresses of one /64 are one network, and spellings of one IPv4 address are one.
    #[test]
    fn one_line_is_one_network() {
        let of_one_64 = (0..10_000u128).map(|n| Ipv6Addr::from((0x2001_0db8_0001_0002 << 64) | (n * 0x1234_5678_9abc)));
        assert_eq!(of_one_64.map(|address| Network::from(IpAddr::V6(address))).collect::<HashSet<_>>().len(), 1);
        for spelling in ["::ffff:203.0.113.7", "64:ff9b::203.0.113.7", "::ffff:cb00:7107"] {
            assert_eq!(network(spelling), network("203.0.113.7"));
        }
    }

    #[test]
    fn neighbours_are_different_networks() {
        let texts = [
            "203.0.113.7",
            "203.0.113.8",
            "2001:db8:1:2::1",
            "2001:db8:1:3::1",
            "::1",
            "64:ff9b:1::203.0.113.7",
            "::ffff:0:203.0.113.7",
        ];
        let keys: HashSet<_> = texts.iter().map(|text| network(text).key()).collect();
        // Of the last, which is neither mapped nor translated, only the first 64 bits count, as of `::1`.
        assert_eq!(keys.len(), texts.len() - 1);
    }
}
