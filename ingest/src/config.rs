//! Settings of the RTMP server.

use std::time::Duration;

use millrace_core::config::duration;
use serde::{Deserialize, Serialize};

use crate::publish::RegistryConfig;
use crate::rtmp::limits::{Amf0Limits, ChunkLimits, MAX_CHUNK_STREAMS};
use crate::rtmp::session::SessionConfig;

/// Settings of the RTMP server. Durations are written as `30s`, `500ms`, `5m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Threads that carry media. Default 0: half of the cores, at least one; at most 256. One thread carries some
    /// hundred broadcasts; raise it when `media-` threads are busy and cores are idle.
    pub threads: usize,
    /// How long a media thread with many publishers leaves its sockets alone after it looked at them. Default 10 ms, 0
    /// (never) to 50 ms. Higher costs less CPU, because what comes meanwhile is taken in one wake-up, and delays parts
    /// by up to as much. A thread with one publisher never waits; each further one adds 1.25 ms. Tags that complete no
    /// part a viewer waits for may be left for ten times as long.
    #[serde(with = "duration")]
    pub max_pause: Duration,
    /// Time from the connection to the end of the handshake, TLS included. Default 5 s, 100 ms to 60 s. Raise it for
    /// encoders on very slow lines; lower frees the places of silent connections sooner.
    #[serde(with = "duration")]
    pub handshake_timeout: Duration,
    /// Time from the handshake to an accepted publish. Default 10 s, 100 ms to 5 min. Covers the question whether the
    /// key may publish.
    #[serde(with = "duration")]
    pub publish_timeout: Duration,
    /// How long a publisher may send no media. Default 30 s, 1 s to 1 h. Lower notices dead encoders sooner, higher
    /// bears slow lines.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// How long a broadcast waits for a publisher that was cut off. Default 30 s, 0 (ends at once) to 1,800 s. Viewers
    /// stay for that long.
    #[serde(with = "duration")]
    pub reconnect_window: Duration,
    /// How long after a takeover no other encoder may take the channel back. Default 60 s, 0 (off) to 1 h. Keeps two
    /// encoders that reconnect by themselves from taking turns.
    #[serde(with = "duration")]
    pub takeover_hold: Duration,
    /// How long after a broadcast was stopped from the stream manager no encoder may begin the next one. Default 60 s,
    /// 0 (off) to 1 h. Encoders reconnect by themselves; each attempt within it makes it last at least as long again.
    #[serde(with = "duration")]
    pub stop_hold: Duration,
    /// How long connections get to say goodbye when the server stops. Default 5 s, 100 ms to 5 min. What is not done
    /// by then is cut.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// Bytes of one message. Default 8 MiB, 64 KiB to 16,777,215. Raise it for intra-only video of hundreds of
    /// megabits.
    pub max_message_bytes: usize,
    /// Messages of one connection that are not complete. Default 32, 2 to 256.
    pub max_partial_messages: usize,
    /// Bytes of one connection's incomplete messages. Default 16 MiB, at least `max_message_bytes`. The memory a
    /// misbehaving publisher can hold.
    pub max_in_flight_bytes: usize,
    /// How deep AMF0 values may nest. Default 16, 1 to 64.
    pub max_amf_depth: usize,
    /// AMF0 values in one message. Default 1,000, 16 to 100,000.
    pub max_amf_values: usize,
    /// Bytes of one AMF0 string. Default 64 KiB, 256 to 1 MiB.
    pub max_amf_string_bytes: usize,
    /// Connections of one address (IPv6: one /64) that do not publish yet. Default 64, 0 is off. Raise it when many
    /// encoders sit behind one address and start together.
    pub max_connections_per_address: usize,
    /// Connections in all. Default 0: derived from the descriptors this process may open.
    pub max_connections: usize,
}

