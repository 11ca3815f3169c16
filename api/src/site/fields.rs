//! Sans-IO: what admins say of the site, checked and cleaned.

use millrace_http::problem::FieldProblem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::Role;
use crate::channels::{CATEGORY_MAX, language, line, paragraphs};
use crate::config::{AccountsConfig, Registration};

/// Most characters of the site's name.
const NAME_MAX: usize = 50;
/// Most characters of its description.
const DESCRIPTION_MAX: usize = 500;
/// Most characters of its rules.
const RULES_MAX: usize = 20_000;
/// Most characters of an address.
const LINK_MAX: usize = 500;
/// Most characters of whom to ask.
const CONTACT_MAX: usize = 200;

/// What the owner says of the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteValues {
    /// What it is called.
    #[schema(example = "Boatyard live")]
    pub name: String,
    /// What it is about; empty if not said.
    #[schema(example = "Wooden boats, built in front of the camera.")]
    pub description: String,
    /// Who may register; absent until an admin says so: as the configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// Who may stream; absent until an admin says so: as the configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streaming: Option<Streaming>,
    /// BCP 47: what a new channel is in; empty if not said.
    #[schema(example = "en")]
    pub language: String,
    /// What channels may say they are about; anything if empty.
    #[schema(example = json!(["Crafts", "Music"]))]
    pub categories: Vec<String>,
    /// What holds here, in plain text; empty for none.
    #[schema(example = "Be kind.")]
    pub rules: String,
    /// Where more of it is written; empty for nowhere.
    #[schema(example = "https://example.org/terms")]
    pub rules_url: String,
    /// Whom to ask: an e-mail address, a link or a few words; empty for nobody.
    #[schema(example = "help@example.org")]
    pub contact: String,
}

/// Who may stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Streaming {
    /// Everybody: a new account is a streamer at once.
    Everyone,
    /// Whom an admin makes a streamer: a new account watches first.
    Streamers,
}

/// What is to change; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteEdit {
    /// The version that was shown; 409 if somebody else has changed the settings since. Absent: whatever it was.
    pub version: Option<i64>,
    /// 1 to 50 characters.
    #[schema(example = "Boatyard live")]
    pub name: Option<String>,
    /// At most 500 characters.
    pub description: Option<String>,
    /// Who may register.
    pub registration: Option<Registration>,
    /// Who may stream.
    pub streaming: Option<Streaming>,
    /// BCP 47; empty for none.
    #[schema(example = "en")]
    pub language: Option<String>,
    /// Each of 1 to 50 characters, each once; none lets channels write what they like.
    #[schema(example = json!(["Crafts", "Music"]))]
    pub categories: Option<Vec<String>>,
    /// At most 20,000 characters of plain text.
    pub rules: Option<String>,
    /// An address that begins with `https://` or `http://`; empty for none.
    #[schema(example = "https://example.org/terms")]
    pub rules_url: Option<String>,
    /// At most 200 characters.
    #[schema(example = "help@example.org")]
    pub contact: Option<String>,
}

impl Default for SiteValues {
    fn default() -> Self {
        Self {
            name: "Millrace".to_owned(),
            description: String::new(),
            registration: None,
            streaming: None,
            language: String::new(),
            categories: Vec::new(),
            rules: String::new(),
            rules_url: String::new(),
            contact: String::new(),
        }
    }
}

impl Streaming {
    /// What the configuration says.
    #[must_use]
    pub fn configured(config: &AccountsConfig) -> Self {
        if config.new_accounts_stream { Self::Everyone } else { Self::Streamers }
    }

    /// What a new account may do.
    #[must_use]
    pub fn new_account(self) -> Role {
        match self {
            Self::Everyone => Role::Streamer,
            Self::Streamers => Role::Viewer,
        }
    }
}

impl SiteValues {
    /// The category as the site writes it.
    ///
    /// # Errors
    /// It is none of the site's.
    pub fn category(&self, pointer: &str, text: &str) -> Result<String, FieldProblem> {
        if text.is_empty() || self.categories.is_empty() {
            return Ok(text.to_owned());
        }
        let wanted = text.to_lowercase();
        self.categories.iter().find(|one| one.to_lowercase() == wanted).cloned().ok_or_else(|| FieldProblem {
            pointer: pointer.to_owned(),
            detail: format!("is none of this site's categories: {}", self.categories.join(", ")),
        })
    }
}

impl SiteEdit {
    /// The same with every field trimmed and in its normal form.
    ///
    /// # Errors
    /// Everything that is wrong, each with the JSON pointer of its field.
    pub fn cleaned(self, max_categories: usize) -> Result<Self, Vec<FieldProblem>> {
        let mut wrong = Vec::new();
        let mut keep = |result: Option<Result<String, FieldProblem>>| match result.transpose() {
            Ok(value) => value,
            Err(problem) => {
                wrong.push(problem);
                None
            }
        };
        let name = keep(self.name.map(|text| line("/name", &text, 1, NAME_MAX)));
        let description =
            keep(self.description.map(|text| paragraphs("/description", &text, DESCRIPTION_MAX)));
        let language = keep(self.language.map(|text| language(&text)));
        let rules = keep(self.rules.map(|text| paragraphs("/rules", &text, RULES_MAX)));
        let rules_url = keep(self.rules_url.map(|text| link("/rules_url", &text)));
        let contact = keep(self.contact.map(|text| line("/contact", &text, 0, CONTACT_MAX)));
        let categories = self.categories.map(|given| categories(&given, max_categories, &mut wrong));
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let Self { version, registration, streaming, .. } = self;
        Ok(Self {
            version,
            name,
            description,
            registration,
            streaming,
            language,
            categories,
            rules,
            rules_url,
            contact,
        })
    }

