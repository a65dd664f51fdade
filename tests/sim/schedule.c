/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One interval of CPU time, in parts. In each part every thread sits on one
 * CPU of its mask: where it was when that is idle, else on the least loaded one
 * of its node when there is room for it, else on the least loaded of all. The CPU shares its time fairly: nobody
 * gets more than it wants, and what the others leave is shared (max-min).
 * Who chooses first changes from part to part, so that over the interval
 * three hogs on two CPUs get about the same.
 *
 * Waiting: a thread that gets less than it wants has a backlog and is runnable
 * all the time. One that gets what it wants waits while every CPU that it may
 * use in the node is taken.
 */

#include "sim.h"

#include <math.h>

#define PARTS 4U

typedef struct Slot {
        SimThread *thread;
        SimGuest *guest;                /* NULL: the mover */
        bool vcpu;
        int cpu;
        double want;
        double got, wait;
} Slot;

typedef struct Run {
        Sim *sim;
        Slot *slots;
        size_t n;
        int *next;                      /* slots on the same CPU */
        int *head;                      /* by CPU number */
} Run;

/* Remote memory costs time: the same work takes longer. */
static double want_of(const Sim *s, const SimGuest *g, const SimThread *t) {
        double level, far;

        if (t->kind != ACTION_PIN_VCPU)
                return 0.01 * (t->kind == ACTION_PIN_EMULATOR ? g->n_vcpus : 3);
        if (s->snapshot->now_usec < g->start_usec + 10 * USEC_PER_SEC)
                return t->index == 0 ? 0.9 : 0.1;
        level = sim_load(&g->load, s->snapshot->now_usec, t->index, g->n_vcpus);
        far = t->cpu >= 0 ? sim_farness(s, g, sim_node_of_cpu(s, t->cpu)) : 1;
        return MIN(level * (1 + g->intensity * (far - 1)), 1.0);
}

static void add_slots(Run *r, SimThread *mover) {
        Sim *s = r->sim;

        for (size_t i = 0; i < s->n_guests; i++) {
                SimGuest *g = &s->guests[i];

                if (!g->running)
                        continue;
                memset(g->node_run, 0, s->machine->n_nodes * sizeof(*g->node_run));
                for (size_t k = 0; k < g->n_threads; k++) {
                        SimThread *t = &g->threads[k];

                        t->demand = g->paused ? 0 : want_of(s, g, t);
                        t->busy = t->wait = 0;
                        r->slots[r->n++] = (Slot){ .thread = t, .guest = g, .vcpu = k < g->n_vcpus,
                                                   .want = t->demand };
                }
        }
        if (!s->mover.busy)
                return;
        mover->allowed = s->snapshot->topology->online;
        mover->cpu = idset_next(&mover->allowed, 0);
        r->slots[r->n++] = (Slot){ .thread = mover, .want = s->mover.cpu };
}

static int least_loaded(const Sim *s, const IdSet *cpus) {
        int best = -1;

        IDSET_FOREACH(cpu, cpus)
                if (best < 0 || s->cpu_load[cpu] + 1e-9 < s->cpu_load[best])
                        best = cpu;
        return best;
}

static int choose_cpu(const Sim *s, const SimThread *t, double want) {
        int home = t->cpu, cpu;
        IdSet near;

        if (home >= 0 && idset_contains(&t->allowed, (unsigned)home)) {
                if (s->cpu_load[home] <= 0)
                        return home;
                near = idset_and(&t->allowed, &s->machine->nodes[sim_node_of_cpu(s, home)].cpus);
                cpu = least_loaded(s, &near);
                if (s->cpu_load[cpu] + want <= 1)
                        return cpu;
        }
        return least_loaded(s, &t->allowed);
}

/* Max-min: the level above which nobody on the CPU gets anything. */
static double fair_level(const Run *r, int cpu) {
        double level = 1, left, hungry;

        for (unsigned round = 0; round < 32; round++) {
                left = 1;
                hungry = 0;
                for (int i = r->head[cpu]; i >= 0; i = r->next[i])
                        if (r->slots[i].want < level)
                                left -= r->slots[i].want;
                        else
                                hungry++;
                if (hungry == 0 || left / hungry >= level - 1e-9)
                        return level;
                level = left / hungry;
        }
        return level;
}

