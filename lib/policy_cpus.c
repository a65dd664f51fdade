/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"

/*
 * The usable CPUs of the host fall into three parts: those that are some
 * guest's own (dedicated), the siblings of such CPUs that stay idle (cpu.threads
 * isolate), and the pool, which all other guests share. PlacementNode.cpus and
 * Placement.usable are the pool: who takes CPUs for guests that share from
 * there cannot touch a dedicated one.
 *
 * Of the pool, a CPU is free for being dedicated unless the user pinned a
 * thread to it alone. A core is free when all its usable CPUs are. What one
 * more dedicated guest could get on a node is then
 *
 *   prefer   its free CPUs;
 *   isolate  its free cores, one CPU each;
 *   require  the CPUs of its free cores that have two usable CPUs or more;
 *
 * less one CPU (or core) when that would be all of the pool and guests that
 * share CPUs are placed on the node: their masks never become empty, and nobody
 * is driven off a node by a dedicated guest. While there is any guest that
 * shares CPUs, wherever it is to be placed, the last CPU of the host's pool
 * stays as well.
 *
 * All counts are kept as CPUs are taken: a question costs one node. Only of a
 * guest whose cgroup leaves it some CPUs they are counted each time.
 */

CpuThreads placement_threads_policy(const PlacementGuest *g) {
        return (CpuThreads)setting(g->settings, KEY_CPU_THREADS);
}

IdSet placement_within_limit(const PlacementGuest *g, const IdSet *cpus) {
        return g->cpus_limited ? idset_and(cpus, &g->guest->cgroup_cpus) : *cpus;
}

static void set_free(Placement *p, unsigned cpu, bool is_free) {
        PlacementCore *core = &p->cores[p->cpu_core[cpu]];
        PlacementNode *n = &p->nodes[core->node];
        unsigned cpus = core->n_cpus, siblings = core->n_cpus > 1 ? core->n_cpus : 0;
        bool was = core_is_free(core);

        if (is_free) {
                core->n_free++;
                p->nodes[p->cpu_node[cpu]].n_free++;
        } else {
                core->n_free--;
                p->nodes[p->cpu_node[cpu]].n_free--;
        }
        if (core_is_free(core) && !was) {
                n->n_free_cores++;
                n->n_free_core_cpus += cpus;
                n->n_free_sibling_cpus += siblings;
        } else if (was && !core_is_free(core)) {
                n->n_free_cores--;
                n->n_free_core_cpus -= cpus;
                n->n_free_sibling_cpus -= siblings;
        }
}

static uint64_t cpu_busy(const Placement *p, unsigned cpu) {
        const CpuLoad *load = host_cpu(&p->context->snapshot->host, cpu);

        return load && load->busy_permyriad != UNKNOWN_PERMYRIAD ? load->busy_permyriad : 0;
}

static void join_pool(Placement *p, unsigned cpu) {
        PlacementNode *n = &p->nodes[p->cpu_node[cpu]];

        if (idset_contains(&p->usable, cpu))
                return;
        (void)idset_add(&p->usable, cpu);
        (void)idset_add(&n->cpus, cpu);
        n->n_cpus++;
        n->n_idle += p->cpu_milli[cpu] < PLACEMENT_MILLI;
        p->n_pool++;
        n->busy_permyriad += cpu_busy(p, cpu);
        if (!idset_contains(&p->barred, cpu))
                set_free(p, cpu, true);
}

static void leave_pool(Placement *p, unsigned cpu) {
        PlacementNode *n = &p->nodes[p->cpu_node[cpu]];

        if (!idset_contains(&p->usable, cpu))
                return;
        if (!idset_contains(&p->barred, cpu))
                set_free(p, cpu, false);
        idset_remove(&p->usable, cpu);
        idset_remove(&n->cpus, cpu);
        n->n_cpus--;
        n->n_idle -= p->cpu_milli[cpu] < PLACEMENT_MILLI;
        p->n_pool--;
        n->busy_permyriad = u64_sub(n->busy_permyriad, cpu_busy(p, cpu));
}

