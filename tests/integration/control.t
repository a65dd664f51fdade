#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What kvmtunectl does to a running daemon, seen on a real guest's threads: set, pause, resume, restore.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2
command -v dbus-daemon >/dev/null && command -v busctl >/dev/null || { echo "1..0 # SKIP dbus-daemon or busctl is not installed (make deps)"; exit 0; }

CTL=$(realpath -m "${KVMTUNECTL:-$TEST_LIB/../../build/kvmtunectl}")
rest=$(taskset -c "$(IFS=,; echo "${T_CPUS[*]:1}")" sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
ctl() { timeout 60 "$CTL" "$@" >"$HOST_DIR/out" 2>&1; }
pinned() { t_is "$rest" host_vcpu_cpus "$1" 0 && t_is "$rest" host_cpus "$1" emulator; }
free() { t_is "$T_ALL" host_vcpu_cpus "$1" 0 && t_is "$T_ALL" host_cpus "$1" emulator; }
explained() { ctl explain g1 && grep -q -- "$1" "$HOST_DIR/out"; }

t_bus_start
host_guest_start g1 fake=1 vcpus=2 || exit 1
host_guest_start g2 fake=1 vcpus=1 || exit 1
host_guest_start mine fake=1 vcpus=1 pin="0:$T_FIRST" || exit 1
t_daemon_start <<<"host: { reserved_cpus = \"$T_FIRST\"; };"
t_until "kvmtunectl reaches the daemon" 20 ctl status

t_ok "a setting for one guest" ctl --guest g1 set cpu.policy shared
t_until "... is carried out" 10 pinned g1
t_stays "... for no other" 2 free g2
t_ok "explain names the setting's source" explained 'cpu.policy *shared *runtime by uid 0'
t_ok "... what was done, in the journal's words" explained "$(sed -n 's/^kvmtuned: \(g1: vCPU 0 on CPUs .*\) \[.*/\1/p' "$HOST_DIR/kvmtuned.log" | tail -n 1)"
t_ok "... and what it would put back" explained "pin-vcpu g1 vCPU 0: $T_ALL -> $rest"
t_until "... no more and no less than the log" 10 t_explained g1
t_ok "a setting for a guest that its user has pinned" ctl --guest mine set cpu.policy shared
t_until "... is not carried out, for the reason that is in the log" 10 t_explained mine
left_alone() { jq -e 'any(.not_done[]; .why == "user-pin")' "$HOST_DIR/explained" >/dev/null; }
t_ok "... and that is the user's pin" left_alone

t_ok "pause" ctl pause
ctl --guest g2 set cpu.policy shared
t_stays "while paused nothing is done" 3 free g2
t_ok "... and what was done stays" pinned g1
t_ok "resume" ctl resume
t_until "... and it goes on" 10 pinned g2

t_ok "restore ends when everything is put back" ctl restore
t_ok "... of one guest" free g1
t_ok "... and of the other" free g2
t_ok "... nothing is on record" t_not grep -q '^own' "$HOST_DIR/state/state"
host_guest_start g3 fake=1 vcpus=1 || exit 1
t_stays "after it nothing is done" 2 free g1
t_ok "resume after restore" ctl resume
t_until "... tunes again" 10 pinned g1
t_until "... every guest that is to be" 10 pinned g2

t_ok "taking a setting back" ctl --guest g2 unset cpu.policy
t_until "... gives the guest its own back" 10 free g2
t_ok "reload forgets the others" ctl reload
t_until "... and gives back, too" 10 free g1

busctl --system --json=short monitor --match "type='signal',interface='org.freedesktop.DBus.Properties'" >"$HOST_DIR/signals" 2>/dev/null &
listening=$!
connected() { jq -se --argjson v "$1" 'any(.[]; .payload.data[1].Connected.data? == $v)' "$HOST_DIR/signals" >/dev/null; }
listens() { ctl pause && ctl resume && [ -s "$HOST_DIR/signals" ]; }
host_until 10 listens
host_libvirtd_kill
t_until "that libvirtd is gone is signalled, as Connected" 10 connected false
host_libvirtd_start
t_until "... and that it is back" 20 connected true
kill "$listening"
wait "$listening" 2>/dev/null
t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_done
