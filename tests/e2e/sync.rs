//! Sound and picture of every rung after a long time. What is sent has flashes and beeps that come together; in what is served at
//! the end they must come together as well as they did in what was sent. Time stamps alone would not do: a rung whose pictures
//! were put under the wrong ones has good time stamps, too.
//!
//! An hour in `make soak`, less than a minute in CI (`Windows::sync`).

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::cluster::windows::Windows;
use crate::fixtures::Recipe;
use crate::ladder::{ALWAYS, RUNGS, height_of, media, transcoder};
use crate::rtmp_peer::Peer;
use crate::rtmp_peer::flv::{self, Tag};
use crate::server::{Server, scratch};
use crate::wait::share;

/// What sound and picture may be apart, in seconds: as far as anybody was ever found to notice, and half of a frame.
const MOST: f64 = 0.02;
/// Seconds of the recording that is sent again and again: whole frames of sound, so that nothing is missing in between.
const LOOP: u32 = 64;
/// Segments of each rendition that are looked at.
const SEGMENTS: usize = 12;
/// A flash is white; nothing else of the picture is that bright on the whole.
const BRIGHT: u8 = 210;
/// A beep has four fifths of full scale, and everything else is silence.
const LOUD: i16 = 8_000;
/// What is dark, or silent, for so long is followed by the next one.
const APART: f64 = 0.5;

/// When each flash and each beep of a file begins, in seconds of its time stamps.
struct Marks {
    flashes: Vec<f64>,
    beeps: Vec<f64>,
}

impl Marks {
    async fn of(file: &Path) -> Self {
        let luma = output(
            "ffmpeg",
            file,
            &[
                "-map",
                "0:v",
                "-vf",
                "scale=1:1:flags=area,format=gray",
                "-fps_mode",
                "passthrough",
                "-f",
                "rawvideo",
                "pipe:1",
            ],
        )
        .await;
        let mut times = times(file, "v").await;
        times.sort_by(f64::total_cmp);
        assert_eq!(luma.len(), times.len(), "{}: every picture is decoded", file.display());
        let bright = luma.iter().zip(times).filter(|(luma, _)| **luma > BRIGHT).map(|(_, time)| time);
        let sound =
            output("ffmpeg", file, &["-map", "0:a", "-ac", "1", "-ar", "48000", "-f", "s16le", "pipe:1"])
                .await;
        let begin = self::times(file, "a").await[0];
        let loud = sound.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).enumerate();
        let loud = loud.filter(|(_, level)| level.unsigned_abs() > LOUD.unsigned_abs());
        let loud = loud.map(|(sample, _)| begin + sample as f64 / 48_000.0);
        Self { flashes: beginnings(bright), beeps: beginnings(loud) }
    }

    /// How much later than each flash its beep is; of those that have both.
    fn apart(&self) -> Vec<f64> {
        let beep = |flash: &f64| self.beeps.iter().map(|beep| beep - flash).find(|apart| apart.abs() < APART);
        self.flashes.iter().filter_map(beep).collect()
    }
}

/// The first of each run of moments.
fn beginnings(moments: impl Iterator<Item = f64>) -> Vec<f64> {
    let (mut found, mut last) = (Vec::new(), f64::NEG_INFINITY);
    for moment in moments {
        if moment - last > APART {
            found.push(moment);
        }
        last = moment;
    }
    found
}

async fn output(program: &str, file: &Path, arguments: &[&str]) -> Vec<u8> {
    let run = Command::new(program).args(["-v", "error"]).arg("-i").arg(file).args(arguments).output().await;
    let run = run.expect("ffmpeg is installed");
    assert!(run.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&run.stderr));
    run.stdout
}

/// Presentation times of the packets of a kind, in the order of the file.
async fn times(file: &Path, kind: &str) -> Vec<f64> {
    let packets = ["-select_streams", kind, "-show_entries", "packet=pts_time", "-of", "csv=p=0"];
    let text = String::from_utf8(output("ffprobe", file, &packets).await).unwrap();
    text.lines().map(|line| line.trim_end_matches(',').parse().unwrap()).collect()
}

/// The recording again and again, for so long.
fn repeated(recording: &Path, length: Duration) -> Vec<Tag> {
    let mut once = flv::read(recording);
    let sounds = u64::from(LOOP) * 48_000 / 1024;
    let mut sound = 0;
    // The encoder ends with a frame more.
    once.retain(|tag| {
        sound += u64::from(tag.kind == 8 && !tag.is_header());
        tag.kind == 9 || (tag.kind == 8 && sound <= sounds)
    });
    let times = length.as_secs() / u64::from(LOOP) + 1;
    let mut tags = flv::joined(&vec![once; usize::try_from(times).unwrap()]);
    tags.retain(|tag| Duration::from_millis(tag.timestamp.into()) < length);
    tags
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_picture_of_every_rung_stay_together() {
    let recording = Recipe::flashes_and_beeps("flashes", LOOP).fixture().await.path;
    let sent = Marks::of(&recording).await.apart();
    assert!(sent.len() as u32 >= LOOP / 2 - 1, "{sent:?}");
    let sent = sent[0];
    let length = Windows::of_this_run().sync;
    let tags = repeated(&recording, length);
    let _share = share().await;
    let server = Server::start(&[RUNGS, ALWAYS]).await;
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    peer.publish("live", "studio").await.unwrap();
    let publisher = async {
        peer.send(&tags, |tag| tag.timestamp).await.unwrap();
        peer.unpublish("studio").await.unwrap();
    };
    tokio::join!(publisher, transcoder(&server, "studio", 1));

    let (_folder, kept) = scratch("millrace-sync");
    let mut of_source = Vec::new();
    for (rendition, height) in [("main", 360), ("240p", 240), ("144p", 144)] {
        let served = crate::wait::until(rendition, Duration::from_secs(20), || async {
            let list =
                crate::ladder::fetch(server.url(&format!("/live/studio/{rendition}/index.m3u8"))).await?;
            if list.contains("#EXT-X-ENDLIST") { media(&server, rendition, SEGMENTS).await } else { None }
        })
        .await;
        let file = kept.join(format!("{rendition}.mp4"));
        std::fs::write(&file, served).unwrap();
        assert_eq!(height_of(&file).await, Some(height), "{rendition} shows its own pictures at the end");
        let marks = Marks::of(&file).await;
        let apart: Vec<_> = marks.apart().into_iter().map(|apart| apart - sent).collect();
        eprintln!("{rendition} after {length:?}: sound is later than picture by {apart:.4?} s");
        assert!(apart.len() >= 3, "{rendition}: {:?} {:?}", marks.flashes, marks.beeps);
        assert!(apart.iter().all(|apart| apart.abs() <= MOST), "{rendition}: {apart:?}");
        // And a rung shows at each moment what the source does.
        if rendition == "main" {
            of_source = marks.flashes;
        } else {
            let late = |flash: &f64| of_source.iter().any(|source| (source - flash).abs() <= MOST);
            assert!(marks.flashes.iter().all(late), "{rendition}: {:?}, main: {of_source:?}", marks.flashes);
        }
    }
    assert_eq!(server.metric("millrace_transcoder_ends_total").await.unwrap_or_default(), 0.0);
    server.assert_calm();
}
