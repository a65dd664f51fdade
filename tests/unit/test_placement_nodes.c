/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Nodes that are not like the others, and guests that are not: devices, nodes
 * without CPUs or without memory, memory promised to others, limits of a cgroup.
 */

#include "placement_util.h"

#define OVERFLOW SHARED "numa: { memory_only = \"overflow\"; }; "

/* ---- devices ---- */

START_TEST(a_starting_guest_goes_to_its_devices) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED OTHERS);
        renumber(&w, sparse_ids);
        occupy(&w, 2, 3);
        g = starting_guest(&w, 2, 2 * GIB);
        g->vfio = true;
        g->vfio_nodes = set_of("34");
        world_decide(&w, NULL);
        assert_nodes(&w, g, "34");
        ck_assert_msg(strstr(reason_of(&w, g), "distance 20 to its devices instead of 10"), "%s", reason_of(&w, g));
        world_done(&w);

        /* Not where there is no room: then the nearest. */
        world_init(&w, FOUR_NODES, SHARED OTHERS);
        renumber(&w, sparse_ids);
        w.snapshot->host.nodes[2].free_bytes = GIB;
        w.snapshot->topology->distances[3 * 4 + 2] = w.snapshot->topology->distances[2 * 4 + 3] = 15;
        g = starting_guest(&w, 2, 2 * GIB);
        g->vfio = true;
        g->vfio_nodes = set_of("34");
        world_decide(&w, NULL);
        assert_nodes(&w, g, "45");
        world_done(&w);
}
END_TEST

START_TEST(cpus_follow_memory_that_a_device_holds) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        g = world_guest(&w, "guest", 2, 4 * GIB);
        g->vfio = true;
        g->vfio_nodes = set_of("1");
        guest_memory(g, 3, 4 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "3");
        world_done(&w);
}
END_TEST

START_TEST(devices_nowhere_in_particular_do_not_matter) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        g = starting_guest(&w, 2, 2 * GIB);
        g->vfio = true;
        g->vfio_nodes = set_of("77");
        world_decide(&w, NULL);
        assert_nodes(&w, g, "0");
        world_done(&w);
}
END_TEST

/* ---- memory here, CPUs there ---- */

/* All memory of a guest with two vCPUs is on node 33, of four CPUs; others have @busy vCPUs there. */
static const struct {
        const char *name;
        size_t busy;
        const char *nodes;
} harm_rows[] = {
        { "a node with free CPUs is where the memory is", 2, "33" },
        { "one with a vCPU more than CPUs costs as much as remote memory: the emptier one", 3, "2" },
        { "a full node is left, and the memory follows", 5, "2" },
};

START_TEST(remote_memory_does_not_outweigh_a_full_node) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED OTHERS);
        renumber(&w, sparse_ids);
        occupy(&w, 1, harm_rows[_i].busy);
        g = world_guest(&w, "guest", 2, 2 * GIB);
        guest_memory(g, 33, 2 * GIB);
        guest_load(g, 5000, 0);
        world_decide(&w, NULL);
        assert_nodes(&w, g, harm_rows[_i].nodes);
        if (!streq(harm_rows[_i].nodes, "33"))
                assert_action(&w, g, ACTION_MOVE_MEMORY, 0, harm_rows[_i].nodes);
        world_done(&w);
}
END_TEST

/* A guest that starts has no memory anywhere: its devices decide before what is remote there. */
START_TEST(nearness_comes_before_harm_for_a_guest_that_starts) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        renumber(&w, sparse_ids);
        take_memory(&w, 2);
        g = starting_guest(&w, 2, 2 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "2");
        world_done(&w);

        world_init(&w, FOUR_NODES, SHARED);
        renumber(&w, sparse_ids);
        take_memory(&w, 2);
        g = starting_guest(&w, 2, 2 * GIB);
        g->vfio = true;
        g->vfio_nodes = set_of("34");
        world_decide(&w, NULL);
        assert_nodes(&w, g, "34");
        world_done(&w);
}
END_TEST

/* ---- nodes without CPUs ---- */

