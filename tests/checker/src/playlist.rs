//! The strict parser of media playlists.
//!
//! It shares no code with the packager: the two were written from the text of RFC 8216bis apart from each other.
//! Anything a lenient player would skip is a finding here.

use std::time::Duration;

use jiff::Timestamp;

use crate::attributes::{Attributes, parse_integer, parse_seconds};
use crate::rule::{Findings, Rule};

/// A media playlist as written, full or delta.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MediaPlaylist {
    /// `EXT-X-VERSION`.
    pub version: Option<u64>,
    /// `EXT-X-TARGETDURATION`.
    pub target_duration: Option<Duration>,
    /// `PART-TARGET`.
    pub part_target: Option<Duration>,
    /// `EXT-X-SERVER-CONTROL`.
    pub server_control: Option<ServerControl>,
    /// `EXT-X-MEDIA-SEQUENCE`, 0 if absent.
    pub media_sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`, 0 if absent.
    pub discontinuity_sequence: u64,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-SKIP`: how many segments a delta leaves out.
    pub skipped: Option<u64>,
    /// The segments, the last one perhaps open (without URI).
    pub segments: Vec<Segment>,
    /// `EXT-X-PRELOAD-HINT`s.
    pub hints: Vec<Hint>,
    /// `EXT-X-RENDITION-REPORT`s.
    pub reports: Vec<Report>,
    /// `EXT-X-ENDLIST`.
    pub endlist: bool,
}

/// `EXT-X-SERVER-CONTROL`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerControl {
    /// Line.
    pub line: usize,
    /// `CAN-BLOCK-RELOAD`.
    pub can_block_reload: bool,
    /// `CAN-SKIP-UNTIL`.
    pub can_skip_until: Option<Duration>,
    /// `HOLD-BACK`.
    pub hold_back: Option<Duration>,
    /// `PART-HOLD-BACK`.
    pub part_hold_back: Option<Duration>,
}

/// A segment and the tags that apply to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    /// Media sequence number.
    pub msn: u64,
    /// Line of its URI, or of its first tag while it is open.
    pub line: usize,
    /// `EXTINF`; `None` while it is open.
    pub duration: Option<Duration>,
    /// Its URI; `None` while it is open.
    pub uri: Option<String>,
    /// `EXT-X-DISCONTINUITY` before it.
    pub discontinuity: bool,
    /// `EXT-X-GAP`.
    pub gap: bool,
    /// `EXT-X-PROGRAM-DATE-TIME`.
    pub date_time: Option<Timestamp>,
    /// `EXT-X-MAP` before it.
    pub map: Option<String>,
    /// Its parts.
    pub parts: Vec<Part>,
}

/// `EXT-X-PART`.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Line.
    pub line: usize,
    /// `URI`.
    pub uri: String,
    /// `DURATION`.
    pub duration: Duration,
    /// `INDEPENDENT=YES`.
    pub independent: bool,
    /// `GAP=YES`.
    pub gap: bool,
}

/// `EXT-X-PRELOAD-HINT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    /// Line.
    pub line: usize,
    /// `TYPE`.
    pub kind: String,
    /// `URI`.
    pub uri: String,
}

/// `EXT-X-RENDITION-REPORT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Line.
    pub line: usize,
    /// `URI`.
    pub uri: String,
    /// `LAST-MSN`.
    pub last_msn: Option<u64>,
    /// `LAST-PART`.
    pub last_part: Option<u64>,
}

/// A place in a playlist: `part` parts of segment `msn` are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The open segment.
    pub msn: u64,
    /// How many of its parts are listed; what comes next has this index.
    pub part: u64,
}

impl MediaPlaylist {
    /// The live edge: what a blocking reload asks for next.
    #[must_use]
    pub fn end(&self) -> Position {
        match self.segments.last() {
            None => Position { msn: self.media_sequence + self.skipped.unwrap_or(0), part: 0 },
            Some(last) if last.uri.is_some() => Position { msn: last.msn + 1, part: 0 },
            Some(last) => Position { msn: last.msn, part: last.parts.len() as u64 },
        }
    }

