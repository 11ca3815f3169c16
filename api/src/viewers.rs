//! Sans-IO: viewers who say that they watch.
//!
//! Our player and embeds send a beat with a number that they made up when the page was opened, every so many seconds
//! as the last answer told. A beat counts its viewer in the seconds that follow, until a little after the next one is
//! due; who leaves is gone after that. Kept are sketches, one per second to come: no number, no address.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use millrace_core::ids::{ChannelName, NodeName};
use millrace_core::viewers::ViewerSketch;

/// Seconds between two beats of a viewer of a small broadcast.
pub const BEAT_MIN_SECONDS: u64 = 2;
/// Seconds between two beats of a viewer of the largest ones.
pub const BEAT_MAX_SECONDS: u64 = 28;
/// Above so many viewers beats come less often, so that one channel has about this many a second.
pub const BEATS_PER_SECOND: u64 = 1_000;
/// How much longer than until the next beat a viewer counts: the beat may be late.
const GRACE_SECONDS: u64 = 1;
/// Sketches per channel: the second that runs and those to come.
const SECONDS: u64 = BEAT_MAX_SECONDS + GRACE_SECONDS + 2;

/// For how many seconds what another node said counts: it says so every two.
const ELSEWHERE_SECONDS: u64 = 6;
/// Nodes whose viewers of a channel are known.
const NODES_MAX: usize = 1_000;

/// The viewers of all live channels: those that beat at this node, and what other nodes say of theirs.
#[derive(Debug, Default)]
pub struct Audience {
    here: RwLock<HashMap<ChannelName, Arc<Beats>>>,
    elsewhere: RwLock<HashMap<ChannelName, HashMap<NodeName, Said>>>,
}

/// What another node said.
#[derive(Debug)]
struct Said {
    at: u64,
    sketch: ViewerSketch,
}

/// The viewers of one channel.
#[derive(Debug)]
struct Beats {
    /// The viewers of each second, by the second modulo their number.
    seconds: Vec<ViewerSketch>,
    /// The newest second that was looked at; all before are cleared.
    newest: AtomicU64,
    turning: Mutex<()>,
}

impl Audience {
    /// Counts a viewer of a channel that is live, at this second of a monotonic clock. Returns in how many seconds the
    /// next beat is due.
    pub fn beat(&self, second: u64, channel: &ChannelName, viewer: u64) -> u64 {
        let beats = self.get(channel).unwrap_or_else(|| {
            let mut channels = self.here.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(channels.entry(channel.clone()).or_insert_with(|| Arc::new(Beats::new(second))))
        });
        beats.turn(second);
        let interval =
            (beats.at(second).estimate() / BEATS_PER_SECOND).clamp(BEAT_MIN_SECONDS, BEAT_MAX_SECONDS);
        for ahead in 0..=interval + GRACE_SECONDS {
            beats.at(second + ahead).saw(viewer);
        }
        interval
    }

    /// About how many viewers a channel has at this second.
    #[must_use]
    pub fn viewers(&self, second: u64, channel: &ChannelName) -> u64 {
        let here = self.get(channel);
        if let Some(beats) = &here {
            beats.turn(second);
        }
        let elsewhere = self.elsewhere.read().unwrap_or_else(PoisonError::into_inner);
        let Some(nodes) = elsewhere.get(channel) else {
            return here.map_or(0, |beats| beats.at(second).estimate());
        };
        let all = ViewerSketch::default();
        if let Some(beats) = here {
            all.merge(beats.at(second));
        }
        for said in nodes.values().filter(|said| second.saturating_sub(said.at) < ELSEWHERE_SECONDS) {
            all.merge(&said.sketch);
        }
        all.estimate()
    }

    /// Takes what another node says of a channel at this second.
    pub fn hear(&self, second: u64, channel: &ChannelName, node: &NodeName, sketch: ViewerSketch) {
        let mut elsewhere = self.elsewhere.write().unwrap_or_else(PoisonError::into_inner);
        let nodes = elsewhere.entry(channel.clone()).or_default();
        if nodes.len() < NODES_MAX || nodes.contains_key(node) {
            nodes.insert(node.clone(), Said { at: second, sketch });
        }
    }

    /// Who beats here at this second, for other nodes, per channel that has any.
    #[must_use]
    pub fn here(&self, second: u64) -> Vec<(ChannelName, String)> {
        let here = self.here.read().unwrap_or_else(PoisonError::into_inner).clone();
        let sketches = here.into_iter().filter_map(|(channel, beats)| {
            beats.turn(second);
            let sketch = beats.at(second);
            (sketch.estimate() > 0).then(|| (channel, sketch.to_text()))
        });
        sketches.collect()
    }

