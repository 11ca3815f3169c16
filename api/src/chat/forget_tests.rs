use millrace_core::ids::MessageId;

use super::super::tests::{message, rooms, said, user};
use super::*;

const STUDIO: ChannelId = ChannelId(uuid::Uuid::from_u128(1));
const OTHER: ChannelId = ChannelId(uuid::Uuid::from_u128(2));

fn sanction(channel: ChannelId, who: u128, until: Option<i64>) -> Sanction {
    Sanction { channel, user: user(who), until, reason: String::new(), by: user(9), at: 1 }
}

#[tokio::test]
async fn what_was_said_long_ago_goes_some_at_a_time_and_time_outs_that_are_over_go_too() {
    let (_site, rooms) = rooms().await;
    let old: Vec<_> = (1..=AT_ONCE as u128 + 3).map(|n| message(n, 1, &n.to_string())).collect();
    let new = millrace_core::chat::ChatMessage {
        at: old[0].at + jiff::SignedDuration::from_hours(24),
        ..message(9_999, 1, "new")
    };
    rooms.keep_many(STUDIO, &old.iter().chain([&new]).collect::<Vec<_>>()).await.unwrap();
    for sanction in [sanction(STUDIO, 3, Some(5)), sanction(STUDIO, 4, None)] {
        rooms.impose(&sanction).await.unwrap();
    }
    let now = new.at.as_millisecond() + 10 * DAY_MS;
    assert!(!rooms.forget_old(0, now).await.unwrap(), "for ever");
    assert_eq!(rooms.messages(STUDIO, None, 1_000).await.unwrap().len(), AT_ONCE + 4);
    assert_eq!(rooms.sanctions(STUDIO, None, 9).await.unwrap(), [sanction(STUDIO, 4, None)]);
    assert!(!rooms.forget_old(11, now).await.unwrap(), "a day too early");
    assert!(rooms.forget_old(10, now).await.unwrap());
    assert!(!rooms.forget_old(10, now).await.unwrap());
    assert_eq!(said(&rooms, STUDIO).await, [9_999]);
    // The numbers of the room go on.
    rooms.keep_many(STUDIO, &[&message(10_000, 1, "next")]).await.unwrap();
    assert_eq!(said(&rooms, STUDIO).await, [9_999, 10_000]);
}

#[tokio::test]
async fn whoever_goes_takes_along_what_they_said_and_what_was_said_of_them() {
    let (_site, rooms) = rooms().await;
    for (number, channel, author) in [(1, STUDIO, 1), (2, STUDIO, 2), (3, OTHER, 1)] {
        rooms.keep_many(channel, &[&message(number, author, &number.to_string())]).await.unwrap();
    }
    for who in [1, 2] {
        rooms.impose(&sanction(OTHER, who, None)).await.unwrap();
    }
    rooms.change(STUDIO, |room| room.vips = vec![user(1), user(2)]).await.unwrap();
    rooms.change(OTHER, |room| room.pinned = Some(Box::new(message(3, 1, "3")))).await.unwrap();
    assert_eq!(rooms.said_by(user(1), 9).await.unwrap().len(), 2);
    assert_eq!(rooms.sanctions_of(user(1), 9).await.unwrap().len(), 1);
    let changed = rooms.forget_person(user(1)).await.unwrap();
    let changed: Vec<_> =
        changed.into_iter().map(|(channel, room)| (channel, room.version, room.vips)).collect();
    assert_eq!(changed, [(STUDIO, 2, vec![user(2)]), (OTHER, 2, vec![])]);
    assert_eq!(said(&rooms, STUDIO).await, [2]);
    assert_eq!(said(&rooms, OTHER).await, [0_u128; 0]);
    assert_eq!(rooms.state(OTHER).await.unwrap().pinned, None);
    assert_eq!(rooms.sanctions(OTHER, None, 9).await.unwrap(), [sanction(OTHER, 2, None)]);
    assert!(rooms.forget_person(user(1)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_channel_that_is_gone_leaves_nothing_in_chat() {
    let (_site, rooms) = rooms().await;
    for channel in [STUDIO, OTHER] {
        let number = channel.0.as_u128();
        rooms.keep_many(channel, &[&message(number, 1, "a")]).await.unwrap();
        rooms.impose(&sanction(channel, 2, None)).await.unwrap();
        rooms.change(channel, |room| room.settings.slow_mode_s = 5).await.unwrap();
    }
    rooms.forget_channel(STUDIO).await.unwrap();
    assert_eq!(rooms.state(STUDIO).await.unwrap().version, 0);
    assert!(rooms.message(STUDIO, MessageId(uuid::Uuid::from_u128(1))).await.unwrap().is_none());
    assert_eq!(rooms.sanction(STUDIO, user(2)).await.unwrap(), None);
    assert_eq!((rooms.state(OTHER).await.unwrap().version, said(&rooms, OTHER).await), (1, vec![2]));
}

#[tokio::test]
async fn who_subscribes_goes_when_it_is_over_and_with_the_person_and_the_channel() {
    let (_site, rooms) = rooms().await;
    for (channel, who, until) in
        [(STUDIO, 1, Some(5)), (STUDIO, 2, None), (STUDIO, 3, Some(50)), (OTHER, 2, None)]
    {
        let subscriber = Subscriber { channel, user: user(who), until, at: 1 };
        assert!(rooms.subscribe(&subscriber).await.unwrap());
    }
    let left = async |channel| rooms.subscribers(channel, None, 9).await.unwrap().len();
    rooms.forget_old(0, 10).await.unwrap();
    assert_eq!((left(STUDIO).await, left(OTHER).await), (2, 1));
    rooms.forget_person(user(2)).await.unwrap();
    assert_eq!((left(STUDIO).await, left(OTHER).await), (1, 0));
    rooms.forget_channel(STUDIO).await.unwrap();
    assert_eq!(left(STUDIO).await, 0);
}
