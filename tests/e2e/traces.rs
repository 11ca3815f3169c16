//! Traces: from a publish to its parts, and from a request over the bus to who carries it out.

use std::time::Duration;

use serde_json::json;

use crate::browser::looped;
use crate::collector::{Collector, Seen};
use crate::publisher::Ffmpeg;
use crate::streamer::{KEYS, SOON, Streamer};
use crate::topology;
use crate::wait::until;

const COLLECTOR_SECRET: &str = "only-the-collector-knows";
const QUERY_SECRET: &str = "what-somebody-looks-for";
const PATH_SECRET: &str = "a-playback-token-of-somebody";

fn named(name: &str) -> impl Fn(&Seen) -> bool {
    move |seen| seen.span.name == name
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_is_traced_to_its_parts_and_a_stop_over_the_bus() {
    let fixture = looped().fixture().await;
    let collector = Collector::start().await;
    let endpoint = collector.endpoint();
    let headers = format!("authorization=Bearer%20{COLLECTOR_SECRET}");
    let traced = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("MILLRACE_HLS__TRACE_PARTS", "2"),
        (
            "MILLRACE_LOG",
            "debug,h2=info,hyper=info,hyper_util=info,rustls=info,mongodb=info,librdkafka=info,rdkafka=info",
        ),
    ];
    let ada = Streamer::new(&[KEYS, &traced].concat()).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    let (_, key) = ada.key().await;
    let mut publisher = Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(&key));
    ada.live().await;
    ada.ask("GET", &format!("/streams?category={QUERY_SECRET}"), None).await;
    let with_token = ada.server.url(&format!("/t/{PATH_SECRET}/live/studio/index.m3u8"));
    crate::http::get(with_token).await.unwrap();
    let parts = || async {
        let parts = collector.spans().into_iter().filter(named("part")).count();
        (parts >= 3).then_some(())
    };
    until("some parts are traced", SOON, parts).await;
    assert_eq!(ada.ask("POST", "/channels/studio/stream/stop", None).await.0, 202);
    ada.over().await;
    publisher.finished(SOON).await;

    // The publish and what is in it.
    let publish = collector.find("the publish", SOON, named("publish")).await;
    assert!(publish.span.parent_span_id.is_empty());
    assert_eq!(
        (publish.service.as_str(), publish.attribute("stream.id").as_deref()),
        ("millrace", Some("studio"))
    );
    for event in ["accepted", "feed granted", "evicted"] {
        assert!(publish.events().contains(&event), "{event}: {:?}", publish.events());
    }
    let inside = |seen: &Seen| seen.is_child_of(&publish);
    collector.find("the question", SOON, |seen| named("authorise")(seen) && inside(seen)).await;
    let parts: Vec<_> = collector.spans().into_iter().filter(named("part")).collect();
    assert!(parts.iter().all(inside), "{parts:?}");
    assert_eq!(
        parts.iter().filter(|part| part.attribute("part.first").as_deref() == Some("true")).count(),
        1
    );
    assert!(parts.iter().all(|part| part.took() < Duration::from_secs(5)), "{parts:?}");
    let started = |seen: &Seen| named("send stream.started.v1")(seen) && inside(seen);
    let started = collector.find("the start is said", SOON, started).await;
    let heard = |seen: &Seen| {
        named("process stream.started.v1")(seen) && seen.is_child_of(&started) && seen.is_linked_to(&started)
    };
    let heard = collector.find("somebody hears it", SOON, heard).await;
    assert!(heard.attribute("messaging.consumer.group.name").is_some());

    // The request and what it leads to, at another process if there is one.
    let stop = collector.find("the request", SOON, named("POST /api/v1/channels/{name}/stream/stop")).await;
    assert!(stop.span.parent_span_id.is_empty());
    assert_eq!(stop.attribute("http.response.status_code").as_deref(), Some("202"));
    let order = |seen: &Seen| named("send stream.stop.v1")(seen) && seen.is_child_of(&stop);
    let order = collector.find("its order", SOON, order).await;
    let obeyed = |seen: &Seen| {
        let by_ingest = seen.attribute("messaging.consumer.group.name").as_deref() == Some("ingest");
        by_ingest && seen.is_child_of(&order) && seen.is_linked_to(&order)
    };
    let obeyed = collector.find("ingest obeys", SOON, obeyed).await;
    assert_eq!(obeyed.node != stop.node, topology::is_split());
    let ended = |seen: &Seen| named("send stream.ended.v1")(seen) && seen.is_child_of(&obeyed);
    collector.find("and says so", SOON, ended).await;

    // The id that the answer had is in the log of who obeyed.
    let id = stop.attribute("request.id").unwrap();
    let log = ada.server.logged("an order came").expect("it is logged");
    assert!(log.contains(&id), "{id}: {log}");
    let trace: String = stop.span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(log.contains(&trace), "{trace}: {log}");

    // Nobody's secrets, and no media beside the parts.
    let everything = format!("{:?}", collector.spans());
    for secret in [key.as_str(), ada.token(), COLLECTOR_SECRET, QUERY_SECRET, PATH_SECRET, "/live/studio"] {
        assert!(!everything.contains(secret), "{secret} is in a span");
    }
    for secret in [key.as_str(), ada.token(), COLLECTOR_SECRET] {
        assert!(!ada.server.log().contains(secret), "{secret} is in the log");
    }
    let bearer = format!("Bearer {COLLECTOR_SECRET}");
    assert!(collector.authorizations().iter().all(|shown| *shown == bearer));
    assert!(!collector.authorizations().is_empty());
    ada.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_hurts_nobody() {
    let fixture = looped().fixture().await;
    // Nobody listens there any more.
    let endpoint = Collector::start().await.endpoint();
    let ada = Streamer::new(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("MILLRACE_HLS__TRACE_PARTS", "1"),
    ])
    .await;
    let mut publisher = Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url("studio"));
    ada.live().await;
    let lost = "millrace_trace_spans_total{outcome=\"failed\"}";
    let more_than = async |spans: f64| {
        until("spans are lost", SOON, || async { (ada.server.metric(lost).await? > spans).then_some(()) })
            .await;
    };
    more_than(0.0).await;
    more_than(ada.server.metric(lost).await.unwrap()).await;
    until("it can be watched", SOON, || async {
        let answer = crate::http::get(ada.server.playlist("studio")).await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
    let said = ada.server.log().matches("the collector does not take traces").count();
    let processes = if topology::is_split() { 3 } else { 1 };
    assert!((1..=processes).contains(&said), "each process says it once, {said} times it is there");
    ada.server.assert_calm();
    publisher.kill().await;
    ada.server.stop().await;
}
