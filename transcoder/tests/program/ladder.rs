//! `millrace-transcoder ladder`.

use std::collections::BTreeMap;

use bytes::Bytes;
use millrace_core::transcode::{LadderOrder, LadderReport, Rung, RungId, VideoEncoder};
use proptest::prelude::*;

use crate::media::{Source, Unit, probe, worst_psnr, write_stream};
use crate::process::Job;

/// Moving pictures of which no two are alike.
const MOVING: &str = "testsrc2=size=640x360:rate=30:duration=3";
const GOP_OF_ONE_SECOND: &str = "-preset veryfast -g 30 -keyint_min 30 -sc_threshold 0";
/// Pictures that are the right ones, after two encodings, are nearer than this; a neighbour is not.
const NEAR_DB: f64 = 27.0;

fn rung(id: u8, size: (u16, u16), bitrate: u32) -> Rung {
    Rung { id: RungId(id), size, every: 1, bitrate, encoder: VideoEncoder::X264, preset: String::new() }
}

fn both() -> Vec<Rung> {
    vec![rung(0, (426, 240), 700_000), rung(7, (320, 180), 400_000)]
}

/// What came of one rung.
#[derive(Debug, Default, Clone)]
struct Made {
    /// Each with the number of pictures before it.
    records: Vec<(usize, Bytes)>,
    pictures: Vec<Unit>,
}

/// What came of a ladder.
#[derive(Debug, Default)]
struct Ladder {
    rungs: BTreeMap<u8, Made>,
    done: Vec<i64>,
    unreadable: u32,
    failed: Vec<(u8, String)>,
}

impl Ladder {
    fn take(&mut self, report: LadderReport) {
        match report {
            LadderReport::Opened { rung, record } => {
                let made = self.rungs.entry(rung.0).or_default();
                made.records.push((made.pictures.len(), record));
            }
            LadderReport::Picture { rung, pts, sync, data } => {
                assert!(
                    self.done.last().is_none_or(|done| *done < pts),
                    "a picture after it was said to be done"
                );
                self.rungs.entry(rung.0).or_default().pictures.push(Unit { pts, sync, data });
            }
            LadderReport::Done { pts } => self.done.push(pts),
            LadderReport::Unreadable { count } => self.unreadable += count,
            LadderReport::Failed { rung, reason } => self.failed.push((rung.0, reason)),
        }
    }
}

fn made(orders: impl IntoIterator<Item = LadderOrder>) -> Ladder {
    let mut job = Job::<LadderReport>::start("ladder");
    orders.into_iter().for_each(|order| job.order(&order));
    let (reports, complaint) = job.end();
    assert_eq!(complaint, "");
    let mut ladder = Ladder::default();
    reports.into_iter().for_each(|report| ladder.take(report));
    ladder
}

fn ladder_of(source: &Source, rungs: &[Rung]) -> Ladder {
    made(std::iter::once(LadderOrder::Rungs(rungs.to_vec())).chain(source.orders()))
}

fn times(pictures: &[Unit]) -> Vec<i64> {
    pictures.iter().map(|picture| picture.pts).collect()
}

fn sync_times(pictures: &[Unit]) -> Vec<i64> {
    pictures.iter().filter(|picture| picture.sync).map(|picture| picture.pts).collect()
}

/// Every rung has the pictures of the source, at their times, with keyframes where the source has them.
fn assert_like(source: &Source, rungs: &[Rung], ladder: &Ladder) {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("source.264");
    source.write(&original);
    assert_eq!((ladder.unreadable, ladder.failed.len()), (0, 0));
    assert_eq!(ladder.done.last(), source.times().last());
    assert_eq!(ladder.rungs.len(), rungs.len());
    for rung in rungs {
        let made = &ladder.rungs[&rung.id.0];
        assert_eq!(times(&made.pictures), source.times());
        assert_eq!(sync_times(&made.pictures), sync_times(&source.units));
        let [(0, record)] = made.records.as_slice() else { panic!("opened {:?}", made.records) };
        let file = folder.path().join("rung.264");
        let units: Vec<_> = made.pictures.iter().map(|unit| unit.data.clone()).collect();
        write_stream(&file, record, &units);
        let seen = probe(&file, &["-show_entries", "stream=width,height,pix_fmt,has_b_frames"]);
        assert_eq!(seen.trim(), format!("{},{},0,yuv420p", rung.size.0, rung.size.1));
        let worst = worst_psnr(&file, &original, rung.size, "");
        assert!(worst > NEAR_DB, "a picture of {:?} is {worst} dB from that of the source", rung.size);
    }
}

