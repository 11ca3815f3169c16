//! H.264 access units out of pictures.
#![expect(
    unsafe_code,
    reason = "ffmpeg-next has no safe way to an encoder's buffer model, extradata and frames on a graphics card"
)]

use std::ffi::c_int;
use std::{ptr, slice};

use ffmpeg_next::codec::{self, encoder};
use ffmpeg_next::error::{EAGAIN, ENOMEM};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Dictionary, Error, Packet, Rational, color, ffi, frame, picture};
use millrace_core::transcode::VideoEncoder as Kind;

use super::TICKS;
use super::scaler::shape;

/// What a stream says of how its pictures are to be shown. An encoder is opened for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal {
    full_range: bool,
    matrix: color::Space,
    primaries: color::Primaries,
    transfer: color::TransferCharacteristic,
    /// Width to height of a pixel.
    aspect: (i32, i32),
}

impl Signal {
    /// What the source says, for pictures of `size` made of it: the picture keeps its shape, so pixels change theirs where
    /// the sizes do not agree.
    pub(crate) fn of(source: &frame::Video, size: (u32, u32)) -> Self {
        let shape = shape(source);
        Self {
            full_range: shape.full_range && !shape.rgb,
            matrix: if shape.rgb { color::Space::BT709 } else { source.color_space() },
            primaries: source.color_primaries(),
            transfer: source.color_transfer_characteristic(),
            aspect: pixel_aspect(source.aspect_ratio(), shape.size, size),
        }
    }
}

/// Pixels that are square but for the rounding of sizes to even numbers are square.
const ROUNDING: f64 = 0.02;

fn pixel_aspect(source: Rational, from: (u32, u32), to: (u32, u32)) -> (i32, i32) {
    let Rational(num, den) = source;
    let (num, den) = if num > 0 && den > 0 { (num, den) } else { (1, 1) };
    let wide = i64::from(num) * i64::from(from.0) * i64::from(to.1);
    let high = i64::from(den) * i64::from(from.1) * i64::from(to.0);
    #[expect(clippy::cast_precision_loss, reason = "a ratio that is compared with a coarse bound")]
    let ratio = wide as f64 / high.max(1) as f64;
    if (ratio - 1.0).abs() < ROUNDING {
        return (1, 1);
    }
    let (mut width, mut height) = (1, 1);
    // The numbers of a stream's pixels have 16 bits.
    // SAFETY: av_reduce writes two integers.
    unsafe { ffi::av_reduce(&raw mut width, &raw mut height, wide, high, 65_535) };
    if width > 0 && height > 0 { (width, height) } else { (1, 1) }
}

/// What an encoder is opened for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VideoSettings<'a> {
    pub(crate) kind: Kind,
    /// Empty for what suits live pictures.
    pub(crate) preset: &'a str,
    /// Pixels, both even.
    pub(crate) size: (u32, u32),
    /// Bits per second.
    pub(crate) bitrate: u32,
    /// Pictures per second.
    pub(crate) frame_rate: f64,
    pub(crate) signal: Signal,
}

/// An encoded picture.
pub(crate) struct Encoded {
    pub(crate) pts: i64,
    pub(crate) sync: bool,
    /// With start codes.
    pub(crate) data: Vec<u8>,
}

/// An encoder that hands out each picture as soon as it can, without reordering, and makes a keyframe only where it is told.
pub(crate) struct VideoEncoder {
    encoder: encoder::video::Encoder,
    packet: Packet,
    on_card: bool,
    opened_for: f64,
    bitrate: u32,
}

/// libavcodec's name of an encoder, the preset that suits live pictures, and the form of its pictures.
fn of_kind(kind: Kind) -> (&'static str, &'static str, Pixel) {
    match kind {
        Kind::X264 => ("libx264", "veryfast", Pixel::YUV420P),
        Kind::Nvenc => ("h264_nvenc", "p4", Pixel::NV12),
        Kind::Vaapi => ("h264_vaapi", "", Pixel::NV12),
        Kind::Qsv => ("h264_qsv", "veryfast", Pixel::NV12),
    }
}

impl VideoEncoder {
    /// The form in which an encoder wants its pictures.
    pub(crate) fn pixel_format(kind: Kind) -> Pixel {
        of_kind(kind).2
    }

