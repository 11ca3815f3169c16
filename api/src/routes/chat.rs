//! Chat rooms beside their WebSocket: `/api/v1/channels/{name}/chat`, its messages, and who keeps order there.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use jiff::Timestamp;
use millrace_core::chat::{
    Badge, ChatBan, ChatMessage, ChatPardon, Links, MessageDeleted, MessageKind, Quote, Removed,
    RoomSettings, RoomUpdated, UserTimedOut,
};
use millrace_core::event::{EventBody, UserBanned, UserUnbanned};
use millrace_core::ids::{ChannelName, MessageId, UserId};
use millrace_http::problem::{FieldProblem, Problem};
use millrace_store::After;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::channels::{Standing, may_watch, seen, standing, with_standing};
use super::lists::{Asked, Page, cursor, invalid_fields, limit_reached, private, time};
use super::params::{AndPerson, OfChannel, Paging};
use super::path::Path;
use super::problems::{
    Anyone, InvalidFields, JsonBody, LimitReached, MayBeRefused, NoSuchChannel, NoSuchThing, Paged, SignedIn,
    problems,
};
use super::profile::{NoSuchPerson, Profile, person_named};
use crate::ApiState;
use crate::accounts::{Channel, Role, User};
use crate::auth::audit::Audit;
use crate::auth::{Input, Person, Scope, forbidden};
use crate::chat::{Message, Rooms, Sanction, VIPS_MAX};
use crate::error::ApiError;

/// Longest pause between two messages, in seconds.
const SLOW_MODE_MAX_S: u32 = 3_600;
/// Longest time for which somebody may be asked to have followed or to have an account: a year, in seconds.
const AGE_MAX_S: u32 = 365 * 24 * 3_600;
/// Longest time-out, in seconds: four weeks. What is longer is a ban.
const TIMEOUT_MAX_S: u32 = 28 * 24 * 3_600;
/// Most characters of a message that a room may allow.
const LENGTH_MAX: u16 = 1_000;
/// Most blocked terms of a room, and characters of one.
const TERMS_MAX: usize = 500;
const TERM_MAX: usize = 60;
/// Most characters of the rules.
const RULES_MAX: usize = 1_000;
/// Most characters of a reason.
const REASON_MAX: usize = 200;

/// A room.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatRoom {
    /// Whose.
    #[schema(value_type = String, example = "studio")]
    channel: ChannelName,
    /// Seconds between two messages of one person; 0: none.
    slow_mode_s: u32,
    /// For how many seconds somebody must have followed the channel to speak; null: everybody may.
    #[schema(required)]
    followers_only_s: Option<u32>,
    /// Whether two messages may not be alike.
    unique: bool,
    /// How old an account must be to speak, in seconds.
    account_age_s: u32,
    /// Who may send links.
    links: LinkPolicy,
    /// What whoever comes in should know.
    rules: String,
    /// Whether the room says that a broadcast began or ended.
    system_messages: bool,
    /// Most characters of a message.
    max_length: u16,
    /// The message on top.
    #[schema(required)]
    pinned: Option<ChatLine>,
    /// For who moderates: what nobody may say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["spoiler*"]))]
    blocked_terms: Option<Vec<String>>,
    /// For who moderates: whom the channel honours.
    #[serde(skip_serializing_if = "Option::is_none")]
    vips: Option<Vec<Profile>>,
}

/// Who may send links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkPolicy {
    /// Everybody.
    Allowed,
    /// Who moderates, and VIPs.
    Trusted,
    /// Nobody but who moderates.
    Nobody,
}