#[test]
fn rungs_have_every_picture_at_its_time_and_keyframes_at_cuts() {
    let source = Source::made(MOVING, &format!("{GOP_OF_ONE_SECOND} -bf 0"));
    assert_like(&source, &both(), &ladder_of(&source, &both()));
}

#[test]
fn pictures_that_are_reordered_come_out_in_their_order() {
    let source =
        Source::made(MOVING, &format!("{GOP_OF_ONE_SECOND} -bf 3 -x264-params b-pyramid=normal:b-adapt=0"));
    assert_ne!(times(&source.units), source.times());
    assert_like(&source, &both(), &ladder_of(&source, &both()));
}

#[test]
fn pictures_that_are_reordered_without_a_word_come_out_too() {
    let mut source =
        Source::made(MOVING, &format!("{GOP_OF_ONE_SECOND} -bf 2 -x264-params b-pyramid=none:b-adapt=0"));
    source.record = without_vui(&source.record);
    assert_like(&source, &both(), &ladder_of(&source, &both()));
}

/// The record with a sequence parameter set that ends before what is not needed for decoding.
fn without_vui(record: &[u8]) -> Bytes {
    use h264_reader::nal::sps::SeqParameterSet;
    use h264_reader::nal::{Nal, NalHeader, RefNal, WritableNal};
    let length = usize::from(u16::from_be_bytes([record[6], record[7]]));
    let set = &record[8..8 + length];
    let mut sps = SeqParameterSet::from_bits(RefNal::new(set, &[], true).rbsp_bits()).unwrap();
    sps.vui_parameters = None;
    let bytes = sps.to_vec_with_header(NalHeader::new(set[0]).unwrap());
    let mut short = record[..6].to_vec();
    short.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_be_bytes());
    short.extend_from_slice(&bytes);
    short.extend_from_slice(&record[8 + length..]);
    short.into()
}

#[test]
fn odd_frame_rates_keep_their_times() {
    let source =
        Source::made("testsrc2=size=640x360:rate=60000/1001:duration=2", "-preset veryfast -g 60 -bf 2");
    assert_like(&source, &both(), &ladder_of(&source, &both()));
}

#[test]
fn sources_with_more_bits_and_colours_become_what_everybody_decodes() {
    for format in ["yuv420p10le", "yuv422p", "yuv444p", "yuvj420p", "gray"] {
        let source = Source::made(
            "testsrc2=size=320x180:rate=30:duration=1",
            &format!("-preset veryfast -g 30 -pix_fmt {format}"),
        );
        let rungs = [rung(1, (320, 180), 600_000), rung(2, (160, 90), 300_000)];
        let ladder = ladder_of(&source, &rungs);
        assert_eq!(ladder.failed, [], "{format}");
        for rung in &rungs {
            assert_eq!(times(&ladder.rungs[&rung.id.0].pictures), source.times(), "{format}");
        }
    }
}

#[test]
fn the_range_of_the_colours_is_kept_and_said() {
    let folder = tempfile::tempdir().unwrap();
    for (filter, encoding, said) in [
        (
            "color=white:size=320x180:rate=30:duration=1,scale=out_range=full,format=yuvj420p",
            "-color_range pc",
            "pc",
        ),
        ("color=white:size=320x180:rate=30:duration=1,format=yuv420p", "-color_range tv", "tv"),
    ] {
        let source = Source::made(filter, &format!("-preset veryfast {encoding}"));
        for size in [(320, 180), (160, 90)] {
            let ladder = ladder_of(&source, &[rung(0, size, 300_000)]);
            let made = &ladder.rungs[&0];
            let file = folder.path().join("range.264");
            write_stream(
                &file,
                &made.records[0].1,
                &made.pictures.iter().map(|unit| unit.data.clone()).collect::<Vec<_>>(),
            );
            // What is limited goes without saying.
            let seen = probe(&file, &["-show_entries", "stream=color_range"]).trim().replace("unknown", "tv");
            assert_eq!(seen, said);
            let raw = folder.path().join("raw.gray");
            crate::media::ffmpeg(&[
                "-i",
                file.to_str().unwrap(),
                "-vf",
                "extractplanes=y",
                "-frames:v",
                "1",
                "-f",
                "rawvideo",
                raw.to_str().unwrap(),
            ]);
            let white = if said == "pc" { 255 } else { 235 };
            let luma = std::fs::read(&raw).unwrap()[0];
            assert!(luma.abs_diff(white) <= 2, "white is {luma} with the range {said}");
        }
    }
}

