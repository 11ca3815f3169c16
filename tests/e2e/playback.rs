//! Who may watch: what is not for everybody needs a token, at the origin and at a cache in front of it.

use std::time::{Duration, SystemTime};

use millrace_core::ids::ChannelName;
use millrace_core::playback::PlaybackKeys;
use serde_json::{Value, json};

use crate::browser::looped;
use crate::nginx::Nginx;
use crate::publisher::Ffmpeg;
use crate::server::scratch;
use crate::streamer::{KEYS, SOON, Streamer};
use crate::wait::{quiet, until};

const SECRET: &str = "an-owner-made-this-with-openssl-rand-base64-48";

/// Status and text of what is at an address.
async fn fetch(url: String) -> (u16, String) {
    let answer = crate::http::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap_or_default())
}

/// A segment that the channel lists, by the address that its owner was given.
async fn segment(origin: impl Fn(&str) -> String, address: &str) -> String {
    let main = address.replace("index.m3u8", "main/");
    let media = origin(&format!("{main}index.m3u8"));
    until("a segment is listed", SOON, || async {
        let (_, media) = fetch(media.clone()).await;
        // What the channel begins with are gaps.
        let newest = media.lines().rfind(|line| !line.starts_with('#'))?;
        let path = format!("{main}{newest}");
        (fetch(origin(&path)).await.0 == 200).then_some(path)
    })
    .await
}

