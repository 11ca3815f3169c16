//! The ladder of a broadcast, and the process of the transcoder that works for it.
#![expect(clippy::disallowed_methods, reason = "shell: reads the clock")]

use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use millrace_core::ids::ChannelName;
use tracing::{error, info, warn};

use super::cpu::CpuShare;
use crate::ladder::{Ladder, LadderConfig, Notice};
use crate::model::{Output, RenditionId};
use crate::transcode::back_off::BackOff;
use crate::transcode::child::{self, Child, ChildEnd, NotSent, Program};

/// Orders that may wait for the transcoder: four seconds of 60 pictures each, and what is said once.
const ORDERS: usize = 256;
/// Reports that may wait for the broadcast's task: as many pictures of six rungs, and an answer for each.
const REPORTS: usize = 2048;

/// What came from the transcoder.
pub(super) enum Said {
    Report(millrace_core::transcode::LadderReport),
    End(ChildEnd),
}

pub(super) struct Rungs {
    channel: ChannelName,
    ladder: Ladder,
    program: Program,
    child: Option<Child<child::Ladder>>,
    back_off: BackOff,
    /// Not before then is a process started.
    pause: Option<Instant>,
    cpu: CpuShare,
    /// Whether the end of the source came out.
    ended: bool,
}

impl Rungs {
    pub(super) fn new(channel: ChannelName, config: LadderConfig, program: Program, cpu: CpuShare) -> Self {
        Self {
            channel,
            ladder: Ladder::new(config),
            program,
            child: None,
            back_off: BackOff::default(),
            pause: None,
            cpu,
            ended: false,
        }
    }

    /// Takes an output of the packager.
    pub(super) fn push(&mut self, output: Output) {
        self.ladder.handle_output(Instant::now(), output);
    }

    /// The next output for the window.
    pub(super) fn pop(&mut self) -> Option<Output> {
        let output = self.ladder.poll_output()?;
        self.ended |= output == Output::Ended;
        Some(output)
    }

    /// Whether the end of the source came out.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Somebody watches this rendition.
    pub(super) fn is_asked(&mut self, rendition: RenditionId) {
        self.ladder.handle_demand(Instant::now(), rendition);
    }

    /// Whether each picture should come at once, and not with others when a part is due.
    pub(super) fn is_working(&self) -> bool {
        self.child.is_some()
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.ladder.poll_timeout()
    }

    pub(super) fn handle_timeout(&mut self) {
        self.ladder.handle_timeout(Instant::now());
    }

    /// What the transcoder says next. Cancel safe.
    pub(super) async fn next(&mut self) -> Said {
        match &mut self.child {
            Some(child) => child.next().await.map_or_else(Said::End, Said::Report),
            None => pending().await,
        }
    }

    pub(super) fn hear(&mut self, said: Said) {
        match said {
            Said::Report(report) => self.ladder.handle_report(Instant::now(), report),
            Said::End(end) => {
                let now = Instant::now();
                let next = self.back_off.ended(now);
                self.pause = Some(next);
                self.forget_child();
                self.ladder.handle_child_died(now);
                metrics::counter!("millrace_transcoder_ends_total").increment(1);
                warn!(
                    stream.id = %self.channel, err = ?end,
                    pause_ms = next.saturating_duration_since(now).as_millis(),
                    "the transcoder of {} is gone: {end}. Its rungs show the source until another one has begun", self.channel
                );
            }
        }
    }

    fn forget_child(&mut self) {
        self.child = None;
        self.cpu.forget();
    }

    /// Starts and stops the transcoder as it is wanted, and hands it its orders.
    pub(super) fn work(&mut self) {
        let now = Instant::now();
        let wanted = self.ladder.wants_child(now);
        if wanted && self.child.is_none() && self.pause.is_none_or(|until| until <= now) {
            self.start(now);
        } else if !wanted && self.child.is_some() && !self.ladder.is_made() {
            info!(stream.id = %self.channel, "no rungs of {} are made now", self.channel);
            self.forget_child();
            self.ladder.handle_child_stopped(now);
        }
        while let Some(order) = self.ladder.poll_order() {
            let Some(child) = &self.child else { continue };
            match child.try_send(order) {
                Ok(()) => {}
                // None may be lost. The end is told by `next`.
                Err(NotSent::Full(_)) => child.kill(),
                Err(NotSent::Ended(_)) => {}
            }
        }
        while let Some(notice) = self.ladder.poll_notice() {
            self.tell(notice);
        }
    }

    fn start(&mut self, now: Instant) {
        self.back_off.started(now);
        match self.program.start(&format!("ladder of {}", self.channel), ORDERS, REPORTS) {
            Ok(child) => {
                info!(stream.id = %self.channel, pid = child.pid(), "the rungs of {} are made", self.channel);
                self.child = Some(child);
                self.ladder.handle_child_started(now);
            }
            Err(err) => {
                self.pause = Some(self.back_off.ended(now));
                error!(stream.id = %self.channel, %err, "cannot start the transcoder; viewers of rungs get the source");
            }
        }
    }

    fn tell(&self, notice: Notice) {
        let channel = &self.channel;
        match notice {
            Notice::Shed(rung, pause) => {
                metrics::counter!("millrace_rungs_shed_total").increment(1);
                warn!(
                    stream.id = %channel, rung, pause_s = pause.as_secs(),
                    "the machine cannot keep up with the rungs of {channel}: {rung} is not made for {} s. Have fewer rungs, a \
                     faster preset or more processors", pause.as_secs()
                );
            }
            Notice::Failed(rung, reason) => {
                warn!(stream.id = %channel, rung, reason, "the rung {rung} of {channel} cannot be made: {reason}");
            }
            Notice::Unreadable(count) => {
                warn!(stream.id = %channel, count, "{channel} sends pictures that cannot be decoded");
            }
            Notice::Stuck => {
                if let Some(child) = &self.child {
                    warn!(stream.id = %channel, "the transcoder of {channel} does not answer; killing it");
                    child.kill();
                }
            }
        }
    }

    /// Every two seconds: what the transcoder takes of the processors.
    pub(super) fn report(&mut self) {
        let Some(pid) = self.child.as_ref().and_then(Child::pid) else { return };
        if self.cpu.is_too_much(pid) {
            self.ladder.handle_overload(Instant::now());
        }
    }
}

/// What all ladders of a process share.
pub(super) struct Transcoding {
    pub(super) program: Program,
    pub(super) cpu: Arc<super::cpu::CpuBudget>,
}
