//! Sans-IO: who is there, as the leases on `millrace.nodes` add up, and which of them owns a channel.
//!
//! A lease is good for a while after it is heard, by the time of whoever hears it: clocks of machines differ. That time
//! stands still while the bus does not deliver, which a node knows by its own lease that does not come back: nobody is
//! lost because the brokers are away. What is older than [`LEASE_TOO_OLD`] by the clock is an echo of a process that
//! died, and is not heard.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::event::{Event, EventBody, LeasedStream, NodeLeased};
use crate::ids::{ChannelName, NodeName};

/// Events that are older are not heard. Far more than clocks may differ, less than an outbox is kept for.
pub const LEASE_TOO_OLD: Duration = Duration::from_secs(120);
/// Renewals within a lease: so many may be lost but one.
pub const RENEWALS: u32 = 5;
/// Longest lease that is believed.
const LEASE_MAX: Duration = Duration::from_secs(600);
/// Nodes that are known at once.
const NODES_MAX: usize = 1_000;

/// What this node is called, and which life of it this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Its name.
    pub name: NodeName,
    /// This life.
    pub boot: uuid::Uuid,
}

/// A broadcast on another node.
#[derive(Debug, Clone, PartialEq)]
pub struct Owner {
    /// Which node.
    pub node: NodeName,
    /// Where its HTTP listener is reached: `http://HOST:PORT`.
    pub url: Arc<str>,
    /// What it says of the broadcast.
    pub stream: LeasedStream,
    /// Until when nobody may take the channel from it.
    pub held_until: Option<Instant>,
}

/// The broadcasts on other nodes, at one moment; the newest of each channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Elsewhere(HashMap<ChannelName, Owner>);

impl Elsewhere {
    /// Who has the channel.
    #[must_use]
    pub fn owner(&self, channel: &ChannelName) -> Option<&Owner> {
        self.0.get(channel)
    }

    /// How many channels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is live elsewhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Owner> for Elsewhere {
    fn from_iter<I: IntoIterator<Item = Owner>>(owners: I) -> Self {
        let mut newest: HashMap<ChannelName, Owner> = HashMap::new();
        for owner in owners {
            match newest.get(&owner.stream.channel) {
                Some(known) if known.stream.broadcast >= owner.stream.broadcast => {}
                _ => {
                    newest.insert(owner.stream.channel.clone(), owner);
                }
            }
        }
        Self(newest)
    }
}

/// What an event on `millrace.nodes` comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A node that was not known, or that was restarted: it does not know of us.
    Newcomer {
        /// Which.
        node: NodeName,
        /// What it had in its life before, and has no more.
        lost: Vec<LeasedStream>,
    },
    /// Another node, once more.
    Known,
    /// This node: the bus delivers.
    Myself,
    /// Another process has this node's name.
    Namesake,
    /// A node stopped.
    Left(NodeName),
    /// Nothing.
    Nothing,
}

/// A node whose lease ran out.
#[derive(Debug, Clone, PartialEq)]
pub struct Lost {
    /// Which.
    pub node: NodeName,
    /// What it had.
    pub streams: Vec<LeasedStream>,
}

#[derive(Debug)]
struct Node {
    boot: uuid::Uuid,
    url: Arc<str>,
    /// In time during which the bus delivered.
    until: Duration,
    heard_at: Instant,
    streams: Vec<LeasedStream>,
}

/// The other nodes.
#[derive(Debug)]
pub struct Nodes {
    me: Me,
    /// Of this node.
    lease: Duration,
    nodes: BTreeMap<NodeName, Node>,
    /// Time during which the bus delivered, up to `myself`.
    delivered: Duration,
    /// When this node's own lease came back last.
    myself: Option<Instant>,
}

impl Nodes {
    /// Nobody is known yet. `lease` is that of this node.
    #[must_use]
    pub fn new(me: Me, lease: Duration) -> Self {
        Self { me, lease, nodes: BTreeMap::new(), delivered: Duration::ZERO, myself: None }
    }

    /// How often this node says that it is there.
    #[must_use]
    pub fn renewal(&self) -> Duration {
        self.lease / RENEWALS
    }

