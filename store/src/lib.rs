//! The store: documents in collections, with versions, unique indexes and atomic commits, on SQLite or on MongoDB.
//!
//! An [`Engine`] is small: get, find by an index, search words, commit some writes together. Repositories stay with
//! the crate that owns the data and speak its intentions; they are written once, over [`Store`], and behave the same
//! on every engine because the suite (`suite.rs`) holds each of them to it. Why not two repositories for each collection:
//! `docs/adr/0008-one-repository-two-engines.md`.
//!
//! Concurrency is optimistic. What was read carries its [`Version`]; a write says which one it replaces, and is refused
//! as [`StoreError::Stale`] when somebody was faster. [`Store::update`] reads again and retries.
#![warn(missing_docs)]

mod document;
mod engine;
mod error;
pub mod mongodb;
mod open;
mod query;
mod spec;
pub mod sqlite;
mod store;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
pub mod transfer;
mod words;

pub use document::{Document, Kept, Version};
pub use engine::{Engine, Snapshot, Stored, Write};
pub use error::StoreError;
pub use open::{Location, LocationError, open, sqlite_path};
pub use query::{After, Order, Query};
pub use spec::{Collection, Index, Migration};
pub use store::{Change, Changes, Store};
pub use words::Words;
