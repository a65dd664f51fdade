/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Constant demand, from calm_usec on. A guest's size may go up and down, but
 * each swing is shorter than the one before, and there are few; after
 * settle_usec nothing is asked of anybody. The decision tries a guest that was
 * short of memory again after ten minutes, doubling (lib/policy_balloon_learn.c):
 * such a try is not an oscillation, but it counts as a turn, and it may come late.
 */

#include "memsim.h"

#define SLACK_BYTES (2 * MIB)
#define TURNS_MAX 4U
#define PROBE_USEC (8 * USEC_PER_MINUTE)

static void turn(MemSim *s, MemGuest *g, uint64_t at) {
        uint64_t swing = at > g->turn_bytes ? at - g->turn_bytes : g->turn_bytes - at;

        g->turns++;
        s->metrics.turns++;
        if (g->turns > 1 && swing > g->swing_bytes + SLACK_BYTES && mem_now(s) < g->turn_usec + PROBE_USEC)
                mem_violation(s, "%s swings further each time: %llu MiB after %llu", g->name,
                              (unsigned long long)(swing / MIB), (unsigned long long)(g->swing_bytes / MIB));
        if (g->turns > TURNS_MAX)
                mem_violation(s, "%s has turned %u times since demand is constant", g->name, g->turns);
        g->swing_bytes = swing;
        g->turn_bytes = at;
        g->turn_usec = mem_now(s);
}

/* It goes down to its floor, by no more than a try; or, the next time, back to where it was. */
static bool is_try(const MemSim *s, MemGuest *g, uint64_t to) {
        const GuestMemo *m = state_find_guest(s->engine.state, g->uuid);
        bool was = g->tries_from > 0;

        if (to > g->balloon && was && to <= g->tries_from + SLACK_BYTES) {
                g->tries_from = 0;
                return true;
        }
        if (to >= g->balloon || !m || m->balloon_tried_bytes == 0 || to + SLACK_BYTES < m->balloon_floor_bytes ||
            g->balloon - to > m->balloon_tried_bytes + SLACK_BYTES)
                return false;
        g->tries_from = g->balloon;
        return true;
}

void mem_settle_request(MemSim *s, MemGuest *g, uint64_t from, uint64_t to) {
        int direction = to > g->balloon ? 1 : -1;

        (void)from;
        /* One that is stuck is tried again after a while, for ever. */
        if (s->settle_usec == 0 || g->device != DEVICE_WORKS)
                return;
        if (mem_now(s) >= s->calm_usec && g->direction != 0 && direction != g->direction)
                turn(s, g, g->balloon);
        else if (g->direction == 0)
                g->turn_bytes = g->balloon;
        g->direction = direction;
        if (is_try(s, g, to) || mem_now(s) < s->settle_usec)
                return;
        s->metrics.late++;
        mem_violation(s, "%s is still being changed %llu s after demand became constant", g->name,
                      (unsigned long long)((mem_now(s) - s->calm_usec) / USEC_PER_SEC));
}
