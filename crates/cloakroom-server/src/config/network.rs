//! Networks: an address with a prefix length, as proxies are trusted by. One address has one form: an IPv4 address that
//! came mapped into IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Serialize, Serializer};
use thiserror::Error;

/// All addresses that begin with the same bits.
///
/// ```
/// use cloakroom_server::config::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse()?));
/// assert!(network.contains("::ffff:10.1.2.3".parse()?));
/// assert!(!network.contains("11.0.0.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                masked(address.to_canonical(), self.prefix) == self.address
            }
            _ => false,
        }
    }

    /// How many bits its addresses share.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }
}

/// Why a text is no network.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Neither an address nor an address and a prefix length.
    #[error("write an address, as 192.0.2.1, or a network, as 10.0.0.0/8 or fd00::/8")]
    Syntax,
    /// Bits are set behind the prefix, so that what was meant is not clear.
    #[error("it has bits behind its prefix; write {0}, or the address alone")]
    HostBits(Network),
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let written: IpAddr = address.parse().map_err(|_| NetworkError::Syntax)?;
        let address = written.to_canonical();
        let full = bits(address);
        let prefix = match prefix {
            None => full,
            Some(digits) => {
                let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let length: u8 = plain.then(|| digits.parse().ok()).flatten().ok_or(NetworkError::Syntax)?;
                // Folding a mapped address takes the 96 bits before it away.
                let folded = length.checked_sub(bits(written) - full).ok_or(NetworkError::Syntax)?;
                if folded > full {
                    return Err(NetworkError::Syntax);
                }
                folded
            }
        };
        let network = Self { address: masked(address, prefix), prefix };
        if network.address == address { Ok(network) } else { Err(NetworkError::HostBits(network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == bits(self.address) {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(a) => IpAddr::V4((a.to_bits() & !u32::MAX.checked_shr(prefix).unwrap_or(0)).into()),
        IpAddr::V6(a) => IpAddr::V6((a.to_bits() & !u128::MAX.checked_shr(prefix).unwrap_or(0)).into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_are_read_folded_and_written_back() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("::1", "::1"),
            ("fd00::/8", "fd00::/8"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "::/129",
            "::ffff:0.0.0.0/95",
            "a.example",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Syntax), "{text}");
        }
        let error = "10.1.0.0/8".parse::<Network>().unwrap_err();
        assert_eq!(error.to_string(), "it has bits behind its prefix; write 10.0.0.0/8, or the address alone");
    }

    proptest! {
        #[test]
        fn an_address_lies_in_each_of_its_networks_mapped_or_not(bits: u32, prefix in 0_u8..=32, other: u32) {
            let address = std::net::Ipv4Addr::from_bits(bits);
            let network = Network { address: masked(address.into(), prefix), prefix };
            prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
            prop_assert!(network.contains(address.into()));
            prop_assert!(network.contains(address.to_ipv6_mapped().into()));
            let shared = (bits ^ other).leading_zeros() >= u32::from(prefix);
            prop_assert_eq!(network.contains(std::net::Ipv4Addr::from_bits(other).into()), shared);
        }
    }
}
