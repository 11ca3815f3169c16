//! Who publishes to which channel: one publisher each, reconnect window, takeover.
//!
//! ```text
//!            Publish             Ready (first media)            Lost
//!   (idle) ──────────> opening ──────────────────────> live ──────────> interrupted
//!                         ^                             │ Unpublish        │ window elapsed
//!                         └── Publish ──────────────────┼──────────────────┤
//!                                                       v                  v
//!                                                     ended              ended
//! ```
//! A second publisher is a *challenger* until its first keyframe. Then the publisher before it is evicted; once that
//! one has left the feed the challenger is granted it. For [`RegistryConfig::takeover_hold`] nobody can take the
//! channel back, unless the winner leaves: encoders that reconnect by themselves would play ping-pong.
//!
//! Other nodes may have the channel. Of two broadcasts the one with the greater id stays: a publisher that begins one
//! where it is live elsewhere takes over, and the other node gives way when it hears of that. Holds are kept here too.
//!
//! A value: after each `handle_*`, call [`Registry::poll_output`] until it is `None`. No tag passes through here.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_core::event::{EndReason, StoppedBy};
use millrace_core::ids::{BroadcastId, ChannelName, ConnectionId, StreamKeyId};
use millrace_core::nodes::{Elsewhere, Owner};

/// Revoked keys that are remembered: an authority may have said yes just before the revocation arrived.
const REVOKED_KEPT: usize = 1024;

/// Times of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryConfig {
    /// How long a broadcast waits for its publisher to come back.
    pub reconnect_window: Duration,
    /// How long after a takeover no other may take the channel.
    pub takeover_hold: Duration,
    /// How long after a broadcast was stopped no encoder may begin the next.
    pub stop_hold: Duration,
}

/// What connections, packagers and the server say.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// An authorised publisher asks for its channel. Answered by [`Output::Accept`] or [`Output::Deny`].
    Publish {
        /// Who.
        connection: ConnectionId,
        /// Where.
        channel: ChannelName,
        /// With which key, if there are keys.
        key: Option<StreamKeyId>,
    },
    /// An accepted publisher has media to start with. Answered by [`Output::Grant`], at once or after an eviction.
    Ready {
        /// Who.
        connection: ConnectionId,
        /// The encoder's name.
        encoder: Option<String>,
        /// Id of the broadcast, should this begin one.
        fresh: BroadcastId,
    },
    /// A publisher ended its publish; what it fed is complete.
    Unpublish {
        /// Who.
        connection: ConnectionId,
    },
    /// A publisher is gone, or left its channel after an eviction; what it fed is complete.
    Lost {
        /// Who.
        connection: ConnectionId,
    },
    /// The packager cannot package what a publisher sends.
    Refuse {
        /// Whose media.
        connection: ConnectionId,
        /// Which codec, and what to do.
        sentence: String,
    },
    /// A packager has stopped.
    PackagerGone {
        /// Of which broadcast.
        broadcast: BroadcastId,
    },
    /// A key publishes no more.
    RevokeKey {
        /// Which.
        key: StreamKeyId,
    },
    /// The broadcast of a channel is to end.
    StopBroadcast {
        /// Which.
        channel: ChannelName,
        /// Who says so.
        by: StoppedBy,
    },
    /// What other nodes have now.
    Elsewhere(Arc<Elsewhere>),
    /// The server stops.
    Stop,
}

