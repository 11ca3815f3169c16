//! The writer: one thread; what waits is committed together.

use std::thread;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::{failed, field};
use crate::engine::Write;
use crate::words::words_of;
use crate::{Collection, StoreError, Stored, Version};

/// Jobs that may wait; who comes later waits to be let in.
const QUEUE: usize = 1024;
/// Most jobs in one transaction: what a job waits for the others.
const BATCH: usize = 128;

/// A job: does its part, and then hears whether the transaction was committed.
trait Job: Send {
    fn work(&mut self, connection: &Connection) -> bool;
    fn done(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F> Job for Task<T, F>
where
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn work(&mut self, connection: &Connection) -> bool {
        // Nobody waits for it any more, and was told so.
        if self.answer.is_closed() {
            return false;
        }
        let Some(work) = self.work.take() else { return false };
        let result = work(connection);
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn done(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (self.result, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(all)) => Err(all),
            (Some(done), Ok(())) => done,
            (None, Ok(())) => Err(StoreError::unavailable("the write was not begun")),
        };
        // Whoever asked may have gone.
        let _ = self.answer.send(result);
    }
}

/// Hands jobs to the thread, which ends when this is dropped.
pub(super) struct Writer(mpsc::Sender<Box<dyn Job>>);

impl Writer {
    pub(super) fn start(mut connection: Connection) -> Result<Self, StoreError> {
        let (sender, mut jobs) = mpsc::channel::<Box<dyn Job>>(QUEUE);
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                let mut batch = Vec::with_capacity(BATCH);
                while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
                    commit(&mut connection, &mut batch);
                }
            })
            .map_err(StoreError::unavailable)?;
        Ok(Self(sender))
    }

    /// Runs `work` in a transaction of its own within that of the batch; durable when it returns.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let task = Task { work: Some(work), result: None, answer };
        let gone = |_| StoreError::unavailable("the writer is gone");
        self.0.send(Box::new(task)).await.map_err(|_| StoreError::unavailable("the writer is gone"))?;
        result.await.map_err(gone)?
    }
}

fn commit(connection: &mut Connection, batch: &mut Vec<Box<dyn Job>>) {
    let committed = try_commit(connection, batch).map_err(|err| err.to_string());
    for job in batch.drain(..) {
        job.done(committed.clone().map_err(StoreError::unavailable));
    }
}

fn try_commit(connection: &mut Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let mut transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for job in batch {
        let savepoint = transaction.savepoint()?;
        if job.work(&savepoint) {
            savepoint.commit()?;
        } else {
            savepoint.finish()?;
        }
    }
    transaction.commit()
}

/// Carries out one write.
pub(super) fn apply(
    connection: &Connection,
    collection: &'static Collection,
    write: Write,
) -> Result<(), StoreError> {
    let name = collection.name;
    match write {
        Write::Insert { id, document } => {
            insert(connection, collection, &Stored { id, version: Version(1), document })
        }
        Write::Replace { id, version, document } => {
            index_words(connection, collection, &id, None)?;
            let sql = format!(
                "UPDATE {name} SET version = version + 1, doc = jsonb(?3) WHERE id = ?1 AND version = ?2"
            );
            let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
            let text = document.to_string();
            let changed =
                statement.execute(params![id, version.0, text]).map_err(|err| refused(collection, err))?;
            must_be_one(collection, &id, changed)?;
            index_words(connection, collection, &id, Some(&document))
        }
        Write::Delete { id, version } => {
            index_words(connection, collection, &id, None)?;
            let sql = format!("DELETE FROM {name} WHERE id = ?1 AND (?2 IS NULL OR version = ?2)");
            let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
            let wanted = version.map(|Version(version)| version);
            let changed = statement.execute(params![id, wanted]).map_err(failed)?;
            if version.is_some() { must_be_one(collection, &id, changed) } else { Ok(()) }
        }
        Write::Increment { id, field: counted, by } => {
            let sql = format!(
                "UPDATE {name} SET version = version + 1, \
                 doc = jsonb_set(doc, '$.{counted}', coalesce({}, 0) + ?2) WHERE id = ?1",
                field(counted)
            );
            let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
            let changed = statement.execute(params![id, by]).map_err(|err| refused(collection, err))?;
            must_be_one(collection, &id, changed)
        }
    }
}

/// Writes a new document.
pub(super) fn insert(
    connection: &Connection,
    collection: &'static Collection,
    stored: &Stored,
) -> Result<(), StoreError> {
    let Stored { id, version, document } = stored;
    let sql = format!("INSERT INTO {} (id, version, doc) VALUES (?1, ?2, jsonb(?3))", collection.name);
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let values = params![id, version.0, document.to_string()];
    statement.execute(values).map_err(|err| refused(collection, err))?;
    index_words(connection, collection, id, Some(document))
}

pub(super) fn remove_below(
    connection: &Connection,
    collection: &'static Collection,
    name: &'static str,
    below: i64,
    limit: usize,
) -> Result<u64, StoreError> {
    let sql = format!("SELECT id FROM {} WHERE {} < ?1 LIMIT ?2", collection.name, field(name));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids: Vec<String> = {
        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
        let rows = statement.query_map(params![below, limit], |row| row.get(0)).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)?
    };
    let removed = ids.len() as u64;
    for id in ids {
        apply(connection, collection, Write::Delete { id, version: None })?;
    }
    Ok(removed)
}

/// Takes the words of the document out of the index, or puts them in.
pub(super) fn index_words(
    connection: &Connection,
    collection: &'static Collection,
    id: &str,
    document: Option<&Value>,
) -> Result<(), StoreError> {
    if collection.words.is_empty() {
        return Ok(());
    }
    let name = collection.name;
    let rowid: Option<i64> = connection
        .prepare_cached(&format!("SELECT rowid FROM {name} WHERE id = ?1"))
        .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
        .map_err(failed)?;
    let Some(rowid) = rowid else { return Ok(()) };
    let done = match document {
        Some(document) => connection
            .prepare_cached(&format!("INSERT INTO {name}_words (rowid, words) VALUES (?1, ?2)"))
            .and_then(|mut statement| {
                statement.execute(params![rowid, words_of(collection, document).join(" ")])
            }),
        None => connection
            .prepare_cached(&format!("DELETE FROM {name}_words WHERE rowid = ?1"))
            .and_then(|mut statement| statement.execute([rowid])),
    };
    done.map(drop).map_err(failed)
}

fn must_be_one(collection: &'static Collection, id: &str, changed: usize) -> Result<(), StoreError> {
    if changed == 1 {
        return Ok(());
    }
    Err(StoreError::Stale { collection: collection.name, id: id.to_owned() })
}

/// A unique index says which one it is in its message, as `index 'users__name'`; the primary key as `users.id`.
fn refused(collection: &'static Collection, err: rusqlite::Error) -> StoreError {
    let rusqlite::Error::SqliteFailure(code, Some(message)) = &err else { return failed(err) };
    if code.code != ErrorCode::ConstraintViolation {
        return failed(err);
    }
    let named = |index: &str| message.contains(&format!("'{}__{index}'", collection.name));
    let index = collection.indexes.iter().map(|index| index.name).find(|index| named(index)).unwrap_or("id");
    StoreError::Conflict { collection: collection.name, index }
}
