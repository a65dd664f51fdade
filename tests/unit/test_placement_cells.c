/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Guests with NUMA cells: a node for each. */

#include "placement_util.h"

typedef struct CellsRow {
        const char *name, *host;
        size_t n;
        const char *vcpus[5];
        uint64_t gib[5];
        size_t n_vcpus;
        const char *want;
        unsigned map[5];
        bool whole;                     /* no map */
} CellsRow;

static const CellsRow cells_rows[] = {
        { "a node for each, in order", FOUR_NODES, 2, { "0-1", "2-3" }, { 2, 2 }, 4, "0-1", { 0, 1 }, false },
        { "although one would hold both", "numa:2 core:8 pu:1", 2, { "0", "1" }, { 1, 1 }, 2, "0-1", { 0, 1 }, false },
        { "four on four", FOUR_NODES, 4, { "0", "1", "2", "3" }, { 2, 2, 2, 2 }, 4, "0-3", { 0, 1, 2, 3 }, false },
        { "more cells than nodes share evenly", "numa:2 core:4 pu:1", 4, { "0", "1", "2", "3" }, { 1, 1, 1, 1 }, 4,
          "0-1", { 0, 0, 1, 1 }, false },
        { "five on two", "numa:2 core:4 pu:1", 5, { "0", "1", "2", "3", "4" }, { 1, 1, 1, 1, 1 }, 5, "0-1",
          { 0, 0, 0, 1, 1 }, false },
        { "memory decides where the large one goes", FOUR_NODES, 2, { "0-1", "2-3" }, { 2, 12 }, 4, "0-1", { 1, 0 },
          false },
        { "a cell larger than a node: as a whole", FOUR_NODES, 2, { "0-4", "5" }, { 1, 1 }, 6, "0-1", { 0 }, true },
        { "one cell is no map", FOUR_NODES, 1, { "0-1" }, { 1 }, 2, "0", { 0 }, true },
        { "one node is no map", "numa:1 core:4 pu:1", 2, { "0", "1" }, { 1, 1 }, 2, "0", { 0 }, true },
};

START_TEST(each_cell_gets_a_node) {
        const CellsRow *row = &cells_rows[_i];
        const GuestMemo *m;
        uint64_t placed;
        World w;
        Guest *g;

        world_init(&w, row->host, SHARED);
        g = starting_guest(&w, row->n_vcpus, 16 * GIB);
        add_cells(g, row->n, row->vcpus, row->gib);
        world_decide(&w, NULL);
        assert_nodes(&w, g, row->want);
        m = state_find_guest(w.state, g->uuid);
        ck_assert_uint_eq(m->n_cells, row->whole ? 0 : row->n);
        for (size_t i = 0; i < m->n_cells; i++)
                ck_assert_msg(m->cell_nodes[i] == row->map[i], "%s: cell %zu on %u", row->name, i, m->cell_nodes[i]);
        /* Each vCPU on the CPUs of its cell's node. */
        for (size_t i = 0; i < m->n_cells; i++)
                IDSET_FOREACH(vcpu, &g->cells[i].vcpus) {
                        const Action *a = world_action(&w, g, ACTION_PIN_VCPU, (unsigned)vcpu);
                        IdSet got;

                        ck_assert_ptr_nonnull(a);
                        got = set_of(a->new_value);
                        ck_assert(idset_equal(&got, &w.snapshot->topology->nodes[row->map[i]].cpus));
                }
        placed = m->placed_usec;
        world_apply(&w);
        w.snapshot->now_usec += USEC_PER_MINUTE;
        world_decide(&w, NULL);
        assert_quiet(&w);
        ck_assert_uint_eq(state_find_guest(w.state, g->uuid)->placed_usec, placed);
        world_done(&w);
}
END_TEST

START_TEST(the_map_of_cells_survives_a_restart) {
        static const char *const vcpus[] = { "0-1", "2-3" };
        static const uint64_t gib[] = { 2, 2 };
        _cleanup_free_ char *text = NULL, *again = NULL, *error = NULL;
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        renumber(&w, sparse_ids);
        g = world_guest(&w, "guest", 4, 4 * GIB);
        add_cells(g, 2, vcpus, gib);
        world_settle(&w);
        ck_assert_int_eq(state_format(w.state, &text), 0);
        ck_assert_msg(strstr(text, " cells=2,33"), "%s", text);
        w.state = state_free(w.state);
        ck_assert_int_eq(state_parse(text, &w.state, &error), 0);
        ck_assert_int_eq(state_format(w.state, &again), 0);
        ck_assert_str_eq(text, again);
        world_decide(&w, NULL);
        assert_quiet(&w);
        world_done(&w);
}
END_TEST

START_TEST(cells_go_elsewhere_when_their_node_loses_its_cpus) {
        static const char *const vcpus[] = { "0-1", "2-3" };
        static const uint64_t gib[] = { 2, 2 };
        const GuestMemo *m;
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        g = world_guest(&w, "guest", 4, 4 * GIB);
        add_cells(g, 2, vcpus, gib);
        world_settle(&w);
        /* One CPU is left of node 1, too few for a cell. */
        w.snapshot->topology->online = set_of("0-4,8-15");
        w.snapshot->topology->nodes[1].cpus = set_of("4");
        world_decide(&w, NULL);
        m = state_find_guest(w.state, g->uuid);
        ck_assert_uint_eq(m->n_cells, 2);
        ck_assert_uint_eq(m->cell_nodes[0], 0);
        ck_assert_uint_eq(m->cell_nodes[1], 2);
        world_done(&w);
}
END_TEST

START_TEST(cells_of_the_users_stay_the_users) {
        static const char *const vcpus[] = { "0-1", "2-3" };
        static const uint64_t gib[] = { 2, 2 };
        World w;
        Guest *g;

        world_init(&w, FOUR_NODES, SHARED);
        g = world_guest(&w, "guest", 4, 4 * GIB);
        add_cells(g, 2, vcpus, gib);
        g->cells[0].nodeset = set_of("3");
        g->cells[1].nodeset = set_of("1");
        world_decide(&w, NULL);
        assert_nodes(&w, g, "1,3");
        ck_assert_uint_eq(state_find_guest(w.state, g->uuid)->n_cells, 0);
        ck_assert(strstr(reason_of(&w, g), "its guest NUMA cells are bound there"));
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_cells");
        TCase *tc = tcase_create("placement_cells");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, each_cell_gets_a_node, 0, (int)ELEMENTSOF(cells_rows));
        tcase_add_test(tc, the_map_of_cells_survives_a_restart);
        tcase_add_test(tc, cells_go_elsewhere_when_their_node_loses_its_cpus);
        tcase_add_test(tc, cells_of_the_users_stay_the_users);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