    /// What is listed, in seconds: complete segments and the parts of the open one.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.segments.iter().map(Segment::length).sum()
    }
}

impl Segment {
    /// `EXTINF`, or the parts listed so far.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.duration.unwrap_or_else(|| self.parts.iter().map(|p| p.duration).sum())
    }
}

/// Parses a media playlist; whatever is wrong with its text is added to `findings`.
#[must_use]
pub fn parse(text: &str, findings: &mut Findings) -> MediaPlaylist {
    let mut parser = Parser { list: MediaPlaylist::default(), open: Segment::default(), seen: Vec::new() };
    check_text(text, findings);
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if number == 1 {
            if line != "#EXTM3U" {
                findings.add_at(Rule::FirstLine, 1, format!("{line:?}"));
            }
        } else if let Some(tag) = line.strip_prefix("#EXT") {
            parser.tag(tag, number, findings);
        } else if line.starts_with('#') || line.is_empty() {
            // A comment or a blank line.
        } else {
            parser.uri(line, number, findings);
        }
    }
    parser.finish(findings)
}

/// The rules of the text as such (§4.1).
pub(crate) fn check_text(text: &str, findings: &mut Findings) {
    if text.is_empty() {
        findings.add(Rule::FirstLine, "empty");
    }
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(bad) = line.chars().find(|c| c.is_control() || *c == '\u{feff}') {
            findings.add_at(Rule::Text, index + 1, format!("character {bad:?}"));
        }
        if !line.starts_with('#') && line.trim() != line {
            findings.add_at(Rule::Text, index + 1, "blanks around a URI");
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.add(Rule::Text, "the last line does not end");
    }
}

struct Parser {
    list: MediaPlaylist,
    /// Tags and parts of the segment whose URI has not come yet.
    open: Segment,
    /// Playlist tags seen, for duplicates.
    seen: Vec<&'static str>,
}

const MULTIVARIANT: [&str; 6] = [
    "-X-MEDIA",
    "-X-STREAM-INF",
    "-X-I-FRAME-STREAM-INF",
    "-X-SESSION-DATA",
    "-X-SESSION-KEY",
    "-X-CONTENT-STEERING",
];

