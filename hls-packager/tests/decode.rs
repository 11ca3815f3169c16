//! What is packaged, decoded by ffmpeg: real FLV files in, init segment and parts out, no error and no lost frame.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace_core::flv::{FlvTag, TagKind};
use millrace_core::time::RtmpMillis;
use millrace_hls_packager::cmaf::AUDIO_TRACK;
use millrace_hls_packager::cmaf::fragment::{Run, Sample, write_fragment};
use millrace_hls_packager::cmaf::init::write_init;
use millrace_hls_packager::demux::aac::parse_config;
use millrace_hls_packager::model::Output;
use millrace_hls_packager::packager::{Packager, PackagerConfig, PackagerStart};
use millrace_hls_packager::suite::Checker;

/// Tags of an FLV file (Adobe Video File Format Specification 10.1, §E.4.1).
fn read_flv(file: &Bytes) -> Vec<FlvTag> {
    assert_eq!(&file[..3], b"FLV");
    let mut tags = Vec::new();
    let mut at = 9 + 4;
    while at + 11 <= file.len() {
        let head = &file[at..at + 11];
        let size = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        let timestamp = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        let kind = match head[0] {
            8 => TagKind::Audio,
            9 => TagKind::Video,
            _ => TagKind::Script,
        };
        let body = file.slice(at + 11..at + 11 + size);
        tags.push(FlvTag { kind, timestamp: RtmpMillis(timestamp), body });
        at += 11 + size + 4;
    }
    tags
}

/// Init segment and fragments of each rendition, one after the other.
fn package(file: &str) -> (Vec<Vec<u8>>, Checker) {
    package_tags(read_flv(&fixture(file).into()))
}

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn package_tags(tags: Vec<FlvTag>) -> (Vec<Vec<u8>>, Checker) {
    let now = Instant::now();
    let wall = jiff::Timestamp::UNIX_EPOCH;
    let mut packager =
        Packager::new(PackagerConfig::default(), PackagerStart { now, wall, last_keyframe_interval: None });
    let (mut renditions, mut checker) = (vec![Vec::new(); 2], Checker::default());
    let mut drain = |packager: &mut Packager| {
        while let Some(output) = packager.poll_output() {
            checker.check(&output);
            match output {
                Output::SegmentStarted(started) => {
                    for (rendition, init) in renditions.iter_mut().zip(started.init) {
                        rendition.extend_from_slice(&init.unwrap_or_default());
                    }
                }
                Output::Part(part) => renditions[part.rendition.0].extend_from_slice(&part.body),
                _ => {}
            }
        }
    };
    packager.handle_publisher_joined(now);
    let mut at = now;
    for tag in tags {
        at = now + Duration::from_millis(tag.timestamp.0.into());
        packager.handle_tag(at, at, tag).unwrap();
        drain(&mut packager);
    }
    packager.handle_end(at);
    drain(&mut packager);
    (renditions, checker)
}

/// MD5 of every decoded frame of a stream kind (`v` or `a`).
fn decoded(media: &[u8], stream: &str) -> Vec<String> {
    frames(media, &["-map", &format!("0:{stream}"), "-fps_mode", "passthrough"])
}

/// MD5 of every sample of a stream kind, as it was sent.
fn samples(media: &[u8], stream: &str) -> Vec<String> {
    frames(media, &["-map", &format!("0:{stream}"), "-c", "copy"])
}

fn frames(media: &[u8], options: &[&str]) -> Vec<String> {
    let text = String::from_utf8(ffmpeg(media, &[options, &["-f", "framemd5", "-"]].concat())).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

/// What ffmpeg makes of a file; any complaint is a failure.
fn ffmpeg(media: &[u8], options: &[&str]) -> Vec<u8> {
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "warning", "-xerror", "-i", "pipe:0"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    let mut stdin = ffmpeg.stdin.take().unwrap();
    let media = media.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&media);
    });
    let output = ffmpeg.wait_with_output().unwrap();
    writer.join().unwrap();
    // It has no name for some channel layouts, which is no fault.
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: String =
        said.lines().filter(|line| !line.starts_with("Guessed Channel Layout")).collect();
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    output.stdout
}

fn fixture(file: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)).unwrap()
}

/// Asserts that all sound came through and decodes, but for a frame that ended before the first picture began.
fn same_sound(rendition: &[u8], file: &str) {
    let (ours, source) = (samples(rendition, "a"), samples(&fixture(file), "a"));
    let missing = source.len() - ours.len();
    assert!(missing <= 1, "{file}: {missing} frames of sound are missing");
    assert!(ours == source[missing..], "{file}: other sound");
    assert_eq!(decoded(rendition, "a").len(), ours.len());
}

