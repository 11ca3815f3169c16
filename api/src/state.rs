//! What the handlers share.
#![expect(clippy::disallowed_methods, reason = "shell: the clock and ids of the handlers")]

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use millrace_core::bus::{Bus, Subscriptions, Topic, traced};
use millrace_core::event::{Event, EventBody, STREAM_UPDATE_INTERVAL, SessionRevoked, StoppedBy};
use millrace_core::ids::{ChannelName, SessionId, UserId};
use millrace_core::ladder::LadderPlan;
use millrace_core::viewers::ViewerSketch;
use millrace_store::{Store, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::auth::keys::SigningKeys;
use crate::auth::limits::Limits;
use crate::auth::links::Links;
use crate::auth::password::Passwords;
use crate::auth::people::People;
use crate::auth::person::ACCESS_LIFETIME_S;
use crate::auth::revoked::Revoked;
use crate::auth::secret::Secret;
use crate::auth::sessions::Sessions;
use crate::auth::tokens::Tokens;
use crate::auth::turns::Turns;
use crate::config::AccountsConfig;
use crate::directory::Directory;
use crate::mail::{Mail, Post};
use crate::notices::{Notices, NoticesConfig};
use crate::oauth::Providers;
use crate::playback::PlaybackLinks;
use crate::push::{Push, PushJob};
use crate::reports::Reports;
use crate::site::{IngestAddress, Site, SiteConfig};
use crate::studio::Studio;
use crate::viewers::Audience;
use crate::webhooks::{Webhooks, WebhooksConfig};

/// How often keys and what expired are looked after.
const UPKEEP_EVERY: Duration = Duration::from_secs(600);
/// How often it is learned what another process did: sessions that it ended, settings that it changed.
const LEARN_EVERY: Duration = Duration::from_secs(2);
/// Most channels of one person.
const CHANNELS_MAX: usize = 1_000;
/// How many of them at once.
const REVOKED_LEARNED: usize = 1_000;
/// Mails that nobody sent are removed after this: longer than any is tried.
const MAILS_KEPT_MS: i64 = 2 * 24 * 3_600_000;
/// How many of them at once.
const MAILS_SWEPT: usize = 1_000;
/// Pushes that nobody sent which are removed at once.
const JOBS_SWEPT: usize = 1_000;
/// How often the viewers of the directory are counted anew.
const COUNT_VIEWERS_EVERY: Duration = Duration::from_secs(1);

/// What the state is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where people are kept.
    pub store: Store,
    /// `[accounts]`.
    pub accounts: AccountsConfig,
    /// `[notices]`.
    pub notices: NoticesConfig,
    /// `[webhooks]`.
    pub webhooks: WebhooksConfig,
    /// With whom people may sign in.
    pub providers: Providers,
    /// How mail leaves this site, if it does.
    pub mail: Option<Post>,
    /// What people type to come here, without a slash at the end.
    pub public_url: Option<String>,
    /// Whether people come over https, so that cookies are never sent in the clear.
    pub secure: bool,
    /// `[site]`.
    pub site: SiteConfig,
    /// Where encoders come in.
    pub ingest: IngestAddress,
    /// Hands out addresses of broadcasts.
    pub playback: PlaybackLinks,
    /// The rungs of broadcasts whose channels say nothing else.
    pub ladder: LadderPlan,
}

/// What the handlers share. Clones share it.
#[derive(Clone)]
pub struct ApiState {
    pub(crate) directory: Arc<RwLock<Directory>>,
    pub(crate) audience: Arc<Audience>,
    /// Whether the origin counts viewers by their requests.
    pub(crate) counts_requests: bool,
    started: Instant,
    studio: Arc<Studio>,
    shared: Arc<Shared>,
}

