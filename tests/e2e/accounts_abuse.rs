//! People who want in where they do not belong: guesses, floods, stolen and forged tokens, at the real binary and from
//! many addresses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::oauth::Browser;
use crate::server::Server;
use crate::wait::quiet;

const PASSWORD: &str = "plover-quartz-lantern-7";
/// What people wait for at most, a thousand at once on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The answer to one request over a connection of its own.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn kind(&self) -> (u16, &str) {
        (self.status, self.body["type"].as_str().unwrap_or_default())
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line =
            self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

/// Somebody at another address of this machine.
fn address(number: usize) -> IpAddr {
    let [_, _, high, low] = u32::try_from(number + 2).unwrap().to_be_bytes();
    IpAddr::from([127, 1, high, low])
}

/// Posts JSON from an address.
async fn post(server: &Server, from: IpAddr, path: &str, body: &Value) -> Answer {
    let work = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        let mut stream = socket.connect(server.http).await.unwrap();
        let (host, body) = (server.http, body.to_string());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Answer {
            status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0),
            head: head.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    };
    tokio::time::timeout(PATIENCE, work).await.expect("an answer")
}

async fn register(server: &Server, from: IpAddr, name: &str) -> Answer {
    post(server, from, "/api/v1/auth/register", &json!({ "name": name, "password": PASSWORD })).await
}

