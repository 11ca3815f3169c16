//! Who is in a room at all nodes together, approximately: each node tells the others what it sees.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_core::chat::{ChatPresence, PRESENT_NAMES_MAX};
use millrace_core::ids::ChannelName;
use tokio::time::Instant;

use crate::protocol::Chatters;

/// How often a node repeats what it said of a room where somebody is.
const AGAIN_AFTER: Duration = Duration::from_secs(15);
/// After what time a node that said nothing more has nobody: it missed two repetitions.
const GONE_AFTER: Duration = Duration::from_secs(40);
/// Nodes that are listened to.
const NODES_MAX: usize = 256;

/// Who is in a room: at this node, and at the others.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    elsewhere: BTreeMap<String, (Instant, ChatPresence)>,
    said: Option<(Instant, ChatPresence)>,
}

impl Presence {
    /// Another node says who is there. Names that are too many are left out.
    pub(crate) fn hear(&mut self, node: &str, now: Instant, mut seen: ChatPresence) {
        if seen.readers == 0 {
            self.elsewhere.remove(node);
            return;
        }
        seen.names.truncate(PRESENT_NAMES_MAX);
        if self.elsewhere.len() < NODES_MAX || self.elsewhere.contains_key(node) {
            self.elsewhere.insert(node.to_owned(), (now, seen));
        }
    }

    /// What is to be said to the other nodes about `here`, if it is time.
    pub(crate) fn say(&mut self, now: Instant, here: &ChatPresence) -> Option<ChatPresence> {
        let is_due = match &self.said {
            None => here.readers > 0,
            Some((_, before)) if before != here => true,
            Some((at, _)) => here.readers > 0 && now.duration_since(*at) >= AGAIN_AFTER,
        };
        is_due.then(|| {
            self.said = Some((now, here.clone()));
            here.clone()
        })
    }

    /// Everybody.
    pub(crate) fn all(&mut self, now: Instant, here: ChatPresence) -> Chatters {
        self.elsewhere.retain(|_, (at, _)| now.duration_since(*at) < GONE_AFTER);
        let mut all = Chatters { count: here.people, names: here.names, readers: here.readers };
        for (_, seen) in self.elsewhere.values() {
            all.count = all.count.saturating_add(seen.people);
            all.readers = all.readers.saturating_add(seen.readers);
            let new: Vec<ChannelName> =
                seen.names.iter().filter(|name| !all.names.contains(name)).cloned().collect();
            all.names.extend(new);
        }
        all.names.truncate(PRESENT_NAMES_MAX);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(people: u64, readers: u64, names: &[&str]) -> ChatPresence {
        ChatPresence { people, readers, names: names.iter().map(|name| name.parse().unwrap()).collect() }
    }

    fn later(base: Instant, seconds: u64) -> Instant {
        base + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
    async fn what_all_nodes_see_adds_up_until_one_leaves_or_is_not_heard_any_more() {
        let base = Instant::now();
        let mut room = Presence::default();
        room.hear("/nodes/b", base, seen(2, 5, &["ben", "eve"]));
        room.hear("/nodes/c", base, seen(1, 1, &["ben"]));
        let all = room.all(base, seen(1, 2, &["ada"]));
        assert_eq!((all.count, all.readers), (4, 8));
        assert_eq!(all.names.iter().map(ChannelName::as_str).collect::<Vec<_>>(), ["ada", "ben", "eve"]);
        // Each replaces what the node said before; nobody left is said with zero.
        room.hear("/nodes/b", later(base, 30), seen(1, 1, &["eve"]));
        room.hear("/nodes/c", later(base, 30), seen(0, 0, &[]));
        let all = room.all(later(base, 30), seen(1, 2, &["ada"]));
        assert_eq!((all.count, all.readers), (2, 3));
        let all = room.all(later(base, 70), seen(1, 2, &["ada"]));
        assert_eq!((all.count, all.readers), (1, 2), "a node that was killed says nothing any more");
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
    async fn a_node_speaks_when_something_changed_and_now_and_then() {
        let base = Instant::now();
        let mut room = Presence::default();
        assert_eq!(room.say(base, &seen(0, 0, &[])), None, "of an empty room there is nothing to say");
        let two = seen(1, 2, &["ada"]);
        assert_eq!(room.say(base, &two), Some(two.clone()));
        assert_eq!(room.say(later(base, 5), &two), None);
        assert_eq!(room.say(later(base, 15), &two), Some(two));
        let none = seen(0, 0, &[]);
        assert_eq!(room.say(later(base, 20), &none), Some(none.clone()), "that everybody left is said");
        assert_eq!(room.say(later(base, 60), &none), None, "once");
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "some instant to begin with")]
    async fn neither_nodes_nor_names_are_without_bounds() {
        let base = Instant::now();
        let mut room = Presence::default();
        let names: Vec<String> = (0..200).map(|number| format!("person_{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for node in 0..1_000 {
            room.hear(&format!("/nodes/{node}"), base, seen(200, 200, &names));
        }
        let all = room.all(base, seen(0, 0, &[]));
        assert_eq!((all.count, all.names.len()), (200 * NODES_MAX as u64, PRESENT_NAMES_MAX));
    }
}
