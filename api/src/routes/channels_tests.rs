//! Every route of channels, keys, follows and profiles: who may, what is refused, what is told.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use millrace_core::event::{EventBody, StreamHealth, StreamUpdated};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::channels::{ChannelsConfig, Note};
use crate::directory::tests::event;
use crate::routes::testing::World;

#[tokio::test]
async fn every_route_knows_who_may() {
    let world = World::new().await;
    world.live("studio");
    let key = "/api/v1/channels/studio/keys/0198c6d2-0000-7000-8000-000000000000";
    let rotate = format!("{key}/rotate");
    let name = Some(json!({ "name": "OBS" }));
    let title = Some(json!({ "title": "Boat" }));
    // For nobody, a stranger, a moderator, the owner, an admin; the least of them first.
    let less = Some(json!({ "ladder": { "mode": "off" } }));
    let more = Some(json!({ "ladder": { "mode": "always" } }));
    let table: [(&str, &str, Option<Value>, [u16; 5]); 26] = [
        ("GET", "/api/v1/channels?q=studio", None, [200; 5]),
        ("GET", "/api/v1/channels/studio", None, [200; 5]),
        ("GET", "/api/v1/channels/studio/broadcasts", None, [200; 5]),
        ("GET", "/api/v1/users/ada", None, [200; 5]),
        ("GET", "/api/v1/me/channels", None, [401, 200, 200, 200, 200]),
        ("GET", "/api/v1/me/follows", None, [401, 200, 200, 200, 200]),
        ("GET", "/api/v1/channels/studio/stream", None, [401, 403, 200, 200, 200]),
        ("GET", "/api/v1/channels/studio/moderators", None, [401, 403, 200, 200, 200]),
        ("GET", "/api/v1/channels/studio/blocks", None, [401, 403, 200, 200, 200]),
        ("PUT", "/api/v1/channels/studio/blocks/eve", None, [401, 403, 204, 204, 204]),
        ("DELETE", "/api/v1/channels/studio/blocks/eve", None, [401, 403, 204, 204, 204]),
        ("GET", "/api/v1/channels/studio/followers", None, [401, 403, 403, 200, 200]),
        ("GET", "/api/v1/channels/studio/keys", None, [401, 403, 403, 200, 200]),
        ("POST", "/api/v1/channels/studio/keys", name, [401, 403, 403, 201, 201]),
        ("DELETE", key, None, [401, 403, 403, 404, 404]),
        ("POST", &rotate, None, [401, 403, 403, 404, 404]),
        ("PATCH", "/api/v1/channels/studio", title, [401, 403, 403, 200, 200]),
        ("PATCH", "/api/v1/channels/studio", less, [401, 403, 403, 200, 200]),
        ("PATCH", "/api/v1/channels/studio", more, [401, 403, 403, 403, 200]),
        ("PUT", "/api/v1/channels/studio/moderators/bob", None, [401, 403, 403, 204, 204]),
        ("DELETE", "/api/v1/channels/studio/moderators/eve", None, [401, 403, 403, 204, 204]),
        ("POST", "/api/v1/channels/studio/stream/stop", None, [401, 403, 403, 202, 202]),
        ("PUT", "/api/v1/channels/studio/follow", None, [401, 204, 204, 204, 204]),
        ("DELETE", "/api/v1/channels/studio/follow", None, [401, 204, 204, 204, 204]),
        ("DELETE", "/api/v1/me/avatar", None, [401, 200, 200, 200, 200]),
        ("DELETE", "/api/v1/channels/studio", None, [401, 403, 403, 204, 404]),
    ];
    for (method, path, body, expected) in table {
        let people = ["", &world.eve, &world.bob, &world.ada, &world.root];
        for (who, expected) in people.iter().zip(expected) {
            let (status, answer) = world.ask(method, path, who, body.clone()).await;
            assert_eq!(status, expected, "{method} {path} as {who:.20?}: {answer}");
        }
    }
    let viewer = world.ask("POST", "/api/v1/channels", &world.eve, Some(json!({ "name": "mine" }))).await;
    assert_eq!(viewer.0, 403, "{}", viewer.1);
}

