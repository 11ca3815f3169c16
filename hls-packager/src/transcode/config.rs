//! Settings of what needs a decoder.

use std::path::PathBuf;
use std::time::Duration;

use millrace_core::config::duration;
use serde::{Deserialize, Serialize};

use crate::ladder::LadderConfig;

/// Settings of what needs a decoder: the `[transcode]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranscodeConfig {
    /// The program `millrace-transcoder`. Default: the one beside the server's own executable. If it is not there, a warning
    /// in the log says so once, and there are no thumbnails and no rungs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// Whether live channels have thumbnails. Default true. Of 1080p it takes about 0.13 s of a core per channel and
    /// [`Self::thumbnail_interval`].
    pub thumbnails: bool,
    /// How often a live channel's thumbnail is renewed, default 10 s, 2 s to 10 min. Less costs more of a core, and a keyframe
    /// comes only every few seconds anyway.
    #[serde(with = "duration")]
    pub thumbnail_interval: Duration,
    /// How much of a broadcast its storyboard covers, with a small picture every [`Self::thumbnail_interval`]: default 6 h, 0 s
    /// (none) to 48 h. An hour takes about 1.5 MiB of memory at the default interval; the oldest pictures go first.
    #[serde(with = "duration")]
    pub storyboard: Duration,
    /// Rungs for viewers whose line is slower.
    pub ladder: LadderConfig,
}

impl Default for TranscodeConfig {
    fn default() -> Self {
        Self {
            program: None,
            thumbnails: true,
            thumbnail_interval: Duration::from_secs(10),
            storyboard: Duration::from_secs(6 * 3600),
            ladder: LadderConfig::default(),
        }
    }
}

impl TranscodeConfig {
    /// Every problem, each with the key, the value and the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let interval = self.thumbnail_interval;
        if !(Duration::from_secs(2)..=Duration::from_secs(600)).contains(&interval) {
            problems.push(format!("transcode.thumbnail_interval is {interval:?}; set 2s to 10m"));
        }
        if self.storyboard > Duration::from_secs(48 * 3600) {
            problems.push(format!("transcode.storyboard is {:?}; set 0s (none) to 48h", self.storyboard));
        }
        problems.extend(self.ladder.validate());
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_names_its_key() {
        assert_eq!(TranscodeConfig::default().validate(), Vec::<String>::new());
        let config = TranscodeConfig {
            thumbnail_interval: Duration::ZERO,
            storyboard: Duration::MAX,
            ..TranscodeConfig::default()
        };
        let problems = config.validate();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].starts_with("transcode.thumbnail_interval is "), "{problems:?}");
        assert!(problems[1].starts_with("transcode.storyboard is "), "{problems:?}");
    }
}