/// What is to change in a room; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChatRoomEdit {
    /// 0 to 3600.
    #[schema(example = 5)]
    slow_mode_s: Option<u32>,
    /// 0 to a year; null: everybody may speak.
    #[serde(deserialize_with = "given")]
    #[schema(example = 600)]
    followers_only_s: Option<Option<u32>>,
    /// Whether two messages may not be alike.
    unique: Option<bool>,
    /// 0 to a year.
    #[schema(example = 0)]
    account_age_s: Option<u32>,
    /// Who may send links.
    links: Option<LinkPolicy>,
    /// At most 1000 characters.
    rules: Option<String>,
    /// Whether the room says that a broadcast began or ended.
    system_messages: Option<bool>,
    /// 1 to 1000.
    #[schema(example = 500)]
    max_length: Option<u16>,
    /// At most 500, of at most 60 characters. `*` at the end of a word stands for any ending.
    #[schema(example = json!(["spoiler*"]))]
    blocked_terms: Option<Vec<String>>,
}

/// Tells null from absent.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatLine {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    id: MessageId,
    /// When.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// How it is shown.
    kind: ChatLineKind,
    /// Who said it; absent for what the site says.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<ChatAuthor>,
    /// Plain text.
    #[schema(example = "hello @ben")]
    text: String,
    /// What it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<ChatQuote>,
    /// Who is called by `@name` in it.
    #[schema(value_type = Vec<String>, example = json!(["ben"]))]
    mentions: Vec<ChannelName>,
    /// For who moderates: whether it was taken away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
}

/// How a message is shown.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatLineKind {
    /// As it is.
    Text,
    /// What the author does.
    Action,
    /// The site says it.
    System,
}

/// Who said a message, as it was then.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatAuthor {
    /// The account.
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    /// The name.
    #[schema(value_type = String, example = "ada")]
    name: ChannelName,
    /// As it is shown.
    display_name: String,
    /// What they are in this room.
    badges: Vec<ChatBadge>,
}

/// What somebody is in a room.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatBadge {
    /// Whose channel it is.
    Broadcaster,
    /// Administers the site.
    Admin,
    /// Moderates the channel.
    Moderator,
    /// Honoured by the channel.
    Vip,
    /// Speaks through an API token.
    Bot,
}

/// What a message answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatQuote {
    /// Which.
    #[schema(value_type = String, format = "uuid")]
    id: MessageId,
    /// Whose.
    #[schema(value_type = String, example = "ben")]
    name: ChannelName,
    /// How it begins.
    #[schema(example = "is anybody there?")]
    text: String,
}

/// Somebody who may say nothing in a room.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatSanction {
    /// Who.
    #[serde(flatten)]
    person: Profile,
    /// Until when; null: for good.
    #[schema(value_type = Option<String>, format = "date-time", required)]
    until: Option<Timestamp>,
    /// Why: the person is told.
    #[schema(example = "advertising")]
    reason: String,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
}

/// For how long, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatSanctionEdit {
    /// 1 s to four weeks; absent: for good.
    #[serde(default)]
    #[schema(example = 600)]
    seconds: Option<u32>,
    /// The person is told. At most 200 characters.
    #[serde(default)]
    #[schema(example = "advertising")]
    reason: String,
}

/// Which message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatPin {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    message: MessageId,
}

/// From which message on.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Before {
    /// The id of a message: what was said before it. For pages that begin with what the WebSocket showed.
    #[param(example = "0198c6d2-0000-7000-8000-000000000000", format = "uuid")]
    #[expect(dead_code, reason = "only described")]
    before: Option<String>,
}

/// Which message of the channel.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AndMessage {
    /// Its id.
    #[param(example = "0198c6d2-0000-7000-8000-000000000000", format = "uuid")]
    #[expect(dead_code, reason = "only described")]
    message: String,
}

problems! {
    /// Chat has to be told.
    Told => [untold()];
    /// Nobody keeps order among those who keep it.
    Untouchable => [untouchable()];
}

