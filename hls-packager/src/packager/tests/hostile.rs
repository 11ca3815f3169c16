//! What no encoder should send.

use std::time::Duration;

use millrace_core::flv::TagKind;

use super::encoder::{Encoder, Run};
use super::{count, numbers, parts, warnings};
use crate::packager::PackagerConfig;

#[test]
fn what_cannot_be_packaged_is_refused_with_a_sentence_for_the_streamer() {
    let table: [(&str, TagKind, &[u8], &str); 6] = [
        (
            "hevc",
            TagKind::Video,
            b"\x90hvc1\x01",
            "HEVC video is not supported yet: choose H.264 in OBS under Settings > Output",
        ),
        (
            "av1",
            TagKind::Video,
            b"\x90av01\x01",
            "AV1 video is not supported yet: choose H.264 in OBS under Settings > Output",
        ),
        (
            "mp3",
            TagKind::Audio,
            b"\x2f\xff\xfb",
            "MP3 audio needs millrace-transcoder, which this server does not have: choose AAC in OBS under Settings > Output",
        ),
        (
            "opus",
            TagKind::Audio,
            b"\x90Opus\x01",
            "Opus audio is not supported yet: choose AAC in OBS under Settings > Output",
        ),
        (
            "truncated avc",
            TagKind::Video,
            b"\x17\0\0\0\0\x01\x64\0\x1e\xff\xe1\0\x20\x67",
            "the encoder sent an H.264 configuration that cannot be used (AVCDecoderConfigurationRecord is truncated: \
             32 bytes are wanted at byte 8 of 9): restart it, or choose another encoder",
        ),
        (
            "truncated aac",
            TagKind::Audio,
            b"\xaf\0\x12",
            "the encoder sent an AAC configuration that cannot be used (AudioSpecificConfig of 1 bytes is truncated): \
             choose AAC with 1 to 8 channels",
        ),
    ];
    for (what, kind, body, sentence) in table {
        let encoder = Encoder { rate: None, audio: None, metadata: false, ..Encoder::new(30, 1) };
        let mut run = Run::new(PackagerConfig::default());
        run.join(&encoder);
        let error = run.tag(encoder.tag(kind, 0, body.to_vec())).unwrap_err();
        assert_eq!(error.to_string(), sentence, "{what}");
        // What it sends before it is disconnected is ignored.
        run.tag(encoder.tag(kind, 0, body.to_vec())).unwrap();
        run.end();
    }
}

#[test]
fn a_live_publisher_that_is_refused_leaves_gaps_behind() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 3_000);
    run.tag(encoder.tag(TagKind::Video, 3_000, b"\x90hvc1\x01".to_vec())).unwrap_err();
    run.wait(Duration::from_secs(3));
    assert!(run.checker.segments[0].last().unwrap().gap);
    run.end();
    assert_eq!(numbers(&run, 0, 1).len(), 90);
}

#[test]
fn a_damaged_frame_is_dropped_and_decoding_resumes_at_the_next_keyframe() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 3_000);
    run.tag(encoder.tag(TagKind::Video, 3_000, vec![0x27, 1, 0, 0, 0, 0, 0, 0, 99, 0x41])).unwrap();
    run.play(&encoder, 3_000, 8_000);
    assert_eq!(warnings(&run), ["broken_access_unit"]);
    run.end();
    let pictures = numbers(&run, 0, 1);
    count(0, &pictures[..90]);
    count(120, &pictures[90..]);
    count(0, &numbers(&run, 0, 2));
}

#[test]
fn other_tracks_are_skipped_and_told() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    run.play(&encoder, 0, 1_000);
    run.tag(encoder.tag(TagKind::Video, 1_000, b"\x96\x00hvc1\x01\x01".to_vec())).unwrap();
    run.tag(encoder.tag(TagKind::Audio, 1_000, b"\x95\x01Opus\x02\x01".to_vec())).unwrap();
    run.play(&encoder, 1_000, 3_000);
    assert_eq!(warnings(&run), ["unknown_track"]);
    run.end();
    assert_eq!(numbers(&run, 0, 1).len(), 90);
}

#[test]
fn frozen_timestamps_cannot_fill_the_memory() {
    let encoder = Encoder { jitter: |n| if n < 300 { 0 } else { -(n - 300) * 33 }, ..Encoder::new(30, 1) };
    let config =
        PackagerConfig { max_part_samples: 64, max_part_bytes: 1 << 20, ..PackagerConfig::default() };
    let mut run = Run::new(config.clone());
    run.join(&encoder);
    let tags: Vec<_> = (0..5_000).map(|n| (n * 33, encoder.picture(n).1)).collect();
    run.play_tags(0, 165_000, tags);
    run.end();
    for part in parts(&run, 0) {
        let pictures = part.samples.iter().filter(|sample| sample.track == 1).count();
        // Beside them the silence of the sound that was announced.
        assert!(pictures <= 64 && part.samples.len() <= 128, "{} samples", part.samples.len());
    }
    let pictures = numbers(&run, 0, 1);
    count(0, &pictures);
    assert_eq!(pictures.len(), 5_000);

    let mut run = Run::new(config);
    run.join(&encoder);
    run.play(&encoder, 0, 2_000);
    for _ in 0..20 {
        let mut body = vec![0x27, 1, 0, 0, 0, 0, 7, 0xff, 0xfc, 0x41];
        body.resize(9 + (0x7_fffc), 0);
        run.tag(encoder.tag(TagKind::Video, 2_000, body)).unwrap();
    }
    run.end();
    let bytes =
        |part: &&crate::suite::PartOut| part.samples.iter().map(|sample| sample.data.len()).sum::<usize>();
    assert!(parts(&run, 0).iter().map(bytes).max().unwrap() < 2 << 20);
}

#[test]
fn what_waits_for_a_keyframe_is_bounded() {
    let encoder = Encoder { audio: None, ..Encoder::new(30, 1) };
    let config =
        PackagerConfig { max_waiting_bytes: 4096, max_waiting_units: 50, ..PackagerConfig::default() };
    let mut run = Run::new(config);
    run.packager.handle_publisher_joined(run.now);
    // A keyframe and audio that is announced and never comes, all at one instant.
    let metadata = Encoder::new(30, 1).headers().remove(0);
    run.tag(metadata).unwrap();
    run.tag(encoder.headers().pop().unwrap()).unwrap();
    for n in 0..1_000 {
        run.tag(encoder.picture(n).1).unwrap();
    }
    assert!(run.checker.opened.is_none());
    run.wait(Duration::from_secs(1));
    run.end();
    assert!(numbers(&run, 0, 1).len() <= 50);
}

#[test]
fn tags_of_any_bytes_are_survived() {
    let encoder = Encoder::new(30, 1);
    let mut run = Run::new(PackagerConfig::default());
    run.join(&encoder);
    for n in 0..2_000u32 {
        let noise = n.wrapping_mul(2_654_435_761).to_be_bytes();
        let body: Vec<u8> = noise.iter().cycle().take(usize::from(noise[3] % 40)).copied().collect();
        let kind = [TagKind::Audio, TagKind::Video, TagKind::Script][usize::from(noise[0] % 3)];
        if run.tag(encoder.tag(kind, i64::from(n), body)).is_err() {
            run.leave();
            run.join(&encoder);
        }
        run.wait(Duration::from_millis(10));
    }
    run.end();
}
