//! Settings of the ladder.

use std::time::Duration;

use millrace_core::config::duration;
use millrace_core::ladder::{ChannelLadder, LadderMode, LadderPlan, MAX_RUNGS};
use millrace_core::transcode::VideoEncoder;
use serde::{Deserialize, Serialize};

/// Heights that rungs may have, and the names they are served under.
const NAMES: [(u16, &str); 9] = [
    (2160, "2160p"),
    (1440, "1440p"),
    (1080, "1080p"),
    (720, "720p"),
    (540, "540p"),
    (480, "480p"),
    (360, "360p"),
    (240, "240p"),
    (144, "144p"),
];
/// Bits per second of a rung, least and most.
const BITRATES: std::ops::RangeInclusive<u32> = 100_000..=50_000_000;
/// Longest time a rung goes on without viewers.
const MAX_LINGER: Duration = Duration::from_secs(3600);

/// One rung: an entry of `[[transcode.ladder.rungs]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungConfig {
    /// Height of its pictures, of pictures that stand upright the width: 144, 240, 360, 480, 540, 720, 1080, 1440 or 2160.
    pub height: u16,
    /// Bits per second of the video, 100,000 to 50,000,000: the most over any second.
    pub bitrate: u32,
    /// Frames per second at most, 1 to 120. A source that has more is made with every second picture, or third.
    #[serde(default = "sixty")]
    pub max_frame_rate: u8,
}

fn sixty() -> u8 {
    60
}

impl RungConfig {
    /// The name it is served under.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAMES.iter().find(|(height, _)| *height == self.height).map_or("rung", |(_, name)| name)
    }
}

/// Settings of the ladder: the `[transcode.ladder]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LadderConfig {
    /// `off` (the default), `on_demand` or `always`. On demand a rung that nobody watched begins with the next segment, a
    /// keyframe interval later; until then whoever chose it gets the source's pictures. A channel may have less, and more if
    /// an admin says so.
    pub mode: LadderMode,
    /// The rungs, at most six; those that are not below the source are not made. Default 1080p with 5 Mbit/s, 720p with 2.8,
    /// 480p with 1.4 and 360p with 0.8 Mbit/s, the last two with 30 frames per second at most.
    pub rungs: Vec<RungConfig>,
    /// `x264` (the default), or a graphics card's: `nvenc`, `vaapi`, `qsv`.
    pub encoder: VideoEncoder,
    /// The encoder's preset; empty (the default) for what suits live pictures, with x264 `veryfast`. Slower ones look better
    /// and take more of the processor.
    pub preset: String,
    /// On demand, how long a rung goes on when nobody watches it any more. Default 30 s, at most one hour.
    #[serde(with = "duration")]
    pub linger: Duration,
    /// Processor time that the ladders of this process may take, in percent of one processor: 150 is one and a half. Default 0:
    /// all but one processor of the machine, at least half of one. Beyond it the most expensive rung is not made for a while;
    /// the broadcast itself is never held up.
    pub max_cpu_percent: u32,
}

impl Default for LadderConfig {
    fn default() -> Self {
        let rung = |height, bitrate, max_frame_rate| RungConfig { height, bitrate, max_frame_rate };
        Self {
            mode: LadderMode::default(),
            rungs: vec![
                rung(1080, 5_000_000, 60),
                rung(720, 2_800_000, 60),
                rung(480, 1_400_000, 30),
                rung(360, 800_000, 30),
            ],
            encoder: VideoEncoder::default(),
            preset: String::new(),
            linger: Duration::from_secs(30),
            max_cpu_percent: 0,
        }
    }
}

impl LadderConfig {
    /// The rungs of the site, those with most lines first, and when they are made.
    #[must_use]
    pub fn plan(&self) -> LadderPlan {
        let mut rungs: Vec<_> = self.rungs.iter().collect();
        rungs.sort_by_key(|rung| std::cmp::Reverse(rung.height));
        let rungs = rungs.into_iter().map(|rung| rung.name().to_owned()).collect();
        LadderPlan { mode: self.mode, rungs }
    }

