//! What can go wrong with the store.

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A document with the same values is there already; `index` is the [`Index::name`](crate::Index::name) that says so,
    /// or `id`.
    #[error("a document of {collection} with the same {index} exists")]
    Conflict {
        /// The collection.
        collection: &'static str,
        /// The unique index.
        index: &'static str,
    },
    /// The document is not the one that was read: somebody changed or removed it since.
    #[error("document {id} of {collection} was changed meanwhile")]
    Stale {
        /// The collection.
        collection: &'static str,
        /// The document.
        id: String,
    },
    /// The store does not answer. Nothing is known about the write.
    #[error("the store is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is stored cannot be read.
    #[error("document {id} of {collection} cannot be read")]
    Corrupt {
        /// The collection.
        collection: &'static str,
        /// The document.
        id: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The data was written by a newer version of Millrace.
    #[error(
        "{collection} has schema version {found}, and this Millrace knows up to {known}; start a newer Millrace, or \
         restore a backup made before the upgrade"
    )]
    Newer {
        /// The collection.
        collection: &'static str,
        /// What is there.
        found: u32,
        /// What we know.
        known: u32,
    },
}

impl StoreError {
    /// Something of the engine itself.
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// Whether it is the refusal of this unique index.
    #[must_use]
    pub fn is_conflict(&self, name: &str) -> bool {
        matches!(self, Self::Conflict { index, .. } if *index == name)
    }
}
