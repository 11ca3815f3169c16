//! The HTTP origin: playlists that wait for media, parts, segments.
//!
//! A request reads an immutable view; when what it asks for is not there yet, it waits on that rendition's `watch`
//! until the view has it. So a viewer costs a wake-up and a write, and neither the packager nor another stream ever
//! waits for a viewer.
//!
//! | Rule | Clause |
//! |---|---|
//! | blocking playlist reload | RFC 8216bis-22 §6.2.5.2 |
//! | hinted parts | RFC 8216bis-22 §6.2.6 |
//! | caching | RFC 8216bis-22 appendix B.1 |
//! | ranges, validators | RFC 9110 §13, §14 |
//! | playback tokens | [`millrace_core::playback`] |
//!
//! What another node has is asked there: `peer`.
#![expect(clippy::disallowed_methods, reason = "shell: waits for media and reads the clock for its latency")]

mod answer;
mod blocked;
mod body;
mod catalog;
mod front;
mod metrics;
mod name;
mod peer;
mod stills;
#[cfg(test)]
mod tests;
mod view;
mod viewers;

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use jiff::Timestamp;
use millrace_core::ids::ChannelName;
use millrace_core::nodes::Elsewhere;
use millrace_core::playback::{Access, PlaybackKeys, TokenError};
use millrace_http::front::FrontBody;
use tokio::sync::watch;

use crate::playlist::Directives;
use crate::window::{Cache, Found, Request};
use answer::{Refusal, Wish};
use blocked::Blocked;
use body::Chain;
pub use catalog::{Broadcast, Catalog};
use front::routed;
use metrics::Kind;
pub use metrics::Metrics;
pub use name::MediaName;
use peer::{Peers, Want};
use stills::StillName;
pub(crate) use view::StoryboardView;
pub use view::{Rendered, View};

/// The origin of this process. Clones share it.
#[derive(Clone)]
pub struct Origin(Arc<Shared>);

struct Shared {
    catalog: Catalog,
    blocked: Blocked,
    metrics: Metrics,
    /// `None` where there are no other nodes.
    peers: Option<Arc<Peers>>,
    /// Random per process: nobody can tell from the bits of a viewer count who watched.
    salt: RandomState,
    config: OriginConfig,
}

/// Takes a channel and the hash of a viewer.
type Seen = dyn Fn(&ChannelName, u64) + Send + Sync;

/// Who is told of viewers of what is live on other nodes.
#[derive(Clone)]
pub struct SeenElsewhere(pub Arc<Seen>);

impl std::fmt::Debug for SeenElsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeenElsewhere")
    }
}

/// What an origin is told.
#[derive(Debug, Clone)]
pub struct OriginConfig {
    /// Requests that may wait for media at once.
    pub max_blocked_requests: usize,
    /// Whether players that do not beat are counted by their requests: not behind a cache, which asks once for all of
    /// them.
    pub counts_requests: bool,
    /// What verifies playback tokens; without it, nothing that needs one can be fetched.
    pub playback_keys: Option<PlaybackKeys>,
    /// What is live on other nodes, which then are asked for it; `None` where there are none.
    pub elsewhere: Option<watch::Receiver<Arc<Elsewhere>>>,
    /// Is told of players that are counted by their requests for what is live on other nodes.
    pub seen_elsewhere: Option<SeenElsewhere>,
    /// Bytes of other nodes' answers that are kept for those who ask a moment later.
    pub hop_cache_bytes: u64,
    /// Most bytes of one such answer.
    pub hop_max_bytes: u64,
}

impl Default for OriginConfig {
    fn default() -> Self {
        let hls = crate::config::Config::default();
        Self {
            max_blocked_requests: hls.max_blocked_requests,
            counts_requests: hls.count_requests,
            playback_keys: None,
            elsewhere: None,
            seen_elsewhere: None,
            hop_cache_bytes: hls.hop_cache_bytes,
            hop_max_bytes: hls.max_stream_bytes,
        }
    }
}

/// Media of a rendition, or why not.
type Answer<T> = Result<T, Refusal>;

/// An answer of what is in memory.
type Made = Response<Chain>;

/// What the router answers.
type Routed = Response<axum::body::Body>;

/// What waiting came to.
struct Awaited {
    view: Arc<View>,
    found: Found,
    waited: bool,
}

impl Origin {
    /// An origin without broadcasts. Metrics go to the recorder that is installed now.
    #[must_use]
    pub fn new(config: OriginConfig) -> Self {
        let metrics = Metrics::new();
        Self(Arc::new(Shared {
            catalog: Catalog::default(),
            blocked: Blocked::new(config.max_blocked_requests, metrics.blocked.clone()),
            metrics,
            peers: Peers::new(&config),
            salt: RandomState::new(),
            config,
        }))
    }

