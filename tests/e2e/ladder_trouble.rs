//! Bad days of rungs: a source that changes its size, pictures that do not decode, a machine that cannot keep up.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use millrace_hls_checker::{Options, RenditionReport, Report, Rule};

use crate::decode::decode;
use crate::fixtures::{PLAIN, Recipe, Video};
use crate::ladder::{ALWAYS, RUNGS, SOON, fetch, height, shows, started, transcoder};
use crate::publisher::Ffmpeg;
use crate::rtmp_peer::Peer;
use crate::rtmp_peer::flv::{self, Tag};
use crate::server::{Server, scratch};
use crate::slowed;
use crate::wait::{quiet, share, until};

/// Seconds of media of each half of a broadcast that changes.
const HALF: u32 = 17;

/// Half as many pictures are half as much to decode and encode, and just as much trouble.
const SLOW: Video = Video { rate: "15", gop: 30, ..PLAIN };

/// Sends tags in real time, from the first to the last.
async fn publish(server: &Server, channel: &str, tags: &[Tag]) {
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    peer.publish("live", channel).await.unwrap();
    peer.send(tags, |tag| tag.timestamp).await.unwrap();
    peer.unpublish(channel).await.unwrap();
}

/// Publishes tags and follows all renditions of them; their media is kept in the folder.
async fn watched(server: &Server, channel: &str, tags: &[Tag], kept: &std::path::Path) -> Report {
    let folder = kept.join(channel);
    std::fs::create_dir_all(&folder).unwrap();
    let seconds = tags.last().map_or(0, |tag| tag.timestamp / 1000);
    let options = Options {
        watch: Duration::from_secs(u64::from(seconds) + 10),
        wait: Duration::from_secs(15),
        save: Some(folder),
        ..Options::new(server.playlist(channel))
    };
    let publishing = join(publish(server, channel, tags), transcoder(server, channel, 1));
    let (report, _) = join(millrace_hls_checker::run(options), publishing).await;
    report.unwrap()
}

/// Without the sound behind the last picture: it would have a part of its own at the end, which is none of these tests.
fn ending_with_a_picture(mut tags: Vec<Tag>) -> Vec<Tag> {
    let last = tags.iter().filter(|tag| tag.kind == 9).map(|tag| tag.timestamp).max().unwrap_or_default();
    tags.retain(|tag| tag.kind == 9 || tag.timestamp < last);
    tags
}

fn pictures(tags: &[Tag]) -> u64 {
    tags.iter().filter(|tag| tag.kind == 9 && !tag.is_header()).count() as u64
}

/// Decodes all that a rendition served; how many pictures that were.
async fn decoded(rendition: &RenditionReport) -> u64 {
    let mut pictures = 0;
    for file in &rendition.saved {
        pictures += decode(file).await.unwrap();
    }
    pictures
}

