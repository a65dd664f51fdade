/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The driver's side of a world (world.h): builds the host, runs the daemon on
 * it, and reads every knob where the daemon would have changed it.
 *
 * The host: two nodes of four CPUs and 8 GiB, KSM, THP, a pool of huge pages on
 * each node. Of guests "web" and "db" one has a balloon driver that reports.
 */

#include <sys/types.h>

#include "../../lib/base.h"
#include "../../lib/plan.h"
#include "../../lib/state.h"
#include "world.h"

#define HOST_CPUS 8U
#define HOST_BOOT_ID "11111111-2222-3333-4444-555555555555"
/* How many times as fast time runs for the daemon. Its own deadlines come that much earlier: 30 s for a stop are 1.2 s. */
#define HOST_SPEED 25U
/* Of the daemon's time: it is to say that it lives twice as often. */
#define HOST_WATCHDOG_USEC "10000000"

typedef struct TestHost {
        char dir[64];
        World *world;
        int events_fd;
        pid_t daemon;                   /* 0: none */
        unsigned n_guests_added;
        const char *notify;             /* systemd's socket; NULL: none */
} TestHost;

/* One thing the daemon may change, and what it holds; as in a State. */
typedef struct Knob {
        ActionKind kind;
        char uuid[UUID_TEXT_SIZE];
        unsigned index;
        char value[64];
} Knob;

typedef struct Knobs {
        Knob *knobs;
        size_t n, capacity;
} Knobs;

/* A policy that has something to do for each lever. */
extern const char host_all_levers[];

void host_init(TestHost *h);
void host_done(TestHost *h);
#define _cleanup_host_ _cleanup_(host_done)

void host_policy(TestHost *h, const char *text);
/* A file below the host's /. */
void host_write(TestHost *h, const char *path, const char *text);
void host_put(TestHost *h, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));
void host_remove(TestHost *h, const char *path);
char *host_read(TestHost *h, const char *path);

/* With its process and threads. It runs; nobody is told. */
WorldGuest *host_guest_add(TestHost *h, const char *name, unsigned number);
void host_guest_remove(TestHost *h, WorldGuest *g);
WorldGuest *host_guest(TestHost *h, const char *name);
/*
 * An earlier daemon has placed @g on node 0, when half of its memory was on the other node, where libvirt was advised to
 * keep it (numatune, mode restrictive, placement='auto'), and ended before it sent the memory after it.
 */
void host_move_due(TestHost *h, WorldGuest *g);
/* Of what an ended daemon has asked libvirt for and waits, the first @n come to be, the others never. */
void host_calls_end(WorldGuest *g, unsigned n);
unsigned host_pages_on(const WorldGuest *g, unsigned node);

/* The next rule: a point of this name fails. */
WorldRule *host_fail(TestHost *h, const char *pattern, int error, unsigned skip, unsigned times);
/* No faults, no counts. */
void host_calm(TestHost *h);
void host_event(TestHost *h, WorldEventType type, const char *uuid, int what, int detail);

/* Starts it with the policy; @mode: "--once", "--restore", NULL for the daemon. */
void host_start(TestHost *h, const char *mode);
/* Its status: as of exit(), or 256 + the signal that ended it. Fails the test after 30 s. */
int host_wait(TestHost *h);
int host_run(TestHost *h, const char *mode);
int host_stop(TestHost *h, int signal_number);
bool host_alive(TestHost *h);
/* Its messages; the end of them, for those of a test. */
char *host_log(TestHost *h);
const char *host_log_end(TestHost *h);
bool host_log_has(TestHost *h, const char *text);

/* Waits, but not for ever: the test fails. */
#define HOST_UNTIL(h, condition)                                                        \
        do {                                                                            \
                unsigned _left = 3000;                                                  \
                while (!(condition) && --_left > 0)                                     \
                        (void)usleep(10000);                                            \
                ck_assert_msg(_left > 0, "waited in vain: %s\n%s", #condition, host_log_end(h)); \
        } while (0)

void host_knobs(TestHost *h, Knobs *ret);
void knobs_done(Knobs *k);
/* "": they are equal. What differs first. @a may have more: of a guest that has gone since. */
const char *knobs_difference(const Knobs *a, const Knobs *b);

/* NULL: there is none. Fails the test when it is damaged. */
State *host_state(TestHost *h);

/* host_check.c */
void host_begin(TestHost *h, Knobs *ret_before);
/* Every knob that is not what it was is on record, and each record has what was before. @exact: nothing else is. */
void host_check_record(TestHost *h, const Knobs *before, bool exact, const char *when);
/* Everything is as it was, and nothing on record. */
void host_check_restored(TestHost *h, const Knobs *before, const char *when);
/* Without faults; it must end with status 0. */
void host_run_well(TestHost *h, const char *mode, const char *when);

/* host_daemon.c: a daemon that runs; the first rule counts its cycles. */
bool daemon_has_pinned(const WorldGuest *g);
/* Starts it on @h, which is host_begin()'s; until it has pinned both guests. */
void daemon_begin(TestHost *h);
/* The two together. */
void daemon_start(TestHost *h, Knobs *ret_before);
void daemon_pass_cycles(TestHost *h, unsigned n);
/* How many it has. */
size_t daemon_threads(const TestHost *h);
/* It acts: a guest that starts is pinned. */
void daemon_check_works(TestHost *h, const char *name, unsigned number);
/* It stops, with status 0 and all put back. */
void daemon_stop(TestHost *h, const Knobs *before, const char *when);
/* No rules but the one that counts. */
void daemon_heal(TestHost *h);
/* A guest that starts, or stops, and libvirt says so. */
WorldGuest *daemon_guest_start(TestHost *h, const char *name, unsigned number);
void daemon_guest_stop(TestHost *h, WorldGuest *g, int detail);
