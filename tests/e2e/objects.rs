//! Pictures in S3: every process of the API shows them, an S3 that is away costs nothing else, and a backup has them.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use millrace_objects::{Location, Objects};
use millrace_test_services::s3::{self, Place, S3};
use reqwest::{Method, StatusCode};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;

use crate::backup::{PASSWORD, millrace, picture, said};
use crate::oauth::Browser;
use crate::server::{Process, Server, command, scratch, with_roles};
use crate::streamer::{KEYS, SOON};
use crate::topology::Shared;
use crate::wait::until;

/// Waits for S3 in tests where it does not come.
const IMPATIENT: (&str, &str) = ("MILLRACE_OBJECTS_TIMEOUT", "1s");

/// Names and values.
type Settings<'a> = &'a [(&'a str, &'a str)];

/// Somebody with an account, in a browser.
struct Owner {
    browser: Browser,
    png: Vec<u8>,
}

impl Owner {
    /// The first one of a site. `printed` is the line with the set-up link.
    async fn new(api: &str, printed: &str, folder: &Path) -> Self {
        let token = printed.split_once("/setup#").unwrap().1.trim();
        let mut browser = Browser::default();
        let account = json!({ "token": token, "name": "root", "password": PASSWORD });
        let made = browser.json(Method::POST, &format!("{api}/api/v1/setup"), account).await;
        assert_eq!(made.status, 201, "{}", made.text);
        Self { browser, png: picture(folder).await }
    }

    async fn of(server: &Server, folder: &Path) -> Self {
        let line = until("the set-up link", SOON, || async { server.printed("/setup#") }).await;
        Self::new(&server.url(""), &line, folder).await
    }

    async fn put(&mut self, api: &str) -> (StatusCode, Value) {
        let url = format!("{api}/api/v1/me/avatar");
        let page = self.browser.put(&url, "image/png", self.png.clone()).await;
        (page.status, serde_json::from_str(&page.text).unwrap())
    }

    /// Where the new picture is.
    async fn new_picture(&mut self, api: &str) -> String {
        let (status, me) = self.put(api).await;
        assert_eq!(status, 200, "{me}");
        me["avatar_url"].as_str().unwrap().to_owned()
    }
}

async fn shown(url: String) -> (StatusCode, Vec<u8>) {
    let answer = crate::http::get(url).await.unwrap();
    (answer.status(), answer.bytes().await.unwrap().to_vec())
}

/// What `/readyz` says of objects; the process is ready all the same.
async fn trouble(server: &Server) -> Option<String> {
    let answer = crate::http::get(server.url("/readyz")).await.unwrap();
    assert_eq!(answer.status(), 200);
    let report: Value = answer.json().await.unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "objects")?;
    assert_eq!(check["ready"].as_bool().unwrap(), check["reason"].is_null(), "{check}");
    Some(check["reason"].as_str().unwrap_or("none").to_owned())
}

async fn in_trouble(server: &Server, sentence: &str) {
    until("it says what is the matter", SOON, || async {
        trouble(server).await.filter(|said| said.contains(sentence))
    })
    .await;
}

fn open(place: &Place) -> Objects {
    let _ = crate::http::client();
    let location: Location = place.objects.parse().unwrap();
    Objects::open(&location, place.variables.clone(), SOON).unwrap()
}

