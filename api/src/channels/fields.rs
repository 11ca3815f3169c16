//! Sans-IO: what people write about a channel, checked and cleaned.

use millrace_http::problem::FieldProblem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ladder::LadderEdit;
use crate::accounts::{Channel, Playback};

/// Most characters of a title.
pub const TITLE_MAX: usize = 140;
/// Most characters of a category.
pub const CATEGORY_MAX: usize = 50;
/// Most tags.
const TAGS_MAX: usize = 10;
/// Most characters of a tag.
const TAG_MAX: usize = 25;
/// Most characters of a description.
const DESCRIPTION_MAX: usize = 2_000;
/// Most characters of a stream key's name.
pub const KEY_NAME_MAX: usize = 50;
/// Most characters of a language tag.
const LANGUAGE_MAX: usize = 11;

/// What is to change; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelEdit {
    /// At most 140 characters.
    #[schema(example = "Building a boat, day 12")]
    pub title: Option<String>,
    /// At most 50 characters; empty for none.
    #[schema(example = "Crafts")]
    pub category: Option<String>,
    /// At most 10, of 1 to 25 letters, digits, `-` and `_`; kept in lower case, each once.
    #[schema(example = json!(["wood", "beginners"]))]
    pub tags: Option<Vec<String>>,
    /// BCP 47: a language and perhaps a script and a region, `en`, `pt-BR`, `zh-Hant-TW`; empty for none.
    #[schema(example = "en")]
    pub language: Option<String>,
    /// At most 2,000 characters.
    pub description: Option<String>,
    /// Who may watch.
    pub playback: Option<Playback>,
    /// Its rungs, from the next broadcast on. More than the site makes only an admin of the site may choose.
    pub ladder: Option<LadderEdit>,
    /// Whether an admin of the site says so. Its owner then may have as much later.
    #[serde(skip)]
    pub by_admin: bool,
}

impl ChannelEdit {
    /// The same with every field trimmed and in its normal form.
    ///
    /// # Errors
    /// Everything that is wrong, each with the JSON pointer of its field.
    pub fn cleaned(self) -> Result<Self, Vec<FieldProblem>> {
        let mut wrong = Vec::new();
        let mut keep = |result: Result<Option<String>, FieldProblem>| match result {
            Ok(value) => value,
            Err(problem) => {
                wrong.push(problem);
                None
            }
        };
        let title = keep(self.title.map(|text| line("/title", &text, 0, TITLE_MAX)).transpose());
        let category = keep(self.category.map(|text| line("/category", &text, 0, CATEGORY_MAX)).transpose());
        let language = keep(self.language.map(|text| language(&text)).transpose());
        let description =
            keep(self.description.map(|text| paragraphs("/description", &text, DESCRIPTION_MAX)).transpose());
        let tags = self.tags.map(|given| tags(given, &mut wrong));
        if wrong.is_empty() {
            Ok(Self { title, category, tags, language, description, ..self })
        } else {
            Err(wrong)
        }
    }

    /// The channel with these changes.
    #[must_use]
    pub fn applied_to(&self, mut channel: Channel) -> Channel {
        fn put<T: Clone>(place: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                place.clone_from(value);
            }
        }
        put(&mut channel.title, self.title.as_ref());
        put(&mut channel.category, self.category.as_ref());
        put(&mut channel.tags, self.tags.as_ref());
        put(&mut channel.language, self.language.as_ref());
        put(&mut channel.description, self.description.as_ref());
        put(&mut channel.playback, self.playback.as_ref());
        let wish = self.ladder.as_ref().map(LadderEdit::wish);
        put(&mut channel.ladder.wish, wish.as_ref());
        put(&mut channel.ladder.allowed, wish.as_ref().filter(|_| self.by_admin));
        channel
    }
}

/// A trimmed line of `least` to `most` characters without control characters.
///
/// # Errors
/// What is wrong with it.
pub fn line(pointer: &str, text: &str, least: usize, most: usize) -> Result<String, FieldProblem> {
    let text = text.trim();
    let length = text.chars().count();
    if length < least || length > most {
        return Err(problem(pointer, format!("has {length} characters; write {least} to {most}")));
    }
    if text.chars().any(|c| c.is_control() || reorders(c)) {
        return Err(problem(pointer, "is one line of text, without control characters".to_owned()));
    }
    Ok(text.to_owned())
}

/// Characters that make text be read in another order than it is written: names could imitate others.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Trimmed lines of at most `most` characters in all, without control characters.
///
/// # Errors
/// What is wrong with them.
pub fn paragraphs(pointer: &str, text: &str, most: usize) -> Result<String, FieldProblem> {
    let text = text.trim().replace("\r\n", "\n");
    let length = text.chars().count();
    if length > most {
        return Err(problem(pointer, format!("has {length} characters; write at most {most}")));
    }
    if text.chars().any(|c| (c.is_control() && c != '\n') || reorders(c)) {
        return Err(problem(pointer, "is text without control characters".to_owned()));
    }
    Ok(text)
}

/// A language tag in its normal form; empty for none.
///
/// # Errors
/// It is no language tag; the pointer is `/language`.
pub fn language(text: &str) -> Result<String, FieldProblem> {
    let wrong = || problem("/language", "is a language tag such as en, pt-BR or zh-Hant-TW".to_owned());
    let text = text.trim();
    if text.is_empty() {
        return Ok(String::new());
    }
    let letters = |part: &str, lengths: &[usize]| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    let mut parts = text.split('-').peekable();
    if text.len() > LANGUAGE_MAX {
        return Err(wrong());
    }
    let language = parts.next().filter(|part| letters(part, &[2, 3])).ok_or_else(wrong)?;
    let mut tag = language.to_ascii_lowercase();
    if let Some(script) = parts.next_if(|part| letters(part, &[4])) {
        tag.push('-');
        tag.push_str(&script[..1].to_ascii_uppercase());
        tag.push_str(&script[1..].to_ascii_lowercase());
    }
    if let Some(region) = parts.next_if(|part| letters(part, &[2])) {
        tag.push('-');
        tag.push_str(&region.to_ascii_uppercase());
    }
    if parts.next().is_some() { Err(wrong()) } else { Ok(tag) }
}

