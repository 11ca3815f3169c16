//! The window: what of a broadcast is still served, under which names and numbers. Sans-IO.
//!
//! [`Window`] takes the media side's outputs and assigns media sequence numbers (msn), part numbers and names. It
//! hands out [`Snapshot`]s: immutable views of one rendition that cost a few pointers, in which a request finds its
//! answer. Nobody who reads a snapshot can hold up the packager.
//!
//! ```text
//!            retained                          open
//! ├───────────────┬───────────────────────┬──────────┤
//!  fetchable only   listed: segments,      listed:     ← hinted: the next part
//!                   parts near the end     parts
//! ```
//!
//! Names, relative to `/live/{channel}/{rendition}/`: init segments `{prefix}-i{n}.mp4`, parts `{prefix}-p{n}.m4s`,
//! segments `{prefix}-s{msn}.m4s`. The prefix is random per broadcast, so a cache never holds a wrong body; `n` of a
//! part runs on over segments, so the hinted name is the next part's name even if its segment ends early.
//!
//! | Rule | Clause of RFC 8216bis-22 |
//! |---|---|
//! | a removed segment stays available | §6.2.2 |
//! | part tags go after three target durations, parts stay three more | §6.2.2 |
//! | blocking requests | §6.2.5.2 |
//! | hinted parts | §6.2.6 |

mod rate;
mod segment;
mod snapshot;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::model::{Opened, Output, Part, RenditionId, RenditionInfo, RungStarted, SegmentStarted};
pub use rate::Rate;
use rate::RateMeter;
pub use segment::{Init, Segment, SegmentPart};
pub use snapshot::{BadDirective, Cache, Form, Found, Report, Request, Snapshot};

/// Gap segments of one target duration each that stand before a broadcast's first segment.
///
/// Without a complete segment hls.js calls the playlist empty (`levelEmptyError`) and iOS waits for three target
/// durations of media (HOLD-BACK); with these three, both start at the first part. The last of them lists its parts,
/// all gaps: while every listed part belongs to the open segment, hls.js 1.7 loads none of them, and the picture would
/// wait for the first segment's end.
pub const LEADING_GAPS: u64 = 3;

/// How long a segment stays fetchable after later segments of this many windows and target durations.
///
/// RFC 8216bis §6.2.2: a removed segment stays for its own duration and that of the longest playlist that listed it
/// (a window, the segment whose removal was due, and the open segment).
const RETAIN_WINDOWS: u32 = 2;
const RETAIN_TARGET_DURATIONS: u32 = 3;

/// A broadcast's discontinuity sequence starts below this, at a number that follows from its first msn.
///
/// Players keep one timestamp offset per discontinuity sequence, and a player that goes on over a restart of the
/// server must not use the last broadcast's for the next one: so the numbers of two broadcasts differ. They are small
/// because hls.js 1.7 walks an array from zero to the number on every reload.
const FIRST_DISCONTINUITIES: u64 = 1024;

/// Bounds of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowConfig {
    /// Media that stays listed, or `None` for eight target durations. Raised to four target durations.
    pub window: Option<Duration>,
    /// Most bytes of bodies kept, all renditions together. Beyond it the oldest segments go.
    pub memory_cap_bytes: u64,
}

/// What the caller chooses for a broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowStart {
    /// Random, `[a-z0-9]+`, different for each broadcast.
    pub prefix: Arc<str>,
    /// Media sequence number of the first entry: see [`first_msn`].
    pub first_msn: u64,
}

/// The media sequence number that a broadcast's list begins with, so that numbers never go back over restarts and
/// from one node to another: the first segment with media has the Unix time in seconds, and the [`LEADING_GAPS`]
/// stand before it; but no number is at or below those that this process gave the channel.
#[must_use]
pub fn first_msn(unix_seconds: u64, next_msn: u64) -> u64 {
    unix_seconds.saturating_sub(LEADING_GAPS).max(next_msn)
}

