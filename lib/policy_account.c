/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"

/*
 * What is on the host. A vCPU that may run on several CPUs counts on each of
 * them in equal parts; a guest that was placed on nodes
 * counts there in proportion to their usable CPUs, whatever its threads are
 * allowed at this instant (a pin may be on its way). Most guests have the same
 * allowed set for all threads, and neighbours often the same as each other, so
 * equal sets in a row are counted in one pass over the CPUs.
 */

/* Takes @bytes of promised memory from the nodes with a weight, in proportion to their room. */
static void promise(Placement *p, const Guest *g, uint64_t bytes) {
        uint64_t total = 0;

        if (bytes == 0)
                return;
        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->weights[i] > 0 && p->nodes[i].memory_known)
                        total = u64_add(total, placement_room(&p->nodes[i], g));
        for (size_t i = 0; i < p->n_nodes; i++) {
                PlacementNode *n = &p->nodes[i];

                if (p->weights[i] > 0 && n->memory_known)
                        placement_take_room(n, g, u64_muldiv(bytes, placement_room(n, g), total));
        }
}

/* vCPUs and demand over the nodes, in proportion to p->weights. */
static void spread(Placement *p, uint64_t vcpus_milli, uint64_t demand, bool shared) {
        uint64_t total = 0;

        for (size_t i = 0; i < p->n_nodes; i++)
                total += p->weights[i];
        for (size_t i = 0; i < p->n_nodes; i++) {
                uint64_t part;

                if (p->weights[i] == 0)
                        continue;
                part = u64_muldiv(vcpus_milli, p->weights[i], total);
                p->nodes[i].commit_milli += part;
                if (shared)
                        p->nodes[i].shared_milli += part;
                p->nodes[i].demand_permyriad += u64_muldiv(demand, p->weights[i], total);
        }
}

void placement_bind_cpu(Placement *p, unsigned cpu, int milli) {
        PlacementNode *n = &p->nodes[p->cpu_node[cpu]];
        bool was_idle = p->cpu_milli[cpu] < PLACEMENT_MILLI;

        p->cpu_milli[cpu] += (uint32_t)milli;
        p->core_milli[p->cpu_core[cpu]] += (uint32_t)milli;
        if (milli < 0)
                n->least = (PlacementBound){ 0 };
        if (was_idle && p->cpu_milli[cpu] >= PLACEMENT_MILLI)
                n->n_idle--;
        else if (!was_idle && p->cpu_milli[cpu] < PLACEMENT_MILLI)
                n->n_idle++;
}

/* p->weights: from the nodes of CPUs to those of memory. Returns how many. */
static size_t weigh_memory(Placement *p) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->weights[i] > 0 && p->nodes[i].memory_at != i) {
                        p->weights[i] = 0;
                        p->weights[p->nodes[i].memory_at] = MAX(p->weights[p->nodes[i].memory_at], UINT64_C(1));
                }
        for (size_t i = 0; i < p->n_nodes; i++)
                n += p->weights[i] > 0;
        return n;
}

/* What a starting guest will touch; what nodes with CPUs have no room for goes to its memory-only nodes. */
static void promise_start(Placement *p, const PlacementGuest *g, uint64_t need) {
        uint64_t room = 0;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->weights[i] > 0)
                        room = u64_add(room, placement_room(&p->nodes[i], g->guest));
        promise(p, g->guest, need);
        if (need <= room || !g->memo || !memo_has_memory_only(g->memo))
                return;
        for (size_t i = 0; i < p->n_nodes; i++)
                p->weights[i] = idset_contains(memo_memory_only(g->memo), p->nodes[i].id);
        promise(p, g->guest, need - room);
}

/* By the nodes' usable CPUs; for a guest with a node for each cell, by the vCPUs there. */
void placement_weigh(Placement *p, const PlacementGuest *g, const IdSet *nodes) {
        bool cells = g->memo && g->memo->n_cells > 0 && g->memo->n_cells == g->guest->n_cells &&
                     idset_equal(nodes, memo_nodes(g->memo));

        for (size_t i = 0; i < p->n_nodes; i++) {
                const PlacementNode *n = &p->nodes[i];

                p->weights[i] = idset_contains(nodes, n->id) ? n->n_cpus : 0;
                if (!cells || p->weights[i] == 0)
                        continue;
                p->weights[i] = 0;
                for (size_t c = 0; c < g->memo->n_cells; c++)
                        if (g->memo->cell_nodes[c] == n->id)
                                p->weights[i] += MAX(idset_count(&g->guest->cells[c].vcpus), 1U);
        }
}

void placement_account_vcpus(Placement *p, const PlacementGuest *g, const IdSet *nodes) {
        placement_weigh(p, g, nodes);
        for (size_t i = 0; i < p->n_nodes; i++)
                p->nodes[i].keep = p->nodes[i].keep || p->weights[i] > 0;
        spread(p, (uint64_t)g->n_vcpus * PLACEMENT_MILLI, g->demand_permyriad, true);
}

