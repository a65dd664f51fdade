/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "balloon_util.h"

/* ---- off, ownership, progress ----------------------------------------------- */

START_TEST(off_gives_back_in_one_action) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        g->stats_period_sec = 0;
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 2);
        act(10 * USEC_PER_SEC);
        run();
        act(10 * USEC_PER_SEC);
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        run();
        ck_assert_uint_eq(asked(g), 8 * GIB);
        ck_assert_str_eq(find_guest_action(&world, g, ACTION_SET_STATS_PERIOD)->new_value, "0");
        act(10 * USEC_PER_SEC);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.state->n_owned, 0);
}
END_TEST

/* The time of a report is cut to a second: one from after the last look seems to be from before, look after look. */
START_TEST(a_report_that_seems_old_each_time_does_not_stop_it) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, 50);
        world_set_percent(&world, KEY_BALLOON_MINIMUM, 25);
        world_set_percent(&world, KEY_BALLOON_STEP, 15);
        world_set_percent(&world, KEY_BALLOON_RESERVE, 20);
        world.snapshot->interval_usec = USEC_PER_SEC;
        for (unsigned look = 0; look < 60; look++) {
                g->stats.age_usec = USEC_PER_SEC / 2 * 3;
                run();
                act(USEC_PER_SEC);
        }
        ck_assert_uint_eq(g->current_bytes, 4 * GIB);
}
END_TEST

START_TEST(off_does_not_shrink_a_guest_in_distress) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 4 * GIB);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        run();
        ck_assert_uint_eq(asked(g), 8 * GIB);
        act(10 * USEC_PER_SEC);
        g->stats.usable_bytes = g->stats.unused_bytes = 0;
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(why_not(g), SKIP_DISTRESS);
}
END_TEST

static Guest *shrunk_guest(void) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        world_set_percent(&world, KEY_BALLOON_STEP, 25);
        world_set_percent(&world, KEY_BALLOON_MINIMUM, 10);
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        run();
        ck_assert_uint_eq(asked(g), 6 * GIB);
        return g;
}

static const struct { const char *name; uint64_t size; unsigned looks; bool taken; } taken_rows[] = {
        { "where we put it", 6 * GIB, 9, false },
        { "1 MiB beside", 6 * GIB + MIB, 9, false },
        { "below all we asked for: at once", 3 * GIB, 1, true },
        { "between: not at the first look", 7 * GIB, 1, false },
        { "between, and it stays there", 7 * GIB, 2, true },
        { "at the maximum: perhaps a reboot", 8 * GIB, 7, false },
        { "at the maximum, and it stays there", 8 * GIB, 8, true },
};

START_TEST(a_balloon_moved_by_somebody_else_is_theirs) {
        Guest *g = shrunk_guest();
        GuestMemo *memo;

        act(10 * USEC_PER_SEC);
        world_set(&world, KEY_BALLOON_RECLAIM, 0);
        world.state->reclaiming = false;
        run();
        g->current_bytes = g->stats.available_bytes = taken_rows[_i].size;
        for (unsigned i = 0; i < taken_rows[_i].looks; i++) {
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                run();
                ck_assert_uint_eq(world.plan->n_actions, 0);
        }
        memo = state_find_guest(world.state, g->uuid);
        ck_assert_msg(memo->balloon_taken == taken_rows[_i].taken, "%s", taken_rows[_i].name);
        ck_assert_int_eq(state_find_owned(world.state, ACTION_SET_BALLOON, g->uuid, 0) == NULL, taken_rows[_i].taken);
        if (!taken_rows[_i].taken)
                return;
        ck_assert_int_eq(why_not(g), SKIP_TAKEN_OVER);
        ck_assert_uint_eq(world.plan->n_skips, 1);
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(why_not(g), SKIP_TAKEN_OVER);
}
END_TEST

