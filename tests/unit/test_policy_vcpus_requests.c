/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of a request for vCPUs, and the closed loop. */
#include "vcpus_util.h"

/* ---- what becomes of a request ---- */

/* A guest with two of four vCPUs that is to have one, and does not let go. */
static Guest *refusing_guest(void) {
        Guest *g = add_guest("g", 2, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 1; };");
        decide();
        ck_assert_uint_eq(asked(g), 1);
        own_all();
        pass(14);
        decide();
        ck_assert_uint_eq(asked(g), 0);
        return g;
}

START_TEST(a_guest_that_does_not_let_go_is_asked_less_and_less_often) {
        Guest *g = refusing_guest();
        uint64_t last = world.snapshot->now_usec, gaps[12];
        size_t n = 0;

        while (n < ELEMENTSOF(gaps)) {
                pass(10);
                decide();
                if (asked(g) == 0)
                        continue;
                own_all();
                gaps[n++] = (world.snapshot->now_usec - last) / USEC_PER_SEC;
                last = world.snapshot->now_usec;
        }
        ck_assert_uint_ge(gaps[0], 120);
        ck_assert_uint_le(gaps[0], 150);
        for (size_t i = 1; i < n; i++)
                ck_assert_uint_ge(gaps[i] + 20, MIN(gaps[i - 1] * 2, (uint64_t)64 * 60));
        ck_assert_uint_le(gaps[n - 1], 65 * 60);
}
END_TEST

START_TEST(between_the_tries_it_is_said) {
        Guest *g = refusing_guest();

        pass(1);
        decide();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_int_eq(why_not(g), SKIP_STUCK);
        pass(60);
        decide();
        ck_assert_int_eq(why_not(g), SKIP_STUCK);
}
END_TEST

START_TEST(a_vcpu_that_goes_late_is_our_doing) {
        Guest *g = refusing_guest();

        pass(10 * 60);
        decide();
        pass(20);
        decide();
        set_online(g, 1);
        pass(60);
        decide();
        ck_assert_int_eq(why_not(g), -1);
        ck_assert_uint_eq(asked(g), 0);
        /* It is given back in the end. */
        world_configure(&world, "");
        decide();
        ck_assert_uint_eq(asked(g), 2);
}
END_TEST

START_TEST(a_late_vcpu_when_more_was_asked_for_meanwhile) {
        Guest *g = refusing_guest();

        pass(20);
        decide();
        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 4; };");
        step(g, 10);
        ck_assert_uint_eq(guest_online_vcpus(g), 4);
        decide();
        set_online(g, 3);
        step(g, 10);
        ck_assert_int_eq(why_not(g), -1);
        ck_assert_uint_eq(guest_online_vcpus(g), 4);
}
END_TEST

static const struct { unsigned now; bool taken; } foreign_rows[] = {
        { 1, true }, { 2, true }, { 3, false }, { 4, true },
};

START_TEST(what_somebody_else_plugs_is_theirs) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 3; };");
        step(g, 10);
        decide();
        set_online(g, foreign_rows[_i].now);
        for (unsigned i = 0; i < 3; i++) {
                pass(10);
                decide();
                ck_assert_uint_eq(asked(g), 0);
                ck_assert_int_eq(why_not(g), foreign_rows[_i].taken ? (int)SKIP_TAKEN_OVER : -1);
        }
        ck_assert_int_eq(state_find_owned(world.state, ACTION_SET_VCPUS, g->uuid, 0) == NULL, foreign_rows[_i].taken);
        world_configure(&world, "");
        decide();
        ck_assert_uint_eq(asked(g), foreign_rows[_i].taken ? 0 : 2);
}
END_TEST

START_TEST(a_request_half_done_is_on_its_way) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; count = 4; };");
        decide();
        own_all();
        set_online(g, 2);
        pass(5);
        decide();
        ck_assert_int_eq(why_not(g), -1);
        ck_assert_uint_eq(asked(g), 0);
        set_online(g, 4);
        pass(5);
        decide();
        ck_assert_int_eq(why_not(g), -1);
        ck_assert_ptr_nonnull(state_find_owned(world.state, ACTION_SET_VCPUS, g->uuid, 0));
}
END_TEST

START_TEST(a_request_that_failed_is_tried_again_later) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; };");
        decide();
        ck_assert_uint_eq(asked(g), 4);
        own_all();
        pass(20);
        decide();
        ck_assert_uint_eq(asked(g), 0);
        ck_assert_int_eq(why_not(g), SKIP_FAILED);
        pass(120);
        decide();
        ck_assert_uint_eq(asked(g), 4);
}
END_TEST

