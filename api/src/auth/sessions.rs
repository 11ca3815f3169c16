//! Sessions: one per browser that is signed in, with a refresh token that changes with every use.
//!
//! The token of a session is followed by `HMAC(secret, token)`. Whoever comes back with the token before within ten
//! seconds (a second tab, a lost answer) gets the same successor; later, it was stolen, by this browser or from it, and
//! the session ends. Old tokens are known by a tag that only this site can make, so that nobody ends sessions by guessing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_core::ids::{SessionId, UserId};
use millrace_store::{Change, Collection, Document, Index, Kept, Order, Query, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::secret::{Secret, hmac_sha256, random, same};
use super::site_secret::site_secret;

/// For how long the token before gets the same successor.
pub const GRACE_MS: i64 = 10_000;
/// Most sessions of one person; the one that was not used for longest makes room.
pub const SESSIONS_MAX: usize = 50;
const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// SHA-256 of the token that is good now.
    pub token: String,
    /// SHA-256 of the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// When the token changed last; also the last use. Milliseconds since 1970.
    pub rotated_at: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// From when on it is no good without another use.
    pub expires_at: i64,
    /// The browser, in a few words.
    pub device: String,
    /// Since when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
    /// Whether it is over because an old token was used again.
    #[serde(default)]
    pub reused: bool,
    /// When a provider last said who sits there: milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<i64>,
}

