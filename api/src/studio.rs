//! What the routes of channels share, and how they reach the other roles.
#![expect(clippy::disallowed_methods, reason = "shell: clock, ids, pauses")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::bus::{Bus, BusError, Subscriptions, Topic};
use millrace_core::chat::{ChatMessage, PollCounted};
use millrace_core::event::{
    ChannelFollowed, ChannelUpdated, Event, EventBody, KeyRevoked, SiteUpdated, SpecVersion, StoppedBy,
    StreamStop, Subject, ViewersCounted,
};
use millrace_core::ids::{BroadcastId, ChannelId, ChannelName, NodeName, StreamKeyId, UserId};
use millrace_core::playback::Access;
use millrace_core::trace::Cause;
use millrace_objects::Objects;
use millrace_store::{Store, StoreError, Words};
use tokio_util::sync::CancellationToken;

use crate::ApiState;
use crate::accounts::{Channel, Playback, User};
use crate::channels::{Channels, ChannelsConfig, Follows, History, StreamKeys};
use crate::chat::poll::Tallies;
use crate::error::chain;
use crate::publish::KeyAuthority;
use crate::schedule::Schedule;

/// How long a store is left alone that did not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What is shown of a channel beside its live broadcast, and who may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Of the running broadcast.
    pub title: String,
    /// The category.
    pub category: String,
    /// In lower case.
    pub tags: Vec<String>,
    /// BCP 47.
    pub language: String,
    /// Who may watch.
    pub playback: Playback,
    /// Whose it is; nobody's where there are no records (`MILLRACE_PUBLISH_AUTH=open`).
    pub owner: Option<CardOwner>,
    /// How it is found; not at all where there is no record.
    pub record: Option<CardRecord>,
}

/// What a search needs of a live channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRecord {
    /// The channel.
    pub id: ChannelId,
    /// How many followed it when the card was made: a search puts live channels in this order.
    pub followers: i64,
    /// What it is found by.
    pub words: Words,
}

/// Whose channel it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardOwner {
    /// The account.
    pub id: UserId,
    /// Its name.
    pub name: ChannelName,
    /// As it is shown.
    pub display_name: String,
    /// Names the picture.
    pub avatar: Option<String>,
}

impl Card {
    /// Of a channel that has no record: everybody's.
    #[must_use]
    pub fn without_record() -> Self {
        Self {
            title: String::new(),
            category: String::new(),
            tags: Vec::new(),
            language: String::new(),
            playback: Playback::Public,
            owner: None,
            record: None,
        }
    }

    /// Of a channel and its owner.
    #[must_use]
    pub fn of(channel: Channel, owner: Option<User>) -> Self {
        let words = Words::of_document(&channel);
        Self {
            record: Some(CardRecord { id: channel.id, followers: channel.followers, words }),
            title: channel.title,
            category: channel.category,
            tags: channel.tags,
            language: channel.language,
            playback: channel.playback,
            owner: owner.map(|user| CardOwner {
                id: user.id,
                name: user.name,
                display_name: user.display_name,
                avatar: user.avatar,
            }),
        }
    }
}

/// The stream manager of this process.
pub struct Studio {
    /// Channels.
    pub channels: Channels,
    /// Stream keys.
    pub keys: StreamKeys,
    /// Follows and blocks.
    pub follows: Follows,
    /// Past broadcasts.
    pub history: History,
    /// Coming broadcasts.
    pub schedule: Schedule,
    /// `[channels]`.
    pub config: ChannelsConfig,
    /// Who may publish.
    pub authority: Arc<KeyAuthority>,
    /// How people have voted in the polls of chat, as it was a moment ago.
    pub(crate) tallies: Tallies,
    /// Where pictures are kept; nowhere in a process that serves none.
    pub objects: Option<Objects>,
    store: Store,
    bus: Arc<dyn Bus>,
    node: NodeName,
    cards: RwLock<HashMap<ChannelName, Arc<Card>>>,
}

impl Studio {
    /// On this store and bus; `node` is this process's name in events.
    #[must_use]
    pub fn new(store: Store, bus: Arc<dyn Bus>, node: NodeName, config: ChannelsConfig) -> Self {
        Self {
            channels: Channels::new(store.clone()),
            keys: StreamKeys::new(store.clone()),
            follows: Follows::new(store.clone()),
            history: History::new(store.clone()),
            schedule: Schedule::new(store.clone()),
            authority: Arc::new(KeyAuthority::new(store.clone(), config.failed_publishes_per_minute)),
            config,
            tallies: Tallies::default(),
            objects: None,
            store,
            bus,
            node,
            cards: RwLock::default(),
        }
    }

    /// With nobody else on the bus.
    #[must_use]
    pub fn alone(store: Store) -> Self {
        Self::new(store, MemoryBus::new(), "alone".parse().expect("a name"), ChannelsConfig::default())
    }

