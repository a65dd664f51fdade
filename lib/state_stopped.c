/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

static size_t position(const State *s, const char *unit) {
        size_t i = 0;

        while (i < s->n_stopped && !streq(s->stopped[i], unit))
                i++;
        return i;
}

bool state_has_stopped(const State *s, const char *unit) {
        return position(s, unit) < s->n_stopped;
}

int state_add_stopped(State *s, const char *unit) {
        size_t length = strlen(unit);
        int r;

        if (length == 0 || length >= UNIT_NAME_SIZE)
                return -EINVAL;
        if (state_has_stopped(s, unit))
                return -EEXIST;
        r = GROW_ARRAY(s->stopped, s->stopped_capacity, s->n_stopped);
        if (r < 0)
                return r;
        memcpy(s->stopped[s->n_stopped++], unit, length + 1);
        return 0;
}

void state_remove_stopped(State *s, const char *unit) {
        size_t at = position(s, unit);

        if (at == s->n_stopped)
                return;
        s->n_stopped--;
        memmove(&s->stopped[at], &s->stopped[at + 1], (s->n_stopped - at) * sizeof(*s->stopped));
}
