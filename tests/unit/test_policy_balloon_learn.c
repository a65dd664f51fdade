/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the balloon controller learns of guests and host: floors, learned minimums, lies, strain. */

#include "balloon_util.h"

static void set_usable(Guest *g, uint64_t usable) {
        g->stats.usable_bytes = g->stats.unused_bytes = usable;
}

/* Each cycle 10 s; at @short_below bytes the guest is in distress. Returns how often memory was taken from it. */
static unsigned squeeze(Guest *g, uint64_t short_below, unsigned cycles) {
        unsigned shrunk = 0;

        for (unsigned i = 0; i < cycles; i++) {
                /* What it needs as page cache is usable by its report. */
                set_usable(g, g->current_bytes / 2);
                g->stats.major_faults += g->current_bytes < short_below ? 5000 : 0;
                run();
                shrunk += asked(g) != 0 && asked(g) < g->current_bytes;
                act(10 * USEC_PER_SEC);
        }
        return shrunk;
}

START_TEST(a_guest_is_not_shrunk_again_and_again_to_where_it_was_in_distress) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        unsigned first, second;

        world_set_host(&world, 64 * GIB, 12 * GIB);
        world.state->reclaiming = true;
        first = squeeze(g, 6 * GIB, 360);
        second = squeeze(g, 6 * GIB, 2 * 360);
        /* From 8 to 6 GiB in steps of 5 %, and then now and then one step, ever more rarely. */
        ck_assert_msg(first >= 5 && first <= 12, "%u", first);
        ck_assert_msg(second <= 6, "%u", second);
        ck_assert_uint_lt(squeeze(g, 6 * GIB, 2 * 360), 4);
}
END_TEST

/* The most that is taken at once within @hours, from a guest that is in distress below 6 GiB. */
static uint64_t longest_swing(Guest *g, unsigned hours) {
        uint64_t most = 0;

        for (unsigned i = 0; i < hours * 360; i++) {
                set_usable(g, g->current_bytes / 2);
                g->stats.major_faults += g->current_bytes < 6 * GIB ? 5000 : 0;
                run();
                if (asked(g) != 0)
                        most = MAX(most, u64_sub(g->current_bytes, asked(g)));
                act(10 * USEC_PER_SEC);
        }
        return most;
}

START_TEST(each_try_with_less_is_smaller_than_the_one_that_failed) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        uint64_t step = permyriad_of(8 * GIB, 500);

        world_set_host(&world, 64 * GIB, 12 * GIB);
        world.state->reclaiming = true;
        ck_assert_uint_ge(longest_swing(g, 1), step - MIB);
        ck_assert_uint_le(longest_swing(g, 3), step / 2 + MIB);
        (void)longest_swing(g, 12);
        ck_assert_uint_le(longest_swing(g, 12), step / 8 + MIB);
        /* And it is not left in distress. */
        ck_assert_uint_ge(g->current_bytes, 6 * GIB - MIB);
}
END_TEST

START_TEST(after_a_try_a_guest_in_distress_gets_what_it_had) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        uint64_t step = permyriad_of(8 * GIB, 500), before;
        GuestMemo *m;

        world_set_host(&world, 64 * GIB, 12 * GIB);
        world.state->reclaiming = true;
        (void)squeeze(g, 6 * GIB, 40);
        m = state_find_guest(world.state, g->uuid);
        ck_assert_uint_gt(m->balloon_floor_bytes, 6 * GIB);
        before = g->current_bytes;
        (void)squeeze(g, 0, 62);
        ck_assert_uint_eq(m->balloon_tried_bytes, step / 2);
        ck_assert_uint_lt(g->current_bytes, before);
        g->stats.major_faults += 5000;
        run();
        ck_assert_uint_le(asked(g), before);
        ck_assert_uint_ge(asked(g), before - MIB);
        ck_assert_uint_eq(m->balloon_floor_times, 2);
}
END_TEST

/* Its counters have moved by so much since the report before. */
static void fault(Guest *g) {
        g->stats.major_faults += 5000;
        run();
}

