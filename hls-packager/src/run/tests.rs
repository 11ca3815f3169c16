//! Broadcasts from feed to origin, with the real packager in real time.

use std::future::IntoFuture;

use axum::body::Body;
use axum::http::Request as HttpRequest;
use bytes::Bytes;
use http_body_util::BodyExt;
use millrace_core::bus::Subscription;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::feed::{FeedSender, PublisherInfo};
use millrace_core::flv::TagKind;
use millrace_core::ids::BroadcastId;
use millrace_core::ladder::{ChannelLadder, LadderWish};
use millrace_core::playback::Access;
use millrace_core::time::RtmpMillis;
use tower::ServiceExt;

use super::*;
use crate::demux::avc::tests::RECORD;
use crate::ladder::RungConfig;
use crate::origin::OriginConfig;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    service: PackagerService,
    origin: Origin,
    events: Subscription,
}

impl Server {
    fn new() -> Self {
        Self::with(TranscodeConfig::default())
    }

    fn with(transcode: TranscodeConfig) -> Self {
        let bus = MemoryBus::new();
        let events = bus.subscribe(Topic::Streams);
        let config = Config { latency: crate::config::Latency::Ultra, ..Config::default() };
        let origin = Origin::new(OriginConfig::default());
        let node = "test".parse().unwrap();
        let transcode = TranscodeConfig { thumbnails: false, ..transcode };
        let service =
            PackagerService::new(config, &transcode, origin.clone(), bus, &node, &CancellationToken::new());
        Self { service, origin, events }
    }

    fn publisher(&self) -> Encoder {
        self.publisher_with(ChannelLadder::default())
    }

