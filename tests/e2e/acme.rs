//! A certificate that comes and renews by itself, from a real ACME server.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millrace_test_services::free_port;
use millrace_test_services::pebble::Pebble;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::server::Server;
use crate::wait::until;

const DOMAIN: &str = "live.millrace.test";
const SOON: Duration = Duration::from_secs(60);
const LONG_LIFE_S: u64 = 90 * 86_400;

/// A site whose ports are known before it runs, and the ACME server that looks for it there.
struct Site {
    pebble: Pebble,
    data: Arc<TempDir>,
    http: u16,
    https: u16,
}

impl Site {
    async fn new(life_s: u64) -> Self {
        Self::with_account(life_s, None).await
    }

    /// The ACME server wants to know this account.
    async fn with_account(life_s: u64, account: Option<(&str, &str)>) -> Self {
        let (http, https) = (free_port(), free_port());
        let pebble = Pebble::start_for(http, https, life_s, account).await;
        Self { pebble, data: Arc::new(TempDir::new().unwrap()), http, https }
    }

    async fn serve(&self, more: &[(&str, &str)]) -> Server {
        let (http, https) = (format!("127.0.0.1:{}", self.http), format!("127.0.0.1:{}", self.https));
        let directory = self.pebble.directory();
        let mut settings = vec![
            ("MILLRACE_HTTP_ADDR", http.as_str()),
            ("MILLRACE_HTTPS_ADDR", https.as_str()),
            ("MILLRACE_RTMPS_ADDR", "127.0.0.1:0"),
            ("MILLRACE_ACME_DOMAINS", DOMAIN),
            ("MILLRACE_ACME_EMAIL", "owner@millrace.test"),
            ("MILLRACE_ACME_DIRECTORY", directory.as_str()),
            ("MILLRACE_ACME__DIRECTORY_CA", self.pebble.ca().to_str().unwrap()),
            ("MILLRACE_ACME__RETRY", "300ms"),
        ];
        settings.extend(more);
        Server::alone_in(Arc::clone(&self.data), &settings).await
    }

    /// What certificates are trusted by, as it is now: each start of the ACME server has its own.
    async fn root(&self) -> Vec<u8> {
        let client = crate::http::client().danger_accept_invalid_certs(true).build().unwrap();
        client.get(self.pebble.root_url()).send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    /// A browser that knows the root and finds the domain here.
    async fn browser(&self) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(&self.root().await).unwrap();
        crate::http::client()
            .tls_certs_only([root])
            .resolve(DOMAIN, SocketAddr::from(([127, 0, 0, 1], self.https)))
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .unwrap()
    }

    /// Status and version of a page by https; `None` while there is no good certificate.
    async fn page(&self, browser: &reqwest::Client) -> Option<(u16, reqwest::Version)> {
        let url = format!("https://{DOMAIN}:{}/healthz", self.https);
        let answer = browser.get(url).send().await.ok()?;
        Some((answer.status().as_u16(), answer.version()))
    }

