//! Makes the topics that are missing.
#![expect(clippy::disallowed_methods, reason = "shell: waits for the broker")]

use std::sync::Arc;
use std::time::Duration;

use millrace_core::bus::{BusError, Topic};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use tracing::{info, warn};

use super::client::{Clients, Quiet, blocking, unavailable};

/// How long a broker may take for one answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a broker is left alone that did not answer.
const PAUSE: Duration = Duration::from_millis(250);
/// Copies of a partition where there are enough brokers.
const COPIES: usize = 3;
/// How long what was refused waits for somebody.
const DEAD_LETTERS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A topic as it should be.
struct Wanted {
    name: String,
    partitions: i32,
    config: Vec<(&'static str, String)>,
}

fn wanted(clients: &Clients, copies: usize) -> Vec<Wanted> {
    // What is acknowledged is on two disks, where there are three.
    let in_sync = ("min.insync.replicas", if copies >= COPIES { "2" } else { "1" }.to_owned());
    let mut all = Vec::new();
    for topic in Topic::ALL {
        let spec = topic.spec();
        let policy = if spec.compacted { "compact,delete" } else { "delete" };
        let mut config = vec![
            ("retention.ms", spec.retention.as_millis().to_string()),
            ("cleanup.policy", policy.to_owned()),
            in_sync.clone(),
        ];
        if spec.compacted {
            // The segment that is written is never compacted.
            config.push(("segment.ms", Duration::from_secs(600).as_millis().to_string()));
        }
        all.push(Wanted { name: clients.topic(spec.name), partitions: spec.partitions.into(), config });
        all.push(Wanted {
            name: clients.topic(&topic.dead_letters()),
            partitions: 1,
            config: vec![("retention.ms", DEAD_LETTERS_KEPT.as_millis().to_string()), in_sync.clone()],
        });
    }
    all
}

/// Waits for the broker, and makes what is missing. Topics that are there are left as they are.
pub(super) async fn make(clients: &Clients) -> Result<(), BusError> {
    let consumer = Arc::new(clients.consumer("start", &[])?);
    let brokers = loop {
        let asked = Arc::clone(&consumer);
        match blocking(move || asked.fetch_metadata(None, PATIENCE)).await {
            Ok(metadata) => break metadata.brokers().len(),
            Err(err) => warn!(%err, "waiting for the broker"),
        }
        tokio::time::sleep(PAUSE).await;
    };
    let copies = match clients.settings().replication {
        0 => brokers.clamp(1, COPIES),
        copies => usize::from(copies),
    };
    let wanted = wanted(clients, copies);
    let admin = AdminClient::from_config_and_context(&clients.config(), Quiet).map_err(unavailable)?;
    let fixed = i32::try_from(copies).unwrap_or(1);
    let new = wanted.iter().map(|topic| {
        let replication = TopicReplication::Fixed(fixed);
        let config = topic.config.iter().map(|(name, value)| (*name, value.as_str())).collect();
        NewTopic { name: &topic.name, num_partitions: topic.partitions, replication, config }
    });
    let new: Vec<_> = new.collect();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    for result in admin.create_topics(&new, &options).await.map_err(unavailable)? {
        match result {
            Ok(name) => info!(topic = name, copies, "made topic {name}"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, err)) => {
                return Err(BusError::Refused(format!("topic {name} cannot be made: {err}")));
            }
        }
    }
    // Until every broker knows them.
    loop {
        let asked = Arc::clone(&consumer);
        let metadata = blocking(move || asked.fetch_metadata(None, PATIENCE)).await?;
        let ready = |topic: &&Wanted| {
            let found = metadata.topics().iter().find(|found| found.name() == topic.name);
            found.is_some_and(|found| {
                let led = found.partitions().iter().all(|partition| partition.leader() >= 0);
                let count = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
                if led && count < topic.partitions {
                    warn!(topic = topic.name, "topic {} has {count} partitions only", topic.name);
                }
                led && count > 0
            })
        };
        if wanted.iter().filter(ready).count() == wanted.len() {
            super::client::let_go(consumer);
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
