//! One rendition at one moment, and which answer a request finds in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::segment::{Init, Segment};
use crate::playlist::Directives;

/// `EXT-X-RENDITION-REPORT` of another rendition (RFC 8216bis §4.4.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Its name.
    pub rendition: &'static str,
    /// `LAST-MSN`: the last segment it lists, complete or not.
    pub last_msn: u64,
    /// `LAST-PART`: that segment's last part, if it has any. A leading gap has none.
    pub last_part: Option<u64>,
}

/// What a request asks of a rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The media playlist.
    Playlist(Directives),
    /// Init segment by number.
    Init(u64),
    /// Part by its running number.
    Part(u64),
    /// Segment by media sequence number.
    Segment(u64),
}

/// Full playlist or delta update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Everything that is listed.
    Full,
    /// With `EXT-X-SKIP` (RFC 8216bis §6.2.5.1).
    Delta,
}

/// How long an answer stays true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// It contains what was asked for, now and for ever.
    Satisfied,
    /// It is the newest there is; a moment later there is a newer one.
    Newest,
}

/// Why a request is refused (RFC 8216bis §6.2.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDirective {
    /// A part of which segment?
    #[error("_HLS_part needs _HLS_msn beside it")]
    PartWithoutMsn,
    /// More than two segments after the last one.
    #[error("_HLS_msn is {msn}, the last segment is {last}; ask for {last} + 2 at most")]
    MsnTooFar {
        /// What was asked for.
        msn: u64,
        /// The last complete segment.
        last: u64,
    },
    /// More parts ahead than the Advance Part Limit.
    #[error("_HLS_part is {ahead} parts after the last one; ask for {limit} at most")]
    PartTooFar {
        /// Distance from the last part, at least.
        ahead: u64,
        /// The Advance Part Limit.
        limit: u64,
    },
}

impl BadDirective {
    /// The parameter it is about.
    #[must_use]
    pub fn parameter(self) -> &'static str {
        match self {
            Self::MsnTooFar { .. } => "_HLS_msn",
            Self::PartWithoutMsn | Self::PartTooFar { .. } => "_HLS_part",
        }
    }
}

/// What a request finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The playlist is to be rendered in this form.
    Playlist {
        /// Full or delta.
        form: Form,
        /// For `Cache-Control`.
        cache: Cache,
    },
    /// A body, in one or more chunks that follow each other.
    Body(Vec<Bytes>),
    /// It will come: wait for a newer snapshot.
    NotYet,
    /// There is no such thing, any more or ever.
    Gone,
    /// It would have come, but the server stops.
    Stopping,
    /// It breaks the rules.
    BadRequest(BadDirective),
}

/// An immutable view of one rendition.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) prefix: Arc<str>,
    pub(crate) version: u64,
    pub(crate) target_duration: u32,
    pub(crate) part_target: Duration,
    /// Over all renditions: all of them hold back equally, so that a switch of rendition changes nothing.
    pub(crate) longest_part_target: Duration,
    /// Complete segments that can be fetched, oldest first.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) listed_from: usize,
    pub(crate) open: Option<Arc<Segment>>,
    pub(crate) discontinuity_sequence: u64,
    pub(crate) next_part: u64,
    pub(crate) playable: bool,
    pub(crate) reports: Vec<Report>,
    pub(crate) ended: bool,
    pub(crate) stopping: bool,
}

impl Snapshot {
    /// The random prefix of the broadcast's names.
    #[must_use]
    pub fn prefix(&self) -> &Arc<str> {
        &self.prefix
    }

    /// Grows with every change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether anything was published: before, there is no playlist.
    #[must_use]
    pub fn is_playable(&self) -> bool {
        self.playable
    }

