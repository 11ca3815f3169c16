//! `[webhooks]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How programs of channel owners are told what happens on their channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Webhooks of one channel; with 0 there are none on this site. Default 5, 0 to 50.
    pub max_per_channel: usize,
    /// Receivers that a process delivers to at once. Default 64, 1 to 1,000.
    pub concurrency: usize,
    /// How long a receiver may take to answer. Default 10 s, 1 s to 30 s.
    #[serde(with = "millrace_core::config::duration")]
    pub timeout: Duration,
    /// Whether receivers may be off the public internet, not https, or on a port of their own. Default false: else whoever
    /// has a channel could send requests into the server's own network. For tests and closed networks.
    pub private_receivers: bool,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            max_per_channel: 5,
            concurrency: 64,
            timeout: Duration::from_secs(10),
            private_receivers: false,
        }
    }
}

impl WebhooksConfig {
    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value, least, most) in
            [("max_per_channel", self.max_per_channel, 0, 50), ("concurrency", self.concurrency, 1, 1_000)]
        {
            if value < least || value > most {
                problems.push(format!("webhooks.{key} is {value}; set it to {least} to {most}"));
            }
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(30)).contains(&self.timeout) {
            problems.push(format!("webhooks.timeout: must be 1s to 30s, is {:?}", self.timeout));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds_and_all_problems_are_named_at_once() {
        assert_eq!(WebhooksConfig::default().validate(), Vec::<String>::new());
        let wrong = WebhooksConfig {
            max_per_channel: 51,
            concurrency: 0,
            timeout: Duration::ZERO,
            private_receivers: false,
        };
        let problems = wrong.validate();
        for (problem, key) in problems.iter().zip(["max_per_channel", "concurrency", "timeout"]) {
            assert!(problem.starts_with(&format!("webhooks.{key}")), "{problem}");
        }
        assert_eq!(problems.len(), 3);
    }
}
