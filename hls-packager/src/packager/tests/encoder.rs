//! An encoder in virtual time: what it would send, and a packager driven by it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace_core::flv::{FlvTag, TagKind};
use millrace_core::time::RtmpMillis;

use crate::demux::avc::tests::RECORD;
use crate::packager::{Packager, PackagerConfig, PackagerError, PackagerStart};
use crate::suite::Checker;
use crate::timeline::FrameRate;

/// What an encoder is set to.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    pub(crate) rate: Option<FrameRate>,
    /// Frames from keyframe to keyframe; 0: no keyframe ever.
    pub(crate) gop: i64,
    /// Whether every third frame is a P and the others are B.
    pub(crate) b_frames: bool,
    /// Whether B-frames have negative composition offsets instead of delaying the others.
    pub(crate) negative: bool,
    /// Sample rate.
    pub(crate) audio: Option<u32>,
    /// Timestamp of the first frame.
    pub(crate) start_ms: u32,
    /// How much later than the picture the sound starts.
    pub(crate) audio_after_ms: i64,
    pub(crate) metadata: bool,
    /// What it says that it sends, in kbit/s.
    pub(crate) video_kbits: Option<f64>,
    /// Bytes of a picture beside its number.
    pub(crate) padding: u16,
    /// Milliseconds added to the n-th frame's timestamp.
    pub(crate) jitter: fn(i64) -> i64,
    pub(crate) record: Bytes,
    pub(crate) asc: [u8; 2],
}

impl Encoder {
    pub(crate) fn new(numerator: u32, denominator: u32) -> Self {
        Self {
            rate: Some(FrameRate::new(numerator, denominator).unwrap()),
            gop: i64::from(2 * numerator / denominator),
            b_frames: false,
            negative: false,
            audio: Some(48_000),
            start_ms: 0,
            audio_after_ms: 0,
            metadata: true,
            video_kbits: None,
            padding: 0,
            jitter: |_| 0,
            record: record(),
            asc: [0x11, 0x90],
        }
    }

    fn metadata(&self) -> FlvTag {
        let mut body = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x03".to_vec();
        let mut put = |name: &str, value: f64| {
            body.extend_from_slice(&u16::try_from(name.len()).unwrap().to_be_bytes());
            body.extend_from_slice(name.as_bytes());
            body.push(0);
            body.extend_from_slice(&value.to_be_bytes());
        };
        if let Some(rate) = self.rate {
            put("framerate", (rate.as_f64() * 1000.0).round() / 1000.0);
            put("videocodecid", 7.0);
            put("videodatarate", self.video_kbits.unwrap_or_default());
        }
        if self.audio.is_some() {
            put("audiocodecid", 10.0);
        }
        body.extend_from_slice(&[0, 0, 9]);
        self.tag(TagKind::Script, 0, body)
    }

    pub(crate) fn tag(&self, kind: TagKind, millis: i64, body: Vec<u8>) -> FlvTag {
        let timestamp = RtmpMillis(self.start_ms.wrapping_add_signed(i32::try_from(millis).unwrap()));
        FlvTag { kind, timestamp, body: body.into() }
    }

    /// Sequence headers and metadata.
    pub(crate) fn headers(&self) -> Vec<FlvTag> {
        let mut tags = Vec::new();
        if self.metadata {
            tags.push(self.metadata());
        }
        if self.rate.is_some() {
            tags.push(self.tag(TagKind::Video, 0, [&[0x17, 0, 0, 0, 0][..], &self.record].concat()));
        }
        if self.audio.is_some() {
            tags.push(self.tag(TagKind::Audio, 0, [&[0xaf, 0][..], &self.asc].concat()));
        }
        tags
    }

    /// The n-th picture: the sample carries its number.
    pub(crate) fn picture(&self, n: i64) -> (i64, FlvTag) {
        let rate = self.rate.unwrap();
        let millis = rate.ticks(n) / 90 + (self.jitter)(n);
        let key = self.gop > 0 && n % self.gop == 0;
        let frames = match (self.b_frames, n % self.gop.max(1)) {
            (false, _) => 0,
            (true, 0) => 1,
            (true, n) if n % 3 == 1 => 3,
            (true, _) => 0,
        } - i64::from(self.b_frames && self.negative);
        let composition = i32::try_from(rate.ticks(n + frames) / 90 - rate.ticks(n) / 90).unwrap();
        let mut body = vec![if key { 0x17 } else { 0x27 }, 1];
        body.extend_from_slice(&composition.to_be_bytes()[1..]);
        body.extend_from_slice(&(9 + u32::from(self.padding)).to_be_bytes());
        body.push(if key { 0x65 } else { 0x41 });
        body.extend_from_slice(&n.to_be_bytes());
        body.resize(body.len() + usize::from(self.padding), 0xff);
        (millis, self.tag(TagKind::Video, millis, body))
    }

