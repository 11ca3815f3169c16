//! Every rule the checker knows, with the clause it comes from.

use std::fmt;

macro_rules! rules {
    ($( $name:ident, $id:literal, $clause:literal, $text:literal; )*) => {
        /// A rule of Low-Latency HLS, or of this project where it is stricter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $( #[doc = $text] $name, )*
        }

        impl Rule {
            /// Every rule, in the order of this file.
            pub const ALL: &'static [Rule] = &[ $( Rule::$name, )* ];

            /// Stable short name.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $( Rule::$name => $id, )* }
            }

            /// Where it is written.
            #[must_use]
            pub fn clause(self) -> &'static str {
                match self { $( Rule::$name => $clause, )* }
            }

            /// What it asks.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $( Rule::$name => $text, )* }
            }
        }
    };
}

rules! {
    // Text.
    FirstLine, "first_line", "RFC 8216bis §4.4.1.1", "A playlist begins with #EXTM3U.";
    Text, "text", "RFC 8216bis §4.1", "A playlist is UTF-8 without BOM and control characters.";
    UnknownTag, "unknown_tag", "project", "Only tags that RFC 8216bis defines are written.";
    DuplicateTag, "duplicate_tag", "RFC 8216bis §4.4.2, §4.4.3", "A tag that concerns the whole playlist, or one segment, stands once.";
    MisplacedTag, "misplaced_tag", "RFC 8216bis §4.4", "A tag stands in the kind of playlist and at the place it is defined for.";
    MissingTag, "missing_tag", "RFC 8216bis §4.4.3", "The tags that a low-latency media playlist needs are there.";
    TagValue, "tag_value", "RFC 8216bis §4.2, §4.4", "The value of a tag has the syntax of its definition.";
    Attributes, "attributes", "RFC 8216bis §4.2", "An attribute list is well formed and names no attribute twice.";
    UnknownAttribute, "unknown_attribute", "project", "Only attributes that RFC 8216bis defines are written.";
    MissingAttribute, "missing_attribute", "RFC 8216bis §4.4", "Required attributes are there.";
    VersionTooLow, "version_too_low", "RFC 8216bis §8", "EXT-X-VERSION allows the tags that are used.";
    // One media playlist.
    TargetDurationBound, "target_duration_bound", "RFC 8216bis §4.4.3.1", "EXTINF, rounded to whole seconds, is at most TARGETDURATION.";
    PartTargetBound, "part_target_bound", "RFC 8216bis §4.4.4.9", "Every part is at most PART-TARGET.";
    PartTooShort, "part_too_short", "RFC 8216bis §4.4.4.9", "A part has at least 85 % of PART-TARGET unless it is independent, a gap, before a gap or the last of its segment.";
    PartSum, "part_sum", "RFC 8216bis §4.4.4.9", "The durations of a segment's parts add up to its EXTINF.";
    CanBlockReload, "can_block_reload", "RFC 8216bis §B.1", "CAN-BLOCK-RELOAD=YES.";
    PartHoldBack, "part_hold_back", "RFC 8216bis §4.4.3.8, Apple 14.3", "PART-HOLD-BACK is at least three PART-TARGET.";
    HoldBack, "hold_back", "RFC 8216bis §4.4.3.8", "HOLD-BACK is at least three TARGETDURATION.";
    CanSkipUntil, "can_skip_until", "RFC 8216bis §4.4.3.8, §B.1", "CAN-SKIP-UNTIL is there and at least six TARGETDURATION.";
    PartsOutlive, "parts_outlive", "RFC 8216bis §6.2.2", "Parts further than three TARGETDURATION from the end are not listed.";
    PartsDroppedEarly, "parts_dropped_early", "RFC 8216bis §6.2.2", "Segments within three TARGETDURATION from the end list their parts.";
    MediaTagAfterPart, "media_tag_after_part", "RFC 8216bis §4.4.4.9", "MAP, DISCONTINUITY, KEY and PROGRAM-DATE-TIME stand before the first part of their segment.";
    MapMissing, "map_missing", "RFC 8216bis §3.1.2, §4.4.4.5", "A fragmented MP4 segment has a MAP.";
    MapWithoutDiscontinuity, "map_without_discontinuity", "RFC 8216bis §4.4.4.3", "The init segment changes only at a DISCONTINUITY.";
    PdtMissing, "pdt_missing", "RFC 8216bis §B.1", "A media playlist has PROGRAM-DATE-TIME.";
    PdtIncoherent, "pdt_incoherent", "RFC 8216bis §6.2.1", "PROGRAM-DATE-TIME moves with the durations.";
    GapInconsistent, "gap_inconsistent", "RFC 8216bis §4.4.4.7, §4.4.4.9", "A segment is a gap exactly when one of its parts is GAP=YES.";
    IndependentSegments, "independent_segments", "RFC 8216bis §4.4.2.1", "EXT-X-INDEPENDENT-SEGMENTS stands only where every segment starts with an independent part.";
    PreloadHint, "preload_hint", "RFC 8216bis §B.1, §4.4.5.3", "Exactly one PRELOAD-HINT of TYPE=PART, and none after ENDLIST.";
    RenditionReportMissing, "rendition_report_missing", "RFC 8216bis §4.4.5.4, §B.1", "There is one RENDITION-REPORT for every other rendition.";
    RenditionReportWrong, "rendition_report_wrong", "RFC 8216bis §4.4.5.4", "A RENDITION-REPORT names what its rendition has.";
    UnexpectedSkip, "unexpected_skip", "RFC 8216bis §4.4.5.2", "EXT-X-SKIP stands only in a delta update.";
    // Over time.
    ConstantChanged, "constant_changed", "RFC 8216bis §4.4.3.1, §6.2.1; Apple", "TARGETDURATION, PART-TARGET, SERVER-CONTROL and VERSION never change.";
    WentBack, "went_back", "RFC 8216bis §6.2.2", "Media sequence and live edge never go back.";
    SegmentChanged, "segment_changed", "RFC 8216bis §6.2.1", "What a playlist said of a segment or part stays true.";
    SegmentVanished, "segment_vanished", "RFC 8216bis §6.2.2", "Segments leave in order, from the front.";
    WindowTooShort, "window_too_short", "RFC 8216bis §6.2.2", "A segment is removed only while at least three TARGETDURATION remain.";
    DiscontinuitySequence, "discontinuity_sequence", "RFC 8216bis §4.4.3.3, §6.2.2", "DISCONTINUITY-SEQUENCE grows by the discontinuities that leave.";
    HintBroken, "hint_broken", "RFC 8216bis §4.4.5.3", "The hinted URI is exactly the next part's.";
    EndlistChanged, "endlist_changed", "RFC 8216bis §6.2.1", "After ENDLIST nothing changes.";
    Cadence, "cadence", "RFC 8216bis §6.2.1", "A new part comes within a generous bound of the one before.";
    UriReused, "uri_reused", "RFC 8216bis §6.2.1", "A URI names one resource for ever.";
    // Delta updates and blocking.
    DeltaDiffers, "delta_differs", "RFC 8216bis §6.2.5.1", "A delta update merges to the full playlist.";
    DeltaSkipsTooMuch, "delta_skips_too_much", "RFC 8216bis §4.4.3.8, §6.2.5.1", "Only segments beyond the skip boundary, counted from the end, are skipped.";
    DeltaSkipsNothing, "delta_skips_nothing", "RFC 8216bis §6.2.5.1", "When segments lie beyond the skip boundary, a delta update skips them.";
    BlockedTooShort, "blocked_too_short", "RFC 8216bis §6.2.5.2", "A blocked reload answers only when what was asked for is listed.";
    StaleDirective, "stale_directive", "RFC 8216bis §6.2.5.2", "A stale _HLS_msn gets the whole current playlist at once.";
    BadDirective, "bad_directive", "RFC 8216bis §6.2.5.2", "Directives that are malformed or too far ahead get 400.";
    UnknownDirective, "unknown_directive", "RFC 8216bis §6.2.5", "Unknown query parameters are ignored.";
    // HTTP.
    Status, "status", "RFC 8216bis §6.2.2, §6.2.6", "What is listed can be fetched.";
    ContentType, "content_type", "RFC 8216bis §4, §10", "Content-Type is the format's.";
    CacheControl, "cache_control", "RFC 8216bis §B.1", "Cache-Control lets a CDN keep what is final and nothing longer than it is true.";
    Etag, "etag", "RFC 9110 §8.8.3", "A strong ETag, another one when the content is another one.";
    NotModified, "not_modified", "RFC 9110 §13.1.2", "If-None-Match with the current ETag gets 304 without a body.";
    Cors, "cors", "Fetch §3.2", "Any origin may read it.";
    Head, "head", "RFC 9110 §9.3.2", "HEAD answers as GET does, without a body.";
    Range, "range", "RFC 9110 §14", "A single range gets 206 with exactly those bytes, a range beyond the end 416.";
    Gzip, "gzip", "RFC 8216bis §B.1, RFC 9110 §12.5.5", "Playlists are served with gzip to those who accept it, with Vary.";
    Problem, "problem", "RFC 9457", "Errors are problem documents.";
    HintLineSpeed, "hint_line_speed", "RFC 8216bis §6.2.6", "No byte of a hinted part comes before all of it can go at line speed.";
    AbandonedHint, "abandoned_hint", "RFC 8216bis §6.2.6", "A hinted part that never comes into being is answered with 404.";
    StillDownloadable, "still_downloadable", "RFC 8216bis §6.2.2", "Parts and segments stay downloadable after they leave the playlist.";
    // Media.
    Mp4, "mp4", "ISO/IEC 14496-12, CMAF §7", "Init segments and parts are well-formed fragmented MP4.";
    MoofSequence, "moof_sequence", "ISO/IEC 14496-12 §8.8.5", "Fragment sequence numbers increase.";
    TfdtContinuity, "tfdt_continuity", "CMAF §7.3.2.2", "A track's decode time continues exactly where it ended.";
    PartDuration, "part_duration", "RFC 8216bis §4.4.4.9", "The samples of a part last as long as its DURATION says.";
    IndependentFlag, "independent_flag", "RFC 8216bis §4.4.4.9", "INDEPENDENT=YES stands exactly on parts that begin with a sync sample, and none hides inside another part.";
    SegmentBytes, "segment_bytes", "RFC 8216bis §3.2", "A segment is the concatenation of its parts.";
    SampleFlags, "sample_flags", "ISO/IEC 14496-12 §8.8.3.1", "Sample flags tell sync samples apart.";
    // Across renditions.
    RenditionsDiverge, "renditions_diverge", "RFC 8216bis §6.2.4, Apple 9.11", "The same media sequence number is the same stretch of time, with the same discontinuities, in every rendition.";
    Bandwidth, "bandwidth", "RFC 8216bis §4.4.6.2", "BANDWIDTH is at least the measured peak segment bit rate.";
    AverageBandwidth, "average_bandwidth", "RFC 8216bis §4.4.6.2", "AVERAGE-BANDWIDTH is at most BANDWIDTH.";
    CodecsDeclared, "codecs_declared", "RFC 8216bis §4.4.6.2", "CODECS, RESOLUTION and FRAME-RATE are there and say what the init segment holds.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is violated.
    pub rule: Rule,
    /// The playlist or resource, as the checker names it.
    pub at: String,
    /// Line in that playlist, from 1.
    pub line: Option<usize>,
    /// What was expected and what came, with the numbers.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] {}", self.rule, self.rule.clause(), self.at)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Findings kept per rule before further ones are only counted: one fault repeats in every reload.
const KEPT_PER_RULE: usize = 5;

/// Collects violations about one resource.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    at: String,
    found: Vec<Finding>,
    dropped: usize,
}

