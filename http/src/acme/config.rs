//! What is set about ACME.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Let's Encrypt.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Names in one certificate, as Let's Encrypt has it.
const MAX_DOMAINS: usize = 100;

/// Automatic HTTPS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcmeConfig {
    /// The names that the certificate is for, all in one. Off if empty. Who names them agrees to the terms of the
    /// directory.
    pub domains: Domains,
    /// Where the directory writes to when something is wrong with a certificate.
    pub email: Option<String>,
    /// The URL of the ACME server's directory (RFC 8555 §7.1.1).
    pub directory: String,
    /// A PEM file with the certificate that the directory's own HTTPS is trusted by, if the system does not know it.
    pub directory_ca: Option<PathBuf>,
    /// What the directory calls an account that was made with it elsewhere, if it wants one (external account binding,
    /// RFC 8555 §7.3.4).
    pub external_account: Option<String>,
    /// The file with the key that the directory gave with it, in base64url.
    pub external_account_key_file: Option<PathBuf>,
    /// How it may be proved that the domains are ours, what is tried first at the beginning.
    pub challenges: Vec<ChallengeKind>,
    /// After a failure that may pass the first new try waits so long, then twice as long each time, up to an hour. After
    /// a refusal ten times as long: directories count those.
    #[serde(with = "millrace_core::config::duration")]
    pub retry: Duration,
}

impl Default for AcmeConfig {
    fn default() -> Self {
        Self {
            domains: Domains::default(),
            email: None,
            directory: DIRECTORY.into(),
            directory_ca: None,
            external_account: None,
            external_account_key_file: None,
            challenges: vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01],
            retry: Duration::from_secs(60),
        }
    }
}

/// A way to prove that a domain is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChallengeKind {
    /// An answer at port 80 of the domain (RFC 8555 §8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// An answer in the handshake at port 443 of the domain (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        })
    }
}

/// Names, as a list, or in one text with commas between them, which is how the environment has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Domains(pub Vec<String>);

impl<'de> Deserialize<'de> for Domains {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Domains;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names of hosts, such as live.example.org,www.example.org")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Domains, E> {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                Ok(Domains(names.map(str::to_ascii_lowercase).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Domains, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element::<String>()? {
                    names.push(name.to_ascii_lowercase());
                }
                Ok(Domains(names))
            }
        }
        deserializer.deserialize_any(Names)
    }
}

impl AcmeConfig {
    /// Whether certificates come by themselves.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.domains.0.is_empty()
    }

    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for domain in &self.domains.0 {
            if domain.starts_with("*.") {
                problems.push(format!(
                    "acme.domains: {domain} needs a challenge by DNS, which Millrace does not have; name each host"
                ));
            } else if !is_domain(domain) {
                problems.push(format!(
                    "acme.domains: {domain:?} is no name of a host; write it as live.example.org, without https:// \
                     and without a port"
                ));
            }
        }
        if self.domains.0.len() > MAX_DOMAINS {
            problems.push(format!(
                "acme.domains: {} names are too many for one certificate; at most {MAX_DOMAINS}",
                self.domains.0.len()
            ));
        }
        if let Some(email) = self.email.as_ref().filter(|email| {
            let good = |part: &str| !part.is_empty() && !part.contains([' ', ',', '?', '<', '>', '@']);
            !email.split_once('@').is_some_and(|(person, host)| good(person) && good(host))
        }) {
            problems.push(format!("acme.email: {email:?} is no address; write it as you@example.org"));
        }
        if !self.directory.starts_with("https://") {
            problems.push(format!(
                "acme.directory: {:?} is no directory of an ACME server; write it as {DIRECTORY}",
                self.directory
            ));
        }
        if self.external_account.is_some() != self.external_account_key_file.is_some() {
            problems.push(
                "acme.external_account: needs acme.external_account_key_file, and that needs it; the directory gives \
                 both"
                    .into(),
            );
        }
        if self.challenges.is_empty() {
            problems.push("acme.challenges: is empty; name tls-alpn-01, http-01 or both".into());
        }
        if self.retry.is_zero() || self.retry > Duration::from_secs(3600) {
            problems.push(format!("acme.retry: must be above 0s and at most 1h, is {:?}", self.retry));
        }
        problems
    }
}

/// Whether it is a fully qualified host name (RFC 1123 §2.1) that is no address.
fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let last_is_word = name.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label) && last_is_word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_a_list_or_a_text_with_commas() {
        for value in [
            serde_json::json!("Live.example.org, www.example.org,"),
            serde_json::json!(["live.example.org", "WWW.example.org"]),
        ] {
            let read: Domains = serde_json::from_value(value).unwrap();
            assert_eq!(read.0, ["live.example.org", "www.example.org"]);
        }
        assert!(serde_json::from_value::<Domains>(serde_json::json!("")).unwrap().0.is_empty());
        let error = serde_json::from_value::<Domains>(serde_json::json!(7)).unwrap_err().to_string();
        assert!(error.contains("such as live.example.org"), "{error}");
    }

    #[test]
    fn what_no_directory_would_take_is_told_with_a_remedy() {
        let with = |change: fn(&mut AcmeConfig)| {
            let mut config =
                AcmeConfig { domains: Domains(vec!["a.example".into()]), ..AcmeConfig::default() };
            change(&mut config);
            config.validate()
        };
        assert_eq!(with(|_| {}), Vec::<String>::new());
        assert_eq!(AcmeConfig::default().validate(), Vec::<String>::new());
        let long = format!("{}.example", "a".repeat(64));
        for name in
            ["*.a.example", "https://a.example", "a.example:443", "localhost", "192.0.2.7", "-a.b", &long]
        {
            let config = AcmeConfig { domains: Domains(vec![name.into()]), ..AcmeConfig::default() };
            let problems = config.validate();
            assert!(problems.len() == 1 && problems[0].contains(name), "{name}: {problems:?}");
        }
        for (problems, key) in [
            (with(|config| config.email = Some("me".into())), "acme.email"),
            (with(|config| config.directory = "http://ca".into()), "acme.directory"),
            (with(|config| config.external_account = Some("a".into())), "acme.external_account"),
            (with(|config| config.external_account_key_file = Some("a".into())), "acme.external_account"),
            (with(|config| config.challenges.clear()), "acme.challenges"),
            (with(|config| config.retry = Duration::ZERO), "acme.retry"),
            (with(|config| config.domains.0 = vec!["a.example".into(); 101]), "acme.domains"),
        ] {
            assert!(problems.len() == 1 && problems[0].starts_with(key), "{key}: {problems:?}");
        }
    }
}
