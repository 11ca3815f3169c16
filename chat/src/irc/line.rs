//! Sans-IO: lines of IRC (RFC 1459 §2.3, IRCv3 message tags).

use std::fmt::Write as _;

/// Most bytes of a line without its tags, with CR and LF (RFC 1459 §2.3).
pub(crate) const LINE_MAX: usize = 512;
/// Most bytes of the tags that a client may send (IRCv3 message tags), with `@` and the space after them.
pub(crate) const TAGS_MAX: usize = 4_096;
/// Parameters of a line.
const PARAMS_MAX: usize = 15;
/// Bytes of text in one line: what is left beside the source, the command and the room.
const TEXT_MAX: usize = 350;

/// What came, a line of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Line(String),
    /// More than [`TAGS_MAX`] and [`LINE_MAX`]; it was thrown away.
    TooLong,
    /// No UTF-8.
    NoText,
}

/// Puts lines together, of which the other side may send any part at any time.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    held: Vec<u8>,
    skips: bool,
}

impl Lines {
    /// Takes bytes, and tells of each line that ends with them. Empty lines are none.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Came> {
        let mut came = Vec::new();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' if std::mem::take(&mut self.skips) => came.push(Came::TooLong),
                b'\r' | b'\n' if self.held.is_empty() => {}
                b'\r' | b'\n' => came.push(match String::from_utf8(std::mem::take(&mut self.held)) {
                    Ok(line) => Came::Line(line),
                    Err(_) => Came::NoText,
                }),
                _ if self.skips => {}
                _ if self.held.len() == TAGS_MAX + LINE_MAX => {
                    self.held = Vec::new();
                    self.skips = true;
                }
                byte => self.held.push(*byte),
            }
        }
        came
    }
}

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Tag and value, unescaped.
    pub(crate) tags: Vec<(String, String)>,
    /// In capitals.
    pub(crate) command: String,
    pub(crate) params: Vec<String>,
}

impl Line {
    /// Reads a line without its end; `None` for one in which there is no command.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut rest = line.trim_start_matches(' ');
        let mut tags = Vec::new();
        if let Some(tagged) = rest.strip_prefix('@') {
            let (all, after) = tagged.split_once(' ')?;
            tags = all.split(';').filter(|tag| !tag.is_empty()).map(tag_of).collect();
            rest = after.trim_start_matches(' ');
        }
        if let Some(sourced) = rest.strip_prefix(':') {
            // A client has no say in who it is.
            rest = sourced.split_once(' ')?.1.trim_start_matches(' ');
        }
        let (command, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if command.is_empty() || !command.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let mut params = Vec::new();
        loop {
            rest = rest.trim_start_matches(' ');
            if rest.is_empty() {
                break;
            }
            if let Some(last) = rest.strip_prefix(':') {
                params.push(last.to_owned());
                break;
            }
            if params.len() == PARAMS_MAX - 1 {
                params.push(rest.to_owned());
                break;
            }
            let (param, after) = rest.split_once(' ').unwrap_or((rest, ""));
            params.push(param.to_owned());
            rest = after;
        }
        Some(Self { tags, command: command.to_ascii_uppercase(), params })
    }

    pub(crate) fn param(&self, index: usize) -> &str {
        self.params.get(index).map_or("", String::as_str)
    }

    pub(crate) fn tag(&self, name: &str) -> Option<&str> {
        // Of two, the last one holds.
        self.tags.iter().rev().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str())
    }
}

fn tag_of(tag: &str) -> (String, String) {
    let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(':') => plain.push(';'),
                Some('s') => plain.push(' '),
                Some('r') => plain.push('\r'),
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            other => plain.push(other),
        }
    }
    (name.to_owned(), plain)
}

