//! A loop that handles what a group gets, some at a time: for what is written to the store in one commit.
#![expect(clippy::disallowed_methods, reason = "shell: pauses")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_core::bus::{Bus, BusError, Delivery, Member, Position, Topic};
use millrace_store::StoreError;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::error::chain;

/// How long a store or a bus that is away is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Who gets what, and how much at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// The name is kept with what the group has done.
    pub(crate) name: &'static str,
    /// Of these.
    pub(crate) topics: &'static [Topic],
    /// What it is for, for logs.
    pub(crate) what: &'static str,
    /// Most events that are handled together.
    pub(crate) most: usize,
    /// How long one waits for more of them.
    pub(crate) gather: Duration,
    /// How long at least from one time to the next where much happens.
    pub(crate) apart: Duration,
}

/// What is done with the events. They come at least once.
pub(crate) trait Batches: Send {
    /// Does it, all or some: what failed comes again, all of it.
    fn handle(&mut self, batch: &[Delivery]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Handles what `group` gets until `shutdown`. What comes while the store is away waits on the bus.
pub(crate) async fn consume(
    bus: Arc<dyn Bus>,
    group: Group,
    mut handler: impl Batches,
    shutdown: CancellationToken,
) {
    loop {
        let work = work(bus.as_ref(), &group, &mut handler);
        let failed = match shutdown.run_until_cancelled(work).await {
            None => return,
            Some(failed) => failed,
        };
        match failed {
            Ok(()) | Err(BusError::Closed) => return,
            Err(err) => tracing::warn!(%err, "{} waits for the bus", group.what),
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

async fn work(bus: &dyn Bus, group: &Group, handler: &mut impl Batches) -> Result<(), BusError> {
    let mut member = bus.join(group.name, group.topics).await?;
    let mut last = Instant::now();
    loop {
        let batch = gather(member.as_mut(), group, last + group.apart).await?;
        last = Instant::now();
        while let Err(err) = handler.handle(&batch).await {
            tracing::warn!(err = %chain(&err), "{} cannot be done yet", group.what);
            tokio::time::sleep(PAUSE).await;
        }
        let ends: BTreeMap<(Topic, u16), Position> = batch
            .iter()
            .map(|delivery| ((delivery.position.topic, delivery.position.partition), delivery.position))
            .collect();
        let ends: Vec<_> = ends.into_values().collect();
        match member.commit(&ends).await {
            Err(BusError::Closed) => return Err(BusError::Closed),
            // What comes again is known already, and the next commit is for this one too.
            Err(err) => tracing::warn!(%err, "events may come again to {}", group.what),
            Ok(()) => {}
        }
    }
}

/// The next event, and what comes with it: soon where little happens, and not before `not_before` where much does.
async fn gather(
    member: &mut dyn Member,
    group: &Group,
    not_before: Instant,
) -> Result<Vec<Delivery>, BusError> {
    let mut batch = vec![member.next().await?];
    let until = not_before.max(Instant::now() + group.gather);
    while batch.len() < group.most {
        match timeout_at(until, member.next()).await {
            Ok(delivery) => batch.push(delivery?),
            Err(_) => break,
        }
    }
    Ok(batch)
}
