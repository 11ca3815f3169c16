//! A broadcast made by hand, and the rules of the window.

use proptest::prelude::*;

use super::*;
use crate::playlist::{Directives, MediaPlaylist, MultivariantPlaylist};

pub(crate) const PART: Duration = Duration::from_micros(333_333);

/// Feeds a window as the media side would: 30 frames per second, parts of ten frames, a `main` and an `audio`
/// rendition, segments of six parts.
pub(crate) struct Studio {
    pub(crate) window: Window,
    pub(crate) at: jiff::Timestamp,
    parts_in_segment: u32,
    pub(crate) parts_per_segment: u32,
    segments: u32,
    pub(crate) part_bytes: usize,
    gap: bool,
}

/// Gap parts of 334 ms in the leading gap of 4 s that lists them.
const GAP_PARTS: u64 = 12;

impl Studio {
    pub(crate) fn new() -> Self {
        Self::with(WindowConfig { window: None, memory_cap_bytes: u64::MAX }, 4)
    }

    pub(crate) fn with(config: WindowConfig, target_duration: u32) -> Self {
        let start = WindowStart { prefix: "r4nd0m".into(), first_msn: 1_795_230_000 };
        let mut window = Window::new(config, start);
        let rendition = |name, codecs: &[&str], resolution, frame_rate| RenditionInfo {
            name,
            part_target: Duration::from_millis(334),
            codecs: codecs.iter().map(ToString::to_string).collect(),
            resolution,
            frame_rate,
            nominal: None,
            listed: true,
        };
        let renditions = vec![
            rendition("main", &["avc1.64001f", "mp4a.40.2"], Some((1280, 720)), Some(30.0)),
            rendition("audio", &["mp4a.40.2"], None, None),
        ];
        window.apply(Output::Opened(Opened { target_duration, renditions, rungs: 0 })).unwrap();
        Self {
            window,
            at: "2026-11-21T03:00:00Z".parse().unwrap(),
            parts_in_segment: 0,
            parts_per_segment: 6,
            segments: 0,
            part_bytes: 10,
            gap: false,
        }
    }

    pub(crate) fn start_segment(&mut self, discontinuity: bool, gap: bool, init: Option<&'static str>) {
        if self.segments > 0 {
            self.window.apply(Output::SegmentEnded).unwrap();
        }
        let init = vec![init.map(|text| Bytes::from_static(text.as_bytes())); 2];
        let started = SegmentStarted { program_date_time: self.at, discontinuity, gap, init };
        self.window.apply(Output::SegmentStarted(started)).unwrap();
        self.parts_in_segment = 0;
        self.segments += 1;
        self.gap = gap;
    }

    /// One part in each rendition; a new segment when the last one is full.
    pub(crate) fn part(&mut self) {
        if self.segments == 0 {
            self.start_segment(false, false, Some("init one"));
        } else if self.parts_in_segment == self.parts_per_segment {
            self.start_segment(false, self.gap, None);
        }
        let independent = self.parts_in_segment == 0;
        self.part_with(independent);
    }

    pub(crate) fn part_with(&mut self, independent: bool) {
        for rendition in [0, 1] {
            let body = if self.gap {
                Bytes::new()
            } else {
                Bytes::from(vec![b'0' + rendition as u8; self.part_bytes])
            };
            let independent = (independent || rendition == 1) && !self.gap;
            let rendition = RenditionId(rendition);
            self.window
                .apply(Output::Part(Part {
                    rendition,
                    duration: PART,
                    independent,
                    body,
                    arrived: None,
                    shared: false,
                }))
                .unwrap();
        }
        self.parts_in_segment += 1;
        self.at += PART;
    }

    pub(crate) fn parts(&mut self, count: u32) -> &mut Self {
        for _ in 0..count {
            self.part();
        }
        self
    }

    pub(crate) fn main(&self) -> Snapshot {
        self.window.snapshot(RenditionId(0)).unwrap()
    }

    fn text(&self, form: Form) -> String {
        MediaPlaylist::new(&self.main(), form).to_string()
    }

