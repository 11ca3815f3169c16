//! How push services know this site (RFC 8292): a key pair of its own, made once and kept in the store.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use millrace_store::{Collection, Document, Store, StoreError};
use serde::{Deserialize, Serialize};

/// How long a token is good; push services take at most 24 hours (RFC 8292 §2).
const TOKEN_LIFETIME_S: i64 = 12 * 3600;
/// There is one pair: browsers subscribe to it, and another one would end all their subscriptions.
const ID: &str = "vapid";

/// The pair as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptPair {
    id: String,
    /// P-256 private key, PKCS#8, base64.
    pkcs8: String,
    /// Milliseconds since 1970.
    created_at: i64,
}

pub(crate) static PUSH_KEYS: Collection =
    Collection { name: "push_keys", indexes: &[], words: &[], migrations: &[] };

impl Document for KeptPair {
    const COLLECTION: &'static Collection = &PUSH_KEYS;

    fn id(&self) -> String {
        self.id.clone()
    }
}

/// The site's key pair.
pub struct Vapid {
    signing: EncodingKey,
    public: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
}

impl std::fmt::Debug for Vapid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vapid")
    }
}

impl Vapid {
    /// The pair of this site; makes it if there is none. Processes that make one at once end up with the same.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(store: &Store, now_ms: i64) -> Result<Self, StoreError> {
        let kept = match store.get::<KeptPair>(ID).await? {
            Some(kept) => kept.value,
            None => {
                let pkcs8 =
                    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                        .map_err(|_| StoreError::unavailable("no key could be generated"))?;
                let made = KeptPair { id: ID.to_owned(), pkcs8: STANDARD.encode(pkcs8), created_at: now_ms };
                match store.insert(&made).await {
                    Ok(()) => made,
                    Err(StoreError::Conflict { .. }) => {
                        let kept = store.get::<KeptPair>(ID).await?;
                        kept.ok_or_else(|| StoreError::unavailable("the push key is gone"))?.value
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let der = STANDARD.decode(&kept.pkcs8).ok();
        let pair = der.as_ref().and_then(|der| {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok().zip(Some(der))
        });
        let (pair, der) = pair.ok_or_else(|| StoreError::unavailable("the push key cannot be read"))?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        Ok(Self { signing: EncodingKey::from_ec_der(der), public })
    }

    /// The public key, an uncompressed point in base64url: what a browser subscribes with.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The `Authorization` of a push to the service at this origin. `contact` is how to reach who runs this site.
    ///
    /// # Panics
    /// Never: the claims are what JSON can say, and our key is P-256.
    #[must_use]
    pub fn authorization(&self, service: &str, contact: Option<&str>, now_ms: i64) -> String {
        let claims = Claims { aud: service, exp: now_ms / 1_000 + TOKEN_LIFETIME_S, sub: contact };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.signing)
            .expect("our claims are JSON and our key is P-256");
        format!("vapid t={token}, k={}", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::testing::Site;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    #[tokio::test]
    async fn the_pair_is_made_once_and_signs_what_a_service_checks() {
        let site = Site::new().await;
        let (one, other) = tokio::join!(Vapid::open(&site.store, 1), Vapid::open(&site.store, 1));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.public(), other.public());
        let point = URL_SAFE_NO_PAD.decode(one.public()).unwrap();
        assert_eq!((point.len(), point[0]), (65, 4));

        let now = 1_790_000_000_000;
        let header = one.authorization("https://push.example.org", Some("mailto:ada@example.org"), now);
        let (token, key) = header.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(key, one.public());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        verifier.verify(signed.as_bytes(), &signature).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(
            claims,
            serde_json::json!({ "aud": "https://push.example.org", "exp": now / 1_000 + 43_200,
                                "sub": "mailto:ada@example.org" })
        );
        assert!(!one.authorization("https://x.example.org", None, now).is_empty());
    }
}
