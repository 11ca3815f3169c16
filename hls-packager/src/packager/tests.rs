//! Whole broadcasts in virtual time.

pub(crate) mod encoder;
mod hostile;
mod lifecycle;
mod properties;
mod timing;
mod tracks;

use std::time::Duration;

use crate::suite::{PartOut, SampleOut};
use encoder::Run;

/// Numbers that the test encoder wrote into samples; silence has none.
fn numbers_of(samples: &[SampleOut]) -> Vec<i64> {
    let tail =
        |data: &bytes::Bytes| Some(i64::from_be_bytes(data[data.len().checked_sub(8)?..].try_into().ok()?));
    samples.iter().filter_map(|sample| tail(&sample.data)).collect()
}

/// Samples of silence, which the packager put in: shorter than the test encoder's.
fn silence(run: &Run, rendition: usize) -> Vec<SampleOut> {
    let sounds = run.checker.samples(rendition, 2);
    sounds.into_iter().filter(|sample| sample.data.len() < 8).collect()
}

/// Asserts that a rendition's sound has no hole in which a player would stand still.
fn no_holes(run: &Run, rendition: usize) {
    for pair in run.checker.samples(rendition, 2).windows(2) {
        let hole = pair[1].dts - pair[0].dts - 1024;
        assert!(hole <= 4_800, "{hole} samples of hole at {}", pair[0].dts);
    }
}

/// Numbers that the test encoder wrote into the samples of a track.
fn numbers(run: &Run, rendition: usize, track: u32) -> Vec<i64> {
    numbers_of(&run.checker.samples(rendition, track))
}

/// Asserts that numbers count up from `from`: nothing lost, nothing twice.
fn count(from: i64, numbers: &[i64]) {
    for (expected, number) in (from..).zip(numbers) {
        assert_eq!(*number, expected);
    }
}

/// All parts of a rendition.
fn parts(run: &Run, rendition: usize) -> Vec<&PartOut> {
    run.checker.segments[rendition].iter().flat_map(|segment| &segment.parts).collect()
}

/// Codes of the warnings now.
fn warnings(run: &Run) -> Vec<String> {
    run.packager.health(run.now).warnings.into_iter().map(|warning| warning.code).collect()
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
