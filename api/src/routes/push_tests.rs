//! The browsers that want pushes, over HTTP: whose they are, and which addresses are taken.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::accounts::Role;
use crate::notices::NoticesConfig;

const P256DH: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const DEVICES: &str = "/api/v1/me/push/devices";

async fn ask(state: &ApiState, method: &str, uri: &str, who: &str, body: Option<Value>) -> (u16, Value) {
    let request = Request::builder().method(method).uri(uri).header("host", "here");
    let request = request.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0");
    let request = if who.is_empty() {
        request.header("origin", "http://here")
    } else {
        request.header("authorization", who)
    };
    let request = request.header("content-type", "application/json");
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let response = crate::router(state.clone()).oneshot(request.body(body).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn subscription(endpoint: &str) -> Value {
    json!({ "endpoint": endpoint, "keys": { "p256dh": P256DH, "auth": "BTBZMqHH6r4Tts7J_aSIgg" } })
}

#[tokio::test]
async fn a_browser_renews_its_subscription_by_knowing_the_one_it_had_and_nobody_else_does() {
    let state = ApiState::for_tests().await;
    let bob = state.sign_in_for_tests("bob", Role::Viewer).await.1;
    let renew = async |replaces: &str, endpoint: &str| {
        let mut body = subscription(endpoint);
        body["replaces"] = replaces.into();
        let (status, answer) = ask(&state, "POST", "/api/v1/push/renewals", "", Some(body)).await;
        (status, answer["type"].as_str().unwrap_or_default().to_owned())
    };
    let (old, new) = ("https://push.example.org/old", "https://push.example.org/new");
    assert_eq!(renew(old, new).await, (404, "/problems/no-such-device".into()));
    ask(&state, "PUT", DEVICES, &bob, Some(subscription(old))).await;
    assert_eq!(renew(old, "https://127.0.0.1/x").await.0, 422, "not into our own network");
    assert_eq!(renew(old, new).await.0, 204);
    assert_eq!(renew(old, new).await.0, 404, "once");
    let devices = ask(&state, "GET", "/api/v1/me/push", &bob, None).await.1["devices"].clone();
    assert_eq!((devices.as_array().unwrap().len(), &devices[0]["id"]), (1, &json!(Device::id_of(new))));
    for _ in 0..10 {
        renew(old, new).await;
    }
    assert_eq!(renew(old, new).await, (429, "/problems/too-many-attempts".into()), "nobody guesses");
}

#[tokio::test]
async fn a_browser_is_kept_listed_and_removed_by_its_person_only() {
    let state = ApiState::for_tests().await;
    let bob = state.sign_in_for_tests("bob", Role::Viewer).await.1;
    let eve = state.sign_in_for_tests("eve", Role::Admin).await.1;
    let body = subscription("https://push.example.org/bob");
    let (status, made) = ask(&state, "PUT", DEVICES, &bob, Some(body.clone())).await;
    assert_eq!(
        (status, &made["name"], &made["current"]),
        (200, &json!("Firefox on Linux"), &json!(true)),
        "{made}"
    );
    assert_eq!(ask(&state, "PUT", DEVICES, &bob, Some(body)).await.1, made, "harmless");
    let (status, listed) = ask(&state, "GET", "/api/v1/me/push", &bob, None).await;
    assert_eq!((status, &listed["devices"]), (200, &json!([made])));
    assert_eq!(listed["public_key"], json!(state.push().vapid().public()));
    assert!(!listed.to_string().contains("push.example"), "who reads it cannot write to it");
    assert_eq!(ask(&state, "GET", "/api/v1/me/push", &eve, None).await.1["devices"], json!([]));
    let one = format!("{DEVICES}/{}", made["id"].as_str().unwrap());
    for (who, status) in [("", 401), (eve.as_str(), 404), (bob.as_str(), 204), (bob.as_str(), 404)] {
        assert_eq!(ask(&state, "DELETE", &one, who, None).await.0, status, "{who:.20}");
    }
    let long = format!("{DEVICES}/{}", "a".repeat(5_000));
    assert_eq!(ask(&state, "DELETE", &long, &bob, None).await.0, 404);
}

#[tokio::test]
async fn only_a_browser_that_is_signed_in_may_and_only_with_a_real_push_service() {
    let state = ApiState::for_tests().await;
    let (bob_user, bob) = state.sign_in_for_tests("bob", Role::Viewer).await;
    let (record, token) = crate::auth::tokens::issue(
        state.new_id(),
        bob_user.id,
        "script".to_owned(),
        crate::auth::Scopes::all(),
        state.now_ms(),
        None,
    );
    state.tokens().add(&record).await.unwrap();
    let script = format!("Bearer {}", token.reveal());
    let good = subscription("https://push.example.org/bob");
    for (method, uri) in
        [("PUT", DEVICES), ("GET", "/api/v1/me/push"), ("DELETE", "/api/v1/me/push/devices/x")]
    {
        assert_eq!(ask(&state, method, uri, "", Some(good.clone())).await.0, 401, "{method} {uri}");
        assert_eq!(ask(&state, method, uri, &script, Some(good.clone())).await.0, 403, "{method} {uri}");
    }
    let mut table = vec![
        (json!({ "endpoint": "https://push.example.org/x" }), "bad-body", Value::Null),
        (json!({ "endpoint": { "$ne": "" }, "keys": good["keys"] }), "bad-body", Value::Null),
        (
            json!({ "endpoint": "https://push.example.org/x", "keys": { "p256dh": "x", "auth": "x" } }),
            "invalid",
            json!("/keys/p256dh"),
        ),
        (
            json!({ "endpoint": "https://push.example.org/x", "keys": { "p256dh": P256DH, "auth": "x" } }),
            "invalid",
            json!("/keys/auth"),
        ),
    ];
    let mut more = good.clone();
    more["user"] = json!(bob_user.id);
    table.push((more, "bad-body", Value::Null));
    for endpoint in [
        "http://push.example.org/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://redis.example.org:6379/x",
    ] {
        table.push((subscription(endpoint), "invalid", json!("/endpoint")));
    }
    for (body, kind, pointer) in table {
        let (status, problem) = ask(&state, "PUT", DEVICES, &bob, Some(body.clone())).await;
        assert_eq!(
            (status, &problem["type"], &problem["errors"][0]["pointer"]),
            (422, &json!(format!("/problems/{kind}")), &pointer),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_browser_goes_with_its_session() {
    let state = ApiState::for_tests().await;
    let (bob_user, bob) = state.sign_in_for_tests("bob", Role::Viewer).await;
    let body = Some(subscription("https://push.example.org/bob"));
    assert_eq!(ask(&state, "PUT", DEVICES, &bob, body.clone()).await.0, 200);
    let session = state.push().devices().of(bob_user.id).await.unwrap()[0].session;
    state.end_session(bob_user.id, session).await.unwrap();
    assert!(state.push().devices().of(bob_user.id).await.unwrap().is_empty());
    assert_eq!(ask(&state, "PUT", DEVICES, &bob, body).await.0, 401, "and nobody subscribes with it again");
}

#[tokio::test]
async fn a_site_that_does_not_push_takes_no_browsers() {
    let (state, _) = ApiState::for_tests_with(|setup| {
        setup.notices = NoticesConfig { push: false, ..NoticesConfig::default() }
    })
    .await;
    let bob = state.sign_in_for_tests("bob", Role::Viewer).await.1;
    let shown = ask(&state, "GET", "/api/v1/me/push", &bob, None).await;
    assert_eq!(shown, (200, json!({ "devices": [] })));
    let body = Some(subscription("https://push.example.org/bob"));
    let (status, problem) = ask(&state, "PUT", DEVICES, &bob, body).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/no-push")));
}
