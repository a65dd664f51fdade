/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whose pins they are: changes by somebody else, and changes of our own that a
 * kill kept from being made.
 */

#include "placement_util.h"

/* What happens to vCPU 0 of a guest that has its pin "0-3" (original "0-15"), and how the next cycle takes it. */
static const struct {
        const char *name;
        const char *pin, *affinity;
        uint64_t later_usec;
        bool lost;
        const char *offline;
        size_t n_actions;
} takeover_rows[] = {
        { "untouched", "0-3", "0-3", USEC_PER_HOUR, false, "", 0 },
        { "virsh vcpupin elsewhere", "8", "8", USEC_PER_HOUR, true, "", 2 },
        { "virsh vcpupin elsewhere at once", "8", "8", USEC_PER_SEC, true, "", 2 },
        { "virsh vcpupin to a part of ours", "1", "1", USEC_PER_HOUR, true, "", 2 },
        { "virsh vcpupin back to all, later", "0-15", "0-15", USEC_PER_HOUR, true, "", 2 },
        { "still the original: our change is under way", "0-15", "0-15", USEC_PER_SEC, false, "", 1 },
        { "taskset elsewhere", "0-3", "8", USEC_PER_HOUR, true, "", 2 },
        { "a CPU was offline and came back", "0-3", "0-2", USEC_PER_HOUR, false, "", 1 },
        { "the user pinned, the kernel dropped an offline CPU", "4-7", "4-6", USEC_PER_HOUR, true, "7", 2 },
        /* vCPU 1 and the emulator stay as they are: the kernel dropped CPU 3 from them as well. */
        { "a CPU of ours is offline", "0-3", "0-2", USEC_PER_HOUR, false, "3", 0 },
        { "still the original, of which a CPU is offline", "0-15", "0-14", USEC_PER_SEC, false, "15", 1 },
        { "virsh vcpupin at once to what is online of the original", "0-14", "0-14", USEC_PER_SEC, true, "15", 2 },
};

START_TEST(pins_changed_by_somebody_else_are_theirs) {
        IdSet offline = set_of(takeover_rows[_i].offline);
        Topology *t;
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 2);
        t = w.snapshot->topology;
        world_settle(&w);
        t->online = idset_minus(&t->online, &offline);
        for (size_t i = 0; i < t->n_nodes; i++)
                t->nodes[i].cpus = idset_minus(&t->nodes[i].cpus, &offline);
        g->vcpus[1].affinity = idset_minus(&g->vcpus[1].affinity, &offline);
        g->emulator.affinity = idset_minus(&g->emulator.affinity, &offline);
        g->vcpus[0].pin = set_of(takeover_rows[_i].pin);
        g->vcpus[0].affinity = set_of(takeover_rows[_i].affinity);
        w.snapshot->now_usec += takeover_rows[_i].later_usec;
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, takeover_rows[_i].n_actions);
        ck_assert_int_eq(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_TAKEN_OVER), takeover_rows[_i].lost);
        ck_assert_int_eq(state_find_guest(w.state, g->uuid)->user_pinned, takeover_rows[_i].lost);
        if (takeover_rows[_i].lost) {
                ck_assert_ptr_null(state_find_owned(w.state, ACTION_PIN_VCPU, g->uuid, 0));
                assert_action(&w, g, ACTION_PIN_VCPU, 1, "0-15");
                assert_action(&w, g, ACTION_PIN_EMULATOR, 0, "0-15");
        }
        world_apply(&w);
        ck_assert_int_eq(w.state->n_owned == 0, takeover_rows[_i].lost);
        world_decide(&w, NULL);
        assert_quiet(&w);
        ck_assert_int_eq(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_USER_PIN), takeover_rows[_i].lost);
        world_done(&w);
}
END_TEST

/*
 * The process stood still for 90 s, or libvirt did: a pin is on record, and when a decision is made at last the vCPU
 * has what it had before, or something else.
 */
