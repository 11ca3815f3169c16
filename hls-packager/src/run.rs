//! The shell of a broadcast: feed → packager → window → watchers. One task each.
#![expect(clippy::disallowed_methods, reason = "shell: starts tasks, reads clocks, makes ids")]

mod cpu;
mod rungs;
mod sound;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use millrace_core::bus::{Bus, Topic, traced};
use millrace_core::event::{
    ChannelUpdated, Event, EventBody, LeasedStream, STREAM_UPDATE_INTERVAL, SpecVersion, StreamUpdated,
};
use millrace_core::feed::{
    BroadcastSink, BroadcastStart, FeedHandle, FeedItem, FeedReceiver, FeedReply, PublisherInfo, feed,
};
use millrace_core::flv::FlvTag;
use millrace_core::ids::{ChannelName, ConnectionId, NodeName};
use millrace_core::ladder::LadderMode;
use millrace_core::playback::Access;
use millrace_core::trace::{Cause, Span};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::config::Config;
use crate::demux::{Demuxer, mp3_frames};
use crate::ladder::LadderConfig;
use crate::model::{Output, Part, RenditionId};
use crate::origin::{Broadcast, Origin};
use crate::packager::{Packager, PackagerConfig, PackagerError, PackagerStart, Watched};
use crate::remember::{ChannelMemory, Remembered};
use crate::transcode::child::Program;
use crate::transcode::config::TranscodeConfig;
use crate::transcode::stills::{BroadcastStills, StillsService};
use crate::window::{Window, WindowStart, first_msn};
use cpu::{CpuBudget, CpuShare};
use rungs::{Rungs, Said, Transcoding};
use sound::{LAST_SOUND, Sound};

/// Refusals that may wait for ingest: a publisher is refused once.
const REPLIES: usize = 4;
/// Thumbnails of all broadcasts that wait to be told; what is more is told with the next.
const STILLS_TOLD: usize = 256;
/// Reports between two rotations of a viewer count: six seconds.
const REPORTS_PER_ROTATION: u32 = 3;
/// How long after a request that waited a rendition still counts as watched: longer than any part.
const STILL_WATCHED: Duration = Duration::from_secs(3);
/// How long a ladder that says nothing of its end is waited for.
const LAST_RUNG_PARTS: Duration = Duration::from_millis(100);
/// Items that are taken in a row before timers are looked at.
const ITEMS_IN_A_ROW: usize = 64;
/// Channels whose last numbers are remembered.
const REMEMBERED_CHANNELS: usize = 10_000;
/// Media sequence numbers that a node may use between two leases: they are seconds apart, and so are segments.
const NUMBERS_SINCE_A_LEASE: u64 = 16;

/// Packages every broadcast that ingest opens. Clones share it.
#[derive(Clone)]
pub struct PackagerService(Arc<Shared>);

struct Shared {
    config: Config,
    origin: Origin,
    bus: Arc<dyn Bus>,
    source: String,
    /// One part in so many has a span.
    trace_parts: u32,
    /// What the site makes of rungs.
    ladder: LadderConfig,
    /// `None` where no rungs can be made.
    transcoding: Option<Transcoding>,
    /// What makes AAC of MP3, where there is a transcoder.
    transcoder: Option<Program>,
    memory: ChannelMemory,
    tasks: TaskTracker,
    /// `None` without thumbnails.
    stills: Option<StillsService>,
    /// What the moments of reports are counted from.
    began: tokio::time::Instant,
    /// From now on the end of a feed is not the end of the broadcast.
    stopping: CancellationToken,
    /// From now on nobody waits for ingest.
    cut: CancellationToken,
}

impl PackagerService {
    /// A service that packages as `config` says, with the rungs of `transcode`, publishes into `origin` and tells `bus` what it measures, as the node `node`. `shutdown` is
    /// the token that ingest stops by: see [`Self::stop`].
    #[must_use]
    pub fn new(
        config: Config,
        transcode: &TranscodeConfig,
        origin: Origin,
        bus: Arc<dyn Bus>,
        node: &NodeName,
        shutdown: &CancellationToken,
    ) -> Self {
        let stopping = shutdown.child_token();
        let program = transcoder(transcode);
        let stills = program.clone().filter(|_| transcode.thumbnails).map(|program| {
            let events = spawn_reporter(&bus, STILLS_TOLD);
            StillsService::start(program, transcode.clone(), events, node.source(), stopping.clone())
        });
        Self(Arc::new(Shared {
            stills,
            trace_parts: config.trace_parts,
            transcoding: program.as_ref().map(|program| transcoding(&transcode.ladder, program)),
            ladder: transcode.ladder.clone(),
            transcoder: program,
            began: tokio::time::Instant::now(),
            config,
            origin,
            bus,
            source: node.source(),
            memory: ChannelMemory::new(REMEMBERED_CHANNELS),
            tasks: TaskTracker::new(),
            stopping,
            cut: CancellationToken::new(),
        }))
    }

