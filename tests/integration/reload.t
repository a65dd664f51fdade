#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SIGHUP: a good policy is applied, a bad one is refused as a whole.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2

rest=$(taskset -c "$(IFS=,; echo "${T_CPUS[*]:1}")" sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
reload() { t_config; kill -HUP "$T_PID"; }

host_guest_start g1 fake=1 vcpus=2 || exit 1
t_daemon_start <<<"host: { reserved_cpus = \"$T_FIRST\"; }; "
t_until "the daemon is up" 10 t_log_has .
t_stays "policy none leaves the guest alone" 2 t_is "$T_ALL" host_vcpu_cpus g1 0

reload <<X
host: { reserved_cpus = "$T_FIRST"; };
cpu: { policy = "shared"; };
X
t_until "a new policy is applied on SIGHUP" 5 t_is "$rest" host_vcpu_cpus g1 0

reload <<X
host: { reserved_cpus = ""; };
cpu: { policy = "sharp"; };
X
bad_line=$(grep -n sharp "$HOST_DIR/kvmtuned.conf" | cut -d: -f1)
t_until "a bad policy is named with file and line" 5 t_log_has "kvmtuned.conf:$bad_line:.*sharp"
t_stays "... and nothing of it is applied" 2 t_is "$rest" host_vcpu_cpus g1 0
t_ok "the daemon runs on" t_alive
host_guest_start g2 fake=1 vcpus=1 || exit 1
t_until "... with the old policy" 5 t_is "$rest" host_vcpu_cpus g2 0

rm "$HOST_DIR/kvmtuned.conf"
kill -HUP "$T_PID"
t_stays "a policy file that vanished changes nothing" 2 t_is "$rest" host_vcpu_cpus g2 0
t_ok "the daemon runs on" t_alive

reload <<X
host: { reserved_cpus = "$T_FIRST"; };
cpu: { policy = "none"; };
X
t_until "policy none gives the pins back" 5 t_is "$T_ALL" host_vcpu_cpus g1 0
t_until "... of each guest" 5 t_is "$T_ALL" host_vcpu_cpus g2 0
t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_done
