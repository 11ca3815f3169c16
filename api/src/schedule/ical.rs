//! Sans-IO: a schedule as a calendar that others subscribe to (RFC 5545; RFC 7986 for its name and refreshing).

use jiff::civil::DateTime;
use jiff::tz::{Dst, Offset, TimeZone};
use jiff::{Timestamp, ToSpan};

use super::record::Plan;

/// Longest line in bytes, without its end (RFC 5545 §3.1).
const LINE_MAX: usize = 75;
/// Years ahead for which the changes of clocks are told.
const YEARS: i16 = 3;
/// Most changes of clocks that are told of one zone.
const CHANGES_MAX: usize = 40;

/// Who plans.
#[derive(Debug, Clone, Copy)]
pub struct Calendar<'a> {
    /// The channel's name.
    pub channel: &'a str,
    /// Where it is watched; empty if not known.
    pub url: &'a str,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

impl Calendar<'_> {
    /// The calendar with these plans.
    #[must_use]
    pub fn text(&self, plans: &[Plan]) -> String {
        let mut out = Lines::default();
        out.line("BEGIN", "VCALENDAR");
        out.line("VERSION", "2.0");
        out.line("PRODID", "-//Millrace//Schedule//EN");
        out.line("NAME", &escaped(self.channel));
        // What most programs read instead.
        out.line("X-WR-CALNAME", &escaped(self.channel));
        out.line("REFRESH-INTERVAL;VALUE=DURATION", "PT1H");
        let mut zones: Vec<&str> = Vec::new();
        for plan in plans.iter().filter(|plan| in_zone(plan)) {
            if !zones.contains(&plan.time_zone.as_str()) {
                zones.push(&plan.time_zone);
                let first = plans.iter().filter(|other| other.time_zone == plan.time_zone);
                let first = first.filter_map(|plan| plan.zone().to_timestamp(plan.starts).ok()).min();
                self.zone(&mut out, plan, first.unwrap_or(Timestamp::UNIX_EPOCH));
            }
        }
        for plan in plans {
            self.event(&mut out, plan);
        }
        out.line("END", "VCALENDAR");
        out.0
    }

    fn event(&self, out: &mut Lines, plan: &Plan) {
        out.line("BEGIN", "VEVENT");
        out.line("UID", &plan.id.to_string());
        out.line("DTSTAMP", &utc(timestamp(self.now_ms)));
        out.line("SEQUENCE", &plan.sequence.to_string());
        let start = |moment: DateTime| match in_zone(plan) {
            true => (format!(";TZID={}", plan.time_zone), local(moment)),
            false => (String::new(), utc(plan.zone().to_timestamp(moment).unwrap_or(Timestamp::UNIX_EPOCH))),
        };
        let (parameter, value) = start(plan.starts);
        out.line(&format!("DTSTART{parameter}"), &value);
        out.line("DURATION", &format!("PT{}M", plan.minutes));
        if plan.weekly {
            out.line("RRULE", &rule(plan));
            for day in &plan.cancelled {
                let (parameter, value) = start(day.to_datetime(plan.starts.time()));
                out.line(&format!("EXDATE{parameter}"), &value);
            }
        }
        out.line("SUMMARY", &escaped(&plan.title));
        if !plan.note.is_empty() {
            out.line("DESCRIPTION", &escaped(&plan.note));
        }
        if !plan.category.is_empty() {
            out.line("CATEGORIES", &escaped(&plan.category));
        }
        if !self.url.is_empty() {
            out.line("URL", self.url);
        }
        out.line("END", "VEVENT");
    }

    /// The clocks of a plan's zone from `first` on (§3.6.5): one observance per change, so that no rule has to be guessed.
    fn zone(&self, out: &mut Lines, plan: &Plan, first: Timestamp) {
        let zone = plan.zone();
        out.line("BEGIN", "VTIMEZONE");
        out.line("TZID", &plan.time_zone);
        let until = timestamp(self.now_ms).to_zoned(TimeZone::UTC);
        let until = until.checked_add(YEARS.years()).map_or(Timestamp::MAX, |end| end.timestamp());
        // What holds at the first moment began at the change before it, or ever.
        let began = zone.preceding(first).next().map_or(Timestamp::UNIX_EPOCH, |change| change.timestamp());
        let info = zone.to_offset_info(first);
        let before = before(&zone, began);
        observance(out, began, before, info.offset(), info.dst(), info.abbreviation());
        for change in zone.following(first).take_while(|change| change.timestamp() < until).take(CHANGES_MAX)
        {
            let before = self::before(&zone, change.timestamp());
            observance(out, change.timestamp(), before, change.offset(), change.dst(), change.abbreviation());
        }
        out.line("END", "VTIMEZONE");
    }
}

/// The offset just before a moment.
fn before(zone: &TimeZone, moment: Timestamp) -> Offset {
    zone.to_offset(moment.checked_sub(1.second()).unwrap_or(moment))
}

fn observance(out: &mut Lines, onset: Timestamp, from: Offset, to: Offset, dst: Dst, name: &str) {
    let kind = if dst.is_dst() { "DAYLIGHT" } else { "STANDARD" };
    out.line("BEGIN", kind);
    out.line("DTSTART", &local(from.to_datetime(onset)));
    out.line("TZOFFSETFROM", &offset(from));
    out.line("TZOFFSETTO", &offset(to));
    out.line("TZNAME", &escaped(name));
    out.line("END", kind);
}

/// A series is told on the clocks of its zone; what is once, and what is in UTC, in UTC.
fn in_zone(plan: &Plan) -> bool {
    plan.weekly && !plan.zone().to_fixed_offset().is_ok_and(|offset| offset == Offset::UTC)
}

