/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_improve_internal.h"

/*
 * The cost of an assignment (policy_improve.h), in millionths of a CPU (micro).
 *
 * Memory of a guest on several nodes goes where there is room among them: what
 * has none is the largest excess of what must fit into a set over its room
 * (P. Hall's condition), over the listed sets.
 */

#define WAIT_DIVISOR 4U                 /* u = 1/4, see policy_improve.h */

static int64_t node_cost(const Improve *m, size_t node, int64_t milli) {
        int64_t cpus = (int64_t)m->p->nodes[node].n_cpus * PLACEMENT_MILLI;

        if (cpus == 0 || milli <= cpus)
                return 0;
        return milli * (milli - cpus) / cpus * (int64_t)(MICRO / PLACEMENT_MILLI) / WAIT_DIVISOR;
}

int64_t improve_homeless_cost(const Improve *m) {
        int64_t single = 0, most = 0;

        for (size_t i = 0; m->n_excess > 0 && i < m->sets.n; i++) {
                int64_t excess = m->memory[i].wanted_mib - m->memory[i].room_mib;

                if (excess > 0 && improve_set(m, i)->n == 1)
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

int64_t improve_guest_cost(const Improve *m, const Fresh *f, const NodeSet *set) {
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

int64_t improve_share_milli(const Improve *m, const Fresh *f, const NodeSet *s, size_t node) {
        int64_t milli = (int64_t)f->guest->n_vcpus * PLACEMENT_MILLI;

        return s->n == 1 ? milli : milli * m->p->nodes[node].n_cpus / s->n_cpus;
}

/* What the nodes of @s have to take of @f. */
static int64_t need_mib(const Improve *m, const Fresh *f, const NodeSet *s) {
        uint64_t bytes = 0;

        for (unsigned i = 0; f->follows && i < s->n; i++)
                bytes = u64_add(bytes, resident_on(f->guest->guest, m->p->nodes[s->nodes[i]].id));
        return (int64_t)u64_sub(f->mib, bytes / MIB);
}

static void want(Improve *m, const NodeSet *s, int64_t mib) {
        for (size_t i = 0; m->tight && i < s->n_above; i++) {
                SetMemory *a = &m->memory[m->sets.above[s->above + i]];

                m->n_excess -= a->wanted_mib > a->room_mib;
                a->wanted_mib += mib;
                m->n_excess += a->wanted_mib > a->room_mib;
        }
}

void improve_put(Improve *m, const Fresh *f, size_t set, int64_t sign) {
        const NodeSet *s = improve_set(m, set);
        int64_t mib = m->tight ? need_mib(m, f, s) : 0;

        for (unsigned i = 0; i < s->n; i++) {
                int64_t milli = improve_share_milli(m, f, s, s->nodes[i]);

                m->commit_milli[s->nodes[i]] += sign < 0 ? -milli : milli;
        }
        want(m, s, sign < 0 ? -mib : mib);
}

int64_t improve_homeless_cost_with(Improve *m, const Fresh *f, size_t set) {
        const NodeSet *s = improve_set(m, set);
        int64_t mib = m->tight ? need_mib(m, f, s) : 0, cost;
        bool excess = m->n_excess > 0;

        for (size_t i = 0; m->tight && !excess && i < s->n_above; i++) {
                const SetMemory *a = &m->memory[m->sets.above[s->above + i]];

                excess = a->wanted_mib + mib > a->room_mib;
        }
        if (!excess)
                return 0;
        want(m, s, mib);
        cost = improve_homeless_cost(m);
        want(m, s, -mib);
        return cost;
}

int64_t improve_cost_of_putting(const Improve *m, const Fresh *f, size_t set) {
        const NodeSet *s = improve_set(m, set);
        int64_t cost = improve_guest_cost(m, f, s);

        for (unsigned i = 0; i < s->n; i++) {
                size_t node = s->nodes[i];

                cost += node_cost(m, node, m->commit_milli[node] + improve_share_milli(m, f, s, node)) -
                        node_cost(m, node, m->commit_milli[node]);
        }
        return cost;
}

int64_t improve_whole_cost(const Improve *m) {
        int64_t cost = improve_homeless_cost(m);

        for (size_t i = 0; i < m->p->n_nodes; i++)
                cost += node_cost(m, i, m->commit_milli[i]);
        for (size_t i = 0; i < m->n_fresh; i++)
                if (m->fresh[i].set != SIZE_MAX)
                        cost += improve_guest_cost(m, &m->fresh[i], improve_set(m, m->fresh[i].set));
        return cost;
}
