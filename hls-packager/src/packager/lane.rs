//! Lanes: how far each rendition's parts reach on the line that all of them share.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::model::{Output, Part, RenditionId};
use crate::segmenter::{PartBounds, SegmentBounds};
use crate::timeline::span;

/// One rendition's place on the line. Its parts tile the line: each begins where the one before ended.
#[derive(Debug)]
pub(super) struct Lane {
    rendition: RenditionId,
    pub(super) bounds: PartBounds,
    /// End of the last part, start of the open one.
    pub(super) at: i64,
    /// Where the running segment of this rendition began, and how many parts it has.
    started: i64,
    pub(super) parts: usize,
    /// Decode time of the last sample of each track, so that none is ever at or before it again.
    pub(super) last_video: i64,
    pub(super) last_audio: i64,
    fragments: u32,
}

impl Lane {
    pub(super) fn new(rendition: RenditionId, bounds: PartBounds, at: i64) -> Self {
        Self {
            rendition,
            bounds,
            at,
            started: at,
            parts: 0,
            last_video: i64::MIN,
            last_audio: i64::MIN,
            fragments: 0,
        }
    }

    /// A segment begins.
    pub(super) fn start_segment(&mut self) {
        (self.started, self.parts) = (self.at, 0);
    }

    /// Whether the segment still is within its bounds when the open part is as long as it may be.
    pub(super) fn has_room(&self, segments: SegmentBounds) -> bool {
        self.latest() <= segments.latest_end(self.started)
    }

    /// Where the segment ends at the latest.
    pub(super) fn latest_segment_end(&self, segments: SegmentBounds) -> i64 {
        segments.latest_end(self.started)
    }

    /// The number for the next fragment's `mfhd`.
    pub(super) fn next_fragment(&mut self) -> u32 {
        self.fragments = self.fragments.wrapping_add(1);
        self.fragments
    }

    /// Where the open part ends at the latest.
    pub(super) fn latest(&self) -> i64 {
        self.at + self.bounds.longest()
    }

    /// Where the last sample of the open part begins, if its samples last `step` each: with it the part is complete.
    pub(super) fn last_start(&self, step: i64) -> i64 {
        let step = step.max(1);
        let before = (self.bounds.longest() - step).div_euclid(step).max(0);
        self.at.saturating_add(before.saturating_mul(step))
    }

    /// Ends the open part at `end`.
    pub(super) fn publish(
        &mut self,
        end: i64,
        independent: bool,
        body: Bytes,
        arrived: Option<Instant>,
        out: &mut VecDeque<Output>,
    ) {
        let end = end.clamp(self.at + 1, self.latest());
        let duration = span(self.at, end);
        self.at = end;
        self.parts += 1;
        let rendition = self.rendition;
        out.push_back(Output::Part(Part { rendition, duration, independent, body, arrived, shared: false }));
    }

    /// Fills the line up to `end` with gap parts.
    pub(super) fn gap(&mut self, end: i64, out: &mut VecDeque<Output>) {
        while self.at < end {
            self.publish(end.min(self.latest()), false, Bytes::new(), None, out);
        }
    }
}
