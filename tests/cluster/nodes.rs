//! The processes, at addresses of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use millrace_api::accounts::{COLLECTIONS, Role};
use millrace_api::auth::Secret;
use millrace_store::{Location, Store};
use millrace_test_services::kafka::{self, Kafka};
use millrace_test_services::mongodb::ReplicaSet;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard, OnceCell, SemaphorePermit};

use super::edge;
use super::encoder::{Encoder, Tape};
use super::viewer::Viewer;
use super::windows::Windows;
use crate::browser::looped;
use crate::nginx::Nginx;
use crate::server::{Process, with_roles};
use crate::streamer::account;
use crate::wait::{share, until};

/// Longest wait for anything that need not wait for a window.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// From a signal to the end of a process.
const STOP: Duration = Duration::from_secs(45);
/// What is told to the API about media is told to nginx, too.
const SECRET: &str = "an-owner-made-this-with-openssl-rand-base64-48";

/// What `docker_compose/split.yaml` calls them, with their roles.
const NODES: [(&str, &str); 8] = [
    ("ingest-1", "ingest"),
    ("ingest-2", "ingest"),
    ("ingest-3", "ingest"),
    ("api-1", "api"),
    ("api-2", "api"),
    ("chat-1", "chat"),
    ("chat-2", "chat"),
    ("worker", "worker"),
];

/// Where everybody is: 127.x.y.n with the ports of the containers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses([u8; 2]);

impl Addresses {
    /// Some that nobody uses.
    fn free() -> Self {
        let process = std::process::id();
        // Not the part of 127/8 in which other tests are people at many addresses.
        let all = (0..200).map(|number| {
            let number = process.wrapping_add(number * 7919);
            Self([64 + (number / 256 % 128) as u8, (number % 256) as u8])
        });
        let mut all = all.filter(|found| edge::is_free(found.http("edge")));
        all.next().expect("an address of this machine is free")
    }

    fn of(self, node: &str, port: u16) -> SocketAddr {
        let number = match node {
            "edge" => 2,
            node => 10 + NODES.iter().position(|(name, _)| *name == node).unwrap() as u8,
        };
        SocketAddr::from(([127, self.0[0], self.0[1], number], port))
    }

    pub(crate) fn http(self, node: &str) -> SocketAddr {
        self.of(node, 8080)
    }

    pub(crate) fn rtmp(self, node: &str) -> SocketAddr {
        self.of(node, 1935)
    }

    fn metrics(self, node: &str) -> SocketAddr {
        self.of(node, 9464)
    }
}

/// The servers of others, which all tests here share.
pub(crate) struct Services {
    pub(crate) mongodb: ReplicaSet,
    pub(crate) kafka: Kafka,
    /// A test failed while they were away.
    away: (bool, bool),
}

impl Services {
    async fn start() -> Self {
        let (mongodb, kafka) =
            tokio::join!(ReplicaSet::start(Windows::of_this_run().election), Kafka::start());
        Self { mongodb, kafka, away: (false, false) }
    }

    pub(crate) fn kill_kafka(&mut self) {
        self.kafka.kill();
        self.away.1 = true;
    }

    pub(crate) async fn restart_kafka(&mut self) {
        self.kafka.restart().await;
        self.away.1 = false;
    }

    pub(crate) fn kill_mongodb(&mut self) {
        self.mongodb.kill();
        self.away.0 = true;
    }

    pub(crate) async fn restart_mongodb(&mut self) {
        self.mongodb.restart().await;
        self.away.0 = false;
    }

    async fn mend(&mut self) {
        if self.away.0 {
            self.restart_mongodb().await;
        }
        if self.away.1 {
            self.restart_kafka().await;
        }
    }
}

/// A running site. Fields are dropped in this order.
pub(crate) struct Topology {
    pub(crate) windows: Windows,
    pub(crate) addresses: Addresses,
    pub(crate) edge: Nginx,
    nodes: BTreeMap<&'static str, Process>,
    /// What single processes have beside the others, by name.
    own: BTreeMap<String, Vec<(String, String)>>,
    pub(crate) store: String,
    pub(crate) prefix: String,
    data: TempDir,
    token: Secret,
    client: reqwest::Client,
    pub(crate) tape: Tape,
    pub(crate) services: MutexGuard<'static, Services>,
    _machine: SemaphorePermit<'static>,
}

