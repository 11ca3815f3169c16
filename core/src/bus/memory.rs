//! The bus inside one process: an ordered log, live subscribers with bounded queues, groups that share partitions.
//!
//! Each topic has two tasks. One hands events to the live subscribers, and waits for the slowest of them; the other appends
//! what waits together to the journal, and then publishers hear of it. While the journal is away, live subscribers go on;
//! publishers are told at once, and what could not be kept is tried again.
#![expect(clippy::disallowed_methods, reason = "shell: tasks, clocks, pauses")]

mod group;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::journal::{Journal, MemoryJournal, Page, Record};
use super::{
    Bus, BusError, BusFuture, DeadLetter, Delivery, Member, Position, Replay, Start, Subscription, Topic,
    traced, wire_headers,
};
use crate::event::Event;

use group::{Groups, LocalMember};

pub use super::SUBSCRIBER_QUEUE;

/// Events that may wait for the writer of a topic.
const QUEUE: usize = 1024;
/// Most events that are kept together.
const BATCH: usize = 256;
/// Records that are read at once.
const PAGE: usize = 64;
/// Records of a partition that are remembered.
const RECENT: usize = 64;
/// Events of a topic that wait for a journal that is away.
const BACKLOG: usize = 4096;
/// How long a journal that is away is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the journal may take until it counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

/// The in-process bus.
pub struct MemoryBus(Arc<Shared>);

impl std::fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryBus")
    }
}

struct Shared {
    journal: Arc<dyn Journal>,
    /// Of topics that may be lost.
    lossy: MemoryJournal,
    topics: HashMap<Topic, Of>,
    groups: Mutex<Groups>,
    /// Where tasks run; that of the first publisher if absent.
    runtime: Option<Handle>,
}

/// What there is of a topic.
#[derive(Default)]
struct Of {
    writer: OnceLock<mpsc::Sender<Job>>,
    subscribers: Arc<Mutex<Vec<mpsc::Sender<Arc<Event>>>>>,
    /// The next offsets; none until the journal said.
    heads: watch::Sender<Option<Vec<i64>>>,
    /// Whether the journal seems to be away: then nobody waits for it.
    away: AtomicBool,
    /// The newest records of each partition, without a gap: who keeps up need not ask the journal.
    recent: Mutex<HashMap<u16, VecDeque<Record>>>,
}

impl Of {
    fn recent(&self) -> std::sync::MutexGuard<'_, HashMap<u16, VecDeque<Record>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, records: &[Record]) {
        let mut recent = self.recent();
        for record in records {
            let newest = recent.entry(record.partition).or_default();
            newest.push_back(record.clone());
            if newest.len() > RECENT {
                newest.pop_front();
            }
        }
    }

    /// What there is from an offset on, if all of it is remembered.
    fn remembered(&self, partition: u16, from: i64) -> Option<Page> {
        let recent = self.recent();
        let newest = recent.get(&partition)?;
        let skipped = usize::try_from(from.checked_sub(newest.front()?.offset)?).ok()?;
        let records: Vec<_> = newest.iter().skip(skipped).take(PAGE).cloned().collect();
        let next = records.last()?.offset + 1;
        Some(Page { records, next })
    }
}

struct Job {
    event: Arc<Event>,
    delivered: oneshot::Sender<()>,
    kept: oneshot::Sender<Result<(), BusError>>,
}

/// An event for the journal, and who waits for it.
struct Keep {
    event: Arc<Event>,
    kept: oneshot::Sender<Result<(), BusError>>,
}

impl MemoryBus {
    /// An empty bus that keeps everything in memory, for tests.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::build(Arc::new(MemoryJournal::default()), None)
    }

    /// A bus on this journal, which nobody else writes. Its tasks run on the runtime that it is called from.
    ///
    /// # Errors
    /// The journal does not answer.
    pub async fn on(journal: Arc<dyn Journal>) -> Result<Arc<Self>, BusError> {
        let bus = Self::build(journal, Some(Handle::current()));
        for topic in Topic::ALL {
            bus.0.heads(topic).await?;
        }
        Ok(bus)
    }

    fn build(journal: Arc<dyn Journal>, runtime: Option<Handle>) -> Arc<Self> {
        let topics = Topic::ALL.into_iter().map(|topic| (topic, Of::default())).collect();
        let lossy = MemoryJournal::default();
        let groups = Mutex::default();
        Arc::new(Self(Arc::new(Shared { journal, lossy, topics, groups, runtime })))
    }
}

impl Shared {
    fn of(&self, topic: Topic) -> &Of {
        &self.topics[&topic]
    }

    fn journal(&self, topic: Topic) -> &dyn Journal {
        if topic.spec().may_be_lost { &self.lossy } else { self.journal.as_ref() }
    }

