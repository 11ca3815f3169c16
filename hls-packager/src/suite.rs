//! The contract of [`crate::model`] as a checker: every output of a packager, whatever went in, must pass it. Used by
//! unit tests, property tests and fuzz targets, and compiled for them alone (feature `suite`). It reads fragments with a reader of its own.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::model::{Opened, Output, Part, RungStarted, SegmentStarted};

/// A sample of a published fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleOut {
    /// Track id.
    pub track: u32,
    /// Decode time in ticks of its track.
    pub dts: i64,
    /// Presentation time in ticks of its track.
    pub pts: i64,
    /// Ticks.
    pub duration: u32,
    /// Whether it is a sync sample.
    pub sync: bool,
    /// Its bytes.
    pub data: Bytes,
}

/// A part as it was published.
#[derive(Debug, Clone, PartialEq)]
pub struct PartOut {
    /// Its duration.
    pub duration: Duration,
    /// Whether it says it is independent.
    pub independent: bool,
    /// Whether it is a gap.
    pub gap: bool,
    /// Samples of its fragment.
    pub samples: Vec<SampleOut>,
}

/// A segment of one rendition.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentOut {
    /// Its date.
    pub program_date_time: Timestamp,
    /// Whether a discontinuity stands before it.
    pub discontinuity: bool,
    /// Whether it is a gap.
    pub gap: bool,
    /// Its parts.
    pub parts: Vec<PartOut>,
}

impl SegmentOut {
    /// Sum of its parts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.parts.iter().map(|part| part.duration).sum()
    }
}

/// Checks outputs in order and keeps what they were.
#[derive(Debug, Default)]
pub struct Checker {
    /// The opening, once it came.
    pub opened: Option<Opened>,
    /// Segments of each rendition.
    pub segments: Vec<Vec<SegmentOut>>,
    /// Init segments of each rendition, in order.
    pub inits: Vec<Vec<Bytes>>,
    /// Whether the broadcast is over.
    pub ended: bool,
    /// Whether a segment runs, per rendition.
    running: Vec<bool>,
    /// The rungs are those from here on.
    rungs_from: usize,
    has_video: Vec<bool>,
    last_dts: Vec<[Option<i64>; 3]>,
    /// A part that is too short unless the next output excuses it, per rendition.
    short: Vec<bool>,
}

impl Checker {
    /// Takes one output.
    ///
    /// # Panics
    /// When it breaks the contract.
    pub fn check(&mut self, output: &Output) {
        assert!(!self.ended, "output after the end: {output:?}");
        match output {
            Output::Opened(opened) => self.opened(opened),
            Output::SegmentStarted(started) => self.started(started),
            Output::Part(part) => self.part(part),
            Output::SegmentEnded => self.segment_ended(),
            Output::Tapped(_) => {}
            Output::RungStarted(started) => self.rung_started(started),
            Output::RungEnded(rung) => {
                assert!(rung.0 >= self.rungs_from, "{rung:?} is no rung");
                self.rendition_ended(rung.0);
            }
            Output::Renditions(renditions) => {
                let opened = self.opened.as_ref().expect("renditions change after the opening");
                assert_eq!(renditions.len(), opened.renditions.len());
                for (new, old) in renditions.iter().zip(&opened.renditions) {
                    assert_eq!((new.name, new.part_target), (old.name, old.part_target));
                }
            }
            Output::Ended => {
                assert!(!self.running.contains(&true), "the end within a segment");
                self.ended = true;
            }
        }
    }

    fn opened(&mut self, opened: &Opened) {
        assert!(self.opened.is_none(), "opened twice");
        assert!((1..=12).contains(&opened.target_duration));
        let count = opened.renditions.len();
        assert!(count > opened.rungs);
        self.rungs_from = count - opened.rungs;
        self.running = vec![false; count];
        self.segments = vec![Vec::new(); count];
        self.inits = vec![Vec::new(); count];
        self.has_video = vec![false; count];
        self.last_dts = vec![[None; 3]; count];
        self.short = vec![false; count];
        for rendition in &opened.renditions {
            assert!(!rendition.codecs.is_empty() && !rendition.part_target.is_zero());
        }
        self.opened = Some(opened.clone());
    }

