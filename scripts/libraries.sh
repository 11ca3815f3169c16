#!/usr/bin/env bash
# Copies the libraries that a program needs, but for those that the image has, into a folder as the loader looks for them.
#   scripts/libraries.sh path/to/program path/to/folder
set -euo pipefail

program=${1:?the program}
out=${2:?a folder for the libraries}
out=$out/$(dpkg-architecture -q DEB_HOST_MULTIARCH)
mkdir -p "$out"
ldd "$program" | awk '$2 == "=>" { print $1, $3 }' | while read -r name path; do
    case $name in
    libc.so.6 | libm.so.6 | libgcc_s.so.1 | libstdc++.so.6 | libgomp.so.1 | libpthread.so.0 | libdl.so.2 | librt.so.1 | libssl.so.3 | libcrypto.so.3) ;;
    *)
        if [ ! -e "$path" ]; then
            echo "libraries: $program needs $name, which is not there" >&2
            exit 1
        fi
        cp --dereference "$path" "$out/$name"
        ;;
    esac
done
