/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "topology.h"

Topology *topology_free(Topology *t) {
        if (!t)
                return NULL;
        free(t->cpus);
        free(t->nodes);
        free(t->distances);
        free(t->synthetic);
        free(t);
        return NULL;
}

static int compare_id(const void *key, const void *element) {
        unsigned a = *(const unsigned *)key, b = *(const unsigned *)element;

        return (a > b) - (a < b);
}

/* In both element types the id comes first. */
_Static_assert(offsetof(TopologyNode, id) == 0 && offsetof(TopologyCpu, id) == 0, "bsearch by id");

const TopologyNode *topology_node(const Topology *t, unsigned id) {
        if (t->n_nodes == 0)
                return NULL;
        return bsearch(&id, t->nodes, t->n_nodes, sizeof(TopologyNode), compare_id);
}

const TopologyCpu *topology_cpu(const Topology *t, unsigned id) {
        if (t->n_cpus == 0)
                return NULL;
        return bsearch(&id, t->cpus, t->n_cpus, sizeof(TopologyCpu), compare_id);
}

unsigned topology_distance(const Topology *t, size_t i, size_t j) {
        return t->distances[i * t->n_nodes + j];
}

IdSet topology_memory_only_nodes(const Topology *t) {
        IdSet nodes = IDSET_EMPTY;

        for (size_t i = 0; i < t->n_nodes; i++)
                if (idset_is_empty(&t->nodes[i].cpus))
                        (void)idset_add(&nodes, t->nodes[i].id);
        return nodes;
}

IdSet topology_nodes_of_cpus(const Topology *t, const IdSet *cpus) {
        IdSet nodes = IDSET_EMPTY;

        for (size_t i = 0; i < t->n_nodes; i++)
                if (idset_intersects(&t->nodes[i].cpus, cpus))
                        (void)idset_add(&nodes, t->nodes[i].id);
        return nodes;
}

IdSet topology_cpus_of_nodes(const Topology *t, const IdSet *nodes) {
        IdSet cpus = IDSET_EMPTY;

        for (size_t i = 0; i < t->n_nodes; i++)
                if (idset_contains(nodes, t->nodes[i].id))
                        cpus = idset_or(&cpus, &t->nodes[i].cpus);
        return cpus;
}
