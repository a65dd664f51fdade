/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Guests that say anything. 100,000 sequences of statistics, each of several
 * decisions, in every mode: one guest lies, or its balloon does; the other is
 * honest. Meanwhile the policy changes, and memory is unplugged from them.
 * Whatever is said, nobody gets more than its maximum, nobody is made smaller
 * than its minimum, the honest one is not shrunk in distress, memory is not
 * given that the host does not have beyond its reserve, nothing is asked twice,
 * and of each guest little is said.
 */

#include "balloon_util.h"
#include "instances.h"

#define SEQUENCES (ONE_INSTANCE_OF == 1 ? 100000 : 10000)
#define PARTS 20
#define STEPS 4
#define TOTAL (32 * GIB)

static uint64_t seed;

/* xorshift64* */
static uint64_t next_random(void) {
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        return seed * UINT64_C(2685821657736338717);
}

static uint64_t below(uint64_t limit) {
        return (next_random() >> 11) % limit;
}

/* Any number at all, or near to where something is decided. */
static uint64_t lie(const Guest *g) {
        const uint64_t odd[] = { 0, 1, MIB, 32 * MIB, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2, UINT64_C(1) << 63,
                                 UINT64_C(1) << 50, g->max_bytes, g->current_bytes, g->current_bytes / 20,
                                 g->current_bytes / 5, g->max_bytes + 1, (uint64_t)-4096 };

        switch (below(4)) {
        case 0:
                return next_random();
        case 1:
                return below(g->max_bytes + 1);
        default:
                return odd[below(ELEMENTSOF(odd))];
        }
}

static void say_anything(Guest *g) {
        BalloonStats *s = &g->stats;
        uint64_t *fields[] = { &s->unused_bytes, &s->available_bytes, &s->usable_bytes, &s->disk_caches_bytes,
                               &s->swap_in_bytes, &s->swap_out_bytes, &s->major_faults, &s->age_usec };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                if (below(2))
                        *fields[i] = lie(g);
        if (below(2))
                s->age_usec = below(8) * USEC_PER_SEC;
        if (below(4) == 0)
                g->rss_bytes = lie(g);
}

static void say_the_truth(Guest *g) {
        g->stats.available_bytes = g->current_bytes;
        g->stats.usable_bytes = below(g->current_bytes + 1);
        g->stats.unused_bytes = g->stats.usable_bytes / 2;
        g->stats.swap_in_bytes = g->stats.major_faults = 0;
        g->stats.age_usec = below(8) * USEC_PER_SEC;
        g->rss_bytes = UNKNOWN_U64;
}

static uint64_t minimum_of(const Guest *g, bool automatic) {
        uint64_t percent = world.config->base.values[KEY_BALLOON_MINIMUM].number;

        return MIN(MAX(MAX(automatic ? 0 : permyriad_of(g->max_bytes, percent), g->min_guarantee_bytes), 64 * MIB),
                   g->max_bytes);
}

static void set_policy(bool *ret_automatic) {
        *ret_automatic = below(4) == 0;
        world_set(&world, KEY_BALLOON_MODE, below(_BALLOON_MODE_MAX));
        world_set_percent(&world, KEY_BALLOON_TARGET, below(101));
        world_set_percent(&world, KEY_BALLOON_MINIMUM, below(101));
        world.config->base.values[KEY_BALLOON_MINIMUM].automatic = *ret_automatic;
        world_set_percent(&world, KEY_BALLOON_STEP, 1 + below(100));
        world_set(&world, KEY_BALLOON_RESERVE, below(5000));
        world_set(&world, KEY_BALLOON_RECLAIM, below(4) == 0);
}

/* Balloons arrive, get half the way, stay, or go anywhere within what there is. */
static void obey(Guest *g, bool honest) {
        uint64_t size = asked(g);

        if (size == 0 || (!honest && below(3) == 0))
                size = honest || below(4) ? g->current_bytes : 1 + below(g->max_bytes);
        g->current_bytes = honest || below(2) ? size : (g->current_bytes + size) / 2;
}

/* Memory devices go, and with them what they had. */
static void unplug(Guest *g) {
        g->max_bytes = MAX(g->max_bytes - below(g->max_bytes / 2), 64 * MIB);
        g->current_bytes = MIN(g->current_bytes, g->max_bytes);
}

/* What it was before the first change, which mode off puts back. */
static uint64_t original(const Guest *g) {
        const Owned *o = state_find_owned(world.state, ACTION_SET_BALLOON, g->uuid, 0);

        return o ? value_of(o->original) : UNKNOWN_U64;
}

#define HOLDS(x) \
        ck_assert_msg(x, "seed %" PRIu64 " step %u, mode %" PRIu64 ": %s %" PRIu64 " -> %" PRIu64 ": " #x, start, \
                      step, mode, g->name, now, size)

/* What was asked of it before, and has not happened yet. */
static uint64_t on_its_way_to(const Guest *g) {
        const GuestMemo *m = state_find_guest(world.state, g->uuid);

        return m ? m->balloon_target_bytes : 0;
}

static void check(const Guest *g, uint64_t before, bool honest, bool automatic, uint64_t start, unsigned step) {
        uint64_t size = asked(g), now = g->current_bytes;
        uint64_t mode = world.config->base.values[KEY_BALLOON_MODE].number;

        if (size == 0)
                return;
        HOLDS(size <= g->max_bytes);
        HOLDS(size >= now || size >= minimum_of(g, automatic) ||
              (mode == BALLOON_OFF && size == MIN(original(g), g->max_bytes)));
        if (!honest || (before != 0 && size > before) || mode == BALLOON_PVE || mode == BALLOON_MOM ||
            mode == BALLOON_PROPORTIONAL)
                return;
        HOLDS(size >= now || g->stats.usable_bytes >= MAX(now / 20, 32 * MIB));
        HOLDS(size >= now || now - size <= g->stats.usable_bytes);
}

