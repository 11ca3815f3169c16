//! Sans-IO: one room. What may be said, what becomes of what is heard from the bus, what whoever comes in is shown.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use millrace_core::chat::{
    Author, Badge, ChatMessage, HeldMessage, Hold, HoldReason, Links, MessageKind, MessageReviewed, Poll,
    PollCounted, PollStage, QUOTE_MAX, Quote, Removed, RoomUpdated,
};
use millrace_core::event::{Event, EventBody, Subject};
use millrace_core::ids::{ChannelName, MessageId, UserId};
use millrace_core::text::cleaned;

use crate::config::ChatConfig;
use crate::emotes::only_emotes;
use crate::protocol::{Code, Draft, Refusal, RoomView, WhyNot, You, moderates};
use crate::rate::{Meter, Rate};
use crate::records::{Chatter, RoomRecord, Sanction, Standing, Subscription};
use crate::text::{Blocked, MAX_LINES, beginning, essence, has_link, mentions};

/// Messages that a node remembers of a room: whoever missed no more goes on without a gap.
pub(crate) const RECENT: usize = 300;
/// Messages that whoever comes in is shown.
pub(crate) const SHOWN: usize = 100;
/// Messages of which nobody knows yet whether the bus has them.
const UNSURE: usize = 1_000;
/// For how long two messages must not be alike, in milliseconds.
const ALIKE_MS: i64 = 60_000;
/// Messages that are compared.
const ALIKE: usize = 500;
/// For how long a poll that closed is shown to whoever comes in, in milliseconds.
const POLL_SHOWN_MS: i64 = 120_000;
/// People whose rate is remembered before those who rest are forgotten.
const METERS: usize = 1_000;

/// What becomes of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It is to be published.
    Publish(Arc<ChatMessage>),
    /// It was said under this id already.
    Said(MessageId),
    /// It is to wait for somebody who moderates.
    Hold(Arc<ChatMessage>, HoldReason),
    /// Whether the person ever spoke here decides, and is not known: [`Speaks::before`].
    WhetherSpoken,
}

/// What is known of whoever speaks beside who they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Speaks {
    /// Since when they follow the channel, in milliseconds since 1970.
    pub(crate) following_since_ms: Option<i64>,
    /// Whether they said something here before; `None`: nobody asked.
    pub(crate) before: Option<bool>,
}

/// What an event means for those who read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Something was said.
    Said(Arc<ChatMessage>),
    /// Something is taken away.
    Removed(Removed),
    /// What somebody may do has changed; what they said may be taken away with it.
    Standing {
        /// Who.
        user: UserId,
        /// Whether what they said goes.
        removed: bool,
    },
    /// The rules or what is pinned; whether the poll is another one, or closed.
    Room {
        /// Whether the poll is.
        poll: bool,
    },
    /// Something waits for those who moderate.
    Held(Box<HeldMessage>),
    /// Something waits no more.
    Reviewed(MessageReviewed),
}

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    channel: ChannelName,
    owner: UserId,
    moderators: HashSet<UserId>,
    state: RoomUpdated,
    blocked: Blocked,
    site_emotes: Vec<String>,
    site_contact: String,
    /// Names of the channel's and of the site's.
    emotes: HashSet<String>,
    /// Oldest first.
    recent: VecDeque<Arc<ChatMessage>>,
    ids: HashSet<MessageId>,
    /// Of the recent ones.
    nonces: HashMap<(UserId, String), MessageId>,
    /// What was taken away, so that it is not shown when it comes late.
    removed: VecDeque<MessageId>,
    /// Published, without an answer of the bus.
    unsure: BTreeMap<MessageId, Arc<ChatMessage>>,
    /// Of people who are here, and of those the bus tells of.
    sanctions: HashMap<UserId, Sanction>,
    /// The same of who subscribes.
    subscriptions: HashMap<UserId, Subscription>,
    /// Who is banned from all rooms of the owner, and why. As above.
    owner_bans: HashMap<UserId, String>,
    /// Who is banned from all rooms of the site, and why. As above.
    site_bans: HashMap<UserId, String>,
    /// When people spoke last, in milliseconds since 1970.
    spoke: HashMap<UserId, i64>,
    meters: HashMap<UserId, Meter>,
    meter: Meter,
    /// What was said lately, by what it comes to.
    alike: VecDeque<(i64, String)>,
    /// The votes are others than those that were told here.
    poll_news: bool,
}

