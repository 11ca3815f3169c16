//! REST API under `/api/v1`, its OpenAPI 3.1 description, and the embedded web app.
//!
//! Knows broadcasts only from the bus: [`directory::Directory`] is what their events add up to.
#![warn(missing_docs)]

pub mod accounts;
pub mod directory;
pub mod routes;
pub mod web;

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use millrace_core::bus::{Bus, Topic};
use tokio_util::sync::CancellationToken;

use crate::directory::Directory;

/// What the handlers share.
#[derive(Debug, Clone, Default)]
pub struct ApiState {
    directory: Arc<RwLock<Directory>>,
}

impl ApiState {
    /// Looks at the directory.
    pub fn with_directory<T>(&self, look: impl FnOnce(&Directory) -> T) -> T {
        look(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the directory up to date from the bus until `shutdown`. Subscribes before it returns the future, so
    /// that no event after this call is missed.
    pub fn follow(
        &self,
        bus: &dyn Bus,
        shutdown: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut events = bus.subscribe(Topic::Streams);
        let directory = Arc::clone(&self.directory);
        async move {
            while let Some(Some(event)) = shutdown.run_until_cancelled(events.next()).await {
                directory.write().unwrap_or_else(PoisonError::into_inner).apply(&event);
            }
        }
    }
}

/// Every route of this crate: the API, its description, and the web app.
pub fn router(state: ApiState) -> Router {
    Router::new().merge(routes::router(state)).merge(web::router())
}
