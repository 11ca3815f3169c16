#!/usr/bin/env bash
# Runs every fuzz target for a while with libFuzzer, starting from the committed corpora.
#   scripts/fuzz.sh SECONDS [TARGET…]
set -euo pipefail

seconds=${1:?seconds per target}
shift
cd "$(dirname "$0")/../tests/fuzz/libfuzzer"
if ! rustup toolchain list | grep -q nightly; then
    echo "fuzz: libFuzzer needs nightly Rust: rustup toolchain install nightly" >&2
    exit 1
fi
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir .)
for target in "${targets[@]}"; do
    new=$(mktemp -d)
    cargo +nightly fuzz run --fuzz-dir . "$target" "$new" "../corpus/$target" -- -max_total_time="$seconds" -timeout=10
    rm -rf "$new"
done
