//! Says in rooms who follows their channels: what the group of all processes that do this gets of `millrace.accounts`. Those
//! who come within some seconds are said together.
#![expect(clippy::disallowed_methods, reason = "shell: the clock")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use millrace_core::bus::{Bus, Delivery, Topic};
use millrace_core::chat::{ChatMessage, FOLLOW_NAMES_MAX, MessageKind, News};
use millrace_core::event::{Event, EventBody};
use millrace_core::ids::{ChannelName, MessageId, UserId};
use millrace_store::StoreError;
use tokio_util::sync::CancellationToken;

use super::Rooms;
use crate::ApiState;
use crate::accounts::User;
use crate::batches::{Batches, Group, consume};

const GROUP: Group = Group {
    name: "chat-greeter",
    topics: &[Topic::Accounts],
    what: "saying who follows",
    most: 1_000,
    gather: Duration::from_secs(5),
    apart: Duration::ZERO,
};
/// What is older is no news, in milliseconds.
const NEWS_MS: i64 = 120_000;
/// Who follows again within this time is no news, in milliseconds.
const AGAIN_MS: i64 = 24 * 3_600_000;
/// Follows that are remembered for that.
const KNOWN_MAX: usize = 10_000;

/// Says it until `shutdown`.
pub async fn say_who_follows(state: ApiState, bus: Arc<dyn Bus>, shutdown: CancellationToken) {
    consume(bus, GROUP, Greeter { state, known: HashMap::new() }, shutdown).await;
}

struct Greeter {
    state: ApiState,
    /// Who was said to follow what, and when.
    known: HashMap<(ChannelName, UserId), i64>,
}

impl Batches for Greeter {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let mut channels: BTreeMap<&ChannelName, Vec<(&Event, UserId)>> = BTreeMap::new();
        for event in batch.iter().map(|delivery| delivery.event.as_ref()) {
            if let (Some(name), EventBody::ChannelFollowed(followed)) = (event.channel(), &event.body)
                && now.as_millisecond().saturating_sub(event.time.as_millisecond()) <= NEWS_MS
                && self.is_news(name, followed.user, now.as_millisecond())
            {
                channels.entry(name).or_default().push((event, followed.user));
            }
        }
        for (name, follows) in channels {
            self.say(name, &follows).await?;
            self.remember(name, &follows, now.as_millisecond());
        }
        Ok(())
    }
}

impl Greeter {
    fn is_news(&self, channel: &ChannelName, user: UserId, now_ms: i64) -> bool {
        let said = self.known.get(&(channel.clone(), user));
        said.is_none_or(|at| now_ms.saturating_sub(*at) > AGAIN_MS)
    }

