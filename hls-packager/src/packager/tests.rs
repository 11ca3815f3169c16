//! Whole broadcasts in virtual time.

mod encoder;

use std::time::Duration;

use super::PackagerConfig;
use crate::suite;
use encoder::{Encoder, Run, broadcast};

const RATES: [(u32, u32); 8] =
    [(24_000, 1001), (24, 1), (25, 1), (30_000, 1001), (30, 1), (50, 1), (60_000, 1001), (60, 1)];

/// Numbers that the test encoder wrote into the samples of a track.
fn numbers(run: &Run, rendition: usize, track: u32) -> Vec<i64> {
    let samples = run.checker.samples(rendition, track);
    let tail = |data: &bytes::Bytes| i64::from_be_bytes(data[data.len() - 8..].try_into().unwrap());
    samples.iter().map(|sample| tail(&sample.data)).collect()
}

fn count(from: i64, numbers: &[i64]) {
    for (expected, number) in (from..).zip(numbers) {
        assert_eq!(*number, expected);
    }
}

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
