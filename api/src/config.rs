//! `[accounts]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::limits_config::LimitsConfig;
use crate::network::Network;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Who gets in, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountsConfig {
    /// Who may register. Default `open`.
    pub registration: Registration,
    /// Whether a new account may have channels at once; else an admin makes it a streamer. Default true.
    pub new_accounts_stream: bool,
    /// How long a browser that does not come back stays signed in. Default 30 days, 1 hour to 400 days (browsers keep
    /// no cookie longer).
    #[serde(with = "millrace_core::config::duration")]
    pub session_lifetime: Duration,
    /// Reverse proxies whose `X-Forwarded-For` is believed, by address or network; limits per address count the address
    /// it names. Empty by default: a header that anybody can send is no address.
    pub trusted_proxies: Vec<Network>,
    /// For how long after a provider has said who sits there the person may do what else takes the password: set one,
    /// turn the second factor off, delete the account. Default 10 min, 1 min to 1 h.
    #[serde(with = "millrace_core::config::duration")]
    pub confirmed_for: Duration,
    /// Accounts of providers that one person may link. Default 20, 1 to 100.
    pub max_identities: usize,
    /// How often people may try to get in.
    pub limits: LimitsConfig,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Everybody.
    Open,
    /// Who has an invitation of an admin.
    Invite,
    /// Nobody; admins make accounts.
    Closed,
}

impl Default for AccountsConfig {
    fn default() -> Self {
        Self {
            registration: Registration::Open,
            new_accounts_stream: true,
            session_lifetime: 30 * DAY,
            trusted_proxies: Vec::new(),
            confirmed_for: Duration::from_secs(600),
            max_identities: 20,
            limits: LimitsConfig::default(),
        }
    }
}

impl AccountsConfig {
    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = self.limits.validate();
        let lifetime = self.session_lifetime;
        if !(Duration::from_secs(3600)..=400 * DAY).contains(&lifetime) {
            problems.push(format!("accounts.session_lifetime: must be 1h to 400days, is {lifetime:?}"));
        }
        let minute = Duration::from_secs(60);
        if !(minute..=60 * minute).contains(&self.confirmed_for) {
            problems.push(format!("accounts.confirmed_for: must be 1m to 1h, is {:?}", self.confirmed_for));
        }
        if !(1..=100).contains(&self.max_identities) {
            problems.push(format!("accounts.max_identities is {}; set it to 1 to 100", self.max_identities));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_all_at_once() {
        assert_eq!(AccountsConfig::default().validate(), Vec::<String>::new());
        let wrong = AccountsConfig {
            session_lifetime: Duration::ZERO,
            confirmed_for: Duration::ZERO,
            max_identities: 0,
            ..AccountsConfig::default()
        };
        let problems = wrong.validate().join("\n");
        for key in ["session_lifetime", "confirmed_for", "max_identities is 0"] {
            assert!(problems.contains(&format!("accounts.{key}")), "{problems}");
        }
    }
}
