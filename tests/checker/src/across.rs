//! The rules that bind several renditions together, judged after the run from what each of them said.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::multivariant::Variant;
use crate::playlist::{MediaPlaylist, Position};
use crate::rule::{Findings, Rule};

/// What two renditions may differ by at the same media sequence number: an audio frame (1,024 samples at 44.1 kHz
/// are 23.2 ms; HE-AAC 46.4 ms) beside a video frame.
const ALIGNMENT: SignedDuration = SignedDuration::from_millis(60);

/// How stale a rendition report may be: it is rendered with its playlist, and that is a part old at most.
const REPORT_SLACK: Duration = Duration::from_millis(500);

/// What one rendition said of a segment.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentFact {
    /// `PROGRAM-DATE-TIME`.
    pub date_time: Option<Timestamp>,
    /// `EXT-X-DISCONTINUITY`.
    pub discontinuity: bool,
    /// `EXT-X-GAP`.
    pub gap: bool,
    /// `EXTINF`.
    pub duration: Duration,
    /// Bytes, if it was fetched.
    pub bytes: Option<u64>,
}

/// A rendition report as seen in another rendition's playlist.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportFact {
    /// Rendition it is about.
    pub about: String,
    /// When it came, since the start of the run.
    pub received: Duration,
    /// What it said.
    pub last_msn: u64,
    /// What it said.
    pub last_part: u64,
}

/// Everything one rendition said.
#[derive(Debug, Clone, Default)]
pub struct RenditionFacts {
    /// Its URL path.
    pub name: String,
    /// `PART-TARGET`.
    pub part_target: Duration,
    /// `EXT-X-TARGETDURATION`.
    pub target_duration: Duration,
    /// Complete segments by media sequence number.
    pub segments: BTreeMap<u64, SegmentFact>,
    /// Live edges as they were seen.
    pub edges: Vec<(Duration, Position)>,
    /// Reports about others.
    pub reports: Vec<ReportFact>,
    /// Number of parts of each complete segment, to read reports.
    pub part_counts: BTreeMap<u64, u64>,
}

impl RenditionFacts {
    /// Takes over what a playlist says.
    pub fn learn(&mut self, list: &MediaPlaylist) {
        self.part_target = list.part_target.unwrap_or_default();
        self.target_duration = list.target_duration.unwrap_or_default();
        for segment in list.segments.iter().filter(|s| s.uri.is_some()) {
            let bytes = self.segments.get(&segment.msn).and_then(|known| known.bytes);
            let fact = SegmentFact {
                date_time: segment.date_time,
                discontinuity: segment.discontinuity,
                gap: segment.gap,
                duration: segment.length(),
                bytes,
            };
            self.segments.insert(segment.msn, fact);
        }
    }
}

/// Same media sequence number, same time, same discontinuities.
pub fn check_alignment(first: &RenditionFacts, other: &RenditionFacts, findings: &mut Findings) {
    for (msn, ours) in &first.segments {
        let Some(theirs) = other.segments.get(msn) else { continue };
        // One may be a gap where the other has media: sound that is missing for the length of a segment.
        if ours.discontinuity != theirs.discontinuity {
            let detail =
                format!("segment {msn}: discontinuity {} / {}", ours.discontinuity, theirs.discontinuity);
            findings.add(Rule::RenditionsDiverge, detail);
        }
        if let (Some(a), Some(b)) = (ours.date_time, theirs.date_time)
            && a.duration_since(b).abs() > ALIGNMENT
        {
            findings.add(Rule::RenditionsDiverge, format!("segment {msn} begins at {a} / {b}"));
        }
    }
}

/// Every report names what its rendition had around that time.
pub fn check_reports(facts: &[RenditionFacts], findings: &mut Findings) {
    for rendition in facts {
        for report in &rendition.reports {
            let Some(about) = facts.iter().find(|f| f.name == report.about) else { continue };
            let slack = 3 * about.part_target.max(rendition.part_target) + REPORT_SLACK;
            let at =
                |time: Duration| about.edges.iter().rev().find(|(seen, _)| *seen <= time).map(|(_, p)| *p);
            let Some(lower) = at(report.received.saturating_sub(slack)) else { continue };
            let Some(upper) = at(report.received + slack) else { continue };
            if about.edges.last().is_some_and(|(seen, _)| report.received + slack > *seen) {
                // What it had then was not watched any more.
                continue;
            }
            // A complete segment without an open one after it may be named by its last part.
            let reported = Position { msn: report.last_msn, part: report.last_part + 1 };
            let lowest =
                if lower.part == 0 { Position { msn: lower.msn.saturating_sub(1), part: 0 } } else { lower };
            if reported < lowest || reported > upper {
                let detail = format!(
                    "{} in {} at {:?}: LAST-MSN={} LAST-PART={}, it was between {lower:?} and {upper:?}",
                    report.about, rendition.name, report.received, report.last_msn, report.last_part
                );
                findings.add(Rule::RenditionReportWrong, detail);
            }
        }
    }
}

