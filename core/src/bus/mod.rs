//! The bus between roles. Roles only know the trait.
//!
//! An event is published once and reaches every live subscriber in every process, and one member of every group. Events
//! of one key (the channel) keep their order. Live subscribers hear what is published from then on; members of a group
//! get everything at least once, also what was published while none of them ran, and say when they are done with it.
//! Whoever needs the past reads it by [`Bus::replay`].
//!
//! In one process it is [`memory::MemoryBus`] on a [`journal::Journal`]: one in memory for tests, one in the store for
//! a server. Between processes it is Apache Kafka. `suite` holds each of them to the same promises.

pub mod consume;
mod dead;
pub mod journal;
pub mod memory;
pub mod seen;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
mod topic;
pub mod traced;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::mpsc;

use crate::event::Event;

pub use dead::DeadLetter;
pub use topic::{Topic, TopicSpec};

/// Events that may wait for one live subscriber. The in-process bus lets publishers wait then; a broker keeps what comes
/// after.
pub const SUBSCRIBER_QUEUE: usize = 1024;
/// Longest event on the wire, in bytes of JSON.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// Why the bus did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The bus is shut down.
    #[error("the bus is closed")]
    Closed,
    /// The broker is away, and as many events as may be kept for it wait already: this one was not taken.
    #[error("{waiting} events wait for the broker already (limit {limit}); this one was not taken")]
    Full {
        /// How many.
        waiting: usize,
        /// How many may.
        limit: usize,
    },
    /// The event is longer than [`MAX_EVENT_BYTES`]; it was not taken.
    #[error("the event has {bytes} bytes and may have {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Neither the broker nor the store answers. Nothing is known about the event: publish it again, with the same id.
    #[error("the bus is not available: {0}")]
    Unavailable(String),
    /// The broker refuses, and will refuse again.
    #[error("the broker refuses: {0}")]
    Refused(String),
}

/// A future of a bus call.
pub type BusFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Ordered delivery per key of what crosses between roles.
pub trait Bus: Send + Sync + 'static {
    /// Publishes one event. Resolves when it is committed: what is acknowledged then survives the death of this process
    /// (unless the topic says that its events may be lost). Live subscribers in this process may hear it before that.
    ///
    /// # Errors
    /// [`BusError::Full`], [`BusError::TooLarge`], [`BusError::Refused`]: the event was not taken.
    /// [`BusError::Unavailable`], [`BusError::Closed`]: it may or may not be delivered. A topic without an outbox answers
    /// so at once while the broker is away.
    fn publish(&self, topic: Topic, event: Event) -> BusFuture<'_, Result<(), BusError>>;

    /// Delivers every event of `topic` that is published from now on, in the order of its key.
    fn subscribe(&self, topic: Topic) -> Subscription;

    /// Becomes a member of `group` (`[a-z0-9-]+`), which shares out the partitions of `topics`. A group that is new begins
    /// with the oldest event that is kept. Leaving is dropping the member.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    fn join(&self, group: &str, topics: &[Topic]) -> BusFuture<'_, Result<Box<dyn Member>, BusError>>;

    /// Reads what is kept of `topic` from a place up to what is published now. Subscribe first to miss nothing.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    fn replay(&self, topic: Topic, from: Start) -> BusFuture<'_, Result<Box<dyn Replay>, BusError>>;

    /// Where `group` goes on in `topic`: a replay from there reads what it has not done yet.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    fn place<'a>(&'a self, group: &'a str, topic: Topic) -> BusFuture<'a, Result<Start, BusError>>;

    /// Puts an event that cannot be handled beside its topic, with the reason, where [`Self::dead_letters`] finds it.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: it is not there yet.
    fn bury<'a>(
        &'a self,
        group: &'a str,
        delivery: &'a Delivery,
        reason: &'a str,
    ) -> BusFuture<'a, Result<(), BusError>>;

    /// What was refused of `topic` and is still there, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    fn dead_letters(&self, topic: Topic, limit: usize) -> BusFuture<'_, Result<Vec<DeadLetter>, BusError>>;

    /// Publishes the oldest of what was refused of `topic` again, with the same ids, at most `limit`; how many.
    ///
    /// # Errors
    /// As [`Self::publish`]; what was not published again is still there.
    fn redrive(&self, topic: Topic, limit: usize) -> BusFuture<'_, Result<usize, BusError>>;
}

