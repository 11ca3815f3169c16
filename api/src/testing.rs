//! A store of its own for each test: on SQLite, or on a real MongoDB when `MILLRACE_TEST_STORE` is `mongodb`. Every test of
//! this crate holds on both.

use millrace_store::{Location, Store};
use millrace_test_services::mongodb;
use tempfile::TempDir;

use crate::accounts::COLLECTIONS;

/// What kind of store a test keeps things in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    MongoDb,
}

impl Kind {
    /// That of this run of the tests.
    pub(crate) fn of_tests() -> Self {
        match std::env::var("MILLRACE_TEST_STORE").as_deref() {
            Ok("mongodb") => Self::MongoDb,
            Ok("sqlite") | Err(_) => Self::Sqlite,
            Ok(other) => panic!("MILLRACE_TEST_STORE is {other:?}; set it to sqlite or mongodb"),
        }
    }
}

/// Where one test keeps things; gone when it is dropped.
pub(crate) struct Home {
    folder: TempDir,
    database: Option<mongodb::Fresh>,
}

impl Home {
    /// A new and empty one.
    pub(crate) async fn on(kind: Kind) -> Self {
        let database = match kind {
            Kind::Sqlite => None,
            Kind::MongoDb => Some(mongodb::Fresh::new().await),
        };
        Self { folder: TempDir::new().unwrap(), database }
    }

    /// Opens the store that is there, without preparing it for anything.
    pub(crate) async fn engine(&self) -> std::sync::Arc<dyn millrace_store::Engine> {
        let location = match &self.database {
            Some(database) => Location::MongoDb(database.uri().to_owned()),
            None => Location::Sqlite,
        };
        millrace_store::open(&location, self.folder.path()).await.unwrap()
    }
}

/// An empty store with the collections of this crate. It lives as long as its home.
pub(crate) async fn store() -> (Home, Store) {
    let home = Home::on(Kind::of_tests()).await;
    let store = Store::new(home.engine().await, COLLECTIONS).await.unwrap();
    (home, store)
}