    /// Learns who may fetch what, from `bus`, until the service stops. Subscribes before it returns the future.
    pub fn follow(&self, bus: &dyn Bus) -> impl Future<Output = ()> + Send + 'static {
        let mut orders = bus.subscribe(Topic::Commands);
        let (origin, stopping) = (self.0.origin.clone(), self.0.stopping.clone());
        async move {
            while let Some(Some(event)) = stopping.run_until_cancelled(orders.next()).await {
                if let (EventBody::ChannelUpdated(ChannelUpdated { access }), Some(channel)) =
                    (&event.body, event.channel())
                {
                    let changing = async { origin.catalog().set_access(channel, *access) };
                    traced::handling("origin", &event, changing).await;
                }
            }
        }
    }

    /// What other nodes must know of a channel that is packaged here: who may fetch it, a number that is greater than
    /// every media sequence number so far, and the seconds between keyframes if that is known.
    #[must_use]
    pub fn describe(&self, channel: &ChannelName) -> (Access, u64, Option<f64>) {
        let access =
            self.0.origin.catalog().channel(channel).map_or_else(Access::default, |known| known.access());
        let Remembered { next_msn, keyframe_interval } = self.0.memory.recall(channel);
        (access, next_msn, keyframe_interval.map(|interval| interval.as_secs_f64()))
    }

    /// Learns what another node says of its broadcast of a channel: numbers go on from there, should the next one be
    /// here. It may have used some since it said so.
    pub fn learn(&self, stream: &LeasedStream) {
        let interval = stream.keyframe_interval.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if stream.next_msn > 0 {
            let next_msn = stream.next_msn.saturating_add(NUMBERS_SINCE_A_LEASE);
            self.0.memory.remember(&stream.channel, next_msn, interval);
        }
    }

    /// Says that the server stops. Feeds that end from now on leave no `EXT-X-ENDLIST`: players go on after the
    /// restart. The `shutdown` token says the same, before ingest can end a feed because of it.
    pub fn stop(&self) {
        self.0.stopping.cancel();
    }

    /// Waits for ingest to close its feeds, at most `grace`; flushes the last parts, then answers every waiting
    /// request. After it no request waits any more, and nothing new is published. Returns how many broadcasts had to
    /// be cut because their feed was still open.
    pub async fn drain(&self, grace: Duration) -> usize {
        self.stop();
        self.0.tasks.close();
        let cut = match tokio::time::timeout(grace, self.0.tasks.wait()).await {
            Ok(()) => 0,
            Err(_) => {
                let cut = self.0.tasks.len();
                self.0.cut.cancel();
                self.0.tasks.wait().await;
                cut
            }
        };
        self.0.origin.catalog().stop();
        cut
    }
}

impl BroadcastSink for PackagerService {
    fn check(&self, tag: &FlvTag) -> Result<(), String> {
        if self.0.transcoder.is_some() && mp3_frames(tag).is_some() {
            return Ok(());
        }
        let found = Demuxer::default().demux(tag, &mut Vec::new());
        found.map_err(|refusal| PackagerError::from(refusal).to_string())
    }

    fn open(&self, start: BroadcastStart) -> FeedHandle {
        let shared = Arc::clone(&self.0);
        shared.origin.catalog().announce(&start.channel, start.access);
        let (items, receiver) = feed();
        let (replies, reply_receiver) = mpsc::channel(REPLIES);
        let task = BroadcastTask::new(shared, start, receiver, replies);
        self.0.tasks.spawn(task.run());
        FeedHandle { items, replies: reply_receiver }
    }
}

/// How a feed came to its end.
enum End {
    /// The broadcast is over.
    Over,
    /// The server stops; the broadcast goes on elsewhere or later.
    Stopped,
    /// The channel is live on another node.
    Moved,
}

