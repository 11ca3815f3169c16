//! Keyframes that wait to become pictures. Sans-IO.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::BroadcastStills;
use crate::packager::Keyframe;

/// Broadcasts of which a keyframe may wait.
const MAX_WAITING: usize = 4096;
/// Bytes of all keyframes that wait.
const MAX_WAITING_BYTES: usize = 128 << 20;

/// At most one keyframe of each broadcast, the newest; whoever came first is served first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By the prefix of the broadcast, of which there is no second one.
    waiting: HashMap<Arc<str>, (Arc<BroadcastStills>, Keyframe)>,
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Queue {
    /// Takes a keyframe. One of the same broadcast that waits makes room for it; if there is no room, it is dropped: the next
    /// one will do as well.
    pub(super) fn put(&mut self, of: &Arc<BroadcastStills>, keyframe: Keyframe) {
        let key = &of.prefix;
        let before = self.waiting.get(key).map_or(0, |(_, before)| before.data.len());
        let bytes = self.bytes - before + keyframe.data.len();
        let full = before == 0 && self.waiting.len() >= MAX_WAITING;
        if full || bytes > MAX_WAITING_BYTES {
            return;
        }
        self.bytes = bytes;
        if self.waiting.insert(Arc::clone(key), (Arc::clone(of), keyframe)).is_none() {
            self.order.push_back(Arc::clone(key));
        }
    }

    /// The next one.
    pub(super) fn take(&mut self) -> Option<(Arc<BroadcastStills>, Keyframe)> {
        loop {
            let key = self.order.pop_front()?;
            if let Some((of, keyframe)) = self.waiting.remove(&key) {
                self.bytes -= keyframe.data.len();
                return Some((of, keyframe));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcode::stills::tests::broadcast;
    use bytes::Bytes;

    fn keyframe(bytes: &[u8]) -> Keyframe {
        Keyframe { record: Bytes::new(), data: Bytes::copy_from_slice(bytes) }
    }

    fn taken(queue: &mut Queue) -> Option<(String, Bytes)> {
        queue.take().map(|(of, keyframe)| (of.prefix.to_string(), keyframe.data))
    }

    #[test]
    fn the_newest_keyframe_of_a_broadcast_keeps_the_place_of_its_first() {
        let (one, two) = (broadcast("one"), broadcast("two"));
        let mut queue = Queue::default();
        queue.put(&one, keyframe(b"a"));
        queue.put(&two, keyframe(b"b"));
        queue.put(&one, keyframe(b"newer"));
        assert_eq!(taken(&mut queue), Some(("one".into(), Bytes::from_static(b"newer"))));
        queue.put(&one, keyframe(b"c"));
        assert_eq!(taken(&mut queue), Some(("two".into(), Bytes::from_static(b"b"))));
        assert_eq!(taken(&mut queue), Some(("one".into(), Bytes::from_static(b"c"))));
        assert_eq!(taken(&mut queue), None);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_bytes() {
        let mut queue = Queue::default();
        for number in 0..MAX_WAITING + 10 {
            queue.put(&broadcast(&number.to_string()), keyframe(b"x"));
        }
        assert_eq!((queue.order.len(), queue.bytes), (MAX_WAITING, MAX_WAITING));
        let mut queue = Queue::default();
        let large = Bytes::from(vec![0; 8 << 20]);
        for number in 0..40 {
            queue
                .put(&broadcast(&number.to_string()), Keyframe { record: Bytes::new(), data: large.clone() });
        }
        assert!(queue.bytes <= MAX_WAITING_BYTES && queue.waiting.len() == 16);
        // Who waits already may still get a newer one.
        queue.put(&broadcast("3"), keyframe(b"small"));
        assert_eq!(queue.bytes, 15 * (8 << 20) + 5);
    }
}
