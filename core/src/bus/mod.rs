//! The bus between roles. In one process it is [`memory::MemoryBus`]; roles only know the trait.

pub mod memory;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::event::Event;

/// Topics of the bus contract that exist so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `millrace.streams`: life of broadcasts, from ingest to all.
    Streams,
    /// `millrace.commands`: what is to be done, from the API to ingest and chat.
    Commands,
}

impl Topic {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Streams => "millrace.streams",
            Self::Commands => "millrace.commands",
        }
    }
}

/// The bus took no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The bus is shut down.
    #[error("the bus is closed")]
    Closed,
}

/// A future of a bus call.
pub type BusFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Ordered delivery per key of what crosses between roles.
pub trait Bus: Send + Sync + 'static {
    /// Publishes one event; waits while a subscriber is behind by more than its queue.
    ///
    /// # Errors
    /// [`BusError::Closed`] after shutdown.
    fn publish(&self, topic: Topic, event: Event) -> BusFuture<'_, Result<(), BusError>>;

    /// Delivers every event of `topic` that is published from now on, in order.
    fn subscribe(&self, topic: Topic) -> Subscription;
}

/// A subscriber's queue.
#[derive(Debug)]
pub struct Subscription {
    events: mpsc::Receiver<Arc<Event>>,
}

impl Subscription {
    /// The next event; `None` once the bus is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        self.events.recv().await
    }
}
