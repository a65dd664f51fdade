/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_improve.h"

#include "policy_node_sets.h"

#include <inttypes.h>

/*
 * A local search over the sets of policy_node_sets.h. Costs are in millionths
 * of a CPU (micro).
 *
 * Memory of a guest on several nodes goes where there is room among them: what
 * has none is the largest excess of what must fit into a set over its room
 * (P. Hall's condition), over the listed sets.
 *
 * Only what is better by a ten-thousandth of a CPU is taken (at the default
 * rate, 92 MiB that need not be copied): ties stay as the search has broken them.
 */

#define MICRO UINT64_C(1000000)
#define WAIT_DIVISOR 4U                 /* u = 1/4, see policy_improve.h */
#define LEAST_GAIN ((int64_t)MICRO / 10000)
#define PASSES_MAX 4U
#define STARTS_MAX 8U
/*
 * Trials, each some tens of nanoseconds: so many a guest; at least so many in all, most starts of seven guests; and
 * at most so many: of thousands of guests the largest ones, which come first, have nearly all there is to gain.
 */
#define TRIALS_EACH 16U
#define TRIALS_LEAST 12000U
#define TRIALS_MOST 40000U

/* Of a set: memory of guests on it or a part of it, and room for it. */
typedef struct SetMemory {
        int64_t wanted_mib, room_mib;
} SetMemory;

typedef struct Fresh {
        PlacementGuest *guest;
        size_t set, first, best;        /* in sets: now, as searched, and in the best assignment so far */
        uint64_t mib;                   /* that its nodes have to take */
        uint64_t overcommit_permyriad;  /* cpu.overcommit */
        bool free;                      /* to get other nodes */
} Fresh;

typedef struct Improve {
        Placement *p;
        const PlacementNode *before;
        NodeSets sets;
        SetMemory *memory;              /* by set */
        size_t n_excess;                /* sets that more is wanted of than they have */
        Fresh *fresh;
        size_t n_fresh;
        size_t *order;                  /* of the free ones, for the next start */
        size_t n_order;
        int64_t *commit_milli, *searched_milli; /* by node: now, and as the search left it */
        int64_t homeless_micro;         /* cost of a MiB without room */
        bool tight;                     /* there can be such */
        size_t trials, budget;
        unsigned spare;                 /* nodes that all have fewer than the search gave them */
} Improve;

PlacementNode *improve_begin(const Placement *p) {
        PlacementNode *before = malloc(MAX(p->n_nodes, (size_t)1) * sizeof(*before));

        if (before && p->n_nodes > 0)
                memcpy(before, p->nodes, p->n_nodes * sizeof(*before));
        return before;
}

/* ---- the cost ---- */

static const NodeSet *set_at(const Improve *m, size_t set) {
        return &m->sets.sets[set];
}

static int64_t node_cost(const Improve *m, size_t node, int64_t milli) {
        int64_t cpus = (int64_t)m->p->nodes[node].n_cpus * PLACEMENT_MILLI;

        if (cpus == 0 || milli <= cpus)
                return 0;
        return milli * (milli - cpus) / cpus * (int64_t)(MICRO / PLACEMENT_MILLI) / WAIT_DIVISOR;
}

static int64_t homeless_cost(const Improve *m) {
        int64_t single = 0, most = 0;

        for (size_t i = 0; m->n_excess > 0 && i < m->sets.n; i++) {
                int64_t excess = m->memory[i].wanted_mib - m->memory[i].room_mib;

                if (excess > 0 && set_at(m, i)->n == 1)
                        single += excess;
                most = MAX(most, excess);
        }
        return MAX(single, most) * m->homeless_micro;
}

static uint64_t resident_on(const Guest *g, unsigned id) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < g->n_node_memory; i++)
                if (g->node_memory[i].node == id)
                        bytes = u64_add(bytes, g->node_memory[i].bytes);
        return bytes;
}

/* As in policy_move_cost.c: a CPU is taken as busy while its pages are copied, within an hour. */
static uint64_t copy_cost(const Improve *m, const PlacementGuest *g, const NodeSet *set) {
        uint64_t bytes = g->resident_bytes, usec;

        for (unsigned i = 0; i < set->n; i++)
                bytes = u64_sub(bytes, resident_on(g->guest, m->p->nodes[set->nodes[i]].id));
        usec = u64_muldiv(bytes, USEC_PER_SEC, setting(g->settings, KEY_NUMA_MOVE_RATE));
        return u64_muldiv(usec, MICRO, USEC_PER_HOUR);
}

