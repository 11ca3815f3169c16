//! The life of broadcasts, on the real server over loopback.

#[path = "support/server.rs"]
mod server;
#[path = "support/wire.rs"]
mod wire;

use std::time::Duration;

use millrace_core::feed::FeedReply;
use millrace_core::ids::ConnectionId;
use millrace_ingest::Config;
use millrace_ingest::rtmp::amf0::Value;
use server::{Server, VP6_KEYFRAME, VP6_REFUSED, call};
use wire::{AAC_FRAME, AAC_HEADER, AVC_HEADER, AVC_INTER, AVC_KEYFRAME};

fn config() -> Config {
    Config { reconnect_window: Duration::from_secs(600), ..Config::default() }
}

#[tokio::test]
async fn a_publisher_reaches_the_sink_and_ends_its_broadcast() {
    let mut server = Server::start(config()).await;
    let mut publisher = server.publisher("studio").await;
    publisher.media(0, AVC_HEADER).await;
    publisher.media(0, AAC_HEADER).await;
    publisher.media(40, AVC_KEYFRAME).await;
    publisher.media(60, AAC_FRAME).await;
    publisher.media(80, AVC_INTER).await;
    let mut broadcast = server.opened().await;
    assert_eq!(broadcast.channel.as_str(), "studio");
    broadcast.expect(&["joined 1", "header 0", "audio 0", "key 40", "audio 60", "video 80"]).await;
    assert_eq!(server.event().await, "started");
    let null = Value::Null;
    publisher.write(&call(0, &["FCUnpublish".into(), 6.0.into(), null.clone(), "studio".into()])).await;
    publisher.write(&call(0, &["deleteStream".into(), 7.0.into(), null, 1.0.into()])).await;
    assert_eq!(publisher.status().await.0, "NetStream.Unpublish.Success");
    broadcast.expect(&["left", "ended", "closed"]).await;
    assert_eq!(server.event().await, "ended Unpublished");
    drop(publisher);
    server.stop().await;
}

#[tokio::test]
async fn a_publisher_that_comes_back_continues_its_broadcast() {
    let mut server = Server::start(config()).await;
    let mut first = server.publisher("studio").await;
    first.media(0, AVC_HEADER).await;
    first.media(0, AVC_KEYFRAME).await;
    let mut broadcast = server.opened().await;
    broadcast.expect(&["joined 1", "header 0", "key 0"]).await;
    // Killed in the middle of a message.
    first.write(&wire::message(40, 9, 1, &[0x27; 100])[..50]).await;
    drop(first);
    broadcast.expect(&["left"]).await;
    assert_eq!([server.event().await, server.event().await], ["started", "interrupted"]);
    let mut second = server.publisher("studio").await;
    second.media(5, AVC_HEADER).await;
    second.media(5, AVC_KEYFRAME).await;
    broadcast.expect(&["joined 2", "header 5", "key 5"]).await;
    assert_eq!(server.event().await, "resumed");
    drop(second);
    server.stop().await;
}

#[tokio::test]
async fn a_broadcast_ends_when_nobody_comes_back() {
    let mut server =
        Server::start(Config { reconnect_window: Duration::from_millis(50), ..Config::default() }).await;
    let mut publisher = server.publisher("studio").await;
    publisher.media(0, AVC_KEYFRAME).await;
    let mut broadcast = server.opened().await;
    drop(publisher);
    broadcast.expect(&["joined 1", "key 0", "left", "ended"]).await;
    let events = [server.event().await, server.event().await, server.event().await];
    assert_eq!(events, ["started", "interrupted", "ended ReconnectWindowElapsed"]);
    let mut next = server.publisher("studio").await;
    next.media(0, AVC_KEYFRAME).await;
    server.opened().await.expect(&["joined 2", "key 0"]).await;
    drop(next);
    server.stop().await;
}

