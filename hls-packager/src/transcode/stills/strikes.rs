//! Which broadcast the process died of. Sans-IO.

use std::time::{Duration, Instant};

/// How long a broadcast has no pictures after the process died of one of its keyframes; each further time twice as long.
const FIRST: Duration = Duration::from_secs(10);
/// Doublings.
const MAX_DOUBLINGS: u32 = 8;

/// Keeps a broadcast whose pictures end or hang the process from costing all others theirs.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    count: u32,
    until: Option<Instant>,
}

impl Strikes {
    /// The process died of a keyframe, or hung.
    pub(super) fn strike(&mut self, now: Instant) {
        self.until = Some(now + FIRST * (1 << self.count.min(MAX_DOUBLINGS)));
        self.count = self.count.saturating_add(1);
    }

    /// A keyframe became a picture.
    pub(super) fn forgive(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// Whether its keyframes are taken.
    pub(super) fn is_served(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_broadcast_that_kills_the_process_comes_less_and_less_often() {
        let (mut strikes, mut now) = (Strikes::default(), Instant::now());
        assert!(strikes.is_served(now));
        let mut pauses = Vec::new();
        for _ in 0..11 {
            strikes.strike(now);
            let began = now;
            while !strikes.is_served(now) {
                now += Duration::from_secs(10);
            }
            pauses.push((now - began).as_secs());
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 2560, 2560]);
        (0..20).for_each(|_| strikes.forgive());
        strikes.strike(now);
        assert!(strikes.is_served(now + FIRST));
    }
}
