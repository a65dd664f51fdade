/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"

/*
 * cpu.policy pinned: one CPU a vCPU. The least committed one; of these, a free
 * core before the sibling of a busy one, a CPU with the guest's last-level cache
 * before others, the lowest number. A vCPU that has a CPU keeps it, unless it
 * shares it while another one of the node has none: CPUs that came back (a
 * dedicated guest went, one came online) are used again, and no move makes
 * another one follow.
 */

static bool is_single(const IdSet *set, int *ret_cpu) {
        *ret_cpu = idset_next(set, 0);
        return *ret_cpu >= 0 && idset_next(set, (unsigned)*ret_cpu + 1) < 0;
}

bool placement_single_cpu(const GuestThread *t, int *ret_cpu) {
        return is_single(t->pinned ? &t->pin : &t->affinity, ret_cpu);
}

/* The part of each CPU in what may run anywhere on its node. CPUs in a row are mostly of one node: divided once. */
typedef struct NodePart {
        size_t node;
        uint64_t milli;
} NodePart;

#define NODE_PART_NONE ((NodePart){ .node = SIZE_MAX })

/* Bound to the CPU, plus that part. */
static uint64_t cpu_commitment(const Placement *p, unsigned cpu, NodePart *part) {
        size_t node = p->cpu_node[cpu];

        if (part->node != node) {
                part->node = node;
                part->milli = p->nodes[node].shared_milli / MAX(p->nodes[node].n_cpus, 1U);
        }
        return p->cpu_milli[cpu] + part->milli;
}

/* The next one that has no more than @least and has the last-level cache @llc, or -1. */
static int as_little_committed(const Placement *p, const IdSet *cpus, const IdSet *taken, int llc,
                               const PlacementBound *least) {
        NodePart part = NODE_PART_NONE;

        for (int cpu = idset_next(cpus, least->from); cpu >= 0; cpu = idset_next(cpus, (unsigned)cpu + 1))
                if (p->core_milli[p->cpu_core[cpu]] == least->on_core && !idset_contains(taken, (unsigned)cpu) &&
                    cpu_commitment(p, (unsigned)cpu, &part) == least->on_cpu &&
                    (llc < 0 || placement_core(p, (unsigned)cpu)->llc == (unsigned)llc))
                        return cpu;
        return -1;
}

/*
 * Of @cpus that are not in @taken. Of equal ones, one with the last-level cache @llc (-1: none is preferred). @least
 * holds for them, and then says what the one found has: while CPUs are only given away, the next one is found as soon
 * as there is another like it.
 */
static int least_committed(const Placement *p, const IdSet *cpus, const IdSet *taken, int llc,
                           PlacementBound *least) {
        uint64_t best_cpu = UINT64_MAX, best_core = UINT64_MAX;
        NodePart part = NODE_PART_NONE;
        bool best_strange = true;
        int best = -1;

        if (least->from > 0)
                best = as_little_committed(p, cpus, taken, llc, least);
        if (best >= 0) {
                least->from = (unsigned)best;
                return best;
        }
        IDSET_FOREACH(cpu, cpus) {
                uint64_t on_cpu = cpu_commitment(p, (unsigned)cpu, &part), on_core;
                bool strange;

                if (on_cpu > best_cpu || idset_contains(taken, (unsigned)cpu))
                        continue;
                on_core = p->core_milli[p->cpu_core[cpu]];
                if (on_cpu == best_cpu && on_core > best_core)
                        continue;
                strange = llc >= 0 && placement_core(p, (unsigned)cpu)->llc != (unsigned)llc;
                if (best >= 0 && on_cpu == best_cpu && on_core == best_core && strange >= best_strange)
                        continue;
                best = cpu;
                best_cpu = on_cpu;
                best_core = on_core;
                best_strange = strange;
                if (on_cpu == least->on_cpu && on_core == least->on_core && !strange)
                        break;
        }
        /* Where all that have so little are strange there is no other like it. */
        if (best >= 0)
                *least = (PlacementBound){ best_cpu, best_core, best_strange ? 0 : (unsigned)best };
        return best;
}

/* NULL: @cpus are not those of one node, all of them. */
static PlacementNode *whole_node(const Placement *p, const IdSet *cpus) {
        int cpu = idset_next(cpus, 0);
        PlacementNode *n = cpu >= 0 ? &p->nodes[p->cpu_node[cpu]] : NULL;

        return n && idset_equal(cpus, &n->cpus) ? n : NULL;
}

/* All usable CPUs of @n are in the cache of @cpu, one of them. */
static bool has_one_cache(const Placement *p, const PlacementNode *n, unsigned cpu) {
        const PlacementCache *cache = &p->caches[placement_core(p, cpu)->llc];

        return cache->node == n->index && cache->end - cache->first == n->n_usable;
}