impl Findings {
    /// A collection about `at`.
    #[must_use]
    pub fn new(at: impl Into<String>) -> Self {
        Self { at: at.into(), found: Vec::new(), dropped: 0 }
    }

    /// Adds a violation without a line.
    pub fn add(&mut self, rule: Rule, detail: impl Into<String>) {
        self.push(rule, None, detail.into());
    }

    /// Adds a violation at a line of the playlist.
    pub fn add_at(&mut self, rule: Rule, line: usize, detail: impl Into<String>) {
        self.push(rule, Some(line), detail.into());
    }

    /// Takes over those of another collection.
    pub fn absorb(&mut self, other: Findings) {
        self.dropped += other.dropped;
        for finding in other.found {
            self.keep(finding);
        }
    }

    /// The violations kept.
    #[must_use]
    pub fn as_slice(&self) -> &[Finding] {
        &self.found
    }

    /// Violations that were counted but not kept, because their rule had enough.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    fn push(&mut self, rule: Rule, line: Option<usize>, detail: String) {
        self.keep(Finding { rule, at: self.at.clone(), line, detail });
    }

    fn keep(&mut self, finding: Finding) {
        let same = self.found.iter().filter(|f| f.rule == finding.rule && f.at == finding.at).count();
        if same >= KEPT_PER_RULE {
            self.dropped += 1;
        } else {
            self.found.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_ids_are_unique() {
        let mut ids: Vec<_> = Rule::ALL.iter().map(|r| r.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), Rule::ALL.len());
    }

    #[test]
    fn a_repeated_fault_is_kept_five_times_and_then_counted() {
        let mut findings = Findings::new("x");
        for _ in 0..9 {
            findings.add(Rule::Cadence, "late");
        }
        assert_eq!((findings.as_slice().len(), findings.dropped()), (5, 4));
    }

    #[test]
    fn a_finding_reads_with_rule_clause_place_and_numbers() {
        let mut findings = Findings::new("main");
        findings.add_at(Rule::PartTargetBound, 12, "0.501 s > 0.490 s");
        assert_eq!(
            findings.as_slice()[0].to_string(),
            "part_target_bound [RFC 8216bis §4.4.4.9] main:12: 0.501 s > 0.490 s"
        );
    }
}
