//! Who may fetch the media of a channel: everybody, or who has a playback token.
//!
//! A playback token is a JSON Web Token (RFC 7519) signed with HMAC-SHA-256 (`HS256`, RFC 7518 §3.2), which every proxy
//! and CDN that runs a few lines of code can check: `aud` is [`AUDIENCE`], `sub` the channel, `exp` its end. It stands
//! in front of the path, `/t/{token}/live/{channel}/…`, so that relative addresses in playlists keep it. Checking one
//! asks nobody.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::ids::ChannelName;

/// `aud` of playback tokens.
pub const AUDIENCE: &str = "millrace:playback";
/// `iss` of playback tokens.
pub const ISSUER: &str = "millrace";
/// Shortest secret, in bytes (RFC 7518 §3.2: as long as the hash).
pub const SECRET_MIN_BYTES: usize = 32;
/// Secrets that verify at once: the one that signs, and those before it.
pub const SECRETS_MAX: usize = 4;
/// Longest text that can be a token. Ours have about 220 characters.
pub const TOKEN_MAX_BYTES: usize = 512;

/// Whether the media of a channel needs a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Whoever has the address.
    Open,
    /// Who has a token. What is not known is not open.
    #[default]
    Token,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not signed by this site, or for another channel.
    #[error("the playback token is not one of this site for this channel")]
    Invalid,
    /// It was good once.
    #[error("the playback token has expired")]
    Expired,
}

/// The secrets cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// There is none.
    #[error("holds no secret; write one of at least {SECRET_MIN_BYTES} random characters on its first line")]
    None,
    /// One can be guessed.
    #[error(
        "line {line} is too short for a secret; use at least {SECRET_MIN_BYTES} random characters, as `openssl rand \
         -base64 48` makes them"
    )]
    Short {
        /// Counted from 1.
        line: usize,
    },
    /// More than are ever looked at.
    #[error("holds more than {SECRETS_MAX} secrets; remove the oldest, at the end")]
    Many,
}

/// The claims of a token.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    /// Seconds since 1970.
    exp: i64,
}

/// The secrets that sign and verify playback tokens. Clones share them.
#[derive(Clone)]
pub struct PlaybackKeys(Arc<Keys>);

struct Keys {
    signing: EncodingKey,
    /// That of `signing` first.
    verifying: Vec<DecodingKey>,
    header: Header,
    validation: Validation,
}

impl fmt::Debug for PlaybackKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlaybackKeys")
    }
}

impl PlaybackKeys {
    /// One secret a line, the newest first: it signs, all verify. Empty lines count for nothing.
    ///
    /// # Errors
    /// [`SecretsError`]
    pub fn parse(text: &str) -> Result<Self, SecretsError> {
        let mut secrets = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            match line.trim() {
                "" => {}
                secret if secret.len() < SECRET_MIN_BYTES => {
                    return Err(SecretsError::Short { line: number });
                }
                secret => secrets.push(secret.as_bytes()),
            }
        }
        let newest = secrets.first().ok_or(SecretsError::None)?;
        if secrets.len() > SECRETS_MAX {
            return Err(SecretsError::Many);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.required_spec_claims = ["exp", "aud", "iss", "sub"].map(str::to_owned).into();
        // The clock is an argument here.
        validation.validate_exp = false;
        Ok(Self(Arc::new(Keys {
            signing: EncodingKey::from_secret(newest),
            verifying: secrets.iter().map(|secret| DecodingKey::from_secret(secret)).collect(),
            header: Header::new(Algorithm::HS256),
            validation,
        })))
    }

