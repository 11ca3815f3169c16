//! Deliveries to a receiver in the test: what arrives, how it is signed, and what its answers do.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::bus::{Bus, Delivery, Position, Topic};
use millrace_core::chat::{ChatBan, ChatMessage, MessageKind};
use millrace_core::event::{Event, EventBody, SpecVersion, StreamStarted, Subject, UserBanned};
use millrace_core::ids::{BroadcastId, MessageId};
use millrace_core::trace::Cause;
use serde_json::Value;

use super::*;
use crate::accounts::Role;
use crate::batches::Batches;
use crate::channels::ChannelsConfig;
use crate::mail::Post;
use crate::state::testing::TestClock;
use crate::studio::Studio;
use crate::webhooks::gather::Gatherer;
use crate::webhooks::plan::{DISABLE_AFTER_MS, EVENTS_MAX, WAITING_MAX};
use crate::webhooks::{SigningSecret, WebhookEvent};

type Got = (HeaderMap, Bytes);

/// A program that answers as it is told to: with a status, or not at all.
#[derive(Clone)]
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<Vec<Option<StatusCode>>>>,
}

impl Receiver {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self { url, got: Arc::default(), answers: Arc::default() };
        let shared = receiver.clone();
        let take = move |headers: HeaderMap, body: Bytes| async move {
            shared.got.lock().unwrap().push((headers, body));
            let answer = shared.answers.lock().unwrap().pop();
            match answer.unwrap_or(Some(StatusCode::NO_CONTENT)) {
                Some(status) => (status, [("location", "http://127.0.0.1:1/")]),
                None => std::future::pending().await,
            }
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(take)).into_future());
        receiver
    }

    /// The next answers, the first one first.
    fn answers(&self, answers: impl IntoIterator<Item = Option<u16>>) {
        let mut answers: Vec<_> =
            answers.into_iter().map(|one| one.map(|status| StatusCode::from_u16(status).unwrap())).collect();
        answers.reverse();
        *self.answers.lock().unwrap() = answers;
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The texts of all events that arrived, a list for each delivery.
    fn texts(&self) -> Vec<Vec<String>> {
        let texts = |body: &Bytes| {
            let body: Value = serde_json::from_slice(body).unwrap();
            let events = body["data"]["events"].as_array().unwrap().clone();
            events.iter().map(|event| event["data"]["text"].as_str().unwrap_or_default().to_owned()).collect()
        };
        self.got().iter().map(|(_, body)| texts(body)).collect()
    }
}

struct World {
    state: ApiState,
    clock: TestClock,
    receiver: Receiver,
    gatherer: Gatherer,
    bus: Arc<MemoryBus>,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Ada has a studio.
    async fn with(change: impl FnOnce(&mut crate::webhooks::WebhooksConfig)) -> Self {
        let (state, clock) = ApiState::for_tests_with(|setup| {
            setup.webhooks.private_receivers = true;
            setup.webhooks.timeout = Duration::from_secs(1);
            setup.mail = Some(Post::for_tests());
            change(&mut setup.webhooks);
        })
        .await;
        let bus = MemoryBus::new();
        let studio = Studio::new(
            state.store().clone(),
            bus.clone(),
            "test".parse().unwrap(),
            ChannelsConfig::default(),
        );
        let state = state.with_studio(Arc::new(studio));
        let ada = state.sign_in_for_tests("ada", Role::Streamer).await.0;
        let address = User { email: Some("ada@example.org".parse().unwrap()), ..ada.clone() };
        let kept = state.store().get::<User>(&ada.id.to_string()).await.unwrap().unwrap();
        state.store().commit(Changes::new().replace(&kept, &address)).await.unwrap();
        let channel = crate::channels::testing::channel("studio", ada.id);
        state.studio().channels.create(&channel, 5).await.unwrap();
        let gatherer = Gatherer::new(state.clone());
        Self { state, clock, receiver: Receiver::start().await, gatherer, bus }
    }

    async fn channel(&self) -> Channel {
        self.state.studio().channels.named(&"studio".parse().unwrap()).await.unwrap().unwrap()
    }

    /// A webhook of the studio's at the receiver.
    async fn hook(&self, events: &[WebhookEvent]) -> Webhook {
        self.hook_at(&self.receiver.url, events).await
    }

    async fn hook_at(&self, url: &str, events: &[WebhookEvent]) -> Webhook {
        let now = self.state.now_ms();
        let hook = Webhook {
            id: self.state.new_id(),
            channel: self.channel().await.id,
            url: url.to_owned(),
            events: events.iter().copied().collect(),
            created_at: now,
            since: now,
            ..crate::webhooks::record::tests::webhook()
        };
        self.state.webhooks().create(&hook).await.unwrap();
        hook
    }

