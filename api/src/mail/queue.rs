//! Sans-IO: what waits to be sent, and when it is tried again.

use std::time::Duration;

/// Longest wait between two tries.
const WAIT_MAX_MS: i64 = 600_000;
/// How many times longer than the one before each wait is.
const GROWTH: i64 = 4;

/// What waits, at most so many. Who comes when it is full is refused; what is in it is tried until it is sent, refused
/// for good or too old.
#[derive(Debug)]
pub struct Queue<T> {
    waiting: Vec<Entry<T>>,
    /// Taken out, neither done nor put back.
    tried: usize,
    max: usize,
    retry_ms: i64,
    give_up_ms: i64,
    /// The number of the next one that comes.
    next: u64,
}

/// Something that is being tried. Give it back with [`Queue::failed`], or say [`Queue::done`].
#[derive(Debug)]
pub struct Entry<T> {
    /// What it is.
    pub item: T,
    /// When it came, milliseconds since 1970.
    came_ms: i64,
    due_ms: i64,
    wait_ms: i64,
    /// Which came first of those that are due at once.
    number: u64,
}

/// What became of something that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It is tried again after so many milliseconds.
    Retry(i64),
    /// It is too old.
    GivenUp,
}

impl<T> Queue<T> {
    /// An empty one.
    #[must_use]
    pub fn new(max: usize, retry: Duration, give_up: Duration) -> Self {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self { waiting: Vec::new(), tried: 0, max, retry_ms: ms(retry), give_up_ms: ms(give_up), next: 0 }
    }

    /// How many are in it, those that are being tried included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.tried
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes something in.
    ///
    /// # Errors
    /// It is full; what came is given back.
    pub fn push(&mut self, item: T, now_ms: i64) -> Result<(), T> {
        if self.len() >= self.max {
            return Err(item);
        }
        let number = self.next;
        self.next += 1;
        self.waiting.push(Entry { item, came_ms: now_ms, due_ms: now_ms, wait_ms: self.retry_ms, number });
        Ok(())
    }

    /// What is due for longest.
    pub fn due(&mut self, now_ms: i64) -> Option<Entry<T>> {
        let due = self.waiting.iter().enumerate().filter(|(_, entry)| entry.due_ms <= now_ms);
        let (at, _) = due.min_by_key(|(_, entry)| (entry.due_ms, entry.number))?;
        self.tried += 1;
        Some(self.waiting.swap_remove(at))
    }

    /// When the next one is due, in milliseconds since 1970.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<i64> {
        self.waiting.iter().map(|entry| entry.due_ms).min()
    }

    /// One of those that were taken out is through.
    pub fn done(&mut self) {
        self.tried = self.tried.saturating_sub(1);
    }

    /// It did not work, but may later. It is dropped if the next try would come too late.
    pub fn failed(&mut self, mut entry: Entry<T>, now_ms: i64) -> Failed {
        self.done();
        let wait_ms = entry.wait_ms;
        entry.due_ms = now_ms.saturating_add(wait_ms);
        entry.wait_ms = wait_ms.saturating_mul(GROWTH).min(WAIT_MAX_MS);
        if entry.due_ms.saturating_sub(entry.came_ms) > self.give_up_ms {
            return Failed::GivenUp;
        }
        self.waiting.push(entry);
        Failed::Retry(wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(max: usize) -> Queue<u32> {
        Queue::new(max, Duration::from_secs(5), Duration::from_secs(3600))
    }

    #[test]
    fn waits_grow_and_what_is_too_old_is_given_up() {
        let mut queue = queue(10);
        queue.push(7, 0).unwrap();
        let (mut now, mut waits) = (0, Vec::new());
        loop {
            let entry = queue.due(now).unwrap();
            match queue.failed(entry, now) {
                Failed::Retry(wait) => {
                    waits.push(wait / 1000);
                    assert!(queue.due(now + wait - 1).is_none(), "not before");
                    now += wait;
                }
                Failed::GivenUp => break,
            }
        }
        assert_eq!(waits, [5, 20, 80, 320, 600, 600, 600, 600, 600]);
        assert!(queue.is_empty());
    }

    #[test]
    fn it_is_bounded_with_what_is_being_tried_and_keeps_the_order() {
        let mut queue = queue(3);
        for item in 0..3 {
            queue.push(item, 0).unwrap();
        }
        assert_eq!(queue.push(3, 0), Err(3));
        let first = queue.due(0).unwrap();
        assert_eq!(first.item, 0);
        assert_eq!(queue.push(3, 0), Err(3), "what is being tried keeps its place");
        assert_eq!(queue.failed(first, 0), Failed::Retry(5_000));
        assert_eq!(queue.due(0).map(|entry| entry.item), Some(1));
        assert_eq!(queue.due(0).map(|entry| entry.item), Some(2));
        assert!(queue.due(0).is_none());
        assert_eq!(queue.next_due_ms(), Some(5_000));
        queue.done();
        queue.done();
        queue.push(4, 1).unwrap();
        assert_eq!(queue.due(10_000).map(|entry| entry.item), Some(4), "due for longest");
    }
}
