/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the engine remembers between decisions, and what it owns: for each knob
 * changed, the value it had before and the value given to it. Without the
 * state, nothing could be put back; so it is on disk before the first change.
 *
 * Text form (state_format, state_parse; kvmtuned-state(5)): one record a line,
 *   kvmtuned-state 1
 *   boot BOOT-ID
 *   own KIND UUID|- INDEX original=TEXT ours=TEXT previous=TEXT
 *   guest UUID key=value...
 *   threshold NUMBER key=value...
 *   guest-threshold UUID NUMBER key=value...
 *   stopped UNIT
 *   host key=value...
 *   pool INDEX key=value...
 *   end
 * Values with white space, '%' or control characters are %XX-escaped. Unknown
 * keys of a known record are ignored (a newer version wrote them); an unknown
 * record is damage, for each that is added raises STATE_VERSION (state_fields.h).
 */

#include "base.h"
#include "idset.h"
#include "plan.h"

/* One knob kvmtuned has changed. */
typedef struct Owned {
        ActionKind kind;                /* ACTION_MOVE_MEMORY is never owned: pages have no "before" */
        char uuid[UUID_TEXT_SIZE];      /* "" for the host */
        unsigned index;
        char *original;                 /* before our first change */
        char *ours;                     /* what we set last */
        char *previous;                 /* what we set before that; NULL: nothing. A crash between
                                         * recording and acting leaves this one in place. */
} Owned;

#define BALLOON_SAMPLES_MAX 10U

/* The last few samples of a pair of figures, in kB, as the balloon preset `mom` takes the mean of. */
typedef struct BalloonSamples {
        unsigned n;
        struct {
                uint64_t at_usec, first_kib, second_kib;
        } samples[BALLOON_SAMPLES_MAX]; /* the oldest first */
} BalloonSamples;

#define GUEST_CELLS_MAX 128U            /* QEMU's MAX_NODES */

#define NODES_LEFT_MAX 8U

/* A node that a guest's vCPUs left, and when. */
typedef struct NodeLeft {
        unsigned node;
        uint64_t usec;
} NodeLeft;

/* A set that many guests have. */
typedef struct SharedSet {
        IdSet set;                      /* not empty; never changes */
        size_t users;                   /* memos that point to it */
} SharedSet;

