/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Advice for guests that are about to start, on hosts of many shapes. */

#include "../../lib/policy_advise.h"
#include "../../lib/state_memo.h"
#include "placement_util.h"

#define NO_RESERVE "host: { reserved_memory = \"0\"; }; "

/* -ENOSPC and so on, or 0 with *ret and *ret_reason. */
static int advise(World *w, unsigned vcpus, uint64_t bytes, bool hugepages, IdSet *ret, char **ret_reason) {
        PolicyInput in = { .config = w->config, .snapshot = w->snapshot };
        AdviceRequest request = { .vcpus = vcpus, .memory_bytes = bytes, .hugepages = hugepages };

        return policy_advise(&in, w->state, &request, ret, ret_reason);
}

static void assert_advice(World *w, unsigned vcpus, uint64_t bytes, bool hugepages, const char *want) {
        _cleanup_free_ char *reason = NULL, *got = NULL;
        IdSet nodes;

        ck_assert_int_eq(advise(w, vcpus, bytes, hugepages, &nodes, &reason), 0);
        ck_assert_int_eq(idset_format(&nodes, &got), 0);
        ck_assert_msg(streq(got, want), "want %s, got %s (%s)", want, got, reason);
        ck_assert_ptr_nonnull(reason);
}

static void reserve(World *w, const char *nodes, unsigned vcpus, uint64_t bytes) {
        Snapshot *s = w->snapshot;

        s->reservations = realloc(s->reservations, (s->n_reservations + 1) * sizeof(*s->reservations));
        ck_assert_ptr_nonnull(s->reservations);
        s->reservations[s->n_reservations++] =
                (Reservation){ .nodes = set_of(nodes), .vcpus = vcpus, .memory_bytes = bytes };
}

/* ---- huge pages of two sizes ---- */

static const struct { const char *name; uint64_t page_bytes; const char *reserved, *want; } page_rows[] = {
        { "of the default size", 0, NULL, "0" },
        { "of that size", 2 * MIB, NULL, "0" },
        { "of the other", GIB, NULL, "1" },
        { "of the other, and somebody was promised some of the default size there", GIB, "1", "1" },
        { "of a size that is not there: the emptiest", 16 * MIB, NULL, "0" },
};

START_TEST(advice_is_for_pages_of_one_size) {
        AdviceRequest request = { .vcpus = 1, .memory_bytes = 4 * GIB, .hugepages = true };
        _cleanup_free_ char *reason = NULL, *got = NULL;
        PolicyInput in;
        IdSet nodes;
        World w;

        world_init(&w, "numa:2 core:4 pu:1", NO_RESERVE);
        w.snapshot->host.hugepage_bytes = 2 * MIB;
        for (size_t i = 0; i < 2; i++) {
                NodeMemory *n = &w.snapshot->host.nodes[i];

                n->pools = calloc(2, sizeof(*n->pools));
                ck_assert_ptr_nonnull(n->pools);
                n->n_pools = 2;
                n->pools[0] = (HugePool){ 2 * MIB, 2048, i == 0 ? 2048 : 0, 0 };
                n->pools[1] = (HugePool){ GIB, 4, i == 1 ? 4 : 0, 0 };
        }
        if (page_rows[_i].reserved) {
                reserve(&w, page_rows[_i].reserved, 1, 4 * GIB);
                w.snapshot->reservations[0].hugepages = true;
        }
        request.hugepage_bytes = page_rows[_i].page_bytes;
        in = (PolicyInput){ .config = w.config, .snapshot = w.snapshot };
        ck_assert_int_eq(policy_advise(&in, w.state, &request, &nodes, &reason), 0);
        ck_assert_int_eq(idset_format(&nodes, &got), 0);
        ck_assert_msg(streq(got, page_rows[_i].want), "%s: %s (%s)", page_rows[_i].name, got, reason);
        world_done(&w);
}
END_TEST

/* ---- sizes and hosts ---- */

typedef struct Row {
        const char *name;
        const char *topology;
        const char *policy;             /* beside no reserve */
        int free_gib[4];                /* 0: all of it; -1: none */
        unsigned huge_2m[4];            /* free pages */
        unsigned vcpus;
        uint64_t gib;
        bool hugepages;
        const char *want;
} Row;

