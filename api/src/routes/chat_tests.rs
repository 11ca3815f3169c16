//! Rooms by REST beside the table of who may do what: what is asked in several ways, and what goes with an account.

use millrace_core::chat::{Author, ChatMessage, MessageKind};
use millrace_core::ids::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::accounts::{Channel, User};
use crate::channels::ChannelsConfig;
use crate::chat::Rooms;
use crate::routes::testing::World;

const MESSAGES: &str = "/api/v1/channels/studio/chat/messages";

async fn id_of(world: &World, name: &str) -> UserId {
    world.state.store().find_one::<User>("name", name).await.unwrap().unwrap().value.id
}

/// Somebody said something in `studio`.
async fn said(world: &World, number: u128, name: &str, text: &str) -> String {
    let studio = world.state.store().find_one::<Channel>("name", "studio").await.unwrap().unwrap();
    let channel: ChannelId = studio.id;
    let author = Author {
        id: id_of(world, name).await,
        name: name.parse().unwrap(),
        display_name: name.to_owned(),
        badges: Vec::new(),
    };
    let message = ChatMessage {
        id: MessageId(uuid::Uuid::from_u128(number)),
        at: "2026-11-21T20:00:00Z".parse().unwrap(),
        kind: MessageKind::Text,
        author: Some(author),
        text: text.to_owned(),
        nonce: Some(number.to_string()),
        reply_to: None,
        mentions: Vec::new(),
        event: None,
    };
    Rooms::new(world.state.store().clone()).keep_many(channel, &[&message]).await.unwrap();
    message.id.to_string()
}