impl Room {
    pub(crate) fn new(channel: ChannelName, record: RoomRecord) -> Self {
        let RoomRecord { owner, moderators, state, site_emotes, site_contact, .. } = record;
        Self {
            emotes: emotes_of(&state, &site_emotes),
            site_emotes,
            site_contact,
            channel,
            owner,
            moderators: moderators.into_iter().collect(),
            blocked: Blocked::new(&state.settings.blocked_terms),
            state,
            recent: VecDeque::new(),
            ids: HashSet::new(),
            nonces: HashMap::new(),
            removed: VecDeque::new(),
            unsure: BTreeMap::new(),
            sanctions: HashMap::new(),
            subscriptions: HashMap::new(),
            owner_bans: HashMap::new(),
            site_bans: HashMap::new(),
            spoke: HashMap::new(),
            meters: HashMap::new(),
            meter: Meter::default(),
            alike: VecDeque::new(),
            poll_news: false,
        }
    }

    /// What is kept of the room now.
    pub(crate) fn renew(&mut self, record: RoomRecord) {
        self.owner = record.owner;
        self.moderators = record.moderators.into_iter().collect();
        self.site_emotes = record.site_emotes;
        self.site_contact = record.site_contact;
        if record.state.version >= self.state.version {
            self.set_state(record.state);
        } else {
            self.emotes = emotes_of(&self.state, &self.site_emotes);
        }
    }

    fn set_state(&mut self, mut state: RoomUpdated) {
        if let (Some(poll), Some(before)) = (&mut state.poll, &mut self.state.poll)
            && poll.id == before.id
            && poll.counts.is_empty()
        {
            // How people have voted so far comes by itself.
            poll.counts = std::mem::take(&mut before.counts);
        }
        self.blocked = Blocked::new(&state.settings.blocked_terms);
        self.emotes = emotes_of(&state, &self.site_emotes);
        self.state = state;
    }

    /// How people have voted so far.
    pub(crate) fn count(&mut self, counted: &PollCounted) {
        if let Some(poll) = self.state.poll.as_mut().filter(|poll| poll.id == counted.poll)
            && poll.stage != PollStage::Closed
            && poll.counts != counted.counts
        {
            poll.counts.clone_from(&counted.counts);
            self.poll_news = true;
        }
    }

    /// The poll, if there is something of it that nobody was told here.
    pub(crate) fn poll_news(&mut self) -> Option<&Poll> {
        self.state.poll.as_ref().filter(|_| std::mem::take(&mut self.poll_news))
    }

    /// The poll as it is.
    pub(crate) fn poll(&self) -> Option<&Poll> {
        self.state.poll.as_ref()
    }

    /// The poll that whoever comes in is shown.
    pub(crate) fn shown_poll(&self, now_ms: i64) -> Option<&Poll> {
        let lately = |poll: &&Poll| poll.closes_at.as_millisecond().saturating_add(POLL_SHOWN_MS) > now_ms;
        self.state.poll.as_ref().filter(lately)
    }

    pub(crate) fn view(&self) -> RoomView {
        RoomView::new(self.channel.clone(), &self.state)
    }

    /// Puts what is kept before what was heard since.
    pub(crate) fn remember(&mut self, kept: Vec<Arc<ChatMessage>>) {
        let heard = std::mem::take(&mut self.recent);
        self.ids.clear();
        self.nonces.clear();
        for message in kept.into_iter().chain(heard) {
            self.push(message);
        }
    }

    fn push(&mut self, message: Arc<ChatMessage>) -> bool {
        if self.removed.contains(&message.id) || !self.ids.insert(message.id) {
            return false;
        }
        if let Some(key) = key_of(&message) {
            if let Some(first) = self.nonces.get(&key).copied().filter(|first| *first != message.id) {
                // Said twice at two nodes: the first one holds.
                self.ids.remove(&message.id);
                debug_assert!(self.ids.contains(&first), "nonces are those of recent messages");
                return false;
            }
            self.nonces.insert(key, message.id);
        }
        self.recent.push_back(message);
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
        {
            self.forget(&oldest);
        }
        true
    }

