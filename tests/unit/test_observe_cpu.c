/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/observe.h"

#include "tree.h"

DEFINE_CLEANUP(CpuObserver, cpu_observer_free)

#define SECOND USEC_PER_SEC

/* user nice system idle iowait irq softirq steal guest guest_nice */
static const struct {
        const char *name, *before, *after;
        uint32_t want;
} rate_rows[] = {
        { "idle", "100 0 0 100 0 0 0 0 0 0", "100 0 0 200 0 0 0 0 0 0", 0 },
        { "all busy", "100 0 0 100 0 0 0 0 0 0", "200 0 0 100 0 0 0 0 0 0", 10000 },
        { "a quarter", "0 0 0 0 0 0 0 0 0 0", "25 0 0 75 0 0 0 0 0 0", 2500 },
        { "waiting for disks is not busy", "0 0 0 0 0 0 0 0 0 0", "0 0 0 50 50 0 0 0 0 0", 0 },
        { "irq, softirq and steal are", "0 0 0 0 0 0 0 0 0 0", "0 10 10 60 0 10 5 5 0 0", 4000 },
        { "guest time is part of user time", "0 0 0 0 0 0 0 0 0 0", "50 0 0 50 0 0 0 0 50 0", 5000 },
        { "idle ran backwards", "0 0 0 500 0 0 0 0 0 0", "10 0 0 490 0 0 0 0 0 0", 10000 },
        { "iowait moves back to idle", "0 0 0 500 90 0 0 0 0 0", "10 0 0 540 80 0 0 0 0 0", 2500 },
        { "busy ran backwards", "100 0 0 500 0 0 0 0 0 0", "90 0 0 510 0 0 0 0 0 0", 0 },
        { "no tick at all", "100 0 0 500 0 0 0 0 0 0", "100 0 0 500 0 0 0 0 0 0", 0 },
        { "old kernel with four fields", "0 0 0 0", "50 0 0 50", 5000 },
        { "the counters wrapped", "18446744073709551615 0 0 5", "3 0 0 10", 0 },
};

static void write_stat(const Tree *t, const char *times) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(strprintf_to(&text, "cpu  1 2 3 4 5 6 7 8 9 10\ncpu7 %s\nintr 1 2 3\n", times), 0);
        tree_write(t, "proc/stat", text);
}

START_TEST(rates) {
        _cleanup_(cpu_observer_freep) CpuObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };

        ck_assert_int_eq(cpu_observer_new(&o), 0);
        write_stat(&t, rate_rows[_i].before);
        ck_assert_int_eq(cpu_observe(o, t.fd, SECOND, &h), 0);
        ck_assert_uint_eq(h.n_cpus, 1);
        ck_assert_uint_eq(h.cpus[0].id, 7);
        ck_assert_uint_eq(h.cpus[0].busy_permyriad, UNKNOWN_PERMYRIAD);
        ck_assert_uint_eq(h.cpu_busy_permyriad, UNKNOWN_PERMYRIAD);
        write_stat(&t, rate_rows[_i].after);
        ck_assert_int_eq(cpu_observe(o, t.fd, 2 * SECOND, &h), 0);
        ck_assert_msg(h.cpus[0].busy_permyriad == rate_rows[_i].want, "%s: %u", rate_rows[_i].name,
                      h.cpus[0].busy_permyriad);
        ck_assert_uint_eq(h.cpu_busy_permyriad, rate_rows[_i].want);
        free(h.cpus);
}
END_TEST

START_TEST(cpus_come_and_go) {
        _cleanup_(cpu_observer_freep) CpuObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };

        ck_assert_int_eq(cpu_observer_new(&o), 0);
        tree_write(&t, "proc/stat", "cpu  0 0 0 0\ncpu0 0 0 0 0\ncpu1 0 0 0 0\ncpu9 0 0 0 0\n");
        ck_assert_int_eq(cpu_observe(o, t.fd, SECOND, &h), 0);
        ck_assert_uint_eq(h.n_cpus, 3);
        tree_write(&t, "proc/stat", "cpu  0 0 0 0\ncpu1 10 0 0 90\ncpu4 700 0 0 0\ncpu9 30 0 0 70\n");
        ck_assert_int_eq(cpu_observe(o, t.fd, 2 * SECOND, &h), 0);
        ck_assert_uint_eq(h.n_cpus, 3);
        ck_assert_uint_eq(h.cpus[0].id, 1);
        ck_assert_uint_eq(h.cpus[0].busy_permyriad, 1000);
        ck_assert_uint_eq(h.cpus[1].id, 4);
        ck_assert_uint_eq(h.cpus[1].busy_permyriad, UNKNOWN_PERMYRIAD);
        ck_assert_uint_eq(h.cpus[2].id, 9);
        ck_assert_uint_eq(h.cpus[2].busy_permyriad, 3000);
        ck_assert_uint_eq(h.cpu_busy_permyriad, 2000);
        tree_write(&t, "proc/stat", "cpu  0 0 0 0\ncpu9 30 0 0 170\n");
        ck_assert_int_eq(cpu_observe(o, t.fd, 3 * SECOND, &h), 0);
        ck_assert_uint_eq(h.n_cpus, 1);
        ck_assert_uint_eq(h.cpus[0].id, 9);
        free(h.cpus);
}
END_TEST