fn untold() -> Problem {
    let detail = "It is kept, but the chat servers cannot be told right now. Do it again in a few seconds.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "chat-unavailable", "Chat unavailable", detail)
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

fn untouchable() -> Problem {
    forbidden(
        "Nobody but the owner of the channel may do this to somebody who moderates it, and nobody to its owner.",
    )
}

impl From<Links> for LinkPolicy {
    fn from(links: Links) -> Self {
        match links {
            Links::Allowed => Self::Allowed,
            Links::Trusted => Self::Trusted,
            Links::Nobody => Self::Nobody,
        }
    }
}

impl From<LinkPolicy> for Links {
    fn from(links: LinkPolicy) -> Self {
        match links {
            LinkPolicy::Allowed => Self::Allowed,
            LinkPolicy::Trusted => Self::Trusted,
            LinkPolicy::Nobody => Self::Nobody,
        }
    }
}

impl From<Badge> for ChatBadge {
    fn from(badge: Badge) -> Self {
        match badge {
            Badge::Broadcaster => Self::Broadcaster,
            Badge::Admin => Self::Admin,
            Badge::Moderator => Self::Moderator,
            Badge::Vip => Self::Vip,
            Badge::Bot => Self::Bot,
        }
    }
}

impl ChatLine {
    fn of(message: ChatMessage, removed: bool) -> Self {
        let quote = |Quote { id, name, text }| ChatQuote { id, name, text };
        Self {
            id: message.id,
            at: message.at,
            kind: match message.kind {
                MessageKind::Text => ChatLineKind::Text,
                MessageKind::Action => ChatLineKind::Action,
                MessageKind::System => ChatLineKind::System,
            },
            author: message.author.map(|author| ChatAuthor {
                id: author.id,
                name: author.name,
                display_name: author.display_name,
                badges: author.badges.into_iter().map(Into::into).collect(),
            }),
            text: message.text,
            reply_to: message.reply_to.map(quote),
            mentions: message.mentions,
            removed,
        }
    }
}

fn rooms(state: &ApiState) -> Rooms {
    Rooms::new(state.store().clone())
}

/// The channel, for somebody who may keep order in its room.
async fn kept_by(state: &ApiState, person: &Person, name: &str) -> Result<Channel, ApiError> {
    with_standing(state, person, name, Standing::Moderator, Scope::Chat).await
}

/// The channel, for somebody who may read its room; whether they moderate it.
async fn read_by(state: &ApiState, person: Option<&Person>, name: &str) -> Result<(Channel, bool), ApiError> {
    let channel = seen(state, person, name).await?;
    if !may_watch(state, person, &channel).await? {
        return Err(forbidden("Only followers of this channel may read its chat.").into());
    }
    let moderates = person.is_some_and(|person| standing(person, &channel) >= Standing::Moderator);
    Ok((channel, moderates))
}

async fn view(
    state: &ApiState,
    channel: &Channel,
    room: RoomUpdated,
    moderates: bool,
) -> Result<ChatRoom, ApiError> {
    let RoomUpdated { settings, pinned, vips, .. } = room;
    let mut people = Vec::new();
    if moderates {
        for vip in vips {
            // Whoever is gone is left out.
            people.extend(state.store().get::<User>(&vip.to_string()).await?.map(|user| Profile::of(&user)));
        }
    }
    Ok(ChatRoom {
        channel: channel.name.clone(),
        slow_mode_s: settings.slow_mode_s,
        followers_only_s: settings.followers_only_s,
        unique: settings.unique,
        account_age_s: settings.account_age_s,
        links: settings.links.into(),
        rules: settings.rules,
        system_messages: settings.system_messages,
        max_length: settings.max_length,
        pinned: pinned.map(|pinned| ChatLine::of(*pinned, false)),
        blocked_terms: moderates.then_some(settings.blocked_terms),
        vips: moderates.then_some(people),
    })
}

/// Tells every node of chat.
async fn tell(state: &ApiState, channel: &Channel, body: EventBody) -> Result<(), ApiError> {
    let told = state.studio().tell_room(&channel.name, body).await;
    told.map_err(|err| {
        tracing::error!(stream.id = %channel.name, %err, "the chat of {} is not told what was done", channel.name);
        untold().into()
    })
}

/// Notes who did it.
async fn note(
    state: &ApiState,
    person: &Person,
    channel: &Channel,
    what: (&str, String, &str),
) -> Result<(), ApiError> {
    let (action, target, detail) = what;
    let entry = Audit {
        id: state.new_id(),
        at: state.now_ms(),
        by: Some(person.user),
        action: action.to_owned(),
        target,
        detail: detail.to_owned(),
        scope: format!("channel:{}", channel.id),
    };
    Ok(state.store().insert(&entry).await?)
}

/// Shows the room of a channel.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chat", operation_id = "getChat", tag = "Chat",
    security((), ("session" = []), ("token" = [])),
    params(OfChannel),
    responses((status = 200, description = "The room", body = ChatRoom), Anyone, NoSuchChannel, MayBeRefused))]
