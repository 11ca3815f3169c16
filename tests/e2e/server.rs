//! The real binary as a child process.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_test_services::free_port;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::topology::{self, Shared};
use crate::wait::until;

/// Log lines kept to be shown when a test fails.
const KEPT_LINES: usize = 4000;
/// Start to ready on a busy machine; the budget (300 ms) is measured by `make bench`.
const START: Duration = Duration::from_secs(60);
/// Signal to exit, with nothing that has to be waited for.
const STOP: Duration = Duration::from_secs(40);

/// A process of the binary. Killed when dropped; its log is printed if the test is failing.
pub(crate) struct Process {
    child: Child,
    log: Lines,
    printed: Lines,
    pub(crate) http: SocketAddr,
    metrics: SocketAddr,
    rtmp: Option<SocketAddr>,
    https: Option<SocketAddr>,
    rtmps: Option<SocketAddr>,
    irc: Option<SocketAddr>,
    ircs: Option<SocketAddr>,
}

type Lines = Arc<Mutex<VecDeque<String>>>;

/// A running server: one process, or several with `MILLRACE_TEST_TOPOLOGY=split`.
pub(crate) struct Server {
    /// The one that answers people first.
    processes: Vec<Process>,
    data: Arc<TempDir>,
    pub(crate) http: SocketAddr,
    pub(crate) rtmp: SocketAddr,
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
        // Tests that start it again on the same ports find them free.
        .env("MILLRACE_HTTP_ADDR", free_address())
        .env("MILLRACE_RTMP_ADDR", free_address())
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

impl Process {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = Lines::default();
        let stderr = child.stderr.take().unwrap();
        tokio::spawn(keep_log(BufReader::new(stderr), Arc::clone(&log)));
        let printed = Lines::default();
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
            metrics: address("metrics.addr").unwrap(),
            rtmp: address("rtmp.addr"),
            https: address("https.addr"),
            rtmps: address("rtmps.addr"),
            irc: address("irc.addr"),
            ircs: address("ircs.addr"),
            child,
            log,
            printed,
        }
    }

    /// Address of a path on the public listener.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Where to publish, at a process that takes publishers.
    pub(crate) fn publish_url(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.rtmp.unwrap())
    }

    /// Where publishers come in, at a process that takes them.
    pub(crate) fn rtmp(&self) -> SocketAddr {
        self.rtmp.unwrap()
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

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        text(&self.log)
    }

    /// The first line for people, on standard output, that contains the text.
    pub(crate) fn printed(&self, needle: &str) -> Option<String> {
        first(&self.printed, needle)
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = std::process::Command::new("kill").args([format!("-{name}"), id]).status().unwrap();
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
    fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Open descriptors: sockets, mostly.
    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Fails if the process wrote of a panic or an error.
    pub(crate) fn assert_calm(&self) {
        let log = self.log();
        let bad: Vec<_> =
            log.lines().filter(|l| l.contains("panicked at") || l.contains("\"level\":\"ERROR\"")).collect();
        assert!(bad.is_empty(), "the server is not calm:\n{}", bad.join("\n"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ended = match self.child.try_wait() {
                Ok(Some(status)) => format!(", which ended ({status})"),
                _ => String::new(),
            };
            eprintln!("--- log of the server at {}{ended}\n{}", self.http, self.log());
        }
    }
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), settings).await
    }

    /// The numbers of its processes.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }

    /// Starts a server on an existing data folder.
    pub(crate) async fn start_in(data: Arc<TempDir>, settings: &[(&str, &str)]) -> Self {
        let processes = if topology::is_split() {
            let shared = Shared::of(data.path()).await;
            let mut with = shared.settings();
            with.extend(settings.iter().copied());
            let start = |roles: &'static str| Process::start(with_roles(data.path(), &with, roles));
            let (api, ingest, worker) = tokio::join!(start("api,chat"), start("ingest"), start("worker"));
            vec![api, ingest, worker]
        } else {
            vec![Process::start(command(data.path(), settings)).await]
        };
        Self::of(processes, data)
    }

    /// Starts one process with all roles on an existing data folder, whatever the others of the suite are.
    pub(crate) async fn alone_in(data: Arc<TempDir>, settings: &[(&str, &str)]) -> Self {
        let process = Process::start(command(data.path(), settings)).await;
        Self::of(vec![process], data)
    }

    fn of(processes: Vec<Process>, data: Arc<TempDir>) -> Self {
        let ingest = processes.iter().find(|process| process.rtmp.is_some()).unwrap();
        Self {
            http: processes[0].http,
            https: processes[0].https,
            rtmp: ingest.rtmp.unwrap(),
            rtmps: ingest.rtmps,
            processes,
            data,
        }
    }

    /// Kills the processes as `kill -9` does and starts them again on the same ports and data.
    pub(crate) async fn restart_after_kill(mut self, settings: &[(&str, &str)]) -> Self {
        for process in &mut self.processes {
            process.kill().await;
        }
        let (http, rtmp) = (self.http.to_string(), self.rtmp.to_string());
        let mut settings = settings.to_vec();
        settings.extend([("MILLRACE_HTTP_ADDR", http.as_str()), ("MILLRACE_RTMP_ADDR", rtmp.as_str())]);
        Self::start_in(Arc::clone(&self.data), &settings).await
    }

    /// Where it speaks IRC, and that over TLS, if the settings say so.
    pub(crate) fn irc(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let at = |which: fn(&Process) -> Option<SocketAddr>| self.processes.iter().find_map(which);
        (at(|process| process.irc), at(|process| process.ircs))
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

    /// A metric's value by the beginning of its line, summed over the lines that match and over processes.
    pub(crate) async fn metric(&self, line: &str) -> Option<f64> {
        let mut sum = None;
        for process in &self.processes {
            if let Some(value) = process.metric(line).await {
                sum = Some(sum.unwrap_or(0.0) + value);
            }
        }
        sum
    }

    /// The first log line whose message or any field contains the text.
    pub(crate) fn logged(&self, needle: &str) -> Option<String> {
        self.processes.iter().find_map(|process| first(&process.log, needle))
    }

    /// The first line for people, on standard output, that contains the text.
    pub(crate) fn printed(&self, needle: &str) -> Option<String> {
        self.processes.iter().find_map(|process| process.printed(needle))
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.processes.iter().map(Process::log).collect::<Vec<_>>().join("\n")
    }

    /// Sends a signal to every process.
    pub(crate) fn signal(&self, name: &str) {
        for process in &self.processes {
            process.signal(name);
        }
    }

    /// Waits for every process to end; the status of the last that did not succeed, if any.
    pub(crate) async fn exited(&mut self, within: Duration) -> ExitStatus {
        let mut status = ExitStatus::default();
        for process in &mut self.processes {
            let ended = process.exited(within).await;
            if !ended.success() {
                status = ended;
            }
        }
        status
    }

    /// Stops it as an operator does, and waits until it is gone: its ports are free then.
    pub(crate) async fn stop(mut self) {
        self.signal("TERM");
        let status = self.exited(STOP).await;
        assert!(status.success(), "{status:?}\n{}", self.log());
    }

    /// Where the process with publishers tells its metrics.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.processes.iter().find(|process| process.rtmp.is_some()).unwrap().metrics
    }

    /// Resident memory of all processes, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.processes.iter().map(Process::resident_bytes).sum()
    }

    /// Open descriptors of all processes: sockets, mostly.
    pub(crate) fn descriptors(&self) -> usize {
        self.processes.iter().map(Process::descriptors).sum()
    }

    /// Fails if the server wrote of a panic or an error.
    pub(crate) fn assert_calm(&self) {
        self.processes.iter().for_each(Process::assert_calm);
    }
}

/// The binary with some of the roles. Addresses of pages in the settings are those of the process with the API.
pub(crate) fn with_roles(data: &Path, settings: &[(&str, &str)], roles: &str) -> Command {
    let mut command = command(data, settings);
    command.args(["--roles", roles]);
    if !roles.contains("api") {
        command.env("MILLRACE_HTTP_ADDR", free_address()).env_remove("MILLRACE_HTTPS_ADDR");
    }
    command
}

fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
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

fn first(lines: &Mutex<VecDeque<String>>, needle: &str) -> Option<String> {
    lines.lock().unwrap().iter().find(|line| line.contains(needle)).cloned()
}

fn text(log: &Mutex<VecDeque<String>>) -> String {
    log.lock().unwrap().iter().cloned().collect::<Vec<_>>().join("\n")
}
