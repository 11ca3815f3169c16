//! What is kept.

use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Collection;

/// Something that is kept as one document. It is written as a JSON object; times that are ordered or compared are
/// integers (milliseconds since 1970), because every engine orders those alike.
pub trait Document: Serialize + DeserializeOwned + Send + Sync {
    /// Where.
    const COLLECTION: &'static Collection;

    /// Its id, unique in the collection and for ever the same. At most 200 bytes.
    fn id(&self) -> String;
}

/// Counts the writes of one document, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub i64);

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    /// The document.
    pub value: T,
    /// What a write replaces.
    pub version: Version,
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
