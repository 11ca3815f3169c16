//! The rooms of this process: hears the bus, hands what is said to the connections, takes what they say.
#![expect(clippy::disallowed_methods, reason = "shell: clocks, timers, ids")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::pending;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use jiff::Timestamp;
use millrace_core::bus::{Bus, BusError, Subscriptions, Topic};
use millrace_core::chat::{
    ChatMessage, ChatPresence, HISTORY_GROUP, HeldMessage, HoldReason, PRESENT_NAMES_MAX, Poll, Removed,
};
use millrace_core::event::{Event, EventBody, SpecVersion, Subject};
use millrace_core::ids::{ChannelId, ChannelName, MessageId, NodeName, SessionId, UserId};
use millrace_core::places::subscriber;
use millrace_core::trace::Cause;
use tokio::sync::{OnceCell, broadcast};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::config::ChatConfig;
use crate::presence::Presence;
use crate::protocol::{Chatters, Code, Draft, PollView, Recipient, Refusal, RoomView, ServerFrame, You};
use crate::rate::{Meter, Rate};
use crate::records::{Away, Chatter, Holding, Record, Records, RoomRecord, Standing};
use crate::room::{Admitted, Effect, RECENT, Room, Speaks};

/// Events of all rooms that are remembered for a room that is opened: those that the history may not have yet.
const LATELY: usize = 8_192;
/// Events that are handled before what they come to is sent.
const AT_ONCE: usize = 256;
/// What a frame costs for each connection: a room waits so long between two, and says more in each.
const PACE_PER_READER: Duration = Duration::from_micros(5);
/// Longest wait between two frames of a room in which much is said.
const LONGEST_PACE: Duration = Duration::from_millis(100);
/// How often who is here is told, if it changed.
const PRESENCE_EVERY: Duration = Duration::from_secs(5);
/// How often it is told how people vote, if that changed.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How often a process that stops looks whether pages are left, and what it gives them beside the spread.
const LOOK_EVERY: Duration = Duration::from_millis(50);
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);
/// What another process needs to take a page over.
const SPREAD_PER_PAGE: Duration = Duration::from_millis(2);
/// How long a process that begins tries to learn what was said last, and its pause after a try that failed.
const CATCH_UP: Duration = Duration::from_secs(10);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(200);
/// How long it holds that everybody may read a room; events say sooner that it does not.
const OPEN_FOR: Duration = Duration::from_secs(5);
/// People whose posts are counted before those are forgotten who posted nothing lately.
const POSTERS_MAX: usize = 10_000;
/// How long a room is kept that nobody reads.
const IDLE: Duration = Duration::from_secs(300);

/// The rooms of this process. Clones share them.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node")
    }
}

struct Inner {
    pub(crate) records: Arc<dyn Records>,
    bus: Arc<dyn Bus>,
    config: ChatConfig,
    source: String,
    /// Whether other processes have the same rooms.
    shares: bool,
    rooms: Mutex<Rooms>,
    counts: Mutex<Counts>,
    /// What was posted without a connection.
    posts: Mutex<HashMap<UserId, Meter>>,
    stopping: CancellationToken,
    /// It is known what the history does not have yet.
    caught_up: CancellationToken,
}

#[derive(Default)]
struct Rooms {
    halls: HashMap<ChannelName, Arc<Hall>>,
    lately: VecDeque<Arc<Event>>,
}

/// Connections, by where they come from and whose they are.
#[derive(Default)]
struct Counts {
    addresses: HashMap<IpAddr, u32>,
    people: HashMap<UserId, u32>,
}

/// What connections of a room get.
#[derive(Debug, Clone)]
pub(crate) enum Frame {
    /// To be sent as it is.
    Text(Utf8Bytes),
    /// For who moderates, to be sent as it is.
    Moderators(Utf8Bytes),
    /// A message of somebody that waited is not said.
    Refused(UserId, Option<String>, Arc<Refusal>),
    /// What somebody may do has changed; everybody's, if nobody is named.
    Standing(Recipient),
    /// A session, or everything of a person, ended.
    Ended(Ended),
    /// Not everybody may read here any more: each looks whether they may.
    Admission,
}

/// Whose connections are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Session(SessionId),
    Person(UserId),
}

/// A room and who reads there.
pub(crate) struct Hall {
    channel: ChannelName,
    of: ChannelId,
    state: Mutex<State>,
    opened: OnceCell<()>,
    frames: broadcast::Sender<Frame>,
}