#[test]
fn every_other_picture_is_a_rung_of_half_the_rate() {
    let source = Source::made(
        "testsrc2=size=640x360:rate=60:duration=2",
        "-preset veryfast -g 45 -keyint_min 45 -sc_threshold 0 -bf 2",
    );
    let half = Rung { every: 2, ..rung(3, (320, 180), 400_000) };
    let ladder = ladder_of(&source, &[half]);
    let made = &ladder.rungs[&3];
    // From each cut on: groups of 45 pictures have 23 of them.
    let wanted: Vec<_> = source
        .times()
        .chunks(45)
        .flat_map(|group| group.iter().step_by(2).copied().collect::<Vec<_>>())
        .collect();
    assert_eq!(times(&made.pictures), wanted);
    assert_eq!(sync_times(&made.pictures), sync_times(&source.units));
    assert_eq!(ladder.done.last(), source.times().last());
}

#[test]
fn the_bits_of_a_second_are_those_that_were_asked_for() {
    // Hard to encode, and the source says nothing of its rate.
    let mut source = Source::made(
        "testsrc2=size=640x360:rate=60:duration=8,noise=alls=40:allf=t",
        "-preset ultrafast -qp 26 -g 120 -keyint_min 120 -sc_threshold 0 -bf 0",
    );
    source.record = without_vui(&source.record);
    let rungs = [rung(0, (426, 240), 600_000)];
    let ladder = ladder_of(&source, &rungs);
    let pictures = &ladder.rungs[&0].pictures;
    let rate = f64::from(rungs[0].bitrate);
    let bits: Vec<f64> = pictures.iter().map(|unit| unit.data.len() as f64 * 8.0).collect();
    // Half a second passes until the rate of pictures is known.
    let known = &bits[60..];
    let mean = known.iter().sum::<f64>() * 60.0 / known.len() as f64;
    assert!((0.8..1.1).contains(&(mean / rate)), "{mean} bit/s");
    // A bucket of one second that drains at the bitrate never overflows.
    let mut bucket = 0.0f64;
    for bits in &bits {
        bucket = (bucket - rate / 60.0).max(0.0) + bits;
        assert!(bucket <= rate * 1.05, "{bucket} bits wait");
    }
}

#[test]
fn pictures_of_another_size_go_on_in_the_same_rungs() {
    let first = Source::made(MOVING, &format!("{GOP_OF_ONE_SECOND} -bf 2"));
    let mut second =
        Source::made("testsrc2=size=480x272:rate=30:duration=2", &format!("{GOP_OF_ONE_SECOND} -bf 2"));
    let begins = first.times().last().unwrap() + 3_000;
    second.units.iter_mut().for_each(|unit| unit.pts += begins);
    let wider = [rung(0, (426, 240), 700_000), rung(7, (240, 136), 300_000)];
    let orders = std::iter::once(LadderOrder::Rungs(both()))
        .chain(first.orders())
        .chain([LadderOrder::Rungs(wider.to_vec())])
        .chain(second.orders());
    let ladder = made(orders);
    assert_eq!(ladder.failed, []);
    let all: Vec<_> = first.times().into_iter().chain(second.times()).collect();
    for made in ladder.rungs.values() {
        assert_eq!(times(&made.pictures), all);
    }
    // The one that is wanted as it was goes on with its encoder unless the pixels' shape is another, the other begins anew where
    // the second source does.
    let begins: Vec<_> = ladder.rungs[&7].records.iter().map(|(at, _)| *at).collect();
    assert_eq!(begins, [0, first.units.len()]);
    assert_eq!(ladder.rungs[&0].records.len(), 1);
    assert_eq!(ladder.done.last(), all.last());
}

