//! Init segments: `ftyp` and `moov` (ISO/IEC 14496-12 §8, ISO/IEC 23000-19 §7.3).

use bytes::Bytes;

use super::boxes::Boxes;
use super::{AUDIO_TRACK, VIDEO_TRACK};
use crate::demux::{AudioConfig, VideoConfig};
use millrace_core::time::Timescale;

/// The unity matrix of `mvhd` and `tkhd`.
const MATRIX: [u32; 9] = [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000];
/// `und`, packed as in `mdhd`.
const UNDETERMINED: u16 = 0x55c4;

/// Writes the init segment of a video track, an audio track, or both muxed.
#[must_use]
pub fn write_init(video: Option<&VideoConfig>, audio: Option<&AudioConfig>) -> Bytes {
    let mut boxes = Boxes::with_capacity(1024);
    boxes.nested(b"ftyp", |b| {
        b.bytes(b"iso6").u32(0).bytes(b"iso6").bytes(b"cmfc").bytes(b"mp41");
    });
    boxes.nested(b"moov", |b| {
        b.full(b"mvhd", 0, 0, |b| {
            b.u32(0).u32(0).u32(1000).u32(0);
            // Rate 1.0, volume 1.0, reserved.
            b.u32(0x0001_0000).u16(0x0100).zeros(10);
            matrix(b);
            b.zeros(24).u32(AUDIO_TRACK + 1);
        });
        if let Some(video) = video {
            b.nested(b"trak", |b| video_track(b, video));
        }
        if let Some(audio) = audio {
            b.nested(b"trak", |b| audio_track(b, audio));
        }
        b.nested(b"mvex", |b| {
            for track in [video.map(|_| VIDEO_TRACK), audio.map(|_| AUDIO_TRACK)].into_iter().flatten() {
                b.full(b"trex", 0, 0, |b| {
                    b.u32(track).u32(1).zeros(12);
                });
            }
        });
    });
    boxes.finish().into()
}

fn matrix(b: &mut Boxes) {
    for value in MATRIX {
        b.u32(value);
    }
}

fn video_track(b: &mut Boxes, video: &VideoConfig) {
    let (width, height) = (size(video.width), size(video.height));
    track_header(b, VIDEO_TRACK, 0, (width, height));
    b.nested(b"mdia", |b| {
        media_header(b, Timescale::VIDEO, b"vide", "VideoHandler\0");
        b.nested(b"minf", |b| {
            b.full(b"vmhd", 0, 1, |b| {
                b.zeros(8);
            });
            data_reference(b);
            sample_table(b, |b| {
                b.nested(&video.sample_entry, |b| {
                    b.zeros(6).u16(1).zeros(16).u16(width).u16(height);
                    // 72 dpi twice, one frame per sample, no compressor name, 24 bit depth.
                    b.u32(0x0048_0000).u32(0x0048_0000).u32(0).u16(1).zeros(32).u16(24).u16(0xffff);
                    b.nested(&video.decoder_config.0, |b| {
                        b.bytes(&video.decoder_config.1);
                    });
                });
            });
        });
    });
}

fn audio_track(b: &mut Boxes, audio: &AudioConfig) {
    // Volume 1.0.
    track_header(b, AUDIO_TRACK, 0x0100, (0, 0));
    b.nested(b"mdia", |b| {
        media_header(b, audio.scale, b"soun", "SoundHandler\0");
        b.nested(b"minf", |b| {
            b.full(b"smhd", 0, 0, |b| {
                b.zeros(4);
            });
            data_reference(b);
            sample_table(b, |b| {
                b.nested(&audio.sample_entry, |b| {
                    // Rates above 65535 do not fit the 16.16 field; decoders read the configuration.
                    let rate = u16::try_from(audio.scale.ticks_per_second()).unwrap_or(0);
                    b.zeros(6).u16(1).zeros(8).u16(audio.channels.into()).u16(16).zeros(4).u16(rate).u16(0);
                    b.nested(&audio.decoder_config.0, |b| {
                        b.bytes(&audio.decoder_config.1);
                    });
                });
            });
        });
    });
}

fn size(pixels: u32) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}

fn track_header(b: &mut Boxes, track: u32, volume: u16, (width, height): (u16, u16)) {
    // Enabled and in movie.
    b.full(b"tkhd", 0, 3, |b| {
        b.zeros(8).u32(track).zeros(4).u32(0).zeros(8);
        b.u16(0).u16(0).u16(volume).u16(0);
        matrix(b);
        b.u16(width).u16(0).u16(height).u16(0);
    });
}

fn media_header(b: &mut Boxes, scale: Timescale, handler: &[u8; 4], name: &str) {
    b.full(b"mdhd", 0, 0, |b| {
        b.zeros(8).u32(scale.ticks_per_second()).u32(0).u16(UNDETERMINED).u16(0);
    });
    b.full(b"hdlr", 0, 0, |b| {
        b.u32(0).bytes(handler).zeros(12).bytes(name.as_bytes());
    });
}

fn data_reference(b: &mut Boxes) {
    b.nested(b"dinf", |b| {
        b.full(b"dref", 0, 0, |b| {
            b.u32(1);
            // The media is in this file.
            b.full(b"url ", 0, 1, |_| {});
        });
    });
}

fn sample_table(b: &mut Boxes, entry: impl FnOnce(&mut Boxes)) {
    b.nested(b"stbl", |b| {
        b.full(b"stsd", 0, 0, |b| {
            b.u32(1);
            entry(b);
        });
        for (kind, fields) in [(b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4)] {
            b.full(kind, 0, 0, |b| {
                b.zeros(fields);
            });
        }
    });
}