    /// Number of the first segment with media.
    fn first(&self) -> u64 {
        1_795_230_000 + LEADING_GAPS
    }
}

/// Numbers of the segments with media of a broadcast whose segments last a second: as many as the clock allows.
fn numbers_of_a_broadcast(first_msn: u64, seconds: u64) -> std::ops::RangeInclusive<u64> {
    let start = WindowStart { prefix: "p".into(), first_msn };
    let mut window = Window::new(WindowConfig { window: None, memory_cap_bytes: u64::MAX }, start);
    let renditions = Studio::new().window.renditions().map(|(info, _)| info.clone()).collect();
    window.apply(Output::Opened(Opened { target_duration: 4, renditions, rungs: 0 })).unwrap();
    let mut numbers = Vec::new();
    for second in 0..seconds {
        let program_date_time =
            jiff::Timestamp::from_second(i64::try_from(first_msn + second).unwrap()).unwrap();
        let started = SegmentStarted {
            program_date_time,
            discontinuity: false,
            gap: false,
            init: vec![Some(Bytes::new()); 2],
        };
        window.apply(Output::SegmentStarted(started)).unwrap();
        numbers.push(window.next_msn() - 1);
        window.apply(Output::SegmentEnded).unwrap();
    }
    numbers[0]..=*numbers.last().unwrap()
}

#[test]
fn a_server_that_crashed_and_is_back_within_a_second_uses_no_number_again() {
    let now = 1_795_230_000;
    for lived in [1, 2, 5, 60] {
        let before = numbers_of_a_broadcast(first_msn(now, 0), lived);
        assert_eq!(*before.start(), now, "the first segment with media has the time");
        // Nothing is remembered after a crash but the time.
        let after = numbers_of_a_broadcast(first_msn(now + lived, 0), 1);
        assert!(after.start() > before.end(), "{after:?} after {before:?}");
    }
    // A broadcast that follows in the same process begins behind everything listed, its gaps included.
    assert_eq!(first_msn(now, now + 7), now + 7);
    assert_eq!(first_msn(1, 0), 0, "a clock that was never set");
}

fn ask(msn: impl Into<Option<u64>>, part: impl Into<Option<u64>>, skip: bool) -> Request {
    Request::Playlist(Directives { msn: msn.into(), part: part.into(), skip })
}

fn playlist(form: Form, cache: Cache) -> Found {
    Found::Playlist { form, cache }
}

#[test]
fn the_first_part_makes_a_playlist_with_leading_gaps() {
    let mut studio = Studio::new();
    assert!(!studio.main().is_playable());
    studio.start_segment(false, false, Some("init one"));
    assert!(!studio.main().is_playable());
    studio.part_with(true);
    insta::assert_snapshot!(studio.text(Form::Full));
}

#[test]
fn a_rendition_whose_segment_has_no_part_yet_is_reported_with_the_one_before() {
    let mut studio = Studio::new();
    studio.start_segment(false, false, Some("init one"));
    let body = Bytes::from_static(b"part");
    let part = Part {
        rendition: RenditionId(0),
        duration: PART,
        independent: true,
        body,
        arrived: None,
        shared: false,
    };
    studio.window.apply(Output::Part(part)).unwrap();
    let last_gap = studio.first() - 1;
    let report = format!(
        "RENDITION-REPORT:URI=\"../audio/index.m3u8\",LAST-MSN={last_gap},LAST-PART={}\n",
        GAP_PARTS - 1
    );
    assert!(studio.text(Form::Full).contains(&report));
}

#[test]
fn a_running_broadcast_lists_parts_near_the_end_only() {
    let mut studio = Studio::new();
    studio.parts(6 * 9 + 2);
    insta::assert_snapshot!(studio.text(Form::Full));
}