/* Of pages that stay, where they are; of those that follow, copying them; of those that are not there yet, over @set. */
static int64_t guest_cost(const Improve *m, const Fresh *f, const NodeSet *set) {
        const Guest *g = f->guest->guest;
        uint64_t sum = 0;

        if (g->starting || f->guest->resident_bytes == UNKNOWN_U64 || f->guest->resident_bytes / MIB == 0)
                return (int64_t)(f->guest->n_vcpus * set->spread_micro);
        if (f->guest->movable && placement_follows_memory(f->guest))
                return (int64_t)(f->guest->n_vcpus * set->spread_micro + copy_cost(m, f->guest, set));
        for (unsigned i = 0; i < set->n; i++) {
                const PlacementNode *n = &m->p->nodes[set->nodes[i]];

                for (size_t k = 0; k < m->p->n_nodes; k++)
                        sum += (uint64_t)topology_distance(m->p->topology, n->index, k) * n->n_cpus *
                               (resident_on(g, m->p->nodes[k].id) / MIB);
        }
        return (int64_t)(f->guest->n_vcpus *
                         u64_muldiv(sum, MICRO / 10, (uint64_t)set->n_cpus * (f->guest->resident_bytes / MIB)));
}

/* What @f commits of the node with index @node, one of @s. */
static int64_t share_milli(const Improve *m, const Fresh *f, const NodeSet *s, size_t node) {
        int64_t milli = (int64_t)f->guest->n_vcpus * PLACEMENT_MILLI;

        return s->n == 1 ? milli : milli * m->p->nodes[node].n_cpus / s->n_cpus;
}

static void want(Improve *m, const NodeSet *s, int64_t mib) {
        for (size_t i = 0; m->tight && i < s->n_above; i++) {
                SetMemory *a = &m->memory[m->sets.above[s->above + i]];

                m->n_excess -= a->wanted_mib > a->room_mib;
                a->wanted_mib += mib;
                m->n_excess += a->wanted_mib > a->room_mib;
        }
}

/* Puts @f on a set, or with @sign -1 takes it off. */
static void put(Improve *m, const Fresh *f, size_t set, int64_t sign) {
        const NodeSet *s = set_at(m, set);
        int64_t mib = (int64_t)f->mib;

        for (unsigned i = 0; i < s->n; i++) {
                int64_t milli = share_milli(m, f, s, s->nodes[i]);

                m->commit_milli[s->nodes[i]] += sign < 0 ? -milli : milli;
        }
        want(m, s, sign < 0 ? -mib : mib);
}

/* Memory without room, of all: with @f on @set, too. */
static int64_t homeless_cost_with(Improve *m, const Fresh *f, size_t set) {
        const NodeSet *s = set_at(m, set);
        int64_t mib = (int64_t)f->mib, cost;
        bool excess = m->n_excess > 0;

        for (size_t i = 0; m->tight && !excess && i < s->n_above; i++) {
                const SetMemory *a = &m->memory[m->sets.above[s->above + i]];

                excess = a->wanted_mib + mib > a->room_mib;
        }
        if (!excess)
                return 0;
        want(m, s, mib);
        cost = homeless_cost(m);
        want(m, s, -mib);
        return cost;
}

/* What it costs more to have @f on @set, with all others as they are, but for memory without room. @f is on none. */
static int64_t cost_of_putting(const Improve *m, const Fresh *f, size_t set) {
        const NodeSet *s = set_at(m, set);
        int64_t cost = guest_cost(m, f, s);

        for (unsigned i = 0; i < s->n; i++) {
                size_t node = s->nodes[i];

                cost += node_cost(m, node, m->commit_milli[node] + share_milli(m, f, s, node)) -
                        node_cost(m, node, m->commit_milli[node]);
        }
        return cost;
}

static int64_t whole_cost(const Improve *m) {
        int64_t cost = homeless_cost(m);

        for (size_t i = 0; i < m->p->n_nodes; i++)
                cost += node_cost(m, i, m->commit_milli[i]);
        for (size_t i = 0; i < m->n_fresh; i++)
                if (m->fresh[i].set != SIZE_MAX)
                        cost += guest_cost(m, &m->fresh[i], set_at(m, m->fresh[i].set));
        return cost;
}