struct BroadcastTask {
    shared: Arc<Shared>,
    start: BroadcastStart,
    feed: FeedReceiver,
    replies: mpsc::Sender<FeedReply>,
    updates: mpsc::Sender<Event>,
    packager: Packager,
    rungs: Option<Rungs>,
    sound: Option<Sound>,
    window: Window,
    prefix: Arc<str>,
    stills: Option<StillsTurn>,
    published: Option<Arc<Broadcast>>,
    publisher: Option<Publisher>,
    /// The publisher has gone; until then its last sound may come, and nothing else is taken.
    leaving: Option<Instant>,
    reports: u32,
    viewers: u64,
    /// When a request last waited for the main rendition, and for the one of audio alone.
    awaited: [Option<Instant>; 2],
}

/// When the next picture of a broadcast is due.
struct StillsTurn {
    service: StillsService,
    of: Arc<BroadcastStills>,
    due: Instant,
}

struct Publisher {
    connection: ConnectionId,
    refused: bool,
    cause: Cause,
    /// Of the parts it filled, those that have bytes.
    parts: u32,
}

/// What a span says of a part, kept until it is published.
struct Arrived {
    at: Instant,
    traced: Option<TracedPart>,
}

struct TracedPart {
    rendition: RenditionId,
    bytes: usize,
    duration: Duration,
    independent: bool,
    first: bool,
}

impl BroadcastTask {
    fn new(
        shared: Arc<Shared>,
        start: BroadcastStart,
        feed: FeedReceiver,
        replies: mpsc::Sender<FeedReply>,
    ) -> Self {
        let remembered = shared.memory.recall(&start.channel);
        let unix_seconds =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let prefix = prefix();
        let packager_start = PackagerStart {
            now: Instant::now(),
            wall: Timestamp::now(),
            last_keyframe_interval: remembered.keyframe_interval,
        };
        let window_start = WindowStart {
            prefix: Arc::clone(&prefix),
            first_msn: first_msn(unix_seconds, remembered.next_msn),
        };
        let updates = spawn_reporter(&shared.bus, 1);
        let rungs = rungs_of(&shared, &start);
        let sound =
            shared.transcoder.as_ref().map(|program| Sound::new(start.channel.clone(), program.clone()));
        let packager_config = PackagerConfig { tap: rungs.is_some(), ..shared.config.packager() };
        let mut packager = Packager::new(packager_config, packager_start);
        let stills = shared.stills.clone().map(|service| {
            // The first picture is shown as soon as the channel is.
            packager.want_keyframe();
            let of = service.broadcast(start.channel.clone(), start.id, Arc::clone(&prefix));
            StillsTurn { service, of, due: Instant::now() }
        });
        Self {
            packager,
            rungs,
            sound,
            stills,
            window: Window::new(shared.config.window(), window_start),
            shared,
            start,
            feed,
            replies,
            updates,
            prefix,
            published: None,
            publisher: None,
            leaving: None,
            reports: 0,
            viewers: 0,
            awaited: [None; 2],
        }
    }

    async fn run(self) {
        let (shared, channel) = (Arc::clone(&self.shared), self.start.channel.clone());
        self.package().await;
        shared.origin.catalog().withdraw(&channel);
    }

    async fn package(mut self) {
        let end = self.follow_feed().await;
        let now = Instant::now();
        match end {
            End::Over => {
                self.packager.handle_end(now);
                self.publish();
                self.end_rungs().await;
            }
            // The open part goes out; gaps that would follow do not, for nobody calls the packager again.
            End::Stopped | End::Moved => self.packager.handle_publisher_left(now),
        }
        if let Some(stills) = &self.stills {
            stills.of.end();
        }
        self.publish();
        self.remember();
        let metrics = self.shared.origin.metrics().clone();
        metrics.viewers.decrement(as_gauge(self.viewers));
        let Some(broadcast) = self.published.take() else { return };
        metrics.streams.decrement(1.0);
        let Self { shared, start, window, packager, .. } = self;
        drop((window, packager));
        match end {
            End::Over => {
                shared.origin.catalog().end(&start.channel, &broadcast);
                info!(
                    broadcast.id = %start.id, stream.id = %start.channel,
                    "playlists of {} ended", start.channel
                );
                tokio::select! {
                    () = tokio::time::sleep(shared.config.ended_retention) => {}
                    () = shared.stopping.cancelled() => return,
                }
                shared.origin.catalog().forget(&start.channel, &broadcast);
            }
            End::Stopped => broadcast.stop(),
            End::Moved => {
                // Whoever waits here asks again, and is answered from there.
                shared.origin.catalog().forget(&start.channel, &broadcast);
                broadcast.stop();
                info!(
                    broadcast.id = %start.id, stream.id = %start.channel,
                    "{} goes on at another node", start.channel
                );
            }
        }
    }

