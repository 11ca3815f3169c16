//! Out of descriptors: the server neither spins nor dies, and accepts again as soon as there are some.
//!
//! A process of its own, because the limit is the whole process's.
#![expect(clippy::disallowed_methods, reason = "a clock")]

#[path = "support/server.rs"]
mod server;
#[path = "support/wire.rs"]
mod wire;

use std::fs::File;
use std::time::{Duration, Instant};

use millrace_ingest::Config;
use server::{Publisher, Server};
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span;

/// Descriptors this process may have: enough for the server and the test.
const LIMIT: u64 = 128;
/// Failures that are waited for, and the pauses before them: 10, 20, 40, 80, 160 and 320 ms.
const FAILURES: u32 = 7;
const PAUSES: Duration = Duration::from_millis(630);

/// Counts the warnings about accepting.
struct Warnings(watch::Sender<u32>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Found(bool);
        impl Visit for Found {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0 |= field.name() == "message" && format!("{value:?}").starts_with("cannot accept");
            }
        }
        let mut found = Found(false);
        event.record(&mut found);
        if found.0 {
            self.0.send_modify(|count| *count += 1);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_server_without_descriptors_waits_longer_and_longer_and_then_goes_on() {
    let (sender, mut failures) = watch::channel(0);
    tracing::subscriber::set_global_default(Warnings(sender)).unwrap();
    rlimit::setrlimit(rlimit::Resource::NOFILE, LIMIT, LIMIT).unwrap();
    let mut server = Server::start(Config::default()).await;
    let mut before = server.publisher("before").await;
    before.media(0, wire::AVC_HEADER).await;

    // Sockets first: connecting them takes no descriptor of ours, only the server's side does.
    let sockets: Vec<_> = (0..3).map(|_| TcpSocket::new_v4().unwrap()).collect();
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    let begun = Instant::now();
    let mut waiting = Vec::new();
    for socket in sockets {
        waiting.push(Publisher::new(socket.connect(server.address).await.unwrap()));
    }
    let failing = failures.wait_for(|count| *count >= FAILURES);
    tokio::time::timeout(Duration::from_secs(20), failing).await.expect("failures to accept").unwrap();
    assert!(begun.elapsed() >= PAUSES, "{FAILURES} failures within {:?}", begun.elapsed());
    // Who is there already goes on meanwhile.
    before.media(40, wire::AVC_KEYFRAME).await;
    let mut broadcast = server.opened().await;
    broadcast.expect(&["joined 1", "header 0", "key 40"]).await;

    drop(taken);
    for (index, publisher) in waiting.iter_mut().enumerate() {
        publisher.open(&format!("after_{index}")).await;
        assert_eq!(publisher.status().await.0, "NetStream.Publish.Start");
    }
    drop((before, waiting));
    server.stop().await;
}
