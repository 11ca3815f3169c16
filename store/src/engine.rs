//! What an engine does.

use async_trait::async_trait;
use serde_json::Value;

use crate::{Collection, Query, StoreError, Version};

/// A document as an engine knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: Version,
    /// Its JSON object.
    pub document: Value,
}

/// One write of a commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A new document, with version 1.
    Insert {
        /// Its id; [`StoreError::Conflict`] with the index `id` if it is taken.
        id: String,
        /// Its JSON object.
        document: Value,
    },
    /// Another document in the place of the one with this version.
    Replace {
        /// Its id.
        id: String,
        /// What was read; [`StoreError::Stale`] if it is not that any more.
        version: Version,
        /// The new JSON object.
        document: Value,
    },
    /// No document in the place of the one with this version.
    Delete {
        /// Its id.
        id: String,
        /// What was read; `None` takes any, and none at all.
        version: Option<Version>,
    },
    /// An integer field of the top level grows, whatever it is. [`StoreError::Stale`] if there is no such document.
    Increment {
        /// The document's id.
        id: String,
        /// The field; it counts as 0 if absent.
        field: &'static str,
        /// By how much; may be negative.
        by: i64,
    },
}

/// A database that keeps documents.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Makes collections, indexes and schema versions what `collections` say, and migrates documents. Called once at
    /// every start, before anything else; several processes may do it at once.
    async fn prepare(&self, collections: &[&'static Collection]) -> Result<(), StoreError>;

    /// One document.
    async fn get(&self, collection: &'static Collection, id: &str) -> Result<Option<Stored>, StoreError>;

    /// The documents of a query.
    async fn find(&self, collection: &'static Collection, query: &Query) -> Result<Vec<Stored>, StoreError>;

    /// How many documents have these values (`equal` of the query; the rest is ignored).
    async fn count(&self, collection: &'static Collection, query: &Query) -> Result<u64, StoreError>;

    /// Documents of a query in whose [`Collection::words`] every word of `text` occurs as the beginning of a word, without
    /// regard to case and accents; in the order of the query.
    async fn search(
        &self,
        collection: &'static Collection,
        text: &str,
        query: &Query,
    ) -> Result<Vec<Stored>, StoreError>;

    /// All of these writes or none, durable when it returns.
    async fn commit(&self, writes: Vec<(&'static Collection, Write)>) -> Result<(), StoreError>;

    /// Removes documents whose integer `field` is less than `below`, at most `limit` of them; how many it removed. An
    /// index must begin with the field. For what expires.
    async fn remove_below(
        &self,
        collection: &'static Collection,
        field: &'static str,
        below: i64,
        limit: usize,
    ) -> Result<u64, StoreError>;

    /// Whether it answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Everything as it is at one moment, while others write. The moment is that of the first page at the latest.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Writes documents that another store held, with the versions they had there. What was written when it fails
    /// stays: only for a store that is thrown away then.
    async fn load(&self, collection: &'static Collection, documents: Vec<Stored>) -> Result<(), StoreError>;
}

/// What a store held at one moment.
#[async_trait]
pub trait Snapshot: Send {
    /// Documents in the order of their ids, from behind the id `after`, at most `limit`.
    async fn page(
        &mut self,
        collection: &'static Collection,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError>;
}
