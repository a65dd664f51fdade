/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mode auto: a scanner that gets nowhere is named, and what is no proof of that. */

#include "ksm_auto_util.h"

static const struct {
        const char *name;
        size_t nodes;
        uint64_t balancing, release;
        KernelMode mode;
        bool rests;             /* after ten minutes */
        const char *says;
} stuck_rows[] = {
        { "one node", 1, 1, KERNEL_RELEASE(6, 1), KERNEL_AUTO, true, "from one pass to the next" },
        { "balancing is off", 2, 0, KERNEL_RELEASE(6, 1), KERNEL_AUTO, true, "until its memory is moved" },
        { "balancing is off and hides nothing", 2, 0, KERNEL_RELEASE(6, 5), KERNEL_AUTO, true, "pass to the next" },
        { "balancing is on and hides nothing", 2, 1, KERNEL_RELEASE(6, 5), KERNEL_AUTO, true, "pass to the next" },
        { "the policy keeps it", 2, 1, UNKNOWN_U64, KERNEL_KEEP, true, "the policy leaves it so" },
        { "the policy wants it on", 2, 1, KERNEL_RELEASE(6, 1), KERNEL_ON, true, "the policy leaves it so" },
        { "the policy lets it yield", 2, 1, KERNEL_RELEASE(6, 1), KERNEL_AUTO, false, "switched off if this lasts" },
        { "nobody knows the kernel", 2, 1, UNKNOWN_U64, KERNEL_AUTO, false, "switched off if this lasts" },
};

START_TEST(a_scanner_that_merges_nothing_is_named) {
        world.snapshot->host.nodes = calloc(2, sizeof(NodeMemory));
        world.snapshot->host.n_nodes = stuck_rows[_i].nodes;
        world.snapshot->host.numa_balancing = stuck_rows[_i].balancing;
        world.snapshot->host.kernel_release = stuck_rows[_i].release;
        world_set(&world, KEY_KERNEL_NUMA_BALANCING, stuck_rows[_i].mode);
        cycle(10 * SEC);
        ksm()->pages_volatile = 142000;
        ksm()->pages_sharing = 19 * 256;        /* of three guests of 192 MiB, as seen on Linux 6.1 */
        ksm()->general_profit_bytes = -32000000;
        ksm()->ksmd_busy_permyriad = 1000;
        ksm()->full_scans++;
        cycle(10 * SEC);
        /* What the second pass has merged was seen to look like nothing, a pass before 79 MiB were merged. */
        ksm()->full_scans += 2;
        cycle(10 * SEC);
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ksm()->full_scans++;
        cycle(10 * SEC);
        ck_assert_ptr_nonnull(world_skip(&world, ACTION_SET_KSM, NULL));
        ck_assert_int_eq(world_skip(&world, ACTION_SET_KSM, NULL)->why, SKIP_STUCK);
        ck_assert_ptr_nonnull(strstr(world.plan->skips[0].detail, stuck_rows[_i].says));
        ksm()->full_scans += 5;
        cycle(10 * MINUTE);
        ck_assert_msg((ksm()->run == 0) == stuck_rows[_i].rests, "%s", stuck_rows[_i].name);
        ksm()->full_scans += 5;
        cycle(50 * MINUTE);
        ck_assert_uint_eq(ksm()->run, stuck_rows[_i].rests);
}
END_TEST

