//! libav in safe types: the only files that see its structures.

mod audio;
mod decoder;
mod encoder;
mod image;
mod scaler;

pub(crate) use audio::{AAC_SAMPLES, AacEncoder, Mp3Decoder, Sound};
pub(crate) use decoder::Decoder;
pub(crate) use encoder::{Signal, VideoEncoder, VideoSettings};
pub(crate) use image::{encode_image, rgb_picture, rgb_rows};
pub(crate) use scaler::{Colours, Scaler, reference, shape};

/// Most pixels of a side of the source's pictures.
pub(crate) const MAX_SIDE: u32 = 8192;

/// Ticks per second of all times.
pub(crate) const TICKS: i32 = 90_000;
