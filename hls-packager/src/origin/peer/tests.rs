//! Viewers of one node who watch what another one has, over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::Body;
use axum::http::Method;
use axum::response::Response;
use millrace_core::event::LeasedStream;
use millrace_core::playback::PlaybackKeys;
use tower::ServiceExt;

use super::super::name::MediaName;
use super::super::tests::{FIRST, SECRET, body, by_token, channel, header, id, problem, text};
use super::super::{Broadcast, router};
use super::ask::Shape;
use super::*;
use crate::model::Output;
use crate::transcode::stills::tests as stills;
use crate::window::tests::Studio;

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process with an origin behind a socket.
struct Node {
    name: &'static str,
    origin: Origin,
    tell: watch::Sender<Arc<Elsewhere>>,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    /// Its tasks and sockets die with it.
    process: Option<tokio::runtime::Runtime>,
}

impl Node {
    fn start(name: &'static str, config: OriginConfig) -> Self {
        let (tell, elsewhere) = watch::channel(Arc::default());
        let playback_keys = Some(PlaybackKeys::parse(SECRET).unwrap());
        let origin = Origin::new(OriginConfig { playback_keys, elsewhere: Some(elsewhere), ..config });
        let process =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let note = Arc::clone(&asked);
        let router = router(origin.clone()).layer(tower::util::MapRequestLayer::new(
            move |request: axum::extract::Request| {
                note.lock().unwrap().push(request.uri().to_string());
                request
            },
        ));
        process.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self { name, origin, tell, address, asked, process: Some(process) }
    }

    fn kill(&mut self) {
        self.process.take().unwrap().shutdown_background();
    }

    /// How often it was asked over its socket for a path, without a token.
    fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.ends_with(path)).count()
    }

    fn owner(&self, broadcast: u128, access: Access) -> Owner {
        Owner {
            node: self.name.parse().unwrap(),
            url: format!("http://{}", self.address).into(),
            stream: LeasedStream {
                channel: channel(),
                broadcast: id(broadcast),
                started_at: Timestamp::UNIX_EPOCH,
                access,
                interrupted_until: None,
                encoder: None,
                held_ms: 0,
                next_msn: 0,
                keyframe_interval: None,
            },
            held_until: None,
        }
    }

    /// Learns who has the channel.
    fn hear(&self, owner: Option<Owner>) {
        self.tell.send_replace(Arc::new(owner.into_iter().collect()));
    }

    async fn send(&self, request: Request<Body>) -> Response {
        tokio::time::timeout(PATIENCE, router(self.origin.clone()).oneshot(request)).await.unwrap().unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Sends a request that waits, and returns once it does.
    async fn ask(&self, path: &str) -> tokio::task::JoinHandle<Response> {
        let waiting = self.origin.waiting();
        let request = Request::get(path).body(Body::empty()).unwrap();
        let router = router(self.origin.clone());
        let answer = tokio::spawn(async move {
            tokio::time::timeout(PATIENCE, router.oneshot(request)).await.unwrap().unwrap()
        });
        until(|| self.origin.waiting() > waiting).await;
        answer
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.shutdown_background();
        }
    }
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the condition comes true");
}

/// A broadcast on `far`, watched through `near`.
struct Pair {
    studio: Studio,
    broadcast: Arc<Broadcast>,
    far: Node,
    near: Arc<Node>,
}

impl Pair {
    fn with(parts: u32, access: Access, config: OriginConfig) -> Self {
        let mut studio = Studio::new();
        studio.parts(parts);
        let far = Node::start("far", OriginConfig::default());
        let broadcast = go_live(&far, 1, "r4nd0m", access, &studio);
        let near = Arc::new(Node::start("near", config));
        near.hear(Some(far.owner(1, access)));
        Self { studio, broadcast, far, near }
    }

    fn new(parts: u32) -> Self {
        Self::with(parts, Access::Open, OriginConfig::default())
    }

    fn part(&mut self) {
        self.studio.part();
        self.broadcast.publish(&self.studio.window);
    }

    /// The broadcast ends, and with it the node's lease of it.
    fn end(&mut self) {
        self.studio.window.apply(Output::SegmentEnded).unwrap();
        self.studio.window.apply(Output::Ended).unwrap();
        self.broadcast.publish(&self.studio.window);
        self.far.origin.catalog().end(&channel(), &self.broadcast);
        self.near.hear(None);
    }

