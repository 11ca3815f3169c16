//! What a program of the owner is told by webhook, and what is said and done in many rooms at once, with the real server.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use millrace_api::webhooks::SigningSecret;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::chat::Site;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(30);

/// A program that is told what happens; the first deliveries it refuses.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    _server: AbortOnDropHandle<()>,
}

impl Receiver {
    async fn start(refused: usize) -> Self {
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        let take = move |headers: HeaderMap, body: Bytes| async move {
            let mut kept = kept.lock().unwrap();
            kept.push((headers, body));
            if kept.len() <= refused { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let limits = millrace_http::server::Limits::default();
        let listener = millrace_http::server::Listener { tcp: listener, tls: None, redirect: None };
        let router = Router::new().fallback(take);
        let server = millrace_http::server::serve(vec![listener], router, limits, Default::default());
        let server = tokio::spawn(async move {
            server.await;
        });
        Self { url, got, _server: AbortOnDropHandle::new(server) }
    }

    fn got(&self) -> Vec<(HeaderMap, Bytes)> {
        self.got.lock().unwrap().clone()
    }

    /// The texts or types of what was taken, after `refused` deliveries.
    fn told(&self, refused: usize) -> Vec<String> {
        let mut told = Vec::new();
        for (_, body) in self.got().iter().skip(refused) {
            let body: Value = serde_json::from_slice(body).unwrap();
            for event in body["data"]["events"].as_array().unwrap() {
                let text = event["data"]["text"].as_str().or(event["type"].as_str());
                told.push(text.unwrap_or_default().to_owned());
            }
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_told_what_is_said_signed_and_again_when_it_did_not_take_it() {
    let site = Site::of(&["ada", "ben"], &[("MILLRACE_WEBHOOKS__PRIVATE_RECEIVERS", "true")]).await;
    let receiver = Receiver::start(1).await;
    let events = ["message.sent", "person.timed_out", "channel.followed"];
    let new = json!({ "name": "bot", "url": receiver.url, "events": events });
    let (status, made) = site.ask(0, "POST", "/channels/studio/webhooks", Some(new)).await;
    assert_eq!(status, 201, "{made}");
    let (mut ada, _) = site.enter(Some(0), None).await;
    ada.said("n1", "one").await;
    ada.said("n2", "two").await;
    until("what was said is told in order", SOON, async || {
        (receiver.told(1) == ["one", "two"]).then_some(())
    })
    .await;
    let secret: SigningSecret = serde_json::from_value(made["secret"].clone()).unwrap();
    for (headers, body) in receiver.got() {
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let (id, at) = (text("webhook-id"), text("webhook-timestamp").parse().unwrap());
        assert_eq!(text("webhook-signature"), secret.signature(&id, at, &body));
    }
    let follow = site.ask(1, "PUT", "/channels/studio/follow", None).await;
    assert_eq!(follow.0, 204, "{}", follow.1);
    // The room says it too, a moment later, and so the program hears of both.
    until("who follows is told and said", SOON, async || {
        let told = receiver.told(1);
        let is_told = |what: &str| told.iter().any(|text| text == what);
        (is_told("channel.followed") && is_told("BEN follows this channel.")).then_some(())
    })
    .await;
    let one = format!("/channels/studio/webhooks/{}", made["id"].as_str().unwrap());
    let attempts = site.ask(0, "GET", &format!("{one}/deliveries"), None).await.1;
    let first = attempts["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&first["number"], &first["status"]), (&json!(1), &json!(503)), "{attempts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_banned_from_all_chats_of_an_owner_says_nothing_at_once_and_reads_why() {
    let site = Site::of(&["ada", "ben"], &[]).await;
    let (mut ben, _) = site.enter(Some(1), None).await;
    ben.said("n1", "bad").await;
    let path = "/me/chat/bans/ben";
    let began = Instant::now();
    assert_eq!(site.ask(0, "PUT", path, Some(json!({ "reason": "spam" }))).await.0, 204);
    ben.next("removed").await;
    let you = ben.next("you").await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(you["you"]["may_send"], false);
    assert!(you["you"]["why_not"]["detail"].as_str().unwrap().contains("Reason: spam."), "{you}");
    assert_eq!(ben.refused("n2", "again").await["code"], "banned");
    // Also whoever comes anew, and what was said is gone from the history.
    let (_again, welcome) = site.enter(Some(1), None).await;
    assert_eq!((&welcome["you"]["may_send"], &welcome["messages"]), (&json!(false), &json!([])));
    assert_eq!(site.ask(0, "DELETE", path, None).await.0, 204);
    assert_eq!(ben.next("you").await["you"]["may_send"], true);
    ben.said("n3", "sorry").await;
}
