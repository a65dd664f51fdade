/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Constant demand, from calm_usec on. A guest's size may go up and down, but of
 * the swings from one turn to the next each is shorter than the one before, and
 * there are few; after settle_usec nothing is asked of anybody. A swing that
 * goes on from before calm_usec is as long as it is, not as what is left of it.
 *
 * The decision tries a guest that was short of memory with less after ten
 * minutes (lib/policy_balloon_learn.c). Such a try, by no more than it says, and
 * the way back are no swing, and may come late; but no try is larger than the
 * one before.
 *
 * A workload that is killed for want of memory and comes back a minute later is
 * no constant demand: swings count anew from when it is killed, and from when
 * the decision has heard of it again. Before that it must take it for gone.
 */

#include "memsim.h"

#define SLACK_BYTES (2 * MIB)
#define TURNS_MAX 2U

static void turn(MemSim *s, MemGuest *g, uint64_t at) {
        uint64_t swing = at > g->turn_bytes ? at - g->turn_bytes : g->turn_bytes - at;

        g->turns++;
        s->metrics.turns++;
        if (g->turns > 1 && swing > g->swing_bytes + SLACK_BYTES)
                mem_violation(s, "%s swings further each time: %llu MiB after %llu", g->name,
                              (unsigned long long)(swing / MIB), (unsigned long long)(g->swing_bytes / MIB));
        if (g->turns > TURNS_MAX)
                mem_violation(s, "%s has turned %u times since demand is constant", g->name, g->turns);
        g->swing_bytes = swing;
        g->turn_bytes = at;
}

/* How much less the try that goes on dares, when this is one. */
static uint64_t tried(const MemSim *s, const MemGuest *g, uint64_t to) {
        const GuestMemo *m = state_find_guest(s->engine.state, g->uuid);

        if (to >= g->balloon || !m || to + SLACK_BYTES < m->balloon_floor_bytes ||
            g->balloon - to > m->balloon_tried_bytes + SLACK_BYTES)
                return 0;
        return m->balloon_tried_bytes;
}

static void try_less(MemSim *s, MemGuest *g, uint64_t bytes) {
        if (g->tried_bytes > 0 && bytes > g->tried_bytes)
                mem_violation(s, "%s is tried with %llu MiB less, after %llu", g->name,
                              (unsigned long long)(bytes / MIB), (unsigned long long)(g->tried_bytes / MIB));
        g->tried_bytes = bytes;
        g->tries_from = g->balloon;
}

/* It goes down to its floor, by no more than a try; or, the next time, back to where it was. */
static bool follows_a_try(MemSim *s, MemGuest *g, uint64_t to) {
        uint64_t bytes = tried(s, g, to);

        if (bytes > 0) {
                try_less(s, g, bytes);
                return true;
        }
        if (to <= g->balloon || g->tries_from == 0 || to > g->tries_from + SLACK_BYTES)
                return false;
        g->tries_from = 0;
        return true;
}

void mem_settle_again(MemSim *s) {
        for (size_t i = 0; i < s->n_guests; i++) {
                s->guests[i].direction = 0;
                s->guests[i].turns = 0;
        }
}

/* On from where it turned, be that before demand was constant. */
static void move_on(MemSim *s, MemGuest *g, int direction) {
        if (g->direction != 0 && direction != g->direction && mem_now(s) >= s->calm_usec)
                turn(s, g, g->balloon);
        else if (direction != g->direction)
                g->turn_bytes = g->balloon;
        g->direction = direction;
}

void mem_settle_request(MemSim *s, MemGuest *g, uint64_t to) {
        bool calm = mem_now(s) >= s->calm_usec;

        if (s->settle_usec == 0 || g->device == DEVICE_STUCK || (calm && follows_a_try(s, g, to)))
                return;
        move_on(s, g, to > g->balloon ? 1 : -1);
        /* One that is stuck is tried again after a while, for ever. */
        if (mem_now(s) < s->settle_usec || !mem_device_works(s, g))
                return;
        s->metrics.late++;
        mem_violation(s, "%s is still being changed %llu s after demand became constant", g->name,
                      (unsigned long long)((mem_now(s) - s->calm_usec) / USEC_PER_SEC));
}
