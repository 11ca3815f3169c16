//! Sans-IO: what streamers write about a broadcast to come, checked and cleaned.

use jiff::civil::{Date, DateTime};
use millrace_http::problem::FieldProblem;
use serde::Deserialize;
use utoipa::ToSchema;

use super::plan::zone;
use super::record::Plan;
use crate::channels::{CATEGORY_MAX, TITLE_MAX, line, paragraphs};
use crate::site::SiteValues;

/// Most characters of a note.
const NOTE_MAX: usize = 500;
/// Longest name of a time zone.
const ZONE_MAX: usize = 64;
/// Shortest and longest broadcast, in minutes.
const MINUTES: std::ops::RangeInclusive<i64> = 5..=1_440;
const DAY_MS: i64 = 24 * 3_600_000;
/// How far ahead something is planned, in days.
const AHEAD_DAYS: i64 = 400;
/// How long ago a series that still runs may have begun, in days.
const BEHIND_DAYS: i64 = 4_000;

/// A broadcast to come, or one every week.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanInput {
    /// 1 to 140 characters.
    #[schema(example = "Building a boat, day 13")]
    pub title: String,
    /// At most 50 characters, one of the site's where it lists some; empty for none.
    #[serde(default)]
    #[schema(required = false, example = "Crafts")]
    pub category: String,
    /// At most 500 characters.
    #[serde(default)]
    #[schema(required = false, example = "With guests.")]
    pub note: String,
    /// Day and time on the clocks of `time_zone`, at most 400 days ahead.
    #[schema(example = "2026-11-28T19:30")]
    pub starts: String,
    /// A name of the IANA time zone database. A series stays at its time of the day when clocks change there.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// How long it is meant to last: 5 to 1,440.
    #[schema(example = 90)]
    pub minutes: i64,
    /// Every week on the same day.
    #[serde(default)]
    #[schema(required = false)]
    pub weekly: bool,
    /// The last day of a series; absent: no end.
    #[schema(example = "2027-03-27")]
    pub until: Option<String>,
}

