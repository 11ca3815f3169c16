//! Rooms by REST beside the table of who may do what: what is asked in several ways, and what goes with an account.

use millrace_core::chat::{Author, ChatMessage, HoldReason, MessageKind};
use millrace_core::event::EventBody;
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

/// A message of somebody.
async fn text_of(world: &World, number: u128, name: &str, text: &str) -> ChatMessage {
    let author = Author {
        id: id_of(world, name).await,
        name: name.parse().unwrap(),
        display_name: name.to_owned(),
        badges: Vec::new(),
    };
    ChatMessage {
        id: MessageId(uuid::Uuid::from_u128(number)),
        at: "2026-11-21T20:00:00Z".parse().unwrap(),
        kind: MessageKind::Text,
        author: Some(author),
        text: text.to_owned(),
        nonce: Some(number.to_string()),
        reply_to: None,
        mentions: Vec::new(),
        event: None,
        news: None,
    }
}

/// Somebody said something in `studio`.
async fn said(world: &World, number: u128, name: &str, text: &str) -> String {
    let studio = world.state.store().find_one::<Channel>("name", "studio").await.unwrap().unwrap();
    let channel: ChannelId = studio.id;
    let message = text_of(world, number, name, text).await;
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
async fn who_is_banned_from_all_chats_is_listed_told_of_and_forgiven() {
    let world = World::new().await;
    let mut heard = world.chat();
    let reason = || Some(json!({ "reason": "  spam \n and more" }));
    let studio = "studio".parse().unwrap();
    let eve = id_of(&world, "eve").await;
    for (path, who, owner) in
        [("/api/v1/admin/chat/bans", &world.root, false), ("/api/v1/me/chat/bans", &world.ada, true)]
    {
        assert_eq!(world.ask("PUT", &format!("{path}/eve"), who, reason()).await.0, 204);
        let event = heard.next().await.unwrap();
        let EventBody::UserBarred(barred) = &event.body else { panic!("{event:?}") };
        assert_eq!((barred.owner.is_some(), barred.reason.as_str()), (owner, "spam and more"));
        let listed = world.ask("GET", path, who, None).await.1;
        assert_eq!(
            (&listed["items"][0]["name"], &listed["items"][0]["reason"]),
            (&json!("eve"), &json!("spam and more"))
        );
        let standing = crate::chat::standing(&world.state, &studio, eve).await.unwrap();
        assert_eq!((standing.site_ban.is_some(), standing.owner_ban.is_some()), (!owner, owner));
        let export = world.ask("GET", "/api/v1/me/export", &world.eve, None).await.1;
        assert_eq!(export["chat"]["banned_from_all"][0]["where"], if owner { "ada" } else { "site" });
        assert_eq!(world.ask("DELETE", &format!("{path}/eve"), who, None).await.0, 204);
        assert!(matches!(heard.next().await.unwrap().body, EventBody::UserUnbarred(_)));
        assert_eq!(world.ask("GET", path, who, None).await.1["items"], json!([]));
        // Nobody does it to an admin, and with a sermon.
        assert_eq!(world.ask("PUT", &format!("{path}/root"), who, reason()).await.0, 403);
        let long = Some(json!({ "reason": "x".repeat(201) }));
        assert_eq!(world.ask("PUT", &format!("{path}/eve"), who, long).await.0, 422);
    }
    let audit = world.ask("GET", "/api/v1/admin/audit", &world.root, None).await.1;
    assert_eq!(audit["items"][0]["action"], "chat.pardon_everywhere", "{audit}");
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

const HELD: &str = "/api/v1/channels/studio/chat/held";

/// Something of eve's waits.
async fn waits(world: &World, number: u128, text: &str) -> String {
    let studio = world.state.store().find_one::<Channel>("name", "studio").await.unwrap().unwrap().value.id;
    let message = text_of(world, number, "eve", text).await;
    let rooms = Rooms::new(world.state.store().clone());
    rooms.hold(studio, &message, HoldReason::Link, world.state.now_ms()).await.unwrap();
    message.id.to_string()
}

#[tokio::test]
async fn what_waits_is_listed_and_the_first_who_decides_is_right() {
    let world = World::new().await;
    let (first, second) = (waits(&world, 1, "see a.example").await, waits(&world, 2, "see b.example").await);
    let listed = world.ask("GET", &format!("{HELD}?limit=1"), &world.bob, None).await.1;
    let line = &listed["items"][0];
    assert_eq!((&line["message"]["id"], &line["why"]), (&json!(first), &json!("link")), "{listed}");
    let next = format!("{HELD}?limit=1&cursor={}", listed["next_cursor"].as_str().unwrap());
    let listed = world.ask("GET", &next, &world.bob, None).await.1;
    assert_eq!(listed["items"][0]["message"]["text"], "see b.example");
    let decide = async |id: &str, who: &str, decision: &str| {
        world.ask("PUT", &format!("{HELD}/{id}"), who, Some(json!({ "decision": decision }))).await
    };
    assert_eq!(decide(&first, &world.bob, "allow").await.0, 204);
    assert_eq!(decide(&first, &world.bob, "allow").await.0, 204, "the same again");
    let (status, problem) = decide(&first, &world.ada, "deny").await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/already-decided")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("bob let it through"), "{problem}");
    assert_eq!(decide("x", &world.ada, "deny").await.0, 404);
    assert_eq!(decide(&second, &world.ada, "perhaps").await.0, 422);
    let export = world.ask("GET", "/api/v1/me/export", &world.eve, None).await.1;
    let held: Vec<_> =
        export["chat"]["held"].as_array().unwrap().iter().map(|one| one["decision"].clone()).collect();
    assert!(held.contains(&json!("allowed")) && held.contains(&Value::Null), "{held:?}");
    // Whoever may say nothing more waits for nothing any more.
    let path = "/api/v1/channels/studio/chat/sanctions/eve";
    assert_eq!(world.ask("PUT", path, &world.bob, Some(json!({}))).await.0, 204);
    let listed = world.ask("GET", HELD, &world.bob, None).await.1;
    assert_eq!(listed["items"], json!([]));
    assert!(decide(&second, &world.ada, "allow").await.1["detail"].as_str().unwrap().contains("bob did not"));
}

const POLLS: &str = "/api/v1/channels/studio/chat/polls";

#[tokio::test]
async fn people_vote_once_and_everybody_reads_the_same_result() {
    let world = World::new().await;
    let new = |question: &str, answers: &[&str], seconds: u32| {
        Some(json!({ "question": question, "answers": answers, "seconds": seconds }))
    };
    for (body, pointer) in [
        (new(" ", &["a", "b"], 60), "/question"),
        (new("?", &["a"], 60), "/answers"),
        (new("?", &["a", " A "], 60), "/answers"),
        (new("?", &["a", ""], 60), "/answers/1"),
        (new("?", &["1", "2", "3", "4", "5", "6", "7"], 60), "/answers"),
        (new("?", &["a", "b"], 9), "/seconds"),
        (new("a\u{0}b", &["a", "b"], 60), "/question"),
    ] {
        let (status, problem) = world.ask("POST", POLLS, &world.bob, body).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{problem}");
    }
    let (status, poll) = world.ask("POST", POLLS, &world.bob, new(" Which? ", &["this", "that"], 60)).await;
    assert_eq!((status, &poll["question"], &poll["open"]), (201, &json!("Which?"), &json!(true)), "{poll}");
    let again = world.ask("POST", POLLS, &world.ada, new("?", &["a", "b"], 60)).await;
    assert_eq!((again.0, &again.1["type"]), (409, &json!("/problems/poll-runs")));
    let this = format!("{POLLS}/{}", poll["id"].as_str().unwrap());
    let vote = async |who: &str, answer: u32| {
        world.ask("PUT", &format!("{this}/vote"), who, Some(json!({ "answer": answer }))).await
    };
    for (who, answer) in [(&world.eve, 1), (&world.eve, 0), (&world.bob, 0), (&world.ada, 1)] {
        assert_eq!(vote(who, answer).await.0, 204);
    }
    assert_eq!(vote("", 0).await.0, 401);
    assert_eq!(vote(&world.eve, 2).await.1["errors"][0]["pointer"], "/answer");
    let mine = world.ask("GET", "/api/v1/channels/studio/chat/poll", &world.eve, None).await.1;
    assert_eq!((&mine["voted"], &mine["poll"]["open"]), (&json!(0), &json!(true)), "{mine}");
    let export = world.ask("GET", "/api/v1/me/export", &world.eve, None).await.1;
    assert_eq!(export["chat"]["votes"][0]["answer"], 0);
    let path = "/api/v1/channels/studio/chat/sanctions/eve";
    assert_eq!(world.ask("PUT", path, &world.bob, Some(json!({}))).await.0, 204);
    assert_eq!(vote(&world.eve, 1).await.0, 403, "banned");

    let close = async |who: &str| world.ask("POST", &format!("{this}/close"), who, None).await;
    assert_eq!(close(&world.eve).await.0, 403);
    let (status, closed) = close(&world.bob).await;
    let votes = json!([{ "text": "this", "votes": 2 }, { "text": "that", "votes": 1 }]);
    assert_eq!((status, &closed["open"], &closed["answers"]), (200, &json!(false), &votes), "{closed}");
    assert_eq!(close(&world.bob).await.1["answers"], votes, "harmless");
    let late = vote(&world.ada, 0).await;
    assert_eq!((late.0, &late.1["type"]), (409, &json!("/problems/poll-closed")));
    let shown = world.ask("GET", "/api/v1/channels/studio/chat/poll", "", None).await.1;
    assert_eq!((&shown["poll"]["answers"], &shown["voted"]), (&votes, &Value::Null));
    let next = world.ask("POST", POLLS, &world.ada, new("?", &["a", "b"], 60)).await.0;
    assert_eq!(next, 201, "one after the other");
    assert_eq!(vote(&world.ada, 0).await.0, 404, "in the one before");
}

#[tokio::test]
async fn the_owner_says_who_subscribes_and_until_when() {
    const SUBSCRIBERS: &str = "/api/v1/channels/studio/subscribers";
    let world = World::new().await;
    let eve = format!("{SUBSCRIBERS}/eve");
    let put =
        async |who: &str, until: Value| world.ask("PUT", &eve, who, Some(json!({ "until": until }))).await;
    let later = "2199-01-01T00:00:00Z";
    assert_eq!(put(&world.eve, Value::Null).await.0, 403, "not by oneself");
    assert_eq!(put(&world.bob, Value::Null).await.0, 403, "not by moderators");
    let (status, problem) = put(&world.ada, json!("2020-01-01T00:00:00Z")).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/until")), "{problem}");
    assert_eq!(put(&world.ada, json!("soon")).await.0, 422);
    assert_eq!(put(&world.ada, json!(later)).await.0, 204);
    for who in [&world.eve, &world.bob, &world.ada] {
        let (status, shown) = world.ask("GET", &eve, who, None).await;
        assert_eq!((status, &shown["name"], &shown["until"]), (200, &json!("eve"), &json!(later)), "{shown}");
    }
    let others = world.ask("GET", &format!("{SUBSCRIBERS}/bob"), &world.eve, None).await.0;
    assert_eq!(others, 403, "who else subscribes is the channel's business");
    assert_eq!(put(&world.ada, Value::Null).await.0, 204);
    let listed = world.ask("GET", SUBSCRIBERS, &world.bob, None).await.1;
    let items = listed["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["until"]), (1, &Value::Null), "{listed}");
    let export = world.ask("GET", "/api/v1/me/export", &world.eve, None).await.1;
    assert_eq!(export["chat"]["subscriptions"][0]["channel"], "studio");
    for _ in 0..2 {
        assert_eq!(world.ask("DELETE", &eve, &world.ada, None).await.0, 204);
    }
    let (status, problem) = world.ask("GET", &eve, &world.ada, None).await;
    assert_eq!((status, &problem["type"]), (404, &json!("/problems/no-such-subscriber")));
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
