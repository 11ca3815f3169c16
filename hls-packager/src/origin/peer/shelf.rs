//! Answers of other nodes that are kept a while, within a number of bytes. Sans-IO.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What keeping one costs beside its bytes, about.
const OVERHEAD_BYTES: u64 = 512;

/// Things that are good until a moment. What would be thrown away soonest makes room for what comes.
#[derive(Debug)]
pub(super) struct Shelf<K, V> {
    things: HashMap<K, Thing<V>>,
    /// The soonest first; the number tells those of one moment apart.
    by_end: BTreeMap<(Instant, u64), K>,
    bytes: u64,
    capacity_bytes: u64,
    next: u64,
}

#[derive(Debug)]
struct Thing<V> {
    value: V,
    bytes: u64,
    end: (Instant, u64),
}

impl<K: Hash + Eq + Clone, V> Shelf<K, V> {
    /// Nothing is kept yet.
    #[must_use]
    pub(super) fn new(capacity_bytes: u64) -> Self {
        Self { things: HashMap::new(), by_end: BTreeMap::new(), bytes: 0, capacity_bytes, next: 0 }
    }

    /// What is kept under `key` and still good.
    #[must_use]
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, now: Instant, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.things.get(key).filter(|thing| thing.end.0 > now).map(|thing| &thing.value)
    }

    /// Keeps `value` of `bytes` for `time`, in the place of what was kept under `key`. What is larger than the shelf is
    /// not kept.
    pub(super) fn put(&mut self, now: Instant, key: K, value: V, bytes: u64, time: Duration) {
        self.expire(now);
        self.remove(&key);
        let bytes = bytes.saturating_add(OVERHEAD_BYTES);
        if time.is_zero() || bytes > self.capacity_bytes {
            return;
        }
        while self.bytes > self.capacity_bytes - bytes {
            let Some((_, soonest)) = self.by_end.pop_first() else { break };
            self.remove(&soonest);
        }
        let end = (now + time, self.next);
        self.next += 1;
        self.bytes += bytes;
        self.by_end.insert(end, key.clone());
        self.things.insert(key, Thing { value, bytes, end });
    }

    /// Throws away what is good no more.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(soonest) = self.by_end.first_entry().filter(|soonest| soonest.key().0 <= now) {
            let key = soonest.remove();
            self.remove(&key);
        }
    }

    /// When there is something to throw away.
    #[must_use]
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.by_end.keys().next().map(|end| end.0)
    }

    /// Throws away what is kept under `key`.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(thing) = self.things.remove(key) {
            self.bytes -= thing.bytes;
            self.by_end.remove(&thing.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "some moment to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn what_is_kept_is_good_until_its_end_and_then_gone() {
        let now = start();
        let mut shelf = Shelf::new(10_000);
        shelf.put(now, "a", 1, 100, 2 * SECOND);
        shelf.put(now, "b", 2, 100, SECOND);
        assert_eq!((shelf.get(now, "a"), shelf.get(now, "c")), (Some(&1), None));
        assert_eq!(shelf.get(now + SECOND, "b"), None);
        assert_eq!(shelf.next_end(), Some(now + SECOND));
        shelf.expire(now + SECOND);
        assert_eq!((shelf.bytes, shelf.next_end()), (100 + OVERHEAD_BYTES, Some(now + 2 * SECOND)));
        shelf.expire(now + 2 * SECOND);
        assert_eq!((shelf.bytes, shelf.next_end(), shelf.things.len()), (0, None, 0));
    }

    #[test]
    fn the_soonest_end_makes_room_and_nothing_is_kept_that_does_not_fit() {
        let now = start();
        let mut shelf = Shelf::new(2 * (OVERHEAD_BYTES + 10));
        shelf.put(now, "soon", 1, 10, SECOND);
        shelf.put(now, "late", 2, 10, 3 * SECOND);
        shelf.put(now, "new", 3, 10, 2 * SECOND);
        assert_eq!(["soon", "late", "new"].map(|key| shelf.get(now, key).copied()), [None, Some(2), Some(3)]);
        shelf.put(now, "late", 4, 10, SECOND);
        assert_eq!((shelf.get(now, "late"), shelf.things.len()), (Some(&4), 2), "one in its own place");
        shelf.put(now, "large", 5, 2 * OVERHEAD_BYTES, SECOND);
        shelf.put(now, "never", 6, 10, Duration::ZERO);
        assert_eq!((shelf.get(now, "large"), shelf.get(now, "never"), shelf.things.len()), (None, None, 2));
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_it_may_and_counts_right(
            puts in proptest::collection::vec((0_u64..4, 0_u8..12, 0_u64..900, 0_u64..5), 1..200),
        ) {
            let mut now = start();
            let mut shelf = Shelf::new(4_000);
            for (pass, key, bytes, seconds) in puts {
                now += Duration::from_millis(pass * 400);
                shelf.put(now, key, (), bytes, seconds as u32 * SECOND);
                prop_assert!(shelf.bytes <= 4_000);
                prop_assert_eq!(shelf.bytes, shelf.things.values().map(|thing| thing.bytes).sum::<u64>());
                prop_assert_eq!(shelf.things.len(), shelf.by_end.len());
                prop_assert!(shelf.next_end().is_none_or(|end| end > now));
                prop_assert_eq!(shelf.get(now, &key).is_some(), seconds > 0);
            }
        }
    }
}
