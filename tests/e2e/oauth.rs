//! Signing in with real providers: the certified OpenID Connect implementation, one that misbehaves on command, and VK's
//! documented protocol.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::accounts_pages::Owner;
use crate::mail::Mailbox;
use crate::node::scripts;
use crate::server::{Server, scratch};
use crate::wait::share;

/// Redirects of one sign-in before we call it a loop.
const HOPS_MAX: usize = 20;
/// What people wait for at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// A provider, in a process of its own.
struct Provider {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    issuer: String,
}

impl Provider {
    async fn start(kind: &str, redirect: &str) -> Self {
        let mut child = Command::new("node")
            .arg(scripts().join("providers.mjs"))
            .args(["--kind", kind, "--redirect", redirect])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, output.next_line()).await.unwrap().unwrap().unwrap();
        let first: Value = serde_json::from_str(&line).unwrap();
        let issuer = first["issuer"].as_str().unwrap().to_owned();
        Self { _child: child, input, output, issuer }
    }

    async fn tell(&mut self, command: Value) {
        self.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        tokio::time::timeout(PATIENCE, self.output.next_line()).await.unwrap().unwrap().unwrap();
    }
}

/// A browser without a screen: keeps cookies per host and port, and shows each redirect.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    cookies: BTreeMap<(String, String), String>,
}

pub(crate) struct Page {
    pub(crate) status: StatusCode,
    url: Url,
    pub(crate) location: Option<String>,
    pub(crate) text: String,
}

impl Browser {
    async fn send(&mut self, method: Method, url: &Url, body: Option<(&str, reqwest::Body)>) -> Page {
        let client = crate::http::client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let site = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let of_site = self.cookies.iter().filter(|((owner, _), _)| *owner == site);
        let cookies: Vec<_> = of_site.map(|((_, name), value)| format!("{name}={value}")).collect();
        let csrf = self.cookies.get(&(site.clone(), "millrace_csrf".to_owned())).cloned().unwrap_or_default();
        let mut request = client
            .request(method, url.clone())
            .header("cookie", cookies.join("; "))
            .header("x-csrf-token", csrf)
            .header("origin", url.origin().ascii_serialization());
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body);
        }
        let response = request.send().await.unwrap();
        for set in response.headers().get_all("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert((site.clone(), name.to_owned()), value.to_owned());
        }
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        Page { status: response.status(), url: url.clone(), location, text: response.text().await.unwrap() }
    }

    /// The value of a cookie; tests have one site.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.iter().find(|((_, found), _)| found == name).map(|(_, value)| value.clone())
    }

    pub(crate) async fn get(&mut self, url: &str) -> Page {
        self.send(Method::GET, &url.parse().unwrap(), None).await
    }

    pub(crate) async fn json(&mut self, method: Method, url: &str, body: Value) -> Page {
        let body = Some(("application/json", body.to_string().into()));
        self.send(method, &url.parse().unwrap(), body).await
    }

    pub(crate) async fn put(&mut self, url: &str, kind: &str, body: Vec<u8>) -> Page {
        self.send(Method::PUT, &url.parse().unwrap(), Some((kind, body.into()))).await
    }

    /// Follows redirects, and answers the questions of the certified provider as `login`, until a page of `server` that
    /// is no callback. Returns its path and query.
    async fn follow(&mut self, server: &Server, mut page: Page, login: &str) -> String {
        for _ in 0..HOPS_MAX {
            let next = match &page.location {
                Some(location) => {
                    let next = page.url.join(location).unwrap();
                    if next.port() == Some(server.http.port()) && !next.path().ends_with("/callback") {
                        return next.as_str().split_once(&server.http.to_string()).unwrap().1.to_owned();
                    }
                    self.send(Method::GET, &next, None).await
                }
                None => {
                    assert_eq!(page.status, StatusCode::OK, "{}: {}", page.url, page.text);
                    let prompt = if page.text.contains("name=\"password\"") { "login" } else { "consent" };
                    let form = format!("prompt={prompt}&login={login}&password=any");
                    let kind = "application/x-www-form-urlencoded";
                    self.send(Method::POST, &page.url, Some((kind, form.into()))).await
                }
            };
            page = next;
        }
        panic!("a loop of redirects at {}", page.url);
    }

    /// Signs in with a provider; where it leads.
    async fn sign_in(&mut self, server: &Server, provider: &str, login: &str) -> String {
        let page = self.get(&server.url(&format!("/oauth/{provider}?back=/@studio"))).await;
        self.follow(server, page, login).await
    }

    async fn me(&mut self, server: &Server) -> Value {
        let page = self.get(&server.url("/api/v1/me")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        serde_json::from_str(&page.text).unwrap()
    }
}

