//! Who may publish: the stream key decides.
//!
//! [`Answers`] is sans-IO: what was found out about keys a moment ago, so that encoders that reconnect cost no store
//! look-up. [`KeyAuthority`] is the shell that asks the store.
#![expect(
    clippy::disallowed_methods,
    reason = "shell: clock, a time limit, a task that notes the use of a key"
)]

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_core::bus::{Bus, Topic, traced};
use millrace_core::event::{EventBody, KeyRevoked};
use millrace_core::ids::{ChannelName, StreamKeyId};
use millrace_core::ladder::ChannelLadder;
use millrace_core::places::subscriber;
use millrace_core::playback::Access;
use millrace_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::accounts::{Role, User};
use crate::auth::secret::{same, sha256};
use crate::channels::{Channels, StreamKeys};
use crate::error::chain;

/// How long a key that may publish is not asked for again.
const GRANTED_FOR: Duration = Duration::from_secs(10);
/// How long a key that may not is not asked for again. A ban can be lifted.
const REFUSED_FOR: Duration = Duration::from_secs(2);
/// Keys that are remembered, of each kind.
const REMEMBERED: usize = 4096;
/// The time in which an address may be wrong so often.
const ATTEMPTS_WITHIN: Duration = Duration::from_secs(60);
/// Addresses whose attempts are counted.
const ADDRESSES: usize = 8192;
/// How long the store may take; encoders wait ten seconds for an answer.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// Longest text that can be a stream key.
const KEY_MAX_BYTES: usize = 200;

/// A key may publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Where to.
    pub channel: ChannelName,
    /// Which key.
    pub key: StreamKeyId,
    /// Whether what is published needs a playback token.
    pub access: Access,
    /// What the channel wants of rungs.
    pub ladder: ChannelLadder,
}

/// Why a key may not publish. `Display` is the sentence for the person at the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The field is empty.
    #[error("There is no stream key. Copy it from the stream manager into your encoder's stream key field.")]
    NoKey,
    /// Nobody has this key.
    #[error("This stream key is unknown. Copy it again from the stream manager; it begins with live_.")]
    UnknownKey,
    /// It had its time.
    #[error("This stream key was revoked. Copy a new one from the stream manager into your encoder.")]
    RevokedKey,
    /// The person may not sign in.
    #[error(
        "The account of this channel is banned from this site. Its owner can ask the site's administrator."
    )]
    Banned,
    /// The person may watch only.
    #[error(
        "The account of this channel may watch but not stream. Ask the site's administrator to allow it."
    )]
    NotAllowed,
    /// Too many wrong keys from this address.
    #[error("Too many wrong stream keys came from your address. Check the key, and try again in a minute.")]
    TooManyAttempts,
    /// Nobody can say.
    #[error(
        "The server cannot check stream keys right now. Keep the encoder trying; it will work in a moment."
    )]
    StoreDown,
}

impl Refused {
    /// Name of the kind, for counting.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::UnknownKey => "unknown_key",
            Self::RevokedKey => "revoked_key",
            Self::Banned => "banned",
            Self::NotAllowed => "not_allowed",
            Self::TooManyAttempts => "too_many_attempts",
            Self::StoreDown => "store_down",
        }
    }
}

/// A table that forgets the oldest entry when it is full.
#[derive(Debug)]
struct Recent<V> {
    values: HashMap<String, V>,
    order: VecDeque<String>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: VecDeque::new() }
    }
}

impl<V> Recent<V> {
    fn put(&mut self, hash: &str, value: V) {
        if self.values.insert(hash.to_owned(), value).is_none() {
            self.order.push_back(hash.to_owned());
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.values.remove(&oldest);
            }
        }
    }
}

/// What is known without the store.
#[derive(Debug)]
pub struct Answers {
    granted: Recent<(Granted, Instant)>,
    refused: Recent<(Refused, Instant)>,
    /// For ever: a revoked key never publishes again.
    revoked: Recent<()>,
    /// When counting began, and how many were wrong since.
    attempts: HashMap<IpAddr, (Instant, u32)>,
    attempts_max: u32,
}

impl Answers {
    /// Nothing is known. An address may be wrong `attempts_max` times within a minute.
    #[must_use]
    pub fn new(attempts_max: u32) -> Self {
        Self {
            granted: Recent::default(),
            refused: Recent::default(),
            revoked: Recent::default(),
            attempts: HashMap::new(),
            attempts_max,
        }
    }

