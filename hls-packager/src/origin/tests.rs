//! The origin as a player meets it, with time under control.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request as HttpRequest};
use bytes::Bytes;
use http_body_util::BodyExt;
use millrace_core::ids::BroadcastId;
use tower::ServiceExt;

use super::*;
use crate::model::Output;
use crate::transcode::stills::{BroadcastStills, tests as stills};
use crate::window::tests::Studio;
use crate::window::{LEADING_GAPS, WindowConfig};

type Response = Routed;

pub(super) const FIRST: u64 = 1_795_230_000 + LEADING_GAPS;

pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A broadcast on the channel `studio`.
struct Stage {
    studio: Studio,
    origin: Origin,
    broadcast: Arc<Broadcast>,
    stills: Arc<BroadcastStills>,
}

impl Stage {
    fn with_limit(parts: u32, max_blocked: usize) -> Self {
        let mut studio = Studio::new();
        studio.parts(parts);
        let playback_keys = Some(PlaybackKeys::parse(SECRET).unwrap());
        let origin = Origin::new(OriginConfig {
            max_blocked_requests: max_blocked,
            counts_requests: true,
            playback_keys,
            ..OriginConfig::default()
        });
        let stills = stills::broadcast("r4nd0m");
        let broadcast = Broadcast::new(id(1), "r4nd0m".into(), &studio.window).unwrap();
        let broadcast = Arc::new(broadcast.with_stills(Some(Arc::clone(&stills))));
        origin.catalog().announce(&channel(), Access::Open);
        origin.catalog().go_live(&channel(), &broadcast);
        Self { studio, origin, broadcast, stills }
    }

    fn new(parts: u32) -> Self {
        Self::with_limit(parts, 100)
    }

    fn part(&mut self) {
        self.studio.part();
        self.broadcast.publish(&self.studio.window);
    }

    fn end(&mut self) {
        self.studio.window.apply(Output::SegmentEnded).unwrap();
        self.studio.window.apply(Output::Ended).unwrap();
        self.broadcast.publish(&self.studio.window);
        self.origin.catalog().end(&channel(), &self.broadcast);
    }

    async fn send(&self, request: HttpRequest<Body>) -> Response {
        router(self.origin.clone()).oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.send(HttpRequest::get(path).body(Body::empty()).unwrap()).await
    }

    async fn get_with(&self, path: &str, name: HeaderName, value: &str) -> Response {
        self.send(HttpRequest::get(path).header(name, value).body(Body::empty()).unwrap()).await
    }

    /// Sends a request that waits, and returns once it does.
    async fn ask(&self, path: &str) -> tokio::task::JoinHandle<Response> {
        let waiting = self.origin.waiting();
        let request = HttpRequest::get(path).body(Body::empty()).unwrap();
        let answer = tokio::spawn(router(self.origin.clone()).oneshot(request));
        while self.origin.waiting() == waiting {
            assert!(!answer.is_finished(), "{path} did not wait");
            tokio::task::yield_now().await;
        }
        tokio::spawn(async move { answer.await.unwrap().unwrap() })
    }
}

pub(super) fn id(number: u128) -> BroadcastId {
    BroadcastId(uuid::Uuid::from_u128(number))
}

pub(super) fn channel() -> ChannelName {
    "studio".parse().unwrap()
}

