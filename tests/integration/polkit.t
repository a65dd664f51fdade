#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# org.kvmtuned1 and the real polkitd, with the policy and the rules that kvmtuned ships: who is
# allowed nothing, who may read, who may change. The answers of a mock are in bus.t.
set -u
. "$(dirname "$0")/buslib.sh"
[ -n "${HOST_DIR:-}" ] || for f in /usr/lib/polkit-1/polkitd /usr/libexec/polkitd /usr/lib/policykit-1/polkitd; do
    [ ! -x $f ] || export B_POLKITD=$f
done
[ -n "${B_POLKITD:-}" ] || { echo '1..0 # SKIP polkitd is not installed (make deps)'; exit 0; }
b_enter "$0"

# --- polkit as it is installed, with our files, and rules of its administrator ---------

conf=$(realpath "$TEST_LIB/../../conf")
shown=/usr/share/polkit-1
rules=/etc/polkit-1/rules.d
mkdir "$HOST_DIR/share" "$HOST_DIR/rules.d"
cp -a $shown/. "$HOST_DIR/share/"
mkdir -p "$HOST_DIR/share/actions" "$HOST_DIR/share/rules.d"
cp "$conf/org.kvmtuned1.policy" "$HOST_DIR/share/actions/"
cp "$conf/org.kvmtuned1.rules" "$HOST_DIR/share/rules.d/"
# polkitd reads its rules as a user of its own.
chmod 755 "$HOST_DIR/share/rules.d" "$HOST_DIR/rules.d"
chmod 644 "$HOST_DIR"/share/*/org.kvmtuned1.*
mount --bind "$HOST_DIR/share" $shown && mount --bind "$HOST_DIR/rules.d" $rules ||
    { echo "Bail out! no polkit below $shown"; exit 1; }
# A member of libvirt's group, and somebody who is not. The groups of their processes say nothing:
# whether one is a member is polkit's question then.
member=64057 other=64058
cat /etc/passwd - >"$HOST_DIR/passwd" <<X
kvm-member:x:$member:$member::/nonexistent:/usr/sbin/nologin
kvm-other:x:$other:$other::/nonexistent:/usr/sbin/nologin
X
sed 's/^\(libvirt:.*:\)\(.\+\)$/\1\2,kvm-member/; s/^\(libvirt:.*:\)$/\1kvm-member/' /etc/group >"$HOST_DIR/group.new"
printf '%s\n' "kvm-member:x:$member:" "kvm-other:x:$other:" >>"$HOST_DIR/group.new"
mount --bind "$HOST_DIR/passwd" /etc/passwd && mount --bind "$HOST_DIR/group.new" /etc/group || exit 1

admin_rule() { # admin_rule ACTION RESULT: of kvm-other
    cat >"$HOST_DIR/rule.new" <<X
polkit.addRule(function(action, subject) {
    if (action.id == "$1" && subject.user == "kvm-other") { return polkit.Result.$2; }
});
X
    chmod 644 "$HOST_DIR/rule.new"
    mv "$HOST_DIR/rule.new" "$HOST_DIR/rules.d/10-test.rules"
}

t_bus_start
t_daemon_start --uri test:///default <<<''
t_until "the daemon is on the bus" 20 call root GetStatus
"$B_POLKITD" --no-debug >"$HOST_DIR/polkit.log" 2>&1 &
B_POLKIT_PID=$!
t_until "polkitd is on the bus" 20 polkit_is_there
t_ok "it knows our actions" pkaction --action-id org.kvmtuned1.read
t_ok "... both" pkaction --action-id org.kvmtuned1.manage

# --- as shipped -------------------------------------------------------------------------

is_running() { t_is 's "running"' property State && ! t_log_has 'by uid'; }
for m in "${B_READS[@]}"; do
    read -ra words <<<"$m"
    t_ok "root: ${words[0]}" call root "${words[@]}"
    t_ok "a member of libvirt's group by polkit's rule: ${words[0]}" call $member "${words[@]}"
    t_ok "nobody would have to be an administrator: ${words[0]}" fails_with authentication nobody "${words[@]}"
    t_ok "nor anybody else: ${words[0]}" fails_with authentication $other "${words[@]}"
done
for m in "${B_CHANGES[@]}"; do
    read -ra words <<<"$m"
    for who in nobody reader $member $other; do
        t_ok "$who may not change anything: ${words[0]}" fails_with authentication "$who" "${words[@]}"
    done
done
t_ok "nothing of that came to pass" is_running
told_to_all() { # what anybody can read of the properties has no guest in it
    as nobody busctl --system --json=short call org.kvmtuned1 /org/kvmtuned1 org.freedesktop.DBus.Properties GetAll s org.kvmtuned1.Manager >"$HOST_DIR/out" 2>&1 &&
        ! grep -qw test "$HOST_DIR/out"
}
t_ok "the properties, which anybody can read, name no guest" told_to_all

# --- as an administrator wants it ---------------------------------------------------------

admin_rule org.kvmtuned1.read YES
t_until "whom a rule allows to read can read" 20 call $other ListGuests
t_ok "... and change nothing" fails_with authentication $other Pause
t_ok "... and the others can still not read" fails_with authentication nobody ListGuests
admin_rule org.kvmtuned1.manage YES
t_until "whom a rule allows to change things can" 20 call $other Pause
t_ok "... it is done" t_is 's "paused"' property State
t_ok "... and told with the user's number" t_log_has "by uid $other"
admin_rule org.kvmtuned1.manage NO
t_until "whom a rule forbids it is refused" 20 refused $other Resume
t_ok "... and nothing is done" t_is 's "paused"' property State
t_ok "SIGTERM ends the daemon" t_daemon_stop
t_done
