//! H.264: `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1) to a [`VideoConfig`], and access units in
//! length-prefixed form, checked and normalised to 4-byte lengths.

use std::collections::BTreeMap;

use bytes::Bytes;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};
use h264_reader::rbsp::{BitRead, BitReader, ByteReader};

use super::VideoConfig;
use crate::timeline::FrameRate;

/// Why an H.264 configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AvcConfigError {
    /// The record ends inside a field.
    #[error("AVCDecoderConfigurationRecord is truncated: {wanted} bytes are wanted at byte {at} of {length}")]
    Truncated {
        /// Bytes there are.
        length: usize,
        /// Where.
        at: usize,
        /// How many are wanted there.
        wanted: usize,
    },
    /// A version other than 1.
    #[error("AVCDecoderConfigurationRecord has version {found}, expected 1")]
    Version {
        /// The version.
        found: u8,
    },
    /// Lengths of three bytes are reserved.
    #[error("NAL unit lengths of {found} bytes are not valid")]
    LengthSize {
        /// Bytes.
        found: u8,
    },
    /// No sequence or no picture parameter set.
    #[error("AVCDecoderConfigurationRecord has {sps} sequence and {pps} picture parameter sets")]
    NoParameterSets {
        /// Sequence parameter sets.
        sps: usize,
        /// Picture parameter sets.
        pps: usize,
    },
    /// A parameter set that cannot be read.
    #[error("parameter set of {length} bytes is not valid: {reason}")]
    ParameterSet {
        /// Its length.
        length: usize,
        /// What the parser says.
        reason: String,
    },
}

/// Why an access unit was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessUnitError {
    /// A NAL unit reaches beyond the access unit.
    #[error("NAL unit of {announced} bytes at byte {at} of {length}")]
    NalTooLong {
        /// Its announced length.
        announced: usize,
        /// Where.
        at: usize,
        /// Bytes of the access unit.
        length: usize,
    },
    /// A NAL unit header with its forbidden bit set.
    #[error("NAL unit at byte {at} has its forbidden bit set")]
    Forbidden {
        /// Where.
        at: usize,
    },
    /// An in-band parameter set that cannot be read.
    #[error("in-band parameter set at byte {at} is not valid")]
    ParameterSet {
        /// Where.
        at: usize,
    },
}

/// A checked access unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AvcUnit {
    /// NAL units with 4-byte lengths, without delimiters, filler and parameter sets.
    pub(crate) data: Bytes,
    /// Whether it is an IDR picture: the only sync samples of a track (ISO/IEC 14496-15 §5.3.3, stream access points
    /// of type 1 and 2 of ISO/IEC 14496-12 annex I), and the only ones at which browsers start. The intra picture of
    /// an open group of pictures (type 3) and a recovery point (type 4) are none, though FLV calls them keyframes.
    pub(crate) sync: bool,
}

const NAL_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;
const NAL_DELIMITER: u8 = 9;
const NAL_END_OF_SEQUENCE: u8 = 10;
const NAL_END_OF_STREAM: u8 = 11;
const NAL_FILLER: u8 = 12;

/// Most parameter sets of one kind that are kept: what the record's five bits can count. Encoders use one or two.
const MAX_PARAMETER_SETS: usize = 31;

/// The H.264 decoder configuration of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Avc {
    length_size: usize,
    /// By their identifiers.
    sps: BTreeMap<u32, Bytes>,
    pps: BTreeMap<u32, Bytes>,
}

impl Avc {
    /// Reads an `AVCDecoderConfigurationRecord`.
    ///
    /// # Errors
    /// [`AvcConfigError`], with what was found and where.
    pub(crate) fn parse(record: &Bytes) -> Result<Self, AvcConfigError> {
        let length = record.len();
        let mut at = 0;
        let mut take = |wanted: usize| {
            let from = at;
            let end = from + wanted;
            if end > length {
                return Err(AvcConfigError::Truncated { length, at: from, wanted });
            }
            at = end;
            Ok(record.slice(from..end))
        };
        let head = take(6)?;
        if head[0] != 1 {
            return Err(AvcConfigError::Version { found: head[0] });
        }
        let length_size = (head[4] & 3) + 1;
        if length_size == 3 {
            return Err(AvcConfigError::LengthSize { found: length_size });
        }
        let mut avc = Self { length_size: length_size.into(), sps: BTreeMap::new(), pps: BTreeMap::new() };
        let sps = usize::from(head[5] & 0x1f);
        for _ in 0..sps {
            let length = take(2)?;
            let set = take(usize::from(u16::from_be_bytes([length[0], length[1]])))?;
            avc.put_sps(set)?;
        }
        let pps = usize::from(take(1)?[0]);
        for _ in 0..pps {
            let length = take(2)?;
            let set = take(usize::from(u16::from_be_bytes([length[0], length[1]])))?;
            avc.put_pps(set)?;
        }
        if sps == 0 || pps == 0 {
            return Err(AvcConfigError::NoParameterSets { sps, pps });
        }
        Ok(avc)
    }

