#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM. kernel.numa_balancing: the kernel asks a capability of
# whoever writes it that the service has not; a unit of its own does the write. And
# the memory pressure of a guest's cgroup, which only cgroup v2 has.
# Time limit: 300 s
# Takes: 80 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

balancing_is() { [ "$(cat /proc/sys/kernel/numa_balancing)" = "$1" ]; }

thp=/sys/kernel/mm/transparent_hugepage
thp_is() { [ "$(cat $thp/enabled)" = "$1" ]; }
pools() { cat /sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages | paste -sd ' '; }
pools_are() { [ "$(pools)" = "$1" ]; }
# pressure GUEST: how much it waits for memory of the host, in percent, as kvmtuned reads it
pressure() { kvmtuned record | awk -v g="\"$1\"" '/name = / { on = index($0, g) } on && /memory_pressure_some/' | tr -dc '0-9.'; }
waits() { [[ $(pressure "$1") =~ [1-9] ]]; }
waits_less() { awk -v a="$(pressure "$1")" -v b="$(pressure "$2")" 'BEGIN { exit !(a != "" && a + 0 < b + 0) }'; }
scope_of() { sed -n 's,^0::\(.*\.scope\).*,/sys/fs/cgroup\1,p' "/proc/$(lab_guest_pid "$1")/cgroup"; }
given_back() { thp_is "$thp_before" && pools_are "$pools_before" && unpinned free; }

install_kvmtuned
thp_before=$(cat $thp/enabled) pools_before=$(pools)
lab_guest_start free mem=128 vcpus=1 cmd=load=0
cat >$config <<X
cpu: { policy = "shared"; };
kernel: { numa_balancing = "on"; };
thp: { enabled = "madvise"; };
hugepages: { mode = "fixed"; size = "2 MiB"; target = "32 MiB"; };
X
systemctl start kvmtuned
lab_check 'the switch is on as the policy says' lab_until 60 balancing_is 1
lab_check 'and the journal says so' lab_until 20 has_entry MESSAGE_ID=$action_done KVMTUNED_NEW=1
lab_check "from inside the service's sandbox: transparent huge pages" lab_until 30 thp_is 'always [madvise] never'
lab_check 'the pools of huge pages of each node' lab_until 60 pools_are '4 4 4 4'
lab_check 'a guest is put on a node' lab_until 60 is_on_one_node free
lab_check 'explain has for each guest the reasons of the journal' lab_until 60 all_explained
echo 'kernel: { numa_balancing = "off"; };' >$config
systemctl reload kvmtuned
lab_check 'a reload turns it off' lab_until 60 balancing_is 0
lab_check 'and gives the others back' lab_until 60 given_back
echo 'kernel: { numa_balancing = "on"; };' >$config
systemctl reload kvmtuned
lab_check 'another one on' lab_until 60 balancing_is 1
systemctl stop kvmtuned
lab_check 'a stop puts back what was before' balancing_is 0
lab_check 'no errors in the journal' no_errors

# The kernel lets whoever takes memory above memory.high wait.
lab_guest_start tight mem=192 vcpus=1 cmd="load=0 rand=100"
echo 40M >"$(scope_of tight)/memory.high"
lab_check 'a guest that waits for memory of the host is seen, by the pressure of its cgroup' lab_until 60 waits tight
lab_check 'and told from one beside it that does not' waits_less free tight
note "memory pressure: $(pressure tight) % and $(pressure free) %; $(head -n 1 "$(scope_of tight)/memory.pressure")"
for unit in kvmtuned.service kvmtuned-numa-balancing@1.service; do
        note "$unit: $(systemd-analyze security --no-pager $unit | grep -o 'Overall exposure.*')"
done
keep_journal
journalctl -b --no-pager -u 'kvmtuned-numa-balancing@*' >"$LAB_OUT/writer.txt"
lab_done
