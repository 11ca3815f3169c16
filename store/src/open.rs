//! Which engine a setting means.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Engine, StoreError};

/// `MILLRACE_STORE`.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file in the data directory.
    Sqlite,
    /// A MongoDB URI. It may hold a password.
    MongoDb(String),
}

/// Never a password: only where it is.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::MongoDb(uri) = self else { return f.write_str("sqlite") };
        let (scheme, rest) = uri.split_once("://").unwrap_or(("mongodb", ""));
        let (person, servers) =
            rest.rsplit_once('@').map_or(("", rest), |(_, servers)| ("[redacted]@", servers));
        let servers = servers.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{person}{servers}")
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no store; write sqlite, or mongodb://HOST/DATABASE")]
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
        assert_eq!(format!("{location:?}"), "mongodb://[redacted]@db.example.org/live");
        let location: Location =
            "mongodb+srv://ada:s@c:r?t@db/?tlsCertificateKeyFilePassword=x".parse().unwrap();
        assert_eq!(format!("{location}"), "mongodb+srv://[redacted]@db/");
        assert_eq!(
            Location::MongoDb("mongodb://db:1,db:2/a?w=1".into()).to_string(),
            "mongodb://db:1,db:2/a"
        );
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
