//! Pushes to a push service in the test: what arrives, how often, and what its answers do.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::ids::{BroadcastId, ChannelId, SessionId, UserId};
use serde_json::{Value, json};

use super::*;
use crate::accounts::{Playback, Role};
use crate::channels::{ChannelsConfig, Note};
use crate::push::encrypt::tests::decrypt;
use crate::state::testing::TestClock;
use crate::studio::Studio;

/// What a push service got: the path, the headers, the body.
type Got = (String, HeaderMap, Bytes);

/// A push service that answers as it is told to.
#[derive(Clone)]
struct Service {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<Vec<(StatusCode, &'static str)>>>,
}

impl Service {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Self { url, got: Arc::default(), answers: Arc::default() };
        let shared = service.clone();
        let take = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            shared.got.lock().unwrap().push((uri.path().to_owned(), headers, body));
            let answer = shared.answers.lock().unwrap().pop();
            let (status, wait) = answer.unwrap_or((StatusCode::CREATED, ""));
            let wait = (!wait.is_empty()).then_some([("retry-after", wait)]);
            (status, wait, ())
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(take)).into_future());
        service
    }

    /// How often each path was asked, in their order.
    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<_> = self.got.lock().unwrap().iter().map(|(path, ..)| path.clone()).collect();
        paths.sort();
        paths
    }
}

struct World {
    state: ApiState,
    clock: TestClock,
    service: Service,
    key: PrivateKey,
}

const AUTH: [u8; 16] = [7; 16];

impl World {
    /// Ada has a studio.
    async fn new() -> Self {
        let (state, clock) = ApiState::for_tests_with(|setup| {
            setup.notices.push_private_services = true;
            setup.public_url = Some("https://live.example.org".to_owned());
        })
        .await;
        let studio = Studio::new(
            state.store().clone(),
            MemoryBus::new(),
            "test".parse().unwrap(),
            ChannelsConfig::default(),
        );
        let state = state.with_studio(Arc::new(studio));
        let ada = state.sign_in_for_tests("ada", Role::Streamer).await.0;
        let channel = crate::channels::testing::channel("studio", ada.id);
        state.studio().channels.create(&channel, 5).await.unwrap();
        Self { state, clock, service: Service::start().await, key: PrivateKey::generate(&ECDH_P256).unwrap() }
    }

    async fn channel(&self) -> ChannelId {
        self.state.studio().channels.named(&"studio".parse().unwrap()).await.unwrap().unwrap().id
    }

    /// Somebody who follows the studio and has a browser at `path` of the push service, if one is named.
    async fn follower(&self, name: &str, path: Option<&str>) -> (UserId, SessionId) {
        let user = self.state.sign_in_for_tests(name, Role::Viewer).await.0.id;
        self.state.studio().follows.follow(user, self.channel().await, 1, 10).await.unwrap();
        let session = SessionId(self.state.new_id());
        let now = self.state.now_ms();
        self.state.sessions().begin(session, user, "x".to_owned(), now, 1_000_000_000).await.unwrap();
        if let Some(path) = path {
            let endpoint = format!("{}{path}", self.service.url);
            let device = Device {
                id: Device::id_of(&endpoint),
                user,
                session,
                endpoint,
                p256dh: URL_SAFE_NO_PAD.encode(self.key.compute_public_key().unwrap()),
                auth: URL_SAFE_NO_PAD.encode(AUTH),
                name: "x".to_owned(),
                created_at: now,
                failures: 0,
            };
            self.state.push().devices().put(&device, 10).await.unwrap();
        }
        (user, session)
    }

    async fn note(&self, number: u128, ended: bool) {
        let at = self.state.now_ms();
        let note = Note {
            broadcast: BroadcastId(uuid::Uuid::from_u128(number)),
            channel: "studio".parse().unwrap(),
            started_at: at,
            seen_at: at,
            ended_at: ended.then_some(at),
            peak_viewers: 0,
        };
        self.state.studio().history.keep(&note).await.unwrap();
    }

    /// Takes every job and does it to its end; how many.
    async fn works(&self) -> usize {
        let jobs = take(&self.state, 10).await.unwrap();
        let count = jobs.len();
        for job in jobs {
            run(&self.state, job, &CancellationToken::new()).await.unwrap();
        }
        count
    }

