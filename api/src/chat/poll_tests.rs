use super::super::tests::{rooms, user};
use super::*;
use crate::channels::testing::Site;

const STUDIO: ChannelId = ChannelId(Uuid::from_u128(1));
const NOW: i64 = 1_790_000_000_000;

fn poll(number: u128) -> Poll {
    Poll {
        id: Uuid::from_u128(number),
        question: "Which boat?".into(),
        answers: vec!["this".into(), "that".into(), "none".into()],
        opened_at: time(NOW),
        closes_at: time(NOW + 60_000),
        stage: PollStage::Open,
        counts: Vec::new(),
    }
}

async fn opened() -> (Site, Rooms) {
    let (site, rooms) = rooms().await;
    assert!(rooms.open_poll(STUDIO, &poll(5)).await.unwrap().is_some());
    (site, rooms)
}

#[tokio::test]
async fn everybody_has_one_vote_however_often_and_wherever_they_send_it() {
    let (_site, rooms) = opened().await;
    let vote = async |who, answer| rooms.vote(STUDIO, poll(5).id, (user(who), answer), NOW).await.unwrap();
    let twice = tokio::join!(vote(1, 0), vote(1, 0), vote(2, 1), vote(3, 0));
    assert_eq!(twice, (Voted::Counts, Voted::Counts, Voted::Counts, Voted::Counts));
    assert_eq!(rooms.count_votes(&poll(5)).await.unwrap(), [2, 1, 0]);
    assert_eq!(vote(1, 2).await, Voted::Counts);
    assert_eq!(rooms.count_votes(&poll(5)).await.unwrap(), [1, 1, 1]);
    assert_eq!(rooms.vote_of(poll(5).id, user(1)).await.unwrap().unwrap().answer, 2);
    assert_eq!(vote(1, 3).await, Voted::NoSuchAnswer);
    for change in 1..VOTE_CHANGES_MAX {
        assert_eq!(vote(1, (change % 2) as usize).await, Voted::Counts, "{change}");
    }
    assert_eq!(vote(1, 2).await, Voted::TooOften);
    assert_eq!(rooms.count_votes(&poll(5)).await.unwrap(), [1, 2, 0]);
}

#[tokio::test]
async fn nobody_votes_in_a_poll_that_is_over_or_is_another_one() {
    let (_site, rooms) = opened().await;
    let vote = async |poll, now| rooms.vote(STUDIO, poll, (user(1), 0), now).await.unwrap();
    assert_eq!(vote(Uuid::from_u128(6), NOW).await, Voted::Closed);
    assert_eq!(vote(poll(5).id, NOW + 60_000).await, Voted::Closed);
    assert!(rooms.open_poll(STUDIO, &poll(6)).await.unwrap().is_none(), "one at a time");
    let closing = |room: &mut RoomUpdated| room.poll.as_mut().unwrap().stage = PollStage::Closing;
    rooms.change(STUDIO, closing).await.unwrap();
    assert_eq!(vote(poll(5).id, NOW).await, Voted::Closed);
    assert!(rooms.open_poll(STUDIO, &poll(6)).await.unwrap().is_none(), "not before it is counted");
    assert_eq!(rooms.polling(None).await.unwrap().len(), 1);
    rooms.change(STUDIO, |room| room.poll.as_mut().unwrap().stage = PollStage::Closed).await.unwrap();
    assert_eq!(rooms.polling(None).await.unwrap().len(), 0);
    assert!(rooms.open_poll(STUDIO, &poll(6)).await.unwrap().is_some());
}

#[tokio::test]
async fn votes_go_with_the_person_and_with_the_channel() {
    let (_site, rooms) = opened().await;
    for who in [1, 2] {
        rooms.vote(STUDIO, poll(5).id, (user(who), 0), NOW).await.unwrap();
    }
    assert_eq!(rooms.votes_of(user(1), 9).await.unwrap().len(), 1);
    rooms.forget_person(user(1)).await.unwrap();
    assert_eq!(rooms.count_votes(&poll(5)).await.unwrap(), [1, 0, 0]);
    rooms.forget_channel(STUDIO).await.unwrap();
    assert_eq!(rooms.count_votes(&poll(5)).await.unwrap(), [0, 0, 0]);
}

#[test]
fn a_result_has_shares_that_are_rounded() {
    let said = |counts: &[u64]| result(&poll(5), counts).text;
    assert_eq!(said(&[2, 1, 0]), "Poll: Which boat? this 67 % (2) \u{b7} that 33 % (1) \u{b7} none 0 % (0)");
    assert_eq!(said(&[0, 0, 0]), "Poll: Which boat? nobody voted");
    let poll = Poll { question: "Next boat".into(), ..poll(5) };
    assert!(result(&poll, &[1, 0, 0]).text.starts_with("Poll: Next boat: this 100 % (1)"));
}
