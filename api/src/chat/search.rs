//! What moderators look for in what was said.
//!
//! A room's messages are read along its index, newest first, and compared here: chat is what a site writes most, so its
//! words are in no index. One question reads so many messages and no more; it says where the next one goes on.

use millrace_core::ids::{ChannelId, UserId};
use millrace_store::{After, Order, Query, StoreError, Words};

use super::{Message, Rooms};

/// Messages that are read at once.
const AT_ONCE: usize = 500;
/// Messages that one question reads.
const READ_MAX: usize = 5_000;

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Only what this person said.
    pub author: Option<UserId>,
    /// Only what has words that begin with each of these.
    pub words: Option<Words>,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// Newest first.
    pub messages: Vec<Message>,
    /// Where to go on; absent where the history ends. There may be more even if nothing was found so far.
    pub next: Option<After>,
}

impl Search {
    fn finds(&self, message: &Message) -> bool {
        self.words.as_ref().is_none_or(|words| words.find(&Words::of(&message.message.text)))
    }
}

impl Rooms {
    /// Looks for messages of a room from a place on, at most `limit` of them.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn search(
        &self,
        channel: ChannelId,
        search: &Search,
        after: Option<After>,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let (mut found, mut from) = (Vec::new(), after);
        for _ in 0..READ_MAX / AT_ONCE {
            let mut query = Query::with("channel", channel.to_string(), AT_ONCE);
            if let Some(author) = search.author {
                query = query.and("author", author.to_string());
            }
            let query = query.ordered("seq", Order::Descending).after(from.take());
            let read = self.0.find::<Message>(&query).await?;
            let last = read.len() < AT_ONCE;
            for message in read {
                let place = After { value: message.seq.into(), id: message.id.to_string() };
                if search.finds(&message) {
                    found.push(message.value);
                    if found.len() == limit {
                        return Ok(Found { messages: found, next: Some(place) });
                    }
                }
                from = Some(place);
            }
            if last {
                return Ok(Found { messages: found, next: None });
            }
        }
        Ok(Found { messages: found, next: from })
    }
}
