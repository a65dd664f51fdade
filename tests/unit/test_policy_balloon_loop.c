/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "balloon_util.h"

/* ---- the closed loop ------------------------------------------------------------ */

#define LOOP_GUESTS 5
#define LOOP_STEPS 120
#define LOOP_WORLDS 60
#define LOOP_TOTAL (32 * GIB)

/* One guest of the model: how it behaves, and where its balloon was sent. */
typedef struct Actor {
        Guest *g;
        uint64_t target, used, since_report;
        unsigned lies, slow;
} Actor;

typedef struct Loop {
        uint64_t seed, start;
        Actor actors[LOOP_GUESTS];
        uint64_t other;         /* host memory in use by others */
} Loop;

/* xorshift64* */
static uint64_t next_random(Loop *l) {
        l->seed ^= l->seed >> 12;
        l->seed ^= l->seed << 25;
        l->seed ^= l->seed >> 27;
        return l->seed * UINT64_C(2685821657736338717);
}

static uint64_t below(Loop *l, uint64_t limit) {
        return next_random(l) % limit;
}

static void loop_lie(Loop *l, Actor *a) {
        static const uint64_t odd[] = { 0, 1, MIB, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2, UINT64_C(1) << 63 };
        uint64_t *fields = (uint64_t *)&a->g->stats;

        for (size_t i = 0; i < sizeof(a->g->stats) / sizeof(*fields); i++)
                if (below(l, 3) == 0)
                        fields[i] = below(l, 2) ? odd[below(l, ELEMENTSOF(odd))] : below(l, 8 * GIB);
}

static void loop_report(Loop *l, Actor *a) {
        BalloonStats *s = &a->g->stats;

        if (a->lies == 1) {             /* frozen */
                s->age_usec = u64_add(s->age_usec, 10 * USEC_PER_SEC);
                return;
        }
        s->available_bytes = a->g->current_bytes;
        s->usable_bytes = u64_sub(a->g->current_bytes, a->used);
        s->unused_bytes = s->usable_bytes / 2;
        s->swap_in_bytes = u64_add(s->swap_in_bytes, a->used > a->g->current_bytes ? 2 * MIB : 0);
        s->age_usec = below(l, 8) * USEC_PER_SEC;
        if (a->lies == 2)
                loop_lie(l, a);
}

/* 10 s pass: balloons move (or do not), guests use more or less, the host feels it. */
static void loop_advance(Loop *l) {
        uint64_t used = l->other;

        for (size_t i = 0; i < LOOP_GUESTS; i++) {
                Actor *a = &l->actors[i];
                uint64_t at = a->g->current_bytes, left = at > a->target ? at - a->target : a->target - at;
                uint64_t moved = a->slow == 2 ? 0 : a->slow == 1 ? MIN(left, below(l, 64 * MIB)) : left;

                a->g->current_bytes = a->target > at ? at + moved : at - moved;
                if (below(l, 8) == 0)
                        a->used = below(l, a->g->max_bytes);
                if (below(l, 40) == 0)
                        a->slow = (unsigned)below(l, 3);
                loop_report(l, a);
                used = u64_add(used, a->g->current_bytes);
        }
        if (below(l, 10) == 0)
                l->other = below(l, LOOP_TOTAL);
        world_set_host(&world, LOOP_TOTAL, u64_sub(LOOP_TOTAL, used));
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
}

