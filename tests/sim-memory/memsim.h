/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The memory of a host and its guests, in steps of two seconds, driven by the
 * real decision. README.md has the equations and says what is not modelled.
 * Everything follows from a seed: no clock, no file.
 *
 *   demand.c     how much memory somebody wants at a time
 *   guest.c      inside of a guest: working set, page cache, its own swap
 *   balloon.c    the balloon device: latency, rate, partial progress, none
 *   report.c     statistics as the guest's driver reports them, and lies
 *   host.c       who has the host's memory; its page cache and its swap
 *   merge.c      identical pages, and the scanner that merges them
 *   observe.c    the snapshot of all that
 *   engine.c     policy_decide() and what the daemon does with a plan
 *   events.c     what else happens: pauses, reboots, users, kills
 *   scenario.c   the named scenarios
 *   random.c     a random one from its seed
 *   feasible.c   whether the host could do without swap
 *   check.c      what must hold at each decision and each step
 *   settle.c     what must hold once demand is constant
 *   run.c        the loop
 *   fit.c        how many guests fit, under each mode
 *   main.c       options, TAP
 *
 * Quantities are bytes, times usec. Out of memory ends the program: this is a test.
 */

#include <stdio.h>

#include "../../lib/policy.h"
#include "../sim/random.h"

#define STEP_SEC UINT64_C(2)
#define STEP_USEC (STEP_SEC * USEC_PER_SEC)

/* ---- guests ---- */

#define CURVE_POINTS_MAX 24U

/* Straight lines between the points; constant before the first and after the last. */
typedef struct MemCurve {
        struct {
                uint64_t usec, bytes;
        } points[CURVE_POINTS_MAX];
        size_t n;
} MemCurve;

typedef enum DeviceKind {
        DEVICE_WORKS,
        DEVICE_STUCK,           /* never moves */
        DEVICE_PARTIAL,         /* inflates to device_floor and no further */
        DEVICE_PAUSES,          /* moves in one minute of three, until calm_usec */
        _DEVICE_MAX,
} DeviceKind;

typedef enum ReportKind {
        REPORT_TRUE,
        REPORT_OLD,             /* a driver without MemAvailable: what is free, and what is cached */
        REPORT_BARE,            /* only what is free */
        REPORT_NEVER,           /* no driver */
        REPORT_FROZEN,          /* none after lie_usec */
        REPORT_ROOMY,           /* a lie: nearly everything is usable */
        REPORT_NEEDY,           /* a lie: nothing is usable, it swaps */
        REPORT_NOISE,           /* anything, within its size or beyond */
        REPORT_SWING,           /* roomy and needy in turn */
        REPORT_ABSURD,          /* 0, maxima, values cast from negative ones, counters that run backwards */
        _REPORT_MAX,
} ReportKind;

typedef struct MemGuest {
        char name[32], uuid[UUID_TEXT_SIZE];
        Guest *seen;                    /* owned by the snapshot; NULL when it does not run */

        /* what it is */
        uint64_t maximum, minimum;      /* minimum: as the policy guarantees it */
        uint64_t kernel, overhead;      /* inside of it, always used; outside: QEMU's own */
        MemCurve anon, hot, file;       /* working set; of the page cache what it needs, and what it would fill */
        uint64_t read_rate;             /* at which it fills page cache, bytes a second */
        uint64_t swap_total;
        unsigned merge_group;           /* guests of one group have the same pages; 0: of no group */
        uint64_t merge_permyriad;       /* of what it uses */
        uint64_t rewrite_permyriad;     /* of what is merged that it writes to, a minute */
        DeviceKind device;
        uint64_t device_rate, device_latency_usec, device_floor;
        ReportKind report;
        uint64_t lie_usec;
        bool page_reporting;            /* free pages go back to the host by themselves */
        bool vfio, hugepages, locked;
        uint64_t start_usec, stop_usec;

        /* what it does */
        bool running, paused, migrating;
        uint64_t balloon, target, target_usec;  /* what it has, what was asked and when */
        uint64_t anon_bytes, swapped_bytes, cache_bytes, hot_bytes;
        uint64_t touched;               /* in the host's memory, its swap included */
        uint64_t host_swapped;          /* of that, what the host swapped out */
        uint64_t merged, scanned;       /* of what it uses */
        uint64_t reboot_until_usec;     /* its driver is back by then */
        uint64_t kill_until_usec;       /* out of memory: its workload starts anew then */
        bool comes_back;                /* and has not been read about since */
        uint64_t swap_in, swap_out, major_faults;
        uint64_t boot_faults;           /* still to come */

        /* what it says */
        BalloonStats said;              /* age_usec unused */
        uint64_t said_usec, next_report_usec;   /* said_usec 0: never */
        uint64_t said_usable, read_usable;      /* by its words; read: as far as the engine knows */
        uint64_t said_balloon, read_balloon;    /* its size then */
        uint64_t looked_balloon;        /* its size when the engine looked last */
        uint64_t said_least, read_least;        /* its size at the report, or at the look before: the smaller one */
        bool said_short;                /* so little is usable that it is in distress */
        uint64_t said_swap_in, said_faults;     /* in truth */
        uint64_t read_usec;             /* of the report that the engine has read; 0: none was */
        bool read_short;                /* as said_short, of that one */
        bool read_grown;                /* it has more than at the report before, or the look before that */
        bool read_busy;                 /* it was just read, and swap-in or faults since the one before show distress */
        uint64_t read_swap_in, read_faults;
        unsigned reads;                 /* different ones, since its last boot and kvmtuned's */

        /* what became of it */
        uint64_t distress_usec;         /* short of memory since; 0: it is not */
        uint64_t helpable_usec;         /* and the host could have helped it since; 0: it cannot */
        uint64_t asked_usec, asked_up_usec;     /* the last request, the last one for more */
        bool target_is_users;           /* somebody else has asked for its size, and kvmtuned not since */
        bool touched_by_user;           /* somebody else has set its balloon */
        bool period_is_users;           /* somebody else has set the period of its statistics */
        uint64_t users_usec;            /* its balloon is theirs since, and kvmtuned can tell; 0: it is not */
        int direction;                  /* of the last request */
        uint64_t turn_bytes, swing_bytes;       /* size at the last turn; length of the swing before it */
        uint64_t tries_from;            /* its size before it was tried with less; 0: it was not */
        uint64_t tried_bytes;           /* with how much less, the last time */
        unsigned turns, requests, oom;
        uint64_t distress_total_usec, distress_longest_usec;
} MemGuest;

