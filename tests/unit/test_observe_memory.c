/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/observe.h"

#include "tree.h"

DEFINE_CLEANUP(MemoryObserver, memory_observer_free)

#define GOOD_HEAD "MemTotal: 1000 kB\nMemFree: 200 kB\nMemAvailable: 500 kB\n"
#define GOOD_TAIL "Buffers: 1 kB\nCached: 300 kB\nSwapTotal: 100 kB\nSwapFree: 40 kB\n"

START_TEST(reads_meminfo_in_bytes) {
        _cleanup_(memory_observer_freep) MemoryObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("two-nodes");
        Host h = { 0 };

        ck_assert_int_eq(memory_observer_new(&o), 0);
        ck_assert_int_eq(memory_observe(o, root, &h), 0);
        ck_assert_uint_eq(h.memory.total_bytes, 32919684 * KIB);
        ck_assert_uint_eq(h.memory.free_bytes, 8173236 * KIB);
        ck_assert_uint_eq(h.memory.available_bytes, 16323472 * KIB);
        ck_assert_uint_eq(h.memory.buffers_bytes, 1376 * KIB);
        ck_assert_uint_eq(h.memory.cached_bytes, 8332724 * KIB);
        ck_assert_uint_eq(h.memory.swap_total_bytes, 8388604 * KIB);
        ck_assert_uint_eq(h.memory.swap_free_bytes, 8000000 * KIB);
        ck_assert_uint_eq(h.hugepage_bytes, 2 * MIB);
}
END_TEST

START_TEST(reads_pressure) {
        _cleanup_(memory_observer_freep) MemoryObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("two-nodes");
        Host h = { 0 };

        ck_assert_int_eq(memory_observer_new(&o), 0);
        ck_assert_int_eq(memory_observe(o, root, &h), 0);
        ck_assert_uint_eq(h.psi_memory.some_permyriad, 1234);
        ck_assert_uint_eq(h.psi_memory.full_permyriad, 305);
        ck_assert_uint_eq(h.psi_cpu.some_permyriad, 10000);
        ck_assert_uint_eq(h.psi_cpu.full_permyriad, 0);
        ck_assert_uint_eq(h.psi_io.some_permyriad, 7);
}
END_TEST

START_TEST(pressure_is_unknown_where_the_kernel_has_none) {
        _cleanup_(memory_observer_freep) MemoryObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("sparse-nodes");
        Host h = { 0 };

        ck_assert_int_eq(memory_observer_new(&o), 0);
        ck_assert_int_eq(memory_observe(o, root, &h), 0);
        ck_assert_uint_eq(h.psi_memory.some_permyriad, UNKNOWN_PERMYRIAD);
        ck_assert_uint_eq(h.psi_io.full_permyriad, UNKNOWN_PERMYRIAD);
}
END_TEST

static const struct {
        const char *name, *text;
        uint32_t some, full;
} psi_rows[] = {
        { "no full line (cpu before Linux 5.13)", "some avg10=1.50 total=0\n", 150, UNKNOWN_PERMYRIAD },
        { "empty", "", UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD },
        { "cut off", "some avg10=1", UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD },
        { "garbage", "some avg10=x.yy\nfull avg10=-1.00\n", UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD },
        { "more than all", "some avg10=101.00 \nfull avg10=99999999999.00 \n", UNKNOWN_PERMYRIAD, UNKNOWN_PERMYRIAD },
};

START_TEST(odd_pressure) {
        _cleanup_(memory_observer_freep) MemoryObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };

        tree_write(&t, "proc/meminfo", GOOD_HEAD GOOD_TAIL);
        tree_write(&t, "proc/pressure/cpu", psi_rows[_i].text);
        ck_assert_int_eq(memory_observer_new(&o), 0);
        ck_assert_int_eq(memory_observe(o, t.fd, &h), 0);
        ck_assert_msg(h.psi_cpu.some_permyriad == psi_rows[_i].some, "%s", psi_rows[_i].name);
        ck_assert_msg(h.psi_cpu.full_permyriad == psi_rows[_i].full, "%s", psi_rows[_i].name);
}
END_TEST

static const struct {
        const char *name, *text;
        int want;
} meminfo_rows[] = {
        { "good", GOOD_HEAD GOOD_TAIL, 0 },
        { "cut off between lines", GOOD_HEAD, -ENODATA },
        { "cut off in a number's line", GOOD_HEAD "Buffers: ", -EBADMSG },
        { "empty", "", -ENODATA },
        { "garbage", "\x01\x02\xff not a meminfo\n", -ENODATA },
        { "no MemAvailable", "MemTotal: 1000 kB\nMemFree: 200 kB\n" GOOD_TAIL, -ENODATA },
        { "words", "MemTotal: lots kB\n" GOOD_TAIL, -EBADMSG },
        { "available more than total", "MemTotal: 9 kB\nMemFree: 2 kB\nMemAvailable: 10 kB\n" GOOD_TAIL, -EBADMSG },
        { "free more than total", "MemTotal: 1000 kB\nMemFree: 1001 kB\nMemAvailable: 1 kB\n" GOOD_TAIL, -EBADMSG },
        { "nothing at all", "MemTotal: 0 kB\nMemFree: 0 kB\nMemAvailable: 0 kB\n" GOOD_TAIL, -EBADMSG },
        { "overflow", "MemTotal: 18446744073709551615 kB\n" GOOD_TAIL, -EBADMSG },
};

START_TEST(bad_meminfo_leaves_the_old_values) {
        _cleanup_(memory_observer_freep) MemoryObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { .memory.total_bytes = 77 };

        tree_write(&t, "proc/meminfo", meminfo_rows[_i].text);
        ck_assert_int_eq(memory_observer_new(&o), 0);
        ck_assert_msg(memory_observe(o, t.fd, &h) == meminfo_rows[_i].want, "%s", meminfo_rows[_i].name);
        ck_assert_uint_eq(h.memory.total_bytes, meminfo_rows[_i].want < 0 ? 77 : 1000 * KIB);
}
END_TEST

START_TEST(missing_meminfo_is_an_error) {
        _cleanup_(memory_observer_freep) MemoryObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };

        ck_assert_int_eq(memory_observer_new(&o), 0);
        ck_assert_int_eq(memory_observe(o, t.fd, &h), -ENOENT);
        tree_write(&t, "proc/meminfo", GOOD_HEAD GOOD_TAIL);
        ck_assert_int_eq(memory_observe(o, t.fd, &h), 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_memory");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_test(c, reads_meminfo_in_bytes);
        tcase_add_test(c, reads_pressure);
        tcase_add_test(c, pressure_is_unknown_where_the_kernel_has_none);
        tcase_add_loop_test(c, odd_pressure, 0, (int)ELEMENTSOF(psi_rows));
        tcase_add_loop_test(c, bad_meminfo_leaves_the_old_values, 0, (int)ELEMENTSOF(meminfo_rows));
        tcase_add_test(c, missing_meminfo_is_an_error);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
