//! Rungs: what viewers of slower lines get, by the same strict rules, and what becomes of it when its transcoder dies.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use millrace_hls_checker::Options;
use serde_json::{Value, json};

use crate::decode::decode;
use crate::fixtures::{PLAIN, Recipe, Video};
use crate::publisher::Ffmpeg;
use crate::rtmp_peer::flv;
use crate::server::{Server, scratch};
use crate::streamer::{KEYS, Streamer};
use crate::wait::{quiet, share, until};

pub(crate) const SOON: Duration = Duration::from_secs(20);
/// Below the fixtures' 640x360 and 480x270.
pub(crate) const RUNGS: (&str, &str) = (
    "MILLRACE_TRANSCODE__LADDER__RUNGS",
    "[{height=240,bitrate=400000},{height=144,bitrate=200000,max_frame_rate=60}]",
);
pub(crate) const ALWAYS: (&str, &str) = ("MILLRACE_TRANSCODE__LADDER__MODE", "always");
const ON_DEMAND: (&str, &str) = ("MILLRACE_TRANSCODE__LADDER__MODE", "on_demand");
/// Seconds of media of those that the checker watches.
const SECONDS: u32 = 34;

pub(crate) async fn fetch(url: String) -> Option<String> {
    let answer = crate::http::get(url).await.ok()?;
    if answer.status().as_u16() == 200 { answer.text().await.ok() } else { None }
}

/// The transcoders that the server started for a channel, oldest first.
pub(crate) fn started(server: &Server, channel: &str) -> Vec<u64> {
    let log = server.log();
    let message = format!("the rungs of {channel} are made");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let made = lines.filter(|line| line["fields"]["message"] == message);
    made.filter_map(|line| line["fields"]["pid"].as_u64()).collect()
}

/// Waits for the `nth` transcoder of a channel, and lets it be no nicer than what is built or tested beside: rungs that are shed
/// because of that are another test's.
pub(crate) async fn transcoder(server: &Server, channel: &str, nth: usize) -> u64 {
    let what = format!("transcoder {nth} of {channel} is started");
    let pid = until(&what, SOON, || async { started(server, channel).get(nth - 1).copied() }).await;
    // Its group has all its threads. Only root may; without, the machine should have nothing else to do.
    let _ = std::process::Command::new("renice").args(["-n", "0", "-g", &pid.to_string()]).output();
    pid
}

