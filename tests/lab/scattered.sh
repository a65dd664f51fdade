#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM. Six busy guests whose memory lies on all four nodes
# before the daemon starts: is it brought together, once, and at what cost?
# What two windows differ by before it starts is the measure of what they may differ by after.
#
#   KERNEL=WORD      kernel.numa_balancing in the policy ("": not named)
#   TUNER=kvmtuned   or numad, kernel, none: the same scene for comparison, without checks
# Time limit: 1800 s
# Takes: 1300 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

guests=(d1 d2 s1 s2 s3 s4) # two of two vCPUs, four of one: as many vCPUs as CPUs
step=16 grow=64            # MiB taken on each node, and in all
window=40                  # seconds over which throughput is measured: four times untuned, between them three times tuned
deadline=240               # seconds until the memory must be where it belongs
tuner=${TUNER:-kvmtuned}

# As the scheduler might have had it: guest number i begins on node i, takes a
# part of its memory there, the next part on the next node, and so on.
scatter() {
        local end=$((SECONDS + 300)) i grown left=1
        while [ -n "$left" ]; do
                left=''
                [ "$SECONDS" -lt $end ] || return 1
                for i in "${!guests[@]}"; do
                        grown=$(lab_guest_get "${guests[i]}" grow)
                        [ "${grown:-0}" -ge $grow ] || left=1
                        confine "${guests[i]}" "$(cpus_of_node $(((i + ${grown:-0} / step) % 4)))"
                done
                sleep 1
        done
        for i in "${guests[@]}"; do confine "$i" "$(all_cpus)"; done
}
busy() { # busy GUEST...: all its vCPUs count
        local g
        for g in "$@"; do
                case ,$(lab_guest_get "$g" it), in *,0,* | ,,) return 1 ;; esac
        done
}
# A line a guest: name, its clock, iterations of all its vCPUs; "emulator": uptime, CPU seconds the VM had.
counters() {
        local g up
        for g in "${guests[@]}"; do
                echo "$g $(lab_guest_get "$g" t) $(($(lab_guest_get "$g" it | tr , +)))"
        done
        read -r up _ </proc/uptime
        echo "emulator $up $(cat /lab/.cpu)"
}
# rates BEFORE AFTER: per guest iterations/s, and per second of CPU that the machine gave the VM meanwhile:
# what others do there does not count.
rates() {
        awk 'NR == FNR { t[$1] = $2; v[$1] = $3; next }
             { rate[$1] = ($3 - v[$1]) / ($2 - t[$1]) }
             END { for (g in rate) if (g != "emulator") printf "%s %.1f %.1f\n", g, rate[g], rate[g] / rate["emulator"] }' \
                "$1" "$2" | sort
}
measure() { # measure FILE: the rates over the window from now
        counters >"$LAB_OUT/$1.before"
        sleep $window
        counters >"$LAB_OUT/$1.after"
        rates "$LAB_OUT/$1.before" "$LAB_OUT/$1.after" >"$LAB_OUT/$1"
}
# throughput AS_BEFORE NOW: in per mille, of all guests together and of the one that kept least of its own.
throughput() {
        join "$LAB_OUT/$1" "$LAB_OUT/$2" | awk '
                { r = $5 * 1000 / $3; if (NR == 1 || r < least) least = r; a += $3; b += $5 }
                END { printf "%d %d\n", a ? b * 1000 / a : 0, least }'
}
mean() { # mean WINDOW...: the rates over all of them
        (cd "$LAB_OUT" && cat "$@") | awk '{ n[$1]++; a[$1] += $2; b[$1] += $3 }
                END { for (g in n) printf "%s %.1f %.1f\n", g, a[g] / n[g], b[g] / n[g] }' | sort
}
# What windows without the daemon differ by says nothing about it: the worse of the two that have one on either side.
control() {
        local a b c d
        mean untuned1 untuned3 >"$LAB_OUT/around2"
        mean untuned2 untuned4 >"$LAB_OUT/around3"
        read -r a b < <(throughput around2 untuned2)
        read -r c d < <(throughput around3 untuned3)
        echo $((a < c ? a : c)) $((b < d ? b : d))
}
all_on_one_node() {
        local g
        for g in "${guests[@]}"; do is_on_one_node "$g" || return; done
}
least_of() { echo $(($1 < $2 ? $1 : $2)); }
in_huge_pages() { # MiB of all guests
        local g
        for g in "${guests[@]}"; do
                cat "/proc/$(lab_guest_pid "$g")/smaps_rollup"
        done | awk '$1 == "AnonHugePages:" { s += $2 } END { printf "%d\n", s / 1024 }'
}
access_remote() { lab_probe -i 5 | jq '.all.remote * 1000 | floor'; } # per mille, by where the vCPUs ran
all_local() {
        last_remote=$(access_remote)
        [ "$last_remote" -lt 50 ]
}
# Nothing was moved for 20 s: what it did is done.
rested() {
        local now
        now=$(migrated_kib)
        [ "$now" = "${last_migrated:-}" ] || { last_migrated=$now rest_began=$SECONDS; }
        [ $((SECONDS - rest_began)) -ge 20 ]
}
# MiB that lay before on other nodes than the one the guest is on now: what had to be moved.
misplaced() {
        local g
        for g in "${guests[@]}"; do
                jq --arg g "$g" --argjson n "$(one_node "$g" || echo 0)" \
                        '.guests[] | select(.name == $g) | .mib - .node_mib[$n]' "$LAB_OUT/before.json"
        done | awk '{ s += $1 } END { printf "%d\n", s }'
}
# MiB moved by the daemon's own account: "153 MiB moved, 0 B could not be moved, in 9120 ms"
journal_moved() {
        entries MESSAGE_ID=$memory_moved | jq -r .KVMTUNED_RESULT | awk '
                { mib = $1; if ($2 == "KiB") mib /= 1024; if ($2 == "GiB") mib *= 1024; s += mib }
                END { printf "%d\n", s }'
}
# Systemd builds the sandbox of a unit in the new process, and in its time. That is noted before the daemon becomes it.
note_sandbox() {
        local unit
        unit=$(systemctl show -P FragmentPath kvmtuned)
        mkdir -p /run/systemd/system/kvmtuned.service.d
        cat >/run/systemd/system/kvmtuned.service.d/sandbox.conf <<X
[Service]
ExecStart=
ExecStart=/bin/sh -c 'read -r a </proc/self/stat; echo "\$\$a" >/run/kvmtuned/sandbox; exec $(sed -n 's/^ExecStart=//p' "$unit")'
X
        systemctl daemon-reload
}
forget_sandbox() {
        rm -r /run/systemd/system/kvmtuned.service.d
        systemctl daemon-reload
}
start_tuner() {
        case $tuner in
                kvmtuned) systemctl start kvmtuned ;;
                numad) systemctl start numad ;;
                kernel) echo 1 >/proc/sys/kernel/numa_balancing ;;
        esac
}
tuner_seconds() { # CPU of the whole service
        case $tuner in
                kvmtuned | numad) lab_unit_seconds "$tuner.service" ;;
                *) echo 0 ;;
        esac
}

