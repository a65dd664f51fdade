/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A random small scenario: a machine, a policy file, one to ten guests that
 * have run for long or start later, and for two minutes anything that may
 * happen. Then demand is constant, nothing fails, and actions have to end.
 *
 * The first letter of a guest's name selects its policy, see policy_guests.
 */

#include "sim.h"

#define BEGIN_USEC USEC_PER_HOUR
#define STEP_USEC (10 * USEC_PER_SEC)
#define EVENT_CYCLES 12U
#define QUIET_CYCLES 50U
#define WATCHED_CYCLES 8U
#define MOVE_CYCLES 15U

static const char policy_guests[] =
        "guests = ( { match = { name = \"p-*\"; }; cpu = { policy = \"pinned\"; }; }, "
        "           { match = { name = \"n-*\"; }; cpu = { policy = \"none\"; }; }, "
        "           { match = { name = \"a-*\"; }; numa = { policy = \"none\"; }; }, "
        "           { match = { name = \"m-*\"; }; numa = { memory = \"none\"; }; }, "
        "           { match = { name = \"e-*\"; }; cpu = { emulator = \"none\"; iothreads = \"none\"; }; } );";

static void configure(Sim *s, SimRandom *r) {
        unsigned cooldown = 20 + sim_pick(r, 5) * 10, reserved = sim_pick(r, 6), rate = 64U << sim_pick(r, 6);
        uint64_t bytes = 0;
        _cleanup_free_ char *text = NULL, *error = NULL;

        for (size_t i = 0; i < s->n_guests; i++)
                bytes += s->guests[i].max_bytes;
        /* All of it could be moved within the time in which actions have to end. */
        rate = MAX(rate, (unsigned)(bytes / MIB / (MOVE_CYCLES * STEP_USEC / USEC_PER_SEC)) + 1);
        s->engine.cooldown_usec = cooldown * USEC_PER_SEC;
        s->engine.move_rate = rate * MIB;
        if (strprintf_to(&text,
                         "host: { reserved_memory = \"%s\"; reserved_cpus = \"%s\"; }; cpu: { policy = \"%s\"; }; "
                         "numa: { cooldown = \"%u s\"; move_rate = \"%u MiB/s\"; }; %s",
                         sim_one_in(r, 2) ? "auto" : "0", reserved == 0 ? "0" : "",
                         sim_one_in(r, 4) ? "pinned" : "shared", cooldown, rate, policy_guests) < 0)
                abort();
        if (config_load_text("sim", text, &s->engine.config, &error) < 0) {
                (void)fprintf(stderr, "%s", error ? error : "no memory\n");
                abort();
        }
}

static void random_load(SimLoad *l, SimRandom *r, uint64_t begin) {
        l->n_points = 1 + sim_pick(r, 3);
        for (size_t i = 0; i < l->n_points; i++) {
                l->points[i].usec = begin + i * (EVENT_CYCLES / 3) * STEP_USEC;
                l->points[i].level = sim_one_in(r, 3) ? 1.0 : sim_pick(r, 101) / 100.0;
        }
        if (sim_one_in(r, 4))
                l->skew = sim_pick(r, 11) / 10.0;
}

static void random_binding(const Sim *s, SimGuest *g, SimRandom *r) {
        const TopologyNode *node = &s->machine->nodes[sim_pick(r, (unsigned)s->machine->n_nodes)];

        g->numatune = (NumatuneMode)(1 + sim_pick(r, _NUMATUNE_MODE_MAX - 1));
        /* Memory that has no room on its nodes would be the scenario's fault. */
        if (g->numatune == NUMATUNE_STRICT && node->memory_bytes < 4 * g->max_bytes)
                g->numatune = NUMATUNE_PREFERRED;
        g->numatune_nodes = idset_of(node->id);
}

static uint64_t random_bytes(const Sim *s, SimRandom *r, uint64_t *left) {
        uint64_t largest = 0, bytes;

        for (size_t i = 0; i < s->machine->n_nodes; i++)
                largest = MAX(largest, s->node_total[i]);
        bytes = largest / 64 * (1 + sim_pick(r, sim_one_in(r, 6) ? 80 : 24)) / MIB * MIB;
        bytes = MIN(bytes, *left / 2);
        *left -= bytes;
        return MAX(bytes, 64 * MIB);
}

