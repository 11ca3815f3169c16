//! One process of the transcoder: orders into its standard input, reports from its standard output.
//!
//! ```text
//! try_send ─ bounded queue ─> stdin ─ millrace-transcoder JOB ─ stdout ─ bounded queue ─> next
//!                                              └─ stderr ─> log
//! ```
//!
//! Nobody waits for a process that does not read: [`Child::try_send`] says when the queue is full, and the caller decides
//! what that means. A process that does not report is not noticed here: deadlines are the caller's, and so is starting the
//! next one ([`super::back_off`]).
#![expect(
    clippy::disallowed_methods,
    reason = "shell: starts a process and its tasks, waits, reads the clock"
)]

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_core::transcode::{
    LadderOrder, LadderReport, Reader, SoundOrder, SoundReport, StillOrder, StillReport, WireError, write,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use super::complaints::Complaints;
use super::config::TranscodeConfig;

/// The program's name.
const PROGRAM: &str = "millrace-transcoder";
/// Bytes that are read at once: what a pipe holds.
const READ_BYTES: usize = 64 << 10;
/// Orders are put together up to so many bytes for one write.
const WRITE_BYTES: usize = 64 << 10;
/// How long a process may take to end once its pipes are closed.
const EXIT_GRACE: Duration = Duration::from_secs(1);
/// Variables that the process sees: what finds libraries and devices. The server's secrets are none of its business.
const ENVIRONMENT: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "RUST_BACKTRACE"];
/// Beginnings of more such names: graphics cards.
const ENVIRONMENT_OF_DEVICES: [&str; 6] = ["LIBVA_", "CUDA_", "NVIDIA_", "ONEVPL_", "MFX_", "DRI_"];

/// A job of the transcoder (`core/src/transcode.rs`).
pub trait Job: 'static {
    /// Its name: the program's only argument.
    const NAME: &'static str;
    /// What it is told.
    type Order: Serialize + Send + 'static;
    /// What it answers.
    type Report: DeserializeOwned + Send + 'static;
}

/// The rungs of one broadcast.
#[derive(Debug)]
pub enum Ladder {}

impl Job for Ladder {
    const NAME: &'static str = "ladder";
    type Order = LadderOrder;
    type Report = LadderReport;
}

/// Still pictures of all broadcasts.
#[derive(Debug)]
pub enum Stills {}

impl Job for Stills {
    const NAME: &'static str = "stills";
    type Order = StillOrder;
    type Report = StillReport;
}

/// The sound of one broadcast.
#[derive(Debug)]
pub enum Sound {}

impl Job for Sound {
    const NAME: &'static str = "sound";
    type Order = SoundOrder;
    type Report = SoundReport;
}

/// There is no transcoder.
#[derive(Debug, thiserror::Error)]
#[error("there is no {path}")]
pub struct ProgramMissing {
    path: String,
}

/// The transcoder as it lies on the disk.
#[derive(Debug, Clone)]
pub struct Program(Arc<Path>);

impl Program {
    /// The program that the settings name, or the one beside our own executable.
    ///
    /// # Errors
    /// [`ProgramMissing`]: no file is there.
    pub fn find(config: &TranscodeConfig) -> Result<Self, ProgramMissing> {
        let path = match &config.program {
            Some(path) => path.clone(),
            None => std::env::current_exe()
                .map_or_else(|_| PathBuf::from(PROGRAM), |own| own.with_file_name(PROGRAM)),
        };
        if path.is_file() {
            Ok(Self(path.into()))
        } else {
            Err(ProgramMissing { path: path.display().to_string() })
        }
    }