    fn forget(&mut self, message: &ChatMessage) {
        self.ids.remove(&message.id);
        if let Some(key) = key_of(message) {
            self.nonces.remove(&key);
        }
    }

    /// What somebody is here now.
    pub(crate) fn author(&self, chatter: &Chatter, now_ms: i64) -> Author {
        let mut badges = Vec::new();
        let mut add = |is: bool, badge| {
            if is {
                badges.push(badge);
            }
        };
        add(chatter.user == self.owner, Badge::Broadcaster);
        add(chatter.admin, Badge::Admin);
        add(self.moderators.contains(&chatter.user), Badge::Moderator);
        add(self.state.vips.contains(&chatter.user), Badge::Vip);
        add(self.subscribes(chatter.user, now_ms), Badge::Subscriber);
        add(chatter.bot, Badge::Bot);
        Author {
            id: chatter.user,
            name: chatter.name.clone(),
            display_name: chatter.display_name.clone(),
            badges,
        }
    }

    /// What is known of somebody from the store: what the bus said since is newer.
    pub(crate) fn meet(&mut self, user: UserId, standing: &Standing) {
        if let Some(sanction) = &standing.sanction {
            self.sanctions.entry(user).or_insert_with(|| sanction.clone());
        }
        if let Some(subscription) = standing.subscription {
            self.subscriptions.entry(user).or_insert(subscription);
        }
        let bans = [(&mut self.owner_bans, &standing.owner_ban), (&mut self.site_bans, &standing.site_ban)];
        for (bans, ban) in bans {
            if let Some(reason) = ban {
                bans.entry(user).or_insert_with(|| reason.clone());
            }
        }
    }

    /// Somebody left: what is kept of them is asked for again.
    pub(crate) fn part(&mut self, user: UserId) {
        self.sanctions.remove(&user);
        self.subscriptions.remove(&user);
        self.owner_bans.remove(&user);
        self.site_bans.remove(&user);
    }

    pub(crate) fn you(&self, chatter: &Chatter, now_ms: i64) -> You {
        let author = self.author(chatter, now_ms);
        let moderates = moderates(&author.badges);
        let why_not = self.silenced(chatter, moderates, now_ms);
        You { author, moderates, may_send: why_not.is_none(), why_not }
    }

    fn subscribes(&self, user: UserId, now_ms: i64) -> bool {
        self.subscriptions.get(&user).is_some_and(|one| one.until_ms.is_none_or(|until| until > now_ms))
    }

    fn sanction(&self, user: UserId, now_ms: i64) -> Option<&Sanction> {
        self.sanctions.get(&user).filter(|sanction| sanction.until_ms.is_none_or(|until| until > now_ms))
    }

    /// Why somebody says nothing here, if that is so: what counts in most rooms first. Who moderates is held by the site
    /// alone, and who administers it by nobody.
    fn silenced(&self, chatter: &Chatter, moderates: bool, now_ms: i64) -> Option<WhyNot> {
        if let Some(reason) = self.site_bans.get(&chatter.user).filter(|_| !chatter.admin) {
            let contact = self.site_contact.trim();
            let appeal =
                if contact.is_empty() { String::new() } else { format!("You can write to {contact}.") };
            let detail = because("An admin banned you from all chats of this site.", reason, &appeal);
            return Some(WhyNot { code: Code::Banned, detail, until: None });
        }
        if moderates {
            return None;
        }
        let appeal = self.state.settings.appeal.trim();
        if let Some(reason) = self.owner_bans.get(&chatter.user) {
            let what = "The owner of this channel banned you from the chats of all their channels.";
            return Some(WhyNot { code: Code::Banned, detail: because(what, reason, appeal), until: None });
        }
        let sanction = self.sanction(chatter.user, now_ms)?;
        let (code, what) = match sanction.until_ms {
            Some(_) => (Code::TimedOut, "A moderator timed you out."),
            None => (Code::Banned, "A moderator banned you from this chat."),
        };
        let until = sanction.until_ms.and_then(|until| Timestamp::from_millisecond(until).ok());
        Some(WhyNot { code, detail: because(what, &sanction.reason, appeal), until })
    }

