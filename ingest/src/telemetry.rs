//! Names of what is counted.

use metrics::{Counter, Gauge, counter, gauge};

/// Handles of the metrics that are touched often.
#[derive(Clone)]
pub(crate) struct Telemetry {
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Connections so far.
    pub(crate) connections_total: Counter,
    /// Publishers that feed a packager.
    pub(crate) publishers: Gauge,
    /// Bytes read.
    pub(crate) bytes: Counter,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        metrics::describe_gauge!("millrace_rtmp_connections", "Open RTMP connections");
        metrics::describe_counter!("millrace_rtmp_connections_total", "RTMP connections so far");
        metrics::describe_gauge!("millrace_publishers", "Publishers that are live");
        metrics::describe_counter!("millrace_ingest_bytes_total", "Bytes read from RTMP connections");
        metrics::describe_counter!(
            "millrace_publish_refused_total",
            "RTMP connections that were turned away or cut off, by reason"
        );
        Self {
            connections: gauge!("millrace_rtmp_connections"),
            connections_total: counter!("millrace_rtmp_connections_total"),
            publishers: gauge!("millrace_publishers"),
            bytes: counter!("millrace_ingest_bytes_total"),
        }
    }

    /// Somebody was turned away. `reason` is one of few.
    pub(crate) fn refused(&self, reason: &'static str) {
        counter!("millrace_publish_refused_total", "reason" => reason).increment(1);
    }
}

/// Counts itself in a gauge while it lives.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
