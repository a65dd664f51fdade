/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/topology.h"

#include "../../lib/observe.h"
#include "tree.h"

#include <sched.h>

#define TOPOLOGIES "tests/fixtures/topologies/"

static Topology *load(const char *name) {
        Topology *t = NULL;
        char path[256];

        (void)snprintf(path, sizeof(path), TOPOLOGIES "%s.xml", name);
        ck_assert_msg(topology_load_xml(path, &t) == 0, "%s", name);
        return t;
}

static void assert_set(const char *what, const IdSet *s, const char *want) {
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(idset_format(s, &text), 0);
        ck_assert_msg(streq(text, want), "%s: %s, not %s", what, text, want);
}

/* Counts as lstopo (hwloc 2.9) prints them for the same file. */
static const struct {
        const char *name;
        size_t nodes;
        const char *node_ids, *online;
        unsigned cores, packages;
        const char *cpuless;
} machine_rows[] = {
        { "128ia64-17n4s2c", 17, "0-16", "0-127", 128, 64, "16" },
        { "256ppc-8n8s4t", 8, "0-1,4-5,8-9,12-13", "0-255", 64, 64, "" },
        { "16amd64-4n4c-cgroup-distance-merge", 2, "2-3", "0-3", 4, 1, "3" },
        { "16amd64-8n2c-cpusets", 4, "1-4", "0-3,5-6,12-15", 10, 6, "4" },
        { "16em64t-4s2c2t-offlines", 1, "0", "0-1,3-4,6-12,15", 7, 4, "" },
        { "16em64t-4s2ca2c-cpusetreorder", 1, "0", "2-11,13", 11, 4, "" },
        { "32amd64-4s2n4c-cgroup", 6, "0-5", "0-5", 6, 1, "2-5" },
        { "4fake-4gr1nu1pu", 2, "0,2", "0-1", 2, 1, "2" },
        { "64intel64-fakeKNL-SNC4-hybrid", 8, "0-7", "0-63", 16, 1, "4-7" },
        { "64intel64-fakeKNL-A2A-cache", 1, "0", "0-63", 16, 1, "" },
        { "fakeheterocpunuma", 4, "0-3", "0-23", 12, 2, "2" },
        { "fakecpuid1f-64intel64-2p4d2n2c2t", 16, "0-15", "0-63", 32, 4, "" },
        { "96em64t-4n4d3ca2co", 4, "0-3", "0-95", 96, 16, "" },
        { "2ps3-2t", 1, "0", "0-1", 1, 1, "" },
        { "8em64t-2s2ca2c-buggynuma", 1, "0", "0-7", 8, 2, "" },
};

START_TEST(counts_are_hwlocs) {
        _cleanup_(topology_freep) Topology *t = load(machine_rows[_i].name);
        IdSet nodes = IDSET_EMPTY, cpuless = IDSET_EMPTY;
        unsigned cores = 0, packages = 0;

        ck_assert_uint_eq(t->n_nodes, machine_rows[_i].nodes);
        for (size_t i = 0; i < t->n_nodes; i++) {
                ck_assert_int_eq(idset_add(&nodes, t->nodes[i].id), 0);
                if (idset_is_empty(&t->nodes[i].cpus))
                        ck_assert_int_eq(idset_add(&cpuless, t->nodes[i].id), 0);
        }
        for (size_t i = 0; i < t->n_cpus; i++) {
                cores = MAX(cores, t->cpus[i].core + 1);
                packages = MAX(packages, t->cpus[i].package + 1);
        }
        assert_set("nodes", &nodes, machine_rows[_i].node_ids);
        assert_set("online", &t->online, machine_rows[_i].online);
        assert_set("without CPUs", &cpuless, machine_rows[_i].cpuless);
        ck_assert_uint_eq(cores, machine_rows[_i].cores);
        ck_assert_uint_eq(packages, machine_rows[_i].packages);
}
END_TEST

