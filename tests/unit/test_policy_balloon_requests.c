/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was asked of a balloon and has not come about: QEMU may have that request, another one, or both to come. */

#include "balloon_util.h"

/* 5 % of 64 GiB, which the host keeps for itself. */
#define RESERVED (64 * GIB / 20)

static void short_of_memory(Guest *g) {
        g->stats.usable_bytes = g->stats.unused_bytes = 0;
}

/* QEMU has the request, and it would be made smaller as soon as it has memory free. */
START_TEST(a_guest_in_distress_that_does_not_move_is_not_to_go_down) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 50);
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB);
        world_own_all(&world);
        g->current_bytes = 3 * GIB;
        world_set_host(&world, 64 * GIB, RESERVED);
        for (unsigned i = 0; i < 5; i++) {
                run();
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
        }
        ck_assert_int_eq(why_not(g), SKIP_STUCK);
        short_of_memory(g);
        run();
        ck_assert_uint_eq(asked(g), 3 * GIB);
        world_own_all(&world);
        run();
        ck_assert_uint_eq(asked(g), 0);
}
END_TEST

/* What it was to free is needed of the others: to stay is no memory, but the host's need is what it was. */
START_TEST(what_a_guest_in_distress_does_not_free_is_needed_of_others) {
        Guest *g = world_add_guest(&world, "g", 16 * GIB, 16 * GIB), *other;

        world_set_percent(&world, KEY_BALLOON_STEP, 100);
        world_set_host(&world, 64 * GIB, RESERVED);
        world.state->reclaiming = true;
        run();
        ck_assert_uint_lt(asked(g), 12 * GIB);
        world_own_all(&world);
        world.snapshot->now_usec += 2 * USEC_PER_SEC;
        short_of_memory(g);
        other = world_add_guest(&world, "other", 64 * GIB, 64 * GIB);
        run();
        ck_assert_uint_eq(asked(g), 16 * GIB);
        /* 25 % of 64 GiB, where it stops, less what there is. */
        ck_assert_uint_eq(asked(other), 64 * GIB - (16 * GIB - RESERVED) / MIB * MIB);
}
END_TEST

/* It was asked to stay by a call that was lost, or is late. */
START_TEST(a_guest_that_does_not_stay_is_still_ours) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 50);
        run();
        world_own_all(&world);
        world.snapshot->now_usec += 2 * USEC_PER_SEC;
        g->current_bytes = 3 * GIB;
        world_set_host(&world, 64 * GIB, RESERVED);
        short_of_memory(g);
        for (unsigned i = 0; i < 6; i++) {
                run();
                ck_assert_uint_eq(asked(g), i == 0 ? 3 * GIB : 0);
                world_own_all(&world);
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                if (i > 1)
                        g->current_bytes = 2 * GIB + GIB / 2;
        }
        ck_assert(!state_find_guest(world.state, g->uuid)->balloon_taken);
        ck_assert_uint_eq(state_find_guest(world.state, g->uuid)->balloon_target_bytes, 3 * GIB);
}
END_TEST

/* The same; it had arrived somewhere before it was sent on. */
START_TEST(what_a_balloon_has_left_is_not_where_it_goes_on_to) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        uint64_t sent, stay;

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_MINIMUM, 10);
        world_set_percent(&world, KEY_BALLOON_STEP, 25);
        run();
        ck_assert_uint_eq(asked(g), 6 * GIB);
        act(10 * USEC_PER_SEC);
        g->stats.usable_bytes = g->stats.unused_bytes = 5 * GIB;
        run();
        sent = asked(g);
        stay = sent + GIB / 2;
        ck_assert_uint_lt(stay, 5 * GIB);
        world_own_all(&world);
        world.snapshot->now_usec += 2 * USEC_PER_SEC;
        g->current_bytes = stay;
        world_set_host(&world, 64 * GIB, RESERVED);
        short_of_memory(g);
        for (unsigned i = 0; i < 6; i++) {
                run();
                ck_assert_uint_eq(asked(g), i == 0 ? stay : 0);
                world_own_all(&world);
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                if (i > 1)
                        g->current_bytes = sent;
        }
        ck_assert(!state_find_guest(world.state, g->uuid)->balloon_taken);
        ck_assert_uint_eq(state_find_guest(world.state, g->uuid)->balloon_target_bytes, stay);
}
END_TEST