pub(crate) async fn show(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let (channel, moderates) = read_by(&state, person.as_ref(), &name).await?;
    let room = rooms(&state).state(channel.id).await?;
    Ok(private(Json(view(&state, &channel, room, moderates).await?)))
}

/// Changes the rules of a room. For its owner and moderators.
#[utoipa::path(patch, path = "/api/v1/channels/{name}/chat", operation_id = "editChat", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel), request_body = ChatRoomEdit,
    responses(
        (status = 200, description = "The room", body = ChatRoom),
        SignedIn, JsonBody, NoSuchChannel, InvalidFields, Told,
    ))]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: edit, .. }: Input<ChatRoomEdit>,
) -> Result<Response, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    edit.check().map_err(invalid_fields)?;
    let room = rooms(&state).change(channel.id, |room| edit.apply(&mut room.settings)).await?;
    note(&state, &person, &channel, ("chat.settings", channel.name.to_string(), "")).await?;
    tell(&state, &channel, EventBody::RoomUpdated(Box::new(room.clone()))).await?;
    Ok(private(Json(view(&state, &channel, room, true).await?)))
}

impl ChatRoomEdit {
    fn check(&self) -> Result<(), Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let mut wrong = |is_wrong: bool, pointer: &str, detail: String| {
            if is_wrong {
                problems.push(FieldProblem { pointer: pointer.to_owned(), detail });
            }
        };
        let above = |value: Option<u32>, most: u32| value.is_some_and(|value| value > most);
        wrong(above(self.slow_mode_s, SLOW_MODE_MAX_S), "/slow_mode_s", "is 0 to 3600".to_owned());
        let year = "is 0 to 31536000, which is a year";
        wrong(above(self.followers_only_s.flatten(), AGE_MAX_S), "/followers_only_s", year.to_owned());
        wrong(above(self.account_age_s, AGE_MAX_S), "/account_age_s", year.to_owned());
        let length = self.max_length.is_some_and(|length| !(1..=LENGTH_MAX).contains(&length));
        wrong(length, "/max_length", "is 1 to 1000".to_owned());
        let rules = self.rules.as_ref().map_or(0, |rules| rules.chars().count());
        wrong(rules > RULES_MAX, "/rules", format!("has {rules} characters; write at most {RULES_MAX}"));
        let terms = self.blocked_terms.as_deref().unwrap_or_default();
        let long = terms.iter().any(|term| term.chars().count() > TERM_MAX || term.trim().is_empty());
        wrong(
            long || terms.len() > TERMS_MAX,
            "/blocked_terms",
            format!("are at most {TERMS_MAX}, each of 1 to {TERM_MAX} characters"),
        );
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn apply(&self, settings: &mut RoomSettings) {
        fn set<T: Clone>(field: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        set(&mut settings.slow_mode_s, self.slow_mode_s.as_ref());
        set(&mut settings.followers_only_s, self.followers_only_s.as_ref());
        set(&mut settings.unique, self.unique.as_ref());
        set(&mut settings.account_age_s, self.account_age_s.as_ref());
        set(&mut settings.links, self.links.map(Links::from).as_ref());
        set(&mut settings.rules, self.rules.as_ref());
        set(&mut settings.system_messages, self.system_messages.as_ref());
        set(&mut settings.max_length, self.max_length.as_ref());
        set(&mut settings.blocked_terms, self.blocked_terms.as_ref());
    }
}

/// Lists what was said in a room, newest first. Who moderates also sees what was taken away.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chat/messages", operation_id = "listChatMessages", tag = "Chat",
    security((), ("session" = []), ("token" = [])),
    params(OfChannel, Paging, Before),
    responses(
        (status = 200, description = "A page of them", body = Page<ChatLine>),
        Anyone, Paged, NoSuchChannel, NoSuchThing, MayBeRefused,
    ))]