/* ---- the host ---- */

typedef struct MemHost {
        uint64_t total, kernel, watermark;
        MemCurve processes;             /* of its own, not guests */
        uint64_t cache_wanted, cache_least, read_rate;
        uint64_t swap_total;
        uint64_t cache, swap_used;
        uint64_t swapped_in, swapped_out;       /* since the beginning */
        uint64_t step_swapped, step_in, step_out;       /* in the last step: both ways, each */
        uint64_t oom_bytes;             /* what found no place at all */
        double psi_some;                /* permyriad, avg10 */
} MemHost;

typedef struct MemMerge {
        uint64_t run, pages_to_scan, sleep_millisecs;
        uint64_t position;              /* bytes of the present pass */
        uint64_t full_scans;
        uint64_t saved;                 /* bytes that the host need not have */
        uint64_t sharing, shared, volatile_bytes;
} MemMerge;

/* ---- what happens ---- */

typedef enum EventKind {
        EVENT_PAUSE, EVENT_RESUME, EVENT_MIGRATE, EVENT_MIGRATED, EVENT_REBOOT, EVENT_USER_SETS, EVENT_USER_PERIOD,
        EVENT_RESTART, _EVENT_MAX,
} EventKind;

typedef struct MemEvent {
        uint64_t usec;
        EventKind kind;
        unsigned guest;
        uint64_t value;
} MemEvent;

#define EVENTS_MAX 16U

typedef struct MemPending {
        Action action;
        uint64_t due_usec;
        bool recorded;
} MemPending;

typedef struct MemRetry {
        uint64_t until_usec;
        unsigned failures;
} MemRetry;

typedef struct MemEngine {
        Config *config;
        State *state;
        MemPending *pending;
        size_t n_pending, pending_capacity;
        MemRetry *retries;              /* by guest and kind; the host's after the last guest's */
        char (*wanted)[UUID_TEXT_SIZE];
        size_t n_wanted;
        bool had_stats, look_again;
        uint64_t fresh_usec, looked_usec;
        uint64_t interval_usec, next_usec, reserve_bytes;
        unsigned fail_one_in, delay_one_in, lost_one_in;        /* until calm_usec */
} MemEngine;

/* Sums over the run. */
typedef struct MemMetrics {
        uint64_t decisions, requests, turns, late, oom, hurt_guests;
        uint64_t swapped_out, guest_swapped_out;
        uint64_t guest_usec, distress_usec;
        uint64_t feasible;              /* scenarios */
} MemMetrics;

typedef struct MemSim {
        uint64_t seed;
        const char *name;               /* of a named scenario */
        bool verbose;
        SimRandom random;               /* of the daemon's fate; the scenario has used its own */
        Snapshot *snapshot;
        MemHost host;
        MemMerge merge;
        MemGuest *guests;
        size_t n_guests, guests_capacity;
        MemEvent events[EVENTS_MAX];
        size_t n_events, next_event;
        MemEngine engine;
        uint64_t begin_usec, calm_usec, end_usec;
        uint64_t settle_usec;           /* by then, constant demand is met; 0: not checked */
        bool gentle;                    /* demand grows no faster than the loop can follow; see feasible.c */
        bool feasible;                  /* so far */
        bool unchecked;                 /* what must hold is not asserted: presets promise less */
        bool tuned;                     /* false: nobody decides anything */
        MemMetrics metrics;
        char *violation;                /* the first one */
} MemSim;

