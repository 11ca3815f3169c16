//! Broadcasts on other nodes: one request to the owner serves everybody here who wants the same.
//!
//! A process that runs alone has none of it. With others, what is not here is asked of the node whose lease says that it
//! has the channel: once, whatever the number of viewers, and never further than that: a request that came from a node is
//! answered with what is here. Who may watch is checked here, as for a broadcast of our own; the owner gets a token of
//! ours, so that what one viewer's token opens is shared with all that may.
//!
//! A viewer waits as at the owner and holds one of the places for it. The request is a task of its own: it goes on when
//! the viewer who caused it leaves, and ends when the last one does.
#![expect(clippy::disallowed_methods, reason = "shell: asks other nodes, waits for them, reads the clock")]

mod ask;
mod metrics;
mod piece;
mod shelf;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use millrace_core::ids::{ChannelName, NodeName};
use millrace_core::nodes::{Elsewhere, Owner};
use millrace_core::playback::Access;
use tokio::sync::watch;
use tracing::{info, warn};

use super::answer::{Refusal, Wish};
use super::{Answer, Made, Origin, OriginConfig, Target, shortened};
use crate::playlist::Directives;
use ask::Ask;
pub(super) use ask::Want;
use metrics::{HopMetrics, Served};
use piece::{Failure, Piece, chain};
use shelf::Shelf;

/// Marks a request of a node, with any value. Whoever else sends it gets what is here, and nothing more: [`unshared`].
pub(super) const HOP: HeaderName = HeaderName::from_static("millrace-hop");
/// How long connecting may take: nodes are near each other.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest request: the longest a request may wait, three of the longest target durations there are (12 s), and time to
/// read the answer.
const WHOLE_ANSWER: Duration = Duration::from_secs(45);
/// Idle connections close before the other side's time-out for request heads (10 s by default) does it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(8);
/// What a node still answers after its lease ended, or after another took its channel: it says goodbye.
const LOST_AFTER: Duration = Duration::from_secs(2);
/// How long viewers still wait for another node when this one stops: as a rule the next part comes within a second, and
/// nobody notices. Shorter than the grace period of connections (10 s by default).
const STOPPING_WAIT: Duration = Duration::from_secs(3);
/// How long tokens are good that nodes show each other: more than a request takes and clocks differ.
const TOKEN_SECONDS: i64 = 300;
/// Owners that one request tries: the one that is known, and the one that took over from it meanwhile.
const OWNERS_TRIED: usize = 2;
/// Nodes of which is known that they do not answer.
const SILENT_MAX: usize = 1_000;
/// How long the owner of a broadcast that ended is asked for its end: as long as it keeps that, by default. Longer is no
/// use, and shorter lets viewers who are behind miss it.
const FORMER_KEPT: Duration = Duration::from_secs(60);
/// Longest pause between two looks at what is kept too long.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// Room for former owners: some thousands.
const FORMER_MAX_BYTES: u64 = 2 << 20;

/// What came of a request; `None` while it is under way.
type Landed = Option<Result<Arc<Piece>, Failure>>;

/// The way to other nodes.
pub(super) struct Peers {
    elsewhere: watch::Receiver<Arc<Elsewhere>>,
    client: Client<HttpConnector, Empty<Bytes>>,
    max_bytes: u64,
    /// Whether there are former owners.
    formers: AtomicBool,
    desk: Mutex<Desk>,
    metrics: HopMetrics,
}

/// What requests share.
struct Desk {
    /// Each has a viewer who waits for it.
    under_way: HashMap<Arc<Ask>, Arc<watch::Sender<Landed>>>,
    shelf: Shelf<Arc<Ask>, Arc<Piece>>,
    /// Who had a channel that somebody watched here: leases do not list what has ended.
    formers: Shelf<ChannelName, Owner>,
    /// Whether a task looks after the shelves.
    swept: bool,
    /// Nodes that did not answer last time.
    silent: HashSet<NodeName>,
}

impl Desk {
    /// When there is something to throw away.
    fn next_end(&self) -> Option<Instant> {
        [self.shelf.next_end(), self.formers.next_end()].into_iter().flatten().min()
    }
}

/// Where a viewer's answer comes from.
enum Found {
    Kept(Arc<Piece>),
    UnderWay(watch::Receiver<Landed>),
}

impl Origin {
    /// The answer of the node that has what is wanted; `None` if this one is to answer.
    pub(super) async fn ask_owner(
        &self,
        target: &Target<'_>,
        want: Want<'_>,
        wish: &Wish<'_>,
    ) -> Option<Answer<Made>> {
        let peers = self.0.peers.as_ref()?;
        let nothing = peers.elsewhere.borrow().is_empty() && !peers.formers.load(Relaxed);
        if nothing || wish.has_header(&HOP) {
            return None;
        }
        // Boxed: what is answered here, nearly everything, does not carry room for it.
        Box::pin(self.hop(peers, target, want, wish)).await
    }

