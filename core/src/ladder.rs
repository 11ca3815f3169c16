//! Which rungs a broadcast has: what the site makes, and what its channel wants.
//!
//! A channel may want less than the site makes as it likes. Making more takes the processors of the site's machines, so it gets no
//! more than an admin allowed, whatever it wants: when the site makes less one day, so do its channels.

use serde::{Deserialize, Serialize};

/// Most rungs of a ladder.
pub const MAX_RUNGS: usize = 6;

/// When rungs are made, from never to all the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LadderMode {
    /// Never: viewers get what the encoder sends.
    #[default]
    Off,
    /// While somebody watches them.
    OnDemand,
    /// As long as the broadcast is live.
    Always,
}

/// Rungs, and when they are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LadderPlan {
    /// When.
    pub mode: LadderMode,
    /// Their names, `720p`, those with most lines first.
    pub rungs: Vec<String>,
}

/// What somebody wants of a channel's ladder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LadderWish {
    /// When rungs are made; `None`: as the site says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<LadderMode>,
    /// The names of those that are made; `None`: all that the site has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rungs: Option<Vec<String>>,
}

/// The ladder of a channel. The default is what the site makes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelLadder {
    /// What its owner or an admin of the site said last.
    #[serde(default)]
    pub wish: LadderWish,
    /// What an admin of the site said last: so much is made if it is wished, even if the site makes less.
    #[serde(default)]
    pub allowed: LadderWish,
}

impl LadderWish {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn has(&self, rung: &str) -> bool {
        self.rungs.as_ref().is_none_or(|rungs| rungs.iter().any(|name| name == rung))
    }

    /// The names that the site does not have, or has no more.
    #[must_use]
    pub fn gone(&self, site: &LadderPlan) -> Vec<&str> {
        let rungs = self.rungs.iter().flatten();
        rungs.filter(|name| !site.rungs.contains(name)).map(String::as_str).collect()
    }
}

impl ChannelLadder {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The rungs that may be made in this mode without an admin of the site.
    #[must_use]
    pub fn may_have(&self, mode: LadderMode, site: &LadderPlan) -> Vec<String> {
        let beyond = mode > site.mode;
        if mode == LadderMode::Off || beyond && self.allowed.mode < Some(mode) {
            return Vec::new();
        }
        site.rungs.iter().filter(|rung| !beyond || self.allowed.has(rung)).cloned().collect()
    }

    /// Whether what is wished takes an admin of the site.
    #[must_use]
    pub fn takes_admin(&self, wish: &LadderWish, site: &LadderPlan) -> bool {
        let mode = wish.mode.unwrap_or(site.mode);
        let may_have = self.may_have(mode, site);
        mode > site.mode
            && (may_have.is_empty()
                || site.rungs.iter().any(|rung| wish.has(rung) && !may_have.contains(rung)))
    }

    /// What a broadcast of the channel has.
    #[must_use]
    pub fn comes_to(&self, site: &LadderPlan) -> LadderPlan {
        let wished = self.wish.mode.unwrap_or(site.mode);
        let mode = wished.min(site.mode.max(self.allowed.mode.unwrap_or_default()));
        let mut rungs = self.may_have(mode, site);
        rungs.retain(|rung| self.wish.has(rung));
        // Without a rung nothing is made.
        let mode = if rungs.is_empty() { LadderMode::Off } else { mode };
        LadderPlan { mode, rungs }
    }
}

#[cfg(test)]
mod tests {
    use super::LadderMode::{Always, Off, OnDemand};
    use super::*;

    fn plan(mode: LadderMode, rungs: &[&str]) -> LadderPlan {
        LadderPlan { mode, rungs: rungs.iter().map(ToString::to_string).collect() }
    }

    fn wish(mode: impl Into<Option<LadderMode>>, rungs: Option<&[&str]>) -> LadderWish {
        let rungs = rungs.map(|rungs| rungs.iter().map(ToString::to_string).collect());
        LadderWish { mode: mode.into(), rungs }
    }

    const ALL: &[&str] = &["720p", "480p", "360p"];

    #[test]
    fn a_channel_that_says_nothing_has_what_the_site_makes() {
        for mode in [OnDemand, Always] {
            assert_eq!(ChannelLadder::default().comes_to(&plan(mode, ALL)), plan(mode, ALL));
        }
        assert_eq!(ChannelLadder::default().comes_to(&plan(Off, ALL)), plan(Off, &[]));
    }

    #[test]
    fn less_than_the_site_makes_is_had_for_the_asking() {
        let site = plan(Always, ALL);
        for (wanted, made) in [
            (wish(Off, None), plan(Off, &[])),
            (wish(OnDemand, None), plan(OnDemand, ALL)),
            (wish(None, Some(&["360p", "720p"])), plan(Always, &["720p", "360p"])),
            (wish(OnDemand, Some(&["360p"])), plan(OnDemand, &["360p"])),
            // The site has it no more.
            (wish(None, Some(&["1080p", "360p"])), plan(Always, &["360p"])),
            (wish(None, Some(&["1080p"])), plan(Off, &[])),
        ] {
            let ladder = ChannelLadder { wish: wanted, ..ChannelLadder::default() };
            assert!(!ladder.takes_admin(&ladder.wish, &site), "{ladder:?}");
            assert_eq!(ladder.comes_to(&site), made, "{ladder:?}");
        }
        assert_eq!(wish(None, Some(&["1080p", "360p"])).gone(&site), ["1080p"]);
    }

    #[test]
    fn more_than_the_site_makes_is_what_an_admin_allowed() {
        let site = plan(OnDemand, ALL);
        let wanted = ChannelLadder { wish: wish(Always, None), ..ChannelLadder::default() };
        assert!(wanted.takes_admin(&wanted.wish, &site));
        assert_eq!(wanted.comes_to(&site), site, "what the site makes is made");
        assert_eq!(wanted.comes_to(&plan(Off, ALL)), plan(Off, &[]));

        let allowed = wish(Always, Some(&["480p", "360p"]));
        let given = ChannelLadder { allowed, ..wanted };
        assert_eq!(given.comes_to(&site), plan(Always, &["480p", "360p"]));
        for (wanted, takes_admin) in [
            (wish(Always, None), true),
            (wish(Always, Some(&["720p"])), true),
            (wish(Always, Some(&["480p", "360p"])), false),
            (wish(Always, Some(&["360p"])), false),
            (wish(OnDemand, Some(&["720p"])), false),
            (wish(Off, None), false),
        ] {
            assert_eq!(given.takes_admin(&wanted, &site), takes_admin, "{wanted:?}");
        }
        // It is no rung of the site's any more.
        assert_eq!(given.comes_to(&plan(OnDemand, &["720p"])), plan(Off, &[]));
    }

    #[test]
    fn what_was_less_is_not_more_when_the_site_makes_less() {
        let ladder = ChannelLadder { wish: wish(OnDemand, None), ..ChannelLadder::default() };
        assert_eq!(ladder.comes_to(&plan(Always, ALL)), plan(OnDemand, ALL));
        assert_eq!(ladder.comes_to(&plan(Off, ALL)), plan(Off, &[]));
    }
}
