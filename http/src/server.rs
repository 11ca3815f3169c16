//! The listener: accepts, speaks TLS where asked, serves HTTP/1.1 and HTTP/2 with time limits, drains.
#![expect(clippy::disallowed_methods, reason = "shell: sockets, tasks and timers")]

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::front::{self, Front, FrontBody, NoFront};
use crate::guard::Guarded;
use crate::quick::{self, Ended};
use crate::redirect::{self, HttpsRedirect};
use crate::tls::ACME_ALPN;

/// One bound address.
#[derive(Debug)]
pub struct Listener {
    /// The bound socket.
    pub tcp: TcpListener,
    /// TLS, or plain.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// What is sent to https instead of being answered here.
    pub redirect: Option<HttpsRedirect>,
}

/// Time and number limits of HTTP connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From accept to the end of the TLS handshake, to the first byte, and for the head of each request.
    pub header_timeout: Duration,
    /// A write that makes no progress for this long ends the connection.
    pub write_stall: Duration,
    /// Connections at once. More wait in the kernel's accept queue until one ends.
    pub max_connections: usize,
    /// HTTP/2 streams at once per connection.
    pub max_streams: u32,
    /// How long running requests may take after shutdown begins.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
            max_connections: 10_000,
            max_streams: 5_000,
            grace: Duration::from_secs(10),
        }
    }
}

/// HTTP/2 over TLS (RFC 9113 §3.2).
const HTTP2_ALPN: &[u8] = b"h2";
/// How often a silent HTTP/2 peer is asked whether it is there, in header time-outs.
const HTTP2_PING_AFTER_HEADER_TIMEOUTS: u32 = 2;
/// Most bytes of a request head (RFC 9113 §6.5.2; RFC 9112 §3 leaves it to us). For HTTP/1 it is also what hyper gathers
/// of an answer's pieces before it writes; a [`Front`]'s answer is one piece.
const HEAD_MAX_BYTES: u32 = 64 * 1024;
/// How long accepting pauses when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on every listener until `shutdown`, then lets running requests end within the grace period.
/// Returns how many connections had to be cut.
pub async fn serve(
    listeners: Vec<Listener>,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> usize {
    serve_behind(NoFront, listeners, router, limits, shutdown).await
}

/// The same with a front before the router.
pub async fn serve_behind<F: Front>(
    front: F,
    listeners: Vec<Listener>,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> usize {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEAD_MAX_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(HEAD_MAX_BYTES)
        .keep_alive_interval(limits.header_timeout * HTTP2_PING_AFTER_HEADER_TIMEOUTS)
        .keep_alive_timeout(limits.header_timeout);
    let connections = TaskTracker::new();
    let shared = Arc::new(Shared {
        builder,
        limits,
        shutdown,
        cut: CancellationToken::new(),
        slots: Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS))),
        connections: connections.clone(),
    });
    let mut loops = tokio::task::JoinSet::new();
    for Listener { tcp, tls, redirect } in listeners {
        let answers = Arc::new(Answers::of(front.clone(), router.clone(), redirect));
        loops.spawn(accept_loop(tcp, tls.map(TlsAcceptor::from), answers, Arc::clone(&shared)));
    }
    while loops.join_next().await.is_some() {}
    connections.close();
    if tokio::time::timeout(limits.grace, connections.wait()).await.is_ok() {
        return 0;
    }
    let cut = connections.len();
    shared.cut.cancel();
    connections.wait().await;
    cut
}

/// What answers on a listener.
struct Answers<F> {
    front: Option<F>,
    router: Router,
}

impl<F> Answers<F> {
    /// Where requests are sent to https, all of them come by the rule, which is the router's.
    fn of(front: F, router: Router, redirect: Option<HttpsRedirect>) -> Self {
        match redirect {
            Some(rule) => Self { front: None, router: redirect::layer(router, rule) },
            None => Self { front: Some(front), router },
        }
    }
}

struct Shared {
    builder: auto::Builder<TokioExecutor>,
    limits: Limits,
    shutdown: CancellationToken,
    cut: CancellationToken,
    slots: Arc<Semaphore>,
    connections: TaskTracker,
}

async fn accept_loop<F: Front>(
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    answers: Arc<Answers<F>>,
    shared: Arc<Shared>,
) {
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            accepted = accept(&tcp, &shared.slots) => accepted,
        };
        let (stream, peer, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a peer that left while it waited: neither may end the server.
                tracing::warn!(err = %error, "cannot accept an HTTP connection; going on");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, answers) = (tls.clone(), Arc::clone(&answers));
        let task = Arc::clone(&shared);
        shared.connections.spawn(async move {
            let _slot = slot;
            let connection = connection(stream, peer, tls, answers, &task);
            tokio::select! {
                () = task.cut.cancelled() => {}
                () = connection => {}
            }
        });
    }
}

async fn accept(
    tcp: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = tcp.accept().await?;
    Ok((stream, peer, slot))
}