static void loop_init(Loop *l, uint64_t seed) {
        char name[16];

        *l = (Loop){ .seed = seed, .start = seed, .other = GIB };
        for (size_t i = 0; i < LOOP_GUESTS; i++) {
                uint64_t maximum = (64 + below(l, 8000)) * MIB + below(l, 2) * 4096;

                (void)snprintf(name, sizeof(name), "g%zu", i);
                l->actors[i] = (Actor){ .g = world_add_guest(&world, name, maximum, maximum), .target = maximum,
                                        .used = below(l, maximum), .lies = (unsigned)below(l, 3),
                                        .slow = (unsigned)below(l, 3) };
        }
        world_set(&world, KEY_BALLOON_MODE, 1 + below(l, 2));
        world_set_percent(&world, KEY_BALLOON_TARGET, below(l, 101));
        world_set_percent(&world, KEY_BALLOON_MINIMUM, below(l, 101));
        world_set_percent(&world, KEY_BALLOON_STEP, 1 + below(l, 100));
        world_set(&world, KEY_BALLOON_RESERVE, below(l, 5000));
        world_set(&world, KEY_BALLOON_RECLAIM, below(l, 4) == 0);
}

static uint64_t loop_minimum(const Guest *g) {
        return MIN(MAX(permyriad_of(g->max_bytes, world.config->base.values[KEY_BALLOON_MINIMUM].number), 64 * MIB),
                   g->max_bytes);
}

/* As far as honest statistics can show it. */
static bool loop_is_starving(const Guest *g) {
        return g->stats.usable_bytes < MAX(g->current_bytes / 20, 32 * MIB);
}

static void loop_check(Loop *l, unsigned step) {
        const HostMemory *m = &world.snapshot->host.memory;
        uint64_t given = 0, rescued = 0, stop = permyriad_of(m->total_bytes, 2500);
        bool automatic = world.config->base.values[KEY_BALLOON_MODE].number == BALLOON_AUTO;

        for (size_t i = 0; i < LOOP_GUESTS; i++) {
                Actor *a = &l->actors[i];
                uint64_t size = asked(a->g), now = a->g->current_bytes;

                ck_assert_msg(!state_find_guest(world.state, a->g->uuid)->balloon_taken,
                              "seed %" PRIu64 " step %u guest %zu: nobody took it over", l->start, step, i);
                if (size == 0)
                        continue;
#define HOLDS(x)                                                                                          \
        ck_assert_msg(x, "seed %" PRIu64 " step %u guest %zu (%" PRIu64 " -> %" PRIu64 "): " #x, l->start, step, i, \
                      now, size)
                HOLDS(size <= a->g->max_bytes);
                HOLDS(size >= now || size >= loop_minimum(a->g));
                HOLDS(size >= now || a->lies != 0 || !loop_is_starving(a->g));
                HOLDS(size >= now || a->lies == 2 || now - size <= a->g->stats.usable_bytes);
                HOLDS(size >= now || a->lies != 1 || a->g->stats.age_usec <= 35 * USEC_PER_SEC);
                if (size <= now)
                        continue;
                if (strstr(find_guest_action(&world, a->g, ACTION_SET_BALLOON)->reason, "short of memory"))
                        rescued += size - MAX(now, MIN(a->target, a->g->max_bytes));
                else
                        given += size - now;
#undef HOLDS
        }
        ck_assert_msg(!automatic || given <= u64_sub(m->available_bytes, stop),
                      "seed %" PRIu64 " step %u: gave %" PRIu64, l->start, step, given);
        ck_assert_msg(rescued <= m->available_bytes, "seed %" PRIu64 " step %u: rescued %" PRIu64, l->start, step,
                      rescued);
}

START_TEST(hostile_guests_and_slow_balloons_break_nothing) {
        Loop l;

        loop_init(&l, (uint64_t)_i * UINT64_C(7919) + 1);
        for (unsigned step = 0; step < LOOP_STEPS; step++) {
                loop_advance(&l);
                run();
                loop_check(&l, step);
                world_own_all(&world);
                for (size_t i = 0; i < LOOP_GUESTS; i++)
                        if (asked(l.actors[i].g) != 0)
                                l.actors[i].target = asked(l.actors[i].g);
                run();
                ck_assert_msg(world.plan->n_actions == 0, "seed %" PRIu64 " step %u: asks again: %s -> %s", l.start,
                              step, world.plan->actions[0].old_value, world.plan->actions[0].new_value);
        }
}
END_TEST

