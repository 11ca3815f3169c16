//! A MongoDB replica set of one member, and one of three.
#![expect(clippy::disallowed_methods, reason = "shell: waits for a server")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ServerAddress};
use tokio::sync::OnceCell;

use crate::free_port;
use crate::keeper::Keeper;

/// How long a server may take until it is ready.
const READY: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often another port is tried when somebody else was faster.
const PORTS: u32 = 5;

static SHARED: OnceCell<Mongod> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The URI of a database that nobody uses, on the one server of this test binary.
pub async fn database() -> String {
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let name = format!("millrace_test_{}_{number}", std::process::id());
    match std::env::var("MILLRACE_TEST_MONGODB") {
        Ok(uri) => in_database(&uri, &name),
        Err(_) => SHARED.get_or_init(Mongod::start).await.uri(&name),
    }
}

/// A database that nobody uses, which goes away with this.
#[derive(Debug)]
pub struct Fresh(String);

impl Fresh {
    /// A new one, as [`database`].
    pub async fn new() -> Self {
        Self(database().await)
    }

    /// Its URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.0
    }
}

/// Each collection and each index is a file that the server keeps open: of hundreds of databases it would run out.
impl Drop for Fresh {
    fn drop(&mut self) {
        let uri = std::mem::take(&mut self.0);
        // The runtime of the test cannot be waited for here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let client = Client::with_uri_str(&uri).await.ok()?;
                client.default_database()?.drop().await.ok()
            })
        });
        // What cannot be dropped now goes with the server.
        let _ = dropping.join();
    }
}

/// The URI of another database of the same servers.
fn in_database(uri: &str, name: &str) -> String {
    let (servers, options) =
        uri.split_once('?').map_or((uri, None), |(servers, options)| (servers, Some(options)));
    let scheme = servers.find("://").map_or(0, |at| at + 3);
    let end = servers[scheme..].find('/').map_or(servers.len(), |at| scheme + at);
    let options = options.map_or_else(String::new, |options| format!("?{options}"));
    format!("{}/{name}{options}", &servers[..end])
}

/// A server of one's own, which can be killed.
#[derive(Debug)]
pub struct Mongod {
    keeper: Keeper,
    port: u16,
}

impl Mongod {
    /// Starts one and waits until it takes writes.
    ///
    /// # Panics
    /// It cannot be fetched, or is not ready within half a minute; its log is in the message.
    pub async fn start() -> Self {
        Self::start_with(&["--replSet", "rs0"]).await
    }