static const Row rows[] = {
        { "one node", "numa:1 core:2 pu:1", "", { 0 }, { 0 }, 1, 1, false, "0" },
        { "of equal nodes the lowest", "numa:4 core:4 pu:1", "", { 0 }, { 0 }, 2, 2, false, "0" },
        { "the one with room", "numa:4 core:4 pu:1", "", { 1, 1, 8, 1 }, { 0 }, 2, 4, false, "2" },
        { "several for much memory", "numa:4 core:4 pu:1", "", { 6, 6, 6, 6 }, { 0 }, 2, 10, false, "0-1" },
        { "several for many vCPUs", "numa:4 core:4 pu:1", "", { 0 }, { 0 }, 6, 1, false, "0-1" },
        { "all for more vCPUs than CPUs", "numa:2 core:2 pu:1", "", { 0 }, { 0 }, 64, 1, false, "0-1" },
        { "the emptiest of a full host", "numa:4 core:4 pu:1", "", { 1, 2, 3, 2 }, { 0 }, 2, 40, false, "2" },
        { "a host without any room", "numa:2 core:2 pu:1", "", { -1, -1 }, { 0 }, 1, 1, false, "0" },
        { "more memory than there is", "numa:2 core:2 pu:1", "", { 0 }, { 0 }, 1, 1 << 24, false, "0" },
        { "huge pages, not free memory", "numa:4 core:4 pu:1", "", { 0 }, { 0, 0, 0, 2048 }, 2, 4, true, "3" },
        { "free memory, not huge pages", "numa:4 core:4 pu:1", "", { 1, 8, 1, 1 }, { 0, 0, 0, 4096 }, 2, 4, false, "1" },
        { "huge pages of two nodes", "numa:4 core:4 pu:1", "", { 0 }, { 0, 0, 1024, 1024 }, 2, 4, true, "2-3" },
        { "no memory named: CPUs decide", "numa:4 core:4 pu:1", "", { -1, -1, -1, -1 }, { 0 }, 2, 0, false, "0" },
        { "not on a node whose CPUs are reserved", "numa:2 core:2 pu:1", "reserved_cpus = \"0-1\"; ", { 0 }, { 0 }, 2, 1,
          false, "1" },
};

START_TEST(advice_is_the_smallest_set_that_fits) {
        const Row *row = &rows[_i];
        char text[256];
        World w;

        (void)snprintf(text, sizeof(text), "host: { reserved_memory = \"0\"; %s};", row->policy);
        world_init(&w, row->topology, text);
        for (size_t i = 0; i < w.snapshot->host.n_nodes; i++) {
                NodeMemory *n = &w.snapshot->host.nodes[i];

                if (row->free_gib[i] != 0)
                        n->free_bytes = row->free_gib[i] < 0 ? 0 : (uint64_t)row->free_gib[i] * GIB;
                if (row->huge_2m[i] == 0)
                        continue;
                n->pools = calloc(1, sizeof(*n->pools));
                ck_assert_ptr_nonnull(n->pools);
                n->pools[n->n_pools++] = (HugePool){ 2 * MIB, row->huge_2m[i], row->huge_2m[i], 0 };
        }
        assert_advice(&w, row->vcpus, row->gib * GIB, row->hugepages, row->want);
        world_done(&w);
}
END_TEST

/* ---- nodes of odd kinds ---- */

typedef struct OddNode {
        unsigned id;
        const char *cpus;
        uint64_t gib;
} OddNode;