    /// The answer for the key with this hash, if it is known.
    #[must_use]
    pub fn find(&self, now: Instant, hash: &str, address: IpAddr) -> Option<Result<Granted, Refused>> {
        if self.revoked.values.contains_key(hash) {
            return Some(Err(Refused::RevokedKey));
        }
        if let Some((granted, until)) = self.granted.values.get(hash)
            && *until > now
        {
            return Some(Ok(granted.clone()));
        }
        if let Some((refused, until)) = self.refused.values.get(hash)
            && *until > now
        {
            return Some(Err(*refused));
        }
        let (since, count) = self.attempts.get(&subscriber(address)).copied()?;
        let counts = now.saturating_duration_since(since) < ATTEMPTS_WITHIN;
        (counts && count >= self.attempts_max).then_some(Err(Refused::TooManyAttempts))
    }

    /// Learns what the store said.
    pub fn learn(&mut self, now: Instant, hash: &str, address: IpAddr, answer: &Result<Granted, Refused>) {
        match answer {
            Ok(granted) => self.granted.put(hash, (granted.clone(), now + GRANTED_FOR)),
            Err(Refused::RevokedKey) => {
                self.revoked.put(hash, ());
                self.count(now, address);
            }
            // Whoever is told this comes again by itself.
            Err(Refused::StoreDown) => {}
            Err(refused) => {
                self.refused.put(hash, (*refused, now + REFUSED_FOR));
                self.count(now, address);
            }
        }
    }

    /// A key was revoked a moment ago.
    pub fn revoke(&mut self, key: StreamKeyId) {
        let hash = self.granted.values.iter().find(|(_, (granted, _))| granted.key == key);
        if let Some(hash) = hash.map(|(hash, _)| hash.clone()) {
            self.revoked.put(&hash, ());
        }
    }

    /// Something about a channel or its owner changed: it is asked for again.
    pub fn forget(&mut self, channel: &ChannelName) {
        for (granted, until) in self.granted.values.values_mut() {
            if granted.channel == *channel {
                // Never after now.
                *until = until.checked_sub(GRANTED_FOR).unwrap_or(*until);
            }
        }
    }

    fn count(&mut self, now: Instant, address: IpAddr) {
        if self.attempts.len() >= ADDRESSES && !self.attempts.contains_key(&subscriber(address)) {
            self.attempts.retain(|_, (since, _)| now.saturating_duration_since(*since) < ATTEMPTS_WITHIN);
            if self.attempts.len() >= ADDRESSES {
                return;
            }
        }
        let entry = self.attempts.entry(subscriber(address)).or_insert((now, 0));
        if now.saturating_duration_since(entry.0) >= ATTEMPTS_WITHIN {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

/// `MILLRACE_PUBLISH_AUTH=keys`.
#[derive(Debug)]
pub struct KeyAuthority {
    answers: Mutex<Answers>,
    keys: StreamKeys,
    channels: Channels,
    store: Store,
}

impl KeyAuthority {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store, attempts_max: u32) -> Self {
        Self {
            answers: Mutex::new(Answers::new(attempts_max)),
            keys: StreamKeys::new(store.clone()),
            channels: Channels::new(store.clone()),
            store,
        }
    }

    /// Where a key publishes to.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn authorise(&self, key: &str, address: IpAddr) -> Result<Granted, Refused> {
        if key.is_empty() {
            return Err(Refused::NoKey);
        }
        // What is too long is hashed all the same, so that it is counted like any other wrong key.
        let hash = sha256(key.as_bytes());
        if let Some(answer) = self.with_answers(|answers| answers.find(Instant::now(), &hash, address)) {
            return answer;
        }
        let answer = if key.len() > KEY_MAX_BYTES {
            Err(Refused::UnknownKey)
        } else {
            match tokio::time::timeout(STORE_PATIENCE, self.look_up(&hash)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(err)) => {
                    tracing::error!(err = %chain(&err), "cannot check a stream key: the store does not answer");
                    Err(Refused::StoreDown)
                }
                Err(_) => {
                    tracing::error!(
                        "cannot check a stream key: the store took longer than {STORE_PATIENCE:?}"
                    );
                    Err(Refused::StoreDown)
                }
            }
        };
        self.with_answers(|answers| {
            // A revocation may have come in between; it is not to be forgotten for what was read before it.
            answers.learn(Instant::now(), &hash, address, &answer);
        });
        answer
    }

