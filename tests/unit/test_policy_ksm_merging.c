/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Separating what is merged, merge_across_nodes, and guests that must not share. */

#include "ksm_util.h"

static World world;

static void setup(void) {
        world_init_ksm(&world);
        world_set_host(&world, 16 * GIB, 8 * GIB);
        world.snapshot->host.nodes = calloc(2, sizeof(NodeMemory));
        world.snapshot->host.n_nodes = 2;
        world_set(&world, KEY_KSM_MODE, KSM_ON);
}

static void teardown(void) {
        world_done(&world);
}

static KsmStatus *ksm(void) {
        return world_ksm(&world);
}

/* So much is merged, by a KSM that ran before us or not. */
static void set_merged(uint64_t bytes, uint64_t run) {
        ksm()->pages_sharing = bytes / (4 * KIB);
        ksm()->pages_shared = bytes > 0 ? 100 : 0;
        ksm()->run = run;
}

static void cycle(void) {
        ksm_cycle(&world, 10 * USEC_PER_SEC);
}

static const char *order_of(const Plan *plan) {
        static char text[256];
        size_t n = 0;

        text[0] = '\0';
        for (size_t i = 0; i < plan->n_actions; i++)
                if (plan->actions[i].index == KSM_KNOB_RUN || plan->actions[i].index == KSM_KNOB_MERGE_ACROSS_NODES)
                        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%s", n > 0 ? " " : "",
                                              plan->actions[i].index == KSM_KNOB_RUN ? "run" : "across",
                                              plan->actions[i].new_value);
        return text;
}

/* The host's reserve is 819 MiB, and 20 % (3.2 GiB) make auto merge again: the larger of the two stays. */
static const struct {
        const char *name;
        KsmMode mode;
        KsmAcross across;
        KsmStopped stopped;
        uint64_t now, merged_mib, run, available_mib;
        const char *want;
        bool no_room;
} rows[] = {
        { "as it is", KSM_ON, KSM_ACROSS_KEEP, 0, 1, 1024, 0, 8192, "run=1", false },
        { "yes, and it is", KSM_ON, KSM_ACROSS_YES, 0, 1, 1024, 0, 8192, "run=1", false },
        { "no, nothing merged, stopped", KSM_ON, KSM_ACROSS_NO, 0, 1, 0, 0, 8192, "across=0 run=1", false },
        { "no, nothing merged, running", KSM_ON, KSM_ACROSS_NO, 0, 1, 0, 1, 8192, "run=2 across=0 run=1", false },
        { "no, merged", KSM_ON, KSM_ACROSS_NO, 0, 1, 1024, 1, 8192, "run=2 across=0 run=1", false },
        { "no, merged, stopped", KSM_ON, KSM_ACROSS_NO, 0, 1, 1024, 0, 8192, "run=2 across=0 run=1", false },
        { "no, already", KSM_ON, KSM_ACROSS_NO, 0, 0, 1024, 1, 8192, "", false },
        { "yes, merged", KSM_ON, KSM_ACROSS_YES, 0, 0, 1024, 1, 8192, "run=2 across=1 run=1", false },
        { "no, merged, and to be stopped", KSM_OFF, KSM_ACROSS_NO, 0, 1, 1024, 1, 8192, "run=2 across=0 run=0", false },
        { "just enough room", KSM_ON, KSM_ACROSS_NO, 0, 1, 1024, 1, 4301, "run=2 across=0 run=1", false },
        { "not quite enough room", KSM_ON, KSM_ACROSS_NO, 0, 1, 1024, 1, 4300, "", true },
        { "more merged than there is", KSM_ON, KSM_ACROSS_NO, 0, 1, 20000, 1, 8192, "", true },
        { "little room, and little to separate", KSM_ON, KSM_ACROSS_NO, 0, 1, 1, 1, 4301, "run=2 across=0 run=1", false },
        { "stopped: what is merged stays", KSM_OFF, 0, KSM_STOPPED_KEEP, 1, 1024, 1, 8192, "run=0", false },
        { "stopped: separated", KSM_OFF, 0, KSM_STOPPED_UNMERGE, 1, 1024, 1, 8192, "run=2 run=0", false },
        { "stopped long ago: separated", KSM_OFF, 0, KSM_STOPPED_UNMERGE, 1, 1024, 0, 8192, "run=2 run=0", false },
        { "stopped: nothing to separate", KSM_OFF, 0, KSM_STOPPED_UNMERGE, 1, 0, 1, 8192, "run=0", false },
        { "stopped: no room, but stopped", KSM_OFF, 0, KSM_STOPPED_UNMERGE, 1, 1024, 1, 4300, "run=0", true },
        { "running: nothing is separated", KSM_ON, 0, KSM_STOPPED_UNMERGE, 1, 1024, 1, 8192, "", false },
};

