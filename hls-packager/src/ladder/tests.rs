//! Whole broadcasts with rungs in virtual time, and a transcoder that only numbers pictures.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace_core::transcode::{LadderOrder, LadderReport, Rung, RungId};

use proptest::prelude::*;

use super::*;
use crate::packager::tests::encoder::{Encoder, record};
use crate::packager::{Packager, PackagerConfig, PackagerStart};
use crate::suite::{Checker, SampleOut, SegmentOut};

const LOW: RenditionId = RenditionId(2);
const LOWER: RenditionId = RenditionId(3);
/// Pictures that the transcoder's decoder holds back.
const HELD_BACK: usize = 2;

/// The source is 640x360.
fn config(mode: LadderMode) -> LadderConfig {
    let rung = |height, max_frame_rate| RungConfig { height, bitrate: 400_000, max_frame_rate };
    LadderConfig { mode, rungs: vec![rung(144, 60), rung(240, 60)], ..LadderConfig::default() }
}

/// A transcoder that answers after a while.
#[derive(Default)]
struct Transcoder {
    lag: Duration,
    hangs: bool,
    rungs: Vec<Rung>,
    begun: BTreeSet<RungId>,
    waiting: Vec<Rung>,
    held: BTreeMap<i64, bool>,
    keys: BTreeMap<i64, bool>,
    keys_due: BTreeSet<RungId>,
    presented: u64,
    answers: VecDeque<(Instant, LadderReport)>,
    configured: usize,
    /// Bits per second of the rungs that it was asked for, each time.
    bitrates: Vec<Vec<u32>>,
}

impl Transcoder {
    fn order(&mut self, now: Instant, order: LadderOrder) {
        match order {
            LadderOrder::Configure(record) => {
                assert!(!record.is_empty());
                self.configured += 1;
                self.present(now, 0);
            }
            LadderOrder::Rungs(rungs) => {
                self.bitrates.push(rungs.iter().map(|rung| rung.bitrate).collect());
                self.waiting = rungs;
            }
            LadderOrder::Stop(id) => {
                self.rungs.retain(|rung| rung.id != id);
                self.waiting.retain(|rung| rung.id != id);
                self.begun.remove(&id);
            }
            LadderOrder::Key { pts, cut } => {
                self.keys.insert(pts, cut);
            }
            LadderOrder::Picture { pts, cut, sync, .. } => {
                assert!(self.configured > 0 && (sync || self.presented > 0 || !self.held.is_empty()));
                assert!(self.held.insert(pts, cut).is_none(), "{pts} twice");
                self.present(now, HELD_BACK);
            }
        }
    }

    fn present(&mut self, now: Instant, held_back: usize) {
        while self.held.len() > held_back {
            let (pts, mut cut) = self.held.pop_first().unwrap();
            let at = now + self.lag;
            let later = self.keys.split_off(&(pts + 1));
            let keys = std::mem::replace(&mut self.keys, later);
            cut |= keys.values().any(|cut| *cut);
            if cut {
                // An encoder is opened anew for a rung that is another than before.
                let before = std::mem::replace(&mut self.rungs, self.waiting.clone());
                self.begun.retain(|id| self.rungs.iter().any(|rung| rung.id == *id && before.contains(rung)));
            }
            if !keys.is_empty() {
                self.keys_due.extend(self.rungs.iter().map(|rung| rung.id));
            }
            for rung in &self.rungs {
                if cut && self.begun.insert(rung.id) {
                    let opened = LadderReport::Opened { rung: rung.id, record: record() };
                    self.answers.push_back((at, opened));
                }
                if cut || self.presented.is_multiple_of(rung.every.into()) {
                    let data = Bytes::copy_from_slice(&[&b"ladder"[..], &pts.to_be_bytes()].concat());
                    let sync = self.keys_due.remove(&rung.id) || cut;
                    let picture = LadderReport::Picture { rung: rung.id, pts, sync, data };
                    self.answers.push_back((at, picture));
                }
            }
            self.presented += 1;
            self.answers.push_back((at, LadderReport::Done { pts }));
        }
    }

