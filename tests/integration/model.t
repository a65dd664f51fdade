#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is seen of a guest's cgroups, by what record prints: the administrator's limits, not libvirt's pins.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"
t_needs_cpus 2

last=${T_CPUS[-1]}

# The folder of the guest's own cgroup with the cpuset controller.
guest_folder() {
    local pid group
    pid=$(host_guest_pid "$1")
    group=$(sed -n 's/^[0-9]*:\([^:]*,\)\?cpuset\(,[^:]*\)\?://p' "/proc/$pid/cgroup")
    if [ -n "$group" ]; then
        group=/sys/fs/cgroup/cpuset$group
    else
        group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
    fi
    group=${group%/emulator}
    echo "${group%/libvirt}"
}

# Inner ones first: on cgroup v1 a child may not have more than its parent.
limit_cpus() { # limit_cpus FOLDER CPUS
    local f
    find "$1" -depth -name cpuset.cpus | while read -r f; do echo "$2" >"$f" 2>/dev/null || true; done
    t_is "$2" cat "$1/cpuset.cpus"
}

record() { "$KVMTUNED" record --config "$HOST_DIR/kvmtuned.conf" >"$HOST_DIR/snapshot"; }
seen() { # seen NAME KEY: the value of that key of that guest
    sed -n "/name = \"$1\";/,/^  }/s/^ *$2 = \"\(.*\)\";\$/\1/p" "$HOST_DIR/snapshot"
}

host_guest_start free fake=1 vcpus=2 || exit 1
host_guest_start pinned fake=1 vcpus=2 pin="0:$last 1:$last" emupin="$last" || exit 1
host_guest_start limited fake=1 vcpus=2 || exit 1
t_config </dev/null

t_ok "record ends with status 0" record
t_ok "a guest without a limit has none" t_is "" seen free cgroup_cpus
t_ok "pins of libvirt are no limit of the cgroup" t_is "" seen pinned cgroup_cpus
t_ok "nodes are not limited either" t_is "" seen free cgroup_mems
t_ok "the load of the emulator's threads is known" eval '[[ $(seen free emulator_busy) =~ ^[0-9.]+\ %$ ]]'

folder=$(guest_folder limited)
if [ -w "$folder/cpuset.cpus" ] && limit_cpus "$folder" "$last"; then
    record
    t_ok "CPUs taken from a guest's cgroup are its limit" t_is "$last" seen limited cgroup_cpus
    t_ok "... and no other guest's" t_is "" seen free cgroup_cpus
    t_ok "the recorded snapshot reads back" eval '"$KVMTUNED" plan --config "$HOST_DIR/kvmtuned.conf" --snapshot "$HOST_DIR/snapshot" >/dev/null'
else
    t_skip "CPUs taken from a guest's cgroup are its limit" "no cpuset controller at $folder"
fi
t_done
