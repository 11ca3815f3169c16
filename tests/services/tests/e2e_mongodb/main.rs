//! The MongoDB engine on a real server.

mod away;
mod end;
mod plans;

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use millrace_store::suite::{self, Pet};
use millrace_store::{Changes, Document, Engine, Location, transfer};
use millrace_test_services::mongodb;

async fn engine(uri: String) -> Arc<dyn Engine> {
    millrace_store::open(&Location::MongoDb(uri), Path::new("")).await.expect("the server answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    let fresh = || async { ((), engine(mongodb::database().await).await) };
    suite::run(&suite::Fresh::new(move || Box::pin(fresh()))).await;
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
