/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What must hold on any host: random hosts and guests, with printed seeds.
 */

#include "instances.h"
#include "placement_util.h"

/* ---- invariants over random hosts ---- */

#define RANDOM_SCENARIOS 2400U
#define RANDOM_CHUNKS 24U

static const char *const random_hosts[] = {
        "numa:1 core:4 pu:2", "numa:2 core:4 pu:1", "numa:4 core:2 pu:2", "pack:2 numa:2 core:3 pu:2",
        "numa:8 core:2 pu:1", "numa:3 core:1 pu:1", "numa:16 core:1 pu:2",
};

static const char random_policy[] =
        "cpu: { policy = \"shared\"; }; "
        "guests = ( { match = { name = \"p-*\"; }; cpu = { policy = \"pinned\"; }; }, "
        "           { match = { name = \"n-*\"; }; cpu = { policy = \"none\"; }; }, "
        "           { match = { name = \"a-*\"; }; numa = { policy = \"none\"; }; }, "
        "           { match = { name = \"e-*\"; }; cpu = { policy = \"pinned\"; emulator = \"none\"; }; }, "
        "           { match = { name = \"d-*\"; }; cpu = { policy = \"dedicated\"; }; }, "
        "           { match = { name = \"i-*\"; }; cpu = { policy = \"dedicated\"; threads = \"isolate\"; "
        "                                                  emulator = \"isolate\"; iothreads = \"isolate\"; }; }, "
        "           { match = { name = \"r-*\"; }; cpu = { policy = \"dedicated\"; threads = \"require\"; }; }, "
        "           { match = { name = \"f-*\"; }; cpu = { policy = \"dedicated\"; }; numa = { policy = \"none\"; }; } );";

static void random_topology(World *w, uint64_t *seed) {
        Topology *t = w->snapshot->topology;

        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t j = 0; j < i; j++)
                        t->distances[i * t->n_nodes + j] = t->distances[j * t->n_nodes + i] =
                                (uint16_t)(12 + pick(seed, 3) * 8);
        for (size_t i = 0; i < t->n_cpus && idset_count(&t->online) > 2; i++) {
                if (pick(seed, 10) == 0) {
                        idset_remove(&t->online, t->cpus[i].id);
                        idset_remove(&t->nodes[t->cpus[i].node].cpus, t->cpus[i].id);
                } else if (pick(seed, 12) == 0)
                        (void)idset_add(&t->isolated, t->cpus[i].id);
        }
        for (size_t i = 0; i < w->snapshot->host.n_nodes; i++)
                w->snapshot->host.nodes[i].free_bytes = pick(seed, 17) * GIB;
}

static void random_guest(World *w, uint64_t *seed) {
        static const char *const names[] = { "s-1", "s-2", "p-1", "n-1", "a-1", "e-1", "d-1", "d-2", "i-1", "r-1", "f-1" };
        const Topology *t = w->snapshot->topology;
        Guest *g = world_guest(w, names[pick(seed, ELEMENTSOF(names))], 1 + pick(seed, 6),
                               (1 + pick(seed, 8)) * 512 * MIB);

        ck_assert_int_eq(guest_set_iothreads(g, pick(seed, 3)), 0);
        for (size_t i = 0; i < g->n_iothreads; i++)
                g->iothreads[i].affinity = g->emulator.affinity;
        g->starting = pick(seed, 4) == 0;
        g->migrating = pick(seed, 20) == 0;
        g->locked = pick(seed, 20) == 0;
        if (pick(seed, 8) == 0)
                g->state = GUEST_PAUSED;
        if (pick(seed, 6) == 0)
                g->vcpus[0].online = false;
        for (size_t i = 0; i < t->n_nodes; i++)
                if (pick(seed, 3) == 0)
                        guest_memory(g, t->nodes[i].id, pick(seed, 5) * 256 * MIB);
        if (pick(seed, 8) == 0) {
                g->numatune_mode = (NumatuneMode)(1 + pick(seed, 4));
                g->numatune_nodes = idset_of(t->nodes[pick(seed, (unsigned)t->n_nodes)].id);
        }
        if (pick(seed, 6) == 0) {
                char cpu[16];

                (void)snprintf(cpu, sizeof(cpu), "%d", idset_next(&t->online, 0));
                thread_pin(w, &g->vcpus[g->n_vcpus - 1], cpu);
        }
        guest_load(g, pick(seed, 60) * 100, pick(seed, 40) * 100);
}

