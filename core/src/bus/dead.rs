//! What a group could not handle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An event that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it stands among the others: names it.
    pub id: String,
    /// The topic it is from.
    pub topic: String,
    /// The partition it is from.
    pub partition: u16,
    /// Its offset there.
    pub offset: i64,
    /// Who refused it.
    pub group: String,
    /// Why.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Its key.
    pub key: String,
    /// The headers it had.
    pub headers: BTreeMap<String, String>,
    /// Itself, as it was on the wire. What is no UTF-8 is shown as U+FFFD.
    pub payload: String,
}