/* Every online CPU is in exactly one node, the one it names; groups nest and are numbered without gaps. */
static void assert_invariants(const char *name, const Topology *t) {
        IdSet all = IDSET_EMPTY;
        unsigned sum = 0;

        for (size_t i = 0; i < t->n_nodes; i++) {
                ck_assert(i == 0 || t->nodes[i - 1].id < t->nodes[i].id);
                sum += idset_count(&t->nodes[i].cpus);
                all = idset_or(&all, &t->nodes[i].cpus);
                ck_assert_msg(topology_distance(t, i, i) == 10, "%s", name);
                for (size_t j = 0; j < t->n_nodes; j++)
                        ck_assert_msg(i == j || topology_distance(t, i, j) > 10, "%s", name);
        }
        ck_assert_msg(idset_equal(&all, &t->online), "%s", name);
        ck_assert_uint_eq(sum, idset_count(&t->online));
        ck_assert_uint_eq(t->n_cpus, sum);
        for (size_t i = 0; i < t->n_cpus; i++) {
                const TopologyCpu *c = &t->cpus[i];

                ck_assert(i == 0 || t->cpus[i - 1].id < c->id);
                ck_assert(topology_cpu(t, c->id) == c);
                ck_assert(c->node < t->n_nodes && idset_contains(&t->nodes[c->node].cpus, c->id));
                ck_assert(c->core < t->n_cpus && c->llc < t->n_cpus && c->package < t->n_cpus);
                for (size_t j = 0; j < i; j++) {
                        const TopologyCpu *d = &t->cpus[j];

                        if (c->core == d->core)
                                ck_assert_msg(c->llc == d->llc && c->package == d->package, "%s", name);
                }
        }
        ck_assert(idset_is_empty(&t->isolated));
}

START_TEST(all_fixtures_load_and_hold_the_invariants) {
        struct dirent *e;
        size_t n = 0;
        DIR *d;

        d = opendir(TOPOLOGIES);
        ck_assert_ptr_nonnull(d);
        while ((e = readdir(d))) {
                _cleanup_(topology_freep) Topology *t = NULL;
                char path[512];

                if (!strstr(e->d_name, ".xml"))
                        continue;
                (void)snprintf(path, sizeof(path), TOPOLOGIES "%s", e->d_name);
                ck_assert_msg(topology_load_xml(path, &t) == 0, "%s", e->d_name);
                assert_invariants(e->d_name, t);
                n++;
        }
        (void)closedir(d);
        ck_assert_uint_eq(n, 37);
}
END_TEST

START_TEST(own_description_reads_back_to_the_same) {
        static const char *const names[] = { "256ppc-8n8s4t", "64intel64-fakeKNL-SNC4-hybrid", "16amd64-8n2c" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(topology_freep) Topology *t = load(names[i]), *back = NULL;

                ck_assert_msg(t->synthetic, "%s", names[i]);
                ck_assert_int_eq(topology_load_synthetic(t->synthetic, &back), 0);
                ck_assert(idset_equal(&t->online, &back->online));
                ck_assert_uint_eq(t->n_nodes, back->n_nodes);
                for (size_t n = 0; n < t->n_nodes; n++) {
                        ck_assert_uint_eq(t->nodes[n].id, back->nodes[n].id);
                        ck_assert(idset_equal(&t->nodes[n].cpus, &back->nodes[n].cpus));
                }
                for (size_t n = 0; n < t->n_cpus; n++)
                        ck_assert_int_eq(memcmp(&t->cpus[n], &back->cpus[n], sizeof(TopologyCpu)), 0);
        }
}
END_TEST

START_TEST(irregular_machines_have_no_description) {
        _cleanup_(topology_freep) Topology *t = load("16em64t-4s2c2t-offlines");

        ck_assert_ptr_null(t->synthetic);
}
END_TEST

START_TEST(distances_are_the_slit) {
        _cleanup_(topology_freep) Topology *t = load("256ppc-8n8s4t"), *asymmetric = load("fakeheterocpunuma");

        ck_assert_uint_eq(topology_distance(t, 0, 1), 20);
        ck_assert_uint_eq(topology_distance(t, 0, 2), 40);
        ck_assert_uint_eq(topology_distance(asymmetric, 2, 3), 40);
        ck_assert_uint_eq(topology_distance(asymmetric, 3, 2), 50);
}
END_TEST

