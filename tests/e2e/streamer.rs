//! Somebody with an account, a channel and a stream key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_api::accounts::{COLLECTIONS, Role, User};
use millrace_api::auth::tokens::{ApiToken, Tokens};
use millrace_api::auth::{Scope, Secret};
use millrace_core::ids::UserId;
use millrace_store::{Location, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::Server;
use crate::topology::{self, Shared};
use crate::wait::until;

/// Longest wait for anything on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Nobody publishes without a key.
pub(crate) const KEYS: &[(&str, &str)] = &[("MILLRACE_PUBLISH_AUTH", "keys")];

/// Keeps an account called ada; a token of it that may read and do what belongs to channels.
pub(crate) async fn account(store: Store, role: Role) -> Secret {
    let token = Secret::random("mr_");
    let id: UserId = "0198c6d2-0000-7000-8000-000000000001".parse().unwrap();
    let user = User {
        id,
        name: "ada".parse().unwrap(),
        display_name: "Ada".to_owned(),
        email: None,
        new_email: None,
        email_verified: false,
        password: None,
        role,
        bio: String::new(),
        avatar: None,
        created_at: 1,
        banned_at: None,
    };
    store.insert(&user).await.unwrap();
    let record = ApiToken {
        id: id.0,
        user: id,
        name: "test".to_owned(),
        hash: token.hash(),
        hint: String::new(),
        scopes: [Scope::Read, Scope::Channels].into_iter().collect(),
        created_at: 1,
        last_used_at: None,
        expires_at: None,
    };
    Tokens::new(store).add(&record).await.unwrap();
    token
}

/// A server with an account, and what that account does.
pub(crate) struct Streamer {
    pub(crate) server: Server,
    token: Secret,
    client: reqwest::Client,
}

impl Streamer {
    pub(crate) async fn new(settings: &[(&str, &str)]) -> Self {
        Self::at(&Location::Sqlite, settings).await
    }

    /// The same on another store, which `settings` name too.
    pub(crate) async fn at(location: &Location, settings: &[(&str, &str)]) -> Self {
        let data = Arc::new(TempDir::new().unwrap());
        let location = match location {
            Location::Sqlite if topology::is_split() => {
                &Location::MongoDb(Shared::of(data.path()).await.store)
            }
            location => location,
        };
        let engine = millrace_store::open(location, data.path()).await.unwrap();
        let token = account(Store::new(engine, COLLECTIONS).await.unwrap(), Role::Streamer).await;
        let server = Server::start_in(data, settings).await;
        let client = crate::http::client().pool_max_idle_per_host(0).build().unwrap();
        Self { server, token, client }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = self.server.url(&format!("/api/v1{path}"));
        let request = self.client.request(method.parse().unwrap(), url).bearer_auth(self.token.reveal());
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// What it shows to the API.
    pub(crate) fn token(&self) -> &str {
        self.token.reveal()
    }

    /// A new key: its id and its secret.
    pub(crate) async fn key(&self) -> (String, String) {
        self.key_of("studio").await
    }

    /// The same of another channel.
    pub(crate) async fn key_of(&self, channel: &str) -> (String, String) {
        let path = format!("/channels/{channel}/keys");
        let (status, key) = self.ask("POST", &path, Some(json!({ "name": "ffmpeg" }))).await;
        assert_eq!(status, 201, "{key}");
        (key["id"].as_str().unwrap().to_owned(), key["secret"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn live(&self) -> Value {
        until("the channel is live and listed", SOON, || async {
            let (_, page) = self.ask("GET", "/streams", None).await;
            page["items"].as_array()?.iter().find(|stream| stream["channel"] == "studio").cloned()
        })
        .await
    }

    /// Waits until the channel is not live any more; how long that took.
    pub(crate) async fn over(&self) -> Duration {
        let begun = Instant::now();
        until("the broadcast is over", SOON, || async {
            (self.ask("GET", "/streams/studio", None).await.0 == 404).then_some(())
        })
        .await;
        begun.elapsed()
    }
}