    fn put_sps(&mut self, set: Bytes) -> Result<(), AvcConfigError> {
        let id = parse_sps(&set)?.id().id().into();
        if self.sps.len() >= MAX_PARAMETER_SETS && !self.sps.contains_key(&id) {
            let reason = "too many sequence parameter sets".into();
            return Err(AvcConfigError::ParameterSet { length: set.len(), reason });
        }
        self.sps.insert(id, set);
        Ok(())
    }

    fn put_pps(&mut self, set: Bytes) -> Result<(), AvcConfigError> {
        let invalid =
            |reason: &str| AvcConfigError::ParameterSet { length: set.len(), reason: reason.into() };
        let mut bits = BitReader::new(ByteReader::skipping_h264_header(&set[..]));
        let id = bits.read_ue("pic_parameter_set_id").map_err(|_| invalid("no identifier"))?;
        if id > 255 {
            return Err(invalid("identifier above 255"));
        }
        if self.pps.len() >= MAX_PARAMETER_SETS && !self.pps.contains_key(&id) {
            return Err(invalid("too many picture parameter sets"));
        }
        self.pps.insert(id, set);
        Ok(())
    }

    /// What the rest of the packager needs to know of this configuration.
    ///
    /// # Errors
    /// [`AvcConfigError`] when the active sequence parameter set has no sane picture size.
    pub(crate) fn config(&self) -> Result<VideoConfig, AvcConfigError> {
        let set = self
            .sps
            .values()
            .next()
            .ok_or(AvcConfigError::NoParameterSets { sps: 0, pps: self.pps.len() })?;
        let invalid =
            |reason: &str| AvcConfigError::ParameterSet { length: set.len(), reason: reason.into() };
        let sps = parse_sps(set)?;
        let (width, height) = sps.pixel_dimensions().map_err(|e| invalid(&format!("{e:?}")))?;
        if !(1..=16_384).contains(&width) || !(1..=16_384).contains(&height) {
            return Err(invalid("picture size out of bounds"));
        }
        let vui = sps.vui_parameters.as_ref();
        let frame_rate = vui.and_then(|vui| vui.timing_info.as_ref()).and_then(|timing| {
            // A frame is two ticks (a tick is a field's time), ITU-T H.264 §E.2.1.
            FrameRate::new(timing.time_scale, timing.num_units_in_tick.checked_mul(2)?)
        });
        Ok(VideoConfig {
            codec: format!("avc1.{:02x}{:02x}{:02x}", set[1], set[2], set[3]),
            width,
            height,
            frame_rate,
            reorder_frames: vui
                .and_then(|vui| vui.bitstream_restrictions.as_ref())
                .map(|r| r.max_num_reorder_frames),
            sample_entry: *b"avc1",
            decoder_config: (*b"avcC", self.record(set, &sps)),
        })
    }

    /// The record for our own init segment: 4-byte lengths, parameter sets in the order of their identifiers.
    fn record(&self, set: &Bytes, sps: &SeqParameterSet) -> Bytes {
        let count = |sets: usize| u8::try_from(sets).expect("at most MAX_PARAMETER_SETS");
        let mut record = vec![1, set[1], set[2], set[3], 0xff, 0xe0 | count(self.sps.len())];
        let push = |record: &mut Vec<u8>, set: &Bytes| {
            let length =
                u16::try_from(set.len()).expect("parameter sets are checked to fit 16 bits of length");
            record.extend_from_slice(&length.to_be_bytes());
            record.extend_from_slice(set);
        };
        for set in self.sps.values() {
            push(&mut record, set);
        }
        record.push(count(self.pps.len()));
        for set in self.pps.values() {
            push(&mut record, set);
        }
        if matches!(set[1], 100 | 110 | 122 | 144) {
            let chroma = &sps.chroma_info;
            let format = u8::try_from(chroma.chroma_format.to_u32()).unwrap_or(1) & 3;
            record.extend_from_slice(&[
                0xfc | format,
                0xf8 | (chroma.bit_depth_luma_minus8 & 7),
                0xf8 | (chroma.bit_depth_chroma_minus8 & 7),
                0,
            ]);
        }
        record.into()
    }

