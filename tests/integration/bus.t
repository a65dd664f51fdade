#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# org.kvmtuned1 on a bus of its own: who may ask and who may change what; what
# happens without a bus; hostile input. The guest is that of libvirt's test driver.
set -u
. "$(dirname "$0")/buslib.sh"
b_enter "$0"
CTL=$(realpath -m "${KVMTUNECTL:-$TEST_LIB/../../build/kvmtunectl}")
ctl() { timeout 60 "$CTL" "$@" >"$HOST_DIR/out" 2>"$HOST_DIR/err"; }
ctl_is() { # ctl_is STATUS ARGS...
    local want=$1
    shift
    ctl "$@"
    t_is "$want" echo $?
}

# --- without a bus, and when one comes ---------------------------------------------

t_daemon_start --uri test:///default <<<"daemon: { interval = \"1 s\"; metrics_file = \"$HOST_DIR/kvmtuned.prom\"; };"
t_until "without a bus the daemon connects to libvirt" 10 t_log_has 'Connected to libvirt'
t_until "... and says once that there is no bus" 5 t_log_has 'No system bus'
t_ok "kvmtunectl says so, with status 3" ctl_is 3 status
t_bus_start
t_until "the daemon comes to a bus that is started later" 20 call root GetStatus
t_bus_stop
t_ok "the daemon outlives the bus" t_alive
t_bus_start
t_until "... and comes back to it" 20 call root GetStatus
t_ok "it said only once that there was no bus" t_is 1 t_log_count 'No system bus'
# Killed, not stopped, with questions under way.
asking=()
for ((i = 0; i < 20; i++)); do
    call root GetSnapshot &
    asking+=($!)
done
b_end "$T_BUS_PID" KILL
wait "${asking[@]}" 2>/dev/null
t_bus_start
t_until "a bus that is killed while it is asked: it comes back, too" 20 call root GetStatus
t_ok "... the same process" t_alive

t_until "the metrics are written" 10 test -s "$HOST_DIR/kvmtuned.prom"
if command -v promtool >/dev/null; then
    clean() { promtool check metrics <"$HOST_DIR/kvmtuned.prom" >"$HOST_DIR/out" 2>&1 && [ ! -s "$HOST_DIR/out" ]; }
    t_ok "... and promtool has nothing to say about them" clean
else
    t_skip "... and promtool has nothing to say about them" "no promtool (package prometheus)"
fi

# --- who may what, without polkit ------------------------------------------------------

introspected() { busctl --system introspect org.kvmtuned1 /org/kvmtuned1 org.kvmtuned1.Manager | grep -q "^.ExplainGuest *method *s *a{sv}"; }
t_ok "the interface can be introspected" introspected
for m in "${B_READS[@]}"; do
    read -ra words <<<"$m"
    t_ok "root: ${words[0]}" call root "${words[@]}"
    t_ok "a member of libvirt's group: ${words[0]}" call reader "${words[@]}"
    t_ok "anybody else is refused: ${words[0]}" refused nobody "${words[@]}"
done
for m in "${B_CHANGES[@]}"; do
    read -ra words <<<"$m"
    t_ok "a member of libvirt's group is refused: ${words[0]}" refused reader "${words[@]}"
    t_ok "anybody else is refused: ${words[0]}" refused nobody "${words[@]}"
done
untouched() { [ "$(property State)" = 's "running"' ] && ! t_log_has "by uid"; }
t_ok "nothing of that came to pass" untouched
takes_name() { as nobody busctl --system call org.freedesktop.DBus / org.freedesktop.DBus RequestName su org.kvmtuned1 4 >/dev/null 2>&1; }
t_ok "nobody but root can be org.kvmtuned1" t_not takes_name
for m in "${B_CHANGES[@]}"; do
    read -ra words <<<"$m"
    t_ok "root: ${words[0]}" call root "${words[@]}"
