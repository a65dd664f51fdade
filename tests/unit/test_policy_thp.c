/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Transparent huge pages: what each setting writes, whose value it is, and giving it back. */

#include "placement_util.h"

static World world;

static void setup(void) {
        world_init(&world, "core:4 pu:1", "");
        world.snapshot->host.thp = (ThpStatus){
                .enabled = "always", .enabled_choices = "always madvise never",
                .defrag = "madvise", .defrag_choices = "always defer defer+madvise madvise never",
                .khugepaged_pages_to_scan = 4096, .khugepaged_scan_sleep_millisecs = 10000,
                .khugepaged_max_ptes_none = 511,
        };
}

static void teardown(void) {
        world_done(&world);
}

static void configure(const char *thp) {
        char text[256];

        (void)snprintf(text, sizeof(text), "thp: { %s };", thp);
        world_configure(&world, text);
}

static void put(const Action *a) {
        ThpStatus *t = &world.snapshot->host.thp;
        uint64_t number = strtoull(a->new_value, NULL, 10);

        if (a->index == THP_KNOB_ENABLED)
                (void)snprintf(t->enabled, sizeof(t->enabled), "%s", a->new_value);
        else if (a->index == THP_KNOB_DEFRAG)
                (void)snprintf(t->defrag, sizeof(t->defrag), "%s", a->new_value);
        else if (a->index == THP_KNOB_PAGES_TO_SCAN)
                t->khugepaged_pages_to_scan = number;
        else if (a->index == THP_KNOB_SCAN_SLEEP_MILLISECS)
                t->khugepaged_scan_sleep_millisecs = number;
        else
                t->khugepaged_max_ptes_none = number;
}

/* As the daemon: own, do, disown what was given back. */
static void carry_out(void) {
        for (size_t i = 0; i < world.plan->n_actions; i++) {
                const Action *a = &world.plan->actions[i];

                ck_assert_int_eq(a->kind, ACTION_SET_THP);
                ck_assert_int_eq(state_own(world.state, a), 0);
                put(a);
                if (streq(state_find_owned(world.state, ACTION_SET_THP, "", a->index)->original, a->new_value))
                        state_disown(world.state, ACTION_SET_THP, "", a->index);
        }
}

static void decide(void) {
        world_decide(&world, NULL);
}

static void assert_skip(SkipReason why, const char *words) {
        ck_assert_uint_eq(world.plan->n_skips, 1);
        ck_assert_int_eq(world.plan->skips[0].kind, ACTION_SET_THP);
        ck_assert_int_eq(world.plan->skips[0].why, why);
        ck_assert_msg(strstr(world.plan->skips[0].detail, words) != NULL, "%s", world.plan->skips[0].detail);
}

/* ---- one setting, one file ---- */

static const struct {
        const char *name, *thp;
        int knob;                       /* -1: nothing */
        const char *want;
} setting_rows[] = {
        { "nothing by default", "", -1, NULL },
        { "keep", "enabled = \"keep\"; scan_sleep = \"keep\"; pages_to_scan = \"keep\";", -1, NULL },
        { "enabled", "enabled = \"madvise\";", THP_KNOB_ENABLED, "madvise" },
        { "enabled already", "enabled = \"always\";", -1, NULL },
        { "defrag", "defrag = \"defer+madvise\";", THP_KNOB_DEFRAG, "defer+madvise" },
        { "pages", "pages_to_scan = 8192;", THP_KNOB_PAGES_TO_SCAN, "8192" },
        { "sleep is in milliseconds", "scan_sleep = \"1 s\";", THP_KNOB_SCAN_SLEEP_MILLISECS, "1000" },
        { "no sleep", "scan_sleep = \"0\";", THP_KNOB_SCAN_SLEEP_MILLISECS, "0" },
        { "none", "max_ptes_none = 0;", THP_KNOB_MAX_PTES_NONE, "0" },
        { "none already", "max_ptes_none = 511;", -1, NULL },
};

START_TEST(each_setting_writes_its_file) {
        configure(setting_rows[_i].thp);
        decide();
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ck_assert_uint_eq(world.plan->n_actions, setting_rows[_i].knob >= 0);
        if (setting_rows[_i].knob < 0)
                return;
        ck_assert_uint_eq(world.plan->actions[0].index, (unsigned)setting_rows[_i].knob);
        ck_assert_str_eq(world.plan->actions[0].new_value, setting_rows[_i].want);
        carry_out();
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(the_rate_comes_before_the_switch) {
        configure("enabled = \"madvise\"; pages_to_scan = 10;");
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 2);
        ck_assert_uint_eq(world.plan->actions[0].index, THP_KNOB_PAGES_TO_SCAN);
        ck_assert_uint_eq(world.plan->actions[1].index, THP_KNOB_ENABLED);
}
END_TEST

/* ---- what the kernel has ---- */

