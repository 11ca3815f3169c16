//! Stream keys: the right one publishes, others are told why not, and what is revoked or stopped ends at once.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::looped;
use crate::oauth::Browser;
use crate::publisher::Ffmpeg;
use crate::server::Server;
use crate::streamer::{KEYS, SOON, Streamer};
use crate::wait::until;

/// What a person sees as at once.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn keys_publish_until_they_are_revoked_and_broadcasts_until_they_are_stopped() {
    let fixture = looped().fixture().await;
    let ada = Streamer::new(KEYS).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    let edit = json!({ "title": "Boat, day 12", "category": "Crafts", "language": "en" });
    assert_eq!(ada.ask("PATCH", "/channels/studio", Some(edit)).await.0, 200);
    let publish = |key: &str| Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(key));
    let told = async |key: &str| publish(key).finished(SOON).await.1;

    for wrong in ["studio", "live_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let said = told(wrong).await;
        assert!(said.contains("This stream key is unknown"), "{said}");
        assert!(!ada.server.log().contains("live_AAAA"), "keys are not logged");
    }

    let (id, secret) = ada.key().await;
    let mut publisher = publish(&secret);
    let stream = ada.live().await;
    assert_eq!((&stream["title"], &stream["streamer"]["name"]), (&json!("Boat, day 12"), &json!("ada")));
    until("the playlist is there", SOON, || async {
        let answer = crate::http::get(ada.server.playlist("studio")).await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
    assert_eq!(ada.ask("GET", "/streams?category=other", None).await.1["items"], json!([]));
    assert_eq!(ada.ask("DELETE", &format!("/channels/studio/keys/{id}"), None).await.0, 204);
    let took = ada.over().await;
    assert!(took < AT_ONCE, "a revoked key went on for {took:?}");
    publisher.finished(SOON).await;
    let said = told(&secret).await;
    assert!(said.contains("This stream key was revoked"), "{said}");

    let (_, secret) = ada.key().await;
    let mut publisher = publish(&secret);
    ada.live().await;
    assert_eq!(ada.ask("POST", "/channels/studio/stream/stop", None).await.0, 202);
    let took = ada.over().await;
    assert!(took < AT_ONCE, "a stopped broadcast went on for {took:?}");
    publisher.finished(SOON).await;
    let said = told(&secret).await;
    assert!(said.contains("stopped in the stream manager"), "{said}");

    let history = until("both broadcasts are in the history with their ends", SOON, || async {
        let (_, page) = ada.ask("GET", "/channels/studio/broadcasts", None).await;
        let items = page["items"].as_array()?.clone();
        let over = items.len() == 2 && items.iter().all(|broadcast| broadcast["ended_at"].is_string());
        over.then_some(items)
    })
    .await;
    assert_eq!(history[0]["title"], "Boat, day 12");
    let (_, keys) = ada.ask("GET", "/channels/studio/keys", None).await;
    assert!(keys["items"][0]["last_used_at"].is_string(), "{keys}");
    ada.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_that_a_crash_cut_off_is_closed_at_the_next_start() {
    let fixture = looped().fixture().await;
    let mut ada = Streamer::new(KEYS).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    let (_, secret) = ada.key().await;
    let publisher = Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(&secret));
    ada.live().await;
    let open = |items: &Value, open: bool| {
        items[0]["id"].is_string() && items[0]["ended_at"].is_null() == open && items[1].is_null()
    };
    let listed = async |ada: &Streamer, running: bool| {
        until("the broadcast is in the history", SOON, || async {
            let (_, page) = ada.ask("GET", "/channels/studio/broadcasts", None).await;
            open(&page["items"], running).then_some(())
        })
        .await;
    };
    listed(&ada, true).await;
    drop(publisher);
    ada.server = ada.server.restart_after_kill(KEYS).await;
    listed(&ada, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_and_a_deleted_account_end_the_broadcast_at_once() {
    const PASSWORD: &str = "plover-quartz-lantern-7";
    let fixture = looped().fixture().await;
    let settings = [KEYS, &[("MILLRACE_INGEST__STOP_HOLD", "0s")]].concat();
    let server = Server::start(&settings).await;
    let url = |path: &str| server.url(&format!("/api/v1{path}"));
    let line = until("the set-up link is printed", SOON, || async { server.printed("/setup#") }).await;
    let token = line.split_once("/setup#").unwrap().1.trim();
    let (mut root, mut ada) = (Browser::default(), Browser::default());
    let owner = json!({ "token": token, "name": "root", "password": PASSWORD });
    assert_eq!(root.json(Method::POST, &url("/setup"), owner).await.status, 201);
    let account = json!({ "name": "ada", "password": PASSWORD });
    assert_eq!(ada.json(Method::POST, &url("/auth/register"), account).await.status, 201);
    assert_eq!(ada.json(Method::POST, &url("/channels"), json!({ "name": "studio" })).await.status, 201);
    let made = ada.json(Method::POST, &url("/channels/studio/keys"), json!({ "name": "ffmpeg" })).await;
    let made: Value = serde_json::from_str(&made.text).unwrap();
    let key = made["secret"].as_str().unwrap();
    let publish = || Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url(key));
    let is_live = async || crate::http::get(url("/streams/studio")).await.unwrap().status() == 200;
    let live = async || until("it is live", SOON, || async { is_live().await.then_some(()) }).await;
    let over = async || {
        let begun = Instant::now();
        until("it is over", SOON, || async { (!is_live().await).then_some(()) }).await;
        begun.elapsed()
    };

    let mut publisher = publish();
    live().await;
    let banned = root.json(Method::PATCH, &url("/admin/users/ada"), json!({ "banned": true })).await;
    assert_eq!(banned.status, 200, "{}", banned.text);
    let took = over().await;
    assert!(took < AT_ONCE, "a banned person's broadcast went on for {took:?}");
    publisher.finished(SOON).await;
    let (_, said) = publish().finished(SOON).await;
    assert!(said.contains("banned from this site"), "{said}");

    let lifted = root.json(Method::PATCH, &url("/admin/users/ada"), json!({ "banned": false })).await;
    assert_eq!(lifted.status, 200, "{}", lifted.text);
    // What an encoder was told is remembered for two seconds.
    let mut publisher = until("the key publishes again", SOON, || async {
        let mut publisher = publish();
        let refused = tokio::time::timeout(AT_ONCE, publisher.finished(SOON)).await.is_ok();
        (!refused).then_some(publisher)
    })
    .await;
    live().await;
    let login = json!({ "login": "ada", "password": PASSWORD });
    assert_eq!(ada.json(Method::POST, &url("/auth/login"), login).await.status, 200);
    let gone = ada.json(Method::DELETE, &url("/me"), json!({ "password": PASSWORD })).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    let took = over().await;
    assert!(took < AT_ONCE, "a deleted account's broadcast went on for {took:?}");
    publisher.finished(SOON).await;
    let (_, said) = publish().finished(SOON).await;
    assert!(said.contains("stream key"), "{said}");
    server.assert_calm();
}
