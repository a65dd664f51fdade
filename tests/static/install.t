#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# make install puts each file where the packages want it, and keeps a policy that is there.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
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
                sed 's/^/# /' "$tmp/out"
        fi
}

check 'make install' make -s BUILD="$BUILD" install DESTDIR="$tmp/root" PREFIX=/usr
for file in usr/sbin/kvmtuned usr/lib/systemd/system/kvmtuned.service \
        'usr/lib/systemd/system/kvmtuned-numa-balancing@.service' usr/lib/systemd/catalog/kvmtuned.catalog \
        etc/kvmtuned/kvmtuned.conf usr/share/man/man8/kvmtuned.8 usr/share/man/man5/kvmtuned.conf.5 \
        usr/share/man/man5/kvmtuned-snapshot.5 usr/share/man/man8/kvmtuned-numad.8 \
        usr/bin/kvmtunectl usr/share/man/man1/kvmtunectl.1 usr/share/bash-completion/completions/kvmtunectl usr/share/dbus-1/system.d/org.kvmtuned1.conf \
        usr/share/doc/kvmtuned/migrating.md usr/share/doc/kvmtuned/examples/from-ksmtuned.conf \
        usr/share/polkit-1/actions/org.kvmtuned1.policy usr/share/polkit-1/rules.d/org.kvmtuned1.rules; do
        check "$file is there" test -s "$tmp/root/$file"
done
check 'the unit starts the installed binary' grep -q '^ExecStart=/usr/sbin/kvmtuned$' "$tmp/root/usr/lib/systemd/system/kvmtuned.service"
check 'the shipped policy is valid' "$tmp/root/usr/sbin/kvmtuned" --check-config "$tmp/root/etc/kvmtuned/kvmtuned.conf"
echo '# mine' >>"$tmp/root/etc/kvmtuned/kvmtuned.conf"
# libvirt's AppArmor profile lets it run what is in /usr/sbin, and looks at the end of a link.
check "the numad front is a link to its program" test "$tmp/root/usr/libexec/kvmtuned/numad" -ef "$tmp/root/usr/sbin/kvmtuned-numad"
check '... which does not load libvirt, whose daemon waits for it' eval '! ldd "$tmp/root/usr/sbin/kvmtuned-numad" | grep -q libvirt'
check '... and nobody finds it unasked' test ! -e "$tmp/root/usr/bin/numad"
answers() { [ "$("$tmp/root/usr/libexec/kvmtuned/numad" -V)" = "kvmtuned $("$tmp/root/usr/sbin/kvmtuned" --version | cut -d' ' -f2), as numad -w" ]; }
check '... and answers as numad by its name' answers
mkdir -p "$tmp/root/usr/bin" && echo real >"$tmp/root/usr/bin/numad"
refused() { ! make -s BUILD="$BUILD" install-numad DESTDIR="$tmp/root" PREFIX=/usr && grep -q '^real$' "$tmp/root/usr/bin/numad"; }
check 'install-numad does not replace a real numad' refused
rm "$tmp/root/usr/bin/numad"
check 'install-numad' make -s BUILD="$BUILD" install-numad DESTDIR="$tmp/root" PREFIX=/usr
check '... puts a link where libvirt looks' test "$(readlink "$tmp/root/usr/bin/numad")" = /usr/libexec/kvmtuned/numad
check 'install-numad again' make -s BUILD="$BUILD" install-numad DESTDIR="$tmp/root" PREFIX=/usr
check 'install again' make -s BUILD="$BUILD" install DESTDIR="$tmp/root" PREFIX=/usr
check "an administrator's policy is kept" grep -q '^# mine$' "$tmp/root/etc/kvmtuned/kvmtuned.conf"
check 'uninstall' make -s BUILD="$BUILD" uninstall DESTDIR="$tmp/root" PREFIX=/usr
check 'uninstall leaves only the policy' test "$(cd "$tmp/root" && find . ! -type d)" = ./etc/kvmtuned/kvmtuned.conf

echo "1..$n"
exit $failed
