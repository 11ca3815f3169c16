//! A site of many: search among 100,000 channels, and a channel with 100,000 followers that goes live. On SQLite, as
//! `millrace serve` has it. Prints what `docs/performance.md` keeps.
//!
//!     cargo bench -p millrace-test-services --bench crowd
#![expect(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, reason = "a measurement")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace_api::accounts::{COLLECTIONS, Channel, Follow, Playback, Role, User};
use millrace_api::channels::Note;
use millrace_api::notices::NoticesConfig;
use millrace_api::playback::{PlaybackConfig, PlaybackLinks};
use millrace_api::push::PushJob;
use millrace_api::{ApiState, Setup};
use millrace_core::ids::{BroadcastId, ChannelId, UserId};
use millrace_store::{Changes, Location, Query, Store};
use tokio_util::sync::CancellationToken;

const MANY: usize = 100_000;
const AT_ONCE: usize = 500;
const WORDS: [&str; 8] = ["boat", "wood", "guitar", "night", "chess", "garden", "bread", "city"];

fn user(number: usize) -> User {
    User {
        id: UserId(uuid::Uuid::from_u128(number as u128)),
        name: format!("person_{number}").parse().unwrap(),
        display_name: format!("Person {number}"),
        email: None,
        email_verified: false,
        new_email: None,
        password: None,
        role: Role::Viewer,
        bio: String::new(),
        avatar: None,
        created_at: 1,
        banned_at: None,
    }
}

fn channel(number: usize) -> Channel {
    let word = |by: usize| WORDS[(number / by) % WORDS.len()];
    // One of a thousand is about lanterns, one of all about quetzals.
    let rare = if number == 4_321 { "quetzal" } else { "" };
    let seldom = if number.is_multiple_of(1_000) { "lantern" } else { "" };
    Channel {
        id: ChannelId(uuid::Uuid::from_u128(number as u128)),
        name: format!("channel_{number}").parse().unwrap(),
        owner: UserId(uuid::Uuid::from_u128(number as u128)),
        title: format!("Live: {} and {} {seldom} {rare}", word(1), word(8)),
        category: word(64).to_owned(),
        tags: vec![word(512).to_owned(), "english".to_owned()],
        language: "en".to_owned(),
        description: String::new(),
        playback: Playback::Public,
        ladder: millrace_core::ladder::ChannelLadder::default(),
        followers: i64::try_from(number * 7919 % 10_007).unwrap(),
        planned: 0,
        moderators: Vec::new(),
        created_at: 1,
    }
}

async fn fill(store: &Store) {
    let started = Instant::now();
    let star = ChannelId(uuid::Uuid::from_u128(1));
    for chunk in (1..=MANY).collect::<Vec<_>>().chunks(AT_ONCE) {
        let changes = chunk.iter().fold(Changes::new(), |changes, number| {
            let followed_at = i64::try_from(*number).unwrap();
            let user = user(*number);
            let follow = Follow { channel: star, user: user.id, followed_at, muted: false, unmuted_at: None };
            changes.insert(&user).insert(&channel(*number)).insert(&follow)
        });
        store.commit(changes).await.unwrap();
    }
    println!("{MANY} people, channels and follows written in {:.1?}", started.elapsed());
}

/// Resident memory of this process in MiB.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    format!("p50 {:.2?}, p99 {:.2?} of {}", at(50), at(99), times.len())
}

async fn search(state: &ApiState) {
    for (what, text, rounds) in [
        ("one of 100,000", "quetzal", 300),
        ("100 of 100,000", "lantern", 300),
        ("some 41,000", "boat", 100),
        ("two words", "boat garden", 100),
        ("all of them", "english", 100),
        ("all of them, by one letter", "l", 50),
        ("none", "zebra", 300),
    ] {
        let mut first = Vec::new();
        let mut second = Vec::new();
        for _ in 0..rounds {
            let started = Instant::now();
            let (_, next) = state.studio().channels.search(text, &[], None, 50).await.unwrap();
            first.push(started.elapsed());
            if next.is_some() {
                let started = Instant::now();
                state.studio().channels.search(text, &[], next.as_ref(), 50).await.unwrap();
                second.push(started.elapsed());
            }
        }
        println!("search, {what} ({text}): {}", quantiles(first));
        if !second.is_empty() {
            println!("  its second page: {}", quantiles(second));
        }
    }
}

