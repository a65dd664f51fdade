/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/observe.h"

#include "tree.h"

static Snapshot *new_snapshot(void) {
        Snapshot *s = NULL;

        ck_assert_int_eq(snapshot_new(&s), 0);
        return s;
}

START_TEST(a_whole_host) {
        _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
        _cleanup_(host_observer_freep) HostObserver *o = NULL;
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_close_ int root = fixture_open("two-nodes");
        const char *area = "untouched";

        ck_assert_int_eq(topology_load_synthetic("numa:2 core:2 pu:1", &t), 0);
        ck_assert_int_eq(host_observer_new(root, t, &o), 0);
        ck_assert_int_eq(host_observe(o, USEC_PER_SEC, &s->host, &area), 0);
        ck_assert_str_eq(area, "untouched");
        ck_assert_uint_eq(s->host.n_cpus, 4);
        ck_assert_uint_eq(s->host.n_nodes, 2);
        ck_assert_uint_eq(s->host.numa_balancing, 1);
        ck_assert_uint_eq(s->host.kernel_release, KERNEL_RELEASE(6, 12));
        ck_assert(s->host.ksm.present);
        ck_assert_str_eq(s->host.thp.enabled, "madvise");
        ck_assert_uint_eq(s->host.memory.total_bytes, 32919684 * KIB);
}
END_TEST

START_TEST(a_failed_area_is_named_and_the_others_are_filled) {
        _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
        _cleanup_(host_observer_freep) HostObserver *o = NULL;
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_tree_ Tree tree = tree_new();
        const char *area = NULL;

        tree_write(&tree, "proc/meminfo", "MemTotal: 5 kB\n");
        tree_write(&tree, "proc/stat", "cpu  1 2 3 4\ncpu2 1 2 3 4\n");
        tree_write(&tree, "proc/sys/kernel/numa_balancing", "0\n");
        ck_assert_int_eq(topology_load_synthetic("core:1 pu:1", &t), 0);
        ck_assert_int_eq(host_observer_new(tree.fd, t, &o), 0);
        ck_assert_int_eq(host_observe(o, USEC_PER_SEC, &s->host, &area), -ENODATA);
        ck_assert_str_eq(area, "memory");
        ck_assert_uint_eq(s->host.n_cpus, 1);
        ck_assert_uint_eq(s->host.numa_balancing, 0);
        ck_assert_uint_eq(s->host.kernel_release, UNKNOWN_U64);
}
END_TEST

static const char *const trees[] = { "two-nodes", "sparse-nodes", "bare" };

typedef struct Cycles {
        HostObserver *observer;
        Host *host;
} Cycles;

static int three_cycles(void *p) {
        Cycles *c = p;
        int r = 0;

        for (uint64_t i = 2; i < 5 && r >= 0; i++)
                r = host_observe(c->observer, i * USEC_PER_SEC, c->host, NULL);
        return r;
}

START_TEST(a_steady_cycle_opens_nothing) {
        _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
        _cleanup_(host_observer_freep) HostObserver *o = NULL;
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_close_ int root = fixture_open(trees[_i]);

        ck_assert_int_eq(topology_load_synthetic(_i == 0 ? "numa:2 core:2 pu:1" : "core:2 pu:1", &t), 0);
        ck_assert_int_eq(host_observer_new(root, t, &o), 0);
        ck_assert_int_eq(host_observe(o, 1 * USEC_PER_SEC, &s->host, NULL), 0);
        ck_assert(works_without_open(three_cycles, &(Cycles){ o, &s->host }));
}
END_TEST

/* What was read before is read again, though its names are gone, into the same arrays. */
START_TEST(descriptors_and_arrays_are_kept) {
        _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
        _cleanup_(host_observer_freep) HostObserver *o = NULL;
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_tree_ Tree tree = tree_new();
        char command[256];
        size_t files;
        Host before;

        (void)snprintf(command, sizeof(command), "cp -r tests/fixtures/%s/. %s/", trees[_i], tree.dir);
        ck_assert_int_eq(system(command), 0);
        ck_assert_int_eq(topology_load_synthetic(_i == 0 ? "numa:2 core:2 pu:1" : "core:2 pu:1", &t), 0);
        ck_assert_int_eq(host_observer_new(tree.fd, t, &o), 0);
        ck_assert_int_eq(host_observe(o, 1 * USEC_PER_SEC, &s->host, NULL), 0);
        before = s->host;
        files = count_open_files();
        (void)snprintf(command, sizeof(command), "rm -rf %s/proc %s/sys", tree.dir, tree.dir);
        ck_assert_int_eq(system(command), 0);
        ck_assert_int_eq(three_cycles(&(Cycles){ o, &s->host }), 0);
        ck_assert_uint_eq(count_open_files(), files);
        ck_assert_ptr_eq(s->host.cpus, before.cpus);
        ck_assert_ptr_eq(s->host.nodes, before.nodes);
        ck_assert_uint_eq(s->host.memory.total_bytes, before.memory.total_bytes);
        ck_assert_uint_eq(s->host.ksm.present, before.ksm.present);
        ck_assert_uint_eq(s->host.ksm.pages_sharing, before.ksm.pages_sharing);
        ck_assert_uint_eq(s->host.nodes[0].free_bytes, before.nodes[0].free_bytes);
        ck_assert_uint_eq(s->host.psi_memory.some_permyriad, before.psi_memory.some_permyriad);
        ck_assert_str_eq(s->host.thp.defrag, before.thp.defrag);
}
END_TEST

START_TEST(the_machine_at_hand) {
        _cleanup_(snapshot_freep) Snapshot *s = new_snapshot();
        _cleanup_(host_observer_freep) HostObserver *o = NULL;
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_close_ int root = sysfs_open_root("/");
        const char *area = "";
        uint64_t sum = 0;

        ck_assert_int_eq(topology_load(root, NULL, &t), 0);
        ck_assert_int_eq(host_observer_new(root, t, &o), 0);
        ck_assert_msg(host_observe(o, 1 * USEC_PER_SEC, &s->host, &area) == 0, "%s", area);
        ck_assert(works_without_open(three_cycles, &(Cycles){ o, &s->host }));
        ck_assert_msg(host_observe(o, 2 * USEC_PER_SEC, &s->host, &area) == 0, "%s", area);
        ck_assert_int_eq((long)s->host.n_cpus, sysconf(_SC_NPROCESSORS_ONLN));
        for (size_t i = 0; i < s->host.n_cpus; i++)
                ck_assert_uint_le(s->host.cpus[i].busy_permyriad, 10000);
        for (size_t i = 0; i < s->host.n_nodes; i++) {
                ck_assert_uint_le(s->host.nodes[i].free_bytes, s->host.nodes[i].total_bytes);
                sum += s->host.nodes[i].total_bytes;
        }
        ck_assert_uint_gt(sum, 0);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_host");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_test(c, a_whole_host);
        tcase_add_test(c, a_failed_area_is_named_and_the_others_are_filled);
        tcase_add_loop_test(c, a_steady_cycle_opens_nothing, 0, (int)ELEMENTSOF(trees));
        tcase_add_loop_test(c, descriptors_and_arrays_are_kept, 0, (int)ELEMENTSOF(trees));
        tcase_add_test(c, the_machine_at_hand);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
