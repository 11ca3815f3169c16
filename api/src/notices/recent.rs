//! Sans-IO: the newest notices of the site, in order, and which of them somebody is to see.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_core::ids::BroadcastId;

use super::kept::Notice;

/// Where a notice stands in the order of all.
pub type Place = (i64, BroadcastId);

/// The newest notices of the site. The oldest make room.
#[derive(Debug)]
pub struct Recent {
    notices: BTreeMap<Place, Arc<Notice>>,
    most: usize,
}

impl Recent {
    /// None yet; holds at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { notices: BTreeMap::new(), most }
    }

    /// Takes a notice; harmless if it has it.
    pub fn add(&mut self, notice: Notice) {
        self.notices.insert((notice.at, notice.broadcast), Arc::new(notice));
        if self.notices.len() > self.most {
            self.notices.pop_first();
        }
    }

    /// Forgets what is older than this time.
    pub fn forget_below(&mut self, at: i64) {
        self.notices = self.notices.split_off(&(at, BroadcastId(uuid::Uuid::nil())));
    }

    /// Those that are `wanted`, newest first, from behind `after`, at most `limit`.
    pub fn page(
        &self,
        after: Option<Place>,
        limit: usize,
        wanted: impl Fn(&Notice) -> bool,
    ) -> Vec<Arc<Notice>> {
        let end = after.unwrap_or((i64::MAX, BroadcastId(uuid::Uuid::max())));
        let from_the_newest = self.notices.range(..end).rev().map(|(_, notice)| notice);
        from_the_newest.filter(|notice| wanted(notice)).take(limit).cloned().collect()
    }

    /// Those that were made after this time and are `wanted`, newest first, at most `limit`.
    pub fn since(&self, at: i64, limit: usize, wanted: impl Fn(&Notice) -> bool) -> Vec<Arc<Notice>> {
        let start = (at.saturating_add(1), BroadcastId(uuid::Uuid::nil()));
        let from_the_newest = self.notices.range(start..).rev().map(|(_, notice)| notice);
        from_the_newest.filter(|notice| wanted(notice)).take(limit).cloned().collect()
    }

    /// When the newest was made.
    #[must_use]
    pub fn newest_at(&self) -> Option<i64> {
        self.notices.last_key_value().map(|((at, _), _)| *at)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.notices.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::NoticeKind;
    use super::*;
    use millrace_core::ids::ChannelId;
    use proptest::prelude::*;

    fn notice(number: u128, at: i64) -> Notice {
        Notice {
            broadcast: BroadcastId(uuid::Uuid::from_u128(number)),
            kind: NoticeKind::Live,
            channel: ChannelId(uuid::Uuid::from_u128(number % 7)),
            title: String::new(),
            category: String::new(),
            at,
        }
    }

    #[test]
    fn the_oldest_make_room_and_are_forgotten() {
        let mut recent = Recent::new(3);
        for at in [5, 1, 4, 2, 3] {
            recent.add(notice(at as u128, at));
            recent.add(notice(at as u128, at));
        }
        let all = |recent: &Recent| recent.page(None, 10, |_| true).iter().map(|n| n.at).collect::<Vec<_>>();
        assert_eq!(all(&recent), [5, 4, 3]);
        recent.forget_below(4);
        assert_eq!(all(&recent), [5, 4]);
        assert_eq!(recent.newest_at(), Some(5));
        assert_eq!(recent.since(4, 10, |_| true).len(), 1);
        recent.forget_below(6);
        assert!(recent.is_empty());
    }

    proptest! {
        /// Whatever came in whatever order, pages give each wanted notice once, newest first.
        #[test]
        fn pages_tile_the_list(times in prop::collection::vec(0i64..20, 0..60), size in 1usize..7) {
            let mut recent = Recent::new(1_000);
            for (number, at) in times.iter().enumerate() {
                recent.add(notice(number as u128, *at));
            }
            let wanted = |notice: &Notice| notice.channel.0.as_u128() != 3;
            let mut places = Vec::new();
            loop {
                let page = recent.page(places.last().copied(), size, wanted);
                places.extend(page.iter().map(|notice| (notice.at, notice.broadcast)));
                if page.len() < size {
                    break;
                }
            }
            let mut expected: Vec<Place> = (0..times.len())
                .map(|number| notice(number as u128, times[number]))
                .filter(wanted)
                .map(|notice| (notice.at, notice.broadcast))
                .collect();
            expected.sort_by(|one, other| other.cmp(one));
            prop_assert_eq!(places, expected);
        }
    }
}
