# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# testlib.sh - for tests/integration/*.t: TAP, and the daemon under test.
#
#   . "$(dirname "$0")/testlib.sh"
#   t_enter "$0"                 # this script goes on inside private-host
#   t_daemon_start <<<'cpu: { policy = "pinned"; };'
#   t_until "vCPU 0 is on one CPU" 5 t_is 0 host_vcpu_cpus g1 0
#   t_done

TEST_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KVMTUNED=$(realpath -m "${KVMTUNED:-$TEST_LIB/../../build/kvmtuned}")
export KVMTUNED
T_CHECKS=0 T_FAILED=0 T_PID='' T_BUS_PID=''

# t_enter SCRIPT: runs SCRIPT again inside private-host; goes on when that is where it is.
t_enter() {
    local reason
    if [ -n "${HOST_DIR:-}" ]; then
        # shellcheck source-path=SCRIPTDIR source=hostlib.sh
        . "$TEST_LIB/hostlib.sh"
        trap t_finish EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        return
    fi
    reason=$("$TEST_LIB/private-host" --check) || { echo "1..0 # SKIP $reason"; exit 0; }
    [ -x "$KVMTUNED" ] || { echo "Bail out! $KVMTUNED is not built"; exit 1; }
    # Inside there is no network to fetch the guest's kernel from.
    "$TEST_LIB/build-guest" >/dev/null || true
    exec "$TEST_LIB/private-host" "$BASH" "$1"
}

t_note() { printf '%s\n' "$*" | sed 's/^/# /'; }

t_result() { # t_result STATUS DESCRIPTION
    T_CHECKS=$((T_CHECKS + 1))
    if [ "$1" = 0 ]; then
        echo "ok $T_CHECKS - $2"
        return
    fi
    T_FAILED=$((T_FAILED + 1))
    echo "not ok $T_CHECKS - $2"
    [ -z "${T_WANT:-}" ] || t_note "want '$T_WANT', got '$T_GOT'"
    [ ! -s "$HOST_DIR/kvmtuned.log" ] || tail -n 12 "$HOST_DIR/kvmtuned.log" | sed 's/^/# | /'
}

t_ok() { # t_ok DESCRIPTION COMMAND...
    local what=$1
    shift
    T_WANT='' T_GOT=''
    "$@"
    t_result $? "$what"
}

t_until() { # t_until DESCRIPTION SECONDS COMMAND...: true within that time
    local what=$1 sec=$2
    shift 2
    T_WANT='' T_GOT=''
    host_until "$sec" "$@"
    t_result $? "$what"
}

t_stays() { # t_stays DESCRIPTION SECONDS COMMAND...: true now and all that time
    local what=$1 end=$((${EPOCHREALTIME/./} + $2 * 1000000)) rc=0
    shift 2
    T_WANT='' T_GOT=''
    while [ "${EPOCHREALTIME/./}" -lt "$end" ]; do
        "$@" || { rc=1; break; }
        sleep 0.2
    done
    t_result $rc "$what"
}

t_skip() { # t_skip DESCRIPTION REASON
    T_CHECKS=$((T_CHECKS + 1))
    echo "ok $T_CHECKS - $1 # SKIP $2"
}

t_is() { # t_is VALUE COMMAND...: the command prints VALUE
    T_WANT=$1
    shift
    T_GOT=$("$@" 2>/dev/null | tr '\n' ' ')
    T_GOT=${T_GOT% }
    [ "$T_GOT" = "$T_WANT" ]
}
t_between() { # t_between LOW HIGH COMMAND...: the command prints a number in this range
    T_WANT="$1..$2"
    local low=$1 high=$2
    shift 2
    T_GOT=$("$@" 2>/dev/null)
    [ -n "$T_GOT" ] && [ "$T_GOT" -ge "$low" ] && [ "$T_GOT" -le "$high" ]
}
t_not() { ! "$@"; }

t_done() {
    echo "1..$T_CHECKS"
    exit $((T_FAILED > 0))
}

t_finish() {
    local rc=$?
    t_daemon_stop KILL >/dev/null 2>&1
    t_bus_stop
    if declare -F t_cleanup >/dev/null; then t_cleanup; fi
    exit "$rc"
}

# --- the daemon -----------------------------------------------------------------

# What every test begins with: nothing is tuned, decisions each second.
t_config() { # t_config <<<'settings': writes the policy file; a group given here replaces the default one
    local text group
    text=$(cat)
    {
        for group in 'daemon: { interval = "1 s"; };' 'cpu: { policy = "none"; };' 'ksm: { mode = "keep"; };' \
            'balloon: { mode = "off"; };'; do
            grep -qE "(^|[; ])${group%%:*}:" <<<"$text" || echo "$group"
        done
        echo "$text"
    } >"$HOST_DIR/kvmtuned.conf"
}

t_kvmtuned() { # t_kvmtuned ARGS...: with this test's files
    "$KVMTUNED" --config "$HOST_DIR/kvmtuned.conf" --state "${T_STATE:-$HOST_DIR/state/state}" "$@"
}

