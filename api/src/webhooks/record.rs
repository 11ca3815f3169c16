//! Documents of webhooks.

use std::collections::BTreeSet;

use millrace_core::ids::ChannelId;
use millrace_core::trace::Cause;
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::kind::WebhookEvent;
use super::plan::{DISABLE_AFTER_MS, PREVIOUS_SECRET_MS, RECENT_MAX, pause_ms};
use super::sign::SigningSecret;

/// Somewhere that is told what happens on a channel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// Of which channel.
    pub channel: ChannelId,
    /// What its owner calls it.
    pub name: String,
    /// Where it is. The address may hold a secret.
    pub url: String,
    /// What it is told.
    pub events: BTreeSet<WebhookEvent>,
    /// What deliveries are signed with.
    pub secret: SigningSecret,
    /// The one before, for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// It is told what happened from here on: milliseconds since 1970.
    pub since: i64,
    /// From when on a process may deliver what waits: milliseconds since 1970. Whoever does has written a later time.
    /// Absent: nothing waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<i64>,
    /// Counts how often something was put in the queue: who rests knows by it that there is more.
    #[serde(default)]
    pub woken: i64,
    /// Attempts that failed since the last that did not.
    #[serde(default)]
    pub failures: u32,
    /// When the first of them was: milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<i64>,
    /// It is told nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Events that it never got.
    #[serde(default)]
    pub lost: i64,
    /// When the owner sent a test last: milliseconds since 1970.
    #[serde(default)]
    pub tested_at: i64,
    /// The last attempts, oldest first, at most [`RECENT_MAX`].
    #[serde(default)]
    pub recent: Vec<Attempt>,
}

/// The secret before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Deliveries are signed with it too.
    pub secret: SigningSecret,
    /// Until then: milliseconds since 1970.
    pub until: i64,
}

/// Why a webhook is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disabled {
    /// Its owner turned it off.
    Owner,
    /// It took nothing for a day.
    Failing,
    /// It answered 410: it wants nothing any more.
    Gone,
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoAnswer {
    /// It took too long.
    Timeout,
    /// No name, no route, nobody there, or no certificate that is good.
    Unreachable,
    /// The address is not on the public internet.
    ForbiddenAddress,
    /// The connection broke.
    Broken,
}

/// One try to deliver something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What.
    pub delivery: Uuid,
    /// When: milliseconds since 1970.
    pub at: i64,
    /// From 1.
    pub number: u32,
    /// The type of the first event.
    pub first: String,
    /// How many events.
    pub events: u32,
    /// How long the receiver took, in milliseconds.
    pub took_ms: i64,
    /// What it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<NoAnswer>,
}

impl Attempt {
    /// Whether the receiver took it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Something that a webhook is told; gone once it was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookDelivery {
    /// Its id, the same at each try.
    pub id: Uuid,
    /// Whom.
    pub webhook: Uuid,
    /// Of which channel.
    pub channel: ChannelId,
    /// When it was put in the queue: milliseconds since 1970.
    pub at: i64,
    /// Its place in the queue: milliseconds since 1970.
    pub due: i64,
    /// How often it was tried.
    #[serde(default)]
    pub tries: u32,
    /// The type of the first event.
    pub first: String,
    /// What it is told, in order.
    pub events: Vec<Value>,
    /// What made the first of them happen.
    #[serde(default, skip_serializing_if = "Cause::is_unknown")]
    pub cause: Cause,
}

/// Never the address or a secret.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Something was put in its queue.
    #[must_use]
    pub fn woken(self, now_ms: i64) -> Self {
        Self { due: self.due.or(Some(now_ms)), woken: self.woken + 1, ..self }
    }

    /// An attempt succeeded; whoever has it keeps it until `due`.
    #[must_use]
    pub fn succeeded(self, attempt: Attempt, due: i64) -> Self {
        Self { failures: 0, failing_since: None, due: Some(due), ..self }.noted(attempt)
    }

    /// An attempt failed: it is left alone for a while, or for good. `asked_ms` is for how long it wants to be.
    #[must_use]
    pub fn failed(self, attempt: Attempt, now_ms: i64, asked_ms: Option<i64>, jitter: u8) -> Self {
        let failures = self.failures.saturating_add(1);
        let since = self.failing_since.unwrap_or(now_ms);
        let disabled = if attempt.status == Some(410) {
            Some(Disabled::Gone)
        } else {
            (now_ms.saturating_sub(since) >= DISABLE_AFTER_MS).then_some(Disabled::Failing)
        };
        let disabled = self.disabled.or(disabled);
        let due = now_ms.saturating_add(pause_ms(failures, asked_ms, jitter));
        let due = disabled.is_none().then_some(due);
        Self { failures, failing_since: Some(since), disabled, due, ..self }.noted(attempt)
    }

    /// On again: it is told what happens from now on.
    #[must_use]
    pub fn enabled(self, now_ms: i64) -> Self {
        Self { disabled: None, failures: 0, failing_since: None, since: now_ms, ..self }
    }

    /// With another secret; the one before is good for a while.
    #[must_use]
    pub fn rotated(self, secret: SigningSecret, now_ms: i64) -> Self {
        let until = now_ms.saturating_add(PREVIOUS_SECRET_MS);
        Self { previous: Some(Previous { secret: self.secret, until }), secret, ..self }
    }

    /// The signatures of a body, the newest secret's first.
    #[must_use]
    pub fn signatures(&self, id: &str, now_ms: i64, body: &[u8]) -> String {
        let timestamp_s = now_ms.div_euclid(1_000);
        let mut signatures = self.secret.signature(id, timestamp_s, body);
        if let Some(previous) = self.previous.as_ref().filter(|previous| previous.until > now_ms) {
            signatures.push(' ');
            signatures.push_str(&previous.secret.signature(id, timestamp_s, body));
        }
        signatures
    }

    fn noted(mut self, attempt: Attempt) -> Self {
        self.recent.push(attempt);
        let over = self.recent.len().saturating_sub(RECENT_MAX);
        self.recent.drain(..over);
        self
    }
}

