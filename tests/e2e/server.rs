//! The real binary as a child process.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::wait::until;

/// Log lines kept to be shown when a test fails.
const KEPT_LINES: usize = 4000;
/// Start to ready on a busy machine; the budget (300 ms) is measured by `make bench`.
const START: Duration = Duration::from_secs(15);

/// A running server. Killed when dropped; its log is printed if the test is failing.
pub(crate) struct Server {
    child: Child,
    log: Arc<Mutex<VecDeque<String>>>,
    printed: Arc<Mutex<VecDeque<String>>>,
    data: Arc<TempDir>,
    pub(crate) http: SocketAddr,
    pub(crate) rtmp: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) rtmps: Option<SocketAddr>,
}

/// The binary with what every test wants: its own data folder, free ports, logs for machines, open publishing.
pub(crate) fn command(data: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command
        .arg("serve")
        .current_dir(data)
        .env_clear()
        .env("MILLRACE_DATA_DIR", data)
        .env("MILLRACE_HTTP_ADDR", "127.0.0.1:0")
        .env("MILLRACE_RTMP_ADDR", "127.0.0.1:0")
        .env("MILLRACE_METRICS_ADDR", "127.0.0.1:0")
        .env("MILLRACE_PUBLISH_AUTH", "open")
        .env("MILLRACE_LOG_FORMAT", "json")
        .env("RUST_BACKTRACE", "1")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), settings).await
    }

    /// Starts a server on an existing data folder.
    pub(crate) async fn start_in(data: Arc<TempDir>, settings: &[(&str, &str)]) -> Self {
        let mut child = command(data.path(), settings).spawn().unwrap();
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let stderr = child.stderr.take().unwrap();
        tokio::spawn(keep_log(BufReader::new(stderr), Arc::clone(&log)));
        let printed = Arc::new(Mutex::new(VecDeque::new()));
        let stdout = child.stdout.take().unwrap();
        tokio::spawn(keep_log(BufReader::new(stdout), Arc::clone(&printed)));
        let ready = {
            let log = Arc::clone(&log);
            let child = &mut child;
            until("the server is ready", START, || {
                let exited = child.try_wait().unwrap();
                let ready = find(&log, "ready");
                let log = Arc::clone(&log);
                async move {
                    assert!(exited.is_none(), "the server exited: {exited:?}\n{}", text(&log));
                    ready
                }
            })
            .await
        };
        let address = |name: &str| ready["fields"][name].as_str().map(|a| a.parse().unwrap());
        Self {
            http: address("http.addr").unwrap(),
            rtmp: address("rtmp.addr").unwrap(),
            metrics: address("metrics.addr").unwrap(),
            https: address("https.addr"),
            rtmps: address("rtmps.addr"),
            child,
            log,
            printed,
            data,
        }
    }

    /// Kills the process as `kill -9` does and starts it again on the same ports and data.
    pub(crate) async fn restart_after_kill(mut self, settings: &[(&str, &str)]) -> Self {
        self.child.kill().await.unwrap();
        let (http, rtmp) = (self.http.to_string(), self.rtmp.to_string());
        let mut settings = settings.to_vec();
        settings.extend([("MILLRACE_HTTP_ADDR", http.as_str()), ("MILLRACE_RTMP_ADDR", rtmp.as_str())]);
        Self::start_in(Arc::clone(&self.data), &settings).await
    }

    /// Address of a path on the public listener.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// The multivariant playlist of a channel.
    pub(crate) fn playlist(&self, channel: &str) -> String {
        self.url(&format!("/live/{channel}/index.m3u8"))
    }

    /// Where to publish.
    pub(crate) fn publish_url(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.rtmp)
    }

    /// A metric's value by the beginning of its line, summed over the lines that match.
    pub(crate) async fn metric(&self, line: &str) -> Option<f64> {
        let text =
            crate::http::get(format!("http://{}/metrics", self.metrics)).await.ok()?.text().await.ok()?;
        let values: Vec<f64> = text
            .lines()
            .filter(|l| l.starts_with(line))
            .filter_map(|l| l.rsplit(' ').next().and_then(|v| v.parse().ok()))
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// The first log line whose message or any field contains the text.
    pub(crate) fn logged(&self, needle: &str) -> Option<String> {
        self.log.lock().unwrap().iter().find(|l| l.contains(needle)).cloned()
    }

    /// The first line for people, on standard output, that contains the text.
    pub(crate) fn printed(&self, needle: &str) -> Option<String> {
        self.printed.lock().unwrap().iter().find(|l| l.contains(needle)).cloned()
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        text(&self.log)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().unwrap();
        let sent =
            std::process::Command::new("kill").args([format!("-{name}"), id.to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end.
    pub(crate) async fn exited(&mut self, within: Duration) -> ExitStatus {
        let waited = tokio::time::timeout(within, self.child.wait()).await;
        waited
            .unwrap_or_else(|_| panic!("the server did not exit within {within:?}\n{}", self.log()))
            .unwrap()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let id = self.child.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Open descriptors: sockets, mostly.
    pub(crate) fn descriptors(&self) -> usize {
        let id = self.child.id().unwrap();
        std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
    }

    /// Fails if the server wrote of a panic or an error.
    pub(crate) fn assert_calm(&self) {
        let log = self.log();
        let bad: Vec<_> =
            log.lines().filter(|l| l.contains("panicked at") || l.contains("\"level\":\"ERROR\"")).collect();
        assert!(bad.is_empty(), "the server is not calm:\n{}", bad.join("\n"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the server at {}\n{}", self.http, self.log());
        }
    }
}

/// A folder for what a test keeps while it runs.
pub(crate) fn scratch(prefix: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}

async fn keep_log(mut lines: impl AsyncBufRead + Unpin, log: Arc<Mutex<VecDeque<String>>>) {
    let mut line = String::new();
    while let Ok(1..) = lines.read_line(&mut line).await {
        let mut log = log.lock().unwrap();
        if log.len() == KEPT_LINES {
            log.pop_front();
        }
        log.push_back(std::mem::take(&mut line).trim_end().to_owned());
    }
}

fn find(log: &Mutex<VecDeque<String>>, message: &str) -> Option<Value> {
    let log = log.lock().unwrap();
    log.iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["fields"]["message"] == message)
}

fn text(log: &Mutex<VecDeque<String>>) -> String {
    log.lock().unwrap().iter().cloned().collect::<Vec<_>>().join("\n")
}