    /// It has less to do, and catches up.
    fn recover(&mut self, now: Instant) {
        self.lag = Duration::from_millis(30);
        self.answers.iter_mut().for_each(|(at, _)| *at = (*at).min(now + self.lag));
    }

    fn due(&self) -> Option<Instant> {
        self.answers.front().map(|(at, _)| *at).filter(|_| !self.hangs)
    }
}

struct Show {
    packager: Packager,
    ladder: Ladder,
    transcoder: Option<Transcoder>,
    checker: Checker,
    notices: Vec<Notice>,
    listed: Vec<(&'static str, bool)>,
    /// Rungs that are watched all the time.
    watched: Vec<RenditionId>,
    shared: BTreeMap<usize, usize>,
    now: Instant,
}

impl Show {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn new(config: LadderConfig) -> Self {
        let now = Instant::now();
        let wall = "2026-11-22T03:00:00Z".parse().unwrap();
        let tapped = PackagerConfig { tap: true, ..PackagerConfig::default() };
        Self {
            packager: Packager::new(tapped, PackagerStart { now, wall, last_keyframe_interval: None }),
            ladder: Ladder::new(config),
            transcoder: None,
            checker: Checker::default(),
            notices: Vec::new(),
            listed: Vec::new(),
            watched: Vec::new(),
            shared: BTreeMap::new(),
            now,
        }
    }

    fn start_transcoder(&mut self, lag_ms: u64) {
        let lag = Duration::from_millis(lag_ms);
        self.transcoder = Some(Transcoder { lag, ..Transcoder::default() });
        self.ladder.handle_child_started(self.now);
        self.drain();
    }

    fn kill_transcoder(&mut self) {
        self.transcoder = None;
        self.ladder.handle_child_died(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.packager.poll_output() {
            self.ladder.handle_output(self.now, output);
        }
        self.watched.iter().for_each(|rung| self.ladder.handle_demand(self.now, *rung));
        while let Some(order) = self.ladder.poll_order() {
            self.transcoder.as_mut().expect("no orders for nobody").order(self.now, order);
        }
        while let Some(output) = self.ladder.poll_output() {
            self.checker.check(&output);
            match &output {
                Output::Part(part) if part.shared => *self.shared.entry(part.rendition.0).or_default() += 1,
                Output::Renditions(infos) => {
                    self.listed = infos.iter().map(|info| (info.name, info.listed)).collect();
                }
                _ => {}
            }
        }
        self.notices.extend(std::iter::from_fn(|| self.ladder.poll_notice()));
    }

    fn advance_to(&mut self, at: Instant) {
        for _ in 0..100_000 {
            let packager = self.packager.poll_timeout();
            let ladder = self.ladder.poll_timeout();
            let transcoder = self.transcoder.as_ref().and_then(Transcoder::due);
            let due = [packager, ladder, transcoder].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= at) else {
                self.now = self.now.max(at);
                return;
            };
            self.now = self.now.max(due);
            if transcoder == Some(due) {
                let (_, report) = self.transcoder.as_mut().unwrap().answers.pop_front().unwrap();
                self.ladder.handle_report(self.now, report);
            } else if ladder == Some(due) {
                self.ladder.handle_timeout(self.now);
            } else {
                self.packager.handle_timeout(self.now);
            }
            self.drain();
        }
        panic!("nobody sleeps");
    }

    fn wait(&mut self, millis: u64) {
        self.advance_to(self.now + Duration::from_millis(millis));
    }

    fn join(&mut self, encoder: &Encoder) {
        self.packager.handle_publisher_joined(self.now);
        for tag in encoder.headers() {
            self.packager.handle_tag(self.now, self.now, tag).unwrap();
        }
        self.drain();
    }

    fn play(&mut self, encoder: &Encoder, from_ms: i64, to_ms: i64) {
        let origin = self.now;
        let at = |millis: i64| origin + Duration::from_millis(u64::try_from(millis - from_ms).unwrap());
        for (millis, tag) in encoder.media(from_ms, to_ms) {
            self.advance_to(at(millis.max(from_ms)));
            self.packager.handle_tag(self.now, self.now, tag).unwrap();
            self.drain();
        }
        self.advance_to(at(to_ms));
    }