/* A user's file may hold nanoseconds. */
START_TEST(measured_latencies_are_scaled_to_local_10) {
        _cleanup_free_ char *xml = NULL, *changed = NULL;
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_tree_ Tree tree = tree_new();
        _cleanup_close_ int root = fixture_open("topologies");
        char path[128], *p;

        ck_assert_int_eq(sysfs_read(root, "2amd64-2n.xml", &xml, NULL), 0);
        p = strstr(xml, "10 20 20 10 ");
        ck_assert_ptr_nonnull(p);
        *p = '\0';
        ck_assert_int_eq(strprintf_to(&changed, "%s81 139 ", xml), 0);
        ck_assert_int_eq(strprintf_to(&changed, "%s140 85%s", changed, p + strlen("10 20 20 10")), 0);
        p = strstr(changed, "length=\"12\">81");
        ck_assert_ptr_nonnull(p);
        memcpy(p, "length=\"14\">81", strlen("length=\"14\">81"));
        tree_write(&tree, "m.xml", changed);
        (void)snprintf(path, sizeof(path), "%s/m.xml", tree.dir);
        ck_assert_int_eq(topology_load_xml(path, &t), 0);
        ck_assert_uint_eq(topology_distance(t, 0, 0), 10);
        ck_assert_uint_eq(topology_distance(t, 1, 1), 10);
        ck_assert_uint_eq(topology_distance(t, 0, 1), 17);
}
END_TEST

static const struct {
        const char *text;
        int want;
        size_t cpus, nodes;
        unsigned llcs;
} synthetic_rows[] = {
        { "numa:2 core:4 pu:2", 0, 16, 2, 2 },
        { "numa:4 core:2 pu:2", 0, 16, 4, 4 },
        { "pack:2 [numa] l3:2 core:2 pu:2", 0, 16, 2, 4 },
        { "pack:2 numa:2 l3:1 core:2 pu:1", 0, 8, 4, 4 },
        { "core:2 pu:1", 0, 2, 1, 1 },
        { "numa:256 core:8 pu:2", 0, 4096, 256, 256 },
        { "numa:257 core:8 pu:2", -ERANGE, 0, 0, 0 },
        { "garbage", -EINVAL, 0, 0, 0 },
        { "", -EINVAL, 0, 0, 0 },
        { "numa:2 core:0 pu:2", -EINVAL, 0, 0, 0 },
        { "pu:2 core:2", -EINVAL, 0, 0, 0 },
};

START_TEST(synthetic_descriptions) {
        _cleanup_(topology_freep) Topology *t = NULL;
        unsigned llcs = 0;

        ck_assert_int_eq(topology_load_synthetic(synthetic_rows[_i].text, &t), synthetic_rows[_i].want);
        if (synthetic_rows[_i].want < 0) {
                ck_assert_ptr_null(t);
                return;
        }
        ck_assert_uint_eq(t->n_cpus, synthetic_rows[_i].cpus);
        ck_assert_uint_eq(t->n_nodes, synthetic_rows[_i].nodes);
        for (size_t i = 0; i < t->n_cpus; i++)
                llcs = MAX(llcs, t->cpus[i].llc + 1);
        ck_assert_uint_eq(llcs, synthetic_rows[_i].llcs);
        ck_assert_str_eq(t->synthetic, synthetic_rows[_i].text);
}
END_TEST

START_TEST(bad_xml_is_refused) {
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_tree_ Tree tree = tree_new();
        char path[128];

        ck_assert_int_eq(topology_load_xml("/does/not/exist.xml", &t), -ENOENT);
        tree_write(&tree, "m.xml", "<topology version=\"2.0\"><object type=\"Machine\"");
        (void)snprintf(path, sizeof(path), "%s/m.xml", tree.dir);
        ck_assert_int_eq(topology_load_xml(path, &t), -EINVAL);
        tree_write(&tree, "m.xml", "");
        ck_assert_int_eq(topology_load_xml(path, &t), -EINVAL);
        ck_assert_ptr_null(t);
}
END_TEST

START_TEST(sets_of_nodes_and_cpus) {
        _cleanup_(topology_freep) Topology *t = load("256ppc-8n8s4t");
        IdSet cpus = idset_of(40), nodes, out;

        ck_assert_int_eq(idset_add(&cpus, 230), 0);
        nodes = topology_nodes_of_cpus(t, &cpus);
        assert_set("nodes", &nodes, "1,13");
        out = topology_cpus_of_nodes(t, &nodes);
        assert_set("cpus", &out, "32-63,224-255");
        ck_assert_ptr_null(topology_node(t, 2));
        ck_assert_ptr_null(topology_cpu(t, 256));
        ck_assert_uint_eq(topology_node(t, 13)->id, 13);
}
END_TEST

START_TEST(this_machine_has_the_cpus_we_may_run_on) {
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_close_ int root = sysfs_open_root("/");
        cpu_set_t before, after;

        ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
        ck_assert_int_eq(topology_load(root, NULL, &t), 0);
        ck_assert_int_eq(sched_getaffinity(0, sizeof(after), &after), 0);
        ck_assert(CPU_EQUAL(&before, &after));
        for (unsigned i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, &before))
                        ck_assert(idset_contains(&t->online, i));
        ck_assert_int_eq(topology_complete_from_libnuma(t), 0);
        for (size_t i = 0; i < t->n_nodes; i++)
                ck_assert_uint_eq(topology_distance(t, i, i), 10);
        ck_assert_uint_gt(t->nodes[0].memory_bytes, 0);
}
END_TEST

