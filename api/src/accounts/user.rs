//! People.

use std::fmt;
use std::str::FromStr;

use millrace_core::ids::{ChannelName, UserId};
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

/// A person's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The name to sign in with and to be known by, unique; written like a channel's.
    pub name: ChannelName,
    /// How the name is shown.
    pub display_name: String,
    /// The address, unique among accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Whether the person has shown to read that mail.
    #[serde(default)]
    pub email_verified: bool,
    /// The address that the person wants to have; it counts once the person has shown to read that mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_email: Option<Email>,
    /// argon2id, in PHC form. None: signs in by a provider only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// What the person may do on this site.
    pub role: Role,
    /// A few words about the person.
    #[serde(default)]
    pub bio: String,
    /// Names the newest picture; none was uploaded if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Since when the person may not sign in: milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_at: Option<i64>,
}

/// What a person may do on this site. Moderators are appointed per channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Watches, follows, talks.
    Viewer,
    /// Has channels.
    Streamer,
    /// Everything.
    Admin,
}

/// An address as it is compared: in lower case, `local@domain`, at most 254 bytes (RFC 5321 §4.5.3.1.3).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// It is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no e-mail address; write it as name@example.org")]
pub struct EmailError;

impl Email {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[],;:\\\"".contains(c);
        let labels = domain.split('.').all(|label| !label.is_empty() && label.len() <= 63);
        let fine = (1..=64).contains(&local.len())
            && text.len() <= 254
            && text.chars().all(plain)
            && labels
            && domain.contains('.')
            && !local.contains('@');
        if fine { Ok(Self(text.to_lowercase())) } else { Err(EmailError) }
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;

    fn try_from(text: String) -> Result<Self, EmailError> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// Addresses never get into logs.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[address]")
    }
}

pub(super) static USERS: Collection = Collection {
    name: "users",
    indexes: &[
        Index { name: "name", fields: &["name"], unique: true },
        Index { name: "email", fields: &["email"], unique: true },
        Index { name: "role", fields: &["role"], unique: false },
    ],
    words: &["name", "display_name"],
    migrations: &[],
};

impl Document for User {
    const COLLECTION: &'static Collection = &USERS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_lowered_and_never_printed() {
        let ada: Email = " Ada.L@Example.org ".parse().unwrap();
        assert_eq!(ada.as_str(), "ada.l@example.org");
        assert_eq!(format!("{ada:?}"), "[address]");
        let long = format!("{}@example.org", "a".repeat(65));
        for bad in
            ["", "ada", "@example.org", "ada@", "ada@example", "a b@example.org", "a@b@c.de", &long, "a@b..c"]
        {
            assert!(bad.parse::<Email>().is_err(), "{bad:?} was taken");
        }
    }
}
