//! A thousand viewers who say that they watch, counted over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{sleep, sleep_until};

use crate::browser::looped;
use crate::publisher::Ffmpeg;
use crate::streamer::{KEYS, SOON, Streamer};
use crate::wait::{quiet, until};

const VIEWERS: u64 = 1_000;
/// Connections that they share.
const CONNECTIONS: u64 = 20;
/// Within this a change of the audience is to be seen.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// The viewers of one connection: each beats when the answer before said, until it is one of those who left.
async fn watch(url: String, first: u64, staying: Arc<AtomicU64>) {
    let client = crate::http::client().build().unwrap();
    let mut due: Vec<(tokio::time::Instant, u64)> = (first..VIEWERS)
        .step_by(usize::try_from(CONNECTIONS).unwrap())
        .map(|viewer| (tokio::time::Instant::now(), viewer))
        .collect();
    while let Some((at, viewer)) = due.iter().copied().min() {
        sleep_until(at).await;
        due.retain(|(_, other)| *other != viewer);
        if viewer >= staying.load(Relaxed) {
            continue;
        }
        // Spread over all bits, as random numbers are.
        let number = viewer.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let beat = json!({ "viewer": format!("{number:016x}") });
        let answer: Value = client.post(&url).json(&beat).send().await.unwrap().json().await.unwrap();
        let next = answer["next_beat"].as_u64().unwrap();
        due.push((tokio::time::Instant::now() + Duration::from_secs(next), viewer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_viewers_are_counted_within_a_tenth_and_five_seconds() {
    let fixture = looped().fixture().await;
    let _quiet = quiet().await;
    let ada = Streamer::new(KEYS).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    let (_, key) = ada.key().await;
    let publisher = Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(&key));
    ada.live().await;
    let counted = || async { ada.ask("GET", "/streams/studio", None).await.1["viewers"].as_u64().unwrap() };
    let near = |wanted: u64, counted: u64| counted.abs_diff(wanted) * 10 <= wanted;

    let staying = Arc::new(AtomicU64::new(VIEWERS));
    let url = ada.server.url("/api/v1/streams/studio/beats");
    let watching =
        (0..CONNECTIONS).map(|first| tokio::spawn(watch(url.clone(), first, Arc::clone(&staying))));
    let watching: Vec<_> = watching.collect();
    let here = || async { Some(counted().await).filter(|counted| near(VIEWERS, *counted)) };
    until("all are counted", KNOWN_WITHIN, here).await;
    let begun = Instant::now();
    while begun.elapsed() < KNOWN_WITHIN {
        let counted = counted().await;
        assert!(near(VIEWERS, counted), "{counted} of {VIEWERS} after {:?}", begun.elapsed());
        sleep(Duration::from_millis(500)).await;
    }
    staying.store(VIEWERS / 4, Relaxed);
    let left = || async { Some(counted().await).filter(|counted| near(VIEWERS / 4, *counted)) };
    until("those who left are not counted", KNOWN_WITHIN, left).await;
    staying.store(0, Relaxed);
    join_all(watching).await;

    drop(publisher);
    assert_eq!(ada.ask("POST", "/channels/studio/stream/stop", None).await.0, 202);
    let past = until("the broadcast is in the history", SOON, || async {
        let (_, page) = ada.ask("GET", "/channels/studio/broadcasts", None).await;
        page["items"][0]["ended_at"].is_string().then(|| page["items"][0].clone())
    })
    .await;
    assert!(near(VIEWERS, past["peak_viewers"].as_u64().unwrap()), "{past}");
    ada.server.assert_calm();
}
