# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# hostlib.sh - functions for commands that run in private-host: its libvirtd,
# guests, and what /proc and libvirt say of them.
#
#   host_guest_start g1 mem=128 vcpus=2 cmd="fill=32"
#   host_wait_up 60 g1
#   host_vcpu_cpus g1 0          # "0-1": the allowed CPUs of vCPU 0, by /proc
#
# Guests are transient domains. Nothing here needs the daemon under test.

HOST_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LIBVIRT_DEFAULT_URI=qemu:///system

host_until() { # host_until SECONDS COMMAND...: repeat until it succeeds; 1 = never did
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
        sleep 0.1
    done
}

# --- libvirtd -----------------------------------------------------------------

host_libvirtd_pid() { cat /run/libvirt/libvirtd.pid; }

host_libvirtd_answers() { timeout 20 virsh -q list >/dev/null 2>&1; }

host_libvirtd_spawn() { # start it, do not wait until it answers
    cat >/etc/libvirt/qemu.conf <<X
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
namespaces = []
cgroup_controllers = [ "cpu", "cpuset", "cpuacct", "memory" ]
max_processes = 0
X
    cat >/etc/libvirt/libvirtd.conf <<X
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_group = "root"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
max_client_requests = 100
X
    libvirtd -d --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirt/libvirtd.pid
}

host_libvirtd_start() {
    host_libvirtd_spawn && host_until 60 host_libvirtd_answers && return 0
    echo "private libvirtd does not answer:" >&2
    tail -n 5 /var/log/libvirt/libvirtd.log >&2
    return 1
}

host_libvirtd_gone() { ! [ -d "/proc/$1" ]; }

host_libvirtd_kill() { # guests go on
    local pid
    pid=$(host_libvirtd_pid)
    kill -KILL "$pid" && host_until 10 host_libvirtd_gone "$pid"
}

# --- guests -------------------------------------------------------------------