START_TEST(a_guest_that_reboots_is_ours_when_it_comes_back) {
        Guest *g = shrunk_guest();

        act(10 * USEC_PER_SEC);
        world_set(&world, KEY_BALLOON_RECLAIM, 0);
        world.state->reclaiming = false;
        run();
        g->current_bytes = 8 * GIB;
        for (unsigned i = 0; i < 4; i++) {
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                run();
        }
        g->current_bytes = 6 * GIB;
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        run();
        ck_assert_ptr_nonnull(state_find_owned(world.state, ACTION_SET_BALLOON, g->uuid, 0));
        ck_assert(!state_find_guest(world.state, g->uuid)->balloon_taken);
}
END_TEST

/* It has used its memory before the driver came back: QEMU still holds our target. */
START_TEST(a_guest_that_reboots_and_gets_stuck_half_way_is_ours) {
        Guest *g = shrunk_guest();
        uint64_t ours;

        act(10 * USEC_PER_SEC);
        ours = g->current_bytes;
        world_set(&world, KEY_BALLOON_RECLAIM, 0);
        world.state->reclaiming = false;
        run();
        g->current_bytes = 8 * GIB;
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        run();
        g->current_bytes = (ours + 8 * GIB) / 2;
        for (unsigned i = 0; i < 30; i++) {
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                g->stats.age_usec = 0;
                run();
                ck_assert_uint_eq(asked(g), 0);
        }
        ck_assert(!state_find_guest(world.state, g->uuid)->balloon_taken);
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        run();
        ck_assert_uint_eq(asked(g), 8 * GIB);
}
END_TEST

START_TEST(a_balloon_without_progress_is_set_aside_with_back_off) {
        Guest *g = shrunk_guest();
        uint64_t pause = 60;

        world_own_all(&world);
        for (unsigned n = 1; n <= 9; n++) {
                world.snapshot->now_usec += 29 * USEC_PER_SEC;
                run();
                ck_assert_uint_eq(world.plan->n_actions, 0);
                ck_assert_uint_eq(world.plan->n_skips, 0);
                world.snapshot->now_usec += USEC_PER_SEC;
                run();
                ck_assert_int_eq(why_not(g), SKIP_STUCK);
                ck_assert_uint_eq(state_find_guest(world.state, g->uuid)->balloon_stuck, n);
                world.snapshot->now_usec += pause * USEC_PER_SEC - 1;
                run();
                ck_assert_int_eq(why_not(g), SKIP_STUCK);
                ck_assert_uint_eq(world.plan->n_actions, 0);
                world.snapshot->now_usec++;
                run();
                ck_assert_int_eq(why_not(g), -1);
                pause = MIN(pause * 2, UINT64_C(60) * 64);
        }
        g->current_bytes -= 2 * MIB;
        run();
        ck_assert_uint_eq(state_find_guest(world.state, g->uuid)->balloon_stuck, 0);
}
END_TEST

START_TEST(what_a_guest_was_promised_that_does_not_grow_is_not_given_to_others) {
        Guest *stuck = world_add_guest(&world, "stuck", 8 * GIB, 4 * GIB);
        Guest *other = NULL;

        stuck->stats.usable_bytes = stuck->stats.unused_bytes = 0;
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world_set_host(&world, 64 * GIB, 16 * GIB + 3 * GIB);
        run();
        ck_assert_uint_eq(asked(stuck), 8 * GIB);
        world_own_all(&world);
        other = world_add_guest(&world, "other", 8 * GIB, 4 * GIB);
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(other), 0);
        world.snapshot->now_usec += 20 * USEC_PER_SEC;
        run();
        /* QEMU still has the request. */
        ck_assert_uint_eq(asked(other), 0);
        world_set_host(&world, 64 * GIB, 16 * GIB + 4 * GIB + 3 * GIB);
        run();
        ck_assert_uint_eq(asked(other), 7 * GIB);
}
END_TEST

