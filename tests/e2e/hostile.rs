//! Bad publishers: each is told what is wrong or cut off, costs only itself, and a good broadcast on the same server
//! never notices.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use millrace_hls_checker::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::browser::looped;
use crate::publisher::Ffmpeg;
use crate::rtmp_peer::amf::Amf;
use crate::rtmp_peer::{Peer, Refusal, amf, first_bytes, flv, message_bytes, socket};
use crate::server::Server;
use crate::wait::{quiet, until};

/// A refusal comes within this, timeouts of the server included (they are 2 s here).
const SOON: Duration = Duration::from_secs(10);

const SETTINGS: [(&str, &str); 3] = [
    ("MILLRACE_INGEST__HANDSHAKE_TIMEOUT", "2s"),
    ("MILLRACE_INGEST__PUBLISH_TIMEOUT", "3s"),
    ("MILLRACE_INGEST__RECONNECT_WINDOW", "2s"),
];

type Case<'a> = (&'static str, Pin<Box<dyn Future<Output = ()> + Send + 'a>>);

#[tokio::test(flavor = "multi_thread")]
async fn bad_publishers_are_refused_while_a_good_broadcast_plays_on() {
    let fixture = looped().fixture().await;
    let tags = flv::read(&fixture.path);
    let server = Server::start(&SETTINGS).await;
    let _good = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("good"));
    let checking = tokio::spawn(millrace_hls_checker::run(Options {
        watch: Duration::from_secs(30),
        wait: Duration::from_secs(15),
        probes: false,
        ..Options::new(server.playlist("good"))
    }));
    let server = &server;
    let tags = &tags;
    let cases: Vec<Case<'_>> = vec![
        ("garbage", Box::pin(garbage(server))),
        ("half a handshake", Box::pin(half_a_handshake(server))),
        ("a handshake byte by byte", Box::pin(slow_handshake(server))),
        ("an oversize message", Box::pin(oversize_message(server))),
        ("chunk size 0 and 2^31-1", Box::pin(chunk_sizes(server, tags))),
        ("4,000 nested objects", Box::pin(nested_objects(server))),
        ("sixteen megabytes of zeros", Box::pin(zeros(server))),
        ("a wrong app", Box::pin(wrong_app(server))),
        ("wrong keys", Box::pin(wrong_keys(server))),
        ("publish before connect", Box::pin(publish_before_connect(server))),
        ("unknown codecs", Box::pin(unknown_codecs(server))),
        ("challengers with unknown codecs", Box::pin(challengers(server))),
        ("a truncated codec configuration", Box::pin(truncated_configuration(server, tags))),
        ("never a keyframe", Box::pin(no_keyframe(server, tags))),
        ("connected and silent", Box::pin(silent(server))),
    ];
    let mut running = Vec::new();
    for (name, case) in cases {
        running.push(async move {
            timeout(Duration::from_secs(25), case).await.unwrap_or_else(|_| panic!("{name}: took too long"));
            eprintln!("refused: {name}");
        });
    }
    join_all(running).await;
    let report = checking.await.unwrap().unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!((report.renditions[0].discontinuities, report.renditions[0].inits), (0, 1), "{report}");
    server.assert_calm();
    until("every bad connection is gone", SOON, || async {
        server.metric("millrace_rtmp_connections ").await.filter(|n| *n <= 1.0)
    })
    .await;
    let refused = server.metric("millrace_publish_refused_total").await.unwrap_or(0.0);
    assert!(refused >= 5.0, "{refused} refusals counted");
}

/// Reads until the server closes the connection.
async fn cut_off(mut stream: TcpStream) {
    let mut sink = vec![0; 64 * 1024];
    let end = async { while let Ok(1..) = stream.read(&mut sink).await {} };
    timeout(SOON, end).await.expect("the server closes the connection");
}

