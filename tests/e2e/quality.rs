//! Which picture the page plays: what saves data, what was chosen by hand, and that a choice is kept.

use std::time::Duration;

use serde_json::Value;

use crate::fixtures::{PLAIN, Recipe, Video};
use crate::ladder::{ALWAYS, fetch, transcoder};
use crate::publisher::Ffmpeg;
use crate::server::Server;
use crate::wait::{quiet, until};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn the_page_saves_data_unless_told_otherwise_and_keeps_what_was_chosen() {
    // Half as many pictures as usual: they are decoded here twice, and encoded three times.
    let video = |size| Some(Video { size, rate: "15", gop: 30, ..PLAIN });
    let large = Recipe::new("large", 60, video("1280x720"), true).fixture().await;
    let small = Recipe::new("small", 60, video("640x360"), true).fixture().await;
    let _quiet = quiet().await;
    let rungs = "[{height=480,bitrate=900000,max_frame_rate=30},{height=360,bitrate=500000},{height=240,bitrate=300000}]";
    let server = Server::start(&[
        ALWAYS,
        ("MILLRACE_TRANSCODE__LADDER__RUNGS", rungs),
        ("MILLRACE_TRANSCODE__LADDER__PRESET", "ultrafast"),
        ("MILLRACE_TRANSCODE__LADDER__MAX_CPU_PERCENT", "400"),
    ])
    .await;
    let _publisher = Ffmpeg::publish_for_ever(&large.path, &server.publish_url("studio"));
    let _other = Ffmpeg::publish_for_ever(&small.path, &server.publish_url("other"));
    for channel in ["studio", "other"] {
        until("the broadcast runs", SOON, || fetch(server.playlist(channel))).await;
        transcoder(&server, channel, 1).await;
    }
    let (origin, shots) = (server.url(""), std::env::var("MILLRACE_TEST_SHOTS").unwrap_or_default());
    let said = crate::node::run("quality.mjs", &["--origin", &origin, "--shots", &shots]).await;
    let heights = |step: &str| -> Vec<u64> {
        let line =
            said.iter().find(|line| line["step"] == step).unwrap_or_else(|| panic!("{step}: {said:?}"));
        line["heights"].as_array().unwrap().iter().filter_map(Value::as_u64).collect()
    };
    // The line carries everything, but who saves data is not given all of it.
    let saver = heights("saver");
    assert!(saver.last() == Some(&480) && saver.iter().all(|height| *height <= 480), "{said:?}");
    assert_eq!(heights("saver, 720p by hand").last(), Some(&720), "{said:?}");
    assert_eq!(heights("saver, reloaded"), [720], "{said:?}");
    assert_eq!(heights("240p by hand").last(), Some(&240), "{said:?}");
    assert_eq!(heights("reloaded"), [240], "{said:?}");
    assert_eq!(heights("another channel"), [240], "{said:?}");
    server.assert_calm();
}