    /// Waits until requests wait at both nodes.
    async fn waiting(&self, near: usize, far: usize) {
        until(|| self.near.origin.waiting() == near && self.far.origin.waiting() == far).await;
    }
}

fn go_live(node: &Node, number: u128, prefix: &str, access: Access, studio: &Studio) -> Arc<Broadcast> {
    let stills = stills::broadcast(prefix);
    stills::show(&stills, 7);
    stills::draw(&stills, 7);
    let broadcast = Broadcast::new(id(number), prefix.into(), &studio.window).unwrap();
    let broadcast = Arc::new(broadcast.with_stills(Some(stills)));
    node.origin.catalog().announce(&channel(), access);
    node.origin.catalog().go_live(&channel(), &broadcast);
    broadcast
}

fn blocked(part: u64) -> String {
    format!("/live/studio/main/index.m3u8?_HLS_msn={}&_HLS_part={part}", FIRST + 1)
}

type Seen = (u16, BTreeMap<String, String>, Bytes);

/// What a viewer sees of an answer.
async fn seen(response: Response) -> Seen {
    let status = response.status().as_u16();
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let mut headers: BTreeMap<_, _> =
        response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    headers.remove("age");
    (status, headers, body(response).await)
}

#[tokio::test]
async fn what_a_viewer_gets_through_another_node_is_what_the_owner_answers() {
    let pair = Pair::new(120);
    let live = "/live/studio/main";
    let playlist = format!("{live}/index.m3u8");
    let (part, init) = (format!("{live}/r4nd0m-p712.m4s"), format!("{live}/r4nd0m-i1.mp4"));
    let segment = format!("{live}/r4nd0m-s{}.m4s", FIRST + 15);
    let listed = format!("{playlist}?_HLS_msn={}&_HLS_part=1", FIRST + 19);
    let (none, any) = (("x-any", ""), ("if-none-match", "*"));
    let gzip = ("accept-encoding", "br, gzip");
    let mut requests = vec![
        (format!("{playlist}?_HLS_skip=YES"), none),
        (format!("{playlist}?_HLS_skip=YES"), gzip),
        (format!("{playlist}?_HLS_skip=maybe"), none),
        (format!("{playlist}?_HLS_msn=1&_HLS_msn=2"), none),
        (format!("{playlist}?_HLS_part=1"), none),
        (format!("{playlist}?_HLS_msn=18446744073709551615"), none),
        (format!("{playlist}?_HLS_msn=1"), none),
        (format!("{playlist}?nothing=of&ours=%ff"), none),
        (listed.clone(), gzip),
        (format!("{listed}&_HLS_skip=v2"), gzip),
        ("/live/studio/audio/index.m3u8".to_owned(), none),
        ("/live/studio/other/index.m3u8".to_owned(), none),
        ("/live/studio/..%2fmain/index.m3u8".to_owned(), none),
        ("/live/studio/%ff/index.m3u8".to_owned(), none),
        ("/live/nobody/index.m3u8".to_owned(), none),
        ("/live/nobody/main/r4nd0m-p1.m4s".to_owned(), none),
        (format!("{live}/0ther-p712.m4s"), none),
        (format!("{live}/0%3fther-p712.m4s"), none),
        (format!("{live}/r4nd0m-p1.m4s"), none),
        (format!("{live}/r4nd0m-i2.mp4"), none),
        (format!("{live}/thumb.jpg"), none),
        ("/live/studio/audio/r4nd0m-p712.m4s".to_owned(), none),
        ("/live/studio/thumb.jpg".to_owned(), none),
        ("/live/studio/thumb-320.webp?v=7".to_owned(), any),
        ("/live/studio/thumb-1.webp".to_owned(), none),
        ("/live/nobody/thumb.jpg".to_owned(), none),
        ("/live/studio/storyboard.vtt?format=webp".to_owned(), none),
        ("/live/studio/storyboard/r4nd0m-b0.jpg".to_owned(), none),
        ("/live/studio/storyboard/r4nd0m-b9.jpg".to_owned(), none),
        (part.clone(), gzip),
        (part.clone(), ("range", "bytes=2-3")),
        (segment.clone(), ("range", "bytes=5-34")),
        (segment.clone(), ("range", "bytes=-1")),
        (segment.clone(), ("range", "bytes=60-")),
        (segment.clone(), ("range", "bytes=0-1,4-5")),
    ];
    for path in ["/live/studio/index.m3u8", &playlist, &listed, &part, &segment, &init] {
        for with in [none, gzip, any, ("if-none-match", "\"other\"")] {
            requests.push((path.to_owned(), with));
        }
    }
    let mut statuses = std::collections::BTreeSet::new();
    for (path, (name, value)) in requests {
        for method in [Method::GET, Method::HEAD] {
            let request = || {
                let request = Request::builder().method(&method).uri(&path).header(name, value);
                request.body(Body::empty()).unwrap()
            };
            let here = seen(pair.far.send(request()).await).await;
            let there = seen(pair.near.send(request()).await).await;
            assert_eq!(there, here, "{method} {path} {name}: {value}");
            // And once more, from what is kept.
            assert_eq!(seen(pair.near.send(request()).await).await, here, "{method} {path} {name}: {value}");
            statuses.insert(here.0);
        }
    }
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 206, 304, 400, 404, 416]);
}

