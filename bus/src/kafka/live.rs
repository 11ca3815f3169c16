//! Live subscribers: one consumer per topic and process, which begins at the end and shares out what comes.
#![expect(clippy::disallowed_methods, reason = "shell: tasks, pauses")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_core::bus::{BusError, Subscription, Topic};
use millrace_core::event::{Event, Unread};
use rdkafka::consumer::Consumer;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, warn};

use super::client::{Clients, Consuming, let_go, unavailable, watermarks, will_pass};

/// How long a broker is left alone that does not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// Who listens to a topic.
type Subscribers = Arc<Mutex<Vec<mpsc::Sender<Arc<Event>>>>>;

/// What this process hears.
#[derive(Debug)]
pub(super) struct Live {
    subscribers: HashMap<Topic, Subscribers>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// Lets go of the consumer when its task is aborted.
struct Held(Option<Arc<Consuming>>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(consumer) = self.0.take() {
            let_go(consumer);
        }
    }
}

impl Live {
    /// Begins at what is the end now.
    pub(super) async fn start(clients: &Clients) -> Result<Self, BusError> {
        let mut live = Self { subscribers: HashMap::new(), _tasks: Vec::new() };
        for topic in Topic::ALL.into_iter().filter(|topic| topic.spec().live) {
            let name = clients.topic(topic.name());
            // It joins no group and commits nothing: the name is only for the broker's log.
            let consumer = Arc::new(clients.consumer("live", &[])?);
            let mut ends = TopicPartitionList::new();
            for (partition, _, end) in watermarks(&consumer, name.clone()).await? {
                ends.add_partition_offset(&name, partition, Offset::Offset(end)).map_err(unavailable)?;
            }
            consumer.assign(&ends).map_err(unavailable)?;
            let subscribers = Subscribers::default();
            let task = listen(topic, Held(Some(consumer)), Arc::clone(&subscribers));
            live._tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
            live.subscribers.insert(topic, subscribers);
        }
        Ok(live)
    }

    /// A topic that is for groups only has no events for a subscriber.
    pub(super) fn subscribe(&self, topic: Topic) -> Subscription {
        let (sender, subscription) = Subscription::new();
        if let Some(all) = self.subscribers.get(&topic) {
            all.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
        subscription
    }
}

async fn listen(topic: Topic, consumer: Held, subscribers: Subscribers) {
    let Some(consuming) = consumer.0.as_ref() else { return };
    loop {
        let event = match consuming.recv().await {
            Ok(message) => {
                let (partition, offset) = (message.partition(), message.offset());
                match Event::read(message.payload().unwrap_or_default()) {
                    Ok(event) => Arc::new(event),
                    Err(Unread::Unknown { kind }) => {
                        debug!(topic = topic.name(), kind, "passed over an event of another version");
                        continue;
                    }
                    Err(err) => {
                        error!(topic = topic.name(), partition, offset, %err, "passed over what is no event");
                        continue;
                    }
                }
            }
            Err(err) if will_pass(&err) => continue,
            Err(err) => {
                warn!(topic = topic.name(), %err, "hearing nothing of {topic} for now");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let all: Vec<_> = {
            let mut all = subscribers.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|sender| !sender.is_closed());
            all.clone()
        };
        for subscriber in all {
            // A subscriber that is behind holds up the consumer: the broker keeps what comes after.
            let _ = subscriber.send(Arc::clone(&event)).await;
        }
    }
}
