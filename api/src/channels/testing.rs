//! A site with people and channels, in a store that goes away with it.
#![expect(clippy::disallowed_methods, reason = "tests make ids")]

use millrace_core::ids::{ChannelId, StreamKeyId, UserId};
use millrace_core::ladder::ChannelLadder;
use millrace_store::Store;

use super::{Channels, Follows, History, NewKey, StreamKeys};
use crate::accounts::{Channel, Playback, Role, StreamKeyRecord, User};
use crate::testing::{Home, store};

pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) channels: Channels,
    pub(crate) keys: StreamKeys,
    pub(crate) follows: Follows,
    pub(crate) history: History,
    _home: Home,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let (home, store) = store().await;
        Self {
            channels: Channels::new(store.clone()),
            keys: StreamKeys::new(store.clone()),
            follows: Follows::new(store.clone()),
            history: History::new(store.clone()),
            store,
            _home: home,
        }
    }

    pub(crate) async fn person(&self, name: &str) -> User {
        let user = person(name);
        self.store.insert(&user).await.unwrap();
        user
    }

    pub(crate) async fn channel(&self, name: &str, owner: &User) -> Channel {
        let channel = channel(name, owner.id);
        self.channels.create(&channel, 100).await.unwrap();
        channel
    }

    pub(crate) async fn key(&self, channel: &Channel, number: u32) -> StreamKeyRecord {
        self.keys.create(channel.id, &new_key(number), 1, 100).await.unwrap()
    }
}

pub(crate) fn person(name: &str) -> User {
    User {
        id: UserId(uuid::Uuid::now_v7()),
        name: name.parse().unwrap(),
        display_name: name.to_uppercase(),
        email: None,
        email_verified: false,
        new_email: None,
        password: None,
        role: Role::Streamer,
        bio: String::new(),
        avatar: None,
        created_at: 1,
        banned_at: None,
    }
}

pub(crate) fn channel(name: &str, owner: UserId) -> Channel {
    Channel {
        id: ChannelId(uuid::Uuid::now_v7()),
        name: name.parse().unwrap(),
        owner,
        title: String::new(),
        category: String::new(),
        tags: Vec::new(),
        language: String::new(),
        description: String::new(),
        playback: Playback::Public,
        ladder: ChannelLadder::default(),
        followers: 0,
        planned: 0,
        moderators: Vec::new(),
        created_at: 1,
    }
}

/// The secret is `secret-{number}`.
pub(crate) fn new_key(number: u32) -> NewKey {
    NewKey {
        id: StreamKeyId(uuid::Uuid::now_v7()),
        name: format!("key {number}"),
        hash: crate::auth::secret::sha256(format!("secret-{number}").as_bytes()),
        hint: number.to_string(),
    }
}
