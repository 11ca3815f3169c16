//! Says to other processes that this one is there and what it has, and hears them say so: the shell of
//! [`millrace_core::nodes`].
#![expect(clippy::disallowed_methods, reason = "shell: the clock, ids, tasks")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace_core::bus::{Bus, Subscription, Topic};
use millrace_core::event::{
    EndReason, Event, EventBody, LEASED_ENCODER_MAX, LEASED_STREAMS_MAX, LeasedStream, NodeLeased, NodeLeft,
    SpecVersion, StreamEnded, Subject,
};
use millrace_core::nodes::{Elsewhere, Heard, Lost, Me, Nodes};
use millrace_core::trace::Cause;
use millrace_hls_packager::PackagerService;
use millrace_ingest::{LiveBroadcast, Neighbours};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::health::Readiness;

/// What `/readyz` and the log say of a bus that does not deliver.
const BUS_AWAY: &str =
    "the brokers do not answer: broadcasts go on, what other processes do is learned when they are back";
/// After this process has been heard, others have this long to say what they have.
const GREETING: Duration = Duration::from_millis(300);
/// How long a process that starts waits to be heard.
const JOIN: Duration = Duration::from_secs(15);
/// How often one looks whether a lease ran out.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// While the bus does not deliver, leases are said this much less often: they wait in the outbox.
const AWAY_FACTOR: u32 = 5;

/// `[cluster]`: how processes that share a bus know of each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClusterConfig {
    /// For how long a process counts as there after it was heard. Default 10 s, 500 ms to 10 min. What it has ends for
    /// everyone when it is not heard again. It says five times within it that it is there.
    #[serde(with = "millrace_core::config::duration")]
    pub(crate) lease: Duration,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self { lease: Duration::from_secs(10) }
    }
}

impl ClusterConfig {
    /// Everything that is wrong.
    pub(crate) fn validate(&self) -> Option<String> {
        let good = (Duration::from_millis(500)..=Duration::from_secs(600)).contains(&self.lease);
        (!good).then(|| format!("cluster.lease: must be 500ms to 10m, is {:?}", self.lease))
    }
}

/// What a lease says of this process beside broadcasts.
#[derive(Debug, Clone)]
pub(crate) struct ThisNode {
    pub(crate) me: Me,
    pub(crate) url: String,
    pub(crate) roles: Vec<String>,
    pub(crate) lease: Duration,
    /// Connections of publishers that it takes.
    pub(crate) capacity: u64,
}

/// This process among others.
pub(crate) struct Cluster {
    bus: Arc<dyn Bus>,
    this: ThisNode,
    events: Subscription,
    elsewhere: watch::Sender<Arc<Elsewhere>>,
    here: watch::Sender<Vec<LiveBroadcast>>,
    joined: watch::Sender<bool>,
    renew: Arc<Notify>,
}

impl Cluster {
    /// Hears others from now on.
    pub(crate) fn new(bus: Arc<dyn Bus>, this: ThisNode) -> Self {
        let events = bus.subscribe(Topic::Nodes);
        Self {
            bus,
            this,
            events,
            elsewhere: watch::Sender::new(Arc::default()),
            here: watch::Sender::new(Vec::new()),
            joined: watch::Sender::new(false),
            renew: Arc::new(Notify::new()),
        }
    }

    /// What ingest needs.
    pub(crate) fn neighbours(&self) -> Neighbours {
        Neighbours { elsewhere: self.elsewhere.subscribe(), here: self.here.clone() }
    }

    /// Waits until this process has been heard and others had the time to answer. It goes on without that if the brokers
    /// take too long: what others have is learned later.
    pub(crate) fn joined(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut joined = self.joined.subscribe();
        async move {
            if tokio::time::timeout(JOIN, joined.wait_for(|joined| *joined)).await.is_err() {
                tracing::warn!(
                    "this process was not heard on the bus within {JOIN:?}; going on without others"
                );
            }
        }
    }

