//! A site is written into one file while it is live, and that file is a site again.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::browser::looped;
use crate::oauth::Browser;
use crate::publisher::Ffmpeg;
use crate::server::{Server, scratch};
use crate::streamer::{KEYS, SOON};
use crate::wait::until;

pub(crate) const PASSWORD: &str = "heron-violet-anchor-3";

/// `millrace` with these arguments on this data directory.
pub(crate) async fn millrace(data: &Path, store: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(arguments)
        .current_dir(data)
        .env_clear()
        .env("MILLRACE_DATA_DIR", data)
        .env("MILLRACE_STORE", store)
        .env("MILLRACE_HTTP_ADDR", "127.0.0.1:1")
        .output()
        .await
        .unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A picture of one colour.
pub(crate) async fn picture(folder: &Path) -> Vec<u8> {
    let path = folder.join("red.png");
    let drawn = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1"])
        .arg(&path)
        .status()
        .await
        .unwrap();
    assert!(drawn.success());
    std::fs::read(path).unwrap()
}

/// What the owner of the site finds there again.
struct Made {
    key: String,
    avatar: String,
    picture: Vec<u8>,
}

impl Made {
    async fn by_owner(server: &Server, folder: &Path) -> Self {
        let url = |path: &str| server.url(&format!("/api/v1{path}"));
        let line = until("the set-up link is printed", SOON, || async { server.printed("/setup#") }).await;
        let token = line.split_once("/setup#").unwrap().1.trim();
        let mut owner = Browser::default();
        let account = json!({ "token": token, "name": "root", "password": PASSWORD });
        assert_eq!(owner.json(Method::POST, &url("/setup"), account).await.status, 201);
        let me = owner.put(&url("/me/avatar"), "image/png", picture(folder).await).await;
        assert_eq!(me.status, 200, "{}", me.text);
        let me: Value = serde_json::from_str(&me.text).unwrap();
        let avatar = me["avatar_url"].as_str().unwrap().to_owned();
        let kept = crate::http::get(server.url(&avatar)).await.unwrap();
        assert_eq!(kept.status(), 200);
        let channel = json!({ "name": "studio" });
        assert_eq!(owner.json(Method::POST, &url("/channels"), channel).await.status, 201);
        let key = owner.json(Method::POST, &url("/channels/studio/keys"), json!({ "name": "OBS" })).await;
        let key: Value = serde_json::from_str(&key.text).unwrap();
        let key = key["secret"].as_str().unwrap().to_owned();
        Self { key, avatar, picture: kept.bytes().await.unwrap().to_vec() }
    }

    /// The owner signs in, the picture is there, the key publishes, and nobody else can become the owner.
    async fn is_at(&self, server: &Server, fixture: &Path) {
        let url = |path: &str| server.url(&format!("/api/v1{path}"));
        let mut owner = Browser::default();
        let login = json!({ "login": "root", "password": PASSWORD });
        let page = owner.json(Method::POST, &url("/auth/login"), login).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let found = crate::http::get(server.url(&self.avatar)).await.unwrap();
        assert_eq!(
            (found.status().as_u16(), found.bytes().await.unwrap().to_vec()),
            (200, self.picture.clone())
        );
        assert_eq!(server.printed("/setup#"), None);
        let publisher = Ffmpeg::publish_for_ever(fixture, &server.publish_url(&self.key));
        is_live(server).await;
        drop(publisher);
        server.assert_calm();
    }
}

async fn is_live(server: &Server) {
    until("it is live", SOON, || async {
        let answer = crate::http::get(server.url("/api/v1/streams/studio")).await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_site_is_backed_up_and_is_a_site_again_on_either_store() {
    let fixture = looped().fixture().await;
    let (_folder, scratch) = scratch("millrace-backup");
    let file: PathBuf = scratch.join("backup.tar.gz");
    let name = file.to_str().unwrap();
    let data = Arc::new(TempDir::new().unwrap());
    let server = Server::alone_in(Arc::clone(&data), KEYS).await;
    let made = Made::by_owner(&server, &scratch).await;
    let secret = data.path().join("acme/ca.example/certificate.pem");
    std::fs::create_dir_all(secret.parent().unwrap()).unwrap();
    std::fs::write(&secret, "of automatic HTTPS").unwrap();
    let publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url(&made.key));
    is_live(&server).await;

    let written = millrace(data.path(), "sqlite", &["backup", name]).await;
    assert!(written.status.success(), "{}", said(&written));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 2, "the picture and the backup");
    let again = millrace(data.path(), "sqlite", &["backup", name]).await;
    assert!(!again.status.success() && said(&again).contains("name a new one"), "{}", said(&again));
    // The site goes on, and what was live still is.
    is_live(&server).await;
    server.assert_calm();
    drop(publisher);
    server.stop().await;

    // What is there is not lost, unless one says so, and then neither.
    let full = millrace(data.path(), "sqlite", &["restore", name]).await;
    assert!(!full.status.success() && said(&full).contains("there is a site already"), "{}", said(&full));
    let replaced = millrace(data.path(), "sqlite", &["restore", "--replace", name]).await;
    assert!(replaced.status.success(), "{}", said(&replaced));
    let aside = std::fs::read_dir(data.path()).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.starts_with("replaced-").then(|| data.path().join(name))
    });
    let aside: Vec<_> = aside.collect();
    assert!(aside.len() == 1 && aside[0].join("millrace.sqlite3").is_file(), "{aside:?}");
    assert!(said(&replaced).contains(aside[0].to_str().unwrap()), "{}", said(&replaced));

    let mongodb = millrace_test_services::mongodb::database().await;
    for store in ["sqlite", &mongodb] {
        let data = Arc::new(TempDir::new().unwrap());
        let restored = millrace(data.path(), store, &["restore", name]).await;
        assert!(restored.status.success(), "{store}: {}", said(&restored));
        let secret = data.path().join("acme/ca.example/certificate.pem");
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "of automatic HTTPS");
        assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
        let settings = [KEYS, &[("MILLRACE_STORE", store)]].concat();
        let server = Server::alone_in(Arc::clone(&data), &settings).await;
        made.is_at(&server, &fixture.path).await;
        server.stop().await;
        let empty = TempDir::new().unwrap();
        if store != "sqlite" {
            let full = millrace(empty.path(), store, &["restore", name]).await;
            assert!(!full.status.success() && said(&full).contains("not empty"), "{}", said(&full));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_damaged_or_of_a_running_site_restores_nothing() {
    let (_folder, scratch) = scratch("millrace-damaged");
    let file = scratch.join("backup.tar.gz");
    let data = Arc::new(TempDir::new().unwrap());
    let server = Server::alone_in(Arc::clone(&data), KEYS).await;
    let written = millrace(data.path(), "sqlite", &["backup", file.to_str().unwrap()]).await;
    assert!(written.status.success(), "{}", said(&written));

    let whole = std::fs::read(&file).unwrap();
    let mut turned = whole.clone();
    let middle = turned.len() / 2;
    turned[middle] ^= 0x55;
    for (name, bytes) in [("short", &whole[..whole.len() / 2]), ("turned", &turned), ("text", b"hello")] {
        let bad = scratch.join(name);
        std::fs::write(&bad, bytes).unwrap();
        let empty = TempDir::new().unwrap();
        let refused = millrace(empty.path(), "sqlite", &["restore", bad.to_str().unwrap()]).await;
        assert!(
            !refused.status.success() && said(&refused).contains("nothing was changed"),
            "{}",
            said(&refused)
        );
        assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "{name}");
    }

    let refused = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(["restore", "--replace", file.to_str().unwrap()])
        .env_clear()
        .env("MILLRACE_DATA_DIR", data.path())
        .env("MILLRACE_HTTP_ADDR", server.http.to_string())
        .output()
        .await
        .unwrap();
    assert!(!refused.status.success() && said(&refused).contains("stop it before"), "{}", said(&refused));
    server.assert_calm();
}
