//! The multivariant playlist.

use std::fmt::{self, Display, Formatter};

use super::VERSION;
use crate::window::Window;

/// A multivariant playlist, ready to be printed.
#[derive(Debug, Clone, PartialEq)]
pub struct MultivariantPlaylist {
    /// `EXT-X-INDEPENDENT-SEGMENTS`: true of every segment of every variant.
    pub independent_segments: bool,
    /// The variants, best first: players without a measurement begin with the first.
    pub variants: Vec<Variant>,
}

/// `EXT-X-STREAM-INF` and its URI (RFC 8216bis §4.4.6.2).
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Path segment of the rendition.
    pub name: &'static str,
    /// `BANDWIDTH`, bits per second.
    pub bandwidth: u64,
    /// `AVERAGE-BANDWIDTH`, bits per second.
    pub average_bandwidth: u64,
    /// `CODECS`.
    pub codecs: Vec<String>,
    /// `RESOLUTION`.
    pub resolution: Option<(u32, u32)>,
    /// `FRAME-RATE`.
    pub frame_rate: Option<f64>,
}

impl MultivariantPlaylist {
    /// The playlist of a broadcast as it stands.
    #[must_use]
    pub fn new(of: &Window) -> Self {
        let listed: Vec<_> = of.renditions().filter(|(info, _)| info.listed).collect();
        let mut variants: Vec<_> = listed
            .iter()
            .map(|(info, rate)| Variant {
                name: info.name,
                bandwidth: info.nominal.map_or(rate.peak, |nominal| nominal.max(rate.peak)),
                average_bandwidth: info.nominal.unwrap_or(rate.average),
                codecs: info.codecs.clone(),
                resolution: info.resolution,
                frame_rate: info.frame_rate,
            })
            .collect();
        let is_rung = |&(index, _): &(usize, _)| index == 0 || listed[index].0.nominal.is_some();
        put_in_order(variants.iter_mut().enumerate().filter(is_rung).map(|(_, variant)| variant));
        Self { independent_segments: of.independent_segments(), variants }
    }
}

/// Has `BANDWIDTH` decrease down the ladder, best first: players take what has more of it for better. What is measured, which
/// has to be said, may be more in a rung than in what is above it: of a source whose picture stands still, or of a rung that is
/// not made.
fn put_in_order<'a>(ladder: impl DoubleEndedIterator<Item = &'a mut Variant>) {
    let mut below = 0;
    for variant in ladder.rev() {
        variant.bandwidth = variant.bandwidth.max(below + 1);
        below = variant.bandwidth;
    }
}

impl Display for MultivariantPlaylist {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{VERSION}")?;
        if self.independent_segments {
            writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        for variant in &self.variants {
            write!(
                f,
                "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"",
                variant.bandwidth,
                variant.average_bandwidth,
                variant.codecs.join(",")
            )?;
            if let Some((width, height)) = variant.resolution {
                write!(f, ",RESOLUTION={width}x{height}")?;
            }
            if let Some(rate) = variant.frame_rate {
                write!(f, ",FRAME-RATE={rate:.3}")?;
            }
            writeln!(f, "\n{}/index.m3u8", variant.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bandwidth_decreases_down_the_ladder_and_is_never_below_what_was_measured(
            measured in prop::collection::vec(0..100_000_000u64, 1..7),
        ) {
            let variant = |bandwidth: &u64| Variant {
                name: "rung",
                bandwidth: *bandwidth,
                average_bandwidth: 0,
                codecs: Vec::new(),
                resolution: None,
                frame_rate: None,
            };
            let mut variants: Vec<_> = measured.iter().map(variant).collect();
            put_in_order(variants.iter_mut());
            prop_assert!(variants.windows(2).all(|two| two[0].bandwidth > two[1].bandwidth));
            prop_assert!(variants.iter().zip(&measured).all(|(variant, least)| variant.bandwidth >= *least));
        }
    }
}
