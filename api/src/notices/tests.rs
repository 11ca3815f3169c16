//! One notice per broadcast, seen by those who follow.

use millrace_core::ids::BroadcastId;

use super::*;
use crate::accounts::{Playback, User};
use crate::channels::testing::Site;
use crate::channels::{ChannelEdit, Note};

struct World {
    site: Site,
    notices: Notices,
    ada: User,
    bob: User,
    studio: Channel,
}

fn note(number: u128, at: i64) -> Note {
    Note {
        broadcast: BroadcastId(uuid::Uuid::from_u128(number)),
        channel: "studio".parse().unwrap(),
        started_at: at,
        seen_at: at,
        ended_at: None,
        peak_viewers: 0,
    }
}

impl World {
    async fn new() -> Self {
        Self::with(NoticesConfig::default()).await
    }

    /// Bob follows ada's studio since 1,000.
    async fn with(config: NoticesConfig) -> Self {
        let site = Site::new().await;
        let (ada, bob) = (site.person("ada").await, site.person("bob").await);
        let studio = site.channel("studio", &ada).await;
        site.follows.follow(bob.id, studio.id, 1_000, 10).await.unwrap();
        let notices = Notices::new(site.store.clone(), config);
        Self { site, notices, ada, bob, studio }
    }

    async fn goes_live(&self, number: u128, at: i64) {
        self.site.history.keep(&note(number, at)).await.unwrap();
        self.notices.learn(at).await.unwrap();
    }

    async fn playback(&self, playback: Playback) {
        let edit = ChannelEdit { playback: Some(playback), ..ChannelEdit::default() };
        self.site.channels.update(self.studio.id, &edit).await.unwrap();
    }

    async fn seen_by(&self, user: &User) -> Vec<i64> {
        let listed = self.notices.of(user.id, None, 50).await.unwrap();
        let unread = self.notices.unread(user.id).await.unwrap();
        assert_eq!(unread, listed.items.iter().filter(|(notice, _)| notice.at > listed.read_at).count());
        listed.items.iter().map(|(notice, _)| notice.at).collect()
    }
}

#[tokio::test]
async fn a_broadcast_is_told_once_whoever_says_it_and_however_often() {
    let world = World::new().await;
    let other = Notices::new(world.site.store.clone(), NoticesConfig::default());
    for _ in 0..3 {
        world.goes_live(1, 2_000).await;
    }
    // The next minute, after a reconnect, and once more after a restart: the same broadcast.
    let later = Note { seen_at: 60_000, ..note(1, 2_000) };
    world.site.history.keep(&later).await.unwrap();
    other.learn(61_000).await.unwrap();
    assert_eq!(other.of(world.bob.id, None, 10).await.unwrap().items.len(), 1);
    assert_eq!(world.seen_by(&world.bob).await, [2_000]);
    assert_eq!(world.seen_by(&world.ada).await, [0; 0], "she does not follow it");
    world.goes_live(2, 70_000).await;
    assert_eq!(world.seen_by(&world.bob).await, [70_000, 2_000]);
}

