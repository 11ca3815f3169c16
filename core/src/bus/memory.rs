//! The bus inside one process: every subscriber has a bounded queue, and a publisher waits for the slowest.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::{Bus, BusError, BusFuture, Subscription, Topic};
use crate::event::Event;

/// Events that may wait for one subscriber before publishers wait for it.
pub const SUBSCRIBER_QUEUE: usize = 1024;

/// The in-process bus.
#[derive(Debug, Default)]
pub struct MemoryBus {
    subscribers: Mutex<Vec<(Topic, mpsc::Sender<Arc<Event>>)>>,
    /// Held while an event is handed to every subscriber, so that all of them see one order.
    order: tokio::sync::Mutex<()>,
}

impl MemoryBus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }
}

impl Bus for MemoryBus {
    fn publish(&self, topic: Topic, event: Event) -> BusFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            let event = Arc::new(event);
            let _order = self.order.lock().await;
            let subscribers: Vec<_> = {
                let mut all = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
                all.retain(|(_, sender)| !sender.is_closed());
                all.iter().filter(|(of, _)| *of == topic).map(|(_, sender)| sender.clone()).collect()
            };
            for subscriber in subscribers {
                // A subscriber that left in between wants nothing any more.
                let _ = subscriber.send(Arc::clone(&event)).await;
            }
            Ok(())
        })
    }

    fn subscribe(&self, topic: Topic) -> Subscription {
        let (sender, events) = mpsc::channel(SUBSCRIBER_QUEUE);
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push((topic, sender));
        Subscription { events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EndReason, EventBody, SpecVersion, StreamEnded};
    use crate::ids::BroadcastId;

    fn event(number: u128) -> Event {
        Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::from_u128(number),
            source: "/nodes/test".into(),
            subject: "studio".parse().unwrap(),
            time: jiff::Timestamp::UNIX_EPOCH,
            body: EventBody::StreamEnded(StreamEnded {
                broadcast: BroadcastId(uuid::Uuid::from_u128(number)),
                reason: EndReason::Unpublished,
            }),
        }
    }

    #[tokio::test]
    async fn every_subscriber_gets_every_event_in_one_order() {
        let bus = MemoryBus::new();
        let mut first = bus.subscribe(Topic::Streams);
        let mut second = bus.subscribe(Topic::Streams);
        for number in 0..10 {
            bus.publish(Topic::Streams, event(number)).await.unwrap();
        }
        for number in 0..10 {
            assert_eq!(first.next().await.unwrap().id.as_u128(), number);
            assert_eq!(second.next().await.unwrap().id.as_u128(), number);
        }
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a publisher that waits needs a task of its own")]
    async fn a_publisher_waits_for_a_full_queue_and_not_for_one_that_left() {
        let bus = MemoryBus::new();
        let mut slow = bus.subscribe(Topic::Streams);
        drop(bus.subscribe(Topic::Streams));
        for number in 0..SUBSCRIBER_QUEUE as u128 {
            bus.publish(Topic::Streams, event(number)).await.unwrap();
        }
        let publisher = tokio::spawn({
            let bus = Arc::clone(&bus);
            async move { bus.publish(Topic::Streams, event(4711)).await }
        });
        tokio::task::yield_now().await;
        assert!(!publisher.is_finished());
        slow.next().await.unwrap();
        publisher.await.unwrap().unwrap();
    }
}
