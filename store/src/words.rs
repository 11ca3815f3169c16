//! What counts as a word when documents are searched, on every engine.

use serde_json::Value;

use crate::{Collection, Document};

/// Most words of a document or a question that count.
const MAX_WORDS: usize = 64;
/// Most characters of a word that count.
const MAX_WORD_CHARS: usize = 40;

/// Documents that a search finds and puts in order itself. Of more it walks the index of the order and takes those that
/// match: then most of what it passes does.
pub(crate) const FEW: usize = 1_000;

/// Words, as a search sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// Those of a question.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(words(text))
    }

    /// Those that a document of this collection is found by.
    #[must_use]
    pub fn of_document<T: Document>(document: &T) -> Self {
        Self(
            serde_json::to_value(document).map_or_else(|_| Vec::new(), |json| words_of(T::COLLECTION, &json)),
        )
    }

    /// Whether each of these begins a word of `document`, as a search decides it. No words find nothing.
    #[must_use]
    pub fn find(&self, document: &Self) -> bool {
        !self.0.is_empty()
            && self.0.iter().all(|begins| document.0.iter().any(|word| word.starts_with(begins)))
    }
}

/// The words of a text: runs of letters and digits, in lower case, without common accents.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .map(|word| word.chars().take(MAX_WORD_CHARS).flat_map(char::to_lowercase).map(plain).collect())
        .collect()
}

/// The words of a document's searchable fields: strings, and lists of strings.
pub(crate) fn words_of(collection: &Collection, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for field in collection.words {
        match document.get(field) {
            Some(Value::String(text)) => found.extend(words(text)),
            Some(Value::Array(items)) => found.extend(items.iter().filter_map(Value::as_str).flat_map(words)),
            _ => {}
        }
    }
    found.truncate(MAX_WORDS);
    found
}

/// The letter without its accent, for the Latin and Cyrillic letters that people leave it off.
fn plain(c: char) -> char {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'ď' | 'đ' => 'd',
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => 'e',
        'ğ' => 'g',
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => 'i',
        'ł' | 'ľ' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ř' => 'r',
        'ś' | 'š' | 'ş' => 's',
        'ť' => 't',
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        'ё' => 'е',
        'й' => 'и',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_in_lower_case_without_accents() {
        assert_eq!(
            words("Café-Crème, 2 Ёлки! \"x\"* OR 日本"),
            ["cafe", "creme", "2", "елки", "x", "or", "日本"]
        );
        assert_eq!(words(" .,-!"), Vec::<String>::new());
        assert_eq!(words(&"a ".repeat(1_000)).len(), MAX_WORDS);
        assert_eq!(words(&"ä".repeat(1_000))[0].chars().count(), MAX_WORD_CHARS);
    }
}
