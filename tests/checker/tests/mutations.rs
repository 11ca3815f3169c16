//! A checker that cannot fail is worth nothing: each mutation of a good series of playlists violates one rule, and
//! exactly that rule is found.

#![expect(clippy::unwrap_used, reason = "a test")]
use std::fmt::Write as _;
use std::time::Duration;

use millrace_hls_checker::history::{Bounds, History};
use millrace_hls_checker::playlist::{self, MediaPlaylist};
use millrace_hls_checker::rule::{Findings, Rule};
use millrace_hls_checker::{delta, snapshot};

const FIRST_MSN: u64 = 1_790_000_000;
const PARTS: u64 = 6;
const LISTED: u64 = 16;

/// The playlist after `ticks` parts of 1/3 s, segments of 2 s, target duration 4 s, a discontinuity at segment 5.
fn full(ticks: u64) -> String {
    list(ticks, None)
}

/// The delta update of the same version: segments that end more than 24 s from the end are skipped.
fn delta_of(ticks: u64) -> String {
    let (first, open) = window(ticks);
    let from_end = |segment: u64| 2.0 * (open - segment - 1) as f64 + (ticks % PARTS) as f64 / 3.0;
    let skipped = (first..open).filter(|s| from_end(*s) >= 24.0).count() as u64;
    list(ticks, Some(skipped))
}

/// First listed and open segment.
fn window(ticks: u64) -> (u64, u64) {
    let open = ticks / PARTS;
    (open.saturating_sub(LISTED), open)
}

fn list(ticks: u64, skip: Option<u64>) -> String {
    let (first, open) = window(ticks);
    let mut text = String::from(
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,\
         CAN-SKIP-UNTIL=24.0,HOLD-BACK=12.0,PART-HOLD-BACK=1.002\n#EXT-X-PART-INF:PART-TARGET=0.334\n",
    );
    let discontinuities = u64::from(first > 5);
    write!(
        text,
        "#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}\n#EXT-X-INDEPENDENT-SEGMENTS\n",
        FIRST_MSN + first
    )
    .unwrap();
    let from = first + skip.unwrap_or(0);
    if let Some(skip) = skip.filter(|s| *s > 0) {
        writeln!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skip}").unwrap();
    }
    for segment in from..=open {
        let last_part = if segment == open { ticks % PARTS } else { PARTS };
        if segment == open && last_part == 0 {
            break;
        }
        if segment == 5 {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if segment == from || segment == 5 {
            let init = u64::from(segment >= 5);
            writeln!(text, "#EXT-X-MAP:URI=\"x-i{init}.mp4\"").unwrap();
        }
        let seconds = 2 * segment;
        writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T10:{:02}:{:02}.000Z", seconds / 60, seconds % 60)
            .unwrap();
        // Parts of segments that end within 12 s from the end.
        if 2 * (open.saturating_sub(segment + 1)) + (ticks % PARTS) / 3 < 12 {
            for part in 0..last_part {
                let number = segment * PARTS + part;
                let independent = if part == 0 { ",INDEPENDENT=YES" } else { "" };
                writeln!(text, "#EXT-X-PART:DURATION=0.333333,URI=\"x-p{number}.m4s\"{independent}").unwrap();
            }
        }
        if segment < open {
            writeln!(text, "#EXTINF:2.000000,\nx-s{segment}.m4s").unwrap();
        }
    }
    writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x-p{ticks}.m4s\"").unwrap();
    text.push_str("#EXT-X-RENDITION-REPORT:URI=\"../audio/index.m3u8\",LAST-MSN=7,LAST-PART=2\n");
    text
}