/* The first two reports after it may have had less at the one before: reports come between looks. */
START_TEST(what_brought_a_try_to_an_end_is_told_once) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        uint64_t before;
        GuestMemo *m;

        world_set_host(&world, 64 * GIB, 12 * GIB);
        world.state->reclaiming = true;
        (void)squeeze(g, 6 * GIB, 40);
        m = state_find_guest(world.state, g->uuid);
        before = m->balloon_floor_bytes;
        (void)squeeze(g, 0, 62);
        for (unsigned i = 0; i < 3; i++) {
                fault(g);
                ck_assert_msg((asked(g) == 0) == (i > 0), "%u: asked for %" PRIu64, i, asked(g));
                ck_assert_uint_eq(m->balloon_floor_bytes, before);
                act(10 * USEC_PER_SEC);
        }
        fault(g);
        ck_assert_uint_gt(asked(g), before);
        ck_assert_uint_gt(m->balloon_floor_bytes, before);
}
END_TEST

/* That it does with what it has now nobody knows. */
START_TEST(a_guest_that_faults_while_it_grows_is_given_more) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        world_set_host(&world, 64 * GIB, 12 * GIB);
        world.state->reclaiming = true;
        (void)squeeze(g, 0, 20);
        ck_assert_uint_lt(g->current_bytes, 6 * GIB);
        for (unsigned i = 0; i < 3; i++) {
                fault(g);
                ck_assert_uint_gt(asked(g), g->current_bytes);
                act(10 * USEC_PER_SEC);
        }
}
END_TEST

START_TEST(distress_that_is_not_our_doing_sets_no_floor) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        g->stats.major_faults = 1;
        run();
        state_find_guest(world.state, g->uuid)->balloon_target_bytes = 0;
        g->stats.major_faults = 100000;
        run();
        ck_assert_uint_eq(state_find_guest(world.state, g->uuid)->balloon_floor_bytes, 0);
        world.snapshot->now_usec += 31 * USEC_PER_SEC;
        run();
        ck_assert_uint_ne(asked(g), 0);
}
END_TEST

/* ---- balloon.minimum = "auto" -------------------------------------------------------- */

static void minimum_auto(void) {
        world_set(&world, KEY_BALLOON_MINIMUM, 0);
        world.config->base.values[KEY_BALLOON_MINIMUM].automatic = true;
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
}

START_TEST(a_minimum_is_learned) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        GuestMemo *m;

        minimum_auto();
        set_usable(g, 7 * GIB);
        run();
        /* Nothing was known before this report: it begins with half. */
        ck_assert_uint_eq(asked(g), 4 * GIB);
        m = state_find_guest(world.state, g->uuid);
        /* It uses 1 GiB: three hours later half the way from 40 % to there. */
        m->balloon_target_bytes = 0;
        world.snapshot->now_usec += 3 * USEC_PER_HOUR;
        run();
        ck_assert_uint_eq(m->balloon_learned_bytes, permyriad_of(8 * GIB, 4000) -
                                                            (permyriad_of(8 * GIB, 4000) - GIB) / 2);
        /* It uses more: learned at once. */
        set_usable(g, 2 * GIB);
        run();
        ck_assert_uint_eq(m->balloon_learned_bytes, 6 * GIB);
        run();
        ck_assert(asked(g) == 0 || asked(g) >= 7 * GIB + 512 * MIB);
}
END_TEST

START_TEST(nothing_is_learned_from_what_is_implausible) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        minimum_auto();
        if (_i == 0)
                set_usable(g, UINT64_MAX - 1);
        else
                g->stats.age_usec = USEC_PER_HOUR;
        run();
        ck_assert_uint_eq(state_find_guest(world.state, g->uuid)->balloon_learned_bytes, 0);
}
END_TEST

/* ---- what the host sees ---------------------------------------------------------------- */

static const struct {
        const char *name;
        uint64_t rss, usable, swap_used;
        bool helped;
} claim_rows[] = {
        { "resident is not known", UNKNOWN_U64, 50 * MIB, 0, true },
        { "all of it is resident", 4 * GIB, 50 * MIB, 0, true },
        { "half of what it says it uses is", 2 * GIB, 50 * MIB, 0, true },
        { "next to nothing is", 200 * MIB, 50 * MIB, 0, false },
        { "next to nothing is, but the host has swapped", 200 * MIB, 50 * MIB, MIB, true },
};

START_TEST(a_claim_to_use_untouched_memory_is_not_believed) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 4 * GIB);

        g->rss_bytes = claim_rows[_i].rss;
        world.snapshot->host.memory.swap_total_bytes = GIB;
        world.snapshot->host.memory.swap_free_bytes = GIB - claim_rows[_i].swap_used;
        set_usable(g, claim_rows[_i].usable);
        run();
        ck_assert_msg((asked(g) > 4 * GIB) == claim_rows[_i].helped, "%s", claim_rows[_i].name);
}
END_TEST

