#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM. Other managers under a real systemd: the real ksmtuned and numad, and a service whose
# program is called momd. What the unit's Conflicts= does to them, what takeover does, and what is left to whom.
# Time limit: 600 s
# Takes: 150 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

ksm=/sys/kernel/mm/ksm
state=/var/lib/kvmtuned/state
runs() { # runs UNIT...: all of them
        local u
        for u in "$@"; do systemctl -q is-active "$u" || return; done
}
rest() { # rest UNIT...: none of them
        local u
        for u in "$@"; do ! systemctl -q is-active "$u" || return; done
}
pid() { systemctl show -P MainPID kvmtuned; }
ours() { [ "$(cat $ksm/pages_to_scan)" = 444 ]; }
policy() { # policy COMPETITORS
        cat >$config <<EOF
daemon: { interval = "2 s"; competitors = "$1"; };
cpu: { policy = "shared"; };
ksm: { mode = "on"; pages_to_scan = 444; };
EOF
}

install_kvmtuned
# Its own name for the process, as MOM's has.
cp "$(command -v sleep)" /usr/local/bin/momd
printf '[Service]\nExecStart=/usr/local/bin/momd infinity\n' >/etc/systemd/system/mom-vdsm.service
# It writes what it thinks right when it starts and then once a minute.
echo 'KSM_MONITOR_INTERVAL=3600' >>/etc/ksmtuned.conf
systemctl daemon-reload
lab_guest_start g1 mem=128 vcpus=1 cmd=load=0

# --- the unit as it is shipped -----------------------------------------------------------
policy report
systemctl start ksmtuned numad
systemctl start kvmtuned
lab_check 'the start of the service stops ksmtuned and numad' rest ksmtuned numad
lab_check 'it runs itself' runs kvmtuned
lab_check 'and does not take them for others that are at work' eval '! has_entry KVMTUNED_COMPETITOR=ksmtuned'
lab_check 'it tunes' lab_until 30 ours
systemctl start ksmtuned
lab_check 'a start of ksmtuned stops the service' lab_until 30 rest kvmtuned
lab_check 'which puts back what it changed' eval '! ours'
systemctl stop ksmtuned

# --- takeover ----------------------------------------------------------------------------
policy takeover
systemctl start mom-vdsm kvmtuned
lab_check 'takeover: the service of momd is stopped' lab_until 60 rest mom-vdsm
lab_check 'the journal says so' lab_until 10 has_entry MESSAGE_ID=$takeover KVMTUNED_COMPETITOR=momd
lab_check 'it is on record' grep -qx 'stopped mom-vdsm.service' $state
first=$(pid)
kill -KILL "$first"
lab_check 'after a crash it runs again' lab_until 60 eval 'runs kvmtuned && [ "$(pid)" != "$first" ]'
lab_check 'and knows still what it stopped' grep -qx 'stopped mom-vdsm.service' $state
lab_check 'restore by the bus succeeds' kvmtunectl restore
lab_check 'and starts momd again' lab_until 30 runs mom-vdsm
lab_check 'the service goes on' runs kvmtuned
lab_check 'kvmtunectl resume' kvmtunectl resume
systemctl stop kvmtuned
systemctl stop mom-vdsm
systemctl start mom-vdsm kvmtuned
lab_check 'a new start takes over again' lab_until 60 rest mom-vdsm
systemctl stop kvmtuned
lab_check 'a stop starts momd again, too' lab_until 30 runs mom-vdsm
lab_check 'nothing is on record' test ! -e $state
systemctl stop mom-vdsm

# --- from a copy of the unit without Conflicts=, as kvmtuned.conf(5) says ---------------------
sed '/^Conflicts=/d' /usr/lib/systemd/system/kvmtuned.service >/etc/systemd/system/kvmtuned.service
systemctl daemon-reload
systemctl start ksmtuned numad kvmtuned
lab_check 'takeover: the real ksmtuned and numad are stopped' lab_until 60 rest ksmtuned numad
lab_check 'it tunes' lab_until 30 ours
lab_check 'a guest is pinned' lab_until 30 is_on_one_node g1
systemctl restart kvmtuned
lab_check 'a restart stops them again' lab_until 60 rest ksmtuned numad
lab_check 'and runs' runs kvmtuned
systemctl stop kvmtuned
lab_check 'a stop starts both' lab_until 30 runs ksmtuned numad
lab_check 'the pin is given back' unpinned g1

policy yield
systemctl start kvmtuned
lab_check 'yield: placement is left to numad' lab_until 60 has_entry KVMTUNED_SKIP=yielded KVMTUNED_GUEST=g1
lab_check 'and KSM to ksmtuned' lab_until 30 has_entry KVMTUNED_SKIP=yielded KVMTUNED_ACTION=set-ksm
lab_check 'both run' runs ksmtuned numad kvmtuned
lab_check 'KSM is not touched' eval '! ours'
lab_check 'nor the guest' unpinned g1
lab_check 'explain has the reasons of the journal' lab_until 30 all_explained
systemctl stop numad
lab_check 'numad ends: the guest is pinned' lab_until 60 is_on_one_node g1
lab_check 'KSM is left to ksmtuned still' eval '! ours'
systemctl stop ksmtuned
lab_check 'ksmtuned ends: KSM is as the policy says' lab_until 60 ours
systemctl start numad ksmtuned
lab_check 'both are back: what was changed goes back' lab_until 60 eval 'unpinned g1 && ! ours'
systemctl stop kvmtuned
lab_check 'no errors in the journal' no_errors
keep_journal
lab_void g1
systemctl stop numad ksmtuned
rm -f /etc/systemd/system/{kvmtuned,mom-vdsm}.service
systemctl daemon-reload
lab_done
