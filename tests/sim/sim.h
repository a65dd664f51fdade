/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A host and its guests in memory, driven in steps of one interval by the real
 * engine or by a model of one of its peers. README.md has the equations and
 * says what is not modelled. Everything follows from a seed: no clock, no file
 * but the topology fixtures and a day.
 *
 *   host.c       machines: random ones, the fixtures; CPUs go and come back
 *   guest.c      guests: threads, masks, what the engine sees of them
 *   load.c       how busy a guest wants to be at a time
 *   schedule.c   one interval of CPU time
 *   memory.c     first touch, and pages on their way
 *   scenario.c   a random small scenario from its seed
 *   day.c        a scenario from a text file
 *   engine.c     the tuner kvmtuned: policy_decide() and what the daemon does with a plan
 *   peers.c      the other tuners
 *   check.c      what must hold after each decision
 *   run.c        the loop over the intervals
 *   main.c       options, TAP, the table
 *   random.c, jobs.c, record.c     seeds, many of them at once, ownership: also for tests/sim-memory
 *
 * CPU time is a double in units of one CPU, memory is bytes, time is usec. A
 * node is named by its index in the topology, except where it says id.
 * Out of memory ends the program: this is a test.
 */

#include <stdio.h>

#include "../../lib/policy.h"
#include "random.h"

/* ---- guests ---- */

#define LOAD_POINTS_MAX 32U

/* The share of a CPU that each vCPU wants, over time; see load.c. */
typedef struct SimLoad {
        struct {
                uint64_t usec;          /* since the beginning, or of the day when it repeats */
                double level;
        } points[LOAD_POINTS_MAX];      /* by time */
        size_t n_points;
        bool daily;
        bool linear;                    /* between the points; else steps */
        double noise;                   /* +- this share of the level, anew each minute */
        uint64_t noise_seed;            /* the same for guests that go up and down together */
        double bursts_per_hour, burst_level;
        uint64_t burst_usec;
        double skew;                    /* 0: all vCPUs alike; 1: the last one wants nothing */
} SimLoad;

typedef struct SimThread {
        ActionKind kind;                /* ACTION_PIN_VCPU, _EMULATOR, _IOTHREAD */
        unsigned index;
        IdSet wanted;                   /* the mask as it was set last */
        IdSet allowed;                  /* the kernel's: its online part */
        IdSet first;                    /* before anybody changed it */
        bool users;                     /* set by the user: nobody may change it */
        int cpu;                        /* where it runs, -1: nowhere yet */
        double demand, busy, wait;      /* of the last interval */
} SimThread;

typedef struct SimPlace {
        IdSet nodes;                    /* ids */
        uint64_t left_usec;
} SimPlace;

#define SIM_HISTORY 8U

typedef struct SimGuest {
        char name[32], uuid[UUID_TEXT_SIZE];
        /* what it is */
        unsigned n_vcpus, n_iothreads;
        uint64_t max_bytes;
        double touched;                 /* share of its memory that it touches */
        uint64_t touch_usec;            /* in this time, from its start */
        double intensity;               /* share of its busy time that is remote latency, when all is twice as far */
        double stuck;                   /* share of its pages that the kernel cannot move */
        SimLoad load;
        uint64_t start_usec, stop_usec;
        bool user_pinned, locked;       /* from its start */
        NumatuneMode numatune;
        IdSet numatune_nodes;           /* ids */
        /* what it does */
        bool running, paused, migrating, new;
        Guest *seen;                    /* owned by the snapshot; NULL when it does not run */
        SimThread *threads;             /* vCPUs, emulator, iothreads */
        size_t n_threads;
        uint64_t *node_bytes;           /* resident, by node */
        double *node_run;               /* busy time of the last interval, by node */
        /* what became of it */
        IdSet nodes;                    /* ids: where its tuner has put it */
        SimPlace left[SIM_HISTORY];
        size_t n_left;
        uint64_t relocated_usec, forced_usec, moved_usec;
        unsigned relocations;
} SimGuest;

/* ---- the host ---- */

typedef struct SimMover {
        bool busy;
        size_t guest;
        IdSet targets;                  /* ids */
        double bytes_per_sec;
        double cpu;                     /* what copying takes of one CPU */
} SimMover;

typedef enum SimEventKind {
        EVENT_PAUSE, EVENT_RESUME, EVENT_MIGRATE, EVENT_MIGRATED, EVENT_USER_PIN, EVENT_CPU_OFF, EVENT_CPU_ON,
        EVENT_RESTART, _EVENT_MAX,
} SimEventKind;

typedef struct SimEvent {
        uint64_t usec;
        SimEventKind kind;
        unsigned what;                  /* guest or CPU */
} SimEvent;

#define SIM_EVENTS_MAX 16U

typedef enum TunerKind { TUNER_NONE, TUNER_KERNEL, TUNER_NUMAD, TUNER_HAND, TUNER_KVMTUNED, _TUNER_MAX } TunerKind;
const char *tuner_name(TunerKind kind);

/* Sums over the run; see README.md for what each stands for. */
typedef struct SimMetrics {
        double busy, wanted, wait, remote, work;
        double moved_bytes, guest_hours;
        unsigned moves, relocations, returns, pins;
} SimMetrics;

typedef struct SimPending {
        Action action;
        uint64_t due_usec;
} SimPending;

typedef struct SimRetry {
        uint64_t until_usec;
        unsigned failures;
} SimRetry;

