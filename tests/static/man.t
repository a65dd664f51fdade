#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Manual pages and unit files say what their tools accept.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
n=0 failed=0

report() { # report DESCRIPTION OUTPUT: empty is good
        n=$((n + 1))
        if [ -z "$2" ]; then
                echo "ok $n - $1"
        else
                failed=1
                echo "not ok $n - $1"
                echo "$2" | sed 's/^/# /'
        fi
}

for page in man/*.[1-8]; do
        # Cross-references to pages that are not installed here are not faults of the page.
        report "$page is clean" "$(mandoc -Tlint -Wwarning "$page" 2>&1 | grep -v 'referenced manual not found')"
done
for word in $("${KVMTUNED:-$BUILD/kvmtuned}" --help | grep -oE -- '--[a-z-]+' | sort -u); do
        report "kvmtuned(8) explains $word" "$(grep -q -- "Fl Fl\? \?${word#--}\|Fl -${word#--}" man/kvmtuned.8 || echo missing)"
done
ctl=${KVMTUNECTL:-$BUILD/kvmtunectl}
for word in $("$ctl" --help | grep -oE -- '--[a-z-]+' | sort -u); do
        report "kvmtunectl(1) and the completions know $word" "$(
                grep -qE -- "Fl (. , )?-${word#--}( |$)" man/kvmtunectl.1 || echo "kvmtunectl.1"
                grep -L -e "$word" completion/*)"
done
for verb in $("$ctl" --help | sed -nE 's/^  ([a-z]+(, [a-z]+)?) .*/\1/p' | tr -d ,); do
        report "kvmtunectl(1) and the completions know $verb" "$(
                grep -q "^\.It Cm $verb" man/kvmtunectl.1 || echo "kvmtunectl.1"
                grep -Lw "$verb" completion/*)"
done
for word in $(grep -oE '(METHOD|PROPERTY)\("[A-Za-z]+"' daemon/bus.c | cut -d'"' -f2) \
        $(grep -oE '"org\.kvmtuned1\.Error\.[A-Za-z]+"' daemon/bus_internal.h | tr -d '"'); do
        report "org.kvmtuned1(5) lists $word" "$(grep -qw "$word" man/org.kvmtuned1.5 || echo missing)"
done

make -s BUILD="$BUILD" "$BUILD/kvmtuned.service" || echo "Bail out! no unit file"
if command -v systemd-analyze >/dev/null; then
        report 'the unit is not more exposed than 1.6' \
                "$(systemd-analyze security --offline=yes --threshold=16 "$BUILD/kvmtuned.service" 2>&1 >/dev/null ||
                        systemd-analyze security --offline=yes "$BUILD/kvmtuned.service" | tail -n 1)"
else
        n=$((n + 1))
        echo "ok $n - unit exposure # SKIP no systemd-analyze"
fi
ids=$(grep -oE '"[0-9a-f]{32}"' daemon/messages.h | tr -d '"' | sort)
report 'every message id has a catalog text, and only those' \
        "$(diff <(echo "$ids") <(sed -n 's/^-- //p' systemd/kvmtuned.catalog | sort))"
report 'every message id is explained in kvmtuned.journal-fields(7), and only those' \
        "$(diff <(echo "$ids") <(sed -n 's/^\.It Li \([0-9a-f]*\)$/\1/p' man/kvmtuned.journal-fields.7 | sort))"
report 'every journal field is explained there, and only those' \
        "$(diff <(grep -ohE '"KVMTUNED_[A-Z_]+"' daemon/*.c | tr -d '"' | sort -u) \
                <(grep -oE '^\.It Ev .*' man/kvmtuned.journal-fields.7 | grep -oE 'KVMTUNED_[A-Z_]+' | sort -u))"
report 'the dashboard is JSON' "$(python3 -m json.tool conf/grafana-dashboard.json 2>&1 >/dev/null)"
report 'no message id is used twice' "$(echo "$ids" | uniq -d)"
report 'every file names its licence' \
        "$(git ls-files '*.c' '*.h' '*.t' '*.sh' Makefile 'man/*' 2>/dev/null | xargs -r grep -L SPDX-License-Identifier)"

echo "1..$n"
exit $failed
