//! An S3 that checks signatures.
#![expect(clippy::disallowed_methods, reason = "shell: waits for a server")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::free_port;
use crate::keeper::Keeper;

/// How long a server may take until it is ready.
const READY: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often another port is tried when somebody else was faster.
const PORTS: u32 = 5;
const BUCKET: &str = "millrace-test";
const KEY: &str = "millrace-test-key";
const SECRET: &str = "millrace-test/secret+1";

static SHARED: OnceCell<S3> = OnceCell::const_new();
static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// Somewhere in a bucket where nobody else is.
#[derive(Debug, Clone)]
pub struct Place {
    /// `s3://bucket/prefix`.
    pub objects: String,
    /// The `AWS_*` variables that lead there.
    pub variables: Vec<(String, String)>,
}

impl Place {
    /// As settings of a process.
    #[must_use]
    pub fn settings(&self) -> Vec<(&str, &str)> {
        let mut settings = vec![("MILLRACE_OBJECTS", self.objects.as_str())];
        settings.extend(self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        settings
    }
}

/// A place on the server of this test binary, or in the bucket that `MILLRACE_TEST_S3` names.
pub async fn place() -> Place {
    match std::env::var("MILLRACE_TEST_S3") {
        Ok(bucket) => {
            let objects = format!("{}/{}", bucket.trim_end_matches('/'), prefix());
            let variables = std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect();
            Place { objects, variables }
        }
        Err(_) => SHARED.get_or_init(S3::start).await.place(),
    }
}

fn prefix() -> String {
    let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
    format!("test-{}/{number}", std::process::id())
}

/// A server of one's own, which can be killed. Its objects outlive that.
#[derive(Debug)]
pub struct S3 {
    keeper: Keeper,
    port: u16,
    buckets: PathBuf,
}

impl S3 {
    /// Starts one with a bucket and waits until it answers.
    ///
    /// # Panics
    /// It cannot be built, or is not ready within half a minute; its log is in the message.
    pub async fn start() -> Self {
        let program = program();
        for _ in 0..PORTS {
            let port = free_port();
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let buckets = folder.path().join("buckets");
            std::fs::create_dir_all(buckets.join(BUCKET)).expect("the folder can be written");
            let (port_text, root) = (port.to_string(), buckets.display().to_string());
            let arguments = ["--host", "127.0.0.1", "--port", &port_text];
            let arguments = [&arguments, &["--access-key", KEY, "--secret-key", SECRET, &root][..]].concat();
            let server = Self { keeper: Keeper::start(folder, program.as_str(), &arguments), port, buckets };
            if server.ready().await {
                return server;
            }
        }
        panic!("no port is free");
    }

    /// A place that nobody uses.
    #[must_use]
    pub fn place(&self) -> Place {
        let variables = [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ENDPOINT_URL", &format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Place { objects: format!("s3://{BUCKET}/{}", prefix()), variables: variables.into() }
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes a bucket.
    ///
    /// # Panics
    /// The folder cannot be changed.
    pub fn make_bucket(&self, name: &str) {
        std::fs::create_dir_all(self.buckets.join(name)).expect("the folder can be changed");
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        self.keeper.order("kill");
    }

    /// Starts it again where it was, on the same port, and waits until it answers.
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

    /// Waits until it answers; false if its port was taken.
    async fn ready(&self) -> bool {
        let taken = || self.keeper.log().contains("Address already in use");
        let answers = async {
            while !taken() && TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let in_time = tokio::time::timeout(READY, answers).await;
        assert!(in_time.is_ok(), "s3s-fs is not ready within {READY:?}:\n{}", self.keeper.log());
        !taken()
    }
}

/// The path of the server, built if need be.
fn program() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services.sh");
    let output = Command::new(script).arg("s3").output().expect("scripts/services.sh can be run");
    assert!(output.status.success(), "s3s-fs is not there: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
