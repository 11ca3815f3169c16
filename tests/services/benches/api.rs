//! What the API costs on both engines: signed-in requests per CPU-second and their latency, beside plain axum that answers
//! a constant in the same run; and how long the check of a stream key takes.
//!
//! Each server runs in this process, in a runtime of its own with one worker. Its CPU time is that of the process without
//! the client's thread: the engine's threads and MongoDB's driver are in it, `mongod` is not.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement")]

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use millrace_api::accounts::{COLLECTIONS, Channel, Playback, User};
use millrace_api::channels::{ChannelsConfig, NewKey};
use millrace_api::channels::{Owners, keep_history};
use millrace_api::config::AccountsConfig;
use millrace_api::notices::NoticesConfig;
use millrace_api::oauth::Providers;
use millrace_api::playback::{PlaybackConfig, PlaybackLinks};
use millrace_api::site::{IngestAddress, SiteConfig};
use millrace_api::studio::{Studio, show};
use millrace_api::{ApiState, Setup};
use millrace_core::bus::memory::MemoryBus;
use millrace_core::bus::{Bus, Topic};
use millrace_core::event::{Event, EventBody, SpecVersion, StreamStarted};
use millrace_core::ids::{BroadcastId, ChannelId, StreamKeyId};
use millrace_store::{Changes, Location, Store};
use millrace_test_services::mongodb::Mongod;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// Channels that are live.
const LIVE: usize = 1_000;
/// Connections that ask at once.
const CONNECTIONS: usize = 16;
/// How long each is asked.
const MEASURED: Duration = Duration::from_secs(5);
/// Before it counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// `USER_HZ`: what `/proc` counts CPU time in.
const TICKS_PER_SECOND: f64 = 100.0;
const PASSWORD: &str = "plover-quartz-lantern-7";

/// What was found of one address.
struct Found {
    per_cpu_second: f64,
    p50: Duration,
    p99: Duration,
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let runtime = runtime();
    let mongod = runtime.block_on(Mongod::start());
    let constant = format!("{{\"constant\":\"{}\"}}", "x".repeat(280));
    let plain = Router::new().route("/", get(move || async move { constant }));
    let floor = measure(runtime.block_on(serve(plain)), "/", "");
    print("plain axum, 300 bytes", &floor, None);
    for (engine, location) in
        [("SQLite", Location::Sqlite), ("MongoDB", Location::MongoDb(mongod.uri("bench")))]
    {
        let state = runtime.block_on(site(&location, folder.path()));
        let address = runtime.block_on(serve(millrace_api_router(&state)));
        let cookie = runtime.block_on(signed_in(address));
        for (what, path) in
            [("own profile", "/api/v1/me"), ("page of 50 of 1,000 live channels", "/api/v1/streams")]
        {
            let found = measure(address, path, &cookie);
            print(&format!("{engine}: {what}"), &found, Some(&floor));
        }
        for (what, times) in [("first", 1), ("again, within seconds", 2)] {
            let [p50, p99] = runtime.block_on(checks(&state, times));
            let shown = format!("p50 {:.3} ms, p99 {:.3} ms", millis(p50), millis(p99));
            say(&format!("{engine}: check of a stream key, {what}"), &shown, "");
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime can be started")
}

fn millrace_api_router(state: &ApiState) -> Router {
    millrace_api::router(state.clone())
}

/// Serves on a free port for as long as the process lives.
async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).await.expect("it serves");
    });
    address
}

