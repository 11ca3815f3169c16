//! Waiting for conditions, and for a share of the machine.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(50);

/// Waits until `condition` gives a value.
///
/// # Panics
/// When the deadline passes; `what` says what was waited for.
pub(crate) async fn until<T, F>(what: &str, within: Duration, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        sleep(POLL).await;
    }
}

/// What the machine can do at once in real time: so many players or encoders fit on two cores.
const SHARES: u32 = 2;
static MACHINE: Semaphore = Semaphore::const_new(SHARES as usize);

/// Tests with a player that decodes or an encoder hold this, and wait for their turn.
pub(crate) async fn share() -> SemaphorePermit<'static> {
    shares(1).await
}

/// The same for those with two players, or as much as that.
pub(crate) async fn shares(count: u32) -> SemaphorePermit<'static> {
    MACHINE.acquire_many(count).await.expect("it is never closed")
}

/// Tests that need the machine for themselves (thousands of connections, a promise about time) hold this. Only those that
/// take next to nothing run beside them.
pub(crate) async fn quiet() -> SemaphorePermit<'static> {
    shares(SHARES).await
}
