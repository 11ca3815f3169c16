//! AAC: `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1) to an [`AudioConfig`].

mod elements;

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
    /// A reserved channel configuration.
    #[error("channel configuration {found} is not supported")]
    ChannelConfiguration {
        /// The configuration.
        found: u8,
    },
    /// A program configuration element with no channels or too many.
    #[error("{found} channels are not supported")]
    Channels {
        /// How many.
        found: u8,
    },
}

const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const SBR: u8 = 5;
const PARAMETRIC_STEREO: u8 = 29;
/// The configuration's channels are in a program configuration element.
const CHANNELS_IN_PROGRAM_CONFIG: u8 = 0;
/// Most channels that are packaged.
const MAX_CHANNELS: u8 = 8;
/// Most bytes of an `AudioSpecificConfig` that go into the init segment. The longest one that means anything, a full
/// program configuration element with a comment, has about 320.
const MAX_SPECIFIC_BYTES: usize = 512;

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

    /// Passes over what is left of a byte, counted from the start of the configuration.
    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
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
    let known = match channel_configuration {
        CHANNELS_IN_PROGRAM_CONFIG => None,
        found => {
            Some(elements::of_configuration(found).ok_or(AacConfigError::ChannelConfiguration { found })?)
        }
    };
    let frame_samples = if bits.read(1)? == 1 { 960 } else { 1024 };
    let elements = match known {
        Some(elements) => {
            // Encoders leave out the rest of GASpecificConfig() when it is zero.
            let _ = read_core_coder(&mut bits);
            elements
        }
        None => {
            read_core_coder(&mut bits)?;
            elements::read_program_config(&mut bits)?
        }
    };
    let channels = elements::channels(&elements);
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(AacConfigError::Channels { found: channels });
    }
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
        silence: elements::silence(&elements).into(),
        sample_entry: *b"mp4a",
        decoder_config: (*b"esds", esds(data)),
    })
}

/// The rest of `GASpecificConfig()` before its program configuration element: core coder and extension flag.
fn read_core_coder(bits: &mut Bits<'_>) -> Result<(), AacConfigError> {
    if bits.read(1)? == 1 {
        bits.read(14)?;
    }
    bits.read(1).map(drop)
}

/// Backward compatible signalling: a sync word after the core's configuration. Its absence is no error.
fn backward_compatible_extension(bits: &mut Bits<'_>) -> Option<u8> {
    if bits.read(11).ok()? != 0x2b7 || bits.object_type().ok()? != SBR || bits.read(1).ok()? != 1 {
        return None;
    }
    bits.sample_rate().ok()?;
    if bits.read(11).ok() == Some(0x548) && bits.read(1).ok() == Some(1) {
        return Some(PARAMETRIC_STEREO);
    }
    Some(SBR)
}

/// The `ES_Descriptor` of the `esds` box (ISO/IEC 14496-1 §7.2.6.5), version and flags included. What goes beyond
/// [`MAX_SPECIFIC_BYTES`] is left out.
fn esds(specific: &Bytes) -> Bytes {
    let specific = &specific[..specific.len().min(MAX_SPECIFIC_BYTES)];
    let specific = descriptor(0x05, &[specific]);
    // DecoderConfigDescriptor: MPEG-4 audio, audio stream, buffer size and bit rates not told.
    let decoder = descriptor(0x04, &[&[0x40, 0x15], &[0; 11], &specific]);
    // SLConfigDescriptor: predefined for MP4.
    let sync_layer = descriptor(0x06, &[&[2]]);
    // ES_Descriptor: id 0, no flags.
    let stream = descriptor(0x03, &[&[0, 0, 0], &decoder, &sync_layer]);
    [&[0, 0, 0, 0][..], &stream].concat().into()
}

