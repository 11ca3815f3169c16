//! Reading everything as it was at one moment.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use mongodb::options::{ReadConcern, SessionOptions};
use mongodb::{ClientSession, Database};

use super::bson::{self, WORDS};
use super::{failed, limited, read, within};
use crate::engine::Snapshot;
use crate::{After, Collection, Query, StoreError, Stored};

/// A session whose reads all see the moment of the first. The server remembers it for five minutes
/// (`minSnapshotHistoryWindowInSeconds`).
pub(super) struct MongoSnapshot {
    database: Database,
    session: ClientSession,
}

impl MongoSnapshot {
    pub(super) async fn begin(database: &Database) -> Result<Self, StoreError> {
        let options = SessionOptions::builder().snapshot(true).build();
        let session =
            within(async { database.client().start_session().with_options(options).await.map_err(failed) });
        Ok(Self { database: database.clone(), session: session.await? })
    }
}

#[async_trait]
impl Snapshot for MongoSnapshot {
    async fn page(
        &mut self,
        collection: &'static Collection,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let after = after.map(|id| After { value: serde_json::Value::Null, id: id.to_owned() });
        let query = Query::first(limit).after(after);
        let (Some(read::Find { filter, sort, .. }), Some(limit)) =
            (read::find(collection, &query), limited(limit))
        else {
            return Ok(Vec::new());
        };
        let documents = self.database.collection::<Document>(collection.name);
        let session = &mut self.session;
        within(async {
            // The driver does not put it in the place of what the client asks for otherwise.
            let find = documents
                .find(filter)
                .read_concern(ReadConcern::snapshot())
                .sort(sort)
                .limit(limit)
                .projection(doc! { WORDS: 0 });
            let mut cursor = find.session(&mut *session).await.map_err(failed)?;
            let mut page = Vec::new();
            while cursor.advance(session).await.map_err(failed)? {
                page.push(bson::read(collection, cursor.deserialize_current().map_err(failed)?)?);
            }
            Ok(page)
        })
        .await
    }
}
