/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the memory controllers share: a world made of a config, a state and a snapshot. */

#include <check.h>
#include <inttypes.h>
#include <stdio.h>

#include "../../lib/policy.h"

typedef struct World {
        Config *config;
        Snapshot *snapshot;
        State *state;
        Plan *plan;             /* of the last decision */
} World;

static inline _unused_ void world_init(World *w) {
        *w = (World){ 0 };
        ck_assert_int_eq(config_new(&w->config), 0);
        ck_assert_int_eq(snapshot_new(&w->snapshot), 0);
        ck_assert_int_eq(state_new(&w->state), 0);
        w->config->base.values[KEY_NUMA_POLICY].number = NUMA_NONE;
        w->snapshot->now_usec = 1000 * USEC_PER_SEC;
        w->snapshot->interval_usec = 10 * USEC_PER_SEC;
}

static inline _unused_ void world_done(World *w) {
        w->plan = plan_free(w->plan);
        w->state = state_free(w->state);
        w->snapshot = snapshot_free(w->snapshot);
        w->config = config_free(w->config);
}

static inline _unused_ void world_set(World *w, Key key, uint64_t number) {
        w->config->base.values[key].number = number;
        w->config->base.values[key].percent = false;
        w->config->base.values[key].automatic = false;
}

static inline _unused_ void world_set_percent(World *w, Key key, uint64_t percent) {
        world_set(w, key, percent * 100);
        w->config->base.values[key].percent = true;
}

static inline _unused_ void world_set_host(World *w, uint64_t total, uint64_t available) {
        w->snapshot->host.memory.total_bytes = total;
        w->snapshot->host.memory.available_bytes = available;
}

/* A running guest with a balloon, fresh statistics, and a quarter of its memory in use. */
static inline _unused_ Guest *world_add_guest(World *w, const char *name, uint64_t maximum, uint64_t current) {
        Guest *g = NULL;

        ck_assert_int_eq(guest_new(name, NULL, &g), 0);
        g->max_bytes = maximum;
        g->current_bytes = current;
        g->balloon_device = true;
        g->stats_period_sec = 10;
        g->stats.available_bytes = current;
        g->stats.usable_bytes = current / 4 * 3;
        g->stats.unused_bytes = current / 2;
        g->stats.swap_in_bytes = g->stats.major_faults = 0;
        g->stats.age_usec = USEC_PER_SEC;
        ck_assert_int_eq(snapshot_put_guest(w->snapshot, g), 0);
        return g;
}

/* One controller alone, in the surroundings that policy_decide() gives it. */
static inline _unused_ void world_run(World *w, int (*controller)(PolicyContext *c), const char *only_uuid) {
        PolicyInput in = { .config = w->config, .snapshot = w->snapshot, .only_uuid = only_uuid };
        PolicySettings settings;
        GuestMemo **memos;

        w->plan = plan_free(w->plan);
        ck_assert_int_eq(plan_new(&w->plan), 0);
        ck_assert_int_eq(policy_settings(&in, w->state, &settings), 0);
        ck_assert_int_eq(policy_remember_guests(w->snapshot, w->state, &memos), 0);
        PolicyContext c = {
                .config = w->config,
                .snapshot = w->snapshot,
                .state = w->state,
                .plan = w->plan,
                .host = settings.host,
                .guests = settings.guests,
                .memos = memos,
                .only_uuid = only_uuid,
        };
        ck_assert_int_eq(controller(&c), 0);
        policy_settings_done(&settings);
        free(memos);
}

/* What the daemon does before it acts. */
static inline _unused_ void world_own_all(World *w) {
        for (size_t i = 0; i < w->plan->n_actions; i++)
                ck_assert_int_eq(state_own(w->state, &w->plan->actions[i]), 0);
}

static inline _unused_ const Action *world_action(const World *w, ActionKind kind, const char *guest,
                                                  unsigned index) {
        for (size_t i = 0; i < w->plan->n_actions; i++) {
                const Action *a = &w->plan->actions[i];

                if (a->kind == kind && a->index == index && streq_ptr(a->guest, guest))
                        return a;
        }
        return NULL;
}

static inline _unused_ const Skip *world_skip(const World *w, ActionKind kind, const char *guest) {
        for (size_t i = 0; i < w->plan->n_skips; i++)
                if (w->plan->skips[i].kind == kind && streq_ptr(w->plan->skips[i].guest, guest))
                        return &w->plan->skips[i];
        return NULL;
}

static inline _unused_ bool world_wants_stats(const World *w, const Guest *g) {
        for (size_t i = 0; i < w->plan->n_wanted_stats; i++)
                if (streq(w->plan->wanted_stats[i], g->uuid))
                        return true;
        return false;
}

static inline _unused_ const Action *find_guest_action(const World *w, const Guest *g, ActionKind kind) {
        return world_action(w, kind, g->name, 0);
}

static inline _unused_ uint64_t value_of(const char *text) {
        return strtoull(text, NULL, 10);
}
