//! What a child process says on its standard error, as lines for the log, bounded in length and rate. Sans-IO.

use std::time::{Duration, Instant};

/// Bytes of a line that are shown.
const MAX_LINE_BYTES: usize = 500;
/// Lines that are shown per [`PERIOD`].
const MAX_LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(60);

/// Cuts a stream of bytes into lines and passes on as many as a log can bear.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    line: Vec<u8>,
    period: Option<Instant>,
    shown: u32,
    hidden: u64,
}

impl Complaints {
    /// Takes bytes; answers the lines to log.
    pub(super) fn push(&mut self, now: Instant, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = MAX_LINE_BYTES - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if whole {
                self.end_line(now, &mut lines);
            }
        }
        lines
    }

    /// The stream is over; answers the last lines.
    pub(super) fn end(mut self, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        self.end_line(now, &mut lines);
        self.say_what_is_hidden(&mut lines);
        lines
    }

    fn end_line(&mut self, now: Instant, lines: &mut Vec<String>) {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii();
        if text.is_empty() {
            return;
        }
        if self.period.is_none_or(|period| now.saturating_duration_since(period) >= PERIOD) {
            self.say_what_is_hidden(lines);
            (self.period, self.shown) = (Some(now), 0);
        }
        if self.shown == MAX_LINES {
            self.hidden += 1;
            return;
        }
        self.shown += 1;
        // Control characters of a codec's message have no place in a log.
        lines.push(
            text.utf8_chunks().flat_map(|chunk| chunk.valid().chars()).filter(|c| !c.is_control()).collect(),
        );
    }

    fn say_what_is_hidden(&mut self, lines: &mut Vec<String>) {
        let hidden = std::mem::take(&mut self.hidden);
        if hidden > 0 {
            lines.push(format!("({hidden} more lines are not shown)"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn lines_are_whole_however_they_come() {
        let (mut complaints, now) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.push(now, b"one\ntw"), ["one"]);
        assert_eq!(complaints.push(now, b"o\r\n\n\n\x1b[31mthr\xffee"), ["two"]);
        assert_eq!(complaints.end(now), ["[31mthree"]);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_flood_is_neither_kept_nor_logged() {
        let (mut complaints, now) = (Complaints::default(), Instant::now());
        let long = [b'x'; 100_000];
        assert!(complaints.push(now, &long).is_empty());
        assert!(complaints.line.capacity() < 2 * MAX_LINE_BYTES);
        assert_eq!(complaints.push(now, b"\n")[0].len(), MAX_LINE_BYTES);
        let shown = complaints.push(now, b"again\n".repeat(1000).as_slice());
        assert_eq!(shown.len(), 19);
        let later = now + PERIOD;
        assert_eq!(complaints.push(later, b"later\n"), ["(981 more lines are not shown)", "later"]);
        assert!(complaints.end(later).is_empty());
    }
}