    fn remember(&mut self, channel: &ChannelName, follows: &[(&Event, UserId)], now_ms: i64) {
        if self.known.len() >= KNOWN_MAX {
            self.known.retain(|_, at| now_ms.saturating_sub(*at) <= AGAIN_MS);
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.extend(follows.iter().map(|(_, user)| ((channel.clone(), *user), now_ms)));
    }

    async fn say(&self, name: &ChannelName, follows: &[(&Event, UserId)]) -> Result<(), StoreError> {
        let studio = self.state.studio();
        let Some(channel) = studio.channels.named(name).await? else { return Ok(()) };
        let store = self.state.store();
        if !Rooms::new(store.clone()).state(channel.id).await?.settings.follow_messages {
            return Ok(());
        }
        let mut users: Vec<UserId> = Vec::new();
        for (_, user) in follows {
            // Perhaps they do not any more.
            if !users.contains(user) && studio.follows.follows(*user, channel.id).await? {
                users.push(*user);
            }
        }
        let mut names = Vec::new();
        for user in users.iter().take(FOLLOW_NAMES_MAX) {
            names.extend(store.get::<User>(&user.to_string()).await?.map(|user| user.value.display_name));
        }
        let (Some((first, _)), false) = (follows.first(), names.is_empty()) else { return Ok(()) };
        let message = ChatMessage {
            // It is said once however often it comes.
            id: MessageId(first.id),
            at: first.time,
            kind: MessageKind::System,
            author: None,
            text: sentence(&names, users.len()),
            nonce: None,
            reply_to: None,
            mentions: Vec::new(),
            event: None,
            news: Some(News::Follow { names, count: users.len() as u64 }),
        };
        studio.say_in_room(name, message).await.map_err(|_| StoreError::unavailable("chat cannot be told"))
    }
}

/// For who does not show it otherwise.
fn sentence(names: &[String], count: usize) -> String {
    match (names, count.saturating_sub(names.len())) {
        ([one], 0) => format!("{one} follows this channel."),
        ([one, other], 0) => format!("{one} and {other} follow this channel."),
        ([one], more) => format!("{one} and {more} others follow this channel."),
        (names, 0) => format!("{} follow this channel.", names.join(", ")),
        (names, 1) => format!("{} and one more follow this channel.", names.join(", ")),
        (names, more) => format!("{} and {more} others follow this channel.", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::bus::memory::MemoryBus;
    use millrace_core::bus::{Position, Subscription};
    use millrace_core::event::{ChannelFollowed, SpecVersion, Subject};
    use millrace_core::trace::Cause;

    use super::*;
    use crate::accounts::Role;
    use crate::channels::ChannelsConfig;
    use crate::studio::Studio;

    struct World {
        greeter: Greeter,
        said: Subscription,
    }

    impl World {
        /// Ada has a studio.
        async fn new() -> Self {
            let bus = MemoryBus::new();
            let said = bus.subscribe(Topic::Chat);
            let state = ApiState::for_tests().await;
            let config = ChannelsConfig::default();
            let studio = Studio::new(state.store().clone(), bus, "test".parse().unwrap(), config);
            let state = state.with_studio(Arc::new(studio));
            let ada = state.sign_in_for_tests("ada", Role::Streamer).await.0;
            let channel = crate::channels::testing::channel("studio", ada.id);
            state.studio().channels.create(&channel, 5).await.unwrap();
            Self { greeter: Greeter { state, known: HashMap::new() }, said }
        }

        async fn follow(&self, name: &str) -> Delivery {
            let state = &self.greeter.state;
            let user = state.sign_in_for_tests(name, Role::Viewer).await.0.id;
            let channel = state.studio().channels.named(&"studio".parse().unwrap()).await.unwrap().unwrap();
            state.studio().follows.follow(user, channel.id, 1, 10).await.unwrap();
            let event = Event {
                specversion: SpecVersion::V1,
                id: uuid::Uuid::now_v7(),
                source: "/nodes/one".into(),
                subject: Subject::Channel("studio".parse().unwrap()),
                time: Timestamp::now(),
                cause: Cause::default(),
                body: EventBody::ChannelFollowed(ChannelFollowed { user }),
            };
            let position = Position { topic: Topic::Accounts, partition: 0, offset: 0 };
            Delivery { position, event: Arc::new(event), headers: BTreeMap::new() }
        }

        fn heard(&mut self) -> Vec<ChatMessage> {
            let mut heard = Vec::new();
            while let Some(event) = self.said.try_next() {
                if let EventBody::MessageSent(message) = &event.body {
                    heard.push(message.as_ref().clone());
                }
            }
            heard
        }
    }

    #[tokio::test]
    async fn those_who_follow_at_once_are_said_together_and_once() {
        let mut world = World::new().await;
        let mut batch = Vec::new();
        for name in ["bob", "eve", "carol", "dave"] {
            batch.push(world.follow(name).await);
        }
        world.greeter.handle(&batch).await.unwrap();
        world.greeter.handle(&batch).await.unwrap();
        let heard = world.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert_eq!(heard[0].text, "bob, eve and 2 others follow this channel.");
        assert_eq!(heard[0].news, Some(News::Follow { names: vec!["bob".into(), "eve".into()], count: 4 }));
        assert_eq!(heard[0].id.0, batch[0].event.id);
        let one = world.follow("frank").await;
        world.greeter.handle(&[one]).await.unwrap();
        assert_eq!(world.heard()[0].text, "frank follows this channel.");
    }

    #[tokio::test]
    async fn a_room_that_wants_none_of_it_and_who_left_again_are_not_said() {
        let mut world = World::new().await;
        let (gone, stays) = (world.follow("bob").await, world.follow("eve").await);
        let state = world.greeter.state.clone();
        let studio = state.studio().channels.named(&"studio".parse().unwrap()).await.unwrap().unwrap();
        let EventBody::ChannelFollowed(bob) = &gone.event.body else { unreachable!() };
        state.studio().follows.unfollow(bob.user, studio.id).await.unwrap();
        world.greeter.handle(&[gone, stays]).await.unwrap();
        assert_eq!(world.heard()[0].text, "eve follows this channel.");
        let rooms = Rooms::new(state.store().clone());
        rooms.change(studio.id, |room| room.settings.follow_messages = false).await.unwrap();
        let quiet = world.follow("carol").await;
        world.greeter.handle(&[quiet]).await.unwrap();
        assert_eq!(world.heard(), []);
    }
}
