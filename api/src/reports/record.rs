//! A report as it is kept.

use millrace_core::ids::UserId;
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

use super::fields::Reason;

const DAY_MS: i64 = 24 * 3_600_000;

/// Somebody tells the admins of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its id.
    pub id: uuid::Uuid,
    /// What kind of thing it is about.
    pub about: About,
    /// The id of that.
    pub target_id: String,
    /// What it was called then.
    pub target: String,
    /// Who tells. Only admins learn it.
    pub reporter: UserId,
    /// Why.
    pub reason: Reason,
    /// In the reporter's words; may be empty, and is once the reporter's account is deleted.
    #[serde(default)]
    pub text: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// The reporter and the day in UTC.
    pub day: String,
    /// How many of that day came before it.
    pub number: i64,
    /// Whether somebody has looked.
    pub state: ReportState,
    /// The reporter and what it is about, while nobody has looked: there is one such report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// In the admin's words.
    #[serde(default)]
    pub note: String,
    /// Who has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<UserId>,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<i64>,
}

/// What can be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// A channel and what it shows.
    Channel,
    /// A person.
    Person,
}

/// Whether somebody has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportState {
    /// Nobody yet.
    Open,
    /// An admin.
    Resolved,
}

/// What came of a report. It says what was done; it does nothing by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing had to be done.
    Dismissed,
    /// They were told.
    Warned,
    /// Something was taken away.
    Removed,
    /// They are banned.
    Banned,
}

pub(crate) static REPORTS: Collection = Collection {
    name: "reports",
    indexes: &[
        Index { name: "state", fields: &["state", "at"], unique: false },
        Index { name: "number", fields: &["day", "number"], unique: true },
        Index { name: "open", fields: &["open"], unique: true },
        Index { name: "reporter", fields: &["reporter", "at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Report {
    /// One that nobody has looked at.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "each is a field")]
    pub fn new(
        id: uuid::Uuid,
        about: About,
        target_id: &str,
        target: &str,
        reporter: UserId,
        reason: Reason,
        text: String,
        at: i64,
    ) -> Self {
        Self {
            id,
            about,
            target_id: target_id.to_owned(),
            target: target.to_owned(),
            reporter,
            reason,
            text,
            at,
            day: format!("{reporter}:{}", at.div_euclid(DAY_MS)),
            number: 0,
            state: ReportState::Open,
            open: Some(format!("{reporter}:{target_id}")),
            outcome: None,
            note: String::new(),
            resolved_by: None,
            resolved_at: None,
        }
    }
}

impl About {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Person => "person",
        }
    }
}

impl ReportState {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}

impl Outcome {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dismissed => "dismissed",
            Self::Warned => "warned",
            Self::Removed => "removed",
            Self::Banned => "banned",
        }
    }
}

impl Document for Report {
    const COLLECTION: &'static Collection = &REPORTS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}
