//! Replays every seed and every input that ever broke something, on stable Rust.

use std::path::Path;

/// A target's name, which is its folder in `corpus/`, and its function.
type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("amf0", millrace_fuzz::rtmp::amf0),
    ("chat_message", millrace_fuzz::chat::message),
    ("chunk", millrace_fuzz::rtmp::chunk),
    ("flv_demux", millrace_fuzz::media::flv_demux),
    ("hls_query", millrace_fuzz::hls::hls_query),
    ("packager_ops", millrace_fuzz::media::packager_ops),
    ("rtmp_session", millrace_fuzz::rtmp::rtmp_session),
    ("transcode_pipe", millrace_fuzz::transcode::transcode_pipe),
];

#[test]
fn every_corpus_replays() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap_or_else(|err| panic!("{}: {err}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{} has no seeds", folder.display());
        for file in files {
            eprintln!("{}", file.display());
            target(&std::fs::read(&file).unwrap());
        }
    }
}
