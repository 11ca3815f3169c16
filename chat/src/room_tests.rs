use millrace_core::chat::{
    ChatBan, ChatPardon, Emote, MessageDeleted, RoomSettings, SubscriberChanged, UserBarred, UserTimedOut,
    UserUnbarred,
};
use millrace_core::event::{SpecVersion, Subject, UserBanned, UserUnbanned};
use millrace_core::ids::ChannelId;
use millrace_core::trace::Cause;
use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_795_000_000_000;

fn user(number: u128) -> UserId {
    UserId(uuid::Uuid::from_u128(number))
}

fn id(number: u128) -> MessageId {
    MessageId(uuid::Uuid::from_u128(number))
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(NOW + ms).unwrap()
}

/// Number 1 has the channel, 2 moderates, 3 is honoured; everybody else is somebody.
fn room(settings: RoomSettings) -> Room {
    let emotes = vec![Emote { name: "Boat".into(), picture: uuid::Uuid::nil(), animated: false }];
    let vips = vec![user(3)];
    let state =
        RoomUpdated { settings, vips, emotes, emotes_version: 1, version: 1, ..RoomUpdated::default() };
    let channel = ChannelId(uuid::Uuid::from_u128(9));
    let record = RoomRecord {
        channel,
        since_ms: 0,
        owner: user(1),
        moderators: vec![user(2)],
        state,
        site_emotes: vec!["oak".into()],
        site_contact: "root@live.test".into(),
    };
    Room::new("studio".parse().unwrap(), record)
}

fn chatter(number: u128) -> Chatter {
    let name: ChannelName = format!("user_{number}").parse().unwrap();
    Chatter {
        user: user(number),
        display_name: name.to_string(),
        name,
        session: None,
        admin: false,
        bot: false,
        since_ms: 0,
    }
}

fn event(number: u128, body: EventBody) -> Event {
    Event {
        specversion: SpecVersion::V1,
        id: uuid::Uuid::from_u128(number),
        source: "/nodes/one".into(),
        subject: Subject::Channel("studio".parse().unwrap()),
        time: at(0),
        cause: Cause::default(),
        body,
    }
}

fn sent(message: &ChatMessage) -> Event {
    event(message.id.0.as_u128(), EventBody::MessageSent(Box::new(message.clone())))
}

/// What becomes of a text that somebody sends `ms` after the beginning.
struct Try<'a>(&'a mut Room, u128);

impl Try<'_> {
    fn says(&mut self, who: u128, ms: i64, text: &str) -> Result<Arc<ChatMessage>, Refusal> {
        let nonce = format!("n{}", self.1);
        self.says_as(who, ms, text, &nonce)
    }

    fn says_as(&mut self, who: u128, ms: i64, text: &str, nonce: &str) -> Result<Arc<ChatMessage>, Refusal> {
        self.1 += 1;
        let draft = Draft { nonce: nonce.into(), text: text.into(), reply_to: None };
        let admitted = self.0.admit(
            &chatter(who),
            Speaks::default(),
            &draft,
            (id(1000 + self.1), at(ms)),
            &ChatConfig::default(),
        )?;
        let Admitted::Publish(message) = admitted else { panic!("{admitted:?}") };
        self.0.settled(message.id);
        self.0.hear(&sent(&message));
        Ok(message)
    }

    fn code(&mut self, who: u128, ms: i64, text: &str) -> Option<Code> {
        self.says(who, ms, text).err().map(|refusal| refusal.code)
    }
}

#[test]
fn people_are_what_they_are_here() {
    let room = room(RoomSettings::default());
    let badges = |who| room.author(&who, NOW).badges;
    assert_eq!(badges(chatter(1)), [Badge::Broadcaster]);
    assert_eq!(badges(chatter(2)), [Badge::Moderator]);
    assert_eq!(badges(chatter(3)), [Badge::Vip]);
    assert_eq!(badges(Chatter { admin: true, bot: true, ..chatter(9) }), [Badge::Admin, Badge::Bot]);
    assert!(room.you(&chatter(2), NOW).moderates && !room.you(&chatter(3), NOW).moderates);
}

