/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which CPUs threads get, whose pins are left alone, and what is given back.
 */

#include "placement_util.h"

/* ---- pins ---- */

START_TEST(shared_pins_every_thread_to_the_nodes) {
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:2 pu:2", SHARED);
        g = world_guest(&w, "guest", 3, GIB);
        g->vcpus[2].online = false;
        ck_assert_int_eq(guest_set_iothreads(g, 1), 0);
        g->iothreads[0].id = 7;
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 4);
        assert_action(&w, g, ACTION_PIN_VCPU, 1, "0-3");
        assert_action(&w, g, ACTION_PIN_EMULATOR, 0, "0-3");
        assert_action(&w, g, ACTION_PIN_IOTHREAD, 7, "0-3");
        ck_assert_str_eq(world_action(&w, g, ACTION_PIN_VCPU, 0)->old_value, "0-7");
        world_apply(&w);
        /* A vCPU plugged in later comes to the others. */
        g->vcpus[2].online = true;
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 1);
        assert_action(&w, g, ACTION_PIN_VCPU, 2, "0-3");
        world_done(&w);
}
END_TEST

START_TEST(a_vcpu_more_than_cpus_comes_to_the_least_committed_one_of_the_guest) {
        Guest *g, *other;
        World w;

        world_init(&w, "numa:1 core:3 pu:1", PINNED);
        g = world_guest(&w, "g", 4, GIB);
        g->vcpus[2].online = g->vcpus[3].online = false;
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "0");
        assert_action(&w, g, ACTION_PIN_VCPU, 1, "1");
        world_apply(&w);
        /* Two on CPU 2, one more on CPU 0, none on CPU 1. */
        for (unsigned i = 0; i < 3; i++) {
                other = world_guest(&w, "other", 1, GIB);
                other->cgroup_cpus = set_of(i < 2 ? "2" : "0");
                world_settle(&w);
        }
        g->vcpus[2].online = g->vcpus[3].online = true;
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 2, "2");
        assert_action(&w, g, ACTION_PIN_VCPU, 3, "1");
        world_done(&w);
}
END_TEST

START_TEST(pinned_spreads_over_cores_before_siblings) {
        World w;
        Guest *a, *b;

        world_init(&w, "numa:1 core:4 pu:2", PINNED);
        a = world_guest(&w, "a", 3, GIB);
        world_decide(&w, NULL);
        assert_action(&w, a, ACTION_PIN_VCPU, 0, "0");
        assert_action(&w, a, ACTION_PIN_VCPU, 1, "2");
        assert_action(&w, a, ACTION_PIN_VCPU, 2, "4");
        ck_assert_ptr_null(world_action(&w, a, ACTION_PIN_EMULATOR, 0));
        world_apply(&w);
        /* The free core first, then siblings, never a CPU twice while one is free. */
        b = world_guest(&w, "b", 5, GIB);
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 5);
        assert_action(&w, b, ACTION_PIN_VCPU, 0, "6");
        assert_action(&w, b, ACTION_PIN_VCPU, 1, "1");
        assert_action(&w, b, ACTION_PIN_VCPU, 4, "7");
        assert_settled(&w);
        world_done(&w);
}
END_TEST

/* Two vCPUs on one CPU wait for each other, whatever else the other CPU carries. */
START_TEST(vcpus_of_one_guest_get_different_cpus_on_a_crowded_host) {
        World w;
        Guest *crowd, *g;

        world_init(&w, "numa:1 core:2 pu:1", PINNED);
        crowd = world_guest(&w, "a-crowd", 4, GIB);
        for (size_t i = 0; i < 4; i++) {
                crowd->vcpus[i].pinned = true;
                crowd->vcpus[i].pin = crowd->vcpus[i].affinity = set_of("0");
        }
        g = world_guest(&w, "guest", 2, GIB);
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "1");
        assert_action(&w, g, ACTION_PIN_VCPU, 1, "0");
        world_done(&w);
}
END_TEST

START_TEST(pinned_keeps_what_is_still_good) {
        World w;
        Guest *g;

        world_init(&w, "numa:1 core:4 pu:1", PINNED);
        g = world_guest(&w, "guest", 3, GIB);
        world_settle(&w);
        /* CPU 1 goes: only the vCPU on it moves. */
        idset_remove(&w.snapshot->topology->online, 1);
        idset_remove(&w.snapshot->topology->nodes[0].cpus, 1);
        g->vcpus[1].affinity = set_of("0,2-3");
        g->emulator.affinity = set_of("0,2-3");
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 1);
        assert_action(&w, g, ACTION_PIN_VCPU, 1, "3");
        world_done(&w);
}
END_TEST

