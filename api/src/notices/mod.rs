//! Notices to the followers of a channel: kept once for all of them, merged for each when they ask.
//!
//! A broadcast's notice is written in the commit that begins its history, so it is made once however often the event
//! comes and whichever process takes it. What a person sees is merged from the newest notices of the site, which every
//! process holds in memory, and the channels that the person follows. Why: `docs/adr/0011-a-notice-is-kept-once.md`.

mod config;
pub(crate) mod kept;
pub mod recent;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};

use millrace_core::ids::{ChannelId, UserId};
use millrace_store::{After, Change, Order, Query, Store, StoreError};

pub use config::NoticesConfig;
pub use kept::{Notice, NoticeKind, Reader, told};
pub use recent::{Place, Recent};

use crate::accounts::{Channel, Follow};

/// Notices that are read from the store at once.
const LEARNED_AT_ONCE: usize = 1_000;
/// How far back one looks for notices that another process made: its clock may be behind, and its commit slow.
const LEARN_AGAIN_MS: i64 = 60_000;
/// Unread notices that are counted; beyond it there are many.
pub const UNREAD_COUNTED: usize = 100;
/// Follows that are read at once.
const FOLLOWS_AT_ONCE: usize = 1_000;

/// The notices of this site. Clones share them.
#[derive(Clone)]
pub struct Notices(Arc<Shared>);

struct Shared {
    store: Store,
    config: NoticesConfig,
    known: RwLock<Known>,
}

struct Known {
    recent: Recent,
    /// When the store was asked last.
    learned_at: Option<i64>,
}

/// A page of somebody's notices.
#[derive(Debug, Default)]
pub struct Listed {
    /// Newest first, with the channel as it is now.
    pub items: Vec<(Arc<Notice>, Channel)>,
    /// Up to when they are read.
    pub read_at: i64,
    /// Where the next page begins.
    pub next: Option<Place>,
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notices")
    }
}

impl Notices {
    /// In this store. Knows none until [`Self::learn`].
    #[must_use]
    pub fn new(store: Store, config: NoticesConfig) -> Self {
        let known = Known { recent: Recent::new(config.max_recent), learned_at: None };
        Self(Arc::new(Shared { store, config, known: RwLock::new(known) }))
    }

    /// `[notices]`.
    #[must_use]
    pub fn config(&self) -> &NoticesConfig {
        &self.0.config
    }