/* There are thousands: what is small stands together. */
typedef struct GuestMemo {
        char uuid[UUID_TEXT_SIZE];
        /*
         * Read from a file, and its pins not looked at since: the process that wrote it may have ended
         * between recording a pin and setting it. Never written.
         */
        bool adopted;
        /*
         * A call to libvirt is under way, or may be. On record before it is sent: whoever reads it takes what was
         * asked for as still to come, and calls_open_usec as now.
         */
        bool calls_open;
        bool calls_left;                /* it was when the state was read; never written */
        bool pins_seen;                 /* its pins were looked at when first seen */
        bool user_pinned;               /* they are the user's (or were taken over) */
        uint64_t start_time;            /* of its QEMU process, in clock ticks after boot; 0: not known */
        SharedSet *nodes;               /* where it was placed, in State.places; NULL: not placed; see memo_nodes() */
        IdSet *cpus;                    /* CPUs that are its own (cpu.policy dedicated); see memo_cpus() */
        IdSet *memory_only;             /* nodes without CPUs that its memory may overflow to; the same */
        /* The node of each of the guest's NUMA cells, by its place among Guest.cells; 0 of them: not mapped. */
        unsigned n_cells;
        unsigned moves;                 /* in a row that did not help: each doubles the cool-down */
        uint16_t *cell_nodes;           /* room for GUEST_CELLS_MAX; NULL: not mapped */
        uint64_t placed_usec;
        /* A call to libvirt was last known to be under way: sent and not answered, or given up; 0: never */
        uint64_t calls_open_usec;
        uint64_t moved_usec;            /* last move of a running guest; 0: never */
        uint64_t move_ended_usec;       /* its memory arrived, or the move was given up; before moved_usec: neither */
        unsigned move_cause;            /* MoveCause of the last move, until it is verified; 0: nothing to verify */
        unsigned move_from;             /* the node its vCPUs left last, plus 1; 0: none */
        unsigned n_left;
        bool move_waits;                /* its memory is yet to be sent after it */
        NodeLeft *left;                 /* by moves, the last one last; room for NODES_LEFT_MAX; NULL: none */
        uint64_t move_before;           /* measured before the move; see Verdict */
        uint64_t move_predicted;        /* after it */
        uint64_t move_sum;              /* measured since it ended, of so many decisions */
        unsigned move_samples;
        uint64_t move_sampled_usec;
        uint64_t unmovable_bytes;       /* remote memory that the kernel would not move */
        /* What seemed free where its memory belongs when the kernel found no more room; UNKNOWN_U64: now; 0: never */
        uint64_t full_bytes;
        uint64_t demand_permyriad;      /* smoothed CPU demand and wait of its vCPUs, as of measured_usec; */
        uint64_t wait_permyriad;        /* never written */
        uint64_t measured_usec;
        uint64_t balloon_first_usec;    /* first look at the balloon; never written */
        uint64_t balloon_set_usec;      /* last time we changed the balloon */
        uint64_t balloon_target_bytes;  /* what we asked for; 0: nothing */
        uint64_t balloon_before_bytes;  /* and before that, which may be what QEMU has, also later; 0: nothing */
        uint64_t balloon_seen_bytes;    /* current memory at the last look, for the rate of progress */
        uint64_t balloon_moved_usec;    /* last time it was seen to move, while it was not ours */
        uint64_t balloon_looked_usec[2]; /* the last look and the one before, current memory then; never written */
        uint64_t balloon_looked_bytes[2];
        uint64_t balloon_said_bytes;    /* most memory it may have had when it reported last; never written */
        uint64_t balloon_least_bytes;   /* and least, at the last report, which was then; never written */
        uint64_t balloon_reported_usec;
        uint64_t balloon_progress_usec; /* last time it moved towards the target */
        uint64_t balloon_stuck_until_usec;
        unsigned balloon_stuck;         /* times in a row */
        bool balloon_taken;             /* the balloon was changed by somebody else */
        uint64_t balloon_held_until_usec; /* not shrunk until then: it was in distress, or implausible */
        uint64_t balloon_floor_bytes;   /* not shrunk below this since it was in distress, as of then; 0: never */
        uint64_t balloon_floor_usec;
        unsigned balloon_floor_times;   /* tries to do with less in a row that brought distress; counts from 1 */
        uint64_t balloon_tried_bytes;   /* how much the try that goes on has lowered it; 0: there is none */
        uint64_t balloon_learned_bytes; /* what it uses, as of then; 0: not known */
        uint64_t balloon_learned_usec;
        uint64_t balloon_hour_usec;     /* changes since then */
        unsigned balloon_changes;
        BalloonSamples *balloon_samples;/* preset mom: current and unused memory; never written; NULL: none yet */
        unsigned memtune_taken;         /* 1 << MemtuneKnob each: changed by somebody else */
        uint64_t memtune_set_usec;      /* last time a limit was asked for; never written */
        bool memtune_adopted;           /* as adopted, for its memory limits; never written */
        bool memtune_watched;           /* decisions go by its memory limits; never written */
        unsigned cpus_spare;            /* how many more CPUs of its own it could have; never written */
        bool vcpus_watched;             /* decisions go by their number; never written */
        bool vcpus_taken;               /* the number of vCPUs was changed by somebody else */
        unsigned vcpus_target;          /* number of vCPUs asked for and not seen yet; 0: nothing is open */
        unsigned vcpus_from;            /* when it was asked for */
        bool vcpus_back;                /* what was asked for is the number from before our first change */
        uint64_t vcpus_asked_usec;      /* last time we asked for a number; 0: never */
        uint64_t vcpus_changed_usec;    /* last time a number asked for was seen */
        unsigned vcpus_trend;           /* VcpusTrend: what their load asks for */
        uint64_t vcpus_since_usec;      /* since when it does */
        unsigned vcpus_late;            /* asked to go, given up on: the guest may still let go of so many */
        unsigned vcpus_tries;           /* without success, in a row */
        uint64_t vcpus_retry_usec;      /* not tried again before */
        uint64_t major_faults, swap_in_bytes; /* last seen, UNKNOWN_U64: never */
} GuestMemo;

typedef struct ThresholdMemo {
        bool raw;                       /* beyond the limit at the last look */
        uint64_t raw_since_usec;
        bool active;                    /* after dwell and hysteresis */
        /* Only for those with an average or a rate: */
        uint64_t seen_usec;             /* the last look at which the metric was known; 0: never */
        uint64_t seen_value;
        uint64_t mean_fixed;            /* what is compared, in units of 1/1024 */
        bool mean_known;
        uint64_t of;                    /* Condition.identity; of another one nothing above means anything */
} ThresholdMemo;

