//! The frame grid: RTMP's milliseconds are a rounding of evenly spaced frames, and this puts them back.
//!
//! While the timestamps fit a frame rate within the rounding error, decode times are exact multiples of the frame
//! duration and the next frame's time is known before it comes. When they fit none (variable frame rate), the
//! timestamps are taken as they are and the next frame's time is a guess.

use std::collections::VecDeque;

use super::rate::{COMMON, FrameRate};

/// Rounding error that is expected: a millisecond either way, of two timestamps, in ticks.
const TOLERANCE: i64 = 135;
/// Errors beyond this move the grid, so that an encoder whose clock is not quite nominal never leaves it.
const HELD: i64 = 95;
/// Consecutive misses after which the grid is given up.
const MAX_MISSES: u32 = 3;
/// Timestamps that a rate is fitted to.
const RECENT: usize = 128;
/// Fewest timestamps that a rate is fitted to.
const MIN_RECENT: usize = 16;
/// Residual spread at which a rate fits: one millisecond and a bit.
const FIT: i64 = 96;
/// Frames over which a drift is judged, and ticks it may amount to: some hundred ppm are a clock, more is another
/// rate (29.97 instead of 30).
const DRIFT_FRAMES: i64 = 256;
const MAX_DRIFT: i64 = 120;

/// Where a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Decode time in ticks of 90 kHz.
    pub(crate) dts: i64,
    /// How long it lasts, as far as can be known before the next.
    pub(crate) duration: i64,
}

/// The grid of one video track.
#[derive(Debug, Default)]
pub(crate) struct FrameGrid {
    rate: Option<FrameRate>,
    /// Position of frame 0 and index of the last frame.
    origin: Option<i64>,
    index: i64,
    misses: u32,
    /// How far the grid was moved since which frame.
    drift: i64,
    drift_since: i64,
    recent: VecDeque<i64>,
    since_fit: usize,
    /// Smoothed frame duration while there is no rate.
    step: Option<i64>,
}

impl FrameGrid {
    /// Starts from a nominal rate: what the bitstream or `onMetaData` says.
    pub(crate) fn set_nominal(&mut self, rate: FrameRate) {
        if self.recent.is_empty() {
            self.rate = Some(rate);
        }
    }

    /// The rate the timestamps fit.
    pub(crate) fn rate(&self) -> Option<FrameRate> {
        self.rate
    }

    /// The duration of a frame now.
    pub(crate) fn duration(&self) -> Option<i64> {
        self.rate.map(|rate| rate.ticks(1)).or(self.step)
    }

    /// Forgets where the grid lies but not how wide it is, when the timeline under it was moved: the next frame is
    /// on it.
    pub(crate) fn restart(&mut self) {
        (self.origin, self.index, self.misses, self.since_fit) = (None, 0, 0, 0);
        (self.drift, self.drift_since) = (0, 0);
        self.recent.clear();
    }

    /// A composition offset in ticks, put on the grid when it is a rounding of whole frames.
    pub(crate) fn snap_offset(&self, offset: i64) -> i64 {
        let snapped = self.rate.map(|rate| rate.ticks(rate.nearest(offset)));
        snapped.filter(|snapped| (snapped - offset).abs() <= TOLERANCE).unwrap_or(offset)
    }

    /// Places the next frame, whose timestamp says `input` ticks.
    pub(crate) fn place(&mut self, input: i64) -> Placed {
        let previous = self.recent.back().copied();
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(input);
        self.since_fit += 1;
        if let Some(delta) =
            previous.map(|previous| input - previous).filter(|delta| (1..=90_000).contains(delta))
        {
            self.step = Some(self.step.map_or(delta, |step| (3 * step + delta + 2) / 4));
        }
        if let Some(rate) = self.rate {
            if let Some(placed) = self.snap(rate, input) {
                self.misses = 0;
                return placed;
            }
            self.misses += 1;
            if self.misses < MAX_MISSES {
                return Placed { dts: input, duration: rate.ticks(1) };
            }
            (self.rate, self.misses) = (None, 0);
            // What came before the rate changed says nothing of the new one.
            while self.recent.len() > MAX_MISSES as usize {
                self.recent.pop_front();
            }
        }
        let due = self.since_fit >= MIN_RECENT || self.recent.len() == MIN_RECENT;
        if due && self.recent.len() >= MIN_RECENT {
            self.since_fit = 0;
            if let Some((rate, origin)) = fit(&self.recent) {
                (self.rate, self.origin, self.index) = (Some(rate), Some(origin), i64::MIN);
                (self.drift, self.drift_since) = (0, i64::MIN / 2);
                if let Some(placed) = self.snap(rate, input) {
                    return placed;
                }
            }
        }
        Placed { dts: input, duration: self.step.unwrap_or(3_000).max(1) }
    }

    /// The grid position next to `input`, if it is one and no earlier frame has it.
    fn snap(&mut self, rate: FrameRate, input: i64) -> Option<Placed> {
        let Some(origin) = self.origin else {
            (self.origin, self.index) = (Some(input), 0);
            return Some(Placed { dts: input, duration: rate.ticks(1) });
        };
        let index = rate.nearest(input.saturating_sub(origin));
        let error = input.saturating_sub(origin).saturating_sub(rate.ticks(index));
        if index <= self.index || error.abs() > TOLERANCE {
            return None;
        }
        self.index = index;
        let moved = if error.abs() > HELD { error - HELD * error.signum() } else { 0 };
        if index - self.drift_since > DRIFT_FRAMES {
            (self.drift, self.drift_since) = (0, index);
        }
        self.drift += moved;
        if self.drift.abs() > MAX_DRIFT {
            // Fitted anew with the next frame, to all that is remembered.
            (self.rate, self.drift, self.since_fit) = (None, 0, RECENT);
        }
        let origin = origin.saturating_add(moved);
        self.origin = Some(origin);
        let at = rate.ticks(index);
        Some(Placed { dts: origin.saturating_add(at), duration: rate.ticks(index + 1) - at })
    }
}

