/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Constant demand, from calm_usec on. A guest's size may go up and down, but
 * each swing is shorter than the one before, and there are few; after
 * settle_usec nothing is asked of anybody. The decision tries a guest that was
 * short of memory again after ten minutes, doubling (lib/policy_balloon_learn.c):
 * such a try is not an oscillation, but it counts as a turn.
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
        if (mem_now(s) < s->settle_usec)
                return;
        s->metrics.late++;
        mem_violation(s, "%s is still being changed %llu s after demand became constant", g->name,
                      (unsigned long long)((mem_now(s) - s->calm_usec) / USEC_PER_SEC));
}
