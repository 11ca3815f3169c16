//! Two nodes, and publishers that come to either of them.

use millrace_core::event::LeasedStream;
use millrace_core::playback::Access;
use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(30);
const HOLD: Duration = Duration::from_secs(60);

fn studio() -> ChannelName {
    "studio".parse().unwrap()
}

/// As UUIDv7: milliseconds above 80 other bits.
fn id(time: u128, other: u128) -> BroadcastId {
    BroadcastId(uuid::Uuid::from_u128(time << 80 | other))
}

/// A node, and what it tells the other.
struct Node {
    registry: Registry,
    /// Its broadcast, as a lease would say it.
    has: Option<Owner>,
    /// Who has the feed.
    feeding: Option<ConnectionId>,
    said: Vec<String>,
}

struct World {
    now: Instant,
    nodes: [Node; 2],
    /// Clocks differ: ids of the second node are older.
    fresh: u128,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn new() -> Self {
        let config = RegistryConfig { reconnect_window: WINDOW, takeover_hold: HOLD, stop_hold: HOLD };
        let node = || Node { registry: Registry::new(config), has: None, feeding: None, said: Vec::new() };
        Self { now: Instant::now(), nodes: [node(), node()], fresh: 1_000 }
    }

    fn command(&mut self, at: usize, command: Command) -> Vec<String> {
        self.nodes[at].registry.handle_command(self.now, command);
        self.settle(at)
    }

    /// Does what the node wants done; an encoder that is sent away leaves.
    fn settle(&mut self, at: usize) -> Vec<String> {
        let node = &mut self.nodes[at];
        while let Some(output) = node.registry.poll_output() {
            node.said.push(match output {
                Output::Accept { connection, .. } => format!("accept {connection}"),
                Output::Deny { connection, reason } => format!("deny {connection} {}", reason.label()),
                Output::Evict { connection, reason } => {
                    if node.feeding == Some(connection) {
                        node.feeding = None;
                        node.registry.handle_command(self.now, Command::Lost { connection });
                    }
                    format!("evict {connection} {}", reason.label())
                }
                Output::Grant { connection, .. } => {
                    assert_eq!(node.feeding.replace(connection), None, "two have the feed");
                    continue;
                }
                Output::Started { broadcast, held_until, .. } => {
                    let stream = LeasedStream {
                        channel: studio(),
                        broadcast,
                        started_at: jiff::Timestamp::UNIX_EPOCH,
                        access: Access::Open,
                        interrupted_until: None,
                        encoder: None,
                        held_ms: 0,
                        next_msn: 0,
                        keyframe_interval: None,
                    };
                    let node_name = format!("node-{at}").parse().unwrap();
                    node.has = Some(Owner { node: node_name, url: "http://node".into(), stream, held_until });
                    "started".to_owned()
                }
                Output::Resumed { held_until, .. } => {
                    let has = node.has.as_mut().expect("a broadcast that goes on");
                    (has.held_until, has.stream.interrupted_until) = (held_until, None);
                    "resumed".to_owned()
                }
                Output::Interrupted { .. } => {
                    let has = node.has.as_mut().expect("a broadcast that waits");
                    has.stream.interrupted_until = Some(jiff::Timestamp::MAX);
                    "interrupted".to_owned()
                }
                Output::Ended { reason, .. } => {
                    node.has = None;
                    format!("ended {reason:?}")
                }
                Output::Close { .. } => "close".to_owned(),
                Output::Release { .. } => "release".to_owned(),
                Output::Yield { .. } => "yield".to_owned(),
            });
        }
        std::mem::take(&mut node.said)
    }

    /// The other node hears what this one has.
    fn tell(&mut self, from: usize) -> Vec<String> {
        let elsewhere = Arc::new(self.nodes[from].has.clone().into_iter().collect());
        self.command(1 - from, Command::Elsewhere(elsewhere))
    }

    fn publish(&mut self, at: usize, connection: u64) -> Vec<String> {
        let connection = ConnectionId(connection);
        self.command(at, Command::Publish { connection, channel: studio(), key: None })
    }

    fn ready(&mut self, at: usize, connection: u64) -> Vec<String> {
        self.fresh += 1;
        let fresh = id(if at == 0 { self.fresh } else { self.fresh - 900 }, self.fresh);
        self.command(at, Command::Ready { connection: ConnectionId(connection), encoder: None, fresh })
    }

    fn lost(&mut self, at: usize, connection: u64) -> Vec<String> {
        let connection = ConnectionId(connection);
        if self.nodes[at].feeding == Some(connection) {
            self.nodes[at].feeding = None;
        }
        self.command(at, Command::Lost { connection })
    }

    /// Publisher 1 is live on node 0, and node 1 knows.
    fn live() -> Self {
        let mut world = Self::new();
        world.publish(0, 1);
        assert_eq!(world.ready(0, 1), ["started"]);
        world.tell(0);
        world
    }
}

