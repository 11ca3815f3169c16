//! Publishers that drop, come back, take over, and a server that dies.

use std::time::Duration;

use millrace_hls_checker::{Options, Report, Rule};
use serde_json::Value;

use crate::browser::looped;
use crate::node::Viewer;
use crate::publisher::Ffmpeg;
use crate::rtmp_peer::{Peer, flv};
use crate::server::Server;
use crate::wait::{share, shares, until};

const SOON: Duration = Duration::from_secs(20);

async fn live(server: &Server, channel: &str) {
    until("the channel is live", SOON, || async {
        crate::http::get(server.playlist(channel)).await.ok().filter(|a| a.status() == 200)
    })
    .await;
}

async fn watch(server: &Server, channel: &str, watch: Duration) -> anyhow::Result<Report> {
    let options = Options { watch, wait: SOON, probes: false, ..Options::new(server.playlist(channel)) };
    millrace_hls_checker::run(options).await
}

/// What `/api/v1/streams/{channel}` says.
async fn stream(server: &Server, channel: &str) -> Option<Value> {
    let answer = crate::http::get(server.url(&format!("/api/v1/streams/{channel}"))).await.ok()?;
    if answer.status() == 200 { answer.json().await.ok() } else { None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_away_for_1_10_and_25_seconds_comes_back_to_the_same_playlist() {
    const AWAY: [u64; 3] = [1, 10, 25];
    let fixture = looped().fixture().await;
    let _shares = shares(2).await;
    let server = Server::start(&[]).await;
    let url = server.publish_url("studio");
    let mut publisher = Ffmpeg::publish_for_ever(&fixture.path, &url);
    live(&server, "studio").await;
    let before = stream(&server, "studio").await.unwrap();
    let (page, playlist) = (server.url("/@studio"), server.playlist("studio"));
    let (stock, ours) = tokio::join!(Viewer::stock(&playlist), Viewer::page(&page));
    let watch = Duration::from_secs(AWAY.iter().sum::<u64>() + 30);
    let options = Options { watch, wait: SOON, probes: false, ..Options::new(playlist.as_str()) };
    let checking = tokio::spawn(millrace_hls_checker::run(options));
    for away in AWAY {
        stock.plays_for(3.0, Duration::from_secs(30)).await;
        ours.plays_for(3.0, Duration::from_secs(30)).await;
        publisher.kill().await;
        let gone = tokio::time::Instant::now();
        until("the stream is interrupted", SOON, || async {
            stream(&server, "studio").await.filter(|s| s["state"] == "interrupted")
        })
        .await;
        if away > 5 {
            until("our page says that the broadcaster is away", SOON, || async {
                ours.last("state").filter(|s| s["state"] == "interrupted")
            })
            .await;
        }
        tokio::time::sleep_until(gone + Duration::from_secs(away)).await;
        publisher = Ffmpeg::publish_for_ever(&fixture.path, &url);
        let after = until("the stream is live again", SOON, || async {
            stream(&server, "studio").await.filter(|s| s["state"] == "live")
        })
        .await;
        assert_eq!(before["broadcast"], after["broadcast"], "another broadcast after {away} s away");
        let back = tokio::time::Instant::now();
        stock.plays_for(1.0, Duration::from_secs(30)).await;
        let stock_after = back.elapsed();
        ours.plays_for(1.0, Duration::from_secs(30)).await;
        eprintln!(
            "away {away} s: stock hls.js plays {stock_after:.1?} after the return, our page {:.1?}",
            back.elapsed()
        );
    }
    stock.assert_never_went_back();
    ours.assert_never_went_back();
    let report = checking.await.unwrap().unwrap();
    eprintln!("{report}");
    assert!(report.passed(), "{report}");
    let main = &report.renditions[0];
    assert!(!main.ended && main.discontinuities >= 2 && main.gaps >= 8, "{report}");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_window_the_playlist_ends_and_the_next_broadcast_is_a_new_one() {
    let fixture = looped().fixture().await;
    let server = Server::start(&[("MILLRACE_INGEST__RECONNECT_WINDOW", "3s")]).await;
    let mut first = Ffmpeg::publish(&fixture.path, &server.publish_url("studio"));
    live(&server, "studio").await;
    let before = stream(&server, "studio").await.unwrap();
    let checking = watch(&server, "studio", Duration::from_secs(30));
    let killing = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        first.kill().await;
    };
    let (report, ()) = tokio::join!(checking, killing);
    let report = report.unwrap();
    assert!(report.passed(), "{report}");
    assert!(report.renditions.iter().all(|r| r.ended), "{report}");
    until("the channel is offline", SOON, || async {
        crate::http::get(server.playlist("studio")).await.ok().filter(|a| a.status() == 404)
    })
    .await;
    let last_msn = report.renditions[0].msn.unwrap().1;
    let _second = Ffmpeg::publish(&fixture.path, &server.publish_url("studio"));
    live(&server, "studio").await;
    let after = until("the new broadcast is listed", SOON, || stream(&server, "studio")).await;
    assert_ne!(before["broadcast"], after["broadcast"]);
    let report = watch(&server, "studio", Duration::from_secs(4)).await.unwrap();
    assert!(report.passed(), "{report}");
    let first_msn = report.renditions[0].msn.unwrap().0;
    assert!(first_msn > last_msn, "msn {first_msn} of the new broadcast, {last_msn} of the old one");
    assert_eq!(report.renditions[0].discontinuities, 0, "a new broadcast begins without the old one's past");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_publisher_takes_over_and_the_first_is_told_and_kept_out() {
    let fixture = looped().fixture().await;
    let tags = flv::read(&fixture.path);
    let server = Server::start(&[]).await;
    let mut first = Peer::connect(server.rtmp).await.unwrap();
    first.publish("live", "studio").await.unwrap();
    let sending = tokio::spawn({
        let tags = tags.clone();
        async move {
            let sent = first.send(&tags, |t| t.timestamp).await;
            (first, sent)
        }
    });
    live(&server, "studio").await;
    let before = stream(&server, "studio").await.unwrap();
    let checking = tokio::spawn({
        let options = Options {
            watch: Duration::from_secs(12),
            probes: false,
            ..Options::new(server.playlist("studio"))
        };
        millrace_hls_checker::run(options)
    });
    tokio::time::sleep(Duration::from_secs(4)).await;
    // The second publisher is somewhere else in the same media.
    let _winner = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let (mut first, sent) =
        tokio::time::timeout(SOON, sending).await.expect("the first publisher is cut off").unwrap();
    assert!(sent.is_err(), "the first publisher could send everything");
    let told = first.next_status().await.expect("the first publisher is told why");
    assert!(told.code.starts_with("NetStream.") && told.description.len() > 20, "{told:?}");
    eprintln!("the loser reads: {told:?}");
    // OBS would reconnect by itself: it must not take the channel back.
    let mut again = Peer::connect(server.rtmp).await.unwrap();
    let refused = match again.publish("live", "studio").await {
        Err(refused) => refused,
        Ok(()) => {
            // Refused at the latest when its first keyframe comes.
            let _ = again.send(&tags[..200], |t| t.timestamp).await;
            again.next_status().await.expect("the loser's retry is refused")
        }
    };
    assert_eq!(refused.code, "NetStream.Publish.Denied", "{refused:?}");
    let report = checking.await.unwrap().unwrap();
    assert!(report.passed(), "{report}");
    assert!(report.renditions[0].discontinuities >= 1, "{report}");
    let after = stream(&server, "studio").await.unwrap();
    assert_eq!(before["broadcast"], after["broadcast"], "a takeover continues the broadcast");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_recovers_by_itself_when_the_server_is_killed_and_started_again() {
    let fixture = looped().fixture().await;
    let _share = share().await;
    let server = Server::start(&[]).await;
    // An encoder that reconnects, as OBS does.
    let reconnecting = tokio::spawn({
        let (file, url) = (fixture.path.clone(), server.publish_url("studio"));
        async move {
            loop {
                let mut ffmpeg = Ffmpeg::publish_for_ever(&file, &url);
                ffmpeg.finished(Duration::from_secs(300)).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    });
    live(&server, "studio").await;
    let edge_before = edge(&server, "studio").await;
    let page = Viewer::page(&server.url("/@studio")).await;
    page.plays_for(4.0, SOON).await;
    // Twice within seconds: the second broadcast is hardly begun when the third takes its place.
    let server = server.restart_after_kill(&[]).await;
    page.plays_for(2.0, Duration::from_secs(30)).await;
    let server = server.restart_after_kill(&[]).await;
    page.plays_for(5.0, Duration::from_secs(30)).await;
    let edge_after = edge(&server, "studio").await;
    assert!(edge_after > edge_before, "msn {edge_before} before the restart, {edge_after} after");
    let navigations = page.samples().iter().filter_map(|s| s["navigations"].as_u64()).max();
    assert_eq!(navigations, Some(1), "the page was loaded again");
    server.assert_calm();
    reconnecting.abort();
}

/// First media sequence number of the main rendition.
async fn edge(server: &Server, channel: &str) -> u64 {
    let url = server.url(&format!("/live/{channel}/main/index.m3u8"));
    until("a media playlist", SOON, || async {
        let text = crate::http::get(&url).await.ok()?.text().await.ok()?;
        text.lines().find_map(|l| l.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")?.parse().ok())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_killed_in_the_middle_of_a_message_leaves_whole_parts() {
    let fixture = looped().fixture().await;
    let tags = flv::read(&fixture.path);
    let server = Server::start(&[("MILLRACE_INGEST__RECONNECT_WINDOW", "2s")]).await;
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    peer.publish("live", "studio").await.unwrap();
    let checking = tokio::spawn(millrace_hls_checker::run(Options {
        watch: Duration::from_secs(20),
        probes: false,
        ..Options::new(server.playlist("studio"))
    }));
    let until_cut: Vec<_> = tags.iter().filter(|t| t.timestamp < 5_000).cloned().collect();
    peer.send(&until_cut, |t| t.timestamp).await.unwrap();
    let next = tags.iter().find(|t| t.timestamp >= 5_000 && t.kind == 9).unwrap();
    let bytes = crate::rtmp_peer::message_bytes(6, 9, 1, next.timestamp, &next.body, 60_000);
    peer.raw(&bytes[..bytes.len() / 2]).await.unwrap();
    drop(peer);
    let report = checking.await.unwrap().unwrap();
    assert!(report.passed(), "{report}");
    assert!(report.renditions[0].ended, "{report}");
    let sent = until_cut.iter().filter(|t| t.kind == 9 && !t.is_header()).count() as u64;
    assert_eq!(report.renditions[0].video_samples, sent, "{report}");
    assert!(!report.by_rule().contains_key(&Rule::Mp4));
    server.assert_calm();
}