pub(crate) async fn messages(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let (channel, moderates) = read_by(&state, person.as_ref(), &name).await?;
    let asked = Asked::parse(&uri)?;
    let after = match asked.id::<MessageId>("before")? {
        Some(id) => {
            let message = message_of(&state, &channel, id).await?;
            Some(After { value: message.seq.into(), id: message.id.to_string() })
        }
        None => asked.after,
    };
    let found = rooms(&state).messages(channel.id, after, asked.limit).await?;
    let last = found.last().filter(|_| found.len() == asked.limit);
    let next_cursor = last.map(|last| cursor(&After { value: last.seq.into(), id: last.id.to_string() }));
    let shown = found.into_iter().filter(|kept| moderates || kept.removed_by.is_none());
    let items = shown.map(|kept| ChatLine::of(kept.message, kept.removed_by.is_some())).collect();
    Ok(private(Json(Page { items, next_cursor })))
}

/// Takes a message away; harmless if it is gone already. For the owner and moderators of the channel, and for who said it.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/messages/{message}", operation_id = "deleteChatMessage", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndMessage),
    responses((status = 204, description = "Nobody is shown it any more"), SignedIn, NoSuchChannel, NoSuchThing, Told))]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    person: Person,
    Path((name, message)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    person.require(Scope::Chat)?;
    let channel = seen(&state, Some(&person), &name).await?;
    let id: MessageId = message.parse().map_err(|_| Problem::not_found())?;
    if standing(&person, &channel) >= Standing::Moderator {
        // Also what the history does not have yet.
        note(&state, &person, &channel, ("chat.delete", id.to_string(), "")).await?;
    } else if message_of(&state, &channel, id).await?.author != Some(person.user) {
        kept_by(&state, &person, &name).await?;
    }
    let removed = Removed::Messages(vec![id]);
    tell(&state, &channel, EventBody::MessageDeleted(MessageDeleted { removed, by: person.user })).await?;
    unpin_if(&state, &channel, |pinned| pinned.id == id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn message_of(state: &ApiState, channel: &Channel, id: MessageId) -> Result<Message, ApiError> {
    Ok(rooms(state).message(channel.id, id).await?.ok_or_else(Problem::not_found)?)
}

/// Takes everything away that was said in a room. For its owner and moderators.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/messages", operation_id = "clearChat", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel),
    responses((status = 204, description = "The room is empty"), SignedIn, NoSuchChannel, Told))]
pub(crate) async fn clear(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    note(&state, &person, &channel, ("chat.clear", channel.name.to_string(), "")).await?;
    let removed = Removed::All(true);
    tell(&state, &channel, EventBody::MessageDeleted(MessageDeleted { removed, by: person.user })).await?;
    unpin_if(&state, &channel, |_| true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists who was banned or timed out in a room, newest first. For its owner and moderators.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chat/sanctions", operation_id = "listChatSanctions", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, Paging),
    responses((status = 200, description = "A page of them", body = Page<ChatSanction>), SignedIn, Paged, NoSuchChannel))]
