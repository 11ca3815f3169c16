//! Sans-IO: sessions that ended while access tokens of theirs may still be about.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use millrace_core::ids::SessionId;

use super::person::ACCESS_LIFETIME_S;

/// Sessions that were revoked less than an access token's life ago. It holds no more than that, so that its size is
/// bounded by how many sessions end in a quarter of an hour.
#[derive(Debug, Default)]
pub struct Revoked(RwLock<HashMap<SessionId, i64>>);

impl Revoked {
    /// Notes that a session was revoked at `at_ms`, and forgets those whose tokens have all expired by `now_ms`.
    pub fn add(&self, session: SessionId, at_ms: i64, now_ms: i64) {
        let mut sessions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(session, at_ms);
        if sessions.len().is_power_of_two() {
            sessions.retain(|_, at| now_ms.saturating_sub(*at) <= ACCESS_LIFETIME_S * 1000);
        }
    }

    /// Whether the session was revoked.
    #[must_use]
    pub fn contains(&self, session: SessionId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_as_long_as_tokens_live_and_does_not_grow() {
        let revoked = Revoked::default();
        let id = |number| SessionId(uuid::Uuid::from_u128(number));
        revoked.add(id(1), 0, 0);
        assert!(revoked.contains(id(1)));
        for number in 2..5_000 {
            let now = i64::try_from(number).unwrap() * 1_000;
            revoked.add(id(number), now, now);
            assert!(revoked.contains(id(number)));
        }
        assert!(!revoked.contains(id(1)));
        assert!(revoked.0.read().unwrap().len() <= 2 * 2048);
    }
}
