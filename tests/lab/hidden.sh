#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM, on Linux 6.1: a guest has its memory on two nodes, and
# kernel.numa_balancing has unmapped most of it, which move_pages(2) of this kernel does
# not see then (daemon/mover.c). First a service that may not read such pages, so that there
# is something to see; then the one that is shipped. And one more guest, whose memory another
# process maps, too, as virtiofsd and vhost-user devices do.
# Time limit: 1200 s
# Takes: 360 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

dropin=/run/systemd/system/kvmtuned.service.d/no-readv.conf
result() { entries MESSAGE_ID=$memory_moved KVMTUNED_GUEST=g | jq -r .KVMTUNED_RESULT | head -n 1; } # of its first move
left_behind() { # MiB that could not be moved, by the journal
        result | sed -n 's/.*moved, \([0-9.]*\) \?\(.*\) could not be moved.*/\1 \2/p' |
                awk '{ print int($2 == "GiB" ? $1 * 1024 : $2 == "MiB" ? $1 : 0) }'
}
map_along() { # map_along GUEST MIB: maps all its memory in a process of its own; sets mapper
        local fd
        for fd in /proc/"$(lab_guest_pid "$1")"/fd/*; do
                [[ $(readlink "$fd") != /memfd:* ]] || break
        done
        # mmap(2) with PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE
        perl -e 'open(F, "+<", $ARGV[0]) && syscall(9, 0, $ARGV[1] << 20, 3, 0x8001, fileno(F), 0) > 0 && sleep 900' \
                "$fd" "$2" &
        mapper=$!
}
mapped_twice() { grep -q ' file=/memfd:.* mapmax=2 ' "/proc/$(lab_guest_pid "$1")/numa_maps"; }
was_moved() { [ -n "$(result)" ]; }

install_kvmtuned
mkdir -p "${dropin%/*}"
printf '[Service]\nSystemCallFilter=~process_vm_readv\n' >$dropin
systemctl daemon-reload
lab_guest_start g mem=320 vcpus=2 cmd="load=1 rand=130 grow=120/20/1"
confine g "$(cpus_of_node 3)"
lab_wait_ready 180 g
confine g "$(cpus_of_node 1)"
lab_wait_for 180 GUEST-GROWN g
confine g "$(all_cpus)"
lab_say "before: $(lab_mem)"
echo 1 >/proc/sys/kernel/numa_balancing
sleep 60 # its memory is unmapped as the guest uses CPU

cat >$config <<X
daemon: { interval = "5 s"; };
cpu: { policy = "shared"; };
numa: { policy = "auto"; };
X
systemctl start kvmtuned
lab_check 'without process_vm_readv: its memory is moved' lab_until 180 was_moved
note "without process_vm_readv: $(result); $(remote g) per mille remote"
lab_check 'not all of it' test "$(left_behind)" -ge 16
lab_check 'some of it is remote still' eval '! remote_below g 50'
systemctl stop kvmtuned

rm $dropin
systemctl daemon-reload
since=@$EPOCHREALTIME
systemctl start kvmtuned
lab_check 'with it: the rest is moved' lab_until 180 was_moved
note "with process_vm_readv: $(result); $(remote g) per mille remote"
lab_check 'all of it' test "$(left_behind)" -lt 4
lab_check 'nothing of it is remote' remote_below g 20
lab_say "after: $(lab_mem)"

# --- memory that another process maps, too ------------------------------------------------
systemctl stop kvmtuned
echo 0 >/proc/sys/kernel/numa_balancing
lab_guest_start s mem=192 vcpus=2 backing="<source type='memfd'/><access mode='shared'/>" cmd="load=1 rand=80"
confine s "$(cpus_of_node 2)"
lab_wait_ready 180 s
confine s "$(all_cpus)"
map_along s 192
lab_check 'memory that another process maps, too' lab_until 30 mapped_twice s
sed -i "1i host: { reserved_cpus = \"$(cpus_of_node 2)\"; };" $config
since=@$EPOCHREALTIME
systemctl start kvmtuned
lab_check '... follows its guest' lab_until 240 has_entry MESSAGE_ID=$memory_moved KVMTUNED_GUEST=s
note "mapped by two: $(entries MESSAGE_ID=$memory_moved KVMTUNED_GUEST=s | jq -r .KVMTUNED_RESULT | head -n 1)"
lab_check '... all of it' remote_below s 20
lab_check '... and both map it still' mapped_twice s
kill "$mapper"
lab_check 'explain has for each guest the reasons of the journal' lab_until 60 all_explained
lab_check 'no errors in the journal' no_errors
keep_journal
lab_void g s
lab_done