void placement_take_cpu(Placement *p, const PlacementGuest *g, unsigned cpu) {
        const PlacementCore *core = placement_core(p, cpu);

        leave_pool(p, cpu);
        (void)idset_add(&p->dedicated, cpu);
        if (placement_threads_policy(g) != THREADS_ISOLATE)
                return;
        for (unsigned i = core->first; i < core->first + core->n_cpus; i++)
                if (idset_contains(&p->usable, p->by_core[i])) {
                        leave_pool(p, p->by_core[i]);
                        (void)idset_add(&p->idle, p->by_core[i]);
                }
}

void placement_release_cpu(Placement *p, const PlacementGuest *g, unsigned cpu) {
        const PlacementCore *core = placement_core(p, cpu);

        idset_remove(&p->dedicated, cpu);
        join_pool(p, cpu);
        if (placement_threads_policy(g) != THREADS_ISOLATE)
                return;
        for (unsigned i = core->first; i < core->first + core->n_cpus; i++)
                if (idset_contains(&p->idle, p->by_core[i])) {
                        idset_remove(&p->idle, p->by_core[i]);
                        join_pool(p, p->by_core[i]);
                }
}

void placement_bar_cpu(Placement *p, unsigned cpu) {
        if (p->cpu_node[cpu] == UINT16_MAX || idset_contains(&p->barred, cpu))
                return;
        if (idset_contains(&p->usable, cpu))
                set_free(p, cpu, false);
        (void)idset_add(&p->barred, cpu);
}

bool placement_keeps_one(const Placement *p, const PlacementNode *n) {
        return n->keep || (p->sharing && n->n_cpus == p->n_pool);
}

/* @n of something that has @n_cpus CPUs; one stays when they are the whole pool of a node that keeps one. */
static unsigned but_one(const Placement *p, const PlacementNode *node, unsigned n, unsigned n_cpus) {
        return n > 0 && n_cpus == node->n_cpus && placement_keeps_one(p, node) ? n - 1 : n;
}

/* CPUs of @n that would leave the pool if @g got all it could get. */
static unsigned free_cpus(const PlacementGuest *g, const PlacementNode *n) {
        switch (placement_threads_policy(g)) {
        case THREADS_ISOLATE:
                return n->n_free_core_cpus;
        case THREADS_REQUIRE:
                return n->n_free_sibling_cpus;
        default:
                return n->n_free;
        }
}

/* @cpu is the first of its core that is in @cpus. */
static bool leads_core(const Placement *p, const PlacementCore *core, unsigned cpu, const IdSet *cpus) {
        unsigned i = core->first;

        while (!idset_contains(cpus, p->by_core[i]))
                i++;
        return p->by_core[i] == cpu;
}

/* The same within the limit of @g's cgroup, looked at CPU by CPU. Returns how many could be its own. */
static unsigned free_within_limit(const Placement *p, const PlacementGuest *g, const PlacementNode *n,
                                  unsigned *ret_leaving) {
        IdSet cpus = placement_within_limit(g, &n->cpus);
        CpuThreads threads = placement_threads_policy(g);
        unsigned own = 0, leaving = 0;

        IDSET_FOREACH(cpu, &cpus) {
                const PlacementCore *core = placement_core(p, (unsigned)cpu);
                bool whole = core_is_free(core);

                if ((threads == THREADS_PREFER && !idset_contains(&p->barred, (unsigned)cpu)) ||
                    (threads == THREADS_REQUIRE && whole && core->n_cpus > 1)) {
                        own++;
                        leaving++;
                } else if (threads == THREADS_ISOLATE && whole && leads_core(p, core, (unsigned)cpu, &cpus)) {
                        own++;
                        leaving += core->n_cpus;
                }
        }
        *ret_leaving = leaving;
        return own;
}

/* What @g could get of @n, and how many CPUs would leave the pool then. */
static unsigned could_get(const Placement *p, const PlacementGuest *g, const PlacementNode *n,
                          unsigned *ret_leaving) {
        if (g->cpus_limited)
                return free_within_limit(p, g, n, ret_leaving);
        *ret_leaving = free_cpus(g, n);
        return placement_threads_policy(g) == THREADS_ISOLATE ? n->n_free_cores : *ret_leaving;
}

static unsigned pool_of(const PlacementGuest *g, const PlacementNode *n) {
        IdSet cpus;

        if (!g->cpus_limited)
                return n->n_cpus;
        cpus = placement_within_limit(g, &n->cpus);
        return idset_count(&cpus);
}

