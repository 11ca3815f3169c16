//! Targets of the media side: the FLV demuxer, and the packager as a sequence of operations.

use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace_core::flv::{FlvTag, TagKind};
use millrace_core::time::RtmpMillis;
use millrace_hls_packager::demux::{Demuxed, Demuxer};
use millrace_hls_packager::packager::{Packager, PackagerConfig, PackagerStart};
use millrace_hls_packager::suite::Checker;

/// H.264 High 640x360 at 30 fps, and the same at 320x180.
const RECORDS: [&[u8]; 2] = [
    include_bytes!("../../../hls-packager/tests/fixtures/avc_640x360_30.avcc"),
    include_bytes!("../../../hls-packager/tests/fixtures/avc_320x180_30.avcc"),
];
/// AAC: 48 kHz stereo, 44.1 kHz mono.
const SPECIFIC: [[u8; 2]; 2] = [[0x11, 0x90], [0x12, 0x08]];
/// Operations of one input: enough for any state, few enough to be quick.
const MAX_OPERATIONS: usize = 2_000;

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A tag of any bytes: kind, length, body.
    fn tag(&mut self, timestamp: u32) -> Option<FlvTag> {
        let kind = [TagKind::Audio, TagKind::Video, TagKind::Script][usize::from(self.byte()? % 3)];
        let length = usize::from(self.u16()?).min(self.0.len());
        let body = Bytes::copy_from_slice(self.take(length)?);
        Some(FlvTag { kind, timestamp: RtmpMillis(timestamp), body })
    }
}

/// Tags of any bytes into the demuxer: what comes out is sane.
pub fn flv_demux(data: &[u8]) {
    let mut input = Input(data);
    let mut demuxer = Demuxer::default();
    let mut found = Vec::new();
    while let Some(tag) = input.tag(0) {
        let refused = demuxer.demux(&tag, &mut found).is_err();
        for found in found.drain(..) {
            check_demuxed(&found, &tag);
        }
        if refused {
            return;
        }
    }
}

fn check_demuxed(found: &Demuxed, tag: &FlvTag) {
    match found {
        Demuxed::VideoConfig(config) => {
            assert!((1..=16_384).contains(&config.width) && (1..=16_384).contains(&config.height));
            assert!(config.codec.starts_with("avc1.") && config.codec.len() == 11);
            assert_eq!(config.decoder_config.1[0], 1);
        }
        Demuxed::AudioConfig(config) => {
            assert!((1..=8).contains(&config.channels) && config.scale.ticks_per_second() >= 7_350);
            assert!(matches!(config.frame_samples, 960 | 1024));
        }
        Demuxed::Video(unit) => {
            let (mut at, mut idr) = (0, false);
            while at < unit.data.len() {
                let length = unit.data[at..at + 4].try_into().expect("a length");
                let length = usize::try_from(u32::from_be_bytes(length)).expect("fits");
                if length > 0 {
                    let header = unit.data[at + 4];
                    assert!(header & 0x80 == 0 && !matches!(header & 0x1f, 7..=9), "{header:#x} was kept");
                    idr |= header & 0x1f == 5;
                }
                at += 4 + length;
            }
            assert_eq!((at, idr), (unit.data.len(), unit.sync));
        }
        Demuxed::Audio(unit) => assert!(!unit.data.is_empty() && unit.data.len() < tag.body.len()),
        Demuxed::Metadata { .. } | Demuxed::UnknownTrack | Demuxed::BrokenUnit(_) => {}
    }
}

/// What drives the packager.
struct Driver {
    packager: Packager,
    checker: Checker,
    now: Instant,
    video_ms: u32,
    audio_ms: u32,
}

impl Driver {
    fn drain(&mut self) {
        while let Some(output) = self.packager.poll_output() {
            self.checker.check(&output);
        }
    }