    /// Opens one.
    ///
    /// # Errors
    /// A sentence for people: why, and what to do.
    pub(crate) fn open(settings: &VideoSettings<'_>) -> Result<Self, String> {
        let (name, preset, _) = of_kind(settings.kind);
        let codec = encoder::find_by_name(name).ok_or_else(|| match settings.kind {
            Kind::X264 => {
                format!("libavcodec has no {name}: install one that is built with it, as Debian's is")
            }
            _ => format!(
                "libavcodec has no {name}: install one that is built with it, or let x264 make this rung"
            ),
        })?;
        let preset = if settings.preset.is_empty() { preset } else { settings.preset };
        if !preset.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(format!(
                "{preset:?} is no preset of {name}: see its documentation, or leave the preset empty"
            ));
        }
        Self::open_codec(codec, preset, settings).map_err(|error| match settings.kind {
            Kind::X264 => format!("x264 does not open ({error}): is {preset:?} one of its presets?"),
            Kind::Nvenc => format!(
                "{name} does not open ({error}): NVIDIA's driver and a card that encodes H.264 are needed, with a session to \
                 spare; or let x264 make this rung"
            ),
            Kind::Vaapi => format!(
                "{name} does not open ({error}): a card with a VA-API driver is needed, and the right to use /dev/dri/renderD128 \
                 (the group render); or let x264 make this rung"
            ),
            Kind::Qsv => format!(
                "{name} does not open ({error}): an Intel processor with Quick Sync Video and its driver are needed, and the \
                 right to use /dev/dri/renderD128 (the group render); or let x264 make this rung"
            ),
        })
    }

    fn open_codec(
        codec: ffmpeg_next::Codec,
        preset: &str,
        settings: &VideoSettings<'_>,
    ) -> Result<Self, Error> {
        let on_card = settings.kind == Kind::Vaapi;
        let mut video = codec::Context::new_with_codec(codec).encoder().video()?;
        let rate = Rational::from(settings.frame_rate);
        let bits = usize::try_from(settings.bitrate).map_err(|_| Error::InvalidData)?;
        video.set_width(settings.size.0);
        video.set_height(settings.size.1);
        video.set_format(if on_card { Pixel::VAAPI } else { Self::pixel_format(settings.kind) });
        video.set_time_base(Rational(1, TICKS));
        video.set_frame_rate(Some(rate));
        video.set_bit_rate(bits);
        video.set_max_bit_rate(bits);
        video.set_max_b_frames(0);
        video.set_gop(u32::try_from(i32::MAX).expect("positive"));
        video.set_colorspace(settings.signal.matrix);
        video.set_color_primaries(settings.signal.primaries);
        video.set_color_transfer_characteristic(settings.signal.transfer);
        video.set_color_range(if settings.signal.full_range {
            color::Range::JPEG
        } else {
            color::Range::MPEG
        });
        video.set_aspect_ratio(Rational(settings.signal.aspect.0, settings.signal.aspect.1));
        video.set_flags(codec::Flags::GLOBAL_HEADER);
        // SAFETY: the context is ours and not open yet.
        unsafe {
            let context = video.as_mut_ptr();
            // One second at the bitrate, and one thread: more of them encode no better and cost more.
            (*context).rc_buffer_size = c_int::try_from(settings.bitrate).map_err(|_| Error::InvalidData)?;
            (*context).thread_count = 1;
            if on_card {
                frames_on_card(context, settings.size)?;
            }
        }
        let mut options = Dictionary::new();
        if !preset.is_empty() {
            options.set("preset", preset);
        }
        match settings.kind {
            Kind::X264 => {
                options.set("tune", "zerolatency");
                options.set("forced-idr", "1");
                options.set("x264-params", "scenecut=0:open-gop=0:keyint=infinite");
            }
            Kind::Nvenc => {
                options.set("tune", "ull");
                options.set("rc", "cbr");
                options.set("zerolatency", "1");
                options.set("delay", "0");
                options.set("forced-idr", "1");
                options.set("no-scenecut", "1");
            }
            Kind::Vaapi => options.set("rc_mode", "CBR"),
            Kind::Qsv => {
                options.set("async_depth", "1");
                options.set("forced_idr", "1");
            }
        }
        let encoder = video.open_as_with(codec, options)?;
        let opened_for = settings.frame_rate;
        Ok(Self { encoder, packet: Packet::empty(), on_card, opened_for, bitrate: settings.bitrate })
    }

    /// The parameter sets, with start codes; empty for encoders that write them before keyframes.
    pub(crate) fn parameter_sets(&self) -> &[u8] {
        // SAFETY: libav keeps as many bytes there as it says, for as long as the encoder is open.
        unsafe {
            let context = self.encoder.as_ptr();
            match ((*context).extradata, usize::try_from((*context).extradata_size)) {
                (bytes, Ok(length)) if !bytes.is_null() => slice::from_raw_parts(bytes, length),
                _ => &[],
            }
        }
    }

    /// Tells how many pictures per second really come. An encoder takes a picture's share of the bits from the rate that it
    /// was opened for, and that cannot be changed; the bits per second can.
    pub(crate) fn set_frame_rate(&mut self, frame_rate: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
        let bits = (f64::from(self.bitrate) * self.opened_for / frame_rate).clamp(1_000.0, 1e9) as usize;
        self.encoder.set_bit_rate(bits);
        self.encoder.set_max_bit_rate(bits);
    }

    /// Takes a picture in the form that it wants.
    ///
    /// # Errors
    /// When it fails; it may not work any more.
    pub(crate) fn send(&mut self, mut picture: frame::Video, pts: i64, sync: bool) -> Result<(), Error> {
        if self.on_card {
            picture = self.upload(&picture)?;
        }
        picture.set_pts(Some(pts));
        picture.set_kind(if sync { picture::Type::I } else { picture::Type::None });
        self.encoder.send_frame(&picture)
    }

    /// Says that nothing follows.
    pub(crate) fn end(&mut self) {
        let _ = self.encoder.send_eof();
    }

    /// The next encoded picture; `None` when another is wanted first, or nothing is left.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn receive(&mut self) -> Result<Option<Encoded>, Error> {
        match self.encoder.receive_packet(&mut self.packet) {
            Ok(()) => {}
            Err(Error::Eof | Error::Other { errno: EAGAIN }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let data = self.packet.data().unwrap_or_default().to_vec();
        let pts = self.packet.pts().ok_or(Error::InvalidData)?;
        Ok(Some(Encoded { pts, sync: self.packet.is_key(), data }))
    }

    fn upload(&mut self, picture: &frame::Video) -> Result<frame::Video, Error> {
        let mut uploaded = frame::Video::empty();
        // SAFETY: the context has frames (`frames_on_card`); both pictures are ours.
        unsafe {
            let frames = (*self.encoder.as_ptr()).hw_frames_ctx;
            checked(ffi::av_hwframe_get_buffer(frames, uploaded.as_mut_ptr(), 0))?;
            checked(ffi::av_hwframe_transfer_data(uploaded.as_mut_ptr(), picture.as_ptr(), 0))?;
            checked(ffi::av_frame_copy_props(uploaded.as_mut_ptr(), picture.as_ptr()))?;
        }
        Ok(uploaded)
    }
}