/* Distances: 10, and 20 more for each step in the list. */
static void world_init_odd(World *w, const OddNode *nodes, size_t n) {
        Topology *t = calloc(1, sizeof(*t));

        ck_assert_ptr_nonnull(t);
        t->nodes = calloc(n, sizeof(*t->nodes));
        t->distances = calloc(n * n, sizeof(*t->distances));
        t->cpus = calloc(IDSET_MAX, sizeof(*t->cpus));
        ck_assert(t->nodes && t->distances && t->cpus);
        t->n_nodes = n;
        for (size_t i = 0; i < n; i++) {
                t->nodes[i] = (TopologyNode){ nodes[i].id, set_of(nodes[i].cpus), nodes[i].gib * GIB };
                t->online = idset_or(&t->online, &t->nodes[i].cpus);
                for (size_t k = 0; k < n; k++)
                        t->distances[i * n + k] = (uint16_t)(10 + 20 * (i > k ? i - k : k - i));
        }
        IDSET_FOREACH(cpu, &t->online) {
                TopologyCpu *c = &t->cpus[t->n_cpus];
                unsigned node = 0;

                while (!idset_contains(&t->nodes[node].cpus, (unsigned)cpu))
                        node++;
                *c = (TopologyCpu){ .id = (unsigned)cpu, .core = (unsigned)t->n_cpus, .node = node };
                t->n_cpus++;
        }
        world_init_topology(w, t, 0, NO_RESERVE);
        for (size_t i = 0; i < n; i++)
                w->snapshot->host.nodes[i].total_bytes = w->snapshot->host.nodes[i].free_bytes = nodes[i].gib * GIB;
        w->snapshot->host.memory.total_bytes = 64 * GIB;
}

START_TEST(sparse_nodes_keep_their_numbers) {
        static const OddNode nodes[] = { { 2, "5-6", 8 }, { 33, "9-10", 8 }, { 34, "70-71", 2 } };
        World w;

        world_init_odd(&w, nodes, ELEMENTSOF(nodes));
        assert_advice(&w, 2, 4 * GIB, false, "2");
        reserve(&w, "2", 2, 4 * GIB);
        assert_advice(&w, 2, 4 * GIB, false, "33");
        assert_advice(&w, 4, 12 * GIB, false, "2,33");
        world_done(&w);
}
END_TEST

START_TEST(nodes_without_cpus_are_not_advised) {
        static const OddNode nodes[] = { { 0, "", 32 }, { 1, "0-1", 4 }, { 2, "", 32 } };
        World w;

        world_init_odd(&w, nodes, ELEMENTSOF(nodes));
        assert_advice(&w, 2, 2 * GIB, false, "1");
        assert_advice(&w, 2, 30 * GIB, false, "1");
        world_done(&w);
}
END_TEST

/* libvirt refuses a nodeset without memory: "Unable to set memory to nodeset". */
START_TEST(nodes_without_memory_are_completed_with_the_nearest_that_has_some) {
        static const OddNode nodes[] = { { 0, "0-1", 8 }, { 1, "2-3", 0 }, { 2, "4-5", 8 } };
        World w;

        world_init_odd(&w, nodes, ELEMENTSOF(nodes));
        reserve(&w, "0", 2, GIB);
        reserve(&w, "2", 2, GIB);
        assert_advice(&w, 2, 0, false, "0-1");
        world_done(&w);
}
END_TEST

/* ---- who counts ---- */

START_TEST(reservations_count_like_starting_guests) {
        World w;

        world_init(&w, "numa:2 core:4 pu:1", NO_RESERVE);
        assert_advice(&w, 2, 12 * GIB, false, "0");
        reserve(&w, "0", 2, 12 * GIB);
        assert_advice(&w, 2, 12 * GIB, false, "1");
        reserve(&w, "1", 2, 12 * GIB);
        /* Neither has the room; both together have 8 GiB. */
        assert_advice(&w, 2, 8 * GIB, false, "0-1");
        world_done(&w);
}
END_TEST

START_TEST(the_daemon_places_around_what_was_advised) {
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:4 pu:1", NO_RESERVE "cpu: { policy = \"shared\"; };");
        reserve(&w, "0", 2, 12 * GIB);
        g = world_guest(&w, "next", 2, 8 * GIB);
        g->starting = true;
        world_decide(&w, g->uuid);
        ck_assert(idset_equal(memo_nodes(state_find_guest(w.state, g->uuid)), &(IdSet){ .words = { 2 } }));
        world_done(&w);
}
END_TEST

START_TEST(a_guest_started_on_advice_is_placed_there) {
        const Action *a;
        World w;
        Guest *g;

        world_init(&w, "numa:4 core:4 pu:1", NO_RESERVE "cpu: { policy = \"shared\"; };");
        g = world_guest(&w, "auto", 2, 2 * GIB);
        g->starting = g->vcpu_placement_auto = true;
        g->advised_nodes = set_of("2");
        world_decide(&w, g->uuid);
        a = world_action(&w, g, ACTION_PIN_VCPU, 0);
        ck_assert_ptr_nonnull(a);
        ck_assert_str_eq(a->new_value, "8-11");
        ck_assert_msg(strstr(a->reason, "advised") != NULL, "%s", a->reason);
        /* And stays: what is remembered is what was advised. */
        world_apply(&w);
        g->starting = false;
        w.snapshot->now_usec += USEC_PER_HOUR;
        guest_memory(g, 2, 2 * GIB);
        world_decide(&w, NULL);
        ck_assert_uint_eq(w.plan->n_actions, 0);
        world_done(&w);
}
END_TEST