START_TEST(a_balloon_that_freed_nothing_is_set_aside) {
        Guest *liar = world_add_guest(&world, "liar", 8 * GIB, 8 * GIB);
        Guest *other = world_add_guest(&world, "other", 8 * GIB, 8 * GIB);
        GuestMemo *m;

        liar->rss_bytes = 8 * GIB;
        other->rss_bytes = UNKNOWN_U64;
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 20);
        run();
        act(10 * USEC_PER_SEC);
        run();
        m = state_find_guest(world.state, liar->uuid);
        ck_assert_int_eq(why_not(liar), SKIP_STUCK);
        ck_assert_ptr_nonnull(strstr(world_skip(&world, ACTION_SET_BALLOON, "liar")->detail, "gave nothing back"));
        ck_assert_uint_eq(m->balloon_stuck, 1);
        ck_assert_uint_ne(asked(other), 0);
        world.snapshot->now_usec += 61 * USEC_PER_SEC;
        liar->stats.age_usec = 0;
        run();
        ck_assert_uint_eq(m->balloon_stuck, 2);
        ck_assert_uint_eq(asked(liar), 0);
        /* It has let go after all. */
        liar->rss_bytes = liar->current_bytes;
        world.snapshot->now_usec += 121 * USEC_PER_SEC;
        run();
        ck_assert_uint_ne(asked(liar), 0);
}
END_TEST

START_TEST(with_free_page_reporting_only_what_is_resident_is_taken) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        g->free_page_reporting = _i;
        g->rss_bytes = 3 * GIB;
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        run();
        ck_assert_int_eq(asked(g) == 0, _i);
        ck_assert_int_eq(why_not(g), _i ? SKIP_NO_GAIN : -1);
        g->rss_bytes = 7 * GIB;
        state_find_guest(world.state, g->uuid)->balloon_target_bytes = 0;
        run();
        ck_assert_uint_ne(asked(g), 0);
}
END_TEST

/* ---- the pressure of its cgroup ---------------------------------------------------------- */

static const struct {
        const char *name;
        uint32_t some, host_some;
        uint64_t hard, soft, swap_in;
        bool distress;
} pressure_rows[] = {
        { "not known", UNKNOWN_PERMYRIAD, 0, 0, 0, 0, false },
        { "none", 0, 0, 0, 0, 0, false },
        { "a little", 999, 0, 0, 0, 0, false },
        { "a tenth of its time", 1000, 0, 0, 0, 0, true },
        { "nothing is known of the host", 1000, UNKNOWN_PERMYRIAD, 0, 0, UNKNOWN_U64, true },
        { "all its time", 10000, 999, 0, 0, 0, true },
        { "the whole host waits", 5000, 5000, 0, 0, 0, false },
        { "the host swaps", 5000, 0, 0, 0, 9 * MIB, false },
        { "it has a limit of its own", 5000, 0, 7 * GIB, 0, 0, false },
        { "it is throttled", 5000, 0, 0, 7 * GIB, 0, false },
};

/* The host wants memory from it; and the next time it has some to give. */
START_TEST(who_waits_for_memory_is_in_distress) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 6 * GIB);
        Host *h = &world.snapshot->host;
        bool distress = pressure_rows[_i].distress;

        g->psi_memory.some_permyriad = pressure_rows[_i].some;
        g->hard_limit_bytes = pressure_rows[_i].hard;
        g->soft_limit_bytes = pressure_rows[_i].soft;
        h->psi_memory.some_permyriad = pressure_rows[_i].host_some;
        h->swap_in_bytes_per_sec = h->swap_out_bytes_per_sec = pressure_rows[_i].swap_in;
        world_set_host(&world, 64 * GIB, 9 * GIB);
        run();
        ck_assert_msg((asked(g) > 6 * GIB) == distress, "%s", pressure_rows[_i].name);
        ck_assert_msg((asked(g) != 0 && asked(g) < 6 * GIB) == !distress, "%s", pressure_rows[_i].name);
        if (distress)
                ck_assert_ptr_nonnull(strstr(find_guest_action(&world, g, ACTION_SET_BALLOON)->reason,
                                             "waits for memory"));
        world_set_host(&world, 64 * GIB, GIB);
        state_find_guest(world.state, g->uuid)->balloon_target_bytes = 0;
        run();
        ck_assert_msg((asked(g) == 0) == distress, "%s: the host has nothing to give", pressure_rows[_i].name);
        ck_assert_int_eq(why_not(g), distress ? SKIP_DISTRESS : -1);
}
END_TEST