#[test]
fn a_room_may_take_nothing_but_emotes() {
    let mut room = room(RoomSettings { emote_only: true, ..RoomSettings::default() });
    let mut say = Try(&mut room, 0);
    assert_eq!(say.code(7, 0, "hello"), Some(Code::EmotesOnly));
    assert_eq!(say.code(3, 0, "/me waves"), Some(Code::EmotesOnly));
    assert_eq!(say.code(7, 0, ":Boat: \u{26f5}:oak:"), None);
    assert_eq!(say.code(7, 0, ":Elm:"), Some(Code::EmotesOnly));
    assert_eq!(say.code(2, 0, "whoever moderates says what they want"), None);
    // The emotes of the channel are others now.
    let RoomUpdated { settings, vips, .. } = room.state.clone();
    let emotes = vec![Emote { name: "Elm".into(), picture: uuid::Uuid::nil(), animated: true }];
    let updated =
        RoomUpdated { settings, vips, emotes, emotes_version: 2, version: 2, ..RoomUpdated::default() };
    room.hear(&event(50, EventBody::RoomUpdated(Box::new(updated))));
    assert_eq!(room.view().emotes, 2);
    let mut say = Try(&mut room, 20);
    assert_eq!(say.code(7, 9_000, ":Boat:"), Some(Code::EmotesOnly));
    assert_eq!(say.code(7, 9_000, ":Elm::oak:"), None);
}

#[test]
fn whoever_is_banned_reads_what_can_be_done_about_it() {
    let settings = RoomSettings { appeal: "Write to ada@example.org.".into(), ..RoomSettings::default() };
    let mut room = room(settings);
    let ban = ChatBan { user: user(7), reason: "spam".into(), by: user(2) };
    room.hear(&event(60, EventBody::UserBanned(UserBanned { chat: Some(ban) })));
    let why = "A moderator banned you from this chat. Reason: spam. Write to ada@example.org.";
    assert_eq!(room.you(&chatter(7), NOW).why_not.unwrap().detail, why);
    let refused = Try(&mut room, 30).says(7, 0, "but").unwrap_err();
    assert_eq!((refused.code, refused.detail.as_str()), (Code::Banned, why));
}

#[test]
fn whoever_deletes_the_account_takes_along_what_they_said() {
    let mut room = room(RoomSettings::default());
    let mut say = Try(&mut room, 0);
    let gone = say.says(7, 0, "mine").unwrap();
    let stays = say.says(8, 1, "yours").unwrap();
    assert!(room.forget_author(user(7)));
    assert_eq!(room.shown(None).0, [stays]);
    assert_eq!(room.hear(&sent(&gone)), None, "heard late");
    assert!(!room.forget_author(user(7)));
}

#[test]
fn a_draft_is_said_once_however_often_it_is_sent() {
    let mut room = room(RoomSettings::default());
    let draft = Draft { nonce: "n".into(), text: "hi".into(), reply_to: None };
    let config = ChatConfig::default();
    let send = |room: &mut Room, number| {
        room.admit(&chatter(7), Speaks::default(), &draft, (id(number), at(0)), &config)
    };
    let Ok(Admitted::Publish(first)) = send(&mut room, 1) else { panic!() };
    // The bus did not answer: the same message, the same id.
    assert_eq!(send(&mut room, 2), Ok(Admitted::Publish(Arc::clone(&first))));
    // It was heard, but whether it is committed is not known.
    assert!(room.hear(&sent(&first)).is_some());
    assert_eq!(send(&mut room, 3), Ok(Admitted::Publish(Arc::clone(&first))));
    assert_eq!(room.hear(&sent(&first)), None, "heard again");
    room.settled(first.id);
    assert_eq!(send(&mut room, 4), Ok(Admitted::Said(first.id)));
    // Another node admitted it too: the first one in the order of the bus holds.
    let twin = ChatMessage { id: id(9), ..first.as_ref().clone() };
    assert_eq!(room.hear(&sent(&twin)), None);
    assert_eq!(room.shown(None).0, [first]);
    // Somebody else's nonce is theirs.
    assert!(matches!(
        room.admit(&chatter(8), Speaks::default(), &draft, (id(5), at(0)), &config),
        Ok(Admitted::Publish(_))
    ));
}

