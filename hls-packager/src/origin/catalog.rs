//! Which broadcasts can be watched, and what each of them shows right now.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use axum::http::HeaderValue;
use millrace_core::ids::{BroadcastId, ChannelName};
use millrace_core::playback::Access;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::view::{MultivariantView, View};
use super::viewers::Viewers;
use crate::model::RenditionId;
use crate::playlist::MultivariantPlaylist;
use crate::transcode::stills::BroadcastStills;
use crate::window::Window;

/// One broadcast as viewers see it. Its task publishes, requests read; neither waits for the other.
#[derive(Debug)]
pub struct Broadcast {
    id: BroadcastId,
    prefix: Arc<str>,
    multivariant: ArcSwap<MultivariantView>,
    multivariant_version: AtomicU64,
    renditions: Vec<Published>,
    viewers: Viewers,
    satisfied_cache: HeaderValue,
    /// `None` where no pictures are made.
    stills: Option<Arc<BroadcastStills>>,
}

/// A rendition of a broadcast.
#[derive(Debug)]
struct Published {
    name: &'static str,
    view: watch::Sender<Arc<View>>,
    /// Whether somebody asked for something of it since that was last looked at.
    asked: AtomicBool,
}

impl Broadcast {
    /// A broadcast whose window has been opened; `None` before.
    #[must_use]
    pub fn new(id: BroadcastId, prefix: Arc<str>, window: &Window) -> Option<Self> {
        let target_duration = window.target_duration()?;
        let published = |(index, name): (usize, &'static str)| {
            let snapshot = window.snapshot(RenditionId(index))?;
            let view = watch::Sender::new(Arc::new(View::new(snapshot)));
            Some(Published { name, view, asked: AtomicBool::new(false) })
        };
        let names = window.renditions().map(|(info, _)| info.name).enumerate();
        let multivariant = MultivariantView::new(MultivariantPlaylist::new(window), &prefix, 0);
        // Blocking answers may be cached for six target durations (RFC 8216bis appendix B.1): the URL names a part,
        // and the answer lists it for ever after.
        let satisfied_cache =
            HeaderValue::try_from(format!("public, max-age={}", u64::from(target_duration) * 6));
        Some(Self {
            id,
            multivariant: ArcSwap::from_pointee(multivariant),
            multivariant_version: AtomicU64::new(0),
            renditions: names.map(published).collect::<Option<_>>()?,
            viewers: Viewers::default(),
            satisfied_cache: satisfied_cache.expect("digits are visible ASCII"),
            stills: None,
            prefix,
        })
    }

    /// Its id: the newer of two has the greater.
    #[must_use]
    pub fn id(&self) -> BroadcastId {
        self.id
    }

    /// With these still pictures.
    #[must_use]
    pub fn with_stills(mut self, stills: Option<Arc<BroadcastStills>>) -> Self {
        self.stills = stills;
        self
    }

    /// Its random prefix.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Its still pictures, if any are made.
    pub(super) fn stills(&self) -> Option<&Arc<BroadcastStills>> {
        self.stills.as_ref()
    }

    /// Shows what the window holds now, and wakes who waits for it. Bytes are in the snapshot, so nothing is
    /// announced before it can be read.
    pub fn publish(&self, window: &Window) {
        for (index, published) in self.renditions.iter().enumerate() {
            let id = RenditionId(index);
            let shown = published.view.borrow().snapshot.version();
            if window.version(id).is_some_and(|version| version != shown)
                && let Some(snapshot) = window.snapshot(id)
            {
                published.view.send_replace(Arc::new(View::new(snapshot)));
            }
        }
        // Players ask for it once: it changes with segments, not with parts.
        let playlist = MultivariantPlaylist::new(window);
        if *self.multivariant.load().model() != playlist {
            let version = self.multivariant_version.fetch_add(1, Relaxed) + 1;
            self.multivariant.store(Arc::new(MultivariantView::new(playlist, &self.prefix, version)));
        }
    }

    /// Answers everybody who waits with what there is: the server stops.
    pub fn stop(&self) {
        for published in &self.renditions {
            published.view.send_modify(|view| *view = Arc::new(View::new(view.snapshot.stopping())));
        }
    }

    /// The multivariant playlist.
    #[must_use]
    pub fn multivariant(&self) -> Arc<MultivariantView> {
        self.multivariant.load_full()
    }

    /// A rendition by name, for somebody who asks for something of it.
    #[must_use]
    pub fn rendition(&self, name: &str) -> Option<&watch::Sender<Arc<View>>> {
        let published = self.renditions.iter().find(|published| published.name == name)?;
        // Looked at first: thousands of viewers would take this line of memory from each other.
        if !published.asked.load(Relaxed) {
            published.asked.store(true, Relaxed);
        }
        Some(&published.view)
    }

    /// The renditions.
    pub fn renditions(&self) -> impl Iterator<Item = RenditionId> + use<> {
        (0..self.renditions.len()).map(RenditionId)
    }

