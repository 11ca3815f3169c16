//! The rules that one full media playlist must obey by itself.

use std::time::Duration;

use crate::playlist::{MediaPlaylist, Segment};
use crate::rule::{Findings, Rule};

/// Rounding of printed durations: a sum of a segment's parts may be off by this much.
const SUM_TOLERANCE: Duration = Duration::from_millis(1);
/// `PROGRAM-DATE-TIME` is printed in milliseconds, an audio segment begins up to a frame (23.2 ms at 44.1 kHz) off the
/// picture's cut, and a server slews it by some 20 ms per segment towards its clock when the encoder's drifts.
const DATE_TIME_TOLERANCE: Duration = Duration::from_millis(48);

/// Checks one full playlist.
pub fn check(list: &MediaPlaylist, findings: &mut Findings) {
    if list.skipped.is_some() {
        findings.add(Rule::UnexpectedSkip, "EXT-X-SKIP in an answer to a request without _HLS_skip");
    }
    for (there, tag) in [
        (list.version.is_some(), "EXT-X-VERSION"),
        (list.target_duration.is_some(), "EXT-X-TARGETDURATION"),
        (list.part_target.is_some(), "EXT-X-PART-INF"),
        (list.server_control.is_some(), "EXT-X-SERVER-CONTROL"),
        (list.media_sequence > 0, "EXT-X-MEDIA-SEQUENCE"),
    ] {
        if !there {
            findings.add(Rule::MissingTag, tag);
        }
    }
    check_version(list, findings);
    server_control(list, findings);
    durations(list, findings);
    parts_near_the_end(list, findings);
    maps(list, findings);
    date_times(list, findings);
    gaps(list, findings);
    hints(list, findings);
    if list.independent_segments {
        for segment in list.segments.iter().filter(|s| !s.gap) {
            if segment.parts.first().is_some_and(|p| !p.independent && !p.gap) {
                let detail = format!("segment {} begins with a part that is not independent", segment.msn);
                findings.add_at(Rule::IndependentSegments, segment.parts[0].line, detail);
            }
        }
    }
}

/// §8: MAP in a playlist without EXT-X-I-FRAMES-ONLY needs 6, EXT-X-SKIP 9.
pub(crate) fn check_version(list: &MediaPlaylist, findings: &mut Findings) {
    let offers_skip = list.server_control.as_ref().is_some_and(|c| c.can_skip_until.is_some());
    let needed = if list.skipped.is_some() || offers_skip { 9 } else { 6 };
    if let Some(version) = list.version.filter(|v| *v < needed) {
        findings.add(Rule::VersionTooLow, format!("EXT-X-VERSION:{version}, the tags used need {needed}"));
    }
}

fn server_control(list: &MediaPlaylist, findings: &mut Findings) {
    let (Some(control), Some(target)) = (&list.server_control, list.target_duration) else { return };
    if !control.can_block_reload {
        findings.add_at(Rule::CanBlockReload, control.line, "CAN-BLOCK-RELOAD is not YES");
    }
    if let Some(until) = control.can_skip_until.filter(|until| *until < 6 * target) {
        findings.add_at(Rule::CanSkipUntil, control.line, format!("{until:?} < 6 x {target:?}"));
    }
    if let Some(hold_back) = control.hold_back.filter(|hold_back| *hold_back < 3 * target) {
        findings.add_at(Rule::HoldBack, control.line, format!("{hold_back:?} < 3 x {target:?}"));
    }
    if let (Some(hold_back), Some(part_target)) = (control.part_hold_back, list.part_target)
        && hold_back < 3 * part_target
    {
        findings.add_at(Rule::PartHoldBack, control.line, format!("{hold_back:?} < 3 x {part_target:?}"));
    }
}

fn durations(list: &MediaPlaylist, findings: &mut Findings) {
    let mut from_end = list.duration();
    for segment in &list.segments {
        let begins_from_end = from_end;
        from_end -= segment.length();
        if let (Some(length), Some(target)) = (segment.duration, list.target_duration) {
            let rounded = Duration::from_secs((length + Duration::from_millis(500)).as_secs());
            if rounded > target {
                findings.add_at(Rule::TargetDurationBound, segment.line, format!("{length:?} > {target:?}"));
            }
        }
        let sum: Duration = segment.parts.iter().map(|p| p.duration).sum();
        // Further out a server may have dropped the first parts of a segment already.
        let complete = begins_from_end <= 3 * list.target_duration.unwrap_or_default();
        if let Some(length) = segment.duration.filter(|_| complete && !segment.parts.is_empty())
            && sum.abs_diff(length) > SUM_TOLERANCE
        {
            findings.add_at(Rule::PartSum, segment.line, format!("parts {sum:?}, EXTINF {length:?}"));
        }
        part_bounds(list, segment, findings);
    }
}