START_TEST(guests_count_where_they_are) {
        World w;
        Guest *g;

        world_init(&w, "numa:4 core:4 pu:1", NO_RESERVE);
        /* By its threads, as policy none is in force. */
        g = world_guest(&w, "pinned", 4, GIB);
        for (size_t i = 0; i < g->n_vcpus; i++)
                thread_pin(&w, &g->vcpus[i], "0-3");
        assert_advice(&w, 2, GIB, false, "1");
        /* By what libvirt was advised, though its threads are not pinned yet. */
        g = world_guest(&w, "advised", 4, GIB);
        g->starting = true;
        g->advised_nodes = set_of("1");
        assert_advice(&w, 2, GIB, false, "2");
        world_done(&w);
}
END_TEST

START_TEST(a_starting_guest_counts_with_what_it_has_not_touched) {
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:4 pu:1", NO_RESERVE);
        g = world_guest(&w, "starting", 1, 12 * GIB);
        g->starting = true;
        g->advised_nodes = set_of("0");
        g->rss_bytes = 2 * GIB;
        world_node(&w, 0)->free_bytes = 14 * GIB;
        /* 14 free, 10 still to come: 4 are left. */
        assert_advice(&w, 4, 4 * GIB, false, "1");
        world_guest(&w, "busy", 4, GIB)->advised_nodes = set_of("1");
        assert_advice(&w, 2, 4 * GIB, false, "0");
        assert_advice(&w, 2, 5 * GIB, false, "1");
        /* Started long ago: what it has not taken may still be wanted, but a set of nodes does not become too small. */
        g->starting = false;
        assert_advice(&w, 2, 5 * GIB, false, "1");
        world_node(&w, 1)->free_bytes = GIB;
        assert_advice(&w, 2, 5 * GIB, false, "0");
        world_done(&w);
}
END_TEST

START_TEST(memory_nobody_measured_is_where_it_belongs) {
        GuestMemo *memo;
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:4 pu:1", NO_RESERVE "cpu: { policy = \"shared\"; };");
        g = world_guest(&w, "placed", 1, 12 * GIB);
        g->rss_bytes = 12 * GIB;
        ck_assert_int_eq(state_guest(w.state, g->uuid, &memo), 0);
        world_place(&w, memo, set_of("0"));
        world_node(&w, 0)->free_bytes = 4 * GIB;
        for (size_t i = 0; i < 3; i++)
                world_guest(&w, "other", 1, 0)->advised_nodes = set_of("1");
        /* The 12 GiB are there already, and not to come once more. */
        assert_advice(&w, 2, 3 * GIB, false, "0");
        world_done(&w);
}
END_TEST

static Guest *dedicated(World *w, const char *name, size_t vcpus, const char *node, const char *cpus) {
        Guest *g = world_guest(w, name, vcpus, GIB);
        GuestMemo *memo;

        ck_assert_int_eq(state_guest(w->state, g->uuid, &memo), 0);
        world_place(w, memo, set_of(node));
        ck_assert_int_eq(memo_make_cpus(memo), 0);
        *memo->cpus = set_of(cpus);
        return g;
}

START_TEST(cpus_of_other_guests_own_are_not_there) {
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:4 pu:1", NO_RESERVE "cpu: { policy = \"dedicated\"; };");
        dedicated(&w, "own", 3, "0", "0-2");
        g = world_guest(&w, "shared", 4, GIB);
        g->advised_nodes = set_of("1");
        /* Fewer vCPUs on node 0, but a single CPU. */
        assert_advice(&w, 2, GIB, false, "1");
        /* None is left: anywhere, so that the guest can start. */
        dedicated(&w, "more", 1, "0", "3");
        dedicated(&w, "most", 4, "1", "4-7");
        assert_advice(&w, 2, GIB, false, "0-1");
        world_done(&w);
}
END_TEST

