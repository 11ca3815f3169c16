//! Composes the configuration of every crate: defaults < file < environment < flags.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use millrace_core::ids::NodeName;
use serde::{Deserialize, Serialize};

use crate::nodes::ClusterConfig;
use crate::roles::Role;
use crate::traces;

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "millrace.toml";
const PREFIX: &str = "MILLRACE_";
/// Where HTTPS is if nothing is said but the names of the certificate.
const HTTPS_ADDR: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 443));

/// Everything that can be set. `docs/configuration.md` describes each key for people; `docs/millrace.toml` is the
/// same as a file, and a test keeps it equal to the defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// What this process runs. All roles; split roles need a bus and a store that connect processes.
    pub(crate) roles: Vec<Role>,
    /// Where things are kept that must survive.
    pub(crate) data_dir: PathBuf,
    /// Web, API and HLS.
    pub(crate) http_addr: SocketAddr,
    /// The same over TLS, HTTP/2 by ALPN. Off if absent, port 443 if `acme` is on; needs `tls_cert` and `tls_key`, or
    /// `acme`.
    pub(crate) https_addr: Option<SocketAddr>,
    /// RTMP.
    pub(crate) rtmp_addr: SocketAddr,
    /// RTMP over TLS. Off if absent; needs `tls_cert` and `tls_key`, or `acme`.
    pub(crate) rtmps_addr: Option<SocketAddr>,
    /// Chat by IRC. Off if absent. Tokens are passwords there: use `ircs_addr` but on a network of one's own.
    pub(crate) irc_addr: Option<SocketAddr>,
    /// Chat by IRC over TLS. Off if absent; needs `tls_cert` and `tls_key`, or `acme`.
    pub(crate) ircs_addr: Option<SocketAddr>,
    /// Prometheus text at `/metrics`, never on the public listener.
    pub(crate) metrics_addr: SocketAddr,
    /// PEM file with the full certificate chain.
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file with the private key of `tls_cert`.
    pub(crate) tls_key: Option<PathBuf>,
    /// What people type to come here, if that is not this machine's own address: `https://live.example.org`.
    pub(crate) public_url: Option<String>,
    /// What encoders are told to publish to, if that is not this machine's own address: `rtmp://ingest.example.org/live`.
    pub(crate) public_rtmp_url: Option<String>,
    /// `sqlite`, or the URI of a MongoDB replica set.
    pub(crate) store: millrace_store::Location,
    /// `memory`, or the brokers of a Kafka cluster.
    pub(crate) bus: millrace_bus::BusLocation,
    /// Where pictures are kept: a folder, or a bucket of S3. `objects` in `data_dir`, if absent.
    pub(crate) objects: Option<millrace_objects::Location>,
    /// How long the place of `objects` may take: for a picture, and for each piece of what is larger.
    #[serde(with = "millrace_core::config::duration")]
    pub(crate) objects_timeout: Duration,
    /// What this process is called among those of the bus; host name and port of `http_addr`, if absent.
    pub(crate) node_name: Option<NodeName>,
    /// Where other processes reach `http_addr`: `http://media-1:8080`. Host name and port, if absent.
    pub(crate) node_url: Option<String>,
    /// How processes that share a bus know of each other.
    pub(crate) cluster: ClusterConfig,
    /// Who may publish.
    pub(crate) publish_auth: PublishAuth,
    /// A tracing filter: `info`, `debug`, `millrace_ingest=trace,info`.
    pub(crate) log: String,
    /// For people or for machines.
    pub(crate) log_format: LogFormat,
    /// How long running requests and connections may take to end after the first Ctrl-C.
    #[serde(with = "millrace_core::config::duration")]
    pub(crate) shutdown_grace: Duration,
    /// HTTP limits.
    pub(crate) http: HttpConfig,
    /// A certificate that comes and renews by itself.
    pub(crate) acme: millrace_http::acme::AcmeConfig,
    /// Who gets in, and for how long.
    pub(crate) accounts: millrace_api::config::AccountsConfig,
    /// Providers that people may sign in with.
    pub(crate) oauth: millrace_api::oauth::OauthConfig,
    /// How mail leaves this site.
    pub(crate) mail: millrace_api::mail::MailConfig,
    /// Limits of channels and of publishing.
    pub(crate) channels: millrace_api::channels::ChannelsConfig,
    /// Limits of chat rooms and of their connections.
    pub(crate) chat: millrace_chat::ChatConfig,
    /// Limits of what is said about the site.
    pub(crate) site: millrace_api::site::SiteConfig,
    /// How people hear of broadcasts of channels that they follow.
    pub(crate) notices: millrace_api::notices::NoticesConfig,
    /// How programs of channel owners are told what happens on their channels.
    pub(crate) webhooks: millrace_api::webhooks::WebhooksConfig,
    /// How followers-only and private channels are watched.
    pub(crate) playback: millrace_api::playback::PlaybackConfig,
    /// What is said to the brokers of `bus`.
    pub(crate) kafka: millrace_bus::KafkaConfig,
    /// RTMP limits and the life cycle of publishers.
    pub(crate) ingest: millrace_ingest::Config,
    /// Parts, segments and playlists.
    pub(crate) hls: millrace_hls_packager::Config,
    /// What needs a decoder: thumbnails, a ladder.
    pub(crate) transcode: millrace_hls_packager::TranscodeConfig,
}

