//! Coming broadcasts: what a channel plans, when that is, and the same as a calendar.
//!
//! | Specification | Where |
//! |---|---|
//! | RFC 5545, 7986 (iCalendar) | [`ical`] |

mod fields;
pub mod ical;
mod plan;
mod record;

use millrace_core::ids::ChannelId;
use millrace_store::{Change, Changes, Kept, Query, Store, StoreError};

use crate::accounts::Channel;

pub use fields::PlanInput;
pub use plan::Occurrence;
pub(crate) use record::PLANS;
pub use record::Plan;

/// How often a commit is tried again when somebody else was faster.
const ATTEMPTS: usize = 20;
/// Most occurrences of one series that are cancelled and still to come.
const CANCELLED_MAX: usize = 60;
/// More than any limit of plans of one channel.
const READ_MAX: usize = 1_000;

/// What the channels of this site plan.
#[derive(Debug, Clone)]
pub struct Schedule(Store);

/// Why a plan was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The channel has as many as it may have.
    #[error("there are {limit} already")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// There is none, or no such occurrence of it.
    #[error("there is no such plan")]
    NotFound,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Schedule {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// What a channel plans, in no order, without what is over.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of(&self, channel: ChannelId, now_ms: i64) -> Result<Vec<Plan>, StoreError> {
        let found = self.all(channel).await?;
        Ok(found.into_iter().map(|kept| kept.value).filter(|plan| !plan.is_over(now_ms)).collect())
    }

    async fn all(&self, channel: ChannelId) -> Result<Vec<Kept<Plan>>, StoreError> {
        self.0.find::<Plan>(&Query::with("channel", channel.to_string(), READ_MAX)).await
    }

    /// One plan of a channel.
    ///
    /// # Errors
    /// [`ScheduleError::NotFound`].
    pub async fn get(&self, channel: ChannelId, id: &str) -> Result<Plan, ScheduleError> {
        let found = self.0.get::<Plan>(id).await?.map(|kept| kept.value);
        found.filter(|plan| plan.channel == channel).ok_or(ScheduleError::NotFound)
    }

    /// Keeps a new plan, unless the channel has `limit` that are not over; removes those that are.
    ///
    /// # Errors
    /// [`ScheduleError::TooMany`]; [`ScheduleError::NotFound`] when the channel is gone.
    pub async fn add(&self, plan: &Plan, limit: usize, now_ms: i64) -> Result<(), ScheduleError> {
        self.tidy(plan.channel, now_ms, |changes, count| {
            if count >= limit {
                return Err(ScheduleError::TooMany { limit });
            }
            Ok((changes.insert(plan), count + 1))
        })
        .await
    }

    /// Removes a plan.
    ///
    /// # Errors
    /// [`ScheduleError::NotFound`].
    pub async fn remove(&self, channel: ChannelId, id: &str, now_ms: i64) -> Result<(), ScheduleError> {
        let plan = self.get(channel, id).await?;
        let counted = usize::from(!plan.is_over(now_ms));
        self.tidy(channel, now_ms, |changes, count| {
            Ok((changes.delete_id::<Plan>(id), count.saturating_sub(counted)))
        })
        .await
    }

    /// Commits what `change` adds, with the number of plans in the channel: of two at once only one has counted right.
    async fn tidy(
        &self,
        channel: ChannelId,
        now_ms: i64,
        change: impl Fn(Changes, usize) -> Result<(Changes, usize), ScheduleError>,
    ) -> Result<(), ScheduleError> {
        let mut attempt = 0;
        loop {
            let read = self.0.get::<Channel>(&channel.to_string()).await?.ok_or(ScheduleError::NotFound)?;
            let all = self.all(channel).await?;
            let (over, coming): (Vec<_>, Vec<_>) = all.into_iter().partition(|plan| plan.is_over(now_ms));
            let changes = over
                .iter()
                .fold(Changes::new(), |changes, plan| changes.delete_id::<Plan>(plan.id.to_string()));
            let (changes, count) = change(changes, coming.len())?;
            let planned = i64::try_from(count).unwrap_or(i64::MAX);
            let now = Channel { planned, ..read.value.clone() };
            attempt += 1;
            match self.0.commit(changes.replace(&read, &now)).await {
                Err(StoreError::Stale { .. }) if attempt < ATTEMPTS => {}
                done => return Ok(done?),
            }
        }
    }

    /// Puts other words and times into a plan. Cancelled days that are none of it any more are forgotten.
    ///
    /// # Errors
    /// [`ScheduleError::NotFound`].
    pub async fn change(
        &self,
        channel: ChannelId,
        id: &str,
        to: impl Fn(Plan) -> Plan + Send + Sync,
        now_ms: i64,
    ) -> Result<Plan, ScheduleError> {
        self.update(channel, id, |plan| {
            let mut plan = to(plan);
            plan.forget_cancelled(now_ms);
            Ok(plan)
        })
        .await
    }

    /// Cancels the occurrence of a day, or takes that back.
    ///
    /// # Errors
    /// [`ScheduleError::NotFound`] when nothing is planned for that day; [`ScheduleError::TooMany`].
    pub async fn cancel(
        &self,
        channel: ChannelId,
        id: &str,
        day: jiff::civil::Date,
        cancelled: bool,
        now_ms: i64,
    ) -> Result<Plan, ScheduleError> {
        self.update(channel, id, |mut plan| {
            if !plan.is_on(day) {
                return Err(ScheduleError::NotFound);
            }
            plan.cancelled.retain(|other| *other != day);
            if cancelled {
                plan.forget_cancelled(now_ms);
                if plan.cancelled.len() >= CANCELLED_MAX {
                    return Err(ScheduleError::TooMany { limit: CANCELLED_MAX });
                }
                plan.cancelled.push(day);
                plan.cancelled.sort_unstable();
            }
            Ok(plan)
        })
        .await
    }

    async fn update(
        &self,
        channel: ChannelId,
        id: &str,
        change: impl Fn(Plan) -> Result<Plan, ScheduleError> + Send + Sync,
    ) -> Result<Plan, ScheduleError> {
        let done = self.0.update(id, |plan: Plan| {
            if plan.channel != channel {
                return Change::Not(ScheduleError::NotFound);
            }
            let sequence = plan.sequence.saturating_add(1);
            match change(plan) {
                Ok(plan) => Change::To(Plan { sequence, ..plan }),
                Err(error) => Change::Not(error),
            }
        });
        done.await?.ok_or(ScheduleError::NotFound)?
    }
}

