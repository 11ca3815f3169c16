//! Pebble, the ACME server of Let's Encrypt for tests, with a DNS server that knows every name.
#![expect(clippy::disallowed_methods, reason = "shell: waits for a server")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::free_port;
use crate::keeper::Keeper;

/// How long a server may take until it is ready.
const READY: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often other ports are tried when somebody else was faster.
const PORTS: u32 = 5;

/// An ACME server that finds every name at 127.0.0.1. Its accounts and its root are new at each start.
#[derive(Debug)]
pub struct Pebble {
    keeper: Keeper,
    dns: Keeper,
    directory: u16,
    management: u16,
    names: u16,
    ca: PathBuf,
    folder: tempfile::TempDir,
}

impl Pebble {
    /// Starts one that looks for answers at these ports, and whose certificates live for so many seconds.
    ///
    /// # Panics
    /// It cannot be built, or is not ready within half a minute; its log is in the message.
    pub async fn start(http_port: u16, https_port: u16, life_s: u64) -> Self {
        Self::start_for(http_port, https_port, life_s, None).await
    }

    /// The same; it takes nobody who does not name this account and sign with its key (in base64url).
    ///
    /// # Panics
    /// As above.
    pub async fn start_for(
        http_port: u16,
        https_port: u16,
        life_s: u64,
        account: Option<(&str, &str)>,
    ) -> Self {
        let accounts = account.map(|(id, key)| {
            format!(
                r#""externalAccountBindingRequired": true, "externalAccountMACKeys": {{{id:?}: {key:?}}},"#
            )
        });
        let accounts = accounts.unwrap_or_default();
        let programs = programs();
        for _ in 0..PORTS {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let path = folder.path();
            let made =
                rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
            let (ca, key) = (path.join("ca.pem"), path.join("key.pem"));
            std::fs::write(&ca, made.cert.pem()).expect("the folder can be written");
            std::fs::write(&key, made.signing_key.serialize_pem()).expect("the folder can be written");
            let (directory, management, dns, names) = (free_port(), free_port(), free_port(), free_port());
            let settings = format!(
                r#"{{"pebble": {{"listenAddress": "127.0.0.1:{directory}",
                "managementListenAddress": "127.0.0.1:{management}", "certificate": {ca:?}, "privateKey": {key:?},
                "httpPort": {http_port}, "tlsPort": {https_port}, "keyAlgorithm": "ecdsa",
                {accounts} "retryAfter": {{"authz": 1, "order": 1}},
                "profiles": {{"default": {{"description": "short", "validityPeriod": {life_s}}}}}}}}}"#
            );
            let config = path.join("config.json");
            std::fs::write(&config, settings).expect("the folder can be written");
            let (config, resolver) = (config.display().to_string(), format!("127.0.0.1:{dns}"));
            let program = |name: &str| programs.join(name).display().to_string();
            let (pebble, names_server) = (program("pebble"), program("pebble-challtestsrv"));
            let management_of_names = format!("127.0.0.1:{names}");
            let dns_keeper = Keeper::start(
                tempfile::tempdir().expect("a temporary folder can be made"),
                names_server.as_str(),
                &[
                    "-dnsserver",
                    &resolver,
                    "-management",
                    &management_of_names,
                    "-defaultIPv6",
                    "",
                    "-http01",
                    "",
                    "-https01",
                    "",
                    "-tlsalpn01",
                    "",
                    "-doh",
                    "",
                ],
            );
            // No naps, and every order is proved anew.
            let keeper = Keeper::start(
                tempfile::tempdir().expect("a temporary folder can be made"),
                "env",
                &[
                    "PEBBLE_VA_NOSLEEP=1",
                    "PEBBLE_AUTHZREUSE=0",
                    &pebble,
                    "-config",
                    &config,
                    "-dnsserver",
                    &resolver,
                ],
            );
            let started = Self { keeper, dns: dns_keeper, directory, management, names, ca, folder };
            if started.answers().await {
                return started;
            }
        }
        panic!("no port is free");
    }

    /// The URL of its directory.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.directory)
    }

    /// A file with the certificate of its own HTTPS.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// Where the root is that its certificates are trusted by.
    #[must_use]
    pub fn root_url(&self) -> String {
        format!("https://127.0.0.1:{}/roots/0", self.management)
    }

    /// Where `{"host": "name."}` is posted to, to `set-servfail` and `clear-servfail`: the name is not found any more.
    #[must_use]
    pub fn names_url(&self, order: &str) -> String {
        format!("http://127.0.0.1:{}/{order}", self.names)
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        self.keeper.order("kill");
    }

    /// Starts it again at the same ports, and waits until it serves.
    ///
    /// # Panics
    /// It is not ready within half a minute.
    pub async fn restart(&mut self) {
        self.keeper.order("start");
        assert!(self.answers().await, "its port was taken:\n{}", self.log());
    }

    /// What it said.
    #[must_use]
    pub fn log(&self) -> String {
        format!("{}\n{}", self.keeper.log(), self.dns.log())
    }

    /// Waits until all listen; false if a port was taken.
    async fn answers(&self) -> bool {
        let taken = || self.log().contains("address already in use");
        let ready = async {
            for port in [self.directory, self.management, self.names] {
                while !taken() && TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        };
        let in_time = tokio::time::timeout(READY, ready).await;
        assert!(
            in_time.is_ok(),
            "pebble in {:?} is not ready within {READY:?}:\n{}",
            self.folder,
            self.log()
        );
        !taken()
    }
}

/// The folder of the programs, built if need be.
fn programs() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/services.sh");
    let output = Command::new(script).arg("pebble").output().expect("scripts/services.sh can be run");
    assert!(output.status.success(), "pebble is not there: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
