//! Takes jobs and sends their pushes.
#![expect(
    clippy::disallowed_methods,
    reason = "shell: waits, and starts tasks for pushes that are tried again"
)]

use std::sync::PoisonError;
use std::time::Duration;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use futures_util::StreamExt;
use futures_util::stream;
use millrace_core::trace;
use millrace_store::{Changes, Kept, Order, Query, StoreError};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::encrypt::{MESSAGE_MAX_BYTES, Recipient, encrypt};
use super::http::{Answer, Message, TIMEOUT, send};
use super::outcome::{Outcome, outcome, unreached};
use super::{Device, Push, PushJob};
use crate::ApiState;
use crate::accounts::{Broadcast, Channel, Follow, User};
use crate::auth::secret::{random, sha256};
use crate::auth::sessions::Session;
use crate::error::chain;
use crate::notices::told;
use crate::outgoing::{address, client};

/// How often one looks for jobs.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Jobs that a process works on at once.
const JOBS_AT_ONCE: usize = 4;
/// Followers of a page: what is lost at most when a process dies in the middle of it.
const FOLLOWERS_AT_ONCE: usize = 200;
/// Followers whose devices are looked up at once.
const LOOKUPS_AT_ONCE: usize = 8;
/// For how long a job is somebody's without another word: longer than a page of devices that do not answer takes.
const LEASE_MS: i64 = 300_000;

/// What every device of a job is sent.
#[derive(Debug, Serialize)]
struct Payload<'a> {
    kind: &'static str,
    channel: &'a str,
    streamer: &'a str,
    title: &'a str,
    /// Where a click leads.
    url: String,
    at: i64,
}

/// Pushes notices until `shutdown`.
pub async fn deliver(state: ApiState, shutdown: CancellationToken) {
    if !state.notices().config().push {
        return;
    }
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut jobs = JoinSet::new();
    let mut said = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(_) = jobs.join_next() => {}
            _ = look.tick() => match take(&state, JOBS_AT_ONCE - jobs.len().min(JOBS_AT_ONCE)).await {
                Ok(taken) => {
                    said = false;
                    for job in taken {
                        let cause = job.cause;
                        let work = run_or_log(state.clone(), job, shutdown.clone());
                        jobs.spawn(trace::job("push notices", cause, work));
                    }
                }
                // Once, not every second.
                Err(error) if !said => {
                    tracing::warn!(err = %chain(&error), "cannot look for notices to push; trying again");
                    said = true;
                }
                Err(_) => {}
            },
        }
    }
}

