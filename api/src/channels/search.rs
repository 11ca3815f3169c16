//! Search: live channels first, from what this process holds of them; then the others, from the store, in pages.

use std::collections::BTreeSet;
use std::sync::Arc;

use millrace_store::{After, StoreError, Words};

use super::Channels;
use crate::accounts::{Channel, Playback};
use crate::studio::{Card, CardRecord};

/// In the rank of a found channel: it is live. More than any channel has followers.
const LIVE: i64 = 1 << 40;
/// Most live channels that are read over at once in a page of the store, because they were shown already.
const SKIPPED_AT_ONCE: usize = 200;

/// A live channel that was found: its place, greatest first.
pub type Place = (i64, String);

/// Where a page of the store begins that follows what came before; `None` if it is still among the live ones.
fn place(after: Option<&After>) -> Option<Place> {
    after.map(|after| (after.value.as_i64().unwrap_or(i64::MAX), after.id.clone()))
}

fn rank(record: &CardRecord) -> Place {
    (LIVE + record.followers.clamp(0, LIVE - 1), record.id.to_string())
}

/// Sans-IO: the public ones of these live channels in which all words are, the most followed first.
#[must_use]
pub fn live_found(live: impl Iterator<Item = Arc<Card>>, words: &Words) -> Vec<Place> {
    let mut found: Vec<_> = live
        .filter(|card| card.playback == Playback::Public)
        .filter_map(|card| card.record.as_ref().filter(|record| words.find(&record.words)).map(rank))
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

impl Channels {
    /// Up to `limit` public channels in whose name, title, category or tags every word of `text` begins a word, from behind
    /// `after`: `live` ones first (those of [`live_found`]), then those that most people follow; and the place of the last
    /// one if there are more. A channel that goes live between two pages may be on both or on neither.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn search(
        &self,
        text: &str,
        live: &[Place],
        after: Option<&After>,
        limit: usize,
    ) -> Result<(Vec<Channel>, Option<After>), StoreError> {
        let from = place(after);
        let mut found: Vec<(Place, Channel)> = Vec::with_capacity(limit + 1);
        for place in live.iter().filter(|place| from.as_ref().is_none_or(|from| *place < from)) {
            if found.len() > limit {
                break;
            }
            let channel = self.by_id(&place.1).await?;
            // What is held of it may be a moment old.
            let channel = channel.filter(|channel| channel.playback == Playback::Public);
            found.extend(channel.map(|channel| (place.clone(), channel)));
        }
        let shown: BTreeSet<_> = live.iter().map(|(_, id)| id.as_str()).collect();
        let mut after = after.filter(|after| after.value.as_i64().is_some_and(|rank| rank < LIVE)).cloned();
        while found.len() <= limit {
            let wanted = limit + 1 - found.len() + shown.len().min(SKIPPED_AT_ONCE);
            let page = self.found(text, after, wanted).await?;
            let whole = page.len() == wanted;
            after = page.last().map(|last| After { value: last.followers.into(), id: last.id.to_string() });
            let new = page.into_iter().filter(|channel| !shown.contains(channel.id.to_string().as_str()));
            found.extend(new.map(|channel| ((channel.followers, channel.id.to_string()), channel)));
            if !whole {
                break;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|((rank, id), _)| After { value: (*rank).into(), id: id.clone() });
        Ok((found.into_iter().map(|(_, channel)| channel).collect(), next))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Site, channel};
    use super::*;
    use millrace_core::ids::UserId;

    fn card(channel: &Channel) -> Arc<Card> {
        Arc::new(Card::of(channel.clone(), None))
    }

    fn named(name: &str, followers: i64) -> Channel {
        Channel { followers, ..channel(name, UserId(uuid::Uuid::from_u128(1))) }
    }

    #[test]
    fn live_ones_are_found_by_their_words_and_only_public_ones() {
        let hidden = Channel { playback: Playback::Unlisted, ..named("boat_hidden", 90) };
        let all = [named("boat_one", 3), named("boat_two", 70), named("goat", 99), hidden];
        let found = live_found(all.iter().map(card), &Words::of("BOA"));
        let names: Vec<_> = found.iter().map(|(rank, _)| rank - LIVE).collect();
        assert_eq!(names, [70, 3]);
        assert!(live_found(all.iter().map(card), &Words::of(" *")).is_empty(), "no words find nothing");
        assert!(live_found([Arc::new(Card::without_record())].into_iter(), &Words::of("boat")).is_empty());
    }

    #[tokio::test]
    async fn found_channels_come_live_first_then_by_followers_each_once() {
        let site = Site::new().await;
        let owner = site.person("ada").await;
        let mut all = Vec::new();
        for (name, followers) in
            [("calm", 900), ("busy", 3), ("idle", 0), ("lone", 0), ("loud", 70), ("most", 999), ("some", 50)]
        {
            let tags = vec!["boat".to_owned()];
            let made = Channel { followers, tags, owner: owner.id, ..named(name, 0) };
            site.channels.create(&made, 100).await.unwrap();
            all.push(made);
        }
        let is_live = |channel: &&Channel| matches!(channel.name.as_str(), "busy" | "loud" | "most");
        let live = live_found(all.iter().filter(is_live).map(card), &Words::of("boat"));
        for limit in 1..=8 {
            let mut names: Vec<String> = Vec::new();
            let mut after = None;
            loop {
                let (page, next) = site.channels.search("boat", &live, after.as_ref(), limit).await.unwrap();
                assert!(page.len() <= limit);
                names.extend(page.iter().map(|channel| channel.name.to_string()));
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(names[..5], ["most", "loud", "busy", "calm", "some"], "{limit} on a page");
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 7, "{names:?}");
            assert_eq!(names.len(), 7, "{names:?}");
        }
    }
}
