/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A balanced host is left alone: on every machine of the fixtures (sparse node
 * numbers, nodes without CPUs, offline CPUs, unequal nodes), for every policy.
 */

#include "instances.h"
#include "placement_util.h"

/* What stands in the group cpu. */
static const char *const policies[] = {
        "policy = \"none\";",
        "policy = \"shared\";",
        "policy = \"pinned\";",
        "policy = \"dedicated\";",
        "policy = \"dedicated\"; threads = \"isolate\";",
        "policy = \"dedicated\"; threads = \"require\"; emulator = \"isolate\";",
};
#define N_POLICIES ((int)ELEMENTSOF(policies))
#define N_INSTANCES (N_POLICIES * N_MACHINES / ONE_INSTANCE_OF)

/* Each policy on each machine. */
static int instance(int i) {
        return i * ONE_INSTANCE_OF;
}
#define POLICY_NONE 0
/* From here on, a guest that has what it needs already may be pinned to single CPUs. */
#define POLICY_PINNED 2
#define POLICY_ISOLATE 4
#define POLICY_REQUIRE 5

static void world_on_machine(World *w, int machine, const char *policy) {
        char text[200];

        (void)snprintf(text, sizeof(text), "host: { reserved_memory = \"0\"; }; cpu: { %s };", policy);
        world_init_machine(w, machine, text);
}

static unsigned cpus_of_core(const Topology *t, const IdSet *cpus, unsigned core) {
        unsigned n = 0;

        for (size_t i = 0; i < t->n_cpus; i++)
                n += t->cpus[i].core == core && idset_contains(cpus, t->cpus[i].id);
        return n;
}

/* The vCPUs that @cpus have room for: all CPUs, one a core, or those on cores with siblings less one for the emulator. */
static unsigned room_for(const Topology *t, const IdSet *cpus, int policy) {
        unsigned siblings = 0;
        IdSet cores = IDSET_EMPTY;

        IDSET_FOREACH(cpu, cpus) {
                unsigned core = topology_cpu(t, (unsigned)cpu)->core;

                (void)idset_add(&cores, core);
                siblings += cpus_of_core(t, cpus, core) > 1;
        }
        if (policy == POLICY_ISOLATE)
                return idset_count(&cores);
        if (policy == POLICY_REQUIRE && siblings > 0)
                return siblings - 1;
        return idset_count(cpus);
}

/* For each node with CPUs a guest with as many vCPUs as it has room for, all of them busy, and its memory there. */
static void fill(World *w, int policy) {
        const Topology *t = w->snapshot->topology;

        for (size_t i = 0; i < t->n_nodes; i++) {
                IdSet cpus = idset_minus(&t->nodes[i].cpus, &t->isolated);
                Guest *g;

                if (idset_is_empty(&cpus))
                        continue;
                g = world_guest(w, "guest", room_for(t, &cpus, policy), 4 * GIB);
                guest_memory(g, t->nodes[i].id, 4 * GIB);
                guest_load(g, 9000, 1000);
        }
}

static void assert_stays_quiet(World *w) {
        for (unsigned cycle = 0; cycle < 4; cycle++) {
                w->snapshot->now_usec += (cycle + 1) * USEC_PER_HOUR;
                world_decide(w, NULL);
                assert_quiet(w);
                ck_assert_uint_eq(w->plan->n_wanted_stats, 0);
        }
}

START_TEST(a_placed_host_stays_as_it_is) {
        World w;

        world_on_machine(&w, instance(_i) / N_POLICIES, policies[instance(_i) % N_POLICIES]);
        fill(&w, instance(_i) % N_POLICIES);
        world_decide(&w, NULL);
        for (size_t i = 0; i < w.plan->n_actions; i++)
                ck_assert_int_ne(w.plan->actions[i].kind, ACTION_MOVE_MEMORY);
        if (instance(_i) % N_POLICIES == POLICY_NONE)
                assert_quiet(&w);
        world_apply(&w);
        assert_stays_quiet(&w);
        /* On a machine without siblings, a guest that requires them is told so each time. */
        if (instance(_i) % N_POLICIES != POLICY_REQUIRE)
                ck_assert_uint_eq(w.plan->n_skips, 0);
        world_done(&w);
}
END_TEST

START_TEST(an_administrators_own_pinning_stays_as_it_is) {
        World w;

        world_on_machine(&w, instance(_i) / N_POLICIES, policies[instance(_i) % N_POLICIES]);
        fill(&w, instance(_i) % N_POLICIES);
        for (size_t i = 0; i < w.snapshot->n_guests; i++) {
                Guest *g = w.snapshot->guests[i];
                char cpu[16];

                (void)snprintf(cpu, sizeof(cpu), "%d", idset_next(&w.snapshot->topology->online, 0));
                if (w.snapshot->topology->n_cpus > 1)
                        thread_pin(&w, &g->vcpus[g->n_vcpus - 1], cpu);
        }
        assert_stays_quiet(&w);
        world_done(&w);
}
END_TEST

START_TEST(a_guest_as_large_as_the_machine_stays_as_it_is) {
        const Topology *t;
        World w;
        Guest *g;

        world_on_machine(&w, instance(_i) / N_POLICIES, policies[instance(_i) % N_POLICIES]);
        t = w.snapshot->topology;
        g = world_guest(&w, "guest", t->n_cpus, 8 * GIB);
        for (size_t i = 0; i < t->n_nodes; i++)
                if (!idset_is_empty(&t->nodes[i].cpus))
                        guest_memory(g, t->nodes[i].id, GIB);
        guest_load(g, 9000, 1000);
        world_decide(&w, NULL);
        /* The whole machine already: nothing to do but, if asked, one CPU a vCPU. */
        if (instance(_i) % N_POLICIES < POLICY_PINNED)
                assert_quiet(&w);
        world_apply(&w);
        assert_stays_quiet(&w);
        world_done(&w);
}
END_TEST

START_TEST(vcpus_stay_on_usable_cpus_of_nodes_that_have_some) {
        const Topology *t;
        IdSet usable;
        World w;
        Guest *g;

        world_on_machine(&w, instance(_i) / N_POLICIES, policies[instance(_i) % N_POLICIES]);
        t = w.snapshot->topology;
        usable = idset_minus(&t->online, &t->isolated);
        g = world_guest(&w, "guest", MAX(t->n_cpus / 3, (size_t)1), 100 * GIB);
        g->starting = true;
        world_decide(&w, g->uuid);
        for (size_t i = 0; i < w.plan->n_actions; i++) {
                IdSet set = set_of(w.plan->actions[i].new_value);

                ck_assert(!idset_is_empty(&set) && idset_is_subset(&set, &usable));
        }
        for (size_t i = 0; i < t->n_nodes; i++)
                if (idset_is_empty(&t->nodes[i].cpus))
                        ck_assert(!idset_contains(memo_nodes(state_find_guest(w.state, g->uuid)), t->nodes[i].id));
        assert_settled(&w);
        world_done(&w);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_topologies");
        TCase *tc = tcase_create("placement_topologies");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, a_placed_host_stays_as_it_is, 0, N_INSTANCES);
        tcase_add_loop_test(tc, an_administrators_own_pinning_stays_as_it_is, 0, N_INSTANCES);
        tcase_add_loop_test(tc, a_guest_as_large_as_the_machine_stays_as_it_is, 0, N_INSTANCES);
        tcase_add_loop_test(tc, vcpus_stay_on_usable_cpus_of_nodes_that_have_some, 0, N_INSTANCES);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