    /// Keeps pictures there.
    #[must_use]
    pub fn with_objects(self, objects: Objects) -> Self {
        Self { objects: Some(objects), ..self }
    }

    /// Keeps pictures in this folder.
    #[cfg(test)]
    pub(crate) fn with_folder(self, folder: &std::path::Path) -> Self {
        let folder = millrace_objects::Location::Folder(folder.to_owned());
        let objects = Objects::open(&folder, [], Duration::from_secs(10)).expect("the folder can be made");
        self.with_objects(objects)
    }

    /// What this process is called on the bus.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Says to other nodes who watches a channel here.
    pub(crate) async fn tell_viewers(&self, channel: &ChannelName, sketch: String) {
        let event = self.event(channel.clone().into(), EventBody::ViewersCounted(ViewersCounted { sketch }));
        if let Err(err) = self.bus.publish(Topic::Activity, event).await {
            // The next one replaces it.
            tracing::debug!(stream.id = %channel, %err, "the viewers of {channel} are not acknowledged");
        }
    }

    /// Says to other nodes how people have voted so far.
    pub(crate) async fn tell_votes(&self, channel: &ChannelName, counted: PollCounted) {
        let event = self.event(channel.clone().into(), EventBody::PollCounted(counted));
        if let Err(err) = self.bus.publish(Topic::Activity, event).await {
            // The next one replaces it.
            tracing::debug!(stream.id = %channel, %err, "how people vote on {channel} is not acknowledged");
        }
    }

    /// What is shown of a live channel; `None` until the store has said.
    #[must_use]
    pub fn card(&self, channel: &ChannelName) -> Option<Arc<Card>> {
        self.cards.read().unwrap_or_else(PoisonError::into_inner).get(channel).cloned()
    }

    /// The broadcast of a channel is to end.
    pub async fn stop(&self, channel: &ChannelName, by: StoppedBy) {
        self.order(channel, EventBody::StreamStop(StreamStop { by })).await;
    }

    /// A key publishes no more.
    pub async fn revoked(&self, channel: &ChannelName, key: StreamKeyId) {
        self.authority.revoke(key);
        self.order(channel, EventBody::KeyRevoked(KeyRevoked { key })).await;
    }

    /// What is kept about a channel has changed.
    pub async fn updated(&self, channel: &ChannelName, access: Access) {
        self.authority.forget(channel);
        self.order(channel, EventBody::ChannelUpdated(ChannelUpdated { access })).await;
    }

    async fn order(&self, channel: &ChannelName, body: EventBody) {
        let event = self.event(channel.clone().into(), body);
        if let Err(err) = self.bus.publish(Topic::Commands, event).await {
            // Who listens in this process has it all the same.
            tracing::warn!(stream.id = %channel, %err, "an order for channel {channel} is not acknowledged");
        }
    }

    /// Says what was done in the room of a channel.
    ///
    /// # Errors
    /// Chat is not told, or perhaps not.
    pub async fn tell_room(&self, channel: &ChannelName, body: EventBody) -> Result<(), BusError> {
        self.bus.publish(Topic::Chat, self.event(channel.clone().into(), body)).await
    }

    /// Says what was done to somebody in many rooms.
    ///
    /// # Errors
    /// Chat is not told, or perhaps not.
    pub async fn tell_rooms(&self, user: UserId, body: EventBody) -> Result<(), BusError> {
        self.bus.publish(Topic::Chat, self.event(Subject::User(user), body)).await
    }

    /// Says something in the room of a channel, under the id that the message has.
    ///
    /// # Errors
    /// It is not said, or perhaps not.
    pub(crate) async fn say_in_room(
        &self,
        channel: &ChannelName,
        message: ChatMessage,
    ) -> Result<(), BusError> {
        let (id, time) = (message.id.0, message.at);
        let event = self.event(channel.clone().into(), EventBody::MessageSent(Box::new(message)));
        self.bus.publish(Topic::Chat, Event { id, time, ..event }).await
    }

    /// Says what happened to somebody's account.
    pub async fn tell_account(&self, user: UserId, body: EventBody) {
        self.tell(Subject::User(user), body).await;
    }

    /// Says that somebody follows a channel.
    pub async fn tell_followed(&self, channel: &ChannelName, user: UserId) {
        let body = EventBody::ChannelFollowed(ChannelFollowed { user });
        self.tell(Subject::Channel(channel.clone()), body).await;
    }

    /// Says that the settings of the site are others now.
    pub async fn tell_site_changed(&self) {
        self.tell(Subject::Node(self.node.clone()), EventBody::SiteUpdated(SiteUpdated {})).await;
    }

    async fn tell(&self, subject: Subject, body: EventBody) {
        let event = self.event(subject, body);
        let (id, kind) = (event.id, event.body.kind());
        if let Err(err) = self.bus.publish(Topic::Accounts, event).await {
            // Others find it in the store some seconds later.
            tracing::warn!(event.id = %id, event.kind = kind, %err, "an event about an account is not acknowledged");
        }
    }