START_TEST(merging_is_undone_where_wanted_and_where_it_fits) {
        world_set(&world, KEY_KSM_MODE, rows[_i].mode);
        world_set(&world, KEY_KSM_MERGE_ACROSS_NODES, rows[_i].across);
        world_set(&world, KEY_KSM_WHEN_STOPPED, rows[_i].stopped);
        world_set_host(&world, 16 * GIB, rows[_i].available_mib * MIB);
        set_merged(rows[_i].merged_mib * MIB, rows[_i].run);
        ksm()->merge_across_nodes = rows[_i].now;
        ksm_decide(&world, 10 * USEC_PER_SEC);
        ck_assert_msg(streq(order_of(world.plan), rows[_i].want), "%s: \"%s\"", rows[_i].name, order_of(world.plan));
        ck_assert_uint_eq(world.plan->n_skips, rows[_i].no_room);
        if (rows[_i].no_room)
                ck_assert_int_eq(world.plan->skips[0].why, SKIP_NO_CAPACITY);
        do_plan(&world, world.plan);
        cycle();
        ck_assert_str_eq(order_of(world.plan), "");
}
END_TEST

/* A kernel with pages of 64 KiB has sixteen times as much to separate. */
START_TEST(what_is_separated_for_the_mode_says_so) {
        world_set(&world, KEY_KSM_MODE, KSM_OFF);
        world_set(&world, KEY_KSM_MERGE_ACROSS_NODES, KSM_ACROSS_NO);
        world_set(&world, KEY_KSM_WHEN_STOPPED, KSM_STOPPED_UNMERGE);
        ksm()->merge_across_nodes = 0;
        set_merged(GIB, 1);
        cycle();
        ck_assert_str_eq(order_of(world.plan), "run=2 run=0");
        ck_assert_str_eq(world.plan->actions[0].reason, "ksm.mode is off");
}
END_TEST

/* The write lasts until all is separated, and the watchdog does not wait for ever. */
START_TEST(too_much_at_once_is_not_separated) {
        world_set(&world, KEY_KSM_MERGE_ACROSS_NODES, KSM_ACROSS_NO);
        world_set_host(&world, 256 * GIB, 128 * GIB);
        ksm()->merge_across_nodes = 1;
        set_merged(16 * GIB + MIB, 1);
        cycle();
        ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, NULL)->why, SKIP_NO_CAPACITY);
        ck_assert_ptr_nonnull(strstr(world_skip(&world, ACTION_SET_KSM, NULL)->detail, "would take too long"));
        set_merged(16 * GIB, 1);
        cycle();
        ck_assert_ptr_null(world_skip(&world, ACTION_SET_KSM, NULL));
}
END_TEST

START_TEST(room_is_counted_in_the_kernels_pages) {
        world_set(&world, KEY_KSM_MERGE_ACROSS_NODES, KSM_ACROSS_NO);
        set_merged(512 * MIB, 1);
        ksm()->page_bytes = 64 * KIB;
        cycle();
        ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, NULL)->why, SKIP_NO_CAPACITY);
}
END_TEST

/* Killed when so many of run=2, across=0, run=1 were done; KSM ran before us (1), or not (0). */
static const struct { uint64_t run; size_t done; bool ours; } kill_rows[] = {
        { 0, 0, false }, { 0, 1, false }, { 0, 2, false }, { 0, 3, false },
        { 1, 0, false }, { 1, 1, false }, { 1, 2, false }, { 1, 3, false },
        { 0, 1, true }, { 0, 2, true }, { 0, 3, true },
};

static void kill_in_the_middle(size_t i) {
        _cleanup_free_ char *text = NULL, *error = NULL;

        set_merged(GIB, kill_rows[i].run);
        if (kill_rows[i].ours)
                cycle();
        world_set(&world, KEY_KSM_MERGE_ACROSS_NODES, KSM_ACROSS_NO);
        world_set(&world, KEY_KSM_PAGES_TO_SCAN, 123);
        world_set(&world, KEY_KSM_SLEEP, 34 * USEC_PER_MSEC);
        ksm_decide(&world, 10 * USEC_PER_SEC);
        record_plan(&world, world.plan);
        ck_assert_int_eq(state_format(world.state, &text), 0);
        act_on_plan(&world, world.plan, kill_rows[i].done);
        world.state = state_free(world.state);
        ck_assert_int_eq(state_parse(text, &world.state, &error), 0);
}