/* The configuration stays: reading its defaults is most of what a world costs. */
static void begin_again(void) {
        world.snapshot = snapshot_free(world.snapshot);
        world.state = state_free(world.state);
        ck_assert_int_eq(snapshot_new(&world.snapshot), 0);
        ck_assert_int_eq(state_new(&world.state), 0);
        world.snapshot->now_usec = 1000 * USEC_PER_SEC;
        world.snapshot->interval_usec = 10 * USEC_PER_SEC;
}

/* By mode auto: beyond what the host keeps for itself, 5 % of 32 GiB. */
static void check_gifts(const Guest *a, const Guest *b, uint64_t start) {
        uint64_t given = u64_sub(asked(a), a->current_bytes) + u64_sub(asked(b), b->current_bytes);

        if (world.config->base.values[KEY_BALLOON_MODE].number == BALLOON_AUTO)
                ck_assert_msg(given <= u64_sub(world.snapshot->host.memory.available_bytes, TOTAL / 20),
                              "seed %" PRIu64 ": gave too much", start);
}

/* A change of the balloon and one of the statistics period, or why not, and no novel. */
static void check_words(uint64_t start) {
        const Plan *p = world.plan;

        ck_assert_msg(p->n_actions <= 4 && p->n_skips <= 4, "seed %" PRIu64 ": says too much", start);
        for (size_t i = 0; i < p->n_actions; i++)
                ck_assert_uint_lt(strlen(p->actions[i].reason), 512);
        for (size_t i = 0; i < p->n_skips; i++)
                ck_assert_uint_lt(strlen(p->skips[i].detail), 512);
}

static void one_sequence(void) {
        Guest *liar, *honest;
        uint64_t start = seed, liar_before, honest_before;
        bool automatic;

        begin_again();
        set_policy(&automatic);
        liar = world_add_guest(&world, "liar", (64 + below(8000)) * MIB, 64 * MIB);
        liar->current_bytes = 1 + below(liar->max_bytes);
        honest = world_add_guest(&world, "honest", (64 + below(8000)) * MIB, 64 * MIB);
        honest->current_bytes = honest->max_bytes;
        if (below(4) == 0)
                honest->min_guarantee_bytes = below(honest->max_bytes);
        for (unsigned step = 0; step < STEPS; step++) {
                if (step > 0 && below(8) == 0)
                        set_policy(&automatic);
                if (below(16) == 0)
                        unplug(below(2) ? liar : honest);
                say_anything(liar);
                say_the_truth(honest);
                world_set_host(&world, TOTAL, below(TOTAL));
                world.snapshot->host.memory.free_bytes = world.snapshot->host.memory.available_bytes;
                liar_before = on_its_way_to(liar);
                honest_before = on_its_way_to(honest);
                run();
                check(liar, liar_before, false, automatic, start, step);
                check(honest, honest_before, true, automatic, start, step);
                check_gifts(liar, honest, start);
                check_words(start);
                world_own_all(&world);
                if (below(4) == 0) {
                        run();
                        ck_assert_msg(world.plan->n_actions == 0,
                                      "seed %" PRIu64 " step %u: asks again: %s %s -> %s, %s", start, step,
                                      world.plan->actions[0].guest, world.plan->actions[0].old_value,
                                      world.plan->actions[0].new_value, world.plan->actions[0].reason);
                        continue;
                }
                obey(liar, false);
                obey(honest, true);
                world.snapshot->now_usec += (1 + below(40)) * USEC_PER_SEC;
        }
}

START_TEST(whatever_a_guest_says) {
        seed = (uint64_t)_i * UINT64_C(0x9E3779B97F4A7C15) + 1;
        world_init(&world);
        for (unsigned i = 0; i < SEQUENCES / PARTS; i++)
                one_sequence();
        world_done(&world);
}
END_TEST

/* For a day, each 10 s: what is worth a line, and what is changed, is bounded for the worst of them. */
START_TEST(a_day_of_lies_is_quiet) {
        unsigned changes = 0, hour = 0, most = 0;
        Guest *g;

        world_init(&world);
        seed = (uint64_t)_i + 7;
        g = world_add_guest(&world, "liar", 8 * GIB, 4 * GIB);
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set(&world, KEY_BALLOON_MODE, 1 + (uint64_t)_i % 2);
        world_set_percent(&world, KEY_BALLOON_TARGET, 60);
        world_set_percent(&world, KEY_BALLOON_STEP, 2);
        world_set_host(&world, 64 * GIB, 40 * GIB);
        for (unsigned i = 0; i < 24 * 360; i++) {
                if (_i < 2)
                        say_anything(g);
                else
                        g->stats.usable_bytes = g->stats.unused_bytes =
                                i / (unsigned)_i % 2 ? 1 : g->current_bytes / 2;
                run();
                changes += asked(g) != 0;
                if (i % 360 == 359) {
                        most = MAX(most, changes - hour);
                        hour = changes;
                }
                world_own_all(&world);
                obey(g, true);
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
        }
        ck_assert_msg(most <= 120, "%u in an hour", most);
        world_done(&world);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_balloon_hostile");
        TCase *t = tcase_create("hostile");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(t, whatever_a_guest_says, 0, PARTS);
        tcase_add_loop_test(t, a_day_of_lies_is_quiet, 0, 20);
        tcase_set_timeout(t, 120);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
