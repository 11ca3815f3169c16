//! One process of the transcoder that makes still pictures for all broadcasts of the server.
//!
//! It has one order at a time. What waits for it is bounded ([`super::queue`]); an order that takes longer than
//! [`DEADLINE`] or that the process dies of costs its broadcast a while ([`super::strikes`]) and everybody the time until
//! the next process is started ([`BackOff`]). A process without orders is ended after [`IDLE`].
#![expect(clippy::disallowed_methods, reason = "shell: runs a process, waits, reads clocks, makes ids")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace_core::event::{Event, EventBody, SpecVersion, ThumbnailUpdated};
use millrace_core::ids::{BroadcastId, ChannelName};
use millrace_core::trace::Cause;
use millrace_core::transcode::{StillFormat, StillOrder, StillReport};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::queue::Queue;
use super::storyboard::{COLUMNS, SpriteOrder};
use super::{BroadcastStills, sizes};
use crate::packager::Keyframe;
use crate::transcode::back_off::BackOff;
use crate::transcode::child::{Child, Program, Stills};
use crate::transcode::config::TranscodeConfig;

/// How long an order may take: a picture of 4K takes a tenth of a second on an idle machine.
const DEADLINE: Duration = Duration::from_secs(5);
/// A process that had nothing to do for so long is ended: nobody is live, or hardly ever sends a keyframe. The next one starts in a
/// fraction of a second.
const IDLE: Duration = Duration::from_secs(60);
const SPRITE_JPEG_QUALITY: u8 = 70;
const SPRITE_WEBP_QUALITY: u8 = 65;

/// Makes still pictures. Clones share the process.
#[derive(Clone)]
pub struct StillsService(Arc<Shared>);

struct Shared {
    config: TranscodeConfig,
    queue: Mutex<Queue>,
    woken: Notify,
    events: mpsc::Sender<Event>,
    source: String,
    outcomes: Outcomes,
}

/// What became of orders.
struct Outcomes {
    made: metrics::Counter,
    unreadable: metrics::Counter,
    lost: metrics::Counter,
}

impl StillsService {
    /// Starts a task that serves until `stopping`; the process is started with the first order. What is made is told as
    /// events of `source`, which are dropped while `events` is full.
    pub(crate) fn start(
        program: Program,
        config: TranscodeConfig,
        events: mpsc::Sender<Event>,
        source: String,
        stopping: CancellationToken,
    ) -> Self {
        metrics::describe_counter!(
            "millrace_stills_total",
            "Keyframes that were to become thumbnails, by what became of them"
        );
        let outcome =
            |outcome: &'static str| metrics::counter!("millrace_stills_total", "outcome" => outcome);
        let shared = Arc::new(Shared {
            config,
            queue: Mutex::default(),
            woken: Notify::new(),
            events,
            source,
            outcomes: Outcomes {
                made: outcome("made"),
                unreadable: outcome("unreadable"),
                lost: outcome("lost"),
            },
        });
        let mut worker = Worker {
            shared: Arc::clone(&shared),
            program,
            child: None,
            back_off: BackOff::default(),
            rests_until: None,
            orders: 0,
        };
        tokio::spawn(async move { stopping.run_until_cancelled(worker.run()).await });
        Self(shared)
    }

    /// A place for the pictures of a broadcast that begins now.
    pub(crate) fn broadcast(
        &self,
        channel: ChannelName,
        broadcast: BroadcastId,
        prefix: Arc<str>,
    ) -> Arc<BroadcastStills> {
        Arc::new(BroadcastStills::new(channel, broadcast, prefix, &self.0.config, Instant::now()))
    }

    /// How often a broadcast should offer a keyframe.
    pub(crate) fn interval(&self) -> Duration {
        self.0.config.thumbnail_interval
    }

    /// Takes the newest keyframe of a broadcast, if there is room. Never waits.
    pub(crate) fn offer(&self, of: &Arc<BroadcastStills>, keyframe: Keyframe) {
        if of.making().strikes.is_served(Instant::now()) {
            self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).put(of, keyframe);
            self.0.woken.notify_one();
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    program: Program,
    child: Option<Child<Stills>>,
    back_off: BackOff,
    rests_until: Option<Instant>,
    orders: u64,
}

/// The process is no more.
struct Lost;

impl Worker {
    async fn run(&mut self) {
        loop {
            if let Some(until) = self.rests_until.take() {
                tokio::time::sleep_until(until.into()).await;
            }
            let Some((of, keyframe)) = self.next().await else { continue };
            if of.is_over() || self.child.is_none() && !self.start_child() {
                continue;
            }
            if self.make(&of, keyframe).await.is_err() {
                self.shared.outcomes.lost.increment(1);
                of.making().strikes.strike(Instant::now());
            }
        }
    }

    /// The next keyframe; `None` if the process ended by itself while it had nothing to do. We end it when that lasts.
    async fn next(&mut self) -> Option<(Arc<BroadcastStills>, Keyframe)> {
        loop {
            let next = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
            if next.is_some() {
                return next;
            }
            let Some(child) = &mut self.child else {
                self.shared.woken.notified().await;
                continue;
            };
            tokio::select! {
                () = self.shared.woken.notified() => {}
                said = child.next() => if let Err(end) = said {
                    self.lose(&end);
                    return None;
                },
                () = tokio::time::sleep(IDLE) => self.rest(),
            }
        }
    }

