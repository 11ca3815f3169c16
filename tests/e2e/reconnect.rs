//! Publishers that drop, come back, take over, and a server that dies.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use millrace_hls_checker::{Options, Report, Rule};
use serde_json::Value;

use crate::browser::looped;
use crate::node::Viewer;
use crate::publisher::Ffmpeg;
use crate::rtmp_peer::{Peer, flv};
use crate::server::Server;
use crate::wait::{quiet, until};

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
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    let server = Server::start(&[]).await;
    let outcomes = join_all([("gone1", 1u64), ("gone10", 10), ("gone25", 25)].map(|(channel, away)| {
        let (server, file) = (&server, &fixture.path);
        async move { away_and_back(server, file, channel, away).await }
    }))
    .await;
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    server.assert_calm();
}

async fn away_and_back(server: &Server, file: &Path, channel: &str, away: u64) -> Result<(), String> {
    let mut first = Ffmpeg::publish_for_ever(file, &server.publish_url(channel));
    live(server, channel).await;
    let before = stream(server, channel).await;
    // Both players for the longest absence, which includes the troubles of the shorter ones; the strict checker always.
    let players = if away == 25 {
        let (page, playlist) = (server.url(&format!("/@{channel}")), server.playlist(channel));
        let (stock, ours) = tokio::join!(Viewer::stock(&playlist), Viewer::page(&page));
        stock.plays_for(3.0, SOON).await;
        ours.plays_for(3.0, SOON).await;
        vec![stock, ours]
    } else {
        Vec::new()
    };
    let checking = tokio::spawn({
        let url = server.playlist(channel);
        async move {
            let watch = Duration::from_secs(away + 18);
            let options = Options { watch, wait: SOON, probes: false, ..Options::new(url) };
            millrace_hls_checker::run(options).await
        }
    });
    tokio::time::sleep(Duration::from_secs(6)).await;
    first.kill().await;
    until("the stream is interrupted", SOON, || async {
        stream(server, channel).await.filter(|s| s["state"] == "interrupted")
    })
    .await;
    tokio::time::sleep(Duration::from_secs(away)).await;
    let _second = Ffmpeg::publish_for_ever(file, &server.publish_url(channel));
    let after = until("the stream is live again", SOON, || async {
        stream(server, channel).await.filter(|s| s["state"] == "live")
    })
    .await;
    let mut wrong = Vec::new();
    if before.is_some_and(|b| b["broadcast"] != after["broadcast"]) {
        wrong.push("another broadcast after the publisher came back".to_owned());
    }
    for player in &players {
        player.plays_for(5.0, Duration::from_secs(20)).await;
        player.assert_never_went_back();
    }
    let report = checking.await.unwrap().map_err(|e| format!("{channel}: {e:#}"))?;
    eprintln!("{channel}: {report}");
    if !report.passed() {
        wrong.push(report.to_string());
    }
    let main = &report.renditions[0];
    if main.discontinuities == 0 || main.ended {
        wrong.push(format!("{} discontinuities, ended {}", main.discontinuities, main.ended));
    }
    if away >= 10 && main.gaps == 0 {
        wrong.push("no gap segments while the publisher was away".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{channel}: {}", wrong.join("\n"))) }
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
    let _quiet = quiet().await;
    let server = Server::start(&[]).await;
    let publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    live(&server, "studio").await;
    let edge_before = edge(&server, "studio").await;
    let page = Viewer::page(&server.url("/@studio")).await;
    page.plays_for(4.0, SOON).await;
    drop(publisher);
    let server = server.restart_after_kill(&[]).await;
    // An encoder that reconnects: ffmpeg is started again and again until the server takes it.
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    page.plays_for(5.0, Duration::from_secs(30)).await;
    let edge_after = edge(&server, "studio").await;
    assert!(edge_after > edge_before, "msn {edge_before} before the restart, {edge_after} after");
    let navigations = page.samples().iter().filter_map(|s| s["navigations"].as_u64()).max();
    assert_eq!(navigations, Some(1), "the page was loaded again");
    server.assert_calm();
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