    async fn hop(
        &self,
        peers: &Arc<Peers>,
        target: &Target<'_>,
        want: Want<'_>,
        wish: &Wish<'_>,
    ) -> Option<Answer<Made>> {
        let name: ChannelName = target.channel.parse().ok()?;
        let mut before: Option<(Owner, Answer<Made>)> = None;
        for _ in 0..OWNERS_TRIED {
            let elsewhere = Arc::clone(&peers.elsewhere.borrow());
            let here = self.0.catalog.channel(&name);
            let owner = elsewhere.owner(&name).filter(|owner| want.is_elsewhere(here.as_ref(), owner));
            if owner.is_none() && before.is_none() && want.outlives(here.as_ref()) {
                return self.ask_former(peers, &name, target, want, wish).await;
            }
            let Some(owner) = owner else {
                // It came here, or nobody has it any more.
                let shown = here.is_some_and(|channel| channel.shown().is_some());
                return before.filter(|_| !shown).map(|(_, answer)| answer);
            };
            if before.as_ref().is_some_and(|(asked, _)| is_same(asked, owner)) {
                break;
            }
            match self.ask_once(peers, target, want, wish, owner).await {
                Ok(Asked::Answered(answer)) => return Some(answer),
                Ok(Asked::Unavailable(answer)) => before = Some((owner.clone(), answer)),
                Err(refusal) => return Some(Err(refusal)),
            }
        }
        before.map(|(_, answer)| answer)
    }

    /// Asks who had the channel a moment ago.
    async fn ask_former(
        &self,
        peers: &Arc<Peers>,
        name: &ChannelName,
        target: &Target<'_>,
        want: Want<'_>,
        wish: &Wish<'_>,
    ) -> Option<Answer<Made>> {
        let owner = peers.desk().formers.get(now(), name).cloned()?;
        match self.ask_once(peers, target, want, wish, &owner).await {
            Ok(Asked::Answered(answer)) => Some(answer),
            Ok(Asked::Unavailable(_)) => {
                // It is gone for good, and so is what it had.
                peers.desk().formers.remove(name);
                None
            }
            Err(refusal) => Some(Err(refusal)),
        }
    }

    async fn ask_once(
        &self,
        peers: &Arc<Peers>,
        target: &Target<'_>,
        want: Want<'_>,
        wish: &Wish<'_>,
        owner: &Owner,
    ) -> Answer<Asked> {
        let name = &owner.stream.channel;
        let seconds_left =
            self.admit(target.token, name, owner.stream.access).map_err(|refusal| match (want, refusal) {
                (want, Refusal::NotLive(_)) if want.is_media() => Refusal::Gone,
                (_, refusal) => refusal,
            })?;
        let directives = match want {
            Want::Playlist(query) => Directives::parse(query).map_err(Refusal::Malformed)?,
            _ => Directives::default(),
        };
        let ask = Ask::new(owner, target, want, directives, wish.gzip());
        let ask = ask.ok_or(if want.is_media() { Refusal::Gone } else { Refusal::NotFound })?;
        let landed = self.landed(peers, ask, owner).await?;
        Ok(match landed {
            Ok(piece) => {
                let bytes = self.0.metrics.bytes(want.kind());
                let answer = piece.answer(wish, want, target.file, bytes, now());
                let unavailable = piece.is_unavailable();
                let answer = if piece.is_good() {
                    answer.map(|response| shortened(response, seconds_left))
                } else {
                    answer
                };
                if unavailable { Asked::Unavailable(answer) } else { Asked::Answered(answer) }
            }
            Err(Failure::TooLarge { limit }) => Asked::Answered(Err(Refusal::TooLarge { limit })),
            Err(_) => Asked::Unavailable(Err(Refusal::NodeAway)),
        })
    }

