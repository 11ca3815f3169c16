//! Keeps the history: what the group of all processes that do this gets of `millrace.streams`.
#![expect(clippy::disallowed_methods, reason = "shell: pauses and the clock")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_core::bus::{Bus, BusError, Delivery, Member, Position, Topic};
use millrace_store::StoreError;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Note, Recorder};
use crate::ApiState;
use crate::error::chain;

/// The group. The name is kept with what it has done.
const GROUP: &str = "history";
/// How long a store or bus that is away is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// Most often that the bus is told how far the history is, but for what was written.
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// After the last word of this process, how long one waits for more.
const LAST_EVENTS: Duration = Duration::from_millis(100);
/// How long all of that may take.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often one looks for broadcasts whose end nobody heard.
const CLOSE_EVERY: Duration = Duration::from_secs(60);
/// For how long such a broadcast has not been seen: several times as long as between two notes of a running one.
const UNSEEN_MS: i64 = 300_000;

/// Keeps the history until `shutdown`, and what comes right after that. Events that come while the store is away wait on
/// the bus. `alone`: no other process has broadcasts, so what ran when this one began runs no more.
pub async fn keep_history(state: ApiState, bus: Arc<dyn Bus>, alone: bool, shutdown: CancellationToken) {
    if alone && shutdown.run_until_cancelled(close_left_open(&state)).await.is_none() {
        return;
    }
    let mut keeper =
        Keeper { state, recorder: Recorder::default(), done: BTreeMap::new(), told: Instant::now() };
    loop {
        let member = tokio::select! {
            () = shutdown.cancelled() => return,
            member = bus.join(GROUP, &[Topic::Streams]) => member,
        };
        let err = match member {
            Ok(mut member) => match keeper.follow(member.as_mut(), alone, &shutdown).await {
                Ok(()) => return,
                Err(err) => err,
            },
            Err(err) => err,
        };
        if err == BusError::Closed {
            return;
        }
        tracing::warn!(%err, "the history waits for the bus");
        if shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

async fn close_left_open(state: &ApiState) {
    loop {
        match state.studio().history.close_left_open().await {
            Ok(0) => return,
            Ok(closed) => {
                tracing::warn!(broadcasts = closed, "closed broadcasts that the last process left open");
                return;
            }
            Err(err) => tracing::error!(err = %chain(&err), "cannot look after the history; trying again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Keeper {
    state: ApiState,
    recorder: Recorder,
    /// How far each partition is done with.
    done: BTreeMap<u16, Position>,
    told: Instant,
}

impl Keeper {
    /// Takes events until `shutdown`, then those that are there.
    async fn follow(
        &mut self,
        member: &mut dyn Member,
        alone: bool,
        shutdown: &CancellationToken,
    ) -> Result<(), BusError> {
        let mut close = tokio::time::interval_at(Instant::now() + CLOSE_EVERY, CLOSE_EVERY);
        close.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let delivery = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                delivery = member.next() => delivery?,
                _ = close.tick(), if !alone => {
                    self.close_unseen().await;
                    continue;
                }
            };
            let kept = shutdown.run_until_cancelled(self.take(member, &delivery)).await;
            match kept {
                Some(result) => result?,
                None => break,
            }
        }
        let last_words = async {
            while let Ok(Ok(delivery)) = timeout(LAST_EVENTS, member.next()).await {
                self.take(member, &delivery).await?;
            }
            self.tell(member).await
        };
        // What is left comes again.
        timeout(LAST_WORDS, last_words).await.unwrap_or(Ok(()))
    }

    async fn take(&mut self, member: &mut dyn Member, delivery: &Delivery) -> Result<(), BusError> {
        if let Some(channel) = delivery.event.channel() {
            let viewers = self
                .state
                .with_directory(|directory| directory.get(channel).map_or(0, |stream| stream.viewers));
            self.recorder.apply(&delivery.event, viewers);
        }
        self.done.insert(delivery.position.partition, delivery.position);
        let mut wrote = false;
        while let Some(note) = self.recorder.next() {
            match self.keep(&note).await {
                Ok(()) => {
                    self.recorder.kept(&note);
                    wrote = true;
                }
                Err(err) => {
                    tracing::error!(err = %chain(&err), "cannot keep the history; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        if wrote || self.told.elapsed() >= COMMIT_EVERY { self.tell(member).await } else { Ok(()) }
    }

    async fn keep(&self, note: &Note) -> Result<(), StoreError> {
        self.state.studio().history.keep(note).await
    }

    /// Says how far the history is.
    async fn tell(&mut self, member: &mut dyn Member) -> Result<(), BusError> {
        self.told = Instant::now();
        for position in std::mem::take(&mut self.done).into_values() {
            member.commit(position).await?;
        }
        Ok(())
    }

    /// Closes what no node has, and nobody has seen for a while.
    async fn close_unseen(&self) {
        let before = self.state.now_ms().saturating_sub(UNSEEN_MS);
        let live: std::collections::BTreeSet<_> =
            self.state.with_directory(|directory| directory.iter().map(|stream| stream.broadcast).collect());
        match self.state.studio().history.close_unseen(before, |broadcast| live.contains(&broadcast)).await {
            Ok(0) => {}
            Ok(closed) => tracing::warn!(broadcasts = closed, "closed broadcasts whose end nobody heard"),
            Err(err) => {
                tracing::warn!(err = %chain(&err), "cannot look for broadcasts whose end nobody heard")
            }
        }
    }
}
