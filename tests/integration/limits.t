#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Memory limits of a real guest in its cgroup, and the host's transparent huge
# pages, in the kernel's own files. What the host had is put back at the end.
. "$(dirname "$0")/testlib.sh"
THP=/sys/kernel/mm/transparent_hugepage
[ -w $THP/enabled ] || { echo "1..0 # SKIP $THP is not writable"; exit 0; }
t_enter "$0"

thp_word() { sed 's/.*\[\(.*\)\].*/\1/' "$THP/$1"; }
thp() { cat "$THP/khugepaged/$1"; }
thp_before=$(thp_word enabled) defrag_before=$(thp_word defrag) pages_before=$(thp pages_to_scan)
sleep_before=$(thp scan_sleep_millisecs) none_before=$(thp max_ptes_none)
t_cleanup() {
    echo "$thp_before" >$THP/enabled
    echo "$defrag_before" >$THP/defrag
    echo "$pages_before" >$THP/khugepaged/pages_to_scan
    echo "$sleep_before" >$THP/khugepaged/scan_sleep_millisecs
    echo "$none_before" >$THP/khugepaged/max_ptes_none
}
set_thp() { # a known state that no test asks for
    echo never >$THP/enabled
    echo never >$THP/defrag
    echo 777 >$THP/khugepaged/pages_to_scan
    echo 7777 >$THP/khugepaged/scan_sleep_millisecs
    echo 77 >$THP/khugepaged/max_ptes_none
}
thp_as_set() {
    t_is never thp_word enabled && t_is never thp_word defrag && t_is 777 thp pages_to_scan &&
        t_is 7777 thp scan_sleep_millisecs && t_is 77 thp max_ptes_none
}

# limit NAME FILE-v1 FILE-v2: MiB, or "none"
limit() {
    local pid path f v
    pid=$(host_guest_pid "$1") || return
    path=$(sed -n 's/^[0-9]*:memory:\(.*\)/\1/p' "/proc/$pid/cgroup")
    if [ -n "$path" ]; then
        f=/sys/fs/cgroup/memory${path%/emulator}/$2
    else
        path=$(sed -n 's/^0::\(.*\)/\1/p' "/proc/$pid/cgroup")
        f=/sys/fs/cgroup${path%/emulator}/$3
    fi
    v=$(cat "$f") || return
    if [ "$v" = max ] || [ "$v" -gt $((1 << 60)) ]; then echo none; else echo $((v / 1048576)); fi
}
hard() { limit "$1" memory.limit_in_bytes memory.max; }
soft() { limit "$1" memory.soft_limit_in_bytes memory.high; }

set_thp
host_guest_start one fake=1 mem=64 || exit 1
host_guest_start two fake=1 mem=64 || exit 1
virsh -q memtune two --live --hard-limit $((2048 * 1024)) || exit 1
t_ok "a guest has a limit of its own" t_is 2048 hard two

t_daemon_start <<'X'
thp: { enabled = "madvise"; defrag = "defer+madvise"; pages_to_scan = 4321; scan_sleep = "1234 ms"; max_ptes_none = 3; };
guests = ( { match = { name = "one"; }; memtune = { hard_limit = "1000 MiB"; soft_limit = "900 MiB"; }; },
           { match = { name = "two"; }; memtune = { hard_limit = "32 MiB"; }; } );
X
t_until "a hard limit reaches the cgroup" 15 t_is 1000 hard one
t_until "and a soft one" 5 t_is 900 soft one
t_until "THP mode" 5 t_is madvise thp_word enabled
t_ok "... defrag" t_is defer+madvise thp_word defrag
t_ok "... khugepaged's rate" t_is 4321 thp pages_to_scan
t_ok "... and its sleep" t_is 1234 thp scan_sleep_millisecs
t_ok "... and what it may add" t_is 3 thp max_ptes_none
t_until "a limit below what the guest needs is refused" 5 grep -q 'two.*unsafe' "$HOST_DIR/kvmtuned.log"
t_ok "... and the one it had stays" t_is 2048 hard two

virsh -q memtune one --live --hard-limit $((1200 * 1024))
echo always >$THP/enabled
t_until "a limit that somebody else sets is noticed" 20 grep -q 'one.*taken-over.*hard_limit' "$HOST_DIR/kvmtuned.log"
t_ok "... and left alone" t_is 1200 hard one
t_until "a THP mode that somebody else sets is left alone" 5 grep -q 'set-thp (taken-over)' "$HOST_DIR/kvmtuned.log"
t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_ok "what is somebody else's stays after the stop: the limit" t_is 1200 hard one
t_ok "... and the mode" t_is always thp_word enabled
t_ok "what was ours is given back: the soft limit" t_is none soft one
echo never >$THP/enabled
t_ok "... and the other files of THP" thp_as_set

t_daemon_start <<X
rules = ( { name = "now"; when = { schedule = "$(t_now_window)"; };
            set = { thp = { enabled = "always"; }; memtune = { hard_limit = "auto"; }; }; } );
X
t_until "a rule sets a limit: auto is what the guest and its QEMU may need" 15 t_between 300 400 hard two
t_until "and the mode" 5 t_is always thp_word enabled
t_daemon_stop KILL
t_ok "after SIGKILL it is still there" t_is always thp_word enabled
t_daemon_start <<<''
t_until "the next start gives back the mode" 15 t_is never thp_word enabled
t_until "... and the limit from before" 15 t_is 2048 hard two
t_daemon_stop
t_done
