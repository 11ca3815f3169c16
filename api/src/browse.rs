//! Sans-IO: the directory of live broadcasts, filtered, in an order, in pages.

use std::cmp::Reverse;
use std::sync::Arc;

use millrace_core::ids::{BroadcastId, ChannelName};

use crate::accounts::Playback;
use crate::directory::{Directory, LiveStream};
use crate::studio::Card;

/// Which come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Those that began last.
    #[default]
    Newest,
    /// Those that most people watch.
    Viewers,
}

/// A place in that order: that of a broadcast that was listed, as it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// 0 in the order by age.
    pub viewers: u64,
    /// The broadcast; newer ones are greater.
    pub broadcast: BroadcastId,
}

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// This category, whatever its case.
    pub category: Option<String>,
    /// This language; `pt` finds `pt-BR` too.
    pub language: Option<String>,
    /// This tag.
    pub tag: Option<String>,
}

impl Filter {
    fn takes(&self, card: &Card) -> bool {
        let language = |wanted: &String| {
            let (own, wanted) = (card.language.to_lowercase(), wanted.to_lowercase());
            own.strip_prefix(&wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        self.category.as_ref().is_none_or(|wanted| card.category.to_lowercase() == wanted.to_lowercase())
            && self.language.as_ref().is_none_or(language)
            && self.tag.as_ref().is_none_or(|wanted| card.tags.contains(&wanted.to_lowercase()))
    }
}

/// A listed broadcast with its card.
pub type Listed = (LiveStream, Arc<Card>);

/// Up to `limit` public broadcasts in their order, from behind `after`; and the place of the last one if there are
/// more. What has no card yet is not listed: it may not be public.
#[must_use]
pub fn page(
    directory: &Directory,
    card: impl Fn(&ChannelName) -> Option<Arc<Card>>,
    filter: &Filter,
    sort: Sort,
    after: Option<Place>,
    limit: usize,
) -> (Vec<Listed>, Option<Place>) {
    let place = |stream: &LiveStream| Place {
        viewers: if sort == Sort::Viewers { stream.viewers } else { 0 },
        broadcast: stream.broadcast,
    };
    let mut found: Vec<(Place, &LiveStream, Arc<Card>)> = directory
        .iter()
        .map(|stream| (place(stream), stream))
        .filter(|(place, _)| after.is_none_or(|after| *place < after))
        .filter_map(|(place, stream)| Some((place, stream, card(&stream.channel)?)))
        .filter(|(_, _, card)| card.playback == Playback::Public && filter.takes(card))
        .collect();
    found.sort_unstable_by_key(|(place, _, _)| Reverse(*place));
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more).map(|(place, _, _)| *place);
    (found.into_iter().map(|(_, stream, card)| (stream.clone(), card)).collect(), last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::{event, started};
    use millrace_core::event::{EventBody, StreamHealth, StreamUpdated};

    fn directory(viewers: &[u64]) -> Directory {
        let mut directory = Directory::default();
        for (number, viewers) in (1..).zip(viewers) {
            let channel = format!("channel_{number}");
            directory.apply(&started(&channel, number));
            let broadcast = BroadcastId(uuid::Uuid::from_u128(number));
            let health = StreamHealth::default();
            let updated = StreamUpdated { broadcast, health, viewers: *viewers };
            directory.apply(&event(&channel, EventBody::StreamUpdated(updated)));
        }
        directory
    }

    fn public(_: &ChannelName) -> Option<Arc<Card>> {
        Some(Arc::new(Card::without_record()))
    }

    fn names(found: &[Listed]) -> Vec<&str> {
        found.iter().map(|(stream, _)| stream.channel.as_str()).collect()
    }

    #[test]
    fn pages_hold_everything_once_in_either_order() {
        let directory = directory(&[5, 9, 5, 0, 7]);
        for (sort, expected) in [(Sort::Newest, [5, 4, 3, 2, 1]), (Sort::Viewers, [2, 5, 3, 1, 4])] {
            let mut seen = Vec::new();
            let mut after = None;
            loop {
                let (found, next) = page(&directory, public, &Filter::default(), sort, after, 2);
                seen.extend(found.iter().map(|(stream, _)| stream.broadcast.0.as_u128()));
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{sort:?}");
        }
    }

    #[test]
    fn only_what_is_known_to_be_public_is_listed() {
        let directory = directory(&[0, 0, 0, 0, 0]);
        let card = |name: &ChannelName| {
            let playback = match name.as_str() {
                "channel_1" => Playback::Public,
                "channel_2" => Playback::Unlisted,
                "channel_3" => Playback::Followers,
                "channel_4" => Playback::Private,
                _ => return None,
            };
            Some(Arc::new(Card { playback, ..Card::without_record() }))
        };
        let (found, _) = page(&directory, card, &Filter::default(), Sort::Newest, None, 10);
        assert_eq!(names(&found), ["channel_1"]);
    }

    #[test]
    fn filters_narrow_by_category_language_and_tag() {
        let directory = directory(&[0, 0]);
        let card = |name: &ChannelName| {
            let mut card = Card::without_record();
            if name.as_str() == "channel_2" {
                card.category = "Crafts".into();
                card.language = "pt-BR".into();
                card.tags = vec!["wood".into()];
            }
            Some(Arc::new(card))
        };
        let some = |text: &str| Some(text.to_owned());
        for (filter, found) in [
            (Filter { category: some("crafts"), ..Filter::default() }, 1),
            (Filter { language: some("PT"), ..Filter::default() }, 1),
            (Filter { language: some("p"), ..Filter::default() }, 0),
            (Filter { tag: some("Wood"), ..Filter::default() }, 1),
            (Filter { tag: some("woo"), ..Filter::default() }, 0),
            (Filter { category: some("crafts"), language: some("en"), tag: None }, 0),
        ] {
            let listed = page(&directory, card, &filter, Sort::Newest, None, 10).0;
            assert_eq!(listed.len(), found, "{filter:?}");
        }
    }
}
