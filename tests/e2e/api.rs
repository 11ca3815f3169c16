//! What the server says of itself and of its broadcasts.

use std::time::Duration;

use serde_json::Value;

use crate::browser::looped;
use crate::publisher::Ffmpeg;
use crate::server::Server;
use crate::topology::is_split;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(20);

async fn json(url: &str) -> Value {
    crate::http::get(url).await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_version_streams_and_metrics_say_what_is_true() {
    let fixture = looped().fixture().await;
    let server = Server::start(&[]).await;
    assert_eq!(json(&server.url("/healthz")).await["status"], "ok");
    assert_eq!(json(&server.url("/readyz")).await["ready"], true);
    assert_eq!(json(&server.url("/version")).await["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json(&server.url("/api/v1/streams")).await["items"], serde_json::json!([]));
    let missing = crate::http::get(server.url("/api/v1/streams/studio")).await.unwrap();
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.headers()["content-type"], "application/problem+json");
    let description = json(&server.url("/api/openapi.json")).await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"), "{}", description["openapi"]);
    let public = crate::http::get(server.url("/metrics")).await.unwrap();
    let content_type = public.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(public.status() == 404 || content_type.starts_with("text/html"), "metrics are not public");

    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let measured = until("the keyframe interval is measured", SOON, || async {
        let stream = json(&server.url("/api/v1/streams/studio")).await;
        stream["health"]["video"]["keyframe_interval"].is_number().then_some(stream)
    })
    .await;
    assert_eq!(measured["channel"], "studio");
    assert_eq!(measured["state"], "live");
    assert_eq!(measured["playback_url"], "/live/studio/index.m3u8");
    let video = &measured["health"]["video"];
    assert_eq!((&video["width"], &video["height"]), (&640.into(), &360.into()), "{video}");
    assert!(video["codec"].as_str().unwrap().starts_with("avc1."), "{video}");
    assert_eq!(video["b_frames"], false, "{video}");
    let near = |value: &Value, want: f64, by: f64| value.as_f64().is_some_and(|v| (v - want).abs() <= by);
    assert!(near(&video["keyframe_interval"], 2.0, 0.05), "{video}");
    let audio = &measured["health"]["audio"];
    assert_eq!(
        (&audio["codec"], &audio["sample_rate"], &audio["channels"]),
        (&"mp4a.40.2".into(), &48_000.into(), &2.into())
    );
    let settled = until("frame rate and bit rate have settled", SOON, || async {
        let stream = json(&server.url("/api/v1/streams/studio")).await;
        let video = &stream["health"]["video"];
        (near(&video["frame_rate"], 30.0, 0.5) && near(&video["bitrate"], 700_000.0, 350_000.0))
            .then_some(stream)
    })
    .await;
    assert_eq!(settled["health"]["warnings"], serde_json::json!([]), "{settled}");
    // A viewer is counted while it watches.
    let playlist = server.url("/live/studio/main/index.m3u8");
    let viewers = until("a viewer is counted", SOON, || async {
        crate::http::get(&playlist).await.ok()?;
        json(&server.url("/api/v1/streams/studio")).await["viewers"].as_u64().filter(|n| *n > 0)
    })
    .await;
    assert_eq!(viewers, 1);
    for (line, least, most) in [
        ("millrace_streams ", 1.0, 1.0),
        ("millrace_publishers ", 1.0, 1.0),
        // Counted by who has the broadcast: another process asks it once for all of its viewers.
        ("millrace_viewers", if is_split() { 0.0 } else { 1.0 }, 1.0),
        ("millrace_ingest_bytes_total ", 100_000.0, f64::MAX),
        ("millrace_hls_bytes_total{kind=\"playlist\"", 500.0, f64::MAX),
        ("millrace_part_latency_seconds_count", 5.0, f64::MAX),
        ("millrace_rtmp_connections_total", 1.0, f64::MAX),
        ("millrace_hls_requests_total", 2.0, f64::MAX),
    ] {
        until(line, SOON, || async { server.metric(line).await.filter(|v| (least..=most).contains(v)) })
            .await;
    }
    let count = server.metric("millrace_part_latency_seconds_count").await.unwrap();
    let sum = server.metric("millrace_part_latency_seconds_sum").await.unwrap();
    eprintln!("part latency: {:.2} ms on average over {count} parts", 1000.0 * sum / count);
    assert!(sum / count < 0.05, "{} s from the last tag of a part to the part", sum / count);
    server.assert_calm();
}
