//! The rules that hold from one playlist to the next.

use std::collections::HashMap;
use std::time::Duration;

use crate::playlist::{MediaPlaylist, Part, Position, Segment};
use crate::rule::{Findings, Rule};

/// Bounds that are ours, not the RFC's.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Longest time between two new parts, on top of three part targets.
    pub cadence_slack: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { cadence_slack: Duration::from_millis(1500) }
    }
}

/// What one media playlist has said so far.
#[derive(Debug, Default)]
pub struct History {
    bounds: Bounds,
    last: Option<MediaPlaylist>,
    last_growth: Option<Duration>,
    /// Live edges as they were seen: (when, edge).
    edges: Vec<(Duration, Position)>,
    /// Time between two new parts.
    intervals: Vec<Duration>,
    /// URI -> the segment and part it names.
    uris: HashMap<String, (u64, Option<usize>)>,
}

impl History {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// The newest playlist.
    #[must_use]
    pub fn last(&self) -> Option<&MediaPlaylist> {
        self.last.as_ref()
    }

    /// The live edges in the order they were seen, with the time since the start of the run.
    #[must_use]
    pub fn edges(&self) -> &[(Duration, Position)] {
        &self.edges
    }

    /// The times between two new parts.
    #[must_use]
    pub fn intervals(&self) -> &[Duration] {
        &self.intervals
    }

    /// Takes the next full (or merged) playlist, received `now` after the start of the run.
    pub fn advance(&mut self, now: Duration, list: MediaPlaylist, findings: &mut Findings) {
        self.remember_uris(&list, findings);
        if let Some(before) = self.last.take() {
            constants(&before, &list, findings);
            sequence(&before, &list, findings);
            segments(&before, &list, findings);
            hint(&before, &list, findings);
            if before.endlist && (!list.endlist || before.segments.len() != list.segments.len()) {
                findings.add(Rule::EndlistChanged, "the playlist changed after EXT-X-ENDLIST");
            }
            if list.end() > before.end() {
                self.grew(now, &before, &list, findings);
            }
        } else {
            self.last_growth = Some(now);
            self.edges.push((now, list.end()));
        }
        self.last = Some(list);
    }

    fn grew(&mut self, now: Duration, before: &MediaPlaylist, list: &MediaPlaylist, findings: &mut Findings) {
        if let Some(earlier) = self.last_growth.replace(now) {
            let interval = now.saturating_sub(earlier);
            self.intervals.push(interval);
            let bound = 3 * list.part_target.unwrap_or_default() + self.bounds.cadence_slack;
            if interval > bound {
                let (from, to) = (before.end(), list.end());
                let detail = format!("{interval:?} from {from:?} to {to:?}, bound {bound:?}");
                findings.add(Rule::Cadence, detail);
            }
        }
        self.edges.push((now, list.end()));
    }

    fn remember_uris(&mut self, list: &MediaPlaylist, findings: &mut Findings) {
        for segment in &list.segments {
            let whole = segment.uri.iter().map(|uri| (uri, segment.line, None));
            let parts = segment.parts.iter().enumerate().map(|(index, p)| (&p.uri, p.line, Some(index)));
            for (uri, line, part) in whole.chain(parts) {
                if segment.gap || uri.is_empty() {
                    continue;
                }
                let names = (segment.msn, part);
                let known = *self.uris.entry(uri.clone()).or_insert(names);
                if known != names {
                    findings.add_at(
                        Rule::UriReused,
                        line,
                        format!("{uri} named {known:?} and now {names:?}"),
                    );
                }
            }
        }
    }
}

fn constants(before: &MediaPlaylist, list: &MediaPlaylist, findings: &mut Findings) {
    let control = |l: &MediaPlaylist| {
        l.server_control
            .as_ref()
            .map(|c| (c.can_block_reload, c.can_skip_until, c.hold_back, c.part_hold_back))
    };
    for (what, changed) in [
        ("EXT-X-TARGETDURATION", before.target_duration != list.target_duration),
        ("PART-TARGET", before.part_target != list.part_target),
        ("EXT-X-SERVER-CONTROL", control(before) != control(list)),
        ("EXT-X-VERSION", before.version != list.version),
    ] {
        if changed {
            findings.add(Rule::ConstantChanged, format!("{what} changed between two reloads"));
        }
    }
}