fn part_bounds(list: &MediaPlaylist, segment: &Segment, findings: &mut Findings) {
    let Some(target) = list.part_target else { return };
    for (index, part) in segment.parts.iter().enumerate() {
        if part.duration > target {
            findings.add_at(Rule::PartTargetBound, part.line, format!("{:?} > {target:?}", part.duration));
        }
        let last = index + 1 == segment.parts.len();
        let excused = part.independent
            || part.gap
            || segment.parts.get(index + 1).is_some_and(|next| next.gap)
            // The last listed part of the open segment may be its last part: the next playlist tells.
            || last;
        if !excused && part.duration < target.mul_f64(0.85) {
            let detail = format!("{:?} < 85 % of {target:?}", part.duration);
            findings.add_at(Rule::PartTooShort, part.line, detail);
        }
    }
}

fn parts_near_the_end(list: &MediaPlaylist, findings: &mut Findings) {
    let Some(target) = list.target_duration else { return };
    let mut after = list.duration();
    for segment in &list.segments {
        let before_end = after;
        after -= segment.length();
        // `after` is now the distance of the segment's end from the end of the playlist, `before_end` of its start.
        if after > 3 * target && !segment.parts.is_empty() {
            let detail = format!("segment {} ends {after:?} before the end and lists parts", segment.msn);
            findings.add_at(Rule::PartsOutlive, segment.parts[0].line, detail);
        }
        if before_end <= 3 * target && segment.parts.is_empty() && !segment.gap && !list.endlist {
            let detail =
                format!("segment {} begins {before_end:?} before the end and lists none", segment.msn);
            findings.add_at(Rule::PartsDroppedEarly, segment.line, detail);
        }
    }
}

fn maps(list: &MediaPlaylist, findings: &mut Findings) {
    let mut current: Option<&str> = None;
    for segment in &list.segments {
        if let Some(map) = &segment.map {
            if current.is_some_and(|c| c != map) && !segment.discontinuity {
                let detail = format!("{} -> {map} at segment {}", current.unwrap_or_default(), segment.msn);
                findings.add_at(Rule::MapWithoutDiscontinuity, segment.line, detail);
            }
            current = Some(map);
        }
        if current.is_none() && !segment.gap {
            findings.add_at(Rule::MapMissing, segment.line, format!("segment {} has no MAP", segment.msn));
        }
    }
}

fn date_times(list: &MediaPlaylist, findings: &mut Findings) {
    if !list.segments.is_empty() && list.segments.iter().all(|s| s.date_time.is_none()) {
        findings.add(Rule::PdtMissing, "none in the playlist");
    }
    for pair in list.segments.windows(2) {
        let [earlier, later] = pair else { continue };
        let (Some(from), Some(to)) = (earlier.date_time, later.date_time) else { continue };
        if later.discontinuity || later.gap != earlier.gap {
            continue;
        }
        let moved = to.duration_since(from);
        let expected = jiff::SignedDuration::try_from(earlier.length()).unwrap_or_default();
        if (moved - expected).abs() > jiff::SignedDuration::try_from(DATE_TIME_TOLERANCE).unwrap_or_default()
        {
            let detail =
                format!("segment {} lasts {expected:?}, PROGRAM-DATE-TIME moves {moved:?}", earlier.msn);
            findings.add_at(Rule::PdtIncoherent, later.line, detail);
        }
    }
}

fn gaps(list: &MediaPlaylist, findings: &mut Findings) {
    for segment in list.segments.iter().filter(|s| s.uri.is_some() && !s.parts.is_empty()) {
        let gaps = segment.parts.iter().filter(|p| p.gap).count();
        if segment.gap != (gaps > 0) {
            let (msn, of) = (segment.msn, segment.parts.len());
            let detail = format!("segment {msn}: gap {}, {gaps} of {of} parts are", segment.gap);
            findings.add_at(Rule::GapInconsistent, segment.line, detail);
        }
    }
}

fn hints(list: &MediaPlaylist, findings: &mut Findings) {
    let parts = list.hints.iter().filter(|h| h.kind == "PART").count();
    let expected = usize::from(!list.endlist);
    if parts != expected {
        findings.add(Rule::PreloadHint, format!("{parts} hints of TYPE=PART, {expected} expected"));
    }
    for hint in list.hints.iter().filter(|h| h.kind != "PART" && h.kind != "MAP") {
        findings.add_at(Rule::TagValue, hint.line, format!("TYPE={}", hint.kind));
    }
}
