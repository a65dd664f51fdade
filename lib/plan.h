/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a decision wants done, and what it does not do and why. A value: every
 * text in it is the plan's own (one that several actions share stands there
 * once), and is freed with it. Values of a knob have one canonical text each
 * (see ActionKind), the same in the plan, the journal and the state file.
 */

#include "base.h"
#include "snapshot.h"
#include "text_pool.h"

typedef enum ActionKind {
        ACTION_PIN_VCPU,        /* guest, index = vCPU;     values: CPU list */
        ACTION_PIN_EMULATOR,    /* guest;                   values: CPU list */
        ACTION_PIN_IOTHREAD,    /* guest, index = iothread; values: CPU list */
        ACTION_SET_NODESET,     /* guest;                   values: node list (libvirt numatune, restrictive) */
        ACTION_MOVE_MEMORY,     /* guest;                   values: node list it is on, node list it goes to */
        ACTION_SET_BALLOON,     /* guest;                   values: bytes */
        ACTION_SET_STATS_PERIOD,/* guest;                   values: seconds */
        ACTION_SET_VCPUS,       /* guest;                   values: number of online vCPUs */
        ACTION_SET_KSM,         /* index = KsmKnob;         values: number */
        ACTION_SET_KERNEL,      /* index = KernelKnob;      values: number */
        ACTION_SET_MEMTUNE,     /* guest, index = MemtuneKnob; values: bytes, or "unlimited" */
        ACTION_SET_HUGEPAGES,   /* index = a pool, see below; values: number of pages */
        ACTION_SET_THP,         /* index = ThpKnob;         values: word or number */
        _ACTION_KIND_MAX,
        _ACTION_KIND_INVALID = -EINVAL,
} ActionKind;
DECLARE_STRING_TABLE(action_kind, ActionKind);  /* "pin-vcpu" ... */

/* Files below /sys/kernel/mm/ksm that kvmtuned writes. */
typedef enum KsmKnob {
        KSM_KNOB_RUN,
        KSM_KNOB_PAGES_TO_SCAN,
        KSM_KNOB_SLEEP_MILLISECS,
        KSM_KNOB_MERGE_ACROSS_NODES,
        KSM_KNOB_SMART_SCAN,
        KSM_KNOB_ADVISOR_MODE,  /* value: the mode's name */
        KSM_KNOB_ADVISOR_MAX_CPU,
        KSM_KNOB_ADVISOR_TARGET_SCAN_TIME,
        _KSM_KNOB_MAX,
        _KSM_KNOB_INVALID = -EINVAL,
} KsmKnob;
DECLARE_STRING_TABLE(ksm_knob, KsmKnob);        /* the file's name */

/* Files below /proc/sys/kernel that kvmtuned writes. */
typedef enum KernelKnob {
        KERNEL_KNOB_NUMA_BALANCING,
        _KERNEL_KNOB_MAX,
        _KERNEL_KNOB_INVALID = -EINVAL,
} KernelKnob;
DECLARE_STRING_TABLE(kernel_knob, KernelKnob);  /* the file's name */

/* A pool of huge pages: its node, and the binary logarithm of the size of its pages. */
#define POOL_SIZE_BITS 6U
static inline unsigned pool_node(unsigned index) {
        return index >> POOL_SIZE_BITS;
}
static inline uint64_t pool_page_bytes(unsigned index) {
        return UINT64_C(1) << (index & ((1U << POOL_SIZE_BITS) - 1));
}

/* Limits of a guest in libvirt's <memtune>. */
typedef enum MemtuneKnob {
        MEMTUNE_KNOB_HARD_LIMIT,
        MEMTUNE_KNOB_SWAP_HARD_LIMIT,
        MEMTUNE_KNOB_SOFT_LIMIT,
        _MEMTUNE_KNOB_MAX,
        _MEMTUNE_KNOB_INVALID = -EINVAL,
} MemtuneKnob;
DECLARE_STRING_TABLE(memtune_knob, MemtuneKnob);        /* the element's name */