fn sequence(before: &MediaPlaylist, list: &MediaPlaylist, findings: &mut Findings) {
    if list.media_sequence < before.media_sequence {
        let detail = format!("EXT-X-MEDIA-SEQUENCE {} -> {}", before.media_sequence, list.media_sequence);
        findings.add(Rule::WentBack, detail);
        return;
    }
    if list.end() < before.end() {
        findings.add(Rule::WentBack, format!("live edge {:?} -> {:?}", before.end(), list.end()));
    }
    let left: Vec<&Segment> = before.segments.iter().filter(|s| s.msn < list.media_sequence).collect();
    if !left.is_empty() && list.duration() < 3 * list.target_duration.unwrap_or_default() {
        let detail = format!("{} segments left, {:?} remain", left.len(), list.duration());
        findings.add(Rule::WindowTooShort, detail);
    }
    let expected = before.discontinuity_sequence + left.iter().filter(|s| s.discontinuity).count() as u64;
    // After a jump over segments that were never seen the count cannot be known.
    let contiguous = list.media_sequence <= before.end().msn;
    if contiguous && list.discontinuity_sequence != expected {
        let detail = format!(
            "{} -> {}, expected {expected}",
            before.discontinuity_sequence, list.discontinuity_sequence
        );
        findings.add(Rule::DiscontinuitySequence, detail);
    }
}

fn segments(before: &MediaPlaylist, list: &MediaPlaylist, findings: &mut Findings) {
    for old in before.segments.iter().filter(|s| s.msn >= list.media_sequence) {
        let Some(new) = list.segments.iter().find(|s| s.msn == old.msn) else {
            if list.end() >= before.end() {
                findings.add(Rule::SegmentVanished, format!("segment {} is listed no more", old.msn));
            }
            continue;
        };
        let changed = |what: &str, old: &dyn std::fmt::Debug, new_value: &dyn std::fmt::Debug| {
            format!("segment {} {what}: {old:?} -> {new_value:?}", new.msn)
        };
        if old.uri.is_some() && old.uri != new.uri {
            findings.add_at(Rule::SegmentChanged, new.line, changed("URI", &old.uri, &new.uri));
        }
        if old.duration.is_some() && old.duration != new.duration {
            findings.add_at(Rule::SegmentChanged, new.line, changed("EXTINF", &old.duration, &new.duration));
        }
        if old.discontinuity != new.discontinuity {
            let detail = changed("DISCONTINUITY", &old.discontinuity, &new.discontinuity);
            findings.add_at(Rule::SegmentChanged, new.line, detail);
        }
        if old.gap && !new.gap || old.uri.is_some() && old.gap != new.gap {
            findings.add_at(Rule::SegmentChanged, new.line, changed("GAP", &old.gap, &new.gap));
        }
        // PROGRAM-DATE-TIME and MAP may be repeated for the first segment of the window; never changed.
        if old.date_time.is_some() && new.date_time.is_some() && old.date_time != new.date_time {
            let detail = changed("PROGRAM-DATE-TIME", &old.date_time, &new.date_time);
            findings.add_at(Rule::SegmentChanged, new.line, detail);
        }
        if old.map.is_some() && new.map.is_some() && old.map != new.map {
            findings.add_at(Rule::SegmentChanged, new.line, changed("MAP", &old.map, &new.map));
        }
        // A live edge that went back has been reported as such.
        if list.end() >= before.end() {
            parts(old, new, findings);
        }
    }
}

/// Parts only get more, until all of a segment's are dropped (from the front on).
fn parts(old: &Segment, new: &Segment, findings: &mut Findings) {
    let same = |a: &Part, b: &Part| {
        (&a.uri, a.duration, a.independent, a.gap) == (&b.uri, b.duration, b.independent, b.gap)
    };
    if new.uri.is_some() && new.parts.len() <= old.parts.len() {
        // Perhaps the first ones were dropped: what is left is the tail of what was.
        let tail = &old.parts[old.parts.len() - new.parts.len()..];
        if tail.iter().zip(&new.parts).all(|(a, b)| same(a, b)) {
            return;
        }
    }
    for (index, earlier) in old.parts.iter().enumerate() {
        match new.parts.get(index) {
            Some(later) if same(earlier, later) => {}
            Some(later) => {
                let detail = format!("segment {} part {index}: {earlier:?} -> {later:?}", new.msn);
                findings.add_at(Rule::SegmentChanged, later.line, detail);
            }
            None => {
                let detail = format!("segment {} part {index} is listed no more", new.msn);
                findings.add_at(Rule::SegmentVanished, new.line, detail);
            }
        }
    }
}

/// §4.4.5.3: what was hinted is what comes next, unless a gap begins there.
fn hint(before: &MediaPlaylist, list: &MediaPlaylist, findings: &mut Findings) {
    let Some(hinted) = before.hints.iter().find(|h| h.kind == "PART") else { return };
    let edge = before.end();
    let next = list
        .segments
        .iter()
        .filter(|s| s.msn >= edge.msn)
        .find_map(|s| if s.msn == edge.msn { s.parts.get(edge.part as usize) } else { s.parts.first() });
    if let Some(next) = next
        && !next.gap
        && next.uri != hinted.uri
    {
        findings.add_at(Rule::HintBroken, next.line, format!("hinted {}, came {}", hinted.uri, next.uri));
    }
}
