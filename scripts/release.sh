#!/usr/bin/env bash
# Makes what is released out of a built binary and the transcoder beside it: a Debian package of each, an archive of both, the
# debug information apart, a bill of materials, and checksums.
#   scripts/release.sh path/to/millrace path/to/folder
set -euo pipefail

binary=$(realpath "${1:?the binary}")
transcoder=$(dirname "$binary")/millrace-transcoder
out=$(realpath -m "${2:?a folder for what is made}")
cd "$(dirname "$0")/.."
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export LC_ALL=C TZ=UTC

version=$("$binary" --version | cut -d' ' -f2)
arch=$(dpkg --print-architecture)
name=millrace-$version-linux-$arch
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

# The image, the archive and the package hold the programs and no library, so they must need none but these: $2 is a pattern of what
# the program $1 may need beside the libraries of C.
needs_only() {
    local library
    for library in $(objdump -p "$1" | awk '$1 == "NEEDED" { print $2 }'); do
        case $library in
        libc.so.6 | libm.so.6 | libgcc_s.so.1 | ld-linux-*.so.*) ;;
        *)
            if ! [[ $library =~ ^($2)$ ]]; then
                echo "release: $1 needs $library, which is neither in the image nor in what the package depends on" >&2
                exit 1
            fi
            ;;
        esac
    done
}
needs_only "$binary" 'libssl\.so\.3|libcrypto\.so\.3'
needs_only "$transcoder" 'libavcodec\.so\.[0-9]+|libavutil\.so\.[0-9]+|libswscale\.so\.[0-9]+'

mkdir -p "$out" "$work/bin"
for program in "$binary" "$transcoder"; do
    name_of=$(basename "$program")
    objcopy --only-keep-debug --compress-debug-sections "$program" "$work/bin/$name_of.debug"
    objcopy --strip-debug --strip-unneeded "$program" "$work/bin/$name_of"
    (cd "$work/bin" && objcopy --add-gnu-debuglink="$name_of.debug" "$name_of")
done

# What is beside the program, wherever it is installed: $1 is the folder of documents, $2 of examples.
documents() {
    install -d "$1" "$2/nginx" "$2/prometheus/rules" "$2/grafana"
    install -m 644 -t "$1" README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE docs/*.md docs/millrace.toml
    install -m 644 -t "$2/nginx" docker_compose/nginx/millrace.conf.template docker_compose/nginx/playback.js
    install -m 644 -t "$2/prometheus/rules" docker_compose/prometheus/rules/*.yml
    install -m 644 -t "$2/grafana" docker_compose/grafana/dashboards/*.json
}

archive() {
    local tree=$work/$name
    install -d "$tree/systemd"
    install -m 755 "$work/bin/millrace" "$work/bin/millrace-transcoder" "$tree/"
    install -m 644 deploy/millrace.toml "$tree/millrace.toml"
    install -m 644 deploy/systemd/millrace.service deploy/systemd/millrace.sysusers deploy/systemd/millrace.tmpfiles "$tree/systemd/"
    documents "$tree/docs" "$tree/examples"
    pack "$name.tar.gz" "$name"
    mkdir "$work/$name-debug"
    mv "$work/bin/"*.debug "$work/$name-debug/"
    pack "$name-debug.tar.gz" "$name-debug"
}

# $1: the file, $2: the folder.
pack() {
    tar --create --directory "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --format=ustar "$2" | gzip -n -6 >"$out/$1"
}

package() {
    local root=$work/deb doc=$work/deb/usr/share/doc/millrace
    install -D -m 755 "$work/bin/millrace" "$root/usr/bin/millrace"
    install -D -m 644 deploy/millrace.toml "$root/etc/millrace/millrace.toml"
    install -D -m 644 deploy/systemd/millrace.service "$root/lib/systemd/system/millrace.service"
    install -D -m 644 deploy/systemd/millrace.sysusers "$root/usr/lib/sysusers.d/millrace.conf"
    install -D -m 644 deploy/systemd/millrace.tmpfiles "$root/usr/lib/tmpfiles.d/millrace.conf"
    install -D -m 644 deploy/debian/millrace.1 "$root/usr/share/man/man1/millrace.1"
    install -D -m 644 deploy/debian/lintian-overrides "$root/usr/share/lintian/overrides/millrace"
    documents "$doc" "$doc/examples"
    # Debian's names for the licences and the news.
    install -m 644 deploy/debian/copyright "$doc/copyright"
    mv "$doc/CHANGELOG.md" "$doc/changelog"
    changelog >"$doc/changelog.Debian"
    rm "$doc/LICENSE-MIT" "$doc/LICENSE-APACHE"
    gzip -n -9 "$doc/changelog" "$doc/changelog.Debian" "$root/usr/share/man/man1/millrace.1"

    install -d "$root/DEBIAN"
    echo /etc/millrace/millrace.toml >"$root/DEBIAN/conffiles"
    install -m 755 -t "$root/DEBIAN" deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm
    build "$root" millrace deploy/debian/control.in
}

# A package of its own: the server needs none of the many libraries that come with it, nor their licences.
transcoder_package() {
    local root=$work/deb-transcoder doc=$work/deb-transcoder/usr/share/doc/millrace-transcoder
    install -D -m 755 "$work/bin/millrace-transcoder" "$root/usr/bin/millrace-transcoder"
    install -D -m 644 deploy/debian/millrace-transcoder.1 "$root/usr/share/man/man1/millrace-transcoder.1"
    install -D -m 644 deploy/debian/transcoder.lintian-overrides "$root/usr/share/lintian/overrides/millrace-transcoder"
    install -D -m 644 deploy/debian/transcoder.copyright "$doc/copyright"
    changelog >"$doc/changelog.Debian"
    gzip -n -9 "$doc/changelog.Debian" "$root/usr/share/man/man1/millrace-transcoder.1"
    install -d "$root/DEBIAN"
    build "$root" millrace-transcoder deploy/debian/transcoder.control.in
}

changelog() {
    printf 'millrace (%s) stable; urgency=medium\n\n  * See changelog.gz of millrace.\n\n -- The Millrace authors <millrace@localhost>  %s\n' \
        "$version-1" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}

# $1: the tree, $2: the package and its program, $3: the control file.
build() {
    # Which versions of libraries the program was built for.
    mkdir -p "$work/shlibs/debian"
    printf 'Source: millrace\n\nPackage: millrace\nArchitecture: any\n' >"$work/shlibs/debian/control"
    local libraries
    libraries=$(cd "$work/shlibs" && dpkg-shlibdeps -O --warnings=0 -e"$1/usr/bin/$2" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
    sed -e "s/@VERSION@/$version-1/" -e "s/@ARCH@/$arch/" -e "s/@LIBRARIES@/$libraries/" \
        -e "s/@SIZE@/$(du -sk --apparent-size "$1" | cut -f1)/" "$3" >"$1/DEBIAN/control"
    (cd "$1" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$1/DEBIAN/md5sums"
    find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz -z3 --build "$1" "$out/$2_$version-1_$arch.deb" >/dev/null
}

rm -f "$out"/millrace[-_]* "$out/SHA256SUMS"
archive
package
transcoder_package
scripts/sbom.py "$out/$name.cdx.json" "$(uname -m)-unknown-linux-gnu"
(cd "$out" && sha256sum millrace[-_]* >SHA256SUMS)
(cd "$out" && ls -l --block-size=K millrace[-_]* SHA256SUMS | awk '{ printf "  %8s  %s\n", $5, $9 }')
