#!/usr/bin/env bash
# Runs lists of make targets side by side. What each prints comes in one piece when it ends, with the time it took; fails
# if one fails, and ends them all when it is interrupted.
#   scripts/side-by-side.sh 'TARGET …' ['TARGET …' …]
# What they keep while they run is in a folder of this run, in memory where there is room, and goes with it: browsers that
# are killed leave their profiles behind.
# The first list has the tests that look at clocks: the others take what it leaves of the processors.
set -uo pipefail
# Every job is a process group: what it started ends with it.
set -m

if [ $# -eq 0 ]; then
    echo "usage: $0 'TARGET …' ['TARGET …' …]" >&2
    exit 64
fi

folder=$(mktemp -d "$("${BASH_SOURCE[0]%/*}/scratch.sh")/millrace-XXXXXX")
mkdir "$folder/tmp"
export TMPDIR=$folder/tmp
declare -A running
# Servers that outlive their test for a moment remove their own folders there.
remove() {
    for _ in {1..50}; do
        rm -rf "$folder" 2>/dev/null && return
        sleep 0.1
    done
}
stop() {
    trap - INT TERM
    for job in "${!running[@]}"; do kill -TERM -- "-$job" 2>/dev/null; done
    wait
    # What was printed so far tells what hung.
    for targets in "${running[@]}"; do
        cat "$folder/$targets"
        echo "== $targets: ended, after $SECONDS s"
    done
    remove
    exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM

nice=0
for targets in "$@"; do
    # Words on purpose: make takes them one after the other.
    # shellcheck disable=SC2086
    nice -n "$nice" "${MAKE:-make}" --no-print-directory $targets >"$folder/$targets" 2>&1 </dev/null &
    running[$!]=$targets
    echo "== $targets: begun"
    nice=10
done

failed=0
while [ "${#running[@]}" -gt 0 ]; do
    wait -n -p job
    status=$?
    targets=${running[$job]}
    unset "running[$job]"
    cat "$folder/$targets"
    if [ "$status" -eq 0 ]; then
        echo "== $targets: good, after $SECONDS s"
    else
        echo "== $targets: FAILED, after $SECONDS s"
        failed=1
    fi
done
remove
exit "$failed"
