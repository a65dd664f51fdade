#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Debian packages build, lintian has nothing to say, and what they do on
# installation, upgrade, removal and purge is what a user of Debian expects.
set -u
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build} MAKEFLAGS=
for program in dpkg-buildpackage dh lintian; do
        command -v $program >/dev/null || { echo "1..0 # SKIP no $program"; exit 0; }
done
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

check() { # check DESCRIPTION COMMAND...
        local what=$1
        shift
        n=$((n + 1))
        if "$@" >"$tmp/out" 2>&1; then
                echo "ok $n - $what"
        else
                failed=1
                echo "not ok $n - $what"
                tail -n 40 "$tmp/out" | sed 's/^/# /'
        fi
}
lintian_is_silent() {
        lintian --allow-root --pedantic -I "$BUILD"/deb/*.changes >"$tmp/lintian"
        cat "$tmp/lintian"
        [ ! -s "$tmp/lintian" ]
}
contains() { dpkg-deb -c "$BUILD/deb/$1" | awk '{ print $6 }' | grep -qx "./$2"; }
script() { dpkg-deb -I "$main" "$1"; }
says() { script "$1" | grep -q -- "$2"; }
says_not() { ! says "$@"; }

check 'make deb' env DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" make -s deb
check 'lintian has nothing to say' lintian_is_silent
main=$(echo "$BUILD"/deb/kvmtuned_*.deb)
version=$(sed -n 's/^VERSION := //p' Makefile)
check "the package has the program's version" test "$(dpkg-deb -f "$main" Version)" = "$version"
check "... and so has the RPM's" test "$(sed -n 's/^Version: *//p' packaging/kvmtuned.spec)" = "$version"
for file in usr/sbin/kvmtuned lib/systemd/system/kvmtuned.service usr/lib/systemd/catalog/kvmtuned.catalog \
        usr/share/man/man8/kvmtuned.8.gz etc/kvmtuned/conf.d/; do
        check "$file is packaged" contains "${main##*/}" "$file"
done
check 'the policy is a conffile' test "$(script conffiles | grep -c .)" -ge 1
check '... by name' says conffiles '^/etc/kvmtuned/kvmtuned.conf$'
check 'an upgrade restarts a running service' says postinst 'try-restart kvmtuned.service'
check 'an installation starts none' says_not postinst 'deb-systemd-invoke start'
check 'a removal stops it' says prerm 'stop kvmtuned.service'
check 'a purge removes the state' says postrm 'rm -rf /var/lib/kvmtuned'

echo "1..$n"
exit $failed
