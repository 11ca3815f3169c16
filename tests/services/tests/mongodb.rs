//! The MongoDB engine on a real server.
#![expect(clippy::disallowed_methods, reason = "measures how long a call takes")]

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_store::suite::{self, Pet};
use millrace_store::{Changes, Document, Engine, Location, Store, StoreError, transfer};
use millrace_test_services::mongodb::{self, Mongod};

/// What a call may take when the store is away.
const PROMPT: Duration = Duration::from_secs(10);

async fn engine(uri: String) -> Arc<dyn Engine> {
    millrace_store::open(&Location::MongoDb(uri), Path::new("")).await.expect("the server answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    let fresh = || async { ((), engine(mongodb::database().await).await) };
    suite::run(&suite::Fresh::new(move || Box::pin(fresh()))).await;
}

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
async fn a_server_without_transactions_is_refused_with_the_remedy() {
    let server = Mongod::start_alone().await;
    let Err(err) = millrace_store::open(&Location::MongoDb(server.uri_alone()), Path::new("")).await else {
        panic!("it was taken");
    };
    assert!(format!("{err:?}").contains("--replSet"), "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_moves_from_sqlite_to_mongodb_and_stays_the_same() {
    let collections = [Pet::COLLECTION];
    let folder = tempfile::tempdir().expect("a folder can be made");
    let sqlite = millrace_store::open(&Location::Sqlite, folder.path()).await.expect("it can be opened");
    let store = suite::store(Arc::clone(&sqlite)).await;
    for number in 0..1_200_u32 {
        let id = format!("{number:x} \u{1f431} $.\0");
        store.insert(&suite::pet(&id, &format!("owner {number}"))).await.expect("it is written");
    }
    let read = store.get::<Pet>("0 \u{1f431} $.\0").await.expect("it can be read").expect("it is there");
    store.commit(Changes::new().replace(&read, &read.value)).await.expect("it is written");
    let mut file = Vec::new();
    transfer::export(sqlite.as_ref(), &collections, &mut file).await.expect("it can be exported");

    let server = engine(mongodb::database().await).await;
    let moved = suite::store(Arc::clone(&server)).await;
    let count = transfer::import(server.as_ref(), &collections, &mut Cursor::new(&file)).await;
    assert_eq!(count.expect("it can be imported"), 1_200);
    let mut again = Vec::new();
    transfer::export(server.as_ref(), &collections, &mut again).await.expect("it can be exported");
    assert!(again == file, "the second file is another");
    let found = moved.find_one::<Pet>("owner", "owner 7").await.expect("it can be read");
    assert!(found.is_some(), "what was moved is found by its indexes");
}
