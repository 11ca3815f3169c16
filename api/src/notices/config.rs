//! `[notices]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How people hear of broadcasts of channels that they follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoticesConfig {
    /// How long a notice can be read. Default 14 days, 1 hour to 365 days.
    #[serde(with = "millrace_core::config::duration")]
    pub keep: Duration,
    /// Notices of the whole site, newest first, that a process holds in memory and that can be listed; about 500 bytes
    /// each. Default 20,000, 100 to 1,000,000.
    pub max_recent: usize,
    /// Whether notices are also pushed to browsers (Web Push). Default true. It needs a way out to the push services of
    /// the browsers' makers.
    pub push: bool,
    /// Browsers of one person that notices are pushed to. Default 10, 1 to 100.
    pub max_devices: usize,
    /// How long after a broadcast began its notice is still pushed, and kept by push services for a device that is off.
    /// Default 1 hour, 1 minute to 1 day.
    #[serde(with = "millrace_core::config::duration")]
    pub push_lifetime: Duration,
    /// Pushes on their way at once. Default 32, 1 to 1,000.
    pub push_concurrency: usize,
    /// Pushes that wait for another attempt, because a push service asked for time; more are given up. Default 1,000, 0
    /// to 100,000.
    pub push_waiting: usize,
    /// Whether browsers may name push services that are not on the public internet or not https. Default false: else
    /// whoever has an account could send requests into the server's own network. For tests and closed networks.
    pub push_private_services: bool,
    /// How push services reach who runs this server, `mailto:…` or `https://…`; `public_url` if absent. Some of them want
    /// one.
    pub push_contact: Option<String>,
}

impl Default for NoticesConfig {
    fn default() -> Self {
        Self {
            keep: 14 * DAY,
            max_recent: 20_000,
            push: true,
            max_devices: 10,
            push_lifetime: Duration::from_secs(3600),
            push_concurrency: 32,
            push_waiting: 1_000,
            push_private_services: false,
            push_contact: None,
        }
    }
}

impl NoticesConfig {
    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value, least, most) in [
            ("max_recent", self.max_recent, 100, 1_000_000),
            ("max_devices", self.max_devices, 1, 100),
            ("push_concurrency", self.push_concurrency, 1, 1_000),
            ("push_waiting", self.push_waiting, 0, 100_000),
        ] {
            if value < least || value > most {
                problems.push(format!("notices.{key} is {value}; set it to {least} to {most}"));
            }
        }
        if !(Duration::from_secs(3600)..=365 * DAY).contains(&self.keep) {
            problems.push(format!("notices.keep: must be 1h to 365days, is {:?}", self.keep));
        }
        if !(Duration::from_secs(60)..=DAY).contains(&self.push_lifetime) {
            problems.push(format!("notices.push_lifetime: must be 1m to 1day, is {:?}", self.push_lifetime));
        }
        if let Some(contact) = &self.push_contact
            && !(contact.starts_with("mailto:") || contact.starts_with("https://"))
        {
            problems.push(format!(
                "notices.push_contact: {contact:?} is no contact; write it as mailto:admin@example.org or as an https \
                 address"
            ));
        }
        problems
    }

    /// [`Self::keep`] in milliseconds.
    #[must_use]
    pub fn keep_ms(&self) -> i64 {
        millis(self.keep)
    }

    /// [`Self::push_lifetime`] in milliseconds.
    #[must_use]
    pub fn push_lifetime_ms(&self) -> i64 {
        millis(self.push_lifetime)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds_and_all_problems_are_named_at_once() {
        assert_eq!(NoticesConfig::default().validate(), Vec::<String>::new());
        let wrong = NoticesConfig {
            keep: Duration::from_secs(1),
            max_recent: 0,
            max_devices: 0,
            push_lifetime: 2 * DAY,
            push_concurrency: 0,
            push_waiting: 100_001,
            push_contact: Some("me".to_owned()),
            ..NoticesConfig::default()
        };
        let problems = wrong.validate();
        for key in [
            "keep",
            "max_recent",
            "max_devices",
            "push_lifetime",
            "push_concurrency",
            "push_waiting",
            "push_contact",
        ] {
            assert!(
                problems.iter().any(|problem| problem.starts_with(&format!("notices.{key}"))),
                "{key}: {problems:?}"
            );
        }
        assert_eq!(problems.len(), 7);
    }
}