/// An output that cannot follow the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Something came before `Opened`.
    #[error("an output came before the renditions were opened")]
    NotOpened,
    /// `Opened` came twice.
    #[error("the renditions were opened twice")]
    OpenedTwice,
    /// A part came outside of a segment.
    #[error("a part came outside of a segment")]
    NoSegment,
    /// A rendition that was not opened.
    #[error("rendition {index} was not opened, there are {count}")]
    UnknownRendition {
        /// What was named.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// Something came after `Ended`.
    #[error("an output came after the end of the broadcast")]
    Ended,
}

/// The numbers, names and bytes of one broadcast.
#[derive(Debug)]
pub struct Window {
    config: WindowConfig,
    prefix: Arc<str>,
    next_msn: u64,
    first_discontinuity: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Open(Broadcast),
    Ended(Broadcast),
}

#[derive(Debug)]
struct Broadcast {
    target_duration: u32,
    renditions: Vec<Rendition>,
    /// The rungs are those from here on.
    rungs_from: usize,
    /// Number of the first entry of every list.
    first_msn: u64,
    /// Bodies of everything retained and open, in bytes.
    bytes: u64,
}

#[derive(Debug)]
struct Rendition {
    info: RenditionInfo,
    retained: VecDeque<Arc<Segment>>,
    /// Index in `retained` of the first listed segment.
    listed_from: usize,
    open: Option<Arc<Segment>>,
    /// `EXT-X-DISCONTINUITY` tags that have left the list.
    discontinuities_removed: u64,
    next_part: u64,
    /// Whether the media side published a part; leading gaps are ours.
    playable: bool,
    inits: u64,
    init: Option<Arc<Init>>,
    rate: RateMeter,
    version: u64,
}

impl Window {
    /// A window that waits for `Opened`.
    #[must_use]
    pub fn new(config: WindowConfig, start: WindowStart) -> Self {
        Self {
            config,
            prefix: start.prefix,
            next_msn: start.first_msn,
            first_discontinuity: start.first_msn % FIRST_DISCONTINUITIES,
            state: State::Waiting,
        }
    }

    /// Takes the media side's next output.
    ///
    /// # Errors
    /// [`WindowError`] when it cannot follow the ones before; the window is unchanged.
    pub fn apply(&mut self, output: Output) -> Result<(), WindowError> {
        match (&mut self.state, output) {
            (State::Ended(_), _) => return Err(WindowError::Ended),
            (State::Waiting, Output::Opened(opened)) => self.state = State::Open(Broadcast::new(opened)),
            // Nothing was ever published.
            (State::Waiting, Output::Ended) => {}
            (State::Waiting, _) => return Err(WindowError::NotOpened),
            (State::Open(_), Output::Opened(_)) => return Err(WindowError::OpenedTwice),
            (State::Open(broadcast), Output::SegmentStarted(started)) => {
                broadcast.end_segment(&self.config);
                if broadcast.is_empty() {
                    broadcast.lead_in(&started, self.next_msn);
                    self.next_msn = self.next_msn.saturating_add(LEADING_GAPS);
                }
                broadcast.start_segment(&started, self.next_msn);
                self.next_msn = self.next_msn.saturating_add(1);
            }
            (State::Open(broadcast), Output::Part(part)) => broadcast.push(part, &self.config)?,
            (State::Open(broadcast), Output::SegmentEnded) => broadcast.end_segment(&self.config),
            (State::Open(broadcast), Output::RungStarted(started)) => {
                broadcast.start_rung(&started, &self.config)?;
            }
            (State::Open(broadcast), Output::RungEnded(rung)) => broadcast.end_rung(rung, &self.config)?,
            (State::Open(_), Output::Tapped(_)) => {}
            (State::Open(broadcast), Output::Renditions(infos)) => broadcast.describe(infos),
            (State::Open(broadcast), Output::Ended) => {
                broadcast.end_segment(&self.config);
                broadcast.end_rungs(&self.config);
                for rendition in &mut broadcast.renditions {
                    rendition.version += 1;
                }
                if let State::Open(broadcast) = std::mem::replace(&mut self.state, State::Waiting) {
                    self.state = State::Ended(broadcast);
                }
            }
        }
        Ok(())
    }

    /// The number the next segment gets: greater than every number used so far.
    #[must_use]
    pub fn next_msn(&self) -> u64 {
        self.next_msn
    }