START_TEST(a_kill_in_the_middle_is_put_back_by_restore) {
        kill_in_the_middle((size_t)_i);
        ksm_restore(&world);
        ck_assert_uint_eq(ksm()->run, kill_rows[_i].run);
        ck_assert_uint_eq(ksm()->merge_across_nodes, 1);
        ck_assert_uint_eq(ksm()->pages_to_scan, 123);
}
END_TEST

START_TEST(a_kill_in_the_middle_is_gone_on_from) {
        kill_in_the_middle((size_t)_i);
        world.state->ksm_separated_usec = 0;
        cycle();
        cycle();
        ck_assert(!world.state->ksm_taken);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_uint_eq(ksm()->merge_across_nodes, 0);
        set_merged(GIB, 1);
        ksm_restore(&world);
        ck_assert_uint_eq(ksm()->merge_across_nodes, 1);
        ck_assert_uint_eq(ksm()->run, kill_rows[_i].run);
}
END_TEST

START_TEST(what_does_not_fit_at_the_end_stays_on_record) {
        _cleanup_(plan_freep) Plan *plan = NULL;

        world_set(&world, KEY_KSM_MERGE_ACROSS_NODES, KSM_ACROSS_NO);
        cycle();
        set_merged(8 * GIB, 1);
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &plan), 0);
        ck_assert_str_eq(order_of(plan), "run=0");
        ck_assert_uint_eq(plan->n_skips, 1);
        ck_assert_int_eq(plan->skips[0].why, SKIP_NO_CAPACITY);
}
END_TEST

/* By mode keep, and by the setting alone. */
START_TEST(it_is_given_back_when_it_is_no_longer_wanted) {
        world_set(&world, KEY_KSM_MERGE_ACROSS_NODES, KSM_ACROSS_NO);
        cycle();
        set_merged(GIB, 1);
        world_set(&world, _i > 0 ? KEY_KSM_MODE : KEY_KSM_MERGE_ACROSS_NODES, 0);
        cycle();
        ck_assert_uint_eq(ksm()->merge_across_nodes, 1);
        ck_assert_uint_eq(ksm()->run, _i == 0);
        cycle();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(pages_that_stay_merged_are_not_tried_each_time) {
        world_set(&world, KEY_KSM_MODE, KSM_OFF);
        world_set(&world, KEY_KSM_WHEN_STOPPED, KSM_STOPPED_UNMERGE);
        set_merged(MIB, 0);
        cycle();
        set_merged(MIB, 0);
        cycle();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ksm_decide(&world, 10 * USEC_PER_MINUTE);
        ck_assert_str_eq(order_of(world.plan), "run=2 run=0");
}
END_TEST

START_TEST(somebody_elses_value_is_a_take_over) {
        world_set(&world, KEY_KSM_MERGE_ACROSS_NODES, KSM_ACROSS_NO);
        cycle();
        ksm()->merge_across_nodes = 1;
        cycle();
        ck_assert(world.state->ksm_taken);
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

static const struct {
        const char *name;
        size_t nodes;
        CpuPolicy cpu;
        NumaPolicy numa;
        bool no;
} auto_rows[] = {
        { "several nodes, placed guests", 2, CPU_SHARED, NUMA_AUTO, true },
        { "one node", 1, CPU_SHARED, NUMA_AUTO, false },
        { "guests that are not placed", 2, CPU_NONE, NUMA_AUTO, false },
        { "guests whose memory is not", 2, CPU_SHARED, NUMA_NONE, false },
};

START_TEST(auto_keeps_to_nodes_where_guests_have_theirs) {
        (void)world_add_guest(&world, "g", GIB, GIB);
        world_set(&world, KEY_KSM_MERGE_ACROSS_NODES, KSM_ACROSS_AUTO);
        world_set(&world, KEY_CPU_POLICY, auto_rows[_i].cpu);
        world_set(&world, KEY_NUMA_POLICY, auto_rows[_i].numa);
        world.snapshot->host.n_nodes = auto_rows[_i].nodes;
        cycle();
        ck_assert_msg(ksm()->merge_across_nodes == !auto_rows[_i].no, "%s", auto_rows[_i].name);
}
END_TEST

/* ---- guests that must not share ---- */

static const struct {
        const char *name;
        KsmExposed exposed;
        KsmMode mode;
        bool share, nosharepages, hugepages, shared;
        uint64_t run;
        size_t skips;
        uint64_t run_after;
        uint64_t merged_after;
} exposed_rows[] = {
        { "may share", KSM_EXPOSED_FORBID, KSM_ON, true, false, false, false, 1, 0, 1, 1 },
        { "its XML says so", KSM_EXPOSED_FORBID, KSM_ON, false, true, false, false, 1, 0, 1, 1 },
        { "huge pages are not merged", KSM_EXPOSED_FORBID, KSM_ON, false, false, true, false, 1, 0, 1, 1 },
        { "shared memory is not merged", KSM_EXPOSED_FORBID, KSM_ON, false, false, false, true, 1, 0, 1, 1 },
        { "forbid: stopped and separated", KSM_EXPOSED_FORBID, KSM_ON, false, false, false, false, 1, 1, 0, 0 },
        { "forbid: not started, and separated", KSM_EXPOSED_FORBID, KSM_AUTO, false, false, false, false, 0, 1, 0, 0 },
        { "forbid, under a preset", KSM_EXPOSED_FORBID, KSM_MOM, false, false, false, false, 1, 1, 0, 0 },
        { "report: runs, and is said", KSM_EXPOSED_REPORT, KSM_ON, false, false, false, false, 1, 1, 1, 1 },
        { "ignore: runs", KSM_EXPOSED_IGNORE, KSM_ON, false, false, false, false, 1, 0, 1, 1 },
        { "off: nothing to say", KSM_EXPOSED_FORBID, KSM_OFF, false, false, false, false, 0, 0, 0, 1 },
        { "keep: the host's own KSM is said", KSM_EXPOSED_FORBID, KSM_KEEP, false, false, false, false, 1, 1, 1, 1 },
        { "keep: nothing to say", KSM_EXPOSED_FORBID, KSM_KEEP, false, false, false, false, 0, 0, 0, 1 },
};

START_TEST(a_guest_that_must_not_share) {
        Guest *g = world_add_guest(&world, "bank", GIB, GIB);

        world_set(&world, KEY_KSM_SHARE, exposed_rows[_i].share);
        world_set(&world, KEY_KSM_EXPOSED, exposed_rows[_i].exposed);
        world_set(&world, KEY_KSM_MODE, exposed_rows[_i].mode);
        g->nosharepages = exposed_rows[_i].nosharepages;
        g->hugepages = exposed_rows[_i].hugepages;
        g->shared_memory = exposed_rows[_i].shared;
        set_merged(MIB, exposed_rows[_i].run);
        cycle();
        ck_assert_msg(ksm()->run == exposed_rows[_i].run_after, "%s: run", exposed_rows[_i].name);
        ck_assert_msg((ksm()->pages_shared > 0) == exposed_rows[_i].merged_after, "%s: merged", exposed_rows[_i].name);
        ck_assert_msg(world.plan->n_skips == exposed_rows[_i].skips, "%s: skips", exposed_rows[_i].name);
        if (exposed_rows[_i].skips > 0)
                ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, "bank")->why, SKIP_MUST_NOT_SHARE);
}
END_TEST

