//! Playlist delta updates (RFC 8216bis §6.2.5.1): merging, and comparing with the full playlist.

use std::time::Duration;

use crate::playlist::{MediaPlaylist, Segment};
use crate::rule::{Findings, Rule};
use crate::snapshot::check_version;

/// Sums of printed durations are off by less than this.
const ROUNDING: Duration = Duration::from_millis(1);

/// Merges `delta` into the segments of `previous`, an older full playlist.
///
/// # Errors
/// A sentence when the delta skips a segment that the older playlist does not have.
pub fn merge(previous: &MediaPlaylist, delta: &MediaPlaylist) -> Result<MediaPlaylist, String> {
    let skipped = delta.skipped.unwrap_or(0);
    let mut merged = MediaPlaylist { skipped: None, segments: Vec::new(), ..delta.clone() };
    let mut map: Option<String> = None;
    for old in previous.segments.iter().take_while(|s| s.msn <= delta.media_sequence) {
        map = old.map.clone().or(map);
    }
    for msn in delta.media_sequence..delta.media_sequence.saturating_add(skipped) {
        let known = previous.segments.iter().find(|s| s.msn == msn);
        match known {
            Some(segment) => merged.segments.push(segment.clone()),
            None => return Err(format!("segment {msn} is skipped, the playlist before had none")),
        }
    }
    merged.segments.extend(delta.segments.iter().cloned());
    // The MAP of the first segment may have been written on one that has left.
    if let Some(first) = merged.segments.first_mut().filter(|s| s.map.is_none()) {
        first.map = map;
    }
    Ok(merged)
}

/// Checks a delta update against the playlist before it and the full playlist of the same version.
pub fn check(previous: &MediaPlaylist, delta: &MediaPlaylist, full: &MediaPlaylist, findings: &mut Findings) {
    check_version(delta, findings);
    let boundary = full.server_control.as_ref().and_then(|c| c.can_skip_until).unwrap_or_default();
    // How far the start of each segment of the full playlist is from its end.
    let mut from_end = full.duration();
    let mut skippable = 0u64;
    for segment in &full.segments {
        let skipped = segment.msn < delta.media_sequence.saturating_add(delta.skipped.unwrap_or(0));
        // A segment is beyond the boundary when all of it is.
        let end = from_end - segment.length();
        if skipped && end + ROUNDING < boundary {
            let detail = format!("segment {} ends {end:?} from the end, boundary {boundary:?}", segment.msn);
            findings.add(Rule::DeltaSkipsTooMuch, detail);
        }
        skippable += u64::from(end > boundary + ROUNDING);
        from_end = end;
    }
    // With EXT-X-ENDLIST directives are ignored: the answer is the whole playlist.
    if delta.skipped.unwrap_or(0) == 0 && skippable > 1 && !full.endlist {
        findings.add(Rule::DeltaSkipsNothing, format!("{skippable} segments lie beyond {boundary:?}"));
    }
    match merge(previous, delta) {
        Err(detail) => findings.add(Rule::DeltaDiffers, detail),
        Ok(merged) => compare(&merged, full, findings),
    }
}

fn compare(merged: &MediaPlaylist, full: &MediaPlaylist, findings: &mut Findings) {
    let mut differ = |what: &str, merged: String, full: String| {
        if merged != full {
            findings.add(Rule::DeltaDiffers, format!("{what}: merged {merged}, full {full}"));
        }
    };
    differ("TARGETDURATION", format!("{:?}", merged.target_duration), format!("{:?}", full.target_duration));
    differ("PART-TARGET", format!("{:?}", merged.part_target), format!("{:?}", full.part_target));
    differ("MEDIA-SEQUENCE", merged.media_sequence.to_string(), full.media_sequence.to_string());
    let discontinuity = |l: &MediaPlaylist| l.discontinuity_sequence.to_string();
    differ("DISCONTINUITY-SEQUENCE", discontinuity(merged), discontinuity(full));
    differ("ENDLIST", merged.endlist.to_string(), full.endlist.to_string());
    let hints = |l: &MediaPlaylist| format!("{:?}", l.hints.iter().map(|h| &h.uri).collect::<Vec<_>>());
    differ("PRELOAD-HINT", hints(merged), hints(full));
    differ("number of segments", merged.segments.len().to_string(), full.segments.len().to_string());
    let (mut merged_map, mut full_map) = (None, None);
    for (ours, theirs) in merged.segments.iter().zip(&full.segments) {
        merged_map = ours.map.as_ref().or(merged_map);
        full_map = theirs.map.as_ref().or(full_map);
        let what = format!("segment {}", theirs.msn);
        differ(&what, essence(ours), essence(theirs));
        // The first segment of a window repeats its date and time, which an older copy need not have written.
        if ours.date_time.is_some() && theirs.date_time.is_some() {
            let what = format!("{what} PROGRAM-DATE-TIME");
            differ(&what, format!("{:?}", ours.date_time), format!("{:?}", theirs.date_time));
        }
        differ(&format!("{what} MAP"), format!("{merged_map:?}"), format!("{full_map:?}"));
        // An older copy may still list parts that have been removed since.
        if !theirs.parts.is_empty() {
            let parts = |s: &Segment| {
                let list: Vec<_> =
                    s.parts.iter().map(|p| (&p.uri, p.duration, p.independent, p.gap)).collect();
                format!("{list:?}")
            };
            differ(&format!("{what} parts"), parts(ours), parts(theirs));
        }
    }
}

fn essence(segment: &Segment) -> String {
    format!(
        "{} {:?} {:?} discontinuity={} gap={}",
        segment.msn, segment.uri, segment.duration, segment.discontinuity, segment.gap
    )
}