#[cfg(test)]
mod tests {
    use super::plan::tests::{at, plan};
    use super::*;
    use crate::channels::testing::Site;
    use futures_util::future::join_all;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_channel_plans_no_more_than_the_limit_and_what_is_over_does_not_count() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        let schedule = Schedule::new(site.store.clone());
        let plans: Vec<_> = (0..8)
            .map(|number| Plan { id: uuid::Uuid::from_u128(number), channel: studio.id, ..plan() })
            .collect();
        let now = at("2026-11-20T00:00:00Z");
        let added = join_all(plans.iter().map(|plan| schedule.add(plan, 3, now))).await;
        assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 3, "{added:?}");
        let planned = async || site.channels.get(studio.id).await.unwrap().unwrap().planned;
        assert_eq!((schedule.of(studio.id, now).await.unwrap().len(), planned().await), (3, 3));
        let later = at("2027-01-01T00:00:00Z");
        assert_eq!(schedule.of(studio.id, later).await.unwrap(), []);
        let weekly = Plan { id: uuid::Uuid::from_u128(99), channel: studio.id, weekly: true, ..plan() };
        schedule.add(&weekly, 3, later).await.unwrap();
        assert_eq!((schedule.all(studio.id).await.unwrap().len(), planned().await), (1, 1));
        schedule.remove(studio.id, &weekly.id.to_string(), later).await.unwrap();
        assert_eq!(planned().await, 0);
        let gone = schedule.remove(studio.id, &weekly.id.to_string(), later).await;
        assert!(matches!(gone, Err(ScheduleError::NotFound)), "{gone:?}");
    }

    #[tokio::test]
    async fn one_occurrence_is_cancelled_and_put_back_and_only_by_its_channel() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let (studio, other) = (site.channel("studio", &ada).await, site.channel("other", &ada).await);
        let schedule = Schedule::new(site.store.clone());
        let weekly = Plan { channel: studio.id, weekly: true, ..plan() };
        let (id, now) = (weekly.id.to_string(), at("2026-11-20T00:00:00Z"));
        schedule.add(&weekly, 3, now).await.unwrap();
        let day = "2026-12-05".parse().unwrap();
        let cancelled = schedule.cancel(studio.id, &id, day, true, now).await.unwrap();
        assert_eq!((cancelled.cancelled.as_slice(), cancelled.sequence), ([day].as_slice(), 1));
        let friday = schedule.cancel(studio.id, &id, "2026-12-04".parse().unwrap(), true, now).await;
        assert!(matches!(friday, Err(ScheduleError::NotFound)), "{friday:?}");
        let foreign = schedule.cancel(other.id, &id, day, true, now).await;
        assert!(matches!(foreign, Err(ScheduleError::NotFound)), "{foreign:?}");
        assert!(matches!(schedule.get(other.id, &id).await, Err(ScheduleError::NotFound)));
        let back = schedule.cancel(studio.id, &id, day, false, now).await.unwrap();
        assert_eq!(back.cancelled, []);
        schedule.cancel(studio.id, &id, day, true, now).await.unwrap();
        let moved = schedule
            .change(
                studio.id,
                &id,
                |plan| Plan { starts: "2026-11-29T10:00:00".parse().unwrap(), ..plan },
                now,
            )
            .await
            .unwrap();
        assert_eq!(moved.cancelled, [], "a Saturday is none of a series of Sundays");
    }
}
