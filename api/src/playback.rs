//! Addresses at which a broadcast can be fetched: for ever where everybody may, for some minutes where not.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use millrace_core::ids::ChannelName;
use millrace_core::playback::{Access, PlaybackKeys, SecretsError};
use millrace_store::{Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::auth::site_secret::site_secret;

/// `[playback]`: what followers-only and private channels are watched by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlaybackConfig {
    /// How long an address works that was handed out. Default 5 minutes, 10 s to 1 hour. Players of ours fetch the next
    /// one in time; an address that is taken elsewhere stops working after this.
    #[serde(with = "millrace_core::config::duration")]
    pub token_lifetime: Duration,
    /// A file with the secrets that sign playback tokens, one a line of at least 32 characters, the newest first: it
    /// signs, all verify. For proxies and CDNs that check tokens before their cache. Absent by default: the site makes
    /// a secret and keeps it in its store.
    pub secret_file: Option<PathBuf>,
}

impl Default for PlaybackConfig {
    fn default() -> Self {
        Self { token_lifetime: Duration::from_secs(300), secret_file: None }
    }
}

impl PlaybackConfig {
    /// Everything that is wrong: the key, the value, the remedy.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let lifetime = self.token_lifetime;
        if !(Duration::from_secs(10)..=Duration::from_secs(3600)).contains(&lifetime) {
            problems.push(format!("playback.token_lifetime: must be 10s to 1h, is {lifetime:?}"));
        }
        if let Err(error) = self.read() {
            problems.push(format!("playback.secret_file: {}", crate::error::chain(&error)));
        }
        problems
    }

    fn read(&self) -> Result<Option<PlaybackKeys>, PlaybackError> {
        let Some(path) = &self.secret_file else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| PlaybackError::Unreadable { path: path.clone(), source })?;
        let keys = PlaybackKeys::parse(&text);
        keys.map(Some).map_err(|source| PlaybackError::Unusable { path: path.clone(), source })
    }
}

/// There is nothing to sign playback tokens with.
#[derive(Debug, thiserror::Error)]
pub enum PlaybackError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no good secrets.
    #[error("{} {source}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why; never what it holds.
        #[source]
        source: SecretsError,
    },
    /// The store did not give its secret.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a broadcast can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybackLink {
    /// The path of its multivariant playlist.
    pub url: String,
    /// When it stops working, if it does.
    pub expires_at: Option<Timestamp>,
}

impl PlaybackLink {
    /// Where the thumbnail is that was made at this moment, for whom the address is. The origin does not look at the moment:
    /// whoever has the picture of this address has the newest.
    #[must_use]
    pub fn thumbnail(&self, made_at: Timestamp) -> Option<String> {
        Some(format!("{}thumb.jpg?v={}", self.channel()?, made_at.as_second()))
    }

    /// Where the storyboard is, for whom the address is.
    #[must_use]
    pub fn storyboard(&self) -> Option<String> {
        Some(format!("{}storyboard.vtt", self.channel()?))
    }

    /// What the addresses of a channel begin with.
    fn channel(&self) -> Option<&str> {
        self.url.strip_suffix("index.m3u8")
    }
}

/// Hands out addresses. Clones share the secrets.
#[derive(Debug, Clone)]
pub struct PlaybackLinks {
    keys: PlaybackKeys,
    lifetime: Duration,
}

impl PlaybackLinks {
    /// With the secrets of the file, or the one of this store.
    ///
    /// # Errors
    /// [`PlaybackError`]
    pub async fn open(config: &PlaybackConfig, store: &Store) -> Result<Self, PlaybackError> {
        let keys = match config.read()? {
            Some(keys) => keys,
            None => {
                let secret = URL_SAFE_NO_PAD.encode(site_secret(store, "playback").await?);
                PlaybackKeys::parse(&secret).expect("43 characters on one line are a secret")
            }
        };
        Ok(Self { keys, lifetime: config.token_lifetime })
    }