    /// What whoever comes in is shown: what came after `resume`, if that is known, or the last messages.
    pub(crate) fn shown(&self, resume: Option<MessageId>) -> (Vec<Arc<ChatMessage>>, bool) {
        let from = resume.and_then(|last| self.recent.iter().rposition(|message| message.id == last));
        match from {
            Some(last) => (self.recent.iter().skip(last + 1).cloned().collect(), true),
            None => {
                let skipped = self.recent.len().saturating_sub(SHOWN);
                (self.recent.iter().skip(skipped).cloned().collect(), false)
            }
        }
    }

    /// What was taken away lately, for whoever may still show it.
    pub(crate) fn removed(&self) -> Option<Removed> {
        (!self.removed.is_empty()).then(|| Removed::Messages(self.removed.iter().copied().collect()))
    }

    /// Decides about a draft. `id` is for a new message, `now` its time.
    ///
    /// # Errors
    /// Why it is not said.
    pub(crate) fn admit(
        &mut self,
        chatter: &Chatter,
        speaks: Speaks,
        draft: &Draft,
        (id, now): (MessageId, Timestamp),
        config: &ChatConfig,
    ) -> Result<Admitted, Refusal> {
        if !draft.has_nonce() {
            let detail =
                "The message has no good nonce. Reload the page; programs send 1 to 64 of A-Z a-z 0-9 _ -.";
            return Err(Refusal::new(Code::Malformed, detail));
        }
        let is_it = |message: &&Arc<ChatMessage>| {
            message.nonce.as_deref() == Some(&draft.nonce)
                && message.author.as_ref().is_some_and(|author| author.id == chatter.user)
        };
        if let Some(message) = self.unsure.values().find(is_it) {
            return Ok(Admitted::Publish(Arc::clone(message)));
        }
        if let Some(id) = self.nonces.get(&(chatter.user, draft.nonce.clone())) {
            return Ok(Admitted::Said(*id));
        }
        let author = self.author(chatter, now.as_millisecond());
        let trust = Trust::of(&author.badges);
        let (kind, text) = match draft.text.trim_start().strip_prefix("/me ") {
            Some(text) => (MessageKind::Action, cleaned(text, MAX_LINES)),
            None => (MessageKind::Text, cleaned(&draft.text, MAX_LINES)),
        };
        let held = self.check(chatter, speaks, &text, trust, now.as_millisecond())?;
        if held == Some(HoldReason::NewPerson) && speaks.before.is_none() {
            return Ok(Admitted::WhetherSpoken);
        }
        let reply_to = draft.reply_to.map(|id| self.quote(id)).transpose()?;
        // What waits is said when somebody decides so; how much of a person may wait is limited where it is kept.
        if held.is_none() {
            self.check_rates(chatter.user, &text, trust, now.as_millisecond(), config)?;
        }
        let message = Arc::new(ChatMessage {
            id,
            at: now,
            kind,
            author: Some(author),
            mentions: mentions(&text),
            text,
            nonce: Some(draft.nonce.clone()),
            reply_to,
            event: None,
            news: None,
        });
        if let Some(why) = held {
            return Ok(Admitted::Hold(message, why));
        }
        if self.unsure.len() >= UNSURE {
            // The bus is away, and more wait than is good for it.
            return Err(Refusal::temporarily_unavailable());
        }
        self.unsure.insert(message.id, Arc::clone(&message));
        Ok(Admitted::Publish(message))
    }

    /// The bus has the message, or will never have it.
    pub(crate) fn settled(&mut self, id: MessageId) {
        self.unsure.remove(&id);
    }

