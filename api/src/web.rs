//! The web app, embedded in the binary: pages, hashed assets, and the headers that keep them safe.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use millrace_core::ids::ChannelName;
use millrace_http::problem::Problem;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Dist;

/// Pages of the app beside those of channels.
const PAGES: &[&str] = &[
    "/",
    "/login",
    "/register",
    "/setup",
    "/forgot",
    "/reset",
    "/verify",
    "/dashboard",
    "/settings",
    "/admin",
    "/rules",
    "/search",
    "/following",
    "/api/docs",
];
/// The page of the app; the router in it decides what to show.
const INDEX: &str = "index.html";
/// What is shown when the binary was built without the web app.
const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Millrace</title>\
    <p>This binary was built without its web app. Run <code>make build</code>, which builds both.";

/// No inline script or style, nothing from elsewhere; `blob:` is how media source extensions and hls.js's worker
/// are attached.
const POLICY: &str = "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; img-src 'self' data:; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors ";

/// The routes of the app. Only `/embed/{channel}` may be framed.
pub(crate) fn router() -> Router {
    let assets = Arc::new(Assets::load());
    let page = |framed: bool| {
        let assets = Arc::clone(&assets);
        move |headers: HeaderMap| async move { assets.page(StatusCode::OK, framed, &headers) }
    };
    let channel_page = |framed: bool| {
        let assets = Arc::clone(&assets);
        move |Path(channel): Path<String>, headers: HeaderMap| async move {
            let known = channel.parse::<ChannelName>().is_ok();
            assets.page(if known { StatusCode::OK } else { StatusCode::NOT_FOUND }, framed, &headers)
        }
    };
    let file = {
        let assets = Arc::clone(&assets);
        move |uri: axum::http::Uri, headers: HeaderMap| async move { assets.file(uri.path(), &headers) }
    };
    let mut router = Router::new()
        .route("/@{channel}", get(channel_page(false)))
        .route("/@{channel}/chat", get(channel_page(false)))
        .route("/embed/{channel}", get(channel_page(true)));
    for path in PAGES {
        router = router.route(path, get(page(false)));
    }
    // What exists has a route; everything else falls to the page that says so.
    for path in assets.files.keys().filter(|path| path.as_str() != INDEX) {
        router = router.route(&format!("/{path}"), get(file.clone()));
    }
    router.fallback(move |headers: HeaderMap| async move {
        if wants_html(&headers) {
            assets.page(StatusCode::NOT_FOUND, false, &headers)
        } else {
            Problem::not_found().into_response()
        }
    })
}

fn wants_html(headers: &HeaderMap) -> bool {
    accepts(headers, header::ACCEPT, "text/html")
}

fn accepts(headers: &HeaderMap, name: header::HeaderName, what: &str) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            parts.next() == Some(what)
                && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    })
}

struct Assets {
    files: HashMap<String, Asset>,
}

struct Asset {
    body: Bytes,
    gzip: OnceLock<Option<Bytes>>,
    etag: HeaderValue,
    kind: HeaderValue,
}

impl Assets {
    fn load() -> Self {
        let files: HashMap<_, _> = Dist::iter()
            .filter_map(|path| Dist::get(&path).map(|file| (path, file)))
            .map(|(path, file)| {
                let body = match file.data {
                    Cow::Borrowed(data) => Bytes::from_static(data),
                    Cow::Owned(data) => Bytes::from(data),
                };
                let hash: String =
                    file.metadata.sha256_hash()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
                let etag = HeaderValue::try_from(format!("\"{hash}\"")).expect("hex is a header value");
                let kind = HeaderValue::from_static(content_type(&path));
                (path.into_owned(), Asset { body, gzip: OnceLock::new(), etag, kind })
            })
            .collect();
        if !files.contains_key(INDEX) {
            tracing::warn!("this binary was built without its web app; run `make build` to have it");
        }
        Self { files }
    }

    fn page(&self, status: StatusCode, framed: bool, headers: &HeaderMap) -> Response {
        let mut response = match self.files.get(INDEX) {
            Some(asset) => asset.answer(headers, "no-cache", status == StatusCode::OK),
            None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT).into_response(),
        };
        if response.status() == StatusCode::OK {
            *response.status_mut() = status;
        }
        let policy = format!("{POLICY}{}", if framed { "*" } else { "'none'" });
        let policy = HeaderValue::try_from(policy).expect("a policy of constants is a header value");
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }

    fn file(&self, path: &str, headers: &HeaderMap) -> Response {
        let path = path.trim_start_matches('/');
        // Vite puts a hash of the content into the names below assets/.
        let cache =
            if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
        match self.files.get(path) {
            Some(asset) => asset.answer(headers, cache, true),
            None => Problem::not_found().into_response(),
        }
    }
}

impl Asset {
    fn answer(&self, headers: &HeaderMap, cache: &'static str, conditional: bool) -> Response {
        let fixed = [
            (header::ETAG, self.etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
        ];
        if conditional && headers.get(header::IF_NONE_MATCH).is_some_and(|sent| sent == self.etag) {
            return (StatusCode::NOT_MODIFIED, fixed).into_response();
        }
        let kind = [(header::CONTENT_TYPE, self.kind.clone())];
        if accepts(headers, header::ACCEPT_ENCODING, "gzip")
            && let Some(gzip) = self.gzip.get_or_init(|| self.compress())
        {
            return (fixed, kind, [(header::CONTENT_ENCODING, "gzip")], gzip.clone()).into_response();
        }
        (fixed, kind, self.body.clone()).into_response()
    }

    /// Compresses once what gets smaller by it.
    fn compress(&self) -> Option<Bytes> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&self.body).ok()?;
        let gzip = encoder.finish().ok()?;
        (gzip.len() < self.body.len() * 9 / 10).then(|| Bytes::from(gzip))
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    async fn ask(path: &str, accept: &str) -> Response {
        let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        router().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn only_the_embed_page_may_be_framed() {
        for (path, ancestors) in [
            ("/", "'none'"),
            ("/login", "'none'"),
            ("/@studio", "'none'"),
            ("/@studio/chat", "'none'"),
            ("/embed/studio", "*"),
        ] {
            let response = ask(path, "text/html").await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.ends_with(&format!("frame-ancestors {ancestors}")), "{path}: {policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
        }
    }

    #[tokio::test]
    async fn what_does_not_exist_is_a_page_for_people_and_a_problem_for_programs() {
        let page = ask("/nowhere", "text/html,application/xhtml+xml").await;
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        assert!(page.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        let problem = ask("/nowhere", "*/*").await;
        assert_eq!(problem.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(ask("/@Bad-Name", "text/html").await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn every_page_of_the_app_is_served() {
        let routes = include_str!("../../web/src/app/routes.tsx");
        let paths = routes.split("path=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let fixed: Vec<_> = paths.filter(|path| !path.contains([':', '*'])).collect();
        assert!(fixed.len() > 8, "{fixed:?}");
        for path in fixed {
            assert!(PAGES.contains(&path), "{path} is a page of the app, but answered with 404");
        }
    }

    #[test]
    fn an_encoding_that_is_refused_is_not_accepted() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("br, gzip;q=0"));
        assert!(!accepts(&headers, header::ACCEPT_ENCODING, "gzip"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("br;q=1.0, gzip;q=0.8"));
        assert!(accepts(&headers, header::ACCEPT_ENCODING, "gzip"));
    }
}
