//! Segments and parts as they are kept: numbers, durations, bodies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;

/// An init segment: `ftyp` + `moov`.
#[derive(Debug, PartialEq, Eq)]
pub struct Init {
    /// From 1, per rendition and broadcast.
    pub number: u64,
    /// The bytes.
    pub body: Bytes,
}

/// A segment, complete or open.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Media sequence number.
    pub msn: u64,
    /// Wall-clock time of its first sample.
    pub program_date_time: Timestamp,
    /// Whether `EXT-X-DISCONTINUITY` stands before it.
    pub discontinuity: bool,
    /// Whether it was a gap from its start on; see [`Segment::is_gap`].
    pub gap: bool,
    /// What its parts need before them.
    pub init: Option<Arc<Init>>,
    /// Number of its first part.
    pub first_part: u64,
    /// Its parts, in order. Leading gaps but the last have none.
    pub parts: Vec<SegmentPart>,
    /// Sum of its parts' durations, or what a leading gap stands for.
    pub duration: Duration,
}

/// A part.
#[derive(Debug, Clone)]
pub struct SegmentPart {
    /// Exact duration.
    pub duration: Duration,
    /// Whether a player can start here.
    pub independent: bool,
    /// `moof` + `mdat`; `None` for a gap.
    pub body: Option<Bytes>,
    /// When its last byte came from the publisher.
    pub arrived: Option<Instant>,
    /// Whether the body is another rendition's, which counts it.
    pub shared: bool,
}

impl Segment {
    /// A segment without parts.
    #[must_use]
    pub fn new(msn: u64, program_date_time: Timestamp, first_part: u64) -> Self {
        Self {
            msn,
            program_date_time,
            discontinuity: false,
            gap: false,
            init: None,
            first_part,
            parts: Vec::new(),
            duration: Duration::ZERO,
        }
    }

    /// Appends a part.
    pub fn push(&mut self, part: SegmentPart) {
        self.duration = self.duration.saturating_add(part.duration);
        self.parts.push(part);
    }

    /// Appends gap parts of `part_target` each, the last one shorter, that add up to `duration`.
    pub fn fill_with_gaps(&mut self, duration: Duration, part_target: Duration) {
        let mut left = duration;
        while !left.is_zero() && !part_target.is_zero() {
            let part = left.min(part_target);
            left -= part;
            self.push(SegmentPart {
                duration: part,
                independent: false,
                body: None,
                arrived: None,
                shared: false,
            });
        }
    }

    /// Makes part `index` a gap; how many bytes that freed.
    pub fn drop_body(&mut self, index: usize) -> u64 {
        self.parts
            .get_mut(index)
            .and_then(|part| part.body.take().filter(|_| !part.shared))
            .map_or(0, |body| body.len() as u64)
    }

    /// Whether anything of it cannot be fetched: `EXT-X-GAP`.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.gap || self.parts.iter().any(|part| part.body.is_none())
    }

    /// Whether a player can start at its first sample. Nobody starts in a gap, so a gap is no obstacle.
    #[must_use]
    pub fn decodes_alone(&self) -> bool {
        self.is_gap() || self.parts.first().is_none_or(|part| part.independent)
    }

    /// Bytes of its bodies that no other rendition counts.
    #[must_use]
    pub fn own_bytes(&self) -> u64 {
        let own = self.parts.iter().filter(|part| !part.shared);
        own.filter_map(|part| part.body.as_ref()).map(|body| body.len() as u64).sum()
    }

    /// Whether any of it is another rendition's.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.parts.iter().any(|part| part.shared)
    }

    /// Bytes of its bodies.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().filter_map(|part| part.body.as_ref()).map(|body| body.len() as u64).sum()
    }

    /// The bodies of its parts, which in a row are the segment.
    #[must_use]
    pub fn chunks(&self) -> Vec<Bytes> {
        self.parts.iter().filter_map(|part| part.body.clone()).collect()
    }
}