    fn started(&mut self, started: &SegmentStarted) {
        assert_eq!(started.init.len(), self.rungs_from);
        let begun = self.segments[0].iter().any(|segment| !segment.gap);
        assert!(begun || !started.discontinuity, "a discontinuity before any media");
        for (rendition, init) in started.init.iter().enumerate() {
            assert!(init.is_some() || begun || started.gap, "no init segment for rendition {rendition}");
            let Some(init) = init else { continue };
            assert!(
                !started.gap && (started.discontinuity || !begun),
                "a new init segment without a discontinuity"
            );
            self.has_video[rendition] = init.windows(4).any(|kind| kind == b"vide");
            self.inits[rendition].push(init.clone());
        }
        if let Some(last) = self.segments[0].last() {
            assert!(started.program_date_time >= last.program_date_time, "dates go back");
        }
        for rendition in 0..self.rungs_from {
            self.start(rendition, started.program_date_time, started.discontinuity, started.gap);
        }
    }

    /// A rung has the segments of the source, later, and another init segment wherever it likes.
    fn rung_started(&mut self, started: &RungStarted) {
        let index = started.rendition.0;
        assert!(index >= self.rungs_from, "{index} is no rung");
        let source = &self.segments[0][self.segments[index].len()];
        assert_eq!(started.program_date_time, source.program_date_time);
        assert_eq!(started.discontinuity, source.discontinuity);
        assert!(started.gap || !source.gap, "media in a gap of the source");
        if let Some(init) = &started.init {
            self.has_video[index] = init.windows(4).any(|kind| kind == b"vide");
            self.inits[index].push(init.clone());
        }
        assert!(!self.inits[index].is_empty() || started.gap, "no init segment");
        self.start(index, started.program_date_time, started.discontinuity, started.gap);
    }

    fn start(&mut self, rendition: usize, program_date_time: Timestamp, discontinuity: bool, gap: bool) {
        assert!(!self.running[rendition], "a segment within a segment");
        self.running[rendition] = true;
        self.segments[rendition].push(SegmentOut {
            program_date_time,
            discontinuity,
            gap,
            parts: Vec::new(),
        });
    }

    fn part(&mut self, part: &Part) {
        let rendition = part.rendition.0;
        assert!(self.running[rendition], "a part outside of a segment");
        let target = self.opened.as_ref().expect("opened first").renditions[rendition].part_target;
        assert!(!part.duration.is_zero() && part.duration <= target, "{:?} of {target:?}", part.duration);
        let gap = part.body.is_empty();
        let segment = self.segments[rendition].last_mut().expect("running");
        assert!(gap || !segment.gap, "media in a gap");
        assert_eq!(part.arrived.is_none(), gap || rendition >= self.rungs_from);
        assert!(!self.short[rendition] || gap, "a part in the middle of a segment is too short");
        // The last part of a segment is excused when the segment ends.
        self.short[rendition] = !part.independent && !gap && part.duration < target.mul_f64(0.849_999);
        let samples = if gap { Vec::new() } else { read_fragment(&part.body) };
        assert!(gap || !samples.is_empty(), "a fragment without samples");
        for sample in &samples {
            let track = usize::try_from(sample.track).expect("small");
            let last = &mut self.last_dts[rendition][track];
            assert!(
                last.is_none_or(|last| sample.dts > last),
                "decode times go back: {sample:?} after {last:?}"
            );
            *last = Some(sample.dts);
            assert!(sample.pts >= 0 && sample.dts >= 0 && sample.duration > 0, "{sample:?}");
        }
        let first_video = samples.iter().find(|sample| sample.track == 1);
        if self.has_video[rendition] {
            assert_eq!(part.independent, first_video.is_some_and(|sample| sample.sync));
        } else {
            assert!(part.independent || gap);
            assert_eq!(first_video, None);
        }
        let duration = part.duration;
        segment.parts.push(PartOut { duration, independent: part.independent, gap, samples });
    }

    fn segment_ended(&mut self) {
        (0..self.rungs_from).for_each(|rendition| self.rendition_ended(rendition));
    }

