//! Mail, from the real binary over a real SMTP server to what a person reads, and back over its links in Chromium.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::accounts_pages::Owner;
use crate::node::scripts;
use crate::oauth::{Browser, free_address};
use crate::server::{Server, scratch};
use crate::wait::{share, until};

const SOON: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct-horse-battery-staple";
const OTHER: &str = "sturdy-walrus-umbrella-9";

/// An SMTP server, in a process of its own, that tells what came.
pub(crate) struct Mailbox {
    _child: Child,
    input: ChildStdin,
    lines: Arc<Mutex<Vec<Value>>>,
    read: usize,
    pub(crate) port: u64,
}

impl Mailbox {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new("node")
            .arg(scripts().join("mailbox.mjs"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                kept.lock().unwrap().push(serde_json::from_str::<Value>(&line).unwrap());
            }
        });
        let mut mailbox = Self { _child: child, input, lines, read: 0, port: 0 };
        mailbox.port = mailbox.next("port").await.as_u64().unwrap();
        mailbox
    }

    /// The next thing of this kind that it tells; others are passed over.
    async fn next(&mut self, kind: &str) -> Value {
        let from = self.read;
        let (at, value) = until(kind, SOON, || async {
            let lines = self.lines.lock().unwrap();
            let mut rest = lines.iter().enumerate().skip(from);
            rest.find_map(|(at, line)| line.get(kind).map(|value| (at, value.clone())))
        })
        .await;
        self.read = at + 1;
        value
    }

    /// The next mail, which is to this address and about that.
    pub(crate) async fn mail(&mut self, to: &str, subject: &str) -> Value {
        let mail = self.next("mail").await;
        assert_eq!(mail["to"], json!([to]), "{mail}");
        assert!(mail["subject"].as_str().unwrap().contains(subject), "{mail}");
        mail
    }

    async fn fault(&mut self, fault: Value) {
        self.input.write_all(format!("{}\n", json!({ "fault": fault })).as_bytes()).await.unwrap();
        self.next("done").await;
    }

    fn mails(&self) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.get("mail").is_some()).count()
    }
}

/// The link in a mail; it is the same in both forms.
fn link(mail: &Value, site: &str) -> String {
    let text = mail["text"].as_str().unwrap();
    let link = text.lines().find(|line| line.starts_with(site)).unwrap_or_else(|| panic!("no link: {text}"));
    assert!(mail["html"].as_str().unwrap().contains(&format!("href=\"{link}\"")), "{mail}");
    link.to_owned()
}

fn token(link: &str) -> &str {
    link.split_once('#').unwrap().1
}

