/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold whatever went wrong: the record is right, and everything can be put back. */
#include "host.h"

#include <check.h>
#include <stdio.h>

void host_begin(TestHost *h, Knobs *ret_before) {
        host_init(h);
        host_knobs(h, ret_before);
}

static const char *find_value(const Knobs *knobs, ActionKind kind, const char *uuid, unsigned index) {
        for (size_t i = 0; i < knobs->n; i++) {
                const Knob *k = &knobs->knobs[i];

                if (k->kind == kind && k->index == index && streq(k->uuid, uuid))
                        return k->value;
        }
        return NULL;
}

/* NULL: its guest is gone. */
static const char *value_of(const Knobs *knobs, const Owned *o) {
        return find_value(knobs, o->kind, o->uuid, o->index);
}

/* Of a vCPU that is not plugged in nothing can be read: its pin stays on record. */
static bool is_unplugged(const Knobs *now, const Owned *o) {
        const char *online = o->kind == ACTION_PIN_VCPU ? find_value(now, ACTION_SET_VCPUS, o->uuid, 0) : NULL;

        return online && strtoul(online, NULL, 10) <= o->index;
}

/*
 * Of what a guest has yet to do, nobody knows whether it was asked: it stays on record until it is clear. So does
 * memory that was given back a moment ago, and the one knob that is not decided anew after libvirt was asked and
 * nobody saw the answer.
 */
static bool is_open(const State *s, const Owned *o) {
        const GuestMemo *memo = state_find_guest(s, o->uuid);

        if (o->kind == ACTION_SET_VCPUS)
                return memo && memo->vcpus_target != 0;
        if (o->kind == ACTION_SET_NODESET)
                return memo && memo->calls_open_usec != 0;
        return o->kind == ACTION_SET_BALLOON &&
               ((memo && memo->balloon_target_bytes != 0) || streq(o->ours, o->original));
}

void host_check_record(TestHost *h, const Knobs *before, bool exact, const char *when) {
        _cleanup_(state_freep) State *s = host_state(h);
        _cleanup_(knobs_done) Knobs now;
        size_t n_owned = s ? s->n_owned : 0;

        host_knobs(h, &now);
        for (size_t i = 0; i < now.n; i++) {
                const Knob *k = &now.knobs[i];

                if (streq(k->value, before->knobs[i].value))
                        continue;
                ck_assert_msg(s && state_find_owned(s, k->kind, k->uuid, k->index), "%s: %s %u is %s and not on record",
                              when, action_kind_to_string(k->kind), k->index, k->value);
        }
        for (size_t i = 0; exact && i < n_owned; i++)
                ck_assert_msg(is_open(s, &s->owned[i]) || is_unplugged(&now, &s->owned[i]) ||
                                      !streq(value_of(&now, &s->owned[i]), s->owned[i].original),
                              "%s: %s %u is %s and on record\n%s", when, action_kind_to_string(s->owned[i].kind),
                              s->owned[i].index, s->owned[i].original, host_log_end(h));
        for (size_t i = 0; i < n_owned; i++)
                ck_assert_msg(streq_ptr(s->owned[i].original, value_of(before, &s->owned[i])) ||
                                      !value_of(before, &s->owned[i]),
                              "%s: %s %u on record was %s, not %s", when, action_kind_to_string(s->owned[i].kind),
                              s->owned[i].index, value_of(before, &s->owned[i]), s->owned[i].original);
}

void host_check_restored(TestHost *h, const Knobs *before, const char *when) {
        _cleanup_(state_freep) State *s = host_state(h);
        _cleanup_(knobs_done) Knobs now;

        host_knobs(h, &now);
        ck_assert_msg(streq(knobs_difference(before, &now), ""), "%s: not put back: %s\n%s", when,
                      knobs_difference(before, &now), host_log_end(h));
        ck_assert_msg(!s, "%s: %zu on record still", when, s ? s->n_owned : 0);
}

void host_run_well(TestHost *h, const char *mode, const char *when) {
        int status;

        host_calm(h);
        status = host_run(h, mode);
        ck_assert_msg(status == 0, "%s: %s ends with %d\n%s", when, mode, status, host_log_end(h));
}