/* The process stood still, or the call waits behind others: what comes of it is ours. */
START_TEST(a_request_that_libvirt_has_not_answered_is_not_given_up) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; };");
        decide();
        own_all();
        for (unsigned i = 0; i < 9; i++) {
                pass(10);
                state_find_guest(world.state, g->uuid)->calls_open_usec = world.snapshot->now_usec;
                decide();
                ck_assert_uint_eq(asked(g), 0);
                ck_assert_ptr_nonnull(state_find_owned(world.state, ACTION_SET_VCPUS, g->uuid, 0));
        }
        set_online(g, 4);
        pass(10);
        decide();
        ck_assert_ptr_nonnull(state_find_owned(world.state, ACTION_SET_VCPUS, g->uuid, 0));
        ck_assert(!state_find_guest(world.state, g->uuid)->vcpus_taken);
}
END_TEST

/* A dry run, or libvirt that refuses: the plan stays what it is, so it is said once. */
START_TEST(a_plan_that_is_not_carried_out_stays) {
        Guest *a = add_guest("a", 1, 4), *b = add_guest("b", 1, 4), *c = add_guest("c", 2, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; };\n"
                                "guests = ( { match = { name = \"b\"; }; vcpus = { mode = \"auto\"; }; },"
                                " { match = { name = \"c\"; }; vcpus = { count = 1; }; } );");
        set_demand(a, 100);
        set_demand(b, 100);
        set_demand(c, 100);
        decide();
        pass(30);
        for (unsigned i = 0; i < 30; i++) {
                decide();
                ck_assert_uint_eq(asked(a), 4);
                ck_assert_uint_eq(asked(b), 2);
                ck_assert_uint_eq(asked(c), 1);
                pass(10);
        }
}
END_TEST

START_TEST(mode_off_gives_back_one_by_one_and_then_nothing_is_ours) {
        Guest *g = add_guest("g", 1, 4);

        world_configure(&world, "vcpus: { mode = \"fixed\"; };");
        step(g, 10);
        ck_assert_uint_eq(guest_online_vcpus(g), 4);
        world_configure(&world, "");
        for (unsigned want = 3; want > 0; want--) {
                step(g, 10);
                ck_assert_uint_eq(guest_online_vcpus(g), want);
        }
        step(g, 10);
        ck_assert_uint_eq(guest_online_vcpus(g), 1);
        ck_assert_uint_eq(world.state->n_owned, 0);
        decide();
        ck_assert_uint_eq(world.plan->n_actions + world.plan->n_skips, 0);
}
END_TEST

START_TEST(mode_off_leaves_a_guest_alone_that_never_was_changed) {
        Guest *g = add_guest("g", 2, 4);

        world_configure(&world, "");
        for (unsigned i = 1; i <= 4; i++) {
                set_online(g, i);
                set_demand(g, i % 2 ? 400 : 1);
                pass(300);
                decide();
                ck_assert_uint_eq(world.plan->n_actions + world.plan->n_skips, 0);
        }
}
END_TEST

/* What the stop of the daemon gives back, at each point of a request. */
static const struct {
        const char *name;
        unsigned original, from, ours, target, late, now, want;
        int why;
} restore_rows[] = {
        { "as set", 1, 0, 3, 0, 0, 3, 1, -1 },
        { "half way up", 1, 1, 4, 4, 0, 2, 1, -1 },
        { "a vCPU went late", 1, 0, 3, 0, 1, 2, 1, -1 },
        { "there already", 1, 0, 3, 0, 0, 1, 0, -1 },
        { "somebody else's", 1, 0, 3, 0, 0, 2, 0, SKIP_TAKEN_OVER },
        { "fewer than before", 3, 0, 2, 0, 0, 2, 3, -1 },
};

START_TEST(restore_gives_back_what_is_ours) {
        Guest *g = add_guest("g", restore_rows[_i].now, 4);
        char original[16], ours[16];
        Owned o = { .kind = ACTION_SET_VCPUS, .original = original, .ours = ours };
        GuestMemo *memo;

        (void)snprintf(original, sizeof(original), "%u", restore_rows[_i].original);
        (void)snprintf(ours, sizeof(ours), "%u", restore_rows[_i].ours);
        memcpy(o.uuid, g->uuid, sizeof(o.uuid));
        ck_assert_int_eq(state_put_owned(world.state, &o), 0);
        ck_assert_int_eq(state_guest(world.state, g->uuid, &memo), 0);
        memo->vcpus_from = restore_rows[_i].from;
        memo->vcpus_target = restore_rows[_i].target;
        memo->vcpus_late = restore_rows[_i].late;
        world.plan = plan_free(world.plan);
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &world.plan), 0);
        ck_assert_msg(asked(g) == restore_rows[_i].want, "%s: %u", restore_rows[_i].name, asked(g));
        ck_assert_msg(why_not(g) == restore_rows[_i].why, "%s: %d", restore_rows[_i].name, why_not(g));
}
END_TEST

/* ---- the closed loop ---- */

static uint64_t seed;

static uint64_t below(uint64_t limit) {
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        return seed * UINT64_C(2685821657736338717) % limit;
}

