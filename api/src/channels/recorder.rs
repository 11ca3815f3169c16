//! Sans-IO: what the events of `millrace.streams` say for the history, until the store has it.
//!
//! Events come faster than they are worth writing; here they melt into one note per broadcast.

use std::collections::{BTreeMap, BTreeSet};

use millrace_core::event::{Event, EventBody};
use millrace_core::ids::{BroadcastId, ChannelName};

use crate::accounts::Broadcast;

/// How often a running broadcast is noted again, in milliseconds.
const NOTE_EVERY_MS: i64 = 60_000;
/// Broadcasts that are remembered; the oldest are forgotten beyond it.
const REMEMBERED: usize = 20_000;

/// What is known of one broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub broadcast: BroadcastId,
    /// Its channel.
    pub channel: ChannelName,
    /// Milliseconds since 1970.
    pub started_at: i64,
    /// When it was last known to run.
    pub seen_at: i64,
    /// Absent while it runs.
    pub ended_at: Option<i64>,
    /// Most viewers at once.
    pub peak_viewers: i64,
}

impl Note {
    /// Adds what is new here.
    pub fn add_to(&self, broadcast: &mut Broadcast) {
        broadcast.started_at = broadcast.started_at.min(self.started_at);
        broadcast.seen_at = broadcast.seen_at.max(self.seen_at);
        broadcast.peak_viewers = broadcast.peak_viewers.max(self.peak_viewers);
        broadcast.ended_at = broadcast.ended_at.or(self.ended_at);
        broadcast.running = broadcast.ended_at.is_none();
    }
}

#[derive(Debug)]
struct Known {
    note: Note,
    /// When it was handed out last; `None` if there is something to say at once.
    told_at: Option<i64>,
}

/// The notes that the store does not have yet.
#[derive(Debug, Default)]
pub struct Recorder {
    known: BTreeMap<BroadcastId, Known>,
    due: BTreeSet<BroadcastId>,
}

impl Recorder {
    /// Takes an event; events may come twice. `viewers` are those of the channel now.
    pub fn apply(&mut self, event: &Event, viewers: u64) {
        let Some(channel) = event.channel() else { return };
        let at = event.time.as_millisecond();
        match &event.body {
            EventBody::StreamStarted(started) => {
                self.begin(channel, started.broadcast, at);
                self.say(started.broadcast);
            }
            EventBody::StreamUpdated(updated) => {
                // Its start may have been another process's to note; the earlier one counts.
                self.begin(channel, updated.broadcast, at);
                let Some(known) = self.known.get_mut(&updated.broadcast) else { return };
                known.note.seen_at = known.note.seen_at.max(at);
                known.note.peak_viewers =
                    known.note.peak_viewers.max(i64::try_from(viewers).unwrap_or(i64::MAX));
                if known.told_at.is_none_or(|told| at.saturating_sub(told) >= NOTE_EVERY_MS) {
                    self.say(updated.broadcast);
                }
            }
            EventBody::StreamEnded(ended) => {
                self.begin(channel, ended.broadcast, at);
                let Some(known) = self.known.get_mut(&ended.broadcast) else { return };
                known.note.seen_at = known.note.seen_at.max(at);
                known.note.ended_at = known.note.ended_at.or(Some(at));
                self.say(ended.broadcast);
            }
            _ => {}
        }
    }

    /// Knows the broadcast from now on.
    fn begin(&mut self, channel: &ChannelName, broadcast: BroadcastId, at: i64) {
        let known = self.known.entry(broadcast).or_insert_with(|| Known {
            note: Note {
                broadcast,
                channel: channel.clone(),
                started_at: at,
                seen_at: at,
                ended_at: None,
                peak_viewers: 0,
            },
            told_at: None,
        });
        known.note.started_at = known.note.started_at.min(at);
        if self.known.len() > REMEMBERED
            && let Some((oldest, _)) = self.known.pop_first()
        {
            self.due.remove(&oldest);
        }
    }

