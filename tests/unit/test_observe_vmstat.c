/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The counters of swap and of the kernel's own NUMA balancing, as rates. */

#include "tree.h"

#include "../../lib/observe.h"

DEFINE_CLEANUP(VmstatObserver, vmstat_observer_free)

static void write_counters(const Tree *t, unsigned faults, unsigned local, unsigned migrated) {
        char text[256];

        (void)snprintf(text, sizeof(text),
                       "nr_free_pages 5\nnuma_pte_updates 7\nnuma_hint_faults %u\nnuma_hint_faults_local %u\n"
                       "numa_pages_migrated %u\npgmigrate_success 99\n", faults, local, migrated);
        tree_write(t, "proc/vmstat", text);
}

static const struct {
        const char *name;
        unsigned before[3], after[3];
        uint64_t usec;
        NumaFaults want;
} rate_rows[] = {
        { "per second", { 100, 50, 10 }, { 1100, 850, 40 }, 10 * USEC_PER_SEC, { 100, 80, 3 } },
        { "nothing happened", { 100, 50, 10 }, { 100, 50, 10 }, 10 * USEC_PER_SEC, { 0, 0, 0 } },
        { "counters that ran backwards are none", { 100, 50, 10 }, { 90, 40, 0 }, USEC_PER_SEC, { 0, 0, 0 } },
        { "too soon: as before", { 100, 50, 10 }, { 900, 900, 900 }, 100 * USEC_PER_MSEC,
          { UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64 } },
};

START_TEST(counters_become_rates) {
        _cleanup_(vmstat_observer_freep) VmstatObserver *o = NULL;
        const NumaFaults *want = &rate_rows[_i].want;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { .n_nodes = 2 };

        ck_assert_int_eq(vmstat_observer_new(&o), 0);
        write_counters(&t, rate_rows[_i].before[0], rate_rows[_i].before[1], rate_rows[_i].before[2]);
        ck_assert_int_eq(vmstat_observe(o, t.fd, USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.numa_faults.faults_per_sec, UNKNOWN_U64);
        write_counters(&t, rate_rows[_i].after[0], rate_rows[_i].after[1], rate_rows[_i].after[2]);
        ck_assert_int_eq(vmstat_observe(o, t.fd, USEC_PER_SEC + rate_rows[_i].usec, &h), 0);
        ck_assert_uint_eq(h.numa_faults.faults_per_sec, want->faults_per_sec);
        ck_assert_uint_eq(h.numa_faults.local_per_sec, want->local_per_sec);
        ck_assert_uint_eq(h.numa_faults.migrated_per_sec, want->migrated_per_sec);
}
END_TEST

static const struct {
        const char *name, *text;
        size_t n_nodes;
} unknown_rows[] = {
        { "one node: not looked at", "numa_hint_faults 1\nnuma_hint_faults_local 1\nnuma_pages_migrated 1\n", 1 },
        { "a kernel without", "nr_free_pages 5\n", 2 },
        { "a counter without a number", "numa_hint_faults x\nnuma_hint_faults_local 1\nnuma_pages_migrated 1\n", 2 },
        { "no file", NULL, 2 },
};

START_TEST(swap_is_counted_on_one_node_too) {
        _cleanup_(vmstat_observer_freep) VmstatObserver *o = NULL;
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        _cleanup_tree_ Tree t = tree_new();
        Host h = { .n_nodes = 1 };

        tree_write(&t, "proc/vmstat", "pswpin 100\npswpout 1000\n");
        ck_assert_int_eq(vmstat_observer_new(&o), 0);
        ck_assert_int_eq(vmstat_observe(o, t.fd, USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.swap_in_bytes_per_sec, UNKNOWN_U64);
        tree_write(&t, "proc/vmstat", "pswpin 150\npswpout 3000\n");
        ck_assert_int_eq(vmstat_observe(o, t.fd, 11 * USEC_PER_SEC, &h), 0);
        ck_assert_uint_eq(h.swap_in_bytes_per_sec, 5 * page);
        ck_assert_uint_eq(h.swap_out_bytes_per_sec, 200 * page);
        ck_assert_uint_eq(h.numa_faults.faults_per_sec, UNKNOWN_U64);
}
END_TEST

START_TEST(without_counters_nothing_is_known) {
        _cleanup_(vmstat_observer_freep) VmstatObserver *o = NULL;
        Host h = { .n_nodes = unknown_rows[_i].n_nodes };
        _cleanup_tree_ Tree t = tree_new();

        if (unknown_rows[_i].text)
                tree_write(&t, "proc/vmstat", unknown_rows[_i].text);
        ck_assert_int_eq(vmstat_observer_new(&o), 0);
        for (unsigned i = 1; i < 4; i++) {
                ck_assert_int_eq(vmstat_observe(o, t.fd, i * USEC_PER_SEC, &h), 0);
                ck_assert_uint_eq(h.numa_faults.faults_per_sec, UNKNOWN_U64);
        }
}
END_TEST

int main(void) {
        Suite *suite = suite_create("observe_vmstat");
        TCase *tc = tcase_create("observe_vmstat");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, counters_become_rates, 0, (int)ELEMENTSOF(rate_rows));
        tcase_add_loop_test(tc, without_counters_nothing_is_known, 0, (int)ELEMENTSOF(unknown_rows));
        tcase_add_test(tc, swap_is_counted_on_one_node_too);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