/* The cache that has as many of the least committed CPUs as are needed, and not many more; else the most of them. */
static int roomiest_cache(const Placement *p, const IdSet *cpus, unsigned n, PlacementBound *least) {
        PlacementNode *node = whole_node(p, cpus);
        NodePart part = NODE_PART_NONE;
        unsigned best_room = 0;
        int best = -1, first;

        if (node)
                *least = node->least;
        first = least_committed(p, cpus, &idset_none, -1, least);
        if (first < 0)
                return -1;
        if (node)
                node->least = *least;
        if (node && has_one_cache(p, node, (unsigned)first))
                return (int)placement_core(p, (unsigned)first)->llc;
        IDSET_FOREACH(cpu, cpus)
                p->caches[placement_core(p, (unsigned)cpu)->llc].room +=
                        cpu_commitment(p, (unsigned)cpu, &part) <= least->on_cpu;
        for (size_t llc = 0; llc < p->n_caches; llc++) {
                unsigned room = p->caches[llc].room;

                p->caches[llc].room = 0;
                if (room == 0 || (best_room >= n ? room < n || room >= best_room : room <= best_room))
                        continue;
                best = (int)llc;
                best_room = room;
        }
        return best;
}

/* Whether @g's pins to single CPUs were counted before: see placement_account(). */
static bool counted_before(const PlacementGuest *g) {
        return !g->fresh && !g->moving;
}

const IdSet *placement_vcpu_cpus(const Guest *g, const IdSet *cell_cpus, const IdSet *cpus, unsigned vcpu) {
        for (size_t i = 0; i < g->n_cells; i++)
                if (idset_contains(&g->cells[i].vcpus, vcpu))
                        return idset_is_empty(&cell_cpus[i]) ? cpus : &cell_cpus[i];
        return cpus;
}

/* A CPU of its own for each vCPU of the guest while there are enough: two on one wait for each other. */
static int pick_cpu(const Placement *p, const IdSet *cpus, const IdSet *taken, int llc, PlacementBound *least) {
        PlacementBound none = { 0 };
        int cpu = least_committed(p, cpus, taken, llc, least);

        /* Those that are taken may have less. */
        return cpu >= 0 ? cpu : least_committed(p, cpus, &idset_none, llc, &none);
}

/* p->picked: the CPU of each online vCPU that has one, -1 for the others. Returns how many have none. */
static unsigned keep_cpus(Placement *p, const PlacementGuest *g, const IdSet *cell_cpus, const IdSet *cpus,
                          IdSet *taken) {
        const Guest *guest = g->guest;
        unsigned n = 0;

        for (size_t i = 0; i < guest->n_vcpus; i++) {
                const GuestThread *t = &guest->vcpus[i];
                int cpu;

                p->picked[i] = -1;
                if (!t->online)
                        continue;
                if (!t->pinned || !placement_single_cpu(t, &cpu) ||
                    !idset_contains(placement_vcpu_cpus(guest, cell_cpus, cpus, t->id), (unsigned)cpu)) {
                        n++;
                        continue;
                }
                p->picked[i] = cpu;
                (void)idset_add(taken, (unsigned)cpu);
                if (!counted_before(g))
                        placement_bind_cpu(p, (unsigned)cpu, (int)PLACEMENT_MILLI);
        }
        return n;
}

static void spread_again(Placement *p, const PlacementGuest *g, const IdSet *cell_cpus, const IdSet *cpus,
                         IdSet *taken) {
        for (size_t i = 0; i < g->guest->n_vcpus; i++) {
                const IdSet *allowed;
                int from = p->picked[i], to;
                PlacementBound least = { 0 };
                IdSet others;

                if (from < 0 || p->cpu_milli[from] < 2 * PLACEMENT_MILLI || p->nodes[p->cpu_node[from]].n_idle == 0)
                        continue;
                allowed = placement_vcpu_cpus(g->guest, cell_cpus, cpus, g->guest->vcpus[i].id);
                others = idset_and(allowed, &p->nodes[p->cpu_node[from]].cpus);
                to = least_committed(p, &others, taken, -1, &least);
                if (to < 0 || p->cpu_milli[to] >= PLACEMENT_MILLI ||
                    p->cpu_milli[to] + 2 * PLACEMENT_MILLI > p->cpu_milli[from])
                        continue;
                placement_bind_cpu(p, (unsigned)from, -(int)PLACEMENT_MILLI);
                placement_bind_cpu(p, (unsigned)to, (int)PLACEMENT_MILLI);
                p->picked[i] = to;
                (void)idset_add(taken, (unsigned)to);
        }
}

void placement_pick_pinned(Placement *p, const PlacementGuest *g, const IdSet *cell_cpus, const IdSet *cpus) {
        const Guest *guest = g->guest;
        IdSet taken = IDSET_EMPTY;
        PlacementBound least = { 0 };
        unsigned n = keep_cpus(p, g, cell_cpus, cpus, &taken);
        int llc = idset_next(&taken, 0);

        spread_again(p, g, cell_cpus, cpus, &taken);
        if (n == 0)
                return;
        llc = llc >= 0 ? (int)placement_core(p, (unsigned)llc)->llc : roomiest_cache(p, cpus, n, &least);
        for (size_t i = 0; i < guest->n_vcpus; i++) {
                const IdSet *allowed;
                PlacementBound none = { 0 };

                if (!guest->vcpus[i].online || p->picked[i] >= 0)
                        continue;
                allowed = placement_vcpu_cpus(guest, cell_cpus, cpus, guest->vcpus[i].id);
                p->picked[i] = pick_cpu(p, allowed, &taken, llc, allowed == cpus ? &least : &none);
                if (p->picked[i] < 0)
                        continue;
                (void)idset_add(&taken, (unsigned)p->picked[i]);
                placement_bind_cpu(p, (unsigned)p->picked[i], (int)PLACEMENT_MILLI);
        }
}
