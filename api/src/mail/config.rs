//! `[mail]`.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use oauth2::url::{Host, Url};
use serde::{Deserialize, Serialize};

use crate::settings::SecretText;

/// How mail leaves this site. Nothing is sent unless `url` is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// The server that takes our mail: `smtps://HOST` (port 465, TLS from the first byte) or `smtp://HOST` (port 587,
    /// STARTTLS, which must succeed). To a server on this machine `smtp` is not encrypted; to another one it is not
    /// with `?tls=off`, which is for networks of one's own. Off if absent.
    pub url: Option<String>,
    /// Who the mail is from: `Millrace <noreply@example.org>`. Needed with `url`.
    pub from: Option<String>,
    /// The name to sign in to the server with; no signing in if absent.
    pub username: Option<String>,
    /// The password to it. Better in the environment (`MILLRACE_MAIL__PASSWORD`) or in `password_file`.
    pub password: Option<SecretText>,
    /// A file that holds the password.
    pub password_file: Option<PathBuf>,
    /// How long the server may take for one mail. Default 30 s, 1 s to 5 min.
    #[serde(with = "millrace_core::config::duration")]
    pub timeout: Duration,
    /// How long after a failure a mail is tried again; each further wait is four times as long, up to 10 minutes.
    /// Default 5 s, 10 ms to 10 min.
    #[serde(with = "millrace_core::config::duration")]
    pub retry: Duration,
    /// When a mail is given up. Default 1 h, as long as a link to a new password works; 1 s to 24 h.
    #[serde(with = "millrace_core::config::duration")]
    pub give_up: Duration,
    /// Mails that wait at once. More are refused: people are told to come again, notices are dropped. Default 1,000, 1 to
    /// 100,000; a few hundred bytes each.
    pub max_waiting: usize,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            url: None,
            from: None,
            username: None,
            password: None,
            password_file: None,
            timeout: Duration::from_secs(30),
            retry: Duration::from_secs(5),
            give_up: Duration::from_secs(3600),
            max_waiting: 1_000,
        }
    }
}

/// Where mail goes, read from `url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS, or no mail.
    StartTls,
    /// In the clear.
    Nothing,
}

impl Server {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let shape = "write it as smtps://mail.example.org or smtp://mail.example.org:587";
        let parsed = Url::parse(url).map_err(|_| format!("is no address; {shape}"))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err("holds a name or a password; set mail.username and mail.password instead".into());
        }
        let (host, local) = match parsed.host() {
            // A scheme that browsers do not know leaves numbers as names.
            Some(Host::Domain(name)) => {
                let address = name.parse::<std::net::IpAddr>();
                (name.to_owned(), name == "localhost" || address.is_ok_and(|address| address.is_loopback()))
            }
            Some(Host::Ipv4(address)) => (address.to_string(), address.is_loopback()),
            Some(Host::Ipv6(address)) => (address.to_string(), address.is_loopback()),
            None => return Err(format!("names no host; {shape}")),
        };
        let tls = parsed.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        let (port, security) = match (parsed.scheme(), tls.as_deref()) {
            ("smtps", None | Some("required")) => (465, Security::Tls),
            ("smtp", Some("required")) => (587, Security::StartTls),
            ("smtp", Some("off")) => (587, Security::Nothing),
            ("smtp", None) if local => (587, Security::Nothing),
            ("smtp", None) => (587, Security::StartTls),
            ("smtp" | "smtps", Some(_)) => return Err("has another tls than required or off".into()),
            _ => return Err(format!("is neither smtp:// nor smtps://; {shape}")),
        };
        Ok(Self { host, port: parsed.port().unwrap_or(port), security })
    }
}

