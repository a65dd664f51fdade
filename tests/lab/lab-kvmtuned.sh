# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# lab-kvmtuned.sh - what the scenes share: kvmtuned installed as an
# administrator would, and where the kernel and the journal hold what it did.
# Read in after lab-lib.sh, inside the VM, in /lab/in. The journal is that of this
# scene: others may have run before it in the same VM.

config=/etc/kvmtuned/kvmtuned.conf
action_done=799d65b8ed064af9b0b564d6f5959894
memory_moved=3b8ba9679186494b936af143f9a5e54a
move_gained=70cb2817a37c464b82298b3b1aa9950e
move_not_gained=bb1874d0552545c6b3df6f881f95797b
takeover=5b1f0c5e6a3d4f27b2c9d8e14a7603fe
reloaded=67a5735fa6704901b826943abb39d71a
# Not a cursor: --after-cursor= loses the first entry that matches when its own does not (systemd 252).
since=@$EPOCHREALTIME

# The kernel's own balancer is off unless a scene says otherwise: one balancer at a time.
install_kvmtuned() {
        tar -C / --no-same-owner -xf /lab/in/root.tar || exit 1
        systemctl daemon-reload
        journalctl --update-catalog
        echo 0 >/proc/sys/kernel/numa_balancing
        cp $config /root/shipped.conf
}

# libvirt's adviser is PROGRAM, put where libvirt looks as kvmtuned-numad(8) says. Until the scene ends.
put_adviser() { # put_adviser PROGRAM
        systemctl stop numad 2>/dev/null
        if [ -e /usr/bin/numad ]; then
                dpkg-divert --local --rename --divert /usr/bin/numad.distrib --add /usr/bin/numad >/dev/null
        fi
        ln -s "$1" /usr/bin/numad
        trap 'rm -f /usr/bin/numad; dpkg-divert --local --rename --remove /usr/bin/numad >/dev/null' EXIT
}

note() { echo "# note: $*"; } # a measured value, for the runner to show

# --- where guests may run ---------------------------------------------------------
cpus_of_node() { cat "/sys/devices/system/node/node$1/cpulist"; }
all_cpus() { cat /sys/devices/system/cpu/online; }
tids() { # tids GUEST: vCPU threads
        local pid t
        pid=$(lab_guest_pid "$1") || return
        for t in "/proc/$pid/task"/*; do
                case $(cat "$t/comm") in CPU*) echo "${t##*/}" ;; esac
        done
}
allowed() { sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$1/status"; }
confine() { taskset -a -c -p "$2" "$(lab_guest_pid "$1")" >/dev/null; } # confine GUEST CPUS: all its threads
# one_node GUEST: all its vCPU threads may run on exactly the CPUs of one node; prints the node
one_node() {
        local t first='' n
        for t in $(tids "$1"); do
                [ -n "$first" ] || first=$(allowed "$t")
                [ "$(allowed "$t")" = "$first" ] || return 1
        done
        for n in 0 1 2 3; do
                [ "$first" = "$(cpus_of_node $n)" ] && echo "$n" && return 0
        done
        return 1
}
is_on_one_node() { one_node "$1" >/dev/null; }
nodes_differ() { [ "$(one_node "$1")" != "$(one_node "$2")" ]; }
unpinned() { # unpinned GUEST...: every vCPU may run everywhere
        local g t
        for g in "$@"; do
                for t in $(tids "$g"); do
                        [ "$(allowed "$t")" = "$(all_cpus)" ] || return 1
                done
        done
}

# --- where their memory is --------------------------------------------------------
mems() { sed -n 's/^Mems_allowed_list:\t//p' "/proc/$(lab_guest_pid "$1")/status"; } # mems GUEST: nodes it may have memory of
foreign_mib() { # foreign_mib GUEST NODE: its anonymous memory on other nodes, by the kernel
        awk -v node="N$2" '/ anon=/ { for (i = 1; i <= NF; i++) if ($i ~ /^N[0-9]+=/) { split($i, p, "=");
                if (p[1] != node) sum += p[2] } } END { print int(sum * 4 / 1024) }' "/proc/$(lab_guest_pid "$1")/numa_maps"
}
remote() { # remote GUEST: share of its memory outside of the nodes it may run on, per mille
        lab_probe -i 0 | jq -r --arg g "$1" '.guests[] | select(.name == $g) | (.remote_allowed * 1000 | floor)'
}
remote_below() { [ "$(remote "$1")" -lt "$2" ]; }
remote_of_all() { lab_probe -i 0 | jq -r '.guests | (map(.mib * .remote_allowed) | add) / (map(.mib) | add) * 1000 | floor'; }

