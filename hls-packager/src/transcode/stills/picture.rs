//! Whether the picture is black, or stands still: from the looks of its keyframes. Sans-IO.

use std::time::{Duration, Instant};

use millrace_core::event::StreamWarning;
use millrace_core::transcode::Look;

/// Looks in a row that are needed: what is so over three intervals has four.
const LOOKS: u32 = 4;
/// Luma that nineteen of twenty pixels of a black picture are at or below. Video's black is 16; a night has its lamps.
const BLACK: u8 = 24;
/// How much the mean luma of one of the 64 fields may differ in a picture that is the same.
const SAME_FIELD: u8 = 1;
/// How much all fields together may: encoders do not send a still picture twice in the same bits.
const SAME_PICTURE: u32 = 8;
/// After so many intervals without a look nothing is known.
const FORGOTTEN_AFTER: u32 = 4;

/// What is wrong with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Black,
    Still,
}

/// Looks at the pictures of one publisher.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// Of the first picture of those that look the same.
    first: Option<(Instant, Look)>,
    last: Option<Instant>,
    same: u32,
    black_since: Option<Instant>,
    black: u32,
}

impl Picture {
    /// Takes the look of the next keyframe, of this moment.
    pub(super) fn look(&mut self, now: Instant, look: Look) {
        self.last = Some(now);
        // Against the first one: what changes little by little changes.
        match &self.first {
            Some((_, first)) if is_same(first, &look) => self.same = self.same.saturating_add(1),
            _ => (self.first, self.same) = (Some((now, look)), 1),
        }
        if look.luma_p95 <= BLACK {
            self.black_since.get_or_insert(now);
            self.black = self.black.saturating_add(1);
        } else {
            (self.black_since, self.black) = (None, 0);
        }
    }

    /// What the streamer should know, if looks come every `interval`.
    pub(super) fn warning(&self, now: Instant, interval: Duration) -> Option<StreamWarning> {
        let (kind, since) = self.wrong(now, interval)?;
        let seconds = now.saturating_duration_since(since).as_secs();
        let (code, sentence) = match kind {
            Kind::Black => (
                "picture_black",
                format!(
                    "The picture has been black for {seconds} s. If that is not on purpose, look whether the scene in OBS \
                     has its sources and they are shown, and whether the right screen, window or camera is captured."
                ),
            ),
            Kind::Still => (
                "picture_still",
                format!(
                    "The picture has not changed for {seconds} s. If that is not on purpose, look whether the source in OBS \
                     hangs: a camera that was unplugged, a window that was closed, a game that is paused."
                ),
            ),
        };
        Some(StreamWarning { code: code.into(), sentence })
    }

    fn wrong(&self, now: Instant, interval: Duration) -> Option<(Kind, Instant)> {
        let last = self.last?;
        if now.saturating_duration_since(last) > interval * FORGOTTEN_AFTER {
            return None;
        }
        if let Some(since) = self.black_since.filter(|_| self.black >= LOOKS) {
            return Some((Kind::Black, since));
        }
        let (since, _) = self.first.as_ref().filter(|_| self.same >= LOOKS)?;
        Some((Kind::Still, *since))
    }
}

fn is_same(one: &Look, other: &Look) -> bool {
    let pairs = one.fields.as_flattened().iter().zip(other.fields.as_flattened());
    let mut sum = 0;
    for difference in pairs.map(|(one, other)| one.abs_diff(*other)) {
        if difference > SAME_FIELD {
            return false;
        }
        sum += u32::from(difference);
    }
    sum <= SAME_PICTURE
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn of(luma: u8) -> Look {
        Look { luma, luma_p95: luma, fields: [[luma; 8]; 8] }
    }

    /// Looks, one per interval; after each, the code of the warning.
    fn codes(looks: impl IntoIterator<Item = Look>) -> Vec<String> {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let start = Instant::now();
        let mut picture = Picture::default();
        let each = looks.into_iter().zip(0..).map(|(look, number)| {
            let now = start + INTERVAL * number;
            picture.look(now, look);
            picture.warning(now, INTERVAL).map_or_else(String::new, |warning| warning.code)
        });
        each.collect()
    }

    #[test]
    fn black_is_told_after_three_intervals_and_forgiven_at_once() {
        let looks = [16, 16, 16, 16, 17, 90, 16, 16].map(of);
        assert_eq!(codes(looks), ["", "", "", "picture_black", "picture_black", "", "", ""]);
        // A night with a lamp, and black that comes and goes.
        let night = Look { luma_p95: 40, ..of(18) };
        assert_eq!(codes([night, of(16), of(16), of(16), of(90), of(16)]).concat(), "");
    }

    #[test]
    fn a_still_picture_is_told_and_one_with_small_changes_is_not() {
        assert_eq!(codes([of(80); 5]), ["", "", "", "picture_still", "picture_still"]);
        // What an encoder makes of the same picture.
        let mut noisy = of(80);
        (0..8).for_each(|field| noisy.fields[field][field] = 81);
        assert_eq!(codes([of(80), noisy, of(80), noisy]).last().unwrap(), "picture_still");
        // A slide with another line on it.
        let mut slide = of(80);
        slide.fields[3][4] = 82;
        assert_eq!(codes([of(80), slide, of(80), slide, of(80), slide]).concat(), "");
        let mut shade = of(80);
        shade.fields[0] = [81; 8];
        shade.fields[1][0] = 81;
        assert_eq!(codes([of(80), shade, of(80), shade, of(80), shade]).concat(), "");
        // A slow fade.
        assert_eq!(codes((80..100).map(of)).concat(), "");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn the_sentence_says_how_long_and_nothing_is_said_of_what_was_not_looked_at() {
        let (mut picture, start) = (Picture::default(), Instant::now());
        (0..4).for_each(|number| picture.look(start + INTERVAL * number, of(80)));
        let now = start + INTERVAL * 3 + Duration::from_secs(4);
        assert!(picture.warning(now, INTERVAL).unwrap().sentence.contains("for 34 s"));
        assert_eq!(picture.warning(start + INTERVAL * 8, INTERVAL), None);
    }
}