    /// Bytes of bodies kept.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.broadcast().map_or(0, |broadcast| broadcast.bytes)
    }

    /// `EXT-X-TARGETDURATION` in seconds, once opened.
    #[must_use]
    pub fn target_duration(&self) -> Option<u32> {
        self.broadcast().map(|broadcast| broadcast.target_duration)
    }

    /// What the multivariant playlist says of each rendition, in its order, with measured bit rates.
    pub fn renditions(&self) -> impl Iterator<Item = (&RenditionInfo, Rate)> {
        self.broadcast().into_iter().flat_map(|broadcast| {
            broadcast
                .renditions
                .iter()
                .map(|rendition| (&rendition.info, rendition.rate.rate(rendition.open())))
        })
    }

    /// Whether every listed segment of every rendition starts with an independent part.
    #[must_use]
    pub fn independent_segments(&self) -> bool {
        self.broadcast().is_some_and(|b| b.renditions.iter().all(|r| r.listed().all(|s| s.decodes_alone())))
    }

    /// Changes with whatever a snapshot of this rendition shows.
    #[must_use]
    pub fn version(&self, rendition: RenditionId) -> Option<u64> {
        self.broadcast()?.renditions.get(rendition.0).map(|rendition| rendition.version)
    }

    /// The rendition as it stands.
    #[must_use]
    pub fn snapshot(&self, rendition: RenditionId) -> Option<Snapshot> {
        let broadcast = self.broadcast()?;
        let this = broadcast.renditions.get(rendition.0)?;
        let reports = broadcast.renditions.iter().enumerate().filter(|(index, _)| *index != rendition.0);
        let reports = reports.filter_map(|(_, other)| other.report());
        Some(Snapshot {
            prefix: Arc::clone(&self.prefix),
            version: this.version,
            target_duration: broadcast.target_duration,
            part_target: this.info.part_target,
            longest_part_target: broadcast
                .renditions
                .iter()
                .map(|r| r.info.part_target)
                .max()
                .unwrap_or_default(),
            segments: this.retained.iter().cloned().collect(),
            listed_from: this.listed_from,
            open: this.open.clone(),
            discontinuity_sequence: self.first_discontinuity.saturating_add(this.discontinuities_removed),
            next_part: this.next_part,
            playable: this.playable,
            reports: reports.collect(),
            ended: matches!(self.state, State::Ended(_)),
            stopping: false,
        })
    }

    fn broadcast(&self) -> Option<&Broadcast> {
        match &self.state {
            State::Waiting => None,
            State::Open(broadcast) | State::Ended(broadcast) => Some(broadcast),
        }
    }
}

impl Broadcast {
    fn new(opened: Opened) -> Self {
        let target_duration = opened.target_duration.max(1);
        let renditions = opened.renditions.into_iter().map(|info| Rendition {
            info,
            retained: VecDeque::new(),
            listed_from: 0,
            open: None,
            discontinuities_removed: 0,
            next_part: 0,
            playable: false,
            inits: 0,
            init: None,
            rate: RateMeter::new(target_duration),
            version: 0,
        });
        let renditions: Vec<_> = renditions.collect();
        let rungs_from = renditions.len().saturating_sub(opened.rungs);
        Self { target_duration, renditions, rungs_from, first_msn: 0, bytes: 0 }
    }

    fn is_empty(&self) -> bool {
        self.renditions.iter().all(|rendition| rendition.retained.is_empty())
    }

    /// Lists [`LEADING_GAPS`] segments before the first one.
    fn lead_in(&mut self, first: &SegmentStarted, first_msn: u64) {
        self.first_msn = first_msn;
        let duration = Duration::from_secs(u64::from(self.target_duration));
        for (index, rendition) in self.renditions[..self.rungs_from].iter_mut().enumerate() {
            rendition.take_init(first.init.get(index).cloned().flatten());
            rendition.lead_in(first.program_date_time, first_msn, duration);
        }
    }

    /// The rung with this id.
    fn rung(&mut self, id: RenditionId) -> Result<&mut Rendition, WindowError> {
        let (index, count) = (id.0, self.renditions.len());
        let rung = self.renditions.get_mut(index).filter(|_| index >= self.rungs_from);
        rung.ok_or(WindowError::UnknownRendition { index, count })
    }

