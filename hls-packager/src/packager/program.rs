//! The program: the line that all renditions of a broadcast share, its segments and its gaps. It outlives
//! publishers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::lane::Lane;
use super::wall::WallLine;
use crate::model::{Output, RenditionId, SegmentStarted};
use crate::segmenter::{PartBounds, SegmentBounds};
use crate::timeline::{span, ticks};

/// Where the line begins: ten seconds, so that no decode or presentation time is ever negative.
const LINE_START: i64 = 900_000;
/// Most gap parts time that is made up for in one go, after a process was suspended.
const MAX_LATE: Duration = Duration::from_secs(60);

/// How far a rendition may be behind at a segment's end because its media is late: it catches up.
const TOLERATED_LAG: i64 = 90_000;

/// The running segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Its start on the line.
    pub(super) start: i64,
    /// Whether it begins with a sync sample.
    pub(super) independent: bool,
    gap: bool,
}

/// The publisher is away since then, and the line was there.
#[derive(Debug, Clone, Copy)]
struct Away {
    since: Instant,
    at: i64,
}

/// Renditions, segments and gaps on one line.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) main: Lane,
    /// The audio-only rendition beside the muxed one.
    pub(super) audio: Option<Lane>,
    pub(super) segments: SegmentBounds,
    segment: Option<Segment>,
    wall: WallLine,
    away: Option<Away>,
    /// Whether media was published: what follows an interruption is a discontinuity.
    pub(super) begun: bool,
    /// The init segment each rendition has now.
    inits: Vec<Bytes>,
}

impl Program {
    pub(super) fn new(
        main: PartBounds,
        audio: Option<PartBounds>,
        target_duration: u32,
        wall: WallLine,
    ) -> Self {
        let lane = |rendition, bounds| Lane::new(RenditionId(rendition), bounds, LINE_START);
        Self {
            main: lane(0, main),
            audio: audio.map(|bounds| lane(1, bounds)),
            segments: SegmentBounds::new(target_duration),
            segment: None,
            wall,
            away: None,
            begun: false,
            inits: vec![Bytes::new(); 1 + usize::from(audio.is_some())],
        }
    }

    /// The running segment, if it has media.
    pub(super) fn segment(&self) -> Option<Segment> {
        self.segment.filter(|segment| !segment.gap)
    }

    /// Where the line is: where the next segment would begin.
    pub(super) fn end(&self) -> i64 {
        self.main.at
    }

    /// Begins a segment with media at the line's end. `inits` are the init segments from now on; with a
    /// discontinuity, those that differ are announced.
    pub(super) fn start_segment(
        &mut self,
        seen: Option<Instant>,
        independent: bool,
        discontinuity: Option<Vec<Option<Bytes>>>,
        out: &mut VecDeque<Output>,
    ) {
        self.end_segment(out);
        self.away = None;
        let anew = discontinuity.is_some();
        let mut init = vec![None; self.inits.len()];
        for ((announced, known), new) in
            init.iter_mut().zip(&mut self.inits).zip(discontinuity.into_iter().flatten())
        {
            if let Some(new) = new.filter(|new| new != known) {
                known.clone_from(&new);
                *announced = Some(new);
            }
        }
        let program_date_time = self.wall.date(self.main.at, seen, anew);
        let discontinuity = anew && self.begun;
        self.begin(Segment { start: self.main.at, independent, gap: false });
        self.begun = true;
        out.push_back(Output::SegmentStarted(SegmentStarted {
            program_date_time,
            discontinuity,
            gap: false,
            init,
        }));
    }

    fn begin(&mut self, segment: Segment) {
        self.main.start_segment();
        if let Some(audio) = &mut self.audio {
            audio.start_segment();
        }
        self.segment = Some(segment);
    }

    /// Ends the running segment, if there is one: every rendition has at least one part in it and reaches about as
    /// far as the others.
    pub(super) fn end_segment(&mut self, out: &mut VecDeque<Output>) {
        let Some(segment) = self.segment.take() else { return };
        if self.main.parts == 0 {
            self.main.gap(self.main.at + 90, out);
        }
        if let Some(audio) = &mut self.audio
            && (segment.gap || audio.parts == 0 || audio.at + TOLERATED_LAG < self.main.at)
        {
            let least = if audio.parts == 0 { audio.at + 90 } else { audio.at };
            audio.gap(self.main.at.min(audio.latest_segment_end(self.segments)).max(least), out);
        }
        out.push_back(Output::SegmentEnded);
    }

    /// No media comes any more, since `since`: gaps are appended in real time from there on.
    pub(super) fn leave(&mut self, since: Instant, out: &mut VecDeque<Output>) {
        self.end_segment(out);
        self.away.get_or_insert(Away { since, at: self.main.at });
    }

    /// When the next gap part is due.
    pub(super) fn gap_due(&self) -> Option<Instant> {
        let away = self.away.filter(|_| self.begun)?;
        away.since.checked_add(span(away.at, self.main.latest()))
    }

    /// Appends the gap parts that are due.
    pub(super) fn append_gaps(&mut self, now: Instant, out: &mut VecDeque<Output>) {
        let Some(away) = self.away.as_mut().filter(|_| self.begun) else { return };
        let late = now.saturating_duration_since(away.since).saturating_sub(span(away.at, self.main.at));
        if late > MAX_LATE {
            away.since += late - MAX_LATE;
        }
        let wall = away.at.saturating_add(ticks(now.saturating_duration_since(away.since)));
        while self.main.latest() <= wall {
            let part = self.main.bounds.longest();
            if self.segment.is_some_and(|segment| self.main.at + part > segment.start + self.segments.gap()) {
                self.end_segment(out);
            }
            if self.segment.is_none() {
                let program_date_time = self.wall.date(self.main.at, None, false);
                self.begin(Segment { start: self.main.at, independent: false, gap: true });
                let init = vec![None; self.inits.len()];
                let started = SegmentStarted { program_date_time, discontinuity: false, gap: true, init };
                out.push_back(Output::SegmentStarted(started));
            }
            self.main.gap(self.main.latest(), out);
            if let Some(audio) = &mut self.audio {
                while audio.latest() <= self.main.at && audio.has_room(self.segments) {
                    audio.gap(audio.latest(), out);
                }
            }
        }
    }
}
