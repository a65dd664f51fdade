/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory_util.h"

static World world;

static void setup(void) {
        world_init(&world);
        world_set_host(&world, 16 * GIB, 8 * GIB);
        world.snapshot->host.ksm = (KsmStatus){
                .present = true, .writable = true, .run = 0, .pages_to_scan = 100, .sleep_millisecs = 20,
        };
}

static void teardown(void) {
        world_done(&world);
}

static void run(void) {
        world_run(&world, policy_ksm, NULL);
}

static uint64_t *knob_field(unsigned knob) {
        KsmStatus *ksm = &world.snapshot->host.ksm;

        return knob == KSM_KNOB_RUN ? &ksm->run
                : knob == KSM_KNOB_PAGES_TO_SCAN ? &ksm->pages_to_scan : &ksm->sleep_millisecs;
}

/* What the daemon and the kernel do with the plan. */
static void act(void) {
        world_own_all(&world);
        for (size_t i = 0; i < world.plan->n_actions; i++)
                *knob_field(world.plan->actions[i].index) = value_of(world.plan->actions[i].new_value);
}

static const char *new_value(unsigned knob) {
        const Action *a = world_action(&world, ACTION_SET_KSM, NULL, knob);

        return a ? a->new_value : "";
}

static const struct {
        const char *name;
        KsmMode mode;
        uint64_t run, available_percent, guest_gib;
        bool ours;              /* running because we started it */
        const char *want;       /* new value of run; "": no action */
} mode_rows[] = {
        { "keep leaves it stopped", KSM_KEEP, 0, 5, 0, false, "" },
        { "keep leaves it running", KSM_KEEP, 1, 90, 0, false, "" },
        { "off stops", KSM_OFF, 1, 5, 0, false, "0" },
        { "off leaves it stopped", KSM_OFF, 0, 5, 0, false, "" },
        { "off leaves unmerging alone", KSM_OFF, 2, 50, 0, false, "" },
        { "on starts", KSM_ON, 0, 90, 0, false, "1" },
        { "on starts after unmerging", KSM_ON, 2, 90, 0, false, "1" },
        { "on leaves it running", KSM_ON, 1, 90, 0, false, "" },
        { "auto starts at the threshold", KSM_AUTO, 0, 20, 0, false, "1" },
        { "auto does not start above it", KSM_AUTO, 0, 21, 0, false, "" },
        { "auto keeps running between", KSM_AUTO, 1, 25, 0, true, "" },
        { "auto leaves what somebody else started running between", KSM_AUTO, 1, 25, 0, false, "" },
        { "auto leaves it stopped between", KSM_AUTO, 0, 25, 0, false, "" },
        { "auto stops at the upper threshold", KSM_AUTO, 1, 30, 0, true, "0" },
        { "auto keeps running just below it", KSM_AUTO, 1, 29, 0, true, "" },
        { "auto starts when guests exceed the host", KSM_AUTO, 0, 90, 15, false, "1" },
        { "auto does not when they fit", KSM_AUTO, 0, 90, 14, false, "" },
        { "auto does not stop while guests exceed it", KSM_AUTO, 1, 90, 15, true, "" },
};

START_TEST(mode_decides_run) {
        world_set(&world, KEY_KSM_MODE, mode_rows[_i].mode);
        world_set_host(&world, 16 * GIB, 16 * GIB * mode_rows[_i].available_percent / 100 + 1);
        if (mode_rows[_i].available_percent == 20)
                world.snapshot->host.memory.available_bytes = permyriad_of(16 * GIB, 2000);
        world.snapshot->host.ksm.run = mode_rows[_i].run;
        if (mode_rows[_i].ours) {
                world.state->ksm_on = true;
                Action a = { .kind = ACTION_SET_KSM, .uuid = (char[]){ "" }, .old_value = (char[]){ "0" },
                             .new_value = (char[]){ "1" } };

                ck_assert_int_eq(state_own(world.state, &a), 0);
        }
        if (mode_rows[_i].guest_gib > 0)
                (void)world_add_guest(&world, "g", mode_rows[_i].guest_gib * GIB, mode_rows[_i].guest_gib * GIB);
        run();
        ck_assert_msg(streq(new_value(KSM_KNOB_RUN), mode_rows[_i].want), "%s: got \"%s\"", mode_rows[_i].name,
                      new_value(KSM_KNOB_RUN));
        ck_assert_uint_eq(world.plan->n_skips, 0);
}
END_TEST

START_TEST(rate_is_written_before_run) {
        world_set(&world, KEY_KSM_MODE, KSM_ON);
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 500);
        world_set(&world, KEY_KSM_SLEEP, 50 * USEC_PER_MSEC);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 3);
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), "500");
        ck_assert_str_eq(new_value(KSM_KNOB_SLEEP_MILLISECS), "50");
        ck_assert_uint_eq(world.plan->actions[2].index, KSM_KNOB_RUN);
        ck_assert_str_eq(world.plan->actions[2].old_value, "0");
        act();
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(kernel_advisor_keeps_its_page_count) {
        world_set(&world, KEY_KSM_MODE, KSM_ON);
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 500);
        (void)snprintf(world.snapshot->host.ksm.advisor_mode, 16, "scan-time");
        run();
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), "");
        ck_assert_str_eq(new_value(KSM_KNOB_RUN), "1");
        ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, NULL)->why, SKIP_UNAVAILABLE);
}
END_TEST

