/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../../lib/observe.h"

#include "tree.h"

DEFINE_CLEANUP(NodeObserver, node_observer_free)

static void host_done(Host *h) {
        for (size_t i = 0; i < h->n_nodes; i++)
                free(h->nodes[i].pools);
        free(h->nodes);
}

/* Nodes 0, 2 and 33 of 10 MiB each. */
static Topology *sparse_topology(void) {
        static const unsigned ids[] = { 0, 2, 33 };
        Topology *t = calloc(1, sizeof(*t));

        t->nodes = calloc(ELEMENTSOF(ids), sizeof(*t->nodes));
        t->n_nodes = ELEMENTSOF(ids);
        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                t->nodes[i].id = ids[i];
                t->nodes[i].memory_bytes = 10 * MIB;
        }
        return t;
}

static Topology *synthetic(const char *text) {
        Topology *t = NULL;

        ck_assert_int_eq(topology_load_synthetic(text, &t), 0);
        return t;
}

START_TEST(free_memory_counts_reclaimable_cache_but_not_shmem) {
        _cleanup_(topology_freep) Topology *t = synthetic("numa:2 core:2 pu:1");
        _cleanup_(node_observer_freep) NodeObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("two-nodes");
        Host h = { 0 };

        ck_assert_int_eq(node_observer_new(t, &o), 0);
        ck_assert_int_eq(node_observe(o, root, &h), 0);
        ck_assert_uint_eq(h.n_nodes, 2);
        ck_assert_uint_eq(h.nodes[0].total_bytes, 16459842 * KIB);
        ck_assert_uint_eq(h.nodes[0].free_bytes, (3906944 + 5334100 - 8856) * KIB);
        ck_assert_uint_eq(h.nodes[1].free_bytes, (4266292 + 3000000 - 100000) * KIB);
        host_done(&h);
}
END_TEST

START_TEST(pools_by_page_size) {
        _cleanup_(topology_freep) Topology *t = synthetic("numa:2 core:2 pu:1");
        _cleanup_(node_observer_freep) NodeObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("two-nodes");
        Host h = { 0 };

        ck_assert_int_eq(node_observer_new(t, &o), 0);
        ck_assert_int_eq(node_observe(o, root, &h), 0);
        ck_assert_uint_eq(h.nodes[0].n_pools, 2);
        ck_assert_uint_eq(h.nodes[0].pools[0].page_bytes, 2 * MIB);
        ck_assert_uint_eq(h.nodes[0].pools[0].total_pages, 0);
        ck_assert_uint_eq(h.nodes[1].pools[0].total_pages, 512);
        ck_assert_uint_eq(h.nodes[1].pools[0].free_pages, 100);
        ck_assert_uint_eq(h.nodes[1].pools[0].surplus_pages, 12);
        ck_assert_uint_eq(h.nodes[1].pools[1].page_bytes, GIB);
        ck_assert_uint_eq(h.nodes[1].pools[1].total_pages, 1);
        ck_assert_uint_eq(h.nodes[1].pools[1].free_pages, 0);
        host_done(&h);
}
END_TEST

START_TEST(sparse_nodes_keep_their_numbers) {
        _cleanup_(topology_freep) Topology *t = sparse_topology();
        _cleanup_(node_observer_freep) NodeObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("sparse-nodes");
        Host h = { 0 };

        ck_assert_int_eq(node_observer_new(t, &o), 0);
        ck_assert_int_eq(node_observe(o, root, &h), 0);
        ck_assert_uint_eq(h.n_nodes, 3);
        ck_assert_uint_eq(h.nodes[1].id, 2);
        ck_assert_uint_eq(h.nodes[2].id, 33);
        /* More shmem than cache: only the free pages are left. */
        ck_assert_uint_eq(h.nodes[0].free_bytes, 500000 * KIB);
        ck_assert_uint_eq(h.nodes[1].n_pools, 1);
        ck_assert_uint_eq(h.nodes[1].pools[0].free_pages, 8);
        ck_assert_uint_eq(h.nodes[2].n_pools, 0);
        ck_assert_uint_eq(h.nodes[2].free_bytes, h.nodes[2].total_bytes);
        host_done(&h);
}
END_TEST