pub(super) async fn body(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

pub(super) async fn text(response: Response) -> String {
    String::from_utf8(body(response).await.to_vec()).unwrap()
}

pub(super) fn header<'a, B>(response: &'a axum::http::Response<B>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The problem's slug.
pub(super) async fn problem(response: Response, status: u16) -> String {
    assert_eq!(response.status(), status);
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    assert_eq!(header(&response, "access-control-allow-origin"), "*");
    let document = text(response).await;
    let (_, slug) = document.split_once("\"type\":\"/problems/").unwrap();
    slug.split_once('"').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_live_channel_has_its_playlists_parts_segments_and_inits() {
    let stage = Stage::new(8);
    let response = stage.get("/live/studio/index.m3u8").await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(header(&response, "cache-control"), "public, max-age=1");
    assert!(text(response).await.contains("\nmain/index.m3u8\n"));

    let response = stage.get("/live/studio/main/index.m3u8").await;
    assert_eq!(header(&response, "cache-control"), "public, max-age=0, must-revalidate");
    assert_eq!(header(&response, "vary"), "accept-encoding");
    assert!(header(&response, "access-control-expose-headers").contains("age"));
    assert!(text(response).await.contains("r4nd0m-p19.m4s"));

    let segment = format!("r4nd0m-s{FIRST}.m4s");
    for (file, content_type, wanted) in [
        ("r4nd0m-i1.mp4", "video/mp4", b"init one".to_vec()),
        ("r4nd0m-p19.m4s", "video/iso.segment", vec![b'0'; 10]),
        (segment.as_str(), "video/iso.segment", vec![b'0'; 60]),
    ] {
        let response = stage.get(&format!("/live/studio/main/{file}")).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-type")),
            (200, content_type),
            "{file}"
        );
        assert_eq!(header(&response, "content-length"), wanted.len().to_string());
        assert_eq!(header(&response, "cache-control"), "public, max-age=86400, immutable");
        assert_eq!(body(response).await, wanted);
    }
    // The renditions are different media under the same names.
    assert_eq!(body(stage.get("/live/studio/audio/r4nd0m-p19.m4s").await).await, vec![b'1'; 10]);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document() {
    let stage = Stage::new(8);
    let table = [
        ("/live/nobody/index.m3u8", "channel-not-live"),
        ("/live/nobody/main/index.m3u8", "channel-not-live"),
        ("/live/nobody/main/r4nd0m-p1.m4s", "media-gone"),
        ("/live/..%2f..%2fetc/index.m3u8", "not-found"),
        ("/live/%2e%2e/main/index.m3u8", "not-found"),
        ("/live/%00studio/index.m3u8", "not-found"),
        ("/live/STUDIO/index.m3u8", "not-found"),
        ("/live/%ff/index.m3u8", "not-found"),
        ("/live/studio/%ff/index.m3u8", "not-found"),
        ("/live/studio/other/index.m3u8", "not-found"),
        ("/live/studio/..%2fmain/index.m3u8", "not-found"),
        ("/live/studio/main/..%2f..%2fpasswd", "not-found"),
        ("/live/studio/main/thumb.jpg", "not-found"),
        ("/live/studio/main/0ther-p1.m4s", "media-gone"),
        ("/live/studio/main/r4nd0m-p21.m4s", "media-gone"),
        ("/live/studio/main/r4nd0m-i2.mp4", "media-gone"),
        ("/live/studio/main/r4nd0m-s1795230000.m4s", "media-gone"), // a leading gap
        ("/live/studio/main/r4nd0m-s1795230004.m4s", "media-gone"), // not complete yet
    ];
    for (path, slug) in table {
        let response = stage.get(path).await;
        assert_eq!(header(&response, "cache-control"), "public, max-age=1", "{path}");
        assert_eq!(
            header(&response, "retry-after"),
            if slug == "channel-not-live" { "1" } else { "" },
            "{path}"
        );
        assert_eq!(problem(response, 404).await, slug, "{path}");
    }
}

#[tokio::test]
async fn bad_directives_are_refused_with_the_reason() {
    let stage = Stage::new(8);
    for query in [
        "_HLS_part=1",
        "_HLS_msn=",
        "_HLS_msn=-1",
        "_HLS_msn=1e3",
        "_HLS_msn=99999999999999999999",
        "_HLS_msn=1&_HLS_msn=2",
        "_HLS_msn=1&_HLS_part=x",
        "_HLS_skip=maybe",
        "_HLS_msn=18446744073709551615",
        "_HLS_msn=1795230006",
        "_HLS_msn=1795230004&_HLS_part=100",
    ] {
        let response = stage.get(&format!("/live/studio/main/index.m3u8?{query}")).await;
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(problem(response, 400).await, "bad-delivery-directive", "{query}");
    }
    let response = stage.get("/live/studio/main/index.m3u8?_HLS_future=1&token=a%20b&_HLS_msn=1").await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_blocked_reload_is_answered_by_the_part_it_waits_for() {
    let mut stage = Stage::new(8);
    let answer = stage.ask(&format!("/live/studio/main/index.m3u8?_HLS_msn={}&_HLS_part=3", FIRST + 1)).await;
    stage.part(); // part 2: not what was asked for
    tokio::task::yield_now().await;
    assert!(!answer.is_finished());
    stage.part();
    let response = answer.await.unwrap();
    assert_eq!(header(&response, "cache-control"), "public, max-age=24");
    assert!(text(response).await.contains("r4nd0m-p21.m4s"));
    assert_eq!(stage.origin.waiting(), 0);
}

#[tokio::test]
async fn everybody_who_waits_gets_the_same_bytes_rendered_once() {
    let mut stage = Stage::new(8);
    let path = format!("/live/studio/main/index.m3u8?_HLS_msn={}&_HLS_part=2", FIRST + 1);
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(stage.ask(&path).await);
    }
    stage.part();
    let mut bodies = std::collections::HashSet::new();
    for answer in answers {
        bodies.insert(body(answer.await.unwrap()).await.as_ptr());
    }
    assert_eq!(bodies.len(), 1);
}

#[tokio::test]
async fn a_hinted_part_waits_and_then_comes_whole() {
    let mut stage = Stage::new(8);
    let answer = stage.ask("/live/studio/main/r4nd0m-p20.m4s").await;
    stage.part();
    let response = answer.await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "content-length")), (200, "10"));
    // The broadcast ends instead: the hint is abandoned.
    let answer = stage.ask("/live/studio/main/r4nd0m-p21.m4s").await;
    stage.end();
    assert_eq!(problem(answer.await.unwrap(), 404).await, "media-gone");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_three_target_durations() {
    let stage = Stage::new(8);
    let before = tokio::time::Instant::now();
    let response = stage.get(&format!("/live/studio/main/index.m3u8?_HLS_msn={}", FIRST + 1)).await;
    assert_eq!(before.elapsed().as_secs(), 12);
    assert_eq!(header(&response, "retry-after"), "1");
    assert_eq!(problem(response, 503).await, "media-did-not-come");
    assert_eq!(stage.origin.waiting(), 0);
}

