//! Which events were handled already: deliveries are at least once.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

/// Remembers the ids of the last events in memory. A handler whose effect is in the store should rather commit the
/// event's id together with the effect.
#[derive(Debug)]
pub struct Seen {
    limit: usize,
    ids: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Seen {
    /// Remembers the last `limit` ids, at least one.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), ids: HashSet::new(), order: VecDeque::new() }
    }

    /// Whether the event was handled.
    #[must_use]
    pub fn has(&self, id: Uuid) -> bool {
        self.ids.contains(&id)
    }

    /// The event is handled. Call it after the handler succeeded, so that what failed is not skipped when it comes again.
    pub fn handled(&mut self, id: Uuid) {
        if self.ids.insert(id) {
            self.order.push_back(id);
            if self.order.len() > self.limit
                && let Some(oldest) = self.order.pop_front()
            {
                self.ids.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ids_are_remembered_and_no_more() {
        let mut seen = Seen::new(2);
        let id = Uuid::from_u128;
        seen.handled(id(1));
        seen.handled(id(1));
        seen.handled(id(2));
        assert!(seen.has(id(1)) && seen.has(id(2)) && !seen.has(id(3)));
        seen.handled(id(3));
        assert!(!seen.has(id(1)) && seen.has(id(2)) && seen.has(id(3)));
        assert_eq!((seen.ids.len(), seen.order.len()), (2, 2));
    }
}
