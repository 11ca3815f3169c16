//! Which tracks there are, and when that changes.

use std::time::Duration;

use bytes::Bytes;
use millrace_core::flv::TagKind;

use super::encoder::{Encoder, Run, broadcast};
use super::{count, no_holes, numbers, parts, silence};
use crate::packager::PackagerConfig;

fn names(run: &Run) -> Vec<(&'static str, Vec<String>)> {
    let renditions = &run.checker.opened.as_ref().unwrap().renditions;
    renditions.iter().map(|rendition| (rendition.name, rendition.codecs.clone())).collect()
}

#[test]
fn sound_and_picture_give_a_muxed_and_an_audio_rendition_that_are_aligned() {
    let encoder = Encoder::new(30_000, 1001);
    let run = broadcast(&encoder, 333, 60);
    assert_eq!(
        names(&run),
        [
            ("main", vec!["avc1.64001e".to_owned(), "mp4a.40.2".to_owned()]),
            ("audio", vec!["mp4a.40.2".to_owned()])
        ]
    );
    let frame = Duration::from_micros(21_400);
    let (mut main, mut audio) = (Duration::ZERO, Duration::ZERO);
    for (one, other) in run.checker.segments[0].iter().zip(&run.checker.segments[1]) {
        main += one.duration();
        audio += other.duration();
        assert!(main.abs_diff(audio) <= frame, "{main:?} {audio:?}");
    }
    assert!(parts(&run, 1).iter().all(|part| part.independent));
}

#[test]
fn audio_alone_is_one_rendition() {
    let encoder = Encoder { rate: None, ..Encoder::new(30, 1) };
    let run = broadcast(&encoder, 333, 20);
    assert_eq!(names(&run), [("main", vec!["mp4a.40.2".to_owned()])]);
    count(0, &numbers(&run, 0, 2));
    assert_eq!(numbers(&run, 0, 2).len(), 938);
    assert!((9..=11).contains(&run.checker.segments[0].len()));
    assert_eq!(run.part_times[0], Duration::from_millis(320), "with the sixteenth frame");
}

#[test]
fn video_alone_is_one_rendition() {
    let encoder = Encoder { audio: None, ..Encoder::new(30, 1) };
    let run = broadcast(&encoder, 333, 20);
    assert_eq!(names(&run), [("main", vec!["avc1.64001e".to_owned()])]);
    assert_eq!(numbers(&run, 0, 1).len(), 600);
    assert_eq!(run.part_times[0], Duration::from_millis(300), "metadata says that no audio will come");
}

#[test]
fn without_metadata_the_second_track_is_waited_for_but_not_long() {
    let encoder = Encoder { audio: None, metadata: false, ..Encoder::new(30, 1) };
    let run = broadcast(&encoder, 333, 5);
    assert_eq!(run.part_times[0], Duration::from_millis(500));
    assert_eq!(numbers(&run, 0, 1).len(), 150);
}

#[test]
fn sound_that_is_made_late_is_all_there_and_that_which_never_is_costs_three_seconds() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    let mut headers = encoder.headers();
    let sequence_header = headers.pop().unwrap();
    run.packager.handle_publisher_joined(run.now);
    headers.into_iter().for_each(|tag| run.tag(tag).unwrap());
    let (sounds, pictures): (Vec<_>, Vec<_>) =
        encoder.media(0, 2_500).into_iter().partition(|(_, tag)| tag.kind == TagKind::Audio);
    run.packager.expect_audio();
    run.play_tags(0, 2_500, pictures);
    assert!(run.checker.opened.is_none(), "it is waited for");
    run.tag(sequence_header).unwrap();
    sounds.into_iter().for_each(|(_, tag)| run.tag(tag).unwrap());
    run.play(&encoder, 2_500, 10_000);
    run.end();
    assert_eq!(names(&run)[0].1, ["avc1.64001e", "mp4a.40.2"]);
    assert_eq!(run.checker.inits.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    for rendition in [0, 1] {
        count(0, &numbers(&run, rendition, 2));
        assert_eq!(numbers(&run, rendition, 2).len(), 469);
        assert!(silence(&run, rendition).is_empty());
    }
    count(0, &numbers(&run, 0, 1));

    let encoder = Encoder { audio: None, ..Encoder::new(30, 1) };
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.packager.expect_audio();
    run.play(&encoder, 0, 5_000);
    run.end();
    assert_eq!(run.part_times[0], Duration::from_secs(3));
    assert_eq!(numbers(&run, 0, 1).len(), 150);
}

