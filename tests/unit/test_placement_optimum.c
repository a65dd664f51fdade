/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How far from the best the chosen nodes are, on instances small enough to try
 * every assignment of guests to sets of nodes. The cost is the one that
 * lib/policy_improve.h defines, written down here a second time, in floating
 * point and over whole assignments; every seed is printed when it fails.
 *
 * Guests that start one after the other are placed without knowing who comes
 * next: that has no bound, its figure is printed and only the average is held.
 */

#include "instances.h"
#include "placement_util.h"

#define NODES_MAX 4U
#define GUESTS_MAX 7U
#define INSTANCES 2400U
#define CHUNKS 12U
#define EACH (INSTANCES / CHUNKS)
#define SETS_MAX (1U << NODES_MAX)

/* Against the best with as few nodes, which is what the engine looks for: at most 1 % on average, 5 % at worst. */
#define MEAN_ALLOWED 1.01
#define WORST_ALLOWED 1.05
/*
 * Against the best of all, which may spread guests over more nodes than it takes to house them, the same: they get more
 * where as few nodes as it takes would cost over 5 % more.
 */
#define ONLINE_ALLOWED 1.10

typedef struct Instance {
        unsigned n_nodes, n_guests;
        unsigned cpus[NODES_MAX], distance[NODES_MAX][NODES_MAX];
        uint64_t room[NODES_MAX];
        unsigned vcpus[GUESTS_MAX];
        uint64_t bytes[GUESTS_MAX];
} Instance;

/* ---- the cost of an assignment: a set of nodes, as bits, for each guest ---- */

static unsigned set_cpus(const Instance *in, unsigned set) {
        unsigned n = 0;

        for (unsigned i = 0; i < in->n_nodes; i++)
                n += set >> i & 1 ? in->cpus[i] : 0;
        return n;
}

/* vCPUs and pages over the set, in proportion to its CPUs. */
static double mean_distance(const Instance *in, unsigned set) {
        double sum = 0, cpus = set_cpus(in, set);

        for (unsigned i = 0; i < in->n_nodes; i++)
                for (unsigned j = 0; j < in->n_nodes; j++)
                        if ((set >> i & 1) && (set >> j & 1))
                                sum += in->cpus[i] / cpus * in->cpus[j] / cpus * in->distance[i][j];
        return sum / 10;
}

static double contention(const Instance *in, const double *committed) {
        double cost = 0;

        for (unsigned i = 0; i < in->n_nodes; i++)
                if (committed[i] > in->cpus[i])
                        cost += 0.25 * committed[i] * (committed[i] / in->cpus[i] - 1);
        return cost;
}

static double largest_distance(const Instance *in) {
        unsigned most = 10;

        for (unsigned i = 0; i < in->n_nodes; i++)
                for (unsigned j = 0; j < in->n_nodes; j++)
                        most = MAX(most, in->distance[i][j]);
        return most / 10.0;
}

/* Memory that has no room on its guests' nodes, however it is divided among them: the largest deficit of any set. */
static double homeless_share(const Instance *in, const unsigned *sets) {
        double worst = 0, all = 0;

        for (unsigned g = 0; g < in->n_guests; g++)
                all += (double)in->bytes[g];
        for (unsigned t = 1; t < 1U << in->n_nodes; t++) {
                double wanted = 0, room = 0;

                for (unsigned g = 0; g < in->n_guests; g++)
                        wanted += (sets[g] & ~t) == 0 ? (double)in->bytes[g] : 0;
                for (unsigned i = 0; i < in->n_nodes; i++)
                        room += t >> i & 1 ? (double)in->room[i] : 0;
                worst = MAX(worst, wanted - room);
        }
        return worst / all;
}

static void commit(const Instance *in, unsigned g, unsigned set, double *committed) {
        for (unsigned i = 0; i < in->n_nodes; i++)
                if (set >> i & 1)
                        committed[i] += (double)in->vcpus[g] * in->cpus[i] / set_cpus(in, set);
}

