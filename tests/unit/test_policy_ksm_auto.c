/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mode auto: catching up, whether it pays, what it leaves to the kernel's advisor, and how all that is given back. */

#include "ksm_auto_util.h"

START_TEST(catches_up_at_the_limit_then_leaves_it_to_the_advisor) {
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        ck_assert_uint_eq(ksm()->smart_scan, 1);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->sleep_millisecs, 20);
        ksm()->full_scans += 2;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ksm()->full_scans++;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        ck_assert_uint_eq(ksm()->advisor_max_cpu, 50);
        ck_assert_uint_eq(ksm()->advisor_target_scan_time, 200);
        /* 2,097,152 pages in 200 s, 500 at a time. */
        ck_assert_uint_eq(ksm()->sleep_millisecs, 47);
        ksm()->pages_to_scan = 2345;
        ksm()->pages_unshared = 2500000;
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ck_assert(!world.state->ksm_taken);
}
END_TEST

/* Before and after the advisor took over; pages_to_scan was 123 and has to be so again. */
START_TEST(everything_is_given_back) {
        cycle(10 * SEC);
        ksm()->full_scans += 3;
        if (_i > 0)
                cycle(10 * SEC);
        if (_i > 1)
                ksm()->pages_to_scan = 123;     /* of all values */
        restore();
        ck_assert_uint_eq(ksm()->run, 0);
        ck_assert_uint_eq(ksm()->pages_to_scan, 123);
        ck_assert_uint_eq(ksm()->sleep_millisecs, 34);
        ck_assert_uint_eq(ksm()->smart_scan, 0);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->advisor_max_cpu, 70);
        ck_assert_uint_eq(ksm()->advisor_target_scan_time, 100);
}
END_TEST

/* The same by mode keep, and by a preset, which needs none of the advisor's knobs. */
START_TEST(another_mode_gives_back_what_it_does_not_need) {
        cycle(10 * SEC);
        ksm()->full_scans += 3;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        world_set(&world, KEY_KSM_MODE, _i > 0 ? KSM_ON : KSM_KEEP);
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->advisor_max_cpu, 70);
        ck_assert_uint_eq(ksm()->smart_scan, 0);
        ck_assert_uint_eq(ksm()->pages_to_scan, _i > 0 ? 100 : 123);
        ck_assert_uint_eq(ksm()->run, _i > 0);
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        restore();
        ck_assert_uint_eq(ksm()->pages_to_scan, 123);
        ck_assert_uint_eq(ksm()->run, 0);
}
END_TEST

/* The kernel's advisor was on before: it is off while catching up, and on again; its page count is its own. */
START_TEST(an_advisor_that_was_on_is_on_in_the_end) {
        (void)kernel_write(&world, KSM_KNOB_ADVISOR_MODE, "scan-time");
        ksm()->pages_to_scan = 4321;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        if (_i > 0) {
                ksm()->full_scans += 3;
                cycle(10 * SEC);
        }
        restore();
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        ck_assert_uint_eq(ksm()->advisor_max_cpu, 70);
}
END_TEST

START_TEST(the_page_count_is_on_record_before_the_advisor_overwrites_it) {
        ksm()->pages_to_scan = 10000;   /* what catching up wants */
        cycle(10 * SEC);
        ksm()->full_scans += 3;
        cycle(10 * SEC);
        restore();
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
}
END_TEST

/* An older kernel: the own control paces itself to a pass in scan_time. */
START_TEST(without_advisor_the_own_rate_slows_down) {
        no_advisor();
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        ksm()->full_scans += 3;
        ksm()->pages_unshared = 2000000;
        for (int i = 0; i < 10; i++) {
                ksm()->ksmd_busy_permyriad = (uint32_t)busy_at(ksm()->pages_to_scan, 20, 1000);
                cycle(10 * SEC);
        }
        /* 8 GiB of guest memory are 2,097,152 pages: 10,485 a second, 211 each 20 ms. */
        ck_assert_uint_ge(ksm()->pages_to_scan, 170);
        ck_assert_uint_le(ksm()->pages_to_scan, 264);
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        restore();
        ck_assert_uint_eq(ksm()->pages_to_scan, 123);
}
END_TEST

START_TEST(a_rate_is_measured_before_the_next) {
        no_advisor();
        cycle(1 * SEC);
        ksm()->ksmd_busy_permyriad = 9000;
        cycle(1 * SEC);
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        cycle(4 * SEC);
        ck_assert_uint_eq(ksm()->pages_to_scan, 5000);
}
END_TEST

START_TEST(more_guest_memory_is_caught_up_with) {
        cycle(10 * SEC);
        ksm()->full_scans += 3;
        cycle(10 * SEC);
        (void)world_add_guest(&world, "small", 512 * MIB, 512 * MIB);
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        (void)world_add_guest(&world, "large", 2 * GIB, 2 * GIB);
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        ksm()->full_scans += 3;
        cycle(10 * SEC);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
}
END_TEST

/* ---- whether it pays ---- */

