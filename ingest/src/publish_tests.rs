use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(30);
const HOLD: Duration = Duration::from_secs(60);

struct World {
    now: Instant,
    registry: Registry,
    fresh: u128,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn new(reconnect_window: Duration) -> Self {
        let config = RegistryConfig { reconnect_window, takeover_hold: HOLD, stop_hold: HOLD };
        Self { now: Instant::now(), registry: Registry::new(config), fresh: 0 }
    }

    fn outputs(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(output) = self.registry.poll_output() {
            all.push(match output {
                Output::Accept { connection, challenger } if challenger => format!("challenge {connection}"),
                Output::Accept { connection, .. } => format!("accept {connection}"),
                Output::Deny { connection, reason } => format!("deny {connection} {}", reason.label()),
                Output::Grant { connection, broadcast, entry, .. } => {
                    format!("grant {connection} {} {entry:?}", broadcast.0.as_u128())
                }
                Output::Evict { connection, reason } => format!("evict {connection} {}", reason.label()),
                Output::Close { broadcast } => format!("close {}", broadcast.0.as_u128()),
                Output::Release { broadcast } => format!("release {}", broadcast.0.as_u128()),
                Output::Yield { broadcast } => format!("yield {}", broadcast.0.as_u128()),
                Output::Started { .. } => "started".into(),
                Output::Interrupted { .. } => "interrupted".into(),
                Output::Resumed { .. } => "resumed".into(),
                Output::Ended { reason, .. } => format!("ended {reason:?}"),
            });
        }
        all
    }

    fn command(&mut self, command: Command) -> Vec<String> {
        self.registry.handle_command(self.now, command);
        self.outputs()
    }

    fn publish(&mut self, connection: u64) -> Vec<String> {
        self.publish_with(connection, None)
    }

    fn publish_with(&mut self, connection: u64, key: Option<StreamKeyId>) -> Vec<String> {
        let channel = "studio".parse().unwrap();
        self.command(Command::Publish { connection: ConnectionId(connection), channel, key })
    }

    fn revoke(&mut self, number: u128) -> Vec<String> {
        self.command(Command::RevokeKey { key: key(number) })
    }

    fn stop_broadcast(&mut self) -> Vec<String> {
        let channel = "studio".parse().unwrap();
        self.command(Command::StopBroadcast { channel, by: StoppedBy::Owner })
    }

    fn ready(&mut self, connection: u64) -> Vec<String> {
        self.fresh += 1;
        let fresh = BroadcastId(uuid::Uuid::from_u128(self.fresh));
        self.command(Command::Ready { connection: ConnectionId(connection), encoder: None, fresh })
    }

    fn lost(&mut self, connection: u64) -> Vec<String> {
        self.command(Command::Lost { connection: ConnectionId(connection) })
    }

    fn unpublish(&mut self, connection: u64) -> Vec<String> {
        self.command(Command::Unpublish { connection: ConnectionId(connection) })
    }

    fn wait(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        if self.registry.poll_timeout().is_some_and(|at| at <= self.now) {
            self.registry.handle_timeout(self.now);
        }
        self.outputs()
    }

    /// Publisher 1 is live.
    fn live() -> Self {
        let mut world = Self::new(WINDOW);
        assert_eq!(world.publish(1), ["accept 1"]);
        assert_eq!(world.ready(1), ["grant 1 1 Begins", "started"]);
        world
    }
}

fn key(number: u128) -> StreamKeyId {
    StreamKeyId(uuid::Uuid::from_u128(number))
}

#[test]
fn a_clean_end_ends_the_broadcast_and_a_cut_waits() {
    let mut world = World::live();
    assert_eq!(world.unpublish(1), ["close 1", "ended Unpublished"]);
    assert_eq!(world.registry.poll_timeout(), None);
    let mut world = World::live();
    assert_eq!(world.lost(1), ["interrupted"]);
    assert_eq!(world.wait(WINDOW - Duration::from_millis(1)), [""; 0]);
    assert_eq!(world.wait(Duration::from_millis(1)), ["close 1", "ended ReconnectWindowElapsed"]);
    assert!(world.registry.channels.is_empty() && world.registry.connections.is_empty());
}

#[test]
fn a_publisher_that_comes_back_keeps_the_broadcast() {
    let mut world = World::live();
    world.lost(1);
    assert_eq!(world.publish(2), ["accept 2"]);
    assert_eq!(world.ready(2), ["grant 2 1 Continues", "resumed"]);
    assert_eq!(world.wait(2 * WINDOW), [""; 0]);
}

