//! The threads that carry media: each runs the connections of some publishers, and their packagers, and nothing else.
//!
//! A tag then goes from socket to part without waking another thread, and HTTP, however busy, does not stand between.
//! The more publishers a thread has, the less often it looks at its sockets: see [`pause_between_looks`]. Sockets of which
//! no part is due are left alone for longer ([`crate::pace`]); while all are, the thread sleeps until the first is due.
#![expect(clippy::disallowed_methods, reason = "shell: threads, clock")]

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::pace::Beat;

/// What each publisher beyond the first adds to the pause between two looks at the sockets.
const PAUSE_PER_PUBLISHER: Duration = Duration::from_micros(1_250);

/// tokio's timers fire at whole milliseconds, this late at most.
const TIMER_STEP: Duration = Duration::from_millis(1);
/// How many pauses long a publisher's socket is left alone at most while no part is due: see [`crate::pace`].
const PAUSES_PER_REST: u32 = 10;

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
    max_pause: Duration,
    started: Instant,
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
        let connections = Arc::<AtomicUsize>::default();
        let counted = (Arc::clone(&publishers), Arc::clone(&connections));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || {
                let (publishers, connections) = (counted.0.load(Relaxed), counted.1.load(Relaxed));
                pause(pause_between_looks(publishers, max_pause), connections);
            })
            .on_thread_unpark(|| LOOKED.set(Some(Instant::now())))
            .build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name(format!("media-{index}"))
            .spawn(move || runtime.block_on(stop.cancelled()))?;
        Ok(Self { runtime: handle, connections, publishers, max_pause, started: Instant::now() })
    }

    /// How long a publisher's socket may be left alone now while nobody waits for what is in it.
    pub(crate) fn beat(&self) -> Beat {
        let least = pause_between_looks(self.publishers.load(Relaxed), self.max_pause);
        Beat { origin: self.started, least, most: least * PAUSES_PER_REST }
    }

    /// A connection of this thread, which calls, leaves its socket alone until then.
    pub(crate) fn rests(until: Instant) {
        RESTS.with_borrow_mut(|rests| rests.begin(until + TIMER_STEP));
    }

    /// Counts a publisher while the seat lives.
    pub(crate) fn publisher(&self) -> Seat {
        Seat::take(&self.publishers)
    }
}

thread_local! {
    static LOOKED: Cell<Option<Instant>> = const { Cell::new(None) };
    static RESTS: RefCell<Rests> = const { RefCell::new(Rests(BinaryHeap::new())) };
}

/// When the sockets of a thread that are left alone may be read again.
struct Rests(BinaryHeap<Reverse<Instant>>);

impl Rests {
    fn begin(&mut self, until: Instant) {
        self.0.push(Reverse(until));
    }

    /// When the first rest ends, while every one of `connections` rests. A rest that was cut short counts until its end.
    fn first_end(&mut self, now: Instant, connections: usize) -> Option<Instant> {
        while self.0.peek().is_some_and(|Reverse(until)| *until <= now) {
            self.0.pop();
        }
        self.0.peek().filter(|_| self.0.len() >= connections).map(|Reverse(until)| *until)
    }
}

/// Called when there is nothing to do: sleeps until the sockets may be looked at again; while all are left alone, until
/// the first of them may be.
fn pause(pause: Duration, connections: usize) {
    let Some(looked) = LOOKED.get() else { return };
    let now = Instant::now();
    let rest = RESTS.with_borrow_mut(|rests| rests.first_end(now, connections));
    let until = rest.into_iter().fold(looked + pause, Instant::max);
    if until > now {
        std::thread::sleep(until - now);
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
    fn a_thread_sleeps_until_the_first_rest_ends_only_while_all_rest() {
        let (now, ms) = (Instant::now(), Duration::from_millis);
        let mut rests = Rests(BinaryHeap::new());
        assert_eq!(rests.first_end(now, 0), None);
        for millis in [30, 10, 20] {
            rests.begin(now + ms(millis));
        }
        assert_eq!(rests.first_end(now, 4), None, "one connection does not rest");
        assert_eq!(rests.first_end(now, 3), Some(now + ms(10)));
        assert_eq!(rests.first_end(now + ms(10), 3), None, "one has ended its rest");
        assert_eq!(rests.first_end(now + ms(10), 2), Some(now + ms(20)));
        assert_eq!(rests.first_end(now + ms(30), 0), None);
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
