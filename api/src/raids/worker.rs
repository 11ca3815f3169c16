//! Lets raids go when it is time.
#![expect(clippy::disallowed_methods, reason = "shell: waits")]

use std::time::Duration;

use millrace_core::chat::{ChatMessage, MessageKind, News};
use millrace_core::ids::MessageId;
use millrace_store::{Change, Changes, Order, Query, StoreError};
use tokio_util::sync::CancellationToken;

use super::{RaidPlan, show};
use crate::ApiState;
use crate::accounts::{Channel, User};
use crate::chat::Rooms;
use crate::error::chain;
use crate::routes::lists::time;

/// How often one looks for raids.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Raids that are let go at once.
const AT_ONCE: usize = 20;
/// For how long a raid is somebody's without another word, in milliseconds.
const LEASE_MS: i64 = 10_000;
/// A raid that is so late is none, in milliseconds: nobody waits any more.
const LATE_MS: i64 = 60_000;

/// Lets raids go until `shutdown`.
pub async fn run(state: ApiState, shutdown: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut said = false;
    while shutdown.run_until_cancelled(look.tick()).await.is_some() {
        match let_go(&state).await {
            Ok(()) => said = false,
            // Once, not every second.
            Err(error) => {
                if !said {
                    tracing::warn!(err = %chain(&error), "cannot look for raids; trying again");
                }
                said = true;
            }
        }
    }
}

/// Lets those go that are due.
pub(crate) async fn let_go(state: &ApiState) -> Result<(), StoreError> {
    let now = state.now_ms();
    let query = Query::first(AT_ONCE).ordered("due", Order::Ascending);
    let found = state.store().find::<RaidPlan>(&query).await?;
    for plan in found.into_iter().filter(|plan| plan.due.is_some_and(|due| due <= now)) {
        let lease = now.saturating_add(LEASE_MS);
        let ours = RaidPlan { due: Some(lease), ..plan.value.clone() };
        match state.store().commit(Changes::new().replace(&plan, &ours)).await {
            Ok(()) => {}
            // Another process was faster, or it was called off.
            Err(StoreError::Stale { .. }) => continue,
            Err(error) => return Err(error),
        }
        go(state, &ours).await?;
        let over = |plan: RaidPlan| {
            if plan.due == Some(lease) { Change::To(RaidPlan { due: None, ..plan }) } else { Change::Not(()) }
        };
        state.store().update(&ours.channel.to_string(), over).await?;
    }
    Ok(())
}

async fn go(state: &ApiState, plan: &RaidPlan) -> Result<(), StoreError> {
    let (store, now) = (state.store(), state.now_ms());
    let source = store.get::<Channel>(&plan.channel.to_string()).await?;
    let target = store.get::<Channel>(&plan.target.to_string()).await?;
    let (Some(source), Some(target)) = (source, target) else { return Ok(()) };
    let is_live = state.with_directory(|directory| directory.get(&target.name).is_some());
    let room = Rooms::new(store.clone()).state(target.id).await?;
    if !is_live || !room.settings.takes_raids || now.saturating_sub(plan.at) > LATE_MS {
        return show(state, plan.channel, &plan.name, |room| room.raid = None).await;
    }
    if room.settings.raid_messages {
        let watching =
            state.with_directory(|directory| directory.get(&plan.name).map(|stream| stream.viewers));
        let viewers = watching.unwrap_or_else(|| u64::try_from(plan.viewers).unwrap_or(0));
        let owner = store.get::<User>(&source.owner.to_string()).await?;
        let display_name = owner.map_or_else(|| plan.name.to_string(), |owner| owner.value.display_name);
        let noun = if viewers == 1 { "viewer" } else { "viewers" };
        let message = ChatMessage {
            id: MessageId(plan.id),
            at: time(now),
            kind: MessageKind::System,
            author: None,
            text: format!("{display_name} raids with {viewers} {noun}."),
            nonce: None,
            reply_to: None,
            mentions: Vec::new(),
            event: None,
            news: Some(News::Raid { channel: plan.name.clone(), display_name, viewers }),
        };
        let said = state.studio().say_in_room(&target.name, message).await;
        said.map_err(|_| StoreError::unavailable("chat cannot be told"))?;
    }
    show(state, plan.channel, &plan.name, |room| {
        if let Some(raid) = room.raid.as_mut().filter(|raid| raid.id == plan.id) {
            raid.gone = true;
        }
    })
    .await
}