START_TEST(a_thread_that_has_its_place_already_is_not_touched) {
        World w;
        Guest *g;

        world_init(&w, "numa:1 core:4 pu:1", SHARED);
        g = world_guest(&w, "guest", 2, GIB);
        world_decide(&w, NULL);
        assert_quiet(&w);
        /* Not known what the kernel allows and no pin: every CPU. */
        g->vcpus[0].affinity = IDSET_EMPTY;
        world_decide(&w, NULL);
        assert_quiet(&w);
        /* Placed by libvirt's adviser, and not known where: make sure. */
        g->vcpu_placement_auto = true;
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "0-3");
        world_done(&w);
}
END_TEST

/* ---- whose pins ---- */

static const struct {
        const char *name;
        ActionKind kind;                /* what the user pinned; -1: <vcpu cpuset> */
        const char *cpus;
        bool is_the_users;
} user_rows[] = {
        { "one vCPU", ACTION_PIN_VCPU, "9", true },
        { "the emulator", ACTION_PIN_EMULATOR, "8-15", true },
        { "an iothread", ACTION_PIN_IOTHREAD, "0", true },
        { "the domain", (ActionKind)-1, "0-7", true },
        { "a pin to every CPU is none", ACTION_PIN_VCPU, "0-15", false },
        { "a cpuset of every CPU is none", (ActionKind)-1, "0-15", false },
};

START_TEST(pins_of_the_user_are_never_changed) {
        GuestThread *t;
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 2);
        ck_assert_int_eq(guest_set_iothreads(g, 1), 0);
        guest_memory(g, 0, GIB);
        guest_memory(g, 3, GIB);
        if ((int)user_rows[_i].kind == -1) {
                g->vcpu_cpuset_set = true;
                g->vcpu_cpuset = set_of(user_rows[_i].cpus);
        } else {
                t = world_thread(g, user_rows[_i].kind, g->iothreads[0].id);
                thread_pin(&w, t, user_rows[_i].cpus);
        }
        for (unsigned cycle = 0; cycle < 3; cycle++) {
                world_decide(&w, NULL);
                ck_assert_int_eq(w.plan->n_actions == 0, user_rows[_i].is_the_users);
                ck_assert_int_eq(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_USER_PIN), user_rows[_i].is_the_users);
                w.snapshot->now_usec += USEC_PER_HOUR;
        }
        world_done(&w);
}
END_TEST

START_TEST(a_pin_made_by_a_user_later_is_the_users_too) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, "");
        g = world_guest(&w, "guest", 2, GIB);
        world_decide(&w, NULL);
        thread_pin(&w, &g->vcpus[1], "5");
        world_configure(&w, SHARED);
        world_decide(&w, NULL);
        assert_quiet(&w);
        ck_assert(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_USER_PIN));
        world_done(&w);
}
END_TEST

START_TEST(pins_are_given_back_when_no_setting_asks_for_them) {
        World w;
        Guest *g;

        g = world_init_one(&w, PINNED, 2);
        world_settle(&w);
        ck_assert_uint_eq(w.state->n_owned, 3);
        w.snapshot->now_usec += USEC_PER_HOUR;
        /* One of them was changed meanwhile: that one stays. */
        thread_pin(&w, &g->vcpus[1], "12");
        world_configure(&w, "cpu: { policy = \"none\"; };");
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 2);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "0-15");
        assert_action(&w, g, ACTION_PIN_EMULATOR, 0, "0-15");
        ck_assert(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_TAKEN_OVER));
        world_apply(&w);
        ck_assert_uint_eq(w.state->n_owned, 0);
        world_decide(&w, NULL);
        assert_quiet(&w);
        assert_nodes(&w, g, "");
        world_done(&w);
}
END_TEST

START_TEST(the_emulator_is_given_back_alone) {
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 2);
        world_settle(&w);
        world_configure(&w, NO_RESERVE "cpu: { policy = \"shared\"; emulator = \"none\"; };");
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 1);
        assert_action(&w, g, ACTION_PIN_EMULATOR, 0, "0-15");
        assert_settled(&w);
        world_done(&w);
}
END_TEST

START_TEST(a_change_of_policy_pins_anew_in_place) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED OTHERS);
        g = world_guest(&w, "other-1", 3, GIB);
        g->vcpus[0].affinity = g->vcpus[1].affinity = g->vcpus[2].affinity = set_of("0-3");
        g = world_guest(&w, "guest", 2, GIB);
        world_settle(&w);
        assert_nodes(&w, g, "1");
        world_configure(&w, PINNED OTHERS);
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 2);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "4");
        assert_action(&w, g, ACTION_PIN_VCPU, 1, "5");
        world_apply(&w);
        world_configure(&w, SHARED OTHERS);
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 1, "4-7");
        world_done(&w);
}
END_TEST

