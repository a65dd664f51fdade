#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM: guests with numatune in mode restrictive. With
# placement='auto' the nodeset is libvirt's choice: kvmtuned sets another one, through
# libvirt, when it places the guest elsewhere, and the memory goes there. A nodeset of
# the user's stays.
#
# The adviser says "node 0" to everybody: two guests that each want two CPUs of their
# own cannot both stay where libvirt started them.
# Time limit: 1200 s
# Takes: 400 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

policy() { # policy RESERVED_CPUS
        cat >$config <<X
daemon: { interval = "5 s"; };
host: { reserved_cpus = "$1"; };
cpu: { policy = "dedicated"; };
numa: { policy = "auto"; cooldown = "10 s"; };
X
}
auto_guest() { # auto_guest NAME MIB VCPU-PLACEMENT: persistent, so that its definition can be asked for afterwards
        lab_guest_define "$1" vcpus=2 mem="$2" placement="$3" cmd="load=1 rand=140" \
                xml="<numatune><memory mode='restrictive' placement='auto'/></numatune>"
}
nodeset() { virsh -q numatune "$1" | sed -n 's/^numa_nodeset *: *//p'; }
by_definition() { virsh -q dumpxml --inactive "$1" | grep -q "<memory mode='restrictive' placement='auto'/>"; }
vcpu_node() { # vcpu_node GUEST: each of its vCPUs has one CPU; prints the node of all of them
        local t nodes
        nodes=$(for t in $(tids "$1"); do
                echo "/sys/devices/system/cpu/cpu$(allowed "$t")"/node*
        done | sed 's/.*node//' | sort -u)
        [[ $nodes =~ ^[0-9]+$ ]] && echo "$nodes"
}
is_settled() { # is_settled GUEST: on CPUs of one node, to which libvirt and the kernel bind its memory
        local node
        node=$(vcpu_node "$1") && [ "$(nodeset "$1")" = "$node" ] && [ "$(mems "$1")" = "$node" ]
}
left() { is_settled "$1" && [ "$(vcpu_node "$1")" != "$2" ]; } # left GUEST NODE
may_run_on() { # may_run_on CPUS GUEST: each of its vCPUs
        local t
        for t in $(tids "$2"); do [ "$(allowed "$t")" = "$1" ] || return 1; done
}
apart() { vcpu_node auto1 && vcpu_node auto2 && [ "$(vcpu_node auto1)" != "$(vcpu_node auto2)" ]; } >/dev/null
memory_is_there() { [ "$(foreign_mib "$1" "$(vcpu_node "$1")")" -lt 8 ]; }

install_kvmtuned
printf '#!/bin/sh\necho 0\n' >/usr/local/bin/node0
chmod 755 /usr/local/bin/node0
put_adviser /usr/local/bin/node0
auto_guest auto1 288 auto # the larger one comes first
auto_guest auto2 256 static
lab_guest_start user vcpus=2 mem=192 numa=restrictive:1 cmd="load=1 rand=80"
lab_wait_ready 240 auto1 auto2 user
for g in auto1 auto2; do
        lab_check "$g has its memory on node 0, as libvirt was advised" test "$(mems $g) $(foreign_mib $g 0)" = '0 0'
done

# --- no room for both ------------------------------------------------------------------
policy ''
systemctl start kvmtuned
lab_check 'they are placed on nodes of their own' lab_until 60 apart
moved=auto2 stays=auto1
[ "$(vcpu_node auto2)" != 0 ] || moved=auto1 stays=auto2
lab_check 'one stays where libvirt was advised' test "$(vcpu_node $stays)" = 0
lab_check "the memory of the other follows it" lab_until 240 memory_is_there $moved
lab_check 'then libvirt and the kernel keep it on that node alone' lab_until 120 is_settled $moved
first=$(vcpu_node $moved)
set_nodeset() { # set_nodeset OLD NEW
        has_entry MESSAGE_ID=$action_done KVMTUNED_ACTION=set-nodeset KVMTUNED_GUEST=$moved KVMTUNED_OLD="$1" KVMTUNED_NEW="$2"
}
lab_check 'the journal says that it was allowed both before' set_nodeset 0 "0,$first"
lab_check 'and one afterwards' set_nodeset "0,$first" "$first"
lab_check 'the kernel has not moved it: the daemon has' has_entry MESSAGE_ID=$memory_moved KVMTUNED_GUEST=$moved
note "$moved: $(entries MESSAGE_ID=$memory_moved KVMTUNED_GUEST=$moved | jq -r .KVMTUNED_RESULT | head -n 1)"
lab_say "$moved: $(virsh dumpxml --migratable $moved | grep -A 1 '<numatune>' | tr -s ' \n' ' ')"

# --- libvirt calls it static now: it is not the user's for that -----------------------------
policy "$(cpus_of_node "$first")"
systemctl reload kvmtuned
lab_check 'its CPUs are reserved for the host: it gets a third node' lab_until 240 left $moved "$first"
lab_check 'its memory follows' memory_is_there $moved
lab_say "$(lab_mem)"
lab_check 'explain has for each guest the reasons of the journal' lab_until 60 all_explained

# --- the user's ---------------------------------------------------------------------------------
lab_check "the user's nodeset stays" test "$(nodeset user) $(mems user)" = '1 1'
lab_check 'its memory, too' test "$(foreign_mib user 1)" -lt 8
lab_check 'and its vCPUs are placed there' test "$(vcpu_node user)" = 1

# --- given back -----------------------------------------------------------------------------------
systemctl stop kvmtuned
lab_check 'a stop gives back the nodes that libvirt was advised' test "$(nodeset $moved) $(mems $moved)" = '0 0'
# libvirt makes vCPUs without a pin follow the memory's placement='auto', whatever their own is.
lab_check 'and the CPUs' eval 'may_run_on "$(cpus_of_node 0)" auto1 && may_run_on "$(cpus_of_node 0)" auto2 && unpinned user'
lab_check 'its definition is as it was: the next start asks the adviser' by_definition $moved
lab_check 'no errors in the journal' no_errors
entries KVMTUNED_GUEST=$moved | jq -r '"\(.__REALTIME_TIMESTAMP | tonumber / 1e6 | floor) \(.MESSAGE)"' >"$LAB_OUT/moved.txt"
keep_journal
for g in auto1 auto2; do virsh -q undefine $g; done # they run on, until the next scene
lab_void auto1 auto2 user
lab_done
