//! Parts, segments and decode times at every rate, and what timestamps may do.

use std::time::Duration;

use millrace_core::flv::TagKind;

use super::encoder::{Encoder, Run, broadcast};
use super::{count, numbers, parts, seconds, warnings};
use crate::packager::{PackagerConfig, Watched};

const RATES: [(u32, u32); 8] =
    [(24_000, 1001), (24, 1), (25, 1), (30_000, 1001), (30, 1), (50, 1), (60_000, 1001), (60, 1)];

#[test]
fn every_frame_rate_gives_parts_of_whole_frames_and_loses_nothing() {
    for (numerator, denominator) in RATES {
        for part_ms in [200, 333, 1000] {
            let encoder = Encoder::new(numerator, denominator);
            let run = broadcast(&encoder, part_ms, 30);
            let pictures = numbers(&run, 0, 1);
            let sounds = numbers(&run, 0, 2);
            count(0, &pictures);
            count(0, &sounds);
            assert_eq!(pictures.len(), encoder.media(0, 30_000).len() - sounds.len());
            assert_eq!(numbers(&run, 1, 2), sounds);
            let rate = encoder.rate.unwrap();
            let samples = run.checker.samples(0, 1);
            for (n, sample) in (0i64..).zip(&samples) {
                assert_eq!(sample.dts, 900_000 + rate.ticks(n), "{rate:?} frame {n}");
                // The very last picture stays until the sound ends.
                let duration = rate.ticks(n + 1) - rate.ticks(n);
                let last = n + 1 == i64::try_from(samples.len()).unwrap();
                assert!(last || i64::from(sample.duration) == duration, "{rate:?} frame {n}");
            }
            let segments = &run.checker.segments[0];
            assert!(
                segments.iter().all(|segment| segment.parts[0].independent && !segment.discontinuity
                    || segment.parts.is_empty())
            );
            assert!((14..=16).contains(&segments.len()), "{} segments", segments.len());
            for (n, sample) in (0i64..).zip(run.checker.samples(1, 2)) {
                assert_eq!(sample.dts, 480_000 + n * 1024);
            }
        }
    }
}

#[test]
fn a_part_is_published_with_its_last_frame_and_not_later() {
    let encoder = Encoder::new(30, 1);
    let run = broadcast(&encoder, 333, 20);
    // Frame 9 of each ten, at its own time: 300 ms after the first of them.
    for (n, at) in (0..55u32).zip(&run.part_times) {
        let last_frame = encoder.picture(i64::from(n) * 10 + 9).0;
        assert_eq!(at.as_millis(), last_frame.unsigned_abs().into(), "part {n}");
    }
}

/// Plays 20 seconds and tells, for each tag that completed a part of a rendition, how many milliseconds after what was
/// wanted just before it its timestamp is.
fn foreseen(encoder: &Encoder, part_ms: u64, rendition: usize) -> Vec<i32> {
    let watched = Watched { main: rendition == 0, audio: rendition == 1 };
    let part_target = Duration::from_millis(part_ms);
    let mut run = Run::new(PackagerConfig { part_target, ..PackagerConfig::default() });
    run.join(encoder);
    let mut off = Vec::new();
    let (mut wanted, mut known) = (None, 0);
    for (millis, tag) in encoder.media(0, 20_000) {
        let timestamp = tag.timestamp;
        run.play_tags(millis, millis, vec![(millis, tag)]);
        let now = run.checker.segments.get(rendition).map_or(0, |_| parts(&run, rendition).len());
        // The keyframe interval is known with the third.
        if now > known && millis > 5_000 {
            off.push(timestamp.since(wanted.expect("a live publisher is foreseen")));
        }
        run.packager.handle_watched(watched);
        (known, wanted) = (now, run.packager.wanted());
    }
    off
}

