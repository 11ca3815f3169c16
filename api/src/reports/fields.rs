//! Sans-IO: what people write in reports, checked and cleaned.

use millrace_http::problem::FieldProblem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::record::Outcome;
use crate::channels::paragraphs;

/// Most characters of a report or of a note.
const TEXT_MAX: usize = 1_000;

/// Why somebody reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Advertising, fraud, nonsense.
    Spam,
    /// Insults, threats, hunting somebody down.
    Harassment,
    /// Against people for what they are.
    Hate,
    /// Cruelty.
    Violence,
    /// Not fit for everybody, and not said to be so.
    Sexual,
    /// Somebody else's work.
    Copyright,
    /// Somebody pretends to be somebody else.
    Impersonation,
    /// Against the law or the rules in another way; the text says how.
    Other,
}

/// A report that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportInput {
    /// Why.
    pub reason: Reason,
    /// What happened, in at most 1,000 characters; needed for `other`.
    #[serde(default)]
    #[schema(required = false, example = "The same advertisement since yesterday.")]
    pub text: String,
}

/// What came of a report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// What was done.
    pub outcome: Outcome,
    /// For the other admins, at most 1,000 characters.
    #[serde(default)]
    #[schema(required = false, example = "Talked to them.")]
    pub note: String,
}

impl Reason {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spam => "spam",
            Self::Harassment => "harassment",
            Self::Hate => "hate",
            Self::Violence => "violence",
            Self::Sexual => "sexual",
            Self::Copyright => "copyright",
            Self::Impersonation => "impersonation",
            Self::Other => "other",
        }
    }
}

impl ReportInput {
    /// The same with its text trimmed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn cleaned(self) -> Result<Self, FieldProblem> {
        let text = paragraphs("/text", &self.text, TEXT_MAX)?;
        if self.reason == Reason::Other && text.is_empty() {
            let detail = "is empty; say in a few words what happened".to_owned();
            return Err(FieldProblem { pointer: "/text".to_owned(), detail });
        }
        Ok(Self { text, ..self })
    }
}

impl Resolution {
    /// The same with its note trimmed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn cleaned(self) -> Result<Self, FieldProblem> {
        Ok(Self { note: paragraphs("/note", &self.note, TEXT_MAX)?, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_short_and_other_reasons_are_explained() {
        let input = |reason, text: &str| ReportInput { reason, text: text.into() }.cleaned();
        assert_eq!(input(Reason::Spam, " \n").unwrap().text, "");
        assert_eq!(input(Reason::Other, " why ").unwrap().text, "why");
        assert_eq!(input(Reason::Other, " ").unwrap_err().pointer, "/text");
        assert!(input(Reason::Spam, &"x".repeat(TEXT_MAX + 1)).is_err());
        let note = Resolution { outcome: Outcome::Warned, note: "x".repeat(TEXT_MAX + 1) };
        assert_eq!(note.cleaned().unwrap_err().pointer, "/note");
        for body in
            [r#"{"reason":"boring"}"#, r#"{"reason":"spam","text":{"$ne":1}}"#, r#"{"reason":"spam","by":1}"#]
        {
            assert!(serde_json::from_str::<ReportInput>(body).is_err(), "{body} was taken");
        }
    }

    #[test]
    fn reasons_are_kept_as_they_are_told() {
        for reason in [Reason::Spam, Reason::Impersonation, Reason::Other] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