#[tokio::test]
async fn too_many_waiting_requests_are_turned_away_and_an_abandoned_one_makes_room() {
    let stage = Stage::with_limit(8, 2);
    let path = format!("/live/studio/main/index.m3u8?_HLS_msn={}", FIRST + 1);
    let request = || HttpRequest::get(&path).body(Body::empty()).unwrap();
    let _one = stage.ask(&path).await;
    let mut two = Box::pin(router(stage.origin.clone()).oneshot(request()));
    assert!(futures_util::poll!(&mut two).is_pending());
    let response = stage.get(&path).await;
    assert_eq!(header(&response, "retry-after"), "1");
    assert_eq!(problem(response, 503).await, "too-many-waiting-requests");
    // What need not wait is answered as ever.
    assert_eq!(stage.get("/live/studio/main/index.m3u8").await.status(), 200);
    drop(two);
    let _three = stage.ask(&path).await;
}

#[tokio::test]
async fn an_ended_broadcast_is_gone_from_the_multivariant_playlist_and_fetchable_until_forgotten() {
    let mut stage = Stage::new(8);
    let answer = stage.ask(&format!("/live/studio/main/index.m3u8?_HLS_msn={}", FIRST + 1)).await;
    stage.end();
    assert!(text(answer.await.unwrap()).await.ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(problem(stage.get("/live/studio/index.m3u8").await, 404).await, "channel-not-live");
    let ended = stage.get("/live/studio/main/index.m3u8?_HLS_msn=18446744073709551615&_HLS_part=7").await;
    assert!(text(ended).await.ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(stage.get("/live/studio/main/r4nd0m-p19.m4s").await.status(), 200);
    stage.origin.catalog().forget(&channel(), &stage.broadcast);
    assert_eq!(problem(stage.get("/live/studio/main/index.m3u8").await, 404).await, "channel-not-live");
    assert_eq!(problem(stage.get("/live/studio/main/r4nd0m-p19.m4s").await, 404).await, "media-gone");
}

#[tokio::test]
async fn the_next_broadcast_takes_over_the_urls_while_the_last_ones_media_can_be_fetched() {
    let mut stage = Stage::new(8);
    stage.end();
    let config = WindowConfig { window: None, memory_cap_bytes: u64::MAX };
    let mut studio = Studio::with(config, 4);
    studio.parts(1);
    let next = Arc::new(Broadcast::new(id(2), "next".into(), &studio.window).unwrap());
    stage.origin.catalog().go_live(&channel(), &next);
    assert!(!text(stage.get("/live/studio/main/index.m3u8").await).await.contains("ENDLIST"));
    assert_eq!(stage.get("/live/studio/main/r4nd0m-p19.m4s").await.status(), 200);
    // The last one's retention is over; the next one stays.
    stage.origin.catalog().forget(&channel(), &stage.broadcast);
    assert_eq!(stage.get("/live/studio/index.m3u8").await.status(), 200);
    assert_eq!(stage.get("/live/studio/main/r4nd0m-p19.m4s").await.status(), 404);
}

#[tokio::test]
async fn a_stopping_server_answers_everybody_at_once() {
    let stage = Stage::new(8);
    let playlist = stage.ask(&format!("/live/studio/main/index.m3u8?_HLS_msn={}", FIRST + 1)).await;
    let part = stage.ask("/live/studio/main/r4nd0m-p20.m4s").await;
    stage.origin.catalog().stop();
    let response = playlist.await.unwrap();
    assert_eq!(header(&response, "cache-control"), "public, max-age=0, must-revalidate");
    assert!(!text(response).await.contains("ENDLIST"));
    assert_eq!(problem(part.await.unwrap(), 503).await, "server-stopping");
    let again = stage.get(&format!("/live/studio/main/index.m3u8?_HLS_msn={}", FIRST + 1)).await;
    assert_eq!(again.status(), 200);
}

#[tokio::test]
async fn validators_spare_the_body() {
    let mut stage = Stage::new(8);
    for path in
        ["/live/studio/index.m3u8", "/live/studio/main/index.m3u8", "/live/studio/main/r4nd0m-p19.m4s"]
    {
        let response = stage.get(path).await;
        let etag = header(&response, "etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag} is not strong");
        for tags in [etag.clone(), format!("\"other\", W/{etag}"), "*".into()] {
            let response = stage.get_with(path, header::IF_NONE_MATCH, &tags).await;
            assert_eq!((response.status().as_u16(), header(&response, "etag")), (304, etag.as_str()));
            assert!(!header(&response, "cache-control").is_empty());
            assert!(body(response).await.is_empty());
        }
        assert_eq!(stage.get_with(path, header::IF_NONE_MATCH, "\"other\"").await.status(), 200);
    }
    let path = "/live/studio/main/index.m3u8";
    let before = header(&stage.get(path).await, "etag").to_owned();
    stage.part();
    assert_eq!(stage.get_with(path, header::IF_NONE_MATCH, &before).await.status(), 200);
}

#[tokio::test]
async fn playlists_are_compressed_for_those_who_want_it() {
    let stage = Stage::new(120);
    for path in [
        "/live/studio/index.m3u8",
        "/live/studio/main/index.m3u8",
        "/live/studio/main/index.m3u8?_HLS_skip=YES",
    ] {
        let plain = stage.get(path).await;
        let packed = stage.get_with(path, header::ACCEPT_ENCODING, "gzip, br").await;
        assert_eq!((header(&plain, "content-encoding"), header(&packed, "content-encoding")), ("", "gzip"));
        assert_ne!(header(&plain, "etag"), header(&packed, "etag"));
        assert_eq!(header(&packed, "vary"), "accept-encoding");
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&body(packed).await[..]).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, text(plain).await);
        assert!(unpacked.starts_with("#EXTM3U\n"));
    }
    let packed = stage.get_with("/live/studio/main/r4nd0m-p712.m4s", header::ACCEPT_ENCODING, "gzip").await;
    assert_eq!(header(&packed, "content-encoding"), "");
}