/* ---- the search ---- */

/* Enough CPUs, and within cpu.overcommit or where the search went beyond it already. @f is on none. A trial. */
static bool suits(Improve *m, const Fresh *f, size_t set) {
        const NodeSet *s = set_at(m, set);

        m->trials++;
        if (s->n_cpus < f->guest->n_vcpus)
                return false;
        for (unsigned i = 0; i < s->n; i++) {
                size_t n = s->nodes[i];
                uint64_t cpus = (uint64_t)m->p->nodes[n].n_cpus * PLACEMENT_MILLI;
                int64_t milli = m->commit_milli[n] + share_milli(m, f, s, n);

                if (milli > m->searched_milli[n] && milli > (int64_t)permyriad_of(cpus, f->overcommit_permyriad))
                        return false;
        }
        return true;
}

/* Takes @f off and puts it where it costs least. true: that is elsewhere. */
static bool move_one(Improve *m, Fresh *f) {
        unsigned most = set_at(m, f->set)->n + m->spare;
        size_t best = f->set;
        int64_t least;

        put(m, f, f->set, -1);
        least = cost_of_putting(m, f, f->set) + homeless_cost_with(m, f, f->set) - LEAST_GAIN;
        for (size_t i = 0; i < m->sets.n; i++) {
                int64_t cost;

                if (i == f->set || set_at(m, i)->n > most || !suits(m, f, i))
                        continue;
                cost = cost_of_putting(m, f, i);
                if (cost < least)
                        cost += homeless_cost_with(m, f, i);
                if (cost >= least)
                        continue;
                best = i;
                least = cost;
        }
        put(m, f, best, 1);
        if (best == f->set)
                return false;
        f->set = best;
        m->spare = most - set_at(m, best)->n;
        return true;
}

typedef struct Pair {
        Fresh *f, *g;
        unsigned most;                  /* nodes of both together */
        size_t best_f, best_g;
        int64_t least;
} Pair;

/* Both are off; @f goes to @set: where does @g go? */
static void try_second(Improve *m, Pair *pair, size_t set) {
        int64_t first = cost_of_putting(m, pair->f, set);

        put(m, pair->f, set, 1);
        for (size_t i = 0; i < m->sets.n; i++) {
                int64_t cost;

                if (set_at(m, set)->n + set_at(m, i)->n > pair->most || !suits(m, pair->g, i))
                        continue;
                cost = first + cost_of_putting(m, pair->g, i);
                if (cost < pair->least)
                        cost += homeless_cost_with(m, pair->g, i);
                if (cost >= pair->least)
                        continue;
                pair->best_f = set;
                pair->best_g = i;
                pair->least = cost;
        }
        put(m, pair->f, set, -1);
}

/* The same for two. */
static bool move_two(Improve *m, Fresh *f, Fresh *g) {
        Pair pair = { .f = f, .g = g, .best_f = f->set, .best_g = g->set };

        pair.most = set_at(m, f->set)->n + set_at(m, g->set)->n + m->spare;
        put(m, g, g->set, -1);
        put(m, f, f->set, -1);
        pair.least = cost_of_putting(m, f, f->set) - LEAST_GAIN;
        put(m, f, f->set, 1);
        pair.least += cost_of_putting(m, g, g->set) + homeless_cost_with(m, g, g->set);
        put(m, f, f->set, -1);
        for (size_t i = 0; i < m->sets.n; i++)
                if (suits(m, f, i))
                        try_second(m, &pair, i);
        put(m, f, pair.best_f, 1);
        put(m, g, pair.best_g, 1);
        if (pair.best_f == f->set && pair.best_g == g->set)
                return false;
        f->set = pair.best_f;
        g->set = pair.best_g;
        m->spare = pair.most - set_at(m, f->set)->n - set_at(m, g->set)->n;
        return true;
}

static bool pass_ones(Improve *m) {
        bool better = false;

        for (size_t i = 0; i < m->n_order && m->trials <= m->budget; i++)
                better = move_one(m, &m->fresh[m->order[i]]) || better;
        return better;
}

static bool pass_twos(Improve *m) {
        bool better = false;

        for (size_t i = 0; i < m->n_order; i++)
                for (size_t k = i + 1; k < m->n_order; k++) {
                        if (m->trials > m->budget)
                                return false;
                        better = move_two(m, &m->fresh[m->order[i]], &m->fresh[m->order[k]]) || better;
                }
        return better;
}