/* Two nodes with CPUs, 33 and 45; 2 and 34 have memory alone, 34 nearer to 45. */
static void expander_world(World *w, const char *policy) {
        static const uint16_t distances[16] = {
                10, 40, 40, 40,
                40, 10, 30, 20,
                40, 30, 10, 17,
                40, 20, 17, 10,
        };

        world_init(w, FOUR_NODES, policy);
        renumber(w, sparse_ids);
        memcpy(w->snapshot->topology->distances, distances, sizeof(distances));
        take_cpus(w, 0);
        take_cpus(w, 2);
        for (size_t i = 0; i < 4; i++)
                w->snapshot->host.nodes[i].total_bytes = w->snapshot->host.nodes[i].free_bytes =
                        i % 2 == 0 ? 512 * GIB : 16 * GIB;
}

START_TEST(memory_only_nodes_are_never_used_unless_asked_for) {
        World w;
        Guest *g;

        expander_world(&w, SHARED);
        g = starting_guest(&w, 2, 100 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "33");
        ck_assert(!memo_has_memory_only(state_find_guest(w.state, g->uuid)));
        ck_assert(strstr(reason_of(&w, g), "no set of nodes has room"));
        ck_assert(world_skips(&w, g, ACTION_MOVE_MEMORY, SKIP_NO_CAPACITY));
        world_done(&w);
}
END_TEST

START_TEST(overflow_takes_the_nearest_memory_only_node) {
        World w;
        Guest *g;

        expander_world(&w, OVERFLOW);
        g = starting_guest(&w, 2, 100 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "45");
        ck_assert(idset_contains(memo_memory_only(state_find_guest(w.state, g->uuid)), 34));
        ck_assert_uint_eq(idset_count(memo_memory_only(state_find_guest(w.state, g->uuid))), 1);
        ck_assert(!world_skips(&w, g, ACTION_MOVE_MEMORY, SKIP_NO_CAPACITY));
        world_done(&w);

        /* Not for what the others have room for. */
        expander_world(&w, OVERFLOW);
        g = starting_guest(&w, 2, 30 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "33,45");
        ck_assert(!memo_has_memory_only(state_find_guest(w.state, g->uuid)));
        world_done(&w);
}
END_TEST

START_TEST(what_overflowed_is_at_home_as_long_as_it_may) {
        World w;
        Guest *g;

        expander_world(&w, OVERFLOW);
        g = starting_guest(&w, 2, 100 * GIB);
        world_settle(&w);
        g->starting = false;
        guest_load(g, 8000, 0);
        guest_memory(g, 45, 16 * GIB);
        guest_memory(g, 34, 80 * GIB);
        world_node(&w, 45)->free_bytes = 0;
        w.snapshot->now_usec += USEC_PER_HOUR;
        world_decide(&w, NULL);
        assert_quiet(&w);
        ck_assert_uint_eq(w.plan->n_skips, 0);
        /* Without leave it is remote, and has nowhere to go. */
        world_configure(&w, SHARED);
        world_decide(&w, NULL);
        ck_assert(world_skips(&w, g, ACTION_MOVE_MEMORY, SKIP_NO_CAPACITY));
        assert_nodes(&w, g, "45");
        world_done(&w);
}
END_TEST

START_TEST(a_second_guest_finds_the_expander_taken) {
        World w;
        Guest *a, *b;

        expander_world(&w, OVERFLOW);
        world_node(&w, 34)->free_bytes = 90 * GIB;
        a = starting_guest(&w, 2, 100 * GIB);
        world_decide(&w, NULL);
        b = starting_guest(&w, 2, 100 * GIB);
        world_decide(&w, b->uuid);
        ck_assert(idset_contains(memo_memory_only(state_find_guest(w.state, a->uuid)), 34));
        /* 6 GiB are left of 34; the rest lies on 2. */
        ck_assert(idset_contains(memo_memory_only(state_find_guest(w.state, b->uuid)), 2));
        world_done(&w);
}
END_TEST