    /// Starts a process for a job; `what` names it in the log. At most `orders` wait for it to read them, and at most
    /// `reports` for [`Child::next`]; beyond that it waits itself.
    ///
    /// # Errors
    /// The system cannot start it.
    pub fn start<J: Job>(&self, what: &str, orders: usize, reports: usize) -> io::Result<Child<J>> {
        let mut process = Command::new(&*self.0)
            .arg(J::NAME)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| is_passed_on(name)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Of its own: Ctrl-C ends the server, which ends its children when it is done with them.
            .process_group(0)
            .spawn()?;
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("a process without pipes"));
        };
        let pid = process.id();
        let (order_sender, order_queue) = mpsc::channel(orders);
        let (report_sender, report_queue) = mpsc::channel(reports);
        let (end_sender, end) = oneshot::channel();
        let killed = CancellationToken::new();
        tokio::spawn(log_complaints(stderr, what.to_owned()));
        let run = Run { stdin, stdout, orders: order_queue, reports: report_sender, killed: killed.clone() };
        tokio::spawn(async move {
            let piped = run.until_a_pipe_ends::<J>().await;
            let status = match piped {
                Err(ref end @ (ChildEnd::Killed | ChildEnd::Unreadable(_) | ChildEnd::Unsendable(_))) => {
                    tracing::debug!(err = %end, "killing a process of the transcoder");
                    None
                }
                _ => tokio::time::timeout(EXIT_GRACE, process.wait()).await.ok(),
            };
            let end = match (piped, status) {
                (_, Some(Ok(status))) => ChildEnd::Exited(status),
                (Err(end), _) => end,
                (Ok(()), _) => ChildEnd::Silent,
            };
            // Reaps it, too.
            let _ = process.kill().await;
            let _ = end_sender.send(end);
        });
        Ok(Child {
            pid,
            orders: Some(order_sender),
            reports: report_queue,
            end: Some(end),
            killed: killed.clone(),
            _killed_when_dropped: killed.drop_guard(),
        })
    }
}

fn is_passed_on(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    ENVIRONMENT.contains(&name) || ENVIRONMENT_OF_DEVICES.iter().any(|start| name.starts_with(start))
}

/// Why a process is no more.
#[derive(Debug, thiserror::Error)]
pub enum ChildEnd {
    /// It ended, by itself or by somebody's signal.
    #[error("it ended ({0})")]
    Exited(ExitStatus),
    /// [`Child::kill`].
    #[error("it was killed by the server")]
    Killed,
    /// It closed its standard output and stayed.
    #[error("it closed its output")]
    Silent,
    /// It does not read, or what it says cannot be read.
    #[error("the pipe to it broke")]
    Pipe(#[source] io::Error),
    /// What it says is no report.
    #[error("it does not speak our language: is it of another version?")]
    Unreadable(#[source] WireError),
    /// An order that cannot be sent.
    #[error("an order cannot be sent")]
    Unsendable(#[source] WireError),
    /// The end was told before.
    #[error("it ended before")]
    Told,
}

impl ChildEnd {
    /// Whether it ended by itself and well: its standard input was closed and all is done.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }

    /// The signal that ended it, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self {
            Self::Exited(status) => status.signal(),
            _ => None,
        }
    }
}

/// Why an order was not taken; it comes back.
#[derive(Debug)]
pub enum NotSent<O> {
    /// As many wait as may: the process is slower than it should be.
    Full(O),
    /// The process has ended, or its input was closed.
    Ended(O),
}

/// A process of the transcoder. Dropping it kills the process.
#[derive(Debug)]
pub struct Child<J: Job> {
    pid: Option<u32>,
    orders: Option<mpsc::Sender<J::Order>>,
    reports: mpsc::Receiver<J::Report>,
    end: Option<oneshot::Receiver<ChildEnd>>,
    killed: CancellationToken,
    _killed_when_dropped: DropGuard,
}

impl<J: Job> Child<J> {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Puts an order into the queue.
    ///
    /// # Errors
    /// [`NotSent`], with the order.
    pub fn try_send(&self, order: J::Order) -> Result<(), NotSent<J::Order>> {
        let Some(orders) = &self.orders else { return Err(NotSent::Ended(order)) };
        orders.try_send(order).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(order) => NotSent::Full(order),
            mpsc::error::TrySendError::Closed(order) => NotSent::Ended(order),
        })
    }

    /// The next report. Cancel safe.
    ///
    /// # Errors
    /// [`ChildEnd`], once every report has been handed out.
    pub async fn next(&mut self) -> Result<J::Report, ChildEnd> {
        if let Some(report) = self.reports.recv().await {
            return Ok(report);
        }
        let Some(end) = &mut self.end else { return Err(ChildEnd::Told) };
        let end = end.await.unwrap_or(ChildEnd::Killed);
        self.end = None;
        Err(end)
    }

    /// Closes its standard input: it finishes what it has, reports it, and ends.
    pub fn close(&mut self) {
        self.orders = None;
    }

    /// Kills it (`SIGKILL`): for one that hangs. Reports that wait are still handed out, then [`Self::next`] tells the end.
    pub fn kill(&self) {
        self.killed.cancel();
    }
}