impl Parser {
    fn tag(&mut self, tag: &str, line: usize, findings: &mut Findings) {
        let (name, value) = tag.split_once(':').map_or((tag, None), |(n, v)| (n, Some(v)));
        if self.list.endlist && name != "-X-RENDITION-REPORT" {
            findings.add_at(Rule::MisplacedTag, line, format!("#EXT{name} after EXT-X-ENDLIST"));
        }
        let flag = |findings: &mut Findings| {
            if value.is_some() {
                findings.add_at(Rule::TagValue, line, format!("#EXT{name} takes no value"));
            }
        };
        let text = value.unwrap_or("");
        match name {
            "-X-VERSION" => self.list.version = self.number("EXT-X-VERSION", text, line, findings),
            "-X-TARGETDURATION" => {
                let seconds = self.number("EXT-X-TARGETDURATION", text, line, findings);
                self.list.target_duration = seconds.map(Duration::from_secs);
            }
            "-X-MEDIA-SEQUENCE" => {
                let number = self.number("EXT-X-MEDIA-SEQUENCE", text, line, findings);
                self.list.media_sequence = number.unwrap_or(0);
            }
            "-X-DISCONTINUITY-SEQUENCE" => {
                let number = self.number("EXT-X-DISCONTINUITY-SEQUENCE", text, line, findings);
                self.list.discontinuity_sequence = number.unwrap_or(0);
            }
            "-X-INDEPENDENT-SEGMENTS" => {
                flag(findings);
                self.once("EXT-X-INDEPENDENT-SEGMENTS", line, findings);
                self.list.independent_segments = true;
            }
            "-X-PART-INF" => {
                self.once("EXT-X-PART-INF", line, findings);
                let list = Attributes::parse("EXT-X-PART-INF", text, line, &["PART-TARGET"], findings);
                list.require(&["PART-TARGET"], findings);
                self.list.part_target = list.seconds("PART-TARGET", findings);
            }
            "-X-SERVER-CONTROL" => self.server_control(text, line, findings),
            "-X-START" => {
                self.once("EXT-X-START", line, findings);
                let known = ["TIME-OFFSET", "PRECISE"];
                let list = Attributes::parse("EXT-X-START", text, line, &known, findings);
                list.require(&["TIME-OFFSET"], findings);
                let offset = list.word("TIME-OFFSET", findings).unwrap_or_default();
                if parse_seconds(offset.strip_prefix('-').unwrap_or(&offset)).is_none() {
                    findings.add_at(Rule::TagValue, line, format!("TIME-OFFSET is {offset:?}"));
                }
                list.yes("PRECISE", findings);
            }
            "-X-SKIP" => {
                self.once("EXT-X-SKIP", line, findings);
                let known = ["SKIPPED-SEGMENTS", "RECENTLY-REMOVED-DATERANGES"];
                let list = Attributes::parse("EXT-X-SKIP", text, line, &known, findings);
                list.require(&["SKIPPED-SEGMENTS"], findings);
                if !self.list.segments.is_empty() || self.open != Segment::default() {
                    findings.add_at(Rule::MisplacedTag, line, "EXT-X-SKIP after a media segment tag");
                }
                self.list.skipped = Some(list.integer("SKIPPED-SEGMENTS", findings).unwrap_or(0));
            }
            "-X-ENDLIST" => {
                flag(findings);
                self.list.endlist = true;
            }
            "-X-PRELOAD-HINT" => {
                let known = ["TYPE", "URI", "BYTERANGE-START", "BYTERANGE-LENGTH"];
                let list = Attributes::parse("EXT-X-PRELOAD-HINT", text, line, &known, findings);
                list.require(&["TYPE", "URI"], findings);
                let kind = list.word("TYPE", findings).unwrap_or_default();
                let uri = list.string("URI", findings).unwrap_or_default();
                self.list.hints.push(Hint { line, kind, uri });
            }
            "-X-RENDITION-REPORT" => {
                let known = ["URI", "LAST-MSN", "LAST-PART"];
                let list = Attributes::parse("EXT-X-RENDITION-REPORT", text, line, &known, findings);
                list.require(&["URI", "LAST-MSN", "LAST-PART"], findings);
                let uri = list.string("URI", findings).unwrap_or_default();
                let last_msn = list.integer("LAST-MSN", findings);
                let last_part = list.integer("LAST-PART", findings);
                self.list.reports.push(Report { line, uri, last_msn, last_part });
            }
            "INF" | "-X-DISCONTINUITY" | "-X-GAP" | "-X-PROGRAM-DATE-TIME" | "-X-MAP" | "-X-PART" => {
                if value.is_some() && matches!(name, "-X-DISCONTINUITY" | "-X-GAP") {
                    flag(findings);
                }
                self.segment_tag(name, text, line, findings);
            }
            "-X-KEY" | "-X-BYTERANGE" | "-X-DATERANGE" | "-X-BITRATE" | "-X-PLAYLIST-TYPE"
            | "-X-I-FRAMES-ONLY" | "-X-DEFINE" => {
                findings.add_at(Rule::UnknownTag, line, format!("#EXT{name} is not used by this server yet"));
            }
            "M3U" => findings.add_at(Rule::DuplicateTag, line, "#EXTM3U again"),
            _ if MULTIVARIANT.contains(&name) => {
                findings.add_at(Rule::MisplacedTag, line, format!("#EXT{name} in a media playlist"));
            }
            _ => findings.add_at(Rule::UnknownTag, line, format!("#EXT{name}")),
        }
    }

    /// A playlist tag whose value is one integer. Those stand before the first segment (§4.4.3).
    fn number(&mut self, tag: &'static str, text: &str, line: usize, findings: &mut Findings) -> Option<u64> {
        self.once(tag, line, findings);
        let number = parse_integer(text);
        if number.is_none() {
            findings.add_at(Rule::TagValue, line, format!("{tag} is {text:?}"));
        }
        number
    }