t_daemon_start() { # t_daemon_start [ARGS...] <<<'settings'
    t_config
    mkdir -p "$HOST_DIR/state"
    : >"$HOST_DIR/kvmtuned.log"
    "$KVMTUNED" --config "$HOST_DIR/kvmtuned.conf" --state "${T_STATE:-$HOST_DIR/state/state}" "$@" \
        >>"$HOST_DIR/kvmtuned.log" 2>&1 </dev/null &
    T_PID=$!
}

t_alive() { [ -n "$T_PID" ] && [ -d "/proc/$T_PID" ] && ! grep -qs '^State:.Z' "/proc/$T_PID/status"; }

t_daemon_stop() { # t_daemon_stop [SIGNAL]; its exit status
    local pid=$T_PID n
    [ -n "$pid" ] || return 0
    kill "-${1:-TERM}" "$pid" 2>/dev/null
    for ((n = 0; n < 300; n++)); do
        t_alive || break
        sleep 0.1
    done
    ! t_alive || { t_note "kvmtuned does not end within 30 s"; kill -KILL "$pid"; }
    T_PID=''
    wait "$pid" 2>/dev/null
}

t_log_has() { grep -q -- "$1" "$HOST_DIR/kvmtuned.log"; }
t_log_count() { grep -c -- "$1" "$HOST_DIR/kvmtuned.log"; }

# --- a system bus ---------------------------------------------------------------

# A bus of its own in $HOST_DIR, with the rules of Debian's system bus and those that kvmtuned ships. For this
# script and whoever it starts. To be ended by t_bus_stop, also at the end.
t_bus_start() {
    cat >"$HOST_DIR/bus.conf" <<X
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type><listen>unix:path=$HOST_DIR/bus</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><deny own="*"/><deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/>
    <allow receive_type="error"/><allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <policy user="root"><allow own="org.freedesktop.PolicyKit1"/><allow send_destination="org.freedesktop.PolicyKit1"/></policy>
  <policy user="root"><allow own="org.freedesktop.systemd1"/><allow send_destination="org.freedesktop.systemd1"/></policy>
  <include ignore_missing="yes">/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf</include>
  <include>$(realpath "$TEST_LIB/../../conf/org.kvmtuned1.conf")</include>
</busconfig>
X
    export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$HOST_DIR/bus
    rm -f "$HOST_DIR/bus"
    dbus-daemon --config-file="$HOST_DIR/bus.conf" --nofork --nopidfile --nosyslog >"$HOST_DIR/bus.log" 2>&1 &
    T_BUS_PID=$!
    host_until 10 busctl --system --no-pager list >/dev/null 2>&1
}

t_bus_stop() {
    [ -z "$T_BUS_PID" ] || { kill "$T_BUS_PID" && wait "$T_BUS_PID"; } 2>/dev/null
    T_BUS_PID=''
}

# --- explain against the log ------------------------------------------------------

# What explain and the log may differ in: what was measured since.
T_SAME='def same: gsub("[0-9][0-9.,]*( [KMGT]iB)?"; "#");'

# t_explained GUEST: for the last entry about it, and for each thing that is not done to it, explain has the log's words
t_explained() {
    local ctl last
    ctl=$(realpath -m "${KVMTUNECTL:-$TEST_LIB/../../build/kvmtunectl}")
    last=$(sed -n "s/^kvmtuned: \($1: .*\)/\1/p" "$HOST_DIR/kvmtuned.log" | tail -n 1)
    sed -n "s/^kvmtuned: $1: no //p" "$HOST_DIR/kvmtuned.log" >"$HOST_DIR/skips"
    timeout 60 "$ctl" explain "$1" --json >"$HOST_DIR/explained" &&
        jq -e --arg last "$last" --rawfile skips "$HOST_DIR/skips" "$T_SAME"'
            ($skips | split("\n") | map(same)) as $logged
            | ($last != "" and .log[-1].message == $last)
              and all(.not_done[]; "\(.kind) (\(.why)): \(.detail)" | same | IN($logged[]))' "$HOST_DIR/explained" >/dev/null
}

# --- what the tests share -----------------------------------------------------------

T_ALL=$(cat /sys/devices/system/cpu/online)
# The CPUs one by one: reserving the first leaves the rest for guests.
mapfile -t T_CPUS < <(tr ',' '\n' <<<"$T_ALL" | while IFS=- read -r a b; do seq "$a" "${b:-$a}"; done)
T_FIRST=${T_CPUS[0]}

t_needs_cpus() { # t_needs_cpus N: the whole script needs so many
    [ ${#T_CPUS[@]} -ge "$1" ] || { echo "1..0 # SKIP needs $1 CPUs"; exit 0; }
}

t_today() { LC_ALL=C date "+%a"; }
# Schedules that hold now, and that do not for days: no test runs over midnight into the other.
t_now_window() { echo "$(LC_ALL=C date -d yesterday +%a),$(t_today),$(LC_ALL=C date -d tomorrow +%a)"; }
t_other_window() { LC_ALL=C date -d '+3 days' +%a; }