/// A live subscriber's queue.
#[derive(Debug)]
pub struct Subscription {
    events: mpsc::Receiver<Arc<Event>>,
}

impl Subscription {
    /// A queue, and where a bus puts its events.
    #[must_use]
    pub fn new() -> (mpsc::Sender<Arc<Event>>, Self) {
        let (sender, events) = mpsc::channel(SUBSCRIBER_QUEUE);
        (sender, Self { events })
    }

    /// The next event; `None` once the bus is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        self.events.recv().await
    }

    /// The next event, if it is here already.
    pub fn try_next(&mut self) -> Option<Arc<Event>> {
        self.events.try_recv().ok()
    }
}

/// Several queues as one. The order between topics is not that of publishing.
#[derive(Debug)]
pub struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    /// Everything that is published on these topics from now on.
    #[must_use]
    pub fn new(bus: &dyn Bus, topics: &[Topic]) -> Self {
        Self(topics.iter().map(|topic| bus.subscribe(*topic)).collect())
    }

    /// The next event, if one is here already.
    pub fn try_next(&mut self) -> Option<Arc<Event>> {
        self.0.iter_mut().find_map(Subscription::try_next)
    }

    /// The next event, of the topic that was named first if there are several; `None` once the bus is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        poll_fn(|context| {
            let mut gone = true;
            for Subscription { events } in &mut self.0 {
                match events.poll_recv(context) {
                    Poll::Ready(Some(event)) => return Poll::Ready(Some(event)),
                    Poll::Ready(None) => {}
                    Poll::Pending => gone = false,
                }
            }
            if gone { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}

/// Where an event is in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The topic.
    pub topic: Topic,
    /// The partition, from 0.
    pub partition: u16,
    /// Grows within the partition; there may be gaps.
    pub offset: i64,
}

/// An event and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Where.
    pub position: Position,
    /// What.
    pub event: Arc<Event>,
    /// The headers that it had on the wire.
    pub headers: BTreeMap<String, String>,
}

/// A member of a group.
pub trait Member: Send {
    /// The next event of the partitions that are this member's. Waits for one. Cancel-safe.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: try again after a pause. [`BusError::Closed`]: do not.
    fn next(&mut self) -> BusFuture<'_, Result<Delivery, BusError>>;

    /// Says that the events there are done with, and all before each in its partition: the group does not get them again,
    /// unless the partition became another member's before.
    ///
    /// # Errors
    /// [`BusError::Unavailable`]: the events may come again.
    fn commit<'a>(&'a mut self, done: &'a [Position]) -> BusFuture<'a, Result<(), BusError>>;
}

/// Where a replay begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With the oldest that is kept.
    Beginning,
    /// With these offsets of these partitions, and with the oldest of every other.
    At(BTreeMap<u16, i64>),
}

impl Start {
    /// The first offset of a partition.
    #[must_use]
    pub fn of(&self, partition: u16) -> i64 {
        match self {
            Self::Beginning => 0,
            Self::At(offsets) => offsets.get(&partition).copied().unwrap_or(0),
        }
    }
}

/// Events of the past.
pub trait Replay: Send {
    /// The next one; `None` after the last that was published when the replay began. The events of a key are in order.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    fn next(&mut self) -> BusFuture<'_, Result<Option<Delivery>, BusError>>;
}

/// The headers of an event on the wire: CloudEvents 1.0, structured mode.
#[must_use]
pub fn wire_headers() -> BTreeMap<String, String> {
    [("content-type", "application/cloudevents+json; charset=UTF-8")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}