#[tokio::test]
async fn ranges_run_over_the_parts_of_a_segment() {
    let mut stage = Stage::new(0);
    for (size, parts) in [(10, 3), (7, 3), (1, 1)] {
        stage.studio.part_bytes = size;
        stage.studio.parts(parts);
    }
    stage.broadcast.publish(&stage.studio.window);
    let path = format!("/live/studio/main/r4nd0m-s{FIRST}.m4s");
    for (range, content_range, length) in [
        ("bytes=5-34", "bytes 5-34/51", "30"),
        ("bytes=-1", "bytes 50-50/51", "1"),
        ("bytes=0-", "bytes 0-50/51", "51"),
    ] {
        let response = stage.get_with(&path, header::RANGE, range).await;
        assert_eq!((response.status().as_u16(), header(&response, "content-range")), (206, content_range));
        assert_eq!(
            (header(&response, "content-length"), header(&response, "accept-ranges")),
            (length, "bytes")
        );
        assert_eq!(body(response).await.len().to_string(), length);
    }
    let response = stage.get_with(&path, header::RANGE, "bytes=51-").await;
    assert_eq!(header(&response, "content-range"), "bytes */51");
    assert_eq!(problem(response, 416).await, "range-not-satisfiable");
}

#[tokio::test]
async fn head_and_options_work_everywhere() {
    let stage = Stage::new(8);
    for path in
        ["/live/studio/index.m3u8", "/live/studio/main/index.m3u8", "/live/studio/main/r4nd0m-p19.m4s"]
    {
        let length = header(&stage.get(path).await, "content-length").to_owned();
        let head = HttpRequest::head(path).body(Body::empty()).unwrap();
        let response = stage.send(head).await;
        assert_eq!((response.status().as_u16(), header(&response, "content-length")), (200, length.as_str()));
        assert!(body(response).await.is_empty());
        let preflight = HttpRequest::builder().method(Method::OPTIONS).uri(path).body(Body::empty()).unwrap();
        let response = stage.send(preflight).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "access-control-allow-origin")),
            (204, "*")
        );
        assert_eq!(header(&response, "access-control-allow-methods"), "GET, HEAD, OPTIONS");
        let post = HttpRequest::post(path).body(Body::empty()).unwrap();
        assert_eq!(stage.send(post).await.status(), 405);
    }
}

