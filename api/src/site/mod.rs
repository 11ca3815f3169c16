//! What the owner says of this site and changes while it runs, with the history of it.

mod config;
mod fields;
mod ingest;
mod record;

use std::sync::{Arc, PoisonError, RwLock};

use millrace_core::ids::UserId;
use millrace_store::{After, Changes, Order, Query, Store, StoreError};

use crate::auth::audit::Audit;
use crate::config::{AccountsConfig, Registration};

pub use config::SiteConfig;
pub use fields::{SiteEdit, SiteValues, Streaming, changed};
pub use ingest::{IngestAddress, is_rtmp};
pub(crate) use record::{SITE_CHANGES, SITE_SETTINGS};
pub use record::{SiteChange, SiteRecord};

/// How often a commit is tried again when somebody else was faster and it does not matter.
const ATTEMPTS: usize = 20;

/// The settings of this site, as this process knows them. Clones share them.
#[derive(Debug, Clone)]
pub struct Site {
    store: Store,
    configured: (Registration, Streaming),
    known: Arc<RwLock<Arc<Known>>>,
}

/// The settings at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// How many changes there were.
    pub version: i64,
    /// What admins said.
    pub values: SiteValues,
}

/// Who changes them, when; ids of what is written.
#[derive(Debug, Clone, Copy)]
pub struct By {
    /// The admin.
    pub person: UserId,
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// Of the entry in the audit log.
    pub audit: uuid::Uuid,
}

