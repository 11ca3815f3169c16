//! An engine with types.
#![expect(clippy::disallowed_methods, reason = "shell: waits a moment before it tries again")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::engine::Write;
use crate::{Collection, Document, Engine, Kept, Query, StoreError, Stored};

/// How often an update is tried again when somebody else was faster.
const UPDATE_ATTEMPTS: u64 = 40;
/// What the longest pause before another attempt grows by each time.
const UPDATE_PAUSE_MS: u64 = 2;

/// The store of this process. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<dyn Engine>);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// Writes that happen together or not at all.
#[derive(Debug, Default)]
pub struct Changes(Vec<(&'static Collection, Write)>);

/// What an update makes of a document.
#[derive(Debug)]
pub enum Change<T, E> {
    /// This instead.
    To(T),
    /// Nothing: this is why.
    Not(E),
}

impl Changes {
    /// No changes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new document.
    #[must_use]
    pub fn insert<T: Document>(mut self, value: &T) -> Self {
        self.0.push((T::COLLECTION, Write::Insert { id: value.id(), document: json(value) }));
        self
    }

    /// `value` in the place of what was read.
    #[must_use]
    pub fn replace<T: Document>(mut self, read: &Kept<T>, value: &T) -> Self {
        let write = Write::Replace { id: read.value.id(), version: read.version, document: json(value) };
        self.0.push((T::COLLECTION, write));
        self
    }

    /// Not what was read any more.
    #[must_use]
    pub fn delete<T: Document>(mut self, read: &Kept<T>) -> Self {
        let write = Write::Delete { id: read.value.id(), version: Some(read.version) };
        self.0.push((T::COLLECTION, write));
        self
    }

    /// No document with this id, if there is one.
    #[must_use]
    pub fn delete_id<T: Document>(mut self, id: impl Into<String>) -> Self {
        self.0.push((T::COLLECTION, Write::Delete { id: id.into(), version: None }));
        self
    }

    /// An integer field of the document grows by `by`.
    #[must_use]
    pub fn increment<T: Document>(mut self, id: impl Into<String>, field: &'static str, by: i64) -> Self {
        self.0.push((T::COLLECTION, Write::Increment { id: id.into(), field, by }));
        self
    }
}

impl Store {
    /// A store on this engine, with these collections.
    ///
    /// # Errors
    /// The engine does not answer, or holds data of a newer Millrace.
    pub async fn new(
        engine: Arc<dyn Engine>,
        collections: &[&'static Collection],
    ) -> Result<Self, StoreError> {
        engine.prepare(collections).await?;
        Ok(Self(engine))
    }

    /// One document.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn get<T: Document>(&self, id: &str) -> Result<Option<Kept<T>>, StoreError> {
        self.0.get(T::COLLECTION, id).await?.map(typed).transpose()
    }

    /// The documents of a query.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn find<T: Document>(&self, query: &Query) -> Result<Vec<Kept<T>>, StoreError> {
        assert_served(T::COLLECTION, query);
        self.0.find(T::COLLECTION, query).await?.into_iter().map(typed).collect()
    }

    /// The one document with this value.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn find_one<T: Document>(
        &self,
        field: &'static str,
        value: impl Into<Value>,
    ) -> Result<Option<Kept<T>>, StoreError> {
        Ok(self.find(&Query::with(field, value, 1)).await?.pop())
    }

    /// How many documents have the values of the query.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count<T: Document>(&self, query: &Query) -> Result<u64, StoreError> {
        assert_served(T::COLLECTION, query);
        self.0.count(T::COLLECTION, query).await
    }

    /// The documents of a query in which every word of `text` begins a word; none if there is no word in it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn search<T: Document>(&self, text: &str, query: &Query) -> Result<Vec<Kept<T>>, StoreError> {
        assert_served(T::COLLECTION, query);
        self.0.search(T::COLLECTION, text, query).await?.into_iter().map(typed).collect()
    }

    /// All of these changes or none; durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Stale`], [`StoreError::Unavailable`].
    pub async fn commit(&self, changes: Changes) -> Result<(), StoreError> {
        if changes.0.is_empty() {
            return Ok(());
        }
        self.0.commit(changes.0).await
    }

    /// A new document.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub async fn insert<T: Document>(&self, value: &T) -> Result<(), StoreError> {
        self.commit(Changes::new().insert(value)).await
    }

    /// Reads a document, changes it and writes it, again while somebody else is faster. `None` when there is none.
    /// `change` may be called more than once; `Err` of the inner result is what it refused with.
    ///
    /// # Errors
    /// As [`Self::commit`]; [`StoreError::Stale`] when somebody was faster every time.
    pub async fn update<T: Document + Clone, E>(
        &self,
        id: &str,
        change: impl Fn(T) -> Change<T, E> + Send + Sync,
    ) -> Result<Option<Result<T, E>>, StoreError>
    where
        E: Send,
    {
        let mut attempt = 0;
        loop {
            let Some(read) = self.get::<T>(id).await? else { return Ok(None) };
            let value = match change(read.value.clone()) {
                Change::To(value) => value,
                Change::Not(reason) => return Ok(Some(Err(reason))),
            };
            attempt += 1;
            match self.commit(Changes::new().replace(&read, &value)).await {
                Err(StoreError::Stale { .. }) if attempt < UPDATE_ATTEMPTS => {
                    // At random, so that those who meet here do not meet again.
                    let pause = rand::random_range(0..=attempt * UPDATE_PAUSE_MS);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                done => return done.map(|()| Some(Ok(value))),
            }
        }
    }

    /// Removes what expired: documents whose integer `field` is less than `below`, at most `limit`; how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn remove_below<T: Document>(
        &self,
        field: &'static str,
        below: i64,
        limit: usize,
    ) -> Result<u64, StoreError> {
        debug_assert!(T::COLLECTION.index_for(&[], Some(field)).is_some(), "no index begins with {field}");
        self.0.remove_below(T::COLLECTION, field, below, limit).await
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }
}

/// A query without an index is a mistake of ours that tests must find.
fn assert_served(collection: &'static Collection, query: &Query) {
    let fields: Vec<_> = query.equal.iter().map(|(field, _)| *field).collect();
    debug_assert!(
        (fields.is_empty() && query.order.is_none())
            || collection.index_for(&fields, query.order.map(|(field, _)| field)).is_some(),
        "no index of {} serves {query:?}",
        collection.name
    );
}

fn json<T: Document>(value: &T) -> Value {
    let document = serde_json::to_value(value).expect("documents are made of what JSON can say");
    debug_assert!(document.is_object(), "a document is an object");
    document
}

fn typed<T: Document>(stored: Stored) -> Result<Kept<T>, StoreError> {
    match serde_json::from_value(stored.document) {
        Ok(value) => Ok(Kept { value, version: stored.version }),
        Err(source) => Err(StoreError::Corrupt { collection: T::COLLECTION.name, id: stored.id, source }),
    }
}