    fn leave(&mut self) {
        self.packager.handle_publisher_left(self.now);
        self.drain();
    }

    fn end(&mut self) {
        self.packager.handle_end(self.now);
        self.drain();
        self.wait(2_000);
        assert!(self.checker.ended);
    }

    fn segments(&self, rendition: RenditionId) -> &[SegmentOut] {
        &self.checker.segments[rendition.0]
    }
}

fn pictures(segment: &SegmentOut) -> Vec<&SampleOut> {
    segment.parts.iter().flat_map(|part| &part.samples).filter(|sample| sample.track == 1).collect()
}

fn is_own(segment: &SegmentOut) -> bool {
    pictures(segment).first().is_some_and(|sample| sample.data.starts_with(b"ladder"))
}

fn has_gaps(segment: &SegmentOut) -> bool {
    segment.parts.iter().any(|part| part.gap)
}

/// Same times and sound as the source; where it has pictures of its own, they are those of the source's times.
fn assert_aligned(show: &Show, rung: RenditionId) {
    let (source, rung) = (show.segments(RenditionId(0)), show.segments(rung));
    assert_eq!(source.len(), rung.len());
    for (of, made) in source.iter().zip(rung) {
        let durations =
            |segment: &SegmentOut| -> Vec<_> { segment.parts.iter().map(|part| part.duration).collect() };
        assert_eq!(durations(of), durations(made));
        if has_gaps(made) {
            continue;
        }
        let sounds = |segment: &SegmentOut| -> Vec<SampleOut> {
            let samples = segment.parts.iter().flat_map(|part| &part.samples);
            samples.filter(|sample| sample.track == 2).cloned().collect()
        };
        assert_eq!(sounds(of), sounds(made));
        let times =
            |segment: &SegmentOut| pictures(segment).iter().map(|sample| sample.pts).collect::<BTreeSet<_>>();
        assert_eq!(times(of), times(made));
        // Where the end of a group of pictures never came, those there are need no place for the others.
        let times: Vec<_> = times(of).into_iter().collect();
        if times.windows(3).all(|three| (three[2] - three[1]).abs_diff(three[1] - three[0]) <= 1) {
            let decoded = |segment: &SegmentOut| pictures(segment).iter().map(|s| s.dts).collect::<Vec<_>>();
            assert_eq!(decoded(of), decoded(made));
        }
        if is_own(made) {
            assert!(pictures(made)[0].sync);
            for sample in pictures(made) {
                assert_eq!(sample.data[6..], sample.pts.to_be_bytes(), "a picture is shown when it is due");
            }
        }
    }
}

#[test]
fn rungs_have_the_times_and_the_sound_of_the_source() {
    for (numerator, denominator) in
        [(30, 1), (25, 1), (60, 1), (24_000, 1001), (30_000, 1001), (60_000, 1001)]
    {
        for b_frames in [false, true] {
            let mut encoder = Encoder::new(numerator, denominator);
            // Closed groups of pictures.
            (encoder.b_frames, encoder.gop) = (b_frames, 61);
            let mut show = Show::new(config(LadderMode::Always));
            assert!(show.ladder.wants_child(show.now));
            show.start_transcoder(40);
            show.join(&encoder);
            show.play(&encoder, 0, 20_000);
            show.leave();
            show.wait(300);
            for rung in [LOW, LOWER] {
                let kinds: Vec<_> =
                    show.segments(rung).iter().map(|segment| (is_own(segment), has_gaps(segment))).collect();
                assert!(kinds.iter().all(|kind| *kind == (true, false)), "{numerator} {b_frames} {kinds:?}");
            }
            show.end();
            assert_aligned(&show, LOW);
            assert_aligned(&show, LOWER);
            assert_eq!(show.notices, []);
        }
    }
}

#[test]
fn rungs_have_no_more_bits_than_the_encoder_says_it_sends() {
    for (kbits, bitrates, listed) in [
        (Some(10_000.0), vec![400_000, 360_000], [true, true]),
        (Some(300.0), vec![163_107, 75_894], [true, true]),
        // Fewer would be no picture, and the second one would be no less than the first.
        (Some(60.0), vec![50_000], [true, false]),
        (Some(40.0), vec![], [false, false]),
    ] {
        let encoder = Encoder { video_kbits: kbits, ..Encoder::new(30, 1) };
        let mut show = Show::new(config(LadderMode::Always));
        show.start_transcoder(30);
        show.join(&encoder);
        show.play(&encoder, 0, 9_000);
        let asked = &show.transcoder.as_ref().unwrap().bitrates;
        assert!(asked.iter().all(|asked| *asked == bitrates), "{kbits:?}: {asked:?}");
        assert_eq!(asked.is_empty(), bitrates.is_empty(), "{kbits:?}");
        assert_eq!(show.listed[2..], [("240p", listed[0]), ("144p", listed[1])], "{kbits:?}");
        assert_eq!(show.ladder.wants_child(show.now), !bitrates.is_empty());
        show.end();
        assert_aligned(&show, LOW);
        assert_aligned(&show, LOWER);
    }
}

#[test]
fn the_bits_of_an_encoder_that_says_nothing_are_measured() {
    let mut encoder = Encoder::new(30, 1);
    let mut show = Show::new(config(LadderMode::Always));
    show.start_transcoder(30);
    show.join(&encoder);
    show.play(&encoder, 0, 9_000);
    // Nobody knows at the start. Then the picture stands still.
    let asked = |show: &Show| show.transcoder.as_ref().unwrap().bitrates.clone();
    assert_eq!(asked(&show), [vec![400_000, 360_000], vec![75_160, 50_000]]);
    // 0.6 Mbit/s.
    encoder.padding = 2_491;
    show.play(&encoder, 9_000, 20_000);
    let moving = asked(&show).last().unwrap().clone();
    assert!(
        (320_000..=330_000).contains(&moving[0]) && (150_000..=152_500).contains(&moving[1]),
        "{moving:?}"
    );
    encoder.padding = 0;
    show.play(&encoder, 20_000, 31_000);
    assert!((3..=4).contains(&asked(&show).len()), "what was measured once stays: {:?}", asked(&show));
    show.end();
    for rung in [LOW, LOWER] {
        assert!(show.segments(rung).iter().all(|segment| is_own(segment) && !has_gaps(segment)));
        assert_aligned(&show, rung);
    }
    assert_eq!(show.notices, []);
}

#[test]
fn a_rung_is_made_while_somebody_watches_it() {
    let encoder = Encoder::new(30, 1);
    let mut show = Show::new(config(LadderMode::OnDemand));
    show.join(&encoder);
    show.play(&encoder, 0, 5_000);
    assert!(!show.ladder.wants_child(show.now));
    assert_eq!(show.listed, [("main", true), ("audio", true), ("240p", true), ("144p", true)]);
    show.watched = vec![LOWER];
    show.play(&encoder, 5_000, 5_100);
    assert!(show.ladder.wants_child(show.now));
    show.start_transcoder(30);
    show.play(&encoder, 5_100, 15_000);
    show.watched.clear();
    show.play(&encoder, 15_000, 60_000);
    assert!(!show.ladder.wants_child(show.now), "nobody watched for half a minute");
    show.kill_transcoder();
    show.play(&encoder, 60_000, 62_100);
    show.end();
    let own = |rung| show.segments(rung).iter().map(is_own).collect::<Vec<_>>();
    assert!(!own(LOW).contains(&true), "nobody wanted it");
    let made = own(LOWER);
    let (first, last) =
        (made.iter().position(|own| *own).unwrap(), made.iter().rposition(|own| *own).unwrap());
    assert_eq!((first, last), (3, 22), "from the segment after the wish until nobody watched for 30 s");
    assert!(made[first..last].iter().all(|own| *own));
    assert!(!show.segments(LOWER).iter().any(has_gaps));
    assert_aligned(&show, LOW);
    assert_aligned(&show, LOWER);
}

#[test]
fn a_transcoder_that_dies_costs_the_rest_of_a_segment() {
    let encoder = Encoder::new(30, 1);
    let mut show = Show::new(config(LadderMode::Always));
    show.join(&encoder);
    show.play(&encoder, 0, 500);
    show.start_transcoder(30);
    show.play(&encoder, 500, 9_000);
    show.kill_transcoder();
    show.play(&encoder, 9_000, 12_500);
    show.start_transcoder(30);
    show.play(&encoder, 12_500, 20_000);
    show.end();
    let kinds: Vec<_> =
        show.segments(LOW).iter().map(|segment| (is_own(segment), has_gaps(segment))).collect();
    let (source, own) = ((false, false), (true, false));
    assert_eq!(kinds, [source, own, own, own, (true, true), source, source, own, own, own]);
    assert_aligned(&show, LOW);
}

#[test]
fn a_machine_that_cannot_keep_up_sheds_the_most_expensive_rung_first() {
    let encoder = Encoder::new(30, 1);
    let mut show = Show::new(config(LadderMode::Always));
    show.join(&encoder);
    show.play(&encoder, 0, 500);
    show.start_transcoder(30);
    show.play(&encoder, 500, 6_500);
    show.transcoder.as_mut().unwrap().lag = Duration::from_millis(1_400);
    show.play(&encoder, 6_500, 8_000);
    assert_eq!(show.notices, [Notice::Shed("240p", Duration::from_secs(30))]);
    assert_eq!(show.listed[2..], [("240p", false), ("144p", true)]);
    show.transcoder.as_mut().unwrap().recover(show.now);
    show.play(&encoder, 8_000, 30_000);
    assert_eq!(show.notices.len(), 1, "{:?}", show.notices);
    assert!(show.segments(LOWER).iter().skip(1).all(is_own));
    assert!(!is_own(show.segments(LOW).last().unwrap()));
    show.play(&encoder, 30_000, 44_000);
    assert!(is_own(show.segments(LOW).last().unwrap()), "it is tried again");
    assert!(show.listed.iter().all(|(_, listed)| *listed));
    // Again, and the pause is twice as long.
    show.transcoder.as_mut().unwrap().lag = Duration::from_millis(1_400);
    show.play(&encoder, 44_000, 45_500);
    assert_eq!(show.notices[1], Notice::Shed("240p", Duration::from_secs(60)));
    show.end();
    assert_aligned(&show, LOW);
    assert_aligned(&show, LOWER);
}

#[test]
fn a_machine_that_makes_no_rung_in_time_is_left_alone_for_a_while() {
    let encoder = Encoder::new(30, 1);
    let mut show = Show::new(config(LadderMode::Always));
    show.start_transcoder(30);
    show.join(&encoder);
    show.play(&encoder, 0, 6_500);
    show.ladder.handle_overload(show.now);
    show.ladder.handle_overload(show.now);
    show.drain();
    assert!(!show.ladder.wants_child(show.now) && !show.ladder.is_made());
    show.transcoder = None;
    show.ladder.handle_child_stopped(show.now);
    show.play(&encoder, 6_500, 35_000);
    assert!(!show.ladder.wants_child(show.now), "not before half a minute is over");
    show.play(&encoder, 35_000, 37_000);
    assert!(show.ladder.wants_child(show.now));
    show.end();
}

#[test]
fn a_transcoder_that_hangs_is_to_be_killed_and_the_rungs_show_the_source() {
    let encoder = Encoder::new(30, 1);
    let mut show = Show::new(config(LadderMode::Always));
    show.join(&encoder);
    show.play(&encoder, 0, 500);
    show.start_transcoder(30);
    show.play(&encoder, 500, 6_500);
    show.transcoder.as_mut().unwrap().hangs = true;
    show.play(&encoder, 6_500, 11_500);
    assert_eq!(show.notices, [Notice::Stuck]);
    show.kill_transcoder();
    show.start_transcoder(30);
    show.play(&encoder, 11_500, 18_500);
    assert!(is_own(show.segments(LOWER).last().unwrap()));
    assert!(show.listed.iter().all(|(_, listed)| *listed), "{:?}", show.listed);
    show.end();
    for rung in [LOW, LOWER] {
        assert_aligned(&show, rung);
    }
}

#[test]
fn the_publisher_drops_comes_back_and_rungs_lose_no_picture() {
    let mut encoder = Encoder::new(30, 1);
    (encoder.b_frames, encoder.gop) = (true, 61);
    let mut show = Show::new(config(LadderMode::Always));
    show.join(&encoder);
    show.play(&encoder, 0, 500);
    show.start_transcoder(30);
    show.play(&encoder, 500, 7_000);
    show.leave();
    show.wait(5_000);
    assert_eq!(show.segments(LOW).last().map(|segment| segment.gap), Some(true));
    show.join(&encoder);
    show.play(&encoder, 0, 6_000);
    show.wait(300);
    assert_eq!(show.notices, []);
    assert!(is_own(show.segments(LOW).last().unwrap()));
    show.end();
    assert_aligned(&show, LOW);
    let lost = show.segments(LOW).iter().zip(show.segments(RenditionId(0)));
    for (rung, source) in lost {
        assert_eq!(pictures(rung).len(), pictures(source).len());
    }
}

#[test]
fn what_is_not_below_the_source_is_neither_made_nor_named() {
    let rung = |height| RungConfig { height, bitrate: 400_000, max_frame_rate: 60 };
    let rungs = vec![rung(360), rung(1080), rung(240)];
    let mut show = Show::new(LadderConfig { mode: LadderMode::Always, rungs, ..LadderConfig::default() });
    let encoder = Encoder::new(30, 1);
    show.join(&encoder);
    show.play(&encoder, 0, 500);
    show.start_transcoder(30);
    show.play(&encoder, 500, 8_000);
    assert_eq!(show.listed[2..], [("1080p", false), ("360p", false), ("240p", true)]);
    let asked = show.transcoder.as_ref().unwrap().rungs.clone();
    assert_eq!(asked.iter().map(|rung| rung.size).collect::<Vec<_>>(), [(426, 240)]);
    show.end();
    assert_eq!(show.shared.get(&3), show.shared.get(&2));
    assert!(show.segments(RenditionId(4)).iter().skip(1).all(is_own));
}

#[test]
fn a_rung_can_be_changed_to_every_second_however_far_the_sources_keyframes_are_apart() {
    for (b_frames, numerator, denominator, gop) in
        [(false, 30, 1, 240), (true, 30, 1, 241), (true, 60_000, 1001, 481), (false, 24_000, 1001, 48)]
    {
        let mut encoder = Encoder::new(numerator, denominator);
        (encoder.b_frames, encoder.gop) = (b_frames, gop);
        let mut half = config(LadderMode::Always);
        half.rungs[0].max_frame_rate = 15;
        let mut show = Show::new(half);
        show.start_transcoder(40);
        show.join(&encoder);
        show.play(&encoder, 0, 30_000);
        show.end();
        if !b_frames {
            assert_aligned(&show, LOW);
        }
        for rung in [LOW, LOWER] {
            let parts: Vec<_> = show.segments(rung).iter().flat_map(|segment| &segment.parts).collect();
            let keys =
                parts.iter().flat_map(|part| &part.samples).filter(|sample| sample.track == 1 && sample.sync);
            let independent = parts.iter().filter(|part| part.independent).count();
            assert_eq!(keys.count(), independent, "a keyframe in the middle of a part helps nobody");
            let mut since = Duration::ZERO;
            for part in parts {
                since = if part.independent { part.duration } else { since + part.duration };
                assert!(since < Duration::from_millis(1_400), "{b_frames} {numerator} {since:?}");
            }
        }
    }
}

#[test]
fn a_rung_of_half_the_frame_rate_has_every_second_picture() {
    let mut config = config(LadderMode::Always);
    config.rungs[0].max_frame_rate = 30;
    let mut show = Show::new(config);
    let encoder = Encoder::new(60, 1);
    show.join(&encoder);
    show.play(&encoder, 0, 500);
    show.start_transcoder(30);
    show.play(&encoder, 500, 8_000);
    show.end();
    let segment = &show.segments(LOWER)[2];
    assert!(is_own(segment));
    let times: Vec<_> = pictures(segment).iter().map(|picture| picture.pts).collect();
    assert_eq!(times.len(), 60);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 3_000));
}