#[test]
fn what_completes_a_part_that_is_watched_is_wanted_to_the_millisecond() {
    for (numerator, denominator) in RATES {
        for part_ms in [200, 333, 1000] {
            let encoder = Encoder::new(numerator, denominator);
            let off = foreseen(&encoder, part_ms, 0);
            assert!(off.len() >= 14 * 1000 / usize::try_from(part_ms).unwrap(), "{}", off.len());
            assert!(off.iter().all(|off| off.abs() <= 1), "{numerator}/{denominator}, {part_ms} ms: {off:?}");
        }
    }
    // A part of sound alone ends with a sound, once the picture is there too.
    let off = foreseen(&Encoder::new(30, 1), 333, 1);
    assert!(off.len() > 40 && off.iter().all(|off| (-1..=60).contains(off)), "{off:?}");
}

#[test]
fn nothing_is_wanted_soon_of_what_nobody_watches_and_all_of_what_cannot_be_foreseen() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    assert_eq!(run.packager.wanted(), None, "not live yet");
    run.play(&encoder, 0, 3_000);
    let newest = encoder.picture(89).1.timestamp;
    let ahead = |run: &Run| run.packager.wanted().map(|at| at.since(newest));
    assert!(ahead(&run).is_some_and(|ahead| ahead <= 333), "all is watched until it is said");
    run.packager.handle_watched(Watched { main: false, audio: false });
    assert!(ahead(&run).is_some_and(|ahead| ahead > 1_000));
    run.leave();
    assert_eq!(run.packager.wanted(), None, "nobody publishes");
}

/// Plays ten seconds of an encoder whose sound is 150 ms ahead, read every 90 ms: how many pictures do not last as long as
/// they should, because their part was ended without them.
fn misplaced_pictures(watched: Watched) -> usize {
    let encoder = Encoder::new(30, 1);
    let part_target = Duration::from_millis(200);
    let mut run = Run::new(PackagerConfig { part_target, ..PackagerConfig::default() });
    run.join(&encoder);
    let mut tags = encoder.media(0, 10_000);
    for (millis, tag) in &mut tags {
        *millis += if tag.kind == TagKind::Video { 150 } else { 0 };
    }
    tags.sort_by_key(|(millis, _)| *millis);
    let start = run.now;
    for (millis, tag) in tags {
        run.packager.handle_watched(watched);
        run.advance_to(start + Duration::from_millis(millis.unsigned_abs().next_multiple_of(90)));
        run.tag(tag).unwrap();
    }
    run.end();
    let samples = run.checker.samples(0, 1);
    samples[..samples.len() - 1].iter().filter(|sample| sample.duration != 3_000).count()
}

#[test]
fn video_that_is_read_late_because_nobody_watches_is_not_missing() {
    assert_eq!(misplaced_pictures(Watched { main: false, audio: false }), 0);
    assert_ne!(misplaced_pictures(Watched { main: true, audio: false }), 0);
}

#[test]
fn b_frames_keep_their_order_and_their_presentation_times() {
    for negative in [false, true] {
        let mut encoder = Encoder { b_frames: true, gop: 61, ..Encoder::new(30_000, 1001) };
        encoder.negative = negative;
        let run = broadcast(&encoder, 333, 20);
        count(0, &numbers(&run, 0, 1));
        let mut pts: Vec<i64> = run.checker.samples(0, 1).iter().map(|sample| sample.pts).collect();
        pts.sort_unstable();
        pts.dedup();
        // Every frame is presented once, evenly spaced.
        assert_eq!(pts.len(), numbers(&run, 0, 1).len());
        let body = &pts[..pts.len() - 4];
        assert!(body.windows(2).all(|pair| pair[1] - pair[0] == 3003), "{:?}", &body[..10]);
        assert!(run.packager.health(run.now).video.is_none());
    }
}

#[test]
fn sparse_keyframes_cut_segments_in_time_and_every_keyframe_starts_one() {
    let encoder = Encoder { gop: 250, ..Encoder::new(30, 1) };
    let run = broadcast(&encoder, 333, 60);
    count(0, &numbers(&run, 0, 1));
    let segments = &run.checker.segments[0];
    for segment in segments {
        assert!(seconds(segment.duration()) < 4.5);
        for (n, part) in segment.parts.iter().enumerate() {
            assert!(part.samples.iter().skip(1).all(|sample| sample.track != 1 || !sample.sync));
            assert_eq!(part.independent, n == 0 && part.samples[0].sync);
        }
    }
    let independent = segments.iter().filter(|segment| segment.parts[0].independent).count();
    assert_eq!(independent, 8);
    assert!(segments.len() > independent);
}