static void account_memory(Placement *p, const PlacementGuest *g, const IdSet *nodes) {
        IdSet memory = placement_memory_of(p, nodes);
        uint64_t need = placement_need(g, &memory), untouched = placement_untouched(g);
        size_t n;

        for (size_t i = 0; i < p->n_nodes; i++)
                p->weights[i] = idset_contains(nodes, p->nodes[i].id) ? p->nodes[i].n_usable : 0;
        n = weigh_memory(p);
        if (g->guest->starting) {
                promise_start(p, g, need);
                return;
        }
        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->weights[i] > 0) {
                        p->nodes[i].pending_bytes += need / n;
                        p->nodes[i].promised_bytes += untouched / n;
                }
}

/* The CPUs of a dedicated guest are in nobody else's way: they left the pool. */
void placement_account_nodes(Placement *p, const PlacementGuest *g, const IdSet *nodes) {
        if (!g->dedicated)
                placement_account_vcpus(p, g, nodes);
        account_memory(p, g, nodes);
}

void placement_account_reservations(Placement *p) {
        const Snapshot *s = p->context->snapshot;

        for (size_t i = 0; i < s->n_reservations; i++) {
                const Reservation *r = &s->reservations[i];
                Guest expected = { .starting = true };
                PlacementGuest g = { .guest = &expected, .settings = &p->context->host };

                expected.max_bytes = r->memory_bytes;
                expected.hugepages = r->hugepages;
                expected.hugepage_bytes = r->hugepage_bytes;
                g.n_vcpus = (unsigned)MIN(r->vcpus, (uint64_t)UINT32_MAX);
                g.resident_bytes = UNKNOWN_U64;
                placement_account_nodes(p, &g, &r->nodes);
        }
}

/* The CPUs on which the thread runs as far as anybody knows. */
static const IdSet *thread_set(const Placement *p, const Guest *g, const GuestThread *t) {
        if (!idset_is_empty(&t->affinity))
                return &t->affinity;
        if (t->pinned)
                return &t->pin;
        if (g->vcpu_cpuset_set)
                return &g->vcpu_cpuset;
        return &p->topology->online;
}

/* @n vCPUs of @g with @demand in sum, all allowed on @set. */
static void account_set(Placement *p, const PlacementGuest *g, const IdSet *set, unsigned n, uint64_t demand) {
        IdSet cpus = idset_and(set, &p->usable);
        unsigned members;

        cpus = placement_within_limit(g, &cpus);
        members = idset_count(&cpus);
        memset(p->weights, 0, p->n_nodes * sizeof(*p->weights));
        if (members == 0)
                return;
        IDSET_FOREACH(cpu, &cpus) {
                p->weights[p->cpu_node[cpu]]++;
                placement_bind_cpu(p, (unsigned)cpu, (int)((uint64_t)n * PLACEMENT_MILLI / members));
        }
        spread(p, (uint64_t)n * PLACEMENT_MILLI, demand, false);
}

/* What a guest that nobody placed may still touch, in equal parts where it may run. */
static void promise_untouched(Placement *p, const PlacementGuest *g) {
        uint64_t untouched = placement_untouched(g);
        size_t n = untouched > 0 ? weigh_memory(p) : 0;

        for (size_t i = 0; n > 0 && i < p->n_nodes; i++)
                if (p->weights[i] > 0)
                        p->nodes[i].promised_bytes += untouched / n;
}

/* By what its threads may use: runs of equal sets together. */
static void account_threads(Placement *p, const PlacementGuest *g) {
        const IdSet *pending = NULL;
        unsigned n = 0, each;

        each = g->n_vcpus > 0 ? (unsigned)(g->demand_permyriad / g->n_vcpus) : 0;
        for (size_t i = 0; i < g->guest->n_vcpus; i++) {
                const GuestThread *t = &g->guest->vcpus[i];
                const IdSet *set = thread_set(p, g->guest, t);

                if (!t->online)
                        continue;
                if (pending && !idset_equal(pending, set)) {
                        account_set(p, g, pending, n, (uint64_t)n * each);
                        n = 0;
                }
                pending = set;
                n++;
        }
        if (!pending)
                return;
        account_set(p, g, pending, n, (uint64_t)n * each);
        promise_untouched(p, g);
        if (g->guest->starting)
                promise(p, g->guest, u64_sub(g->guest->max_bytes,
                                             g->resident_bytes == UNKNOWN_U64 ? 0 : g->resident_bytes));
}

void placement_account(Placement *p, const PlacementGuest *g) {
        const GuestMemo *m = g->memo;

        if (g->dedicated) {
                account_memory(p, g, memo_nodes(m));
                return;
        }
        if (!m || m->user_pinned || placement_policy(g) == CPU_NONE || !memo_is_placed(m) ||
            setting(g->settings, KEY_NUMA_POLICY) == NUMA_NONE) {
                account_threads(p, g);
                return;
        }
        placement_account_nodes(p, g, memo_nodes(m));
        if (placement_policy(g) != CPU_PINNED)
                return;
        for (size_t i = 0; i < g->guest->n_vcpus; i++) {
                const GuestThread *t = &g->guest->vcpus[i];
                int cpu;

                /* One that it is about to leave is free for others. */
                if (t->online && t->pinned && placement_single_cpu(t, &cpu) &&
                    idset_contains(&p->usable, (unsigned)cpu) &&
                    idset_contains(memo_nodes(m), p->nodes[p->cpu_node[cpu]].id))
                        placement_bind_cpu(p, (unsigned)cpu, (int)PLACEMENT_MILLI);
        }
}
