//! What a viewer needs of a media playlist. Sans-IO.

/// The live end of a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveEnd {
    /// What all names begin with.
    pub(crate) prefix: String,
    /// Number of the hinted part.
    pub(crate) part: u64,
    /// Media sequence number of its segment, and its index there.
    pub(crate) msn: u64,
    pub(crate) index: u64,
    /// Parts of a complete segment.
    pub(crate) parts_per_segment: u64,
}

impl LiveEnd {
    /// Reads a playlist; `None` while no complete segment with media lists its parts.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (mut msn, mut index, mut media, mut hint, mut parts_per_segment) = (0u64, 0, false, None, None);
        for line in text.lines() {
            if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                msn = first.parse().ok()?;
            } else if line.starts_with("#EXT-X-PART:") {
                index += 1;
                media |= !line.contains("GAP=YES");
            } else if line.starts_with("#EXT-X-PRELOAD-HINT:") {
                hint = line.split_once("URI=\"")?.1.split_once('"').map(|(name, _)| name);
            } else if !line.is_empty() && !line.starts_with('#') {
                if index > 0 && media {
                    parts_per_segment = Some(index);
                }
                (msn, index, media) = (msn + 1, 0, false);
            }
        }
        let parts_per_segment = parts_per_segment?;
        if index >= parts_per_segment {
            (msn, index) = (msn + 1, 0);
        }
        let (prefix, part) = hint?.strip_suffix(".m4s")?.split_once("-p")?;
        Some(Self { prefix: prefix.to_owned(), part: part.parse().ok()?, msn, index, parts_per_segment })
    }

    /// Goes on to the next part.
    pub(crate) fn advance(&mut self) {
        self.part += 1;
        self.index += 1;
        if self.index >= self.parts_per_segment {
            (self.msn, self.index) = (self.msn + 1, 0);
        }
    }

    /// Name of the part.
    pub(crate) fn part_name(&self) -> String {
        format!("{}-p{}.m4s", self.prefix, self.part)
    }

    /// Name of a segment.
    pub(crate) fn segment_name(&self, msn: u64) -> String {
        format!("{}-s{msn}.m4s", self.prefix)
    }
}

/// Whether a playlist lists a part that can be fetched.
pub(crate) fn lists_a_part(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("#EXT-X-PART:") && !line.contains("GAP=YES"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYLIST: &str = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-PART:DURATION=1,GAP=YES,URI=\"r-p0.m4s\"\n\
        #EXTINF:4,\nr-s7.m4s\n#EXT-X-PART:DURATION=1,URI=\"r-p1.m4s\"\n#EXT-X-PART:DURATION=1,URI=\"r-p2.m4s\"\n\
        #EXTINF:4,\nr-s8.m4s\n#EXT-X-PART:DURATION=1,URI=\"r-p3.m4s\"\n\
        #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"r-p4.m4s\"\n";

    #[test]
    fn the_hinted_part_and_its_place_are_found() {
        let mut end = LiveEnd::read(PLAYLIST).unwrap();
        assert_eq!((end.part, end.msn, end.index, end.parts_per_segment), (4, 9, 1, 2));
        assert_eq!((end.part_name(), end.segment_name(8)), ("r-p4.m4s".into(), "r-s8.m4s".into()));
        end.advance();
        assert_eq!((end.part, end.msn, end.index), (5, 10, 0));
        // The open segment may be full already.
        let full =
            PLAYLIST.replace("#EXT-X-PRELOAD", "#EXT-X-PART:DURATION=1,URI=\"r-p4.m4s\"\n#EXT-X-PRELOAD");
        assert_eq!(LiveEnd::read(&full).map(|end| (end.msn, end.index)), Some((10, 0)));
    }

    #[test]
    fn a_broadcast_that_has_just_begun_is_not_there_yet() {
        let (gaps, _) = PLAYLIST.split_once("#EXT-X-PART:DURATION=1,URI").unwrap();
        assert!(LiveEnd::read(gaps).is_none() && !lists_a_part(gaps) && lists_a_part(PLAYLIST));
    }
}