#[test]
fn a_delta_skips_what_ends_before_the_skip_boundary() {
    let mut studio = Studio::new();
    studio.parts(6 * 20 + 1);
    let (full, delta) = (studio.text(Form::Full), studio.text(Form::Delta));
    insta::assert_snapshot!(delta);
    // What follows the skip is exactly the tail of the full playlist, but for the repeated map.
    let tail = delta.split_once("SKIPPED-SEGMENTS=").unwrap().1.split_once('\n').unwrap().1;
    let tail = tail.replacen("#EXT-X-MAP:URI=\"r4nd0m-i1.mp4\"\n", "", 1);
    assert!(full.ends_with(&tail));
    let skipped = full.matches("#EXTINF").count() - delta.matches("#EXTINF").count();
    assert!(delta.contains(&format!("SKIPPED-SEGMENTS={skipped}\n")) && skipped > 0);
}

#[test]
fn a_publisher_that_comes_back_leaves_gaps_and_a_discontinuity() {
    let mut studio = Studio::new();
    studio.parts(8);
    studio.start_segment(false, true, None);
    studio.parts(3);
    studio.start_segment(true, false, Some("init two"));
    studio.parts(2);
    insta::assert_snapshot!(studio.text(Form::Full));
}

#[test]
fn an_ended_broadcast_has_an_end_and_hints_nothing() {
    let mut studio = Studio::new();
    studio.parts(8);
    studio.window.apply(Output::SegmentEnded).unwrap();
    studio.window.apply(Output::Ended).unwrap();
    insta::assert_snapshot!(studio.text(Form::Full));
    let snapshot = studio.main();
    // Directives are ignored (RFC 8216bis §6.2.5.2), and the hinted part will not come.
    for request in [ask(None, 3, true), ask(u64::MAX, None, false), ask(0, u64::MAX, true)] {
        assert_eq!(snapshot.find(&request), playlist(Form::Full, Cache::Newest));
    }
    assert_eq!(snapshot.find(&Request::Part(8)), Found::Gone);
    assert_eq!(studio.window.apply(Output::SegmentEnded), Err(WindowError::Ended));
}

#[test]
fn the_multivariant_playlist_announces_measured_rates() {
    let mut studio = Studio::new();
    studio.part_bytes = 10_000;
    studio.parts(20);
    insta::assert_snapshot!(MultivariantPlaylist::new(&studio.window).to_string());
}

#[test]
fn sparse_sync_samples_lead_a_joining_player_to_the_newest_one() {
    let mut studio = Studio::new();
    studio.parts(6);
    // OBS "auto": no keyframe for the next 19 parts, cut every 6.
    for part in 0..19 {
        if part % 6 == 0 {
            studio.start_segment(false, false, None);
        }
        studio.part_with(false);
        let text = studio.text(Form::Full);
        let declared = text.contains("#EXT-X-INDEPENDENT-SEGMENTS");
        // 12 s of leading gaps, then the keyframe; the first three parts are nearer to the end than the hold-back.
        let start = text.lines().find(|line| line.starts_with("#EXT-X-START"));
        let wanted = (part >= 3).then_some("#EXT-X-START:TIME-OFFSET=12.001,PRECISE=YES");
        assert_eq!((declared, start), (false, wanted), "part {part}");
    }
    // A keyframe in the middle of a segment becomes the place to start at once it is older than the hold-back.
    studio.part_with(true);
    studio.part_with(false);
    studio.part_with(false);
    assert!(studio.text(Form::Full).contains("#EXT-X-START:TIME-OFFSET=12.001"));
    studio.start_segment(false, false, None);
    studio.part_with(false);
    // Now a player that starts at the hold-back finds it in its segment.
    assert!(!studio.text(Form::Full).contains("#EXT-X-START"));
}

