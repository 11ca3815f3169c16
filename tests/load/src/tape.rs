//! A short recording as a broadcast without end. Sans-IO.
//!
//! The pictures repeat every time the recording is over; the sound repeats frame by frame on a clock of its own, so
//! that neither track ever jumps against the other.

use bytes::Bytes;

use crate::rtmp_peer::flv::Tag;

/// FLV and RTMP type of a video tag.
pub(crate) const VIDEO: u8 = 9;
/// Samples in an AAC frame, and in a second of the fixture.
const AUDIO_FRAME: u64 = 1024;
const AUDIO_RATE: u64 = 48_000;

/// A recording.
pub(crate) struct Tape {
    headers: Vec<Tag>,
    video: Vec<Tag>,
    audio: Vec<Tag>,
}

/// A tag of the broadcast.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) kind: u8,
    /// Milliseconds from the first.
    pub(crate) at: u32,
    pub(crate) body: Bytes,
    /// Which picture it is, from 0.
    pub(crate) picture: Option<usize>,
}

impl Tape {
    /// A recording of evenly spaced pictures and 48 kHz AAC that begins with a keyframe.
    pub(crate) fn new(tags: Vec<Tag>) -> anyhow::Result<Self> {
        let (headers, media): (Vec<_>, Vec<_>) = tags.into_iter().partition(Tag::is_header);
        let (video, audio): (Vec<_>, Vec<_>) = media.into_iter().partition(|tag| tag.kind == VIDEO);
        // A file ends its video with a tag that only says so.
        let headers: Vec<_> =
            headers.into_iter().filter(|tag| tag.kind != VIDEO || tag.body.get(1) == Some(&0)).collect();
        anyhow::ensure!(video.first().is_some_and(Tag::is_keyframe), "the recording begins with no keyframe");
        anyhow::ensure!(!audio.is_empty() && video.len() > 1, "the recording lacks a track");
        Ok(Self { headers, video, audio })
    }

    /// The picture with this number.
    pub(crate) fn picture(&self, number: usize) -> &Bytes {
        &self.video[number % self.video.len()].body
    }

    /// Length of a picture in ticks of 90 kHz.
    pub(crate) fn picture_ticks(&self) -> u64 {
        let (first, last) = (&self.video[0], &self.video[self.video.len() - 1]);
        let intervals = self.video.len() as u64 - 1;
        (u64::from(last.timestamp - first.timestamp) * 90 + intervals / 2) / intervals / 10 * 10
    }

    /// Headers first, then pictures and sound in the order of their times, for ever.
    pub(crate) fn play(&self) -> impl Iterator<Item = Step> {
        let headers = self.headers.iter().map(|tag| Step {
            kind: tag.kind,
            at: 0,
            body: tag.body.clone(),
            picture: None,
        });
        let (mut pictures, mut sounds) = (0u64, 0u64);
        headers.chain(std::iter::from_fn(move || {
            let video_at = self.picture_millis(pictures);
            let audio_at = sounds * AUDIO_FRAME * 1000 / AUDIO_RATE;
            let step = |kind, at, body: &Bytes, picture| Step {
                kind,
                at: u32::try_from(at).unwrap_or(u32::MAX),
                body: body.clone(),
                picture,
            };
            if video_at <= audio_at {
                let number = usize::try_from(pictures).ok()?;
                pictures += 1;
                return Some(step(VIDEO, video_at, self.picture(number), Some(number)));
            }
            let index = usize::try_from(sounds).ok()? % self.audio.len();
            sounds += 1;
            Some(step(8, audio_at, &self.audio[index].body, None))
        }))
    }

    fn picture_millis(&self, number: u64) -> u64 {
        number * self.picture_ticks() / 90
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape() -> Tape {
        let video = |n: u32| Tag {
            kind: VIDEO,
            timestamp: (n * 1000 + 15) / 30,
            body: Bytes::from(vec![if n == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 0, u8::try_from(n).unwrap()]),
        };
        let audio = |n: u32| Tag { kind: 8, timestamp: n * 21, body: vec![0xaf, 1].into() };
        let header = Tag { kind: VIDEO, timestamp: 0, body: vec![0x17, 0].into() };
        let end = Tag { kind: VIDEO, timestamp: 1000, body: vec![0x17, 2].into() };
        let tags = std::iter::once(header).chain((0..30).map(video)).chain((0..48).map(audio)).chain([end]);
        Tape::new(tags.collect()).unwrap()
    }

    #[test]
    fn a_broadcast_goes_on_evenly_over_the_end_of_the_recording() {
        let tape = tape();
        assert_eq!(tape.picture_ticks(), 3000);
        let steps: Vec<_> = tape.play().take(1000).collect();
        assert_eq!((steps[0].kind, steps[0].body.len(), steps[0].picture), (VIDEO, 2, None));
        assert!(steps.windows(2).all(|pair| pair[0].at <= pair[1].at));
        let pictures: Vec<_> = steps.iter().filter_map(|step| Some((step.picture?, step.at))).collect();
        for (index, (number, at)) in pictures.iter().enumerate() {
            assert_eq!((*number, *at), (index, u32::try_from(index).unwrap() * 100 / 3));
        }
        assert_eq!(steps.iter().filter(|step| step.body[..] == [0x17, 2]).count(), 0);
        assert_eq!(tape.picture(31)[5], 1);
    }
}
