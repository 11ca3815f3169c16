//! The bus between processes: Apache Kafka.
//!
//! What is published goes through one idempotent producer per process ([`sender`]), which never gives up: while the
//! broker is away, what waits is also kept in the outbox in the store, and is acknowledged from then on. Live subscribers
//! share one consumer per topic ([`live`]); members of groups have one each ([`group`]).
#![expect(clippy::disallowed_methods, reason = "shell: the clock")]

mod client;
mod dead;
mod group;
mod live;
mod replay;
mod sender;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use millrace_core::bus::{
    Bus, BusError, BusFuture, DeadLetter, Delivery, MAX_EVENT_BYTES, Member, Replay, Start, Subscription,
    Topic, traced, wire_headers,
};
use millrace_core::event::Event;
use millrace_store::Store;

use self::client::Clients;
use self::live::Live;
use self::sender::{Outgoing, Sender};
use crate::settings::Security;

/// The header with an event's place in a trace.
const TRACEPARENT: &str = "traceparent";

/// How a process reaches the broker, and what it does without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// Stands before the name of every topic and group, so that a cluster may be shared.
    pub prefix: String,
    /// The name of this process, which no other has.
    pub node: String,
    /// Copies of each partition; 0 is 3, or as many as there are brokers.
    pub replication: u16,
    /// Most events that may wait for the broker.
    pub outbox_limit: usize,
    /// How long the broker may take for an event until it counts as away, and the outbox takes over.
    pub away_after: Duration,
    /// How old an event in the outbox of another process is when this one sends it: that process is dead then. Zero where
    /// the store is this process's alone.
    pub adopt_after: Duration,
    /// How long the broker may take when the process starts.
    pub connect_timeout: Duration,
    /// Who proves what to whom.
    pub security: Security,
}

/// The bus on Kafka. Dropping it leaves what waits in the outbox.
#[derive(Debug)]
pub struct KafkaBus {
    clients: Clients,
    sender: Sender,
    live: Live,
}

impl KafkaBus {
    /// Connects, makes the topics that are missing, begins to listen, and sends what the outbox holds. `store` knows
    /// [`COLLECTIONS`](crate::COLLECTIONS).
    ///
    /// # Errors
    /// The broker or the store does not answer in time.
    pub async fn connect(settings: KafkaSettings, store: Store) -> Result<Arc<Self>, BusError> {
        let clients = Clients::new(settings);
        let connecting = async {
            topics::make(&clients).await?;
            let live = Live::start(&clients).await?;
            let sender = Sender::start(&clients, store).await?;
            Ok(Arc::new(Self { clients: clients.clone(), sender, live }))
        };
        let limit = clients.settings().connect_timeout;
        tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
            let brokers = clients.settings().brokers.join(", ");
            Err(BusError::Unavailable(format!("no answer from {brokers} within {} s", limit.as_secs())))
        })
    }

    /// How many events wait for the broker.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.sender.waiting()
    }

    /// Waits until no event waits for the broker any more, but not longer than `grace`.
    pub async fn flush(&self, grace: Duration) {
        // What waits longer is in the outbox.
        let _ = tokio::time::timeout(grace, self.sender.flushed()).await;
    }
}

impl Drop for KafkaBus {
    fn drop(&mut self) {
        self.sender.close();
    }
}

impl Bus for KafkaBus {
    fn publish(&self, topic: Topic, event: Event) -> BusFuture<'_, Result<(), BusError>> {
        let (event, span) = traced::sending(topic, event);
        let payload = event.to_json();
        if payload.len() > MAX_EVENT_BYTES {
            let bytes = payload.len();
            return Box::pin(async move { Err(BusError::TooLarge { bytes, limit: MAX_EVENT_BYTES }) });
        }
        let outgoing = Outgoing {
            topic: self.clients.topic(topic.name()),
            key: event.subject.to_string(),
            payload,
            headers: headers_for(&event),
            may_be_lost: topic.spec().may_be_lost,
            outbox: topic.spec().outbox,
        };
        let sending = self.sender.send(outgoing);
        Box::pin(async move {
            let result = sending.await;
            traced::sent(span, &result);
            result
        })
    }

    fn subscribe(&self, topic: Topic) -> Subscription {
        self.live.subscribe(topic)
    }

    fn join(&self, group: &str, topics: &[Topic]) -> BusFuture<'_, Result<Box<dyn Member>, BusError>> {
        let member = group::KafkaMember::join(&self.clients, self.sender.clone(), group, topics);
        Box::pin(async move { Ok(Box::new(member?) as Box<dyn Member>) })
    }

    fn replay(&self, topic: Topic, from: Start) -> BusFuture<'_, Result<Box<dyn Replay>, BusError>> {
        Box::pin(async move {
            let replay = replay::KafkaReplay::start(&self.clients, topic, from).await?;
            Ok(Box::new(replay) as Box<dyn Replay>)
        })
    }

    fn place<'a>(&'a self, group: &'a str, topic: Topic) -> BusFuture<'a, Result<Start, BusError>> {
        Box::pin(async move {
            let name = self.clients.topic(topic.name());
            Ok(Start::At(group::place(&self.clients, group, name, topic.spec().partitions).await?))
        })
    }

    fn bury<'a>(
        &'a self,
        group: &'a str,
        delivery: &'a Delivery,
        reason: &'a str,
    ) -> BusFuture<'a, Result<(), BusError>> {
        let Delivery { position, event, headers } = delivery;
        let refused = dead::Refused {
            position: *position,
            group,
            reason,
            key: &event.subject.key(),
            payload: event.to_json(),
            headers,
            at: Timestamp::now().as_millisecond(),
        };
        Box::pin(self.sender.send(refused.outgoing(&self.clients)))
    }

    fn dead_letters(&self, topic: Topic, limit: usize) -> BusFuture<'_, Result<Vec<DeadLetter>, BusError>> {
        Box::pin(async move {
            let read = dead::read(&self.clients, topic, limit).await?;
            Ok(read.letters.into_iter().map(|(_, letter)| letter).collect())
        })
    }

    fn redrive(&self, topic: Topic, limit: usize) -> BusFuture<'_, Result<usize, BusError>> {
        Box::pin(dead::redrive(&self.clients, &self.sender, topic, limit))
    }
}

/// What an event has on the wire beside itself. Its place in a trace is there once more, as OpenTelemetry has it for
/// Kafka: whoever passes it on need not read it.
fn headers_for(event: &Event) -> BTreeMap<String, String> {
    let mut headers = wire_headers();
    if let Some(trace) = event.cause.trace {
        headers.insert(TRACEPARENT.to_owned(), trace.to_string());
    }
    headers
}

/// The headers of a message; what is no text is left out.
fn headers_of(message: &impl rdkafka::Message) -> BTreeMap<String, String> {
    use rdkafka::message::Headers;
    let Some(headers) = message.headers() else { return BTreeMap::new() };
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    headers.iter().filter_map(|header| Some((header.key.to_owned(), header.value.and_then(text)?))).collect()
}