static const struct {
        const char *name;
        const char *pin, *affinity;
        bool was_open;
        uint64_t open_before_usec;      /* its call was last known to be under way */
        bool lost;
        const char *restored;           /* NULL: it is not put back */
} open_rows[] = {
        { "its call is not answered yet", "0-15", "0-15", true, 0, false, "0-15" },
        { "it was answered a while ago", "0-15", "0-15", true, 30 * USEC_PER_SEC, false, "0-15" },
        { "it was answered long ago", "0-15", "0-15", true, 61 * USEC_PER_SEC, true, NULL },
        { "no call was under way", "0-15", "0-15", false, 0, true, NULL },
        { "somebody else was faster", "8", "8", true, 0, true, NULL },
        { "it is there", "0-3", "0-3", true, 0, false, "0-15" },
};

START_TEST(a_pin_that_may_be_under_way_stays_ours) {
        _cleanup_(plan_freep) Plan *restore = NULL;
        const char *restored = NULL;
        GuestMemo *memo;
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 2);
        world_settle(&w);
        g->vcpus[0].pin = set_of(open_rows[_i].pin);
        g->vcpus[0].affinity = set_of(open_rows[_i].affinity);
        w.snapshot->now_usec += 90 * USEC_PER_SEC;
        memo = state_find_guest(w.state, g->uuid);
        if (open_rows[_i].was_open)
                memo->calls_open_usec = w.snapshot->now_usec - open_rows[_i].open_before_usec;
        ck_assert_int_eq(policy_restore(w.snapshot, w.state, &restore), 0);
        for (size_t i = 0; i < restore->n_actions; i++)
                if (restore->actions[i].kind == ACTION_PIN_VCPU && restore->actions[i].index == 0)
                        restored = restore->actions[i].new_value;
        ck_assert_str_eq(restored ?: "-", open_rows[_i].restored ?: "-");
        world_decide(&w, NULL);
        ck_assert_int_eq(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_TAKEN_OVER), open_rows[_i].lost);
        /* Ours may come on top of theirs. */
        ck_assert_int_eq(state_find_owned(w.state, ACTION_PIN_VCPU, g->uuid, 0) == NULL,
                         open_rows[_i].lost && !policy_calls_open(memo, w.snapshot->now_usec));
        if (open_rows[_i].lost) {
                w.snapshot->now_usec += USEC_PER_MINUTE;
                world_decide(&w, NULL);
                ck_assert_ptr_null(state_find_owned(w.state, ACTION_PIN_VCPU, g->uuid, 0));
        }
        world_done(&w);
}
END_TEST

/*
 * Pins are to be given back, and one holds what it had before us: ours may still come to be. One of an earlier process
 * has its turn when it pleases libvirt, before or after what would be asked now; one of this process comes before it.
 */
static const struct {
        const char *name;
        bool left;                      /* by an earlier process */
        uint64_t open_before_usec;
        bool asked, owned;
} left_rows[] = {
        { "a call that was left", true, 0, false, true },
        { "... half a minute later", true, 30 * USEC_PER_SEC, false, true },
        { "... when it is over", true, 61 * USEC_PER_SEC, false, false },
        { "a call of ours", false, 0, true, true },
        { "... when it is over", false, 61 * USEC_PER_SEC, false, false },
};

START_TEST(a_pin_that_an_earlier_process_asked_for_is_waited_for) {
        GuestMemo *memo;
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 2);
        world_settle(&w);
        thread_pin(&w, &g->vcpus[0], "0-15");
        w.snapshot->now_usec += 90 * USEC_PER_SEC;
        memo = state_find_guest(w.state, g->uuid);
        memo->calls_left = left_rows[_i].left;
        memo->calls_open_usec = w.snapshot->now_usec - left_rows[_i].open_before_usec;
        world_configure(&w, "cpu: { policy = \"none\"; };");
        world_decide(&w, NULL);
        ck_assert_int_eq(world_action(&w, g, ACTION_PIN_VCPU, 0) != NULL, left_rows[_i].asked);
        ck_assert_int_eq(state_find_owned(w.state, ACTION_PIN_VCPU, g->uuid, 0) != NULL, left_rows[_i].owned);
        assert_action(&w, g, ACTION_PIN_VCPU, 1, "0-15");
        world_done(&w);
}
END_TEST

