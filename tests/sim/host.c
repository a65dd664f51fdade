/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Machines. A random one has sparse node ids, nodes of unequal CPUs and
 * memory, SMT or not, CPU numbers that run through the nodes in blocks or in
 * turns, isolated CPUs, nodes without CPUs or without memory, and distances
 * of one or two levels. The fixtures are captured real ones.
 */

#include "sim.h"

#include <dirent.h>

#define TOPOLOGIES "tests/fixtures/topologies"
#define FIXTURES_MAX 64U

static Topology *topology_alloc(size_t n_nodes, size_t n_cpus) {
        Topology *t = sim_alloc(1, sizeof(*t));

        t->nodes = sim_alloc(n_nodes, sizeof(*t->nodes));
        t->cpus = sim_alloc(n_cpus, sizeof(*t->cpus));
        t->distances = sim_alloc(n_nodes * n_nodes, sizeof(*t->distances));
        t->n_nodes = n_nodes;
        t->n_cpus = n_cpus;
        return t;
}

Topology *topology_clone(const Topology *from) {
        Topology *t = topology_alloc(from->n_nodes, from->n_cpus);

        t->online = from->online;
        t->isolated = from->isolated;
        memcpy(t->nodes, from->nodes, from->n_nodes * sizeof(*t->nodes));
        memcpy(t->cpus, from->cpus, from->n_cpus * sizeof(*t->cpus));
        memcpy(t->distances, from->distances, from->n_nodes * from->n_nodes * sizeof(*t->distances));
        return t;
}

/* Two nodes of one package are nearer than two of different ones. */
static void random_distances(Topology *t, SimRandom *r) {
        unsigned near = 11 + sim_pick(r, 6), far = near + sim_pick(r, 3) * 6, per_package = 1 + sim_pick(r, 2);

        for (size_t i = 0; i < t->n_nodes; i++)
                for (size_t j = 0; j < t->n_nodes; j++)
                        t->distances[i * t->n_nodes + j] = (uint16_t)(i == j                                  ? 10
                                                                      : i / per_package == j / per_package ? near
                                                                                                           : far);
}

static void random_nodes(Topology *t, SimRandom *r) {
        bool sparse = sim_one_in(r, 3), unequal = sim_one_in(r, 3);
        uint64_t bytes = (4 + sim_pick(r, 29)) * GIB;
        unsigned id = sparse ? sim_pick(r, 3) : 0;

        for (size_t i = 0; i < t->n_nodes; i++) {
                t->nodes[i].id = id;
                t->nodes[i].memory_bytes = unequal ? bytes / 4 * (1 + sim_pick(r, 6)) : bytes;
                id += sparse ? 1 + sim_pick(r, 9) : 1;
        }
        if (t->n_nodes > 1 && sim_one_in(r, 16))
                t->nodes[sim_pick(r, (unsigned)t->n_nodes)].memory_bytes = 0;
}

static void random_cpus(Topology *t, SimRandom *r, const unsigned *per_node, unsigned smt) {
        bool in_turns = sim_one_in(r, 3);
        unsigned used[8] = { 0 }, next = 0, core = 0;
        size_t node = 0;

        for (size_t i = 0; i < t->n_cpus; i++) {
                while (used[node] == per_node[node])
                        node = (node + 1) % t->n_nodes;
                t->cpus[i] = (TopologyCpu){ .id = next++, .core = core + used[node] / smt, .llc = (unsigned)node,
                                            .package = (unsigned)node, .node = (unsigned)node };
                if (in_turns)
                        t->cpus[i].core = (unsigned)node * 64 + used[node] / smt;
                (void)idset_add(&t->nodes[node].cpus, t->cpus[i].id);
                (void)idset_add(&t->online, t->cpus[i].id);
                used[node]++;
                if (in_turns)
                        node = (node + 1) % t->n_nodes;
                else if (used[node] == per_node[node])
                        core += per_node[node];
        }
        if (sim_one_in(r, 6) && t->n_cpus > 3)
                (void)idset_add(&t->isolated, t->cpus[sim_pick(r, (unsigned)t->n_cpus)].id);
}