struct State {
    room: Option<Room>,
    /// What was heard before the room was opened.
    early: Vec<Arc<Event>>,
    /// Said, and not sent yet.
    unsent: Vec<Arc<ChatMessage>>,
    next_frame: Instant,
    people: BTreeMap<UserId, (ChannelName, u32)>,
    presence: Presence,
    told: Chatters,
    empty_since: Option<Instant>,
    /// Until when it is known that everybody may read.
    open_until: Option<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody's place in a room; leaving is dropping it.
pub(crate) struct Seat {
    node: Node,
    pub(crate) hall: Arc<Hall>,
    pub(crate) chatter: Option<Chatter>,
    speaks: Speaks,
    /// Whether the person moderates here, as they were told last.
    pub(crate) moderates: bool,
    address: IpAddr,
    pub(crate) frames: broadcast::Receiver<Frame>,
}

/// What became of something that somebody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// It is said under this id.
    Now(MessageId),
    /// It waits for somebody who moderates, under this id.
    Held(MessageId),
}

/// Why nobody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoEntry {
    NoSuchChannel,
    Forbidden,
    TooMany,
    Away,
}

/// The first things that a page is told.
pub(crate) struct Welcome {
    pub(crate) text: Utf8Bytes,
    /// What was taken away, perhaps while the page was away.
    pub(crate) removed: Option<Utf8Bytes>,
}

impl Node {
    /// Rooms on this bus, which other processes have as well if it `shares` them. `node` signs what is said here.
    #[must_use]
    pub fn new(
        records: Arc<dyn Records>,
        bus: Arc<dyn Bus>,
        config: ChatConfig,
        node: &NodeName,
        shares: bool,
    ) -> Self {
        Self(Arc::new(Inner {
            records,
            bus,
            config,
            source: node.source(),
            shares,
            rooms: Mutex::default(),
            counts: Mutex::default(),
            posts: Mutex::default(),
            stopping: CancellationToken::new(),
            caught_up: CancellationToken::new(),
        }))
    }

    pub(crate) fn config(&self) -> &ChatConfig {
        &self.0.config
    }