async fn all(objects: &Objects) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<String> = objects.list().try_collect().await.unwrap();
    names.sort();
    let mut found = Vec::new();
    for name in names {
        let content = objects.get(&name, 64 << 20).await.unwrap().unwrap();
        found.push((name, content.to_vec()));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_one_process_took_is_shown_and_removed_by_another_on_another_disk() {
    let (shared, place) = tokio::join!(Shared::new(), s3::place());
    let settings = [shared.settings(), place.settings(), KEYS.to_vec()].concat();
    let (_folder, scratch) = scratch("millrace-objects");
    let disks = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let start = |disk: &TempDir| Process::start(with_roles(disk.path(), &settings, "api"));
    let one = start(&disks[0]).await;
    let line = until("the set-up link", SOON, || async { one.printed("/setup#") }).await;
    let mut owner = Owner::new(&one.url(""), &line, &scratch).await;
    let other = start(&disks[1]).await;
    let first = owner.new_picture(&one.url("")).await;
    let at_one = shown(one.url(&first)).await;
    assert_eq!(at_one.0, 200);
    assert_eq!(shown(other.url(&first)).await, at_one);

    // The page is another one; the session is the same.
    let login = json!({ "login": "root", "password": PASSWORD });
    let page = owner.browser.json(Method::POST, &other.url("/api/v1/auth/login"), login).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let second = owner.new_picture(&other.url("")).await;
    assert_eq!(shown(one.url(&second)).await.0, 200);
    assert_eq!(shown(one.url(&first)).await.0, 404, "nobody needs it any more");
    let kept = all(&open(&place)).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(format!("/{}", kept[0].0), second);
    for disk in &disks {
        assert!(!disk.path().join("objects").exists());
    }
    one.assert_calm();
    other.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_that_is_away_costs_the_pictures_and_nothing_else() {
    let mut s3 = S3::start().await;
    let place = s3.place();
    let settings = [place.settings(), KEYS.to_vec()].concat();
    let (_folder, scratch) = scratch("millrace-objects");
    let server = Server::alone_in(Arc::new(TempDir::new().unwrap()), &settings).await;
    let mut owner = Owner::of(&server, &scratch).await;
    let avatar = owner.new_picture(&server.url("")).await;
    let before = shown(server.url(&avatar)).await;
    assert_eq!(before.0, 200);
    until("it is looked after", SOON, || async { trouble(&server).await.filter(|said| said == "none") })
        .await;

    s3.kill();
    let answer = crate::http::get(server.url(&avatar)).await.unwrap();
    assert_eq!(
        (answer.status(), answer.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::SERVICE_UNAVAILABLE, "30")
    );
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let (status, problem) = owner.put(&server.url("")).await;
    assert_eq!(
        (status.as_u16(), &problem["type"]),
        (503, &json!("/problems/pictures-unavailable")),
        "{problem}"
    );
    in_trouble(&server, "does not answer").await;
    assert_eq!(server.metric("millrace_objects_up").await, Some(0.0));
    let login = json!({ "login": "root", "password": PASSWORD });
    let page = Browser::default().json(Method::POST, &server.url("/api/v1/auth/login"), login).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for path in ["/", "/api/v1/users/root", "/healthz"] {
        assert_eq!(shown(server.url(path)).await.0, 200, "{path}");
    }

    s3.restart().await;
    in_trouble(&server, "none").await;
    assert_eq!(shown(server.url(&avatar)).await, before);
    owner.new_picture(&server.url("")).await;
    assert_eq!(server.metric("millrace_objects_up").await, Some(1.0));
    assert!(server.logged("objects can be read and written again").is_some());
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_and_a_missing_bucket_are_told_with_what_to_do_and_without_the_secret() {
    let s3 = S3::start().await;
    let place = s3.place();
    let (_folder, scratch) = scratch("millrace-objects");
    let wrong = ("AWS_SECRET_ACCESS_KEY", "hush-hush");
    let settings = [place.settings(), KEYS.to_vec(), vec![wrong]].concat();
    let server = Server::alone_in(Arc::new(TempDir::new().unwrap()), &settings).await;
    in_trouble(&server, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY").await;
    let mut owner = Owner::of(&server, &scratch).await;
    assert_eq!(owner.put(&server.url("")).await.0, 503);
    let log = server.log();
    assert!(log.contains("403 SignatureDoesNotMatch"), "{log}");
    assert!(!log.contains("hush") && !log.contains("millrace-test-key"), "{log}");
    server.stop().await;

    let settings = [place.settings(), KEYS.to_vec(), vec![("MILLRACE_OBJECTS", "s3://not-there")]].concat();
    let server = Server::alone_in(Arc::new(TempDir::new().unwrap()), &settings).await;
    in_trouble(&server, "the bucket of MILLRACE_OBJECTS does not exist").await;
    assert!(server.logged("make it, or name another one").is_some());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_right_end_the_start_with_the_remedy() {
    let key = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "hush-hush")];
    let s3 = ("MILLRACE_OBJECTS", "s3://bucket/live");
    let table: [(Settings, i32, &str); 5] = [
        (&[("MILLRACE_OBJECTS", "s3://key:hush-hush@bucket")], 64, "objects: carries a name or a password"),
        (&[("MILLRACE_OBJECTS", "ftp://bucket")], 64, "write file:///FOLDER, or s3://BUCKET/PREFIX"),
        (&[s3, key[1]], 64, "objects: AWS_ACCESS_KEY_ID is missing"),
        (&[s3, key[0], key[1], ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")], 64, "set AWS_ALLOW_HTTP=true"),
        (
            &[("MILLRACE_OBJECTS", "file:///proc/nothing/here")],
            1,
            "set MILLRACE_OBJECTS to a folder that is writable",
        ),
    ];
    for (settings, code, remedy) in table {
        let data = TempDir::new().unwrap();
        let server = command(data.path(), settings).spawn().unwrap();
        let output = tokio::time::timeout(SOON, server.wait_with_output()).await.expect("it ends").unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(remedy) && !said.contains("hush"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_with_its_objects_in_s3_is_backed_up_and_restored_into_an_empty_prefix() {
    let (_folder, scratch) = scratch("millrace-objects");
    let (place, empty, late) = tokio::join!(s3::place(), s3::place(), s3::place());
    let data = Arc::new(TempDir::new().unwrap());
    let server = Server::alone_in(Arc::clone(&data), &[place.settings(), KEYS.to_vec()].concat()).await;
    let mut owner = Owner::of(&server, &scratch).await;
    let avatar = owner.new_picture(&server.url("")).await;
    // Larger than a part.
    let objects = open(&place);
    let mut large = objects.write("recordings/large").unwrap();
    for number in 0..9_u8 {
        large.push(Bytes::from(vec![number; 1 << 20])).await.unwrap();
    }
    large.finish().await.unwrap();
    let file = scratch.join("backup.tar.gz");
    let name = file.to_str().unwrap();
    let wrong = [place.settings(), vec![("AWS_SECRET_ACCESS_KEY", "hush-hush")]].concat();
    let refused = at(data.path(), &wrong, &["backup", name]).await;
    assert!(!refused.status.success() && said(&refused).contains("refuses us"), "{}", said(&refused));
    assert!(!file.exists() && !said(&refused).contains("hush"), "{}", said(&refused));
    let written = at(data.path(), &place.settings(), &["backup", name]).await;
    assert!(written.status.success(), "{}", said(&written));
    server.assert_calm();
    server.stop().await;

    let data = Arc::new(TempDir::new().unwrap());
    let restored = at(data.path(), &empty.settings(), &["restore", name]).await;
    assert!(restored.status.success() && said(&restored).contains(&empty.objects), "{}", said(&restored));
    let before = all(&objects).await;
    assert_eq!(before.len(), 2);
    assert!(all(&open(&empty)).await == before, "they are others");
    assert!(!data.path().join("objects").exists());
    let server = Server::alone_in(Arc::clone(&data), &[empty.settings(), KEYS.to_vec()].concat()).await;
    assert_eq!(shown(server.url(&avatar)).await.0, 200);
    server.assert_calm();
    server.stop().await;

    // What is there is not written over.
    let other = TempDir::new().unwrap();
    let full = at(other.path(), &empty.settings(), &["restore", "--replace", name]).await;
    assert!(!full.status.success() && said(&full).contains("there are objects in"), "{}", said(&full));
    assert!(all(&open(&empty)).await == before, "they were touched");
    // Nothing is left of a restore that the store refuses.
    let mongodb = millrace_test_services::mongodb::database().await;
    let first = millrace(other.path(), &mongodb, &["restore", name]).await;
    assert!(first.status.success(), "{}", said(&first));
    assert_eq!(std::fs::read(other.path().join("objects/recordings/large")).unwrap(), before[1].1);
    let again = TempDir::new().unwrap();
    let settings = [late.settings(), vec![("MILLRACE_STORE", mongodb.as_str())]].concat();
    let full = at(again.path(), &settings, &["restore", name]).await;
    assert!(!full.status.success() && said(&full).contains("not empty"), "{}", said(&full));
    assert!(open(&late).is_empty().await.unwrap());
}

/// `millrace` with these arguments and settings on this data directory.
async fn at(data: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(arguments)
        .current_dir(data)
        .env_clear()
        .env("MILLRACE_DATA_DIR", data)
        .env("MILLRACE_HTTP_ADDR", "127.0.0.1:1")
        .envs(settings.iter().copied())
        .output()
        .await
        .unwrap()
}

/// TLS before an S3, with a certificate that `SSL_CERT_FILE` may name; its port.
async fn tls_before(s3: &S3, folder: &Path) -> u16 {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    std::fs::write(folder.join("ca.pem"), made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.into()], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, behind) = (listener.local_addr().unwrap().port(), s3.port());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outside = acceptor.accept(socket).await.ok()?;
                let mut inside = TcpStream::connect(("127.0.0.1", behind)).await.ok()?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await.ok()
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_is_spoken_to_over_tls_and_a_certificate_that_nobody_knows_is_refused() {
    let (_folder, scratch) = scratch("millrace-objects");
    let _ = crate::http::client();
    let s3 = S3::start().await;
    let endpoint = format!("https://localhost:{}", tls_before(&s3, &scratch).await);
    let place = s3.place();
    let known = scratch.join("ca.pem");
    let more = [("AWS_ENDPOINT_URL", endpoint.as_str()), ("AWS_ALLOW_HTTP", "false"), IMPATIENT];
    let settings = [place.settings(), KEYS.to_vec(), more.to_vec()].concat();
    let server = Server::alone_in(Arc::new(TempDir::new().unwrap()), &settings).await;
    in_trouble(&server, "does not answer").await;
    server.stop().await;

    // The secret comes as a file, too.
    let credentials = scratch.join("credentials");
    let of = |wanted: &str| place.variables.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
    let (key, secret) = (of("AWS_ACCESS_KEY_ID"), of("AWS_SECRET_ACCESS_KEY"));
    std::fs::write(
        &credentials,
        format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"),
    )
    .unwrap();
    let settings = [
        KEYS.to_vec(),
        more.to_vec(),
        vec![
            ("MILLRACE_OBJECTS", place.objects.as_str()),
            ("MILLRACE_OBJECTS_TIMEOUT", "20s"),
            ("SSL_CERT_FILE", known.to_str().unwrap()),
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ],
    ]
    .concat();
    let server = Server::alone_in(Arc::new(TempDir::new().unwrap()), &settings).await;
    let mut owner = Owner::of(&server, &scratch).await;
    let avatar = owner.new_picture(&server.url("")).await;
    assert_eq!(shown(server.url(&avatar)).await.0, 200);
    assert_eq!(all(&open(&place)).await.len(), 1);
    server.assert_calm();
}
