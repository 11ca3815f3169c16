//! Heads of plain requests and of their answers, as bytes. Sans-IO.
//!
//! What is plain is narrow on purpose: whatever could be read in two ways, or means more than "send me this", is for
//! hyper, which is given the bytes as they came.

use std::ops::Range;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use bytes::Bytes;

/// Most header fields of a plain request; browsers send about fifteen.
const MAX_FIELDS: usize = 32;

/// Fields that say how the message goes on or how the connection does (RFC 9112 §6, §9; RFC 9110 §7.8, §10.1.1): whoever
/// sends one has more in mind than a plain `GET`. `Connection` is read by itself.
const NOT_PLAIN: [HeaderName; 5] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT, header::UPGRADE, header::TRAILER];

/// A request without a body on a connection that stays open.
pub(crate) struct Plain {
    /// Its head.
    pub(crate) request: Parts,
    /// Bytes of the input that it took.
    pub(crate) length: usize,
}

/// Reads the plain `GET` that `input` begins with, if it is one that `takes`; nothing is copied but the names of fields.
///
/// `None` for whatever is not complete, and for whatever else it may be.
pub(crate) fn read(input: &Bytes, takes: impl FnOnce(&Method, &Uri) -> bool) -> Option<Plain> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(length)) = head.parse(input) else { return None };
    if (head.method, head.version) != (Some("GET"), Some(1)) {
        return None;
    }
    let path = head.path.filter(|path| path.starts_with('/'))?;
    let uri = Uri::from_maybe_shared(input.slice(place(input, path.as_bytes())?)).ok()?;
    if !takes(&Method::GET, &uri) {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let stays = name != header::CONNECTION || field.value.eq_ignore_ascii_case(b"keep-alive");
        if !stays || NOT_PLAIN.contains(&name) {
            return None;
        }
        let value = HeaderValue::from_maybe_shared(input.slice(place(input, field.value)?)).ok()?;
        headers.append(name, value);
    }
    let mut request = Request::new(()).into_parts().0;
    request.uri = uri;
    request.version = Version::HTTP_11;
    request.headers = headers;
    Some(Plain { request, length })
}

/// Where in `input` is `part`, which was found in it.
fn place(input: &[u8], part: &[u8]) -> Option<Range<usize>> {
    if part.is_empty() {
        return Some(0..0);
    }
    let begin = part.as_ptr().addr().checked_sub(input.as_ptr().addr())?;
    let end = begin + part.len();
    (end <= input.len()).then_some(begin..end)
}

/// What is said about an answer besides its own headers.
pub(crate) struct Framing<'a> {
    /// Bytes of the body; `None` if the connection's end is its end.
    pub(crate) length: Option<u64>,
    /// Whether the connection closes after it.
    pub(crate) last: bool,
    /// The time (RFC 9110 §5.6.7).
    pub(crate) date: &'a [u8],
}

/// Whether an answer of this status may have a body (RFC 9110 §6.4.1).
pub(crate) fn has_body(status: StatusCode) -> bool {
    !(status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED))
}

/// Appends the head of an answer: what hyper writes for the same, byte for byte.
pub(crate) fn write(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap, framing: &Framing<'_>) {
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    put(&[
        b"HTTP/1.1 ",
        status.as_str().as_bytes(),
        b" ",
        status.canonical_reason().unwrap_or("<none>").as_bytes(),
        b"\r\n",
    ]);
    for (name, value) in headers {
        // These are ours to say.
        if !matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING | header::CONNECTION) {
            put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
    }
    if framing.last {
        put(&[b"connection: close\r\n"]);
    }
    if let Some(length) = framing.length.filter(|_| has_body(status)) {
        put(&[b"content-length: "]);
        decimal(length, |digits| put(&[digits]));
        put(&[b"\r\n"]);
    }
    put(&[b"date: ", framing.date, b"\r\n\r\n"]);
}

