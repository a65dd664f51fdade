#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The same tests once more, with a daemon built with ASan and UBSan: a report of
# either ends it, a leak gives its end a status of its own.
set -u
here=$(cd "$(dirname "$0")" && pwd)
sanitized=$here/../../${BUILD:-build}/asan/kvmtuned
case ${BUILD:-build} in /*) sanitized=$BUILD/asan/kvmtuned ;; esac
[ -x "$sanitized" ] || { echo "1..0 # SKIP no $sanitized (make sanitized)"; exit 0; }
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

report() { # report TEST: as it ended
    n=$((n + 1))
    if [ "$(cat "$tmp/$1.rc")" = 0 ]; then
        echo "ok $n - $1.t passes under ASan and UBSan"
    else
        failed=1
        echo "not ok $n - $1.t passes under ASan and UBSan"
        grep -v '^ok' "$tmp/$1.out" | sed 's/^/# /'
    fi
}

# Two at a time where make check has them so.
for pair in 'pins bus' reload restore balloon; do
    for t in $pair; do
        { KVMTUNED=$sanitized "$here/$t.t" >"$tmp/$t.out" 2>&1; echo $? >"$tmp/$t.rc"; } &
    done
    wait
    for t in $pair; do report "$t"; done
done
echo "1..$n"
exit $failed
