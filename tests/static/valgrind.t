#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Time limit: 900 s
# Parsers, files, policy and queue under valgrind: no leak, no uninitialised value.
#
# AddressSanitizer runs all unit tests; this one finds what it does not, reads of
# memory that nobody wrote. Not here: tests that only repeat arithmetic a million
# times, and those that forbid a child the open() which valgrind itself needs.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
KVMTUNED=${KVMTUNED:-$BUILD/kvmtuned}

if ! command -v valgrind >/dev/null; then
        echo '1..0 # SKIP no valgrind'
        exit 0
fi
if nm "$KVMTUNED" | grep -qE '__(asan|tsan)_init'; then
        echo '1..0 # SKIP built with a sanitizer, which valgrind cannot run'
        exit 0
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export CK_FORK=no CK_VERBOSITY=silent CK_TAP_LOG_FILE_NAME=- tmp

# One command a line, the longest first.
commands() {
        local t d=tests/golden/plan
        for t in state topology observe_guest snapshot_file virt_xml virt virt_queue rules snapshot sysfs base \
                config config_files policy policy_balloon policy_balloon_watch policy_ksm policy_restore placement \
                plan metric mover observe_cpu observe_guest_memory observe_ksm observe_memory observe_node; do
                echo "$BUILD/tests/unit/test_$t"
        done
        for t in "$d"/balloon-pressure "$d"/hostile-name; do
                echo "$KVMTUNED plan --config $t/policy.conf --snapshot $t/host.snapshot"
        done
        echo "$KVMTUNED --check-config conf/kvmtuned.conf"
}

run_one() { # run_one NUMBER COMMAND: its output to NUMBER.out, its status to NUMBER.rc
        local -a words
        read -ra words <<<"$2"
        valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
                --num-callers=20 --suppressions=tests/static/suppressions/valgrind \
                "${words[@]}" >"$tmp/$1.out" 2>&1 </dev/null
        echo $? >"$tmp/$1.rc"
}
export -f run_one

commands | awk '{ printf "%d%c%s%c", NR, 0, $0, 0 }' |
        xargs -0 -n 2 -P "$(nproc)" bash -c 'run_one "$@"' -

n=0 failed=0
while read -r command; do
        n=$((n + 1))
        if [ "$(cat "$tmp/$n.rc")" = 0 ]; then
                echo "ok $n - ${command#"$BUILD"/}"
        else
                failed=1
                echo "not ok $n - ${command#"$BUILD"/} (status $(cat "$tmp/$n.rc"))"
                grep -vE '^(ok|1\.\.)' "$tmp/$n.out" | head -n 40 | sed 's/^/# /'
        fi
done < <(commands)
echo "1..$n"
exit $failed
