#!/usr/bin/env bash
# Licences, bans, sources and advisories of the dependencies. Installs cargo-deny when it is missing.
set -euo pipefail

command -v cargo-deny >/dev/null || cargo install cargo-deny --locked --version '^0.20'
cargo deny --locked check --hide-inclusion-graph licenses bans sources
# The advisory database is a git repository on the network; without it the check cannot run, and says so.
if cargo deny --locked fetch db >/dev/null 2>&1; then
    cargo deny --locked check --hide-inclusion-graph advisories
else
    echo "deny: the advisory database cannot be reached from here; advisories were NOT checked" >&2
fi
