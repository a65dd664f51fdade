/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The daemon's main thread: one sd-event loop that owns all state.
 *
 *   timer, event, pressure, rule edge, reload
 *        -> [balloon statistics, if the last plan wanted them]
 *        -> observe -> snapshot -> policy_decide -> plan -> effects -> journal
 *
 * Nothing here calls libvirt: requests go to the threads behind virt.h, whose
 * answers arrive as messages on a descriptor of this loop.
 *
 * manager.c        lifetime, event sources, run
 * manager_cycle.c  one cycle
 * manager_hotplug.c CPUs, nodes and memory that come and go
 * manager_guests.c messages from libvirt, guest slots
 * manager_advice.c what advisers said
 * manager_stop.c   restore at the end
 * manager_control.c pause, resume, restore while it runs
 * bus*.c           org.kvmtuned1 on the system bus
 * effects*.c       plan -> the real changes, ownership, results
 */

#include <sys/types.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "../lib/config.h"
#include "../lib/metrics_text.h"
#include "../lib/observe.h"
#include "../lib/policy.h"
#include "../lib/state.h"
#include "history.h"
#include "kernel_knob.h"
#include "mover.h"
#include "pool_writer.h"
#include "virt.h"

typedef enum RunMode {
        RUN_DAEMON,     /* until SIGTERM */
        RUN_ONCE,       /* one cycle, then leave things as they are */
        RUN_RESTORE,    /* put back what the state file says is ours, then end */
        RUN_RECORD,     /* observe, print the snapshot, change nothing */
} RunMode;

typedef struct Options {
        RunMode mode;
        const char *config_path;
        const char *state_path;
        const char *uri;        /* NULL: from the configuration */
        bool dry_run;
        bool verbose;
        /* RUN_RECORD: gets what was observed and returns the exit status; NULL: the snapshot is printed. */
        int (*recorded)(const Snapshot *snapshot, const State *state, const Config *config, void *userdata);
        void *recorded_userdata;
} Options;

/* What the daemon keeps about one guest besides its part of the snapshot. */
typedef struct GuestSlot {
        char uuid[UUID_TEXT_SIZE];
        GuestObserver *observer;        /* NULL: process not found (yet) */
        GuestSearch search;             /* for it */
        uint64_t started_usec;          /* 0: was running before us */
        uint64_t generation;            /* of the connection that told of it last */
        uint64_t reported_usec;         /* when the guest sent its balloon statistics, if it ever did */
        bool unresponsive;
        bool calls_unanswered;          /* one to libvirt was given up, and none was answered since */
        uint8_t skips[_ACTION_KIND_MAX];        /* SkipReason + 1 that was logged last */
        unsigned skips_seen;            /* bit per ActionKind: in the plan at hand */
        unsigned skip_lines;            /* of those, at the default level since: */
        uint64_t skip_window_usec;
        bool unreadable;                /* its definition could not be read; said so already */
        bool gone;                      /* found out while things were put back; said so already */
        unsigned failures[_ACTION_KIND_MAX];    /* cycles in a row in which this kind failed */
        uint64_t retry_usec[_ACTION_KIND_MAX];  /* no action of this kind before */
} GuestSlot;

/* An action that was sent off and not answered yet. */
typedef struct Pending {
        uint64_t cookie;
        Action action;
        uint64_t cycle;
        bool recorded;                  /* the ownership record was changed for it */
} Pending;

struct Bus;
struct Takeover;

typedef struct Manager {
        Options options;
        sd_event *event;
        sd_event_source *cycle_timer, *edge_timer, *stats_timer, *stop_timer;
        int root_fd;
        Config *config;
        Snapshot *snapshot;
        State *state;
        HostObserver *host;
        HostShape shape;                /* what the topology was read for; no CPUs: at the start */
        Virt *virt;
        Mover *mover;
        struct Takeover *takeover;      /* RUN_DAEMON */
        KernelKnobWriter *kernel_knob;
        PoolWriter *pool_writer;
        History *history;
        struct Bus *bus;                /* NULL in all modes but RUN_DAEMON */
        GuestProcesses processes;
        GuestSlot *slots;               /* sorted by uuid */
        size_t n_slots, slots_capacity;
        Pending *pending;
        size_t n_pending, pending_capacity;
        uint64_t next_cookie;
        uint64_t cycle;
        uint64_t last_usec;             /* of the last full observation */
        uint64_t cycle_realtime_usec;   /* when the last full cycle began, by the wall clock */
        uint64_t cycle_duration_usec;   /* and what it took */
        char (*wanted)[UUID_TEXT_SIZE]; /* statistics for the next decision */
        size_t n_wanted;
        bool *rules_active;             /* as logged last; config->n_rules */
        char **notes_said;              /* of plans, since the policy was loaded */
        size_t n_notes_said, notes_said_capacity;
        GuestSlot host_slot;            /* the same book-keeping for the host's own knobs */
        MetricsCounters counters;
        char *metrics_path;             /* of the file written last */
        bool metrics_failed;            /* said so already */
        char *dry_plan;                 /* last plan printed in a dry run */
        char *cancel_reason;            /* why the move under way is being given up */
        int lock_fd;                    /* beside the state file: one writer at a time */
        int psi_fd;
        uint64_t pressure_usec;         /* last cycle that memory pressure started */
        bool connected, listed;
        char said_status[48];           /* what systemd was told last */
        bool look_at_all;               /* CPUs were dedicated or freed outside of a full decision: one follows */
        bool stats_waiting;
        bool had_stats;                 /* since the last listing */
        uint64_t fresh_stats_usec;      /* no cycle just for fresh statistics before */
        bool recording;                 /* RUN_RECORD: the first of two observations is made */
        bool state_unwritable;          /* said so already */
        bool state_dirty;               /* ownership changed since the last write */
        bool observation_failed;        /* said so already */
        bool stopping;
        bool restore_due;               /* as soon as nothing is under way */
        bool restored;                  /* RUN_RESTORE: sent off */
        bool again_due;                 /* what was put back may have been undone: it is, once more */
        bool paused;                    /* nothing is decided until it is resumed */
        bool restoring;                 /* asked to while it runs: everything is being put back; paused, too */
        bool left;                      /* the loop was told to end */
        ino_t advice_inode;             /* of the reservations, when last read */
        off_t advice_size;
        struct timespec advice_time;
        bool advice_unreadable;         /* said so already */
        bool guests_unreadable;         /* since the last listing: one that runs is not in the snapshot */
        int exit_code;
} Manager;

