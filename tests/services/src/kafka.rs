//! An Apache Kafka: of one node, or of some.
#![expect(clippy::disallowed_methods, reason = "shell: waits for a server")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::free_port;
use crate::keeper::Keeper;

/// How long a broker may take until it is ready, where three of them start at once on a busy machine.
const READY: Duration = Duration::from_secs(240);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often other ports are tried when somebody else was faster.
const PORTS: u32 = 5;
/// What a cluster calls itself: 16 bytes in base64.
const CLUSTER: &str = "bWlsbHJhY2UtdGVzdHMhIQ";
/// `ApiVersions` (key 18, version 0) without a client id: its length, then the request. Only a broker that serves
/// answers it.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// Places on one broker: each has some 90 partitions that stay, and with thousands of them a broker takes more than a
/// minute to make a topic.
const PLACES: usize = 25;
static SHARED: [OnceCell<Kafka>; 8] = [const { OnceCell::const_new() }; 8];
static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// Somewhere on a broker where nobody else is: its `host:port`, and what names begin with there.
#[derive(Debug, Clone)]
pub struct Place {
    /// `host:port`.
    pub broker: String,
    /// Before the names of topics and groups.
    pub prefix: String,
}

/// A place on a broker of this test binary.
pub async fn place() -> Place {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let broker = match std::env::var("MILLRACE_TEST_KAFKA") {
        Ok(broker) => broker,
        Err(_) => {
            let number = TAKEN.fetch_add(1, Ordering::Relaxed) / PLACES;
            SHARED[number.min(SHARED.len() - 1)].get_or_init(Kafka::start).await.broker()
        }
    };
    Place { broker, prefix: prefix() }
}

/// What no other name begins with.
#[must_use]
pub fn prefix() -> String {
    let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{number}.", std::process::id())
}

/// Brokers of one cluster, each of which can be killed.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Kafka>,
}

impl Cluster {
    /// Starts so many and waits until all of them serve.
    ///
    /// # Panics
    /// As [`Kafka::start`].
    pub async fn start(count: usize) -> Self {
        Self { nodes: Kafka::start_together(count).await }
    }

    /// Their `host:port`.
    #[must_use]
    pub fn brokers(&self) -> Vec<String> {
        self.nodes.iter().map(Kafka::broker).collect()
    }

    /// One of them.
    pub fn node(&mut self, index: usize) -> &mut Kafka {
        &mut self.nodes[index]
    }
}

/// The doors of a node.
#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: u16,
    control: u16,
    secured: u16,
}

/// A broker of one's own, which can be killed.
#[derive(Debug)]
pub struct Kafka {
    keeper: Keeper,
    port: u16,
    /// For clients that show who they are, over TLS.
    secured: u16,
    /// PEM of its certificate.
    certificate: String,
}

/// Who may come to [`Kafka::secured`].
pub const USER: &str = "millrace";
/// With which password.
pub const PASSWORD: &str = "plover-quartz-lantern-7";

impl Kafka {
    /// Starts one and waits until it serves.
    ///
    /// # Panics
    /// It cannot be fetched, or is not ready in time; its log is in the message.
    pub async fn start() -> Self {
        Self::start_together(1).await.remove(0)
    }

    async fn start_together(count: usize) -> Vec<Self> {
        let jars = format!("{}/*", jars());
        for _ in 0..PORTS {
            let doors = || Ports { plain: free_port(), control: free_port(), secured: free_port() };
            let ports: Vec<_> = std::iter::repeat_with(doors).take(count).collect();
            let nodes: Vec<_> = (0..count).map(|index| Self::begin(&jars, &ports, index)).collect();
            let mut serve = true;
            for node in &nodes {
                serve = serve && node.answers().await;
            }
            if serve {
                return nodes;
            }
        }
        panic!("no port is free");
    }

