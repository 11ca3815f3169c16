//! The bell over HTTP: who hears what, and what is refused.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::ids::BroadcastId;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::accounts::Role;
use crate::auth::tokens::{ApiToken, Tokens};
use crate::auth::{Scopes, Secret};
use crate::channels::{ChannelsConfig, Note};
use crate::directory::tests::started;
use crate::studio::Studio;

struct World {
    state: ApiState,
    ada: String,
    bob: String,
    bob_user: User,
}

impl World {
    /// Ada has a studio, bob follows it.
    async fn new() -> Self {
        let state = ApiState::for_tests().await;
        let studio = Studio::new(
            state.store().clone(),
            MemoryBus::new(),
            "test".parse().unwrap(),
            ChannelsConfig::default(),
        );
        let state = state.with_studio(Arc::new(studio));
        let ada = state.sign_in_for_tests("ada", Role::Streamer).await.1;
        let (bob_user, bob) = state.sign_in_for_tests("bob", Role::Viewer).await;
        let world = Self { state, ada, bob, bob_user };
        let made = world.ask("POST", "/channels", &world.ada, Some(json!({ "name": "studio" }))).await;
        assert_eq!(made.0, 201, "{}", made.1);
        assert_eq!(world.ask("PUT", "/channels/studio/follow", &world.bob, None).await.0, 204);
        world
    }