#[test]
fn a_publisher_at_another_node_takes_over_also_when_its_clock_is_behind() {
    let mut world = World::live();
    assert_eq!(world.publish(1, 2), ["accept 2"]);
    assert_eq!(world.ready(1, 2), ["started"]);
    assert_eq!(world.tell(1), ["evict 1 taken_over", "yield", "ended TakenOver"]);
    // The loser reconnects, here or there.
    assert_eq!(world.publish(0, 3), ["deny 3 held"]);
    assert_eq!(world.publish(1, 4), ["deny 4 held"]);
    assert!(world.nodes[0].registry.channels.is_empty(), "nothing is left behind");
    world.now += HOLD;
    assert_eq!(world.publish(0, 3), ["accept 3"]);
}

#[test]
fn a_broadcast_that_waits_for_its_publisher_moves_to_where_that_comes_back() {
    let mut world = World::live();
    assert_eq!(world.lost(0, 1), ["interrupted"]);
    world.tell(0);
    world.publish(1, 2);
    assert_eq!(world.ready(1, 2), ["started"]);
    assert_eq!(world.tell(1), ["yield", "ended TakenOver"]);
    // It took the channel from nobody.
    assert_eq!(world.publish(0, 3), ["accept 3"]);
}

#[test]
fn a_hold_counts_at_every_node() {
    let mut world = World::live();
    world.publish(0, 2);
    assert_eq!(world.ready(0, 2), ["evict 1 taken_over", "resumed"]);
    world.tell(0);
    assert_eq!(world.publish(1, 3), ["deny 3 held"]);
    // Whoever was let in before that is told when it has media.
    let mut world = World::live();
    assert_eq!(world.publish(1, 3), ["accept 3"]);
    world.publish(0, 2);
    world.ready(0, 2);
    world.tell(0);
    assert_eq!(world.ready(1, 3), ["evict 3 held"]);
    assert!(world.nodes[1].registry.channels.is_empty() && world.nodes[1].registry.connections.is_empty());
}

#[test]
fn a_broadcast_that_was_stopped_does_not_begin_again_at_another_node() {
    let mut world = World::live();
    let stop = || Command::StopBroadcast { channel: studio(), by: StoppedBy::Owner };
    assert_eq!(world.command(1, stop()), [""; 0]);
    assert_eq!(world.command(0, stop()), ["evict 1 stopped", "close", "ended Stopped"]);
    world.tell(0);
    assert_eq!(world.publish(1, 2), ["deny 2 stopped"]);
    world.now += HOLD;
    world.nodes[1].registry.handle_timeout(world.now);
    assert_eq!(world.publish(1, 2), ["accept 2"]);
}

#[test]
fn of_two_that_begin_at_once_the_newer_stays() {
    let mut world = World::new();
    world.publish(0, 1);
    world.publish(1, 2);
    world.ready(0, 1);
    world.ready(1, 2);
    let (first, second) = (world.nodes[0].has.clone(), world.nodes[1].has.clone());
    let hear = |owner: Option<Owner>| Command::Elsewhere(Arc::new(owner.into_iter().collect()));
    assert_eq!(world.command(1, hear(first)), ["evict 2 taken_over", "yield", "ended TakenOver"]);
    assert_eq!(world.command(0, hear(second)), [""; 0]);
    assert_eq!(world.nodes[0].feeding, Some(ConnectionId(1)));
}

proptest! {
    /// Whatever publishers do at two nodes, and however late the nodes hear of each other: when they have, one of them
    /// has the channel if anybody published, and at most one publisher is left.
    #[test]
    fn two_nodes_agree(steps in prop::collection::vec((0u8..8, 0usize..2, 1u64..4), 0..100)) {
        let mut world = World::new();
        let mut inside = [std::collections::BTreeSet::new(), std::collections::BTreeSet::new()];
        for (what, at, who) in steps {
            let who = who + 10 * at as u64;
            match what {
                0..=2 if !inside[at].contains(&who) => {
                    let said = world.publish(at, who);
                    if said.iter().any(|line| line.starts_with("accept")) {
                        inside[at].insert(who);
                    }
                }
                3 | 4 if inside[at].contains(&who) => drop(world.ready(at, who)),
                5 => {
                    inside[at].remove(&who);
                    world.lost(at, who);
                }
                6 => drop(world.tell(at)),
                _ => {
                    world.now += HOLD / 4;
                    let now = world.now;
                    world.nodes[at].registry.handle_timeout(now);
                    world.settle(at);
                }
            }
            for (node, inside) in world.nodes.iter().zip(&mut inside) {
                inside.retain(|who| node.registry.connections.contains_key(&ConnectionId(*who)));
            }
        }
        let published = world.nodes.iter().any(|node| node.feeding.is_some());
        for _ in 0..3 {
            world.tell(0);
            world.tell(1);
        }
        let count = |is: fn(&Node) -> bool| world.nodes.iter().filter(|node| is(node)).count();
        let has = count(|node| node.has.is_some());
        prop_assert!(has <= 1 && count(|node| node.feeding.is_some()) <= 1);
        // Whoever took over may have left again: then its broadcast waits.
        prop_assert!(has == 1 || !published);
    }
}