    fn event(&self, body: EventBody) -> Event {
        Event {
            specversion: SpecVersion::V1,
            id: self.state.new_id(),
            source: "/nodes/one".into(),
            subject: Subject::Channel("studio".parse().unwrap()),
            time: Timestamp::from_millisecond(self.state.now_ms()).unwrap(),
            cause: Cause::default(),
            body,
        }
    }

    fn said(&self, text: &str) -> Event {
        let id = MessageId(self.state.new_id());
        let message = ChatMessage {
            id,
            at: Timestamp::from_millisecond(self.state.now_ms()).unwrap(),
            kind: MessageKind::Text,
            author: None,
            text: text.to_owned(),
            nonce: None,
            reply_to: None,
            mentions: Vec::new(),
            event: None,
            news: None,
        };
        Event { id: id.0, ..self.event(EventBody::MessageSent(Box::new(message))) }
    }

    /// The group gets these events together.
    async fn happens(&mut self, events: impl IntoIterator<Item = Event>) {
        let batch: Vec<_> = events
            .into_iter()
            .map(|event| Delivery {
                position: Position { topic: Topic::Chat, partition: 0, offset: 0 },
                event: Arc::new(event),
                headers: Default::default(),
            })
            .collect();
        // What was known of webhooks is a moment old.
        self.clock.advance_ms(1_001);
        self.gatherer.handle(&batch).await.unwrap();
    }

    /// Delivers what is due; how many webhooks had a turn.
    async fn works(&self) -> usize {
        let config = self.state.webhooks().config();
        let http = client(config.private_receivers, config.timeout).unwrap();
        let taken = take(&self.state, 10).await.unwrap();
        let count = taken.len();
        for (hook, lease) in taken {
            let turn = Turn { state: self.state.clone(), http: http.clone(), hook, lease };
            turn.run().await.unwrap();
        }
        count
    }

    async fn kept(&self, hook: &Webhook) -> Webhook {
        self.state.webhooks().get(hook.channel, hook.id).await.unwrap().unwrap()
    }

    /// Advances to the next attempt and makes it.
    async fn retries(&self, hook: &Webhook) {
        let due = self.kept(hook).await.due.expect("it waits");
        self.clock.advance_ms((due - self.state.now_ms()).max(0));
        assert_eq!(self.works().await, 1);
    }
}

#[tokio::test]
async fn what_is_said_arrives_once_signed_and_in_order() {
    let mut world = World::new().await;
    let hook = world.hook(&[WebhookEvent::MessageSent]).await;
    let events = [world.said("one"), world.said("two"), world.said("\u{1f6a2}")];
    world.happens(events).await;
    assert_eq!(world.works().await, 1);
    assert_eq!(world.works().await, 0, "nothing waits");
    let got = world.receiver.got();
    assert_eq!(got.len(), 1);
    let (headers, body) = &got[0];
    assert_eq!(headers["content-type"], "application/json");
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (text("webhook-id"), text("webhook-timestamp").parse::<i64>().unwrap());
    assert!(id.starts_with("msg_"), "{id}");
    assert_eq!(timestamp, world.state.now_ms() / 1_000);
    assert_eq!(text("webhook-signature"), hook.secret.signature(&id, timestamp, body));
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!((&body["type"], &body["data"]["channel"]), (&json!("channel.events"), &json!("studio")));
    assert_eq!(body["data"]["events"][0]["type"], "message.sent");
    assert_eq!(world.receiver.texts(), [["one", "two", "\u{1f6a2}"]]);
    let kept = world.kept(&hook).await;
    assert_eq!((kept.due, kept.recent.len(), kept.recent[0].status), (None, 1, Some(204)));
    assert_eq!(world.state.webhooks().waiting(hook.id).await.unwrap(), 0);
}

