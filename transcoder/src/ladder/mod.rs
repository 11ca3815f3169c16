//! The job `ladder`: decodes a broadcast once and encodes it once per rung.
//!
//! This thread reads orders and decodes. Each rung scales and encodes on a thread of its own, so that a ladder takes more than one
//! processor where it must, and each encoder has one thread, which costs least. One more thread puts the reports together.
//! Whatever waits is bounded by the channels between them: a reader that does not read stops the decoder.

mod answers;
mod cuts;
mod pace;
mod rung;

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;
use ffmpeg_next::frame;
use millrace_core::transcode::{LadderOrder, LadderReport, Rung};

use crate::av::{Decoder, MAX_SIDE};
use crate::avc::Stream;
use crate::pipe::{Orders, Reports};
use answers::Event;
use cuts::Cuts;
use rung::Running;

/// Reports that wait to be written.
const EVENTS: usize = 64;
/// Reports leave together while there are more of them, up to so many bytes.
const WRITE_BYTES: usize = 1 << 20;

/// Obeys until the orders end.
///
/// # Errors
/// An order that cannot be read, or reports that nobody reads.
pub(crate) fn run(input: File, output: File) -> anyhow::Result<()> {
    let (events, reported) = sync_channel::<Event>(EVENTS);
    let writer = thread::spawn(move || {
        let mut answers = answers::Answers::default();
        let mut reports = Reports::to(output);
        while let Ok(event) = reported.recv() {
            let mut next = Some(event);
            while let Some(event) = next {
                for report in answers.reports(event) {
                    // What is too long for a message is a picture less.
                    let _ = reports.push(&report);
                }
                next = if reports.waiting_bytes() < WRITE_BYTES { reported.try_recv().ok() } else { None };
            }
            reports.flush()?;
        }
        Ok(())
    });
    let mut ladder = Ladder {
        decoder: None,
        frame_rate: None,
        cuts: Cuts::default(),
        rungs: Vec::new(),
        unreadable: 0,
        events,
    };
    let mut orders = Orders::<LadderOrder>::of(input);
    let ended = loop {
        match orders.next() {
            Ok(Some(order)) if !writer.is_finished() => ladder.obey(order),
            Ok(_) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    ladder.finish();
    let written: std::io::Result<()> =
        writer.join().map_err(|_| anyhow::anyhow!("the thread that writes reports ended"))?;
    match written {
        // The server has gone, which is an end like another.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => ended,
    }
}

struct Ladder {
    decoder: Option<Decoder>,
    /// What the source says of itself, in pictures per second.
    frame_rate: Option<f64>,
    cuts: Cuts,
    rungs: Vec<Running>,
    /// Of the decoder, since the last report.
    unreadable: u32,
    events: SyncSender<Event>,
}

impl Ladder {
    fn obey(&mut self, order: LadderOrder) {
        match order {
            LadderOrder::Configure(record) => self.configure(&record),
            LadderOrder::Rungs(rungs) => self.cuts.change(rungs),
            LadderOrder::Stop(rung) => {
                self.cuts.forget(rung);
                self.keep(|running| running.spec.id != rung);
            }
            LadderOrder::Picture { pts, sync, cut, data } => self.decode(pts, sync, cut, &data),
            LadderOrder::Key { pts, cut: true } => self.cuts.at(pts),
            LadderOrder::Key { pts, cut: false } => self.cuts.key_at(pts),
        }
        let count = std::mem::take(&mut self.unreadable);
        if count > 0 {
            self.report(Event::Report(LadderReport::Unreadable { count }));
        }
    }

    fn configure(&mut self, record: &Bytes) {
        self.drain();
        let stream = Stream::of_record(record);
        self.frame_rate = stream.and_then(|stream| stream.frame_rate);
        self.decoder = Decoder::open(record, stream.as_ref()).ok();
        self.unreadable += u32::from(self.decoder.is_none());
    }

    fn decode(&mut self, pts: i64, sync: bool, cut: bool, unit: &Bytes) {
        if cut {
            self.cuts.at(pts);
        }
        let Some(decoder) = &mut self.decoder else {
            self.unreadable += 1;
            return;
        };
        if decoder.send(unit, pts, sync).is_err() {
            self.unreadable += 1;
        }
        self.hand_on();
    }

    /// Hands what the decoder has to the rungs.
    fn hand_on(&mut self) {
        while let Some(decoder) = &mut self.decoder {
            match decoder.receive() {
                Ok(Some(picture)) if picture.width() > MAX_SIDE || picture.height() > MAX_SIDE => {
                    self.unreadable += 1
                }
                Ok(Some(picture)) => match picture.pts() {
                    Some(pts) => self.feed(Arc::new(picture), pts),
                    None => self.unreadable += 1,
                },
                Ok(None) => break,
                Err(_) => self.unreadable += 1,
            }
        }
    }

    fn feed(&mut self, picture: Arc<frame::Video>, pts: i64) {
        let reached = self.cuts.reached(pts);
        let cut = reached.is_some();
        let key = self.cuts.key_reached(pts);
        if let Some(Some(wanted)) = reached {
            self.change(wanted);
        }
        let mut takers = 0;
        for rung in &mut self.rungs {
            rung.takes_next = rung.takes(cut, key);
            takers |= if rung.takes_next { rung.bit() } else { 0 };
        }
        self.report(Event::Fed { pts, rungs: takers });
        for rung in self.rungs.iter_mut().filter(|rung| rung.takes_next) {
            rung.feed(picture.clone(), pts, cut);
        }
    }

    /// Makes these rungs from here on. One that is made as it is wanted goes on.
    fn change(&mut self, wanted: Vec<Rung>) {
        self.keep(|running| !running.has_ended() && wanted.contains(&running.spec));
        for spec in wanted {
            if self.rungs.iter().any(|rung| rung.spec.id == spec.id) {
                continue;
            }
            let id = spec.id;
            match Running::start(spec, self.frame_rate, self.events.clone()) {
                Ok(rung) => self.rungs.push(rung),
                Err(reason) => self.report(Event::Report(LadderReport::Failed { rung: id, reason })),
            }
        }
    }

    /// Ends the other rungs.
    fn keep(&mut self, kept: impl Fn(&Running) -> bool) {
        let (kept, others): (Vec<_>, Vec<_>) = self.rungs.drain(..).partition(kept);
        self.rungs = kept;
        others.into_iter().for_each(Running::finish);
    }

    /// Hands out what the decoder holds back.
    fn drain(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.end();
            self.hand_on();
            self.decoder = None;
        }
        self.cuts.missed();
    }

    fn finish(mut self) {
        self.drain();
        self.rungs.drain(..).for_each(Running::finish);
    }

    fn report(&self, event: Event) {
        // Without the writer there is nobody to tell: `run` ends.
        let _ = self.events.send(event);
    }
}