static const struct {
        const char *name;
        GuestState state;
        bool migrating;
        bool acts;
        SkipReason why;
} state_rows[] = {
        { "running", GUEST_RUNNING, false, true, 0 },
        { "paused", GUEST_PAUSED, false, true, 0 },
        { "migrating", GUEST_RUNNING, true, false, SKIP_MIGRATING },
        { "shutting down", GUEST_SHUTDOWN, false, false, SKIP_NOT_RUNNING },
        { "crashed", GUEST_CRASHED, false, false, SKIP_NOT_RUNNING },
};

START_TEST(only_guests_that_can_take_it_are_pinned) {
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 2);
        g->state = state_rows[_i].state;
        g->migrating = state_rows[_i].migrating;
        world_decide(&w, NULL);
        ck_assert_int_eq(w.plan->n_actions > 0, state_rows[_i].acts);
        if (!state_rows[_i].acts)
                ck_assert(world_skips(&w, g, ACTION_PIN_VCPU, state_rows[_i].why));
        world_done(&w);
}
END_TEST

START_TEST(a_decision_for_one_guest_leaves_the_others) {
        World w;
        Guest *a, *b;

        world_init(&w, FOUR_NODES, SHARED);
        a = world_guest(&w, "a", 2, GIB);
        b = world_guest(&w, "b", 2, GIB);
        thread_pin(&w, &b->vcpus[0], "3");
        world_decide(&w, a->uuid);
        for (size_t i = 0; i < w.plan->n_actions; i++)
                ck_assert_str_eq(w.plan->actions[i].uuid, a->uuid);
        ck_assert_uint_eq(w.plan->n_actions, 3);
        ck_assert_uint_eq(w.plan->n_skips, 0);
        ck_assert(!state_find_guest(w.state, b->uuid)->pins_seen);
        world_done(&w);
}
END_TEST

START_TEST(a_guest_whose_node_is_gone_gets_another) {
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 2);
        world_settle(&w);
        w.snapshot->topology->nodes[0].cpus = IDSET_EMPTY;
        w.snapshot->topology->online = set_of("4-15");
        for (size_t i = 0; i < 2; i++)
                g->vcpus[i].affinity = w.snapshot->topology->online;
        g->emulator.affinity = w.snapshot->topology->online;
        w.snapshot->now_usec += USEC_PER_HOUR;
        world_decide(&w, NULL);
        assert_nodes(&w, g, "1");
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "4-7");
        world_done(&w);

        /* One of two gone, and the other would do for the vCPUs: chosen anew all the same. */
        world_init(&w, FOUR_NODES, SHARED);
        g = world_guest(&w, "guest", 2, 20 * GIB);
        g->starting = true;
        world_settle(&w);
        assert_nodes(&w, g, "0-1");
        w.snapshot->topology->nodes[1].cpus = IDSET_EMPTY;
        w.snapshot->topology->online = set_of("0-3,8-15");
        w.snapshot->now_usec += USEC_PER_HOUR;
        world_decide(&w, NULL);
        assert_nodes(&w, g, "0,2");
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_pins");
        TCase *tc = tcase_create("placement_pins");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_test(tc, shared_pins_every_thread_to_the_nodes);
        tcase_add_test(tc, a_vcpu_more_than_cpus_comes_to_the_least_committed_one_of_the_guest);
        tcase_add_test(tc, pinned_spreads_over_cores_before_siblings);
        tcase_add_test(tc, vcpus_of_one_guest_get_different_cpus_on_a_crowded_host);
        tcase_add_test(tc, pinned_keeps_what_is_still_good);
        tcase_add_test(tc, a_thread_that_has_its_place_already_is_not_touched);
        tcase_add_loop_test(tc, pins_of_the_user_are_never_changed, 0, (int)ELEMENTSOF(user_rows));
        tcase_add_test(tc, a_pin_made_by_a_user_later_is_the_users_too);
        tcase_add_test(tc, pins_are_given_back_when_no_setting_asks_for_them);
        tcase_add_test(tc, the_emulator_is_given_back_alone);
        tcase_add_test(tc, a_change_of_policy_pins_anew_in_place);
        tcase_add_loop_test(tc, only_guests_that_can_take_it_are_pinned, 0, (int)ELEMENTSOF(state_rows));
        tcase_add_test(tc, a_decision_for_one_guest_leaves_the_others);
        tcase_add_test(tc, a_guest_whose_node_is_gone_gets_another);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