/* A threshold on a metric of the guest: it is kept for each guest. */
typedef struct GuestThreshold {
        char uuid[UUID_TEXT_SIZE];
        unsigned index;                 /* Condition.threshold_index */
        ThresholdMemo memo;
} GuestThreshold;

/* A pool of huge pages. But for `taken` it is never written: after a restart it is looked at afresh. */
typedef struct PoolMemo {
        unsigned index;                 /* as Action.index */
        bool under_way;                 /* the kernel is making or freeing pages */
        bool taken;                     /* changed by somebody else: left alone until reload */
        uint64_t idle_since_usec;       /* it has been larger than needed; 0: it is not */
        uint64_t advised_pages, advised_guests; /* for guests to come; how many with huge pages there were then */
        uint64_t unadvised_pages;       /* in use when that was last so */
        uint64_t asked_pages, got_pages;        /* at the last try that had fewer than asked */
        unsigned tries;                 /* in a row */
        uint64_t retry_usec;            /* not tried again before */
} PoolMemo;

/* systemd allows no longer name of a unit. */
#define UNIT_NAME_SIZE 256U

typedef struct State {
        char *boot_id;                  /* owned values of another boot are worthless for the host */
        Owned *owned;                   /* sorted by kind, uuid, index */
        size_t n_owned, owned_capacity;
        GuestMemo *guests;              /* sorted by uuid */
        size_t n_guests, guests_capacity;
        SharedSet **places;             /* sorted; some may be without users */
        size_t n_places, places_capacity;
        ThresholdMemo *thresholds;      /* by Condition.threshold_index */
        size_t n_thresholds, thresholds_capacity;
        GuestThreshold *guest_thresholds;       /* sorted by uuid, index */
        size_t n_guest_thresholds, guest_thresholds_capacity;
        char (*stopped)[UNIT_NAME_SIZE];        /* units of competitors that kvmtuned has stopped, in that order */
        size_t n_stopped, stopped_capacity;
        bool ksm_on;                    /* switched on, by auto or a preset */
        unsigned ksm_stepped_mode;      /* KsmMode: the preset that took a step last, and what it decided then */
        uint64_t ksm_stepped_usec;
        uint64_t ksm_pages, ksm_sleep_millisecs;
        /* auto: when its gain was judged last, passes then, ksmd's CPU time since; see policy_ksm_auto.c. */
        uint64_t ksm_judged_usec, ksm_judged_scans, ksm_cpu_usec;
        unsigned ksm_rests;             /* in a row for which it did not pay */
        uint64_t ksm_rest_usec;         /* since when it rests, and why; 0: it does not */
        uint64_t ksm_rest_profit_bytes, ksm_rest_price_bytes;
        uint64_t ksm_catch_up_scans;    /* catches up until so many passes are done */
        uint64_t ksm_guests_bytes;      /* guests' memory that it has caught up with */
        uint64_t ksm_rated_usec;        /* the rate was changed last */
        uint64_t ksm_run_usec, ksm_run_scans;   /* since when it is seen running, passes then; 0: it is not */
        uint64_t ksm_run_bytes;         /* the least that guests have had resident since */
        uint64_t ksm_separated_usec;    /* what was merged was separated last */
        bool ksm_taken;                 /* changed by somebody else: left alone until reload */
        bool ksm_adopted;               /* as GuestMemo.adopted, for the knobs of KSM */
        unsigned kernel_wish;           /* auto: 1 numa_balancing off, 2 on, 0 neither; and since when */
        uint64_t kernel_wish_usec;
        uint64_t kernel_set_usec;       /* auto has changed it */
        bool kernel_taken;              /* changed by somebody else: left alone until reload */
        bool kernel_adopted;            /* as GuestMemo.adopted, for the kernel's switches */
        unsigned thp_taken;             /* 1 << ThpKnob each: changed by somebody else: left alone until reload */
        bool thp_adopted;               /* as GuestMemo.adopted, for the switches of THP */
        PoolMemo *pools;                /* sorted by index */
        size_t n_pools, pools_capacity;
        bool hugepages_adopted;         /* as GuestMemo.adopted, for the pools of huge pages */
        bool reclaiming;                /* balloon: host is short, taking from guests */
        uint64_t balloon_stepped_usec;  /* last decision of a balloon preset; 0: never */
        BalloonSamples free_samples;    /* balloon preset mom: the host's free memory; never written */
        uint64_t overload_usec;         /* since when a node has been overloaded; 0: none is */
} State;