START_TEST(asking_changes_nothing) {
        _cleanup_free_ char *before = NULL, *after = NULL;
        World w;

        world_init(&w, "numa:2 core:4 pu:1", NO_RESERVE);
        world_guest(&w, "g", 2, GIB);
        ck_assert_int_eq(state_format(w.state, &before), 0);
        assert_advice(&w, 2, GIB, false, "0");
        assert_advice(&w, 2, GIB, false, "0");
        ck_assert_int_eq(state_format(w.state, &after), 0);
        ck_assert_str_eq(before, after);
        ck_assert_uint_eq(w.snapshot->n_guests, 1);
        world_done(&w);
}
END_TEST

START_TEST(without_cpus_or_topology_there_is_no_advice) {
        char *reason = NULL;
        IdSet nodes;
        World w;

        world_init(&w, "numa:2 core:2 pu:1", "host: { reserved_cpus = \"0-3\"; };");
        ck_assert_int_eq(advise(&w, 1, GIB, false, &nodes, &reason), -ENOSPC);
        w.snapshot->topology = topology_free(w.snapshot->topology);
        ck_assert_int_eq(advise(&w, 1, GIB, false, &nodes, &reason), -ENODATA);
        ck_assert_ptr_null(reason);
        world_done(&w);
}
END_TEST

/* Any sizes on any of the hosts: nodes that exist, with CPUs, and the same answer again. */
START_TEST(any_request_is_answered_with_nodes_of_the_host) {
        static const char *const hosts[] = {
                "numa:1 core:1 pu:1", "numa:8 core:2 pu:2", "package:2 numa:2 core:3 pu:2", "numa:3 core:1 pu:1",
        };
        uint64_t seed = 42;

        for (unsigned n = 0; n < 2000; n++) {
                unsigned vcpus, most;
                uint64_t bytes;
                IdSet a, b;
                char *why = NULL;
                World w;

                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
                /* The largest cost a second under AddressSanitizer for each ten. */
                most = n % 16 == 0 ? IDSET_MAX : 256;
                vcpus = 1 + (unsigned)(seed >> 33) % most;
                bytes = seed >> (seed >> 58);
                world_init(&w, hosts[n % ELEMENTSOF(hosts)], NO_RESERVE);
                reserve(&w, "0", most, UINT64_MAX);
                ck_assert_int_eq(advise(&w, vcpus, bytes, n % 2, &a, &why), 0);
                free(why);
                ck_assert_int_eq(advise(&w, vcpus, bytes, n % 2, &b, &why), 0);
                free(why);
                ck_assert(idset_equal(&a, &b) && !idset_is_empty(&a));
                IDSET_FOREACH(node, &a)
                        ck_assert_ptr_nonnull(topology_node(w.snapshot->topology, (unsigned)node));
                world_done(&w);
        }
}
END_TEST

int main(void) {
        Suite *suite = suite_create("advise");
        TCase *tc = tcase_create("advise");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, advice_is_for_pages_of_one_size, 0, (int)ELEMENTSOF(page_rows));
        tcase_add_loop_test(tc, advice_is_the_smallest_set_that_fits, 0, (int)ELEMENTSOF(rows));
        tcase_add_test(tc, sparse_nodes_keep_their_numbers);
        tcase_add_test(tc, nodes_without_cpus_are_not_advised);
        tcase_add_test(tc, nodes_without_memory_are_completed_with_the_nearest_that_has_some);
        tcase_add_test(tc, reservations_count_like_starting_guests);
        tcase_add_test(tc, the_daemon_places_around_what_was_advised);
        tcase_add_test(tc, a_guest_started_on_advice_is_placed_there);
        tcase_add_test(tc, guests_count_where_they_are);
        tcase_add_test(tc, a_starting_guest_counts_with_what_it_has_not_touched);
        tcase_add_test(tc, memory_nobody_measured_is_where_it_belongs);
        tcase_add_test(tc, cpus_of_other_guests_own_are_not_there);
        tcase_add_test(tc, asking_changes_nothing);
        tcase_add_test(tc, without_cpus_or_topology_there_is_no_advice);
        tcase_add_test(tc, any_request_is_answered_with_nodes_of_the_host);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
