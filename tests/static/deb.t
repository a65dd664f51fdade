#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Time limit: 900 s
# The Debian packages build, lintian has nothing to say, and what they do on
# installation, upgrade, removal and purge is what a user of Debian expects.
set -u
self=$(realpath "$0")
cd "$(dirname "$0")/../.." || exit 1
export BUILD=${BUILD:-build} MAKEFLAGS=
for program in dpkg-buildpackage dh lintian; do
        command -v $program >/dev/null || { echo "1..0 # SKIP no $program"; exit 0; }
done
# What is mounted below goes with this script.
[ -n "${DEB_MOUNTS:-}" ] || [ "$(id -u)" != 0 ] || ! unshare --mount --propagation private true 2>/dev/null ||
        exec unshare --mount --propagation private env DEB_MOUNTS=1 "$BASH" "$self"
tmp=$(mktemp -d) || exit 1
trap 'umount -l "$tmp/host" 2>/dev/null; rm -rf --one-file-system "$tmp"' EXIT
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
        usr/share/man/man8/kvmtuned.8.gz usr/share/doc/kvmtuned/examples/from-ksmtuned.conf etc/kvmtuned/conf.d/; do
        check "$file is packaged" contains "${main##*/}" "$file"
done
check 'the policy is a conffile' test "$(script conffiles | grep -c .)" -ge 1
check '... by name' says conffiles '^/etc/kvmtuned/kvmtuned.conf$'
check 'an upgrade restarts a running service' says postinst 'try-restart kvmtuned.service'
check '... which is not stopped before' says_not preinst stop
check 'an installation starts none' says_not postinst 'deb-systemd-invoke start'
check 'a removal stops it' says prerm 'stop kvmtuned.service'
check 'a purge removes the state' says postrm 'rm -rf /var/lib/kvmtuned'

# --- installed, upgraded, removed, purged --------------------------------------------------
# In an overlay of this machine, which stays as it is. Under a systemd that runs: tests/lab/package.sh.
host=$tmp/host
make_host() {
        mkdir "$host" && mount -t tmpfs tmpfs "$host" && mkdir "$host"/{up,work,root} &&
                mount -t overlay overlay -o "lowerdir=/,upperdir=$host/up,workdir=$host/work" "$host/root" &&
                mount -t proc proc "$host/root/proc" && [ -e "$host/root/var/lib/dpkg/status" ] && rm -rf "$host/root/run/systemd/system"
}
dpkg_there() { DEBIAN_FRONTEND=noninteractive chroot "$host/root" dpkg --no-triggers --force-confdef --force-confold "$@"; }
there() { test "$1" "$host/root$2"; }
policy_has() { grep -qx "# $1" "$host/root/etc/kvmtuned/kvmtuned.conf"; }
# another_version NUMBER: with a policy that says so
another_version() {
        dpkg-deb -R "$main" "$tmp/tree" &&
                sed -i "s/^Version: .*/Version: $1/" "$tmp/tree/DEBIAN/control" &&
                echo "# version $1" >>"$tmp/tree/etc/kvmtuned/kvmtuned.conf" &&
                dpkg-deb -Znone --root-owner-group -b "$tmp/tree" "$host/root/tmp/$1.deb" &&
                rm -rf "$tmp/tree"
}
lifecycle() {
        check 'two other versions to upgrade from and to' eval 'another_version 0.0.1 && another_version 99 && cp "$main" "$host/root/tmp/this.deb"'
        check 'an installation' dpkg_there -i /tmp/0.0.1.deb
        check '... has the policy' policy_has 'version 0.0.1'
        mkdir -p "$host/root/var/lib/kvmtuned" && echo x >"$host/root/var/lib/kvmtuned/state"
        check 'an upgrade' dpkg_there -i /tmp/this.deb
        check '... replaces a policy that nobody has edited' eval '! policy_has "version 0.0.1"'
        echo '# mine' >>"$host/root/etc/kvmtuned/kvmtuned.conf"
        check 'another upgrade' dpkg_there -i /tmp/99.deb
        check '... keeps a policy that was edited' policy_has mine
        check '... with the new one beside it' there -e /etc/kvmtuned/kvmtuned.conf.dpkg-dist
        check 'a removal' dpkg_there -r kvmtuned
        check '... takes the program' eval '! there -e /usr/sbin/kvmtuned'
        check '... keeps the policy' policy_has mine
        check '... and the state' there -e /var/lib/kvmtuned/state
        check 'a purge' dpkg_there -P kvmtuned
        check '... takes the policy' eval '! there -e /etc/kvmtuned'
        check '... and the state' eval '! there -e /var/lib/kvmtuned'
}
reason=''
[ "$(id -u)" = 0 ] || reason='needs root'
[ -n "$reason" ] || ! dpkg-query -W kvmtuned >/dev/null 2>&1 || reason='kvmtuned is installed here'
[ -n "$reason" ] || [ -z "$(dpkg-deb -f "$main" Depends | tr ',' '\n' | sed 's/ *\([^ (|]*\).*/\1/' | xargs dpkg-query -W 2>&1 >/dev/null)" ] ||
        reason='what the package depends on is not installed'
[ -n "$reason" ] || make_host 2>"$tmp/why" || reason="no overlay of this machine: $(tail -n 1 "$tmp/why")"
if [ -z "$reason" ]; then
        lifecycle
else
        n=$((n + 1))
        echo "ok $n - installed, upgraded, removed, purged # SKIP $reason"
fi

echo "1..$n"
exit $failed
