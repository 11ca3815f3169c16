//! Thumbnails, storyboards, and what is told of a black or a still picture.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::browser::looped;
use crate::fixtures::Recipe;
use crate::publisher::Ffmpeg;
use crate::server::Server;
use crate::streamer::SOON;
use crate::wait::{share, until};

/// As often as it may be.
const OFTEN: &[(&str, &str)] = &[("MILLRACE_TRANSCODE__THUMBNAIL_INTERVAL", "2s")];

/// A picture file as ffmpeg reads it: width, height and mean colour.
async fn picture(file: &[u8]) -> (usize, usize, [u8; 3]) {
    let read = async |filter: &str| {
        let mut ffmpeg = Command::new("ffmpeg")
            .args([
                "-v", "error", "-i", "pipe:0", "-vf", filter, "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("ffmpeg is installed");
        let mut input = ffmpeg.stdin.take().unwrap();
        let (_, output) = tokio::join!(
            async {
                let _ = input.write_all(file).await;
                drop(input);
            },
            ffmpeg.wait_with_output()
        );
        output.unwrap().stdout
    };
    // One row and one column of each tell the size.
    let width = read("format=rgb24,crop=iw:1:0:0").await.len() / 3;
    let height = read("format=rgb24,crop=1:ih:0:0").await.len() / 3;
    let mean = read("format=rgb24,scale=1:1:flags=area").await;
    (width, height, mean.try_into().expect("it is a picture"))
}

async fn get(server: &Server, path: &str) -> Option<reqwest::Response> {
    crate::http::get(server.url(path)).await.ok().filter(|answer| answer.status() == 200)
}

/// The tag of the newest thumbnail.
async fn tag(server: &Server) -> Option<String> {
    let answer = get(server, "/live/studio/thumb.jpg").await?;
    Some(answer.headers()["etag"].to_str().unwrap().to_owned())
}

/// Waits for another thumbnail than that.
async fn another(server: &Server, than: &str, within: Duration) -> String {
    until("another thumbnail", within, || async { tag(server).await.filter(|tag| tag != than) }).await
}

/// Waits until the broadcast has this warning, or until it has it no more.
async fn warning(server: &Server, code: &str, there: bool) -> Option<Value> {
    let what = if there { "the warning comes" } else { "the warning goes" };
    until(&format!("{code}: {what}"), SOON, || async {
        let stream: Value = get(server, "/api/v1/streams/studio").await?.json().await.ok()?;
        let found =
            stream["health"]["warnings"].as_array()?.iter().find(|warning| warning["code"] == code).cloned();
        (found.is_some() == there).then_some(found)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn thumbnails_are_of_what_is_sent_and_a_picture_that_is_black_or_still_is_told_and_forgiven() {
    let graph = "color=c=0xd02020:s=960x540:r=30:d=14[a];testsrc2=s=960x540:r=30:d=6[b];\
                 color=c=black:s=960x540:r=30:d=14[c];testsrc2=s=960x540:r=30:d=10[d];[a][b][c][d]concat=n=4";
    let fixture = Recipe::of("red-moving-black", graph).fixture().await;
    let _share = share().await;
    let server = Server::start(OFTEN).await;
    let problem = crate::http::get(server.url("/live/studio/thumb.jpg")).await.unwrap();
    assert_eq!((problem.status().as_u16(), problem.headers()["retry-after"].to_str().unwrap()), (404, "1"));
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));

    let first = until("there is a thumbnail", SOON, || tag(&server)).await;
    for (name, width, height) in [
        ("thumb.jpg", 640, 360),
        ("thumb.webp", 640, 360),
        ("thumb-320.webp", 320, 180),
        // Never larger than the source.
        ("thumb-1280.jpg", 960, 540),
    ] {
        let file = get(&server, &format!("/live/studio/{name}")).await.unwrap().bytes().await.unwrap();
        let (found_width, found_height, [red, green, blue]) = picture(&file).await;
        assert_eq!((found_width, found_height), (width, height), "{name}");
        let near = |found: u8, wanted: u8| found.abs_diff(wanted) < 16;
        assert!(near(red, 0xd0) && near(green, 0x20) && near(blue, 0x20), "{name}: {red} {green} {blue}");
    }
    // A keyframe comes every second: two intervals, and time to make and to notice it.
    another(&server, &first, Duration::from_secs(7)).await;
    let listed = until("the list has it", SOON, || async {
        let list: Value = get(&server, "/api/v1/streams").await?.json().await.ok()?;
        list["items"][0]["thumbnail_url"].as_str().map(str::to_owned)
    })
    .await;
    assert!(listed.starts_with("/live/studio/thumb.jpg?v="), "{listed}");
    assert!(get(&server, &listed).await.is_some());

    let still = warning(&server, "picture_still", true).await.unwrap();
    assert!(still["sentence"].as_str().unwrap().contains("has not changed for"), "{still}");
    warning(&server, "picture_still", false).await;
    warning(&server, "picture_black", true).await;
    warning(&server, "picture_black", false).await;

    let index = get(&server, "/live/studio/storyboard.vtt?format=webp").await.unwrap().text().await.unwrap();
    assert!(index.starts_with("WEBVTT\n\n00:00:0"), "{index}");
    let (sprite, place) = index.lines().find_map(|line| line.split_once('#')).unwrap();
    assert_eq!(place, "xywh=0,0,160,90");
    let file = get(&server, &format!("/live/studio/{sprite}")).await.unwrap().bytes().await.unwrap();
    let (width, height, _) = picture(&file).await;
    assert!(width == 800 && height % 90 == 0, "{width}x{height}");
    server.stop().await;
}

/// The process that makes the thumbnails of a server.
fn stills_process(server: &Server) -> Option<u32> {
    let parents = server.ids();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(|id: &u32| {
            let read = |file: &str| std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
            let parent =
                read("stat").rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
            parent.is_some_and(|parent| parents.contains(&parent)) && read("cmdline").contains("\0stills\0")
        })
}

fn signal(id: u32, name: &str) {
    let sent =
        std::process::Command::new("kill").args([format!("-{name}"), id.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_thumbnails_that_is_killed_or_stopped_costs_nothing_but_time() {
    let fixture = looped().fixture().await;
    let server = Server::start(OFTEN).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let mut newest = until("there is a thumbnail", SOON, || tag(&server)).await;
    for name in ["KILL", "STOP"] {
        let id = until("there is a process", SOON, || async { stills_process(&server) }).await;
        signal(id, name);
        // One that hangs is given five seconds, and its broadcast is left out for ten.
        newest = another(&server, &newest, Duration::from_secs(40)).await;
        newest = another(&server, &newest, Duration::from_secs(40)).await;
        assert_ne!(stills_process(&server), Some(id), "{name}");
    }
    assert!(server.log().contains("another one is started in 1 s"));
    let playlist = get(&server, "/live/studio/main/index.m3u8").await.unwrap().text().await.unwrap();
    assert!(!playlist.contains("EXT-X-DISCONTINUITY\n") && !playlist.contains("GAP=YES"), "{playlist}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_of_thumbnails_ends_when_nobody_is_live_and_another_one_serves_who_comes_then() {
    let fixture = looped().fixture().await;
    let server = Server::start(OFTEN).await;
    let publish = || Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let mut publisher = publish();
    let newest = until("there is a thumbnail", SOON, || tag(&server)).await;
    let first = stills_process(&server).unwrap();
    publisher.kill().await;
    // The minute, and a keyframe that was offered last.
    let gone = || async { stills_process(&server).is_none().then_some(()) };
    until("it ends", Duration::from_secs(75), gone).await;
    assert!(!server.log().contains("makes no thumbnails"), "nothing went wrong");
    let _publisher = publish();
    another(&server, &newest, SOON).await;
    assert_ne!(stills_process(&server), Some(first));
    server.stop().await;
}
