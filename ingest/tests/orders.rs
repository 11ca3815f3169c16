//! What other roles order over the bus: keys are revoked, broadcasts are stopped.
#![expect(clippy::disallowed_methods, reason = "a clock")]

#[path = "support/server.rs"]
mod server;
#[path = "support/wire.rs"]
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_core::event::{EventBody, KeyRevoked, StoppedBy, StreamStop};
use millrace_core::ids::StreamKeyId;
use millrace_core::ladder::ChannelLadder;
use millrace_core::playback::Access;
use millrace_ingest::{Authorising, Config, PublishAttempt, PublishAuthority, PublishGrant};
use server::{Publisher, Server};
use wire::{AVC_HEADER, AVC_KEYFRAME};

/// What a person sees as at once.
const SOON: Duration = Duration::from_secs(2);

/// `studio.7` publishes to channel `studio` with key 7.
struct NumberedKeys;

impl PublishAuthority for NumberedKeys {
    fn authorise(&self, attempt: PublishAttempt) -> Authorising<'_> {
        let (channel, number) = attempt.key.expose().split_once('.').expect("name and number");
        let grant = PublishGrant {
            channel: channel.parse().expect("a name"),
            key: Some(key(number.parse().expect("a number"))),
            access: Access::Open,
            ladder: ChannelLadder::default(),
        };
        Box::pin(std::future::ready(Ok(grant)))
    }
}

fn key(number: u128) -> StreamKeyId {
    StreamKeyId(uuid::Uuid::from_u128(number))
}

async fn live(server: &mut Server, key: &str) -> (Publisher, server::Opened) {
    let mut publisher = server.publisher(key).await;
    publisher.media(0, AVC_HEADER).await;
    publisher.media(0, AVC_KEYFRAME).await;
    let broadcast = server.opened().await;
    assert_eq!(server.event().await, "started");
    (publisher, broadcast)
}

#[tokio::test]
async fn a_revoked_key_ends_its_broadcast_within_two_seconds_and_no_other() {
    let mut server = Server::start_with(Config::default(), Arc::new(NumberedKeys), None).await;
    let (mut studio, mut broadcast) = live(&mut server, "studio.1").await;
    let (garage, mut other) = live(&mut server, "garage.2").await;
    let revoked = Instant::now();
    server.order("studio", EventBody::KeyRevoked(KeyRevoked { key: key(1) })).await;
    let told = studio.turned_away("NetStream.Publish.Denied").await;
    assert!(told.contains("was revoked"), "{told}");
    assert_eq!(server.event().await, "ended Stopped");
    assert!(revoked.elapsed() < SOON, "{:?}", revoked.elapsed());
    broadcast.expect(&["joined 1", "header 0", "key 0", "left", "ended", "closed"]).await;
    let mut again = server.connect().await;
    again.open("studio.1").await;
    assert!(again.turned_away("NetStream.Publish.Denied").await.contains("was revoked"));
    let new = server.publisher("studio.3").await;
    other.expect(&["joined 2", "header 0", "key 0"]).await;
    assert!(other.items.try_recv().is_none(), "the other broadcast goes on");
    drop((studio, garage, again, new));
    server.stop().await;
}

#[tokio::test]
async fn a_stopped_broadcast_ends_within_two_seconds_and_does_not_come_back_by_itself() {
    let mut server = Server::start_with(Config::default(), Arc::new(NumberedKeys), None).await;
    let (mut studio, mut broadcast) = live(&mut server, "studio.1").await;
    let stopped = Instant::now();
    server.order("studio", EventBody::StreamStop(StreamStop { by: StoppedBy::Owner })).await;
    let told = studio.turned_away("NetStream.Publish.Rejected").await;
    assert!(told.contains("in the stream manager"), "{told}");
    assert_eq!(server.event().await, "ended Stopped");
    assert!(stopped.elapsed() < SOON, "{:?}", stopped.elapsed());
    broadcast.expect(&["joined 1", "header 0", "key 0", "left", "ended", "closed"]).await;
    for key in ["studio.1", "studio.2"] {
        let mut again = server.connect().await;
        again.open(key).await;
        let told = again.turned_away("NetStream.Publish.Denied").await;
        assert!(told.contains("start it again after 60 s"), "{told}");
    }
    drop(studio);
    server.stop().await;
}

#[tokio::test]
async fn without_a_hold_a_stopped_broadcast_may_begin_again_at_once() {
    let config = Config { stop_hold: Duration::ZERO, ..Config::default() };
    let mut server = Server::start_with(config, Arc::new(NumberedKeys), None).await;
    let (mut studio, _broadcast) = live(&mut server, "studio.1").await;
    server.order("studio", EventBody::StreamStop(StreamStop { by: StoppedBy::Site })).await;
    let told = studio.turned_away("NetStream.Publish.Rejected").await;
    assert!(told.contains("by an administrator"), "{told}");
    assert_eq!(server.event().await, "ended Stopped");
    let (again, _next) = live(&mut server, "studio.1").await;
    drop((studio, again));
    server.stop().await;
}
