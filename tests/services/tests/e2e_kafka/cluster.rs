//! Three brokers, of which one dies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millrace_bus::{KafkaBus, KafkaConfig};
use millrace_core::bus::{Bus, BusError, Subscription, Topic, suite};
use millrace_test_services::kafka::{self, Cluster};

use super::store;

/// How long anything may take, an election of leaders among it.
const DEADLINE: Duration = Duration::from_secs(60);
const CHANNELS: u128 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_three_dies_and_no_event_is_lost_or_out_of_order() {
    let mut cluster = Cluster::start(3).await;
    let config =
        KafkaConfig { prefix: kafka::prefix(), away_after: Duration::from_secs(1), ..KafkaConfig::default() };
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder can be made"));
    let connect = async |node: &str, folder| {
        let settings = config.settings(&cluster.brokers(), node).expect("there is no file to read");
        KafkaBus::connect(settings, store(folder).await).await.expect("the brokers answer")
    };
    let (one, other) = (connect("one", &folders[0]).await, connect("other", &folders[1]).await);
    let mut heard = other.subscribe(Topic::Streams);
    let mut member = other.join("workers", &[Topic::Streams]).await.expect("it joins");
    let publish = async |numbers: std::ops::Range<u128>| {
        for number in numbers {
            let event = suite::event(&format!("channel_{}", number % CHANNELS), number);
            one.publish(Topic::Streams, event).await.expect("it is taken");
        }
    };
    publish(0..50).await;
    // The first that is named, who leads a third of everything.
    cluster.node(0).kill();
    publish(50..150).await;
    one.flush(DEADLINE).await;
    assert_eq!(one.waiting(), 0, "two of three are enough");
    in_order(&mut heard, 150).await;
    cluster.node(0).restart().await;
    publish(150..160).await;
    in_order(&mut heard, 10).await;
    let mut missing: BTreeSet<u128> = (0..160).collect();
    let all = async {
        while !missing.is_empty() {
            let delivery = match member.next().await {
                Ok(delivery) => delivery,
                // Whoever reads is told that a broker went, and reads on.
                Err(BusError::Unavailable(_)) => continue,
                Err(error) => panic!("it is not delivered: {error}"),
            };
            missing.remove(&delivery.event.id.as_u128());
        }
    };
    tokio::time::timeout(DEADLINE, all).await.unwrap_or_else(|_| panic!("the group lacks {missing:?}"));
}

/// Hears so many events, those of each channel in order and once.
async fn in_order(heard: &mut Subscription, count: usize) {
    let mut last = BTreeMap::new();
    for _ in 0..count {
        let event =
            tokio::time::timeout(DEADLINE, heard.next()).await.expect("in time").expect("it is heard");
        let before = last.insert(event.subject.to_string(), event.id);
        assert!(before.is_none_or(|before| before < event.id), "{before:?} before {}", event.id);
    }
}
