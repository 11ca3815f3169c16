//! The keys that sign tokens: kept in the store, one after the other, public halves at `/.well-known/jwks.json`.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use millrace_store::{Collection, Document, Index, Order, Query, Store, StoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How long a key signs: 30 days.
pub const KEY_SIGNS_MS: i64 = 30 * 24 * 3600 * 1000;
/// How long a key verifies after it stopped signing; longer than any token lives.
pub const KEY_VERIFIES_AFTER_MS: i64 = 30 * 60 * 1000;
/// How often at most the store is asked for a key that is not known: strangers can name any.
const RELOAD_EVERY_MS: i64 = 2_000;
/// Keys that are loaded. The next one comes after 30 days.
const KEYS_LOADED: usize = 4;
/// Who signs.
pub const ISSUER: &str = "millrace";

/// A key as it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct SigningKey {
    /// `kid`, and the order: 1, 2, 3. Processes that make the next key at once make the same one, and one wins.
    number: i64,
    /// Ed25519 private key, PKCS#8, base64.
    pkcs8: String,
    /// Milliseconds since 1970.
    created_at: i64,
}

pub(crate) static SIGNING_KEYS: Collection = Collection {
    name: "signing_keys",
    indexes: &[Index { name: "number", fields: &["number"], unique: true }],
    words: &[],
    migrations: &[],
};

impl Document for SigningKey {
    const COLLECTION: &'static Collection = &SIGNING_KEYS;

    fn id(&self) -> String {
        self.number.to_string()
    }
}

/// One key, ready to use.
struct Ready {
    kid: String,
    created_at: i64,
    signing: EncodingKey,
    verifying: DecodingKey,
    public: String,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of ours, or not for this use.
    #[error("the token was not signed by this site for this use")]
    Invalid,
    /// It was good once.
    #[error("the token has expired")]
    Expired,
}

/// What every token says beside its own claims.
#[derive(Debug, Serialize, Deserialize)]
struct Envelope<C> {
    iss: String,
    aud: String,
    /// Seconds since 1970.
    iat: i64,
    /// Seconds since 1970.
    exp: i64,
    #[serde(flatten)]
    claims: C,
}

/// The keys of this site. Clones share them.
#[derive(Clone)]
pub struct SigningKeys(Arc<Shared>);

struct Shared {
    store: Store,
    /// Newest first.
    ready: RwLock<Loaded>,
}

#[derive(Default)]
struct Loaded {
    keys: Vec<Arc<Ready>>,
    loaded_at: i64,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKeys")
    }
}

