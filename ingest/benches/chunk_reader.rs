//! Throughput of the chunk reader from memory, beside rml_rtmp's. One read is 64 KiB, as the server reads.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millrace_ingest::rtmp::chunk::ChunkReader;
use millrace_ingest::rtmp::limits::ChunkLimits;
use rml_rtmp::chunk_io::ChunkDeserializer;

const READ: usize = 64 << 10;

/// A second of 8 Mbit/s video at 25 frames, with audio between the frames.
fn input(chunk_size: usize) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
    out.extend_from_slice(&u32::try_from(chunk_size).expect("small").to_be_bytes());
    for frame in 0..25u32 {
        let length = if frame == 0 { 160_000 } else { 35_000 };
        message(&mut out, 6, 9, frame * 40, &vec![0x27; length], chunk_size);
        message(&mut out, 4, 8, frame * 40, &[0xaf; 400], chunk_size);
        message(&mut out, 4, 8, frame * 40 + 21, &[0xaf; 400], chunk_size);
    }
    out
}

fn message(out: &mut Vec<u8>, csid: u8, type_id: u8, time: u32, payload: &[u8], chunk_size: usize) {
    let (time, length) = (time.to_be_bytes(), u32::try_from(payload.len()).expect("short").to_be_bytes());
    out.extend_from_slice(&[
        csid, time[1], time[2], time[3], length[1], length[2], length[3], type_id, 1, 0, 0, 0,
    ]);
    for (at, chunk) in payload.chunks(chunk_size).enumerate() {
        if at > 0 {
            out.push(0xc0 | csid);
        }
        out.extend_from_slice(chunk);
    }
}

fn ours(input: &[u8]) -> usize {
    let mut reader = ChunkReader::new(ChunkLimits::default());
    let mut messages = 0;
    for read in input.chunks(READ) {
        let mut rest = read;
        while let Some(message) = reader.read(&mut rest).expect("valid") {
            black_box(&message.payload);
            messages += 1;
        }
    }
    messages
}

fn theirs(input: &[u8]) -> usize {
    let mut reader = ChunkDeserializer::new();
    let mut messages = 0;
    for read in input.chunks(READ) {
        let mut rest = read;
        while let Some(message) = reader.get_next_message(rest).expect("valid") {
            if message.type_id == 1 {
                let size = u32::from_be_bytes(message.data[..4].try_into().expect("four bytes"));
                reader.set_max_chunk_size(size as usize).expect("a chunk size");
            } else {
                messages += 1;
            }
            black_box(&message.data);
            rest = &[];
        }
    }
    messages
}

fn chunk_reader(criterion: &mut Criterion) {
    for chunk_size in [128, 4096, 65_536] {
        let bytes = input(chunk_size);
        assert_eq!((ours(&bytes), theirs(&bytes)), (75, 75));
        let mut group = criterion.benchmark_group(format!("chunk_reader/{chunk_size}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("millrace", |b| b.iter(|| ours(black_box(&bytes))));
        group.bench_function("rml_rtmp", |b| b.iter(|| theirs(black_box(&bytes))));
        group.finish();
    }
}

criterion_group!(benches, chunk_reader);
criterion_main!(benches);
