//! What the origin counts. Labels come from fixed lists.

use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Counter, Gauge, Histogram, Unit};

/// What a request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `index.m3u8` of a channel.
    Multivariant,
    /// `index.m3u8` of a rendition.
    Playlist,
    /// A part.
    Part,
    /// A segment.
    Segment,
    /// An init segment.
    Init,
    /// A thumbnail, a storyboard or its pictures.
    Still,
    /// No name of ours.
    Unknown,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Multivariant, "multivariant"),
    (Kind::Playlist, "playlist"),
    (Kind::Part, "part"),
    (Kind::Segment, "segment"),
    (Kind::Init, "init"),
    (Kind::Still, "still"),
    (Kind::Unknown, "unknown"),
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Handles, registered once.
#[derive(Clone)]
pub struct Metrics {
    requests: [[Counter; 5]; 7],
    bytes: [Counter; 7],
    /// Requests that wait.
    pub blocked: Gauge,
    /// Live broadcasts.
    pub streams: Gauge,
    /// Viewers of all streams.
    pub viewers: Gauge,
    published: Histogram,
    answered: Histogram,
}

impl Metrics {
    /// Registers with the recorder that is installed now.
    #[must_use]
    pub fn new() -> Self {
        metrics::describe_counter!("millrace_hls_requests_total", "HLS requests by kind and status class");
        metrics::describe_counter!("millrace_hls_bytes_total", Unit::Bytes, "Bytes of HLS bodies by kind");
        metrics::describe_gauge!("millrace_blocked_requests", "HLS requests that wait for media");
        metrics::describe_gauge!("millrace_streams", "Live broadcasts");
        metrics::describe_gauge!("millrace_viewers", "Viewers of all live broadcasts, approximately");
        metrics::describe_histogram!(
            "millrace_part_latency_seconds",
            Unit::Seconds,
            "From the last byte of a part's last tag to the part being published, and to a waiting viewer's answer"
        );
        let latency =
            |stage: &'static str| metrics::histogram!("millrace_part_latency_seconds", "stage" => stage);
        Self {
            requests: KINDS.map(|(_, kind)| {
                CLASSES.map(|class| metrics::counter!("millrace_hls_requests_total", "kind" => kind, "status" => class))
            }),
            bytes: KINDS.map(|(_, kind)| metrics::counter!("millrace_hls_bytes_total", "kind" => kind)),
            blocked: metrics::gauge!("millrace_blocked_requests"),
            streams: metrics::gauge!("millrace_streams"),
            viewers: metrics::gauge!("millrace_viewers"),
            published: latency("published"),
            answered: latency("answered"),
        }
    }

    /// The counter of body bytes of a kind.
    pub fn bytes(&self, kind: Kind) -> Counter {
        self.bytes[kind as usize].clone()
    }

    /// Counts an answer.
    pub fn request(&self, kind: Kind, status: StatusCode) {
        if let Some(counter) =
            self.requests[kind as usize].get(usize::from(status.as_u16() / 100).wrapping_sub(1))
        {
            counter.increment(1);
        }
    }

    /// A part can be fetched, this long after its last byte arrived.
    pub fn part_published(&self, after: Duration) {
        self.published.record(after.as_secs_f64());
    }

    /// A viewer that waited is being answered, this long after the newest part's last byte arrived.
    pub fn viewer_answered(&self, after: Duration) {
        self.answered.record(after.as_secs_f64());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_their_index() {
        for (index, (kind, _)) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
