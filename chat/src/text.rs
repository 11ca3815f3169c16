//! Sans-IO: what becomes of the text of a message, and what is found in it.

use std::collections::BTreeSet;

use millrace_core::ids::ChannelName;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Most lines of a message.
const MAX_LINES: usize = 6;
/// Marks that may stand on one letter. Scripts need up to four; more of them hide the lines around.
const MAX_MARKS: usize = 4;
/// Zero width non-joiner and joiner.
const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
/// People that one message may call.
pub(crate) const MAX_MENTIONS: usize = 10;

/// Text as it is shown: trimmed, without what cannot be seen, turns the direction of the line around, or stands above and
/// below it; at most a few lines.
pub(crate) fn cleaned(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let (mut lines, mut marks) = (1, 0);
    let mut characters = text.trim().chars().peekable();
    while let Some(character) = characters.next() {
        if is_combining_mark(character) {
            marks += 1;
            // A mark stands on something.
            if marks > MAX_MARKS || clean.is_empty() || clean.ends_with([' ', '\n']) {
                continue;
            }
        } else if !is_hidden(character) && !matches!(character, ZWNJ | ZWJ) {
            marks = 0;
        }
        match character {
            '\n' if clean.is_empty() => {}
            '\n' => {
                let line_end = clean.trim_end_matches(' ').len();
                clean.truncate(line_end);
                if lines < MAX_LINES && !clean.ends_with('\n') {
                    clean.push('\n');
                    lines += 1;
                } else if !clean.ends_with('\n') {
                    clean.push(' ');
                }
            }
            character if character.is_whitespace() => {
                if !clean.is_empty() && !clean.ends_with([' ', '\n']) {
                    clean.push(' ');
                }
            }
            ZWNJ | ZWJ if !is_joining(character, &clean, characters.peek().copied()) => {}
            character if is_hidden(character) => {}
            character => clean.push(character),
        }
    }
    clean.truncate(clean.trim_end().len());
    clean
}

/// Whether a joiner does something between a text and what comes next: in scripts whose letters change where they meet (RFC 5892 appendix
/// A names them by what joins), and ZWJ between pictures. Elsewhere it only makes a word look like another one.
fn is_joining(joiner: char, before: &str, after: Option<char>) -> bool {
    let letter = before.chars().rev().find(|c| !is_combining_mark(*c));
    let (Some(letter), Some(after)) = (letter, after) else { return false };
    let between = |is: fn(char) -> bool| is(letter) && is(after);
    between(is_cursive) || (joiner == ZWJ && between(is_picture))
}

fn is_picture(character: char) -> bool {
    let is_letter = character.is_alphanumeric() || is_combining_mark(character);
    let is_nothing = character.is_whitespace() || is_hidden(character) || matches!(character, ZWNJ | ZWJ);
    !character.is_ascii() && !is_letter && !is_nothing
}

/// Arabic, Syriac and their neighbours, the scripts of India, Myanmar, Khmer, Mongolian, and Arabic as it is presented.
fn is_cursive(character: char) -> bool {
    let is_there = matches!(
        character,
        '\u{600}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
    );
    is_there && character.is_alphabetic() && !is_combining_mark(character)
}

/// Characters that nobody sees, but for the joiners, which [`is_joining`] looks at, and the variation selectors that make
/// pictures.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{f0000}'..='\u{10ffff}'
        )
}

/// The first `limit` characters.
pub(crate) fn beginning(text: &str, limit: usize) -> &str {
    text.char_indices().nth(limit).map_or(text, |(end, _)| &text[..end])
}

/// Who is called: `@name` at the beginning of a word, each once.
pub(crate) fn mentions(text: &str) -> Vec<ChannelName> {
    let named = |word: &str| {
        let name = word.strip_prefix('@')?;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        name[..end].to_ascii_lowercase().parse().ok()
    };
    let mut seen = BTreeSet::new();
    text.split([' ', '\n', '(', ',', '"'])
        .filter_map(named)
        .filter(|name: &ChannelName| seen.insert(name.clone()))
        .take(MAX_MENTIONS)
        .collect()
}

/// Whether there is an address in it that a reader could follow: one with a scheme, or a name with a domain.
pub(crate) fn has_link(text: &str) -> bool {
    text.split_whitespace().any(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/');
        if word.contains("://") || word.starts_with("www.") {
            return true;
        }
        let host = word.split(['/', '?', '#', ':']).next().unwrap_or_default();
        let Some((name, last)) = host.rsplit_once('.') else { return false };
        let letters = last.chars().count() >= 2 && last.chars().all(char::is_alphabetic);
        letters && name.chars().last().is_some_and(char::is_alphanumeric) && !is_a_file(last, word)
    })
}

/// `main.rs` is no address, `main.rs/path` is.
fn is_a_file(extension: &str, word: &str) -> bool {
    const FILES: [&str; 12] = ["rs", "py", "js", "ts", "md", "txt", "png", "jpg", "gif", "mp4", "mp3", "exe"];
    !word.contains('/') && FILES.contains(&extension.to_lowercase().as_str())
}

