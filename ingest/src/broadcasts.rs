//! The task that owns the [`Registry`]: carries out what it decides, and knows how to reach connections, feeds and
//! the bus. It waits for none of them but the bus queue, so no connection can hold up another.
#![expect(clippy::disallowed_methods, reason = "shell: clock, identifiers, tasks")]

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use millrace_core::bus::{Bus, Subscription, Topic, traced};
use millrace_core::event::{
    EndReason, Event, EventBody, KeyRevoked, SpecVersion, StreamEnded, StreamInterrupted, StreamResumed,
    StreamStarted, StreamStop,
};
use millrace_core::feed::{BroadcastSink, BroadcastStart, FeedHandle, FeedItem, FeedReply, FeedSender};
use millrace_core::ids::{BroadcastId, ChannelName, ConnectionId, NodeName};
use millrace_core::ladder::ChannelLadder;
use millrace_core::nodes::Elsewhere;
use millrace_core::playback::Access;
use millrace_core::trace::Cause;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::authority::PublishGrant;
use crate::publish::{Command, Entry, Output, Reason, Registry, RegistryConfig};

/// Orders that can wait for one connection; it gets four in its life.
pub(crate) const CONTROL_QUEUE: usize = 8;
/// Commands that can wait for the task.
const COMMAND_QUEUE: usize = 1024;
/// Events that can wait for the bus.
const EVENT_QUEUE: usize = 1024;

/// What a connection is told.
#[derive(Debug)]
pub(crate) enum Control {
    /// It may publish.
    Accept { challenger: bool },
    /// It may not.
    Deny(Reason),
    /// Here is the feed.
    Grant { feed: FeedSender, channel: ChannelName, broadcast: BroadcastId },
    /// Leave the feed, tell the publisher, close.
    Evict(Reason),
}

/// How a connection is reached.
#[derive(Debug)]
pub(crate) struct Link {
    /// Its orders.
    pub(crate) control: mpsc::Sender<Control>,
    /// Where it runs. The packager of a broadcast that it begins runs there too.
    pub(crate) runtime: Handle,
    /// What its publish is called in logs and events.
    pub(crate) cause: Cause,
}

/// A connection that publishes or asks to.
#[derive(Debug)]
struct Connection {
    link: Link,
    /// What a broadcast that it begins needs to be fetched.
    access: Access,
    /// The rungs of a broadcast that it begins.
    ladder: ChannelLadder,
}

/// What reaches the task.
#[derive(Debug)]
pub(crate) enum ToBroadcasts {
    /// A publisher asks for its channel.
    Publish { connection: ConnectionId, grant: PublishGrant, link: Link },
    /// Everything else.
    Command(Command),
    /// What another role wants of a channel, and why.
    Order { command: Command, channel: ChannelName, cause: Cause },
}

/// A broadcast that this node has.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveBroadcast {
    /// Its channel.
    pub channel: ChannelName,
    /// Its id.
    pub broadcast: BroadcastId,
    /// When its first media arrived.
    pub started_at: Timestamp,
    /// While the publisher is away: when it ends unless one comes back.
    pub interrupted_until: Option<Timestamp>,
    /// The encoder's name, if it gave one.
    pub encoder: Option<String>,
    /// Until when nobody may take the channel from its publisher.
    pub held_until: Option<Instant>,
}

/// What connects this node with others. Without them it is alone.
#[derive(Debug, Clone)]
pub struct Neighbours {
    /// What they have.
    pub elsewhere: watch::Receiver<Arc<Elsewhere>>,
    /// Where they learn what is here.
    pub here: watch::Sender<Vec<LiveBroadcast>>,
}

/// What the task is given.
pub(crate) struct Deps {
    pub(crate) sink: Arc<dyn BroadcastSink>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) neighbours: Option<Neighbours>,
    pub(crate) node: NodeName,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