/// A site with a thousand live channels of one streamer, each with a stream key.
async fn site(location: &Location, folder: &Path) -> ApiState {
    let engine = millrace_store::open(location, folder).await.expect("it can be opened");
    let store = Store::new(engine, COLLECTIONS).await.expect("it can be prepared");
    let bus = MemoryBus::new();
    let studio = Studio::new(
        store.clone(),
        Arc::clone(&bus) as Arc<dyn Bus>,
        "bench".parse().expect("a name"),
        ChannelsConfig::default(),
    );
    let playback = PlaybackLinks::open(&PlaybackConfig::default(), &store).await.expect("it can be prepared");
    let setup = Setup {
        store: store.clone(),
        accounts: AccountsConfig::default(),
        notices: NoticesConfig::default(),
        providers: Providers::default(),
        mail: None,
        webhooks: millrace_api::webhooks::WebhooksConfig::default(),
        public_url: None,
        secure: false,
        site: SiteConfig::default(),
        ingest: IngestAddress { public_url: None, rtmp_port: 1935, rtmps_port: None },
        playback,
        ladder: millrace_core::ladder::LadderPlan::default(),
    };
    let state = ApiState::new(setup).await.expect("it can be prepared").with_studio(Arc::new(studio));
    tokio::spawn(state.follow(bus.as_ref(), CancellationToken::new()));
    tokio::spawn(show(&state, bus.as_ref(), CancellationToken::new()));
    tokio::spawn(keep_history(
        state.clone(),
        Arc::clone(&bus) as Arc<dyn Bus>,
        Owners::ThisProcess,
        CancellationToken::new(),
    ));
    let owner = millrace_core::ids::UserId(uuid::Uuid::now_v7());
    let streamer: User = serde_json::from_value(serde_json::json!({
        "id": owner, "name": "streamer", "display_name": "Streamer", "role": "streamer", "created_at": 1,
    }))
    .expect("it is a user");
    store.insert(&streamer).await.expect("it is written");
    for number in 0..LIVE {
        let channel = Channel {
            id: ChannelId(uuid::Uuid::now_v7()),
            name: format!("channel_{number}").parse().expect("it is a name"),
            owner,
            title: format!("Building a boat, day {number}"),
            category: "Crafts".to_owned(),
            tags: vec!["wood".to_owned(), "boat".to_owned()],
            language: "en".to_owned(),
            description: String::new(),
            playback: Playback::Public,
            ladder: millrace_core::ladder::ChannelLadder::default(),
            followers: 0,
            planned: 0,
            moderators: Vec::new(),
            created_at: 1,
        };
        store.commit(Changes::new().insert(&channel)).await.expect("it is written");
        let key = NewKey {
            id: StreamKeyId(uuid::Uuid::now_v7()),
            name: "OBS".to_owned(),
            hash: millrace_api::auth::secret::sha256(format!("secret-{number}").as_bytes()),
            hint: String::new(),
        };
        state.studio().keys.create(channel.id, &key, 1, 10).await.expect("it is written");
        let started = StreamStarted {
            broadcast: BroadcastId(uuid::Uuid::now_v7()),
            encoder: Some("OBS 32".to_owned()),
        };
        let event = Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::now_v7(),
            source: "/nodes/bench".to_owned(),
            subject: channel.name.clone().into(),
            time: jiff::Timestamp::now(),
            cause: millrace_core::trace::Cause::default(),
            body: EventBody::StreamStarted(started),
        };
        bus.publish(Topic::Streams, event).await.expect("it is taken");
        // As it is when a stream has been going on for a moment.
        while state.studio().card(&channel.name).is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    state
}

