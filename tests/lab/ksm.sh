#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM. Guests with equal pages on a host whose kernel balances
# between nodes: does ksm.mode = "auto" find out that nothing is merged, and why?
# Linux 6.1 hides the pages that balancing has unmapped from KSM, also after it was
# switched off; moving them shows them again, as the administrator does here who
# was told so. Then KSM has to be still at it.
#
#   TUNER=kvmtuned   or ksmtuned: the same scene for comparison, without checks
#   BALANCING=1      kernel.numa_balancing at the start
# Time limit: 1800 s
# Takes: 800 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

ksm=/sys/kernel/mm/ksm
guests=(e1 e2 e3)
fill=110                                               # MiB, the same in each
equal=$((fill * 256 * (${#guests[@]} - 1) * 9 / 10))   # pages: 90 % of what is there once too often
tuner=${TUNER:-kvmtuned} began=0

knobs() { cat $ksm/run $ksm/pages_to_scan $ksm/sleep_millisecs $ksm/merge_across_nodes; }
ksmd_seconds() { lab_cpu_seconds ksmd; }
saved() { echo $(($(cat $ksm/pages_sharing) / 256)); } # MiB
merged() { [ "$(cat $ksm/pages_sharing)" -ge $equal ]; }
balancing_is_off() { [ $(($(cat /proc/sys/kernel/numa_balancing) & 1)) = 0 ]; }
is_said() { entries KVMTUNED_ACTION=set-ksm KVMTUNED_SKIP=stuck | jq -r .MESSAGE | grep -q "$1"; }
tell() { note "$tuner: $((SECONDS - began)) s: $(saved) MiB saved, $(cat $ksm/full_scans) scans, ksmd $(ksmd_seconds) s of CPU"; }
follow() { # follow SECONDS COMMAND...: until it succeeds, with a line each minute
        local end=$((SECONDS + $1)) next=$SECONDS
        shift
        until "$@"; do
                [ $SECONDS -lt $end ] || return 1
                [ $SECONDS -lt $next ] || { tell && next=$((next + 60)); }
                sleep 2
        done
        tell
}

install_kvmtuned
echo "${BALANCING:-1}" >/proc/sys/kernel/numa_balancing
for g in "${guests[@]}"; do lab_guest_start "$g" mem=192 vcpus=1 period=0 cmd="load=0 fill=$fill"; done
lab_check 'the guests have filled their memory' lab_wait_ready 300 "${guests[@]}"
before=$(knobs) began=$SECONDS

if [ "$tuner" = ksmtuned ]; then
        # It would wait for 80 % of the memory to be used.
        printf 'KSM_THRES_COEF=90\nKSM_THRES_CONST=2048\n' >>/etc/ksmtuned.conf
        systemctl start ksmtuned
        follow 900 merged
        lab_collect
        lab_void "${guests[@]}"
        exit 0
fi

cat >$config <<X
daemon: { interval = "5 s"; };
ksm: { mode = "auto"; start = "90 %"; stop = "95 %"; };
kernel: { numa_balancing = "auto"; };
X
systemctl start kvmtuned
lab_check 'KSM runs' lab_until 60 eval '[ "$(cat $ksm/run)" = 1 ]'
if [ "${BALANCING:-1}" = 1 ]; then
        lab_check 'the journal says that the scanner gets nowhere, and what of' follow 300 is_said 'numa_balancing is on, and is switched off'
        lab_check 'what keeps it from merging is switched off' follow 700 balancing_is_off
        lab_check 'and the journal says why' has_entry MESSAGE_ID=$action_done KVMTUNED_ACTION=set-kernel KVMTUNED_NEW=0
        lab_check 'and then what is left to do' follow 300 is_said 'until its memory is moved'
        for g in "${guests[@]}"; do migratepages "$(lab_guest_pid "$g")" 0-3 1; done
fi
lab_check '90 % of the equal pages are merged' follow 400 merged
read -r own _ < <(daemon_cpu)
note "CPU of the daemon: $own/100 s"
lab_check 'explain has for each guest the reasons of the journal' lab_until 60 all_explained
keep_journal
lab_void "${guests[@]}"
systemctl stop kvmtuned
lab_check 'a stop gives back all switches of KSM' test "$(knobs)" = "$before"
lab_check 'and the one of balancing' test "$(cat /proc/sys/kernel/numa_balancing)" = "${BALANCING:-1}"
lab_check 'and keeps what is merged' merged
lab_check 'no errors in the journal' no_errors
lab_done