    /// Ends the process, which did what it should.
    fn rest(&mut self) {
        debug!("nobody needs thumbnails: the transcoder that makes them ends");
        self.child = None;
        self.back_off = BackOff::default();
    }

    fn start_child(&mut self) -> bool {
        let now = Instant::now();
        match self.program.start("thumbnails", 1, 1) {
            Ok(child) => {
                debug!(process.pid = child.pid(), "a transcoder makes thumbnails");
                self.back_off.started(now);
                self.child = Some(child);
                true
            }
            Err(err) => {
                self.lose(&err);
                false
            }
        }
    }

    fn lose(&mut self, why: &dyn std::error::Error) {
        let now = Instant::now();
        self.child = None;
        let until = self.back_off.ended(now);
        self.rests_until = Some(until);
        let pause = until.saturating_duration_since(now).as_secs();
        warn!(err = %why, "the transcoder makes no thumbnails: {why}; another one is started in {pause} s");
    }

    async fn make(&mut self, of: &Arc<BroadcastStills>, keyframe: Keyframe) -> Result<(), Lost> {
        let Keyframe { record, data } = keyframe;
        let at = Instant::now().saturating_duration_since(of.began);
        let sizes = sizes(of.making().board.is_some());
        let id = self.orders;
        let report = self.ask(of, StillOrder::Keyframe { id, record, data, sizes }).await?;
        let stills = match report.stills {
            Ok(stills) => stills,
            Err(reason) => {
                self.shared.outcomes.unreadable.increment(1);
                debug!(
                    broadcast.id = %of.broadcast, stream.id = %of.channel,
                    "a keyframe of {} became no picture: {reason}", of.channel
                );
                return Ok(());
            }
        };
        self.shared.outcomes.made.increment(1);
        let taken = Timestamp::now();
        let version = u64::try_from(taken.as_second()).unwrap_or(0);
        let tile = of.show(version, stills);
        let sprite = {
            let mut making = of.making();
            making.strikes.forgive();
            if let Some(look) = report.look {
                making.picture.look(Instant::now(), look);
            }
            making.board.as_mut().zip(tile).and_then(|(board, tile)| board.add(at, tile))
        };
        let drawn = match sprite {
            Some(sprite) => self.draw(of, sprite).await,
            None => Ok(()),
        };
        if !of.is_over() {
            self.tell(of, taken);
        }
        drawn
    }

    async fn draw(&mut self, of: &Arc<BroadcastStills>, mut sprite: SpriteOrder) -> Result<(), Lost> {
        let order = StillOrder::Sprite {
            id: self.orders,
            tiles: std::mem::take(&mut sprite.tiles),
            tile: sprite.tile,
            columns: COLUMNS,
            formats: vec![(StillFormat::Jpeg, SPRITE_JPEG_QUALITY), (StillFormat::Webp, SPRITE_WEBP_QUALITY)],
        };
        let stills = self.ask(of, order).await?.stills;
        let stills = match stills {
            Ok(stills) => stills,
            Err(reason) => {
                warn!("tiles of a storyboard became no sprite: {reason}");
                return Ok(());
            }
        };
        let mut making = of.making();
        if let Some(board) = &mut making.board {
            board.draw(sprite, stills);
        }
        of.show_storyboard(&making);
        Ok(())
    }

    /// Gives the process an order and awaits the answer.
    async fn ask(&mut self, of: &BroadcastStills, order: StillOrder) -> Result<StillReport, Lost> {
        let id = self.orders;
        self.orders += 1;
        let Some(child) = &mut self.child else { return Err(Lost) };
        // Its queue is empty: what it was asked before, it answered. One that has ended says so below.
        let _ = child.try_send(order);
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            match tokio::time::timeout_at(deadline, child.next()).await {
                Ok(Ok(report)) if report.id == id => return Ok(report),
                Ok(Ok(_)) => {}
                Ok(Err(end)) => {
                    self.lose(&end);
                    return Err(Lost);
                }
                Err(_) => {
                    child.kill();
                    let why =
                        std::io::Error::other(format!("it made none of {} within {DEADLINE:?}", of.channel));
                    self.lose(&why);
                    return Err(Lost);
                }
            }
        }
    }

    fn tell(&self, of: &BroadcastStills, taken: Timestamp) {
        let at = |file: &str| format!("/live/{}/{file}", of.channel);
        let url = at("thumb.jpg");
        let storyboard_url = of.has_storyboard().then(|| at("storyboard.vtt"));
        let event = Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::now_v7(),
            source: self.shared.source.clone(),
            subject: of.channel.clone().into(),
            time: taken,
            cause: Cause::default(),
            body: EventBody::ThumbnailUpdated(ThumbnailUpdated {
                broadcast: of.broadcast,
                url,
                storyboard_url,
            }),
        };
        // The bus is behind: the next thumbnail says the same.
        let _ = self.shared.events.try_send(event);
    }
}