unsigned placement_count_capacity(const Placement *p, const PlacementGuest *g, const PlacementNode *n) {
        unsigned own, leaving;

        if (!g->dedicated)
                return pool_of(g, n);
        own = could_get(p, g, n, &leaving);
        return but_one(p, n, own, leaving);
}

unsigned placement_capacity_of(const Placement *p, const PlacementGuest *g, const IdSet *nodes) {
        unsigned capacity = 0, pool = 0;
        bool kept = false;

        for (size_t i = 0; i < p->n_nodes; i++) {
                const PlacementNode *n = &p->nodes[i];
                unsigned leaving;

                if (nodes && !idset_contains(nodes, n->id))
                        continue;
                capacity += placement_capacity(p, g, n);
                (void)could_get(p, g, n, &leaving);
                pool += leaving;
                kept = kept || placement_keeps_one(p, n);
        }
        /* The last CPU of the pool is not on a node of its own here. */
        return p->sharing && !kept && capacity > 0 && pool == p->n_pool ? capacity - 1 : capacity;
}

/* Where a usable CPU stands: what by_core is sorted by. */
typedef struct Place {
        unsigned llc, core, id;
} Place;

static int compare_places(const void *a, const void *b) {
        const Place *x = a, *y = b;

        if (x->llc != y->llc)
                return x->llc < y->llc ? -1 : 1;
        if (x->core != y->core)
                return x->core < y->core ? -1 : 1;
        return (x->id > y->id) - (x->id < y->id);
}

static void core_add(Placement *p, const Place *cpu) {
        PlacementCore *core = &p->cores[cpu->core];

        if (core->n_cpus == 0) {
                core->first = (unsigned)p->n_by_core;
                core->node = p->cpu_node[cpu->id];
        }
        core->n_cpus++;
        p->by_core[p->n_by_core++] = (uint16_t)cpu->id;
}

static int caches_init(Placement *p) {
        for (size_t i = 0; i < p->n_by_core; i++)
                p->n_caches = MAX(p->n_caches, (size_t)placement_core(p, p->by_core[i])->llc + 1);
        p->caches = calloc(MAX(p->n_caches, (size_t)1), sizeof(*p->caches));
        if (!p->caches)
                return -ENOMEM;
        for (size_t i = p->n_by_core; i > 0; i--) {
                unsigned cpu = p->by_core[i - 1];
                PlacementCache *cache = &p->caches[placement_core(p, cpu)->llc];

                if (cache->end == 0)
                        *cache = (PlacementCache){ .end = i, .node = p->cpu_node[cpu] };
                cache->first = i - 1;
                if (cache->node != p->cpu_node[cpu])
                        cache->node = SIZE_MAX;
        }
        return 0;
}

int placement_cpus_init(Placement *p) {
        _cleanup_free_ Place *order = NULL;
        const Topology *t = p->topology;
        unsigned n_llcs = 0;
        size_t n = 0;
        int r;

        order = calloc(MAX(t->n_cpus, (size_t)1), sizeof(*order));
        p->by_core = calloc(MAX(t->n_cpus, (size_t)1), sizeof(*p->by_core));
        p->cores = calloc(MAX(p->n_cores, (size_t)1), sizeof(*p->cores));
        if (!order || !p->by_core || !p->cores)
                return -ENOMEM;
        /* A core has one cache, that of its first CPU, whatever a snapshot written by hand says. */
        for (size_t i = t->n_cpus; i > 0; i--)
                p->cores[t->cpus[i - 1].core].llc = t->cpus[i - 1].llc;
        for (size_t i = 0; i < t->n_cpus; i++) {
                const TopologyCpu *cpu = &t->cpus[i];

                if (p->cpu_node[cpu->id] != UINT16_MAX)
                        order[n++] = (Place){ .llc = p->cores[cpu->core].llc, .core = cpu->core, .id = cpu->id };
        }
        qsort(order, n, sizeof(*order), compare_places);
        for (size_t i = 0; i < n; i++) {
                n_llcs += i == 0 || order[i].llc != order[i - 1].llc;
                p->cores[order[i].core].llc = n_llcs - 1;
                core_add(p, &order[i]);
        }
        r = caches_init(p);
        if (r < 0)
                return r;
        p->n_pool = (unsigned)n;
        /* The counts of free cores want the size of each core first. */
        for (size_t i = 0; i < n; i++)
                set_free(p, order[i].id, true);
        return 0;
}
