//! How soon the rest of a site knows: from a publisher's start until the API shows the channel live, and from the streamer's
//! stop until it shows it no more. One process, or three of a role each with MongoDB and Kafka if
//! `MILLRACE_TEST_TOPOLOGY=split`.
//!
//! `cargo bench -p millrace --bench lifecycle`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "measures, and says what it measured"
)]
#![expect(clippy::disallowed_methods, reason = "runs processes and waits for them")]

#[path = "../../e2e/http/client.rs"]
mod http;
#[path = "../../e2e/rtmp_peer/mod.rs"]
#[expect(dead_code, reason = "shared with the black-box tests, which use all of it")]
mod rtmp_peer;
#[path = "../../e2e/server.rs"]
#[expect(dead_code, reason = "shared with the black-box tests, which use all of it")]
mod server;
#[path = "../../e2e/streamer.rs"]
#[expect(dead_code, reason = "shared with the black-box tests, which use all of it")]
mod streamer;
#[path = "../../e2e/topology.rs"]
mod topology;
#[path = "../../e2e/wait.rs"]
#[expect(dead_code, reason = "shared with the black-box tests, which use all of it")]
mod wait;

use std::time::{Duration, Instant};

use serde_json::json;

use rtmp_peer::Peer;
use streamer::{KEYS, Streamer};

/// The type of a message with sound (RTMP §7.1).
const AUDIO: u8 = 8;
/// Broadcasts, one after the other.
const BROADCASTS: usize = 40;

#[tokio::main]
async fn main() {
    let place =
        if topology::is_split() { "MongoDB and Kafka, a process for each role" } else { "one process" };
    // The next broadcast begins at once.
    let ada = Streamer::new(&[KEYS[0], ("MILLRACE_INGEST__STOP_HOLD", "0s")]).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    let (_, key) = ada.key().await;
    let (mut shown, mut over) = (Vec::new(), Vec::new());
    for _ in 0..BROADCASTS {
        let mut peer = Peer::connect(ada.server.rtmp).await.unwrap();
        peer.publish("live", &key).await.unwrap();
        // A channel is live with its first media.
        let begun = Instant::now();
        peer.message(4, AUDIO, 1, 0, &[0xaf, 0, 0x12, 0x10]).await.unwrap();
        peer.message(4, AUDIO, 1, 0, &[0xaf, 1, 0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c]).await.unwrap();
        until_status(&ada, 200).await;
        shown.push(begun.elapsed());
        let begun = Instant::now();
        assert_eq!(ada.ask("POST", "/channels/studio/stream/stop", None).await.0, 202);
        until_status(&ada, 404).await;
        over.push(begun.elapsed());
    }
    say(place, "publisher's start until the API shows it live", shown);
    say(place, "streamer's stop until the API shows it no more", over);
    ada.server.stop().await;
}

/// Asks without a pause: an answer takes a millisecond or two, and so exact is what is measured.
async fn until_status(ada: &Streamer, wanted: u16) {
    let deadline = Instant::now() + streamer::SOON;
    while ada.ask("GET", "/streams/studio", None).await.0 != wanted {
        assert!(Instant::now() < deadline, "the API does not answer {wanted}");
    }
}

fn say(place: &str, what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let ms = |at: usize| times[at].as_secs_f64() * 1e3;
    let (p50, p99) = (ms(times.len() / 2), ms(times.len() - 1));
    println!("{place}: {what}: p50 {p50:.1} ms, most of {} {p99:.1} ms", times.len());
}
