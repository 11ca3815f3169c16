//! Media playlists.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::{Seconds, VERSION};
use crate::window::{Form, Report, Segment, Snapshot};

/// A media playlist, ready to be printed.
#[derive(Debug)]
pub struct MediaPlaylist<'a> {
    /// `EXT-X-TARGETDURATION`, seconds.
    pub target_duration: u32,
    /// `PART-TARGET`.
    pub part_target: Seconds,
    /// `PART-HOLD-BACK`: three times the longest part target of all renditions.
    pub part_hold_back: Seconds,
    /// `EXT-X-MEDIA-SEQUENCE`.
    pub media_sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuity_sequence: u64,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-START`: where to begin, from the start of the playlist.
    pub start: Option<Seconds>,
    /// `EXT-X-SKIP`.
    pub skipped: u64,
    /// Segments after the skipped ones, oldest first; the open one last.
    pub entries: Vec<Entry<'a>>,
    /// Random prefix of all names.
    pub prefix: &'a str,
    /// `EXT-X-PRELOAD-HINT`: number of the next part.
    pub hint: Option<u64>,
    /// `EXT-X-RENDITION-REPORT`s.
    pub reports: &'a [Report],
    /// `EXT-X-ENDLIST`.
    pub ended: bool,
}

/// What the playlist says of one segment.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The segment.
    pub segment: &'a Segment,
    /// Number of the init segment, if `EXT-X-MAP` stands before it.
    pub map: Option<u64>,
    /// Whether its parts are listed.
    pub parts: bool,
    /// Whether it is complete: `EXTINF` and its URI.
    pub complete: bool,
}

impl<'a> MediaPlaylist<'a> {
    /// The playlist of a rendition as it stands.
    #[must_use]
    pub fn new(of: &'a Snapshot, form: Form) -> Self {
        let skipped = if form == Form::Delta { of.skippable() } else { 0 };
        let total: Duration = of.listed().map(|segment| segment.duration).sum();
        let part_target = Seconds::at_least(of.part_target);
        let part_hold_back = Seconds::at_least(of.longest_part_target).times(3);
        Self {
            target_duration: of.target_duration,
            part_target,
            part_hold_back,
            media_sequence: of.listed().next().map_or(0, |segment| segment.msn),
            discontinuity_sequence: of.discontinuity_sequence,
            independent_segments: of.listed().all(Segment::decodes_alone),
            start: if of.ended { None } else { start(of, total) },
            skipped: skipped as u64,
            entries: entries(of, of.listed().skip(skipped).collect()),
            prefix: &of.prefix,
            hint: (!of.ended).then_some(of.next_part),
            reports: &of.reports,
            ended: of.ended,
        }
    }
}

fn entries<'a>(of: &'a Snapshot, listed: Vec<&'a Segment>) -> Vec<Entry<'a>> {
    let mut to_end: Duration = listed.iter().map(|segment| segment.duration).sum();
    let mut map = None;
    let entry = |segment: &'a Segment| {
        let init = segment.init.as_ref().map(|init| init.number);
        // Part tags older than three target durations from the end go; all of a segment at once, for their index
        // is their place in the list.
        let complete = of.open.as_ref().is_none_or(|open| open.msn != segment.msn);
        let parts = to_end <= of.target() * 3 || !complete;
        to_end = to_end.saturating_sub(segment.duration);
        let changed = init != map;
        map = init;
        // After EXT-X-SKIP the first entry repeats the map: a player need not know what it skipped.
        Entry { segment, map: init.filter(|_| changed), parts, complete }
    };
    listed.into_iter().map(entry).collect()
}

/// Where a player must begin because it cannot begin at the hold-back: only while sync samples are sparse.
///
/// A player that joins wants to start PART-HOLD-BACK before the end. If the segment there has no independent part up
/// to that point, hls.js 1.7 has nothing to load until that segment is complete, and then goes back segment by
/// segment. `EXT-X-START` leads it to the newest independent part that is far enough from the end. It is read once,
/// on joining: who watches already stays where they are. The offset counts from the start of the playlist: from the
/// end, hls.js counts from the last part and the draft from the last segment (§4.4.2.2).
fn start(of: &Snapshot, total: Duration) -> Option<Seconds> {
    let latest = total.saturating_sub(of.longest_part_target * 3);
    let mut newest = None;
    let mut in_segment = false;
    let mut at = Duration::ZERO;
    for segment in of.listed() {
        let begins = at;
        if begins <= latest {
            in_segment = segment.decodes_alone();
        }
        for part in &segment.parts {
            if at <= latest && part.independent && part.body.is_some() {
                newest = Some(at);
                in_segment = true;
            }
            at = at.saturating_add(part.duration);
        }
        at = begins.saturating_add(segment.duration);
    }
    // A millisecond inside the part, so that rounding does not lead to the one before.
    newest
        .filter(|_| !in_segment)
        .map(|newest| Seconds::at_least(newest.saturating_add(Duration::from_millis(1))))
}

impl Display for MediaPlaylist<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{}", self.target_duration)?;
        let target = Seconds::rounded(Duration::from_secs(u64::from(self.target_duration)));
        writeln!(
            f,
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={},HOLD-BACK={},PART-HOLD-BACK={}",
            target.times(6),
            target.times(3),
            self.part_hold_back
        )?;
        writeln!(f, "#EXT-X-PART-INF:PART-TARGET={}", self.part_target)?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:{}", self.media_sequence)?;
        writeln!(f, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuity_sequence)?;
        if self.independent_segments {
            writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        if let Some(start) = self.start {
            writeln!(f, "#EXT-X-START:TIME-OFFSET={start},PRECISE=YES")?;
        }
        if self.skipped > 0 {
            writeln!(f, "#EXT-X-SKIP:SKIPPED-SEGMENTS={}", self.skipped)?;
        }
        for entry in &self.entries {
            self.write_entry(f, entry)?;
        }
        if let Some(part) = self.hint {
            writeln!(f, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}-p{part}.m4s\"", self.prefix)?;
        }
        for Report { rendition, last_msn, last_part } in self.reports {
            write!(f, "#EXT-X-RENDITION-REPORT:URI=\"../{rendition}/index.m3u8\",LAST-MSN={last_msn}")?;
            if let Some(part) = last_part {
                write!(f, ",LAST-PART={part}")?;
            }
            writeln!(f)?;
        }
        if self.ended {
            writeln!(f, "#EXT-X-ENDLIST")?;
        }
        Ok(())
    }
}

impl MediaPlaylist<'_> {
    fn write_entry(&self, f: &mut Formatter<'_>, entry: &Entry<'_>) -> fmt::Result {
        let (prefix, segment) = (self.prefix, entry.segment);
        if segment.discontinuity {
            writeln!(f, "#EXT-X-DISCONTINUITY")?;
        }
        if let Some(init) = entry.map {
            writeln!(f, "#EXT-X-MAP:URI=\"{prefix}-i{init}.mp4\"")?;
        }
        writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{:.3}", segment.program_date_time)?;
        if entry.parts {
            let mut at = Duration::ZERO;
            for (number, part) in (segment.first_part..).zip(&segment.parts) {
                // Differences of rounded times: parts add up to the segment to the last digit.
                let begins = Seconds::rounded(at);
                at = at.saturating_add(part.duration);
                write!(
                    f,
                    "#EXT-X-PART:DURATION={},URI=\"{prefix}-p{number}.m4s\"",
                    Seconds::rounded(at).since(begins)
                )?;
                if part.independent {
                    write!(f, ",INDEPENDENT=YES")?;
                }
                writeln!(f, "{}", if part.body.is_none() { ",GAP=YES" } else { "" })?;
            }
        }
        if !entry.complete {
            return Ok(());
        }
        if segment.is_gap() {
            writeln!(f, "#EXT-X-GAP")?;
        }
        writeln!(f, "#EXTINF:{},\n{prefix}-s{}.m4s", Seconds::rounded(segment.duration), segment.msn)
    }
}
