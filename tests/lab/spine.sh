#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM: four NUMA nodes, systemd, journald, cgroup v2, KVM
# guests. Installs kvmtuned as an administrator would, and looks at what the
# kernel, QEMU and the journal hold.
# Time limit: 1200 s
# Takes: 240 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

ksm=/sys/kernel/mm/ksm
actual_mib() { virsh -q dommemstat "$1" | awk '$1 == "actual" { print int($2 / 1024) }'; }
actual_is() { [ "$(actual_mib "$1")" = "$2" ]; }

install_kvmtuned
ksm_before=$(cat $ksm/run $ksm/pages_to_scan $ksm/sleep_millisecs)
ksm_runs() { [ "$(cat $ksm/run)" = 1 ]; }

# --- as shipped: running, and nothing is changed ---------------------------------
systemctl start kvmtuned
lab_check 'the service starts and is ready' systemctl -q is-active kvmtuned
lab_guest_start quiet mem=128 vcpus=1 cmd=load=0
lab_wait_up 120 quiet
lab_check 'the shipped policy changes nothing' unpinned quiet
lab_check 'and the journal has no change' eval '! entries | grep -q KVMTUNED_ACTION'
lab_guest_kill quiet
systemctl stop kvmtuned

# --- a guest whose memory is on two nodes, before the daemon ----------------------
# It grows on node 3, then on node 1, as the scheduler might have had it.
lab_guest_start split mem=448 vcpus=2 cmd="load=1 rand=230 grow=100/20/1"
confine split "$(cpus_of_node 3)"
lab_wait_ready 180 split
confine split "$(cpus_of_node 1)"
lab_wait_for 180 GUEST-GROWN split
confine split "$(all_cpus)"
lab_say "before: $(lab_mem)"

cat >$config <<X
daemon: { interval = "5 s"; };
cpu: { policy = "shared"; };
numa: { policy = "auto"; };
rules = ( { name = "always"; when = { schedule = "00:00-24:00"; }; set = { ksm = { mode = "on"; pages_to_scan = 321; }; }; },
          { name = "small"; when = { metric = "host.memory.available"; below = "99 %"; };
            guests = { name = "b*"; }; set = { balloon = { mode = "target"; target = "75 %"; minimum = "50 %"; step = "50 %"; }; }; } );
X
lab_check 'the policy is valid' kvmtuned --check-config
systemctl start kvmtuned
lab_check 'a guest that runs already is put on one node' lab_until 60 is_on_one_node split
lab_check 'the rest of its memory follows' lab_until 180 remote_below split 50
lab_say "after: $(lab_mem)"
lab_check 'and the journal says how much was moved' lab_until 60 has_entry MESSAGE_ID=$memory_moved KVMTUNED_GUEST=split
lab_check 'and whether that gained' lab_until 90 has_entry MESSAGE_ID=$move_gained KVMTUNED_GUEST=split
note "verdict: $(verdict split | jq -r .MESSAGE | head -n 1)"

# --- guests that start ------------------------------------------------------------
lab_guest_start a1 mem=160 vcpus=2 cmd="load=2 rand=40"
lab_guest_start b1 mem=256 vcpus=2 cmd="load=0 rand=16"
lab_guest_start user mem=128 vcpus=1 pin=0:5 cmd=load=0
lab_wait_ready 180 a1 b1 user
lab_check 'a new guest runs on one node' lab_until 30 is_on_one_node a1
lab_check 'the next one on one node too' lab_until 30 is_on_one_node b1
lab_check 'and on another one' nodes_differ a1 b1
lab_check 'their memory is where they run' lab_until 60 remote_below a1 50
lab_check 'a pin of the administrator is left alone' test "$(allowed "$(tids user)")" = 5
lab_check 'the journal has the pin with guest, old and new value' \
        has_entry MESSAGE_ID=$action_done KVMTUNED_ACTION=pin-vcpu KVMTUNED_GUEST=a1
lab_check 'and why the user pin was not touched' has_entry KVMTUNED_SKIP=user-pin KVMTUNED_GUEST=user
lab_check 'kvmtunectl lists the guests, by the bus' eval 'kvmtunectl --no-pager guests | grep -qw b1'
lab_check 'and says why one is left alone' eval 'kvmtunectl --no-pager explain user | grep -q pinned'

# --- KSM and balloon, from inside the sandbox --------------------------------------
lab_check 'KSM runs as the schedule says' lab_until 30 ksm_runs
lab_check 'at the speed the schedule says' test "$(cat $ksm/pages_to_scan)" = 321
lab_check 'the balloon is at its target' lab_until 90 actual_is b1 192

# --- reload, faulty and good -------------------------------------------------------
cp $config /root/good.conf
echo 'cpu: { polcy = "none"; };' >$config
systemctl reload kvmtuned
lab_check 'a faulty policy is refused with its line' lab_until 20 has_entry MESSAGE_ID=7aa671dc0af3430d90db4465ebea283b
lab_check 'the service goes on' systemctl -q is-active kvmtuned
lab_check 'with the old settings' test "$(cat $ksm/run)" = 1
cp /root/good.conf $config
systemctl reload kvmtuned
lab_check 'explain has for each guest the reasons of the journal' lab_until 60 all_explained
lab_check 'memory pressure of the host wakes the daemon' eval '! entries | grep -q "no notice of memory pressure"'

read -r own copying < <(daemon_cpu)
note "CPU of the daemon: $own/100 s, of the kernel's copying of pages in its name: $copying/100 s"
note "$(systemd-analyze security --no-pager kvmtuned.service | grep -o 'Overall exposure.*')"

# --- everything back -----------------------------------------------------------------
systemctl stop kvmtuned
lab_check 'a stop gives the CPUs back' unpinned a1
lab_check 'KSM is as before' test "$(cat $ksm/run $ksm/pages_to_scan $ksm/sleep_millisecs)" = "$ksm_before"
lab_check 'the balloon is given back' lab_until 60 actual_is b1 256
lab_check 'no errors in the journal' no_errors 7aa671dc0af3430d90db4465ebea283b
keep_journal
lab_void split a1 b1 user
lab_done
