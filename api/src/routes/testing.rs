//! A site with people and a channel, and how tests ask it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::bus::{Bus, Subscription, Topic};
use millrace_core::event::EventBody;
use millrace_core::ladder::{LadderMode, LadderPlan};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::ApiState;
use crate::accounts::Role;
use crate::channels::ChannelsConfig;
use crate::directory::tests::started;
use crate::state::testing::TestClock;
use crate::studio::Studio;

/// A site with one of everybody, and channel `studio` of ada's with bob as its moderator.
pub(super) struct World {
    pub(super) state: ApiState,
    pub(super) ada: String,
    pub(super) bob: String,
    pub(super) eve: String,
    pub(super) root: String,
    orders: Subscription,
    bus: Arc<MemoryBus>,
    clock: TestClock,
    pictures: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(ChannelsConfig::default()).await
    }

    pub(super) async fn with(config: ChannelsConfig) -> Self {
        let pictures = tempfile::tempdir().unwrap();
        let bus = MemoryBus::new();
        let orders = bus.subscribe(Topic::Commands);
        let rungs = ["720p", "480p", "360p"].map(str::to_owned).to_vec();
        let ladder = LadderPlan { mode: LadderMode::OnDemand, rungs };
        let (state, clock) = ApiState::for_tests_with(|setup| setup.ladder = ladder).await;
        let studio = Studio::new(state.store().clone(), bus.clone(), "test".parse().unwrap(), config);
        let state = state.with_studio(Arc::new(studio.with_folder(pictures.path())));
        let ada = state.sign_in_for_tests("ada", Role::Streamer).await.1;
        let bob = state.sign_in_for_tests("bob", Role::Viewer).await.1;
        let eve = state.sign_in_for_tests("eve", Role::Viewer).await.1;
        let root = state.sign_in_for_tests("root", Role::Admin).await.1;
        let mut world = Self { state, ada, bob, eve, root, orders, bus, clock, pictures };
        world.make("studio").await;
        let appointed = world.ask("PUT", "/api/v1/channels/studio/moderators/bob", &world.ada, None).await;
        assert_eq!(appointed.0, 204);
        assert!(matches!(world.order().await, EventBody::ChannelUpdated(_)), "chat hears who moderates");
        world
    }

    /// What chat is told from now on.
    pub(super) fn chat(&self) -> Subscription {
        self.bus.subscribe(Topic::Chat)
    }

    /// So much later.
    pub(super) fn pass(&self, ms: i64) {
        self.clock.advance_ms(ms);
    }

    /// The folder of objects.
    pub(super) fn pictures(&self) -> &std::path::Path {
        self.pictures.path()
    }

    pub(super) async fn make(&self, name: &str) {
        let made = self.ask("POST", "/api/v1/channels", &self.ada, Some(json!({ "name": name }))).await;
        assert_eq!(made.0, 201, "{}", made.1);
    }

    pub(super) async fn ask(&self, method: &str, uri: &str, who: &str, body: Option<Value>) -> (u16, Value) {
        let mut request =
            Request::builder().method(method.parse::<Method>().unwrap()).uri(uri).header("host", "here");
        if who.is_empty() {
            request = request.header("origin", "http://here");
        } else {
            request = request.header("authorization", who);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let response = crate::router(self.state.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    pub(super) fn live(&self, channel: &str) {
        let mut directory = self.state.directory.write().unwrap();
        directory.apply(&started(channel, 1));
    }

    #[expect(clippy::disallowed_methods, reason = "an order that does not come fails the test")]
    pub(super) async fn order(&mut self) -> EventBody {
        let patience = std::time::Duration::from_secs(5);
        tokio::time::timeout(patience, self.orders.next()).await.unwrap().unwrap().body.clone()
    }
}
