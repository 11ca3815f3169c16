//! Everything that is kept, so that it is prepared at start and exported whole.

use millrace_store::Collection;

use super::{channel, identity, user};
use crate::auth::{audit, keys, links, sessions, site_secret, tokens, totp};
use crate::chat::record as chat;
use crate::mail::waiting;
use crate::notices::kept as notices;
use crate::push::{devices, job, vapid};
use crate::webhooks::record as webhooks;
use crate::{raids, reports, schedule, site};

/// The collections of this crate.
pub static COLLECTIONS: &[&Collection] = &[
    &user::USERS,
    &identity::IDENTITIES,
    &channel::CHANNELS,
    &channel::STREAM_KEYS,
    &channel::BROADCASTS,
    &channel::FOLLOWS,
    &channel::BLOCKS,
    &keys::SIGNING_KEYS,
    &tokens::API_TOKENS,
    &sessions::SESSIONS,
    &site_secret::SITE_SECRETS,
    &links::LINKS,
    &waiting::MAILS,
    &totp::SECOND_FACTORS,
    &audit::AUDIT,
    &raids::RAIDS,
    &reports::REPORTS,
    &chat::CHAT_MESSAGES,
    &chat::CHAT_HELD,
    &chat::CHAT_ROOMS,
    &chat::CHAT_VOTES,
    &chat::SUBSCRIBERS,
    &chat::MODERATION,
    &chat::CHAT_BARS,
    &schedule::PLANS,
    &site::SITE_SETTINGS,
    &site::SITE_CHANGES,
    &notices::NOTICES,
    &notices::READERS,
    &job::PUSH_JOBS,
    &devices::DEVICES,
    &vapid::PUSH_KEYS,
    &webhooks::WEBHOOKS,
    &webhooks::WEBHOOK_DELIVERIES,
];