async fn set_playback(ada: &Streamer, playback: &str) {
    let edit = json!({ "playback": playback });
    assert_eq!(ada.ask("PATCH", "/channels/studio", Some(edit)).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_private_is_fetched_by_token_only_from_the_origin_and_from_the_cache_before_it() {
    let fixture = looped().fixture().await;
    let (_folder, folder) = scratch("millrace-playback");
    let secrets = folder.join("secrets");
    std::fs::write(&secrets, SECRET).unwrap();
    let often = [("MILLRACE_TRANSCODE__THUMBNAIL_INTERVAL", "2s")];
    let secret_file = [("MILLRACE_PLAYBACK__SECRET_FILE", secrets.to_str().unwrap())];
    let settings = [KEYS, &secret_file, &often].concat();
    let ada = Streamer::new(&settings).await;
    let edge = Nginx::start(ada.server.http, &secrets).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    set_playback(&ada, "private").await;
    let (_, key) = ada.key().await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(&key));

    // Its owner is told where; nobody else.
    let stream = until("the owner sees the broadcast", SOON, || async {
        let (status, stream) = ada.ask("GET", "/streams/studio", None).await;
        (status == 200).then_some(stream)
    })
    .await;
    assert_eq!(fetch(ada.server.url("/api/v1/streams/studio")).await.0, 404);
    let address = stream["playback_url"].as_str().unwrap().to_owned();
    assert!(address.starts_with("/t/") && stream["playback_expires_at"].is_string(), "{stream}");
    let plain = "/live/studio/index.m3u8";
    let origin = |path: &str| ada.server.url(path);
    let segment = segment(origin, &address).await;
    let without = &segment[segment.find("/live/").unwrap()..];
    for at in [&origin as &dyn Fn(&str) -> String, &|path: &str| edge.url(path)] {
        assert_eq!(fetch(at(&address)).await.0, 200);
        assert_eq!(fetch(at(&segment)).await.0, 200);
        for path in [plain, without, &format!("/t/a.b.c{plain}"), &format!("/t/a.b.c{without}")] {
            let (status, said) = fetch(at(path)).await;
            assert!(matches!(status, 403 | 404) && said.contains("/problems/"), "{path}: {status} {said}");
        }
    }

    // The thumbnail and the storyboard with its pictures are at the same kind of address, and nowhere else.
    let told = async |field: &str| {
        until(&format!("there is a {field}"), SOON, || async {
            ada.ask("GET", "/streams/studio", None).await.1[field].as_str().map(str::to_owned)
        })
        .await
    };
    let (thumbnail, storyboard) = (told("thumbnail_url").await, told("storyboard_url").await);
    let (status, index) = fetch(origin(&storyboard)).await;
    assert!(status == 200 && index.starts_with("WEBVTT\n"), "{status} {index}");
    let sprite = index.lines().find_map(|line| line.split_once('#')).unwrap().0;
    let sprite = storyboard.replace("storyboard.vtt", sprite);
    for still in [thumbnail, storyboard, sprite] {
        assert!(still.starts_with("/t/"), "{still}");
        let bare = &still[still.find("/live/").unwrap()..];
        for at in [&origin as &dyn Fn(&str) -> String, &|path: &str| edge.url(path)] {
            assert_eq!(crate::http::get(at(&still)).await.unwrap().status(), 200, "{still}");
            assert_eq!(fetch(at(bare)).await.0, 404, "{bare}");
        }
    }

    // The cache is one for all tokens, and for nobody without one.
    let keys = PlaybackKeys::parse(SECRET).unwrap();
    let studio: ChannelName = "studio".parse().unwrap();
    let now = || i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let other = format!("/t/{}{}", keys.sign(&studio, now() + 600), without);
    let answer = crate::http::get(edge.url(&other)).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["x-cache"].to_str().unwrap()), (200, "HIT"));
    let foreign = format!("/t/{}{plain}", keys.sign(&"another".parse().unwrap(), now() + 600));
    assert_eq!(fetch(edge.url(&foreign)).await.0, 403);
    assert_eq!(fetch(origin(&foreign)).await.0, 404);

    // An address that was taken elsewhere stops working, cached or not.
    let expiring = format!("/t/{}{}", keys.sign(&studio, now() + 3), without);
    assert_eq!(fetch(edge.url(&expiring)).await.0, 200);
    for at in [&origin as &dyn Fn(&str) -> String, &|path: &str| edge.url(path)] {
        until("the token has expired", SOON, || async {
            (fetch(at(&expiring)).await.0 == 403).then_some(())
        })
        .await;
    }

    // The policy changes while the broadcast runs.
    set_playback(&ada, "unlisted").await;
    let soon = Duration::from_secs(2);
    until("everybody may watch", soon, || async { (fetch(origin(plain)).await.0 == 200).then_some(()) })
        .await;
    set_playback(&ada, "followers").await;
    until("only some may watch", soon, || async { (fetch(origin(plain)).await.0 == 404).then_some(()) })
        .await;

    let (token, _) = address.strip_prefix("/t/").unwrap().split_once('/').unwrap();
    assert!(!edge.log().contains(token) && edge.log().contains("/t/-/live/studio"), "{}", edge.log());
    assert!(!ada.server.log().contains(token), "tokens are not logged");
    ada.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_watches_on_while_addresses_expire_and_others_are_told_to_follow() {
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    let settings = [KEYS, &[("MILLRACE_PLAYBACK__TOKEN_LIFETIME", "10s")]].concat();
    let ada = Streamer::new(&settings).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    set_playback(&ada, "followers").await;
    let (_, key) = ada.key().await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(&key));
    until("the broadcast runs", SOON, || async {
        (ada.ask("GET", "/streams/studio", None).await.0 == 200).then_some(())
    })
    .await;
    let (origin, shots) = (ada.server.url(""), std::env::var("MILLRACE_TEST_SHOTS").unwrap_or_default());
    let arguments =
        ["--origin", &origin, "--channel", "studio", "--person", "bob", "--seconds", "13", "--shots", &shots];
    let said = crate::node::run("closed.mjs", &arguments).await;
    let watched = said.iter().find(|line| line["event"] == "watched").unwrap();
    assert!(watched["played"].as_f64() > Some(11.0), "{watched}");
    // On a busy machine a frame may be late; nothing takes the picture away.
    let states = watched["states"].as_array().unwrap();
    assert!(states.iter().all(|state| state == "playing" || state == "buffering"), "it plays on: {watched}");
    assert!(watched["tokens"].as_u64() > Some(1), "the address was renewed: {watched}");
    let taken = watched["playlist"].as_str().unwrap();
    until("an address that was taken away works no more", SOON, || async {
        let (status, said) = fetch(ada.server.url(taken)).await;
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        (status == 403 && said["type"] == "/problems/playback-token-expired").then_some(())
    })
    .await;
    ada.server.assert_calm();
}