static bool user_pinned(const Guest *g) {
        return g->title && streq(g->title, "user");
}

static void check_move(const World *w, const Action *a, uint64_t seed) {
        Guest *g = snapshot_find_guest(w->snapshot, a->uuid);
        IdSet to = set_of(a->new_value);
        uint64_t room = 0, remote = 0;

        for (size_t i = 0; i < w->snapshot->host.n_nodes; i++)
                if (idset_contains(&to, w->snapshot->host.nodes[i].id))
                        room += w->snapshot->host.nodes[i].free_bytes;
        for (size_t i = 0; i < g->n_node_memory; i++)
                if (!idset_contains(&to, g->node_memory[i].node))
                        remote += g->node_memory[i].bytes;
        ck_assert_msg(remote <= room, "seed %llu: %s moves where there is no room", (unsigned long long)seed,
                      g->name);
        ck_assert_msg(!g->locked && !g->migrating && g->numatune_mode != NUMATUNE_STRICT,
                      "seed %llu: %s must not move", (unsigned long long)seed, g->name);
}

static bool gives_back(const World *w, const Action *a) {
        const Owned *owned = state_find_owned(w->state, a->kind, a->uuid, a->index);

        return owned && streq(owned->original, a->new_value);
}

static void check_plan(const World *w, const IdSet *reserved, uint64_t seed) {
        const Topology *t = w->snapshot->topology;
        IdSet usable = idset_minus(&t->online, &t->isolated);
        size_t moves = 0;

        usable = idset_minus(&usable, reserved);
        for (size_t i = 0; i < w->plan->n_actions; i++) {
                const Action *a = &w->plan->actions[i];
                const Guest *g = snapshot_find_guest(w->snapshot, a->uuid);
                IdSet set = set_of(a->new_value);

                ck_assert_msg(!idset_is_empty(&set), "seed %llu: empty set", (unsigned long long)seed);
                ck_assert_msg(!user_pinned(g) && g->name[0] != 'n', "seed %llu: %s is not ours",
                              (unsigned long long)seed, g->name);
                ck_assert_msg(!g->migrating, "seed %llu: %s migrates", (unsigned long long)seed, g->name);
                ck_assert_ptr_nonnull(a->reason);
                if (a->kind == ACTION_MOVE_MEMORY) {
                        check_move(w, a, seed);
                        moves++;
                } else if (a->kind != ACTION_SET_NODESET && !gives_back(w, a))
                        ck_assert_msg(idset_is_subset(&set, &usable), "seed %llu: %s to %s", (unsigned long long)seed,
                                      g->name, a->new_value);
        }
        ck_assert_msg(moves <= 1, "seed %llu: %zu memory moves", (unsigned long long)seed, moves);
}

static const TopologyCpu *cpu_of(const World *w, unsigned id) {
        return topology_cpu(w->snapshot->topology, id);
}

/* The CPUs that only @g may use: its own, and their siblings where those are to be idle. */
static IdSet closed_cpus(const World *w, const Guest *g) {
        const Topology *t = w->snapshot->topology;
        IdSet closed = *memo_cpus(state_find_guest(w->state, g->uuid)), own = closed;

        if (g->name[0] == 'i')
                IDSET_FOREACH(cpu, &own)
                        for (size_t i = 0; i < t->n_cpus; i++)
                                if (t->cpus[i].core == cpu_of(w, (unsigned)cpu)->core)
                                        (void)idset_add(&closed, t->cpus[i].id);
        return closed;
}