/* What we gave a vCPU before is offline: the kernel may run such a thread anywhere, or on what is left of it. */
static const char *const before_rows[] = { "12", "8,12" };

START_TEST(a_users_pin_is_seen_though_the_cpu_before_ours_is_offline) {
        Topology *t;
        Owned *owned;
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 1);
        t = w.snapshot->topology;
        world_settle(&w);
        owned = state_find_owned(w.state, ACTION_PIN_VCPU, g->uuid, 0);
        ck_assert_int_eq(strdup_to(&owned->previous, before_rows[_i]), 0);
        idset_remove(&t->online, 12);
        idset_remove(&t->nodes[3].cpus, 12);
        thread_pin(&w, &g->vcpus[0], "8");
        w.snapshot->now_usec += USEC_PER_HOUR;
        world_decide(&w, NULL);
        ck_assert(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_TAKEN_OVER));
        ck_assert_ptr_null(world_action(&w, g, ACTION_PIN_VCPU, 0));
        world_done(&w);
}
END_TEST

/* A guest with 8 vCPUs, pinned; then somebody else pins one of them elsewhere. */
static Guest *init_taken_over(World *w) {
        Guest *g;

        g = world_init_one(w, SHARED, 8);
        world_settle(w);
        w->snapshot->now_usec += USEC_PER_HOUR;
        thread_pin(w, &g->vcpus[2], "13");
        return g;
}

START_TEST(a_guest_left_to_the_user_gets_its_other_pins_back_even_later) {
        World w;
        Guest *g = init_taken_over(&w);

        thread_pin(&w, &g->vcpus[5], "14");
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 7);
        ck_assert_ptr_null(world_action(&w, g, ACTION_PIN_VCPU, 2));
        ck_assert_ptr_null(world_action(&w, g, ACTION_PIN_VCPU, 5));
        ck_assert_uint_eq(w.plan->n_skips, 1);
        /* libvirt could not be reached: once more. */
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 7);
        /* The setting is gone meanwhile: all the same. */
        world_configure(&w, _i == 0 ? SHARED : "cpu: { policy = \"none\"; };");
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 7);
        world_apply(&w);
        ck_assert_uint_eq(w.state->n_owned, 0);
        ck_assert(idset_contains(&g->vcpus[2].pin, 13));
        world_decide(&w, NULL);
        assert_quiet(&w);
        world_done(&w);
}
END_TEST

START_TEST(nothing_is_given_back_to_a_guest_that_cannot_take_it) {
        World w;
        Guest *g = init_taken_over(&w);

        world_decide(&w, NULL);
        g->migrating = true;
        world_decide(&w, NULL);
        assert_quiet(&w);
        g->migrating = false;
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 8);
        world_done(&w);
}
END_TEST

/* The state goes through its file, as after SIGKILL. */
static void restart(World *w) {
        _cleanup_free_ char *text = NULL, *error = NULL;

        ck_assert_int_eq(state_format(w->state, &text), 0);
        w->state = state_free(w->state);
        ck_assert_int_eq(state_parse(text, &w->state, &error), 0);
}

/* Recorded: all of the plan. Done: its first @n pins. */
static void kill_after(World *w, size_t n) {
        for (size_t i = 0; i < w->plan->n_actions; i++) {
                const Action *a = &w->plan->actions[i];

                ck_assert_int_eq(state_own(w->state, a), 0);
                if (i < n)
                        thread_pin(w, world_thread(snapshot_find_guest(w->snapshot, a->uuid), a->kind, a->index),
                                   a->new_value);
        }
        restart(w);
}