    pub(crate) fn records(&self) -> &dyn Records {
        self.0.records.as_ref()
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Sends every page to another process, and waits until they are gone, at most a little longer than
    /// [`ChatConfig::reconnect_spread`].
    pub async fn stop(&self) {
        self.0.stopping.cancel();
        let gone = async {
            let mut look = tokio::time::interval(LOOK_EVERY);
            while !lock(&self.0.counts).addresses.is_empty() {
                look.tick().await;
            }
        };
        let _ = tokio::time::timeout(self.0.config.reconnect_spread + GOODBYE, gone).await;
    }

    /// Within what time a page that is sent away comes back: all of them need longer than a few.
    pub(crate) fn spread(&self) -> Duration {
        let pages: u32 = lock(&self.0.counts).addresses.values().sum();
        SPREAD_PER_PAGE.saturating_mul(pages).min(self.0.config.reconnect_spread)
    }

    /// Counts what somebody posts without a connection, whatever becomes of it: as fast as a connection's frames may come.
    ///
    /// # Errors
    /// Too soon: milliseconds until the next one may come.
    pub(crate) fn may_post(&self, user: UserId, now_ms: i64) -> Result<(), i64> {
        let mut posts = lock(&self.0.posts);
        if posts.len() >= POSTERS_MAX {
            posts.retain(|_, meter| !meter.is_rested(now_ms));
        }
        posts.entry(user).or_default().take(Rate::per(self.0.config.frames_per_10s, 10), now_ms)
    }

    /// Whether somebody who is here may still be; what is known of the room for them is renewed.
    pub(crate) async fn look_again(&self, seat: &Seat) -> Result<(), NoEntry> {
        let channel = &seat.hall.channel;
        let found = self.records().room(channel, seat.chatter.as_ref()).await;
        match found.map_err(|err| self.away(channel, &err))? {
            Record::Room(record) => {
                if let Some(room) = &mut lock(&seat.hall.state).room {
                    room.renew(*record);
                }
                Ok(())
            }
            Record::None => Err(NoEntry::NoSuchChannel),
            Record::Forbidden => Err(NoEntry::Forbidden),
        }
    }

    /// Somebody comes in.
    pub(crate) async fn enter(
        &self,
        channel: &ChannelName,
        chatter: Option<Chatter>,
        address: IpAddr,
    ) -> Result<Seat, NoEntry> {
        let address = subscriber(address);
        let hall = self.hall(channel, chatter.as_ref()).await?;
        let mut standing = Standing::default();
        if let Some(chatter) = &chatter {
            standing = self
                .records()
                .standing(channel, chatter.user)
                .await
                .map_err(|err| self.away(channel, &err))?;
        }
        self.count(address, chatter.as_ref().map(|chatter| chatter.user))?;
        let frames = hall.frames.subscribe();
        {
            let mut state = lock(&hall.state);
            if let Some(chatter) = &chatter {
                state.people.entry(chatter.user).or_insert_with(|| (chatter.name.clone(), 0)).1 += 1;
                if let Some(room) = &mut state.room {
                    room.meet(chatter.user, &standing);
                }
            }
            state.empty_since = None;
        }
        metrics::gauge!("millrace_chat_connections").increment(1.0);
        let speaks = Speaks { following_since_ms: standing.following_since_ms, before: None };
        Ok(Seat { node: self.clone(), hall, chatter, speaks, moderates: false, address, frames })
    }

    fn count(&self, address: IpAddr, user: Option<UserId>) -> Result<(), NoEntry> {
        let mut counts = lock(&self.0.counts);
        let config = &self.0.config;
        let of_address = counts.addresses.get(&address).copied().unwrap_or_default();
        let of_person = user.and_then(|user| counts.people.get(&user).copied()).unwrap_or_default();
        if of_address >= config.connections_per_address || of_person >= config.connections_per_person {
            return Err(NoEntry::TooMany);
        }
        counts.addresses.insert(address, of_address + 1);
        if let Some(user) = user {
            counts.people.insert(user, of_person + 1);
        }
        Ok(())
    }

    fn away(&self, channel: &ChannelName, err: &Away) -> NoEntry {
        warn!(%channel, %err, "nobody comes into the chat of {channel} for now");
        NoEntry::Away
    }

    /// The room of a channel, opened.
    async fn hall(&self, channel: &ChannelName, chatter: Option<&Chatter>) -> Result<Arc<Hall>, NoEntry> {
        if chatter.is_none()
            && let Some(hall) = lock(&self.0.rooms).halls.get(channel).filter(|hall| hall.is_open_to_all())
        {
            return Ok(Arc::clone(hall));
        }
        let record = self.records().room(channel, chatter).await.map_err(|err| self.away(channel, &err))?;
        let record = match record {
            Record::Room(record) => *record,
            Record::None => return Err(NoEntry::NoSuchChannel),
            Record::Forbidden => return Err(NoEntry::Forbidden),
        };
        let hall = {
            let mut rooms = lock(&self.0.rooms);
            let Rooms { halls, lately } = &mut *rooms;
            let hall = halls
                .entry(channel.clone())
                .or_insert_with(|| Arc::new(Hall::new(channel, &self.0.config, &record, lately)));
            if hall.of != record.channel {
                // Another channel has the name now.
                *hall = Arc::new(Hall::new(channel, &self.0.config, &record, lately));
            }
            Arc::clone(hall)
        };
        let opening = hall.opened.get_or_try_init(|| async {
            let kept = self.records().recent(channel, RECENT).await?;
            hall.open(Room::new(channel.clone(), record.clone()), kept);
            Ok::<(), Away>(())
        });
        opening.await.map_err(|err| self.away(channel, &err))?;
        let mut state = lock(&hall.state);
        if let Some(room) = &mut state.room {
            room.renew(record);
        }
        if chatter.is_none() {
            state.open_until = Some(Instant::now() + OPEN_FOR);
        }
        drop(state);
        Ok(hall)
    }

    /// Says something. The answer comes when the bus has it, or the store if it waits for somebody who moderates.
    ///
    /// # Errors
    /// Why it is not said.
    pub(crate) async fn say(&self, seat: &mut Speaker, draft: &Draft) -> Result<Said, Refusal> {
        let said = self.say_or_hold(seat, draft).await;
        match &said {
            Ok(Said::Now(_)) => {}
            Ok(Said::Held(_)) => metrics::counter!("millrace_chat_held_total").increment(1),
            Err(refusal) => {
                metrics::counter!("millrace_chat_refused_total", "code" => refusal.code.name()).increment(1);
            }
        }
        said
    }

    async fn say_or_hold(&self, seat: &mut Speaker, draft: &Draft) -> Result<Said, Refusal> {
        let now = Timestamp::now();
        let admit = |speaks| {
            let id = MessageId(uuid::Uuid::now_v7());
            let mut state = lock(&seat.hall.state);
            let room = state.room.as_mut().ok_or_else(Refusal::temporarily_unavailable)?;
            room.admit(&seat.chatter, speaks, draft, (id, now), &self.0.config)
        };
        let (channel, user) = (&seat.hall.channel, seat.chatter.user);
        let mut admitted = admit(seat.speaks);
        if matches!(&admitted, Err(refusal) if refusal.code == Code::FollowersOnly) {
            // Perhaps they follow by now.
            let standing = self.records().standing(channel, user).await;
            seat.speaks.following_since_ms =
                standing.map_err(|_| Refusal::temporarily_unavailable())?.following_since_ms;
            admitted = admit(seat.speaks);
        }
        if matches!(admitted, Ok(Admitted::WhetherSpoken)) {
            let before = self.records().has_spoken(channel, user).await;
            let before = before.map_err(|_| Refusal::temporarily_unavailable())?;
            // That they did not may be otherwise the next time.
            seat.speaks.before = before.then_some(true);
            admitted = admit(Speaks { before: Some(before), ..seat.speaks });
        }
        match admitted? {
            Admitted::Said(id) => Ok(Said::Now(id)),
            Admitted::Publish(message) => self.publish(&seat.hall, &message).await.map(Said::Now),
            Admitted::Hold(message, why) => self.hold(&seat.hall, &message, why).await,
            // It was answered above.
            Admitted::WhetherSpoken => Err(Refusal::temporarily_unavailable()),
        }
    }

    async fn publish(&self, hall: &Hall, message: &ChatMessage) -> Result<MessageId, Refusal> {
        let id = message.id;
        let body = EventBody::MessageSent(Box::new(message.clone()));
        let event = Event { time: message.at, ..self.event(&hall.channel, id.0, body) };
        match self.0.bus.publish(Topic::Chat, event).await {
            Ok(()) => {
                hall.settled(id);
                metrics::counter!("millrace_chat_messages_total").increment(1);
                Ok(id)
            }
            Err(err @ (BusError::TooLarge { .. } | BusError::Refused(_))) => {
                hall.settled(id);
                error!(channel = %hall.channel, %err, "the bus refuses a chat message");
                Err(Refusal::new(Code::Malformed, "The message cannot be carried. Say it in other words."))
            }
            Err(_) => Err(Refusal::temporarily_unavailable()),
        }
    }

    /// Keeps a message for those who moderate, and tells them. While they cannot be told, the author sends it again: it is kept
    /// once.
    async fn hold(&self, hall: &Hall, message: &ChatMessage, why: HoldReason) -> Result<Said, Refusal> {
        let held = self.records().hold(&hall.channel, message, why).await;
        let held = held.map_err(|err| {
            warn!(channel = %hall.channel, %err, "a chat message cannot wait for moderators right now");
            Refusal::temporarily_unavailable()
        })?;
        let (id, until) = match held {
            Holding::Waits { id, until } => (id, until),
            Holding::Reviewed(id, decision) => {
                return Refusal::of_review(decision).map_or(Ok(Said::Now(id)), Err);
            }
            Holding::Full(waiting) => {
                let detail = format!(
                    "{waiting} of your messages wait for a moderator. Send more when they were looked at."
                );
                return Err(Refusal::new(Code::RateLimited, detail));
            }
        };
        let message = ChatMessage { id, ..message.clone() };
        let body = EventBody::MessageHeld(Box::new(HeldMessage { message, why, until }));
        let event = self.event(&hall.channel, uuid::Uuid::now_v7(), body);
        if let Err(err) = self.0.bus.publish(Topic::Chat, event).await {
            warn!(channel = %hall.channel, %err, "moderators are not told yet what waits");
            return Err(Refusal::temporarily_unavailable());
        }
        Ok(Said::Held(id))
    }

    fn event(&self, channel: &ChannelName, id: uuid::Uuid, body: EventBody) -> Event {
        Event {
            specversion: SpecVersion::V1,
            id,
            source: self.0.source.clone(),
            subject: Subject::Channel(channel.clone()),
            time: Timestamp::now(),
            cause: Cause::default(),
            body,
        }
    }

    /// Hears the bus until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut heard = Subscriptions::new(
            self.0.bus.as_ref(),
            &[Topic::Chat, Topic::Accounts, Topic::Commands, Topic::Activity],
        );
        if shutdown.run_until_cancelled(self.catch_up()).await.is_none() {
            return;
        }
        self.0.caught_up.cancel();
        let mut presence = tokio::time::interval(PRESENCE_EVERY);
        let mut polls = tokio::time::interval(POLL_EVERY);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due: Vec<(Instant, Arc<Hall>)> = Vec::new();
        loop {
            let next = due.iter().map(|(at, _)| *at).min();
            let later = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                event = heard.next() => {
                    let Some(event) = event else { return };
                    self.handle(&event, &mut due).await;
                    for _ in 1..AT_ONCE {
                        let Some(event) = heard.try_next() else { break };
                        self.handle(&event, &mut due).await;
                    }
                }
                () = later => {}
                _ = presence.tick() => self.tell_presence().await,
                // However many vote: so often at most.
                _ = polls.tick() => self.halls().iter().for_each(|hall| hall.tell_poll()),
            }
            let now = Instant::now();
            due.retain(|(at, hall)| {
                let waits = *at > now;
                if !waits {
                    hall.flush(now);
                }
                waits
            });
        }
    }

    /// Waits until it is known what was said last, which [`Self::run`] finds out. A room that is opened before may lack
    /// that, and whoever comes back to it would be shown everything anew.
    pub async fn caught_up(&self) {
        self.0.caught_up.cancelled().await;
    }

    /// Reads what the history does not have yet.
    async fn catch_up(&self) {
        let give_up = Instant::now() + CATCH_UP;
        loop {
            let tried = tokio::time::timeout_at(give_up, self.read_what_is_not_kept()).await;
            let err = match tried {
                Ok(Ok(())) => return,
                Ok(Err(err)) if Instant::now() + CATCH_UP_PAUSE < give_up => {
                    debug!(%err, "asking again what was said last");
                    tokio::time::sleep(CATCH_UP_PAUSE).await;
                    continue;
                }
                Ok(Err(err)) => err.to_string(),
                Err(_) => format!("no answer within {} s", CATCH_UP.as_secs()),
            };
            warn!(err, "what was said last before the start may be missing in chat until it is kept");
            return;
        }
    }

    async fn read_what_is_not_kept(&self) -> Result<(), BusError> {
        let place = self.0.bus.place(HISTORY_GROUP, Topic::Chat).await?;
        // A group that never was there would begin a day ago: then the history is empty too.
        let mut replay = self.0.bus.replay(Topic::Chat, place).await?;
        while let Some(delivery) = replay.next().await? {
            self.note(&delivery.event);
        }
        Ok(())
    }

    /// Remembers an event and finds its room.
    fn note(&self, event: &Arc<Event>) -> Option<Arc<Hall>> {
        let mut rooms = lock(&self.0.rooms);
        rooms.lately.push_back(Arc::clone(event));
        if rooms.lately.len() > LATELY {
            rooms.lately.pop_front();
        }
        let hall = rooms.halls.get(event.channel()?).cloned()?;
        // While the map is held, so that a room that is being opened has each event once.
        let mut state = lock(&hall.state);
        if state.room.is_none() {
            state.early.push(Arc::clone(event));
            return None;
        }
        drop(state);
        Some(hall)
    }

    async fn handle(&self, event: &Arc<Event>, due: &mut Vec<(Instant, Arc<Hall>)>) {
        match &event.body {
            EventBody::SessionRevoked(revoked) => self.end(Ended::Session(revoked.session)),
            EventBody::UserBanned(_) | EventBody::UserDeleted(_) if event.channel().is_none() => {
                if let Subject::User(user) = &event.subject {
                    self.end(Ended::Person(*user));
                    if matches!(event.body, EventBody::UserDeleted(_)) {
                        self.forget(*user);
                    }
                }
            }
            EventBody::UserBarred(_) | EventBody::UserUnbarred(_) => {
                for hall in self.halls() {
                    // It says nothing that waits for its frame.
                    let _ = hall.hear(event);
                }
            }
            EventBody::ChannelUpdated(_) => self.renew(event).await,
            EventBody::ChatPresence(seen) if event.source != self.0.source => {
                let hall =
                    event.channel().and_then(|channel| lock(&self.0.rooms).halls.get(channel).cloned());
                if let Some(hall) = hall {
                    lock(&hall.state).presence.hear(&event.source, Instant::now(), seen.clone());
                }
            }
            EventBody::PollCounted(counted) => {
                let hall =
                    event.channel().and_then(|channel| lock(&self.0.rooms).halls.get(channel).cloned());
                if let Some(hall) = hall {
                    let mut state = lock(&hall.state);
                    if let Some(room) = &mut state.room {
                        room.count(counted);
                    }
                }
            }
            EventBody::MessageSent(_)
            | EventBody::MessageDeleted(_)
            | EventBody::MessageHeld(_)
            | EventBody::MessageReviewed(_)
            | EventBody::UserTimedOut(_)
            | EventBody::UserBanned(_)
            | EventBody::UserUnbanned(_)
            | EventBody::SubscriberChanged(_)
            | EventBody::RoomUpdated(_) => {
                if let Some(hall) = self.note(event)
                    && let Some(at) = hall.hear(event)
                    && !due.iter().any(|(_, waiting)| Arc::ptr_eq(waiting, &hall))
                {
                    due.push((at, hall));
                }
            }
            _ => {}
        }
    }

    fn halls(&self) -> Vec<Arc<Hall>> {
        lock(&self.0.rooms).halls.values().cloned().collect()
    }

    fn end(&self, ended: Ended) {
        for hall in self.halls() {
            hall.send(Frame::Ended(ended));
        }
    }

    /// Somebody deleted the account: what they said goes with it.
    fn forget(&self, user: UserId) {
        let is_theirs = |event: &Event| match &event.body {
            EventBody::MessageSent(message) => {
                message.author.as_ref().is_some_and(|author| author.id == user)
            }
            _ => false,
        };
        lock(&self.0.rooms).lately.retain(|event| !is_theirs(event));
        for hall in self.halls() {
            hall.forget(user);
        }
    }

    /// The channel has changed: perhaps others moderate it, or not everybody may read any more.
    async fn renew(&self, event: &Event) {
        let Some(channel) = event.channel() else { return };
        let Some(hall) = lock(&self.0.rooms).halls.get(channel).cloned() else { return };
        lock(&hall.state).open_until = None;
        match self.records().room(channel, None).await {
            Ok(Record::Room(record)) => {
                if let Some(room) = &mut lock(&hall.state).room {
                    room.renew(*record);
                }
                hall.send(Frame::Standing(None));
            }
            Ok(Record::None | Record::Forbidden) => hall.send(Frame::Admission),
            Err(err) => warn!(%channel, %err, "the chat of {channel} does not know what changed"),
        }
    }

    async fn tell_presence(&self) {
        let now = Instant::now();
        for hall in self.halls() {
            let news = hall.tell_presence(now);
            if let Some(seen) = news.filter(|_| self.0.shares) {
                let event = self.event(&hall.channel, uuid::Uuid::now_v7(), EventBody::ChatPresence(seen));
                if let Err(err) = self.0.bus.publish(Topic::Activity, event).await {
                    debug!(channel = %hall.channel, %err, "other processes do not know who is here");
                }
            }
        }
        let mut rooms = lock(&self.0.rooms);
        // Whoever comes in takes the hall from this map, so nobody is on the way into one that only the map has.
        rooms.halls.retain(|_, hall| {
            let since = lock(&hall.state).empty_since;
            Arc::strong_count(hall) > 1 || since.is_none_or(|since| now.duration_since(since) <= IDLE)
        });
        metrics::gauge!("millrace_chat_rooms").set(rooms.halls.len() as f64);
    }
}

