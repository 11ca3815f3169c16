//! Shell: what delivery costs others: one thread that writes answers of a given length to sockets in turn and does nothing
//! else, or a server that has the same bytes as a file.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
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

/// A server beside which ours is measured.
pub(crate) struct Peer {
    pub(crate) http: SocketAddr,
    pub(crate) pid: u32,
    /// What viewers ask it for.
    pub(crate) path: String,
}

/// Runs the loop in a thread of its own under viewers that ask on time.
pub(crate) async fn run(plan: Plan) -> anyhow::Result<Value> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (sender, thread) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = sender.send(std::fs::read_link("/proc/thread-self"));
        // Ends when the viewers are gone.
        let _ = write_loop(&listener, plan);
    });
    let thread = thread.recv()??.display().to_string();
    measure(plan, address, "/", &thread).await
}

/// Lets the same viewers ask `peer`.
pub(crate) async fn run_peer(plan: Plan, peer: &Peer) -> anyhow::Result<Value> {
    measure(plan, peer.http, &peer.path, &peer.pid.to_string()).await
}

/// Asks on time, and reads what CPU time the process or thread took meanwhile.
async fn measure(plan: Plan, address: SocketAddr, path: &str, process: &str) -> anyhow::Result<Value> {
    let answers = Rc::new(Cell::new(0u64));
    let mut connections = Vec::new();
    for _ in 0..plan.viewers {
        connections.push(Http::connect(address).await?);
    }
    let mut viewers: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let begin = tokio::time::Instant::now() + Duration::from_millis(100);
    for (index, mut connection) in connections.into_iter().enumerate() {
        let (answers, path) = (Rc::clone(&answers), path.to_owned());
        viewers.spawn_local(async move {
            #[expect(clippy::cast_precision_loss, reason = "some thousands")]
            let place = if plan.spread { index as f64 / plan.viewers as f64 } else { 0.0 };
            let mut due = begin + plan.every.mul_f64(place);
            loop {
                sleep_until(due).await;
                let answer = connection.get(&path, false).await?;
                anyhow::ensure!(
                    (answer.status, answer.length) == (200, plan.bytes),
                    "another answer than wanted"
                );
                answers.set(answers.get() + 1);
                due += plan.every;
            }
        });
    }
    sleep(SETTLE).await;
    let (cpu, before, since) = (cpu_seconds(process)?, answers.get(), Instant::now());
    sleep(Duration::from_secs(plan.seconds)).await;
    let (cpu, answers, seconds) =
        (cpu_seconds(process)? - cpu, answers.get() - before, since.elapsed().as_secs_f64());
    if let Some(ended) = viewers.try_join_next() {
        ended??;
    }
    Ok(json!({
        "seconds": seconds,
        "server_cpu_seconds": cpu,
        "media": { "bytes": answers * plan.bytes as u64, "answers": answers },
    }))
}

fn write_loop(listener: &TcpListener, plan: Plan) -> std::io::Result<()> {
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
        }
    }
}
