//! A fast way in front of the router, for the requests that make up nearly all traffic.
//!
//! A router matches, copies path parameters, boxes a future and a body per request, and hands out bodies a chunk of
//! bytes at a time. Viewers of a broadcast ask for the same few URLs three to six times a second each: those go to a
//! [`Front`], and its answers may leave in one system call. Everything else is the router's. Over HTTP/1.1 the plainest of
//! them do not come by hyper either: `quick`.

use std::convert::Infallible;
use std::future::{Future, poll_fn, ready};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Response, Uri};
use axum::response::IntoResponse;
use bytes::{Buf, Bytes};
use hyper::body::{Frame, SizeHint};

use crate::layers::{dress, panicked};

/// Answers some requests ahead of the router.
pub trait Front: Clone + Send + Sync + 'static {
    /// A body whose pieces may be of many chunks. One that does not say its length may end with the connection.
    type Body: hyper::body::Body<Data: Send, Error = Infallible> + Send + Unpin + 'static;

    /// Whether this request is answered here. The router must answer it the same way: what is no plain `GET` goes
    /// there.
    fn takes(&self, method: &Method, uri: &Uri) -> bool;

    /// Answers a request that was taken. Its body is not read.
    fn answer(
        &self,
        request: Parts,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<FrontBody<Self::Body>>> + Send;
}

/// Takes nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoFront;

impl Front for NoFront {
    type Body = NoBody;

    fn takes(&self, _: &Method, _: &Uri) -> bool {
        false
    }

    fn answer(&self, _: Parts, _: SocketAddr) -> impl Future<Output = Response<FrontBody<NoBody>>> + Send {
        ready(Response::new(FrontBody::from(Body::empty())))
    }
}

/// The body of [`NoFront`]: there is none.
#[derive(Debug)]
pub enum NoBody {}

impl hyper::body::Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match *self {}
    }
}

/// Answers with `front`, and finishes the answer as [`crate::layers::finish`] does for the router's.
pub(crate) async fn answer<F: Front>(
    front: &F,
    request: Parts,
    peer: SocketAddr,
) -> Response<FrontBody<F::Body>> {
    let mut answer = pin!(front.answer(request, peer));
    let mut answer = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(_) => Poll::Ready(panicked().into_response().map(FrontBody::from)),
    })
    .await;
    dress(&mut answer);
    answer
}

/// The body of an answer: of the front, or of the router.
#[derive(Debug)]
pub enum FrontBody<B> {
    /// Made by a [`Front`].
    Front(B),
    /// Made as the router makes them: problem documents, mostly.
    Router(Body),
}

impl<B> From<Body> for FrontBody<B> {
    fn from(body: Body) -> Self {
        Self::Router(body)
    }
}

impl<B: hyper::body::Body<Error = Infallible> + Unpin> hyper::body::Body for FrontBody<B> {
    type Data = Piece<B::Data>;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Front(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|Ok(frame)| Ok(frame.map_data(Piece::Front)))),
            Self::Router(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(Piece::Router)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Front(body) => body.is_end_stream(),
            Self::Router(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Front(body) => body.size_hint(),
            Self::Router(body) => hyper::body::Body::size_hint(body),
        }
    }
}

/// A piece of a [`FrontBody`].
#[derive(Debug)]
pub enum Piece<D> {
    /// Of a front: of many chunks, perhaps.
    Front(D),
    /// Of the router.
    Router(Bytes),
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::Front(piece) => piece.remaining(),
            Self::Router(piece) => piece.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Front(piece) => piece.chunk(),
            Self::Router(piece) => piece.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Front(piece) => piece.chunks_vectored(slices),
            Self::Router(piece) => piece.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Front(piece) => piece.advance(count),
            Self::Router(piece) => piece.advance(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::layers::{REQUEST_ID, request_id};
    use crate::redirect::HttpsRedirect;
    use crate::server::{Limits, Listener, serve_behind};
    use axum::Router;
    use axum::http::header;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::sync::CancellationToken;

    /// Takes `/front` and below.
    #[derive(Clone)]
    struct Greeter;

    /// Chunks as one piece.
    struct Whole(Option<std::collections::VecDeque<u8>>);

    impl hyper::body::Body for Whole {
        type Data = std::collections::VecDeque<u8>;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
            Poll::Ready(self.0.take().map(|piece| Ok(Frame::data(piece))))
        }
    }

    impl Front for Greeter {
        type Body = Whole;

        fn takes(&self, method: &Method, uri: &Uri) -> bool {
            method == Method::GET && uri.path().starts_with("/front")
        }

        async fn answer(&self, request: Parts, peer: SocketAddr) -> Response<FrontBody<Whole>> {
            assert_ne!(request.uri.path(), "/front/panics", "on purpose");
            let mut text: std::collections::VecDeque<u8> = b" is who asks".iter().copied().collect();
            // Two chunks in memory.
            peer.ip().to_string().bytes().rev().for_each(|byte| text.push_front(byte));
            Response::new(FrontBody::Front(Whole(Some(text))))
        }
    }

    async fn ask(request: &str) -> String {
        ask_on(None, request).await
    }

    async fn ask_on(redirect: Option<HttpsRedirect>, request: &str) -> String {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let router = crate::layers::finish(Router::new().route("/front", get(|| async { "routed" })), None);
        let listeners = vec![Listener { tcp, tls: None, redirect }];
        let server = serve_behind(Greeter, listeners, router, Limits::default(), CancellationToken::new());
        #[expect(clippy::disallowed_methods, reason = "a real server runs beside its peer")]
        let server = tokio::spawn(server);
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(format!("{request}\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        server.abort();
        answer
    }

    #[tokio::test]
    async fn the_front_answers_what_it_takes_and_the_router_the_rest() {
        for (request, status, body) in [
            ("GET /front HTTP/1.1", 200, "127.0.0.1 is who asks"),
            ("HEAD /front HTTP/1.1", 200, ""),
            ("POST /front HTTP/1.1", 405, "does not answer that method"),
            ("GET /back HTTP/1.1", 404, ""),
            ("GET /front/panics HTTP/1.1", 500, "/problems/internal"),
        ] {
            let answer = ask(request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
            assert!(answer.contains(body), "{request}: {answer}");
        }
    }

    #[tokio::test]
    async fn where_requests_are_sent_to_https_all_go_by_that_rule() {
        let rule =
            HttpsRedirect { certificates: Arc::default(), public_url: None, port: 443, names: Vec::new() };
        let answer = ask_on(Some(rule), "GET /front HTTP/1.1").await;
        assert!(answer.ends_with("routed"), "{answer}");
    }

    #[tokio::test]
    async fn an_answer_of_the_front_carries_what_every_answer_does() {
        for request in ["GET /front HTTP/1.1", "GET /front/panics HTTP/1.1"] {
            let answer = ask(request).await;
            for wanted in [
                "x-request-id: ",
                "x-content-type-options: nosniff\r\n",
                "referrer-policy: strict-origin-when-cross-origin\r\n",
            ] {
                assert!(answer.contains(wanted), "{request}: {answer}");
            }
        }
        // A handler's own word stands.
        let mut response = Response::new(());
        let wanted = axum::http::HeaderValue::from_static("no-referrer");
        response.headers_mut().insert(header::REFERRER_POLICY, wanted.clone());
        response.headers_mut().insert(REQUEST_ID, axum::http::HeaderValue::from_static("forged"));
        dress(&mut response);
        assert_eq!(response.headers()[header::REFERRER_POLICY], wanted);
        let id = uuid::Uuid::parse_str(request_id(&response).unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
}
