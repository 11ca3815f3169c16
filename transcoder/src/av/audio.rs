//! MP3 to samples, samples to AAC.
#![expect(
    unsafe_code,
    reason = "ffmpeg-next has no safe way to an encoder's extradata, nor to the layout of samples without it"
)]

use std::slice;

use ffmpeg_next::error::EAGAIN;
use ffmpeg_next::format::Sample;
use ffmpeg_next::format::sample::Type;
use ffmpeg_next::{ChannelLayout, Error, Packet, Rational, codec, decoder, encoder, frame};

/// Planar floating point: what both codecs work with.
const SAMPLES: Sample = Sample::F32(Type::Planar);

/// Samples that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sound {
    /// Per second.
    pub(crate) rate: u32,
    /// Per channel, one or two of them, equally many samples.
    pub(crate) channels: Vec<Vec<f32>>,
}

/// Decodes MP3.
pub(crate) struct Mp3Decoder {
    decoder: decoder::Opened,
    frame: frame::Audio,
}

impl Mp3Decoder {
    /// # Errors
    /// A libavcodec that cannot.
    pub(crate) fn open() -> Result<Self, Error> {
        let codec = decoder::find_by_name("mp3float").ok_or(Error::DecoderNotFound)?;
        let decoder = codec::Context::new_with_codec(codec).decoder().open_as(codec)?;
        Ok(Self { decoder, frame: frame::Audio::empty() })
    }

    /// Takes a frame. [`Self::receive`] is to be called until there is nothing.
    ///
    /// # Errors
    /// When it cannot be decoded; the next may be.
    pub(crate) fn send(&mut self, frame: &[u8]) -> Result<(), Error> {
        if frame.is_empty() {
            // It would be taken for the end.
            return Err(Error::InvalidData);
        }
        self.decoder.send_packet(&Packet::copy(frame))
    }

    /// The samples of a frame, `None` when there are no more.
    ///
    /// # Errors
    /// When a frame cannot be decoded.
    pub(crate) fn receive(&mut self) -> Result<Option<Sound>, Error> {
        match self.decoder.receive_frame(&mut self.frame) {
            Ok(()) => {}
            Err(Error::Eof | Error::Other { errno: EAGAIN }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let channels = usize::from(self.frame.channels());
        if self.frame.format() != SAMPLES || !(1..=2).contains(&channels) || self.frame.rate() == 0 {
            return Err(Error::InvalidData);
        }
        let channels = (0..channels).map(|channel| self.frame.plane::<f32>(channel).to_vec()).collect();
        Ok(Some(Sound { rate: self.frame.rate(), channels }))
    }
}

/// Encodes AAC-LC in frames of 1024 samples, the first of which comes before the sound.
pub(crate) struct AacEncoder {
    encoder: encoder::audio::Encoder,
    layout: ChannelLayout,
    rate: u32,
}

/// Samples of a frame of AAC-LC.
pub(crate) const AAC_SAMPLES: usize = 1024;

impl AacEncoder {
    /// Opens one for samples per second, one channel or two, and bits per second.
    ///
    /// # Errors
    /// Rates that AAC does not have.
    pub(crate) fn open(rate: u32, channels: usize, bitrate: usize) -> Result<Self, Error> {
        let codec = encoder::find_by_name("aac").ok_or(Error::EncoderNotFound)?;
        let mut audio = codec::Context::new_with_codec(codec).encoder().audio()?;
        let layout = if channels == 1 { ChannelLayout::MONO } else { ChannelLayout::STEREO };
        let hertz = i32::try_from(rate).map_err(|_| Error::InvalidData)?;
        audio.set_rate(hertz);
        audio.set_format(SAMPLES);
        audio.set_channel_layout(layout);
        audio.set_bit_rate(bitrate);
        audio.set_time_base(Rational(1, hertz));
        audio.set_flags(codec::Flags::GLOBAL_HEADER | codec::Flags::BITEXACT);
        Ok(Self { encoder: audio.open_as(codec)?, layout, rate })
    }

    /// The `AudioSpecificConfig`.
    pub(crate) fn config(&self) -> &[u8] {
        // SAFETY: libav keeps as many bytes there as it says, for as long as the encoder is open.
        unsafe {
            let context = self.encoder.as_ptr();
            match ((*context).extradata, usize::try_from((*context).extradata_size)) {
                (bytes, Ok(length)) if !bytes.is_null() => slice::from_raw_parts(bytes, length),
                _ => &[],
            }
        }
    }

    /// Takes [`AAC_SAMPLES`] samples of each channel.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn send(&mut self, channels: &[&[f32]]) -> Result<(), Error> {
        let mut frame = frame::Audio::new(SAMPLES, AAC_SAMPLES, self.layout);
        frame.set_rate(self.rate);
        if frame.planes() != channels.len() || channels.iter().any(|samples| samples.len() != AAC_SAMPLES) {
            return Err(Error::InvalidData);
        }
        for (channel, samples) in channels.iter().enumerate() {
            frame.plane_mut::<f32>(channel).copy_from_slice(samples);
        }
        self.encoder.send_frame(&frame)
    }

    /// Says that nothing follows.
    pub(crate) fn end(&mut self) {
        let _ = self.encoder.send_eof();
    }

    /// The next frame, `None` when samples are wanted first or nothing is left.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn receive(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut packet = Packet::empty();
        match self.encoder.receive_packet(&mut packet) {
            Ok(()) => Ok(Some(packet.data().unwrap_or_default().to_vec())),
            Err(Error::Eof | Error::Other { errno: EAGAIN }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
