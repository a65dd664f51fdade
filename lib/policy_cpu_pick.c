/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"

/*
 * Which CPUs become a guest's own, on nodes that are settled.
 *
 * One last-level cache after the other: one that has room for all that is left
 * before one that has not; one where the guest is already; the smallest that
 * has room (large ones stay for large guests), or else the largest.
 *
 * In it, core by core: first the siblings of CPUs that are the guest's own
 * already, then free cores: the largest that is filled up, or, when all are
 * larger than what is left, the smallest; under cpu.threads isolate the
 * smallest, since its siblings stay idle. Among equal ones the core with the
 * fewest vCPUs pinned to it, then the order of the topology. Cores that others
 * are on come only under prefer, and only when no cache has a free core.
 *
 * The terms are nova's (hw:cpu_thread_policy).
 */

typedef struct Picker {
        Placement *p;
        PlacementGuest *g;
        const IdSet *nodes;
        CpuThreads threads;
        bool crowded;           /* cores that others are on, too */
        unsigned left;
} Picker;

/* A last-level cache, and what the guest could get and has of it. */
typedef struct Cache {
        const PlacementCache *run;
        unsigned room, own;
} Cache;

/* What speaks for a core: less is better, compared in this order. */
typedef struct CoreRank {
        unsigned strange, oversize, waste;
        uint64_t pinned;
} CoreRank;

static bool cpu_is_free(const Placement *p, unsigned cpu) {
        return idset_contains(&p->usable, cpu) && !idset_contains(&p->barred, cpu);
}

static unsigned own_cpus(const Picker *k, const PlacementCore *core) {
        unsigned n = 0;

        for (unsigned i = core->first; i < core->first + core->n_cpus; i++)
                n += idset_contains(memo_cpus(k->g->memo), k->p->by_core[i]);
        return n;
}

/* A CPU may be taken: its node is among those asked for, and has one to give. */
static bool may_take(const Picker *k, unsigned cpu, bool own_core) {
        const PlacementNode *n = &k->p->nodes[k->p->cpu_node[cpu]];

        if (!cpu_is_free(k->p, cpu) || !idset_contains(k->nodes, n->id) ||
            (k->g->cpus_limited && !idset_contains(&k->g->guest->cgroup_cpus, cpu)))
                return false;
        return own_core ? n->n_cpus > placement_keeps_one(k->p, n) : placement_capacity(k->p, k->g, n) > 0;
}

/* CPUs of @core the guest could get now; 0: not this core. */
static unsigned core_room(const Picker *k, const PlacementCore *core, unsigned *ret_own) {
        unsigned own = own_cpus(k, core), room = 0;

        *ret_own = own;
        if (k->threads == THREADS_REQUIRE && core->n_cpus < 2)
                return 0;
        if (!core_is_free(core) && !k->crowded && (own == 0 || k->threads == THREADS_ISOLATE))
                return 0;
        for (unsigned i = core->first; i < core->first + core->n_cpus; i++)
                room += may_take(k, k->p->by_core[i], own > 0);
        return k->threads == THREADS_ISOLATE ? MIN(room, 1U) : room;
}

static CoreRank core_rank(const Picker *k, const PlacementCore *core, unsigned own) {
        unsigned size = core->n_cpus;
        CoreRank rank = {
                .strange = own == 0,
                .pinned = k->p->core_milli[core - k->p->cores],
        };

        if (k->threads == THREADS_ISOLATE)
                rank.waste = size;
        else {
                rank.oversize = core->n_free > k->left;
                rank.waste = rank.oversize ? size : UINT16_MAX - size;
        }
        return rank;
}

static bool rank_is_better(const CoreRank *a, const CoreRank *b) {
        if (a->strange != b->strange)
                return a->strange < b->strange;
        if (a->oversize != b->oversize)
                return a->oversize < b->oversize;
        if (a->waste != b->waste)
                return a->waste < b->waste;
        return a->pinned < b->pinned;
}

static const PlacementCore *best_core(const Picker *k, const Cache *cache) {
        const PlacementCore *best = NULL;
        CoreRank best_rank = { 0 };

        for (size_t i = cache->run->first; i < cache->run->end;) {
                const PlacementCore *core = placement_core(k->p, k->p->by_core[i]);
                CoreRank rank;
                unsigned own;

                i += core->n_cpus;
                if (core_room(k, core, &own) == 0)
                        continue;
                rank = core_rank(k, core, own);
                if (best && !rank_is_better(&rank, &best_rank))
                        continue;
                best = core;
                best_rank = rank;
        }
        return best;
}