fn tags(given: Vec<String>, wrong: &mut Vec<FieldProblem>) -> Vec<String> {
    if given.len() > TAGS_MAX {
        wrong.push(problem("/tags", format!("has {} tags; give at most {TAGS_MAX}", given.len())));
        return Vec::new();
    }
    let mut tags: Vec<String> = Vec::with_capacity(given.len());
    for (number, text) in given.iter().enumerate() {
        let tag = text.trim().to_lowercase();
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        if !(1..=TAG_MAX).contains(&tag.chars().count()) || !tag.chars().all(allowed) {
            let detail = format!("has 1 to {TAG_MAX} letters, digits, - and _");
            wrong.push(problem(&format!("/tags/{number}"), detail));
        } else if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

pub(super) fn problem(pointer: &str, detail: String) -> FieldProblem {
    FieldProblem { pointer: pointer.to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use millrace_core::ids::UserId;

    use super::*;
    use crate::channels::LadderChoice;
    use crate::channels::testing::channel;

    fn pointers(edit: ChannelEdit) -> Vec<String> {
        edit.cleaned().err().unwrap_or_default().into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn what_is_fine_is_trimmed_and_brought_into_its_form() {
        let edit = ChannelEdit {
            title: Some("  Día 12 — boat ".into()),
            category: Some(String::new()),
            tags: Some(vec!["Wood".into(), " wood".into(), "日本-1".into()]),
            language: Some("ZH-hant-tw".into()),
            description: Some("one\r\ntwo\n".into()),
            ..ChannelEdit::default()
        };
        let cleaned = edit.cleaned().unwrap();
        assert_eq!(cleaned.title.as_deref(), Some("Día 12 — boat"));
        assert_eq!(cleaned.tags.unwrap(), ["wood", "日本-1"]);
        assert_eq!(cleaned.language.as_deref(), Some("zh-Hant-TW"));
        assert_eq!(cleaned.description.as_deref(), Some("one\ntwo"));
        assert_eq!(ChannelEdit::default().cleaned().unwrap(), ChannelEdit::default());
    }

    #[test]
    fn every_limit_is_told_with_its_field_and_all_at_once() {
        let edit = ChannelEdit {
            title: Some("x".repeat(TITLE_MAX + 1)),
            category: Some("a\nb".into()),
            tags: Some(vec!["fine".into(), String::new(), "two words".into(), "x".repeat(TAG_MAX + 1)]),
            language: Some("english".into()),
            description: Some("\u{202e}".into()),
            ..ChannelEdit::default()
        };
        let expected = ["/title", "/category", "/language", "/description", "/tags/1", "/tags/2", "/tags/3"];
        assert_eq!(pointers(edit), expected);
        let many = ChannelEdit { tags: Some(vec!["x".into(); TAGS_MAX + 1]), ..ChannelEdit::default() };
        assert_eq!(pointers(many), ["/tags"]);
        let long =
            ChannelEdit { description: Some("x".repeat(DESCRIPTION_MAX + 1)), ..ChannelEdit::default() };
        assert_eq!(pointers(long), ["/description"]);
    }

    #[test]
    fn what_an_admin_says_of_rungs_its_owner_may_have_later() {
        let rungs = |mode| Some(LadderEdit { mode, rungs: Some(vec!["360p".into()]) });
        let edit = |mode, by_admin| ChannelEdit { ladder: rungs(mode), by_admin, ..ChannelEdit::default() };
        let channel = channel("studio", UserId(uuid::Uuid::nil()));
        let given = edit(LadderChoice::Always, true).applied_to(channel);
        assert_eq!(given.ladder.wish, rungs(LadderChoice::Always).unwrap().wish());
        assert_eq!(given.ladder.allowed, given.ladder.wish);
        let less = edit(LadderChoice::Off, false).applied_to(given.clone());
        assert_eq!(less.ladder.wish, rungs(LadderChoice::Off).unwrap().wish());
        assert_eq!(less.ladder.allowed, given.ladder.allowed);
        let title = ChannelEdit { by_admin: true, ..ChannelEdit::default() };
        assert_eq!(title.applied_to(less.clone()), less);
    }

    #[test]
    fn languages_are_tags() {
        for (given, kept) in
            [("", ""), ("EN", "en"), ("pt-br", "pt-BR"), ("sr-LATN", "sr-Latn"), ("yue", "yue")]
        {
            assert_eq!(language(given).unwrap(), kept);
        }
        for bad in ["e", "en_US", "en-", "-en", "en-US-x", "日本", "en-USA", "en-us-us"] {
            assert!(language(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn no_edit_can_change_what_it_must_not() {
        for body in [
            r#"{"owner":"x"}"#,
            r#"{"followers":9}"#,
            r#"{"title":{"$ne":1}}"#,
            r#"{"tags":[{}]}"#,
            r#"{"by_admin":true}"#,
            r#"{"ladder":{"mode":"always","allowed":{"mode":"always"}}}"#,
            r#"{"ladder":{}}"#,
        ] {
            assert!(serde_json::from_str::<ChannelEdit>(body).is_err(), "{body} was taken");
        }
    }
}
