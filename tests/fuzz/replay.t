#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Time limit: 600 s
# Inputs that once did harm, and the seeds of the fuzzers, under ASan and UBSan.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}/asan
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
. tests/fuzz/seeds.sh
n=0 failed=0
for source in tests/fuzz/fuzz_*.c; do
    target=${source#tests/fuzz/fuzz_}
    target=${target%.c}
    n=$((n + 1))
    seeds "$target" "$tmp/$target"
    folders=("$tmp/$target")
    [ ! -d "tests/fuzz/corpus/$target" ] || folders+=("tests/fuzz/corpus/$target")
    if "$build/tests/fuzz/replay_$target" "${folders[@]}" >"$tmp/out" 2>"$tmp/err"; then
        echo "ok $n - $target: $(cat "$tmp/out")"
    else
        failed=1
        tail -n 25 "$tmp/err" | sed 's/^/# /'
        echo "not ok $n - $target"
    fi
done
echo "1..$n"
exit $failed