    /// Whether the bus has delivered anything of this node yet.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.myself.is_some()
    }

    /// Whether the bus still delivers: this node's own lease came back a moment ago.
    #[must_use]
    pub fn hears(&self, now: Instant) -> bool {
        self.myself.is_some_and(|at| now.saturating_duration_since(at) < self.lease)
    }

    /// Time during which the bus delivered. Between two of our own leases no more than two renewals count.
    fn clock(&self, now: Instant) -> Duration {
        let since = self.myself.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.delivered + since.min(self.renewal() * 2)
    }

    /// Takes an event of `millrace.nodes`. `wall` is the clock of this machine.
    pub fn apply(&mut self, now: Instant, wall: Timestamp, event: &Event) -> Heard {
        let Some(node) = event.node() else { return Heard::Nothing };
        let age = wall.duration_since(event.time).unsigned_abs();
        match &event.body {
            _ if age > LEASE_TOO_OLD => Heard::Nothing,
            EventBody::NodeLeased(lease) if *node == self.me.name => {
                if lease.boot != self.me.boot {
                    return Heard::Namesake;
                }
                self.delivered = self.clock(now);
                self.myself = Some(now);
                Heard::Myself
            }
            EventBody::NodeLeased(lease) => self.renew(now, node, lease),
            EventBody::NodeLeft(left)
                if self.nodes.get(node).is_some_and(|known| known.boot == left.boot) =>
            {
                self.nodes.remove(node);
                Heard::Left(node.clone())
            }
            _ => Heard::Nothing,
        }
    }

    fn renew(&mut self, now: Instant, name: &NodeName, lease: &NodeLeased) -> Heard {
        let newcomer = self.nodes.get(name).is_none_or(|known| known.boot != lease.boot);
        if newcomer && self.nodes.len() >= NODES_MAX && !self.nodes.contains_key(name) {
            return Heard::Nothing;
        }
        let good_for = Duration::from_millis(lease.lease_ms).min(LEASE_MAX);
        let node = Node {
            boot: lease.boot,
            url: lease.url.as_str().into(),
            until: self.clock(now) + good_for,
            heard_at: now,
            streams: lease.streams.clone(),
        };
        let before = self.nodes.insert(name.clone(), node);
        if !newcomer {
            return Heard::Known;
        }
        let has = |broadcast| lease.streams.iter().any(|stream| stream.broadcast == broadcast);
        let mut lost = before.map(|node| node.streams).unwrap_or_default();
        lost.retain(|stream| !has(stream.broadcast));
        Heard::Newcomer { node: name.clone(), lost }
    }

    /// Takes out the nodes whose leases ran out.
    pub fn expire(&mut self, now: Instant) -> Vec<Lost> {
        let clock = self.clock(now);
        let gone = self.nodes.extract_if(.., |_, node| node.until <= clock);
        gone.map(|(node, Node { streams, .. })| Lost { node, streams }).collect()
    }

    /// The broadcasts on other nodes.
    #[must_use]
    pub fn elsewhere(&self) -> Elsewhere {
        let owners = self.nodes.iter().flat_map(|(name, node)| {
            node.streams.iter().map(|stream| Owner {
                node: name.clone(),
                url: Arc::clone(&node.url),
                stream: stream.clone(),
                held_until: (stream.held_ms > 0)
                    .then(|| node.heard_at + Duration::from_millis(stream.held_ms.min(3_600_000))),
            })
        });
        owners.collect()
    }

    /// How many other nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no other.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{NodeLeft, SpecVersion, Subject};
    use crate::ids::BroadcastId;
    use crate::playback::Access;

    const SECOND: Duration = Duration::from_secs(1);
    const LEASE: Duration = Duration::from_secs(10);

    fn wall() -> Timestamp {
        "2026-11-21T03:04:05Z".parse().unwrap()
    }

    /// A moment and nodes that know nobody.
    #[expect(clippy::disallowed_methods, reason = "some moment to begin with")]
    fn start() -> (Nodes, Instant) {
        (Nodes::new(me(), LEASE), Instant::now())
    }

    fn me() -> Me {
        Me { name: "one:80".parse().unwrap(), boot: uuid::Uuid::from_u128(1) }
    }

    fn event(node: &str, body: EventBody) -> Event {
        Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::from_u128(7),
            source: format!("/nodes/{node}"),
            subject: Subject::Node(node.parse().unwrap()),
            time: wall(),
            cause: crate::trace::Cause::default(),
            body,
        }
    }

    fn stream(channel: &str, broadcast: u128) -> LeasedStream {
        LeasedStream {
            channel: channel.parse().unwrap(),
            broadcast: BroadcastId(uuid::Uuid::from_u128(broadcast)),
            started_at: wall(),
            access: Access::Open,
            interrupted_until: None,
            encoder: None,
            held_ms: 0,
            next_msn: 0,
            keyframe_interval: None,
        }
    }

    fn lease(node: &str, boot: u128, streams: &[LeasedStream]) -> Event {
        let lease = NodeLeased {
            boot: uuid::Uuid::from_u128(boot),
            url: format!("http://{node}"),
            roles: vec!["ingest".to_owned()],
            lease_ms: 10_000,
            capacity: 100,
            load: 1,
            streams: streams.to_vec(),
        };
        event(node, EventBody::NodeLeased(lease))
    }

    fn newcomer(lost: &[LeasedStream]) -> Heard {
        Heard::Newcomer { node: "two:80".parse().unwrap(), lost: lost.to_vec() }
    }

    /// Lets seconds pass in which this node hears itself, and perhaps another.
    fn pass(nodes: &mut Nodes, now: &mut Instant, seconds: u64, other: Option<&Event>) {
        for _ in 0..seconds {
            *now += SECOND;
            assert_eq!(nodes.apply(*now, wall(), &lease("one:80", 1, &[])), Heard::Myself);
            if let Some(other) = other {
                nodes.apply(*now, wall(), other);
            }
        }
    }

    #[test]
    fn a_node_that_is_not_heard_for_a_lease_is_lost_with_its_streams() {
        let (mut nodes, mut now) = start();
        let two = lease("two:80", 2, &[stream("studio", 1)]);
        assert_eq!(nodes.apply(now, wall(), &two), newcomer(&[]));
        assert_eq!(nodes.apply(now, wall(), &two), Heard::Known);
        pass(&mut nodes, &mut now, 60, Some(&two));
        assert_eq!(nodes.expire(now), []);
        let owner = nodes.elsewhere().owner(&"studio".parse().unwrap()).cloned().unwrap();
        assert_eq!((owner.node.as_str(), &*owner.url), ("two:80", "http://two:80"));
        pass(&mut nodes, &mut now, 9, None);
        assert_eq!(nodes.expire(now), []);
        pass(&mut nodes, &mut now, 1, None);
        let lost = Lost { node: "two:80".parse().unwrap(), streams: vec![stream("studio", 1)] };
        assert_eq!(nodes.expire(now), [lost]);
        assert!(nodes.elsewhere().is_empty());
    }

    #[test]
    fn nobody_is_lost_while_the_bus_does_not_deliver() {
        let (mut nodes, mut now) = start();
        let two = lease("two:80", 2, &[]);
        pass(&mut nodes, &mut now, 5, Some(&two));
        assert!(nodes.hears(now));
        now += 3600 * SECOND;
        assert!(!nodes.hears(now));
        assert_eq!(nodes.expire(now), []);
        // The brokers are back; the other node has a lease's time to be heard.
        pass(&mut nodes, &mut now, 5, None);
        assert_eq!(nodes.expire(now), []);
        pass(&mut nodes, &mut now, 5, None);
        assert_eq!(nodes.expire(now).len(), 1);
    }

    #[test]
    fn whoever_stops_leaves_at_once_and_whoever_starts_anew_is_a_newcomer() {
        let (mut nodes, now) = start();
        let left =
            |boot| event("two:80", EventBody::NodeLeft(NodeLeft { boot: uuid::Uuid::from_u128(boot) }));
        nodes.apply(now, wall(), &lease("two:80", 2, &[stream("studio", 1)]));
        let anew = nodes.apply(now, wall(), &lease("two:80", 3, &[stream("studio", 2)]));
        assert_eq!(anew, newcomer(&[stream("studio", 1)]), "what it had is lost");
        assert_eq!(nodes.apply(now, wall(), &left(2)), Heard::Nothing, "the life before");
        assert_eq!(nodes.len(), 1);
        assert_eq!(nodes.apply(now, wall(), &left(3)), Heard::Left("two:80".parse().unwrap()));
        assert_eq!(nodes.elsewhere().len(), 0);
    }

    #[test]
    fn echoes_and_namesakes_are_told_from_leases() {
        let (mut nodes, now) = start();
        let two = lease("two:80", 2, &[]);
        for late in [LEASE_TOO_OLD + SECOND, 300 * SECOND] {
            let later = wall().saturating_add(late).unwrap();
            assert_eq!(nodes.apply(now, later, &two), Heard::Nothing);
        }
        // Clocks differ, both ways.
        for skewed in [wall() - 30 * SECOND, wall() + 30 * SECOND] {
            assert_ne!(nodes.apply(now, skewed, &two), Heard::Nothing);
        }
        assert_eq!(nodes.apply(now, wall(), &lease("one:80", 9, &[])), Heard::Namesake);
        assert!(!nodes.is_connected());
    }

    #[test]
    fn of_two_nodes_with_a_channel_the_newer_broadcast_counts_and_its_hold() {
        let (mut nodes, now) = start();
        let taken = LeasedStream { held_ms: 5_000, ..stream("studio", 2) };
        nodes.apply(now, wall(), &lease("two:80", 2, &[taken]));
        nodes.apply(now, wall(), &lease("three:80", 3, &[stream("studio", 1), stream("other", 1)]));
        let elsewhere = nodes.elsewhere();
        assert_eq!(elsewhere.len(), 2);
        let studio = elsewhere.owner(&"studio".parse().unwrap()).unwrap();
        assert_eq!((studio.node.as_str(), studio.held_until), ("two:80", Some(now + 5 * SECOND)));
        assert_eq!(elsewhere.owner(&"other".parse().unwrap()).unwrap().held_until, None);
    }
}