    /// What may be said at all, and by whom; `Some`: not before somebody who moderates has seen it.
    fn check(
        &self,
        chatter: &Chatter,
        speaks: Speaks,
        text: &str,
        trust: Trust,
        now_ms: i64,
    ) -> Result<Option<HoldReason>, Refusal> {
        let settings = &self.state.settings;
        if text.is_empty() {
            return Err(Refusal::new(Code::Empty, "There is nothing in the message that can be seen."));
        }
        let length = text.chars().count();
        if length > usize::from(settings.max_length) {
            let detail =
                format!("The message has {length} characters, and may have {}.", settings.max_length);
            return Err(Refusal::new(Code::TooLong, detail));
        }
        if let Some(WhyNot { code, detail, until }) =
            self.silenced(chatter, trust >= Trust::Moderator, now_ms)
        {
            let retry_after_ms = until.map(|until| until.as_millisecond().saturating_sub(now_ms));
            return Err(Refusal { code, detail, retry_after_ms });
        }
        if trust >= Trust::Moderator {
            return Ok(None);
        }
        let age_ms = now_ms.saturating_sub(chatter.since_ms);
        let wanted_ms = i64::from(settings.account_age_s) * 1000;
        if age_ms < wanted_ms {
            let wait = wanted_ms - age_ms;
            let detail = format!("Your account is too new for this chat. You may speak in {}.", spell(wait));
            return Err(Refusal::after(Code::AccountTooNew, wait, detail));
        }
        if settings.subscribers_only && trust < Trust::Vip && !self.subscribes(chatter.user, now_ms) {
            let detail = format!(
                "Only subscribers may speak in this chat right now. Who is one is said by {}: ask there how to subscribe.",
                self.channel
            );
            return Err(Refusal::new(Code::SubscribersOnly, detail));
        }
        if trust < Trust::Vip
            && let Some(seconds) = settings.followers_only_s
        {
            let wanted_ms = i64::from(seconds) * 1000;
            let Some(since) = speaks.following_since_ms else {
                let detail = "Only people who follow this channel may speak. Follow it, and say it again.";
                return Err(Refusal::new(Code::FollowersOnly, detail));
            };
            let wait = wanted_ms - now_ms.saturating_sub(since);
            if wait > 0 {
                let detail =
                    format!("You follow this channel too shortly to speak. You may in {}.", spell(wait));
                return Err(Refusal::after(Code::FollowersOnly, wait, detail));
            }
        }
        let mut held = None;
        let holds = settings.hold >= Hold::LinksAndTerms;
        let may_link = match settings.links {
            Links::Allowed => true,
            Links::Trusted => trust >= Trust::Vip,
            Links::Nobody => false,
        };
        if !may_link && has_link(text) {
            if !holds {
                return Err(Refusal::new(Code::LinksNotAllowed, "Links are not allowed in this chat."));
            }
            held = Some(HoldReason::Link);
        }
        if settings.emote_only && !only_emotes(text, &self.emotes) {
            return Err(Refusal::new(Code::EmotesOnly, "Only emotes may be sent in this chat."));
        }
        if self.blocked.is_in(text) {
            if !holds {
                let detail = "Your message has a word that may not be said in this chat.";
                return Err(Refusal::new(Code::BlockedTerm, detail));
            }
            held = Some(HoldReason::BlockedTerm);
        }
        if held.is_none() && trust < Trust::Vip {
            held = match settings.hold {
                Hold::Off | Hold::LinksAndTerms => None,
                Hold::NewPeople if speaks.before == Some(true) || self.heard_of(chatter.user) => None,
                Hold::NewPeople => Some(HoldReason::NewPerson),
                Hold::All => Some(HoldReason::Everything),
            };
        }
        Ok(held)
    }

    /// Whether something that somebody said is among what is shown.
    fn heard_of(&self, user: UserId) -> bool {
        self.recent.iter().any(|message| message.author.as_ref().is_some_and(|author| author.id == user))
    }

    fn quote(&self, id: MessageId) -> Result<Quote, Refusal> {
        let gone = || Refusal::new(Code::ReplyUnknown, "The message that you answer is not there any more.");
        let message = self.recent.iter().find(|message| message.id == id).ok_or_else(gone)?;
        let author = message.author.as_ref().ok_or_else(gone)?;
        Ok(Quote { id, name: author.name.clone(), text: beginning(&message.text, QUOTE_MAX).to_owned() })
    }

