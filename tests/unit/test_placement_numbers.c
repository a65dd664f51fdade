/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* That nodes and CPUs are numbered densely, and from 0, matters nowhere: random hosts under two numberings. */

#include "placement_util.h"

#define OVERFLOW SHARED "numa: { memory_only = \"overflow\"; }; "

static IdSet spread_ids(const IdSet *set, unsigned factor, unsigned offset) {
        IdSet result = IDSET_EMPTY;

        IDSET_FOREACH(id, set)
                ck_assert_int_eq(idset_add(&result, (unsigned)id * factor + offset), 0);
        return result;
}

/* The same random host and guests; with other numbers of nodes and CPUs, in the same order. */
static void random_world(World *w, uint64_t seed, unsigned factor, unsigned offset) {
        static const char *const vcpus[] = { "0", "1-2", "3" };
        static const uint64_t gib[] = { 1, 2, 1 };
        Topology *t;

        world_init(w, "numa:5 core:3 pu:2", OVERFLOW);
        t = w->snapshot->topology;
        for (size_t i = 0; i < t->n_nodes; i++) {
                uint64_t r = next_random(&seed);

                w->snapshot->host.nodes[i].free_bytes = r % 5 == 0 ? GIB : r % 17 * GIB;
                if (r % 7 == 1)
                        take_memory(w, i);
                if (i > 0 && r % 11 < 3)
                        take_cpus(w, i);
                for (size_t j = 0; j < i; j++)
                        t->distances[i * t->n_nodes + j] = t->distances[j * t->n_nodes + i] =
                                (uint16_t)(11 + next_random(&seed) % 30);
                t->nodes[i].id = w->snapshot->host.nodes[i].id = (unsigned)i * factor + offset;
                t->nodes[i].cpus = spread_ids(&t->nodes[i].cpus, factor, offset);
        }
        t->online = spread_ids(&t->online, factor, offset);
        for (size_t i = 0; i < t->n_cpus; i++)
                t->cpus[i].id = t->cpus[i].id * factor + offset;
        for (size_t i = 0; i < 6; i++) {
                Guest *g = world_guest(w, "guest", 1 + next_random(&seed) % 7, (1 + next_random(&seed) % 20) * GIB);
                uint64_t r = next_random(&seed);

                g->starting = r % 2 == 0;
                if (!g->starting)
                        guest_memory(g, (unsigned)(r / 2 % 5) * factor + offset, GIB * (r % 3));
                if (r % 5 == 0)
                        g->vfio_nodes = idset_of((unsigned)(r / 8 % 5) * factor + offset);
                if (r % 5 == 1 && g->n_vcpus >= 4)
                        add_cells(g, 3, vcpus, gib);
        }
}

START_TEST(numbers_of_nodes_and_cpus_do_not_matter) {
        for (uint64_t n = 0; n < 40; n++) {
                uint64_t seed = 0x9e3779b97f4a7c15U * (uint64_t)(_i * 40 + (int)n + 1);
                World dense, sparse;

                random_world(&dense, seed, 1, 0);
                random_world(&sparse, seed, 7, 5);
                world_decide(&dense, NULL);
                world_decide(&sparse, NULL);
                for (size_t i = 0; i < dense.snapshot->n_guests; i++) {
                        const GuestMemo *a = state_find_guest(dense.state, dense.snapshot->guests[i]->uuid);
                        const GuestMemo *b = state_find_guest(sparse.state, sparse.snapshot->guests[i]->uuid);
                        IdSet nodes = spread_ids(memo_nodes(a), 7, 5), extra = spread_ids(memo_memory_only(a), 7, 5);

                        ck_assert_msg(idset_equal(&nodes, memo_nodes(b)), "seed %d, guest %zu: nodes", _i * 40 + (int)n, i);
                        ck_assert_msg(idset_equal(&extra, memo_memory_only(b)), "seed %d: memory", _i * 40 + (int)n);
                        ck_assert_uint_eq(a->n_cells, b->n_cells);
                        for (size_t c = 0; c < a->n_cells; c++)
                                ck_assert_uint_eq(a->cell_nodes[c] * 7U + 5, b->cell_nodes[c]);
                        ck_assert(!idset_is_empty(memo_nodes(a)));
                }
                ck_assert_uint_eq(dense.plan->n_actions, sparse.plan->n_actions);
                world_done(&dense);
                world_done(&sparse);
        }
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_numbers");
        TCase *tc = tcase_create("placement_numbers");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, numbers_of_nodes_and_cpus_do_not_matter, 0, 10);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