/*
 * Of a thread that gets all it wants: it starts on any CPU of its mask in the node, so it waits only while all are taken. The
 * mean wait for one of c servers, per time served: H. Sakasegawa, An approximation formula L_q = a rho^b / (1 - rho), 1977.
 */
static double queueing(const Sim *s, const Slot *slot, int cpu) {
        IdSet near = idset_and(&slot->thread->allowed, &s->machine->nodes[sim_node_of_cpu(s, cpu)].cpus);
        double c = idset_count(&near), load = -slot->want, rho;

        IDSET_FOREACH(other, &near)
                load += s->cpu_load[other];
        rho = CLAMP(load / c, 0.0, 0.95);
        return pow(rho, sqrt(2 * (c + 1)) - 1) / (c * (1 - rho));
}

static void share_cpu(Run *r, int cpu) {
        double load = r->sim->cpu_load[cpu], level = load > 1 ? fair_level(r, cpu) : 1;

        for (int i = r->head[cpu]; i >= 0; i = r->next[i]) {
                Slot *slot = &r->slots[i];
                double got = MIN(slot->want, level);

                slot->got += got;
                slot->wait += got + 1e-9 < slot->want ? 1 - got : MIN(got * queueing(r->sim, slot, cpu), 1 - got);
                if (slot->guest && slot->vcpu)
                        slot->guest->node_run[sim_node_of_cpu(r->sim, cpu)] += got / PARTS;
        }
}

static void run_part(Run *r, unsigned part) {
        Sim *s = r->sim;
        size_t first = r->n * part / PARTS;

        for (size_t i = 0; i < s->machine->n_cpus; i++) {
                s->cpu_load[s->machine->cpus[i].id] = 0;
                r->head[s->machine->cpus[i].id] = -1;
        }
        for (size_t i = 0; i < r->n; i++) {
                size_t k = (first + i) % r->n;
                Slot *slot = &r->slots[k];
                int cpu = choose_cpu(s, slot->thread, slot->want);

                slot->thread->cpu = cpu;
                s->cpu_load[cpu] += slot->want;
                r->next[k] = r->head[cpu];
                r->head[cpu] = (int)k;
        }
        for (size_t i = 0; i < s->machine->n_cpus; i++)
                if (r->head[s->machine->cpus[i].id] >= 0)
                        share_cpu(r, (int)s->machine->cpus[i].id);
}

static void account(Sim *s) {
        double hours = (double)s->step_usec / (double)USEC_PER_HOUR;

        for (size_t i = 0; i < s->n_guests; i++) {
                SimGuest *g = &s->guests[i];

                if (!g->running)
                        continue;
                s->metrics.guest_hours += hours;
                for (size_t k = 0; k < g->n_vcpus; k++) {
                        s->metrics.wanted += g->threads[k].demand * hours;
                        s->metrics.wait += g->threads[k].wait * hours;
                }
                for (size_t n = 0; n < s->machine->n_nodes; n++) {
                        uint64_t resident = sim_resident(s, g);
                        double far, remote;

                        if (g->node_run[n] <= 0 || resident == 0)
                                continue;
                        far = sim_farness(s, g, n);
                        remote = 1 - (double)g->node_bytes[n] / (double)resident;
                        s->metrics.busy += g->node_run[n] * hours;
                        s->metrics.remote += g->node_run[n] * remote * hours;
                        s->metrics.work += g->node_run[n] / (1 + g->intensity * (far - 1)) * hours;
                }
        }
}

void sim_schedule(Sim *s) {
        SimThread mover = { 0 };
        size_t n = 1;
        Run r = { .sim = s };

        for (size_t i = 0; i < s->n_guests; i++)
                n += s->guests[i].running ? s->guests[i].n_threads : 0;
        r.slots = sim_alloc(n, sizeof(*r.slots));
        r.next = sim_alloc(n, sizeof(*r.next));
        r.head = malloc(IDSET_MAX * sizeof(*r.head));
        if (!r.head)
                abort();
        add_slots(&r, &mover);
        for (unsigned part = 0; part < PARTS; part++)
                run_part(&r, part);
        for (size_t i = 0; i < r.n; i++) {
                r.slots[i].thread->busy = r.slots[i].got / PARTS;
                r.slots[i].thread->wait = r.slots[i].wait / PARTS;
        }
        free(r.slots);
        free(r.next);
        free(r.head);
        account(s);
}