static void take_core(Picker *k, const PlacementCore *core) {
        bool own = own_cpus(k, core) > 0;

        for (unsigned i = core->first; i < core->first + core->n_cpus && k->left > 0; i++) {
                unsigned cpu = k->p->by_core[i];

                if (!may_take(k, cpu, own))
                        continue;
                placement_take_cpu(k->p, k->g, cpu);
                (void)idset_add(k->g->memo->cpus, cpu);
                k->left--;
                if (k->threads == THREADS_ISOLATE)
                        return;
                own = true;
        }
}

static bool cache_is_better(const Picker *k, const Cache *a, const Cache *b) {
        bool a_fits = a->room >= k->left, b_fits = b->room >= k->left;

        if (a_fits != b_fits)
                return a_fits;
        if (a->own != b->own)
                return a->own > b->own;
        return a_fits ? a->room < b->room : a->room > b->room;
}

static Cache look_at_cache(const Picker *k, const PlacementCache *run) {
        Cache cache = { .run = run };

        /* On a node that is not asked for there is nothing to be had. */
        if (run->node != SIZE_MAX && !idset_contains(k->nodes, k->p->nodes[run->node].id))
                return cache;
        for (size_t i = run->first; i < run->end;) {
                const PlacementCore *core = placement_core(k->p, k->p->by_core[i]);
                unsigned own;

                cache.room += core_room(k, core, &own);
                cache.own += own;
                i += core->n_cpus;
        }
        return cache;
}

static bool best_cache(const Picker *k, Cache *ret) {
        bool found = false;

        for (size_t i = 0; i < k->p->n_caches; i++) {
                Cache cache = look_at_cache(k, &k->p->caches[i]);

                if (cache.room == 0 || (found && !cache_is_better(k, &cache, ret)))
                        continue;
                *ret = cache;
                found = true;
        }
        return found;
}

static void fill(Picker *k) {
        const PlacementCore *core;
        Cache cache = { 0 };

        while (k->left > 0 && best_cache(k, &cache))
                while (k->left > 0 && (core = best_core(k, &cache)))
                        take_core(k, core);
}

unsigned placement_pick_cpus(Placement *p, PlacementGuest *g, const IdSet *nodes, unsigned n) {
        Picker k = { .p = p, .g = g, .nodes = nodes, .threads = placement_threads_policy(g), .left = n };

        fill(&k);
        if (k.threads == THREADS_PREFER && k.left > 0) {
                k.crowded = true;
                fill(&k);
        }
        return n - k.left;
}

/* ---- which thread has which of the guest's own CPUs ---- */

/* Takes the CPU that @t is pinned to from @rest, when it is there and on @nodes (NULL: any). */
static int take_present(const Placement *p, const GuestThread *t, const IdSet *nodes, IdSet *rest) {
        int cpu;

        if (!placement_single_cpu(t, &cpu) || !idset_contains(rest, (unsigned)cpu))
                return -1;
        if (nodes && !idset_contains(nodes, p->nodes[p->cpu_node[cpu]].id))
                return -1;
        idset_remove(rest, (unsigned)cpu);
        return cpu;
}

/* The first of @rest in the order of caches and cores: neighbours for neighbours. */
static int take_next(const Placement *p, const IdSet *nodes, IdSet *rest) {
        int best = -1;
        unsigned best_at = UINT32_MAX;

        IDSET_FOREACH(cpu, rest) {
                unsigned at = placement_core(p, (unsigned)cpu)->first;

                if (at >= best_at || (nodes && !idset_contains(nodes, p->nodes[p->cpu_node[cpu]].id)))
                        continue;
                best = cpu;
                best_at = at;
        }
        if (best >= 0)
                idset_remove(rest, (unsigned)best);
        return best;
}

int placement_assign_one(const Placement *p, const GuestThread *t, IdSet *rest) {
        int cpu = take_present(p, t, NULL, rest);

        return cpu >= 0 ? cpu : take_next(p, NULL, rest);
}

void placement_assign_cpus(Placement *p, const PlacementGuest *g, IdSet *ret_rest) {
        const Guest *guest = g->guest;
        bool cells = guest->n_cells > 0;
        IdSet rest = *memo_cpus(g->memo), nodes;

        for (unsigned pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < guest->n_vcpus; i++) {
                        const GuestThread *t = &guest->vcpus[i];

                        if (pass == 0)
                                p->picked[i] = -1;
                        if (!t->online || p->picked[i] >= 0)
                                continue;
                        if (cells)
                                nodes = placement_vcpu_nodes(p, g, t->id);
                        p->picked[i] = pass == 0 ? take_present(p, t, cells ? &nodes : NULL, &rest)
                                                 : take_next(p, cells ? &nodes : NULL, &rest);
                }
        *ret_rest = rest;
}
