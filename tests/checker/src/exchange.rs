//! One HTTP request and its answer as recorded, and the rules of headers.

use std::time::Duration;

use bytes::Bytes;

use crate::rule::{Findings, Rule};

/// A request and its whole answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Path and query.
    pub url: String,
    /// Status code.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body as it came over the wire.
    pub body: Bytes,
    /// When the request was sent, since the start of the run.
    pub sent: Duration,
    /// When the header and first byte had come.
    pub first_byte: Duration,
    /// When the last byte had come.
    pub last_byte: Duration,
}

/// What kind of resource an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Multivariant playlist.
    Multivariant,
    /// Media playlist without directives.
    Playlist {
        /// `EXT-X-TARGETDURATION`.
        target_duration: Duration,
    },
    /// Media playlist by a blocking reload.
    Blocking {
        /// `EXT-X-TARGETDURATION`.
        target_duration: Duration,
    },
    /// Init segment, part or segment.
    Media,
}

/// Longest time between first and last byte of a hinted part: it is complete when it starts.
pub const LINE_SPEED_BOUND: Duration = Duration::from_millis(500);

impl Exchange {
    /// A header's value, if it is there once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as text, with gzip undone.
    #[must_use]
    pub fn text(&self) -> String {
        if self.header("content-encoding") == Some("gzip") {
            let mut text = String::new();
            let read =
                std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&self.body[..]), &mut text);
            return read.map(|_| text).unwrap_or_default();
        }
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `max-age` in seconds.
    #[must_use]
    pub fn max_age(&self) -> Option<u64> {
        self.directives().find_map(|d| d.strip_prefix("max-age=").and_then(|v| v.parse().ok()))
    }

    fn directives(&self) -> impl Iterator<Item = String> {
        self.header("cache-control").unwrap_or("").split(',').map(|d| d.trim().to_ascii_lowercase())
    }
}

/// Remembers the entity tags of one URL path, whatever its query: another body needs another tag.
#[derive(Debug, Default)]
pub struct EntityTags {
    bodies: std::collections::HashMap<String, Bytes>,
}

impl EntityTags {
    /// Checks one more answer.
    pub fn see(&mut self, exchange: &Exchange, findings: &mut Findings) {
        let Some(tag) = exchange.header("etag") else { return };
        match self.bodies.get(tag) {
            Some(body) if *body != exchange.body => {
                findings.add(Rule::Etag, format!("{}: {tag} stood for another body before", exchange.url));
            }
            Some(_) => {}
            None => drop(self.bodies.insert(tag.to_owned(), exchange.body.clone())),
        }
    }
}

/// Checks the header of a successful answer.
pub fn check(exchange: &Exchange, resource: Resource, findings: &mut Findings) {
    let url = &exchange.url;
    if exchange.status != 200 {
        let body: String = exchange.text().chars().take(200).collect();
        return findings.add(Rule::Status, format!("{url}: {} {body}", exchange.status));
    }
    let content_type = exchange.header("content-type").unwrap_or("");
    let playlist = resource != Resource::Media;
    let right = match resource {
        Resource::Media => matches!(content_type, "video/mp4" | "audio/mp4" | "video/iso.segment"),
        _ => content_type.split(';').next() == Some("application/vnd.apple.mpegurl"),
    };
    if !right {
        findings.add(Rule::ContentType, format!("{url}: {content_type:?}"));
    }
    if exchange.header("access-control-allow-origin") != Some("*") {
        let found = exchange.header("access-control-allow-origin");
        findings.add(Rule::Cors, format!("{url}: Access-Control-Allow-Origin is {found:?}"));
    }
    match exchange.header("etag") {
        None => findings.add(Rule::Etag, format!("{url}: no ETag")),
        Some(tag) if !(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2) => {
            findings.add(Rule::Etag, format!("{url}: {tag} is not a strong entity tag"));
        }
        Some(_) => {}
    }
    if playlist {
        let vary = exchange.header("vary").unwrap_or("").to_ascii_lowercase();
        if !vary.split(',').any(|v| v.trim() == "accept-encoding") {
            findings.add(Rule::Gzip, format!("{url}: Vary is {vary:?}"));
        }
    }
    cache_control(exchange, resource, findings);
}