#[tokio::test]
async fn the_owner_chooses_fewer_rungs_and_an_admin_more() {
    let mut world = World::new().await;
    let show = async |world: &World, who: &str| {
        world.ask("GET", "/api/v1/channels/studio", who, None).await.1["ladder"].clone()
    };
    let all = json!(["720p", "480p", "360p"]);
    let site = json!({ "mode": "on_demand", "rungs": all });
    let choices = json!([
        { "mode": "site", "rungs": all }, { "mode": "off", "rungs": [] }, { "mode": "on_demand", "rungs": all },
    ]);
    let untouched =
        json!({ "mode": "site", "rungs": null, "effective": site, "site": site, "choices": choices });
    assert_eq!(show(&world, &world.ada).await, untouched);
    for other in ["", &world.eve, &world.bob] {
        assert_eq!(show(&world, other).await, Value::Null, "it is not theirs");
    }
    let edit = async |world: &World, who: &str, ladder: Value| {
        world.ask("PATCH", "/api/v1/channels/studio", who, Some(json!({ "ladder": ladder }))).await
    };
    let fewer = edit(&world, &world.ada, json!({ "mode": "site", "rungs": ["360p", "720p"] })).await;
    assert_eq!((fewer.0, &fewer.1["ladder"]["rungs"]), (200, &json!(["360p", "720p"])));
    let effective = json!({ "mode": "on_demand", "rungs": ["720p", "360p"] });
    assert_eq!(fewer.1["ladder"]["effective"], effective);
    assert!(matches!(world.order().await, EventBody::ChannelUpdated(_)), "who grants publishes hears of it");
    world.ask("PATCH", "/api/v1/channels/studio", &world.ada, Some(json!({ "title": "Boat" }))).await;
    assert_eq!(show(&world, &world.ada).await["effective"], effective, "what is absent stays");

    let always = json!({ "mode": "always", "rungs": ["480p", "360p"] });
    let (status, refusal) = edit(&world, &world.ada, always.clone()).await;
    assert_eq!((status, &refusal["type"]), (403, &json!("/problems/forbidden")), "{refusal}");
    assert!(refusal["detail"].as_str().unwrap().contains("admin of the site"), "{refusal}");
    assert_eq!(show(&world, &world.ada).await["effective"], effective);
    assert_eq!(edit(&world, &world.root, always.clone()).await.0, 200);
    let audit = world.ask("GET", "/api/v1/admin/audit", &world.root, None).await.1;
    let entry = &audit["items"][0];
    assert_eq!((&entry["action"], &entry["target"]), (&json!("channel.ladder"), &json!("studio")));
    assert_eq!(entry["detail"], "always: 480p, 360p");
    assert_eq!(show(&world, &world.ada).await["choices"][3], always, "now the owner may, too");
    // To and fro within what was allowed.
    for (ladder, status) in [
        (json!({ "mode": "off" }), 200),
        (json!({ "mode": "always", "rungs": ["360p"] }), 200),
        (json!({ "mode": "always", "rungs": ["720p"] }), 403),
        (json!({ "mode": "always" }), 403),
        (json!({ "mode": "site" }), 200),
    ] {
        let answer = edit(&world, &world.ada, ladder.clone()).await;
        assert_eq!(answer.0, status, "{ladder}: {}", answer.1);
    }
    assert_eq!(show(&world, &world.ada).await["effective"], site);
}

#[tokio::test]
async fn a_ladder_that_is_none_is_refused_with_its_place() {
    let world = World::new().await;
    for (ladder, pointer) in [
        (json!({ "mode": "on_demand", "rungs": [] }), "/ladder/rungs"),
        (json!({ "mode": "on_demand", "rungs": vec!["360p"; 7] }), "/ladder/rungs"),
        (json!({ "mode": "off", "rungs": ["360p", "1080p"] }), "/ladder/rungs/1"),
        (json!({ "mode": "site", "rungs": ["\u{0}"] }), "/ladder/rungs/0"),
    ] {
        for who in [&world.ada, &world.root] {
            let edit = Some(json!({ "ladder": ladder }));
            let (status, problem) = world.ask("PATCH", "/api/v1/channels/studio", who, edit).await;
            assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{problem}");
        }
    }
    for ladder in
        [json!({}), json!({ "mode": "sometimes" }), json!({ "mode": null }), json!("off"), json!([])]
    {
        let edit = Some(json!({ "ladder": ladder }));
        let (status, problem) = world.ask("PATCH", "/api/v1/channels/studio", &world.root, edit).await;
        assert!((400..=422).contains(&status), "{ladder}: {problem}");
    }
}

