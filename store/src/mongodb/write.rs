//! Commits.
#![expect(clippy::disallowed_methods, reason = "shell: waits a moment before it tries a transaction again")]

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};
use mongodb::{ClientSession, Database};

use super::bson::{self, VERSION, path};
use super::{failed, read};
use crate::engine::Write;
use crate::{Collection, StoreError, Stored, Version};

/// How often a transaction is begun anew when it met another one.
const ATTEMPTS: u64 = 60;
/// What the longest pause before another attempt grows by each time, and its limit.
const PAUSE_MS: u64 = 3;
const MAX_PAUSE_MS: u64 = 60;
/// How often the outcome of a commit is asked for when the answer was lost.
const COMMIT_ATTEMPTS: u32 = 3;
/// The server's code for a value that a unique index has already.
const DUPLICATE_KEY: i32 = 11000;

/// All of these writes or none.
pub(super) async fn commit(
    database: &Database,
    writes: &[(&'static Collection, Write)],
) -> Result<(), StoreError> {
    // One write is atomic without a transaction.
    if let [(collection, write)] = writes {
        return apply(database, collection, write, None).await.map_err(Refusal::into_error);
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        match transaction(database, writes).await {
            Err(Refusal::Engine(err))
                if err.contains_label(TRANSIENT_TRANSACTION_ERROR) && attempt < ATTEMPTS =>
            {
                // At random, so that those who meet here do not meet again.
                let pause = rand::random_range(0..=(attempt * PAUSE_MS).min(MAX_PAUSE_MS));
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            done => return done.map_err(Refusal::into_error),
        }
    }
}

async fn transaction(database: &Database, writes: &[(&'static Collection, Write)]) -> Result<(), Refusal> {
    let mut session = database.client().start_session().await?;
    session.start_transaction().await?;
    for (collection, write) in writes {
        if let Err(refusal) = apply(database, collection, write, Some(&mut session)).await {
            // The server ends it by itself if this does not arrive.
            let _ = session.abort_transaction().await;
            return Err(refusal);
        }
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        match session.commit_transaction().await {
            Err(err)
                if err.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && attempt < COMMIT_ATTEMPTS => {}
            done => return Ok(done?),
        }
    }
}

/// Why a write was not done.
enum Refusal {
    /// By us.
    Store(StoreError),
    /// By the server or the way to it.
    Engine(Error),
}

impl From<Error> for Refusal {
    fn from(err: Error) -> Self {
        Self::Engine(err)
    }
}

impl Refusal {
    fn into_error(self) -> StoreError {
        match self {
            Self::Store(err) => err,
            Self::Engine(err) => failed(err),
        }
    }
}

/// Awaits an action, within the session if there is one.
macro_rules! within {
    ($session:expr, $action:expr) => {
        match $session {
            Some(session) => $action.session(session).await,
            None => $action.await,
        }
    };
}

async fn apply(
    database: &Database,
    collection: &'static Collection,
    write: &Write,
    session: Option<&mut ClientSession>,
) -> Result<(), Refusal> {
    let documents = database.collection::<Document>(collection.name);
    let refused = |err| refused(collection, err);
    let (id, changed) = match write {
        Write::Insert { id, document } => {
            let kept = bson::write(collection, id, Version(1), document);
            within!(session, documents.insert_one(kept)).map_err(refused)?;
            return Ok(());
        }
        Write::Replace { id, version, document } => {
            let filter = doc! { "_id": id, VERSION: version.0 };
            let kept = bson::write(collection, id, Version(version.0.saturating_add(1)), document);
            (id, within!(session, documents.replace_one(filter, kept)).map_err(refused)?.matched_count)
        }
        Write::Delete { id, version: None } => {
            within!(session, documents.delete_one(doc! { "_id": id }))?;
            return Ok(());
        }
        Write::Delete { id, version: Some(version) } => {
            let filter = doc! { "_id": id, VERSION: version.0 };
            (id, within!(session, documents.delete_one(filter))?.deleted_count)
        }
        Write::Increment { id, field, by } => {
            let filter = doc! { "_id": id };
            let update = read::increment(field, *by);
            (id, within!(session, documents.update_one(filter, update)).map_err(refused)?.matched_count)
        }
    };
    if changed == 1 {
        return Ok(());
    }
    Err(Refusal::Store(StoreError::Stale { collection: collection.name, id: id.clone() }))
}

/// Removes documents whose `field` is less than `below`.
pub(super) async fn remove_below(
    database: &Database,
    collection: &'static Collection,
    field: &str,
    below: i64,
    limit: usize,
) -> Result<u64, StoreError> {
    if limit == 0 {
        return Ok(0);
    }
    let documents = database.collection::<Document>(collection.name);
    let field = path(field);
    let expired = doc! { &field: { "$lt": below } };
    let mut found = documents
        .find(expired.clone())
        .projection(doc! { "_id": 1 })
        .sort(doc! { &field: 1 })
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .await
        .map_err(failed)?;
    let mut ids = Vec::new();
    while found.advance().await.map_err(failed)? {
        ids.extend(found.deserialize_current().map_err(failed)?.remove("_id"));
    }
    if ids.is_empty() {
        return Ok(0);
    }
    let mut these = expired;
    these.insert("_id", doc! { "$in": ids });
    Ok(documents.delete_many(these).await.map_err(failed)?.deleted_count)
}

/// Writes documents that another store held, with the versions they had there.
pub(super) async fn load(
    database: &Database,
    collection: &'static Collection,
    documents: &[Stored],
) -> Result<(), StoreError> {
    if documents.is_empty() {
        return Ok(());
    }
    let kept = documents.iter().map(|one| bson::write(collection, &one.id, one.version, &one.document));
    let inserted = database.collection::<Document>(collection.name).insert_many(kept).await;
    inserted.map(drop).map_err(|err| refused(collection, err).into_error())
}

/// Which unique index said no. The server names it in its message only.
fn refused(collection: &'static Collection, err: Error) -> Refusal {
    let message = match err.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY => {
            Some(&write.message)
        }
        ErrorKind::Command(command) if command.code == DUPLICATE_KEY => Some(&command.message),
        ErrorKind::InsertMany(many) => {
            let mut writes = many.write_errors.iter().flatten();
            writes.find(|write| write.code == DUPLICATE_KEY).map(|write| &write.message)
        }
        _ => None,
    };
    match message.map(|message| unique_index(collection, message)) {
        Some(index) => Refusal::Store(StoreError::Conflict { collection: collection.name, index }),
        None => Refusal::Engine(err),
    }
}

/// `E11000 duplicate key error collection: db.users index: name dup key: { doc.name: "ada" }`. What comes from outside
/// stands after the name.
fn unique_index(collection: &Collection, message: &str) -> &'static str {
    let named = message.split_once(" index: ").and_then(|(_, rest)| rest.split(' ').next());
    let known = |name: &str| collection.indexes.iter().find(|index| index.name == name);
    named.and_then(known).map_or("id", |index| index.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Index;

    static USERS: Collection = Collection {
        name: "users",
        indexes: &[
            Index { name: "name", fields: &["name"], unique: true },
            Index { name: "email", fields: &["email"], unique: true },
        ],
        words: &[],
        migrations: &[],
    };

    #[test]
    fn the_index_is_read_before_anything_that_a_person_wrote() {
        let message = |index: &str, value: &str| {
            format!(
                "E11000 duplicate key error collection: db.users index: {index} dup key: {{ doc.x: \"{value}\" }}"
            )
        };
        assert_eq!(unique_index(&USERS, &message("email", " index: name dup")), "email");
        assert_eq!(unique_index(&USERS, &message("_id_", " index: name dup")), "id");
        assert_eq!(unique_index(&USERS, "something else"), "id");
    }
}
