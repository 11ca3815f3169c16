//! Secrets of this site that nobody types: made once, kept in the store, the same for all its processes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_store::{Collection, Document, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::secret::random;

#[derive(Serialize, Deserialize)]
struct SiteSecret {
    name: String,
    value: String,
}

pub(crate) static SITE_SECRETS: Collection =
    Collection { name: "site_secrets", indexes: &[], words: &[], migrations: &[] };

impl Document for SiteSecret {
    const COLLECTION: &'static Collection = &SITE_SECRETS;

    fn id(&self) -> String {
        self.name.clone()
    }
}

/// The secret of this name; makes it if there is none.
///
/// # Errors
/// Those of the store.
pub(crate) async fn site_secret(store: &Store, name: &str) -> Result<[u8; 32], StoreError> {
    let made = SiteSecret { name: name.to_owned(), value: URL_SAFE_NO_PAD.encode(random::<32>()) };
    match store.insert(&made).await {
        Ok(()) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(error),
    }
    let kept = store.get::<SiteSecret>(name).await?;
    kept.and_then(|kept| URL_SAFE_NO_PAD.decode(&kept.value.value).ok())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| StoreError::unavailable("a secret of this site cannot be read"))
}
