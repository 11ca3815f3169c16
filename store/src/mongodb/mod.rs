//! MongoDB: a replica set (one member is enough), because commits of several writes are transactions.
//!
//! Writes are acknowledged by a majority, reads see what a majority has, from the primary. Every call ends within
//! [`CALL_TIMEOUT`], whatever the servers do; the driver finds them again by itself.
#![expect(clippy::disallowed_methods, reason = "shell: waits for servers, but not for ever")]

mod bson;
mod lease;
mod read;
mod schema;
mod snapshot;
mod write;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use mongodb::action::Find;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{Acknowledgment, ClientOptions, Hint, ReadConcern, WriteConcern};
use mongodb::options::{ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};

use crate::engine::{Snapshot, Write};
use crate::words::FEW;
use crate::{Collection, Engine, Query, StoreError, Stored};

use self::bson::WORDS;

/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a call waits for a primary.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the way to one server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the database is prepared until that is an error, and how long after the try before: an election takes some seconds.
const PREPARE_TRIES: u32 = 5;
const PREPARE_AGAIN: Duration = Duration::from_secs(2);
/// Connections at once to each server, unless the URI says otherwise (`maxPoolSize`).
const CONNECTIONS: u32 = 32;
/// The database, unless the URI names one.
const DATABASE: &str = "millrace";

/// A MongoDB database.
pub struct MongoDb(Database);

impl MongoDb {
    /// Connects to the database of a URI. The URI's password is in no error.
    ///
    /// # Errors
    /// It is no URI, no server answers, or the server is not a member of a replica set.
    pub async fn open(uri: &str) -> Result<Self, StoreError> {
        let options = within(async {
            // The driver's own error may repeat a part of the URI.
            let parsed = ClientOptions::parse(uri).await;
            parsed.map_err(|err| StoreError::unavailable(unreadable(&err)))
        });
        let mut options = options.await?;
        options.app_name.get_or_insert_with(|| "millrace".to_owned());
        options.server_selection_timeout = Some(SELECTION_TIMEOUT);
        options.connect_timeout = Some(CONNECT_TIMEOUT);
        options.max_pool_size.get_or_insert(CONNECTIONS);
        options.max_connecting.get_or_insert(8);
        options.read_concern = Some(ReadConcern::majority());
        options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).build());
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let database = Client::with_options(options).map_err(failed)?.database(&name);
        let hello = within(async { database.run_command(doc! { "hello": 1 }).await.map_err(failed) }).await?;
        let has_transactions =
            hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|text| text == "isdbgrid");
        if !has_transactions {
            return Err(StoreError::unavailable(
                "this MongoDB server is no member of a replica set; start it with --replSet rs0 and run \
                 rs.initiate() once (one member is enough)",
            ));
        }
        Ok(Self(database))
    }

    async fn all(
        &self,
        collection: &'static Collection,
        find: Find<'_, Document>,
    ) -> Result<Vec<Stored>, StoreError> {
        within(async {
            let mut cursor = find.projection(doc! { WORDS: 0 }).await.map_err(failed)?;
            let mut all = Vec::new();
            while cursor.advance().await.map_err(failed)? {
                all.push(bson::read(collection, cursor.deserialize_current().map_err(failed)?)?);
            }
            Ok(all)
        })
        .await
    }
}

/// The driver's last handle says goodbye to the servers in a task of its own when it is dropped. That is at the end of the
/// process, when the runtime may have dropped the pool of connections before that task, which then panics (mongodb 3.9.1,
/// `cmap/connection_requester.rs`). So it is never dropped; servers forget sessions that nobody uses within half an hour.
impl Drop for MongoDb {
    fn drop(&mut self) {
        std::mem::forget(self.0.client().clone());
    }
}