static void random_guest(Sim *s, SimRandom *r, uint64_t *left) {
        static const char policies[] = "sssssssppnaame";
        unsigned n_cpus = (unsigned)s->machine->n_cpus, most = MAX(MIN(n_cpus, 8U), 1U);
        char name[32];
        SimGuest *g;

        (void)snprintf(name, sizeof(name), "%c-%zu", policies[sim_pick(r, sizeof(policies) - 1)], s->n_guests);
        g = sim_add_guest(s, name, 1 + sim_pick(r, sim_one_in(r, 3) ? most : MIN(most, 3U)), random_bytes(s, r, left));
        g->n_iothreads = sim_one_in(r, 4);
        g->touched = 0.3 + sim_pick(r, 8) / 10.0;
        g->touch_usec = sim_pick(r, 4) * 30 * USEC_PER_SEC;
        g->intensity = sim_pick(r, 4) / 10.0;
        g->stuck = sim_one_in(r, 10) ? sim_pick(r, 30) / 100.0 : 0;
        g->locked = sim_one_in(r, 20);
        g->user_pinned = sim_one_in(r, 12);
        random_load(&g->load, r, s->begin_usec);
        g->start_usec = sim_one_in(r, 2) ? s->begin_usec : s->begin_usec + sim_pick(r, EVENT_CYCLES) * STEP_USEC;
        if (sim_one_in(r, 10))
                g->stop_usec = g->start_usec + (1 + sim_pick(r, EVENT_CYCLES)) * STEP_USEC;
        if (sim_one_in(r, 10))
                random_binding(s, g, r);
}

static void add_event(Sim *s, uint64_t usec, SimEventKind kind, unsigned what) {
        size_t at = s->n_events;

        if (s->n_events == SIM_EVENTS_MAX)
                return;
        while (at > 0 && s->events[at - 1].usec > usec) {
                s->events[at] = s->events[at - 1];
                at--;
        }
        s->events[at] = (SimEvent){ usec, kind, what };
        s->n_events++;
}

/* What begins also ends, before demand is constant. */
static void random_events(Sim *s, SimRandom *r) {
        for (unsigned n = sim_pick(r, 5); n > 0; n--) {
                unsigned from = sim_pick(r, EVENT_CYCLES - 1), to = from + 1 + sim_pick(r, EVENT_CYCLES - 1 - from);
                uint64_t at = s->begin_usec + from * STEP_USEC, end = s->begin_usec + to * STEP_USEC;
                unsigned guest = sim_pick(r, (unsigned)s->n_guests);
                unsigned cpu = s->machine->cpus[sim_pick(r, (unsigned)s->machine->n_cpus)].id;

                switch (sim_pick(r, 5)) {
                case 0:
                        add_event(s, at, EVENT_PAUSE, guest);
                        add_event(s, end, EVENT_RESUME, guest);
                        break;
                case 1:
                        add_event(s, at, EVENT_MIGRATE, guest);
                        add_event(s, end, EVENT_MIGRATED, guest);
                        break;
                case 2:
                        add_event(s, at, EVENT_USER_PIN, guest);
                        break;
                case 3:
                        add_event(s, at, EVENT_CPU_OFF, cpu);
                        if (sim_one_in(r, 2))
                                add_event(s, end, EVENT_CPU_ON, cpu);
                        break;
                default:
                        add_event(s, at, EVENT_RESTART, 0);
                }
        }
}

static void random_faults(Sim *s, SimRandom *r) {
        if (sim_one_in(r, 4))
                s->engine.fail_one_in = 4 + sim_pick(r, 12);
        if (sim_one_in(r, 4))
                s->engine.delay_one_in = 1 + sim_pick(r, 4);
        if (sim_one_in(r, 8))
                s->engine.lost_one_in = 4 + sim_pick(r, 12);
        if (sim_one_in(r, 3))
                s->noise = sim_pick(r, 4) / 100.0;
}

void sim_scenario(Sim *s, uint64_t seed) {
        SimRandom r = { seed };
        uint64_t left = 0;
        unsigned n;

        s->seed = seed;
        s->random.state = seed ^ UINT64_C(0x5deece66d);
        if (snapshot_new(&s->snapshot) < 0)
                abort();
        sim_set_machine(s, sim_one_in(&r, 24) ? topology_fixture(sim_pick(&r, 37)) : topology_random(&r));
        s->begin_usec = BEGIN_USEC;
        s->step_usec = STEP_USEC;
        s->calm_usec = BEGIN_USEC + 2 * EVENT_CYCLES * STEP_USEC;
        s->end_usec = s->calm_usec + (QUIET_CYCLES + WATCHED_CYCLES) * STEP_USEC;
        s->cgroup_v1 = sim_one_in(&r, 2);
        for (size_t i = 0; i < s->machine->n_nodes; i++)
                left += s->node_free[i];
        left = left / 10 * 8;
        for (n = 1 + sim_pick(&r, 10); n > 0 && left > GIB; n--)
                random_guest(s, &r, &left);
        configure(s, &r);
        if (s->n_guests > 0)
                random_events(s, &r);
        random_faults(s, &r);
        /* What is measured with noise may cross a threshold at any time. */
        s->quiet_cycles = s->noise > 0 ? 0 : QUIET_CYCLES;
}