    async fn devices(&self, user: UserId) -> usize {
        self.state.push().devices().of(user).await.unwrap().len()
    }
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let patience = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patience).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn a_followers_browser_gets_one_message_that_only_it_can_read() {
    let world = World::new().await;
    world.follower("bob", Some("/bob")).await;
    world.follower("eve", None).await;
    world.note(1, false).await;
    world.note(1, false).await;
    assert_eq!(world.works().await, 1);
    assert_eq!(world.works().await, 0, "it is done");
    world.note(1, false).await;
    assert_eq!(world.works().await, 0, "once per broadcast");
    let got = world.service.got.lock().unwrap().clone();
    assert_eq!(got.len(), 1);
    let (path, headers, body) = &got[0];
    assert_eq!(
        (path.as_str(), &headers["content-encoding"], &headers["ttl"]),
        ("/bob", &"aes128gcm".parse().unwrap(), &"3600".parse().unwrap())
    );
    assert_eq!(headers["topic"].len(), 32);
    let vapid = headers["authorization"].to_str().unwrap();
    assert!(vapid.ends_with(world.state.push().vapid().public()), "{vapid}");
    let claims = vapid.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(
        (&claims["aud"], &claims["sub"]),
        (&json!(world.service.url), &json!("https://live.example.org"))
    );
    let message = decrypt(body, &world.key, &AUTH).unwrap();
    let message: Value = serde_json::from_slice(&message).unwrap();
    assert_eq!(
        (&message["kind"], &message["channel"], &message["streamer"], &message["url"]),
        (&json!("live"), &json!("studio"), &json!("ada"), &json!("/@studio"))
    );
    let other = PrivateKey::generate(&ECDH_P256).unwrap();
    assert_eq!(decrypt(body, &other, &AUTH), None);
}

#[tokio::test]
async fn who_muted_turned_it_off_left_signed_out_or_came_later_gets_nothing() {
    let world = World::new().await;
    let channel = world.channel().await;
    let (state, now) = (&world.state, world.state.now_ms());
    let (muted, _) = world.follower("muted", Some("/muted")).await;
    state.studio().follows.mute(muted, channel, true, now).await.unwrap();
    let (off, _) = world.follower("turned_off", Some("/off")).await;
    state.notices().turn(off, false, now).await.unwrap();
    let (left, _) = world.follower("left", Some("/left")).await;
    state.studio().follows.unfollow(left, channel).await.unwrap();
    let (out, session) = world.follower("signed_out", Some("/out")).await;
    // By another process, which knows nothing of devices.
    state.sessions().end(session, now).await.unwrap();
    let (everywhere, session) = world.follower("everywhere", Some("/everywhere")).await;
    state.end_session(everywhere, session).await.unwrap();
    assert_eq!(world.devices(everywhere).await, 0);
    world.follower("bob", Some("/bob")).await;
    world.note(1, false).await;
    world.clock.advance_ms(1_000);
    let (late, _) = world.follower("late", Some("/late")).await;
    state.studio().follows.unfollow(late, channel).await.unwrap();
    state.studio().follows.follow(late, channel, state.now_ms(), 10).await.unwrap();
    world.works().await;
    assert_eq!(world.service.paths(), ["/bob"]);
    assert_eq!(world.devices(out).await, 0, "a browser that is signed out is forgotten");
}

#[tokio::test]
async fn what_became_pointless_is_not_sent() {
    let world = World::new().await;
    let (bob, _) = world.follower("bob", Some("/bob")).await;
    // It ended before anybody came to push it.
    world.note(1, false).await;
    world.note(1, true).await;
    assert_eq!(world.works().await, 1);
    // The channel is for nobody now.
    world.note(2, false).await;
    let edit = crate::channels::ChannelEdit { playback: Some(Playback::Private), ..Default::default() };
    world.state.studio().channels.update(world.channel().await, &edit).await.unwrap();
    assert_eq!(world.works().await, 1);
    let edit = crate::channels::ChannelEdit { playback: Some(Playback::Public), ..Default::default() };
    world.state.studio().channels.update(world.channel().await, &edit).await.unwrap();
    // Nobody pushed for longer than it is news.
    world.note(3, false).await;
    world.clock.advance_ms(world.state.notices().config().push_lifetime_ms());
    assert_eq!(world.works().await, 1);
    // A channel that was deleted.
    world.note(4, false).await;
    world.state.studio().channels.delete(world.channel().await).await.unwrap();
    assert_eq!(world.works().await, 1);
    assert_eq!(world.service.paths(), [""; 0]);
    assert_eq!(world.devices(bob).await, 1);
}

