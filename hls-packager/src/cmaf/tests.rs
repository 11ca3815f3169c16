//! Our boxes as another implementation reads them.

use std::io::Cursor;

use bytes::Bytes;
use mp4_atom::{Any, Decode, Moof, Moov, ReadFrom};

use super::fragment::{Run, Sample, write_fragment};
use super::init::write_init;
use super::{AUDIO_TRACK, VIDEO_TRACK};
use crate::demux::{aac, avc};

fn video() -> crate::demux::VideoConfig {
    avc::Avc::parse(&Bytes::from_static(avc::tests::RECORD)).unwrap().config().unwrap()
}

fn audio() -> crate::demux::AudioConfig {
    aac::parse_config(&Bytes::from_static(&[0x11, 0x90])).unwrap()
}

fn moov(init: &Bytes) -> Moov {
    let mut cursor = Cursor::new(init);
    let Any::Ftyp(_) = Any::read_from(&mut cursor).unwrap() else { panic!("no ftyp first") };
    let Any::Moov(moov) = Any::read_from(&mut cursor).unwrap() else { panic!("no moov second") };
    assert_eq!(cursor.position(), init.len() as u64);
    moov
}

#[test]
fn init_segments_are_what_the_oracle_reads() {
    insta::assert_debug_snapshot!("init_muxed", moov(&write_init(Some(&video()), Some(&audio()))));
    assert_eq!(moov(&write_init(Some(&video()), None)).trak.len(), 1);
    assert_eq!(moov(&write_init(None, Some(&audio()))).trak.len(), 1);
}

fn sample(length: u8, duration: u32, composition: i32, sync: bool) -> Sample {
    Sample { duration, composition, sync, data: vec![length; length.into()].into() }
}

fn read(fragment: &Bytes) -> (Moof, Bytes) {
    let mut bytes = &fragment[..];
    let Any::Moof(moof) = Any::decode(&mut bytes).unwrap() else { panic!("no moof first") };
    let payload = fragment.slice(fragment.len() - bytes.len() + 8..);
    (moof, payload)
}

#[test]
fn a_fragment_is_what_the_oracle_reads() {
    let video = [sample(9, 3003, 6006, true), sample(3, 3003, -3003, false), sample(4, 3003, 0, false)];
    let audio = [sample(5, 1024, 0, true), sample(6, 1024, 0, true)];
    let runs = [
        Run { track: VIDEO_TRACK, decode_time: 1 << 33, samples: &video },
        Run { track: AUDIO_TRACK, decode_time: 480_000, samples: &audio },
    ];
    let fragment = write_fragment(7, &runs);
    let (moof, payload) = read(&fragment);
    insta::assert_debug_snapshot!("fragment_muxed", moof);
    // The offsets lead to the bytes.
    for (traf, run) in moof.traf.iter().zip(&runs) {
        let mut at = usize::try_from(traf.trun[0].data_offset.unwrap()).unwrap();
        for sample in run.samples {
            assert_eq!(fragment[at..at + sample.data.len()], sample.data);
            at += sample.data.len();
        }
    }
    assert_eq!(payload.len(), 9 + 3 + 4 + 5 + 6);
}

/// (duration, flags, composition, size) of every sample, defaults resolved.
fn resolved(moof: &Moof) -> Vec<(u32, u32, i64, u32)> {
    let traf = &moof.traf[0];
    let default = (traf.tfhd.default_sample_duration, traf.tfhd.default_sample_flags);
    let entries = &traf.trun[0].samples;
    entries
        .iter()
        .map(|e| {
            (
                e.duration.or(default.0).unwrap(),
                e.flags.or(default.1).unwrap(),
                e.cts.unwrap_or(0),
                e.size.unwrap(),
            )
        })
        .collect()
}

proptest::proptest! {
    #[test]
    fn every_compact_form_says_the_same(
        samples in proptest::collection::vec((0u8..20, 1u32..3, -2i32..3, proptest::bool::ANY), 1..12)
    ) {
        let samples: Vec<Sample> = samples.into_iter().map(|(l, d, c, s)| sample(l, d, c, s)).collect();
        let fragment = write_fragment(1, &[Run { track: 1, decode_time: 5, samples: &samples }]);
        let (moof, payload) = read(&fragment);
        let want: Vec<_> = samples
            .iter()
            .map(|s| (s.duration, if s.sync { 0x0200_0000 } else { 0x0101_0000 }, i64::from(s.composition), s.data.len() as u32))
            .collect();
        proptest::prop_assert_eq!(resolved(&moof), want);
        proptest::prop_assert_eq!(payload.len(), samples.iter().map(|s| s.data.len()).sum::<usize>());
    }
}

#[test]
fn runs_without_samples_are_left_out() {
    let audio = [sample(5, 1024, 0, true)];
    let runs = [
        Run { track: VIDEO_TRACK, decode_time: 0, samples: &[] },
        Run { track: AUDIO_TRACK, decode_time: 0, samples: &audio },
    ];
    let (moof, _) = read(&write_fragment(1, &runs));
    assert_eq!(moof.traf.len(), 1);
    assert_eq!(moof.traf[0].tfhd.track_id, AUDIO_TRACK);
}