    async fn ask(&self, method: &str, path: &str, who: &str, body: Option<Value>) -> (u16, Value) {
        let request =
            Request::builder().method(method.parse::<Method>().unwrap()).uri(format!("/api/v1{path}"));
        let request = request.header("host", "here").header("content-type", "application/json");
        let request = if who.is_empty() {
            request.header("origin", "http://here")
        } else {
            request.header("authorization", who)
        };
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = crate::router(self.state.clone()).oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn goes_live(&self, number: u128) {
        let at = self.state.now_ms() + i64::try_from(number).unwrap();
        let note = Note {
            broadcast: BroadcastId(uuid::Uuid::from_u128(number)),
            channel: "studio".parse().unwrap(),
            started_at: at,
            seen_at: at,
            ended_at: None,
            peak_viewers: 0,
        };
        self.state.studio().history.keep(&note).await.unwrap();
        self.state.directory.write().unwrap().apply(&started("studio", number));
        self.state.notices().learn(at).await.unwrap();
    }

    async fn unread(&self) -> Value {
        self.ask("GET", "/me/notices/unread", &self.bob, None).await.1["unread"].clone()
    }
}

#[tokio::test]
async fn a_follower_hears_of_a_broadcast_reads_it_mutes_and_turns_it_off() {
    let world = World::new().await;
    world.goes_live(1).await;
    world.goes_live(2).await;
    assert_eq!(world.unread().await, 2);
    let (status, page) = world.ask("GET", "/me/notices?limit=1", &world.bob, None).await;
    assert_eq!(status, 200, "{page}");
    let newest = &page["items"][0];
    assert_eq!(
        (&newest["channel"], &newest["kind"], &newest["live"], &newest["read"], &newest["streamer"]),
        (&json!("studio"), &json!("live"), &json!(true), &json!(false), &json!("ada"))
    );
    let next = format!("/me/notices?cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = world.ask("GET", &next, &world.bob, None).await.1;
    assert_eq!((&rest["items"][0]["live"], &rest["next_cursor"]), (&json!(false), &Value::Null), "{rest}");
    let through = Some(json!({ "through": newest["id"] }));
    assert_eq!(world.ask("POST", "/me/notices/read", &world.bob, through).await.0, 204);
    assert_eq!(world.unread().await, 0);

    let muted = async |muted: bool| {
        let (status, _) =
            world.ask("PATCH", "/channels/studio/follow", &world.bob, Some(json!({ "muted": muted }))).await;
        let channel = world.ask("GET", "/channels/studio", &world.bob, None).await.1;
        let follows = world.ask("GET", "/me/follows", &world.bob, None).await.1;
        assert_eq!((&channel["muted"], &follows["items"][0]["muted"]), (&json!(muted), &json!(muted)));
        status
    };
    assert_eq!(muted(true).await, 204);
    world.goes_live(3).await;
    assert_eq!(world.unread().await, 0);
    assert_eq!(muted(false).await, 204);
    let off = Some(json!({ "enabled": false }));
    assert_eq!(world.ask("PATCH", "/me/notices/settings", &world.bob, off).await.0, 200);
    world.goes_live(4).await;
    assert_eq!(world.unread().await, 0);
    assert_eq!(
        world.ask("GET", "/me/notices/settings", &world.bob, None).await.1,
        json!({ "enabled": false })
    );
    let channel = world.ask("GET", "/channels/studio", &world.ada, None).await.1;
    assert_eq!(channel["muted"], Value::Null, "ada does not follow it");
}

#[tokio::test]
async fn every_route_knows_who_may_and_says_what_is_wrong() {
    let world = World::new().await;
    let token = Secret::random("mr_");
    let scopes: Scopes = [Scope::Read].into_iter().collect();
    let record = ApiToken {
        id: world.bob_user.id.0,
        user: world.bob_user.id,
        name: "reader".to_owned(),
        hash: token.hash(),
        hint: String::new(),
        scopes,
        created_at: 1,
        last_used_at: None,
        expires_at: None,
    };
    Tokens::new(world.state.store().clone()).add(&record).await.unwrap();
    let reader = format!("Bearer {}", token.reveal());
    // For nobody, a token that only reads, a stranger to the channel, a follower.
    let table: [(&str, &str, Option<Value>, [u16; 4]); 6] = [
        ("GET", "/me/notices", None, [401, 200, 200, 200]),
        ("GET", "/me/notices/unread", None, [401, 200, 200, 200]),
        ("GET", "/me/notices/settings", None, [401, 200, 200, 200]),
        ("PATCH", "/me/notices/settings", Some(json!({ "enabled": true })), [401, 403, 200, 200]),
        ("POST", "/me/notices/read", Some(json!({ "through": "x" })), [401, 403, 404, 404]),
        ("PATCH", "/channels/studio/follow", Some(json!({ "muted": true })), [401, 403, 404, 204]),
    ];
    for (method, path, body, expected) in table {
        for (who, expected) in ["", &reader, &world.ada, &world.bob].iter().zip(expected) {
            let (status, answer) = world.ask(method, path, who, body.clone()).await;
            assert_eq!(status, expected, "{method} {path} as {who:.20?}: {answer}");
        }
    }
    for (method, path, body, status, kind) in [
        ("GET", "/me/notices?limit=0", json!({}), 400, "bad-parameter"),
        ("GET", "/me/notices?cursor=1.nonsense", json!({}), 400, "bad-parameter"),
        ("POST", "/me/notices/read", json!({ "through": { "$gt": "" } }), 422, "bad-body"),
        ("POST", "/me/notices/read", json!({ "through": "x".repeat(5_000) }), 404, "no-such-notice"),
        ("POST", "/me/notices/read", json!({ "through": "x", "user": "ada" }), 422, "bad-body"),
        ("PATCH", "/me/notices/settings", json!({ "enabled": "no" }), 422, "bad-body"),
        ("PATCH", "/channels/studio/follow", json!({ "muted": true, "user": "ada" }), 422, "bad-body"),
        ("PATCH", "/channels/nowhere/follow", json!({ "muted": true }), 404, "no-such-channel"),
    ] {
        let (found, problem) = world.ask(method, path, &world.bob, Some(body)).await;
        assert_eq!(
            (found, &problem["type"]),
            (status, &json!(format!("/problems/{kind}"))),
            "{method} {path}"
        );
    }
    let ada = world.ask("PATCH", "/channels/studio/follow", &world.ada, Some(json!({ "muted": true }))).await;
    assert_eq!(ada.1["type"], json!("/problems/not-followed"));
}
