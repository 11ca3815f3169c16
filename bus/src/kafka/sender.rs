//! The way out: one idempotent producer that never gives up, and the outbox for what it could not send yet.
//!
//! Every event gets a number and goes into the producer's queue in that order; the producer keeps the order of each
//! partition whatever happens on the way. An event whose answer takes too long is also written to the outbox, and is
//! acknowledged then; it is taken out when the broker has it. After a restart the outbox goes first, in order. Should the
//! producer itself break, another one gets everything that waits, in order.
#![expect(clippy::disallowed_methods, reason = "shell: tasks, clocks, pauses")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use millrace_core::bus::BusError;
use millrace_core::trace::Span;
use millrace_store::{After, Changes, Order, Query, Store};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, NoCustomPartitioner, ProducerContext, ThreadedProducer};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tracing::{debug, error, info, warn};

use super::TRACEPARENT;
use super::client::{Clients, Quiet, unavailable};
use crate::journal::unavailable as store_away;
use crate::records::Waiting;

/// Most documents that are written or read at once.
const AT_ONCE: usize = 256;
/// How long a broken producer, or a store that is away, is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the outboxes of the dead are looked for.
const ADOPT_EVERY: Duration = Duration::from_secs(30);
/// What the producer's own queue holds beside what we count.
const SPARE: usize = 1_000;

/// A message that is to be sent.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) key: String,
    pub(super) payload: String,
    pub(super) headers: BTreeMap<String, String>,
    /// Then it is acknowledged at once, and is not in the outbox.
    pub(super) may_be_lost: bool,
    /// Whether it goes into the outbox when the broker does not answer.
    pub(super) outbox: bool,
}

struct Entry {
    message: Arc<Outgoing>,
    /// Since when it is in the outbox, in milliseconds since 1970, if it is.
    kept: Option<i64>,
    answer: Option<oneshot::Sender<Result<(), BusError>>>,
}

type Producer = ThreadedProducer<Delivered>;

struct State {
    next: i64,
    waiting: BTreeMap<i64, Entry>,
    /// Counts the producers.
    generation: u64,
    producer: Option<Producer>,
    notes: Notes,
}

/// What the task has to do.
#[derive(Default)]
struct Notes {
    /// The broker has these: they need not be in the outbox any more. As many as may wait there, at most: what is forgotten
    /// is sent once more after a restart, and handlers know it by its id.
    done: VecDeque<i64>,
    /// The producer does not work.
    broken: bool,
}

struct Shared {
    clients: Clients,
    store: Store,
    state: Mutex<State>,
    /// Whether the broker seems to be away.
    away: AtomicBool,
    /// How many events wait.
    count: watch::Sender<usize>,
    /// Wakes the task: there are notes, or this is gone.
    noted: Arc<Notify>,
    runtime: Handle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.noted.notify_one();
    }
}

/// Sends. Clones share it.
#[derive(Clone)]
pub(super) struct Sender(Arc<Shared>);

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sender")
    }
}

/// Hears what became of a message.
struct Delivered(Weak<Shared>);

impl ClientContext for Delivered {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Quiet.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Quiet.error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Delivered {
    /// The generation and the number.
    type DeliveryOpaque = Box<(u64, i64)>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        if let Some(shared) = self.0.upgrade() {
            let (generation, number) = *opaque;
            let error = result.as_ref().err().map(|(err, _)| err.clone());
            shared.delivered(generation, number, error);
        }
    }
}

/// The broker may have it or not.
fn no_answer() -> BusError {
    BusError::Unavailable("the broker does not answer".to_owned())
}

/// Whether the broker will never take this message.
fn is_hopeless(err: &KafkaError) -> bool {
    let code = err.rdkafka_error_code();
    matches!(
        code,
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::PolicyViolation
        )
    )
}

impl Sender {
    /// Starts with what the outbox holds of this node.
    pub(super) async fn start(clients: &Clients, store: Store) -> Result<Self, BusError> {
        let noted = Arc::new(Notify::new());
        let state = State {
            next: 0,
            waiting: BTreeMap::new(),
            generation: 0,
            producer: None,
            notes: Notes::default(),
        };
        let shared = Arc::new(Shared {
            clients: clients.clone(),
            store,
            state: Mutex::new(state),
            away: AtomicBool::new(false),
            count: watch::Sender::new(0),
            noted: Arc::clone(&noted),
            runtime: Handle::current(),
        });
        shared.load().await?;
        shared.renew()?;
        if let Err(err) = shared.adopt().await {
            // Our own may fill the outbox for now.
            warn!(%err, "the outboxes of the dead wait");
        }
        tokio::spawn(keep_in_order(Arc::downgrade(&shared), noted));
        Ok(Self(shared))
    }

