//! The bus on a real Apache Kafka.
#![expect(clippy::disallowed_methods, reason = "shell: deadlines")]

mod away;
mod cluster;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_bus::{COLLECTIONS, KafkaBus, KafkaConfig, KafkaSettings};
use millrace_core::bus::{Bus, Start, Topic, suite};
use millrace_store::{Location, Store};
use millrace_test_services::kafka::{self, Kafka, Place};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tempfile::TempDir;

async fn store(folder: &TempDir) -> Store {
    let engine = millrace_store::open(&Location::Sqlite, folder.path()).await.expect("it can be opened");
    Store::new(engine, COLLECTIONS).await.expect("it can be prepared")
}

fn settings(place: &Place, node: &str) -> KafkaSettings {
    let config = KafkaConfig {
        prefix: place.prefix.clone(),
        away_after: Duration::from_secs(1),
        ..KafkaConfig::default()
    };
    config.settings(std::slice::from_ref(&place.broker), node).expect("there is no file to read")
}

async fn connect(place: &Place, node: &str, folder: &TempDir) -> Arc<KafkaBus> {
    KafkaBus::connect(settings(place, node), store(folder).await).await.expect("the broker answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    let fresh = || async {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let bus = connect(&kafka::place().await, "suite", &folder).await;
        (folder, bus as Arc<dyn Bus>)
    };
    suite::run(&suite::Fresh::new(move || Box::pin(fresh()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_hear_each_other() {
    let (place, folder) = (kafka::place().await, tempfile::tempdir().expect("a folder can be made"));
    let (one, other) = (connect(&place, "one", &folder).await, connect(&place, "other", &folder).await);
    let (mut own, mut heard) = (one.subscribe(Topic::Streams), other.subscribe(Topic::Streams));
    for number in 0..20 {
        one.publish(Topic::Streams, suite::event("studio", number)).await.expect("it is taken");
    }
    for number in 0..20 {
        assert_eq!(own.next().await.expect("it is heard").id.as_u128(), number);
        assert_eq!(heard.next().await.expect("it is heard").id.as_u128(), number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_says_is_passed_over_and_what_is_no_event_is_buried() {
    let (place, folder) = (kafka::place().await, tempfile::tempdir().expect("a folder can be made"));
    let bus = connect(&place, "one", &folder).await;
    let mut live = bus.subscribe(Topic::Streams);
    let stranger: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &place.broker).create().expect("it can be made");
    let topic = format!("{}millrace.streams", place.prefix);
    let newer = suite::event("studio", 2).to_json().replace("stream.ended.v1", "stream.ended.v2");
    let last = suite::event("studio", 3).to_json();
    for payload in [&suite::event("studio", 1).to_json(), &newer, "no event", &last] {
        let headers = rdkafka::message::OwnedHeaders::new()
            .insert(rdkafka::message::Header { key: "from", value: Some("a stranger") });
        let record = FutureRecord::to(&topic).key("studio").payload(payload).headers(headers);
        stranger.send(record, Duration::from_secs(30)).await.expect("the broker takes it");
    }
    for number in [1, 3] {
        assert_eq!(live.next().await.expect("it is heard").id.as_u128(), number);
    }
    let mut member = bus.join("workers", &[Topic::Streams]).await.expect("it joins");
    for number in [1, 3] {
        assert_eq!(member.next().await.expect("it comes").event.id.as_u128(), number);
    }
    let dead = bus.dead_letters(Topic::Streams, 10).await.expect("they can be read");
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!((dead[0].payload.as_str(), dead[0].key.as_str()), ("no event", "studio"));
    assert_eq!(dead[0].headers, BTreeMap::from([("from".to_owned(), "a stranger".to_owned())]));
    assert!(dead[0].reason.starts_with("it cannot be read as an event"), "{}", dead[0].reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_and_nothing_else() {
    let (place, folder) = (kafka::place().await, tempfile::tempdir().expect("a folder can be made"));
    let bus = connect(&place, "one", &folder).await;
    let mut large = suite::event("studio", 1);
    large.source = "x".repeat(300_000);
    let refused = bus.publish(Topic::Streams, large).await;
    assert!(matches!(refused, Err(millrace_core::bus::BusError::TooLarge { .. })), "{refused:?}");
    bus.publish(Topic::Streams, suite::event("studio", 2)).await.expect("it is taken");
    let mut past = bus.replay(Topic::Streams, Start::Beginning).await.expect("it can be read");
    let first = past.next().await.expect("it can be read").expect("there is one");
    assert_eq!(first.event.id.as_u128(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_the_password_over_tls_gets_in_and_nobody_else() {
    let broker = Kafka::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        Some(path)
    };
    let good = KafkaConfig {
        prefix: kafka::prefix(),
        tls: true,
        ca_file: write("ca.pem", broker.certificate()),
        username: Some(kafka::USER.to_owned()),
        password_file: write("password", &format!("{}\n", kafka::PASSWORD)),
        connect_timeout: Duration::from_secs(30),
        ..KafkaConfig::default()
    };
    let connect = async |config: &KafkaConfig| {
        let settings = config.settings(&[broker.secured()], "one").expect("its files are there");
        assert!(!format!("{settings:?}").contains(kafka::PASSWORD), "it is not printed");
        let home = tempfile::tempdir().expect("a folder");
        KafkaBus::connect(settings, store(&home).await).await.map(|bus| (bus, home))
    };
    let (bus, _home) = connect(&good).await.expect("it gets in");
    let mut heard = bus.subscribe(Topic::Streams);
    bus.publish(Topic::Streams, suite::event("studio", 7)).await.expect("it is taken");
    assert_eq!(heard.next().await.expect("it is heard").id.as_u128(), 7);
    let bad = KafkaConfig { connect_timeout: Duration::from_secs(3), ..good };
    for (what, config) in [
        ("a wrong password", KafkaConfig { password_file: write("wrong", "wrong"), ..bad.clone() }),
        ("nobody", KafkaConfig { username: None, password_file: None, ..bad.clone() }),
        ("whoever does not know the certificate", KafkaConfig { ca_file: None, ..bad.clone() }),
        ("no TLS", KafkaConfig { tls: false, ca_file: None, ..bad }),
    ] {
        assert!(connect(&config).await.is_err(), "{what} got in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_said_in_time() {
    let (place, folder) = (
        Place { broker: "127.0.0.1:1".into(), prefix: String::new() },
        tempfile::tempdir().expect("a folder"),
    );
    let settings = KafkaSettings { connect_timeout: Duration::from_secs(2), ..settings(&place, "one") };
    let refused = KafkaBus::connect(settings, store(&folder).await).await;
    let sentence = refused.expect_err("nobody is there").to_string();
    assert!(sentence.contains("no answer from 127.0.0.1:1 within 2 s"), "{sentence}");
}