async fn garbage(server: &Server) {
    for seed in 0..20u64 {
        let mut stream = socket(None, server.rtmp).await.unwrap();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let bytes: Vec<u8> = (0..5000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u8
            })
            .collect();
        // The server may have hung up already.
        let _ = stream.write_all(&bytes).await;
        cut_off(stream).await;
    }
    let mut http = socket(None, server.rtmp).await.unwrap();
    let _ = http.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    cut_off(http).await;
}

async fn half_a_handshake(server: &Server) {
    // From an address of their own: one address may not hold more than 64 connections before it publishes.
    let from = Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    let streams = join_all((0..50).map(|_| socket(from, server.rtmp))).await;
    join_all(streams.into_iter().map(|stream| async {
        let mut stream = stream.unwrap();
        stream.write_all(&first_bytes()[..700]).await.unwrap();
        cut_off(stream).await;
    }))
    .await;
}

async fn slow_handshake(server: &Server) {
    let mut stream = socket(None, server.rtmp).await.unwrap();
    let begun = tokio::time::Instant::now();
    for byte in first_bytes() {
        if stream.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
        assert!(begun.elapsed() < SOON, "a byte every 20 ms kept a connection");
    }
}

async fn oversize_message(server: &Server) {
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    peer.publish("live", "big_one").await.unwrap();
    // A video message that announces 16 MiB - 1.
    let mut header = vec![6, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0];
    header.extend([0; 1000]);
    let _ = peer.raw(&header).await;
    assert!(peer.closed(SOON).await, "an oversize message is refused before it is there");
}

async fn chunk_sizes(server: &Server, tags: &[flv::Tag]) {
    let mut zero = Peer::connect(server.rtmp).await.unwrap();
    let _ = zero.message(2, 1, 0, 0, &0u32.to_be_bytes()).await;
    assert!(zero.closed(SOON).await, "chunk size 0");
    // The largest one is legal: it is clamped, and the publisher may go on.
    let mut huge = Peer::connect(server.rtmp).await.unwrap();
    huge.publish("live", "huge_chunks").await.unwrap();
    huge.message(2, 1, 0, 0, &0x7fff_ffffu32.to_be_bytes()).await.unwrap();
    for tag in tags.iter().take(30) {
        let bytes = message_bytes(6, tag.kind, 1, tag.timestamp, &tag.body, usize::MAX);
        huge.raw(&bytes).await.unwrap();
    }
    until("the publisher with huge chunks is live", SOON, || async {
        let url = server.url("/api/v1/streams/huge_chunks");
        crate::http::get(url).await.ok().filter(|a| a.status() == 200)
    })
    .await;
}

async fn nested_objects(server: &Server) {
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    let mut body = amf::write(&["connect".into(), Amf::Number(1.0)]);
    for _ in 0..4000 {
        body.extend([3, 0, 1, b'a']);
    }
    let _ = peer.message(3, 20, 0, 0, &body).await;
    assert!(peer.closed(SOON).await, "4,000 nested objects");
}

async fn zeros(server: &Server) {
    let before = server.resident_bytes();
    let mut stream = socket(None, server.rtmp).await.unwrap();
    let block = vec![0u8; 1 << 20];
    for _ in 0..16 {
        if stream.write_all(&block).await.is_err() {
            break;
        }
    }
    cut_off(stream).await;
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    for _ in 0..16 {
        if peer.raw(&block).await.is_err() {
            break;
        }
    }
    assert!(peer.closed(SOON).await, "sixteen megabytes of zeros are no RTMP");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 128 << 20, "the server grew by {grown} bytes");
}

async fn wrong_app(server: &Server) {
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    let refused = peer.publish("stream", "studio").await.unwrap_err();
    assert_eq!(refused.code, "NetConnection.Connect.InvalidApp", "{refused:?}");
    assert!(refused.description.contains("live"), "{refused:?}");
    assert!(peer.closed(SOON).await);
}