#[async_trait]
impl Engine for MongoDb {
    async fn prepare(&self, collections: &[&'static Collection]) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match lease::hold(&self.0, schema::prepare(&self.0, collections)).await {
                // The driver does most calls again by itself when the primary is another, but those for collections and indexes.
                Err(StoreError::Unavailable(err)) if tries < PREPARE_TRIES => {
                    tracing::warn!(%err, "could not prepare the database; trying again");
                    tokio::time::sleep(PREPARE_AGAIN).await;
                }
                done => return done,
            }
        }
    }

    async fn get(&self, collection: &'static Collection, id: &str) -> Result<Option<Stored>, StoreError> {
        within(async {
            let documents = self.0.collection::<Document>(collection.name);
            let found = documents.find_one(doc! { "_id": id }).projection(doc! { WORDS: 0 }).await;
            found.map_err(failed)?.map(|kept| bson::read(collection, kept)).transpose()
        })
        .await
    }

    async fn find(&self, collection: &'static Collection, query: &Query) -> Result<Vec<Stored>, StoreError> {
        let (Some(asked), Some(limit)) = (read::find(collection, query), limited(query.limit)) else {
            return Ok(Vec::new());
        };
        let documents = self.0.collection::<Document>(collection.name);
        let mut find = documents.find(asked.filter).sort(asked.sort).limit(limit);
        if let Some(index) = asked.index {
            find = find.hint(Hint::Name(index));
        }
        self.all(collection, find).await
    }

    async fn count(&self, collection: &'static Collection, query: &Query) -> Result<u64, StoreError> {
        let Some(filter) = read::equal(query) else { return Ok(0) };
        let documents = self.0.collection::<Document>(collection.name);
        within(async { documents.count_documents(filter).await.map_err(failed) }).await
    }

    async fn search(
        &self,
        collection: &'static Collection,
        text: &str,
        query: &Query,
    ) -> Result<Vec<Stored>, StoreError> {
        let (Some(matching), Some(asked), Some(limit)) =
            (read::search(collection, text), read::find(collection, query), limited(query.limit))
        else {
            return Ok(Vec::new());
        };
        let documents = self.0.collection::<Document>(collection.name);
        let by_words = || Hint::Name(WORDS.to_owned());
        let count = documents.count_documents(matching.clone()).limit(FEW as u64 + 1).hint(by_words());
        let few = within(async { count.await.map_err(failed) }).await? <= FEW as u64;
        let hint = match asked.index {
            _ if few => by_words(),
            Some(index) => Hint::Name(index),
            None => Hint::Name("_id_".to_owned()),
        };
        let mut filter = asked.filter;
        filter.extend(matching);
        self.all(collection, documents.find(filter).sort(asked.sort).limit(limit).hint(hint)).await
    }

    async fn commit(&self, writes: Vec<(&'static Collection, Write)>) -> Result<(), StoreError> {
        within(write::commit(&self.0, &writes)).await
    }

    async fn remove_below(
        &self,
        collection: &'static Collection,
        field: &'static str,
        below: i64,
        limit: usize,
    ) -> Result<u64, StoreError> {
        within(write::remove_below(&self.0, collection, field, below, limit)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        within(async { self.0.run_command(doc! { "ping": 1 }).await.map(drop).map_err(failed) }).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(snapshot::MongoSnapshot::begin(&self.0).await?))
    }

    async fn load(&self, collection: &'static Collection, documents: Vec<Stored>) -> Result<(), StoreError> {
        within(write::load(&self.0, collection, &documents)).await
    }
}

/// Ends what takes too long.
async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(CALL_TIMEOUT, work).await.unwrap_or_else(|_| {
        Err(StoreError::unavailable(format!("no answer within {} s", CALL_TIMEOUT.as_secs())))
    })
}

/// To MongoDB, 0 means no limit.
fn limited(limit: usize) -> Option<i64> {
    (limit > 0).then(|| i64::try_from(limit).unwrap_or(i64::MAX))
}

fn failed(err: Error) -> StoreError {
    StoreError::unavailable(err)
}

/// Why a URI cannot be used, in words that are not from it.
fn unreadable(err: &Error) -> String {
    match err.kind.as_ref() {
        ErrorKind::DnsResolve { .. } => "the servers of the MongoDB URI cannot be found in DNS".to_owned(),
        _ => "the MongoDB URI cannot be read; write mongodb://HOST/DATABASE, and in names and passwords % and two \
              hexadecimal digits for each of : / ? # [ ] @ %"
            .to_owned(),
    }
}