#[test]
fn a_broadcast_without_pictures_has_no_rungs_and_needs_no_transcoder() {
    let mut encoder = Encoder::new(30, 1);
    encoder.rate = None;
    let mut show = Show::new(config(LadderMode::Always));
    show.join(&encoder);
    show.play(&encoder, 0, 8_000);
    assert!(!show.ladder.wants_child(show.now));
    assert!(show.listed.iter().skip(1).all(|(_, listed)| !listed));
    show.end();
}

#[test]
fn after_an_hour_sound_and_picture_of_every_rung_are_where_the_sources_are() {
    let mut encoder = Encoder::new(30_000, 1001);
    // Timestamps as encoders write them: rounded, and a little off.
    encoder.jitter = |n| i64::from(n % 7 == 3);
    encoder.audio = Some(44_100);
    let mut show = Show::new(config(LadderMode::Always));
    show.start_transcoder(40);
    show.join(&encoder);
    let mut at = 0;
    for minute in 1..=60 {
        show.play(&encoder, at, minute * 60_000);
        at = minute * 60_000;
        // Not where a segment begins: the rungs are in the same one as the source then.
        while [LOW, LOWER]
            .iter()
            .any(|rung| show.segments(*rung).len() != show.segments(RenditionId(0)).len())
        {
            show.play(&encoder, at, at + 100);
            at += 100;
        }
        if minute < 60 {
            show.checker.forget();
        }
    }
    show.leave();
    show.wait(300);
    for rung in [LOW, LOWER] {
        let (source, rung) = (show.segments(RenditionId(0)), show.segments(rung));
        assert!(source.len() > 25 && source.len() == rung.len());
        for (of, made) in source.iter().zip(rung).skip(1) {
            let times = |segment: &SegmentOut, track| {
                let samples = segment.parts.iter().flat_map(|part| &part.samples);
                samples.filter(|s| s.track == track).map(|s| (s.dts, s.pts)).collect::<Vec<_>>()
            };
            assert!(is_own(made) && !has_gaps(made));
            assert_eq!((times(of, 1), times(of, 2)), (times(made, 1), times(made, 2)));
        }
    }
    assert_eq!(show.notices, []);
    show.end();
}

