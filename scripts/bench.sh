#!/usr/bin/env bash
# Measures. Prints ratios against a peer or a floor of the same run, and a table at the end; docs/performance.md keeps
# what was found. A missed budget is said, and is no failure.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked
cargo build --release --locked -p millrace-load
cargo bench --locked -p millrace-ingest -p millrace-hls-packager
export BENCH_BINARY="$target/release/millrace"
export BENCH_LOAD="$target/release/millrace-load"
BENCH_RESULTS=$(mktemp)
export BENCH_RESULTS
trap 'rm -f "$BENCH_RESULTS"' EXIT
cargo bench --locked -p millrace-test-services
for topology in single split; do
    MILLRACE_TEST_TOPOLOGY=$topology cargo bench --locked -p millrace --bench lifecycle
done
for measurement in start cpu-per-stream ladder rung-latency slow-line latency delivery edge chat memory glass-to-glass; do
    node "tests/bench/$measurement.mjs"
done
node tests/bench/table.mjs "$BENCH_RESULTS" "$target/criterion"