fn cache_control(exchange: &Exchange, resource: Resource, findings: &mut Findings) {
    let (least, most) = match resource {
        Resource::Multivariant => (0, 1),
        // B.1: a playlist that did not block is true for half a target duration at most; design: a second.
        Resource::Playlist { target_duration } => (0, (target_duration.as_secs() / 2).max(1)),
        // B.1: six target durations. Below one a CDN would ask the origin again for the same part.
        Resource::Blocking { target_duration } => (target_duration.as_secs(), 6 * target_duration.as_secs()),
        Resource::Media => (60, u64::MAX),
    };
    let uncacheable = exchange.directives().find(|d| matches!(d.as_str(), "no-store" | "private"));
    let age = exchange.max_age();
    let header = exchange.header("cache-control");
    let immutable = exchange.directives().any(|d| d == "immutable");
    let wrong = uncacheable.is_some()
        || !age.is_some_and(|age| (least..=most).contains(&age))
        || resource == Resource::Media && !immutable;
    if wrong {
        let detail =
            format!("{}: {header:?}, max-age {least} to {most} expected for {resource:?}", exchange.url);
        findings.add(Rule::CacheControl, detail);
    }
}

/// Checks an answer that must be an error: its status and that it is a problem document.
pub fn check_problem(exchange: &Exchange, status: u16, rule: Rule, findings: &mut Findings) {
    let url = &exchange.url;
    if exchange.status != status {
        return findings.add(rule, format!("{url}: {} instead of {status}", exchange.status));
    }
    let json = serde_json::from_slice::<serde_json::Value>(&exchange.body).ok();
    let whole = json.as_ref().is_some_and(|j| {
        ["type", "title", "detail"]
            .iter()
            .all(|member| j.get(member).is_some_and(serde_json::Value::is_string))
            && j.get("status").and_then(serde_json::Value::as_u64) == Some(u64::from(status))
    });
    let content_type = exchange.header("content-type").unwrap_or("");
    if content_type.split(';').next() != Some("application/problem+json") || !whole {
        let body: String = exchange.text().chars().take(120).collect();
        findings.add(Rule::Problem, format!("{url}: {content_type:?} {body}"));
    }
}

