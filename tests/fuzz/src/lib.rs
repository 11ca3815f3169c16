//! Fuzz targets as plain functions: libfuzzer/ wraps them, `cargo test` replays the corpora.