# A /dev/kvm that opens says little: some have no hardware behind them and take
# minutes for a kernel. The BIOS ends QEMU with status 33 when its first
# instructions are run.
host_kvm_works() {
    local f rc
    f=$HOST_DIR/probe.bin
    [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo || return 1
    truncate -s 64K "$f"
    printf '\xb0\x10\xe6\xf4\xf4' | dd of="$f" bs=1 seek=65520 conv=notrunc status=none
    timeout 5 qemu-system-x86_64 -accel kvm -machine pc -nodefaults -display none -m 16 -bios "$f" \
        -device isa-debug-exit,iobase=0xf4,iosize=4 >/dev/null 2>&1
    rc=$?
    rm -f "$f"
    [ $rc = 33 ]
}

host_virt_type() { # kvm, or qemu (software emulation); KVMTUNED_TEST_VIRT overrides
    if [ ! -s "$HOST_DIR/.virt-type" ]; then
        if [ -n "${KVMTUNED_TEST_VIRT:-}" ]; then
            echo "$KVMTUNED_TEST_VIRT"
        elif host_kvm_works; then
            echo kvm
        else
            echo qemu
        fi >"$HOST_DIR/.virt-type"
    fi
    cat "$HOST_DIR/.virt-type"
}

# The guest's files, built and copied on first use.
host_guest_files() {
    local out
    [ ! -e "$HOST_DIR/initrd.gz" ] || return 0
    out=$("$HOST_LIB/build-guest") && cp "$out/vmlinuz" "$HOST_DIR/" && cp "$out/initrd.gz" "$HOST_DIR/"
}

host_fakeguest_file() {
    [ ! -e "$HOST_DIR/fakeguest.bin" ] || return 0
    "$HOST_LIB/../fakeguest/build.sh" "$HOST_DIR/fakeguest.bin"
}

# host_guest_xml NAME [KEY=VALUE]... - the domain's XML on stdout. Keys:
#   mem=MIB (128)  cmd="words for guest-init"
#   vcpus=N[/MAX] (1)     how many it starts with, and may have
#   fake=1|FILE           the BIOS guest of tests/fakeguest instead of Linux, or one that the test has built
#   pin="0:0-1 1:1"       vCPU:CPUs, separated by spaces
#   emupin=CPUS           emulator threads
#   iothreads=N           I/O threads
#   numa=MODE:NODES       <numatune><memory>
#   class=NAME            kvmtuned's metadata
#   noballoon=1           <memballoon model='none'/>
#   period=SEC            balloon statistics period (0 = off)
#   backing=XML           elements in <memoryBacking>
#   xml=XML  devxml=XML   further elements in <domain> / in <devices>
host_guest_xml() {
    local name=$1 kv k
    local mem=128 vcpus=1 cmd='' fake='' pin='' emupin='' iothreads='' numa='' class='' noballoon='' period=0
    local backing='' xml='' devxml=''
    shift
    for kv in "$@"; do
        k=${kv%%=*}
        case $k in
            mem | vcpus | cmd | fake | pin | emupin | iothreads | numa | class | noballoon | period | backing | xml | devxml)
                printf -v "$k" %s "${kv#*=}" ;;
            *) echo "host_guest_xml: unknown key $k" >&2; return 2 ;;
        esac
    done
    echo "<domain type='$(host_virt_type)'><name>$name</name>"
    echo "<memory unit='MiB'>$mem</memory><vcpu current='${vcpus%/*}'>${vcpus#*/}</vcpu>"
    [ -z "$class" ] || echo "<metadata><kvmtuned:guest xmlns:kvmtuned='https://kvmtuned.org/xmlns/guest/1' class='$class'/></metadata>"
    [ -z "$iothreads" ] || echo "<iothreads>$iothreads</iothreads>"
    if [ -n "$pin$emupin" ]; then
        echo "<cputune>"
        for kv in $pin; do echo "<vcpupin vcpu='${kv%%:*}' cpuset='${kv#*:}'/>"; done
        [ -z "$emupin" ] || echo "<emulatorpin cpuset='$emupin'/>"
        echo "</cputune>"
    fi
    [ -z "$numa" ] || echo "<numatune><memory mode='${numa%%:*}' nodeset='${numa#*:}'/></numatune>"
    [ -z "$backing" ] || echo "<memoryBacking>$backing</memoryBacking>"
    echo "<os><type arch='x86_64' machine='pc'>hvm</type>"
    if [ -n "$fake" ]; then
        [ "$fake" != 1 ] || fake=$HOST_DIR/fakeguest.bin
        echo "<loader type='rom'>$fake</loader>"
    else
        echo "<kernel>$HOST_DIR/vmlinuz</kernel><initrd>$HOST_DIR/initrd.gz</initrd><cmdline>console=ttyS0 quiet nokaslr" \
            "mitigations=off tsc=reliable nowatchdog random.trust_cpu=on panic=1 $cmd</cmdline>"
    fi
    echo "</os>${HOST_PARTITION:+<resource><partition>$HOST_PARTITION</partition></resource>}$xml<features><acpi/><apic/></features><on_crash>destroy</on_crash><devices>"
    if [ -z "$fake" ]; then
        echo "<serial type='file'><source path='$HOST_DIR/$name.log'/><target port='0'/></serial>"
        echo "<serial type='pipe'><source path='$HOST_DIR/$name.order'/><target port='1'/></serial>"
    fi
    if [ -n "$noballoon" ]; then
        echo "<memballoon model='none'/>"
    else
        echo "<memballoon model='virtio'>$([ "$period" = 0 ] || echo "<stats period='$period'/>")</memballoon>"
    fi
    echo "$devxml<controller type='usb' model='none'/></devices></domain>"
}

# host_guest_prepare NAME [KEY=VALUE]...: everything but the start: NAME.xml in $HOST_DIR
host_guest_prepare() {
    case " $* " in
        *' fake=1 '*) host_fakeguest_file || return ;;
        *' fake='*) ;;
        *)
            host_guest_files || return
            : >"$HOST_DIR/$1.log"
            [ -p "$HOST_DIR/$1.order" ] || mkfifo "$HOST_DIR/$1.order" || return
            ;;
    esac
    host_guest_xml "$@" >"$HOST_DIR/$1.xml"
}