done
t_ok "after restore it is paused" t_is 's "paused"' property State
t_ok "who did it is in the journal" t_log_has 'test: Set balloon.mode to "auto" until reload, by uid 0'

# --- with polkit ---------------------------------------------------------------------------

read -ra flags <<<"$(pkg-config --cflags --libs libsystemd)"
t_ok "the mock of polkit compiles" cc -o "$HOST_DIR/polkit" "$TEST_LIB/mock-polkit.c" "${flags[@]}"
: >"$HOST_DIR/answers"
"$HOST_DIR/polkit" "$HOST_DIR/answers" "$HOST_DIR/asked" &
B_POLKIT_PID=$!
host_until 10 polkit_is_there
asked() { tail -n 1 "$HOST_DIR/asked" 2>/dev/null | cut -d' ' -f1,3; }
answer() { printf '%s\n' "$@" >"$HOST_DIR/answers"; }

t_ok "whom polkit does not know is refused" refused nobody ListGuests
t_ok "... it was asked for the right to read, and not to bother the user" t_is 'org.kvmtuned1.read 0' asked
answer 'org.kvmtuned1.read yes'
t_ok "whom polkit allows to read can read" call nobody ListGuests
t_ok "... and change nothing" refused nobody Resume
t_ok "... which was another question" t_is 'org.kvmtuned1.manage 0' asked
answer 'org.kvmtuned1.manage yes'
t_ok "whom polkit allows to manage can" call nobody Resume
t_ok "... it is done" t_is 's "running"' property State
t_ok "... and told with the user's number" t_log_has "Resumed, by uid $B_NOBODY"
answer 'org.kvmtuned1.manage challenge'
t_ok "who would have to give a password is told" fails_with 'authentication' nobody Pause
as nobody busctl --system --allow-interactive-authorization=yes call org.kvmtuned1 /org/kvmtuned1 org.kvmtuned1.Manager Pause >/dev/null 2>&1
t_ok "... and polkit may ask for one when the caller allows it" t_is 'org.kvmtuned1.manage 1' asked
t_ok "nothing was paused" t_is 's "running"' property State

answer 'org.kvmtuned1.read never'
waiting=()
for ((i = 0; i < 40; i++)); do
    as nobody busctl --system --timeout=15 call org.kvmtuned1 /org/kvmtuned1 org.kvmtuned1.Manager ListGuests >/dev/null 2>>"$HOST_DIR/flood" &
    waiting+=($!)
done
t_until "one user's many questions find an end" 15 grep -q 'Too many requests' "$HOST_DIR/flood"
t_ok "... while others are answered" call reader ListGuests
kill "${waiting[@]}" 2>/dev/null
wait "${waiting[@]}" 2>/dev/null
b_end "$B_POLKIT_PID"
B_POLKIT_PID=''
t_ok "without polkit again, refused" refused nobody ListGuests

# --- hostile input -----------------------------------------------------------------------------

long=$(printf 'x%.0s' {1..5000})
t_ok "a guest that is not there" fails_with 'no running guest' root ExplainGuest s nix
t_ok "a name of 5,000 letters" fails_with 'more than 1024' root ExplainGuest s "$long"
t_ok "a name that is a format" fails_with '%s%n' root ExplainGuest s '%s%n'
t_ok "a setting that is not there" fails_with 'There is no setting' root Set sss '' ksm.nix 1
t_ok "a setting without a dot" fails_with 'There is no setting' root Set sss '' ksm 1
t_ok "a value that is wrong" fails_with 'is not known' root Set sss '' ksm.mode often
t_ok "a value out of range" fails_with 'out of range' root Set sss '' ksm.start '101 %'
t_ok "a value that contradicts another" fails_with 'would not be above' root Set sss '' ksm.start '90 %'
t_ok "a host's setting for a guest" fails_with 'setting of the host' root Set sss test ksm.mode on
t_ok "a setting of the daemon itself" fails_with 'only be set in the policy file' root Set sss '' daemon.uri test:///x
t_ok "taking back what was not set" fails_with 'was not set' root Unset ss '' ksm.mode
t_ok "wrong types" fails_with 'invalid' root ExplainGuest u 5
t_ok "a method that is not there" fails_with 'unknown' root Destroy
t_ok "the daemon lives on" t_alive

