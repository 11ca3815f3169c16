//! What the next broadcast of a channel must know of the last one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use millrace_core::ids::ChannelName;

/// What is remembered of a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Greater than every media sequence number used so far.
    pub(crate) next_msn: u64,
    /// Keyframe interval of the last broadcast: the next one's target duration fits it from the start.
    pub(crate) keyframe_interval: Option<Duration>,
}

/// A bounded memory of channels. When it is full the channel whose last broadcast is longest ago is forgotten; its
/// next number comes from the clock, which by then is far greater.
#[derive(Debug)]
pub(crate) struct ChannelMemory {
    max: usize,
    channels: Mutex<HashMap<ChannelName, Remembered>>,
}

impl ChannelMemory {
    /// Remembers up to `max` channels.
    #[must_use]
    pub(crate) fn new(max: usize) -> Self {
        Self { max, channels: Mutex::default() }
    }

    /// What is known of a channel.
    #[must_use]
    pub(crate) fn recall(&self, channel: &ChannelName) -> Remembered {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.get(channel).copied().unwrap_or_default()
    }

    /// Notes a broadcast's numbers. Numbers never go back; an interval that is not known yet changes nothing.
    pub(crate) fn remember(&self, channel: &ChannelName, next_msn: u64, keyframe_interval: Option<Duration>) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if !channels.contains_key(channel) && channels.len() >= self.max {
            let oldest = channels.iter().min_by_key(|(_, remembered)| remembered.next_msn);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                channels.remove(&oldest);
            }
        }
        let remembered = channels.entry(channel.clone()).or_default();
        remembered.next_msn = remembered.next_msn.max(next_msn);
        remembered.keyframe_interval = keyframe_interval.or(remembered.keyframe_interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_go_back_and_the_oldest_channel_is_forgotten_first() {
        let memory = ChannelMemory::new(2);
        let [one, two, three] = ["one", "two", "three"].map(|name| name.parse().unwrap());
        let second = Some(Duration::from_secs(1));
        memory.remember(&one, 10, second);
        memory.remember(&one, 9, None);
        assert_eq!(memory.recall(&one), Remembered { next_msn: 10, keyframe_interval: second });
        memory.remember(&two, 5, None);
        memory.remember(&three, 20, None);
        assert_eq!(memory.recall(&two), Remembered::default());
        assert_eq!((memory.recall(&one).next_msn, memory.recall(&three).next_msn), (10, 20));
    }
}