/* A demand in percent of one CPU that holds for an hour: the number settles, near what the demand needs. */
START_TEST(a_steady_demand_settles) {
        Guest *g = add_guest("g", 1, 8);
        uint64_t demand = 10 + (uint64_t)_i * 35;
        unsigned changes = 0, before, settled;

        for (unsigned i = 0; i < 360; i++) {
                before = (unsigned)guest_online_vcpus(g);
                set_demand(g, demand);
                step(g, 10);
                changes += guest_online_vcpus(g) != before;
        }
        settled = (unsigned)guest_online_vcpus(g);
        ck_assert_msg(changes == settled - 1, "demand %u %%: %u changes to %u", (unsigned)demand, changes, settled);
        ck_assert_uint_ge(settled * 85, MIN(demand, (uint64_t)680));
        ck_assert_msg(settled == 1 || (settled - 1) * 85 <= demand, "demand %u %%: %u", (unsigned)demand, settled);
}
END_TEST

START_TEST(a_load_that_rises_and_falls_takes_the_number_along) {
        Guest *g = add_guest("g", 1, 4);
        unsigned changes = 0, before;

        for (unsigned i = 0; i < 360; i++) {
                before = (unsigned)guest_online_vcpus(g);
                set_demand(g, i < 120 ? 5 : i < 240 ? 300 : 5);
                step(g, 10);
                changes += guest_online_vcpus(g) != before;
                if (i == 119)
                        ck_assert_uint_eq(guest_online_vcpus(g), 1);
                if (i == 239)
                        ck_assert_uint_eq(guest_online_vcpus(g), 4);
        }
        ck_assert_uint_eq(guest_online_vcpus(g), 1);
        ck_assert_uint_eq(changes, 6);
        ck_assert_uint_eq(world.state->n_owned, 0);
}
END_TEST

/* Demand that jumps about, guests that let go or do not, somebody else who plugs: bounds and peace. */
START_TEST(random_worlds_keep_their_bounds) {
        Guest *g = add_guest("g", 2, 6);
        unsigned changes = 0, due = 0;
        uint64_t last = 0;

        seed = (uint64_t)_i + 1;
        world_configure(&world, "vcpus: { mode = \"auto\"; minimum = 2; };");
        g->vcpus[1].hotpluggable = false;
        for (unsigned i = 0; i < 2000; i++) {
                unsigned online = (unsigned)guest_online_vcpus(g), want;

                set_demand(g, below(700));
                set_host_busy((uint32_t)below(101));
                decide();
                own_all();
                want = asked(g);
                if (want > 0) {
                        changes++;
                        ck_assert_msg(want >= 2 && want <= 6, "seed %d: %u", _i + 1, want);
                        ck_assert_msg(want == online + 1 || want == online - 1, "seed %d", _i + 1);
                        ck_assert_msg(last == 0 || world.snapshot->now_usec - last >= 120 * USEC_PER_SEC, "seed %d",
                                      _i + 1);
                        if (want > online)
                                set_online(g, want);
                        else if (below(2))
                                due = 1;
                } else if (due && below(3) == 0) {
                        set_online(g, MAX(online - 1, 2U));
                        due = 0;
                }
                if (guest_online_vcpus(g) != online)
                        last = world.snapshot->now_usec;
                ck_assert_msg(why_not(g) != SKIP_TAKEN_OVER, "seed %d, step %u", _i + 1, i);
                pass(10);
        }
        /* One that is refused, and one that is done. */
        ck_assert_uint_le(changes, 2 * (2000 * 10 / 120 + 1));
}
END_TEST

static void add_tests(TCase *c) {
        tcase_add_test(c, a_guest_that_does_not_let_go_is_asked_less_and_less_often);
        tcase_add_test(c, between_the_tries_it_is_said);
        tcase_add_test(c, a_vcpu_that_goes_late_is_our_doing);
        tcase_add_test(c, a_late_vcpu_when_more_was_asked_for_meanwhile);
        tcase_add_loop_test(c, what_somebody_else_plugs_is_theirs, 0, ELEMENTSOF(foreign_rows));
        tcase_add_test(c, a_request_half_done_is_on_its_way);
        tcase_add_test(c, a_request_that_failed_is_tried_again_later);
        tcase_add_test(c, a_request_that_libvirt_has_not_answered_is_not_given_up);
        tcase_add_test(c, a_plan_that_is_not_carried_out_stays);
        tcase_add_test(c, mode_off_gives_back_one_by_one_and_then_nothing_is_ours);
        tcase_add_test(c, mode_off_leaves_a_guest_alone_that_never_was_changed);
        tcase_add_loop_test(c, restore_gives_back_what_is_ours, 0, ELEMENTSOF(restore_rows));
        tcase_add_loop_test(c, a_steady_demand_settles, 0, 24);
        tcase_add_test(c, a_load_that_rises_and_falls_takes_the_number_along);
        tcase_add_loop_test(c, random_worlds_keep_their_bounds, 0, 40);
}

int main(void) {
        Suite *s = suite_create("policy_vcpus_requests");
        TCase *c = tcase_create("requests");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(c, setup, teardown);
        add_tests(c);
        suite_add_tcase(s, c);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