    /// Whether anybody asked for something of a rendition since the last time this was called.
    pub fn take_asked(&self, rendition: RenditionId) -> bool {
        self.renditions
            .get(rendition.0)
            .is_some_and(|published| published.asked.load(Relaxed) && published.asked.swap(false, Relaxed))
    }

    /// Whether requests wait for what comes next of a rendition.
    #[must_use]
    pub fn is_awaited(&self, rendition: RenditionId) -> bool {
        self.renditions.get(rendition.0).is_some_and(|published| published.view.receiver_count() > 0)
    }

    /// Who watches.
    #[must_use]
    pub fn viewers(&self) -> &Viewers {
        &self.viewers
    }

    /// `Cache-Control` of an answer that stays true.
    #[must_use]
    pub fn satisfied_cache(&self) -> HeaderValue {
        self.satisfied_cache.clone()
    }
}

/// A channel's broadcasts that can be fetched, and by whom.
#[derive(Debug, Clone, Default)]
pub struct Channel {
    access: Access,
    /// Broadcasts that are packaged or were a moment ago, shown or not yet.
    packaged: usize,
    live: Option<Arc<Broadcast>>,
    ended: Option<Arc<Broadcast>>,
}

impl Channel {
    /// Whether its media needs a playback token.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// The broadcast that runs.
    #[must_use]
    pub fn live(&self) -> Option<&Arc<Broadcast>> {
        self.live.as_ref()
    }

    /// Whose media playlists the channel's URLs show: the one that runs, else the one that ended a moment ago.
    #[must_use]
    pub fn shown(&self) -> Option<&Arc<Broadcast>> {
        self.live.as_ref().or(self.ended.as_ref())
    }

    /// The broadcast whose names begin with `prefix`.
    #[must_use]
    pub fn with_prefix(&self, prefix: &str) -> Option<&Arc<Broadcast>> {
        self.live.iter().chain(&self.ended).find(|broadcast| &*broadcast.prefix == prefix)
    }
}

/// All channels. Reading takes no lock; broadcasts begin and end rarely.
#[derive(Debug, Default)]
pub struct Catalog {
    channels: ArcSwap<HashMap<ChannelName, Channel>>,
    stopping: CancellationToken,
}

impl Catalog {
    /// The channel, if it has anything to fetch.
    #[must_use]
    pub fn channel(&self, name: &ChannelName) -> Option<Channel> {
        self.channels.load().get(name).cloned()
    }

    /// A broadcast of this channel begins, and needs this to be fetched. Until [`Self::withdraw`] the catalog knows the
    /// channel, and changes of its access, before anything of the broadcast can be fetched.
    pub fn announce(&self, name: &ChannelName, access: Access) {
        self.change(name, |channel| {
            channel.packaged += 1;
            channel.access = access;
        });
    }

    /// Nothing of an announced broadcast can be fetched any more.
    pub fn withdraw(&self, name: &ChannelName) {
        self.change(name, |channel| channel.packaged = channel.packaged.saturating_sub(1));
    }

    /// What it takes to fetch media of a channel has changed; of no interest where nothing of it is packaged.
    pub fn set_access(&self, name: &ChannelName, access: Access) {
        if self.channel(name).is_some_and(|channel| channel.access != access) {
            self.change(name, |channel| channel.access = access);
        }
    }

    /// The broadcast can be watched from now on; one that runs on this channel is replaced.
    pub fn go_live(&self, name: &ChannelName, broadcast: &Arc<Broadcast>) {
        self.change(name, |channel| {
            if let Some(before) = channel.live.replace(Arc::clone(broadcast)) {
                channel.ended = Some(before);
            }
        });
    }

    /// The broadcast is over: its multivariant playlist is gone, its media can still be fetched.
    pub fn end(&self, name: &ChannelName, broadcast: &Arc<Broadcast>) {
        self.change(name, |channel| {
            if is(channel.live.as_ref(), broadcast) {
                channel.ended = channel.live.take();
            }
        });
    }

    /// Nothing of the broadcast can be fetched any more.
    pub fn forget(&self, name: &ChannelName, broadcast: &Arc<Broadcast>) {
        self.change(name, |channel| {
            for slot in [&mut channel.live, &mut channel.ended] {
                if is(slot.as_ref(), broadcast) {
                    *slot = None;
                }
            }
        });
    }

    /// Answers everybody who waits: the server stops.
    pub fn stop(&self) {
        self.stopping.cancel();
        for channel in self.channels.load().values() {
            for broadcast in channel.live.iter().chain(&channel.ended) {
                broadcast.stop();
            }
        }
    }

    /// Cancelled by [`Self::stop`].
    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    fn change(&self, name: &ChannelName, change: impl Fn(&mut Channel)) {
        self.channels.rcu(|channels| {
            let mut channels = HashMap::clone(channels);
            let mut channel = channels.remove(name).unwrap_or_default();
            change(&mut channel);
            if channel.packaged > 0 || channel.shown().is_some() {
                channels.insert(name.clone(), channel);
            }
            channels
        });
    }
}

fn is(slot: Option<&Arc<Broadcast>>, broadcast: &Arc<Broadcast>) -> bool {
    slot.is_some_and(|held| Arc::ptr_eq(held, broadcast))
}