#[test]
fn sound_that_starts_later_joins_the_picture_at_a_keyframe() {
    let mut encoder = Encoder { audio: None, ..Encoder::new(30, 1) };
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 5_000);
    encoder.audio = Some(48_000);
    let header = encoder.headers().pop().unwrap();
    run.tag(header).unwrap();
    run.play(&encoder, 5_000, 10_000);
    run.end();
    assert_eq!(run.checker.inits[0].len(), 2);
    assert_eq!(run.checker.opened.as_ref().unwrap().renditions.len(), 1);
    count(0, &numbers(&run, 0, 1));
    let sounds = run.checker.samples(0, 2);
    let first = sounds[0].dts * 90 / 48;
    // At the keyframe of 6 s, ten seconds into the line.
    assert!((900_000 + 540_000 - 2000..900_000 + 540_000 + 2000).contains(&first), "{first}");
}

#[test]
fn no_sound_is_lost_behind_the_keyframe_that_takes_a_late_track_on_air() {
    let mut encoder = Encoder { audio: None, ..Encoder::new(30, 1) };
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 5_000);
    encoder.audio = Some(48_000);
    let header = encoder.headers().pop().unwrap();
    run.tag(header).unwrap();
    // The sound is 150 ms ahead of the picture: frames from behind the keyframe come before it.
    let mut tags = encoder.media(5_000, 10_000);
    for (at, tag) in &mut tags {
        *at -= if tag.kind == TagKind::Audio { 150 } else { 0 };
    }
    tags.sort_by_key(|(at, _)| *at);
    run.play_tags(5_000, 10_000, tags);
    run.end();
    let first = (6_000 * 48 + 1023) / 1024;
    let sounds = numbers(&run, 0, 2);
    count(first, &sounds);
    // To a millisecond, which is what timestamps tell.
    let place = run.checker.samples(0, 2)[0].dts - 480_000;
    assert!(place.abs_diff(first * 1024) < 48, "{place}");
    assert!(sounds.len() > 180, "{}", sounds.len());
}

#[test]
fn sound_that_starts_late_is_silence_until_then() {
    // A keyframe at 2.0 s, just when the sound has been missing for as long as a track may be.
    for after in [400, 1_900, 2_000, 2_100, 3_000, 8_000] {
        let encoder = Encoder { audio_after_ms: after, ..Encoder::new(30, 1) };
        let run = broadcast(&encoder, 333, 12);
        count(0, &numbers(&run, 0, 1));
        assert_eq!(run.checker.inits.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1], "{after}");
        assert!(run.checker.segments[0].iter().all(|segment| !segment.discontinuity), "{after}");
        for rendition in [0, 1] {
            // All of the sound, in its place, and silence from the first picture up to it.
            count(0, &numbers(&run, rendition, 2));
            let all = usize::try_from((12_000 - after) * 48 / 1024 + 1).unwrap();
            assert_eq!(numbers(&run, rendition, 2).len(), all, "{after}");
            assert_eq!(
                silence(&run, rendition).len(),
                usize::try_from(after * 48 / 1024).unwrap(),
                "{after}"
            );
            assert_eq!(run.checker.samples(rendition, 2)[0].dts, 480_000);
            no_holes(&run, rendition);
        }
        // Renditions end together, but for a frame.
        let [main, alone] = [0, 1].map(|rendition| &run.checker.segments[rendition]);
        let (mut ends, mut others) = (Duration::ZERO, Duration::ZERO);
        for (segment, other) in main.iter().zip(alone) {
            (ends, others) = (ends + segment.duration(), others + other.duration());
            assert!(ends.abs_diff(others) < Duration::from_millis(22), "{after}: {ends:?} {others:?}");
        }
    }
}

