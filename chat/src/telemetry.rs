//! Names of what this crate counts.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::protocol::Code;

/// Why something is refused most often.
const CODES: [Code; 4] = [Code::TemporarilyUnavailable, Code::RateLimited, Code::SlowMode, Code::BlockedTerm];

/// Makes every series, at zero, with the recorder that is installed now: the first event of a kind is then a rise that
/// an alert can see, and not a series that begins.
pub fn register() {
    for (name, about) in [
        ("millrace_chat_connections", "Connections that read a room"),
        ("millrace_chat_rooms", "Rooms that this process knows"),
    ] {
        describe_gauge!(name, about);
        gauge!(name).set(0);
    }
    for (name, about) in [
        ("millrace_chat_messages_total", "Messages that were acknowledged to their authors here"),
        ("millrace_chat_held_total", "Messages that wait for a moderator, as their authors were told here"),
        ("millrace_chat_slow_total", "Connections that were closed because they read too slowly"),
    ] {
        describe_counter!(name, about);
        counter!(name).absolute(0);
    }
    describe_counter!("millrace_chat_irc_refused_total", "Connections by IRC that found no place, by whose");
    for reason in ["address_limit", "connection_limit"] {
        counter!("millrace_chat_irc_refused_total", "reason" => reason).absolute(0);
    }
    describe_counter!("millrace_chat_refused_total", "Messages that were not said, by why");
    for code in CODES {
        counter!("millrace_chat_refused_total", "code" => code.name()).absolute(0);
    }
}
