#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What breaks around the daemon: libvirtd, guests, QEMU, KSM's folder, the disk, a
# CPU. It stays up, says so without repeating itself, and carries on.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2

rest=$(taskset -c "$(IFS=,; echo "${T_CPUS[*]:1}")" sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
policy="host: { reserved_cpus = \"$T_FIRST\"; }; cpu: { policy = \"shared\"; };"
last_cpu=${T_CPUS[-1]}
online=/sys/devices/system/cpu/cpu$last_cpu/online
# On cgroup v1 a CPU that goes offline is gone from each cpuset for good.
declare -A cpusets=()
# Others' cpusets would shrink, too, and are not ours to write: then no CPU is touched.
others_have_cpusets() {
    local d
    [ -d /sys/fs/cgroup/cpuset ] || return 1
    while read -r d; do
        case $d in
            /sys/fs/cgroup/cpuset/machine | "/sys/fs/cgroup/cpuset$HOST_PARTITION"*) ;;
            *) return 0 ;;
        esac
    done < <(find /sys/fs/cgroup/cpuset -mindepth 1 -type d)
    return 1
}
cpu_off() {
    local f
    while read -r f; do cpusets[$f]=$(cat "$f"); done < <(find "/sys/fs/cgroup/cpuset${HOST_PARTITION:-/none}" /sys/fs/cgroup/cpuset/machine/cpuset.cpus -name cpuset.cpus 2>/dev/null)
    echo 0 >"$online"
}
cpu_back() {
    local f
    [ -w "$online" ] || return 0
    [ "$(cat "$online")" = 1 ] || echo 1 >"$online"
    # Parents have shorter names, and come first.
    for f in "${!cpusets[@]}"; do echo "${#f} $f"; done | sort -n | while read -r _ f; do
        [ ! -e "$f" ] || [ "$(cat "$f")" = "${cpusets[$f]}" ] || echo "${cpusets[$f]}" >"$f"
    done 2>/dev/null
}
t_cleanup() { cpu_back; }
# Waits until a guest that starts now is pinned: the daemon has its connection, and acts.
works() { # works NAME: starts guest NAME
    host_guest_start "$1" fake=1 vcpus=1 && host_until 15 t_is "$rest" host_vcpu_cpus "$1" 0
}
few_lines() { # few_lines N: the log has grown by at most N lines since mark
    T_WANT="at most $1 lines" T_GOT=$(($(wc -l <"$HOST_DIR/kvmtuned.log") - mark))
    [ "$T_GOT" -le "$1" ]
}
mark() { mark=$(wc -l <"$HOST_DIR/kvmtuned.log"); }

# --- libvirtd -----------------------------------------------------------------
host_guest_start g1 fake=1 vcpus=2 || exit 1
host_libvirtd_kill
t_daemon_start <<<"$policy"
t_stays "it starts without a libvirtd and stays" 2 t_alive
host_libvirtd_spawn
t_until "... and finds the guest when libvirtd is there" 30 t_is "$rest" host_vcpu_cpus g1 0

mark
host_libvirtd_kill
t_stays "libvirtd killed: it stays up" 3 t_alive
t_ok "... the guest keeps its pins" t_is "$rest" host_vcpu_cpus g1 0
host_libvirtd_start
t_ok "libvirtd restarted: a guest that starts is pinned" works g2
t_ok "... and few words were made of it" few_lines 12

mark
pid=$(host_libvirtd_pid)
kill -STOP "$pid"
t_stays "libvirtd stopped (SIGSTOP): it stays up" 7 t_alive
kill -CONT "$pid"
host_until 10 host_libvirtd_answers
t_ok "libvirtd continued: a guest that starts is pinned" works g3
t_ok "... and few words were made of it" few_lines 12

pid=$(host_libvirtd_pid)
kill -STOP "$pid"
t_daemon_stop TERM
t_result $(($? != 1)) "SIGTERM ends it while libvirtd is stopped, and the status says that not all was restored"
kill -CONT "$pid"
t_kvmtuned --restore >/dev/null 2>&1
t_until "... and what it could not restore then, --restore does" 10 t_is "$T_ALL" host_vcpu_cpus g1 0

# --- guests ---------------------------------------------------------------------
t_daemon_start <<X
$policy
balloon: { mode = "target"; target = "60 %"; step = "50 %"; stats_period = "1 s"; };
X
t_until "it works again" 10 t_is "$rest" host_vcpu_cpus g1 0
mark
for n in 1 2 3 4; do
    host_guest_start "flash$n" fake=1 vcpus=1
    host_guest_destroy "flash$n"
done
t_ok "guests that vanish at once do no harm" t_alive
host_guest_start bare fake=1 vcpus=1 noballoon=1 || exit 1
t_until "a guest without a balloon device is pinned" 10 t_is "$rest" host_vcpu_cpus bare 0
virsh -q create --paused "$(host_guest_prepare paused fake=1 vcpus=1 mem=128 && echo "$HOST_DIR/paused.xml")" >/dev/null
t_stays "a paused guest does no harm" 2 t_alive
t_ok "... its balloon is left alone" t_is 128 host_actual_mib paused
host_guest_start deaf vcpus=1 mem=128 cmd=noballoon || exit 1
t_ok "a guest without a balloon driver boots" host_wait_ready 60 deaf
t_until "... it is pinned" 10 t_is "$rest" host_vcpu_cpus deaf 0
t_ok "... its balloon is left alone" t_is 128 host_actual_mib deaf

