//! One rung: its place among the source's segments, and the pictures of its own that have come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use millrace_core::ladder::LadderMode;
use millrace_core::transcode::RungId;

use super::config::{LadderConfig, RungConfig};
use super::plan::Source;
use super::shared;
use crate::cmaf::fragment::{Run, Sample, write_fragment};
use crate::cmaf::{AUDIO_TRACK, VIDEO_TRACK};
use crate::demux::VideoConfig;
use crate::demux::avc::Avc;
use crate::model::{Output, Part, RenditionId, RungStarted, Tapped};

/// Half a millisecond, in ticks of 90 kHz: what times may be off and still be the same.
pub(super) const SAME: i64 = 45;
/// How long a rung is not made after it was shed, the first time; twice as long each time it is shed again.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// A rung that was made for this long was not shed in vain: the next pause is a short one again.
const FORGIVEN: Duration = Duration::from_secs(300);
/// A rung that was shed as shortly before the transcoder died was not too much for the machine.
const BLAMELESS: Duration = Duration::from_secs(6);
/// Most pictures of a rung that wait for their part: more than the transcoder can have made too many.
const MAX_PICTURES: usize = 1024;

/// Whose pictures a segment shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Its first picture has not come.
    Undecided,
    /// The source's.
    Source,
    /// Its own.
    Own,
    /// Nobody's: it began without one. Its sound is the source's.
    Sound,
    /// Nobody's.
    Gap,
}

/// A part of the source that the rung has not shown yet.
#[derive(Debug)]
pub(super) struct StepPart {
    pub(super) part: Part,
    /// [`Tapped::Part`], if it has pictures.
    pub(super) tapped: Option<Tapped>,
    /// When the source's was there.
    pub(super) at: Instant,
    /// Whether the publisher left then: a picture that should wait for others, which will never come, belongs here.
    pub(super) last: bool,
}

/// What the source did and the rung has yet to do.
#[derive(Debug)]
pub(super) enum Step {
    Start {
        program_date_time: Timestamp,
        discontinuity: bool,
        gap: bool,
        mode: Mode,
        /// The source's init segment.
        init: Bytes,
        /// Whether the source's segment begins with a sync sample.
        independent: bool,
        at: Instant,
    },
    Part(StepPart),
    End,
}

#[derive(Debug)]
struct Picture {
    dts: i64,
    pts: i64,
    sync: bool,
    data: Bytes,
}

/// A rung.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) rung: RungConfig,
    pub(super) id: RungId,
    /// Bits per second that it is made with; `None` if it would not be less than what is above it.
    pub(super) bitrate: Option<u32>,
    pub(super) steps: VecDeque<Step>,
    /// Of the segment that runs.
    mode: Mode,
    /// What its own pictures are decoded with.
    pub(super) video: Option<Arc<VideoConfig>>,
    pictures: VecDeque<Picture>,
    /// Up to where on the line the transcoder has answered.
    pub(super) done: i64,
    /// The init segment that was announced last.
    init: Bytes,
    /// Where its last picture ends, while it shows its own.
    end: Option<i64>,
    /// Where that is decoded.
    last: i64,
    fragments: u32,
    /// Its own pictures are decoded from here on; older ones belong to what was made before.
    from: i64,
    /// When somebody asked for it last.
    pub(super) asked_at: Option<Instant>,
    /// Its encoder does not work.
    pub(super) failed: bool,
    /// Until when it is not made, and how long that was.
    shed: Option<(Instant, Duration)>,
    pub(super) shed_until: Option<Instant>,
    made_since: Option<Instant>,
}