    /// A playlist tag may stand once, and before the first segment.
    fn once(&mut self, tag: &'static str, line: usize, findings: &mut Findings) {
        if self.seen.contains(&tag) {
            findings.add_at(Rule::DuplicateTag, line, tag);
        } else if !self.list.segments.is_empty() || self.open != Segment::default() {
            findings.add_at(Rule::MisplacedTag, line, format!("{tag} after the first segment"));
        }
        self.seen.push(tag);
    }

    fn server_control(&mut self, text: &str, line: usize, findings: &mut Findings) {
        self.once("EXT-X-SERVER-CONTROL", line, findings);
        let known =
            ["CAN-BLOCK-RELOAD", "CAN-SKIP-UNTIL", "CAN-SKIP-DATERANGES", "HOLD-BACK", "PART-HOLD-BACK"];
        let list = Attributes::parse("EXT-X-SERVER-CONTROL", text, line, &known, findings);
        list.require(&["CAN-BLOCK-RELOAD", "PART-HOLD-BACK", "CAN-SKIP-UNTIL"], findings);
        self.list.server_control = Some(ServerControl {
            line,
            can_block_reload: list.yes("CAN-BLOCK-RELOAD", findings),
            can_skip_until: list.seconds("CAN-SKIP-UNTIL", findings),
            hold_back: list.seconds("HOLD-BACK", findings),
            part_hold_back: list.seconds("PART-HOLD-BACK", findings),
        });
    }

    fn segment_tag(&mut self, name: &str, text: &str, line: usize, findings: &mut Findings) {
        if self.open.line == 0 {
            self.open.line = line;
        }
        let late = !self.open.parts.is_empty();
        let mut before_parts = |duplicate: bool| {
            if duplicate {
                findings.add_at(Rule::DuplicateTag, line, format!("#EXT{name} twice for one segment"));
            } else if late {
                findings.add_at(
                    Rule::MediaTagAfterPart,
                    line,
                    format!("#EXT{name} after a part of its segment"),
                );
            }
        };
        match name {
            "INF" => {
                if self.open.duration.is_some() {
                    findings.add_at(Rule::DuplicateTag, line, "#EXTINF twice for one segment");
                }
                let seconds = text.split_once(',').map(|(seconds, _title)| seconds);
                self.open.duration = seconds.and_then(parse_seconds);
                if self.open.duration.is_none() {
                    findings.add_at(Rule::TagValue, line, format!("#EXTINF is {text:?}"));
                }
            }
            "-X-DISCONTINUITY" => {
                before_parts(self.open.discontinuity);
                self.open.discontinuity = true;
            }
            "-X-GAP" => {
                if self.open.gap {
                    findings.add_at(Rule::DuplicateTag, line, "#EXT-X-GAP twice for one segment");
                }
                self.open.gap = true;
            }
            "-X-PROGRAM-DATE-TIME" => {
                before_parts(self.open.date_time.is_some());
                self.open.date_time = text.parse().ok();
                if self.open.date_time.is_none() {
                    findings.add_at(Rule::TagValue, line, format!("PROGRAM-DATE-TIME is {text:?}"));
                }
            }
            "-X-MAP" => {
                before_parts(self.open.map.is_some());
                let list = Attributes::parse("EXT-X-MAP", text, line, &["URI", "BYTERANGE"], findings);
                list.require(&["URI"], findings);
                self.open.map = list.string("URI", findings);
            }
            _ => {
                let known = ["URI", "DURATION", "INDEPENDENT", "BYTERANGE", "GAP"];
                let list = Attributes::parse("EXT-X-PART", text, line, &known, findings);
                list.require(&["URI", "DURATION"], findings);
                if self.open.duration.is_some() {
                    findings.add_at(Rule::MisplacedTag, line, "EXT-X-PART between EXTINF and its URI");
                }
                self.open.parts.push(Part {
                    line,
                    uri: list.string("URI", findings).unwrap_or_default(),
                    duration: list.seconds("DURATION", findings).unwrap_or_default(),
                    independent: list.yes("INDEPENDENT", findings),
                    gap: list.yes("GAP", findings),
                });
            }
        }
    }