#[tokio::test]
async fn the_bus_the_queue_and_the_receiver_are_connected() {
    let world = World::new().await;
    world.hook(&[WebhookEvent::MessageSent]).await;
    let stop = CancellationToken::new();
    let gathering =
        tokio::spawn(crate::webhooks::gather(world.state.clone(), world.bus.clone(), stop.clone()));
    let delivering = tokio::spawn(deliver(world.state.clone(), stop.clone()));
    world.bus.publish(Topic::Chat, world.said("hello")).await.unwrap();
    let arrived = async {
        while world.receiver.texts() != [["hello"]] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("it arrives");
    stop.cancel();
    gathering.await.unwrap();
    delivering.await.unwrap();
}

#[tokio::test]
async fn only_what_is_wanted_and_new_is_told_with_names() {
    let mut world = World::new().await;
    let before = world.said("before");
    world.clock.advance_ms(10);
    world.hook(&[WebhookEvent::PersonBanned, WebhookEvent::StreamStarted]).await;
    let ada = world.channel().await.owner;
    let ban = ChatBan { user: ada, reason: "spam".to_owned(), by: ada };
    let started = StreamStarted { broadcast: BroadcastId(world.state.new_id()), encoder: None };
    let events = [
        before,
        world.said("unwanted"),
        world.event(EventBody::UserBanned(UserBanned { chat: Some(ban) })),
        world.event(EventBody::StreamStarted(started)),
    ];
    world.happens(events).await;
    world.works().await;
    let body: Value = serde_json::from_slice(&world.receiver.got()[0].1).unwrap();
    let events = body["data"]["events"].as_array().unwrap();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["person.banned", "stream.started"]);
    assert_eq!(events[0]["data"]["person"]["name"], "ada");
    assert_eq!(events[0]["data"]["reason"], "spam");
}

#[tokio::test]
async fn what_is_not_taken_comes_again_with_the_same_id_before_what_came_after_it() {
    let mut world = World::new().await;
    let hook = world.hook(&[WebhookEvent::MessageSent]).await;
    world.receiver.answers([Some(500), Some(302)]);
    let one = world.said("one");
    world.happens([one]).await;
    world.works().await;
    let two = world.said("two");
    world.happens([two]).await;
    assert_eq!(world.works().await, 0, "it is left alone for a while");
    world.retries(&hook).await;
    assert_eq!(world.receiver.texts(), [["one"], ["one"]], "a redirect is not followed and no success");
    world.retries(&hook).await;
    assert_eq!(world.receiver.texts(), [["one"], ["one"], ["one"], ["two"]]);
    let ids: Vec<_> = world.receiver.got().iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    let recent = world.kept(&hook).await.recent;
    let seen: Vec<_> = recent.iter().map(|attempt| (attempt.number, attempt.status)).collect();
    assert_eq!(seen, [(1, Some(500)), (2, Some(302)), (3, Some(204)), (1, Some(204))]);
}

#[tokio::test]
async fn one_delivery_that_is_always_refused_does_not_hold_up_the_others_for_ever() {
    let mut world = World::new().await;
    let hook = world.hook(&[WebhookEvent::MessageSent]).await;
    world.receiver.answers([Some(400); 5]);
    let bad = world.said("bad");
    world.happens([bad]).await;
    world.works().await;
    let good = world.said("good");
    world.happens([good]).await;
    for _ in 0..5 {
        world.retries(&hook).await;
    }
    assert_eq!(world.receiver.texts()[5], ["good"]);
}