# --- kvmtunectl ----------------------------------------------------------------------------------

t_ok "kvmtunectl status" ctl_is 0 status
t_ok "... names the state" grep -q 'running' "$HOST_DIR/out"
guests_json() { "$CTL" guests --json | jq -e '.[0].name == "test"' >/dev/null; }
t_ok "kvmtunectl guests --json is JSON" guests_json
t_ok "kvmtunectl explain" ctl_is 0 explain test
t_ok "kvmtunectl explain by UUID" ctl_is 0 explain "$("$CTL" guests --json | jq -r '.[0].uuid')"
t_ok "a guest that is not there: status 5" ctl_is 5 explain nix
t_ok "an unknown verb: status 2" ctl_is 2 frobnicate
t_ok "too few arguments: status 2" ctl_is 2 set ksm.mode
as nobody "$CTL" guests >"$HOST_DIR/out" 2>"$HOST_DIR/err"
t_ok "not allowed: status 4" t_is 4 echo $?
t_ok "kvmtunectl set, a value of several words" ctl_is 0 --guest test set balloon.minimum 30 %
in_force() { "$CTL" settings test | grep -q '^balloon.minimum *30 % *runtime by uid 0$'; }
t_ok "... is in force, and says where it comes from" in_force
told() { "$CTL" explain test | grep -q 'test: Set balloon.minimum'; }
t_ok "... and is in what is explained" told
t_ok "kvmtunectl reload" ctl_is 0 reload
t_ok "... forgets what was set" t_not in_force
echo 'ksm: { mode = "often"; };' >"$HOST_DIR/kvmtuned.conf"
t_ok "a faulty policy: status 1" ctl_is 1 reload
t_ok "... with file and line" grep -q 'kvmtuned.conf:1: .*often' "$HOST_DIR/err"
plan_json() { "$CTL" plan --json | jq -e '.actions | length >= 0' >/dev/null; }
t_ok "kvmtunectl plan --json is JSON" plan_json
"$CTL" snapshot >"$HOST_DIR/snapshot"
t_config <<<''
t_ok "kvmtunectl snapshot reads back" ctl_is 0 guests --snapshot "$HOST_DIR/snapshot" --config "$HOST_DIR/kvmtuned.conf"
t_ok "... with the guest" grep -q '^test ' "$HOST_DIR/out"
t_ok "kvmtunectl monitor draws once where there is no terminal" ctl_is 0 monitor
one_json() { ctl "$@" --json && t_is 1 jq -s length "$HOST_DIR/out"; }
for verb in status guests 'explain test' plan rules settings 'settings test' log topology monitor 'set ksm.mode on' 'unset ksm.mode' \
    pause resume reload restore resume; do
    # shellcheck disable=SC2086 # with its arguments
    t_ok "kvmtunectl $verb --json is one JSON value" one_json $verb
done
ctl doctor --json
t_ok "... of the doctor, too" t_is 1 jq -s length "$HOST_DIR/out"

busctl --system --json=short monitor --match "type='signal',interface='org.freedesktop.DBus.Properties'" >"$HOST_DIR/signals" 2>/dev/null &
listening=$!
signalled() { jq -se --arg v "$1" 'any(.[]; .payload.data[1].State.data? == $v)' "$HOST_DIR/signals" >/dev/null; }
paused_and_told() { ctl pause; ctl resume; signalled paused && signalled running; }
t_until "a change of the state is signalled, with its value" 10 paused_and_told
kill "$listening"
wait "$listening" 2>/dev/null
if command -v script >/dev/null; then
    # A small terminal; "q" comes when it has been drawn more than once.
    { sleep 5; printf q; sleep 1; } |
        timeout 20 script -qec "stty rows 12 cols 40; '$CTL' monitor; echo; echo status \$?; stty -a" /dev/null >"$HOST_DIR/out" 2>&1
    t_ok "on a terminal it ends on q" grep -q '^status 0' "$HOST_DIR/out"
    t_ok "... it was refreshed" test "$(grep -oF $'\e[?7l' "$HOST_DIR/out" | wc -l)" -ge 2
    in_order() { grep -qE '(^|[ ;])icanon( |;)' "$HOST_DIR/out" && grep -qE '(^|[ ;])echo( |;)' "$HOST_DIR/out"; }
    t_ok "... and leaves that in order" in_order
    t_ok "... what does not fit is cut" grep -q 'a larger window shows more' "$HOST_DIR/out"