#[test]
fn rules_hold_for_those_they_are_for() {
    let settings = RoomSettings {
        slow_mode_s: 10,
        links: Links::Trusted,
        blocked_terms: vec!["spoiler".into()],
        max_length: 20,
        ..RoomSettings::default()
    };
    let mut room = room(settings);
    let mut t = Try(&mut room, 0);
    assert_eq!(t.code(7, 0, " \u{200b} "), Some(Code::Empty));
    assert_eq!(t.code(7, 0, &"x".repeat(21)), Some(Code::TooLong));
    assert_eq!(t.code(7, 0, &"\u{1f600}".repeat(20)), None, "characters, not bytes");
    let refusal = t.says(7, 2_500, "hi").unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_ms), (Code::SlowMode, Some(7_500)));
    assert_eq!(t.code(7, 10_000, "hi"), None);
    assert_eq!(t.code(7, 20_000, "see a.example"), Some(Code::LinksNotAllowed));
    assert_eq!(t.code(3, 20_000, "see a.example"), None);
    assert_eq!(t.code(3, 20_001, "no slow mode"), None);
    assert_eq!(t.code(3, 20_001, "a SPOILER!"), Some(Code::BlockedTerm));
    assert_eq!(t.code(2, 20_001, "a SPOILER!"), None, "who moderates may");
    assert_eq!(t.code(1, 20_001, &"x".repeat(21)), Some(Code::TooLong), "a frame is a frame");
}

#[test]
fn rooms_are_for_followers_and_accounts_of_age_if_they_say_so() {
    let settings =
        RoomSettings { followers_only_s: Some(600), account_age_s: 3_600, ..RoomSettings::default() };
    let mut room = room(settings);
    let mut admit = |who: &Chatter, since: Option<i64>| {
        let draft = Draft { nonce: "n".into(), text: "hi".into(), reply_to: None };
        let admitted = room.admit(
            who,
            Speaks { following_since_ms: since, before: None },
            &draft,
            (id(1), at(0)),
            &ChatConfig::default(),
        );
        admitted.err().map(|refusal| (refusal.code, refusal.retry_after_ms))
    };
    let new = Chatter { since_ms: NOW - 3_000_000, ..chatter(7) };
    assert_eq!(admit(&new, Some(0)), Some((Code::AccountTooNew, Some(600_000))));
    assert_eq!(admit(&chatter(7), None), Some((Code::FollowersOnly, None)));
    assert_eq!(admit(&chatter(7), Some(NOW - 500_000)), Some((Code::FollowersOnly, Some(100_000))));
    assert_eq!(admit(&chatter(3), None), None);
    assert_eq!(admit(&chatter(7), Some(NOW - 600_000)), None);
}

/// Why a text waits, if it does; `before`: whether the person is known to have spoken.
fn why_held(
    room: &mut Room,
    who: u128,
    before: Option<bool>,
    text: &str,
) -> Result<Option<HoldReason>, Code> {
    let draft = Draft { nonce: "h".into(), text: text.into(), reply_to: None };
    let speaks = Speaks { following_since_ms: None, before };
    let config = ChatConfig::default();
    match room.admit(&chatter(who), speaks, &draft, (id(500), at(0)), &config) {
        Ok(Admitted::Hold(message, why)) => {
            assert_eq!((message.id, message.nonce.as_deref()), (id(500), Some("h")));
            Ok(Some(why))
        }
        Ok(Admitted::Publish(message)) => {
            room.settled(message.id);
            Ok(None)
        }
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal.code),
    }
}

#[test]
fn what_would_be_refused_for_its_words_waits_if_the_room_says_so() {
    let settings = |hold| RoomSettings {
        links: Links::Trusted,
        blocked_terms: vec!["spoiler".into()],
        slow_mode_s: 60,
        hold,
        ..RoomSettings::default()
    };
    let mut strict = room(settings(Hold::Off));
    assert_eq!(why_held(&mut strict, 7, None, "see a.example"), Err(Code::LinksNotAllowed));
    assert_eq!(why_held(&mut strict, 7, None, "a spoiler"), Err(Code::BlockedTerm));
    let mut room = room(settings(Hold::LinksAndTerms));
    // What waits is no message that slow mode counts.
    for _ in 0..3 {
        assert_eq!(why_held(&mut room, 7, None, "see a.example"), Ok(Some(HoldReason::Link)));
        assert_eq!(why_held(&mut room, 7, None, "a spoiler"), Ok(Some(HoldReason::BlockedTerm)));
    }
    assert_eq!(why_held(&mut room, 3, None, "see a.example"), Ok(None), "a VIP may link");
    assert_eq!(why_held(&mut room, 3, None, "a spoiler"), Ok(Some(HoldReason::BlockedTerm)));
    assert_eq!(why_held(&mut room, 2, None, "a spoiler"), Ok(None), "who moderates may");
    assert_eq!(why_held(&mut room, 7, None, " "), Err(Code::Empty));
    assert_eq!(why_held(&mut room, 7, None, "hello"), Ok(None));
    assert_eq!(why_held(&mut room, 8, None, &"x".repeat(501)), Err(Code::TooLong));
}