START_TEST(memory_bound_to_a_node_without_cpus_is_stayed_near) {
        World w;
        Guest *g;

        expander_world(&w, SHARED);
        g = world_guest(&w, "guest", 2, 100 * GIB);
        g->numatune_mode = NUMATUNE_INTERLEAVE;
        g->numatune_nodes = set_of("34");
        guest_memory(g, 34, 100 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "45");
        ck_assert_ptr_null(world_action(&w, g, ACTION_MOVE_MEMORY, 0));
        world_done(&w);
}
END_TEST

/* ---- nodes without memory ---- */

START_TEST(a_node_without_memory_borrows_its_neighbours) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED OTHERS);
        renumber(&w, sparse_ids);
        take_memory(&w, 0);
        w.snapshot->topology->distances[0 * 4 + 2] = w.snapshot->topology->distances[2 * 4 + 0] = 15;
        /* Every access would be remote: rather a node that others have half of. */
        for (size_t i = 1; i < 4; i++)
                occupy(&w, i, 2);
        g = starting_guest(&w, 2, 2 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "33");
        state_forget_guest(w.state, g->uuid);
        for (size_t i = 1; i < 4; i++)
                occupy(&w, i, 2);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "2");
        /* Its memory belongs to node 34, and is asked for there. */
        world_apply(&w);
        g->starting = false;
        guest_load(g, 9000, 0);
        guest_memory(g, 34, GIB);
        guest_memory(g, 45, GIB);
        w.snapshot->now_usec += USEC_PER_MINUTE;
        world_decide(&w, NULL);
        assert_nodes(&w, g, "2");
        assert_action(&w, g, ACTION_MOVE_MEMORY, 0, "34");
        world_done(&w);
}
END_TEST

START_TEST(a_node_without_memory_has_no_more_than_its_neighbour) {
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:4 pu:1", SHARED);
        take_memory(&w, 0);
        world_node(&w, 1)->free_bytes = 4 * GIB;
        g = starting_guest(&w, 8, 6 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "0-1");
        ck_assert(world_skips(&w, g, ACTION_MOVE_MEMORY, SKIP_NO_CAPACITY));
        world_done(&w);
}
END_TEST

/* ---- promises ---- */

typedef struct PromiseRow {
        const char *name;
        uint64_t current_gib, resident_gib;     /* of 14 GiB at most, on node 0 */
        bool hugepages;
        const char *want;
} PromiseRow;

static const PromiseRow promise_rows[] = {
        { "what a running guest may still touch is promised", 14, 2, false, "1" },
        { "what it has touched is gone already", 14, 14, false, "0" },
        { "what its balloon took is not promised", 4, 2, false, "0" },
        { "huge pages are all there", 14, 2, true, "0" },
};

START_TEST(memory_promised_to_running_guests_is_not_given_away) {
        const PromiseRow *row = &promise_rows[_i];
        World w;
        Guest *first, *g;

        world_init(&w, "numa:2 core:8 pu:1", SHARED OTHERS);
        occupy(&w, 1, 7);
        first = world_guest(&w, "first", 2, 14 * GIB);
        first->current_bytes = row->current_gib * GIB;
        first->hugepages = row->hugepages;
        guest_memory(first, 0, row->resident_gib * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, first, "0");
        world_apply(&w);
        g = starting_guest(&w, 2, 6 * GIB);
        world_decide(&w, g->uuid);
        assert_nodes(&w, g, row->want);
        world_done(&w);
}
END_TEST

START_TEST(one_node_with_a_promise_before_two_without) {
        World w;
        Guest *first, *g;

        world_init(&w, "numa:2 core:8 pu:1", SHARED);
        first = world_guest(&w, "first", 2, 14 * GIB);
        guest_memory(first, 0, 2 * GIB);
        world_node(&w, 0)->free_bytes = 14 * GIB;
        world_settle(&w);
        world_node(&w, 1)->free_bytes = 5 * GIB;
        g = starting_guest(&w, 2, 6 * GIB);
        world_decide(&w, g->uuid);
        assert_nodes(&w, g, "0");
        world_done(&w);
}
END_TEST

