//! Counts events: what was acknowledged must be in the log, and in what those who read it made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_api::accounts;
use millrace_api::channels::History;
use millrace_bus::{KafkaBus, KafkaConfig};
use millrace_core::bus::{Bus, Start, Topic};
use millrace_core::event::{ChannelUpdated, Event, EventBody, SpecVersion};
use millrace_core::ids::BroadcastId;
use millrace_core::playback::Access;
use millrace_store::{Location, Store};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use super::encoder::Encoder;
use super::nodes::{SOON, Topology};
use crate::wait::until;

/// How often the witness says something.
const EVERY: Duration = Duration::from_millis(100);
/// What nobody has.
const WITNESS: &str = "the_witness";

/// One more process on the bus, which says something all the time and remembers what was acknowledged.
pub(crate) struct Ledger {
    store: Store,
    bus: Arc<KafkaBus>,
    over: Arc<AtomicBool>,
    saying: JoinHandle<(Vec<Uuid>, usize)>,
}

/// What was counted.
pub(crate) struct Counted {
    /// Events of the witness that were acknowledged, and those that were refused.
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    /// Events of the processes in the log, leases and counts of viewers not among them.
    pub(crate) events: usize,
    /// Broadcasts that began, all of which the history has.
    pub(crate) broadcasts: usize,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { acknowledged, refused, events, broadcasts } = self;
        write!(
            f,
            "no event of {acknowledged} + {events} that were acknowledged is lost, {refused} were refused, {broadcasts} \
             broadcasts are in the history"
        )
    }
}

/// What the log has.
#[derive(Default)]
struct Log {
    ids: BTreeSet<Uuid>,
    /// How often somebody began to publish to a channel, or came back.
    publishes: BTreeMap<String, usize>,
    updates: BTreeMap<String, usize>,
    started: BTreeSet<BroadcastId>,
    ended: BTreeSet<BroadcastId>,
}

impl Ledger {
    pub(crate) async fn open(topology: &Topology) -> Self {
        let engine =
            millrace_store::open(&Location::MongoDb(topology.store.clone()), std::path::Path::new("")).await;
        let collections = [accounts::COLLECTIONS, millrace_bus::COLLECTIONS].concat();
        let store = Store::new(engine.unwrap(), &collections).await.unwrap();
        let config = KafkaConfig {
            prefix: topology.prefix.clone(),
            replication: 1,
            away_after: Duration::from_millis(500),
            ..KafkaConfig::default()
        };
        let settings = config.settings(&[topology.services.kafka.broker()], "witness").unwrap();
        let bus = KafkaBus::connect(settings, store.clone()).await.unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let saying = tokio::spawn(say(Arc::clone(&bus), Arc::clone(&over)));
        Self { store, bus, over, saying }
    }

    /// Ends and counts. `publishers` have published to these channels all the time, `edits` of them were acknowledged with
    /// 200, and the history has what is live and what ended.
    pub(crate) async fn close(
        self,
        publishers: &[(String, Encoder)],
        edits: &BTreeMap<String, usize>,
    ) -> Counted {
        self.over.store(true, Ordering::Relaxed);
        let (acknowledged, refused) = self.saying.await.unwrap();
        self.bus.flush(SOON).await;
        let history = History::new(self.store.clone());
        let waits_for = Mutex::new(String::new());
        let _told = Told(&waits_for);
        let counted = until("everything acknowledged is in the log and in the history", SOON, || async {
            let log = read(self.bus.as_ref()).await?;
            let mut missing = Vec::new();
            let lost = acknowledged.iter().filter(|id| !log.ids.contains(id)).count();
            if lost > 0 {
                missing.push(format!("{lost} of {} acknowledged events", acknowledged.len()));
            }
            for (channel, encoder) in publishers {
                let (let_in, known) = (encoder.times(), log.publishes.get(channel).copied().unwrap_or(0));
                if known < let_in {
                    missing.push(format!("{channel}: {known} of {let_in} publishes are in the log"));
                }
            }
            for (channel, count) in edits {
                let known = log.updates.get(channel).copied().unwrap_or(0);
                if known < *count {
                    missing.push(format!("{channel}: {known} of {count} edits are in the log"));
                }
            }
            for broadcast in &log.started {
                let kept = history.get(*broadcast).await.ok()?;
                if kept.is_none_or(|kept| log.ended.contains(broadcast) && kept.ended_at.is_none()) {
                    missing.push(format!("broadcast {broadcast} is not in the history as it was"));
                }
            }
            if !missing.is_empty() {
                *waits_for.lock().unwrap() = missing.join("; ");
                return None;
            }
            Some(Counted {
                acknowledged: acknowledged.len(),
                refused,
                events: log.ids.len() - acknowledged.len(),
                broadcasts: log.started.len(),
            })
        })
        .await;
        assert!(counted.acknowledged > 0);
        counted
    }
}

/// Tells what was missing last, if the test fails.
struct Told<'a>(&'a Mutex<String>);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- missing: {}", self.0.lock().unwrap());
        }
    }
}

async fn say(bus: Arc<KafkaBus>, over: Arc<AtomicBool>) -> (Vec<Uuid>, usize) {
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    while !over.load(Ordering::Relaxed) {
        let event = Event {
            specversion: SpecVersion::V1,
            id: Uuid::now_v7(),
            source: "/nodes/witness".to_owned(),
            subject: WITNESS.parse::<millrace_core::ids::ChannelName>().unwrap().into(),
            time: jiff::Timestamp::now(),
            cause: millrace_core::trace::Cause::default(),
            body: EventBody::ChannelUpdated(ChannelUpdated { access: Access::Token }),
        };
        let id = event.id;
        match bus.publish(Topic::Commands, event).await {
            Ok(()) => acknowledged.push(id),
            // Nobody was told that it is kept.
            Err(_) => refused += 1,
        }
        sleep(EVERY).await;
    }
    (acknowledged, refused)
}

/// Everything in the log that no lease and no count of viewers is.
async fn read(bus: &KafkaBus) -> Option<Log> {
    let mut log = Log::default();
    for topic in [Topic::Streams, Topic::Commands] {
        let mut replay = bus.replay(topic, Start::Beginning).await.ok()?;
        while let Some(delivery) = replay.next().await.ok()? {
            let event = &delivery.event;
            let is_new = log.ids.insert(event.id);
            let channel = event.subject.to_string();
            match &event.body {
                // Sent twice is counted once.
                _ if !is_new => {}
                EventBody::StreamStarted(started) => {
                    log.started.insert(started.broadcast);
                    *log.publishes.entry(channel).or_default() += 1;
                }
                EventBody::StreamResumed(_) => *log.publishes.entry(channel).or_default() += 1,
                EventBody::StreamEnded(ended) => {
                    log.ended.insert(ended.broadcast);
                }
                EventBody::ChannelUpdated(_) => *log.updates.entry(channel).or_default() += 1,
                _ => {}
            }
        }
    }
    Some(log)
}