/// Registers somebody; the cookies of the browser.
async fn signed_in(address: SocketAddr) -> String {
    let body = format!("{{\"name\":\"viewer\",\"password\":\"{PASSWORD}\"}}");
    let request = format!(
        "POST /api/v1/auth/register HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("it accepts");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    let cookies: Vec<_> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("set-cookie: "))
        .filter_map(|cookie| cookie.split(';').next())
        .collect();
    assert!(!cookies.is_empty(), "{answer}");
    cookies.join("; ")
}

/// Asks from a thread of its own, over connections that are kept.
fn measure(address: SocketAddr, path: &str, cookie: &str) -> Found {
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{cookie}\r\n");
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be started");
        runtime.block_on(async {
            let mut warm = tokio::task::JoinSet::new();
            for _ in 0..CONNECTIONS {
                let stream = TcpStream::connect(address).await.expect("it accepts");
                stream.set_nodelay(true).expect("it is TCP");
                warm.spawn(ask(stream, request.clone(), Instant::now() + WARM_UP));
            }
            let streams: Vec<_> = warm.join_all().await.into_iter().map(|(stream, _)| stream).collect();
            let before = (cpu("/proc/self/stat"), cpu("/proc/thread-self/stat"));
            let mut asking = tokio::task::JoinSet::new();
            for stream in streams {
                asking.spawn(ask(stream, request.clone(), Instant::now() + MEASURED));
            }
            let mut took: Vec<Duration> =
                asking.join_all().await.into_iter().flat_map(|(_, took)| took).collect();
            let after = (cpu("/proc/self/stat"), cpu("/proc/thread-self/stat"));
            let server = (after.0 - before.0) - (after.1 - before.1);
            #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
            let per_cpu_second = took.len() as f64 / server;
            let [p50, p99] = quantiles(&mut took);
            Found { per_cpu_second, p50, p99 }
        })
    })
    .join()
    .expect("every answer was one")
}

/// Asks one after the other until then; how long each took.
async fn ask(mut stream: TcpStream, request: String, until: Instant) -> (TcpStream, Vec<Duration>) {
    let mut took = Vec::new();
    let mut answer = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("it reads");
        answer.clear();
        let mut whole = None;
        while whole.is_none_or(|whole| answer.len() < whole) {
            assert!(stream.read_buf(&mut answer).await.expect("it answers") > 0, "it closed the connection");
            if whole.is_none()
                && let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                let text = std::str::from_utf8(&answer[..head]).expect("a head is text");
                assert!(text.starts_with("HTTP/1.1 200"), "{text}");
                let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.and_then(|length| length.parse().ok()).expect("it has a length");
                whole = Some(head + 4 + length);
            }
        }
        took.push(began.elapsed());
    }
    (stream, took)
}

/// How long the check of a key takes, for each of the thousand keys, the `times`th time.
async fn checks(state: &ApiState, times: usize) -> [Duration; 2] {
    let authority = &state.studio().authority;
    let address = IpAddr::from([192, 0, 2, 1]);
    let mut took = Vec::new();
    for number in 0..LIVE {
        let secret = format!("secret-{number}");
        // What the measurement before left is not known any more.
        authority.forget(&format!("channel_{number}").parse().expect("it is a name"));
        for time in 1..=times {
            let began = Instant::now();
            authority.authorise(&secret, address).await.expect("the key is good");
            if time == times {
                took.push(began.elapsed());
            }
        }
    }
    quantiles(&mut took)
}

/// The median and the 99th of a hundred.
fn quantiles(took: &mut [Duration]) -> [Duration; 2] {
    took.sort_unstable();
    [50, 99].map(|percent| took[(took.len() * percent).div_ceil(100).saturating_sub(1)])
}

/// CPU seconds, user and system.
fn cpu(stat: &str) -> f64 {
    let text = std::fs::read_to_string(stat).expect("the kernel tells");
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    fields[11..13].iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn print(what: &str, found: &Found, floor: Option<&Found>) {
    let latency = |found: &Found| format!("p50 {:.2} ms, p99 {:.2} ms", millis(found.p50), millis(found.p99));
    let shown = format!("{:.0} requests per CPU-second, {}", found.per_cpu_second, latency(found));
    let beside = floor.map_or_else(String::new, |floor| {
        let ratio = found.per_cpu_second / floor.per_cpu_second;
        format!("{ratio:.2} of plain axum: {:.0}, {}", floor.per_cpu_second, latency(floor))
    });
    say(what, &shown, &beside);
}

/// Prints a result, and keeps it for the table at the end of `make bench`.
fn say(what: &str, shown: &str, beside: &str) {
    println!("  {what}: {shown}   ({beside})");
    if let Ok(path) = std::env::var("BENCH_RESULTS") {
        let row = serde_json::json!({ "what": what, "shown": shown, "beside": beside, "budget": "", "verdict": "" });
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(path).expect("it can be written");
        writeln!(file, "{row}").expect("it can be written");
    }
}