#[tokio::test]
async fn a_second_publisher_takes_over_at_its_keyframe_and_nobody_takes_turns() {
    let mut server = Server::start(config()).await;
    let mut first = server.publisher("studio").await;
    first.media(0, AVC_HEADER).await;
    first.media(0, AVC_KEYFRAME).await;
    let mut broadcast = server.opened().await;
    broadcast.expect(&["joined 1", "header 0", "key 0"]).await;
    let mut second = server.publisher("studio").await;
    second.media(7, AVC_HEADER).await;
    second.media(8, AVC_INTER).await;
    second.write(&wire::message(0, 4, 0, &[0, 6, 0, 0, 0, 1])).await;
    while second.message().await.expect("a pong").type_id != 4 {}
    // What the second has sent so far is read; the first is still the publisher.
    first.media(40, AVC_INTER).await;
    broadcast.expect(&["video 40"]).await;
    second.media(9, AVC_KEYFRAME).await;
    second.media(10, AVC_INTER).await;
    broadcast.expect(&["left", "joined 2", "header 7", "key 9", "video 10"]).await;
    let told = first.turned_away("NetStream.Publish.Rejected").await;
    assert!(told.contains("taken over channel studio"), "{told}");
    assert_eq!([server.event().await, server.event().await], ["started", "resumed"]);
    for _ in 0..3 {
        let mut again = server.connect().await;
        again.open("studio").await;
        let told = again.turned_away("NetStream.Publish.Denied").await;
        assert!(told.contains("try again in 60 s"), "{told}");
    }
    // The winner leaves: the way is free.
    drop(second);
    broadcast.expect(&["left"]).await;
    assert_eq!(server.event().await, "interrupted");
    let mut third = server.publisher("studio").await;
    third.media(1, AVC_KEYFRAME).await;
    broadcast.expect(&["joined 6", "key 1"]).await;
    drop((first, third));
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_packaged_is_refused_with_the_packagers_sentence() {
    let mut server = Server::start(config()).await;
    let mut publisher = server.publisher("studio").await;
    publisher.media(0, AVC_KEYFRAME).await;
    let mut broadcast = server.opened().await;
    broadcast.expect(&["joined 1", "key 0"]).await;
    let sentence = "VP6 cannot be played by browsers. Set the encoder to H.264.".to_owned();
    broadcast
        .replies
        .send(FeedReply::Refuse { connection: ConnectionId(1), sentence: sentence.clone() })
        .await
        .unwrap();
    assert_eq!(publisher.turned_away("NetStream.Publish.Denied").await, sentence);
    broadcast.expect(&["left", "ended"]).await;
    assert_eq!([server.event().await, server.event().await], ["started", "ended Refused"]);
    drop(publisher);
    server.stop().await;
}

#[tokio::test]
async fn a_challenger_that_cannot_be_packaged_takes_over_from_nobody() {
    let mut server = Server::start(config()).await;
    let mut first = server.publisher("studio").await;
    first.media(0, AVC_HEADER).await;
    first.media(0, AVC_KEYFRAME).await;
    let mut broadcast = server.opened().await;
    broadcast.expect(&["joined 1", "header 0", "key 0"]).await;
    for _ in 0..3 {
        let mut second = server.publisher("studio").await;
        second.media(0, VP6_KEYFRAME).await;
        assert_eq!(second.turned_away("NetStream.Publish.Denied").await, VP6_REFUSED);
    }
    first.media(40, AVC_INTER).await;
    broadcast.expect(&["video 40"]).await;
    assert_eq!(server.event().await, "started");
    // Nor does it begin a broadcast; and the way is free for one that can.
    let mut alone = server.publisher("garage").await;
    alone.media(0, VP6_KEYFRAME).await;
    assert_eq!(alone.turned_away("NetStream.Publish.Denied").await, VP6_REFUSED);
    let mut good = server.publisher("garage").await;
    good.media(0, AVC_KEYFRAME).await;
    server.opened().await.expect(&["joined 6", "key 0"]).await;
    assert_eq!(server.event().await, "started");
    drop((first, good, alone));
    assert_eq!([server.event().await, server.event().await], ["interrupted", "interrupted"]);
    server.stop().await;
}

#[tokio::test]
async fn a_packager_that_stops_ends_its_broadcast() {
    let mut server = Server::start(config()).await;
    let mut publisher = server.publisher("studio").await;
    publisher.media(0, AVC_KEYFRAME).await;
    drop(server.opened().await);
    let mut time = 0;
    let sentence = loop {
        time += 40;
        let frame = wire::message(time, 9, 1, AVC_INTER);
        if tokio::io::AsyncWriteExt::write_all(&mut publisher.stream, &frame).await.is_err() || time > 1000 {
            break publisher.turned_away("NetStream.Failed").await;
        }
    };
    assert!(sentence.contains("Start the stream again"), "{sentence}");
    assert_eq!([server.event().await, server.event().await], ["started", "ended Refused"]);
    drop(publisher);
    server.stop().await;
}

#[tokio::test]
async fn a_stop_tells_publishers_and_leaves_broadcasts_open() {
    let mut server = Server::start(config()).await;
    let mut live = server.publisher("studio").await;
    live.media(0, AVC_KEYFRAME).await;
    let mut broadcast = server.opened().await;
    broadcast.expect(&["joined 1", "key 0"]).await;
    let mut opening = server.publisher("garage").await;
    let mut waiting = server.connect().await;
    waiting.write(&[wire::hello(), vec![0; 1536], server::connect_command("live")].concat()).await;
    while waiting.message().await.expect("an answer").type_id != 20 {}
    server.shutdown.cancel();
    for publisher in [&mut live, &mut opening, &mut waiting] {
        assert!(publisher.turned_away("NetStream.Failed").await.contains("restarting"));
    }
    drop((live, opening, waiting));
    broadcast.expect(&["left", "closed"]).await;
    assert_eq!([server.event().await, server.event().await], ["started", "ended ServerStopping"]);
    server.stop().await;
}