/* Files below /sys/kernel/mm/transparent_hugepage that kvmtuned writes. */
typedef enum ThpKnob {
        THP_KNOB_ENABLED,
        THP_KNOB_DEFRAG,
        THP_KNOB_PAGES_TO_SCAN,
        THP_KNOB_SCAN_SLEEP_MILLISECS,
        THP_KNOB_MAX_PTES_NONE,
        _THP_KNOB_MAX,
        _THP_KNOB_INVALID = -EINVAL,
} ThpKnob;
DECLARE_STRING_TABLE(thp_knob, ThpKnob);        /* the file's path below that folder */

typedef enum SkipReason {
        SKIP_NOT_RUNNING,       /* paused, crashed, shutting down */
        SKIP_MIGRATING,
        SKIP_USER_PIN,          /* pinned by somebody else */
        SKIP_USER_NUMATUNE,     /* numatune strict (or another mode) with a nodeset of the user's */
        SKIP_TAKEN_OVER,        /* our value was changed by somebody else */
        SKIP_YIELDED,           /* another manager runs, and the policy leaves this to it */
        SKIP_NO_BALLOON,        /* no balloon device */
        SKIP_NO_DRIVER,         /* the guest's driver never reported */
        SKIP_STALE_STATS,
        SKIP_IMPLAUSIBLE_STATS,
        SKIP_DISTRESS,          /* the guest is short of memory itself */
        SKIP_AT_MINIMUM,
        SKIP_AT_MAXIMUM,
        SKIP_STUCK,             /* balloon or KSM make no progress; the guest does not let go of a vCPU */
        SKIP_HUGEPAGES,
        SKIP_LOCKED,
        SKIP_VFIO,
        SKIP_BOUND,             /* to its CPUs or nodes, for as long as it runs */
        SKIP_NO_CAPACITY,       /* no node or CPU can take it */
        SKIP_NOT_EXCLUSIVE,     /* others that kvmtuned does not manage may run on dedicated CPUs */
        SKIP_HOST_BUSY,         /* the host's CPUs have too little idle time */
        SKIP_COOLDOWN,
        SKIP_NO_GAIN,
        SKIP_UNSAFE,            /* it would harm a guest or the host */
        SKIP_MUST_NOT_SHARE,    /* KSM would merge memory that the policy says is not to be shared */
        SKIP_UNAVAILABLE,       /* the host has no such knob, or it is read-only */
        SKIP_UNKNOWN,           /* something needed is not known yet */
        SKIP_FAILED,            /* failed before; backing off */
        SKIP_UNREACHABLE,       /* libvirt or the guest's monitor does not answer */
        _SKIP_REASON_MAX,
        _SKIP_REASON_INVALID = -EINVAL,
} SkipReason;
DECLARE_STRING_TABLE(skip_reason, SkipReason);  /* "not-running" ... */

/* Why a guest that runs was moved. */
typedef enum MoveCause {
        MOVE_NONE,
        MOVE_REMOTE,            /* its memory was brought to its vCPUs */
        MOVE_TO_MEMORY,         /* its vCPUs, emulator and iothreads went to its memory */
        MOVE_LOAD,              /* a node was overloaded */
        MOVE_SWAP,              /* the same, and it changed places with another guest */
        MOVE_SHORTAGE,          /* a node was short of memory */
        _MOVE_CAUSE_MAX,
        _MOVE_CAUSE_INVALID = -EINVAL,
} MoveCause;
DECLARE_STRING_TABLE(move_cause, MoveCause);    /* "remote-memory" ... */

typedef struct Action {
        ActionKind kind;
        unsigned index;
        char *uuid;                     /* "" for the host */
        char *guest;                    /* name; NULL for the host */
        char *old_value;
        char *new_value;
        char *reason;                   /* a sentence with the metric values */
        char *source;                   /* the setting's source: "rule ...", "file:line", "default" */
} Action;

/* Fills *ret with a copy whose texts are its own, whatever becomes of the plan; -ENOMEM. */
int action_copy(const Action *a, Action *ret);
/* Frees what such a copy holds. */
void action_done(Action *a);
/* The thread of @g that pins of @kind with @index are for; NULL: it has none, or these are no pins. */
GuestThread *action_thread(Guest *g, ActionKind kind, unsigned index);

