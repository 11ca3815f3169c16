//! The feed: what ingest tells the packager about one broadcast, in order, over a channel bounded in bytes.
//!
//! Media never crosses the bus. Ingest and packager share a process and this channel; the root package connects
//! them through [`BroadcastSink`]. When the packager falls behind, [`FeedSender::send`] waits, the connection's
//! task stops reading, and TCP slows that publisher and nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::flv::FlvTag;
use crate::ids::{BroadcastId, ChannelName, ConnectionId};
use crate::ladder::ChannelLadder;
use crate::playback::Access;
use crate::time::RtmpMillis;
use crate::trace::Cause;

/// Most bytes of tag bodies that wait in one feed.
pub const FEED_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most items that wait in one feed.
pub const FEED_MAX_ITEMS: usize = 1024;
/// Granularity of the byte budget.
const PERMIT_BYTES: usize = 1024;

/// What ingest says of a broadcast, in this order: `PublisherJoined`, tags, `PublisherLeft`, perhaps again, `Ended` or
/// `Moved`.
#[derive(Debug)]
pub enum FeedItem {
    /// A publisher begins: the first, one that came back within the reconnect window, or one that took over. Its
    /// sequence headers and metadata follow as tags, then its first keyframe. The timestamps of two publishers
    /// have nothing to do with each other.
    PublisherJoined(PublisherInfo),
    /// One tag of the current publisher.
    Tag {
        /// The tag.
        tag: FlvTag,
        /// When its last byte was read from the socket.
        arrived: Instant,
    },
    /// The publisher is gone without ending the broadcast; the reconnect window runs.
    PublisherLeft,
    /// The broadcast is over. Nothing follows.
    Ended,
    /// The channel is live on another node now: viewers go on there. Nothing follows.
    Moved,
}

/// Who publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherInfo {
    /// The RTMP connection.
    pub connection: ConnectionId,
    /// Name and version of the encoder, from `flashVer` or `onMetaData`'s `encoder`; at most 128 characters,
    /// no control characters.
    pub encoder: Option<String>,
    /// This publish, in logs and traces.
    pub cause: Cause,
}

/// What the packager says back to ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedReply {
    /// This publisher's media cannot be packaged: close the connection with this sentence, which names the codec
    /// and what to do.
    Refuse {
        /// The publisher it is about.
        connection: ConnectionId,
        /// For OBS, the log and the dashboard.
        sentence: String,
    },
}

/// What a new broadcast is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroadcastStart {
    /// Its id.
    pub id: BroadcastId,
    /// Its channel.
    pub channel: ChannelName,
    /// Whether its media needs a playback token when it begins; `channel.updated.v1` says when that changes.
    pub access: Access,
    /// What its channel wants of rungs. It stays until the broadcast is over.
    pub ladder: ChannelLadder,
}

/// Takes new broadcasts from ingest. The packager's shell implements it, and so do tests.
pub trait BroadcastSink: Send + Sync + 'static {
    /// Looks at a tag of a publisher that has no feed yet: one that can never be packaged begins no broadcast, and
    /// takes over from nobody. Must not block.
    ///
    /// # Errors
    /// The sentence for the person at the encoder, which names the codec and what to do.
    fn check(&self, tag: &FlvTag) -> Result<(), String> {
        let _ = tag;
        Ok(())
    }

    /// Opens the feed of a new broadcast. Called once per broadcast, from within a tokio runtime; must not block.
    fn open(&self, start: BroadcastStart) -> FeedHandle;
}

/// Ingest's end of a feed.
#[derive(Debug)]
pub struct FeedHandle {
    /// Where items go.
    pub items: FeedSender,
    /// What comes back.
    pub replies: mpsc::Receiver<FeedReply>,
}

/// The packager is gone; the broadcast cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the packager of this broadcast has stopped")]
pub struct FeedClosed;

/// Sends items, waiting while [`FEED_MAX_BYTES`] or [`FEED_MAX_ITEMS`] are under way.
#[derive(Debug, Clone)]
pub struct FeedSender {
    items: mpsc::Sender<(FeedItem, Option<OwnedSemaphorePermit>)>,
    budget: Arc<Semaphore>,
    wanted: Arc<Wanted>,
}

/// Receives items in order.
#[derive(Debug)]
pub struct FeedReceiver {
    items: mpsc::Receiver<(FeedItem, Option<OwnedSemaphorePermit>)>,
    wanted: Arc<Wanted>,
}

