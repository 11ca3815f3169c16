//! Past and running broadcasts, as they are kept.

use millrace_core::ids::{BroadcastId, ChannelId};
use millrace_store::{After, Change, Changes, Order, Query, Store, StoreError};

use super::recorder::Note;
use crate::accounts::{Broadcast, Channel};
use crate::notices::Notice;
use crate::push::PushJob;

/// Broadcasts that are closed at once at start.
const CLOSED_AT_ONCE: usize = 200;
/// Running broadcasts that are looked at at once.
const OPEN_MAX: usize = 10_000;

/// The broadcasts of this site.
#[derive(Debug, Clone)]
pub struct History(Store);

impl History {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Keeps what is known of a broadcast; the first time, its followers' notice too. Notes may come twice, in any order, and after the end; channels without a
    /// record have no history.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn keep(&self, note: &Note) -> Result<(), StoreError> {
        let add = |mut broadcast: Broadcast| {
            note.add_to(&mut broadcast);
            Change::<_, std::convert::Infallible>::To(broadcast)
        };
        if self.0.update(&note.broadcast.to_string(), add).await?.is_some() {
            return Ok(());
        }
        let Some(channel) = self.0.find_one::<Channel>("name", note.channel.as_str()).await? else {
            return Ok(());
        };
        let mut broadcast = Broadcast {
            id: note.broadcast,
            channel: channel.id,
            title: channel.title.clone(),
            category: channel.category.clone(),
            started_at: note.started_at,
            ended_at: None,
            peak_viewers: 0,
            running: true,
            seen_at: note.seen_at,
        };
        note.add_to(&mut broadcast);
        // With its notice, so that each broadcast has one, or none, for ever.
        let changes = Changes::new().insert(&broadcast);
        let changes = match Notice::live(&channel, &broadcast) {
            Some(notice) if channel.followers > 0 => changes.insert(&notice).insert(&PushJob::of(&notice)),
            Some(notice) => changes.insert(&notice),
            None => changes,
        };
        match self.0.commit(changes).await {
            // Somebody else has kept it in between.
            Err(err) if err.is_conflict("id") => {
                self.0.update(&note.broadcast.to_string(), add).await.map(drop)
            }
            done => done,
        }
    }

    /// Closes what was running when the process before this one ended without saying so: at the moment at which it was
    /// last known to run. How many it closed.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn close_left_open(&self) -> Result<usize, StoreError> {
        let mut closed = 0;
        loop {
            let open = self.0.find::<Broadcast>(&Query::with("running", true, CLOSED_AT_ONCE)).await?;
            if open.is_empty() {
                return Ok(closed);
            }
            for broadcast in &open {
                self.close(broadcast.value.id).await?;
                closed += 1;
            }
        }
    }

    /// What runs, as far as is known here.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn running(&self) -> Result<Vec<BroadcastId>, StoreError> {
        let open = self.0.find::<Broadcast>(&Query::with("running", true, OPEN_MAX)).await?;
        Ok(open.into_iter().map(|kept| kept.value.id).collect())
    }

    /// Closes a broadcast at the moment at which it was last known to run.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn close(&self, id: BroadcastId) -> Result<(), StoreError> {
        let close = |mut broadcast: Broadcast| {
            broadcast.running = false;
            broadcast.ended_at = broadcast.ended_at.or(Some(broadcast.seen_at.max(broadcast.started_at)));
            Change::<_, std::convert::Infallible>::To(broadcast)
        };
        self.0.update(&id.to_string(), close).await.map(drop)
    }

    /// The broadcasts of a channel, newest first, from behind `after`; and where the next part begins.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of(
        &self,
        channel: ChannelId,
        after: Option<After>,
        limit: usize,
    ) -> Result<(Vec<Broadcast>, Option<After>), StoreError> {
        let query = Query::with("channel", channel.to_string(), limit + 1);
        let query = query.ordered("started_at", Order::Descending).after(after);
        let found = self.0.find::<Broadcast>(&query).await?;
        let more = found.len() > limit;
        let found: Vec<_> = found.into_iter().take(limit).map(|kept| kept.value).collect();
        let next = found
            .last()
            .filter(|_| more)
            .map(|last| After { value: last.started_at.into(), id: last.id.to_string() });
        Ok((found, next))
    }

    /// One broadcast.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn get(&self, id: BroadcastId) -> Result<Option<Broadcast>, StoreError> {
        Ok(self.0.get::<Broadcast>(&id.to_string()).await?.map(|kept| kept.value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Site;
    use super::*;

    fn note(number: u128) -> Note {
        Note {
            broadcast: BroadcastId(uuid::Uuid::from_u128(number)),
            channel: "studio".parse().unwrap(),
            started_at: 1_000,
            seen_at: 1_000,
            ended_at: None,
            peak_viewers: 0,
        }
    }

    #[tokio::test]
    async fn notes_add_up_in_any_order_and_twice() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        let ended = Note { ended_at: Some(9_000), seen_at: 9_000, peak_viewers: 3, ..note(1) };
        let middle = Note { seen_at: 5_000, peak_viewers: 7, ..note(1) };
        for note in [&note(1), &ended, &middle, &ended, &note(1)] {
            site.history.keep(note).await.unwrap();
        }
        let (all, next) = site.history.of(studio.id, None, 10).await.unwrap();
        assert_eq!((all.len(), next), (1, None));
        let kept = &all[0];
        assert_eq!(
            (kept.started_at, kept.ended_at, kept.peak_viewers, kept.running),
            (1_000, Some(9_000), 7, false)
        );
    }

    #[tokio::test]
    async fn what_a_crash_left_open_is_closed_when_it_was_last_seen() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        site.history.keep(&Note { seen_at: 4_000, ..note(1) }).await.unwrap();
        site.history.keep(&Note { ended_at: Some(2_000), ..note(2) }).await.unwrap();
        assert_eq!(site.history.close_left_open().await.unwrap(), 1);
        assert_eq!(site.history.close_left_open().await.unwrap(), 0);
        let kept = site.history.get(note(1).broadcast).await.unwrap().unwrap();
        assert_eq!((kept.ended_at, kept.running), (Some(4_000), false));
        let (page, next) = site.history.of(studio.id, None, 1).await.unwrap();
        let (rest, end) = site.history.of(studio.id, next, 1).await.unwrap();
        assert_eq!((page[0].id, rest[0].id, end), (note(2).broadcast, note(1).broadcast, None));
    }

    #[tokio::test]
    async fn a_channel_without_a_record_has_no_history() {
        let site = Site::new().await;
        site.history.keep(&note(1)).await.unwrap();
        assert_eq!(site.history.get(note(1).broadcast).await.unwrap(), None);
    }
}