    fn check_rates(
        &mut self,
        user: UserId,
        text: &str,
        trust: Trust,
        now_ms: i64,
        config: &ChatConfig,
    ) -> Result<(), Refusal> {
        if trust >= Trust::Moderator {
            return Ok(());
        }
        let slow_ms = i64::from(self.state.settings.slow_mode_s) * 1000;
        if trust < Trust::Vip
            && slow_ms > 0
            && let Some(last) = self.spoke.get(&user)
        {
            let wait = last.saturating_add(slow_ms) - now_ms;
            if wait > 0 {
                let detail = format!("This chat is in slow mode. You may speak in {}.", spell(wait));
                return Err(Refusal::after(Code::SlowMode, wait, detail));
            }
        }
        if self.state.settings.unique {
            let essence = essence(text);
            self.alike.retain(|(at, _)| now_ms.saturating_sub(*at) < ALIKE_MS);
            if !essence.is_empty() && self.alike.iter().any(|(_, said)| *said == essence) {
                return Err(Refusal::new(Code::NotUnique, "Somebody said the same a moment ago."));
            }
        }
        if self.meters.len() >= METERS {
            self.meters.retain(|_, meter| !meter.is_rested(now_ms));
        }
        let too_fast = |wait: i64| {
            let detail = format!("You are too fast. You may speak in {}.", spell(wait));
            Refusal::after(Code::RateLimited, wait, detail)
        };
        let meter = self.meters.entry(user).or_default();
        meter.take(Rate::per(config.messages_per_30s, 30), now_ms).map_err(too_fast)?;
        self.meter.take(Rate::per(config.room_messages_per_second, 1), now_ms).map_err(|wait| {
            Refusal::after(Code::RateLimited, wait, "Too many people speak at once. Try again in a second.")
        })?;
        // What another node admits is known a moment later, when it is heard.
        self.spoke.insert(user, now_ms);
        Ok(())
    }

    /// What the bus says about the room. `None`: it was known already, or is not about what is shown.
    pub(crate) fn hear(&mut self, event: &Event) -> Option<Effect> {
        match &event.body {
            EventBody::MessageSent(message) => {
                let message = Arc::new(message.as_ref().clone());
                if !self.push(Arc::clone(&message)) {
                    return None;
                }
                if let Some(author) = &message.author {
                    self.spoken(author, &message);
                }
                Some(Effect::Said(message))
            }
            EventBody::MessageDeleted(deleted) => {
                self.remove(&deleted.removed);
                Some(Effect::Removed(deleted.removed.clone()))
            }
            EventBody::MessageHeld(held) => Some(Effect::Held(held.clone())),
            EventBody::MessageReviewed(reviewed) => Some(Effect::Reviewed(reviewed.clone())),
            EventBody::UserTimedOut(out) => {
                let sanction =
                    Sanction { until_ms: Some(out.until.as_millisecond()), reason: out.reason.clone() };
                Some(self.sanctioned(out.user, sanction))
            }
            EventBody::UserBanned(banned) => {
                let ban = banned.chat.as_ref()?;
                Some(self.sanctioned(ban.user, Sanction { until_ms: None, reason: ban.reason.clone() }))
            }
            EventBody::UserUnbanned(pardoned) => {
                let user = pardoned.chat.as_ref()?.user;
                self.sanctions.remove(&user);
                Some(Effect::Standing { user, removed: false })
            }
            EventBody::SubscriberChanged(changed) => {
                let until_ms = changed.until.map(Timestamp::as_millisecond);
                if changed.subscribes {
                    self.subscriptions.insert(changed.user, Subscription { until_ms });
                } else {
                    self.subscriptions.remove(&changed.user);
                }
                Some(Effect::Standing { user: changed.user, removed: false })
            }
            EventBody::UserBarred(barred) => {
                let user = self.meant(event, barred.owner)?;
                self.bans(barred.owner).insert(user, barred.reason.clone());
                self.remove(&Removed::Author(user));
                Some(Effect::Standing { user, removed: true })
            }
            EventBody::UserUnbarred(unbarred) => {
                let user = self.meant(event, unbarred.owner)?;
                self.bans(unbarred.owner).remove(&user);
                Some(Effect::Standing { user, removed: false })
            }
            EventBody::RoomUpdated(updated) => {
                if updated.version < self.state.version {
                    return None;
                }
                let of = |poll: &Option<Poll>| poll.as_ref().map(|poll| (poll.id, poll.stage));
                let poll = of(&self.state.poll) != of(&updated.poll);
                self.set_state(updated.as_ref().clone());
                Some(Effect::Room { poll })
            }
            _ => None,
        }
    }