static double cost_of(const Instance *in, const unsigned *sets) {
        double committed[NODES_MAX] = { 0 }, cost = 0, vcpus = 0;

        for (unsigned g = 0; g < in->n_guests; g++) {
                commit(in, g, sets[g], committed);
                cost += in->vcpus[g] * mean_distance(in, sets[g]);
                vcpus += in->vcpus[g];
        }
        return cost + contention(in, committed) +
               vcpus * homeless_share(in, sets) * (largest_distance(in) - 1);
}

/* ---- every assignment, less those that cannot be better ---- */

static unsigned set_size(unsigned set) {
        return (unsigned)__builtin_popcount(set);
}

typedef struct Solver {
        const Instance *in;
        unsigned candidates[GUESTS_MAX][SETS_MAX], n_candidates[GUESTS_MAX];
        double distance[SETS_MAX];
        unsigned sets[GUESTS_MAX], best_sets[GUESTS_MAX];
        unsigned most;                  /* nodes, of all guests together */
        double best;
} Solver;

/* A vCPU never shares a CPU with one of its own guest while the host has enough. */
static void list_candidates(Solver *s) {
        const Instance *in = s->in;
        unsigned all = (1U << in->n_nodes) - 1;

        for (unsigned set = 1; set <= all; set++)
                s->distance[set] = mean_distance(in, set);
        for (unsigned g = 0; g < in->n_guests; g++) {
                for (unsigned set = 1; set <= all; set++)
                        if (set_cpus(in, set) >= in->vcpus[g])
                                s->candidates[g][s->n_candidates[g]++] = set;
                if (s->n_candidates[g] == 0)
                        s->candidates[g][s->n_candidates[g]++] = all;
        }
}

static void descend(Solver *s, unsigned g, const double *committed, double distance, unsigned nodes) {
        const Instance *in = s->in;
        double rest = 0;

        for (unsigned i = g; i < in->n_guests; i++)
                rest += in->vcpus[i];
        if (nodes + in->n_guests - g > s->most || distance + rest + contention(in, committed) >= s->best - 1e-9)
                return;
        if (g == in->n_guests) {
                double cost = cost_of(in, s->sets);

                if (cost < s->best - 1e-9) {
                        s->best = cost;
                        memcpy(s->best_sets, s->sets, sizeof(s->sets));
                }
                return;
        }
        for (unsigned i = 0; i < s->n_candidates[g]; i++) {
                double more[NODES_MAX];

                s->sets[g] = s->candidates[g][i];
                memcpy(more, committed, sizeof(more));
                commit(in, g, s->sets[g], more);
                descend(s, g + 1, more, distance + in->vcpus[g] * s->distance[s->sets[g]],
                        nodes + set_size(s->sets[g]));
        }
}

/*
 * The rule is that guests get as few nodes as it takes to house them: the least cost with the fewest nodes in all that
 * leave no memory without room. Where no number does, and with @any_nodes, the least cost of all.
 */
static double optimum(const Instance *in, bool any_nodes) {
        Solver s = { .in = in };
        double none[NODES_MAX] = { 0 };

        list_candidates(&s);
        s.most = any_nodes ? in->n_guests * in->n_nodes : in->n_guests;
        for (;; s.most++) {
                s.best = 1e9;
                descend(&s, 0, none, 0, 0);
                if (s.most == in->n_guests * in->n_nodes || (s.best < 1e9 && homeless_share(in, s.best_sets) <= 0))
                        break;
        }
        return s.best;
}

/* ---- instances ---- */

