//! nginx with the configuration that we ship, between real broadcasts and many viewers: the origin is asked once.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use millrace_core::ids::ChannelName;
use millrace_core::playback::PlaybackKeys;
use millrace_hls_checker::playlist::{self, MediaPlaylist, Position};
use millrace_hls_checker::rule::Findings;
use reqwest::header::{ACCEPT_ENCODING, IF_NONE_MATCH, RANGE};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::browser::looped;
use crate::nginx::Nginx;
use crate::node::Viewer;
use crate::publisher::Ffmpeg;
use crate::server::{Server, scratch};
use crate::streamer::{KEYS, Streamer};
use crate::topology;
use crate::wait::{quiet, share, until};

const SOON: Duration = Duration::from_secs(30);
const SECRET: &str = "an-owner-made-this-with-openssl-rand-base64-48";
/// Behind an edge, who asks is not who watches.
const SETTINGS: &[(&str, &str)] = &[("MILLRACE_HLS__COUNT_REQUESTS", "false")];

fn secrets() -> (TempDir, PathBuf) {
    let (folder, path) = scratch("millrace-edge");
    let file = path.join("secrets");
    std::fs::write(&file, SECRET).unwrap();
    (folder, file)
}

/// What one viewer, or all of them, asked for and got.
#[derive(Default)]
struct Seen {
    /// Blocking reloads, as `index.m3u8?…`.
    reloads: BTreeSet<String>,
    /// Parts and what their bytes come to.
    parts: BTreeMap<String, u64>,
    /// Plain requests of the media playlist.
    joins: u64,
}

impl Seen {
    fn absorb(&mut self, other: Self) {
        self.reloads.extend(other.reloads);
        self.joins += other.joins;
        for (part, bytes) in other.parts {
            assert_eq!(
                *self.parts.entry(part.clone()).or_insert(bytes),
                bytes,
                "{part} is not the same for all"
            );
        }
    }
}

fn read(text: &str) -> MediaPlaylist {
    let mut findings = Findings::new("a playlist through the edge");
    let list = playlist::parse(text, &mut findings);
    assert!(findings.as_slice().is_empty(), "{:?}\n{text}", findings.as_slice());
    list
}

/// The parts that are listed from a position on.
fn parts_from(list: &MediaPlaylist, from: Position) -> impl Iterator<Item = &str> {
    let at = move |msn, part| Position { msn, part } >= from;
    list.segments.iter().flat_map(move |segment| {
        let parts = segment.parts.iter().zip(0..);
        parts
            .filter(move |(part, index)| !part.gap && at(segment.msn, *index))
            .map(|(part, _)| part.uri.as_str())
    })
}

/// A player: it joins, asks for what comes next as soon as it has something, and fetches every new part.
async fn watch(client: reqwest::Client, rendition: String, reloads: usize) -> Seen {
    let get = async |name: &str| {
        let answer = client.get(format!("{rendition}/{name}")).send().await.map_err(|e| e.to_string());
        let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer.status(), 200, "{name}");
        answer
    };
    let mut seen = Seen { joins: 1, ..Seen::default() };
    let mut list = read(&get("index.m3u8").await.text().await.unwrap());
    for _ in 0..reloads {
        let wanted = list.end();
        let reload = format!("index.m3u8?_HLS_msn={}&_HLS_part={}", wanted.msn, wanted.part);
        list = read(&get(&reload).await.text().await.unwrap());
        assert!(list.end() > wanted, "{reload} was answered with what was before: {:?}", list.end());
        seen.reloads.insert(reload);
        for part in parts_from(&list, wanted) {
            let bytes = get(part).await.bytes().await.unwrap();
            let mut hash = DefaultHasher::new();
            bytes.hash(&mut hash);
            seen.parts.insert(part.to_owned(), hash.finish());
        }
    }
    seen
}

/// So many viewers at once, each at one of these addresses of the rendition.
async fn crowd(viewers: usize, reloads: usize, renditions: &[String]) -> Seen {
    let client = crate::http::client().timeout(SOON).build().unwrap();
    let watching = renditions.iter().cycle().take(viewers);
    let watching = watching.map(|at| tokio::spawn(watch(client.clone(), at.clone(), reloads)));
    let mut all = Seen::default();
    for one in join_all(watching).await {
        all.absorb(one.unwrap());
    }
    all
}

