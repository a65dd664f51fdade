/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Where guests go, and what binds them: the placement controller through
 * policy_decide().
 */

#include "placement_util.h"

/* ---- which nodes ---- */

typedef struct NodesRow {
        const char *name;
        unsigned committed[4];          /* vCPUs of others on each node */
        uint64_t free_gib[4];           /* 0: as the world has it */
        unsigned busy_percent[4];
        unsigned vcpus;
        uint64_t gib;
        bool starting;
        uint64_t resident_gib[4];
        const char *want;
        const char *reason;             /* a part of it */
        const char *never;              /* and not this */
} NodesRow;

static const NodesRow nodes_rows[] = {
        { .name = "of equal nodes the lowest number", .vcpus = 2, .gib = 2, .starting = true, .want = "0",
          .reason = "node 1 is equal, the lower number wins" },
        { .name = "the fewest vCPUs a CPU", .committed = { 2, 1, 0, 3 }, .vcpus = 2, .gib = 2, .starting = true,
          .want = "2",
          .reason = "node 2: 2 vCPUs fit, 0 of 4 CPUs committed, 16 GiB free; node 1 has 1 of 4 CPUs committed" },
        { .name = "the only one with room", .free_gib = { 1, 1, 8, 1 }, .vcpus = 2, .gib = 4, .starting = true,
          .want = "2" },
        { .name = "committed, but with room, before free and full", .committed = { 0, 0, 3, 0 },
          .free_gib = { 1, 1, 8, 1 }, .vcpus = 2, .gib = 4, .starting = true, .want = "2" },
        { .name = "measured load among equally committed", .busy_percent = { 50, 60, 70, 10 }, .vcpus = 2, .gib = 2,
          .starting = true, .want = "3", .reason = "node 0 is 50 % busy instead of 10 %" },
        { .name = "free memory among equally loaded", .free_gib = { 8, 9, 8, 8 }, .vcpus = 2, .gib = 2,
          .starting = true, .want = "1", .reason = "node 0 has 1 GiB less free" },
        { .name = "two nodes for many vCPUs", .vcpus = 6, .gib = 2, .starting = true, .want = "0-1",
          .reason = "fewer nodes do not fit" },
        { .name = "two nodes for much memory", .free_gib = { 6, 6, 6, 6 }, .vcpus = 2, .gib = 10, .starting = true,
          .want = "0-1" },
        { .name = "all nodes for more vCPUs than CPUs", .vcpus = 20, .gib = 2, .starting = true, .want = "0-3",
          .reason = "more than the CPUs they can have" },
        { .name = "the emptiest when no set has the memory", .free_gib = { 1, 2, 3, 2 }, .vcpus = 2, .gib = 20,
          .starting = true, .want = "2", .reason = "no set of nodes has room" },
        { .name = "a running guest stays with its memory", .vcpus = 2, .gib = 5, .resident_gib = { 0, 1, 4, 0 },
          .want = "2", .reason = "80 % of its memory remote instead of 20 %" },
        { .name = "but not on a node that is taken", .committed = { 4, 0, 4, 4 }, .vcpus = 4, .gib = 5,
          .resident_gib = { 3, 2, 0, 0 }, .want = "1",
          .reason = "node 0: 4 of 4 CPUs committed, although 40 % of its memory would be remote instead of 60 %" },
        { .name = "what does not differ is no reason: memory", .committed = { 4, 2, 4, 4 }, .vcpus = 3, .gib = 4,
          .resident_gib = { 2, 2, 0, 0 }, .want = "1", .reason = "; node 0: 4 of 4 CPUs committed", .never = "remote" },
        { .name = "what does not differ is no reason: CPUs", .committed = { 2, 1, 0, 0 }, .vcpus = 2, .gib = 5,
          .resident_gib = { 4, 1, 0, 0 }, .want = "0",
          .reason = "; node 1: 80 % of its memory remote instead of 20 %", .never = "1 of 4" },
        { .name = "what a starting guest has touched does not bind it", .committed = { 1, 0, 1, 1 }, .vcpus = 2,
          .gib = 8, .starting = true, .resident_gib = { 1, 0, 0, 0 }, .want = "1" },
        { .name = "memory that is there already needs no room", .free_gib = { 1, 3, 3, 3 }, .vcpus = 2, .gib = 4,
          .resident_gib = { 4, 0, 0, 0 }, .want = "0" },
};