/// Why they were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Somebody else changed them since they were shown.
    #[error("the settings are at version {now}, not {seen}")]
    Changed {
        /// What was shown.
        seen: i64,
        /// What is.
        now: i64,
    },
    /// There was no such change.
    #[error("there is no such change")]
    NoSuchChange,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Site {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn open(store: Store, config: &AccountsConfig) -> Result<Self, StoreError> {
        let configured = (config.registration, Streaming::configured(config));
        let site = Self { store, configured, known: Arc::default() };
        site.refresh().await?;
        Ok(site)
    }

    /// What this process knows: what it changed itself at once, what another did after its next [`Self::refresh`].
    #[must_use]
    pub fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who may register.
    #[must_use]
    pub fn registration(&self) -> Registration {
        self.known().values.registration.unwrap_or(self.configured.0)
    }

    /// Who may stream.
    #[must_use]
    pub fn streaming(&self) -> Streaming {
        self.known().values.streaming.unwrap_or(self.configured.1)
    }

    /// Learns what another process changed.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        if let Some(kept) = self.store.get::<SiteRecord>(SiteRecord::ID).await? {
            self.learn(&kept.value);
        }
        Ok(())
    }

    /// Never goes back: a refresh may have read before a change of this process that it overtakes.
    fn learn(&self, record: &SiteRecord) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if record.number > known.version {
            *known = Arc::new(Known { version: record.number, values: record.values.clone() });
        }
    }

    /// Changes them: the settings, the entry of their history and that of the audit log, or nothing. `seen` is the
    /// version that the person looked at; without it the change is made whatever it was. A change of nothing leaves no
    /// trace.
    ///
    /// # Errors
    /// [`SiteError::Changed`].
    pub async fn change(&self, edit: &SiteEdit, seen: Option<i64>, by: By) -> Result<Arc<Known>, SiteError> {
        self.put(|values| edit.applied_to(values), seen, by, "site.settings").await
    }

    /// Makes them what they were before a change, whatever was changed since. That is a change too.
    ///
    /// # Errors
    /// [`SiteError::NoSuchChange`].
    pub async fn undo(&self, number: i64, by: By) -> Result<Arc<Known>, SiteError> {
        let change = self.store.get::<SiteChange>(&SiteChange::id_of(number)).await?;
        let change = change.ok_or(SiteError::NoSuchChange)?;
        self.put(|_| change.value.before.clone(), None, by, "site.undo").await
    }

    async fn put(
        &self,
        to: impl Fn(SiteValues) -> SiteValues,
        seen: Option<i64>,
        by: By,
        action: &str,
    ) -> Result<Arc<Known>, SiteError> {
        let mut attempt = 0;
        loop {
            let read = self.store.get::<SiteRecord>(SiteRecord::ID).await?;
            let (now, before) = match &read {
                Some(kept) => (kept.number, kept.values.clone()),
                None => (0, SiteValues::default()),
            };
            if let Some(seen) = seen.filter(|seen| *seen != now) {
                return Err(SiteError::Changed { seen, now });
            }
            let after = to(before.clone());
            if after == before {
                return Ok(self.known());
            }
            let fields = changed(&before, &after).join(", ");
            let record = SiteRecord { number: now.saturating_add(1), values: after.clone() };
            let change = SiteChange::new(record.number, by.now_ms, by.person, before, after);
            let changes = match &read {
                Some(kept) => Changes::new().replace(kept, &record),
                None => Changes::new().insert(&record),
            };
            let audit = Audit {
                id: by.audit,
                at: by.now_ms,
                by: Some(by.person),
                action: action.to_owned(),
                target: "site".to_owned(),
                detail: fields,
                scope: "site".to_owned(),
            };
            attempt += 1;
            match self.store.commit(changes.insert(&change).insert(&audit)).await {
                Err(StoreError::Stale { .. } | StoreError::Conflict { .. }) if attempt < ATTEMPTS => {}
                done => {
                    done?;
                    self.learn(&record);
                    return Ok(self.known());
                }
            }
        }
    }

    /// The changes, newest first, from behind `after`; and where the next part begins.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn history(
        &self,
        after: Option<After>,
        limit: usize,
    ) -> Result<(Vec<SiteChange>, Option<After>), StoreError> {
        let query = Query::with("scope", SiteChange::SCOPE, limit + 1);
        let query = query.ordered("number", Order::Descending).after(after);
        let mut found = self.store.find::<SiteChange>(&query).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let found: Vec<_> = found.into_iter().map(|kept| kept.value).collect();
        let next = found
            .last()
            .filter(|_| more)
            .map(|last| After { value: last.number.into(), id: SiteChange::id_of(last.number) });
        Ok((found, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::testing::Site as World;
    use futures_util::future::join_all;

    fn by(number: u128) -> By {
        let id = uuid::Uuid::from_u128(number);
        By { person: UserId(uuid::Uuid::from_u128(7)), now_ms: 1_000, audit: id }
    }

    fn named(name: &str) -> SiteEdit {
        SiteEdit { name: Some(name.to_owned()), ..SiteEdit::default() }
    }

    #[tokio::test]
    async fn a_change_is_kept_with_what_was_before_and_can_be_undone() {
        let world = World::new().await;
        let defaults = AccountsConfig::default();
        let site = Site::open(world.store.clone(), &defaults).await.unwrap();
        assert_eq!(site.known().version, 0);
        assert_eq!(site.change(&named("Boats"), Some(0), by(1)).await.unwrap().values.name, "Boats");
        assert_eq!(site.change(&named("Ships"), Some(1), by(2)).await.unwrap().version, 2);
        let same = site.change(&named("Ships"), None, by(3)).await.unwrap();
        assert_eq!(same.version, 2, "what changes nothing leaves no trace");
        let stale = site.change(&named("Rafts"), Some(1), by(4)).await.unwrap_err();
        assert!(matches!(stale, SiteError::Changed { seen: 1, now: 2 }), "{stale}");
        let undone = site.undo(1, by(5)).await.unwrap();
        assert_eq!((undone.version, undone.values.clone()), (3, SiteValues::default()));
        assert!(matches!(site.undo(9, by(6)).await, Err(SiteError::NoSuchChange)));
        let (page, next) = site.history(None, 2).await.unwrap();
        let seen: Vec<_> = page
            .iter()
            .map(|change| (change.number, change.before.name.as_str(), change.after.name.as_str()))
            .collect();
        assert_eq!(seen, [(3, "Ships", "Millrace"), (2, "Boats", "Ships")]);
        let (rest, end) = site.history(next, 2).await.unwrap();
        assert_eq!((rest.len(), rest[0].number, end), (1, 1, None));
        let audit = world.store.find::<Audit>(&Query::with("scope", "site", 10)).await.unwrap();
        assert_eq!(audit.len(), 3);
        assert!(audit.iter().all(|entry| entry.detail == "name"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_two_who_saw_the_same_version_one_is_told_and_no_change_is_lost() {
        let world = World::new().await;
        let site = Site::open(world.store.clone(), &AccountsConfig::default()).await.unwrap();
        let names: Vec<_> = (0..8).map(|number| named(&format!("Site {number}"))).collect();
        let all = names.iter().zip(1..).map(|(edit, number)| site.change(edit, Some(0), by(number)));
        let done = join_all(all).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(done, 1);
        let all = names.iter().zip(100..).map(|(edit, number)| site.change(edit, None, by(number)));
        assert!(join_all(all).await.iter().all(Result::is_ok));
        let (history, _) = site.history(None, 100).await.unwrap();
        let numbers: Vec<_> = history.iter().map(|change| change.number).collect();
        assert_eq!(numbers, (1..=site.known().version).rev().collect::<Vec<_>>());
        assert!(
            history.windows(2).all(|pair| pair[0].before == pair[1].after),
            "each begins where the last ended"
        );
    }

    #[tokio::test]
    async fn another_process_learns_at_its_next_refresh() {
        let world = World::new().await;
        let defaults = AccountsConfig::default();
        let here = Site::open(world.store.clone(), &defaults).await.unwrap();
        let there = Site::open(world.store.clone(), &defaults).await.unwrap();
        here.change(&named("Boats"), None, by(1)).await.unwrap();
        assert_eq!(there.known().values.name, "Millrace");
        there.refresh().await.unwrap();
        assert_eq!(there.known(), here.known());
        let closed = SiteEdit { registration: Some(Registration::Closed), ..SiteEdit::default() };
        here.change(&closed, None, by(2)).await.unwrap();
        let late = Site::open(world.store.clone(), &defaults).await.unwrap();
        assert_eq!(late.known().values.name, "Boats");
        assert_eq!(late.registration(), Registration::Closed);
    }

    #[tokio::test]
    async fn the_configuration_holds_until_an_admin_says_otherwise() {
        let world = World::new().await;
        let config = AccountsConfig {
            registration: Registration::Invite,
            new_accounts_stream: false,
            ..AccountsConfig::default()
        };
        let site = Site::open(world.store.clone(), &config).await.unwrap();
        assert_eq!((site.registration(), site.streaming()), (Registration::Invite, Streaming::Streamers));
        site.change(&named("Boats"), None, by(1)).await.unwrap();
        let closed = AccountsConfig { registration: Registration::Closed, ..config };
        let site = Site::open(world.store.clone(), &closed).await.unwrap();
        assert_eq!(site.registration(), Registration::Closed, "what nobody touched follows the file");
        let edit = SiteEdit {
            registration: Some(Registration::Open),
            streaming: Some(Streaming::Everyone),
            ..SiteEdit::default()
        };
        site.change(&edit, None, by(2)).await.unwrap();
        assert_eq!((site.registration(), site.streaming()), (Registration::Open, Streaming::Everyone));
        site.undo(2, by(3)).await.unwrap();
        assert_eq!(site.registration(), Registration::Closed);
    }
}