static void random_instance(Instance *in, uint64_t *seed) {
        unsigned cpus = 2 + pick(seed, 7), near = 11 + pick(seed, 10), far = near + pick(seed, 2) * 10, total = 0;
        uint64_t memory = (8 + pick(seed, 25)) * GIB, left = 0;
        bool unequal = pick(seed, 2) == 0;

        *in = (Instance){ .n_nodes = 2 + pick(seed, 3), .n_guests = 3 + pick(seed, 5) };
        if (in->n_nodes == 4)
                in->n_guests = MIN(in->n_guests, 6U);
        for (unsigned i = 0; i < in->n_nodes; i++) {
                in->cpus[i] = unequal ? 1 + pick(seed, cpus) : cpus;
                in->room[i] = unequal ? memory / 4 * (2 + pick(seed, 5)) : memory;
                total += in->cpus[i];
                left += in->room[i];
                for (unsigned j = 0; j < in->n_nodes; j++)
                        in->distance[i][j] = i == j ? 10 : i / 2 == j / 2 ? near : far;
        }
        left = left / 20 * 17;
        for (unsigned g = 0; g < in->n_guests; g++) {
                uint64_t most = left / (in->n_guests - g) / (GIB / 4) * 2;

                in->vcpus[g] = 1 + pick(seed, MIN(MAX(total * 2 / in->n_guests, 2U), 8U));
                in->bytes[g] = MIN((1 + pick(seed, (unsigned)most + 1)) * (GIB / 4), left);
                left -= in->bytes[g];
        }
}

static Topology *topology_of(const Instance *in) {
        Topology *t = calloc(1, sizeof(*t));
        size_t n = 0;

        ck_assert_ptr_nonnull(t);
        t->n_nodes = in->n_nodes;
        t->nodes = calloc(t->n_nodes, sizeof(*t->nodes));
        t->cpus = calloc(set_cpus(in, (1U << in->n_nodes) - 1), sizeof(*t->cpus));
        t->distances = calloc(t->n_nodes * t->n_nodes, sizeof(*t->distances));
        ck_assert(t->nodes && t->cpus && t->distances);
        for (unsigned i = 0; i < in->n_nodes; i++) {
                t->nodes[i].id = i * 3 + 1;
                t->nodes[i].memory_bytes = in->room[i];
                for (unsigned j = 0; j < in->n_nodes; j++)
                        t->distances[i * in->n_nodes + j] = (uint16_t)in->distance[i][j];
                for (unsigned k = 0; k < in->cpus[i]; k++, n++) {
                        t->cpus[n] = (TopologyCpu){ .id = (unsigned)n, .core = (unsigned)n, .node = i, .llc = i,
                                                    .package = i };
                        ck_assert_int_eq(idset_add(&t->nodes[i].cpus, (unsigned)n), 0);
                        ck_assert_int_eq(idset_add(&t->online, (unsigned)n), 0);
                }
        }
        t->n_cpus = n;
        return t;
}

static void world_of(World *w, const Instance *in) {
        world_init_topology(w, topology_of(in), 0, "host: { reserved_memory = \"0\"; }; cpu: { policy = \"shared\"; };");
        for (unsigned i = 0; i < in->n_nodes; i++) {
                w->snapshot->host.nodes[i].total_bytes = w->snapshot->host.nodes[i].free_bytes = in->room[i];
                w->snapshot->host.memory.total_bytes += in->room[i];
        }
}

static Guest *add_guest(World *w, const Instance *in, unsigned g) {
        char name[16];
        Guest *guest;

        (void)snprintf(name, sizeof(name), "g%u", g);
        guest = world_guest(w, name, in->vcpus[g], in->bytes[g]);
        guest->starting = true;
        return guest;
}

static unsigned placed_on(const World *w, const Instance *in, const Guest *g) {
        const GuestMemo *m = state_find_guest(w->state, g->uuid);
        unsigned set = 0;

        ck_assert_ptr_nonnull(m);
        for (unsigned i = 0; i < in->n_nodes; i++)
                if (idset_contains(memo_nodes(m), w->snapshot->topology->nodes[i].id))
                        set |= 1U << i;
        ck_assert_uint_gt(set, 0);
        return set;
}

