#!/usr/bin/env bash
# Installs the Debian packages that a make target needs and that are missing. Quick when nothing is.
#   scripts/setup.sh build|test|bench|release
set -euo pipefail

build=(gcc g++ make cmake pkg-config libssl-dev clang libclang-dev libavcodec-dev libavformat-dev libavutil-dev libswscale-dev)
test=("${build[@]}" python3-pip python3-venv libcurl4 ffmpeg chromium obs-studio xvfb xauth fonts-dejavu-core libgl1-mesa-dri procps nginx libnginx-mod-http-js libnginx-mod-stream util-linux mount openjdk-17-jre-headless maven openssl)
bench=("${test[@]}" libnginx-mod-rtmp)
release=("${build[@]}" binutils dpkg-dev lintian systemd)

case "${1:-}" in
build) wanted=("${build[@]}") ;;
test) wanted=("${test[@]}") ;;
bench) wanted=("${bench[@]}") ;;
release) wanted=("${release[@]}") ;;
*)
    echo "usage: $0 build|test|bench|release" >&2
    exit 64
    ;;
esac

for tool in cargo node npm; do
    if ! command -v "$tool" >/dev/null; then
        echo "setup: $tool is missing. Install Rust 1.95 (rustup) and Node.js 20 or newer, then run this again." >&2
        exit 1
    fi
done

missing=()
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: these programs are missing and this is no Debian: ${missing[*]}" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: as root, run: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
# A package must not start a service of its own (nginx would take port 80).
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made_policy=yes
fi
cleanup() { [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"; }
trap cleanup EXIT
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