    /// Learns what was made since the last time, here or by another process.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn learn(&self, now_ms: i64) -> Result<(), StoreError> {
        let kept_since = now_ms.saturating_sub(self.0.config.keep_ms());
        let since = match self.known(|known| known.learned_at) {
            Some(last) => last.saturating_sub(LEARN_AGAIN_MS).max(kept_since),
            None => kept_since,
        };
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = Query::first(LEARNED_AT_ONCE).ordered("at", Order::Descending).after(after);
            let page = self.0.store.find::<Notice>(&query).await?;
            let whole = page.len() == LEARNED_AT_ONCE;
            let new: Vec<_> =
                page.into_iter().map(|kept| kept.value).take_while(|notice| notice.at >= since).collect();
            let more = whole && new.len() == LEARNED_AT_ONCE;
            found.extend(new);
            if !more || found.len() >= self.0.config.max_recent {
                break;
            }
            after = found.last().map(place_in_store);
        }
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        found.into_iter().for_each(|notice| known.recent.add(notice));
        known.recent.forget_below(kept_since);
        known.learned_at = Some(now_ms);
        Ok(())
    }

    /// Removes what nobody can read any more.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn sweep(&self, now_ms: i64) -> Result<(), StoreError> {
        let below = now_ms.saturating_sub(self.0.config.keep_ms());
        self.0.store.remove_below::<Notice>("at", below, LEARNED_AT_ONCE).await.map(drop)
    }

    /// What a person sees, newest first, from behind `after`.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of(&self, user: UserId, after: Option<Place>, limit: usize) -> Result<Listed, StoreError> {
        let reader = self.reader(user).await?;
        let listed = Listed { read_at: reader.read_at, ..Listed::default() };
        if reader.off {
            return Ok(listed);
        }
        let follows = self.follows(user).await?;
        let found = self.known(|known| known.recent.page(after, limit + 1, |notice| heard(&follows, notice)));
        let next = found.get(limit).and_then(|_| found.get(limit - 1)).map(|last| (last.at, last.broadcast));
        let items = self.shown(found.into_iter().take(limit)).await?;
        Ok(Listed { items, next, ..listed })
    }

    /// How many notices a person has not read, counted up to [`UNREAD_COUNTED`].
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn unread(&self, user: UserId) -> Result<usize, StoreError> {
        let reader = self.reader(user).await?;
        // Most of the time nothing has happened on the whole site.
        if reader.off
            || self.known(|known| known.recent.newest_at()).is_none_or(|newest| newest <= reader.read_at)
        {
            return Ok(0);
        }
        let follows = self.follows(user).await?;
        let found = self.known(|known| {
            known.recent.since(reader.read_at, UNREAD_COUNTED, |notice| heard(&follows, notice))
        });
        Ok(self.shown(found.into_iter()).await?.len())
    }

    /// A person has read everything up to this notice; `None` if there is none.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn read(&self, user: UserId, notice: &str) -> Result<Option<()>, StoreError> {
        let Some(notice) = self.0.store.get::<Notice>(notice).await? else { return Ok(None) };
        let at = notice.at;
        self.change(user, |reader| Reader { read_at: reader.read_at.max(at), ..reader }).await?;
        Ok(Some(()))
    }

    /// What a person wants.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn reader(&self, user: UserId) -> Result<Reader, StoreError> {
        let kept = self.0.store.get::<Reader>(&user.to_string()).await?;
        Ok(kept.map_or_else(|| Reader::new(user), |kept| kept.value))
    }

    /// A person wants notices, or none. What happened before they are wanted again is read.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn turn(&self, user: UserId, on: bool, now_ms: i64) -> Result<(), StoreError> {
        self.change(user, |reader| {
            let read_at = if on && reader.off { now_ms } else { reader.read_at };
            Reader { off: !on, read_at, ..reader }
        })
        .await
    }

    async fn change(
        &self,
        user: UserId,
        change: impl Fn(Reader) -> Reader + Send + Sync,
    ) -> Result<(), StoreError> {
        let to = |reader| Change::<_, std::convert::Infallible>::To(change(reader));
        if self.0.store.update(&user.to_string(), to).await?.is_some() {
            return Ok(());
        }
        match self.0.store.insert(&change(Reader::new(user))).await {
            // Another tab was faster.
            Err(err) if err.is_conflict("id") => self.0.store.update(&user.to_string(), to).await.map(drop),
            done => done,
        }
    }

    /// The channels whose notices a person wants, and since when.
    async fn follows(&self, user: UserId) -> Result<HashMap<ChannelId, i64>, StoreError> {
        let mut follows = HashMap::new();
        let mut after = None;
        loop {
            let query = Query::with("user", user.to_string(), FOLLOWS_AT_ONCE);
            let query = query.ordered("followed_at", Order::Descending).after(after);
            let page = self.0.store.find::<Follow>(&query).await?;
            let heard = page.iter().filter(|follow| !follow.muted);
            follows.extend(heard.map(|follow| (follow.channel, follow.heard_since())));
            if page.len() < FOLLOWS_AT_ONCE {
                return Ok(follows);
            }
            after = page.last().map(|last| After {
                value: last.followed_at.into(),
                id: Follow::id_of(last.user, last.channel),
            });
        }
    }

    /// Those whose channel is there and still tells its followers.
    async fn shown(
        &self,
        notices: impl Iterator<Item = Arc<Notice>>,
    ) -> Result<Vec<(Arc<Notice>, Channel)>, StoreError> {
        let mut channels: HashMap<ChannelId, Option<Channel>> = HashMap::new();
        let mut shown = Vec::new();
        for notice in notices {
            let channel = match channels.entry(notice.channel) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(unknown) => {
                    let kept = self.0.store.get::<Channel>(&notice.channel.to_string()).await?;
                    let channel = kept.map(|kept| kept.value).filter(|channel| told(channel.playback));
                    unknown.insert(channel).clone()
                }
            };
            if let Some(channel) = channel {
                shown.push((notice, channel));
            }
        }
        Ok(shown)
    }

    fn known<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether somebody who follows these channels since then hears of it.
fn heard(follows: &HashMap<ChannelId, i64>, notice: &Notice) -> bool {
    follows.get(&notice.channel).is_some_and(|since| notice.at >= *since)
}

fn place_in_store(notice: &Notice) -> After {
    After { value: notice.at.into(), id: millrace_store::Document::id(notice) }
}

#[cfg(test)]
mod tests;