#[tokio::test]
async fn other_players_are_counted_by_address_and_program() {
    let stage = Stage::new(8);
    for (address, agent, header) in [
        ("10.0.0.1:5", "a", "x-any"),
        ("10.0.0.1:6", "a", "x-any"),
        ("10.0.0.1:7", "b", "x-any"),
        ("10.0.0.2:7", "b", "x-any"),
        // Ours tells by itself that it is there.
        ("10.0.0.3:7", "c", "x-millrace-player"),
    ] {
        let mut request = HttpRequest::get("/live/studio/main/index.m3u8")
            .header(header::USER_AGENT, agent)
            .header(header, "1")
            .body(Body::empty())
            .unwrap();
        request.extensions_mut().insert(ConnectInfo(address.parse::<SocketAddr>().unwrap()));
        stage.send(request).await;
    }
    stage.get("/live/studio/index.m3u8").await;
    assert_eq!(stage.broadcast.viewers().estimate(), 3);
}

#[tokio::test]
async fn a_peer_that_goes_away_frees_its_slot() {
    let stage = Stage::new(8);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router(stage.origin.clone())).into_future());
    let mut peer = tokio::net::TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET /live/studio/main/index.m3u8?_HLS_msn={} HTTP/1.1\r\nhost: a\r\n\r\n", FIRST + 1);
    tokio::io::AsyncWriteExt::write_all(&mut peer, request.as_bytes()).await.unwrap();
    let waiting = |count| {
        let origin = stage.origin.clone();
        tokio::time::timeout(Duration::from_secs(10), async move {
            while origin.waiting() != count {
                tokio::task::yield_now().await;
            }
        })
    };
    waiting(1).await.expect("the request waits");
    drop(peer);
    waiting(0).await.expect("its slot is free again");
}