#[test]
fn what_new_people_say_or_everything_waits_if_the_room_says_so() {
    let settings =
        |hold| RoomSettings { hold, blocked_terms: vec!["spoiler".into()], ..RoomSettings::default() };
    let mut new = room(settings(Hold::NewPeople));
    let draft = Draft { nonce: "h".into(), text: "hello".into(), reply_to: None };
    let config = ChatConfig::default();
    let asked = new.admit(&chatter(7), Speaks::default(), &draft, (id(1), at(0)), &config);
    assert_eq!(asked, Ok(Admitted::WhetherSpoken));
    assert_eq!(why_held(&mut new, 7, Some(false), "hello"), Ok(Some(HoldReason::NewPerson)));
    assert_eq!(why_held(&mut new, 8, Some(true), "hello"), Ok(None));
    assert_eq!(why_held(&mut new, 8, Some(true), "a spoiler"), Ok(Some(HoldReason::BlockedTerm)));
    assert_eq!(why_held(&mut new, 3, Some(false), "hello"), Ok(None), "not of a VIP");
    // A moderator let one through: it is heard as every other message.
    let draft = Draft { nonce: "x".into(), ..draft };
    let Ok(Admitted::Hold(first, _)) = new.admit(
        &chatter(7),
        Speaks { before: Some(false), ..Speaks::default() },
        &draft,
        (id(2), at(0)),
        &config,
    ) else {
        panic!()
    };
    assert_eq!(new.hear(&sent(&first)), Some(Effect::Said(Arc::clone(&first))));
    assert_eq!(why_held(&mut new, 7, None, "now I am known"), Ok(None));
    let again = new.admit(&chatter(7), Speaks::default(), &draft, (id(3), at(0)), &config);
    assert_eq!(again, Ok(Admitted::Said(first.id)), "what waited is said once");

    let mut all = room(settings(Hold::All));
    assert_eq!(why_held(&mut all, 7, Some(true), "hello"), Ok(Some(HoldReason::Everything)));
    assert_eq!(why_held(&mut all, 3, None, "hello"), Ok(None));
    assert_eq!(why_held(&mut all, 1, None, "hello"), Ok(None));
}

#[test]
fn nobody_says_what_was_just_said_where_messages_are_unique() {
    let mut room = room(RoomSettings { unique: true, ..RoomSettings::default() });
    let mut t = Try(&mut room, 0);
    assert_eq!(t.code(7, 0, "First!"), None);
    assert_eq!(t.code(8, 1_000, "first"), Some(Code::NotUnique));
    assert_eq!(t.code(8, 1_000, "second"), None);
    assert_eq!(t.code(8, 60_000, "first"), None, "after a while");
}

#[test]
fn nobody_is_faster_than_the_room() {
    let mut room = room(RoomSettings::default());
    let mut t = Try(&mut room, 0);
    let taken = (0..40).filter(|n| t.code(7, 0, &format!("message {n}")).is_none()).count();
    assert_eq!(taken, 20);
    let wait = t.says(7, 0, "more").unwrap_err().retry_after_ms.unwrap();
    assert_eq!(t.code(7, wait, "more"), None);
    let others = (100..180).filter(|who| t.code(*who, wait, "hello").is_none()).count();
    assert_eq!(others, 50 - 1, "of everybody");
    assert!((0..100).all(|n| t.code(1, wait, &format!("{n}")).is_none()), "who moderates may");
}

