//! Sans-IO: on which days a plan is, and when that is for everybody.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::record::Plan;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const WEEK_MS: i64 = 7 * DAY_MS;
/// Days that a cancelled occurrence is remembered after it.
const REMEMBERED_DAYS: i64 = 2;

/// One time that something is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// The day in the time zone of the plan; names it in a series.
    pub day: Date,
    /// When it begins: milliseconds since 1970.
    pub starts_at: i64,
    /// When it is meant to end: milliseconds since 1970.
    pub ends_at: i64,
    /// It does not take place.
    pub cancelled: bool,
}

/// The time zone of this name; `None` if nobody calls one so.
#[must_use]
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    jiff::tz::db().get(name).ok().filter(|zone| zone.iana_name().is_some())
}

impl Plan {
    /// Its time zone; UTC if a later database does not know it any more.
    #[must_use]
    pub(super) fn zone(&self) -> TimeZone {
        zone(&self.time_zone).unwrap_or(TimeZone::UTC)
    }

    /// The occurrence of the week `number` after the first. Where clocks skip the time of the day, it is as much later as
    /// they skip; where they repeat it, the first of both (RFC 5545 §3.3.5).
    fn occurrence(&self, zone: &TimeZone, number: i64) -> Option<Occurrence> {
        let starts = self.starts.checked_add(number.checked_mul(7)?.days()).ok()?;
        let day = starts.date();
        if self.until.is_some_and(|until| day > until) {
            return None;
        }
        let starts_at = zone.to_ambiguous_zoned(starts).compatible().ok()?.timestamp().as_millisecond();
        let ends_at = starts_at.saturating_add(self.minutes.saturating_mul(MINUTE_MS));
        Some(Occurrence { day, starts_at, ends_at, cancelled: self.cancelled.contains(&day) })
    }

    /// Its occurrences that end after `from` and begin before `to` (milliseconds since 1970), in order.
    #[must_use]
    pub fn occurrences(&self, from: i64, to: i64) -> Vec<Occurrence> {
        let zone = self.zone();
        let Some(first) = self.occurrence(&zone, 0) else { return Vec::new() };
        // Clocks shift by hours, so a week before is enough.
        let skipped = if self.weekly { (from.saturating_sub(first.ends_at) / WEEK_MS - 1).max(0) } else { 0 };
        let last = if self.weekly { i64::MAX } else { 0 };
        (skipped..=last)
            .map_while(|number| self.occurrence(&zone, number))
            .take_while(|one| one.starts_at < to)
            .filter(|one| one.ends_at > from)
            .collect()
    }

    /// Whether it is planned for this day, cancelled or not.
    #[must_use]
    pub fn is_on(&self, day: Date) -> bool {
        let first = self.starts.date();
        let after = first.until(day).map_or(-1, |span| i64::from(span.get_days()));
        if !self.weekly {
            return after == 0;
        }
        after >= 0 && after % 7 == 0 && self.until.is_none_or(|until| day <= until)
    }

    /// When the last one ends: milliseconds since 1970; `None` for a series without an end.
    #[must_use]
    pub fn over_at(&self) -> Option<i64> {
        let zone = self.zone();
        let number = match (self.weekly, self.until) {
            (false, _) => 0,
            (true, None) => return None,
            (true, Some(until)) => {
                self.starts.date().until(until).map_or(0, |span| i64::from(span.get_days() / 7)).max(0)
            }
        };
        Some(self.occurrence(&zone, number).map_or(i64::MIN, |one| one.ends_at))
    }

    /// Whether nothing of it is to come.
    #[must_use]
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.over_at().is_some_and(|over| over <= now_ms)
    }

    /// Forgets cancelled days that are past, or no days of it.
    pub(super) fn forget_cancelled(&mut self, now_ms: i64) {
        let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let today = now.to_zoned(self.zone()).date();
        let oldest = today.checked_sub(REMEMBERED_DAYS.days()).unwrap_or(today);
        let mut cancelled = std::mem::take(&mut self.cancelled);
        cancelled.retain(|day| *day >= oldest && self.weekly && self.is_on(*day));
        self.cancelled = cancelled;
    }
}

#[cfg(test)]
pub(in crate::schedule) mod tests {
    use super::*;
    use millrace_core::ids::ChannelId;