#[test]
fn sound_that_never_comes_is_silence_in_time() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&Encoder { audio: None, ..encoder }, 0, 10_000);
    run.end();
    count(0, &numbers(&run, 0, 1));
    no_holes(&run, 0);
    // A player that joins late has sound in every part but the first ones.
    let with_sound = |part: &&&crate::suite::PartOut| part.samples.iter().any(|sample| sample.track == 2);
    let parts = parts(&run, 0);
    assert!(parts.len() - parts.iter().filter(with_sound).count() <= 2);
    let end = silence(&run, 0).last().unwrap().dts;
    assert!((480_000 + 480_000 - 15_000..=480_000 + 480_000).contains(&end), "{end}");
}

#[test]
fn sound_that_stops_is_silence_until_it_is_back() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 5_000);
    let silent = Encoder { audio: None, ..encoder.clone() };
    run.play(&silent, 5_000, 15_000);
    run.play(&encoder, 15_000, 20_000);
    run.end();
    count(0, &numbers(&run, 0, 1));
    let sounds = numbers(&run, 0, 2);
    let (before, after) = sounds.split_at(235);
    count(0, before);
    // From 15 s on; nothing of it is covered by silence.
    count(704, after);
    assert_eq!(after.len(), 234);
    assert_eq!(run.checker.inits.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    assert!(run.checker.segments[0].iter().all(|segment| !segment.discontinuity));
    no_holes(&run, 0);
    let total = |rendition| -> Duration { parts(&run, rendition).iter().map(|part| part.duration).sum() };
    assert!(total(0).abs_diff(total(1)) < Duration::from_millis(50), "{:?} {:?}", total(0), total(1));
}

#[test]
fn a_hole_in_the_sound_is_filled_when_it_ends() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 5_000);
    run.play(&Encoder { audio: None, ..encoder.clone() }, 5_000, 6_500);
    run.play(&encoder, 6_500, 10_000);
    run.end();
    no_holes(&run, 0);
    no_holes(&run, 1);
    // As many whole frames as fit: the last of them lasts a little longer.
    assert_eq!(numbers(&run, 0, 2).len() + silence(&run, 0).len(), 468);
}

#[test]
fn a_late_picture_lets_the_sound_go_on_alone() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 4_100);
    let sound_only = Encoder { rate: None, ..encoder.clone() };
    let published = run.part_times.len();
    run.play(&sound_only, 4_100, 6_500);
    // A part within one and a quarter part target, then one each part target.
    let times: Vec<_> = run.part_times[published..].iter().map(Duration::as_millis).collect();
    assert!(times[0] <= 4_000 + 334 + 334 / 4, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 334 + 22), "{times:?}");
    // The picture goes on where it was, in the middle of a group of pictures: none is lost, none is doubled.
    run.play(&encoder, 6_500, 12_000);
    run.end();
    let pictures = numbers(&run, 0, 1);
    count(0, &pictures[..123]);
    count(195, &pictures[123..]);
    count(0, &numbers(&run, 0, 2));
    let samples = run.checker.samples(0, 1);
    for pair in samples.windows(2) {
        assert_eq!(pair[1].dts - pair[0].dts, i64::from(pair[0].duration), "a hole in decode time");
    }
    for (number, sample) in pictures.iter().zip(&samples) {
        assert_eq!(sample.pts, 900_000 + number * 3000);
    }
    assert!(run.checker.segments[0].iter().all(|segment| !segment.discontinuity));
}

#[test]
fn a_picture_that_stays_away_leaves_audio_only_until_it_is_back() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 4_000);
    run.play(&Encoder { rate: None, ..encoder.clone() }, 4_000, 14_000);
    run.play(&encoder, 14_000, 20_000);
    run.end();
    assert_eq!(run.checker.inits[0].len(), 3);
    count(0, &numbers(&run, 0, 2));
    count(420, &numbers(&run, 0, 1)[120..]);
}

