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
//! A value: after each `handle_*`, call [`Registry::poll_output`] until it is `None`. No tag passes through here.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use millrace_core::event::EndReason;
use millrace_core::ids::{BroadcastId, ChannelName, ConnectionId};

/// Times of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryConfig {
    /// How long a broadcast waits for its publisher to come back.
    pub reconnect_window: Duration,
    /// How long after a takeover no other may take the channel.
    pub takeover_hold: Duration,
}

/// What connections, packagers and the server say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// An authorised publisher asks for its channel. Answered by [`Output::Accept`] or [`Output::Deny`].
    Publish {
        /// Who.
        connection: ConnectionId,
        /// Where.
        channel: ChannelName,
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
    /// `stream.started`.
    Started {
        /// Where.
        channel: ChannelName,
        /// What.
        broadcast: BroadcastId,
        /// By which encoder.
        encoder: Option<String>,
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
}

/// All channels that have a publisher or a broadcast.
#[derive(Debug)]
pub struct Registry {
    config: RegistryConfig,
    channels: HashMap<ChannelName, Channel>,
    connections: HashMap<ConnectionId, ChannelName>,
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
            outputs: VecDeque::new(),
            stopping: false,
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the next reconnect window elapses.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.channels.values().filter_map(|channel| channel.until).min()
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
        let due = |channel: &Channel| channel.until.is_some_and(|until| until <= now);
        let elapsed: Vec<ChannelName> =
            self.channels.iter().filter(|(_, c)| due(c)).map(|(name, _)| name.clone()).collect();
        for name in elapsed {
            self.end(&name, EndReason::ReconnectWindowElapsed);
            self.forget_if_empty(&name);
        }
    }

    /// Takes a command.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Publish { connection, channel } => self.publish(now, connection, channel),
            Command::Ready { connection, encoder, fresh } => self.ready(now, connection, encoder, fresh),
            Command::Unpublish { connection } => self.leave(now, connection, true),
            Command::Lost { connection } => self.leave(now, connection, false),
            Command::Refuse { connection, sentence } => {
                self.evict_current(connection, Reason::Unpackageable(sentence), EndReason::Refused);
            }
            Command::PackagerGone { broadcast } => self.packager_gone(broadcast),
            Command::Stop => self.stop(),
        }
    }

    fn publish(&mut self, now: Instant, connection: ConnectionId, name: ChannelName) {
        if self.stopping {
            return self.outputs.push_back(Output::Deny { connection, reason: Reason::Stopping });
        }
        let hold = self.config.takeover_hold;
        let channel = self.channels.entry(name.clone()).or_default();
        let held_for = match &channel.current {
            Some((_, Role::Live { won: Some(won) })) => hold.checked_sub(now.saturating_duration_since(*won)),
            _ => None,
        };
        let reason = if let Some(left) = held_for.filter(|left| !left.is_zero()) {
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            Some(Reason::Held { channel: name.clone(), seconds })
        } else if channel.challenger.is_some() {
            Some(Reason::Contended { channel: name.clone() })
        } else {
            None
        };
        if let Some(reason) = reason {
            return self.outputs.push_back(Output::Deny { connection, reason });
        }
        let challenger = channel.current.is_some();
        if challenger {
            channel.challenger = Some(Challenger { connection, ready: None });
        } else {
            channel.current = Some((connection, Role::Opening));
        }
        self.connections.insert(connection, name);
        self.outputs.push_back(Output::Accept { connection, challenger });
    }

    fn ready(&mut self, now: Instant, connection: ConnectionId, encoder: Option<String>, fresh: BroadcastId) {
        let Some(name) = self.connections.get(&connection).cloned() else { return };
        let Some(channel) = self.channels.get_mut(&name) else { return };
        match (&mut channel.current, &mut channel.challenger) {
            (Some((current, Role::Opening)), _) if *current == connection => {
                self.grant(&name, connection, encoder, fresh, None);
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
        name: &ChannelName,
        connection: ConnectionId,
        encoder: Option<String>,
        fresh: BroadcastId,
        won: Option<Instant>,
    ) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.current = Some((connection, Role::Live { won }));
        channel.until = None;
        let (broadcast, entry) = match channel.broadcast {
            Some(broadcast) => (broadcast, Entry::Continues),
            None => (fresh, Entry::Begins),
        };
        channel.broadcast = Some(broadcast);
        let channel = name.clone();
        self.outputs.push_back(Output::Grant { connection, channel: channel.clone(), broadcast, entry });
        self.outputs.push_back(match entry {
            Entry::Begins => Output::Started { channel, broadcast, encoder },
            Entry::Continues => Output::Resumed { channel, broadcast, encoder },
        });
    }

    /// `connection` is out of its channel, and so is what it fed.
    fn leave(&mut self, now: Instant, connection: ConnectionId, clean: bool) {
        let Some(name) = self.connections.remove(&connection) else { return };
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
            self.grant(name, connection, encoder, fresh, Some(now));
        }
    }

    fn end(&mut self, name: &ChannelName, reason: EndReason) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.until = None;
        let Some(broadcast) = channel.broadcast.take() else { return };
        self.outputs.push_back(match reason {
            EndReason::ServerStopping => Output::Release { broadcast },
            _ => Output::Close { broadcast },
        });
        self.outputs.push_back(Output::Ended { channel: name.clone(), broadcast, reason });
    }

    fn evict_current(&mut self, connection: ConnectionId, reason: Reason, end: EndReason) {
        let Some(name) = self.connections.get(&connection) else { return };
        let Some(channel) = self.channels.get_mut(name) else { return };
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
        let empty = |c: &Channel| c.current.is_none() && c.challenger.is_none() && c.broadcast.is_none();
        if self.channels.get(name).is_some_and(empty) {
            self.channels.remove(name);
        }
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