/// How often each address was fetched through this nginx, and how often it asked for it itself.
fn asked(edge: &Nginx) -> BTreeMap<String, (u64, u64)> {
    let mut counts = BTreeMap::<_, (u64, u64)>::new();
    for line in edge.log().lines() {
        let words: Vec<_> = line.split(' ').collect();
        let (address, cache) = (words[3].trim_end_matches(['&', '?']), words[words.len() - 1]);
        let name = address.rsplit_once('/').map_or(address, |(_, name)| name).to_owned();
        let count = counts.entry(name).or_default();
        count.0 += 1;
        count.1 += u64::from(cache != "HIT");
    }
    counts
}

/// Every reload and part was fetched by many and asked of the origin once; joins of a tenth of a second count as one.
async fn assert_asked_once(edge: &Nginx, server: &Server, seen: &Seen, took: Duration) {
    let names = || seen.reloads.iter().chain(seen.parts.keys());
    let counts = until("nginx has logged everything", SOON, || async {
        let counts = asked(edge);
        names().all(|name| counts.contains_key(name)).then_some(counts)
    })
    .await;
    for name in names() {
        assert_eq!(counts[name].1, 1, "{name} was asked of the origin more than once: {:?}", counts[name]);
    }
    // And what the origin itself counts.
    let (Some(parts), Some(reloads)) = (counted(server, "part").await, counted(server, "playlist").await)
    else {
        return;
    };
    assert_eq!(parts, seen.parts.len() as f64, "parts");
    let joins = reloads - seen.reloads.len() as f64;
    let tenths = took.as_secs_f64() * 10.0 + 2.0;
    assert!(joins >= 1.0 && joins <= tenths, "{joins} joins of {} in {took:.1?}", seen.joins);
}

/// How many requests of a kind the origin has answered; nothing where one process fetches from another, and both count.
async fn counted(server: &Server, kind: &str) -> Option<f64> {
    if topology::is_split() {
        return None;
    }
    Some(server.metric(&format!("millrace_hls_requests_total{{kind=\"{kind}\"")).await.unwrap_or(0.0))
}