async fn wrong_keys(server: &Server) {
    for key in ["", "ab", "Studio One", "../../etc/passwd", "x".repeat(5000).as_str(), "caf\u{e9}"] {
        let mut peer = Peer::connect(server.rtmp).await.unwrap();
        let refused = peer.publish("live", key).await.unwrap_err();
        assert_eq!(refused.code, "NetStream.Publish.Denied", "{key:?}: {refused:?}");
        assert!(refused.description.len() > 20, "{key:?}: {refused:?}");
        assert!(key.len() < 8 || !refused.description.contains(key), "a key is a secret: {refused:?}");
        assert!(peer.closed(SOON).await);
    }
    assert!(!server.log().contains("etc/passwd"), "a stream key is in the log");
}

async fn publish_before_connect(server: &Server) {
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    let publish = ["publish".into(), Amf::Number(1.0), Amf::Null, "studio".into(), "live".into()];
    peer.command(1, &publish).await.unwrap();
    let refused = peer.next_status().await.expect("a status that says why");
    assert!(refused.code.starts_with("Net") && refused.description.contains("connect"), "{refused:?}");
    assert!(peer.closed(SOON).await);
    // Media before anything else.
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    let _ = peer.message(6, 9, 1, 0, &[0x17, 1, 0, 0, 0]).await;
    assert!(peer.closed(SOON).await, "media before connect");
}

/// Publishes and sends bodies of one kind until the server answers with a refusal.
async fn refused_media(server: &Server, key: &str, kind: u8, bodies: &[Bytes]) -> Refusal {
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    peer.publish("live", key).await.unwrap();
    for (index, body) in bodies.iter().enumerate() {
        let _ = peer.message(6, kind, 1, 33 * index as u32, body).await;
    }
    let refused = peer.next_status().await.unwrap_or_else(|| panic!("{key}: closed without a word"));
    assert!(peer.closed(SOON).await, "{key}");
    refused
}

/// What cannot be packaged takes the channel of a good broadcast from nobody.
async fn challengers(server: &Server) {
    until("the good broadcast", SOON, || async {
        crate::http::get(server.playlist("good")).await.ok().filter(|a| a.status() == 200)
    })
    .await;
    for (header, name) in [(&b"\x90hvc1"[..], "HEVC"), (b"\x14\x00", "VP6"), (b"\x17\0\0\0\0\x01", "H.264")] {
        let refused = refused_media(server, "good", 9, &[Bytes::copy_from_slice(header)]).await;
        assert_eq!(refused.code, "NetStream.Publish.Denied", "{refused:?}");
        assert!(refused.description.contains(name), "{refused:?}");
    }
}

async fn unknown_codecs(server: &Server) {
    // The configuration, then coded frames.
    let bodies = |header: &[u8], frame: &[u8]| -> Vec<Bytes> {
        let body = |start: &[u8]| Bytes::from(start.iter().copied().chain([0; 60]).collect::<Vec<_>>());
        std::iter::once(body(header)).chain(std::iter::repeat_n(body(frame), 40)).collect()
    };
    for (key, kind, header, frame, name) in [
        ("codec_hevc", 9, &b"\x90hvc1"[..], &b"\x91hvc1"[..], "HEVC"),
        ("codec_av1", 9, b"\x90av01", b"\x91av01", "AV1"),
        ("codec_vp6", 9, b"\x14\x00", b"\x14\x00", "VP6"),
        ("codec_speex", 8, b"\xb2", b"\xb2", "Speex"),
        ("codec_opus", 8, b"\x90Opus", b"\x91Opus", "Opus"),
    ] {
        let refused = refused_media(server, key, kind, &bodies(header, frame)).await;
        assert_eq!(refused.code, "NetStream.Publish.Denied", "{key}: {refused:?}");
        assert!(refused.description.contains(name), "{key}: {refused:?}");
    }
}