/// The prefix of addresses that a token of `studio` opens for `seconds` from now on.
pub(super) fn by_token(seconds: i64) -> String {
    let expires_at = Timestamp::now().as_second() + seconds;
    format!("/t/{}", PlaybackKeys::parse(SECRET).unwrap().sign(&channel(), expires_at))
}

#[tokio::test]
async fn what_needs_a_token_is_not_there_without_one() {
    let stage = Stage::new(8);
    stage.origin.catalog().set_access(&channel(), Access::Token);
    let good = by_token(600);
    for path in [
        "/live/studio/index.m3u8".to_owned(),
        "/live/studio/main/index.m3u8".to_owned(),
        format!("/live/studio/main/r4nd0m-s{FIRST}.m4s"),
        "/live/studio/main/r4nd0m-p19.m4s".to_owned(),
        "/live/studio/main/r4nd0m-i1.mp4".to_owned(),
    ] {
        let absent = if path.contains("r4nd0m") { "media-gone" } else { "channel-not-live" };
        assert_eq!(problem(stage.get(&path).await, 404).await, absent, "{path}");
        assert_eq!(problem(stage.get(&format!("/t/a.b.c{path}")).await, 404).await, absent, "{path}");
        assert_eq!(stage.get(&format!("{good}{path}")).await.status(), 200, "{path}");
        let expired = stage.get(&format!("{}{path}", by_token(0))).await;
        assert_eq!(header(&expired, "cache-control"), "no-store");
        assert_eq!(problem(expired, 403).await, "playback-token-expired", "{path}");
    }
    let other = stage.get(&format!("{good}/live/other/index.m3u8")).await;
    assert_eq!(problem(other, 404).await, "channel-not-live");
    let playlist = text(stage.get(&format!("{good}/live/studio/index.m3u8")).await).await;
    assert!(
        playlist.contains("\nmain/index.m3u8\n"),
        "addresses are relative and keep the token: {playlist}"
    );
}

#[tokio::test]
async fn no_cache_keeps_what_a_token_opened_for_longer_than_the_token_is_good() {
    let stage = Stage::new(8);
    stage.origin.catalog().set_access(&channel(), Access::Token);
    let segment = format!("{}/live/studio/main/r4nd0m-s{FIRST}.m4s", by_token(100));
    let response = stage.get(&segment).await;
    let seconds = header(&response, "cache-control").strip_prefix("public, max-age=").unwrap();
    assert!((95..=100).contains(&seconds.parse::<u64>().unwrap()), "{seconds}");
    let response = stage.get(&format!("{}/live/studio/index.m3u8", by_token(100))).await;
    assert_eq!(header(&response, "cache-control"), "public, max-age=1", "what is shorter stays");
}

#[tokio::test]
async fn access_changes_while_a_broadcast_runs_and_a_token_does_no_harm_where_none_is_needed() {
    let stage = Stage::new(8);
    let plain = "/live/studio/index.m3u8";
    let tokened = format!("{}{plain}", by_token(600));
    assert_eq!(stage.get(&tokened).await.status(), 200);
    stage.origin.catalog().set_access(&channel(), Access::Token);
    assert_eq!(stage.get(plain).await.status(), 404);
    assert_eq!(stage.get(&tokened).await.status(), 200);
    stage.origin.catalog().set_access(&channel(), Access::Open);
    assert_eq!(stage.get(plain).await.status(), 200);
}