    /// The settings with these changes.
    #[must_use]
    pub fn applied_to(&self, values: SiteValues) -> SiteValues {
        fn or<T: Clone>(value: Option<&T>, kept: T) -> T {
            value.cloned().unwrap_or(kept)
        }
        SiteValues {
            name: or(self.name.as_ref(), values.name),
            description: or(self.description.as_ref(), values.description),
            registration: self.registration.or(values.registration),
            streaming: self.streaming.or(values.streaming),
            language: or(self.language.as_ref(), values.language),
            categories: or(self.categories.as_ref(), values.categories),
            rules: or(self.rules.as_ref(), values.rules),
            rules_url: or(self.rules_url.as_ref(), values.rules_url),
            contact: or(self.contact.as_ref(), values.contact),
        }
    }
}

/// Names of the settings in which the two differ.
#[must_use]
pub fn changed(before: &SiteValues, after: &SiteValues) -> Vec<&'static str> {
    [
        ("name", before.name != after.name),
        ("description", before.description != after.description),
        ("registration", before.registration != after.registration),
        ("streaming", before.streaming != after.streaming),
        ("language", before.language != after.language),
        ("categories", before.categories != after.categories),
        ("rules", before.rules != after.rules),
        ("rules_url", before.rules_url != after.rules_url),
        ("contact", before.contact != after.contact),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// An address that a browser may be led to.
fn link(pointer: &str, text: &str) -> Result<String, FieldProblem> {
    let text = line(pointer, text, 0, LINK_MAX)?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fine = host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
    if text.is_empty() || (fine && !text.contains(char::is_whitespace)) {
        return Ok(text);
    }
    let detail = "is no address; write it as https://example.org/terms".to_owned();
    Err(FieldProblem { pointer: pointer.to_owned(), detail })
}

fn categories(given: &[String], most: usize, wrong: &mut Vec<FieldProblem>) -> Vec<String> {
    if given.len() > most {
        let detail = format!("has {} categories; give at most {most}", given.len());
        wrong.push(FieldProblem { pointer: "/categories".to_owned(), detail });
        return Vec::new();
    }
    let mut categories: Vec<String> = Vec::with_capacity(given.len());
    for (number, text) in given.iter().enumerate() {
        match line(&format!("/categories/{number}"), text, 1, CATEGORY_MAX) {
            Ok(one) if categories.iter().any(|other| other.to_lowercase() == one.to_lowercase()) => {}
            Ok(one) => categories.push(one),
            Err(problem) => wrong.push(problem),
        }
    }
    categories
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(edit: SiteEdit) -> Vec<String> {
        edit.cleaned(3).err().unwrap_or_default().into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn what_is_fine_is_trimmed_and_put_in_place_of_what_was() {
        let edit = SiteEdit {
            name: Some("  Boatyard ".into()),
            language: Some("PT-br".into()),
            categories: Some(vec!["Crafts".into(), " crafts ".into(), "Music".into()]),
            rules: Some("one\r\ntwo".into()),
            rules_url: Some("https://example.org/terms".into()),
            streaming: Some(Streaming::Streamers),
            ..SiteEdit::default()
        };
        let before = SiteValues::default();
        let after = edit.cleaned(3).unwrap().applied_to(before.clone());
        assert_eq!((after.name.as_str(), after.language.as_str()), ("Boatyard", "pt-BR"));
        assert_eq!(after.categories, ["Crafts", "Music"]);
        assert_eq!(after.rules, "one\ntwo");
        assert_eq!((after.registration, after.contact.as_str()), (before.registration, ""));
        let expected = ["name", "streaming", "language", "categories", "rules", "rules_url"];
        assert_eq!(changed(&before, &after), expected);
    }

    #[test]
    fn every_limit_is_told_with_its_field_and_all_at_once() {
        let edit = SiteEdit {
            name: Some(" ".into()),
            description: Some("x".repeat(DESCRIPTION_MAX + 1)),
            language: Some("english".into()),
            rules: Some("x".repeat(RULES_MAX + 1)),
            rules_url: Some("javascript:alert(1)".into()),
            contact: Some("a\nb".into()),
            categories: Some(vec!["fine".into(), String::new()]),
            ..SiteEdit::default()
        };
        let expected =
            ["/name", "/description", "/language", "/rules", "/rules_url", "/contact", "/categories/1"];
        assert_eq!(pointers(edit), expected);
        let many = SiteEdit { categories: Some(vec!["x".into(); 4]), ..SiteEdit::default() };
        assert_eq!(pointers(many), ["/categories"]);
        for bad in ["//example.org", "https://", "https:///x", "https://a b", "data:text/html,x"] {
            let edit = SiteEdit { rules_url: Some(bad.into()), ..SiteEdit::default() };
            assert_eq!(pointers(edit), ["/rules_url"], "{bad} was taken");
        }
        for body in [r#"{"scope":"x"}"#, r#"{"name":{"$ne":""}}"#, r#"{"categories":[{}]}"#] {
            assert!(serde_json::from_str::<SiteEdit>(body).is_err(), "{body} was taken");
        }
    }

    #[test]
    fn a_category_is_one_of_the_sites_where_it_lists_some() {
        let mut values = SiteValues::default();
        assert_eq!(values.category("/category", "anything").unwrap(), "anything");
        values.categories = vec!["Crafts".into(), "Music".into()];
        assert_eq!(values.category("/category", "crafts").unwrap(), "Crafts");
        assert_eq!(values.category("/category", "").unwrap(), "");
        let refused = values.category("/category", "Cooking").unwrap_err();
        assert_eq!(refused.detail, "is none of this site's categories: Crafts, Music");
    }
}
