#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Guests that say anything, through a real QEMU and libvirtd: none changes what
# the others get, nor makes the daemon spin or talk. What a host of 4 GiB has
# available is what two honest guests leave it; the others only say they do.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"

top=0x8000000000000000 high=0x4000000000000000
declare -A says=(
    [silent]='NO_DRIVER=1'
    [frozen]='FROZEN=1'
    [zero]='TOTAL=0 USABLE=0 FREE=0 CACHES=0 SWAP_IN=0 FAULTS=0'
    [all]='TOTAL=0xfffffffffffffffe USABLE=0xfffffffffffffffe FREE=0xfffffffffffffffe SWAP_IN=0xfffffffffffffffe'
    [negative]="TOTAL=$top USABLE=$top FREE=$top FAULTS=$top"
    [backwards]="SWAP_IN=$high FAULTS=$high BACKWARDS=1048576 TOTAL=0x3c00000 USABLE=0x2800000 FREE=0x2000000"
    [boaster]='BALLOON=0xffffffff'
    [hung]='USABLE=0x3000000'
)
sane='TOTAL=0xf000000 USABLE=0xa000000 FREE=0x8000000 CACHES=0x2000000'
honest=(good1 good2)

build() { # build NAME WORDS...: of a symbol given twice the last holds
    local -A number=()
    local name=$1 word words=()
    shift
    for word; do number[${word%%=*}]=${word#*=}; done
    for word in "${!number[@]}"; do words+=("$word=${number[$word]}"); done
    "$TEST_LIB/../fakeguest/build.sh" "$HOST_DIR/$name.bin" "${words[@]}"
}
# The first report of one whose counters run backwards is as good as any: it is too small to give anything.
declare -A mib=([backwards]=64)
# All of their memory is resident: of what was never touched the host would gain nothing.
start() { host_guest_start "$1" fake="$HOST_DIR/$2.bin" mem="${mib[$1]:-256}" period=1 backing="<allocation mode='immediate'/>"; }

host_has() { # host_has MIB: written in place, for whoever reads it just now
    printf '%s: %9s kB\n' MemTotal 4194304 MemFree $(($1 * 1024)) MemAvailable $(($1 * 1024)) Buffers 0 Cached 0 \
        SwapTotal 0 SwapFree 0 1<>"$HOST_DIR/meminfo"
}
# As QEMU told libvirt when it changed: asking QEMU itself would keep the daemon from asking at that moment.
size() { LC_ALL=C virsh -q dominfo "$1" | awk '/^Used memory/ { print int($3 / 1024) }'; }
sizes() { local g; for g in "${honest[@]}"; do size "$g"; done; }
# The host has what it had, and what the honest guests gave; true when it has enough (51 % of 4 GiB less 16 MiB).
is_served() { # is_served MIB
    local g have=$1
    for g in $(sizes); do have=$((have + 256 - g)); done
    host_has "$have"
    [ "$have" -ge 2073 ]
}
begin() {
    rm -rf "$HOST_DIR/state"
    t_daemon_start <<'X'
daemon: { interval = "2 s"; };
balloon: { mode = "auto"; step = "50 %"; stats_period = "1 s"; start = "50 %"; stop = "51 %"; };
X
}
lines() { wc -l <"$HOST_DIR/kvmtuned.log"; }
ticks() { local f; read -r -a f <"/proc/$T_PID/stat" && echo $((f[13] + f[14])); }

# shellcheck disable=SC2086 # words
build sane $sane
host_has 3000
mount --bind "$HOST_DIR/meminfo" /proc/meminfo || exit 1
for g in "${honest[@]}"; do start "$g" sane || exit 1; done
host_has 2040
begin
t_until "the host is served by two guests alone" 30 is_served 2040
t_stays "... and rests" 3 is_served 2040
mapfile -t alone < <(sizes)
t_ok "... each gives its part" t_between 205 240 size good1
t_daemon_stop
host_has 3000

for g in "${!says[@]}"; do
    # shellcheck disable=SC2086 # words
    build "$g" $sane ${says[$g]} && start "$g" "$g" || exit 1
done
# What the frozen one said is too old by then.
sleep 12
host_has 2040
begin
t_until "with eight others, seven of them hostile, the host is served, too" 30 is_served 2040
t_stays "... and rests" 3 is_served 2040
# How much more they give than they need depends on when the daemon looks between two changes.
t_ok "... by the same guests, of about the same sizes" t_between $((alone[0] - 20)) $((alone[0] + 20)) size good1
t_between $((alone[1] - 20)) $((alone[1] + 20)) size good2
t_result $? "... both"
for g in zero negative all silent frozen backwards boaster; do
    t_ok "... nothing was asked of $g" t_not t_log_has "$g: balloon [0-9]* MiB ->"
done

# From here on one QEMU does not answer. The others' reports must go on arriving: those from before are too old.
kill -STOP "$(host_guest_pid hung)"
sleep 6
before=$(ticks) said=$(lines)
sleep 10
T_WANT='at most 100 ticks of CPU' T_GOT=$(($(ticks) - before))
[ "$T_GOT" -le 100 ]
t_result $? "ten seconds of it cost the daemon little CPU time"
T_WANT='at most 4 lines' T_GOT=$(($(lines) - said))
[ "$T_GOT" -le 4 ]
t_result $? "... and few words"
mapfile -t was < <(sizes)
host_has $((1956 + 512 - was[0] - was[1]))
t_until "a QEMU that does not answer keeps nobody from being looked at: the host is served again" 30 is_served 1956
t_ok "... by both" t_between 150 $((was[0] - 10)) size good1
t_between 150 $((was[1] - 10)) size good2
t_result $? "... and the other"
mapfile -t was < <(sizes)
host_has 4090
t_until "memory to spare is given back, whatever size one says it has" 30 t_between $((was[0] + 10)) 256 size good1
kill -CONT "$(host_guest_pid hung)"
t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_until "... and both have their memory back" 20 t_is '256 256' sizes
umount /proc/meminfo
t_done
