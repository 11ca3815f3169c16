//! Lets one process at a time prepare the database.
#![expect(clippy::disallowed_methods, reason = "shell: waits for its turn and renews the lease")]

use std::future::Future;
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::ReturnDocument;

use super::failed;
use crate::StoreError;

/// The collection of the lease: `{ _id: "prepare", owner, until }`. The server's clock counts.
const LEASES: &str = "_lease";
const ID: &str = "prepare";
/// How long it is held without being renewed: what others wait when a process dies while it prepares.
const TERM: Duration = Duration::from_secs(30);
const RENEW_EVERY: Duration = Duration::from_secs(8);
/// How often somebody who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long somebody waits: migrations of another process may take a while.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
const DUPLICATE_KEY: i32 = 11000;

/// Does `work` while nobody else does.
pub(super) async fn hold<T>(
    database: &Database,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let owner = format!("{:032x}", rand::random::<u128>());
    let wait = async {
        while !take(database, &owner).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(taken) => taken?,
        Err(_) => {
            return Err(StoreError::unavailable("another process prepares the database and does not end"));
        }
    }
    let keep = async {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            match take(database, &owner).await {
                Ok(true) => {}
                Ok(false) => return StoreError::unavailable("lost the lease while preparing the database"),
                Err(err) => return err,
            }
        }
    };
    let done = tokio::select! {
        done = work => done,
        lost = keep => Err(lost),
    };
    let released = doc! { "_id": ID, "owner": &owner };
    if let Err(err) = database.collection::<Document>(LEASES).delete_one(released).await {
        tracing::debug!(err = %err, "could not give the lease back; it runs out");
    }
    done
}

/// Takes or renews it; whether it is ours.
async fn take(database: &Database, owner: &str) -> Result<bool, StoreError> {
    let term = i64::try_from(TERM.as_millis()).unwrap_or(i64::MAX);
    let is_free = doc! { "$or": [
        { "$eq": ["$owner", owner] },
        { "$lt": [{ "$ifNull": ["$until", DateTime::MIN] }, "$$NOW"] },
    ] };
    let taken = vec![doc! { "$set": {
        "owner": { "$cond": [&is_free, owner, "$owner"] },
        "until": { "$cond": [&is_free, { "$add": ["$$NOW", term] }, "$until"] },
    } }];
    let leases = database.collection::<Document>(LEASES);
    let update = leases.find_one_and_update(doc! { "_id": ID }, taken);
    match update.upsert(true).return_document(ReturnDocument::After).await {
        Ok(lease) => Ok(lease.is_some_and(|lease| lease.get_str("owner").is_ok_and(|now| now == owner))),
        // Two made it at once.
        Err(err) if is_duplicate(&err) => Ok(false),
        Err(err) => Err(failed(err)),
    }
}

fn is_duplicate(err: &Error) -> bool {
    match err.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code == DUPLICATE_KEY,
        ErrorKind::Command(command) => command.code == DUPLICATE_KEY,
        _ => false,
    }
}
