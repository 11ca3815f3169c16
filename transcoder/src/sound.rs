//! The job `sound`: MP3 to AAC-LC of the same rate and channels. MPEG-4 has every rate that MP3 has.

use std::collections::VecDeque;
use std::fs::File;

use millrace_core::transcode::{SoundOrder, SoundReport};

use crate::av::{AAC_SAMPLES, AacEncoder, Mp3Decoder, Sound, TICKS};
use crate::pipe::{Orders, Reports};

/// A source that is further than this from where its samples say is followed: 50 ms.
const JUMP_TICKS: i64 = TICKS as i64 / 20;
/// Bits per second of one channel, and of two.
const BITRATES: [usize; 2] = [128_000, 160_000];
/// Frames in a row that cannot be decoded until it is said.
const UNREADABLE: u32 = 50;
/// Frames of AAC before the sound: the encoder looks one ahead.
const PRIMING: u32 = 1;

/// Obeys until the orders end.
///
/// # Errors
/// An order that cannot be read, or reports that nobody reads.
pub(crate) fn run(input: File, output: File) -> anyhow::Result<()> {
    let mut orders = Orders::<SoundOrder>::of(input);
    let mut reports = Reports::to(output);
    let mut job = Job {
        decoder: Mp3Decoder::open()?,
        format: None,
        encoder: None,
        timeline: Timeline::default(),
        unreadable: 0,
    };
    loop {
        let order = orders.next()?;
        let mut said = Vec::new();
        match &order {
            Some(SoundOrder::Mp3 { pts, data }) => job.take(*pts, data, &mut said),
            None => job.close(&mut said),
        }
        for report in &said {
            reports.push(report)?;
        }
        match reports.flush() {
            // The server has gone, which is an end like another.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        if order.is_none() {
            return Ok(());
        }
    }
}

struct Job {
    decoder: Mp3Decoder,
    /// Of the last frame that had a header.
    format: Option<Format>,
    encoder: Option<Encoding>,
    timeline: Timeline,
    /// Frames in a row.
    unreadable: u32,
}

impl Job {
    fn take(&mut self, pts: i64, frame: &[u8], said: &mut Vec<SoundReport>) {
        let mut pts = Some(pts);
        let format = Format::of(frame);
        if format.is_some() && self.format != format {
            // A decoder that goes on says the rate of the frame before.
            if let Ok(decoder) = Mp3Decoder::open() {
                self.decoder = decoder;
            }
            self.format = format;
        }
        let mut readable = self.decoder.send(frame).is_ok();
        while readable {
            match self.decoder.receive() {
                Ok(Some(sound)) => {
                    self.unreadable = 0;
                    self.encode(&sound, pts.take(), said);
                }
                Ok(None) => break,
                Err(_) => readable = false,
            }
        }
        if !readable {
            self.unreadable = self.unreadable.saturating_add(1);
            // What is missing is silence of the same length, or the sound would come early from here on.
            if let (Some(pts), Some(silence)) =
                (pts, self.encoder.as_ref().and_then(|encoding| encoding.silence.clone()))
            {
                self.encode(&silence, Some(pts), said);
            }
            if self.unreadable == UNREADABLE {
                said.push(SoundReport::Failed(format!(
                    "{UNREADABLE} frames in a row are no MP3 that can be decoded"
                )));
            }
        }
    }

    /// Encodes samples: those of `pts`, or those that follow on the last.
    fn encode(&mut self, sound: &Sound, pts: Option<i64>, said: &mut Vec<SoundReport>) {
        let fits = self.encoder.as_ref().is_some_and(|encoding| encoding.is_for(sound));
        if !fits {
            self.close(said);
            match Encoding::open(sound) {
                Ok(encoding) => {
                    said.push(SoundReport::Opened(encoding.encoder.config().to_vec().into()));
                    self.encoder = Some(encoding);
                }
                Err(error) => {
                    let (rate, channels) = (sound.rate, sound.channels.len());
                    said.push(SoundReport::Failed(format!(
                        "no AAC of {rate} Hz and {channels} channels can be made ({error})"
                    )));
                    return;
                }
            }
        }
        let Some(encoding) = &mut self.encoder else { return };
        let samples = sound.channels.first().map_or(0, Vec::len);
        let (at, jumped) = self.timeline.place(pts, samples, sound.rate);
        let done = encoding.take(sound, at, jumped, said);
        self.check(done, said);
    }

    fn close(&mut self, said: &mut Vec<SoundReport>) {
        self.timeline = Timeline::default();
        if let Some(mut encoding) = self.encoder.take() {
            let done = encoding.finish(said);
            self.check(done, said);
        }
    }

    fn check(&mut self, done: Result<(), ffmpeg_next::Error>, said: &mut Vec<SoundReport>) {
        if let Err(error) = done {
            said.push(SoundReport::Failed(format!("the encoder failed ({error})")));
            self.encoder = None;
        }
    }
}

/// What a frame's header says of rate and channels (ISO/IEC 11172-3 §2.4.1.3, ISO/IEC 13818-3 §2.4.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    version: u8,
    rate: u8,
    mono: bool,
}

impl Format {
    /// `None` if it does not begin with a header.
    fn of(frame: &[u8]) -> Option<Self> {
        let &[0xff, second, third, fourth, ..] = frame else { return None };
        (second >= 0xe0).then_some(Self {
            version: second >> 3 & 3,
            rate: third >> 2 & 3,
            mono: fourth >> 6 == 3,
        })
    }
}

struct Encoding {
    rate: u32,
    encoder: AacEncoder,
    /// Samples that wait for a whole frame, per channel, and the time of the first.
    waiting: Vec<Vec<f32>>,
    waits_from: i64,
    /// Times of the frames that are in the encoder.
    times: VecDeque<i64>,
    /// Frames that it hands out before those.
    priming: u32,
    /// As much silence as the last samples were.
    silence: Option<Sound>,
}