static void descend(Improve *m) {
        for (unsigned pass = 0; pass < PASSES_MAX; pass++)
                if (!pass_ones(m) && !pass_twos(m))
                        return;
}

/* The same for the same number: no two starts alike, and no chance in it (xorshift32, G. Marsaglia). */
static void shuffle(Improve *m, uint32_t number) {
        uint32_t x = number * 2654435761U;

        for (size_t i = m->n_order; i > 1; i--) {
                size_t k, swapped;

                x ^= x << 13;
                x ^= x >> 17;
                x ^= x << 5;
                k = x % i;
                swapped = m->order[i - 1];
                m->order[i - 1] = m->order[k];
                m->order[k] = swapped;
        }
}

/* All anew, one after the other, each where it costs least. */
static void start_again(Improve *m, unsigned number) {
        shuffle(m, number);
        for (size_t i = 0; i < m->n_order; i++)
                put(m, &m->fresh[m->order[i]], m->fresh[m->order[i]].set, -1);
        m->spare = 0;
        for (size_t i = 0; i < m->n_order; i++) {
                Fresh *f = &m->fresh[m->order[i]];

                f->set = f->first;
                put(m, f, f->set, 1);
                (void)move_one(m, f);
        }
}

/* The first descent is from what the search found. Returns the least cost, and leaves that assignment in best. */
static int64_t search(Improve *m) {
        int64_t least = INT64_MAX;

        for (unsigned i = 0; i < STARTS_MAX && m->trials <= m->budget; i++) {
                int64_t cost;

                if (i > 0)
                        start_again(m, i);
                descend(m);
                cost = whole_cost(m);
                if (least != INT64_MAX && cost > least - LEAST_GAIN)
                        continue;
                least = cost;
                for (size_t k = 0; k < m->n_fresh; k++)
                        m->fresh[k].best = m->fresh[k].set;
        }
        return least;
}

/* ---- from the search's result, and back ---- */

/* Nothing but CPUs and memory decides where it goes. */
static bool is_ordinary(const Placement *p, const PlacementGuest *g) {
        const Guest *guest = g->guest;
        IdSet unused;

        return p->plain && g->memo->n_cells == 0 && !memo_has_memory_only(g->memo) &&
               idset_is_empty(&guest->vfio_nodes) && !g->limited && !placement_memory_bound(p, guest, &unused);
}

static void init_fresh(Improve *m, Fresh *f, PlacementGuest *g) {
        IdSet unused;

        *f = (Fresh){ .guest = g, .set = g->dedicated ? SIZE_MAX : node_sets_find(&m->sets, &g->memo->nodes) };
        f->first = f->set;
        f->overcommit_permyriad = setting(g->settings, KEY_CPU_OVERCOMMIT);
        f->mib = placement_need(g, &g->memo->nodes) / MIB;
        f->free = f->set != SIZE_MAX && g->n_vcpus > 0 && !g->guest->hugepages && is_ordinary(m->p, g) &&
                  !placement_constraint(m->p, g->guest, &unused) && !placement_advised(m->p, g->guest, &unused);
}

static int init_rooms(Improve *m, int64_t mib) {
        m->memory = calloc(MAX(m->sets.n, (size_t)1), sizeof(*m->memory));
        if (!m->memory)
                return -ENOMEM;
        for (size_t i = 0; i < m->sets.n; i++) {
                const NodeSet *s = set_at(m, i);
                int64_t *room = &m->memory[i].room_mib;

                for (unsigned k = 0; k < s->n; k++) {
                        const PlacementNode *n = &m->before[s->nodes[k]];

                        *room += n->memory_known ? (int64_t)(u64_sub(n->room_bytes, n->pending_bytes) / MIB) : mib;
                }
                m->tight = m->tight || *room < mib;
        }
        return 0;
}

