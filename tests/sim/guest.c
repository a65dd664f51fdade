/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Guests: what they are, and what the engine sees of them. A mask that is set
 * stays what it is; the kernel uses its online part, and all online CPUs when
 * that is empty. On cgroup v1 a CPU that went does not come back into a mask.
 */

#include "sim.h"

SimGuest *sim_add_guest(Sim *s, const char *name, unsigned n_vcpus, uint64_t bytes) {
        SimGuest *g;

        if (GROW_ARRAY(s->guests, s->guests_capacity, s->n_guests) < 0)
                abort();
        g = &s->guests[s->n_guests++];
        *g = (SimGuest){ .n_vcpus = n_vcpus, .max_bytes = bytes, .touched = 1, .stop_usec = UINT64_MAX };
        (void)snprintf(g->name, sizeof(g->name), "%s", name);
        /* The order of the uuids is not that of the starts. */
        (void)snprintf(g->uuid, sizeof(g->uuid), "%08x-0000-4000-8000-%012x",
                       (unsigned)(s->n_guests * 2654435761U), (unsigned)s->n_guests);
        return g;
}

static IdSet default_mask(const Sim *s) {
        return idset_minus(&s->machine->online, &s->machine->isolated);
}

void sim_set_mask(Sim *s, SimThread *t, const IdSet *cpus) {
        t->wanted = *cpus;
        t->allowed = idset_and(cpus, &s->snapshot->topology->online);
        if (idset_is_empty(&t->allowed))
                t->allowed = s->snapshot->topology->online;
}

static void add_threads(Sim *s, SimGuest *g) {
        IdSet all = default_mask(s);

        g->n_threads = g->n_vcpus + 1 + g->n_iothreads;
        g->threads = sim_alloc(g->n_threads, sizeof(*g->threads));
        for (size_t i = 0; i < g->n_threads; i++) {
                SimThread *t = &g->threads[i];

                t->kind = i < g->n_vcpus    ? ACTION_PIN_VCPU
                          : i == g->n_vcpus ? ACTION_PIN_EMULATOR
                                            : ACTION_PIN_IOTHREAD;
                t->index = (unsigned)(i < g->n_vcpus ? i : i == g->n_vcpus ? 0 : i - g->n_vcpus);
                t->cpu = -1;
                t->first = all;
                sim_set_mask(s, t, &all);
        }
}

static GuestThread *seen_thread(const SimGuest *g, size_t i) {
        if (i < g->n_vcpus)
                return &g->seen->vcpus[i];
        return i == g->n_vcpus ? &g->seen->emulator : &g->seen->iothreads[i - g->n_vcpus - 1];
}

/* As an administrator would: vCPU i on the i'th CPU of one node. */
static void pin_by_user(Sim *s, SimGuest *g, uint64_t choice) {
        const TopologyNode *node;
        IdSet cpus = IDSET_EMPTY;
        int cpu = -1;

        for (size_t i = 0; i < s->machine->n_nodes && idset_is_empty(&cpus); i++) {
                node = &s->machine->nodes[(choice + i) % s->machine->n_nodes];
                cpus = idset_and(&node->cpus, &s->snapshot->topology->online);
        }
        for (size_t i = 0; i < g->n_vcpus; i++) {
                IdSet one;

                cpu = idset_next(&cpus, (unsigned)(cpu + 1));
                if (cpu < 0)
                        cpu = idset_next(&cpus, 0);
                one = idset_of((unsigned)cpu);
                sim_set_mask(s, &g->threads[i], &one);
                g->threads[i].first = one;
                g->threads[i].users = true;
                seen_thread(g, i)->pinned = true;
                seen_thread(g, i)->pin = one;
        }
        /* All of it is the user's then. */
        for (size_t i = 0; i < g->n_threads; i++)
                g->threads[i].users = true;
}

void sim_start_guest(Sim *s, SimGuest *g) {
        size_t n_nodes = s->machine->n_nodes;
        Guest *seen;

        if (guest_new(g->name, g->uuid, &seen) < 0 || guest_set_vcpus(seen, g->n_vcpus) < 0 ||
            guest_set_iothreads(seen, g->n_iothreads) < 0)
                abort();
        g->seen = seen;
        seen->max_bytes = seen->current_bytes = g->max_bytes;
        seen->locked = g->locked;
        seen->numatune_mode = g->numatune;
        seen->numatune_nodes = g->numatune_nodes;
        seen->pid = 1;
        for (size_t i = 0; i < g->n_iothreads; i++)
                seen->iothreads[i].id = (unsigned)i + 1;
        g->node_bytes = sim_alloc(n_nodes, sizeof(*g->node_bytes));
        g->node_run = sim_alloc(n_nodes, sizeof(*g->node_run));
        add_threads(s, g);
        if (g->user_pinned)
                pin_by_user(s, g, g->start_usec / USEC_PER_SEC);
        if (snapshot_put_guest(s->snapshot, seen) < 0)
                abort();
        g->running = g->new = true;
        seen->starting = true;
        sim_story(s, "%s starts: %u vCPUs, %llu MiB%s", g->name, g->n_vcpus,
                  (unsigned long long)(g->max_bytes / MIB), g->user_pinned ? ", pinned by the user" : "");
}