/// The peak segment bit rate (§4.4.6.2): the largest over any run of segments that lasts between half and one and a
/// half target durations.
#[must_use]
pub fn peak_bit_rate(facts: &RenditionFacts) -> u64 {
    let target = facts.target_duration.as_secs_f64();
    let known: Vec<(u64, f64, u64)> = facts
        .segments
        .iter()
        .filter(|(_, s)| !s.gap)
        .filter_map(|(msn, s)| Some((*msn, s.duration.as_secs_f64(), s.bytes?)))
        .collect();
    let mut peak = 0f64;
    for start in 0..known.len() {
        let (mut seconds, mut bytes) = (0.0, 0u64);
        for (offset, (msn, duration, size)) in known[start..].iter().enumerate() {
            if *msn != known[start].0 + offset as u64 {
                break;
            }
            seconds += duration;
            bytes += size;
            if seconds > 1.5 * target {
                break;
            }
            if seconds >= 0.5 * target {
                peak = peak.max(bytes as f64 * 8.0 / seconds);
            }
        }
    }
    peak as u64
}

/// `BANDWIDTH` is at least the peak (1 bit/s of rounding forgiven).
pub fn check_bandwidth(variant: &Variant, facts: &RenditionFacts, findings: &mut Findings) {
    let peak = peak_bit_rate(facts);
    if variant.bandwidth + 1 < peak {
        let detail = format!("{}: BANDWIDTH={} < measured peak {peak}", variant.uri, variant.bandwidth);
        findings.add_at(Rule::Bandwidth, variant.line, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, start_ms: i64) -> RenditionFacts {
        let begin = Timestamp::from_millisecond(1_700_000_000_000 + start_ms).unwrap();
        let fact = |i: u64| SegmentFact {
            date_time: Some(begin + SignedDuration::from_secs(2 * i as i64)),
            discontinuity: i == 3,
            gap: false,
            duration: Duration::from_secs(2),
            bytes: Some(250_000 + 1_000 * i),
        };
        RenditionFacts {
            name: name.into(),
            part_target: Duration::from_millis(334),
            target_duration: Duration::from_secs(4),
            segments: (0..6).map(|i| (100 + i, fact(i))).collect(),
            edges: (0..36)
                .map(|i| (Duration::from_millis(333 * i), Position { msn: 100 + i / 6, part: i % 6 }))
                .collect(),
            ..RenditionFacts::default()
        }
    }

    fn rules(check: impl FnOnce(&mut Findings)) -> Vec<Rule> {
        let mut findings = Findings::new("x");
        check(&mut findings);
        findings.as_slice().iter().map(|f| f.rule).collect()
    }

    #[test]
    fn renditions_apart_by_more_than_a_frame_are_found() {
        let (video, audio) = (facts("main", 0), facts("audio", 21));
        assert_eq!(rules(|f| check_alignment(&video, &audio, f)), []);
        assert!(
            rules(|f| check_alignment(&video, &facts("audio", 200), f)).contains(&Rule::RenditionsDiverge)
        );
        let mut other = audio;
        other.segments.get_mut(&103).unwrap().discontinuity = false;
        assert_eq!(rules(|f| check_alignment(&video, &other, f)), [Rule::RenditionsDiverge]);
    }

    #[test]
    fn reports_may_be_a_moment_old_but_not_wrong() {
        let report = |last_msn, last_part| ReportFact {
            about: "audio".into(),
            received: Duration::from_millis(333 * 15 + 20),
            last_msn,
            last_part,
        };
        for (said, wrong) in [
            (report(102, 2), false),
            (report(102, 1), false),
            (report(101, 5), false),
            (report(101, 0), true),
            (report(104, 0), true),
            (report(99, 5), true),
        ] {
            let mut video = facts("main", 0);
            video.reports = vec![said.clone()];
            let found = rules(|f| check_reports(&[video, facts("audio", 0)], f));
            assert_eq!(found == [Rule::RenditionReportWrong], wrong, "{said:?}: {found:?}");
        }
    }

    #[test]
    fn bandwidth_below_the_measured_peak_is_found() {
        let video = facts("main", 0);
        // The peak is over the last three segments' worth at most: 255,000 bytes in 2 s.
        assert_eq!(peak_bit_rate(&video), 1_020_000);
        let variant = |bandwidth| Variant { bandwidth, uri: "main".into(), ..Variant::default() };
        assert_eq!(rules(|f| check_bandwidth(&variant(1_020_000), &video, f)), []);
        assert_eq!(rules(|f| check_bandwidth(&variant(1_000_000), &video, f)), [Rule::Bandwidth]);
    }
}
