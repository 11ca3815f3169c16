//! Sans-IO: the live broadcasts, as the events of `millrace.streams` add up, and what leases of nodes say of them.
//!
//! A process that starts learns from the leases what is live already, and what it missed.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use millrace_core::event::{
    EndReason, Event, EventBody, LEASED_STREAMS_MAX, LeasedStream, NodeLeased, StreamHealth,
};
use millrace_core::ids::{BroadcastId, ChannelName, NodeName};

/// Broadcasts that ended and are remembered: a lease that was on its way does not bring them back.
const ENDED_KEPT: usize = 1024;

/// One live broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveStream {
    /// Its channel.
    pub channel: ChannelName,
    /// Its id; newer ones are greater.
    pub broadcast: BroadcastId,
    /// The node that has it, if that has a name of a node.
    pub node: Option<NodeName>,
    /// When its first media arrived, by the clock of its node.
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
    /// When its newest thumbnail was made, by the clock of its node.
    pub thumbnail_at: Option<Timestamp>,
    /// Whether it has a storyboard.
    pub has_storyboard: bool,
}

/// The live broadcasts of all nodes.
#[derive(Debug, Default)]
pub struct Directory {
    channels: BTreeMap<ChannelName, LiveStream>,
    /// The newest that ended.
    ended: VecDeque<BroadcastId>,
}

impl Directory {
    /// Applies one event. Events may come twice, and those of a broadcast that ended or that is not the channel's
    /// newest change nothing.
    pub fn apply(&mut self, event: &Event) {
        match (&event.body, event.node(), event.channel()) {
            (EventBody::NodeLeased(lease), Some(node), _) => self.apply_lease(event.time, node, lease),
            (_, _, Some(channel)) => self.apply_stream(event, channel),
            _ => {}
        }
    }

