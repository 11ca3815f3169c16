//! Sans-IO: what becomes of the text of a message, and what is found in it.

use std::collections::BTreeSet;

use millrace_core::ids::ChannelName;
use millrace_core::text::{ZWJ, ZWNJ};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Most lines of a message.
pub(crate) const MAX_LINES: usize = 6;
/// People that one message may call.
pub(crate) const MAX_MENTIONS: usize = 10;

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
        fn nothing_that_can_be_read_is_too_much(text in "\\PC{0,60}") {
            mentions(&text);
            has_link(&text);
            Blocked::new(std::slice::from_ref(&text)).is_in(&text);
        }
    }
}
