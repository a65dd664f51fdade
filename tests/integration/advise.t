#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Advice before the first page: libvirt asks the numad front for placement='auto', and what it did is in /proc.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"

# libvirt runs /usr/bin/numad and no other: a layer over /usr/bin, in this mount namespace, has a link there.
adviser=$HOST_DIR/numad
mkdir "$HOST_DIR/bin"
ln -s "$adviser" "$HOST_DIR/bin/numad"
ln -s "$KVMTUNED-numad" "$adviser"
mount -t overlay kvmtuned-test -o "lowerdir=$HOST_DIR/bin:/usr/bin" /usr/bin 2>"$HOST_DIR/out" ||
    { echo "1..0 # SKIP no overlay over /usr/bin: $(cat "$HOST_DIR/out")"; exit 0; }
numad_path=$(strings -a /usr/lib/*/libvirt.so.0 /usr/lib64/libvirt.so.0 2>/dev/null | grep -m 1 '/numad$')
[ "$numad_path" = /usr/bin/numad ] || { echo "1..0 # SKIP libvirt does not run /usr/bin/numad but '$numad_path'"; exit 0; }

auto_guest() { # auto_guest NAME VCPUS [KEY=VALUE]...: prepares it
    local name=$1 vcpus=$2
    shift 2
    host_guest_prepare "$name" fake=1 vcpus="$vcpus" mem=64 "$@" \
        xml="<numatune><memory mode='strict' placement='auto'/></numatune>" || exit 1
    sed -i "s,<vcpu>,<vcpu placement='auto'>," "$HOST_DIR/$name.xml"
}
create() { timeout "${2:-60}" virsh -q create "$HOST_DIR/$1.xml" >"$HOST_DIR/$1.virsh" 2>&1; }
status_nodes() { sed -n "s/.*<numad nodeset='\([^']*\)'.*/\1/p" "/run/libvirt/qemu/$1.xml"; }
mems() { sed -n 's/^Mems_allowed_list:\t//p' "/proc/$(host_guest_pid "$1")/status"; }
nodes() { cat /sys/devices/system/node/has_memory; }
committed() { # vCPUs that count on this host now, by the engine
    "$KVMTUNED" advise --no-reserve --explain --vcpus 1 --memory 1MiB 2>&1 >/dev/null |
        sed -n 's/.* fit, \([0-9.]*\) of [0-9]* CPUs committed.*/\1/p'
}
reservations() { grep -c '^given=' /run/kvmtuned/reservations; }

t_config <<<''
t_ok "an empty host: nothing is committed" t_is 0 committed
t_ok "the answer is one line with nodes" eval '[[ "$("$adviser" -w 1:64)" =~ ^[0-9,-]+$ ]]'
rm -f /run/kvmtuned/reservations

auto_guest auto1 1
t_ok "a guest with placement='auto' starts" create auto1
t_ok "... libvirt has asked us" t_is 1 reservations
t_ok "... for its vCPUs and its memory" grep -q 'vcpus=1 memory=67108864$' /run/kvmtuned/reservations
t_ok "... and has our nodes" t_is "$(sed -n 's/.*nodes=\([^ ]*\).*/\1/p' /run/kvmtuned/reservations)" status_nodes auto1
t_ok "... its memory comes from them, by /proc" t_is "$(status_nodes auto1)" mems auto1
node_cpus() { local n; for n in ${1//,/ }; do cat "/sys/devices/system/node/node$n/cpulist"; done | paste -sd,; }
case $(status_nodes auto1) in *-*) ;; *)
    t_ok "... its vCPU runs on their CPUs, by /proc" t_is "$(node_cpus "$(status_nodes auto1)")" host_vcpu_cpus auto1 0 ;;
esac
t_ok "the guest counts once: its advice is fulfilled" t_is 1 committed

# Advice nobody used yet, then its guest, which need not be placed by libvirt.
"$KVMTUNED" advise --vcpus 2 --memory 64MiB >"$HOST_DIR/out"
t_ok "advice counts before its guest is there" t_is 3 committed
host_guest_start plain fake=1 vcpus=2 mem=64 || exit 1
t_ok "... and once when it is" t_is 3 committed
"$KVMTUNED" advise --vcpus 2 --memory 64MiB --no-reserve >"$HOST_DIR/out"
t_ok "--no-reserve leaves nothing behind" t_is 3 committed

# What the daemon makes of it.
t_daemon_start <<<'cpu: { policy = "shared"; };'
t_until "the daemon has decided" 10 t_log_has 'Connected to libvirt'
"$KVMTUNED" record --config "$HOST_DIR/kvmtuned.conf" >"$HOST_DIR/snapshot" 2>"$HOST_DIR/out"
t_ok "the daemon knows what libvirt was advised" grep -q "advised_nodes = \"$(status_nodes auto1)\"" "$HOST_DIR/snapshot"
t_stays "... and leaves the guest there" 3 t_is "$(status_nodes auto1)" mems auto1
"$KVMTUNED" advise --vcpus 1 --memory 32MiB >"$HOST_DIR/out"
"$KVMTUNED" record --config "$HOST_DIR/kvmtuned.conf" >"$HOST_DIR/snapshot" 2>"$HOST_DIR/out"
t_ok "advice whose guest is not there is in its snapshot" grep -q 'memory = "32 MiB"; given' "$HOST_DIR/snapshot"
t_ok "... that of guests that are there is not" t_is 1 grep -c '; given = ' "$HOST_DIR/snapshot"
t_ok "the daemon runs" t_alive
t_daemon_stop

# A nodeset that was given back is static for libvirt. Whose choice it was, when the vCPUs are libvirt's to place as
# well, stands in the definition of a persistent guest, and nowhere else.
restrictive_guest() { # restrictive_guest NAME MEMORY-PLACEMENT: defined, and started from that
    auto_guest "$1" 1
    sed -i "s,<memory mode='strict' placement='auto'/>,<memory mode='restrictive' $2/>," "$HOST_DIR/$1.xml"
    virsh -q define "$HOST_DIR/$1.xml" >"$HOST_DIR/$1.virsh" 2>&1 && virsh -q start "$1" >>"$HOST_DIR/$1.virsh" 2>&1
}
live_memory() { virsh -q dumpxml "$1" | sed -n 's/.*\(<memory mode=.*\)/\1/p'; }
left_to_libvirt() { # names of the guests whose definition leaves their memory to libvirt although they run otherwise
    "$KVMTUNED" record --config "$HOST_DIR/kvmtuned.conf" 2>"$HOST_DIR/out" | tr '\n' ' ' |
        sed 's/ name = /\n&/g' | sed -n 's/^ name = "\([^"]*\)".*defined_auto = true.*/\1/p'
}
one=$(nodes)
one=${one%%[,-]*}
t_ok "a persistent guest in mode restrictive starts where libvirt was advised" restrictive_guest given "placement='auto'"
t_ok "another where its user says" restrictive_guest users "nodeset='$one'"
t_ok "neither runs otherwise than it is defined" t_is '' left_to_libvirt
advised=$(status_nodes given)
t_ok "its nodeset is set to what was advised" virsh -q numatune given --live --nodeset "$advised"
t_ok "... which libvirt calls static" t_is "<memory mode='restrictive' nodeset='$advised'/>" live_memory given
t_ok "... and by its definition it is libvirt's choice, the other's is not" t_is given left_to_libvirt
virsh -q undefine given
t_ok "without a definition nobody knows" t_is '' left_to_libvirt

# Faults: the guest starts, or libvirt says why not; nothing hangs.
echo garbage >/run/kvmtuned/reservations
auto_guest auto2 1
t_ok "a damaged file of reservations keeps no guest from starting" create auto2
t_ok "... and is a good one afterwards" t_is 1 reservations
flock /run/kvmtuned/reservations.lock sleep 30 &
holder=$!
host_until 5 t_not flock -n /run/kvmtuned/reservations.lock true
auto_guest auto3 1
t_ok "another adviser that is stuck keeps no guest from starting" create auto3 20
kill "$holder"

rm "$adviser"
printf '#!/bin/sh\nexit 1\n' >"$adviser"
chmod 755 "$adviser"
auto_guest failing 1
t_ok "an adviser that fails: libvirt does not start the guest" t_not create failing
t_ok "... says so" grep -q 'numad' "$HOST_DIR/failing.virsh"
t_ok "... and answers" host_libvirtd_answers
printf '#!/bin/sh\nsleep 4\necho 0\n' >"$adviser"
auto_guest slow 1
create slow &
waiting=$!
sleep 1
t_ok "an adviser that is slow: other guests can be asked for meanwhile" eval "timeout 2 virsh -q domstate plain >\"\$HOST_DIR/out\""
wait "$waiting"
t_ok "... and the guest starts when it has answered" t_is running virsh -q domstate slow
t_done
