//! The time as answers say it (RFC 9110 §5.6.7), formatted once a second on each thread.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
const LENGTH: usize = 29;

thread_local! {
    static WRITTEN: RefCell<(u64, [u8; LENGTH])> = const { RefCell::new((u64::MAX, [0; LENGTH])) };
}

/// Lets `with` see `now`.
pub(super) fn with<T>(now: SystemTime, with: impl FnOnce(&[u8]) -> T) -> T {
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    WRITTEN.with_borrow_mut(|(written, text)| {
        if *written != second {
            // It is as long as that until the year 9999, and cut after.
            let _ = write!(&mut text[..], "{}", httpdate::HttpDate::from(now));
            *written = second;
        }
        with(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_second_has_its_own_text() {
        for (second, wanted) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            let now = UNIX_EPOCH + Duration::from_millis(second * 1000 + 999);
            with(now, |text| assert_eq!(text, wanted.as_bytes()));
        }
    }
}
