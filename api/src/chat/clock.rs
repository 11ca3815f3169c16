//! What happens in rooms because time passes: messages that waited for too long, polls that close.
#![expect(clippy::disallowed_methods, reason = "shell: the clock")]

use std::time::Duration;

use millrace_core::bus::BusError;
use millrace_store::StoreError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::hold::tell_what_is_due;
use super::poll::{Told, look_after_polls};
use crate::ApiState;
use crate::error::chain;

/// How often it is looked whether something is due.
const EVERY: Duration = Duration::from_secs(1);

/// Why something is done later than it was due.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Late {
    /// Nothing is known of it.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
    /// Nobody hears of it.
    #[error("the rooms cannot be told")]
    Bus(#[from] BusError),
}

/// Does what is due until `shutdown`. Several processes may: each thing is decided once, and told again harmlessly.
pub async fn keep_time(state: ApiState, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut failing, mut told) = (false, Told::default());
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let work = async {
            let held = tell_what_is_due(&state).await;
            look_after_polls(&state, &mut told).await.and(held)
        };
        let Some(done) = shutdown.run_until_cancelled(work).await else { return };
        if let Err(err) = &done
            && !failing
        {
            tracing::warn!(err = %chain(err), "what is due in chat is done later");
        }
        failing = done.is_err();
    }
}
