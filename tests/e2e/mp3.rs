//! Publishers whose sound is MP3: it becomes AAC by the transcoder, and is refused where there is none.

use std::time::Duration;

use bytes::Bytes;
use tokio::process::Command;

use crate::decode::{decode, sounds_in};
use crate::fixtures::{PLAIN, Recipe};
use crate::publisher::Ffmpeg;
use crate::rtmp_peer::Peer;
use crate::server::{Server, scratch};
use crate::slowed;
use crate::wait::{share, until};

const SOON: Duration = Duration::from_secs(20);
/// What the log says when a process of the transcoder begins.
const BEGUN: &str = "sends MP3, which becomes AAC";

fn film() -> Recipe {
    Recipe::new("mp3", 10, Some(PLAIN), true).with_mp3()
}

#[tokio::test(flavor = "multi_thread")]
async fn mp3_is_heard_as_aac_beside_its_picture() {
    all_is_heard(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_transcoder_takes_long_to_start_and_behaves_as_on_a_busy_machine() {
    // A second until it is there, and what it says comes half a second late.
    let (_folder, slow) = slowed::transcoder(
        "sleep 1",
        "while (sysread(STDIN, $chunk, 65536)) { select(undef, undef, undef, 0.5); syswrite(STDOUT, $chunk) }",
    );
    all_is_heard(&[("MILLRACE_TRANSCODE__PROGRAM", slow.to_str().unwrap())]).await;
}

async fn all_is_heard(settings: &[(&str, &str)]) {
    let fixture = film().fixture().await;
    let _share = share().await;
    let server = Server::start(settings).await;
    let mut publisher = Ffmpeg::publish(&fixture.path, &server.publish_url("radio"));
    let (status, said) = publisher.finished(Duration::from_secs(40)).await;
    assert!(status.success(), "{said}");
    let playlist = server.url("/live/radio/main/index.m3u8");
    until("the end of the broadcast", SOON, || async {
        let text = crate::http::get(&playlist).await.ok()?.text().await.ok()?;
        text.contains("#EXT-X-ENDLIST").then_some(())
    })
    .await;
    let (_folder, data) = scratch("millrace-mp3");
    tokio::fs::create_dir_all(&data).await.unwrap();
    let served = data.join("served.mp4");
    let copy = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-live_start_index", "0", "-i", &playlist, "-c", "copy"])
        .arg(&served)
        .output()
        .await
        .unwrap();
    assert!(copy.status.success(), "{}", String::from_utf8_lossy(&copy.stderr));
    assert_eq!(decode(&served).await, Ok(300));
    // 430 frames are ten seconds; the first and the last may be lost.
    let sounds = sounds_in(&served).await;
    assert!((420..=432).contains(&sounds), "{sounds} frames of sound");
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name,start_time", "-of", "csv=p=0"])
        .arg(&served)
        .output()
        .await
        .unwrap();
    let streams = String::from_utf8_lossy(&probe.stdout).into_owned();
    let starts: Vec<f64> = streams.lines().filter_map(|line| line.rsplit(',').next()?.parse().ok()).collect();
    assert!(streams.contains("h264") && streams.contains("aac") && starts.len() == 2, "{streams}");
    assert!((starts[0] - starts[1]).abs() < 0.1, "{streams}");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcoder_that_dies_costs_sound_for_a_moment() {
    let fixture = film().fixture().await;
    let _share = share().await;
    let server = Server::start(&[]).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("radio"));
    let begun = |times: usize| {
        let log = server.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(BEGUN)).map(str::to_owned).collect();
        lines.get(times).cloned()
    };
    let line = until("the transcoder", SOON, async || begun(0)).await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let pid = line["fields"]["pid"].to_string();
    let killed = Command::new("kill").args(["-9", pid.trim_matches('"')]).status().await.unwrap();
    assert!(killed.success());
    until("another transcoder", SOON, async || begun(1)).await;
    let playlist = server.url("/live/radio/main/index.m3u8");
    let text = crate::http::get(&playlist).await.unwrap().text().await.unwrap();
    assert!(!text.contains("#EXT-X-ENDLIST") && !text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_transcoder_mp3_is_refused_with_what_is_missing() {
    let server = Server::start(&[("MILLRACE_TRANSCODE__PROGRAM", "/nowhere/millrace-transcoder")]).await;
    for (key, frame) in [("legacy", &b"\x2f\xff\xfb\x90\x64"[..]), ("enhanced", b"\x91.mp3\xff\xfb\x90\x64")]
    {
        let mut peer = Peer::connect(server.rtmp).await.unwrap();
        peer.publish("live", key).await.unwrap();
        for index in 0..20 {
            let _ = peer.message(6, 8, 1, 26 * index, &Bytes::copy_from_slice(frame)).await;
        }
        let refused = peer.next_status().await.unwrap_or_else(|| panic!("{key}: closed without a word"));
        assert_eq!(refused.code, "NetStream.Publish.Denied", "{key}: {refused:?}");
        let sentence = &refused.description;
        assert!(
            sentence.contains("millrace-transcoder") && sentence.contains("choose AAC"),
            "{key}: {sentence}"
        );
    }
}