else
    t_skip "kvmtunectl monitor on a terminal" "no script(1)"
fi
if command -v systemd-stdio-bridge >/dev/null; then
    mkdir "$HOST_DIR/bin"
    # What ssh(1) does, without the network: the last word is what to run there.
    printf '#!/bin/sh\necho "$@" >%s\nexec systemd-stdio-bridge -p "$DBUS_SYSTEM_BUS_ADDRESS"\n' "$HOST_DIR/ssh.log" >"$HOST_DIR/bin/ssh"
    chmod +x "$HOST_DIR/bin/ssh"
    remote() { PATH=$HOST_DIR/bin:$PATH ctl -H me@elsewhere guests && grep -q '^test ' "$HOST_DIR/out"; }
    t_ok "kvmtunectl asks another machine over ssh" remote
    t_ok "... that one" grep -q 'me@elsewhere' "$HOST_DIR/ssh.log"
else
    t_skip "kvmtunectl asks another machine over ssh" "no systemd-stdio-bridge"
fi
t_ok "SIGTERM ends the daemon" t_daemon_stop

# --- more than a message may hold ------------------------------------------------------------------

# As a host with 10,000 guests has; here 30 with much to tell.
{
    echo '<node>'
    title=$(head -c 600000 /dev/zero | tr '\0' x)
    for ((i = 0; i < 30; i++)); do
        echo "<domain type='test'><name>g$i</name><title>$title</title><memory>262144</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
    done
    # U+009B begins what a terminal does instead of showing it.
    echo '<domain type="test"><name>evil&#x9b;31m</name><memory>262144</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain></node>'
} >"$HOST_DIR/big.xml"
t_daemon_start --uri "test:///$HOST_DIR/big.xml" <<<''
all_listed() { call root GetStatus && grep -q '"guests" t 31' "$HOST_DIR/out"; }
t_until "many guests" 20 all_listed
t_ok "a list that is too large for the bus is refused with that word" fails_with 'too large for the bus' root ListGuests
t_ok "... a snapshot, too" fails_with 'too large for the bus' root GetSnapshot
t_ok "... and by kvmtunectl, with status 1" ctl_is 1 guests
t_ok "what is not is answered" call root GetPlan b false
evil=$'evil\xc2\x9b31m'
harmless() { ! LC_ALL=C grep -q $'\x9b' "$1" && grep -q 'evil.*31m' "$1"; }
t_ok "a guest whose name would drive a terminal can be named" ctl_is 0 -g "$evil" set balloon.mode auto
t_ok "... and explained, not as it is" ctl_is 0 explain "$evil"
t_ok "... to nobody's terminal" harmless "$HOST_DIR/out"
t_ok "... nor in an error" ctl_is 5 explain "$evil "
t_ok "... to nobody's terminal, either" harmless "$HOST_DIR/err"
t_ok "... nor in the log" harmless "$HOST_DIR/kvmtuned.log"
t_ok "... by the daemon that was asked before" t_is 0 t_log_count 'bus is gone'
t_daemon_stop
t_ok "then kvmtunectl says that it does not run: status 3" ctl_is 3 status
t_ok "... and how to start it" grep -q 'systemctl start kvmtuned' "$HOST_DIR/err"
t_done
