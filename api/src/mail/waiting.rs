//! Sans-IO: a mail that waits to be sent, as it is kept. It holds no link: that is made when the mail is sent, so that
//! whoever reads the store or a backup of it gets into no account.

use std::time::Duration;

use millrace_core::ids::UserId;
use millrace_core::trace::Cause;
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::letter::News;
use crate::accounts::Email;

/// Longest wait between two tries.
const WAIT_MAX_MS: i64 = 600_000;
/// How many times longer than the one before each wait is.
const GROWTH: i64 = 4;

/// Something to be told by mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Errand {
    /// Somebody forgot the password of this name or address. Whether there is such an account is looked up when it is
    /// sent, so that the one who asks cannot tell by the time it takes.
    NewPassword {
        /// As it was typed.
        login: String,
    },
    /// Is this the address of this account?
    ConfirmAddress {
        /// Whose wish it is.
        user: UserId,
        /// Which address.
        address: Email,
    },
    /// Something happened to an account.
    News {
        /// Where to.
        to: Email,
        /// Whose account it is.
        name: String,
        /// What.
        news: News,
    },
}

impl Errand {
    /// Name of the kind, for logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NewPassword { .. } => "new_password",
            Self::ConfirmAddress { .. } => "confirm_address",
            Self::News { news, .. } => news.label(),
        }
    }
}

/// A mail that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Its id; newer ones are greater.
    pub id: Uuid,
    /// What it is about.
    pub errand: Errand,
    /// When it was asked for: milliseconds since 1970.
    pub came_at: i64,
    /// From when on a process may take it: milliseconds since 1970. Whoever has it has written a later time, so that
    /// another one goes on if that process dies.
    pub due: i64,
    /// How long it waits after the next failure, in milliseconds.
    pub wait_ms: i64,
    /// How often it was tried.
    #[serde(default)]
    pub tries: u32,
    /// Which request asked for it.
    #[serde(default, skip_serializing_if = "Cause::is_unknown")]
    pub cause: Cause,
}

/// What becomes of a mail that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// It waits on, for so many milliseconds.
    Retry(Box<Mail>, i64),
    /// It is too old.
    GivenUp,
}

impl Mail {
    /// A new one, to be sent at once.
    #[must_use]
    pub fn new(id: Uuid, errand: Errand, now_ms: i64, retry: Duration) -> Self {
        Self {
            id,
            errand,
            came_at: now_ms,
            due: now_ms,
            wait_ms: millis(retry),
            tries: 0,
            cause: Cause::default(),
        }
    }

    /// The mail in the hands of a process that tries it; nobody else takes it before `until`.
    #[must_use]
    pub fn taken(&self, until: i64) -> Self {
        Self { due: until, ..self.clone() }
    }

    /// It did not work, but may later. It is given up if the next try would come too late.
    #[must_use]
    pub fn failed(&self, now_ms: i64, give_up: Duration) -> Failed {
        let wait = self.wait_ms;
        let due = now_ms.saturating_add(wait);
        if due.saturating_sub(self.came_at) > millis(give_up) {
            return Failed::GivenUp;
        }
        let wait_ms = wait.saturating_mul(GROWTH).min(WAIT_MAX_MS);
        let tries = self.tries.saturating_add(1);
        Failed::Retry(Box::new(Self { due, wait_ms, tries, ..self.clone() }), wait)
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) static MAILS: Collection = Collection {
    name: "mails",
    indexes: &[Index { name: "due", fields: &["due"], unique: false }],
    words: &[],
    migrations: &[],
};

impl Document for Mail {
    const COLLECTION: &'static Collection = &MAILS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn mail() -> Mail {
        let errand = Errand::NewPassword { login: "ada".into() };
        Mail::new(Uuid::from_u128(1), errand, 0, Duration::from_secs(5))
    }

    #[test]
    fn waits_grow_and_what_is_too_old_is_given_up() {
        let (mut mail, mut now, mut waits) = (mail(), 0, Vec::new());
        while let Failed::Retry(later, wait) = mail.failed(now, HOUR) {
            waits.push(wait / 1000);
            now += wait;
            assert_eq!(later.due, now, "not before");
            mail = *later;
        }
        assert_eq!(waits, [5, 20, 80, 320, 600, 600, 600, 600, 600]);
        assert_eq!(mail.tries, 9);
    }

    #[test]
    fn who_has_it_keeps_others_from_it_for_a_while_and_its_waits_stay() {
        let taken = mail().taken(60_000);
        assert_eq!((taken.due, taken.wait_ms, taken.tries), (60_000, 5_000, 0));
        let Failed::Retry(later, 5_000) = taken.failed(1_000, HOUR) else { panic!("it waits on") };
        assert_eq!(later.due, 6_000);
    }

    #[test]
    fn nothing_that_is_kept_opens_an_account() {
        let news = Errand::News {
            to: "ada@example.org".parse().unwrap(),
            name: "ada".into(),
            news: News::ProviderLinked("Google".into()),
        };
        let confirm = Errand::ConfirmAddress {
            user: UserId(Uuid::from_u128(7)),
            address: "ada@example.org".parse().unwrap(),
        };
        for errand in [news, confirm, mail().errand] {
            let mail = Mail { errand, ..mail() };
            let kept = serde_json::to_value(&mail).unwrap();
            let fields: Vec<_> = kept["errand"].as_object().unwrap().keys().map(String::as_str).collect();
            let known = ["address", "kind", "login", "name", "news", "to", "user"];
            assert!(fields.iter().all(|field| known.contains(field)), "{fields:?}");
            assert_eq!(serde_json::from_value::<Mail>(kept).unwrap(), mail);
        }
    }
}
