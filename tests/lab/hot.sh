#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM. A guest turns hot on a full node: it is moved to a
# node with idle CPUs, with its memory, and gets more done.
#
# Guests of two vCPUs, nodes of two CPUs. "rest" idles on its node while b, c and
# d work on theirs, so "hot" is put beside it. Then b goes, rest and hot begin:
# four busy vCPUs on two CPUs, and an idle node.
# Time limit: 1200 s
# Takes: 400 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

policy() { # policy COOLDOWN
        cat >$config <<X
daemon: { interval = "5 s"; };
cpu: { policy = "shared"; };
numa: { policy = "auto"; cooldown = "$1"; };
X
}
counter() { echo "$(lab_guest_get "$1" t) $(($(lab_guest_get "$1" it | tr , +)))"; }
rate() { # rate GUEST SECONDS: iterations/s from now on, whole
        local before
        before=$(counter "$1")
        sleep "$2"
        echo "$before $(counter "$1")" | awk '{ printf "%d\n", ($4 - $2) / ($3 - $1) }'
}
works() { case ,$(lab_guest_get "$1" it), in *,0,* | ,,) return 1 ;; esac; }
rest_and_hot_part() { nodes_differ rest hot && is_on_one_node rest && is_on_one_node hot; }

install_kvmtuned
policy '10 min'
systemctl start kvmtuned
for g in rest b c d; do
        lab_guest_start $g mem=128 vcpus=2 period=0 cmd="load=2 wait=1 rand=40 every=2"
done
lab_wait_ready 180 rest b c d
lab_guest_go b c d
lab_check 'three guests work' lab_until 120 eval 'works b && works c && works d'
lab_check 'each on a node of its own' eval 'nodes_differ b c && nodes_differ b d && nodes_differ c d'
sleep 15 # for their load to be known
lab_guest_start hot mem=128 vcpus=2 period=0 cmd="load=2 wait=1 rand=40 every=2"
lab_check 'the next one is put beside the guest that idles' lab_until 60 eval '[ "$(one_node hot)" = "$(one_node rest)" ]'
lab_wait_ready 180 hot
idle_node=$(one_node b)
lab_guest_kill b

# --- hot ---------------------------------------------------------------------------
lab_guest_go hot rest
lab_check 'it turns hot, and so does its neighbour' lab_until 60 eval 'works hot && works rest'
sleep 5
rate hot 30 >"$LAB_OUT/hot.before" &
rate rest 30 >"$LAB_OUT/rest.before"
wait $!
lab_vcpus 5
lab_check 'within the cool-down it stays' eval '! rest_and_hot_part'
home=$(one_node hot)
begun=$since since=@$EPOCHREALTIME # what follows a start, memory touched before the pins, is not a move for load
policy '10 s'
systemctl reload kvmtuned
lab_check 'then one of the two is moved' lab_until 180 rest_and_hot_part
moved=hot
[ "$(one_node hot)" != "$home" ] || moved=rest
lab_check 'to the idle node' test "$(one_node $moved)" = "$idle_node"
lab_check 'its memory follows' lab_until 120 remote_below $moved 50
rate hot 30 >"$LAB_OUT/hot.after" &
rate rest 30 >"$LAB_OUT/rest.after"
wait $!
lab_vcpus 5
for g in hot rest; do
        before=$(cat "$LAB_OUT/$g.before") after=$(cat "$LAB_OUT/$g.after")
        note "$g: $before iterations/s before, $after after"
        lab_check "$g gets more done" test $((after * 10)) -gt $((before * 12))
done
lab_check 'the journal says why it was moved' has_entry MESSAGE_ID=$action_done KVMTUNED_ACTION=pin-vcpu KVMTUNED_GUEST=$moved
lab_check 'and whether it gained' lab_until 120 has_verdict $moved
note "verdict: $(verdict $moved | jq -r .MESSAGE | head -n 1)"
sleep 30
lab_check 'nobody is moved again' no_repeats MESSAGE_ID=$memory_moved
since=$begun
keep_journal
lab_void rest c d hot
lab_check 'explain has for each guest the reasons of the journal' lab_until 60 all_explained
lab_check 'no errors in the journal' no_errors
systemctl stop kvmtuned
lab_check 'a stop gives the CPUs back' unpinned rest c d hot
lab_done
