#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# KSM by mode, schedule and threshold, in the kernel's own files; two real guests
# with equal pages. private-host saves and restores the host's KSM.
export HOST_KSM=1
. "$(dirname "$0")/testlib.sh"
[ -w /sys/kernel/mm/ksm/run ] || { echo "1..0 # SKIP /sys/kernel/mm/ksm is not writable"; exit 0; }
t_enter "$0"

set_knob() { [ ! -e "/sys/kernel/mm/ksm/$1" ] || echo "$2" >"/sys/kernel/mm/ksm/$1"; }
knob_is() { [ ! -e "/sys/kernel/mm/ksm/$2" ] || t_is "$1" host_ksm "$2"; }
set_ksm() { # a known state that no preset uses
    set_knob advisor_mode none
    set_knob run 2
    set_knob merge_across_nodes 1
    set_knob run "$1"
    set_knob pages_to_scan 123
    set_knob sleep_millisecs 34
    set_knob smart_scan 0
}
as_before() {
    t_is "$1" host_ksm run && t_is 123 host_ksm pages_to_scan && t_is 34 host_ksm sleep_millisecs &&
        knob_is 0 smart_scan && knob_is '[none] scan-time' advisor_mode && t_is 1 host_ksm merge_across_nodes
}
# What the daemon sees of the host's memory, in MiB: a host of 1 GiB. The guests' own QEMUs do not look.
set_available() {
    printf '%s: %s kB\n' MemTotal 1048576 MemFree $(($1 * 1024)) MemAvailable $(($1 * 1024)) Buffers 0 Cached 0 \
        SwapTotal 0 SwapFree 0 >"$HOST_DIR/meminfo"
}

set_ksm 0
host_guest_start one mem=128 cmd="fill=24" || exit 1
host_guest_start two mem=128 cmd="fill=24" || exit 1

t_daemon_start <<<'ksm: { mode = "on"; pages_to_scan = 3000; sleep = "10 ms"; };'
t_until "mode on starts KSM" 10 t_is 1 host_ksm run
t_ok "... with pages_to_scan as set" t_is 3000 host_ksm pages_to_scan
t_ok "... with sleep_millisecs as set" t_is 10 host_ksm sleep_millisecs
t_ok "the guests boot" host_wait_ready 90 one two
t_until "equal pages of guests are merged" 40 t_between 3000 99999999 host_ksm pages_sharing
t_ok "SIGTERM ends it with status 0" t_daemon_stop
t_ok "KSM is as before after the stop" as_before 0

set_ksm 1
t_daemon_start <<<'ksm: { mode = "off"; };'
t_until "mode off stops KSM" 10 t_is 0 host_ksm run
t_daemon_stop
t_ok "KSM runs again after the stop" as_before 1

set_ksm 0
t_daemon_start <<X
ksm: { mode = "off"; };
rules = ( { name = "now"; when = { schedule = "$(t_now_window)"; };
            set = { ksm = { mode = "on"; pages_to_scan = 200; }; }; },
          { name = "later"; when = { schedule = "$(t_other_window)"; };
            set = { ksm = { pages_to_scan = 4000; }; }; } );
X
t_until "a rule whose schedule holds switches KSM on" 10 t_is 1 host_ksm run
t_ok "a rule whose schedule does not hold changes nothing" t_is 200 host_ksm pages_to_scan
t_daemon_stop

t_daemon_start <<X
rules = ( { name = "tight"; when = { metric = "host.memory.available"; below = "99.8 %"; clear = "99.9 %"; for = "2 s"; };
            set = { ksm = { mode = "on"; }; }; },
          { name = "never"; when = { metric = "host.guests"; above = 500; clear = 400; };
            set = { ksm = { mode = "off"; }; }; } );
X
t_until "a threshold that holds for its time switches KSM on" 15 t_is 1 host_ksm run
t_daemon_stop
t_ok "mode keep leaves KSM as it was, after the rule" as_before 0

set_ksm 0
t_daemon_start <<<'ksm: { mode = "ksmtuned"; };'
t_stays "preset ksmtuned leaves KSM off while memory is plenty" 3 t_is 0 host_ksm run
t_daemon_stop

# Mode auto, with a change that nothing may be merged for. One guest after the other has begun to be merged by now.
set_available 900
mount --bind "$HOST_DIR/meminfo" /proc/meminfo
set_ksm 0
auto='ksm: { mode = "auto"; scan_time = "2 s"; merge_across_nodes = "no"; when_stopped = "unmerge"; };'
t_daemon_start <<<"$auto"
t_stays "mode auto leaves KSM off while memory is plenty" 2 t_is 0 host_ksm run
set_available 150
t_until "... and starts it when it is short" 10 t_is 1 host_ksm run
t_until "... keeping to nodes" 5 t_is 0 host_ksm merge_across_nodes
t_until "... nine of ten equal pages are merged" 180 t_between $((24 * 256 * 9 / 10)) 99999999 host_ksm pages_sharing
t_until "... and the rest is left to the kernel's advisor, where it has one" 180 knob_is 'none [scan-time]' advisor_mode
t_daemon_stop KILL
t_ok "SIGKILL leaves KSM running" t_is 1 host_ksm run
set_available 500
t_daemon_start <<<"$auto"
t_until "the next daemon separates what was merged when memory is plenty" 10 t_is 0 host_ksm pages_sharing
t_ok "... and stops KSM" t_is 0 host_ksm run
set_available 150
t_until "... and starts it again, and merges" 180 t_between 3000 99999999 host_ksm pages_sharing
t_daemon_stop
t_ok "everything is as before, with nothing merged" as_before 0
t_is 0 host_ksm pages_sharing || t_note "pages_sharing is $T_GOT"

set_available 900
t_daemon_start <<<'ksm: { mode = "on"; pages_to_scan = 1000; };
    guests = ( { match = { name = "one"; };  ksm = { share = false; }; } );'
t_until "a guest that must not share is named" 10 t_log_has "one.*nosharepages"
t_stays "... and KSM stays off" 2 t_is 0 host_ksm run
t_daemon_stop
umount /proc/meminfo
t_done
