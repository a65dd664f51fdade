#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM. kernel.numa_balancing: the kernel asks a capability of
# whoever writes it that the service has not; a unit of its own does the write.
# Time limit: 300 s
# Takes: 60 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

balancing_is() { [ "$(cat /proc/sys/kernel/numa_balancing)" = "$1" ]; }

thp=/sys/kernel/mm/transparent_hugepage
thp_is() { [ "$(cat $thp/enabled)" = "$1" ]; }
pools() { cat /sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages | paste -sd ' '; }
pools_are() { [ "$(pools)" = "$1" ]; }
given_back() { thp_is "$thp_before" && pools_are "$pools_before"; }

install_kvmtuned
thp_before=$(cat $thp/enabled) pools_before=$(pools)
cat >$config <<X
kernel: { numa_balancing = "on"; };
thp: { enabled = "madvise"; };
hugepages: { mode = "fixed"; size = "2 MiB"; target = "32 MiB"; };
X
systemctl start kvmtuned
lab_check 'the switch is on as the policy says' lab_until 60 balancing_is 1
lab_check 'and the journal says so' lab_until 20 has_entry MESSAGE_ID=$action_done KVMTUNED_NEW=1
lab_check "from inside the service's sandbox: transparent huge pages" lab_until 30 thp_is 'always [madvise] never'
lab_check 'the pools of huge pages of each node' lab_until 60 pools_are '4 4 4 4'
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
for unit in kvmtuned.service kvmtuned-numa-balancing@1.service; do
        note "$unit: $(systemd-analyze security --no-pager $unit | grep -o 'Overall exposure.*')"
done
keep_journal
journalctl -b --no-pager -u 'kvmtuned-numa-balancing@*' >"$LAB_OUT/writer.txt"
lab_done
