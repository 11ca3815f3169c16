//! A backup holds everything, and any engine takes it.

use std::collections::BTreeSet;
use std::io::Cursor;

use millrace_store::{Document, Engine, Query, Store, transfer};
use serde_json::{Value, json};

use super::{Block, Broadcast, COLLECTIONS, Channel, Follow, Identity, StreamKeyRecord, User};
use crate::auth::audit::Audit;
use crate::auth::keys::SigningKeys;
use crate::auth::links::Link;
use crate::auth::sessions::Session;
use crate::auth::tokens::ApiToken;
use crate::auth::totp::SecondFactor;
use crate::channels::testing::{channel, person};
use crate::chat::{ChatBar, Held, Message, Room, Sanction, Subscriber, Vote};
use crate::mail::Mail;
use crate::notices::{Notice, NoticesConfig, Reader};
use crate::playback::{PlaybackConfig, PlaybackLinks};
use crate::push::{Device, Push, PushJob};
use crate::raids::RaidPlan;
use crate::reports::Report;
use crate::schedule::Plan;
use crate::site::{SiteChange, SiteRecord, SiteValues};
use crate::testing::{Home, Kind, store};
use crate::webhooks::{Webhook, WebhookDelivery};

const NOW: i64 = 1_790_000_000_000;

/// What a program kept, written as it is kept.
async fn keep<T: Document>(store: &Store, document: Value) {
    store.insert(&serde_json::from_value::<T>(document).unwrap()).await.unwrap();
}

/// A site with something in every collection.
async fn fill(store: &Store) -> (User, Channel) {
    SigningKeys::open(store.clone(), NOW).await.unwrap();
    PlaybackLinks::open(&PlaybackConfig::default(), store).await.unwrap();
    Push::open(store.clone(), NoticesConfig::default(), None, NOW).await.unwrap();
    let id = uuid::Uuid::from_u128(7).to_string();
    let ada = User { email: Some("ada@example.org".parse().unwrap()), ..person("ada") };
    store.insert(&ada).await.unwrap();
    let title = "Ships $ . \u{0} \u{1f6a2}".to_owned();
    let rungs = json!({ "mode": "on_demand", "rungs": ["360p"] });
    let ladder = serde_json::from_value(json!({ "wish": rungs, "allowed": { "mode": "always" } })).unwrap();
    let studio = Channel { title, tags: vec!["wood".into()], ladder, ..channel("studio", ada.id) };
    store.insert(&studio).await.unwrap();
    let (user, of) = (ada.id, studio.id);
    keep::<Identity>(store, json!({ "provider": "google", "subject": "1", "user": user, "linked_at": 1 }))
        .await;
    keep::<StreamKeyRecord>(
        store,
        json!({ "id": id, "channel": of, "name": "OBS", "hash": "ab", "hint": "b", "created_at": 1 }),
    )
    .await;
    keep::<Broadcast>(
        store,
        json!({ "id": id, "channel": of, "title": "x", "category": "", "started_at": 1, "running": true }),
    )
    .await;
    keep::<Follow>(store, json!({ "channel": of, "user": user, "followed_at": 1, "muted": true })).await;
    keep::<Block>(store, json!({ "channel": of, "user": user, "blocked_at": 1 })).await;
    keep::<ApiToken>(
        store,
        json!({ "id": id, "user": user, "name": "x", "hash": "cd", "hint": "d", "scopes": ["read"], "created_at": 1 }),
    )
    .await;
    keep::<Session>(
        store,
        json!({ "id": id, "user": user, "token": "ef", "rotated_at": 1, "created_at": 1, "expires_at": NOW,
            "device": "Firefox" }),
    )
    .await;
    keep::<Link>(store, json!({ "id": "ab", "purpose": "invite", "hash": "ab", "expires_at": NOW })).await;
    keep::<Mail>(
        store,
        json!({ "id": id, "errand": { "kind": "new_password", "login": "ada" }, "came_at": 1, "due": 1, "wait_ms": 5 }),
    )
    .await;
    keep::<SecondFactor>(
        store,
        json!({ "user": user, "secret": "AB", "confirmed": true, "last_step": 1, "recovery": ["ab"] }),
    )
    .await;
    keep::<Audit>(store, json!({ "id": id, "at": 1, "action": "user.ban", "target": "x", "scope": "site" }))
        .await;
    keep::<Report>(
        store,
        json!({ "id": id, "about": "person", "target_id": id, "target": "eve", "reporter": user, "reason": "spam",
            "text": "x", "at": 1, "day": "d", "number": 0, "state": "open", "open": "o" }),
    )
    .await;
    keep::<Plan>(
        store,
        json!({ "id": id, "channel": of, "title": "x", "starts": "2026-12-01T20:00:00", "time_zone": "Europe/Paris",
            "minutes": 60, "created_at": 1 }),
    )
    .await;
    store.insert(&SiteRecord { number: 1, values: SiteValues::default() }).await.unwrap();
    let change = SiteChange::new(1, 1, user, SiteValues::default(), SiteValues::default());
    store.insert(&change).await.unwrap();
    let notice =
        json!({ "broadcast": id, "kind": "live", "channel": of, "title": "x", "category": "", "at": 1 });
    keep::<Notice>(store, notice).await;
    store.insert(&Reader::new(user)).await.unwrap();
    let job = json!({ "notice": "n", "broadcast": id, "channel": of, "title": "x", "at": 1, "due": 1 });
    keep::<PushJob>(store, job).await;
    let hook = json!({ "id": id, "channel": of, "name": "bot", "url": "https://bot.example.org/", "secret": "whsec_eA==",
        "events": ["message.sent"], "created_at": 1, "since": 1, "recent": [{ "delivery": id, "at": 1, "number": 1,
        "first": "message.sent", "events": 1, "took_ms": 1, "status": 500 }] });
    keep::<Webhook>(store, hook).await;
    let events = json!([{ "id": id, "type": "message.sent", "data": { "text": "\u{1f6a2} $set" } }]);
    keep::<WebhookDelivery>(
        store,
        json!({ "id": id, "webhook": id, "channel": of, "at": 1, "due": 1, "first": "message.sent", "events": events }),
    )
    .await;
    let said = json!({ "id": id, "at": "2026-11-21T20:00:00Z", "kind": "text", "text": "\u{1f6a2} $set" });
    keep::<Message>(
        store,
        json!({ "id": id, "channel": of, "seq": 1, "nonce": "n", "at": 1, "message": said.clone() }),
    )
    .await;
    keep::<Held>(
        store,
        json!({ "id": id, "channel": of, "author": user, "nonce": "n", "at": 1, "why": "link", "message": said,
            "queue": of, "of": "x", "until": 5 }),
    )
    .await;
    store.insert(&Room::new(of)).await.unwrap();
    keep::<Subscriber>(store, json!({ "channel": of, "user": user, "until": 5, "at": 1 })).await;
    keep::<Vote>(
        store,
        json!({ "poll": id, "channel": of, "user": user, "answer": 1, "changes": 0, "at": 1, "until": 5 }),
    )
    .await;
    let raid = json!({ "id": id, "channel": of, "name": "studio", "target": of, "target_name": "garage", "by": user,
        "asked_at": 1, "at": 2, "due": 2, "viewers": 3 });
    keep::<RaidPlan>(store, raid).await;
    keep::<ChatBar>(store, json!({ "list": "site", "user": user, "reason": "x", "by": user, "at": 1 })).await;
    keep::<Sanction>(
        store,
        json!({ "channel": of, "user": user, "until": 5, "reason": "x", "by": user, "at": 1 }),
    )
    .await;
    store.insert(&crate::push::devices::tests::device(user, "https://push.example.org/1", 1)).await.unwrap();
    (ada, studio)
}

