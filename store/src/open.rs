//! Which engine a setting means.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Engine, StoreError};

/// `MILLRACE_STORE`.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file in the data directory.
    Sqlite,
    /// A MongoDB URI. It may hold a password.
    MongoDb(String),
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::MongoDb(_) => "mongodb://[redacted]",
        })
    }
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
        Location::MongoDb(uri) => Ok(Arc::new(crate::mongodb::MongoDb::open(uri).await?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_never_shows_a_password() {
        let location: Location = "mongodb://ada:secret@db.example.org/live".parse().unwrap();
        assert_eq!(format!("{location:?}"), "mongodb://[redacted]");
        assert!("mysql://db".parse::<Location>().is_err());
        assert_eq!("sqlite".parse(), Ok(Location::Sqlite));
    }

    #[tokio::test]
    async fn a_uri_that_cannot_be_read_is_not_repeated() {
        for uri in ["mongodb://ada:sec:ret@db", "mongodb://ada:secret@db:port/live", "mongodb://secret@"] {
            let Err(err) = open(&Location::MongoDb(uri.to_owned()), Path::new("")).await else {
                panic!("{uri} was taken");
            };
            let all = format!("{err} {err:?}");
            assert!(!all.contains("sec") && !all.contains("ada"), "{all}");
        }
    }
}