pub(crate) static WEBHOOKS: Collection = Collection {
    name: "webhooks",
    indexes: &[
        Index { name: "channel", fields: &["channel", "created_at"], unique: false },
        Index { name: "due", fields: &["due"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

pub(crate) static WEBHOOK_DELIVERIES: Collection = Collection {
    name: "webhook_deliveries",
    indexes: &[
        Index { name: "queue", fields: &["webhook", "due"], unique: false },
        Index { name: "channel", fields: &["channel"], unique: false },
        Index { name: "at", fields: &["at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Webhook {
    const COLLECTION: &'static Collection = &WEBHOOKS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Document for WebhookDelivery {
    const COLLECTION: &'static Collection = &WEBHOOK_DELIVERIES;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::plan::MINUTE_MS;
    use super::*;

    pub(in super::super) fn webhook() -> Webhook {
        Webhook {
            id: Uuid::from_u128(1),
            channel: ChannelId(Uuid::from_u128(2)),
            name: "bot".to_owned(),
            url: "https://bot.example.org/hook?key=s3cret".to_owned(),
            events: [WebhookEvent::MessageSent].into(),
            secret: SigningSecret::random(),
            previous: None,
            created_at: 0,
            since: 0,
            due: None,
            woken: 0,
            failures: 0,
            failing_since: None,
            disabled: None,
            lost: 0,
            tested_at: 0,
            recent: Vec::new(),
        }
    }

    fn attempt(status: u16) -> Attempt {
        Attempt {
            delivery: Uuid::from_u128(3),
            at: 0,
            number: 1,
            first: "message.sent".to_owned(),
            events: 1,
            took_ms: 1,
            status: Some(status),
            error: None,
        }
    }

    #[test]
    fn a_webhook_that_takes_nothing_for_a_day_is_turned_off_and_one_success_makes_it_good() {
        let (mut hook, mut now) = (webhook().woken(0), 0);
        let mut attempts = 0;
        while hook.disabled.is_none() {
            now = hook.due.unwrap();
            hook = hook.failed(attempt(500), now, None, 128);
            attempts += 1;
        }
        assert_eq!((hook.disabled, hook.due), (Some(Disabled::Failing), None));
        let soon = DISABLE_AFTER_MS..DISABLE_AFTER_MS + 15 * MINUTE_MS;
        assert!(soon.contains(&now), "{now}");
        assert!((100..200).contains(&attempts), "a receiver that is away is not hammered: {attempts}");
        assert_eq!(hook.recent.len(), RECENT_MAX);
        let on = hook.enabled(now);
        assert_eq!((on.disabled, on.failures, on.since), (None, 0, now));

        let hook = webhook().failed(attempt(500), 0, None, 128).succeeded(attempt(204), 7);
        assert_eq!((hook.failures, hook.failing_since, hook.due), (0, None, Some(7)));
        let hook = webhook().failed(attempt(410), 0, None, 128);
        assert_eq!((hook.disabled, hook.due), (Some(Disabled::Gone), None), "it says so itself");
    }

    #[test]
    fn both_secrets_sign_while_the_old_one_is_good() {
        let old = webhook();
        let first = old.signatures("a", 1_000, b"x");
        let hook = old.clone().rotated(SigningSecret::random(), 1_000);
        let both = hook.signatures("a", 1_000, b"x");
        assert!(both.ends_with(&format!(" {first}")) && !both.starts_with(&first), "{both}");
        assert!(!hook.signatures("a", 1_000 + PREVIOUS_SECRET_MS, b"x").contains(' '));
    }

    #[test]
    fn a_webhook_tells_nobody_where_it_is_or_its_secret() {
        let hook = webhook();
        let text = format!("{hook:?}");
        assert!(!text.contains("s3cret") && !text.contains(hook.secret.reveal()), "{text}");
    }
}
