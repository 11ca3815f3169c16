//! REST API under `/api/v1`, its OpenAPI 3.1 description, and the embedded web app.
//!
//! Knows broadcasts only from the bus: [`directory::Directory`] is what their events add up to.
#![warn(missing_docs)]

pub mod accounts;
pub mod auth;
mod batches;
pub mod browse;
pub mod channels;
pub mod chat;
pub mod config;
pub mod directory;
pub mod error;
pub mod mail;
pub mod network;
pub mod notices;
pub mod oauth;
pub mod outgoing;
pub mod picture;
pub mod playback;
pub mod publish;
pub mod push;
pub mod raids;
pub mod reports;
pub mod routes;
pub mod schedule;
pub mod settings;
pub mod site;
mod state;
pub mod studio;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod viewers;
pub mod web;
pub mod webhooks;

use axum::Router;

pub use crate::state::{ApiState, Setup};

/// Every route of this crate: the API, its description, and the web app.
pub fn router(state: ApiState) -> Router {
    Router::new().merge(routes::router(state)).merge(web::router())
}
