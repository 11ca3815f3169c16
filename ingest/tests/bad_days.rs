//! Whatever a stranger sends: a clear error for the sender, and nothing for anybody else.
#![expect(clippy::disallowed_methods, reason = "a slow peer has to wait between its bytes")]

mod faults;
#[path = "support/server.rs"]
mod server;
#[path = "support/wire.rs"]
mod wire;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use millrace_ingest::rtmp::amf0;
use millrace_ingest::{Authorising, Config, PublishAttempt, PublishAuthority, PublishRefusal};
use server::{Opened, Publisher, Server, call, connect_command, publish_command};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{AVC_INTER, AVC_KEYFRAME, hello, message};

/// Nobody may publish.
struct Nobody;

impl PublishAuthority for Nobody {
    fn authorise(&self, _: PublishAttempt) -> Authorising<'_> {
        let refusal = PublishRefusal { reason: "nobody", sentence: "Nobody may publish here.".into() };
        Box::pin(std::future::ready(Err(refusal)))
    }
}

/// A server where everything bad happens soon, and a broadcast on it that nothing may disturb.
struct BadDay {
    server: Server,
    witness: Publisher,
    broadcast: Opened,
    time: u32,
}

impl BadDay {
    async fn new() -> Self {
        Self::with(Config {
            handshake_timeout: Duration::from_millis(300),
            publish_timeout: Duration::from_millis(500),
            idle_timeout: Duration::from_secs(30),
            max_message_bytes: 100_000,
            max_in_flight_bytes: 200_000,
            ..Config::default()
        })
        .await
    }

    async fn with(config: Config) -> Self {
        let mut server = Server::start(config).await;
        let mut witness = server.publisher("witness").await;
        witness.media(0, AVC_KEYFRAME).await;
        let mut broadcast = server.opened().await;
        broadcast.expect(&["joined 1", "key 0"]).await;
        Self { server, witness, broadcast, time: 0 }
    }

    /// The broadcast goes on.
    async fn check(&mut self) {
        self.time += 40;
        self.witness.media(self.time, AVC_INTER).await;
        assert_eq!(self.broadcast.next().await, format!("video {}", self.time));
    }

    async fn end(mut self) {
        self.check().await;
        drop(self.witness);
        self.server.stop().await;
    }

    /// Sends `input` and waits for a status of that code and the end; returns the sentence.
    async fn turned_away(&mut self, input: &[u8], code: &str) -> String {
        let mut stranger = self.server.connect().await;
        stranger.write(input).await;
        let sentence = stranger.turned_away(code).await;
        self.check().await;
        sentence
    }
}

fn shaken() -> Vec<u8> {
    [hello(), vec![0; 1536]].concat()
}

fn connected() -> Vec<u8> {
    [shaken(), connect_command("live")].concat()
}

/// Bytes that come before the server hangs up.
async fn silence(mut stranger: Publisher) -> usize {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = stranger.stream.read_to_end(&mut bytes).await;
    bytes.len()
}

#[tokio::test]
async fn garbage_is_cut_without_a_word() {
    let mut day = BadDay::new().await;
    for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01", &[0; 5000]] {
        let mut stranger = day.server.connect().await;
        stranger.write(garbage).await;
        assert_eq!(silence(stranger).await, 0);
        day.check().await;
    }
    // A handshake that goes on with garbage: no chunk stream begins with a type 3 header.
    let sentence = day.turned_away(&[shaken(), vec![0xff; 500]].concat(), "NetStream.Failed").await;
    assert!(sentence.contains("no valid RTMP"), "{sentence}");
    day.end().await;
}

#[tokio::test]
async fn silent_and_slow_handshakes_are_cut_in_time() {
    let mut day = BadDay::new().await;
    assert_eq!(silence(day.server.connect().await).await, 0);
    let mut half = day.server.connect().await;
    half.write(&hello()[..700]).await;
    assert_eq!(silence(half).await, 1537, "S0 and S1 are all it gets");
    // One byte now and then never comes to an end.
    let mut slow = day.server.connect().await;
    let mut scrap = [0; 2000];
    let mut sent = 0;
    for byte in hello() {
        if slow.stream.write_all(&[byte]).await.is_err() {
            break;
        }
        sent += 1;
        let answer = tokio::time::timeout(Duration::from_millis(10), slow.stream.read(&mut scrap)).await;
        if matches!(answer, Ok(Ok(0) | Err(_))) {
            break;
        }
    }
    assert!(sent < 200, "cut after {sent} bytes at 10 ms each");
    day.check().await;
    day.end().await;
}