fn checked(result: c_int) -> Result<(), Error> {
    if result < 0 { Err(Error::from(result)) } else { Ok(()) }
}

/// Gives an encoder frames in the memory of a card.
///
/// # Safety
/// `context` is one that is not open yet.
unsafe fn frames_on_card(context: *mut ffi::AVCodecContext, size: (u32, u32)) -> Result<(), Error> {
    // SAFETY: references are counted: ours to the device and the frames are given back, the context keeps its own.
    unsafe {
        let mut device = ptr::null_mut();
        let kind = ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI;
        checked(ffi::av_hwdevice_ctx_create(&raw mut device, kind, ptr::null(), ptr::null_mut(), 0))?;
        let mut frames = ffi::av_hwframe_ctx_alloc(device);
        ffi::av_buffer_unref(&raw mut device);
        if frames.is_null() {
            return Err(Error::Other { errno: ENOMEM });
        }
        let of_frames = (*frames).data.cast::<ffi::AVHWFramesContext>();
        (*of_frames).format = ffi::AVPixelFormat::AV_PIX_FMT_VAAPI;
        (*of_frames).sw_format = ffi::AVPixelFormat::AV_PIX_FMT_NV12;
        (*of_frames).width = c_int::try_from(size.0).map_err(|_| Error::InvalidData)?;
        (*of_frames).height = c_int::try_from(size.1).map_err(|_| Error::InvalidData)?;
        (*of_frames).initial_pool_size = 4;
        let ready = checked(ffi::av_hwframe_ctx_init(frames));
        if ready.is_ok() {
            (*context).hw_frames_ctx = ffi::av_buffer_ref(frames);
        }
        ffi::av_buffer_unref(&raw mut frames);
        ready
    }
}