    /// What `owner` answers to `ask`, or answered a moment ago.
    async fn landed(
        &self,
        peers: &Arc<Peers>,
        ask: Ask,
        owner: &Owner,
    ) -> Answer<Result<Arc<Piece>, Failure>> {
        if let Some(piece) = peers.desk().shelf.get(now(), &ask).map(Arc::clone) {
            peers.metrics.served(Served::Kept);
            return Ok(Ok(piece));
        }
        let _slot = self.0.blocked.take().ok_or(Refusal::TooManyWait)?;
        let token =
            match owner.stream.access {
                Access::Open => None,
                Access::Token => self.0.config.playback_keys.as_ref().map(|keys| {
                    keys.sign(&owner.stream.channel, Timestamp::now().as_second() + TOKEN_SECONDS)
                }),
            };
        let mut under_way = match peers.join(ask, owner, token) {
            Found::Kept(piece) => return Ok(Ok(piece)),
            Found::UnderWay(under_way) => under_way,
        };
        tokio::select! {
            landed = under_way.wait_for(Option::is_some) => {
                // Without an answer its task panicked.
                Ok(landed.ok().and_then(|landed| landed.clone()).unwrap_or(Err(Failure::Lost)))
            }
            () = self.stopped() => Err(Refusal::Stopping),
        }
    }

    /// Comes back a while after this process began to stop.
    async fn stopped(&self) {
        self.0.catalog.stopping().cancelled().await;
        tokio::time::sleep(STOPPING_WAIT).await;
    }
}

/// What came of asking an owner.
enum Asked {
    /// That is the answer.
    Answered(Answer<Made>),
    /// That is the answer unless another node has the channel by now.
    Unavailable(Answer<Made>),
}

fn is_same(asked: &Owner, owner: &Owner) -> bool {
    asked.url == owner.url && asked.stream.broadcast == owner.stream.broadcast
}

impl Peers {
    /// The way to the nodes that `config` knows of; `None` if this process is alone.
    pub(super) fn new(config: &OriginConfig) -> Option<Arc<Self>> {
        let elsewhere = config.elsewhere.clone()?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Some(Arc::new(Self {
            elsewhere,
            client,
            max_bytes: config.hop_max_bytes,
            formers: AtomicBool::new(false),
            desk: Mutex::new(Desk {
                under_way: HashMap::new(),
                shelf: Shelf::new(config.hop_cache_bytes),
                formers: Shelf::new(FORMER_MAX_BYTES),
                swept: false,
                silent: HashSet::new(),
            }),
            metrics: HopMetrics::new(),
        }))
    }

    /// Nothing that holds it can panic half-way.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the request that is under way, or begins it.
    fn join(self: &Arc<Self>, ask: Ask, owner: &Owner, token: Option<String>) -> Found {
        let is_owner = self.is_owner(&ask);
        let mut desk = self.desk();
        // A request puts its answer on the shelf before it is no longer under way.
        if let Some(sender) = desk.under_way.get(&ask) {
            self.metrics.served(Served::Joined);
            return Found::UnderWay(sender.subscribe());
        }
        if let Some(piece) = desk.shelf.get(now(), &ask).map(Arc::clone) {
            self.metrics.served(Served::Kept);
            return Found::Kept(piece);
        }
        if is_owner {
            desk.formers.put(now(), ask.channel.clone(), owner.clone(), 0, FORMER_KEPT);
            self.formers.store(true, Relaxed);
        }
        self.metrics.served(Served::Asked);
        let (sender, receiver) = watch::channel(None);
        let (ask, sender) = (Arc::new(ask), Arc::new(sender));
        desk.under_way.insert(Arc::clone(&ask), Arc::clone(&sender));
        tokio::spawn(Arc::clone(self).run(ask, owner.node.clone(), token, sender));
        Found::UnderWay(receiver)
    }

    /// One request, from the viewer who caused it until nobody waits for it or it is answered.
    async fn run(
        self: Arc<Self>,
        ask: Arc<Ask>,
        node: NodeName,
        token: Option<String>,
        viewers: Arc<watch::Sender<Landed>>,
    ) {
        let under_way = UnderWay { peers: &self, ask: &ask, viewers: &viewers };
        let mut fetched = pin!(tokio::time::timeout(WHOLE_ANSWER, self.fetch(&ask, token)));
        let mut lost = pin!(self.lost(&ask));
        let landed = loop {
            tokio::select! {
                fetched = &mut fetched => {
                    break fetched.unwrap_or(Err(Failure::TimedOut(WHOLE_ANSWER))).map(Arc::new);
                }
                () = &mut lost => break Err(Failure::Lost),
                () = viewers.closed() => {
                    let mut desk = self.desk();
                    // Under the lock nobody joins.
                    if viewers.receiver_count() == 0 {
                        desk.under_way.remove(&ask);
                        drop(desk);
                        return self.metrics.landed(None);
                    }
                }
            }
        };
        self.metrics.landed(Some(&landed));
        // A node whose lease has ended owes no answer.
        if landed.is_ok() || self.is_owner(&ask) {
            self.note(&node, landed.as_ref().err());
        }
        if let Ok(piece) = &landed {
            self.keep(&ask, piece);
        }
        drop(under_way);
        viewers.send_replace(Some(landed));
    }

