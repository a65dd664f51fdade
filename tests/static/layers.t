#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Who may include whom, and that the policy does no I/O: proved by the linker.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
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

# only HEADER-REGEX DESCRIPTION ALLOWED-FILE-REGEX: nobody else includes it.
only() {
        report "$2" "$(grep -nE "^#include [<\"]$1" lib/*.[ch] daemon/*.[ch] ctl/*.[ch] | grep -vE "^($3):")"
}

only 'libvirt/' 'libvirt is known to daemon/virt*.c alone' 'daemon/virt[a-z_]*\.[ch]'
only 'numa(if)?\.h' 'libnuma is known to the node observer and the mover alone' 'lib/observe_node\.c|daemon/mover[a-z_]*\.c'
only 'systemd/' 'systemd is known to daemon/ and to the end of the bus in kvmtunectl alone' 'daemon/.*|ctl/source_bus\.c'
only 'libconfig' 'libconfig is known to the two loaders alone' 'lib/(setting[a-z_]*|config_load[a-z_]*|snapshot_load[a-z_]*|rule_test_load)\.[ch]'
only 'hwloc' 'hwloc is known to the topology alone' 'lib/topology[a-z_]*\.c'
only 'libxml' 'libxml2 is known to the domain XML reader alone' 'daemon/virt_xml[a-z_]*\.[ch]'
only '\.\./daemon|daemon/' 'lib/ knows nothing of daemon/, and kvmtunectl only how values are sent and shown' 'daemon/.*|ctl/(source_bus|main)\.c'
only '\.\./ctl|ctl/' 'nobody knows kvmtunectl' 'ctl/.*'
only 'syslog\.h' 'lib/ does not log' 'daemon/.*'

policy_may='base|competitor|idset|topology|snapshot|config|rules|state(_memo)?|plan|parse|policy[a-z_]*'
report 'policy sees values only' "$(grep -nE '^#include "' lib/policy*.[ch] | grep -vE "#include \"($policy_may)\.h\"")"

# What the decision may call of the C library: memory, strings, numbers.
may_call='__[a-z_]*chk(_fail)?|_GLOBAL_OFFSET_TABLE_|mem[a-z]+|str[a-z_]+|free|malloc|calloc|realloc|reallocarray|qsort(_r)?|bsearch|v?s?n?printf_to|vasprintf|asprintf|snprintf|vsnprintf|fnmatch|__asan_[a-z0-9_]*|__ubsan_[a-z0-9_]*'
own=$(nm -g --defined-only "$BUILD"/lib/*.o 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
undefined=$(nm -u "$BUILD"/lib/policy*.o 2>/dev/null | awk 'NF == 2 { print $2 }' | sort -u)
report 'the policy objects were looked at' "$([ -n "$undefined" ] || echo "no objects in $BUILD/lib")"
report 'policy objects call no I/O, clock or environment' \
        "$(comm -23 <(echo "$undefined") <(echo "$own") | grep -vE "^($may_call)$")"

# And nothing of the engine that does I/O is reached from them.
io='sysfs_[a-z_]*|state_(save|load)|config_load[a-z_]*|snapshot_load[a-z_]*|topology_load[a-z_]*|.*_observe[a-z_]*|safe_close'
report 'policy objects call no I/O of the engine' "$(echo "$undefined" | grep -E "^($io)$")"

report 'lib/ never exits and reads no clock' \
        "$(for o in "$BUILD"/lib/*.o; do nm -u "$o" | awk -v o="$o" '{ print o ": " $NF }'; done |
                grep -E ': (exit|_exit|abort|time|clock_gettime|gettimeofday|localtime(_r)?|syslog|perror)$')"

# Objects of today's sources only: a build folder also holds those of files that are gone.
# The numad front is a program of its own.
mapfile -t objects < <(printf '%s\n' lib/*.c daemon/*.c | grep -vx daemon/numad_main.c | sed "s,^,$BUILD/,; s,\.c$,.o,")
report 'no global name is defined twice' \
        "$(nm -g --defined-only "${objects[@]}" 2>&1 | awk 'NF == 3 && $2 ~ /[A-UX-Z]/ { print $3 }' | sort | uniq -d)"

# From the line with the opening brace to the closing one.
report 'no function is longer than 70 lines' "$(awk '
        FNR == 1 || /^}/ {
                if (FNR > 1 && start && FNR - start >= 70)
                        print FILENAME ":" start ": " FNR - start + 1 " lines"
                start = 0
        }
        !start && /\) \{$/ { start = FNR }' lib/*.c daemon/*.c ctl/*.c)"

echo "1..$n"
exit $failed
