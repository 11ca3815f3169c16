//! Shell: one-off questions to a live playlist: bad directives, conditional requests, ranges, HEAD, gzip.

use std::time::Duration;

use reqwest::{Method, Url};

use crate::exchange::{self, Exchange, Resource, check_problem};
use crate::fetch::Fetcher;
use crate::follow::with_query;
use crate::playlist::{self, MediaPlaylist};
use crate::rule::{Findings, Rule};
use crate::snapshot;

/// An answer that must not block comes within this time, however busy the machine is.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// Asks everything about one media playlist.
///
/// # Errors
/// When the server stops answering.
pub(crate) async fn probe(fetcher: &Fetcher, url: &Url) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(format!("{} (probes)", url.path()));
    let plain = fetcher.get(url).await?;
    let list = playlist::parse(&plain.text(), &mut findings);
    directives(fetcher, url, &list, &mut findings).await?;
    http(fetcher, url, &list, &mut findings).await?;
    Ok(findings)
}

async fn directives(
    fetcher: &Fetcher,
    url: &Url,
    list: &MediaPlaylist,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let edge = list.end();
    let last = list.segments.iter().rev().find(|s| s.uri.is_some()).map_or(edge.msn, |s| s.msn);
    // Advance Part Limit: 3 / PART-TARGET parts if that is under a second, else 3.
    let seconds = list.part_target.unwrap_or_default().as_secs_f64().max(0.001);
    let limit = if seconds < 1.0 { (3.0 / seconds).ceil() as u64 } else { 3 };
    let far_part = edge.part + limit + 10;
    // The edge moves on while this runs; these are far enough off to stay wrong.
    for query in [
        "_HLS_part=0".to_owned(),
        format!("_HLS_msn={}", edge.msn + 20),
        format!("_HLS_msn={}&_HLS_part={far_part}", edge.msn + 1),
        format!("_HLS_msn={}", u64::MAX),
        "_HLS_msn=".to_owned(),
        "_HLS_msn=-1".to_owned(),
        "_HLS_msn=abc".to_owned(),
        "_HLS_msn=99999999999999999999999".to_owned(),
        format!("_HLS_msn={}&_HLS_part=x", edge.msn),
        format!("_HLS_msn={}&_HLS_msn={}", edge.msn, edge.msn),
        "_HLS_skip=MAYBE".to_owned(),
    ] {
        let answer = fetcher.get(&with_query(url, &query)).await?;
        check_problem(&answer, 400, Rule::BadDirective, findings);
        if answer.last_byte.saturating_sub(answer.sent) > AT_ONCE {
            findings.add(
                Rule::BadDirective,
                format!("{query}: refused after {:?}", answer.last_byte - answer.sent),
            );
        }
    }
    // Stale: long gone, the first that is listed, a listed part.
    for query in [
        format!("_HLS_msn={}", list.media_sequence.saturating_sub(1000)),
        format!("_HLS_msn={last}&_HLS_part=0"),
    ] {
        let answer = fetcher.get(&with_query(url, &query)).await?;
        let now = playlist::parse(&answer.text(), findings);
        let waited = answer.last_byte.saturating_sub(answer.sent);
        if answer.status != 200 || now.end() < edge || now.skipped.is_some() || waited > AT_ONCE {
            let detail =
                format!("{query}: {} after {waited:?}, edge {:?}, was {edge:?}", answer.status, now.end());
            findings.add(Rule::StaleDirective, detail);
        }
    }
    // Only the segment number: held until the whole segment is there.
    let answer = fetcher.get(&with_query(url, &format!("_HLS_msn={}", edge.msn))).await?;
    let now = playlist::parse(&answer.text(), findings);
    if answer.status != 200 || !now.endlist && now.end().msn <= edge.msn {
        findings.add(
            Rule::BlockedTooShort,
            format!("_HLS_msn={}: {} at {:?}", edge.msn, answer.status, now.end()),
        );
    }
    // A part past the end of a segment is part 0 of the next.
    let past = edge.part + limit.min(3);
    let query = format!("_HLS_msn={last}&_HLS_part={}", 10_000);
    let answer = fetcher.get(&with_query(url, &query)).await?;
    if answer.status != 200 && answer.status != 400 {
        findings.add(Rule::BlockedTooShort, format!("{query}: {} (edge part {past})", answer.status));
    }
    // Others' parameters mean nothing here.
    for query in ["session=1", "_HLS_future=1", "_HLS_report=/x", "a=b&a=c&&="] {
        let answer = fetcher.get(&with_query(url, query)).await?;
        let mut of_text = Findings::new(query);
        let now = playlist::parse(&answer.text(), &mut of_text);
        snapshot::check(&now, &mut of_text);
        if answer.status != 200 || !of_text.as_slice().is_empty() {
            findings.add(Rule::UnknownDirective, format!("{query}: {} {of_text:?}", answer.status));
        }
    }
    Ok(())
}

