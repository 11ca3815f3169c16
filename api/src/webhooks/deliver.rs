//! Takes webhooks for which something waits, and delivers it.
#![expect(clippy::disallowed_methods, reason = "shell: waits, and starts a task for each webhook")]

use std::time::Duration;

use axum::http::{HeaderValue, header};
use millrace_core::trace;
use millrace_store::{Change, Changes, Kept, Order, Query, StoreError};
use reqwest::{Client, Url};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::of_webhook;
use super::plan::{GIVE_UP_MS, put_back};
use super::record::{Attempt, Disabled, NoAnswer, Webhook, WebhookDelivery};
use crate::ApiState;
use crate::accounts::{Channel, User};
use crate::auth::audit::Audit;
use crate::auth::by_mail::notify;
use crate::auth::secret::random;
use crate::error::chain;
use crate::mail::News;
use crate::outgoing::{address, client, is_forbidden, retry_after};
use crate::routes::lists::time;

/// How often one looks for what another process gathered, and for what is tried again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long a webhook is somebody's without another word, beside the time that its receiver may take.
const LEASE_SPARE_MS: i64 = 30_000;
/// After so long the next webhook has its turn.
const TURN: Duration = Duration::from_secs(10);
/// Between two deliveries of a webhook: at most ten a second.
const LEAST_GAP: Duration = Duration::from_millis(100);
/// What is read of an answer, so that its connection can be used again; it is kept nowhere.
const ANSWER_MAX_BYTES: usize = 16 * 1024;

/// Delivers until `shutdown`.
pub async fn deliver(state: ApiState, shutdown: CancellationToken) {
    let config = state.webhooks().config().clone();
    if config.max_per_channel == 0 {
        return;
    }
    let http = match client(config.private_receivers, config.timeout) {
        Ok(http) => http,
        Err(error) => {
            tracing::error!(err = %chain(&error), "cannot make the client that delivers to webhooks");
            return;
        }
    };
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut turns = JoinSet::new();
    let mut said = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(_) = turns.join_next() => {}
            _ = look.tick() => {}
            () = state.webhooks().0.news.notified() => {}
        }
        let room = config.concurrency.saturating_sub(turns.len());
        match take(&state, room).await {
            Ok(taken) => {
                said = false;
                for (hook, lease) in taken {
                    let (state, http, shutdown) = (state.clone(), http.clone(), shutdown.clone());
                    turns.spawn(async move {
                        let turn = Turn { state, http, hook, lease };
                        if let Some(Err(error)) = shutdown.run_until_cancelled(turn.run()).await {
                            tracing::warn!(webhook.id = %hook, err = %chain(&error), "a webhook waits for the store");
                        }
                    });
                }
            }
            // Once, not every second.
            Err(error) if !said => {
                tracing::warn!(err = %chain(&error), "cannot look for what webhooks are to be told; trying again");
                said = true;
            }
            Err(_) => {}
        }
    }
}

