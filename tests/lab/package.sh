#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the lab VM. The Debian packages under a real systemd: installed, upgraded
# while the service runs, removed, purged; and the tests that they come with.
# Time limit: 900 s
# Takes: 180 s
# shellcheck source=/dev/null
. /lab/lib/lab-lib.sh
# shellcheck source=lab-kvmtuned.sh
. ./lab-kvmtuned.sh

export DEBIAN_FRONTEND=noninteractive
ksm=/sys/kernel/mm/ksm
before=$(cat $ksm/run $ksm/pages_to_scan)
main=$(echo /lab/in/kvmtuned_*.deb)
work=/root/packages

# version NUMBER WORDS: the package with this version, and WORDS at the end of its policy
version() {
        rm -rf "$work/tree"
        mkdir -p "$work"
        dpkg-deb -R "$main" "$work/tree"
        sed -i "s/^Version: .*/Version: $1/" "$work/tree/DEBIAN/control"
        echo "# $2" >>"$work/tree/etc/kvmtuned/kvmtuned.conf"
        dpkg-deb -Znone --root-owner-group -b "$work/tree" "$work/$1.deb" >/dev/null
        rm -rf "$work/tree"
}
# As apt does when nobody is there to answer: a file that was edited stays.
install() { dpkg --force-confdef --force-confold -i "$@" >>"$LAB_OUT/dpkg.log" 2>&1; }
policy_has() { grep -qx "# $1" $config; }
pid() { systemctl show -P MainPID kvmtuned; }
is_down() { [ "$(systemctl show -P ActiveState kvmtuned)" = "$1" ]; }
ksm_is_ours() { [ "$(cat $ksm/run)" = 1 ] && [ "$(cat $ksm/pages_to_scan)" = 444 ]; }
ksm_is_as_before() { [ "$(cat $ksm/run $ksm/pages_to_scan)" = "$before" ]; }

version 0.0.1 'of the old version'
version 99.0 'of the new version'

# --- installation ------------------------------------------------------------------------
lab_check 'the package can be installed' install "$work/0.0.1.deb"
lab_check 'that starts nothing' is_down inactive
lab_check 'and enables nothing' eval '[ "$(systemctl is-enabled kvmtuned)" = disabled ]'
lab_check 'the policy is there' policy_has 'of the old version'

# --- upgrade of a service that runs --------------------------------------------------------
echo 'ksm: { mode = "on"; pages_to_scan = 444; };' >/etc/kvmtuned/conf.d/test.conf
systemctl start kvmtuned
lab_check 'the installed service tunes' lab_until 30 ksm_is_ours
old_pid=$(pid)
lab_check 'it can be upgraded' install "$main"
lab_check 'the service runs' systemctl -q is-active kvmtuned
lab_check 'as a new process' test "$(pid)" != "$old_pid"
lab_check 'and tunes' lab_until 30 ksm_is_ours
lab_check 'a policy that nobody has edited is the new one' eval '! policy_has "of the old version"'
echo '# mine' >>$config
lab_check 'the next upgrade' install "$work/99.0.deb"
lab_check 'keeps the policy that was edited' policy_has mine
lab_check 'puts the new one beside it' grep -qx '# of the new version' $config.dpkg-dist
lab_check 'and tunes on' lab_until 30 ksm_is_ours

# --- the front ------------------------------------------------------------------------------
lab_check "the front takes numad's place" install "$(echo /lab/in/kvmtuned-numad_*.deb)"
lab_check 'and answers' eval 'numad -V | grep -q "as numad -w"'
lab_check 'numad is gone' eval '! dpkg -s numad 2>/dev/null | grep -q "^Status: install ok installed"'

echo 'what was remembered' >/var/lib/kvmtuned/note

# --- removal, purge ----------------------------------------------------------------------------
lab_check 'the packages can be removed' eval 'dpkg -r kvmtuned-numad kvmtuned >>"$LAB_OUT/dpkg.log" 2>&1'
lab_check 'the service is stopped' is_down inactive
lab_check 'what it changed is put back' ksm_is_as_before
lab_check 'the program is gone' test ! -e /usr/sbin/kvmtuned
lab_check 'the policy stays' policy_has mine
lab_check 'and so does the state' grep -q remembered /var/lib/kvmtuned/note
rm /etc/kvmtuned/conf.d/test.conf
lab_check 'the package can be purged' eval 'dpkg -P kvmtuned >>"$LAB_OUT/dpkg.log" 2>&1'
lab_check 'then the policy is gone' test ! -e /etc/kvmtuned
lab_check 'and the state' test ! -e /var/lib/kvmtuned
lab_check 'and what it has in /run' test ! -e /run/kvmtuned

# --- the tests that the packages come with ------------------------------------------------------
# As Debian runs them. It installs the packages itself, and there is no mirror to ask for others.
run_autopkgtest() {
        mkdir -p "$work/source"
        cp -r /lab/in/debian "$work/source/"
        # By this file it knows a tree that needs no build.
        : >"$work/source/debian/files"
        rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
        autopkgtest --summary-file "$LAB_OUT/autopkgtest.summary" /lab/in/kvmtuned_*.deb /lab/in/kvmtuned-numad_*.deb \
                "$work/source/" -- null >"$LAB_OUT/autopkgtest.log" 2>&1
}
# What it says of a test in its summary.
autopkgtest_says() { grep -qx "$1 *PASS\( (superficial)\)\?" "$LAB_OUT/autopkgtest.summary"; }

if command -v autopkgtest >/dev/null; then
        lab_check 'autopkgtest runs the tests of the packages' run_autopkgtest
        for t in $(sed -n 's/^Tests: //p' /lab/in/debian/tests/control); do
                lab_check "and its test \"$t\" passes" autopkgtest_says "$t"
        done
else
        note 'no autopkgtest in this image (LAB_PACKAGES=autopkgtest): the tests are run without it'
        install "$main" "$(echo /lab/in/kvmtuned-numad_*.deb)"
        for t in $(sed -n 's/^Tests: //p' /lab/in/debian/tests/control); do
                lab_check "the packages' own test \"$t\"" sh "/lab/in/debian/tests/$t"
        done
fi
lab_check 'purged again' eval 'dpkg -P kvmtuned-numad kvmtuned >>"$LAB_OUT/dpkg.log" 2>&1'
lab_check 'everything is as before' ksm_is_as_before
keep_journal
lab_done
