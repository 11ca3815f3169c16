//! What the streamer should know of a broadcast: measured rates, and what to change.

use std::time::{Duration, Instant};

use millrace_core::event::{AudioHealth, StreamHealth, StreamWarning, VideoHealth};

use crate::demux::{AudioConfig, VideoConfig};

/// Bit rates are measured over this many whole seconds.
const WINDOW: usize = 10;
/// Keyframe intervals that are remembered.
const INTERVALS: usize = 8;

/// Bytes per second of the last seconds.
#[derive(Debug, Clone, Copy, Default)]
struct ByteRate {
    seconds: [u64; WINDOW],
    newest: u64,
}

impl ByteRate {
    fn advance(&mut self, second: u64) {
        let skipped = second.saturating_sub(self.newest).min(WINDOW as u64);
        for ahead in 1..=skipped {
            self.seconds[slot(second - skipped + ahead)] = 0;
        }
        self.newest = self.newest.max(second);
    }

    fn add(&mut self, second: u64, bytes: usize) {
        self.advance(second);
        self.seconds[slot(self.newest)] += bytes as u64;
    }

    /// Bits per second since `first`, over at most the window.
    fn bits_per_second(mut self, since_start: Duration) -> u64 {
        let second = since_start.as_secs();
        self.advance(second);
        let bytes: u64 = self.seconds.iter().sum();
        // The running second counts for as much as has passed of it.
        let covered = since_start
            .as_millis()
            .min((WINDOW as u128 - 1) * 1000 + u128::from(since_start.subsec_millis()));
        u64::try_from(u128::from(bytes) * 8000 / covered.max(1000)).unwrap_or(u64::MAX)
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % WINDOW as u64).unwrap_or(0)
}

/// How often something happened that is worth a warning.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) unknown_tracks: u64,
    pub(crate) timestamp_jumps: u64,
    pub(crate) broken_units: u64,
}

/// The measurements of one broadcast.
#[derive(Debug)]
pub(crate) struct Health {
    start: Instant,
    video_bytes: ByteRate,
    audio_bytes: ByteRate,
    b_frames: bool,
    /// Of the current publisher: its first picture, its newest sync sample on its own line and when that came.
    first_picture: Option<Instant>,
    last_sync: Option<(i64, Instant)>,
    intervals: [Option<Duration>; INTERVALS],
    pub(crate) counts: Counts,
}