    /// Sends a message; resolves when the broker or the outbox has it. Goes on when nobody waits for it any more.
    pub(super) fn send(
        &self,
        message: Outgoing,
    ) -> impl Future<Output = Result<(), BusError>> + Send + 'static {
        let shared = Arc::clone(&self.0);
        async move { shared.send(message).await }
    }

    pub(super) fn waiting(&self) -> usize {
        *self.0.count.borrow()
    }

    /// Sends no more. What is not in the outbox and was not acknowledged is gone.
    pub(super) fn close(&self) {
        let mut state = self.0.state();
        let producer = state.producer.take();
        for entry in state.waiting.values_mut() {
            entry.answer = None;
        }
        drop(state);
        // Its thread may wait for the state.
        self.0.runtime.spawn_blocking(move || drop(producer));
    }

    /// Waits until nothing waits.
    pub(super) async fn flushed(&self) {
        let mut count = self.0.count.subscribe();
        // The sender is ours: it cannot be gone.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(self: Arc<Self>, message: Outgoing) -> Result<(), BusError> {
        let lossy = message.may_be_lost;
        if !lossy && !message.outbox && self.away.load(Ordering::Relaxed) {
            return Err(no_answer());
        }
        let (number, answer) = self.enqueue(message)?;
        if lossy {
            return Ok(());
        }
        let runtime = self.runtime.clone();
        runtime.spawn(self.settle(number, answer)).await.map_err(|_| BusError::Closed)?
    }

    /// Gives a message its place.
    fn enqueue(&self, message: Outgoing) -> Result<(i64, oneshot::Receiver<Result<(), BusError>>), BusError> {
        let limit = self.clients.settings().outbox_limit;
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        let waiting = state.waiting.len();
        if waiting >= limit {
            return Err(BusError::Full { waiting, limit });
        }
        let number = state.next;
        let entry = Entry { message: Arc::new(message), kept: None, answer: Some(answer) };
        match hand_over(&state, number, &entry) {
            Ok(()) => {}
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => {
                return Err(BusError::Full { waiting, limit });
            }
            Err(err) if is_hopeless(&err) => return Err(BusError::Refused(err.to_string())),
            // The next producer gets it with the others.
            Err(_) => self.note_broken(&mut state),
        }
        state.next += 1;
        state.waiting.insert(number, entry);
        self.count.send_replace(state.waiting.len());
        Ok((number, answered))
    }

    /// Waits for the broker, but not for ever: then for the outbox.
    async fn settle(
        self: Arc<Self>,
        number: i64,
        mut answer: oneshot::Receiver<Result<(), BusError>>,
    ) -> Result<(), BusError> {
        let closed = |_| BusError::Closed;
        let patience = match self.away.load(Ordering::Relaxed) {
            true => Duration::ZERO,
            false => self.clients.settings().away_after,
        };
        if let Ok(answer) = tokio::time::timeout(patience, &mut answer).await {
            return answer.map_err(closed)?;
        }
        let message = self.state().waiting.get(&number).map(|entry| Arc::clone(&entry.message));
        let Some(message) = message else { return answer.await.map_err(closed)? };
        if !self.away.swap(true, Ordering::Relaxed) {
            warn!("the broker does not answer: events that can wait are kept in the outbox");
        }
        let Outgoing { topic, key, payload, headers, outbox, .. } = message.as_ref().clone();
        if !outbox {
            return Err(no_answer());
        }
        let node = self.clients.settings().node.clone();
        let at = Timestamp::now().as_millisecond();
        let waiting = Waiting { node, number, topic, key, payload, headers, at };
        self.store.insert(&waiting).await.map_err(store_away)?;
        if let Some(entry) = self.state().waiting.get_mut(&number) {
            entry.kept = Some(at);
            return Ok(());
        }
        // The broker was faster.
        self.note_done(&mut self.state(), number);
        answer.await.map_err(closed)?
    }

    /// The broker has a message, or will not have it.
    fn delivered(&self, generation: u64, number: i64, error: Option<KafkaError>) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        if let Some(err) = &error {
            let is_kept = state.waiting.get(&number).is_none_or(|entry| entry.kept.is_some());
            if is_kept || !is_hopeless(err) {
                warn!(%err, "the producer gave an event back: it is sent again");
                self.note_broken(&mut state);
                return;
            }
        } else if self.away.swap(false, Ordering::Relaxed) {
            info!(waiting = state.waiting.len(), "the broker is back");
        }
        let Some(entry) = state.waiting.remove(&number) else { return };
        self.count.send_replace(state.waiting.len());
        if let Some(answer) = entry.answer {
            let result = error.map_or(Ok(()), |err| Err(BusError::Refused(err.to_string())));
            // It was acknowledged by the outbox already.
            let _ = answer.send(result);
        }
        if let Some(since) = entry.kept {
            trace_wait(&entry.message, since);
            self.note_done(&mut state, number);
        }
    }

    fn note_done(&self, state: &mut State, number: i64) {
        state.notes.done.push_back(number);
        if state.notes.done.len() > self.clients.settings().outbox_limit {
            state.notes.done.pop_front();
        }
        self.noted.notify_one();
    }

    fn note_broken(&self, state: &mut State) {
        state.notes.broken = true;
        self.noted.notify_one();
    }

    /// Reads what a process of this name left.
    async fn load(&self) -> Result<(), BusError> {
        let node = &self.clients.settings().node;
        let mut after = None;
        loop {
            let query = Query::with("node", node.as_str(), AT_ONCE).ordered("number", Order::Ascending);
            let found = self.store.find::<Waiting>(&query.after(after)).await.map_err(store_away)?;
            let mut state = self.state();
            for kept in &found {
                let Waiting { number, topic, key, payload, headers, at, .. } = kept.value.clone();
                let message =
                    Arc::new(Outgoing { topic, key, payload, headers, may_be_lost: false, outbox: true });
                state.waiting.insert(number, Entry { message, kept: Some(at), answer: None });
                state.next = state.next.max(number + 1);
            }
            self.count.send_replace(state.waiting.len());
            drop(state);
            match found.last() {
                Some(last) if found.len() == AT_ONCE => {
                    let id = Waiting::id_of(node, last.value.number);
                    after = Some(After { value: last.value.number.into(), id });
                }
                _ => return Ok(()),
            }
        }
    }

    /// Makes a producer, and gives it all that waits, in order.
    fn renew(self: &Arc<Self>) -> Result<(), BusError> {
        let room = self.state().waiting.len() + self.clients.settings().outbox_limit + SPARE;
        let mut config = self.clients.config();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "zstd")
            .set("linger.ms", "1")
            .set("partitioner", "murmur2_random")
            // It never gives up: what waits too long is in the outbox as well.
            .set("message.timeout.ms", "0")
            .set("request.timeout.ms", "10000")
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "1000")
            .set("queue.buffering.max.messages", room.to_string())
            .set("queue.buffering.max.kbytes", "1048576");
        let producer = Producer::from_config_and_context(&config, Delivered(Arc::downgrade(self)));
        let producer = producer.map_err(unavailable)?;
        let mut state = self.state();
        state.generation += 1;
        state.notes.broken = false;
        let old = state.producer.replace(producer);
        let mut result = Ok(());
        for (number, entry) in &state.waiting {
            result = hand_over(&state, *number, entry).map_err(unavailable);
            if result.is_err() {
                break;
            }
        }
        drop(state);
        // Its thread may wait for the state.
        self.runtime.spawn_blocking(move || drop(old));
        result
    }

    /// Sends what processes left that are dead.
    async fn adopt(self: &Arc<Self>) -> Result<(), BusError> {
        let settings = self.clients.settings();
        let age = i64::try_from(settings.adopt_after.as_millis()).unwrap_or(i64::MAX);
        let old = Timestamp::now().as_millisecond().saturating_sub(age);
        loop {
            let query = Query::first(AT_ONCE).ordered("at", Order::Ascending);
            let found = self.store.find::<Waiting>(&query).await.map_err(store_away)?;
            let mut theirs: Vec<_> = found
                .into_iter()
                .map(|kept| kept.value)
                .filter(|waiting| waiting.node != settings.node && waiting.at <= old)
                .collect();
            theirs.sort_by(|a, b| (&a.node, a.number).cmp(&(&b.node, b.number)));
            if theirs.is_empty() {
                return Ok(());
            }
            info!(events = theirs.len(), "sending what a dead process left in its outbox");
            let mut changes = Changes::new();
            let mut sent = Vec::new();
            for Waiting { node, number, topic, key, payload, headers, .. } in theirs {
                changes = changes.delete_id::<Waiting>(Waiting::id_of(&node, number));
                let message = Outgoing { topic, key, payload, headers, may_be_lost: false, outbox: true };
                let (number, answer) = self.enqueue(message)?;
                sent.push(tokio::spawn(Arc::clone(self).settle(number, answer)));
            }
            for sent in sent {
                sent.await.map_err(|_| BusError::Closed)??;
            }
            self.store.commit(changes).await.map_err(store_away)?;
        }
    }
}

