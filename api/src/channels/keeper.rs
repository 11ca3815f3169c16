//! Keeps the history: what the group of all processes that do this gets of `millrace.streams`.
#![expect(clippy::disallowed_methods, reason = "shell: pauses and the clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_core::bus::{Bus, BusError, Delivery, Member, Position, Topic, traced};
use millrace_core::ids::BroadcastId;
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

/// Who has broadcasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// This process alone: what ran when it began runs no more.
    ThisProcess,
    /// Nodes that are lost when they are not heard of for so long.
    Nodes(Duration),
}

/// Keeps the history until `shutdown`, and what comes right after that. Events that come while the store is away wait on
/// the bus.
pub async fn keep_history(state: ApiState, bus: Arc<dyn Bus>, owners: Owners, shutdown: CancellationToken) {
    if owners == Owners::ThisProcess && shutdown.run_until_cancelled(close_left_open(&state)).await.is_none()
    {
        return;
    }
    let lease = match owners {
        Owners::ThisProcess => None,
        Owners::Nodes(lease) => Some(lease),
    };
    let mut keeper = Keeper {
        state,
        recorder: Recorder::default(),
        done: BTreeMap::new(),
        told: Instant::now(),
        suspects: BTreeSet::new(),
    };
    loop {
        let member = tokio::select! {
            () = shutdown.cancelled() => return,
            member = bus.join(GROUP, &[Topic::Streams]) => member,
        };
        let err = match member {
            Ok(mut member) => match keeper.follow(member.as_mut(), lease, &shutdown).await {
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
    /// Running by the history, and no node's, when one looked last.
    suspects: BTreeSet<BroadcastId>,
}

impl Keeper {
    /// Takes events until `shutdown`, then those that are there.
    async fn follow(
        &mut self,
        member: &mut dyn Member,
        lease: Option<Duration>,
        shutdown: &CancellationToken,
    ) -> Result<(), BusError> {
        let mut look = Instant::now();
        loop {
            let delivery = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = next_look(lease, look) => {
                    self.close_ownerless().await;
                    look = Instant::now();
                    continue;
                }
                delivery = member.next() => delivery?,
            };
            let taking = traced::handling(GROUP, &delivery.event, self.take(member, &delivery));
            let kept = shutdown.run_until_cancelled(taking).await;
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
        let done: Vec<_> = std::mem::take(&mut self.done).into_values().collect();
        member.commit(&done).await
    }

    /// Closes what no node had one lease ago and none has now: nobody heard of its end.
    async fn close_ownerless(&mut self) {
        let history = &self.state.studio().history;
        let running = match history.running().await {
            Ok(running) => running,
            Err(err) => {
                tracing::warn!(err = %chain(&err), "cannot look for broadcasts whose end nobody heard");
                return;
            }
        };
        let live: BTreeSet<_> =
            self.state.with_directory(|directory| directory.iter().map(|stream| stream.broadcast).collect());
        let ownerless: BTreeSet<_> =
            running.into_iter().filter(|broadcast| !live.contains(broadcast)).collect();
        for broadcast in ownerless.intersection(&self.suspects) {
            match history.close(*broadcast).await {
                Ok(()) => {
                    tracing::warn!(broadcast.id = %broadcast, "closed a broadcast whose end nobody heard")
                }
                Err(err) => {
                    tracing::warn!(err = %chain(&err), "cannot close a broadcast whose end nobody heard")
                }
            }
        }
        self.suspects = ownerless;
    }
}

/// A lease after `last`; never, if there are none.
async fn next_look(lease: Option<Duration>, last: Instant) {
    match lease {
        Some(lease) => tokio::time::sleep_until(last + lease).await,
        None => std::future::pending().await,
    }
}
