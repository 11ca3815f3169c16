//! How long things are away, and how much goes on meanwhile: little in CI, the real thing in `make soak`.

use std::time::Duration;

/// The numbers of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    /// How long Kafka and MongoDB are away.
    pub(crate) away: Duration,
    /// Settings of our processes that differ from what is shipped.
    pub(crate) settings: &'static [(&'static str, &'static str)],
    /// After how long a primary of MongoDB that is not heard of is replaced.
    pub(crate) election: Duration,
    /// Broadcasts and viewers of the rolling restart.
    pub(crate) broadcasts: usize,
    pub(crate) viewers: usize,
    /// How long a viewer may be without a new part when nothing is to be noticed.
    pub(crate) late: Duration,
    /// How long sound and picture of rungs must stay together.
    pub(crate) sync: Duration,
}

const SHORT: Windows = Windows {
    away: Duration::from_secs(4),
    settings: &[("MILLRACE_CLUSTER__LEASE", "3s"), ("MILLRACE_KAFKA__AWAY_AFTER", "500ms")],
    election: Duration::from_secs(2),
    broadcasts: 4,
    viewers: 40,
    // Beside compilers.
    late: Duration::from_secs(4),
    sync: Duration::from_secs(40),
};

const REAL: Windows = Windows {
    away: Duration::from_secs(60),
    settings: &[],
    election: Duration::from_secs(10),
    broadcasts: 20,
    viewers: 200,
    late: Duration::from_secs(2),
    sync: Duration::from_secs(3600),
};

impl Windows {
    /// Those of this run. `MILLRACE_TEST_SYNC_SECONDS` is for who has less than an hour.
    pub(crate) fn of_this_run() -> Self {
        let real = std::env::var("MILLRACE_TEST_WINDOWS").is_ok_and(|windows| windows == "real");
        let windows = if real { REAL } else { SHORT };
        let sync = std::env::var("MILLRACE_TEST_SYNC_SECONDS").ok().filter(|seconds| !seconds.is_empty());
        let sync = sync.map(|seconds| Duration::from_secs(seconds.parse().expect("seconds")));
        Self { sync: sync.unwrap_or(windows.sync), ..windows }
    }
}