/// Who may publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PublishAuth {
    /// A stream key made in the stream manager.
    Keys,
    /// Any key of `[a-z0-9_]{3,25}` publishes to the channel of that name: trusted networks and benchmarks.
    Open,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// HTTP limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpConfig {
    /// For a TLS handshake, the first byte, and the head of each request.
    #[serde(with = "millrace_core::config::duration")]
    pub(crate) header_timeout: Duration,
    /// A write that makes no progress for this long ends the connection.
    #[serde(with = "millrace_core::config::duration")]
    pub(crate) write_stall: Duration,
    /// Connections at once; 0 derives it from the descriptor limit.
    pub(crate) max_connections: usize,
    /// HTTP/2 streams at once per connection.
    pub(crate) max_streams: u32,
    /// Whether plain requests are sent to https where that is on.
    pub(crate) redirect_to_https: bool,
    /// Whether requests that come through `accounts.trusted_proxies` go on with the trace that their `traceparent` names.
    /// Only if these proxies set it themselves: most hand on what a stranger wrote.
    pub(crate) trust_traceparent: bool,
}

impl Default for Config {
    fn default() -> Self {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        Self {
            roles: Role::ALL.to_vec(),
            data_dir: "./data".into(),
            http_addr: any(8080),
            https_addr: None,
            rtmp_addr: any(1935),
            rtmps_addr: None,
            irc_addr: None,
            ircs_addr: None,
            metrics_addr: SocketAddr::from(([127, 0, 0, 1], 9464)),
            tls_cert: None,
            tls_key: None,
            public_url: None,
            public_rtmp_url: None,
            store: millrace_store::Location::Sqlite,
            bus: millrace_bus::BusLocation::Memory,
            objects: None,
            objects_timeout: Duration::from_secs(10),
            node_name: None,
            node_url: None,
            cluster: ClusterConfig::default(),
            publish_auth: PublishAuth::Keys,
            log: "info".into(),
            log_format: LogFormat::Text,
            shutdown_grace: Duration::from_secs(10),
            http: HttpConfig::default(),
            acme: millrace_http::acme::AcmeConfig::default(),
            accounts: millrace_api::config::AccountsConfig::default(),
            oauth: millrace_api::oauth::OauthConfig::default(),
            mail: millrace_api::mail::MailConfig::default(),
            channels: millrace_api::channels::ChannelsConfig::default(),
            chat: millrace_chat::ChatConfig::default(),
            site: millrace_api::site::SiteConfig::default(),
            notices: millrace_api::notices::NoticesConfig::default(),
            webhooks: millrace_api::webhooks::WebhooksConfig::default(),
            playback: millrace_api::playback::PlaybackConfig::default(),
            kafka: millrace_bus::KafkaConfig::default(),
            ingest: millrace_ingest::Config::default(),
            hls: millrace_hls_packager::Config::default(),
            transcode: millrace_hls_packager::TranscodeConfig::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        let limits = millrace_http::server::Limits::default();
        Self {
            header_timeout: limits.header_timeout,
            write_stall: limits.write_stall,
            max_connections: 0,
            max_streams: limits.max_streams,
            redirect_to_https: true,
            trust_traceparent: false,
        }
    }
}

/// The configuration cannot be used; lists everything that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used:\n{}", .0.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
pub(crate) struct ConfigError(pub(crate) Vec<String>);

impl Config {
    /// Reads and checks it all. `roles` are those of the command line.
    pub(crate) fn load(file: Option<&Path>, roles: Option<Vec<Role>>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        match file {
            Some(path) if !path.is_file() => {
                let problem =
                    format!("--config: there is no file {}; give the path of a TOML file", path.display());
                return Err(ConfigError(vec![problem]));
            }
            Some(path) => figment = figment.merge(Toml::file_exact(path)),
            None if Path::new(DEFAULT_FILE).is_file() => {
                figment = figment.merge(Toml::file_exact(DEFAULT_FILE))
            }
            None => {}
        }
        let figment = figment.merge(environment());
        let mut config: Self = figment.extract().map_err(|errors| {
            ConfigError(errors.into_iter().map(|error| readable(&error, &figment)).collect())
        })?;
        if let Some(roles) = roles {
            config.roles = roles;
        }
        if config.acme.is_on() && config.https_addr.is_none() {
            config.https_addr = Some(HTTPS_ADDR);
        }
        let problems = config.validate();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    /// Where pictures are kept.
    pub(crate) fn objects(&self) -> millrace_objects::Location {
        let folder = || millrace_objects::Location::Folder(self.data_dir.join("objects"));
        self.objects.clone().unwrap_or_else(folder)
    }

    /// Opens that place. Nobody is asked yet.
    pub(crate) fn open_objects(&self) -> anyhow::Result<millrace_objects::Objects> {
        let location = self.objects();
        millrace_objects::Objects::open(&location, variables(), self.objects_timeout)
            .with_context(|| format!("failed to open the place for objects {location}"))
    }

    /// Whether and how traces are recorded: the environment says, as it does for every program that uses OpenTelemetry.
    pub(crate) fn traces(&self) -> Result<Option<traces::Settings>, Vec<String>> {
        traces::read(|name| std::env::var(name).ok())
    }

    /// Everything that is wrong with values that can be read: the key, the value, the remedy.
    fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut wrong = |problem: String| problems.push(problem);
        if self.roles.is_empty() {
            wrong(
                "roles: is empty; name at least one of ingest, api, chat, worker, or leave it out to run all"
                    .into(),
            );
        } else if Role::ALL.iter().any(|role| !self.roles.contains(role))
            && (self.bus == millrace_bus::BusLocation::Memory
                || self.store == millrace_store::Location::Sqlite)
        {
            wrong(
                "roles: some of them are to run here, and the others in processes that this one could not reach; set \
                 MILLRACE_BUS=kafka://HOST:PORT and MILLRACE_STORE=mongodb://HOST/DATABASE for all of them, or leave \
                 roles out to run everything in one process"
                    .into(),
            );
        }
        if let Some(url) = self.node_url.as_ref().filter(|url| !is_node_url(url)) {
            wrong(format!(
                "node_url: {url:?} is no address of a listener; write it as http://media-1:8080, without a path"
            ));
        }
        for (name, addr) in
            [("https_addr", self.https_addr), ("rtmps_addr", self.rtmps_addr), ("ircs_addr", self.ircs_addr)]
        {
            if addr.is_some() && !self.acme.is_on() && (self.tls_cert.is_none() || self.tls_key.is_none()) {
                wrong(format!(
                    "{name}: needs a certificate; set MILLRACE_TLS_CERT and MILLRACE_TLS_KEY to PEM files, or \
                     MILLRACE_ACME_DOMAINS to have one made"
                ));
            }
        }
        if self.acme.is_on() && (self.tls_cert.is_some() || self.tls_key.is_some()) {
            wrong(
                "acme.domains: there is a certificate already; set either MILLRACE_ACME_DOMAINS, or MILLRACE_TLS_CERT \
                 and MILLRACE_TLS_KEY"
                    .into(),
            );
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            wrong(format!("public_url: {url:?} is no address; write it as https://live.example.org"));
        }
        if let Some(url) = self.public_rtmp_url.as_ref().filter(|url| !millrace_api::site::is_rtmp(url)) {
            wrong(format!(
                "public_rtmp_url: {url:?} is no address of RTMP; write it as rtmp://live.example.org/live"
            ));
        }
        if self.log.parse::<tracing_subscriber::EnvFilter>().is_err() {
            wrong(format!(
                "log: {:?} is no tracing filter; write info, debug or millrace_ingest=trace,info",
                self.log
            ));
        }
        if self.objects_timeout < Duration::from_millis(100)
            || self.objects_timeout > Duration::from_secs(300)
        {
            wrong(format!("objects_timeout: must be 100ms to 5m, is {:?}", self.objects_timeout));
        }
        if let Err(error) = millrace_objects::check(&self.objects(), variables()) {
            wrong(format!("objects: {error}"));
        }
        for (name, value) in [
            ("http.header_timeout", self.http.header_timeout),
            ("http.write_stall", self.http.write_stall),
            ("shutdown_grace", self.shutdown_grace),
        ] {
            if value.is_zero() || value > Duration::from_secs(3600) {
                wrong(format!("{name}: must be above 0s and at most 1h, is {value:?}"));
            }
        }
        if self.http.max_streams == 0 {
            wrong("http.max_streams: must be at least 1".into());
        }
        problems.extend(self.cluster.validate());
        problems.extend(self.acme.validate());
        problems.extend(self.accounts.validate());
        problems.extend(millrace_api::oauth::config::validate(&self.oauth));
        problems.extend(self.mail.validate(self.public_url.as_deref()));
        problems.extend(self.channels.validate());
        problems.extend(self.chat.validate());
        problems.extend(self.site.validate());
        problems.extend(self.notices.validate());
        problems.extend(self.webhooks.validate());
        problems.extend(self.playback.validate());
        problems.extend(self.kafka.validate());
        problems.extend(self.ingest.validate());
        problems.extend(self.hls.validate());
        problems.extend(self.transcode.validate());
        problems.extend(self.traces().err().unwrap_or_default());
        problems
    }
}

/// Whether other processes can be told to ask here: scheme, host and perhaps a port.
fn is_node_url(url: &str) -> bool {
    let Some(host) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (1..=260).contains(&host.len()) && host.chars().all(plain)
}

/// The environment, but for what is no text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// `MILLRACE_` + upper-case path with `__` between levels, and the short names of the contract.
fn environment() -> Env {
    Env::prefixed(PREFIX)
        // For the tests of the project itself.
        .filter(|key| !key.as_str().to_ascii_lowercase().starts_with("test_"))
        .map(|key| {
            let key = key.as_str().to_ascii_lowercase();
            match key.as_str() {
                "latency" => "hls__latency".into(),
                "hls_target_duration" => "hls__target_duration".into(),
                "hls_window" => "hls__window".into(),
                "acme_domains" | "acme_email" | "acme_directory" => key.replacen('_', "__", 1).into(),
                _ => key.into(),
            }
        })
        .split("__")
}

/// One of figment's errors as a sentence: the key, its value, what is wrong, what to write instead, where it stands.
fn readable(error: &figment::Error, figment: &Figment) -> String {
    let key = error.path.join(".");
    let source = error.metadata.as_ref().map_or_else(String::new, |metadata| match &metadata.source {
        Some(source) => format!(" (in {source})"),
        None => format!(" (set as {PREFIX}{})", key.to_ascii_uppercase().replace('.', "__")),
    });
    if key.is_empty() {
        return format!("{}{source}", error.kind);
    }
    let value = match figment.find_value(&key) {
        // It may hold a password.
        _ if ["store", "bus", "objects"].contains(&key.as_str()) => String::new(),
        Ok(figment::value::Value::String(_, text)) => format!(" is {text:?};"),
        Ok(figment::value::Value::Num(_, number)) => {
            number.to_i128().map_or_else(String::new, |number| format!(" is {number};"))
        }
        _ => String::new(),
    };
    let remedy = if key.ends_with("_addr") { "; write address and port, such as 0.0.0.0:8080" } else { "" };
    format!("{key}:{value} {}{remedy}{source}", error.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Jail;

    #[test]
    fn the_documented_file_holds_the_defaults() {
        let sample = include_str!("../docs/millrace.toml");
        let config: Config = Figment::from(Toml::string(sample)).extract().unwrap();
        assert_eq!(config, Config::default());
        let keys: toml::Table = sample.parse().unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        for (key, value) in &defaults {
            let documented = keys.get(key).unwrap_or_else(|| panic!("docs/millrace.toml lacks {key}"));
            if let (Some(inner), Some(documented)) = (value.as_table(), documented.as_table()) {
                for key in inner.keys() {
                    assert!(documented.contains_key(key), "docs/millrace.toml lacks {key}");
                }
            }
        }
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "figment's own error type")]
    fn automatic_https_needs_names_only_and_no_other_certificate() {
        Jail::expect_with(|jail| {
            jail.set_env("MILLRACE_ACME_DOMAINS", "live.example.org,www.example.org");
            jail.set_env("MILLRACE_ACME_EMAIL", "you@example.org");
            jail.set_env("MILLRACE_ACME_DIRECTORY", "https://ca.example.org/directory");
            jail.set_env("MILLRACE_RTMPS_ADDR", "127.0.0.1:1936");
            let config = Config::load(None, None).unwrap();
            assert_eq!(config.https_addr, Some(HTTPS_ADDR));
            assert_eq!(config.acme.domains.0, ["live.example.org", "www.example.org"]);
            assert_eq!(config.acme.email.as_deref(), Some("you@example.org"));
            assert_eq!(config.acme.directory, "https://ca.example.org/directory");
            jail.set_env("MILLRACE_HTTPS_ADDR", "127.0.0.1:8443");
            assert_eq!(Config::load(None, None).unwrap().https_addr.unwrap().port(), 8443);
            jail.set_env("MILLRACE_TLS_CERT", "cert.pem");
            let problem = Config::load(None, None).unwrap_err().to_string();
            assert!(problem.contains("acme.domains: there is a certificate already"), "{problem}");
            Ok(())
        });
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "figment's own error type")]
    fn environment_beats_file_beats_defaults() {
        Jail::expect_with(|jail| {
            jail.create_file(DEFAULT_FILE, "http_addr = \"127.0.0.1:1\"\nrtmp_addr = \"127.0.0.1:2\"")?;
            jail.set_env("MILLRACE_RTMP_ADDR", "127.0.0.1:3");
            jail.set_env("MILLRACE_HLS_TARGET_DURATION", "6s");
            jail.set_env("MILLRACE_INGEST__RECONNECT_WINDOW", "5s");
            jail.set_env("MILLRACE_PUBLISH_AUTH", "open");
            jail.set_env("MILLRACE_TEST_MONGODB", "whatever");
            let config = Config::load(None, None).unwrap();
            assert_eq!(config.http_addr.port(), 1);
            assert_eq!(config.rtmp_addr.port(), 3);
            assert_eq!(config.hls.target_duration, Duration::from_secs(6));
            assert_eq!(config.ingest.reconnect_window, Duration::from_secs(5));
            assert_eq!(config.publish_auth, PublishAuth::Open);
            Ok(())
        });
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "figment's own error type")]
    fn what_is_wrong_is_named_with_its_key_and_the_remedy() {
        let table = [
            ("MILLRACE_HTTP_ADR", "127.0.0.1:1", "http_adr"),
            ("MILLRACE_HTTP_ADDR", "here", "http_addr: is \"here\";"),
            ("MILLRACE_RTMP_ADDR", "1935", "such as 0.0.0.0:8080"),
            ("MILLRACE_BUS", "nats://localhost", "is no bus; write memory, or kafka://HOST:PORT"),
            ("MILLRACE_BUS", "kafka://localhost", "names the broker \"localhost\"; write each as HOST:PORT"),
            (
                "MILLRACE_BUS",
                "kafka://ada:secret@a:9092",
                "bus: carries a name or a password; brokers are named",
            ),
            ("MILLRACE_KAFKA__USERNAME", "ada", "set username and password_file together"),
            ("MILLRACE_KAFKA__CA_FILE", "/ca.pem", "set kafka.tls = true"),
            ("MILLRACE_KAFKA__OUTBOX_LIMIT", "1", "kafka.outbox_limit: must be 100 to 1000000"),
            (
                "MILLRACE_STORE",
                "mysql://localhost",
                "store: is no store; write sqlite, or mongodb://HOST/DATABASE",
            ),
            (
                "MILLRACE_OBJECTS",
                "/srv/objects",
                "objects: is no place for objects; write file:///FOLDER, or s3://",
            ),
            (
                "MILLRACE_OBJECTS",
                "s3://key:hush@bucket",
                "objects: carries a name or a password; write s3://",
            ),
            ("MILLRACE_OBJECTS", "12", "objects:"),
            ("MILLRACE_OBJECTS_TIMEOUT", "1ms", "objects_timeout: must be 100ms to 5m"),
            ("MILLRACE_ROLES", "[api]", "MILLRACE_BUS=kafka://"),
            ("MILLRACE_NODE_NAME", "a b", "a node name has 1 to 100 letters"),
            ("MILLRACE_NODE_URL", "media-1:8080", "node_url: \"media-1:8080\" is no address"),
            ("MILLRACE_CLUSTER__LEASE", "1ms", "cluster.lease"),
            ("MILLRACE_RTMPS_ADDR", "127.0.0.1:1", "MILLRACE_TLS_CERT"),
            ("MILLRACE_IRCS_ADDR", "127.0.0.1:1", "ircs_addr: needs a certificate"),
            ("MILLRACE_PUBLIC_RTMP_URL", "https://live.example.org", "public_rtmp_url:"),
            ("MILLRACE_SITE__MAX_CATEGORIES", "0", "site.max_categories is 0"),
            ("MILLRACE_LOG", "a=b=c", "log:"),
            ("MILLRACE_HTTP__HEADER_TIMEOUT", "soon", "such as 200ms"),
            ("MILLRACE_HTTP__WRITE_STALL", "0s", "http.write_stall"),
            ("MILLRACE_MAIL__URL", "smtps://mail.example.org", "mail.from: is missing"),
            ("MILLRACE_MAIL__PASSWORD", "12345", "mail: set username and password together"),
            ("MILLRACE_ACCOUNTS__LIMITS__LOGIN_ADDRESS__REFILL", "0s", "limits.login_address.refill"),
        ];
        for (name, value, expected) in table {
            Jail::expect_with(|jail| {
                jail.set_env(name, value);
                let error = Config::load(None, None).expect_err(name).to_string();
                assert!(error.contains(expected), "{name}={value}: {error}");
                assert!(!error.contains("hush"), "{error}");
                Ok(())
            });
        }
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "figment's own error type")]
    fn objects_are_in_the_data_folder_or_where_the_variables_of_aws_lead() {
        Jail::expect_with(|jail| {
            jail.set_env("MILLRACE_DATA_DIR", "/srv/millrace");
            let folder = Config::load(None, None).unwrap().objects();
            assert_eq!(folder, millrace_objects::Location::Folder("/srv/millrace/objects".into()));
            jail.set_env("MILLRACE_OBJECTS", "s3://bucket/live");
            jail.set_env("AWS_ENDPOINT_URL", "http://minio:9000");
            jail.set_env("AWS_ACCESS_KEY_ID", "key");
            let problems = Config::load(None, None).unwrap_err().to_string();
            assert!(problems.contains("objects: AWS_SECRET_ACCESS_KEY is missing"), "{problems}");
            jail.set_env("AWS_SECRET_ACCESS_KEY", "hush-hush");
            let problems = Config::load(None, None).unwrap_err().to_string();
            assert!(problems.contains("set AWS_ALLOW_HTTP=true"), "{problems}");
            assert!(!problems.contains("hush"), "{problems}");
            jail.set_env("AWS_ALLOW_HTTP", "true");
            let config = Config::load(None, None).unwrap();
            assert_eq!(config.objects().to_string(), "s3://bucket/live");
            let printed = toml::to_string(&config).unwrap();
            assert!(
                printed.contains("objects = \"s3://bucket/live\"") && !printed.contains("hush"),
                "{printed}"
            );
            Ok(())
        });
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let error = Config::load(Some(Path::new("/nowhere.toml")), None).unwrap_err().to_string();
        assert!(error.contains("/nowhere.toml"), "{error}");
    }
}