/// The pipes of a process.
struct Run<O, R> {
    stdin: ChildStdin,
    stdout: ChildStdout,
    orders: mpsc::Receiver<O>,
    reports: mpsc::Sender<R>,
    killed: CancellationToken,
}

impl<O, R> Run<O, R> {
    /// Carries orders and reports until the process closes its output. The queues are closed when it comes back.
    async fn until_a_pipe_ends<J: Job<Order = O, Report = R>>(self) -> Result<(), ChildEnd> {
        let Self { stdin, stdout, orders, reports, killed } = self;
        let mut reading = pin!(read_reports::<J>(stdout, reports));
        tokio::select! {
            biased;
            () = killed.cancelled() => Err(ChildEnd::Killed),
            read = &mut reading => read,
            end = write_orders::<J>(stdin, orders) => {
                // It does not read any more: what it still says is its last.
                match tokio::time::timeout(EXIT_GRACE, reading).await {
                    Ok(Ok(())) => Ok(()),
                    _ => Err(end),
                }
            }
        }
    }
}

/// Comes back only when it fails. Closes the input when there are no more orders.
async fn write_orders<J: Job>(mut stdin: ChildStdin, mut orders: mpsc::Receiver<J::Order>) -> ChildEnd {
    let mut buffer = Vec::new();
    while let Some(order) = orders.recv().await {
        let mut next = Some(order);
        while let Some(order) = next {
            if let Err(err) = write(&order, &mut buffer) {
                return ChildEnd::Unsendable(err);
            }
            next = if buffer.len() < WRITE_BYTES { orders.try_recv().ok() } else { None };
        }
        if let Err(err) = stdin.write_all(&buffer).await {
            return ChildEnd::Pipe(err);
        }
        buffer.clear();
        // One large picture does not cost its size for good.
        buffer.shrink_to(WRITE_BYTES * 4);
    }
    drop(stdin);
    std::future::pending().await
}

async fn read_reports<J: Job>(
    mut stdout: ChildStdout,
    reports: mpsc::Sender<J::Report>,
) -> Result<(), ChildEnd> {
    let mut bytes = vec![0; READ_BYTES];
    let mut reader = Reader::default();
    loop {
        let read = stdout.read(&mut bytes).await.map_err(ChildEnd::Pipe)?;
        if read == 0 {
            return Ok(());
        }
        reader.push(&bytes[..read]);
        while let Some(report) = reader.message::<J::Report>().map_err(ChildEnd::Unreadable)? {
            if reports.send(report).await.is_err() {
                // Nobody listens: the child was dropped.
                return Err(ChildEnd::Killed);
            }
        }
    }
}

