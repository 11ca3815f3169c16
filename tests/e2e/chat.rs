//! Chat by its WebSocket: what is said is heard by everybody, once, in order, also by who was away and after a crash.

use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt;
use millrace_api::accounts::COLLECTIONS;
use millrace_store::{Location, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::browser::looped;
use crate::chatter::{Chat, Person, join, texts};
use crate::publisher::Ffmpeg;
use crate::server::Server;
use crate::topology::{self, Shared};
use crate::wait::until;

const SOON: Duration = Duration::from_secs(20);

/// A site with people: `people[0]` has the channel `studio`.
pub(crate) struct Site {
    pub(crate) server: Server,
    people: Vec<Person>,
}

impl Site {
    pub(crate) async fn of(names: &[&str], settings: &[(&str, &str)]) -> Self {
        let data = Arc::new(TempDir::new().unwrap());
        let location = match topology::is_split() {
            true => Location::MongoDb(Shared::of(data.path()).await.store),
            false => Location::Sqlite,
        };
        let store = Store::new(millrace_store::open(&location, data.path()).await.unwrap(), COLLECTIONS)
            .await
            .unwrap();
        let mut people = Vec::new();
        for (number, name) in (1..).zip(names) {
            people.push(join(&store, number, name).await);
        }
        drop(store);
        let server = Server::start_in(data, settings).await;
        let site = Self { server, people };
        let (status, answer) = site.ask(0, "POST", "/channels", Some(json!({ "name": "studio" }))).await;
        assert_eq!(status, 201, "{answer}");
        site
    }

    /// The API token of somebody.
    pub(crate) fn token(&self, who: usize) -> &str {
        self.people[who].token.reveal()
    }

    pub(crate) async fn ask(
        &self,
        who: usize,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let url = self.server.url(&format!("/api/v1{path}"));
        let client = crate::http::client().pool_max_idle_per_host(0).build().unwrap();
        let request =
            client.request(method.parse().unwrap(), url).bearer_auth(self.people[who].token.reveal());
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Somebody in the room, who has said hello; nobody: who only reads.
    pub(crate) async fn enter(&self, who: Option<usize>, resume: Option<&str>) -> (Chat, Value) {
        let mut chat = self.connect(who, "studio").await.unwrap();
        let mut hello = json!({ "type": "hello" });
        if let Some(resume) = resume {
            hello["resume"] = resume.into();
        }
        chat.say(&hello).await;
        let welcome = chat.next("welcome").await;
        (chat, welcome)
    }

    async fn connect(&self, who: Option<usize>, channel: &str) -> Result<Chat, Error> {
        let token = who.map(|who| &self.people[who].token);
        Chat::connect(&self.server.url(&format!("/chat/v1/{channel}")), token).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_talk_and_who_comes_later_reads_what_was_said() {
    let site = Site::of(&["ada", "ben"], &[]).await;
    let (mut ada, welcome) = site.enter(Some(0), None).await;
    assert_eq!(welcome["you"]["name"], site.people[0].name.as_str());
    assert_eq!(welcome["you"]["badges"], json!(["broadcaster", "bot"]));
    assert_eq!(welcome["you"]["may_send"], true);
    assert_eq!(welcome["room"]["channel"], "studio");
    assert_eq!(welcome["messages"], json!([]));
    let (mut ben, _) = site.enter(Some(1), None).await;
    let (mut reader, welcome) = site.enter(None, None).await;
    assert_eq!(welcome["you"], Value::Null);

    let id = ada.said("n1", "  hello\u{202e}   @ben, see https://a.example ").await;
    let frame = ben.next("messages").await;
    let message = &frame["messages"][0];
    assert_eq!(message["text"], "hello @ben, see https://a.example");
    assert_eq!((message["id"].as_str(), &message["mentions"]), (Some(id.as_str()), &json!(["ben"])));
    assert_eq!(message["author"]["display_name"], "ADA");
    assert_eq!(message["nonce"], "n1");
    assert_eq!(reader.hears(1).await.len(), 1);

    ben.say(&json!({ "type": "send", "nonce": "n2", "text": "/me waves", "reply_to": id })).await;
    let heard = loop {
        let frame = reader.next("messages").await;
        if frame["messages"][0]["nonce"] == "n2" {
            break frame["messages"][0].clone();
        }
    };
    assert_eq!((heard["kind"].as_str(), heard["reply_to"]["name"].as_str()), (Some("action"), Some("ada")));
    // The same nonce is the same message.
    let again = ada.said("n1", "something else").await;
    assert_eq!(again, id);
    // Nobody speaks without a name.
    let refused = reader.refused("n3", "hi").await;
    assert_eq!((refused["code"].as_str(), refused["nonce"].as_str()), (Some("not_signed_in"), Some("n3")));

    let (_late, welcome) = site.enter(None, None).await;
    assert_eq!(texts(&welcome), ["hello @ben, see https://a.example", "waves"]);
    assert_eq!(welcome["resumed"], false);
    let (_back, welcome) = site.enter(Some(0), Some(&id)).await;
    assert_eq!((texts(&welcome), &welcome["resumed"]), (vec!["waves".to_owned()], &json!(true)));
    site.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_and_nobody_reads_it_twice() {
    let site = Site::of(
        &["ada"],
        &[("MILLRACE_CHAT__MESSAGES_PER_30S", "1000"), ("MILLRACE_CHAT__FRAMES_PER_10S", "10000")],
    )
    .await;
    let (mut reader, _) = site.enter(None, None).await;
    let (mut ada, _) = site.enter(Some(0), None).await;
    let mut acknowledged = Vec::new();
    for number in 0..60 {
        acknowledged.push(ada.said(&format!("n{number}"), &format!("message {number}")).await);
    }
    let mut read: Vec<String> = Vec::new();
    while read.len() < 20 {
        let frame = reader.next("messages").await;
        read.extend(
            frame["messages"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()),
        );
    }
    // Not answered: perhaps said, perhaps not.
    ada.send("unsure", "are you there?").await;
    let site = Site { server: site.server.restart_after_kill(&[]).await, people: site.people };
    let mut site = site;
    let last = read.last().unwrap().clone();
    let (_reader, welcome) = site.enter(None, Some(&last)).await;
    assert_eq!(welcome["resumed"], true, "{welcome}");
    read.extend(welcome["messages"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()));
    assert_eq!(read[..60], acknowledged[..], "each once, in order");
    let (mut ada, _) = site.enter(Some(0), None).await;
    let unsure = ada.said("unsure", "are you there?").await;
    let (_late, welcome) = site.enter(None, None).await;
    let ids: Vec<_> =
        welcome["messages"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    acknowledged.push(unsure);
    assert_eq!(ids, acknowledged, "and what was sent again is there once");
    site.server.assert_calm();
    site.people.clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_the_protocol_is_told_and_nobody_else_notices() {
    let site = Site::of(
        &["ada"],
        &[("MILLRACE_CHAT__HELLO_TIMEOUT", "1s"), ("MILLRACE_CHAT__FRAMES_PER_10S", "20")],
    )
    .await;
    let (mut ada, _) = site.enter(Some(0), None).await;
    let closed =
        |code: u16| move |result: Result<Value, (u16, String)>| assert_eq!(result.unwrap_err().0, code);
    // No hello.
    let mut silent = site.connect(None, "studio").await.unwrap();
    closed(4010)(silent.frame().await);
    // No JSON, a binary frame, too long, a second hello.
    for (bad, code) in [
        (Message::text("nonsense"), 4000),
        (Message::binary(vec![1, 2, 3]), 4000),
        (Message::text("x".repeat(9_000)), 1009),
        (Message::text(r#"{"type":"hello"}"#), 4000),
    ] {
        let (mut chat, _) = site.enter(None, None).await;
        chat.0.send(bad).await.unwrap();
        assert_eq!(chat.closed().await, code);
    }
    // No such channel.
    for channel in ["nobody", "Not-A-Name"] {
        let mut chat = site.connect(None, channel).await.unwrap();
        chat.say(&json!({ "type": "hello" })).await;
        closed(4004)(chat.frame().await);
    }
    // Too much.
    let (mut chat, _) = site.enter(None, None).await;
    for _ in 0..25 {
        let _ = chat.0.send(Message::text(r#"{"type":"ping"}"#)).await;
    }
    loop {
        match chat.frame().await {
            Ok(frame) => assert_eq!(frame["type"], "pong"),
            Err((code, _)) => {
                assert_eq!(code, 4029);
                break;
            }
        }
    }
    // A page of another site.
    let url = site.server.url("/chat/v1/studio").replacen("http", "ws", 1);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    request.headers_mut().insert("sec-websocket-protocol", "millrace.chat.v1".parse().unwrap());
    match tokio_tungstenite::connect_async(request).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status().as_u16(), 403),
        other => panic!("{other:?}"),
    }
    // By plain HTTP.
    let plain = crate::http::get(site.server.url("/chat/v1/studio")).await.unwrap();
    assert_eq!(plain.status().as_u16(), 426);
    ada.said("still", "here").await;
    until("who left is forgotten", SOON, || async {
        let (_chat, welcome) = site.enter(None, None).await;
        (welcome["chatters"]["readers"].as_u64()? <= 2).then_some(())
    })
    .await;
    site.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn moderators_keep_order_and_everybody_sees_it_at_once() {
    const ADA: usize = 0;
    const BEN: usize = 1;
    const EVE: usize = 2;
    let site = Site::of(&["ada", "ben", "eve"], &[]).await;
    let ask = async |who, method: &str, path: &str, body| {
        let (status, answer) = site.ask(who, method, &format!("/channels/studio/chat{path}"), body).await;
        (status, answer)
    };
    let done = async |method: &str, path: &str, body| {
        assert_eq!(ask(ADA, method, path, body).await.0, 204, "{path}")
    };
    let (mut ada, _) = site.enter(Some(ADA), None).await;
    let (mut eve, _) = site.enter(Some(EVE), None).await;
    let (mut reader, _) = site.enter(None, None).await;
    let bad = eve.said("n1", "buy pills").await;
    let worse = eve.said("n2", "buy more pills").await;
    ada.hears(2).await;

    // Who does not moderate keeps no order, but takes away what is their own.
    assert_eq!(ask(BEN, "PUT", "/sanctions/eve", Some(json!({}))).await.0, 403);
    until("the history has it", SOON, || async {
        (ask(EVE, "DELETE", &format!("/messages/{bad}"), None).await.0 == 204).then_some(())
    })
    .await;
    assert_eq!(reader.next("removed").await["messages"], json!([bad]));
    assert_eq!(ask(BEN, "DELETE", &format!("/messages/{worse}"), None).await.0, 403);

    // A time-out takes away what was said, and says why and until when.
    let out = json!({ "seconds": 2, "reason": "no\nadvertising" });
    done("PUT", "/sanctions/eve", Some(out)).await;
    let told = eve.next("you").await;
    assert_eq!(told["you"]["why_not"]["code"], "timed_out");
    assert!(told["you"]["why_not"]["detail"].as_str().unwrap().contains("no advertising"), "{told}");
    assert!(reader.next("removed").await["author"].is_string());
    let refused = eve.refused("n3", "hey").await;
    let wait = refused["retry_after_ms"].as_u64().unwrap();
    assert!(refused["code"] == "timed_out" && (1..=2_000).contains(&wait), "{refused}");
    // That long, and no longer.
    tokio::time::sleep(Duration::from_millis(wait)).await;
    eve.said("n4", "sorry").await;

    // A ban holds for new connections, until it is lifted.
    done("PUT", "/sanctions/eve", Some(json!({ "reason": "again" }))).await;
    assert_eq!(eve.next("you").await["you"]["why_not"]["code"], "banned");
    let (mut again, welcome) = site.enter(Some(EVE), None).await;
    assert_eq!(welcome["you"]["may_send"], false);
    assert_eq!(again.refused("n5", "hey").await["code"], "banned");
    let (_, list) = ask(ADA, "GET", "/sanctions", None).await;
    assert_eq!((&list["items"][0]["name"], &list["items"][0]["until"]), (&json!("eve"), &Value::Null));
    done("DELETE", "/sanctions/eve", None).await;
    assert_eq!(again.next("you").await["you"]["may_send"], true);
    again.said("n6", "thank you").await;
    assert_eq!(ask(EVE, "PUT", "/sanctions/ada", Some(json!({}))).await.0, 403);

    // Rules are heard at once, and hold.
    let rules =
        json!({ "slow_mode_s": 60, "links": "trusted", "blocked_terms": ["pills"], "rules": "Be kind." });
    let (status, room) = ask(ADA, "PATCH", "", Some(rules)).await;
    assert_eq!((status, &room["blocked_terms"]), (200, &json!(["pills"])), "{room}");
    let heard = reader.next("room").await;
    assert_eq!((&heard["room"]["slow_mode_s"], &heard["room"]["rules"]), (&json!(60), &json!("Be kind.")));
    assert_eq!(heard["room"].get("blocked_terms"), None, "not for everybody");
    let (mut ben, _) = site.enter(Some(BEN), None).await;
    assert_eq!(ben.refused("b1", "see https://a.example").await["code"], "links_not_allowed");
    assert_eq!(ben.refused("b2", "PILLS!").await["code"], "blocked_term");
    ben.said("b3", "hello").await;
    assert_eq!(ben.refused("b4", "hello again").await["code"], "slow_mode");
    done("PUT", "/vips/ben", None).await;
    // The change of the rules is said to everybody too.
    while ben.next("you").await["you"]["badges"] != json!(["vip", "bot"]) {}
    ben.said("b5", "https://a.example").await;
    let (status, problem) = ask(ADA, "PATCH", "", Some(json!({ "slow_mode_s": 4_000 }))).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/slow_mode_s")));

    // What is on top, what was said, and a clean slate.
    let pinned = ada.said("a1", "Welcome, everybody").await;
    until("it can be pinned", SOON, || async {
        (ask(ADA, "PUT", "/pinned", Some(json!({ "message": pinned }))).await.0 == 204).then_some(())
    })
    .await;
    let (_, welcome) = site.enter(None, None).await;
    assert_eq!(welcome["room"]["pinned"]["text"], "Welcome, everybody");
    // Whoever was away is told what was taken away meanwhile.
    let (mut back, welcome) = site.enter(None, Some(&pinned)).await;
    assert_eq!(welcome["resumed"], true);
    let gone = back.next("removed").await["messages"].clone();
    assert!(
        gone.as_array().unwrap().contains(&json!(bad)) && gone.as_array().unwrap().contains(&json!(worse)),
        "{gone}"
    );
    let (_, page) = ask(BEN, "GET", "/messages?limit=2", None).await;
    assert_eq!(page["items"][0]["text"], "Welcome, everybody");
    assert!(page["next_cursor"].is_string());
    let second = page["items"][1]["id"].clone();
    let (_, older) = ask(BEN, "GET", &format!("/messages?limit=1&before={pinned}"), None).await;
    assert_eq!(older["items"][0]["id"], second);
    for bad in ["", "x"] {
        let (status, problem) = ask(BEN, "GET", &format!("/messages?before={bad}"), None).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!("before")));
    }
    let (_, next) =
        ask(BEN, "GET", &format!("/messages?limit=1&cursor={}", page["next_cursor"].as_str().unwrap()), None)
            .await;
    let (_, before) =
        ask(BEN, "GET", &format!("/messages?limit=1&before={}", second.as_str().unwrap()), None).await;
    assert_eq!(next, before);
    let (_, page) = ask(ADA, "GET", "/messages", None).await;
    let removed = page["items"].as_array().unwrap().iter().find(|line| line["id"] == worse.as_str()).unwrap();
    assert_eq!(removed["removed"], true, "who moderates sees what was taken away");
    done("DELETE", "/messages", None).await;
    loop {
        let frame = reader.next("removed").await;
        if frame["all"] == true {
            break;
        }
    }
    let (_, welcome) = site.enter(None, None).await;
    assert_eq!(welcome["messages"], json!([]));
    until("nothing is on top any more", SOON, || async {
        let (_, welcome) = site.enter(None, None).await;
        welcome["room"]["pinned"].is_null().then_some(())
    })
    .await;
    site.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_any_more_is_sent_away_and_a_stop_is_said_first() {
    let mut site = Site::of(&["ada", "ben"], &[]).await;
    let (mut ada, _) = site.enter(Some(0), None).await;
    let (mut ben, _) = site.enter(Some(1), None).await;
    let (mut reader, _) = site.enter(None, None).await;
    assert_eq!(site.ask(1, "PUT", "/channels/studio/follow", None).await.0, 204);
    let followers = json!({ "playback": "followers" });
    assert_eq!(site.ask(0, "PATCH", "/channels/studio", Some(followers)).await.0, 200);
    assert_eq!(reader.closed().await, 4003);
    ben.said("n1", "I follow").await;
    let mut stranger = site.connect(None, "studio").await.unwrap();
    stranger.say(&json!({ "type": "hello" })).await;
    assert_eq!(stranger.closed().await, 4003);
    assert_eq!(site.ask(0, "DELETE", "/channels/studio", None).await.0, 204);
    assert_eq!((ben.closed().await, ada.closed().await), (4004, 4004));

    assert_eq!(site.ask(0, "POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    let (mut reader, welcome) = site.enter(None, None).await;
    assert_eq!(welcome["messages"], json!([]), "the room of another channel");
    site.server.signal("TERM");
    assert!(reader.next("reconnect").await["after_ms"].as_u64().unwrap() <= 10);
    assert_eq!(reader.closed().await, 4012);
    assert!(site.server.exited(SOON).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_says_when_a_broadcast_begins_and_ends() {
    let fixture = looped().fixture().await;
    let site = Site::of(&["ada"], &[("MILLRACE_INGEST__RECONNECT_WINDOW", "0s")]).await;
    let (mut reader, _) = site.enter(None, None).await;
    let mut publisher = Ffmpeg::publish_for_ever(&fixture.path, &site.server.publish_url("studio"));
    let said = reader.next("messages").await["messages"][0].clone();
    assert_eq!((&said["kind"], &said["event"]), (&json!("system"), &json!("went_live")), "{said}");
    publisher.kill().await;
    let said = reader.next("messages").await["messages"][0].clone();
    assert_eq!(said["event"], "ended", "{said}");
    // Who does not want to hear it does not.
    let quiet = json!({ "system_messages": false });
    assert_eq!(site.ask(0, "PATCH", "/channels/studio/chat", Some(quiet)).await.0, 200);
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &site.server.publish_url("studio"));
    until("it is live", SOON, || async {
        (site.ask(0, "GET", "/streams/studio", None).await.0 == 200).then_some(())
    })
    .await;
    let (mut ada, _) = site.enter(Some(0), None).await;
    ada.said("n1", "only I say something").await;
    assert_eq!(reader.hears(1).await, ["only I say something"]);
    site.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_posts_with_a_token_and_is_told_why_not() {
    let site = Site::of(&["ada", "bot"], &[("MILLRACE_CHAT__FRAMES_PER_10S", "12")]).await;
    let (mut reader, _) = site.enter(None, None).await;
    let post = async |who: Option<usize>, channel: &str, body: &str| {
        let url = site.server.url(&format!("/chat/v1/{channel}/messages"));
        let mut request = crate::http::client().build().unwrap().post(url).body(body.to_owned());
        if let Some(who) = who {
            request = request.bearer_auth(site.people[who].token.reveal());
        }
        let answer = request.send().await.unwrap();
        let (status, retry) = (answer.status().as_u16(), answer.headers().get("retry-after").cloned());
        (status, retry, answer.json::<Value>().await.unwrap())
    };
    let (status, _, posted) = post(Some(1), "studio", r#"{"text":"hello @ada","nonce":"n1"}"#).await;
    assert_eq!((status, &posted["nonce"]), (201, &json!("n1")), "{posted}");
    let heard = &reader.next("messages").await["messages"][0];
    assert_eq!((&heard["id"], &heard["text"]), (&posted["id"], &json!("hello @ada")));
    assert_eq!(heard["author"]["badges"], json!(["bot"]));
    let (status, _, again) = post(Some(1), "studio", r#"{"text":"hello @ada","nonce":"n1"}"#).await;
    assert_eq!((status, &again["id"]), (201, &posted["id"]), "the same nonce is the same message");

    for (who, channel, body, status, kind, code) in [
        (None, "studio", r#"{"text":"hi"}"#, 401, "not-signed-in", ""),
        (Some(1), "nobody", r#"{"text":"hi"}"#, 404, "not-found", ""),
        (Some(1), "studio", r#"{"texts":"hi"}"#, 400, "malformed-body", ""),
        (Some(1), "studio", "\u{1}", 400, "malformed-body", ""),
        (Some(1), "studio", r#"{"text":"hi","nonce":"a b"}"#, 422, "chat-refused", "malformed"),
        (Some(1), "studio", r#"{"text":"  "}"#, 422, "chat-refused", "empty"),
    ] {
        let (got, _, problem) = post(who, channel, body).await;
        assert_eq!(
            (got, &problem["type"]),
            (status, &json!(format!("/problems/{kind}"))),
            "{body}: {problem}"
        );
        assert_eq!(problem["errors"][0]["pointer"].as_str().unwrap_or_default(), code, "{problem}");
    }
    let ban = Some(json!({ "reason": "spam" }));
    let (status, answer) = site.ask(0, "PUT", "/channels/studio/chat/sanctions/bot", ban).await;
    assert!(status < 300, "{answer}");
    let banned = until("the ban holds", SOON, || async {
        let (status, _, problem) = post(Some(1), "studio", r#"{"text":"hi"}"#).await;
        (status == 403).then_some(problem)
    })
    .await;
    assert_eq!(banned["errors"][0]["pointer"], "banned");
    let (retry, problem) = until("too much is too much, also of what is refused", SOON, || async {
        let (status, retry, problem) = post(Some(1), "studio", r#"{"text":"hi"}"#).await;
        (status == 429).then_some((retry, problem))
    })
    .await;
    assert!(retry.is_some(), "{problem}");
    site.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_for_subscribers_lets_speak_whom_the_owner_names() {
    let site = Site::of(&["ada", "ben"], &[]).await;
    let (mut ben, welcome) = site.enter(Some(1), None).await;
    assert_eq!(welcome["room"]["subscribers_only"], false);
    let rules = json!({ "subscribers_only": true });
    assert_eq!(site.ask(0, "PATCH", "/channels/studio/chat", Some(rules)).await.0, 200);
    assert_eq!(ben.next("room").await["room"]["subscribers_only"], true);
    let refused = ben.refused("b1", "hello").await;
    assert_eq!(refused["code"], "subscribers_only");
    assert!(refused["detail"].as_str().unwrap().contains("ask there"), "{refused}");
    const BEN: &str = "/channels/studio/subscribers/ben";
    let later = json!({ "until": "2199-01-01T00:00:00Z" });
    assert_eq!(site.ask(0, "PUT", BEN, Some(later)).await.0, 204);
    while ben.next("you").await["you"]["badges"] != json!(["subscriber", "bot"]) {}
    ben.said("b2", "hello").await;
    let (mut again, welcome) = site.enter(Some(1), None).await;
    assert_eq!(welcome["messages"][0]["author"]["badges"], json!(["subscriber", "bot"]));
    assert_eq!(welcome["you"]["badges"], json!(["subscriber", "bot"]), "also for who comes in later");
    assert_eq!(site.ask(0, "DELETE", BEN, None).await.0, 204);
    while again.next("you").await["you"]["badges"] != json!(["bot"]) {}
    assert_eq!(again.refused("b3", "but").await["code"], "subscribers_only");
    site.server.assert_calm();
}

/// Says something that waits for a moderator; its id.
async fn held(chat: &mut Chat, nonce: &str, text: &str) -> String {
    chat.send(nonce, text).await;
    let frame = chat.next("held").await;
    assert_eq!(frame["nonce"], nonce);
    frame["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_moderator_is_not_lost_and_is_said_when_one_allows_it() {
    const ROOM: &str = "/channels/studio/chat";
    let site = Site::of(&["ada", "ben", "cat", "bot"], &[]).await;
    let (status, _) = site.ask(0, "PUT", "/channels/studio/moderators/ben", None).await;
    assert_eq!(status, 204);
    let rules = json!({ "hold": "links_and_terms", "links": "trusted", "slow_mode_s": 60 });
    assert_eq!(site.ask(0, "PATCH", ROOM, Some(rules)).await.0, 200);
    let (mut cat, welcome) = site.enter(Some(2), None).await;
    assert_eq!(welcome["room"]["links"], "trusted");
    let (mut ben, _) = site.enter(Some(1), None).await;
    let first = held(&mut cat, "c1", "see https://a.example").await;
    let second = held(&mut cat, "c2", "see https://b.example").await;
    assert_eq!(
        held(&mut cat, "c1", "see https://a.example").await,
        first,
        "the same nonce is the same message"
    );
    let waiting = ben.next("queue").await["waiting"][0].clone();
    assert_eq!((&waiting["message"]["id"], &waiting["why"]), (&json!(first), &json!("link")));
    let url = site.server.url("/chat/v1/studio/messages");
    let posted = crate::http::client().build().unwrap().post(url).bearer_auth(site.token(3));
    let posted = posted.body(r#"{"text":"https://c.example","nonce":"p1"}"#).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 202);
    assert!(posted.json::<Value>().await.unwrap()["held"].is_string());

    // Whoever was told that it waits finds it again, whatever dies.
    let Site { server, people } = site;
    let site = Site { server: server.restart_after_kill(&[]).await, people };
    let (_, queue) = site.ask(1, "GET", &format!("{ROOM}/held"), None).await;
    let ids: Vec<_> =
        queue["items"].as_array().unwrap().iter().map(|one| one["message"]["id"].clone()).collect();
    assert_eq!(ids[..2], [json!(first), json!(second)], "{queue}");
    assert_eq!(ids.len(), 3);
    let (mut cat, _) = site.enter(Some(2), None).await;
    let (mut ben, _) = site.enter(Some(1), None).await;
    let (mut reader, welcome) = site.enter(None, None).await;
    assert_eq!(welcome["messages"], json!([]));
    let after = ben.said("b1", "said meanwhile").await;

    let decide = async |who: usize, id: &str, decision: &str| {
        site.ask(who, "PUT", &format!("{ROOM}/held/{id}"), Some(json!({ "decision": decision }))).await
    };
    assert_eq!(decide(2, &first, "allow").await.0, 403, "not by whoever");
    assert_eq!(decide(1, &first, "allow").await.0, 204);
    assert_eq!(decide(0, &first, "deny").await.0, 409);
    assert_eq!(decide(0, &second, "deny").await.0, 204);
    let heard = loop {
        let frame = reader.next("messages").await;
        let found =
            frame["messages"].as_array().unwrap().iter().find(|one| one["id"] == first.as_str()).cloned();
        if let Some(found) = found {
            break found;
        }
    };
    assert_eq!((&heard["author"]["name"], &heard["nonce"]), (&json!("cat"), &json!("c1")));
    let refused = cat.next("refused").await;
    assert_eq!((&refused["nonce"], &refused["code"]), (&json!("c2"), &json!("denied")));
    let reviewed = ben.next("queue").await["reviewed"][0].clone();
    assert_eq!((&reviewed["id"], &reviewed["decision"]), (&json!(first), &json!("allowed")));
    let (_late, welcome) = site.enter(None, None).await;
    let order: Vec<_> = welcome["messages"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(order, [json!(after), json!(first)], "its place is that of the decision");
    // Whoever missed the word of it asks with the same nonce.
    assert_eq!(cat.said("c1", "see https://a.example").await, first);
    assert_eq!(cat.refused("c2", "see https://b.example").await["code"], "denied");
    site.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_is_seen_live_closes_by_itself_and_leaves_its_result() {
    const POLLS: &str = "/channels/studio/chat/polls";
    let site = Site::of(&["ada", "ben", "cat"], &[]).await;
    let (mut reader, welcome) = site.enter(None, None).await;
    assert_eq!(welcome["poll"], Value::Null);
    let new = json!({ "question": "Which boat?", "answers": ["The dinghy", "The barge"], "seconds": 10 });
    let (status, poll) = site.ask(0, "POST", POLLS, Some(new)).await;
    assert_eq!(status, 201, "{poll}");
    let id = poll["id"].as_str().unwrap();
    let told = reader.next("poll").await["poll"].clone();
    assert_eq!(
        (&told["id"], &told["question"], &told["open"]),
        (&json!(id), &json!("Which boat?"), &json!(true))
    );
    for (who, answer) in [(0, 0), (1, 0), (2, 1), (2, 0), (2, 1)] {
        let vote = Some(json!({ "answer": answer }));
        assert_eq!(site.ask(who, "PUT", &format!("{POLLS}/{id}/vote"), vote).await.0, 204);
    }
    while reader.next("poll").await["poll"]["counts"] != json!([2, 1]) {}
    let (_late, welcome) = site.enter(None, None).await;
    assert_eq!(welcome["poll"]["id"], id);
    // Whatever dies meanwhile: every vote that was acknowledged is counted, once.
    let Site { server, people } = site;
    let site = Site { server: server.restart_after_kill(&[]).await, people };
    let kept = until("the room says the result", SOON, || async {
        let (_, page) = site.ask(1, "GET", "/channels/studio/chat/messages", None).await;
        page["items"].get(0).cloned()
    })
    .await;
    assert_eq!((&kept["id"], &kept["kind"]), (&json!(id), &json!("system")), "{kept}");
    assert_eq!(kept["text"], "Poll: Which boat? The dinghy 67 % (2) \u{b7} The barge 33 % (1)");
    let late = site.ask(1, "PUT", &format!("{POLLS}/{id}/vote"), Some(json!({ "answer": 1 }))).await;
    assert_eq!((late.0, &late.1["type"]), (409, &json!("/problems/poll-closed")));

    // One that is closed by hand, before everybody's eyes.
    let (mut reader, welcome) = site.enter(None, None).await;
    assert_eq!(welcome["messages"][0]["event"], "poll_closed");
    let new = json!({ "question": "Tea?", "answers": ["yes", "no"], "seconds": 600 });
    let (_, poll) = site.ask(0, "POST", POLLS, Some(new)).await;
    let this = format!("{POLLS}/{}", poll["id"].as_str().unwrap());
    assert_eq!(site.ask(1, "PUT", &format!("{this}/vote"), Some(json!({ "answer": 0 }))).await.0, 204);
    let (status, closed) = site.ask(0, "POST", &format!("{this}/close"), None).await;
    assert_eq!((status, &closed["answers"][0]["votes"]), (200, &json!(1)));
    let (mut said, mut told) = (None, None);
    while said.is_none() || told.is_none() {
        let frame = reader.frame().await.unwrap();
        match frame["type"].as_str() {
            Some("messages") => said = Some(frame["messages"][0]["text"].clone()),
            Some("poll") if frame["poll"]["open"] == false => told = Some(frame["poll"]["counts"].clone()),
            _ => {}
        }
    }
    assert_eq!(
        (said.unwrap(), told.unwrap()),
        (json!("Poll: Tea? yes 100 % (1) \u{b7} no 0 % (0)"), json!([1, 0]))
    );
    site.server.assert_calm();
}