impl MailConfig {
    /// Whether mail is sent at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.url.is_some()
    }

    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self, public_url: Option<&str>) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(url) = &self.url {
            // The URL itself may hold a password.
            problems.extend(Server::parse(url).err().map(|why| format!("mail.url: {why}")));
            if public_url.is_none() {
                problems.push(
                    "public_url: is missing; links in mails need it, so write it as https://live.example.org"
                        .into(),
                );
            }
            match &self.from {
                None => problems.push(
                    "mail.from: is missing; write who mail is from, Millrace <noreply@example.org>".into(),
                ),
                Some(from) if from.parse::<Mailbox>().is_err() => problems.push(format!(
                    "mail.from: {from:?} is no sender; write it as Millrace <noreply@example.org>"
                )),
                Some(_) => {}
            }
        } else if self.from.is_some() || self.username.is_some() {
            problems.push("mail.url: is missing; without it no mail is sent".into());
        }
        if self.password.is_some() && self.password_file.is_some() {
            problems.push("mail: set password or password_file, not both".into());
        }
        let has_password = self.password.is_some() || self.password_file.is_some();
        if self.username.is_some() != has_password {
            problems.push("mail: set username and password together, or neither".into());
        }
        let second = Duration::from_secs(1);
        for (key, value, least, most) in [
            ("timeout", self.timeout, second, 300 * second),
            ("retry", self.retry, second / 100, 600 * second),
            ("give_up", self.give_up, second, 24 * 3600 * second),
        ] {
            if !(least..=most).contains(&value) {
                problems.push(format!("mail.{key}: must be {least:?} to {most:?}, is {value:?}"));
            }
        }
        if !(1..=100_000).contains(&self.max_waiting) {
            problems.push(format!("mail.max_waiting is {}; set it to 1 to 100000", self.max_waiting));
        }
        problems
    }

    /// The password, wherever it is.
    pub(super) fn read_password(&self) -> std::io::Result<Option<String>> {
        Ok(match (&self.password, &self.password_file) {
            (Some(password), _) => Some(password.reveal().to_owned()),
            (None, Some(path)) => Some(std::fs::read_to_string(path)?.trim().to_owned()),
            (None, None) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: Option<&str> = Some("https://live.example.org");

    fn on(url: &str) -> MailConfig {
        let from = Some("Millrace <noreply@example.org>".to_owned());
        MailConfig { url: Some(url.to_owned()), from, ..MailConfig::default() }
    }

    #[test]
    fn a_password_never_goes_in_the_clear_to_another_machine_unless_it_is_said() {
        let security = |url: &str| Server::parse(url).unwrap().security;
        assert_eq!(security("smtps://mail.example.org"), Security::Tls);
        assert_eq!(security("smtp://mail.example.org"), Security::StartTls);
        assert_eq!(security("smtp://10.0.0.1"), Security::StartTls);
        assert_eq!(security("smtp://10.0.0.1?tls=off"), Security::Nothing);
        for local in ["smtp://127.0.0.1:2525", "smtp://localhost", "smtp://[::1]:25"] {
            assert_eq!(security(local), Security::Nothing, "{local}");
        }
        assert_eq!(security("smtp://localhost?tls=required"), Security::StartTls);
        assert_eq!(Server::parse("smtps://mail.example.org").unwrap().port, 465);
        assert_eq!(Server::parse("smtp://mail.example.org:26").unwrap().port, 26);
    }

    #[test]
    fn what_is_wrong_is_named_and_secrets_are_not() {
        assert_eq!(MailConfig::default().validate(None), Vec::<String>::new());
        assert_eq!(on("smtps://mail.example.org").validate(SITE), Vec::<String>::new());
        let wrong = |config: MailConfig, expected: &str| {
            let problems = config.validate(SITE).join("\n");
            assert!(problems.contains(expected), "{problems}");
            assert!(!problems.contains("hunter2"), "{problems}");
        };
        wrong(on("mail.example.org"), "mail.url: is no address");
        wrong(on("http://mail.example.org"), "neither smtp:// nor smtps://");
        wrong(on("smtp://ada:hunter2@mail.example.org"), "mail.username");
        wrong(on("smtp://mail.example.org?tls=maybe"), "required or off");
        wrong(MailConfig { from: None, ..on("smtps://x.org") }, "mail.from: is missing");
        wrong(MailConfig { from: Some("me".into()), ..on("smtps://x.org") }, "mail.from: \"me\"");
        wrong(MailConfig { username: Some("ada".into()), ..on("smtps://x.org") }, "together");
        wrong(MailConfig { password: Some("hunter2".into()), ..on("smtps://x.org") }, "together");
        wrong(MailConfig { url: None, ..on("") }, "mail.url: is missing");
        wrong(MailConfig { max_waiting: 0, ..on("smtps://x.org") }, "mail.max_waiting is 0");
        wrong(MailConfig { retry: Duration::ZERO, ..on("smtps://x.org") }, "mail.retry");
        assert!(on("smtps://x.org").validate(None)[0].contains("public_url"));
        let shown = format!("{:?}", MailConfig { password: Some("hunter2".into()), ..on("smtps://x.org") });
        assert!(!shown.contains("hunter2"));
    }
}