    /// Runs until `shutdown`, then says good-bye. `packager` knows more of what is here. `reports`: whether this process
    /// says to all that the broadcasts of a lost one ended.
    pub(crate) async fn run(
        self,
        packager: Option<PackagerService>,
        reports: bool,
        readiness: Readiness,
        shutdown: CancellationToken,
    ) {
        let Self { bus, this, events, elsewhere, here, joined, renew } = self;
        let nodes = Nodes::new(this.me.clone(), this.lease);
        let hears = watch::Sender::new(true);
        let source = this.me.name.source();
        let sayer = Sayer { bus: Arc::clone(&bus), this, packager: packager.clone() };
        let saying = sayer.run(here.subscribe(), Arc::clone(&renew), hears.subscribe(), shutdown.clone());
        let hearer =
            Hearer { bus, nodes, packager, reports, source, readiness, elsewhere, joined, renew, hears };
        tokio::join!(saying, hearer.run(events, shutdown));
    }
}

/// Says what is here, when it changes and every so often.
struct Sayer {
    bus: Arc<dyn Bus>,
    this: ThisNode,
    packager: Option<PackagerService>,
}

impl Sayer {
    async fn run(
        self,
        mut here: watch::Receiver<Vec<LiveBroadcast>>,
        renew: Arc<Notify>,
        mut hears: watch::Receiver<bool>,
        shutdown: CancellationToken,
    ) {
        loop {
            let lease = self.lease(&here.borrow_and_update());
            self.say(EventBody::NodeLeased(lease)).await;
            let renewal = self.this.lease / millrace_core::nodes::RENEWALS;
            let pause = if *hears.borrow_and_update() { renewal } else { renewal * AWAY_FACTOR };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
                () = renew.notified() => {}
                Ok(()) = here.changed() => {}
                Ok(()) = hears.changed() => {}
            }
        }
        self.say(EventBody::NodeLeft(NodeLeft { boot: self.this.me.boot })).await;
    }

    fn lease(&self, here: &[LiveBroadcast]) -> NodeLeased {
        if here.len() > LEASED_STREAMS_MAX {
            tracing::error!(
                broadcasts = here.len(),
                "more than {LEASED_STREAMS_MAX} broadcasts on this node: others do not learn of all of them"
            );
        }
        NodeLeased {
            boot: self.this.me.boot,
            url: self.this.url.clone(),
            roles: self.this.roles.clone(),
            lease_ms: u64::try_from(self.this.lease.as_millis()).unwrap_or(u64::MAX),
            capacity: self.this.capacity,
            load: here.len() as u64,
            streams: here.iter().take(LEASED_STREAMS_MAX).map(|live| self.describe(live)).collect(),
        }
    }

    fn describe(&self, live: &LiveBroadcast) -> LeasedStream {
        let LiveBroadcast { channel, broadcast, started_at, interrupted_until, encoder, held_until } = live;
        let (access, next_msn, keyframe_interval) =
            self.packager.as_ref().map(|packager| packager.describe(channel)).unwrap_or_default();
        let held = held_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        LeasedStream {
            channel: channel.clone(),
            broadcast: *broadcast,
            started_at: *started_at,
            access,
            interrupted_until: *interrupted_until,
            encoder: encoder.as_ref().map(|name| name.chars().take(LEASED_ENCODER_MAX).collect()),
            held_ms: u64::try_from(held.as_millis()).unwrap_or(u64::MAX),
            next_msn,
            keyframe_interval,
        }
    }

    async fn say(&self, body: EventBody) {
        let event = Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::now_v7(),
            source: self.this.me.name.source(),
            subject: Subject::Node(self.this.me.name.clone()),
            time: Timestamp::now(),
            cause: Cause::default(),
            body,
        };
        if let Err(err) = self.bus.publish(Topic::Nodes, event).await {
            // The next one says the same.
            tracing::debug!(%err, "a lease of this node is not acknowledged");
        }
    }
}

/// Hears what others say, and when they fall silent.
struct Hearer {
    bus: Arc<dyn Bus>,
    nodes: Nodes,
    packager: Option<PackagerService>,
    reports: bool,
    source: String,
    readiness: Readiness,
    elsewhere: watch::Sender<Arc<Elsewhere>>,
    joined: watch::Sender<bool>,
    renew: Arc<Notify>,
    hears: watch::Sender<bool>,
}

