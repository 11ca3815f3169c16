//! How many viewers there are, approximately and without keeping who they are.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Bits of a sketch: 2 KiB. Linear counting in them is good to about one in a hundred up to 40,000 viewers.
pub const SKETCH_BITS: usize = 16_384;
const WORDS: usize = SKETCH_BITS / 64;

/// A linear-counting bitmap (Whang et al., 1990): a set of which only the size can be asked.
///
/// Fed with hashes, or with random numbers that viewers gave themselves; nothing can be read back from the bits. Two
/// sketches with the same origin of hashes merge into that of both sets.
#[derive(Debug)]
pub struct ViewerSketch(Box<[AtomicU64]>);

impl Default for ViewerSketch {
    fn default() -> Self {
        Self((0..WORDS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl ViewerSketch {
    /// Notes the viewer with this hash, whose bits must be evenly spread.
    pub fn saw(&self, hash: u64) {
        let (word, bit) = (&self.0[(hash as usize / 64) % WORDS], 1 << (hash % 64));
        // A look first: nearly always the bit is set, and a shared cache line stays shared.
        if word.load(Relaxed) & bit == 0 {
            word.fetch_or(bit, Relaxed);
        }
    }

    /// Forgets everybody.
    pub fn clear(&self) {
        for word in &self.0 {
            word.store(0, Relaxed);
        }
    }

    /// Adds everybody of `other`.
    pub fn merge(&self, other: &Self) {
        for (mine, theirs) in self.0.iter().zip(&other.0) {
            mine.fetch_or(theirs.load(Relaxed), Relaxed);
        }
    }

    /// As text, for [`Self::parse`]: base64 of the numbers of the bits that are set, two bytes each, or of all bits where
    /// that is shorter.
    #[must_use]
    pub fn to_text(&self) -> String {
        let words = self.0.iter().map(|word| word.load(Relaxed));
        let set: Vec<u16> = (0_u16..)
            .zip(words.clone())
            .flat_map(|(index, word)| {
                (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit)
            })
            .collect();
        let bytes: Vec<u8> = if set.len() * 2 < SKETCH_BITS / 8 {
            set.into_iter().flat_map(u16::to_le_bytes).collect()
        } else {
            words.flat_map(u64::to_le_bytes).collect()
        };
        BASE64.encode(bytes)
    }

    /// The sketch of a text; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > SKETCH_BITS / 4 {
            return None;
        }
        let bytes = BASE64.decode(text).ok()?;
        let sketch = Self::default();
        if bytes.len() == SKETCH_BITS / 8 {
            for (word, bytes) in sketch.0.iter().zip(bytes.chunks_exact(8)) {
                word.store(u64::from_le_bytes(bytes.try_into().ok()?), Relaxed);
            }
            return Some(sketch);
        }
        if bytes.len() % 2 == 1 {
            return None;
        }
        for bytes in bytes.chunks_exact(2) {
            let bit = u16::from_le_bytes([bytes[0], bytes[1]]);
            sketch.0.get(usize::from(bit / 64))?.fetch_or(1 << (bit % 64), Relaxed);
        }
        Some(sketch)
    }

    /// About how many there are.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate between 0 and 160,000"
    )]
    pub fn estimate(&self) -> u64 {
        let set: u32 = self.0.iter().map(|word| word.load(Relaxed).count_ones()).sum();
        // A full bitmap says "very many"; the logarithm of zero says nothing.
        let unset = (SKETCH_BITS - set as usize).max(1) as f64;
        (SKETCH_BITS as f64 * (SKETCH_BITS as f64 / unset).ln()).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    fn sketch(viewers: impl Iterator<Item = u64> + Clone) -> ViewerSketch {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let sketch = ViewerSketch::default();
        for _ in 0..3 {
            viewers.clone().for_each(|viewer| sketch.saw(hasher.hash_one(viewer)));
        }
        sketch
    }

    #[test]
    fn the_estimate_is_close_and_repeats_do_not_count() {
        for count in [0u64, 1, 10, 1_000, 20_000] {
            let estimate = sketch(0..count).estimate();
            assert!(estimate.abs_diff(count) * 20 <= count, "{estimate} instead of {count}");
        }
    }

    #[test]
    fn a_sketch_crosses_the_bus_and_nonsense_is_none() {
        for count in [0, 1, 500, 1_200, 20_000] {
            let there = sketch(0..count);
            let text = there.to_text();
            assert!(text.len() <= SKETCH_BITS / 8 * 4 / 3 + 4, "{}", text.len());
            assert_eq!(ViewerSketch::parse(&text).unwrap().to_text(), text, "{count}");
        }
        // A half of a number, a bit that is not there, no base64, and too much.
        for bad in ["AA==", "//8=", "!", &"AAAA".repeat(2_000)] {
            assert!(ViewerSketch::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn merged_sketches_count_everybody_once() {
        let both = sketch(0..700);
        both.merge(&sketch(300..1_000));
        assert!(both.estimate().abs_diff(1_000) <= 50, "{}", both.estimate());
        both.clear();
        assert_eq!(both.estimate(), 0);
    }
}