/* What the engine makes of it: all guests new in one decision, or one after the other. */
static double engine_cost(const Instance *in, bool at_once, unsigned *sets) {
        Guest *guests[GUESTS_MAX];
        World w;

        world_of(&w, in);
        for (unsigned g = 0; g < in->n_guests; g++) {
                guests[g] = add_guest(&w, in, g);
                if (at_once)
                        continue;
                world_decide(&w, guests[g]->uuid);
                world_apply(&w);
        }
        if (at_once)
                world_decide(&w, NULL);
        for (unsigned g = 0; g < in->n_guests; g++)
                sets[g] = placed_on(&w, in, guests[g]);
        world_done(&w);
        return cost_of(in, sets);
}

typedef struct Ratios {
        double sum, worst;
        uint64_t worst_seed;
        unsigned n_above;               /* WORST_ALLOWED */
} Ratios;

static void add_ratio(Ratios *r, double ratio, uint64_t seed) {
        r->sum += ratio;
        r->n_above += ratio > WORST_ALLOWED;
        if (ratio <= r->worst)
                return;
        r->worst = ratio;
        r->worst_seed = seed;
}

static double mean_of(const Ratios *r) {
        return r->sum / EACH;
}

static uint64_t seed_of(int chunk, unsigned i) {
        return (uint64_t)chunk * EACH + i;
}

START_TEST(guests_placed_at_once_cost_hardly_more_than_the_best) {
        Ratios rule = { 0 }, any = { 0 };

        for (unsigned i = 0; i < EACH; i++) {
                unsigned sets[GUESTS_MAX];
                uint64_t seed = seed_of(_i, i);
                Instance in;
                double cost;

                random_instance(&in, &seed);
                cost = engine_cost(&in, true, sets);
                add_ratio(&rule, MAX(cost / optimum(&in, false), 1.0), seed_of(_i, i));
                add_ratio(&any, cost / optimum(&in, true), seed_of(_i, i));
                ck_assert_msg(any.worst >= 1 - 1e-9, "seed %llu: better than the best", (unsigned long long)any.worst_seed);
        }
        (void)fprintf(stderr, "seeds %llu..: mean %.2f %%, worst %.2f %% (seed %llu) above the best with as few nodes; "
                      "%.2f %%, %.2f %% (seed %llu) above the best of all, %u of %u more than 5 %%\n",
                      (unsigned long long)seed_of(_i, 0),
                      (mean_of(&rule) - 1) * 100, (rule.worst - 1) * 100, (unsigned long long)rule.worst_seed,
                      (mean_of(&any) - 1) * 100, (any.worst - 1) * 100, (unsigned long long)any.worst_seed, any.n_above,
                      EACH);
        ck_assert_msg(rule.worst <= WORST_ALLOWED, "seed %llu: %.1f %% more than the best",
                      (unsigned long long)rule.worst_seed, (rule.worst - 1) * 100);
        ck_assert_msg(any.worst <= WORST_ALLOWED, "seed %llu: %.1f %% more than the best of all",
                      (unsigned long long)any.worst_seed, (any.worst - 1) * 100);
        ck_assert_msg(mean_of(&rule) <= MEAN_ALLOWED && mean_of(&any) <= MEAN_ALLOWED, "%.2f %% more than the best on average",
                      (mean_of(&any) - 1) * 100);
}
END_TEST

/* Whoever comes later is not known: the average is held to what was measured (4.5 %), with a margin; there is no worst. */
START_TEST(guests_placed_one_after_the_other_are_not_far_off) {
        Ratios r = { 0 };

        for (unsigned i = 0; i < EACH; i++) {
                unsigned sets[GUESTS_MAX];
                uint64_t seed = seed_of(_i, i);
                Instance in;

                random_instance(&in, &seed);
                add_ratio(&r, engine_cost(&in, false, sets) / optimum(&in, true), seed_of(_i, i));
        }
        (void)fprintf(stderr, "seeds %llu..: one after the other: mean %.2f %%, worst %.1f %% (seed %llu)\n",
                      (unsigned long long)seed_of(_i, 0), (mean_of(&r) - 1) * 100, (r.worst - 1) * 100,
                      (unsigned long long)r.worst_seed);
        ck_assert_msg(mean_of(&r) <= ONLINE_ALLOWED, "%.2f %% more than the best on average", (mean_of(&r) - 1) * 100);
}
END_TEST

