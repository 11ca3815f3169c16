#!/usr/bin/env bash
# Asks a real server everything that its OpenAPI description allows, and much that it does not (schemathesis).
# Installs schemathesis into a folder of its own outside the clone. Quick when it is there.
#   scripts/test-api.sh path/to/millrace
set -euo pipefail

cd "$(dirname "$0")/.."
wanted=tests/api/requirements.txt
version=$(sha256sum "$wanted" | cut -c1-12)
venv="${XDG_CACHE_HOME:-$HOME/.cache}/millrace/venv-api-$version"
if [ ! -e "$venv/ready" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    touch "$venv/ready"
fi
exec python3 tests/api/run.py "$1" "$venv/bin/st"