impl Hall {
    fn new(
        channel: &ChannelName,
        config: &ChatConfig,
        record: &RoomRecord,
        lately: &VecDeque<Arc<Event>>,
    ) -> Self {
        let is_its = |event: &&Arc<Event>| {
            event.channel() == Some(channel) && event.time.as_millisecond() >= record.since_ms
        };
        let early = lately.iter().filter(is_its).cloned().collect();
        let now = Instant::now();
        let state = State {
            room: None,
            early,
            unsent: Vec::new(),
            next_frame: now,
            people: BTreeMap::new(),
            presence: Presence::default(),
            told: Chatters::default(),
            empty_since: Some(now),
            open_until: None,
        };
        Self {
            channel: channel.clone(),
            of: record.channel,
            state: Mutex::new(state),
            opened: OnceCell::new(),
            frames: broadcast::Sender::new(config.queue),
        }
    }

    fn open(&self, mut room: Room, kept: Vec<Arc<ChatMessage>>) {
        let mut state = lock(&self.state);
        room.remember(kept);
        for event in std::mem::take(&mut state.early) {
            let _ = room.hear(&event);
        }
        state.room = Some(room);
    }

    fn settled(&self, id: MessageId) {
        if let Some(room) = &mut lock(&self.state).room {
            room.settled(id);
        }
    }

