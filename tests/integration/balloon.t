#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Balloons of real guests: a target by rule, reclaim by threshold, memory given
# back on distress; sizes as QEMU has them (actual of dommemstat).
. "$(dirname "$0")/testlib.sh"
t_enter "$0"

host_guest_start batch mem=192 class=batch || exit 1
host_guest_start desk mem=192 class=desktop || exit 1
host_guest_start plain mem=128 period=7 || exit 1
t_ok "the guests boot" host_wait_ready 90 batch desk plain

t_daemon_start <<X
balloon: { mode = "off"; minimum = "50 %"; step = "15 %"; reserve = "20 %"; stats_period = "1 s"; };
rules = ( { name = "window"; when = { schedule = "$(t_now_window)"; }; guests = { class = "batch"; };
            set = { balloon = { mode = "target"; target = "60 %"; }; }; },
          { name = "tight"; when = { metric = "host.memory.available"; below = "99.8 %"; clear = "99.9 %"; };
            guests = { class = "desktop"; };
            set = { balloon = { mode = "auto"; reclaim = true; minimum = "70 %"; }; }; } );
X
t_until "a schedule brings a guest to its target (60 % of 192 MiB)" 30 t_between 115 118 host_actual_mib batch
t_until "a threshold on the host reclaims down to the minimum (70 %)" 30 t_between 134 137 host_actual_mib desk
t_ok "a guest that no rule names keeps its memory" t_is 128 host_actual_mib plain
t_stays "the sizes stay where they are" 3 t_between 115 118 host_actual_mib batch

host_guest_order batch hold 75
t_until "a guest in distress gets memory back, beyond its target" 30 t_between 126 192 host_actual_mib batch
t_ok "... so that it can hold what it needs" host_wait_for 30 'GUEST-HOLDS.*mb=75' batch
t_ok "the other guest is not given any" t_between 134 137 host_actual_mib desk

t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_until "the balloon is as before after the stop" 20 t_is 192 host_actual_mib batch
t_until "... the other guest's, too" 20 t_is 192 host_actual_mib desk
period() { virsh dumpxml "$1" | sed -n "s/.*<stats period='\([0-9]*\)'.*/\1/p"; }
t_is '' period batch || t_is 0 period batch
t_result $? "the statistics period that was switched on is off again"
t_ok "a statistics period of the user's stays" t_is 7 period plain
t_done