    pub(in crate::schedule) fn at(time: &str) -> i64 {
        time.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// A Saturday evening in Berlin.
    pub(in crate::schedule) fn plan() -> Plan {
        Plan {
            id: uuid::Uuid::from_u128(1),
            channel: ChannelId(uuid::Uuid::from_u128(2)),
            title: "Boat".into(),
            category: String::new(),
            note: String::new(),
            starts: "2026-11-28T19:30:00".parse().unwrap(),
            time_zone: "Europe/Berlin".into(),
            minutes: 90,
            weekly: false,
            until: None,
            cancelled: Vec::new(),
            sequence: 0,
            created_at: 1,
        }
    }

    fn times(plan: &Plan, from: &str, to: &str) -> Vec<String> {
        let found = plan.occurrences(at(from), at(to));
        found.iter().map(|one| Timestamp::from_millisecond(one.starts_at).unwrap().to_string()).collect()
    }

    #[test]
    fn one_is_there_until_it_ends() {
        let plan = plan();
        assert_eq!(times(&plan, "2026-11-21T00:00:00Z", "2027-01-01T00:00:00Z"), ["2026-11-28T18:30:00Z"]);
        assert_eq!(times(&plan, "2026-11-28T19:59:00Z", "2027-01-01T00:00:00Z").len(), 1);
        assert_eq!(times(&plan, "2026-11-28T20:00:00Z", "2027-01-01T00:00:00Z").len(), 0);
        assert_eq!(times(&plan, "2026-11-01T00:00:00Z", "2026-11-28T18:30:00Z").len(), 0);
        assert_eq!(plan.over_at(), Some(at("2026-11-28T20:00:00Z")));
    }

    #[test]
    fn a_series_stays_at_its_time_of_the_day_when_clocks_change() {
        let plan = Plan { weekly: true, ..plan() };
        let spring = times(&plan, "2027-03-20T00:00:00Z", "2027-04-04T00:00:00Z");
        assert_eq!(spring, ["2027-03-20T18:30:00Z", "2027-03-27T18:30:00Z", "2027-04-03T17:30:00Z"]);
        assert_eq!(plan.over_at(), None);
        let far = times(&plan, "2036-11-20T00:00:00Z", "2036-11-29T00:00:00Z");
        assert_eq!(far, ["2036-11-22T18:30:00Z"], "ten years on it is still a Saturday");
    }

    #[test]
    fn times_that_clocks_skip_or_repeat_are_decided_as_calendars_do() {
        let night = Plan { weekly: true, starts: "2027-03-21T02:30:00".parse().unwrap(), ..plan() };
        let spring = times(&night, "2027-03-20T00:00:00Z", "2027-03-29T00:00:00Z");
        assert_eq!(spring, ["2027-03-21T01:30:00Z", "2027-03-28T01:30:00Z"], "skipped: 3:30 in summer time");
        let autumn = times(&night, "2027-10-30T00:00:00Z", "2027-11-01T00:00:00Z");
        assert_eq!(autumn, ["2027-10-31T00:30:00Z"], "repeated: the first, in summer time");
    }

    #[test]
    fn a_series_ends_on_its_last_day_and_cancelled_days_are_marked() {
        let mut plan = Plan { weekly: true, until: Some("2026-12-12".parse().unwrap()), ..plan() };
        plan.cancelled = vec!["2026-12-05".parse().unwrap()];
        let found = plan.occurrences(at("2026-11-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
        assert_eq!(found.iter().map(|one| one.cancelled).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(plan.over_at(), Some(found[2].ends_at));
        assert!(plan.is_on("2026-12-12".parse().unwrap()) && !plan.is_on("2026-12-19".parse().unwrap()));
        assert!(!plan.is_on("2026-11-21".parse().unwrap()), "before the first");
        plan.forget_cancelled(at("2026-12-06T00:00:00Z"));
        assert_eq!(plan.cancelled.len(), 1, "yesterday's is still told");
        plan.forget_cancelled(at("2026-12-09T00:00:00Z"));
        assert_eq!(plan.cancelled, []);
    }

    #[test]
    fn zones_have_names_of_the_database() {
        for name in ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "UTC"] {
            assert!(zone(name).is_some(), "{name}");
        }
        for name in ["", "Berlin", "+02:00", "../etc/passwd", "Mars/Olympus"] {
            assert!(zone(name).is_none(), "{name} was taken");
        }
    }
}