#[tokio::test]
async fn the_catalog_forgets_channels_of_which_nothing_is_left() {
    let stage = Stage::new(8);
    let catalog = stage.origin.catalog();
    catalog.end(&channel(), &stage.broadcast);
    catalog.forget(&channel(), &stage.broadcast);
    assert!(catalog.channel(&channel()).is_some(), "it is announced still");
    catalog.withdraw(&channel());
    assert!(catalog.channel(&channel()).is_none());
    catalog.set_access(&channel(), Access::Open);
    assert!(catalog.channel(&channel()).is_none(), "an order for a channel without media leaves nothing");
}

/// Status, headers and body.
async fn seen<B: http_body::Body<Error: std::fmt::Debug>>(
    response: axum::http::Response<B>,
) -> (u16, Vec<(String, String)>, Bytes) {
    let (head, body) = response.into_parts();
    let mut headers: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect();
    headers.sort();
    // The router's own, where hyper adds the front's.
    headers.retain(|(name, _)| name != "content-length");
    let length = body.size_hint().exact();
    let body = body.collect().await.unwrap().to_bytes();
    assert_eq!(length, Some(body.len() as u64));
    (head.status.as_u16(), headers, body)
}

#[tokio::test]
async fn the_front_answers_as_the_router_does() {
    use millrace_http::front::Front as _;
    let stage = Stage::new(8);
    let token = PlaybackKeys::parse(SECRET).unwrap().sign(&channel(), Timestamp::now().as_second() + 100_000);
    let current = format!("_HLS_msn={}&_HLS_part=0", FIRST + 1);
    let etag = header(&stage.get("/live/studio/main/index.m3u8").await, "etag").to_owned();
    let files = [
        "main/index.m3u8",
        "audio/index.m3u8?_HLS_skip=YES",
        &format!("main/index.m3u8?{current}"),
        "main/index.m3u8?_HLS_part=1",
        "main/r4nd0m-i1.mp4",
        "main/r4nd0m-p19.m4s",
        &format!("main/r4nd0m-s{FIRST}.m4s"),
        "main/r4nd0m-p1.m4s",
        "main/0ther-p1.m4s",
        "main/thumb.jpg",
        "other/index.m3u8",
    ];
    let headers = [
        ("accept-encoding", "gzip"),
        ("accept-encoding", "identity"),
        ("range", "bytes=2-4"),
        ("range", "bytes=900-"),
        ("if-none-match", &etag),
    ];
    let mut statuses = std::collections::BTreeSet::new();
    for access in [Access::Open, Access::Token] {
        stage.origin.catalog().set_access(&channel(), access);
        for base in ["/live/studio", "/live/nobody", &format!("/t/{token}/live/studio"), "/t/bad/live/studio"]
        {
            for (file, (name, value)) in files.iter().flat_map(|file| headers.map(|header| (file, header))) {
                let request = || {
                    HttpRequest::get(format!("{base}/{file}"))
                        .header(name, value)
                        .body(Body::empty())
                        .unwrap()
                };
                let head = request().into_parts().0;
                assert!(stage.origin.takes(&head.method, &head.uri), "{base}/{file}");
                let peer = SocketAddr::from(([127, 0, 0, 1], 1));
                let front = seen(stage.origin.answer(head, peer).await).await;
                let routed = seen(stage.send(request()).await).await;
                statuses.insert(front.0);
                assert_eq!(front, routed, "{base}/{file} {name}: {value}");
            }
        }
    }
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 206, 304, 400, 404, 416]);
    let takes = |method, path: &'static str| stage.origin.takes(&method, &axum::http::Uri::from_static(path));
    assert!(!takes(Method::HEAD, "/live/studio/main/index.m3u8"));
    assert!(!takes(Method::OPTIONS, "/live/studio/main/index.m3u8"));
    assert!(!takes(Method::GET, "/live/studio/index.m3u8"));
}