async fn truncated_configuration(server: &Server, tags: &[flv::Tag]) {
    let header = tags.iter().find(|t| t.kind == 9 && t.is_header()).unwrap();
    let key = tags.iter().find(|t| t.is_keyframe()).unwrap();
    for length in [5, 8, 14, header.body.len() - 3] {
        let mut bodies = vec![header.body.slice(..length)];
        bodies.extend(std::iter::repeat_n(key.body.clone(), 10));
        let refused = refused_media(server, "truncated", 9, &bodies).await;
        assert_eq!(refused.code, "NetStream.Publish.Denied", "{length}: {refused:?}");
        assert!(refused.description.len() > 20, "{length}: {refused:?}");
        // It began no broadcast.
        let url = server.playlist("truncated");
        assert_eq!(crate::http::get(url).await.unwrap().status(), 404);
    }
}

async fn no_keyframe(server: &Server, tags: &[flv::Tag]) {
    let without: Vec<_> = tags.iter().filter(|t| !t.is_keyframe() && t.timestamp < 12_000).cloned().collect();
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    peer.publish("live", "no_keyframe").await.unwrap();
    let sending = peer.send(&without, |t| t.timestamp);
    let warned = until("the streamer is warned that no keyframe comes", Duration::from_secs(12), || async {
        let url = server.url("/api/v1/streams/no_keyframe");
        let said: serde_json::Value = crate::http::get(url).await.ok()?.json().await.ok()?;
        let warnings = said["health"]["warnings"].as_array()?;
        warnings.iter().find(|w| w["code"] == "no_keyframe").cloned()
    });
    let (_, warning) = tokio::join!(sending, warned);
    assert!(warning["sentence"].as_str().is_some_and(|s| s.len() > 20), "{warning}");
}

async fn silent(server: &Server) {
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    peer.connect_app("live").await.unwrap();
    assert!(peer.closed(SOON).await, "connected and never published");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_cost_only_themselves() {
    const CONNECTIONS: usize = 10_000;
    // Fewer than the limit per address.
    const PER_ADDRESS: usize = 50;
    let (_, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap();
    rlimit::setrlimit(rlimit::Resource::NOFILE, hard, hard).unwrap();
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    // They stay until the test is over.
    let server = Server::start(&[("MILLRACE_INGEST__HANDSHAKE_TIMEOUT", "60s")]).await;
    let _good = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("good"));
    let mut checking = tokio::spawn(millrace_hls_checker::run(Options {
        watch: Duration::from_secs(16),
        wait: Duration::from_secs(15),
        probes: false,
        ..Options::new(server.playlist("good"))
    }));
    let before = server.resident_bytes();
    let to = server.rtmp;
    let idle: Vec<TcpStream> = stream::iter(0..CONNECTIONS)
        .map(|index| {
            let block = index / PER_ADDRESS;
            let from = Ipv4Addr::new(127, 10, (block / 250) as u8, (block % 250) as u8 + 1);
            async move { socket(Some(IpAddr::V4(from)), to).await }
        })
        .buffer_unordered(64)
        .filter_map(|opened| async { opened.ok() })
        .collect()
        .await;
    assert!(idle.len() >= CONNECTIONS * 99 / 100, "{} connections", idle.len());
    let held = server.metric("millrace_rtmp_connections ").await.unwrap();
    let grown = server.resident_bytes().saturating_sub(before);
    eprintln!("{} idle connections, {held} held by the server, {grown} bytes more", idle.len());
    assert!(held >= 1000.0, "the server held {held}");
    // An unoptimised build; an optimised one takes less.
    assert!(grown / idle.len() as u64 <= 32 * 1024, "{grown} bytes for {} connections", idle.len());
    // One more from an address of its own still gets in.
    let mut late = Peer::connect(server.rtmp).await.unwrap();
    late.publish("live", "late_one").await.unwrap();
    let report = (&mut checking).await.unwrap().unwrap();
    assert!(report.passed(), "{report}");
    drop(idle);
    until("the idle connections are gone", SOON, || async {
        server.metric("millrace_rtmp_connections ").await.filter(|n| *n <= 2.0)
    })
    .await;
    server.assert_calm();
}
