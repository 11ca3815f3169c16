//! Which engine a setting means.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Engine, StoreError};

/// `MILLRACE_STORE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file in the data directory.
    Sqlite,
    /// A MongoDB URI. It may hold a password.
    MongoDb(String),
}

/// Neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write sqlite, or mongodb://HOST/DATABASE")]
pub struct LocationError;

impl std::str::FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            uri if uri.starts_with("mongodb://") || uri.starts_with("mongodb+srv://") => {
                Ok(Self::MongoDb(uri.to_owned()))
            }
            _ => Err(LocationError),
        }
    }
}

/// The SQLite file of a data directory.
#[must_use]
pub fn sqlite_path(data_dir: &Path) -> PathBuf {
    data_dir.join("millrace.sqlite3")
}

/// Opens the engine.
///
/// # Errors
/// [`StoreError::Unavailable`] when the file cannot be opened or the server does not answer.
pub async fn open(location: &Location, data_dir: &Path) -> Result<Arc<dyn Engine>, StoreError> {
    match location {
        Location::Sqlite => Ok(Arc::new(crate::sqlite::Sqlite::open(&sqlite_path(data_dir)).await?)),
        Location::MongoDb(_) => Err(StoreError::unavailable("MongoDB is not built in yet")),
    }
}
