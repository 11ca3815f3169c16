//! The ladder: renditions that are made of the first one, for viewers whose line is slower. Sans-IO.
//!
//! The ladder stands between the packager and the window. What the packager says of the source goes through it unchanged;
//! what it *taps* ([`Tapped`]) becomes orders for the transcoder, and what the transcoder reports becomes parts of the
//! rungs.
//!
//! ```text
//! Packager ── Output ──┬──────────────────────────────> Window
//!                      │ Tapped                            ▲
//!                      └─> Ladder ── LadderOrder ──>       │ RungStarted, Part, RungEnded
//!                            ▲                   transcoder│
//!                            └──────── LadderReport ───────┘
//! ```
//!
//! A rung has the segments and the parts of the source: the same numbers, times and sound, other pictures. So a player
//! changes rungs at any part that begins with a sync sample, and hears nothing of it. Its parts come later than the source's,
//! by what decoding and encoding take; then its playlist is that much behind, and nothing else.
//!
//! A rung always has something to show. While no pictures of its own are made for it, because nobody watches it, because the
//! machine cannot, or because the transcoder died, it hands out the source's parts; it begins to show its own at the start of a
//! segment, behind another `EXT-X-MAP`. Where it loses its own within a segment, the rest of that segment is a gap.
//!
//! The end of the source waits for that of its rungs, which comes soon: when the transcoder has answered, or is late.
//!
//! Contract: after each `handle_*`, poll [`Ladder::poll_output`], [`Ladder::poll_order`] and [`Ladder::poll_notice`] until `None`,
//! then sleep until [`Ladder::poll_timeout`] or the next input.

mod config;
mod lane;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace_core::ladder::LadderMode;
use millrace_core::transcode::{LadderOrder, LadderReport, Rung, RungId};

pub use config::{LadderConfig, RungConfig};
use lane::{Lane, Mode, Step, StepPart};
use plan::Source;

use crate::model::{Opened, Output, Part, RenditionId, RenditionInfo, SegmentStarted, Tapped};

/// How long after the source's part its rung's may come. Then the rung's part is a gap.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The transcoder is behind when a picture is older than this and was not answered, while later ones were sent.
const BEHIND: Duration = Duration::from_millis(700);
/// No rung is begun while a picture is older than this.
const FRESH: Duration = Duration::from_millis(300);
/// The transcoder hangs when it says nothing for this long though it has pictures. One that is slow says something.
const STUCK: Duration = Duration::from_secs(5);
/// Pictures that a decoder may hold back until later ones come: as many as H.264 can reorder.
const REORDERED: usize = 16;
/// How long after a rung was shed the next one may be: time for the first to show an effect.
const BETWEEN_SHEDS: Duration = Duration::from_secs(1);
/// Most bytes of pictures of the running segment that are kept, so that a transcoder that starts can decode the next ones.
const MAX_BACKLOG_BYTES: usize = 16 << 20;
/// Least and longest time of the source, in ticks of 90 kHz, of which its bits per second are measured. It begins and ends with
/// a segment.
const MEASURED: std::ops::RangeInclusive<i64> = 90_000..=60 * 90_000;
/// Decode times of the source that are remembered: more than are on their way through a transcoder that is not late.
const MAX_SLOTS: usize = 1024;
/// How often a rung has a keyframe within a segment, in ticks of 90 kHz: at the first part that begins so long after the last one.
/// Who changes to it while their line becomes slow has to load from one, and no second to spare.
const KEY_EVERY: i64 = 90_000;
/// Changes of the distance between decode and presentation time that are remembered: as many as are on their way.
const MAX_OFFSETS: usize = 16;

