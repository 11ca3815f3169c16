use super::*;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use hyper::body::{Frame, SizeHint};
use proptest::prelude::*;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::problem::Problem;
use crate::server::{Limits, Listener, serve_behind};
use crate::tls::{Certificate, Certificates, HTTPS_ALPN, server_config};

const SECOND: Duration = Duration::from_secs(1);
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// Takes `/media` and below, and answers by the rest of the path.
#[derive(Clone, Default)]
struct Stage {
    taken: Arc<AtomicUsize>,
    waiting: Arc<AtomicUsize>,
    go_on: Arc<Notify>,
}

/// Counts who waits, also when the wait is given up.
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// A body of several frames that says its length, or not.
struct Pieces {
    pieces: VecDeque<Bytes>,
    says_length: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if !self.says_length {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}

fn pieces<const N: usize>(pieces: [&'static str; N]) -> FrontBody<Pieces> {
    FrontBody::Front(Pieces { pieces: pieces.map(Bytes::from).into(), says_length: true })
}

impl Front for Stage {
    type Body = Pieces;

    fn takes(&self, method: &Method, uri: &Uri) -> bool {
        method == Method::GET && uri.path().starts_with("/media")
    }

    async fn answer(&self, request: Parts, _: SocketAddr) -> Response<FrontBody<Pieces>> {
        self.taken.fetch_add(1, SeqCst);
        let mut answer = Response::new(pieces(["all ", "of it"]));
        match request.uri.path().strip_prefix("/media").unwrap_or_default() {
            "/empty" => *answer.body_mut() = pieces([]),
            "/large" => {
                let pieces = (0..100).map(|_| Bytes::from(vec![b'x'; 30_000])).collect();
                *answer.body_mut() = FrontBody::Front(Pieces { pieces, says_length: true });
            }
            "/unchanged" => {
                *answer.status_mut() = StatusCode::NOT_MODIFIED;
                *answer.body_mut() = pieces([]);
            }
            "/slice" => {
                *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
                answer.headers_mut().insert(header::CONTENT_RANGE, HeaderValue::from_static("bytes 0-8/9"));
            }
            "/gone" => return Problem::not_found().into_response().map(FrontBody::from),
            "/panics" => panic!("on purpose"),
            "/of_no_length" => {
                let pieces = ["some ", "more"].map(Bytes::from).into();
                *answer.body_mut() = FrontBody::Front(Pieces { pieces, says_length: false });
            }
            "/later" => {
                self.waiting.fetch_add(1, SeqCst);
                let _waits = Waits(Arc::clone(&self.waiting));
                self.go_on.notified().await;
            }
            _ => {}
        }
        let headers = answer.headers_mut();
        headers.insert(header::ETAG, HeaderValue::from_static("\"tag\""));
        for value in request.headers.get_all("x-echo") {
            headers.append("x-echo", value.clone());
        }
        answer
    }
}

/// A connection that is served, and the peer's end of it.
struct Served {
    stage: Stage,
    peer: DuplexStream,
    shutdown: CancellationToken,
    ended: tokio::task::JoinHandle<io::Result<Ended>>,
}

fn served() -> Served {
    let (peer, ours) = duplex(1 << 16);
    let (stage, shutdown) = (Stage::default(), CancellationToken::new());
    let ended = {
        let (stage, shutdown) = (stage.clone(), shutdown.clone());
        tokio::spawn(async move {
            let mut stream = Box::pin(Guarded::new(ours, SECOND, 3 * SECOND));
            serve(stream.as_mut(), PEER, &stage, SECOND, &shutdown).await
        })
    };
    Served { stage, peer, shutdown, ended }
}

fn ask(path: &str) -> String {
    format!("GET /media{path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

impl Served {
    async fn say(&mut self, what: &str) {
        self.peer.write_all(what.as_bytes()).await.unwrap();
    }

    /// Reads until what was read ends with `end`.
    async fn hear(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(end.as_bytes()) {
            let more = self.peer.read_buf(&mut heard).await.unwrap();
            assert!(more > 0, "closed after {:?}", String::from_utf8_lossy(&heard));
        }
        String::from_utf8(heard).unwrap()
    }

    async fn hear_all(&mut self) -> String {
        let mut heard = String::new();
        self.peer.read_to_string(&mut heard).await.unwrap();
        heard
    }

    async fn waits(&self, count: usize) {
        while self.stage.waiting.load(SeqCst) != count {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_one_after_the_other_and_something_else_is_given_back() {
    let mut served = served();
    for _ in 0..3 {
        served.say(&ask("")).await;
        let answer = served.hear("all of it").await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("content-length: 9\r\n"),
            "{answer}"
        );
        assert!(!answer.contains("connection: "), "{answer}");
    }
    // Two in one packet, and the beginning of a third.
    served.say(&format!("{}{}GET /oth", ask("/slice"), ask(""))).await;
    served.hear("all of it").await;
    let Ended::Other(rest) = served.ended.await.unwrap().unwrap() else { panic!("was closed") };
    assert_eq!((rest, served.stage.taken.load(SeqCst)), (Bytes::from("GET /oth"), 5));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_nothing_is_given_up_and_who_waits_is_not() {
    let mut served = served();
    served.say(&ask("/later")).await;
    served.waits(1).await;
    tokio::time::sleep(100 * SECOND).await;
    served.stage.go_on.notify_one();
    served.hear("all of it").await;
    let before = Instant::now();
    let error = served.ended.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), before.elapsed().as_secs()), (io::ErrorKind::TimedOut, 1));
}

#[tokio::test(start_paused = true)]
async fn who_never_says_anything_is_given_up() {
    let mut served = served();
    assert_eq!(served.hear_all().await, "");
    assert_eq!(served.ended.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_waits_holds_no_place() {
    let mut served = served();
    served.say(&ask("/later")).await;
    served.waits(1).await;
    let Served { stage, peer, ended, .. } = served;
    drop(peer);
    assert!(matches!(ended.await.unwrap().unwrap(), Ended::Closed));
    assert_eq!(stage.waiting.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn who_stops_reading_is_given_up() {
    let mut served = served();
    served.say(&ask("/large")).await;
    let before = Instant::now();
    let error = served.ended.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), before.elapsed().as_secs()), (io::ErrorKind::TimedOut, 3));
}

#[tokio::test(start_paused = true)]
async fn an_answer_larger_than_a_write_comes_whole() {
    let mut served = served();
    served.say(&format!("{}{}", ask("/large"), ask("/gone"))).await;
    let answer = served.hear("}").await;
    assert!(answer.contains("content-length: 3000000\r\n") && answer.contains(&"x".repeat(3_000_000)));
    assert!(answer.contains("HTTP/1.1 404 Not Found\r\n"));
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_the_idle_are_closed_and_the_last_answer_says_so() {
    let mut idle = served();
    idle.say(&ask("")).await;
    idle.hear("all of it").await;
    idle.shutdown.cancel();
    assert_eq!(idle.hear_all().await, "");
    assert!(matches!(idle.ended.await.unwrap().unwrap(), Ended::Closed));

    let mut waiting = served();
    waiting.say(&ask("/later")).await;
    waiting.waits(1).await;
    waiting.shutdown.cancel();
    tokio::time::sleep(SECOND).await;
    waiting.stage.go_on.notify_one();
    let answer = waiting.hear_all().await;
    assert!(answer.contains("connection: close\r\n") && answer.ends_with("all of it"), "{answer}");
    assert!(matches!(waiting.ended.await.unwrap().unwrap(), Ended::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_answer_and_a_body_of_no_length_ends_with_the_connection() {
    let mut served = served();
    served.say(&format!("{}{}", ask("/panics"), ask("/of_no_length"))).await;
    let answers = served.hear_all().await;
    assert!(answers.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answers}");
    let last = answers.split("HTTP/1.1 ").last().unwrap();
    assert!(last.contains("connection: close\r\n") && !last.contains("length"), "{last}");
    assert!(last.ends_with("some more"), "{last}");
}

/// A server, and the certificate by which it is known over TLS.
async fn tls_server(stage: Stage) -> (SocketAddr, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certificate = made.cert.der().clone();
    let certificates = Arc::new(Certificates::default());
    certificates.set(Certificate::new(vec![certificate.clone()], key).unwrap());
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let tls = Some(server_config(certificates, HTTPS_ALPN));
    let listeners = vec![Listener { tcp, tls, redirect: None }];
    let router = crate::layers::finish(Router::new().route("/routed", get(|| async { "routed" })), None);
    tokio::spawn(serve_behind(stage, listeners, router, Limits::default(), CancellationToken::new()));
    (address, certificate)
}

#[tokio::test]
async fn over_tls_it_is_the_same_and_the_rest_is_hyper_s() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let stage = Stage::default();
    let (address, certificate) = tls_server(stage.clone()).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let peer = TcpStream::connect(address).await.unwrap();
    let mut peer = connector.connect("a.example".try_into().unwrap(), peer).await.unwrap();
    peer.write_all(format!("{}{}{END}", ask("/large"), ask("/slice")).as_bytes()).await.unwrap();
    let mut answers = String::new();
    peer.read_to_string(&mut answers).await.unwrap();
    assert!(answers.contains(&"x".repeat(3_000_000)) && answers.contains("HTTP/1.1 206 Partial Content\r\n"));
    assert!(answers.ends_with("routed"), "{}", &answers[answers.len() - 300..]);
    assert_eq!(stage.taken.load(SeqCst), 2);
}

/// Says `requests` in pieces that end at `cuts`, and hears all that a server answers until it closes.
async fn exchange(address: SocketAddr, requests: &str, cuts: &[usize]) -> String {
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.set_nodelay(true).unwrap();
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % requests.len()).collect();
    cuts.sort_unstable();
    cuts.push(requests.len());
    let (mut hears, mut says) = peer.split();
    let mut answers = Vec::new();
    let say = async {
        let mut said = 0;
        for cut in cuts {
            // A server that closed early is compared by what it said.
            if says.write_all(&requests.as_bytes()[said..cut]).await.is_err() {
                return;
            }
            said = cut;
            tokio::task::yield_now().await;
        }
    };
    // What is said after the end is refused with a reset; what was answered before it has come.
    let ((), _) = tokio::join!(say, hears.read_to_end(&mut answers));
    String::from_utf8(answers).unwrap()
}

/// Without what is never the same.
fn without_chance(answers: &str) -> String {
    let same = |line: &&str| !line.starts_with("date: ") && !line.starts_with("x-request-id: ");
    answers.split("\r\n").filter(same).collect::<Vec<_>>().join("\r\n")
}

fn request() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        8 => prop_oneof![
            Just("/media"), Just("/media/empty"), Just("/media/unchanged"), Just("/media/slice"),
            Just("/media/gone"), Just("/media/panics"), Just("/media?a=b&c"),
        ]
        .prop_map(|path| format!("GET {path} HTTP/1.1")),
        3 => prop_oneof![
            Just("HEAD /media HTTP/1.1"), Just("GET /routed HTTP/1.1"), Just("GET /nowhere HTTP/1.1"),
            Just("GET /media HTTP/1.0"), Just("GET http://a/media HTTP/1.1"), Just("OPTIONS * HTTP/1.1"),
            Just("DELETE /media HTTP/1.1"), Just("GET /media HTTP/9.9"), Just("GET /me dia HTTP/1.1"),
            Just("G\u{e9}T /media HTTP/1.1"), Just("\r\nGET /media HTTP/1.1"), Just("PRI * HTTP/2.0"),
        ]
        .prop_map(str::to_owned),
    ];
    let field = prop_oneof![
        6 => prop_oneof![
            Just("Accept: */*"), Just("accept-encoding: gzip"), Just("X-Echo: one"), Just("x-echo:  two "),
            Just("X-Request-Id: forged"), Just("Connection: keep-alive"), Just("Empty:"),
        ],
        1 => prop_oneof![
            Just("Connection: close"), Just("Content-Length: 0"), Just("Content-Length: 1"),
            Just("Content-Length: +0"), Just("Transfer-Encoding: chunked"), Just("Transfer-Encoding : chunked"),
            Just("Expect: 100-continue"), Just(" folded: x"), Just("Upgrade: h2c"), Just("b\u{e4}d"), Just("a b: c"),
        ],
    ];
    (line, prop::collection::vec(field, 0..5)).prop_map(|(line, fields)| {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        format!("{line}\r\nHost: a\r\n{fields}\r\n")
    })
}

/// Takes nothing: hyper and the router answer it all.
const FIRST: &str = "OPTIONS /routed HTTP/1.1\r\nHost: a\r\n\r\n";

/// A connection that once asked for something else is hyper's. So the same requests on a new connection, and after such a
/// one, must have the same answers, however they are cut.
#[test]
fn answers_are_hyper_s_byte_for_byte() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stage = Stage::default();
    let (address, _server, first) = runtime.block_on(async {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let router = Router::new().route("/routed", get(|| async { "routed" }));
        let router = crate::layers::finish(router, None);
        let listeners = vec![Listener { tcp, tls: None, redirect: None }];
        let server =
            serve_behind(stage.clone(), listeners, router, Limits::default(), CancellationToken::new());
        let server = tokio::spawn(server);
        let first = exchange(address, &format!("{FIRST}{END}"), &[]).await;
        (address, server, without_chance(&first))
    });
    // What the first request and the last are answered with.
    let end = first.rfind("HTTP/1.1 ").unwrap();
    let first = &first[..end];
    assert!(first.starts_with("HTTP/1.1 405 "), "{first}");
    let requests = prop::collection::vec(request(), 1..4);
    let cuts = prop::collection::vec(any::<usize>(), 0..3);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&(requests, cuts), |(requests, cuts)| {
        let requests = requests.concat() + END;
        // Whether hyper closes after a body that nobody read hangs on when that came.
        let has_body = ["Content-Length: 1", "chunked"].iter().any(|body| requests.contains(body));
        let cuts = if has_body { &[][..] } else { &cuts };
        let ours = runtime.block_on(exchange(address, &requests, cuts));
        let hyper_s = runtime.block_on(exchange(address, &format!("{FIRST}{requests}"), &[]));
        let hyper_s = without_chance(&hyper_s);
        prop_assert_eq!(without_chance(&ours), hyper_s.strip_prefix(first).unwrap_or("no first answer"));
        Ok(())
    });
    outcome.unwrap();
    assert!(stage.taken.load(SeqCst) > 0);
}

/// The server closes after it.
const END: &str = "GET /routed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
