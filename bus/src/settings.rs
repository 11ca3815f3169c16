//! `MILLRACE_BUS` and `[kafka]`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::KafkaSettings;

/// `MILLRACE_BUS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusLocation {
    /// In this process.
    Memory,
    /// Brokers, as `host:port`.
    Kafka(Vec<String>),
}

/// Why a text says no bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusLocationError {
    /// Neither.
    #[error("is no bus; write memory, or kafka://HOST:PORT[,HOST:PORT]")]
    Unknown,
    /// Somebody's name, perhaps with a password, which is not repeated.
    #[error("carries a name or a password; brokers are named by HOST:PORT alone")]
    Credentials,
    /// A broker without a host or a port.
    #[error("names the broker {0:?}; write each as HOST:PORT, with commas between them")]
    Broker(String),
}

impl FromStr for BusLocation {
    type Err = BusLocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        let brokers = text.strip_prefix("kafka://").ok_or(BusLocationError::Unknown)?;
        if brokers.contains('@') {
            return Err(BusLocationError::Credentials);
        }
        let broker = |broker: &str| {
            let named = broker.rsplit_once(':').filter(|(host, port)| {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
                !host.is_empty() && host.chars().all(plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
            });
            named.map(|_| broker.to_owned()).ok_or_else(|| BusLocationError::Broker(broker.to_owned()))
        };
        Ok(Self::Kafka(brokers.split(',').map(broker).collect::<Result<_, _>>()?))
    }
}

impl fmt::Display for BusLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Kafka(brokers) => write!(f, "kafka://{}", brokers.join(",")),
        }
    }
}