    async fn look_up(&self, hash: &str) -> Result<Result<Granted, Refused>, StoreError> {
        let Some(key) = self.keys.hashed(hash).await? else { return Ok(Err(Refused::UnknownKey)) };
        if !same(key.hash.as_bytes(), hash.as_bytes()) {
            return Ok(Err(Refused::UnknownKey));
        }
        if key.revoked_at.is_some() {
            return Ok(Err(Refused::RevokedKey));
        }
        let Some(channel) = self.channels.get(key.channel).await? else {
            return Ok(Err(Refused::UnknownKey));
        };
        let Some(owner) = self.store.get::<User>(&channel.owner.to_string()).await? else {
            return Ok(Err(Refused::UnknownKey));
        };
        if owner.banned_at.is_some() {
            return Ok(Err(Refused::Banned));
        }
        if owner.role < Role::Streamer {
            return Ok(Err(Refused::NotAllowed));
        }
        let granted = Granted {
            channel: channel.name,
            key: key.id,
            access: channel.playback.access(),
            ladder: channel.ladder,
        };
        let keys = self.keys.clone();
        // The publish does not wait for the note of its use, and does not need it.
        tokio::spawn(async move {
            if let Err(err) = keys.used(&key, jiff::Timestamp::now().as_millisecond()).await {
                tracing::warn!(err = %chain(&err), "cannot note the use of a stream key");
            }
        });
        Ok(Ok(granted))
    }

    /// Learns what other processes revoke and change, until `shutdown`. Subscribes before it returns the future.
    pub fn follow(
        self: Arc<Self>,
        bus: &dyn Bus,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut orders = bus.subscribe(Topic::Commands);
        async move {
            while let Some(Some(event)) = shutdown.run_until_cancelled(orders.next()).await {
                let learning = async {
                    match (&event.body, event.channel()) {
                        (EventBody::KeyRevoked(KeyRevoked { key }), _) => self.revoke(*key),
                        (EventBody::ChannelUpdated(_), Some(channel)) => self.forget(channel),
                        _ => {}
                    }
                };
                traced::handling("keys", &event, learning).await;
            }
        }
    }

    /// A key was revoked.
    pub fn revoke(&self, key: StreamKeyId) {
        self.with_answers(|answers| answers.revoke(key));
    }

    /// Something about a channel or its owner changed.
    pub fn forget(&self, channel: &ChannelName) {
        self.with_answers(|answers| answers.forget(channel));
    }

