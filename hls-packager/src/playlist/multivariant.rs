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
        let listed = of.renditions().filter(|(info, _)| info.listed);
        let variants = listed.map(|(info, rate)| Variant {
            name: info.name,
            bandwidth: info.nominal.map_or(rate.peak, |nominal| nominal.max(rate.peak)),
            average_bandwidth: info.nominal.unwrap_or(rate.average),
            codecs: info.codecs.clone(),
            resolution: info.resolution,
            frame_rate: info.frame_rate,
        });
        Self { independent_segments: of.independent_segments(), variants: variants.collect() }
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
