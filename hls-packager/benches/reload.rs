//! CPU time that one thread of the server spends per blocked reload, over real sockets: read and parse the request,
//! wait, wake, answer. Linux only: it reads the thread's CPU time from `/proc`.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "starts a server")]

#[path = "live.rs"]
mod live;

use std::sync::Arc;

use criterion::measurement::{Measurement, ValueFormatter};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use live::Live;
use millrace_core::playback::Access;
use millrace_hls_packager::origin::{Broadcast, router};
use millrace_hls_packager::{Origin, OriginConfig};
use millrace_http::front::NoFront;
use millrace_http::server::{Limits, Listener, serve_behind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Viewers who wait for one part.
const VIEWERS: usize = 1000;

/// CPU time of one thread, in nanoseconds.
struct ThreadCpu {
    schedstat: String,
}

impl ThreadCpu {
    /// Of the thread that calls.
    fn of_this_thread() -> Self {
        let link = std::fs::read_link("/proc/thread-self").unwrap();
        Self { schedstat: format!("/proc/{}/schedstat", link.display()) }
    }

    fn now(&self) -> u64 {
        let text = std::fs::read_to_string(&self.schedstat).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }
}

struct Server {
    /// Requests that wait for the next part.
    waiting: Box<dyn Fn() -> usize + Send>,
    address: std::net::SocketAddr,
    cpu: ThreadCpu,
    publish: mpsc::UnboundedSender<()>,
    live: u64,
}

/// A server on a thread of its own, that publishes a part when told: as the process runs it, with the origin in front
/// of the router, or the router alone.
fn serve(front: bool) -> Server {
    let (ready, server) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let mut live = Live::new();
            let config = OriginConfig { max_blocked_requests: VIEWERS, ..OriginConfig::default() };
            let origin = Origin::new(config);
            let broadcast = Arc::new(Broadcast::new(live::ID, "r4nd0m1234".into(), &live.window).unwrap());
            let studio = "studio".parse().unwrap();
            origin.catalog().announce(&studio, Access::Open);
            origin.catalog().go_live(&studio, &broadcast);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (publish, mut told) = mpsc::unbounded_channel();
            let address = listener.local_addr().unwrap();
            let router = millrace_http::layers::finish(router(origin.clone()), None);
            let limits = Limits::default();
            let (listeners, shutdown) =
                (vec![Listener { tcp: listener, tls: None, redirect: None }], CancellationToken::new());
            if front {
                tokio::spawn(serve_behind(origin.clone(), listeners, router, limits, shutdown));
            } else {
                tokio::spawn(serve_behind(NoFront, listeners, router, limits, shutdown));
            }
            ready
                .send(Server {
                    waiting: Box::new(move || origin.waiting()),
                    address,
                    cpu: ThreadCpu::of_this_thread(),
                    publish,
                    live: live.parts,
                })
                .unwrap();
            while told.recv().await.is_some() {
                live.part();
                broadcast.publish(&live.window);
            }
        });
    });
    server.recv().unwrap()
}

/// HTTP alone: the same server around a handler that waits for the part and answers with finished bytes.
fn serve_http(body: usize) -> Server {
    let (ready, server) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (publish, mut told) = mpsc::unbounded_channel();
            let address = listener.local_addr().unwrap();
            let parts = Arc::new(tokio::sync::watch::Sender::new(0));
            let answer = bytes::Bytes::from("x".repeat(body));
            let wait = {
                let parts = Arc::clone(&parts);
                move || {
                    let mut part = parts.subscribe();
                    let answer = answer.clone();
                    async move {
                        part.changed().await.unwrap();
                        answer
                    }
                }
            };
            let router = axum::Router::new().fallback(wait);
            tokio::spawn(std::future::IntoFuture::into_future(axum::serve(listener, router)));
            let waiting = {
                let parts = Arc::clone(&parts);
                move || parts.receiver_count()
            };
            ready
                .send(Server {
                    waiting: Box::new(waiting),
                    address,
                    cpu: ThreadCpu::of_this_thread(),
                    publish,
                    live: 0,
                })
                .unwrap();
            while told.recv().await.is_some() {
                parts.send_modify(|part| *part += 1);
            }
        });
    });
    server.recv().unwrap()
}

