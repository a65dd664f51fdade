/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a host does without kvmtuned, as simple models of the mechanisms that
 * matter here (kernel documentation, sysctl/kernel.rst numa_balancing; numad's
 * own manual page). They are not those programs.
 *
 *   none    first touch, and the scheduler alone.
 *   kernel  NUMA balancing: a vCPU is drawn to the node that has most of its guest's pages while a CPU is free there; pages follow the
 *           vCPUs that use them, as fast as they are scanned, when two faults in a row come from the same node: with the
 *           chance p^2 for a node that does the share p of the accesses. So pages that several nodes use go back and forth.
 *   numad   looks every 15 s; a process of at least 300 MB and half a CPU that is not well placed, the largest first, gets the
 *           nodes with the most (free CPU x free memory), filled to 85 %, as its only ones; all its pages are moved at once, at what
 *           the kernel copies, and until they are nothing else happens.
 *   hand    somebody pins each guest to the next node that has the memory when it starts, and it stays there.
 */

#include "sim.h"

#define NUMAD_USEC (15 * USEC_PER_SEC)
#define NUMAD_BYTES (300 * MIB)
#define NUMAD_CPUS 0.5
#define NUMAD_FILL 0.85
#define NUMAD_BYTES_PER_SEC ((double)GIB)
#define WELL_PLACED 0.95
/* Default numa_balancing_scan_size 256 MB a scan of a task, at a scan period that settles at some seconds. */
#define SCAN_BYTES_PER_SEC (32.0 * (double)MIB)

static void bind(Sim *s, SimGuest *g, const IdSet *nodes) {
        IdSet cpus = IDSET_EMPTY;

        for (size_t i = 0; i < s->machine->n_nodes; i++)
                if (idset_contains(nodes, s->machine->nodes[i].id))
                        cpus = idset_or(&cpus, &s->machine->nodes[i].cpus);
        for (size_t i = 0; i < g->n_threads; i++)
                if (!g->threads[i].users)
                        sim_set_mask(s, &g->threads[i], &cpus);
        check_place(s, g, nodes);
}

static unsigned cpus_of(const Sim *s, size_t node) {
        return idset_count(&s->snapshot->topology->nodes[node].cpus);
}

static double load_of(const Sim *s, size_t node) {
        double load = 0;

        IDSET_FOREACH(cpu, &s->snapshot->topology->nodes[node].cpus)
                load += MIN(s->cpu_load[cpu], 1.0);
        return load;
}

static double wanted_by(const SimGuest *g) {
        double cpus = 0;

        for (size_t i = 0; i < g->n_vcpus; i++)
                cpus += MIN(g->threads[i].busy + g->threads[i].wait, 1.0);
        return cpus;
}

/* ---- numad ---- */

static bool is_candidate(const Sim *s, const SimGuest *g) {
        uint64_t resident;

        if (!g->running || g->user_pinned || g->locked)
                return false;
        resident = sim_resident(s, g);
        if (resident < NUMAD_BYTES || wanted_by(g) < NUMAD_CPUS)
                return false;
        if (idset_is_empty(&g->nodes))
                return true;
        return (double)sim_resident_on(s, g, &g->nodes) < WELL_PLACED * (double)resident;
}

static IdSet numad_nodes(const Sim *s, const SimGuest *g) {
        double cpus = 0, bytes = 0, need = wanted_by(g);
        IdSet nodes = IDSET_EMPTY;

        while (idset_count(&nodes) < s->machine->n_nodes && (cpus < need || bytes < (double)sim_resident(s, g))) {
                double best = -1;
                size_t at = 0;

                for (size_t i = 0; i < s->machine->n_nodes; i++) {
                        double free_cpus = MAX(cpus_of(s, i) * NUMAD_FILL - load_of(s, i) + g->node_run[i], 0.01);
                        double magnitude = free_cpus * (double)(s->node_free[i] + g->node_bytes[i]);

                        if (cpus_of(s, i) == 0 || idset_contains(&nodes, s->machine->nodes[i].id) || magnitude <= best)
                                continue;
                        best = magnitude;
                        at = i;
                }
                if (best < 0)
                        break;
                (void)idset_add(&nodes, s->machine->nodes[at].id);
                cpus += MAX(cpus_of(s, at) * NUMAD_FILL - load_of(s, at) + g->node_run[at], 0.01);
                bytes += (double)(s->node_free[at] + g->node_bytes[at]);
        }
        return nodes;
}

