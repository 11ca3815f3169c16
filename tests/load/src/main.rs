//! The load of `make bench`: publishers and viewers in one thread with one clock, cheap enough to share a small machine
//! with the server they measure. Prints one line of JSON; `tests/bench` starts it and compares.
#![expect(clippy::disallowed_methods, reason = "shell: sockets, tasks and clocks")]

mod chat;
mod first;
mod floor;
mod fragment;
mod http;
mod idle;
mod playlist;
mod proc;
mod publisher;
#[path = "../../e2e/rtmp_peer/mod.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "shared with the black-box tests, which use all of it")]
mod rtmp_peer;
mod summary;
mod tape;
mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use tape::Tape;

#[derive(Parser)]
#[command(about = "Publishers and viewers for the measurements")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Publish and watch: part latency and the server's CPU time.
    Watch {
        #[command(flatten)]
        server: Server,
        /// The server's HTTP address.
        #[arg(long)]
        http: SocketAddr,
        /// The server's process.
        #[arg(long)]
        pid: u32,
        #[arg(long)]
        mode: watch::Mode,
        #[arg(long, default_value_t = 1)]
        streams: usize,
        /// Viewers of all streams.
        #[arg(long, default_value_t = 1)]
        viewers: usize,
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// Write answers in a bare loop, the CPU time nobody gets below; or ask another server for them.
    Floor {
        /// Another server's HTTP address.
        #[arg(long, requires = "pid")]
        peer: Option<SocketAddr>,
        /// Its process.
        #[arg(long)]
        pid: Option<u32>,
        /// What it is asked for.
        #[arg(long, default_value = "/")]
        path: String,
        #[arg(long)]
        viewers: usize,
        /// Bytes of an answer.
        #[arg(long)]
        bytes: usize,
        /// Milliseconds between two answers to a viewer.
        #[arg(long)]
        every: u64,
        /// Viewers ask spread over that time instead of all at once.
        #[arg(long)]
        spread: bool,
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// Connect to playable, many times.
    First {
        #[command(flatten)]
        server: Server,
        /// The server's HTTP address.
        #[arg(long)]
        http: Option<SocketAddr>,
        /// The folder in which another server writes its playlists.
        #[arg(long, conflicts_with = "http")]
        folder: Option<PathBuf>,
        #[arg(long, default_value_t = 10)]
        rounds: usize,
    },
    /// Only publish.
    Publish {
        #[command(flatten)]
        server: Server,
        #[arg(long)]
        streams: usize,
    },
    /// Talk in chat rooms: deliveries per CPU-second, latency, memory per socket. Without a server: a bare broadcaster.
    Chat {
        /// The server's HTTP address.
        #[arg(long, requires = "pid", requires = "token")]
        http: Option<SocketAddr>,
        /// Its process.
        #[arg(long)]
        pid: Option<u32>,
        /// Of somebody who may speak in every room.
        #[arg(long)]
        token: Option<String>,
        /// Rooms `load_0`, `load_1`, …
        #[arg(long, default_value_t = 1)]
        rooms: usize,
        #[arg(long, default_value_t = 1000)]
        sockets: usize,
        /// Messages per second in each room.
        #[arg(long, default_value_t = 5.0)]
        rate: f64,
        /// Close all sockets at the end and open them again.
        #[arg(long)]
        storm: bool,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// The bare broadcaster; prints its address.
    #[command(hide = true)]
    ChatFloor,
    /// Open connections that never publish, and say what memory they cost.
    Idle {
        #[arg(long)]
        rtmp: SocketAddr,
        #[arg(long)]
        pid: u32,
        #[arg(long, default_value_t = 1000)]
        connections: usize,
    },
}

#[derive(clap::Args)]
struct Server {
    /// The server's RTMP address.
    #[arg(long)]
    rtmp: SocketAddr,
    /// The FLV file to publish over and over.
    #[arg(long)]
    file: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let command = Arguments::parse().command;
    // Each viewer is a socket.
    rlimit::increase_nofile_limit(u64::MAX)?;
    if matches!(command, Command::ChatFloor) {
        return tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(chat::floor::serve());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = tokio::task::LocalSet::new().block_on(&runtime, run(command))?;
    #[expect(clippy::print_stdout, reason = "this is what it is for")]
    {
        println!("{report}");
    }
    Ok(())
}

async fn run(command: Command) -> anyhow::Result<Value> {
    match command {
        Command::Watch { server, http, pid, mode, streams, viewers, seconds } => {
            let plan = watch::Plan { http, rtmp: server.rtmp, pid, mode, streams, viewers, seconds };
            watch::run(tape(&server.file)?, plan).await
        }
        Command::Floor { peer, pid, path, viewers, bytes, every, spread, seconds } => {
            let every = Duration::from_millis(every);
            let plan = floor::Plan { viewers, bytes, every, spread, seconds };
            match peer.zip(pid) {
                Some((http, pid)) => floor::run_peer(plan, &floor::Peer { http, pid, path }).await,
                None => floor::run(plan).await,
            }
        }
        Command::First { server, http, folder, rounds } => {
            let playlist = match (http, folder) {
                (Some(address), _) => first::Playlist::Http(address),
                (None, folder) => first::Playlist::Folder(folder.context("--http or --folder is missing")?),
            };
            first::run(tape(&server.file)?, server.rtmp, &playlist, rounds).await
        }
        Command::Publish { server, streams } => {
            let tape = Rc::new(tape(&server.file)?);
            let mut tasks = tokio::task::JoinSet::new();
            for index in 0..streams {
                let start = tokio::time::Instant::now() + Duration::from_millis(37) * u32::try_from(index)?;
                let channel = format!("load_{index}");
                tasks.spawn_local(publisher::publish(
                    server.rtmp,
                    channel,
                    Rc::clone(&tape),
                    start,
                    Rc::default(),
                ));
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            Ok(json!({}))
        }
        Command::Chat { http, pid, token, rooms, sockets, rate, storm, seconds } => {
            let plan = chat::Plan { rooms, sockets, rate, seconds, storm };
            match http.zip(pid).zip(token) {
                Some(((http, pid), token)) => chat::run(plan, &chat::Server { http, pid, token }).await,
                None => chat::run_floor(plan).await,
            }
        }
        Command::ChatFloor => Ok(json!({})),
        Command::Idle { rtmp, pid, connections } => idle::run(rtmp, pid, connections).await,
    }
}

fn tape(file: &Path) -> anyhow::Result<Tape> {
    Tape::new(rtmp_peer::flv::read(file))
}