impl Topology {
    /// Starts all of it, with an account that may have any number of channels.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with settings or variables that only some processes have.
    pub(crate) async fn start_with(own: &[(&str, &str, &str)]) -> Self {
        static SERVICES: OnceCell<Mutex<Services>> = OnceCell::const_new();
        let tape = Tape::read(&looped().fixture().await.path);
        let machine = share().await;
        let start = || async { Mutex::new(Services::start().await) };
        let mut services = SERVICES.get_or_init(start).await.lock().await;
        services.mend().await;

        let prefix = kafka::prefix();
        let database = format!("cluster_{}", prefix.trim_end_matches('.').replace('-', "_"));
        let store = services.mongodb.uri(&database);
        let engine = millrace_store::open(&Location::MongoDb(store.clone()), &PathBuf::new()).await.unwrap();
        let token = account(Store::new(engine, COLLECTIONS).await.unwrap(), Role::Admin).await;

        let data = TempDir::new().unwrap();
        let secrets = data.path().join("playback");
        std::fs::write(&secrets, SECRET).unwrap();
        let addresses = Addresses::free();
        let mut theirs = BTreeMap::<_, Vec<_>>::new();
        for (node, name, value) in own {
            theirs.entry((*node).to_owned()).or_default().push(((*name).to_owned(), (*value).to_owned()));
        }
        let command = |(node, role)| {
            let own = theirs.get(node).map_or(&[][..], Vec::as_slice);
            let at = Place { addresses, store: &store, services: &services, prefix: &prefix, data: &data };
            let command = at.command(node, role, own);
            async move { (node, Process::start(command).await) }
        };
        let nodes = join_all(NODES.map(command)).await;
        let edge = edge::start(&addresses, &secrets).await;
        Self {
            windows: Windows::of_this_run(),
            addresses,
            edge,
            nodes: nodes.into_iter().collect(),
            own: theirs,
            store,
            prefix,
            data,
            token,
            client: crate::http::client().timeout(Duration::from_secs(45)).build().unwrap(),
            tape,
            services,
            _machine: machine,
        }
    }

    pub(crate) fn node(&self, name: &str) -> &Process {
        &self.nodes[name]
    }

    /// Kills a process as `kill -9` does.
    pub(crate) async fn kill(&mut self, name: &str) {
        self.nodes.get_mut(name).unwrap().kill().await;
    }

    /// Stops a process as an operator does, and waits until it is gone.
    pub(crate) async fn stop(&mut self, name: &str) {
        let node = self.nodes.get_mut(name).unwrap();
        node.signal("TERM");
        let status = node.exited(STOP).await;
        assert!(status.success(), "{name}: {status:?}\n{}", node.log());
        node.assert_calm();
    }

    /// Starts one that was stopped or killed, where it was.
    pub(crate) async fn begin(&mut self, name: &'static str) {
        let role = NODES.iter().find(|(node, _)| *node == name).unwrap().1;
        let own = self.own.get(name).map_or(&[][..], Vec::as_slice);
        let Self { addresses, store, services, prefix, data, .. } = &*self;
        let at = Place { addresses: *addresses, store, services, prefix, data };
        let process = Process::start(at.command(name, role, own)).await;
        self.nodes.insert(name, process);
    }

    /// What a rolling update does with each process.
    pub(crate) async fn restart(&mut self, name: &'static str) {
        self.stop(name).await;
        self.begin(name).await;
    }

    /// Address of a path, at nginx.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addresses.http("edge"))
    }

    /// What the account does; the status and the answer. An answer that is none has the status 0.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = self.url(&format!("/api/v1{path}"));
        let request = self.client.request(method.parse().unwrap(), url).bearer_auth(self.token.reveal());
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        match request.send().await {
            Ok(answer) => (answer.status().as_u16(), answer.json().await.unwrap_or_default()),
            Err(error) => (0, json!(format!("{error:?}"))),
        }
    }

    /// The same by nobody in particular.
    pub(crate) async fn public(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = self.url(&format!("/api/v1{path}"));
        let request = self.client.request(method.parse().unwrap(), url).header("origin", self.url(""));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        match request.send().await {
            Ok(answer) => (answer.status().as_u16(), answer.json().await.unwrap_or_default()),
            Err(error) => (0, json!(format!("{error:?}"))),
        }
    }

    /// The process that a channel's encoder was given to last.
    pub(crate) async fn owner(&self, channel: &str) -> &'static str {
        let connected = format!("publisher of channel {channel} connected");
        until(&format!("somebody has {channel}"), SOON, || async {
            // Each line begins with its time.
            let last = |node: &Process| {
                node.log().lines().rev().find(|line| line.contains(&connected)).map(str::to_owned)
            };
            let lines = self.nodes.iter().filter_map(|(name, node)| Some((last(node)?, *name)));
            lines.max().map(|(_, name)| name)
        })
        .await
    }

    /// A new channel; a key for it.
    pub(crate) async fn channel(&self, name: &str) -> String {
        let made = self.ask("POST", "/channels", Some(json!({ "name": name }))).await;
        assert_eq!(made.0, 201, "{made:?}");
        let key = self.ask("POST", &format!("/channels/{name}/keys"), Some(json!({ "name": "obs" }))).await;
        assert_eq!(key.0, 201, "{key:?}");
        key.1["secret"].as_str().unwrap().to_owned()
    }

    /// An encoder with this key, at nginx.
    pub(crate) fn encoder(&self, key: &str) -> Encoder {
        Encoder::start(&self.tape, self.addresses.rtmp("edge"), key)
    }

    /// New channels that are live, with their encoders.
    pub(crate) async fn broadcasts(&self, count: usize) -> Vec<(String, Encoder)> {
        let mut all = Vec::new();
        for number in 1..=count {
            let name = format!("channel_{number}");
            let key = self.channel(&name).await;
            all.push((name, self.encoder(&key)));
        }
        for (name, _) in &all {
            self.live(name).await;
        }
        all
    }

    /// What the API shows of a live channel.
    pub(crate) async fn stream(&self, channel: &str) -> Option<Value> {
        let (status, stream) = self.ask("GET", &format!("/streams/{channel}"), None).await;
        (status == 200).then_some(stream)
    }

    /// Waits until a channel is live, and there is something to play.
    pub(crate) async fn live(&self, channel: &str) -> Value {
        let stream = until(&format!("{channel} is live"), SOON, || self.stream(channel)).await;
        until(&format!("{channel} can be watched"), SOON, || async {
            let url = self.url(&format!("/live/{channel}/main/index.m3u8"));
            let text = self.client.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()?;
            (text.matches("#EXTINF").count() > text.matches("#EXT-X-GAP").count()).then_some(())
        })
        .await;
        stream
    }

    /// So many viewers, shared out over the channels.
    pub(crate) fn viewers<'a>(
        &self,
        count: usize,
        channels: impl Iterator<Item = &'a str> + Clone,
    ) -> Vec<Viewer> {
        let site = self.url("");
        channels.cycle().take(count).map(|channel| Viewer::start(&self.client, &site, channel)).collect()
    }

    /// Fails if a process wrote of a panic or an error.
    pub(crate) fn assert_calm(&self) {
        self.nodes.values().for_each(Process::assert_calm);
    }

    /// Everything that the processes logged that has this text in it.
    pub(crate) fn logged(&self, needle: &str) -> Vec<String> {
        let logs = self.nodes.iter().flat_map(|(name, node)| {
            let log = node.log();
            let lines: Vec<_> = log.lines().filter(|line| line.contains(needle)).map(str::to_owned).collect();
            lines.into_iter().map(move |line| format!("{name}: {line}"))
        });
        logs.collect()
    }
}

