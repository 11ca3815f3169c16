//! Writes what was said: what the group of all processes that do this gets of `millrace.chat`.

use std::future::Future;
use std::sync::Arc;

use millrace_core::bus::consume::{Failure, Handler, Retries, consume};
use millrace_core::bus::{Bus, BusFuture, Delivery, Topic};
use millrace_core::chat::{HISTORY_GROUP, Removed};
use millrace_core::event::EventBody;
use millrace_core::ids::ChannelId;
use millrace_store::StoreError;

use super::Rooms;
use crate::ApiState;
use crate::error::chain;

/// How far the clocks of two processes may be apart, in milliseconds.
const CLOCKS_MS: i64 = 60_000;

/// Keeps the history of all rooms until `shutdown`. What comes while the store is away waits on the bus.
pub async fn keep_history(state: ApiState, bus: Arc<dyn Bus>, shutdown: impl Future<Output = ()> + Send) {
    let rooms = Rooms::new(state.store().clone());
    let patient = Retries { attempts: u32::MAX, ..Retries::default() };
    consume(bus, HISTORY_GROUP, &[Topic::Chat], patient, Keeper { state, rooms }, shutdown).await;
}

struct Keeper {
    state: ApiState,
    rooms: Rooms,
}

impl Keeper {
    async fn keep(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let Some(name) = delivery.event.channel() else { return Ok(()) };
        // Of a channel that is gone, nothing is kept, whoever has its name now.
        let named = self.state.studio().channels.named(name).await?;
        let at = delivery.event.time.as_millisecond();
        let Some(channel) = named.filter(|channel| channel.created_at <= at.saturating_add(CLOCKS_MS)) else {
            return Ok(());
        };
        let channel: ChannelId = channel.id;
        match &delivery.event.body {
            EventBody::MessageSent(message) => self.rooms.keep(channel, message).await,
            EventBody::MessageDeleted(deleted) => match &deleted.removed {
                Removed::Messages(ids) => self.rooms.remove(ids, deleted.by).await,
                Removed::Author(author) => self.rooms.remove_all(channel, Some(*author), deleted.by).await,
                Removed::All(_) => self.rooms.remove_all(channel, None, deleted.by).await,
            },
            EventBody::UserTimedOut(out) => self.rooms.remove_all(channel, Some(out.user), out.by).await,
            EventBody::UserBanned(banned) => match &banned.chat {
                Some(ban) => self.rooms.remove_all(channel, Some(ban.user), ban.by).await,
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Handler for Keeper {
    fn handle<'a>(&'a mut self, delivery: &'a Delivery) -> BusFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            self.keep(delivery).await.map_err(|err| match err {
                StoreError::Corrupt { .. } | StoreError::Newer { .. } => Failure::Never(chain(&err)),
                _ => Failure::Later(chain(&err)),
            })
        })
    }
}