host_guest_start() { # host_guest_start NAME [KEY=VALUE]...
    host_guest_prepare "$@" && virsh -q create "$HOST_DIR/$1.xml" >"$HOST_DIR/$1.virsh" 2>&1 && return 0
    echo "guest $1 does not start: $(cat "$HOST_DIR/$1.virsh" 2>/dev/null)" >&2
    return 1
}

# host_fakeguests_start COUNT [KEY=VALUE]...: guests fake1..fakeCOUNT over one connection
host_fakeguests_start() {
    local count=$1 i
    shift
    for ((i = 1; i <= count; i++)); do
        host_guest_prepare "fake$i" fake=1 mem=32 "$@" || return
        echo "create $HOST_DIR/fake$i.xml"
    done >"$HOST_DIR/fakes.virsh"
    virsh -q <"$HOST_DIR/fakes.virsh" >"$HOST_DIR/fakes.log" 2>&1
    [ "$(host_guests | grep -c '^fake')" -ge "$count" ] || { grep -m 3 error "$HOST_DIR/fakes.log" >&2; return 1; }
}

host_guest_destroy() { # host_guest_destroy NAME...: at once
    local g
    for g in "$@"; do virsh -q destroy "$g" >/dev/null 2>&1 || true; done
}

host_guests() { # names of the running guests, one a line
    local f p
    for f in /run/libvirt/qemu/*.pid; do
        p=${f##*/}
        [ "$p" = driver.pid ] || [ ! -e "$f" ] || [ ! -d "/proc/$(cat "$f")" ] || echo "${p%.pid}"
    done
}

host_guest_pid() { cat "/run/libvirt/qemu/$1.pid"; }

host_guest_order() { # host_guest_order NAME WORDS...: an order to guest-init, e.g. hold 100
    local g=$1
    shift
    echo "$*" >"$HOST_DIR/$g.order"
}

host_wait_for() { # host_wait_for SECONDS WORD NAME...: until each console has WORD
    local sec=$1 word=$2 g
    shift 2
    for g in "$@"; do
        host_until "$sec" grep -q -- "$word" "$HOST_DIR/$g.log" && continue
        echo "no '$word' from guest $g in $sec s; its console ends:" >&2
        tail -n 3 "$HOST_DIR/$g.log" >&2
        return 1
    done
}
host_wait_up() { local s=$1; shift; host_wait_for "$s" GUEST-UP "$@"; }       # the kernel is up
host_wait_ready() { local s=$1; shift; host_wait_for "$s" GUEST-READY "$@"; } # its memory is filled

# --- what the kernel and QEMU say -----------------------------------------------

# host_threads NAME: "TID KIND" a line; KIND is vcpuN, iothreadN or emulator.
host_threads() {
    local pid t comm
    pid=$(host_guest_pid "$1") || return
    for t in "/proc/$pid/task"/*; do
        read -r comm 2>/dev/null <"$t/comm" || continue
        case $comm in
            'CPU '*) comm=${comm#CPU } && echo "${t##*/} vcpu${comm%%/*}" ;;
            'IO iothread'*) echo "${t##*/} iothread${comm#IO iothread}" ;;
            *) echo "${t##*/} emulator" ;;
        esac
    done
}

# host_cpus NAME KIND: the allowed CPUs, by /proc; one line when all threads of the kind agree.
host_cpus() {
    local pid tid kind
    pid=$(host_guest_pid "$1") || return
    host_threads "$1" | while read -r tid kind; do
        [ "$kind" != "$2" ] || sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$pid/task/$tid/status"
    done 2>/dev/null | sort -u
}
host_vcpu_cpus() { host_cpus "$1" "vcpu$2"; }

host_all_cpus() { cat /sys/devices/system/cpu/online; }

host_stat() { # host_stat NAME KEY: one value of dommemstat (KiB): actual, unused, usable, ...
    timeout 20 virsh -q dommemstat "$1" | sed -n "s/^$2 //p"
}
host_actual_mib() { local k; k=$(host_stat "$1" actual) && echo $((${k:-0} / 1024)); }

host_ksm() { cat "/sys/kernel/mm/ksm/$1"; }