impl Hearer {
    async fn run(mut self, mut events: Subscription, shutdown: CancellationToken) {
        metrics::describe_gauge!("millrace_nodes", "Other processes that this one hears of");
        metrics::describe_gauge!("millrace_bus_up", "Whether the bus delivers");
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_first = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                event = events.next() => match event {
                    Some(event) => self.hear(&event).await,
                    None => return,
                },
                _ = look.tick() => self.look().await,
            }
            if self.nodes.is_connected() {
                let first = *heard_first.get_or_insert_with(Instant::now);
                if first.elapsed() >= GREETING {
                    self.joined.send_if_modified(|joined| !std::mem::replace(joined, true));
                }
            }
        }
    }

    async fn hear(&mut self, event: &Event) {
        match self.nodes.apply(Instant::now(), Timestamp::now(), event) {
            Heard::Newcomer { node, lost } => {
                tracing::info!(node = %node, "node {node} is there");
                // It does not know of us.
                self.renew.notify_one();
                self.report(Lost { node, streams: lost }).await;
            }
            Heard::Left(node) => tracing::info!(node = %node, "node {node} stopped"),
            Heard::Namesake => tracing::error!(
                "another process says that it is this node ({}); give each its own MILLRACE_NODE_NAME",
                event.subject
            ),
            Heard::Myself => return,
            Heard::Known | Heard::Nothing => {}
        }
        if let (EventBody::NodeLeased(lease), Some(packager)) = (&event.body, &self.packager) {
            for stream in &lease.streams {
                packager.learn(stream);
            }
        }
        self.show();
    }

    /// Lets the rest of the process know, if anything changed.
    fn show(&self) {
        let now = self.nodes.elsewhere();
        self.elsewhere.send_if_modified(|before| {
            let changed = **before != now;
            if changed {
                *before = Arc::new(now);
            }
            changed
        });
    }

    async fn look(&mut self) {
        let hears = self.nodes.hears(Instant::now()) || !self.nodes.is_connected();
        metrics::gauge!("millrace_bus_up").set(f64::from(u8::from(hears && self.nodes.is_connected())));
        metrics::gauge!("millrace_nodes").set(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.readiness.set_shared("bus", if hears { Ok(()) } else { Err(BUS_AWAY) });
        if self.hears.send_if_modified(|before| std::mem::replace(before, hears) != hears) {
            if hears {
                tracing::info!("the bus delivers again");
            } else {
                tracing::warn!("{BUS_AWAY}");
            }
        }
        let lost = self.nodes.expire(Instant::now());
        if lost.is_empty() {
            return;
        }
        self.show();
        for lost in lost {
            tracing::warn!(
                node = %lost.node, broadcasts = lost.streams.len(),
                "node {} is not heard of any more", lost.node
            );
            self.report(lost).await;
        }
    }

    /// Says to all that the broadcasts of a lost node ended. Every process that reports says the same, with the same ids.
    async fn report(&self, lost: Lost) {
        if !self.reports {
            return;
        }
        for LeasedStream { channel, broadcast, .. } in lost.streams {
            /// Distinguishes it from the other events about the broadcast; below the version of a UUID.
            const LOST: u128 = 0x6c6f_7374;
            let event = Event {
                specversion: SpecVersion::V1,
                id: uuid::Uuid::from_u128(broadcast.0.as_u128() ^ LOST),
                source: self.source.clone(),
                subject: channel.clone().into(),
                time: Timestamp::now(),
                cause: Cause::default(),
                body: EventBody::StreamEnded(StreamEnded { broadcast, reason: EndReason::NodeLost }),
            };
            if let Err(err) = self.bus.publish(Topic::Streams, event).await {
                tracing::warn!(
                    stream.id = %channel, %err,
                    "the end of a lost broadcast of {channel} is not acknowledged"
                );
            }
        }
    }
}
