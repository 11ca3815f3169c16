//! What chat asks about people and channels, answered by the API.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use millrace_api::ApiState;
use millrace_api::chat::{Entrance, Rooms, Visitor, enter, standing, visitor};
use millrace_chat::{Away, Chatter, Record, Records, RecordsFuture, RoomRecord, Sanction, Standing, Visit};
use millrace_core::chat::ChatMessage;
use millrace_core::ids::{ChannelName, UserId};
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
                name: user.name,
                display_name: user.display_name,
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
            let (sanction, following_since_ms) = standing(&self.0, channel, user).await.map_err(away)?;
            let sanction = sanction.map(|one| Sanction { until_ms: one.until, reason: one.reason });
            Ok(Standing { sanction, following_since_ms })
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
}

fn away(err: millrace_api::error::ApiError) -> Away {
    Away(err.0.detail().to_owned())
}
