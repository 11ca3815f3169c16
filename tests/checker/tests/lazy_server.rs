//! The questions that are asked over HTTP can fail: a server that gives everybody the same file, whatever was asked,
//! violates exactly the rules that such a server violates.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::time::Duration;

use millrace_hls_checker::{Options, Report, Rule, run};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const MULTIVARIANT: &str = "#EXTM3U\n#EXT-X-VERSION:9\n\
    #EXT-X-STREAM-INF:BANDWIDTH=800000,AVERAGE-BANDWIDTH=700000,CODECS=\"mp4a.40.2\"\nmain.m3u8\n";
const MEDIA: &str = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:1\n\
    #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=6.0,PART-HOLD-BACK=1.5\n\
    #EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\"\n\
    #EXT-X-PROGRAM-DATE-TIME:2026-11-21T10:00:00.000Z\n\
    #EXT-X-PART:DURATION=0.5,URI=\"p1.m4s\",INDEPENDENT=YES\n\
    #EXT-X-PART:DURATION=0.5,URI=\"p2.m4s\",INDEPENDENT=YES\n#EXTINF:1.0,\ns7.m4s\n\
    #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p3.m4s\"\n";

/// Answers every request for a path with the same bytes.
async fn serve(stream: TcpStream, headers: &'static str) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut path = None;
        loop {
            let mut line = String::new();
            if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
                return;
            }
            if path.is_none() {
                path = line.split(' ').nth(1).map(str::to_owned);
            }
            if line == "\r\n" {
                break;
            }
        }
        let path = path.unwrap_or_default();
        let (kind, body) = match path.split('?').next().unwrap_or_default() {
            "/index.m3u8" => ("application/vnd.apple.mpegurl", MULTIVARIANT),
            "/main.m3u8" => ("application/vnd.apple.mpegurl", MEDIA),
            _ => ("video/mp4", "no mp4 at all"),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn check(headers: &'static str) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, headers));
        }
    });
    let options = Options {
        watch: Duration::from_millis(1200),
        probe_after: Duration::from_millis(10),
        ..Options::new(format!("http://{address}/index.m3u8"))
    };
    run(options).await.unwrap()
}

#[tokio::test]
async fn a_server_that_ignores_every_question_is_found_out() {
    let report = check("").await;
    let found = report.by_rule();
    for rule in [
        Rule::BlockedTooShort,
        Rule::BadDirective,
        Rule::Status,
        Rule::CacheControl,
        Rule::Etag,
        Rule::NotModified,
        Rule::Cors,
        Rule::Gzip,
        Rule::Range,
        Rule::Mp4,
        Rule::SegmentBytes,
    ] {
        assert!(found.contains_key(&rule), "{rule} was not found: {report}");
    }
    // What it does right is not complained about.
    for rule in
        [Rule::ContentType, Rule::StaleDirective, Rule::UnknownDirective, Rule::FirstLine, Rule::PartSum]
    {
        assert!(!found.contains_key(&rule), "{rule}: {report}");
    }
}

#[tokio::test]
async fn right_headers_silence_exactly_the_header_rules() {
    let headers = "ETag: \"x\"\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept-Encoding\r\n";
    let found = check(headers).await.by_rule();
    assert!(!found.contains_key(&Rule::Etag) && !found.contains_key(&Rule::Cors));
    assert!(found.contains_key(&Rule::CacheControl) && found.contains_key(&Rule::BadDirective));
}