START_TEST(a_word_the_kernel_lacks_is_not_written) {
        (void)strcpy(world.snapshot->host.thp.defrag_choices, "always madvise never");
        configure("defrag = \"defer\";");
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_UNAVAILABLE, "\"defer\"");
        /* Part of a word is not that word. */
        (void)strcpy(world.snapshot->host.thp.defrag_choices, "always defer+madvise madvise never");
        decide();
        assert_skip(SKIP_UNAVAILABLE, "\"defer\"");
        (void)strcpy(world.snapshot->host.thp.defrag_choices, "never defer");
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 1);
        world.snapshot->host.thp.defrag_choices[0] = '\0';
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 1);
}
END_TEST

START_TEST(without_huge_pages_one_reason_for_all) {
        world.snapshot->host.thp = (ThpStatus){ .khugepaged_pages_to_scan = UNKNOWN_U64,
                                                .khugepaged_scan_sleep_millisecs = UNKNOWN_U64,
                                                .khugepaged_max_ptes_none = UNKNOWN_U64 };
        configure("enabled = \"never\"; max_ptes_none = 0;");
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_UNAVAILABLE, "max_ptes_none; the kernel has no transparent_hugepage/enabled");
        configure("");
        decide();
        ck_assert_uint_eq(world.plan->n_skips, 0);
}
END_TEST

/* ---- whose it is ---- */

START_TEST(keep_gives_back_what_was_before) {
        configure("enabled = \"never\"; scan_sleep = \"1 s\";");
        decide();
        carry_out();
        configure("scan_sleep = \"1 s\";");
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_str_eq(world.plan->actions[0].new_value, "always");
        carry_out();
        ck_assert_ptr_null(state_find_owned(world.state, ACTION_SET_THP, "", THP_KNOB_ENABLED));
        ck_assert_ptr_nonnull(state_find_owned(world.state, ACTION_SET_THP, "", THP_KNOB_SCAN_SLEEP_MILLISECS));
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(somebody_elses_change_is_theirs_and_only_that_one) {
        configure("enabled = \"never\"; scan_sleep = \"1 s\";");
        decide();
        carry_out();
        (void)strcpy(world.snapshot->host.thp.enabled, "madvise");
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 0);
        assert_skip(SKIP_TAKEN_OVER, "thp.enabled is madvise, not never");
        ck_assert_ptr_null(state_find_owned(world.state, ACTION_SET_THP, "", THP_KNOB_ENABLED));
        configure("enabled = \"never\"; scan_sleep = \"2 s\";");
        decide();
        assert_skip(SKIP_TAKEN_OVER, "until the next reload");
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_uint_eq(world.plan->actions[0].index, THP_KNOB_SCAN_SLEEP_MILLISECS);
        world.state->thp_taken = 0;
        decide();
        ck_assert_uint_eq(world.plan->n_actions, 2);
}
END_TEST

/* The process ended between recording the change and making it. */
START_TEST(a_change_that_was_never_made_is_made_now) {
        configure("enabled = \"never\";");
        decide();
        ck_assert_int_eq(state_own(world.state, &world.plan->actions[0]), 0);
        world.state->thp_adopted = true;
        decide();
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ck_assert_uint_eq(world.plan->n_actions, 1);
        ck_assert_int_eq(world.state->thp_adopted, false);
        ck_assert_uint_eq(world.state->thp_taken, 0);
}
END_TEST

START_TEST(a_decision_for_one_guest_leaves_the_host_alone) {
        const Guest *g = world_guest(&world, "g", 1, GIB);

        configure("enabled = \"never\";");
        world_decide(&world, g->uuid);
        ck_assert_uint_eq(world.plan->n_actions, 0);
}
END_TEST

START_TEST(restore_puts_all_back) {
        configure("enabled = \"never\"; defrag = \"never\"; pages_to_scan = 1; scan_sleep = \"0\"; max_ptes_none = 0;");
        decide();
        carry_out();
        world.plan = plan_free(world.plan);
        ck_assert_int_eq(policy_restore(world.snapshot, world.state, &world.plan), 0);
        ck_assert_uint_eq(world.plan->n_actions, _THP_KNOB_MAX);
        carry_out();
        ck_assert_uint_eq(world.state->n_owned, 0);
        ck_assert_str_eq(world.snapshot->host.thp.enabled, "always");
        ck_assert_str_eq(world.snapshot->host.thp.defrag, "madvise");
        ck_assert_uint_eq(world.snapshot->host.thp.khugepaged_pages_to_scan, 4096);
        ck_assert_uint_eq(world.snapshot->host.thp.khugepaged_scan_sleep_millisecs, 10000);
        ck_assert_uint_eq(world.snapshot->host.thp.khugepaged_max_ptes_none, 511);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_thp");
        TCase *t = tcase_create("all");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, each_setting_writes_its_file, 0, (int)ELEMENTSOF(setting_rows));
        tcase_add_test(t, the_rate_comes_before_the_switch);
        tcase_add_test(t, a_word_the_kernel_lacks_is_not_written);
        tcase_add_test(t, without_huge_pages_one_reason_for_all);
        tcase_add_test(t, keep_gives_back_what_was_before);
        tcase_add_test(t, somebody_elses_change_is_theirs_and_only_that_one);
        tcase_add_test(t, a_change_that_was_never_made_is_made_now);
        tcase_add_test(t, a_decision_for_one_guest_leaves_the_host_alone);
        tcase_add_test(t, restore_puts_all_back);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
