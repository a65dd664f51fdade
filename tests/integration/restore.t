#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is put back, by whom, and what is not because somebody else changed it.
export HOST_KSM=1
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2

policy="
host: { reserved_cpus = \"$T_FIRST\"; };
cpu: { policy = \"shared\"; };"
if [ -w /sys/kernel/mm/ksm/run ]; then
    ksm=1
    policy+=' ksm: { mode = "on"; pages_to_scan = 321; };'
    [ ! -e /sys/kernel/mm/ksm/advisor_mode ] || echo none >/sys/kernel/mm/ksm/advisor_mode
    echo 0 >/sys/kernel/mm/ksm/run
    echo 111 >/sys/kernel/mm/ksm/pages_to_scan
else
    ksm=''
fi
rest=$(taskset -c "$(IFS=,; echo "${T_CPUS[*]:1}")" sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
is_tuned() {
    t_is "$rest" host_vcpu_cpus g1 0 && t_is "$rest" host_cpus g1 emulator || return
    [ -z "$ksm" ] || { t_is 1 host_ksm run && t_is 321 host_ksm pages_to_scan; }
}
is_as_before() {
    t_is "$T_ALL" host_vcpu_cpus g1 0 && t_is "$T_ALL" host_vcpu_cpus g1 1 && t_is "$T_ALL" host_cpus g1 emulator || return
    [ -z "$ksm" ] || { t_is 0 host_ksm run && t_is 111 host_ksm pages_to_scan; }
}

host_guest_start g1 fake=1 vcpus=2 || exit 1
t_ok "the guest is untuned at first" is_as_before

t_daemon_start <<<"$policy"
t_until "tuned" 10 is_tuned
t_daemon_stop TERM
t_until "SIGTERM restores" 10 is_as_before

t_daemon_start <<<"$policy"
t_until "tuned again" 10 is_tuned
t_daemon_stop KILL
t_ok "SIGKILL leaves it tuned" is_tuned
t_ok "--restore ends with status 0" t_kvmtuned --restore
t_until "... and has restored" 5 is_as_before
t_ok "a second --restore finds nothing to do" t_kvmtuned --restore
t_ok "... and changed nothing" is_as_before

t_daemon_start <<<"$policy"
t_until "tuned again" 10 is_tuned
t_daemon_stop KILL
t_daemon_start <<<"$policy"
t_stays "a start after SIGKILL keeps it tuned" 3 is_tuned
t_daemon_stop TERM
t_until "... and its stop restores what was before the first start" 10 is_as_before

# Of a guest that is gone, and was ours before the crash: nothing to do, no error.
host_guest_start g2 fake=1 vcpus=1 || exit 1
t_daemon_start <<<"$policy"
t_until "a second guest is tuned" 10 t_is "$rest" host_vcpu_cpus g2 0
t_daemon_stop KILL
host_guest_destroy g2
t_ok "--restore with one guest gone ends with status 0" t_kvmtuned --restore
t_until "... and has restored the other" 5 is_as_before

t_daemon_start <<<"$policy"
t_until "tuned again" 10 is_tuned
# Another one's vCPU pin and KSM value.
virsh -q vcpupin g1 0 "$T_FIRST" --live
[ -z "$ksm" ] || echo 777 >/sys/kernel/mm/ksm/pages_to_scan
t_stays "what somebody else changed is not taken back" 3 t_is "$T_FIRST" host_vcpu_cpus g1 0
t_daemon_stop TERM
t_stays "a pin that somebody else changed is left at the stop" 1 t_is "$T_FIRST" host_vcpu_cpus g1 0
if [ -n "$ksm" ]; then
    t_ok "a KSM value that somebody else changed is left at the stop" t_is 777 host_ksm pages_to_scan
else
    t_skip "a KSM value that somebody else changed is left at the stop" "KSM is not writable"
fi

host_guest_destroy g1
host_guest_start g1 fake=1 vcpus=2 || exit 1
t_daemon_start <<<"daemon: { interval = \"1 s\"; on_stop = \"keep\"; }; $policy"
t_until "the new guest of the old name is tuned" 10 t_is "$rest" host_vcpu_cpus g1 1
t_daemon_stop TERM
t_stays "on_stop = keep leaves it tuned" 1 t_is "$rest" host_vcpu_cpus g1 1
t_kvmtuned --restore
t_until "--restore puts it back" 5 t_is "$T_ALL" host_vcpu_cpus g1 1

# What was asked of libvirtd it does when it can, whatever became of who asked. It waits for whoever holds the guest.
host_guest_start held fake=1 vcpus=1 || exit 1
held=$(virsh domuuid held | head -n 1)
is_asked_for() { grep -q "^own pin-vcpu $held 0 " "$HOST_DIR/state/state"; }
hold() {
    kill -STOP "$(host_guest_pid held)"
    timeout 30 virsh -q dommemstat held >/dev/null 2>&1 &
    sleep 0.5
}
# Held only when the daemon has looked at it: one that does not answer from the start is left alone.
kill_while_it_waits() {
    t_daemon_start <<<"host: { reserved_cpus = \"$T_FIRST\"; }; guests = ( { match = { name = \"g1\"; }; cpu = { policy = \"shared\"; }; } );"
    t_until "another guest is tuned" 10 t_is "$rest" host_vcpu_cpus g1 0
    hold
    t_config <<<"$policy"
    kill -HUP "$T_PID"
    t_until "a pin is asked for" 10 is_asked_for
    sleep 0.3
    t_daemon_stop KILL
    t_ok "SIGKILL while libvirtd waits for the guest: it is not pinned yet" t_is "$T_ALL" host_vcpu_cpus held 0
}
kill_while_it_waits
kill -CONT "$(host_guest_pid held)"
t_until "libvirtd pins it afterwards" 10 t_is "$rest" host_vcpu_cpus held 0
t_ok "... --restore ends with status 0" t_kvmtuned --restore
t_until "... and has put it back" 5 t_is "$T_ALL" host_vcpu_cpus held 0
kill_while_it_waits
(sleep 1; kill -CONT "$(host_guest_pid held)") &
t_ok "--restore while libvirtd waits ends with status 0" t_kvmtuned --restore
t_stays "... and nothing of it comes to be any more" 1 t_is "$T_ALL" host_vcpu_cpus held 0
t_done
