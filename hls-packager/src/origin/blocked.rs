//! How many requests may wait at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts waiting requests of the process.
#[derive(Debug, Clone)]
pub(super) struct Blocked {
    waiting: Arc<AtomicUsize>,
    max: usize,
    gauge: metrics::Gauge,
}

/// The right to wait, given back when dropped: also when the peer goes away and its request with it.
#[derive(Debug)]
pub(super) struct Slot(Blocked);

impl Blocked {
    /// At most `max` at once.
    #[must_use]
    pub(super) fn new(max: usize, gauge: metrics::Gauge) -> Self {
        Self { waiting: Arc::default(), max, gauge }
    }

    /// A slot, if there is one.
    #[must_use]
    pub(super) fn take(&self) -> Option<Slot> {
        let one_more = |waiting| (waiting < self.max).then_some(waiting + 1);
        self.waiting.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        self.gauge.increment(1.0);
        Some(Slot(self.clone()))
    }

    /// How many wait.
    #[must_use]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
        self.0.gauge.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_bounded_and_come_back() {
        let blocked = Blocked::new(2, metrics::Gauge::noop());
        let one = blocked.take().unwrap();
        let _two = blocked.take().unwrap();
        assert!(blocked.take().is_none());
        drop(one);
        assert_eq!(blocked.waiting(), 1);
        assert!(blocked.take().is_some());
    }
}