/// Webhooks that nobody has and that are due, at most `limit`; until when they are ours.
pub(super) async fn take(state: &ApiState, limit: usize) -> Result<Vec<(Uuid, i64)>, StoreError> {
    let (now, mut taken) = (state.now_ms(), Vec::new());
    if limit == 0 {
        return Ok(taken);
    }
    let query = Query::first(limit).ordered("due", Order::Ascending);
    let found = state.store().find::<Webhook>(&query).await?;
    for hook in found.into_iter().filter(|hook| hook.due.is_some_and(|due| due <= now)) {
        let lease = lease(state);
        let ours = Webhook { due: Some(lease), ..hook.value.clone() };
        match state.store().commit(Changes::new().replace(&hook, &ours)).await {
            Ok(()) => taken.push((hook.id, lease)),
            // Another process was faster, or there is more: next time.
            Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

fn lease(state: &ApiState) -> i64 {
    let patience = i64::try_from(state.webhooks().config().timeout.as_millis()).unwrap_or(i64::MAX);
    state.now_ms().saturating_add(patience).saturating_add(LEASE_SPARE_MS)
}

/// The time in which one webhook is told what waits for it.
pub(super) struct Turn {
    pub(super) state: ApiState,
    pub(super) http: Client,
    pub(super) hook: Uuid,
    /// It is ours as long as this is its `due`.
    pub(super) lease: i64,
}

impl Turn {
    /// Delivers until nothing waits, it fails, or the turn is over.
    pub(super) async fn run(mut self) -> Result<(), StoreError> {
        let store = self.state.store().clone();
        let began = Instant::now();
        loop {
            let Some(hook) = store.get::<Webhook>(&self.hook.to_string()).await? else { return Ok(()) };
            if hook.due != Some(self.lease) {
                return Ok(());
            }
            if hook.disabled.is_some() {
                self.state.webhooks().drop_waiting(self.hook).await?;
            }
            let query = of_webhook(self.hook, 1).ordered("due", Order::Ascending);
            let next = store.find::<WebhookDelivery>(&query).await?.pop();
            let now = self.state.now_ms();
            let rest = match &next {
                None => Some(None),
                Some(next) if next.due > now => Some(Some(next.due)),
                Some(_) if began.elapsed() >= TURN => Some(Some(now)),
                Some(_) => None,
            };
            if let Some(due) = rest {
                let rested = Webhook { due, ..hook.value.clone() };
                match store.commit(Changes::new().replace(&hook, &rested)).await {
                    // Something came meanwhile.
                    Err(StoreError::Stale { .. }) => continue,
                    done => return done,
                }
            }
            let Some(next) = next else { return Ok(()) };
            if now.saturating_sub(next.at) >= GIVE_UP_MS {
                self.give_up(&next).await?;
                continue;
            }
            let gap = Instant::now() + LEAST_GAP;
            let cause = next.cause;
            if !trace::job("deliver to webhook", cause, self.attempt(&hook, next)).await? {
                return Ok(());
            }
            tokio::time::sleep_until(gap).await;
        }
    }

    /// Nobody took it in time.
    async fn give_up(&self, delivery: &WebhookDelivery) -> Result<(), StoreError> {
        let lost = i64::try_from(delivery.events.len()).unwrap_or(i64::MAX);
        metrics::counter!("millrace_webhook_events_lost_total").increment(lost.unsigned_abs());
        let changes = Changes::new().delete_id::<WebhookDelivery>(delivery.id.to_string());
        self.state.store().commit(changes).await?;
        let count = |hook: Webhook| Webhook { lost: hook.lost.saturating_add(lost), ..hook };
        self.state.webhooks().change(self.hook, count).await.map(drop)
    }

    /// Tries once; whether it goes on.
    async fn attempt(&mut self, hook: &Webhook, delivery: Kept<WebhookDelivery>) -> Result<bool, StoreError> {
        let Some(channel) = self.state.studio().channels.get(hook.channel).await? else { return Ok(false) };
        let (began, at) = (Instant::now(), self.state.now_ms());
        let answer = self.send(hook, &channel, &delivery, at).await;
        let now = self.state.now_ms();
        let (status, error, asked_ms) = match answer {
            Ok((status, asked_ms)) => (Some(status), None, asked_ms),
            Err(error) => (None, Some(error), None),
        };
        let attempt = Attempt {
            delivery: delivery.id,
            at,
            number: delivery.tries.saturating_add(1),
            first: delivery.first.clone(),
            events: u32::try_from(delivery.events.len()).unwrap_or(u32::MAX),
            took_ms: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
            status,
            error,
        };
        let taken = attempt.is_taken();
        let result = if taken { "taken" } else { "refused" };
        let result = if error.is_some() { "unanswered" } else { result };
        metrics::counter!("millrace_webhook_attempts_total", "result" => result).increment(1);
        if taken {
            let changes = Changes::new().delete_id::<WebhookDelivery>(delivery.id.to_string());
            self.state.store().commit(changes).await?;
            let lease = lease(&self.state);
            if !self.note(|hook| hook.succeeded(attempt.clone(), lease)).await? {
                return Ok(false);
            }
            self.lease = lease;
            return Ok(true);
        }
        let [jitter] = random();
        let later = put_back(delivery.value.clone(), now, jitter);
        match self.state.store().commit(Changes::new().replace(&delivery, &later)).await {
            // The channel or the webhook is gone.
            Err(StoreError::Stale { .. }) => return Ok(false),
            done => done?,
        }
        self.note(|hook| hook.failed(attempt.clone(), now, asked_ms, jitter)).await?;
        self.look_after_disabled().await?;
        Ok(false)
    }

    /// Writes what became of an attempt, if the webhook is still ours.
    async fn note(&self, change: impl Fn(Webhook) -> Webhook + Send + Sync) -> Result<bool, StoreError> {
        let ours = |hook: Webhook| {
            if hook.due == Some(self.lease) { Change::To(change(hook)) } else { Change::Not(()) }
        };
        let noted = self.state.store().update(&self.hook.to_string(), ours).await?;
        Ok(noted.is_some_and(|noted| noted.is_ok()))
    }

    /// Drops what waits for a webhook that was just turned off, and tells its owner.
    async fn look_after_disabled(&self) -> Result<(), StoreError> {
        let store = self.state.store();
        let Some(hook) = store.get::<Webhook>(&self.hook.to_string()).await? else { return Ok(()) };
        let Some(reason) = hook.disabled else { return Ok(()) };
        self.state.webhooks().drop_waiting(self.hook).await?;
        if reason == Disabled::Owner {
            return Ok(());
        }
        let host = host_of(&hook.url);
        tracing::warn!(webhook.id = %hook.id, ?reason, host, "a webhook is turned off");
        let Some(channel) = store.get::<Channel>(&hook.channel.to_string()).await? else { return Ok(()) };
        let entry = Audit {
            id: self.state.new_id(),
            at: self.state.now_ms(),
            by: None,
            action: "webhook.disabled".to_owned(),
            target: host.clone(),
            detail: hook.name.clone(),
            scope: format!("channel:{}", channel.id),
        };
        store.insert(&entry).await?;
        if let Some(owner) = store.get::<User>(&channel.owner.to_string()).await? {
            let news = News::WebhookDisabled { channel: channel.name.to_string(), host };
            notify(&self.state, &owner, news).await;
        }
        Ok(())
    }

    /// What the receiver answered, and for how long it wants to be left alone.
    async fn send(
        &self,
        hook: &Webhook,
        channel: &Channel,
        delivery: &WebhookDelivery,
        now_ms: i64,
    ) -> Result<(u16, Option<i64>), NoAnswer> {
        let private = self.state.webhooks().config().private_receivers;
        let to: Url = address::endpoint(&hook.url, private).map_err(|_| NoAnswer::ForbiddenAddress)?;
        let body = json!({
            "type": "channel.events",
            "timestamp": time(delivery.at),
            "data": { "channel": channel.name, "events": delivery.events },
        })
        .to_string();
        let id = format!("msg_{}", delivery.id.simple());
        let signatures = hook.signatures(&id, now_ms, body.as_bytes());
        let request = self
            .http
            .post(to)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(header::USER_AGENT, concat!("Millrace/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &id)
            .header("webhook-timestamp", now_ms.div_euclid(1_000))
            .header("webhook-signature", signatures)
            .body(body);
        let mut answer = request.send().await.map_err(|error| match error {
            error if is_forbidden(&error) => NoAnswer::ForbiddenAddress,
            error if error.is_timeout() => NoAnswer::Timeout,
            error if error.is_connect() => NoAnswer::Unreachable,
            _ => NoAnswer::Broken,
        })?;
        let found = (answer.status().as_u16(), retry_after(answer.headers(), now_ms));
        let mut read = 0;
        while let Ok(Some(piece)) = answer.chunk().await {
            read += piece.len();
            if read > ANSWER_MAX_BYTES {
                break;
            }
        }
        Ok(found)
    }
}

/// The name in an address: what else is there may be secret.
pub(crate) fn host_of(url: &str) -> String {
    let url = Url::parse(url).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
