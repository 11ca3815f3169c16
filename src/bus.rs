//! What connects this process with itself or with others.
#![expect(clippy::disallowed_methods, reason = "shell: starts tasks")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use millrace_bus::{BusLocation, KafkaBus, KafkaSettings, LocalBus};
use millrace_core::bus::Bus;
use millrace_store::{Collection, Location, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Everything that is kept in the store, by every part.
pub(crate) fn collections() -> Vec<&'static Collection> {
    [millrace_api::accounts::COLLECTIONS, millrace_bus::COLLECTIONS].concat()
}

/// The bus, and what has to be done at the end.
pub(crate) struct OpenBus {
    pub(crate) bus: Arc<dyn Bus>,
    kafka: Option<Arc<KafkaBus>>,
    upkeep: Option<JoinHandle<()>>,
    stop: CancellationToken,
}

/// How the brokers are reached, as the node of this name.
pub(crate) fn kafka_settings(
    config: &Config,
    brokers: &[String],
    node: &str,
) -> anyhow::Result<KafkaSettings> {
    config.kafka.settings(brokers, node).context("cannot read kafka.password_file")
}

impl OpenBus {
    /// Opens the bus that the configuration names.
    pub(crate) async fn open(config: &Config, store: &Store, node: &str) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        match &config.bus {
            BusLocation::Memory => {
                let local =
                    LocalBus::open(store.clone()).await.context("failed to open the log of the bus")?;
                let bus = Arc::clone(&local.bus) as Arc<dyn Bus>;
                let upkeep = Some(tokio::spawn(local.upkeep(stop.clone())));
                Ok(Self { bus, kafka: None, upkeep, stop })
            }
            BusLocation::Kafka(brokers) => {
                let mut settings = kafka_settings(config, brokers, node)?;
                if config.store == Location::Sqlite {
                    // Nobody else sends from this store: whatever is left there is ours.
                    settings.adopt_after = Duration::ZERO;
                }
                let kafka = KafkaBus::connect(settings, store.clone());
                let kafka = kafka.await.with_context(|| format!("failed to connect to {}", config.bus))?;
                let bus = Arc::clone(&kafka) as Arc<dyn Bus>;
                Ok(Self { bus, kafka: Some(kafka), upkeep: None, stop })
            }
        }
    }

    /// Whether other processes are on it.
    pub(crate) fn is_shared(&self) -> bool {
        self.kafka.is_some()
    }

    /// Ends what was started. Whoever publishes has ended.
    pub(crate) async fn close(self, grace: Duration) -> anyhow::Result<()> {
        self.stop.cancel();
        if let Some(kafka) = &self.kafka {
            kafka.flush(grace).await;
            if kafka.waiting() > 0 {
                tracing::warn!(events = kafka.waiting(), "events wait in the outbox for the next start");
            }
        }
        match self.upkeep {
            Some(upkeep) => upkeep.await.context("the upkeep of the bus failed"),
            None => Ok(()),
        }
    }
}
