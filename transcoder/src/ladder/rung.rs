//! One rung: scaler and encoder on a thread of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use ffmpeg_next::frame;
use ffmpeg_next::software::scaling::Flags;
use millrace_core::transcode::{LadderReport, Rung, RungId};

use super::answers::{Event, bit};
use super::pace::Pace;
use crate::av::{Colours, MAX_SIDE, Scaler, Signal, VideoEncoder, VideoSettings};
use crate::avc;

/// Pictures that wait for a rung: more would be memory, fewer would have rungs wait for one another.
const WAITING: usize = 2;
/// Least bits per second that are encoded with.
const MIN_BITRATE: u32 = 10_000;
/// Most.
const MAX_BITRATE: u32 = 200_000_000;

/// A picture for a rung.
struct Job {
    picture: Arc<frame::Video>,
    pts: i64,
    /// The encoder may be another from here on.
    cut: bool,
    /// It decodes alone.
    key: bool,
}

/// A rung that is made.
pub(crate) struct Running {
    pub(crate) spec: Rung,
    /// Whether the picture at hand is for it.
    pub(crate) takes_next: bool,
    /// Pictures since the last that it took.
    passed: u8,
    /// The next that it takes decodes alone.
    key_due: bool,
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Starts one; `frame_rate` is what the source says of its own.
    ///
    /// # Errors
    /// Why there cannot be such a rung.
    pub(crate) fn start(
        spec: Rung,
        frame_rate: Option<f64>,
        events: SyncSender<Event>,
    ) -> Result<Self, String> {
        let side = |side: u16| side >= 2 && side.is_multiple_of(2) && u32::from(side) <= MAX_SIDE;
        if bit(spec.id) == 0 {
            return Err(format!("rung {} has a number above 31", spec.id.0));
        }
        if !side(spec.size.0) || !side(spec.size.1) {
            let (width, height) = spec.size;
            return Err(format!(
                "{width}x{height} is no size for a rung: even numbers from 2 to {MAX_SIDE} are"
            ));
        }
        if spec.every == 0 || !(MIN_BITRATE..=MAX_BITRATE).contains(&spec.bitrate) {
            let Rung { every, bitrate, .. } = spec;
            return Err(format!(
                "one of {every} pictures at {bitrate} bit/s cannot be made: at least one of one, and {MIN_BITRATE} to {MAX_BITRATE} bit/s can"
            ));
        }
        let (jobs, waiting) = sync_channel(WAITING);
        let _ = events.send(Event::Started(spec.id));
        let pace = Pace::of(frame_rate.map(|rate| rate / f64::from(spec.every)));
        let ended = Ended { rung: spec.id, events: events.clone() };
        let to_make = spec.clone();
        let thread = thread::Builder::new().name(format!("rung {}", spec.id.0)).spawn(move || {
            // Said last, also when something panics.
            let _ended = ended;
            let mut maker = Maker::of(to_make, pace, events);
            if let Err(reason) = maker.make(waiting) {
                maker.report(LadderReport::Failed { rung: maker.spec.id, reason });
            }
        });
        let thread = thread.map_err(|error| format!("no thread can be started for it ({error})"))?;
        Ok(Self { spec, takes_next: false, passed: u8::MAX, key_due: false, jobs, thread })
    }

    /// Its bit in [`Event::Fed`].
    pub(crate) fn bit(&self) -> u32 {
        bit(self.spec.id)
    }

    /// Whether the next picture is for it: a cut always is, and from there one of `every`. With `key` the next that it takes decodes
    /// alone.
    pub(crate) fn takes(&mut self, cut: bool, key: bool) -> bool {
        self.key_due |= key;
        self.passed = self.passed.saturating_add(1);
        let takes = cut || self.passed >= self.spec.every;
        if takes {
            self.passed = 0;
        }
        takes
    }

    /// Hands it a picture. One that has ended takes none, and has said so.
    pub(crate) fn feed(&mut self, picture: Arc<frame::Video>, pts: i64, cut: bool) {
        let key = std::mem::take(&mut self.key_due) || cut;
        let _ = self.jobs.send(Job { picture, pts, cut, key });
    }

