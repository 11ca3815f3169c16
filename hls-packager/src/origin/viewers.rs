//! How many viewers a stream has, approximately and without keeping who they are.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Bits per window: 2 KiB. Linear counting in them is good to about one in a hundred up to 40,000 viewers.
const BITS: usize = 16_384;
const WORDS: usize = BITS / 64;

/// A linear-counting bitmap (Whang et al., 1990) over two windows that rotate.
///
/// Fed with salted hashes of whatever tells viewers apart; nothing can be read back from the bits. A viewer counts
/// for one to two rotations after its last request.
#[derive(Debug)]
pub struct Viewers {
    windows: [Box<[AtomicU64]>; 2],
    current: AtomicUsize,
}

impl Default for Viewers {
    fn default() -> Self {
        let window = || (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Self { windows: [window(), window()], current: AtomicUsize::new(0) }
    }
}

impl Viewers {
    /// Notes a request of the viewer with this hash.
    pub fn saw(&self, hash: u64) {
        let (word, bit) = ((hash as usize / 64) % WORDS, 1 << (hash % 64));
        let word = &self.windows[self.current.load(Relaxed) % 2][word];
        // A look first: nearly always the bit is set, and a shared cache line stays shared.
        if word.load(Relaxed) & bit == 0 {
            word.fetch_or(bit, Relaxed);
        }
    }

    /// Begins a new window and forgets the one before the last.
    pub fn rotate(&self) {
        let next = (self.current.load(Relaxed) + 1) % 2;
        for word in &self.windows[next] {
            word.store(0, Relaxed);
        }
        self.current.store(next, Relaxed);
    }

    /// Viewers seen in the last two windows.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate between 0 and 160,000"
    )]
    pub fn estimate(&self) -> u64 {
        let [one, two] = &self.windows;
        let set: u32 =
            one.iter().zip(two).map(|(a, b)| (a.load(Relaxed) | b.load(Relaxed)).count_ones()).sum();
        // A full bitmap says "very many"; the logarithm of zero says nothing.
        let unset = (BITS - set as usize).max(1) as f64;
        (BITS as f64 * (BITS as f64 / unset).ln()).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    #[test]
    fn the_estimate_is_close_and_repeats_do_not_count() {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        for count in [0u64, 1, 10, 1_000, 20_000] {
            let viewers = Viewers::default();
            for _ in 0..3 {
                (0..count).for_each(|viewer| viewers.saw(hasher.hash_one(viewer)));
            }
            let off = viewers.estimate().abs_diff(count);
            assert!(off * 20 <= count, "{} instead of {count}", viewers.estimate());
        }
    }

    #[test]
    fn a_viewer_that_left_is_forgotten_after_two_windows() {
        let viewers = Viewers::default();
        viewers.saw(7);
        viewers.rotate();
        assert_eq!(viewers.estimate(), 1);
        viewers.saw(7 + 64);
        assert_eq!(viewers.estimate(), 2);
        viewers.rotate();
        assert_eq!(viewers.estimate(), 1);
        viewers.rotate();
        assert_eq!(viewers.estimate(), 0);
    }
}