#[tokio::test(flavor = "multi_thread")]
async fn rungs_go_on_when_the_source_changes_its_size() {
    let half = |name, size| Recipe::new(name, HALF, Some(Video { size, ..SLOW }), true);
    let first = half("wide", "640x360").fixture().await;
    // Of another shape, and smaller than a rung.
    let (narrow, small) =
        (half("narrow", "480x360").fixture().await, half("small", "320x180").fixture().await);
    let of = |second: &crate::fixtures::Fixture| {
        ending_with_a_picture(flv::joined(&[flv::read(&first.path), flv::read(&second.path)]))
    };
    let (narrow, small) = (of(&narrow), of(&small));
    let (_folder, kept) = scratch("millrace-resized");
    let _quiet = quiet().await;
    let server = Server::start(&[RUNGS, ALWAYS]).await;
    let (narrowed, shrunk) =
        join(watched(&server, "narrow", &narrow, &kept), watched(&server, "small", &small, &kept)).await;

    assert!(narrowed.passed(), "{narrowed}");
    for (report, tags) in [(&narrowed, &narrow), (&shrunk, &small)] {
        assert_eq!(report.renditions.len(), 4, "main, audio, 240p and 144p: {report}");
        for rendition in [0, 2, 3].map(|index| &report.renditions[index]) {
            assert_eq!(rendition.video_samples, pictures(tags), "{}: {report}", rendition.name);
            assert!(rendition.ended && rendition.discontinuities == 1, "{}: {report}", rendition.name);
            assert_eq!(decoded(rendition).await, pictures(tags), "{}", rendition.name);
        }
        assert_eq!(report.renditions[1].audio_samples, report.renditions[2].audio_samples, "{report}");
    }
    for rung in &narrowed.renditions[2..] {
        assert_eq!(rung.inits, 2, "{}: 16:9, then 4:3, and never the source", rung.name);
    }
    // A rung that is no longer below its source is offered no more; who watches it gets the source.
    let (offers, others): (Vec<_>, Vec<_>) =
        shrunk.findings.iter().partition(|finding| finding.rule == Rule::ConstantChanged);
    assert!(others.is_empty(), "{shrunk}");
    assert!(
        offers.iter().all(|offer| !offer.detail.rsplit("->").next().unwrap().contains("240p")),
        "{shrunk}"
    );
    let heights = async |rung: &RenditionReport| {
        let mut heights = Vec::new();
        for file in &rung.saved {
            heights.push(crate::ladder::height_of(file).await.unwrap());
        }
        heights
    };
    assert_eq!(heights(&shrunk.renditions[2]).await, [240, 180]);
    assert_eq!(heights(&shrunk.renditions[3]).await.iter().max(), Some(&144));
    for channel in ["narrow", "small"] {
        assert_eq!(started(&server, channel).len(), 1, "{channel}: the transcoder stayed");
    }
    server.assert_calm();
}

