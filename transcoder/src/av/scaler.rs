//! Pictures in other sizes and forms.
#![expect(
    unsafe_code,
    reason = "ffmpeg-next's scaler does not know colour matrices and ranges, nor references to pictures"
)]

use std::ffi::c_int;

use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{Error, Frame, ffi, frame};

/// What becomes of the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// Those of the source: its matrix, and its range. RGB becomes BT.709.
    Source,
    /// Full range, and for YCbCr the matrix of BT.601: RGB and JPEG.
    Full601,
    /// Limited range and the matrix of BT.601: WebP.
    Limited601,
}

/// How pictures of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) size: (u32, u32),
    /// Without the names that libav has for full range (`yuvj…`).
    pub(crate) format: Pixel,
    pub(crate) full_range: bool,
    pub(crate) rgb: bool,
    /// Number of its matrix (ISO/IEC 23091-2 §8.3), or what its size makes likely.
    matrix: c_int,
}

const BT709: c_int = 1;
const BT601: c_int = 5;
/// The matrix that is not said.
const UNSPECIFIED: c_int = 2;
/// Pictures of so many lines have the colours of BT.709 where they do not say.
const HD_LINES: u32 = 720;

/// How a picture is.
pub(crate) fn shape(picture: &frame::Video) -> Shape {
    let (format, named_full) = match picture.format() {
        Pixel::YUVJ420P => (Pixel::YUV420P, true),
        Pixel::YUVJ422P => (Pixel::YUV422P, true),
        Pixel::YUVJ444P => (Pixel::YUV444P, true),
        format => (format, false),
    };
    let rgb = matches!(format, Pixel::RGB24) || ffmpeg_next::color::Space::RGB == picture.color_space();
    let full_range = rgb || named_full || picture.color_range() == ffmpeg_next::color::Range::JPEG;
    let size = (picture.width(), picture.height());
    let said = ffi::AVColorSpace::from(picture.color_space()) as c_int;
    let matrix = match said {
        // RGB is scaled as YCbCr, there and back.
        _ if rgb => BT601,
        UNSPECIFIED if size.1 >= HD_LINES => BT709,
        UNSPECIFIED => BT601,
        said => said,
    };
    Shape { size, format, full_range, rgb, matrix }
}

/// Another handle to the same pixels, with properties of its own. `None` without memory.
pub(crate) fn reference(picture: &frame::Video) -> Option<frame::Video> {
    // SAFETY: the picture is valid; the clone is a new structure that counts as one more user of the buffers, and is freed
    // by what is returned.
    let clone = unsafe { ffi::av_frame_clone(picture.as_ptr()) };
    (!clone.is_null()).then(|| frame::Video::from(unsafe { Frame::wrap(clone) }))
}

/// Scales and converts pictures that may change on the way.
pub(crate) struct Scaler {
    format: Pixel,
    size: (u32, u32),
    colours: Colours,
    flags: scaling::Flags,
    context: Option<(Shape, scaling::Context)>,
    out: frame::Video,
}

impl Scaler {
    /// To pictures of this format and size in pixels.
    pub(crate) fn to(format: Pixel, size: (u32, u32), colours: Colours, flags: scaling::Flags) -> Self {
        Self { format, size, colours, flags, context: None, out: frame::Video::empty() }
    }

    /// The picture as it should be: the very same where nothing is to be done.
    ///
    /// # Errors
    /// What libswscale cannot convert.
    pub(crate) fn scale(&mut self, picture: &frame::Video) -> Result<frame::Video, Error> {
        let shape = shape(picture);
        let no_memory = Error::Other { errno: ffmpeg_next::error::ENOMEM };
        if self.colours == Colours::Source && shape.size == self.size && shape.format == self.format {
            return reference(picture).ok_or(no_memory);
        }
        let fits = self.context.as_ref().is_some_and(|(of, _)| *of == shape);
        if !fits {
            self.context = Some((shape, self.context_for(shape)?));
        }
        let Some((_, context)) = &mut self.context else { return Err(Error::Bug) };
        // SAFETY: both pictures have the formats and sizes that the context was made for. The picture that is written to is
        // ours alone: it is given a new buffer if an encoder still has the one before.
        unsafe {
            if self.out.is_empty() {
                self.out.alloc(self.format, self.size.0, self.size.1);
            } else if ffi::av_frame_make_writable(self.out.as_mut_ptr()) < 0 {
                return Err(no_memory);
            }
            if self.out.is_empty() {
                return Err(no_memory);
            }
            let (from, to) = (picture.as_ptr(), self.out.as_mut_ptr());
            let lines = c_int::try_from(shape.size.1).map_err(|_| Error::InvalidData)?;
            let done = ffi::sws_scale(
                context.as_mut_ptr(),
                (*from).data.as_ptr().cast(),
                (*from).linesize.as_ptr(),
                0,
                lines,
                (*to).data.as_ptr(),
                (*to).linesize.as_ptr(),
            );
            if done < 0 {
                return Err(Error::from(done));
            }
        }
        reference(&self.out).ok_or(no_memory)
    }

    fn context_for(&self, shape: Shape) -> Result<scaling::Context, Error> {
        let (w, h) = shape.size;
        let mut context =
            scaling::Context::get(shape.format, w, h, self.format, self.size.0, self.size.1, self.flags)?;
        let (matrix, full_range) = match self.colours {
            Colours::Source if shape.rgb => (BT709, false),
            Colours::Source => (shape.matrix, shape.full_range),
            Colours::Full601 => (BT601, true),
            Colours::Limited601 => (BT601, false),
        };
        // SAFETY: the tables are libswscale's own and never freed; the context is ours. What it answers says only whether
        // the formats have matrices at all.
        unsafe {
            let (from, to) = (ffi::sws_getCoefficients(shape.matrix), ffi::sws_getCoefficients(matrix));
            let (source, result) = (c_int::from(shape.full_range), c_int::from(full_range));
            ffi::sws_setColorspaceDetails(
                context.as_mut_ptr(),
                from,
                source,
                to,
                result,
                0,
                1 << 16,
                1 << 16,
            );
        }
        Ok(context)
    }
}
