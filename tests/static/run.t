#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The runner of all tests: what runs at the same time, alone and beside the others, and that nothing outlives it.
set -u
run=$(cd "$(dirname "$0")/.." && pwd)/run
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
export TMPDIR=$tmp
unset TEST_TIMEOUT
mkfifo pause
n=0 failed=0

check() { # check DESCRIPTION COMMAND...
    n=$((n + 1))
    if "${@:2}"; then
        echo "ok $n - $1"
    else
        failed=1
        echo "not ok $n - $1"
        sed 's/^/# /' out
    fi
}

# Without a fork: what runs beside may have to wait for each of its steps.
until_it() { # until_it COMMAND...: for two minutes
    local i
    for ((i = 0; i < 2400; i++)); do
        "$@" 2>/dev/null && return
        read -rt 0.05 _ <>pause
    done
    return 1
}
ended() { [ -n "$1" ] && ! kill -0 "$1"; }
idle() { chrt -p $$ | grep -q SCHED_IDLE || [ "$(nice)" = 19 ]; }
export -f until_it idle

program() { # program NAME COMMAND: passes when that does; leaves NAME.began and NAME.ended
    printf '%s\n' '#!/bin/bash' 'echo 1..1' ": >$1.began" "{ $2; } && echo ok || echo not ok" ": >$1.ended" >"$1"
    chmod +x "$1"
}

program left 'until_it test -e right.began'
program right 'until_it test -e left.began'
program first 'until_it test -e beside.began && [ ! -e second.began ]'
program second '[ -e first.ended ] && [ ! -e beside.ended ]'
program west 'until_it test -e east.began'
program east 'until_it test -e west.began'
program beside 'until_it test -e east.ended && sleep 0.2 && idle'
program failing 'until_it test -e east.ended && false'
program last '[ -e beside.ended ] && [ -e failing.ended ]'
"$run" -j2 left right -- @beside @failing first second ++ west east == last >out 2>&1
check 'one failure makes the status 1' [ $? = 1 ]
check 'two at a time' grep -q '^ok .* left ' out
check 'one at a time after --, and another beside them' grep -q '^ok .* first ' out
check '... the second when the first has ended' grep -q '^ok .* second ' out
check 'two at a time again after ++' grep -q '^ok .* west ' out
check 'what runs beside leaves the processors to others' grep -q '^ok .* beside ' out
check '... its failure is one' grep -q '^FAIL .* failing ' out
check '== waits for what runs beside' grep -q '^ok .* last ' out
check 'all of them are counted' grep -qx '8 passed, 1 failed' out
rm -f ./*.began ./*.ended
"$run" -j2 -- @beside first second ++ west east >out 2>&1
check 'a mark may come first' [ $? = 0 ]

for signal in TERM KILL; do
    rm -f ./*.began endless.pid
    # shellcheck disable=SC2016 # its own number
    program endless 'echo $$ >endless.pid; sleep 1000'
    program waits 'sleep 1000'
    "$run" @endless waits >out 2>&1 &
    runner=$!
    until_it test -e waits.began && until_it test -s endless.pid
    kill -$signal $runner
    check "what runs beside ends with the runner: $signal" until_it ended "$(cat endless.pid)"
    wait $runner 2>/dev/null
done

# Killed by the first step of what it starts.
mkdir bin
cat >bin/setpriv <<'X'
#!/bin/bash
echo $$ >setpriv.pid
kill -KILL $PPID
until_it ended $PPID
PATH=${PATH#*:} exec setpriv "$@"
X
chmod +x bin/setpriv
export -f ended
program orphan true
rm -f setpriv.pid
{ PATH=$tmp/bin:$PATH "$run" @orphan >out; } 2>/dev/null
until_it test -s setpriv.pid && until_it ended "$(cat setpriv.pid)"
check 'a runner that is killed as it begins: nothing begins' [ ! -e orphan.began ]
echo "1..$n"
exit $failed