    /// The broadcasts.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Requests that wait right now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.blocked.waiting()
    }

    /// Awaits the view in which `request` finds something.
    async fn find(&self, view: &watch::Sender<Arc<View>>, request: Request) -> Answer<Awaited> {
        let now = Arc::clone(&view.borrow());
        match now.snapshot.find(&request) {
            Found::NotYet => {}
            found => return Ok(Awaited { view: now, found, waited: false }),
        }
        let _slot = self.0.blocked.take().ok_or(Refusal::TooManyWait)?;
        let longest = now.snapshot.longest_wait();
        drop(now);
        let mut views = view.subscribe();
        let mut found = Found::NotYet;
        let there = views.wait_for(|view| {
            found = view.snapshot.find(&request);
            found != Found::NotYet
        });
        match tokio::time::timeout(longest, there).await {
            Err(_) => Err(Refusal::WaitedTooLong),
            Ok(Err(_)) => Err(Refusal::Gone),
            Ok(Ok(view)) => {
                let view = Arc::clone(&view);
                Ok(Awaited { view, found, waited: true })
            }
        }
    }

    /// The channel, for whoever may fetch its media.
    fn channel(&self, target: &Target<'_>) -> Answer<Opened> {
        let name: ChannelName = target.channel.parse().map_err(|_| Refusal::NotFound)?;
        let channel = self.0.catalog.channel(&name);
        let Some(channel) = channel else { return Err(Refusal::NotLive(name)) };
        let seconds_left = self.admit(target.token, &name, channel.access())?;
        Ok(Opened { name, channel, seconds_left })
    }

    /// How long who asks may fetch media of the channel; for ever if that needs no token.
    fn admit(&self, token: Option<&str>, name: &ChannelName, access: Access) -> Answer<Option<u64>> {
        if access == Access::Open {
            return Ok(None);
        }
        // Whoever has no token of ours does not learn that the channel is live.
        let (Some(token), Some(keys)) = (token, &self.0.config.playback_keys) else {
            return Err(Refusal::NotLive(name.clone()));
        };
        match keys.verify(token, name, Timestamp::now().as_second()) {
            Ok(left) => Ok(Some(left)),
            Err(TokenError::Invalid) => Err(Refusal::NotLive(name.clone())),
            Err(TokenError::Expired) => Err(Refusal::TokenExpired),
        }
    }

    async fn multivariant(&self, target: &Target<'_>, wish: &Wish<'_>) -> Answer<Made> {
        if let Some(answer) = self.ask_owner(target, Want::Multivariant, wish).await {
            return answer;
        }
        let opened = self.channel(target)?;
        let live = opened.channel.live().ok_or_else(|| Refusal::NotLive(opened.name.clone()))?;
        let (view, gzip) = (live.multivariant(), wish.gzip());
        let bytes = self.0.metrics.bytes(Kind::Multivariant);
        Ok(opened.finish(answer::playlist(wish, view.playlist(gzip), gzip, answer::ONE_SECOND, bytes)))
    }

    async fn playlist(
        &self,
        target: Target<'_>,
        query: &str,
        wish: &Wish<'_>,
        viewer: Option<u64>,
    ) -> Answer<Made> {
        if let Some(answer) = self.ask_owner(&target, Want::Playlist(query), wish).await {
            if let (Ok(_), Some(viewer), Some(seen)) = (&answer, viewer, &self.0.config.seen_elsewhere)
                && let Ok(channel) = target.channel.parse()
            {
                (seen.0)(&channel, viewer);
            }
            return answer;
        }
        let opened = self.channel(&target)?;
        let broadcast = opened.channel.shown().ok_or_else(|| Refusal::NotLive(opened.name.clone()))?;
        let rendition = broadcast.rendition(target.rendition).ok_or(Refusal::NotFound)?;
        let directives = Directives::parse(query).map_err(Refusal::Malformed)?;
        if let Some(viewer) = viewer {
            broadcast.viewers().saw(viewer);
        }
        let Awaited { view, found, waited } = self.find(rendition, Request::Playlist(directives)).await?;
        self.note_latency(&view, waited);
        match found {
            Found::Playlist { form, cache } => {
                let gzip = wish.gzip();
                let cache = match cache {
                    Cache::Satisfied => broadcast.satisfied_cache(),
                    Cache::Newest => answer::NEWEST,
                };
                let bytes = self.0.metrics.bytes(Kind::Playlist);
                Ok(opened.finish(answer::playlist(wish, view.playlist(form, gzip), gzip, cache, bytes)))
            }
            Found::BadRequest(error) => Err(Refusal::Directive(error)),
            Found::Stopping => Err(Refusal::Stopping),
            Found::Gone | Found::NotYet | Found::Body(_) => Err(Refusal::Gone),
        }
    }

    async fn media(
        &self,
        target: Target<'_>,
        media: MediaName<'_>,
        kind: Kind,
        wish: &Wish<'_>,
    ) -> Answer<Made> {
        if let Some(answer) = self.ask_owner(&target, Want::Media(media, kind), wish).await {
            return answer;
        }
        let opened = self.channel(&target).map_err(|refusal| match refusal {
            Refusal::NotLive(_) => Refusal::Gone,
            refusal => refusal,
        })?;
        let broadcast = opened.channel.with_prefix(media.prefix).ok_or(Refusal::Gone)?;
        let rendition = broadcast.rendition(target.rendition).ok_or(Refusal::NotFound)?;
        let Awaited { view, found, waited } = self.find(rendition, media.request).await?;
        self.note_latency(&view, waited);
        match found {
            Found::Body(chunks) => {
                let content_type = if kind == Kind::Init { answer::MP4 } else { answer::SEGMENT };
                answer::media(wish, target.file, chunks, content_type, self.0.metrics.bytes(kind))
                    .map(|response| opened.finish(response))
            }
            Found::Stopping => Err(Refusal::Stopping),
            _ => Err(Refusal::Gone),
        }
    }

    fn note_latency(&self, view: &View, waited: bool) {
        if let Some(arrived) = view.snapshot.newest_arrival().filter(|_| waited) {
            self.0.metrics.viewer_answered(Instant::now().saturating_duration_since(arrived));
        }
    }

    /// Who asks, if that is counted: our own player says so itself, by its beats. A node is no viewer.
    fn viewer(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<u64> {
        if !self.0.config.counts_requests
            || headers.contains_key(OUR_PLAYER)
            || headers.contains_key(peer::HOP)
        {
            return None;
        }
        Some(self.0.salt.hash_one((peer, headers.get(header::USER_AGENT).map(HeaderValue::as_bytes))))
    }

    fn finish(&self, kind: Kind, answer: Answer<Made>, request: &HeaderMap) -> Response<FrontBody<Chain>> {
        let mut response = match answer {
            Ok(response) => response.map(FrontBody::Front),
            Err(refusal) => refusal.problem().into_response().map(FrontBody::Router),
        };
        peer::unshared(request, &mut response);
        self.0.metrics.request(kind, response.status());
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        headers.insert(TIMING_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response
    }
}

/// What players on other sites may read. `Age` and `Date` let them find out how old a cached playlist is.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("age, cache-control, content-length, content-range, date, etag, retry-after");
/// Our player sends it, with any value.
const OUR_PLAYER: HeaderName = HeaderName::from_static("x-millrace-player");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

/// A path below a channel, and the token in front of it.
#[derive(Clone, Copy, Default)]
struct Target<'a> {
    token: Option<&'a str>,
    channel: &'a str,
    rendition: &'a str,
    file: &'a str,
}