impl PlanInput {
    /// The plan with these words and times.
    ///
    /// # Errors
    /// Everything that is wrong, each with the JSON pointer of its field.
    pub fn applied_to(self, plan: Plan, site: &SiteValues, now_ms: i64) -> Result<Plan, Vec<FieldProblem>> {
        let mut wrong = Vec::new();
        fn keep<T: Default>(wrong: &mut Vec<FieldProblem>, result: Result<T, FieldProblem>) -> T {
            result.unwrap_or_else(|problem| {
                wrong.push(problem);
                T::default()
            })
        }
        let title = keep(&mut wrong, line("/title", &self.title, 1, TITLE_MAX));
        let category = line("/category", &self.category, 0, CATEGORY_MAX);
        let category = category.and_then(|text| match text == plan.category {
            true => Ok(text),
            false => site.category("/category", &text),
        });
        let category = keep(&mut wrong, category);
        let note = keep(&mut wrong, paragraphs("/note", &self.note, NOTE_MAX));
        let starts = keep(&mut wrong, moment(&self.starts));
        let time_zone = keep(&mut wrong, time_zone(&self.time_zone));
        if !MINUTES.contains(&self.minutes) {
            let (least, most) = MINUTES.into_inner();
            wrong.push(problem("/minutes", format!("is {}; write {least} to {most}", self.minutes)));
        }
        let until = match self.until.as_deref().filter(|text| !text.is_empty()) {
            None => None,
            Some(_) if !self.weekly => {
                wrong.push(problem("/until", "is for what is every week; leave it out".to_owned()));
                None
            }
            Some(text) => keep(&mut wrong, day("/until", text).map(Some)),
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let plan = Plan {
            title,
            category,
            note,
            starts,
            time_zone,
            minutes: self.minutes,
            weekly: self.weekly,
            until,
            ..plan
        };
        if until.is_some_and(|until| until < starts.date()) {
            return Err(vec![problem("/until", "is before the first day".to_owned())]);
        }
        if plan.is_over(now_ms) {
            return Err(vec![problem("/starts", "is over already; choose a time to come".to_owned())]);
        }
        let near = plan.occurrences(
            now_ms.saturating_sub(BEHIND_DAYS * DAY_MS),
            now_ms.saturating_add(AHEAD_DAYS * DAY_MS),
        );
        if near.first().is_none_or(|first| first.day != starts.date()) {
            let detail = format!("is too far away; choose a time within {AHEAD_DAYS} days");
            return Err(vec![problem("/starts", detail)]);
        }
        Ok(plan)
    }
}

fn problem(pointer: &str, detail: String) -> FieldProblem {
    FieldProblem { pointer: pointer.to_owned(), detail }
}

/// `2026-11-28T19:30`, perhaps with seconds, which do not count.
fn moment(text: &str) -> Result<DateTime, FieldProblem> {
    let text = text.trim();
    let shape = matches!(text.len(), 16 | 19) && text.as_bytes().get(10) == Some(&b'T');
    let parsed = if shape { text.parse::<DateTime>().ok() } else { None };
    let parsed = parsed.and_then(|moment| moment.with().second(0).subsec_nanosecond(0).build().ok());
    parsed.ok_or_else(|| problem("/starts", "is no day and time; write it as 2026-11-28T19:30".to_owned()))
}

/// `2026-11-28`.
fn day(pointer: &str, text: &str) -> Result<Date, FieldProblem> {
    let parsed = if text.len() == 10 { text.parse::<Date>().ok() } else { None };
    parsed.ok_or_else(|| problem(pointer, "is no day; write it as 2026-11-28".to_owned()))
}

fn time_zone(text: &str) -> Result<String, FieldProblem> {
    let found = if text.len() <= ZONE_MAX { zone(text) } else { None };
    let name = found.and_then(|zone| zone.iana_name().map(str::to_owned));
    name.ok_or_else(|| {
        problem("/time_zone", "is no time zone; write a name such as Europe/Berlin".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{at, plan};
    use super::*;

    fn input() -> PlanInput {
        serde_json::from_str(
            r#"{"title":" Boat ","starts":"2026-11-28T19:30","time_zone":"europe/berlin","minutes":90}"#,
        )
        .unwrap()
    }

    fn pointers(input: PlanInput) -> Vec<String> {
        let now = at("2026-11-21T09:00:00Z");
        let done = input.applied_to(plan(), &SiteValues::default(), now);
        done.err().unwrap_or_default().into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn what_is_fine_is_brought_into_its_form() {
        let now = at("2026-11-21T09:00:00Z");
        let made = input().applied_to(plan(), &SiteValues::default(), now).unwrap();
        assert_eq!(made, plan(), "the zone has its own spelling");
        let running = PlanInput { starts: "2026-11-21T09:30:00".into(), ..input() };
        assert_eq!(pointers(running), Vec::<String>::new(), "begun half an hour ago");
        let old = PlanInput { starts: "2025-01-04T19:30".into(), weekly: true, ..input() };
        assert_eq!(pointers(old), Vec::<String>::new(), "a series that still runs");
    }

    #[test]
    fn every_limit_is_told_with_its_field_and_all_at_once() {
        let bad = PlanInput {
            title: " ".into(),
            category: "x".repeat(CATEGORY_MAX + 1),
            note: "x".repeat(NOTE_MAX + 1),
            starts: "tomorrow".into(),
            time_zone: "Berlin".into(),
            minutes: 4,
            weekly: false,
            until: Some("2027-01-01".into()),
        };
        let expected = ["/title", "/category", "/note", "/starts", "/time_zone", "/minutes", "/until"];
        assert_eq!(pointers(bad), expected);
        for (starts, weekly, until) in [
            ("2026-11-20T19:30", false, None),
            ("2028-11-20T19:30", false, None),
            ("1990-11-20T19:30", true, None),
            ("2026-11-28", false, None),
            ("2026-02-30T10:00", false, None),
            ("2026-11-28T19:30Z", false, None),
            ("2026-11-13T19:30", true, Some("2026-11-20")),
        ] {
            let bad = PlanInput { starts: starts.into(), weekly, until: until.map(str::to_owned), ..input() };
            assert_eq!(pointers(bad), ["/starts"], "{starts} was taken");
        }
        let before = PlanInput { weekly: true, until: Some("2026-11-27".into()), ..input() };
        assert_eq!(pointers(before), ["/until"]);
    }

    #[test]
    fn a_category_is_one_of_the_sites() {
        let site = SiteValues { categories: vec!["Crafts".into()], ..SiteValues::default() };
        let now = at("2026-11-21T09:00:00Z");
        let with = |category: &str| PlanInput { category: category.into(), ..input() };
        assert_eq!(with("crafts").applied_to(plan(), &site, now).unwrap().category, "Crafts");
        assert!(with("Music").applied_to(plan(), &site, now).is_err());
        for body in [r#"{"title":{"$ne":""}}"#, r#"{"channel":"x"}"#] {
            assert!(serde_json::from_str::<PlanInput>(body).is_err(), "{body} was taken");
        }
    }
}