install_kvmtuned
cat >$config <<X
cpu: { policy = "shared"; };
numa: { policy = "auto"; };
X
[ -z "${KERNEL:-}" ] || echo "kernel: { numa_balancing = \"$KERNEL\"; };" >>$config
lab_check 'the policy is valid' kvmtuned --check-config
note_sandbox

# --- the scene --------------------------------------------------------------------
for i in "${!guests[@]}"; do
        case ${guests[i]} in d*) n=2 ;; *) n=1 ;; esac
        lab_guest_start "${guests[i]}" mem="${MEM:-160}" vcpus=$n period=0 cmd="load=$n wait=1 grow=$grow/2/2 every=2"
        confine "${guests[i]}" "$(cpus_of_node $((i % 4)))"
done
lab_check 'the guests take memory on all nodes' scatter
lab_guest_go "${guests[@]}"
lab_check 'and are busy' lab_until 120 busy "${guests[@]}"
lab_check 'no guest is pinned' unpinned "${guests[@]}"
measure untuned1
lab_probe -i 5 >"$LAB_OUT/before.json"
huge_before=$(in_huge_pages)
lab_mem
note "untuned: $(jq '.all.remote * 1000 | floor' "$LAB_OUT/before.json") per mille of $(
        jq '.all.mib | floor' "$LAB_OUT/before.json") MiB remote"

