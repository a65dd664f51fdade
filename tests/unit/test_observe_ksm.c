/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/observe.h"

#include "tree.h"

DEFINE_CLEANUP(KsmObserver, ksm_observer_free)
DEFINE_CLEANUP(ThpObserver, thp_observer_free)

START_TEST(reads_every_field) {
        _cleanup_(ksm_observer_freep) KsmObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("two-nodes");
        Host h = { 0 };

        ck_assert_int_eq(ksm_observer_new(&o), 0);
        ck_assert_int_eq(ksm_observe(o, root, USEC_PER_SEC, &h), 0);
        ck_assert(h.ksm.present);
        ck_assert_uint_eq(h.ksm.run, 1);
        ck_assert_uint_eq(h.ksm.pages_to_scan, 1250);
        ck_assert_uint_eq(h.ksm.sleep_millisecs, 20);
        ck_assert_uint_eq(h.ksm.merge_across_nodes, 0);
        ck_assert_uint_eq(h.ksm.pages_shared, 5000);
        ck_assert_uint_eq(h.ksm.pages_sharing, 61000);
        ck_assert_uint_eq(h.ksm.pages_unshared, 700);
        ck_assert_uint_eq(h.ksm.pages_volatile, 88);
        ck_assert_uint_eq(h.ksm.full_scans, 42);
        ck_assert_int_eq(h.ksm.general_profit_bytes, -4096);
        ck_assert_str_eq(h.ksm.advisor_mode, "none");
        ck_assert_uint_eq(h.ksm.advisor_max_cpu, 70);
        ck_assert_uint_eq(h.ksm.advisor_target_scan_time, 200);
        ck_assert_uint_eq(h.ksm.smart_scan, 1);
        ck_assert_uint_eq(h.ksm.page_bytes, (uint64_t)sysconf(_SC_PAGESIZE));
        ck_assert_uint_eq(h.ksm.ksmd_busy_permyriad, UNKNOWN_PERMYRIAD);
}
END_TEST

START_TEST(an_older_kernel_has_no_advisor) {
        _cleanup_(ksm_observer_freep) KsmObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("sparse-nodes");
        Host h = { .ksm = { .advisor_mode = "stale", .general_profit_bytes = 5 } };

        ck_assert_int_eq(ksm_observer_new(&o), 0);
        ck_assert_int_eq(ksm_observe(o, root, USEC_PER_SEC, &h), 0);
        ck_assert(h.ksm.present);
        ck_assert_str_eq(h.ksm.advisor_mode, "");
        ck_assert_uint_eq(h.ksm.advisor_max_cpu, UNKNOWN_U64);
        ck_assert_uint_eq(h.ksm.advisor_target_scan_time, UNKNOWN_U64);
        ck_assert_uint_eq(h.ksm.smart_scan, UNKNOWN_U64);
        ck_assert_int_eq(h.ksm.general_profit_bytes, 0);
        ck_assert_uint_eq(h.ksm.merge_across_nodes, 1);
}
END_TEST

START_TEST(no_ksm_is_no_error) {
        _cleanup_(ksm_observer_freep) KsmObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("bare");
        Host h = { .ksm = { .present = true, .pages_shared = 5 } };

        ck_assert_int_eq(ksm_observer_new(&o), 0);
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(ksm_observe(o, root, USEC_PER_SEC, &h), 0);
                ck_assert(!h.ksm.present);
                ck_assert(!h.ksm.writable);
                ck_assert_uint_eq(h.ksm.pages_shared, 0);
        }
}
END_TEST

START_TEST(an_unreadable_counter_is_zero) {
        _cleanup_(ksm_observer_freep) KsmObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };

        tree_write(&t, "sys/kernel/mm/ksm/run", "2\n");
        tree_write(&t, "sys/kernel/mm/ksm/pages_shared", "garbage\n");
        tree_write(&t, "sys/kernel/mm/ksm/pages_sharing", "9\n");
        tree_write(&t, "sys/kernel/mm/ksm/advisor_mode", "no brackets\n");
        ck_assert_int_eq(ksm_observer_new(&o), 0);
        ck_assert_int_eq(ksm_observe(o, t.fd, USEC_PER_SEC, &h), 0);
        ck_assert(h.ksm.present);
        ck_assert(h.ksm.writable);
        ck_assert_uint_eq(h.ksm.run, 2);
        ck_assert_uint_eq(h.ksm.pages_shared, 0);
        ck_assert_uint_eq(h.ksm.pages_sharing, 9);
        ck_assert_str_eq(h.ksm.advisor_mode, "");
}
END_TEST