pub(crate) static SESSIONS: Collection = Collection {
    name: "sessions",
    indexes: &[
        Index { name: "user", fields: &["user", "rotated_at"], unique: false },
        Index { name: "revoked_at", fields: &["revoked_at"], unique: false },
        Index { name: "expires_at", fields: &["expires_at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Session {
    const COLLECTION: &'static Collection = &SESSIONS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// Why a refresh token was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No token of ours, or its session is over.
    Unknown,
    /// An old one: the session is over now. This is whose it was.
    Reused(SessionId, UserId),
}

/// The sessions of everybody.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    secret: [u8; 32],
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Sessions {
    /// In this store; makes the site's secret if there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let secret = site_secret(&store, "refresh").await?;
        Ok(Self { store, secret })
    }

    /// A new session and its first token. The person's oldest one makes room if there are too many; those that did are
    /// returned.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn begin(
        &self,
        id: SessionId,
        user: UserId,
        device: String,
        now_ms: i64,
        lifetime_ms: i64,
    ) -> Result<(Secret, Vec<SessionId>), StoreError> {
        let token = self.token(id, &random());
        let session = Session {
            id,
            user,
            token: token.hash(),
            previous: None,
            rotated_at: now_ms,
            created_at: now_ms,
            expires_at: now_ms.saturating_add(lifetime_ms),
            device,
            revoked_at: None,
            reused: false,
            confirmed_at: None,
        };
        let mut ended = Vec::new();
        let open = self.of(user, now_ms).await?;
        for old in open.iter().skip(SESSIONS_MAX - 1) {
            self.end(old.id, now_ms).await?;
            ended.push(old.id);
        }
        self.store.insert(&session).await?;
        Ok((token, ended))
    }

    /// The sessions of a person that are not over, newest use first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn of(&self, user: UserId, now_ms: i64) -> Result<Vec<Kept<Session>>, StoreError> {
        let query =
            Query::with("user", user.to_string(), 4 * SESSIONS_MAX).ordered("rotated_at", Order::Descending);
        let sessions = self.store.find::<Session>(&query).await?;
        Ok(sessions.into_iter().filter(|one| one.revoked_at.is_none() && one.expires_at > now_ms).collect())
    }

    /// Takes a refresh token and gives its successor.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn rotate(
        &self,
        token: &Secret,
        now_ms: i64,
        lifetime_ms: i64,
    ) -> Result<Result<(Session, Secret), Refused>, StoreError> {
        let Some((id, secret)) = self.read(token) else { return Ok(Err(Refused::Unknown)) };
        let successor = self.token(id, &hmac_sha256(&self.secret, &[b"successor", &secret]));
        let (hash, next) = (token.hash(), successor.hash());
        let change = |mut session: Session| {
            if session.revoked_at.is_some() || session.expires_at <= now_ms {
                return Change::Not(Step::Over);
            }
            if same(session.token.as_bytes(), hash.as_bytes()) {
                session.previous = Some(std::mem::replace(&mut session.token, next.clone()));
                session.rotated_at = now_ms;
                session.expires_at = now_ms.saturating_add(lifetime_ms);
                return Change::To(session);
            }
            let before = session.previous.as_ref().is_some_and(|old| same(old.as_bytes(), hash.as_bytes()));
            if before && now_ms.saturating_sub(session.rotated_at) < GRACE_MS {
                return Change::Not(Step::Again(Box::new(session)));
            }
            session.revoked_at = Some(now_ms);
            session.reused = true;
            Change::To(session)
        };
        Ok(match self.store.update(&id.to_string(), change).await? {
            None | Some(Err(Step::Over)) => Err(Refused::Unknown),
            Some(Err(Step::Again(session))) => Ok((*session, successor)),
            Some(Ok(session)) if session.reused => Err(Refused::Reused(session.id, session.user)),
            Some(Ok(session)) => Ok((session, successor)),
        })
    }

    /// Ends a session; whether it was open.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end(&self, id: SessionId, now_ms: i64) -> Result<bool, StoreError> {
        let change = |mut session: Session| {
            if session.revoked_at.is_some() {
                return Change::Not(());
            }
            session.revoked_at = Some(now_ms);
            Change::To(session)
        };
        Ok(matches!(self.store.update(&id.to_string(), change).await?, Some(Ok(_))))
    }

    /// A provider has just said who sits there.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn confirm(&self, id: SessionId, now_ms: i64) -> Result<(), StoreError> {
        let change =
            |session: Session| Change::<_, ()>::To(Session { confirmed_at: Some(now_ms), ..session });
        self.store.update(&id.to_string(), change).await.map(drop)
    }

    /// When a provider last said who sits there, if the session is open.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn confirmed_at(&self, id: SessionId) -> Result<Option<i64>, StoreError> {
        let session = self.store.get::<Session>(&id.to_string()).await?;
        Ok(session.filter(|session| session.revoked_at.is_none()).and_then(|session| session.confirmed_at))
    }

    /// Sessions that were revoked after `since_ms`, at most `limit`, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn revoked_since(
        &self,
        since_ms: i64,
        limit: usize,
    ) -> Result<Vec<(SessionId, i64)>, StoreError> {
        let query = Query::first(limit).ordered("revoked_at", Order::Descending);
        let sessions = self.store.find::<Session>(&query).await?;
        Ok(sessions
            .into_iter()
            .filter_map(|one| one.revoked_at.filter(|at| *at >= since_ms).map(|at| (one.id, at)))
            .collect())
    }

    /// Removes sessions that have expired.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, now_ms: i64) -> Result<u64, StoreError> {
        self.store.remove_below::<Session>("expires_at", now_ms, 1_000).await
    }

    /// base64url of id, secret and the tag that says that it is ours.
    fn token(&self, id: SessionId, secret: &[u8; SECRET_BYTES]) -> Secret {
        let mut bytes = id.0.as_bytes().to_vec();
        bytes.extend_from_slice(secret);
        bytes.extend_from_slice(&self.tag(id, secret));
        Secret::sent(&URL_SAFE_NO_PAD.encode(bytes))
    }

    fn read(&self, token: &Secret) -> Option<(SessionId, [u8; SECRET_BYTES])> {
        let text = token.reveal();
        if text.len() != (ID_BYTES + SECRET_BYTES + TAG_BYTES).div_ceil(3) * 4 - 2 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID_BYTES>()?;
        let (secret, tag) = rest.split_first_chunk::<SECRET_BYTES>()?;
        let id = SessionId(uuid::Uuid::from_bytes(*id));
        same(tag, &self.tag(id, secret)).then_some((id, *secret))
    }

    fn tag(&self, id: SessionId, secret: &[u8; SECRET_BYTES]) -> [u8; TAG_BYTES] {
        let mac = hmac_sha256(&self.secret, &[b"tag", id.0.as_bytes(), secret]);
        *mac.first_chunk().expect("an HMAC is longer than the tag")
    }
}

/// What a token is when the session does not change.
enum Step {
    Over,
    Again(Box<Session>),
}