/// Jobs that nobody has, at most `limit`; nobody else gets them for a while.
async fn take(state: &ApiState, limit: usize) -> Result<Vec<Kept<PushJob>>, StoreError> {
    let now = state.now_ms();
    let mut taken = Vec::new();
    if limit == 0 {
        return Ok(taken);
    }
    let query = Query::first(limit).ordered("due", Order::Ascending);
    for job in state.store().find::<PushJob>(&query).await?.into_iter().filter(|job| job.due <= now) {
        let ours = PushJob { due: now + LEASE_MS, ..job.value.clone() };
        match state.store().commit(Changes::new().replace(&job, &ours)).await {
            Ok(()) => {
                let version = millrace_store::Version(job.version.0 + 1);
                taken.push(Kept { value: ours, version });
            }
            // Another process was faster.
            Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

async fn run_or_log(state: ApiState, job: Kept<PushJob>, shutdown: CancellationToken) {
    let broadcast = job.broadcast;
    tokio::select! {
        () = shutdown.cancelled() => {}
        done = run(&state, job, &shutdown) => if let Err(error) = done {
            tracing::warn!(%broadcast, err = %chain(&error), "the pushes of a broadcast were interrupted; another process \
                           goes on, or this one in five minutes");
        },
    }
}

/// Sends the pushes of a job, page by page.
async fn run(
    state: &ApiState,
    mut job: Kept<PushJob>,
    shutdown: &CancellationToken,
) -> Result<(), StoreError> {
    let store = state.store();
    loop {
        let Some((channel, owner)) = worth_it(state, &job).await? else {
            return finish(state, &job).await.map(drop);
        };
        let query = Query::with("channel", job.channel.to_string(), FOLLOWERS_AT_ONCE)
            .ordered("followed_at", Order::Descending)
            .after(job.place());
        let page = store.find::<Follow>(&query).await?;
        let reached = page.last().map(|last| job.beyond(last, state.now_ms() + LEASE_MS));
        let last_page = page.len() < FOLLOWERS_AT_ONCE;
        let at = job.at;
        let heard = page.into_iter().filter(|follow| !follow.muted && follow.heard_since() <= at);
        let mut devices: Vec<Device> = Vec::new();
        let mut found = stream::iter(heard)
            .map(|follow| devices_of(state, follow.value))
            .buffer_unordered(LOOKUPS_AT_ONCE);
        while let Some(some) = found.next().await {
            devices.extend(some?);
        }
        // First what was done, then the deed: whoever goes on after a crash does not send it again.
        let ours = match reached.filter(|_| !last_page) {
            None => finish(state, &job).await?,
            Some(further) => match store.commit(Changes::new().replace(&job, &further)).await {
                Ok(()) => {
                    job = Kept { version: millrace_store::Version(job.version.0 + 1), value: further };
                    true
                }
                Err(StoreError::Stale { .. }) => false,
                Err(error) => return Err(error),
            },
        };
        if !ours {
            return Ok(());
        }
        let payload = payload(&job, &channel, &owner);
        stream::iter(devices)
            .for_each_concurrent(state.notices().config().push_concurrency, |device| {
                let push = Sending {
                    state: state.clone(),
                    device,
                    payload: payload.clone(),
                    topic: sha256(job.channel.to_string().as_bytes())[..32].to_owned(),
                    expires_at: expires_at(state.push(), &job),
                };
                push.first(shutdown)
            })
            .await;
        if last_page {
            return Ok(());
        }
    }
}

/// The job is done, or not worth doing; whether it was still ours.
async fn finish(state: &ApiState, job: &Kept<PushJob>) -> Result<bool, StoreError> {
    match state.store().commit(Changes::new().delete(job)).await {
        Ok(()) => Ok(true),
        Err(StoreError::Stale { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn expires_at(push: &Push, job: &PushJob) -> i64 {
    job.at.saturating_add(push.0.config.push_lifetime_ms())
}

/// The channel and its owner, as long as there is something to tell: the broadcast goes on and its followers may watch.
async fn worth_it(state: &ApiState, job: &PushJob) -> Result<Option<(Channel, User)>, StoreError> {
    if state.now_ms() >= expires_at(state.push(), job) {
        return Ok(None);
    }
    let broadcast = state.store().get::<Broadcast>(&job.broadcast.to_string()).await?;
    if broadcast.is_none_or(|broadcast| !broadcast.running) {
        return Ok(None);
    }
    let Some(channel) = state.store().get::<Channel>(&job.channel.to_string()).await? else {
        return Ok(None);
    };
    if !told(channel.playback) {
        return Ok(None);
    }
    let owner = state.store().get::<User>(&channel.owner.to_string()).await?;
    Ok(owner.map(|owner| (channel.value, owner.value)))
}

/// The devices of a follower that are to get it. A device whose session is over is removed.
async fn devices_of(state: &ApiState, follow: Follow) -> Result<Vec<Device>, StoreError> {
    let devices = state.push().devices().of(follow.user).await?;
    if devices.is_empty() || state.notices().reader(follow.user).await?.off {
        return Ok(Vec::new());
    }
    let mut signed_in = Vec::new();
    for device in devices {
        let session = state.store().get::<Session>(&device.session.to_string()).await?;
        let now = state.now_ms();
        if session.is_some_and(|session| session.revoked_at.is_none() && session.expires_at > now) {
            signed_in.push(device.value);
        } else {
            state.push().devices().remove(&device.id).await?;
        }
    }
    Ok(signed_in)
}

fn payload(job: &PushJob, channel: &Channel, owner: &User) -> Vec<u8> {
    let title: String = job.title.chars().take(200).collect();
    let payload = Payload {
        kind: "live",
        channel: channel.name.as_str(),
        streamer: &owner.display_name,
        title: &title,
        url: format!("/@{}", channel.name),
        at: job.at,
    };
    let json = serde_json::to_vec(&payload).expect("a payload is JSON");
    debug_assert!(json.len() <= MESSAGE_MAX_BYTES);
    json
}

/// One push to one device.
struct Sending {
    state: ApiState,
    device: Device,
    payload: Vec<u8>,
    topic: String,
    expires_at: i64,
}

impl Sending {
    /// The first attempt; what has to wait goes on by itself.
    async fn first(self, shutdown: &CancellationToken) {
        let mut attempt = 1;
        let Some(mut again_at) = self.attempt(&mut attempt).await else { return };
        let Ok(place) = std::sync::Arc::clone(&self.state.push().0.waiting).try_acquire_owned() else {
            count("given_up");
            return;
        };
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let pause = again_at.saturating_sub(self.state.now_ms());
                let pause = Duration::from_millis(u64::try_from(pause).unwrap_or(0));
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                }
                match self.attempt(&mut attempt).await {
                    Some(later) => again_at = later,
                    None => break,
                }
            }
            drop(place);
        });
    }

    /// Tries once; when to try again, if that makes sense.
    async fn attempt(&self, attempt: &mut u32) -> Option<i64> {
        let push = &self.state.push().0;
        let now = self.state.now_ms();
        let Some(message) = self.message(now) else {
            count("refused");
            return None;
        };
        let service = message.to.origin().ascii_serialization();
        let quiet_until =
            push.services.lock().unwrap_or_else(PoisonError::into_inner).quiet_until(&service, now);
        if let Some(until) = quiet_until {
            return self.before_it_expires(until);
        }
        let answer = {
            let _sending = push.sending.acquire().await.ok()?;
            send(self.client()?, &message, now).await
        };
        let outcome = match answer {
            Answer::Status(status, wait) => outcome(status, wait, *attempt),
            Answer::Unreached => unreached(*attempt),
            Answer::Forbidden => Outcome::Refused,
            // It may be there: another one could be the second.
            Answer::Unknown => Outcome::GivenUp,
        };
        *attempt += 1;
        let devices = self.state.push().devices();
        let kept = match outcome {
            Outcome::Delivered => {
                count("delivered");
                devices.judged(&self.device, false).await
            }
            Outcome::Gone => {
                count("gone");
                devices.remove(&self.device.id).await
            }
            Outcome::Refused => {
                count("refused");
                tracing::info!(push.service = %service, ?answer, "a push service refused a push");
                devices.judged(&self.device, true).await
            }
            Outcome::Later { after_ms, service: for_all } => {
                let until = now.saturating_add(after_ms);
                if for_all {
                    let mut services = push.services.lock().unwrap_or_else(PoisonError::into_inner);
                    services.quiet(&service, until, now);
                }
                return self.before_it_expires(until);
            }
            Outcome::GivenUp => {
                count("given_up");
                Ok(())
            }
        };
        if let Err(error) = kept {
            tracing::warn!(err = %chain(&error), "cannot note what became of a push");
        }
        None
    }

    fn before_it_expires(&self, at: i64) -> Option<i64> {
        let fits = at < self.expires_at;
        if !fits {
            count("given_up");
        }
        fits.then_some(at)
    }

    fn message(&self, now: i64) -> Option<Message> {
        let push = &self.state.push().0;
        let to = address::endpoint(&self.device.endpoint, push.config.push_private_services).ok()?;
        let recipient = Recipient::parse(&self.device.p256dh, &self.device.auth).ok()?;
        let ours = PrivateKey::generate(&ECDH_P256).ok()?;
        let body = encrypt(&self.payload, &recipient, &ours, random()).ok()?;
        let service = to.origin().ascii_serialization();
        Some(Message {
            authorization: push.vapid.authorization(&service, push.contact.as_deref(), now),
            ttl_s: self.expires_at.saturating_sub(now).max(0) / 1_000,
            // At most 32 characters of base64url.
            topic: self.topic.clone(),
            to,
            body,
        })
    }

    fn client(&self) -> Option<&reqwest::Client> {
        let push = &self.state.push().0;
        if push.http.get().is_none() {
            match client(push.config.push_private_services, TIMEOUT) {
                Ok(client) => drop(push.http.set(client)),
                Err(error) => {
                    tracing::error!(err = %chain(&error), "cannot make the client that pushes notices");
                    return None;
                }
            }
        }
        push.http.get()
    }
}

fn count(result: &'static str) {
    metrics::counter!("millrace_push_total", "result" => result).increment(1);
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
