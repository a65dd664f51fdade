#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM. What only a real systemd can break: journald restarted and stopped, the system bus gone,
# the memory limit of the unit reached.
# Time limit: 600 s
# Takes: 60 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

ksm=/sys/kernel/mm/ksm
before=$(cat $ksm/run $ksm/pages_to_scan)
state=/var/lib/kvmtuned/state
speed_is() { [ "$(cat $ksm/pages_to_scan)" = "$1" ]; }
policy() { # policy PAGES
        cat >$config <<EOF
daemon: { interval = "2 s"; };
cpu: { policy = "shared"; };
ksm: { mode = "on"; pages_to_scan = $1; };
EOF
}
reload() { # reload PAGES: another policy, whose change is waited for
        policy "$1"
        systemctl reload kvmtuned
        lab_until 30 speed_is "$1"
}
said() { has_entry MESSAGE_ID=$action_done KVMTUNED_ACTION=set-ksm KVMTUNED_NEW="$1"; }
pid() { systemctl show -P MainPID kvmtuned; }
restarts() { systemctl show -P NRestarts kvmtuned; }
property() { busctl get-property org.kvmtuned1 /org/kvmtuned1 org.kvmtuned1.Manager State >/dev/null 2>&1; }

install_kvmtuned
lab_guest_start g1 mem=128 vcpus=1 cmd=load=0
policy 301
systemctl start kvmtuned
lab_check 'it tunes' lab_until 60 speed_is 301
lab_check 'a guest is pinned' lab_until 60 is_on_one_node g1
first=$(pid)

# --- journald ------------------------------------------------------------------------------
systemctl restart systemd-journald
lab_check 'journald restarted: the daemon goes on' reload 302
lab_check 'and its entry arrives' lab_until 30 said 302
systemctl kill -s STOP systemd-journald
lab_check 'journald does not answer: the daemon goes on' reload 303
systemctl kill -s CONT systemd-journald
lab_check 'its entry arrives when journald does again' lab_until 30 said 303
systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald 2>/dev/null
lab_check 'no journald at all: the daemon goes on' reload 304
systemctl start systemd-journald.socket systemd-journald-dev-log.socket systemd-journald
lab_check 'journald is back' lab_until 30 systemctl -q is-active systemd-journald
lab_check 'the daemon is told of something' reload 305
lab_check 'and the entry is in the journal' lab_until 30 said 305

# --- the system bus ---------------------------------------------------------------------------
lab_check 'it answers on the bus' lab_until 30 property
kill -KILL "$(systemctl show -P MainPID dbus)"
lab_check 'the bus is killed: the daemon goes on' reload 306
lab_check 'and is back on the bus' lab_until 60 property
lab_check 'all that in one process' test "$(pid)" = "$first"

# --- memory -------------------------------------------------------------------------------------
cp $state /root/state.before
owned() { sed -n '/^own /p' "$1" | sort; }
systemctl set-property --runtime kvmtuned.service MemoryMax=1M
lab_check 'more memory than its limit: it is killed' lab_until 120 eval '[ "$(pid)" != "$first" ]'
systemctl set-property --runtime kvmtuned.service MemoryMax=infinity
lab_check 'by the kernel' eval 'journalctl -b --since="$since" --no-pager -u kvmtuned.service | grep -qi oom'
lab_check 'and started again' lab_until 60 systemctl -q is-active kvmtuned
lab_check 'the record is what it was' test "$(owned $state)" = "$(owned /root/state.before)"
lab_check 'and it tunes' reload 307
lab_check 'explain has for each guest the reasons of the journal' lab_until 60 all_explained
note "it was started again $(restarts) times"
systemctl stop kvmtuned
lab_check 'a stop puts back what the killed one had changed' unpinned g1
lab_check 'KSM, too' test "$(cat $ksm/run $ksm/pages_to_scan)" = "$before"
lab_check 'nothing is on record' test ! -e $state
lab_check 'no errors of its own in the journal' eval '! entries _SYSTEMD_UNIT=kvmtuned.service -p err | grep -q .'
keep_journal
lab_void g1
lab_done
