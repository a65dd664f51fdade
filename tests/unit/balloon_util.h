/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the balloon controller share: the world, and how it obeys. */

#include "memory_util.h"

static World world;

static inline _unused_ void setup(void) {
        world_init(&world);
        world_set_host(&world, 64 * GIB, 13 * GIB);     /* between start (15 %) and stop (25 %) */
        world_set(&world, KEY_BALLOON_MODE, BALLOON_AUTO);
}

static inline _unused_ void teardown(void) {
        world_done(&world);
}

static inline _unused_ void run(void) {
        world_run(&world, policy_balloon, NULL);
}

static inline _unused_ uint64_t asked(const Guest *g) {
        const Action *a = world_action(&world, ACTION_SET_BALLOON, g->name, 0);

        return a ? value_of(a->new_value) : 0;
}

static inline _unused_ int why_not(const Guest *g) {
        const Skip *s = world_skip(&world, ACTION_SET_BALLOON, g->name);

        return s ? (int)s->why : -1;
}

/* Balloons arrive, statistics are fresh, @usec passes. */
static inline _unused_ void act(uint64_t usec) {
        world_own_all(&world);
        for (size_t i = 0; i < world.plan->n_actions; i++) {
                const Action *a = &world.plan->actions[i];
                Guest *g = snapshot_find_guest(world.snapshot, a->uuid);

                if (a->kind == ACTION_SET_STATS_PERIOD)
                        g->stats_period_sec = value_of(a->new_value);
                if (a->kind != ACTION_SET_BALLOON)
                        continue;
                g->stats.usable_bytes = u64_add(g->stats.usable_bytes, value_of(a->new_value));
                g->stats.usable_bytes = u64_sub(g->stats.usable_bytes, g->current_bytes);
                g->stats.unused_bytes = MIN(g->stats.unused_bytes, g->stats.usable_bytes);
                g->current_bytes = g->stats.available_bytes = value_of(a->new_value);
        }
        world.snapshot->now_usec += usec;
}