/* CPUs of one guest: as many as it needs (unless vCPUs were plugged in since), different ones, as cpu.threads asks; no other pin of ours is on them. */
static void check_dedicated(const World *w, const Guest *g, bool plugged, uint64_t seed) {
        unsigned long long s = seed;
        IdSet closed = closed_cpus(w, g), own = *memo_cpus(state_find_guest(w->state, g->uuid));
        size_t helpers = g->name[0] == 'i' ? 1 + MIN(g->n_iothreads, (size_t)1) : 0;
        size_t wanted = guest_online_vcpus(g) + helpers;
        IdSet cores = IDSET_EMPTY;

        if (idset_is_empty(&own))
                return;
        if (!g->migrating)
                ck_assert_msg(plugged ? idset_count(&own) <= wanted : idset_count(&own) == wanted, "seed %llu: %s has %u CPUs", s, g->name, idset_count(&own));
        IDSET_FOREACH(cpu, &own) {
                ck_assert_msg(g->name[0] != 'i' || !idset_contains(&cores, cpu_of(w, (unsigned)cpu)->core),
                              "seed %llu: two CPUs of a core for %s", s, g->name);
                (void)idset_add(&cores, cpu_of(w, (unsigned)cpu)->core);
        }
        for (size_t i = 0; i < w->snapshot->n_guests; i++) {
                const Guest *other = w->snapshot->guests[i];
                const GuestThread *threads[64];
                size_t n = 0;

                if (other == g)
                        continue;
                ck_assert_msg(!idset_intersects(&closed, memo_cpus(state_find_guest(w->state, other->uuid))),
                              "seed %llu: %s and %s own the same CPU", s, g->name, other->name);
                for (size_t v = 0; v < other->n_vcpus; v++)
                        if (state_find_owned(w->state, ACTION_PIN_VCPU, other->uuid, other->vcpus[v].id))
                                threads[n++] = &other->vcpus[v];
                if (state_find_owned(w->state, ACTION_PIN_EMULATOR, other->uuid, 0))
                        threads[n++] = &other->emulator;
                for (size_t v = 0; v < n; v++)
                        ck_assert_msg(other->migrating || !idset_intersects(&closed, &threads[v]->affinity),
                                      "seed %llu: a thread of %s may use CPUs of %s", s, other->name, g->name);
        }
}

/* Different ones of its own CPUs, as far as they go. */
static void check_vcpus(const World *w, const Guest *g, uint64_t seed) {
        IdSet own = *memo_cpus(state_find_guest(w->state, g->uuid)), seen = IDSET_EMPTY;
        size_t wanted = MIN(guest_online_vcpus(g), (size_t)idset_count(&own));

        if (idset_is_empty(&own) || g->migrating)
                return;
        for (size_t i = 0; i < g->n_vcpus; i++)
                if (g->vcpus[i].online && idset_count(&g->vcpus[i].affinity) == 1 &&
                    idset_is_subset(&g->vcpus[i].affinity, &own))
                        seen = idset_or(&seen, &g->vcpus[i].affinity);
        ck_assert_msg(idset_count(&seen) == wanted, "seed %llu: vCPUs of %s", (unsigned long long)seed, g->name);
}

static void check_exclusive(const World *w, bool plugged, uint64_t seed) {
        for (size_t i = 0; i < w->snapshot->n_guests; i++) {
                check_dedicated(w, w->snapshot->guests[i], plugged, seed);
                check_vcpus(w, w->snapshot->guests[i], seed);
        }
}

static void restart(World *w) {
        char *text = NULL, *error = NULL;

        ck_assert_int_eq(state_format(w->state, &text), 0);
        w->state = state_free(w->state);
        ck_assert_msg(state_parse(text, &w->state, &error) == 0, "%s", error ?: "?");
        free(text);
}