/// The timestamp that is wanted next, above [`Wanted::KNOWN`]; 0 while there is none. Advice: nothing is ordered by it.
#[derive(Debug, Default)]
struct Wanted(AtomicU64);

impl Wanted {
    const KNOWN: u64 = 1 << 32;
}

/// A new feed.
#[must_use]
pub fn feed() -> (FeedSender, FeedReceiver) {
    let (sender, receiver) = mpsc::channel(FEED_MAX_ITEMS);
    let budget = Arc::new(Semaphore::new(FEED_MAX_BYTES / PERMIT_BYTES));
    let wanted = Arc::<Wanted>::default();
    (
        FeedSender { items: sender, budget, wanted: Arc::clone(&wanted) },
        FeedReceiver { items: receiver, wanted },
    )
}

impl FeedSender {
    /// Sends one item when there is room. A body larger than the whole budget takes all of it.
    ///
    /// # Errors
    /// [`FeedClosed`] when the receiver is gone.
    pub async fn send(&self, item: FeedItem) -> Result<(), FeedClosed> {
        let permit = match &item {
            FeedItem::Tag { tag, .. } => {
                let want = tag.body.len().div_ceil(PERMIT_BYTES).min(FEED_MAX_BYTES / PERMIT_BYTES);
                let want = u32::try_from(want).expect("bounded by the budget");
                Some(Arc::clone(&self.budget).acquire_many_owned(want).await.map_err(|_| FeedClosed)?)
            }
            _ => None,
        };
        self.items.send((item, permit)).await.map_err(|_| FeedClosed)
    }

    /// The timestamp of the tag that the packager waits for, as [`FeedReceiver::want`] left it. Tags before it complete
    /// nothing that a viewer could be given, so they need not be sent one by one. `None`: each tag matters at once.
    #[must_use]
    pub fn wanted(&self) -> Option<RtmpMillis> {
        let wanted = self.wanted.0.load(Relaxed);
        let millis = u32::try_from(wanted ^ Wanted::KNOWN).ok()?;
        Some(RtmpMillis(millis))
    }
}

impl FeedReceiver {
    /// The next item, or `None` once every sender is gone and the feed is empty. Cancel-safe.
    pub async fn recv(&mut self) -> Option<FeedItem> {
        self.items.recv().await.map(|(item, _permit)| item)
    }

    /// Says which tag is waited for, by its timestamp: see [`FeedSender::wanted`].
    pub fn want(&self, timestamp: Option<RtmpMillis>) {
        self.wanted.0.store(timestamp.map_or(0, |at| Wanted::KNOWN | u64::from(at.0)), Relaxed);
    }

    /// The next item if one waits already.
    pub fn try_recv(&mut self) -> Option<FeedItem> {
        self.items.try_recv().ok().map(|(item, _permit)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::TagKind;
    use crate::time::RtmpMillis;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn tag(bytes: usize, now: Instant) -> FeedItem {
        let tag = FlvTag {
            kind: TagKind::Video,
            timestamp: RtmpMillis(0),
            body: bytes::Bytes::from(vec![0; bytes]),
        };
        FeedItem::Tag { tag, arrived: now }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_full_feed_makes_the_sender_wait_and_a_read_frees_it() {
        let now = Instant::now();
        let (sender, mut receiver) = feed();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(
            pin!(sender.send(tag(FEED_MAX_BYTES - PERMIT_BYTES, now))).poll(&mut context),
            Poll::Ready(Ok(()))
        );
        let mut second = pin!(sender.send(tag(2 * PERMIT_BYTES, now)));
        assert_eq!(second.as_mut().poll(&mut context), Poll::Pending);
        assert!(receiver.try_recv().is_some());
        assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(Ok(())));
        drop(receiver);
        assert_eq!(pin!(sender.send(FeedItem::Ended)).poll(&mut context), Poll::Ready(Err(FeedClosed)));
    }

    #[test]
    fn what_is_wanted_is_known_to_the_sender() {
        let (sender, receiver) = feed();
        assert_eq!(sender.wanted(), None);
        for wanted in [Some(RtmpMillis(0)), Some(RtmpMillis(u32::MAX)), None] {
            receiver.want(wanted);
            assert_eq!(sender.clone().wanted(), wanted);
        }
    }
}
