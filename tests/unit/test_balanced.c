/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * On each of the captured machines: with every controller on auto, a host on
 * which nothing is wrong gets its pins, once, and nothing else; and on one with
 * an overloaded node no move makes that of another one.
 */

#include "balanced_util.h"
#include "instances.h"

#define AUTO "balloon: { mode = \"auto\"; }; ksm: { mode = \"auto\"; merge_across_nodes = \"auto\"; }; " \
             "vcpus: { mode = \"auto\"; }; hugepages: { mode = \"auto\"; }; kernel: { numa_balancing = \"auto\"; }; " \
             "thp: { enabled = \"madvise\"; defrag = \"madvise\"; }; "

static const char *const policies[] = {
        "policy = \"none\";",
        "policy = \"shared\";",
        "policy = \"pinned\";",
        "policy = \"dedicated\";",
        "policy = \"dedicated\"; threads = \"isolate\";",
        "policy = \"dedicated\"; threads = \"require\"; emulator = \"isolate\"; iothreads = \"isolate\";",
};
#define N_POLICIES ((int)ELEMENTSOF(policies))
#define POLICY_NONE 0

/* ---- nothing is wrong ---- */

static void only_pins(const World *w) {
        for (size_t i = 0; i < w->plan->n_actions; i++)
                ck_assert_msg(is_pin(&w->plan->actions[i]), "%s: %s",
                              action_kind_to_string(w->plan->actions[i].kind), w->plan->actions[i].reason);
}

START_TEST(a_balanced_host_is_left_alone_by_every_controller) {
        int i = _i * ONE_INSTANCE_OF;
        char text[1200];
        World w;

        (void)snprintf(text, sizeof(text), "cpu: { %s }; " AUTO, policies[i % N_POLICIES]);
        world_init_machine(&w, i / N_POLICIES, text);
        set_host(&w);
        fill(&w);
        world_decide(&w, NULL);
        only_pins(&w);
        if (i % N_POLICIES == POLICY_NONE)
                assert_quiet(&w);
        world_apply(&w);
        /* At once, and for a day. */
        for (unsigned cycle = 0; cycle < 8; cycle++) {
                world_decide(&w, NULL);
                assert_quiet(&w);
                w.snapshot->now_usec += cycle < 4 ? w.snapshot->interval_usec : 6 * USEC_PER_HOUR;
        }
        world_done(&w);
}
END_TEST

/* ---- a node is overloaded ---- */

static const char *const sharing[] = { "policy = \"shared\";", "policy = \"pinned\";" };

static void place(World *w, size_t node, unsigned vcpus, unsigned level) {
        const TopologyNode *n = &w->snapshot->topology->nodes[node];
        Guest *g = world_guest(w, "guest", vcpus, GIB);
        GuestMemo *m;

        guest_memory(g, n->id, GIB);
        guest_load(g, level, 0);
        ck_assert_int_eq(state_guest(w->state, g->uuid, &m), 0);
        world_place(w, m, idset_of(n->id));
        m->placed_usec = 1;
        m->pins_seen = true;
}

/* The first node has half as much to do again as it has CPUs, the others have little. Returns whether they can help. */
static bool overload(World *w) {
        unsigned vcpus = 0;
        bool helps = false;

        for (size_t i = 0; i < w->snapshot->topology->n_nodes; i++) {
                unsigned n = usable_cpus(w, i);
                bool hot = vcpus == 0;

                if (n == 0)
                        continue;
                if (hot)
                        vcpus = MAX(n / 4, 1U);
                helps = helps || (!hot && n >= vcpus);
                for (unsigned k = 0; k < (hot ? 6 : 1); k++)
                        place(w, i, MAX(n / 4, 1U), hot ? 9500 : 2000);
        }
        return helps;
}