    fn send(&self, frame: Frame) {
        // Nobody may be there.
        let _ = self.frames.send(frame);
    }

    /// Whether whoever only reads may come in, as far as is known: thousands who come at once ask once.
    fn is_open_to_all(&self) -> bool {
        self.opened.initialized() && lock(&self.state).open_until.is_some_and(|until| until > Instant::now())
    }

    /// Takes an event; when the next frame of what was said is due, if there is one.
    fn hear(&self, event: &Event) -> Option<Instant> {
        let mut state = lock(&self.state);
        let effect = state.room.as_mut()?.hear(event)?;
        if let Effect::Said(message) = effect {
            state.unsent.push(message);
            return Some(state.next_frame);
        }
        self.flush_state(&mut state, Instant::now());
        match effect {
            Effect::Said(_) => {}
            Effect::Removed(removed) => self.send(Frame::Text(ServerFrame::Removed(&removed).to_text())),
            Effect::Standing { user, removed } => {
                if removed {
                    let removed = Removed::Author(user);
                    self.send(Frame::Text(ServerFrame::Removed(&removed).to_text()));
                }
                self.send(Frame::Standing(Some(user)));
            }
            Effect::Held(held) => {
                let queue = ServerFrame::Queue { waiting: &[*held], reviewed: &[] };
                self.send(Frame::Moderators(queue.to_text()));
            }
            Effect::Reviewed(reviewed) => {
                let (author, nonce) = (reviewed.author, reviewed.nonce.clone());
                let refusal = Refusal::of_review(reviewed.decision);
                let queue = ServerFrame::Queue { waiting: &[], reviewed: &[reviewed] };
                self.send(Frame::Moderators(queue.to_text()));
                if let Some(refusal) = refusal {
                    self.send(Frame::Refused(author, nonce, Arc::new(refusal)));
                }
            }
            Effect::Room { poll } => {
                if let Some(room) = &state.room {
                    let view: RoomView = room.view();
                    self.send(Frame::Text(ServerFrame::Room { room: &view }.to_text()));
                    if let Some(poll) = room.poll().filter(|_| poll) {
                        self.send_poll(poll);
                    }
                }
                self.send(Frame::Standing(None));
            }
        }
        None
    }

