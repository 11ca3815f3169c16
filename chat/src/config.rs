//! Limits of chat.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[chat]`: limits of rooms and of their connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatConfig {
    /// Messages of one person in one room within 30 seconds, all at once if need be. Default 20, 1 to 1,000. Who moderates
    /// is not held to it.
    pub messages_per_30s: u32,
    /// Messages of everybody in one room per second. Default 50, 1 to 10,000. Who moderates is not held to it.
    pub room_messages_per_second: u32,
    /// Connections of one address (IPv6: one /64) at once. Default 50, 1 to 100,000: behind one address there may be a whole school.
    pub connections_per_address: u32,
    /// Connections of one person at once, in all rooms. Default 20, 1 to 1,000.
    pub connections_per_person: u32,
    /// Connections by IRC at once, where `irc_addr` or `ircs_addr` is set. Default 500, 1 to 20,000.
    pub irc_connections: usize,
    /// Frames that one connection may send within 10 seconds. Default 60, 5 to 10,000.
    pub frames_per_10s: u32,
    /// Frames that may wait for one connection; one that is further behind is closed. Default 256, 8 to 4,096.
    pub queue: usize,
    /// A page says something at least every so often, and is closed after three times as long. Default 30 seconds, 5 s to
    /// 5 minutes.
    #[serde(with = "millrace_core::config::duration")]
    pub heartbeat: Duration,
    /// How long a new connection may take to say hello. Default 10 seconds, 1 s to 1 minute.
    #[serde(with = "millrace_core::config::duration")]
    pub hello_timeout: Duration,
    /// A write that makes no progress for this long ends the connection. Default 10 seconds, 1 s to 1 minute.
    #[serde(with = "millrace_core::config::duration")]
    pub write_stall: Duration,
    /// When this process stops, pages come back at random within this time, or 2 ms for each if that is less. Default 5
    /// seconds, 0 to 1 minute.
    #[serde(with = "millrace_core::config::duration")]
    pub reconnect_spread: Duration,
    /// For how many days the worker keeps what was said. Default 30, 0 to 3,650; 0: for ever. Fewer need less room; moderators
    /// and people who scroll up see less.
    pub history_days: u32,
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            messages_per_30s: 20,
            room_messages_per_second: 50,
            connections_per_address: 50,
            connections_per_person: 20,
            irc_connections: 500,
            frames_per_10s: 60,
            queue: 256,
            heartbeat: Duration::from_secs(30),
            hello_timeout: Duration::from_secs(10),
            write_stall: Duration::from_secs(10),
            reconnect_spread: Duration::from_secs(5),
            history_days: 30,
        }
    }
}

impl ChatConfig {
    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut number = |key: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                problems.push(format!("chat.{key}: must be {least} to {most}, is {value}"));
            }
        };
        number("messages_per_30s", self.messages_per_30s.into(), 1, 1_000);
        number("room_messages_per_second", self.room_messages_per_second.into(), 1, 10_000);
        number("connections_per_address", self.connections_per_address.into(), 1, 100_000);
        number("connections_per_person", self.connections_per_person.into(), 1, 1_000);
        number("irc_connections", self.irc_connections as u64, 1, 20_000);
        number("frames_per_10s", self.frames_per_10s.into(), 5, 10_000);
        number("queue", self.queue as u64, 8, 4_096);
        number("history_days", self.history_days.into(), 0, 3_650);
        let mut duration = |key: &str, value: Duration, least: u64, most: u64| {
            if !(Duration::from_secs(least)..=Duration::from_secs(most)).contains(&value) {
                problems.push(format!("chat.{key}: must be {least}s to {most}s, is {value:?}"));
            }
        };
        duration("heartbeat", self.heartbeat, 5, 300);
        duration("hello_timeout", self.hello_timeout, 1, 60);
        duration("write_stall", self.write_stall, 1, 60);
        duration("reconnect_spread", self.reconnect_spread, 0, 60);
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_every_wrong_value_is_named() {
        assert_eq!(ChatConfig::default().validate(), Vec::<String>::new());
        let zero = Duration::ZERO;
        let wrong = ChatConfig {
            messages_per_30s: 0,
            room_messages_per_second: 0,
            connections_per_address: 0,
            connections_per_person: 0,
            irc_connections: 0,
            frames_per_10s: 0,
            queue: 0,
            heartbeat: zero,
            hello_timeout: zero,
            write_stall: zero,
            reconnect_spread: Duration::from_secs(61),
            history_days: 3_651,
        };
        assert_eq!(wrong.validate().len(), 12, "{:?}", wrong.validate());
    }
}
