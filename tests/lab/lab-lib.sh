# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# lab-lib.sh - functions for scripts that run inside the lab VM (L1):
#
#   . /lab/lib/lab-lib.sh
#   lab_guest_start g1 mem=192 vcpus=2 cmd="load=2 touch=64@1"
#   lab_wait_up 120 g1 && lab_wait_ready 120 g1
#   lab_mem; lab_vcpus; lab_remote
#
# Everything here is plain libvirt and /proc: no function needs the daemon
# under test, and none changes a guest except those whose name says so.
# Guests are transient libvirt domains of type kvm; their console (with
# GUEST-UP, GUEST-READY and one "LAB ..." counter line each 5 s, see
# src/lab-init.c) is /var/lib/lab/NAME.log.

LAB_LIB=${LAB_LIB:-/lab/lib}
LAB_OUT=${LAB_OUT:-/lab/out}
LAB_CON=/var/lib/lab # not below /run: that is memory, and noexec
export LIBVIRT_DEFAULT_URI=qemu:///system
mkdir -p "$LAB_CON" "$LAB_OUT"
# Local copies: QEMU's loads should not go through the shared folder.
[ -e "$LAB_CON/vmlinuz" ] || cp "$LAB_LIB"/{vmlinuz,initrd.gz,lab-probe} "$LAB_CON/" 2>/dev/null || true

lab_say() { # lab_say TEXT...: a line with the VM's uptime
    local up
    read -r up _ </proc/uptime
    printf '[%7.1f] %s\n' "$up" "$*"
}

lab_until() { # lab_until SECONDS COMMAND...: repeat until it succeeds; 1 = never did
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 1
    done
}

# --- guests -------------------------------------------------------------------

# lab_guest_xml NAME [KEY=VALUE]... - the domain's XML on stdout. Keys:
#   mem=MIB (192)  vcpus=N (1)  cmd="words for lab-init" ("load=1")
#   pin="0:0-1 1:2,3"     vCPU:CPUs, separated by spaces
#   emupin=CPUS           emulator threads
#   cpuset=CPUS           <vcpu cpuset=...>: all vCPUs without a pin of their own
#   placement=auto        <vcpu placement='auto'> (libvirt then asks numad)
#   numa=MODE:NODES       <numatune><memory>, e.g. strict:0 or preferred:1
#   maxmem=MIB            <memory> above <currentMemory> (mem=): starts ballooned
#   nosharepages=1        <memoryBacking><nosharepages/>
#   hugepages=KIB         hugepages of that size (reserve: lab_hugepages)
#   backing=XML           further elements in <memoryBacking>, e.g. '<locked/>'
#   noballoon=1           <memballoon model='none'/>
#   period=SEC            balloon statistics period (2; 0 = off)
#   shares=N              <cputune><shares>
#   xml=XML  devxml=XML   further elements in <domain> / in <devices>
#   cpuxml=XML            replaces <cpu> (e.g. with guest NUMA cells)
lab_guest_xml() {
    local name=$1 kv k v
    local mem=192 vcpus=1 cmd=load=1 pin='' emupin='' cpuset='' placement='' numa='' maxmem=''
    local nosharepages='' hugepages='' backing='' noballoon='' period=2 shares='' xml='' devxml='' cpuxml=''
    shift
    for kv in "$@"; do
        k=${kv%%=*} v=${kv#*=}
        case $k in
            mem | vcpus | cmd | pin | emupin | cpuset | placement | numa | maxmem | nosharepages | hugepages | \
                backing | noballoon | period | shares | xml | devxml | cpuxml) printf -v "$k" %s "$v" ;;
            *) echo "lab_guest_xml: unknown key $k" >&2; return 2 ;;
        esac
    done
    echo "<domain type='kvm'><name>$name</name>"
    echo "<memory unit='MiB'>${maxmem:-$mem}</memory><currentMemory unit='MiB'>$mem</currentMemory>"
    echo "<vcpu${placement:+ placement='$placement'}${cpuset:+ cpuset='$cpuset'}>$vcpus</vcpu>"
    if [ -n "$pin$emupin$shares" ]; then
        echo "<cputune>"
        [ -z "$shares" ] || echo "<shares>$shares</shares>"
        for kv in $pin; do echo "<vcpupin vcpu='${kv%%:*}' cpuset='${kv#*:}'/>"; done
        [ -z "$emupin" ] || echo "<emulatorpin cpuset='$emupin'/>"
        echo "</cputune>"
    fi
    [ -z "$numa" ] || echo "<numatune><memory mode='${numa%%:*}' nodeset='${numa#*:}'/></numatune>"
    if [ -n "$nosharepages$hugepages$backing" ]; then
        echo "<memoryBacking>${hugepages:+<hugepages><page size='$hugepages' unit='KiB'/></hugepages>}${nosharepages:+<nosharepages/>}$backing</memoryBacking>"
    fi
    # quiet, no delays: an emulated guest kernel boots slowly enough.
    cat <<X
