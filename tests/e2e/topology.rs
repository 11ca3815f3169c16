//! One process, or several that share MongoDB and Kafka.

use std::path::Path;

use millrace_test_services::{kafka, mongodb};
use serde::{Deserialize, Serialize};

/// Whether each server of the tests is several processes: `MILLRACE_TEST_TOPOLOGY=split`.
pub(crate) fn is_split() -> bool {
    std::env::var("MILLRACE_TEST_TOPOLOGY").is_ok_and(|topology| topology == "split")
}

/// What the processes of one server share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Shared {
    pub(crate) store: String,
    pub(crate) bus: String,
    pub(crate) prefix: String,
}

impl Shared {
    /// A database and topics that nobody else uses.
    pub(crate) async fn new() -> Self {
        let (store, place) = tokio::join!(mongodb::database(), kafka::place());
        Self { store, bus: format!("kafka://{}", place.broker), prefix: place.prefix }
    }

    /// That of the server with this data folder: the same after a restart.
    pub(crate) async fn of(data: &Path) -> Self {
        let note = data.join("shared.json");
        if let Ok(text) = std::fs::read_to_string(&note) {
            return serde_json::from_str(&text).unwrap();
        }
        let shared = Self::new().await;
        std::fs::write(note, serde_json::to_string(&shared).unwrap()).unwrap();
        shared
    }

    /// As settings.
    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        vec![
            ("MILLRACE_STORE", &self.store),
            ("MILLRACE_BUS", &self.bus),
            ("MILLRACE_KAFKA__PREFIX", &self.prefix),
            ("MILLRACE_KAFKA__REPLICATION", "1"),
            ("MILLRACE_CLUSTER__LEASE", "3s"),
        ]
    }
}