#[test]
fn who_is_timed_out_waits_and_who_is_banned_is_told_why() {
    let mut room = room(RoomSettings::default());
    Try(&mut room, 0).says(7, 0, "bad").unwrap();
    Try(&mut room, 10).says(8, 0, "good").unwrap();
    let out = UserTimedOut { user: user(7), until: at(60_000), reason: "rude".into(), by: user(2) };
    let effect = room.hear(&event(50, EventBody::UserTimedOut(out)));
    assert_eq!(effect, Some(Effect::Standing { user: user(7), removed: true }));
    let shown: Vec<_> = room.shown(None).0.iter().map(|message| message.text.clone()).collect();
    assert_eq!(shown, ["good"]);
    let refusal = Try(&mut room, 20).says(7, 15_000, "hi").unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_ms), (Code::TimedOut, Some(45_000)));
    assert!(refusal.detail.contains("rude"), "{refusal}");
    assert_eq!(room.you(&chatter(7), NOW + 15_000).why_not.unwrap().until, Some(at(60_000)));
    assert_eq!(Try(&mut room, 30).code(7, 60_000, "sorry"), None);

    let ban = UserBanned { chat: Some(ChatBan { user: user(7), reason: String::new(), by: user(1) }) };
    room.hear(&event(51, EventBody::UserBanned(ban)));
    assert_eq!(Try(&mut room, 40).code(7, 61_000, "hi"), Some(Code::Banned));
    assert!(!room.you(&chatter(7), NOW).may_send);
    // What is known from before does not lift what was heard since.
    room.meet(user(7), &Standing::default());
    assert_eq!(Try(&mut room, 50).code(7, 62_000, "hi"), Some(Code::Banned));
    let pardon = UserUnbanned { chat: Some(ChatPardon { user: user(7), by: user(1) }) };
    room.hear(&event(52, EventBody::UserUnbanned(pardon)));
    assert_eq!(Try(&mut room, 60).code(7, 63_000, "hi"), None);
    // A ban of the site is not one of the room.
    assert_eq!(room.hear(&event(53, EventBody::UserBanned(UserBanned::default()))), None);
}

#[test]
fn who_is_banned_from_many_rooms_says_nothing_in_those_and_learns_what_to_do() {
    let mut room = room(RoomSettings { appeal: "Ask ada.".into(), ..RoomSettings::default() });
    let about = |who: u128, body: EventBody| Event { subject: Subject::User(user(who)), ..event(70, body) };
    let barred = |owner: Option<u128>| {
        EventBody::UserBarred(UserBarred { owner: owner.map(user), reason: "spam".into(), by: user(1) })
    };
    Try(&mut room, 0).says(7, 0, "bad").unwrap();
    assert_eq!(room.hear(&about(7, barred(Some(5)))), None, "of another owner");
    assert_eq!(Try(&mut room, 10).code(7, 2_000, "hi"), None);
    let effect = room.hear(&about(7, barred(Some(1))));
    assert_eq!(effect, Some(Effect::Standing { user: user(7), removed: true }));
    assert!(room.shown(None).0.is_empty(), "what they said goes");
    let refusal = Try(&mut room, 20).says(7, 9_000, "hi").unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_ms), (Code::Banned, None));
    let said = refusal.detail;
    assert!(said.contains("all their channels") && said.ends_with("Reason: spam. Ask ada."), "{said}");
    // Who moderates here is held by the site alone.
    room.hear(&about(2, barred(Some(1))));
    assert!(room.you(&chatter(2), NOW).may_send);
    room.hear(&about(2, barred(None)));
    let why_not = room.you(&chatter(2), NOW).why_not.unwrap();
    assert!(why_not.detail.ends_with("Reason: spam. You can write to root@live.test."), "{}", why_not.detail);
    assert_eq!(Try(&mut room, 30).code(2, 0, "hi"), Some(Code::Banned));
    assert!(room.you(&Chatter { admin: true, ..chatter(2) }, NOW).may_send, "an admin");
    for owner in [None, Some(user(1))] {
        let lifted = EventBody::UserUnbarred(UserUnbarred { owner, by: user(1) });
        room.hear(&about(2, lifted));
    }
    assert!(room.you(&chatter(2), NOW).may_send);
    // Whoever comes in is known by what is kept.
    room.meet(user(8), &Standing { site_ban: Some(String::new()), ..Standing::default() });
    assert!(!room.you(&chatter(8), NOW).may_send);
    room.part(user(8));
    assert!(room.you(&chatter(8), NOW).may_send);
}