START_TEST(a_kernel_without_numa_is_one_node_the_host) {
        _cleanup_(topology_freep) Topology *t = synthetic("core:1 pu:1");
        _cleanup_(node_observer_freep) NodeObserver *o = NULL;
        _cleanup_close_ int root = fixture_open("bare");
        Host h = { .memory = { .total_bytes = 1000, .free_bytes = 200, .cached_bytes = 300 } };

        ck_assert_int_eq(node_observer_new(t, &o), 0);
        ck_assert_int_eq(node_observe(o, root, &h), 0);
        ck_assert_uint_eq(h.n_nodes, 1);
        ck_assert_uint_eq(h.nodes[0].id, 0);
        ck_assert_uint_eq(h.nodes[0].total_bytes, 1000);
        ck_assert_uint_eq(h.nodes[0].free_bytes, 500);
        host_done(&h);
}
END_TEST

START_TEST(an_unreadable_node_has_nothing_free) {
        _cleanup_(topology_freep) Topology *t = sparse_topology();
        _cleanup_(node_observer_freep) NodeObserver *o = NULL;
        _cleanup_tree_ Tree tree = tree_new();
        Host h = { .memory = { .total_bytes = 1000, .free_bytes = 200 } };

        tree_write(&tree, "sys/devices/system/node/node2/meminfo", "Node 2 MemTotal: 100 kB\nNode 2 Mem");
        ck_assert_int_eq(node_observer_new(t, &o), 0);
        ck_assert_int_eq(node_observe(o, tree.fd, &h), 0);
        for (size_t i = 0; i < h.n_nodes; i++) {
                ck_assert_uint_eq(h.nodes[i].total_bytes, 10 * MIB);
                ck_assert_uint_eq(h.nodes[i].free_bytes, 0);
        }
        host_done(&h);
}
END_TEST

START_TEST(a_pool_that_fills_is_seen) {
        _cleanup_(topology_freep) Topology *t = synthetic("core:1 pu:1");
        _cleanup_(node_observer_freep) NodeObserver *o = NULL;
        _cleanup_tree_ Tree tree = tree_new();
        Host h = { 0 };

#define POOL "sys/devices/system/node/node0/hugepages/hugepages-2048kB/"
        tree_write(&tree, POOL "nr_hugepages", "0\n");
        tree_write(&tree, POOL "free_hugepages", "0\n");
        tree_write(&tree, POOL "surplus_hugepages", "0\n");
        ck_assert_int_eq(node_observer_new(t, &o), 0);
        ck_assert_int_eq(node_observe(o, tree.fd, &h), 0);
        ck_assert_uint_eq(h.nodes[0].pools[0].total_pages, 0);
        tree_write(&tree, POOL "nr_hugepages", "10\n");
        tree_write(&tree, POOL "free_hugepages", "4\n");
        ck_assert_int_eq(node_observe(o, tree.fd, &h), 0);
        ck_assert_uint_eq(h.nodes[0].pools[0].total_pages, 10);
        ck_assert_uint_eq(h.nodes[0].pools[0].free_pages, 4);
        host_done(&h);
}
END_TEST

/* After hot-plug the observer is made anew; the host value is kept. */
START_TEST(the_host_value_follows_another_topology) {
        _cleanup_(topology_freep) Topology *three = sparse_topology(), *one = synthetic("core:1 pu:1");
        _cleanup_(node_observer_freep) NodeObserver *a = NULL, *b = NULL;
        _cleanup_close_ int root = fixture_open("sparse-nodes");
        Host h = { 0 };

        ck_assert_int_eq(node_observer_new(three, &a), 0);
        ck_assert_int_eq(node_observer_new(one, &b), 0);
        ck_assert_int_eq(node_observe(a, root, &h), 0);
        ck_assert_int_eq(node_observe(b, root, &h), 0);
        ck_assert_uint_eq(h.n_nodes, 1);
        ck_assert_int_eq(node_observe(a, root, &h), 0);
        ck_assert_uint_eq(h.n_nodes, 3);
        ck_assert_uint_eq(h.nodes[1].pools[0].free_pages, 8);
        host_done(&h);
}
END_TEST

int main(void) {
        Suite *s = suite_create("observe_node");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        suite_add_tcase(s, c);
        tcase_add_test(c, free_memory_counts_reclaimable_cache_but_not_shmem);
        tcase_add_test(c, pools_by_page_size);
        tcase_add_test(c, sparse_nodes_keep_their_numbers);
        tcase_add_test(c, a_kernel_without_numa_is_one_node_the_host);
        tcase_add_test(c, an_unreadable_node_has_nothing_free);
        tcase_add_test(c, a_pool_that_fills_is_seen);
        tcase_add_test(c, the_host_value_follows_another_topology);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