#[tokio::test]
async fn a_private_channel_is_no_channel_for_strangers() {
    let world = World::new().await;
    world.live("studio");
    let private = Some(json!({ "playback": "private" }));
    world.ask("PATCH", "/api/v1/channels/studio", &world.ada, private).await;
    for path in ["", "/stream", "/broadcasts", "/moderators", "/keys", "/followers", "/blocks"] {
        let uri = format!("/api/v1/channels/studio{path}");
        assert_eq!(world.ask("GET", &uri, &world.eve, None).await.0, 404, "{path}");
    }
    for path in ["", "/stream", "/broadcasts"] {
        let uri = format!("/api/v1/channels/studio{path}");
        assert_eq!(world.ask("GET", &uri, &world.bob, None).await.0, 200, "{path}");
    }
    assert_eq!(world.ask("PUT", "/api/v1/channels/studio/follow", &world.eve, None).await.0, 404);
    assert_eq!(world.ask("DELETE", "/api/v1/channels/studio/follow", &world.eve, None).await.0, 404);
    let found = world.ask("GET", "/api/v1/channels?q=studio", &world.ada, None).await.1;
    assert_eq!(found["items"], json!([]));
}

#[tokio::test]
async fn search_finds_public_channels_live_ones_first_in_pages() {
    let world = World::new().await;
    for name in ["boat_one", "boat_two", "boat_three"] {
        world.make(name).await;
    }
    world.ask("PUT", "/api/v1/channels/boat_two/follow", &world.eve, None).await;
    world.ask("PATCH", "/api/v1/channels/studio", &world.ada, Some(json!({ "title": "Wooden boats" }))).await;
    world.live("boat_three");
    world.state.studio().learn_for_tests("boat_three").await;
    let find = async |query: &str| {
        let (status, page) = world.ask("GET", &format!("/api/v1/channels?{query}"), "", None).await;
        assert_eq!(status, 200, "{query}: {page}");
        let names: Vec<_> =
            page["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
        (names, page["next_cursor"].clone())
    };
    let (first, next) = find("q=BOAT&limit=2").await;
    assert_eq!(first, ["boat_three", "boat_two"]);
    let (second, end) = find(&format!("q=boat&limit=2&cursor={}", next.as_str().unwrap())).await;
    assert_eq!((second.len(), end), (2, Value::Null));
    assert!(second.contains(&json!("studio")), "{second:?}");
    assert_eq!(find("q=wood%20boa").await.0, ["studio"], "every word counts, by its beginning");
    assert_eq!(find("q=oat").await.0, Vec::<Value>::new());
    assert_eq!(find("q=%22%24ne%22*%20OR%20%28").await.0, Vec::<Value>::new(), "nothing is an operator");
    world.ask("PATCH", "/api/v1/channels/studio", &world.ada, Some(json!({ "playback": "unlisted" }))).await;
    assert_eq!(find("q=wooden").await.0, Vec::<Value>::new());
    let long = world.ask("GET", &format!("/api/v1/channels?q={}", "a".repeat(101)), "", None).await;
    assert_eq!(long.0, 400);
}

#[tokio::test]
async fn a_running_broadcast_counts_who_watches_right_now() {
    let world = World::new().await;
    world.live("studio");
    let broadcast = BroadcastId(uuid::Uuid::from_u128(1));
    let note = Note {
        broadcast,
        channel: "studio".parse().unwrap(),
        started_at: 1_000,
        seen_at: 1_000,
        ended_at: None,
        peak_viewers: 0,
    };
    world.state.studio().history.keep(&note).await.unwrap();
    let updated = StreamUpdated { broadcast, health: StreamHealth::default(), viewers: 3 };
    let updated = event("studio", EventBody::StreamUpdated(updated));
    world.state.directory.write().unwrap().apply(&updated);
    let listed = world.ask("GET", "/api/v1/channels/studio/broadcasts", "", None).await.1;
    assert_eq!(listed["items"][0]["peak_viewers"], 3, "{listed}");
}

#[tokio::test]
async fn followers_only_shows_the_broadcast_to_followers() {
    let world = World::new().await;
    world.live("studio");
    let edit = Some(json!({ "playback": "followers" }));
    world.ask("PATCH", "/api/v1/channels/studio", &world.ada, edit).await;
    let show = async |who: &str| world.ask("GET", "/api/v1/channels/studio", who, None).await.1;
    assert_eq!(show(&world.eve).await["stream"], Value::Null);
    assert_eq!(show("").await["stream"], Value::Null);
    assert_eq!(world.ask("GET", "/api/v1/channels/studio/broadcasts", &world.eve, None).await.0, 403);
    assert_eq!(world.ask("GET", "/api/v1/channels/studio/broadcasts", "", None).await.0, 401);
    assert_eq!(world.ask("PUT", "/api/v1/channels/studio/follow", &world.eve, None).await.0, 204);
    let seen = show(&world.eve).await;
    assert_eq!(
        (&seen["following"], &seen["followers"], &seen["stream"]["state"]),
        (&json!(true), &json!(1), &json!("live"))
    );
    assert_eq!(world.ask("GET", "/api/v1/channels/studio/broadcasts", &world.eve, None).await.0, 200);
    let mine = world.ask("GET", "/api/v1/me/follows", &world.eve, None).await.1;
    assert_eq!((&mine["items"][0]["channel"], &mine["items"][0]["live"]), (&json!("studio"), &json!(true)));
}

#[tokio::test]
async fn a_keys_secret_is_told_once_and_what_ends_is_told_to_ingest() {
    let mut world = World::new().await;
    let keys = "/api/v1/channels/studio/keys";
    let (status, made) = world.ask("POST", keys, &world.ada, Some(json!({ "name": "OBS" }))).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("live_") && secret.len() == 48, "256 bits in base64url");
    assert!(secret.ends_with(made["hint"].as_str().unwrap()));
    let address = std::net::IpAddr::from([192, 0, 2, 1]);
    let authority = Arc::clone(&world.state.studio().authority);
    assert_eq!(authority.authorise(&secret, address).await.unwrap().channel.as_str(), "studio");
    let listed = world.ask("GET", keys, &world.ada, None).await.1;
    assert!(!listed.to_string().contains(&secret), "the list tells no secrets");
    let rotate = format!("{keys}/{}/rotate", made["id"].as_str().unwrap());
    let (status, new) = world.ask("POST", &rotate, &world.ada, None).await;
    assert_eq!((status, &new["name"]), (201, &json!("OBS")), "{new}");
    assert!(matches!(world.order().await, EventBody::KeyRevoked(_)));
    assert!(authority.authorise(&secret, address).await.is_err());
    assert!(authority.authorise(new["secret"].as_str().unwrap(), address).await.is_ok());
    let uri = format!("{keys}/{}", new["id"].as_str().unwrap());
    assert_eq!(world.ask("DELETE", &uri, &world.ada, None).await.0, 204);
    let EventBody::KeyRevoked(revoked) = world.order().await else { panic!("another order") };
    assert_eq!(revoked.key.to_string(), new["id"].as_str().unwrap());
    assert!(authority.authorise(new["secret"].as_str().unwrap(), address).await.is_err());
}

