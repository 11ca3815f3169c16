//! Clocks that are half a minute apart, as they are where nobody keeps them together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::ledger::Ledger;
use crate::cluster::nodes::{SOON, Topology};
use crate::cluster::viewer::noticed_nothing;
use crate::oauth::Browser;
use crate::server::scratch;
use crate::wait::until;

/// Whose clock is ahead.
const AHEAD: [&str; 2] = ["ingest-2", "api-2"];
const SECONDS: i64 = 30;

/// A library that puts the clock ahead of a process that loads it first, and its folder.
fn clock() -> (TempDir, PathBuf) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/clock.c");
    let (folder, path) = scratch("millrace-clock");
    let library = path.join("clock.so");
    let offset = format!("-DOFFSET_S={SECONDS}");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", &offset, "-o"]).arg(&library).arg(source);
    let made = compiler.output().expect("a C compiler is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (folder, library)
}

/// What a process of the API says itself.
async fn listed(site: &Topology, node: &str) -> Option<Vec<Value>> {
    let answer = crate::http::get(site.node(node).url("/api/v1/streams")).await.ok()?;
    answer.json::<Value>().await.ok()?["items"].as_array().cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_whose_clocks_are_half_a_minute_apart_work_together() {
    let (_folder, clock) = clock();
    let own = AHEAD.map(|node| (node, "LD_PRELOAD", clock.to_str().unwrap()));
    let site = Topology::start_with(&own).await;
    let ahead = async |node: &str| {
        let date = crate::http::get(site.node(node).url("/healthz")).await.unwrap();
        let date = date.headers().get("date").map(|date| date.to_str().unwrap().to_owned());
        date.and_then(|date| jiff::fmt::rfc2822::parse(&date).ok())
    };
    let (Some(one), Some(two)) = (ahead("api-1").await, ahead("api-2").await) else {
        panic!("answers have a date")
    };
    let apart = two.timestamp().as_second() - one.timestamp().as_second();
    assert!((SECONDS - 1..=SECONDS + 2).contains(&apart), "the clocks are {apart} s apart");

    let publishers = site.broadcasts(3).await;
    let ledger = Ledger::open(&site).await;
    let channels = || publishers.iter().map(|(name, _)| name.as_str());
    let mut owners = BTreeMap::new();
    for channel in channels() {
        owners.insert(site.owner(channel).await, channel);
    }
    assert_eq!(owners.len(), 3, "each process has one: {owners:?}");
    for node in ["api-1", "api-2"] {
        until("each shows all", SOON, || async { (listed(&site, node).await?.len() == 3).then_some(()) })
            .await;
    }
    let strict = site.viewers(6, channels());

    // Who signed in at one is signed in at the other: nginx asks them in turns.
    let mut browser = Browser::default();
    let person = json!({ "name": "grace", "password": "plover-quartz-lantern-7" });
    let page = browser.json(Method::POST, &site.url("/api/v1/auth/register"), person).await;
    assert_eq!(page.status, 201, "{}", page.text);
    for _ in 0..6 {
        let page = browser.get(&site.url("/api/v1/me")).await;
        assert_eq!(page.status, 200, "{}", page.text);
    }

    // A link to what is private is good whoever made it, and nginx checks it by its own clock.
    let private = json!({ "playback": "private" });
    let (status, answer) = site.ask("PATCH", "/channels/channel_3", Some(private)).await;
    assert_eq!(status, 200, "{answer}");
    until("links of both are good at both", SOON, || async {
        for _ in 0..4 {
            let stream = site.stream("channel_3").await?;
            let link = stream["playback_url"].as_str().filter(|link| link.starts_with("/t/"))?;
            // It is private now: processes learn that one after the other.
            crate::http::get(site.url(link)).await.ok()?.error_for_status().ok()?;
        }
        Some(())
    })
    .await;

    // Leases come and go meanwhile, and nobody is taken for lost.
    until("viewers have seen some leases", SOON, || async {
        strict.iter().all(|viewer| viewer.is_of("channel_3") || viewer.seen().parts > 24).then_some(())
    })
    .await;
    let (private, open): (Vec<_>, Vec<_>) = strict.into_iter().partition(|viewer| viewer.is_of("channel_3"));
    drop(private);
    let (parts, gap) = noticed_nothing(open, site.windows.late).await;
    for node in ["api-1", "api-2"] {
        let streams = listed(&site, node).await.unwrap();
        assert_eq!(streams.len(), 2, "{streams:?}");
    }
    let counted = ledger.close(&publishers, &BTreeMap::new()).await;
    eprintln!("clocks {apart} s apart: {parts} parts, {gap:.1?} without one at most; {counted}");
    assert!(site.logged("is not heard of any more").is_empty());
    site.assert_calm();
}
