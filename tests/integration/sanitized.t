#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The same tests once more, with a daemon built with ASan and UBSan: a report of
# either ends it, a leak gives its end a status of its own.
set -u
here=$(cd "$(dirname "$0")" && pwd)
sanitized=$here/../../${BUILD:-build}/asan/kvmtuned
case ${BUILD:-build} in /*) sanitized=$BUILD/asan/kvmtuned ;; esac
[ -x "$sanitized" ] || { echo "1..0 # SKIP no $sanitized (make sanitized)"; exit 0; }
tests=(pins restore reload balloon bus)
n=0 failed=0
for t in "${tests[@]}"; do
    n=$((n + 1))
    if out=$(KVMTUNED=$sanitized "$here/$t.t" 2>&1); then
        echo "ok $n - $t.t passes under ASan and UBSan"
    else
        failed=1
        echo "not ok $n - $t.t passes under ASan and UBSan"
        grep -v '^ok' <<<"$out" | sed 's/^/# /'
    fi
done
echo "1..$n"
exit $failed