/* -ENOTRECOVERABLE: the policy is faulty, or the state a newer version's; to try again does not help. Or -errno. */
int manager_new(const Options *options, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager, manager_free)
/* Until it ends; returns the exit status of the process, or -errno. */
int manager_run(Manager *m);

uint64_t manager_now(Manager *m);
/* What a decision looks at; of one guest or of all (NULL). */
PolicyInput manager_policy_input(const Manager *m, const char *only_uuid);
bool manager_dry_run(const Manager *m);

/* manager_cycle.c */
/* Starts a cycle: asks for statistics first when some are wanted. @why is for the debug log. */
void manager_start_cycle(Manager *m, const char *why);
/* Another policy: what was said of the one before is news again. */
void manager_forget_notes(Manager *m);
/* Observes, decides for @only_uuid or all (NULL), acts. */
void manager_cycle(Manager *m, const char *only_uuid);
/* Rereads host and guests into the snapshot. */
void manager_observe(Manager *m);
int manager_arm_timers(Manager *m);
int manager_on_stats_timer(sd_event_source *s, uint64_t usec, void *userdata);

/* manager_clock.c: a cycle starts when somebody sets the wall clock. 0 or -errno. */
int manager_watch_clock(Manager *m);

/* manager_guests.c */
int manager_on_virt(sd_event_source *s, int fd, uint32_t revents, void *userdata);
/* What failed before may be tried again at once. */
void manager_forget_failures(GuestSlot *slot);
GuestSlot *manager_slot(Manager *m, const char *uuid);
/* After an observation: the topology follows what it saw. */
void manager_follow_hotplug(Manager *m);
/* @in_turn: also what is not read in each cycle. */
void manager_slot_observe(Manager *m, GuestSlot *slot, Guest *g, uint64_t now_usec, bool in_turn);

/* manager_advice.c */
/* What an adviser told libvirt when @g started. */
void manager_read_advice(Manager *m, Guest *g);
/* Puts into the snapshot what was advised for guests that are not here yet. */
void manager_take_reservations(Manager *m);

/* manager_control.c */
/* Tells systemd, for systemctl status, what it does now, when that is not what it was told last. */
void manager_say_status(Manager *m);
/* For people: "running", "paused", "restoring", "stopping", "dry-run". */
const char *manager_state(const Manager *m);
/*
 * Nothing more is changed; a memory move under way is given up. Who has asked
 * is for the journal. -EALREADY.
 */
int manager_pause(Manager *m, uid_t uid);
/* -EALREADY, or -EBUSY while things are being put back. */
int manager_resume(Manager *m, uid_t uid);
/* Pauses and puts everything back; the bus is told when that is done. -EBUSY: it is at it already. */
int manager_restore(Manager *m, uid_t uid);
/* Says in the journal who did what from outside. */
void manager_log_control(uid_t uid, const Guest *g, const char *format, ...) _printf_(3, 4);

/* manager_stop.c */
/* Sends off what puts everything back. */
void manager_apply_restore(Manager *m);
/* In the modes restore and record: does their work instead of a decision and returns true. */
bool manager_mode_cycle(Manager *m);
/* Begins to end: restores if so configured, then leaves the loop. */
void manager_stop(Manager *m);
/* In the modes that end by themselves: not later than this. */
int manager_arm_deadline(Manager *m);
/* Once every action sent off is answered: what the mode does next. */
void manager_settled(Manager *m);

/* effects*.c */
/*
 * Carries out @plan (which was made for @only_uuid, or for all when NULL);
 * results arrive later for what libvirt does.
 */
void effects_apply(Manager *m, const Plan *plan, const char *only_uuid);
/* Journal entries for skips that are new or changed since the last plan; of one guest not more than 20 an hour. */
void effects_log_skips(Manager *m, const Plan *plan, const char *only_uuid);
/* VIRT_DONE and other ends of an action. */
void effects_done(Manager *m, uint64_t cookie, int result, const char *text);
/* Everything that was sent off fails with @result (connection lost). */
void effects_fail_all(Manager *m, int result);
int effects_on_pools(sd_event_source *s, int fd, uint32_t revents, void *userdata);
int effects_on_mover(sd_event_source *s, int fd, uint32_t revents, void *userdata);
/* The folder of the file @path, if it is missing (systemd makes it for the service). */
int effects_make_folder(const char *path);
/*
 * To be called before a decision, before what restores is worked out, and at the end: tells the state of which
 * guests calls to libvirt are under way.
 */
void effects_note_open(Manager *m);
/* When the state was read: calls that the process which wrote it did not see the end of. */
void effects_note_left(Manager *m);
/* By now they were made, or will not be. */
void effects_forget_left(Manager *m);
/* Writes the state file. Says once when it cannot. */
int effects_save_state(Manager *m);
void effects_log_action(Manager *m, const Action *a, uint64_t cycle, int result, const char *text, bool planned);