#[test]
fn a_publisher_that_comes_back_and_sends_nothing_does_not_stop_the_clock() {
    let mut world = World::live();
    world.lost(1);
    world.publish(2);
    assert_eq!(world.wait(WINDOW), ["close 1", "ended ReconnectWindowElapsed"]);
    assert_eq!(world.ready(2), ["grant 2 2 Begins", "started"]);
}

#[test]
fn a_window_of_zero_ends_at_once() {
    let mut world = World::new(Duration::ZERO);
    world.publish(1);
    world.ready(1);
    assert_eq!(world.lost(1), ["close 1", "ended ReconnectWindowElapsed"]);
}

#[test]
fn a_takeover_waits_for_the_old_publisher_to_leave_the_feed() {
    let mut world = World::live();
    assert_eq!(world.publish(2), ["challenge 2"]);
    assert_eq!(world.publish(3), ["deny 3 contended"]);
    assert_eq!(world.ready(2), ["evict 1 taken_over"]);
    assert_eq!(world.lost(1), ["grant 2 1 Continues", "resumed"]);
    assert_eq!(world.publish(1), ["deny 1 held"]);
    world.wait(HOLD - Duration::from_millis(1));
    assert_eq!(world.publish(1), ["deny 1 held"]);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.publish(1), ["challenge 1"]);
}

#[test]
fn a_winner_that_leaves_frees_the_channel() {
    let mut world = World::live();
    world.publish(2);
    world.ready(2);
    world.lost(1);
    assert_eq!(world.lost(2), ["interrupted"]);
    assert_eq!(world.publish(1), ["accept 1"]);
    assert_eq!(world.ready(1), ["grant 1 1 Continues", "resumed"]);
    // It won nothing from anybody, so the channel may be taken over.
    assert_eq!(world.publish(2), ["challenge 2"]);
}

#[test]
fn a_challenger_inherits_a_channel_that_is_left() {
    let mut world = World::live();
    world.publish(2);
    assert_eq!(world.lost(1), ["interrupted"]);
    assert_eq!(world.ready(2), ["grant 2 1 Continues", "resumed"]);
    let mut world = World::live();
    world.publish(2);
    assert_eq!(world.unpublish(1), ["close 1", "ended Unpublished"]);
    assert_eq!(world.ready(2), ["grant 2 2 Begins", "started"]);
}

#[test]
fn a_challenger_that_vanishes_in_the_middle_leaves_an_interrupted_broadcast() {
    let mut world = World::live();
    world.publish(2);
    world.ready(2);
    assert_eq!(world.lost(2), [""; 0]);
    assert_eq!(world.lost(1), ["interrupted"]);
    let mut world = World::live();
    world.publish(2);
    world.ready(2);
    world.lost(2);
    assert_eq!(world.publish(3), ["challenge 3"]);
    assert_eq!(world.lost(1), ["interrupted"]);
    assert_eq!(world.ready(3), ["grant 3 1 Continues", "resumed"]);
}

#[test]
fn a_challenger_with_media_wins_over_a_publisher_without() {
    let mut world = World::new(WINDOW);
    world.publish(1);
    world.publish(2);
    assert_eq!(world.ready(2), ["evict 1 taken_over", "grant 2 1 Begins", "started"]);
    assert_eq!(world.lost(1), [""; 0], "what follows the eviction changes nothing");
}

#[test]
fn a_refusal_ends_the_broadcast_once_the_publisher_has_left() {
    let mut world = World::live();
    let sentence = "no".to_owned();
    let refused = world.command(Command::Refuse { connection: ConnectionId(1), sentence: sentence.clone() });
    assert_eq!(refused, ["evict 1 unpackageable"]);
    assert_eq!(world.lost(1), ["close 1", "ended Refused"]);
    assert_eq!(world.command(Command::Refuse { connection: ConnectionId(1), sentence }), [""; 0]);
}

#[test]
fn a_winner_that_is_refused_leaves_the_broadcast_to_the_one_before() {
    let mut world = World::live();
    world.publish(2);
    world.ready(2);
    assert_eq!(world.lost(1), ["grant 2 1 Continues", "resumed"]);
    let sentence = "no".to_owned();
    let refused = world.command(Command::Refuse { connection: ConnectionId(2), sentence });
    assert_eq!(refused, ["evict 2 unpackageable"]);
    assert_eq!(world.lost(2), ["interrupted"]);
    assert_eq!(world.publish(3), ["accept 3"], "nobody has to wait");
    assert_eq!(world.ready(3), ["grant 3 1 Continues", "resumed"]);
    // A broadcast's own publisher is its end, though it came back in between.
    let refused = world.command(Command::Refuse { connection: ConnectionId(3), sentence: String::new() });
    assert_eq!(refused, ["evict 3 unpackageable"]);
    assert_eq!(world.lost(3), ["close 1", "ended Refused"]);
}

