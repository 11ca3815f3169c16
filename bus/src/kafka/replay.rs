//! Reading the past.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_core::bus::{BusError, BusFuture, Delivery, Position, Replay, Start, Topic};
use millrace_core::event::{Event, Unread};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{debug, error};

use super::client::{Clients, Consuming, Raw, let_go, unavailable, watermarks};

pub(super) struct KafkaReplay {
    consumer: Option<Arc<Consuming>>,
    topic: Topic,
    /// Where each partition that is not read to its end yet ended when the replay began.
    ends: BTreeMap<i32, i64>,
}

impl KafkaReplay {
    pub(super) async fn start(clients: &Clients, topic: Topic, from: Start) -> Result<Self, BusError> {
        let name = clients.topic(topic.name());
        Self::read(clients, topic, name, |partition, first| {
            from.of(u16::try_from(partition).unwrap_or_default()).max(first)
        })
        .await
    }

    /// Reads a topic of any name; `from` says where, given a partition and its first offset.
    pub(super) async fn read(
        clients: &Clients,
        topic: Topic,
        name: String,
        from: impl Fn(i32, i64) -> i64,
    ) -> Result<Self, BusError> {
        let consumer = Arc::new(clients.consumer("replay", &[("enable.partition.eof", "true")])?);
        let mut places = TopicPartitionList::new();
        let mut ends = BTreeMap::new();
        for (partition, first, end) in watermarks(&consumer, name.clone()).await? {
            let from = from(partition, first);
            if from < end {
                places.add_partition_offset(&name, partition, Offset::Offset(from)).map_err(unavailable)?;
                ends.insert(partition, end);
            }
        }
        consumer.assign(&places).map_err(unavailable)?;
        Ok(Self { consumer: Some(consumer), topic, ends })
    }

    /// The next message that was there when the replay began.
    pub(super) async fn raw(&mut self) -> Result<Option<Raw>, BusError> {
        while !self.ends.is_empty() {
            let Some(consumer) = &self.consumer else { return Err(BusError::Closed) };
            let raw = match consumer.recv().await {
                Ok(message) => Raw::of(&message),
                Err(KafkaError::PartitionEOF(partition)) => {
                    self.ends.remove(&partition);
                    continue;
                }
                Err(err) => return Err(unavailable(err)),
            };
            let Some(end) = self.ends.get(&raw.partition).copied() else { continue };
            if raw.offset + 1 >= end {
                self.ends.remove(&raw.partition);
            }
            if raw.offset < end {
                return Ok(Some(raw));
            }
        }
        Ok(None)
    }
}

impl Replay for KafkaReplay {
    fn next(&mut self) -> BusFuture<'_, Result<Option<Delivery>, BusError>> {
        Box::pin(async move {
            while let Some(raw) = self.raw().await? {
                let partition = u16::try_from(raw.partition).unwrap_or_default();
                let position = Position { topic: self.topic, partition, offset: raw.offset };
                match Event::read(&raw.payload) {
                    Ok(event) => {
                        let (event, headers) = (Arc::new(event), raw.headers);
                        return Ok(Some(Delivery { position, event, headers }));
                    }
                    Err(Unread::Unknown { kind }) => debug!(kind, "passed over an event of another version"),
                    Err(err) => error!(?position, %err, "passed over what is no event"),
                }
            }
            Ok(None)
        })
    }
}

impl Drop for KafkaReplay {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            let_go(consumer);
        }
    }
}