pub(crate) async fn sanctions(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let asked = Asked::parse(&uri)?;
    let found = rooms(&state).sanctions(channel.id, asked.after, asked.limit).await?;
    let last = found.last().filter(|_| found.len() == asked.limit);
    let next_cursor = last
        .map(|last| cursor(&After { value: last.at.into(), id: Sanction::id_of(last.channel, last.user) }));
    let mut items = Vec::new();
    for sanction in found {
        let user = state.store().get::<User>(&sanction.user.to_string()).await?;
        items.extend(user.map(|user| ChatSanction {
            person: Profile::of(&user),
            until: sanction.until.map(time),
            reason: sanction.reason,
            at: time(sanction.at),
        }));
    }
    Ok(private(Json(Page { items, next_cursor })))
}

/// Bans a person from a room, or times them out; what they said is taken away. For its owner and moderators.
#[utoipa::path(put, path = "/api/v1/channels/{name}/chat/sanctions/{person}", operation_id = "sanctionChatter", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson), request_body = ChatSanctionEdit,
    responses(
        (status = 204, description = "The person says nothing there"),
        SignedIn, JsonBody, NoSuchChannel, NoSuchPerson, InvalidFields, Untouchable, Told,
    ))]
pub(crate) async fn impose(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
    Input { value: edit, .. }: Input<ChatSanctionEdit>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let reason = edit.check().map_err(invalid_fields)?;
    let other = person_named(&state, &other).await?;
    let touchable = other.id != channel.owner
        && other.role != Role::Admin
        && (!channel.moderators.contains(&other.id) || standing(&person, &channel) == Standing::Owner);
    if !touchable {
        return Err(untouchable().into());
    }
    let now = state.now_ms();
    let until = edit.seconds.map(|seconds| now.saturating_add(i64::from(seconds) * 1_000));
    let sanction = Sanction {
        channel: channel.id,
        user: other.id,
        until,
        reason: reason.clone(),
        by: person.user,
        at: now,
    };
    rooms(&state).impose(&sanction).await?;
    let action = if until.is_some() { "chat.timeout" } else { "chat.ban" };
    note(&state, &person, &channel, (action, other.name.to_string(), &reason)).await?;
    let (user, by) = (other.id, person.user);
    let body = match until {
        Some(until) => EventBody::UserTimedOut(UserTimedOut { user, until: time(until), reason, by }),
        None => EventBody::UserBanned(UserBanned { chat: Some(ChatBan { user, reason, by }) }),
    };
    tell(&state, &channel, body).await?;
    unpin_if(&state, &channel, |pinned| pinned.author.as_ref().is_some_and(|author| author.id == user))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

impl ChatSanctionEdit {
    /// The reason, in one line.
    fn check(&self) -> Result<String, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let mut wrong = |pointer: &str, detail: &str| {
            problems.push(FieldProblem { pointer: pointer.to_owned(), detail: detail.to_owned() });
        };
        if self.seconds.is_some_and(|seconds| !(1..=TIMEOUT_MAX_S).contains(&seconds)) {
            wrong("/seconds", "is 1 to 2419200, which is four weeks; leave it out to ban for good");
        }
        if self.reason.chars().count() > REASON_MAX {
            wrong("/reason", "has at most 200 characters");
        }
        let one_line = self.reason.split_whitespace().collect::<Vec<_>>().join(" ");
        if problems.is_empty() { Ok(one_line) } else { Err(problems) }
    }
}

/// Lifts a ban or a time-out; harmless if there is none. For the owner and moderators of the channel.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/sanctions/{person}", operation_id = "pardonChatter", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson),
    responses((status = 204, description = "The person may speak"), SignedIn, NoSuchChannel, NoSuchPerson, Told))]
pub(crate) async fn pardon(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let other = person_named(&state, &other).await?;
    if rooms(&state).pardon(channel.id, other.id).await? {
        note(&state, &person, &channel, ("chat.pardon", other.name.to_string(), "")).await?;
    }
    let pardon = ChatPardon { user: other.id, by: person.user };
    tell(&state, &channel, EventBody::UserUnbanned(UserUnbanned { chat: Some(pardon) })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a message on top of a room. For its owner and moderators.
#[utoipa::path(put, path = "/api/v1/channels/{name}/chat/pinned", operation_id = "pinChatMessage", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel), request_body = ChatPin,
    responses((status = 204, description = "It is on top"), SignedIn, JsonBody, NoSuchChannel, NoSuchThing, Told))]