/// Starts the task; it ends after [`Command::Stop`] once every publisher has left.
pub(crate) fn start(config: RegistryConfig, deps: Deps) -> mpsc::Sender<ToBroadcasts> {
    let (sender, commands) = mpsc::channel(COMMAND_QUEUE);
    let (events, waiting) = mpsc::channel(EVENT_QUEUE);
    deps.tasks.spawn(publish_events(Arc::clone(&deps.bus), waiting));
    deps.tasks.spawn(obey(deps.bus.subscribe(Topic::Commands), sender.clone(), deps.shutdown.clone()));
    let tasks = deps.tasks.clone();
    let broadcasts = Broadcasts {
        registry: Registry::new(config),
        deps,
        events,
        commands: sender.downgrade(),
        connections: HashMap::new(),
        feeds: HashMap::new(),
        live: BTreeMap::new(),
        publishes: HashMap::new(),
        orders: HashMap::new(),
    };
    tasks.spawn(broadcasts.run(commands));
    sender
}

async fn publish_events(bus: Arc<dyn Bus>, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        let channel = event.subject.to_string();
        if let Err(err) = bus.publish(Topic::Streams, event).await {
            // Who listens in this process has it all the same.
            warn!(stream.id = %channel, %err, "an event of channel {channel} is not acknowledged");
        }
    }
}

/// Takes the orders of other roles to the task.
async fn obey(mut orders: Subscription, task: mpsc::Sender<ToBroadcasts>, shutdown: CancellationToken) {
    while let Some(Some(event)) = shutdown.run_until_cancelled(orders.next()).await {
        let Some(channel) = event.channel().cloned() else { continue };
        let command = match &event.body {
            EventBody::StreamStop(StreamStop { by }) => {
                Command::StopBroadcast { channel: channel.clone(), by: *by }
            }
            EventBody::KeyRevoked(KeyRevoked { key }) => Command::RevokeKey { key: *key },
            _ => continue,
        };
        let obeyed = traced::handling("ingest", &event, async {
            info!(stream.id = %event.subject, "an order came for channel {}", event.subject);
            task.send(ToBroadcasts::Order { command, channel, cause: Cause::current() }).await
        });
        if obeyed.await.is_err() {
            return;
        }
    }
}

/// A broadcast's feed, and the end of its task, which says the last word on the feed if there is one.
struct Feed {
    items: FeedSender,
    end: oneshot::Sender<Option<FeedItem>>,
}

struct Broadcasts {
    registry: Registry,
    deps: Deps,
    events: mpsc::Sender<Event>,
    commands: mpsc::WeakSender<ToBroadcasts>,
    connections: HashMap<ConnectionId, Connection>,
    feeds: HashMap<BroadcastId, Feed>,
    live: BTreeMap<ChannelName, LiveBroadcast>,
    /// The newest publish of each broadcast.
    publishes: HashMap<BroadcastId, Cause>,
    /// The newest order for each of them: what is stopped ends because of that, once its publisher has left.
    orders: HashMap<BroadcastId, Cause>,
}

