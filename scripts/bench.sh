#!/usr/bin/env bash
# Measures. Prints ratios against a peer or a floor of the same run; docs/performance.md keeps what was found.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked
cargo bench --locked -p millrace-ingest -p millrace-hls-packager
export BENCH_BINARY="$target/release/millrace"
node tests/bench/cpu-per-stream.mjs
node tests/bench/glass-to-glass.mjs