START_TEST(a_guest_gets_the_smallest_set_that_leaves_the_host_best_off) {
        const NodesRow *row = &nodes_rows[_i];
        const Action *a;
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED OTHERS);
        w.snapshot->host.cpus = calloc(16, sizeof(CpuLoad));
        w.snapshot->host.n_cpus = 16;
        for (unsigned cpu = 0; cpu < 16; cpu++)
                w.snapshot->host.cpus[cpu] = (CpuLoad){ cpu, row->busy_percent[cpu / 4] * 100 };
        for (unsigned n = 0; n < 4; n++) {
                if (row->free_gib[n] > 0)
                        w.snapshot->host.nodes[n].free_bytes = row->free_gib[n] * GIB;
                if (row->committed[n] == 0)
                        continue;
                g = world_guest(&w, "other-1", row->committed[n], GIB);
                for (unsigned v = 0; v < row->committed[n]; v++)
                        g->vcpus[v].affinity = w.snapshot->topology->nodes[n].cpus;
        }
        g = world_guest(&w, "guest", row->vcpus, row->gib * GIB);
        g->starting = row->starting;
        for (unsigned n = 0; n < 4; n++)
                if (row->resident_gib[n] > 0)
                        guest_memory(g, n, row->resident_gib[n] * GIB);
        world_decide(&w, _i % 2 ? g->uuid : NULL);
        assert_nodes(&w, g, row->want);
        a = world_action(&w, g, ACTION_PIN_VCPU, 0);
        if (row->reason && a)
                ck_assert_msg(strstr(a->reason, row->reason) && !(row->never && strstr(a->reason, row->never)),
                              "%s: %s", row->name, a->reason);
        ck_assert(a || streq(row->want, "0-3"));
        world_done(&w);
}
END_TEST

START_TEST(a_guest_larger_than_a_node_gets_near_nodes) {
        /* 0 and 2 share a package, 1 and 3 the other: numbers do not tell who is near. */
        static const uint16_t distances[16] = {
                10, 31, 16, 31,
                31, 10, 31, 16,
                16, 31, 10, 31,
                31, 16, 31, 10,
        };
        World w;
        Guest *g, *other;

        world_init(&w, FOUR_NODES, SHARED OTHERS);
        memcpy(w.snapshot->topology->distances, distances, sizeof(distances));
        other = world_guest(&w, "other-1", 1, GIB);
        other->vcpus[0].affinity = set_of("0-3");
        g = world_guest(&w, "guest", 8, GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "1,3");
        ck_assert(strstr(world_action(&w, g, ACTION_PIN_VCPU, 0)->reason, "nodes 0,2 have 1 of 8 CPUs committed"));
        world_done(&w);

        /* Nearer goes before less committed. */
        world_init(&w, FOUR_NODES, SHARED OTHERS);
        memcpy(w.snapshot->topology->distances, distances, sizeof(distances));
        w.snapshot->topology->distances[7] = w.snapshot->topology->distances[13] = 21;
        other = world_guest(&w, "other-1", 1, GIB);
        other->vcpus[0].affinity = set_of("0-3");
        g = world_guest(&w, "guest", 8, GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "0,2");
        ck_assert(strstr(world_action(&w, g, ACTION_PIN_VCPU, 0)->reason, "mean distance 21 instead of 16"));
        world_done(&w);
}
END_TEST

START_TEST(of_unequal_nodes_the_fewest_are_taken) {
        /* 0, 1 and 2 are near each other. */
        static const uint16_t distances[16] = {
                10, 12, 12, 30,
                12, 10, 12, 31,
                12, 12, 10, 31,
                30, 31, 31, 10,
        };
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        /* Nodes 0 and 1 have lost two CPUs each: a pair of nodes would be less committed than node 2. */
        w.snapshot->topology->online = set_of("0-1,4-5,8-15");
        w.snapshot->topology->nodes[0].cpus = set_of("0-1");
        w.snapshot->topology->nodes[1].cpus = set_of("4-5");
        g = world_guest(&w, "guest", 4, GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "2");
        world_done(&w);

        /* Two nodes, far from each other, before three near ones. */
        world_init(&w, FOUR_NODES, SHARED);
        memcpy(w.snapshot->topology->distances, distances, sizeof(distances));
        w.snapshot->topology->online = set_of("0-1,4-5,8-9,12-15");
        for (size_t i = 0; i < 3; i++)
                w.snapshot->topology->nodes[i].cpus = set_of(i == 0 ? "0-1" : i == 1 ? "4-5" : "8-9");
        g = world_guest(&w, "guest", 6, GIB);
        world_decide(&w, NULL);
        assert_nodes(&w, g, "0,3");
        ck_assert(strstr(world_action(&w, g, ACTION_PIN_VCPU, 0)->reason, "more nodes than needed"));
        world_done(&w);
}
END_TEST

