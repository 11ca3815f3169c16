//! `[oauth.NAME]`: one table for each provider.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::settings::{SecretText, text_or_number};

/// Longest name of a provider.
const NAME_MAX: usize = 32;

/// The providers, by the name in their addresses: `[oauth.google]`.
pub type OauthConfig = BTreeMap<String, ProviderConfig>;

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// What it speaks.
    pub kind: Kind,
    /// What the button says; the kind's own name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The client id that the provider gave this site.
    #[serde(deserialize_with = "text_or_number")]
    pub client_id: String,
    /// The secret that it gave with it. Better in the environment (`MILLRACE_OAUTH__NAME__CLIENT_SECRET`) or in
    /// `client_secret_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretText>,
    /// A file that holds the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// Of `oidc`: the issuer, `https://id.example.org/realms/main`. Of `vk`: another server than VK's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What is asked for beside `openid email profile` (`email` for VK).
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Google's OpenID Connect.
    Google,
    /// VK ID.
    Vk,
    /// OpenID Connect with discovery: Keycloak, authentik, Entra, …
    Oidc,
}

impl ProviderConfig {
    /// What the button says.
    #[must_use]
    pub fn label(&self, name: &str) -> String {
        match (&self.label, self.kind) {
            (Some(label), _) => label.clone(),
            (None, Kind::Google) => "Google".to_owned(),
            (None, Kind::Vk) => "VK ID".to_owned(),
            (None, Kind::Oidc) => name.to_owned(),
        }
    }

    /// Where the provider is.
    #[must_use]
    pub fn issuer(&self) -> &str {
        match (&self.issuer, self.kind) {
            (Some(issuer), _) => issuer.trim_end_matches('/'),
            (None, Kind::Google) => "https://accounts.google.com",
            (None, Kind::Vk) => "https://id.vk.com",
            (None, Kind::Oidc) => "",
        }
    }
}

/// Everything that is wrong: the key, the value, the remedy.
#[must_use]
pub fn validate(providers: &OauthConfig) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, provider) in providers {
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !plain || !(1..=NAME_MAX).contains(&name.len()) {
            problems
                .push(format!("oauth.{name}: use 1 to {NAME_MAX} of a-z, 0-9 and _ as the provider's name"));
        }
        if provider.client_id.is_empty() {
            problems.push(format!("oauth.{name}.client_id: is empty; copy it from the provider's console"));
        }
        if provider.client_secret.is_some() && provider.client_secret_file.is_some() {
            problems.push(format!("oauth.{name}: set client_secret or client_secret_file, not both"));
        }
        let issuer = provider.issuer();
        let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        if !issuer.starts_with("https://") && !loopback.iter().any(|start| issuer.starts_with(start)) {
            problems.push(format!(
                "oauth.{name}.issuer: is {issuer:?}; write the provider's address as https://id.example.org"
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(kind: Kind, issuer: Option<&str>) -> ProviderConfig {
        ProviderConfig {
            kind,
            label: None,
            client_id: "id".into(),
            client_secret: Some("secret".into()),
            client_secret_file: None,
            issuer: issuer.map(str::to_owned),
            scopes: Vec::new(),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let one = |name: &str, provider| validate(&OauthConfig::from([(name.to_owned(), provider)]));
        assert_eq!(one("google", provider(Kind::Google, None)), Vec::<String>::new());
        assert_eq!(one("test", provider(Kind::Oidc, Some("http://127.0.0.1:9000/"))), Vec::<String>::new());
        assert!(one("test", provider(Kind::Oidc, None))[0].contains("oauth.test.issuer"));
        assert!(one("test", provider(Kind::Oidc, Some("http://id.example.org")))[0].contains("https://"));
        assert!(one("Te/st", provider(Kind::Vk, None))[0].contains("a-z"));
        let nobody = ProviderConfig { client_id: String::new(), ..provider(Kind::Vk, None) };
        assert!(one("vk", nobody)[0].contains("client_id"));
    }

    #[test]
    fn an_id_or_a_secret_may_look_like_a_number() {
        let vk = r#"{"kind":"vk","client_id":51234567,"client_secret":42}"#;
        let vk: ProviderConfig = serde_json::from_str(vk).unwrap();
        assert_eq!((vk.client_id.as_str(), vk.client_secret.unwrap().reveal()), ("51234567", "42"));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let provider = provider(Kind::Google, None);
        assert!(!format!("{provider:?}").contains("secret\""));
        assert!(serde_json::to_string(&provider).unwrap().contains("[redacted]"));
    }
}