/// The words of a text as they are compared: without case, accents, and look-alike forms of the same letter.
fn words(text: &str) -> Vec<String> {
    let counts = |c: &char| !is_combining_mark(*c) && !matches!(*c, ZWNJ | ZWJ);
    let plain: String = text.nfkd().filter(counts).flat_map(char::to_lowercase).collect();
    plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// How two messages are compared that must not be alike.
pub(crate) fn essence(text: &str) -> String {
    words(text).join(" ")
}

/// Terms that nobody may say. A term is one or more words; `*` at the end of a word stands for any ending.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blocked(Vec<Vec<Pattern>>);

#[derive(Debug, Clone)]
struct Pattern {
    word: String,
    open: bool,
}

impl Pattern {
    fn matches(&self, word: &str) -> bool {
        if self.open { word.starts_with(&self.word) } else { word == self.word }
    }
}

impl Blocked {
    /// Terms as people write them.
    pub(crate) fn new(terms: &[String]) -> Self {
        let patterns = |term: &String| -> Vec<Pattern> {
            term.split_whitespace()
                .flat_map(|part| {
                    let open = part.ends_with('*');
                    let words = words(part);
                    let last = words.len().saturating_sub(1);
                    words
                        .into_iter()
                        .enumerate()
                        .map(move |(at, word)| Pattern { word, open: open && at == last })
                })
                .collect()
        };
        Self(terms.iter().map(patterns).filter(|term| !term.is_empty()).collect())
    }

    /// Whether one of them is in the text. Takes time in proportion to the text and the terms, whatever they are.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let words = words(text);
        self.0.iter().any(|term| {
            words.windows(term.len()).any(|said| said.iter().zip(term).all(|(word, part)| part.matches(word)))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_shown_as_it_was_meant() {
        for (text, shown) in [
            ("  hello   there ", "hello there"),
            ("one\r\ntwo", "one\ntwo"),
            ("a \n\n\n b", "a\nb"),
            ("1\n2\n3\n4\n5\n6\n7\n8", "1\n2\n3\n4\n5\n6 7 8"),
            ("zero\u{200b}width\u{feff}", "zerowidth"),
            ("\u{202e}gnp.exe\u{202c}", "gnp.exe"),
            ("tab\there", "tab here"),
            ("bell\u{7}", "bell"),
            ("e\u{301}tude", "e\u{301}tude"),
            ("\u{301}\u{301}x", "x"),
            ("\u{1f469}\u{200d}\u{1f680} \u{2764}\u{fe0f}", "\u{1f469}\u{200d}\u{1f680} \u{2764}\u{fe0f}"),
            // Persian "I want", Hindi with a half letter: joiners that change what is seen.
            ("\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}", "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}"),
            ("\u{915}\u{94d}\u{200d}\u{937}", "\u{915}\u{94d}\u{200d}\u{937}"),
            // And where they change nothing.
            ("ba\u{200d}d \u{200c}w\u{200c}ord\u{200d}", "bad word"),
            ("\u{1f469}\u{200c}\u{1f680}\u{200d}", "\u{1f469}\u{1f680}"),
            ("\u{200b}\u{2060}", ""),
            ("\u{3164}", ""),
            ("", ""),
        ] {
            assert_eq!(cleaned(text), shown, "{text:?}");
        }
    }

    #[test]
    fn marks_do_not_pile_up() {
        let piled = format!("z{}algo", "\u{35b}\u{200d}".repeat(50));
        assert_eq!(cleaned(&piled).chars().count(), "zalgo".len() + MAX_MARKS);
    }

    #[test]
    fn people_are_called_by_their_names() {
        let names = |text| mentions(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            names("@ann hello @Bob_1, and @ann (@eve): mail me@example.org @x"),
            ["ann", "bob_1", "eve"]
        );
        let many: String = (0..40).map(|n| format!("@name{n} ")).collect();
        assert_eq!(names(&many).len(), MAX_MENTIONS);
    }

    #[test]
    fn links_are_found_and_sentences_are_not_links() {
        for link in [
            "https://a.example",
            "see www.example",
            "go to example.org/x?y",
            "(evil.example)",
            "EXAMPLE.COM.",
            "b\u{fc}cher.example",
        ] {
            assert!(has_link(link), "{link}");
        }
        for none in
            ["hello.", "wait...what", "3.14", "1.2.3", "a.b", "look at main.rs", "e.g. this", "yes/no", ""]
        {
            assert!(!has_link(none), "{none}");
        }
    }

    #[test]
    fn blocked_terms_are_words_and_phrases_however_they_are_written() {
        let blocked =
            Blocked::new(&["spam*".into(), "Bad Word".into(), "caf\u{e9}".into(), "  ".into(), "*".into()]);
        for said in [
            "SPAM",
            "so spammy!",
            "a bad, word",
            "BAD\nWORD",
            "cafe\u{301}",
            "CAFE",
            "s\u{200d}p\u{200c}am",
            "\u{ff53}\u{ff50}\u{ff41}\u{ff4d}",
        ] {
            assert!(blocked.is_in(said), "{said}");
        }
        for said in ["bad", "word bad", "notspam", "cafes", "scunthorpe", ""] {
            assert!(!blocked.is_in(said), "{said}");
        }
    }

    #[test]
    fn messages_are_alike_whatever_their_case_and_marks() {
        assert_eq!(essence("First!!!"), essence(" first "));
        assert_ne!(essence("first"), essence("second"));
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_and_never_makes_it_longer(text in "\\PC{0,60}|[\u{200b}-\u{2070} \n\u{300}-\u{310}a]{0,60}|[\u{200b}-\u{200e}\u{640}-\u{650}\u{930}-\u{950}\u{1f467}-\u{1f469}\u{fe0f}a ]{0,40}") {
            let once = cleaned(&text);
            prop_assert!(once.len() <= text.len());
            prop_assert_eq!(cleaned(&once), once.clone());
            prop_assert!(once.lines().count() <= MAX_LINES);
            mentions(&once);
            has_link(&once);
            Blocked::new(std::slice::from_ref(&text)).is_in(&once);
        }
    }
}
