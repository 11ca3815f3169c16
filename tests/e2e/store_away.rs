//! Everything on MongoDB, and MongoDB goes away.

use std::time::Duration;

use millrace_store::Location;
use millrace_test_services::mongodb::Mongod;
use serde_json::json;

use crate::browser::looped;
use crate::http;
use crate::publisher::Ffmpeg;
use crate::streamer::{SOON, Streamer};
use crate::wait::until;

/// Publishing asks the store for as long as encoders wait, then gives up.
const REFUSED_BY: Duration = Duration::from_secs(30);

/// The newest part of the channel's only rendition, as the playlist has it.
async fn newest_part(ada: &Streamer) -> Option<String> {
    let multivariant = http::get(ada.server.playlist("studio")).await.ok()?.text().await.ok()?;
    let rendition = multivariant.lines().find(|line| !line.is_empty() && !line.starts_with('#'))?.to_owned();
    let media = http::get(ada.server.url(&format!("/live/studio/{rendition}"))).await.ok()?;
    let media = media.text().await.ok()?;
    media.lines().rev().find(|line| line.starts_with("#EXT-X-PART:")).map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn broadcasts_go_on_without_the_store_and_new_ones_are_told_why_not() {
    let fixture = looped().fixture().await;
    let mut mongod = Mongod::start().await;
    let uri = mongod.uri("millrace");
    let settings = [("MILLRACE_PUBLISH_AUTH", "keys"), ("MILLRACE_STORE", uri.as_str())];
    let ada = Streamer::at(&Location::MongoDb(uri.clone()), &settings).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    let (_, first) = ada.key().await;
    let (_, second) = ada.key().await;
    let publish = |key: &str| Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(key));
    let publisher = publish(&first);
    ada.live().await;
    until("there is a part to play", SOON, || newest_part(&ada)).await;

    mongod.kill();
    let said = publish(&second).finished(REFUSED_BY).await.1;
    assert!(said.contains("cannot check stream keys"), "{said}");
    let before = newest_part(&ada).await;
    until("the broadcast goes on", SOON, || async {
        newest_part(&ada).await.filter(|part| before.as_ref() != Some(part))
    })
    .await;
    let (status, answer) = ada.ask("GET", "/me/channels", None).await;
    assert_eq!((status, &answer["type"]), (503, &json!("/problems/store-unavailable")), "{answer}");
    until("the server says what is missing, and is ready for who watches", SOON, || async {
        let answer = http::get(ada.server.url("/readyz")).await.ok()?;
        assert_eq!(answer.status(), 200);
        let report: serde_json::Value = answer.json().await.ok()?;
        let store = report["checks"].as_array()?.iter().find(|check| check["name"] == "store")?.clone();
        (store["ready"] == false && store["reason"].as_str()?.contains("does not answer")).then_some(())
    })
    .await;
    assert_eq!(ada.server.metric("millrace_store_up").await, Some(0.0));

    mongod.restart().await;
    drop(publisher);
    let _publisher = until("the refused encoder is let in", SOON, || async {
        let mut publisher = publish(&second);
        let refused = tokio::time::timeout(Duration::from_secs(2), publisher.finished(SOON)).await;
        refused.is_err().then_some(publisher)
    })
    .await;
    ada.live().await;
    until("its broadcast is in the history", SOON, || async {
        let (_, page) = ada.ask("GET", "/channels/studio/broadcasts", None).await;
        page["items"]
            .as_array()
            .filter(|items| items.iter().any(|item| item["ended_at"].is_null()))
            .map(|_| ())
    })
    .await;
    assert!(!ada.server.log().contains("panicked at"));
}