START_TEST(starting_guests_hold_the_memory_they_will_touch) {
        World w;
        Guest *first, *second;

        world_init(&w, "numa:2 core:8 pu:1", SHARED OTHERS);
        second = world_guest(&w, "other-1", 6, GIB);
        for (size_t i = 0; i < 6; i++)
                second->vcpus[i].affinity = w.snapshot->topology->nodes[1].cpus;
        first = world_guest(&w, "first", 2, 12 * GIB);
        first->starting = true;
        world_decide(&w, first->uuid);
        world_apply(&w);
        assert_nodes(&w, first, "0");
        /* Nothing of it is resident yet: free memory alone would say node 0 has room. */
        world_node(&w, 1)->free_bytes = 14 * GIB;
        second = world_guest(&w, "second", 1, 8 * GIB);
        second->starting = true;
        world_decide(&w, second->uuid);
        assert_nodes(&w, second, "1");
        world_done(&w);
}
END_TEST

START_TEST(memory_on_its_way_to_a_node_takes_room_there) {
        World w;
        Guest *first, *second;

        world_init(&w, "numa:2 core:8 pu:1", SHARED OTHERS);
        second = world_guest(&w, "other-1", 6, GIB);
        for (size_t i = 0; i < 6; i++)
                second->vcpus[i].affinity = w.snapshot->topology->nodes[1].cpus;
        first = world_guest(&w, "first", 2, 12 * GIB);
        guest_memory(first, 0, GIB / 2);
        world_decide(&w, NULL);
        assert_nodes(&w, first, "0");
        w.hold_moves = true;
        world_apply(&w);
        guest_memory(first, 1, 12 * GIB);
        second = world_guest(&w, "second", 1, 6 * GIB);
        second->starting = true;
        world_decide(&w, second->uuid);
        assert_nodes(&w, second, "1");
        /* Not so memory that will never come. */
        first->locked = true;
        state_forget_guest(w.state, second->uuid);
        world_decide(&w, second->uuid);
        assert_nodes(&w, second, "0");
        world_done(&w);
}
END_TEST

START_TEST(guests_that_start_together_do_not_pile_up) {
        Guest *guests[4];
        World w;

        world_init(&w, FOUR_NODES, SHARED);
        for (size_t i = 0; i < 4; i++) {
                guests[i] = world_guest(&w, "guest", 4, 12 * GIB);
                guests[i]->starting = true;
        }
        world_decide(&w, NULL);
        for (size_t i = 0; i < 4; i++) {
                char node[16];

                (void)snprintf(node, sizeof(node), "%zu", i);
                assert_nodes(&w, guests[i], node);
        }
        world_done(&w);
}
END_TEST

START_TEST(large_guests_choose_before_small_ones) {
        World w;
        Guest *small, *large;

        world_init(&w, "numa:2 core:4 pu:1", SHARED OTHERS);
        small = world_guest(&w, "a-small", 1, 6 * GIB);
        large = world_guest(&w, "b-large", 4, 16 * GIB);
        small->starting = large->starting = true;
        world_decide(&w, NULL);
        ck_assert_uint_eq(idset_count(memo_nodes(state_find_guest(w.state, large->uuid))), 1);
        assert_nodes(&w, small, "1");
        world_done(&w);
}
END_TEST

START_TEST(nodes_without_cpus_get_no_vcpus) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        /* A memory expander: much memory, no CPUs. */
        w.snapshot->topology->nodes[1].cpus = IDSET_EMPTY;
        w.snapshot->topology->online = set_of("0-3,8-15");
        w.snapshot->host.nodes[1].free_bytes = 512 * GIB;
        g = world_guest(&w, "guest", 10, 100 * GIB);
        g->starting = true;
        world_decide(&w, NULL);
        assert_nodes(&w, g, "0,2-3");
        world_done(&w);
}
END_TEST

/* ---- constraints ---- */

static const struct {
        const char *name;
        NumatuneMode mode;
        bool automatic;
        const char *nodeset, *cell_nodeset, *want;
} constraint_rows[] = {
        { "strict", NUMATUNE_STRICT, false, "2", "", "2" },
        { "preferred", NUMATUNE_PREFERRED, false, "3", "", "3" },
        { "interleave over several", NUMATUNE_INTERLEAVE, false, "1-2", "", "1-2" },
        { "restrictive", NUMATUNE_RESTRICTIVE, false, "1", "", "1" },
        { "strict, chosen by libvirt's adviser", NUMATUNE_STRICT, true, "3", "", "3" },
        { "preferred, chosen by libvirt's adviser, does not bind", NUMATUNE_PREFERRED, true, "3", "", "0" },
        { "nodes that do not exist do not bind", NUMATUNE_STRICT, false, "9", "", "0" },
        { "a cell's own nodeset", NUMATUNE_NONE, false, "", "1", "1" },
};