/* Honest guests, a quiet host: after a while nothing happens any more. */
START_TEST(a_steady_world_comes_to_rest) {
        Loop l;
        unsigned quiet = 0;

        loop_init(&l, (uint64_t)_i * UINT64_C(104729) + 3);
        for (unsigned step = 0; step < 400 && quiet < 30; step++) {
                uint64_t used = 20 * GIB;

                run();
                quiet = world.plan->n_actions == 0 ? quiet + 1 : 0;
                act(10 * USEC_PER_SEC);
                for (size_t i = 0; i < LOOP_GUESTS; i++) {
                        Actor *a = &l.actors[i];

                        a->lies = 0;
                        a->used = MIN(a->used, a->g->max_bytes / 2);
                        loop_report(&l, a);
                        used += a->g->current_bytes - a->g->max_bytes / 2;
                }
                world_set_host(&world, LOOP_TOTAL, u64_sub(LOOP_TOTAL, used));
        }
        ck_assert_msg(quiet == 30, "seed %" PRIu64 ": still moving", l.start);
}
END_TEST

/* ---- a guest that reports seldom -------------------------------------------------- */

/*
 * As in tests/integration/balloon.t: a guest of 192 MiB, of which its kernel has 59 and a program 40; a look each second,
 * a report each ten.
 */
#define SELDOM_SEC 10U
#define SELDOM_USED (99 * MIB)

static void second_passes(Guest *g, uint64_t used, bool reports) {
        run();
        world_own_all(&world);
        if (asked(g) != 0)
                g->current_bytes = asked(g);
        world.snapshot->now_usec += USEC_PER_SEC;
        g->stats.age_usec += USEC_PER_SEC;
        ck_assert_uint_lt(used, g->current_bytes);
        if (!reports)
                return;
        g->stats.age_usec = 0;
        g->stats.available_bytes = g->current_bytes;
        g->stats.usable_bytes = g->stats.unused_bytes = g->current_bytes - used;
}

/* Whenever it reports, and whether or not its first report is from before the program had its memory. */
START_TEST(a_guest_that_reports_seldom_gets_its_balloon_back_in_time) {
        Guest *g = world_add_guest(&world, "slow", 192 * MIB, 192 * MIB);
        unsigned first = (unsigned)_i % SELDOM_SEC;
        uint64_t used = SELDOM_USED;

        world_set(&world, KEY_DAEMON_INTERVAL, USEC_PER_SEC);
        world_set(&world, KEY_BALLOON_RECLAIM, true);
        world_set(&world, KEY_BALLOON_RESERVE, 2000);
        world_set_percent(&world, KEY_BALLOON_MINIMUM, 50);
        world_set_percent(&world, KEY_BALLOON_STEP, 25);
        g->stats.usable_bytes = 192 * MIB - ((unsigned)_i < SELDOM_SEC ? SELDOM_USED : 59 * MIB);
        for (unsigned t = 0; t < 60; t++)
                second_passes(g, used, t % SELDOM_SEC == 9);
        ck_assert_uint_ge(g->current_bytes, 140 * MIB);
        ck_assert_uint_le(g->current_bytes, 155 * MIB);
        for (unsigned t = 0; t < 30; t++) {
                used += 2 * MIB;
                second_passes(g, used, t % SELDOM_SEC == first);
        }
        ck_assert_uint_ge(g->current_bytes, 170 * MIB);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_balloon_loop");
        TCase *t = tcase_create("closed loop");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, hostile_guests_and_slow_balloons_break_nothing, 0, LOOP_WORLDS);
        tcase_add_loop_test(t, a_steady_world_comes_to_rest, 0, LOOP_WORLDS);
        tcase_add_loop_test(t, a_guest_that_reports_seldom_gets_its_balloon_back_in_time, 0, 2 * SELDOM_SEC);
        tcase_set_timeout(t, 60);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