/* Decides until nothing changes any more; at once nothing but memory moves, after the first decision. */
static void settle(World *w, const IdSet *reserved, bool plugged, uint64_t seed) {
        for (size_t round = 0;; round++) {
                w->snapshot->now_usec += 5 * USEC_PER_SEC;
                world_decide(w, NULL);
                check_plan(w, reserved, seed);
                if (w->plan->n_actions == 0)
                        return;
                ck_assert_msg(round < w->snapshot->n_guests, "seed %llu: does not settle", (unsigned long long)seed);
                for (size_t i = 0; i < w->plan->n_actions; i++)
                        ck_assert_msg(w->plan->actions[i].kind == ACTION_MOVE_MEMORY ||
                                      w->plan->actions[i].kind == ACTION_SET_NODESET,
                                      "seed %llu: pins again", (unsigned long long)seed);
                world_apply(w);
                check_exclusive(w, plugged, seed);
        }
}

/* One decision after something changed, and then there is peace. */
static void follow_up(World *w, const IdSet *reserved, bool plugged, uint64_t seed) {
        world_decide(w, NULL);
        check_plan(w, reserved, seed);
        world_apply(w);
        check_exclusive(w, plugged, seed);
        settle(w, reserved, plugged, seed);
}

/* A dedicated guest goes: what it had is used again. */
static void remove_dedicated(World *w, const IdSet *reserved, uint64_t seed) {
        for (size_t i = 0; i < w->snapshot->n_guests; i++) {
                const Guest *g = w->snapshot->guests[i];

                if (!memo_has_cpus(state_find_guest(w->state, g->uuid)))
                        continue;
                snapshot_remove_guest(w->snapshot, g->uuid);
                follow_up(w, reserved, false, seed);
                return;
        }
}

static void plug_in_vcpus(World *w, const IdSet *reserved, uint64_t seed) {
        for (size_t i = 0; i < w->snapshot->n_guests; i++)
                w->snapshot->guests[i]->vcpus[0].online = true;
        follow_up(w, reserved, true, seed);
}

static void run_scenario(uint64_t seed) {
        uint64_t random = seed;
        IdSet reserved = IDSET_EMPTY;
        char text[1200];
        World w;

        world_init(&w, random_hosts[pick(&random, ELEMENTSOF(random_hosts))], "");
        random_topology(&w, &random);
        if (pick(&random, 3) == 0)
                reserved = set_of("0-1");
        (void)snprintf(text, sizeof(text), "host: { reserved_cpus = \"%s\"; }; %s",
                       idset_is_empty(&reserved) ? "" : "0-1", random_policy);
        world_configure(&w, text);
        for (unsigned n = 1 + pick(&random, 12); n > 0; n--)
                random_guest(&w, &random);
        for (size_t i = 0; i < w.snapshot->n_guests; i++)
                for (size_t v = 0; v < w.snapshot->guests[i]->n_vcpus; v++) {
                        IdSet all = idset_minus(&w.snapshot->topology->online, &w.snapshot->topology->isolated);

                        if (w.snapshot->guests[i]->vcpus[v].pinned &&
                            !idset_is_subset(&all, &w.snapshot->guests[i]->vcpus[v].pin))
                                ck_assert_int_eq(strdup_to(&w.snapshot->guests[i]->title, "user"), 0);
                }
        world_decide(&w, NULL);
        check_plan(&w, &reserved, seed);
        world_apply(&w);
        check_exclusive(&w, false, seed);
        /* Afterwards nothing but memory moves, each guest once; then nothing at all, nor after a restart. */
        settle(&w, &reserved, false, seed);
        restart(&w);
        w.snapshot->now_usec += 5 * USEC_PER_SEC;
        world_decide(&w, NULL);
        ck_assert_msg(w.plan->n_actions == 0, "seed %llu: acts after a restart", (unsigned long long)seed);
        remove_dedicated(&w, &reserved, seed);
        plug_in_vcpus(&w, &reserved, seed);
        world_done(&w);
}

