//! What was refused: a topic beside each topic. A group of its own remembers how far it was published again.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_core::bus::{BusError, DeadLetter, Position, Topic};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{Clients, Consuming, Raw, blocking, let_go, unavailable};
use super::group;
use super::replay::KafkaReplay;
use super::sender::{Outgoing, Sender};

/// Whose offset says what was published again.
const GROUP: &str = "redrive";
/// Begins the names of the headers that we add.
const OURS: &str = "millrace-dlq-";

/// What is to be buried.
pub(super) struct Refused<'a> {
    pub(super) position: Position,
    pub(super) group: &'a str,
    pub(super) reason: &'a str,
    pub(super) key: &'a str,
    pub(super) payload: String,
    pub(super) headers: &'a BTreeMap<String, String>,
    pub(super) at: i64,
}

impl Refused<'_> {
    /// As it is on the wire: itself with its own headers, and ours beside them.
    pub(super) fn outgoing(self, clients: &Clients) -> Outgoing {
        let Position { topic, partition, offset } = self.position;
        let mut headers = self.headers.clone();
        let ours = [
            ("reason", self.reason.to_owned()),
            ("group", self.group.to_owned()),
            ("partition", partition.to_string()),
            ("offset", offset.to_string()),
            ("at", self.at.to_string()),
        ];
        headers.extend(ours.map(|(name, value)| (format!("{OURS}{name}"), value)));
        Outgoing {
            topic: clients.topic(&topic.dead_letters()),
            key: self.key.to_owned(),
            payload: self.payload,
            headers,
            may_be_lost: false,
            outbox: true,
        }
    }
}

/// A message of a dead-letter topic.
fn letter(topic: Topic, raw: Raw) -> DeadLetter {
    let Raw { offset: id, key, payload, mut headers, .. } = raw;
    let mut ours = |name: &str| headers.remove(&format!("{OURS}{name}")).unwrap_or_default();
    let (reason, group) = (ours("reason"), ours("group"));
    let (partition, offset, at) = (ours("partition"), ours("offset"), ours("at"));
    DeadLetter {
        id: id.to_string(),
        topic: topic.name().to_owned(),
        partition: partition.parse().unwrap_or_default(),
        offset: offset.parse().unwrap_or_default(),
        group,
        reason,
        at: at.parse().unwrap_or_default(),
        key,
        headers,
        payload: String::from_utf8_lossy(&payload).into_owned(),
    }
}

/// What was read of a dead-letter topic, each with its offset there.
pub(super) struct Read {
    pub(super) letters: Vec<(i64, DeadLetter)>,
}

/// The oldest that were not published again.
pub(super) async fn read(clients: &Clients, topic: Topic, limit: usize) -> Result<Read, BusError> {
    let name = clients.topic(&topic.dead_letters());
    let begin = group::place(clients, GROUP, name.clone(), 1).await?.get(&0).copied();
    let mut replay =
        KafkaReplay::read(clients, topic, name, |_, first| begin.map_or(first, |begin| begin.max(first)))
            .await?;
    let mut letters = Vec::new();
    while letters.len() < limit
        && let Some(raw) = replay.raw().await?
    {
        letters.push((raw.offset, letter(topic, raw)));
    }
    Ok(Read { letters })
}

fn consumer(clients: &Clients) -> Result<Arc<Consuming>, BusError> {
    clients.consumer(GROUP, &[]).map(Arc::new)
}

/// Publishes the oldest again, one by one.
pub(super) async fn redrive(
    clients: &Clients,
    sender: &Sender,
    topic: Topic,
    limit: usize,
) -> Result<usize, BusError> {
    let name = clients.topic(&topic.dead_letters());
    let read = read(clients, topic, limit).await?;
    let count = read.letters.len();
    let consumer = consumer(clients)?;
    for (offset, letter) in read.letters {
        let DeadLetter { key, payload, headers, .. } = letter;
        let topic = clients.topic(topic.name());
        sender.send(Outgoing { topic, key, payload, headers, may_be_lost: false, outbox: true }).await?;
        let mut done = TopicPartitionList::new();
        done.add_partition_offset(&name, 0, Offset::Offset(offset + 1)).map_err(unavailable)?;
        let committing = Arc::clone(&consumer);
        blocking(move || committing.commit(&done, CommitMode::Sync)).await?;
    }
    let_go(consumer);
    Ok(count)
}
