//! SQLite: one file, no server. WAL, one writer thread that commits what waits in one transaction, a few readers.
//!
//! Each collection is a table of its name: `id`, `version`, and `doc`, a JSONB object, with an expression index for
//! each [`Index`](crate::Index); its words are in an FTS5 table. Strings from outside are only ever bound, never part
//! of a statement.
#![expect(clippy::disallowed_methods, reason = "shell: waits for the disk, but not for ever")]

mod read;
mod schema;
mod snapshot;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::engine::{Snapshot, Write};
use crate::{Collection, Engine, Query, StoreError, Stored};

use self::write::Writer;

/// Connections that read at once.
const READERS: usize = 4;
/// How long a statement waits for another process that holds the file (a backup, for example).
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a commit may take, with those it waits behind.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// Statements kept compiled per connection.
const STATEMENTS: usize = 128;

/// A SQLite file.
pub struct Sqlite {
    path: PathBuf,
    writer: Writer,
    readers: Arc<Readers>,
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Sqlite {
    /// Opens the file, and makes it if there is none, readable by its owner only.
    ///
    /// # Errors
    /// The folder or the file cannot be written, or it is no SQLite file.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        blocking(move || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(StoreError::unavailable)?;
            }
            create_private(&path).map_err(StoreError::unavailable)?;
            let write = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let mode: String =
                write.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
            if mode != "wal" {
                return Err(StoreError::unavailable(format!(
                    "the file cannot be put into WAL mode but {mode}"
                )));
            }
            // What was acknowledged survives a loss of power.
            write.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
            let readers = (0..READERS).map(|_| connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY));
            let idle = Mutex::new(readers.collect::<Result<_, _>>()?);
            let readers = Arc::new(Readers { idle, permits: Semaphore::new(READERS) });
            Ok(Self { path, writer: Writer::start(write)?, readers })
        })
        .await
    }

    /// Copies the whole database, as it is at one moment, into a new file, while it is in use.
    ///
    /// # Errors
    /// The file exists, or cannot be written.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let to = to.to_string_lossy().into_owned();
        self.read(move |connection| {
            connection.execute("VACUUM INTO ?1", [to]).map_err(failed)?;
            Ok(())
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(CALL_TIMEOUT, self.writer.run(work)).await.unwrap_or_else(|_| {
            Err(StoreError::unavailable(format!("not written within {} s", CALL_TIMEOUT.as_secs())))
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let permit = self.readers.permits.acquire().await.map_err(StoreError::unavailable)?;
        let result = blocking(move || {
            let connection = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = connection.ok_or_else(|| StoreError::unavailable("a reader is gone"))?;
            let result = work(&connection);
            readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result
        })
        .await;
        drop(permit);
        result
    }
}

#[async_trait]
impl Engine for Sqlite {
    async fn prepare(&self, collections: &[&'static Collection]) -> Result<(), StoreError> {
        let collections = collections.to_vec();
        self.writer.run(move |connection| schema::prepare(connection, &collections)).await
    }

    async fn get(&self, collection: &'static Collection, id: &str) -> Result<Option<Stored>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| read::get(connection, collection, &id)).await
    }

    async fn find(&self, collection: &'static Collection, query: &Query) -> Result<Vec<Stored>, StoreError> {
        let query = query.clone();
        self.read(move |connection| read::find(connection, collection, &query)).await
    }

    async fn count(&self, collection: &'static Collection, query: &Query) -> Result<u64, StoreError> {
        let query = query.clone();
        self.read(move |connection| read::count(connection, collection, &query)).await
    }

    async fn search(
        &self,
        collection: &'static Collection,
        text: &str,
        query: &Query,
    ) -> Result<Vec<Stored>, StoreError> {
        let (text, query) = (text.to_owned(), query.clone());
        self.read(move |connection| read::search(connection, collection, &text, &query)).await
    }

    async fn commit(&self, writes: Vec<(&'static Collection, Write)>) -> Result<(), StoreError> {
        self.write(move |connection| {
            writes.into_iter().try_for_each(|(collection, write)| write::apply(connection, collection, write))
        })
        .await
    }

    async fn remove_below(
        &self,
        collection: &'static Collection,
        field: &'static str,
        below: i64,
        limit: usize,
    ) -> Result<u64, StoreError> {
        self.write(move |connection| write::remove_below(connection, collection, field, below, limit)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|connection| connection.query_row("SELECT 1", [], |_| Ok(())).map_err(failed)).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let path = self.path.clone();
        let snapshot = blocking(move || snapshot::SqliteSnapshot::begin(&path)).await?;
        Ok(Box::new(snapshot))
    }

    async fn load(&self, collection: &'static Collection, documents: Vec<Stored>) -> Result<(), StoreError> {
        self.write(move |connection| {
            documents.iter().try_for_each(|stored| write::insert(connection, collection, stored))
        })
        .await
    }
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// SQLite gives its journal files the mode of the database file.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn failed(err: rusqlite::Error) -> StoreError {
    StoreError::unavailable(err)
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(StoreError::unavailable)?
}

/// The expression of a top-level field of a document. Field names are ours, never from outside.
fn field(name: &str) -> String {
    debug_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()));
    format!("doc ->> '$.{name}'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite;

    async fn fresh() -> (tempfile::TempDir, Arc<dyn Engine>) {
        let folder = tempfile::tempdir().unwrap();
        let engine = Sqlite::open(&folder.path().join("data/test.sqlite3")).await.unwrap();
        (folder, Arc::new(engine))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn passes_the_suite() {
        suite::run(&suite::Fresh::new(|| Box::pin(fresh()))).await;
    }

    #[tokio::test]
    #[cfg(unix)]
    async fn the_file_is_its_owners() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, _engine) = fresh().await;
        for entry in std::fs::read_dir(folder.path().join("data")).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        }
    }

    #[tokio::test]
    async fn what_is_no_database_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.sqlite3");
        std::fs::write(&path, "a letter to my mother, long enough to be no empty database file at all")
            .unwrap();
        assert!(matches!(Sqlite::open(&path).await, Err(StoreError::Unavailable(_))));
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("a letter"));
    }

    #[tokio::test]
    async fn a_backup_is_a_database_with_everything_that_was_committed() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(Sqlite::open(&folder.path().join("live.sqlite3")).await.unwrap());
        let store = suite::store(Arc::clone(&engine) as Arc<dyn Engine>).await;
        store.insert(&suite::pet("1", "ada")).await.unwrap();
        let copy = folder.path().join("copy.sqlite3");
        engine.backup(&copy).await.unwrap();
        assert!(engine.backup(&copy).await.is_err(), "an older backup is not overwritten");
        let restored = suite::store(Arc::new(Sqlite::open(&copy).await.unwrap())).await;
        assert_eq!(restored.get::<suite::Pet>("1").await.unwrap().unwrap().value, suite::pet("1", "ada"));
    }

    #[tokio::test]
    async fn while_another_holds_the_file_commits_are_refused_in_time_and_then_work_again() {
        let (folder, engine) = fresh().await;
        let store = suite::store(engine).await;
        store.insert(&suite::pet("1", "ada")).await.unwrap();
        let other = Connection::open(folder.path().join("data/test.sqlite3")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let started = std::time::Instant::now();
        let (first, second) = (suite::pet("2", "bob"), suite::pet("3", "eve"));
        let (one, two) = tokio::join!(store.insert(&first), store.insert(&second));
        for refused in [one, two] {
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        assert!(store.get::<suite::Pet>("1").await.unwrap().is_some(), "reading goes on");
        other.execute_batch("COMMIT").unwrap();
        store.insert(&first).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_refuses_commits_whole_until_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(Sqlite::open(&folder.path().join("test.sqlite3")).await.unwrap());
        let store = suite::store(Arc::clone(&engine) as Arc<dyn Engine>).await;
        store.insert(&suite::pet("1", "ada")).await.unwrap();
        // As many pages as there are now: the answer of SQLite is that of a full disk.
        let limit = async |pages: i64| {
            let set = move |c: &Connection| c.pragma_update(None, "max_page_count", pages).map_err(failed);
            engine.write(set).await.unwrap();
        };
        limit(1).await;
        let large = suite::pet("2", &"bob ".repeat(20_000));
        let both = || crate::Changes::new().insert(&suite::pet("3", "eve")).insert(&large);
        let refused = store.commit(both()).await.unwrap_err();
        assert!(format!("{refused:?}").contains("DiskFull"), "{refused:?}");
        assert_eq!(store.count::<suite::Pet>(&Query::default()).await.unwrap(), 1);
        limit(1_000_000).await;
        store.commit(both()).await.unwrap();
        assert_eq!(store.count::<suite::Pet>(&Query::default()).await.unwrap(), 3);
    }
}