/// Writes a number without a detour through the formatter.
fn decimal(mut number: u64, mut put: impl FnMut(&[u8])) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 || at == 0 {
            return put(&digits[at..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(input: &'static str) -> Option<Plain> {
        read(&Bytes::from_static(input.as_bytes()), |_, uri| uri.path() == "/a")
    }

    #[test]
    fn a_plain_get_is_read_and_what_follows_is_left() {
        let read = plain("GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: \r\nX-Two: 1\r\nx-two: 2\r\n\r\nGET /a")
            .unwrap();
        assert_eq!(
            read.length,
            "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: \r\nX-Two: 1\r\nx-two: 2\r\n\r\n".len()
        );
        let request = read.request;
        assert_eq!((request.uri.path(), request.uri.query()), ("/a", Some("b=c")));
        assert_eq!((&request.method, request.version), (&Method::GET, Version::HTTP_11));
        assert_eq!(request.headers[header::HOST], "x");
        assert_eq!(request.headers[header::ACCEPT], "");
        let two: Vec<_> = request.headers.get_all("x-two").iter().collect();
        assert_eq!(two, ["1", "2"]);
        assert!(plain("GET /a HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n").is_some());
    }

    #[test]
    fn what_may_mean_more_is_not_plain() {
        for input in [
            "",
            "GET /a HTTP/1.1\r\nHost: x\r\n",
            "GET /a HTTP/1.0\r\n\r\n",
            "HEAD /a HTTP/1.1\r\n\r\n",
            "POST /a HTTP/1.1\r\n\r\n",
            "get /a HTTP/1.1\r\n\r\n",
            "GET /b HTTP/1.1\r\n\r\n",
            "GET http://x/a HTTP/1.1\r\n\r\n",
            "GET * HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "GET /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            "GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET /a HTTP/1.1\r\ntransfer-encoding: identity\r\n\r\n",
            "GET /a HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
            "GET /a HTTP/1.1\r\n Transfer-Encoding: chunked\r\n\r\n",
            "GET /a HTTP/1.1\r\nA: b\r\n Transfer-Encoding: chunked\r\n\r\n",
            "GET /a HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "GET /a HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            "GET /a HTTP/1.1\r\nConnection: close\r\n\r\n",
            "GET /a HTTP/1.1\r\nConnection: keep-alive, close\r\n\r\n",
            "GET /a HTTP/1.1\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
            "GET /a HTTP/1.1\r\nA\0: b\r\n\r\n",
            "GET /a HTTP/1.1\r\nA: b\0\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
        ] {
            assert!(plain(input).is_none(), "{input:?}");
        }
        let many = format!("GET /a HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_FIELDS + 1));
        assert!(read(&Bytes::from(many), |_, _| true).is_none());
    }

    #[test]
    fn an_answer_says_its_length_where_it_may_have_a_body() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static("\"a\""));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("7"));
        let head = |status, length, last| {
            let mut out = Vec::new();
            write(&mut out, status, &headers, &Framing { length, last, date: b"now" });
            String::from_utf8(out).unwrap()
        };
        for (status, length, last, wanted) in [
            (StatusCode::OK, Some(0), false, "200 OK\r\netag: \"a\"\r\ncontent-length: 0\r\n"),
            (StatusCode::NOT_MODIFIED, Some(0), false, "304 Not Modified\r\netag: \"a\"\r\n"),
            (StatusCode::OK, None, true, "200 OK\r\netag: \"a\"\r\nconnection: close\r\n"),
            (
                StatusCode::PARTIAL_CONTENT,
                Some(u64::MAX),
                true,
                "206 Partial Content\r\netag: \"a\"\r\nconnection: close\r\ncontent-length: 18446744073709551615\r\n",
            ),
        ] {
            assert_eq!(head(status, length, last), format!("HTTP/1.1 {wanted}date: now\r\n\r\n"));
        }
    }
}