impl Encoding {
    fn open(sound: &Sound) -> Result<Self, ffmpeg_next::Error> {
        let channels = sound.channels.len();
        let bitrate = BITRATES[usize::from(channels > 1)];
        Ok(Self {
            rate: sound.rate,
            encoder: AacEncoder::open(sound.rate, channels, bitrate)?,
            waiting: vec![Vec::new(); channels],
            waits_from: 0,
            times: VecDeque::new(),
            priming: PRIMING,
            silence: None,
        })
    }

    fn is_for(&self, sound: &Sound) -> bool {
        self.rate == sound.rate && self.waiting.len() == sound.channels.len()
    }

    /// Takes samples of this time, which follow on the last unless it `jumped`.
    fn take(
        &mut self,
        sound: &Sound,
        at: i64,
        jumped: bool,
        said: &mut Vec<SoundReport>,
    ) -> Result<(), ffmpeg_next::Error> {
        if jumped {
            self.fill()?;
        }
        if self.waits() == 0 {
            self.waits_from = at;
        }
        for (waiting, samples) in self.waiting.iter_mut().zip(&sound.channels) {
            waiting.extend_from_slice(samples);
        }
        let channels = sound.channels.iter().map(|samples| vec![0.0; samples.len()]).collect();
        self.silence = Some(Sound { rate: sound.rate, channels });
        while self.waits() >= AAC_SAMPLES {
            self.send()?;
        }
        self.hand_out(said)
    }

    /// Samples that wait.
    fn waits(&self) -> usize {
        self.waiting.first().map_or(0, Vec::len)
    }

    /// Silence up to a whole frame, if one was begun.
    fn fill(&mut self) -> Result<(), ffmpeg_next::Error> {
        if self.waits() == 0 {
            return Ok(());
        }
        self.waiting.iter_mut().for_each(|samples| samples.resize(AAC_SAMPLES, 0.0));
        self.send()
    }

    fn send(&mut self) -> Result<(), ffmpeg_next::Error> {
        let frame: Vec<_> = self.waiting.iter().map(|samples| &samples[..AAC_SAMPLES]).collect();
        self.encoder.send(&frame)?;
        self.times.push_back(self.waits_from);
        self.waits_from = self.waits_from.saturating_add(ticks(AAC_SAMPLES, self.rate));
        self.waiting.iter_mut().for_each(|samples| drop(samples.drain(..AAC_SAMPLES)));
        Ok(())
    }

    fn hand_out(&mut self, said: &mut Vec<SoundReport>) -> Result<(), ffmpeg_next::Error> {
        while let Some(data) = self.encoder.receive()? {
            if self.priming > 0 {
                self.priming -= 1;
            } else if let Some(pts) = self.times.pop_front() {
                said.push(SoundReport::Aac { pts, data: data.into() });
            }
        }
        Ok(())
    }

    fn finish(&mut self, said: &mut Vec<SoundReport>) -> Result<(), ffmpeg_next::Error> {
        self.fill()?;
        self.encoder.end();
        self.hand_out(said)
    }
}

/// Ticks of so many samples, rounded down.
fn ticks(samples: usize, rate: u32) -> i64 {
    let samples = i64::try_from(samples).unwrap_or(i64::MAX);
    samples.saturating_mul(TICKS.into()) / i64::from(rate.max(1))
}

/// Where samples are in time: one after the other, until the source is somewhere else. Sans-IO.
#[derive(Debug, Default)]
struct Timeline {
    /// A time, and the samples since.
    anchor: Option<(i64, usize)>,
}

impl Timeline {
    /// The time of the next samples, and whether they do not follow on the last ones. Without `pts` they do.
    fn place(&mut self, pts: Option<i64>, samples: usize, rate: u32) -> (i64, bool) {
        let expected = self.anchor.map(|(from, since)| from.saturating_add(ticks(since, rate)));
        let (at, jumped) = match (expected, pts) {
            (Some(expected), Some(pts)) if pts.abs_diff(expected) > JUMP_TICKS.unsigned_abs() => (pts, true),
            (Some(expected), _) => (expected, false),
            (None, pts) => (pts.unwrap_or(0), true),
        };
        self.anchor = match self.anchor {
            Some((from, since)) if !jumped => Some((from, since.saturating_add(samples))),
            _ => Some((at, samples)),
        };
        (at, jumped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_one_another_through_the_rounding_of_the_source() {
        let mut timeline = Timeline::default();
        for frame in 0..10_000i64 {
            let exact = frame * 1152 * 90_000 / 44_100;
            // Milliseconds, and a source that is late by turns.
            let said = exact / 90 * 90 + frame % 3 * 1_800;
            let (at, jumped) = timeline.place(Some(said), 1152, 44_100);
            assert_eq!((at, jumped), (exact, frame == 0), "{frame}");
        }
    }

    #[test]
    fn a_jump_of_more_than_50_ms_is_followed() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.place(Some(1_000), 1152, 48_000), (1_000, true));
        assert_eq!(timeline.place(Some(1_000 + 2_160 + 4_500), 1152, 48_000), (3_160, false));
        assert_eq!(timeline.place(Some(1_000 + 2 * 2_160 + 4_501), 1152, 48_000), (9_821, true));
        assert_eq!(timeline.place(Some(-90_000), 1152, 48_000), (-90_000, true));
        assert_eq!(timeline.place(None, 1152, 48_000), (-87_840, false));
        assert_eq!(timeline.place(Some(i64::MIN), 1152, 48_000), (i64::MIN, true));
        assert_eq!(timeline.place(Some(i64::MAX), 1152, 48_000), (i64::MAX, true));
    }
}
