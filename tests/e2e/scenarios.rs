//! Every kind of broadcast, all at once on one server: half a minute of the strict checker, then everything that was
//! served is decoded by ffmpeg, and not one frame may be missing.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use millrace_hls_checker::{Options, Report};

use crate::decode::{decode, sounds_in};
use crate::fixtures::{Fixture, PLAIN, Recipe, Video};
use crate::publisher::Ffmpeg;
use crate::rtmp_peer::{Peer, flv};
use crate::server::{Server, scratch};
use crate::wait::shares;

/// Long enough for thirty seconds of checking after the broadcast is there.
const SECONDS: u32 = 34;

/// What a scenario must come to.
struct Expected {
    /// Video frames that were sent.
    frames: u64,
    /// AAC frames that were sent and belong to the broadcast.
    sounds: u64,
    /// Fewest and most frames of silence that the server may put where no sound was sent.
    silence: RangeInclusive<u64>,
    /// Init segments of the main rendition.
    inits: usize,
}

/// How the media reaches the server.
enum Sender {
    /// ffmpeg sends the fixture.
    Ffmpeg(Recipe),
    /// Our peer sends it with other timestamps.
    Retimed(Recipe, fn(u32) -> u32),
    /// Our peer sends one fixture and then another in the same broadcast.
    Two(Recipe, Recipe),
    /// Our peer leaves out the sound of the first milliseconds.
    LateSound(Recipe, u32),
}

fn scenarios() -> Vec<(&'static str, Sender)> {
    let video = |name, rate, gop| Recipe::new(name, SECONDS, Some(Video { rate, gop, ..PLAIN }), true);
    let small = Video { size: "480x270", ..PLAIN };
    vec![
        (
            "bframes",
            Sender::Ffmpeg(Recipe::new("bframes", SECONDS, Some(Video { b_frames: 3, ..PLAIN }), true)),
        ),
        ("gop250", Sender::Ffmpeg(video("gop250", "30", 250))),
        ("film", Sender::Ffmpeg(video("film", "24000/1001", 48))),
        ("pal", Sender::Ffmpeg(video("pal", "25", 50))),
        ("ntsc", Sender::Ffmpeg(video("ntsc", "30000/1001", 60))),
        ("fast", Sender::Ffmpeg(video("fast", "60000/1001", 120))),
        ("audio_only", Sender::Ffmpeg(Recipe::new("audio", SECONDS, None, true))),
        ("video_only", Sender::Ffmpeg(Recipe::new("silent", SECONDS, Some(PLAIN), false))),
        (
            "resize",
            Sender::Two(
                Recipe::new("half", SECONDS / 2, Some(PLAIN), true),
                Recipe::new("halfsmall", SECONDS / 2, Some(small), true),
            ),
        ),
        // 2^32 ms come 15 s into the broadcast.
        ("wrap", Sender::Retimed(plain(), |t| t.wrapping_sub(15_000))),
        ("late_sound", Sender::LateSound(plain(), 3_000)),
        ("forward", Sender::Retimed(plain(), |t| if t < 15_000 { t } else { t + 3_600_000 })),
        ("back", Sender::Retimed(plain(), |t| if t < 15_000 { t + 3_600_000 } else { t - 15_000 })),
    ]
}

