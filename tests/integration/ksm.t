#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# KSM by mode, schedule and threshold, in the kernel's own files; two real guests
# with equal pages. private-host saves and restores the host's KSM.
export HOST_KSM=1
. "$(dirname "$0")/testlib.sh"
[ -w /sys/kernel/mm/ksm/run ] || { echo "1..0 # SKIP /sys/kernel/mm/ksm is not writable"; exit 0; }
t_enter "$0"

set_ksm() { # a known state that no preset uses
    [ ! -e /sys/kernel/mm/ksm/advisor_mode ] || echo none >/sys/kernel/mm/ksm/advisor_mode
    echo "$1" >/sys/kernel/mm/ksm/run
    echo 123 >/sys/kernel/mm/ksm/pages_to_scan
    echo 34 >/sys/kernel/mm/ksm/sleep_millisecs
}
as_before() { t_is "$1" host_ksm run && t_is 123 host_ksm pages_to_scan && t_is 34 host_ksm sleep_millisecs; }

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
t_done
