//! Picture files.
#![expect(unsafe_code, reason = "ffmpeg-next has no safe way to set the quality of a picture")]

use std::ffi::c_int;

use ffmpeg_next::codec::{self, encoder};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::Flags;
use ffmpeg_next::{Dictionary, Error, Packet, Rational, color, ffi, frame};
use millrace_core::transcode::StillFormat;

use super::{Colours, Scaler};

/// A picture of RGB rows without padding; `None` if they are not as many bytes as the size says.
pub(crate) fn rgb_picture(rows: &[u8], (width, height): (u16, u16)) -> Option<frame::Video> {
    let row = usize::from(width) * 3;
    if row == 0 || height == 0 || rows.len() != row * usize::from(height) {
        return None;
    }
    let mut picture = frame::Video::new(Pixel::RGB24, width.into(), height.into());
    let stride = picture.stride(0);
    for (line, pixels) in picture.data_mut(0).chunks_mut(stride).zip(rows.chunks(row)) {
        line[..row].copy_from_slice(pixels);
    }
    Some(picture)
}

/// The rows of a picture in RGB or grey, `pixel` bytes each, without padding.
pub(crate) fn rgb_rows(picture: &frame::Video, pixel: usize) -> Vec<u8> {
    let row = usize::try_from(picture.width()).unwrap_or(0) * pixel;
    picture.data(0).chunks(picture.stride(0)).flat_map(|line| &line[..row]).copied().collect()
}

/// A file of an RGB picture. `quality` is 1 to 100, in JPEG about what libjpeg means by it.
///
/// # Errors
/// When libavcodec has not the encoder, or it fails. [`StillFormat::Rgb`] has no files.
pub(crate) fn encode_image(rgb: &frame::Video, format: StillFormat, quality: u8) -> Result<Vec<u8>, Error> {
    let quality = quality.clamp(1, 100);
    let (name, pixels, colours) = match format {
        StillFormat::Jpeg => ("mjpeg", Pixel::YUVJ420P, Colours::Full601),
        StillFormat::Webp => ("libwebp", Pixel::YUV420P, Colours::Limited601),
        StillFormat::Rgb => return Err(Error::InvalidData),
    };
    let size = (rgb.width(), rgb.height());
    let mut picture = Scaler::to(pixels, size, colours, Flags::BICUBIC | Flags::ACCURATE_RND).scale(rgb)?;
    let codec = encoder::find_by_name(name).ok_or(Error::EncoderNotFound)?;
    let mut video = codec::Context::new_with_codec(codec).encoder().video()?;
    video.set_width(size.0);
    video.set_height(size.1);
    video.set_format(pixels);
    video.set_time_base(Rational(1, 25));
    // With square pixels the file is JFIF.
    video.set_aspect_ratio(Rational(1, 1));
    let mut options = Dictionary::new();
    let mut flags = codec::Flags::BITEXACT;
    let mut lambda = 0;
    if format == StillFormat::Jpeg {
        video.set_color_range(color::Range::JPEG);
        flags |= codec::Flags::QSCALE;
        lambda = jpeg_lambda(quality);
        // Down to 1: the usual least of libav is 2.
        video.set_qmin(1);
        video.set_quality(usize::try_from(lambda).map_err(|_| Error::InvalidData)?);
    } else {
        options.set("quality", &quality.to_string());
    }
    video.set_flags(flags);
    let mut encoder = video.open_as_with(codec, options)?;
    picture.set_pts(Some(0));
    // SAFETY: the picture is ours.
    unsafe { (*picture.as_mut_ptr()).quality = lambda };
    encoder.send_frame(&picture)?;
    encoder.send_eof()?;
    let mut packet = Packet::empty();
    encoder.receive_packet(&mut packet)?;
    Ok(packet.data().ok_or(Error::InvalidData)?.to_vec())
}

/// libav's quantiser for a quality as libjpeg has it. libjpeg scales its tables by (200 - 2q) percent, or 5000 / q below 50; the
/// tables of libav are about half as coarse, and scaled by eighths.
fn jpeg_lambda(quality: u8) -> c_int {
    let quality = f64::from(quality);
    let percent = if quality < 50.0 { 5_000.0 / quality } else { 200.0 - 2.0 * quality };
    let quantiser = (percent / 5.9).clamp(1.0, 31.0);
    let lambda = f64::from(ffi::FF_QP2LAMBDA) * quantiser;
    #[expect(clippy::cast_possible_truncation, reason = "at most 31 * 118")]
    let lambda = lambda as c_int;
    lambda
}
