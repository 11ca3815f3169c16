//! Sans-IO: pictures of strangers, decoded within limits and made anew.

use std::io::Cursor;

use image::codecs::gif::{GifDecoder, GifEncoder, Repeat};
use image::imageops::FilterType;
use image::{
    AnimationDecoder, DynamicImage, Frame, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
};

/// Most bytes of a picture.
pub const PICTURE_MAX_BYTES: usize = 5 << 20;
/// Most pixels of a side.
pub const SIDE_MAX: u32 = 4096;
/// Pixels of a side of an avatar.
pub const AVATAR_SIDE: u32 = 256;
/// Pixels of an emote: it is made to fit, and never larger than it was.
pub const EMOTE_WIDTH: u32 = 336;
/// See [`EMOTE_WIDTH`].
pub const EMOTE_HEIGHT: u32 = 112;
/// Most pixels of a side of a picture that moves, and of its frames.
const MOVING_SIDE_MAX: u32 = 512;
const FRAMES_MAX: usize = 120;
/// How fast frames are made, 1 to 30: colours are chosen from fewer samples at more.
const GIF_SPEED: i32 = 20;
/// Most memory that decoding may take: 4096 by 4096 pixels of four bytes, and as much again to work in.
const DECODE_MAX_BYTES: u64 = 2 * 4 * (SIDE_MAX as u64) * (SIDE_MAX as u64);

/// Why a picture is not taken. `Display` is for the person.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Too many bytes.
    #[error("The picture has {bytes} bytes. Send one of at most 5 MiB.")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Too many pixels.
    #[error("The picture has more than 4096 pixels on a side. Make it smaller first.")]
    TooManyPixels,
    /// None of the formats we know.
    #[error("This is no picture that can be read. Send JPEG, PNG or WebP.")]
    Unreadable,
    /// None of the formats of emotes.
    #[error("This is no picture that can be read. Send PNG, WebP or GIF.")]
    NoEmote,
    /// It moves too much.
    #[error(
        "A picture that moves has at most 120 frames of 512 pixels on a side. Make it shorter or smaller first."
    )]
    TooLong,
}

/// A picture that was made anew.
#[derive(Debug)]
pub struct Made {
    /// WebP, or GIF if it moves.
    pub bytes: Vec<u8>,
    /// Whether it moves.
    pub animated: bool,
}

/// The square in the middle of a picture, 256 pixels wide, as WebP. Nothing else of the file is kept: no place, no
/// camera, no hidden text.
///
/// # Errors
/// The picture is too large or cannot be read.
pub fn avatar(bytes: &[u8]) -> Result<Vec<u8>, PictureError> {
    if bytes.len() > PICTURE_MAX_BYTES {
        return Err(PictureError::TooLarge { bytes: bytes.len() });
    }
    let picture = read(bytes, &[ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP])?;
    web_p(&picture.resize_to_fill(AVATAR_SIDE, AVATAR_SIDE, FilterType::Triangle))
}

/// A picture that is at most [`EMOTE_WIDTH`] by [`EMOTE_HEIGHT`] pixels, as WebP; as GIF, if it moves. Nothing else of the
/// file is kept.
///
/// # Errors
/// The picture is too large, too long, or cannot be read.
pub fn emote(bytes: &[u8]) -> Result<Made, PictureError> {
    if bytes.len() > PICTURE_MAX_BYTES {
        return Err(PictureError::TooLarge { bytes: bytes.len() });
    }
    if bytes.starts_with(b"GIF8") {
        let frames = frames(bytes)?;
        if let [only] = frames.as_slice() {
            return Ok(Made { bytes: web_p(&only.buffer().clone().into())?, animated: false });
        }
        return Ok(Made { bytes: gif(frames)?, animated: true });
    }
    let picture = read(bytes, &[ImageFormat::Png, ImageFormat::WebP]).map_err(|error| match error {
        PictureError::Unreadable => PictureError::NoEmote,
        error => error,
    })?;
    Ok(Made { bytes: web_p(&fitted(picture))?, animated: false })
}

/// The picture as an emote is shown.
fn fitted(picture: DynamicImage) -> DynamicImage {
    if picture.width() <= EMOTE_WIDTH && picture.height() <= EMOTE_HEIGHT {
        return picture;
    }
    picture.resize(EMOTE_WIDTH, EMOTE_HEIGHT, FilterType::Triangle)
}

/// The frames of a picture that moves, made small one after the other.
fn frames(bytes: &[u8]) -> Result<Vec<Frame>, PictureError> {
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(|_| PictureError::NoEmote)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MOVING_SIDE_MAX);
    limits.max_image_height = Some(MOVING_SIDE_MAX);
    limits.max_alloc = Some(DECODE_MAX_BYTES);
    decoder.set_limits(limits).map_err(|_| PictureError::TooLong)?;
    let mut made = Vec::new();
    for frame in decoder.into_frames() {
        let frame = frame.map_err(|error| match error {
            ImageError::Limits(_) => PictureError::TooLong,
            _ => PictureError::NoEmote,
        })?;
        if made.len() >= FRAMES_MAX {
            return Err(PictureError::TooLong);
        }
        let delay = frame.delay();
        let small = fitted(frame.into_buffer().into()).into_rgba8();
        made.push(Frame::from_parts(small, 0, 0, delay));
    }
    if made.is_empty() { Err(PictureError::NoEmote) } else { Ok(made) }
}