static int improve_init(Improve *m, PlacementGuest *const *fresh, size_t n) {
        uint64_t vcpus = 0, mib = 0;
        unsigned farthest = 10;
        int r;

        r = node_sets_init(&m->sets, m->p);
        if (r < 0)
                return r;
        m->fresh = calloc(n, sizeof(*m->fresh));
        m->order = calloc(n, sizeof(*m->order));
        m->commit_milli = calloc(2 * m->p->n_nodes, sizeof(*m->commit_milli));
        if (!m->fresh || !m->order || !m->commit_milli)
                return -ENOMEM;
        m->searched_milli = m->commit_milli + m->p->n_nodes;
        for (size_t i = 0; i < m->p->n_nodes; i++) {
                m->commit_milli[i] = (int64_t)m->before[i].commit_milli;
                for (size_t k = 0; k < m->p->n_nodes; k++)
                        farthest = MAX(farthest, topology_distance(m->p->topology, i, k));
        }
        for (size_t i = 0; i < n; i++) {
                init_fresh(m, &m->fresh[i], fresh[i]);
                if (m->fresh[i].free)
                        m->order[m->n_order++] = i;
                vcpus += fresh[i]->n_vcpus;
                mib += m->fresh[i].mib;
        }
        m->n_fresh = n;
        m->budget = CLAMP(n * TRIALS_EACH, (size_t)TRIALS_LEAST, (size_t)TRIALS_MOST);
        r = init_rooms(m, (int64_t)mib);
        if (r < 0)
                return r;
        m->homeless_micro = (int64_t)u64_muldiv(vcpus * (farthest - 10), MICRO / 10, MAX(mib, UINT64_C(1)));
        for (size_t i = 0; i < n; i++)
                if (m->fresh[i].set != SIZE_MAX)
                        put(m, &m->fresh[i], m->fresh[i].set, 1);
        memcpy(m->searched_milli, m->commit_milli, m->p->n_nodes * sizeof(*m->commit_milli));
        return 0;
}

static void improve_done(Improve *m) {
        node_sets_done(&m->sets);
        free(m->memory);
        free(m->fresh);
        free(m->order);
        free(m->commit_milli);
}

static int explain(const Improve *m, Fresh *f, int64_t before, int64_t after) {
        IdSet first = node_sets_ids(&m->sets, f->first), now = node_sets_ids(&m->sets, f->best);
        _cleanup_free_ char *a = NULL, *b = NULL;
        int r;

        r = idset_format(&now, &a);
        if (r >= 0)
                r = idset_format(&first, &b);
        if (r < 0)
                return r;
        /* So little is nothing but copying. */
        if (before - after < (int64_t)MICRO / 100)
                return strprintf_to(&f->guest->reason,
                                    "node%s %s: alone it would be on node%s %s; chosen together with the %zu other new "
                                    "guest%s, so that less memory has to be copied", idset_count(&now) == 1 ? "" : "s", a,
                                    idset_count(&first) == 1 ? "" : "s", b, m->n_fresh - 1, m->n_fresh == 2 ? "" : "s");
        return strprintf_to(&f->guest->reason,
                            "node%s %s: alone it would be on node%s %s; chosen together with the %zu other new guest%s, "
                            "for an expected cost of %" PRId64 ".%02" PRId64 " CPUs instead of %" PRId64 ".%02" PRId64,
                            idset_count(&now) == 1 ? "" : "s", a, idset_count(&first) == 1 ? "" : "s", b,
                            m->n_fresh - 1, m->n_fresh == 2 ? "" : "s", after / (int64_t)MICRO,
                            after % (int64_t)MICRO / 10000, before / (int64_t)MICRO,
                            before % (int64_t)MICRO / 10000);
}

static int apply(Improve *m, int64_t before, int64_t after) {
        int r;

        memcpy(m->p->nodes, m->before, m->p->n_nodes * sizeof(*m->before));
        for (size_t i = 0; i < m->n_fresh; i++) {
                Fresh *f = &m->fresh[i];

                if (f->best != f->first) {
                        r = explain(m, f, before, after);
                        if (r < 0)
                                return r;
                        f->guest->memo->nodes = node_sets_ids(&m->sets, f->best);
                }
                placement_account_nodes(m->p, f->guest, &f->guest->memo->nodes);
        }
        return 0;
}

int improve_placements(Placement *p, const PlacementNode *before, PlacementGuest *const *fresh, size_t n) {
        _cleanup_(improve_done) Improve m = { .p = p, .before = before };
        int64_t searched, improved;
        int r;

        if (n < 2 || p->n_nodes < 2)
                return 0;
        r = improve_init(&m, fresh, n);
        if (r < 0)
                return r;
        if (m.n_order < 2)
                return 0;
        searched = whole_cost(&m);
        improved = search(&m);
        return improved + LEAST_GAIN <= searched ? apply(&m, searched, improved) : 0;
}