static inline uint64_t mem_now(const MemSim *s) {
        return s->snapshot->now_usec;
}

/* run.c. Notes the first violation; later ones are ignored. */
void mem_violation(MemSim *s, const char *format, ...) _printf_(2, 3);
/* A line of the story, when asked for. */
void mem_story(const MemSim *s, const char *format, ...) _printf_(2, 3);
void mem_run(MemSim *s);
void mem_done(MemSim *s);

/* demand.c */
uint64_t mem_curve(const MemCurve *c, uint64_t usec);
/* By time; more than fit are left out. */
void mem_curve_add(MemCurve *c, uint64_t usec, uint64_t bytes);
/* The steepest rise, bytes a second. */
uint64_t mem_curve_rise(const MemCurve *c);
uint64_t mem_curve_most(const MemCurve *c);

/* guest.c */
MemGuest *mem_add_guest(MemSim *s, const char *name, uint64_t maximum);
void mem_start_guest(MemSim *s, MemGuest *g);
void mem_stop_guest(MemSim *s, MemGuest *g);
void mem_guest_step(MemSim *s, MemGuest *g);
/* Its machine is reset: memory is free, the driver gone for a while. */
void mem_guest_reset(MemSim *s, MemGuest *g);
uint64_t mem_guest_used(const MemGuest *g);
uint64_t mem_guest_free(const MemGuest *g);
/* Its kernel does not go below this. */
uint64_t mem_guest_watermark(const MemGuest *g);
/* MemAvailable as its kernel works it out. */
uint64_t mem_guest_usable(const MemGuest *g);
/* Below this it is short of memory, as kvmtuned defines it. */
uint64_t mem_distress_bytes(uint64_t size);
/* Whether it is short of memory now. */
bool mem_guest_is_short(const MemGuest *g);
/* Frees up to @bytes of its page cache beyond what it needs; returns what it freed. */
uint64_t mem_guest_drop_cache(MemGuest *g, uint64_t bytes);

/* balloon.c */
void mem_balloon_set(MemSim *s, MemGuest *g, uint64_t bytes);
void mem_balloon_step(MemSim *s, MemGuest *g);
/* It does what it is asked for, from now on. */
bool mem_device_works(const MemSim *s, const MemGuest *g);

/* report.c: what it says when its time has come. */
void mem_report_step(MemSim *s, MemGuest *g);
bool mem_report_is_honest(const MemGuest *g);

/* host.c */
void mem_host_step(MemSim *s);
uint64_t mem_host_resident(const MemSim *s);
uint64_t mem_host_free(const MemSim *s);
uint64_t mem_host_available(const MemSim *s);
uint64_t mem_guest_resident(const MemGuest *g);

/* merge.c */
void mem_merge_step(MemSim *s);

/* observe.c: as the daemon sees it; statistics only of the guests it asked. */
void mem_observe(MemSim *s);

/* engine.c */
void mem_engine_begin(MemSim *s);
void mem_engine_step(MemSim *s);
void mem_engine_started(MemSim *s, const MemGuest *g);
void mem_engine_finish_pending(MemSim *s);
void mem_engine_restart(MemSim *s);
void mem_engine_stop(MemSim *s);
void mem_engine_done(MemSim *s);
void mem_configure(MemSim *s, const char *text);

/* events.c */
void mem_add_event(MemSim *s, uint64_t usec, EventKind kind, unsigned guest, uint64_t value);
void mem_happen(MemSim *s, const MemEvent *e);

/* scenario.c, random.c */
extern const char *const mem_scenario_names[];
bool mem_scenario(MemSim *s, const char *name);
void mem_random(MemSim *s, uint64_t seed);
/* What both begin with. */
void mem_begin(MemSim *s, uint64_t seed, uint64_t total);

/* feasible.c */
void mem_feasible_step(MemSim *s);

/* check.c */
void mem_check_plan(MemSim *s, const Plan *plan, bool all);
/* @first was just carried out. */
void mem_check_quiet(MemSim *s, const Plan *first);
void mem_check_step(MemSim *s);
void mem_check_restored(MemSim *s);
MemGuest *mem_find_guest(MemSim *s, const char *uuid);

/* settle.c */
void mem_settle_request(MemSim *s, MemGuest *g, uint64_t to);
void mem_settle_again(MemSim *s);

/* fit.c */
int mem_fit(void);