/* _i pins of 9 were made; the next start is a day later. */
START_TEST(a_kill_while_pinning_is_no_take_over) {
        _cleanup_(plan_freep) Plan *restore = NULL;
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 8);
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 9);
        kill_after(&w, (size_t)_i);
        w.snapshot->now_usec += USEC_PER_DAY;
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_skips, 0);
        ck_assert_uint_eq(w.plan->n_actions, 9 - (size_t)_i);
        /* Not reached at once: the same is wanted in the next cycle. */
        w.snapshot->now_usec += USEC_PER_HOUR;
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 9 - (size_t)_i);
        assert_settled(&w);
        ck_assert(!state_find_guest(w.state, g->uuid)->user_pinned);
        ck_assert_int_eq(policy_restore(w.snapshot, w.state, &restore), 0);
        ck_assert_uint_eq(restore->n_actions, 9);
        for (size_t i = 0; i < restore->n_actions; i++)
                ck_assert_str_eq(restore->actions[i].new_value, "0-15");
        world_done(&w);
}
END_TEST

START_TEST(after_a_kill_a_pin_of_somebody_else_is_theirs_and_the_rest_goes_back) {
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 8);
        world_decide(&w, NULL);
        kill_after(&w, 4);
        thread_pin(&w, &g->vcpus[6], "13");
        w.snapshot->now_usec += USEC_PER_DAY;
        world_decide(&w, NULL);
        ck_assert(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_TAKEN_OVER));
        ck_assert_uint_eq(w.plan->n_actions, 4);
        world_apply(&w);
        ck_assert_uint_eq(w.state->n_owned, 0);
        world_decide(&w, NULL);
        assert_quiet(&w);
        world_done(&w);
}
END_TEST

/* Only the first look after the start may take the original for a pin that was not made. */
START_TEST(put_back_by_somebody_long_after_a_restart_is_a_take_over) {
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 2);
        world_settle(&w);
        restart(&w);
        w.snapshot->now_usec += USEC_PER_HOUR;
        world_decide(&w, NULL);
        assert_quiet(&w);
        thread_pin(&w, &g->vcpus[0], "0-15");
        world_decide(&w, NULL);
        ck_assert(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_TAKEN_OVER));
        world_done(&w);
}
END_TEST

/*
 * The daemon was killed before any pin was made, and CPU 15 is offline. The original is libvirt's, or, where nothing
 * told of that CPU when it was written down, the online part of it.
 */
static const struct {
        const char *name;
        const char *original, *pin;
        bool lost;
} adopted_rows[] = {
        { "untouched", "0-15", "0-15", false },
        { "untouched, written down without CPU 15", "0-14", "0-15", false },
        { "untouched, as written down", "0-14", "0-14", false },
        { "virsh vcpupin to what is online of it", "0-15", "0-14", true },
        { "virsh vcpupin to a part of it", "0-14", "0-13", true },
};

START_TEST(a_users_pin_is_no_original_though_only_offline_cpus_tell_them_apart) {
        Owned *owned;
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 1);
        world_decide(&w, NULL);
        kill_after(&w, 0);
        owned = state_find_owned(w.state, ACTION_PIN_VCPU, g->uuid, 0);
        ck_assert_int_eq(strdup_to(&owned->original, adopted_rows[_i].original), 0);
        idset_remove(&w.snapshot->topology->online, 15);
        idset_remove(&w.snapshot->topology->nodes[3].cpus, 15);
        thread_pin(&w, &g->vcpus[0], adopted_rows[_i].pin);
        thread_pin(&w, &g->emulator, "0-15");
        w.snapshot->now_usec += USEC_PER_HOUR;
        world_decide(&w, NULL);
        ck_assert_int_eq(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_TAKEN_OVER), adopted_rows[_i].lost);
        ck_assert_int_eq(world_action(&w, g, ACTION_PIN_VCPU, 0) == NULL, adopted_rows[_i].lost);
        world_done(&w);
}
END_TEST

