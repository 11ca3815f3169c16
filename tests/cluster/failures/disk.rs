//! A disk is full.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use millrace_api::accounts::{COLLECTIONS, Role};
use millrace_store::{Location, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::browser::looped;
use crate::cluster::encoder::{Encoder, Tape};
use crate::cluster::nodes::SOON;
use crate::cluster::viewer::{Viewer, noticed_nothing};
use crate::cluster::windows::Windows;
use crate::server::{self, Process};
use crate::streamer::account;
use crate::wait::{share, until};

/// Bytes of the disk: what a site has at first, and some.
const SIZE: &str = "24m";

/// The same command in a place where its data folder is a small disk with what the folder has. The disk goes with the
/// process.
fn on_a_small_disk(command: &Command, data: &Path) -> Command {
    const SCRIPT: &str = "set -e; data=$1; shift; mount -t tmpfs -o size=$1 millrace-test /mnt; shift; \
                          cp -a \"$data/.\" /mnt/; mount --bind /mnt \"$data\"; exec \"$@\"";
    let command = command.as_std();
    let mut small = std::process::Command::new("unshare");
    small.args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "disk"]).arg(data).arg(SIZE);
    small.arg(command.get_program()).args(command.get_args()).env_clear();
    small.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut small = Command::from(small);
    small.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    small.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    small.stderr(std::process::Stdio::piped()).kill_on_drop(true);
    small
}

/// A file that takes all that is left of the disk of a process, seen from here.
struct Filler(PathBuf);

impl Filler {
    fn fill(process: &Process, data: &Path) -> Self {
        let place = format!("/proc/{}/root{}", process.id(), data.display());
        let path = Path::new(&place).join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let piece = [0_u8; 4096];
        let full = loop {
            if let Err(error) = std::io::Write::write_all(&mut file, &piece) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
        Self(path)
    }

    fn remove(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_the_broadcast_goes_on_and_the_rest_says_so_and_waits() {
    let tape = Tape::read(&looped().fixture().await.path);
    let _share = share().await;
    let data = Arc::new(TempDir::new().unwrap());
    let engine = millrace_store::open(&Location::Sqlite, data.path()).await.unwrap();
    let token = account(Store::new(engine, COLLECTIONS).await.unwrap(), Role::Admin).await;
    let settings = [("MILLRACE_PUBLISH_AUTH", "keys"), ("MILLRACE_INGEST__RECONNECT_WINDOW", "1s")];
    let command = server::command(data.path(), &settings);
    let process = Process::start(on_a_small_disk(&command, data.path())).await;
    let client = crate::http::client().timeout(Duration::from_secs(45)).build().unwrap();
    let ask = async |method: &str, path: &str, body: Option<Value>| {
        let request = client.request(method.parse().unwrap(), process.url(&format!("/api/v1{path}")));
        let request = request.bearer_auth(token.reveal());
        let answer = match body {
            Some(body) => request.json(&body).send().await.unwrap(),
            None => request.send().await.unwrap(),
        };
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    let key = async |channel: &str| {
        let made = ask("POST", "/channels", Some(json!({ "name": channel }))).await;
        assert_eq!(made.0, 201, "{made:?}");
        let key = ask("POST", &format!("/channels/{channel}/keys"), Some(json!({ "name": "obs" }))).await;
        key.1["secret"].as_str().unwrap().to_owned()
    };
    let (studio, other, late) = (key("studio").await, key("other").await, key("late").await);
    let publish = |key: &str| Encoder::start(&tape, process.rtmp(), key);
    let (_studio, ending) = (publish(&studio), publish(&other));
    for channel in ["studio", "other"] {
        until("it can be watched", SOON, || async {
            let url = process.url(&format!("/live/{channel}/main/index.m3u8"));
            let text = client.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()?;
            (text.matches("#EXTINF").count() > text.matches("#EXT-X-GAP").count()).then_some(())
        })
        .await;
    }
    let viewer = Viewer::start(&client, &process.url(""), "studio");

    let filler = Filler::fill(&process, data.path());
    let edit = |number: usize| Some(json!({ "description": format!("{number} ").repeat(400) }));
    let (status, answer) = until("an edit is refused", SOON, || async {
        let (status, answer) = ask("PATCH", "/channels/studio", edit(1)).await;
        (status != 200).then_some((status, answer))
    })
    .await;
    assert_eq!((status, &answer["type"]), (503, &json!("/problems/store-unavailable")), "{answer}");
    until("the log says why", SOON, || async {
        let log = process.log();
        (log.contains("disk is full") || log.contains("database or disk is full")).then_some(())
    })
    .await;
    // One ends meanwhile; the history learns of it later.
    drop(ending);
    until("it is over", SOON, || async { (ask("GET", "/streams/other", None).await.0 == 404).then_some(()) })
        .await;
    let seen = viewer.seen().parts;
    until("the broadcast goes on", SOON, || async { (viewer.seen().parts > seen + 6).then_some(()) }).await;
    assert_eq!(client.get(process.url("/readyz")).send().await.unwrap().status(), 200);

    filler.remove();
    until("edits are kept again", SOON, || async {
        (ask("PATCH", "/channels/studio", edit(2)).await.0 == 200).then_some(())
    })
    .await;
    let encoder = publish(&late);
    encoder.let_in(1, SOON).await;
    until("what ended is in the history", SOON, || async {
        let (_, page) = ask("GET", "/channels/other/broadcasts", None).await;
        page["items"][0]["ended_at"].is_string().then_some(())
    })
    .await;
    let (parts, gap) = noticed_nothing(vec![viewer], Windows::of_this_run().late).await;
    eprintln!("a full disk: {parts} parts, {gap:.1?} without one at most");
    assert!(!process.log().contains("panicked at"));
}