#[tokio::test]
async fn a_connection_that_never_publishes_is_told_and_cut() {
    let mut day = BadDay::new().await;
    let sentence = day.turned_away(&connected(), "NetConnection.Connect.Closed").await;
    assert_eq!(sentence, "Nothing was published within 0.5 s of connecting.");
    day.end().await;
}

#[tokio::test]
async fn a_publisher_that_falls_silent_is_told_and_cut() {
    let mut server =
        Server::start(Config { idle_timeout: Duration::from_millis(300), ..Config::default() }).await;
    let mut publisher = server.publisher("studio").await;
    publisher.media(0, AVC_KEYFRAME).await;
    let mut broadcast = server.opened().await;
    broadcast.expect(&["joined 1", "key 0"]).await;
    let sentence = publisher.turned_away("NetStream.Failed").await;
    assert!(sentence.contains("No audio or video came for 0.3 s"), "{sentence}");
    broadcast.expect(&["left"]).await;
    drop(publisher);
    server.stop().await;
}

#[tokio::test]
async fn what_breaks_the_chunk_layer_is_told_and_cut() {
    let mut day = BadDay::new().await;
    let oversize = faults::header(6, 0x00ff_ffff, 9, 1);
    let too_long = day.turned_away(&[connected(), oversize].concat(), "NetStream.Failed").await;
    assert!(too_long.contains("16777215 bytes") && too_long.contains("limit"), "{too_long}");
    let chunk_size = |size: u32| [connected(), message(0, 1, 0, &size.to_be_bytes())].concat();
    assert!(day.turned_away(&chunk_size(0), "NetStream.Failed").await.contains("chunk size 0 "));
    assert!(
        day.turned_away(&chunk_size(1 << 31), "NetStream.Failed").await.contains("chunk size 2147483648 ")
    );
    // 2^31 - 1 is legal: it means whole messages, and the publish behind it goes through.
    let create = call(0, &["createStream".into(), 4.0.into(), amf0::Value::Null]);
    let mut largest = day.server.connect().await;
    largest.write(&[chunk_size(i32::MAX.unsigned_abs()), create, publish_command("garage")].concat()).await;
    assert_eq!(largest.status().await.0, "NetStream.Publish.Start");
    let big = [&[0x17, 1, 0, 0, 0][..], &[9; 50_000]].concat();
    largest.write(&wire::chunks(6, 5, 9, 1, &big, 1 << 24)).await;
    day.server.opened().await.expect(&["joined 5", "key 5"]).await;
    // 32 messages under way, and then one more.
    let mut partials = [connected(), message(0, 1, 0, &1u32.to_be_bytes())].concat();
    for csid in 3..40 {
        partials.extend([faults::header(csid, 9, 9, 1), vec![0]].concat());
    }
    assert!(day.turned_away(&partials, "NetStream.Failed").await.contains("more than 32 messages"));
    drop(largest);
    day.end().await;
}

#[tokio::test]
async fn an_oversize_message_of_a_publisher_interrupts_only_its_own_broadcast() {
    let mut day = BadDay::new().await;
    let mut publisher = day.server.publisher("studio").await;
    publisher.media(0, AVC_KEYFRAME).await;
    let mut broadcast = day.server.opened().await;
    publisher.write(&faults::header(6, 100_001, 9, 1)).await;
    assert!(publisher.turned_away("NetStream.Failed").await.contains("limit 100000"));
    broadcast.expect(&["joined 2", "key 0", "left"]).await;
    drop(publisher);
    day.end().await;
}

#[tokio::test]
async fn four_thousand_nested_objects_cost_an_error() {
    let mut day = BadDay::new().await;
    let nested = [&amf0::encode(&["connect".into(), 1.0.into()])[..], &faults::nested_objects(4000)].concat();
    let command = [shaken(), message(0, 20, 0, &nested)].concat();
    let sentence = day.turned_away(&command, "NetConnection.Call.Failed").await;
    assert!(sentence.contains("nest deeper than 16"), "{sentence}");
    // 60,000 nulls, and commands that are cut short.
    let nulls = [shaken(), message(0, 20, 0, &vec![5; 60_000])].concat();
    assert!(day.turned_away(&nulls, "NetConnection.Call.Failed").await.contains("more than 1000 values"));
    let short = [shaken(), faults::short_command()].concat();
    assert!(day.turned_away(&short, "NetConnection.Connect.InvalidApp").await.contains("/live"));
    // In metadata they are left out, and the broadcast goes on.
    day.witness
        .write(&message(40, 18, 1, &[&amf0::encode(&["onMetaData".into()])[..], &nested].concat()))
        .await;
    day.end().await;
}

