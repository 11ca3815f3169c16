//! Publishers that share a thread, on the real server over loopback: tags nobody waits for are read together.
#![expect(clippy::disallowed_methods, reason = "shell: a publisher in real time, and every wait has its end")]

#[path = "support/server.rs"]
mod server;
#[path = "support/wire.rs"]
mod wire;

use std::collections::HashSet;
use std::time::Duration;

use millrace_core::feed::FeedItem;
use millrace_core::time::RtmpMillis;
use millrace_ingest::Config;
use server::{Opened, PATIENCE, Server};
use wire::{AVC_INTER, AVC_KEYFRAME};

/// Milliseconds between two pictures.
const STEP: u32 = 5;
/// Pictures until the pace of the publisher is known, and those that are looked at then.
const LEARNT: u32 = 900;
const LOOKED_AT: u32 = 200;

/// Takes the feed's pictures and says each time that nothing is wanted for long; how many reads the last ones took.
async fn reads(mut broadcast: Opened) -> usize {
    let mut expected = 0;
    let mut reads = HashSet::new();
    while expected < LEARNT + LOOKED_AT {
        let item = tokio::time::timeout(PATIENCE, broadcast.items.recv()).await.expect("a tag in time");
        let Some(FeedItem::Tag { tag, arrived }) = item else { continue };
        assert_eq!(tag.timestamp, RtmpMillis(expected * STEP), "a tag is missing");
        if expected >= LEARNT {
            reads.insert(arrived);
        }
        expected += 1;
        broadcast.items.want(Some(RtmpMillis(tag.timestamp.0 + 60_000)));
    }
    reads.len()
}

#[tokio::test]
async fn tags_that_complete_nothing_are_read_together_and_none_is_lost() {
    let mut server =
        Server::start(Config { max_pause: Duration::from_millis(20), ..Config::default() }).await;
    let mut publisher = server.publisher("studio").await;
    publisher.media(0, AVC_KEYFRAME).await;
    let broadcast = server.opened().await;
    let mut others = Vec::new();
    for name in ["second", "third", "fourth"] {
        let mut other = server.publisher(name).await;
        other.media(0, AVC_KEYFRAME).await;
        others.push((other, server.opened().await));
    }
    let publishing = async {
        let mut due = tokio::time::interval(Duration::from_millis(STEP.into()));
        for picture in 1..LEARNT + LOOKED_AT {
            due.tick().await;
            publisher.media(picture * STEP, AVC_INTER).await;
        }
    };
    let (reads, ()) = tokio::join!(reads(broadcast), publishing);
    // Four publishers pause 3.75 ms between looks: at least a hundred reads of these 200 tags, were it not for the rests.
    assert!(reads <= 70, "{reads} reads");
    drop((publisher, others));
    server.stop().await;
}
