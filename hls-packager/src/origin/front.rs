//! The origin as a front: playlists of renditions and media, which are nearly all requests of a site, past the router.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Response, Uri};
use millrace_http::front::{Front, FrontBody};

use super::body::{Chain, ChainBody, WholeBody};
use super::{Origin, Target};

impl Front for Origin {
    type Body = WholeBody;

    fn takes(&self, method: &Method, uri: &Uri) -> bool {
        method == Method::GET && target(uri.path()).is_some()
    }

    async fn answer(&self, request: Parts, peer: SocketAddr) -> Response<FrontBody<WholeBody>> {
        let target = target(request.uri.path()).unwrap_or_default();
        let answer = self.answer_file(target, &request, Some(peer.ip())).await;
        answer.map(|body| match body {
            FrontBody::Front(chain) => FrontBody::Front(WholeBody::from(chain)),
            FrontBody::Router(body) => FrontBody::Router(body),
        })
    }
}

/// The same answer for a router.
pub(super) fn routed(answer: Response<FrontBody<Chain>>) -> Response<Body> {
    answer.map(|body| match body {
        FrontBody::Front(chain) => Body::new(ChainBody::from(chain)),
        FrontBody::Router(body) => body,
    })
}

/// Reads `/live/{channel}/{rendition}/{file}`, below `/t/{token}` or not, where nothing is percent-encoded: names of
/// ours never are.
fn target(path: &str) -> Option<Target<'_>> {
    if path.contains('%') {
        return None;
    }
    let mut segments = path.strip_prefix('/')?.split('/');
    let mut next = || segments.next().filter(|segment| !segment.is_empty());
    let token = match next()? {
        "live" => None,
        "t" => {
            let token = next()?;
            (next()? == "live").then_some(Some(token))?
        }
        _ => return None,
    };
    let (channel, rendition, file) = (next()?, next()?, next()?);
    segments.next().is_none().then_some(Target { token, channel, rendition, file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_gets_what_is_not_plainly_ours() {
        let plain = |path| target(path).map(|t| (t.token, t.channel, t.rendition, t.file));
        assert_eq!(plain("/live/a/main/x.m4s"), Some((None, "a", "main", "x.m4s")));
        assert_eq!(plain("/t/secret/live/a/main/x.m4s"), Some((Some("secret"), "a", "main", "x.m4s")));
        for path in [
            "/",
            "/live",
            "/live/a",
            "/live/a/index.m3u8",
            "/live/a/main/",
            "/live//main/x.m4s",
            "/live/a/main/x.m4s/",
            "/live/a/main/x/y",
            "/live/a%62/main/x.m4s",
            "/Live/a/main/x.m4s",
            "/t/live/a/main/x.m4s",
            "/t//live/a/main/x.m4s",
            "/t/secret/a/main/x.m4s",
            "live/a/main/x.m4s",
            "*",
            "",
        ] {
            assert_eq!(plain(path), None, "{path}");
        }
    }
}
