//! What all clients of a broker have in common.
#![expect(clippy::disallowed_methods, reason = "shell: waits for the broker")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_core::bus::BusError;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;

use super::KafkaSettings;
use crate::settings::Security;

/// How long a broker is left alone that did not answer.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the log repeats that the brokers refuse.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Takes what the client library says to our log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // It tries again by itself; who waits for it says so.
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        let refused = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::SSL
                    | RDKafkaErrorCode::SaslAuthenticationFailed
            )
        );
        if refused && say_again() {
            tracing::error!(
                "the brokers and this process do not trust each other; look at kafka.tls, ca_file, username, \
                 password_file and mechanism: {reason}"
            );
        }
    }
}

/// Whether enough time has passed since this was true last: clients try again many times a second.
fn say_again() -> bool {
    static SAID: Mutex<Option<Instant>> = Mutex::new(None);
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let again = said.is_none_or(|at| at.elapsed() >= SAY_EVERY);
    if again {
        *said = Some(Instant::now());
    }
    again
}

impl ConsumerContext for Quiet {}

/// A consumer of ours.
pub(super) type Consuming = StreamConsumer<Quiet>;

/// Makes clients.
#[derive(Debug, Clone)]
pub(super) struct Clients(Arc<KafkaSettings>);

impl Clients {
    pub(super) fn new(settings: KafkaSettings) -> Self {
        Self(Arc::new(settings))
    }

    pub(super) fn settings(&self) -> &KafkaSettings {
        &self.0
    }

    /// The name of a topic or a group on this cluster.
    pub(super) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.0.prefix)
    }

    /// What every client is told.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.0.brokers.join(","))
            .set("client.id", format!("millrace {}", self.0.node))
            // A broker that is back is noticed within a second.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            .set("socket.timeout.ms", "10000")
            .set_log_level(RDKafkaLogLevel::Warning);
        let Security { tls, ca_file, login } = &self.0.security;
        let protocol = match (tls, login) {
            (false, None) => "plaintext",
            (true, None) => "ssl",
            (false, Some(_)) => "sasl_plaintext",
            (true, Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(file) = ca_file {
            config.set("ssl.ca.location", file.to_string_lossy());
        }
        if let Some((name, password, mechanism)) = login {
            config
                .set("sasl.mechanism", mechanism.name())
                .set("sasl.username", name)
                .set("sasl.password", password);
        }
        config
    }

    /// A consumer in this group, which never commits by itself.
    pub(super) fn consumer(&self, group: &str, more: &[(&str, &str)]) -> Result<Consuming, BusError> {
        let mut config = self.config();
        config
            .set("group.id", self.topic(group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("queued.min.messages", "1000")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.error.backoff.ms", "100");
        for (name, value) in more {
            config.set(*name, *value);
        }
        StreamConsumer::from_config_and_context(&config, Quiet).map_err(unavailable)
    }
}

/// The broker does not answer, or not as it should.
pub(super) fn unavailable(err: KafkaError) -> BusError {
    BusError::Unavailable(err.to_string())
}

/// Whether a consumer only reports that brokers are away: it finds them by itself, and leaving a group meanwhile would
/// hold up everybody in it until the broker misses who left. The log has it from whoever cannot send.
pub(super) fn will_pass(err: &KafkaError) -> bool {
    let code = err.rdkafka_error_code();
    let passes = matches!(
        code,
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
        )
    );
    if passes {
        tracing::debug!(%err, "a consumer waits for the brokers");
    }
    passes
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, BusError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(unavailable),
        Err(_) => Err(BusError::Closed),
    }
}

/// The partitions of a topic and their first and next offsets. A topic that was just made has no leader for a moment,
/// whatever its metadata say.
pub(super) async fn watermarks(
    consumer: &Arc<Consuming>,
    topic: String,
) -> Result<Vec<(i32, i64, i64)>, BusError> {
    let asked = async {
        loop {
            match try_watermarks(consumer, topic.clone()).await {
                Ok(found) => return found,
                Err(err) => tracing::debug!(topic, %err, "asking again where the topic ends"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(super::topics::PATIENCE, asked)
        .await
        .map_err(|_| BusError::Unavailable(format!("nobody says where {topic} ends")))
}

async fn try_watermarks(consumer: &Arc<Consuming>, topic: String) -> Result<Vec<(i32, i64, i64)>, BusError> {
    let consumer = Arc::clone(consumer);
    blocking(move || {
        let patience = super::topics::PATIENCE;
        let metadata = consumer.fetch_metadata(Some(&topic), patience)?;
        let partitions = metadata.topics().iter().flat_map(|found| found.partitions());
        let ends = partitions.map(|partition| {
            let (first, next) = consumer.fetch_watermarks(&topic, partition.id(), patience)?;
            Ok((partition.id(), first, next))
        });
        ends.collect()
    })
    .await
}

/// An owned copy of what is needed of a message.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: String,
    pub(super) payload: Vec<u8>,
    pub(super) headers: std::collections::BTreeMap<String, String>,
}

impl Raw {
    pub(super) fn of(message: &BorrowedMessage<'_>) -> Self {
        use rdkafka::Message;
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: super::headers_of(message),
        }
    }
}

/// Lets a consumer go without holding up the runtime: leaving a group takes a moment.
pub(super) fn let_go(consumer: Arc<Consuming>) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(move || drop(consumer))),
        Err(_) => drop(consumer),
    }
}