fn gif(frames: Vec<Frame>) -> Result<Vec<u8>, PictureError> {
    let mut made = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut made, GIF_SPEED);
    let written = encoder.set_repeat(Repeat::Infinite).and_then(|()| encoder.encode_frames(frames));
    drop(encoder);
    written.map_err(|_| PictureError::NoEmote)?;
    Ok(made)
}

/// Decodes a picture of one of these formats, within limits.
fn read(bytes: &[u8], formats: &[ImageFormat]) -> Result<DynamicImage, PictureError> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| PictureError::Unreadable)?;
    if !reader.format().is_some_and(|format| formats.contains(&format)) {
        return Err(PictureError::Unreadable);
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODE_MAX_BYTES);
    reader.limits(limits);
    reader.decode().map_err(|error| match error {
        ImageError::Limits(_) => PictureError::TooManyPixels,
        _ => PictureError::Unreadable,
    })
}

fn web_p(picture: &DynamicImage) -> Result<Vec<u8>, PictureError> {
    let mut made = Cursor::new(Vec::new());
    picture.to_rgba8().write_to(&mut made, ImageFormat::WebP).map_err(|_| PictureError::Unreadable)?;
    Ok(made.into_inner())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use image::{Delay, GenericImageView, RgbaImage};

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn every_picture_becomes_a_small_square() {
        for (width, height, format) in
            [(800, 300, ImageFormat::Jpeg), (10, 2000, ImageFormat::Png), (1, 1, ImageFormat::WebP)]
        {
            let made = avatar(&encoded(width, height, format)).unwrap();
            let read = image::load_from_memory_with_format(&made, ImageFormat::WebP).unwrap();
            assert_eq!(read.dimensions(), (AVATAR_SIDE, AVATAR_SIDE), "{format:?}");
        }
    }

    /// A GIF of so many frames.
    fn moving(side: u32, count: usize) -> Vec<u8> {
        let delay = Delay::from_numer_denom_ms(100, 1);
        let frame = |n: usize| {
            let colour = image::Rgba([u8::try_from(n % 200).unwrap(), 0, 0, 255]);
            Frame::from_parts(RgbaImage::from_pixel(side, side, colour), 0, 0, delay)
        };
        gif((0..count).map(frame).collect()).unwrap()
    }

    #[test]
    fn an_emote_fits_and_is_never_made_larger() {
        for (width, height, fits) in
            [(800, 400, (224, 112)), (1200, 200, (336, 56)), (28, 28, (28, 28)), (112, 112, (112, 112))]
        {
            let made = emote(&encoded(width, height, ImageFormat::Png)).unwrap();
            let read = image::load_from_memory_with_format(&made.bytes, ImageFormat::WebP).unwrap();
            assert_eq!((read.dimensions(), made.animated), (fits, false));
        }
    }

    #[test]
    fn an_emote_that_moves_stays_so_within_bounds() {
        let made = emote(&moving(200, 3)).unwrap();
        assert!(made.animated);
        let again = frames(&made.bytes).unwrap();
        assert_eq!(again.len(), 3);
        assert!(again.iter().all(|frame| frame.buffer().dimensions() == (112, 112)));
        assert_eq!(Duration::from(again[1].delay()), Duration::from_millis(100));
        let still = emote(&moving(20, 1)).unwrap();
        assert!(!still.animated && still.bytes.starts_with(b"RIFF"));
        assert!(matches!(emote(&moving(8, FRAMES_MAX + 1)), Err(PictureError::TooLong)));
        let wide = emote(&moving(MOVING_SIDE_MAX + 1, 2));
        assert!(matches!(wide, Err(PictureError::TooLong)), "{wide:?}");
        let mut cut = moving(20, 3);
        cut.truncate(60);
        for bad in [&b"GIF89a"[..], &cut, b"<svg/>", &encoded(9, 9, ImageFormat::Jpeg)] {
            assert!(matches!(emote(bad), Err(PictureError::NoEmote)));
        }
    }

    #[test]
    fn what_is_too_large_or_no_picture_is_told() {
        let wide = avatar(&encoded(SIDE_MAX + 1, 1, ImageFormat::Png));
        assert!(matches!(wide, Err(PictureError::TooManyPixels)), "{wide:?}");
        let heavy = avatar(&vec![0; PICTURE_MAX_BYTES + 1]);
        assert!(matches!(heavy, Err(PictureError::TooLarge { .. })), "{heavy:?}");
        let mut cut = encoded(64, 64, ImageFormat::Png);
        cut.truncate(40);
        for bad in [&b"<svg onload=alert(1)>"[..], b"", b"GIF89a", &cut] {
            assert!(matches!(avatar(bad), Err(PictureError::Unreadable)));
        }
    }

    #[test]
    fn a_picture_that_claims_to_be_huge_is_refused_before_memory_is_taken() {
        let mut bomb = encoded(1, 1, ImageFormat::Png);
        // Width and height of the IHDR chunk; its checksum is not looked at before the limits or is wrong.
        bomb[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert!(avatar(&bomb).is_err());
    }
}
