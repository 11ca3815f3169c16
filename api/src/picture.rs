//! Sans-IO: pictures of strangers, decoded within limits and made anew.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

/// Most bytes of a picture.
pub const PICTURE_MAX_BYTES: usize = 5 << 20;
/// Most pixels of a side.
pub const SIDE_MAX: u32 = 4096;
/// Pixels of a side of an avatar.
pub const AVATAR_SIDE: u32 = 256;
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
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| PictureError::Unreadable)?;
    if !matches!(reader.format(), Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) {
        return Err(PictureError::Unreadable);
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODE_MAX_BYTES);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| match error {
        image::ImageError::Limits(_) => PictureError::TooManyPixels,
        _ => PictureError::Unreadable,
    })?;
    let square = picture.resize_to_fill(AVATAR_SIDE, AVATAR_SIDE, image::imageops::FilterType::Triangle);
    let mut made = Cursor::new(Vec::new());
    square.to_rgba8().write_to(&mut made, ImageFormat::WebP).map_err(|_| PictureError::Unreadable)?;
    Ok(made.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, GenericImageView};

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
