//! `/api/v1/channels/{name}/chat`: the room and its rules.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use millrace_core::chat::{Hold, Links, RoomSettings, RoomUpdated};
use millrace_core::event::EventBody;
use millrace_core::ids::ChannelName;
use millrace_http::problem::FieldProblem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::line::ChatLine;
use super::{Told, kept_by, note, read_by, rooms, tell};
use crate::ApiState;
use crate::accounts::{Channel, User};
use crate::auth::{Input, Person};
use crate::error::ApiError;
use crate::routes::lists::{invalid_fields, private};
use crate::routes::params::OfChannel;
use crate::routes::path::Path;
use crate::routes::problems::{Anyone, InvalidFields, JsonBody, MayBeRefused, NoSuchChannel, SignedIn};
use crate::routes::profile::Profile;

/// Longest pause between two messages, in seconds.
const SLOW_MODE_MAX_S: u32 = 3_600;
/// Longest time for which somebody may be asked to have followed or to have an account: a year, in seconds.
const AGE_MAX_S: u32 = 365 * 24 * 3_600;
/// Most characters of a message that a room may allow.
const LENGTH_MAX: u16 = 1_000;
/// Most blocked terms of a room, and characters of one.
const TERMS_MAX: usize = 500;
const TERM_MAX: usize = 60;
/// Most characters of what whoever is banned can do about it.
const APPEAL_MAX: usize = 300;
/// Most characters of the rules.
const RULES_MAX: usize = 1_000;

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
    /// Whether only who subscribes may speak, beside who moderates and VIPs.
    subscribers_only: bool,
    /// Whether two messages may not be alike.
    unique: bool,
    /// How old an account must be to speak, in seconds.
    account_age_s: u32,
    /// Who may send links.
    links: LinkPolicy,
    /// Whether nothing but emotes may be said.
    emote_only: bool,
    /// What whoever comes in should know.
    rules: String,
    /// What whoever is banned or timed out reads with the reason.
    #[schema(example = "Write to ada@example.org.")]
    appeal: String,
    /// Whether the room says that a broadcast began or ended.
    system_messages: bool,
    /// Whether the room says who follows the channel.
    follow_messages: bool,
    /// Whether the room says who sends their viewers here.
    raid_messages: bool,
    /// Whether others may send their viewers here.
    takes_raids: bool,
    /// Most characters of a message.
    max_length: u16,
    /// The message on top.
    #[schema(required)]
    pinned: Option<ChatLine>,
    /// For who moderates: which messages wait for them instead of being said.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HoldPolicy>,
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

/// Which messages wait for who moderates instead of being said. Each holds what those before it hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldPolicy {
    /// None.
    Off,
    /// Those with links and blocked terms that would be refused.
    LinksAndTerms,
    /// Those of people who said nothing here before.
    NewPeople,
    /// Everything but what who moderates and VIPs say.
    All,
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
    /// Whether only who subscribes may speak, beside who moderates and VIPs.
    subscribers_only: Option<bool>,
    /// Whether two messages may not be alike.
    unique: Option<bool>,
    /// 0 to a year.
    #[schema(example = 0)]
    account_age_s: Option<u32>,
    /// Who may send links.
    links: Option<LinkPolicy>,
    /// Whether nothing but emotes may be said.
    emote_only: Option<bool>,
    /// Which messages wait for who moderates instead of being said.
    hold: Option<HoldPolicy>,
    /// At most 1000 characters.
    rules: Option<String>,
    /// What whoever is banned or timed out reads with the reason: what they can do about it. At most 300 characters.
    #[schema(example = "Write to ada@example.org.")]
    appeal: Option<String>,
    /// Whether the room says that a broadcast began or ended.
    system_messages: Option<bool>,
    /// Whether the room says who follows the channel.
    follow_messages: Option<bool>,
    /// Whether the room says who sends their viewers here.
    raid_messages: Option<bool>,
    /// Whether others may send their viewers here.
    takes_raids: Option<bool>,
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

impl From<Hold> for HoldPolicy {
    fn from(hold: Hold) -> Self {
        match hold {
            Hold::Off => Self::Off,
            Hold::LinksAndTerms => Self::LinksAndTerms,
            Hold::NewPeople => Self::NewPeople,
            Hold::All => Self::All,
        }
    }
}

impl From<HoldPolicy> for Hold {
    fn from(hold: HoldPolicy) -> Self {
        match hold {
            HoldPolicy::Off => Self::Off,
            HoldPolicy::LinksAndTerms => Self::LinksAndTerms,
            HoldPolicy::NewPeople => Self::NewPeople,
            HoldPolicy::All => Self::All,
        }
    }
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
        subscribers_only: settings.subscribers_only,
        unique: settings.unique,
        account_age_s: settings.account_age_s,
        links: settings.links.into(),
        emote_only: settings.emote_only,
        rules: settings.rules,
        appeal: settings.appeal,
        system_messages: settings.system_messages,
        follow_messages: settings.follow_messages,
        raid_messages: settings.raid_messages,
        takes_raids: settings.takes_raids,
        max_length: settings.max_length,
        pinned: pinned.map(|pinned| ChatLine::of(*pinned, false)),
        hold: moderates.then_some(settings.hold.into()),
        blocked_terms: moderates.then_some(settings.blocked_terms),
        vips: moderates.then_some(people),
    })
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
        let appeal = self.appeal.as_ref().map_or(0, |appeal| appeal.chars().count());
        wrong(appeal > APPEAL_MAX, "/appeal", format!("has {appeal} characters; write at most {APPEAL_MAX}"));
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
        set(&mut settings.subscribers_only, self.subscribers_only.as_ref());
        set(&mut settings.unique, self.unique.as_ref());
        set(&mut settings.account_age_s, self.account_age_s.as_ref());
        set(&mut settings.links, self.links.map(Links::from).as_ref());
        set(&mut settings.emote_only, self.emote_only.as_ref());
        set(&mut settings.hold, self.hold.map(Hold::from).as_ref());
        set(&mut settings.rules, self.rules.as_ref());
        set(&mut settings.appeal, self.appeal.as_ref());
        set(&mut settings.system_messages, self.system_messages.as_ref());
        set(&mut settings.follow_messages, self.follow_messages.as_ref());
        set(&mut settings.raid_messages, self.raid_messages.as_ref());
        set(&mut settings.takes_raids, self.takes_raids.as_ref());
        set(&mut settings.max_length, self.max_length.as_ref());
        set(&mut settings.blocked_terms, self.blocked_terms.as_ref());
    }
}