    /// Makes the ACME server find the domain, or not.
    async fn names(&self, order: &str) {
        let body = serde_json::json!({ "host": format!("{DOMAIN}.") }).to_string();
        let client = crate::http::client().build().unwrap();
        let answer = client.post(self.pebble.names_url(order)).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

/// The certificate that is shown at this address to one who trusts `root`.
async fn shown(root: &[u8], address: SocketAddr, alpn: &[&[u8]]) -> Option<CertificateDer<'static>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await.ok()?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from(DOMAIN).unwrap(), stream).await.ok()?;
    Some(stream.get_ref().1.peer_certificates()?.first()?.clone().into_owned())
}

fn files(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        if entry.file_type().unwrap().is_dir() {
            found.push((format!("{}/", entry.file_name().display()), mode));
            found.extend(files(&entry.path()));
        } else {
            found.push((entry.file_name().display().to_string(), mode));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_may_want_an_account_that_was_made_with_it_before() {
    const KEY: &str = "bWlsbHJhY2UtdGVzdC1rZXktb2YtYW4tYWNjb3VudC0x";
    let site = Site::with_account(LONG_LIFE_S, Some(("kid-1", KEY))).await;
    let key_file = site.data.path().join("key");
    let file = key_file.to_str().unwrap();
    let named =
        [("MILLRACE_ACME__EXTERNAL_ACCOUNT", "kid-1"), ("MILLRACE_ACME__EXTERNAL_ACCOUNT_KEY_FILE", file)];

    let server = site.serve(&[]).await;
    until("the refusal", SOON, async || server.logged("set acme.external_account")).await;
    server.stop().await;

    std::fs::write(&key_file, "no key!").unwrap();
    let server = site.serve(&named).await;
    until("what is wrong with the key", SOON, async || server.logged("holds no key of an external account"))
        .await;
    server.stop().await;

    std::fs::write(&key_file, format!("{KEY}\n")).unwrap();
    let server = site.serve(&named).await;
    let browser = site.browser().await;
    until("a certificate", SOON, || site.page(&browser)).await;
    assert!(!server.log().contains(KEY), "the key is in the log");
    server.assert_calm();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_challenge_gets_a_certificate_that_outlives_a_restart() {
    let site = Site::new(LONG_LIFE_S).await;
    let browser = site.browser().await;
    for challenge in ["http-01", "tls-alpn-01"] {
        let folder = site.data.path().join("acme");
        let _ = std::fs::remove_dir_all(&folder);
        let only = format!("[\"{challenge}\"]");
        let server = site.serve(&[("MILLRACE_ACME__CHALLENGES", &only)]).await;
        let answer = until("a certificate", SOON, || site.page(&browser)).await;
        assert_eq!(answer, (200, reqwest::Version::HTTP_2), "{challenge}");
        assert!(server.logged("got a certificate").is_some_and(|line| line.contains(challenge)));

        let (root, https) = (site.root().await, server.https.unwrap());
        let on_https = shown(&root, https, &[b"h2"]).await.unwrap();
        assert_eq!(shown(&root, server.rtmps.unwrap(), &[]).await.unwrap(), on_https);
        assert_eq!(shown(&root, https, &[b"acme-tls/1"]).await, None, "no challenge is under way");

        let account = site.pebble.directory().replace("https://", "").replace([':', '/'], "-");
        assert_eq!(
            files(&folder),
            [
                (format!("{account}/"), 0o700),
                ("account.json".into(), 0o600),
                ("certificate.pem".into(), 0o600)
            ]
        );
        let ends = server.metric("millrace_tls_certificate_expires_timestamp_seconds").await.unwrap();
        let renews = server.metric("millrace_tls_certificate_renewal_timestamp_seconds").await.unwrap();
        assert!((29.9..33.1).contains(&((ends - renews) / 86_400.0)), "{ends} {renews}");
        assert_eq!(server.metric("millrace_acme_orders_total{outcome=\"issued\"}").await, Some(1.0));
        server.assert_calm();
        server.stop().await;

        // It is there at once, without another order.
        let server = site.serve(&[("MILLRACE_ACME__CHALLENGES", &only)]).await;
        assert_eq!(shown(&root, https, &[b"h2"]).await.unwrap(), on_https);
        assert_eq!(server.metric("millrace_acme_orders_total{outcome=\"issued\"}").await, Some(0.0));
        server.assert_calm();
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_requests_go_to_https_but_for_health_and_challenges() {
    let site = Site::new(LONG_LIFE_S).await;
    let server = site.serve(&[]).await;
    let browser = site.browser().await;
    until("a certificate", SOON, || site.page(&browser)).await;
    let plain = |path: &str, host: &str| {
        let request = browser.get(server.url(path)).header("host", host);
        async move {
            let answer = request.send().await.unwrap();
            let location = answer.headers().get("location").map(|l| l.to_str().unwrap().to_owned());
            (answer.status().as_u16(), location)
        }
    };
    let https = site.https;
    assert_eq!(
        plain("/@studio?t=1", DOMAIN).await,
        (308, Some(format!("https://{DOMAIN}:{https}/@studio?t=1")))
    );
    assert_eq!(
        plain("/", &format!("{DOMAIN}:{}", site.http)).await,
        (308, Some(format!("https://{DOMAIN}:{https}/")))
    );
    for path in ["/healthz", "/readyz"] {
        assert_eq!(plain(path, DOMAIN).await, (200, None), "{path}");
    }
    assert_eq!(plain("/.well-known/acme-challenge/guessed", DOMAIN).await, (404, None));
    assert_eq!(plain("/version", "127.0.0.1").await, (200, None), "a host without a certificate");
    server.assert_calm();
    server.stop().await;

    let server = site.serve(&[("MILLRACE_HTTP__REDIRECT_TO_HTTPS", "false")]).await;
    let request = browser.get(server.url("/version")).header("host", DOMAIN);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_though_the_directory_was_away_and_forgot_us() {
    let mut site = Site::new(30).await;
    let server = site.serve(&[]).await;
    let root = site.root().await;
    let https = server.https.unwrap();
    let first = until("a certificate", SOON, || shown(&root, https, &[b"h2"])).await;
    site.pebble.kill();
    until("a renewal that fails", SOON, || async { server.logged("does not answer") }).await;
    let told = server.logged("does not answer").unwrap();
    assert!(told.contains("the present one is used meanwhile") && told.contains("trying again in"), "{told}");
    assert_eq!(shown(&root, https, &[b"h2"]).await.as_ref(), Some(&first));
    site.pebble.restart().await;
    let root = site.root().await;
    let second = until("another certificate", SOON, || shown(&root, https, &[b"h2"])).await;
    assert_ne!(second, first);
    assert_eq!(shown(&root, server.rtmps.unwrap(), &[]).await, Some(second));
    assert!(server.logged("does not know our account any more").is_some());
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_away_and_a_domain_that_is_not_ours_are_told_and_http_goes_on() {
    let mut site = Site::new(LONG_LIFE_S).await;
    site.pebble.kill();
    let server = site.serve(&[]).await;
    until("that it is away", SOON, || async { server.logged("does not answer") }).await;
    let told = server.logged("does not answer").unwrap();
    assert!(told.contains(&site.pebble.directory()) && told.contains("HTTP goes on"), "{told}");
    let plain = |path: &str| crate::http::get(server.url(path));
    assert_eq!(plain("/version").await.unwrap().status(), 200, "no redirect to what does not work");
    let ready = plain("/readyz").await.unwrap();
    assert_eq!(ready.status(), 200);
    assert!(ready.text().await.unwrap().contains("there is no certificate yet"));

    site.names("set-servfail").await;
    site.pebble.restart().await;
    let refused = until("a refusal", SOON, || async { server.logged("no new certificate: live.") }).await;
    for part in [DOMAIN, "could not be validated by http-01", "port 80", "MILLRACE_HTTP_ADDR"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let first_try = server.logged("could not be validated by tls-alpn-01").unwrap();
    assert!(first_try.contains("port 443") && first_try.contains("Trying http-01"), "{first_try}");
    assert!(server.metric("millrace_acme_orders_total{outcome=\"refused\"}").await >= Some(1.0));
    assert!(server.metric("millrace_acme_orders_total{outcome=\"unreachable\"}").await >= Some(1.0));
    assert_eq!(plain("/version").await.unwrap().status(), 200);

    site.names("clear-servfail").await;
    let browser = site.browser().await;
    until("a certificate", SOON, || site.page(&browser)).await;
    until("that it is ready", SOON, || async {
        (!plain("/readyz").await.ok()?.text().await.ok()?.contains("no certificate")).then_some(())
    })
    .await;
}