/*
 * Shrunk to 6 GiB, then asked back to 8 GiB by a call that was lost: QEMU has 6 GiB. It reboots, is at 8 GiB for that
 * reason alone, and goes to 6 GiB again. That is nobody else's doing when it counts anew.
 */
START_TEST(a_guest_that_reboots_goes_to_what_qemu_was_told_last) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        const uint64_t sizes[] = { 8 * GIB, 7 * GIB, 6 * GIB, 6 * GIB, 6 * GIB };
        bool rebooted = _i % 2 == 0, arrived = _i < 2;
        const GuestMemo *m;

        g->stats.major_faults = 5000;
        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 25);
        run();
        ck_assert_uint_eq(asked(g), 6 * GIB);
        act(10 * USEC_PER_SEC);
        g->current_bytes = arrived ? 6 * GIB : 6 * GIB + GIB / 2;
        short_of_memory(g);
        run();
        ck_assert_uint_eq(asked(g), 8 * GIB);
        world_own_all(&world);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                g->current_bytes = g->stats.available_bytes = sizes[i];
                g->stats.usable_bytes = g->stats.unused_bytes = 5 * GIB;
                if (i > 0)
                        g->stats.major_faults = rebooted ? 300 : 5001;
                run();
        }
        m = state_find_guest(world.state, g->uuid);
        ck_assert_int_eq(m->balloon_taken, !rebooted);
        ck_assert_uint_eq(m->balloon_target_bytes, rebooted ? 8 * GIB : 0);
}
END_TEST

/*
 * Sent to 6 GiB, and asked to be at 7 GiB by a call that was lost: on its way down to stay there, or back from 6 GiB.
 * It reboots, and comes through 7 GiB on its way to 6 GiB. Nobody has seen it obey.
 */
START_TEST(a_guest_that_comes_through_its_size_is_still_ours) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 8 * GIB);
        const uint64_t seen = _i == 2 ? 7 * GIB + GIB / 2 : 8 * GIB;
        const uint64_t sizes[] = { seen, 7 * GIB, 7 * GIB - GIB / 2, 6 * GIB, 6 * GIB, 6 * GIB };
        bool arrived = _i != 1;

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 25);
        run();
        ck_assert_uint_eq(asked(g), 6 * GIB);
        act(10 * USEC_PER_SEC);
        g->current_bytes = arrived ? 6 * GIB : 7 * GIB;
        world_set_host(&world, 64 * GIB, RESERVED + (arrived ? GIB : 0));
        short_of_memory(g);
        run();
        ck_assert_uint_eq(asked(g), 7 * GIB);
        world_own_all(&world);
        world_set(&world, KEY_BALLOON_RECLAIM, 0);
        world.state->reclaiming = false;
        world_set_host(&world, 64 * GIB, 13 * GIB);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                g->current_bytes = g->stats.available_bytes = sizes[i];
                g->stats.usable_bytes = g->stats.unused_bytes = 5 * GIB;
                run();
        }
        ck_assert(!state_find_guest(world.state, g->uuid)->balloon_taken);
        ck_assert_uint_eq(state_find_guest(world.state, g->uuid)->balloon_target_bytes, 7 * GIB);
}
END_TEST

/* A balloon within 1 MiB of its size has arrived, but QEMU has all of the request. */
START_TEST(the_last_mib_of_a_request_is_promised) {
        Guest *g = world_add_guest(&world, "g", 8 * GIB, 4 * GIB), *other;

        world_set_host(&world, 64 * GIB, RESERVED + 10 * MIB);
        short_of_memory(g);
        run();
        ck_assert_uint_eq(asked(g), 4 * GIB + 10 * MIB);
        act(10 * USEC_PER_SEC);
        g->current_bytes -= MIB;
        g->stats.usable_bytes = g->stats.unused_bytes = 2 * GIB;
        run();
        ck_assert_uint_eq(state_find_guest(world.state, g->uuid)->balloon_target_bytes, 0);
        world.snapshot->now_usec += 10 * USEC_PER_SEC;
        other = world_add_guest(&world, "other", 8 * GIB, 4 * GIB);
        short_of_memory(other);
        world_set_host(&world, 64 * GIB, RESERVED + 5 * MIB);
        run();
        ck_assert_uint_eq(asked(other), 4 * GIB + 4 * MIB);
}
END_TEST

