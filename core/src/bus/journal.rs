//! Where the in-process bus keeps its events.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::{BusError, BusFuture, DeadLetter, Position, Topic};
use crate::event::Event;

/// An event in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The partition of its key.
    pub partition: u16,
    /// Its offset there.
    pub offset: i64,
    /// Itself.
    pub event: Arc<Event>,
}

/// Some records of a partition.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// In order. An event that this version does not know is left out.
    pub records: Vec<Record>,
    /// Where to read on; where it was asked from if there is nothing.
    pub next: i64,
}

/// An ordered log, written by one process.
pub trait Journal: Send + Sync + 'static {
    /// The offset that the next event of each partition gets.
    fn heads(&self, topic: Topic) -> BusFuture<'_, Result<Vec<i64>, BusError>>;

    /// Keeps these records, all or none; durable when it returns. Drops what the topic keeps no longer.
    fn append<'a>(&'a self, topic: Topic, records: &'a [Record]) -> BusFuture<'a, Result<(), BusError>>;

    /// Records of a partition from an offset on, at most `limit`.
    fn read(
        &self,
        topic: Topic,
        partition: u16,
        from: i64,
        limit: usize,
    ) -> BusFuture<'_, Result<Page, BusError>>;

    /// Where a group goes on in a partition; 0 if it never was there.
    fn committed<'a>(
        &'a self,
        group: &'a str,
        topic: Topic,
        partition: u16,
    ) -> BusFuture<'a, Result<i64, BusError>>;

    /// A group is done with everything up to each of these.
    fn commit<'a>(&'a self, group: &'a str, done: &'a [Position]) -> BusFuture<'a, Result<(), BusError>>;

    /// Keeps what was refused.
    fn bury(&self, letter: DeadLetter) -> BusFuture<'_, Result<(), BusError>>;

    /// What was refused of a topic, oldest first.
    fn dead_letters(&self, topic: Topic, limit: usize) -> BusFuture<'_, Result<Vec<DeadLetter>, BusError>>;

    /// Forgets one that was published again.
    fn exhume<'a>(&'a self, id: &'a str) -> BusFuture<'a, Result<(), BusError>>;
}

/// A journal that dies with the process: for tests, and for topics that may be lost.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    partitions: HashMap<(Topic, u16), Partition>,
    groups: HashMap<(String, Topic, u16), i64>,
    dead: BTreeMap<String, DeadLetter>,
}

#[derive(Debug, Default)]
struct Partition {
    next: i64,
    records: VecDeque<Record>,
}

impl MemoryJournal {
    fn with<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> BusFuture<'static, Result<T, BusError>>
    where
        T: Send + 'static,
    {
        let found = look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(std::future::ready(Ok(found)))
    }
}

impl Journal for MemoryJournal {
    fn heads(&self, topic: Topic) -> BusFuture<'_, Result<Vec<i64>, BusError>> {
        self.with(|kept| {
            let head = |partition| kept.partitions.get(&(topic, partition)).map_or(0, |found| found.next);
            (0..topic.spec().partitions).map(head).collect()
        })
    }

    fn append<'a>(&'a self, topic: Topic, records: &'a [Record]) -> BusFuture<'a, Result<(), BusError>> {
        let spec = topic.spec();
        let limit = spec.records / usize::from(spec.partitions);
        self.with(|kept| {
            for record in records {
                let partition = kept.partitions.entry((topic, record.partition)).or_default();
                if spec.compacted {
                    partition.records.retain(|older| older.event.subject != record.event.subject);
                }
                partition.next = record.offset + 1;
                partition.records.push_back(record.clone());
                if partition.records.len() > limit {
                    partition.records.pop_front();
                }
            }
        })
    }

    fn read(
        &self,
        topic: Topic,
        partition: u16,
        from: i64,
        limit: usize,
    ) -> BusFuture<'_, Result<Page, BusError>> {
        self.with(|kept| {
            let records = kept.partitions.get(&(topic, partition)).map(|found| &found.records);
            let Some(records) = records else { return Page { records: Vec::new(), next: from } };
            let first = records.partition_point(|record| record.offset < from);
            let records: Vec<_> = records.iter().skip(first).take(limit).cloned().collect();
            let next = records.last().map_or(from, |record| record.offset + 1);
            Page { records, next }
        })
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        topic: Topic,
        partition: u16,
    ) -> BusFuture<'a, Result<i64, BusError>> {
        let place = (group.to_owned(), topic, partition);
        self.with(|kept| kept.groups.get(&place).copied().unwrap_or(0))
    }

    fn commit<'a>(&'a self, group: &'a str, done: &'a [Position]) -> BusFuture<'a, Result<(), BusError>> {
        self.with(|kept| {
            for done in done {
                let place = kept.groups.entry((group.to_owned(), done.topic, done.partition)).or_default();
                *place = (*place).max(done.offset + 1);
            }
        })
    }

    fn bury(&self, letter: DeadLetter) -> BusFuture<'_, Result<(), BusError>> {
        self.with(|kept| {
            kept.dead.insert(letter.id.clone(), letter);
        })
    }

    fn dead_letters(&self, topic: Topic, limit: usize) -> BusFuture<'_, Result<Vec<DeadLetter>, BusError>> {
        self.with(|kept| {
            let of_topic = kept.dead.values().filter(|letter| letter.topic == topic.name());
            of_topic.take(limit).cloned().collect()
        })
    }

    fn exhume<'a>(&'a self, id: &'a str) -> BusFuture<'a, Result<(), BusError>> {
        self.with(|kept| {
            kept.dead.remove(id);
        })
    }
}