<os><type arch='x86_64' machine='pc'>hvm</type><kernel>$LAB_CON/vmlinuz</kernel><initrd>$LAB_CON/initrd.gz</initrd>
<cmdline>console=ttyS0 quiet nokaslr mitigations=off tsc=reliable nowatchdog random.trust_cpu=on panic=1 $cmd</cmdline></os>
<features><acpi/></features>$cpuxml$xml
<on_crash>destroy</on_crash><on_reboot>restart</on_reboot>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<serial type='file'><source path='$LAB_CON/$name.log'/></serial>
X
    if [ -n "$noballoon" ]; then
        echo "<memballoon model='none'/>"
    else
        echo "<memballoon model='virtio'>$([ "$period" = 0 ] || echo "<stats period='$period'/>")</memballoon>"
    fi
    echo "$devxml<controller type='usb' model='none'/></devices></domain>"
}

lab_guest_start() { # lab_guest_start NAME [KEY=VALUE]...: create a transient guest
    local name=$1
    : >"$LAB_CON/$name.log"
    lab_guest_xml "$@" >"$LAB_CON/$name.xml" || return
    virsh -q create "$LAB_CON/$name.xml" >"$LAB_CON/$name.virsh" 2>&1 || { cat "$LAB_CON/$name.virsh" >&2; return 1; }
}

lab_guest_define() { # the same, as a persistent guest (so that --config applies)
    local name=$1
    : >"$LAB_CON/$name.log"
    lab_guest_xml "$@" >"$LAB_CON/$name.xml" || return
    virsh -q define "$LAB_CON/$name.xml" >/dev/null && virsh -q start "$name" >/dev/null
}

lab_guest_go() { # lab_guest_go NAME...: the load of guests with wait=1 begins, by one MiB for their balloons
    local g kib
    for g in "$@"; do
        kib=$(virsh -q dominfo "$g" | awk '/^Used memory/ { print $3 }')
        virsh -q setmem "$g" $((kib - 1024)) --live >/dev/null || return
    done
}

lab_guest_kill() { # lab_guest_kill NAME...: destroy at once
    local g
    for g in "$@"; do virsh -q destroy "$g" >/dev/null 2>&1 || true; done
}

lab_guests() { # names of the running guests, one a line
    local f p
    for f in /run/libvirt/qemu/*.pid; do
        [ -e "$f" ] || continue
        p=${f##*/}
        [ "$p" != driver.pid ] || continue
        [ ! -d "/proc/$(cat "$f")/task" ] || echo "${p%.pid}"
    done
}

lab_guest_pid() { cat "/run/libvirt/qemu/$1.pid"; } # QEMU's process id

lab_wait_for() { # lab_wait_for SECONDS WORD NAME...: until each console has WORD
    local end=$((SECONDS + $1)) word=$2 g
    shift 2
    for g in "$@"; do
        until grep -q "$word" "$LAB_CON/$g.log" 2>/dev/null; do
            if [ "$SECONDS" -ge "$end" ]; then
                echo "lab: no $word from guest $g; its console ends:" >&2
                tail -n 3 "$LAB_CON/$g.log" >&2
                return 1
            fi
            sleep 1
        done
    done
}
lab_wait_up() { local s=$1; shift; lab_wait_for "$s" GUEST-UP "$@"; }       # kernel up, lab-init runs
lab_wait_ready() { local s=$1; shift; lab_wait_for "$s" GUEST-READY "$@"; } # memory populated

