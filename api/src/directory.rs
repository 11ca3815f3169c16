//! Sans-IO: the live broadcasts, as the events of `millrace.streams` add up.

use std::collections::BTreeMap;

use jiff::Timestamp;
use millrace_core::event::{Event, EventBody, StreamHealth};
use millrace_core::ids::{BroadcastId, ChannelName};

/// One live broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveStream {
    /// Its channel.
    pub channel: ChannelName,
    /// Its id; newer ones are greater.
    pub broadcast: BroadcastId,
    /// When its first media arrived.
    pub started_at: Timestamp,
    /// Set while the publisher is away: when the broadcast ends unless it comes back.
    pub interrupted_until: Option<Timestamp>,
    /// The encoder's name.
    pub encoder: Option<String>,
    /// The newest measurements.
    pub health: StreamHealth,
    /// Viewers, approximately: those who beat and those who are known by their requests.
    pub viewers: u64,
    /// Those of them who are known by their requests only.
    pub requesting: u64,
}

/// The live broadcasts of all nodes.
#[derive(Debug, Default)]
pub struct Directory {
    channels: BTreeMap<ChannelName, LiveStream>,
}

impl Directory {
    /// Applies one event. Events may come twice, and those of a broadcast that ended or that is not the channel's
    /// newest change nothing.
    pub fn apply(&mut self, event: &Event) {
        let channel = &event.subject;
        match &event.body {
            EventBody::StreamStarted(started) => {
                let newest = self.channels.get(channel).map(|stream| stream.broadcast);
                if newest.is_none_or(|newest| newest < started.broadcast) {
                    let stream = LiveStream {
                        channel: channel.clone(),
                        broadcast: started.broadcast,
                        started_at: event.time,
                        interrupted_until: None,
                        encoder: started.encoder.clone(),
                        health: StreamHealth::default(),
                        viewers: 0,
                        requesting: 0,
                    };
                    self.channels.insert(channel.clone(), stream);
                }
            }
            EventBody::StreamUpdated(updated) => {
                if let Some(stream) = self.current(channel, updated.broadcast) {
                    stream.health = updated.health.clone();
                    stream.viewers = stream.viewers - stream.requesting + updated.viewers;
                    stream.requesting = updated.viewers;
                }
            }
            EventBody::StreamInterrupted(interrupted) => {
                if let Some(stream) = self.current(channel, interrupted.broadcast) {
                    stream.interrupted_until = Some(interrupted.until);
                }
            }
            EventBody::StreamResumed(resumed) => {
                if let Some(stream) = self.current(channel, resumed.broadcast) {
                    stream.interrupted_until = None;
                    stream.encoder = resumed.encoder.clone();
                }
            }
            EventBody::StreamEnded(ended) => {
                if self.current(channel, ended.broadcast).is_some() {
                    self.channels.remove(channel);
                }
            }
            EventBody::StreamStop(_) | EventBody::KeyRevoked(_) | EventBody::ChannelUpdated(_) => {}
        }
    }

    /// Counts those who beat anew: `beating` says how many each channel has.
    pub fn count(&mut self, beating: impl Fn(&ChannelName) -> u64) {
        for stream in self.channels.values_mut() {
            stream.viewers = stream.requesting + beating(&stream.channel);
        }
    }

    fn current(&mut self, channel: &ChannelName, broadcast: BroadcastId) -> Option<&mut LiveStream> {
        self.channels.get_mut(channel).filter(|stream| stream.broadcast == broadcast)
    }

    /// The broadcast of a channel.
    #[must_use]
    pub fn get(&self, channel: &ChannelName) -> Option<&LiveStream> {
        self.channels.get(channel)
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &LiveStream> {
        self.channels.values()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use millrace_core::event::{
        EndReason, SpecVersion, StreamEnded, StreamInterrupted, StreamResumed, StreamStarted, StreamUpdated,
    };

    fn id(number: u128) -> BroadcastId {
        BroadcastId(uuid::Uuid::from_u128(number))
    }

    pub(crate) fn event(channel: &str, body: EventBody) -> Event {
        Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::from_u128(1),
            source: "/nodes/test".into(),
            subject: channel.parse().unwrap(),
            time: "2026-11-21T03:04:05Z".parse().unwrap(),
            body,
        }
    }

    pub(crate) fn started(channel: &str, broadcast: u128) -> Event {
        event(channel, EventBody::StreamStarted(StreamStarted { broadcast: id(broadcast), encoder: None }))
    }

    fn ended(channel: &str, broadcast: u128) -> Event {
        let reason = EndReason::Unpublished;
        event(channel, EventBody::StreamEnded(StreamEnded { broadcast: id(broadcast), reason }))
    }

    #[test]
    fn a_broadcast_lives_from_started_to_ended() {
        let mut directory = Directory::default();
        let studio = "studio".parse().unwrap();
        directory.apply(&started("studio", 1));
        let until = "2026-11-21T03:05:00Z".parse().unwrap();
        directory.apply(&event(
            "studio",
            EventBody::StreamInterrupted(StreamInterrupted { broadcast: id(1), until }),
        ));
        assert_eq!(directory.get(&studio).unwrap().interrupted_until, Some(until));
        let encoder = Some("obs".to_owned());
        directory
            .apply(&event("studio", EventBody::StreamResumed(StreamResumed { broadcast: id(1), encoder })));
        assert_eq!(directory.get(&studio).unwrap().interrupted_until, None);
        let health = StreamHealth { bitrate: 2_500_000, ..StreamHealth::default() };
        let updated = StreamUpdated { broadcast: id(1), health, viewers: 3 };
        directory.apply(&event("studio", EventBody::StreamUpdated(updated)));
        assert_eq!(directory.get(&studio).unwrap().viewers, 3);
        directory.count(|_| 10);
        assert_eq!(directory.get(&studio).unwrap().viewers, 13);
        let fewer = StreamUpdated { broadcast: id(1), health: StreamHealth::default(), viewers: 2 };
        directory.apply(&event("studio", EventBody::StreamUpdated(fewer)));
        assert_eq!(directory.get(&studio).unwrap().viewers, 12);
        directory.apply(&ended("studio", 1));
        assert_eq!(directory.get(&studio), None);
    }

    #[test]
    fn late_and_doubled_events_of_another_broadcast_change_nothing() {
        let mut directory = Directory::default();
        directory.apply(&started("studio", 2));
        directory.apply(&started("studio", 1));
        directory.apply(&ended("studio", 1));
        assert_eq!(directory.get(&"studio".parse().unwrap()).unwrap().broadcast, id(2));
    }
}