    fn rendition_ended(&mut self, rendition: usize) {
        assert!(std::mem::take(&mut self.running[rendition]), "an end without a segment");
        self.short[rendition] = false;
        let target = self.opened.as_ref().expect("opened first").target_duration;
        let segment = self.segments[rendition].last().expect("running");
        assert!(!segment.parts.is_empty(), "an empty segment of rendition {rendition}");
        let seconds = segment.duration().as_secs_f64().round();
        assert!(seconds <= f64::from(target), "{seconds} s of {target} s in rendition {rendition}");
    }

    /// Forgets all segments but the last of each rendition, for broadcasts of days.
    pub fn forget(&mut self) {
        for segments in &mut self.segments {
            segments.drain(..segments.len().saturating_sub(1));
        }
    }

    /// Samples of one track of one rendition, in order.
    #[must_use]
    pub fn samples(&self, rendition: usize, track: u32) -> Vec<SampleOut> {
        let parts = self.segments[rendition].iter().flat_map(|segment| &segment.parts);
        parts.flat_map(|part| &part.samples).filter(|sample| sample.track == track).cloned().collect()
    }
}

/// Reads `moof` and `mdat`.
///
/// # Panics
/// When the fragment is not valid.
#[must_use]
pub fn read_fragment(body: &Bytes) -> Vec<SampleOut> {
    let mut samples = Vec::new();
    let boxes = boxes(body);
    assert_eq!(boxes.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [*b"moof", *b"mdat"]);
    let mut end = body.len() - boxes[1].1.len();
    for (kind, traf) in self::boxes(&boxes[0].1) {
        if kind != *b"traf" {
            assert_eq!(kind, *b"mfhd");
            continue;
        }
        let parts = self::boxes(&traf);
        let [(tfhd_kind, mut tfhd), (tfdt_kind, tfdt), (trun_kind, mut trun)] =
            <[_; 3]>::try_from(parts).expect("three boxes in a traf");
        assert_eq!([tfhd_kind, tfdt_kind, trun_kind], [*b"tfhd", *b"tfdt", *b"trun"]);
        let flags = u32(&mut tfhd);
        assert_eq!(flags & 0x02_0000, 0x02_0000, "offsets count from the moof");
        let track = u32(&mut tfhd);
        let default_duration = (flags & 8 != 0).then(|| u32(&mut tfhd));
        let default_flags = (flags & 0x20 != 0).then(|| u32(&mut tfhd));
        let time = u64::from_be_bytes(tfdt[4..12].try_into().expect("version 1"));
        let mut dts = i64::try_from(time).expect("fits");
        let flags = u32(&mut trun);
        let count = u32(&mut trun);
        let mut at = usize::try_from(u32(&mut trun)).expect("fits");
        assert_eq!(at, end, "data follows data");
        let mut first_flags = (flags & 4 != 0).then(|| u32(&mut trun));
        for _ in 0..count {
            let duration =
                if flags & 0x100 != 0 { u32(&mut trun) } else { default_duration.expect("a duration") };
            let size = usize::try_from(u32(&mut trun)).expect("fits");
            let sample_flags = if flags & 0x400 != 0 { Some(u32(&mut trun)) } else { default_flags };
            let sample_flags = first_flags.take().or(sample_flags).expect("flags");
            let composition = if flags & 0x800 != 0 { u32(&mut trun).cast_signed() } else { 0 };
            samples.push(SampleOut {
                track,
                dts,
                pts: dts + i64::from(composition),
                duration,
                sync: sample_flags & 0x1_0000 == 0,
                data: body.slice(at..at + size),
            });
            dts += i64::from(duration);
            at += size;
        }
        assert!(trun.is_empty());
        end = at;
    }
    assert_eq!(end, body.len(), "the mdat is what the runs hold");
    samples
}

/// The boxes that `body` consists of.
///
/// # Panics
/// When a size is wrong.
#[must_use]
pub fn boxes(body: &Bytes) -> Vec<([u8; 4], Bytes)> {
    let mut boxes = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let size = usize::try_from(u32(&mut body.slice(at..))).expect("fits");
        assert!(size >= 8 && at + size <= body.len(), "box of {size} bytes at {at} of {}", body.len());
        boxes.push((body[at + 4..at + 8].try_into().expect("four bytes"), body.slice(at + 8..at + size)));
        at += size;
    }
    boxes
}

fn u32(bytes: &mut Bytes) -> u32 {
    let head = bytes.split_to(4);
    u32::from_be_bytes([head[0], head[1], head[2], head[3]])
}