#[tokio::test]
async fn only_who_may_watch_is_told_and_only_while_they_may() {
    let world = World::new().await;
    for (number, playback, told) in [
        (1, Playback::Private, false),
        (2, Playback::Unlisted, false),
        (3, Playback::Followers, true),
        (4, Playback::Public, true),
    ] {
        world.playback(playback).await;
        world.goes_live(number, 2_000 + i64::try_from(number).unwrap()).await;
        let seen = world.seen_by(&world.bob).await;
        assert_eq!(seen.contains(&(2_000 + i64::try_from(number).unwrap())), told, "{playback:?}");
    }
    world.playback(Playback::Private).await;
    assert_eq!(
        world.seen_by(&world.bob).await,
        [0; 0],
        "a channel that became private says nothing of its past"
    );
    world.playback(Playback::Public).await;
    assert_eq!(world.seen_by(&world.bob).await, [2_004, 2_003]);
    world.site.channels.delete(world.studio.id).await.unwrap();
    assert_eq!(world.seen_by(&world.bob).await, [0; 0]);
    let left = Query::with("channel", world.studio.id.to_string(), 10);
    assert!(world.site.store.find::<Notice>(&left).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_broadcast_that_was_over_before_the_store_came_back_is_not_told() {
    let world = World::new().await;
    let over = Note { ended_at: Some(3_000), ..note(1, 2_000) };
    world.site.history.keep(&over).await.unwrap();
    world.notices.learn(4_000).await.unwrap();
    assert_eq!(world.seen_by(&world.bob).await, [0; 0]);
}

#[tokio::test]
async fn a_new_follower_hears_nothing_of_the_past_and_who_mutes_nothing_at_all() {
    let world = World::new().await;
    world.goes_live(1, 2_000).await;
    world.site.follows.follow(world.ada.id, world.studio.id, 2_500, 10).await.unwrap();
    assert_eq!(world.seen_by(&world.ada).await, [0; 0]);
    let mute = |muted, now| world.site.follows.mute(world.bob.id, world.studio.id, muted, now);
    assert_eq!(mute(true, 2_600).await.unwrap(), Some(()));
    assert_eq!(world.seen_by(&world.bob).await, [0; 0]);
    world.goes_live(2, 3_000).await;
    assert_eq!(world.seen_by(&world.bob).await, [0; 0]);
    assert_eq!(world.seen_by(&world.ada).await, [3_000]);
    assert_eq!(mute(false, 3_500).await.unwrap(), Some(()));
    assert_eq!(world.seen_by(&world.bob).await, [0; 0], "what was muted stays unsaid");
    world.goes_live(3, 4_000).await;
    assert_eq!(world.seen_by(&world.bob).await, [4_000]);
    // Not muting what is not muted changes nothing.
    assert_eq!(mute(false, 9_000).await.unwrap(), Some(()));
    assert_eq!(world.seen_by(&world.bob).await, [4_000]);
    world.site.follows.unfollow(world.bob.id, world.studio.id).await.unwrap();
    assert_eq!(world.seen_by(&world.bob).await, [0; 0]);
    assert_eq!(mute(true, 9_000).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_read_stays_read_and_all_can_be_turned_off() {
    let world = World::new().await;
    for number in 1..=5 {
        world.goes_live(number, 2_000 + i64::try_from(number).unwrap()).await;
    }
    let (bob, notices) = (world.bob.id, &world.notices);
    let listed = notices.of(bob, None, 2).await.unwrap();
    assert_eq!((listed.items.len(), listed.read_at), (2, 0));
    let rest = notices.of(bob, listed.next, 10).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (3, None));
    let id = |at: usize| millrace_store::Document::id(&*rest.items[at].0);
    assert_eq!(notices.read(bob, &id(0)).await.unwrap(), Some(()));
    assert_eq!(notices.unread(bob).await.unwrap(), 2);
    assert_eq!(notices.read(bob, &id(2)).await.unwrap(), Some(()));
    assert_eq!(notices.unread(bob).await.unwrap(), 2, "an old tab does not make things unread");
    assert_eq!(notices.read(bob, "no such").await.unwrap(), None);
    notices.turn(bob, false, 3_000).await.unwrap();
    assert_eq!(world.seen_by(&world.bob).await, [0; 0]);
    world.goes_live(6, 4_000).await;
    notices.turn(bob, true, 5_000).await.unwrap();
    assert_eq!(notices.unread(bob).await.unwrap(), 0);
    world.goes_live(7, 6_000).await;
    assert_eq!(notices.unread(bob).await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_old_is_forgotten_by_memory_and_store() {
    let hour = 3_600_000;
    let keep = std::time::Duration::from_secs(3_600);
    let world = World::with(NoticesConfig { keep, ..NoticesConfig::default() }).await;
    world.goes_live(1, 2_000).await;
    world.goes_live(2, 2_000 + hour).await;
    assert_eq!(world.seen_by(&world.bob).await, [2_000 + hour, 2_000]);
    world.notices.learn(2_001 + hour).await.unwrap();
    assert_eq!(world.seen_by(&world.bob).await, [2_000 + hour]);
    world.notices.sweep(2_001 + hour).await.unwrap();
    assert_eq!(world.site.store.count::<Notice>(&Query::default()).await.unwrap(), 1);
}

#[tokio::test]
async fn one_document_tells_a_thousand_followers_and_memory_is_bounded() {
    let world = World::with(NoticesConfig { max_recent: 100, ..NoticesConfig::default() }).await;
    for number in 0..1_500 {
        world.site.history.keep(&note(number, 10_000 + i64::try_from(number).unwrap())).await.unwrap();
    }
    assert_eq!(world.site.store.count::<Notice>(&Query::default()).await.unwrap(), 1_500, "whoever follows");
    world.notices.learn(20_000).await.unwrap();
    assert_eq!(world.notices.known(|known| known.recent.len()), 100);
    let newest = world.notices.of(world.bob.id, None, 1).await.unwrap();
    assert_eq!(newest.items[0].0.at, 11_499);
    assert_eq!(world.notices.unread(world.bob.id).await.unwrap(), UNREAD_COUNTED);
}
