//! The bus of a single process: live delivery in memory, everything else from the log in the store.
#![expect(clippy::disallowed_methods, reason = "shell: the clock, pauses")]

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use millrace_core::bus::journal::Journal;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::bus::{Bus, BusError, Topic};
use millrace_core::event::Event;
use millrace_store::Store;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::journal::StoreJournal;

/// How often somebody's wish to publish dead letters again is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many times that between two removals of what expired.
const EXPIRE_EVERY: u64 = 300;
/// Dead letters that are published again at once.
const REDRIVEN_AT_ONCE: usize = 100;

/// The in-process bus on its log.
#[derive(Debug, Clone)]
pub struct LocalBus {
    /// What roles are given.
    pub bus: Arc<MemoryBus>,
    journal: Arc<StoreJournal>,
}

impl LocalBus {
    /// Opens the log in this store. No other process may have it open.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn open(store: Store) -> Result<Self, BusError> {
        let journal = Arc::new(StoreJournal::new(store));
        let bus = MemoryBus::on(Arc::clone(&journal) as Arc<dyn Journal>).await?;
        Ok(Self { bus, journal })
    }

    /// Publishes again what the command line asked for, and drops what expired, until `shutdown`.
    pub async fn upkeep(self, shutdown: CancellationToken) {
        let mut round = 0_u64;
        loop {
            let done = async {
                if round.is_multiple_of(EXPIRE_EVERY) {
                    self.journal.expire(Timestamp::now().as_millisecond()).await?;
                }
                self.redrive_wanted().await
            };
            if let Err(err) = done.await {
                error!(%err, "the log of the bus cannot be kept in order; trying again");
            }
            round += 1;
            if shutdown.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
        }
    }

    async fn redrive_wanted(&self) -> Result<(), BusError> {
        for letter in self.journal.wanted(REDRIVEN_AT_ONCE).await? {
            let topic = Topic::named(&letter.topic);
            let event = Event::read(letter.payload.as_bytes());
            if let (Some(topic), Ok(event)) = (topic, event) {
                info!(event.id = %event.id, "publishing dead letter {} again", letter.id);
                self.bus.publish(topic, event).await?;
            } else {
                error!("dead letter {} is no event of this version", letter.id);
            }
            self.journal.exhume(&letter.id).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millrace_core::bus::{Start, suite};
    use millrace_store::{Engine, Location};

    use super::*;

    async fn store(folder: &std::path::Path) -> Store {
        let engine: Arc<dyn Engine> = millrace_store::open(&Location::Sqlite, folder).await.unwrap();
        Store::new(engine, crate::COLLECTIONS).await.unwrap()
    }

    async fn fresh() -> (tempfile::TempDir, Arc<dyn Bus>) {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalBus::open(store(folder.path()).await).await.unwrap();
        (folder, local.bus as Arc<dyn Bus>)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn passes_the_suite() {
        suite::run(&suite::Fresh::new(|| Box::pin(fresh()))).await;
    }

    async fn numbers(bus: &dyn Bus, topic: Topic) -> BTreeMap<u16, Vec<(i64, u128)>> {
        let mut replay = bus.replay(topic, Start::Beginning).await.unwrap();
        let mut found: BTreeMap<u16, Vec<(i64, u128)>> = BTreeMap::new();
        while let Some(delivery) = replay.next().await.unwrap() {
            let place = delivery.position;
            found.entry(place.partition).or_default().push((place.offset, delivery.event.id.as_u128()));
        }
        found
    }

    #[tokio::test]
    async fn log_and_groups_go_on_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalBus::open(store(folder.path()).await).await.unwrap();
        for number in 0..6 {
            local.bus.publish(Topic::Jobs, suite::event("studio", number)).await.unwrap();
        }
        let mut member = local.bus.join("workers", &[Topic::Jobs]).await.unwrap();
        for _ in 0..2 {
            let delivery = member.next().await.unwrap();
            member.commit(&[delivery.position]).await.unwrap();
        }
        let before = numbers(local.bus.as_ref(), Topic::Jobs).await;
        drop((member, local));

        let local = LocalBus::open(store(folder.path()).await).await.unwrap();
        assert_eq!(numbers(local.bus.as_ref(), Topic::Jobs).await, before);
        local.bus.publish(Topic::Jobs, suite::event("studio", 6)).await.unwrap();
        let mut member = local.bus.join("workers", &[Topic::Jobs]).await.unwrap();
        for number in 2..7 {
            assert_eq!(member.next().await.unwrap().event.id.as_u128(), number);
        }
    }

    #[tokio::test]
    async fn what_expired_is_gone_and_offsets_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalBus::open(store(folder.path()).await).await.unwrap();
        for number in 0..3 {
            local.bus.publish(Topic::Commands, suite::event("studio", number)).await.unwrap();
        }
        let now = Timestamp::now().as_millisecond();
        assert_eq!(local.journal.expire(now).await.unwrap(), 0);
        assert_eq!(local.journal.expire(now + 25 * 3_600_000).await.unwrap(), 3);
        assert_eq!(numbers(local.bus.as_ref(), Topic::Commands).await, BTreeMap::new());
        drop(local);
        let local = LocalBus::open(store(folder.path()).await).await.unwrap();
        local.bus.publish(Topic::Commands, suite::event("studio", 3)).await.unwrap();
        let partition = Topic::Commands.partition("studio");
        let kept = numbers(local.bus.as_ref(), Topic::Commands).await;
        assert_eq!(kept, BTreeMap::from([(partition, vec![(3, 3)])]));
    }

    #[tokio::test]
    async fn the_log_of_a_topic_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalBus::open(store(folder.path()).await).await.unwrap();
        let spec = Topic::Commands.spec();
        let limit = spec.records as u128 / u128::from(spec.partitions);
        let publish = async |range: std::ops::Range<u128>| {
            let mut tasks = tokio::task::JoinSet::new();
            for number in range {
                let bus = Arc::clone(&local.bus);
                tasks
                    .spawn(async move { bus.publish(Topic::Commands, suite::event("studio", number)).await });
            }
            assert!(tasks.join_all().await.into_iter().all(|done| done.is_ok()));
        };
        for first in (0..limit + 500).step_by(250) {
            publish(first..first + 250).await;
        }
        publish(limit + 500..limit + 600).await;
        let kept = numbers(local.bus.as_ref(), Topic::Commands).await;
        let (_, kept) = kept.into_iter().next().unwrap();
        assert!((limit..limit + 256).contains(&(kept.len() as u128)), "{}", kept.len());
        assert_eq!(kept.last().unwrap().0, i64::try_from(limit).unwrap() + 599);
    }

    #[tokio::test]
    async fn what_another_version_said_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let local = LocalBus::open(store.clone()).await.unwrap();
        for number in 0..3 {
            local.bus.publish(Topic::Jobs, suite::event("studio", number)).await.unwrap();
        }
        let lane = crate::records::lane(Topic::Jobs, Topic::Jobs.partition("studio"));
        let newer = |mut record: crate::records::LogRecord| -> millrace_store::Change<_, ()> {
            record.event["type"] = "stream.ended.v2".into();
            record.event["data"] = "all new".into();
            millrace_store::Change::To(record)
        };
        store.update(&crate::records::LogRecord::id_at(&lane, 1), newer).await.unwrap().unwrap().unwrap();
        drop(local);
        let local = LocalBus::open(store).await.unwrap();
        let mut member = local.bus.join("workers", &[Topic::Jobs]).await.unwrap();
        for number in [0, 2] {
            let delivery = member.next().await.unwrap();
            assert_eq!(delivery.event.id.as_u128(), number);
            member.commit(&[delivery.position]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn dead_letters_are_published_again_when_another_process_asks() {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalBus::open(store(folder.path()).await).await.unwrap();
        local.bus.publish(Topic::Jobs, suite::event("studio", 1)).await.unwrap();
        let mut member = local.bus.join("workers", &[Topic::Jobs]).await.unwrap();
        let delivery = member.next().await.unwrap();
        local.bus.bury("workers", &delivery, "no").await.unwrap();
        member.commit(&[delivery.position]).await.unwrap();

        let other = StoreJournal::new(store(folder.path()).await);
        assert_eq!(other.request_redrive(Topic::Streams, 10, 1).await.unwrap(), 0);
        assert_eq!(other.request_redrive(Topic::Jobs, 10, 1).await.unwrap(), 1);
        let shutdown = CancellationToken::new();
        let upkeep = tokio::spawn(local.clone().upkeep(shutdown.clone()));
        let again = member.next().await.unwrap();
        assert_eq!((again.event.id, again.position.offset), (delivery.event.id, 1));
        shutdown.cancel();
        upkeep.await.unwrap();
        assert_eq!(local.bus.dead_letters(Topic::Jobs, 10).await.unwrap(), []);
    }
}
