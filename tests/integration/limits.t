#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Memory limits of a real guest in its cgroup, the host's transparent huge pages
# and a pool of huge pages, with a guest in it, in the kernel's own files. What the
# host had is put back at the end.
. "$(dirname "$0")/testlib.sh"
THP=/sys/kernel/mm/transparent_hugepage
[ -w $THP/enabled ] || { echo "1..0 # SKIP $THP is not writable"; exit 0; }
t_enter "$0"

thp_word() { sed 's/.*\[\(.*\)\].*/\1/' "$THP/$1"; }
thp() { cat "$THP/khugepaged/$1"; }
thp_before=$(thp_word enabled) defrag_before=$(thp_word defrag) pages_before=$(thp pages_to_scan)
sleep_before=$(thp scan_sleep_millisecs) none_before=$(thp max_ptes_none)
POOL=/sys/devices/system/node/node0/hugepages/hugepages-2048kB
pool_before=$(cat $POOL/nr_hugepages 2>/dev/null)
t_cleanup() {
    umount "$HOST_DIR/huge" 2>/dev/null
    [ -z "$pool_before" ] || echo "$pool_before" >$POOL/nr_hugepages
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

# --- a pool of huge pages; a file in it stands for a guest's memory ---
pool() { echo $(($(cat $POOL/nr_hugepages) - $(cat $POOL/surplus_hugepages))); }
pool_free() { cat $POOL/free_hugepages; }
mkdir -p "$HOST_DIR/huge"
if [ "$(cat /sys/devices/system/node/online)" != 0 ]; then
    t_skip "pools of huge pages" "counted for one node"
elif ! mount -t hugetlbfs -o pagesize=2M none "$HOST_DIR/huge" 2>/dev/null; then
    t_skip "pools of huge pages" "no hugetlbfs can be mounted"
else
    echo 3 >$POOL/nr_hugepages
    t_daemon_start <<<'hugepages: { mode = "fixed"; size = "2 MiB"; target = "40 MiB"; };'
    t_until "a pool gets its pages" 15 t_is 20 pool
    fallocate -l 16M "$HOST_DIR/huge/guest"
    t_ok "SIGTERM ends it with status 0" t_daemon_stop
    t_ok "the pool has its old number after the stop" t_is 3 pool
    t_ok "... and what is in use stays" t_is 8 cat $POOL/nr_hugepages
    t_daemon_start <<<'hugepages: { mode = "auto"; size = "2 MiB"; spare = "20 MiB"; dwell = "2 s"; };'
    t_until "auto keeps pages spare beside those in use" 15 t_is 10 pool_free
    rm "$HOST_DIR/huge/guest"
    t_until "a pool shrinks when it is idle" 15 t_is 10 pool
    echo 12 >$POOL/nr_hugepages
    t_until "somebody else's number is noticed" 15 grep -q 'set-hugepages (taken-over)' "$HOST_DIR/kvmtuned.log"
    t_stays "... and left alone" 3 t_is 12 pool
    t_daemon_stop
    t_ok "... also after the stop" t_is 12 pool

    # 64 pages are a guest's memory. libvirtd looks for hugetlbfs when it starts.
    in_pool() { host_guest_start huge mem=128 backing="<hugepages><page size='2' unit='MiB'/></hugepages>" 2>/dev/null; }
    host_libvirtd_kill && host_libvirtd_start || exit 1
    echo 0 >$POOL/nr_hugepages
    t_ok "a guest in huge pages does not start without a pool" t_not in_pool
    t_daemon_start <<'X'
hugepages: { mode = "auto"; size = "2 MiB"; dwell = "3 s"; };
rules = ( { name = "tight"; when = { metric = "host.memory.available"; below = "99.9 %"; };
            guests = { name = "huge"; }; set = { balloon = { mode = "auto"; reclaim = true; minimum = "50 %"; }; }; } );
X
    t_stays "nor does a pool grow for nobody" 2 t_is 0 pool
    "$KVMTUNED" advise --vcpus 1 --memory 128MiB --hugepages 2MiB >/dev/null
    t_until "when one is announced, its pages are ready" 20 t_is 64 pool_free
    t_ok "... so that it starts" in_pool
    pool_used() { echo $(($(cat $POOL/nr_hugepages) - $(pool_free))); }
    t_ok "... in them" t_is 64 pool_used
    t_ok "... and boots" host_wait_up 90 huge
    t_until "its balloon is left alone, with the reason" 20 t_log_has 'huge: no .*(hugepages)'
    t_ok "... and keeps its size" t_is 128 host_actual_mib huge
    t_until "the pool is as large as the guest" 20 t_is 64 pool
    host_guest_destroy huge
    t_until "... and shrinks when it has gone" 30 t_is 0 pool
    t_daemon_stop
fi
t_done
