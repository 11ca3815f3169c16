//! A member of a consumer group.
#![expect(clippy::disallowed_methods, reason = "shell: the clock")]

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use millrace_core::bus::{BusError, BusFuture, Delivery, Member, Position, Topic};
use millrace_core::event::{Event, Unread};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tracing::{debug, error};

use super::client::{Clients, Consuming, Raw, blocking, let_go, unavailable, will_pass};
use super::dead::Refused;
use super::sender::Sender;
use super::topics::PATIENCE;

/// How a member of a group is known to the broker: partitions move one by one, and a dead member is missed soon.
const MEMBER: &[(&str, &str)] = &[
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "1000"),
];

/// The next offset of a group in each partition of a topic where it has been.
pub(super) async fn place(
    clients: &Clients,
    group: &str,
    name: String,
    partitions: u16,
) -> Result<BTreeMap<u16, i64>, BusError> {
    let consumer = Arc::new(clients.consumer(group, &[])?);
    let mut wanted = TopicPartitionList::new();
    for partition in 0..partitions {
        wanted.add_partition(&name, i32::from(partition));
    }
    let asked = Arc::clone(&consumer);
    let found = blocking(move || asked.committed_offsets(wanted, PATIENCE)).await;
    let_go(consumer);
    let place = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let Offset::Offset(offset) = element.offset() else { return None };
        Some((u16::try_from(element.partition()).ok()?, offset))
    };
    Ok(found?.elements().iter().filter_map(place).collect())
}

pub(super) struct KafkaMember {
    clients: Clients,
    sender: Sender,
    group: String,
    consumer: Option<Arc<Consuming>>,
    /// What is no event, until it is buried.
    malformed: Option<(Raw, Topic, String)>,
}

impl KafkaMember {
    pub(super) fn join(
        clients: &Clients,
        sender: Sender,
        group: &str,
        topics: &[Topic],
    ) -> Result<Self, BusError> {
        let consumer = Arc::new(clients.consumer(group, MEMBER)?);
        let names: Vec<_> = topics.iter().map(|topic| clients.topic(topic.name())).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(unavailable)?;
        let (group, consumer) = (group.to_owned(), Some(consumer));
        Ok(Self { clients: clients.clone(), sender, group, consumer, malformed: None })
    }

    fn consumer(&self) -> Result<&Arc<Consuming>, BusError> {
        self.consumer.as_ref().ok_or(BusError::Closed)
    }

    /// Puts what is no event beside its topic at once: no retry makes it one.
    async fn bury_malformed(&mut self) -> Result<(), BusError> {
        let Some((raw, topic, reason)) = &self.malformed else { return Ok(()) };
        error!(topic = topic.name(), raw.partition, raw.offset, reason, "buried what is no event");
        let refused = Refused {
            position: position(*topic, raw),
            group: &self.group,
            reason,
            key: &raw.key,
            payload: String::from_utf8_lossy(&raw.payload).into_owned(),
            headers: &raw.headers,
            at: Timestamp::now().as_millisecond(),
        };
        self.sender.send(refused.outgoing(&self.clients)).await?;
        self.malformed = None;
        Ok(())
    }
}

fn position(topic: Topic, raw: &Raw) -> Position {
    let partition = u16::try_from(raw.partition).unwrap_or_default();
    Position { topic, partition, offset: raw.offset }
}

impl Member for KafkaMember {
    fn next(&mut self) -> BusFuture<'_, Result<Delivery, BusError>> {
        Box::pin(async move {
            loop {
                self.bury_malformed().await?;
                let raw = match self.consumer()?.recv().await {
                    Ok(message) => Raw::of(&message),
                    Err(err) if will_pass(&err) => continue,
                    Err(err) => return Err(unavailable(err)),
                };
                let topic =
                    Topic::ALL.into_iter().find(|topic| self.clients.topic(topic.name()) == raw.topic);
                let Some(topic) = topic else { continue };
                match Event::read(&raw.payload) {
                    Ok(event) => {
                        let position = position(topic, &raw);
                        return Ok(Delivery { position, event: Arc::new(event), headers: raw.headers });
                    }
                    Err(Unread::Unknown { kind }) => {
                        debug!(topic = topic.name(), kind, "passed over an event of another version");
                    }
                    Err(err) => self.malformed = Some((raw, topic, err.to_string())),
                }
            }
        })
    }

    fn commit<'a>(&'a mut self, done: &'a [Position]) -> BusFuture<'a, Result<(), BusError>> {
        Box::pin(async move {
            let consumer = Arc::clone(self.consumer()?);
            let mut next = TopicPartitionList::new();
            for done in done {
                let name = self.clients.topic(done.topic.name());
                next.add_partition_offset(&name, done.partition.into(), Offset::Offset(done.offset + 1))
                    .map_err(unavailable)?;
            }
            let committed =
                tokio::task::spawn_blocking(move || consumer.commit(&next, CommitMode::Sync)).await;
            match committed.map_err(|_| BusError::Closed)? {
                // The partition is moving to another member, who gets the events again.
                Err(KafkaError::ConsumerCommit(
                    RDKafkaErrorCode::IllegalGeneration
                    | RDKafkaErrorCode::UnknownMemberId
                    | RDKafkaErrorCode::RebalanceInProgress
                    | RDKafkaErrorCode::AssignmentLost,
                )) => Ok(()),
                other => other.map_err(unavailable),
            }
        })
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            let_go(consumer);
        }
    }
}
