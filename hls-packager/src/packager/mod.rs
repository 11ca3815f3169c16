//! The media side as one value: FLV tags and the publisher's life in, [`crate::model::Output`]s out.
//!
//! Contract: after each `handle_*`, poll [`Packager::poll_output`] until `None`, then sleep until
//! [`Packager::poll_timeout`] or the next input, whichever comes first.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace_core::event::StreamHealth;
use millrace_core::flv::FlvTag;

use crate::model::Output;

/// Settings and limits of the media side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagerConfig {
    /// Length of a part that is wanted; the part target is this, fitted to whole frames. Default 333 ms, 100 ms to
    /// 2 s. Lower means less delay and more requests.
    pub part_target: Duration,
    /// `EXT-X-TARGETDURATION` in whole seconds unless the keyframe interval of the last broadcast asks for more.
    /// Default 4, 1 to 12.
    pub target_duration: u32,
    /// Most bytes of samples in one part before it is cut whatever its duration. Default 8 MiB.
    pub max_part_bytes: usize,
    /// Most samples of one track in one part before it is cut whatever its duration. Default 512.
    pub max_part_samples: usize,
    /// Most bytes that wait for a broadcast's start (both sequence headers, first keyframe). Default 16 MiB.
    pub max_waiting_bytes: usize,
    /// Most access units that wait, before the start or for the other track. Default 2048.
    pub max_waiting_units: usize,
}

impl Default for PackagerConfig {
    fn default() -> Self {
        Self {
            part_target: Duration::from_millis(333),
            target_duration: 4,
            max_part_bytes: 8 << 20,
            max_part_samples: 512,
            max_waiting_bytes: 16 << 20,
            max_waiting_units: 2048,
        }
    }
}

/// What a broadcast's packager must be told at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackagerStart {
    /// The monotonic clock now.
    pub now: Instant,
    /// The wall clock at the same moment, for `EXT-X-PROGRAM-DATE-TIME`.
    pub wall: Timestamp,
    /// Keyframe interval that the channel's last broadcast had: [`Packager::keyframe_interval`] at its end.
    pub last_keyframe_interval: Option<Duration>,
}

/// This publisher cannot be packaged. The text is for the streamer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackagerError {
    /// A codec we do not package.
    #[error("{codec} is not supported yet: {remedy}")]
    UnsupportedCodec {
        /// `HEVC video`.
        codec: String,
        /// What to choose instead, and where.
        remedy: &'static str,
    },
}

/// Packages one broadcast.
#[derive(Debug)]
pub struct Packager {
    outputs: VecDeque<Output>,
}

impl Packager {
    /// A packager that has seen nothing yet.
    #[must_use]
    pub fn new(_config: PackagerConfig, _start: PackagerStart) -> Self {
        Self { outputs: VecDeque::new() }
    }

    /// A publisher begins: the first, one that came back, or one that takes over.
    pub fn handle_publisher_joined(&mut self, _now: Instant) {}

    /// Takes one tag of the current publisher.
    ///
    /// # Errors
    /// This publisher must be refused; the text says why and what to do.
    pub fn handle_tag(
        &mut self,
        _now: Instant,
        _arrived: Instant,
        _tag: FlvTag,
    ) -> Result<(), PackagerError> {
        Ok(())
    }

    /// The publisher is gone; gaps are appended in real time until one joins or the broadcast ends.
    pub fn handle_publisher_left(&mut self, _now: Instant) {}

    /// The broadcast is over.
    pub fn handle_end(&mut self, _now: Instant) {
        self.outputs.push_back(Output::Ended);
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When [`Self::handle_timeout`] is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What is measured of the broadcast.
    #[must_use]
    pub fn health(&self, _now: Instant) -> StreamHealth {
        StreamHealth::default()
    }

    /// The largest of the last keyframe intervals, for the next broadcast of this channel.
    #[must_use]
    pub fn keyframe_interval(&self) -> Option<Duration> {
        None
    }
}