#[test]
fn every_frame_of_real_files_is_decoded_bit_by_bit() {
    for file in [
        "avc_aac_bframes_2997.flv",
        "avc_aac_gop250_30.flv",
        "avc_23976.flv",
        "avc_aac_zerolatency_60.flv",
        "avc_aac_44100_25.flv",
    ] {
        let (renditions, checker) = package(file);
        let pictures = decoded(&fixture(file), "v");
        assert!(pictures.len() > 60, "{file}: {} pictures", pictures.len());
        assert!(decoded(&renditions[0], "v") == pictures, "{file}: other pictures");
        if checker.segments.len() > 1 {
            same_sound(&renditions[0], file);
            same_sound(&renditions[1], file);
        }
        let samples = checker.samples(0, 1);
        for pair in samples.windows(2) {
            assert_eq!(pair[1].dts - pair[0].dts, i64::from(pair[0].duration), "{file}");
        }
    }
}

#[test]
fn audio_alone_is_decoded() {
    let (renditions, _) = package("aac_48000.flv");
    same_sound(&renditions[0], "aac_48000.flv");
}

#[test]
fn sound_that_starts_late_is_decoded_behind_silence() {
    let file = "avc_aac_zerolatency_60.flv";
    let mut tags = read_flv(&fixture(file).into());
    let after = 900;
    tags.retain(|tag| tag.kind != TagKind::Audio || tag.is_sequence_header() || tag.timestamp.0 >= after);
    let sent = tags.iter().filter(|tag| tag.kind == TagKind::Audio && !tag.is_sequence_header()).count();
    assert!(sent > 20, "{sent}");
    let (renditions, checker) = package_tags(tags);
    assert!(decoded(&renditions[0], "v") == decoded(&fixture(file), "v"), "other pictures");
    for (rendition, media) in renditions.iter().enumerate() {
        let all = samples(media, "a");
        assert_eq!(decoded(media, "a").len(), all.len());
        let source = samples(&fixture(file), "a");
        assert!(all[all.len() - sent..] == source[source.len() - sent..], "other sound");
        let silence = &checker.samples(rendition, 2)[..all.len() - sent];
        assert!((40..=43).contains(&silence.len()), "{} frames of silence", silence.len());
        assert!(silence.iter().all(|sample| sample.data == silence[0].data));
    }
}

#[test]
fn silence_is_silent_in_every_channel_layout() {
    // But for configurations 12 and 14, of which FFmpeg 5.1 has its doubts.
    let layouts: [(&str, &[u8], usize); 12] = [
        ("mono", &[0x11, 0x88], 1),
        ("stereo", &[0x11, 0x90], 2),
        ("3.0", &[0x11, 0x98], 3),
        ("4.0", &[0x11, 0xa0], 4),
        ("5.0", &[0x11, 0xa8], 5),
        ("5.1", &[0x11, 0xb0], 6),
        ("7.1", &[0x11, 0xb8], 8),
        ("6.1 (11)", &[0x11, 0xd8], 7),
        ("44.1 kHz stereo", &[0x12, 0x10], 2),
        ("quad, in a program configuration", b"\x11\x80\x04\xc4\x04\x00\x21\x10\x00", 4),
        ("2.1, in a program configuration", b"\x11\x80\x04\xc4\x01\x00\x20\x00\x00", 3),
        ("octagonal, in a program configuration", b"\x11\x80\x04\xc8\x48\x00\x20\x08\xc8\x20\x00", 8),
    ];
    for (layout, specific, channels) in layouts {
        let config = parse_config(&Bytes::copy_from_slice(specific)).unwrap();
        let sample = Sample { duration: 1024, composition: 0, sync: true, data: config.silence.clone() };
        let frames = vec![sample; 20];
        let run = Run { track: AUDIO_TRACK, decode_time: 0, samples: &frames };
        let media = [write_init(None, Some(&config)), write_fragment(1, &[run])].concat();
        assert_eq!(decoded(&media, "a").len(), 20, "{layout}");
        let waveform = ffmpeg(&media, &["-f", "s16le", "-"]);
        assert_eq!(waveform.len(), 20 * 1024 * channels * 2, "{layout}");
        assert!(waveform.iter().all(|byte| *byte == 0), "{layout} is not silent");
    }
}
