//! What was said, as programs see it.

use jiff::Timestamp;
use millrace_core::chat::{Badge, ChatMessage, MessageKind, Quote};
use millrace_core::ids::{ChannelName, MessageId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

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
    /// Subscribes to the channel.
    Subscriber,
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

impl From<Badge> for ChatBadge {
    fn from(badge: Badge) -> Self {
        match badge {
            Badge::Broadcaster => Self::Broadcaster,
            Badge::Admin => Self::Admin,
            Badge::Moderator => Self::Moderator,
            Badge::Vip => Self::Vip,
            Badge::Subscriber => Self::Subscriber,
            Badge::Bot => Self::Bot,
        }
    }
}

impl ChatLine {
    pub(super) fn of(message: ChatMessage, removed: bool) -> Self {
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