typedef struct Skip {
        ActionKind kind;
        char uuid[UUID_TEXT_SIZE];
        char *guest;
        SkipReason why;
        char *detail;                   /* a sentence */
} Skip;

/*
 * What became of an earlier move, measured after its memory had arrived. In
 * permyriad of one CPU spent waiting (MOVE_LOAD, MOVE_SWAP), in permyriad of
 * the guest's memory that is remote (MOVE_REMOTE, MOVE_TO_MEMORY) or in bytes
 * that the node is short of (MOVE_SHORTAGE).
 */
typedef struct Verdict {
        char uuid[UUID_TEXT_SIZE];
        char *guest;
        MoveCause cause;
        bool gained;
        uint64_t before, predicted, after;
        char *text;                     /* a sentence with these values */
} Verdict;

/* What can tell two sets of nodes apart when a guest is placed, in the order in which they are looked at. */
typedef enum PlacementTerm {
        TERM_NONE,              /* nothing: it is the same set */
        TERM_BOUND,             /* not a score: the guest is bound to other nodes */
        TERM_FITS,              /* it has a CPU for each vCPU, and room for the memory */
        TERM_SIZE,              /* fewer nodes */
        TERM_PROMISED,          /* it has room also for what running guests were promised */
        TERM_NEAR,              /* nearer to the guest's devices, or to the memory it is bound to */
        TERM_HARM,              /* memory that would be remote, and vCPUs beyond one a CPU */
        TERM_DISTANCE,          /* mean distance between its nodes */
        TERM_COMMIT,            /* vCPUs a CPU */
        TERM_LOAD,              /* measured CPU load */
        TERM_ROOM,              /* free memory */
        TERM_NUMBER,            /* equal: the lowest number */
        _PLACEMENT_TERM_MAX,
        _PLACEMENT_TERM_INVALID = -EINVAL,
} PlacementTerm;
DECLARE_STRING_TABLE(placement_term, PlacementTerm);    /* "fits" ... */

/* One set of nodes that came into question, with its scores. */
typedef struct PlanCandidate {
        char *nodes;                    /* node list */
        bool chosen;                    /* the guest is, or comes, here */
        PlacementTerm decided_by;       /* what tells it from the chosen one; TERM_NONE for that one */
        bool better;                    /* than where the guest is, and yet it stays: see PlanPlacement.text */
        bool cpus_fit, memory_fits;
        unsigned n_nodes, n_cpus;
        char *memory_only;              /* nodes without CPUs that count as room; "": none */
        uint64_t near_distance;         /* sum, to what it had better be near to; UNKNOWN_U64: nothing */
        uint64_t remote_permyriad;      /* of the guest's memory; UNKNOWN_U64: does not count */
        uint64_t harm_permyriad;        /* that and the vCPUs beyond one a CPU, in steps; UNKNOWN_U64 */
        uint64_t distance_tenths;       /* mean over pairs of nodes; 0: one node */
        uint64_t committed_milli;       /* thousandths of a vCPU that others have here */
        uint64_t commit_permyriad;      /* vCPUs a CPU with this guest */
        uint64_t load_permyriad;        /* mean over its CPUs */
        uint64_t promised_bytes;        /* of the free bytes, to guests that run */
        uint64_t free_bytes;            /* room for this guest's kind of memory; UNKNOWN_U64 */
} PlanCandidate;

#define PLAN_CANDIDATES_MAX 8U

/* Where a guest is or comes, and the alternatives, the best first. Only when the input asks for it. */
typedef struct PlanPlacement {
        char uuid[UUID_TEXT_SIZE];
        char *guest;
        char *nodes;                    /* node list; "": it is not placed on nodes */
        bool fresh;                     /* chosen in this decision */
        char *text;                     /* a sentence: why these nodes */
        PlanCandidate candidates[PLAN_CANDIDATES_MAX];  /* the chosen one is among them */
        size_t n_candidates;
        size_t n_more;                  /* that are not shown */
} PlanPlacement;