/// A channel whose media may be fetched.
struct Opened {
    name: ChannelName,
    channel: catalog::Channel,
    /// How long the token is good that was needed.
    seconds_left: Option<u64>,
}

impl Opened {
    fn finish(&self, response: Made) -> Made {
        shortened(response, self.seconds_left)
    }
}

/// No cache keeps what a token opened for longer than the token is good.
fn shortened(mut response: Made, seconds_left: Option<u64>) -> Made {
    if let Some(left) = seconds_left {
        answer::keep_at_most(&mut response, left);
    }
    response
}

/// The routes `/live/{channel}/index.m3u8`, `/live/{channel}/{still}` and `/live/{channel}/{rendition}/{file}`, and the same
/// below `/t/{token}`.
pub fn router(origin: Origin) -> Router {
    Router::new()
        .route("/live/{channel}/index.m3u8", get(get_multivariant).options(preflight))
        .route("/live/{channel}/{still}", get(get_still).options(preflight))
        .route("/live/{channel}/{rendition}/{file}", get(get_file).options(preflight))
        .route("/t/{token}/live/{channel}/index.m3u8", get(get_multivariant_by_token).options(preflight))
        .route("/t/{token}/live/{channel}/{still}", get(get_still_by_token).options(preflight))
        .route("/t/{token}/live/{channel}/{rendition}/{file}", get(get_file_by_token).options(preflight))
        .with_state(origin)
}

async fn get_multivariant(
    State(origin): State<Origin>,
    path: Result<Path<String>, PathRejection>,
    request: axum::extract::Request,
) -> Routed {
    let Ok(Path(channel)) = path else { return routed(origin.unknown()) };
    let target = Target { token: None, channel: &channel, rendition: "", file: "" };
    routed(origin.answer_multivariant(target, request).await)
}

