//! `[accounts.limits]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limiter::Rule;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How often people may try to get in. Addresses are counted as one IPv4 address or one IPv6 /64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Passwords and codes from one address: 30 at once (a school has one address), then one every 10 seconds.
    pub login_address: RuleConfig,
    /// Wrong passwords for one account: 10 at once, then one a minute.
    pub login_account: RuleConfig,
    /// Wrong one-time codes for one account: 10 at once, then one a minute.
    pub code_account: RuleConfig,
    /// Registrations from one address: 10 at once, then one every 6 minutes.
    pub register_address: RuleConfig,
    /// Links that are tried or asked for from one address: 10 at once, then one a minute.
    pub link_address: RuleConfig,
    /// Mails that are asked for to one account: 3 at once, then one in 20 minutes.
    pub mail_account: RuleConfig,
    /// Mails that are asked for to one e-mail address, by whatever account: 5 at once, then one in 20 minutes.
    pub mail_recipient: RuleConfig,
    /// Beats of viewers from one address: 2,000 at once, then 1,000 a second. It bounds how many viewers one machine can
    /// make up; one that really watches beats every 2 to 28 seconds.
    pub beat_address: RuleConfig,
    /// The longest lockout. Default 1 h, 1 s to 7 days.
    #[serde(with = "millrace_core::config::duration")]
    pub longest_lockout: Duration,
    /// Addresses or accounts that each limit remembers, about 100 bytes each; the harmless are forgotten first. Default
    /// 20,000, 100 to 1,000,000.
    pub remembered: usize,
}

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// Tries at once, at most 1,000,000; 0 turns the limit off.
    pub burst: u32,
    /// How long until one more is free. 1 ms to 24 h.
    #[serde(with = "millrace_core::config::duration")]
    pub refill: Duration,
    /// How long who tries more often is locked out at first; each further time twice as long. 0 s is no lockout but the
    /// wait for the next try; at most the longest lockout.
    #[serde(with = "millrace_core::config::duration")]
    pub lockout: Duration,
}

impl Default for RuleConfig {
    fn default() -> Self {
        Self { burst: 10, refill: MINUTE, lockout: MINUTE }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            login_address: RuleConfig { burst: 30, refill: 10 * SECOND, lockout: 30 * SECOND },
            login_account: RuleConfig::default(),
            code_account: RuleConfig::default(),
            register_address: RuleConfig { burst: 10, refill: 6 * MINUTE, lockout: Duration::ZERO },
            link_address: RuleConfig::default(),
            mail_account: RuleConfig { burst: 3, refill: 20 * MINUTE, lockout: Duration::ZERO },
            mail_recipient: RuleConfig { burst: 5, refill: 20 * MINUTE, lockout: Duration::ZERO },
            beat_address: RuleConfig { burst: 2_000, refill: SECOND / 1000, lockout: Duration::ZERO },
            longest_lockout: HOUR,
            remembered: 20_000,
        }
    }
}

impl RuleConfig {
    /// The rule; none if it is off.
    pub(super) fn rule(self, longest_lockout: Duration) -> Option<Rule> {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let Self { burst, refill, lockout } = self;
        (burst > 0).then(|| Rule {
            burst,
            refill_ms: ms(refill).max(1),
            lockout_ms: ms(lockout),
            lockout_max_ms: ms(longest_lockout),
        })
    }
}

impl LimitsConfig {
    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, rule) in [
            ("login_address", self.login_address),
            ("login_account", self.login_account),
            ("code_account", self.code_account),
            ("register_address", self.register_address),
            ("link_address", self.link_address),
            ("mail_account", self.mail_account),
            ("mail_recipient", self.mail_recipient),
            ("beat_address", self.beat_address),
        ] {
            let RuleConfig { burst, refill, lockout } = rule;
            let key = format!("accounts.limits.{key}");
            if burst > 1_000_000 {
                problems.push(format!("{key}.burst is {burst}; set it to 0 (off) to 1000000"));
            }
            if !(SECOND / 1000..=24 * HOUR).contains(&refill) {
                problems.push(format!("{key}.refill: must be 1ms to 24h, is {refill:?}"));
            }
            if lockout > self.longest_lockout {
                problems.push(format!(
                    "{key}.lockout: must be at most accounts.limits.longest_lockout, {:?}, is {lockout:?}",
                    self.longest_lockout
                ));
            }
        }
        if !(SECOND..=7 * 24 * HOUR).contains(&self.longest_lockout) {
            problems.push(format!(
                "accounts.limits.longest_lockout: must be 1s to 7days, is {:?}",
                self.longest_lockout
            ));
        }
        if !(100..=1_000_000).contains(&self.remembered) {
            problems
                .push(format!("accounts.limits.remembered is {}; set it to 100 to 1000000", self.remembered));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_all_at_once() {
        assert_eq!(LimitsConfig::default().validate(), Vec::<String>::new());
        let wrong = LimitsConfig {
            login_account: RuleConfig { burst: 2_000_000, refill: Duration::ZERO, lockout: 2 * HOUR },
            remembered: 1,
            ..LimitsConfig::default()
        };
        let problems = wrong.validate().join("\n");
        for key in ["login_account.burst", "login_account.refill", "login_account.lockout", "remembered is 1"]
        {
            assert!(problems.contains(&format!("accounts.limits.{key}")), "{problems}");
        }
    }
}
