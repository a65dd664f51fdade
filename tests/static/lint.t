#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Time limit: 900 s
# cppcheck, clang-tidy and shellcheck have nothing to say.
#
# What they say wrongly is listed with its reason: in suppressions/cppcheck, in
# .clang-tidy, and below for shellcheck.
set -u
cd "$(dirname "$0")/../.." || exit 1
n=0 failed=0
jobs=$(nproc)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
defines=(-D_GNU_SOURCE '-DVERSION="0"' '-DSYSCONFDIR="/etc"' '-DLOCALSTATEDIR="/var"')

# check TOOL DESCRIPTION COMMAND...: an exit status of 0 and no output are good.
check() {
        local tool=$1 what=$2 text rc
        shift 2
        n=$((n + 1))
        if ! command -v "$tool" >/dev/null; then
                echo "ok $n - $what # SKIP no $tool"
                return
        fi
        text=$("$@" 2>&1)
        rc=$?
        if [ $rc = 0 ] && [ -z "$text" ]; then
                echo "ok $n - $what"
        else
                failed=1
                echo "not ok $n - $what"
                { echo "status $rc"; echo "$text"; } | head -n 60 | sed 's/^/# /'
        fi
}

c_faults() {
        cppcheck -j"$jobs" --quiet --error-exitcode=1 --enable=warning,performance,portability --std=c11 \
                --library=posix --library=gnu "${defines[@]}" '-DElfW(type)=Elf64_##type' --inline-suppr \
                --suppressions-list=tests/static/suppressions/cppcheck \
                --template='{file}:{line}: {severity}: {message} [{id}]' lib daemon ctl tests/unit
}

# Within each function only: followed into the callee, the analyzer takes "-errno" for zero or more, and
# reports what ret_ parameters would hold then. Of each report its first line; .clang-tidy says why not of leaks.
c_paths() {
        local flags=() rc
        read -ra flags < <(pkg-config --cflags libconfig hwloc numa libvirt libvirt-qemu libsystemd libxml-2.0)
        flags+=(-std=gnu11 "${defines[@]}" -Xclang -analyzer-config -Xclang ipa=none)
        # shellcheck disable=SC2016 # the inner shell's
        printf '%s\0' lib/*.c daemon/*.c ctl/*.c | xargs -0 -P "$jobs" -n 4 bash -c '
                n=$1
                shift
                clang-tidy --quiet "${@:n + 1}" -- "${@:1:n}"' - \
                "${#flags[@]}" "${flags[@]}" >"$tmp/tidy" 2>"$tmp/tidy.err"
        rc=$?
        grep -E ' (warning|error): ' "$tmp/tidy" | grep -vE ' Potential (leak of memory|memory leak) .*unix\.Malloc\]$'
        [ $rc = 0 ] || tail -n 20 "$tmp/tidy.err"
        return $rc
}

scripts=() libraries=()
mapfile -t scripts < <(grep -rlE '^#! ?/bin/(ba|da)?sh' .ci tools tests 2>/dev/null | sort)
mapfile -t libraries < <(grep -rlxF '# shellcheck shell=bash' .ci tools tests 2>/dev/null | sort)

# SC2120: functions that pass "$@" on, for whoever has options to add.
shell_faults() {
        shellcheck -x -P SCRIPTDIR -S warning -e SC2120 -f gcc "${scripts[@]}"
}

# SC2034: a variable of a library is used by those who read it in.
shell_library_faults() {
        [ ${#libraries[@]} = 0 ] || shellcheck -x -P SCRIPTDIR -S warning -e SC2034,SC2120 -f gcc "${libraries[@]}"
}

# 118 are aimed at, and kept by headers; a table of a test may be wider: a row a line.
wide_lines() {
        awk -v most="$1" 'length($0) > most { printf "%s:%d: %d columns\n", FILENAME, FNR, length($0) }' "${@:2}"
}

check awk 'no line of the sources is wider than 125 columns' wide_lines 125 {lib,daemon,ctl}/*.c
check awk 'no line of a header is wider than 118 columns' wide_lines 118 {lib,daemon,ctl}/*.h
check cppcheck 'cppcheck finds nothing in the sources and unit tests' c_faults
check clang-tidy 'clang-tidy finds nothing in the sources' c_paths
check shellcheck 'shellcheck finds nothing in the scripts' shell_faults
check shellcheck 'shellcheck finds nothing in what the scripts read in' shell_library_faults

echo "1..$n"
exit $failed
