//! What happens in rooms because time passes: messages that waited for too long, polls that close.
#![expect(clippy::disallowed_methods, reason = "shell: the clock")]

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::hold::tell_what_is_due;
use super::poll::{Told, look_after_polls};
use crate::ApiState;
use crate::error::chain;

/// How often it is looked whether something is due.
const EVERY: Duration = Duration::from_secs(1);

/// Does what is due until `shutdown`. Several processes may: each thing is decided once, and told again harmlessly.
pub async fn keep_time(state: ApiState, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut failing, mut told) = (false, Told::default());
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let work = async {
            tell_what_is_due(&state).await?;
            look_after_polls(&state, &mut told).await
        };
        let Some(done) = shutdown.run_until_cancelled(work).await else { return };
        if let Err(err) = &done
            && !failing
        {
            tracing::warn!(err = %chain(err), "what is due in chat waits for the store");
        }
        failing = done.is_err();
    }
}