    fn send_poll(&self, poll: &Poll) {
        self.send(Frame::Text(ServerFrame::Poll { poll: PollView::new(poll) }.to_text()));
    }

    /// Tells everybody here how people have voted, if that is news.
    fn tell_poll(&self) {
        if let Some(poll) = lock(&self.state).room.as_mut().and_then(Room::poll_news) {
            self.send_poll(poll);
        }
    }

    /// Takes away what somebody said whose account is gone.
    fn forget(&self, user: UserId) {
        let mut state = lock(&self.state);
        if !state.room.as_mut().is_some_and(|room| room.forget_author(user)) {
            return;
        }
        self.flush_state(&mut state, Instant::now());
        self.send(Frame::Text(ServerFrame::Removed(&Removed::Author(user)).to_text()));
    }

    fn flush(&self, now: Instant) {
        self.flush_state(&mut lock(&self.state), now);
    }

    fn flush_state(&self, state: &mut State, now: Instant) {
        if state.unsent.is_empty() {
            return;
        }
        let readers = u32::try_from(self.frames.receiver_count()).unwrap_or(u32::MAX);
        let text = ServerFrame::Messages { messages: &state.unsent }.to_text();
        state.unsent.clear();
        state.next_frame = now + PACE_PER_READER.saturating_mul(readers).min(LONGEST_PACE);
        self.send(Frame::Text(text));
    }

