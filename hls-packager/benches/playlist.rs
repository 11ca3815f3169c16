//! What a part costs to publish, a playlist to render, and a waiting viewer to answer.
#![expect(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

#[path = "live.rs"]
mod live;

use std::hint::black_box;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use futures_util::poll;
use http_body_util::BodyExt;
use live::Live;
use millrace_core::playback::Access;
use millrace_hls_packager::origin::{Broadcast, router};
use millrace_hls_packager::window::Form;
use millrace_hls_packager::{Origin, OriginConfig};
use tower::ServiceExt;

/// Viewers who wait for one part.
const VIEWERS: usize = 1000;

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
    let broadcast = Broadcast::new(live::ID, "r4nd0m1234".into(), &live.window).unwrap();
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
        let config = OriginConfig { max_blocked_requests: VIEWERS, ..OriginConfig::default() };
        let origin = Origin::new(config);
        let broadcast = Arc::new(Broadcast::new(live::ID, "r4nd0m1234".into(), &live.window).unwrap());
        let studio = "studio".parse().unwrap();
        origin.catalog().announce(&studio, Access::Open);
        origin.catalog().go_live(&studio, &broadcast);
        let service = router(origin.clone());
        group.bench_function(name, |b| {
            b.iter(|| {
                runtime.block_on(async {
                    let (msn, part) = live::position(live.parts);
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
