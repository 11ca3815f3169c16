//! The RTMP and RTMPS server: listens, accepts, counts, drains.
#![expect(clippy::disallowed_methods, reason = "shell: clock, timers, tasks")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use millrace_core::bus::Bus;
use millrace_core::feed::BroadcastSink;
use millrace_core::ids::{ConnectionId, NodeName};
use millrace_core::places::Places;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::authority::PublishAuthority;
use crate::broadcasts::{self, Neighbours, ToBroadcasts};
use crate::config::Config;
use crate::connection::{Context, serve};
use crate::media_threads::MediaPlaces;
use crate::publish::Command;
use crate::telemetry::{Counted, Telemetry};

/// First pause after a failed accept; it doubles up to [`ACCEPT_PAUSE_MAX`].
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Longest pause after failed accepts.
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// A bound socket, and TLS if it is RTMPS.
pub struct Listener {
    /// The socket.
    pub tcp: TcpListener,
    /// With it the socket speaks RTMPS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// What the server is handed.
#[derive(Clone)]
pub struct Deps {
    /// Decides who may publish.
    pub authority: Arc<dyn PublishAuthority>,
    /// Takes broadcasts.
    pub sink: Arc<dyn BroadcastSink>,
    /// Takes events.
    pub bus: Arc<dyn Bus>,
    /// Name of this node, for events.
    pub node: NodeName,
    /// Other nodes, if there are any.
    pub neighbours: Option<Neighbours>,
    /// Where connections, and the packagers of their broadcasts, run.
    pub media: MediaPlaces,
}

/// Serves publishers until `shutdown`; then takes no more, tells those that are there, and waits for them no longer
/// than [`Config::drain_timeout`]. Their broadcasts get `PublisherLeft` and no `Ended`: viewers go on after a restart.
pub async fn run(listeners: Vec<Listener>, config: Config, deps: Deps, shutdown: CancellationToken) {
    let tasks = TaskTracker::new();
    let owner = broadcasts::Deps {
        sink: Arc::clone(&deps.sink),
        bus: deps.bus,
        node: deps.node,
        neighbours: deps.neighbours,
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
    };
    let broadcasts = broadcasts::start(config.registry(), owner);
    let kill = CancellationToken::new();
    let server = Arc::new(Server {
        places: Places::new(config.max_connections_per_address, config.max_connections),
        authority: deps.authority,
        sink: deps.sink,
        media: deps.media,
        broadcasts: broadcasts.clone(),
        telemetry: Telemetry::new(),
        next: AtomicU64::new(1),
        tasks: tasks.clone(),
        shutdown: shutdown.clone(),
        kill: kill.clone(),
        config,
    });
    for listener in listeners {
        tasks.spawn(Arc::clone(&server).listen(listener));
    }
    shutdown.cancelled().await;
    // The task is there until it gets this.
    let _ = broadcasts.send(ToBroadcasts::Command(Command::Stop)).await;
    drop(broadcasts);
    tasks.close();
    if timeout(server.config.drain_timeout, tasks.wait()).await.is_err() {
        warn!(tasks = tasks.len(), "cut what did not end within {:?}", server.config.drain_timeout);
        kill.cancel();
    }
}

struct Server {
    config: Config,
    places: Places,
    authority: Arc<dyn PublishAuthority>,
    sink: Arc<dyn BroadcastSink>,
    media: MediaPlaces,
    broadcasts: mpsc::Sender<ToBroadcasts>,
    telemetry: Telemetry,
    next: AtomicU64,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    kill: CancellationToken,
}

impl Server {
    async fn listen(self: Arc<Self>, listener: Listener) {
        let scheme = if listener.tls.is_some() { "rtmps" } else { "rtmp" };
        match listener.tcp.local_addr() {
            Ok(address) => info!(%address, "listening for publishers on {scheme}://{address}/live"),
            Err(err) => warn!(%err, "listening for publishers, address unknown"),
        }
        let acceptor = listener.tls.map(TlsAcceptor::from);
        let mut pause = ACCEPT_PAUSE;
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.tcp.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE;
                    self.admit(stream, peer, acceptor.clone());
                }
                Err(err) => {
                    // Out of descriptors, mostly: it passes when connections end.
                    warn!(%err, "cannot accept a connection; trying again in {pause:?}");
                    sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: std::net::SocketAddr, acceptor: Option<TlsAcceptor>) {
        self.telemetry.connections_total.increment(1);
        let place = match self.places.take(peer.ip()) {
            Ok(place) => place,
            Err(err) => {
                self.telemetry.refused(err.label());
                debug!(peer.addr = %peer, "turned away: {err}");
                return;
            }
        };
        let (media, seat) = self.media.take();
        let runtime = media.runtime.clone();
        let context = Context {
            id: ConnectionId(self.next.fetch_add(1, Ordering::Relaxed)),
            peer,
            accepted: Instant::now(),
            session: self.config.session(),
            authority: Arc::clone(&self.authority),
            broadcasts: self.broadcasts.clone(),
            sink: Arc::clone(&self.sink),
            telemetry: self.telemetry.clone(),
            shutdown: self.shutdown.clone(),
            place,
            media,
        };
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(err) => {
                debug!(peer.addr = %peer, %err, "connection is gone already");
                return;
            }
        };
        let (kill, open) = (self.kill.clone(), Counted::new(&self.telemetry.connections));
        let handshake = self.config.handshake_timeout;
        let attended = async move {
            let _counted = (open, seat);
            tokio::select! {
                () = kill.cancelled() => {}
                () = attend(stream, context, acceptor, handshake) => {}
            }
        };
        self.tasks.spawn_on(attended, &runtime);
    }
}

/// Serves one socket, through TLS if there is an acceptor.
async fn attend(
    stream: std::net::TcpStream,
    context: Context,
    acceptor: Option<TlsAcceptor>,
    handshake: Duration,
) {
    let (id, peer) = (context.id, context.peer);
    let stream = match stream.set_nodelay(true).and_then(|()| TcpStream::from_std(stream)) {
        Ok(stream) => stream,
        Err(err) => {
            debug!(connection.id = %id, peer.addr = %peer, %err, "connection is gone already");
            return;
        }
    };
    let Some(acceptor) = acceptor else { return serve(stream, context).await };
    let deadline = context.accepted + handshake;
    let accepted = tokio::select! {
        () = context.shutdown.cancelled() => return,
        accepted = timeout_at(deadline.into(), acceptor.accept(stream)) => accepted,
    };
    match accepted {
        Ok(Ok(stream)) => serve(stream, context).await,
        Ok(Err(err)) => {
            context.telemetry.refused("tls");
            debug!(connection.id = %id, peer.addr = %peer, %err, "TLS handshake failed");
        }
        Err(_) => {
            context.telemetry.refused("tls");
            debug!(connection.id = %id, peer.addr = %peer, "TLS handshake took longer than {handshake:?}");
        }
    }
}
