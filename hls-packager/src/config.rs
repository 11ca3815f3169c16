//! Settings of packager and origin.

use std::time::Duration;

use millrace_core::config::duration;
use serde::{Deserialize, Serialize};

use crate::packager::PackagerConfig;
use crate::window::WindowConfig;

/// Settings of packager and origin: the `[hls]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Length of a part: `ultra` 200 ms, `low` 333 ms, `normal` 1 s. Default `low`. Players stay three parts behind
    /// the live edge. Less means less delay, more requests per viewer, and trouble for viewers whose round trip is
    /// longer than a third of a part.
    pub latency: Latency,
    /// `EXT-X-TARGETDURATION`: whole seconds, default 4 s, 1 s to 12 s. Raised to the keyframe interval that the
    /// channel's last broadcast had. More means fewer segments for players without low latency, and a longer start.
    #[serde(with = "duration")]
    pub target_duration: Duration,
    /// Media that a playlist lists, default 0 s = eight target durations; at least four target durations, at most one
    /// hour. More lets viewers seek further back and delta updates skip more, and costs memory: about 2.6 times the
    /// bit rate times this, because what left the list must stay fetchable.
    #[serde(with = "duration")]
    pub window: Duration,
    /// Requests of the whole process that may wait for media at once, default 20,000, at least 1. Beyond it requests
    /// get 503 with `Retry-After`. Each costs some kilobytes of memory and a connection or an HTTP/2 stream.
    pub max_blocked_requests: usize,
    /// Most bytes of media kept per stream, default 512 MiB, at least 16 MiB. When a broadcast needs more, its oldest
    /// segments go first.
    pub max_stream_bytes: u64,
    /// Most bytes of playlists and media of broadcasts on other nodes that are kept, for half a minute at most, so that
    /// all viewers who come to this node cost the other one a single request for each piece. Default 128 MiB. 0 keeps
    /// nothing: only those who ask while a piece is on its way share it. Of no effect in a process that runs alone.
    pub hop_cache_bytes: u64,
    /// How long playlists and media of an ended broadcast can be fetched, default 60 s, at most one hour. Less frees
    /// memory sooner; viewers who are behind miss the end.
    #[serde(with = "duration")]
    pub ended_retention: Duration,
    /// Whether players other than ours are counted as viewers by their playlist requests. Default true. Turn it off
    /// behind a CDN or another cache, which asks once for everybody: our own player is counted by its beats either way.
    pub count_requests: bool,
    /// With traces: one part in so many has a span, from its last byte to being published. Default 256; 1 is every part, 0
    /// only the first of each publisher, which always has one. More spans cost memory and the collector's time.
    pub trace_parts: u32,
}

/// A latency profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Latency {
    /// Parts of 200 ms: for viewers close to the server.
    Ultra,
    /// Parts of 333 ms.
    #[default]
    Low,
    /// Parts of 1 s: what Apple recommends for the open internet.
    Normal,
}

impl Latency {
    /// The part length it asks for.
    #[must_use]
    pub fn part_target(self) -> Duration {
        Duration::from_millis(match self {
            Self::Ultra => 200,
            Self::Low => 333,
            Self::Normal => 1000,
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            latency: Latency::default(),
            target_duration: Duration::from_secs(4),
            window: Duration::ZERO,
            max_blocked_requests: 20_000,
            max_stream_bytes: 512 << 20,
            hop_cache_bytes: 128 << 20,
            ended_retention: Duration::from_secs(60),
            count_requests: true,
            trace_parts: 256,
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

impl Config {
    /// Every problem, each with the key, the value and the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, problem: String| {
            if !good {
                problems.push(problem);
            }
        };
        let target = self.target_duration;
        check(
            (1..=12).contains(&target.as_secs()) && target.subsec_nanos() == 0,
            format!("hls.target_duration is {target:?}; set whole seconds from 1s to 12s"),
        );
        check(
            self.window.is_zero() || (self.window >= target * 4 && self.window <= HOUR),
            format!(
                "hls.window is {:?}; set 0s for eight target durations, or from four target durations ({:?}) to 1h",
                self.window,
                target * 4
            ),
        );
        check(
            self.max_blocked_requests > 0,
            "hls.max_blocked_requests is 0; no player could wait for the next part, set 1 or more".into(),
        );
        check(
            self.max_stream_bytes >= 16 << 20,
            format!("hls.max_stream_bytes is {}; set 16777216 (16 MiB) or more", self.max_stream_bytes),
        );
        check(
            self.ended_retention <= HOUR,
            format!("hls.ended_retention is {:?}; set 1h or less", self.ended_retention),
        );
        problems
    }

    pub(crate) fn packager(&self) -> PackagerConfig {
        PackagerConfig {
            part_target: self.latency.part_target(),
            target_duration: u32::try_from(self.target_duration.as_secs()).unwrap_or(u32::MAX),
            ..PackagerConfig::default()
        }
    }

    pub(crate) fn window(&self) -> WindowConfig {
        WindowConfig {
            window: (!self.window.is_zero()).then_some(self.window),
            memory_cap_bytes: self.max_stream_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_what_packager_and_window_get() {
        let config = Config::default();
        assert_eq!(config.validate(), Vec::<String>::new());
        assert_eq!(config.packager(), PackagerConfig::default());
        assert_eq!(config.window(), WindowConfig { window: None, memory_cap_bytes: 512 << 20 });
    }

    #[test]
    fn every_problem_names_its_key() {
        let config = Config {
            target_duration: Duration::from_millis(1500),
            window: Duration::from_secs(1),
            max_blocked_requests: 0,
            max_stream_bytes: 1,
            ended_retention: HOUR * 2,
            latency: Latency::Ultra,
            ..Config::default()
        };
        let problems = config.validate();
        let keys =
            ["target_duration", "window", "max_blocked_requests", "max_stream_bytes", "ended_retention"];
        assert_eq!(problems.len(), keys.len());
        for (problem, key) in problems.iter().zip(keys) {
            assert!(problem.starts_with(&format!("hls.{key} is ")), "{problem}");
        }
    }
}
