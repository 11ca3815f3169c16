//! What chat asks about people and channels, answered by the API.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use millrace_api::ApiState;
use millrace_api::chat::{Entrance, Rooms, Visitor, Waiting, enter, has_spoken, hold, standing, visitor};
use millrace_chat::{
    Away, Chatter, Holding, Record, Records, RecordsFuture, RoomRecord, Sanction, Standing, Subscription,
    Visit,
};
use millrace_core::chat::{ChatMessage, HoldReason};
use millrace_core::ids::{ChannelName, UserId};
use millrace_core::text::cleaned;
use millrace_http::problem::Problem;

/// The people and channels of this site.
pub(crate) struct People(pub(crate) ApiState);

impl Records for People {
    fn visit<'a>(
        &'a self,
        headers: &'a HeaderMap,
        peer: SocketAddr,
    ) -> RecordsFuture<'a, Result<Visit, Problem>> {
        Box::pin(async move {
            let Visitor { address, person } = visitor(&self.0, headers, peer).await?;
            let chatter = person.map(|(person, user)| Chatter {
                user: user.id,
                // Of accounts that are older than what is asked of names now.
                display_name: Some(cleaned(&user.display_name, 1))
                    .filter(|shown| !shown.is_empty())
                    .unwrap_or_else(|| user.name.to_string()),
                name: user.name,
                session: person.session,
                admin: Visitor::is_admin(&person),
                bot: person.session.is_none(),
                since_ms: user.created_at,
            });
            Ok(Visit { address, chatter })
        })
    }

    fn room<'a>(
        &'a self,
        channel: &'a ChannelName,
        chatter: Option<&'a Chatter>,
    ) -> RecordsFuture<'a, Result<Record, Away>> {
        Box::pin(async move {
            let user = chatter.map(|chatter| chatter.user);
            Ok(match enter(&self.0, channel, user).await.map_err(away)? {
                Entrance::Room(channel, state, emotes) => Record::Room(Box::new(RoomRecord {
                    channel: channel.id,
                    since_ms: channel.created_at,
                    owner: channel.owner,
                    moderators: channel.moderators,
                    state: *state,
                    site_emotes: emotes.into_iter().map(|emote| emote.name).collect(),
                    site_contact: self.0.site().known().values.contact.clone(),
                })),
                Entrance::None => Record::None,
                Entrance::Forbidden => Record::Forbidden,
            })
        })
    }

    fn standing<'a>(
        &'a self,
        channel: &'a ChannelName,
        user: UserId,
    ) -> RecordsFuture<'a, Result<Standing, Away>> {
        Box::pin(async move {
            let known = standing(&self.0, channel, user).await.map_err(away)?;
            Ok(Standing {
                sanction: known.sanction.map(|one| Sanction { until_ms: one.until, reason: one.reason }),
                owner_ban: known.owner_ban.map(|ban| ban.reason),
                site_ban: known.site_ban.map(|ban| ban.reason),
                following_since_ms: known.following_since,
                subscription: known.subscriber.map(|one| Subscription { until_ms: one.until }),
            })
        })
    }

    fn recent<'a>(
        &'a self,
        channel: &'a ChannelName,
        limit: usize,
    ) -> RecordsFuture<'a, Result<Vec<Arc<ChatMessage>>, Away>> {
        Box::pin(async move {
            let found = self.0.studio().channels.named(channel).await;
            let channel = found.map_err(|err| Away(err.to_string()))?;
            let Some(channel) = channel else { return Ok(Vec::new()) };
            let rooms = Rooms::new(self.0.store().clone());
            rooms.recent(channel.id, limit).await.map_err(|err| Away(err.to_string()))
        })
    }

    fn has_spoken<'a>(
        &'a self,
        channel: &'a ChannelName,
        user: UserId,
    ) -> RecordsFuture<'a, Result<bool, Away>> {
        Box::pin(async move { has_spoken(&self.0, channel, user).await.map_err(away) })
    }

    fn hold<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a ChatMessage,
        why: HoldReason,
    ) -> RecordsFuture<'a, Result<Holding, Away>> {
        Box::pin(async move {
            Ok(match hold(&self.0, channel, message, why).await.map_err(away)? {
                Waiting::Waits(held, _) => Holding::Waits { id: held.id, until: held.expires() },
                Waiting::Reviewed(id, decision) => Holding::Reviewed(id, decision),
                Waiting::Full(waiting) => Holding::Full(waiting),
            })
        })
    }
}

fn away(err: millrace_api::error::ApiError) -> Away {
    Away(err.0.detail().to_owned())
}