#[tokio::test]
async fn a_blocked_reload_is_answered_when_the_part_is_there() {
    let mut pair = Pair::new(8);
    let answer = pair.near.ask(&blocked(3)).await;
    pair.waiting(1, 1).await;
    pair.part(); // part 2: not what was asked for
    // What does not wait is answered through the same nodes, after the part before: the reload has had its chance.
    let newest = text(pair.near.get("/live/studio/main/index.m3u8").await).await;
    assert!(newest.contains("r4nd0m-p20.m4s") && !answer.is_finished());
    pair.part();
    let response = answer.await.unwrap();
    assert_eq!(header(&response, "cache-control"), "public, max-age=24");
    assert!(text(response).await.contains("r4nd0m-p21.m4s"));
    // What was hinted.
    let part = pair.near.ask("/live/studio/main/r4nd0m-p22.m4s").await;
    pair.waiting(1, 1).await;
    pair.part();
    let response = part.await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "content-length")), (200, "10"));
    pair.waiting(0, 0).await;
}

#[tokio::test]
async fn the_newest_playlist_is_never_an_older_one() {
    let mut pair = Pair::new(8);
    let path = "/live/studio/main/index.m3u8";
    for _ in 0..20 {
        pair.part();
        let newest = text(pair.far.get(path).await).await;
        assert_eq!(text(pair.near.get(path).await).await, newest);
    }
}

#[tokio::test]
async fn two_hundred_viewers_with_their_own_tokens_cost_the_owner_one_request_for_each_piece() {
    let mut pair = Pair::with(8, Access::Token, OriginConfig::default());
    let (playlist, part) = (blocked(2), "/live/studio/main/r4nd0m-p20.m4s".to_owned());
    let near = Arc::clone(&pair.near);
    let mut answers = Vec::new();
    for viewer in 0..200 {
        for path in [&playlist, &part] {
            let near = Arc::clone(&near);
            let tokened = format!("{}{path}", by_token(600 + viewer));
            answers.push((path.clone(), tokio::spawn(async move { near.get(&tokened).await })));
        }
    }
    pair.waiting(400, 2).await;
    pair.part();
    let mut bodies = std::collections::HashSet::new();
    for (path, answer) in answers {
        let response = answer.await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        bodies.insert(body(response).await.as_ptr());
    }
    assert_eq!(bodies.len(), 2, "all share the bytes");
    assert_eq!([&playlist, &part].map(|path| pair.far.asked(path)), [1, 1]);
    // Who comes a moment later.
    assert_eq!(pair.near.get(&format!("{}{part}", by_token(60))).await.status(), 200);
    assert_eq!(pair.far.asked(""), 2);
    assert_eq!(pair.broadcast.viewers().estimate(), 0, "a node is no viewer");
}