START_TEST(random_hosts_keep_the_invariants_and_settle) {
        uint64_t first = (uint64_t)_i * (RANDOM_SCENARIOS / RANDOM_CHUNKS);

        for (uint64_t seed = first; seed < first + RANDOM_SCENARIOS / RANDOM_CHUNKS; seed++)
                run_scenario(seed);
}
END_TEST

/* Load of each node as the guests' places have it, in permyriad of its CPUs. */
static void node_loads(const World *w, uint64_t *loads) {
        const Topology *t = w->snapshot->topology;

        for (size_t n = 0; n < t->n_nodes; n++) {
                loads[n] = 0;
                for (size_t i = 0; i < w->snapshot->n_guests; i++) {
                        const Guest *g = w->snapshot->guests[i];
                        const GuestMemo *m = state_find_guest(w->state, g->uuid);

                        if (idset_contains(memo_nodes(m), t->nodes[n].id))
                                for (size_t v = 0; v < g->n_vcpus; v++)
                                        loads[n] += g->vcpus[v].busy_permyriad + g->vcpus[v].wait_permyriad;
                }
                loads[n] /= idset_count(&t->nodes[n].cpus);
        }
}

START_TEST(rebalancing_never_reverses_an_imbalance_and_ends) {
        for (uint64_t seed = (uint64_t)_i * 50; seed < (uint64_t)_i * 50 + 50; seed++) {
                uint64_t random = seed, before[8], after[8], highest = UINT64_MAX;
                size_t nodes, moves = 0;
                World w;

                world_init(&w, _i % 2 ? "numa:4 core:4 pu:1" : "numa:8 core:2 pu:1", SHARED);
                nodes = w.snapshot->topology->n_nodes;
                for (unsigned n = 4 + pick(&random, 12); n > 0; n--) {
                        GuestMemo *m;
                        Guest *g = world_guest(&w, "guest", 1, 256 * MIB);

                        guest_load(g, pick(&random, 60) * 100, pick(&random, 40) * 100);
                        ck_assert_int_eq(state_guest(w.state, g->uuid, &m), 0);
                        world_place(&w, m, idset_of(pick(&random, (unsigned)nodes)));
                        m->placed_usec = WORLD_START_USEC;
                }
                for (unsigned round = 0; round < 40; round++) {
                        uint64_t high = 0, low = UINT64_MAX;

                        node_loads(&w, before);
                        world_decide(&w, NULL);
                        node_loads(&w, after);
                        world_apply(&w);
                        w.snapshot->now_usec += USEC_PER_HOUR;
                        if (memcmp(before, after, nodes * sizeof(uint64_t)) == 0)
                                continue;
                        moves++;
                        for (size_t n = 0; n < nodes; n++)
                                if (before[n] > after[n])
                                        high = after[n];
                                else if (before[n] < after[n])
                                        low = after[n];
                        ck_assert_msg(low <= high, "seed %llu: reversed", (unsigned long long)seed);
                        for (size_t n = 0, top = 0; n < nodes; n++) {
                                top = MAX(top, after[n]);
                                if (n + 1 == nodes) {
                                        ck_assert_msg(top <= highest, "seed %llu: worse", (unsigned long long)seed);
                                        highest = top;
                                }
                        }
                }
                ck_assert_msg(moves <= w.snapshot->n_guests, "seed %llu: %zu moves", (unsigned long long)seed, moves);
                world_decide(&w, NULL);
                assert_quiet(&w);
                world_done(&w);
        }
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_random");
        TCase *tc = tcase_create("placement_random");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, random_hosts_keep_the_invariants_and_settle, 0, (int)RANDOM_CHUNKS / ONE_INSTANCE_OF);
        tcase_add_loop_test(tc, rebalancing_never_reverses_an_imbalance_and_ends, 0, 8);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