#[test]
fn rungs_change_at_a_cut_and_not_before() {
    let source = Source::made(MOVING, &format!("{GOP_OF_ONE_SECOND} -bf 2"));
    let mut orders: Vec<_> = std::iter::once(LadderOrder::Rungs(both())).chain(source.orders()).collect();
    // In the middle of the first group.
    orders.insert(17, LadderOrder::Rungs(vec![both()[1].clone(), rung(9, (160, 90), 200_000)]));
    let ladder = made(orders);
    let source = source.times();
    assert_eq!(times(&ladder.rungs[&0].pictures), source[..30]);
    assert_eq!(times(&ladder.rungs[&7].pictures), source);
    assert_eq!(ladder.rungs[&7].records.len(), 1);
    assert_eq!(times(&ladder.rungs[&9].pictures), source[30..]);
    assert_eq!(ladder.done.last(), source.last());
}

#[test]
fn a_keyframe_can_be_had_anywhere_and_changes_nothing_else() {
    let source = Source::made(MOVING, &format!("{GOP_OF_ONE_SECOND} -bf 2"));
    let half = Rung { every: 2, ..rung(9, (160, 90), 200_000) };
    let wanted = [both(), vec![half]].concat();
    let mut orders: Vec<_> = std::iter::once(LadderOrder::Rungs(wanted)).chain(source.orders()).collect();
    let pts = source.times()[11];
    // While the pictures before it are decoded.
    orders.insert(6, LadderOrder::Key { pts: pts - 45, cut: false });
    let ladder = made(orders);
    let with = |more: i64| {
        let mut times = sync_times(&source.units);
        times.push(more);
        times.sort_unstable();
        times
    };
    for id in [0, 7] {
        assert_eq!(sync_times(&ladder.rungs[&id].pictures), with(pts));
        assert_eq!(ladder.rungs[&id].records.len(), 1);
    }
    assert_eq!(sync_times(&ladder.rungs[&9].pictures), with(source.times()[12]), "the next that it has");
    assert_eq!(times(&ladder.rungs[&0].pictures), source.times());
}

#[test]
fn a_rung_that_is_stopped_ends_at_once_and_nobody_waits_for_it() {
    let source = Source::made(MOVING, &format!("{GOP_OF_ONE_SECOND} -bf 0"));
    let mut orders: Vec<_> = std::iter::once(LadderOrder::Rungs(both())).chain(source.orders()).collect();
    orders.insert(12, LadderOrder::Stop(RungId(7)));
    let ladder = made(orders);
    let source = source.times();
    assert_eq!(times(&ladder.rungs[&0].pictures), source);
    assert_eq!(times(&ladder.rungs[&7].pictures), source[..10]);
    assert_eq!((ladder.done.last(), ladder.failed.len()), (source.last(), 0));
}

#[test]
fn every_picture_is_done_before_the_next_is_sent() {
    let source = Source::made(MOVING, &format!("{GOP_OF_ONE_SECOND} -bf 0"));
    let mut job = Job::<LadderReport>::start("ladder");
    job.order(&LadderOrder::Rungs(both()));
    let mut orders = source.orders();
    job.order(&orders.next().unwrap());
    for (order, unit) in orders.zip(&source.units) {
        job.order(&order);
        loop {
            if let LadderReport::Done { pts } = job.report() {
                assert_eq!(pts, unit.pts);
                break;
            }
        }
    }
    assert!(job.end().0.is_empty());
}

#[test]
fn pictures_that_cannot_be_decoded_cost_themselves() {
    let source = Source::made(MOVING, &format!("{GOP_OF_ONE_SECOND} -bf 0"));
    let mut broken = source.clone();
    // The last is a keyframe.
    for at in [10, 11, 40, 60] {
        broken.units[at].data = vec![0xa5; 900].into();
    }
    broken.units[12].data = Bytes::new();
    let ladder = ladder_of(&broken, &both());
    assert!(ladder.unreadable >= 5, "{}", ladder.unreadable);
    assert_eq!(ladder.failed, []);
    for made in ladder.rungs.values() {
        let came = times(&made.pictures);
        let lost: Vec<_> = (0..90).filter(|at| !came.contains(&source.times()[*at])).collect();
        assert_eq!(lost[..5], [10, 11, 12, 40, 60]);
        // Without its keyframe a group may take long to be understood, but it is.
        assert!(lost[4..].iter().zip(60..).all(|(lost, at)| *lost == at), "{lost:?}");
        assert_eq!(came.last(), source.times().last());
        // The cut whose picture is lost is at the next that is shown.
        let syncs = sync_times(&made.pictures);
        assert_eq!(syncs[..2], source.times().into_iter().step_by(30).take(2).collect::<Vec<_>>());
        assert!(syncs.len() == 3 && syncs[2] >= source.units[60].pts, "{syncs:?}");
    }
}

