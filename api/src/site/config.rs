//! `[site]`.

use serde::{Deserialize, Serialize};

/// Limits of what admins and viewers write about the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteConfig {
    /// Categories that the owner may list. Default 200, 1 to 1,000.
    pub max_categories: usize,
    /// Reports that one person may make in a day (UTC). Default 20, 1 to 1,000.
    pub max_reports_per_day: usize,
    /// Emotes that every room of chat has. Default 100, 0 to 500.
    pub max_emotes: usize,
}

impl Default for SiteConfig {
    fn default() -> Self {
        Self { max_categories: 200, max_reports_per_day: 20, max_emotes: 100 }
    }
}

impl SiteConfig {
    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        [
            ("max_categories", self.max_categories, 1, 1_000),
            ("max_reports_per_day", self.max_reports_per_day, 1, 1_000),
            ("max_emotes", self.max_emotes, 0, 500),
        ]
        .into_iter()
        .filter(|(_, value, least, most)| value < least || value > most)
        .map(|(key, value, least, most)| format!("site.{key} is {value}; set it to {least} to {most}"))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds() {
        assert_eq!(SiteConfig::default().validate(), Vec::<String>::new());
        let wrong = SiteConfig { max_categories: 0, ..SiteConfig::default() };
        assert_eq!(wrong.validate(), ["site.max_categories is 0; set it to 1 to 1000"]);
    }
}