#[test]
fn a_rung_goes_on_with_the_sound_when_the_pictures_stop() {
    let encoder = Encoder::new(30, 1);
    let mut show = Show::new(config(LadderMode::Always));
    show.start_transcoder(40);
    show.join(&encoder);
    show.play(&encoder, 0, 5_000);
    let origin = show.now;
    for (millis, tag) in encoder.media(5_000, 25_000) {
        if tag.kind == millrace_core::flv::TagKind::Audio {
            show.advance_to(origin + Duration::from_millis(u64::try_from(millis - 5_000).unwrap()));
            show.packager.handle_tag(show.now, show.now, tag).unwrap();
            show.drain();
        }
    }
    let behind = show.segments(RenditionId(0)).len() - show.segments(LOW).len();
    assert!(behind <= 1, "{behind} segments behind");
    let heard = |rendition: RenditionId| {
        let samples = show.segments(rendition).iter().flat_map(|s| &s.parts).flat_map(|part| &part.samples);
        samples.filter(|sample| sample.track == 2).count()
    };
    assert!(heard(LOW) + 400 > heard(RenditionId(0)), "{} of {}", heard(LOW), heard(RenditionId(0)));
    show.end();
}

/// What may happen to a broadcast with rungs.
#[derive(Debug, Clone)]
enum Deed {
    Play(i64),
    Sound(i64),
    Pictures(i64),
    Wait(u64),
    Leave,
    Join,
    Start(u64),
    Kill,
    Hang,
    Lag(u64),
    Ask(usize),
    Overload,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (200i64..6_000).prop_map(Deed::Play),
        1 => (200i64..8_000).prop_map(Deed::Sound),
        1 => (200i64..6_000).prop_map(Deed::Pictures),
        1 => (100u64..8_000).prop_map(Deed::Wait),
        1 => Just(Deed::Leave),
        1 => Just(Deed::Join),
        2 => (5u64..400).prop_map(Deed::Start),
        1 => Just(Deed::Kill),
        1 => Just(Deed::Hang),
        1 => (5u64..3_000).prop_map(Deed::Lag),
        1 => (0usize..6).prop_map(Deed::Ask),
        1 => Just(Deed::Overload),
    ]
}

