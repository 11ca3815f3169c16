//! A process ends while it is connected.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millrace_store::suite::{self, Pet};
use millrace_test_services::mongodb;
use tokio::runtime::Runtime;

use super::engine;

/// Ends of a process: enough that some of them panic where the driver is dropped.
const ENDS: usize = 200;

/// The driver says goodbye when it is dropped, in a task of its own; the runtime that ends at the same moment has taken
/// what the task needs.
#[test]
fn the_end_of_a_process_is_no_panic_in_the_driver() {
    let servers = Runtime::new().expect("a runtime can be made");
    let uri = servers.block_on(mongodb::database());
    let panics = Arc::new(AtomicUsize::new(0));
    let (counted, before) = (Arc::clone(&panics), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        let in_driver = info.location().is_some_and(|place| place.file().contains("mongodb-"));
        counted.fetch_add(usize::from(in_driver), Ordering::Relaxed);
        before(info);
    }));
    for _ in 0..ENDS {
        let process = Runtime::new().expect("a runtime can be made");
        process.block_on(async {
            let store = suite::store(engine(uri.clone()).await).await;
            let read = store.get::<Pet>("1").await.expect("the server answers");
            assert!(read.is_none(), "nobody wrote anything");
        });
    }
    assert_eq!(panics.load(Ordering::Relaxed), 0);
}