#[tokio::test]
async fn stopping_orders_ingest_and_says_so_when_there_is_nothing_to_stop() {
    let mut world = World::new().await;
    let stop = "/api/v1/channels/studio/stream/stop";
    let idle = world.ask("POST", stop, &world.ada, None).await;
    assert_eq!((idle.0, &idle.1["type"]), (404, &json!("/problems/channel-not-live")));
    world.live("studio");
    for (who, by) in [(world.ada.clone(), StoppedBy::Owner), (world.root.clone(), StoppedBy::Site)] {
        assert_eq!(world.ask("POST", stop, &who, None).await.0, 202);
        let EventBody::StreamStop(stopped) = world.order().await else { panic!("another order") };
        assert_eq!(stopped.by, by);
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_field_or_its_limit() {
    let config =
        ChannelsConfig { max_per_person: 2, max_stream_keys: 1, max_moderators: 1, ..Default::default() };
    let world = World::with(config).await;
    let table = [
        ("POST", "/api/v1/channels", json!({ "name": "No Name" }), 422, "invalid-fields"),
        ("POST", "/api/v1/channels", json!({ "name": { "$ne": "" } }), 422, "bad-body"),
        ("POST", "/api/v1/channels", json!({ "name": "fine", "owner": "x" }), 422, "bad-body"),
        ("POST", "/api/v1/channels", json!({ "name": "studio" }), 409, "name-taken"),
        ("POST", "/api/v1/channels", json!({ "name": "bob" }), 409, "name-taken"),
        ("PATCH", "/api/v1/channels/studio", json!({ "language": "English" }), 422, "invalid-fields"),
        ("PATCH", "/api/v1/channels/studio", json!({ "followers": 9 }), 422, "bad-body"),
        ("PATCH", "/api/v1/channels/nowhere", json!({}), 404, "no-such-channel"),
        ("POST", "/api/v1/channels/studio/keys", json!({ "name": "" }), 422, "invalid-fields"),
        ("PUT", "/api/v1/channels/studio/moderators/nobody", json!({}), 404, "no-such-person"),
        ("PUT", "/api/v1/channels/studio/moderators/eve", json!({}), 409, "limit-reached"),
        ("GET", "/api/v1/channels?limit=0", json!({}), 400, "bad-parameter"),
    ];
    for (method, uri, body, status, kind) in table {
        let (found, problem) = world.ask(method, uri, &world.ada, Some(body)).await;
        assert_eq!(
            (found, &problem["type"]),
            (status, &json!(format!("/problems/{kind}"))),
            "{method} {uri}"
        );
    }
    world.make("garage").await;
    let third = world.ask("POST", "/api/v1/channels", &world.ada, Some(json!({ "name": "attic" }))).await;
    assert_eq!((third.0, &third.1["type"]), (409, &json!("/problems/limit-reached")));
    let key = async || {
        let name = Some(json!({ "name": "OBS" }));
        world.ask("POST", "/api/v1/channels/studio/keys", &world.ada, name).await.0
    };
    assert_eq!((key().await, key().await), (201, 409));
    let blocked = world.ask("PUT", "/api/v1/channels/studio/blocks/eve", &world.bob, None).await;
    assert_eq!(blocked.0, 204);
    let follow = world.ask("PUT", "/api/v1/channels/studio/follow", &world.eve, None).await;
    assert_eq!((follow.0, &follow.1["type"]), (403, &json!("/problems/blocked")));
}

#[tokio::test]
async fn a_picture_is_made_anew_served_for_ever_and_replaced() {
    let world = World::new().await;
    let put = |bytes: Vec<u8>| {
        let request = Request::put("/api/v1/me/avatar").header("authorization", &world.ada);
        world.send(request.header("content-type", "image/png").body(Body::from(bytes)).unwrap())
    };
    let mut png = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(600, 400).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let (status, first) = put(png.clone()).await;
    assert_eq!(status, 200, "{first}");
    let picture = async |uri: &Value| {
        let request = Request::get(uri.as_str().unwrap()).body(Body::empty()).unwrap();
        let response = crate::router(world.state.clone()).oneshot(request).await.unwrap();
        (response.status().as_u16(), response.headers().get(header::CACHE_CONTROL).cloned())
    };
    let served = picture(&first["avatar_url"]).await;
    assert_eq!(served.0, 200);
    assert!(served.1.unwrap().to_str().unwrap().contains("immutable"));
    let (_, second) = put(png).await;
    assert_ne!(first["avatar_url"], second["avatar_url"]);
    assert_eq!(picture(&first["avatar_url"]).await.0, 404, "the old one is gone");
    let shown = world.ask("GET", "/api/v1/users/ada", "", None).await.1;
    assert_eq!(shown["avatar_url"], second["avatar_url"]);
    let (status, problem) = put(b"<svg/>".to_vec()).await;
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/bad-picture")));
    let (status, _) = put(vec![0; crate::picture::PICTURE_MAX_BYTES + 1]).await;
    assert_eq!(status, 413);
    for bad in ["/avatars/..%2f..%2fmillrace.sqlite3", "/avatars/x"] {
        assert_eq!(world.ask("GET", bad, "", None).await.0, 404, "{bad}");
    }
}

#[tokio::test]
async fn pictures_that_cannot_be_reached_cost_nothing_but_the_pictures() {
    let world = World::new().await;
    let mut png = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(6, 4).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let put = || {
        let request = Request::put("/api/v1/me/avatar").header("authorization", &world.ada);
        let body = Body::from(png.get_ref().clone());
        world.send(request.header("content-type", "image/png").body(body).unwrap())
    };
    let (_, before) = put().await;
    let uri = before["avatar_url"].as_str().unwrap();
    let (folder, aside) = (world.pictures().join("avatars"), world.pictures().join("aside"));
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "in the way").unwrap();

    let response = crate::router(world.state.clone())
        .oneshot(Request::get(uri).body(Body::empty()).unwrap())
        .await
        .unwrap();
    let header = |name| response.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!((header(header::RETRY_AFTER), header(header::CACHE_CONTROL)), ("30", "no-store"));
    let (status, problem) = put().await;
    assert_eq!((status, &problem["type"]), (503, &json!("/problems/pictures-unavailable")), "{problem}");
    let (status, shown) = world.ask("GET", "/api/v1/users/ada", "", None).await;
    assert_eq!((status, &shown["avatar_url"]), (200, &before["avatar_url"]), "she keeps the one she had");

    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    assert_eq!(world.ask("GET", uri, "", None).await.0, 200);
    assert_eq!(put().await.0, 200);
}