/* The tuner kvmtuned; see engine.c. */
typedef struct SimEngine {
        Config *config;
        State *state;
        SimPending *pending;
        size_t n_pending, pending_capacity;
        SimRetry *retries;              /* guests x _ACTION_KIND_MAX */
        unsigned fail_one_in, delay_one_in, lost_one_in;        /* 0: never */
        bool exact;                     /* everything of the last plan was done at once */
        uint64_t cooldown_usec;
        uint64_t move_rate;
        unsigned last_action_cycle;     /* 0: none */
} SimEngine;

/* The other tuners; see peers.c. */
typedef struct SimPeer {
        uint64_t next_usec;
        size_t turn;
} SimPeer;

typedef struct Sim {
        uint64_t seed;
        const char *name;               /* of the day; NULL: a random scenario */
        bool verbose;
        TunerKind tuner;
        SimRandom random;               /* of the tuner's fate; the scenario has used its own */
        Topology *machine;              /* all CPUs online */
        Snapshot *snapshot;             /* its topology is the present one */
        double *cpu_load;               /* by CPU number, in one part of an interval */
        uint64_t *node_total, *node_free;
        SimGuest *guests;
        size_t n_guests, guests_capacity;
        SimEvent events[SIM_EVENTS_MAX];
        size_t n_events, next_event;
        bool cgroup_v1;                 /* a CPU that comes back stays out of the masks */
        double noise;                   /* of what the engine measures */
        uint64_t begin_usec, calm_usec, end_usec, step_usec;
        unsigned cycle;
        unsigned quiet_cycles;          /* after calm_usec, nothing may happen this much later; 0: not checked */
        SimMover mover;
        SimEngine engine;
        SimPeer peer;
        SimMetrics metrics;
        char *violation;                /* the first one */
} Sim;

/* Notes the first violation; later ones are ignored. */
void sim_violation(Sim *s, const char *format, ...) _printf_(2, 3);
/* A line of the story, when asked for. */
void sim_story(const Sim *s, const char *format, ...) _printf_(2, 3);

/* host.c */
Topology *topology_random(SimRandom *r);
/* The @which'th of the fixtures, read once. */
Topology *topology_fixture(unsigned which);
Topology *topology_clone(const Topology *t);
void sim_set_machine(Sim *s, Topology *machine);
/* Nodes have @memory bytes each; a node without memory in the topology has none. */
void sim_set_cpu_online(Sim *s, unsigned cpu, bool online);
size_t sim_node_of_cpu(const Sim *s, int cpu);
/* Nearest to @node first, then by id: fills @ret with n_nodes indices. */
void sim_nodes_by_distance(const Sim *s, size_t node, size_t *ret);

/* guest.c */
SimGuest *sim_add_guest(Sim *s, const char *name, unsigned n_vcpus, uint64_t bytes);
void sim_start_guest(Sim *s, SimGuest *g);
void sim_stop_guest(Sim *s, SimGuest *g);
void sim_guest_done(SimGuest *g);
/* Sets a thread's mask as sched_setaffinity() does. */
void sim_set_mask(Sim *s, SimThread *t, const IdSet *cpus);
/* After CPUs went or came: the kernel's masks, and what the engine sees of them. */
void sim_masks_changed(Sim *s, int came);
uint64_t sim_resident(const Sim *s, const SimGuest *g);
uint64_t sim_resident_on(const Sim *s, const SimGuest *g, const IdSet *ids);
/* What the engine sees of @g, measured with s->noise. */
void sim_observe(Sim *s);

/* load.c */
double sim_load(const SimLoad *l, uint64_t usec, unsigned vcpu, unsigned n_vcpus);

/* schedule.c */
void sim_schedule(Sim *s);

/* memory.c */
void sim_touch(Sim *s);
void sim_mover_start(Sim *s, size_t guest, const IdSet *targets, double bytes_per_sec);
void sim_mover_run(Sim *s);
/* Moves up to @bytes of @g's pages from @from to @to (indices); returns what was moved. */
uint64_t sim_move(Sim *s, SimGuest *g, size_t from, size_t to, uint64_t bytes);
/* Mean SLIT distance / 10 from @node to the pages of @g; 1 when it has none. */
double sim_farness(const Sim *s, const SimGuest *g, size_t node);

/* scenario.c, day.c */
void sim_scenario(Sim *s, uint64_t seed);
/* The same day with other noise and bursts for each @variant from 1. -1: the file is wrong, *ret_error says where. */
int sim_day(Sim *s, const char *path, uint64_t variant, char **ret_error);

/* engine.c */
void engine_begin(Sim *s);
void engine_started(Sim *s, SimGuest *g);
void engine_cycle(Sim *s);
/* As the mover reports it: pages that the kernel would not move, and 0 or -errno. */
void engine_move_ended(Sim *s, const SimGuest *g, uint64_t failed_bytes, int result);
/* What was under way is done. */
void engine_finish_pending(Sim *s);
void engine_restart(Sim *s);
/* Gives everything back, as at a clean stop. */
void engine_stop(Sim *s);
void engine_done(Sim *s);

/* peers.c */
void peer_started(Sim *s, SimGuest *g);
void peer_cycle(Sim *s);

/* check.c */
void check_plan(Sim *s, const Plan *plan, const IdSet *usable);
void check_ownership(Sim *s);
/* @first was just carried out. */
void check_quiet(Sim *s, const Plan *first);
/* After @t got back what it had. */
void check_given_back(Sim *s, const SimGuest *g, SimThread *t);
void check_restored(Sim *s);
/* Where a guest is now, as its tuner has it; notes moves and returns. */
void check_place(Sim *s, SimGuest *g, const IdSet *nodes);

/* run.c */
void sim_run(Sim *s);
void sim_done(Sim *s);