impl SigningKeys {
    /// The keys of this store; makes the first one.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn open(store: Store, now_ms: i64) -> Result<Self, StoreError> {
        let keys = Self(Arc::new(Shared { store, ready: RwLock::default() }));
        keys.rotate(now_ms).await?;
        Ok(keys)
    }

    /// Loads the keys, and makes the next one when the newest has signed long enough. Called from time to time.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn rotate(&self, now_ms: i64) -> Result<(), StoreError> {
        self.reload(now_ms).await?;
        let newest = self.newest();
        if newest.as_ref().is_some_and(|key| now_ms < key.created_at.saturating_add(KEY_SIGNS_MS)) {
            return Ok(());
        }
        let number = newest.and_then(|key| key.kid.parse::<i64>().ok()).unwrap_or(0) + 1;
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&aws_lc_rs::rand::SystemRandom::new())
            .map_err(|_| StoreError::unavailable("no key could be generated"))?;
        let key = SigningKey { number, pkcs8: STANDARD.encode(pkcs8), created_at: now_ms };
        match self.0.store.insert(&key).await {
            // Another process made it a moment ago; that one counts.
            Ok(()) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        tracing::info!(kid = number, "a new key signs tokens");
        self.reload(now_ms).await
    }

    async fn reload(&self, now_ms: i64) -> Result<(), StoreError> {
        let query = Query::first(KEYS_LOADED).ordered("number", Order::Descending);
        let stored = self.0.store.find::<SigningKey>(&query).await?;
        let mut keys = Vec::new();
        let mut retired_at = i64::MAX;
        for key in stored {
            if now_ms < retired_at.saturating_add(KEY_VERIFIES_AFTER_MS)
                && let Some(ready) = Ready::new(&key)
            {
                keys.push(Arc::new(ready));
            }
            retired_at = key.created_at;
        }
        *self.0.ready.write().unwrap_or_else(PoisonError::into_inner) = Loaded { keys, loaded_at: now_ms };
        Ok(())
    }

    fn newest(&self) -> Option<Arc<Ready>> {
        self.0.ready.read().unwrap_or_else(PoisonError::into_inner).keys.first().cloned()
    }

    fn known(&self, kid: &str) -> Option<Arc<Ready>> {
        let loaded = self.0.ready.read().unwrap_or_else(PoisonError::into_inner);
        loaded.keys.iter().find(|key| key.kid == kid).cloned()
    }

    /// A token for `audience` that lives `lifetime_s` seconds from `now_ms`.
    ///
    /// # Panics
    /// Never: [`Self::open`] made a key, and claims are what JSON can say.
    #[must_use]
    pub fn sign<C: Serialize>(&self, audience: &str, claims: C, now_ms: i64, lifetime_s: i64) -> String {
        let key = self.newest().expect("the first key is made at start");
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.kid.clone());
        let iat = now_ms / 1000;
        let claims = Envelope {
            iss: ISSUER.into(),
            aud: audience.into(),
            iat,
            exp: iat.saturating_add(lifetime_s),
            claims,
        };
        jsonwebtoken::encode(&header, &claims, &key.signing)
            .expect("our claims are JSON and our key is Ed25519")
    }

    /// The claims of a token that this site signed for `audience`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn verify<C: DeserializeOwned>(
        &self,
        audience: &str,
        token: &str,
        now_ms: i64,
    ) -> Result<C, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let kid = header.kid.ok_or(TokenError::Invalid)?;
        let key = match self.known(&kid) {
            Some(key) => key,
            None => {
                // Another process may have made it.
                let loaded_at = self.0.ready.read().unwrap_or_else(PoisonError::into_inner).loaded_at;
                if kid.len() > 20 || now_ms < loaded_at.saturating_add(RELOAD_EVERY_MS) {
                    return Err(TokenError::Invalid);
                }
                self.reload(now_ms).await.map_err(|_| TokenError::Invalid)?;
                self.known(&kid).ok_or(TokenError::Invalid)?
            }
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[ISSUER]);
        // The clock is an argument here.
        validation.validate_exp = false;
        validation.required_spec_claims = ["exp", "aud", "iss"].map(str::to_owned).into();
        let token = jsonwebtoken::decode::<Envelope<C>>(token, &key.verifying, &validation)
            .map_err(|_| TokenError::Invalid)?;
        if token.claims.exp <= now_ms / 1000 {
            return Err(TokenError::Expired);
        }
        Ok(token.claims.claims)
    }

    /// The public keys (RFC 7517, RFC 8037).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let loaded = self.0.ready.read().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<_> = loaded
            .keys
            .iter()
            .map(|key| {
                serde_json::json!({
                    "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": key.public,
                })
            })
            .collect();
        serde_json::json!({ "keys": keys })
    }
}

