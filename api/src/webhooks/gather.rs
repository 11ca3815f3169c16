//! Puts what happens into the queues of webhooks: what the group of all processes that do this gets of the bus.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use millrace_core::bus::{Bus, Delivery, Topic};
use millrace_core::chat::Removed;
use millrace_core::event::{Event, EventBody};
use millrace_core::ids::{ChannelName, UserId};
use millrace_core::trace::Cause;
use millrace_store::{Query, StoreError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::kind::WebhookEvent;
use super::record::Webhook;
use crate::ApiState;
use crate::accounts::{Channel, User};
use crate::batches::{Batches, Group, consume};

const GROUP: Group = Group {
    name: "webhooks",
    topics: &[Topic::Chat, Topic::Streams, Topic::Accounts],
    what: "what webhooks are told",
    most: 500,
    // What is said meanwhile is delivered together.
    gather: Duration::from_millis(100),
    apart: Duration::ZERO,
};
/// For how long one goes by what one read of a channel's webhooks, in milliseconds.
const KNOWN_MS: i64 = 1_000;
/// Channels that are remembered.
const KNOWN_MAX: usize = 10_000;

/// Gathers what webhooks are to be told until `shutdown`. What comes while the store is away waits on the bus.
pub async fn gather(state: ApiState, bus: Arc<dyn Bus>, shutdown: CancellationToken) {
    if state.webhooks().config().max_per_channel == 0 {
        return;
    }
    consume(bus, GROUP, Gatherer::new(state), shutdown).await;
}

/// A channel with its webhooks that are on, as they were a moment ago.
struct Known {
    at: i64,
    of: Option<(Channel, Vec<Webhook>)>,
}

pub(super) struct Gatherer {
    state: ApiState,
    /// When one looked last, and whether there is any webhook on this site.
    any: Option<(i64, bool)>,
    known: HashMap<ChannelName, Known>,
}

impl Batches for Gatherer {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<(), StoreError> {
        let mut channels: BTreeMap<&ChannelName, Vec<(WebhookEvent, &Event)>> = BTreeMap::new();
        for event in batch.iter().map(|delivery| delivery.event.as_ref()) {
            if let (Some(name), Some(kind)) = (event.channel(), WebhookEvent::of(&event.body)) {
                channels.entry(name).or_default().push((kind, event));
            }
        }
        if channels.is_empty() || !self.any().await? {
            return Ok(());
        }
        for (name, events) in channels {
            self.learn(name).await?;
            let Some((channel, hooks)) = self.known.get(name).and_then(|known| known.of.as_ref()) else {
                continue;
            };
            let mut told: HashMap<uuid::Uuid, Value> = HashMap::new();
            for hook in hooks {
                let wanted: Vec<_> =
                    events.iter().filter(|(kind, event)| wants(hook, *kind, event)).collect();
                let cause = wanted.first().map_or_else(Cause::default, |(_, event)| event.cause);
                let mut all = Vec::with_capacity(wanted.len());
                for (kind, event) in wanted {
                    let told = match told.entry(event.id) {
                        Entry::Occupied(told) => told.into_mut(),
                        Entry::Vacant(untold) => untold.insert(self.tell(channel, *kind, event).await?),
                    };
                    all.push(told.clone());
                }
                if !all.is_empty() {
                    let now = self.state.now_ms();
                    self.state.webhooks().put(hook.id, channel.id, all, cause, now).await?;
                }
            }
        }
        Ok(())
    }
}

fn wants(hook: &Webhook, kind: WebhookEvent, event: &Event) -> bool {
    hook.events.contains(&kind) && event.time.as_millisecond() >= hook.since
}

impl Gatherer {
    pub(super) fn new(state: ApiState) -> Self {
        Self { state, any: None, known: HashMap::new() }
    }

    /// Whether anybody wants to be told anything: on most sites nobody does.
    async fn any(&mut self) -> Result<bool, StoreError> {
        let now = self.state.now_ms();
        if let Some((_, any)) = self.any.filter(|(at, _)| now.saturating_sub(*at) < KNOWN_MS) {
            return Ok(any);
        }
        let any = !self.state.store().find::<Webhook>(&Query::first(1)).await?.is_empty();
        self.any = Some((now, any));
        Ok(any)
    }

    async fn learn(&mut self, name: &ChannelName) -> Result<(), StoreError> {
        let now = self.state.now_ms();
        if self.known.get(name).is_some_and(|known| now.saturating_sub(known.at) < KNOWN_MS) {
            return Ok(());
        }
        let of = match self.state.studio().channels.named(name).await? {
            Some(channel) => {
                let mut hooks = self.state.webhooks().of(channel.id).await?;
                hooks.retain(|hook| hook.disabled.is_none());
                (!hooks.is_empty()).then_some((channel, hooks))
            }
            None => None,
        };
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(name.clone(), Known { at: now, of });
        Ok(())
    }

    /// An event as receivers get it.
    async fn tell(&self, channel: &Channel, kind: WebhookEvent, event: &Event) -> Result<Value, StoreError> {
        let data = match &event.body {
            EventBody::MessageSent(message) => json!(message),
            EventBody::MessageDeleted(deleted) => {
                let by = self.person(deleted.by).await?;
                match &deleted.removed {
                    Removed::Messages(ids) => json!({ "messages": ids, "by": by }),
                    Removed::Author(author) => json!({ "author": self.person(*author).await?, "by": by }),
                    Removed::All(_) => json!({ "all": true, "by": by }),
                }
            }
            EventBody::UserTimedOut(out) => json!({
                "person": self.person(out.user).await?,
                "until": out.until,
                "reason": out.reason,
                "by": self.person(out.by).await?,
            }),
            EventBody::UserBanned(banned) => match &banned.chat {
                Some(ban) => json!({
                    "person": self.person(ban.user).await?,
                    "reason": ban.reason,
                    "by": self.person(ban.by).await?,
                }),
                None => Value::Null,
            },
            EventBody::UserUnbanned(pardoned) => match &pardoned.chat {
                Some(pardon) => json!({
                    "person": self.person(pardon.user).await?,
                    "by": self.person(pardon.by).await?,
                }),
                None => Value::Null,
            },
            EventBody::RoomUpdated(room) => json!({ "settings": room.settings, "pinned": room.pinned }),
            EventBody::StreamStarted(started) => json!({
                "broadcast": started.broadcast,
                "title": channel.title,
                "category": channel.category,
            }),
            EventBody::StreamEnded(ended) => json!({ "broadcast": ended.broadcast, "reason": ended.reason }),
            EventBody::ChannelFollowed(followed) => json!({ "person": self.person(followed.user).await? }),
            _ => Value::Null,
        };
        Ok(json!({ "id": event.id, "type": kind.name(), "timestamp": event.time, "data": data }))
    }

    /// Somebody, as far as they are known.
    async fn person(&self, id: UserId) -> Result<Value, StoreError> {
        let user = self.state.store().get::<User>(&id.to_string()).await?;
        let (name, display_name) = user.map(|user| (user.value.name, user.value.display_name)).unzip();
        Ok(json!({ "id": id, "name": name, "display_name": display_name }))
    }
}