    /// The next offset of each partition.
    async fn heads(&self, topic: Topic) -> Result<Vec<i64>, BusError> {
        let heads = &self.of(topic).heads;
        if let Some(known) = heads.borrow().clone() {
            return Ok(known);
        }
        let read = self.journal(topic).heads(topic).await?;
        // The writer may have been faster.
        heads.send_if_modified(|known| {
            let news = known.is_none();
            known.get_or_insert(read);
            news
        });
        Ok(heads.borrow().clone().unwrap_or_default())
    }

    async fn read(&self, topic: Topic, partition: u16, from: i64) -> Result<Page, BusError> {
        self.journal(topic).read(topic, partition, from, PAGE).await
    }

    /// For who keeps up: without the journal, if what comes next is remembered.
    async fn read_newest(&self, topic: Topic, partition: u16, from: i64) -> Result<Page, BusError> {
        match self.of(topic).remembered(partition, from) {
            Some(page) => Ok(page),
            None => self.read(topic, partition, from).await,
        }
    }

    fn groups(&self) -> std::sync::MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(self: &Arc<Self>, topic: Topic) -> &mpsc::Sender<Job> {
        self.of(topic).writer.get_or_init(|| {
            let (sender, jobs) = mpsc::channel(QUEUE);
            let (keep, kept) = mpsc::channel(BACKLOG);
            let runtime = self.runtime.clone().unwrap_or_else(Handle::current);
            runtime.spawn(deliver(Arc::downgrade(self), topic, jobs, keep));
            runtime.spawn(write(Arc::downgrade(self), topic, kept));
            sender
        })
    }

    async fn publish(self: &Arc<Self>, topic: Topic, event: Event) -> Result<(), BusError> {
        let (kept, is_kept) = oneshot::channel();
        let (delivered, is_delivered) = oneshot::channel();
        let job = Job { event: Arc::new(event), delivered, kept };
        self.writer(topic).send(job).await.map_err(|_| BusError::Closed)?;
        is_delivered.await.map_err(|_| BusError::Closed)?;
        let away = &self.of(topic).away;
        let patience = if away.load(Ordering::Relaxed) { Duration::ZERO } else { PATIENCE };
        if let Ok(result) = tokio::time::timeout(patience, is_kept).await {
            return result.map_err(|_| BusError::Closed)?;
        }
        if !away.swap(true, Ordering::Relaxed) {
            warn!(topic = topic.name(), "the log of {topic} takes too long");
        }
        Err(BusError::Unavailable("the log is behind".to_owned()))
    }

    /// Gives an event to every live subscriber.
    async fn deliver(&self, topic: Topic, event: &Arc<Event>) {
        let subscribers: Vec<_> = {
            let mut all = self.of(topic).subscribers.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|sender| !sender.is_closed());
            all.clone()
        };
        for subscriber in subscribers {
            // A subscriber that left in between wants nothing any more.
            let _ = subscriber.send(Arc::clone(event)).await;
        }
    }

    /// Puts events in their places.
    async fn append(&self, topic: Topic, events: &[Arc<Event>]) -> Result<(), BusError> {
        let mut heads = self.heads(topic).await?;
        let mut place = |event: &Arc<Event>| {
            let partition = topic.partition(&event.subject.key());
            let head = &mut heads[usize::from(partition)];
            *head += 1;
            Record { partition, offset: *head - 1, event: Arc::clone(event) }
        };
        let records: Vec<_> = events.iter().map(&mut place).collect();
        if let Err(err) = self.journal(topic).append(topic, &records).await {
            // Nothing is known about these.
            self.of(topic).recent().clear();
            self.of(topic).heads.send_replace(None);
            return Err(err);
        }
        self.of(topic).remember(&records);
        self.of(topic).heads.send_replace(Some(heads));
        self.groups().wake(|topics| topics.contains(&topic));
        Ok(())
    }
}

/// Hands the events of one topic to who listens, until nobody can publish any more.
async fn deliver(
    shared: Weak<Shared>,
    topic: Topic,
    mut jobs: mpsc::Receiver<Job>,
    keep: mpsc::Sender<Keep>,
) {
    while let Some(Job { event, delivered, kept }) = jobs.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        // First come those who only listen: they need no log.
        shared.deliver(topic, &event).await;
        // A journal that is slow is waited for, one that is away is not.
        let away = shared.of(topic).away.load(Ordering::Relaxed);
        let patience = if away { Duration::ZERO } else { PATIENCE };
        if let Ok(Ok(place)) = tokio::time::timeout(patience, keep.reserve()).await {
            place.send(Keep { event, kept });
        } else {
            error!(topic = topic.name(), event.id = %event.id, "the log of {topic} is too far behind for an event");
            let _ = kept.send(Err(BusError::Unavailable("the log is too far behind".to_owned())));
        }
        // Whoever asked may have gone.
        let _ = delivered.send(());
    }
}