/// Checks that a part that was asked for before it existed came at line speed.
pub fn check_line_speed(exchange: &Exchange, findings: &mut Findings) {
    let took = exchange.last_byte.saturating_sub(exchange.first_byte);
    if took > LINE_SPEED_BOUND {
        let detail = format!("{}: {} bytes took {took:?}", exchange.url, exchange.body.len());
        findings.add(Rule::HintLineSpeed, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(content_type: &str, cache_control: &str) -> Exchange {
        let headers = [
            ("content-type", content_type),
            ("cache-control", cache_control),
            ("etag", "\"abc\""),
            ("access-control-allow-origin", "*"),
            ("vary", "accept-encoding"),
        ];
        Exchange {
            url: "/x".into(),
            status: 200,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body: Bytes::from_static(b"x"),
            sent: Duration::ZERO,
            first_byte: Duration::from_millis(10),
            last_byte: Duration::from_millis(12),
        }
    }

    fn rules(exchange: &Exchange, resource: Resource) -> Vec<Rule> {
        let mut findings = Findings::new("x");
        check(exchange, resource, &mut findings);
        findings.as_slice().iter().map(|f| f.rule).collect()
    }

    fn with(mut exchange: Exchange, name: &str, value: Option<&str>) -> Exchange {
        exchange.headers.retain(|(n, _)| n != name);
        exchange.headers.extend(value.map(|v| (name.to_owned(), v.to_owned())));
        exchange
    }

    #[test]
    fn each_header_fault_is_its_own_finding() {
        let target_duration = Duration::from_secs(4);
        let blocking = Resource::Blocking { target_duration };
        let playlist = || good("application/vnd.apple.mpegurl", "public, max-age=24");
        let part = || good("video/mp4", "public, max-age=3600, immutable");
        assert_eq!(rules(&playlist(), blocking), []);
        assert_eq!(rules(&part(), Resource::Media), []);
        assert_eq!(rules(&playlist(), Resource::Playlist { target_duration }), [Rule::CacheControl]);
        assert_eq!(rules(&playlist(), Resource::Multivariant), [Rule::CacheControl]);
        for (value, resource) in [
            (None, blocking),
            (Some("no-store"), blocking),
            (Some("max-age=0"), blocking),
            (Some("max-age=25"), blocking),
            (Some("private, max-age=24"), blocking),
            (Some("max-age=3600"), Resource::Media),
            (Some("immutable"), Resource::Media),
        ] {
            let base = if resource == Resource::Media { part() } else { playlist() };
            assert_eq!(
                rules(&with(base, "cache-control", value), resource),
                [Rule::CacheControl],
                "{value:?}"
            );
        }
        assert_eq!(rules(&with(playlist(), "etag", None), blocking), [Rule::Etag]);
        assert_eq!(rules(&with(playlist(), "etag", Some("W/\"a\"")), blocking), [Rule::Etag]);
        assert_eq!(rules(&with(playlist(), "vary", None), blocking), [Rule::Gzip]);
        assert_eq!(rules(&with(part(), "access-control-allow-origin", None), Resource::Media), [Rule::Cors]);
        assert_eq!(
            rules(&with(part(), "content-type", Some("text/plain")), Resource::Media),
            [Rule::ContentType]
        );
        assert_eq!(rules(&Exchange { status: 404, ..part() }, Resource::Media), [Rule::Status]);
    }

    #[test]
    fn an_entity_tag_stands_for_one_body() {
        let (mut tags, mut findings) = (EntityTags::default(), Findings::new("x"));
        let answer = |body: &'static [u8], tag| {
            let answer = with(good("text/plain", "max-age=1"), "etag", Some(tag));
            Exchange { body: Bytes::from_static(body), ..answer }
        };
        tags.see(&answer(b"one", "\"1\""), &mut findings);
        tags.see(&answer(b"two", "\"2\""), &mut findings);
        tags.see(&answer(b"one", "\"1\""), &mut findings);
        assert_eq!(findings.as_slice(), []);
        tags.see(&answer(b"two", "\"1\""), &mut findings);
        assert_eq!(findings.as_slice()[0].rule, Rule::Etag);
    }

    #[test]
    fn an_error_must_be_a_problem_document_of_its_status() {
        let mut findings = Findings::new("x");
        let body = br#"{"type":"https://x/y","title":"No","detail":"Because.","status":400}"#;
        let mut answer = good("application/problem+json", "no-store");
        answer.status = 400;
        answer.body = Bytes::from_static(body);
        check_problem(&answer, 400, Rule::BadDirective, &mut findings);
        assert_eq!(findings.as_slice(), []);
        check_problem(&answer, 404, Rule::Status, &mut findings);
        answer.body = Bytes::from_static(b"no");
        check_problem(&answer, 400, Rule::BadDirective, &mut findings);
        let found: Vec<_> = findings.as_slice().iter().map(|f| f.rule).collect();
        assert_eq!(found, [Rule::Status, Rule::Problem]);
    }

    #[test]
    fn a_dribbling_part_is_found() {
        let mut findings = Findings::new("x");
        let mut answer = good("video/mp4", "max-age=3600, immutable");
        check_line_speed(&answer, &mut findings);
        assert_eq!(findings.as_slice(), []);
        answer.last_byte = Duration::from_secs(1);
        check_line_speed(&answer, &mut findings);
        assert_eq!(findings.as_slice()[0].rule, Rule::HintLineSpeed);
    }
}