#[test]
fn a_packager_that_is_gone_ends_the_broadcast() {
    let broadcast = BroadcastId(uuid::Uuid::from_u128(1));
    let mut world = World::live();
    assert_eq!(world.command(Command::PackagerGone { broadcast }), ["evict 1 packager"]);
    assert_eq!(world.lost(1), ["close 1", "ended Refused"]);
    let mut world = World::live();
    world.lost(1);
    assert_eq!(world.command(Command::PackagerGone { broadcast }), ["close 1", "ended Refused"]);
}

#[test]
fn a_stop_evicts_everybody_and_closes_no_feed() {
    let mut world = World::live();
    world.publish(2);
    assert_eq!(world.command(Command::Stop), ["evict 2 stopping", "evict 1 stopping"]);
    assert!(!world.registry.is_stopped());
    assert_eq!(world.publish(3), ["deny 3 stopping"]);
    assert_eq!(world.lost(1), ["release 1", "ended ServerStopping"]);
    assert_eq!(world.lost(2), [""; 0]);
    assert!(world.registry.is_stopped());
    let mut world = World::live();
    world.lost(1);
    world.publish(2);
    assert_eq!(world.command(Command::Stop), ["evict 2 stopping", "release 1", "ended ServerStopping"]);
    assert!(world.registry.is_stopped());
}

#[test]
fn a_revoked_key_ends_what_it_publishes_and_never_publishes_again() {
    let mut world = World::new(WINDOW);
    world.publish_with(1, Some(key(1)));
    world.ready(1);
    assert_eq!(world.revoke(2), [""; 0], "another key");
    assert_eq!(world.revoke(1), ["evict 1 key_revoked"]);
    assert_eq!(world.lost(1), ["close 1", "ended Stopped"]);
    assert_eq!(world.revoke(1), [""; 0]);
    // The authority had said yes before.
    assert_eq!(world.publish_with(2, Some(key(1))), ["deny 2 key_revoked"]);
    assert_eq!(world.publish_with(3, Some(key(3))), ["accept 3"], "the channel has other keys");
    assert_eq!(world.revoke(3), ["evict 3 key_revoked"], "before its first media");
    assert_eq!(world.lost(3), [""; 0]);
    assert!(world.registry.channels.is_empty() && world.registry.connections.is_empty());
}

#[test]
fn a_revoked_key_ends_a_broadcast_that_waits_for_it_and_spares_others() {
    let mut world = World::new(WINDOW);
    world.publish_with(1, Some(key(1)));
    world.ready(1);
    world.lost(1);
    assert_eq!(world.revoke(1), ["close 1", "ended Stopped"]);
    let mut world = World::new(WINDOW);
    world.publish_with(1, Some(key(1)));
    world.ready(1);
    world.publish_with(2, Some(key(2)));
    assert_eq!(world.revoke(2), ["evict 2 key_revoked"], "only the challenger");
    world.publish_with(3, Some(key(3)));
    world.ready(3);
    // Publisher 1 is just being replaced by 3 when its key is revoked: what it fed ends, 3 begins its own.
    assert_eq!(world.revoke(1), [""; 0]);
    assert_eq!(world.lost(1), ["close 1", "ended Stopped", "grant 3 2 Begins", "started"]);
}

#[test]
fn revoked_keys_are_remembered_up_to_a_bound() {
    let mut world = World::new(WINDOW);
    for number in 0..=REVOKED_KEPT as u128 {
        world.revoke(number);
    }
    assert_eq!(world.registry.revoked.len(), REVOKED_KEPT);
    assert_eq!(world.publish_with(1, Some(key(REVOKED_KEPT as u128))), ["deny 1 key_revoked"]);
}

#[test]
fn a_stopped_broadcast_ends_and_encoders_that_reconnect_do_not_begin_the_next() {
    let mut world = World::live();
    world.publish(2);
    assert_eq!(world.stop_broadcast(), ["evict 2 stopped", "evict 1 stopped"]);
    assert_eq!(world.lost(1), ["close 1", "ended Stopped"]);
    assert_eq!(world.lost(2), [""; 0]);
    // OBS waits 2 s, and then one and a half times as long each time.
    let mut pause = Duration::from_secs(2);
    for attempt in 3..20 {
        assert_eq!(world.wait(pause), [""; 0]);
        assert_eq!(world.publish(attempt), [format!("deny {attempt} stopped")], "after {pause:?}");
        pause = pause * 3 / 2;
    }
    // Whoever stops the encoder can start again.
    let left = world.registry.poll_timeout().unwrap() - world.now;
    world.wait(left);
    assert!(world.registry.channels.is_empty());
    assert_eq!(world.publish(20), ["accept 20"]);
}