impl Lane {
    pub(super) fn new(rung: RungConfig, id: RungId) -> Self {
        Self {
            rung,
            id,
            bitrate: None,
            steps: VecDeque::new(),
            mode: Mode::Source,
            video: None,
            pictures: VecDeque::new(),
            done: i64::MIN,
            init: Bytes::new(),
            end: None,
            last: i64::MIN,
            fragments: 0,
            from: i64::MIN,
            asked_at: None,
            failed: false,
            shed: None,
            shed_until: None,
            made_since: None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.rung.name()
    }

    /// Whether somebody wants it.
    pub(super) fn is_wanted(&self, now: Instant, config: &LadderConfig) -> bool {
        match config.mode {
            LadderMode::Off => false,
            LadderMode::Always => true,
            LadderMode::OnDemand => {
                self.asked_at.is_some_and(|at| now.saturating_duration_since(at) < config.linger)
            }
        }
    }

    /// Whether nothing forbids to make it.
    pub(super) fn is_possible(&self, now: Instant) -> bool {
        !self.failed && self.shed_until.is_none_or(|until| until <= now)
    }

    /// Whether the multivariant playlist should not lead anybody here.
    pub(super) fn is_shed(&self) -> bool {
        self.shed_until.is_some()
    }

    /// Whether pictures of its own are made, or were to be.
    pub(super) fn is_made(&self) -> bool {
        self.mode == Mode::Own
            || self.steps.iter().any(|step| matches!(step, Step::Start { mode: Mode::Own, .. }))
    }

    /// It is not made for a while: how long.
    pub(super) fn shed(&mut self, now: Instant) -> Duration {
        let lasted =
            self.made_since.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let pause = match self.shed {
            Some((_, before)) if lasted < FORGIVEN => (before * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        self.shed = Some((now, pause));
        self.shed_until = Some(now + pause);
        pause
    }

    /// The transcoder died: a rung that was shed just before was not to blame.
    pub(super) fn forgive(&mut self, now: Instant) {
        if self.shed.is_some_and(|(at, _)| now.saturating_duration_since(at) < BLAMELESS) {
            (self.shed, self.shed_until) = (None, None);
        }
    }

    /// What the transcoder said is no more of use.
    pub(super) fn forget_transcoder(&mut self) {
        (self.video, self.done) = (None, i64::MIN);
    }

    /// Whether it may be made again just now.
    pub(super) fn pause_over(&mut self, now: Instant) -> bool {
        self.shed_until.take_if(|until| *until <= now).is_some()
    }

    /// Whose pictures the segment shows that began: its own, of which the first is decoded at `from`, or not. Those of the source can only be shown from a sync sample on to who saw
    /// its own before. `first` is whether the first picture is a sync sample, if the segment begins with one.
    pub(super) fn decide(&mut self, from: Option<i64>, first: Option<bool>) {
        let before = self.steps.iter().rev().filter_map(|step| match step {
            Step::Start { mode, .. } if *mode != Mode::Undecided => Some(*mode),
            _ => None,
        });
        let before = before.into_iter().next().unwrap_or(self.mode);
        let decided = match before {
            _ if from.is_some() => Mode::Own,
            Mode::Source | Mode::Undecided => Mode::Source,
            _ if first == Some(true) => Mode::Source,
            _ if first.is_none() => Mode::Sound,
            _ => Mode::Gap,
        };
        if let Some(from) = from.filter(|_| before != Mode::Own) {
            self.pictures.clear();
            self.from = from;
        }
        for step in &mut self.steps {
            if let Step::Start { mode: mode @ Mode::Undecided, independent, discontinuity, .. } = step {
                // Behind a discontinuity nobody misses a picture that was before.
                *independent = first == Some(true) || (first.is_none() && *discontinuity);
                *mode = if *independent && decided != Mode::Own { Mode::Source } else { decided };
            }
        }
    }

    /// The pictures that follow need this record.
    pub(super) fn open(&mut self, record: &Bytes) -> Result<(), String> {
        let config = Avc::parse(record).and_then(|avc| avc.config()).map_err(|error| error.to_string())?;
        self.video = Some(Arc::new(config));
        Ok(())
    }

    /// Takes a picture of its own.
    pub(super) fn push(&mut self, dts: i64, pts: i64, sync: bool, data: Bytes) {
        if dts >= self.from - SAME && self.pictures.len() < MAX_PICTURES {
            self.pictures.push_back(Picture { dts, pts, sync, data });
        }
    }

    /// When something of its own is late.
    pub(super) fn due(&self, patience: Duration) -> Option<Instant> {
        let at = match self.steps.front()? {
            Step::Start { mode: Mode::Own, at, .. } => *at,
            Step::Part(StepPart { at, .. }) if self.mode == Mode::Own => *at,
            _ => return None,
        };
        Some(at + patience)
    }

    /// Shows no pictures of its own from here on: the segment that runs ends with gaps, later ones are the source's.
    pub(super) fn give_up(&mut self) {
        let mut before = self.mode;
        if self.mode == Mode::Own {
            (self.mode, before) = (Mode::Gap, Mode::Gap);
        }
        for step in &mut self.steps {
            if let Step::Start { mode, independent, .. } = step {
                if *mode == Mode::Own {
                    *mode = if *independent || before == Mode::Source { Mode::Source } else { Mode::Gap };
                }
                before = *mode;
            }
        }
        self.pictures.clear();
        self.made_since = None;
    }

    /// Shows what can be shown.
    pub(super) fn drain(&mut self, rendition: RenditionId, source: &Source, out: &mut VecDeque<Output>) {
        while let Some(step) = self.steps.front() {
            match step {
                Step::Start { mode: Mode::Undecided, .. } => return,
                Step::Start { mode: Mode::Own, .. } if self.pictures.is_empty() || self.video.is_none() => {
                    return;
                }
                Step::Part(part) if self.mode == Mode::Own && !self.is_complete(part) => return,
                _ => {}
            }
            let Some(step) = self.steps.pop_front() else { return };
            match step {
                Step::Start { program_date_time, discontinuity, gap, mode, init, at, .. } => {
                    let init = match (&self.video, mode) {
                        (Some(video), Mode::Own) => source.init_of(video),
                        (_, Mode::Gap | Mode::Sound) => self.init.clone(),
                        _ => init,
                    };
                    let init =
                        (init != self.init).then(|| init.clone()).inspect(|init| self.init.clone_from(init));
                    if mode != Mode::Own || self.mode != Mode::Own || discontinuity {
                        self.end = None;
                    }
                    if mode == Mode::Own {
                        self.made_since.get_or_insert(at);
                    }
                    self.mode = mode;
                    let gap = gap || mode == Mode::Gap;
                    out.push_back(Output::RungStarted(RungStarted {
                        rendition,
                        program_date_time,
                        discontinuity,
                        gap,
                        init,
                    }));
                }
                Step::Part(part) => out.push_back(self.part(part, rendition)),
                Step::End => out.push_back(Output::RungEnded(rendition)),
            }
        }
    }

    /// Whether all pictures of its own are there that belong to a part.
    fn is_complete(&self, step: &StepPart) -> bool {
        match step.tapped {
            Some(Tapped::Part { last_picture, .. }) => self.done >= last_picture.saturating_sub(SAME),
            _ => true,
        }
    }

    /// The part as this rung shows it.
    fn part(&mut self, step: StepPart, rendition: RenditionId) -> Output {
        let StepPart { part, tapped, last, .. } = step;
        // Numbered as the source's, whosever it is: they may take turns.
        self.fragments = self.fragments.wrapping_add(u32::from(!part.body.is_empty()));
        let gap = |part: Part| {
            let part = Part { rendition, independent: false, body: Bytes::new(), arrived: None, ..part };
            Output::Part(part)
        };
        match (self.mode, tapped) {
            (Mode::Own, Some(Tapped::Part { span, audio, .. })) => match self.own(span, last, audio.as_ref())
            {
                Some((independent, body)) => {
                    Output::Part(Part { rendition, independent, body, arrived: None, ..part })
                }
                None => gap(part),
            },
            (Mode::Gap | Mode::Undecided, _) | (Mode::Sound, Some(_)) => gap(part),
            // Sound alone is the same in both.
            (Mode::Own | Mode::Sound, _) => shared(&Part { independent: false, ..part }, rendition),
            (Mode::Source, _) => shared(&part, rendition),
        }
    }

    /// The publisher left.
    pub(super) fn leave(&mut self) {
        let parts = self.steps.iter_mut().rev().filter_map(|step| match step {
            Step::Part(part) => Some(part),
            _ => None,
        });
        parts.into_iter().take(1).for_each(|part| part.last = true);
    }

    /// A fragment of its own pictures up to the end of `span`, or of all, and whether it begins with a sync sample.
    fn own(
        &mut self,
        (start, end): (i64, i64),
        all: bool,
        audio: Option<&(u64, Vec<Sample>)>,
    ) -> Option<(bool, Bytes)> {
        let count = self.pictures.iter().take_while(|picture| all || picture.dts < end - SAME).count();
        let mut samples: Vec<Sample> = Vec::with_capacity(count);
        let (mut first, mut last) = (0, i64::MIN);
        for (left, Picture { dts, pts, sync, data }) in (1..=count).rev().zip(self.pictures.drain(..count)) {
            // Those that should have waited for others have a place before the end all the same.
            let dts = dts.min(end.saturating_sub(i64::try_from(left).unwrap_or(i64::MAX)));
            let at = match samples.last_mut() {
                Some(previous) => {
                    let at = dts.max(last + 1);
                    previous.duration = u32::try_from(at - last).unwrap_or(u32::MAX);
                    at
                }
                None => {
                    first = self.end.unwrap_or_else(|| dts.max(start)).max(self.last.saturating_add(1));
                    first
                }
            };
            last = at;
            let composition = pts.saturating_sub(at).clamp(i32::MIN.into(), i32::MAX.into());
            let composition = i32::try_from(composition).expect("clamped");
            samples.push(Sample { duration: 0, composition, sync, data });
        }
        if let Some(previous) = samples.last_mut() {
            let until = end.max(last + 1);
            previous.duration = u32::try_from(until - last).unwrap_or(u32::MAX);
            (self.end, self.last) = (Some(until), last);
        }
        if samples.is_empty() && audio.is_none() {
            return None;
        }
        let independent = samples.first().is_some_and(|sample| sample.sync);
        let decode_time = u64::try_from(first).unwrap_or(0);
        let video = Run { track: VIDEO_TRACK, decode_time, samples: &samples };
        let (decode_time, audio) = audio.map_or((0, &[][..]), |(at, samples)| (*at, samples.as_slice()));
        let audio = Run { track: AUDIO_TRACK, decode_time, samples: audio };
        Some((independent, write_fragment(self.fragments, &[video, audio])))
    }
}
