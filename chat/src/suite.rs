//! For the fuzz target and its replay: what any frame of a page may do to a room.

use std::collections::HashSet;

use jiff::Timestamp;
use millrace_core::chat::{Links, RoomSettings, RoomUpdated};
use millrace_core::ids::{ChannelId, MessageId, UserId};

use crate::config::ChatConfig;
use crate::protocol::{ClientFrame, Draft, MAX_FRAME_BYTES, ServerFrame};
use crate::records::{Chatter, RoomRecord};
use crate::room::{Admitted, Room, Speaks};

/// Takes any bytes as a frame, or as the text of one, in a room with rules; the first byte chooses them.
///
/// # Panics
/// When a message is let in that breaks a rule of the room, shows what cannot be seen, or does not survive the way over the bus and
/// to a page; when a nonce is said twice.
pub fn message(data: &[u8]) {
    let Some((rules, frame)) = data.split_first().filter(|_| data.len() <= MAX_FRAME_BYTES) else { return };
    let text = String::from_utf8_lossy(frame);
    let draft = match serde_json::from_slice(frame) {
        Ok(ClientFrame::Send(draft)) => draft,
        Ok(_) => return,
        Err(_) => Draft { nonce: "n".to_owned(), text: text.into_owned(), reply_to: None },
    };
    let settings = RoomSettings {
        max_length: 100,
        links: [Links::Allowed, Links::Trusted, Links::Nobody][usize::from(rules % 3)],
        unique: rules & 4 != 0,
        blocked_terms: if rules & 8 != 0 {
            vec!["spam".to_owned(), "buy now*".to_owned()]
        } else {
            Vec::new()
        },
        ..RoomSettings::default()
    };
    let max_length = usize::from(settings.max_length);
    let state = RoomUpdated { settings, version: 1, ..RoomUpdated::default() };
    let channel = ChannelId(uuid::Uuid::from_u128(9));
    let owner = UserId(uuid::Uuid::from_u128(1));
    let site_emotes = Vec::new();
    let record = RoomRecord {
        channel,
        since_ms: 0,
        owner,
        moderators: Vec::new(),
        state,
        site_emotes,
        site_contact: String::new(),
    };
    let mut room = Room::new("studio".parse().expect("a name"), record);
    let chatter = Chatter {
        user: UserId(uuid::Uuid::from_u128(2)),
        name: "somebody".parse().expect("a name"),
        display_name: "Somebody".to_owned(),
        session: None,
        admin: false,
        bot: false,
        since_ms: 0,
    };
    let mut said = HashSet::new();
    for number in 0..3 {
        let id = MessageId(uuid::Uuid::from_u128(100 + number));
        let Ok(admitted) = room.admit(
            &chatter,
            Speaks::default(),
            &draft,
            (id, Timestamp::UNIX_EPOCH),
            &ChatConfig::default(),
        ) else {
            continue;
        };
        let Admitted::Publish(message) = admitted else { panic!("nothing was settled") };
        said.insert(message.id);
        let shown = message.text.chars();
        assert!((1..=max_length).contains(&shown.clone().count()), "{:?}", message.text);
        assert!(
            !shown.clone().any(|c| (c.is_control() && c != '\n') || HIDDEN.contains(&c)),
            "{:?}",
            message.text
        );
        let kept = serde_json::to_string(message.as_ref()).expect("it is JSON");
        assert_eq!(
            serde_json::from_str::<millrace_core::chat::ChatMessage>(&kept).as_ref().ok(),
            Some(message.as_ref())
        );
        let frame = ServerFrame::Messages { messages: &[message] }.to_text();
        serde_json::from_str::<serde_json::Value>(&frame).expect("it is JSON");
    }
    assert!(said.len() <= 1, "one nonce is one message");
}

/// Marks that turn lines around, and spaces without width: nobody must be able to hide in them.
const HIDDEN: [char; 12] = [
    '\u{200b}', '\u{2060}', '\u{feff}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_that_is_typed_breaks_a_room(rules: u8, text in any::<String>(), bytes: Vec<u8>) {
            super::message(&[&[rules], text.as_bytes()].concat());
            super::message(&bytes);
        }
    }
}