    fn apply_stream(&mut self, event: &Event, channel: &ChannelName) {
        match &event.body {
            EventBody::StreamStarted(started) => self.begin(LiveStream {
                channel: channel.clone(),
                broadcast: started.broadcast,
                node: event.source.strip_prefix("/nodes/").and_then(|name| name.parse().ok()),
                started_at: event.time,
                interrupted_until: None,
                encoder: started.encoder.clone(),
                health: StreamHealth::default(),
                viewers: 0,
                requesting: 0,
                thumbnail_at: None,
                has_storyboard: false,
            }),
            EventBody::StreamUpdated(updated) => {
                if let Some(stream) = self.current(channel, updated.broadcast) {
                    stream.health = updated.health.clone();
                    stream.viewers = stream.viewers - stream.requesting + updated.viewers;
                    stream.requesting = updated.viewers;
                }
            }
            EventBody::ThumbnailUpdated(updated) => {
                if let Some(stream) = self.current(channel, updated.broadcast) {
                    stream.thumbnail_at = Some(event.time);
                    stream.has_storyboard = updated.storyboard_url.is_some();
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
                // A node that is lost may be back; what it says then is true again.
                if ended.reason != EndReason::NodeLost {
                    self.ended.push_back(ended.broadcast);
                    if self.ended.len() > ENDED_KEPT {
                        self.ended.pop_front();
                    }
                }
                if self.current(channel, ended.broadcast).is_some() {
                    self.channels.remove(channel);
                }
            }
            _ => {}
        }
    }

    /// Enters a broadcast, if it is the channel's newest and has not ended.
    fn begin(&mut self, stream: LiveStream) {
        let newest = self.channels.get(&stream.channel).map(|stream| stream.broadcast);
        if newest.is_none_or(|newest| newest < stream.broadcast) && !self.ended.contains(&stream.broadcast) {
            self.channels.insert(stream.channel.clone(), stream);
        }
    }

    /// A node's lease lists what was live on it at `time`, by its clock.
    fn apply_lease(&mut self, time: Timestamp, node: &NodeName, lease: &NodeLeased) {
        for leased in &lease.streams {
            let LeasedStream { channel, broadcast, started_at, interrupted_until, encoder, .. } = leased;
            if let Some(stream) = self.current(channel, *broadcast) {
                stream.interrupted_until = *interrupted_until;
                continue;
            }
            self.begin(LiveStream {
                channel: channel.clone(),
                broadcast: *broadcast,
                node: Some(node.clone()),
                started_at: *started_at,
                interrupted_until: *interrupted_until,
                encoder: encoder.clone(),
                health: StreamHealth::default(),
                viewers: 0,
                requesting: 0,
                thumbnail_at: None,
                has_storyboard: false,
            });
        }
        if lease.streams.len() < LEASED_STREAMS_MAX {
            let listed =
                |stream: &LiveStream| lease.streams.iter().any(|leased| leased.broadcast == stream.broadcast);
            self.channels.retain(|_, stream| {
                stream.node.as_ref() != Some(node) || stream.started_at > time || listed(stream)
            });
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
        SpecVersion, StreamEnded, StreamInterrupted, StreamResumed, StreamStarted, StreamUpdated, Subject,
        ThumbnailUpdated,
    };

    fn id(number: u128) -> BroadcastId {
        BroadcastId(uuid::Uuid::from_u128(number))
    }

    pub(crate) fn event(channel: &str, body: EventBody) -> Event {
        Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::from_u128(1),
            source: "/nodes/test".into(),
            subject: Subject::Channel(channel.parse().unwrap()),
            time: "2026-11-21T03:04:05Z".parse().unwrap(),
            cause: millrace_core::trace::Cause::default(),
            body,
        }
    }

    pub(crate) fn started(channel: &str, broadcast: u128) -> Event {
        event(channel, EventBody::StreamStarted(StreamStarted { broadcast: id(broadcast), encoder: None }))
    }

    pub(crate) fn thumbnail(channel: &str, broadcast: u128, storyboard: bool) -> Event {
        let url = format!("/live/{channel}/thumb.jpg");
        let storyboard_url = storyboard.then(|| format!("/live/{channel}/storyboard.vtt"));
        let broadcast = id(broadcast);
        event(channel, EventBody::ThumbnailUpdated(ThumbnailUpdated { broadcast, url, storyboard_url }))
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
        assert_eq!(directory.get(&studio).unwrap().thumbnail_at, None);
        directory.apply(&thumbnail("studio", 2, true));
        assert_eq!(directory.get(&studio).unwrap().thumbnail_at, None);
        let made = thumbnail("studio", 1, true);
        directory.apply(&made);
        assert_eq!(directory.get(&studio).unwrap().thumbnail_at, Some(made.time));
        directory.apply(&ended("studio", 1));
        assert_eq!(directory.get(&studio), None);
    }

    fn lease(second: i64, broadcasts: &[u128]) -> Event {
        let time = Timestamp::from_second(second).unwrap();
        let stream = |number: &u128| LeasedStream {
            channel: format!("channel_{number}").parse().unwrap(),
            broadcast: id(*number),
            started_at: time,
            access: millrace_core::playback::Access::Open,
            interrupted_until: None,
            encoder: Some("obs".to_owned()),
            held_ms: 0,
            next_msn: 0,
            keyframe_interval: None,
        };
        let lease = NodeLeased {
            boot: uuid::Uuid::nil(),
            url: "http://media:80".to_owned(),
            roles: Vec::new(),
            lease_ms: 10_000,
            capacity: 0,
            load: 0,
            streams: broadcasts.iter().map(stream).collect(),
        };
        Event {
            time,
            subject: Subject::Node("media:80".parse().unwrap()),
            ..event("studio", EventBody::NodeLeased(lease))
        }
    }

    fn live(directory: &Directory) -> Vec<u128> {
        directory.iter().map(|stream| stream.broadcast.0.as_u128()).collect()
    }

    #[test]
    fn a_process_that_starts_learns_from_leases_what_is_live_and_what_it_missed() {
        let mut directory = Directory::default();
        directory.apply(&lease(100, &[1, 2]));
        assert_eq!(live(&directory), [1, 2]);
        assert_eq!(directory.iter().next().unwrap().encoder.as_deref(), Some("obs"));
        directory.apply(&lease(102, &[2]));
        assert_eq!(live(&directory), [2], "its end was missed");
        // Another node's broadcasts are none of its business, nor what began after the lease was made.
        directory.apply(&started("studio", 7));
        let mut later = started("channel_3", 3);
        (later.source, later.time) = ("/nodes/media:80".into(), Timestamp::from_second(104).unwrap());
        directory.apply(&later);
        directory.apply(&lease(103, &[2]));
        assert_eq!(live(&directory), [2, 3, 7]);
        directory.apply(&lease(104, &[2]));
        assert_eq!(live(&directory), [2, 7]);
    }

    #[test]
    fn a_lease_that_was_on_its_way_brings_nothing_back_but_a_node_that_was_lost_does() {
        let mut directory = Directory::default();
        directory.apply(&lease(100, &[1]));
        directory.apply(&ended("channel_1", 1));
        directory.apply(&lease(101, &[1]));
        assert_eq!(live(&directory), []);
        directory.apply(&lease(102, &[2]));
        let lost = StreamEnded { broadcast: id(2), reason: EndReason::NodeLost };
        directory.apply(&event("channel_2", EventBody::StreamEnded(lost)));
        assert_eq!(live(&directory), []);
        directory.apply(&lease(103, &[2]));
        assert_eq!(live(&directory), [2]);
        for number in 0..2 * ENDED_KEPT as u128 {
            directory.apply(&ended("studio", number));
        }
        assert_eq!(directory.ended.len(), ENDED_KEPT);
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
