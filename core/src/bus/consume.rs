//! A loop that handles what a group gets: again after a pause when it fails, and beside the topic when it cannot be done.
//!
//! How far the group is gets written now and then, and when it is asked to stop: most events are nothing to most groups,
//! and a commit costs more than they do.
#![expect(clippy::disallowed_methods, reason = "shell: pauses")]

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use super::{Bus, BusError, BusFuture, Delivery, Member, Position, Topic, traced};

/// How long a bus that is away is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How long what was handled may wait to be committed: what a process that is killed handles again.
const COMMIT_WITHIN: Duration = Duration::from_millis(500);

/// How often a handler is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Times altogether, at least one.
    pub attempts: u32,
    /// The pause after the first failure; it doubles with each.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 5, first_pause: Duration::from_millis(200), longest_pause: Duration::from_secs(5) }
    }
}

impl Retries {
    /// What to wait after so many failures; `None`: that was the last attempt.
    #[must_use]
    pub fn pause_after(&self, failures: u32) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        Some(self.first_pause.saturating_mul(doubled).min(self.longest_pause))
    }
}

/// Why a handler did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It may work later.
    Later(String),
    /// It never will.
    Never(String),
}

/// What is done with the events of a group. They come at least once: handle each id once
/// ([`Seen`](super::seen::Seen), or the id in the same commit as the effect).
pub trait Handler: Send {
    /// Does it.
    fn handle<'a>(&'a mut self, delivery: &'a Delivery) -> BusFuture<'a, Result<(), Failure>>;
}

/// Handles the events of `group` one by one until `shutdown`. An event that fails for good is buried with the reason, and
/// the partition goes on. An event that is being handled at `shutdown` is finished first.
pub async fn consume<H: Handler>(
    bus: Arc<dyn Bus>,
    group: &str,
    topics: &[Topic],
    retries: Retries,
    mut handler: H,
    shutdown: impl Future<Output = ()> + Send,
) {
    let mut shutdown = pin!(shutdown);
    loop {
        let mut member = match until(&mut shutdown, bus.join(group, topics)).await {
            None => return,
            Some(Ok(member)) => member,
            Some(Err(err)) => {
                if !away(&mut shutdown, group, &err).await {
                    return;
                }
                continue;
            }
        };
        let mut done = Done::default();
        loop {
            let next = async {
                match done.due {
                    None => Some(member.next().await),
                    Some(due) => timeout_at(due, member.next()).await.ok(),
                }
            };
            let delivery = match until(&mut shutdown, next).await {
                None => {
                    done.commit(group, member.as_mut()).await;
                    return;
                }
                Some(None) => {
                    done.commit(group, member.as_mut()).await;
                    continue;
                }
                Some(Some(Ok(delivery))) => delivery,
                Some(Some(Err(err))) => {
                    if !away(&mut shutdown, group, &err).await {
                        return;
                    }
                    continue;
                }
            };
            if !settle(&bus, group, retries, &mut handler, &delivery, &mut shutdown).await {
                done.commit(group, member.as_mut()).await;
                return;
            }
            done.add(delivery.position);
            if done.due.is_some_and(|due| due <= Instant::now()) {
                done.commit(group, member.as_mut()).await;
            }
        }
    }
}

/// What is handled and not committed yet.
#[derive(Default)]
struct Done {
    positions: BTreeMap<(Topic, u16), Position>,
    due: Option<Instant>,
}

impl Done {
    fn add(&mut self, position: Position) {
        self.positions.insert((position.topic, position.partition), position);
        self.due.get_or_insert_with(|| Instant::now() + COMMIT_WITHIN);
    }

    async fn commit(&mut self, group: &str, member: &mut dyn Member) {
        self.due = None;
        let positions: Vec<_> = std::mem::take(&mut self.positions).into_values().collect();
        if positions.is_empty() {
            return;
        }
        if let Err(err) = member.commit(&positions).await {
            warn!(bus.group = group, %err, "events of {group} may come again");
        }
    }
}

/// Handles one event, or buries it; false: neither before `shutdown`.
async fn settle<H: Handler>(
    bus: &Arc<dyn Bus>,
    group: &str,
    retries: Retries,
    handler: &mut H,
    delivery: &Delivery,
    shutdown: &mut Pin<&mut (impl Future<Output = ()> + Send)>,
) -> bool {
    let mut failures = 0;
    let reason = loop {
        let handled = traced::handling(group, &delivery.event, handler.handle(delivery)).await;
        let reason = match handled {
            Ok(()) => return true,
            Err(Failure::Never(reason)) => break reason,
            Err(Failure::Later(reason)) => reason,
        };
        failures += 1;
        let Some(pause) = retries.pause_after(failures) else { break reason };
        if until(shutdown, tokio::time::sleep(pause)).await.is_none() {
            return false;
        }
    };
    let event = delivery.event.id;
    error!(bus.group = group, event.id = %event, reason, "{group} cannot handle event {event}: see the dead letters");
    while let Err(err) = bus.bury(group, delivery, &reason).await {
        if !away(shutdown, group, &err).await {
            return false;
        }
    }
    true
}

/// Waits a moment; false: not any more.
async fn away(
    shutdown: &mut Pin<&mut (impl Future<Output = ()> + Send)>,
    group: &str,
    err: &BusError,
) -> bool {
    if *err == BusError::Closed {
        return false;
    }
    warn!(bus.group = group, %err, "{group} waits for the bus");
    until(shutdown, tokio::time::sleep(PAUSE)).await.is_some()
}

async fn until<T>(
    shutdown: &mut Pin<&mut (impl Future<Output = ()> + Send)>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = shutdown.as_mut() => None,
        done = work => Some(done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let retries = Retries {
            attempts: 4,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_millis(500),
        };
        let pauses: Vec<_> = (1..=4).map(|failures| retries.pause_after(failures)).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(pauses, [ms(200), ms(400), ms(500), None]);
    }
}