    async fn fetch(&self, ask: &Ask, token: Option<String>) -> Result<Piece, Failure> {
        let by_token = token.map(|token| format!("/t/{token}")).unwrap_or_default();
        let uri = format!("{}{by_token}{}", ask.url, ask.path);
        let request = || {
            let mut request = Request::get(&uri).header(HOP, HeaderValue::from_static("1"));
            if ask.gzip {
                request = request.header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            }
            // An address that is none is the other node's doing. The error does not repeat it.
            request.body(Empty::new()).map_err(|error| Failure::Unreachable(error.to_string()))
        };
        let response = match self.client.request(request()?).await {
            // The other side may have closed a connection that was idle in the moment in which it was used again.
            Err(error) if !error.is_connect() => self.client.request(request()?).await,
            other => other,
        };
        let response = response.map_err(|error| Failure::Unreachable(chain(&error)))?;
        Piece::read(response, ask.shape, self.max_bytes, now).await
    }

    /// Whether a lease says that who is asked has the broadcast.
    fn is_owner(&self, ask: &Ask) -> bool {
        self.elsewhere.borrow().owner(&ask.channel).is_some_and(|owner| ask.is_of(owner))
    }

    /// Comes back when the node is not the channel's owner any more, and a while after.
    async fn lost(&self, ask: &Ask) {
        let mut elsewhere = self.elsewhere.clone();
        let is_of =
            |elsewhere: &Arc<Elsewhere>| elsewhere.owner(&ask.channel).is_some_and(|owner| ask.is_of(owner));
        loop {
            if elsewhere.wait_for(|elsewhere| !is_of(elsewhere)).await.is_err() {
                // Nobody watches the nodes any more: the process ends.
                return std::future::pending().await;
            }
            tokio::time::sleep(LOST_AFTER).await;
            if !self.is_owner(ask) {
                return;
            }
        }
    }

    /// Keeps an answer for those who come later.
    fn keep(self: &Arc<Self>, ask: &Arc<Ask>, piece: &Arc<Piece>) {
        let mut desk = self.desk();
        desk.shelf.put(now(), Arc::clone(ask), Arc::clone(piece), piece.bytes(), piece.kept);
        if !desk.swept && desk.next_end().is_some() {
            desk.swept = true;
            tokio::spawn(Arc::clone(self).sweep());
        }
    }

    /// Throws away what is kept too long, also when nobody asks any more, until nothing is left.
    async fn sweep(self: Arc<Self>) {
        loop {
            let next = {
                let mut desk = self.desk();
                desk.shelf.expire(now());
                desk.formers.expire(now());
                self.formers.store(desk.formers.next_end().is_some(), Relaxed);
                let next = desk.next_end();
                desk.swept = next.is_some();
                next
            };
            let Some(next) = next else { return };
            tokio::time::sleep_until(next.min(now() + SWEEP_EVERY).into()).await;
        }
    }

    /// Says so in the log when a node ceases to answer or answers again.
    fn note(&self, node: &NodeName, failure: Option<&Failure>) {
        let mut desk = self.desk();
        match failure {
            None => {
                if desk.silent.remove(node) {
                    drop(desk);
                    info!(node.name = %node, "the node {node} answers for its broadcasts again");
                }
            }
            Some(Failure::TooLarge { .. }) => {
                drop(desk);
                warn!(node.name = %node, "the node {node} has a piece of a broadcast that is too large to pass on");
            }
            Some(failure) => {
                if desk.silent.len() >= SILENT_MAX {
                    desk.silent.clear();
                }
                if desk.silent.insert(node.clone()) {
                    drop(desk);
                    warn!(
                        node.name = %node, err = %failure,
                        "the node {node} does not answer for its broadcasts; viewers here wait and try again"
                    );
                }
            }
        }
    }
}

/// Lets no cache keep for all what is refused to a node, or to who says to be one: the same address may have an answer for
/// everybody else, on another node.
pub(super) fn unshared<B>(request: &HeaderMap, response: &mut Response<B>) {
    if request.contains_key(HOP) && !response.status().is_success() {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Takes a request off the desk, whatever way it ends.
struct UnderWay<'a> {
    peers: &'a Peers,
    ask: &'a Arc<Ask>,
    viewers: &'a Arc<watch::Sender<Landed>>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut desk = self.peers.desk();
        // The next one of its kind may be under way already.
        if desk.under_way.get(self.ask).is_some_and(|sender| Arc::ptr_eq(sender, self.viewers)) {
            desk.under_way.remove(self.ask);
        }
    }
}

/// The clock of timers, so that what waits and what is kept agree.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