static void set_offline(World *w, const char *cpus) {
        Topology *t = w->snapshot->topology;
        IdSet all = idset_or(&t->online, &t->offline);

        t->offline = set_of(cpus);
        t->online = idset_minus(&all, &t->offline);
        for (unsigned i = 0; i < t->n_nodes; i++) {
                for (unsigned cpu = 4 * i; cpu < 4 * i + 4; cpu++)
                        (void)idset_add(&t->nodes[i].cpus, cpu);
                t->nodes[i].cpus = idset_and(&t->nodes[i].cpus, &t->online);
        }
}

/* What vCPU 0 has when CPU 3 is offline, and what it has again when that is back and kvmtuned lets go of it. */
static const struct {
        const char *name;
        const char *pin, *cpuset;
        bool automatic;
        const char *affinity, *original;
} offline_rows[] = {
        { "everything", NULL, NULL, false, "0-2,4-15", "0-15" },
        { "everything, the kernel kept the offline one", NULL, NULL, false, "0-15", "0-15" },
        { "confined by somebody", NULL, NULL, false, "0-2", "0-2" },
        { "pinned to everything", "0-15", NULL, false, "0-2,4-15", "0-15" },
        { "pinned to everything, confined by somebody", "0-15", NULL, false, "0-2,5", "0-2,5" },
        { "a cpuset of everything", NULL, "0-15", false, "0-2,4-15", "0-15" },
        { "where an adviser put it", NULL, NULL, true, "0-2,4-15", "0-2,4-15" },
};

static void assert_original(const World *w, const Guest *g, const char *cpus) {
        const Action *a = world_action(w, g, ACTION_PIN_VCPU, 0);

        ck_assert_ptr_nonnull(a);
        ck_assert_str_eq(a->old_value, cpus);
}

START_TEST(what_was_first_pinned_while_a_cpu_was_offline_gets_it_back) {
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 1);
        set_offline(&w, "3");
        if (offline_rows[_i].pin)
                thread_pin(&w, &g->vcpus[0], offline_rows[_i].pin);
        if (offline_rows[_i].cpuset) {
                g->vcpu_cpuset_set = true;
                g->vcpu_cpuset = set_of(offline_rows[_i].cpuset);
        }
        g->vcpu_placement_auto = offline_rows[_i].automatic;
        g->vcpus[0].affinity = set_of(offline_rows[_i].affinity);
        world_decide(&w, NULL);
        assert_original(&w, g, offline_rows[_i].original);
        world_apply(&w);
        set_offline(&w, "");
        world_configure(&w, "cpu: { policy = \"none\"; };");
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, offline_rows[_i].original);
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_owner");
        TCase *tc = tcase_create("placement_owner");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, pins_changed_by_somebody_else_are_theirs, 0, (int)ELEMENTSOF(takeover_rows));
        tcase_add_loop_test(tc, a_pin_that_may_be_under_way_stays_ours, 0, (int)ELEMENTSOF(open_rows));
        tcase_add_loop_test(tc, a_pin_that_an_earlier_process_asked_for_is_waited_for, 0, (int)ELEMENTSOF(left_rows));
        tcase_add_loop_test(tc, a_users_pin_is_seen_though_the_cpu_before_ours_is_offline, 0,
                            (int)ELEMENTSOF(before_rows));
        tcase_add_loop_test(tc, a_guest_left_to_the_user_gets_its_other_pins_back_even_later, 0, 2);
        tcase_add_test(tc, nothing_is_given_back_to_a_guest_that_cannot_take_it);
        tcase_add_loop_test(tc, a_kill_while_pinning_is_no_take_over, 0, 9);
        tcase_add_test(tc, after_a_kill_a_pin_of_somebody_else_is_theirs_and_the_rest_goes_back);
        tcase_add_test(tc, put_back_by_somebody_long_after_a_restart_is_a_take_over);
        tcase_add_loop_test(tc, a_users_pin_is_no_original_though_only_offline_cpus_tell_them_apart, 0,
                            (int)ELEMENTSOF(adopted_rows));
        tcase_add_loop_test(tc, what_was_first_pinned_while_a_cpu_was_offline_gets_it_back, 0,
                            (int)ELEMENTSOF(offline_rows));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
