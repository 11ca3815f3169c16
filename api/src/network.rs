//! Sans-IO: networks of addresses, as settings name them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An address, or all addresses with the same beginning: `192.0.2.7`, `10.0.0.0/8`, `fd00::/8` (RFC 4632 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// Why a text is no network. `Display` is for the owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor a network.
    #[error("{0:?} is neither an address nor a network; write it as 192.0.2.7, 10.0.0.0/8 or fd00::/8")]
    Unreadable(String),
    /// An address inside of a network, with the network's length: what was meant is a guess.
    #[error("{text:?} says more than the first {length} bits; write {network}")]
    TooLong {
        /// What was written.
        text: String,
        /// Bits that count.
        length: u8,
        /// The network around it.
        network: IpNet,
    },
}

impl Network {
    /// Whether `address` is in it. An IPv4 address that an IPv6 socket saw (RFC 4291 §2.5.5.2) is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(address.into())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let trimmed = text.trim();
        if let Ok(address) = trimmed.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network: IpNet = trimmed.parse().map_err(|_| NetworkError::Unreadable(text.to_owned()))?;
        if network.addr() != network.network() {
            let (length, network) = (network.prefix_len(), network.trunc());
            return Err(NetworkError::TooLong { text: text.to_owned(), length, network });
        }
        Ok(Self(network))
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_and_written_alike() {
        for text in ["192.0.2.7", "10.0.0.0/8", "0.0.0.0/0", "fd00::/8", "::1"] {
            let network: Network = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(network).unwrap(), text);
        }
        assert_eq!(Network::from_str(" 192.0.2.7/32 ").unwrap().to_string(), "192.0.2.7");
        for (text, said) in [
            ("10.0.0.1/8", "write 10.0.0.0/8"),
            ("fd00::1/8", "write fd00::/8"),
            ("10.0.0.0/33", "neither"),
            ("proxy", "neither an address nor a network"),
            ("", "neither"),
        ] {
            let error = Network::from_str(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_has_what_begins_like_it() {
        let network: Network = "10.20.0.0/16".parse().unwrap();
        for (address, inside) in
            [("10.20.255.1", true), ("10.21.0.1", false), ("::ffff:10.20.0.1", true), ("::10.20.0.1", false)]
        {
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{address}");
        }
    }
}