async fn exported(engine: &dyn Engine) -> Vec<u8> {
    let mut file = Vec::new();
    transfer::export(engine, COLLECTIONS, &mut file).await.unwrap();
    file
}

/// A new store of this kind with everything of the file, and what it says it holds.
async fn imported(kind: Kind, file: &[u8]) -> (Home, Store, Vec<u8>) {
    let home = Home::on(kind).await;
    let engine = home.engine().await;
    let store = Store::new(engine.clone(), COLLECTIONS).await.unwrap();
    transfer::import(engine.as_ref(), COLLECTIONS, &mut Cursor::new(file)).await.unwrap();
    let again = exported(engine.as_ref()).await;
    (home, store, again)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_everything_and_any_engine_takes_it() {
    let (home, store) = store().await;
    let (ada, studio) = fill(&store).await;
    let file = exported(home.engine().await.as_ref()).await;
    let lines: Vec<Value> =
        file.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let held: BTreeSet<_> = lines.iter().filter_map(|line| line["collection"].as_str()).collect();
    let all: BTreeSet<_> = COLLECTIONS.iter().map(|collection| collection.name).collect();
    assert_eq!(held, all, "fill() has a document of each");
    // To SQLite, whatever it came from, and back to where it came from.
    let (_there, moved, other) = imported(Kind::Sqlite, &file).await;
    assert!(other == file, "the second file is another");
    let (_back, again, last) = imported(Kind::of_tests(), &other).await;
    assert!(last == file, "the third file is another");
    for store in [moved, again] {
        let found = store.find_one::<User>("email", "ada@example.org").await.unwrap().unwrap();
        assert_eq!(found.value, ada);
        let found = store.find_one::<Channel>("owner", ada.id.to_string()).await.unwrap().unwrap();
        assert_eq!(found.value, studio);
        assert_eq!(store.search::<Channel>("woo shi", &Query::first(10)).await.unwrap().len(), 1);
        assert!(store.get::<Device>(&Device::id_of("https://push.example.org/1")).await.unwrap().is_some());
    }
}
