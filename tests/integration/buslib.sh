# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# buslib.sh - for tests of org.kvmtuned1: a bus of their own, and users of three kinds on it.
#
#   . "$(dirname "$0")/buslib.sh"
#   b_enter "$0"                 # this script goes on as root in a mount namespace of its own
#   t_daemon_start --uri test:///default <<<''; t_bus_start
#   t_ok "nobody is refused" refused nobody ListGuests

B_NOBODY=65534
# shellcheck disable=SC2034 # for those who read this in
B_READS=("GetStatus" "ListGuests" "ExplainGuest s test" "GetSettings s test" "ListRules" "GetPlan b false" "GetSnapshot" "GetLog su test 5")
# shellcheck disable=SC2034
B_CHANGES=("Set sss test balloon.mode auto" "Unset ss test balloon.mode" "Pause" "Resume" "Reload" "Restore")
B_POLKIT_PID=''

b_why_not() {
    local p
    [ "$(id -u)" = 0 ] || { echo 'needs root'; return; }
    for p in dbus-daemon busctl setpriv unshare cc pkg-config; do
        command -v $p >/dev/null || { echo "$p is not installed (make deps)"; return; }
    done
    unshare --mount --propagation private true 2>/dev/null || echo 'no permission for a mount namespace'
}

b_end() { [ -z "$1" ] || { kill "-${2:-TERM}" "$1" && wait "$1"; } 2>/dev/null; } # b_end PID [SIGNAL]
t_cleanup() {
    b_end "$B_POLKIT_PID"
    rm -rf --one-file-system "$HOST_DIR"
}

# b_enter SCRIPT: runs SCRIPT again in a namespace; goes on when that is where it is. For a group that may not be there.
b_enter() {
    local reason
    if [ -z "${HOST_DIR:-}" ]; then
        reason=$(b_why_not)
        [ -z "$reason" ] || { echo "1..0 # SKIP $reason"; exit 0; }
        exec unshare --mount --propagation private env HOST_DIR="$(mktemp -d "${TMPDIR:-/tmp}/kvmtuned-bus.XXXXXX")" "$BASH" "$1"
    fi
    export HOST_DIR
    # shellcheck source-path=SCRIPTDIR source=testlib.sh
    . "$(dirname "${BASH_SOURCE[0]}")/testlib.sh"
    # shellcheck source-path=SCRIPTDIR source=hostlib.sh
    . "$TEST_LIB/hostlib.sh"
    chmod 755 "$HOST_DIR"
    trap t_finish EXIT
    trap 'exit 143' TERM INT HUP
    # Where there is no group of libvirt's, here is one.
    getent group libvirt >/dev/null || {
        { cat /etc/group; echo 'libvirt:x:64056:'; } >"$HOST_DIR/group"
        mount --bind "$HOST_DIR/group" /etc/group
    }
    B_READERS=$(getent group libvirt | cut -d: -f3)
    export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$HOST_DIR/bus
}

as() { # as root|nobody|reader|UID COMMAND...
    local who=$1
    shift
    case $who in
        root) "$@" ;;
        nobody) setpriv --reuid "$B_NOBODY" --regid "$B_NOBODY" --clear-groups "$@" ;;
        reader) setpriv --reuid "$B_NOBODY" --regid "$B_NOBODY" --groups "$B_READERS" "$@" ;;
        *) setpriv --reuid "$who" --regid "$who" --clear-groups "$@" ;;
    esac
}

call() { # call WHO METHOD [ARGS...]
    local who=$1
    shift
    as "$who" busctl --system --no-pager --timeout=20 --allow-interactive-authorization=no call org.kvmtuned1 /org/kvmtuned1 org.kvmtuned1.Manager "$@" >"$HOST_DIR/out" 2>"$HOST_DIR/err"
}
property() { busctl --system get-property org.kvmtuned1 /org/kvmtuned1 org.kvmtuned1.Manager "$1" 2>/dev/null; }
refused() { ! call "$@" && grep -qiE 'access denied|only root' "$HOST_DIR/err" && [ ! -s "$HOST_DIR/out" ]; }
fails_with() { # fails_with TEXT WHO METHOD...: and nothing is told
    local text=$1
    shift
    ! call "$@" && grep -qi -- "$text" "$HOST_DIR/err" && [ ! -s "$HOST_DIR/out" ]
}
polkit_is_there() { busctl --system list 2>/dev/null | grep -q '^org.freedesktop.PolicyKit1 '; }