/// Tags as they are sent, with the space after them; nothing if there are none.
pub(crate) fn tags(all: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in all {
        text.push(if text.is_empty() { '@' } else { ';' });
        text.push_str(name);
        if !value.is_empty() {
            text.push('=');
        }
        for character in value.chars() {
            match character {
                ';' => text.push_str("\\:"),
                ' ' => text.push_str("\\s"),
                '\\' => text.push_str("\\\\"),
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
    }
    if !text.is_empty() {
        text.push(' ');
    }
    text
}

/// `:source command params :last`; nothing that was said can end the line or begin another one.
pub(crate) fn line(source: &str, command: &str, params: &[&str], last: Option<&str>) -> String {
    let mut text = format!(":{source} {command}");
    for param in params {
        let _ = write!(text, " {param}");
    }
    if let Some(last) = last {
        text.push_str(" :");
        text.push_str(last);
    }
    text.retain(|character| !matches!(character, '\r' | '\n' | '\0'));
    text
}

/// A text as so many lines as it needs: those that it has, and long ones cut between characters, at a space if there is one.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    for mut line in text.split('\n').filter(|line| !line.trim().is_empty()) {
        while line.len() > TEXT_MAX {
            let end = (0..=TEXT_MAX).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
            let cut = line[..end].rfind(' ').filter(|space| *space > 0).unwrap_or(end);
            pieces.push(&line[..cut]);
            line = line[cut..].trim_start_matches(' ');
        }
        pieces.push(line);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_meant() {
        let read = Line::parse("@+draft/reply=a\\:b\\s;x :me!me@me privmsg #studio  :hello  there ").unwrap();
        assert_eq!(
            (read.command.as_str(), read.tag("+draft/reply"), read.tag("x")),
            ("PRIVMSG", Some("a;b "), Some(""))
        );
        assert_eq!(read.params, ["#studio", "hello  there "]);
        assert_eq!(Line::parse("JOIN #a,#b").unwrap().param(0), "#a,#b");
        assert_eq!(Line::parse("PING").unwrap().params, Vec::<String>::new());
        assert_eq!(Line::parse("TOPIC #a :").unwrap().params, ["#a", ""]);
        for no_line in ["", "   ", ":only.a.source", "@tags-only", "PRIV\u{e4}SG x", ":a  "] {
            assert_eq!(Line::parse(no_line), None, "{no_line:?}");
        }
        let many: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        assert_eq!(Line::parse(&format!("X {}", many.join(" "))).unwrap().params.len(), PARAMS_MAX);
    }

    #[test]
    fn long_texts_are_cut_at_spaces_and_never_within_a_character() {
        let words = "w\u{e4}rter ".repeat(100);
        let cut = pieces(words.trim());
        assert!(cut.len() > 1 && cut.iter().all(|piece| piece.len() <= TEXT_MAX && piece.ends_with('r')));
        assert_eq!(cut.join(" "), words.trim());
        let word = "\u{1f6f6}".repeat(200);
        assert_eq!(pieces(&word).concat(), word);
        assert_eq!(pieces("one\n\n two\nthree"), ["one", " two", "three"]);
    }

    #[test]
    fn what_is_too_long_or_no_text_is_thrown_away_and_the_next_line_is_read() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"NICK a\r\nUS"), [Came::Line("NICK a".to_owned())]);
        assert_eq!(lines.take(b"ER\n\xff\xfe\n"), [Came::Line("USER".to_owned()), Came::NoText]);
        assert_eq!(lines.take(&vec![b'x'; 100_000]), []);
        assert_eq!(lines.held.capacity(), 0, "it is not kept");
        assert_eq!(lines.take(b"\r\nPING\n"), [Came::TooLong, Came::Line("PING".to_owned())]);
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_makes_another_line(text in any::<String>(), value in any::<String>()) {
            let sent = format!("{}{}", tags(&[("a", value.clone())]), line("s", "PRIVMSG", &["#x"], Some(&text)));
            prop_assert!(!sent.contains(['\r', '\n']));
            let read = Line::parse(&sent).unwrap();
            prop_assert_eq!(read.tag("a"), Some(value.as_str()));
            let plain: String = text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect();
            prop_assert_eq!(&read.params, &["#x".to_owned(), plain]);
        }

        #[test]
        fn any_line_is_read_or_not(text in any::<String>()) {
            let _ = Line::parse(&text);
        }
    }
}
