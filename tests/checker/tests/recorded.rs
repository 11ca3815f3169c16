//! Playlists that the real server wrote obey every rule.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millrace_hls_checker::history::{Bounds, History};
use millrace_hls_checker::rule::Findings;
use millrace_hls_checker::{multivariant, playlist, snapshot};

/// Rendition -> its playlists in the order they came.
fn recordings(folder: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let rendition = name.rsplit_once('-').map_or(name.as_str(), |(rendition, _)| rendition);
        found.entry(rendition.to_owned()).or_default().push(path);
    }
    found.values_mut().for_each(|paths| paths.sort());
    found
}

fn replay(folder: &str) -> (Findings, Option<History>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(folder);
    let mut findings = Findings::new(folder.display().to_string());
    let mut main = None;
    for (rendition, paths) in recordings(&folder) {
        let texts = paths.iter().map(|path| std::fs::read_to_string(path).unwrap());
        if rendition == "multivariant" {
            texts.for_each(|text| drop(multivariant::parse(&text, &mut findings)));
            continue;
        }
        let mut history = History::new(Bounds::default());
        for (index, text) in texts.enumerate() {
            let list = playlist::parse(&text, &mut findings);
            snapshot::check(&list, &mut findings);
            history.advance(Duration::from_millis(333 * index as u64), list, &mut findings);
        }
        if rendition.ends_with("main") {
            main = Some(history);
        }
    }
    (findings, main)
}

#[test]
fn a_steady_broadcast_has_no_findings() {
    let (findings, main) = replay("steady");
    assert_eq!(findings.as_slice(), []);
    let main = main.unwrap();
    assert!(main.edges().len() >= 8 && main.last().unwrap().segments.len() > 15);
}

#[test]
fn a_reconnect_and_an_end_have_no_findings() {
    let (findings, main) = replay("reconnect");
    assert_eq!(findings.as_slice(), []);
    let last = main.unwrap().last().cloned().unwrap();
    assert!(last.endlist);
    assert_eq!(last.segments.iter().filter(|s| s.discontinuity).count(), 1);
    assert!(last.segments.iter().filter(|s| s.gap).count() >= 6);
}