#[tokio::test]
async fn what_needs_a_token_is_not_there_without_one_through_another_node_either() {
    let pair = Pair::with(8, Access::Token, OriginConfig::default());
    for path in [
        "/live/studio/index.m3u8".to_owned(),
        "/live/studio/main/index.m3u8".to_owned(),
        "/live/studio/main/index.m3u8?_HLS_skip=maybe".to_owned(),
        format!("/live/studio/main/r4nd0m-s{FIRST}.m4s"),
        "/live/studio/main/r4nd0m-p19.m4s".to_owned(),
        "/live/studio/main/r4nd0m-i1.mp4".to_owned(),
    ] {
        // First whoever may, so that what is kept is there to be taken.
        let may = seen(pair.near.get(&format!("{}{path}", by_token(600))).await).await;
        assert_eq!(may.0, if path.contains("maybe") { 400 } else { 200 }, "{path}");
        let expired = by_token(0);
        for token in [String::new(), "/t/a.b.c".to_owned(), expired.clone()] {
            let path = format!("{token}{path}");
            assert_eq!(
                seen(pair.near.get(&path).await).await,
                seen(pair.far.get(&path).await).await,
                "{path}"
            );
            let status = if token == expired { 403 } else { 404 };
            assert_eq!(pair.near.get(&path).await.status(), status);
        }
        // What is not live at all looks the same.
        let nobody = seen(pair.near.get(&path.replace("studio", "nobody")).await).await;
        let somebody = seen(pair.near.get(&path).await).await;
        assert_eq!((somebody.0, &somebody.1["cache-control"]), (nobody.0, &nobody.1["cache-control"]));
    }
    let asked = pair.far.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|path| path.starts_with("/t/")), "the owner is shown tokens: {asked:?}");
    let viewers = by_token(600);
    assert!(asked.iter().all(|path| !path.starts_with(&viewers)), "none of a viewer");
}

#[tokio::test]
async fn no_cache_keeps_what_came_from_another_node_for_longer_than_the_viewers_token_is_good() {
    let pair = Pair::with(8, Access::Token, OriginConfig::default());
    let segment = format!("/live/studio/main/r4nd0m-s{FIRST}.m4s");
    for seconds in [100, 1000] {
        let response = pair.near.get(&format!("{}{segment}", by_token(seconds))).await;
        let kept = header(&response, "cache-control").strip_prefix("public, max-age=").unwrap().to_owned();
        assert!((seconds - 5..=seconds).contains(&kept.parse().unwrap()), "{kept}");
    }
    assert_eq!(pair.far.asked(&segment), 1);
}

#[tokio::test]
async fn a_channel_that_has_become_private_is_gone_though_this_node_has_not_heard_yet() {
    let pair = Pair::new(8);
    pair.far.origin.catalog().set_access(&channel(), Access::Token);
    assert_eq!(problem(pair.near.get("/live/studio/index.m3u8").await, 404).await, "channel-not-live");
    assert_eq!(problem(pair.near.get("/live/studio/main/r4nd0m-p19.m4s").await, 404).await, "media-gone");
}

#[tokio::test]
async fn the_request_goes_on_when_the_viewer_who_caused_it_leaves_and_ends_with_the_last() {
    let mut pair = Pair::new(8);
    let path = blocked(2);
    let first = pair.near.ask(&path).await;
    pair.waiting(1, 1).await;
    let second = pair.near.ask(&path).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    pair.waiting(1, 1).await;
    pair.part();
    assert_eq!(second.await.unwrap().status(), 200);
    assert_eq!(pair.far.asked(&path), 1);
    // Nobody is left: the owner does not wait either.
    let path = blocked(3);
    let only = pair.near.ask(&path).await;
    pair.waiting(1, 1).await;
    only.abort();
    pair.waiting(0, 0).await;
    // Who comes back begins anew.
    let again = pair.near.ask(&path).await;
    pair.waiting(1, 1).await;
    pair.part();
    assert_eq!(again.await.unwrap().status(), 200);
    assert_eq!(pair.far.asked(&path), 2);
}

#[tokio::test]
async fn an_owner_that_dies_is_a_reason_to_try_again() {
    let mut pair = Pair::new(8);
    let answer = pair.near.ask(&blocked(2)).await;
    pair.waiting(1, 1).await;
    pair.far.kill();
    let response = answer.await.unwrap();
    assert_eq!((header(&response, "retry-after"), header(&response, "cache-control")), ("1", "no-store"));
    assert_eq!(problem(response, 503).await, "broadcast-node-away");
    // It does not answer at all now.
    let response = pair.near.get("/live/studio/index.m3u8").await;
    assert_eq!(problem(response, 503).await, "broadcast-node-away");
    let peers = pair.near.origin.0.peers.as_ref().unwrap();
    assert!(peers.desk().silent.contains(&"far".parse().unwrap()), "noted, so that it is logged once");
    // Its lease ends.
    pair.near.hear(None);
    assert_eq!(problem(pair.near.get("/live/studio/index.m3u8").await, 404).await, "channel-not-live");
}

