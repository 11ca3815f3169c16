//! The job `stills`: a keyframe as picture files, and pictures put together. One order after the other, on one thread.

use std::fs::File;

use bytes::Bytes;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::Flags;
use ffmpeg_next::{Rational, frame};
use millrace_core::transcode::{Look, Still, StillFormat, StillOrder, StillReport, StillSize, WireError};

use crate::av::{Colours, Decoder, MAX_SIDE, Scaler, encode_image, rgb_picture, rgb_rows, shape};
use crate::avc::Stream;
use crate::pipe::{Orders, Reports};

/// Most pictures of one keyframe.
const MAX_SIZES: usize = 32;
/// Most pixels of a side of a sprite.
const MAX_SPRITE_SIDE: usize = 4096;
/// Most pixels of a side of a still: what WebP can have is more.
const MAX_STILL_SIDE: u32 = 4096;
/// How a picture looks is said of one so many pixels wide and high.
const LOOK_SIDE: u32 = 64;
/// Fields of [`Look`] in a row.
const LOOK_FIELDS: usize = 8;

/// Obeys until the orders end.
///
/// # Errors
/// An order that cannot be read, or reports that nobody reads.
pub(crate) fn run(input: File, output: File) -> anyhow::Result<()> {
    let mut orders = Orders::<StillOrder>::of(input);
    let mut reports = Reports::to(output);
    let mut stills = Stills::default();
    while let Some(order) = orders.next()? {
        let report = stills.obey(order);
        if let Err(error @ WireError::TooLong { .. }) = reports.push(&report) {
            let stills = Err(format!("the pictures do not fit into {error}: ask for fewer or smaller ones"));
            reports.push(&StillReport { stills, ..report })?;
        }
        match reports.flush() {
            // The server has gone, which is an end like another.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    Ok(())
}

#[derive(Default)]
struct Stills {
    /// The decoder of the record before: most often it is the same.
    decoder: Option<(Bytes, Decoder)>,
}

impl Stills {
    fn obey(&mut self, order: StillOrder) -> StillReport {
        match order {
            StillOrder::Keyframe { id, record, data, sizes } => match self.keyframe(&record, &data, &sizes) {
                Ok((stills, look)) => StillReport { id, stills: Ok(stills), look: Some(look) },
                Err(reason) => StillReport { id, stills: Err(reason), look: None },
            },
            StillOrder::Sprite { id, tiles, tile, columns, formats } => {
                StillReport { id, stills: sprite(&tiles, tile, columns, &formats), look: None }
            }
        }
    }

    fn keyframe(
        &mut self,
        record: &Bytes,
        unit: &[u8],
        sizes: &[StillSize],
    ) -> Result<(Vec<Still>, Look), String> {
        if sizes.len() > MAX_SIZES {
            return Err(format!(
                "{} pictures of a keyframe are asked for, at most {MAX_SIZES} are made",
                sizes.len()
            ));
        }
        let picture = self.decode(record, unit)?;
        let shape = shape(&picture);
        let shown = shown_size(shape.size, picture.aspect_ratio());
        let mut wanted: Vec<_> =
            sizes.iter().map(|size| (fitting(shown, size.within), size)).enumerate().collect();
        // The largest is made of the keyframe, and each smaller one of the last: that costs far less than from the keyframe.
        wanted.sort_by_key(|(_, (size, _))| std::cmp::Reverse(size.0 * size.1));
        let mut last: Option<frame::Video> = None;
        let mut made = Vec::with_capacity(wanted.len());
        for (at, (size, asked)) in wanted {
            let scaled = match &last {
                Some(last) if (last.width(), last.height()) == size => last,
                Some(last) => &rgb(last, size)?,
                None => &rgb(&picture, size)?,
            };
            let data = match asked.format {
                StillFormat::Rgb => rgb_rows(scaled, 3),
                format => {
                    encode_image(scaled, format, asked.quality).map_err(|error| unmade(format, error))?
                }
            };
            made.push((at, Still { format: asked.format, size: narrow(size), data: data.into() }));
            last = crate::av::reference(scaled);
        }
        made.sort_by_key(|(at, _)| *at);
        let look = look(last.as_ref().unwrap_or(&picture))?;
        Ok((made.into_iter().map(|(_, still)| still).collect(), look))
    }

    fn decode(&mut self, record: &Bytes, unit: &[u8]) -> Result<frame::Video, String> {
        let mut decoder = match self.decoder.take() {
            Some((of, mut decoder)) if of == *record => {
                decoder.restart();
                decoder
            }
            _ => Decoder::open(record, Stream::of_record(record).as_ref())
                .map_err(|error| format!("no decoder opens for its record ({error})"))?,
        };
        decoder.send(unit, 0, true).map_err(|error| format!("the keyframe cannot be decoded ({error})"))?;
        decoder.end();
        let picture =
            decoder.receive().map_err(|error| format!("the keyframe cannot be decoded ({error})"))?;
        let picture = picture.ok_or("no picture comes out of the keyframe")?;
        if picture.width() > MAX_SIDE || picture.height() > MAX_SIDE {
            return Err(format!(
                "a picture of {}x{} pixels, at most {MAX_SIDE} a side are read",
                picture.width(),
                picture.height()
            ));
        }
        self.decoder = Some((record.clone(), decoder));
        Ok(picture)
    }
}

fn sprite(
    tiles: &[Bytes],
    tile: (u16, u16),
    columns: u16,
    formats: &[(StillFormat, u8)],
) -> Result<Vec<Still>, String> {
    let (width, height) = (usize::from(tile.0), usize::from(tile.1));
    let columns = usize::from(columns).min(tiles.len());
    if columns == 0 || width == 0 || height == 0 {
        return Err("a sprite of nothing is asked for: it needs tiles, a size and columns".into());
    }
    let rows = tiles.len().div_ceil(columns);
    let size = (columns * width, rows * height);
    if size.0 > MAX_SPRITE_SIDE || size.1 > MAX_SPRITE_SIDE {
        return Err(format!(
            "a sprite of {}x{} pixels is asked for, at most {MAX_SPRITE_SIDE} a side are made",
            size.0, size.1
        ));
    }
    let (row, line) = (width * 3, size.0 * 3);
    let mut pixels = vec![0; line * size.1];
    for (at, tile) in tiles.iter().enumerate() {
        if tile.len() != row * height {
            return Err(format!(
                "tile {at} has {} bytes, {} are {width}x{height} pixels of RGB",
                tile.len(),
                row * height
            ));
        }
        let from = at / columns * height * line + at % columns * row;
        for (y, pixels_of_tile) in tile.chunks(row).enumerate() {
            pixels[from + y * line..][..row].copy_from_slice(pixels_of_tile);
        }
    }
    let size = narrow((u32::try_from(size.0).unwrap_or(0), u32::try_from(size.1).unwrap_or(0)));
    let picture = rgb_picture(&pixels, size).ok_or("there is no memory for a sprite")?;
    let file = |&(format, quality): &(StillFormat, u8)| {
        let data = encode_image(&picture, format, quality).map_err(|error| unmade(format, error))?;
        Ok(Still { format, size, data: data.into() })
    };
    formats.iter().take(MAX_SIZES).map(file).collect()
}

fn unmade(format: StillFormat, error: ffmpeg_next::Error) -> String {
    let name = match format {
        StillFormat::Jpeg => "a JPEG",
        StillFormat::Webp => "a WebP",
        StillFormat::Rgb => "a file of raw RGB",
    };
    format!("{name} cannot be made ({error})")
}

fn narrow(size: (u32, u32)) -> (u16, u16) {
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    (side(size.0), side(size.1))
}

fn rgb(picture: &frame::Video, size: (u32, u32)) -> Result<frame::Video, String> {
    let flags = Flags::BICUBIC | Flags::ACCURATE_RND | Flags::FULL_CHR_H_INT | Flags::FULL_CHR_H_INP;
    scaled(picture, Pixel::RGB24, size, flags)
}

fn scaled(
    picture: &frame::Video,
    format: Pixel,
    size: (u32, u32),
    flags: Flags,
) -> Result<frame::Video, String> {
    let scaled = Scaler::to(format, size, Colours::Full601, flags).scale(picture);
    scaled.map_err(|error| format!("the keyframe cannot be scaled ({error})"))
}

/// The size of a picture on a screen, where pixels are square: the longer side of its pixels is kept.
fn shown_size((width, height): (u32, u32), Rational(wide, high): Rational) -> (u32, u32) {
    let (Ok(wide), Ok(high)) = (u64::try_from(wide), u64::try_from(high)) else { return (width, height) };
    let times =
        |side: u32, by: u64, of: u64| u32::try_from(u64::from(side) * by / of).unwrap_or(side).clamp(1, side);
    match (wide, high) {
        (0, _) | (_, 0) => (width, height),
        _ if wide > high => (width, times(height, high, wide)),
        _ => (times(width, wide, high), height),
    }
}

/// The size into which a picture fits, never larger than it is. Even, where it has two pixels at all.
fn fitting(shown: (u32, u32), within: (u16, u16)) -> (u32, u32) {
    let (width, height) = (u64::from(shown.0.max(1)), u64::from(shown.1.max(1)));
    let most = |side: u16, shown: u64| u64::from(u32::from(side).clamp(1, MAX_STILL_SIDE)).min(shown);
    let (most_wide, most_high) = (most(within.0, width), most(within.1, height));
    let even = |side: u64, most: u64| {
        // To the nearest even number that fits.
        let side = (side + 1) & !1;
        let side = if side > most { most & !1 } else { side };
        u32::try_from(side.max(2.min(most)).max(1)).unwrap_or(1)
    };
    // Rounded, a side for the other.
    let of = |side: u64, by: u64, per: u64| (2 * side * by / per).div_ceil(2);
    if width * most_high >= height * most_wide {
        (even(most_wide, most_wide), even(of(most_wide, height, width).saturating_sub(1), most_high))
    } else {
        (even(of(most_high, width, height).saturating_sub(1), most_wide), even(most_high, most_high))
    }
}

fn look(picture: &frame::Video) -> Result<Look, String> {
    let grey = scaled(picture, Pixel::GRAY8, (LOOK_SIDE, LOOK_SIDE), Flags::AREA | Flags::ACCURATE_RND)?;
    Ok(look_of(&rgb_rows(&grey, 1)))
}

/// How a square of luma looks.
fn look_of(pixels: &[u8]) -> Look {
    let side = usize::try_from(LOOK_SIDE).expect("a small constant");
    let step = side / LOOK_FIELDS;
    let mean =
        |sum: u64, of: usize| u8::try_from(sum / u64::try_from(of.max(1)).unwrap_or(1)).unwrap_or(u8::MAX);
    let mut sums = [[0u64; LOOK_FIELDS]; LOOK_FIELDS];
    for (y, row) in pixels.chunks(side).enumerate().take(side) {
        for (x, luma) in row.iter().enumerate() {
            sums[y / step][x / step] += u64::from(*luma);
        }
    }
    let mut sorted = pixels.to_vec();
    sorted.sort_unstable();
    let p95 = (sorted.len() * 19).div_ceil(20).saturating_sub(1);
    Look {
        luma: mean(pixels.iter().map(|luma| u64::from(*luma)).sum(), pixels.len()),
        luma_p95: sorted.get(p95).copied().unwrap_or(0),
        fields: sums.map(|row| row.map(|sum| mean(sum, step * step))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fits_keeps_its_shape_and_does_not_grow() {
        let cases = [
            ((1920, 1080), (640, 360), (640, 360)),
            ((1920, 1080), (160, 160), (160, 90)),
            ((1080, 1920), (160, 160), (90, 160)),
            ((320, 180), (1280, 720), (320, 180)),
            ((1919, 803), (640, 640), (640, 268)),
            ((854, 480), (320, 180), (320, 180)),
            ((3, 2001), (160, 160), (2, 160)),
            ((1, 1), (160, 90), (1, 1)),
            ((16, 16), (0, 0), (1, 1)),
        ];
        for (shown, within, size) in cases {
            assert_eq!(fitting(shown, within), size, "{shown:?} in {within:?}");
        }
    }

    #[test]
    fn pixels_that_are_not_square_are_made_so_by_taking_away() {
        assert_eq!(shown_size((720, 576), Rational(64, 45)), (720, 405));
        assert_eq!(shown_size((1440, 1080), Rational(3, 4)), (1080, 1080));
        assert_eq!(shown_size((640, 360), Rational(0, 1)), (640, 360));
        assert_eq!(shown_size((640, 360), Rational(i32::MAX, 1)), (640, 1));
    }

    #[test]
    fn a_look_is_of_the_whole_picture_and_of_its_fields() {
        let side = usize::try_from(LOOK_SIDE).unwrap();
        let mut pixels = vec![16; side * side];
        assert_eq!(look_of(&pixels), Look { luma: 16, luma_p95: 16, fields: [[16; 8]; 8] });
        // The last field of the first row is white: 1/64 of the picture.
        for row in pixels.chunks_mut(side).take(8) {
            row[side - 8..].fill(255);
        }
        let look = look_of(&pixels);
        assert_eq!((look.luma, look.luma_p95), (19, 16));
        assert_eq!((look.fields[0][7], look.fields[0][6], look.fields[1][7]), (255, 16, 16));
    }

    #[test]
    fn sprites_that_cannot_be_are_refused() {
        let tile = Bytes::from(vec![1; 12]);
        let refused = |tiles: &[Bytes], size, columns| sprite(tiles, size, columns, &[]).is_err();
        assert!(refused(&[], (2, 2), 1) && refused(std::slice::from_ref(&tile), (2, 2), 0));
        assert!(refused(&[tile.clone(), tile.slice(1..)], (2, 2), 2));
        assert!(refused(&vec![tile; 5_000], (2, 2), 5_000));
    }
}