    /// Checks and normalises one access unit. `None` when it holds no picture. Also the new configuration, when
    /// the access unit brought parameter sets that differ from the known ones.
    ///
    /// # Errors
    /// [`AccessUnitError`]; the access unit must be dropped whole.
    pub(crate) fn read_unit(&self, data: &Bytes) -> Result<(Option<AvcUnit>, Option<Self>), AccessUnitError> {
        let mut changed: Option<Self> = None;
        let (mut sync, mut picture) = (false, false);
        // NAL units that are kept; neighbours are joined, so that most access units are one slice of the message.
        let mut kept: Vec<(usize, usize)> = Vec::new();
        let mut at = 0;
        while at < data.len() {
            let header = at;
            let payload = header + self.length_size;
            let too_long =
                |announced| AccessUnitError::NalTooLong { announced, at: header, length: data.len() };
            let length = data.get(header..payload).ok_or(too_long(self.length_size))?;
            let length = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
            let end = payload.checked_add(length).filter(|end| *end <= data.len()).ok_or(too_long(length))?;
            at = end;
            let Some(&first) = data[payload..end].first() else { continue };
            if first & 0x80 != 0 {
                return Err(AccessUnitError::Forbidden { at: header });
            }
            match first & 0x1f {
                NAL_DELIMITER | NAL_FILLER | NAL_END_OF_SEQUENCE | NAL_END_OF_STREAM => continue,
                kind @ (NAL_SPS | NAL_PPS) => {
                    let set = data.slice(payload..end);
                    let known = changed.as_ref().unwrap_or(self);
                    let sets = if kind == NAL_SPS { &known.sps } else { &known.pps };
                    if sets.values().any(|known| *known == set) {
                        continue;
                    }
                    let next = changed.get_or_insert_with(|| self.clone());
                    // A parameter set outlives its message: it gets its own few bytes.
                    let set = Bytes::copy_from_slice(&set);
                    let put = match kind {
                        _ if set.len() > usize::from(u16::MAX) => Err(()),
                        NAL_SPS => next.put_sps(set).map_err(drop),
                        _ => next.put_pps(set).map_err(drop),
                    };
                    put.map_err(|()| AccessUnitError::ParameterSet { at: header })?;
                    continue;
                }
                kind => {
                    sync |= kind == NAL_IDR;
                    picture |= (1..=NAL_IDR).contains(&kind);
                }
            }
            match kept.last_mut() {
                Some(last) if last.1 == header => last.1 = end,
                _ => kept.push((header, end)),
            }
        }
        if !picture {
            return Ok((None, changed));
        }
        let data = match (kept.as_slice(), self.length_size) {
            (&[(start, end)], 4) => data.slice(start..end),
            _ => self.rebuild(data, &kept),
        };
        Ok((Some(AvcUnit { data, sync }), changed))
    }

    /// Copies the kept NAL units behind 4-byte lengths.
    fn rebuild(&self, data: &Bytes, kept: &[(usize, usize)]) -> Bytes {
        let mut rebuilt = Vec::with_capacity(data.len() + 64);
        for &(start, end) in kept {
            let mut at = start;
            while at < end {
                let payload = at + self.length_size;
                let length = data[at..payload].iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
                at = payload + length;
                if length > 0 {
                    let length = u32::try_from(length).expect("an access unit is one RTMP message");
                    rebuilt.extend_from_slice(&length.to_be_bytes());
                    rebuilt.extend_from_slice(&data[payload..at]);
                }
            }
        }
        rebuilt.into()
    }
}

