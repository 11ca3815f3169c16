//! The hot path of the media side: demux, fragment writer, and the whole packager per second of a 2.5 Mbit/s stream.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use millrace_core::flv::{FlvTag, TagKind};
use millrace_core::time::RtmpMillis;
use millrace_hls_packager::cmaf::fragment::{Run, Sample, write_fragment};
use millrace_hls_packager::demux::Demuxer;
use millrace_hls_packager::packager::{Packager, PackagerConfig, PackagerStart};

const RECORD: &[u8] = include_bytes!("../tests/fixtures/avc_640x360_30.avcc");
const FRAME_BYTES: usize = 2_500_000 / 8 / 30;
const SOUND_BYTES: usize = 160_000 / 8 * 1024 / 48_000;

fn tag(kind: TagKind, millis: u32, body: Vec<u8>) -> FlvTag {
    FlvTag { kind, timestamp: RtmpMillis(millis), body: body.into() }
}

fn headers() -> [FlvTag; 2] {
    [
        tag(TagKind::Video, 0, [&[0x17, 0, 0, 0, 0], RECORD].concat()),
        tag(TagKind::Audio, 0, vec![0xaf, 0, 0x11, 0x90]),
    ]
}

fn picture(n: u32) -> FlvTag {
    let key = n.is_multiple_of(60);
    let mut body = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    body.extend_from_slice(&u32::try_from(FRAME_BYTES - 4).expect("small").to_be_bytes());
    body.push(if key { 0x65 } else { 0x41 });
    body.resize(5 + FRAME_BYTES, 0x5a);
    tag(TagKind::Video, n * 1000 / 30, body)
}

fn sound(n: u32) -> FlvTag {
    let mut body = vec![0xaf, 1];
    body.resize(2 + SOUND_BYTES, 0x5a);
    tag(TagKind::Audio, n * 1024 / 48, body)
}

/// Tags of some seconds in the order of time.
fn seconds(seconds: u32) -> Vec<FlvTag> {
    let mut tags: Vec<_> =
        (0..30 * seconds).map(picture).chain((0..seconds * 48_000 / 1024).map(sound)).collect();
    tags.sort_by_key(|tag| tag.timestamp.0);
    tags
}

fn demux(c: &mut Criterion) {
    let mut group = c.benchmark_group("demux");
    group.throughput(Throughput::Bytes((FRAME_BYTES + 5) as u64));
    let mut demuxer = Demuxer::default();
    let mut found = Vec::new();
    for header in headers() {
        demuxer.demux(&header, &mut found).expect("valid");
    }
    let picture = picture(1);
    group.bench_function("picture", |b| {
        b.iter(|| {
            found.clear();
            demuxer.demux(black_box(&picture), &mut found).expect("valid");
        });
    });
    group.finish();
}

fn fragment(c: &mut Criterion) {
    let sample = |bytes: usize, duration, sync| Sample {
        duration,
        composition: 0,
        sync,
        data: Bytes::from(vec![0x5a; bytes]),
    };
    let video: Vec<_> = (0..10).map(|n| sample(FRAME_BYTES, 3000, n == 0)).collect();
    let audio: Vec<_> = (0..16).map(|_| sample(SOUND_BYTES, 1024, true)).collect();
    let mut group = c.benchmark_group("fragment");
    group.throughput(Throughput::Bytes((10 * FRAME_BYTES + 16 * SOUND_BYTES) as u64));
    group.bench_function("part of 333 ms", |b| {
        b.iter(|| {
            let runs = [
                Run { track: 1, decode_time: 900_000, samples: black_box(&video) },
                Run { track: 2, decode_time: 480_000, samples: black_box(&audio) },
            ];
            write_fragment(7, &runs)
        });
    });
    group.finish();
}

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn packager(c: &mut Criterion) {
    const SECONDS: u32 = 20;
    let now = Instant::now();
    let start = PackagerStart { now, wall: jiff::Timestamp::UNIX_EPOCH, last_keyframe_interval: None };
    let tags = seconds(SECONDS);
    let mut group = c.benchmark_group("packager");
    group.throughput(Throughput::Elements(SECONDS.into()));
    group.bench_function("seconds of a stream", |b| {
        b.iter_batched(
            || {
                let mut packager = Packager::new(PackagerConfig::default(), start);
                packager.handle_publisher_joined(now);
                for header in headers() {
                    packager.handle_tag(now, now, header).expect("valid");
                }
                packager
            },
            |mut packager| {
                for tag in &tags {
                    let now = now + Duration::from_millis(tag.timestamp.0.into());
                    packager.handle_tag(now, now, tag.clone()).expect("valid");
                    while let Some(output) = packager.poll_output() {
                        black_box(output);
                    }
                    black_box(packager.poll_timeout());
                }
                packager
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, demux, fragment, packager);
criterion_main!(benches);