/// Why a publisher may not begin, or may not go on. `Display` is the sentence for the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Another one took the channel a moment ago.
    #[error(
        "Another encoder has taken over channel {channel}. Stop it, or try again in {seconds} s; if you did not start \
         it, change your stream key."
    )]
    Held {
        /// The channel.
        channel: ChannelName,
        /// Seconds until it can be taken back.
        seconds: u64,
    },
    /// Somebody else is about to take the channel over.
    #[error("Another encoder is just taking over channel {channel}. Stop it, then start this one again.")]
    Contended {
        /// The channel.
        channel: ChannelName,
    },
    /// Another one took over.
    #[error(
        "Another encoder has taken over channel {channel}. Stop this one; if you did not start the other, change your \
         stream key."
    )]
    TakenOver {
        /// The channel.
        channel: ChannelName,
    },
    /// The media cannot be packaged.
    #[error("{0}")]
    Unpackageable(String),
    /// Its key was revoked.
    #[error("This stream key was revoked. Copy a new one from the stream manager into your encoder.")]
    KeyRevoked,
    /// The broadcast was stopped from outside.
    #[error(
        "The broadcast was stopped {}. Stop your encoder, and start it again after {seconds} s for a new broadcast.",
        stopped_where(*.by)
    )]
    Stopped {
        /// Who did.
        by: StoppedBy,
        /// Seconds until the next may begin.
        seconds: u64,
    },
    /// Our fault.
    #[error("The server cannot package this broadcast any more. Start the stream again.")]
    PackagerGone,
    /// The server stops.
    #[error("The server is restarting. Keep the encoder reconnecting; the broadcast goes on in a moment.")]
    Stopping,
}

impl Reason {
    /// Name of the kind, for counting.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Held { .. } => "held",
            Self::Contended { .. } => "contended",
            Self::TakenOver { .. } => "taken_over",
            Self::Unpackageable(_) => "unpackageable",
            Self::KeyRevoked => "key_revoked",
            Self::Stopped { .. } => "stopped",
            Self::PackagerGone => "packager",
            Self::Stopping => "stopping",
        }
    }
}

/// How a publisher enters its broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The broadcast begins with it: open the feed.
    Begins,
    /// The broadcast goes on.
    Continues,
}

/// What the server has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Tell the publisher that it may begin.
    Accept {
        /// Who.
        connection: ConnectionId,
        /// Whether it has to wait for a keyframe, because it takes over.
        challenger: bool,
    },
    /// Tell the publisher that it may not, and close.
    Deny {
        /// Who.
        connection: ConnectionId,
        /// Why.
        reason: Reason,
    },
    /// Give the publisher the feed.
    Grant {
        /// Who.
        connection: ConnectionId,
        /// Where.
        channel: ChannelName,
        /// Of which broadcast.
        broadcast: BroadcastId,
        /// New or not.
        entry: Entry,
    },
    /// Take the feed from the publisher, tell it why, and close. It answers with [`Command::Lost`].
    Evict {
        /// Who.
        connection: ConnectionId,
        /// Why.
        reason: Reason,
    },
    /// Say `Ended` on the feed and let go of it.
    Close {
        /// Of which broadcast.
        broadcast: BroadcastId,
    },
    /// Let go of the feed without `Ended`: players go on after the restart.
    Release {
        /// Of which broadcast.
        broadcast: BroadcastId,
    },
    /// Say on the feed that the broadcast goes on at another node, and let go of it.
    Yield {
        /// Of which broadcast.
        broadcast: BroadcastId,
    },
    /// `stream.started`.
    Started {
        /// Where.
        channel: ChannelName,
        /// What.
        broadcast: BroadcastId,
        /// By which encoder.
        encoder: Option<String>,
        /// Until when nobody may take the channel from it.
        held_until: Option<Instant>,
    },
    /// `stream.interrupted`.
    Interrupted {
        /// Where.
        channel: ChannelName,
        /// What.
        broadcast: BroadcastId,
        /// How long it waits.
        window: Duration,
    },
    /// `stream.resumed`.
    Resumed {
        /// Where.
        channel: ChannelName,
        /// What.
        broadcast: BroadcastId,
        /// By which encoder.
        encoder: Option<String>,
        /// Until when nobody may take the channel from it.
        held_until: Option<Instant>,
    },
    /// `stream.ended`.
    Ended {
        /// Where.
        channel: ChannelName,
        /// What.
        broadcast: BroadcastId,
        /// Why.
        reason: EndReason,
    },
}