/// What a process is told.
struct Place<'a> {
    addresses: Addresses,
    store: &'a str,
    services: &'a Services,
    prefix: &'a str,
    data: &'a TempDir,
}

impl Place<'_> {
    fn command(&self, node: &str, role: &str, own: &[(String, String)]) -> Command {
        let secrets = self.data.path().join("playback");
        let bus = format!("kafka://{}", self.services.kafka.broker());
        let (http, rtmp, metrics) =
            (self.addresses.http(node), self.addresses.rtmp(node), self.addresses.metrics(node));
        let node_url = format!("http://{http}");
        // As in `split.yaml`, where the edge has an address of its own.
        let mut settings = vec![
            ("MILLRACE_STORE", self.store),
            ("MILLRACE_BUS", &bus),
            ("MILLRACE_PLAYBACK__SECRET_FILE", secrets.to_str().unwrap()),
            ("MILLRACE_ACCOUNTS__TRUSTED_PROXIES", "[\"127.0.0.1\"]"),
            ("MILLRACE_HLS__COUNT_REQUESTS", "false"),
            ("MILLRACE_NODE_URL", &node_url),
        ];
        if role == "ingest" {
            settings.push(("MILLRACE_INGEST__MAX_CONNECTIONS_PER_ADDRESS", "0"));
        }
        // What is different here: one broker, shared with other tests; processes of one host.
        settings.extend([
            ("MILLRACE_PUBLISH_AUTH", "keys"),
            ("MILLRACE_KAFKA__PREFIX", self.prefix),
            ("MILLRACE_KAFKA__REPLICATION", "1"),
            ("MILLRACE_NODE_NAME", node),
        ]);
        settings.extend(Windows::of_this_run().settings);
        settings.extend(own.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut command = with_roles(self.data.path(), &settings, role);
        command
            .env("MILLRACE_HTTP_ADDR", http.to_string())
            .env("MILLRACE_RTMP_ADDR", rtmp.to_string())
            .env("MILLRACE_METRICS_ADDR", metrics.to_string());
        command
    }
}

#[test]
fn the_processes_are_those_of_the_compose_file_with_its_settings() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docker_compose/split.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    for (node, role) in NODES {
        assert!(text.contains(&format!("\n  {node}:\n")), "{node} is not in it");
        assert!(text.contains(&format!("--roles, {role}]")), "nobody is {role} there");
    }
    assert_eq!(text.matches("MILLRACE_NODE_URL:").count(), NODES.len(), "there are other processes in it");
    let this = include_str!("nodes.rs");
    // And pictures, which are in the folder of the data here as there.
    let of_the_edge = ["ORIGIN", "CHAT", "LISTEN", "CACHE", "PLAYBACK_SECRETS", "MEMORY", "IMAGE", "OBJECTS"];
    for at in text.match_indices("MILLRACE_").map(|(at, _)| at) {
        let name: String = text[at..].chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        let ours = of_the_edge.iter().all(|theirs| name != format!("MILLRACE_{theirs}")) && name.len() > 9;
        assert!(!ours || this.contains(&format!("\"{name}\"")), "{name} is set there and not here");
    }
}