#[test]
fn blocking_requests_follow_the_rules() {
    let mut studio = Studio::new();
    studio.parts(6 * 30 + 3);
    let (open, snapshot) = (studio.first() + 30, studio.main());
    let now = |form| playlist(form, Cache::Satisfied);
    let too_far = |msn| Found::BadRequest(BadDirective::MsnTooFar { msn, last: open - 1 });
    let part_too_far = |ahead| Found::BadRequest(BadDirective::PartTooFar { ahead, limit: 9 });
    let first = snapshot.listed().next().unwrap().msn;
    let table = [
        ("no directive", ask(None, None, false), playlist(Form::Full, Cache::Newest)),
        ("skip alone", ask(None, None, true), playlist(Form::Delta, Cache::Newest)),
        ("the last complete segment", ask(open - 1, None, false), now(Form::Full)),
        ("the same as a delta", ask(open - 1, None, true), now(Form::Delta)),
        ("the open segment", ask(open, None, false), Found::NotYet),
        ("the one after", ask(open + 1, None, false), Found::NotYet),
        ("two after the last", ask(open + 1, 0, true), Found::NotYet),
        ("three after the last", ask(open + 2, None, false), too_far(open + 2)),
        ("far away", ask(u64::MAX, Some(u64::MAX), false), too_far(u64::MAX)),
        ("a part that is there", ask(open, 2, true), now(Form::Delta)),
        ("the hinted part", ask(open, 3, false), Found::NotYet),
        ("as far as the limit", ask(open, 11, false), Found::NotYet),
        ("a part beyond the limit", ask(open, 12, false), part_too_far(10)),
        ("an endless part", ask(open, u64::MAX, false), part_too_far(u64::MAX - 2)),
        ("limit in the next segment", ask(open + 1, 8, false), Found::NotYet),
        ("beyond it there", ask(open + 1, 9, false), part_too_far(10)),
        ("an endless part there", ask(open + 1, u64::MAX, false), part_too_far(u64::MAX)),
        (
            "past the end of the last segment is part 0 of the open one",
            ask(open - 1, 6, false),
            now(Form::Full),
        ),
        ("however far", ask(open - 1, u64::MAX, false), now(Form::Full)),
        ("a part without a segment", ask(None, 0, false), Found::BadRequest(BadDirective::PartWithoutMsn)),
        ("a segment that left the list", ask(first - 1, 2, true), playlist(Form::Full, Cache::Newest)),
        ("a number of long ago", ask(0, u64::MAX, true), playlist(Form::Full, Cache::Newest)),
        ("a delta that would skip what the player lacks", ask(first + 1, None, true), now(Form::Full)),
    ];
    for (what, request, wanted) in table {
        assert_eq!(snapshot.find(&request), wanted, "{what}");
    }
}

#[test]
fn past_the_end_of_the_last_segment_waits_for_the_next_part() {
    let mut studio = Studio::new();
    studio.parts(6);
    studio.window.apply(Output::SegmentEnded).unwrap();
    let last = studio.first();
    for (request, wanted) in [
        (ask(last, 6, false), Found::NotYet),
        (ask(last, 5, false), playlist(Form::Full, Cache::Satisfied)),
        (ask(last, None, false), playlist(Form::Full, Cache::Satisfied)),
        (ask(last + 1, 0, false), Found::NotYet),
        (
            ask(last + 1, u64::MAX, false),
            Found::BadRequest(BadDirective::PartTooFar { ahead: u64::MAX, limit: 9 }),
        ),
    ] {
        assert_eq!(studio.main().find(&request), wanted, "{request:?}");
    }
    studio.segments = 0;
    studio.start_segment(false, false, None);
    assert_eq!(studio.main().find(&ask(last, 6, false)), Found::NotYet);
    studio.part_with(true);
    assert_eq!(studio.main().find(&ask(last, 6, false)), playlist(Form::Full, Cache::Satisfied));
}

