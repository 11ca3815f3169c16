//! Shell: the floor of delivery: one thread that writes answers of a given length to sockets in turn, and nothing else.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::http::Http;
use crate::proc::cpu_seconds;

/// Viewers settle for this long before anything counts.
const SETTLE: Duration = Duration::from_secs(2);

/// What is written, how often, to how many.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) viewers: usize,
    pub(crate) bytes: usize,
    pub(crate) every: Duration,
    /// Whether viewers ask one after the other over the whole interval, or all at once.
    pub(crate) spread: bool,
    pub(crate) seconds: u64,
}

/// Runs the floor in a thread of its own under viewers that ask on time.
pub(crate) async fn run(plan: Plan) -> anyhow::Result<Value> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let written = Arc::new(AtomicU64::new(0));
    let (sender, thread) = mpsc::channel();
    std::thread::spawn({
        let written = Arc::clone(&written);
        move || {
            let _ = sender.send(std::fs::read_link("/proc/thread-self"));
            // Ends when the viewers are gone.
            let _ = write_loop(&listener, plan, &written);
        }
    });
    let thread = thread.recv()??.display().to_string();
    let mut connections = Vec::new();
    for _ in 0..plan.viewers {
        connections.push(Http::connect(address).await?);
    }
    let mut viewers = JoinSet::new();
    let begin = tokio::time::Instant::now() + Duration::from_millis(100);
    for (index, mut connection) in connections.into_iter().enumerate() {
        viewers.spawn_local(async move {
            #[expect(clippy::cast_precision_loss, reason = "some thousands")]
            let place = if plan.spread { index as f64 / plan.viewers as f64 } else { 0.0 };
            let mut due = begin + plan.every.mul_f64(place);
            loop {
                sleep_until(due).await;
                if connection.get("/", false).await.is_err() {
                    return;
                }
                due += plan.every;
            }
        });
    }
    sleep(SETTLE).await;
    let (cpu, before, since) = (cpu_seconds(&thread)?, written.load(Relaxed), Instant::now());
    sleep(Duration::from_secs(plan.seconds)).await;
    let bytes = written.load(Relaxed) - before;
    Ok(json!({
        "seconds": since.elapsed().as_secs_f64(),
        "server_cpu_seconds": cpu_seconds(&thread)? - cpu,
        "media": { "bytes": bytes, "answers": bytes / plan.bytes as u64 },
    }))
}

fn write_loop(listener: &TcpListener, plan: Plan, written: &AtomicU64) -> std::io::Result<()> {
    let mut viewers = Vec::new();
    for _ in 0..plan.viewers {
        let (viewer, _) = listener.accept()?;
        viewer.set_nodelay(true)?;
        viewers.push(viewer);
    }
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", plan.bytes).into_bytes();
    answer.resize(answer.len() + plan.bytes, b'x');
    let mut request = [0; 1024];
    loop {
        for viewer in &mut viewers {
            if viewer.read(&mut request)? == 0 {
                return Ok(());
            }
            viewer.write_all(&answer)?;
            written.fetch_add(plan.bytes as u64, Relaxed);
        }
    }
}