START_TEST(vcpus_follow_numatune_and_cells) {
        GuestCell *cell = calloc(1, sizeof(*cell));
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 1);
        g->numatune_mode = constraint_rows[_i].mode;
        g->numatune_placement_auto = constraint_rows[_i].automatic;
        g->numatune_nodes = set_of(constraint_rows[_i].nodeset);
        *cell = (GuestCell){ .vcpus = set_of("0"), .nodeset = set_of(constraint_rows[_i].cell_nodeset) };
        g->cells = cell;
        g->n_cells = 1;
        world_decide(&w, NULL);
        assert_nodes(&w, g, constraint_rows[_i].want);
        world_done(&w);
}
END_TEST

START_TEST(a_new_numatune_nodeset_is_followed) {
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 1);
        g->numatune_mode = NUMATUNE_PREFERRED;
        g->numatune_nodes = set_of("2");
        world_settle(&w);
        g->numatune_nodes = set_of("3");
        world_decide(&w, NULL);
        assert_nodes(&w, g, "3");
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "12-15");
        world_done(&w);
}
END_TEST

START_TEST(each_cell_follows_its_own_nodes) {
        World w;
        Guest *g;

        g = world_init_one(&w, SHARED, 4);
        g->cells = calloc(2, sizeof(*g->cells));
        g->n_cells = 2;
        g->cells[0] = (GuestCell){ .vcpus = set_of("0-1"), .nodeset = set_of("3") };
        g->cells[1] = (GuestCell){ .id = 1, .vcpus = set_of("2-3"), .nodeset = set_of("1") };
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "12-15");
        assert_action(&w, g, ACTION_PIN_VCPU, 2, "4-7");
        assert_action(&w, g, ACTION_PIN_EMULATOR, 0, "4-7,12-15");
        world_done(&w);
}
END_TEST

START_TEST(reserved_isolated_and_offline_cpus_are_not_used) {
        World w;
        Guest *g;

        world_init(&w, "numa:2 core:4 pu:1", "host: { reserved_cpus = \"0,4\"; }; cpu: { policy = \"shared\"; };");
        w.snapshot->topology->isolated = set_of("5");
        idset_remove(&w.snapshot->topology->online, 6);
        idset_remove(&w.snapshot->topology->nodes[1].cpus, 6);
        g = world_guest(&w, "guest", 3, GIB);
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "1-3");
        world_done(&w);
        world_init(&w, "numa:2 core:4 pu:1", "host: { reserved_cpus = \"0-7\"; }; cpu: { policy = \"shared\"; };");
        g = world_guest(&w, "guest", 3, GIB);
        world_decide(&w, NULL);
        assert_quiet(&w);
        ck_assert(world_skips(&w, g, ACTION_PIN_VCPU, SKIP_NO_CAPACITY));
        world_done(&w);
}
END_TEST

START_TEST(numa_policy_none_pins_over_the_whole_host) {
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, "host: { reserved_cpus = \"0\"; }; cpu: { policy = \"shared\"; }; "
                                   "numa: { policy = \"none\"; };");
        g = world_guest(&w, "guest", 2, GIB);
        guest_memory(g, 2, GIB);
        guest_memory(g, 1, GIB);
        world_decide(&w, NULL);
        assert_action(&w, g, ACTION_PIN_VCPU, 0, "1-15");
        ck_assert_ptr_null(world_action(&w, g, ACTION_MOVE_MEMORY, 0));
        assert_settled(&w);
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement");
        TCase *tc = tcase_create("placement");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, a_guest_gets_the_smallest_set_that_leaves_the_host_best_off, 0,
                            (int)ELEMENTSOF(nodes_rows));
        tcase_add_test(tc, a_guest_larger_than_a_node_gets_near_nodes);
        tcase_add_test(tc, of_unequal_nodes_the_fewest_are_taken);
        tcase_add_test(tc, memory_on_its_way_to_a_node_takes_room_there);
        tcase_add_test(tc, a_new_numatune_nodeset_is_followed);
        tcase_add_test(tc, starting_guests_hold_the_memory_they_will_touch);
        tcase_add_test(tc, guests_that_start_together_do_not_pile_up);
        tcase_add_test(tc, large_guests_choose_before_small_ones);
        tcase_add_test(tc, nodes_without_cpus_get_no_vcpus);
        tcase_add_loop_test(tc, vcpus_follow_numatune_and_cells, 0, (int)ELEMENTSOF(constraint_rows));
        tcase_add_test(tc, each_cell_follows_its_own_nodes);
        tcase_add_test(tc, reserved_isolated_and_offline_cpus_are_not_used);
        tcase_add_test(tc, numa_policy_none_pins_over_the_whole_host);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