/// A free port: the providers must know the address of our callback before the server is there.
pub(crate) fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn callback(address: &str, provider: &str) -> String {
    format!("http://{address}/oauth/{provider}/callback")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certified_provider_lets_people_in_and_their_accounts_stay_apart() {
    let address = free_address();
    let provider = Provider::start("certified", &callback(&address, "certified")).await;
    let server = Server::start(&[
        ("MILLRACE_HTTP_ADDR", &address),
        ("MILLRACE_OAUTH__CERTIFIED__KIND", "oidc"),
        ("MILLRACE_OAUTH__CERTIFIED__LABEL", "Certified"),
        ("MILLRACE_OAUTH__CERTIFIED__ISSUER", &provider.issuer),
        ("MILLRACE_OAUTH__CERTIFIED__CLIENT_ID", "millrace"),
        ("MILLRACE_OAUTH__CERTIFIED__CLIENT_SECRET", "certified-secret"),
    ])
    .await;
    let mut ada = Browser::default();
    let list: Value =
        serde_json::from_str(&ada.get(&server.url("/api/v1/oauth/providers")).await.text).unwrap();
    assert_eq!(list["items"], json!([{"name": "certified", "label": "Certified"}]));

    assert_eq!(ada.sign_in(&server, "certified", "ada").await, "/@studio");
    let me = ada.me(&server).await;
    assert_eq!(
        (&me["name"], &me["email"], &me["email_verified"]),
        (&json!("ada"), &json!("ada@example.org"), &json!(true))
    );
    // The same person in another browser is the same account.
    let mut again = Browser::default();
    assert_eq!(again.sign_in(&server, "certified", "ada").await, "/@studio");
    assert_eq!(again.me(&server).await["id"], me["id"]);
    // An address that the provider has not seen read is not kept.
    let mut eve = Browser::default();
    assert_eq!(eve.sign_in(&server, "certified", "unverified_eve").await, "/@studio");
    assert_eq!(eve.me(&server).await["email"], Value::Null);

    // Somebody has registered with bob's address and a password: the provider's bob does not get into that account.
    let mut squatter = Browser::default();
    let account =
        json!({"name": "squatter", "email": "bob@example.org", "password": "correct horse battery staple"});
    let made = squatter.json(Method::POST, &server.url("/api/v1/auth/register"), account).await;
    assert!(made.status.is_success(), "{}", made.text);
    let mut bob = Browser::default();
    assert_eq!(bob.sign_in(&server, "certified", "bob").await, "/login?problem=email-taken");
    assert_eq!(bob.get(&server.url("/api/v1/me")).await.status, StatusCode::UNAUTHORIZED);

    // Who has a password may link a provider, once, and take it away again.
    let begun = squatter.json(Method::POST, &server.url("/api/v1/me/identities/certified"), json!({})).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.text);
    let url: Value = serde_json::from_str(&begun.text).unwrap();
    let page = squatter.get(url["url"].as_str().unwrap()).await;
    assert_eq!(squatter.follow(&server, page, "carol").await, "/settings");
    let listed: Value =
        serde_json::from_str(&squatter.get(&server.url("/api/v1/me/identities")).await.text).unwrap();
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["password"]), (1, &json!(true)));
    let mut carol = Browser::default();
    carol.sign_in(&server, "certified", "carol").await;
    assert_eq!(carol.me(&server).await["name"], "squatter");
    let id = listed["items"][0]["id"].as_str().unwrap();
    let gone =
        squatter.json(Method::DELETE, &server.url(&format!("/api/v1/me/identities/{id}")), json!({})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    // Nothing but the provider lets ada in, so it stays.
    let hers: Value =
        serde_json::from_str(&ada.get(&server.url("/api/v1/me/identities")).await.text).unwrap();
    let id = hers["items"][0]["id"].as_str().unwrap();
    let kept = ada.json(Method::DELETE, &server.url(&format!("/api/v1/me/identities/{id}")), json!({})).await;
    assert_eq!(kept.status, StatusCode::CONFLICT, "{}", kept.text);

    // The provider is gone.
    drop(provider);
    let mut late = Browser::default();
    assert_eq!(late.sign_in(&server, "nobody", "x").await, "/login?problem=provider-unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_wrongly_lets_nobody_in() {
    let address = free_address();
    let mut provider = Provider::start("mock", &callback(&address, "mock")).await;
    let server = Server::start(&[
        ("MILLRACE_HTTP_ADDR", &address),
        ("MILLRACE_OAUTH__MOCK__KIND", "oidc"),
        ("MILLRACE_OAUTH__MOCK__ISSUER", &provider.issuer),
        ("MILLRACE_OAUTH__MOCK__CLIENT_ID", "millrace"),
        ("MILLRACE_OAUTH__MOCK__CLIENT_SECRET", "mock-secret"),
        ("MILLRACE_OAUTH__AWAY__KIND", "oidc"),
        ("MILLRACE_OAUTH__AWAY__ISSUER", "http://127.0.0.1:1"),
        ("MILLRACE_OAUTH__AWAY__CLIENT_ID", "millrace"),
    ])
    .await;
    for fault in ["nonce", "audience", "expired", "unsigned", "refuses", "fails"] {
        provider.tell(json!({ "fault": fault })).await;
        let mut browser = Browser::default();
        assert_eq!(browser.sign_in(&server, "mock", "").await, "/login?problem=provider-failed", "{fault}");
        assert_eq!(browser.get(&server.url("/api/v1/me")).await.status, StatusCode::UNAUTHORIZED, "{fault}");
    }
    provider.tell(json!({ "fault": null })).await;

    // Another browser began it, or nobody did: the answer is worth nothing here.
    let mut victim = Browser::default();
    let begun = Browser::default().get(&server.url("/oauth/mock")).await;
    assert_eq!(victim.follow(&server, begun, "").await, "/login?problem=provider-expired");
    let forged = victim.get(&server.url("/oauth/mock/callback?code=x&state=y")).await;
    assert_eq!(victim.follow(&server, forged, "").await, "/login?problem=provider-expired");
    let mut unwilling = Browser::default();
    let begun = unwilling.get(&server.url("/oauth/mock")).await;
    let to: Url = begun.location.unwrap().parse().unwrap();
    let state = to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let denied =
        unwilling.get(&server.url(&format!("/oauth/mock/callback?error=access_denied&state={state}"))).await;
    assert_eq!(unwilling.follow(&server, denied, "").await, "/login?problem=provider-denied");
    // Nobody is led to another site.
    let mut lured = Browser::default();
    let page = lured.get(&server.url("/oauth/mock?back=//evil.example/")).await;
    assert_eq!(lured.follow(&server, page, "").await, "/");
    assert_eq!(lured.me(&server).await["name"], "mock");

    let mut browser = Browser::default();
    assert_eq!(browser.sign_in(&server, "away", "").await, "/login?problem=provider-unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn vk_gets_its_device_id_back() {
    let address = free_address();
    let provider = Provider::start("vk", &callback(&address, "vk")).await;
    let server = Server::start(&[
        ("MILLRACE_HTTP_ADDR", &address),
        ("MILLRACE_OAUTH__VK__KIND", "vk"),
        ("MILLRACE_OAUTH__VK__ISSUER", &provider.issuer),
        ("MILLRACE_OAUTH__VK__CLIENT_ID", "51234567"),
    ])
    .await;
    let mut ada = Browser::default();
    assert_eq!(ada.sign_in(&server, "vk", "").await, "/@studio");
    let me = ada.me(&server).await;
    assert_eq!((&me["name"], &me["display_name"]), (&json!("ada_vk"), &json!("Ада Лавлейс")));
    assert_eq!(me["email"], Value::Null, "VK does not say whether the address is the person's");
    let mut again = Browser::default();
    again.sign_in(&server, "vk", "").await;
    assert_eq!(again.me(&server).await["id"], me["id"]);
}

/// What a body says.
fn json_of(page: &Page) -> Value {
    serde_json::from_str(&page.text).unwrap_or_else(|error| panic!("{error}: {}", page.text))
}

impl Browser {
    /// Goes to a provider once more to show who it is; where it leads.
    async fn confirm(&mut self, server: &Server, provider: &str, login: &str) -> (String, String) {
        let path = server.url(&format!("/api/v1/me/identities/{provider}/confirm"));
        let begun = self.json(Method::POST, &path, json!({})).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.text);
        let url = json_of(&begun)["url"].as_str().unwrap().to_owned();
        let page = self.get(&url).await;
        (url, self.follow(server, page, login).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_by_a_provider_sets_a_password_confirms_and_owes_the_second_factor() {
    const PASSWORD: &str = "sturdy-walrus-umbrella-9";
    let address = free_address();
    let provider = Provider::start("certified", &callback(&address, "certified")).await;
    let mut mailbox = Mailbox::start(&[]).await;
    let (smtp, site) = (format!("smtp://127.0.0.1:{}", mailbox.port), format!("http://{address}"));
    let server = Server::start(&[
        ("MILLRACE_HTTP_ADDR", &address),
        ("MILLRACE_PUBLIC_URL", &site),
        ("MILLRACE_MAIL__URL", &smtp),
        ("MILLRACE_MAIL__FROM", "Millrace <noreply@live.test>"),
        ("MILLRACE_OAUTH__CERTIFIED__KIND", "oidc"),
        ("MILLRACE_OAUTH__CERTIFIED__LABEL", "Certified"),
        ("MILLRACE_OAUTH__CERTIFIED__ISSUER", &provider.issuer),
        ("MILLRACE_OAUTH__CERTIFIED__CLIENT_ID", "millrace"),
        ("MILLRACE_OAUTH__CERTIFIED__CLIENT_SECRET", "certified-secret"),
    ])
    .await;
    let url = |path: &str| server.url(&format!("/api/v1{path}"));

    // The provider has just said who it is: a password is set without another.
    let mut ada = Browser::default();
    ada.sign_in(&server, "certified", "ada").await;
    assert_eq!(ada.me(&server).await["has_password"], false);
    let set = ada.json(Method::POST, &url("/me/password"), json!({ "password": PASSWORD })).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.text);
    mailbox.mail("ada@example.org", "Your password at").await;

    // Another way in is told too.
    let begun = ada.json(Method::POST, &url("/me/identities/certified"), json!({})).await;
    ada.cookies.retain(|(site, _), _| *site == server.http.to_string());
    let page = ada.get(json_of(&begun)["url"].as_str().unwrap()).await;
    assert_eq!(ada.follow(&server, page, "dora").await, "/settings");
    let told = mailbox.mail("ada@example.org", "A new way into your account").await;
    assert!(told["text"].as_str().unwrap().contains("can be entered with Certified"), "{told}");

    // In another browser the password lets in, and does not stand for the provider.
    let mut laptop = Browser::default();
    let login = json!({ "login": "ada", "password": PASSWORD });
    assert_eq!(laptop.json(Method::POST, &url("/auth/login"), login).await.status, StatusCode::OK);
    let refused = laptop.json(Method::DELETE, &url("/me"), json!({})).await;
    assert_eq!(json_of(&refused)["type"], "/problems/confirm-first");
    let (asked, led) = laptop.confirm(&server, "certified", "bob").await;
    assert!(asked.contains("prompt=login") && asked.contains("max_age=0"), "{asked}");
    assert_eq!(led, "/settings?problem=identity-other");
    assert_eq!(laptop.json(Method::DELETE, &url("/me"), json!({})).await.status, StatusCode::FORBIDDEN);

    // With a second factor, the provider alone does not let in.
    let enrolled = ada.json(Method::POST, &url("/me/totp"), json!({})).await;
    let secret = json_of(&enrolled)["secret"].as_str().unwrap().to_owned();
    let code = crate::node::run("totp.mjs", &["--secret", &secret]).await[0]["code"].clone();
    let on = ada.json(Method::POST, &url("/me/totp/confirm"), json!({ "code": code })).await;
    assert_eq!(on.status, StatusCode::OK, "{}", on.text);
    let recovery = json_of(&on)["recovery_codes"][0].clone();
    let mut phone = Browser::default();
    assert_eq!(phone.sign_in(&server, "certified", "ada").await, "/login?step=code&next=%2F%40studio");
    assert_eq!(phone.get(&url("/me")).await.status, StatusCode::UNAUTHORIZED);
    let wrong = phone.json(Method::POST, &url("/auth/second-factor"), json!({ "code": "000000" })).await;
    assert_eq!(json_of(&wrong)["type"], "/problems/second-factor-wrong");
    let right = phone.json(Method::POST, &url("/auth/second-factor"), json!({ "code": recovery })).await;
    assert_eq!(right.status, StatusCode::OK, "{}", right.text);
    assert_eq!(phone.me(&server).await["two_factor"], true);

    // The same person at the provider stands for the password, in this browser. (It leaves the provider's bob first.)
    laptop.cookies.retain(|(site, _), _| *site == server.http.to_string());
    assert_eq!(laptop.confirm(&server, "certified", "ada").await.1, "/settings");
    let off = laptop.json(Method::DELETE, &url("/me/totp"), json!({})).await;
    assert_eq!(off.status, StatusCode::NO_CONTENT, "{}", off.text);
    mailbox.mail("ada@example.org", "The second factor").await;
    let gone = laptop.json(Method::DELETE, &url("/me"), json!({})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text);
    assert_eq!(phone.get(&url("/me")).await.status, StatusCode::UNAUTHORIZED);
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_did_not_ask_again_confirms_nothing_and_limits_hold() {
    let address = free_address();
    let mut provider = Provider::start("mock", &callback(&address, "mock")).await;
    let server = Server::start(&[
        ("MILLRACE_HTTP_ADDR", &address),
        ("MILLRACE_OAUTH__MOCK__KIND", "oidc"),
        ("MILLRACE_OAUTH__MOCK__ISSUER", &provider.issuer),
        ("MILLRACE_OAUTH__MOCK__CLIENT_ID", "millrace"),
        ("MILLRACE_OAUTH__MOCK__CLIENT_SECRET", "mock-secret"),
        ("MILLRACE_ACCOUNTS__MAX_IDENTITIES", "1"),
    ])
    .await;
    let mut browser = Browser::default();
    assert_eq!(browser.sign_in(&server, "mock", "").await, "/@studio");
    let claims = |auth_time: Value| {
        let email = "mock@example.org";
        json!({ "claims": { "sub": "mock-1", "email": email, "email_verified": true, "auth_time": auth_time } })
    };
    provider.tell(claims(json!(1_000_000_000))).await;
    assert_eq!(browser.confirm(&server, "mock", "").await.1, "/settings?problem=provider-not-again");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    provider.tell(claims(json!(now))).await;
    assert_eq!(browser.confirm(&server, "mock", "").await.1, "/settings");
    let full = browser.json(Method::POST, &server.url("/api/v1/me/identities/mock"), json!({})).await;
    assert_eq!(json_of(&full)["type"], "/problems/limit-reached");
    // A name that is somebody's channel is not given to who comes next.
    let made =
        browser.json(Method::POST, &server.url("/api/v1/channels"), json!({ "name": "harbour" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let other = json!({ "sub": "mock-2", "preferred_username": "harbour", "email_verified": false });
    provider.tell(json!({ "claims": other })).await;
    let mut second = Browser::default();
    second.sign_in(&server, "mock", "").await;
    let name = second.me(&server).await["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("harbour") && name != "harbour", "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_a_provider_confirms_and_sets_a_password_in_the_browser() {
    let _share = share().await;
    let address = free_address();
    let provider = Provider::start("certified", &callback(&address, "certified")).await;
    let server = Server::start(&[
        ("MILLRACE_HTTP_ADDR", &address),
        ("MILLRACE_OAUTH__CERTIFIED__KIND", "oidc"),
        ("MILLRACE_OAUTH__CERTIFIED__LABEL", "Certified"),
        ("MILLRACE_OAUTH__CERTIFIED__ISSUER", &provider.issuer),
        ("MILLRACE_OAUTH__CERTIFIED__CLIENT_ID", "millrace"),
        ("MILLRACE_OAUTH__CERTIFIED__CLIENT_SECRET", "certified-secret"),
    ])
    .await;
    let (_folder, folder) = scratch("millrace-provider");
    let shots = std::env::var("MILLRACE_TEST_SHOTS").unwrap_or_else(|_| folder.display().to_string());
    let mut ada = Owner::at(&format!("http://{address}/"), &shots);
    assert_eq!(ada.does("provider Certified ada").await["path"], "/");
    // A page that is open for long asks for the provider again.
    ada.does("later").await;
    ada.does("shots confirm /settings").await;
    assert_eq!(ada.does("confirm Certified ada").await["path"], "/settings");
    ada.does("now").await;
    assert_eq!(ada.does("password sturdy-walrus-umbrella-9").await["current"], 1);
    let secret = ada.does("totp-on").await["secret"].as_str().unwrap().to_owned();
    let code =
        crate::node::run("totp.mjs", &["--secret", &secret]).await[0]["code"].as_str().unwrap().to_owned();
    let recovery = ada.does(&format!("totp-confirm {code}")).await["codes"][0].as_str().unwrap().to_owned();
    // The next time, the provider alone does not let in.
    ada.does("signout").await;
    assert_eq!(ada.does("provider Certified ada").await["path"], "/login");
    ada.does("shots half /login?step=code").await;
    assert_eq!(ada.does(&format!("recover {recovery}")).await["path"], "/");
    server.assert_calm();
}