/* It may have been lost: once each time, as long as the guest needs it. */
START_TEST(a_request_for_more_in_distress_is_made_again) {
        Guest *g = world_add_guest(&world, "short", 8 * GIB, 4 * GIB);

        g->stats.usable_bytes = g->stats.unused_bytes = 0;
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        run();
        ck_assert_uint_eq(asked(g), 8 * GIB);
        world_own_all(&world);
        for (unsigned pause = 60; pause <= 240; pause *= 2) {
                world.snapshot->now_usec += 30 * USEC_PER_SEC;
                run();
                ck_assert_uint_eq(asked(g), 8 * GIB);
                world.snapshot->now_usec += pause / 2 * USEC_PER_SEC;
                run();
                ck_assert_uint_eq(asked(g), 0);
                world.snapshot->now_usec += pause / 2 * USEC_PER_SEC;
                run();
                ck_assert_uint_eq(asked(g), 0);
        }
        g->stats.usable_bytes = g->stats.unused_bytes = 2 * GIB;
        world.snapshot->now_usec += 10 * USEC_PER_MINUTE;
        run();
        ck_assert_uint_eq(asked(g), 0);
}
END_TEST

/* When it was set aside, the host had nothing. */
START_TEST(a_request_is_made_again_as_soon_as_the_host_has_it) {
        Guest *g = world_add_guest(&world, "short", 8 * GIB, 4 * GIB);

        g->stats.usable_bytes = g->stats.unused_bytes = 0;
        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        run();
        ck_assert_uint_eq(asked(g), 8 * GIB);
        world_own_all(&world);
        world.snapshot->now_usec += 30 * USEC_PER_SEC;
        world_set_host(&world, 64 * GIB, 7 * GIB);
        run();
        ck_assert_uint_eq(asked(g), 0);
        world.snapshot->now_usec += 20 * USEC_PER_SEC;
        world_set_host(&world, 64 * GIB, 8 * GIB);
        run();
        ck_assert_uint_eq(asked(g), 8 * GIB);
        world.snapshot->now_usec += 20 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(g), 0);
}
END_TEST

/* The host has 1 MiB for a guest on its way down; that request is lost, and the one before goes on. */
START_TEST(a_request_for_next_to_nothing_has_not_arrived_at_once) {
        Guest *g = shrunk_guest();
        uint64_t to = asked(g);

        world_own_all(&world);
        world.snapshot->now_usec += 2 * USEC_PER_SEC;
        g->current_bytes = to + 100 * MIB;
        g->stats.usable_bytes = g->stats.unused_bytes = 0;
        world_set_host(&world, 64 * GIB, 64 * GIB / 20 + MIB);
        run();
        ck_assert_uint_eq(asked(g), to + 101 * MIB);
        world_own_all(&world);
        for (unsigned i = 0; i <= 8; i++) {
                world.snapshot->now_usec += 2 * USEC_PER_SEC;
                g->current_bytes = to + (100 - MIN(i, 4U) * 25) * MIB;
                world_set_host(&world, 64 * GIB, 64 * GIB / 20);
                run();
                ck_assert(!state_find_guest(world.state, g->uuid)->balloon_taken);
        }
}
END_TEST

START_TEST(slow_progress_is_progress) {
        Guest *g = shrunk_guest();

        world_own_all(&world);
        for (unsigned i = 0; i < 30; i++) {
                world.snapshot->now_usec += 20 * USEC_PER_SEC;
                g->current_bytes -= MIB;
                run();
                ck_assert_int_eq(why_not(g), -1);
                ck_assert_uint_eq(world.plan->n_actions, 0);
        }
}
END_TEST

START_TEST(distress_on_the_way_down_turns_it_around) {
        Guest *g = shrunk_guest();

        world_own_all(&world);
        g->current_bytes = 7 * GIB;
        g->stats.usable_bytes = g->stats.unused_bytes = 0;
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        run();
        ck_assert_uint_gt(asked(g), 7 * GIB);
}
END_TEST

START_TEST(a_dry_run_asks_again) {
        Guest *g = shrunk_guest();

        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(g), 6 * GIB);
        world.snapshot->now_usec += 100 * USEC_PER_SEC;
        run();
        ck_assert_uint_eq(asked(g), 6 * GIB);
}
END_TEST

/* ---- statistics --------------------------------------------------------------- */