START_TEST(advisor_that_moves_our_page_count_is_no_take_over) {
        world_set(&world, KEY_KSM_MODE, KSM_ON);
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 500);
        run();
        act();
        (void)snprintf(world.snapshot->host.ksm.advisor_mode, 16, "scan-time");
        world.snapshot->host.ksm.pages_to_scan = 4321;
        run();
        ck_assert(!world.state->ksm_taken);
        ck_assert_ptr_null(state_find_owned(world.state, ACTION_SET_KSM, "", KSM_KNOB_PAGES_TO_SCAN));
        ck_assert_ptr_nonnull(state_find_owned(world.state, ACTION_SET_KSM, "", KSM_KNOB_RUN));
}
END_TEST

static const struct { const char *name; bool present, writable; KsmMode mode; size_t skips; } absent_rows[] = {
        { "absent", false, false, KSM_ON, 1 },
        { "read-only", true, false, KSM_ON, 1 },
        { "absent, but nothing is wanted", false, false, KSM_KEEP, 0 },
        { "read-only, but nothing is wanted", true, false, KSM_KEEP, 0 },
};

START_TEST(missing_ksm_is_said_only_when_wanted) {
        world_set(&world, KEY_KSM_MODE, absent_rows[_i].mode);
        world.snapshot->host.ksm.present = absent_rows[_i].present;
        world.snapshot->host.ksm.writable = absent_rows[_i].writable;
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, absent_rows[_i].skips);
}
END_TEST

START_TEST(unknown_host_memory_is_no_need) {
        world_set(&world, KEY_KSM_MODE, _i == 0 ? KSM_AUTO : KSM_KSMTUNED);
        world_set_host(&world, 0, 0);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, NULL)->why, SKIP_UNKNOWN);
}
END_TEST

START_TEST(a_change_by_somebody_else_ends_control) {
        world_set(&world, KEY_KSM_MODE, KSM_ON);
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 500);
        run();
        act();
        *knob_field((unsigned)_i) = 7;
        run();
        ck_assert(world.state->ksm_taken);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 1);
        ck_assert_int_eq(world.plan->skips[0].why, SKIP_TAKEN_OVER);
        ck_assert_ptr_nonnull(strstr(world.plan->skips[0].detail, "7, not"));
        ck_assert_ptr_null(state_find_owned(world.state, ACTION_SET_KSM, "", (unsigned)_i));
        world_set(&world, KEY_KSM_MODE, KSM_OFF);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 1);
}
END_TEST

START_TEST(what_still_holds_our_value_is_given_back_in_the_end) {
        unsigned other = _i == KSM_KNOB_RUN ? KSM_KNOB_PAGES_TO_SCAN : KSM_KNOB_RUN;
        _cleanup_(plan_freep) Plan *restore = NULL;

        world_set(&world, KEY_KSM_MODE, KSM_ON);
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 500);
        run();
        act();
        *knob_field((unsigned)_i) = 7;
        run();
        run();
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &restore), 0);
        ck_assert_uint_eq(restore->n_actions, 1);
        ck_assert_uint_eq(restore->actions[0].index, other);
        ck_assert_str_eq(restore->actions[0].new_value, other == KSM_KNOB_RUN ? "0" : "100");
        ck_assert_uint_eq(restore->n_skips, 0);
}
END_TEST

/* The state goes through its file, as after SIGKILL. */
static void restart(void) {
        _cleanup_free_ char *text = NULL, *error = NULL;

        ck_assert_int_eq(state_format(world.state, &text), 0);
        world.state = state_free(world.state);
        ck_assert_int_eq(state_parse(text, &world.state, &error), 0);
}

/* Killed when so many of its two changes (pages_to_scan 100 -> 500, run 0 -> 1) were made. */
START_TEST(a_kill_between_recording_and_writing_is_no_take_over) {
        _cleanup_(plan_freep) Plan *restore = NULL;

        world_set(&world, KEY_KSM_MODE, KSM_ON);
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 500);
        run();
        world_own_all(&world);
        if (_i > 0)
                *knob_field(KSM_KNOB_PAGES_TO_SCAN) = 500;
        restart();
        run();
        ck_assert(!world.state->ksm_taken);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ck_assert_str_eq(new_value(KSM_KNOB_RUN), "1");
        ck_assert_uint_eq(world.plan->n_actions, _i > 0 ? 1 : 2);
        act();
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &restore), 0);
        ck_assert_uint_eq(restore->n_actions, 2);
        ck_assert_str_eq(restore->actions[0].new_value, "100");
        ck_assert_str_eq(restore->actions[1].new_value, "0");
}
END_TEST