    /// Who is at this node.
    fn present(&self, state: &State) -> ChatPresence {
        ChatPresence {
            people: state.people.len() as u64,
            names: state.people.values().take(PRESENT_NAMES_MAX).map(|(name, _)| name.clone()).collect(),
            readers: self.frames.receiver_count() as u64,
        }
    }

    fn chatters(&self, state: &mut State) -> Chatters {
        let here = self.present(state);
        state.presence.all(Instant::now(), here)
    }

    /// Tells everybody here who is in the room, if it changed; what other nodes are to be told.
    fn tell_presence(&self, now: Instant) -> Option<ChatPresence> {
        let mut state = lock(&self.state);
        let here = self.present(&state);
        let news = state.presence.say(now, &here);
        let all = state.presence.all(now, here);
        if all != state.told {
            self.send(Frame::Text(ServerFrame::Chatters { chatters: &all }.to_text()));
            state.told = all;
        }
        news
    }
}

/// Who speaks in a room.
#[derive(Clone)]
pub(crate) struct Speaker {
    hall: Arc<Hall>,
    chatter: Chatter,
    speaks: Speaks,
}

impl Seat {
    /// What whoever comes in is told. What is said from here on comes by [`Self::frames`].
    pub(crate) fn welcome(&mut self, resume: Option<MessageId>) -> Option<Welcome> {
        let mut state = lock(&self.hall.state);
        // From here on, not before: what is shown now must not come again. What was said and not sent yet comes as a frame.
        self.frames = self.hall.frames.subscribe();
        let chatters = self.hall.chatters(&mut state);
        let room = state.room.as_ref()?;
        let (mut messages, resumed) = room.shown(resume);
        messages.truncate(messages.len() - state.unsent.len().min(messages.len()));
        let you = self.you_in(room);
        self.moderates = you.as_ref().is_some_and(|you| you.moderates);
        let text = ServerFrame::Welcome {
            room: &room.view(),
            you: you.as_ref(),
            messages: &messages,
            resumed,
            chatters: &chatters,
            poll: room.shown_poll(Timestamp::now().as_millisecond()).map(PollView::new),
            heartbeat_s: self.node.config().heartbeat.as_secs(),
        }
        .to_text();
        let removed = room.removed().filter(|_| resumed);
        let removed = removed.map(|removed| ServerFrame::Removed(&removed).to_text());
        Some(Welcome { text, removed })
    }

