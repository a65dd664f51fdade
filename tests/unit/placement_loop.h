/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A closed loop: a small host whose nodes share their CPUs fairly among the
 * vCPUs placed there carries out each plan, and the next decision sees what
 * came of it.
 */

#include "placement_util.h"

#define RESERVED "host: { reserved_memory = \"4 GiB\"; }; cpu: { policy = \"shared\"; }; "
#define CYCLE_USEC (10 * USEC_PER_SEC)
#define COOLDOWN_USEC (10 * USEC_PER_MINUTE)

typedef struct Loop {
        World w;
        uint64_t wanted[64];            /* of each guest, in order: permyriad of one CPU, each vCPU */
        unsigned places[64];            /* times a guest got a new place after its first */
        unsigned sends[64];             /* times its memory was sent */
        uint64_t sent_bytes;
        unsigned gained, not_gained;
        bool elsewhere;                 /* something else makes all vCPUs wait: no move helps */
} Loop;

static inline _unused_ GuestMemo *memo_of(Loop *l, const Guest *g) {
        GuestMemo *m;

        ck_assert_int_eq(state_guest(l->w.state, g->uuid, &m), 0);
        return m;
}

/* Placed long ago on @nodes with all its memory on @memory. */
static inline _unused_ Guest *add(Loop *l, const char *name, size_t vcpus, uint64_t gib, unsigned wanted_percent,
                                  const char *nodes, unsigned memory) {
        Guest *g = world_guest(&l->w, name, vcpus, gib * GIB);
        GuestMemo *m = memo_of(l, g);
        IdSet cpus;

        guest_memory(g, memory, gib * GIB);
        world_node(&l->w, memory)->free_bytes -= gib * GIB;
        world_place(&l->w, m, set_of(nodes));
        m->placed_usec = 1;
        m->pins_seen = true;
        cpus = topology_cpus_of_nodes(l->w.snapshot->topology, memo_nodes(m));
        for (size_t i = 0; i < vcpus; i++)
                g->vcpus[i].affinity = cpus;
        g->emulator.affinity = cpus;
        l->wanted[l->w.snapshot->n_guests - 1] = wanted_percent * 100;
        return g;
}

/* Every node gives its CPUs in equal shares to what runs there. */
static inline _unused_ void run(Loop *l) {
        const Topology *t = l->w.snapshot->topology;
        uint64_t want[256] = { 0 };

        for (size_t i = 0; i < l->w.snapshot->n_guests; i++) {
                const Guest *g = l->w.snapshot->guests[i];

                IDSET_FOREACH(cpu, &g->vcpus[0].affinity) {
                        const TopologyCpu *c = topology_cpu(t, (unsigned)cpu);

                        want[c->node] += l->wanted[i] * g->n_vcpus / idset_count(&g->vcpus[0].affinity);
                }
        }
        for (size_t i = 0; i < l->w.snapshot->n_guests; i++) {
                Guest *g = l->w.snapshot->guests[i];
                size_t node = topology_cpu(t, (unsigned)idset_next(&g->vcpus[0].affinity, 0))->node;
                uint64_t have = (uint64_t)idset_count(&t->nodes[node].cpus) * 10000, busy = l->wanted[i];

                if (want[node] > have)
                        busy = busy * have / want[node];
                if (l->elsewhere)
                        busy = MIN(busy, l->wanted[i] * 6 / 10);
                guest_load(g, (uint32_t)busy, (uint32_t)(l->wanted[i] - busy));
        }
}

static inline _unused_ void note_plan(Loop *l) {
        for (size_t i = 0; i < l->w.snapshot->n_guests; i++) {
                const Guest *g = l->w.snapshot->guests[i];
                const GuestMemo *m = memo_of(l, g);

                l->places[i] += world_action(&l->w, g, ACTION_PIN_EMULATOR, 0) != NULL;
                if (!world_action(&l->w, g, ACTION_MOVE_MEMORY, 0))
                        continue;
                l->sends[i]++;
                for (size_t n = 0; n < g->n_node_memory; n++)
                        if (!idset_contains(memo_nodes(m), g->node_memory[n].node))
                                l->sent_bytes += g->node_memory[n].bytes;
        }
        for (size_t i = 0; i < l->w.plan->n_verdicts; i++)
                if (l->w.plan->verdicts[i].gained)
                        l->gained++;
                else
                        l->not_gained++;
}

static inline _unused_ void cycle(Loop *l) {
        l->w.snapshot->now_usec += CYCLE_USEC;
        run(l);
        world_decide(&l->w, NULL);
        note_plan(l);
        world_apply(&l->w);
        for (size_t i = 0; i < l->w.state->n_guests; i++)
                if (l->w.state->guests[i].move_waits)
                        return;
        /* Only time makes a difference, and a nodeset has its old nodes until the memory has left them. */
        world_decide(&l->w, NULL);
        if (l->w.plan->n_actions > 0 && l->w.plan->actions[0].kind == ACTION_SET_NODESET) {
                world_apply(&l->w);
                world_decide(&l->w, NULL);
        }
        assert_quiet(&l->w);
}

static inline _unused_ void cycles(Loop *l, uint64_t usec) {
        for (uint64_t t = 0; t < usec; t += CYCLE_USEC)
                cycle(l);
}

static inline _unused_ void loop_init(Loop *l, const char *topology, const char *policy) {
        *l = (Loop){ 0 };
        world_init(&l->w, topology, policy);
}

static inline _unused_ unsigned total(const unsigned counts[static 64]) {
        unsigned n = 0;

        for (size_t i = 0; i < 64; i++)
                n += counts[i];
        return n;
}