struct Shared {
    setup: Setup,
    keys: SigningKeys,
    revoked: Revoked,
    tokens: Tokens,
    sessions: Sessions,
    people: People,
    links: Links,
    notices: Notices,
    push: Push,
    webhooks: Webhooks,
    passwords: Passwords,
    limits: Limits,
    names: Turns,
    site: Site,
    reports: Reports,
    /// Another process changed what is kept: it is to be read before its time.
    news: Notify,
    clock: Clock,
    #[cfg(test)]
    _home: Option<crate::testing::Home>,
}

/// Milliseconds since 1970.
type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiState")
    }
}

impl ApiState {
    /// The state of a process.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn new(setup: Setup) -> Result<Self, StoreError> {
        let clock = || jiff::Timestamp::now().as_millisecond();
        let keys = SigningKeys::open(setup.store.clone(), clock()).await?;
        let sessions = Sessions::open(setup.store.clone()).await?;
        let site = Site::open(setup.store.clone(), &setup.accounts).await?;
        let push =
            Push::open(setup.store.clone(), setup.notices.clone(), setup.public_url.as_deref(), clock())
                .await?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            directory: Arc::default(),
            audience: Arc::default(),
            counts_requests: true,
            started: Instant::now(),
            studio: Arc::new(Studio::alone(setup.store.clone())),
            shared: Arc::new(Shared {
                keys,
                revoked: Revoked::default(),
                tokens: Tokens::new(setup.store.clone()),
                sessions,
                people: People::new(setup.store.clone()),
                links: Links::new(setup.store.clone()),
                notices: Notices::new(setup.store.clone(), setup.notices.clone()),
                push,
                webhooks: Webhooks::new(setup.store.clone(), setup.webhooks.clone()),
                passwords: Passwords::new(cores),
                limits: Limits::new(&setup.accounts.limits),
                names: Turns::default(),
                site,
                reports: Reports::new(setup.store.clone()),
                news: Notify::new(),
                clock: Box::new(clock),
                setup,
                #[cfg(test)]
                _home: None,
            }),
        })
    }

    /// Looks at the directory.
    pub fn with_directory<T>(&self, look: impl FnOnce(&Directory) -> T) -> T {
        look(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the directory up to date from the bus until `shutdown`. Subscribes before it returns the future, so
    /// that no event after this call is missed.
    pub fn follow(
        &self,
        bus: &dyn Bus,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut events =
            Subscriptions::new(bus, &[Topic::Accounts, Topic::Streams, Topic::Nodes, Topic::Activity]);
        let state = self.clone();
        async move {
            let mut count = tokio::time::interval(COUNT_VIEWERS_EVERY);
            count.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    event = events.next() => match event {
                        Some(event) => {
                            traced::handling("directory", &event, async { state.hear(&event) }).await;
                        }
                        None => return,
                    },
                    _ = count.tick() => state.count_viewers(),
                }
            }
        }
    }

    fn hear(&self, event: &Event) {
        match &event.body {
            EventBody::SessionRevoked(SessionRevoked { session }) => {
                // By the clock here: it is remembered as long as its tokens live, whatever the other's says.
                let now = self.now_ms();
                return self.revoked().add(*session, now, now);
            }
            EventBody::SiteUpdated(_) => return self.shared.news.notify_one(),
            _ => {}
        }
        let (EventBody::ViewersCounted(counted), Some(channel)) = (&event.body, event.channel()) else {
            return self.directory.write().unwrap_or_else(PoisonError::into_inner).apply(event);
        };
        let node = event.source.strip_prefix("/nodes/").and_then(|name| name.parse().ok());
        let sketch = ViewerSketch::parse(&counted.sketch);
        if let (Some(node), Some(sketch)) = (node.filter(|node| node != self.studio().node()), sketch)
            && self.with_directory(|directory| directory.get(channel).is_some())
        {
            self.audience.hear(self.second(), channel, &node, sketch);
        }
    }

    /// Says to other nodes who watches here, until `shutdown`.
    pub async fn share_viewers(self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(STREAM_UPDATE_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
            for (channel, sketch) in self.audience.here(self.second()) {
                self.studio().tell_viewers(&channel, sketch).await;
            }
        }
    }

    /// A player that does not beat asked here for a playlist of another node.
    pub fn saw_request(&self, channel: &ChannelName, viewer: u64) {
        if self.with_directory(|directory| directory.get(channel).is_some()) {
            self.audience.beat(self.second(), channel, viewer);
        }
    }

    /// Says whether the origin counts viewers by their requests; it does unless a cache stands in front.
    #[must_use]
    pub fn counting_requests(self, counts_requests: bool) -> Self {
        Self { counts_requests, ..self }
    }

    /// With the stream manager that reaches the other roles of this process.
    #[must_use]
    pub fn with_studio(self, studio: Arc<Studio>) -> Self {
        Self { studio, ..self }
    }

    /// Channels, their keys, and how other roles are told.
    #[must_use]
    pub fn studio(&self) -> &Studio {
        &self.studio
    }

    /// Seconds since the process started.
    pub(crate) fn second(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Brings the viewers of the directory up to date.
    pub(crate) fn count_viewers(&self) {
        let second = self.second();
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        self.audience.keep(|channel| directory.get(channel).is_some());
        directory.count(|channel| self.audience.viewers(second, channel));
    }

    /// Looks after keys and sessions until `shutdown`.
    pub async fn upkeep(self, shutdown: CancellationToken) {
        let mut upkeep = tokio::time::interval(UPKEEP_EVERY);
        let mut learn = tokio::time::interval(LEARN_EVERY);
        learn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = shutdown.cancelled() => return,
                _ = upkeep.tick() => self.look_after_accounts().await,
                _ = learn.tick() => self.learn().await,
                () = self.shared.news.notified() => self.learn().await,
            };
            if let Err(error) = done {
                tracing::warn!(err = %crate::error::chain(&error), "could not look after accounts; trying again soon");
            }
        }
    }

    async fn look_after_accounts(&self) -> Result<(), StoreError> {
        let now = self.now_ms();
        self.keys().rotate(now).await?;
        self.sessions().sweep(now).await?;
        self.links().sweep(now).await?;
        self.notices().sweep(now).await?;
        self.webhooks().sweep(now).await?;
        // Where nobody sends mail any more.
        self.store().remove_below::<Mail>("due", now.saturating_sub(MAILS_KEPT_MS), MAILS_SWEPT).await?;
        // Where nobody pushes.
        let stale = now.saturating_sub(self.notices().config().push_lifetime_ms());
        self.store().remove_below::<PushJob>("due", stale, JOBS_SWEPT).await?;
        Ok(())
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.setup.store
    }

    /// The keys that sign tokens.
    #[must_use]
    pub fn keys(&self) -> &SigningKeys {
        &self.shared.keys
    }

    /// `[accounts]`.
    #[must_use]
    pub fn accounts(&self) -> &AccountsConfig {
        &self.shared.setup.accounts
    }

    /// What people type to come here, if that was configured.
    #[must_use]
    pub fn public_url(&self) -> Option<&str> {
        self.shared.setup.public_url.as_deref()
    }

    /// With whom people may sign in.
    #[must_use]
    pub fn providers(&self) -> &Providers {
        &self.shared.setup.providers
    }

    /// How mail leaves this site, if it does.
    #[must_use]
    pub fn mail(&self) -> Option<&Post> {
        self.shared.setup.mail.as_ref()
    }

    /// Sends mail until `shutdown`, if this site sends any.
    pub async fn deliver_mail(self, shutdown: CancellationToken) {
        if let Some(post) = self.mail().cloned() {
            post.deliver(self, shutdown).await;
        }
    }

    /// Hands out addresses of broadcasts.
    #[must_use]
    pub fn playback(&self) -> &PlaybackLinks {
        &self.shared.setup.playback
    }

    /// The rungs that the site makes.
    #[must_use]
    pub fn ladder(&self) -> &LadderPlan {
        &self.shared.setup.ladder
    }

    /// Whether cookies are for https only.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.shared.setup.secure
    }

    /// Sessions that ended a moment ago.
    #[must_use]
    pub fn revoked(&self) -> &Revoked {
        &self.shared.revoked
    }

    /// API tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.shared.tokens
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.shared.sessions
    }

    /// Accounts.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.shared.people
    }

    /// Links that work once.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.shared.links
    }

    /// What followers are told.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.shared.notices
    }

    /// Notices on their way to browsers.
    #[must_use]
    pub fn push(&self) -> &Push {
        &self.shared.push
    }

    /// Programs that are told what happens on channels.
    #[must_use]
    pub fn webhooks(&self) -> &Webhooks {
        &self.shared.webhooks
    }

    /// The threads that hash passwords.
    #[must_use]
    pub fn passwords(&self) -> &Passwords {
        &self.shared.passwords
    }

    /// How often people may try to get in.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Whose turn it is to take a name.
    #[must_use]
    pub fn names(&self) -> &Turns {
        &self.shared.names
    }

    /// Ends what somebody broadcasts right now, and makes encoders ask anew whether they may.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn stop_broadcasts(&self, user: UserId) -> Result<(), StoreError> {
        for channel in self.studio().channels.of(user, CHANNELS_MAX).await? {
            self.studio().updated(&channel.name, channel.playback.access()).await;
            self.studio().stop(&channel.name, StoppedBy::Site).await;
        }
        Ok(())
    }

    /// What the owner says of this site.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.shared.site
    }

    /// What people report.
    #[must_use]
    pub fn reports(&self) -> &Reports {
        &self.shared.reports
    }

    /// `[site]`.
    #[must_use]
    pub fn site_config(&self) -> &SiteConfig {
        &self.shared.setup.site
    }

    /// Where encoders come in.
    #[must_use]
    pub fn ingest(&self) -> &IngestAddress {
        &self.shared.setup.ingest
    }

    /// Ends a session; its access tokens are no good from now on.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end_session(&self, user: UserId, id: SessionId) -> Result<(), StoreError> {
        self.sessions().end(id, self.now_ms()).await?;
        self.session_ended(user, id).await;
        self.push().devices().remove_of_session(id).await
    }

    /// Lets every process know that a session is over.
    pub(crate) async fn session_ended(&self, user: UserId, session: SessionId) {
        let now = self.now_ms();
        self.revoked().add(session, now, now);
        let body = EventBody::SessionRevoked(SessionRevoked { session });
        self.studio().tell_account(user, body).await;
    }

    /// Ends all sessions of a person but one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn end_sessions(&self, user: UserId, except: Option<SessionId>) -> Result<(), StoreError> {
        for session in self.sessions().of(user, self.now_ms()).await? {
            if Some(session.id) != except {
                self.end_session(user, session.id).await?;
            }
        }
        Ok(())
    }

    /// The token of a set-up link, as long as nobody is admin.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn setup_token(&self) -> Result<Option<Secret>, StoreError> {
        if self.people().has_admin().await? { Ok(None) } else { self.links().setup().await.map(Some) }
    }

    /// Learns what other processes did.
    async fn learn(&self) -> Result<(), StoreError> {
        self.site().refresh().await?;
        self.learn_revoked().await?;
        self.notices().learn(self.now_ms()).await
    }

    /// Learns of sessions that ended before this process started, or by another process.
    async fn learn_revoked(&self) -> Result<(), StoreError> {
        let now = self.now_ms();
        let since = now.saturating_sub(ACCESS_LIFETIME_S * 1000);
        for (session, at) in self.sessions().revoked_since(since, REVOKED_LEARNED).await? {
            self.revoked().add(session, at, now);
        }
        Ok(())
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        (self.shared.clock)()
    }

    /// A new id.
    #[must_use]
    pub fn new_id(&self) -> uuid::Uuid {
        uuid::Uuid::now_v7()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::accounts::{Role, User};
    use crate::auth::person::{ACCESS_AUDIENCE, ACCESS_LIFETIME_S, AccessClaims};
    use crate::playback::PlaybackConfig;
    use millrace_core::ids::{SessionId, UserId};
    use std::sync::atomic::{AtomicI64, Ordering};

    /// A clock that tests set.
    #[derive(Debug, Clone)]
    pub(crate) struct TestClock(Arc<AtomicI64>);

    impl TestClock {
        pub(crate) fn advance_ms(&self, by: i64) {
            self.0.fetch_add(by, Ordering::SeqCst);
        }
    }

    impl ApiState {
        /// On a fresh store that lives as long as the state.
        pub(crate) async fn for_tests() -> Self {
            Self::for_tests_with(|_| {}).await.0
        }

        /// The same with another setup, and its clock.
        pub(crate) async fn for_tests_with(change: impl FnOnce(&mut Setup)) -> (Self, TestClock) {
            let (home, store) = crate::testing::store().await;
            let playback = PlaybackLinks::open(&PlaybackConfig::default(), &store).await.unwrap();
            let mut setup = Setup {
                store,
                accounts: AccountsConfig::default(),
                notices: NoticesConfig::default(),
                webhooks: WebhooksConfig::default(),
                providers: Providers::default(),
                mail: None,
                public_url: None,
                secure: false,
                site: SiteConfig::default(),
                ingest: IngestAddress::default(),
                playback,
                ladder: LadderPlan::default(),
            };
            change(&mut setup);
            let mut state = Self::new(setup).await.unwrap();
            let clock = TestClock(Arc::new(AtomicI64::new(state.now_ms())));
            let shared = Arc::get_mut(&mut state.shared).unwrap();
            let reader = clock.clone();
            shared.clock = Box::new(move || reader.0.load(Ordering::SeqCst));
            shared._home = Some(home);
            (state, clock)
        }

        /// A new account of this name, and the `Authorization` header that makes a request its own.
        pub(crate) async fn sign_in_for_tests(&self, name: &str, role: Role) -> (User, String) {
            let user = User {
                id: UserId(self.new_id()),
                name: name.parse().unwrap(),
                display_name: name.to_owned(),
                email: None,
                email_verified: false,
                new_email: None,
                password: None,
                role,
                bio: String::new(),
                avatar: None,
                created_at: self.now_ms(),
                banned_at: None,
            };
            self.store().insert(&user).await.unwrap();
            let sid = SessionId(self.new_id());
            let claims = AccessClaims { sub: user.id, name: user.name.clone(), sid, role };
            let token = self.keys().sign(ACCESS_AUDIENCE, claims, self.now_ms(), ACCESS_LIFETIME_S);
            (user, format!("Bearer {token}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::bus::memory::MemoryBus;

    use super::*;
    use crate::channels::ChannelsConfig;

    /// Longest that a busy machine may take.
    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn what_another_process_did_is_known_without_a_look_into_the_store() {
        let bus = MemoryBus::new() as Arc<dyn Bus>;
        // They have nothing but the bus in common.
        let process = async |name: &str| {
            let state = ApiState::for_tests().await;
            let (store, config) = (state.store().clone(), ChannelsConfig::default());
            state.with_studio(Arc::new(Studio::new(store, Arc::clone(&bus), name.parse().unwrap(), config)))
        };
        let (one, other) = (process("one:80").await, process("other:80").await);
        let stop = CancellationToken::new();
        let following = tokio::spawn(other.follow(bus.as_ref(), stop.clone()));
        let (user, session) = (UserId(one.new_id()), SessionId(one.new_id()));
        one.session_ended(user, session).await;
        let known = async {
            while !other.revoked().contains(session) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, known).await.expect("the session is known to be over");
        one.studio().tell_site_changed().await;
        let told = tokio::time::timeout(SOON, other.shared.news.notified()).await;
        told.expect("the settings are read again");
        stop.cancel();
        following.await.unwrap();
    }
}
