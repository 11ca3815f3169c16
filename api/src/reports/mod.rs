//! What people report to the admins of the site, and what came of it.

mod fields;
mod record;

use millrace_core::ids::UserId;
use millrace_store::{After, Change, Changes, Order, Query, Store, StoreError};

use crate::auth::audit::Audit;

pub use fields::{Reason, ReportInput, Resolution};
pub(crate) use record::REPORTS;
pub use record::{About, Outcome, Report, ReportState};

/// How often a commit is tried again when somebody else was faster.
const ATTEMPTS: usize = 20;
/// Reports of one person that are read at once.
const AT_ONCE: usize = 200;
/// More than any limit of reports in one day.
const DAILY_MAX: usize = 1_000;

/// The reports of this site.
#[derive(Debug, Clone)]
pub struct Reports(Store);

/// Why a report was not taken or not resolved.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The person has reported as often today as it may.
    #[error("there are {limit} already")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The person has reported this, and nobody has looked yet.
    #[error("there is an open report of it by this person")]
    Already,
    /// An admin has resolved it.
    #[error("it is resolved")]
    Resolved,
    /// There is none.
    #[error("there is no such report")]
    NotFound,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Reports {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Keeps a report, unless its reporter has made `limit` that day (in UTC) or one of the same that is open. The number
    /// within the day is unique, so that of many at once none is over the limit.
    ///
    /// # Errors
    /// [`ReportError::TooMany`], [`ReportError::Already`].
    pub async fn add(&self, mut report: Report, limit: usize) -> Result<(), ReportError> {
        loop {
            let query = Query::with("day", report.day.clone(), DAILY_MAX);
            let made = self.0.find::<Report>(&query).await?;
            if made.len() >= limit {
                return Err(ReportError::TooMany { limit });
            }
            report.number = i64::try_from(made.len()).unwrap_or(i64::MAX);
            match self.0.insert(&report).await {
                Err(err) if err.is_conflict("number") => {}
                Err(err) if err.is_conflict("open") => return Err(ReportError::Already),
                done => return Ok(done?),
            }
        }
    }

    /// What a person has reported, oldest first, from behind `after`, at most `limit`.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn by(
        &self,
        reporter: UserId,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Report>, StoreError> {
        let query =
            Query::with("reporter", reporter.to_string(), limit).ordered("at", Order::Ascending).after(after);
        Ok(self.0.find::<Report>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// Removes what a person wrote in reports. That something was reported, and why, is the site's: admins still see it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn forget_words(&self, reporter: UserId) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.by(reporter, after, AT_ONCE).await?;
            for report in page.iter().filter(|report| !report.text.is_empty()) {
                let silent = |report: Report| {
                    Change::<_, std::convert::Infallible>::To(Report { text: String::new(), ..report })
                };
                self.0.update(&report.id.to_string(), silent).await?;
            }
            let Some(last) = page.last().filter(|_| page.len() == AT_ONCE) else { return Ok(()) };
            after = Some(After { value: last.at.into(), id: last.id.to_string() });
        }
    }

    /// Reports in this state, and where the next part begins: open ones oldest first, for who waits longest is next;
    /// resolved ones newest first.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn list(
        &self,
        state: ReportState,
        after: Option<After>,
        limit: usize,
    ) -> Result<(Vec<Report>, Option<After>), StoreError> {
        let order = if state == ReportState::Open { Order::Ascending } else { Order::Descending };
        let query = Query::with("state", state.as_str(), limit + 1).ordered("at", order).after(after);
        let mut found = self.0.find::<Report>(&query).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let found: Vec<_> = found.into_iter().map(|kept| kept.value).collect();
        let next = found
            .last()
            .filter(|_| more)
            .map(|last| After { value: last.at.into(), id: last.id.to_string() });
        Ok((found, next))
    }

    /// Says what came of an open report, with its entry in the audit log.
    ///
    /// # Errors
    /// [`ReportError::Resolved`], [`ReportError::NotFound`].
    pub async fn resolve(
        &self,
        id: &str,
        resolution: &Resolution,
        by: UserId,
        now_ms: i64,
        audit: uuid::Uuid,
    ) -> Result<Report, ReportError> {
        let mut attempt = 0;
        loop {
            let read = self.0.get::<Report>(id).await?.ok_or(ReportError::NotFound)?;
            if read.state == ReportState::Resolved {
                return Err(ReportError::Resolved);
            }
            let report = Report {
                state: ReportState::Resolved,
                open: None,
                outcome: Some(resolution.outcome),
                note: resolution.note.clone(),
                resolved_by: Some(by),
                resolved_at: Some(now_ms),
                ..read.value.clone()
            };
            let entry = Audit {
                id: audit,
                at: now_ms,
                by: Some(by),
                action: format!("report.{}", resolution.outcome.as_str()),
                target: format!("{} {}", report.about.as_str(), report.target),
                detail: report.reason.as_str().to_owned(),
                scope: "site".to_owned(),
            };
            attempt += 1;
            match self.0.commit(Changes::new().replace(&read, &report).insert(&entry)).await {
                Err(StoreError::Stale { .. }) if attempt < ATTEMPTS => {}
                done => {
                    done?;
                    return Ok(report);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::testing::Site;
    use futures_util::future::join_all;

    fn report(number: u128, reporter: UserId, target: &str, at: i64) -> Report {
        let id = uuid::Uuid::from_u128(number);
        Report::new(id, About::Channel, target, target, reporter, Reason::Spam, String::new(), at)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_reports_more_in_a_day_than_the_limit_by_asking_at_once() {
        let site = Site::new().await;
        let reports = Reports::new(site.store.clone());
        let ada = site.person("ada").await.id;
        let all = (0..12).map(|number| reports.add(report(number, ada, &format!("c{number}"), 1_000), 3));
        let added = join_all(all).await;
        assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 3, "{added:?}");
        assert!(added.iter().all(|r| matches!(r, Ok(()) | Err(ReportError::TooMany { limit: 3 }))));
        let tomorrow = report(50, ada, "c50", 24 * 3_600_000);
        reports.add(tomorrow, 3).await.unwrap();
        reports.add(report(51, site.person("bob").await.id, "c0", 1_000), 3).await.unwrap();
    }

    #[tokio::test]
    async fn the_same_is_reported_again_only_when_somebody_has_looked() {
        let site = Site::new().await;
        let reports = Reports::new(site.store.clone());
        let (ada, root) = (site.person("ada").await.id, site.person("root").await.id);
        reports.add(report(1, ada, "c1", 1_000), 9).await.unwrap();
        let again = reports.add(report(2, ada, "c1", 2_000), 9).await;
        assert!(matches!(again, Err(ReportError::Already)), "{again:?}");
        let id = uuid::Uuid::from_u128(1).to_string();
        let resolution = Resolution { outcome: Outcome::Warned, note: "Told them.".into() };
        let audit = uuid::Uuid::from_u128(90);
        let done = reports.resolve(&id, &resolution, root, 3_000, audit).await.unwrap();
        assert_eq!((done.outcome, done.resolved_at), (Some(Outcome::Warned), Some(3_000)));
        let twice = reports.resolve(&id, &resolution, root, 4_000, uuid::Uuid::from_u128(91)).await;
        assert!(matches!(twice, Err(ReportError::Resolved)), "{twice:?}");
        reports.add(report(2, ada, "c1", 5_000), 9).await.unwrap();
        let entries = site.store.find::<Audit>(&Query::with("scope", "site", 10)).await.unwrap();
        assert_eq!((entries.len(), entries[0].action.as_str()), (1, "report.warned"));
        let nowhere = reports.resolve("x", &resolution, root, 1, uuid::Uuid::from_u128(92)).await;
        assert!(matches!(nowhere, Err(ReportError::NotFound)), "{nowhere:?}");
    }

    #[tokio::test]
    async fn the_words_of_who_leaves_are_forgotten_and_the_reports_are_not() {
        let site = Site::new().await;
        let reports = Reports::new(site.store.clone());
        let (ada, bob) = (site.person("ada").await.id, site.person("bob").await.id);
        // More than are read at once.
        let many = u128::try_from(AT_ONCE).unwrap() + 1;
        for number in 1..=many {
            let said = report(number, ada, &format!("c{number}"), i64::try_from(number).unwrap());
            reports.add(Report { text: "I was there.".into(), ..said }, 1_000).await.unwrap();
        }
        let other = Report { text: "Me too.".into(), ..report(900, bob, "c1", 1) };
        reports.add(other, 9).await.unwrap();
        reports.forget_words(ada).await.unwrap();
        let left = reports.by(ada, None, 1_000).await.unwrap();
        assert_eq!(left.len(), AT_ONCE + 1);
        assert!(left.iter().all(|report| report.text.is_empty() && report.reason == Reason::Spam));
        assert_eq!(reports.by(bob, None, 9).await.unwrap()[0].text, "Me too.");
    }

    #[tokio::test]
    async fn who_waits_longest_is_next_and_lists_come_in_pages() {
        let site = Site::new().await;
        let reports = Reports::new(site.store.clone());
        let ada = site.person("ada").await.id;
        for number in 1..=5 {
            let at = i64::try_from(number).unwrap() * 1_000;
            reports.add(report(number, ada, &format!("c{number}"), at), 9).await.unwrap();
        }
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = reports.list(ReportState::Open, after, 2).await.unwrap();
            seen.extend(page.iter().map(|report| report.at));
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, [1_000, 2_000, 3_000, 4_000, 5_000]);
        assert!(reports.list(ReportState::Resolved, None, 9).await.unwrap().0.is_empty());
    }
}