#[tokio::test]
async fn wrong_application_key_and_order_are_told_what_to_do() {
    let mut day = BadDay::new().await;
    let app = [shaken(), connect_command("show")].concat();
    assert!(day.turned_away(&app, "NetConnection.Connect.InvalidApp").await.contains("ends in /live"));
    let publish = |key| [connected(), publish_command(key)].concat();
    assert!(day.turned_away(&publish("Bad Key"), "NetStream.Publish.Denied").await.contains("3 to 25"));
    assert!(day.turned_away(&publish(""), "NetStream.Publish.Denied").await.contains("no stream key"));
    let early = [shaken(), publish_command("studio")].concat();
    assert!(day.turned_away(&early, "NetStream.Failed").await.starts_with("publish came before connect."));
    let media = [connected(), message(0, 9, 1, AVC_KEYFRAME)].concat();
    assert!(day.turned_away(&media, "NetStream.Failed").await.starts_with("Media came before publish."));
    let play =
        [connected(), call(1, &["play".into(), 0.0.into(), amf0::Value::Null, "studio".into()])].concat();
    assert!(day.turned_away(&play, "NetStream.Play.Failed").await.contains("in a browser"));
    day.end().await;
}

#[tokio::test]
async fn without_accounts_the_way_in_is_named() {
    let server = Server::start_with(Config::default(), Arc::new(Nobody), None).await;
    let mut publisher = server.connect().await;
    publisher.open("studio").await;
    let sentence = publisher.turned_away("NetStream.Publish.Denied").await;
    assert_eq!(sentence, "Nobody may publish here.");
    drop(publisher);
    server.stop().await;
}

#[tokio::test]
async fn an_address_over_its_limit_is_turned_away_and_publishers_do_not_count() {
    let mut day = BadDay::with(Config {
        max_connections_per_address: 3,
        publish_timeout: Duration::from_secs(60),
        ..Config::default()
    })
    .await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut stranger = day.server.connect().await;
        stranger.write(&connected()).await;
        while stranger.message().await.expect("an answer").type_id != 20 {}
        waiting.push(stranger);
    }
    assert_eq!(silence(day.server.connect().await).await, 0);
    day.check().await;
    // Another address has its own places, and who publishes gives its place back.
    let mut elsewhere = day.server.connect_from(Ipv4Addr::new(127, 0, 0, 2).into()).await;
    elsewhere.open("garage").await;
    assert_eq!(elsewhere.status().await.0, "NetStream.Publish.Start");
    let mut first = waiting.remove(0);
    first.write(&publish_command("studio")).await;
    assert_eq!(first.status().await.0, "NetStream.Publish.Start");
    let mut next = day.server.connect().await;
    next.open("attic").await;
    assert_eq!(next.status().await.0, "NetStream.Publish.Start");
    drop((waiting, first, next, elsewhere));
    day.end().await;
}

#[tokio::test]
async fn the_server_has_a_limit_too() {
    let mut day = BadDay::with(Config { max_connections: 2, ..Config::default() }).await;
    let _held = day.server.connect().await;
    let mut refused = 0;
    for _ in 0..3 {
        refused += usize::from(silence(day.server.connect().await).await == 0);
    }
    assert_eq!(refused, 3);
    day.check().await;
    drop(_held);
    day.end().await;
}

#[tokio::test]
async fn hundreds_of_idle_connections_disturb_nobody() {
    let mut day = BadDay::with(Config {
        handshake_timeout: Duration::from_secs(60),
        publish_timeout: Duration::from_secs(60),
        ..Config::default()
    })
    .await;
    let mut idle = Vec::new();
    for number in 0..400u16 {
        let [a, b] = (number / 10).to_be_bytes();
        let mut stranger = day.server.connect_from(IpAddr::from([127, 1, a, b + 1])).await;
        // Every other one goes as far as it can without publishing.
        if number % 2 == 0 {
            stranger.write(&connected()).await;
            while stranger.message().await.expect("an answer").type_id != 20 {}
        }
        idle.push(stranger);
    }
    for _ in 0..100 {
        day.check().await;
    }
    let mut late = day.server.publisher("studio").await;
    late.media(0, AVC_KEYFRAME).await;
    day.server.opened().await.expect(&["joined 402", "key 0"]).await;
    drop((idle, late));
    day.end().await;
}