/// The playlist at an address, once it has a whole segment; what a broadcast begins with are gaps.
async fn begun(rendition: &str) -> MediaPlaylist {
    until("a complete segment", SOON, || async {
        let text = crate::http::get(format!("{rendition}/index.m3u8")).await.ok()?.text().await.ok()?;
        let list = text.contains("#EXTINF").then(|| read(&text))?;
        list.segments.iter().any(|segment| segment.uri.is_some() && !segment.gap).then_some(list)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_viewers_cost_the_origin_one_request_per_part_and_reload() {
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    let server = Server::start(SETTINGS).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let (_folder, secrets) = secrets();
    let edge = Nginx::start(server.http, &secrets).await;
    begun(&edge.url("/live/studio/main")).await;
    let joined = counted(&server, "playlist").await.unwrap_or_default();
    let began = Instant::now();
    let seen = crowd(200, 12, &[edge.url("/live/studio/main")]).await;
    assert!(seen.parts.len() >= 12, "{} parts", seen.parts.len());
    // Those who waited for the broadcast above were no viewers.
    let took = began.elapsed() + Duration::from_secs_f64(joined / 10.0);
    assert_asked_once(&edge, &server, &seen, took).await;
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_behind_an_edge_cost_the_origin_no_more() {
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    let server = Server::start(SETTINGS).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let (_folder, secrets) = secrets();
    let shield = Nginx::start(server.http, &secrets).await;
    let (east, west) =
        (Nginx::start(shield.address(), &secrets).await, Nginx::start(shield.address(), &secrets).await);
    begun(&east.url("/live/studio/main")).await;
    let joined = counted(&server, "playlist").await.unwrap_or_default();
    let began = Instant::now();
    let at = [east.url("/live/studio/main"), west.url("/live/studio/main")];
    let seen = crowd(100, 12, &at).await;
    let took = began.elapsed() + Duration::from_secs_f64(joined / 10.0);
    assert_asked_once(&shield, &server, &seen, took).await;
    // And nobody asked the shield but once per edge.
    let counts = asked(&shield);
    for name in seen.reloads.iter().chain(seen.parts.keys()) {
        assert!(counts[name].0 <= 2, "{name}: {:?}", counts[name]);
    }
    // A player that is not ours, in a real browser.
    let viewer = Viewer::stock(&east.url("/live/studio/index.m3u8")).await;
    viewer.plays_for(8.0, Duration::from_secs(60)).await;
    viewer.assert_never_went_back();
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_edge_are_whole_in_part_packed_or_not_and_no_404_stays() {
    let fixture = looped().fixture().await;
    let server = Server::start(SETTINGS).await;
    let (_folder, secrets) = secrets();
    let edge = Nginx::start(server.http, &secrets).await;
    let client = crate::http::client().build().unwrap();

    // Nobody is live: that is asked of the origin once a second at most, and not believed for longer.
    let multivariant = edge.url("/live/studio/index.m3u8");
    let began = Instant::now();
    let absent = join_all((0..50).map(|_| crate::http::get(&multivariant))).await;
    assert!(absent.into_iter().all(|answer| answer.unwrap().status() == 404));
    let asked_for = counted(&server, "multivariant").await.unwrap_or_default();
    assert!(asked_for <= began.elapsed().as_secs_f64() + 2.0, "{asked_for} requests");
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    until("the origin has it", SOON, || async {
        crate::http::get(server.playlist("studio")).await.ok().filter(|answer| answer.status() == 200)
    })
    .await;
    let since = Instant::now();
    until("the edge has it", SOON, || async {
        crate::http::get(&multivariant).await.ok().filter(|answer| answer.status() == 200)
    })
    .await;
    // A second, on a machine that has nothing else to do.
    assert!(since.elapsed() < Duration::from_secs(8), "a 404 stayed for {:?}", since.elapsed());
    let main = edge.url("/live/studio/main");
    let list = begun(&main).await;

    // A reload that is there: one entry for all codings, other parameters and the order of parameters.
    let msn = list.media_sequence + 1;
    let reload = format!("{main}/index.m3u8?_HLS_msn={msn}&_HLS_part=0");
    let mut bodies = Vec::new();
    for (url, coding) in [
        (reload.clone(), "gzip"),
        (reload.clone(), "gzip, deflate, br, zstd"),
        (reload.clone(), ""),
        (format!("{main}/index.m3u8?_HLS_part=0&_HLS_msn={msn}"), "gzip"),
        (format!("{reload}&nonsense=1"), "gzip"),
    ] {
        let answer = client.get(&url).header(ACCEPT_ENCODING, coding).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        let packed = answer.headers().get("content-encoding").is_some_and(|found| found == "gzip");
        assert_eq!(packed, coding.contains("gzip"), "{url} {coding:?}");
        let (cache, hit) = (answer.headers()["cache-control"].clone(), answer.headers()["x-cache"].clone());
        assert!(cache.to_str().unwrap().contains("max-age=24"), "{cache:?}");
        assert_eq!(hit, if bodies.is_empty() { "MISS" } else { "HIT" }, "{url} {coding:?}");
        let body = answer.bytes().await.unwrap();
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), packed, "{url} {coding:?}");
        bodies.push(body);
    }
    assert!(
        bodies[0].len() < bodies[2].len() && read(std::str::from_utf8(&bodies[2]).unwrap()).end().msn > msn
    );

    // A segment: whole, in part, by its validator, and its head alone.
    let segment = list.segments.iter().rev().find(|segment| segment.uri.is_some() && !segment.gap).unwrap();
    let segment = format!("{main}/{}", segment.uri.as_ref().unwrap());
    let part = client.get(&segment).header(RANGE, "bytes=10-19").send().await.unwrap();
    assert_eq!(
        (part.status(), part.headers()["content-length"].to_str().unwrap()),
        (206.try_into().unwrap(), "10")
    );
    let part = part.bytes().await.unwrap();
    let whole = client.get(&segment).send().await.unwrap();
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.headers()["cache-control"], "public, max-age=86400, immutable");
    assert_eq!(whole.headers()["access-control-allow-origin"], "*");
    let etag = whole.headers()["etag"].clone();
    let length = whole.headers()["content-length"].clone();
    assert_eq!(whole.bytes().await.unwrap()[10..20], part[..]);
    let same = client.get(&segment).header(IF_NONE_MATCH, etag).send().await.unwrap();
    assert_eq!(same.status(), 304);
    let head = client.head(&segment).send().await.unwrap();
    assert_eq!((head.status(), &head.headers()["content-length"]), (200.try_into().unwrap(), &length));
    assert!(matches!(counted(&server, "segment").await, None | Some(1.0)), "one request for all of these");

    // Other spellings of an address do not spoil it for others.
    let next = format!("/live/studio/main/index.m3u8?_HLS_msn={}&_HLS_part=0", msn + 1);
    for wrong in
        [next.replace("/main/", "//main/"), next.replace("/main/", "/x/../main/"), next.replace('x', "%78")]
    {
        let answer = raw(&edge, &wrong).await;
        assert!(
            answer.starts_with("HTTP/1.1 404") && answer.contains("/problems/not-found"),
            "{wrong}: {answer}"
        );
    }
    assert_eq!(crate::http::get(edge.url(&next)).await.unwrap().status(), 200);
    server.assert_calm();
}

/// The answer to a request line that no client would send.
async fn raw(edge: &Nginx, target: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(edge.address()).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_of_a_private_channel_share_what_is_kept_and_others_get_no_byte() {
    let fixture = looped().fixture().await;
    let _share = share().await;
    let (_folder, secrets) = secrets();
    let settings =
        [KEYS, SETTINGS, &[("MILLRACE_PLAYBACK__SECRET_FILE", secrets.to_str().unwrap())]].concat();
    let ada = Streamer::new(&settings).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    let edit = json!({ "playback": "private" });
    assert_eq!(ada.ask("PATCH", "/channels/studio", Some(edit)).await.0, 200);
    let (_, key) = ada.key().await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(&key));
    let shield = Nginx::start(ada.server.http, &secrets).await;
    let edge = Nginx::start(shield.address(), &secrets).await;

    let keys = PlaybackKeys::parse(SECRET).unwrap();
    let now = || i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let token = |channel: &str, until: i64| keys.sign(&channel.parse::<ChannelName>().unwrap(), until);
    let good = |number: i64| format!("/t/{}/live/studio/main", token("studio", now() + 300 + number));
    begun(&edge.url(&good(0))).await;

    let renditions: Vec<_> = (0..50).map(|number| edge.url(&good(number))).collect();
    let seen = crowd(50, 6, &renditions).await;
    let counts = until("the shield has logged everything", SOON, || async {
        let counts = asked(&shield);
        seen.reloads.iter().chain(seen.parts.keys()).all(|name| counts.contains_key(name)).then_some(counts)
    })
    .await;
    for name in seen.reloads.iter().chain(seen.parts.keys()) {
        assert_eq!(counts[name], (1, 1), "{name}");
    }

    // All of it is in both caches now; nobody gets any of it who may not.
    for name in seen.reloads.iter().chain(seen.parts.keys()) {
        let expired = format!("/t/{}/live/studio/main", token("studio", now() - 1));
        let foreign = format!("/t/{}/live/studio/main", token("another", now() + 300));
        let forged = format!("{}x/live/studio/main", good(0).split("/live").next().unwrap());
        for (rendition, status) in
            [(expired, 403), (foreign, 403), (forged, 403), ("/live/studio/main".into(), 404)]
        {
            for nginx in [&edge, &shield] {
                let answer = crate::http::get(nginx.url(&format!("{rendition}/{name}"))).await.unwrap();
                assert_eq!(answer.status(), status, "{rendition}/{name}");
                let said = answer.text().await.unwrap();
                assert!(said.starts_with('{') && said.contains("/problems/"), "{rendition}/{name}: {said}");
            }
        }
    }
    let some = good(7);
    let secret = some.split('/').nth(2).unwrap();
    assert!(!edge.log().contains(secret) && edge.log().contains("/t/-/live/studio/main/"));
    ada.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storyboard_is_asked_of_the_origin_once_a_second_and_its_pictures_once() {
    let fixture = looped().fixture().await;
    let often = ("MILLRACE_TRANSCODE__THUMBNAIL_INTERVAL", "2s");
    let server = Server::start(&[SETTINGS, &[often]].concat()).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let (_folder, secrets) = secrets();
    let edge = Nginx::start(server.http, &secrets).await;
    let client = crate::http::client().build().unwrap();
    let get = async |url: &str, coding: &str| {
        let answer = client.get(url).header(ACCEPT_ENCODING, coding).send().await.unwrap();
        let header =
            |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let kept =
            [header("cache-control"), header("content-type"), header("x-cache"), header("content-encoding")];
        (answer.status().as_u16(), kept, answer.bytes().await.unwrap())
    };
    let index = edge.url("/live/studio/storyboard.vtt");
    until("there is a storyboard", SOON, || async { (get(&index, "").await.0 == 200).then_some(()) }).await;

    // The index: one entry for all codings and whatever else is asked, another one for the other format.
    let mut sprites = Vec::new();
    for (query, extension) in [("", ".jpg"), ("?format=webp", ".webp"), ("?nonsense=1", ".jpg")] {
        let (status, [cache, kind, _, _], text) = get(&format!("{index}{query}"), "").await;
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert_eq!((status, cache.as_str()), (200, "public, max-age=2"), "{query}");
        assert!(kind.starts_with("text/vtt") && text.starts_with("WEBVTT\n"), "{kind} {text}");
        let named: BTreeSet<_> = text.lines().filter_map(|line| line.split_once('#')).collect();
        assert!(named.iter().all(|(name, _)| name.ends_with(extension)) && named.len() >= 5, "{text}");
        sprites.push((named.first().unwrap().0.to_owned(), text));
    }
    let (status, [_, _, _, coding], packed) = get(&index, "gzip").await;
    assert_eq!((status, coding.as_str(), &packed[..2]), (200, "gzip", &[0x1f, 0x8b][..]));
    let began = Instant::now();
    let before = asked(&edge)["storyboard.vtt"].1;
    for answer in join_all((0..50).map(|_| get(&index, ""))).await {
        assert_eq!(answer.0, 200);
    }
    let counts = until("nginx has logged everything", SOON, || async {
        Some(asked(&edge)).filter(|counts| counts["storyboard.vtt"].0 >= 52)
    })
    .await;
    let fetched = (counts["storyboard.vtt"].1 - before) as f64;
    assert!(fetched <= began.elapsed().as_secs_f64() + 2.0, "{fetched} in {:?}", began.elapsed());

    // Pictures: names that are never used again.
    for (sprite, index) in &sprites[..2] {
        let url = edge.url(&format!("/live/studio/{sprite}"));
        let (status, [cache, kind, found, _], first) = get(&url, "").await;
        assert_eq!(
            (status, cache.as_str(), found.as_str()),
            (200, "public, max-age=86400, immutable", "MISS"),
            "{index}"
        );
        assert_eq!(kind, if sprite.ends_with("webp") { "image/webp" } else { "image/jpeg" });
        assert!(first.starts_with(&[0xff, 0xd8]) || first.starts_with(b"RIFF"), "{sprite}");
        let (status, [_, _, found, _], again) = get(&url, "gzip").await;
        assert_eq!((status, found.as_str(), again == first), (200, "HIT", true), "{sprite}");
        let (_, _, straight) = get(&server.url(&format!("/live/studio/{sprite}")), "").await;
        assert!(straight == first, "{sprite}");
    }
    let unknown = edge.url(&format!("/live/studio/{}", sprites[0].0.replace("-b", "-b9999")));
    assert_eq!(get(&unknown, "").await.0, 404);
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_go_on_when_an_edge_is_killed_and_started_again() {
    let fixture = looped().fixture().await;
    let _share = share().await;
    let server = Server::start(SETTINGS).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let (_folder, secrets) = secrets();
    let mut edge = Nginx::start(server.http, &secrets).await;
    begun(&edge.url("/live/studio/main")).await;
    let rendition = edge.url("/live/studio/main");
    let before = crowd(30, 6, std::slice::from_ref(&rendition)).await;
    let kept = asked(&edge).len();
    // Killed while somebody waits for the segment after the next.
    let waiting = until("somebody waits", SOON, || async {
        let wanted = begun(&rendition).await.end().msn + 1;
        let waiting = tokio::spawn(crate::http::get(format!("{rendition}/index.m3u8?_HLS_msn={wanted}")));
        loop {
            if server.metric("millrace_blocked_requests").await.is_some_and(|blocked| blocked >= 1.0) {
                return Some(waiting);
            }
            // It came too late: the segment is there.
            if waiting.is_finished() {
                return None;
            }
        }
    })
    .await;
    edge.restart_after_kill().await;
    assert!(waiting.await.unwrap().is_err(), "the edge was gone");
    let after = crowd(30, 6, std::slice::from_ref(&rendition)).await;
    assert!(after.parts.keys().last() > before.parts.keys().last(), "the broadcast went on");
    let counts = asked(&edge);
    assert!(counts.len() > kept);
    for name in after.reloads.difference(&before.reloads).chain(after.parts.keys()) {
        assert!(
            counts[name].1 <= 1 + u64::from(before.parts.contains_key(name)),
            "{name}: {:?}",
            counts[name]
        );
    }
    server.assert_calm();
}