#[test]
fn the_hinted_part_comes_under_its_name_even_when_the_segment_ends_early() {
    let mut studio = Studio::new();
    studio.parts(3);
    let hinted = GAP_PARTS + 3;
    assert!(
        studio.text(Form::Full).contains(&format!("PRELOAD-HINT:TYPE=PART,URI=\"r4nd0m-p{hinted}.m4s\""))
    );
    assert_eq!(studio.main().find(&Request::Part(hinted)), Found::NotYet);
    assert_eq!(studio.main().find(&Request::Part(hinted + 1)), Found::Gone);
    studio.start_segment(true, false, None);
    studio.part_with(true);
    assert!(
        studio
            .text(Form::Full)
            .contains(&format!("#EXT-X-PART:DURATION=0.333333,URI=\"r4nd0m-p{hinted}.m4s\",INDEPENDENT=YES"))
    );
    assert!(matches!(studio.main().find(&Request::Part(hinted)), Found::Body(body) if body[0].len() == 10));
    // A hinted part that turns out to be a gap is gone.
    studio.start_segment(false, true, None);
    studio.part_with(false);
    assert_eq!(studio.main().find(&Request::Part(hinted + 1)), Found::Gone);
}

#[test]
fn a_stopping_server_lets_nobody_wait() {
    let mut studio = Studio::new();
    assert_eq!(studio.main().stopping().find(&ask(None, None, false)), Found::Stopping);
    studio.parts(8);
    let snapshot = studio.main().stopping();
    assert_eq!(snapshot.find(&ask(studio.first() + 1, 5, false)), playlist(Form::Full, Cache::Newest));
    assert_eq!(snapshot.find(&Request::Part(GAP_PARTS + 8)), Found::Stopping);
    assert!(!MediaPlaylist::new(&snapshot, Form::Full).to_string().contains("ENDLIST"));
}

#[test]
fn what_left_the_list_stays_fetchable_for_as_long_as_a_playlist_lasts() {
    let mut studio = Studio::new();
    let mut left_at = None;
    let first = studio.first();
    for part in 0u32.. {
        studio.part();
        let snapshot = studio.main();
        let listed = snapshot.listed().any(|segment| segment.msn == first);
        let there = snapshot.find(&Request::Segment(first)) != Found::Gone;
        if part >= 6 && !listed {
            let since = part - *left_at.get_or_insert(part);
            // Its own two seconds and the longest playlist: 32 s, a segment whose removal is due, the open one.
            assert!(there || since * 333 > 36_000, "gone after {since} parts");
            if !there {
                assert!(since * 333 < 60_000, "{since} parts");
                return;
            }
        }
    }
}

#[test]
fn memory_stays_under_the_cap_whatever_comes() {
    let cap = 3_000;
    let mut studio = Studio::with(WindowConfig { window: None, memory_cap_bytes: cap }, 4);
    studio.part_bytes = 100;
    for _ in 0..200 {
        studio.part();
        assert!(studio.window.bytes() <= cap);
        let kept = studio.main().segments.iter().chain(&studio.main().open).map(|s| s.bytes()).sum::<u64>();
        assert!(kept <= cap && studio.main().listed().count() > 0);
    }
    // One segment that never ends: its oldest parts become gaps.
    studio.parts_per_segment = u32::MAX;
    studio.parts(100);
    assert!(studio.window.bytes() <= cap && studio.window.bytes() > cap - 200);
    assert!(studio.text(Form::Full).contains(",GAP=YES"));
    studio.part_bytes = 10_000;
    studio.part();
    assert!(studio.window.bytes() <= cap);
}

#[test]
fn outputs_out_of_order_are_errors() {
    let config = WindowConfig { window: None, memory_cap_bytes: u64::MAX };
    let mut window = Window::new(config, WindowStart { prefix: "p".into(), first_msn: 1 });
    assert_eq!(window.apply(Output::SegmentEnded), Err(WindowError::NotOpened));
    let opened = Opened { target_duration: 4, renditions: vec![], rungs: 0 };
    assert_eq!(window.apply(Output::Opened(opened.clone())), Ok(()));
    assert_eq!(window.apply(Output::Opened(opened)), Err(WindowError::OpenedTwice));
    let part = |rendition| {
        Output::Part(Part {
            rendition: RenditionId(rendition),
            duration: PART,
            independent: true,
            body: Bytes::new(),
            arrived: None,
            shared: false,
        })
    };
    assert_eq!(window.apply(part(1)), Err(WindowError::UnknownRendition { index: 1, count: 0 }));
    let mut studio = Studio::new();
    assert_eq!(studio.window.apply(part(0)), Err(WindowError::NoSegment));
}