    /// Whether the broadcast is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Three target durations: how long a request may wait (RFC 8216bis §6.2.5.2).
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.target() * 3
    }

    /// When the newest part's last byte arrived.
    #[must_use]
    pub fn newest_arrival(&self) -> Option<Instant> {
        self.listed().next_back()?.parts.last()?.arrived
    }

    /// The same view for a server that stops: no request waits in it.
    #[must_use]
    pub fn stopping(&self) -> Self {
        Self { stopping: true, ..self.clone() }
    }

    /// Whether the server stops.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Listed segments, oldest first; the open one last if it has parts.
    pub(crate) fn listed(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        let open = self.open.iter().filter(|segment| !segment.parts.is_empty());
        self.segments.iter().skip(self.listed_from).chain(open).map(Arc::as_ref)
    }

    pub(crate) fn target(&self) -> Duration {
        Duration::from_secs(u64::from(self.target_duration))
    }

    /// Complete segments that a delta update skips: those that end at or before the skip boundary, six target
    /// durations from the end of the playlist (RFC 8216bis §6.2.5.1).
    pub(crate) fn skippable(&self) -> usize {
        let boundary = self.target() * 6;
        let mut to_end = self.open.as_ref().map_or(Duration::ZERO, |open| open.duration);
        let mut listed = self.segments.len().saturating_sub(self.listed_from);
        for segment in self.segments.iter().skip(self.listed_from).rev() {
            if to_end >= boundary {
                break;
            }
            to_end += segment.duration;
            listed -= 1;
        }
        listed
    }

    /// What `request` finds here. The same request may find more in a newer snapshot, never less, but for what
    /// left the window.
    #[must_use]
    pub fn find(&self, request: &Request) -> Found {
        match request {
            Request::Playlist(directives) => self.find_playlist(directives),
            Request::Init(number) => {
                self.find_init(*number).map_or(Found::Gone, |init| Found::Body(vec![init.body.clone()]))
            }
            Request::Part(number) => self.find_part(*number),
            Request::Segment(msn) => match self.segment(*msn) {
                Some(segment) if !segment.is_gap() => Found::Body(segment.chunks()),
                _ => Found::Gone,
            },
        }
    }

    fn find_playlist(&self, directives: &Directives) -> Found {
        if self.ended {
            return Found::Playlist { form: Form::Full, cache: Cache::Newest };
        }
        if !self.is_playable() {
            return if self.stopping { Found::Stopping } else { Found::NotYet };
        }
        let delta = |allowed: bool| {
            if directives.skip && allowed && self.skippable() > 0 { Form::Delta } else { Form::Full }
        };
        let Some(msn) = directives.msn else {
            return match directives.part {
                Some(_) => Found::BadRequest(BadDirective::PartWithoutMsn),
                None => Found::Playlist { form: delta(true), cache: Cache::Newest },
            };
        };
        match self.is_listed(msn, directives.part) {
            Err(refusal) => Found::BadRequest(refusal),
            Ok(false) if !self.stopping => Found::NotYet,
            // The server stops: better what there is than an error.
            Ok(false) => Found::Playlist { form: delta(true), cache: Cache::Newest },
            Ok(true) => {
                let first = self.listed().next().map_or(0, |segment| segment.msn);
                // Who asks for a segment has the one before; a delta must not skip what the player lacks.
                let form = delta(msn >= first.saturating_add(self.skippable() as u64));
                Found::Playlist { form, cache: if msn >= first { Cache::Satisfied } else { Cache::Newest } }
            }
        }
    }

    /// Whether segment `msn` (or its part) is listed; an error if it may not be asked for yet.
    fn is_listed(&self, msn: u64, part: Option<u64>) -> Result<bool, BadDirective> {
        // The open segment's number, even if it has not begun.
        let last = self.segments.last().map_or(0, |segment| segment.msn);
        let (open, open_parts) =
            self.open.as_ref().map_or((last.saturating_add(1), 0), |s| (s.msn, s.parts.len() as u64));
        if msn > open.saturating_add(1) {
            return Err(BadDirective::MsnTooFar { msn, last });
        }
        let Some(part) = part else { return Ok(msn < open) };
        let (msn, part) = match self.segment(msn) {
            // A part past the end of its segment is part 0 of the next one. Segments that left the window are done.
            Some(segment) if part >= segment.parts.len() as u64 => (msn + 1, 0),
            _ => (msn, part),
        };
        if msn < open || (msn == open && part < open_parts) {
            return Ok(true);
        }
        // Parts from the last one to the one asked for, if the open segment ended now.
        let ahead = if msn == open { (part - open_parts).saturating_add(1) } else { part.saturating_add(1) };
        let limit = self.advance_part_limit();
        if ahead > limit { Err(BadDirective::PartTooFar { ahead, limit }) } else { Ok(false) }
    }

    /// Advance Part Limit: three, or as many parts as fit into three seconds if they are shorter than one.
    fn advance_part_limit(&self) -> u64 {
        let target = self.part_target.as_micros().max(1);
        if target < 1_000_000 { u64::try_from(3_000_000u128.div_ceil(target)).unwrap_or(u64::MAX) } else { 3 }
    }

    fn find_part(&self, number: u64) -> Found {
        if number == self.next_part {
            // The hinted part. One that will not come any more is gone (RFC 8216bis §6.2.6).
            return match (self.ended, self.stopping) {
                (true, _) => Found::Gone,
                (_, true) => Found::Stopping,
                _ => Found::NotYet,
            };
        }
        let all = self.segments.iter().chain(&self.open);
        let segment = all.rev().find(|segment| segment.first_part <= number);
        let index = |segment: &Segment| usize::try_from(number - segment.first_part).ok();
        segment
            .and_then(|segment| segment.parts.get(index(segment)?)?.body.clone())
            .map_or(Found::Gone, |body| Found::Body(vec![body]))
    }

    fn find_init(&self, number: u64) -> Option<&Init> {
        let all = self.segments.iter().chain(&self.open).rev();
        all.filter_map(|segment| segment.init.as_deref()).find(|init| init.number == number)
    }

    /// A complete segment by number. Numbers have no holes.
    fn segment(&self, msn: u64) -> Option<&Segment> {
        let first = self.segments.first()?.msn;
        self.segments.get(usize::try_from(msn.checked_sub(first)?).ok()?).map(Arc::as_ref)
    }
}