pub(crate) async fn pin(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: pin, .. }: Input<ChatPin>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let message = message_of(&state, &channel, pin.message).await?;
    if message.removed_by.is_some() {
        return Err(Problem::not_found().into());
    }
    set_pinned(&state, &person, &channel, Some(message.message)).await
}

/// Takes away what is on top of a room. For its owner and moderators.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/pinned", operation_id = "unpinChatMessage", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel),
    responses((status = 204, description = "Nothing is on top"), SignedIn, NoSuchChannel, Told))]
pub(crate) async fn unpin(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    set_pinned(&state, &person, &channel, None).await
}

/// What was taken away is not on top any more either.
async fn unpin_if(
    state: &ApiState,
    channel: &Channel,
    goes: impl Fn(&ChatMessage) -> bool + Send + Sync,
) -> Result<(), ApiError> {
    let rooms = rooms(state);
    let room = rooms.state(channel.id).await?;
    if !room.pinned.as_deref().is_some_and(&goes) {
        return Ok(());
    }
    let change = |room: &mut RoomUpdated| {
        if room.pinned.as_deref().is_some_and(&goes) {
            room.pinned = None;
        }
    };
    let room = rooms.change(channel.id, change).await?;
    tell(state, channel, EventBody::RoomUpdated(Box::new(room))).await
}

async fn set_pinned(
    state: &ApiState,
    person: &Person,
    channel: &Channel,
    message: Option<ChatMessage>,
) -> Result<StatusCode, ApiError> {
    let target = message.as_ref().map(|message| message.id.to_string()).unwrap_or_default();
    let pinned = message.map(Box::new);
    let room = rooms(state).change(channel.id, |room| room.pinned.clone_from(&pinned)).await?;
    note(state, person, channel, ("chat.pin", target, "")).await?;
    tell(state, channel, EventBody::RoomUpdated(Box::new(room))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Honours a person in a room: no slow mode for them; harmless if it is so already. For the owner of the channel.
#[utoipa::path(put, path = "/api/v1/channels/{name}/chat/vips/{person}", operation_id = "honourChatter", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson),
    responses(
        (status = 204, description = "They are a VIP of the channel"),
        SignedIn, NoSuchChannel, NoSuchPerson, LimitReached, Told,
    ))]
pub(crate) async fn honour(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    set_vip(&state, &person, &name, &other, true).await
}

/// Honours a person no more; harmless if it is so already. For the owner of the channel.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/vips/{person}", operation_id = "dishonourChatter", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson),
    responses((status = 204, description = "They are no VIP"), SignedIn, NoSuchChannel, NoSuchPerson, Told))]
pub(crate) async fn dishonour(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    set_vip(&state, &person, &name, &other, false).await
}

async fn set_vip(
    state: &ApiState,
    person: &Person,
    name: &str,
    other: &str,
    is_vip: bool,
) -> Result<StatusCode, ApiError> {
    let channel = with_standing(state, person, name, Standing::Owner, Scope::Chat).await?;
    let other = person_named(state, other).await?;
    let rooms = rooms(state);
    let now = rooms.state(channel.id).await?.vips;
    if is_vip && now.len() >= VIPS_MAX && !now.contains(&other.id) {
        return Err(limit_reached("VIPs of this channel", VIPS_MAX).into());
    }
    let change = |room: &mut RoomUpdated| {
        room.vips.retain(|vip| *vip != other.id);
        if is_vip {
            room.vips.push(other.id);
        }
    };
    let room = rooms.change(channel.id, change).await?;
    let action = if is_vip { "chat.vip" } else { "chat.unvip" };
    note(state, person, &channel, (action, other.name.to_string(), "")).await?;
    tell(state, &channel, EventBody::RoomUpdated(Box::new(room))).await?;
    Ok(StatusCode::NO_CONTENT)
}