/* Of 16 GiB and 4 CPUs. */
static const struct {
        const char *name;
        uint32_t busy;
        int64_t profit;
        uint64_t sharing, unshared;
        uint64_t scans;
        bool pays;
} pay_rows[] = {
        { "1 GiB for 20 % of a CPU: 5 % of the host is 0.8 GiB", 2000, 1 << 30, 0, 0, 5, true },
        { "0.9 GiB for 20 %", 2000, 900 << 20, 0, 0, 5, true },
        { "0.7 GiB for 20 %", 2000, 700 << 20, 0, 0, 5, false },
        { "nothing for nothing is no gain", 0, 0, 0, 0, 5, false },
        { "a loss for nothing", 0, -4096, 10, 0, 5, false },
        { "a little for nothing", 0, 4096, 0, 0, 5, true },
        { "an older kernel: merged pages", 2000, 0, 262144, 0, 5, true },
        { "an older kernel: too few of them", 2000, 0, 150000, 0, 5, false },
        { "an older kernel: enough, but for what the others cost", 2000, 0, 214000, 5000000, 5, false },
        { "no figure of ksmd: any gain will do", UNKNOWN_PERMYRIAD, 4096, 0, 0, 5, true },
        { "too few passes to tell", 2000, 0, 0, 0, 2, true },
};

static void set_gain(size_t i) {
        ksm()->ksmd_busy_permyriad = pay_rows[i].busy;
        ksm()->general_profit_bytes = pay_rows[i].profit;
        ksm()->pages_sharing = pay_rows[i].sharing;
        ksm()->pages_unshared = pay_rows[i].unshared;
}

START_TEST(runs_while_it_pays) {
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
        set_gain((size_t)_i);
        ksm()->full_scans += pay_rows[_i].scans;
        for (int i = 0; i < 59; i++) {
                cycle(10 * SEC);
                ck_assert_uint_eq(ksm()->run, 1);
        }
        cycle(10 * SEC);
        ck_assert_msg(ksm()->run == pay_rows[_i].pays, "%s", pay_rows[_i].name);
        if (!pay_rows[_i].pays) {
                ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, NULL)->why, SKIP_NO_GAIN);
                ck_assert_ptr_nonnull(strstr(world.plan->skips[0].detail, "30 min"));
        }
}
END_TEST

static void stop_for_no_gain(void) {
        ksm()->general_profit_bytes = -1;
        ksm()->ksmd_busy_permyriad = 1000;
        for (int i = 0; i < 62 && ksm()->run == 1; i++) {
                ksm()->full_scans++;
                cycle(10 * SEC);
        }
        ck_assert_uint_eq(ksm()->run, 0);
}

START_TEST(a_rest_doubles_up_to_eight_hours) {
        static const uint64_t minutes[] = { 30, 60, 120, 240, 480, 480 };

        cycle(10 * SEC);
        for (size_t i = 0; i < ELEMENTSOF(minutes); i++) {
                stop_for_no_gain();
                cycle((minutes[i] - 1) * MINUTE);
                ck_assert_uint_eq(ksm()->run, 0);
                cycle(MINUTE);
                ck_assert_uint_eq(ksm()->run, 1);
        }
}
END_TEST

START_TEST(a_gain_makes_the_next_rest_short_again) {
        cycle(10 * SEC);
        stop_for_no_gain();
        cycle(30 * MINUTE);
        ksm()->general_profit_bytes = 4 * GIB;
        ksm()->full_scans += 5;
        cycle(10 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 1);
        stop_for_no_gain();
        cycle(30 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 1);
}
END_TEST

START_TEST(more_guest_memory_ends_a_rest) {
        cycle(10 * SEC);
        stop_for_no_gain();
        (void)world_add_guest(&world, "h", GIB, GIB);
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
}
END_TEST

START_TEST(the_end_of_need_stops_it_and_forgets_the_rest) {
        cycle(10 * SEC);
        stop_for_no_gain();
        world_set_host(&world, 16 * GIB, 8 * GIB);
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        world_set_host(&world, 16 * GIB, 2 * GIB);
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
}
END_TEST

/* What merging gains may be the end of the need for it. */
START_TEST(passes_that_were_begun_are_done_before_it_stops) {
        cycle(10 * SEC);
        ksm()->full_scans += 2;
        world_set_host(&world, 16 * GIB, 8 * GIB);
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_uint_eq(world.plan->n_actions, 0);
        ksm()->full_scans++;
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_ksm_auto");
        TCase *t = tcase_create("auto");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, catches_up_at_the_limit_then_leaves_it_to_the_advisor);
        tcase_add_loop_test(t, everything_is_given_back, 0, 3);
        tcase_add_loop_test(t, another_mode_gives_back_what_it_does_not_need, 0, 2);
        tcase_add_loop_test(t, an_advisor_that_was_on_is_on_in_the_end, 0, 2);
        tcase_add_test(t, the_page_count_is_on_record_before_the_advisor_overwrites_it);
        tcase_add_test(t, without_advisor_the_own_rate_slows_down);
        tcase_add_test(t, a_rate_is_measured_before_the_next);
        tcase_add_test(t, more_guest_memory_is_caught_up_with);
        tcase_add_loop_test(t, runs_while_it_pays, 0, ELEMENTSOF(pay_rows));
        tcase_add_test(t, a_rest_doubles_up_to_eight_hours);
        tcase_add_test(t, a_gain_makes_the_next_rest_short_again);
        tcase_add_test(t, more_guest_memory_ends_a_rest);
        tcase_add_test(t, the_end_of_need_stops_it_and_forgets_the_rest);
        tcase_add_test(t, passes_that_were_begun_are_done_before_it_stops);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