    /// Whom an event about many rooms means, if this is one of them.
    fn meant(&self, event: &Event, owner: Option<UserId>) -> Option<UserId> {
        match event.subject {
            Subject::User(user) if owner.is_none_or(|owner| owner == self.owner) => Some(user),
            _ => None,
        }
    }

    fn bans(&mut self, owner: Option<UserId>) -> &mut HashMap<UserId, String> {
        if owner.is_some() { &mut self.owner_bans } else { &mut self.site_bans }
    }

    fn spoken(&mut self, author: &Author, message: &ChatMessage) {
        let at = message.at.as_millisecond();
        let slow_ms = i64::from(self.state.settings.slow_mode_s) * 1000;
        if slow_ms > 0 {
            if self.spoke.len() >= METERS {
                self.spoke.retain(|_, last| last.saturating_add(slow_ms) > at);
            }
            let last = self.spoke.entry(author.id).or_insert(at);
            *last = at.max(*last);
        } else {
            self.spoke.clear();
        }
        if self.state.settings.unique {
            self.alike.push_back((at, essence(&message.text)));
            if self.alike.len() > ALIKE {
                self.alike.pop_front();
            }
        }
    }

    fn sanctioned(&mut self, user: UserId, sanction: Sanction) -> Effect {
        self.sanctions.insert(user, sanction);
        self.remove(&Removed::Author(user));
        Effect::Standing { user, removed: true }
    }

    /// Takes away what somebody said whose account is gone; whether there was something.
    pub(crate) fn forget_author(&mut self, user: UserId) -> bool {
        self.part(user);
        let before = self.recent.len();
        self.remove(&Removed::Author(user));
        self.recent.len() < before
    }

    fn remove(&mut self, removed: &Removed) {
        let goes = |message: &ChatMessage| match removed {
            Removed::Messages(ids) => ids.contains(&message.id),
            Removed::Author(user) => message.author.as_ref().is_some_and(|author| author.id == *user),
            Removed::All(_) => true,
        };
        let (gone, stay): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.recent).into_iter().partition(|message| goes(message));
        self.recent = stay;
        let named = match removed {
            Removed::Messages(ids) => ids.clone(),
            _ => Vec::new(),
        };
        self.removed.extend(gone.iter().map(|message| message.id).chain(named));
        while self.removed.len() > RECENT {
            self.removed.pop_front();
        }
        for message in gone {
            self.forget(&message);
        }
    }
}

/// How much somebody is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    Anybody,
    Vip,
    Moderator,
}

impl Trust {
    fn of(badges: &[Badge]) -> Self {
        if moderates(badges) {
            Self::Moderator
        } else if badges.contains(&Badge::Vip) {
            Self::Vip
        } else {
            Self::Anybody
        }
    }
}

/// What was done to somebody, the reason, and what can be done about it.
fn because(what: &str, reason: &str, appeal: &str) -> String {
    let end = if reason.ends_with(['.', '!', '?']) { "" } else { "." };
    let mut text = what.to_owned();
    if !reason.is_empty() {
        text.push_str(&format!(" Reason: {reason}{end}"));
    }
    if !appeal.is_empty() {
        text.push_str(&format!(" {appeal}"));
    }
    text
}

fn emotes_of(state: &RoomUpdated, of_site: &[String]) -> HashSet<String> {
    state.emotes.iter().map(|emote| &emote.name).chain(of_site).cloned().collect()
}

fn key_of(message: &ChatMessage) -> Option<(UserId, String)> {
    Some((message.author.as_ref()?.id, message.nonce.clone()?))
}

/// A time as people say it, rounded up.
fn spell(ms: i64) -> String {
    let seconds = ms.max(0).saturating_add(999) / 1000;
    match seconds {
        0..=90 => format!("{seconds} s"),
        91..=5_400 => format!("{} minutes", (seconds + 59) / 60),
        5_401..=172_800 => format!("{} hours", (seconds + 3_599) / 3_600),
        _ => format!("{} days", (seconds + 86_399) / 86_400),
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