impl Serialize for BusLocation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BusLocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `[kafka]`: what is said to the brokers of `MILLRACE_BUS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Stands before the name of every topic and group, so that a cluster may be shared. Default empty.
    pub prefix: String,
    /// Copies of each partition of the topics that are made; 0 is 3, or as many as there are brokers.
    pub replication: u16,
    /// Most events that may wait for the broker, in memory and in the outbox. Default 10000, 100 to 1000000. Beyond it
    /// publishing is refused.
    pub outbox_limit: usize,
    /// How long the broker may take for an event until it counts as away, and the outbox takes over. Default 2 s, 100 ms
    /// to 1 min. Lower acknowledges sooner while the broker is away.
    #[serde(with = "millrace_core::config::duration")]
    pub away_after: Duration,
    /// How old an event in the outbox of another process is when this one sends it, because that process is dead. Default
    /// 5 min, 10 s to 1 day.
    #[serde(with = "millrace_core::config::duration")]
    pub adopt_after: Duration,
    /// How long the brokers may take when a process starts. Default 1 min, 1 s to 1 h.
    #[serde(with = "millrace_core::config::duration")]
    pub connect_timeout: Duration,
    /// Whether the brokers are spoken to over TLS. Default false.
    pub tls: bool,
    /// PEM file with the certificates that the brokers' are signed by, if those of the system do not do.
    pub ca_file: Option<PathBuf>,
    /// Who this site is at the brokers (SASL).
    pub username: Option<String>,
    /// A file that holds the password to it, and nothing else.
    pub password_file: Option<PathBuf>,
    /// How the password is shown: `scram-sha-512`, the default, `scram-sha-256`, or `plain`, which needs `tls`.
    pub mechanism: Mechanism,
}

/// How a password is shown to a broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// As it is (RFC 4616).
    Plain,
    /// RFC 7677.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// The same with SHA-512.
    #[default]
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl Mechanism {
    /// As brokers call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// How a process proves to the brokers who it is, and they to it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// Whether connections are encrypted.
    pub tls: bool,
    /// Who signs the brokers' certificates.
    pub ca_file: Option<PathBuf>,
    /// Name, password, mechanism.
    pub login: Option<(String, String, Mechanism)>,
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.login.as_ref().map(|(name, ..)| name);
        f.debug_struct("Security").field("tls", &self.tls).field("name", &name).finish_non_exhaustive()
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            replication: 0,
            outbox_limit: 10_000,
            away_after: Duration::from_secs(2),
            adopt_after: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(60),
            tls: false,
            ca_file: None,
            username: None,
            password_file: None,
            mechanism: Mechanism::default(),
        }
    }
}

impl KafkaConfig {
    /// Longest [`Self::prefix`], in bytes.
    const PREFIX_MAX: usize = 100;

    /// Everything that is wrong.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if self.prefix.len() > Self::PREFIX_MAX || !self.prefix.bytes().all(plain) {
            problems.push(format!(
                "kafka.prefix: {:?} may have letters, digits, dots, dashes and underscores, at most {}",
                self.prefix,
                Self::PREFIX_MAX
            ));
        }
        if !(100..=1_000_000).contains(&self.outbox_limit) {
            problems.push(format!("kafka.outbox_limit: must be 100 to 1000000, is {}", self.outbox_limit));
        }
        let second = Duration::from_secs(1);
        for (name, value, least, most) in [
            ("away_after", self.away_after, second / 10, second * 60),
            ("adopt_after", self.adopt_after, second * 10, second * 86_400),
            ("connect_timeout", self.connect_timeout, second, second * 3_600),
        ] {
            if !(least..=most).contains(&value) {
                problems.push(format!("kafka.{name}: must be {least:?} to {most:?}, is {value:?}"));
            }
        }
        if self.ca_file.is_some() && !self.tls {
            problems.push("kafka.ca_file: is of no use without TLS; set kafka.tls = true as well".into());
        }
        if self.username.is_some() != self.password_file.is_some() {
            problems.push("kafka: set username and password_file together, or neither".into());
        }
        if self.username.is_some() && self.mechanism == Mechanism::Plain && !self.tls {
            problems.push(
                "kafka.mechanism: plain shows the password to whoever listens; set kafka.tls = true, or \
                 scram-sha-512"
                    .into(),
            );
        }
        problems
    }

    /// For these brokers, as the node of this name.
    ///
    /// # Errors
    /// The file of the password cannot be read.
    pub fn settings(&self, brokers: &[String], node: &str) -> std::io::Result<KafkaSettings> {
        let login = match (&self.username, &self.password_file) {
            (Some(name), Some(file)) => {
                let password = std::fs::read_to_string(file)?;
                Some((name.clone(), password.trim_end_matches(['\r', '\n']).to_owned(), self.mechanism))
            }
            _ => None,
        };
        Ok(KafkaSettings {
            security: Security { tls: self.tls, ca_file: self.ca_file.clone(), login },
            brokers: brokers.to_vec(),
            prefix: self.prefix.clone(),
            node: node.to_owned(),
            replication: self.replication,
            outbox_limit: self.outbox_limit,
            away_after: self.away_after,
            adopt_after: self.adopt_after,
            connect_timeout: self.connect_timeout,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_named_by_its_brokers() {
        let kafka = |text: &str| text.parse::<BusLocation>();
        assert_eq!(kafka("memory"), Ok(BusLocation::Memory));
        let two = BusLocation::Kafka(vec!["a.example:9092".into(), "[::1]:9093".into()]);
        assert_eq!(kafka("kafka://a.example:9092,[::1]:9093"), Ok(two.clone()));
        assert_eq!(two.to_string().parse(), Ok(two));
        for wrong in ["kafka", "nats://a:1", "", "Memory"] {
            assert_eq!(kafka(wrong), Err(BusLocationError::Unknown), "{wrong}");
        }
        for wrong in ["", "a", "a:", ":1", "a:0", "a:1,", "a:70000", "a:1/x"] {
            let result = kafka(&format!("kafka://{wrong}"));
            assert!(matches!(result, Err(BusLocationError::Broker(_))), "{wrong}: {result:?}");
        }
        for wrong in ["u:p@a:1", "u:p,q@a:1", "a:1,u:p@b:1"] {
            assert_eq!(kafka(&format!("kafka://{wrong}")), Err(BusLocationError::Credentials), "{wrong}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said() {
        assert_eq!(KafkaConfig::default().validate(), Vec::<String>::new());
        let wrong = KafkaConfig {
            prefix: "a b".into(),
            replication: 0,
            outbox_limit: 1,
            away_after: Duration::ZERO,
            adopt_after: Duration::ZERO,
            connect_timeout: Duration::ZERO,
            tls: false,
            ca_file: Some("ca.pem".into()),
            username: Some("ada".to_owned()),
            password_file: None,
            mechanism: Mechanism::Plain,
        };
        let problems = wrong.validate();
        let named = [
            "kafka.prefix",
            "kafka.outbox_limit",
            "kafka.away_after",
            "kafka.adopt_after",
            "kafka.connect",
            "kafka.ca_file",
            "kafka: set username",
            "kafka.mechanism",
        ];
        assert_eq!(problems.len(), named.len());
        for name in named {
            assert!(problems.iter().any(|problem| problem.starts_with(name)), "{name}: {problems:?}");
        }
    }
}
