use millrace_core::chat::{Author, Quote};
use millrace_core::ids::UserId;

use super::*;

fn told(actions: &[Action]) -> Vec<&str> {
    actions
        .iter()
        .filter_map(|action| if let Action::Tell(line) = action { Some(line.as_str()) } else { None })
        .collect()
}

fn take(session: &mut Session, line: &str) -> Vec<Action> {
    session.take(&Line::parse(line).unwrap())
}

fn name(text: &str) -> ChannelName {
    text.parse().unwrap()
}

fn here(caps: &str) -> Session {
    let mut session = Session::default();
    if !caps.is_empty() {
        assert!(told(&take(&mut session, &format!("CAP REQ :{caps}")))[0].contains(" ACK "));
        assert_eq!(take(&mut session, "CAP END"), []);
    }
    take(&mut session, "PASS mr_secret");
    take(&mut session, "NICK Whatever");
    assert_eq!(take(&mut session, "USER a 0 * :A"), [Action::Admit(Some("mr_secret".to_owned()))]);
    session.admitted(Some(name("ada")));
    assert_eq!(take(&mut session, "JOIN #studio"), [Action::Join(name("studio"))]);
    session.joined(&name("studio"), "", &[]);
    session
}

fn message(text: &str, kind: MessageKind) -> ChatMessage {
    ChatMessage {
        id: MessageId(Uuid::from_u128(7)),
        at: "2026-11-22T01:02:03.456Z".parse().unwrap(),
        kind,
        author: Some(Author {
            id: UserId(Uuid::from_u128(1)),
            name: name("ben"),
            display_name: "Ben B".to_owned(),
            badges: vec![Badge::Moderator, Badge::Bot],
        }),
        text: text.to_owned(),
        nonce: None,
        reply_to: Some(Quote { id: MessageId(Uuid::from_u128(6)), name: name("ada"), text: String::new() }),
        mentions: Vec::new(),
        event: None,
        news: None,
    }
}

#[test]
fn nobody_is_asked_for_before_everything_was_said_and_capabilities_are_agreed_on() {
    let mut session = Session::default();
    assert_eq!(
        told(&take(&mut session, "CAP LS 302")),
        [format!(":millrace CAP * LS :{}", CAPABILITIES.join(" "))]
    );
    assert_eq!(told(&take(&mut session, "JOIN #a")), [":millrace 451 * :Say PASS, NICK and USER first"]);
    assert_eq!(take(&mut session, "NICK ada"), []);
    assert_eq!(take(&mut session, "USER ada 0 * :Ada"), []);
    assert_eq!(
        told(&take(&mut session, "CAP REQ :server-time sasl")),
        [":millrace CAP * NAK :server-timesasl"]
    );
    assert_eq!(
        told(&take(&mut session, "CAP REQ :server-time message-tags")),
        [":millrace CAP * ACK :server-time message-tags"]
    );
    assert_eq!(take(&mut session, "CAP END"), [Action::Admit(None)], "who has no password only reads");
    let welcome = session.admitted(None);
    let lines = told(&welcome);
    assert_eq!(lines[0], ":ada!ada@millrace NICK :guest_ada");
    assert!(lines[1].starts_with(":millrace 001 guest_ada :"), "{lines:?}");
    assert!(lines.last().unwrap().contains("You read only"), "{lines:?}");
    assert_eq!(told(&take(&mut session, "USER x 0 * :x")), [":millrace 462 guest_ada :You are here already"]);
}

#[test]
fn whoever_is_turned_away_is_told_why() {
    let actions = Session::default().turned_away("The token is no good.");
    assert_eq!(told(&actions), [":millrace 464 * :The token is no good."]);
    assert_eq!(actions[1], Action::Close("The token is no good.".to_owned()));
}

#[test]
fn what_is_said_in_a_room_is_told_with_as_many_tags_as_were_asked_for() {
    let studio = name("studio");
    let plain = here("");
    assert_eq!(
        told(&plain.message(&studio, &message("hello\n\nthere", MessageKind::Text), false)),
        [":ben!ben@millrace PRIVMSG #studio :hello", ":ben!ben@millrace PRIVMSG #studio :there"]
    );
    assert_eq!(
        told(&plain.message(&studio, &message("waves", MessageKind::Action), false)),
        [":ben!ben@millrace PRIVMSG #studio :\u{1}ACTION waves\u{1}"]
    );
    assert_eq!(plain.message(&studio, &message("mine", MessageKind::Text), true), []);
    let tagged = here("server-time message-tags echo-message");
    let (seven, six) = (Uuid::from_u128(7), Uuid::from_u128(6));
    assert_eq!(
        told(&tagged.message(&studio, &message("mine", MessageKind::Text), true)),
        [format!(
            "@time=2026-11-22T01:02:03.456Z;msgid={seven};millrace.dev/display-name=Ben\\sB;\
         millrace.dev/badges=moderator,bot;+draft/reply={six} :ben!ben@millrace PRIVMSG #studio :mine"
        )]
    );
    let said = ChatMessage { author: None, ..message("studio went live", MessageKind::Text) };
    assert_eq!(told(&plain.message(&studio, &said, false)), [":millrace NOTICE #studio :studio went live"]);
}