/// Notes how long an event waited for the broker, in the trace of what caused it.
fn trace_wait(message: &Outgoing, since: i64) {
    let Some(parent) = message.headers.get(TRACEPARENT).and_then(|text| text.parse().ok()) else { return };
    let start = Timestamp::from_millisecond(since).unwrap_or(Timestamp::UNIX_EPOCH);
    let span = (start.into(), Timestamp::now().into());
    Span::past("wait in the outbox", Some(parent), span, [("messaging.system", "kafka".into())]);
}

/// Puts a message into the producer's queue.
fn hand_over(state: &State, number: i64, entry: &Entry) -> Result<(), KafkaError> {
    let Some(producer) = &state.producer else { return Err(KafkaError::Canceled) };
    let message = entry.message.as_ref();
    let headers = message.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
    });
    let record = BaseRecord::with_opaque_to(&message.topic, Box::new((state.generation, number)))
        .key(&message.key)
        .payload(&message.payload)
        .headers(headers);
    producer.send(record).map_err(|(err, _)| err)
}

/// Takes out of the outbox what the broker has, mends what broke, and looks after the outboxes of the dead.
async fn keep_in_order(shared: Weak<Shared>, noted: Arc<Notify>) {
    let mut adopt_at = tokio::time::Instant::now() + ADOPT_EVERY;
    loop {
        let _ = tokio::time::timeout_at(adopt_at, noted.notified()).await;
        let Some(shared) = shared.upgrade() else { return };
        let (done, broken) = {
            let mut state = shared.state();
            let count = state.notes.done.len().min(AT_ONCE);
            let done: Vec<i64> = state.notes.done.drain(..count).collect();
            if !state.notes.done.is_empty() {
                noted.notify_one();
            }
            (done, state.notes.broken)
        };
        let node = &shared.clients.settings().node;
        let changes = done.iter().fold(Changes::new(), |changes, number| {
            changes.delete_id::<Waiting>(Waiting::id_of(node, *number))
        });
        if let Err(err) = shared.store.commit(changes).await {
            warn!(%err, "events that were sent stay in the outbox for now");
            tokio::time::sleep(PAUSE).await;
            let mut state = shared.state();
            for number in done {
                shared.note_done(&mut state, number);
            }
        }
        if broken {
            tokio::time::sleep(PAUSE).await;
            match shared.renew() {
                Ok(()) => info!("a new producer has what waits"),
                Err(err) => {
                    error!(%err, "no producer can be made; trying again");
                    shared.note_broken(&mut shared.state());
                }
            }
        }
        if tokio::time::Instant::now() >= adopt_at {
            if !shared.away.load(Ordering::Relaxed)
                && let Err(err) = shared.adopt().await
            {
                debug!(%err, "the outboxes of the dead wait");
            }
            adopt_at = tokio::time::Instant::now() + ADOPT_EVERY;
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_store::Location;
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::super::KafkaSettings;
    use super::*;
    use crate::settings::Security;

    /// Events that wait while the producer dies.
    const EVENTS: i64 = 20;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_producer_that_died_is_replaced_and_the_next_one_has_what_waited() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("orders", 1, 1).unwrap();
        // What an idempotent producer does not survive: the broker refuses it an identity.
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refused]);
        let folder = tempfile::tempdir().unwrap();
        let engine = millrace_store::open(&Location::Sqlite, folder.path()).await.unwrap();
        let store = Store::new(engine, crate::COLLECTIONS).await.unwrap();
        let clients = Clients::new(KafkaSettings {
            brokers: vec![cluster.bootstrap_servers()],
            prefix: String::new(),
            node: "one:80".to_owned(),
            replication: 1,
            outbox_limit: 100,
            away_after: Duration::from_secs(30),
            adopt_after: Duration::ZERO,
            connect_timeout: Duration::from_secs(30),
            security: Security::default(),
        });
        let sender = Sender::start(&clients, store).await.unwrap();
        let sent = (0..EVENTS).map(|number| {
            tokio::spawn(sender.send(Outgoing {
                topic: "orders".to_owned(),
                key: "studio".to_owned(),
                payload: number.to_string(),
                headers: BTreeMap::new(),
                may_be_lost: false,
                outbox: true,
            }))
        });
        for sent in sent.collect::<Vec<_>>() {
            sent.await.unwrap().unwrap();
        }
        assert_eq!(sender.waiting(), 0);
        assert!(sender.0.state().generation > 1, "the first producer did not die");
        sender.close();
    }
}