proptest! {
    /// The checker holds every output to the contract; here is what it does not see.
    #[test]
    fn whatever_happens_rungs_have_the_segments_of_the_source_and_are_soon_there(
        b_frames in any::<bool>(), gop in 20i64..200, always in any::<bool>(), deeds in prop::collection::vec(deed(), 1..14),
    ) {
        let mut encoder = Encoder::new(30, 1);
        // Closed groups of pictures.
        (encoder.b_frames, encoder.gop) = (b_frames, gop * 3 + 1);
        let mode = if always { LadderMode::Always } else { LadderMode::OnDemand };
        let mut show = Show::new(config(mode));
        show.join(&encoder);
        show.play(&encoder, 0, 300);
        let (mut at, mut there) = (300, true);
        for deed in deeds {
            let mut send = |show: &mut Show, length: i64, kind: Option<millrace_core::flv::TagKind>| {
                let origin = show.now;
                for (millis, tag) in encoder.media(at, at + length) {
                    if there && kind.is_none_or(|kind| kind == tag.kind) {
                        show.advance_to(origin + Duration::from_millis(u64::try_from((millis - at).max(0)).unwrap()));
                        show.packager.handle_tag(show.now, show.now, tag).unwrap();
                        show.drain();
                    }
                }
                show.advance_to(origin + Duration::from_millis(u64::try_from(length).unwrap()));
                at += length;
            };
            match deed {
                Deed::Play(millis) => send(&mut show, millis, None),
                Deed::Sound(millis) => send(&mut show, millis, Some(millrace_core::flv::TagKind::Audio)),
                Deed::Pictures(millis) => send(&mut show, millis, Some(millrace_core::flv::TagKind::Video)),
                Deed::Wait(millis) => show.wait(millis),
                Deed::Leave => {
                    there = false;
                    show.leave();
                }
                Deed::Join => {
                    (there, at) = (true, 0);
                    show.join(&encoder);
                }
                Deed::Start(lag) if show.transcoder.is_none() && show.ladder.wants_child(show.now) => {
                    show.start_transcoder(lag);
                }
                Deed::Start(_) => {}
                Deed::Kill => show.kill_transcoder(),
                Deed::Hang => {
                    if let Some(transcoder) = &mut show.transcoder {
                        transcoder.hangs = true;
                    }
                }
                Deed::Lag(lag) => {
                    if let Some(transcoder) = &mut show.transcoder {
                        transcoder.lag = Duration::from_millis(lag);
                    }
                }
                Deed::Ask(rendition) => show.ladder.handle_demand(show.now, RenditionId(rendition)),
                Deed::Overload => {
                    show.ladder.handle_overload(show.now);
                    show.drain();
                }
            }
            if show.notices.contains(&Notice::Stuck) {
                show.notices.clear();
                show.kill_transcoder();
            }
            // As late as a rung may be, at the most.
            for rung in [LOW, LOWER] {
                let late = show.ladder.lanes[rung.0 - 2].steps.len();
                prop_assert!(late < 40, "{late} steps late");
            }
        }
        show.end();
        for rung in [LOW, LOWER] {
            let (source, rung) = (show.segments(RenditionId(0)), show.segments(rung));
            prop_assert_eq!(source.len(), rung.len());
            for (of, made) in source.iter().zip(rung) {
                prop_assert_eq!(of.duration(), made.duration());
                prop_assert_eq!(of.parts.len(), made.parts.len());
            }
        }
    }
}