START_TEST(a_kill_before_a_write_that_is_no_longer_wanted_leaves_nothing) {
        world_set(&world, KEY_KSM_MODE, KSM_ON);
        run();
        world_own_all(&world);
        restart();
        world_set(&world, KEY_KSM_MODE, KSM_OFF);
        run();
        ck_assert(!world.state->ksm_taken);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ck_assert_uint_eq(world.state->n_owned, 0);
}
END_TEST

/* Only the first look after the start may take the original for a change that was not made. */
START_TEST(put_back_by_somebody_while_we_watch_is_a_take_over) {
        world_set(&world, KEY_KSM_MODE, KSM_ON);
        run();
        act();
        if (_i > 0) {
                restart();
                run();
                ck_assert_uint_eq(world.plan->n_actions, 0);
        }
        *knob_field(KSM_KNOB_RUN) = 0;
        run();
        ck_assert(world.state->ksm_taken);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, NULL)->why, SKIP_TAKEN_OVER);
}
END_TEST

START_TEST(a_write_that_did_not_happen_is_no_take_over) {
        world_set(&world, KEY_KSM_MODE, KSM_ON);
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 500);
        run();
        act();
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 900);
        run();
        world_own_all(&world);
        run();
        ck_assert(!world.state->ksm_taken);
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), "900");
}
END_TEST

START_TEST(keep_gives_back_what_another_mode_changed) {
        world_set(&world, KEY_KSM_MODE, KSM_ON);
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 500);
        run();
        act();
        world_set(&world, KEY_KSM_MODE, KSM_KEEP);
        run();
        ck_assert_uint_eq(world.plan->n_actions, 2);
        ck_assert_str_eq(new_value(KSM_KNOB_PAGES_TO_SCAN), "100");
        ck_assert_str_eq(new_value(KSM_KNOB_RUN), "0");
        act();
        run();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.state->n_owned, 0);
}
END_TEST

static const struct { size_t nodes; uint64_t balancing, release; bool named; } hindrance_rows[] = {
        { 2, 1, KERNEL_RELEASE(6, 1), true },   { 2, 1, KERNEL_RELEASE(6, 4), true },
        { 2, 3, KERNEL_RELEASE(6, 1), true },   { 2, 2, KERNEL_RELEASE(6, 1), false },
        { 2, 0, KERNEL_RELEASE(6, 1), false },  { 2, UNKNOWN_U64, KERNEL_RELEASE(6, 1), false },
        { 1, 1, KERNEL_RELEASE(6, 1), false },  { 2, 1, KERNEL_RELEASE(6, 0), false },
        { 2, 1, KERNEL_RELEASE(6, 5), false },  { 2, 1, UNKNOWN_U64, false },
};

START_TEST(numa_balancing_is_named_where_it_hinders) {
        Host *h = &world.snapshot->host;

        world_set(&world, KEY_KSM_MODE, KSM_ON);
        h->nodes = calloc(2, sizeof(NodeMemory));
        h->n_nodes = hindrance_rows[_i].nodes;
        h->numa_balancing = hindrance_rows[_i].balancing;
        h->kernel_release = hindrance_rows[_i].release;
        run();
        ck_assert_int_eq(!!strstr(world_action(&world, ACTION_SET_KSM, NULL, KSM_KNOB_RUN)->reason, "numa_balancing"),
                         hindrance_rows[_i].named);
}
END_TEST

START_TEST(start_of_one_guest_does_not_touch_the_host) {
        Guest *g = world_add_guest(&world, "g", GIB, GIB);

        world_set(&world, KEY_KSM_MODE, KSM_ON);
        world_run(&world, policy_ksm, g->uuid);
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_ksm");
        TCase *t = tcase_create("ksm");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, mode_decides_run, 0, ELEMENTSOF(mode_rows));
        tcase_add_test(t, rate_is_written_before_run);
        tcase_add_test(t, kernel_advisor_keeps_its_page_count);
        tcase_add_test(t, advisor_that_moves_our_page_count_is_no_take_over);
        tcase_add_loop_test(t, missing_ksm_is_said_only_when_wanted, 0, ELEMENTSOF(absent_rows));
        tcase_add_loop_test(t, unknown_host_memory_is_no_need, 0, 2);
        tcase_add_loop_test(t, a_change_by_somebody_else_ends_control, 0, 2);
        tcase_add_loop_test(t, what_still_holds_our_value_is_given_back_in_the_end, 0, 2);
        tcase_add_loop_test(t, a_kill_between_recording_and_writing_is_no_take_over, 0, 2);
        tcase_add_test(t, a_kill_before_a_write_that_is_no_longer_wanted_leaves_nothing);
        tcase_add_loop_test(t, put_back_by_somebody_while_we_watch_is_a_take_over, 0, 2);
        tcase_add_test(t, a_write_that_did_not_happen_is_no_take_over);
        tcase_add_test(t, keep_gives_back_what_another_mode_changed);
        tcase_add_loop_test(t, numa_balancing_is_named_where_it_hinders, 0, ELEMENTSOF(hindrance_rows));
        tcase_add_test(t, start_of_one_guest_does_not_touch_the_host);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