    fn start_rung(&mut self, started: &RungStarted, config: &WindowConfig) -> Result<(), WindowError> {
        self.end_rung(started.rendition, config)?;
        let (first_msn, duration) = (self.first_msn, Duration::from_secs(u64::from(self.target_duration)));
        let rung = self.rung(started.rendition)?;
        rung.take_init(started.init.clone());
        if rung.retained.is_empty() {
            rung.lead_in(started.program_date_time, first_msn, duration);
        }
        let msn = rung.retained.back().map_or(first_msn, |last| last.msn.saturating_add(1));
        rung.start_segment(msn, started.program_date_time, started.discontinuity, started.gap);
        Ok(())
    }

    fn end_rung(&mut self, id: RenditionId, config: &WindowConfig) -> Result<(), WindowError> {
        let window = self.listed_span(config);
        self.rung(id)?.end_segment(window);
        self.drop_what_is_old(window);
        Ok(())
    }

    fn end_rungs(&mut self, config: &WindowConfig) {
        let window = self.listed_span(config);
        self.renditions[self.rungs_from..].iter_mut().for_each(|rung| rung.end_segment(window));
    }

    fn start_segment(&mut self, started: &SegmentStarted, msn: u64) {
        let first = started.init.clone();
        let sources = &mut self.renditions[..self.rungs_from];
        for (rendition, init) in sources.iter_mut().zip(first.into_iter().chain(std::iter::repeat(None))) {
            rendition.take_init(init);
            rendition.start_segment(msn, started.program_date_time, started.discontinuity, started.gap);
        }
    }

    fn push(&mut self, part: Part, config: &WindowConfig) -> Result<(), WindowError> {
        let count = self.renditions.len();
        let index = part.rendition.0;
        let rendition =
            self.renditions.get_mut(index).ok_or(WindowError::UnknownRendition { index, count })?;
        let open = rendition.open.as_mut().ok_or(WindowError::NoSegment)?;
        let bytes = if part.shared { 0 } else { part.body.len() as u64 };
        Arc::make_mut(open).push(SegmentPart {
            duration: part.duration,
            independent: part.independent,
            body: if part.body.is_empty() { None } else { Some(part.body) },
            arrived: part.arrived,
            shared: part.shared,
        });
        rendition.next_part += 1;
        rendition.playable = true;
        rendition.version += 1;
        self.bytes += bytes;
        self.keep_under(config.memory_cap_bytes);
        Ok(())
    }

    fn end_segment(&mut self, config: &WindowConfig) {
        let window = self.listed_span(config);
        self.renditions[..self.rungs_from].iter_mut().for_each(|rendition| rendition.end_segment(window));
        self.drop_what_is_old(window);
    }

    /// How much media a list has.
    fn listed_span(&self, config: &WindowConfig) -> Duration {
        let target = Duration::from_secs(u64::from(self.target_duration));
        config.window.unwrap_or(target * 8).max(target * 4)
    }

    fn drop_what_is_old(&mut self, window: Duration) {
        let target = Duration::from_secs(u64::from(self.target_duration));
        let retention = window * RETAIN_WINDOWS + target * RETAIN_TARGET_DURATIONS;
        while self.renditions.iter().any(|rendition| rendition.first_is_older_than(retention)) {
            self.drop_oldest();
        }
    }

    fn describe(&mut self, infos: Vec<RenditionInfo>) {
        for (rendition, info) in self.renditions.iter_mut().zip(infos) {
            // Its name and part target are in playlists that players hold: they stay.
            rendition.info =
                RenditionInfo { name: rendition.info.name, part_target: rendition.info.part_target, ..info };
        }
    }

    /// Drops oldest segments, then oldest parts of the open one, until the bodies fit.
    fn keep_under(&mut self, cap: u64) {
        while self.bytes > cap {
            if self.renditions.iter().any(|rendition| rendition.retained.len() > 1) {
                self.drop_oldest();
            } else if !self.drop_oldest_body() {
                return;
            }
        }
    }