    fn say(&mut self, broadcast: BroadcastId) {
        let Some(known) = self.known.get_mut(&broadcast) else { return };
        known.told_at = Some(known.note.seen_at);
        self.due.insert(broadcast);
    }

    /// What the store is to have next, if anything. It stays until [`Self::kept`].
    #[must_use]
    pub fn next(&self) -> Option<Note> {
        self.due.first().and_then(|broadcast| self.known.get(broadcast)).map(|known| known.note.clone())
    }

    /// The store has this now.
    pub fn kept(&mut self, note: &Note) {
        let Some(known) = self.known.get(&note.broadcast) else { return };
        // What came in between is to be said too, unless it is only what the next minute will say.
        if known.note.ended_at == note.ended_at {
            self.due.remove(&note.broadcast);
            if note.ended_at.is_some() {
                self.known.remove(&note.broadcast);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::{event, started};
    use millrace_core::event::{EndReason, StreamEnded, StreamHealth, StreamUpdated};

    fn id(number: u128) -> BroadcastId {
        BroadcastId(uuid::Uuid::from_u128(number))
    }

    fn at(second: i64, mut event: Event) -> Event {
        event.time = jiff::Timestamp::from_second(second).unwrap();
        event
    }

    fn updated(number: u128) -> Event {
        let health = StreamHealth::default();
        event("studio", EventBody::StreamUpdated(StreamUpdated { broadcast: id(number), health, viewers: 0 }))
    }

    fn ended(number: u128) -> Event {
        let reason = EndReason::Unpublished;
        event("studio", EventBody::StreamEnded(StreamEnded { broadcast: id(number), reason }))
    }

    #[test]
    fn a_broadcast_is_noted_at_its_start_every_minute_and_at_its_end() {
        let mut recorder = Recorder::default();
        recorder.apply(&at(100, started("studio", 1)), 0);
        let mut notes = Vec::new();
        for second in 100..=250 {
            recorder.apply(&at(second, updated(1)), if second == 130 { 9 } else { 2 });
            while let Some(note) = recorder.next() {
                recorder.kept(&note);
                notes.push((note.seen_at / 1000, note.peak_viewers));
            }
        }
        assert_eq!(notes, [(100, 2), (160, 9), (220, 9)]);
        recorder.apply(&at(260, ended(1)), 0);
        recorder.apply(&at(260, ended(1)), 0);
        let last = recorder.next().unwrap();
        assert_eq!((last.ended_at, last.peak_viewers), (Some(260_000), 9));
        recorder.kept(&last);
        assert_eq!(recorder.next(), None);
        assert!(recorder.known.is_empty() && recorder.due.is_empty());
    }

    #[test]
    fn what_the_store_does_not_take_melts_into_one_note() {
        let mut recorder = Recorder::default();
        recorder.apply(&at(1, started("studio", 1)), 0);
        let early = recorder.next().unwrap();
        for second in 2..10_000 {
            recorder.apply(&at(second, updated(1)), 5);
        }
        recorder.apply(&at(10_000, ended(1)), 0);
        assert_eq!(recorder.due.len(), 1);
        recorder.kept(&early);
        let late = recorder.next().unwrap();
        assert_eq!((late.ended_at, late.peak_viewers), (Some(10_000_000), 5), "the end is said as well");
    }

    #[test]
    fn a_process_that_takes_over_in_the_middle_notes_the_end_all_the_same() {
        let mut recorder = Recorder::default();
        recorder.apply(&at(500, updated(1)), 3);
        recorder.apply(&at(600, ended(1)), 0);
        let note = recorder.next().unwrap();
        assert_eq!((note.started_at, note.ended_at, note.peak_viewers), (500_000, Some(600_000), 3));
    }

    #[test]
    fn memory_is_bounded() {
        let mut recorder = Recorder::default();
        for number in 1..=REMEMBERED as u128 + 10 {
            recorder.apply(&started("studio", number), 0);
            if let Some(note) = recorder.next() {
                recorder.kept(&note);
            }
        }
        assert_eq!(recorder.known.len(), REMEMBERED);
    }
}