    fn event(&self, subject: Subject, body: EventBody) -> Event {
        Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::now_v7(),
            source: self.node.source(),
            subject,
            time: Timestamp::now(),
            cause: Cause::current(),
            body,
        }
    }

    async fn look_up(&self, name: &ChannelName) -> Result<Card, StoreError> {
        let Some(channel) = self.channels.named(name).await? else { return Ok(Card::without_record()) };
        let owner = self.store.get::<User>(&channel.owner.to_string()).await?;
        Ok(Card::of(channel, owner.map(|kept| kept.value)))
    }

    /// Learns what is shown of a channel, as [`show`] does when a broadcast begins.
    #[cfg(test)]
    pub(crate) async fn learn_for_tests(&self, name: &str) {
        let name = name.parse().unwrap();
        self.put(&name, self.look_up(&name).await.unwrap());
    }

    fn put(&self, name: &ChannelName, card: Card) {
        self.cards.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Arc::new(card));
    }

    fn drop_card(&self, name: &ChannelName) {
        self.cards.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl std::fmt::Debug for Studio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Studio")
    }
}

/// The cards to ask the store for.
#[derive(Debug, Default)]
struct Wanted {
    cards: BTreeMap<ChannelName, Because>,
    live: BTreeMap<ChannelName, BroadcastId>,
}

/// Why a card is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Because {
    /// Somebody said that it changed, or a lease that the channel is live.
    Changed,
    /// A broadcast began. It was let in by what was read a moment before: who may watch it is said once more.
    Began,
}

impl Wanted {
    fn want(&mut self, channel: &ChannelName, because: Because) {
        let wanted = self.cards.entry(channel.clone()).or_insert(because);
        *wanted = because.max(*wanted);
    }

    fn apply(&mut self, studio: &Studio, event: &Event) {
        if let EventBody::NodeLeased(lease) = &event.body {
            for stream in &lease.streams {
                if !self.live.contains_key(&stream.channel) {
                    self.live.insert(stream.channel.clone(), stream.broadcast);
                    self.want(&stream.channel, Because::Changed);
                }
            }
        }
        let Some(channel) = event.channel() else { return };
        match &event.body {
            EventBody::StreamStarted(started) => {
                self.live.insert(channel.clone(), started.broadcast);
                self.want(channel, Because::Began);
            }
            // A newer one may run on another node already.
            EventBody::StreamEnded(ended)
                if self.live.get(channel).is_none_or(|live| *live <= ended.broadcast) =>
            {
                self.live.remove(channel);
                self.cards.remove(channel);
                studio.drop_card(channel);
            }
            EventBody::ChannelUpdated(_) if self.live.contains_key(channel) => {
                self.want(channel, Because::Changed);
            }
            _ => {}
        }
    }
}

/// Keeps what is shown of live channels up to date until `shutdown`. Subscribes before it returns the future. Events are
/// taken while the store is away; what they say is looked up when it is back.
pub fn show(
    state: &ApiState,
    bus: &dyn Bus,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let mut heard = Subscriptions::new(bus, &[Topic::Streams, Topic::Commands, Topic::Nodes]);
    let state = state.clone();
    async move {
        let studio = state.studio();
        let mut wanted = Wanted::default();
        // While it is open, events come; afterwards what they said is looked up, and that is the end.
        let mut open = true;
        loop {
            let card = wanted.cards.pop_first();
            let idle = card.is_none();
            if idle && !open {
                return;
            }
            let work = look_up(studio, card.as_ref());
            tokio::pin!(work);
            // Events are taken while the store works.
            let done = loop {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    event = heard.next(), if open => {
                        match event {
                            Some(event) => wanted.apply(studio, &event),
                            None => open = false,
                        }
                        if idle {
                            break Ok(());
                        }
                    }
                    done = &mut work, if !idle => break done,
                }
            };
            let Some((channel, because)) = &card else { continue };
            match done {
                // The broadcast may have ended meanwhile.
                Ok(()) if !wanted.live.contains_key(channel) => studio.drop_card(channel),
                Ok(()) => {}
                Err(err) => {
                    tracing::error!(err = %chain(&err), "cannot look up a live channel; trying again");
                    if wanted.live.contains_key(channel) {
                        wanted.want(channel, *because);
                    }
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }
}

async fn look_up(studio: &Studio, card: Option<&(ChannelName, Because)>) -> Result<(), StoreError> {
    let Some((name, because)) = card else { return Ok(()) };
    let card = studio.look_up(name).await?;
    let access = card.playback.access();
    studio.put(name, card);
    if *because == Because::Began {
        studio.order(name, EventBody::ChannelUpdated(ChannelUpdated { access })).await;
    }
    Ok(())
}