# A QEMU that does not answer holds libvirtd's call, and the others must not wait for it.
kill -STOP "$(host_guest_pid g3)"
t_ok "QEMU stopped (SIGSTOP): another guest that starts is pinned" works g4
kill -CONT "$(host_guest_pid g3)"
t_stays "QEMU continued: it stays up" 2 t_alive
t_ok "SIGTERM ends it with status 0" t_daemon_stop

# --- KSM's folder -----------------------------------------------------------------
# Bind mounts in this namespace only: the host's own files are out of reach.
mkdir "$HOST_DIR/empty"
mount --bind "$HOST_DIR/empty" /sys/kernel/mm/ksm
t_daemon_start <<<"ksm: { mode = \"on\"; }; $policy"
t_until "no KSM in the kernel: guests are pinned nevertheless" 10 t_is "$rest" host_vcpu_cpus g1 0
t_daemon_stop
umount /sys/kernel/mm/ksm
if [ -e /sys/kernel/mm/ksm/run ]; then
    before=$(host_ksm run)
    mount --bind /sys/kernel/mm/ksm /sys/kernel/mm/ksm && mount -o remount,bind,ro /sys/kernel/mm/ksm
    t_daemon_start <<<"ksm: { mode = \"on\"; pages_to_scan = 222; }; $policy"
    t_until "KSM read-only: guests are pinned nevertheless" 10 t_is "$rest" host_vcpu_cpus g1 0
    sleep 3
    mark
    t_stays "... it stays up" 4 t_alive
    t_ok "... does not repeat itself each second" few_lines 3
    t_ok "... and KSM is as it was" t_is "$before" host_ksm run
    doctor_knows() { "$KVMTUNED" doctor --json --config "$HOST_DIR/kvmtuned.conf" | jq -e 'any(.checks[]; .id == "switches-read-only" and .detail == "ksm")' >/dev/null; }
    t_ok "... which the doctor names" doctor_knows
    t_ok "SIGTERM ends it with status 0" t_daemon_stop
    umount /sys/kernel/mm/ksm
else
    t_skip "KSM read-only" "this kernel has no KSM"
fi

# --- the disk -----------------------------------------------------------------------
mkdir "$HOST_DIR/full"
mount -t tmpfs -o size=16k,mode=700 kvmtuned-test "$HOST_DIR/full"
dd if=/dev/zero of="$HOST_DIR/full/ballast" bs=4k 2>/dev/null
T_STATE=$HOST_DIR/full/state
t_daemon_start <<<"$policy"
t_stays "no room for the state file: it stays up" 3 t_alive
t_ok "... and changes nothing that it could not put back" t_is "$T_ALL" host_vcpu_cpus g1 0
mark
t_stays "... says so and does not repeat itself each second" 3 few_lines 2
rm "$HOST_DIR/full/ballast"
t_until "room again: it carries on" 40 t_is "$rest" host_vcpu_cpus g1 0
t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_until "... and it restored" 10 t_is "$T_ALL" host_vcpu_cpus g1 0
unset T_STATE
umount "$HOST_DIR/full"

# --- the journal ------------------------------------------------------------------------
# A stream of somebody else's in the environment, then one that is ours with no journald behind it.
JOURNAL_STREAM=1:1 t_daemon_start <<<"$policy"
t_until "an inherited JOURNAL_STREAM: messages go to stderr" 10 t_log_has "Started with"
t_daemon_stop
: >"$HOST_DIR/kvmtuned.log"
JOURNAL_STREAM=$(stat -c %d:%i "$HOST_DIR/kvmtuned.log") t_daemon_start <<<"$policy"
if [ -S /run/systemd/journal/socket ]; then
    t_skip "no journal socket" "this machine has a journal"
else
    t_until "no journal socket: guests are pinned nevertheless" 10 t_is "$rest" host_vcpu_cpus g1 0
fi
t_ok "SIGTERM ends it with status 0" t_daemon_stop

# --- a CPU ----------------------------------------------------------------------------
if others_have_cpusets; then
    t_skip "a CPU taken offline" "it would shrink cpusets that are not this test's"
elif [ -w "$online" ] && cpu_off 2>/dev/null; then
    cpu_back
    t_daemon_start <<<"cpu: { policy = \"pinned\"; };"
    t_until "pinned, with all CPUs" 10 t_between 0 4095 host_vcpu_cpus g1 0
    cpu_off
    t_stays "a CPU taken offline: it stays up" 3 t_alive
    host_guest_start g5 fake=1 vcpus=1 || true
    t_until "... and a guest that starts is pinned to one that is online" 10 t_between 0 4095 host_vcpu_cpus g5 0
    t_ok "... not to the one that is gone" test "$(host_vcpu_cpus g5 0)" != "$last_cpu"
    cpu_back
    t_stays "the CPU comes back: it stays up" 2 t_alive
    t_ok "SIGTERM ends it with status 0" t_daemon_stop
else
    cpu_back
    t_skip "a CPU taken offline" "CPU $last_cpu cannot be taken offline here"
fi
t_done