#[test]
fn a_client_says_something_does_something_and_answers() {
    let mut session = here("");
    let say = |text: &str, reply_to| Action::Say { channel: name("studio"), text: text.to_owned(), reply_to };
    assert_eq!(take(&mut session, "PRIVMSG #STUDIO :hello  there"), [say("hello  there", None)]);
    assert_eq!(take(&mut session, "PRIVMSG #studio :\u{1}ACTION waves\u{1}"), [say("/me waves", None)]);
    assert_eq!(take(&mut session, "PRIVMSG #studio :\u{1}VERSION\u{1}"), []);
    let six = Uuid::from_u128(6);
    assert_eq!(
        take(&mut session, &format!("@+draft/reply={six} PRIVMSG #studio yes")),
        [say("yes", Some(MessageId(six)))]
    );
    for (line, answer) in [
        ("PRIVMSG ben :psst", ":millrace 401 ada ben :There are no private messages here"),
        ("PRIVMSG #other :x", ":millrace 442 ada #other :You are not in that room: JOIN it first"),
        ("PRIVMSG #studio :", ":millrace 412 ada :No text to send"),
        ("PART #other", ":millrace 442 ada #other :You are not in that room"),
        ("JOIN #no!name", ":millrace 403 ada #no!name :No such channel"),
        ("OPER a b", ":millrace 421 ada OPER :Unknown command"),
        ("PING :x y", ":millrace PONG millrace :x y"),
    ] {
        assert_eq!(told(&take(&mut session, line)), [answer], "{line}");
    }
    assert_eq!(take(&mut session, "PART #studio"), [Action::Part(name("studio"))]);
    assert_eq!(told(&session.parted(&name("studio"))), [":ada!ada@millrace PART #studio"]);
}

#[test]
fn what_is_refused_is_said_in_the_way_that_the_client_knows() {
    let studio = name("studio");
    assert_eq!(told(&here("").refused(&studio, "slow_mode", "Wait.")), [":millrace 404 ada #studio :Wait."]);
    assert_eq!(
        told(&here("standard-replies").refused(&studio, "slow_mode", "Wait.")),
        [":millrace FAIL PRIVMSG SLOW_MODE #studio :Wait."]
    );
    assert_eq!(told(&here("").kept_out(&studio, "Banned")), [":millrace KICK #studio ada :Banned"]);
    assert_eq!(
        told(&Session::default().kept_out(&studio, "No such channel")),
        [":millrace 403 * #studio :No such channel"]
    );
}

#[test]
fn a_room_has_its_rules_as_topic_and_names_some_who_are_there() {
    let mut session = here("");
    let names: Vec<ChannelName> = (0..12).map(|number| name(&format!("user_{number}"))).collect();
    let joined = session.joined(&name("boats"), "Be kind.\nNo spoilers.", &names);
    let lines = told(&joined);
    assert_eq!(lines[0], ":ada!ada@millrace JOIN #boats");
    assert_eq!(lines[1], ":millrace 332 ada #boats :Be kind. \u{b7} No spoilers.");
    assert!(lines[2].starts_with(":millrace 353 ada = #boats :ada user_0 "), "{lines:?}");
    assert_eq!((lines.len(), *lines.last().unwrap()), (5, ":millrace 366 ada #boats :End of NAMES list"));
}

#[test]
fn a_connection_is_in_a_bounded_number_of_rooms() {
    let mut session = here("");
    for number in 1..ROOMS_MAX {
        session.joined(&name(&format!("room_{number}")), "", &[]);
    }
    assert_eq!(
        told(&take(&mut session, "JOIN #one_more")),
        [":millrace 405 ada #one_more :You are in as many rooms as a connection may be in"]
    );
}

#[test]
fn who_waits_for_a_moderator_is_told_so() {
    let room = name("studio");
    let held = here("standard-replies").held(&room, "Wait.");
    assert_eq!(told(&held), [":millrace NOTE PRIVMSG HELD #studio :Wait."]);
    assert_eq!(told(&here("").held(&room, "Wait.")), [":millrace NOTICE #studio :Wait."]);
}