# --- the daemon -------------------------------------------------------------------
migrated=$(migrated_kib) began=$SECONDS
lab_watch_start "$LAB_OUT/watch.json" 10
clock=$(lab_clock)
start_tuner
[ "$tuner" != kvmtuned ] || read -r ready _ < <(daemon_cpu)
lab_check "less than 5 % of the memory is remote within $deadline s" lab_until $deadline all_local
note "$last_remote per mille remote after $((SECONDS - began)) s"
lab_watch_stop
lab_check 'then it comes to rest' lab_until 240 rested
measure tuned1 # and time for second thoughts, which it should not have
stop_clock=$(lab_clock)
if [ "$tuner" = kvmtuned ]; then
        read -r own copying < <(daemon_cpu)
        threads=$(daemon_threads)
fi
lab_probe -i 5 >"$LAB_OUT/after.json"
lab_mem
lab_vcpus 1
moved=$((($(migrated_kib) - migrated) / 1024))
note "moved: $moved MiB by the kernel's counter, $(journal_moved) MiB by the journal; it had to move $(misplaced) MiB"
note "of the guests' memory in huge pages: $huge_before MiB untuned, $(in_huge_pages) MiB tuned"
note "CPU seconds of the service, copying included: $(tuner_seconds)"
lab_void "${guests[@]}"
lab_starved "$clock"
if [ "$tuner" != kvmtuned ]; then
        read -r all least < <(throughput untuned1 tuned1)
        note "throughput in per mille of the untuned, one window each: all $all, the guest with least $least"
        lab_collect
        exit 0
fi

# What the process did before it was the daemon, systemd did. And a CPU second of a busy VM is mostly waiting for the
# machine: what it got for each is what counts.
sandbox=$(awk '{ print $14 + $15 }' /run/kvmtuned/sandbox)
own=$((own - sandbox))
real=$(echo "$clock $stop_clock" | awk -v own="$own" '{ printf "%d\n", own * ($4 - $2) / ($3 - $1) / 8 }')
note "CPU of the daemon until then: $real/100 s of the machine ($own/100 s of the VM's 8 CPUs), of the kernel's copying of pages in its name: $copying/100 s"
note "in 1/100 s of the VM: $((ready - sandbox)) of it before it was ready; before that systemd's sandbox $sandbox"
note "its threads, user+system in 1/100 s of the VM, with the sandbox: $threads"
lab_check 'it is still local' all_local
for g in "${guests[@]}"; do lab_check "$g is on one node" is_on_one_node "$g"; done
lab_check 'the two large guests are not on the same node' nodes_differ d1 d2
lab_check 'no memory was moved twice' no_repeats MESSAGE_ID=$memory_moved
lab_check 'no vCPU was pinned twice' test "$(count_entries MESSAGE_ID=$action_done KVMTUNED_ACTION=pin-vcpu)" = 8
lab_check 'the bytes moved are at most 1.2 times what had to move' test $((moved * 10)) -le $(($(misplaced) * 12))
lab_check "the daemon's own CPU is below 2 s" test "$real" -lt 200
lab_check 'explain has for each guest the reasons of the journal' lab_until 60 all_explained
keep_journal

# --- what it costs the guests -----------------------------------------------------
clock=$(lab_clock)
for i in 2 3 4; do
        systemctl stop kvmtuned
        lab_check "stop $((i - 1)) gives the CPUs back" unpinned "${guests[@]}"
        measure untuned$i
        [ $i -lt 4 ] || break
        systemctl start kvmtuned
        lab_check "start $i puts each guest on one node" lab_until 120 all_on_one_node
        measure tuned$i
done
lab_check 'their memory was already there' test $((($(migrated_kib) - last_migrated) / 1024)) -le 8
forget_sandbox
lab_void "${guests[@]}"
lab_starved "$clock"
mean untuned1 untuned2 untuned3 untuned4 >"$LAB_OUT/untuned"
mean tuned1 tuned2 tuned3 >"$LAB_OUT/tuned"
read -r all least < <(throughput untuned tuned)
read -r control_all control_least < <(control)
for i in 1 2 3; do
        mean untuned$i untuned$((i + 1)) >"$LAB_OUT/around"
        read -r a b < <(throughput around tuned$i)
        note "throughput of tuned window $i in per mille of those on either side of it: all $a, the guest with least $b"
done
note "of all: $all, the guest with least $least; an untuned window differs from those beside it to $control_all and $control_least"
# There is no gain to be had here, so this looks for loss: more of it than the machine makes by itself.
lab_check 'the guests together do not get less done than untuned' test "$all" -ge "$(least_of 950 "$control_all")"
lab_check 'and none of them does' test "$least" -ge "$(least_of 900 "$control_least")"
lab_check 'no errors in the journal' no_errors
keep_journal
lab_done