/// Flips bytes of the pictures' slices that `which` names by their number; what a parser reads of them stays.
fn corrupt(tags: &mut [Tag], which: impl Fn(u64) -> bool) {
    let pictures = tags.iter_mut().filter(|tag| tag.kind == 9 && !tag.is_header());
    for (number, tag) in (0..).zip(pictures).filter(|(number, _)| which(*number)) {
        let mut body = tag.body.to_vec();
        // What FLV says, the last NAL unit's length, and the header of its slice. It is the longest; others come before it.
        let mut at = 5;
        while let Some(length) = body.get(at..at + 4) {
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            let unit = at + 4..at + 4 + length;
            let kind = body[unit.start] & 0x1f;
            if kind == 1 || kind == 5 {
                for place in (unit.start + 12..unit.end).step_by(7) {
                    body[place] ^= 0x55 + (number % 90) as u8;
                }
            }
            at = unit.end;
        }
        tag.body = Bytes::from(body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_pictures_cost_rungs_little_and_the_broadcast_nothing() {
    let fixture = Recipe::new("whole", 24, Some(SLOW), true).fixture().await;
    let mut tags = ending_with_a_picture(flv::read(&fixture.path));
    let gop = u64::from(SLOW.gop);
    // Some pictures of the third stretch between keyframes, the keyframe of the fifth, and all of the seventh.
    corrupt(&mut tags, |number| match number / gop {
        2 => number % 7 == 3,
        4 => number % gop == 0,
        6 => true,
        _ => false,
    });
    let (_folder, kept) = scratch("millrace-corrupt");
    let _quiet = quiet().await;
    let server = Server::start(&[RUNGS, ALWAYS]).await;
    let report = watched(&server, "studio", &tags, &kept).await;
    assert!(report.passed(), "{report}");
    let [main, audio, rungs @ ..] = &report.renditions[..] else { panic!("{report}") };
    assert_eq!(main.video_samples, pictures(&tags), "the source plays as it comes: {report}");
    assert!(
        main.gaps <= 3 && main.discontinuities == 0 && main.inits == 1,
        "gaps before the broadcast alone: {report}"
    );
    assert!(
        main.cadence_max < Duration::from_secs(3) && audio.cadence_max < Duration::from_secs(3),
        "{report}"
    );
    assert!(decode(&main.saved[0]).await.is_err(), "they are corrupt indeed");
    for rung in rungs {
        // What could not be decoded is missing, and no more than that.
        assert!(rung.ended && rung.video_samples > pictures(&tags) - 2 * gop, "{}: {report}", rung.name);
        assert!(rung.cadence_max < Duration::from_secs(4), "{}: {report}", rung.name);
        assert_eq!(
            decoded(rung).await,
            rung.video_samples,
            "what a decoder does not take is not passed on: {}",
            rung.name
        );
        // The newest pictures are its own.
        let last = rung.saved.last().unwrap();
        assert!(crate::ladder::height_of(last).await < Some(360), "{}: {report}", rung.name);
    }
    assert_eq!(started(&server, "studio").len(), 1, "the transcoder stayed");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_cannot_keep_up_makes_fewer_rungs_and_nobody_stands_still() {
    let fixture = crate::browser::looped().fixture().await;
    // What it says leaves at 40 kB/s, of which 144p needs a third and both together need half as much again: 240p gets no more
    // bits than the source's 0.8 Mbit/s are worth in so few lines.
    let (_program, slow) = slowed::transcoder(
        "",
        "use Fcntl; fcntl(STDIN, 1031, 4096); \
         while ($size = sysread(STDIN, $chunk, 900)) { syswrite(STDOUT, $chunk); select(undef, undef, undef, $size / 40000) }",
    );
    let _share = share().await;
    let rungs = "[{height=240,bitrate=500000},{height=144,bitrate=100000}]";
    let server = Server::start(&[
        ALWAYS,
        ("MILLRACE_TRANSCODE__LADDER__RUNGS", rungs),
        ("MILLRACE_TRANSCODE__PROGRAM", slow.to_str().unwrap()),
        ("MILLRACE_TRANSCODE__THUMBNAILS", "false"),
    ])
    .await;
    let _publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let options = Options {
        watch: Duration::from_secs(25),
        wait: Duration::from_secs(15),
        probes: false,
        ..Options::new(server.playlist("studio"))
    };
    let watching = tokio::spawn(millrace_hls_checker::run(options));
    transcoder(&server, "studio", 1).await;
    let first = until("a rung is shed", SOON, || async { server.logged("the machine cannot keep up") }).await;
    assert!(first.contains("240p is not made for 30 s"), "the costliest: {first}");
    assert!(server.metric("millrace_rungs_shed_total").await >= Some(1.0));
    // Its address shows the source, and nobody new is led there.
    shows(&server, "240p", 360).await;
    let list = fetch(server.playlist("studio")).await.unwrap();
    assert!(!list.contains("240p/index.m3u8"), "{list}");
    let report = watching.await.unwrap().unwrap();
    // Where a rung turns to the source, another init segment comes without a discontinuity (docs/ladder.md).
    let wrong = |at: &str, rule| match rule {
        Rule::ConstantChanged => !at.ends_with("/studio/index.m3u8"),
        Rule::MapWithoutDiscontinuity => !at.contains("/240p/") && !at.contains("/144p/"),
        _ => true,
    };
    let broken: Vec<_> = report.findings.iter().filter(|one| wrong(&one.at, one.rule)).collect();
    assert!(broken.is_empty(), "{broken:?}\n{report}");
    let [main, audio, shed, _] = &report.renditions[..] else { panic!("{report}") };
    for source in [main, audio] {
        assert!(source.gaps <= 3, "only those before the broadcast: {report}");
        assert!(source.cadence_max < Duration::from_secs(3), "{report}");
    }
    let part = Duration::from_millis(334);
    assert!(main.cadence_p50 < part * 3 / 2, "a part in a part's time: {report}");
    assert!(shed.cadence_max < Duration::from_secs(5), "{report}");
    assert!(height(&server, "main").await == Some(360));
    server.assert_calm();
}
