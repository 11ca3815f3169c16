//! One job of the program, its pipes, and a bound on how long anything takes.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use millrace_core::transcode;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_millrace-transcoder");

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A job that runs.
pub(crate) struct Job<R> {
    child: Child,
    orders: Option<ChildStdin>,
    reports: Receiver<R>,
    reader: Option<JoinHandle<()>>,
}

impl<R: DeserializeOwned + Send + 'static> Job<R> {
    pub(crate) fn start(name: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        let mut child = command
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let (came, reports) = channel();
        let reader = thread::spawn(move || {
            let (mut reader, mut buffer) = (transcode::Reader::default(), vec![0; 1 << 16]);
            while let Ok(bytes @ 1..) = output.read(&mut buffer) {
                reader.push(&buffer[..bytes]);
                while let Some(report) = reader.message().unwrap() {
                    let _ = came.send(report);
                }
            }
        });
        let orders = child.stdin.take();
        Self { child, orders, reports, reader: Some(reader) }
    }

    pub(crate) fn order<O: Serialize>(&mut self, order: &O) {
        let mut bytes = Vec::new();
        transcode::write(order, &mut bytes).unwrap();
        self.orders.as_mut().unwrap().write_all(&bytes).unwrap();
    }

    pub(crate) fn report(&mut self) -> R {
        self.reports.recv_timeout(PATIENCE).expect("a report")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the orders: the reports that are left, and what was complained about.
    pub(crate) fn end(mut self) -> (Vec<R>, String) {
        drop(self.orders.take());
        let mut left = Vec::new();
        while let Ok(report) = self.reports.recv_timeout(PATIENCE) {
            left.push(report);
        }
        self.reader.take().unwrap().join().unwrap();
        let mut complaint = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {complaint}");
        (left, complaint)
    }
}

impl<R> Drop for Job<R> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A job that is fed with `bytes` and nothing after them: its exit code and what it complained about.
pub(crate) fn fed_with(name: &str, bytes: &[u8]) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    let mut child =
        command.arg(name).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(bytes);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