impl Health {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            video_bytes: ByteRate::default(),
            audio_bytes: ByteRate::default(),
            b_frames: false,
            first_picture: None,
            last_sync: None,
            intervals: [None; INTERVALS],
            counts: Counts::default(),
        }
    }

    /// Another publisher: what the one before did wrong is forgotten.
    pub(crate) fn publisher_joined(&mut self) {
        (self.first_picture, self.last_sync, self.b_frames) = (None, None, false);
        self.intervals = [None; INTERVALS];
        self.counts = Counts::default();
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs()
    }

    /// A picture arrived, at `dts` ticks of the publisher's line.
    pub(crate) fn video(&mut self, now: Instant, bytes: usize, dts: i64, composition_ms: i32, sync: bool) {
        self.video_bytes.add(self.second(now), bytes);
        self.b_frames |= composition_ms != 0;
        self.first_picture.get_or_insert(now);
        if sync {
            if let Some((last, _)) = self.last_sync.filter(|(last, _)| dts > *last) {
                self.intervals.rotate_right(1);
                self.intervals[0] = Some(crate::timeline::span(last, dts));
            }
            self.last_sync = Some((dts, now));
        }
    }

    /// An audio frame arrived.
    pub(crate) fn audio(&mut self, now: Instant, bytes: usize) {
        self.audio_bytes.add(self.second(now), bytes);
    }

    /// The largest of the last keyframe intervals.
    pub(crate) fn keyframe_interval(&self) -> Option<Duration> {
        self.intervals.iter().copied().flatten().max()
    }

    /// The measurements now.
    pub(crate) fn report(
        &self,
        now: Instant,
        video: Option<&VideoConfig>,
        frame_rate: Option<f64>,
        audio: Option<&AudioConfig>,
        target_duration: u32,
    ) -> StreamHealth {
        let since_start = now.saturating_duration_since(self.start);
        let video_rate = self.video_bytes.bits_per_second(since_start);
        let audio_rate = self.audio_bytes.bits_per_second(since_start);
        StreamHealth {
            video: video.map(|config| VideoHealth {
                codec: config.codec.clone(),
                width: config.width,
                height: config.height,
                frame_rate,
                keyframe_interval: self.intervals[0].map(|interval| interval.as_secs_f64()),
                bitrate: video_rate,
                b_frames: self.b_frames,
            }),
            audio: audio.map(|config| AudioHealth {
                codec: config.codec.clone(),
                sample_rate: config.scale.ticks_per_second(),
                channels: config.channels,
                bitrate: audio_rate,
            }),
            bitrate: video_rate + audio_rate,
            warnings: self.warnings(now, video.is_some(), target_duration),
        }
    }

    fn warnings(&self, now: Instant, video: bool, target_duration: u32) -> Vec<StreamWarning> {
        let mut warnings = Vec::new();
        let mut warn =
            |code: &str, sentence: String| warnings.push(StreamWarning { code: code.into(), sentence });
        let bound = Duration::from_secs(target_duration.into());
        let since_sync = self
            .last_sync
            .map(|(_, at)| at)
            .or(self.first_picture)
            .map(|at| now.saturating_duration_since(at));
        if video
            && since_sync.is_some_and(|since| since > bound)
            && self.intervals[0].is_none_or(|i| i <= bound)
        {
            let seconds = since_sync.map_or(0, |since| since.as_secs());
            warn(
                "no_keyframe",
                format!(
                    "No keyframe for {seconds} s: viewers who join now wait for the next one. Set the keyframe \
                     interval to 2 s in OBS under Settings > Output > Streaming, and turn off open GOP and intra \
                     refresh: their keyframes do not decode alone."
                ),
            );
        }
        if let Some(interval) = self.intervals[0].filter(|interval| *interval > bound) {
            warn(
                "keyframe_interval_long",
                format!(
                    "A keyframe comes only every {:.1} s, so viewers wait that long to join. Set the keyframe \
                     interval to 2 s in OBS under Settings > Output > Streaming (\"auto\", or 0, means about 8 s).",
                    interval.as_secs_f64()
                ),
            );
        }
        if self.counts.unknown_tracks > 0 {
            warn(
                "unknown_track",
                "The encoder sends more than one track of a kind; only the first of each is shown.".into(),
            );
        }
        if self.counts.timestamp_jumps > 0 {
            let times = self.counts.timestamp_jumps;
            warn(
                "timestamps_jump",
                format!("The encoder's timestamps jumped {}; the jump was taken out.", often(times)),
            );
        }
        if self.counts.broken_units > 0 {
            let times = self.counts.broken_units;
            warn("broken_access_unit", format!("A frame arrived damaged {} and was dropped.", often(times)));
        }
        warnings
    }
}

fn often(times: u64) -> String {
    if times == 1 { "once".into() } else { format!("{times} times") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn bit_rates_follow_the_last_ten_seconds() {
        let start = Instant::now();
        let mut health = Health::new(start);
        let report = |health: &Health, at: u64| {
            health.report(start + Duration::from_millis(at), None, None, None, 4).bitrate
        };
        for n in 0..200 {
            health.audio(start + Duration::from_millis(100 * n), 12_500);
        }
        // 125,000 bytes a second.
        assert!(report(&health, 20_000).abs_diff(1_000_000) <= 110_000, "{}", report(&health, 20_000));
        assert!(report(&health, 25_000) < 600_000);
        assert_eq!(report(&health, 40_000), 0);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn sparse_and_missing_keyframes_are_told_apart() {
        let start = Instant::now();
        let mut health = Health::new(start);
        let codes = |health: &Health, seconds: u64| -> Vec<String> {
            let now = start + Duration::from_secs(seconds);
            health.warnings(now, true, 4).into_iter().map(|warning| warning.code).collect()
        };
        health.video(start, 10, 0, 0, false);
        assert_eq!(codes(&health, 3), [""; 0]);
        assert_eq!(codes(&health, 5), ["no_keyframe"]);
        health.video(start + Duration::from_secs(5), 10, 450_000, 0, true);
        assert_eq!(codes(&health, 6), [""; 0]);
        health.video(start + Duration::from_millis(13_333), 10, 1_200_000, 0, true);
        assert_eq!(codes(&health, 20), ["keyframe_interval_long"]);
        assert_eq!(health.keyframe_interval().unwrap().as_millis(), 8333);
        health.publisher_joined();
        assert_eq!(codes(&health, 20), [""; 0]);
    }
}
