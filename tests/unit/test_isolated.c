/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/isolated.h"

#include "tree.h"

#define BOOT "sys/devices/system/cpu/isolated"
#define CGROUP "sys/fs/cgroup/"

static void assert_isolated(IsolatedObserver *o, const Tree *t, const char *name, const char *want) {
        _cleanup_free_ char *text = NULL;
        IdSet set;

        ck_assert_int_eq(isolated_observe(o, t->fd, &set), 0);
        ck_assert_int_eq(idset_format(&set, &text), 0);
        ck_assert_msg(streq(text, want), "%s: %s instead of %s", name, text, want);
}

static void write_partition(const Tree *t, const char *folder, const char *kind, const char *cpus) {
        _cleanup_free_ char *path = NULL;

        ck_assert_int_eq(strprintf_to(&path, CGROUP "%s/cpuset.cpus.partition", folder), 0);
        tree_write(t, path, kind);
        ck_assert_int_eq(strprintf_to(&path, CGROUP "%s/cpuset.cpus.effective", folder), 0);
        tree_write(t, path, cpus);
}

static const struct {
        const char *name;
        const char *files[10];  /* path, text, ... */
        const char *want;
} rows[] = {
        { "nothing is known", { NULL }, "" },
        { "isolcpus=", { BOOT, "2-3,9\n" }, "2-3,9" },
        { "the kernel's sum, and isolcpus=", { BOOT, "1\n", CGROUP "cpuset.cpus.isolated", "4-5\n" }, "1,4-5" },
        { "the kernel's sum is believed, not looked for",
          { CGROUP "cpuset.cpus.isolated", "\n", CGROUP "cpuset.cpus.effective", "0\n",
            CGROUP "rt/cpuset.cpus.partition", "isolated\n", CGROUP "rt/cpuset.cpus.effective", "1\n" }, "" },
        { "looked for",
          { CGROUP "cpuset.cpus.effective", "0-3\n", CGROUP "rt/cpuset.cpus.partition", "isolated\n",
            CGROUP "rt/cpuset.cpus.effective", "4-7\n" }, "4-7" },
        { "a partition that is balanced is not isolated",
          { CGROUP "cpuset.cpus.effective", "0-3\n", CGROUP "a/cpuset.cpus.partition", "root\n",
            CGROUP "a/cpuset.cpus.effective", "4-7\n" }, "" },
        { "inside another partition",
          { CGROUP "cpuset.cpus.effective", "0-3\n", CGROUP "a/cpuset.cpus.partition", "root\n",
            CGROUP "a/b/cpuset.cpus.partition", "isolated\n", CGROUP "a/b/cpuset.cpus.effective", "7\n" }, "7" },
        { "an invalid one isolates nothing",
          { CGROUP "cpuset.cpus.effective", "0-7\n", CGROUP "rt/cpuset.cpus.partition",
            "isolated invalid (Cpu list in cpuset.cpus not exclusive)\n", CGROUP "rt/cpuset.cpus.effective", "4-7\n" },
          "" },
        { "below a member there can be none",
          { CGROUP "cpuset.cpus.effective", "0-3\n", CGROUP "a/cpuset.cpus.partition", "member\n",
            CGROUP "a/b/cpuset.cpus.partition", "isolated\n", CGROUP "a/b/cpuset.cpus.effective", "7\n" }, "" },
        { "not lists", { BOOT, "x\n", CGROUP "cpuset.cpus.isolated", "y\n" }, "" },
};

START_TEST(isolated_by_the_boot_and_by_partitions) {
        _cleanup_(isolated_observer_freep) IsolatedObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();

        for (size_t i = 0; i + 1 < ELEMENTSOF(rows[_i].files) && rows[_i].files[i]; i += 2)
                tree_write(&t, rows[_i].files[i], rows[_i].files[i + 1]);
        ck_assert_int_eq(isolated_observer_new(&o), 0);
        assert_isolated(o, &t, rows[_i].name, rows[_i].want);
        assert_isolated(o, &t, rows[_i].name, rows[_i].want);
}
END_TEST

START_TEST(the_kernels_sum_is_followed) {
        _cleanup_(isolated_observer_freep) IsolatedObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();

        tree_write(&t, CGROUP "cpuset.cpus.isolated", "\n");
        ck_assert_int_eq(isolated_observer_new(&o), 0);
        assert_isolated(o, &t, "none yet", "");
        tree_write(&t, CGROUP "cpuset.cpus.isolated", "2-3\n");
        assert_isolated(o, &t, "made", "2-3");
        tree_write(&t, CGROUP "cpuset.cpus.isolated", "\n");
        assert_isolated(o, &t, "gone", "");
}
END_TEST

START_TEST(partitions_are_looked_for_when_the_root_has_other_cpus) {
        _cleanup_(isolated_observer_freep) IsolatedObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();

        tree_write(&t, CGROUP "cpuset.cpus.effective", "0-7\n");
        write_partition(&t, "rt", "member\n", "0-7\n");
        ck_assert_int_eq(isolated_observer_new(&o), 0);
        assert_isolated(o, &t, "none yet", "");
        write_partition(&t, "rt", "isolated\n", "4-7\n");
        tree_write(&t, CGROUP "cpuset.cpus.effective", "0-3\n");
        assert_isolated(o, &t, "made", "4-7");
        write_partition(&t, "rt", "isolated\n", "6-7\n");
        tree_write(&t, CGROUP "cpuset.cpus.effective", "0-5\n");
        assert_isolated(o, &t, "smaller", "6-7");
        write_partition(&t, "rt", "member\n", "0-7\n");
        tree_write(&t, CGROUP "cpuset.cpus.effective", "0-7\n");
        assert_isolated(o, &t, "gone", "");
}
END_TEST

typedef struct Looks {
        IsolatedObserver *observer;
        int root_fd;
} Looks;

static int two_looks(void *p) {
        Looks *l = p;
        IdSet set;
        int r;

        r = isolated_observe(l->observer, l->root_fd, &set);
        return r < 0 ? r : isolated_observe(l->observer, l->root_fd, &set);
}

static const char *const kernels[] = { CGROUP "cpuset.cpus.isolated", CGROUP "cpuset.cpus.effective", "none" };

START_TEST(a_steady_look_opens_nothing) {
        _cleanup_(isolated_observer_freep) IsolatedObserver *o = NULL;
        _cleanup_tree_ Tree t = tree_new();
        IdSet set;

        tree_write(&t, kernels[_i], "0-3\n");
        write_partition(&t, "rt", "isolated\n", "4-7\n");
        ck_assert_int_eq(isolated_observer_new(&o), 0);
        ck_assert_int_eq(isolated_observe(o, t.fd, &set), 0);
        ck_assert(works_without_open(two_looks, &(Looks){ o, t.fd }));
}
END_TEST

int main(void) {
        Suite *s = suite_create("isolated");
        TCase *tc = tcase_create("isolated");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, isolated_by_the_boot_and_by_partitions, 0, (int)ELEMENTSOF(rows));
        tcase_add_test(tc, the_kernels_sum_is_followed);
        tcase_add_test(tc, partitions_are_looked_for_when_the_root_has_other_cpus);
        tcase_add_loop_test(tc, a_steady_look_opens_nothing, 0, (int)ELEMENTSOF(kernels));
        suite_add_tcase(s, tc);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0;
}