#[test]
fn another_resolution_is_a_new_init_segment_behind_a_discontinuity() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 4_000);
    let record = Bytes::from_static(include_bytes!("../../../tests/fixtures/avc_320x180_30.avcc"));
    let smaller = Encoder { record, ..encoder.clone() };
    for tag in smaller.headers() {
        run.tag(tag).unwrap();
    }
    run.play(&smaller, 4_000, 8_000);
    let health = run.packager.health(run.now).video.unwrap();
    assert_eq!((health.width, health.height), (320, 180));
    run.end();
    count(0, &numbers(&run, 0, 1));
    count(0, &numbers(&run, 0, 2));
    let discontinuities: Vec<_> =
        run.checker.segments[0].iter().filter(|segment| segment.discontinuity).collect();
    assert_eq!(discontinuities.len(), 1);
    assert_eq!(super::numbers_of(&discontinuities[0].parts[0].samples)[0], 120);
    assert_eq!(run.checker.inits.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn in_band_parameter_sets_that_change_count_like_a_new_header() {
    let encoder = Encoder { audio: None, ..Encoder::new(30, 1) };
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 2_000);
    let record = include_bytes!("../../../tests/fixtures/avc_320x180_30.avcc");
    let sps_length = usize::from(u16::from_be_bytes([record[6], record[7]]));
    let (sps, rest) = record[8..].split_at(sps_length);
    let pps = &rest[3..3 + usize::from(u16::from_be_bytes([rest[1], rest[2]]))];
    let mut body = vec![0x17, 1, 0, 0, 0];
    for nal in [sps, pps, &[&[0x65][..], &60i64.to_be_bytes()].concat()] {
        body.extend_from_slice(&u32::try_from(nal.len()).unwrap().to_be_bytes());
        body.extend_from_slice(nal);
    }
    run.tag(encoder.tag(TagKind::Video, 2_000, body)).unwrap();
    run.play(&encoder, 2_001, 4_000);
    assert_eq!(run.packager.health(run.now).video.unwrap().width, 320);
    run.end();
    count(0, &numbers(&run, 0, 1));
    assert_eq!(run.checker.inits[0].len(), 2);
    assert_eq!(run.checker.segments[0].iter().filter(|segment| segment.discontinuity).count(), 1);
}

#[test]
fn another_audio_configuration_goes_on_air_at_a_keyframe() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 4_000);
    let mono = Encoder { asc: [0x12, 0x08], audio: Some(44_100), ..encoder.clone() };
    for tag in mono.headers() {
        run.tag(tag).unwrap();
    }
    run.play(&mono, 4_000, 8_000);
    run.end();
    count(0, &numbers(&run, 0, 1));
    assert_eq!(run.checker.inits.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn a_change_of_sound_between_keyframes_leaves_no_hole_before_the_discontinuity() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 4_500);
    let mono = Encoder { asc: [0x11, 0x88], ..encoder.clone() };
    for tag in mono.headers() {
        run.tag(tag).unwrap();
    }
    run.play(&mono, 4_500, 8_000);
    run.end();
    no_holes(&run, 0);
    no_holes(&run, 1);
    assert!((68..=71).contains(&silence(&run, 0).len()), "{}", silence(&run, 0).len());
    let sounds = numbers(&run, 0, 2);
    count(282, &sounds[211..]);
}

#[test]
fn a_missing_first_keyframe_lets_the_sound_begin() {
    let encoder = Encoder { gop: 300, ..Encoder::new(30, 1) };
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    // The first ten seconds without the keyframe of frame 0.
    run.play(&encoder, 10, 15_000);
    run.end();
    assert_eq!(numbers(&run, 0, 1)[0], 300);
    assert!(numbers(&run, 0, 2)[0] < 3);
    assert_eq!(run.checker.inits[0].len(), 2);
}
