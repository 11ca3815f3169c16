//! `millrace-transcoder sound`.

use bytes::Bytes;
use millrace_core::transcode::{SoundOrder, SoundReport};

use crate::media::{ffmpeg, probe_audio};
use crate::process::Job;

/// Frames of MP3 with their times in ticks of 90 kHz.
fn mp3(filter: &str, rate: u32, channels: u8) -> Vec<(i64, Bytes)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sound.mp3");
    let (rate_of, channels_of) = (rate.to_string(), channels.to_string());
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        filter,
        "-c:a",
        "libmp3lame",
        "-b:a",
        "96k",
        "-ar",
        &rate_of,
        "-ac",
        &channels_of,
        "-write_xing",
        "0",
        "-id3v2_version",
        "0",
        file.to_str().unwrap(),
    ]);
    let bytes = Bytes::from(std::fs::read(&file).unwrap());
    let listed = probe_audio(&file, &["-show_entries", "packet=pos,size"]);
    let samples: i64 = if rate >= 32_000 { 1152 } else { 576 };
    let frame = |(at, line): (usize, &str)| {
        let mut numbers = line.split(',').map(|number| number.parse::<usize>().unwrap());
        let (size, from) = (numbers.next().unwrap(), numbers.next().unwrap());
        (at as i64 * samples * 90_000 / i64::from(rate), bytes.slice(from..from + size))
    };
    listed.lines().enumerate().map(frame).collect()
}

/// What came: configurations, frames, complaints.
#[derive(Default)]
struct Made {
    configs: Vec<Bytes>,
    frames: Vec<(i64, Bytes)>,
    failed: Vec<String>,
}

fn made(frames: &[(i64, Bytes)]) -> Made {
    let mut job = Job::<SoundReport>::start("sound");
    frames.iter().for_each(|(pts, data)| job.order(&SoundOrder::Mp3 { pts: *pts, data: data.clone() }));
    let (reports, complaint) = job.end();
    assert_eq!(complaint, "");
    let mut made = Made::default();
    for report in reports {
        match report {
            SoundReport::Opened(config) => made.configs.push(config),
            SoundReport::Aac { pts, data } => made.frames.push((pts, data)),
            SoundReport::Failed(reason) => made.failed.push(reason),
        }
    }
    made
}

/// Frames with the header of ADTS (ISO/IEC 14496-3 §1.A.2), which the ffmpeg command reads.
fn adts(config: &[u8], frames: &[(i64, Bytes)]) -> Vec<u8> {
    let (index, channels) = ((config[0] & 7) << 1 | config[1] >> 7, config[1] >> 3 & 15);
    let with_header = |(_, frame): &(i64, Bytes)| {
        let length = frame.len() + 7;
        let byte = |value: usize| u8::try_from(value & 0xff).unwrap();
        let head = [
            0xff,
            0xf1,
            1 << 6 | index << 2 | channels >> 2,
            channels << 6 | byte(length >> 11),
            byte(length >> 3),
            byte(length << 5) | 0x1f,
            0xfc,
        ];
        [&head[..], frame].concat()
    };
    frames.iter().flat_map(with_header).collect()
}

#[test]
fn mp3_becomes_aac_of_the_same_rate_channels_and_sound() {
    for (rate, channels) in [(44_100, 2), (48_000, 2), (44_100, 1), (22_050, 2), (8_000, 1)] {
        let source = mp3("sine=frequency=440:duration=3:sample_rate=48000", rate, channels);
        let made = made(&source);
        let [config] = made.configs.as_slice() else { panic!("{} configurations", made.configs.len()) };
        assert_eq!((config[0] >> 3, made.failed.len()), (2, 0), "AAC-LC");
        let folder = tempfile::tempdir().unwrap();
        let (file, raw) = (folder.path().join("sound.aac"), folder.path().join("raw"));
        std::fs::write(&file, adts(config, &made.frames)).unwrap();
        let seen = probe_audio(&file, &["-show_entries", "stream=codec_name,profile,sample_rate,channels"]);
        assert_eq!(seen.trim(), format!("aac,LC,{rate},{channels}"));
        // Decoded, it is as loud as it was and 440 Hz: it crosses zero 880 times a second.
        ffmpeg(&["-i", file.to_str().unwrap(), "-f", "s16le", "-ac", "1", raw.to_str().unwrap()]);
        let samples: Vec<_> = std::fs::read(raw)
            .unwrap()
            .chunks(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let second = &samples[rate as usize..2 * rate as usize];
        let crossings = second.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
        assert!(crossings.abs_diff(880) <= 4, "{crossings} at {rate} Hz");
        assert!(
            second.iter().max().is_some_and(|peak| (2_500..5_000).contains(peak)),
            "{:?} at {rate} Hz",
            second.iter().max()
        );
    }
}

#[test]
fn frames_follow_one_another_from_where_the_source_begins() {
    let mut source = mp3("sine=duration=4:sample_rate=48000", 44_100, 2);
    // As a publisher has them: in milliseconds, from somewhere.
    source.iter_mut().for_each(|(pts, _)| *pts = *pts / 90 * 90 + 123_480);
    let made = made(&source);
    for (at, (pts, _)) in made.frames.iter().enumerate() {
        let exact = 123_480 + at as i64 * 1024 * 90_000 / 44_100;
        assert!((exact - pts).abs() <= 90, "frame {at} is at {pts} instead of {exact}");
    }
    // As long as the source, and at most one frame more.
    let samples = source.len() * 1152;
    assert_eq!(made.frames.len(), samples.div_ceil(1024));
}

#[test]
fn a_jump_of_the_source_is_followed_and_its_rounding_is_not() {
    let mut source = mp3("sine=duration=2:sample_rate=48000", 48_000, 2);
    let half = source.len() / 2;
    source[half..].iter_mut().for_each(|(pts, _)| *pts += 45_000);
    let jumps: Vec<_> = made(&source)
        .frames
        .windows(2)
        .map(|pair| pair[1].0 - pair[0].0)
        .filter(|step| !(1_919..=1_921).contains(step))
        .collect();
    let [jump] = jumps.as_slice() else { panic!("{jumps:?}") };
    // The frame before was filled with silence, so the jump is shorter by what it had.
    assert!((45_000..=46_920).contains(jump), "{jump}");
}

#[test]
fn frames_that_are_none_are_silence_and_many_of_them_are_said() {
    let mut source = mp3("sine=duration=4:sample_rate=48000", 48_000, 2);
    let whole = made(&source).frames.len();
    source[20].1 = Bytes::from_static(b"no MP3");
    source[21].1 = Bytes::new();
    let few = made(&source);
    assert_eq!((few.frames.len(), few.failed.len(), few.configs.len()), (whole, 0, 1));
    source[40..100].iter_mut().for_each(|(_, data)| *data = vec![0x55; 200].into());
    let many = made(&source);
    assert_eq!((many.frames.len(), many.failed.len()), (whole, 1), "{:?}", many.failed);
}

#[test]
fn another_rate_is_another_configuration() {
    let mut source = mp3("sine=duration=1:sample_rate=48000", 44_100, 2);
    let second = mp3("sine=duration=1:sample_rate=48000", 48_000, 1);
    source.extend(second.into_iter().map(|(pts, data)| (pts + 94_000, data)));
    let made = made(&source);
    assert_eq!((made.configs.len(), made.failed.len()), (2, 0));
    assert_ne!(made.configs[0], made.configs[1]);
    assert!(made.frames.is_sorted_by_key(|(pts, _)| *pts));
}