/// Keeps the events of one topic, and does not give up.
async fn write(shared: Weak<Shared>, topic: Topic, mut keep: mpsc::Receiver<Keep>) {
    let mut batch = Vec::with_capacity(BATCH);
    while keep.recv_many(&mut batch, BATCH).await > 0 {
        let (events, mut waiting): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|Keep { event, kept }| (event, kept)).unzip();
        loop {
            let Some(shared) = shared.upgrade() else { return };
            let result = shared.append(topic, &events).await;
            for kept in waiting.drain(..) {
                let _ = kept.send(result.clone());
            }
            let away = &shared.of(topic).away;
            match &result {
                Ok(()) => {
                    if away.swap(false, Ordering::Relaxed) {
                        info!(topic = topic.name(), "the log of {topic} is kept again");
                    }
                    break;
                }
                Err(err) => {
                    if !away.swap(true, Ordering::Relaxed) {
                        warn!(topic = topic.name(), %err, "the log of {topic} cannot be kept; trying again");
                    }
                }
            }
            drop(shared);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Bus for MemoryBus {
    fn publish(&self, topic: Topic, event: Event) -> BusFuture<'_, Result<(), BusError>> {
        let (event, span) = traced::sending(topic, event);
        Box::pin(async move {
            let result = self.0.publish(topic, event).await;
            traced::sent(span, &result);
            result
        })
    }

    fn subscribe(&self, topic: Topic) -> Subscription {
        let (sender, subscription) = Subscription::new();
        self.0.of(topic).subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        subscription
    }

    fn join(&self, group: &str, topics: &[Topic]) -> BusFuture<'_, Result<Box<dyn Member>, BusError>> {
        let member = LocalMember::join(Arc::clone(&self.0), group, topics);
        Box::pin(async move { Ok(Box::new(member) as Box<dyn Member>) })
    }

    fn replay(&self, topic: Topic, from: Start) -> BusFuture<'_, Result<Box<dyn Replay>, BusError>> {
        Box::pin(async move {
            let ends = self.0.heads(topic).await?;
            let replay = LocalReplay {
                shared: Arc::clone(&self.0),
                topic,
                next: from.of(0),
                from,
                ends,
                partition: 0,
                page: Vec::new().into_iter(),
            };
            Ok(Box::new(replay) as Box<dyn Replay>)
        })
    }

    fn place<'a>(&'a self, group: &'a str, topic: Topic) -> BusFuture<'a, Result<Start, BusError>> {
        Box::pin(async move {
            let mut places = BTreeMap::new();
            for partition in 0..topic.spec().partitions {
                let next = self.0.journal(topic).committed(group, topic, partition).await?;
                places.insert(partition, next);
            }
            Ok(Start::At(places))
        })
    }

    fn bury<'a>(
        &'a self,
        group: &'a str,
        delivery: &'a Delivery,
        reason: &'a str,
    ) -> BusFuture<'a, Result<(), BusError>> {
        let letter = dead_letter(group, delivery, reason);
        self.0.journal(delivery.position.topic).bury(letter)
    }

    fn dead_letters(&self, topic: Topic, limit: usize) -> BusFuture<'_, Result<Vec<DeadLetter>, BusError>> {
        self.0.journal(topic).dead_letters(topic, limit)
    }

    fn redrive(&self, topic: Topic, limit: usize) -> BusFuture<'_, Result<usize, BusError>> {
        Box::pin(async move {
            let letters = self.dead_letters(topic, limit).await?;
            let count = letters.len();
            for letter in letters {
                let event = Event::read(letter.payload.as_bytes())
                    .map_err(|unread| BusError::Refused(unread.to_string()))?;
                self.publish(topic, event).await?;
                self.0.journal(topic).exhume(&letter.id).await?;
            }
            Ok(count)
        })
    }
}

fn dead_letter(group: &str, delivery: &Delivery, reason: &str) -> DeadLetter {
    let Delivery { position: Position { topic, partition, offset }, event, headers } = delivery;
    DeadLetter {
        // In the order of time.
        id: uuid::Uuid::now_v7().to_string(),
        topic: topic.name().to_owned(),
        partition: *partition,
        offset: *offset,
        group: group.to_owned(),
        reason: reason.to_owned(),
        at: Timestamp::now().as_millisecond(),
        key: event.subject.to_string(),
        headers: headers.clone(),
        payload: event.to_json(),
    }
}

struct LocalReplay {
    shared: Arc<Shared>,
    topic: Topic,
    from: Start,
    ends: Vec<i64>,
    partition: u16,
    next: i64,
    page: std::vec::IntoIter<Record>,
}