    /// Whether it makes no more pictures.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Has it make what it was handed, and waits for that.
    pub(crate) fn finish(self) {
        let Self { jobs, thread, .. } = self;
        drop(jobs);
        let _ = thread.join();
    }
}

/// Says that a rung has ended when it is dropped.
struct Ended {
    rung: RungId,
    events: SyncSender<Event>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if thread::panicking() {
            let reason = "its thread stopped in a way that it should not; the lines before say where".into();
            let _ = self.events.send(Event::Report(LadderReport::Failed { rung: self.rung, reason }));
        }
        let _ = self.events.send(Event::Ended(self.rung));
    }
}

struct Maker {
    spec: Rung,
    size: (u32, u32),
    pace: Pace,
    scaler: Scaler,
    encoder: Option<(Signal, VideoEncoder)>,
    /// Whether the record of the encoder has been reported.
    opened: bool,
    events: SyncSender<Event>,
}

impl Maker {
    fn of(spec: Rung, pace: Pace, events: SyncSender<Event>) -> Self {
        let size = (u32::from(spec.size.0), u32::from(spec.size.1));
        let scaler =
            Scaler::to(VideoEncoder::pixel_format(spec.encoder), size, Colours::Source, Flags::BICUBIC);
        Self { spec, size, pace, scaler, encoder: None, opened: false, events }
    }

    fn make(&mut self, jobs: Receiver<Job>) -> Result<(), String> {
        for Job { picture, pts, cut, key } in jobs {
            if let Some(rate) = self.pace.at(pts)
                && let Some((_, encoder)) = &mut self.encoder
            {
                encoder.set_frame_rate(rate);
            }
            if cut {
                self.open(Signal::of(&picture, self.size))?;
            }
            let Some((_, encoder)) = &mut self.encoder else { continue };
            let scaled = self
                .scaler
                .scale(&picture)
                .map_err(|error| format!("its pictures cannot be scaled ({error})"))?;
            // The next can be decoded into it.
            drop(picture);
            encoder.send(scaled, pts, key).map_err(failed)?;
            self.hand_out()?;
        }
        self.close()
    }

    /// Opens an encoder, or keeps the one that there is if it is right.
    fn open(&mut self, signal: Signal) -> Result<(), String> {
        if self.encoder.as_ref().is_some_and(|(of, _)| *of == signal) {
            return Ok(());
        }
        self.close()?;
        let settings = VideoSettings {
            kind: self.spec.encoder,
            preset: &self.spec.preset,
            size: self.size,
            bitrate: self.spec.bitrate,
            frame_rate: self.pace.per_second(),
            signal,
        };
        self.encoder = Some((signal, VideoEncoder::open(&settings)?));
        self.opened = false;
        Ok(())
    }

    /// Has the encoder hand out all that it has.
    fn close(&mut self) -> Result<(), String> {
        if let Some((_, encoder)) = &mut self.encoder {
            encoder.end();
            self.hand_out()?;
            self.encoder = None;
        }
        Ok(())
    }

    fn hand_out(&mut self) -> Result<(), String> {
        let rung = self.spec.id;
        while let Some((_, encoder)) = &mut self.encoder {
            let Some(encoded) = encoder.receive().map_err(failed)? else { break };
            if !self.opened {
                let record = avc::record(encoder.parameter_sets()).or_else(|| avc::record(&encoded.data));
                let record = record.ok_or("its encoder hands out no parameter sets")?.into();
                self.report(LadderReport::Opened { rung, record });
                self.opened = true;
            }
            let data = avc::with_lengths(&encoded.data).into();
            self.report(LadderReport::Picture { rung, pts: encoded.pts, sync: encoded.sync, data });
        }
        Ok(())
    }

    fn report(&self, report: LadderReport) {
        let _ = self.events.send(Event::Report(report));
    }
}

fn failed(error: ffmpeg_next::Error) -> String {
    format!("its encoder failed ({error})")
}