async fn get_multivariant_by_token(
    State(origin): State<Origin>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: axum::extract::Request,
) -> Routed {
    let Ok(Path((token, channel))) = path else { return routed(origin.unknown()) };
    let target = Target { token: Some(&token), channel: &channel, rendition: "", file: "" };
    routed(origin.answer_multivariant(target, request).await)
}

async fn get_still(
    State(origin): State<Origin>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: axum::extract::Request,
) -> Routed {
    let Ok(Path((channel, file))) = path else { return routed(origin.unknown()) };
    let target = Target { token: None, channel: &channel, rendition: "", file: &file };
    routed(origin.answer_still(target, request).await)
}

async fn get_still_by_token(
    State(origin): State<Origin>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    request: axum::extract::Request,
) -> Routed {
    let Ok(Path((token, channel, file))) = path else { return routed(origin.unknown()) };
    let target = Target { token: Some(&token), channel: &channel, rendition: "", file: &file };
    routed(origin.answer_still(target, request).await)
}

async fn get_file(
    State(origin): State<Origin>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    request: axum::extract::Request,
) -> Routed {
    let Ok(Path((channel, rendition, file))) = path else { return routed(origin.unknown()) };
    let target = Target { token: None, channel: &channel, rendition: &rendition, file: &file };
    origin.route_file(target, request).await
}

async fn get_file_by_token(
    State(origin): State<Origin>,
    path: Result<Path<(String, String, String, String)>, PathRejection>,
    request: axum::extract::Request,
) -> Routed {
    let Ok(Path((token, channel, rendition, file))) = path else { return routed(origin.unknown()) };
    let target = Target { token: Some(&token), channel: &channel, rendition: &rendition, file: &file };
    origin.route_file(target, request).await
}

impl Origin {
    fn unknown(&self) -> Response<FrontBody<Chain>> {
        self.finish(Kind::Unknown, Err(Refusal::NotFound), &HeaderMap::new())
    }

    async fn answer_multivariant(
        &self,
        target: Target<'_>,
        request: axum::extract::Request,
    ) -> Response<FrontBody<Chain>> {
        let (request, _) = request.into_parts();
        let answer = self.multivariant(&target, &Wish::new(&request.headers)).await;
        self.finish(Kind::Multivariant, answer, &request.headers)
    }

    async fn answer_still(
        &self,
        target: Target<'_>,
        request: axum::extract::Request,
    ) -> Response<FrontBody<Chain>> {
        let (request, _) = request.into_parts();
        let Some(name) = StillName::parse(target.file, request.uri.query()) else { return self.unknown() };
        let answer = self.still(&target, name, &Wish::new(&request.headers)).await;
        self.finish(Kind::Still, answer, &request.headers)
    }

    async fn route_file(&self, target: Target<'_>, request: axum::extract::Request) -> Routed {
        // The request moves in whole: extractors of its headers and extensions would copy them, for every viewer and
        // part.
        let (request, _) = request.into_parts();
        let peer = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        routed(self.answer_file(target, &request, peer).await)
    }

    async fn answer_file(
        &self,
        target: Target<'_>,
        request: &Parts,
        peer: Option<IpAddr>,
    ) -> Response<FrontBody<Chain>> {
        let wish = Wish::new(&request.headers);
        if target.file == "index.m3u8" {
            let viewer = self.viewer(peer, &request.headers);
            let query = request.uri.query().unwrap_or_default();
            let answer = self.playlist(target, query, &wish, viewer).await;
            return self.finish(Kind::Playlist, answer, &request.headers);
        }
        if target.rendition == stills::SPRITES {
            let Some(sprite) = stills::SpriteName::parse(target.file) else { return self.unknown() };
            let answer = self.sprite(&target, sprite, &wish).await;
            return self.finish(Kind::Still, answer, &request.headers);
        }
        let Some(media) = MediaName::parse(target.file) else { return self.unknown() };
        let kind = match media.request {
            Request::Init(_) => Kind::Init,
            Request::Part(_) => Kind::Part,
            Request::Segment(_) | Request::Playlist(_) => Kind::Segment,
        };
        let answer = self.media(target, media, kind, &wish).await;
        self.finish(kind, answer, &request.headers)
    }
}

/// CORS preflight: players on any site may read, with ranges and validators.
async fn preflight() -> (StatusCode, [(HeaderName, HeaderValue); 4]) {
    let value = HeaderValue::from_static;
    (
        StatusCode::NO_CONTENT,
        [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, value("*")),
            (header::ACCESS_CONTROL_ALLOW_METHODS, value("GET, HEAD, OPTIONS")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, value("*")),
            (header::ACCESS_CONTROL_MAX_AGE, value("86400")),
        ],
    )
}