fn signal(pid: u64, name: &str) {
    let sent = std::process::Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// The newest segments of a rendition, at most so many, as a file: those of its newest init segment.
pub(crate) async fn media(server: &Server, rendition: &str, most: usize) -> Option<Vec<u8>> {
    let at = |file: &str| server.url(&format!("/live/studio/{rendition}/{file}"));
    let list = fetch(at("index.m3u8")).await?;
    let (mut init, mut segments, mut gap) = (None, Vec::new(), false);
    for line in list.lines() {
        if let Some(uri) = line.strip_prefix("#EXT-X-MAP:URI=\"") {
            (init, segments) = (Some(uri.trim_end_matches('"')), Vec::new());
        }
        gap |= line == "#EXT-X-GAP";
        if !line.starts_with('#') && line.ends_with(".m4s") && !std::mem::take(&mut gap) {
            segments.push(line);
        }
    }
    let newest = segments.len().saturating_sub(most);
    let mut media = Vec::new();
    for file in
        std::iter::once(init?).chain(segments.get(newest..).filter(|all| !all.is_empty())?.iter().copied())
    {
        media.extend(crate::http::get(at(file)).await.ok()?.bytes().await.ok()?);
    }
    Some(media)
}

/// Height of the newest pictures of a rendition, by what ffprobe reads of its newest segment.
pub(crate) async fn height(server: &Server, rendition: &str) -> Option<u32> {
    let media = media(server, rendition, 1).await?;
    let (_folder, kept) = scratch("millrace-rung");
    let file = kept.join("newest.mp4");
    std::fs::write(&file, media).ok()?;
    height_of(&file).await
}

/// Lines of the pictures of a file.
pub(crate) async fn height_of(file: &Path) -> Option<u32> {
    let output = tokio::process::Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries", "stream=height", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .await
        .ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

pub(crate) async fn shows(server: &Server, rendition: &str, wanted: u32) {
    let what = format!("{rendition} shows pictures of {wanted} lines");
    until(&what, SOON, || async { (height(server, rendition).await == Some(wanted)).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rungs_play_by_the_rules_and_lose_no_frame() {
    let video = |name, rate, gop, b_frames| {
        Recipe::new(name, SECONDS, Some(Video { rate, gop, b_frames, ..PLAIN }), true)
    };
    let recipes = [
        ("bframes", video("bframes", "30", 60, 3)),
        // Segments that begin without a keyframe of the source have one in the rungs.
        ("gop250", video("gop250", "30", 250, 0)),
        ("fast", video("fast", "60000/1001", 120, 0)),
    ];
    let mut fixtures = Vec::new();
    for (name, recipe) in recipes {
        fixtures.push((name, recipe.fixture().await));
    }
    let (_folder, kept) = scratch("millrace-rungs");
    let _quiet = quiet().await;
    let server = Server::start(&[RUNGS, ALWAYS]).await;
    let watched = fixtures.iter().map(async |(channel, fixture)| {
        let folder = kept.join(channel);
        std::fs::create_dir_all(&folder).unwrap();
        let options = Options {
            watch: Duration::from_secs(u64::from(SECONDS) + 10),
            wait: Duration::from_secs(15),
            save: Some(folder),
            ..Options::new(server.playlist(channel))
        };
        let mut publisher = Ffmpeg::publish(&fixture.path, &server.publish_url(channel));
        let watched = millrace_hls_checker::run(options);
        let (report, _) = tokio::join!(watched, transcoder(&server, channel, 1));
        let report = report.unwrap();
        publisher.finished(Duration::from_secs(20)).await;
        (*channel, report, flv::read(&fixture.path))
    });
    for (channel, report, tags) in join_all(watched).await {
        assert!(report.passed(), "{channel}: {report}");
        assert_eq!(report.renditions.len(), 4, "{channel}: main, audio, 240p and 144p");
        let frames = tags.iter().filter(|tag| tag.kind == 9 && !tag.is_header()).count() as u64;
        for rung in &report.renditions[2..] {
            assert_eq!(rung.video_samples, frames, "{channel}: {}", rung.name);
            assert_eq!(rung.inits, 1, "{channel}: {} never showed the source", rung.name);
            assert!(rung.ended, "{channel}: {}", rung.name);
            assert_eq!(rung.audio_samples, report.renditions[0].audio_samples, "{channel}: {}", rung.name);
            let mut decoded = 0;
            for file in &rung.saved {
                decoded += decode(file).await.unwrap();
            }
            assert_eq!(decoded, frames, "{channel}: {}", rung.name);
        }
    }
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rung_is_made_while_somebody_watches_it() {
    let fixture = crate::browser::looped().fixture().await;
    let _share = share().await;
    let linger = ("MILLRACE_TRANSCODE__LADDER__LINGER", "3s");
    let server = Server::start(&[RUNGS, ON_DEMAND, linger]).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let list = until("the broadcast runs", SOON, || fetch(server.playlist("studio"))).await;
    assert!(list.contains("RESOLUTION=426x240") && list.contains("\n240p/index.m3u8"), "{list}");
    assert_eq!(height(&server, "main").await.unwrap_or(360), 360);
    assert_eq!(started(&server, "studio"), [0u64; 0], "nobody asked for a rung");

    // Whoever asks first gets the source until the rung is there.
    shows(&server, "240p", 240).await;
    assert_eq!(started(&server, "studio").len(), 1);
    let gone = || async { server.logged("no rungs of studio are made now") };
    until("it is made no more when nobody asks", SOON, gone).await;
    shows(&server, "144p", 144).await;
    assert_eq!(started(&server, "studio").len(), 2);
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_with_a_ladder_of_its_own_is_beside_one_with_that_of_the_site() {
    let fixture = crate::browser::looped().fixture().await;
    let _share = share().await;
    let no_window = ("MILLRACE_INGEST__RECONNECT_WINDOW", "0s");
    let ada = Streamer::new(&[KEYS, &[RUNGS, ON_DEMAND, no_window]].concat()).await;
    let server = &ada.server;
    let mut publishers = Vec::new();
    let mut keys = Vec::new();
    for channel in ["studio", "garage"] {
        assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": channel }))).await.0, 201);
        keys.push(ada.key_of(channel).await.1);
    }
    let edit =
        async |ladder: Value| ada.ask("PATCH", "/channels/studio", Some(json!({ "ladder": ladder }))).await;
    assert_eq!(edit(json!({ "mode": "off" })).await.0, 200);
    let (status, refusal) = edit(json!({ "mode": "always" })).await;
    assert!(status == 403 && refusal["detail"].as_str().unwrap().contains("admin"), "{status} {refusal}");
    for key in &keys {
        publishers.push(Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url(key)));
    }
    let rungs = async |channel: &str| {
        let what = format!("{channel} runs");
        let list = until(&what, SOON, || fetch(server.playlist(channel))).await;
        let names = list.lines().filter_map(|line| line.strip_suffix("p/index.m3u8"));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rungs("studio").await, [""; 0]);
    assert_eq!(rungs("garage").await, ["240", "144"]);

    // The broadcast that runs keeps what it has; the next one has what was chosen.
    let (status, channel) = edit(json!({ "mode": "site", "rungs": ["144p"] })).await;
    let effective = json!({ "mode": "on_demand", "rungs": ["144p"] });
    assert_eq!((status, &channel["ladder"]["effective"]), (200, &effective));
    assert_eq!(rungs("studio").await, [""; 0]);
    drop(publishers.remove(0));
    ada.over().await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url(&keys[0]));
    ada.live().await;
    assert_eq!(rungs("studio").await, ["144"]);
    tokio::join!(shows(server, "144p", 144), transcoder(server, "studio", 1));
    assert_eq!(rungs("garage").await, ["240", "144"]);
    assert_eq!(started(server, "garage"), [0u64; 0], "nobody asked for one of that");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transcoder_that_is_killed_or_stopped_costs_rungs_for_a_moment_and_the_broadcast_nothing() {
    let fixture = crate::browser::looped().fixture().await;
    let _share = share().await;
    let server = Server::start(&[RUNGS, ALWAYS]).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let mut pid = transcoder(&server, "studio", 1).await;
    let options = Options {
        watch: Duration::from_secs(45),
        wait: Duration::from_secs(15),
        probes: false,
        ..Options::new(server.playlist("studio"))
    };
    // The broadcast itself is watched all the time: not a part of it may be late or missing.
    let watching = tokio::spawn(millrace_hls_checker::run(options));
    shows(&server, "240p", 240).await;
    for (name, nth) in [("KILL", 2), ("STOP", 3)] {
        signal(pid, name);
        pid = transcoder(&server, "studio", nth).await;
        shows(&server, "240p", 240).await;
        shows(&server, "144p", 144).await;
    }
    assert!(server.logged("the transcoder of studio does not answer").is_some());
    let report = watching.await.unwrap().unwrap();
    let of_source = |at: &str| at.contains("/main/") || at.contains("/audio/");
    let broken: Vec<_> = report.findings.iter().filter(|finding| of_source(&finding.at)).collect();
    assert!(broken.is_empty(), "{broken:?}");
    for source in &report.renditions[..2] {
        assert!(source.gaps <= 3, "only those before the broadcast: {report}");
        assert!(source.cadence_max < Duration::from_secs(2), "{report}");
    }
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_player_goes_down_and_up_with_the_line() {
    let fixture = crate::browser::looped().fixture().await;
    let _quiet = quiet().await;
    let server = Server::start(&[RUNGS, ALWAYS]).await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    until("the broadcast runs", SOON, || fetch(server.playlist("studio"))).await;
    transcoder(&server, "studio", 1).await;
    let (origin, shots) = (server.url(""), std::env::var("MILLRACE_TEST_SHOTS").unwrap_or_default());
    // The source has 0.8 Mbit/s and its sound; how soon is for `make bench`.
    let arguments = ["--origin", &origin, "--channel", "studio", "--slow", "450000", "--shots", &shots];
    let said = crate::node::run("ladder.mjs", &arguments).await;
    let height = |line: &str| {
        let of = said.iter().find(|said| said["event"] == "line" && said["line"] == line).unwrap();
        assert!(of["reached"].is_number(), "{line}: {said:?}");
        of["height"].as_u64()
    };
    assert_eq!((height("fast"), height("fast-again")), (Some(360), Some(360)));
    assert!(height("slow") < Some(360));
    server.assert_calm();
}