#[test]
fn the_next_broadcast_fits_its_target_duration_to_the_keyframes() {
    let encoder = Encoder { gop: 250, ..Encoder::new(30, 1) };
    let first = broadcast(&encoder, 333, 30);
    let interval = first.packager.keyframe_interval();
    assert_eq!(interval.map(|interval| interval.as_millis()), Some(8333));
    let mut run = Run::after(PackagerConfig::default(), interval);
    run.join(&encoder);
    run.play(&encoder, 0, 30_000);
    assert_eq!(warnings(&run), ["keyframe_interval_long"]);
    run.end();
    assert_eq!(run.checker.opened.as_ref().unwrap().target_duration, 9);
    assert!(run.checker.segments[0].iter().all(|segment| segment.parts[0].independent));
}

#[test]
fn keyframes_of_250_frames_at_60_fps_need_no_cut_between() {
    let encoder = Encoder { gop: 250, ..Encoder::new(60, 1) };
    let run = broadcast(&encoder, 200, 40);
    // The first segment cannot know yet when the next keyframe comes.
    let segments = &run.checker.segments[0];
    let late = segments.iter().skip(3).filter(|segment| !segment.parts[0].independent).count();
    assert_eq!(late, 0);
}

#[test]
fn frequent_keyframes_make_no_short_parts() {
    for gop in [1, 7, 15] {
        let encoder = Encoder { gop, ..Encoder::new(30, 1) };
        let run = broadcast(&encoder, 333, 20);
        count(0, &numbers(&run, 0, 1));
        assert!(run.checker.segments[0].iter().all(|s| s.parts.is_empty() || s.parts[0].independent));
        assert!(parts(&run, 0).len() < 90);
    }
}

#[test]
fn a_keyframe_that_never_comes_keeps_the_picture_going_and_is_told() {
    let encoder = Encoder { gop: 100_000, ..Encoder::new(30, 1) };
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 20_000);
    assert_eq!(warnings(&run), ["no_keyframe"]);
    run.end();
    count(0, &numbers(&run, 0, 1));
    assert_eq!(run.checker.segments[0].iter().filter(|segment| segment.parts[0].independent).count(), 1);
}

#[test]
fn variable_frame_rate_holds_the_bounds_of_parts() {
    fn jitter(n: i64) -> i64 {
        n * n * 7919 % 23
    }
    fn wild(n: i64) -> i64 {
        n * 40 + n * n * 7919 % 61
    }
    for (jitter, target) in [(jitter as fn(i64) -> i64, 333), (wild, 333), (jitter, 200), (wild, 200)] {
        let encoder = Encoder { jitter, metadata: false, ..Encoder::new(30, 1) };
        // The checker knows the bounds.
        let run = broadcast(&encoder, target, 60);
        let pictures = numbers(&run, 0, 1);
        count(0, &pictures);
        let samples = run.checker.samples(0, 1);
        let shown = |n: i64| encoder.picture(n).0 * 90;
        for (n, sample) in (0i64..).zip(&samples) {
            assert_eq!(
                sample.pts - samples[0].pts,
                shown(n) - shown(0),
                "frame {n} is shown at the wrong time"
            );
        }
    }
}

#[test]
fn the_wrap_of_32_bit_milliseconds_goes_unnoticed() {
    let encoder = Encoder { start_ms: u32::MAX - 10_000, ..Encoder::new(60_000, 1001) };
    let run = broadcast(&encoder, 333, 20);
    count(0, &numbers(&run, 0, 1));
    count(0, &numbers(&run, 0, 2));
    assert!(run.checker.segments[0].iter().all(|segment| !segment.discontinuity));
    assert!(run.checker.samples(0, 1).windows(2).all(|p| p[1].dts - p[0].dts == i64::from(p[0].duration)));
}