#[tokio::test]
async fn a_live_channel_has_the_newest_thumbnail_in_sizes_and_formats() {
    let mut stage = Stage::new(3);
    let early = stage.get("/live/studio/thumb.jpg").await;
    assert_eq!(header(&early, "retry-after"), "5");
    assert_eq!(problem(early, 404).await, "no-picture");
    stills::show(&stage.stills, 7);
    for (path, content_type, wanted) in [
        ("/live/studio/thumb.jpg", "image/jpeg", "thumb-640.jpg"),
        ("/live/studio/thumb.jpg?v=7", "image/jpeg", "thumb-640.jpg"),
        ("/live/studio/thumb.webp", "image/webp", "thumb-640.webp"),
        ("/live/studio/thumb-1280.jpg", "image/jpeg", "thumb-1280.jpg"),
        ("/live/studio/thumb-320.webp", "image/webp", "thumb-320.webp"),
    ] {
        let response = stage.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(header(&response, "content-type"), content_type);
        assert_eq!(header(&response, "cache-control"), "public, max-age=10");
        assert_eq!(header(&response, "access-control-allow-origin"), "*");
        assert_eq!(text(response).await, wanted);
    }
    assert_eq!(problem(stage.get("/live/studio/thumb-641.jpg").await, 404).await, "not-found");
    // Another picture has another tag.
    let etag = header(&stage.get("/live/studio/thumb.jpg").await, "etag").to_owned();
    let again = stage.get_with("/live/studio/thumb.jpg", header::IF_NONE_MATCH, &etag).await;
    assert_eq!((again.status().as_u16(), header(&again, "cache-control")), (304, "public, max-age=10"));
    stills::show(&stage.stills, 8);
    assert_eq!(stage.get_with("/live/studio/thumb.jpg", header::IF_NONE_MATCH, &etag).await.status(), 200);
    let request = HttpRequest::head("/live/studio/thumb.jpg").body(Body::empty()).unwrap();
    assert_eq!(header(&stage.send(request).await, "content-length"), "13");
    stage.end();
    assert_eq!(problem(stage.get("/live/studio/thumb.jpg").await, 404).await, "channel-not-live");
}

#[tokio::test]
async fn a_thumbnail_needs_the_token_that_its_broadcast_needs() {
    let stage = Stage::new(3);
    stills::show(&stage.stills, 7);
    stage.origin.catalog().set_access(&channel(), Access::Token);
    let keys = PlaybackKeys::parse(SECRET).unwrap();
    let token = keys.sign(&channel(), Timestamp::now().as_second() + 5);
    assert_eq!(problem(stage.get("/live/studio/thumb.jpg").await, 404).await, "channel-not-live");
    let response = stage.get(&format!("/t/{token}/live/studio/thumb.jpg")).await;
    assert_eq!(response.status(), 200);
    assert!(["public, max-age=4", "public, max-age=5"].contains(&header(&response, "cache-control")));
}

#[tokio::test]
async fn a_storyboard_lists_pictures_that_can_be_fetched() {
    let mut stage = Stage::new(3);
    assert_eq!(problem(stage.get("/live/studio/storyboard.vtt").await, 404).await, "no-picture");
    stills::draw(&stage.stills, 7);
    let response = stage.get("/live/studio/storyboard.vtt?format=webp").await;
    assert_eq!(header(&response, "content-type"), "text/vtt; charset=utf-8");
    let index = text(response).await;
    let sprite = index.lines().find_map(|line| line.split_once("#xywh=")).unwrap().0;
    assert_eq!(sprite, "storyboard/r4nd0m-b0.webp");
    let response = stage.get(&format!("/live/studio/{sprite}")).await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, "image/webp"));
    assert_eq!(header(&response, "cache-control"), "public, max-age=86400, immutable");
    assert_eq!(text(response).await, "webp of 5");
    assert!(text(stage.get("/live/studio/storyboard.vtt").await).await.contains("r4nd0m-b0.jpg"));
    for gone in ["r4nd0m-b1.webp", "0ther-b0.webp"] {
        assert_eq!(
            problem(stage.get(&format!("/live/studio/storyboard/{gone}")).await, 404).await,
            "media-gone"
        );
    }
    // It is as good after the end.
    stage.end();
    assert_eq!(stage.get("/live/studio/storyboard.vtt").await.status(), 200);
}
