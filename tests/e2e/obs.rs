//! A real OBS Studio under Xvfb.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use millrace_hls_checker::Options;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::browser::looped;
use crate::node::Viewer;
use crate::server::{Server, scratch};
use crate::wait::{quiet, until};

/// OBS's start with software rendering on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running OBS with its own display and settings; both end when it is dropped.
struct Obs {
    child: Child,
    _display: Child,
    _home: TempDir,
    log: PathBuf,
}

/// What is set in OBS under Settings > Output.
struct Encoder {
    /// Seconds between keyframes; 0 is "auto" (every 250 frames).
    keyframe_interval: u32,
}

impl Obs {
    /// Starts streaming a media file to a server and key at 640x360.
    async fn stream(server: &str, key: &str, encoder: &Encoder, media: &Path) -> Self {
        let (home, folder) = scratch("millrace-obs");
        write_settings(&folder.join("config/obs-studio"), server, key, encoder, media);
        let mut display = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("xvfb is installed");
        let mut number = String::new();
        BufReader::new(display.stdout.take().unwrap()).read_line(&mut number).await.unwrap();
        let log = folder.join("obs.log");
        let child = Command::new("obs")
            .args(["--startstreaming", "--multi", "--minimize-to-tray", "--disable-updater"])
            .args(["--disable-missing-files-check", "--profile", "millrace"])
            .args(["--collection", "millrace", "--scene", "Scene"])
            .env("DISPLAY", format!(":{}", number.trim()))
            .env("HOME", &folder)
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_RUNTIME_DIR", &folder)
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("QT_QPA_PLATFORM", "xcb")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(std::fs::File::options().append(true).open(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .expect("obs-studio is installed");
        Self { child, _display: display, _home: home, log }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for Obs {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- OBS's log\n{}", self.log());
        }
    }
}

/// The files that OBS would write after a person went through its settings.
fn write_settings(folder: &Path, server: &str, key: &str, encoder: &Encoder, media: &Path) {
    let profile = folder.join("basic/profiles/millrace");
    let scenes = folder.join("basic/scenes");
    std::fs::create_dir_all(&profile).unwrap();
    std::fs::create_dir_all(&scenes).unwrap();
    let write = |path: PathBuf, text: String| std::fs::write(path, text).unwrap();
    // FirstRun=true means that the first run has happened: no wizard.
    write(
        folder.join("global.ini"),
        "[General]\nFirstRun=true\nEnableAutoUpdates=false\nMaxLogs=1\n[BasicWindow]\nSysTrayEnabled=false\n\
         WarnBeforeStartingStream=false\nWarnBeforeStoppingStream=false\n[Basic]\nProfile=millrace\n\
         ProfileDir=millrace\nSceneCollection=millrace\nSceneCollectionFile=millrace\n"
            .to_owned(),
    );
    write(
        profile.join("basic.ini"),
        "[General]\nName=millrace\n[Video]\nBaseCX=640\nBaseCY=360\nOutputCX=640\nOutputCY=360\nFPSType=0\n\
         FPSCommon=30\n[Audio]\nSampleRate=48000\nChannelSetup=Stereo\n[Output]\nMode=Advanced\nReconnect=true\n\
         RetryDelay=2\nMaxRetries=5\n[AdvOut]\nEncoder=obs_x264\nTrackIndex=1\nApplyServiceSettings=false\n\
         [Stream1]\nIgnoreRecommended=true\n"
            .to_owned(),
    );
    let service = json!({ "type": "rtmp_custom", "settings": {
        "server": server, "key": key, "use_auth": false, "bwtest": false } });
    write(profile.join("service.json"), service.to_string());
    let settings = json!({ "rate_control": "CBR", "bitrate": 700, "keyint_sec": encoder.keyframe_interval,
        "preset": "ultrafast", "profile": "main", "tune": "" });
    write(profile.join("streamEncoder.json"), settings.to_string());
    let clip = json!({ "id": "ffmpeg_source", "versioned_id": "ffmpeg_source", "name": "Clip", "settings": {
        "is_local_file": true, "local_file": media, "looping": true, "hw_decode": false,
        "close_when_inactive": false, "restart_on_activate": false } });
    let scene = json!({ "id": "scene", "versioned_id": "scene", "name": "Scene", "settings": {
        "custom_size": false, "id_counter": 1,
        "items": [{ "id": 1, "name": "Clip", "visible": true, "locked": false, "rot": 0.0,
            "pos": { "x": 0.0, "y": 0.0 }, "scale": { "x": 1.0, "y": 1.0 }, "align": 5, "bounds_type": 0 }] } });
    let collection = json!({ "name": "millrace", "current_scene": "Scene", "current_program_scene": "Scene",
        "scene_order": [{ "name": "Scene" }], "sources": [clip, scene], "groups": [], "transitions": [],
        "current_transition": "Cut", "transition_duration": 300 });
    write(scenes.join("millrace.json"), collection.to_string());
}

async fn stream(server: &Server, channel: &str) -> Option<Value> {
    let answer = crate::http::get(server.url(&format!("/api/v1/streams/{channel}"))).await.ok()?;
    if answer.status() == 200 { answer.json().await.ok() } else { None }
}

#[tokio::test(flavor = "multi_thread")]
async fn obs_with_a_keyframe_every_two_seconds_plays() {
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    let server = Server::start(&[]).await;
    let address = format!("rtmp://{}/live", server.rtmp);
    let encoder = Encoder { keyframe_interval: 2 };
    let mut obs = Obs::stream(&address, "obs_room", &encoder, &fixture.path).await;
    until("OBS is live", START, || stream(&server, "obs_room")).await;
    // OBS and Chromium together are more than two cores do in time: first the rules, then the picture.
    let report = millrace_hls_checker::run(Options {
        watch: Duration::from_secs(14),
        ..Options::new(server.playlist("obs_room"))
    })
    .await
    .unwrap();
    eprintln!("OBS: {report}");
    assert!(report.passed(), "{report}");
    let live = until("OBS's keyframe interval is measured", START, || async {
        stream(&server, "obs_room").await.filter(|s| s["health"]["video"]["keyframe_interval"].is_number())
    })
    .await;
    let video = &live["health"]["video"];
    assert!(video["keyframe_interval"].as_f64().is_some_and(|i| (i - 2.0).abs() < 0.1), "{video}");
    assert!(live["encoder"].as_str().is_some_and(|e| e.to_lowercase().contains("obs")), "{live}");
    let page = Viewer::page(&server.url("/@obs_room")).await;
    page.plays_for(4.0, Duration::from_secs(40)).await;
    drop(page);
    obs.kill().await;
    until("the drop is noticed", Duration::from_secs(15), || async {
        stream(&server, "obs_room").await.filter(|s| s["state"] == "interrupted")
    })
    .await;
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn obs_on_keyframe_auto_plays_and_the_streamer_is_warned() {
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    let server = Server::start(&[]).await;
    let address = format!("rtmp://{}/live", server.rtmp);
    let _obs = Obs::stream(&address, "obs_auto", &Encoder { keyframe_interval: 0 }, &fixture.path).await;
    until("OBS is live", START, || stream(&server, "obs_auto")).await;
    let report = millrace_hls_checker::run(Options {
        watch: Duration::from_secs(20),
        ..Options::new(server.playlist("obs_auto"))
    })
    .await
    .unwrap();
    eprintln!("OBS on auto: {report}");
    assert!(report.passed(), "{report}");
    let warned = until("the streamer is warned", START, || async {
        let live = stream(&server, "obs_auto").await?;
        let warnings = live["health"]["warnings"].as_array()?.clone();
        warnings.into_iter().find(|w| w["code"] == "keyframe_interval_long")
    })
    .await;
    assert!(warned["sentence"].as_str().is_some_and(|s| s.contains('2')), "{warned}");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn obs_with_a_wrong_key_logs_the_sentence_that_says_why() {
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    let server = Server::start(&[]).await;
    let address = format!("rtmp://{}/live", server.rtmp);
    let encoder = Encoder { keyframe_interval: 2 };
    let obs = Obs::stream(&address, "No Such Key!", &encoder, &fixture.path).await;
    let log = until("OBS logs the refusal", START, || async {
        let log = obs.log();
        log.contains("NetStream.Publish.Denied").then_some(log)
    })
    .await;
    let line = log.lines().find(|l| l.contains("NetStream.Publish.Denied")).unwrap();
    eprintln!("OBS logs: {line}");
    assert!(log.contains("stream key") || log.contains("3 to 25"), "{log}");
    assert!(stream(&server, "obs_room").await.is_none());
}