    async fn follow_feed(&mut self) -> End {
        // A transcoder that is there before the first picture makes rungs from the first picture on.
        if let Some(rungs) = &mut self.rungs {
            rungs.work();
        }
        let cut = self.shared.cut.clone();
        let mut cut = pin!(cut.cancelled());
        // One timer for the whole broadcast: a new one for each tag would be entered and taken out 80 times a second.
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        let mut armed = None;
        // All broadcasts of the process report at the same moment: what is said together is kept together.
        let step = STREAM_UPDATE_INTERVAL.as_millis();
        let rest = u64::try_from(step - self.shared.began.elapsed().as_millis() % step).unwrap_or_default();
        let rest = Duration::from_millis(rest);
        let mut report = tokio::time::interval_at(tokio::time::Instant::now() + rest, STREAM_UPDATE_INTERVAL);
        report.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let rungs_due = self.rungs.as_ref().and_then(Rungs::poll_timeout);
            let due = [self.packager.poll_timeout(), rungs_due, self.leaving].into_iter().flatten().min();
            // A deadline that moves back with every tag is only looked at when the old one is reached.
            if let Some(at) = due
                && armed.is_none_or(|armed| at < armed)
            {
                armed = due;
                timer.as_mut().reset(at.into());
            }
            tokio::select! {
                // Timers first: a feed that is always full must not keep them from firing.
                biased;
                () = &mut cut => return End::Stopped,
                () = &mut timer, if armed.is_some() => {
                    armed = None;
                    self.handle_timeout();
                }
                said = next_of(&mut self.rungs) => self.hear(said),
                said = next_sound(&mut self.sound) => self.hear_sound(said),
                _ = report.tick() => self.report(),
                item = self.feed.recv(), if self.leaving.is_none() => {
                    let Some(item) = item else { return self.end() };
                    if let Some(end) = self.take_in_a_row(item) {
                        return end;
                    }
                }
            }
            self.publish();
            self.offer_still();
            self.say_what_is_wanted();
        }
    }

    fn handle_timeout(&mut self) {
        if self.leaving.is_some_and(|until| until <= Instant::now()) {
            self.publisher_left();
        }
        self.packager.handle_timeout(Instant::now());
        if let Some(rungs) = &mut self.rungs {
            rungs.handle_timeout();
        }
    }

    fn hear(&mut self, said: Said) {
        if let Some(rungs) = &mut self.rungs {
            rungs.hear(said);
        }
    }

    /// The rungs are behind the source: their last parts come a moment after its own. Ends when the ladder says so, which it does
    /// in time whatever the transcoder does.
    async fn end_rungs(&mut self) {
        while let Some(rungs) = self.rungs.as_mut().filter(|rungs| !rungs.has_ended()) {
            let due = rungs.poll_timeout().unwrap_or_else(|| Instant::now() + LAST_RUNG_PARTS);
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => self.handle_timeout(),
                said = next_of(&mut self.rungs) => self.hear(said),
                () = self.shared.cut.cancelled() => return,
            }
            self.publish();
        }
    }

    /// Hands the newest keyframe to who makes a picture of it, once an interval.
    fn offer_still(&mut self) {
        let Some(stills) = self.stills.as_mut().filter(|_| self.published.is_some()) else { return };
        if let Some(keyframe) = self.packager.take_keyframe() {
            stills.service.offer(&stills.of, keyframe);
            stills.due = Instant::now() + stills.service.interval();
        } else if stills.due <= Instant::now() {
            self.packager.want_keyframe();
        }
    }

    /// Takes this item and those that wait already, each published before the next.
    fn take_in_a_row(&mut self, first: FeedItem) -> Option<End> {
        let mut end = self.take(first);
        for _ in 1..ITEMS_IN_A_ROW {
            if end.is_some() || self.leaving.is_some() {
                break;
            }
            self.publish();
            let Some(item) = self.feed.try_recv() else { break };
            end = self.take(item);
        }
        end
    }

    /// Takes one item of the feed; answers how the feed ended, if it did.
    fn take(&mut self, item: FeedItem) -> Option<End> {
        let now = Instant::now();
        match item {
            FeedItem::Ended => return Some(self.end()),
            FeedItem::Moved => return Some(End::Moved),
            FeedItem::PublisherJoined(publisher) => {
                let PublisherInfo { connection, cause, .. } = publisher;
                self.publisher = Some(Publisher { connection, refused: false, cause, parts: 0 });
                self.forget_sound();
                if let Some(stills) = &self.stills {
                    stills.of.publisher_joined();
                }
                self.packager.handle_publisher_joined(now);
            }
            FeedItem::PublisherLeft => {
                if self.sound.as_mut().is_some_and(Sound::finish) {
                    self.leaving = Some(now + LAST_SOUND);
                } else {
                    self.publisher_left();
                }
            }
            FeedItem::Tag { tag, arrived } => self.take_tag(arrived, tag),
        }
        None
    }

    fn publisher_left(&mut self) {
        (self.publisher, self.leaving) = (None, None);
        self.forget_sound();
        self.packager.handle_publisher_left(Instant::now());
    }

    fn end(&self) -> End {
        if self.shared.stopping.is_cancelled() { End::Stopped } else { End::Over }
    }

    /// Between an answer and the next request a viewer waits for nothing, and watches all the same.
    fn say_what_is_wanted(&mut self) {
        let now = Instant::now();
        if let Some(broadcast) = &self.published {
            for (index, awaited) in self.awaited.iter_mut().enumerate() {
                if broadcast.is_awaited(RenditionId(index)) {
                    *awaited = Some(now);
                }
            }
            if let Some(rungs) = &mut self.rungs {
                for rendition in broadcast.renditions() {
                    if broadcast.take_asked(rendition) || broadcast.is_awaited(rendition) {
                        rungs.is_asked(rendition);
                    }
                }
            }
        }
        let [main, audio] = self.awaited.map(|awaited| {
            awaited.is_some_and(|awaited| now.saturating_duration_since(awaited) < STILL_WATCHED)
        });
        self.packager.handle_watched(Watched { main, audio });
        // Pictures that come all at once are encoded one after the other, and the last one late.
        let working = self.rungs.as_ref().is_some_and(Rungs::is_working);
        self.feed.want(self.packager.wanted().filter(|_| !working));
    }

    fn take_tag(&mut self, arrived: Instant, tag: FlvTag) {
        let is_refused = self.publisher.as_ref().is_none_or(|publisher| publisher.refused);
        let tag = match &mut self.sound {
            Some(sound) if !is_refused => sound.take(tag),
            _ => Some(tag),
        };
        match tag {
            Some(tag) => self.package_tag(arrived, tag),
            None => self.packager.expect_audio(),
        }
    }

    fn package_tag(&mut self, arrived: Instant, tag: FlvTag) {
        if self.publisher.as_ref().is_none_or(|publisher| publisher.refused) {
            return;
        }
        if let Err(refusal) = self.packager.handle_tag(Instant::now(), arrived, tag) {
            self.refuse(&refusal.to_string());
        }
    }

    fn hear_sound(&mut self, said: sound::Said) {
        let Some(sound) = &mut self.sound else { return };
        let was_last = matches!(said, sound::Said::End(_));
        match sound.hear(said) {
            Ok(tags) => tags.into_iter().for_each(|tag| self.package_tag(Instant::now(), tag)),
            Err(refusal) => self.refuse(&refusal),
        }
        if was_last && self.leaving.is_some() {
            self.publisher_left();
        }
    }

    fn forget_sound(&mut self) {
        if let Some(sound) = &mut self.sound {
            sound.forget();
        }
    }

    /// Refuses the publisher, with a sentence for the person at the encoder.
    fn refuse(&mut self, refusal: &str) {
        self.forget_sound();
        if let Some(publisher) = self.publisher.as_mut().filter(|publisher| !publisher.refused) {
            publisher.refused = true;
            let connection = publisher.connection;
            warn!(
                broadcast.id = %self.start.id, stream.id = %self.start.channel, connection.id = %connection,
                err = %refusal,
                "refused the publisher of {}: {refusal}", self.start.channel
            );
            // Ingest reads replies while it sends; a full queue means it knows already.
            let _ = self.replies.try_send(FeedReply::Refuse { connection, sentence: refusal.to_owned() });
        }
    }

    /// Moves the packager's outputs into the window and shows what changed.
    fn publish(&mut self) {
        let mut changed = false;
        let mut arrivals = Vec::new();
        if let Some(rungs) = &mut self.rungs {
            std::iter::from_fn(|| self.packager.poll_output()).for_each(|output| rungs.push(output));
            rungs.work();
        }
        while let Some(output) = match &mut self.rungs {
            Some(rungs) => rungs.pop(),
            None => self.packager.poll_output(),
        } {
            changed = true;
            if let Output::Part(part) = &output
                && let Some(at) = part.arrived
            {
                arrivals.push(Arrived { at, traced: self.trace(part) });
            }
            if let Err(err) = self.window.apply(output) {
                error!(broadcast.id = %self.start.id, err = %err, "failed to keep what the packager made: {err}");
            }
        }
        if !changed {
            return;
        }
        match &self.published {
            Some(broadcast) => broadcast.publish(&self.window),
            None => self.go_live(),
        }
        if self.published.is_some() {
            let now = Instant::now();
            for Arrived { at, traced } in arrivals {
                let took = now.saturating_duration_since(at);
                self.shared.origin.metrics().part_published(took);
                if let Some(part) = traced {
                    self.note(&part, took);
                }
            }
        }
    }

    /// Whether a part has a span: the first of a publisher, and then one in so many, if the publish is recorded.
    fn trace(&mut self, part: &Part) -> Option<TracedPart> {
        let every = self.shared.trace_parts;
        let publisher = self.publisher.as_mut().filter(|publisher| publisher.cause.trace.is_some())?;
        let number = publisher.parts;
        publisher.parts = number.wrapping_add(1);
        let &Part { rendition, duration, independent, ref body, .. } = part;
        let chosen = number == 0 || number.checked_rem(every) == Some(0);
        chosen.then(|| TracedPart { rendition, bytes: body.len(), duration, independent, first: number == 0 })
    }

    /// From the last byte of its last tag until viewers could have it.
    fn note(&self, part: &TracedPart, took: Duration) {
        let parent = self.publisher.as_ref().and_then(|publisher| publisher.cause.trace);
        let end = SystemTime::now();
        let start = end.checked_sub(took).unwrap_or(end);
        let rendition = if part.rendition == RenditionId(0) { "main" } else { "audio" };
        Span::past(
            "part",
            parent,
            (start, end),
            [
                ("stream.id", self.start.channel.as_str().to_owned().into()),
                ("broadcast.id", self.start.id.to_string().into()),
                ("part.rendition", rendition.into()),
                ("part.bytes", i64::try_from(part.bytes).unwrap_or(i64::MAX).into()),
                ("part.duration_ms", i64::try_from(part.duration.as_millis()).unwrap_or(i64::MAX).into()),
                ("part.independent", part.independent.into()),
                ("part.first", part.first.into()),
            ],
        );
    }

    /// Appears in the origin with the first part.
    fn go_live(&mut self) {
        let playable = self.window.snapshot(RenditionId(0)).is_some_and(|snapshot| snapshot.is_playable());
        if !playable {
            return;
        }
        let stills = self.stills.as_ref().map(|stills| Arc::clone(&stills.of));
        let broadcast = Broadcast::new(self.start.id, Arc::clone(&self.prefix), &self.window)
            .map(|broadcast| broadcast.with_stills(stills));
        let Some(broadcast) = broadcast.map(Arc::new) else { return };
        self.shared.origin.catalog().go_live(&self.start.channel, &broadcast);
        self.shared.origin.metrics().streams.increment(1.0);
        self.published = Some(broadcast);
        info!(
            broadcast.id = %self.start.id, stream.id = %self.start.channel,
            "{} can be watched", self.start.channel
        );
        self.report();
    }

    fn report(&mut self) {
        self.remember();
        if let Some(rungs) = &mut self.rungs {
            rungs.report();
        }
        let mut viewers = 0;
        if let Some(broadcast) = &self.published {
            viewers = broadcast.viewers().estimate();
            self.reports = (self.reports + 1) % REPORTS_PER_ROTATION;
            if self.reports == 0 {
                broadcast.viewers().rotate();
            }
        }
        self.shared.origin.metrics().viewers.increment(as_gauge(viewers) - as_gauge(self.viewers));
        self.viewers = viewers;
        let Some(publisher) = &self.publisher else { return };
        // Every two seconds: in logs and events it is known whose they are, in traces they would only be many.
        let cause = publisher.cause.untraced();
        let now = Instant::now();
        let mut health = self.packager.health(now);
        health.warnings.extend(self.stills.as_ref().and_then(|stills| stills.of.warning(now)));
        let event = Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::now_v7(),
            source: self.shared.source.clone(),
            subject: self.start.channel.clone().into(),
            time: Timestamp::now(),
            cause,
            body: EventBody::StreamUpdated(StreamUpdated { broadcast: self.start.id, health, viewers }),
        };
        // The bus is behind: the next report replaces this one.
        let _ = self.updates.try_send(event);
    }

    fn remember(&self) {
        if self.window.target_duration().is_some() {
            let interval = self.packager.keyframe_interval();
            self.shared.memory.remember(&self.start.channel, self.window.next_msn(), interval);
        }
    }
}

