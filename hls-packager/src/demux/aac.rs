//! AAC: `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1) to an [`AudioConfig`].

use bytes::Bytes;
use millrace_core::time::Timescale;

use super::AudioConfig;

/// Why an `AudioSpecificConfig` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AacConfigError {
    /// It ends too early.
    #[error("AudioSpecificConfig of {length} bytes is truncated")]
    Truncated {
        /// Bytes there are.
        length: usize,
    },
    /// An object type that is not AAC.
    #[error("audio object type {found} is not AAC")]
    ObjectType {
        /// The type.
        found: u8,
    },
    /// A reserved sample rate index, or a rate out of bounds.
    #[error("sample rate index {index}, rate {rate} is not valid")]
    SampleRate {
        /// The index.
        index: u8,
        /// The rate, 0 when the index is reserved.
        rate: u32,
    },
    /// A channel configuration without 1 to 8 channels.
    #[error("channel configuration {found} is not supported")]
    Channels {
        /// The configuration.
        found: u8,
    },
}

const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const SBR: u8 = 5;
const PARAMETRIC_STEREO: u8 = 29;

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn read(&mut self, count: usize) -> Result<u32, AacConfigError> {
        let mut value = 0;
        for _ in 0..count {
            let byte =
                self.bytes.get(self.at / 8).ok_or(AacConfigError::Truncated { length: self.bytes.len() })?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    fn small(&mut self, count: usize) -> Result<u8, AacConfigError> {
        debug_assert!(count <= 8);
        Ok(u8::try_from(self.read(count)?).unwrap_or(u8::MAX))
    }

    fn object_type(&mut self) -> Result<u8, AacConfigError> {
        match self.small(5)? {
            31 => Ok(32 + self.small(6)?),
            found => Ok(found),
        }
    }

    fn sample_rate(&mut self) -> Result<u32, AacConfigError> {
        let index = self.small(4)?;
        let rate = match index {
            15 => self.read(24)?,
            _ => SAMPLE_RATES.get(usize::from(index)).copied().unwrap_or(0),
        };
        if (7_350..=192_000).contains(&rate) {
            Ok(rate)
        } else {
            Err(AacConfigError::SampleRate { index, rate })
        }
    }
}

/// Reads an `AudioSpecificConfig`. The timescale is that of the core coder: with SBR a frame still is 1024 (or 960)
/// samples of it.
///
/// # Errors
/// [`AacConfigError`], with what was found.
pub fn parse_config(data: &Bytes) -> Result<AudioConfig, AacConfigError> {
    let mut bits = Bits { bytes: data, at: 0 };
    let mut object_type = bits.object_type()?;
    let rate = bits.sample_rate()?;
    let channel_configuration = bits.small(4)?;
    // Hierarchical signalling of SBR and PS: the extension first, then the core.
    let mut extension = None;
    if matches!(object_type, SBR | PARAMETRIC_STEREO) {
        extension = Some(object_type);
        bits.sample_rate()?;
        object_type = bits.object_type()?;
    }
    // Main, LC, SSR, LTP and the scalable kinds share GASpecificConfig; live encoders send LC.
    if !matches!(object_type, 1..=4) {
        return Err(AacConfigError::ObjectType { found: object_type });
    }
    let channels = match channel_configuration {
        1..=6 => channel_configuration,
        7 | 12 | 14 => 8,
        11 => 7,
        found => return Err(AacConfigError::Channels { found }),
    };
    let frame_samples = if bits.read(1)? == 1 { 960 } else { 1024 };
    if extension.is_none() {
        extension = backward_compatible_extension(&mut bits);
    }
    let scale = Timescale::new(rate).ok_or(AacConfigError::SampleRate { index: 0, rate })?;
    Ok(AudioConfig {
        codec: format!("mp4a.40.{}", extension.unwrap_or(object_type)),
        scale,
        // Parametric stereo makes two channels of one.
        channels: if extension == Some(PARAMETRIC_STEREO) { 2 } else { channels },
        frame_samples,
        sample_entry: *b"mp4a",
        decoder_config: (*b"esds", esds(data)),
    })
}

/// Backward compatible signalling: a sync word after the core's configuration. Its absence is no error.
fn backward_compatible_extension(bits: &mut Bits<'_>) -> Option<u8> {
    if bits.read(1).ok()? == 1 {
        bits.read(14).ok()?;
    }
    bits.read(1).ok()?;
    if bits.read(11).ok()? != 0x2b7 || bits.object_type().ok()? != SBR || bits.read(1).ok()? != 1 {
        return None;
    }
    bits.sample_rate().ok()?;
    if bits.read(11).ok() == Some(0x548) && bits.read(1).ok() == Some(1) {
        return Some(PARAMETRIC_STEREO);
    }
    Some(SBR)
}

/// The `ES_Descriptor` of the `esds` box (ISO/IEC 14496-1 §7.2.6.5), version and flags included.
fn esds(specific: &Bytes) -> Bytes {
    // Lengths are written in one byte each: an AudioSpecificConfig has a few bytes, longer ones lose what is beyond.
    let specific = &specific[..specific.len().min(64)];
    let length = |bytes: usize| u8::try_from(bytes).expect("at most 64 bytes and fixed fields");
    let mut esds = vec![0, 0, 0, 0];
    // ES_Descriptor: id 0, no flags.
    esds.extend_from_slice(&[0x03, length(3 + 2 + 13 + 2 + specific.len() + 3), 0, 0, 0]);
    // DecoderConfigDescriptor: MPEG-4 audio, audio stream, buffer size and bit rates not told.
    esds.extend_from_slice(&[0x04, length(13 + 2 + specific.len()), 0x40, 0x15]);
    esds.extend_from_slice(&[0; 11]);
    esds.extend_from_slice(&[0x05, length(specific.len())]);
    esds.extend_from_slice(specific);
    // SLConfigDescriptor: predefined for MP4.
    esds.extend_from_slice(&[0x06, 1, 2]);
    esds.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_real_encoders_are_read() {
        type Row<'a> = (&'a str, &'a [u8], &'a str, u32, u8, u32);
        // (what, bytes, codec, core rate, channels, samples per frame)
        let table: [Row<'_>; 9] = [
            ("LC 44.1 stereo", &[0x12, 0x10], "mp4a.40.2", 44_100, 2, 1024),
            ("LC 48 stereo", &[0x11, 0x90], "mp4a.40.2", 48_000, 2, 1024),
            ("LC 48 mono", &[0x11, 0x88], "mp4a.40.2", 48_000, 1, 1024),
            ("LC 48 7.1", &[0x11, 0xb8], "mp4a.40.2", 48_000, 8, 1024),
            ("LC 48 stereo, 960", &[0x11, 0x94], "mp4a.40.2", 48_000, 2, 960),
            ("LC with explicit rate 50000", &[0x17, 0x80, 0x61, 0xa8, 0x10], "mp4a.40.2", 50_000, 2, 1024),
            ("HE 24/48, hierarchical", &[0x2b, 0x11, 0x88, 0x00], "mp4a.40.5", 24_000, 2, 1024),
            ("HE v2 24/48, hierarchical", &[0xeb, 0x09, 0x88, 0x00], "mp4a.40.29", 24_000, 2, 1024),
            ("HE 24/48, backward compatible", &[0x13, 0x10, 0x56, 0xe5, 0x98], "mp4a.40.5", 24_000, 2, 1024),
        ];
        for (what, bytes, codec, rate, channels, frame) in table {
            let config =
                parse_config(&Bytes::copy_from_slice(bytes)).unwrap_or_else(|e| panic!("{what}: {e}"));
            let found = (
                config.codec.as_str(),
                config.scale.ticks_per_second(),
                config.channels,
                config.frame_samples,
            );
            assert_eq!(found, (codec, rate, channels, frame), "{what}");
        }
    }

    #[test]
    fn what_is_not_aac_is_named() {
        let error = |bytes: &[u8]| parse_config(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(error(&[]), AacConfigError::Truncated { length: 0 });
        assert_eq!(error(&[0x12]), AacConfigError::Truncated { length: 1 });
        assert_eq!(error(&[0x16, 0x90]), AacConfigError::SampleRate { index: 13, rate: 0 });
        assert_eq!(error(&[0x17, 0x80, 0, 0, 0x10]), AacConfigError::SampleRate { index: 15, rate: 0 });
        assert_eq!(error(&[0x11, 0x80]), AacConfigError::Channels { found: 0 });
        assert_eq!(error(&[0x31, 0x90]), AacConfigError::ObjectType { found: 6 });
    }
}