/// What people should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The machine cannot keep up: this rung is not made for so long.
    Shed(&'static str, Duration),
    /// The encoder of this rung says no.
    Failed(&'static str, String),
    /// The source has pictures that cannot be decoded.
    Unreadable(u32),
    /// The transcoder answers nothing: it is to be killed.
    Stuck,
}

#[derive(Debug)]
struct Sent {
    pts: i64,
    at: Instant,
}

/// The transcoder as far as the ladder knows it.
#[derive(Debug)]
struct Running {
    /// Whether it was told what to decode with.
    configured: bool,
    /// Rungs it was asked for.
    asked: Vec<Rung>,
    /// Pictures that it has not answered for, in the order they were sent.
    sent: VecDeque<Sent>,
    /// When it said something last, or was started.
    heard: Instant,
    stuck: bool,
}

/// Presentation minus decode time of the pictures presented from here on.
#[derive(Debug, Clone, Copy)]
struct Offset {
    from: i64,
    offset: i64,
}

/// The rungs of one broadcast.
#[derive(Debug)]
pub struct Ladder {
    config: LadderConfig,
    source: Source,
    /// Renditions of the source, once it is open; rungs come after them.
    sources: usize,
    infos: Vec<RenditionInfo>,
    lanes: Vec<Lane>,
    child: Option<Running>,
    offsets: VecDeque<Offset>,
    /// Decode times of the source's newest pictures, in order.
    slots: VecDeque<i64>,
    /// Pictures since the running segment began, for a transcoder that starts: orders without `cut`.
    backlog: Vec<LadderOrder>,
    backlog_bytes: usize,
    /// Where the measured segment began, and the bytes of its pictures so far.
    measuring: Option<(i64, u64)>,
    /// The next picture is the first of a segment.
    cut: bool,
    /// Decode time of the newest picture of which the rungs were to have a keyframe.
    keyed: i64,
    /// The next picture needs another configuration.
    reconfigure: bool,
    /// What is in the source's next part.
    tapped: Option<Tapped>,
    shed_at: Option<Instant>,
    /// The end of the source waits until the rungs have theirs.
    ending: bool,
    ended: bool,
    /// The latest instant that was seen.
    now: Option<Instant>,
    outputs: VecDeque<Output>,
    orders: VecDeque<LadderOrder>,
    notices: VecDeque<Notice>,
}

impl Ladder {
    /// A ladder that has seen nothing yet.
    #[must_use]
    pub fn new(config: LadderConfig) -> Self {
        let mut rungs = config.rungs.clone();
        rungs.sort_by_key(|rung| std::cmp::Reverse(rung.height));
        let lanes = rungs.into_iter().zip(0..).map(|(rung, id)| Lane::new(rung, RungId(id))).collect();
        Self {
            config,
            source: Source::default(),
            sources: 0,
            infos: Vec::new(),
            lanes,
            child: None,
            offsets: VecDeque::new(),
            slots: VecDeque::new(),
            backlog: Vec::new(),
            backlog_bytes: 0,
            measuring: None,
            cut: false,
            keyed: i64::MIN,
            reconfigure: true,
            tapped: None,
            shed_at: None,
            ending: false,
            ended: false,
            now: None,
            outputs: VecDeque::new(),
            orders: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    /// Takes the packager's next output.
    pub fn handle_output(&mut self, now: Instant, output: Output) {
        self.now = self.now.max(Some(now));
        match output {
            Output::Opened(opened) => self.open(opened),
            Output::Renditions(infos) => {
                self.source.set_info(infos.first());
                self.infos = infos;
                self.plan();
                self.describe();
            }
            Output::Tapped(tapped) => self.handle_tapped(now, tapped),
            Output::SegmentStarted(started) => self.start_segment(now, started),
            Output::Part(part) => {
                if part.rendition == RenditionId(0) {
                    let tapped = self.tapped.take();
                    if let Some(Tapped::Part { span: (_, end), .. }) = tapped {
                        self.key_at(end);
                    }
                    if tapped.is_none() {
                        // Its segment began without a picture.
                        self.decide(now, None);
                    }
                    for lane in &mut self.lanes {
                        let step =
                            StepPart { part: part.clone(), tapped: tapped.clone(), at: now, last: false };
                        lane.steps.push_back(Step::Part(step));
                    }
                }
                self.outputs.push_back(Output::Part(part));
            }
            Output::SegmentEnded => {
                self.outputs.push_back(Output::SegmentEnded);
                self.lanes.iter_mut().for_each(|lane| lane.steps.push_back(Step::End));
            }
            Output::Ended => {
                self.decide(now, None);
                self.ending = true;
            }
            other @ (Output::RungStarted(_) | Output::RungEnded(_)) => self.outputs.push_back(other),
        }
        self.drain();
    }

    fn open(&mut self, opened: Opened) {
        self.sources = opened.renditions.len();
        self.source.set_info(opened.renditions.first());
        self.infos = opened.renditions;
        self.plan();
        let renditions = self.all_infos();
        let rungs = self.lanes.len();
        self.outputs.push_back(Output::Opened(Opened { renditions, rungs, ..opened }));
    }

    /// With how many bits each rung is made.
    fn plan(&mut self) {
        let bitrates = self.source.bitrates(self.lanes.iter().map(|lane| &lane.rung));
        for (lane, bitrate) in self.lanes.iter_mut().zip(bitrates) {
            lane.bitrate = bitrate;
        }
    }

    /// Measures how many bits the source has, from segment to segment.
    fn measure(&mut self, dts: i64) {
        if let Some((from, bytes)) = self.measuring {
            let ticks = dts.saturating_sub(from);
            if (0..*MEASURED.start()).contains(&ticks) {
                return;
            }
            if MEASURED.contains(&ticks) {
                let bits = bytes.saturating_mul(8 * 90_000) / ticks.unsigned_abs();
                if self.source.measure(u32::try_from(bits).unwrap_or(u32::MAX)) {
                    self.plan();
                    self.describe();
                }
            }
        }
        self.measuring = Some((dts, 0));
    }

    /// What the multivariant playlist says of the source and the rungs.
    fn all_infos(&self) -> Vec<RenditionInfo> {
        let offered = self.config.mode != LadderMode::Off;
        let rungs = self.lanes.iter().map(|lane| self.source.describe(lane, offered));
        self.infos.iter().cloned().chain(rungs).collect()
    }

    fn describe(&mut self) {
        if self.sources == 0 || self.ended {
            return;
        }
        let infos = self.all_infos();
        self.outputs.push_back(Output::Renditions(infos));
    }

    fn start_segment(&mut self, now: Instant, started: SegmentStarted) {
        // A segment without a picture between its start and the next: nobody decided yet.
        self.decide(now, None);
        if let Some(Some(init)) = started.init.first() {
            self.source.init = init.clone();
        }
        (self.backlog_bytes, self.cut) = (0, true);
        self.backlog.clear();
        for lane in &mut self.lanes {
            lane.steps.push_back(Step::Start {
                program_date_time: started.program_date_time,
                discontinuity: started.discontinuity,
                gap: started.gap,
                mode: if started.gap { Mode::Source } else { Mode::Undecided },
                init: self.source.init.clone(),
                independent: false,
                at: now,
            });
        }
        self.outputs.push_back(Output::SegmentStarted(started));
    }

    fn handle_tapped(&mut self, now: Instant, tapped: Tapped) {
        match tapped {
            Tapped::Announced { video_bits } => self.source.announce(video_bits),
            Tapped::Tracks { video, audio } => {
                self.source.set_tracks(video, audio);
                (self.reconfigure, self.measuring) = (true, None);
                self.plan();
                self.lanes.iter_mut().for_each(|lane| lane.failed = false);
                self.describe();
            }
            Tapped::Left => {
                self.measuring = None;
                self.lanes.iter_mut().for_each(Lane::leave);
                // What the decoder holds back comes out when it is configured anew.
                self.configure();
                self.reconfigure = true;
            }
            Tapped::Picture { dts, pts, sync, data } => self.picture(now, (dts, pts), sync, data),
            part @ Tapped::Part { .. } => {
                self.decide(now, None);
                self.tapped = Some(part);
            }
        }
    }

    fn picture(&mut self, now: Instant, (dts, pts): (i64, i64), sync: bool, data: Bytes) {
        if sync {
            self.offsets.push_back(Offset { from: pts, offset: pts.saturating_sub(dts) });
            if self.offsets.len() > MAX_OFFSETS {
                self.offsets.pop_front();
            }
        }
        if self.slots.len() == MAX_SLOTS {
            self.slots.pop_front();
        }
        self.slots.push_back(dts);
        if sync && self.reconfigure {
            self.reconfigure = false;
            if let Some(child) = &mut self.child {
                child.configured = false;
            }
            self.configure();
        }
        let cut = std::mem::take(&mut self.cut);
        if cut {
            self.keyed = dts;
            self.measure(dts);
            self.decide(now, Some((dts, sync)));
        }
        if let Some((_, bytes)) = &mut self.measuring {
            *bytes = bytes.saturating_add(data.len() as u64);
        }
        // Among pictures that are presented in another order the first to be decoded is not the first to be shown.
        let cut = cut && (sync || !self.order_key(dts, true));
        // Without a sync sample at its start a transcoder that starts now could not decode it, nor if it is too much.
        let fits = self.backlog_bytes.saturating_add(data.len()) <= MAX_BACKLOG_BYTES;
        if fits && (cut && sync || !self.backlog.is_empty()) {
            self.backlog_bytes += data.len();
            self.backlog.push(LadderOrder::Picture { pts, sync, cut: false, data: data.clone() });
        } else {
            self.backlog.clear();
        }
        if let Some(child) = self.child.as_mut().filter(|child| child.configured) {
            child.sent.push_back(Sent { pts, at: now });
            self.orders.push_back(LadderOrder::Picture { pts, sync, cut, data });
        }
    }

    /// A part of the source ends here.
    fn key_at(&mut self, end: i64) {
        if end.saturating_sub(self.keyed) < KEY_EVERY - lane::SAME {
            return;
        }
        self.keyed = end;
        self.order_key(end, false);
    }

    /// Has the rungs begin anew with the picture of theirs that is decoded at `at`, of which the source has not sent any that late: so
    /// the transcoder's decoder still holds it back, if it came. Answers whether there is a transcoder that makes any.
    fn order_key(&mut self, at: i64, cut: bool) -> bool {
        let works = self.child.as_ref().is_some_and(|child| child.configured);
        if let Some(Offset { offset, .. }) = self.offsets.back().filter(|_| works) {
            let pts = at.saturating_add(*offset).saturating_sub(lane::SAME);
            self.orders.push_back(LadderOrder::Key { pts, cut });
        }
        works && !self.offsets.is_empty()
    }

    /// Tells the transcoder what to decode with.
    fn configure(&mut self) {
        let (Some(child), Some(record)) = (&mut self.child, self.source.record()) else { return };
        child.configured = true;
        self.orders.push_back(LadderOrder::Configure(record));
    }

    /// The running segment has begun, with this picture (its decode time, and whether it is a sync sample) or with none:
    /// which rungs show pictures of their own in it.
    fn decide(&mut self, now: Instant, first: Option<(i64, bool)>) {
        let undecided = |lane: &Lane| {
            lane.steps.iter().any(|step| matches!(step, Step::Start { mode: Mode::Undecided, .. }))
        };
        if !self.lanes.iter().any(undecided) {
            return;
        }
        let child = self.child.as_ref().filter(|child| child.configured);
        // Without a picture there is nothing to make anything of.
        let ready = child.is_some() && first.is_some();
        let fresh = child.is_some_and(|child| child.age(now) < FRESH);
        let mut asked = Vec::new();
        for lane in &mut self.lanes {
            let rung = self.source.rung(lane, &self.config);
            let can = ready && (fresh || lane.is_made());
            let made = rung.filter(|_| can && lane.is_possible(now) && lane.is_wanted(now, &self.config));
            let from = first.map(|(dts, _)| dts).filter(|_| made.is_some());
            lane.decide(from, first.map(|(_, sync)| sync));
            asked.extend(made);
        }
        if let Some(child) = self.child.as_mut().filter(|child| ready && child.asked != asked) {
            child.asked.clone_from(&asked);
            self.orders.push_back(LadderOrder::Rungs(asked));
        }
    }

    /// Somebody asked for something of this rendition.
    pub fn handle_demand(&mut self, now: Instant, rendition: RenditionId) {
        let index = rendition.0.checked_sub(self.sources).filter(|_| self.sources > 0);
        if let Some(lane) = index.and_then(|index| self.lanes.get_mut(index)) {
            lane.asked_at = Some(now);
        }
    }

    /// Whether a transcoder should run: some rung is wanted and can be made, or nobody knows yet.
    #[must_use]
    pub fn wants_child(&self, now: Instant) -> bool {
        let known = self.sources > 0;
        let can =
            |lane: &Lane| self.source.record().is_some() && lane.bitrate.is_some() && lane.is_possible(now);
        self.lanes.iter().any(|lane| lane.is_wanted(now, &self.config) && (!known || can(lane)))
    }

    /// Whether a rung shows pictures of its own.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.lanes.iter().any(Lane::is_made)
    }

    /// The transcoder started. It is handed the running segment, so that it can decode what comes.
    pub fn handle_child_started(&mut self, now: Instant) {
        self.now = self.now.max(Some(now));
        let child =
            Running { configured: false, asked: Vec::new(), sent: VecDeque::new(), heard: now, stuck: false };
        self.child = Some(child);
        self.orders.clear();
        if self.backlog.is_empty() {
            // It begins with the next sync sample.
            self.reconfigure = true;
            return;
        }
        self.configure();
        if let Some(child) = self.child.as_mut().filter(|child| child.configured) {
            for order in &self.backlog {
                if let LadderOrder::Picture { pts, .. } = order {
                    child.sent.push_back(Sent { pts: *pts, at: now });
                }
                self.orders.push_back(order.clone());
            }
        }
    }

    /// The transcoder died, or was killed because it hung: the machine was not what was too slow.
    pub fn handle_child_died(&mut self, now: Instant) {
        self.lanes.iter_mut().for_each(|lane| lane.forgive(now));
        self.handle_child_stopped(now);
    }

    /// The transcoder was stopped because no rung is made.
    pub fn handle_child_stopped(&mut self, now: Instant) {
        self.now = self.now.max(Some(now));
        self.child = None;
        self.orders.clear();
        self.drain();
        for index in 0..self.lanes.len() {
            self.give_up(index);
            self.lanes[index].forget_transcoder();
        }
        self.drain();
        self.describe();
    }

    /// Takes what the transcoder says.
    pub fn handle_report(&mut self, now: Instant, report: LadderReport) {
        self.now = self.now.max(Some(now));
        let Some(child) = &mut self.child else { return };
        (child.heard, child.stuck) = (now, false);
        match report {
            LadderReport::Opened { rung, record } => {
                let opened = self.lane(rung).map(|lane| lane.open(&record));
                match opened {
                    Some(Ok(())) => self.describe(),
                    Some(Err(reason)) => self.fail(rung, reason),
                    None => {}
                }
            }
            LadderReport::Picture { rung, pts, sync, data } => {
                let dts = self.decode_time(pts);
                if let Some(lane) = self.lane(rung) {
                    lane.push(dts, pts, sync, data);
                }
            }
            LadderReport::Done { pts } => {
                // Pictures come out in another order than they go in, and one answer may be for several.
                child.sent.retain(|sent| sent.pts > pts);
                let dts = self.decode_time(pts);
                self.lanes.iter_mut().for_each(|lane| lane.done = lane.done.max(dts));
            }
            LadderReport::Unreadable { count } => {
                // Who knows which: those that are older than what a decoder may hold back.
                let gone = child.sent.len().saturating_sub(REORDERED);
                child.sent.drain(..gone);
                self.notices.push_back(Notice::Unreadable(count));
            }
            LadderReport::Failed { rung, reason } => self.fail(rung, reason),
        }
        self.drain();
    }

    fn lane(&mut self, rung: RungId) -> Option<&mut Lane> {
        self.lanes.get_mut(usize::from(rung.0))
    }

    fn fail(&mut self, rung: RungId, reason: String) {
        let index = usize::from(rung.0);
        let Some(lane) = self.lanes.get_mut(index) else { return };
        lane.failed = true;
        self.notices.push_back(Notice::Failed(lane.name(), reason));
        self.give_up(index);
        self.describe();
    }

    /// Where on the line a picture is decoded that is presented at `pts`: the source's picture in its place is. A rung has
    /// no picture that waits for a later one, so all of them come as much before their presentation as the source's sync
    /// sample does.
    fn decode_time(&self, pts: i64) -> i64 {
        let of = self.offsets.iter().rev().find(|offset| offset.from <= pts).or(self.offsets.front());
        let at = pts.saturating_sub(of.map_or(0, |of| of.offset));
        // Both were rounded; a player that changes rungs should find the very same times.
        let next = self.slots.partition_point(|slot| *slot < at - lane::SAME);
        self.slots.get(next).copied().filter(|slot| *slot <= at + lane::SAME).unwrap_or(at)
    }

    /// Goes on without pictures of its own that have not come.
    fn give_up(&mut self, index: usize) {
        let Some(lane) = self.lanes.get_mut(index) else { return };
        lane.give_up();
        let rung = lane.id;
        if let Some(child) = &mut self.child {
            let before = child.asked.len();
            child.asked.retain(|asked| asked.id != rung);
            if child.asked.len() != before {
                self.orders.push_back(LadderOrder::Stop(rung));
            }
        }
    }

    /// The machine cannot keep up: the most expensive rung that is made is made no more for a while.
    fn shed(&mut self, now: Instant) {
        self.shed_at = Some(now);
        let costliest = self.lanes.iter().position(|lane| lane.is_made());
        let Some(index) = costliest else { return };
        if let Some(lane) = self.lanes.get_mut(index) {
            let pause = lane.shed(now);
            self.notices.push_back(Notice::Shed(lane.name(), pause));
        }
        self.give_up(index);
        self.describe();
    }

    /// Makes this many fewer rungs, the most expensive first: the machine needs its processors for something else.
    pub fn handle_overload(&mut self, now: Instant) {
        self.now = self.now.max(Some(now));
        self.shed(now);
        self.drain();
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(Some(now));
        let age = self.child.as_ref().map_or(Duration::ZERO, |child| child.age(now));
        let late = self.lanes.iter().any(|lane| lane.due(PATIENCE).is_some_and(|due| due <= now));
        let again = self.shed_at.is_none_or(|at| now.saturating_duration_since(at) >= BETWEEN_SHEDS);
        let silence = self.child.as_ref().map_or(Duration::ZERO, |child| child.silence(now));
        if (late || age >= BEHIND) && silence < FRESH && again {
            self.shed(now);
        }
        if self.lanes.iter_mut().map(|lane| lane.pause_over(now)).fold(false, |any, over| any | over) {
            self.describe();
        }
        for index in 0..self.lanes.len() {
            if self.lanes[index].due(PATIENCE).is_some_and(|due| due <= now) {
                self.give_up(index);
            }
        }
        if let Some(child) = self.child.as_mut().filter(|child| silence >= STUCK && !child.stuck) {
            child.stuck = true;
            self.notices.push_back(Notice::Stuck);
        }
        self.drain();
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let late = self.lanes.iter().filter_map(|lane| lane.due(PATIENCE)).min();
        let behind = self.child.as_ref().and_then(|child| {
            let oldest = child.oldest()?;
            let again = self.shed_at.map_or(oldest + BEHIND, |at| (at + BETWEEN_SHEDS).max(oldest + BEHIND));
            let made = self.lanes.iter().any(Lane::is_made);
            let stuck = (!child.stuck).then(|| child.heard.max(oldest) + STUCK);
            // One that says nothing is not slow: it will say something, or it is stuck.
            let speaks = self.now.map_or(again, |now| now.max(again)) < child.heard.max(oldest) + FRESH;
            Some(again).filter(|_| made && speaks).into_iter().chain(stuck).min()
        });
        let pauses = self.lanes.iter().filter_map(|lane| lane.shed_until).min();
        late.into_iter().chain(behind).chain(pauses).min()
    }

    fn drain(&mut self) {
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let rendition = RenditionId(self.sources + index);
            lane.drain(rendition, &self.source, &mut self.outputs);
        }
        if self.ending && self.lanes.iter().all(|lane| lane.steps.is_empty()) {
            (self.ending, self.ended) = (false, true);
            self.outputs.push_back(Output::Ended);
        }
    }

    /// The next output for the window.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next order for the transcoder. None of them may be lost: if one cannot be delivered, the transcoder is to be ended.
    pub fn poll_order(&mut self) -> Option<LadderOrder> {
        self.orders.pop_front()
    }

    /// The next notice.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }
}

impl Running {
    /// When the oldest picture was sent that should have been answered for.
    fn oldest(&self) -> Option<Instant> {
        self.sent.front().filter(|_| self.sent.len() > REORDERED).map(|sent| sent.at)
    }

    /// For how long it has said nothing that it should have said.
    fn silence(&self, now: Instant) -> Duration {
        self.oldest().map_or(Duration::ZERO, |at| now.saturating_duration_since(at.max(self.heard)))
    }

    /// How old it is.
    fn age(&self, now: Instant) -> Duration {
        self.oldest().map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }
}

/// A part of the source as a rung shows it.
fn shared(part: &Part, rendition: RenditionId) -> Output {
    let shared = !part.body.is_empty();
    Output::Part(Part { rendition, arrived: None, shared, ..part.clone() })
}