/// `UNTIL` is in UTC where the series is in a zone (§3.3.10): the last moment of its last day there.
fn rule(plan: &Plan) -> String {
    let last = plan.until.and_then(|until| {
        let end = until.at(23, 59, 59, 0);
        plan.zone().to_timestamp(end).ok()
    });
    match last {
        Some(last) => format!("FREQ=WEEKLY;UNTIL={}", utc(last)),
        None => "FREQ=WEEKLY".to_owned(),
    }
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn utc(moment: Timestamp) -> String {
    format!("{}Z", local(Offset::UTC.to_datetime(moment)))
}

fn local(moment: DateTime) -> String {
    moment.strftime("%Y%m%dT%H%M%S").to_string()
}

fn offset(offset: Offset) -> String {
    let seconds = offset.seconds();
    let (sign, size) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let text = format!("{sign}{:02}{:02}", size / 3600, size / 60 % 60);
    if size % 60 == 0 { text } else { format!("{text}{:02}", size % 60) }
}

/// A text value (§3.3.11).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Content lines, folded (§3.1).
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, name: &str, value: &str) {
        let mut room = LINE_MAX;
        for c in name.chars().chain([':']).chain(value.chars()) {
            if c.len_utf8() > room {
                self.0.push_str("\r\n ");
                room = LINE_MAX - 1;
            }
            self.0.push(c);
            room -= c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::{at, plan};
    use super::*;

    const WATCH: &str = "https://live.example.org/@studio";

    fn calendar(plans: &[Plan]) -> String {
        let text = Calendar { channel: "studio", url: WATCH, now_ms: at("2026-11-21T09:00:00Z") }.text(plans);
        assert!(
            text.split("\r\n").all(|line| line.len() <= LINE_MAX && !line.contains(['\n', '\r'])),
            "{text}"
        );
        text.replace("\r\n ", "")
    }

    fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
        text.lines().filter_map(|line| line.strip_prefix(name)).collect()
    }

    #[test]
    fn what_is_once_is_told_in_utc() {
        let text = calendar(&[plan()]);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "BEGIN:VCALENDAR",
                "VERSION:2.0",
                "PRODID:-//Millrace//Schedule//EN",
                "NAME:studio",
                "X-WR-CALNAME:studio",
                "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
                "BEGIN:VEVENT",
                "UID:00000000-0000-0000-0000-000000000001",
                "DTSTAMP:20261121T090000Z",
                "SEQUENCE:0",
                "DTSTART:20261128T183000Z",
                "DURATION:PT90M",
                "SUMMARY:Boat",
                "URL:https://live.example.org/@studio",
                "END:VEVENT",
                "END:VCALENDAR",
            ]
        );
    }

    #[test]
    fn a_series_is_told_on_the_clocks_of_its_zone_with_their_changes() {
        let weekly = Plan {
            weekly: true,
            until: Some("2027-03-27".parse().unwrap()),
            cancelled: vec!["2026-12-05".parse().unwrap(), "2026-12-26".parse().unwrap()],
            ..plan()
        };
        let text = calendar(&[weekly.clone(), weekly]);
        assert_eq!(values(&text, "DTSTART;TZID=")[0], "Europe/Berlin:20261128T193000");
        assert_eq!(values(&text, "RRULE:")[0], "FREQ=WEEKLY;UNTIL=20270327T225959Z");
        assert_eq!(values(&text, "EXDATE;TZID=Europe/Berlin:")[..2], ["20261205T193000", "20261226T193000"]);
        assert_eq!(values(&text, "BEGIN:VTIMEZONE").len(), 1, "each zone once");
        let zone = text.split("BEGIN:STANDARD").nth(1).unwrap();
        let expected = "\nDTSTART:20261025T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nTZNAME:CET\n";
        assert!(zone.replace("\r\n", "\n").starts_with(expected), "{zone}");
        let summer = text.split("BEGIN:DAYLIGHT").nth(1).unwrap();
        let expected = "\nDTSTART:20270328T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nTZNAME:CEST\n";
        assert!(summer.replace("\r\n", "\n").starts_with(expected), "{summer}");
        assert_eq!(values(&text, "BEGIN:DAYLIGHT").len(), 3, "three years of them");
    }

    #[test]
    fn a_zone_without_changes_and_utc_itself_are_told_simply() {
        let india = Plan { weekly: true, time_zone: "Asia/Kolkata".into(), ..plan() };
        let text = calendar(&[india]);
        assert_eq!(values(&text, "TZOFFSETTO:"), ["+0530"]);
        let utc = Plan { weekly: true, time_zone: "UTC".into(), ..plan() };
        let text = calendar(&[utc]);
        assert_eq!(values(&text, "DTSTART:"), ["20261128T193000Z"]);
        assert_eq!((values(&text, "RRULE:"), values(&text, "TZID:").len()), (vec!["FREQ=WEEKLY"], 0));
    }

    #[test]
    fn texts_are_escaped_folded_and_cannot_add_lines() {
        let title = format!("a, b; c\\d {}", "ü".repeat(100));
        let evil = Plan { title, note: "one\nEND:VCALENDAR\r\nX:1".into(), category: "x,y".into(), ..plan() };
        let text = calendar(&[evil]);
        assert_eq!(values(&text, "SUMMARY:"), [format!("a\\, b\\; c\\\\d {}", "ü".repeat(100))]);
        assert_eq!(values(&text, "DESCRIPTION:"), ["one\\nEND:VCALENDAR\\nX:1"]);
        assert_eq!(values(&text, "CATEGORIES:"), ["x\\,y"]);
        assert_eq!(values(&text, "END:VCALENDAR").len(), 1);
        assert_eq!(offset(Offset::from_seconds(-12_600).unwrap()), "-0330");
    }
}