#[test]
fn a_record_that_is_none_is_unreadable_and_the_next_one_is_read() {
    let source = Source::made("testsrc2=size=320x180:rate=30:duration=1", "-preset veryfast -bf 0");
    let rungs = [rung(0, (160, 90), 200_000)];
    let orders =
        [LadderOrder::Rungs(rungs.to_vec()), LadderOrder::Configure(Bytes::from_static(b"\x01no record"))];
    let lost = source.orders().skip(1).take(3);
    let ladder = made(orders.into_iter().chain(lost).chain(source.orders()));
    assert!(ladder.unreadable >= 3);
    assert_eq!(times(&ladder.rungs[&0].pictures), source.times());
}

#[test]
fn rungs_that_cannot_be_say_why_and_what_to_do() {
    let source = Source::made("testsrc2=size=320x180:rate=30:duration=1", "-preset veryfast -g 10 -bf 0");
    let with = |id, encoder| Rung { encoder, ..rung(id, (160, 90), 200_000) };
    let rungs = [
        rung(0, (160, 90), 200_000),
        with(1, VideoEncoder::Nvenc),
        with(2, VideoEncoder::Vaapi),
        with(3, VideoEncoder::Qsv),
        rung(4, (161, 90), 200_000),
        rung(5, (160, 90), 0),
        Rung { every: 0, ..rung(6, (160, 90), 200_000) },
        Rung { preset: "no\0preset".into(), ..rung(7, (160, 90), 200_000) },
        Rung { preset: "swift".into(), ..rung(8, (160, 90), 200_000) },
        rung(32, (160, 90), 200_000),
    ];
    let orders = std::iter::once(LadderOrder::Rungs(rungs.to_vec())).chain(source.orders());
    let mut job = Job::<LadderReport>::start("ladder");
    orders.for_each(|order| job.order(&order));
    let (reports, _) = job.end();
    let mut ladder = Ladder::default();
    reports.into_iter().for_each(|report| ladder.take(report));
    ladder.failed.sort();
    // Each once, though there are three cuts.
    assert_eq!(ladder.failed.iter().map(|(rung, _)| *rung).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 32]);
    for (rung, reason) in &ladder.failed[..3] {
        assert!(
            reason.contains("does not open") && reason.contains("let x264 make this rung"),
            "{rung}: {reason}"
        );
    }
    assert_eq!(times(&ladder.rungs[&0].pictures), source.times());
    assert_eq!(ladder.done.last(), source.times().last());
}

#[test]
fn a_ladder_is_nicer_than_its_server_and_leaves_no_core() {
    let mut job = Job::<LadderReport>::start("ladder");
    // An answer says that it has started.
    job.order(&LadderOrder::Configure(Bytes::new()));
    assert_eq!(job.report(), LadderReport::Unreadable { count: 1 });
    let read = |name: &str, pid: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let nice = |pid: &str| {
        read("stat", pid).rsplit(") ").next().unwrap().split(' ').nth(16).unwrap().parse::<i32>().unwrap()
    };
    let pid = job.pid().to_string();
    assert_eq!(nice(&pid), (nice("self") + 10).min(19));
    let limits = read("limits", &pid);
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().skip(4).take(2).eq(["0", "0"]), "{core}");
    job.end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_access_units_end_nothing(
        units in prop::collection::vec((any::<i64>(), any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..400)), 1..60),
        framed in any::<bool>(),
    ) {
        let record: &[u8] = include_bytes!("../../../hls-packager/tests/fixtures/avc_640x360_30.avcc");
        let mut orders = vec![LadderOrder::Rungs(both()), LadderOrder::Configure(Bytes::copy_from_slice(record))];
        for (pts, sync, cut, mut data) in units {
            if framed {
                // As one NAL unit of a picture, which gets further.
                let mut unit = u32::try_from(data.len() + 1).unwrap().to_be_bytes().to_vec();
                unit.push(if sync { 0x65 } else { 0x41 });
                unit.append(&mut data);
                data = unit;
            }
            orders.push(LadderOrder::Picture { pts, sync, cut, data: data.into() });
        }
        let mut job = Job::<LadderReport>::start("ladder");
        orders.iter().for_each(|order| job.order(order));
        let (_, complaint) = job.end();
        prop_assert_eq!(complaint, "");
    }
}