lab_guest_line() { # lab_guest_line NAME: the last complete counter line of the console
    tail -n 4 "$LAB_CON/$1.log" | tr -d '\r' | grep '^LAB .*total_kb=[0-9]' | tail -n 1
}

lab_guest_get() { # lab_guest_get NAME KEY: one value of it (t it touch avail_kb free_kb ...)
    lab_guest_line "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"
}

# lab_throughput NAME...: per guest, averaged from GUEST-READY (or from the
# first line after T0=<guest seconds>) to the last line. A guest that was reset
# meanwhile (boots > 1) is averaged over its last boot:
# "NAME boots=1 secs=.. it_s=V0,V1,.. touch_s=N": iterations/s of each vCPU, pages/s.
lab_throughput() {
    local g
    for g in "$@"; do
        tr -d '\r' <"$LAB_CON/$g.log" | awk -v name="$g" -v t0="${T0:-0}" '
            /GUEST-UP/ { if (boots++) { seen = 0; t0 = 0 } }
            /^LAB .*total_kb=[0-9]/ {
                for (i = 2; i <= NF; i++) { split($i, kv, "="); f[kv[1]] = kv[2] }
                if (f["t"] < t0) next
                n = split(f["it"], it, ",")
                if (!seen++) { ft = f["t"]; ftouch = f["touch"]; for (i = 1; i <= n; i++) fi[i] = it[i]; next }
                lt = f["t"]; lt_touch = f["touch"]; for (i = 1; i <= n; i++) li[i] = it[i]
            }
            END {
                d = lt - ft
                if (seen < 2 || d <= 0) { print name, "boots=" boots + 0, "secs=0"; exit }
                for (i = 1; i <= n; i++) s = s (i > 1 ? "," : "") sprintf("%.1f", (li[i] - fi[i]) / d)
                printf "%s boots=%d secs=%.0f it_s=%s touch_s=%.0f\n", name, boots, d, s, (lt_touch - ftouch) / d
            }'
    done
}

lab_hugepages() { # lab_hugepages NODE KIB COUNT: reserve hugepages on a node
    echo "$3" >"/sys/devices/system/node/node$1/hugepages/hugepages-$2kB/nr_hugepages"
}

# --- measuring ------------------------------------------------------------------

lab_probe() { "$LAB_CON/lab-probe" "$@"; } # JSON lines; options in src/lab-probe.c

lab_mem() { # MiB of each guest on each node
    lab_probe -i 0 | jq -r '.guests[] | "\(.name): " + (.node_mib | map(tostring) | join(" ")) + "  sum \(.mib) MiB"'
}

lab_vcpus() { # lab_vcpus [SECONDS]: of each vCPU: allowed CPUs, last CPU, CPU share, ms on each node
    lab_probe -i "${1:-5}" | jq -r '.guests[] | .name as $g | .vcpus[] |
        "\($g) vcpu\(.id): allowed \(.allowed) on \(.cpu) share \(.share) node_ms " + (.node_ms | map(tostring) | join(" "))'
}

lab_remote() { # lab_remote [SECONDS]: remote fractions of each guest and of all
    lab_probe -i "${1:-5}" | jq -r '(.guests[], (.all + {name: "ALL"})) |
        "\(.name): remote \(.remote) remote_ran \(.remote_ran) remote_allowed \(.remote_allowed) of \(.mib) MiB"'
}

lab_ksm() { # KSM's counters, "name value" a line
    local f
    for f in run pages_shared pages_sharing pages_unshared pages_volatile full_scans pages_to_scan sleep_millisecs merge_across_nodes; do
        [ ! -e "/sys/kernel/mm/ksm/$f" ] || echo "$f $(cat "/sys/kernel/mm/ksm/$f")"
    done
}

lab_cpu_seconds() { # lab_cpu_seconds COMM: CPU seconds of the processes with that comm
    lab_probe -i 0 -p "$1" | jq -r --arg c "$1" '.cpu_s[$c]'
}

lab_unit_seconds() { # lab_unit_seconds UNIT: CPU seconds of a system service so far
    awk '$1 == "usage_usec" { printf "%.2f\n", $2 / 1e6 }' "/sys/fs/cgroup/system.slice/$1/cpu.stat"
}