# --- the journal ------------------------------------------------------------------
entries() { journalctl -b --since="$since" --no-pager -o json -u kvmtuned.service "$@"; }
has_entry() { [ -n "$(entries "$@" | head -n 1)" ]; }
verdict() { # verdict GUEST: what became of its move, as the journal has it
        entries MESSAGE_ID=$move_gained KVMTUNED_GUEST="$1"
        entries MESSAGE_ID=$move_not_gained KVMTUNED_GUEST="$1"
}
has_verdict() { [ -n "$(verdict "$1")" ]; }
count_entries() { entries "$@" | wc -l; }
no_repeats() { [ -z "$(entries "$@" | jq -r .KVMTUNED_GUEST | sort | uniq -d)" ]; } # at most one a guest
no_errors() { # no_errors [MESSAGE_ID that may be there]
        ! entries -p err | grep -v "${1:-no such id}" | grep -q .
}
# What explain and the journal may differ in is what was measured since. Some reasons are not in the journal at
# its level, and that a guest which boots has no driver yet is not either. Of what was done explain knows what this
# process has done.
same_reason='
        def same: gsub("[0-9][0-9.,]*( [KMGT]iB)?"; "#");
        def quiet: IN("cooldown", "no-gain", "at-minimum", "at-maximum", "host-busy", "stale-stats", "unknown", "not-running",
                      "unreachable", "no-driver");
        ([$journal[] | select(.KVMTUNED_ACTION and ._SYSTEMD_INVOCATION_ID == $invocation)] | last) as $last
        | ([.log[] | select(.action)] | last) as $told
        | $last.MESSAGE == $told.message
          and all(.not_done[] | select(.why | quiet | not); . as $s
                  | [$journal[] | select(.KVMTUNED_ACTION == $s.kind and .KVMTUNED_SKIP)] | last
                  | .KVMTUNED_SKIP == $s.why and (.KVMTUNED_REASON | same) == ($s.detail | same))'
# explained GUEST: explain gives for what was last done to it, and for what is not done, the reasons of the journal
explained() {
        kvmtunectl explain "$1" --json >"$LAB_OUT/explain-$1.json" || return
        entries KVMTUNED_GUEST="$1" >"$LAB_OUT/journal-$1.json"
        jq -e --arg invocation "$(systemctl show -P InvocationID kvmtuned)" --slurpfile journal "$LAB_OUT/journal-$1.json" \
                "$same_reason" "$LAB_OUT/explain-$1.json" >/dev/null
}
all_explained() {
        local g guests
        guests=$(kvmtunectl guests --json | jq -r '.[].name') && [ -n "$guests" ] || return
        for g in $guests; do explained "$g" || return; done
}
keep_journal() {
        entries >"$LAB_OUT/kvmtuned.json"
        journalctl -b --since="$since" --no-pager -x -u kvmtuned.service >"$LAB_OUT/kvmtuned.txt"
        lab_collect
}

# --- what it costs ----------------------------------------------------------------
migrated_kib() { awk '$1 == "pgmigrate_success" { print $2 * 4 }' /proc/vmstat; }
# daemon_threads: comm, user and system time of each thread in hundredths of a second
daemon_threads() {
        cat "/proc/$(systemctl show -P MainPID kvmtuned)/task"/*/stat | sed 's/^[0-9]* (\(.*\)) [A-Z] /\1 /' |
                awk '{ printf "%s%s %d+%d", (NR > 1 ? ", " : ""), $1, $12, $13 } END { print "" }'
}
# daemon_cpu: "OWN MOVER" in hundredths of a second: the daemon's user and system time, and apart
# from that the system time of its mover threads, which is the kernel's copying of pages. A mover
# ends with its move; its time is what the process has and no other thread ever had.
daemon_cpu() {
        local pid
        pid=$(systemctl show -P MainPID kvmtuned)
        cat "/proc/$pid/stat" "/proc/$pid/task"/*/stat | sed 's/^[0-9]* (\(.*\)) [A-Z] /\1 /' |
                awk 'NR == 1 { user = $12; sys = mover = $13; next }
                     $1 != "mover" { mover -= $13 }
                     END { if (mover < 0) mover = 0; print user + sys - mover, mover }'
}