Topology *topology_random(SimRandom *r) {
        static const unsigned counts[] = { 1, 2, 2, 2, 2, 3, 4, 4, 4, 6, 8 };
        unsigned n_nodes = counts[sim_pick(r, ELEMENTSOF(counts))], smt = 1 + sim_pick(r, 2), per_node[8], n_cpus = 0;
        unsigned cores = 1 + sim_pick(r, n_nodes > 4 ? 2 : 4);
        bool unequal = sim_one_in(r, 3), bare = n_nodes > 2 && sim_one_in(r, 8);
        Topology *t;

        for (unsigned i = 0; i < n_nodes; i++) {
                per_node[i] = smt * (unequal ? 1 + sim_pick(r, cores) : cores);
                if (bare && i == n_nodes - 1)
                        per_node[i] = 0;
                n_cpus += per_node[i];
        }
        t = topology_alloc(n_nodes, n_cpus);
        random_nodes(t, r);
        random_cpus(t, r, per_node, smt);
        random_distances(t, r);
        return t;
}

static int is_xml(const struct dirent *d) {
        size_t n = strlen(d->d_name);

        return n > 4 && streq(d->d_name + n - 4, ".xml");
}

Topology *topology_fixture(unsigned which) {
        static Topology *known[FIXTURES_MAX];
        static unsigned n_known;
        struct dirent **names = NULL;

        if (n_known == 0) {
                int n = scandir(TOPOLOGIES, &names, is_xml, alphasort);

                for (int i = 0; i < n; i++) {
                        char path[512];

                        (void)snprintf(path, sizeof(path), TOPOLOGIES "/%s", names[i]->d_name);
                        if (n_known < FIXTURES_MAX && topology_load_xml(path, &known[n_known]) >= 0)
                                n_known++;
                        free(names[i]);
                }
                free(names);
        }
        if (n_known == 0) {
                (void)fprintf(stderr, "no machine in " TOPOLOGIES ": to be run from the top of the source tree\n");
                exit(EXIT_FAILURE);
        }
        return topology_clone(known[which % n_known]);
}

void sim_set_machine(Sim *s, Topology *machine) {
        Host *h = &s->snapshot->host;

        s->machine = machine;
        s->snapshot->topology = topology_clone(machine);
        s->cpu_load = sim_alloc(IDSET_MAX, sizeof(*s->cpu_load));
        s->node_total = sim_alloc(machine->n_nodes, sizeof(*s->node_total));
        s->node_free = sim_alloc(machine->n_nodes, sizeof(*s->node_free));
        h->nodes = sim_alloc(machine->n_nodes, sizeof(*h->nodes));
        h->cpus = sim_alloc(machine->n_cpus, sizeof(*h->cpus));
        h->n_nodes = machine->n_nodes;
        h->n_cpus = machine->n_cpus;
        for (size_t i = 0; i < machine->n_nodes; i++) {
                s->node_total[i] = machine->nodes[i].memory_bytes;
                /* The kernel and page cache that cannot be dropped. */
                s->node_free[i] = s->node_total[i] - s->node_total[i] / 50;
                h->memory.total_bytes += s->node_total[i];
        }
}

void sim_set_cpu_online(Sim *s, unsigned cpu, bool online) {
        Topology *t = s->snapshot->topology;
        IdSet set = idset_of(cpu);
        size_t n = 0;

        t->online = online ? idset_or(&t->online, &set) : idset_minus(&t->online, &set);
        for (size_t i = 0; i < s->machine->n_cpus; i++)
                if (idset_contains(&t->online, s->machine->cpus[i].id))
                        t->cpus[n++] = s->machine->cpus[i];
        t->n_cpus = n;
        for (size_t i = 0; i < t->n_nodes; i++)
                t->nodes[i].cpus = idset_and(&s->machine->nodes[i].cpus, &t->online);
        sim_masks_changed(s, online ? (int)cpu : -1);
}

size_t sim_node_of_cpu(const Sim *s, int cpu) {
        const TopologyCpu *c = cpu >= 0 ? topology_cpu(s->machine, (unsigned)cpu) : NULL;

        return c ? c->node : 0;
}

void sim_nodes_by_distance(const Sim *s, size_t node, size_t *ret) {
        size_t n = s->machine->n_nodes;

        for (size_t i = 0; i < n; i++) {
                size_t at = i;

                while (at > 0 && topology_distance(s->machine, node, ret[at - 1]) >
                                         topology_distance(s->machine, node, i)) {
                        ret[at] = ret[at - 1];
                        at--;
                }
                ret[at] = i;
        }
}
