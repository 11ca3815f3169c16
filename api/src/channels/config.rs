//! `[channels]`.

use serde::{Deserialize, Serialize};

/// Limits of channels and of publishing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelsConfig {
    /// Channels that one person may have. Default 5, 1 to 1,000. Admins have no limit.
    pub max_per_person: usize,
    /// Stream keys of one channel that publish. Default 10, 1 to 100.
    pub max_stream_keys: usize,
    /// Moderators of one channel. Default 50, 0 to 500.
    pub max_moderators: usize,
    /// Channels that one person may follow. Default 2,000, 1 to 100,000.
    pub max_follows: usize,
    /// Broadcasts to come, or series of them, that one channel may plan. Default 50, 1 to 500.
    pub max_planned: usize,
    /// Channels, those followed last, whose plans one sees on the first page. Default 200, 1 to 1,000.
    pub upcoming_of: usize,
    /// Emotes of one channel. Default 50, 0 to 500.
    pub max_emotes: usize,
    /// Largest picture of an emote, as it is sent, in KiB. Default 512, 1 to 5,120.
    pub max_emote_kib: usize,
    /// Stream keys that one address (IPv6: one /64) may try in vain within a minute. Default 20, 1 to 10,000. Keys that
    /// published within the last seconds go on publishing whatever the others of their address do.
    pub failed_publishes_per_minute: u32,
}

impl Default for ChannelsConfig {
    fn default() -> Self {
        Self {
            max_per_person: 5,
            max_stream_keys: 10,
            max_moderators: 50,
            max_follows: 2_000,
            max_planned: 50,
            upcoming_of: 200,
            max_emotes: 50,
            max_emote_kib: 512,
            failed_publishes_per_minute: 20,
        }
    }
}

impl ChannelsConfig {
    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        [
            ("max_per_person", self.max_per_person, 1, 1_000),
            ("max_stream_keys", self.max_stream_keys, 1, 100),
            ("max_moderators", self.max_moderators, 0, 500),
            ("max_follows", self.max_follows, 1, 100_000),
            ("max_planned", self.max_planned, 1, 500),
            ("upcoming_of", self.upcoming_of, 1, 1_000),
            ("max_emotes", self.max_emotes, 0, 500),
            ("max_emote_kib", self.max_emote_kib, 1, 5_120),
            ("failed_publishes_per_minute", self.failed_publishes_per_minute as usize, 1, 10_000),
        ]
        .into_iter()
        .filter(|(_, value, least, most)| value < least || value > most)
        .map(|(key, value, least, most)| format!("channels.{key} is {value}; set it to {least} to {most}"))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds_and_all_problems_are_named_at_once() {
        assert_eq!(ChannelsConfig::default().validate(), Vec::<String>::new());
        let wrong =
            ChannelsConfig { max_per_person: 0, failed_publishes_per_minute: 0, ..ChannelsConfig::default() };
        let problems = wrong.validate();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("channels.max_per_person is 0; set it to 1 to 1000"), "{problems:?}");
    }
}