/* A guest's event right after the timer must not turn two ticks into a rate. */
START_TEST(a_look_too_soon_repeats_the_rates) {
        _cleanup_(cpu_observer_freep) CpuObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };

        ck_assert_int_eq(cpu_observer_new(&o), 0);
        write_stat(&t, "0 0 0 0");
        ck_assert_int_eq(cpu_observe(o, t.fd, SECOND, &h), 0);
        write_stat(&t, "25 0 0 75");
        ck_assert_int_eq(cpu_observe(o, t.fd, 2 * SECOND, &h), 0);
        write_stat(&t, "26 0 0 75");
        ck_assert_int_eq(cpu_observe(o, t.fd, 2 * SECOND + 5000, &h), 0);
        ck_assert_uint_eq(h.cpus[0].busy_permyriad, 2500);
        ck_assert_uint_eq(h.cpu_busy_permyriad, 2500);
        write_stat(&t, "75 0 0 125");
        ck_assert_int_eq(cpu_observe(o, t.fd, 3 * SECOND, &h), 0);
        ck_assert_uint_eq(h.cpus[0].busy_permyriad, 5000);
        free(h.cpus);
}
END_TEST

static const struct {
        const char *name, *text;
        int want;
} bad_rows[] = {
        { "empty", "", -ENODATA },
        { "only the sum", "cpu  1 2 3 4\nintr 5\n", -ENODATA },
        { "garbage", "hello\n", -ENODATA },
        { "no number", "cpu  1 2 3 4\ncpux 1 2 3 4\n", -EBADMSG },
        { "not sorted", "cpu  1\ncpu3 1 2 3 4\ncpu2 1 2 3 4\n", -EBADMSG },
        { "twice", "cpu  1\ncpu3 1 2 3 4\ncpu3 1 2 3 4\n", -EBADMSG },
        { "words for times", "cpu  1\ncpu3 one two\n", -EBADMSG },
        { "cut off", "cpu  1 2 3 4\ncpu3", -EBADMSG },
        { "more CPUs than we hold", "cpu  1\ncpu4096 1 2 3 4\n", -ERANGE },
};

START_TEST(bad_stat_is_refused_and_leaves_the_old_values) {
        _cleanup_(cpu_observer_freep) CpuObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };

        ck_assert_int_eq(cpu_observer_new(&o), 0);
        write_stat(&t, "1 2 3 4");
        ck_assert_int_eq(cpu_observe(o, t.fd, SECOND, &h), 0);
        tree_write(&t, "proc/stat", bad_rows[_i].text);
        ck_assert_msg(cpu_observe(o, t.fd, 2 * SECOND, &h) == bad_rows[_i].want, "%s", bad_rows[_i].name);
        ck_assert_uint_eq(h.n_cpus, 1);
        ck_assert_uint_eq(h.cpus[0].id, 7);
        free(h.cpus);
}
END_TEST

START_TEST(the_largest_machine) {
        _cleanup_(cpu_observer_freep) CpuObserver *o = NULL;
        _cleanup_free_ char *text = malloc(4096 * 64);
        _cleanup_tree_ Tree t = tree_new();
        Host h = { 0 };
        int n = 0;

        for (int i = 0; i < 4096; i++)
                n += sprintf(text + n, "cpu%d 1 2 3 4 5 6 7 8 9 10\n", i);
        tree_write(&t, "proc/stat", text);
        ck_assert_int_eq(cpu_observer_new(&o), 0);
        ck_assert_int_eq(cpu_observe(o, t.fd, SECOND, &h), 0);
        ck_assert_uint_eq(h.n_cpus, 4096);
        ck_assert_uint_eq(h.cpus[4095].id, 4095);
        free(h.cpus);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_cpu");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_loop_test(c, rates, 0, (int)ELEMENTSOF(rate_rows));
        tcase_add_test(c, cpus_come_and_go);
        tcase_add_test(c, a_look_too_soon_repeats_the_rates);
        tcase_add_loop_test(c, bad_stat_is_refused_and_leaves_the_old_values, 0, (int)ELEMENTSOF(bad_rows));
        tcase_add_test(c, the_largest_machine);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