void sim_stop_guest(Sim *s, SimGuest *g) {
        for (size_t i = 0; i < s->machine->n_nodes; i++)
                s->node_free[i] += g->node_bytes[i];
        (void)snapshot_remove_guest(s->snapshot, g->uuid);
        g->seen = NULL;
        g->running = false;
        if (s->mover.busy && &s->guests[s->mover.guest] == g)
                s->mover = (SimMover){ 0 };
        sim_story(s, "%s ends", g->name);
}

void sim_guest_done(SimGuest *g) {
        free(g->threads);
        free(g->node_bytes);
        free(g->node_run);
}

void sim_masks_changed(Sim *s, int came) {
        for (size_t i = 0; i < s->n_guests; i++)
                for (size_t k = 0; s->guests[i].running && k < s->guests[i].n_threads; k++) {
                        SimThread *t = &s->guests[i].threads[k];
                        IdSet before = t->allowed, wanted = t->wanted;

                        sim_set_mask(s, t, &wanted);
                        if (came >= 0 && s->cgroup_v1)
                                t->allowed = before;
                }
}

uint64_t sim_resident(const Sim *s, const SimGuest *g) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < s->machine->n_nodes; i++)
                bytes += g->node_bytes[i];
        return bytes;
}

uint64_t sim_resident_on(const Sim *s, const SimGuest *g, const IdSet *ids) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < s->machine->n_nodes; i++)
                if (idset_contains(ids, s->machine->nodes[i].id))
                        bytes += g->node_bytes[i];
        return bytes;
}

static double measured(Sim *s, double value) {
        if (s->noise <= 0)
                return value;
        return value * (1 + s->noise * ((double)sim_pick(&s->random, 2001) / 1000 - 1));
}

static void observe_guest(Sim *s, SimGuest *g) {
        size_t n = 0;

        for (size_t i = 0; i < g->n_threads; i++) {
                GuestThread *t = seen_thread(g, i);

                t->affinity = g->threads[i].allowed;
                t->busy_permyriad = (uint32_t)(measured(s, g->threads[i].busy) * PERMYRIAD_FULL);
                t->wait_permyriad = (uint32_t)(measured(s, g->threads[i].wait) * PERMYRIAD_FULL);
        }
        if (!g->seen->node_memory)
                g->seen->node_memory = sim_alloc(s->machine->n_nodes, sizeof(*g->seen->node_memory));
        for (size_t i = 0; i < s->machine->n_nodes; i++)
                if (g->node_bytes[i] > 0)
                        g->seen->node_memory[n++] = (GuestNodeMemory){
                                .node = s->machine->nodes[i].id,
                                .bytes = (uint64_t)measured(s, (double)g->node_bytes[i]),
                        };
        g->seen->n_node_memory = n;
        g->seen->rss_bytes = sim_resident(s, g);
        g->seen->state = g->paused ? GUEST_PAUSED : GUEST_RUNNING;
        g->seen->migrating = g->migrating;
}

static void observe_host(Sim *s) {
        Host *h = &s->snapshot->host;
        double busy = 0;

        h->n_cpus = s->snapshot->topology->n_cpus;
        for (size_t i = 0; i < h->n_cpus; i++) {
                unsigned id = s->snapshot->topology->cpus[i].id;

                h->cpus[i] = (CpuLoad){ .id = id,
                                        .busy_permyriad = (uint32_t)(MIN(s->cpu_load[id], 1.0) * PERMYRIAD_FULL) };
                busy += MIN(s->cpu_load[id], 1.0);
        }
        h->cpu_busy_permyriad = (uint32_t)(busy * PERMYRIAD_FULL / (double)MAX(h->n_cpus, (size_t)1));
        h->memory.free_bytes = 0;
        for (size_t i = 0; i < h->n_nodes; i++) {
                h->nodes[i] = (NodeMemory){ .id = s->machine->nodes[i].id, .total_bytes = s->node_total[i],
                                            .free_bytes = s->node_free[i] };
                h->memory.free_bytes += s->node_free[i];
        }
        h->memory.available_bytes = h->memory.free_bytes;
}

void sim_observe(Sim *s) {
        observe_host(s);
        for (size_t i = 0; i < s->n_guests; i++)
                if (s->guests[i].running)
                        observe_guest(s, &s->guests[i]);
}