/// What the publisher of a channel does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    /// Has sent nothing to start with.
    Opening,
    /// Feeds the packager. `won`: when it took over, if it did.
    Live { won: Option<Instant> },
    /// Has been evicted and leaves the feed.
    Leaving { then: Then },
}

/// What follows once an evicted publisher has left.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Then {
    /// The challenger, if there is one that has media, gets the feed; or else the broadcast waits.
    HandOver,
    /// The broadcast ends.
    End(EndReason),
}

fn stopped_where(by: StoppedBy) -> &'static str {
    match by {
        StoppedBy::Owner => "in the stream manager",
        StoppedBy::Site => "by an administrator of this site",
    }
}

/// Whole seconds that are left, so that waiting for them is enough.
fn seconds(left: Duration) -> u64 {
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

/// How long nobody may take a channel from the node that has it.
fn held(owner: Option<&Owner>, now: Instant) -> Option<Duration> {
    let until =
        owner?.held_until.filter(|_| owner.is_some_and(|owner| owner.stream.interrupted_until.is_none()))?;
    Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
}

#[derive(Debug)]
struct Challenger {
    connection: ConnectionId,
    /// What it said when it had a keyframe.
    ready: Option<(Option<String>, BroadcastId)>,
}

#[derive(Debug, Default)]
struct Channel {
    current: Option<(ConnectionId, Role)>,
    challenger: Option<Challenger>,
    broadcast: Option<BroadcastId>,
    /// When an interrupted broadcast ends.
    until: Option<Instant>,
    /// The key of the newest publisher that had the feed.
    key: Option<StreamKeyId>,
    stopped: Option<Stopped>,
}

/// A broadcast was stopped: encoders reconnect by themselves, and the next broadcast must not begin that way.
#[derive(Debug, Clone, Copy)]
struct Stopped {
    by: StoppedBy,
    at: Instant,
    until: Instant,
}

/// What a connection publishes.
#[derive(Debug, Clone)]
struct Holder {
    channel: ChannelName,
    key: Option<StreamKeyId>,
}

impl Channel {
    fn is_empty(&self) -> bool {
        self.current.is_none()
            && self.challenger.is_none()
            && self.broadcast.is_none()
            && self.stopped.is_none()
    }
}

/// All channels that have a publisher or a broadcast.
#[derive(Debug)]
pub struct Registry {
    config: RegistryConfig,
    channels: HashMap<ChannelName, Channel>,
    connections: HashMap<ConnectionId, Holder>,
    /// The newest revoked keys.
    revoked: VecDeque<StreamKeyId>,
    elsewhere: Arc<Elsewhere>,
    outputs: VecDeque<Output>,
    stopping: bool,
}

impl Registry {
    /// A registry without publishers.
    #[must_use]
    pub fn new(config: RegistryConfig) -> Self {
        Self {
            config,
            channels: HashMap::new(),
            connections: HashMap::new(),
            revoked: VecDeque::new(),
            elsewhere: Arc::default(),
            outputs: VecDeque::new(),
            stopping: false,
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the next reconnect window or hold elapses.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let held = |channel: &Channel| channel.stopped.map(|stopped| stopped.until);
        self.channels.values().flat_map(|channel| [channel.until, held(channel)]).flatten().min()
    }

    /// Whether a stop was asked for and everything is over.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopping && self.channels.is_empty()
    }

    /// Publishers that feed a packager.
    #[must_use]
    pub fn live_publishers(&self) -> usize {
        let live = |channel: &&Channel| matches!(channel.current, Some((_, Role::Live { .. })));
        self.channels.values().filter(live).count()
    }

    /// Ends what waited too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        for channel in self.channels.values_mut() {
            channel.stopped = channel.stopped.filter(|stopped| stopped.until > now);
        }
        let due = |channel: &Channel| channel.until.is_some_and(|until| until <= now);
        let elapsed: Vec<ChannelName> =
            self.channels.iter().filter(|(_, c)| due(c)).map(|(name, _)| name.clone()).collect();
        for name in elapsed {
            self.end(&name, EndReason::ReconnectWindowElapsed);
        }
        self.channels.retain(|_, channel| !channel.is_empty());
    }

    /// Takes a command.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Publish { connection, channel, key } => self.publish(now, connection, channel, key),
            Command::Ready { connection, encoder, fresh } => self.ready(now, connection, encoder, fresh),
            Command::Unpublish { connection } => self.leave(now, connection, true),
            Command::Lost { connection } => self.leave(now, connection, false),
            Command::Refuse { connection, sentence } => {
                self.evict_current(connection, Reason::Unpackageable(sentence), EndReason::Refused);
            }
            Command::PackagerGone { broadcast } => self.packager_gone(broadcast),
            Command::RevokeKey { key } => self.revoke(now, key),
            Command::StopBroadcast { channel, by } => self.stop_broadcast(now, &channel, by),
            Command::Elsewhere(elsewhere) => self.give_way(elsewhere),
            Command::Stop => self.stop(),
        }
    }

    fn publish(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        name: ChannelName,
        key: Option<StreamKeyId>,
    ) {
        if self.stopping {
            return self.outputs.push_back(Output::Deny { connection, reason: Reason::Stopping });
        }
        if key.is_some_and(|key| self.revoked.contains(&key)) {
            return self.outputs.push_back(Output::Deny { connection, reason: Reason::KeyRevoked });
        }
        let hold = self.config.takeover_hold;
        let stop_hold = self.config.stop_hold;
        let channel = self.channels.entry(name.clone()).or_default();
        if let Some(stopped) = channel.stopped.as_mut().filter(|stopped| stopped.until > now) {
            // An encoder waits longer and longer between its attempts; the hold must outlast that.
            stopped.until = now + stop_hold.max(now.saturating_duration_since(stopped.at));
            let reason = Reason::Stopped { by: stopped.by, seconds: seconds(stopped.until - now) };
            return self.outputs.push_back(Output::Deny { connection, reason });
        }
        let held_for = match &channel.current {
            Some((_, Role::Live { won: Some(won) })) => hold.checked_sub(now.saturating_duration_since(*won)),
            _ => None,
        };
        // Whoever continues a broadcast of this node takes nothing from another.
        let held_elsewhere = match channel.broadcast {
            Some(_) => None,
            None => held(self.elsewhere.owner(&name), now),
        };
        let reason = if let Some(left) = held_for.filter(|left| !left.is_zero()).or(held_elsewhere) {
            Some(Reason::Held { channel: name.clone(), seconds: seconds(left) })
        } else if channel.challenger.is_some() {
            Some(Reason::Contended { channel: name.clone() })
        } else {
            None
        };
        if let Some(reason) = reason {
            self.forget_if_empty(&name);
            return self.outputs.push_back(Output::Deny { connection, reason });
        }
        let challenger = channel.current.is_some();
        if challenger {
            channel.challenger = Some(Challenger { connection, ready: None });
        } else {
            channel.current = Some((connection, Role::Opening));
        }
        self.connections.insert(connection, Holder { channel: name, key });
        self.outputs.push_back(Output::Accept { connection, challenger });
    }

    fn ready(&mut self, now: Instant, connection: ConnectionId, encoder: Option<String>, fresh: BroadcastId) {
        let Some(Holder { channel: name, .. }) = self.connections.get(&connection).cloned() else { return };
        let Some(channel) = self.channels.get_mut(&name) else { return };
        match (&mut channel.current, &mut channel.challenger) {
            (Some((current, Role::Opening)), _) if *current == connection => {
                self.grant(now, &name, connection, encoder, fresh, None);
            }
            (Some((current, role)), Some(challenger)) if challenger.connection == connection => {
                challenger.ready = Some((encoder, fresh));
                let (current, opening) = (*current, *role == Role::Opening);
                if matches!(role, Role::Leaving { .. }) {
                    return;
                }
                *role = Role::Leaving { then: Then::HandOver };
                let reason = Reason::TakenOver { channel: name.clone() };
                self.outputs.push_back(Output::Evict { connection: current, reason });
                if opening {
                    // It feeds nothing, so there is nothing to wait for.
                    self.leave(now, current, false);
                }
            }
            _ => {}
        }
    }

    /// Gives `connection`, whose channel has no other publisher, the feed.
    fn grant(
        &mut self,
        now: Instant,
        name: &ChannelName,
        connection: ConnectionId,
        encoder: Option<String>,
        fresh: BroadcastId,
        won: Option<Instant>,
    ) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        let (broadcast, entry, won) = match (channel.broadcast, self.elsewhere.owner(name)) {
            (Some(broadcast), _) => (broadcast, Entry::Continues, won),
            (None, None) => (fresh, Entry::Begins, won),
            (None, Some(owner)) => {
                // Another node may have been faster.
                if let Some(left) = held(Some(owner), now) {
                    let reason = Reason::Held { channel: name.clone(), seconds: seconds(left) };
                    self.outputs.push_back(Output::Evict { connection, reason });
                    channel.current = None;
                    self.connections.remove(&connection);
                    return self.forget_if_empty(name);
                }
                let publishes = owner.stream.interrupted_until.is_none();
                (fresh.after(owner.stream.broadcast), Entry::Begins, won.or(publishes.then_some(now)))
            }
        };
        channel.current = Some((connection, Role::Live { won }));
        channel.key = self.connections.get(&connection).and_then(|holder| holder.key);
        channel.until = None;
        channel.broadcast = Some(broadcast);
        let held_until = won.map(|won| won + self.config.takeover_hold);
        let channel = name.clone();
        self.outputs.push_back(Output::Grant { connection, channel: channel.clone(), broadcast, entry });
        self.outputs.push_back(match entry {
            Entry::Begins => Output::Started { channel, broadcast, encoder, held_until },
            Entry::Continues => Output::Resumed { channel, broadcast, encoder, held_until },
        });
    }

    /// Ends every broadcast whose channel has a newer one on another node.
    fn give_way(&mut self, elsewhere: Arc<Elsewhere>) {
        let newer = |name: &ChannelName, mine: BroadcastId| {
            elsewhere.owner(name).is_some_and(|owner| owner.stream.broadcast > mine)
        };
        let old = |(name, channel): (&ChannelName, &Channel)| {
            channel.broadcast.is_some_and(|mine| newer(name, mine)).then(|| name.clone())
        };
        let names: Vec<ChannelName> = self.channels.iter().filter_map(old).collect();
        self.elsewhere = elsewhere;
        for name in names {
            let Some(channel) = self.channels.get_mut(&name) else { continue };
            match &mut channel.current {
                Some((connection, role @ Role::Live { .. })) => {
                    *role = Role::Leaving { then: Then::End(EndReason::TakenOver) };
                    let reason = Reason::TakenOver { channel: name };
                    self.outputs.push_back(Output::Evict { connection: *connection, reason });
                }
                Some((_, Role::Leaving { then })) => *then = Then::End(EndReason::TakenOver),
                Some((_, Role::Opening)) | None => {
                    self.end(&name, EndReason::TakenOver);
                    self.forget_if_empty(&name);
                }
            }
        }
    }

    /// `connection` is out of its channel, and so is what it fed.
    fn leave(&mut self, now: Instant, connection: ConnectionId, clean: bool) {
        let Some(Holder { channel: name, .. }) = self.connections.remove(&connection) else { return };
        let Some(channel) = self.channels.get_mut(&name) else { return };
        if channel.challenger.as_ref().is_some_and(|c| c.connection == connection) {
            channel.challenger = None;
            return;
        }
        let Some((current, role)) = channel.current.take() else { return };
        if current != connection {
            channel.current = Some((current, role));
            return;
        }
        match role {
            Role::Opening => {}
            Role::Leaving { then: Then::HandOver } => {
                // The challenger may have gone in between, and another may have come.
                if channel.challenger.as_ref().is_none_or(|challenger| challenger.ready.is_none()) {
                    self.interrupt(now, &name);
                }
            }
            Role::Leaving { then: Then::End(reason) } => self.end(&name, reason),
            Role::Live { .. } if clean => self.end(&name, EndReason::Unpublished),
            Role::Live { .. } => self.interrupt(now, &name),
        }
        self.promote_challenger(now, &name);
        self.forget_if_empty(&name);
    }

    fn interrupt(&mut self, now: Instant, name: &ChannelName) {
        let window = self.config.reconnect_window;
        let Some(channel) = self.channels.get_mut(name) else { return };
        let Some(broadcast) = channel.broadcast else { return };
        if self.stopping {
            self.end(name, EndReason::ServerStopping);
        } else if window.is_zero() {
            self.end(name, EndReason::ReconnectWindowElapsed);
        } else {
            channel.until = Some(now + window);
            self.outputs.push_back(Output::Interrupted { channel: name.clone(), broadcast, window });
        }
    }

    /// The channel has no publisher: a challenger becomes it, and gets the feed if it has media already.
    fn promote_challenger(&mut self, now: Instant, name: &ChannelName) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        let Some(Challenger { connection, ready }) = channel.challenger.take() else { return };
        channel.current = Some((connection, Role::Opening));
        if let Some((encoder, fresh)) = ready {
            self.grant(now, name, connection, encoder, fresh, Some(now));
        }
    }

    fn end(&mut self, name: &ChannelName, reason: EndReason) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.until = None;
        let Some(broadcast) = channel.broadcast.take() else { return };
        self.outputs.push_back(match reason {
            EndReason::ServerStopping => Output::Release { broadcast },
            EndReason::TakenOver => Output::Yield { broadcast },
            _ => Output::Close { broadcast },
        });
        self.outputs.push_back(Output::Ended { channel: name.clone(), broadcast, reason });
    }

    fn evict_current(&mut self, connection: ConnectionId, reason: Reason, end: EndReason) {
        let Some(holder) = self.connections.get(&connection) else { return };
        let Some(channel) = self.channels.get_mut(&holder.channel) else { return };
        if let Some((current, role @ Role::Live { .. })) = &mut channel.current
            && *current == connection
        {
            let unpackageable = matches!(reason, Reason::Unpackageable(_));
            let then = match role {
                // The one it took over from may come back, and the broadcast goes on.
                Role::Live { won: Some(_) } if unpackageable => Then::HandOver,
                _ => Then::End(end),
            };
            *role = Role::Leaving { then };
            self.outputs.push_back(Output::Evict { connection, reason });
        }
    }

    fn revoke(&mut self, now: Instant, key: StreamKeyId) {
        if self.revoked.contains(&key) {
            return;
        }
        if self.revoked.len() == REVOKED_KEPT {
            self.revoked.pop_front();
        }
        self.revoked.push_back(key);
        let holders = self.connections.iter().filter(|(_, holder)| holder.key == Some(key));
        let dismissed: Vec<ConnectionId> = holders.map(|(connection, _)| *connection).collect();
        for connection in dismissed {
            self.dismiss(now, connection, &Reason::KeyRevoked);
        }
        // Its publisher is away and would be refused.
        let waiting = |channel: &Channel| channel.key == Some(key) && channel.until.is_some();
        let orphans: Vec<ChannelName> =
            self.channels.iter().filter(|(_, c)| waiting(c)).map(|(name, _)| name.clone()).collect();
        for name in orphans {
            self.end(&name, EndReason::Stopped);
            self.forget_if_empty(&name);
        }
    }

    fn stop_broadcast(&mut self, now: Instant, name: &ChannelName, by: StoppedBy) {
        let hold = self.config.stop_hold;
        if !self.channels.contains_key(name) && self.elsewhere.owner(name).is_some() {
            // Its encoder may come here next.
            self.channels.insert(name.clone(), Channel::default());
        }
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.stopped = (!hold.is_zero()).then_some(Stopped { by, at: now, until: now + hold });
        let current = channel.current.as_ref().map(|(connection, _)| *connection);
        let challenger = channel.challenger.as_ref().map(|challenger| challenger.connection);
        let reason = Reason::Stopped { by, seconds: seconds(hold) };
        for connection in challenger.into_iter().chain(current) {
            self.dismiss(now, connection, &reason);
        }
        if self.channels.get(name).is_some_and(|channel| channel.current.is_none()) {
            self.end(name, EndReason::Stopped);
        }
        self.forget_if_empty(name);
    }

    /// Sends a publisher away, whatever it does; the broadcast that it feeds ends.
    fn dismiss(&mut self, now: Instant, connection: ConnectionId, reason: &Reason) {
        let Some(holder) = self.connections.get(&connection) else { return };
        let Some(channel) = self.channels.get_mut(&holder.channel) else { return };
        let evict = Output::Evict { connection, reason: reason.clone() };
        match &mut channel.current {
            Some((current, role @ Role::Live { .. })) if *current == connection => {
                *role = Role::Leaving { then: Then::End(EndReason::Stopped) };
                self.outputs.push_back(evict);
            }
            // Sent away already; but what it fed does not go on.
            Some((current, Role::Leaving { then })) if *current == connection => {
                *then = Then::End(EndReason::Stopped);
            }
            // It feeds nothing, so there is nothing to wait for.
            _ => {
                self.outputs.push_back(evict);
                self.leave(now, connection, false);
            }
        }
    }

    fn packager_gone(&mut self, broadcast: BroadcastId) {
        let found = self.channels.iter().find(|(_, channel)| channel.broadcast == Some(broadcast));
        let Some((name, channel)) = found else { return };
        let name = name.clone();
        match &channel.current {
            Some((connection, Role::Live { .. })) => {
                let connection = *connection;
                self.evict_current(connection, Reason::PackagerGone, EndReason::Refused);
            }
            Some((_, Role::Leaving { .. })) => {}
            _ => self.end(&name, EndReason::Refused),
        }
        self.forget_if_empty(&name);
    }

    fn stop(&mut self) {
        self.stopping = true;
        let names: Vec<ChannelName> = self.channels.keys().cloned().collect();
        for name in names {
            let Some(channel) = self.channels.get_mut(&name) else { continue };
            channel.stopped = None;
            if let Some(challenger) = channel.challenger.take() {
                self.connections.remove(&challenger.connection);
                let reason = Reason::Stopping;
                self.outputs.push_back(Output::Evict { connection: challenger.connection, reason });
            }
            match &mut channel.current {
                Some((connection, role)) => {
                    let connection = *connection;
                    let leaving = matches!(role, Role::Leaving { .. });
                    let opening = *role == Role::Opening;
                    if opening {
                        channel.current = None;
                        self.connections.remove(&connection);
                    } else {
                        *role = Role::Leaving { then: Then::End(EndReason::ServerStopping) };
                    }
                    if !leaving {
                        self.outputs.push_back(Output::Evict { connection, reason: Reason::Stopping });
                    }
                    if opening {
                        self.end(&name, EndReason::ServerStopping);
                    }
                }
                None => self.end(&name, EndReason::ServerStopping),
            }
            self.forget_if_empty(&name);
        }
    }

    fn forget_if_empty(&mut self, name: &ChannelName) {
        if self.channels.get(name).is_some_and(Channel::is_empty) {
            self.channels.remove(name);
        }
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "publish_elsewhere_tests.rs"]
mod elsewhere_tests;