impl Default for Config {
    fn default() -> Self {
        let (chunks, amf0) = (ChunkLimits::default(), Amf0Limits::default());
        Self {
            threads: 0,
            max_pause: 10 * MILLI,
            handshake_timeout: Duration::from_secs(5),
            publish_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            reconnect_window: Duration::from_secs(30),
            takeover_hold: Duration::from_secs(60),
            stop_hold: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(5),
            max_message_bytes: chunks.max_message_bytes,
            max_partial_messages: chunks.max_partial_messages,
            max_in_flight_bytes: chunks.max_in_flight_bytes,
            max_amf_depth: amf0.max_depth,
            max_amf_values: amf0.max_values,
            max_amf_string_bytes: amf0.max_string_bytes,
            max_connections_per_address: 64,
            max_connections: 0,
        }
    }
}

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

impl Config {
    /// Every problem as a sentence that names the key, the value and the remedy; empty if there is none.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let durations = [
            ("max_pause", self.max_pause, Duration::ZERO, 50 * MILLI),
            ("handshake_timeout", self.handshake_timeout, 100 * MILLI, 60 * SECOND),
            ("publish_timeout", self.publish_timeout, 100 * MILLI, 300 * SECOND),
            ("idle_timeout", self.idle_timeout, SECOND, 3600 * SECOND),
            ("reconnect_window", self.reconnect_window, Duration::ZERO, 1800 * SECOND),
            ("takeover_hold", self.takeover_hold, Duration::ZERO, 3600 * SECOND),
            ("stop_hold", self.stop_hold, Duration::ZERO, 3600 * SECOND),
            ("drain_timeout", self.drain_timeout, 100 * MILLI, 300 * SECOND),
        ];
        for (key, value, least, most) in durations {
            if !(least..=most).contains(&value) {
                problems.push(format!("ingest.{key} is {value:?}; set it to {least:?} to {most:?}"));
            }
        }
        let in_flight_most = 1 << 30;
        let sizes = [
            ("max_message_bytes", self.max_message_bytes, 64 << 10, 0x00ff_ffff),
            ("threads", self.threads, 0, 256),
            ("max_partial_messages", self.max_partial_messages, 2, MAX_CHUNK_STREAMS),
            ("max_in_flight_bytes", self.max_in_flight_bytes, self.max_message_bytes, in_flight_most),
            ("max_amf_depth", self.max_amf_depth, 1, 64),
            ("max_amf_values", self.max_amf_values, 16, 100_000),
            ("max_amf_string_bytes", self.max_amf_string_bytes, 256, 1 << 20),
        ];
        for (key, value, least, most) in sizes {
            if value < least || value > most {
                problems.push(format!("ingest.{key} is {value}; set it to {least} to {most}"));
            }
        }
        problems
    }

    pub(crate) fn session(&self) -> SessionConfig {
        SessionConfig {
            handshake_timeout: self.handshake_timeout,
            publish_timeout: self.publish_timeout,
            idle_timeout: self.idle_timeout,
            chunks: ChunkLimits {
                max_message_bytes: self.max_message_bytes,
                max_in_flight_bytes: self.max_in_flight_bytes,
                max_partial_messages: self.max_partial_messages,
                max_chunk_streams: MAX_CHUNK_STREAMS,
            },
            amf0: Amf0Limits {
                max_depth: self.max_amf_depth,
                max_values: self.max_amf_values,
                max_string_bytes: self.max_amf_string_bytes,
            },
        }
    }

    pub(crate) fn registry(&self) -> RegistryConfig {
        RegistryConfig {
            reconnect_window: self.reconnect_window,
            takeover_hold: self.takeover_hold,
            stop_hold: self.stop_hold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_survive_being_written() {
        let config = Config::default();
        assert_eq!(config.validate(), Vec::<String>::new());
        let json = serde_json::to_string(&config).unwrap();
        assert!(json.contains(r#""idle_timeout":"30s""#), "{json}");
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), config);
        assert!(serde_json::from_str::<Config>(r#"{"idle":"3s"}"#).is_err());
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let config = Config {
            reconnect_window: Duration::from_secs(1801),
            max_in_flight_bytes: 1,
            max_amf_depth: 0,
            ..Config::default()
        };
        let problems = config.validate();
        assert_eq!(problems.len(), 3);
        assert!(
            problems[0].contains("ingest.reconnect_window is 1801s; set it to 0ns to 1800s"),
            "{problems:?}"
        );
    }
}
