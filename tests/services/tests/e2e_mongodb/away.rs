//! The server goes away and comes back, or was never what we need.
#![expect(clippy::disallowed_methods, reason = "measures how long a call takes")]

use std::path::Path;
use std::time::{Duration, Instant};

use ::mongodb::Client;
use ::mongodb::bson::{self, doc};
use millrace_store::suite::{self, Pet};
use millrace_store::{Changes, Document, Location, Store, StoreError};
use millrace_test_services::mongodb::{self, Mongod, ReplicaSet};

use super::engine;

/// What a call may take when the store is away.
const PROMPT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_refused_in_time_and_found_again() {
    let mut server = Mongod::start().await;
    let store = suite::store(engine(server.uri("live")).await).await;
    store.insert(&suite::pet("1", "ada")).await.expect("it is there");
    server.kill();
    is_away(&store).await;
    server.restart().await;
    is_back(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_refused_in_time_and_found_again() {
    let mut server = Mongod::start().await;
    let store = suite::store(engine(server.uri("live")).await).await;
    store.insert(&suite::pet("1", "ada")).await.expect("it is there");
    server.freeze();
    is_away(&store).await;
    server.thaw();
    is_back(&store).await;
}

/// Reading, writing and committing say so, in time.
async fn is_away(store: &Store) {
    let started = Instant::now();
    let (bob, eve) = (suite::pet("b", "bob"), suite::pet("e", "eve"));
    let (read, written, committed, ping) = tokio::join!(
        store.get::<Pet>("1"),
        store.insert(&bob),
        store.commit(Changes::new().insert(&eve).increment::<Pet>("1", "tricks", 1)),
        store.ping(),
    );
    for err in [read.map(drop), written, committed, ping] {
        assert!(matches!(err, Err(StoreError::Unavailable(_))), "{err:?}");
    }
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
}

/// With the same store, at once: nothing is lost, and writing works.
async fn is_back(store: &Store) {
    let read = store.get::<Pet>("1").await.expect("it is back");
    assert_eq!(read.map(|pet| pet.id()), Some("1".to_owned()));
    let changes = Changes::new().insert(&suite::pet("2", "ada")).increment::<Pet>("1", "tricks", 1);
    store.commit(changes).await.expect("it takes writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_while_the_members_elect_another_primary_has_a_database_all_the_same() {
    let set = ReplicaSet::start(Duration::from_secs(1)).await;
    let elections = async {
        for _ in 0..4 {
            set.step_down(2).await;
        }
    };
    let starts = async {
        for number in 0.. {
            let store = suite::store(engine(set.uri(&format!("live_{number}"))).await).await;
            store.insert(&suite::pet("1", "ada")).await.expect("it takes writes");
        }
    };
    tokio::select! {
        () = elections => {}
        () = starts => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_transactions_is_refused_with_the_remedy() {
    let server = Mongod::start_alone().await;
    let Err(err) = millrace_store::open(&Location::MongoDb(server.uri_alone()), Path::new("")).await else {
        panic!("it was taken");
    };
    assert!(format!("{err:?}").contains("--replSet"), "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_waits_for_another_that_prepares_until_its_lease_runs_out() {
    let uri = mongodb::database().await;
    let client = Client::with_uri_str(&uri).await.expect("it is a URI");
    let leases = client.default_database().expect("it names one").collection("_lease");
    let until = bson::DateTime::from_millis(bson::DateTime::now().timestamp_millis() + 1_500);
    // That of a process that died while it prepared.
    leases
        .insert_one(doc! { "_id": "prepare", "owner": "dead", "until": until })
        .await
        .expect("it is written");
    let store = suite::store(engine(uri).await).await;
    assert!(bson::DateTime::now() >= until, "it did not wait");
    store.insert(&suite::pet("1", "ada")).await.expect("it is prepared");
    let left = leases.find_one(doc! {}).await.expect("it answers");
    assert_eq!(left, None, "the lease was not given back");
}