static void numad_cycle(Sim *s) {
        SimGuest *best = NULL;
        IdSet nodes;

        if (s->mover.busy || s->snapshot->now_usec < s->peer.next_usec)
                return;
        s->peer.next_usec = s->snapshot->now_usec + NUMAD_USEC;
        for (size_t i = 0; i < s->n_guests; i++) {
                SimGuest *g = &s->guests[i];

                if (is_candidate(s, g) && (!best || wanted_by(g) * (double)sim_resident(s, g) >
                                                            wanted_by(best) * (double)sim_resident(s, best)))
                        best = g;
        }
        if (!best)
                return;
        nodes = numad_nodes(s, best);
        bind(s, best, &nodes);
        sim_mover_start(s, (size_t)(best - s->guests), &nodes, NUMAD_BYTES_PER_SEC);
}

/* ---- the kernel ---- */

static void draw_vcpus(Sim *s, SimGuest *g) {
        size_t home = 0;

        for (size_t i = 0; i < s->machine->n_nodes; i++)
                if (cpus_of(s, i) > 0 && g->node_bytes[i] > g->node_bytes[home])
                        home = i;
        for (size_t i = 0; i < g->n_vcpus; i++) {
                SimThread *t = &g->threads[i];

                if (t->cpu < 0 || sim_node_of_cpu(s, t->cpu) == home)
                        continue;
                IDSET_FOREACH(cpu, &s->snapshot->topology->nodes[home].cpus) {
                        if (!idset_contains(&t->allowed, (unsigned)cpu) || s->cpu_load[cpu] + t->demand > 1)
                                continue;
                        s->cpu_load[cpu] += t->demand;
                        t->cpu = cpu;
                        break;
                }
        }
}

static void follow_vcpus(Sim *s, SimGuest *g) {
        double run = 0, seconds = (double)s->step_usec / (double)USEC_PER_SEC, resident = (double)sim_resident(s, g);

        for (size_t i = 0; i < s->machine->n_nodes; i++)
                run += g->node_run[i];
        if (run <= 0 || resident <= 0)
                return;
        for (size_t to = 0; to < s->machine->n_nodes; to++) {
                double share = g->node_run[to] / run;

                for (size_t from = 0; from < s->machine->n_nodes && share > 0; from++)
                        if (from != to)
                                (void)sim_move(s, g, from, to,
                                               (uint64_t)(SCAN_BYTES_PER_SEC * run * seconds * share * share *
                                                          (double)g->node_bytes[from] / resident));
        }
}

static void kernel_cycle(Sim *s) {
        for (size_t i = 0; i < s->n_guests; i++) {
                if (!s->guests[i].running)
                        continue;
                draw_vcpus(s, &s->guests[i]);
                follow_vcpus(s, &s->guests[i]);
        }
}

/* ---- by hand ---- */

static void pin_by_hand(Sim *s, SimGuest *g) {
        for (size_t i = 0; i < s->machine->n_nodes; i++) {
                size_t node = s->peer.turn++ % s->machine->n_nodes;
                IdSet set = idset_of(s->machine->nodes[node].id);

                if (cpus_of(s, node) < g->n_vcpus || s->node_free[node] < g->max_bytes)
                        continue;
                bind(s, g, &set);
                return;
        }
}

void peer_started(Sim *s, SimGuest *g) {
        if (s->tuner == TUNER_HAND)
                pin_by_hand(s, g);
}

void peer_cycle(Sim *s) {
        if (s->tuner == TUNER_NUMAD)
                numad_cycle(s);
        if (s->tuner == TUNER_KERNEL)
                kernel_cycle(s);
}