int state_new(State **ret);
State *state_free(State *s);
DEFINE_CLEANUP(State, state_free)
int state_copy(const State *s, State **ret);

/* NULL when there is none. The pointer is valid until the next change of the array. */
Owned *state_find_owned(const State *s, ActionKind kind, const char *uuid, unsigned index);
/*
 * Notes that @action is about to be done: a new knob gets original = old_value;
 * a known one keeps its original. ACTION_MOVE_MEMORY is not noted. Returns 0 or -ENOMEM.
 */
int state_own(State *s, const Action *action);
/* Adds a copy of @o as it stands. -EEXIST when the knob is known already, -ENOMEM. */
int state_put_owned(State *s, const Owned *o);
/* The knob is no longer ours (restored, failed at first try, or taken over). */
void state_disown(State *s, ActionKind kind, const char *uuid, unsigned index);
/* The guest is gone: forgets everything about it. */
void state_forget_guest(State *s, const char *uuid);

/* Empty when there are none. Changed by way of state_memo.h. */
static inline const IdSet *memo_nodes(const GuestMemo *m) {
        return m->nodes ? &m->nodes->set : &idset_none;
}
static inline bool memo_is_placed(const GuestMemo *m) {
        return m->nodes;
}
static inline const IdSet *memo_cpus(const GuestMemo *m) {
        return m->cpus ? m->cpus : &idset_none;
}
static inline const IdSet *memo_memory_only(const GuestMemo *m) {
        return m->memory_only ? m->memory_only : &idset_none;
}
static inline bool memo_has_cpus(const GuestMemo *m) {
        return m->cpus && !idset_is_empty(m->cpus);
}
static inline bool memo_has_memory_only(const GuestMemo *m) {
        return m->memory_only && !idset_is_empty(m->memory_only);
}

GuestMemo *state_find_guest(const State *s, const char *uuid);
/* The same at a walk, for uuids in ascending order. *@at, at first 0, is where the last one was looked for. */
GuestMemo *state_find_next_guest(const State *s, size_t *at, const char *uuid);
/* Room for @n guests in all. -ENOMEM. */
int state_reserve_guests(State *s, size_t n);
/* Finds or makes. -ENOMEM, or -EINVAL: @uuid is longer than a UUID. */
int state_guest(State *s, const char *uuid, GuestMemo **ret);

/* Finds or makes. Valid until the next one is made. -ENOMEM. */
int state_pool(State *s, unsigned index, PoolMemo **ret);
/* PoolMemo.under_way of what may not be there. */
bool state_pool_is_under_way(const State *s, unsigned index);

bool state_has_stopped(const State *s, const char *unit);
/* -EINVAL: @unit is no name of a unit; -EEXIST: it is on record already; -ENOMEM. */
int state_add_stopped(State *s, const char *unit);
void state_remove_stopped(State *s, const char *unit);

/* Grows thresholds to @n. -ENOMEM. */
int state_set_thresholds(State *s, size_t n);
/* NULL: nothing is remembered of it. Valid until the next one is made. */
ThresholdMemo *state_find_guest_threshold(const State *s, const char *uuid, unsigned index);
/* Finds or makes. Valid until the next one is made. -ENOMEM. */
int state_guest_threshold(State *s, const char *uuid, unsigned index, ThresholdMemo **ret);
/* Of thresholds from number @n on there is nothing to remember: another policy has fewer. */
void state_forget_thresholds(State *s, size_t n);

int state_format(const State *s, char **ret);
/*
 * Reads the text form. -EBADMSG with *ret_error = "line N: ..." when it is
 * malformed or cut short; -EPROTO when a newer version wrote it (first line).
 * With -EBADMSG *ret still holds every record before the fault, so that what
 * is known can be restored; in all other cases *ret is untouched on failure.
 * What was read is marked adopted.
 */
int state_parse(const char *text, State **ret, char **ret_error);

/* Writes atomically: temporary file beside @path, fsync, rename, fsync of the folder. -errno. */
int state_save(const State *s, const char *path);
/* -ENOENT: there is none. Otherwise as state_parse. */
int state_load(const char *path, State **ret, char **ret_error);