#[test]
fn stopping_what_waits_or_what_is_not_there() {
    let mut world = World::live();
    world.lost(1);
    assert_eq!(world.stop_broadcast(), ["close 1", "ended Stopped"]);
    assert_eq!(world.publish(2), ["deny 2 stopped"]);
    assert_eq!(world.command(Command::Stop), [""; 0]);
    assert!(world.registry.is_stopped(), "a hold keeps no server from stopping");
    let mut world = World::new(WINDOW);
    assert_eq!(world.stop_broadcast(), [""; 0]);
    assert!(world.registry.channels.is_empty(), "nothing is kept of channels that are not live");
    assert_eq!(world.publish(1), ["accept 1"]);
    let sentence = Reason::Stopped { by: StoppedBy::Site, seconds: 60 }.to_string();
    assert!(sentence.contains("by an administrator") && sentence.contains("60 s"), "{sentence}");
}

proptest! {
    /// Whatever connections do: at most one has the feed, one broadcast is open at a time, events come in pairs, and
    /// nothing is left behind.
    #[test]
    fn one_publisher_feeds_one_broadcast(steps in prop::collection::vec((0u8..9, 1u64..5), 0..200)) {
        let mut world = World::new(WINDOW);
        let mut feeding: Option<u64> = None;
        let mut accepted = std::collections::BTreeSet::new();
        let mut evicted = std::collections::BTreeSet::new();
        let mut open: Option<BroadcastId> = None;
        let mut unmatched = 0;
        for (what, who) in steps {
            let connection = ConnectionId(who);
            let busy = accepted.contains(&who) || evicted.contains(&who);
            let command = match what {
                0 | 1 if busy => continue,
                0 | 1 => {
                    let key = Some(key(u128::from(who)));
                    Command::Publish { connection, channel: "studio".parse().unwrap(), key }
                }
                2 | 3 if !accepted.contains(&who) => continue,
                2 | 3 => {
                    world.fresh += 1;
                    let fresh = BroadcastId(uuid::Uuid::from_u128(world.fresh));
                    Command::Ready { connection, encoder: None, fresh }
                }
                4 | 5 => {
                    accepted.remove(&who);
                    evicted.remove(&who);
                    feeding = feeding.filter(|f| *f != who);
                    if what == 4 { Command::Lost { connection } } else { Command::Unpublish { connection } }
                }
                // Rarely, or else nothing ever publishes.
                6 if who == 4 => Command::RevokeKey { key: key(u128::from(who)) },
                7 if who == 1 => {
                    Command::StopBroadcast { channel: "studio".parse().unwrap(), by: StoppedBy::Owner }
                }
                _ => {
                    world.now += WINDOW / 3;
                    world.registry.handle_timeout(world.now);
                    Command::Lost { connection: ConnectionId(99) }
                }
            };
            world.registry.handle_command(world.now, command);
            while let Some(output) = world.registry.poll_output() {
                match output {
                    Output::Accept { connection, .. } => { accepted.insert(connection.0); }
                    Output::Evict { connection, .. } => {
                        accepted.remove(&connection.0);
                        evicted.insert(connection.0);
                    }
                    Output::Grant { connection, broadcast, entry, .. } => {
                        prop_assert_eq!(feeding, None, "two have the feed");
                        feeding = Some(connection.0);
                        prop_assert_eq!(open.is_some(), entry == Entry::Continues);
                        prop_assert!(open.is_none_or(|known| known == broadcast));
                        open = Some(broadcast);
                    }
                    Output::Close { broadcast } => {
                        prop_assert_eq!(open.take(), Some(broadcast));
                        prop_assert_eq!(feeding, None, "closed under a publisher");
                    }
                    Output::Started { .. } => unmatched += 1,
                    Output::Ended { .. } => unmatched -= 1,
                    _ => {}
                }
                prop_assert!((0..=1).contains(&unmatched));
            }
        }
        for who in 1..5 {
            world.lost(who);
        }
        while let Some(at) = world.registry.poll_timeout() {
            world.now = at;
            world.registry.handle_timeout(at);
        }
        prop_assert!(world.registry.channels.is_empty() && world.registry.connections.is_empty());
    }
}