/* Or it would look as if somebody had set them to 0, and what kvmtuned set would be left for theirs. */
START_TEST(what_cannot_be_read_for_a_moment_is_as_it_was) {
        _cleanup_(ksm_observer_freep) KsmObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };

        tree_write(&t, "sys/kernel/mm/ksm/run", "1\n");
        tree_write(&t, "sys/kernel/mm/ksm/pages_to_scan", "222\n");
        tree_write(&t, "sys/kernel/mm/ksm/advisor_mode", "[none] scan-time\n");
        ck_assert_int_eq(ksm_observer_new(&o), 0);
        ck_assert_int_eq(ksm_observe(o, t.fd, USEC_PER_SEC, &h), 0);
        tree_write(&t, "sys/kernel/mm/ksm/pages_to_scan", "");
        ck_assert_int_eq(ksm_observe(o, t.fd, 2 * USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.ksm.pages_to_scan, 222);
        ck_assert_str_eq(h.ksm.advisor_mode, "none");
        tree_write(&t, "sys/kernel/mm/ksm/run", "");
        ck_assert_int_eq(ksm_observe(o, t.fd, 2 * USEC_PER_SEC, &h), 0);
        ck_assert(!h.ksm.present);
        tree_write(&t, "sys/kernel/mm/ksm/run", "1\n");
        ck_assert_int_eq(ksm_observe(o, t.fd, 2 * USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.ksm.pages_to_scan, 222);
        tree_write(&t, "sys/kernel/mm/ksm/pages_to_scan", "100\n");
        ck_assert_int_eq(ksm_observe(o, t.fd, 3 * USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.ksm.pages_to_scan, 100);
}
END_TEST

static void write_ksmd(const Tree *t, const char *pid, const char *flags, const char *schedstat) {
        _cleanup_free_ char *path = NULL, *text = NULL;

        ck_assert_int_eq(strprintf_to(&path, "proc/%s/comm", pid), 0);
        tree_write(t, path, "ksmd\n");
        ck_assert_int_eq(strprintf_to(&path, "proc/%s/stat", pid), 0);
        ck_assert_int_eq(strprintf_to(&text, "%s (ksmd) S 2 0 0 0 -1 %s 0 0 0\n", pid, flags), 0);
        tree_write(t, path, text);
        ck_assert_int_eq(strprintf_to(&path, "proc/%s/schedstat", pid), 0);
        tree_write(t, path, schedstat);
}

/* Anybody may call a process ksmd; only the kernel's thread counts. */
START_TEST(ksmds_share_is_the_kernel_threads) {
        _cleanup_(ksm_observer_freep) KsmObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };

        tree_write(&t, "sys/kernel/mm/ksm/run", "1\n");
        write_ksmd(&t, "30", "4194304", "0 0 1\n");
        write_ksmd(&t, "37", "2097216", "5000000000 0 1\n");
        ck_assert_int_eq(ksm_observer_new(&o), 0);
        ck_assert_int_eq(ksm_observe(o, t.fd, 1 * USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.ksm.ksmd_busy_permyriad, UNKNOWN_PERMYRIAD);
        write_ksmd(&t, "30", "4194304", "900000000 0 1\n");
        write_ksmd(&t, "37", "2097216", "5250000000 0 1\n");
        ck_assert_int_eq(ksm_observe(o, t.fd, 2 * USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.ksm.ksmd_busy_permyriad, 2500);
        write_ksmd(&t, "37", "2097216", "5250000000 0 1\n");
        ck_assert_int_eq(ksm_observe(o, t.fd, 3 * USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.ksm.ksmd_busy_permyriad, 0);
        write_ksmd(&t, "37", "2097216", "garbage\n");
        ck_assert_int_eq(ksm_observe(o, t.fd, 4 * USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.ksm.ksmd_busy_permyriad, UNKNOWN_PERMYRIAD);
}
END_TEST

START_TEST(thp_and_numa_balancing) {
        _cleanup_(thp_observer_freep) ThpObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("two-nodes");
        Host h = { 0 };

        ck_assert_int_eq(thp_observer_new(&o), 0);
        ck_assert_int_eq(thp_observe(o, root, &h), 0);
        ck_assert_str_eq(h.thp.enabled, "madvise");
        ck_assert_str_eq(h.thp.defrag, "defer+madvise");
        ck_assert_str_eq(h.thp.enabled_choices, "always madvise never");
        ck_assert_str_eq(h.thp.defrag_choices, "always defer defer+madvise madvise never");
        ck_assert_uint_eq(h.thp.khugepaged_pages_to_scan, 4096);
        ck_assert_uint_eq(h.thp.khugepaged_scan_sleep_millisecs, 10000);
        ck_assert_uint_eq(h.thp.khugepaged_max_ptes_none, 511);
        ck_assert_uint_eq(h.numa_balancing, 1);
}
END_TEST

START_TEST(without_thp_and_numa_balancing) {
        _cleanup_(thp_observer_freep) ThpObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("bare");
        Host h = { .thp = { .enabled = "stale" } };

        ck_assert_int_eq(thp_observer_new(&o), 0);
        ck_assert_int_eq(thp_observe(o, root, &h), 0);
        ck_assert_str_eq(h.thp.enabled, "");
        ck_assert_str_eq(h.thp.defrag, "");
        ck_assert_str_eq(h.thp.enabled_choices, "");
        ck_assert_uint_eq(h.thp.khugepaged_max_ptes_none, UNKNOWN_U64);
        ck_assert_uint_eq(h.numa_balancing, UNKNOWN_U64);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_ksm");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_test(c, reads_every_field);
        tcase_add_test(c, an_older_kernel_has_no_advisor);
        tcase_add_test(c, no_ksm_is_no_error);
        tcase_add_test(c, an_unreadable_counter_is_zero);
        tcase_add_test(c, what_cannot_be_read_for_a_moment_is_as_it_was);
        tcase_add_test(c, ksmds_share_is_the_kernel_threads);
        tcase_add_test(c, thp_and_numa_balancing);
        tcase_add_test(c, without_thp_and_numa_balancing);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