/* Two nodes of 6 CPUs and 19 GiB: largest first, 8 vCPUs would meet on one of them. */
START_TEST(a_guest_that_made_way_says_so) {
        static const Instance in = {
                .n_nodes = 2, .n_guests = 5, .cpus = { 6, 6 }, .distance = { { 10, 20 }, { 20, 10 } },
                .room = { 19 * GIB, 19 * GIB }, .vcpus = { 4, 1, 4, 3, 2 },
                .bytes = { GIB, 14 * GIB, 8 * GIB, 5 * GIB, 3 * GIB },
        };
        const char *reason = "";
        Guest *guests[GUESTS_MAX];
        unsigned n_together = 0;
        World w;

        world_of(&w, &in);
        for (unsigned g = 0; g < in.n_guests; g++)
                guests[g] = add_guest(&w, &in, g);
        world_decide(&w, NULL);
        for (unsigned g = 0; g < in.n_guests; g++) {
                const Action *a = world_action(&w, guests[g], ACTION_PIN_VCPU, 0);

                ck_assert_ptr_nonnull(a);
                if (!strstr(a->reason, "chosen together with the 4 other new guests"))
                        continue;
                n_together++;
                reason = a->reason;
                ck_assert_ptr_nonnull(strstr(a->reason, "alone it would be on node"));
        }
        ck_assert_uint_gt(n_together, 0);
        ck_assert_ptr_nonnull(strstr(reason, "for an expected cost of 14.58 CPUs instead of "));
        assert_settled(&w);
        world_done(&w);
}
END_TEST

/* Three times 3 vCPUs, one node of 3 CPUs and two of 2: all on the first, or two of them on both of the others. */
static const struct {
        const char *name;
        unsigned distance, most_nodes;
} spread_rows[] = {
        { "near: their pages are little dearer than to wait for CPUs", 11, 2 },
        { "far", 31, 1 },
};

START_TEST(guests_are_spread_over_more_nodes_where_that_pays) {
        unsigned sets[GUESTS_MAX], most = 0;
        Instance in = { .n_nodes = 3, .n_guests = 3, .cpus = { 3, 2, 2 }, .room = { 16 * GIB, 16 * GIB, 16 * GIB } };

        for (unsigned i = 0; i < 3; i++) {
                in.vcpus[i] = 3;
                in.bytes[i] = GIB;
                for (unsigned j = 0; j < 3; j++)
                        in.distance[i][j] = i == j ? 10 : spread_rows[_i].distance;
        }
        (void)engine_cost(&in, true, sets);
        for (unsigned g = 0; g < 3; g++)
                most = MAX(most, set_size(sets[g]));
        ck_assert_msg(most == spread_rows[_i].most_nodes, "%s: %u nodes", spread_rows[_i].name, most);
}
END_TEST

int main(void) {
        Suite *suite = suite_create("placement_optimum");
        TCase *tc = tcase_create("placement_optimum");
        SRunner *runner;
        int failed;

        tcase_set_timeout(tc, 240 * ONE_INSTANCE_OF);
        tcase_add_loop_test(tc, guests_placed_at_once_cost_hardly_more_than_the_best, 0,
                            (int)CHUNKS / ONE_INSTANCE_OF);
        tcase_add_loop_test(tc, guests_placed_one_after_the_other_are_not_far_off, 0, (int)CHUNKS / ONE_INSTANCE_OF);
        tcase_add_test(tc, a_guest_that_made_way_says_so);
        tcase_add_loop_test(tc, guests_are_spread_over_more_nodes_where_that_pays, 0, (int)ELEMENTSOF(spread_rows));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
