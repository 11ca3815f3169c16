//! The log of the in-process bus, in the store.
#![expect(clippy::disallowed_methods, reason = "shell: the clock")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use millrace_core::bus::journal::{Journal, Page, Record};
use millrace_core::bus::{BusError, BusFuture, DeadLetter, Position, Topic};
use millrace_core::event::{Event, Unread};
use millrace_store::{After, Change, Changes, Document, Order, Query, Store, StoreError};
use tracing::{error, warn};

use crate::records::{DeadRecord, GroupOffset, LogRecord, lane};

/// Most records that are dropped with one append.
const DROPPED_AT_ONCE: i64 = 256;

/// The log. One process writes it.
#[derive(Debug)]
pub struct StoreJournal {
    store: Store,
    /// The oldest offset that may be kept, by lane.
    oldest: Mutex<HashMap<String, i64>>,
}

pub(crate) fn unavailable(err: StoreError) -> BusError {
    let mut text = err.to_string();
    let mut cause = std::error::Error::source(&err);
    while let Some(err) = cause {
        text = format!("{text}: {err}");
        cause = err.source();
    }
    BusError::Unavailable(text)
}

impl StoreJournal {
    /// The log in this store, which knows [`COLLECTIONS`](crate::COLLECTIONS).
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, oldest: Mutex::default() }
    }

    /// The offset at one end of a lane.
    async fn end(&self, lane: &str, order: Order) -> Result<Option<i64>, BusError> {
        let query = Query::with("lane", lane, 1).ordered("offset", order);
        let found = self.store.find::<LogRecord>(&query).await.map_err(unavailable)?;
        Ok(found.first().map(|kept| kept.value.offset))
    }

    fn oldest(&self) -> std::sync::MutexGuard<'_, HashMap<String, i64>> {
        self.oldest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the lane ends, even if everything in it expired.
    async fn head(&self, topic: Topic, partition: u16) -> Result<i64, BusError> {
        let lane = lane(topic, partition);
        let last = self.end(&lane, Order::Descending).await?;
        let first = self.end(&lane, Order::Ascending).await?;
        let mark = self.store.get::<GroupOffset>(&head_mark(&lane)).await.map_err(unavailable)?;
        let head = last.map_or(0, |last| last + 1).max(mark.map_or(0, |mark| mark.value.next));
        self.oldest().insert(lane, first.unwrap_or(head));
        Ok(head)
    }

    /// Drops what is older than topics keep; how many records.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    pub async fn expire(&self, now: i64) -> Result<u64, BusError> {
        // Offsets go on where they were, though nothing is left to tell.
        for topic in Topic::ALL.into_iter().filter(|topic| !topic.spec().may_be_lost) {
            for partition in 0..topic.spec().partitions {
                let lane = lane(topic, partition);
                if let Some(last) = self.end(&lane, Order::Descending).await? {
                    self.mark(&head_mark(&lane), last + 1).await?;
                }
            }
        }
        let mut removed = 0;
        loop {
            let some = self.store.remove_below::<LogRecord>("expires_at", now, 1_000).await;
            let some = some.map_err(unavailable)?;
            removed += some;
            if some < 1_000 {
                break;
            }
        }
        let some = self.store.remove_below::<crate::Handled>("expires_at", now, 10_000).await;
        some.map_err(unavailable)?;
        Ok(removed)
    }

    /// Moves a mark forward, never back.
    async fn mark(&self, id: &str, next: i64) -> Result<(), BusError> {
        loop {
            let forward = |mark: GroupOffset| match mark.next < next {
                true => Change::To(GroupOffset { next, ..mark }),
                false => Change::Not(()),
            };
            match self.store.update::<GroupOffset, ()>(id, forward).await.map_err(unavailable)? {
                Some(_) => return Ok(()),
                None => match self.store.insert(&GroupOffset { id: id.to_owned(), next }).await {
                    Err(err) if err.is_conflict("id") => {}
                    done => return done.map_err(unavailable),
                },
            }
        }
    }

    /// Has the oldest dead letters of `topic` published again by whoever writes this log; how many. For a process that is
    /// not the one.
    ///
    /// # Errors
    /// [`BusError::Unavailable`].
    pub async fn request_redrive(&self, topic: Topic, limit: usize, now: i64) -> Result<usize, BusError> {
        let mut count = 0;
        for letter in self.dead_letters(topic, limit).await? {
            let ask = |record: DeadRecord| -> Change<DeadRecord, ()> {
                Change::To(DeadRecord { redrive_at: Some(record.redrive_at.unwrap_or(now)), ..record })
            };
            let asked = self.store.update::<DeadRecord, ()>(&letter.id, ask).await.map_err(unavailable)?;
            count += usize::from(asked.is_some());
        }
        Ok(count)
    }

    /// Dead letters that somebody wants to be published again, the first asked for first.
    pub(crate) async fn wanted(&self, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        let query = Query::first(limit).ordered("redrive_at", Order::Ascending);
        let found = self.store.find::<DeadRecord>(&query).await.map_err(unavailable)?;
        Ok(found.into_iter().map(|kept| kept.value.letter).collect())
    }
}

fn head_mark(lane: &str) -> String {
    format!("head of {lane}")
}

