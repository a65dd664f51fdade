/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "record.h"

/* A balloon is given back when it is there; the policy sees that. */
static bool gives_back(const Owned *o, const Action *a) {
        return a->kind != ACTION_SET_BALLOON && streq(o->original, a->new_value);
}

bool sim_record_own(State *s, const Action *a) {
        const Owned *o = state_find_owned(s, a->kind, a->uuid, a->index);

        if (o && (gives_back(o, a) || streq(o->ours, a->new_value)))
                return false;
        if (state_own(s, a) < 0)
                abort();
        return a->kind != ACTION_MOVE_MEMORY;
}

bool sim_record_done(State *s, const Action *a) {
        const Owned *o = state_find_owned(s, a->kind, a->uuid, a->index);

        if (!o || !gives_back(o, a))
                return false;
        state_disown(s, a->kind, a->uuid, a->index);
        return true;
}

void sim_record_failed(State *s, const Action *a) {
        Owned *o = state_find_owned(s, a->kind, a->uuid, a->index);

        if (!o || !streq(o->ours, a->new_value))
                return;
        if (!o->previous) {
                state_disown(s, a->kind, a->uuid, a->index);
                return;
        }
        free(o->ours);
        o->ours = TAKE_PTR(o->previous);
}
