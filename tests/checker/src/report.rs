//! The result of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::rule::{Finding, Rule};

/// What one media playlist showed.
#[derive(Debug, Clone, Default)]
pub struct RenditionReport {
    /// Path of its playlist.
    pub name: String,
    /// Reloads answered.
    pub reloads: usize,
    /// Delta updates compared.
    pub deltas: usize,
    /// Parts fetched, of which by their hint before they existed.
    pub parts: usize,
    /// Parts that were asked for before they existed.
    pub hinted_parts: usize,
    /// Whole segments fetched and compared with their parts.
    pub segments: usize,
    /// Init segments fetched.
    pub inits: usize,
    /// Video samples in all parts.
    pub video_samples: u64,
    /// Audio samples in all parts.
    pub audio_samples: u64,
    /// First and last media sequence number seen.
    pub msn: Option<(u64, u64)>,
    /// Whether the playlist ended.
    pub ended: bool,
    /// Longest time between two new parts.
    pub cadence_max: Duration,
    /// Half of the times between two new parts were at most this.
    pub cadence_p50: Duration,
    /// Media that lies in the window: first to last listed.
    pub media: Duration,
    /// Measured peak segment bit rate.
    pub peak_bit_rate: u64,
    /// How far the live edge was behind the server's clock (`Date` has seconds; ours is taken): median.
    pub edge_latency: Option<Duration>,
    /// Discontinuities seen.
    pub discontinuities: usize,
    /// Gap segments seen.
    pub gaps: usize,
    /// Files that were saved: one per init segment.
    pub saved: Vec<std::path::PathBuf>,
}

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Per media playlist.
    pub renditions: Vec<RenditionReport>,
    /// Violations.
    pub findings: Vec<Finding>,
    /// Violations beyond those kept.
    pub dropped: usize,
    /// From the first request to the first playable multivariant playlist.
    pub first_playlist: Duration,
    /// Length of the run.
    pub took: Duration,
}

impl Report {
    /// No violation.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.is_empty()
    }

    /// How often each rule was violated, of the findings kept.
    #[must_use]
    pub fn by_rule(&self) -> BTreeMap<Rule, usize> {
        let mut counts = BTreeMap::new();
        for finding in &self.findings {
            *counts.entry(finding.rule).or_default() += 1;
        }
        counts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "first playlist after {:.2?}, watched {:.1?}", self.first_playlist, self.took)?;
        for r in &self.renditions {
            writeln!(
                f,
                "{}: msn {:?}, {} reloads, {} deltas, {} parts ({} hinted), {} segments, {} inits, {} video and {} \
                 audio samples, new part every {:.0?} (longest {:.0?}), edge {:.0?} behind, peak {} bit/s, {} \
                 discontinuities, {} gaps{}",
                r.name,
                r.msn,
                r.reloads,
                r.deltas,
                r.parts,
                r.hinted_parts,
                r.segments,
                r.inits,
                r.video_samples,
                r.audio_samples,
                r.cadence_p50,
                r.cadence_max,
                r.edge_latency.unwrap_or_default(),
                r.peak_bit_rate,
                r.discontinuities,
                r.gaps,
                if r.ended { ", ended" } else { "" },
            )?;
        }
        for finding in &self.findings {
            writeln!(f, "  {finding}")?;
        }
        if self.dropped > 0 {
            writeln!(f, "  and {} more of the same", self.dropped)?;
        }
        write!(f, "{}", if self.passed() { "passed" } else { "FAILED" })
    }
}
