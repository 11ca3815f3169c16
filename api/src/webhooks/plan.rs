//! Sans-IO: how much is delivered at once, and when it is tried again.

use serde_json::Value;

use super::record::WebhookDelivery;

/// A minute, in milliseconds.
pub(super) const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Most events of one delivery, and most bytes of them.
pub const EVENTS_MAX: usize = 100;
/// One event may be larger: it is delivered alone.
pub const BYTES_MAX: usize = 256 * 1024;
/// Deliveries of a webhook that wait; what comes when there are so many is lost, and counted.
pub const WAITING_MAX: u64 = 500;
/// For how long a delivery is tried.
pub const GIVE_UP_MS: i64 = DAY_MS;
/// A webhook that took nothing for so long is turned off.
pub const DISABLE_AFTER_MS: i64 = DAY_MS;
/// How long the secret before signs too.
pub const PREVIOUS_SECRET_MS: i64 = DAY_MS;
/// Attempts that are shown.
pub const RECENT_MAX: usize = 25;
/// What was refused so often waits aside, and others overtake it.
const IN_ORDER_TRIES: u32 = 5;
/// The first pause after a failure, and how many times longer than the one before each is.
const PAUSE_FIRST_MS: i64 = 5_000;
const PAUSE_GROWTH: i64 = 3;
/// The longest pause.
const PAUSE_MAX_MS: i64 = 10 * MINUTE_MS;
/// The longest pause that a receiver gets by asking for it.
const ASKED_MAX_MS: i64 = HOUR_MS;

/// How long to wait after so many failures in a row. `jitter` spreads those that failed together by a fifth.
#[must_use]
pub fn pause_ms(failures: u32, asked_ms: Option<i64>, jitter: u8) -> i64 {
    let grown = PAUSE_GROWTH.saturating_pow(failures.saturating_sub(1)).saturating_mul(PAUSE_FIRST_MS);
    let pause = grown.min(PAUSE_MAX_MS);
    let spread = pause * (80 + i64::from(jitter) * 40 / 255) / 100;
    spread.max(asked_ms.unwrap_or(0).min(ASKED_MAX_MS))
}

/// A delivery that was not taken. It keeps its place, so that nothing overtakes it, until it was refused often.
#[must_use]
pub fn put_back(delivery: WebhookDelivery, now_ms: i64, jitter: u8) -> WebhookDelivery {
    let tries = delivery.tries.saturating_add(1);
    let due = match tries {
        ..IN_ORDER_TRIES => delivery.due,
        _ => now_ms.saturating_add(pause_ms(tries, None, jitter)),
    };
    WebhookDelivery { tries, due, ..delivery }
}

/// Cuts events into what is delivered at once.
#[must_use]
pub fn cut(events: Vec<Value>) -> Vec<Vec<Value>> {
    let mut pieces: Vec<Vec<Value>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        let length = event.to_string().len();
        match pieces.last_mut().filter(|piece| piece.len() < EVENTS_MAX && bytes + length <= BYTES_MAX) {
            Some(piece) => {
                piece.push(event);
                bytes += length;
            }
            None => {
                pieces.push(vec![event]);
                bytes = length;
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use millrace_core::ids::ChannelId;
    use millrace_core::trace::Cause;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn pauses_grow_are_spread_and_are_as_long_as_was_asked_within_reason() {
        let middle: Vec<_> = (1..=6).map(|failures| pause_ms(failures, None, 128) / 1_000).collect();
        assert_eq!(middle, [5, 15, 45, 135, 405, 600]);
        assert_eq!((pause_ms(1, None, 0), pause_ms(1, None, 255)), (4_000, 6_000));
        assert_eq!(pause_ms(u32::MAX, None, 255), 720_000);
        assert_eq!(pause_ms(1, Some(30_000), 0), 30_000);
        assert_eq!(pause_ms(1, Some(i64::MAX), 0), HOUR_MS);
    }

    #[test]
    fn what_is_refused_keeps_its_place_for_some_tries_and_then_lets_others_by() {
        let mut delivery = WebhookDelivery {
            id: Uuid::from_u128(1),
            webhook: Uuid::from_u128(2),
            channel: ChannelId(Uuid::from_u128(3)),
            at: 7,
            due: 7,
            tries: 0,
            first: "message.sent".to_owned(),
            events: Vec::new(),
            cause: Cause::default(),
        };
        for tries in 1..IN_ORDER_TRIES {
            delivery = put_back(delivery, 1_000, 0);
            assert_eq!((delivery.tries, delivery.due), (tries, 7));
        }
        delivery = put_back(delivery, 1_000, 0);
        assert!(delivery.due > 1_000 + MINUTE_MS, "{}", delivery.due);
    }

    #[test]
    fn what_comes_together_is_delivered_together_within_bounds_and_in_order() {
        let events: Vec<_> = (0..250).map(Value::from).collect();
        let pieces = cut(events.clone());
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(pieces.concat(), events);
        let long = Value::from("x".repeat(BYTES_MAX / 2));
        assert_eq!(cut(vec![long.clone(), long, 1.into()]).len(), 2);
        let too_long = Value::from("x".repeat(2 * BYTES_MAX));
        assert_eq!(cut(vec![1.into(), too_long, 2.into()]).len(), 3);
        assert!(cut(Vec::new()).is_empty());
    }
}
