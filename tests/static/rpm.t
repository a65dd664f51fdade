#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The RPM packages are made by their spec, and hold what the Debian packages hold. Of the
# program that is built already: that the spec's own build works is for make rpm.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=$(realpath -m "${BUILD:-build}")
command -v rpmbuild >/dev/null || { echo '1..0 # SKIP no rpmbuild'; exit 0; }
git rev-parse -q --verify HEAD >/dev/null 2>&1 || { echo '1..0 # SKIP not a git repository: no source archive'; exit 0; }
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
builds() {
        make -s BUILD="$BUILD" dist &&
                make -s BUILD="$BUILD" rpm RPM_OPTIONS="--nodeps --nocheck -D 'debug_package %{nil}' -D 'dist %{nil}' -D 'make_options BUILD=$BUILD -o all'"
}
# What a package may have of its own: documentation, and how its manual pages are compressed.
plain() { sed -e 's,^\./,/,; s,^/lib/,/usr/lib/,; s,\.gz$,,; s,/$,,' | grep -vE '^(/usr/share/(doc|licenses|lintian)(/|$)|/usr/lib/.build-id)' | sort -u; }
of_rpm() { rpm -qlp --nosignature "$1" 2>/dev/null | plain; }
of_deb() { dpkg-deb -c "$1" | awk '$1 !~ /^d/ { print $6 }' | plain; }
same_files() { # same_files RPM DEB
        local rpm
        # Folders are listed by the one only where it owns them.
        rpm=$(of_rpm "$1" | grep -vxE '/etc/kvmtuned(/conf.d)?|/usr/libexec/kvmtuned|/var/lib/kvmtuned')
        diff <(echo "$rpm") <(of_deb "$2")
}
query() { rpm -qp --nosignature "$@" 2>/dev/null; }

check 'the spec builds' builds
version=$(sed -n 's/^VERSION := //p' Makefile)
main=$(echo "$BUILD"/rpm/RPMS/*/kvmtuned-"$version"-*.rpm) numad=$(echo "$BUILD"/rpm/RPMS/*/kvmtuned-numad-*.rpm)
check 'the policy is a file that is kept' test "$(query --configfiles "$main")" = /etc/kvmtuned/kvmtuned.conf
owned() { query -l "$main" | grep -qx "$1"; }
for folder in /etc/kvmtuned /etc/kvmtuned/conf.d /var/lib/kvmtuned; do check "$folder is the package's" owned $folder; done
check 'the front conflicts with numad' test "$(query --conflicts "$numad")" = numad
debs=("$BUILD"/deb/kvmtuned_*.deb)
if [ -e "${debs[0]}" ]; then
        check "the same files as Debian's package" same_files "$main" "${debs[0]}"
        check '... and the front, too' same_files "$numad" "$(echo "$BUILD"/deb/kvmtuned-numad_*.deb)"
else
        n=$((n + 1))
        echo "ok $n - the same files as Debian's packages # SKIP those are not built (deb.t)"
fi

echo "1..$n"
exit $failed
