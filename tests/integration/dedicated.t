#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A guest with CPUs of its own: the others are pushed off and come back, as /proc has it.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2

# Single CPUs in the order in which they are given, and what then is left for all others.
own=$T_FIRST
rest=$(taskset -c "$(IFS=,; echo "${T_CPUS[*]:1}")" sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)

shares() { # shares CPUS NAME: both vCPUs and the emulator of NAME
    t_is "$1" host_vcpu_cpus "$2" 0 && t_is "$1" host_vcpu_cpus "$2" 1 && t_is "$1" host_cpus "$2" emulator
}

host_guest_start one fake=1 vcpus=2 || exit 1
host_guest_start free fake=1 vcpus=1 || exit 1
# The timer is an hour away: what happens is what events make happen.
t_daemon_start <<X
daemon: { interval = "1 h"; };
cpu: { policy = "shared"; };
guests = ( { match = { name = "db-*"; }; cpu = { policy = "dedicated"; }; },
           { match = { name = "free"; }; cpu = { policy = "none"; }; } );
X
host_guest_start two fake=1 vcpus=2 || exit 1
t_until "guests that share may use all CPUs" 10 shares "$T_ALL" two

host_guest_start db-1 fake=1 vcpus=1 || exit 1
t_until "a dedicated guest has a CPU when it starts" 10 t_is "$own" host_vcpu_cpus db-1 0
t_until "... its emulator threads run with the others" 5 t_is "$rest" host_cpus db-1 emulator
t_until "... and at once a guest that shares is pushed off" 10 shares "$rest" one
t_until "... the other one, too" 5 shares "$rest" two
t_until "a guest that kvmtuned does not manage is named, since it may run there" 5 t_log_has "not-exclusive.*: free"
t_ok "... and is left alone" t_is "$T_ALL" host_vcpu_cpus free 0

if [ ${#T_CPUS[@]} = 2 ]; then
    host_guest_start db-2 fake=1 vcpus=1 || exit 1
    t_until "one CPU stays with those that share: the second dedicated guest is told so" 10 t_log_has "db-2: no pin-vcpu (no-capacity)"
    t_until "... and shares it" 10 t_is "$rest" host_vcpu_cpus db-2 0
fi

# Killed in the middle: the CPUs are still the guest's.
t_daemon_stop KILL
t_daemon_start <<X
cpu: { policy = "shared"; };
guests = ( { match = { name = "db-*"; }; cpu = { policy = "dedicated"; }; },
           { match = { name = "free"; }; cpu = { policy = "none"; }; } );
X
t_until "it decides again" 10 t_log_has "not-exclusive"
t_stays "after SIGKILL and a new start the CPU is the same guest's" 3 t_is "$own" host_vcpu_cpus db-1 0
t_ok "... and nobody else's" shares "$rest" two

if [ ${#T_CPUS[@]} = 2 ]; then
    host_guest_destroy db-1
    t_until "the first one goes: the second gets the CPU" 10 t_is "$own" host_vcpu_cpus db-2 0
    t_ok "... and the others stay where they are" shares "$rest" one
    host_guest_destroy db-2
else
    host_guest_destroy db-1
fi
t_until "the last one goes: guests that share get the CPU back" 10 shares "$T_ALL" one
t_until "... all of them" 5 shares "$T_ALL" two

host_guest_start db-3 fake=1 vcpus=1 || exit 1
t_until "CPUs are dedicated again" 10 t_is "$own" host_vcpu_cpus db-3 0
t_until "..." 10 shares "$rest" one
t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_until "pins are as before after the stop: the dedicated guest's" 5 t_is "$T_ALL" host_vcpu_cpus db-3 0
t_until "... and the others'" 5 shares "$T_ALL" one
t_done
