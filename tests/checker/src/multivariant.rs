//! The strict parser of multivariant playlists, and what the low-latency profile asks of them.

use crate::attributes::{Attributes, parse_integer};
use crate::playlist::check_text;
use crate::rule::{Findings, Rule};

/// A multivariant playlist.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Multivariant {
    /// `EXT-X-STREAM-INF` entries, in order.
    pub variants: Vec<Variant>,
    /// `EXT-X-MEDIA` entries that have a URI.
    pub renditions: Vec<String>,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
}

/// One `EXT-X-STREAM-INF` and its URI.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variant {
    /// Line of the tag.
    pub line: usize,
    /// The media playlist.
    pub uri: String,
    /// `BANDWIDTH`, bits per second.
    pub bandwidth: u64,
    /// `AVERAGE-BANDWIDTH`, bits per second.
    pub average_bandwidth: Option<u64>,
    /// `CODECS`, split at the commas.
    pub codecs: Vec<String>,
    /// `RESOLUTION`.
    pub resolution: Option<(u64, u64)>,
    /// `FRAME-RATE`.
    pub frame_rate: Option<f64>,
}

impl Multivariant {
    /// Every media playlist named, each once, in order.
    #[must_use]
    pub fn media_playlists(&self) -> Vec<String> {
        let mut uris: Vec<String> = Vec::new();
        for uri in self.variants.iter().map(|v| &v.uri).chain(&self.renditions) {
            if !uris.contains(uri) {
                uris.push(uri.clone());
            }
        }
        uris
    }
}

const STREAM_INF: [&str; 16] = [
    "BANDWIDTH",
    "AVERAGE-BANDWIDTH",
    "SCORE",
    "CODECS",
    "SUPPLEMENTAL-CODECS",
    "RESOLUTION",
    "FRAME-RATE",
    "HDCP-LEVEL",
    "ALLOWED-CPC",
    "VIDEO-RANGE",
    "STABLE-VARIANT-ID",
    "AUDIO",
    "VIDEO",
    "SUBTITLES",
    "CLOSED-CAPTIONS",
    "PATHWAY-ID",
];

const MEDIA: [&str; 16] = [
    "TYPE",
    "URI",
    "GROUP-ID",
    "LANGUAGE",
    "ASSOC-LANGUAGE",
    "NAME",
    "STABLE-RENDITION-ID",
    "DEFAULT",
    "AUTOSELECT",
    "FORCED",
    "INSTREAM-ID",
    "BIT-DEPTH",
    "SAMPLE-RATE",
    "CHARACTERISTICS",
    "CHANNELS",
    "REQ-VIDEO-LAYOUT",
];

/// Parses a multivariant playlist; whatever is wrong with it is added to `findings`.
#[must_use]
pub fn parse(text: &str, findings: &mut Findings) -> Multivariant {
    check_text(text, findings);
    let mut list = Multivariant::default();
    let mut pending: Option<Variant> = None;
    let mut seen: Vec<&str> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(i, l)| (i + 1, l)) {
        if number == 1 {
            if line != "#EXTM3U" {
                findings.add_at(Rule::FirstLine, 1, format!("{line:?}"));
            }
            continue;
        }
        if pending.is_some() && line.starts_with("#EXT") {
            findings.add_at(Rule::MisplacedTag, number, "a tag between EXT-X-STREAM-INF and its URI");
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name {
            "#EXT-X-VERSION" | "#EXT-X-INDEPENDENT-SEGMENTS" | "#EXT-X-START" => {
                if seen.contains(&name) {
                    findings.add_at(Rule::DuplicateTag, number, name);
                }
                seen.push(name);
                list.independent_segments |= name == "#EXT-X-INDEPENDENT-SEGMENTS";
                if name == "#EXT-X-VERSION" && parse_integer(value).is_none() {
                    findings.add_at(Rule::TagValue, number, line);
                }
            }
            "#EXT-X-STREAM-INF" => pending = Some(stream_inf(value, number, findings)),
            "#EXT-X-MEDIA" => {
                let media = Attributes::parse("EXT-X-MEDIA", value, number, &MEDIA, findings);
                media.require(&["TYPE", "GROUP-ID", "NAME"], findings);
                list.renditions.extend(media.string("URI", findings));
            }
            _ if line.is_empty() => {}
            _ if name.starts_with("#EXTINF") || is_media_tag(name) => {
                findings.add_at(Rule::MisplacedTag, number, format!("{name} in a multivariant playlist"));
            }
            _ if name.starts_with("#EXT") => findings.add_at(Rule::UnknownTag, number, name),
            _ if line.starts_with('#') => {}
            _ => match pending.take() {
                Some(variant) => list.variants.push(Variant { uri: line.to_owned(), ..variant }),
                None => findings.add_at(Rule::MissingTag, number, "a URI without EXT-X-STREAM-INF"),
            },
        }
    }
    if pending.is_some() {
        findings.add(Rule::MissingTag, "EXT-X-STREAM-INF without a URI");
    }
    if list.variants.is_empty() {
        findings.add(Rule::MissingTag, "no EXT-X-STREAM-INF");
    }
    list
}