impl Journal for StoreJournal {
    fn heads(&self, topic: Topic) -> BusFuture<'_, Result<Vec<i64>, BusError>> {
        Box::pin(async move {
            let mut heads = Vec::new();
            for partition in 0..topic.spec().partitions {
                heads.push(self.head(topic, partition).await?);
            }
            Ok(heads)
        })
    }

    fn append<'a>(&'a self, topic: Topic, records: &'a [Record]) -> BusFuture<'a, Result<(), BusError>> {
        Box::pin(async move {
            let spec = topic.spec();
            let limit = i64::try_from(spec.records / usize::from(spec.partitions)).unwrap_or(i64::MAX);
            let kept_ms = i64::try_from(spec.retention.as_millis()).unwrap_or(i64::MAX);
            let expires_at = Timestamp::now().as_millisecond().saturating_add(kept_ms);
            let mut changes = Changes::new();
            let mut replaced: Vec<String> = Vec::new();
            let mut newest: HashMap<String, i64> = HashMap::new();
            for record in records.iter().rev() {
                let lane = lane(topic, record.partition);
                newest.entry(lane.clone()).or_insert(record.offset);
                let compacted_key = spec.compacted.then(|| format!("{lane}/{}", record.event.subject));
                if let Some(key) = &compacted_key {
                    // What is replaced in the same breath need not be written.
                    if replaced.contains(key) {
                        continue;
                    }
                    replaced.push(key.clone());
                    let query = Query::with("compacted_key", key.as_str(), 100);
                    for old in self.store.find::<LogRecord>(&query).await.map_err(unavailable)? {
                        changes = changes.delete_id::<LogRecord>(old.value.id());
                    }
                }
                let event = serde_json::to_value(record.event.as_ref())
                    .map_err(|err| BusError::Refused(err.to_string()))?;
                let offset = record.offset;
                changes = changes.insert(&LogRecord { lane, offset, expires_at, compacted_key, event });
            }
            let mut oldest: Vec<(String, i64)> = Vec::new();
            for (lane, newest) in newest {
                let first = self.oldest().get(&lane).copied().unwrap_or(newest);
                let end = (newest + 1 - limit).min(first + DROPPED_AT_ONCE);
                for offset in first..end {
                    changes = changes.delete_id::<LogRecord>(LogRecord::id_at(&lane, offset));
                }
                oldest.push((lane, end.max(first)));
            }
            self.store.commit(changes).await.map_err(unavailable)?;
            self.oldest().extend(oldest);
            Ok(())
        })
    }

    fn read(
        &self,
        topic: Topic,
        partition: u16,
        from: i64,
        limit: usize,
    ) -> BusFuture<'_, Result<Page, BusError>> {
        Box::pin(async move {
            let lane = lane(topic, partition);
            let after = After { value: (from - 1).into(), id: LogRecord::id_at(&lane, from - 1) };
            let query = Query::with("lane", lane, limit).ordered("offset", Order::Ascending);
            let query = query.after(Some(after));
            let found = self.store.find::<LogRecord>(&query).await.map_err(unavailable)?;
            let next = found.last().map_or(from, |kept| kept.value.offset + 1);
            let records = found.into_iter().filter_map(|kept| typed(partition, &kept.value)).collect();
            Ok(Page { records, next })
        })
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        topic: Topic,
        partition: u16,
    ) -> BusFuture<'a, Result<i64, BusError>> {
        Box::pin(async move {
            let id = GroupOffset::id_of(group, topic, partition);
            let kept = self.store.get::<GroupOffset>(&id).await.map_err(unavailable)?;
            Ok(kept.map_or(0, |kept| kept.value.next))
        })
    }

    fn commit<'a>(&'a self, group: &'a str, done: &'a [Position]) -> BusFuture<'a, Result<(), BusError>> {
        Box::pin(async move {
            // The store's writer makes one transaction of what waits.
            let marks = done.iter().map(|done| async {
                let id = GroupOffset::id_of(group, done.topic, done.partition);
                self.mark(&id, done.offset + 1).await
            });
            futures_util::future::try_join_all(marks).await.map(drop)
        })
    }

    fn bury(&self, letter: DeadLetter) -> BusFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            match self.store.insert(&DeadRecord { letter, redrive_at: None }).await {
                // It was there already: the answer was lost.
                Err(err) if err.is_conflict("id") => Ok(()),
                done => done.map_err(unavailable),
            }
        })
    }

    fn dead_letters(&self, topic: Topic, limit: usize) -> BusFuture<'_, Result<Vec<DeadLetter>, BusError>> {
        Box::pin(async move {
            let query = Query::with("topic", topic.name(), limit).ordered("at", Order::Ascending);
            let found = self.store.find::<DeadRecord>(&query).await.map_err(unavailable)?;
            Ok(found.into_iter().map(|kept| kept.value.letter).collect())
        })
    }

    fn exhume<'a>(&'a self, id: &'a str) -> BusFuture<'a, Result<(), BusError>> {
        Box::pin(async move {
            self.store.commit(Changes::new().delete_id::<DeadRecord>(id)).await.map_err(unavailable)
        })
    }
}

/// The event of a record; none if another version wrote it.
fn typed(partition: u16, record: &LogRecord) -> Option<Record> {
    match Event::read(record.event.to_string().as_bytes()) {
        Ok(event) => Some(Record { partition, offset: record.offset, event: Arc::new(event) }),
        Err(Unread::Unknown { kind }) => {
            warn!(
                lane = record.lane,
                offset = record.offset,
                kind,
                "passed over an event of another version"
            );
            None
        }
        Err(err) => {
            error!(lane = record.lane, offset = record.offset, %err, "passed over what is no event");
            None
        }
    }
}