impl Broadcasts {
    async fn run(mut self, mut commands: mpsc::Receiver<ToBroadcasts>) {
        let mut elsewhere = self.deps.neighbours.as_ref().map(|neighbours| neighbours.elsewhere.clone());
        if let Some(elsewhere) = &mut elsewhere {
            elsewhere.mark_changed();
        }
        while !self.registry.is_stopped() {
            let timeout = self.registry.poll_timeout();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(ToBroadcasts::Publish { connection, grant, link }) => {
                        let PublishGrant { channel, key, access, ladder } = grant;
                        self.connections.insert(connection, Connection { link, access, ladder });
                        let publish = Command::Publish { connection, channel, key };
                        self.registry.handle_command(Instant::now(), publish);
                    }
                    Some(ToBroadcasts::Command(command)) => {
                        let left = match &command {
                            Command::Lost { connection } | Command::Unpublish { connection } => Some(*connection),
                            _ => None,
                        };
                        self.registry.handle_command(Instant::now(), command);
                        if let Some(connection) = left {
                            self.connections.remove(&connection);
                        }
                    }
                    Some(ToBroadcasts::Order { command, channel, cause }) => {
                        if let Some(live) = self.live.get(&channel) {
                            self.orders.insert(live.broadcast, cause);
                        }
                        self.registry.handle_command(Instant::now(), command);
                    }
                    None => break,
                },
                () = async {
                    match timeout {
                        Some(at) => tokio::time::sleep_until(at.into()).await,
                        None => pending().await,
                    }
                } => self.registry.handle_timeout(Instant::now()),
                others = next(elsewhere.as_mut()) => {
                    self.registry.handle_command(Instant::now(), Command::Elsewhere(others));
                }
            }
            while let Some(output) = self.registry.poll_output() {
                self.carry_out(output).await;
            }
        }
    }

    async fn carry_out(&mut self, output: Output) {
        match output {
            Output::Accept { connection, challenger } => {
                self.tell(connection, Control::Accept { challenger })
            }
            Output::Deny { connection, reason } => {
                self.tell(connection, Control::Deny(reason));
                self.connections.remove(&connection);
            }
            Output::Evict { connection, reason } => self.tell(connection, Control::Evict(reason)),
            Output::Grant { connection, channel, broadcast, entry } => {
                if entry == Entry::Begins {
                    self.open(connection, broadcast, channel.clone());
                }
                if let Some(publisher) = self.connections.get(&connection) {
                    self.publishes.insert(broadcast, publisher.link.cause);
                }
                if let Some(feed) = self.feeds.get(&broadcast) {
                    let feed = feed.items.clone();
                    self.tell(connection, Control::Grant { feed, channel, broadcast });
                }
            }
            Output::Close { broadcast } => self.finish(broadcast, Some(FeedItem::Ended)),
            Output::Yield { broadcast } => self.finish(broadcast, Some(FeedItem::Moved)),
            Output::Release { broadcast } => self.finish(broadcast, None),
            Output::Started { channel, broadcast, encoder, held_until } => {
                info!(stream.id = %channel, broadcast.id = %broadcast, "broadcast of channel {channel} started");
                let live = LiveBroadcast {
                    channel: channel.clone(),
                    broadcast,
                    started_at: Timestamp::now(),
                    interrupted_until: None,
                    encoder: encoder.clone(),
                    held_until,
                };
                self.live.insert(channel.clone(), live);
                self.show();
                let body = EventBody::StreamStarted(StreamStarted { broadcast, encoder });
                self.publish(channel, broadcast, body).await;
            }
            Output::Interrupted { channel, broadcast, window } => {
                warn!(
                    stream.id = %channel, broadcast.id = %broadcast,
                    "publisher of channel {channel} is gone; its broadcast waits {} s", window.as_secs_f64()
                );
                let until = Timestamp::now().saturating_add(window).unwrap_or(Timestamp::MAX);
                if let Some(live) = self.live.get_mut(&channel) {
                    live.interrupted_until = Some(until);
                }
                self.show();
                let body = EventBody::StreamInterrupted(StreamInterrupted { broadcast, until });
                self.publish(channel, broadcast, body).await;
            }
            Output::Resumed { channel, broadcast, encoder, held_until } => {
                info!(stream.id = %channel, broadcast.id = %broadcast, "broadcast of channel {channel} goes on");
                if let Some(live) = self.live.get_mut(&channel) {
                    live.encoder.clone_from(&encoder);
                    live.interrupted_until = None;
                    live.held_until = held_until;
                }
                self.show();
                let body = EventBody::StreamResumed(StreamResumed { broadcast, encoder });
                self.publish(channel, broadcast, body).await;
            }
            Output::Ended { channel, broadcast, reason } => {
                info!(
                    stream.id = %channel, broadcast.id = %broadcast, reason = ?reason,
                    "broadcast of channel {channel} ended"
                );
                self.live.remove(&channel);
                self.show();
                let body = EventBody::StreamEnded(StreamEnded { broadcast, reason });
                self.publish(channel, broadcast, body).await;
                self.publishes.remove(&broadcast);
                self.orders.remove(&broadcast);
            }
        }
    }

    fn tell(&mut self, connection: ConnectionId, control: Control) {
        if let Some(Connection { link, .. }) = self.connections.get(&connection)
            && let Err(mpsc::error::TrySendError::Full(control)) = link.control.try_send(control)
        {
            error!(connection.id = %connection, "connection {connection} takes no orders: {control:?}");
        }
    }

    fn open(&mut self, connection: ConnectionId, broadcast: BroadcastId, channel: ChannelName) {
        let publisher = self.connections.get(&connection);
        // What the sink starts runs beside the connection: a tag wakes no other thread.
        let _beside = publisher.map(|publisher| publisher.link.runtime.enter());
        let access = publisher.map(|publisher| publisher.access).unwrap_or_default();
        let ladder = publisher.map(|publisher| publisher.ladder.clone()).unwrap_or_default();
        let start = BroadcastStart { id: broadcast, channel, access, ladder };
        let FeedHandle { items, replies } = self.deps.sink.open(start);
        let (end, ended) = oneshot::channel();
        self.deps.tasks.spawn(attend(items.clone(), replies, ended, self.commands.clone()));
        self.feeds.insert(broadcast, Feed { items, end });
    }

    fn finish(&mut self, broadcast: BroadcastId, last_word: Option<FeedItem>) {
        if let Some(feed) = self.feeds.remove(&broadcast) {
            // The task may be gone already, with its packager.
            let _ = feed.end.send(last_word);
        }
    }

    /// Lets other nodes learn what is here.
    fn show(&self) {
        if let Some(neighbours) = &self.deps.neighbours {
            neighbours.here.send_replace(self.live.values().cloned().collect());
        }
    }

    async fn publish(&self, channel: ChannelName, broadcast: BroadcastId, body: EventBody) {
        let ordered = matches!(body, EventBody::StreamEnded(StreamEnded { reason: EndReason::Stopped, .. }));
        let order = self.orders.get(&broadcast).filter(|_| ordered);
        let cause = order.or(self.publishes.get(&broadcast)).copied().unwrap_or_default();
        let event = Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::now_v7(),
            source: self.deps.node.source(),
            subject: channel.into(),
            time: Timestamp::now(),
            cause,
            body,
        };
        // Closed only if the bus task panicked, which is logged by the runtime.
        let _ = self.events.send(event).await;
    }
}

