//! H.264 as bytes: what a record says of a stream, and what encoders hand out (ITU-T H.264 annex B) in the form of files
//! (ISO/IEC 14496-15 §5.3). Sans-IO.

use h264_reader::nal::sps::{PicOrderCntType, SeqParameterSet};
use h264_reader::nal::{Nal, RefNal};

const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;
const NAL_DELIMITER: u8 = 9;

/// Pictures that are held back for a stream that does not say how many must be, but may have B-pictures. Two are enough for
/// a pyramid of them.
const REORDER_UNSAID: u8 = 2;
/// Most pictures that can be held back (ITU-T H.264 §A.3.1).
const REORDER_MAX: u32 = 16;

/// What is to be known of a stream before its first picture is decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stream {
    /// Pictures that the decoder must hold back to hand them out in the order of presentation.
    pub(crate) reorder: u8,
    /// Pictures per second, if the stream says.
    pub(crate) frame_rate: Option<f64>,
    /// Width and height in pixels.
    pub(crate) size: (u32, u32),
}

impl Stream {
    /// Reads the first sequence parameter set of an `AVCDecoderConfigurationRecord`. `None` if there is none that can be
    /// read.
    pub(crate) fn of_record(record: &[u8]) -> Option<Self> {
        let sets = record.get(5)? & 0x1f;
        let length = usize::from(u16::from_be_bytes(*record.get(6..)?.first_chunk()?));
        let mut set = record.get(8..8 + length).filter(|_| sets > 0)?.to_vec();
        // Encoders are known to state a level that is too low for their pictures.
        *set.get_mut(3)? = 62;
        let sps = SeqParameterSet::from_bits(RefNal::new(&set, &[], true).rbsp_bits()).ok()?;
        let vui = sps.vui_parameters.as_ref();
        let said = vui
            .and_then(|vui| vui.bitstream_restrictions.as_ref())
            .map(|limits| limits.max_num_reorder_frames);
        // Baseline has no B-pictures, and the second type of order has no other order than that of decoding.
        let never =
            sps.profile().profile_idc() == 66 || matches!(sps.pic_order_cnt, PicOrderCntType::TypeTwo);
        let reorder = match said {
            _ if never => 0,
            Some(frames) => u8::try_from(frames.min(REORDER_MAX)).unwrap_or(0),
            None => REORDER_UNSAID,
        };
        let frame_rate = sps.fps().filter(|fps| (1.0..=240.0).contains(fps));
        Some(Self { reorder, frame_rate, size: sps.pixel_dimensions().ok()? })
    }
}

/// The NAL units of a stream of bytes with start codes.
fn nal_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(bytes);
    std::iter::from_fn(move || {
        let from = rest?;
        let end = start_code(from).unwrap_or(from.len());
        rest = after_start_code(&from[end..]);
        // Zero bytes before a start code belong to no NAL unit (annex B.1, trailing_zero_8bits).
        let last = from[..end].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&from[..last])
    })
    .filter(|nal| !nal.is_empty())
}

/// Where the next `00 00 01` begins.
fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // The third byte of three tells most often that none begins at any of them.
    while let Some(third) = bytes.get(at + 2) {
        match third {
            0 => at += 1,
            1 if bytes[at] == 0 && bytes[at + 1] == 0 => return Some(at),
            _ => at += 3,
        }
    }
    None
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    start_code(bytes).map(|at| &bytes[at + 3..])
}

/// The `AVCDecoderConfigurationRecord` of the parameter sets in `bytes`, for lengths of four bytes; `None` if one is missing.
pub(crate) fn record(bytes: &[u8]) -> Option<Vec<u8>> {
    let of_kind = |kind: u8| nal_units(bytes).find(move |nal| nal[0] & 0x1f == kind);
    let (sps, pps) = (of_kind(NAL_SPS)?, of_kind(NAL_PPS)?);
    let (&[profile, compatible, level], _) = sps.get(1..)?.split_first_chunk()?;
    let mut record = vec![1, profile, compatible, level, 0xff, 0xe1];
    record.extend_from_slice(&u16::try_from(sps.len()).ok()?.to_be_bytes());
    record.extend_from_slice(sps);
    record.push(1);
    record.extend_from_slice(&u16::try_from(pps.len()).ok()?.to_be_bytes());
    record.extend_from_slice(pps);
    if matches!(profile, 100 | 110 | 122 | 144) {
        // 4:2:0 with 8 bits: nothing else is encoded here. No extension of the sequence parameter set.
        record.extend_from_slice(&[0xfc | 1, 0xf8, 0xf8, 0]);
    }
    Some(record)
}

/// An access unit with lengths of four bytes, without delimiters and parameter sets.
pub(crate) fn with_lengths(bytes: &[u8]) -> Vec<u8> {
    let mut unit = Vec::with_capacity(bytes.len() + 16);
    for nal in nal_units(bytes).filter(|nal| !matches!(nal[0] & 0x1f, NAL_SPS | NAL_PPS | NAL_DELIMITER)) {
        let length = u32::try_from(nal.len()).expect("a packet of libav is shorter than 2 GiB");
        unit.extend_from_slice(&length.to_be_bytes());
        unit.extend_from_slice(nal);
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_of_both_lengths_become_lengths() {
        let unit = [
            &[0, 0, 0, 1, 9, 0x10][..],
            &[0, 0, 1, 6, 5, 0, 0],
            &[0, 0, 0, 1, 0x65, 1, 0, 2],
            &[0, 0, 1, 0x65, 7],
        ]
        .concat();
        assert_eq!(
            with_lengths(&unit),
            [&[0, 0, 0, 2, 6, 5][..], &[0, 0, 0, 4, 0x65, 1, 0, 2], &[0, 0, 0, 2, 0x65, 7]].concat()
        );
        assert!(with_lengths(&[0, 0, 1]).is_empty());
        assert!(with_lengths(b"none at all").is_empty());
    }

    #[test]
    fn a_record_is_made_of_parameter_sets_and_of_nothing_less() {
        let sets = [&[0, 0, 0, 1, 0x67, 100, 0, 31, 9][..], &[0, 0, 1, 0x68, 3]].concat();
        let wanted = [
            &[1, 100, 0, 31, 0xff, 0xe1, 0, 5, 0x67, 100, 0, 31, 9, 1, 0, 2, 0x68, 3][..],
            &[0xfd, 0xf8, 0xf8, 0],
        ]
        .concat();
        assert_eq!(record(&sets), Some(wanted));
        assert_eq!(record(&sets[..9]), None);
        assert_eq!(record(&[]), None);
    }

    #[test]
    fn a_stream_says_how_many_pictures_are_held_back() {
        const RECORD: &[u8] = include_bytes!("../../hls-packager/tests/fixtures/avc_640x360_30.avcc");
        assert_eq!(
            Stream::of_record(RECORD),
            Some(Stream { reorder: 2, frame_rate: Some(30.0), size: (640, 360) })
        );
        for end in 0..RECORD.len() {
            let _ = Stream::of_record(&RECORD[..end]);
        }
    }
}
