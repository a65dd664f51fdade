#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Each row of tests/FAULTS.md names a test that there is, and no test in tests/faults is missing from it.
set -u
cd "$(dirname "$0")/.." || exit 1
n=0 failed=0

report() { # report DESCRIPTION OFFENDERS
        n=$((n + 1))
        if [ -z "$2" ]; then
                echo "ok $n - $1"
        else
                failed=1
                echo "not ok $n - $1"
                echo "$2" | sed 's/^/# /'
        fi
}

tests=$(sed -n 's/^| .* | `\([^`]*: [^`]*\)` |$/\1/p' FAULTS.md)
rows=$(grep -c '^| ' FAULTS.md)
report 'every row names its test' "$([ "$(wc -l <<<"$tests")" -eq $((rows - 1)) ] || echo "$rows rows with the head, $(wc -l <<<"$tests") tests")"
report 'at least 40 faults are listed' "$([ "$rows" -gt 40 ] || echo "$((rows - 1))")"
report 'each of these tests is there' "$(while IFS= read -r t; do
        # A test that was only written and is not run has its name once.
        [ "$(grep -cF -- "${t#*: }" "${t%%: *}" 2>/dev/null)" -ge "$(case $t in *.c:*) echo 2 ;; *) echo 1 ;; esac)" ] || echo "$t"
done <<<"$tests")"
report 'each test in tests/faults is listed' "$(sed -n 's/^START_TEST(\(.*\)) {$/\1/p' faults/*.c | while IFS= read -r t; do
        grep -q ": $t\`" FAULTS.md || echo "$t"
done)"
echo "1..$n"
exit $failed
