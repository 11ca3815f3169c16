//! Where keyframes are to be, from the order of decoding to that of presentation. Sans-IO.

use std::collections::{BTreeMap, BTreeSet};

use millrace_core::transcode::{Rung, RungId};

/// Cuts that wait for their pictures. A decoder holds back 16 pictures at most.
const MAX_WAITING: usize = 32;

/// The cuts whose pictures have not come out of the decoder. If a cut's picture never does, because it cannot be decoded, the next
/// one that is presented takes its place: a segment of a rung begins later rather than not at all.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    /// By presentation time, with the rungs that are made from there on if they change.
    waiting: BTreeMap<i64, Option<Vec<Rung>>>,
    /// Rungs for the next cut.
    next: Option<Vec<Rung>>,
    /// A cut is due at whatever picture comes.
    due: Option<Option<Vec<Rung>>>,
    /// Presentation times of keyframes that are no cuts.
    keys: BTreeSet<i64>,
}

impl Cuts {
    /// From the next cut on these rungs are made.
    pub(crate) fn change(&mut self, rungs: Vec<Rung>) {
        self.next = Some(rungs);
    }

    /// This rung is no longer wanted where it was to be made.
    pub(crate) fn forget(&mut self, rung: RungId) {
        let waiting =
            self.waiting.values_mut().flatten().chain(&mut self.next).chain(self.due.iter_mut().flatten());
        waiting.for_each(|rungs| rungs.retain(|wanted| wanted.id != rung));
    }

    /// The picture presented then, or the next, is a cut.
    pub(crate) fn at(&mut self, pts: i64) {
        let rungs = self.next.take();
        let known = self.waiting.entry(pts).or_default();
        if rungs.is_some() {
            *known = rungs;
        }
        if self.waiting.len() > MAX_WAITING {
            self.missed();
        }
    }

    /// A keyframe is due at the first picture that is presented then or later.
    pub(crate) fn key_at(&mut self, pts: i64) {
        self.keys.insert(pts);
        if self.keys.len() > MAX_WAITING {
            self.keys.pop_first();
        }
    }

    /// A picture is presented: whether a keyframe was due by then.
    pub(crate) fn key_reached(&mut self, pts: i64) -> bool {
        let later = self.keys.split_off(&pts.saturating_add(1));
        !std::mem::replace(&mut self.keys, later).is_empty()
    }

    /// A picture is presented. `Some` if it is a cut, with the rungs that are made from here on if they change.
    pub(crate) fn reached(&mut self, pts: i64) -> Option<Option<Vec<Rung>>> {
        let mut cut = self.due.take();
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() <= pts) {
            let rungs = first.remove();
            cut = Some(rungs.or(cut.flatten()));
        }
        cut
    }

    /// The pictures of the cuts that wait never come.
    pub(crate) fn missed(&mut self) {
        for rungs in std::mem::take(&mut self.waiting).into_values() {
            self.due = Some(rungs.or(self.due.take().flatten()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(id: u8) -> Vec<Rung> {
        vec![Rung {
            id: RungId(id),
            size: (640, 360),
            every: 1,
            bitrate: 800_000,
            encoder: Default::default(),
            preset: String::new(),
        }]
    }

    #[test]
    fn a_cut_waits_for_its_picture_and_rungs_for_their_cut() {
        let mut cuts = Cuts::default();
        cuts.at(0);
        cuts.change(rungs(1));
        assert_eq!(cuts.reached(0), Some(None));
        // Decoded before the two that are presented earlier.
        cuts.at(3_000);
        assert_eq!(cuts.reached(1_000), None);
        assert_eq!(cuts.reached(2_000), None);
        assert_eq!(cuts.reached(3_000), Some(Some(rungs(1))));
        assert_eq!(cuts.reached(4_000), None);
    }

    #[test]
    fn the_picture_after_one_that_is_lost_takes_its_cut() {
        let mut cuts = Cuts::default();
        cuts.change(rungs(1));
        cuts.at(1_000);
        cuts.at(2_000);
        assert_eq!(cuts.reached(2_500), Some(Some(rungs(1))));
        cuts.change(rungs(2));
        cuts.at(9_000);
        cuts.missed();
        assert_eq!(cuts.reached(3_000), Some(Some(rungs(2))));
        assert_eq!(cuts.reached(9_000), None);
    }

    #[test]
    fn a_rung_that_is_stopped_is_not_begun_by_what_was_said_before() {
        let mut cuts = Cuts::default();
        cuts.change([rungs(1), rungs(2)].concat());
        cuts.at(0);
        cuts.change(rungs(2));
        cuts.forget(RungId(2));
        assert_eq!(cuts.reached(0), Some(Some(rungs(1))));
        cuts.at(1);
        assert_eq!(cuts.reached(1), Some(Some(Vec::new())));
    }

    #[test]
    fn a_keyframe_is_due_once() {
        let mut cuts = Cuts::default();
        cuts.key_at(3_000);
        assert!(!cuts.key_reached(2_999));
        assert!(cuts.key_reached(3_001));
        assert!(!cuts.key_reached(6_000));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut cuts = Cuts::default();
        (0..10_000).for_each(|pts| cuts.at(pts));
        assert!(cuts.waiting.len() <= MAX_WAITING);
        (0..10_000).for_each(|pts| cuts.key_at(pts));
        assert!(cuts.keys.len() <= MAX_WAITING);
        assert_eq!(cuts.reached(-1), Some(None));
    }
}
