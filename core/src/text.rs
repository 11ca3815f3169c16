//! Sans-IO: text that people write for others to read.

use unicode_normalization::char::is_combining_mark;

/// Marks that may stand on one letter. Scripts need up to four; more of them hide the lines around.
const MAX_MARKS: usize = 4;
/// Zero width non-joiner.
pub const ZWNJ: char = '\u{200c}';
/// Zero width joiner.
pub const ZWJ: char = '\u{200d}';

/// Text as it is shown: trimmed, without what cannot be seen, turns the direction of the line around, or stands above and
/// below it; at most so many lines.
#[must_use]
pub fn cleaned(text: &str, most_lines: usize) -> String {
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
                if lines < most_lines && !clean.ends_with('\n') {
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
            assert_eq!(cleaned(text, 6), shown, "{text:?}");
        }
    }

    #[test]
    fn marks_do_not_pile_up() {
        let piled = format!("z{}algo", "\u{35b}\u{200d}".repeat(50));
        assert_eq!(cleaned(&piled, 6).chars().count(), "zalgo".len() + MAX_MARKS);
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_and_never_makes_it_longer(
            text in "\\PC{0,60}|[\u{200b}-\u{2070} \n\u{300}-\u{310}a]{0,60}|[\u{200b}-\u{200e}\u{640}-\u{650}\u{930}-\u{950}\u{1f467}-\u{1f469}\u{fe0f}a ]{0,40}",
            lines in 1_usize..8,
        ) {
            let once = cleaned(&text, lines);
            prop_assert!(once.len() <= text.len());
            prop_assert_eq!(cleaned(&once, lines), once.clone());
            prop_assert!(once.lines().count() <= lines);
        }
    }
}