static const struct {
        const char *name;
        BalloonMode mode;
        bool device, owned, reclaim;
        uint64_t period;
        const char *want;
} period_rows[] = {
        { "off leaves it off", BALLOON_OFF, true, false, false, 0, NULL },
        { "switched on where there is none", BALLOON_AUTO, true, false, true, 0, "10" },
        { "at a third of the rate where nothing is wanted", BALLOON_AUTO, true, false, false, 0, "30" },
        { "not without a balloon", BALLOON_AUTO, false, false, true, 0, NULL },
        { "somebody's own period stays", BALLOON_AUTO, true, false, true, 3, NULL },
        { "ours stays", BALLOON_AUTO, true, true, true, 10, NULL },
        { "ours is relaxed when nothing is wanted any more", BALLOON_AUTO, true, true, false, 10, "30" },
        { "a fixed target is always looked at", BALLOON_TARGET, true, false, false, 0, "10" },
        { "ours is given back in mode off", BALLOON_OFF, true, true, false, 10, "0" },
        { "a period changed by somebody else stays", BALLOON_OFF, true, true, false, 7, NULL },
};

/* A slow guest on its way back to all it had: what it has meanwhile is not its original size. */
START_TEST(a_size_on_the_way_back_is_not_the_original) {
        Guest *g = shrunk_guest();
        const Owned *o;

        act(10 * USEC_PER_SEC);
        world_set(&world, KEY_BALLOON_RECLAIM, 0);
        world_set_host(&world, 64 * GIB, 60 * GIB);
        run();
        ck_assert_uint_eq(asked(g), 8 * GIB);
        world_own_all(&world);
        for (unsigned i = 1; i < 4; i++) {
                g->current_bytes += 500 * MIB;
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                run();
                ck_assert_uint_eq(world.plan->n_actions, 0);
                o = state_find_owned(world.state, ACTION_SET_BALLOON, g->uuid, 0);
                ck_assert_str_eq(o->original, "8589934592");
        }
        g->current_bytes = 8 * GIB;
        run();
        world.snapshot->now_usec += USEC_PER_HOUR;
        run();
        ck_assert_ptr_null(state_find_owned(world.state, ACTION_SET_BALLOON, g->uuid, 0));
}
END_TEST

/* The guest does not answer; QEMU has the request, and the guest may wake up at any time. */
START_TEST(off_does_not_forget_a_request_that_nobody_has_answered) {
        Guest *g = shrunk_guest();

        world_own_all(&world);
        world.snapshot->now_usec += 40 * USEC_PER_SEC;
        g->stats.age_usec = 0;
        run();
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        run();
        ck_assert_ptr_nonnull(state_find_owned(world.state, ACTION_SET_BALLOON, g->uuid, 0));
}
END_TEST

START_TEST(statistics_period_is_switched_on_where_needed) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);
        Action a = { .kind = ACTION_SET_STATS_PERIOD, .old_value = (char[]){ "0" }, .new_value = (char[]){ "10" } };
        const Action *got;

        a.uuid = g->uuid;
        world_set(&world, KEY_BALLOON_MODE, period_rows[_i].mode);
        world_set(&world, KEY_BALLOON_RECLAIM, period_rows[_i].reclaim);
        g->balloon_device = period_rows[_i].device;
        g->stats_period_sec = period_rows[_i].period;
        if (period_rows[_i].owned)
                ck_assert_int_eq(state_own(world.state, &a), 0);
        run();
        got = find_guest_action(&world, g, ACTION_SET_STATS_PERIOD);
        ck_assert_msg(streq_ptr(got ? got->new_value : NULL, period_rows[_i].want), "%s", period_rows[_i].name);
}
END_TEST

START_TEST(relaxed_guests_are_asked_in_rotation) {
        enum { GUESTS = 600, TURNS = 12 };
        unsigned seen[GUESTS] = { 0 }, most = 0;
        char name[16];

        world_set_host(&world, 64 * GIB, 40 * GIB);
        for (int i = 0; i < GUESTS; i++) {
                (void)snprintf(name, sizeof(name), "g%d", i);
                (void)world_add_guest(&world, name, GIB, GIB);
        }
        for (int turn = 0; turn < TURNS; turn++) {
                run();
                most = MAX(most, (unsigned)world.plan->n_wanted_stats);
                for (size_t i = 0; i < GUESTS; i++)
                        seen[i] += world_wants_stats(&world, world.snapshot->guests[i]);
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
        }
        for (size_t i = 0; i < GUESTS; i++)
                ck_assert_uint_eq(seen[i], 1);
        ck_assert_uint_lt(most, GUESTS / 2);
}
END_TEST