#[tokio::test]
async fn viewers_get_the_end_of_a_broadcast_that_leases_list_no_more() {
    let mut pair = Pair::new(8);
    let path = blocked(2);
    let waiting = pair.near.ask(&path).await;
    pair.waiting(1, 1).await;
    pair.end();
    assert!(text(waiting.await.unwrap()).await.ends_with("#EXT-X-ENDLIST\n"));
    // Who is behind.
    let playlist = "/live/studio/main/index.m3u8?_HLS_msn=18446744073709551615&_HLS_part=7";
    assert!(text(pair.near.get(playlist).await).await.ends_with("#EXT-X-ENDLIST\n"));
    for path in [playlist, "/live/studio/main/r4nd0m-p19.m4s", "/live/studio/main/r4nd0m-p99.m4s"] {
        assert_eq!(seen(pair.near.get(path).await).await, seen(pair.far.get(path).await).await, "{path}");
    }
    let asked = pair.far.asked("");
    assert_eq!(problem(pair.near.get("/live/studio/index.m3u8").await, 404).await, "channel-not-live");
    assert_eq!(pair.far.asked(""), asked, "who comes now is not led there");
    // Its node is no more: what it had is gone, and nobody is told to try again.
    pair.far.kill();
    assert_eq!(problem(pair.near.get("/live/studio/audio/index.m3u8").await, 404).await, "channel-not-live");
    assert_eq!(problem(pair.near.get("/live/studio/main/r4nd0m-p18.m4s").await, 404).await, "media-gone");
    let peers = pair.near.origin.0.peers.as_ref().unwrap();
    assert_eq!(peers.desk().formers.next_end(), None);
    assert!(peers.desk().silent.is_empty(), "its lease had ended: nothing to complain of");
}

#[tokio::test]
async fn nobody_is_asked_who_never_answered_here() {
    let mut pair = Pair::new(8);
    pair.end();
    assert_eq!(problem(pair.near.get("/live/studio/main/index.m3u8").await, 404).await, "channel-not-live");
    assert_eq!(pair.far.asked(""), 0);
}

#[tokio::test]
async fn whoever_waits_for_an_owner_that_dies_is_answered_by_the_next_one() {
    let mut pair = Pair::new(8);
    let next = Node::start("next", OriginConfig::default());
    let _broadcast = go_live(&next, 2, "next", Access::Open, &pair.studio);
    let answer = pair.near.ask(&blocked(2)).await;
    pair.waiting(1, 1).await;
    pair.near.hear(Some(next.owner(2, Access::Open)));
    pair.far.kill();
    // The one that took over has that part in a moment, too.
    until(|| next.origin.waiting() == 1).await;
    next.origin.catalog().stop();
    assert!(text(answer.await.unwrap()).await.contains("r4nd0m-p19.m4s"));
    assert_eq!((pair.far.asked(""), next.asked("")), (1, 1));
    // And is asked from now on.
    assert_eq!(pair.near.get("/live/studio/index.m3u8").await.status(), 200);
    assert_eq!(next.asked("/live/studio/index.m3u8"), 1);
}

