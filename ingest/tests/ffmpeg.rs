//! A real publisher: what ffmpeg sends arrives whole, in every form of address.

#[path = "support/server.rs"]
mod server;
#[path = "support/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use millrace_ingest::Config;
use server::Server;

/// Two seconds of 25 frames each, keyframe every second, as fast as they go.
fn ffmpeg(address: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2"]);
    command.args(["-f", "lavfi", "-i", "sine=r=48000:d=2", "-c:v", "libx264", "-preset", "ultrafast"]);
    command.args(["-g", "25", "-bf", "0", "-c:a", "aac", "-f", "flv", address]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_publishes_under_every_form_of_address() {
    let mut server = Server::start(Config::default()).await;
    for path in ["live/studio", "live/studio?token=1", "live//studio"] {
        let publisher =
            ffmpeg(&format!("rtmp://{}/{path}", server.address)).spawn().expect("ffmpeg is installed");
        let mut broadcast = server.opened().await;
        assert_eq!(broadcast.channel.as_str(), "studio");
        let mut counts = BTreeMap::<String, usize>::new();
        loop {
            let item = broadcast.next().await;
            let word = item.split(' ').next().unwrap_or_default().to_owned();
            let last = word == "closed";
            *counts.entry(word).or_default() += 1;
            if last {
                break;
            }
        }
        let count = |word: &str| counts.get(word).copied().unwrap_or(0);
        assert_eq!(count("key") + count("video"), 50, "{path}: {counts:?}");
        assert_eq!((count("key"), count("header"), count("joined")), (2, 1, 1), "{path}: {counts:?}");
        assert!(count("audio") > 90 && count("script") >= 1, "{path}: {counts:?}");
        assert_eq!((count("left"), count("ended")), (1, 1), "{path}: ffmpeg unpublishes at its end");
        let output = publisher.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!([server.event().await, server.event().await], ["started", "ended Unpublished"]);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_shows_why_it_was_turned_away() {
    let server = Server::start(Config::default()).await;
    for (path, sentence) in
        [("live/No-Key", "no channel name"), ("show/studio", "There is no such application here")]
    {
        let address = format!("rtmp://{}/{path}", server.address);
        let output = tokio::task::spawn_blocking(move || ffmpeg(&address).output()).await.expect("no panic");
        let output = output.expect("ffmpeg is installed");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(sentence), "{path}: {errors}");
    }
    server.stop().await;
}
