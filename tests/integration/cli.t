#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The command line beside the daemon: check, dry run, once, record and plan.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2

rest=$(taskset -c "$(IFS=,; echo "${T_CPUS[*]:1}")" sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
policy="host: { reserved_cpus = \"$T_FIRST\"; }; cpu: { policy = \"shared\"; };"
host_guest_start g1 fake=1 vcpus=2 || exit 1
mkdir -p "$HOST_DIR/state"

t_config <<<"$policy"
t_ok "--check-config accepts a good policy" t_kvmtuned --check-config
t_config <<<'cpu: { policy = 1; };'
t_kvmtuned --check-config >"$HOST_DIR/out" 2>&1
t_ok "--check-config refuses a bad one" test $? = 1
t_ok "... with file and line" grep -q "kvmtuned.conf:[0-9]*: " "$HOST_DIR/out"
t_kvmtuned --once >"$HOST_DIR/out" 2>&1
t_ok "nothing starts on a bad policy, nor is it tried again" test $? = 78
t_config <<<"$policy"
printf 'kvmtuned-state 999\nend\n' >"$HOST_DIR/newer"
T_STATE=$HOST_DIR/newer t_kvmtuned --once >"$HOST_DIR/out" 2>&1
t_ok "nor on the state of a newer version" test $? = 78
t_ok "... which is left as it is" grep -q '^kvmtuned-state 999$' "$HOST_DIR/newer"

t_daemon_start --dry-run <<<"$policy"
t_until "--dry-run says what it would do" 10 t_log_has 'g1.*vCPU 0'
t_stays "--dry-run changes nothing" 2 t_is "$T_ALL" host_vcpu_cpus g1 0
t_daemon_stop
t_ok "--dry-run leaves no state behind" t_not grep -q '^own ' "$HOST_DIR/state/state"

t_config <<<"$policy"
t_ok "record ends with status 0" eval '"$KVMTUNED" record --config "$HOST_DIR/kvmtuned.conf" >"$HOST_DIR/snapshot"'
t_ok "the snapshot names the guest" grep -q '"g1"' "$HOST_DIR/snapshot"
plan() { env -i "$KVMTUNED" plan --config "$HOST_DIR/kvmtuned.conf" --snapshot "$HOST_DIR/snapshot" "$@"; }
t_ok "plan reads it back" eval 'plan >"$HOST_DIR/plan1"'
t_ok "... and would pin the guest" grep -q 'pin-vcpu.*g1' "$HOST_DIR/plan1"
plan >"$HOST_DIR/plan2"
t_ok "... the same, byte for byte, when asked again" cmp -s "$HOST_DIR/plan1" "$HOST_DIR/plan2"
t_ok "plan --json is JSON" eval 'plan --json | python3 -c "import json, sys; json.load(sys.stdin)"'
t_ok "record and plan changed nothing" t_is "$T_ALL" host_vcpu_cpus g1 0

t_ok "--once ends with status 0" eval 't_kvmtuned --once >"$HOST_DIR/out" 2>&1'
t_ok "--once has pinned the guest" t_is "$rest" host_vcpu_cpus g1 0
t_ok "... and its emulator threads" t_is "$rest" host_cpus g1 emulator
t_ok "a second --once ends with status 0" eval 't_kvmtuned --once >"$HOST_DIR/out" 2>&1'
t_ok "--restore puts it back" t_kvmtuned --restore
t_ok "... as it was" t_is "$T_ALL" host_vcpu_cpus g1 0
t_done
