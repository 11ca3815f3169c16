//! The settings of the site as they are kept.

use millrace_core::ids::UserId;
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

use super::fields::SiteValues;

/// The settings; there is one such document, or none before the first change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRecord {
    /// That of the last change; grows by one with each.
    pub number: i64,
    /// What holds.
    pub values: SiteValues,
}

/// One change, kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteChange {
    /// From 1.
    pub number: i64,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Who made it.
    pub by: UserId,
    /// What held before it.
    pub before: SiteValues,
    /// What holds since.
    pub after: SiteValues,
    /// Always `site`: there is one list.
    pub scope: String,
}

pub(crate) static SITE_SETTINGS: Collection =
    Collection { name: "site_settings", indexes: &[], words: &[], migrations: &[] };

pub(crate) static SITE_CHANGES: Collection = Collection {
    name: "site_changes",
    indexes: &[Index { name: "number", fields: &["scope", "number"], unique: true }],
    words: &[],
    migrations: &[],
};

impl SiteRecord {
    /// Its id.
    pub const ID: &'static str = "site";
}

impl Document for SiteRecord {
    const COLLECTION: &'static Collection = &SITE_SETTINGS;

    fn id(&self) -> String {
        Self::ID.to_owned()
    }
}

impl SiteChange {
    /// Of every change.
    pub const SCOPE: &'static str = "site";

    /// A change.
    #[must_use]
    pub fn new(number: i64, at: i64, by: UserId, before: SiteValues, after: SiteValues) -> Self {
        Self { number, at, by, before, after, scope: Self::SCOPE.to_owned() }
    }

    /// Its id: no two changes have one number.
    #[must_use]
    pub fn id_of(number: i64) -> String {
        number.to_string()
    }
}

impl Document for SiteChange {
    const COLLECTION: &'static Collection = &SITE_CHANGES;

    fn id(&self) -> String {
        Self::id_of(self.number)
    }
}
