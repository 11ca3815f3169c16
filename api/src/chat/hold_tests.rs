use super::super::tests::{message, rooms, said, user};
use super::*;
use crate::chat::Room;

const STUDIO: ChannelId = ChannelId(uuid::Uuid::from_u128(1));
const OTHER: ChannelId = ChannelId(uuid::Uuid::from_u128(2));
const NOW: i64 = 1_790_000_000_000;

async fn hold(rooms: &Rooms, number: u128, author: u128, now_ms: i64) -> Waiting {
    let message = message(number, author, &number.to_string());
    rooms.hold(STUDIO, &message, HoldReason::Link, now_ms).await.unwrap()
}

async fn waiting(rooms: &Rooms) -> Vec<u128> {
    rooms.held(STUDIO, None, 300).await.unwrap().iter().map(|held| held.id.0.as_u128()).collect()
}

fn id(number: u128) -> MessageId {
    MessageId(uuid::Uuid::from_u128(number))
}

#[tokio::test]
async fn a_message_waits_once_until_the_first_decision_which_holds() {
    let (_site, rooms) = rooms().await;
    assert!(matches!(hold(&rooms, 1, 7, NOW).await, Waiting::Waits(held, None) if held.id == id(1)));
    // Sent again, as another message under the same nonce.
    let again = message(2, 7, "1");
    let Waiting::Waits(held, None) = rooms.hold(STUDIO, &again, HoldReason::Link, NOW + 5).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((held.id, held.at, held.expires().as_millisecond()), (id(1), NOW, NOW + HELD_MS));
    let decide = async |decision, by| rooms.decide(id(1), decision, Some(user(by)), NOW + 9).await.unwrap();
    let (one, two) = tokio::join!(decide(Decision::Allowed, 2), decide(Decision::Denied, 3));
    let (won, lost) = match (one, two) {
        (Some(Ok(won)), Some(Err(lost))) | (Some(Err(lost)), Some(Ok(won))) => (won, *lost),
        other => panic!("{other:?}"),
    };
    assert_eq!((won.decision, won.by), (lost.decision, lost.by));
    assert_eq!(waiting(&rooms).await, [0_u128; 0]);
    let again = rooms.hold(STUDIO, &again, HoldReason::Link, NOW + 10).await.unwrap();
    assert_eq!(again, Waiting::Reviewed(id(1), won.decision.unwrap()));
    assert!(rooms.decide(id(99), Decision::Denied, None, NOW).await.unwrap().is_none());
    assert!(rooms.held_one(OTHER, id(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn what_waits_is_bounded_for_each_person_and_for_the_room() {
    let (_site, rooms) = rooms().await;
    for number in 1..=HELD_OF_ONE_MAX as u128 {
        assert!(matches!(hold(&rooms, number, 7, NOW).await, Waiting::Waits(_, None)));
    }
    assert_eq!(hold(&rooms, 6, 7, NOW).await, Waiting::Full(HELD_OF_ONE_MAX));
    for number in 6..=HELD_MAX as u128 {
        assert!(matches!(hold(&rooms, number, 100 + number, NOW + 1).await, Waiting::Waits(_, None)));
    }
    let Waiting::Waits(_, Some(dropped)) = hold(&rooms, 1_000, 1_000, NOW + 2).await else { panic!() };
    assert_eq!((dropped.id, dropped.decision), (id(1), Some(Decision::Expired)));
    let waiting = waiting(&rooms).await;
    assert_eq!((waiting.len(), waiting[0], waiting[HELD_MAX - 1]), (HELD_MAX, 2, 1_000));
    // One place of the person is free again.
    assert!(matches!(hold(&rooms, 2_000, 7, NOW + 3).await, Waiting::Waits(..)));
}

#[tokio::test]
async fn what_waited_for_too_long_expires_whoever_decides_then() {
    let (_site, rooms) = rooms().await;
    hold(&rooms, 1, 7, NOW).await;
    hold(&rooms, 2, 8, NOW + 1).await;
    let (expired, untold) = rooms.due(NOW + HELD_MS).await.unwrap();
    assert_eq!((expired.len(), expired[0].id, untold.len()), (1, id(1), 0));
    let late = rooms.decide(id(1), Decision::Allowed, Some(user(2)), NOW + HELD_MS).await.unwrap();
    let late = late.unwrap().unwrap();
    assert_eq!((late.decision, late.by), (Some(Decision::Expired), None));
    // Whoever decided and died has not told it: it is told again after a while, until it is told.
    let due = async |ms| rooms.due(NOW + HELD_MS + ms).await.unwrap().1.len();
    assert_eq!((due(0).await, due(TELL_AFTER_MS).await), (0, 1));
    rooms.told(id(1)).await.unwrap();
    assert_eq!(due(TELL_AFTER_MS).await, 0);
}

#[tokio::test]
async fn who_said_something_that_was_not_taken_away_is_known() {
    let (_site, rooms) = rooms().await;
    let known = async || rooms.has_spoken(STUDIO, user(7)).await.unwrap();
    assert!(!known().await);
    rooms.keep_many(OTHER, &[&message(1, 7, "a")]).await.unwrap();
    assert!(!known().await, "elsewhere");
    rooms.keep_many(STUDIO, &[&message(2, 7, "b")]).await.unwrap();
    assert!(known().await);
    rooms.remove_all(STUDIO, Some(user(7)), user(2)).await.unwrap();
    assert!(!known().await);
    rooms.keep_many(STUDIO, &[&message(3, 7, "c")]).await.unwrap();
    assert!(known().await);
    assert_eq!(said(&rooms, STUDIO).await, [3]);
}

#[tokio::test]
async fn what_waits_goes_with_the_person_and_with_the_channel() {
    let (site, rooms) = rooms().await;
    site.store.insert(&Room::new(STUDIO)).await.unwrap();
    hold(&rooms, 1, 7, NOW).await;
    hold(&rooms, 2, 8, NOW).await;
    assert_eq!(rooms.held_by(user(7), 9).await.unwrap().len(), 1);
    assert_eq!(rooms.held_of(STUDIO, user(7)).await.unwrap().len(), 1);
    rooms.forget_person(user(7)).await.unwrap();
    assert_eq!(waiting(&rooms).await, [2]);
    rooms.forget_channel(STUDIO).await.unwrap();
    assert_eq!(waiting(&rooms).await, [0_u128; 0]);
}