fn texts(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn who_moderates_looks_for_messages_and_nobody_else() {
    let world = World::new().await;
    said(&world, 1, "eve", "spoiler: the boat sinks").await;
    said(&world, 2, "bob", "no spoilers").await;
    for query in ["q=spoil", "author=eve", "author=nobody_here"] {
        for who in ["", &world.eve] {
            let (status, answer) = world.ask("GET", &format!("{MESSAGES}?{query}"), who, None).await;
            assert_eq!(status, 403, "{query}: {answer}");
        }
    }
    for who in [&world.bob, &world.ada, &world.root] {
        let found = world.ask("GET", &format!("{MESSAGES}?q=spoil"), who, None).await.1;
        assert_eq!(texts(&found), ["no spoilers", "spoiler: the boat sinks"]);
        let found = world.ask("GET", &format!("{MESSAGES}?q=spoil&author=eve"), who, None).await.1;
        assert_eq!((texts(&found), &found["next_cursor"]), (vec!["spoiler: the boat sinks"], &Value::Null));
    }
    let first = world.ask("GET", &format!("{MESSAGES}?q=spoil&limit=1"), &world.bob, None).await.1;
    let next = format!("{MESSAGES}?q=spoil&limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = world.ask("GET", &next, &world.bob, None).await.1;
    assert_eq!(texts(&second), ["spoiler: the boat sinks"]);
    for nobody in ["author=", "author=%20eve", "author=Eve!", "author=x"] {
        for who in [world.bob.as_str(), ""] {
            let (status, _) = world.ask("GET", &format!("{MESSAGES}?{nobody}"), who, None).await;
            assert_eq!(status, 400, "{nobody}");
        }
    }
    let unknown = world.ask("GET", &format!("{MESSAGES}?author=nobody_here"), &world.bob, None).await;
    assert_eq!((unknown.0, &unknown.1["type"]), (404, &json!("/problems/no-such-person")));
    let long = world.ask("GET", &format!("{MESSAGES}?q={}", "a".repeat(101)), &world.bob, None).await;
    assert_eq!(long.0, 400, "{}", long.1);
}

#[tokio::test]
async fn whoever_said_something_takes_it_away_and_finds_it_in_the_export() {
    let world = World::new().await;
    let hers = said(&world, 1, "eve", "oops").await;
    let his = said(&world, 2, "bob", "hello").await;
    let delete =
        async |id: &str, who: &str| world.ask("DELETE", &format!("{MESSAGES}/{id}"), who, None).await.0;
    assert_eq!(delete(&his, &world.eve).await, 403);
    assert_eq!(delete(&hers, &world.eve).await, 204);
    let export = world.ask("GET", "/api/v1/me/export", &world.eve, None).await.1;
    let chat = &export["chat"];
    assert_eq!(
        (
            &chat["messages"][0]["text"],
            &chat["messages"][0]["channel"],
            chat["messages"].as_array().unwrap().len()
        ),
        (&json!("oops"), &json!("studio"), 1)
    );
    let banned = Some(json!({ "reason": "spam" }));
    let path = "/api/v1/channels/studio/chat/sanctions/eve";
    assert_eq!(world.ask("PUT", path, &world.bob, banned).await.0, 204);
    let export = world.ask("GET", "/api/v1/me/export", &world.eve, None).await.1;
    assert_eq!(export["chat"]["sanctions"][0]["reason"], "spam");
}

#[tokio::test]
async fn a_room_says_what_can_be_done_about_a_ban() {
    let world = World::new().await;
    let path = "/api/v1/channels/studio/chat";
    let edit =
        async |text: String| world.ask("PATCH", path, &world.bob, Some(json!({ "appeal": text }))).await;
    assert_eq!(edit("Write to ada.".into()).await.1["appeal"], "Write to ada.");
    let (status, problem) = edit("x".repeat(301)).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/appeal")));
}

/// A request with a picture.
async fn send(world: &World, method: &str, path: &str, who: &str, body: Vec<u8>) -> (u16, Value) {
    let request = axum::http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "here")
        .header("authorization", who)
        .header("content-type", "image/png");
    world.send(request.body(axum::body::Body::from(body)).unwrap()).await
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::DynamicImage::new_rgb8(width, height);
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn pictures(world: &World) -> usize {
    std::fs::read_dir(world.pictures().join("emotes")).map_or(0, Iterator::count)
}

const EMOTES: &str = "/api/v1/channels/studio/chat/emotes";

#[tokio::test]
async fn a_channel_and_the_site_have_emotes_of_their_own_until_they_are_taken_away() {
    let limits = ChannelsConfig { max_emotes: 1, max_emote_kib: 8, ..ChannelsConfig::default() };
    let world = World::with(limits).await;
    let (status, views) = send(&world, "PUT", &format!("{EMOTES}/Boat"), &world.ada, png(300, 200)).await;
    assert_eq!((status, &views[0]["name"], &views[0]["animated"]), (200, &json!("Boat"), &json!(false)));
    assert_eq!(send(&world, "PUT", "/api/v1/admin/emotes/oak", &world.root, png(9, 9)).await.0, 200);
    let listed = world.ask("GET", EMOTES, "", None).await.1;
    assert_eq!((&listed["channel"], &listed["site"][0]["name"]), (&views, &json!("oak")));
    // Another picture has another address, and the one before is gone.
    let again = send(&world, "PUT", &format!("{EMOTES}/Boat"), &world.ada, png(20, 20)).await.1;
    assert_ne!(again[0]["url"], views[0]["url"]);
    assert_eq!(world.ask("GET", views[0]["url"].as_str().unwrap(), "", None).await.0, 404);
    assert_eq!(world.ask("GET", again[0]["url"].as_str().unwrap(), "", None).await.0, 200);
    for (name, body, expected) in [
        ("Elm", png(9, 9), (409, "/problems/limit-reached")),
        ("Boat", b"<svg/>".to_vec(), (422, "/problems/bad-picture")),
        ("Boat", vec![0; 8 * 1024 + 1], (413, "/problems/too-large")),
        ("a", png(9, 9), (404, "/problems/no-such-emote")),
    ] {
        let (status, problem) = send(&world, "PUT", &format!("{EMOTES}/{name}"), &world.ada, body).await;
        assert_eq!((status, problem["type"].as_str().unwrap()), expected, "{name}: {problem}");
    }
    assert_eq!(pictures(&world), 2, "what is refused leaves no picture");
    assert_eq!(world.ask("DELETE", "/api/v1/admin/emotes/oak", &world.root, None).await.0, 204);
    let gone = world.ask("DELETE", "/api/v1/channels/studio", &world.ada, None).await.0;
    assert_eq!((gone, pictures(&world)), (204, 0), "a channel takes its emotes along");
}

#[tokio::test]
async fn who_has_the_list_of_emotes_gets_it_again_only_when_it_is_another() {
    let world = World::new().await;
    send(&world, "PUT", &format!("{EMOTES}/Boat"), &world.ada, png(9, 9)).await;
    let list = async |tag: Option<&str>| {
        let mut request = axum::http::Request::builder().uri(EMOTES).header("host", "here");
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = crate::router(world.state.clone()).oneshot(request).await.unwrap();
        (response.status().as_u16(), response.headers()["etag"].to_str().unwrap().to_owned())
    };
    let (status, tag) = list(None).await;
    assert_eq!((status, list(Some(&tag)).await.0), (200, 304));
    send(&world, "PUT", "/api/v1/admin/emotes/oak", &world.root, png(9, 9)).await;
    let (status, other) = list(Some(&tag)).await;
    assert_eq!(status, 200);
    assert_ne!(tag, other);
}