/// Parses a sequence parameter set, leniently where encoders are known to be careless: trailing zero bytes, and a
/// level too low for the picture size.
fn parse_sps(set: &Bytes) -> Result<SeqParameterSet, AvcConfigError> {
    let invalid = |reason: String| AvcConfigError::ParameterSet { length: set.len(), reason };
    if set.len() < 4 || set[0] & 0x1f != NAL_SPS {
        return Err(invalid("not a sequence parameter set".into()));
    }
    let end = set.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut lenient = set[..end.max(4)].to_vec();
    lenient[3] = 62;
    let nal = RefNal::new(&lenient, &[], true);
    SeqParameterSet::from_bits(nal.rbsp_bits()).map_err(|error| invalid(format!("{error:?}")))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 640x360, High, level 3.0, 30 fps in the VUI, from x264 by way of ffmpeg.
    pub(crate) const RECORD: &[u8] = include_bytes!("../../tests/fixtures/avc_640x360_30.avcc");

    fn unit(nals: &[&[u8]], length_size: usize) -> Bytes {
        let mut data = Vec::new();
        for nal in nals {
            data.extend_from_slice(&u32::try_from(nal.len()).unwrap().to_be_bytes()[4 - length_size..]);
            data.extend_from_slice(nal);
        }
        data.into()
    }

    fn avc() -> Avc {
        Avc::parse(&Bytes::from_static(RECORD)).unwrap()
    }

    #[test]
    fn a_record_tells_size_rate_and_codec() {
        let config = avc().config().unwrap();
        assert_eq!((config.width, config.height), (640, 360));
        assert_eq!(config.frame_rate, FrameRate::new(30, 1));
        assert_eq!(config.codec, "avc1.64001e");
        assert_eq!(config.reorder_frames, Some(2));
        // Ours is the same record: x264 writes one set of each.
        assert_eq!(&config.decoder_config.1[..], RECORD);
    }

    #[test]
    fn every_truncation_of_a_record_is_an_error_that_says_where() {
        // The last four bytes are the optional extension, which we write ourselves.
        for end in 0..RECORD.len() - 4 {
            let error = Avc::parse(&Bytes::from_static(&RECORD[..end])).unwrap_err();
            assert!(
                matches!(error, AvcConfigError::Truncated { length, .. } if length == end),
                "{end}: {error}"
            );
        }
    }

    #[test]
    fn unusable_records_are_named() {
        let with = |at: usize, byte: u8| {
            let mut record = RECORD.to_vec();
            record[at] = byte;
            Avc::parse(&record.into()).unwrap_err()
        };
        assert_eq!(with(0, 2), AvcConfigError::Version { found: 2 });
        assert_eq!(with(4, 0xfe), AvcConfigError::LengthSize { found: 3 });
        assert!(matches!(with(8, 0x68), AvcConfigError::ParameterSet { .. }));
        let none = Avc::parse(&Bytes::from_static(&[1, 100, 0, 30, 0xff, 0xe0, 0])).unwrap_err();
        assert_eq!(none, AvcConfigError::NoParameterSets { sps: 0, pps: 0 });
    }

    #[test]
    fn a_clean_access_unit_is_not_copied() {
        let data = unit(&[&[0x06, 5, 1, 0x80], &[0x65, 1, 2, 3]], 4);
        let (read, changed) = avc().read_unit(&data).unwrap();
        let read = read.unwrap();
        assert!(read.sync && changed.is_none());
        assert_eq!(read.data.as_ptr(), data.as_ptr());
        assert_eq!(read.data.len(), data.len());
    }

    #[test]
    fn delimiters_filler_and_known_parameter_sets_are_removed() {
        let avc = avc();
        let sps = avc.sps[&0].clone();
        let pps = avc.pps[&0].clone();
        let data = unit(&[&[9, 0x10], &sps, &pps, &[0x65, 1], &[12, 0xff], &[0x65, 2]], 4);
        let (read, changed) = avc.read_unit(&data).unwrap();
        assert_eq!(changed, None);
        assert_eq!(read.unwrap().data, unit(&[&[0x65, 1], &[0x65, 2]], 4));
        assert_eq!(avc.read_unit(&unit(&[&[9, 0x10], &[12, 1]], 4)).unwrap(), (None, None));
    }

    #[test]
    fn lengths_of_one_and_two_bytes_become_four() {
        for length_size in [1, 2] {
            let avc = Avc { length_size, ..avc() };
            let (read, _) = avc.read_unit(&unit(&[&[0x41, 1], &[0x41, 2, 3]], length_size)).unwrap();
            assert_eq!(read.unwrap(), AvcUnit { data: unit(&[&[0x41, 1], &[0x41, 2, 3]], 4), sync: false });
        }
    }

    #[test]
    fn a_changed_parameter_set_is_a_new_configuration() {
        let avc = avc();
        let mut pps = avc.pps[&0].to_vec();
        pps.push(0x80);
        let data = unit(&[&pps, &[0x65, 1]], 4);
        let (read, changed) = avc.read_unit(&data).unwrap();
        assert!(read.unwrap().sync);
        let changed = changed.unwrap();
        assert_eq!(changed.pps[&0], pps);
        assert_ne!(changed.config().unwrap(), avc.config().unwrap());
    }

    #[test]
    fn broken_access_units_are_refused() {
        let avc = avc();
        for (bytes, want) in [
            (&[0, 0, 0, 9, 0x41][..], AccessUnitError::NalTooLong { announced: 9, at: 0, length: 5 }),
            (
                &[0xff, 0xff, 0xff, 0xff, 0x41],
                AccessUnitError::NalTooLong { announced: 0xffff_ffff, at: 0, length: 5 },
            ),
            (&[0, 0, 0, 1, 0x41, 0, 0], AccessUnitError::NalTooLong { announced: 4, at: 5, length: 7 }),
            (&[0, 0, 0, 1, 0x80], AccessUnitError::Forbidden { at: 0 }),
            (&[0, 0, 0, 2, 0x67, 0], AccessUnitError::ParameterSet { at: 0 }),
        ] {
            assert_eq!(avc.read_unit(&Bytes::copy_from_slice(bytes)).unwrap_err(), want);
        }
    }
}