/* ---- the host ------------------------------------------------------------------------------ */

static const struct {
        const char *name;
        uint64_t available_permyriad, swap_in, swap_out;
        uint32_t psi;
        bool takes, gives;
} strain_rows[] = {
        { "calm, below stop", 2000, 0, 0, 0, false, false },
        { "nothing known", 2000, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_PERMYRIAD, false, false },
        { "swaps in", 2000, MIB, 0, 0, true, false },
        { "swaps out", 2000, 0, MIB, 0, true, false },
        { "swaps a little", 2000, 500000, 500000, 0, false, false },
        { "both together", 2000, 600000, 600000, 0, true, false },
        { "waits", 2000, 0, 0, 1000, true, false },
        { "waits a little", 2000, 0, 0, 999, false, false },
        { "plenty", 6000, 0, 0, 0, false, true },
        { "plenty, and yet it waits", 6000, 0, 0, 5000, false, false },
        { "plenty, and yet it swaps", 6000, 0, 9 * MIB, 0, false, false },
};

START_TEST(a_strained_host_takes_early_and_gives_nothing) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 6 * GIB);
        Host *h = &world.snapshot->host;

        world_set_host(&world, 64 * GIB, permyriad_of(64 * GIB, strain_rows[_i].available_permyriad));
        h->swap_in_bytes_per_sec = strain_rows[_i].swap_in;
        h->swap_out_bytes_per_sec = strain_rows[_i].swap_out;
        h->psi_memory.some_permyriad = strain_rows[_i].psi;
        run();
        ck_assert_msg((asked(g) != 0 && asked(g) < 6 * GIB) == strain_rows[_i].takes, "%s", strain_rows[_i].name);
        ck_assert_msg((asked(g) > 6 * GIB) == strain_rows[_i].gives, "%s", strain_rows[_i].name);
}
END_TEST

static const struct {
        const char *name;
        BalloonMode mode;
        uint64_t available, usable;
        bool taken;
} critical_rows[] = {
        { "short: keeps its reserve", BALLOON_AUTO, 4 * GIB, 900 * MIB, false },
        { "critically: keeps less", BALLOON_AUTO, 3 * GIB, 900 * MIB, true },
        { "critically: near to distress", BALLOON_AUTO, 3 * GIB, 450 * MIB, false },
        { "critically: a fixed target is no emergency", BALLOON_TARGET, 3 * GIB, 900 * MIB, false },
};

/* 20 % of 6 GiB are 1.2 GiB, 7.5 % are 460 MiB; the host keeps 5 % of 64 GiB. */
START_TEST(before_the_host_swaps_a_guest_keeps_less) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 6 * GIB);

        world_set(&world, KEY_BALLOON_MODE, critical_rows[_i].mode);
        world_set_percent(&world, KEY_BALLOON_TARGET, 50);
        world_set_host(&world, 64 * GIB, critical_rows[_i].available);
        set_usable(g, critical_rows[_i].usable);
        run();
        ck_assert_msg((asked(g) != 0 && asked(g) < 6 * GIB) == critical_rows[_i].taken, "%s", critical_rows[_i].name);
}
END_TEST

START_TEST(a_small_need_or_surplus_is_none) {
        uint64_t ignored = permyriad_of(64 * GIB, 25);
        int64_t off = (int64_t[]){ -1, 1 }[_i % 2];
        bool acts = _i >= 2;
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 6 * GIB);

        world.state->reclaiming = true;
        world_set_host(&world, 64 * GIB,
                       (uint64_t)((int64_t)(16 * GIB) + off * (int64_t)(ignored + (acts ? 4 * MIB : 0))));
        run();
        ck_assert_int_eq(asked(g) != 0, acts);
}
END_TEST