async fn next_of(rungs: &mut Option<Rungs>) -> Said {
    match rungs {
        Some(rungs) => rungs.next().await,
        None => std::future::pending().await,
    }
}

async fn next_sound(sound: &mut Option<Sound>) -> sound::Said {
    match sound {
        Some(sound) => sound.next().await,
        None => std::future::pending().await,
    }
}

/// The transcoder. That it is not there is said once, if thumbnails or rungs are wanted: what needs it is missing, and nothing
/// else.
fn transcoder(config: &TranscodeConfig) -> Option<Program> {
    match Program::find(config) {
        Ok(program) => Some(program),
        Err(err) => {
            if config.thumbnails || config.ladder.mode != LadderMode::Off {
                warn!(
                    %err,
                    "no thumbnails and no rungs are made: {err}. Install millrace-transcoder beside the server, or say where \
                     it is in transcode.program"
                );
            }
            None
        }
    }
}

/// What makes rungs.
fn transcoding(config: &LadderConfig, program: &Program) -> Transcoding {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = Arc::new(CpuBudget::new(config.max_cpu_percent, processors));
    Transcoding { program: program.clone(), cpu }
}

/// The rungs of a broadcast, if its channel has some.
fn rungs_of(shared: &Shared, start: &BroadcastStart) -> Option<Rungs> {
    let BroadcastStart { channel, ladder, .. } = start;
    let gone = ladder.wish.gone(&shared.ladder.plan()).join(", ");
    if !gone.is_empty() {
        warn!(
            stream.id = %channel, rungs = gone,
            "{channel} wants rungs that this site does not have: {gone}. It goes without them; choose others in its settings"
        );
    }
    let config = shared.ladder.of_channel(ladder)?;
    let Some(Transcoding { program, cpu }) = &shared.transcoding else {
        // Of what the site makes it was said at the start.
        if shared.ladder.mode == LadderMode::Off {
            warn!(
                stream.id = %channel,
                "{channel} wants rungs, and there is no transcoder. Install millrace-transcoder beside the server, or say where \
                 it is in transcode.program"
            );
        }
        return None;
    };
    Some(Rungs::new(channel.clone(), config, program.clone(), CpuShare::new(Arc::clone(cpu))))
}

/// Publishes reports, of which `waiting` may wait, so that a slow bus holds up neither media nor the reports of others. Ends
/// when the sender is dropped.
fn spawn_reporter(bus: &Arc<dyn Bus>, waiting: usize) -> mpsc::Sender<Event> {
    let (sender, mut events) = mpsc::channel::<Event>(waiting);
    let bus = Arc::clone(bus);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Err(err) = bus.publish(Topic::Streams, event).await {
                // The next report replaces this one.
                debug!(err = %err, "a report of a broadcast is not acknowledged");
            }
        }
    });
    sender
}

/// Ten characters of `[a-z0-9]`: 51 bits, so that no cache holds another broadcast's media under the same name.
fn prefix() -> Arc<str> {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random: u64 = rand::random();
    let mut letter = || {
        let index = usize::try_from(random % 36).expect("less than 36");
        random /= 36;
        char::from(ALPHABET[index])
    };
    (0..10).map(|_| letter()).collect::<String>().into()
}

#[expect(clippy::cast_precision_loss, reason = "viewer counts are small")]
fn as_gauge(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