#[test]
fn what_is_taken_away_stays_away_also_when_it_comes_late() {
    let mut room = room(RoomSettings::default());
    let said: Vec<_> = (0..4).map(|n| Try(&mut room, n).says(7 + n, 0, "text").unwrap()).collect();
    let delete = |removed| EventBody::MessageDeleted(MessageDeleted { removed, by: user(2) });
    room.hear(&event(60, delete(Removed::Messages(vec![said[1].id, id(77)]))));
    let late = ChatMessage { id: id(77), ..said[0].as_ref().clone() };
    assert_eq!(room.hear(&sent(&late)), None);
    assert_eq!(room.shown(None).0.len(), 3);
    room.hear(&event(61, delete(Removed::All(true))));
    assert_eq!(room.shown(None).0, []);
    assert_eq!(room.hear(&sent(&said[0])), None);
    Try(&mut room, 100).says(7, 0, "after").unwrap();
    assert_eq!(room.shown(None).0.len(), 1);
}

#[test]
fn the_newer_rules_hold_in_whatever_order_they_come() {
    let mut room = room(RoomSettings::default());
    let rules = |version, rules: &str| {
        let settings = RoomSettings { rules: rules.into(), ..RoomSettings::default() };
        let updated = RoomUpdated { settings, version, ..RoomUpdated::default() };
        event(70, EventBody::RoomUpdated(Box::new(updated)))
    };
    assert_eq!(room.hear(&rules(5, "five")), Some(Effect::Room { poll: false }));
    assert_eq!(room.hear(&rules(4, "four")), None);
    assert_eq!(room.view().rules, "five");
}

#[test]
fn a_poll_is_told_as_people_vote_and_when_it_closes() {
    let poll = |stage, counts: &[u64]| Poll {
        id: uuid::Uuid::from_u128(5),
        question: "Which boat?".into(),
        answers: vec!["this".into(), "that".into()],
        opened_at: at(0),
        closes_at: at(60_000),
        stage,
        counts: counts.to_vec(),
    };
    let updated = |version, poll| {
        let updated = RoomUpdated { poll: Some(poll), version, ..RoomUpdated::default() };
        event(80, EventBody::RoomUpdated(Box::new(updated)))
    };
    let counted =
        |number, counts: &[u64]| PollCounted { poll: uuid::Uuid::from_u128(number), counts: counts.to_vec() };
    let mut room = room(RoomSettings::default());
    assert_eq!(room.hear(&updated(2, poll(PollStage::Open, &[]))), Some(Effect::Room { poll: true }));
    assert_eq!(room.poll_news(), None, "it was just told");
    for votes in 1..50 {
        room.count(&counted(5, &[votes, 2]));
    }
    assert_eq!(room.poll_news().map(|poll| poll.counts.clone()), Some(vec![49, 2]), "once for many");
    room.count(&counted(5, &[49, 2]));
    room.count(&counted(6, &[1, 1]));
    assert_eq!(room.poll_news(), None);
    // Other changes of the room know of no votes.
    assert_eq!(room.hear(&updated(3, poll(PollStage::Open, &[]))), Some(Effect::Room { poll: false }));
    assert_eq!(room.poll().unwrap().counts, [49, 2]);
    assert_eq!(room.hear(&updated(4, poll(PollStage::Closed, &[50, 2]))), Some(Effect::Room { poll: true }));
    room.count(&counted(5, &[49, 2]));
    assert_eq!(room.poll_news(), None, "late");
    assert_eq!(room.poll().unwrap().counts, [50, 2]);
    assert!(room.shown_poll(NOW + 179_000).is_some() && room.shown_poll(NOW + 180_000).is_none());
}

#[test]
fn a_room_may_be_for_who_subscribes() {
    let mut room = room(RoomSettings { subscribers_only: true, ..RoomSettings::default() });
    let changed = |subscribes, until: Option<i64>| {
        let changed = SubscriberChanged { user: user(7), subscribes, until: until.map(at) };
        event(90, EventBody::SubscriberChanged(changed))
    };
    assert_eq!(Try(&mut room, 0).code(7, 0, "hi"), Some(Code::SubscribersOnly));
    for who in [1, 2, 3] {
        assert_eq!(Try(&mut room, 10 + who).code(who, 0, "hi"), None, "{who} moderates or is a VIP");
    }
    let standing = Effect::Standing { user: user(7), removed: false };
    assert_eq!(room.hear(&changed(true, Some(60_000))), Some(standing.clone()));
    let said = Try(&mut room, 20).says(7, 59_999, "hi").unwrap();
    assert_eq!(said.author.as_ref().unwrap().badges, [Badge::Subscriber]);
    assert_eq!(Try(&mut room, 30).code(7, 60_000, "hi"), Some(Code::SubscribersOnly), "it is over");
    assert_eq!(room.author(&chatter(7), NOW + 60_000).badges, []);
    room.hear(&changed(true, None));
    assert_eq!(Try(&mut room, 40).code(7, 60_001, "hi"), None);
    assert_eq!(room.hear(&changed(false, None)), Some(standing));
    assert_eq!(Try(&mut room, 50).code(7, 60_002, "hi"), Some(Code::SubscribersOnly));
    // Whoever comes in is known from the store.
    let subscription = Some(Subscription { until_ms: None });
    room.meet(user(8), &Standing { subscription, ..Standing::default() });
    assert_eq!(Try(&mut room, 60).code(8, 70_000, "hi"), None);
    room.part(user(8));
    assert_eq!(Try(&mut room, 70).code(8, 70_001, "hi"), Some(Code::SubscribersOnly));
}

