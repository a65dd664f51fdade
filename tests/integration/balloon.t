#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Balloons of real guests: a target by rule, reclaim by threshold, memory given
# back on distress, before the guest's kernel swaps or kills; sizes as QEMU has
# them (actual of dommemstat), harm as the guest's own kernel counts it.
. "$(dirname "$0")/testlib.sh"
t_enter "$0"

host_guest_start batch mem=192 class=batch || exit 1
truncate -s 64M "$HOST_DIR/swap" && mkswap -q "$HOST_DIR/swap" || exit 1
host_guest_start desk mem=192 class=desktop cmd="every=1" devxml="<disk type='file' device='disk'>
    <driver name='qemu' type='raw'/><source file='$HOST_DIR/swap'/><target dev='vda' bus='virtio'/></disk>" || exit 1
host_guest_start plain mem=128 period=7 || exit 1
host_guest_start slow mem=192 period=10 cmd="every=1" || exit 1
t_ok "the guests boot" host_wait_ready 90 batch desk plain slow
t_ok "... one with swap, of which it has used nothing" host_wait_for 5 GUEST-SWAP desk
host_guest_order slow hold 40
t_ok "... and one that reports every 10 s holds 40 MiB" host_wait_for 30 'GUEST-HOLDS.*mb=40' slow

# unharmed NAME: since it has all it took, its kernel's counters have been looked at
unharmed() { sed '1,/^GUEST-TAKEN/d' "$HOST_DIR/$1.log" | grep -q '^GUEST t=.* swap_in=0 swap_out=0 oom=0'; }

t_daemon_start <<X
balloon: { mode = "off"; minimum = "50 %"; step = "15 %"; reserve = "20 %"; stats_period = "1 s"; };
rules = ( { name = "window"; when = { schedule = "$(t_now_window)"; }; guests = { class = "batch"; };
            set = { balloon = { mode = "target"; target = "60 %"; }; }; },
          { name = "tight"; when = { metric = "host.memory.available"; below = "99.8 %"; clear = "99.9 %"; };
            guests = { class = "desktop"; };
            set = { balloon = { mode = "auto"; reclaim = true; minimum = "70 %"; }; }; },
          { name = "now"; when = { schedule = "$(t_now_window)"; }; guests = { name = "slow"; };
            set = { balloon = { mode = "auto"; reclaim = true; step = "25 %"; }; }; } );
X
t_until "a schedule brings a guest to its target (60 % of 192 MiB)" 30 t_between 115 118 host_actual_mib batch
t_until "a threshold on the host reclaims down to the minimum (70 %)" 30 t_between 134 137 host_actual_mib desk
t_ok "a guest that no rule names keeps its memory" t_is 128 host_actual_mib plain
t_until "a guest that reports every 10 s is shrunk, too" 30 t_between 140 155 host_actual_mib slow
host_guest_order slow take 60 2
t_stays "the sizes stay where they are" 3 t_between 115 118 host_actual_mib batch

host_guest_order batch hold 75
t_until "a guest in distress gets memory back, beyond its target" 30 t_between 126 192 host_actual_mib batch
t_ok "... so that it can hold what it needs" host_wait_for 30 'GUEST-HOLDS.*mb=75' batch
t_ok "the other guest is not given any" t_between 134 137 host_actual_mib desk

host_guest_order desk take 100 6
t_ok "a guest fills its memory, with no regard to what is left" host_wait_for 60 'GUEST-TAKEN.*mb=100' desk
t_ok "... it has got its balloon back" t_between 170 192 host_actual_mib desk
t_until "... before its kernel swapped or killed anything" 5 unharmed desk
t_ok "so does one that reports every 10 s" host_wait_for 60 'GUEST-TAKEN.*mb=60' slow
# It was left 45 MiB, more than it takes in 10 s; the first report of less than 32 MiB gives it a step, 48 MiB. A guest
# that takes what it was left between two reports is not heard in time, whoever listens.
t_ok "... it has got its balloon back" t_between 170 192 host_actual_mib slow
t_until "... before its kernel killed anything" 5 unharmed slow
t_ok "a report that was not to be had, as others asked just then, is not one that never came" \
    t_between 0 1 t_log_count 'desk.*never reported'

t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_until "the balloon is as before after the stop" 20 t_is 192 host_actual_mib batch
t_until "... the other guest's, too" 20 t_is 192 host_actual_mib desk
period() { virsh dumpxml "$1" | sed -n "s/.*<stats period='\([0-9]*\)'.*/\1/p"; }
t_is '' period batch || t_is 0 period batch
t_result $? "the statistics period that was switched on is off again"
t_ok "a statistics period of the user's stays" t_is 7 period plain
t_ok "... also of a guest whose balloon was changed" t_is 10 period slow
t_done
