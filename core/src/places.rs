//! Sans-IO: how many connections an address, and everybody together, may hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// The address holds enough.
    #[error("address has {limit} connections")]
    Address {
        /// How many it may hold.
        limit: usize,
    },
    /// Everybody together does.
    #[error("server has {limit} connections")]
    Server {
        /// How many they may hold.
        limit: usize,
    },
}

impl NoPlace {
    /// As metrics name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Address { .. } => "address_limit",
            Self::Server { .. } => "connection_limit",
        }
    }
}

#[derive(Debug, Default)]
struct Taken {
    per_address: HashMap<IpAddr, usize>,
    total: usize,
}

/// Hands out places; 0 is no limit.
#[derive(Debug, Clone)]
pub struct Places {
    taken: Arc<Mutex<Taken>>,
    per_address: usize,
    total: usize,
}

/// One connection's place; gives itself back.
#[derive(Debug)]
pub struct Place {
    places: Places,
    /// Until the connection publishes.
    address: Option<IpAddr>,
}

/// What stands for an address where addresses are counted: all of IPv4, the /64 of IPv6, because one subscriber has as many
/// (RFC 6177 §2).
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

impl Places {
    /// So many for one address, and so many in all.
    #[must_use]
    pub fn new(per_address: usize, total: usize) -> Self {
        Self { taken: Arc::default(), per_address, total }
    }

    /// A place for a peer.
    ///
    /// # Errors
    /// [`NoPlace`]
    pub fn take(&self, address: IpAddr) -> Result<Place, NoPlace> {
        let address = subscriber(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.total > 0 && taken.total >= self.total {
            return Err(NoPlace::Server { limit: self.total });
        }
        let held = taken.per_address.get(&address).copied().unwrap_or(0);
        if self.per_address > 0 && held >= self.per_address {
            return Err(NoPlace::Address { limit: self.per_address });
        }
        taken.total += 1;
        *taken.per_address.entry(address).or_default() += 1;
        Ok(Place { places: self.clone(), address: Some(address) })
    }
}

impl Place {
    /// The connection publishes: it counts no more against its address.
    pub fn give_up(&mut self) {
        let Some(address) = self.address.take() else { return };
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = taken.per_address.get_mut(&address) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                taken.per_address.remove(&address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_up();
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total = taken.total.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_places_and_gives_them_back() {
        let places = Places::new(2, 0);
        let mut first = places.take(at("10.0.0.1")).unwrap();
        let second = places.take(at("::ffff:10.0.0.1")).unwrap();
        assert_eq!(places.take(at("10.0.0.1")).unwrap_err(), NoPlace::Address { limit: 2 });
        assert!(places.take(at("10.0.0.2")).is_ok());
        first.give_up();
        drop(places.take(at("10.0.0.1")).unwrap());
        drop(second);
        drop(first);
        let taken = places.taken.lock().unwrap();
        assert!(taken.per_address.is_empty() && taken.total == 0);
    }

    #[test]
    fn a_subscriber_of_ipv6_is_a_64_and_zero_is_no_limit() {
        let places = Places::new(1, 0);
        let _held = places.take(at("2001:db8:1:2::1")).unwrap();
        assert!(places.take(at("2001:db8:1:2:ffff::2")).is_err());
        assert!(places.take(at("2001:db8:1:3::1")).is_ok());
        let unlimited = Places::new(0, 3);
        let held: Vec<_> = (0..3).map(|_| unlimited.take(at("10.0.0.1")).unwrap()).collect();
        assert_eq!(unlimited.take(at("10.0.0.1")).unwrap_err(), NoPlace::Server { limit: 3 });
        drop(held);
        assert!(unlimited.take(at("10.0.0.1")).is_ok());
    }
}
