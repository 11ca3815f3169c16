//! Processes with a role each: whatever one does, the others know.

use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::browser::looped;
use crate::node::Viewer;
use crate::publisher::Ffmpeg;
use crate::server::{Process, with_roles};
use crate::streamer::SOON;
use crate::topology::Shared;
use crate::wait::{quiet, until};

/// A cluster of processes.
struct Cluster {
    shared: Shared,
    data: TempDir,
}

impl Cluster {
    async fn new() -> Self {
        Self { shared: Shared::new().await, data: TempDir::new().unwrap() }
    }

    async fn start(&self, roles: &str) -> Process {
        let mut settings = self.shared.settings();
        settings.push(("MILLRACE_INGEST__RECONNECT_WINDOW", "20s"));
        Process::start(with_roles(self.data.path(), &settings, roles)).await
    }
}

/// The channel as a process of the API shows it.
async fn stream(api: &Process) -> Option<Value> {
    let answer = crate::http::get(api.url("/api/v1/streams/studio")).await.ok()?;
    if answer.status() == 200 { answer.json().await.ok() } else { None }
}

async fn live(api: &Process) -> Value {
    until("the API shows it", SOON, || stream(api)).await
}

async fn over(api: &Process) {
    until("the API shows it no more", SOON, || async { stream(api).await.is_none().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_had_ends_for_everyone_when_its_lease_does() {
    let fixture = looped().fixture().await;
    let cluster = Cluster::new().await;
    let (api, other, mut ingest) =
        tokio::join!(cluster.start("api"), cluster.start("api,worker"), cluster.start("ingest"));
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &ingest.publish_url("studio"));
    live(&api).await;
    live(&other).await;
    // A process that starts now learns what is live.
    let late = cluster.start("api").await;
    live(&late).await;
    ingest.kill().await;
    for process in [&api, &other, &late] {
        over(process).await;
        process.assert_calm();
    }
    until("they say why", SOON, || async { other.log().contains("is not heard of any more").then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_asks_once_for_all_its_viewers_what_another_one_has() {
    const VIEWERS: usize = 50;
    const PARTS: u64 = 6;
    let fixture = looped().fixture().await;
    let cluster = Cluster::new().await;
    let (api, mut ingest) = tokio::join!(cluster.start("api,worker"), cluster.start("ingest"));
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &ingest.publish_url("studio"));
    live(&api).await;
    let playlist =
        |process: &Process, query: &str| process.url(&format!("/live/studio/main/index.m3u8{query}"));
    let newest =
        async |url: String| crate::http::get(url).await.unwrap().error_for_status().ok()?.text().await.ok();
    until("the process that has it shows a part", SOON, || async {
        newest(playlist(&ingest, "")).await.filter(|text| text.contains("#EXT-X-PART:"))
    })
    .await;
    let text = newest(playlist(&api, "")).await.expect("the other one shows it, too");
    let first = next_part(&text);
    let before = asked(&ingest).await;
    // Each follows the hints, as players do.
    let viewers = (0..VIEWERS).map(|_| async {
        for number in first..first + PARTS {
            let name = part_name(&text, number);
            let answer = crate::http::get(api.url(&format!("/live/studio/main/{name}"))).await.unwrap();
            assert_eq!(answer.status(), 200, "{name}");
            assert!(!answer.bytes().await.unwrap().is_empty());
        }
    });
    futures_util::future::join_all(viewers).await;
    assert_eq!(asked(&ingest).await - before, PARTS as f64, "one request for each part");
    // And a picture, of which the process of the API hears.
    let thumbnail = until("the other one lists a thumbnail", SOON, || async {
        stream(&api).await?["thumbnail_url"].as_str().map(str::to_owned)
    })
    .await;
    let thumbnail = crate::http::get(api.url(&thumbnail)).await.unwrap();
    assert_eq!(
        (thumbnail.status().as_u16(), thumbnail.headers()["content-type"].to_str().unwrap()),
        (200, "image/jpeg")
    );
    let served = api.metric("millrace_hop_requests_total").await.unwrap();
    assert!(served >= (VIEWERS as u64 * PARTS) as f64, "{served}");
    ingest.kill().await;
    over(&api).await;
    assert_eq!(crate::http::get(playlist(&api, "")).await.unwrap().status(), 404);
    api.assert_calm();
}

/// Requests for parts that a process was asked for.
async fn asked(process: &Process) -> f64 {
    process.metric("millrace_hls_requests_total{kind=\"part\",status=\"2xx\"}").await.unwrap_or_default()
}

/// The number of the part that a playlist hints.
fn next_part(playlist: &str) -> u64 {
    let hint = playlist.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT")).unwrap();
    let (_, name) = hint.split_once("URI=\"").unwrap();
    let (_, number) = name.split_once("-p").unwrap();
    number.split_once('.').unwrap().0.parse().unwrap()
}

/// What a part of the same broadcast is called.
fn part_name(playlist: &str, number: u64) -> String {
    let (_, name) = playlist.split_once("URI=\"").unwrap();
    format!("{}-p{number}.m4s", name.split_once('-').unwrap().0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_at_another_process_takes_over_and_the_loser_is_kept_out_everywhere() {
    let fixture = looped().fixture().await;
    let cluster = Cluster::new().await;
    let (api, one, two) =
        tokio::join!(cluster.start("api,worker"), cluster.start("ingest"), cluster.start("ingest"));
    let publish = |process: &Process| Ffmpeg::publish_for_ever(&fixture.path, &process.publish_url("studio"));
    let mut first = publish(&one);
    let before = live(&api).await;
    let _second = publish(&two);
    let said = first.finished(SOON).await.1;
    assert!(said.contains("Another encoder has taken over channel studio"), "{said}");
    for process in [&one, &two] {
        let said = publish(process).finished(SOON).await.1;
        assert!(said.contains("Another encoder has taken over channel studio"), "{said}");
    }
    until("the API shows the new broadcast", SOON, || async {
        let now = stream(&api).await?;
        (now["broadcast"] != before["broadcast"]).then_some(())
    })
    .await;
    until("the first process has let go of it", SOON, || async {
        (one.metric("millrace_streams").await == Some(0.0)).then_some(())
    })
    .await;
    assert!(stream(&api).await.is_some(), "it goes on");
    for process in [&api, &one, &two] {
        process.assert_calm();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_may_start_at_once_on_an_empty_store() {
    let cluster = Cluster::new().await;
    let start = || cluster.start("api,worker");
    let (one, two, three, four) = tokio::join!(start(), start(), start(), start());
    for process in [one, two, three, four] {
        process.assert_calm();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_goes_on_by_itself_when_the_encoder_comes_back_to_another_process() {
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    let cluster = Cluster::new().await;
    let (api, mut one, two) =
        tokio::join!(cluster.start("api,worker"), cluster.start("ingest"), cluster.start("ingest"));
    let publish = |process: &Process| Ffmpeg::publish_for_ever(&fixture.path, &process.publish_url("studio"));
    let mut first = publish(&one);
    live(&api).await;
    let page = Viewer::page(&api.url("/@studio")).await;
    page.plays_for(4.0, SOON).await;
    one.kill().await;
    first.finished(SOON).await;
    let back = Instant::now();
    let _second = publish(&two);
    page.plays_for(1.0, SOON).await;
    eprintln!(
        "the page plays {:.1} s after the encoder is back at another process",
        back.elapsed().as_secs_f64()
    );
    page.plays_for(5.0, SOON).await;
    page.assert_never_went_back();
    api.assert_calm();
}