fn plain() -> Recipe {
    Recipe::new("plain", SECONDS, Some(PLAIN), true)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_broadcast_plays_by_the_rules_and_loses_no_frame() {
    let (_folder, kept) = scratch("millrace-scenarios");
    // Encoding comes first: it would disturb the others.
    let mut prepared = Vec::new();
    for (name, sender) in scenarios() {
        if std::env::var("MILLRACE_TEST_ONLY").is_ok_and(|only| !only.split(',').any(|o| o == name)) {
            continue;
        }
        let fixtures = match &sender {
            Sender::Ffmpeg(one) | Sender::Retimed(one, _) | Sender::LateSound(one, _) => {
                vec![one.fixture().await]
            }
            Sender::Two(one, two) => vec![one.fixture().await, two.fixture().await],
        };
        prepared.push((name, sender, fixtures));
    }
    let _shares = shares(2).await;
    let server = Server::start(&[]).await;
    let outcomes = join_all(prepared.into_iter().map(|(name, sender, fixtures)| {
        let (server, kept) = (&server, kept.join(name));
        async move { (name, one(server, name, sender, fixtures, &kept).await) }
    }))
    .await;
    let mut failed = Vec::new();
    for (name, outcome) in outcomes {
        match outcome {
            Ok(report) => eprintln!("{name}: {report}"),
            Err(what) => failed.push(format!("== {name}: {what}")),
        }
    }
    assert!(failed.is_empty(), "{} scenarios failed:\n{}", failed.len(), failed.join("\n"));
    server.assert_calm();
}

async fn one(
    server: &Server,
    channel: &str,
    sender: Sender,
    fixtures: Vec<Fixture>,
    kept: &Path,
) -> Result<Report, String> {
    std::fs::create_dir_all(kept).unwrap();
    let options = Options {
        watch: Duration::from_secs(u64::from(SECONDS) + 10),
        wait: Duration::from_secs(15),
        save: Some(kept.to_owned()),
        ..Options::new(server.playlist(channel))
    };
    let mut tags: Vec<_> = fixtures.iter().map(|fixture| flv::read(&fixture.path)).collect();
    if let Sender::LateSound(_, from) = &sender {
        tags[0].retain(|tag| tag.kind != 8 || tag.is_header() || tag.timestamp >= *from);
    }
    let sound = |tag: &&flv::Tag| tag.kind == 8 && !tag.is_header();
    // Sound before the first keyframe: a broadcast cannot begin with it.
    let start = tags[0].iter().find(|tag| tag.is_keyframe()).map_or(0, |tag| tag.timestamp);
    let early = tags[0].iter().filter(sound).filter(|tag| tag.timestamp < start).count();
    let sounds = (tags.iter().flatten().filter(sound).count() - early) as u64;
    let silence = match &sender {
        Sender::LateSound(..) => {
            let first = tags[0].iter().find(sound).map_or(0, |tag| tag.timestamp);
            let frames = u64::from(first - start) * 48 / 1024;
            frames - 1..=frames
        }
        _ => 0..=0,
    };
    let expected = Expected {
        frames: tags.iter().flatten().filter(|tag| tag.kind == 9 && !tag.is_header()).count() as u64,
        sounds,
        silence,
        inits: fixtures.len(),
    };
    let publishing = publish(server, channel, sender, &fixtures, &tags);
    let (report, published) = tokio::join!(millrace_hls_checker::run(options), publishing);
    published?;
    let report = report.map_err(|error| format!("{error:#}"))?;
    let mut wrong = Vec::new();
    if !report.passed() {
        wrong.push(report.to_string());
    }
    judge(&report, &expected, &mut wrong).await;
    if wrong.is_empty() { Ok(report) } else { Err(wrong.join("\n")) }
}

/// Nothing lost, nothing that does not decode, and the broadcast ended as it should.
async fn judge(report: &Report, expected: &Expected, wrong: &mut Vec<String>) {
    if report.took < Duration::from_secs(30) {
        wrong.push(format!("watched only {:?}", report.took));
    }
    for (index, rendition) in report.renditions.iter().enumerate() {
        // The first one is the main rendition; an audio rendition stands beside it.
        let frames = if index == 0 { expected.frames } else { 0 };
        let Some(silence) = rendition.audio_samples.checked_sub(expected.sounds) else {
            wrong.push(format!(
                "{}: {} audio samples were served, {} sent",
                rendition.name, rendition.audio_samples, expected.sounds
            ));
            continue;
        };
        if rendition.video_samples != frames || !expected.silence.contains(&silence) {
            wrong.push(format!(
                "{}: {} video samples were served, {frames} sent; {silence} frames of silence, not {:?}",
                rendition.name, rendition.video_samples, expected.silence
            ));
        }
        if !rendition.ended {
            wrong.push(format!("{}: no EXT-X-ENDLIST after the publisher said goodbye", rendition.name));
        }
        if index == 0 && expected.inits != rendition.inits {
            wrong.push(format!("{} init segments, {} expected", rendition.inits, expected.inits));
        }
        let (mut decoded, mut sounds) = (0, 0);
        for file in &rendition.saved {
            sounds += sounds_in(file).await;
            match decode(file).await {
                Ok(frames) => decoded += frames,
                Err(complaint) => wrong.push(complaint),
            }
        }
        if sounds != expected.sounds {
            wrong.push(format!("{}: {sounds} frames of sound, {} sent", rendition.name, expected.sounds));
        }
        if frames > 0 && decoded != frames {
            wrong.push(format!("{}: {decoded} frames decoded, {frames} sent", rendition.name));
        }
    }
    if expected.frames > 0 && expected.sounds > 0 && report.renditions.len() != 2 {
        wrong.push(format!("{} renditions, expected the main one and audio alone", report.renditions.len()));
    }
}

async fn publish(
    server: &Server,
    channel: &str,
    sender: Sender,
    fixtures: &[Fixture],
    tags: &[Vec<flv::Tag>],
) -> Result<(), String> {
    let written: fn(u32) -> u32 = match sender {
        Sender::Ffmpeg(_) => {
            let mut ffmpeg = Ffmpeg::publish(&fixtures[0].path, &server.publish_url(channel));
            let (status, said) = ffmpeg.finished(Duration::from_secs(u64::from(SECONDS) + 20)).await;
            return if status.success() { Ok(()) } else { Err(format!("ffmpeg: {status} {said}")) };
        }
        Sender::Retimed(_, written) => written,
        Sender::Two(..) | Sender::LateSound(..) => |t| t,
    };
    let mut peer = Peer::connect(server.rtmp).await.map_err(|e| e.to_string())?;
    peer.publish("live", channel).await.map_err(|refused| format!("{refused:?}"))?;
    let tags = flv::joined(tags);
    peer.send(&tags, |tag| written(tag.timestamp)).await.map_err(|e| format!("sending: {e}"))?;
    peer.unpublish(channel).await.map_err(|e| e.to_string())
}