typedef struct Plan {
        Action *actions;                /* in the order in which to do them */
        size_t n_actions, actions_capacity;
        Skip *skips;
        size_t n_skips, skips_capacity;
        /*
         * Of a decision for one guest: what the other guests may use changed with it (CPUs were dedicated, or
         * are no longer), so all of them should be looked at soon.
         */
        bool concerns_others;
        PlanPlacement *placements;
        size_t n_placements, placements_capacity;
        bool *active_rules;             /* by index in the Config */
        size_t n_rules;
        /* uuids of guests whose balloon statistics the next decision needs; see policy.h */
        char (*wanted_stats)[UUID_TEXT_SIZE];
        size_t n_wanted_stats, wanted_stats_capacity;
        char **wanted_names;            /* their names, parallel */
        size_t wanted_names_capacity;
        Verdict *verdicts;
        size_t n_verdicts, verdicts_capacity;
        char **notes;                   /* sentences on the policy, each once */
        size_t n_notes, notes_capacity;
        char *cancel_move;              /* the memory move under way is to be given up: why; NULL: it goes on */
        TextPool texts;                 /* all others */
} Plan;

int plan_new(Plan **ret);
Plan *plan_free(Plan *p);
DEFINE_CLEANUP(Plan, plan_free)

/*
 * Appends. @guest may be NULL for the host. All strings are copied; the reason
 * is printed. Return 0 or -ENOMEM.
 */
int plan_add_action(Plan *p, ActionKind kind, const Guest *guest, unsigned index, const char *old_value,
                    const char *new_value, const char *source, const char *reason, ...) _printf_(8, 9);
/* The same of a reason that is in words already. */
int plan_add_action_because(Plan *p, ActionKind kind, const Guest *guest, unsigned index, const char *old_value,
                            const char *new_value, const char *source, const char *reason);
/* The same of a reason that is not copied: one of p->texts, or a constant. */
int plan_add_action_saying(Plan *p, ActionKind kind, const Guest *guest, unsigned index, const char *old_value,
                           const char *new_value, const char *source, const char *reason);
int plan_add_skip(Plan *p, ActionKind kind, const Guest *guest, SkipReason why, const char *detail, ...)
        _printf_(5, 6);
/* The same of a detail that is in words already. */
int plan_add_skip_because(Plan *p, ActionKind kind, const Guest *guest, SkipReason why, const char *detail);
/* The same of a detail that is not copied: one of p->texts, or a constant. */
int plan_add_skip_saying(Plan *p, ActionKind kind, const Guest *guest, SkipReason why, const char *detail);
/* Room for @n more actions that are to come, so that those there are need not be copied again and again. -ENOMEM. */
int plan_reserve_actions(Plan *p, size_t n);
/* The same of skips. */
int plan_reserve_skips(Plan *p, size_t n);
int plan_want_stats(Plan *p, const Guest *guest);
/* Takes over nothing: @v's text is copied, its guest filled in from @guest. */
int plan_add_verdict(Plan *p, const Guest *guest, const Verdict *v);

/* Copies @note, unless it is there already. */
int plan_add_note(Plan *p, const char *note);

/*
 * Appends an explanation without candidates and returns it in *ret, valid until the next one. The strings are copied.
 * plan_add_candidate() copies @c and its nodes; beyond PLAN_CANDIDATES_MAX it counts one more. 0 or -ENOMEM.
 */
int plan_add_placement(Plan *p, const Guest *guest, const char *nodes, const char *text, PlanPlacement **ret);
int plan_add_candidate(Plan *plan, PlanPlacement *p, const PlanCandidate *c);
/* NULL when there is none. */
PlanPlacement *plan_find_placement(const Plan *p, const char *uuid);
void plan_remove_placement(Plan *p, PlanPlacement *placement);

/*
 * Prints the plan. Text for people, or one JSON object (@json). The same plan
 * gives the same bytes. Returns 0 or -ENOMEM.
 */
int plan_format(const Plan *p, bool json, char **ret);