    /// The n-th audio frame.
    pub(crate) fn sound(&self, n: i64) -> (i64, FlvTag) {
        let millis = n * 1024 * 1000 / i64::from(self.audio.unwrap()) + self.audio_after_ms;
        (millis, self.tag(TagKind::Audio, millis, [&[0xaf, 1][..], &n.to_be_bytes()].concat()))
    }

    /// What is sent in `from_ms .. to_ms`, in the order of time.
    pub(crate) fn media(&self, from_ms: i64, to_ms: i64) -> Vec<(i64, FlvTag)> {
        let mut tags = Vec::new();
        // From a second before: jitter moves some.
        let from = |per_second: f64| ((from_ms - 1_000).max(0) as f64 / 1_000.0 * per_second) as i64;
        if let Some(rate) = self.rate {
            let pictures = (from(rate.as_f64())..).map(|n| self.picture(n));
            tags.extend(pictures.take_while(|(at, _)| *at < to_ms));
        }
        if let Some(audio) = self.audio {
            let sounds = (from((f64::from(audio) / 1024.0) - 1.0)..).map(|n| self.sound(n));
            tags.extend(sounds.take_while(|(at, _)| *at < to_ms));
        }
        tags.retain(|(at, _)| *at >= from_ms);
        tags.sort_by_key(|(at, _)| *at);
        tags
    }
}

/// A 640x360 configuration.
pub(crate) fn record() -> Bytes {
    Bytes::from_static(RECORD)
}

/// A packager in virtual time, every output checked.
pub(crate) struct Run {
    pub(crate) packager: Packager,
    pub(crate) checker: Checker,
    pub(crate) now: Instant,
    start: Instant,
    /// When each part of the main rendition came, and the timestamp of the newest tag by then.
    pub(crate) part_times: Vec<Duration>,
}

impl Run {
    pub(crate) fn new(config: PackagerConfig) -> Self {
        Self::after(config, None)
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    pub(crate) fn after(config: PackagerConfig, last_keyframe_interval: Option<Duration>) -> Self {
        let now = Instant::now();
        let wall = "2026-11-21T03:00:00Z".parse().unwrap();
        let packager = Packager::new(config, PackagerStart { now, wall, last_keyframe_interval });
        Self { packager, checker: Checker::default(), now, start: now, part_times: Vec::new() }
    }

    fn drain(&mut self) {
        while let Some(output) = self.packager.poll_output() {
            self.checker.check(&output);
            if matches!(&output, crate::model::Output::Part(part) if part.rendition.0 == 0) {
                self.part_times.push(self.now - self.start);
            }
        }
    }

    /// Lets the time pass, waking the packager when it wants to be.
    pub(crate) fn advance_to(&mut self, at: Instant) {
        for _ in 0..100_000 {
            match self.packager.poll_timeout().filter(|due| *due <= at) {
                Some(due) => {
                    self.now = self.now.max(due);
                    self.packager.handle_timeout(self.now);
                    self.drain();
                }
                None => {
                    self.now = self.now.max(at);
                    return;
                }
            }
        }
        panic!("the packager never sleeps");
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        self.advance_to(self.now + duration);
    }

    pub(crate) fn join(&mut self, encoder: &Encoder) {
        self.packager.handle_publisher_joined(self.now);
        self.drain();
        for tag in encoder.headers() {
            self.tag(tag).unwrap();
        }
    }

    pub(crate) fn tag(&mut self, tag: FlvTag) -> Result<(), PackagerError> {
        let result = self.packager.handle_tag(self.now, self.now, tag);
        self.drain();
        result
    }

    /// Plays `from_ms .. to_ms` of an encoder in real time.
    pub(crate) fn play(&mut self, encoder: &Encoder, from_ms: i64, to_ms: i64) {
        self.play_tags(from_ms, to_ms, encoder.media(from_ms, to_ms));
    }

    pub(crate) fn play_tags(&mut self, from_ms: i64, to_ms: i64, tags: Vec<(i64, FlvTag)>) {
        let origin = self.now;
        let at =
            |millis: i64| origin + Duration::from_millis(u64::try_from((millis - from_ms).max(0)).unwrap());
        for (millis, tag) in tags {
            self.advance_to(at(millis));
            self.tag(tag).unwrap();
        }
        self.advance_to(at(to_ms));
    }

    pub(crate) fn leave(&mut self) {
        self.packager.handle_publisher_left(self.now);
        self.drain();
    }

    pub(crate) fn end(&mut self) {
        self.packager.handle_end(self.now);
        self.drain();
        assert!(self.checker.ended);
        assert_eq!(self.packager.poll_timeout(), None);
    }
}

/// Plays a whole broadcast.
pub(crate) fn broadcast(encoder: &Encoder, part_target_ms: u64, seconds: i64) -> Run {
    let part_target = Duration::from_millis(part_target_ms);
    let mut run = Run::new(PackagerConfig { part_target, ..PackagerConfig::default() });
    run.join(encoder);
    run.play(encoder, 0, seconds * 1000);
    run.end();
    run
}