/* ---- limits ---- */

static const struct {
        const char *name, *mems, *cpus, *want;
} limit_rows[] = {
        { "no limit", "", "", "2" },
        { "memory", "34,45", "", "34" },
        { "CPUs", "", "4-7,14", "33" },
        { "both", "33-34", "8-15", "34" },
        { "a limit that leaves nothing is not ours to keep", "77", "", "2" },
};

START_TEST(the_search_stays_within_the_cgroups_limits) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        renumber(&w, sparse_ids);
        g = starting_guest(&w, 2, 2 * GIB);
        g->cgroup_mems = set_of(limit_rows[_i].mems);
        g->cgroup_cpus = set_of(limit_rows[_i].cpus);
        world_decide(&w, NULL);
        assert_nodes(&w, g, limit_rows[_i].want);
        world_apply(&w);
        world_decide(&w, NULL);
        assert_nodes(&w, g, limit_rows[_i].want);
        world_done(&w);
}
END_TEST

START_TEST(a_limit_that_comes_later_is_followed) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        g = world_guest(&w, "guest", 2, 2 * GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "0");
        world_apply(&w);
        g->cgroup_mems = set_of("3");
        world_decide(&w, NULL);
        assert_nodes(&w, g, "3");
        world_done(&w);
}
END_TEST

static const struct {
        NumatuneMode mode;
        bool automatic;
        const char *text;
} bound_rows[] = {
        { NUMATUNE_STRICT, false, "node 2: numatune strict binds its memory there" },
        { NUMATUNE_STRICT, true, "as libvirt was advised (placement='auto')" },
        { NUMATUNE_PREFERRED, false, "numatune prefers its memory there" },
        { NUMATUNE_INTERLEAVE, false, "numatune interleaves its memory there" },
        { NUMATUNE_RESTRICTIVE, false, "numatune restrictive keeps its memory there" },
};

START_TEST(what_binds_a_guest_is_named) {
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 1);
        g->numatune_mode = bound_rows[_i].mode;
        g->numatune_placement_auto = bound_rows[_i].automatic;
        g->numatune_nodes = set_of("2");
        world_decide(&w, NULL);
        assert_nodes(&w, g, "2");
        ck_assert_msg(strstr(reason_of(&w, g), bound_rows[_i].text), "%s", reason_of(&w, g));
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_nodes");
        TCase *tc = tcase_create("placement_nodes");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_test(tc, a_starting_guest_goes_to_its_devices);
        tcase_add_test(tc, cpus_follow_memory_that_a_device_holds);
        tcase_add_test(tc, devices_nowhere_in_particular_do_not_matter);
        tcase_add_loop_test(tc, remote_memory_does_not_outweigh_a_full_node, 0, (int)ELEMENTSOF(harm_rows));
        tcase_add_test(tc, nearness_comes_before_harm_for_a_guest_that_starts);
        tcase_add_test(tc, memory_only_nodes_are_never_used_unless_asked_for);
        tcase_add_test(tc, overflow_takes_the_nearest_memory_only_node);
        tcase_add_test(tc, what_overflowed_is_at_home_as_long_as_it_may);
        tcase_add_test(tc, a_second_guest_finds_the_expander_taken);
        tcase_add_test(tc, memory_bound_to_a_node_without_cpus_is_stayed_near);
        tcase_add_test(tc, a_node_without_memory_borrows_its_neighbours);
        tcase_add_test(tc, a_node_without_memory_has_no_more_than_its_neighbour);
        tcase_add_loop_test(tc, memory_promised_to_running_guests_is_not_given_away, 0,
                            (int)ELEMENTSOF(promise_rows));
        tcase_add_test(tc, one_node_with_a_promise_before_two_without);
        tcase_add_loop_test(tc, the_search_stays_within_the_cgroups_limits, 0, (int)ELEMENTSOF(limit_rows));
        tcase_add_test(tc, a_limit_that_comes_later_is_followed);
        tcase_add_loop_test(tc, what_binds_a_guest_is_named, 0, (int)ELEMENTSOF(bound_rows));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
