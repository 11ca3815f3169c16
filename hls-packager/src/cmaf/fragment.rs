//! Fragments: `moof` and `mdat` of one part (ISO/IEC 14496-12 §8.8, CMAF chunk of ISO/IEC 23000-19 §7.3.2.3).

use bytes::Bytes;

use super::boxes::Boxes;

/// One sample of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Ticks until the next sample's decode time.
    pub duration: u32,
    /// Presentation minus decode time in ticks.
    pub composition: i32,
    /// Whether it decodes alone.
    pub sync: bool,
    /// Its bytes.
    pub data: Bytes,
}

/// The samples of one track in a fragment.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Track id of the init segment.
    pub track: u32,
    /// Decode time of the first sample in ticks.
    pub decode_time: u64,
    /// In decoding order.
    pub samples: &'a [Sample],
}

const BASE_IS_MOOF: u32 = 0x02_0000;
const DEFAULT_DURATION: u32 = 0x00_0008;
const DEFAULT_FLAGS: u32 = 0x00_0020;
const DATA_OFFSET: u32 = 0x0001;
const FIRST_SAMPLE_FLAGS: u32 = 0x0004;
const SAMPLE_DURATION: u32 = 0x0100;
const SAMPLE_SIZE: u32 = 0x0200;
const SAMPLE_FLAGS: u32 = 0x0400;
const SAMPLE_COMPOSITION: u32 = 0x0800;
/// Depends on no other sample.
const SYNC: u32 = 0x0200_0000;
/// Depends on others and is no sync sample.
const NOT_SYNC: u32 = 0x0101_0000;

fn flags(sync: bool) -> u32 {
    if sync { SYNC } else { NOT_SYNC }
}

/// Writes one fragment. Runs without samples are left out. The samples' bytes are copied once, into the buffer that
/// is returned.
#[must_use]
pub fn write_fragment(sequence: u32, runs: &[Run<'_>]) -> Bytes {
    let samples = || runs.iter().flat_map(|run| run.samples);
    let payload: usize = samples().map(|sample| sample.data.len()).sum();
    let headers = 64 + runs.len() * 96 + samples().count() * 16;
    let mut boxes = Boxes::with_capacity(headers + payload);
    let mut offsets = [0; 4];
    boxes.nested(b"moof", |b| {
        b.full(b"mfhd", 0, 0, |b| {
            b.u32(sequence);
        });
        for (run, offset) in runs.iter().zip(&mut offsets).filter(|(run, _)| !run.samples.is_empty()) {
            b.nested(b"traf", |b| *offset = track_fragment(b, run));
        }
    });
    // Data offsets count from the start of the moof.
    let mut at = boxes.len() + 8;
    for (run, offset) in runs.iter().zip(offsets).filter(|(run, _)| !run.samples.is_empty()) {
        boxes.set_u32(offset, u32::try_from(at).unwrap_or(u32::MAX));
        at += run.samples.iter().map(|sample| sample.data.len()).sum::<usize>();
    }
    boxes.nested(b"mdat", |b| {
        for sample in samples() {
            b.bytes(&sample.data);
        }
    });
    boxes.finish().into()
}

/// Writes the boxes of a track and returns where its data offset stands.
fn track_fragment(b: &mut Boxes, run: &Run<'_>) -> usize {
    let (first, rest) = run.samples.split_first().expect("runs without samples are left out");
    let same_duration = rest.iter().all(|sample| sample.duration == first.duration);
    let rest_sync = rest.first().map_or(first.sync, |sample| sample.sync);
    let same_flags = rest.iter().all(|sample| sample.sync == rest_sync);
    let composition = run.samples.iter().any(|sample| sample.composition != 0);

    let header = BASE_IS_MOOF
        | if same_duration { DEFAULT_DURATION } else { 0 }
        | if same_flags { DEFAULT_FLAGS } else { 0 };
    b.full(b"tfhd", 0, header, |b| {
        b.u32(run.track);
        if same_duration {
            b.u32(first.duration);
        }
        if same_flags {
            b.u32(flags(rest_sync));
        }
    });
    b.full(b"tfdt", 1, 0, |b| {
        b.u64(run.decode_time);
    });
    let first_flags = same_flags && first.sync != rest_sync;
    let fields = DATA_OFFSET
        | SAMPLE_SIZE
        | if same_duration { 0 } else { SAMPLE_DURATION }
        | if same_flags { 0 } else { SAMPLE_FLAGS }
        | if first_flags { FIRST_SAMPLE_FLAGS } else { 0 }
        | if composition { SAMPLE_COMPOSITION } else { 0 };
    let mut offset = 0;
    b.full(b"trun", 1, fields, |b| {
        b.u32(u32::try_from(run.samples.len()).expect("samples per part are limited"));
        offset = b.len();
        b.u32(0);
        if first_flags {
            b.u32(flags(first.sync));
        }
        for sample in run.samples {
            if !same_duration {
                b.u32(sample.duration);
            }
            b.u32(u32::try_from(sample.data.len()).expect("a sample is one RTMP message"));
            if !same_flags {
                b.u32(flags(sample.sync));
            }
            if composition {
                b.u32(sample.composition.cast_unsigned());
            }
        }
    });
    offset
}
