//! What a part costs to publish, a playlist to render, and a waiting viewer to answer.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use futures_util::poll;
use http_body_util::BodyExt;
use millrace_hls_packager::Origin;
use millrace_hls_packager::model::{Opened, Output, Part, RenditionId, RenditionInfo, SegmentStarted};
use millrace_hls_packager::origin::{Broadcast, View, router};
use millrace_hls_packager::window::{Form, Window, WindowConfig, WindowStart};
use tower::ServiceExt;

const PART: Duration = Duration::from_micros(333_333);
const PARTS_PER_SEGMENT: u64 = 6;
/// Viewers who wait for one part.
const VIEWERS: usize = 1000;

/// A broadcast of 2.5 Mbit/s that has filled its window: `main` and `audio`, parts of 333 ms, segments of 2 s.
struct Live {
    window: Window,
    parts: u64,
    at: jiff::Timestamp,
    body: Bytes,
}

impl Live {
    fn new() -> Self {
        let rendition = |name, codecs: &[&str]| RenditionInfo {
            name,
            part_target: Duration::from_millis(334),
            codecs: codecs.iter().map(ToString::to_string).collect(),
            resolution: None,
            frame_rate: None,
        };
        let renditions =
            vec![rendition("main", &["avc1.64001f", "mp4a.40.2"]), rendition("audio", &["mp4a.40.2"])];
        let config = WindowConfig { window: None, memory_cap_bytes: u64::MAX };
        let mut window =
            Window::new(config, WindowStart { prefix: "r4nd0m1234".into(), first_msn: 1_795_230_000 });
        window.apply(Output::Opened(Opened { target_duration: 4, renditions })).unwrap();
        let at = "2026-11-21T03:00:00Z".parse().unwrap();
        let mut live = Self { window, parts: 0, at, body: Bytes::from(vec![0; 104_000]) };
        (0..400).for_each(|_| live.part());
        live
    }

    fn part(&mut self) {
        let first = self.parts.is_multiple_of(PARTS_PER_SEGMENT);
        if first {
            if self.parts > 0 {
                self.window.apply(Output::SegmentEnded).unwrap();
            }
            let init = vec![(self.parts == 0).then(|| Bytes::from_static(b"init")); 2];
            let started =
                SegmentStarted { program_date_time: self.at, discontinuity: false, gap: false, init };
            self.window.apply(Output::SegmentStarted(started)).unwrap();
        }
        for rendition in [0, 1] {
            let part = Part {
                rendition: RenditionId(rendition),
                duration: PART,
                independent: first || rendition == 1,
                body: self.body.clone(),
                arrived: None,
            };
            self.window.apply(Output::Part(part)).unwrap();
        }
        self.parts += 1;
        self.at += PART;
    }

    fn view(&self) -> View {
        View::new(self.window.snapshot(RenditionId(0)).unwrap())
    }
}

fn render(c: &mut Criterion) {
    let live = Live::new();
    let mut group = c.benchmark_group("playlist");
    for (name, form, gzip) in [
        ("full", Form::Full, false),
        ("delta", Form::Delta, false),
        ("full_gzip", Form::Full, true),
        ("delta_gzip", Form::Delta, true),
    ] {
        group.throughput(Throughput::Bytes(live.view().playlist(form, false).body.len() as u64));
        group.bench_function(name, |b| {
            b.iter_batched(
                || live.view(),
                |view| black_box(view.playlist(form, gzip).body.len()),
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn publish(c: &mut Criterion) {
    let mut live = Live::new();
    let broadcast = Broadcast::new("r4nd0m1234".into(), &live.window).unwrap();
    c.bench_function("publish_part_nobody_watches", |b| {
        b.iter(|| {
            live.part();
            broadcast.publish(&live.window);
        });
    });
}

/// From the publication of a part to the last of 1,000 answers: route, wait, wake, answer, body. No sockets.
fn blocked_reloads(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = c.benchmark_group("blocked_reload");
    group.throughput(Throughput::Elements(VIEWERS as u64));
    group.sample_size(20);
    for (name, skip) in [("full", ""), ("delta", "&_HLS_skip=YES")] {
        let mut live = Live::new();
        let origin = Origin::new(VIEWERS);
        let broadcast = Arc::new(Broadcast::new("r4nd0m1234".into(), &live.window).unwrap());
        origin.catalog().go_live(&"studio".parse().unwrap(), &broadcast);
        let service = router(origin.clone());
        group.bench_function(name, |b| {
            b.iter(|| {
                runtime.block_on(async {
                    let (segment, part) = (live.parts / PARTS_PER_SEGMENT, live.parts % PARTS_PER_SEGMENT);
                    let msn = 1_795_230_003 + segment;
                    let uri = format!("/live/studio/main/index.m3u8?_HLS_msn={msn}&_HLS_part={part}{skip}");
                    let ask = || {
                        let request = Request::get(uri.as_str()).body(Body::empty()).unwrap();
                        let answer = service.clone().oneshot(request);
                        async { answer.await.unwrap().into_body().collect().await.unwrap().to_bytes().len() }
                    };
                    let mut all = Box::pin(join_all((0..VIEWERS).map(|_| ask())));
                    assert!(poll!(&mut all).is_pending() && origin.waiting() == VIEWERS);
                    live.part();
                    broadcast.publish(&live.window);
                    black_box(all.await);
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, render, publish, blocked_reloads);
criterion_main!(benches);
