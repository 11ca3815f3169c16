//! Which picture a part ends with (ISO/IEC 14496-12 §8.8). Sans-IO.

use std::ops::Range;

/// The server's track of pictures.
const VIDEO_TRACK: u32 = 1;

/// Where the last picture's bytes are in a part; `None` where it has no pictures or cannot be read.
pub(crate) fn last_picture(part: &[u8]) -> Option<Range<usize>> {
    let moof = boxes(part).find(|(kind, _)| *kind == b"moof")?.1;
    boxes(moof).filter(|(kind, _)| *kind == b"traf").find_map(|(_, traf)| track(traf, part.len()))
}

fn track(traf: &[u8], length: usize) -> Option<Range<usize>> {
    let child = |wanted: &[u8; 4]| boxes(traf).find(|(kind, _)| *kind == wanted).map(|(_, body)| body);
    let (tfhd, trun) = (child(b"tfhd")?, child(b"trun")?);
    if u32_at(tfhd, 4)? != VIDEO_TRACK {
        return None;
    }
    let flags = u32_at(trun, 0)? & 0x00ff_ffff;
    let has = |flag: u32| usize::from(flags & flag != 0) * 4;
    let count = usize::try_from(u32_at(trun, 4)?).ok()?;
    let from = usize::try_from(u32_at(trun, 8)?).ok()?;
    let mut at = 8 + has(0x1) + has(0x4);
    let (mut start, mut end) = (from, from);
    for _ in 0..count {
        let size = usize::try_from(u32_at(trun, at + has(0x100))?).ok()?;
        (start, end) = (end, end.checked_add(size)?);
        at += has(0x100) + has(0x200) + has(0x400) + has(0x800);
    }
    (count > 0 && flags & 0x201 == 0x201 && end <= length).then_some(start..end)
}

/// The boxes in `bytes`, up to the first that is not whole.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let size = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let kind = bytes.get(4..8)?.try_into().ok()?;
        let body = bytes.get(8..size)?;
        bytes = &bytes[size..];
        Some((kind, body))
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap().to_be_bytes();
        [&size[..], kind, body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn part(track: u32) -> Vec<u8> {
        let traf = [
            boxed(b"tfhd", &words(&[0x02_0028, track, 3000, 0])),
            // Data offset, first sample's flags, sizes, composition offsets.
            boxed(b"trun", &words(&[0x0100_0a05, 2, 120, 0, 3, 0, 2, 0])),
        ];
        let moof =
            boxed(b"moof", &[boxed(b"mfhd", &words(&[0, 1])), boxed(b"traf", &traf.concat())].concat());
        let mut part = moof;
        part.resize(120, 0);
        part.extend(b"onetw");
        part
    }

    #[test]
    fn the_last_picture_of_a_part_is_found() {
        let whole = part(VIDEO_TRACK);
        assert_eq!(&whole[last_picture(&whole).unwrap()], b"tw");
    }

    #[test]
    fn what_is_no_part_with_pictures_is_nothing() {
        assert_eq!(last_picture(&part(2)), None);
        let whole = part(VIDEO_TRACK);
        for length in 0..whole.len() {
            assert_eq!(last_picture(&whole[..length]), None, "{length}");
        }
    }
}
