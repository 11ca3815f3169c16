//! What an event takes: from publishing to whoever listens, to its acknowledgement, and how fast an outbox drains.
//!
//! `cargo bench -p millrace-test-services --bench events`. Both buses on SQLite; the broker is one node on this machine.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "measures, and says what it measured")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_bus::{COLLECTIONS, KafkaBus, KafkaSettings, LocalBus};
use millrace_core::bus::{Bus, Topic, suite};
use millrace_store::{Location, Store};
use millrace_test_services::kafka::{self, Kafka};
use tempfile::TempDir;

/// Events that are measured one after the other.
const EVENTS: u128 = 500;
/// Before that.
const WARM_UP: u128 = 50;
/// Events that wait for the broker.
const WAITING: u128 = 10_000;

#[tokio::main]
async fn main() {
    let home = tempfile::tempdir().expect("a folder");
    let local = LocalBus::open(store(&home).await).await.expect("it opens");
    latencies("in process", Arc::clone(&local.bus) as Arc<dyn Bus>).await;

    let mut broker = Kafka::start().await;
    let home = tempfile::tempdir().expect("a folder");
    let bus = KafkaBus::connect(settings(&broker), store(&home).await).await.expect("it connects");
    latencies("Kafka", Arc::clone(&bus) as Arc<dyn Bus>).await;
    drain(&bus, &mut broker).await;
}

async fn store(home: &TempDir) -> Store {
    let engine = millrace_store::open(&Location::Sqlite, home.path()).await.expect("it opens");
    Store::new(engine, COLLECTIONS).await.expect("it has its collections")
}

fn settings(broker: &Kafka) -> KafkaSettings {
    KafkaSettings {
        brokers: vec![broker.broker()],
        prefix: kafka::prefix(),
        node: "bench:80".to_owned(),
        replication: 1,
        outbox_limit: 20_000,
        away_after: Duration::from_secs(2),
        adopt_after: Duration::ZERO,
        connect_timeout: Duration::from_secs(60),
        security: millrace_bus::Security::default(),
    }
}

/// One event at a time, to a live subscriber (what shows a channel live) and to its acknowledgement.
async fn latencies(name: &str, bus: Arc<dyn Bus>) {
    let mut heard = bus.subscribe(Topic::Streams);
    let (mut hearing, mut acknowledging) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + EVENTS {
        let event = suite::event("studio", number + 1);
        let begun = Instant::now();
        let (delivered, acknowledged) = tokio::join!(
            async {
                heard.next().await.expect("it comes");
                begun.elapsed()
            },
            async {
                bus.publish(Topic::Streams, event).await.expect("it is taken");
                begun.elapsed()
            }
        );
        if number >= WARM_UP {
            hearing.push(delivered);
            acknowledging.push(acknowledged);
        }
    }
    println!(
        "{name}: heard after {}, acknowledged after {}",
        percentiles(hearing),
        percentiles(acknowledging)
    );
}

/// The broker is away while events are published, and comes back.
async fn drain(bus: &Arc<KafkaBus>, broker: &mut Kafka) {
    broker.kill();
    let begun = Instant::now();
    let mut publishing = tokio::task::JoinSet::new();
    for number in 0..WAITING {
        let event = suite::event(&format!("channel_{}", number % 100), 1_000_000 + number);
        let bus = Arc::clone(bus);
        publishing.spawn(async move { bus.publish(Topic::Streams, event).await });
    }
    let mut first = None;
    while let Some(done) = publishing.join_next().await {
        done.expect("it does not panic").expect("it is taken");
        first.get_or_insert_with(|| begun.elapsed());
    }
    println!(
        "Kafka away: the first event is acknowledged by the outbox after {:.1?}",
        first.unwrap_or_default()
    );
    println!("Kafka away: {WAITING} events into the outbox in {:.1?}", begun.elapsed());
    broker.restart().await;
    let begun = Instant::now();
    bus.flush(Duration::from_secs(120)).await;
    assert_eq!(bus.waiting(), 0, "the outbox is not empty");
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "Kafka back: {WAITING} events out of it in {seconds:.2} s, {:.0} a second",
        WAITING as f64 / seconds
    );
}

fn percentiles(mut all: Vec<Duration>) -> String {
    all.sort_unstable();
    let at = |share: usize| all[all.len() * share / 100].as_secs_f64() * 1000.0;
    format!("p50 {:.2} ms, p99 {:.2} ms", at(50), at(99))
}