/* What is wanted of each node, in permyriad of its CPUs. */
static void node_loads(const World *w, uint64_t *loads) {
        const Topology *t = w->snapshot->topology;

        for (size_t n = 0; n < t->n_nodes; n++) {
                loads[n] = 0;
                for (size_t i = 0; i < w->snapshot->n_guests; i++) {
                        const Guest *g = w->snapshot->guests[i];

                        if (idset_contains(memo_nodes(state_find_guest(w->state, g->uuid)), t->nodes[n].id))
                                loads[n] += (g->vcpus[0].busy_permyriad + g->vcpus[0].wait_permyriad) * g->n_vcpus;
                }
                loads[n] /= MAX(usable_cpus(w, n), 1U);
        }
}

/* Every node gives its CPUs in equal shares to the guests that are placed there. */
static void share_cpus(World *w, const uint64_t *loads) {
        const Topology *t = w->snapshot->topology;

        for (size_t i = 0; i < w->snapshot->n_guests; i++) {
                Guest *g = w->snapshot->guests[i];
                uint32_t level = g->vcpus[0].busy_permyriad + g->vcpus[0].wait_permyriad, busy = level;

                for (size_t n = 0; n < t->n_nodes; n++)
                        if (loads[n] > PERMYRIAD_FULL &&
                            idset_contains(memo_nodes(state_find_guest(w->state, g->uuid)), t->nodes[n].id))
                                busy = (uint32_t)((uint64_t)level * PERMYRIAD_FULL / loads[n]);
                guest_load(g, busy, level - busy);
        }
}

/* A node that got something is not more loaded than the one that gave it, nor is the largest load larger. */
static void assert_not_reversed(size_t n_nodes, const uint64_t *before, const uint64_t *after) {
        uint64_t low = UINT64_MAX, high = 0, top_before = 0, top_after = 0;

        for (size_t n = 0; n < n_nodes; n++) {
                if (before[n] > after[n])
                        low = MIN(low, after[n]);
                if (before[n] < after[n])
                        high = MAX(high, after[n]);
                top_before = MAX(top_before, before[n]);
                top_after = MAX(top_after, after[n]);
        }
        ck_assert_msg(high <= low, "reversed: %llu after %llu", (unsigned long long)high, (unsigned long long)low);
        ck_assert_uint_le(top_after, top_before);
}

static bool memory_waits(const World *w) {
        for (size_t i = 0; i < w->state->n_guests; i++)
                if (w->state->guests[i].move_waits)
                        return true;
        return false;
}

/* Returns whether a guest got another place. */
static bool step(World *w) {
        size_t n = w->snapshot->topology->n_nodes;
        _cleanup_free_ uint64_t *before = calloc(n, sizeof(*before)), *after = calloc(n, sizeof(*after));

        ck_assert(before && after);
        node_loads(w, before);
        share_cpus(w, before);
        world_decide(w, NULL);
        node_loads(w, after);
        assert_not_reversed(n, before, after);
        world_apply(w);
        w->snapshot->now_usec += w->snapshot->interval_usec;
        return memcmp(before, after, n * sizeof(*before)) != 0;
}

START_TEST(an_overloaded_node_is_relieved_and_no_other_one_is_overloaded_for_it) {
        int i = _i * ONE_INSTANCE_OF;
        size_t moves = 0;
        char text[200];
        bool helps;
        World w;

        (void)snprintf(text, sizeof(text), NO_RESERVE "cpu: { %s };", sharing[i % 2]);
        world_init_machine(&w, i / 2, text);
        w.snapshot->interval_usec = USEC_PER_MINUTE;
        helps = overload(&w);
        for (unsigned cycle = 0; cycle < 180; cycle++)
                moves += step(&w);
        ck_assert_uint_le(moves, w.snapshot->n_guests);
        ck_assert_int_eq(moves > 0, helps);
        ck_assert(!memory_waits(&w));
        world_decide(&w, NULL);
        assert_quiet(&w);
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("balanced");
        TCase *tc = tcase_create("balanced");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, a_balanced_host_is_left_alone_by_every_controller, 0,
                            N_POLICIES * N_MACHINES / ONE_INSTANCE_OF);
        tcase_add_loop_test(tc, an_overloaded_node_is_relieved_and_no_other_one_is_overloaded_for_it, 0,
                            2 * N_MACHINES / ONE_INSTANCE_OF);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
