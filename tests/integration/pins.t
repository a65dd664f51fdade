#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vCPU, emulator and I/O thread pins of each policy, as /proc has them.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2

# All threads of the guest but the first CPU's: what is left when that is reserved.
rest=$(IFS=,; taskset -c "$(IFS=,; echo "${T_CPUS[*]:1}")" sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)

one_cpu_each() { # each vCPU of a 2-vCPU guest has one CPU, not the same
    local a b
    a=$(host_vcpu_cpus "$1" 0) b=$(host_vcpu_cpus "$1" 1)
    T_WANT='two single CPUs' T_GOT="$a and $b"
    [[ $a =~ ^[0-9]+$ && $b =~ ^[0-9]+$ && $a != "$b" ]]
}
has_defaults() { # has_defaults NAME: nothing of it is pinned
    t_is "$T_ALL" host_vcpu_cpus "$1" 0 && t_is "$T_ALL" host_vcpu_cpus "$1" 1 && t_is "$T_ALL" host_cpus "$1" emulator
}

host_guest_start before fake=1 vcpus=2 iothreads=1 || exit 1
host_guest_start alone fake=1 vcpus=2 || exit 1
host_guest_start mine fake=1 vcpus=2 pin="0:$T_FIRST 1:$T_FIRST" emupin="$T_FIRST" || exit 1
host_guest_start wish fake=1 vcpus=2 class=batch || exit 1

t_daemon_start <<X
daemon: { interval = "1 h"; };
host: { reserved_cpus = "$T_FIRST"; };
cpu: { policy = "shared"; };
guests = ( { match = { name = "alone"; }; cpu = { policy = "none"; }; },
           { match = { class = "batch"; }; cpu = { emulator = "none"; iothreads = "none"; }; } );
X
t_until "policy shared: vCPU 0 of a guest that ran before may use the CPUs not reserved" 10 t_is "$rest" host_vcpu_cpus before 0
t_until "... vCPU 1" 5 t_is "$rest" host_vcpu_cpus before 1
t_until "... its emulator threads follow" 5 t_is "$rest" host_cpus before emulator
t_until "... its I/O thread follows" 5 t_is "$rest" host_cpus before iothread1
t_until "a guest selected by its class is pinned" 5 t_is "$rest" host_vcpu_cpus wish 1
t_ok "... and its emulator threads are not, as its entry says" t_is "$T_ALL" host_cpus wish emulator
t_ok "policy none: a guest is left alone" has_defaults alone
t_ok "pins of the user are left alone" t_is "$T_FIRST" host_vcpu_cpus mine 0
t_ok "... the emulator's, too" t_is "$T_FIRST" host_cpus mine emulator

# The timer is an hour away: only the event can be what pins this one.
host_guest_start late fake=1 vcpus=2 || exit 1
t_until "a guest that starts is pinned by the start event" 3 t_is "$rest" host_vcpu_cpus late 1
t_until "... its emulator threads, too" 3 t_is "$rest" host_cpus late emulator
t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_until "pins are as before after the stop" 5 has_defaults late

t_daemon_start <<X
cpu: { policy = "pinned"; };
guests = ( { match = { name = "late"; }; cpu = { policy = "none"; }; } );
X
t_until "policy pinned: one CPU for each vCPU, different ones" 10 one_cpu_each before
t_ok "a guest of policy none is left alone" has_defaults late
t_ok "pins of the user are left alone" t_is "$T_FIRST" host_vcpu_cpus mine 1
pin_0=$(host_vcpu_cpus before 0)
t_stays "nothing changes when nothing happens" 3 t_is "$pin_0" host_vcpu_cpus before 0

virsh -q suspend before && virsh -q resume before
host_guest_destroy wish
t_stays "a guest's pins stay over suspend and resume and while others go" 2 one_cpu_each before
t_ok "the daemon runs" t_alive
t_daemon_stop

# The same lever by a schedule and by a threshold; what no rule asks for any more goes back.
t_daemon_start <<X
rules = ( { name = "window"; when = { schedule = "$(t_now_window)"; }; guests = { name = "before"; };
            set = { cpu = { policy = "pinned"; }; }; },
          { name = "crowd"; when = { metric = "host.guests"; above = 1; clear = 1; for = "1 s"; }; guests = { name = "late"; };
            set = { cpu = { policy = "pinned"; }; }; } );
X
t_until "a schedule that holds pins" 10 one_cpu_each before
t_until "a threshold that holds for its time pins" 10 one_cpu_each late
t_ok "a guest that no rule names is left alone" has_defaults alone
t_config <<<'daemon: { on_stop = "restore"; };'
kill -HUP "$T_PID"
t_until "a reload without the rules gives the pins back" 10 has_defaults late
t_until "... the other guest's, too" 10 has_defaults before
t_done