/// Who registers by HTTP, without a page.
async fn register(server: &Server, name: &str, email: &str) -> Browser {
    let mut browser = Browser::default();
    let account = json!({ "name": name, "email": email, "password": PASSWORD });
    let made = browser.json(Method::POST, &server.url("/api/v1/auth/register"), account).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_proves_the_address_forgets_the_password_and_gets_back_in_by_mail() {
    let _share = share().await;
    let mut mailbox = Mailbox::start(&[]).await;
    let address = free_address();
    let site = format!("http://{address}");
    let smtp = format!("smtp://127.0.0.1:{}", mailbox.port);
    let server = Server::start(&[
        ("MILLRACE_HTTP_ADDR", &address),
        ("MILLRACE_PUBLIC_URL", &site),
        ("MILLRACE_MAIL__URL", &smtp),
        ("MILLRACE_MAIL__FROM", "Millrace <noreply@live.test>"),
    ])
    .await;
    let (_folder, folder) = scratch("millrace-mail");
    let shots = std::env::var("MILLRACE_TEST_SHOTS").unwrap_or_else(|_| folder.display().to_string());
    let mut ada = Owner::at(&format!("{site}/"), &shots);

    // The address counts once its link was opened and confirmed.
    ada.does(&format!("register ada ada@example.org {PASSWORD}")).await;
    let mail = mailbox.mail("ada@example.org", "Is this your address?").await;
    assert_eq!(mail["from"], "Millrace <noreply@live.test>");
    assert_eq!(mail["automatic"], "auto-generated");
    assert!(mail["text"].as_str().unwrap().contains("The account ada at"), "{mail}");
    let waiting = ada.does("email").await;
    assert_eq!((&waiting["address"], &waiting["waits"]), (&json!("ada@example.org"), &json!(1)), "{waiting}");
    ada.does("shots unproved /settings").await;
    let proof = link(&mail, &site);
    let verified = ada.does(&format!("verify {proof}")).await;
    assert_eq!((&verified["hash"], &verified["refused"]), (&json!(""), &Value::Null), "{verified}");
    let proved = ada.does("email").await;
    assert_eq!((&proved["waits"], &proved["confirmed"]), (&json!(0), &json!(1)), "{proved}");
    let twice = ada.does(&format!("verify {proof}")).await;
    assert!(twice["refused"].as_str().unwrap().contains("was used already"), "{twice}");

    // Forgotten: whoever asks is told the same; the link sets another password and ends the sessions.
    let mut phone = Browser::default();
    let login = json!({ "login": "ada@example.org", "password": PASSWORD });
    let signed_in = phone.json(Method::POST, &server.url("/api/v1/auth/login"), login).await;
    assert_eq!(signed_in.status, StatusCode::OK, "{}", signed_in.text);
    ada.does("signout").await;
    let nobody = ada.does("forgot nobody").await;
    let somebody = ada.does("forgot ada").await;
    assert_eq!(nobody["said"], somebody["said"]);
    ada.does("shots mail /forgot /login").await;
    let mail = mailbox.mail("ada@example.org", "A new password").await;
    let way_in = link(&mail, &site);
    ada.does(&format!("reset {way_in} {OTHER}")).await;
    mailbox.mail("ada@example.org", "was changed").await;
    assert_eq!(phone.get(&server.url("/api/v1/me")).await.status, StatusCode::UNAUTHORIZED);
    let refused = ada.does(&format!("login ada {PASSWORD}")).await;
    assert!(refused["refused"].is_string(), "{refused}");
    assert_eq!(ada.does(&format!("login ada@example.org {OTHER}")).await["path"], "/");
    assert_eq!(mailbox.mails(), 3, "nobody's mail went to somebody");

    let log = server.log();
    for secret in ["ada@example.org", token(&proof), token(&way_in), OTHER] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_waits_for_a_server_that_is_busy_and_is_given_up_when_it_says_never() {
    let mut mailbox = Mailbox::start(&[]).await;
    let smtp = format!("smtp://127.0.0.1:{}", mailbox.port);
    let server = Server::start(&[
        ("MILLRACE_PUBLIC_URL", "http://live.test"),
        ("MILLRACE_MAIL__URL", &smtp),
        ("MILLRACE_MAIL__FROM", "noreply@live.test"),
        ("MILLRACE_MAIL__RETRY", "100ms"),
    ])
    .await;
    mailbox.fault(json!("busy")).await;
    register(&server, "ada", "ada@example.org").await;
    for _ in 0..2 {
        assert_eq!(mailbox.next("refused").await, "busy");
    }
    assert_eq!(server.metric("millrace_mails_waiting").await, Some(1.0));
    mailbox.fault(Value::Null).await;
    mailbox.mail("ada@example.org", "Is this your address?").await;
    let logged = server.logged("could not send a mail; trying again").expect("a warning");
    assert!(logged.contains("451") && logged.contains("[address]"), "{logged}");

    mailbox.fault(json!("unknown")).await;
    register(&server, "bob", "bob@example.org").await;
    until("the mail is given up", SOON, || async { server.logged("gave a mail up") }).await;
    let count = |outcome: &str| format!("millrace_mails_total{{outcome=\"{outcome}\"}}");
    assert_eq!(server.metric(&count("sent")).await, Some(1.0));
    assert_eq!(server.metric(&count("given_up")).await, Some(1.0));
    assert!(server.metric(&count("retried")).await >= Some(2.0));
    until("nothing waits", SOON, || async {
        (server.metric("millrace_mails_waiting").await == Some(0.0)).then_some(())
    })
    .await;
    assert!(!server.log().contains("@example.org"), "an address is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_waits_survives_a_crash_and_its_link_is_in_no_file() {
    let mut mailbox = Mailbox::start(&[]).await;
    let smtp = format!("smtp://127.0.0.1:{}", mailbox.port);
    let settings = [
        ("MILLRACE_PUBLIC_URL", "http://live.test"),
        ("MILLRACE_MAIL__URL", smtp.as_str()),
        ("MILLRACE_MAIL__FROM", "noreply@live.test"),
        ("MILLRACE_MAIL__RETRY", "2s"),
    ];
    let data = Arc::new(tempfile::TempDir::new().unwrap());
    let server = Server::start_in(Arc::clone(&data), &settings).await;
    register(&server, "ada", "ada@example.org").await;
    let proof =
        link(&mailbox.mail("ada@example.org", "Is this your address? (Millrace)").await, "http://live.test");
    let mut anybody = Browser::default();
    let verify = json!({ "token": token(&proof) });
    let verified = anybody.json(Method::POST, &server.url("/api/v1/auth/email/verify"), verify).await;
    assert_eq!(verified.status, StatusCode::NO_CONTENT, "{}", verified.text);
    mailbox.fault(json!("busy")).await;
    let asked = json!({ "login": "ada" });
    let asked = anybody.json(Method::POST, &server.url("/api/v1/auth/password/forgot"), asked).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
    assert_eq!(mailbox.next("refused").await, "busy");
    until("it waits on", SOON, || async { server.logged("could not send a mail; trying again") }).await;

    let server = server.restart_after_kill(&settings).await;
    mailbox.fault(Value::Null).await;
    let way_in = link(&mailbox.mail("ada@example.org", "A new password").await, "http://live.test");
    let mut files = 0;
    for entry in std::fs::read_dir(data.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(token(&way_in).len()).any(|part| part == token(&way_in).as_bytes());
            assert!(!found, "the link is in {}", path.display());
            files += 1;
        }
    }
    assert!(files > 0, "the data folder is looked at");
    let body = json!({ "token": token(&way_in), "password": OTHER });
    let answer = anybody.json(Method::POST, &server.url("/api/v1/auth/password/reset"), body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_over_tls_with_a_password_or_not_at_all() {
    let (_folder, folder) = scratch("millrace-mail-tls");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let password = folder.join("password");
    std::fs::write(&password, "hunter2\n").unwrap();
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (cert, key, password) = (path(&cert), path(&key), path(&password));
    let known = ["--cert", &cert, "--key", &key, "--user", "millrace", "--password", "hunter2"];
    for wrap in ["no", "yes"] {
        let mut mailbox = Mailbox::start(&[&known[..], &["--wrap", wrap]].concat()).await;
        let smtp = match wrap {
            "no" => format!("smtp://localhost:{}?tls=required", mailbox.port),
            _ => format!("smtps://localhost:{}", mailbox.port),
        };
        let settings = [
            ("MILLRACE_PUBLIC_URL", "http://live.test"),
            ("MILLRACE_MAIL__URL", &smtp),
            ("MILLRACE_MAIL__FROM", "Millrace <noreply@live.test>"),
            ("MILLRACE_MAIL__USERNAME", "millrace"),
            ("MILLRACE_MAIL__PASSWORD_FILE", &password),
            ("MILLRACE_MAIL__RETRY", "50ms"),
        ];
        let trusting = Server::start(&[&settings[..], &[("SSL_CERT_FILE", cert.as_str())]].concat()).await;
        register(&trusting, "ada", "ada@example.org").await;
        let mail = mailbox.mail("ada@example.org", "Is this your address?").await;
        assert_eq!((&mail["secure"], &mail["user"]), (&json!(true), &json!("millrace")), "{wrap}: {mail}");
        assert!(!trusting.log().contains("hunter2"));

        // A server that nobody vouches for gets neither password nor mail.
        let wary = Server::start(&settings).await;
        register(&wary, "bob", "bob@example.org").await;
        until("it is refused", SOON, || async { wary.logged("could not send a mail; trying again") }).await;
        assert_eq!(mailbox.mails(), 1, "{wrap}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_passwords_go_by_mail_on_mongodb_too() {
    let store = millrace_test_services::mongodb::database().await;
    let mut mailbox = Mailbox::start(&[]).await;
    let smtp = format!("smtp://127.0.0.1:{}", mailbox.port);
    let without = Server::start(&[("MILLRACE_STORE", &store)]).await;
    // From before the site sent mail: an address that nobody has proved.
    register(&without, "squatter", "ada@example.org").await;
    drop(without);
    let server = Server::start(&[
        ("MILLRACE_STORE", &store),
        ("MILLRACE_PUBLIC_URL", "http://live.test"),
        ("MILLRACE_MAIL__URL", &smtp),
        ("MILLRACE_MAIL__FROM", "Millrace <noreply@live.test>"),
    ])
    .await;
    let url = |path: &str| server.url(&format!("/api/v1{path}"));
    let mut ada = register(&server, "ada", "ada@example.org").await;
    let proof = mailbox.mail("ada@example.org", "Is this your address?").await;
    let proof = link(&proof, "http://live.test");
    let mut anybody = Browser::default();
    let verify = json!({ "token": token(&proof) });
    let verified = anybody.json(Method::POST, &url("/auth/email/verify"), verify.clone()).await;
    assert_eq!(verified.status, StatusCode::NO_CONTENT, "{}", verified.text);
    let again = anybody.json(Method::POST, &url("/auth/email/verify"), verify).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN, "{}", again.text);
    let me = ada.get(&url("/me")).await;
    assert!(me.text.contains("\"email_verified\":true"), "{}", me.text);

    // Two links; setting the password by one ends the other, and all sessions.
    let mut ways_in = Vec::new();
    for login in ["ada", "ada@example.org"] {
        let asked =
            anybody.json(Method::POST, &url("/auth/password/forgot"), json!({ "login": login })).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text);
        ways_in.push(link(&mailbox.mail("ada@example.org", "A new password").await, "http://live.test"));
    }
    for (way_in, expected) in [(&ways_in[1], 204), (&ways_in[0], 403), (&ways_in[1], 403)] {
        let body = json!({ "token": token(way_in), "password": OTHER });
        let answer = anybody.json(Method::POST, &url("/auth/password/reset"), body).await;
        assert_eq!(answer.status, expected, "{}", answer.text);
    }
    assert_eq!(ada.get(&url("/me")).await.status, StatusCode::UNAUTHORIZED);
    let login = json!({ "login": "ada@example.org", "password": OTHER });
    assert_eq!(ada.json(Method::POST, &url("/auth/login"), login).await.status, StatusCode::OK);
    server.assert_calm();
}