    /// A token that opens `channel` until `expires_at`, in seconds since 1970.
    ///
    /// # Panics
    /// Never: the claims are what JSON can say.
    #[must_use]
    pub fn sign(&self, channel: &ChannelName, expires_at: i64) -> String {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: channel.to_string(),
            exp: expires_at,
        };
        jsonwebtoken::encode(&self.0.header, &claims, &self.0.signing)
            .expect("our claims are JSON and HMAC takes every key")
    }

    /// Checks that `token` opens `channel` at `now`, in seconds since 1970; answers how many seconds it still does, at
    /// least 1.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn verify(&self, token: &str, channel: &ChannelName, now: i64) -> Result<u64, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::Invalid);
        }
        let mut verifying = self.0.verifying.iter();
        let claims = verifying
            .find_map(|key| jsonwebtoken::decode::<Claims>(token, key, &self.0.validation).ok())
            .map(|token| token.claims)
            .filter(|claims| claims.sub == channel.as_str())
            .ok_or(TokenError::Invalid)?;
        match u64::try_from(claims.exp.saturating_sub(now)) {
            Ok(left) if left > 0 => Ok(left),
            _ => Err(TokenError::Expired),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_790_000_000;
    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn channel(name: &str) -> ChannelName {
        name.parse().unwrap()
    }

    #[test]
    fn a_token_opens_one_channel_until_it_expires() {
        let keys = PlaybackKeys::parse(NEW).unwrap();
        let token = keys.sign(&channel("studio"), NOW + 60);
        assert_eq!(keys.verify(&token, &channel("studio"), NOW), Ok(60));
        assert_eq!(keys.verify(&token, &channel("studio"), NOW + 59), Ok(1));
        assert_eq!(keys.verify(&token, &channel("studio"), NOW + 60), Err(TokenError::Expired));
        assert_eq!(keys.verify(&token, &channel("studio"), i64::MAX), Err(TokenError::Expired));
        assert_eq!(keys.verify(&token, &channel("other"), NOW), Err(TokenError::Invalid));
        assert!(token.len() < TOKEN_MAX_BYTES / 2, "{}", token.len());
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}");
    }

    #[test]
    fn secrets_are_replaced_without_breaking_what_the_old_one_signed() {
        let before = PlaybackKeys::parse(OLD).unwrap();
        let during = PlaybackKeys::parse(&format!("{NEW}\n\n{OLD}\n")).unwrap();
        let after = PlaybackKeys::parse(NEW).unwrap();
        let studio = channel("studio");
        let (old, new) = (before.sign(&studio, NOW + 1), during.sign(&studio, NOW + 1));
        assert_eq!(during.verify(&old, &studio, NOW), Ok(1));
        assert_eq!(after.verify(&new, &studio, NOW), Ok(1));
        assert_eq!(after.verify(&old, &studio, NOW), Err(TokenError::Invalid));
        assert_eq!(before.verify(&new, &studio, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn secrets_that_can_be_guessed_are_refused() {
        assert_eq!(PlaybackKeys::parse("\n \n").unwrap_err(), SecretsError::None);
        assert_eq!(
            PlaybackKeys::parse(&format!("{NEW}\nshort")).unwrap_err(),
            SecretsError::Short { line: 2 }
        );
        assert_eq!(PlaybackKeys::parse(&format!("{NEW}\n").repeat(5)).unwrap_err(), SecretsError::Many);
        assert!(!format!("{:?}", PlaybackKeys::parse(NEW)).contains(NEW));
    }

    #[test]
    fn other_algorithms_audiences_and_issuers_are_refused() {
        let keys = PlaybackKeys::parse(NEW).unwrap();
        let claims =
            |iss: &str, aud: &str| json!({ "iss": iss, "aud": aud, "sub": "studio", "exp": NOW + 60 });
        let sign = |algorithm, claims: &serde_json::Value| {
            let key = EncodingKey::from_secret(NEW.as_bytes());
            jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
        };
        let good = sign(Algorithm::HS256, &claims(ISSUER, AUDIENCE));
        assert_eq!(keys.verify(&good, &channel("studio"), NOW), Ok(60));
        let (_, rest) = good.split_once('.').unwrap();
        // {"alg":"none"}
        let none = format!("eyJhbGciOiJub25lIn0.{}.", rest.split_once('.').unwrap().0);
        let without_end = sign(Algorithm::HS256, &json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "studio" }));
        for bad in [
            none,
            without_end,
            sign(Algorithm::HS512, &claims(ISSUER, AUDIENCE)),
            sign(Algorithm::HS256, &claims("other", AUDIENCE)),
            sign(Algorithm::HS256, &claims(ISSUER, "millrace:api")),
            String::new(),
            "a.b.c".to_owned(),
            "x".repeat(TOKEN_MAX_BYTES + 1),
        ] {
            assert_eq!(keys.verify(&bad, &channel("studio"), NOW), Err(TokenError::Invalid), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_token_opens_nothing(at in 0_usize..200, byte in "[A-Za-z0-9._-]") {
            let keys = PlaybackKeys::parse(NEW).unwrap();
            let token = keys.sign(&channel("studio"), NOW + 60);
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &byte);
            // The last character of base64url carries bits that count for nothing.
            prop_assume!(changed != token && at + 1 != token.len());
            prop_assert_eq!(keys.verify(&changed, &channel("studio"), NOW), Err(TokenError::Invalid));
        }
    }
}