    /// Lets time pass, and asserts that the packager sleeps in between.
    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        for _ in 0..1_000 {
            match self.packager.poll_timeout().filter(|due| *due <= until) {
                Some(due) => {
                    self.now = self.now.max(due);
                    self.packager.handle_timeout(self.now);
                    self.drain();
                }
                None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("the packager never sleeps");
    }

    fn tag(&mut self, kind: TagKind, timestamp: u32, body: Vec<u8>) {
        let tag = FlvTag { kind, timestamp: RtmpMillis(timestamp), body: body.into() };
        // A refusal is an answer, too; the shell would disconnect the publisher.
        let _ = self.packager.handle_tag(self.now, self.now, tag);
        self.drain();
    }

    fn headers(&mut self, which: u8) {
        let record = RECORDS[usize::from(which & 1)];
        let specific = SPECIFIC[usize::from(which >> 1 & 1)];
        if which & 4 == 0 {
            self.tag(TagKind::Video, self.video_ms, [&[0x17, 0, 0, 0, 0], record].concat());
        }
        if which & 8 == 0 {
            self.tag(TagKind::Audio, self.audio_ms, [&[0xaf, 0][..], &specific].concat());
        }
    }

    /// One operation; `None` at the end of the input.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let operation = input.byte()?;
        match operation >> 4 {
            0 => self.packager.handle_publisher_joined(self.now),
            1 => self.packager.handle_publisher_left(self.now),
            2 => self.wait(Duration::from_millis(u64::from(input.u16()? >> 3))),
            3 => self.headers(operation),
            // A picture a frame later, with time passing as it should.
            4 | 5 => {
                self.video_ms = self.video_ms.wrapping_add(33);
                self.picture(operation & 1 != 0, 0);
                self.wait(Duration::from_millis(33));
            }
            6 | 7 => {
                self.audio_ms = self.audio_ms.wrapping_add(21);
                self.tag(TagKind::Audio, self.audio_ms, vec![0xaf, 1, operation]);
            }
            // A picture or sound anywhere.
            8 | 9 => {
                let forward = i32::from(input.u16()?.cast_signed()) << (operation & 0x0e);
                self.video_ms = self.video_ms.wrapping_add_signed(forward);
                let composition = i32::from(input.u16()?.cast_signed());
                self.picture(operation & 1 != 0, composition);
            }
            10 => {
                let forward = i32::from(input.u16()?.cast_signed()) << (operation & 0x0f);
                self.audio_ms = self.audio_ms.wrapping_add_signed(forward);
                self.tag(TagKind::Audio, self.audio_ms, vec![0xaf, 1, operation]);
            }
            11 => {
                let tag = input.tag(self.video_ms)?;
                let _ = self.packager.handle_tag(self.now, self.now, tag);
            }
            12 => self.tag(TagKind::Video, self.video_ms, vec![0x27, 1, 0, 0, 0, 0xff]),
            13 => self.packager.handle_timeout(self.now),
            14 => {
                let _ = self.packager.health(self.now);
            }
            // A stretch of an ordinary broadcast.
            _ => {
                for n in 0..usize::from(operation & 0x0f) * 8 {
                    self.video_ms = self.video_ms.wrapping_add(33);
                    self.audio_ms = self.audio_ms.wrapping_add(33);
                    self.picture(n == 0, 0);
                    self.tag(TagKind::Audio, self.audio_ms, vec![0xaf, 1, operation]);
                    self.wait(Duration::from_millis(33));
                }
            }
        }
        self.drain();
        Some(())
    }

    fn picture(&mut self, key: bool, composition: i32) {
        let mut body = vec![if key { 0x17 } else { 0x27 }, 1];
        body.extend_from_slice(&composition.to_be_bytes()[1..]);
        body.extend_from_slice(&[0, 0, 0, 2, if key { 0x65 } else { 0x41 }, 1]);
        self.tag(TagKind::Video, self.video_ms, body);
    }
}

/// Any sequence of operations: the outputs keep the contract of the model.
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
pub fn packager_ops(data: &[u8]) {
    let mut input = Input(data);
    let Some(settings) = input.byte() else { return };
    let now = Instant::now();
    let config = PackagerConfig {
        part_target: Duration::from_millis([200, 333, 500, 1000][usize::from(settings & 3)]),
        target_duration: 1 + u32::from(settings >> 2 & 7),
        max_part_samples: if settings & 0x20 == 0 { 512 } else { 16 },
        max_waiting_bytes: if settings & 0x40 == 0 { 1 << 20 } else { 512 },
        max_waiting_units: if settings & 0x40 == 0 { 2048 } else { 8 },
        ..PackagerConfig::default()
    };
    let last_keyframe_interval = (settings & 0x80 != 0).then(|| Duration::from_millis(8_333));
    let start = PackagerStart { now, wall: jiff::Timestamp::UNIX_EPOCH, last_keyframe_interval };
    let packager = Packager::new(config, start);
    let mut driver = Driver { packager, checker: Checker::default(), now, video_ms: 0, audio_ms: 0 };
    for _ in 0..MAX_OPERATIONS {
        if driver.step(&mut input).is_none() {
            break;
        }
    }
    driver.packager.handle_end(driver.now);
    driver.drain();
    assert!(driver.checker.ended);
}