#[test]
fn an_answer_quotes_what_it_answers() {
    let mut room = room(RoomSettings::default());
    let long = Try(&mut room, 0).says(7, 0, &"\u{e9}".repeat(300)).unwrap();
    let mut answer = |reply_to| {
        let draft = Draft { nonce: format!("a{reply_to}"), text: "so?".into(), reply_to: Some(reply_to) };
        room.admit(&chatter(8), Speaks::default(), &draft, (id(5), at(0)), &ChatConfig::default())
    };
    let Ok(Admitted::Publish(message)) = answer(long.id) else { panic!() };
    let quote = message.reply_to.clone().unwrap();
    assert_eq!((quote.id, quote.name.as_str(), quote.text.chars().count()), (long.id, "user_7", QUOTE_MAX));
    assert_eq!(answer(id(12345)).unwrap_err().code, Code::ReplyUnknown);
}

#[test]
fn a_room_forgets() {
    let mut room = room(RoomSettings { slow_mode_s: 1, ..RoomSettings::default() });
    let mut last = None;
    for number in 0..5_000_u128 {
        let mut t = Try(&mut room, number);
        last = t.says(100 + number, i64::try_from(number).unwrap() * 100, "hello").ok().or(last);
    }
    assert_eq!((room.recent.len(), room.ids.len(), room.nonces.len()), (RECENT, RECENT, RECENT));
    assert!(
        room.meters.len() <= METERS + 1 && room.spoke.len() <= METERS + 1,
        "{} {}",
        room.meters.len(),
        room.spoke.len()
    );
    assert!(room.unsure.is_empty());
    assert_eq!(room.shown(None).0.len(), SHOWN);
    assert_eq!(room.shown(last.map(|message| message.id)), (vec![], true));
    assert!(!room.shown(Some(id(1001))).1, "too long ago");
}

proptest! {
    /// However often a page comes back, and whatever of the bus comes twice: everything is shown once, in the order of the bus.
    #[test]
    fn whoever_comes_back_reads_everything_once_and_in_order(
        steps in proptest::collection::vec(0..4_u8, 1..200),
        twice in proptest::collection::vec(0..50_usize, 0..20),
    ) {
        let mut room = room(RoomSettings::default());
        let (mut order, mut shown): (Vec<MessageId>, Vec<MessageId>) = (Vec::new(), Vec::new());
        let mut connected = true;
        let mut twice = twice.into_iter();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                0 | 1 => {
                    let said = Try(&mut room, number as u128 * 10).says(1, 0, "text").unwrap();
                    order.push(said.id);
                    if connected {
                        shown.push(said.id);
                    }
                    if let Some(again) = twice.next().and_then(|back| order.len().checked_sub(back + 1)) {
                        let message = room.recent.iter().find(|message| message.id == order[again]).cloned();
                        prop_assert!(message.is_none_or(|message| room.hear(&sent(&message)).is_none()));
                    }
                }
                2 => connected = false,
                _ => {
                    let (missed, resumed) = room.shown(shown.last().copied());
                    if !resumed {
                        shown.clear();
                    }
                    shown.extend(missed.iter().map(|message| message.id));
                    connected = true;
                }
            }
        }
        let (missed, resumed) = room.shown(shown.last().copied());
        if !resumed {
            shown.clear();
        }
        shown.extend(missed.iter().map(|message| message.id));
        let from = order.len() - shown.len();
        prop_assert_eq!(&order[from..], &shown[..]);
        prop_assert!(shown.len() >= order.len().min(SHOWN));
    }
}