/// The browser and system that a `User-Agent` names, in a few words of ours: never its text.
#[must_use]
pub fn device(user_agent: &str) -> String {
    let first = |table: &[(&str, &'static str)]| {
        table.iter().find(|(part, _)| user_agent.contains(part)).map(|f| f.1)
    };
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("YaBrowser", "Yandex Browser"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "Unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Home, store};

    const NOW: i64 = 1_790_000_000_000;
    const LIFE: i64 = 1_000_000;

    async fn sessions() -> (Home, Sessions) {
        let (home, store) = store().await;
        (home, Sessions::open(store).await.unwrap())
    }

    fn id(number: u128) -> SessionId {
        SessionId(uuid::Uuid::from_u128(number))
    }

    fn ada() -> UserId {
        UserId(uuid::Uuid::from_u128(7))
    }

    async fn begin(sessions: &Sessions, number: u128, now: i64) -> Secret {
        sessions.begin(id(number), ada(), "Firefox on Linux".into(), now, LIFE).await.unwrap().0
    }

    #[tokio::test]
    async fn two_tabs_get_the_same_successor_and_a_thief_ends_the_session() {
        let (_dir, sessions) = sessions().await;
        let first = begin(&sessions, 1, NOW).await;
        let (one, two) =
            tokio::join!(sessions.rotate(&first, NOW + 1, LIFE), sessions.rotate(&first, NOW + 1, LIFE));
        let (one, two) = (one.unwrap().unwrap().1, two.unwrap().unwrap().1);
        assert_eq!(one, two);
        assert_ne!(one, first);
        assert_eq!(sessions.rotate(&first, NOW + GRACE_MS, LIFE).await.unwrap().unwrap().1, one);
        let (_, third) = sessions.rotate(&one, NOW + GRACE_MS + 1, LIFE).await.unwrap().unwrap();
        // The first token is two behind: stolen.
        let stolen = sessions.rotate(&first, NOW + GRACE_MS + 2, LIFE).await.unwrap();
        assert_eq!(stolen, Err(Refused::Reused(id(1), ada())));
        assert_eq!(sessions.rotate(&third, NOW + GRACE_MS + 3, LIFE).await.unwrap(), Err(Refused::Unknown));
        assert!(sessions.of(ada(), NOW + GRACE_MS + 3).await.unwrap().is_empty());
        assert_eq!(sessions.revoked_since(NOW, 10).await.unwrap(), [(id(1), NOW + GRACE_MS + 2)]);
    }

    #[tokio::test]
    async fn the_token_before_is_theft_after_ten_seconds() {
        let (_dir, sessions) = sessions().await;
        let first = begin(&sessions, 1, NOW).await;
        sessions.rotate(&first, NOW, LIFE).await.unwrap().unwrap();
        let late = sessions.rotate(&first, NOW + GRACE_MS, LIFE).await.unwrap();
        assert_eq!(late, Err(Refused::Reused(id(1), ada())));
    }

    #[tokio::test]
    async fn made_up_tokens_end_nothing() {
        let (_dir, sessions) = sessions().await;
        let good = begin(&sessions, 1, NOW).await;
        let mut bytes = URL_SAFE_NO_PAD.decode(good.reveal()).unwrap();
        bytes[20] ^= 1;
        for forged in
            [URL_SAFE_NO_PAD.encode(&bytes), String::new(), "a".repeat(86), good.reveal()[1..].into()]
        {
            let answer = sessions.rotate(&Secret::sent(&forged), NOW, LIFE).await.unwrap();
            assert_eq!(answer, Err(Refused::Unknown), "{forged}");
        }
        assert!(sessions.rotate(&good, NOW, LIFE).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn sessions_end_by_time_by_hand_and_by_number() {
        let (_dir, sessions) = sessions().await;
        let token = begin(&sessions, 1, NOW).await;
        assert_eq!(sessions.rotate(&token, NOW + LIFE, LIFE).await.unwrap(), Err(Refused::Unknown));
        assert_eq!(sessions.sweep(NOW + LIFE + 1).await.unwrap(), 1);
        let token = begin(&sessions, 2, NOW).await;
        assert!(sessions.end(id(2), NOW).await.unwrap());
        assert!(!sessions.end(id(2), NOW).await.unwrap());
        assert_eq!(sessions.rotate(&token, NOW, LIFE).await.unwrap(), Err(Refused::Unknown));
        for number in 10..10 + SESSIONS_MAX as u128 + 3 {
            begin(&sessions, number, NOW + i64::try_from(number).unwrap()).await;
        }
        let open = sessions.of(ada(), NOW + 100).await.unwrap();
        assert_eq!(open.len(), SESSIONS_MAX);
        assert!(open.iter().all(|one| one.id != id(10)), "the oldest made room");
    }

    #[test]
    fn devices_are_named_in_our_own_words() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36";
        assert_eq!(device(chrome), "Chrome on Linux");
        assert_eq!(device("<script>"), "Unknown browser");
    }
}
