//! MP3 of a publisher on its way through the transcoder: frames go out, AAC comes back as tags in their place.
#![expect(clippy::disallowed_methods, reason = "shell: reads the clock")]

use std::future::pending;
use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace_core::flv::{FlvTag, TagKind};
use millrace_core::ids::ChannelName;
use millrace_core::time::RtmpMillis;
use millrace_core::transcode::{SoundOrder, SoundReport};
use tracing::{error, info, warn};

use crate::demux::mp3_frames;
use crate::transcode::back_off::BackOff;
use crate::transcode::child::{self, Child, ChildEnd, NotSent, Program};

/// Frames that may wait for the transcoder: those of more than six seconds, for a busy machine takes some to start it. One that
/// is further behind does not work.
const ORDERS: usize = 256;
/// How long the last sound of a publisher who has gone is waited for.
pub(super) const LAST_SOUND: Duration = Duration::from_secs(1);
/// Frames that may wait for the broadcast's task.
const REPORTS: usize = 256;
/// Ticks of the transcoder in a millisecond.
const TICKS_PER_MS: i64 = 90;
/// Header of legacy FLV: AAC (§E.4.2.1; rate, size and channels are fixed for it).
const AAC: u8 = 0xaf;
const AAC_CONFIGURATION: u8 = 0;
const AAC_FRAME: u8 = 1;

/// What came from the transcoder.
pub(super) enum Said {
    Report(SoundReport),
    End(ChildEnd),
}

/// The sound of one broadcast. The process is there from the first MP3 on, and for one publisher.
pub(super) struct Sound {
    channel: ChannelName,
    program: Program,
    child: Option<Child<child::Sound>>,
    back_off: BackOff,
    /// Not before then is a process started.
    pause: Option<Instant>,
    /// Whether the process was told that nothing more comes.
    finishing: bool,
    made: Made,
}

impl Sound {
    pub(super) fn new(channel: ChannelName, program: Program) -> Self {
        let (back_off, made) = (BackOff::default(), Made::default());
        Self { channel, program, child: None, back_off, pause: None, finishing: false, made }
    }

    /// Takes a tag of MP3. Any other is handed back.
    pub(super) fn take(&mut self, tag: FlvTag) -> Option<FlvTag> {
        let Some(frames) = mp3_frames(&tag) else { return Some(tag) };
        for data in frames {
            let pts = i64::from(tag.timestamp.0) * TICKS_PER_MS;
            self.order(SoundOrder::Mp3 { pts, data });
        }
        None
    }

    /// Without a process a frame is lost: the packager puts silence there.
    fn order(&mut self, order: SoundOrder) {
        let now = Instant::now();
        if self.child.is_none() && self.pause.is_none_or(|until| until <= now) {
            self.start(now);
        }
        let Some(child) = &self.child else { return };
        match child.try_send(order) {
            Ok(()) => {}
            Err(NotSent::Full(_)) => child.kill(),
            // The end is told by `next`.
            Err(NotSent::Ended(_)) => {}
        }
    }

    fn start(&mut self, now: Instant) {
        let channel = &self.channel;
        self.back_off.started(now);
        match self.program.start(&format!("sound of {channel}"), ORDERS, REPORTS) {
            Ok(child) => {
                info!(stream.id = %channel, pid = child.pid(), "{channel} sends MP3, which becomes AAC");
                self.child = Some(child);
            }
            Err(err) => {
                self.pause = Some(self.back_off.ended(now));
                error!(stream.id = %channel, %err, "cannot start the transcoder; {channel} has no sound until it can be");
            }
        }
    }

    /// The publisher sends no more. Answers whether sound of what it sent may still come: until [`Said::End`] is heard, or
    /// for [`LAST_SOUND`].
    pub(super) fn finish(&mut self) -> bool {
        let Some(child) = &mut self.child else { return false };
        child.close();
        self.finishing = true;
        true
    }

    /// The publisher has gone: nothing of its sound comes any more.
    pub(super) fn forget(&mut self) {
        (self.child, self.finishing) = (None, false);
        self.made = Made::default();
    }

