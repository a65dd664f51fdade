#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM: guests with placement='auto' on four nodes, with the
# numad front put where libvirt looks as kvmtuned-numad(8) says. What libvirt did
# with the answer is read from /proc.
# Time limit: 900 s
# Takes: 300 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

advised() { sed -n "s/.*<numad nodeset='\([^']*\)'.*/\1/p" "/run/libvirt/qemu/$1.xml"; }
is_where_advised() { # is_where_advised GUEST: one node, its vCPUs on that node's CPUs, its memory bound to it
        local node t
        node=$(advised "$1")
        [[ $node =~ ^[0-9]+$ ]] && [ "$(mems "$1")" = "$node" ] || return 1
        for t in $(tids "$1"); do [ "$(allowed "$t")" = "$(cpus_of_node "$node")" ] || return 1; done
}
on_different_nodes() { [ "$(for g in "$@"; do advised "$g"; done | sort -u | wc -l)" = $# ]; }
auto_guest() { # auto_guest NAME VCPUS MIB: its XML, with placement='auto' for CPUs and memory
        : >"$LAB_CON/$1.log"
        lab_guest_xml "$1" vcpus="$2" mem="$3" placement=auto cmd="load=1 rand=16" \
                xml="<numatune><memory mode='strict' placement='auto'/></numatune>" >"$LAB_CON/$1.xml"
}
create() { virsh -q create "$LAB_CON/$1.xml" >"$LAB_CON/$1.virsh" 2>&1; }

install_kvmtuned
put_adviser /usr/libexec/kvmtuned/numad
lab_check 'the front answers' sh -c 'numad -w 2:200 | grep -qx "[0-9]"'
lab_say "AppArmor: $(grep libvirtd /sys/kernel/security/apparmor/profiles 2>&1 | tr '\n' ' ')"
s=$EPOCHREALTIME
numad -w 2:200 >/dev/null
lab_say "an answer takes $(awk -v a="$s" -v b="$EPOCHREALTIME" 'BEGIN { print (b - a) * 1000 }') ms here"
lab_check 'advice counts: the next question gets another node' test "$(numad -w 2:200)" != "$(numad -w 2:200)"
rm -f /run/kvmtuned/reservations

# --- without the daemon: four guests at once, as many as there are nodes --------------
for g in q1 q2 q3 q4; do auto_guest $g 2 500; done
for g in q1 q2 q3 q4; do create $g & done
wait
for g in q1 q2 q3 q4; do
        lab_check "$g starts on the one node that was advised: CPUs and memory by /proc" is_where_advised $g
done
lab_check 'guests that start at the same time get a node each' on_different_nodes q1 q2 q3 q4
lab_wait_up 240 q1 q2 q3 q4
for g in q1 q2 q3 q4; do
        elsewhere=$(foreign_mib $g "$(advised $g)")
        lab_say "$g: advised $(advised $g), $elsewhere MiB elsewhere"
        lab_check "$g has no memory elsewhere" test "$elsewhere" -lt 8
done

# --- with the daemon: it agrees with its own advice -----------------------------------
cat >$config <<X
daemon: { interval = "5 s"; };
cpu: { policy = "shared"; };
numa: { policy = "auto"; };
X
systemctl start kvmtuned
lab_check 'the service runs' systemctl -q is-active kvmtuned
sleep 40
for g in q1 q2 q3 q4; do lab_check "the daemon leaves $g where it was advised" is_where_advised $g; done
lab_guest_kill q3
auto_guest next 2 500
create next
lab_check 'a guest that starts beside the daemon gets the node that became free' is_where_advised next
lab_check '... which is that of the one that went' on_different_nodes q1 q2 q4 next
sleep 20
lab_check '... and stays there' is_where_advised next
lab_check 'no memory was moved' test "$(count_entries MESSAGE_ID=$memory_moved)" = 0
lab_check 'explain has for each guest the reasons of the journal' lab_until 60 all_explained
lab_check 'no errors in the journal' no_errors
lab_check 'no AppArmor denial for the front' sh -c '! journalctl -b -k | grep -E "apparmor=.DENIED.*(numad|kvmtuned)"'
keep_journal
lab_void q1 q2 q4 next
lab_done