#[tokio::test]
async fn a_thousand_followers_are_reached_once_by_two_workers_and_after_a_crash() {
    let world = World::new().await;
    for number in 0..FOLLOWERS_AT_ONCE + 50 {
        let path = (number % 50 == 0).then(|| format!("/{number:03}"));
        world.follower(&format!("viewer_{number:03}"), path.as_deref()).await;
    }
    let expected: Vec<_> =
        (0..FOLLOWERS_AT_ONCE + 50).step_by(50).map(|number| format!("/{number:03}")).collect();
    world.note(1, false).await;
    let (one, other) = tokio::join!(take(&world.state, 10), take(&world.state, 10));
    let mut jobs = one.unwrap();
    jobs.extend(other.unwrap());
    assert_eq!(jobs.len(), 1, "only one of them has it");
    // A worker that lost its lease while it was away, and the one that has it now.
    let old = jobs.pop().unwrap();
    world.clock.advance_ms(LEASE_MS + 1);
    let new = take(&world.state, 10).await.unwrap().pop().unwrap();
    run(&world.state, old, &CancellationToken::new()).await.unwrap();
    assert_eq!(world.service.paths(), [""; 0], "whoever lost the job sends nothing");
    run(&world.state, new, &CancellationToken::new()).await.unwrap();
    assert_eq!(world.service.paths(), expected);

    // One dies after the first page: what comes after it goes on behind that page.
    world.service.got.lock().unwrap().clear();
    world.note(2, false).await;
    let job = take(&world.state, 10).await.unwrap().pop().unwrap();
    let query = Query::with("channel", job.channel.to_string(), FOLLOWERS_AT_ONCE);
    let page: Vec<Kept<Follow>> =
        world.state.store().find(&query.ordered("followed_at", Order::Descending)).await.unwrap();
    let further = job.beyond(page.last().unwrap(), world.state.now_ms());
    world.state.store().commit(Changes::new().replace(&job, &further)).await.unwrap();
    assert_eq!(world.works().await, 1);
    let after = world.service.paths();
    assert!(!after.is_empty() && after.len() < expected.len(), "{after:?}");
}

#[tokio::test]
async fn a_service_that_is_busy_is_asked_again_when_it_said_and_one_that_knows_nobody_is_not() {
    let world = World::new().await;
    let (bob, _) = world.follower("bob", Some("/bob")).await;
    world.service.answers.lock().unwrap().push((StatusCode::TOO_MANY_REQUESTS, "1"));
    world.note(1, false).await;
    world.works().await;
    assert_eq!(world.service.paths(), ["/bob"]);
    // For everybody at that service.
    world.follower("eve", Some("/eve")).await;
    world.clock.advance_ms(10);
    world.note(2, false).await;
    world.works().await;
    assert_eq!(world.service.paths(), ["/bob"], "the service is left alone");
    world.clock.advance_ms(2_000);
    until("all that waited was sent", || world.service.paths().len() == 4).await;
    assert_eq!(world.service.paths(), ["/bob", "/bob", "/bob", "/eve"]);
    assert_eq!(world.devices(bob).await, 1);

    world.service.got.lock().unwrap().clear();
    world.service.answers.lock().unwrap().extend([(StatusCode::GONE, ""), (StatusCode::NOT_FOUND, "")]);
    world.note(3, false).await;
    world.works().await;
    assert_eq!(world.service.paths(), ["/bob", "/eve"]);
    assert_eq!(world.devices(bob).await, 0);
    world.note(4, false).await;
    world.works().await;
    assert_eq!(world.service.paths().len(), 2, "nobody is there any more");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_service_that_always_refuses_is_forgotten() {
    let world = World::new().await;
    let (bob, _) = world.follower("bob", Some("/bob")).await;
    for number in 1..=6 {
        world.service.answers.lock().unwrap().push((StatusCode::TEMPORARY_REDIRECT, ""));
        world.note(number, false).await;
        world.works().await;
    }
    assert_eq!(world.service.paths(), ["/bob"; 5]);
    assert_eq!(world.devices(bob).await, 0);
}
