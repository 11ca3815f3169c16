//! Whatever happens, in whatever order: the outputs keep the contract.

use std::time::Duration;

use proptest::prelude::*;

use super::encoder::{Encoder, Run};
use crate::packager::PackagerConfig;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Join,
    Leave,
    Wait { millis: u64 },
    Picture { forward_ms: i32, composition_ms: i32, key: bool },
    Sound { forward_ms: i32 },
    Headers { small: bool, mono: bool },
    Damage,
}

fn step() -> impl Strategy<Value = Step> {
    let forward = prop_oneof![20 => 0..50i32, 2 => -100..500i32, 1 => any::<i32>()];
    prop_oneof![
        1 => Just(Step::Join),
        1 => Just(Step::Leave),
        4 => (0..200u64).prop_map(|millis| Step::Wait { millis }),
        1 => (0..20_000u64).prop_map(|millis| Step::Wait { millis }),
        40 => (forward.clone(), -200..200i32, prop::bool::weighted(0.1))
            .prop_map(|(forward_ms, composition_ms, key)| Step::Picture { forward_ms, composition_ms, key }),
        30 => forward.prop_map(|forward_ms| Step::Sound { forward_ms }),
        1 => any::<(bool, bool)>().prop_map(|(small, mono)| Step::Headers { small, mono }),
        1 => Just(Step::Damage),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_events_keeps_the_contract(
        steps in prop::collection::vec(step(), 0..400),
        part_target in prop::sample::select(vec![200u64, 333, 1000]),
        target_duration in 1u32..12,
    ) {
        use millrace_core::flv::TagKind::{Audio, Video};
        let part_target = Duration::from_millis(part_target);
        let mut run = Run::new(PackagerConfig { part_target, target_duration, ..PackagerConfig::default() });
        let encoder = Encoder::new(30, 1);
        run.join(&encoder);
        let (mut video_ms, mut audio_ms, mut number) = (0i32, 0i32, 0i64);
        let tag = |kind, millis: i32, body| {
            let mut tag = encoder.tag(kind, 0, body);
            tag.timestamp = millrace_core::time::RtmpMillis(millis.cast_unsigned());
            tag
        };
        for step in steps {
            match step {
                Step::Join => run.join(&encoder),
                Step::Leave => run.leave(),
                Step::Wait { millis } => run.wait(Duration::from_millis(millis)),
                Step::Picture { forward_ms, composition_ms, key } => {
                    video_ms = video_ms.wrapping_add(forward_ms);
                    number += 1;
                    let mut body = vec![if key { 0x17 } else { 0x27 }, 1];
                    body.extend_from_slice(&composition_ms.to_be_bytes()[1..]);
                    body.extend_from_slice(&[0, 0, 0, 9, if key { 0x65 } else { 0x41 }]);
                    body.extend_from_slice(&number.to_be_bytes());
                    run.tag(tag(Video, video_ms, body)).unwrap();
                }
                Step::Sound { forward_ms } => {
                    audio_ms = audio_ms.wrapping_add(forward_ms);
                    run.tag(tag(Audio, audio_ms, vec![0xaf, 1, 1, 2, 3])).unwrap();
                }
                Step::Headers { small, mono } => {
                    let mut other = encoder.clone();
                    if small {
                        other.record = include_bytes!("../../../tests/fixtures/avc_320x180_30.avcc").as_slice().into();
                    }
                    if mono {
                        other.asc = [0x12, 0x08];
                    }
                    for tag in other.headers() {
                        run.tag(tag).unwrap();
                    }
                }
                Step::Damage => run.tag(tag(Video, video_ms, vec![0x27, 1, 0, 0, 0, 0xff])).unwrap(),
            }
        }
        run.end();
        // Pictures go out in the order in which they came, none twice.
        if run.checker.opened.is_some() {
            let pictures = super::numbers(&run, 0, 1);
            prop_assert!(pictures.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
