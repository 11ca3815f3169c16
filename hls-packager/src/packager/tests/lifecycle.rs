//! Publishers that leave, come back, take over, fall silent.

use std::time::Duration;

use super::encoder::{Encoder, Run};
use super::{count, numbers, parts};
use crate::packager::PackagerConfig;
use crate::suite;

#[test]
fn a_publisher_that_comes_back_continues_behind_gaps_and_a_discontinuity() {
    for away_ms in [0, 100, 1_000, 10_000, 25_000] {
        let encoder = Encoder::new(30, 1);
        let mut run = Run::new(PackagerConfig::default());
        run.join(&encoder);
        run.play(&encoder, 0, 5_100);
        run.leave();
        run.wait(Duration::from_millis(away_ms));
        let again = Encoder { start_ms: 77_000, ..encoder.clone() };
        run.join(&again);
        run.play(&again, 0, 5_000);
        run.end();
        for segments in &run.checker.segments {
            let gap: Duration = segments.iter().filter(|s| s.gap).map(suite::SegmentOut::duration).sum();
            let away = Duration::from_millis(away_ms);
            assert!(gap <= away && away - gap < Duration::from_millis(350), "{gap:?} of {away:?}");
            let returns: Vec<_> = segments.iter().filter(|segment| segment.discontinuity).collect();
            assert_eq!(returns.len(), 1);
            assert!(returns[0].parts[0].independent);
        }
        let pictures = numbers(&run, 0, 1);
        let (first, second) = pictures.split_at(153);
        count(0, first);
        count(0, second);
        assert_eq!(second.len(), 150);
        // The same configuration is not announced again.
        assert_eq!(run.checker.inits.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    }
}

#[test]
fn a_takeover_is_a_discontinuity_without_a_gap() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 3_500);
    let other = Encoder { start_ms: 123_456, ..Encoder::new(25, 1) };
    run.join(&other);
    run.play(&other, 0, 5_000);
    run.end();
    assert!(run.checker.segments[0].iter().all(|segment| !segment.gap));
    assert_eq!(run.checker.segments[0].iter().filter(|segment| segment.discontinuity).count(), 1);
    count(0, &numbers(&run, 0, 1)[105..]);
    assert_eq!(numbers(&run, 0, 1).len(), 105 + 125);
}

#[test]
fn gaps_come_in_real_time() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 4_000);
    let before = run.part_times.len();
    run.leave();
    let left = run.part_times.len();
    run.wait(Duration::from_secs(10));
    let target = Duration::from_millis(334);
    for pair in run.part_times[left..].windows(2) {
        assert_eq!(pair[1].saturating_sub(pair[0]), target);
    }
    assert!((left - before) <= 1);
    assert_eq!(run.part_times.len() - left, 29);
    run.end();
    let gaps: Vec<_> = run.checker.segments[0].iter().filter(|segment| segment.gap).collect();
    assert!(gaps.iter().all(|segment| segment.duration() <= Duration::from_secs(2)));
    // Renditions stay aligned.
    let gap = |rendition: usize| -> Duration {
        run.checker.segments[rendition].iter().map(suite::SegmentOut::duration).sum()
    };
    assert!(gap(0).abs_diff(gap(1)) < Duration::from_millis(22), "{:?} {:?}", gap(0), gap(1));
}

#[test]
fn a_silent_publisher_becomes_a_gap_and_comes_back_at_a_keyframe() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 4_000);
    run.wait(Duration::from_secs(9));
    assert!(run.checker.segments[0].iter().any(|segment| segment.gap));
    run.play(&encoder, 13_100, 20_000);
    run.end();
    let segments = &run.checker.segments[0];
    let back: Vec<_> = segments.iter().filter(|segment| segment.discontinuity).collect();
    assert_eq!(back.len(), 1);
    assert!(back[0].parts[0].independent);
    // The first keyframe after the silence is number 420, at 14 s.
    count(420, &numbers(&run, 0, 1)[120..]);
    let total: Duration = parts(&run, 0).iter().map(|part| part.duration).sum();
    assert!(total.abs_diff(Duration::from_secs(20)) < Duration::from_millis(400), "{total:?}");
}

#[test]
fn a_broadcast_that_never_began_just_ends() {
    let mut run = Run::new(PackagerConfig::default());
    run.end();
    assert!(run.checker.opened.is_none());
    let mut run = Run::new(PackagerConfig::default());
    run.join(&Encoder::new(30, 1));
    run.leave();
    run.wait(Duration::from_secs(5));
    run.end();
    assert!(run.checker.opened.is_none());
}

#[test]
fn a_very_short_broadcast_is_published_whole() {
    let encoder = Encoder { metadata: false, audio: None, ..Encoder::new(30, 1) };
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 100);
    assert!(run.checker.opened.is_none(), "no second track yet, nor a frame rate");
    run.end();
    assert_eq!(numbers(&run, 0, 1), [0, 1, 2]);
}