#[derive(Debug, Clone)]
enum Step {
    Part { independent: bool },
    Cut { discontinuity: bool, gap: bool, init: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let part = any::<bool>().prop_map(|independent| Step::Part { independent });
    let cut = any::<(bool, bool, bool)>().prop_map(|(discontinuity, gap, init)| Step::Cut {
        discontinuity,
        gap,
        init,
    });
    prop::collection::vec(prop_oneof![4 => part, 1 => cut], 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_a_playlist_lists_can_be_fetched_and_numbers_never_go_back(steps in steps(), cap in prop_oneof![Just(u64::MAX), 50u64..2_000]) {
        let mut studio = Studio::with(WindowConfig { window: None, memory_cap_bytes: cap }, 1);
        studio.start_segment(false, false, Some("init"));
        let (mut last_sequence, mut last_discontinuity, mut last_end) = (0, 0, (0, None));
        for step in steps {
            match step {
                Step::Part { independent } => studio.part_with(independent),
                Step::Cut { discontinuity, gap, init } => studio.start_segment(discontinuity, gap, init.then_some("other init")),
            }
            let snapshot = studio.main();
            if !snapshot.is_playable() { continue; }
            let text = MediaPlaylist::new(&snapshot, Form::Full).to_string();
            let number = |tag: &str| text.lines().find_map(|line| line.strip_prefix(tag)).unwrap().parse::<u64>().unwrap();
            let (sequence, discontinuity) = (number("#EXT-X-MEDIA-SEQUENCE:"), number("#EXT-X-DISCONTINUITY-SEQUENCE:"));
            prop_assert!(sequence >= last_sequence && discontinuity >= last_discontinuity);
            (last_sequence, last_discontinuity) = (sequence, discontinuity);
            let end = studio.window.broadcast().unwrap().renditions[0].report().unwrap();
            let end = (end.last_msn, end.last_part);
            prop_assert!(end >= last_end);
            last_end = end;
            let (mut sequence, mut gap, mut at) = (sequence, false, 0u64);
            for line in text.lines() {
                let uri = line.split_once("URI=\"r4nd0m-").and_then(|(_, rest)| rest.split_once('"')).map(|(uri, _)| uri);
                if line.starts_with("#EXT-X-MAP") {
                    let number = uri.unwrap().strip_prefix('i').unwrap().strip_suffix(".mp4").unwrap().parse().unwrap();
                    prop_assert!(matches!(snapshot.find(&Request::Init(number)), Found::Body(_)));
                } else if line.starts_with("#EXT-X-PART:") {
                    let number = uri.unwrap().strip_prefix('p').unwrap().strip_suffix(".m4s").unwrap().parse().unwrap();
                    let there = matches!(snapshot.find(&Request::Part(number)), Found::Body(_));
                    prop_assert_eq!(there, !line.ends_with("GAP=YES"));
                } else if line.starts_with("#EXT-X-PRELOAD-HINT") {
                    let number = uri.unwrap().strip_prefix('p').unwrap().strip_suffix(".m4s").unwrap().parse().unwrap();
                    prop_assert_eq!(snapshot.find(&Request::Part(number)), Found::NotYet);
                } else if line == "#EXT-X-GAP" {
                    gap = true;
                } else if let Some(seconds) = line.strip_prefix("#EXTINF:") {
                    at += (seconds.trim_end_matches(',').parse::<f64>().unwrap() * 1e6).round() as u64;
                } else if let Some(name) = line.strip_prefix("r4nd0m-s") {
                    prop_assert_eq!(name, format!("{sequence}.m4s"));
                    let there = matches!(snapshot.find(&Request::Segment(sequence)), Found::Body(_));
                    prop_assert_eq!(there, !gap);
                    sequence += 1;
                    gap = false;
                }
            }
            prop_assert!(at > 0 || text.contains("#EXT-X-PART"));
            prop_assert!(studio.window.bytes() <= cap);
        }
    }
}
