#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM: pools of pages of 1 GiB, which the kernel has to make of
# memory in one piece. They grow on the node that has it, for guests that are expected
# and before they are; the other node has none, and the journal says so; they shrink
# when nobody uses them, and are given back.
#
# For two nodes, the second one large: the lower GiB of the first is the kernel's, and at
# the end of each node is the kernel's map of its pages.
#
#   tests/lab/lab-test --nodes 2 --cpus-per-node 1 --mem-per-node 2048,3072 gigantic
#
# Time limit: 900 s
# Takes: 240 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

mount_point=/var/lib/hugetlbfs-1G
dir_of() { echo "/sys/devices/system/node/node$1/hugepages/hugepages-1048576kB"; }
pool() { cat "$(dir_of "$1")/nr_hugepages"; }
pool_is() { [ "$(pool "$1")" = "$2" ]; }
in_use() { echo $(($(pool "$1") - $(cat "$(dir_of "$1")/free_hugepages"))); }
void() {
        echo "lab: void, because $*"
        exit 98
}
fails() { ! "$@" 2>/dev/null; }
# can_have NODE: how many the kernel makes there when asked without kvmtuned
can_have() {
        lab_hugepages "$1" 1048576 8
        pool "$1"
        lab_hugepages "$1" 1048576 0
}
# The journal has the first reason for which pools do not grow, plan that of each pool now.
journal_says() { entries KVMTUNED_ACTION=set-hugepages "$1" | jq -r .KVMTUNED_REASON | grep -qE "$2"; }
plan_says() { kvmtunectl plan | grep 'set-hugepages.*no-capacity' | grep -qE "$1"; }
# has_or_not NODE PAGES REASON
has_or_not() { pool_is "$1" "$2" || plan_says "on node $1: $3"; }
policy() { # policy SPARE
        cat >$config <<Y
daemon: { interval = "5 s"; };
host: { reserved_memory = "64 MiB"; };
cpu: { policy = "none"; };
hugepages: { mode = "auto"; size = "1 GiB"; spare = "$1"; maximum = "100 %"; dwell = "20 s"; };
Y
        systemctl "${2:-reload}" kvmtuned
}
put_away() {
        lab_guest_kill big
        lab_until 30 umount $mount_point && systemctl restart libvirtd
}

# pdpe1gb is the CPU's word for pages of 1 GiB
[ -d "$(dir_of 1)" ] || void 'the CPU or the kernel has no pages of 1 GiB'
[ "$(cat /sys/devices/system/node/online)" = 0-1 ] || void 'this is for two nodes: see the head of the scene'
install_kvmtuned
sync
echo 3 >/proc/sys/vm/drop_caches
can0=$(can_have 0) can1=$(can_have 1)
note "the kernel can make $can0 pages of 1 GiB on node 0 and $can1 on node 1"
[ "$can1" -ge 1 ] || void 'the kernel has no GiB in one piece on node 1'
# libvirt looks for mounts when it starts.
mkdir -p $mount_point
mount -t hugetlbfs -o pagesize=1G none $mount_point
trap put_away EXIT
systemctl restart libvirtd
big_guest() { lab_guest_start big mem=1024 vcpus=1 numa=strict:1 hugepages=1048576 cmd=load=0; }
lab_check 'without a page of 1 GiB the guest does not start' fails big_guest

# --- grown for a guest that is expected, where there is memory for it --------------------
policy '1 GiB' start
lab_check 'the pool of node 1 gets the page that is to be spare' lab_until 90 pool_is 1 1
lab_check 'the journal says from what to what' lab_until 20 has_entry MESSAGE_ID=$action_done \
        KVMTUNED_ACTION=set-hugepages KVMTUNED_OLD=0 KVMTUNED_NEW=1
lab_check 'that of node 0 gets its own, or the plan says why not' lab_until 90 \
        has_or_not 0 1 '(the kernel had 0 of 1|1 are wanted and there is room for 0)'
[ "$can0" != 0 ] || lab_check 'and so does the journal' journal_says KVMTUNED_SKIP=no-capacity 'on node 0: '
lab_check 'the guest starts' big_guest
lab_check 'and boots' lab_wait_up 240 big
lab_check 'in the page of node 1' test "$(in_use 1)" = 1
lab_check 'the next one is made, or the plan says why not' lab_until 90 \
        has_or_not 1 2 '(the kernel had 1 of 2|2 are wanted and there is room for 0)'
lab_check 'explain has the reasons of the journal' lab_until 60 all_explained
note "with the guest: $(pool 0) pages on node 0, $(pool 1) on node 1"

# --- what cannot be had -----------------------------------------------------------------------
policy '8 GiB'
lab_check 'of nine on node 1 the plan says for how many there is room, or how many the kernel had' \
        lab_until 60 plan_says 'on node 1: (9 are wanted and there is room for [0-9] more|the kernel had [1-8] of)'
kvmtunectl plan | grep set-hugepages
lab_check 'the journal says so, too' lab_until 20 journal_says KVMTUNED_SKIP=no-capacity 'on node [01]: '
lab_check 'the guest keeps its page' test "$(in_use 1)" = 1

# --- shrunk when nobody wants them ------------------------------------------------------------
policy '0 B'
lab_check 'without spare pages node 1 keeps the one in use' lab_until 90 pool_is 1 1
sleep 30 # longer than the dwell
lab_check 'for as long as it is in use' pool_is 1 1
lab_void big
lab_guest_kill big
lab_check 'without the guest it goes, too' lab_until 90 pool_is 1 0
lab_check 'node 0 has none either' pool_is 0 0

# --- grown for guests that were advised, before they are there --------------------------------
# One for each node: the second question gets the other one.
for _ in 1 2; do kvmtuned advise --vcpus 1 --memory 1GiB --hugepages 1GiB --explain; done
lab_check 'the pool of node 1 grows for a guest that was advised there' lab_until 50 pool_is 1 1
lab_check 'the journal says that it is for that' lab_until 20 journal_says MESSAGE_ID=$action_done ' 1 advised'
lab_check 'and shrinks when the guest does not come' lab_until 150 pool_is 1 0

# --- given back -------------------------------------------------------------------------------
policy '1 GiB'
lab_check 'grown again' lab_until 90 pool_is 1 1
systemctl stop kvmtuned
lab_check 'a stop gives back the memory' test "$(pool 0) $(pool 1)" = '0 0'
lab_check 'no errors in the journal' no_errors
entries KVMTUNED_ACTION=set-hugepages | jq -r '"\(.__REALTIME_TIMESTAMP | tonumber / 1e6 | floor) \(.MESSAGE)"' \
        >"$LAB_OUT/pools.txt"
keep_journal
lab_done