lab_watch_start() { # lab_watch_start FILE SECONDS [lab-probe option]...: sample in the background
    local file=$1 sec=$2
    shift 2
    nice -n -10 "$LAB_CON/lab-probe" -i "$sec" -n 0 "$@" >"$file" &
    LAB_WATCH=$!
}

lab_watch_stop() {
    [ -z "${LAB_WATCH:-}" ] || kill "$LAB_WATCH" 2>/dev/null || true
    wait "${LAB_WATCH:-}" 2>/dev/null || true
    LAB_WATCH=''
}

# lab_journal UNIT [journalctl option]...: the unit's journal of this boot as
# JSON lines with all of its fields (structured fields of a daemon included).
lab_journal() {
    local unit=$1
    shift
    journalctl -b --no-pager -o json -u "$unit" "$@"
}

lab_journal_errors() { journalctl -b --no-pager -o json -p err "$@"; } # the whole system's errors

# lab_died NAME...: which of these guests do not run any more or were reset,
# with the last words of their consoles; status 0 if there is one. Guests do die
# by themselves now and then under emulation: see README.md, "Known traps".
lab_died() {
    local g n died=1 running
    running=" $(lab_guests | tr '\n' ' ')"
    for g in "$@"; do
        if [[ $running == *" $g "* ]]; then
            n=$(grep -c GUEST-UP "$LAB_CON/$g.log")
            [ "$n" -gt 1 ] || continue
            died=0
            echo "guest $g was reset $((n - 1)) times"
            continue
        fi
        died=0
        echo "guest $g is gone; console: $(tail -n 1 "$LAB_CON/$g.log"); QEMU: $(tail -n 1 "/var/log/libvirt/qemu/$g.log")"
    done
    return $died
}

lab_void() { # lab_void NAME...: if one of these died by itself, this run proves nothing: status 98
    local died
    died=$(lab_died "$@") || return 0
    echo "$died"
    echo "lab: void, because a $(head -n 1 <<<"$died")"
    exit 98
}

lab_collect() { # consoles, domain XML and QEMU's logs of all guests to $LAB_OUT
    mkdir -p "$LAB_OUT/guests"
    cp "$LAB_CON"/*.log "$LAB_CON"/*.xml "$LAB_OUT/guests/" 2>/dev/null || true
    local f
    for f in /var/log/libvirt/qemu/*.log; do
        [ ! -e "$f" ] || cp "$f" "$LAB_OUT/guests/qemu-${f##*/}"
    done
    journalctl -b --no-pager -o json >"$LAB_OUT/journal.json"
}

lab_clock() { # lab_clock: "UPTIME CPU": now, and the CPU seconds that the VM has had from its machine
    local up
    read -r up _ </proc/uptime
    echo "$up $(cat /lab/.cpu)"
}

# lab_starved CLOCK: since then, in which its CPUs were busy, the VM had less than
# 70 % of the CPUs that its machine has: nothing follows from what took how long. Status 98.
lab_starved() {
    local share
    share=$(echo "$1 $(lab_clock)" | awk -v n="${LAB_CPUS:-2}" -v here="$(nproc)" '
        { printf "%d\n", 100 * ($4 - $2) / ($3 - $1) / (n < here ? n : here) }')
    [ "$share" -lt 70 ] || return 0
    echo "lab: void, because the machine was busy: the VM had $share % of it"
    exit 98
}

# --- checks ---------------------------------------------------------------------

LAB_CHECKS=0 LAB_FAILED=0
lab_check() { # lab_check DESCRIPTION COMMAND...: one "ok"/"not ok" line; see lab_done
    local what=$1
    shift
    LAB_CHECKS=$((LAB_CHECKS + 1))
    if "$@"; then
        echo "ok $LAB_CHECKS - $what"
    else
        LAB_FAILED=$((LAB_FAILED + 1))
        echo "not ok $LAB_CHECKS - $what"
    fi
}
lab_done() { # the plan line; exit status for the script
    echo "1..$LAB_CHECKS"
    [ "$LAB_FAILED" = 0 ]
}
