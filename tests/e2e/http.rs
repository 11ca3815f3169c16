//! Bad viewers: slow readers, thousands of waiting requests, nonsense.

use std::time::Duration;

use futures_util::future::join_all;
use millrace_hls_checker::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::browser::looped;
use crate::fixtures::{PLAIN, Recipe, Video};
use crate::publisher::Ffmpeg;
use crate::server::Server;
use crate::topology::is_split;
use crate::wait::{quiet, until};

mod client;
pub(crate) use client::{client, get};

const SOON: Duration = Duration::from_secs(20);

/// Sends a request line as it is and returns status, header and body.
async fn raw(server: &Server, target: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer)).await.expect("an answer").unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, text)
}

async fn playlist_text(server: &Server, channel: &str) -> String {
    let url = server.url(&format!("/live/{channel}/main/index.m3u8"));
    until("a complete segment", SOON, || async {
        let text = get(&url).await.ok()?.text().await.ok()?;
        text.contains("#EXTINF").then_some(text)
    })
    .await
}

fn last_msn(text: &str) -> u64 {
    let first: u64 =
        text.lines().find_map(|l| l.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")?.parse().ok()).unwrap();
    first + text.matches("#EXTINF").count() as u64 - 1
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_paths_and_queries_is_refused_with_a_problem_document() {
    let fixture = looped().fixture().await;
    let server = Server::start(&[]).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let text = playlist_text(&server, "studio").await;
    let msn = last_msn(&text);
    for target in [
        "/live/../../etc/passwd",
        "/live/..%2f..%2f..%2fetc%2fpasswd/index.m3u8",
        "/live/%2e%2e/%2e%2e/index.m3u8",
        "/live/studio/../../index.m3u8",
        "/live/studio/main/..%2findex.m3u8",
        "/live/studio/main/%00",
        "/live/studio/%2fetc/index.m3u8",
        "/live/Studio/index.m3u8",
        "/live/st/index.m3u8",
        "/live/nobody_here/index.m3u8",
        "/live/studio/other/index.m3u8",
        "/live/studio/main/nothing.m4s",
        "/live/studio/main/%ff%fe.m4s",
        &format!("/live/{}/index.m3u8", "a".repeat(6000)),
    ] {
        let (status, answer) = raw(&server, target).await;
        assert!(matches!(status, 400 | 404 | 414), "{target}: {answer}");
        assert!(answer.contains("application/problem+json") || status == 414, "{target}: {answer}");
        assert!(!answer.contains("root:"), "{target}");
    }
    for query in [
        "_HLS_part=1".to_owned(),
        "_HLS_msn=x".to_owned(),
        "_HLS_msn=%ff".to_owned(),
        "_HLS_msn=1e3".to_owned(),
        "_HLS_msn=-1&_HLS_part=0".to_owned(),
        "_HLS_msn=18446744073709551616".to_owned(),
        format!("_HLS_msn={}", msn + 50),
        format!("_HLS_msn={msn}&_HLS_part=99999999999999999999"),
        format!("_HLS_msn={}&_HLS_part=5000", msn + 1),
        "_HLS_skip=perhaps".to_owned(),
    ] {
        let (status, answer) = raw(&server, &format!("/live/studio/main/index.m3u8?{query}")).await;
        assert_eq!(status, 400, "{query}: {answer}");
        assert!(answer.contains("application/problem+json"), "{query}: {answer}");
    }
    // What is no HTTP at all.
    for bytes in [&b"\x16\x03\x01\x02\x00\x01"[..], b"HELO\r\n\r\n", &[0xff; 300]] {
        let mut stream = TcpStream::connect(server.http).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the server hangs up");
    }
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_cut_off() {
    let server = Server::start(&[("MILLRACE_HTTP__HEADER_TIMEOUT", "1s")]).await;
    for start in [&b""[..], b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(server.http).await.unwrap();
        stream.write_all(start).await.unwrap();
        let mut answer = Vec::new();
        let end = timeout(Duration::from_secs(6), stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "{:?} kept a connection", String::from_utf8_lossy(start));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_that_read_one_byte_a_second_are_cut_off_and_nobody_notices() {
    let fixture = looped().fixture().await;
    let server = Server::start(&[("MILLRACE_HTTP__WRITE_STALL", "3s")]).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let text = playlist_text(&server, "studio").await;
    let segment = text.lines().find(|l| l.ends_with(".m4s") && !l.starts_with('#')).unwrap();
    let checking = tokio::spawn(millrace_hls_checker::run(Options {
        watch: Duration::from_secs(16),
        probes: false,
        ..Options::new(server.playlist("studio"))
    }));
    let (before, descriptors) = (server.resident_bytes(), server.descriptors());
    let mut slow = Vec::new();
    for _ in 0..50 {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&server.http.into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from_std(socket.into()).unwrap();
        // More than the kernel's buffers hold.
        let request = format!("GET /live/studio/main/{segment} HTTP/1.1\r\nHost: x\r\n\r\n");
        for _ in 0..100 {
            stream.write_all(request.as_bytes()).await.unwrap();
        }
        slow.push(tokio::spawn(async move {
            let mut byte = [0];
            while let Ok(1) = stream.read(&mut byte).await {
                sleep(Duration::from_secs(1)).await;
            }
        }));
    }
    until("the slow viewers are connected", SOON, || async {
        (server.descriptors() >= descriptors + 50).then_some(())
    })
    .await;
    let grown = server.resident_bytes().saturating_sub(before);
    eprintln!("50 slow viewers: the server grew by {grown} bytes");
    // What the kernel has taken it still delivers; the server itself has let go. Processes keep what connects them.
    let left = descriptors + if is_split() { 45 } else { 10 };
    until("every stalled viewer is cut off", SOON, || async { (server.descriptors() < left).then_some(()) })
        .await;
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(grown < 64 << 20, "the server grew by {grown} bytes");
    let report = checking.await.unwrap().unwrap();
    assert!(report.passed(), "{report}");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_waiting_requests_are_answered_together() {
    const REQUESTS: usize = 10_000;
    const CONNECTIONS: usize = 4;
    // Segments of four seconds leave time for all of them to arrive.
    let fixture = Recipe::new("auto", 60, Some(Video { gop: 250, ..PLAIN }), true).fixture().await;
    let _quiet = quiet().await;
    let server = Server::start(&[]).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let text = playlist_text(&server, "studio").await;
    let url = server.url(&format!("/live/studio/main/index.m3u8?_HLS_msn={}", last_msn(&text) + 2));
    let before = server.resident_bytes();
    let waiting: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let client = client().http2_prior_knowledge().timeout(Duration::from_secs(30)).build().unwrap();
            let url = url.clone();
            tokio::spawn(async move {
                // One request first, so that all share one connection.
                let root = url.split("/live").next().unwrap().to_owned();
                client.get(root + "/healthz").send().await.unwrap();
                join_all((0..REQUESTS / CONNECTIONS).map(|_| async {
                    let answer = client.get(&url).send().await.map_err(|e| e.to_string())?;
                    let status = answer.status().as_u16();
                    let etag = answer.headers().get("etag").cloned();
                    answer.bytes().await.map_err(|e| e.to_string())?;
                    Ok::<_, String>((status, etag))
                }))
                .await
            })
        })
        .collect();
    let blocked = until("ten thousand requests wait", Duration::from_secs(12), || async {
        server.metric("millrace_blocked_requests").await.filter(|n| *n >= REQUESTS as f64)
    })
    .await;
    let grown = server.resident_bytes().saturating_sub(before);
    eprintln!("{blocked} requests wait, {} bytes each", grown / REQUESTS as u64);
    let answers: Vec<_> = join_all(waiting).await.into_iter().flat_map(|a| a.unwrap()).collect();
    let good = answers.iter().filter(|a| matches!(a, Ok((200, _)))).count();
    assert_eq!(good, REQUESTS, "{:?}", answers.iter().find(|a| !matches!(a, Ok((200, _)))));
    let mut versions: Vec<_> = answers.iter().filter_map(|a| a.as_ref().ok()?.1.clone()).collect();
    versions.sort();
    versions.dedup();
    // Parts go on while an unoptimised server on a busy machine writes ten thousand answers; each gets the newest.
    assert!(versions.len() <= 50, "versions are shared by all who wait: {versions:?}");
    until("nobody waits any more", SOON, || async {
        server.metric("millrace_blocked_requests").await.filter(|n| *n == 0.0)
    })
    .await;
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_waiting_is_refused_and_those_who_leave_make_room() {
    let fixture = looped().fixture().await;
    let server = Server::start(&[("MILLRACE_HLS__MAX_BLOCKED_REQUESTS", "20")]).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let client = client().build().unwrap();
    let text = playlist_text(&server, "studio").await;
    let url = server.url(&format!("/live/studio/main/index.m3u8?_HLS_msn={}", last_msn(&text) + 2));
    let waiting: Vec<_> = (0..20).map(|_| tokio::spawn(client.get(&url).send())).collect();
    until("twenty wait", SOON, || async {
        server.metric("millrace_blocked_requests").await.filter(|n| *n >= 20.0)
    })
    .await;
    let refused = client.get(&url).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"), "{refused:?}");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    for task in waiting {
        task.abort();
    }
    until("those who left make room", Duration::from_secs(2), || async {
        server.metric("millrace_blocked_requests").await.filter(|n| *n == 0.0)
    })
    .await;
    server.assert_calm();
}
