//! A process that is killed while it publishes: what it was told is kept is there.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use millrace_bus::{COLLECTIONS, LocalBus};
use millrace_core::bus::{Bus, Start, Topic, suite};
use millrace_store::{Location, Store};

const FOLDER: &str = "MILLRACE_TEST_KILLED_FOLDER";
/// Acknowledgements after which the process is killed.
const ENOUGH: u128 = 200;

async fn open(folder: &Path) -> LocalBus {
    let engine = millrace_store::open(&Location::Sqlite, folder).await.expect("it can be opened");
    let store = Store::new(engine, COLLECTIONS).await.expect("it can be prepared");
    LocalBus::open(store).await.expect("it can be read")
}

/// Not a test of its own: the process that is killed.
#[tokio::test]
async fn publishes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let local = open(Path::new(&folder)).await;
    let mut out = std::io::stderr();
    for number in 0.. {
        local.bus.publish(Topic::Jobs, suite::event("studio", number)).await.unwrap();
        writeln!(out, "kept {number}").unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_in_the_log_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "publishes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut acknowledged = BTreeSet::new();
    let read = |line: String, acknowledged: &mut BTreeSet<u128>| {
        if let Some(number) = line.strip_prefix("kept ") {
            acknowledged.insert(number.parse().unwrap());
        }
    };
    while (acknowledged.len() as u128) < ENOUGH {
        read(lines.next().expect("it publishes").unwrap(), &mut acknowledged);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died, too; the last line may be torn.
    let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
    rest.pop();
    rest.into_iter().for_each(|line| read(line, &mut acknowledged));

    let local = open(folder.path()).await;
    let mut past = local.bus.replay(Topic::Jobs, Start::Beginning).await.unwrap();
    let mut kept = Vec::new();
    while let Some(delivery) = past.next().await.unwrap() {
        kept.push(delivery.event.id.as_u128());
    }
    assert_eq!(kept, (0..kept.len() as u128).collect::<Vec<_>>(), "in order, each once");
    let last = *acknowledged.last().unwrap();
    assert!(kept.len() as u128 > last, "{} kept, {last} acknowledged", kept.len());
    local.bus.publish(Topic::Jobs, suite::event("studio", 1_000_000)).await.unwrap();
}