fn is_media_tag(name: &str) -> bool {
    [
        "#EXT-X-TARGETDURATION",
        "#EXT-X-MEDIA-SEQUENCE",
        "#EXT-X-DISCONTINUITY-SEQUENCE",
        "#EXT-X-ENDLIST",
        "#EXT-X-PART-INF",
        "#EXT-X-SERVER-CONTROL",
        "#EXT-X-PART",
        "#EXT-X-MAP",
        "#EXT-X-PROGRAM-DATE-TIME",
        "#EXT-X-PRELOAD-HINT",
        "#EXT-X-RENDITION-REPORT",
        "#EXT-X-SKIP",
        "#EXT-X-GAP",
        "#EXT-X-DISCONTINUITY",
    ]
    .contains(&name)
}

fn stream_inf(value: &str, line: usize, findings: &mut Findings) -> Variant {
    let list = Attributes::parse("EXT-X-STREAM-INF", value, line, &STREAM_INF, findings);
    list.require(&["BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS"], findings);
    let codecs = list.string("CODECS", findings).unwrap_or_default();
    let resolution = list.word("RESOLUTION", findings).and_then(|text| {
        let parsed = text.split_once('x').and_then(|(w, h)| Some((parse_integer(w)?, parse_integer(h)?)));
        if parsed.is_none() {
            findings.add_at(Rule::TagValue, line, format!("RESOLUTION is {text:?}"));
        }
        parsed
    });
    let frame_rate = list.word("FRAME-RATE", findings).and_then(|text| {
        let parsed = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
        if parsed.is_none() {
            findings.add_at(Rule::TagValue, line, format!("FRAME-RATE is {text:?}"));
        }
        parsed
    });
    let variant = Variant {
        line,
        uri: String::new(),
        bandwidth: list.integer("BANDWIDTH", findings).unwrap_or(0),
        average_bandwidth: list.integer("AVERAGE-BANDWIDTH", findings),
        codecs: codecs.split(',').map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect(),
        resolution,
        frame_rate,
    };
    if variant.bandwidth > 0 && variant.average_bandwidth.is_some_and(|average| average > variant.bandwidth) {
        let detail = format!("{:?} > BANDWIDTH {}", variant.average_bandwidth, variant.bandwidth);
        findings.add_at(Rule::AverageBandwidth, line, detail);
    }
    let video =
        variant.codecs.iter().any(|c| !c.starts_with("mp4a") && c != "opus" && c != "ac-3" && c != "fLaC");
    if video && (variant.resolution.is_none() || variant.frame_rate.is_none()) {
        findings.add_at(Rule::CodecsDeclared, line, "a video variant without RESOLUTION or FRAME-RATE");
    }
    variant
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n\
        #EXT-X-STREAM-INF:BANDWIDTH=2500000,AVERAGE-BANDWIDTH=2000000,CODECS=\"avc1.64001f,mp4a.40.2\",\
        RESOLUTION=1280x720,FRAME-RATE=29.970\nmain/index.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,CODECS=\"mp4a.40.2\"\naudio/index.m3u8\n";

    #[test]
    fn variants_are_read() {
        let mut findings = Findings::new("x");
        let list = parse(GOOD, &mut findings);
        assert_eq!(findings.as_slice(), []);
        assert_eq!(list.media_playlists(), ["main/index.m3u8", "audio/index.m3u8"]);
        assert_eq!(list.variants[0].resolution, Some((1280, 720)));
        assert_eq!(list.variants[0].codecs, ["avc1.64001f", "mp4a.40.2"]);
    }

    #[test]
    fn each_fault_is_its_own_finding() {
        for (from, to, want) in [
            ("#EXTM3U\n", "#EXTM3U8\n", Rule::FirstLine),
            ("BANDWIDTH=130000,", "", Rule::MissingAttribute),
            ("AVERAGE-BANDWIDTH=128000", "AVERAGE-BANDWIDTH=131000", Rule::AverageBandwidth),
            (",FRAME-RATE=29.970", "", Rule::CodecsDeclared),
            ("#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9\n", Rule::DuplicateTag),
            ("#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n", Rule::MisplacedTag),
            ("#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-FOO\n", Rule::UnknownTag),
            ("\naudio/index.m3u8\n", "\n", Rule::MissingTag),
            ("FRAME-RATE=29.970", "FRAME-RATE=29.970,SPEED=2", Rule::UnknownAttribute),
        ] {
            let mut findings = Findings::new("x");
            let changed = GOOD.replacen(from, to, 1);
            assert_ne!(changed, GOOD, "{from:?} is not in the text");
            let _ = parse(&changed, &mut findings);
            let found: Vec<_> = findings.as_slice().iter().map(|f| f.rule).collect();
            assert_eq!(found, [want], "{to:?}");
        }
    }
}