/// The slowest rate on whose grid all of `times` lie with most steps of one frame, and the grid's origin.
fn fit(times: &VecDeque<i64>) -> Option<(FrameRate, i64)> {
    let (first, last) = (*times.front()?, *times.back()?);
    let steps = i64::try_from(times.len()).ok()? - 1;
    let mean = (last - first).checked_div(steps)?;
    // The mean as a rate of its own, for the odd ones: exact when no frame is missing.
    #[expect(clippy::cast_precision_loss, reason = "ticks of at most some minutes")]
    let measured = (mean > 0).then(|| {
        let rate = 90_000.0 * steps as f64 / (last - first) as f64;
        if (rate.round() / rate - 1.0).abs() < 0.003 { rate.round() } else { rate }
    });
    let odd = measured.and_then(FrameRate::from_decimal);
    COMMON
        .into_iter()
        .chain(odd)
        .filter_map(|rate| {
            let (mut low, mut high, mut single, mut previous) = (0, 0, 0, None);
            for time in times {
                let index = rate.nearest(time - first);
                let error = time - first - rate.ticks(index);
                (low, high) = (error.min(low), error.max(high));
                single += i64::from(previous == Some(index - 1));
                if high - low > FIT || previous.is_some_and(|previous| previous >= index) {
                    return None;
                }
                previous = Some(index);
            }
            (2 * single > steps).then_some((high - low, rate, first + i64::midpoint(low, high)))
        })
        .min_by_key(|(spread, ..)| *spread)
        .map(|(_, rate, origin)| (rate, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Timestamps of frames as RTMP carries them, in ticks.
    fn millis(rate: FrameRate, frames: i64, floor: bool) -> impl Iterator<Item = i64> {
        (0..frames).map(move |n| {
            let ticks = rate.ticks(n);
            (if floor { ticks.div_euclid(90) } else { (ticks + 45).div_euclid(90) }) * 90
        })
    }

    #[test]
    fn rounded_timestamps_become_exact_frame_durations() {
        for rate in COMMON {
            for floor in [true, false] {
                let mut grid = FrameGrid::default();
                grid.set_nominal(rate);
                let placed: Vec<_> = millis(rate, 5_000, floor).map(|t| grid.place(t)).collect();
                for pair in placed.windows(2) {
                    assert_eq!(pair[1].dts - pair[0].dts, pair[0].duration, "{rate:?} floor {floor}");
                    assert!((pair[0].duration - rate.ticks(1)).abs() <= 1);
                }
            }
        }
    }

    #[test]
    fn an_unknown_rate_is_measured() {
        let odd = FrameRate::new(29, 1).unwrap();
        for rate in COMMON.into_iter().chain([odd]) {
            let mut grid = FrameGrid::default();
            for t in millis(rate, 300, true) {
                grid.place(t);
            }
            let found = grid.rate().unwrap_or_else(|| panic!("nothing fits {rate:?}"));
            assert!(
                (found.as_f64() / rate.as_f64() - 1.0).abs() < 0.000_5,
                "{rate:?} was taken for {found:?}"
            );
        }
    }

    #[test]
    fn a_wrong_nominal_rate_is_given_up_and_the_real_one_found() {
        let mut grid = FrameGrid::default();
        grid.set_nominal(FrameRate::new(30, 1).unwrap());
        for t in millis(FrameRate::new(25, 1).unwrap(), 100, true) {
            grid.place(t);
        }
        assert_eq!(grid.rate(), FrameRate::new(25, 1));
    }

    #[test]
    fn dropped_frames_keep_the_grid() {
        let rate = FrameRate::new(30_000, 1001).unwrap();
        let mut grid = FrameGrid::default();
        grid.set_nominal(rate);
        let mut last = None;
        for (n, t) in millis(rate, 900, true).enumerate() {
            if n % 7 == 3 || (300..330).contains(&n) {
                continue;
            }
            let placed = grid.place(t);
            if let Some(last) = last {
                assert_eq!((placed.dts - last) % 3003, 0);
            }
            last = Some(placed.dts);
        }
        assert_eq!(grid.rate(), Some(rate));
    }

    #[test]
    fn variable_frame_rate_is_taken_as_it_is() {
        let mut grid = FrameGrid::default();
        let mut t = 0;
        for n in 0..500i64 {
            t += 90 * (20 + (n * n * 7919) % 37);
            assert_eq!(grid.place(t).dts, t);
        }
        assert_eq!(grid.rate(), None);
        assert!((20 * 90..=57 * 90).contains(&grid.duration().unwrap()));
    }

    #[test]
    fn a_clock_that_is_slightly_off_stays_on_the_grid() {
        let mut grid = FrameGrid::default();
        grid.set_nominal(FrameRate::new(30, 1).unwrap());
        for n in 0..100_000i64 {
            // 100 ppm slow.
            let t = (n * 300_030 / 100).div_euclid(90) * 90;
            let placed = grid.place(t);
            assert!((placed.dts - t).abs() <= TOLERANCE);
        }
        assert_eq!(grid.rate(), FrameRate::new(30, 1));
    }
}