    fn uri(&mut self, uri: &str, line: usize, findings: &mut Findings) {
        let mut segment = std::mem::take(&mut self.open);
        if segment.duration.is_none() {
            findings.add_at(Rule::MissingTag, line, "a segment without EXTINF");
            segment.duration = Some(Duration::ZERO);
        }
        if self.list.endlist {
            findings.add_at(Rule::MisplacedTag, line, "a segment after EXT-X-ENDLIST");
        }
        segment.line = line;
        segment.uri = Some(uri.to_owned());
        self.push(segment);
    }

    fn push(&mut self, mut segment: Segment) {
        let first = self.list.media_sequence + self.list.skipped.unwrap_or(0);
        segment.msn = first + self.list.segments.len() as u64;
        self.list.segments.push(segment);
    }

    fn finish(mut self, findings: &mut Findings) -> MediaPlaylist {
        if self.open != Segment::default() {
            let open = std::mem::take(&mut self.open);
            if open.duration.is_some() {
                findings.add_at(Rule::MissingTag, open.line, "EXTINF without a URI");
            }
            self.push(Segment { duration: None, ..open });
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<Rule> {
        let mut findings = Findings::new("x");
        let _ = parse(text, &mut findings);
        findings.as_slice().iter().map(|f| f.rule).collect()
    }

    #[test]
    fn segments_parts_and_the_open_segment_are_numbered() {
        let mut findings = Findings::new("x");
        let text = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4.0,\na.m4s\n\
                    #EXT-X-PART:DURATION=1.0,URI=\"p1\",INDEPENDENT=YES\n#EXTINF:1.0,\nb.m4s\n\
                    #EXT-X-PART:DURATION=0.5,URI=\"p2\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p3\"\n";
        let list = parse(text, &mut findings);
        assert_eq!(findings.as_slice(), []);
        assert_eq!(list.segments.iter().map(|s| s.msn).collect::<Vec<_>>(), [7, 8, 9]);
        assert_eq!(list.end(), Position { msn: 9, part: 1 });
        assert_eq!(list.duration(), Duration::from_millis(5500));
    }

    #[test]
    fn what_a_lenient_player_skips_is_a_finding() {
        for (text, want) in [
            ("#EXT-X-VERSION:9\n", vec![Rule::FirstLine]),
            ("#EXTM3U\n#EXT-X-VERSION:9", vec![Rule::Text]),
            ("#EXTM3U\n#EXT-X-VERSION:9\u{7}\n", vec![Rule::Text, Rule::TagValue]),
            ("#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-VERSION:9\n", vec![Rule::DuplicateTag]),
            ("#EXTM3U\n#EXT-X-ALLOW-CACHE:NO\n", vec![Rule::UnknownTag]),
            ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", vec![Rule::MisplacedTag]),
            ("#EXTM3U\n#EXTINF:1.0,\na\n#EXT-X-TARGETDURATION:4\n", vec![Rule::MisplacedTag]),
            ("#EXTM3U\na.m4s\n", vec![Rule::MissingTag]),
            ("#EXTM3U\n#EXTINF:1.0,\n", vec![Rule::MissingTag]),
            ("#EXTM3U\n#EXTINF:1.0\na\n", vec![Rule::TagValue, Rule::MissingTag]),
            ("#EXTM3U\n#EXT-X-GAP:1\n#EXTINF:1.0,\na\n", vec![Rule::TagValue]),
            ("#EXTM3U\n#EXT-X-PART:DURATION=1.0\n", vec![Rule::MissingAttribute]),
            (
                "#EXTM3U\n#EXTINF:1.0,\na\n#EXT-X-ENDLIST\n#EXTINF:1.0,\nb\n",
                vec![Rule::MisplacedTag, Rule::MisplacedTag],
            ),
            (
                "#EXTM3U\n#EXT-X-PART:DURATION=1.0,URI=\"p\"\n#EXT-X-DISCONTINUITY\n",
                vec![Rule::MediaTagAfterPart],
            ),
            ("#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:yesterday\n#EXTINF:1.0,\na\n", vec![Rule::TagValue]),
            ("#EXTM3U\n a\n", vec![Rule::Text, Rule::MissingTag]),
        ] {
            assert_eq!(rules(text), want, "{text:?}");
        }
    }
}
