use millrace_core::chat::{Author, Links, MessageKind};
use millrace_core::ids::{ChannelName, UserId};

use super::*;
use crate::channels::testing::Site;

const STUDIO: ChannelId = ChannelId(uuid::Uuid::from_u128(1));
const OTHER: ChannelId = ChannelId(uuid::Uuid::from_u128(2));

pub(super) fn user(number: u128) -> UserId {
    UserId(uuid::Uuid::from_u128(number))
}

pub(super) fn message(number: u128, author: u128, nonce: &str) -> ChatMessage {
    let name: ChannelName = format!("user_{author}").parse().unwrap();
    ChatMessage {
        id: MessageId(uuid::Uuid::from_u128(number)),
        at: "2026-11-21T20:00:00Z".parse().unwrap(),
        kind: MessageKind::Text,
        author: Some(Author { id: user(author), display_name: name.to_string(), name, badges: Vec::new() }),
        text: format!("message {number}"),
        nonce: Some(nonce.to_owned()),
        reply_to: None,
        mentions: Vec::new(),
        event: None,
        news: None,
    }
}

pub(super) async fn rooms() -> (Site, Rooms) {
    let site = Site::new().await;
    let rooms = Rooms::new(site.store.clone());
    (site, rooms)
}

pub(super) async fn said(rooms: &Rooms, channel: ChannelId) -> Vec<u128> {
    rooms.recent(channel, 300).await.unwrap().iter().map(|message| message.id.0.as_u128()).collect()
}

#[tokio::test]
async fn messages_are_kept_once_in_the_order_of_the_room() {
    let (_site, rooms) = rooms().await;
    for (number, nonce) in [(30, "a"), (10, "b"), (20, "c")] {
        rooms.keep(STUDIO, &message(number, 1, nonce)).await.unwrap();
    }
    // The same event again, and the same nonce under another id.
    rooms.keep(STUDIO, &message(10, 1, "b")).await.unwrap();
    rooms.keep(STUDIO, &message(11, 1, "b")).await.unwrap();
    rooms.keep(OTHER, &message(40, 1, "b")).await.unwrap();
    rooms.keep(STUDIO, &message(50, 2, "b")).await.unwrap();
    assert_eq!(said(&rooms, STUDIO).await, [30, 10, 20, 50]);
    assert_eq!(said(&rooms, OTHER).await, [40]);
    let numbers: Vec<_> =
        rooms.messages(STUDIO, None, 10).await.unwrap().iter().map(|kept| kept.seq).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
    let after = After { value: 3.into(), id: String::new() };
    let older = rooms.messages(STUDIO, Some(after), 1).await.unwrap();
    assert_eq!(older[0].id.0.as_u128(), 10);
}

#[tokio::test]
async fn what_is_kept_together_is_kept_once_too() {
    let (_site, rooms) = rooms().await;
    let all: Vec<_> = (1..=250).map(|number| message(number, 1, &number.to_string())).collect();
    let all: Vec<_> = all.iter().collect();
    rooms.keep_many(STUDIO, &all[..3]).await.unwrap();
    // Some of them come again, as after a crash.
    rooms.keep_many(STUDIO, &all[1..]).await.unwrap();
    rooms.keep_many(STUDIO, &all).await.unwrap();
    assert_eq!(said(&rooms, STUDIO).await, (1..=250).collect::<Vec<_>>());
}