    /// What the transcoder says next. Cancel safe.
    pub(super) async fn next(&mut self) -> Said {
        match &mut self.child {
            Some(child) => child.next().await.map_or_else(Said::End, Said::Report),
            None => pending().await,
        }
    }

    /// The tags that are in the place of MP3.
    ///
    /// # Errors
    /// Why the publisher is refused, in words for the person at the encoder.
    pub(super) fn hear(&mut self, said: Said) -> Result<Vec<FlvTag>, String> {
        match said {
            Said::Report(report) => self.made.tags(report),
            Said::End(_) if self.finishing => {
                self.forget();
                Ok(Vec::new())
            }
            Said::End(end) => {
                let now = Instant::now();
                let next = self.back_off.ended(now);
                self.pause = Some(next);
                self.forget();
                metrics::counter!("millrace_transcoder_ends_total").increment(1);
                warn!(
                    stream.id = %self.channel, err = ?end,
                    pause_ms = next.saturating_duration_since(now).as_millis(),
                    "the transcoder of {}'s sound is gone: {end}. It is silent until another one has begun", self.channel
                );
                Ok(Vec::new())
            }
        }
    }
}

/// Reports to tags. Sans-IO.
#[derive(Debug, Default)]
struct Made {
    /// What the next frame needs.
    configuration: Option<Bytes>,
}

impl Made {
    fn tags(&mut self, report: SoundReport) -> Result<Vec<FlvTag>, String> {
        match report {
            SoundReport::Opened(configuration) => {
                self.configuration = Some(configuration);
                Ok(Vec::new())
            }
            SoundReport::Aac { pts, data } => {
                let timestamp = millis(pts);
                let tag = |kind: u8, data: &[u8]| FlvTag {
                    kind: TagKind::Audio,
                    timestamp,
                    body: [&[AAC, kind], data].concat().into(),
                };
                let configuration = self.configuration.take().map(|bytes| tag(AAC_CONFIGURATION, &bytes));
                Ok(configuration.into_iter().chain([tag(AAC_FRAME, &data)]).collect())
            }
            SoundReport::Failed(reason) => Err(format!(
                "the MP3 audio cannot be made AAC ({reason}): choose AAC in OBS under Settings > Output"
            )),
        }
    }
}

/// The nearest millisecond, on the line that wraps.
fn millis(pts: i64) -> RtmpMillis {
    let ms = pts.saturating_add(TICKS_PER_MS / 2).div_euclid(TICKS_PER_MS);
    RtmpMillis(u32::try_from(ms & i64::from(u32::MAX)).expect("32 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aac_comes_back_as_tags_with_its_configuration_first() {
        let mut made = Made::default();
        assert_eq!(made.tags(SoundReport::Opened(Bytes::from_static(&[0x12, 0x10]))), Ok(vec![]));
        let aac = |pts| SoundReport::Aac { pts, data: Bytes::from_static(b"frame") };
        let tags = made.tags(aac(90_044)).unwrap();
        let seen: Vec<_> = tags.iter().map(|tag| (tag.kind, tag.timestamp.0, &tag.body[..])).collect();
        assert_eq!(
            seen,
            [(TagKind::Audio, 1_000, &[0xaf, 0, 0x12, 0x10][..]), (TagKind::Audio, 1_000, b"\xaf\x01frame")]
        );
        assert_eq!(made.tags(aac(92_135)).unwrap().len(), 1);
        assert!(
            made.tags(SoundReport::Failed("no".into()))
                .is_err_and(|sentence| sentence.contains("choose AAC"))
        );
    }

    #[test]
    fn times_wrap_as_those_of_rtmp_do() {
        let wraps = (i64::from(u32::MAX) + 1) * TICKS_PER_MS;
        for (pts, ms) in [(0, 0), (44, 0), (45, 1), (wraps - 90, u32::MAX), (wraps + 90, 1), (-90, u32::MAX)]
        {
            assert_eq!(millis(pts), RtmpMillis(ms), "{pts}");
        }
    }
}