START_TEST(what_a_guest_has_not_touched_is_promised) {
        Guest *a = world_add_guest(&world, "a", 8 * GIB, 4 * GIB);

        a->rss_bytes = 3 * GIB;
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world_set_host(&world, 64 * GIB, 17 * GIB + 512 * MIB);
        run();
        ck_assert_uint_eq(asked(a), 4 * GIB + 512 * MIB);
        act(10 * USEC_PER_SEC);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

static const struct {
        const char *name;
        bool paused, no_balloon, vfio, silent;
        unsigned minutes;
        bool promised;
} promise_rows[] = {
        { "it runs", .promised = true },
        { "it is paused", .paused = true, .promised = true },
        { "it has no balloon", .no_balloon = true },
        { "it is passed a device", .vfio = true },
        { "it starts", .silent = true, .promised = true },
        { "it has never reported for some time", .silent = true, .minutes = 4, .promised = true },
        { "it has no driver", .silent = true, .minutes = 5 },
};

START_TEST(what_others_have_not_touched_is_promised) {
        Guest *a = world_add_guest(&world, "a", 8 * GIB, 4 * GIB);
        Guest *b = world_add_guest(&world, "b", 8 * GIB, 8 * GIB);

        a->rss_bytes = 4 * GIB;
        b->rss_bytes = GIB;
        b->state = promise_rows[_i].paused ? GUEST_PAUSED : GUEST_RUNNING;
        b->balloon_device = !promise_rows[_i].no_balloon;
        b->vfio = promise_rows[_i].vfio;
        if (promise_rows[_i].silent)
                b->stats = (BalloonStats){ .age_usec = UNKNOWN_U64 };
        world_set_host(&world, 64 * GIB, 18 * GIB);
        run();
        world.snapshot->now_usec += promise_rows[_i].minutes * USEC_PER_MINUTE;
        state_find_guest(world.state, a->uuid)->balloon_target_bytes = 0;
        run();
        ck_assert_msg((asked(a) == 0) == promise_rows[_i].promised, "%s", promise_rows[_i].name);
}
END_TEST

START_TEST(a_balloon_that_never_moved_is_called_back) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        run();
        ck_assert_uint_lt(asked(g), 8 * GIB);
        world_own_all(&world);
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        run();
        ck_assert_uint_eq(asked(g), 8 * GIB);
        world_own_all(&world);
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_ptr_null(state_find_owned(world.state, ACTION_SET_BALLOON, g->uuid, 0));
}
END_TEST

/* It is in distress, then it is not, as fast as it can. */
START_TEST(changes_an_hour_are_bounded) {
        Guest *g = world_add_guest(&world, "g", 64 * GIB, 40 * GIB);
        unsigned changes = 0;

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set(&world, KEY_BALLOON_STEP, 2 * MIB);
        world_set_host(&world, 512 * GIB, 400 * GIB);
        for (unsigned i = 0; i < 1800; i++) {
                set_usable(g, i % 20 == 0 ? 1 : g->current_bytes / 2);
                run();
                changes += asked(g) != 0;
                act(2 * USEC_PER_SEC);
        }
        ck_assert_msg(changes <= 120, "%u", changes);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_balloon_learn");
        TCase *t = tcase_create("learn");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, a_guest_is_not_shrunk_again_and_again_to_where_it_was_in_distress);
        tcase_add_test(t, each_try_with_less_is_smaller_than_the_one_that_failed);
        tcase_add_test(t, after_a_try_a_guest_in_distress_gets_what_it_had);
        tcase_add_test(t, what_brought_a_try_to_an_end_is_told_once);
        tcase_add_test(t, a_guest_that_faults_while_it_grows_is_given_more);
        tcase_add_test(t, distress_that_is_not_our_doing_sets_no_floor);
        tcase_add_test(t, a_minimum_is_learned);
        tcase_add_loop_test(t, nothing_is_learned_from_what_is_implausible, 0, 2);
        tcase_add_loop_test(t, a_claim_to_use_untouched_memory_is_not_believed, 0, ELEMENTSOF(claim_rows));
        tcase_add_test(t, a_balloon_that_freed_nothing_is_set_aside);
        tcase_add_loop_test(t, with_free_page_reporting_only_what_is_resident_is_taken, 0, 2);
        tcase_add_loop_test(t, who_waits_for_memory_is_in_distress, 0, ELEMENTSOF(pressure_rows));
        tcase_add_loop_test(t, a_strained_host_takes_early_and_gives_nothing, 0, ELEMENTSOF(strain_rows));
        tcase_add_loop_test(t, before_the_host_swaps_a_guest_keeps_less, 0, ELEMENTSOF(critical_rows));
        tcase_add_loop_test(t, a_small_need_or_surplus_is_none, 0, 4);
        tcase_add_test(t, what_a_guest_has_not_touched_is_promised);
        tcase_add_loop_test(t, what_others_have_not_touched_is_promised, 0, ELEMENTSOF(promise_rows));
        tcase_add_test(t, a_balloon_that_never_moved_is_called_back);
        tcase_add_test(t, changes_an_hour_are_bounded);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