#[test]
fn jumps_of_the_timestamps_are_taken_out_and_told() {
    for jump in [-3_600_000i32, -5_000, 10_000, 86_400_000] {
        let encoder = Encoder { start_ms: 7_200_000, ..Encoder::new(30, 1) };
        let mut run = Run::new(PackagerConfig::default());
        run.join(&encoder);
        run.play(&encoder, 0, 10_000);
        let jumped = Encoder { start_ms: 7_200_000u32.wrapping_add_signed(jump), ..encoder.clone() };
        run.play(&jumped, 10_000, 20_000);
        assert_eq!(warnings(&run), ["timestamps_jump"], "{jump}");
        run.end();
        count(0, &numbers(&run, 0, 1));
        count(0, &numbers(&run, 0, 2));
        let video = run.checker.samples(0, 1);
        let audio = run.checker.samples(0, 2);
        let apart = video.last().unwrap().dts / 90 - audio.last().unwrap().dts / 48;
        assert!(apart.abs() < 60, "sound and picture are {apart} ms apart at the end");
        assert!(video.windows(2).all(|pair| (pair[1].pts - pair[0].pts - 3000).abs() <= 180));
    }
}

#[test]
fn sound_and_picture_stay_together_for_half_a_day() {
    // Frames of the wall clock, sound of a card that is 200 ppm fast: without correction 8 s apart.
    // One picture and eight frames of sound a second make it quick.
    let encoder = Encoder { audio: Some(8_000), asc: [0x15, 0x90], ..Encoder::new(1, 1) };
    let mut run =
        Run::new(PackagerConfig { part_target: Duration::from_secs(1), ..PackagerConfig::default() });
    run.join(&encoder);
    let (mut frame, mut sound, mut checked) = (0i64, 0i64, 0);
    for minute in 0..12 * 60i64 {
        let end = (minute + 1) * 60_000;
        let mut tags = Vec::new();
        while frame * 1000 < end {
            tags.push((frame * 1000, encoder.picture(frame).1));
            frame += 1;
        }
        let millis = |sound: i64| sound * 128 * 999_800 / 1_000_000;
        while millis(sound) < end {
            let at = millis(sound);
            tags.push((at, encoder.tag(millrace_core::flv::TagKind::Audio, at, sound_body(sound))));
            sound += 1;
        }
        tags.sort_by_key(|(at, _)| *at);
        run.play_tags(minute * 60_000, end, tags);
        if minute % 90 == 89 {
            let video = run.checker.samples(0, 1);
            let audio = run.checker.samples(0, 2);
            for sample in audio.iter().rev().take(400) {
                let number = super::numbers_of(std::slice::from_ref(sample))[0];
                let off = (sample.dts - 80_000) / 8 - millis(number);
                assert!(off.abs() <= 20, "{off} ms off after {minute} minutes");
                checked += 1;
            }
            let last = video.last().unwrap();
            assert_eq!(last.dts, 900_000 + super::numbers_of(std::slice::from_ref(last))[0] * 90_000);
        }
        run.checker.forget();
    }
    assert!(checked > 100, "{checked}");
}

fn sound_body(number: i64) -> Vec<u8> {
    [&[0xaf, 1][..], &number.to_be_bytes()].concat()
}

#[test]
fn keyframes_that_do_not_decode_alone_begin_no_independent_segment_and_lose_nothing() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    // Open groups of pictures or intra refresh: of FLV's keyframes only the first one is an IDR picture.
    let mut tags = encoder.media(0, 20_000);
    for (_, tag) in tags.iter_mut().skip(1).filter(|(_, tag)| tag.is_keyframe()) {
        let mut body = tag.body.to_vec();
        body[9] = 0x61;
        tag.body = body.into();
    }
    run.play_tags(0, 20_000, tags);
    assert_eq!(warnings(&run), ["no_keyframe"]);
    run.end();
    count(0, &numbers(&run, 0, 1));
    count(0, &numbers(&run, 0, 2));
    assert_eq!((numbers(&run, 0, 1).len(), run.checker.inits[0].len()), (600, 1));
    let independent: Vec<_> = parts(&run, 0).iter().map(|part| part.independent).collect();
    assert_eq!(independent.iter().filter(|independent| **independent).count(), 1);
    assert!(independent[0]);
    // Segments are cut in time all the same: eleven parts, or twelve, fit into four seconds.
    assert_eq!(run.checker.segments[0].len(), 6);
}