    fn you_in(&self, room: &Room) -> Option<You> {
        let chatter = self.chatter.as_ref()?;
        Some(room.you(chatter, Timestamp::now().as_millisecond()))
    }

    /// What the person is here now.
    pub(crate) fn you(&mut self) -> Option<You> {
        let you = self.you_in(lock(&self.hall.state).room.as_ref()?);
        self.moderates = you.as_ref().is_some_and(|you| you.moderates);
        you
    }

    /// What speaks for the person, if they may.
    pub(crate) fn speaker(&self) -> Option<Speaker> {
        Some(Speaker { hall: Arc::clone(&self.hall), chatter: self.chatter.clone()?, speaks: self.speaks })
    }

    /// Whether what ended is this one's.
    pub(crate) fn is_of(&self, ended: Ended) -> bool {
        self.chatter.as_ref().is_some_and(|chatter| match ended {
            Ended::Session(session) => chatter.session == Some(session),
            Ended::Person(user) => chatter.user == user,
        })
    }

    /// Whether this is one of the person's.
    pub(crate) fn is_person(&self, user: UserId) -> bool {
        self.chatter.as_ref().is_some_and(|chatter| chatter.user == user)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        metrics::gauge!("millrace_chat_connections").decrement(1.0);
        let user = self.chatter.as_ref().map(|chatter| chatter.user);
        {
            let mut counts = lock(&self.node.0.counts);
            leave(&mut counts.addresses, &self.address);
            if let Some(user) = user {
                leave(&mut counts.people, &user);
            }
        }
        let mut state = lock(&self.hall.state);
        if let Some(user) = user
            && let Some(person) = state.people.get_mut(&user)
        {
            person.1 -= 1;
            if person.1 == 0 {
                state.people.remove(&user);
                if let Some(room) = &mut state.room {
                    room.part(user);
                }
            }
        }
        // This one's is still counted.
        if self.hall.frames.receiver_count() <= 1 {
            state.empty_since = Some(Instant::now());
        }
    }
}

fn leave<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