async fn login(server: &Server, from: IpAddr, name: &str, password: &str) -> Answer {
    post(server, from, "/api/v1/auth/login", &json!({ "login": name, "password": password })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_addresses_that_want_one_name_at_once_one_gets_it() {
    let _quiet = quiet().await;
    let server = Server::start(&[]).await;
    let tries = (0..1_000).map(|number| register(&server, address(number), "ada"));
    let answers = join_all(tries).await;
    let count = |kind: (u16, &str)| answers.iter().filter(|answer| answer.kind() == kind).count();
    assert_eq!((count((201, "")), count((409, "/problems/name-taken"))), (1, 999), "{:?}", answers[0]);
    let refused = answers.iter().find(|answer| answer.status == 409).unwrap();
    assert_eq!(refused.body["errors"][0]["pointer"], "/name");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_stuffing_and_floods_are_stopped_where_they_come_from() {
    let server = Server::start(&[
        ("MILLRACE_ACCOUNTS__LIMITS__LOGIN_ACCOUNT__BURST", "5"),
        ("MILLRACE_ACCOUNTS__LIMITS__LOGIN_ADDRESS__BURST", "12"),
        ("MILLRACE_ACCOUNTS__LIMITS__REGISTER_ADDRESS__BURST", "4"),
        ("MILLRACE_ACCOUNTS__LIMITS__LINK_ADDRESS__BURST", "3"),
    ])
    .await;
    let limited = (429, "/problems/too-many-attempts");
    // A flood of new accounts from one address.
    let mut made = 0;
    for number in 0..8 {
        let answer = register(&server, address(1), &format!("person_{number}")).await;
        made += usize::from(answer.status == 201);
        assert!(answer.status == 201 || answer.kind() == limited, "{answer:?}");
    }
    assert_eq!(made, 4);
    assert_eq!(register(&server, address(2), "ada").await.status, 201, "others are served");

    // One account's password, guessed from everywhere.
    let mut guessed = Vec::new();
    for number in 0..9 {
        guessed.push(login(&server, address(100 + number), "ada", "guess").await);
    }
    let wrong = guessed.iter().filter(|answer| answer.kind() == (401, "/problems/wrong-login")).count();
    assert_eq!((wrong, guessed.last().unwrap().kind()), (5, limited));
    let wait: u64 = guessed.last().unwrap().header("retry-after").unwrap().parse().unwrap();
    assert!((30..=3600).contains(&wait), "{wait}");
    assert_eq!(login(&server, address(200), "ada", PASSWORD).await.kind(), limited, "nor with the right one");
    assert_eq!(login(&server, address(201), "person_0", PASSWORD).await.status, 200, "others get in");

    // Stolen pairs of names and passwords, tried at many accounts from one address.
    let mut tried = Vec::new();
    for number in 0..20 {
        tried.push(login(&server, address(300), &format!("somebody_{number}"), "stolen").await);
    }
    assert_eq!(tried.iter().filter(|answer| answer.status == 401).count(), 12);
    assert!(tried[12..].iter().all(|answer| answer.kind() == limited), "{tried:?}");

    // One-time links, guessed.
    let guess = json!({ "token": "A".repeat(43), "password": PASSWORD });
    let mut links = Vec::new();
    for _ in 0..5 {
        links.push(post(&server, address(400), "/api/v1/auth/password/reset", &guess).await.status);
    }
    assert_eq!(links, [403, 403, 403, 429, 429]);
    assert!(server.metric("millrace_sign_in_limited_total").await > Some(10.0));
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_passwords_at_once_leave_memory_and_time_for_others() {
    /// What one argon2id hash takes, and what everything else may while two hundred wait.
    const HASH_BYTES: u64 = 19 * 1024 * 1024;
    const OTHER_BYTES: u64 = 96 * 1024 * 1024;
    let _quiet = quiet().await;
    let server = Server::start(&[]).await;
    let idle = server.resident_bytes();
    let flood = (0..200).map(|number| {
        let (server, name) = (&server, format!("person_{number}"));
        async move { login(server, address(1_000 + number), &name, "guess").await }
    });
    let mut flood = std::pin::pin!(join_all(flood));
    let (mut most, mut others) = (idle, 0);
    let answers = loop {
        tokio::select! {
            answers = &mut flood => break answers,
            other = crate::http::get(server.url("/api/v1/streams")) => {
                assert_eq!(other.unwrap().status(), 200);
                most = most.max(server.resident_bytes());
                others += 1;
            }
        }
    };
    let wrong = answers.iter().filter(|answer| answer.kind() == (401, "/problems/wrong-login")).count();
    let busy = answers.iter().filter(|answer| answer.kind() == (503, "/problems/too-busy")).count();
    assert_eq!(wrong + busy, 200, "{answers:?}");
    assert!(wrong > 0 && others > 0, "{wrong} were checked, {others} others were served meanwhile");
    let threads = std::thread::available_parallelism().unwrap().get() as u64;
    let bound = idle + threads * HASH_BYTES + OTHER_BYTES;
    assert!(most < bound, "{most} bytes, {idle} before; no more than {bound}");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_refresh_token_ends_the_session_of_both() {
    let server = Server::start(&[]).await;
    let mut ada = Browser::default();
    let account = json!({ "name": "ada", "password": PASSWORD });
    let made = ada.json(Method::POST, &server.url("/api/v1/auth/register"), account).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let mut thief = ada.clone();
    let refresh = server.url("/api/v1/auth/refresh");
    for _ in 0..2 {
        assert_eq!(ada.json(Method::POST, &refresh, json!({})).await.status, StatusCode::NO_CONTENT);
    }
    // Two behind: it was used since.
    let stolen = thief.json(Method::POST, &refresh, json!({})).await;
    assert_eq!(stolen.status, StatusCode::UNAUTHORIZED, "{}", stolen.text);
    assert_eq!(ada.json(Method::POST, &refresh, json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ada.get(&server.url("/api/v1/me")).await.status, StatusCode::UNAUTHORIZED);
    assert!(server.logged("an old refresh token was used again").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_whose_head_was_changed_is_nobodys_and_no_way_back_leads_elsewhere() {
    let server = Server::start(&[]).await;
    let mut ada = Browser::default();
    let account = json!({ "name": "ada", "password": PASSWORD });
    ada.json(Method::POST, &server.url("/api/v1/auth/register"), account).await;
    let good = ada.cookie("millrace_access").unwrap();
    let client = crate::http::client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let me = |token: String| client.get(server.url("/api/v1/me")).bearer_auth(token).send();
    assert_eq!(me(good.clone()).await.unwrap().status(), StatusCode::OK);
    let rest = good.split_once('.').unwrap().1;
    let claims = rest.split_once('.').unwrap().0;
    // {"alg":"none"}, {"alg":"none","kid":"1"}, {"alg":"HS256","kid":"1"}
    let heads =
        ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJub25lIiwia2lkIjoiMSJ9", "eyJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ"];
    for head in heads {
        for token in [format!("{head}.{rest}"), format!("{head}.{claims}.")] {
            assert_eq!(me(token.clone()).await.unwrap().status(), StatusCode::UNAUTHORIZED, "{token}");
        }
    }
    // Whatever a form or a link asks for, the browser is sent to a page of ours.
    for path in
        ["/oauth/nobody?back=//evil.example", "/oauth/nobody?back=https://evil.example", "/oauth/x/callback"]
    {
        let page = ada.get(&server.url(path)).await;
        let to = page.location.unwrap();
        assert!(to.starts_with("/login?problem="), "{path} leads to {to}");
    }
    for field in ["next", "back", "redirect", "return_to", "url"] {
        let url = server.url(&format!("/api/v1/auth/login?{field}=https://evil.example"));
        let origin = format!("http://{}", server.http);
        let request = client.post(url).header("origin", origin);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let posted = request.body(format!("login=ada&password={PASSWORD}")).send().await.unwrap();
        assert_eq!(posted.status(), StatusCode::SEE_OTHER);
        assert_eq!(posted.headers()["location"], "/", "{field}");
    }
    server.assert_calm();
}
