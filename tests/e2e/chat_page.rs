//! Chat on the page, in Chromium: people who talk, one who only reads on a phone, and a server that dies meanwhile.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chat::Site;
use crate::node::Viewer;
use crate::server::scratch;
use crate::wait::share;

/// One order to the browsers, with Chromium starting on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// What is said before somebody looks at what was said before that.
const SOME: usize = 200;
/// What is said while they do, by several connections of a program: the page keeps as much for who reads.
const MANY: usize = 10_000;
const PROGRAMS: usize = 8;
/// Rows that a browser may have in the log, however much was said.
const ROWS: u64 = 120;

/// The browsers.
struct Windows(Viewer);

impl Windows {
    /// Gives an order and takes its answer, which must not be a failure.
    async fn does(&mut self, order: &str) -> Value {
        let answer = self.0.ask_within(order, "order", SOON).await;
        assert_eq!(answer, order.split(' ').next().unwrap());
        let answer = self.0.last("order").unwrap();
        assert!(answer["failed"].is_null(), "{order}: {answer:#}");
        assert_eq!(answer["complaints"], json!([]), "{order}");
        answer
    }

    /// Everybody reads this, once, on a page that was never loaded again.
    async fn all_read(&mut self, names: &[&str], text: &str) {
        for name in names {
            let found = self.does(&format!("read {name} {text}")).await;
            assert_eq!((&found["times"], &found["kept"]), (&json!(1), &json!(true)), "{name}: {text}");
            assert_eq!(found["pictures"], 0, "{name}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_talk_on_the_page_it_heals_by_itself_and_moderators_keep_order() {
    let _share = share().await;
    let quick = [
        ("MILLRACE_CHAT__MESSAGES_PER_30S", "1000"),
        ("MILLRACE_CHAT__ROOM_MESSAGES_PER_SECOND", "10000"),
        ("MILLRACE_CHAT__FRAMES_PER_10S", "10000"),
    ];
    let mut site = Site::of(&["owner"], &quick).await;
    let (_folder, folder) = scratch("millrace-chat-page");
    let shots = std::env::var("MILLRACE_TEST_SHOTS").unwrap_or_else(|_| folder.display().to_string());
    let at = site.server.url("");
    let mut windows = Windows(Viewer::script("chat.mjs", &["--at", &at, "--shots", &shots]));
    for name in ["ada", "ben"] {
        assert_eq!(windows.does(&format!("join {name}")).await["status"], 201);
        windows.does(&format!("open {name} /@studio")).await;
    }
    windows.does("open reader /@studio phone").await;
    let all = ["ada", "ben", "reader"];

    // What is typed is text, whatever it looks like.
    let typed = "<img src=x onerror=alert(1)> &amp; javascript:alert(2)";
    windows.does(&format!("say ada {typed}")).await;
    windows.all_read(&all, typed).await;
    windows.does("say ben hello @ada").await;
    let called = windows.does("read ada hello @ada").await;
    assert_eq!(called["mentioned"], 1, "who is called sees it: {called}");
    windows.does("shot ada chat-desktop.png").await;
    windows.does("shot reader chat-phone.png").await;

    // The server dies, and everybody goes on without loading the page again.
    site.server = site.server.restart_after_kill(&quick).await;
    windows.does("say ben still here").await;
    windows.all_read(&all, "still here").await;
    windows.all_read(&all, typed).await;

    // Much is said while somebody reads what was before, and no browser has to carry all of it.
    let (mut owner, _) = site.enter(Some(0), None).await;
    for number in 0..SOME {
        owner.said(&format!("some-{number}"), &format!("line {number}")).await;
    }
    windows.all_read(&["ada"], &format!("line {}", SOME - 1)).await;
    windows.does("scroll ada").await;
    let says = |program: usize| {
        let site = &site;
        async move {
            let (mut chat, _) = site.enter(Some(0), None).await;
            for number in (program..MANY).step_by(PROGRAMS) {
                chat.said(&format!("many-{number}"), &format!("of many {number}")).await;
            }
        }
    };
    futures_util::future::join_all((0..PROGRAMS).map(says)).await;
    let last = "the last of many";
    owner.said("last", last).await;
    windows.all_read(&["ben", "reader"], last).await;
    let wandered = windows.does("wander ada").await;
    assert!(wandered["kept"].as_u64().unwrap() > MANY as u64 * 9 / 10, "{wandered}");
    assert!(wandered["rows"].as_u64().unwrap() < ROWS, "{wandered}");
    let unseen = windows.does("newest ada").await;
    assert!(unseen["text"].as_str().unwrap().contains("new message"), "{unseen}");
    windows.all_read(&["ada"], last).await;
    for name in all {
        let log = windows.does(&format!("log {name}")).await;
        assert!(log["rows"].as_u64().unwrap() < ROWS, "{name} carries {} rows", log["rows"]);
    }

    // Who moderates does so in the row; everybody sees what becomes of it.
    windows.does("say ben buy my boat").await;
    windows.all_read(&all, "buy my boat").await;
    let (status, answer) = site.ask(0, "PUT", "/channels/studio/moderators/ada", None).await;
    assert!(status < 300, "{answer}");
    windows.does("remove ada ben buy my boat").await;
    for name in all {
        windows.does(&format!("read {name} Message removed")).await;
    }
    windows.does("say ben and my oars").await;
    windows.all_read(&["ada"], "and my oars").await;
    windows.does("timeout ada ben and my oars").await;
    let told = windows.does("silenced ben").await;
    assert!(told["text"].as_str().unwrap().contains("Again in "), "for how long: {told}");
    windows.does("shot ben chat-silenced.png").await;
    site.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_lets_messages_through_and_people_vote_on_the_page() {
    let _share = share().await;
    let site = Site::of(&["owner"], &[]).await;
    let (_folder, folder) = scratch("millrace-chat-poll");
    let shots = std::env::var("MILLRACE_TEST_SHOTS").unwrap_or_else(|_| folder.display().to_string());
    let at = site.server.url("");
    let mut windows = Windows(Viewer::script("chat.mjs", &["--at", &at, "--shots", &shots]));
    for name in ["ada", "ben"] {
        assert_eq!(windows.does(&format!("join {name}")).await["status"], 201);
    }
    for (path, body) in [("/chat", Some(json!({ "hold": "all" }))), ("/moderators/ada", None)] {
        let method = if body.is_some() { "PATCH" } else { "PUT" };
        let (status, answer) = site.ask(0, method, &format!("/channels/studio{path}"), body).await;
        assert!(status < 300, "{answer}");
    }
    for name in ["ada", "ben"] {
        windows.does(&format!("open {name} /@studio")).await;
    }
    windows.does("open reader /@studio phone").await;

    for text in ["good evening", "buy my boat"] {
        windows.does(&format!("say ben {text}")).await;
    }
    let held = windows.does("held ben").await;
    assert!(held["text"].as_str().unwrap().contains("A moderator looks at your message"), "{held}");
    windows.does("shot ada chat-held.png").await;
    let first = windows.does("decide ada Allow").await;
    assert!(first["text"].as_str().unwrap().contains("good evening"), "the oldest first: {first}");
    windows.all_read(&["ada", "ben", "reader"], "good evening").await;
    windows.does("decide ada Deny").await;
    windows.does("shot ben chat-denied.png").await;

    let new = json!({ "question": "Which boat?", "answers": ["The dinghy", "The barge"], "seconds": 600 });
    let (status, poll) = site.ask(0, "POST", "/channels/studio/chat/polls", Some(new)).await;
    assert_eq!(status, 201, "{poll}");
    windows.does("vote ben The barge").await;
    windows.does("vote ada The barge").await;
    let seen = windows.does("poll reader 2 votes").await;
    assert!(seen["text"].as_str().unwrap().contains("100 %"), "{seen}");
    assert_eq!(seen["radios"], 0, "who is not signed in looks on");
    windows.does("shot ada chat-poll.png").await;
    windows.does("shot reader chat-poll-phone.png").await;
    let close = format!("/channels/studio/chat/polls/{}/close", poll["id"].as_str().unwrap());
    assert_eq!(site.ask(0, "POST", &close, None).await.0, 200);
    windows.all_read(&["ada", "reader"], "Poll: Which boat? The dinghy 0 % (0)").await;
    windows.does("poll ben closed").await;
    site.server.assert_calm();
}
