//! The syntactic elements that every AAC frame of a track consists of: from its channel configuration or from its
//! program configuration element (ISO/IEC 14496-3 §4.4.1.1, §4.5.1.2). Knowing them is enough to write silence.

use super::{AacConfigError, Bits};

/// One syntactic element of a frame, with its instance tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// `single_channel_element()`.
    Single(u8),
    /// `channel_pair_element()`.
    Pair(u8),
    /// `lfe_channel_element()`.
    Lfe(u8),
}

const ID_SINGLE: u32 = 0;
const ID_PAIR: u32 = 1;
const ID_LFE: u32 = 3;
const ID_END: u32 = 7;

impl Element {
    fn channels(self) -> u8 {
        match self {
            Self::Single(_) | Self::Lfe(_) => 1,
            Self::Pair(_) => 2,
        }
    }
}

/// The elements of a channel configuration other than 0 (ISO/IEC 14496-3 table 1.19), or `None` if it is reserved.
pub(super) fn of_configuration(configuration: u8) -> Option<Vec<Element>> {
    use Element::{Lfe, Pair, Single};
    Some(match configuration {
        1 => vec![Single(0)],
        2 => vec![Pair(0)],
        3 => vec![Single(0), Pair(0)],
        4 => vec![Single(0), Pair(0), Single(1)],
        5 => vec![Single(0), Pair(0), Pair(1)],
        6 => vec![Single(0), Pair(0), Pair(1), Lfe(0)],
        7 | 12 => vec![Single(0), Pair(0), Pair(1), Pair(2), Lfe(0)],
        11 => vec![Single(0), Pair(0), Pair(1), Single(1), Lfe(0)],
        14 => vec![Single(0), Pair(0), Pair(1), Lfe(0), Pair(2)],
        _ => return None,
    })
}

/// Channels of all elements together.
pub(super) fn channels(elements: &[Element]) -> u8 {
    elements.iter().fold(0, |sum: u8, element| sum.saturating_add(element.channels()))
}

/// Reads a `program_config_element()`: its channel elements, front to back. Mixdown, data and coupling elements are
/// passed over, and so is the comment.
///
/// # Errors
/// [`AacConfigError::Truncated`].
pub(super) fn read_program_config(bits: &mut Bits<'_>) -> Result<Vec<Element>, AacConfigError> {
    // Instance tag, object type, sampling frequency index: said outside already.
    bits.read(4 + 2 + 4)?;
    let positions = bits.read(4)? + bits.read(4)? + bits.read(4)?;
    let (lfe, data, coupling) = (bits.read(2)?, bits.read(3)?, bits.read(4)?);
    for mixdown_bits in [4, 4, 3] {
        if bits.read(1)? == 1 {
            bits.read(mixdown_bits)?;
        }
    }
    let mut elements = Vec::new();
    for _ in 0..positions {
        let pair = bits.read(1)? == 1;
        let tag = bits.small(4)?;
        elements.push(if pair { Element::Pair(tag) } else { Element::Single(tag) });
    }
    for _ in 0..lfe {
        elements.push(Element::Lfe(bits.small(4)?));
    }
    for _ in 0..data {
        bits.read(4)?;
    }
    for _ in 0..coupling {
        bits.read(1 + 4)?;
    }
    bits.align();
    for _ in 0..bits.read(8)? {
        bits.read(8)?;
    }
    Ok(elements)
}

/// One frame of silence, `raw_data_block()` of §4.4.2.1: each channel has a long window without a single scale factor
/// band, so there is nothing to scale and no spectrum.
pub(super) fn silence(elements: &[Element]) -> Vec<u8> {
    let mut frame = Writer::default();
    for element in elements {
        let (id, tag) = match element {
            Element::Single(tag) => (ID_SINGLE, tag),
            Element::Pair(tag) => (ID_PAIR, tag),
            Element::Lfe(tag) => (ID_LFE, tag),
        };
        frame.write(id, 3);
        frame.write(u32::from(*tag), 4);
        if id == ID_PAIR {
            // One window for both channels, and no mid/side mask.
            frame.write(1, 1);
            window(&mut frame);
            frame.write(0, 2);
            channel(&mut frame, false);
            channel(&mut frame, false);
        } else {
            channel(&mut frame, true);
        }
    }
    frame.write(ID_END, 3);
    frame.bytes
}

/// `ics_info()`: reserved bit, long window of sine shape, no scale factor band, no prediction.
fn window(frame: &mut Writer) {
    frame.write(0, 1 + 2 + 1 + 6 + 1);
}

/// `individual_channel_stream()`: global gain, no pulses, no noise shaping, no gain control.
fn channel(frame: &mut Writer, with_window: bool) {
    frame.write(0, 8);
    if with_window {
        window(frame);
    }
    frame.write(0, 1 + 1 + 1);
}

/// Appends bits, most significant first; the last byte is filled up with zeros.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    bits: usize,
}

impl Writer {
    fn write(&mut self, value: u32, count: usize) {
        for bit in (0..count).rev() {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("a byte was pushed when the one before was full");
            *last |= u8::from(value >> bit & 1 == 1) << (7 - self.bits % 8);
            self.bits += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_configuration_has_its_channels() {
        let count = |configuration| of_configuration(configuration).map(|elements| channels(&elements));
        let known = [1, 2, 3, 4, 5, 6, 7, 11, 12, 14].map(|configuration| count(configuration).unwrap());
        assert_eq!(known, [1, 2, 3, 4, 5, 6, 8, 7, 8, 8]);
        for reserved in [0, 8, 9, 10, 13, 15] {
            assert_eq!(count(reserved), None);
        }
    }

    #[test]
    fn silence_of_one_and_of_two_channels() {
        // 000 0000 | 00000000 | 00000000000 | 000 | 111, filled up.
        assert_eq!(silence(&[Element::Single(0)]), [0x00, 0x00, 0x00, 0x07]);
        // 001 0000 1 | 00000000000 00 | 2 × (00000000 000) | 111.
        assert_eq!(silence(&[Element::Pair(0)]), [0x21, 0x00, 0x00, 0x00, 0x00, 0x1c]);
        assert_eq!(silence(&[Element::Lfe(15)])[0], 0b0111_1110);
    }
}
