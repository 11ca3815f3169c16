//! The threads that carry media: each runs the connections of some publishers, and their packagers, and nothing else.
//!
//! A tag then goes from socket to part without waking another thread, and HTTP, however busy, does not stand between.
//! The more publishers a thread has, the less often it looks at its sockets: see [`pause_between_looks`].
#![expect(clippy::disallowed_methods, reason = "shell: threads, clock")]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// What each publisher beyond the first adds to the pause between two looks at the sockets.
const PAUSE_PER_PUBLISHER: Duration = Duration::from_micros(1_250);

/// How long a thread with so many publishers leaves its sockets alone after it looked at them.
///
/// Waking up costs more than packaging what came: an encoder sends a packet every 10 ms or so, and with many of them
/// nearly every packet would wake the thread. What arrives during the pause is taken in one go. A single publisher
/// never waits. `most` is [`Config::max_pause`](crate::Config::max_pause).
#[must_use]
pub fn pause_between_looks(publishers: usize, most: Duration) -> Duration {
    let others = u32::try_from(publishers.saturating_sub(1)).unwrap_or(u32::MAX);
    PAUSE_PER_PUBLISHER.saturating_mul(others).min(most)
}

/// Starts and owns the threads. They end, and cut what still runs on them, when it is dropped.
#[derive(Debug)]
pub struct MediaThreads {
    threads: Arc<[MediaThread]>,
    stop: CancellationToken,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct MediaThread {
    pub(crate) runtime: Handle,
    connections: Arc<AtomicUsize>,
    publishers: Arc<AtomicUsize>,
}

impl MediaThreads {
    /// So many threads; 0 is half of the cores, at least one. The other half is for viewers. `max_pause`: see
    /// [`pause_between_looks`].
    ///
    /// # Errors
    /// The system gives no thread, or no descriptors for its poll.
    pub fn start(count: usize, max_pause: Duration) -> std::io::Result<Self> {
        let count = match count {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
            count => count,
        };
        let stop = CancellationToken::new();
        let threads = (0..count).map(|index| MediaThread::start(index, max_pause, stop.clone()));
        Ok(Self { threads: threads.collect::<Result<_, _>>()?, stop })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Where connections can be put.
    #[must_use]
    pub fn places(&self) -> MediaPlaces {
        MediaPlaces(Arc::clone(&self.threads))
    }
}

impl Drop for MediaThreads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Gives out places on the threads.
#[derive(Debug, Clone)]
pub struct MediaPlaces(Arc<[MediaThread]>);

impl MediaPlaces {
    /// The thread with the fewest connections, and one of its places.
    pub(crate) fn take(&self) -> (MediaThread, Seat) {
        let thread = self.0.iter().min_by_key(|thread| thread.connections.load(Relaxed));
        let thread = thread.expect("there is at least one thread").clone();
        let seat = Seat::take(&thread.connections);
        (thread, seat)
    }
}

impl MediaThread {
    fn start(index: usize, max_pause: Duration, stop: CancellationToken) -> std::io::Result<Self> {
        let publishers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&publishers);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || pause(pause_between_looks(counted.load(Relaxed), max_pause)))
            .on_thread_unpark(|| LOOKED.set(Some(Instant::now())))
            .build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name(format!("media-{index}"))
            .spawn(move || runtime.block_on(stop.cancelled()))?;
        Ok(Self { runtime: handle, connections: Arc::default(), publishers })
    }

    /// Counts a publisher while the seat lives.
    pub(crate) fn publisher(&self) -> Seat {
        Seat::take(&self.publishers)
    }
}

thread_local! {
    static LOOKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Called when there is nothing to do: sleeps until the sockets may be looked at again.
fn pause(pause: Duration) {
    if let Some(looked) = LOOKED.get()
        && let Some(rest) = pause.checked_sub(looked.elapsed())
        && !rest.is_zero()
    {
        std::thread::sleep(rest);
    }
}

/// Counts one while it lives.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_publisher_never_waits_and_many_wait_no_longer_than_allowed() {
        let most = Duration::from_millis(10);
        let pauses = [0, 1, 2, 5, 9, 1_000, usize::MAX].map(|n| pause_between_looks(n, most).as_micros());
        assert_eq!(pauses, [0, 0, 1_250, 5_000, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn connections_go_to_the_thread_with_the_fewest() {
        let threads = MediaThreads::start(2, Duration::ZERO).expect("two threads");
        let places = threads.places();
        let index = |thread: &MediaThread| {
            threads.threads.iter().position(|other| Arc::ptr_eq(&other.connections, &thread.connections))
        };
        let (first, first_seat) = places.take();
        let (second, _second_seat) = places.take();
        assert_ne!(index(&first), index(&second));
        drop(first_seat);
        assert_eq!(index(&places.take().0), index(&first));
    }

    #[test]
    fn dropping_the_threads_cuts_what_runs_on_them() {
        let threads = MediaThreads::start(1, Duration::ZERO).expect("a thread");
        let (thread, _seat) = threads.places().take();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        thread.runtime.spawn(async move {
            let _held = sender;
            std::future::pending::<()>().await;
        });
        drop(threads);
        assert_eq!(
            receiver.recv_timeout(Duration::from_secs(20)),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
        );
    }
}