#[tokio::test]
async fn a_broadcast_that_comes_here_is_answered_here() {
    let mut pair = Pair::new(8);
    let waiting = pair.near.ask(&blocked(2)).await;
    pair.waiting(1, 1).await;
    let older = go_live(&pair.near, 0, "older", Access::Open, &pair.studio);
    assert_eq!(pair.near.get("/live/studio/index.m3u8").await.status(), 200);
    assert_eq!(pair.far.asked("/live/studio/index.m3u8"), 1, "what is newer is elsewhere");
    // Media of what was here before can still be fetched.
    assert_eq!(pair.near.get("/live/studio/main/older-p19.m4s").await.status(), 200);
    assert_eq!(pair.far.asked("/live/studio/main/older-p19.m4s"), 0);
    let _newer = go_live(&pair.near, 2, "newer", Access::Open, &pair.studio);
    pair.near.origin.catalog().forget(&channel(), &older);
    assert_eq!(pair.near.get("/live/studio/index.m3u8").await.status(), 200);
    assert_eq!(pair.far.asked("/live/studio/index.m3u8"), 1);
    // Whoever waited for the other one is answered from here once that one is gone.
    pair.far.kill();
    until(|| pair.far.origin.waiting() == 0 && pair.near.origin.waiting() == 1).await;
    pair.near.origin.catalog().stop();
    assert_eq!(waiting.await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_owner_that_hangs_is_waited_for_no_longer_than_its_lease() {
    let near = Node::start("near", OriginConfig::default());
    let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = Node::start("far", OriginConfig::default());
    let owner =
        Owner { url: format!("http://{}", hangs.local_addr().unwrap()).into(), ..far.owner(1, Access::Open) };
    near.hear(Some(owner.clone()));
    let answer = near.ask("/live/studio/index.m3u8").await;
    let (_socket, _) = hangs.accept().await.unwrap();
    near.hear(None);
    assert_eq!(problem(answer.await.unwrap(), 503).await, "broadcast-node-away");
}

#[tokio::test]
async fn two_nodes_that_each_believe_the_other_has_it_ask_once() {
    let one = Node::start("one", OriginConfig::default());
    let two = Node::start("two", OriginConfig::default());
    one.hear(Some(two.owner(1, Access::Open)));
    two.hear(Some(one.owner(1, Access::Open)));
    assert_eq!(problem(one.get("/live/studio/index.m3u8").await, 404).await, "channel-not-live");
    assert_eq!((one.asked(""), two.asked("")), (0, 1));
}

#[tokio::test]
async fn who_pretends_to_be_a_node_spoils_no_cache() {
    let pair = Pair::new(8);
    for path in
        ["/live/studio/index.m3u8", "/live/studio/main/index.m3u8", "/live/studio/main/r4nd0m-p19.m4s"]
    {
        let request = Request::get(path).header(HOP, "1").body(Body::empty()).unwrap();
        let response = pair.near.send(request).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "cache-control")),
            (404, "no-store"),
            "{path}"
        );
        assert_eq!(pair.near.get(path).await.status(), 200, "{path}");
        // What is there may be kept, whoever asks.
        let request = Request::get(path).header(HOP, "1").body(Body::empty()).unwrap();
        assert_eq!(seen(pair.far.send(request).await).await, seen(pair.far.get(path).await).await, "{path}");
    }
}

#[tokio::test]
async fn a_piece_that_is_too_large_is_refused_with_the_reason() {
    for announced in [true, false] {
        let mut pair =
            Pair::with(0, Access::Open, OriginConfig { hop_max_bytes: 4096, ..Default::default() });
        pair.studio.part_bytes = 4096;
        pair.studio.parts(1);
        pair.broadcast = go_live(&pair.far, 1, "r4nd0m", Access::Open, &pair.studio);
        assert_eq!(pair.near.get("/live/studio/main/r4nd0m-p12.m4s").await.status(), 200);
        pair.studio.part_bytes = 4097;
        pair.part();
        if announced {
            let response = pair.near.get("/live/studio/main/r4nd0m-p13.m4s").await;
            assert_eq!(problem(response, 502).await, "media-too-large");
        } else {
            let chunks = [Bytes::from(vec![0; 4000]), Bytes::from(vec![0; 97])];
            let frames = futures_util::stream::iter(chunks.map(Ok::<_, std::io::Error>));
            let response = http::Response::new(Body::from_stream(frames));
            let read = Piece::read(response, Shape::Media, 4096, now).await;
            assert_eq!(read.unwrap_err(), Failure::TooLarge { limit: 4096 });
        }
    }
}

#[tokio::test]
async fn what_is_kept_says_how_old_it_is() {
    let response = http::Response::builder().header("cache-control", "max-age=86400").body(Body::from("x"));
    let piece = Piece::read(response.unwrap(), Shape::Media, 10, now).await.unwrap();
    let headers = HeaderMap::new();
    let part = Want::Media(MediaName::parse("a-p1.m4s").unwrap(), super::super::Kind::Part);
    let age = |seconds| {
        let at = now() + Duration::from_secs(seconds);
        let counter = ::metrics::Counter::noop();
        let answer = piece.answer(&Wish::new(&headers), part, "a-p1.m4s", counter, at);
        header(&answer.unwrap(), "age").to_owned()
    };
    assert_eq!([age(0), age(7)], ["", "7"]);
}