impl Replay for LocalReplay {
    fn next(&mut self) -> BusFuture<'_, Result<Option<Delivery>, BusError>> {
        Box::pin(async move {
            loop {
                let Some(&end) = self.ends.get(usize::from(self.partition)) else { return Ok(None) };
                if let Some(record) = self.page.next().filter(|record| record.offset < end) {
                    let position =
                        Position { topic: self.topic, partition: self.partition, offset: record.offset };
                    let (event, headers) = (record.event, wire_headers());
                    return Ok(Some(Delivery { position, event, headers }));
                }
                let from = self.next;
                let page = match from < end {
                    true => self.shared.read(self.topic, self.partition, from).await?,
                    false => Page { records: Vec::new(), next: from },
                };
                if page.next == from {
                    self.partition += 1;
                    self.next = self.from.of(self.partition);
                } else {
                    self.next = page.next;
                }
                self.page = page.records.into_iter();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::suite;
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn passes_the_suite() {
        suite::run(&suite::Fresh::new(|| Box::pin(async { ((), MemoryBus::new() as Arc<dyn Bus>) }))).await;
    }

    #[tokio::test]
    async fn a_publisher_waits_for_a_full_queue_and_not_for_one_that_left() {
        let bus = MemoryBus::new();
        let mut slow = bus.subscribe(Topic::Streams);
        drop(bus.subscribe(Topic::Streams));
        for number in 0..SUBSCRIBER_QUEUE as u128 {
            bus.publish(Topic::Streams, suite::event("studio", number)).await.unwrap();
        }
        let publisher = tokio::spawn({
            let bus = Arc::clone(&bus);
            async move { bus.publish(Topic::Streams, suite::event("studio", 4711)).await }
        });
        tokio::task::yield_now().await;
        assert!(!publisher.is_finished());
        slow.next().await.unwrap();
        publisher.await.unwrap().unwrap();
    }

    /// A journal that can be taken away.
    #[derive(Default)]
    struct Moody(MemoryJournal, std::sync::atomic::AtomicBool);

    impl Journal for Moody {
        fn heads(&self, topic: Topic) -> BusFuture<'_, Result<Vec<i64>, BusError>> {
            self.0.heads(topic)
        }

        fn append<'a>(&'a self, topic: Topic, records: &'a [Record]) -> BusFuture<'a, Result<(), BusError>> {
            if self.1.load(std::sync::atomic::Ordering::SeqCst) {
                return Box::pin(async { Err(BusError::Unavailable("it is away".into())) });
            }
            self.0.append(topic, records)
        }

        fn read(
            &self,
            topic: Topic,
            partition: u16,
            from: i64,
            limit: usize,
        ) -> BusFuture<'_, Result<Page, BusError>> {
            self.0.read(topic, partition, from, limit)
        }

        fn committed<'a>(
            &'a self,
            group: &'a str,
            topic: Topic,
            partition: u16,
        ) -> BusFuture<'a, Result<i64, BusError>> {
            self.0.committed(group, topic, partition)
        }

        fn commit<'a>(&'a self, group: &'a str, done: &'a [Position]) -> BusFuture<'a, Result<(), BusError>> {
            self.0.commit(group, done)
        }

        fn bury(&self, letter: DeadLetter) -> BusFuture<'_, Result<(), BusError>> {
            self.0.bury(letter)
        }

        fn dead_letters(
            &self,
            topic: Topic,
            limit: usize,
        ) -> BusFuture<'_, Result<Vec<DeadLetter>, BusError>> {
            self.0.dead_letters(topic, limit)
        }

        fn exhume<'a>(&'a self, id: &'a str) -> BusFuture<'a, Result<(), BusError>> {
            self.0.exhume(id)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_journal_is_away_live_subscribers_go_on_and_what_was_said_is_kept_later() {
        let journal = Arc::new(Moody::default());
        let bus = MemoryBus::on(Arc::clone(&journal) as Arc<dyn Journal>).await.unwrap();
        let mut live = bus.subscribe(Topic::Streams);
        journal.1.store(true, std::sync::atomic::Ordering::SeqCst);
        let refused = bus.publish(Topic::Streams, suite::event("studio", 1)).await;
        assert!(matches!(refused, Err(BusError::Unavailable(_))), "{refused:?}");
        assert_eq!(live.next().await.unwrap().id.as_u128(), 1);
        journal.1.store(false, std::sync::atomic::Ordering::SeqCst);
        let mut member = bus.join("workers", &[Topic::Streams]).await.unwrap();
        assert_eq!(member.next().await.unwrap().event.id.as_u128(), 1);
        bus.publish(Topic::Streams, suite::event("studio", 2)).await.unwrap();
        assert_eq!(member.next().await.unwrap().event.id.as_u128(), 2);
    }
}