/// What other nodes have, when that changes; never, if there are none.
async fn next(elsewhere: Option<&mut watch::Receiver<Arc<Elsewhere>>>) -> Arc<Elsewhere> {
    match elsewhere {
        Some(elsewhere) => match elsewhere.changed().await {
            Ok(()) => Arc::clone(&elsewhere.borrow_and_update()),
            Err(_) => pending().await,
        },
        None => pending().await,
    }
}

/// Hears what the packager of one broadcast says, and says the last word to it.
async fn attend(
    items: FeedSender,
    mut replies: mpsc::Receiver<FeedReply>,
    mut ended: oneshot::Receiver<Option<FeedItem>>,
    commands: mpsc::WeakSender<ToBroadcasts>,
) {
    let mut listening = true;
    let last_word = loop {
        tokio::select! {
            reply = replies.recv(), if listening => match reply {
                Some(FeedReply::Refuse { connection, sentence }) => {
                    let Some(commands) = commands.upgrade() else { continue };
                    let _ = commands.send(ToBroadcasts::Command(Command::Refuse { connection, sentence })).await;
                }
                // A connection notices when the feed itself is closed.
                None => listening = false,
            },
            last_word = &mut ended => break last_word.ok().flatten(),
        }
    };
    if let Some(last_word) = last_word {
        // A packager that is gone knows already.
        let _ = items.send(last_word).await;
    }
}