/* Whose policy is off by then. It never moved, so it has what it had; QEMU has the request. */
static const struct { const char *name; unsigned cycles; bool paused; uint64_t want; } off_rows[] = {
        { "it is called back", 1, false, 4 * GIB },
        { "also when it was set aside", 5, false, 4 * GIB },
        { "not while nothing can be asked of it", 1, true, 0 },
        { "nor then when it was set aside", 5, true, 0 },
};

START_TEST(off_calls_back_what_has_not_moved) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        run();
        ck_assert_uint_ne(asked(g), 0);
        world_own_all(&world);
        for (unsigned i = 0; i < off_rows[_i].cycles; i++) {
                world.snapshot->now_usec += 10 * USEC_PER_SEC;
                run();
        }
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        g->state = off_rows[_i].paused ? GUEST_PAUSED : GUEST_RUNNING;
        run();
        ck_assert_msg(asked(g) == off_rows[_i].want, "%s: %" PRIu64, off_rows[_i].name, asked(g));
}
END_TEST

/* It has moved: half of it is to come back. */
START_TEST(off_asks_nothing_of_a_paused_guest) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);

        world_set(&world, KEY_BALLOON_RECLAIM, 1);
        world_set_percent(&world, KEY_BALLOON_STEP, 50);
        run();
        ck_assert_uint_eq(asked(g), 2 * GIB);
        act(10 * USEC_PER_SEC);
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        g->state = _i == 0 ? GUEST_PAUSED : GUEST_RUNNING;
        run();
        ck_assert_uint_eq(asked(g), _i == 0 ? 0 : 4 * GIB);
        act(10 * USEC_PER_SEC);
        run();
        ck_assert_uint_eq(asked(g), 0);
}
END_TEST

/* Only its statistics are polled for us. */
START_TEST(off_asks_nothing_of_a_guest_that_was_never_changed) {
        Guest *g = world_add_guest(&world, "g", 4 * GIB, 4 * GIB);

        g->stats_period_sec = 0;
        run();
        ck_assert_ptr_nonnull(world_action(&world, ACTION_SET_STATS_PERIOD, g->name, 0));
        act(10 * USEC_PER_SEC);
        world_set(&world, KEY_BALLOON_MODE, BALLOON_OFF);
        run();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_ptr_null(world_action(&world, ACTION_SET_BALLOON, g->name, 0));
        ck_assert_ptr_nonnull(world_action(&world, ACTION_SET_STATS_PERIOD, g->name, 0));
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_balloon_requests");
        TCase *t = tcase_create("requests");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, a_guest_in_distress_that_does_not_move_is_not_to_go_down);
        tcase_add_test(t, what_a_guest_in_distress_does_not_free_is_needed_of_others);
        tcase_add_test(t, a_guest_that_does_not_stay_is_still_ours);
        tcase_add_test(t, what_a_balloon_has_left_is_not_where_it_goes_on_to);
        tcase_add_loop_test(t, a_guest_that_reboots_goes_to_what_qemu_was_told_last, 0, 4);
        tcase_add_loop_test(t, a_guest_that_comes_through_its_size_is_still_ours, 0, 3);
        tcase_add_test(t, the_last_mib_of_a_request_is_promised);
        tcase_add_loop_test(t, off_calls_back_what_has_not_moved, 0, ELEMENTSOF(off_rows));
        tcase_add_loop_test(t, off_asks_nothing_of_a_paused_guest, 0, 2);
        tcase_add_test(t, off_asks_nothing_of_a_guest_that_was_never_changed);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