#[tokio::test]
async fn requests_are_counted_by_how_they_were_served_and_by_what_came_of_them() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let mut pair = ::metrics::with_local_recorder(&recorder, || Pair::new(8));
    let part = "/live/studio/main/r4nd0m-p19.m4s";
    assert_eq!(pair.near.get(part).await.status(), 200);
    assert_eq!(pair.near.get(part).await.status(), 200);
    let (first, second) = (pair.near.ask(&blocked(2)).await, pair.near.ask(&blocked(2)).await);
    pair.waiting(2, 1).await;
    pair.part();
    assert_eq!([first.await.unwrap().status(), second.await.unwrap().status()], [200, 200]);
    assert_eq!(pair.near.get("/live/studio/main/r4nd0m-p99.m4s").await.status(), 404);
    let given_up = pair.near.ask(&blocked(3)).await;
    pair.waiting(1, 1).await;
    given_up.abort();
    pair.waiting(0, 0).await;
    pair.far.kill();
    assert_eq!(pair.near.get("/live/studio/index.m3u8").await.status(), 503);
    let shown = recorder.handle().render();
    for line in [
        "millrace_hop_requests_total{served=\"kept\"} 1",
        "millrace_hop_requests_total{served=\"joined\"} 1",
        "millrace_hop_requests_total{served=\"asked\"} 5",
        "millrace_hops_total{outcome=\"answered\"} 2",
        "millrace_hops_total{outcome=\"refused\"} 1",
        "millrace_hops_total{outcome=\"abandoned\"} 1",
        "millrace_hops_total{outcome=\"unreachable\"} 1",
        "millrace_hops_total{outcome=\"timed_out\"} 0",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("millrace_hop_bytes_total 0"));
}

#[tokio::test]
async fn what_is_no_origin_is_not_believed() {
    for (status, etag) in [(204, true), (206, true), (301, true), (304, true), (200, false)] {
        let mut response = http::Response::builder().status(status).header("cache-control", "max-age=9");
        if etag {
            response = response.header("etag", "\"a\"");
        }
        let read = Piece::read(response.body(Body::from("x")).unwrap(), Shape::Text, 10, now).await;
        assert!(matches!(read, Err(Failure::Strange(_))), "{status} {read:?}");
    }
}

#[tokio::test]
async fn waiting_for_another_node_takes_a_place_like_waiting_here() {
    let config = || OriginConfig { max_blocked_requests: 1, ..OriginConfig::default() };
    let mut pair = Pair::with(8, Access::Open, config());
    assert_eq!(pair.near.get("/live/studio/main/r4nd0m-p19.m4s").await.status(), 200);
    let answer = pair.near.ask(&blocked(2)).await;
    assert_eq!(problem(pair.near.get(&blocked(2)).await, 503).await, "too-many-waiting-requests");
    // What is kept needs no place.
    assert_eq!(pair.near.get("/live/studio/main/r4nd0m-p19.m4s").await.status(), 200);
    pair.waiting(1, 1).await;
    pair.part();
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_stopping_node_lets_viewers_wait_for_another_one_a_moment_longer() {
    let mut pair = Pair::new(8);
    let (soon, late) = (pair.near.ask(&blocked(2)).await, pair.near.ask(&blocked(3)).await);
    pair.waiting(2, 2).await;
    pair.near.origin.catalog().stop();
    pair.part();
    assert_eq!(soon.await.unwrap().status(), 200);
    assert_eq!(problem(late.await.unwrap(), 503).await, "server-stopping");
    pair.waiting(0, 0).await;
}

#[tokio::test]
async fn a_playlist_that_is_kept_goes_before_it_is_old() {
    let mut pair = Pair::new(8);
    let path = blocked(1);
    assert_eq!(header(&pair.near.get(&path).await, "age"), "");
    pair.part();
    while pair.far.asked(&path) == 1 {
        assert_eq!(header(&pair.near.get(&path).await, "age"), "");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let peers = pair.near.origin.0.peers.as_ref().unwrap();
    until(|| peers.desk().shelf.next_end().is_none()).await;
}