/// The floor: read a request, wait for the part, write a finished answer of the same length. No HTTP, no rules.
fn serve_floor(body: usize) -> Server {
    let (ready, server) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (publish, mut told) = mpsc::unbounded_channel();
            let address = listener.local_addr().unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {body}\r\n\r\n{}", "x".repeat(body));
            let answer = bytes::Bytes::from(answer);
            let parts = tokio::sync::watch::Sender::new(0);
            // A viewer of the floor subscribes once and misses nothing.
            ready
                .send(Server {
                    waiting: Box::new(|| VIEWERS),
                    address,
                    cpu: ThreadCpu::of_this_thread(),
                    publish,
                    live: 0,
                })
                .unwrap();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (mut peer, mut part) = (accepted.unwrap().0, parts.subscribe());
                        let answer = answer.clone();
                        tokio::spawn(async move {
                            let mut request = [0; 1024];
                            while peer.read(&mut request).await.unwrap() > 0 {
                                part.changed().await.unwrap();
                                peer.write_all(&answer).await.unwrap();
                            }
                        });
                    }
                    told = told.recv() => match told {
                        Some(()) => parts.send_modify(|part| *part += 1),
                        None => return,
                    },
                }
            }
        });
    });
    server.recv().unwrap()
}

async fn read_answer(viewer: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    let end = loop {
        assert!(viewer.read_buf(buffer).await.unwrap() > 0);
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = std::str::from_utf8(&buffer[..end]).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let length: usize = length.parse().unwrap();
    while buffer.len() < end + length {
        assert!(viewer.read_buf(buffer).await.unwrap() > 0);
    }
}

fn reloads(c: &mut Criterion<Nanoseconds>) {
    let mut group = c.benchmark_group("blocked_reload_sockets_cpu");
    group.throughput(Throughput::Elements(VIEWERS as u64)).sample_size(10);
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, skip) in [
        ("full", ""),
        ("delta_gzip", "&_HLS_skip=YES"),
        ("router_full", ""),
        ("http_1kb", ""),
        ("floor_1kb", ""),
    ] {
        let mut server = match name {
            "http_1kb" => serve_http(1000),
            "floor_1kb" => serve_floor(1000),
            "router_full" => serve(false),
            _ => serve(true),
        };
        let mut viewers: Vec<_> = client.block_on(async {
            join_all((0..VIEWERS).map(|_| TcpStream::connect(server.address)))
                .await
                .into_iter()
                .map(|v| (v.unwrap(), Vec::new()))
                .collect()
        });
        let accept = if skip.is_empty() { "identity" } else { "gzip" };
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                client.block_on(async {
                    let before = server.cpu.now();
                    for _ in 0..rounds {
                        let (msn, part) = live::position(server.live);
                        let request = format!(
                            "GET /live/studio/main/index.m3u8?_HLS_msn={msn}&_HLS_part={part}{skip} HTTP/1.1\r\n\
                             host: localhost\r\naccept-encoding: {accept}\r\nuser-agent: bench\r\n\r\n"
                        );
                        for (viewer, _) in &mut viewers {
                            viewer.write_all(request.as_bytes()).await.unwrap();
                        }
                        while (server.waiting)() < VIEWERS {
                            std::thread::yield_now();
                        }
                        server.publish.send(()).unwrap();
                        server.live += 1;
                        for (viewer, buffer) in &mut viewers {
                            read_answer(viewer, buffer).await;
                        }
                    }
                    server.cpu.now() - before
                })
            });
        });
    }
    group.finish();
}

/// Criterion's view of nanoseconds of CPU.
struct Nanoseconds;

impl Measurement for Nanoseconds {
    type Intermediate = ();
    type Value = u64;

    fn start(&self) {}

    fn end(&self, (): ()) -> u64 {
        0
    }

    fn add(&self, one: &u64, two: &u64) -> u64 {
        one + two
    }

    fn zero(&self) -> u64 {
        0
    }

    #[expect(clippy::cast_precision_loss, reason = "a bench runs for seconds")]
    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &Format
    }
}

struct Format;

impl ValueFormatter for Format {
    fn scale_values(&self, _: f64, values: &mut [f64]) -> &'static str {
        values.iter_mut().for_each(|value| *value /= 1e6);
        "ms of CPU"
    }

    fn scale_throughputs(&self, _: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        let Throughput::Elements(count) = throughput else { return "" };
        #[expect(clippy::cast_precision_loss, reason = "a thousand")]
        values.iter_mut().for_each(|value| *value = *count as f64 / *value * 1e9);
        "answers per CPU-second"
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "ns"
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(Nanoseconds);
    targets = reloads
}
criterion_main!(benches);
