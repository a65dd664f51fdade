#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Another manager runs: its levers are left to it, or it is stopped and started again. The others are
# processes of their names, and systemd a mock that ends and counts; what is left alone is a real guest's threads.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2
for p in dbus-daemon busctl cc pkg-config; do
    command -v $p >/dev/null || { echo "1..0 # SKIP $p is not installed (make deps)"; exit 0; }
done
rest=$(taskset -c "$(IFS=,; echo "${T_CPUS[*]:1}")" sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
pinned() { t_is "$rest" host_vcpu_cpus g1 0; }
free() { t_is "$T_ALL" host_vcpu_cpus g1 0; }
ctl() { timeout 60 "${KVMTUNECTL:-$TEST_LIB/../../build/kvmtunectl}" "$@" >"$HOST_DIR/out" 2>&1; }

others=()
other() { # other NAME: a process that is called so; $! is its pid
    cp --remove-destination "$(command -v sleep)" "$HOST_DIR/$1"
    "$HOST_DIR/$1" 600 &
    others+=($!)
}
ends() { kill "$1" && wait "$1"; } 2>/dev/null
SYSTEMD_PID=''
t_cleanup() { kill $SYSTEMD_PID "${others[@]}" 2>/dev/null; }

t_bus_start
host_guest_start g1 fake=1 vcpus=1 || exit 1

# --- yield -----------------------------------------------------------------------------

t_daemon_start <<<"daemon: { interval = \"1 s\"; competitors = \"yield\"; }; host: { reserved_cpus = \"$T_FIRST\"; }; cpu: { policy = \"shared\"; };"
t_until "without another manager a guest is pinned" 20 pinned
other numad
numad=$!
t_until "numad starts: the guest is left to it, and has its CPUs back" 30 free
t_until "... the log says why" 5 t_log_has 'g1: no pin-vcpu (yielded): numad runs'
t_ok "... and so does explain" t_explained g1
source_is_numad() { ctl settings g1 && grep -q 'cpu.policy *none *yielded to numad' "$HOST_DIR/out"; }
t_ok "... and the setting" source_is_numad
t_stays "it stays so while numad runs" 3 free
ends "$numad"
t_until "numad ends: the policy holds again" 30 pinned
t_daemon_stop

# --- takeover ----------------------------------------------------------------------------

read -ra flags <<<"$(pkg-config --cflags --libs libsystemd)"
t_ok "the mock of systemd compiles" cc -o "$HOST_DIR/systemd" "$TEST_LIB/mock-systemd.c" "${flags[@]}"
: >"$HOST_DIR/units"
: >"$HOST_DIR/orders"
"$HOST_DIR/systemd" "$HOST_DIR/units" "$HOST_DIR/orders" &
SYSTEMD_PID=$!
systemd_is_there() { busctl --system list 2>/dev/null | grep -q '^org.freedesktop.systemd1 '; }
host_until 10 systemd_is_there
ordered() { t_is "$*" cat "$HOST_DIR/orders"; }
gone() { ! kill -0 "$1" 2>/dev/null; }
takeover='daemon: { interval = "1 s"; competitors = "takeover"; };'

other momd
momd=$!
other qemu-balloond
stubborn=$!
other tuned
tuned=$!
other numad
numad=$!
printf '%s\n' "$momd mom-vdsm.service" "$stubborn refuse.service" "$tuned tuned.service" >"$HOST_DIR/units"
t_daemon_start <<<"$takeover"
t_until "the other's service is stopped, by the name that systemd has for it" 20 ordered 'StopUnit mom-vdsm.service'
t_until "... and ends" 5 gone "$momd"
t_ok "... the log says so" t_log_has 'momd (pid .*mom-vdsm.service is stopped'
t_ok "... and the state, for whoever comes after a crash" grep -qx 'stopped mom-vdsm.service' "$HOST_DIR/state/state"
t_until "one that systemd does not stop is named" 10 t_log_has 'refuse.service cannot be stopped: no'
t_ok "... and is not on record" t_not grep -q refuse "$HOST_DIR/state/state"
t_until "one that belongs to no service is named, and not killed" 10 t_log_has 'numad (pid .*is no service of systemd'
t_ok "... it runs" kill -0 "$numad"
t_ok "one that has more to do is not stopped" kill -0 "$tuned"
other momd
echo "$! mom-vdsm.service" >"$HOST_DIR/units"
again=$!
t_until "one that somebody starts again is theirs" 30 t_log_has 'was stopped once and runs again'
t_ok "... and runs" kill -0 "$again"
t_daemon_stop KILL
t_daemon_start <<<"$takeover"
t_until "the next daemon knows what the killed one has stopped" 20 t_log_has 'was stopped once and runs again'
t_daemon_stop
t_ok "it is started again in the end" ordered 'StopUnit mom-vdsm.service StartUnit mom-vdsm.service'
t_ok "... and is off the record" t_not grep -q '^stopped' "$HOST_DIR/state/state"
: >"$HOST_DIR/orders"
echo "$again lost.service" >"$HOST_DIR/units"
t_daemon_start <<<"$takeover"
t_until "another service is stopped" 20 ordered 'StopUnit lost.service'
t_daemon_stop
t_ok "one that cannot be started again stays on record" grep -qx 'stopped lost.service' "$HOST_DIR/state/state"
: >"$HOST_DIR/orders"
t_daemon_start --dry-run <<<"$takeover"
t_stays "in a dry run nobody is stopped" 3 ordered ''
t_daemon_stop
t_done