    fn with_answers<T>(&self, with: impl FnOnce(&mut Answers) -> T) -> T {
        with(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::testing::Site;
    use crate::channels::{ChannelEdit, LadderChoice, LadderEdit};

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn granted(number: u128) -> Granted {
        let key = StreamKeyId(uuid::Uuid::from_u128(number));
        let channel = "studio".parse().unwrap();
        Granted { channel, key, access: Access::Open, ladder: ChannelLadder::default() }
    }

    #[test]
    fn answers_last_ten_and_two_seconds_and_a_revocation_for_ever() {
        let mut answers = Answers::new(100);
        let now = Instant::now();
        answers.learn(now, "good", HOME, &Ok(granted(1)));
        answers.learn(now, "bad", HOME, &Err(Refused::UnknownKey));
        answers.learn(now, "away", HOME, &Err(Refused::StoreDown));
        let find = |answers: &Answers, after: Duration, hash: &str| answers.find(now + after, hash, HOME);
        let just_before = |time: Duration| time - Duration::from_millis(1);
        assert_eq!(find(&answers, just_before(GRANTED_FOR), "good"), Some(Ok(granted(1))));
        assert_eq!(find(&answers, GRANTED_FOR, "good"), None);
        assert_eq!(find(&answers, just_before(REFUSED_FOR), "bad"), Some(Err(Refused::UnknownKey)));
        assert_eq!(find(&answers, REFUSED_FOR, "bad"), None);
        assert_eq!(find(&answers, Duration::ZERO, "away"), None);
        answers.forget(&"studio".parse().unwrap());
        assert_eq!(find(&answers, Duration::ZERO, "good"), None);
        answers.revoke(granted(1).key);
        for hours in [0, 1, 100] {
            let after = Duration::from_secs(3600 * hours);
            assert_eq!(find(&answers, after, "good"), Some(Err(Refused::RevokedKey)));
        }
    }

    #[test]
    fn an_address_is_wrong_only_so_often_and_that_heals() {
        let mut answers = Answers::new(3);
        let now = Instant::now();
        let block = |last: u16| IpAddr::V6([0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into());
        answers.learn(now, "good", block(1), &Ok(granted(1)));
        for number in 0..3 {
            assert_eq!(answers.find(now, &number.to_string(), block(number)), None);
            answers.learn(now, &number.to_string(), block(number), &Err(Refused::UnknownKey));
        }
        assert_eq!(answers.find(now, "next", block(9)), Some(Err(Refused::TooManyAttempts)));
        assert_eq!(answers.find(now, "next", HOME), None, "others are not concerned");
        assert_eq!(answers.find(now, "good", block(9)), Some(Ok(granted(1))), "nor is who publishes there");
        assert_eq!(answers.find(now + ATTEMPTS_WITHIN, "next", block(9)), None);
    }

    #[test]
    fn tables_are_bounded() {
        let mut answers = Answers::new(3);
        let now = Instant::now();
        for number in 0..3 * REMEMBERED as u32 {
            let address = IpAddr::V4(number.into());
            answers.learn(now, &format!("u{number}"), address, &Err(Refused::UnknownKey));
            answers.learn(now, &format!("g{number}"), address, &Ok(granted(u128::from(number))));
            answers.learn(now, &format!("r{number}"), address, &Err(Refused::RevokedKey));
        }
        let sizes = [answers.granted.order.len(), answers.refused.order.len(), answers.revoked.order.len()];
        assert_eq!(sizes, [REMEMBERED; 3]);
        assert_eq!(answers.granted.values.len(), REMEMBERED);
        assert!(answers.attempts.len() <= ADDRESSES);
    }

    #[tokio::test]
    async fn every_reason_has_its_sentence() {
        let site = Site::new().await;
        let authority = KeyAuthority::new(site.store.clone(), 100);
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        let rungs = LadderEdit { mode: LadderChoice::Off, rungs: None };
        let edit = ChannelEdit { ladder: Some(rungs), ..ChannelEdit::default() };
        let studio = site.channels.update(studio.id, &edit).await.unwrap();
        assert!(!studio.ladder.is_default());
        let key = site.key(&studio, 1).await;
        let revoked = site.key(&studio, 2).await;
        site.keys.revoke(studio.id, revoked.id, 1).await.unwrap();
        let ask = async |key: &str| authority.authorise(key, HOME).await;
        let granted = Granted {
            channel: studio.name.clone(),
            key: key.id,
            access: Access::Open,
            ladder: studio.ladder.clone(),
        };
        assert_eq!(ask("secret-1").await, Ok(granted));
        assert_eq!(ask("").await, Err(Refused::NoKey));
        assert_eq!(ask("secret-9").await, Err(Refused::UnknownKey));
        assert_eq!(ask(&"x".repeat(KEY_MAX_BYTES + 1)).await, Err(Refused::UnknownKey));
        assert_eq!(ask("secret-2").await, Err(Refused::RevokedKey));
        for (name, change, reason) in [
            ("bob", (|user: &mut User| user.banned_at = Some(1)) as fn(&mut User), Refused::Banned),
            ("eve", |user: &mut User| user.role = Role::Viewer, Refused::NotAllowed),
        ] {
            let owner = site.person(name).await;
            let channel = site.channel(&format!("{name}_tv"), &owner).await;
            let number = name.len() as u32 * 100 + u32::from(name.as_bytes()[0]);
            site.key(&channel, number).await;
            let read = site.store.get::<User>(&owner.id.to_string()).await.unwrap().unwrap();
            let mut changed = read.value.clone();
            change(&mut changed);
            site.store.commit(millrace_store::Changes::new().replace(&read, &changed)).await.unwrap();
            assert_eq!(ask(&format!("secret-{number}")).await, Err(reason));
        }
    }

    #[tokio::test]
    async fn with_the_store_away_new_keys_are_refused_for_that_reason_and_known_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let engine = millrace_store::open(&millrace_store::Location::Sqlite, folder.path()).await.unwrap();
        // Without its collections every question fails (on SQLite; MongoDB takes a missing one for an empty one).
        let authority = KeyAuthority::new(Store::new(engine, &[]).await.unwrap(), 1);
        for _ in 0..5 {
            let refused = authority.authorise("secret-1", HOME).await;
            assert_eq!(refused, Err(Refused::StoreDown), "and it is not counted as a wrong key");
        }
        let hash = sha256(b"secret-1");
        authority.with_answers(|answers| answers.learn(Instant::now(), &hash, HOME, &Ok(granted(1))));
        assert_eq!(authority.authorise("secret-1", HOME).await, Ok(granted(1)));
    }

    #[tokio::test]
    async fn a_revoked_key_is_refused_at_once_and_without_the_store() {
        let site = Site::new().await;
        let authority = KeyAuthority::new(site.store.clone(), 100);
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        let key = site.key(&studio, 1).await;
        authority.authorise("secret-1", HOME).await.unwrap();
        // The record stays as it is: the store would say yes.
        authority.revoke(key.id);
        for _ in 0..100 {
            assert_eq!(authority.authorise("secret-1", HOME).await, Err(Refused::RevokedKey));
        }
    }
}