/* When balancing was switched off, nothing that was seen before is held against the scanner. */
START_TEST(it_begins_anew_when_balancing_was_switched) {
        world.snapshot->host.nodes = calloc(2, sizeof(NodeMemory));
        world.snapshot->host.n_nodes = 2;
        world.snapshot->host.numa_balancing = 1;
        world_set(&world, KEY_KERNEL_NUMA_BALANCING, KERNEL_AUTO);
        cycle(10 * SEC);
        ksm()->pages_volatile = 500000;
        ksm()->general_profit_bytes = -32000000;
        ksm()->ksmd_busy_permyriad = 1000;
        ksm()->full_scans += 5;
        cycle(9 * MINUTE);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        world.state->kernel_set_usec = world.snapshot->now_usec;
        world.snapshot->host.numa_balancing = 0;
        ksm()->full_scans += 3;
        cycle(2 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(world.plan->n_skips, 0);
        ksm()->full_scans += 3;
        cycle(8 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        ck_assert_ptr_nonnull(strstr(world.plan->skips[0].detail, "until its memory is moved"));
        cycle(2 * MINUTE);
        ck_assert_uint_eq(ksm()->run, 0);
}
END_TEST

/* Nothing merged, all volatile. */
static void futile_passes(uint64_t passes) {
        ksm()->full_scans += passes;
        cycle(10 * SEC);
}

static bool is_said(void) {
        return world_skip(&world, ACTION_SET_KSM, NULL) != NULL;
}

/* A host whose guest of 8 GiB has touched @resident, and whose scanner has been started and gets nowhere. */
static Guest *begin_with(uint64_t resident) {
        Guest *g = world.snapshot->guests[0];

        g->rss_bytes = resident;
        ksm()->pages_volatile = 142000;
        cycle(10 * SEC);
        cycle(10 * SEC);
        return g;
}

static const struct { const char *name; uint64_t megabytes[4]; bool said; } growth_rows[] = {
        { "as large as before", { 1000, 1000, 1000, 1000 }, true },
        { "it grows and grows", { 1100, 1200, 1300, 1400 }, false },
        { "in all a tenth, and no more", { 1025, 1050, 1075, 1100 }, true },
        { "in all more than a tenth", { 1025, 1050, 1075, 1101 }, false },
        { "it comes back to where it was", { 900, 950, 1000, 1000 }, false },
        { "it has grown before three passes", { 1200, 1200, 1200, 1200 }, true },
        { "it has grown two passes ago", { 1000, 1200, 1200, 1200 }, false },
        { "it shrinks", { 900, 800, 700, 600 }, true },
};

/* While guests start, or fill their memory, its pages are new; they count as volatile like those that change. */
START_TEST(passes_count_from_when_guests_have_grown) {
        Guest *g = begin_with(1000 * MIB);

        for (size_t i = 0; i < ELEMENTSOF(growth_rows[_i].megabytes); i++) {
                g->rss_bytes = growth_rows[_i].megabytes[i] * MIB;
                futile_passes(1);
        }
        ck_assert_msg(is_said() == growth_rows[_i].said, "%s", growth_rows[_i].name);
        futile_passes(3);
        ck_assert(is_said());
}
END_TEST

START_TEST(passes_count_from_when_guests_have_come) {
        Guest *g;

        (void)begin_with(GIB);
        futile_passes(2);
        g = world_add_guest(&world, "new", 2 * GIB, 2 * GIB);
        g->rss_bytes = 200 * MIB;
        futile_passes(1);
        ck_assert(!is_said());
        futile_passes(2);
        ck_assert(!is_said());
        futile_passes(1);
        ck_assert(is_said());
}
END_TEST

/* As many go as come: what is there is new all the same. */
START_TEST(guests_that_take_the_place_of_others_are_new) {
        char first[UUID_TEXT_SIZE];
        Guest *g = begin_with(GIB);

        memcpy(first, g->uuid, sizeof(first));
        g = world_add_guest(&world, "next", 8 * GIB, 8 * GIB);
        g->rss_bytes = 0;
        ck_assert(snapshot_remove_guest(world.snapshot, first));
        futile_passes(1);
        g->rss_bytes = GIB;
        futile_passes(2);
        ck_assert(!is_said());
        futile_passes(2);
        ck_assert(!is_said());
        futile_passes(1);
        ck_assert(is_said());
}
END_TEST

/* The three quick passes were over before the guest had filled its memory. */
START_TEST(memory_that_is_filled_is_caught_up_with) {
        Guest *g = begin_with(100 * MIB);

        futile_passes(3);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
        g->rss_bytes = 6 * GIB;
        futile_passes(1);
        ck_assert_str_eq(ksm()->advisor_mode, "none");
        ck_assert_uint_eq(ksm()->pages_to_scan, 10000);
        futile_passes(3);
        ck_assert_str_eq(ksm()->advisor_mode, "scan-time");
}
END_TEST

/* The state goes through its text in between, as over a restart. */
START_TEST(growth_goes_on_over_a_restart) {
        _cleanup_free_ char *text = NULL, *error = NULL;
        Guest *g = begin_with(1000 * MIB);

        g->rss_bytes = 1050 * MIB;
        futile_passes(1);
        ck_assert_int_eq(state_format(world.state, &text), 0);
        world.state = state_free(world.state);
        ck_assert_int_eq(state_parse(text, &world.state, &error), 0);
        g->rss_bytes = 1090 * MIB;
        futile_passes(2);
        ck_assert(is_said());
        g->rss_bytes = 1101 * MIB;
        futile_passes(1);
        ck_assert(!is_said());
}
END_TEST

/* Whether it pays is not asked before it is known whether balancing keeps it from merging. */
START_TEST(a_scanner_is_not_judged_while_guests_grow_under_balancing) {
        Guest *g;

        world.snapshot->host.nodes = calloc(2, sizeof(NodeMemory));
        world.snapshot->host.n_nodes = 2;
        world.snapshot->host.numa_balancing = _i == 0;
        world_set(&world, KEY_KERNEL_NUMA_BALANCING, KERNEL_AUTO);
        ksm()->general_profit_bytes = -32000000;
        ksm()->ksmd_busy_permyriad = 1000;
        g = begin_with(GIB);
        ksm()->full_scans += 2;
        cycle(8 * MINUTE);
        g->rss_bytes = 2 * GIB;
        ksm()->full_scans++;
        cycle(MINUTE);
        ksm()->full_scans++;
        cycle(MINUTE);
        ck_assert_uint_eq(ksm()->run, _i == 0);
        ksm()->full_scans += 2;
        cycle(MINUTE);
        ck_assert_int_eq(is_said(), true);
        ck_assert_uint_eq(ksm()->run, _i == 0);
}
END_TEST

/* The count of passes is from before; nothing can be said of this run yet. */
START_TEST(passes_of_an_earlier_run_prove_nothing) {
        ksm()->pages_volatile = 500000;
        cycle(10 * SEC);
        cycle(10 * SEC);
        ck_assert_uint_eq(ksm()->run, 1);
        ck_assert_uint_eq(world.plan->n_skips, 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("policy_ksm_stuck");
        TCase *t = tcase_create("stuck");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, a_scanner_that_merges_nothing_is_named, 0, ELEMENTSOF(stuck_rows));
        tcase_add_test(t, it_begins_anew_when_balancing_was_switched);
        tcase_add_test(t, passes_of_an_earlier_run_prove_nothing);
        tcase_add_loop_test(t, passes_count_from_when_guests_have_grown, 0, ELEMENTSOF(growth_rows));
        tcase_add_test(t, passes_count_from_when_guests_have_come);
        tcase_add_test(t, guests_that_take_the_place_of_others_are_new);
        tcase_add_test(t, memory_that_is_filled_is_caught_up_with);
        tcase_add_test(t, growth_goes_on_over_a_restart);
        tcase_add_loop_test(t, a_scanner_is_not_judged_while_guests_grow_under_balancing, 0, 2);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
