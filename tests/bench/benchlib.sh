# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# benchlib.sh - what the benchmarks share: where things are, and records. Each
# figure becomes a line of JSON in build/bench/NAME.json, and a word in a table.

BENCH_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BENCH_TOP=$(cd "$BENCH_LIB/../.." && pwd)
BENCH_BUILD=$(cd "$BENCH_TOP" && realpath -m "${BUILD:-build}")
BENCH_OUT=$BENCH_BUILD/bench
KVMTUNED=${KVMTUNED:-$BENCH_BUILD/kvmtuned}

bench_program() { # path of a program of this folder
    echo "$BENCH_BUILD/tests/bench/$1"
}

bench_open() { # bench_open NAME: records of this benchmark begin
    mkdir -p "$BENCH_OUT"
    BENCH_JSON=$BENCH_OUT/$1.json
    BENCH_NAME=$1
    : >"$BENCH_JSON"
}

# bench_verdict VALUE TARGET: met, or not met; nothing without a target
bench_verdict() {
    [ -n "$2" ] || return 0
    awk -v v="$1" -v t="$2" 'BEGIN { print (v <= t) ? "met" : "not met" }'
}

# bench_record METRIC VALUE TARGET ["KEY=VALUE"...]: a line of JSON. TARGET '' = none.
bench_record() {
    local metric=$1 value=$2 target=$3 kv line v
    shift 3
    line="{\"bench\":\"$BENCH_NAME\",\"metric\":\"$metric\",\"value\":$value"
    for kv in "$@"; do
        v=${kv#*=}
        case $v in '' | *[!0-9.-]*) v="\"$v\"" ;; esac
        line="$line,\"${kv%%=*}\":$v"
    done
    if [ -n "$target" ]; then
        [ "$(bench_verdict "$value" "$target")" = met ] && v=true || v=false
        line="$line,\"target\":$target,\"met\":$v"
    fi
    echo "$line}" >>"$BENCH_JSON"
}

bench_div() { # bench_div A B [DIGITS]
    awk -v a="$1" -v b="$2" -v d="${3:-1}" 'BEGIN { printf "%.*f\n", d, b ? a / b : 0 }'
}

# The guests of these benchmarks: tests/fakeguest with eight times the memory in
# its statistics. As it comes it has less usable memory than counts as distress.
export BENCH_GUEST_MIB=256
bench_guest_file() {
    local src=$HOST_DIR/fakeguest-src
    mkdir "$src" && cp "$BENCH_TOP/tests/fakeguest/build.sh" "$src/" &&
        sed 's/\([0-9]*\)\*1024\*1024/8*\1*1024*1024/' "$BENCH_TOP/tests/fakeguest/fakeguest.S" >"$src/fakeguest.S" &&
        bash "$src/build.sh" "$HOST_DIR/fakeguest.bin"
}

# --- the daemon -----------------------------------------------------------------

bench_daemon_start() { # bench_daemon_start: the policy is on stdin; sets DAEMON_PID
    cat >"$HOST_DIR/bench.conf"
    rm -f "$HOST_DIR/bench.state"
    "$KVMTUNED" --config "$HOST_DIR/bench.conf" --state "$HOST_DIR/bench.state" >>"$HOST_DIR/daemon.log" 2>&1 &
    DAEMON_PID=$!
    sleep 0.5
    kill -0 "$DAEMON_PID" 2>/dev/null && return 0
    tail -n 5 "$HOST_DIR/daemon.log" >&2
    return 1
}

bench_daemon_stop() {
    kill -TERM "$DAEMON_PID" 2>/dev/null
    wait "$DAEMON_PID"
    DAEMON_PID=''
}