#[tokio::test]
async fn two_processes_that_keep_the_same_room_lose_nothing() {
    let (_site, rooms) = rooms().await;
    let keep = async |from: u128| {
        for number in from..from + 10 {
            // As the bus does: again after a failure.
            while rooms.keep(STUDIO, &message(number, 1, &number.to_string())).await.is_err() {}
        }
    };
    tokio::join!(keep(100), keep(200), keep(100));
    let mut said = said(&rooms, STUDIO).await;
    assert_eq!(said.iter().filter(|number| **number >= 200).count(), 10);
    said.sort_unstable();
    assert_eq!(said, (100..110).chain(200..210).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_taken_away_is_not_shown_and_still_there_for_who_moderates() {
    let (_site, rooms) = rooms().await;
    for number in 1..=6 {
        rooms.keep(STUDIO, &message(number, number % 2, &number.to_string())).await.unwrap();
    }
    let id = |number| MessageId(uuid::Uuid::from_u128(number));
    rooms.remove(&[id(2), id(99)], user(9)).await.unwrap();
    assert_eq!(said(&rooms, STUDIO).await, [1, 3, 4, 5, 6]);
    rooms.remove_all(STUDIO, Some(user(1)), user(9)).await.unwrap();
    assert_eq!(said(&rooms, STUDIO).await, [4, 6]);
    rooms.remove_all(STUDIO, None, user(8)).await.unwrap();
    assert_eq!(said(&rooms, STUDIO).await, [0_u128; 0]);
    let kept = rooms.messages(STUDIO, None, 10).await.unwrap();
    let by: Vec<_> = kept.iter().rev().map(|kept| kept.removed_by.unwrap().0.as_u128()).collect();
    assert_eq!(by, [9, 9, 9, 8, 9, 8]);
    assert!(rooms.message(OTHER, id(1)).await.unwrap().is_none(), "a message is of its room");
}

#[tokio::test]
async fn what_is_set_in_a_room_counts_its_changes() {
    let (_site, rooms) = rooms().await;
    assert_eq!(rooms.state(STUDIO).await.unwrap().version, 0);
    let change = |rooms: Rooms, vip: u128| async move {
        rooms.change(STUDIO, |state| state.vips.push(user(vip))).await.unwrap();
    };
    tokio::join!(change(rooms.clone(), 1), change(rooms.clone(), 2), change(rooms.clone(), 3));
    let now = rooms.change(STUDIO, |state| state.settings.links = Links::Nobody).await.unwrap();
    assert_eq!((now.version, now.vips.len(), now.settings.links), (4, 3, Links::Nobody));
    assert_eq!(rooms.state(STUDIO).await.unwrap(), now);
    assert_eq!(rooms.state(OTHER).await.unwrap().version, 0);
}

#[tokio::test]
async fn the_last_word_about_somebody_holds() {
    let (_site, rooms) = rooms().await;
    let sanction = |until: Option<i64>, at| Sanction {
        channel: STUDIO,
        user: user(5),
        until,
        reason: "spam".into(),
        by: user(1),
        at,
    };
    assert_eq!(rooms.sanction(STUDIO, user(5)).await.unwrap(), None);
    rooms.impose(&sanction(Some(1_000), 1)).await.unwrap();
    rooms.impose(&sanction(None, 2)).await.unwrap();
    assert_eq!(rooms.sanction(STUDIO, user(5)).await.unwrap(), Some(sanction(None, 2)));
    assert_eq!(rooms.sanction(OTHER, user(5)).await.unwrap(), None);
    assert_eq!(rooms.sanctions(STUDIO, None, 10).await.unwrap().len(), 1);
    assert!(rooms.pardon(STUDIO, user(5)).await.unwrap());
    assert!(!rooms.pardon(STUDIO, user(5)).await.unwrap());
    assert_eq!(rooms.sanction(STUDIO, user(5)).await.unwrap(), None);
}

#[tokio::test]
async fn moderators_find_what_somebody_said_and_what_has_a_word() {
    let (_site, rooms) = rooms().await;
    let said = |number: u128, author, text: &str| ChatMessage {
        text: text.into(),
        ..message(number, author, &number.to_string())
    };
    let texts = ["A boat", "boats \u{26f5}", "Bo\u{e1}t?", "aboat", "goat", "my BOAT sank"];
    let all: Vec<_> =
        texts.iter().zip(1_u32..).map(|(text, n)| said(n.into(), u128::from(n % 2), text)).collect();
    rooms.keep_many(STUDIO, &all.iter().collect::<Vec<_>>()).await.unwrap();
    rooms.keep(OTHER, &said(50, 1, "boat")).await.unwrap();
    let find = async |author: Option<u128>, words: Option<&str>, after, limit| {
        let search = Search { author: author.map(user), words: words.map(millrace_store::Words::of) };
        let found = rooms.search(STUDIO, &search, after, limit).await.unwrap();
        let ids: Vec<_> = found.messages.iter().map(|message| message.id.0.as_u128()).collect();
        (ids, found.next)
    };
    assert_eq!(find(None, Some("boat"), None, 10).await, (vec![6, 3, 2, 1], None));
    assert_eq!(find(Some(1), Some("boat"), None, 10).await, (vec![3, 1], None));
    assert_eq!(find(Some(0), None, None, 10).await, (vec![6, 4, 2], None));
    assert_eq!(find(None, Some("boat sank"), None, 10).await.0, [6]);
    assert_eq!(find(None, Some("!?"), None, 10).await, (vec![], None));
    // A page, and what comes after it.
    let (first, next) = find(None, Some("boat"), None, 3).await;
    assert_eq!(first, [6, 3, 2]);
    assert_eq!(find(None, Some("boat"), next, 3).await, (vec![1], None));
}

#[tokio::test]
async fn one_question_reads_only_so_much_and_says_where_to_go_on() {
    let (_site, rooms) = rooms().await;
    let all: Vec<_> = (1..=5_010).map(|number| message(number, 1, &number.to_string())).collect();
    rooms.keep_many(STUDIO, &all.iter().collect::<Vec<_>>()).await.unwrap();
    let search = Search { author: None, words: Some(millrace_store::Words::of("message 7")) };
    let rare = Search { author: None, words: Some(millrace_store::Words::of("unheard")) };
    let found = rooms.search(STUDIO, &rare, None, 10).await.unwrap();
    assert_eq!((found.messages.len(), found.next.clone().unwrap().value), (0, 11.into()));
    let found = rooms.search(STUDIO, &search, found.next, 10).await.unwrap();
    assert_eq!(found.messages[0].id.0.as_u128(), 7);
    assert!(found.next.is_none());
}
