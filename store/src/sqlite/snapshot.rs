//! Reading everything as it was at one moment.

use std::path::Path;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};

use super::{blocking, connect, failed, read};
use crate::engine::Snapshot;
use crate::{After, Collection, Query, StoreError, Stored};

/// A connection of its own, in a read transaction.
pub(super) struct SqliteSnapshot(Option<Connection>);

impl SqliteSnapshot {
    pub(super) fn begin(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        // A transaction sees the moment of its first read.
        connection.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1").map_err(failed)?;
        Ok(Self(Some(connection)))
    }
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    async fn page(
        &mut self,
        collection: &'static Collection,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let after = after.map(|id| After { value: serde_json::Value::Null, id: id.to_owned() });
        let query = Query::first(limit).after(after);
        // Absent when an earlier page was abandoned.
        let connection = self.0.take().ok_or_else(|| StoreError::unavailable("the snapshot is gone"))?;
        let (connection, page) = blocking(move || {
            let page = read::find(&connection, collection, &query);
            Ok((connection, page))
        })
        .await?;
        self.0 = Some(connection);
        page
    }
}