    /// Begins to start the node with this index.
    fn begin(jars: &str, ports: &[Ports], index: usize) -> Self {
        let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().to_string_lossy().into_owned();
        let settings = format!("{path}/server.properties");
        let keys = format!("{path}/keys.pem");
        let pem = own.signing_key.serialize_pem() + &own.cert.pem();
        std::fs::write(&keys, pem).expect("the folder can be written");
        let properties = properties(ports, index, &path) + &listeners(ports[index], &keys);
        std::fs::write(&settings, properties).expect("the folder can be written");
        let user = format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]");
        let java = [
            "-Xmx320m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            jars,
        ];
        let format =
            ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", &settings, "--add-scram", &user];
        let formatted = Command::new("java").args(java).args(format).output().expect("java is there");
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        let mut arguments = java.to_vec();
        arguments.extend(["kafka.Kafka", &settings]);
        let certificate = own.cert.pem();
        let keeper = Keeper::start(folder, "java", &arguments);
        let Ports { plain, secured, .. } = ports[index];
        Self { keeper, port: plain, secured, certificate }
    }

    /// Its `host:port`.
    #[must_use]
    pub fn broker(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `host:port` for [`USER`] with SCRAM-SHA-512 over TLS.
    #[must_use]
    pub fn secured(&self) -> String {
        format!("127.0.0.1:{}", self.secured)
    }

    /// PEM of the certificate that it shows there.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        self.keeper.order("kill");
    }

    /// Starts it again where it was, on the same port, and waits until it serves.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn restart(&mut self) {
        self.keeper.order("start");
        assert!(self.answers().await, "its port was taken:\n{}", self.keeper.log());
    }

    /// Lets it stand still, with its connections open.
    pub fn freeze(&mut self) {
        self.keeper.order("stop");
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.keeper.order("continue");
    }

    /// Waits until it serves; false if a port was taken.
    async fn answers(&self) -> bool {
        let taken = || self.keeper.log().contains("Address already in use");
        let ready = async {
            while !taken() && ask(self.port).await.is_err() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let in_time = tokio::time::timeout(READY, ready).await;
        assert!(in_time.is_ok(), "kafka is not ready within {READY:?}:\n{}", self.keeper.log());
        !taken()
    }
}

async fn ask(port: u16) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.write_all(&API_VERSIONS).await?;
    connection.read_u32().await.map(drop)
}

/// A node that is broker and controller. One that dies is missed within some seconds.
fn properties(ports: &[Ports], index: usize, folder: &str) -> String {
    let voter = |(index, ports): (usize, &Ports)| format!("{}@127.0.0.1:{}", index + 1, ports.control);
    let voters: Vec<_> = ports.iter().enumerate().map(voter).collect();
    format!(
        "process.roles=broker,controller\n\
         node.id={}\n\
         controller.quorum.voters={}\n\
         controller.listener.names=CONTROLLER\n\
         broker.session.timeout.ms=3000\n\
         broker.heartbeat.interval.ms=500\n\
         log.dirs={folder}/data\n\
         offsets.topic.replication.factor={}\n\
         offsets.topic.num.partitions=3\n\
         group.initial.rebalance.delay.ms=0\n\
         auto.create.topics.enable=false\n",
        index + 1,
        voters.join(","),
        ports.len().min(3)
    )
}

/// One door for whoever comes, and one for who shows a password over TLS.
fn listeners(Ports { plain: port, control, secured }: Ports, keys: &str) -> String {
    let login = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secured},CONTROLLER://127.0.0.1:{control}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secured}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         sasl.enabled.mechanisms=SCRAM-SHA-512\n\
         listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={login}\n\
         ssl.keystore.type=PEM\n\
         ssl.keystore.location={keys}\n"
    )
}

/// The folder of its jars, fetched if need be.
fn jars() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services.sh");
    let output = Command::new(script).arg("kafka").output().expect("scripts/services.sh can be run");
    assert!(output.status.success(), "kafka is not there: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
