//! What older versions kept works with this one, and what a newer one kept is refused with a sentence.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use millrace_store::{Collection, Location};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::browser::looped;
use crate::oauth::Browser;
use crate::publisher::Ffmpeg;
use crate::server::{Server, command};
use crate::streamer::{KEYS, SOON};
use crate::wait::until;

/// The sites that older versions left.
fn sites() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut sites: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "gz")).collect();
    sites.sort();
    sites
}

async fn unpacked(site: &Path) -> Arc<TempDir> {
    let data = TempDir::new().unwrap();
    let done = Command::new("tar").arg("-xzf").arg(site).arg("-C").arg(data.path()).status().await.unwrap();
    assert!(done.success(), "{}", site.display());
    Arc::new(data)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_site_of_every_older_version_works() {
    let fixture = looped().fixture().await;
    let sites = sites();
    assert!(!sites.is_empty());
    for site in sites {
        let name = site.display();
        let data = unpacked(&site).await;
        let about = std::fs::read(data.path().join("about.json")).unwrap();
        let about: Value = serde_json::from_slice(&about).unwrap();
        let text = |key: &str| about[key].as_str().unwrap().to_owned();
        // Twice: what the first start made of it must be what the second one knows.
        for start in 1..=2 {
            let server = Server::alone_in(Arc::clone(&data), KEYS).await;
            let url = |path: &str| server.url(&format!("/api/v1{path}"));
            for person in ["root", "ada"] {
                let mut browser = Browser::default();
                let login = json!({ "login": person, "password": text("password") });
                let page = browser.json(Method::POST, &url("/auth/login"), login).await;
                assert_eq!(page.status, 200, "{name} {start} {person}: {}", page.text);
                let me: Value = serde_json::from_str(&browser.get(&url("/me")).await.text).unwrap();
                assert_eq!(me["role"] == "admin", person == "root", "{name} {start}: {me}");
            }
            let channel: Value =
                crate::http::get(url("/channels/studio")).await.unwrap().json().await.unwrap();
            assert_eq!(
                (&channel["title"], &channel["followers"]),
                (&json!("Before the upgrade"), &json!(1)),
                "{name} {start}: {channel}"
            );
            let picture = crate::http::get(server.url(&text("avatar"))).await.unwrap();
            assert_eq!(picture.status(), 200, "{name} {start}");
            let file = data.path().join("objects").join(text("avatar").trim_start_matches('/'));
            let kept = std::fs::read(file).unwrap();
            assert!(picture.bytes().await.unwrap() == kept, "{name} {start}: the picture is another");
            let publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url(&text("key")));
            until("it is live", SOON, || async {
                let answer = crate::http::get(url("/streams/studio")).await.ok()?;
                (answer.status() == 200).then_some(())
            })
            .await;
            drop(publisher);
            server.assert_calm();
            server.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_of_a_newer_version_is_refused_and_left_as_it_is() {
    /// What a version after this one makes of accounts.
    static USERS: Collection =
        Collection { name: "users", indexes: &[], words: &[], migrations: &[|document| document] };
    let data = TempDir::new().unwrap();
    let engine = millrace_store::open(&Location::Sqlite, data.path()).await.unwrap();
    engine.prepare(&[&USERS]).await.unwrap();
    drop(engine);
    let server = command(data.path(), KEYS).spawn().unwrap();
    let output = tokio::time::timeout(Duration::from_secs(20), server.wait_with_output()).await;
    let output = output.expect("it ends by itself").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("users has schema version 1, and this Millrace knows up to 0"), "{said}");
    assert!(said.contains("start a newer Millrace, or restore a backup made before the upgrade"), "{said}");
}