/// A descriptor: tag, length in groups of seven bits (ISO/IEC 14496-1 §8.3.3), payload.
fn descriptor(tag: u8, payload: &[&[u8]]) -> Vec<u8> {
    let length = payload.iter().map(|part| part.len()).sum::<usize>();
    let group = |shift: usize| u8::try_from(length >> shift & 0x7f).expect("seven bits");
    let mut bytes = vec![tag];
    if length > 0x7f {
        // Two groups count to 16383; the configuration is bounded far below.
        bytes.push(0x80 | group(7));
    }
    bytes.push(group(0));
    bytes.extend(payload.iter().copied().flatten());
    bytes
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

    /// FFmpeg 5.1's encoder writes a program configuration element for layouts that have no number.
    const PROGRAM_CONFIGS: [(&str, &[u8], u8); 6] = [
        ("quad", b"\x11\x80\x04\xc4\x04\x00\x21\x10\x0dLavc59.37.100\x56\xe5\x00", 4),
        ("2.1", b"\x11\x80\x04\xc4\x01\x00\x20\x00\x0dLavc59.37.100\x56\xe5\x00", 3),
        ("3.1", b"\x11\x80\x04\xc8\x01\x00\x20\x00\x0dLavc59.37.100\x56\xe5\x00", 4),
        ("5.0(side)", b"\x11\x80\x04\xc8\x40\x00\x20\x08\x80\x0dLavc59.37.100\x56\xe5\x00", 5),
        ("hexagonal", b"\x11\x80\x04\xc8\x08\x00\x20\x08\x84\x0dLavc59.37.100\x56\xe5\x00", 6),
        ("octagonal", b"\x11\x80\x04\xc8\x48\x00\x20\x08\xc8\x20\x0dLavc59.37.100\x56\xe5\x00", 8),
    ];

    #[test]
    fn a_program_configuration_element_tells_the_channels_and_is_passed_on_whole() {
        for (layout, bytes, channels) in PROGRAM_CONFIGS {
            let config = parse_config(&Bytes::from_static(bytes)).unwrap_or_else(|e| panic!("{layout}: {e}"));
            assert_eq!((config.codec.as_str(), config.channels), ("mp4a.40.2", channels), "{layout}");
            let esds = config.decoder_config.1;
            assert!(esds.windows(bytes.len()).any(|window| window == bytes), "{layout}: cut");
        }
    }

    #[test]
    fn a_truncated_program_configuration_element_is_an_error_wherever_it_ends() {
        for (layout, bytes, _) in PROGRAM_CONFIGS {
            // The three bytes behind it are the extension, whose absence is no error.
            let whole = bytes.len() - 3;
            for length in 2..whole {
                let error = parse_config(&Bytes::copy_from_slice(&bytes[..length])).unwrap_err();
                assert_eq!(error, AacConfigError::Truncated { length }, "{layout}");
            }
            assert!(parse_config(&Bytes::copy_from_slice(&bytes[..whole])).is_ok(), "{layout}");
        }
    }

    #[test]
    fn a_long_configuration_has_descriptor_lengths_of_two_bytes() {
        let comment = [&b"\x11\x80\x04\xc4\x01\x00\x20\x00\xff"[..], &[b'x'; 255]].concat();
        let config = parse_config(&comment.clone().into()).unwrap();
        let esds = config.decoder_config.1;
        // The lengths of what follows each: 3 + 283 + 3, 13 + 267, 264.
        assert_eq!(esds[4..7], [0x03, 0x82, 0x21]);
        assert_eq!(esds[10..13], [0x04, 0x82, 0x18]);
        assert_eq!(esds[26..29], [0x05, 0x82, 0x08]);
        assert_eq!(esds[29..29 + 264], comment[..]);
        assert_eq!(esds.len(), 4 + 3 + 0x121);
    }

    #[test]
    fn what_is_not_aac_is_named() {
        let error = |bytes: &[u8]| parse_config(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(error(&[]), AacConfigError::Truncated { length: 0 });
        assert_eq!(error(&[0x12]), AacConfigError::Truncated { length: 1 });
        assert_eq!(error(&[0x16, 0x90]), AacConfigError::SampleRate { index: 13, rate: 0 });
        assert_eq!(error(&[0x17, 0x80, 0, 0, 0x10]), AacConfigError::SampleRate { index: 15, rate: 0 });
        assert_eq!(error(&[0x11, 0x80]), AacConfigError::Truncated { length: 2 });
        assert_eq!(error(&[0x11, 0xc8]), AacConfigError::ChannelConfiguration { found: 9 });
        let no_channels = [0x11, 0x80, 0x04, 0xc0, 0x00, 0x00, 0x20, 0x00, 0x00];
        assert_eq!(error(&no_channels), AacConfigError::Channels { found: 0 });
        assert_eq!(error(&[0x31, 0x90]), AacConfigError::ObjectType { found: 6 });
    }
}
