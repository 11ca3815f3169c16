//! Raids: a broadcaster sends everybody who watches to another live channel.
//!
//! A raid is planned for some seconds later, so that it can be called off and nobody is taken by surprise: the room of the
//! source says it to its pages ([`Raid`] in its state). When it is time, a process with the role `worker` says in the
//! target's room who comes, and marks the raid in the source's room as gone: that is when pages move.

mod record;
mod worker;

use millrace_core::chat::{Raid, RoomUpdated};
use millrace_core::event::EventBody;
use millrace_core::ids::{ChannelId, ChannelName};
use millrace_store::{Change, StoreError};

pub(crate) use record::RAIDS;
pub use record::RaidPlan;
pub use worker::run;

use crate::ApiState;
use crate::chat::Rooms;
use crate::error::chain;
use crate::routes::lists::time;

#[cfg(test)]
pub(crate) use worker::let_go;

/// How long a raid can be called off.
pub const COUNTDOWN_MS: i64 = 20_000;
/// Between the beginnings of two raids of a channel.
pub const RAID_EVERY_MS: i64 = 60_000;

/// Plans a raid, in the place of the last one of the channel.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn plan(state: &ApiState, plan: &RaidPlan) -> Result<(), StoreError> {
    let store = state.store();
    let put = |_: RaidPlan| Change::<_, std::convert::Infallible>::To(plan.clone());
    while store.update(&plan.channel.to_string(), put).await?.is_none() {
        match store.insert(plan).await {
            Ok(()) => break,
            // Somebody else was the first.
            Err(StoreError::Conflict { .. }) => {}
            Err(err) => return Err(err),
        }
    }
    let raid = Raid { id: plan.id, target: plan.target_name.clone(), at: time(plan.at), gone: false };
    show(state, plan.channel, &plan.name, |room| room.raid = Some(raid.clone())).await
}

/// Calls a raid off, if there is one; whether there was.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn call_off(
    state: &ApiState,
    channel: ChannelId,
    name: &ChannelName,
) -> Result<bool, StoreError> {
    let off = |plan: RaidPlan| match plan.due {
        Some(_) => Change::To(RaidPlan { due: None, ..plan }),
        None => Change::Not(()),
    };
    let called_off = state.store().update(&channel.to_string(), off).await?;
    if called_off.is_none_or(|done| done.is_err()) {
        return Ok(false);
    }
    show(state, channel, name, |room| room.raid = None).await?;
    Ok(true)
}

/// The raid of a channel that is about to go.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn planned(state: &ApiState, channel: ChannelId) -> Result<Option<RaidPlan>, StoreError> {
    let plan = state.store().get::<RaidPlan>(&channel.to_string()).await?;
    Ok(plan.map(|kept| kept.value))
}

/// Changes what the room of a channel shows of its raid.
async fn show(
    state: &ApiState,
    channel: ChannelId,
    name: &ChannelName,
    change: impl Fn(&mut RoomUpdated) + Send + Sync,
) -> Result<(), StoreError> {
    let room = Rooms::new(state.store().clone()).change(channel, change).await?;
    // Who does not hear it reads it from the store with the next change.
    if let Err(err) = state.studio().tell_room(name, EventBody::RoomUpdated(Box::new(room))).await {
        tracing::warn!(stream.id = %name, err = %chain(&err), "the chat of {name} is not told of a raid");
    }
    Ok(())
}
