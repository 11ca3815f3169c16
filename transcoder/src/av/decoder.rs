//! H.264 pictures out of access units.
#![expect(
    unsafe_code,
    reason = "ffmpeg-next has no safe way to set a decoder's configuration record and limits"
)]

use std::ffi::c_int;
use std::ptr;

use ffmpeg_next::codec::{self, decoder, packet};
use ffmpeg_next::error::ENOMEM;
use ffmpeg_next::{Error, Packet, ffi, frame};

use super::{MAX_SIDE, TICKS};
use crate::avc::Stream;

/// A decoder for one configuration record, on the thread that calls it.
pub(crate) struct Decoder {
    decoder: decoder::Opened,
    picture: frame::Video,
}

impl Decoder {
    /// Opens one for an `AVCDecoderConfigurationRecord`; `stream` is what it says, as far as it can be read.
    ///
    /// # Errors
    /// A record that is none, or pictures larger than [`MAX_SIDE`].
    pub(crate) fn open(record: &[u8], stream: Option<&Stream>) -> Result<Self, Error> {
        // libav takes what does not begin with a version for a stream with start codes.
        let size_is_fine = stream.is_none_or(|stream| stream.size.0 <= MAX_SIDE && stream.size.1 <= MAX_SIDE);
        if record.first() != Some(&1) || !size_is_fine {
            return Err(Error::InvalidData);
        }
        let codec = decoder::find(codec::Id::H264).ok_or(Error::DecoderNotFound)?;
        let mut context = codec::Context::new_with_codec(codec);
        let bytes = i32::try_from(record.len()).map_err(|_| Error::InvalidData)?;
        // SAFETY: the context is ours and not open yet. The record is copied into memory of libav's allocator with the
        // padding that it wants, and freed with the context.
        unsafe {
            let context = context.as_mut_ptr();
            let padding = usize::try_from(ffi::AV_INPUT_BUFFER_PADDING_SIZE).expect("a small constant");
            let extradata = ffi::av_mallocz(record.len() + padding).cast::<u8>();
            if extradata.is_null() {
                return Err(Error::Other { errno: ENOMEM });
            }
            ptr::copy_nonoverlapping(record.as_ptr(), extradata, record.len());
            (*context).extradata = extradata;
            (*context).extradata_size = bytes;
            (*context).thread_count = 1;
            (*context).max_pixels = i64::from(MAX_SIDE) * i64::from(MAX_SIDE);
            (*context).pkt_timebase = ffi::AVRational { num: 1, den: TICKS };
            // libav finds out by itself how many pictures are held back, and loses the first that come too late.
            // After a loss pictures are shown as well as they can be. Without this flag none come until the next keyframe.
            (*context).flags |= c_int::try_from(ffi::AV_CODEC_FLAG_OUTPUT_CORRUPT).expect("a small constant");
            (*context).has_b_frames = stream.map_or(0, |stream| stream.reorder.into());
        }
        let decoder = context.decoder().open_as(codec)?;
        Ok(Self { decoder, picture: frame::Video::empty() })
    }

    /// Takes an access unit. [`Self::receive`] is to be called until there is nothing.
    ///
    /// # Errors
    /// When it cannot be decoded; the next may be.
    pub(crate) fn send(&mut self, unit: &[u8], pts: i64, sync: bool) -> Result<(), Error> {
        if unit.is_empty() {
            // It would be taken for the end.
            return Err(Error::InvalidData);
        }
        let mut packet = Packet::copy(unit);
        packet.set_pts(Some(pts));
        if sync {
            packet.set_flags(packet::Flags::KEY);
        }
        self.decoder.send_packet(&packet)
    }

    /// Says that nothing follows: what is held back comes out.
    pub(crate) fn end(&mut self) {
        let _ = self.decoder.send_eof();
    }

    /// Forgets all pictures, also that there was an end.
    pub(crate) fn restart(&mut self) {
        self.decoder.flush();
    }

    /// The next picture in the order of presentation. `None` when the next access unit is wanted first, or nothing is left.
    ///
    /// # Errors
    /// When one cannot be decoded.
    pub(crate) fn receive(&mut self) -> Result<Option<frame::Video>, Error> {
        match self.decoder.receive_frame(&mut self.picture) {
            Ok(()) => Ok(Some(std::mem::replace(&mut self.picture, frame::Video::empty()))),
            Err(Error::Eof | Error::Other { errno: ffmpeg_next::error::EAGAIN }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