    fn publisher_with(&self, ladder: ChannelLadder) -> Encoder {
        let id = BroadcastId(uuid::Uuid::now_v7());
        let start = BroadcastStart { id, channel: "studio".parse().unwrap(), access: Access::Open, ladder };
        let FeedHandle { items, replies } = self.service.open(start);
        Encoder { items, replies, frame: 0 }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let request = HttpRequest::get(path).body(Body::empty()).unwrap();
        let response = crate::origin::router(self.origin.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Asks until the answer is as it should be.
    async fn until(&self, path: &str, good: impl Fn(u16, &str) -> bool) -> String {
        let asking = async {
            loop {
                let (status, text) = self.get(path).await;
                if good(status, &text) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking)
            .await
            .unwrap_or_else(|_| panic!("{path} did not become what it should"))
    }
}

/// An encoder: 25 frames per second, a keyframe each second, no sound.
struct Encoder {
    items: FeedSender,
    replies: mpsc::Receiver<FeedReply>,
    frame: u32,
}

impl Encoder {
    async fn send(&self, item: FeedItem) {
        self.items.send(item).await.unwrap();
    }

    async fn tag(&self, millis: u32, body: Vec<u8>) {
        let tag = FlvTag { kind: TagKind::Video, timestamp: RtmpMillis(millis), body: body.into() };
        self.send(FeedItem::Tag { tag, arrived: Instant::now() }).await;
    }

    async fn join(&self) {
        let publisher = PublisherInfo { connection: ConnectionId(7), encoder: None, cause: Cause::default() };
        self.send(FeedItem::PublisherJoined(publisher)).await;
        let metadata = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x0cvideocodecid\x00\x40\x1c\x00\x00\x00\x00\x00\x00\x00\x00\x09";
        let tag =
            FlvTag { kind: TagKind::Script, timestamp: RtmpMillis(0), body: Bytes::from_static(metadata) };
        self.send(FeedItem::Tag { tag, arrived: Instant::now() }).await;
        self.tag(0, [&[0x17, 0, 0, 0, 0][..], RECORD].concat()).await;
    }

    async fn frames(&mut self, count: u32) {
        for _ in 0..count {
            let key = self.frame.is_multiple_of(25);
            let header =
                if key { [0x17, 1, 0, 0, 0, 0, 0, 0, 5, 0x65] } else { [0x27, 1, 0, 0, 0, 0, 0, 0, 5, 0x41] };
            self.tag(self.frame * 40, [&header[..], &self.frame.to_be_bytes()].concat()).await;
            self.frame += 1;
        }
    }
}

/// URIs of the parts that are no gaps.
fn media_parts(playlist: &str) -> impl Iterator<Item = &str> {
    let parts = playlist.lines().filter(|line| line.starts_with("#EXT-X-PART:") && !line.contains("GAP=YES"));
    parts.filter_map(|line| line.split('"').nth(1))
}

fn media_sequence(playlist: &str) -> u64 {
    let line = playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).unwrap();
    line.parse().unwrap()
}

const MULTIVARIANT: &str = "/live/studio/index.m3u8";
const MAIN: &str = "/live/studio/main/index.m3u8";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_can_be_watched_from_its_first_part_to_its_end_and_the_next_one_after_it() {
    let mut server = Server::new();
    let mut encoder = server.publisher();
    encoder.join().await;
    encoder.frames(6).await;
    let multivariant = server.until(MULTIVARIANT, |status, _| status == 200).await;
    assert!(multivariant.contains("CODECS=\"avc1.") && multivariant.contains("RESOLUTION=640x360"));
    assert!(server.until(MAIN, |status, _| status == 200).await.contains("INDEPENDENT=YES"));

    encoder.frames(60).await;
    let playlist = server.until(MAIN, |_, text| text.matches("#EXTINF").count() >= 5).await;
    let first = media_sequence(&playlist);
    let part = media_parts(&playlist).next().unwrap();
    assert_eq!(server.get(&format!("/live/studio/main/{part}")).await.0, 200);

    let event = tokio::time::timeout(PATIENCE, server.events.next()).await.unwrap().unwrap();
    let EventBody::StreamUpdated(update) = &event.body else { panic!("{event:?}") };
    assert_eq!(
        (event.channel().unwrap().as_str(), update.health.video.as_ref().map(|video| video.width)),
        ("studio", Some(640))
    );

    encoder.send(FeedItem::Ended).await;
    let ended = server.until(MAIN, |_, text| text.ends_with("#EXT-X-ENDLIST\n")).await;
    server.until(MULTIVARIANT, |status, _| status == 404).await;
    assert_eq!(server.get(&format!("/live/studio/main/{part}")).await.0, 200);

    let mut encoder = server.publisher();
    encoder.join().await;
    encoder.frames(6).await;
    let next = server.until(MAIN, |_, text| !text.contains("ENDLIST")).await;
    let last = first + ended.matches("#EXTINF").count() as u64 - 1;
    assert!(media_sequence(&next) > last, "{} is not after {last}", media_sequence(&next));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_comes_back_goes_on_in_the_same_playlist() {
    let server = Server::new();
    let mut encoder = server.publisher();
    encoder.join().await;
    encoder.frames(30).await;
    let before = media_sequence(&server.until(MAIN, |status, _| status == 200).await);
    encoder.send(FeedItem::PublisherLeft).await;
    server.until(MAIN, |_, text| text.contains(",GAP=YES")).await;
    encoder.frame = 0;
    encoder.join().await;
    encoder.frames(30).await;
    let after = server
        .until(MAIN, |_, text| {
            text.rsplit("#EXT-X-DISCONTINUITY\n").next().is_some_and(|tail| {
                tail.contains("INDEPENDENT=YES") && text.contains("#EXT-X-DISCONTINUITY\n")
            })
        })
        .await;
    assert_eq!(media_sequence(&after), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_codec_that_cannot_be_packaged_is_refused_once_with_a_sentence() {
    let server = Server::new();
    let mut encoder = server.publisher();
    encoder.join().await;
    for _ in 0..3 {
        encoder.tag(0, b"\x90hvc1\x01".to_vec()).await;
    }
    let reply = tokio::time::timeout(PATIENCE, encoder.replies.recv()).await.unwrap().unwrap();
    let FeedReply::Refuse { connection, sentence } = reply;
    assert_eq!(connection, ConnectionId(7));
    assert!(sentence.contains("HEVC"), "{sentence}");
    encoder.send(FeedItem::Ended).await;
    assert_eq!(tokio::time::timeout(PATIENCE, encoder.replies.recv()).await.unwrap(), None);
    assert_eq!(server.get(MULTIVARIANT).await.0, 404);
}

#[tokio::test]
async fn a_tag_alone_tells_what_can_never_be_packaged() {
    let server = Server::new();
    let check = |kind, body: &[u8]| {
        let tag = FlvTag { kind, timestamp: RtmpMillis(0), body: Bytes::copy_from_slice(body) };
        server.service.check(&tag)
    };
    let header = [&[0x17, 0, 0, 0, 0][..], RECORD].concat();
    for (what, kind, body) in [
        ("H.264 configuration", TagKind::Video, header.as_slice()),
        ("H.264 picture", TagKind::Video, &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]),
        ("AAC configuration", TagKind::Audio, &[0xaf, 0, 0x11, 0x90]),
        ("AAC frame", TagKind::Audio, &[0xaf, 1, 0x21]),
        ("metadata", TagKind::Script, b"\x02\x00\x0aonMetaData\x08"),
        ("a track that is left out", TagKind::Audio, b"\x95\x00Opus\x01\x01"),
        ("broken", TagKind::Video, &[0x17]),
        ("empty", TagKind::Audio, &[]),
    ] {
        assert_eq!(check(kind, body), Ok(()), "{what}");
    }
    for (named, kind, body) in [
        ("HEVC", TagKind::Video, &b"\x90hvc1\x01"[..]),
        ("VP6", TagKind::Video, &[0x14, 0]),
        ("MP3", TagKind::Audio, &[0x2f, 0xff, 0xfb]),
        ("Opus", TagKind::Audio, b"\x90Opus\x01"),
        ("H.264", TagKind::Video, &header[..20]),
        ("AAC", TagKind::Audio, &[0xaf, 0, 0x12]),
    ] {
        let sentence = check(kind, body).unwrap_err();
        assert!(sentence.contains(named), "{named}: {sentence}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_has_the_rungs_that_its_channel_wants() {
    let rung = |height| RungConfig { height, bitrate: 200_000, max_frame_rate: 60 };
    let ladder = |mode| {
        let rungs = [1080, 720, 240, 144].map(rung).to_vec();
        // Nobody asks for one, so it is never started.
        let program = Some("/bin/false".into());
        TranscodeConfig {
            program,
            ladder: LadderConfig { mode, rungs, ..LadderConfig::default() },
            ..TranscodeConfig::default()
        }
    };
    let wish = |mode, rungs: Option<&[&str]>| {
        let rungs = rungs.map(|rungs| rungs.iter().map(ToString::to_string).collect());
        LadderWish { mode, rungs }
    };
    let allowed = wish(Some(LadderMode::OnDemand), None);
    for (site, wish, allowed, made) in [
        (LadderMode::OnDemand, wish(None, None), LadderWish::default(), &["240p", "144p"][..]),
        (LadderMode::OnDemand, wish(Some(LadderMode::Off), None), LadderWish::default(), &[]),
        (LadderMode::OnDemand, wish(None, Some(&["144p", "1080p", "99p"])), LadderWish::default(), &["144p"]),
        (LadderMode::Off, wish(Some(LadderMode::OnDemand), None), LadderWish::default(), &[]),
        (LadderMode::Off, wish(Some(LadderMode::OnDemand), Some(&["240p"])), allowed, &["240p"]),
    ] {
        let server = Server::with(ladder(site));
        let mut encoder = server.publisher_with(ChannelLadder { wish: wish.clone(), allowed });
        encoder.join().await;
        encoder.frames(33).await;
        let playlist = server.until("/live/studio/index.m3u8", |status, _| status == 200).await;
        let rungs: Vec<_> = playlist.lines().filter_map(|line| line.strip_suffix("p/index.m3u8")).collect();
        let expected: Vec<_> = made.iter().map(|name| name.trim_end_matches('p')).collect();
        assert_eq!(rungs, expected, "{site:?} {wish:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_flushes_and_lets_players_go_on_later() {
    let server = Server::new();
    let mut encoder = server.publisher();
    encoder.join().await;
    encoder.frames(33).await; // 6 parts of 5 frames, and 3 more frames
    let playlist = server.until(MAIN, |_, text| media_parts(text).count() == 6).await;
    assert_eq!(playlist.matches("#EXTINF").count(), 4);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, crate::origin::router(server.origin.clone())).into_future());
    // Waits for a segment that will not be complete.
    let blocked = tokio::spawn({
        let path = format!("{MAIN}?_HLS_msn={}", media_sequence(&playlist) + 5);
        async move {
            let mut peer = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            tokio::io::AsyncWriteExt::write_all(&mut peer, request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut peer, &mut answer).await.unwrap();
            answer
        }
    });
    while server.origin.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    server.service.stop();
    encoder.send(FeedItem::Ended).await;
    assert_eq!(server.service.drain(PATIENCE).await, 0);
    let answer = tokio::time::timeout(PATIENCE, blocked).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("ENDLIST"));
    assert_eq!(media_parts(&answer).count(), 7, "the last frames are flushed: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_stays_open_is_cut_when_the_grace_period_is_over() {
    let server = Server::new();
    let mut encoder = server.publisher();
    encoder.join().await;
    encoder.frames(10).await;
    server.until(MAIN, |status, _| status == 200).await;
    assert_eq!(server.service.drain(Duration::from_millis(20)).await, 1);
    assert!(!server.get(MAIN).await.1.contains("ENDLIST"));
}

#[test]
fn prefixes_differ_and_are_names() {
    let prefixes: std::collections::HashSet<_> = (0..1000).map(|_| prefix()).collect();
    assert_eq!(prefixes.len(), 1000);
    assert!(
        prefixes
            .iter()
            .all(|p| p.len() == 10 && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
    );
}
