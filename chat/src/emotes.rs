//! Sans-IO: whether a text is nothing but pictures.

use std::collections::HashSet;

use unicode_normalization::char::is_combining_mark;

/// Whether there is something in the text, and all of it is emotes of the room, as `:name:`, or Unicode's.
pub(crate) fn only_emotes(text: &str, known: &HashSet<String>) -> bool {
    !text.is_empty() && text.split_whitespace().all(|word| is_emotes(word, known))
}

fn is_emotes(mut word: &str, known: &HashSet<String>) -> bool {
    while !word.is_empty() {
        match one(word, known) {
            Some(rest) => word = rest,
            None => return false,
        }
    }
    true
}

/// What is left of a word behind its first picture.
fn one<'a>(word: &'a str, known: &HashSet<String>) -> Option<&'a str> {
    if let Some(rest) = word.strip_prefix(':') {
        let (name, rest) = rest.split_once(':')?;
        return known.contains(name).then_some(rest);
    }
    let mut characters = word.chars();
    let first = characters.next()?;
    // A digit in a box: the digit, perhaps a variation selector, the box.
    if first.is_ascii_digit() || matches!(first, '#' | '*') {
        let rest = characters.as_str();
        return rest.strip_prefix('\u{fe0f}').unwrap_or(rest).strip_prefix('\u{20e3}');
    }
    if !is_picture(first) {
        return None;
    }
    // What belongs to the picture: skin, variation, what it is joined with.
    Some(characters.as_str().trim_start_matches(belongs))
}

/// Joiners, selectors, marks, and the tags of flags of regions.
fn belongs(character: char) -> bool {
    is_combining_mark(character) || matches!(character, '\u{200d}' | '\u{e0020}'..='\u{e007f}')
}

/// The blocks in which Unicode has its pictures (UTS #51), whether they are shown in colours or not.
fn is_picture(character: char) -> bool {
    matches!(
        character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2194}'..='\u{21aa}' | '\u{231a}'..='\u{23ff}'
        | '\u{24c2}' | '\u{25aa}'..='\u{27bf}' | '\u{2934}'..='\u{2935}' | '\u{2b05}'..='\u{2b55}' | '\u{3030}' | '\u{303d}'
        | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_pictures_and_words_are_not() {
        let known = ["Boat".to_owned(), "oak_2".to_owned()].into();
        for pictures in [
            ":Boat:",
            ":Boat::oak_2: :Boat:",
            "\u{1f600}",
            "\u{1f469}\u{1f3fd}\u{200d}\u{1f680}\u{2764}\u{fe0f}",
            "\u{1f1eb}\u{1f1f7} 3\u{fe0f}\u{20e3}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e007f}",
            ":Boat:\u{26f5}\n\u{26f5}",
        ] {
            assert!(only_emotes(pictures, &known), "{pictures:?}");
        }
        for words in [
            "",
            ":boat:",
            ":Boat",
            ":Boat:!",
            ":unknown:",
            "::",
            ":",
            "hi \u{1f600}",
            "\u{1f600}x",
            "3",
            "\u{e9}",
        ] {
            assert!(!only_emotes(words, &known), "{words:?}");
        }
    }
}
