//! Sans-IO: how a receiver knows that a delivery is ours: the signature of Standard Webhooks 1.0, `v1`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::auth::secret::{hmac_sha256, random};

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// The secret of a webhook: `whsec_` and 256 random bits in base64. It is kept as it is, because signing takes it. Neither
/// `Debug` nor a log shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SigningSecret(String);

impl SigningSecret {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{PREFIX}{}", STANDARD.encode(random::<32>())))
    }

    /// The text. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `v1,…` of a body that is delivered under this id at this time, in seconds since 1970.
    #[must_use]
    pub fn signature(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let key = STANDARD.decode(self.0.trim_start_matches(PREFIX)).unwrap_or_default();
        let head = format!("{id}.{timestamp_s}.");
        format!("v1,{}", STANDARD.encode(hmac_sha256(&key, &[head.as_bytes(), body])))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = SigningSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let signature =
            secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_ne!(signature, secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_331, b"{}"));
    }

    #[test]
    fn a_secret_is_long_random_and_never_printed() {
        let (one, other) = (SigningSecret::random(), SigningSecret::random());
        assert_ne!(one, other);
        let key = STANDARD.decode(one.reveal().trim_start_matches(PREFIX)).unwrap();
        assert_eq!(key.len(), 32);
        assert_eq!(format!("{one:?}"), "[redacted]");
    }
}
