//! Sans-IO: how often something may be tried, per address and per account.
//!
//! Each key has a bucket of tries that fills with time. Who empties it is locked out, each time twice as long, up to
//! a longest one; a lockout that passed without another try too many is forgiven step by step. The table is bounded: when it is
//! full, the entries that have healed most go first, so that a flood of addresses forgets the harmless.

use std::collections::HashMap;
use std::hash::Hash;

/// What is limited, and how.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Tries at once.
    pub burst: u32,
    /// Milliseconds until one more try is free.
    pub refill_ms: i64,
    /// The first lockout; 0 for none but waiting for the next try.
    pub lockout_ms: i64,
    /// The longest one.
    pub lockout_max_ms: i64,
}

/// The tries of many keys.
#[derive(Debug)]
pub struct Limiter<K> {
    entries: HashMap<K, Entry>,
    max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Tries used, in milliseconds of refill.
    used_ms: i64,
    at_ms: i64,
    locked_until_ms: i64,
    lockouts: u32,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    /// For at most so many keys.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { entries: HashMap::new(), max: max.max(1) }
    }

    /// Takes one try of `key`.
    ///
    /// # Errors
    /// Milliseconds after which it may be tried again.
    pub fn take(&mut self, key: K, rule: Rule, now_ms: i64) -> Result<(), i64> {
        if self.entries.len() >= self.max && !self.entries.contains_key(&key) {
            self.make_room(rule, now_ms);
        }
        let fresh = Entry { used_ms: 0, at_ms: now_ms, locked_until_ms: 0, lockouts: 0 };
        let entry = self.entries.entry(key).or_insert(fresh);
        entry.heal(rule, now_ms);
        if now_ms < entry.locked_until_ms {
            return Err(entry.locked_until_ms - now_ms);
        }
        let used = entry.used_ms.saturating_add(rule.refill_ms);
        let full = rule.refill_ms.saturating_mul(i64::from(rule.burst));
        if used <= full {
            entry.used_ms = used;
            return Ok(());
        }
        let longer = rule.lockout_ms.saturating_mul(1 << entry.lockouts.min(20)).min(rule.lockout_max_ms);
        entry.lockouts = entry.lockouts.saturating_add(1);
        let wait = longer.max(used - full);
        if rule.lockout_ms > 0 {
            entry.locked_until_ms = now_ms.saturating_add(wait);
        }
        Err(wait)
    }

    /// Gives the last try back and forgives: it was a good one.
    pub fn forgive(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Removes what has healed, and if nothing has, the half that needs the least time to.
    fn make_room(&mut self, rule: Rule, now_ms: i64) {
        self.entries.retain(|_, entry| {
            entry.heal(rule, now_ms);
            entry.used_ms > 0 || entry.lockouts > 0 || entry.locked_until_ms > now_ms
        });
        if self.entries.len() < self.max {
            return;
        }
        let badness = |entry: &Entry| (entry.lockouts, entry.used_ms);
        let mut all: Vec<_> = self.entries.values().map(badness).collect();
        let middle = all.len() / 2;
        let (_, median, _) = all.select_nth_unstable(middle);
        let median = *median;
        let mut excess = self.entries.len() - middle;
        self.entries.retain(|_, entry| {
            let goes = excess > 0 && badness(entry) <= median;
            excess -= usize::from(goes);
            !goes
        });
    }
}

impl Entry {
    fn heal(&mut self, rule: Rule, now_ms: i64) {
        let passed = now_ms.saturating_sub(self.at_ms).max(0);
        self.at_ms = now_ms.max(self.at_ms);
        self.used_ms = self.used_ms.saturating_sub(passed).max(0);
        // Twice the length of a lockout without another forgives it.
        while self.lockouts > 0 {
            let length =
                rule.lockout_ms.saturating_mul(1 << (self.lockouts - 1).min(20)).min(rule.lockout_max_ms);
            if now_ms.saturating_sub(self.locked_until_ms) < length.saturating_mul(2) {
                return;
            }
            self.locked_until_ms = self.locked_until_ms.saturating_add(length.saturating_mul(2).max(1));
            self.lockouts -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKOUT_MAX_MS: i64 = 3_600_000;
    const RULE: Rule =
        Rule { burst: 5, refill_ms: 60_000, lockout_ms: 30_000, lockout_max_ms: LOCKOUT_MAX_MS };

    /// Tries until it is refused, and returns for how long.
    fn exhaust(limiter: &mut Limiter<u32>, now: i64) -> i64 {
        (0..100).find_map(|_| limiter.take(1, RULE, now).err()).expect("a limit")
    }

    #[test]
    fn a_lockout_grows_and_heals() {
        let mut limiter = Limiter::new(10);
        for _ in 0..5 {
            limiter.take(1, RULE, 0).unwrap();
        }
        let first = limiter.take(1, RULE, 0).unwrap_err();
        assert!(first >= 30_000);
        assert_eq!(limiter.take(1, RULE, 1_000), Err(first - 1_000), "trying does not make it longer");
        let mut now = first;
        let mut longest = 0;
        for _ in 0..10 {
            let wait = exhaust(&mut limiter, now);
            assert!(wait >= longest && wait <= LOCKOUT_MAX_MS.max(60_000));
            longest = wait;
            now += wait;
        }
        assert_eq!(longest, LOCKOUT_MAX_MS);
        assert_eq!(limiter.take(2, RULE, now), Ok(()), "others are not touched");
        let healed = now + 20 * LOCKOUT_MAX_MS;
        for _ in 0..5 {
            limiter.take(1, RULE, healed).unwrap();
        }
        assert!(limiter.take(1, RULE, healed).unwrap_err() <= 60_000, "as at first");
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_worst() {
        let mut limiter = Limiter::new(100);
        exhaust(&mut limiter, 0);
        for key in 2..10_000 {
            assert_eq!(limiter.take(key, RULE, 10), Ok(()));
            assert!(limiter.entries.len() <= 100);
        }
        assert!(limiter.take(1, RULE, 20).is_err(), "a flood of others does not set it free");
    }

    #[test]
    fn tries_come_back_one_by_one() {
        let rule = Rule { lockout_ms: 0, ..RULE };
        let mut limiter = Limiter::new(10);
        for _ in 0..5 {
            limiter.take(1, rule, 0).unwrap();
        }
        assert_eq!(limiter.take(1, rule, 0), Err(60_000));
        assert_eq!(limiter.take(1, rule, 60_000), Ok(()));
        assert!(limiter.take(1, rule, 60_001).is_err());
        limiter.forgive(&1);
        assert_eq!(limiter.take(1, rule, 60_002), Ok(()));
    }
}
