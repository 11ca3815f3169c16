//! The broker goes away and comes back. What was acknowledged arrives, in the order of its key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_bus::{KafkaBus, KafkaSettings};
use millrace_core::bus::{Bus, BusError, Topic, suite};
use millrace_test_services::kafka::{self, Kafka, Place};

use super::{connect, settings, store};

const DEADLINE: Duration = Duration::from_secs(120);
const CHANNELS: u128 = 5;

/// Publishes numbers, all at once in their order, and says which were acknowledged.
async fn publish(bus: &Arc<KafkaBus>, numbers: std::ops::Range<u128>) -> BTreeSet<u128> {
    let mut tasks = Vec::new();
    for number in numbers {
        let event = suite::event(&format!("channel_{}", number % CHANNELS), number);
        // It has its place in the order when this returns.
        let mut publishing = bus.publish(Topic::Jobs, event);
        let begun = futures(&mut publishing).await;
        tasks.push((number, begun, publishing));
    }
    let mut acknowledged = BTreeSet::new();
    for (number, begun, publishing) in tasks {
        let result = match begun {
            Some(result) => result,
            None => publishing.await,
        };
        match result {
            Ok(()) => assert!(acknowledged.insert(number)),
            Err(err) => assert!(matches!(err, BusError::Full { .. }), "{err}"),
        }
    }
    acknowledged
}

/// Polls a future once.
async fn futures<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| match std::pin::Pin::new(&mut *future).poll(context) {
        std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

/// What a group gets until it has all of `wanted`: the first time of each, by key.
async fn collect(bus: &Arc<KafkaBus>, group: &str, wanted: &BTreeSet<u128>) -> BTreeMap<String, Vec<u128>> {
    let mut member = bus.join(group, &[Topic::Jobs]).await.expect("it joins");
    let (mut seen, mut firsts) = (BTreeSet::new(), BTreeMap::<String, Vec<u128>>::new());
    let all = async {
        while !wanted.is_subset(&seen) {
            let delivery = member.next().await.expect("it comes");
            let number = delivery.event.id.as_u128();
            if seen.insert(number) {
                firsts.entry(delivery.event.subject.to_string()).or_default().push(number);
            }
        }
    };
    let in_time = tokio::time::timeout(DEADLINE, all).await;
    let missing: Vec<_> = wanted.difference(&seen).collect();
    assert!(in_time.is_ok(), "acknowledged and lost: {missing:?}");
    firsts
}

fn in_order(numbers: &BTreeSet<u128>) -> BTreeMap<String, Vec<u128>> {
    let mut all: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    for number in numbers {
        all.entry(format!("channel_{}", number % CHANNELS)).or_default().push(*number);
    }
    all
}

async fn drained(bus: &KafkaBus) {
    bus.flush(DEADLINE).await;
    assert_eq!(bus.waiting(), 0, "the outbox is not drained");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_or_stands_still_loses_nothing_that_was_acknowledged() {
    let mut broker = Kafka::start().await;
    let place = Place { broker: broker.broker(), prefix: kafka::prefix() };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let bus = connect(&place, "one", &folder).await;
    let mut acknowledged = publish(&bus, 0..50).await;

    broker.kill();
    acknowledged.extend(publish(&bus, 50..150).await);
    assert_eq!(acknowledged.len(), 150, "the outbox takes them while the broker is away");
    broker.restart().await;
    acknowledged.extend(publish(&bus, 150..200).await);
    drained(&bus).await;
    assert_eq!(collect(&bus, "after-the-kill", &acknowledged).await, in_order(&acknowledged));

    broker.freeze();
    acknowledged.extend(publish(&bus, 200..300).await);
    assert_eq!(acknowledged.len(), 300);
    broker.thaw();
    acknowledged.extend(publish(&bus, 300..350).await);
    drained(&bus).await;
    assert_eq!(collect(&bus, "after-the-frost", &acknowledged).await, in_order(&acknowledged));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_survives_the_process_is_bounded_and_is_found_by_others() {
    let mut broker = Kafka::start().await;
    let place = Place { broker: broker.broker(), prefix: kafka::prefix() };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let limited = |node: &str| KafkaSettings { outbox_limit: 100, ..settings(&place, node) };
    let limited_bus = async |node: &str| {
        KafkaBus::connect(limited(node), store(&folder).await).await.expect("the broker answers")
    };
    let bus = limited_bus("one").await;
    broker.kill();
    let mut acknowledged = publish(&bus, 0..120).await;
    assert_eq!(acknowledged, (0..100).collect(), "the newest are refused");
    let full = bus.publish(Topic::Jobs, suite::event("channel_0", 120)).await;
    assert_eq!(full, Err(BusError::Full { waiting: 100, limit: 100 }));
    drop(bus);

    // The next process of this name sends them first.
    broker.restart().await;
    let bus = limited_bus("one").await;
    drained(&bus).await;
    acknowledged.extend(publish(&bus, 200..210).await);
    assert_eq!(collect(&bus, "after-the-restart", &acknowledged).await, in_order(&acknowledged));

    // And one of another name, when they are old enough.
    broker.kill();
    acknowledged.extend(publish(&bus, 300..320).await);
    assert_eq!(acknowledged.len(), 130);
    drop(bus);
    broker.restart().await;
    let heir = KafkaSettings { adopt_after: Duration::ZERO, ..limited("two") };
    let heir = KafkaBus::connect(heir, store(&folder).await).await.expect("the broker answers");
    assert_eq!(collect(&heir, "after-the-adoption", &acknowledged).await, in_order(&acknowledged));
}