/* Isolated CPUs and the kernel's view of CPU-less nodes come from below root_fd. */
START_TEST(isolated_cpus_are_those_online) {
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_tree_ Tree tree = tree_new();

        tree_write(&tree, "sys/devices/system/cpu/isolated", "0,4000-4095\n");
        ck_assert_int_eq(topology_load(tree.fd, NULL, &t), 0);
        if (idset_contains(&t->online, 0))
                assert_set("isolated", &t->isolated, "0");
}
END_TEST

/* The whole path of the machine at hand, on a recorded one. */
START_TEST(another_machine_below_a_root) {
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_close_ int root = fixture_open("sparse-nodes");
        _cleanup_free_ char *path = realpath("tests/fixtures/sparse-nodes", NULL);

        ck_assert_int_eq(topology_load(root, path, &t), 0);
        ck_assert_ptr_null(getenv("HWLOC_FSROOT"));
        assert_set("online", &t->online, "1-2,6,9");
        assert_set("isolated", &t->isolated, "6");
        assert_set("offline", &t->offline, "0,3-5,7-8");
        ck_assert_uint_eq(t->n_nodes, 3);
        ck_assert_uint_eq(t->nodes[2].id, 33);
        assert_set("node 0", &t->nodes[0].cpus, "1-2");
        assert_set("node 2", &t->nodes[1].cpus, "6,9");
        assert_set("node 33", &t->nodes[2].cpus, "");
        ck_assert_uint_eq(t->nodes[1].memory_bytes, 3000000 * KIB);
        ck_assert_uint_eq(topology_distance(t, 0, 2), 31);
        ck_assert_uint_eq(topology_cpu(t, 9)->package, topology_cpu(t, 6)->package);
        ck_assert_uint_ne(topology_cpu(t, 9)->llc, topology_cpu(t, 1)->llc);
}
END_TEST

/* hwloc counts memory without CPUs as local to the nearest CPUs; here it has the lower number, too. */
START_TEST(the_kernel_says_which_node_has_no_cpus) {
        _cleanup_(topology_freep) Topology *t = NULL;
        _cleanup_tree_ Tree tree = tree_new();
        char command[256];

        (void)snprintf(command, sizeof(command), "cp -r tests/fixtures/sparse-nodes/. %s/", tree.dir);
        ck_assert_int_eq(system(command), 0);
        tree_write(&tree, "sys/devices/system/node/node0/cpumap", "0\n");
        tree_write(&tree, "sys/devices/system/node/node0/cpulist", "\n");
        tree_write(&tree, "sys/devices/system/node/node33/cpumap", "6\n");
        tree_write(&tree, "sys/devices/system/node/node33/cpulist", "1-2\n");
        ck_assert_int_eq(topology_load(tree.fd, tree.dir, &t), 0);
        assert_set("node 0", &t->nodes[0].cpus, "");
        assert_set("node 2", &t->nodes[1].cpus, "6,9");
        assert_set("node 33", &t->nodes[2].cpus, "1-2");
}
END_TEST

int main(void) {
        Suite *s = suite_create("topology");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 60);
        tcase_add_loop_test(c, counts_are_hwlocs, 0, (int)ELEMENTSOF(machine_rows));
        tcase_add_test(c, all_fixtures_load_and_hold_the_invariants);
        tcase_add_test(c, own_description_reads_back_to_the_same);
        tcase_add_test(c, irregular_machines_have_no_description);
        tcase_add_test(c, distances_are_the_slit);
        tcase_add_test(c, measured_latencies_are_scaled_to_local_10);
        tcase_add_loop_test(c, synthetic_descriptions, 0, (int)ELEMENTSOF(synthetic_rows));
        tcase_add_test(c, bad_xml_is_refused);
        tcase_add_test(c, sets_of_nodes_and_cpus);
        tcase_add_test(c, this_machine_has_the_cpus_we_may_run_on);
        tcase_add_test(c, isolated_cpus_are_those_online);
        tcase_add_test(c, another_machine_below_a_root);
        tcase_add_test(c, the_kernel_says_which_node_has_no_cpus);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