/// Reads accounts, one after the other, until `stop`: what others feel meanwhile.
async fn others(state: ApiState, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number = (number + 7_919) % MANY + 1;
        let started = Instant::now();
        state.people().get(UserId(uuid::Uuid::from_u128(number as u128))).await.unwrap();
        times.push(started.elapsed());
    }
    times
}

async fn notices(state: &ApiState) {
    let stop = Arc::new(AtomicBool::new(false));
    let before = resident_mib();
    let reading = tokio::spawn(others(state.clone(), Arc::clone(&stop)));
    let at = state.now_ms();
    let note = Note {
        broadcast: BroadcastId(uuid::Uuid::now_v7()),
        channel: "channel_1".parse().unwrap(),
        started_at: at,
        seen_at: at,
        ended_at: None,
        peak_viewers: 0,
    };
    let started = Instant::now();
    state.studio().history.keep(&note).await.unwrap();
    println!("the notice is kept, for all {MANY}: {:.2?}", started.elapsed());
    let learning = Instant::now();
    state.notices().learn(at).await.unwrap();
    println!("and known to a process: {:.2?} (it asks every 2 s)", learning.elapsed());
    let mut times = Vec::new();
    for number in 1..=MANY {
        let asked = Instant::now();
        let unread = state.notices().unread(UserId(uuid::Uuid::from_u128(number as u128))).await.unwrap();
        assert_eq!(unread, 1, "follower {number} hears of it");
        times.push(asked.elapsed());
    }
    println!(
        "every bell asked once, one after the other: {:.1?} in all, each {}",
        started.elapsed(),
        quantiles(times)
    );
    println!("memory: {before:.0} MiB before, {:.0} MiB after", resident_mib());
    stop.store(true, Ordering::Relaxed);
    println!("others meanwhile: {}", quantiles(reading.await.unwrap()));

    let stop = Arc::new(AtomicBool::new(false));
    let reading = tokio::spawn(others(state.clone(), Arc::clone(&stop)));
    let shutdown = CancellationToken::new();
    let pushing = tokio::spawn(millrace_api::push::deliver(state.clone(), shutdown.clone()));
    let started = Instant::now();
    while state.store().count::<PushJob>(&Query::default()).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("all followers walked for pushes (no browsers): {:.1?}", started.elapsed());
    println!("memory: {:.0} MiB", resident_mib());
    stop.store(true, Ordering::Relaxed);
    println!("others meanwhile: {}", quantiles(reading.await.unwrap()));
    shutdown.cancel();
    pushing.await.unwrap();
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let engine = millrace_store::open(&Location::Sqlite, folder.path()).await.unwrap();
    let store = Store::new(engine, COLLECTIONS).await.unwrap();
    fill(&store).await;
    let playback = PlaybackLinks::open(&PlaybackConfig::default(), &store).await.unwrap();
    let setup = Setup {
        store,
        accounts: millrace_api::config::AccountsConfig::default(),
        notices: NoticesConfig::default(),
        providers: millrace_api::oauth::Providers::default(),
        mail: None,
        webhooks: millrace_api::webhooks::WebhooksConfig::default(),
        public_url: None,
        secure: false,
        site: millrace_api::site::SiteConfig::default(),
        ingest: millrace_api::site::IngestAddress::default(),
        playback,
        ladder: millrace_core::ladder::LadderPlan::default(),
    };
    let state = ApiState::new(setup).await.unwrap();
    // `notices` alone, or both.
    if !std::env::args().any(|argument| argument == "notices") {
        search(&state).await;
    }
    notices(&state).await;
}
