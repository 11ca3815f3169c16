//! The topics of the bus, in one table.

use std::time::Duration;

/// A topic of the bus contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// `millrace.streams`: life of broadcasts, from ingest and workers to all.
    Streams,
    /// `millrace.nodes`: who is there, as leases; from all to all.
    Nodes,
    /// `millrace.accounts`: what happens to people, from the API to all.
    Accounts,
    /// `millrace.commands`: what is to be done, from the API to ingest and chat.
    Commands,
    /// `millrace.chat`: what is said, between chat nodes.
    Chat,
    /// `millrace.activity`: who watches, as sketches.
    Activity,
    /// `millrace.jobs`: work for one of the workers.
    Jobs,
}

/// What a topic promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSpec {
    /// The name on the wire.
    pub name: &'static str,
    /// Events of one key are in one of so many partitions: so many members of a group work at once.
    pub partitions: u16,
    /// How long an event is kept.
    pub retention: Duration,
    /// Most events that the in-process log keeps of it.
    pub records: usize,
    /// Only the newest event of each key is kept.
    pub compacted: bool,
    /// Whether its events may be lost when a process dies: then it is never written to a disk of ours.
    pub may_be_lost: bool,
    /// Whether an event waits in the outbox while the broker is away. Else whoever publishes it hears at once that the
    /// bus is not available, and asks again: for what is stale when it comes late.
    pub outbox: bool,
    /// Whether every process hears it; else it is for groups only.
    pub live: bool,
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 7] =
        [Self::Streams, Self::Nodes, Self::Accounts, Self::Commands, Self::Chat, Self::Activity, Self::Jobs];

    /// What it promises.
    #[must_use]
    pub const fn spec(self) -> &'static TopicSpec {
        const USUAL: TopicSpec = TopicSpec {
            name: "",
            partitions: 12,
            retention: DAY.saturating_mul(7),
            records: 60_000,
            compacted: false,
            may_be_lost: false,
            outbox: true,
            live: true,
        };
        const STREAMS: TopicSpec = TopicSpec { name: "millrace.streams", ..USUAL };
        const NODES: TopicSpec =
            TopicSpec { name: "millrace.nodes", partitions: 1, retention: HOUR, compacted: true, ..USUAL };
        const ACCOUNTS: TopicSpec = TopicSpec { name: "millrace.accounts", ..USUAL };
        // An order that is a day old is no order any more.
        const COMMANDS: TopicSpec = TopicSpec { name: "millrace.commands", retention: DAY, ..USUAL };
        // Nobody is told that a message was said which nobody can read yet.
        const CHAT: TopicSpec = TopicSpec { name: "millrace.chat", retention: DAY, outbox: false, ..USUAL };
        const ACTIVITY: TopicSpec = TopicSpec {
            name: "millrace.activity",
            retention: HOUR,
            records: 12_000,
            may_be_lost: true,
            ..USUAL
        };
        const JOBS: TopicSpec = TopicSpec { name: "millrace.jobs", live: false, ..USUAL };
        match self {
            Self::Streams => &STREAMS,
            Self::Nodes => &NODES,
            Self::Accounts => &ACCOUNTS,
            Self::Commands => &COMMANDS,
            Self::Chat => &CHAT,
            Self::Activity => &ACTIVITY,
            Self::Jobs => &JOBS,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// The topic of what consumers refused.
    #[must_use]
    pub fn dead_letters(self) -> String {
        format!("{}.dlq", self.name())
    }

    /// The topic of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// Where the in-process log puts a key; brokers have a rule of their own. FNV-1a.
    #[must_use]
    pub fn partition(self, key: &str) -> u16 {
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        u16::try_from(hash % u64::from(self.spec().partitions)).expect("less than a u16")
    }
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_its_own_name_and_is_found_by_it() {
        for topic in Topic::ALL {
            assert!(topic.name().starts_with("millrace."), "{topic}");
            assert_eq!(Topic::named(topic.name()), Some(topic));
            assert!(topic.spec().records >= usize::from(topic.spec().partitions), "{topic}");
        }
        assert_eq!(Topic::named("millrace.streams.dlq"), None);
    }

    #[test]
    fn only_activity_may_be_lost_and_only_nodes_are_compacted() {
        let lossy = Topic::ALL.into_iter().filter(|topic| topic.spec().may_be_lost);
        assert_eq!(lossy.collect::<Vec<_>>(), [Topic::Activity]);
        let compacted = Topic::ALL.into_iter().filter(|topic| topic.spec().compacted);
        assert_eq!(compacted.collect::<Vec<_>>(), [Topic::Nodes]);
    }

    #[test]
    fn keys_spread_over_the_partitions_and_stay_where_they_are() {
        let mut hit = [0_u32; 12];
        for channel in 0..1_200 {
            hit[usize::from(Topic::Streams.partition(&format!("channel_{channel}")))] += 1;
        }
        assert!(hit.iter().all(|&keys| (50..200).contains(&keys)), "{hit:?}");
        assert_eq!(Topic::Nodes.partition("anything"), 0);
        // Written down in logs: it must not change.
        assert_eq!(Topic::Streams.partition("studio"), 7);
    }
}