    /// Forgets channels that are not live any more.
    pub fn keep(&self, is_live: impl Fn(&ChannelName) -> bool) {
        self.here.write().unwrap_or_else(PoisonError::into_inner).retain(|channel, _| is_live(channel));
        self.elsewhere.write().unwrap_or_else(PoisonError::into_inner).retain(|channel, _| is_live(channel));
    }

    fn get(&self, channel: &ChannelName) -> Option<Arc<Beats>> {
        self.here.read().unwrap_or_else(PoisonError::into_inner).get(channel).cloned()
    }
}

impl Beats {
    fn new(second: u64) -> Self {
        Self {
            seconds: (0..SECONDS).map(|_| ViewerSketch::default()).collect(),
            newest: AtomicU64::new(second),
            turning: Mutex::new(()),
        }
    }

    fn at(&self, second: u64) -> &ViewerSketch {
        &self.seconds[usize::try_from(second % SECONDS).expect("less than the number of seconds")]
    }

    /// Clears the seconds that have passed, so that they can be those to come.
    fn turn(&self, second: u64) {
        if self.newest.load(Relaxed) >= second {
            return;
        }
        let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = self.newest.load(Relaxed);
        for passed in newest..second.min(newest + SECONDS) {
            self.at(passed).clear();
        }
        self.newest.store(second.max(newest), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    fn studio() -> ChannelName {
        "studio".parse().expect("a name")
    }

    /// Evenly spread, as random numbers are.
    fn viewer(number: u64) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(number)
    }

    #[test]
    fn a_thousand_viewers_are_counted_while_they_beat_and_gone_within_five_seconds() {
        let audience = Audience::default();
        let near = |second, expected: u64| {
            let count = audience.viewers(second, &studio());
            assert!(count.abs_diff(expected) * 10 <= expected, "{count} instead of {expected} at {second}");
        };
        for second in 100..160 {
            for number in (0..1_000).filter(|number| number % 2 == second % 2) {
                assert_eq!(audience.beat(second, &studio(), viewer(number)), BEAT_MIN_SECONDS);
            }
            if second > 101 {
                near(second, 1_000);
            }
        }
        near(160, 1_000);
        assert_eq!(audience.viewers(164, &studio()), 0);
        // After a long silence nothing old comes back.
        audience.beat(1_000, &studio(), viewer(1));
        assert_eq!((1_000..1_004).map(|second| audience.viewers(second, &studio())).sum::<u64>(), 4);
        assert_eq!(audience.viewers(1_004, &studio()), 0);
    }

    #[test]
    fn one_late_beat_does_not_blink() {
        let audience = Audience::default();
        audience.beat(10, &studio(), viewer(1));
        assert_eq!(audience.viewers(13, &studio()), 1);
        audience.beat(13, &studio(), viewer(1));
        assert_eq!(audience.viewers(14, &studio()), 1);
    }

    #[test]
    fn viewers_of_all_nodes_are_counted_once_while_their_nodes_say_so() {
        let (one, two) = (Audience::default(), Audience::default());
        for number in 0..300 {
            one.beat(10, &studio(), viewer(number));
            two.beat(50, &studio(), viewer(number + 200));
        }
        let node = "two:80".parse().expect("a name");
        let said = two.here(50);
        assert_eq!(said.len(), 1);
        one.hear(10, &studio(), &node, ViewerSketch::parse(&said[0].1).expect("a sketch"));
        assert!(one.viewers(10, &studio()).abs_diff(500) <= 25, "{}", one.viewers(10, &studio()));
        assert!(one.viewers(13, &studio()).abs_diff(500) <= 25);
        assert!(one.viewers(15, &studio()).abs_diff(300) <= 15, "only those elsewhere");
        assert_eq!(one.viewers(16, &studio()), 0);
        assert_eq!(two.here(60), [], "nobody beats there any more");
        one.keep(|_| false);
        assert_eq!(one.viewers(11, &studio()), 0);
    }

    #[test]
    fn many_viewers_beat_less_often() {
        let audience = Audience::default();
        let intervals: Vec<_> =
            (0..20_000).map(|number| audience.beat(1, &studio(), viewer(number))).collect();
        assert_eq!(intervals[0], BEAT_MIN_SECONDS);
        let last = intervals[19_999];
        assert!((18..=22).contains(&last), "{last}");
        assert!(audience.viewers(1 + last, &studio()) > 900);
    }

    #[test]
    fn a_channel_that_ended_is_forgotten() {
        let audience = Audience::default();
        audience.beat(1, &studio(), 1);
        audience.keep(|_| true);
        assert_eq!(audience.viewers(1, &studio()), 1);
        audience.keep(|_| false);
        assert_eq!(audience.viewers(1, &studio()), 0);
        assert_eq!(audience.viewers(1, &"other".parse().expect("a name")), 0);
    }
}