async fn log_complaints(mut stderr: ChildStderr, what: String) {
    let mut bytes = vec![0; 4096];
    let mut complaints = Complaints::default();
    loop {
        let read = stderr.read(&mut bytes).await.unwrap_or(0);
        if read == 0 {
            break;
        }
        for line in complaints.push(Instant::now(), &bytes[..read]) {
            warn!("the transcoder, {what}: {line}");
        }
    }
    for line in complaints.end(Instant::now()) {
        warn!("the transcoder, {what}: {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that another program does: what `env -S` makes of the name.
    macro_rules! job {
        ($name:ident, $program:literal) => {
            #[derive(Debug)]
            enum $name {}

            impl Job for $name {
                const NAME: &'static str = concat!("-S", $program);
                type Order = String;
                type Report = String;
            }
        };
    }

    job!(Echo, "cat");
    job!(Deaf, "sleep 1000");
    job!(Refusing, "sh -c 'exit 7'");
    job!(Crashing, "sh -c 'kill -SEGV $$'");
    job!(Chatty, "echo hello");
    job!(Mute, "sh -c 'exec >&- <&-; exec sleep 1000'");
    job!(Curious, "sh -c 'test -z \"$HOME$CARGO_MANIFEST_DIR\" && test -n \"$PATH\"'");

    fn start<J: Job>() -> Child<J> {
        let config = TranscodeConfig { program: Some("/usr/bin/env".into()), ..TranscodeConfig::default() };
        Program::find(&config).unwrap().start("a test", 4, 4).unwrap()
    }

    #[tokio::test]
    async fn orders_go_in_and_reports_come_out_until_the_input_is_closed() {
        let mut child = start::<Echo>();
        let long = "x".repeat(3 << 20);
        for order in ["one", "two", &long] {
            child.try_send(order.to_owned()).unwrap();
        }
        for order in ["one", "two", &long] {
            assert_eq!(child.next().await.unwrap(), order);
        }
        child.try_send("last".into()).unwrap();
        child.close();
        assert!(matches!(child.try_send("more".into()), Err(NotSent::Ended(more)) if more == "more"));
        assert_eq!(child.next().await.unwrap(), "last");
        let end = child.next().await.unwrap_err();
        assert!(end.is_good(), "{end}");
        assert!(matches!(child.next().await, Err(ChildEnd::Told)));
    }

    #[tokio::test]
    async fn one_that_does_not_read_fills_its_queue_and_no_more() {
        let child = start::<Deaf>();
        let order = "x".repeat(1 << 20);
        let mut taken = 0;
        while child.try_send(order.clone()).is_ok() {
            taken += 1;
            tokio::task::yield_now().await;
            assert!(taken < 100);
        }
        assert!(matches!(child.try_send(order), Err(NotSent::Full(_))));
    }

    #[tokio::test]
    async fn one_that_is_killed_or_dropped_is_gone() {
        let mut child = start::<Deaf>();
        child.kill();
        assert!(matches!(child.next().await, Err(ChildEnd::Killed)));
        let dropped = start::<Deaf>();
        let place = PathBuf::from(format!("/proc/{}", dropped.pid().unwrap()));
        assert!(place.exists());
        drop(dropped);
        let gone = async {
            while place.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    }

    #[tokio::test]
    async fn the_end_says_why() {
        let end = start::<Refusing>().next().await.unwrap_err();
        assert!(matches!(end, ChildEnd::Exited(status) if status.code() == Some(7)), "{end}");
        let end = start::<Crashing>().next().await.unwrap_err();
        assert_eq!(end.signal(), Some(11), "{end}");
        let end = start::<Chatty>().next().await.unwrap_err();
        assert!(matches!(end, ChildEnd::Unreadable(_)), "{end}");
        let end = start::<Mute>().next().await.unwrap_err();
        assert!(matches!(end, ChildEnd::Silent), "{end}");
    }

    #[tokio::test]
    async fn the_servers_environment_is_not_handed_on() {
        let end = start::<Curious>().next().await.unwrap_err();
        assert!(end.is_good(), "{end}");
        let passed = |name: &str| is_passed_on(OsStr::new(name));
        assert!(passed("PATH") && passed("LIBVA_DRIVER_NAME"));
        assert!(!passed("MILLRACE_STORE") && !passed("AWS_SECRET_ACCESS_KEY") && !passed("HOME"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let config = TranscodeConfig { program: Some("/nowhere/x".into()), ..TranscodeConfig::default() };
        assert_eq!(Program::find(&config).unwrap_err().to_string(), "there is no /nowhere/x");
    }
}