START_TEST(few_relaxed_guests_share_one_turn) {
        unsigned questions = 0, asked_for = 0;
        char name[16];

        world_set_host(&world, 64 * GIB, 40 * GIB);
        for (int i = 0; i < 30; i++) {
                (void)snprintf(name, sizeof(name), "g%d", i);
                (void)world_add_guest(&world, name, GIB, GIB);
        }
        for (int turn = 0; turn < 24; turn++) {
                run();
                questions += world.plan->n_wanted_stats > 0;
                asked_for += (unsigned)world.plan->n_wanted_stats;
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
        }
        ck_assert_uint_eq(questions, 2);
        ck_assert_uint_eq(asked_for, 60);
}
END_TEST

/* It may need its memory back in the very next cycle, at whatever target it rests. */
START_TEST(a_guest_that_was_shrunk_is_asked_in_each_cycle) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);

        world_set(&world, KEY_BALLOON_MODE, BALLOON_TARGET);
        world_set_percent(&world, KEY_BALLOON_TARGET, 75);
        for (unsigned look = 0; look < 40; look++) {
                g->stats.age_usec = USEC_PER_SEC;
                run();
                ck_assert_msg(look < 20 || world_wants_stats(&world, g), "look %u", look);
                act(10 * USEC_PER_SEC);
        }
        ck_assert_uint_eq(g->current_bytes, 6 * GIB);
}
END_TEST

START_TEST(all_are_asked_while_the_host_is_short) {
        Guest *a = world_add_guest(&world, "a", GIB, GIB), *b = world_add_guest(&world, "b", GIB, GIB);

        world_set_host(&world, 64 * GIB, 5 * GIB);
        run();
        ck_assert(world_wants_stats(&world, a) && world_wants_stats(&world, b));
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        run();
        ck_assert_uint_eq(world.plan->n_wanted_stats, 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_balloon_watch");
        TCase *t = tcase_create("watch");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, off_gives_back_in_one_action);
        tcase_add_test(t, off_does_not_shrink_a_guest_in_distress);
        tcase_add_loop_test(t, a_balloon_moved_by_somebody_else_is_theirs, 0, ELEMENTSOF(taken_rows));
        tcase_add_test(t, a_guest_that_reboots_is_ours_when_it_comes_back);
        tcase_add_test(t, a_guest_that_reboots_and_gets_stuck_half_way_is_ours);
        tcase_add_test(t, a_balloon_without_progress_is_set_aside_with_back_off);
        tcase_add_test(t, what_a_guest_was_promised_that_does_not_grow_is_not_given_to_others);
        tcase_add_test(t, a_request_for_more_in_distress_is_made_again);
        tcase_add_test(t, a_request_is_made_again_as_soon_as_the_host_has_it);
        tcase_add_test(t, a_request_for_next_to_nothing_has_not_arrived_at_once);
        tcase_add_test(t, slow_progress_is_progress);
        tcase_add_test(t, distress_on_the_way_down_turns_it_around);
        tcase_add_test(t, a_dry_run_asks_again);
        tcase_add_test(t, a_size_on_the_way_back_is_not_the_original);
        tcase_add_test(t, a_report_that_seems_old_each_time_does_not_stop_it);
        tcase_add_test(t, off_does_not_forget_a_request_that_nobody_has_answered);
        tcase_add_loop_test(t, statistics_period_is_switched_on_where_needed, 0, ELEMENTSOF(period_rows));
        tcase_add_test(t, relaxed_guests_are_asked_in_rotation);
        tcase_add_test(t, few_relaxed_guests_share_one_turn);
        tcase_add_test(t, a_guest_that_was_shrunk_is_asked_in_each_cycle);
        tcase_add_test(t, all_are_asked_while_the_host_is_short);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
