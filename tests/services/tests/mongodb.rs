//! The MongoDB engine on a real server.

use std::sync::Arc;

use millrace_store::{Engine, Location, suite};
use millrace_test_services::mongodb;

async fn engine(uri: String) -> Arc<dyn Engine> {
    millrace_store::open(&Location::MongoDb(uri), "".as_ref()).await.expect("the server answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    let fresh = || async { ((), engine(mongodb::database().await).await) };
    suite::run(&suite::Fresh::new(move || Box::pin(fresh()))).await;
}
