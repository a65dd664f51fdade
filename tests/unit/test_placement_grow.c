/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The sets of nodes that come into question where memory or CPUs are short and they grow large: what is not grown to
 * its end, because it cannot be the best or was met before, would not have been chosen. With an explanation all are.
 */

#include "instances.h"
#include "placement_util.h"

#define SCENARIOS 1200U
#define CHUNKS 12U

static const char *const hosts[] = {
        "numa:16 core:4 pu:1", "pack:4 numa:4 core:3 pu:1", "numa:9 core:2 pu:2", "pack:2 numa:4 core:5 pu:1",
        "numa:5 core:3 pu:1", "pack:2 group:2 numa:2 core:2 pu:2",
};

static const char policy[] = NO_RESERVE "cpu: { policy = \"shared\"; }; "
        "guests = ( { match = { name = \"pinned-*\"; }; cpu = { policy = \"pinned\"; overcommit = \"150 %\"; }; }, "
        "           { match = { name = \"dedicated-*\"; }; cpu = { policy = \"dedicated\"; }; } );";

static void random_distances(Topology *t, uint64_t *seed) {
        bool symmetric = pick(seed, 4) != 0;

        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t j = 0; j < t->n_nodes; j++)
                        if (i != j)
                                t->distances[i * t->n_nodes + j] = symmetric && j < i ? t->distances[j * t->n_nodes + i]
                                        : (uint16_t)(12 + pick(seed, 3) * 8);
}

static void random_guest(World *w, uint64_t *seed) {
        static const char *const names[] = { "shared-1", "shared-2", "pinned-1", "dedicated-1" };
        const Topology *t = w->snapshot->topology;
        uint64_t bytes = (1 + pick(seed, 40)) * GIB;
        Guest *g = world_guest(w, names[pick(seed, ELEMENTSOF(names))], 1 + pick(seed, (unsigned)t->n_cpus), bytes);
        unsigned parts = pick(seed, 3) * (unsigned)t->n_nodes / 2;

        g->starting = parts == 0;
        g->rss_bytes = parts > 0 ? bytes : 0;
        for (unsigned i = 0; i < parts; i++)
                guest_memory(g, t->nodes[(i + g->n_vcpus) % t->n_nodes].id, bytes / parts);
}

static void random_world(World *w, uint64_t *seed) {
        unsigned n, most = 1 + pick(seed, 16);

        world_init(w, hosts[pick(seed, ELEMENTSOF(hosts))], policy);
        if (pick(seed, 2) == 0)
                random_distances(w->snapshot->topology, seed);
        for (size_t i = 0; i < w->snapshot->host.n_nodes; i++)
                w->snapshot->host.nodes[i].free_bytes = pick(seed, most + 1) * GIB;
        n = 1 + pick(seed, 5);
        for (unsigned i = 0; i < n; i++)
                random_guest(w, seed);
}

static Plan *decide(const World *w, bool explain) {
        PolicyInput in = { .config = w->config, .snapshot = w->snapshot, .explain = explain };
        State *state;
        Plan *plan = NULL;

        ck_assert_int_eq(state_new(&state), 0);
        ck_assert_int_eq(policy_decide(&in, state, &plan), 0);
        state_free(state);
        return plan;
}

START_TEST(what_is_not_grown_to_its_end_would_not_have_been_chosen) {
        for (unsigned i = (unsigned)_i; i < SCENARIOS; i += CHUNKS * ONE_INSTANCE_OF) {
                uint64_t seed = i;
                Plan *some, *all;
                World w;

                random_world(&w, &seed);
                some = decide(&w, false);
                all = decide(&w, true);
                ck_assert_msg(some->n_actions == all->n_actions, "seed %u", i);
                for (size_t k = 0; k < some->n_actions; k++) {
                        const Action *a = &some->actions[k], *b = &all->actions[k];

                        ck_assert_msg(a->kind == b->kind && streq(a->uuid, b->uuid) && a->index == b->index &&
                                      streq(a->new_value, b->new_value) && streq(a->reason, b->reason),
                                      "seed %u: %s, not %s: %s, not %s", i, a->new_value, b->new_value, a->reason,
                                      b->reason);
                }
                plan_free(some);
                plan_free(all);
                world_done(&w);
        }
}
END_TEST

int main(void) {
        Suite *s = suite_create("placement_grow");
        TCase *tc = tcase_create("grow");
        SRunner *sr;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, what_is_not_grown_to_its_end_would_not_have_been_chosen, 0, (int)CHUNKS);
        suite_add_tcase(s, tc);
        sr = srunner_create(s);
        srunner_run_all(sr, CK_NORMAL);
        failed = srunner_ntests_failed(sr);
        srunner_free(sr);
        return failed > 0;
}
