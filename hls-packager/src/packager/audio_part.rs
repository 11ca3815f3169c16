//! The open part of a rendition that has only audio.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::lane::Lane;
use crate::cmaf::AUDIO_TRACK;
use crate::cmaf::fragment::{Run, Sample, write_fragment};
use crate::model::Output;

/// An audio frame on the line.
#[derive(Debug, Clone)]
pub(super) struct AudioSample {
    /// Decode time in samples.
    pub(super) dts: i64,
    /// Decode time in ticks of 90 kHz.
    pub(super) at: i64,
    /// Where it ends, in ticks of 90 kHz.
    pub(super) end: i64,
    /// Samples it holds.
    pub(super) samples: u32,
    pub(super) data: Bytes,
    pub(super) arrived: Instant,
}

/// Turns audio frames into samples of a run that begins after `last`: the decode time of the first, and the samples.
/// A frame lasts until the next one begins, so that a correction of the audio clock is no hole.
pub(super) fn audio_run(
    frames: impl Iterator<Item = AudioSample>,
    last: &mut i64,
    run: &mut Vec<Sample>,
) -> Option<(u64, Instant)> {
    run.clear();
    let mut first = None;
    let mut arrived = None;
    for frame in frames {
        let dts = frame.dts.max(last.saturating_add(1));
        if let Some(previous) = run.last_mut() {
            previous.duration = u32::try_from(dts - *last).unwrap_or(u32::MAX);
        }
        first.get_or_insert(dts);
        *last = dts;
        arrived = arrived.max(Some(frame.arrived));
        run.push(Sample { duration: frame.samples, composition: 0, sync: true, data: frame.data });
    }
    Some((u64::try_from(first?).unwrap_or(0), arrived?))
}

/// The open part.
#[derive(Debug, Default)]
pub(super) struct AudioPart {
    frames: Vec<AudioSample>,
    run: Vec<Sample>,
}

impl AudioPart {
    /// Adds a frame that begins within the part's bound, and ends the part when no other frame would fit.
    pub(super) fn push(
        &mut self,
        frame: AudioSample,
        max: usize,
        lane: &mut Lane,
        out: &mut VecDeque<Output>,
    ) {
        let (end, length) = (frame.end, frame.end - frame.at);
        self.frames.push(frame);
        if end.saturating_add(length) > lane.latest() || self.frames.len() >= max {
            self.end(end, lane, out);
        }
    }

    /// Ends the part where its last frame ends, if it has one.
    pub(super) fn flush(&mut self, lane: &mut Lane, out: &mut VecDeque<Output>) {
        if let Some(end) = self.frames.last().map(|frame| frame.end) {
            self.end(end, lane, out);
        }
    }

    /// Ends the part at `end`. Without a frame it is a gap.
    pub(super) fn end(&mut self, end: i64, lane: &mut Lane, out: &mut VecDeque<Output>) {
        match audio_run(self.frames.drain(..), &mut lane.last_audio, &mut self.run) {
            Some((decode_time, arrived)) => {
                let run = Run { track: AUDIO_TRACK, decode_time, samples: &self.run };
                let body = write_fragment(lane.next_fragment(), &[run]);
                lane.publish(end, true, body, Some(arrived), out);
                self.run.clear();
            }
            None => lane.gap(end, out),
        }
    }
}