    /// Starts one that is no member of a replica set.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_alone() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(more: &[&str]) -> Self {
        let server = Self::start_member(more, |server| match more {
            [] => doc! { "ping": 1 },
            _ => server.initiate(),
        });
        let server = server.await;
        server.ready().await;
        server
    }

    /// Starts one and waits until it does a command.
    async fn start_member(more: &[&str], until: impl Fn(&Self) -> Document) -> Self {
        let program = program();
        for _ in 0..PORTS {
            let port = free_port();
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let data = folder.path().to_string_lossy().into_owned();
            let port_text = port.to_string();
            let mut arguments = vec!["--bind_ip", "127.0.0.1", "--port", &port_text, "--dbpath", &data];
            arguments.extend(["--nounixsocket", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"]);
            arguments.extend(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
            // Files of databases that were dropped are let go soon, and not after five minutes; a backup reads no longer.
            arguments.extend(["--setParameter", "minSnapshotHistoryWindowInSeconds=20", "--syncdelay", "5"]);
            arguments.extend(more);
            let server = Self { keeper: Keeper::start(folder, program.as_str(), &arguments), port };
            if server.answers(until(&server)).await {
                return server;
            }
        }
        panic!("no port is free");
    }

    /// The URI of a database.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}?replicaSet=rs0", self.port)
    }

    /// The URI of a database of one that is no member of a replica set.
    #[must_use]
    pub fn uri_alone(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        self.keeper.order("kill");
    }

    /// Starts it again where it was, on the same port, and waits until it takes writes.
    ///
    /// # Panics
    /// It is not ready within half a minute.
    pub async fn restart(&mut self) {
        self.keeper.order("start");
        self.ready().await;
    }

    /// Lets it stand still, with its connections open.
    pub fn freeze(&mut self) {
        self.keeper.order("stop");
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.keeper.order("continue");
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn client(&self) -> Client {
        let address = ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(self.port) };
        let options = ClientOptions::builder()
            .hosts(vec![address])
            .direct_connection(true)
            .server_selection_timeout(Duration::from_secs(1))
            .build();
        Client::with_options(options).expect("the options are valid")
    }

    /// The command that makes it a replica set.
    fn initiate(&self) -> Document {
        doc! { "replSetInitiate": { "_id": "rs0", "members": [{ "_id": 0, "host": self.address() }] } }
    }

    /// Waits until it does a command; false if its port was taken.
    async fn answers(&self, command: Document) -> bool {
        let admin = self.client().database("admin");
        let taken = || self.keeper.log().contains("Address already in use");
        let done = async {
            while !taken() && admin.run_command(command.clone()).await.is_err() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        self.within(tokio::time::timeout(READY, done).await);
        !taken()
    }

    async fn is_primary(&self) -> bool {
        let said = self.client().database("admin").run_command(doc! { "hello": 1 }).await;
        said.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
    }

    async fn ready(&self) {
        let ready = async {
            while !self.is_primary().await {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        self.within(tokio::time::timeout(READY, ready).await);
    }

    fn within<E>(&self, result: Result<(), E>) {
        assert!(result.is_ok(), "mongod is not ready within {READY:?}:\n{}", self.keeper.log());
    }
}

/// A replica set of three members, of which the first is the primary if it can.
#[derive(Debug)]
pub struct ReplicaSet(Vec<Mongod>);

impl ReplicaSet {
    /// Starts one and waits until it takes writes. A primary that is not heard of for `election` is replaced.
    ///
    /// # Panics
    /// As [`Mongod::start`].
    pub async fn start(election: Duration) -> Self {
        let member = || Mongod::start_member(&["--replSet", "rs0"], |_| doc! { "ping": 1 });
        let (one, two, three) = tokio::join!(member(), member(), member());
        let set = Self(vec![one, two, three]);
        let member = |number: i32, server: &Mongod| {
            let priority = if number == 0 { 2 } else { 1 };
            doc! { "_id": number, "host": server.address(), "priority": priority }
        };
        let members: Vec<_> = (0..).zip(&set.0).map(|(number, server)| member(number, server)).collect();
        let election = i64::try_from(election.as_millis()).expect("some seconds");
        let settings = doc! { "electionTimeoutMillis": election };
        let config = doc! { "_id": "rs0", "members": members, "settings": settings };
        set.0[0].answers(doc! { "replSetInitiate": config }).await;
        set.ready().await;
        set
    }

    /// The URI of a database.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        let members: Vec<_> = self.0.iter().map(Mongod::address).collect();
        format!("mongodb://{}/{database}?replicaSet=rs0", members.join(","))
    }

    /// Has the primary step down, for so long, and waits until another one takes writes.
    ///
    /// # Panics
    /// There is no primary, or no other one within half a minute.
    pub async fn step_down(&self, seconds: i32) {
        let primary = self.primary().await.expect("a primary");
        let down = doc! { "replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": 1 };
        let other = async {
            let mut now = Some(primary);
            while now.is_none_or(|now| now == primary) {
                if now.is_some() {
                    // It may close the connection that told it, or refuse while nobody could take its place.
                    let _ = self.0[primary].client().database("admin").run_command(down.clone()).await;
                }
                tokio::time::sleep(LOOK_EVERY).await;
                now = self.primary().await;
            }
        };
        self.0[primary].within(tokio::time::timeout(READY, other).await);
    }

    /// Kills all members without warning.
    pub fn kill(&mut self) {
        self.0.iter_mut().for_each(Mongod::kill);
    }

    /// Starts all of them again where they were, and waits until they take writes.
    ///
    /// # Panics
    /// They do not within half a minute.
    pub async fn restart(&mut self) {
        for member in &mut self.0 {
            member.keeper.order("start");
        }
        self.ready().await;
    }

    async fn primary(&self) -> Option<usize> {
        for (number, member) in self.0.iter().enumerate() {
            if member.is_primary().await {
                return Some(number);
            }
        }
        None
    }

    async fn ready(&self) {
        let ready = async {
            while self.primary().await.is_none() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        self.0[0].within(tokio::time::timeout(READY, ready).await);
    }
}

/// The path of mongod, fetched if need be.
fn program() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services.sh");
    let output = Command::new(script).arg("mongod").output().expect("scripts/services.sh can be run");
    assert!(output.status.success(), "mongod is not there: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_takes_the_place_of_another_in_a_uri() {
        assert_eq!(in_database("mongodb://a:1", "x"), "mongodb://a:1/x");
        assert_eq!(in_database("mongodb://u:p@a:1,b:2/?w=1", "x"), "mongodb://u:p@a:1,b:2/x?w=1");
        assert_eq!(in_database("mongodb://a/old?w=1", "x"), "mongodb://a/x?w=1");
    }
}