    /// Drops the oldest complete segment of each rendition that has more than one: a playlist keeps a segment.
    fn drop_oldest(&mut self) {
        for rendition in &mut self.renditions {
            if rendition.retained.len() > 1
                && let Some(segment) = rendition.retained.pop_front()
            {
                self.bytes = self.bytes.saturating_sub(segment.own_bytes());
                if rendition.listed_from == 0 {
                    rendition.discontinuities_removed += u64::from(segment.discontinuity);
                    rendition.version += 1;
                } else {
                    rendition.listed_from -= 1;
                }
            }
        }
    }

    /// Makes the oldest part that has a body a gap. Whether there was one.
    fn drop_oldest_body(&mut self) -> bool {
        for rendition in &mut self.renditions {
            for segment in rendition.retained.iter_mut().chain(rendition.open.as_mut()) {
                let Some(index) = segment.parts.iter().position(|part| part.body.is_some()) else { continue };
                let dropped = Arc::make_mut(segment).drop_body(index);
                self.bytes = self.bytes.saturating_sub(dropped);
                rendition.version += 1;
                return true;
            }
        }
        false
    }
}

impl Rendition {
    fn take_init(&mut self, init: Option<Bytes>) {
        let Some(body) = init else { return };
        if self.init.as_ref().is_some_and(|now| now.body == body) {
            return;
        }
        self.inits += 1;
        self.init = Some(Arc::new(Init { number: self.inits, body }));
    }

    /// Lists [`LEADING_GAPS`] segments before the first one. The init segment belongs to that, but the tag stands before
    /// everything: a player that reads fMP4 from the first line on does not take the gaps for MPEG-2 transport streams.
    fn lead_in(&mut self, first: Timestamp, first_msn: u64, duration: Duration) {
        for gap in 0..LEADING_GAPS {
            let before = duration * u32::try_from(LEADING_GAPS - gap).unwrap_or(u32::MAX);
            let start = first.checked_sub(before).unwrap_or(first);
            let mut segment = Segment::new(first_msn.saturating_add(gap), start, self.next_part);
            segment.gap = true;
            segment.init.clone_from(&self.init);
            if gap + 1 == LEADING_GAPS {
                segment.fill_with_gaps(duration, self.info.part_target);
                self.next_part += segment.parts.len() as u64;
            }
            segment.duration = duration;
            self.retained.push_back(Arc::new(segment));
        }
    }

    fn start_segment(&mut self, msn: u64, program_date_time: Timestamp, discontinuity: bool, gap: bool) {
        let mut segment = Segment::new(msn, program_date_time, self.next_part);
        (segment.discontinuity, segment.gap) = (discontinuity, gap);
        segment.init.clone_from(&self.init);
        self.open = Some(Arc::new(segment));
    }

    /// Ends the running segment, if there is one, and takes off the list what is older than `window`.
    fn end_segment(&mut self, window: Duration) {
        let Some(segment) = self.open.take() else { return };
        self.rate.segment(&segment);
        self.retained.push_back(segment);
        self.version += 1;
        self.unlist(window);
    }

    fn open(&self) -> Option<&Segment> {
        self.open.as_deref()
    }

    fn listed(&self) -> impl Iterator<Item = &Segment> {
        let open = self.open().filter(|segment| !segment.parts.is_empty());
        self.retained.iter().skip(self.listed_from).map(Arc::as_ref).chain(open)
    }

    /// Takes segments off the list while what stays is at least `window` long.
    fn unlist(&mut self, window: Duration) {
        let mut listed: Duration = self.retained.iter().skip(self.listed_from).map(|s| s.duration).sum();
        while let Some(first) = self.retained.get(self.listed_from)
            && listed.saturating_sub(first.duration) >= window
        {
            listed = listed.saturating_sub(first.duration);
            self.discontinuities_removed += u64::from(first.discontinuity);
            self.listed_from += 1;
        }
    }

    fn first_is_older_than(&self, age: Duration) -> bool {
        self.listed_from > 0
            && self.retained.iter().skip(1).map(|segment| segment.duration).sum::<Duration>() >= age
    }

    /// What the other renditions' playlists say of this one (RFC 8216bis §4.4.5.4).
    fn report(&self) -> Option<Report> {
        let last = self.listed().last()?;
        let last_part = (last.parts.len() as u64).checked_sub(1);
        Some(Report { rendition: self.info.name, last_msn: last.msn, last_part })
    }
}