impl Ready {
    fn new(key: &SigningKey) -> Option<Self> {
        let der = STANDARD.decode(&key.pkcs8).ok()?;
        let pair = Ed25519KeyPair::from_pkcs8(&der).ok()?;
        let public = pair.public_key().as_ref();
        Some(Self {
            kid: key.number.to_string(),
            created_at: key.created_at,
            signing: EncodingKey::from_ed_der(&der),
            verifying: DecodingKey::from_ed_der(public),
            public: URL_SAFE_NO_PAD.encode(public),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;
    use serde_json::{Value, json};

    const NOW: i64 = 1_790_000_000_000;
    const AUDIENCE: &str = "millrace:api";

    fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap());
        let message = format!("{}.{}", part(header), part(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(sign(message.as_bytes())))
    }

    fn claims() -> Value {
        json!({ "iss": ISSUER, "aud": AUDIENCE, "iat": NOW / 1000, "exp": NOW / 1000 + 900, "sub": "ada" })
    }

    #[tokio::test]
    async fn a_token_of_ours_is_good_until_it_expires_and_for_its_audience_only() {
        let (_dir, store) = store().await;
        let keys = SigningKeys::open(store, NOW).await.unwrap();
        let token = keys.sign(AUDIENCE, json!({ "sub": "ada" }), NOW, 900);
        let read: Value = keys.verify(AUDIENCE, &token, NOW + 899_000).await.unwrap();
        assert_eq!(read["sub"], "ada");
        assert_eq!(keys.verify::<Value>(AUDIENCE, &token, NOW + 900_000).await, Err(TokenError::Expired));
        assert_eq!(keys.verify::<Value>("other", &token, NOW).await, Err(TokenError::Invalid));
        let mut tampered = token.into_bytes();
        let at = tampered.iter().position(|byte| *byte == b'.').unwrap() + 5;
        tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        assert_eq!(keys.verify::<Value>(AUDIENCE, &tampered, NOW).await, Err(TokenError::Invalid));
    }

    #[tokio::test]
    async fn tokens_that_others_made_are_refused() {
        let (_dir, store) = store().await;
        let keys = SigningKeys::open(store, NOW).await.unwrap();
        let ours = keys.newest().unwrap();
        let foreign = Ed25519KeyPair::from_pkcs8(
            Ed25519KeyPair::generate_pkcs8v1(&aws_lc_rs::rand::SystemRandom::new()).unwrap().as_ref(),
        )
        .unwrap();
        let public = URL_SAFE_NO_PAD.decode(&ours.public).unwrap();
        let hs256 = |message: &[u8]| crate::auth::secret::hmac_sha256(&public, &[message]).to_vec();
        let eddsa = |message: &[u8]| foreign.sign(message).as_ref().to_vec();
        let forged = [
            ("none", token(&json!({ "alg": "none", "kid": "1" }), &claims(), |_| Vec::new())),
            ("HS256 with the public key", token(&json!({ "alg": "HS256", "kid": "1" }), &claims(), hs256)),
            ("a foreign key", token(&json!({ "alg": "EdDSA", "kid": "1" }), &claims(), eddsa)),
            ("an unknown key", token(&json!({ "alg": "EdDSA", "kid": "7" }), &claims(), eddsa)),
            ("no key", token(&json!({ "alg": "EdDSA" }), &claims(), eddsa)),
            (
                "a key it brings itself",
                token(
                    &json!({ "alg": "EdDSA", "kid": "1", "jwk": { "kty": "OKP", "crv": "Ed25519",
                             "x": URL_SAFE_NO_PAD.encode(foreign.public_key().as_ref()) } }),
                    &claims(),
                    eddsa,
                ),
            ),
            ("nothing", String::new()),
            ("dots", "...".into()),
        ];
        for (name, token) in forged {
            let read = keys.verify::<Value>(AUDIENCE, &token, NOW + 10_000).await;
            assert_eq!(read, Err(TokenError::Invalid), "{name}");
        }
        // The forger's form is right: with our key the same token is good.
        let pkcs8 = keys.0.store.get::<SigningKey>("1").await.unwrap().unwrap().value.pkcs8;
        let own = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(pkcs8).unwrap()).unwrap();
        let sign = |message: &[u8]| own.sign(message).as_ref().to_vec();
        let good = token(&json!({ "alg": "EdDSA", "kid": "1" }), &claims(), sign);
        assert!(keys.verify::<Value>(AUDIENCE, &good, NOW).await.is_ok());
    }

    #[tokio::test]
    async fn keys_take_turns_and_old_ones_verify_a_while() {
        let (_dir, store) = store().await;
        let keys = SigningKeys::open(store.clone(), NOW).await.unwrap();
        let other = SigningKeys::open(store, NOW).await.unwrap();
        let later = NOW + KEY_SIGNS_MS;
        let old = keys.sign(AUDIENCE, json!({}), later - 1000, 3600);
        let (one, two) = tokio::join!(keys.rotate(later), other.rotate(later));
        one.unwrap();
        two.unwrap();
        let new = keys.sign(AUDIENCE, json!({}), later, 3600);
        assert_eq!(jsonwebtoken::decode_header(&new).unwrap().kid.as_deref(), Some("2"));
        assert!(other.verify::<Value>(AUDIENCE, &new, later + 1).await.is_ok(), "both have the same key");
        assert!(keys.verify::<Value>(AUDIENCE, &old, later + 1).await.is_ok());
        assert_eq!(keys.jwks()["keys"].as_array().unwrap().len(), 2);
        let much_later = later + KEY_VERIFIES_AFTER_MS;
        keys.rotate(much_later).await.unwrap();
        assert_eq!(keys.verify::<Value>(AUDIENCE, &old, much_later).await, Err(TokenError::Invalid));
        assert_eq!(keys.jwks()["keys"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_key_that_another_process_made_is_fetched() {
        let (_dir, store) = store().await;
        let keys = SigningKeys::open(store.clone(), NOW).await.unwrap();
        let other = SigningKeys::open(store, NOW).await.unwrap();
        let later = NOW + KEY_SIGNS_MS;
        other.rotate(later).await.unwrap();
        let token = other.sign(AUDIENCE, json!({}), later, 900);
        assert!(keys.verify::<Value>(AUDIENCE, &token, later).await.is_ok());
    }
}