    /// The same for a channel that wants this; `None` if it has no rungs.
    #[must_use]
    pub fn of_channel(&self, channel: &ChannelLadder) -> Option<Self> {
        let LadderPlan { mode, rungs: names } = channel.comes_to(&self.plan());
        let is_made = |rung: &RungConfig| names.iter().any(|name| name == rung.name());
        let rungs = self.rungs.iter().filter(|rung| is_made(rung)).cloned().collect();
        (mode != LadderMode::Off).then(|| Self { mode, rungs, ..self.clone() })
    }

    /// Every problem, each with the key, the value and the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let heights =
            || NAMES.iter().rev().map(|(height, _)| height.to_string()).collect::<Vec<_>>().join(", ");
        if self.rungs.len() > MAX_RUNGS {
            problems.push(format!(
                "transcode.ladder.rungs has {} entries; leave {MAX_RUNGS} at most",
                self.rungs.len()
            ));
        }
        for (index, rung) in self.rungs.iter().enumerate() {
            let key = format!("transcode.ladder.rungs[{index}]");
            if !NAMES.iter().any(|(height, _)| *height == rung.height) {
                problems.push(format!("{key}.height is {}; set one of {}", rung.height, heights()));
            }
            if self.rungs[..index].iter().any(|before| before.height == rung.height) {
                problems.push(format!("{key}.height is {} like one before; leave one of them", rung.height));
            }
            if !BITRATES.contains(&rung.bitrate) {
                problems.push(format!(
                    "{key}.bitrate is {}; set bits per second from {} to {}",
                    rung.bitrate,
                    BITRATES.start(),
                    BITRATES.end()
                ));
            }
            if !(1..=120).contains(&rung.max_frame_rate) {
                problems.push(format!("{key}.max_frame_rate is {}; set 1 to 120", rung.max_frame_rate));
            }
        }
        if !self.preset.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || self.preset.len() > 32 {
            problems.push(format!(
                "transcode.ladder.preset is {:?}; set a name such as veryfast, or nothing",
                self.preset
            ));
        }
        if self.linger > MAX_LINGER {
            problems.push(format!("transcode.ladder.linger is {:?}; set 1h or less", self.linger));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::ladder::LadderWish;

    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(LadderConfig::default().validate(), Vec::<String>::new());
    }

    #[test]
    fn a_channel_has_the_rungs_of_the_site_that_it_wants() {
        let site = LadderConfig { mode: LadderMode::OnDemand, ..LadderConfig::default() };
        assert_eq!(site.of_channel(&ChannelLadder::default()), Some(site.clone()));
        let wish = |mode, rungs: &[&str]| {
            let rungs = Some(rungs.iter().map(ToString::to_string).collect());
            ChannelLadder { wish: LadderWish { mode, rungs }, ..ChannelLadder::default() }
        };
        let two = site.of_channel(&wish(None, &["480p", "1080p", "999p"])).unwrap();
        assert_eq!(two.rungs, [site.rungs[0].clone(), site.rungs[2].clone()]);
        assert_eq!(site.of_channel(&wish(Some(LadderMode::Off), &["480p"])), None);
        assert_eq!(site.of_channel(&wish(None, &["240p"])), None);
        assert_eq!(LadderConfig::default().of_channel(&ChannelLadder::default()), None);
    }

    #[test]
    fn every_problem_names_its_key() {
        let rung = RungConfig { height: 700, bitrate: 1, max_frame_rate: 0 };
        let config = LadderConfig {
            rungs: vec![rung; 7],
            preset: "very fast".into(),
            linger: Duration::MAX,
            ..LadderConfig::default()
        };
        let problems = config.validate();
        for key in [
            "rungs has",
            "rungs[0].height is 700",
            "rungs[1].height is 700 like",
            "rungs[6].bitrate",
            "rungs[6].max_frame_rate",
            "preset",
            "linger",
        ] {
            assert!(problems.iter().any(|problem| problem.contains(key)), "{key}: {problems:?}");
        }
    }
}