async fn http(
    fetcher: &Fetcher,
    url: &Url,
    list: &MediaPlaylist,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let gzip = fetcher.request(Method::GET, url, &[("accept-encoding", "gzip")]).await?;
    if gzip.header("content-encoding") != Some("gzip") || !gzip.text().starts_with("#EXTM3U\n") {
        findings
            .add(Rule::Gzip, format!("{}: Content-Encoding {:?}", gzip.url, gzip.header("content-encoding")));
    }
    let identity = fetcher.request(Method::GET, url, &[("accept-encoding", "gzip;q=0, identity")]).await?;
    if identity.header("content-encoding").is_some_and(|e| e != "identity") {
        findings.add(Rule::Gzip, format!("{}: gzip for one who refuses it", identity.url));
    }
    // A blocking answer of a listed part is final: its entity tag must hold for the same URL.
    let missing = url.join("no-such-part.m4s")?;
    check_problem(&fetcher.get(&missing).await?, 404, Rule::Status, findings);
    let preflight = [("origin", "https://example.org"), ("access-control-request-method", "GET")];
    let answer = fetcher.request(Method::OPTIONS, url, &preflight).await?;
    if !matches!(answer.status, 200 | 204) || answer.header("access-control-allow-origin") != Some("*") {
        findings.add(Rule::Cors, format!("OPTIONS {}: {} {:?}", answer.url, answer.status, answer.headers));
    }
    let head = fetcher.request(Method::HEAD, url, &[]).await?;
    if head.status != 200
        || !head.body.is_empty()
        || head.header("content-type") != gzip.header("content-type")
    {
        findings.add(Rule::Head, format!("HEAD {}: {} {:?}", head.url, head.status, head.headers));
    }
    let segment = list.segments.iter().rev().filter(|s| !s.gap).find_map(|s| s.uri.as_ref());
    let part = list.segments.iter().flat_map(|s| &s.parts).rfind(|p| !p.gap).map(|p| &p.uri);
    let map = list.segments.iter().rev().find_map(|s| s.map.as_ref());
    for uri in segment.into_iter().chain(part).chain(map) {
        media(fetcher, &url.join(uri)?, findings).await?;
    }
    Ok(())
}

/// Conditional, partial and bodiless requests for something that never changes.
async fn media(fetcher: &Fetcher, url: &Url, findings: &mut Findings) -> anyhow::Result<()> {
    let whole = fetcher.get(url).await?;
    exchange::check(&whole, Resource::Media, findings);
    let length = whole.body.len();
    let name = whole.url.clone();
    let tag = whole.header("etag").unwrap_or("\"none\"").to_owned();
    let again = fetcher.request(Method::GET, url, &[("if-none-match", &tag)]).await?;
    if again.status != 304 || !again.body.is_empty() || again.header("etag") != Some(&tag) {
        findings.add(Rule::NotModified, format!("{name}: {} with {} bytes", again.status, again.body.len()));
    }
    let other = fetcher.request(Method::GET, url, &[("if-none-match", "\"another\"")]).await?;
    if other.status != 200 || other.body != whole.body {
        findings.add(Rule::NotModified, format!("{name}: {} for another entity tag", other.status));
    }
    let head = fetcher.request(Method::HEAD, url, &[]).await?;
    let said = head.header("content-length").and_then(|l| l.parse::<usize>().ok());
    if head.status != 200 || !head.body.is_empty() || said != Some(length) {
        findings
            .add(Rule::Head, format!("{name}: {} Content-Length {said:?}, GET had {length}", head.status));
    }
    let ranges = [
        ("bytes=0-9", 0..10.min(length)),
        ("bytes=5-", 5.min(length)..length),
        ("bytes=-7", length.saturating_sub(7)..length),
        ("bytes=3-999999999", 3.min(length)..length),
    ];
    for (range, bytes) in ranges {
        let answer = fetcher.request(Method::GET, url, &[("range", range)]).await?;
        check_range(&answer, &whole, range, bytes, findings);
    }
    let beyond = format!("bytes={length}-");
    let answer = fetcher.request(Method::GET, url, &[("range", &beyond)]).await?;
    let size = format!("bytes */{length}");
    if answer.status != 416 || answer.header("content-range") != Some(&size) {
        let detail = format!("{name} {beyond}: {} {:?}", answer.status, answer.header("content-range"));
        findings.add(Rule::Range, detail);
    }
    Ok(())
}

fn check_range(
    answer: &Exchange,
    whole: &Exchange,
    range: &str,
    bytes: std::ops::Range<usize>,
    findings: &mut Findings,
) {
    let expected = format!("bytes {}-{}/{}", bytes.start, bytes.end.saturating_sub(1), whole.body.len());
    let right = answer.status == 206
        && answer.header("content-range") == Some(&expected)
        && answer.body == whole.body.slice(bytes);
    if !right {
        let found = (answer.status, answer.header("content-range"), answer.body.len());
        findings.add(Rule::Range, format!("{} {range}: {found:?}, expected {expected}", answer.url));
    }
}