    /// What verifies the tokens.
    #[must_use]
    pub fn keys(&self) -> &PlaybackKeys {
        &self.keys
    }

    /// Where somebody who may watch `channel` fetches it from `now_ms` on. The caller has checked that they may.
    #[must_use]
    pub fn link(&self, channel: &ChannelName, access: Access, now_ms: i64) -> PlaybackLink {
        let path = format!("/live/{channel}/index.m3u8");
        if access == Access::Open {
            return PlaybackLink { url: path, expires_at: None };
        }
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires_at = (now_ms / 1000).saturating_add(lifetime);
        let token = self.keys.sign(channel, expires_at);
        PlaybackLink { url: format!("/t/{token}{path}"), expires_at: Timestamp::from_second(expires_at).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::testing::Site;

    const NOW_MS: i64 = 1_790_000_000_500;

    #[tokio::test]
    async fn what_everybody_may_watch_has_one_address_and_the_rest_one_for_some_minutes() {
        let site = Site::new().await;
        let links = PlaybackLinks::open(&PlaybackConfig::default(), &site.store).await.unwrap();
        let studio: ChannelName = "studio".parse().unwrap();
        let open = links.link(&studio, Access::Open, NOW_MS);
        assert_eq!(open, PlaybackLink { url: "/live/studio/index.m3u8".into(), expires_at: None });
        let link = links.link(&studio, Access::Token, NOW_MS);
        let token = link.url.strip_prefix("/t/").unwrap().strip_suffix("/live/studio/index.m3u8").unwrap();
        assert_eq!(link.expires_at, Timestamp::from_second(NOW_MS / 1000 + 300).ok());
        let made_at = Timestamp::from_second(17).unwrap();
        assert_eq!(open.thumbnail(made_at).unwrap(), "/live/studio/thumb.jpg?v=17");
        assert_eq!(link.thumbnail(made_at).unwrap(), format!("/t/{token}/live/studio/thumb.jpg?v=17"));
        assert_eq!(open.storyboard().unwrap(), "/live/studio/storyboard.vtt");
        assert_eq!(link.storyboard().unwrap(), format!("/t/{token}/live/studio/storyboard.vtt"));
        // Another process of this site, on the same store, takes it.
        let other = PlaybackLinks::open(&PlaybackConfig::default(), &site.store).await.unwrap();
        assert_eq!(other.keys().verify(token, &studio, NOW_MS / 1000), Ok(300));
        let elsewhere =
            PlaybackLinks::open(&PlaybackConfig::default(), &Site::new().await.store).await.unwrap();
        elsewhere.keys().verify(token, &studio, NOW_MS / 1000).unwrap_err();
    }

    #[tokio::test]
    async fn a_file_of_secrets_signs_with_its_first_and_what_is_wrong_with_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets");
        let config = PlaybackConfig { secret_file: Some(path.clone()), ..PlaybackConfig::default() };
        let problems = config.validate();
        assert!(problems[0].starts_with("playback.secret_file: cannot read"), "{problems:?}");
        std::fs::write(&path, "hunter2\n").unwrap();
        let problems = config.validate();
        assert!(problems[0].contains("line 1 is too short"), "{problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
        let secret = "0123456789abcdef0123456789abcdef";
        std::fs::write(&path, secret).unwrap();
        assert_eq!(config.validate(), Vec::<String>::new());
        let site = Site::new().await;
        let links = PlaybackLinks::open(&config, &site.store).await.unwrap();
        let studio: ChannelName = "studio".parse().unwrap();
        let token = links.keys().sign(&studio, 10);
        assert_eq!(PlaybackKeys::parse(secret).unwrap().verify(&token, &studio, 9), Ok(1));
        let wrong = PlaybackConfig { token_lifetime: Duration::from_secs(9), ..PlaybackConfig::default() };
        assert_eq!(wrong.validate().len(), 1);
    }
}
