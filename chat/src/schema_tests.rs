//! `docs/chat.schema.json` is made of the types of the protocol, and what the server sends is as it says.

use std::path::Path;
use std::sync::Arc;

use millrace_core::chat::{
    Author, Badge, ChatMessage, Decision, HeldMessage, HoldReason, MessageKind, MessageReviewed, News, Quote,
    Raid, Removed, RoomUpdated,
};
use millrace_core::ids::{MessageId, UserId};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::protocol::{
    Chatters, ClientFrame, Code, PollView, Refusal, RoomView, SUBPROTOCOL, ServerFrame, WhyNot, You,
};

/// JSON Schema 2020-12 of both sides: a frame is one of the page's or one of the server's.
fn schema() -> Value {
    let mut deserialized = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut serialized = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let page = deserialized.subschema_for::<ClientFrame>();
    let server = serialized.subschema_for::<ServerFrame<'static>>();
    let mut definitions = deserialized.take_definitions(true);
    definitions.extend(serialized.take_definitions(true));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SUBPROTOCOL,
        "description": "The frames of chat's WebSocket, one JSON object each; docs/chat.md says what they mean. Pass over types and fields that are not here: later servers and pages may send more.",
        "anyOf": [page, server],
        "$defs": definitions,
    })
}

#[test]
fn the_schema_in_the_tree_is_that_of_the_protocol() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/chat.schema.json");
    let schema = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_CHAT_SCHEMA").is_some() {
        std::fs::write(&file, &schema).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == schema, "docs/chat.schema.json is not what the code speaks; run `make generate`");
}

/// One of each kind, with everything in it.
fn frames() -> Vec<String> {
    let author = Author {
        id: UserId(Uuid::from_u128(1)),
        name: "ada".parse().unwrap(),
        display_name: "Ada".to_owned(),
        badges: vec![Badge::Moderator],
    };
    let message = ChatMessage {
        id: MessageId(Uuid::from_u128(2)),
        at: "2026-11-22T20:00:00Z".parse().unwrap(),
        kind: MessageKind::Text,
        author: Some(author.clone()),
        text: "hello @ben".to_owned(),
        nonce: Some("k3x".to_owned()),
        reply_to: Some(Quote {
            id: MessageId(Uuid::nil()),
            name: "ben".parse().unwrap(),
            text: "hi".to_owned(),
        }),
        mentions: vec!["ben".parse().unwrap()],
        event: None,
        news: Some(News::Follow { names: vec!["Ben".to_owned()], count: 2 }),
    };
    let raid = Raid {
        id: Uuid::nil(),
        target: "garage".parse().unwrap(),
        at: "2026-11-22T21:00:00Z".parse().unwrap(),
        gone: false,
    };
    let pinned = Some(Box::new(message.clone()));
    let state = RoomUpdated { pinned, raid: Some(raid), ..RoomUpdated::default() };
    let room = RoomView::new("boatyard".parse().unwrap(), &state);
    let until = Some("2026-11-22T21:00:00Z".parse().unwrap());
    let why_not = Some(WhyNot { code: Code::TimedOut, detail: "Wait.".to_owned(), until });
    let you = You { author, moderates: true, may_send: false, why_not };
    let chatters = Chatters { count: 1, names: vec!["ada".parse().unwrap()], readers: 3 };
    let refusal = Refusal::after(Code::SlowMode, 1500, "Wait 2 s.");
    let bare = Refusal::new(Code::Banned, "No.");
    let waiting = [HeldMessage {
        message: message.clone(),
        why: HoldReason::Link,
        until: "2026-11-22T21:00:00Z".parse().unwrap(),
    }];
    let reviewed = [MessageReviewed {
        id: message.id,
        author: UserId(Uuid::nil()),
        nonce: None,
        decision: Decision::Denied,
        by: Some(UserId(Uuid::nil())),
    }];
    let answers = ["yes".to_owned(), "no".to_owned()];
    let poll = PollView {
        id: Uuid::nil(),
        question: "Sail?",
        answers: &answers,
        counts: &[3, 1],
        closes_at: "2026-11-22T21:00:00Z".parse().unwrap(),
        open: true,
    };
    let messages = [Arc::new(message)];
    let removed = [
        Removed::Messages(vec![MessageId(Uuid::nil())]),
        Removed::Author(UserId(Uuid::nil())),
        Removed::All(true),
    ];
    let mut frames = vec![
        ServerFrame::Welcome {
            room: &room,
            you: Some(&you),
            messages: &messages,
            resumed: true,
            chatters: &chatters,
            poll: Some(poll),
            heartbeat_s: 30,
        },
        ServerFrame::Welcome {
            room: &room,
            you: None,
            messages: &[],
            resumed: false,
            chatters: &chatters,
            poll: None,
            heartbeat_s: 30,
        },
        ServerFrame::Held { nonce: "k3x", id: messages[0].id, detail: "It waits." },
        ServerFrame::Queue { waiting: &waiting, reviewed: &[] },
        ServerFrame::Queue { waiting: &[], reviewed: &reviewed },
        ServerFrame::Poll { poll },
        ServerFrame::Messages { messages: &messages },
        ServerFrame::Ack { nonce: "k3x", id: messages[0].id },
        ServerFrame::Refused { nonce: Some("k3x"), refusal: &refusal },
        ServerFrame::Refused { nonce: None, refusal: &bare },
        ServerFrame::Room { room: &room },
        ServerFrame::You { you: &you },
        ServerFrame::Chatters { chatters: &chatters },
        ServerFrame::Reconnect { after_ms: 700 },
        ServerFrame::Pong,
    ];
    frames.extend(removed.iter().map(ServerFrame::Removed));
    frames.iter().map(|frame| frame.to_text().to_string()).collect()
}

#[test]
fn what_the_server_sends_is_as_the_schema_says() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for frame in frames() {
        let frame = serde_json::from_str(&frame).unwrap();
        if let Err(err) = validator.validate(&frame) {
            panic!("{err}: {frame}");
        }
    }
}

#[test]
fn what_a_page_may_send_is_as_the_schema_says_and_the_server_reads_it() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (good, frame) in [
        (true, json!({ "type": "hello" })),
        (true, json!({ "type": "hello", "resume": Uuid::nil() })),
        (true, json!({ "type": "send", "nonce": "k3x", "text": "hello", "reply_to": Uuid::nil() })),
        (true, json!({ "type": "ping" })),
        (false, json!({ "type": "send", "text": "hello" })),
        (false, json!({ "type": "hello", "resume": 7 })),
    ] {
        assert_eq!(validator.is_valid(&frame), good, "{frame}");
        assert_eq!(serde_json::from_value::<ClientFrame>(frame.clone()).is_ok(), good, "{frame}");
    }
}
