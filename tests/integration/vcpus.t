#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Time limit: 600 s
# vCPUs of real guests: plugged in by load and by schedule, used by the guest's
# kernel, pinned like the others; taken back, or kept by a guest that cannot let go.
#
# Under software emulation (QEMU 7.2) a vCPU that the guest's kernel let go of
# is gone from the guest and from /proc, but QEMU never reports it, and libvirt
# counts it until the guest ends: there, libvirt's number is not looked at.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2

used() { grep -o 'GUEST-CPUS.*online=[0-9,-]*' "$HOST_DIR/$1.log" | tail -n 1 | sed 's/.*online=//'; } # by its kernel
threads() { host_threads "$1" | grep -c ' vcpu'; }                                                  # by /proc
live() { timeout 20 virsh -q vcpucount "$1" --live --active; }                                      # by libvirt
one_cpu_each() { # both vCPUs have a CPU of their own
    local a b
    a=$(host_vcpu_cpus "$1" 0) b=$(host_vcpu_cpus "$1" 1)
    T_WANT='two single CPUs' T_GOT="$a and $b"
    [[ $a =~ ^[0-9]+$ && $b =~ ^[0-9]+$ && $a != "$b" ]]
}
has_one_again() { # has_one_again NAME: the guest let go of what it was given
    t_is 0 used "$1" && t_is 1 threads "$1" && { [ "$(host_virt_type)" = qemu ] || t_is 1 live "$1"; }
}

host_guest_start load mem=96 vcpus=1/3 || exit 1
host_guest_start plan mem=96 vcpus=1/2 || exit 1
host_guest_start stop mem=96 vcpus=1/2 || exit 1
# A BIOS guest that never heard of plugging: it can be given a vCPU, and cannot give it back.
host_guest_start deaf fake=1 vcpus=1/2 || exit 1
host_guest_start user fake=1 vcpus=1/3 || exit 1
t_ok "the guests boot with one vCPU" host_wait_for 180 'GUEST-CPUS.*online=0' load plan stop

rule() { # rule NAME COUNT: a rule that gives the guest NAME so many
    echo "{ name = \"$1\"; when = { schedule = \"$(t_now_window)\"; }; guests = { name = \"$1\"; };
            set = { vcpus = { mode = \"fixed\"; count = $2; }; }; }"
}
# What else this machine does must not matter: host_idle = 0 % always holds, 100 % never.
load() { echo "{ match = { name = \"load\"; }; vcpus = { mode = \"auto\"; minimum = 1; host_idle = \"$1\"; }; }"; }
policy='vcpus: { dwell = "2 s"; cooldown = "4 s"; }; guests = ('
more() { echo "rules = ( $(rule plan 5), $(rule stop 2), $(rule deaf 2), $(rule user 2) );"; }

t_daemon_start <<<"cpu: { policy = \"pinned\"; }; $policy ); $(more)"
t_until "a schedule plugs in what the guest may have at most" 30 t_is 2 live plan
t_until "... the guest's kernel uses it" 60 t_is 0-1 used plan
t_ok "... it has a thread" t_is 2 threads plan
t_until "... which is pinned like its sibling, to a CPU of its own" 10 one_cpu_each plan
t_until "one that knows nothing of it is given a vCPU, too" 30 t_is 2 live deaf
t_until "... another one as well" 60 t_is 0-1 used stop
t_until "... and the guest that somebody will take over" 30 t_is 2 live user
t_ok "mode off leaves a guest alone" t_is 1 live load

# libvirt tells nobody of this.
t_ok "somebody plugs in another vCPU" virsh -q setvcpus user 3 --live
t_until "it is noticed, and theirs from now on" 20 t_log_has 'user: no set-vcpus (taken-over)'

host_guest_order load busy 4
t_stays "a busy guest of mode off gets nothing" 4 t_is 1 live load
t_config <<<"cpu: { policy = \"pinned\"; }; $policy $(load '100 %') ); $(more)"
kill -HUP "$T_PID"
t_stays "mode auto adds none while the host is busy" 6 t_is 1 live load
t_config <<<"cpu: { policy = \"pinned\"; }; $policy $(load '0 %') ); $(more)"
kill -HUP "$T_PID"
t_until "mode auto adds one to a busy guest" 60 t_is 2 live load
t_until "... its kernel uses it" 60 t_is 0-1 used load
t_until "... it is pinned like its sibling, to a CPU of its own" 10 one_cpu_each load
if [ ${#T_CPUS[@]} = 2 ]; then
    t_stays "... and it gets no more vCPUs than there are CPUs" 8 t_is 2 live load
else
    t_skip "... and it gets no more vCPUs than there are CPUs" "there are more than two"
fi

host_guest_order load busy 0
t_until "mode auto takes one back when the guest is idle" 90 has_one_again load
t_ok "... and the guest runs on" t_is running virsh -q domstate load
host_guest_destroy load

t_config <<<"cpu: { policy = \"pinned\"; }; $policy ); rules = ( $(rule stop 2), $(rule user 2) );"
kill -HUP "$T_PID"
t_until "a rule that ends takes back what it gave" 60 has_one_again plan
t_until "a guest that cannot let go is said" 60 t_log_has 'deaf: no set-vcpus (stuck)'
t_ok "... and keeps its vCPU" t_is 2 live deaf
host_guest_destroy plan

t_ok "the daemon runs" t_alive
t_ok "the stop says by its status that a vCPU could not be taken back" t_not t_daemon_stop
t_until "the stop takes back what a rule gave" 30 has_one_again stop
t_ok "a vCPU that could not be taken back is on record" grep -q "^own set-vcpus $(virsh -q domuuid deaf)" "$HOST_DIR/state/state"
t_ok "what somebody else plugged in stays" t_is 3 live user
t_done
