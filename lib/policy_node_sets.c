/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_node_sets.h"

#define MICRO UINT64_C(1000000)
#define EVERY_SET_NODES NODE_SET_MAX    /* on hosts of so many nodes every set is listed */

static uint64_t spread_micro(const Placement *p, const NodeSet *s) {
        uint64_t sum = 0;

        for (unsigned i = 0; i < s->n; i++)
                for (unsigned k = 0; k < s->n; k++)
                        sum += (uint64_t)p->nodes[s->nodes[i]].n_cpus * p->nodes[s->nodes[k]].n_cpus *
                               topology_distance(p->topology, s->nodes[i], s->nodes[k]);
        return u64_muldiv(sum, MICRO / 10, (uint64_t)s->n_cpus * s->n_cpus);
}

static bool has_node(const NodeSet *s, size_t node) {
        for (unsigned i = 0; i < s->n; i++)
                if (s->nodes[i] == node)
                        return true;
        return false;
}

static bool is_part(const NodeSet *a, const NodeSet *b) {
        if (a->n > b->n || (a->bits & ~b->bits))
                return false;
        for (unsigned i = 0; i < a->n; i++)
                if (!has_node(b, a->nodes[i]))
                        return false;
        return true;
}

static size_t find(const NodeSets *s, const NodeSet *set) {
        for (size_t i = 0; i < s->n; i++)
                if (s->sets[i].n == set->n && is_part(&s->sets[i], set))
                        return i;
        return SIZE_MAX;
}

static int add(NodeSets *s, const NodeSet *set) {
        int r;

        if (find(s, set) != SIZE_MAX)
                return 0;
        r = GROW_ARRAY(s->sets, s->capacity, s->n);
        if (r < 0)
                return r;
        s->sets[s->n] = *set;
        s->sets[s->n].spread_micro = spread_micro(s->p, set);
        s->n++;
        return 0;
}

static void append(const Placement *p, NodeSet *set, size_t node) {
        set->nodes[set->n++] = (uint16_t)node;
        set->n_cpus += p->nodes[node].n_cpus;
        set->bits |= UINT64_C(1) << (node % 64);
}

static size_t nearest(const Placement *p, const NodeSet *s) {
        size_t best = SIZE_MAX;

        for (size_t i = 0; i < p->n_nodes; i++) {
                if (p->nodes[i].n_cpus == 0 || has_node(s, i))
                        continue;
                if (best == SIZE_MAX || topology_distance(p->topology, s->nodes[0], i) <
                                                topology_distance(p->topology, s->nodes[0], best))
                        best = i;
        }
        return best;
}

/* A node, and with its nearest ones. */
static int add_chain(NodeSets *s, size_t node) {
        NodeSet set = { 0 };
        int r;

        append(s->p, &set, node);
        for (;;) {
                size_t next;

                r = add(s, &set);
                if (r < 0 || set.n == NODE_SET_MAX)
                        return r;
                next = nearest(s->p, &set);
                if (next == SIZE_MAX)
                        return 0;
                append(s->p, &set, next);
        }
}

static int add_every_set(NodeSets *s) {
        for (unsigned bits = 1; bits < 1U << s->p->n_nodes; bits++) {
                NodeSet set = { 0 };
                bool good = true;
                int r;

                for (unsigned i = 0; i < s->p->n_nodes; i++) {
                        if (!(bits >> i & 1))
                                continue;
                        good = good && s->p->nodes[i].n_cpus > 0;
                        append(s->p, &set, i);
                }
                r = good ? add(s, &set) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int relate(NodeSets *s) {
        int r;

        for (size_t i = 0; i < s->n; i++) {
                s->sets[i].above = s->n_above;
                for (size_t k = 0; k < s->n; k++) {
                        if (!is_part(&s->sets[i], &s->sets[k]))
                                continue;
                        r = GROW_ARRAY(s->above, s->above_capacity, s->n_above);
                        if (r < 0)
                                return r;
                        s->above[s->n_above++] = (uint16_t)k;
                }
                s->sets[i].n_above = s->n_above - s->sets[i].above;
        }
        return 0;
}

int node_sets_init(NodeSets *s, const Placement *p) {
        int r = 0;

        s->p = p;
        for (size_t i = 0; r >= 0 && i < p->n_nodes; i++)
                if (p->nodes[i].n_cpus > 0)
                        r = add_chain(s, i);
        if (r >= 0 && p->n_nodes <= EVERY_SET_NODES)
                r = add_every_set(s);
        return r < 0 ? r : relate(s);
}

void node_sets_done(NodeSets *s) {
        free(s->sets);
        free(s->above);
}

size_t node_sets_find(const NodeSets *s, const IdSet *ids) {
        NodeSet set = { 0 };

        for (size_t i = 0; i < s->p->n_nodes; i++) {
                if (s->p->nodes[i].n_cpus == 0 || !idset_contains(ids, s->p->nodes[i].id))
                        continue;
                if (set.n == NODE_SET_MAX)
                        return SIZE_MAX;
                append(s->p, &set, i);
        }
        return find(s, &set);
}

IdSet node_sets_ids(const NodeSets *s, size_t set) {
        IdSet ids = IDSET_EMPTY;

        for (unsigned i = 0; i < s->sets[set].n; i++)
                (void)idset_add(&ids, s->p->nodes[s->sets[set].nodes[i]].id);
        return ids;
}