START_TEST(ksm_comes_back_when_the_guest_is_gone) {
        world_set(&world, KEY_KSM_SHARE, false);
        (void)world_add_guest(&world, "bank", GIB, GIB);
        cycle();
        ck_assert_uint_eq(ksm()->run, 0);
        ck_assert(snapshot_remove_guest(world.snapshot, world.snapshot->guests[0]->uuid));
        cycle();
        ck_assert_uint_eq(ksm()->run, 1);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_ksm_merging");
        TCase *t = tcase_create("merging");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, merging_is_undone_where_wanted_and_where_it_fits, 0, ELEMENTSOF(rows));
        tcase_add_test(t, what_is_separated_for_the_mode_says_so);
        tcase_add_test(t, too_much_at_once_is_not_separated);
        tcase_add_test(t, room_is_counted_in_the_kernels_pages);
        tcase_add_loop_test(t, a_kill_in_the_middle_is_put_back_by_restore, 0, ELEMENTSOF(kill_rows));
        tcase_add_loop_test(t, a_kill_in_the_middle_is_gone_on_from, 0, ELEMENTSOF(kill_rows));
        tcase_add_test(t, what_does_not_fit_at_the_end_stays_on_record);
        tcase_add_loop_test(t, it_is_given_back_when_it_is_no_longer_wanted, 0, 2);
        tcase_add_test(t, pages_that_stay_merged_are_not_tried_each_time);
        tcase_add_test(t, somebody_elses_value_is_a_take_over);
        tcase_add_loop_test(t, auto_keeps_to_nodes_where_guests_have_theirs, 0, ELEMENTSOF(auto_rows));
        tcase_add_loop_test(t, a_guest_that_must_not_share, 0, ELEMENTSOF(exposed_rows));
        tcase_add_test(t, ksm_comes_back_when_the_guest_is_gone);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
