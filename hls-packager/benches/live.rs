//! A live broadcast made by hand, for the benches.
#![allow(dead_code, reason = "each bench uses some of it")]

use std::time::Duration;

use bytes::Bytes;
use millrace_core::ids::BroadcastId;
use millrace_hls_packager::model::{Opened, Output, Part, RenditionId, RenditionInfo, SegmentStarted};
use millrace_hls_packager::origin::View;
use millrace_hls_packager::window::{LEADING_GAPS, Window, WindowConfig, WindowStart};

/// Of the broadcast.
pub(crate) const ID: BroadcastId = BroadcastId(uuid::Uuid::from_u128(1));
const PART: Duration = Duration::from_micros(333_333);
const PARTS_PER_SEGMENT: u64 = 6;
const FIRST_MSN: u64 = 1_795_230_000;

/// A broadcast of 2.5 Mbit/s that has filled its window: `main` and `audio`, parts of 333 ms, segments of 2 s.
pub(crate) struct Live {
    pub(crate) window: Window,
    pub(crate) parts: u64,
    at: jiff::Timestamp,
    body: Bytes,
}

impl Live {
    pub(crate) fn new() -> Self {
        let rendition = |name, codecs: &[&str]| RenditionInfo {
            name,
            part_target: Duration::from_millis(334),
            codecs: codecs.iter().map(ToString::to_string).collect(),
            resolution: None,
            frame_rate: None,
            nominal: None,
            listed: true,
        };
        let renditions =
            vec![rendition("main", &["avc1.64001f", "mp4a.40.2"]), rendition("audio", &["mp4a.40.2"])];
        let config = WindowConfig { window: None, memory_cap_bytes: u64::MAX };
        let mut window =
            Window::new(config, WindowStart { prefix: "r4nd0m1234".into(), first_msn: FIRST_MSN });
        window.apply(Output::Opened(Opened { target_duration: 4, renditions, rungs: 0 })).unwrap();
        let at = "2026-11-21T03:00:00Z".parse().unwrap();
        let mut live = Self { window, parts: 0, at, body: Bytes::from(vec![0; 104_000]) };
        (0..400).for_each(|_| live.part());
        live
    }

    pub(crate) fn part(&mut self) {
        let first = self.parts.is_multiple_of(PARTS_PER_SEGMENT);
        if first {
            if self.parts > 0 {
                self.window.apply(Output::SegmentEnded).unwrap();
            }
            let init = vec![(self.parts == 0).then(|| Bytes::from_static(b"init")); 2];
            let started =
                SegmentStarted { program_date_time: self.at, discontinuity: false, gap: false, init };
            self.window.apply(Output::SegmentStarted(started)).unwrap();
        }
        for rendition in [0, 1] {
            let part = Part {
                rendition: RenditionId(rendition),
                duration: PART,
                independent: first || rendition == 1,
                body: self.body.clone(),
                arrived: None,
                shared: false,
            };
            self.window.apply(Output::Part(part)).unwrap();
        }
        self.parts += 1;
        self.at += PART;
    }

    pub(crate) fn view(&self) -> View {
        View::new(self.window.snapshot(RenditionId(0)).unwrap())
    }
}

/// Media sequence number and index of part `number`.
pub(crate) fn position(number: u64) -> (u64, u64) {
    (FIRST_MSN + LEADING_GAPS + number / PARTS_PER_SEGMENT, number % PARTS_PER_SEGMENT)
}
