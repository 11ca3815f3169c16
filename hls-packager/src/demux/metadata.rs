//! What the packager wants of `onMetaData`: which tracks will come, the nominal frame rate, and how many bits
//! the pictures will have.
//!
//! Reads the top level of one AMF0 object and stops at anything nested: nothing we want lies deeper.

/// The part of `onMetaData` that is used. Everything is a hint, and believed only when the media agrees.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Metadata {
    /// Whether it names a video codec.
    pub(crate) video: bool,
    /// Whether it names an audio codec.
    pub(crate) audio: bool,
    /// Frames per second.
    pub(crate) frame_rate: Option<f64>,
    /// Bits per second of the video.
    pub(crate) video_bits: Option<u32>,
}

/// What `videodatarate` may say, in kbit/s. Encoders that do not know say 0.
const VIDEO_KBITS: std::ops::RangeInclusive<f64> = 10.0..=500_000.0;

/// Most properties that are looked at.
const MAX_PROPERTIES: usize = 128;

/// Reads a script message; `None` when it is not an `onMetaData` with an object.
pub(crate) fn parse(mut body: &[u8]) -> Option<Metadata> {
    let input = &mut body;
    if byte(input)? != 2 || text(input)? != b"onMetaData" {
        return None;
    }
    match byte(input)? {
        3 => {}
        8 => drop(take(input, 4)?),
        _ => return None,
    }
    let mut metadata = Metadata::default();
    for _ in 0..MAX_PROPERTIES {
        if property(input, &mut metadata).is_none() {
            break;
        }
    }
    Some(metadata)
}

/// Reads one property; `None` at the end or at what is not understood.
fn property(input: &mut &[u8], metadata: &mut Metadata) -> Option<()> {
    let name = text(input)?;
    let (number, flag) = match byte(input)? {
        0 => (Some(f64::from_be_bytes(take(input, 8)?.try_into().ok()?)), None),
        1 => (None, Some(byte(input)? != 0)),
        2 => {
            text(input)?;
            (None, None)
        }
        5 | 6 => (None, Some(false)),
        11 => {
            take(input, 10)?;
            (None, None)
        }
        12 => {
            let length = u32::from_be_bytes(take(input, 4)?.try_into().ok()?);
            take(input, usize::try_from(length).ok()?)?;
            (None, None)
        }
        _ => return None,
    };
    match name {
        b"videocodecid" => metadata.video = flag != Some(false),
        b"audiocodecid" => metadata.audio = flag != Some(false),
        b"hasVideo" => metadata.video |= flag == Some(true),
        b"hasAudio" => metadata.audio |= flag == Some(true),
        b"videodatarate" => {
            let kbits = number.filter(|kbits| VIDEO_KBITS.contains(kbits));
            metadata.video_bits = kbits.map(|kbits| (kbits * 1_000.0) as u32);
        }
        b"framerate" => metadata.frame_rate = number.filter(|rate| (1.0..=300.0).contains(rate)),
        _ => {}
    }
    Some(())
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = input.split_at_checked(length)?;
    *input = tail;
    Some(head)
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    take(input, 1).map(|bytes| bytes[0])
}

fn text<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(input, 2)?;
    take(input, usize::from(u16::from_be_bytes([length[0], length[1]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(properties: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x03".to_vec();
        for (name, value) in properties {
            body.extend_from_slice(&u16::try_from(name.len()).unwrap().to_be_bytes());
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(value);
        }
        body.extend_from_slice(&[0, 0, 9]);
        body
    }

    fn number(value: f64) -> Vec<u8> {
        [&[0][..], &value.to_be_bytes()].concat()
    }

    #[test]
    fn tracks_and_frame_rate_are_found_among_other_properties() {
        let body = metadata(&[
            ("encoder", b"\x02\x00\x03obs"),
            ("videocodecid", &number(7.0)),
            ("stereo", &[1, 1]),
            ("videodatarate", &number(2_500.0)),
            ("framerate", &number(29.97)),
            ("audiocodecid", b"\x02\x00\x04mp4a"),
        ]);
        let (frame_rate, video_bits) = (Some(29.97), Some(2_500_000));
        assert_eq!(parse(&body), Some(Metadata { video: true, audio: true, frame_rate, video_bits }));
        let audio_only = metadata(&[("audiocodecid", &number(10.0))]);
        assert_eq!(parse(&audio_only), Some(Metadata { audio: true, ..Metadata::default() }));
    }

    #[test]
    fn what_cannot_be_read_ends_the_object_and_never_panics() {
        let body = metadata(&[
            ("videocodecid", &number(7.0)),
            ("nested", &[3, 0, 0, 9]),
            ("audiocodecid", &number(1.0)),
        ]);
        assert_eq!(parse(&body), Some(Metadata { video: true, ..Metadata::default() }));
        for end in 0..body.len() {
            let _ = parse(&body[..end]);
        }
        assert_eq!(parse(b"\x02\x00\x0bonTextData!"), None);
        let absurd = metadata(&[("framerate", &number(f64::NAN))]);
        assert_eq!(parse(&absurd).unwrap().frame_rate, None);
        for nonsense in [0.0, -2_500.0, 9.0, 1e9, f64::NAN, f64::INFINITY] {
            let body = metadata(&[("videodatarate", &number(nonsense))]);
            assert_eq!(parse(&body).unwrap().video_bits, None, "{nonsense}");
        }
    }
}