/// What the rules say of the series, after `change` had its way with each text (by tick).
fn found_in(ticks: std::ops::Range<u64>, mut change: impl FnMut(u64, &mut String, &mut String)) -> Vec<Rule> {
    let mut findings = Findings::new("main");
    let mut history = History::new(Bounds::default());
    let mut before: Option<MediaPlaylist> = None;
    for tick in ticks {
        let (mut whole, mut update) = (full(tick), delta_of(tick));
        change(tick, &mut whole, &mut update);
        let mut of_delta = Findings::new("main");
        let (list, update) =
            (playlist::parse(&whole, &mut findings), playlist::parse(&update, &mut of_delta));
        snapshot::check(&list, &mut findings);
        if let Some(before) = before.replace(list.clone()) {
            delta::check(&before, &update, &list, &mut findings);
        }
        history.advance(Duration::from_millis(333 * tick), list, &mut findings);
    }
    let mut rules: Vec<_> = findings.as_slice().iter().map(|f| f.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// A long series: window moving, parts dropped, the discontinuity leaving, deltas skipping.
const RUN: std::ops::Range<u64> = 96..150;

#[test]
fn a_good_series_has_no_findings() {
    assert_eq!(found_in(RUN, |_, _, _| {}), []);
    // From the very beginning of a broadcast, too.
    assert_eq!(found_in(1..60, |_, _, _| {}), []);
}

/// Changes full and delta alike, always.
fn everywhere(from: &'static str, to: &'static str) -> impl FnMut(u64, &mut String, &mut String) {
    move |_, whole, update| {
        *whole = whole.replace(from, to);
        *update = update.replace(from, to);
    }
}

/// Changes full and delta alike, from a tick on.
fn since(tick: u64, from: &'static str, to: &'static str) -> impl FnMut(u64, &mut String, &mut String) {
    move |now, whole, update| {
        if now >= tick {
            *whole = whole.replace(from, to);
            *update = update.replace(from, to);
        }
    }
}

#[test]
fn each_mutation_of_a_constant_is_found() {
    for (from, to, want) in [
        ("PART-TARGET=0.334", "PART-TARGET=0.333", Rule::PartTargetBound),
        ("#EXT-X-TARGETDURATION:4\n", "", Rule::MissingTag),
        ("#EXT-X-PART-INF:PART-TARGET=0.334\n", "", Rule::MissingTag),
        ("#EXT-X-VERSION:9", "#EXT-X-VERSION:8", Rule::VersionTooLow),
        ("CAN-BLOCK-RELOAD=YES,", "CAN-BLOCK-RELOAD=NO,", Rule::CanBlockReload),
        ("PART-HOLD-BACK=1.002", "PART-HOLD-BACK=1.001", Rule::PartHoldBack),
        ("HOLD-BACK=12.0", "HOLD-BACK=11.0", Rule::HoldBack),
        ("CAN-SKIP-UNTIL=24.0,", "", Rule::MissingAttribute),
        ("#EXT-X-PRELOAD-HINT:TYPE=PART,", "#EXT-X-PRELOAD-HINT:TYPE=MAP,", Rule::PreloadHint),
        ("#EXT-X-DISCONTINUITY-SEQUENCE:1", "#EXT-X-DISCONTINUITY-SEQUENCE:0", Rule::DiscontinuitySequence),
        ("#EXT-X-PART:DURATION=0.333333", "#EXT-X-PART:DURATION=0.333333,COLOUR=RED", Rule::UnknownAttribute),
        ("#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-INDEPENDENT", Rule::UnknownTag),
        (",INDEPENDENT=YES", "", Rule::IndependentSegments),
        (
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x-p",
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"y-p",
            Rule::HintBroken,
        ),
    ] {
        assert!(full(100).contains(from) || full(149).contains(from), "{from:?} is not in the playlist");
        // The run ends before the discontinuity leaves where its absence is not the point.
        let run = if want == Rule::DiscontinuitySequence { RUN } else { 96..110 };
        assert_eq!(found_in(run, everywhere(from, to)), [want], "{from:?} -> {to:?}");
    }
}

#[test]
fn each_change_between_two_reloads_is_found() {
    for (from, to, want) in [
        (
            "#EXT-X-TARGETDURATION:4",
            "#EXT-X-TARGETDURATION:3",
            vec![Rule::PartsOutlive, Rule::ConstantChanged],
        ),
        ("PART-TARGET=0.334", "PART-TARGET=0.3339", vec![Rule::ConstantChanged]),
        ("PART-HOLD-BACK=1.002", "PART-HOLD-BACK=1.1", vec![Rule::ConstantChanged]),
        ("x-s10.m4s", "x-s10b.m4s", vec![Rule::SegmentChanged]),
        ("T10:00:20.000Z", "T10:00:20.005Z", vec![Rule::SegmentChanged]),
    ] {
        assert_eq!(found_in(96..110, since(104, from, to)), want, "{from:?} -> {to:?}");
    }
    // A part that was listed says something else later.
    assert_eq!(
        found_in(
            96..110,
            since(
                105,
                "#EXT-X-PART:DURATION=0.333333,URI=\"x-p103.m4s\"",
                "#EXT-X-PART:DURATION=0.333300,URI=\"x-p103.m4s\""
            )
        ),
        [Rule::SegmentChanged]
    );
    // A segment loses its last parts as it closes.
    assert_eq!(
        found_in(98..104, |tick, whole, update| {
            if tick >= 102 {
                for text in [whole, update] {
                    *text = text.replace("#EXT-X-PART:DURATION=0.333333,URI=\"x-p100.m4s\"\n", "");
                    *text = text.replace("#EXT-X-PART:DURATION=0.333333,URI=\"x-p101.m4s\"\n", "");
                }
            }
        }),
        [Rule::PartSum, Rule::SegmentVanished]
    );
}

#[test]
fn a_playlist_that_goes_back_or_stands_still_is_found() {
    let back = |tick: u64, whole: &mut String, update: &mut String| {
        if tick == 105 {
            (*whole, *update) = (full(103), delta_of(103));
        }
    };
    assert_eq!(found_in(100..106, back), [Rule::WentBack]);
    // The same playlist for four seconds is no fault of its text; the next part comes too late.
    let stuck = |tick: u64, whole: &mut String, update: &mut String| {
        if (105..117).contains(&tick) {
            (*whole, *update) = (full(104), delta_of(104));
        }
    };
    assert_eq!(found_in(100..110, |_, _, _| {}), []);
    let mut rules = found_in(100..120, stuck);
    // Twelve parts at once: the hint named the first of them, so nothing else is wrong.
    rules.retain(|r| *r != Rule::Cadence);
    assert_eq!(rules, []);
    assert_eq!(found_in(100..120, stuck), [Rule::Cadence]);
}

#[test]
fn each_fault_of_one_segment_is_found() {
    // (what stands at segment 17, what it becomes)
    for (from, to, want) in [
        ("#EXTINF:2.000000,\nx-s15", "#EXTINF:2.050000,\nx-s15", vec![Rule::PartSum, Rule::PdtIncoherent]),
        ("#EXTINF:2.000000,\nx-s4.", "#EXTINF:4.600000,\nx-s4.", vec![Rule::TargetDurationBound]),
        ("T10:00:20.000Z", "T10:00:20.100Z", vec![Rule::PdtIncoherent]),
        ("URI=\"x-p93.m4s\"", "URI=\"x-p93.m4s\",GAP=YES", vec![Rule::GapInconsistent]),
        (
            "DURATION=0.333333,URI=\"x-p93.m4s\"",
            "DURATION=0.200000,URI=\"x-p93.m4s\"",
            vec![Rule::PartTooShort, Rule::PartSum],
        ),
        (
            "DURATION=0.333333,URI=\"x-p93.m4s\"",
            "DURATION=0.400000,URI=\"x-p93.m4s\"",
            vec![Rule::PartTargetBound, Rule::PartSum],
        ),
        ("URI=\"x-p93.m4s\"", "URI=\"x-p92.m4s\"", vec![Rule::UriReused]),
        ("\nx-s12.m4s", "\nx-s11.m4s", vec![Rule::UriReused]),
        ("#EXTINF:2.000000,\nx-s15", "#EXT-X-GAP\n#EXTINF:2.000000,\nx-s15", vec![Rule::GapInconsistent]),
        ("#EXT-X-MAP:URI=\"x-i1.mp4\"\n", "", vec![]),
        ("#EXT-X-DISCONTINUITY\n#EXT-X-MAP", "#EXT-X-MAP", vec![Rule::MapWithoutDiscontinuity]),
    ] {
        assert!(full(97).contains(from), "{from:?} is not in the playlist");
        let whole = full(97).replace(from, to);
        let mut findings = Findings::new("main");
        let list = playlist::parse(&whole, &mut findings);
        snapshot::check(&list, &mut findings);
        History::new(Bounds::default()).advance(Duration::ZERO, list, &mut findings);
        let mut rules: Vec<_> = findings.as_slice().iter().map(|f| f.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        assert_eq!(rules, want, "{from:?} -> {to:?}: {:?}", findings.as_slice());
    }
}

#[test]
fn parts_must_be_listed_near_the_end_and_nowhere_else() {
    let old_parts = |_: u64, whole: &mut String, _: &mut String| {
        *whole = whole.replace(
            "#EXTINF:2.000000,\nx-s3.m4s",
            &(18..24)
                .map(|n| {
                    let independent = if n == 18 { ",INDEPENDENT=YES" } else { "" };
                    format!("#EXT-X-PART:DURATION=0.333333,URI=\"x-p{n}.m4s\"{independent}\n")
                })
                .chain(["#EXTINF:2.000000,\nx-s3.m4s".to_owned()])
                .collect::<String>(),
        );
    };
    assert_eq!(found_in(97..98, old_parts), [Rule::PartsOutlive]);
    let dropped = |_: u64, whole: &mut String, _: &mut String| {
        *whole = whole
            .lines()
            .filter(|l| !(78..84).any(|n| l.contains(&format!("x-p{n}.m4s\""))) || l.contains("HINT"))
            .map(|l| format!("{l}\n"))
            .collect();
    };
    assert_eq!(found_in(97..98, dropped), [Rule::PartsDroppedEarly]);
    let late_tag = |_: u64, whole: &mut String, _: &mut String| {
        *whole = whole.replace("#EXTINF:2.000000,\nx-s15", "#EXT-X-DISCONTINUITY\n#EXTINF:2.000000,\nx-s15");
    };
    assert_eq!(found_in(97..98, late_tag), [Rule::MediaTagAfterPart]);
    let no_dates = |_: u64, whole: &mut String, _: &mut String| {
        *whole = whole.lines().filter(|l| !l.contains("DATE-TIME")).map(|l| format!("{l}\n")).collect();
    };
    assert_eq!(found_in(97..98, no_dates), [Rule::PdtMissing]);
    let no_maps = |_: u64, whole: &mut String, _: &mut String| {
        *whole = whole.lines().filter(|l| !l.contains("X-MAP")).map(|l| format!("{l}\n")).collect();
    };
    assert_eq!(found_in(97..98, no_maps), [Rule::MapMissing]);
}

#[test]
fn a_delta_that_lies_is_found() {
    // Far enough in that something is skipped.
    assert!(delta_of(140).contains("#EXT-X-SKIP"));
    let lost =
        |_: u64, _: &mut String, update: &mut String| *update = update.replace("x-s18.m4s", "x-s18x.m4s");
    assert_eq!(found_in(120..125, lost), [Rule::DeltaDiffers]);
    let greedy = |tick: u64, _: &mut String, update: &mut String| {
        let (first, open) = window(tick);
        *update = list(tick, Some(open - first - 4));
    };
    assert_eq!(found_in(120..125, greedy), [Rule::DeltaSkipsTooMuch]);
    let lazy = |tick: u64, _: &mut String, update: &mut String| *update = full(tick);
    assert_eq!(found_in(130..133, lazy), [Rule::DeltaSkipsNothing]);
    let wrong_version = |tick: u64, _: &mut String, update: &mut String| {
        *update = delta_of(tick).replace("#EXT-X-VERSION:9", "#EXT-X-VERSION:8");
    };
    assert_eq!(found_in(120..123, wrong_version), [Rule::VersionTooLow]);
    let unasked = |tick: u64, whole: &mut String, _: &mut String| *whole = delta_of(tick);
    assert!(found_in(130..131, unasked).contains(&Rule::UnexpectedSkip));
}

#[test]
fn the_end_is_the_end() {
    let end = |tick: u64, whole: &mut String, update: &mut String| {
        for (text, at) in [(whole, full(tick.min(102))), (update, delta_of(tick.min(102)))] {
            *text = at;
            if tick >= 102 {
                *text =
                    text.lines().filter(|l| !l.contains("PRELOAD-HINT")).map(|l| format!("{l}\n")).collect();
                text.push_str("#EXT-X-ENDLIST\n");
            }
        }
    };
    assert_eq!(found_in(100..105, end), []);
    let hint_after = |tick: u64, whole: &mut String, update: &mut String| {
        end(tick, whole, update);
        if tick >= 102 {
            *whole = whole.replace(
                "#EXT-X-ENDLIST\n",
                "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x-p102.m4s\"\n#EXT-X-ENDLIST\n",
            );
            *update = update.replace(
                "#EXT-X-ENDLIST\n",
                "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x-p102.m4s\"\n#EXT-X-ENDLIST\n",
            );
        }
    };
    assert_eq!(found_in(100..105, hint_after), [Rule::PreloadHint]);
    let resumed = |tick: u64, whole: &mut String, update: &mut String| {
        if tick == 102 {
            end(tick, whole, update);
        }
    };
    assert_eq!(found_in(100..105, resumed), [Rule::EndlistChanged]);
}
