//! Every question is answered from an index, in the order of the index: the server's own profiler says so.

use ::mongodb::bson::{Document as Bson, doc};
use ::mongodb::{Client, Database};
use millrace_store::suite::{self, Pet};
use millrace_store::{After, Order, Query, Store};
use millrace_test_services::mongodb;
use serde_json::Value;

use super::engine;

#[tokio::test(flavor = "multi_thread")]
async fn every_question_is_answered_from_an_index() {
    let uri = mongodb::database().await;
    let store = suite::store(engine(uri.clone()).await).await;
    for number in 0..50 {
        let owner = if number < 25 { "ada" } else { "bob" };
        store
            .insert(&suite::pet(&format!("{number:02}{}", "x".repeat(number)), owner))
            .await
            .expect("it is written");
    }
    let client = Client::with_uri_str(&uri).await.expect("it is a URI");
    let database = client.default_database().expect("it names one");
    database.run_command(doc! { "profile": 2 }).await.expect("the profiler starts");
    ask(&store).await;
    database.run_command(doc! { "profile": 0 }).await.expect("the profiler stops");
    let seen = profile(&database).await;
    assert!(seen.len() >= 14, "the profiler saw {} questions", seen.len());
    for one in seen {
        let plan = one.get_str("planSummary").unwrap_or_default();
        assert!(plan.contains("IXSCAN") || plan.contains("IDHACK") || plan.contains("COUNT"), "{one}");
        // In the order of ids is what has the values of a query, which are few.
        let asked = one.get_document("command").cloned().unwrap_or_default();
        let by_id = asked.get_document("sort").is_ok_and(|sort| sort.keys().eq(["_id"]));
        let sorted = one.get_bool("hasSortStage").unwrap_or(false);
        // So is what few words find.
        let by_words = plan.contains("words");
        assert!(by_id || by_words || !sorted, "sorted in memory: {one}");
    }
}

/// One question of each kind.
async fn ask(store: &Store) {
    let owner = || Query::with("owner", "ada", 5);
    let after = |value: Value| Some(After { value, id: "05".to_owned() });
    let mut queries = vec![
        Query::first(5),
        Query::first(5).after(after(Value::Null)),
        Query::with("chip", "a", 1),
        owner(),
    ];
    for order in [Order::Ascending, Order::Descending] {
        queries.extend([
            Query::first(5).ordered("chip", order).after(after("a".into())),
            Query::first(5).ordered("born_at", order).after(after(7.into())),
            owner().ordered("born_at", order).after(after(7.into())),
            owner().and("tame", true).ordered("tricks", order).after(after(0.into())),
        ]);
    }
    for query in queries {
        store.find::<Pet>(&query).await.expect("it answers");
    }
    store.get::<Pet>("00").await.expect("it answers");
    store.search::<Pet>("black cat", &Query::first(5)).await.expect("it answers");
    let tamest = owner().and("tame", true).ordered("tricks", Order::Descending);
    store.search::<Pet>("black cat", &tamest).await.expect("it answers");
    store.count::<Pet>(&owner()).await.expect("it answers");
    store.remove_below::<Pet>("born_at", 1, 5).await.expect("it answers");
}

async fn profile(database: &Database) -> Vec<Bson> {
    let filter = doc! { "ns": { "$regex": "suite_pets$" }, "op": { "$in": ["query", "command", "remove"] } };
    let mut found = database.collection::<Bson>("system.profile").find(filter).await.expect("it answers");
    let mut all = Vec::new();
    while found.advance().await.expect("it answers") {
        all.push(found.deserialize_current().expect("it is a document"));
    }
    all
}