async fn connection<F: Front>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    answers: Arc<Answers<F>>,
    shared: &Shared,
) {
    // Parts are small and late is worse than many packets.
    let _ = stream.set_nodelay(true);
    let Limits { header_timeout, write_stall, .. } = shared.limits;
    match tls {
        None => {
            exchange(Guarded::new(stream, header_timeout, write_stall), false, peer, answers, shared).await;
        }
        Some(acceptor) => match tokio::time::timeout(header_timeout, acceptor.accept(stream)).await {
            // Who looked for the answer to a challenge has seen it (RFC 8737 §3).
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(ACME_ALPN) => {}
            Ok(Ok(stream)) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2_ALPN);
                exchange(Guarded::new(stream, header_timeout, write_stall), http2, peer, answers, shared)
                    .await;
            }
            Ok(Err(error)) => tracing::debug!(peer.addr = %peer, err = %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer.addr = %peer, "TLS handshake took too long"),
        },
    }
}

/// Speaks HTTP on a connection: the plain kind for as long as it lasts, then what hyper makes of it.
async fn exchange<S, F>(
    stream: Guarded<S>,
    http2: bool,
    peer: SocketAddr,
    answers: Arc<Answers<F>>,
    shared: &Shared,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Front,
{
    let mut stream = Box::pin(stream);
    if let Some(front) = answers.front.as_ref().filter(|_| !http2) {
        let idle = shared.limits.header_timeout;
        match quick::serve(stream.as_mut(), peer, front, idle, &shared.shutdown).await {
            Ok(Ended::Closed) => return,
            Ok(Ended::Other(bytes)) => stream.as_mut().unread(bytes),
            Err(error) => return ended_early(peer, &error),
        }
    }
    // Boxed, so that a connection that has no use for it does not carry room for it.
    Box::pin(general(stream, peer, answers, shared)).await;
}

async fn general<S, F>(
    stream: Pin<Box<Guarded<S>>>,
    peer: SocketAddr,
    answers: Arc<Answers<F>>,
    shared: &Shared,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
    F: Front,
{
    let service = service_fn(move |request| answer(Arc::clone(&answers), peer, request));
    let mut served = pin!(shared.builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = shared.shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        ended_early(peer, &error);
    }
}

fn ended_early(peer: SocketAddr, error: &dyn Display) {
    tracing::debug!(peer.addr = %peer, err = %error, "HTTP connection ended early");
}

async fn answer<F: Front>(
    answers: Arc<Answers<F>>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<FrontBody<F::Body>>, Infallible> {
    if let Some(front) = &answers.front
        && front.takes(request.method(), request.uri())
    {
        return Ok(front::answer(front, request.into_parts().0, peer).await);
    }
    request.extensions_mut().insert(ConnectInfo(peer));
    // Boxed, so that what most requests wait in is not as large as this.
    let routed = Box::pin(answers.router.clone().oneshot(request));
    routed.await.map(|response| response.map(FrontBody::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn start(
        limits: Limits,
        router: Router,
    ) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<usize>) {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(
            vec![Listener { tcp, tls: None, redirect: None }],
            router,
            limits,
            shutdown.clone(),
        ));
        (address, shutdown, server)
    }

    fn quick() -> Limits {
        Limits {
            header_timeout: Duration::from_millis(100),
            grace: Duration::from_millis(200),
            ..Limits::default()
        }
    }

    fn hello() -> Router {
        Router::new().route(
            "/",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("hello {}", peer.ip()) }),
        )
    }

    #[tokio::test]
    async fn half_a_request_and_silence_are_given_up() {
        for sent in [
            "",
            "GET / HT",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "PRI * HTTP/2.0\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            let (address, _shutdown, _server) = start(quick(), hello()).await;
            let mut peer = TcpStream::connect(address).await.unwrap();
            peer.write_all(sent.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(5), peer.read_to_end(&mut rest)).await;
            assert!(closed.is_ok(), "the connection stayed open after {sent:?}");
        }
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait_for_a_place() {
        let (address, _shutdown, _server) =
            start(Limits { max_connections: 1, ..Limits::default() }, hello()).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut byte = [0];
        first.read_exact(&mut byte).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(50), second.read_exact(&mut byte)).await;
        assert!(early.is_err(), "was served beyond the limit");
        drop(first);
        let mut answer = String::new();
        second.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("hello 127.0.0.1"), "{answer}");
    }

    #[tokio::test]
    async fn shutdown_lets_a_running_request_end_and_cuts_one_that_does_not() {
        for (path, cut, body) in [("/soon", 0, "done"), ("/never", 1, "")] {
            let (arrived, mut arrivals) = tokio::sync::mpsc::channel(1);
            let finish = Arc::new(tokio::sync::Notify::new());
            let soon = {
                let (arrived, finish) = (arrived.clone(), Arc::clone(&finish));
                async move || {
                    arrived.send(()).await.unwrap();
                    finish.notified().await;
                    "done"
                }
            };
            let never = async move || {
                arrived.send(()).await.unwrap();
                std::future::pending::<&str>().await
            };
            let router = Router::new().route("/soon", get(soon)).route("/never", get(never));
            let (address, shutdown, server) = start(quick(), router).await;
            let mut peer = TcpStream::connect(address).await.unwrap();
            peer.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
            arrivals.recv().await.unwrap();
            shutdown.cancel();
            finish.notify_one();
            let mut answer = String::new();
            let _ = peer.read_to_string(&mut answer).await;
            assert!(answer.ends_with(body), "{path}: {answer}");
            assert_eq!(server.await.unwrap(), cut, "{path}");
        }
    }
}
