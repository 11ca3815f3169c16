//! What a publisher sends before it has the feed: configuration and metadata are kept, media decides when it is ready.

use std::time::{Duration, Instant};

use millrace_core::flv::{FlvTag, TagKind};

/// Most tags that are kept.
pub const MAX_HELD_TAGS: usize = 64;
/// Most bytes that are kept.
pub const MAX_HELD_BYTES: usize = 1 << 20;
/// How long a challenger's audio waits for a sign of video.
pub const AUDIO_ONLY_AFTER: Duration = Duration::from_secs(3);

/// Keeps sequence headers and metadata until the first tag that a player can start with.
///
/// Drop rule: media before that tag is dropped, and so is configuration beyond [`MAX_HELD_TAGS`] or
/// [`MAX_HELD_BYTES`]; of what replaces something, only the newest is kept.
#[derive(Debug)]
pub struct Hold {
    /// A challenger starts with a keyframe, anybody else with whatever comes.
    challenger: bool,
    since: Instant,
    tags: Vec<(FlvTag, Instant)>,
    bytes: usize,
    has_video: bool,
}

impl Hold {
    /// An empty hold.
    #[must_use]
    pub fn new(now: Instant, challenger: bool) -> Self {
        Self { challenger, since: now, tags: Vec::new(), bytes: 0, has_video: false }
    }

    /// Takes a tag; `true` once it is the one to start with.
    pub fn push(&mut self, tag: FlvTag, now: Instant) -> bool {
        if tag.kind == TagKind::Video {
            self.has_video = true;
        }
        if tag.kind == TagKind::Script || tag.is_sequence_header() {
            self.keep(tag, now);
            return false;
        }
        let starts = match tag.kind {
            _ if tag.is_end_of_sequence() => false,
            _ if !self.challenger => true,
            TagKind::Video => tag.is_keyframe(),
            TagKind::Audio => {
                !self.has_video && now.saturating_duration_since(self.since) >= AUDIO_ONLY_AFTER
            }
            TagKind::Script => false,
        };
        if starts {
            self.tags.push((tag, now));
        }
        starts
    }

    /// Takes what came in the same read as the tag to start with; nothing more is read until there is a feed.
    pub fn push_ready(&mut self, tag: FlvTag, now: Instant) {
        self.tags.push((tag, now));
    }

    /// What was kept, in order, and the tag to start with.
    #[must_use]
    pub fn into_tags(self) -> Vec<(FlvTag, Instant)> {
        self.tags
    }

    fn keep(&mut self, tag: FlvTag, now: Instant) {
        // The first five bytes tell codec and packet apart; of tracks beyond the first, all are kept.
        let same = |held: &FlvTag| {
            held.kind == tag.kind && (tag.kind == TagKind::Script || held.body.get(..5) == tag.body.get(..5))
        };
        if let Some(at) = self.tags.iter().position(|(held, _)| same(held)) {
            let (old, _) = self.tags.remove(at);
            self.bytes -= old.body.len();
        }
        if self.tags.len() < MAX_HELD_TAGS && self.bytes + tag.body.len() <= MAX_HELD_BYTES {
            self.bytes += tag.body.len();
            self.tags.push((tag, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use millrace_core::time::RtmpMillis;

    fn tag(kind: TagKind, body: &[u8]) -> FlvTag {
        FlvTag { kind, timestamp: RtmpMillis(0), body: Bytes::copy_from_slice(body) }
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now() -> Instant {
        Instant::now()
    }

    const HEADER: &[u8] = &[0x17, 0, 0, 0, 0];
    const KEY: &[u8] = &[0x17, 1, 0, 0, 0];
    const INTER: &[u8] = &[0x27, 1, 0, 0, 0];
    const AAC: &[u8] = &[0xaf, 1, 0x21];

    #[test]
    fn a_challenger_starts_with_a_keyframe_behind_its_headers() {
        let mut hold = Hold::new(now(), true);
        let video = |body| tag(TagKind::Video, body);
        assert!(!hold.push(tag(TagKind::Script, b"one"), now()));
        assert!(!hold.push(video(HEADER), now()));
        assert!(!hold.push(tag(TagKind::Script, b"two"), now()));
        assert!(!hold.push(tag(TagKind::Audio, AAC), now() + 2 * AUDIO_ONLY_AFTER));
        assert!(!hold.push(video(INTER), now()));
        assert!(hold.push(video(KEY), now()));
        let bodies: Vec<_> = hold.into_tags().iter().map(|(tag, _)| tag.body.to_vec()).collect();
        assert_eq!(bodies, [HEADER, b"two", KEY]);
    }

    #[test]
    fn a_challenger_without_video_starts_with_audio_after_a_while() {
        let start = now();
        let mut hold = Hold::new(start, true);
        assert!(!hold.push(tag(TagKind::Audio, &[0xaf, 0, 0x11]), start));
        assert!(!hold.push(tag(TagKind::Audio, AAC), start + AUDIO_ONLY_AFTER / 2));
        assert!(hold.push(tag(TagKind::Audio, AAC), start + AUDIO_ONLY_AFTER));
        assert_eq!(hold.into_tags().len(), 2);
    }

    #[test]
    fn anybody_else_starts_with_the_first_media() {
        let mut hold = Hold::new(now(), false);
        assert!(!hold.push(tag(TagKind::Video, HEADER), now()));
        assert!(hold.push(tag(TagKind::Audio, AAC), now()));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut hold = Hold::new(now(), true);
        for number in 0..1000u16 {
            let [a, b] = number.to_be_bytes();
            assert!(!hold.push(tag(TagKind::Video, &[0x17, 0, 0, a, b, 0]), now()));
            assert!(!hold.push(tag(TagKind::Script, &vec![0; 100_000]), now()));
        }
        assert!(!hold.push(tag(TagKind::Script, &vec![0; MAX_HELD_BYTES + 1]), now()));
        assert!(hold.bytes <= MAX_HELD_BYTES && hold.tags.len() <= MAX_HELD_TAGS);
    }
}