#[tokio::test]
async fn a_receiver_that_never_answers_costs_only_itself() {
    let mut world = World::new().await;
    let slow = Receiver::start().await;
    slow.answers([None; 9]);
    let stuck = world.hook_at(&slow.url, &[WebhookEvent::MessageSent]).await;
    world.hook(&[WebhookEvent::MessageSent]).await;
    let one = world.said("one");
    world.happens([one]).await;
    let stop = CancellationToken::new();
    let delivering = tokio::spawn(deliver(world.state.clone(), stop.clone()));
    let arrived = async {
        while world.receiver.texts() != [["one"]] || world.kept(&stuck).await.recent.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("the other one gets it");
    stop.cancel();
    delivering.await.unwrap();
    let kept = world.kept(&stuck).await;
    assert_eq!(kept.recent[0].error, Some(NoAnswer::Timeout));
    assert!(kept.due.unwrap() > world.state.now_ms(), "it is left alone");
    assert_eq!(world.state.webhooks().waiting(stuck.id).await.unwrap(), 1);
}

#[tokio::test]
async fn a_name_that_leads_into_our_own_network_is_not_reached() {
    let mut world = World::with(|config| config.private_receivers = false).await;
    let port = world.receiver.url.rsplit(':').next().unwrap().to_owned();
    // Neither is one that was let in when it was allowed.
    for url in [format!("http://localhost:{port}"), "https://localhost/".to_owned()] {
        let hook = world.hook_at(&url, &[WebhookEvent::MessageSent]).await;
        let one = world.said("one");
        world.happens([one]).await;
        world.works().await;
        let kept = world.kept(&hook).await;
        assert_eq!(kept.recent[0].error, Some(NoAnswer::ForbiddenAddress), "{url}");
        world.state.webhooks().remove(hook.id).await.unwrap();
    }
    assert!(world.receiver.got().is_empty());
}

#[tokio::test]
async fn a_webhook_that_took_nothing_for_a_day_is_turned_off_and_its_owner_is_told() {
    let mut world = World::new().await;
    let hook = world.hook(&[WebhookEvent::MessageSent]).await;
    world.receiver.answers([Some(500); 2]);
    let one = world.said("one");
    world.happens([one]).await;
    world.works().await;
    world.clock.advance_ms(DISABLE_AFTER_MS - 60_000);
    let two = world.said("two");
    world.happens([two]).await;
    world.clock.advance_ms(60_000);
    world.works().await;
    let kept = world.kept(&hook).await;
    assert_eq!((kept.disabled, kept.due, kept.lost), (Some(Disabled::Failing), None, 1));
    assert_eq!(world.state.webhooks().waiting(hook.id).await.unwrap(), 0);
    assert_eq!(world.receiver.texts(), [["one"], ["two"]], "what is a day old is given up");
    let letters = world.state.mail().unwrap().waiting(&world.state).await;
    assert_eq!(letters.len(), 1);
    let news = News::WebhookDisabled { channel: "studio".into(), host: "127.0.0.1".into() };
    assert_eq!(letters[0].subject, crate::mail::Subject::News(news));
    let three = world.said("three");
    world.happens([three]).await;
    assert_eq!(world.works().await, 0);
    // It says itself that it wants nothing any more.
    let other = world.hook(&[WebhookEvent::MessageSent]).await;
    world.receiver.answers([Some(410)]);
    let four = world.said("four");
    world.happens([four]).await;
    world.works().await;
    assert_eq!(world.kept(&other).await.disabled, Some(Disabled::Gone));
}

#[tokio::test]
async fn what_waits_is_bounded_and_what_is_lost_is_counted() {
    let mut world = World::new().await;
    let hook = world.hook(&[WebhookEvent::MessageSent]).await;
    let events: Vec<_> = (0..EVENTS_MAX * 2).map(Value::from).collect();
    let (webhooks, now) = (world.state.webhooks().clone(), world.state.now_ms());
    for _ in 0..WAITING_MAX / 2 {
        assert!(webhooks.put(hook.id, hook.channel, events.clone(), Cause::default(), now).await.unwrap());
    }
    assert!(!webhooks.put(hook.id, hook.channel, events, Cause::default(), now).await.unwrap());
    let one = world.said("one");
    world.happens([one]).await;
    assert_eq!(webhooks.waiting(hook.id).await.unwrap(), WAITING_MAX);
    assert_eq!(world.kept(&hook).await.lost, i64::try_from(EVENTS_MAX).unwrap() * 2 + 1);
    webhooks.remove(hook.id).await.unwrap();
    assert_eq!(webhooks.waiting(hook.id).await.unwrap(), 0);
}

#[tokio::test]
async fn two_processes_do_not_tell_it_twice_and_one_that_died_is_followed_by_another() {
    let mut world = World::new().await;
    let hook = world.hook(&[WebhookEvent::MessageSent]).await;
    let one = world.said("one");
    world.happens([one]).await;
    let (first, second) = tokio::join!(take(&world.state, 10), take(&world.state, 10));
    assert_eq!(first.unwrap().len() + second.unwrap().len(), 1, "only one of them has it");
    assert_eq!(world.works().await, 0);
    // It dies; its lease runs out.
    world.retries(&hook).await;
    assert_eq!(world.receiver.texts(), [["one"]]);
}

#[tokio::test]
async fn a_new_secret_signs_beside_the_old_one() {
    let mut world = World::new().await;
    let hook = world.hook(&[WebhookEvent::MessageSent]).await;
    let secret = SigningSecret::random();
    let now = world.state.now_ms();
    world.state.webhooks().change(hook.id, |hook| hook.rotated(secret.clone(), now)).await.unwrap();
    let one = world.said("one");
    world.happens([one]).await;
    world.works().await;
    let (headers, body) = world.receiver.got().remove(0);
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, at) = (text("webhook-id"), text("webhook-timestamp").parse().unwrap());
    let expected = format!("{} {}", secret.signature(&id, at, &body), hook.secret.signature(&id, at, &body));
    assert_eq!(text("webhook-signature"), expected);
}
