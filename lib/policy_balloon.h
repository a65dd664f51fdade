/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Inside of the balloon controller: what its files share. The order of work is
 * at the head of policy_balloon.c.
 */

#include "policy.h"

/* A change of so much shows, whatever of it rounding to whole MiB takes away. */
#define BALLOON_SHOWN_BYTES (2 * BALLOON_TOLERANCE_BYTES)

/* What a new size is for; the reason text goes by it. */
typedef enum BalloonWhy {
        BALLOON_NOTHING,
        BALLOON_DISTRESS,       /* the guest is short of memory */
        BALLOON_TO_TARGET,      /* mode target, towards its goal */
        BALLOON_RECLAIMED,      /* mode auto: balloon.reclaim holds */
        BALLOON_HOST_SHORT,     /* mode auto: the host needs memory */
        BALLOON_GIVEN,          /* mode auto: the host has memory to give */
        BALLOON_PRESET,         /* modes pve, mom, proportional */
        BALLOON_BACK,           /* mode off: as it was before */
} BalloonWhy;

/* One guest in one decision. */
typedef struct BalloonGuest {
        const Guest *guest;
        const Settings *settings;
        GuestMemo *memo;
        BalloonMode mode;

        bool owned;
        uint64_t original, previous, ours;      /* previous: what was asked for before ours */
        bool last_grew;                 /* our last change gave memory */

        uint64_t current, minimum, maximum;     /* minimum <= maximum */
        uint64_t floor;                 /* it is not taken below this: its minimum, or more after distress */
        uint64_t step;                  /* most that moves in one decision, unless it is urgent */
        uint64_t goal;                  /* mode target */
        uint64_t usable;                /* as reported, at most current; UNKNOWN_U64 */
        uint64_t taken, given;          /* by its balloon since that report: at most, at least */
        bool had_less;                  /* it may have, at the report before: its counters tell of that time, too */
        uint64_t resident;              /* of usable, what the host has for it; all of it when that is not known */
        uint64_t reserve;               /* usable memory that stays */
        uint64_t least;                 /* of it, what stays when the host would swap otherwise */
        uint64_t asked;                 /* where the balloon is going; current when it is at rest */
        bool moving;

        bool blocked;                   /* nothing can be done to it, for reason why */
        bool fixed;                     /* it may grow but not shrink, for reason why */
        SkipReason why;
        const char *detail;             /* static; NULL: made from why */
        bool left_out;                  /* takes no part in its preset, for reason why */
        bool distress;
        bool waits;                     /* by the pressure of its cgroup: a kind of distress */
        bool said;                      /* its skip is in the plan already */

        BalloonWhy purpose;             /* BALLOON_NOTHING: it keeps its size */
        uint64_t new_bytes;
        uint64_t weight, cap, take;     /* scratch of the sharing */
} BalloonGuest;

/* The host in one decision. Sums saturate. */
typedef struct BalloonHost {
        bool known;
        uint64_t total, available, start, stop; /* bytes */
        uint64_t reserved;              /* never given to a guest */
        uint64_t freeing, growing;      /* what guests will free and take until all are where they were sent */
        uint64_t waiting;               /* of growing left out: what guests may still take that are set aside */
        uint64_t untouched;             /* what guests under control have and do not use yet, as far as is known */
        uint64_t unhelped;              /* what guests in distress were to get and there is not */
        uint64_t ignored;               /* a need or a surplus up to this is none */
        bool strained;                  /* it swaps, or its tasks wait for memory */
} BalloonHost;

typedef struct BalloonDecision {
        PolicyContext *context;
        BalloonHost host;
        BalloonGuest *guests;
        size_t n;
        bool short_of[_BALLOON_MODE_MAX];       /* the preset has the host short of memory */
        int64_t pve_goal;               /* bytes all guests of pve together are to grow */
        double mom_free;                /* share of the host's memory that is free */
        double share;                   /* of proportional: how far from minimum to maximum, 0..1 */
        char host_text[128];            /* what each reason says of the host; "": not put together yet */
        char *source;                   /* of source_key in source_of, the last one asked for */
        const Settings *source_of;
        Key source_key;
} BalloonDecision;

/* policy_balloon.c: it swaps, or its tasks wait for memory. */
bool balloon_host_is_strained(const Host *h);

/* policy_balloon_guest.c: sizes, and what can be done to the guest. */
void balloon_guest_init(PolicyContext *c, size_t i, BalloonGuest *ret);
void balloon_guest_judge(const PolicyContext *c, BalloonGuest *b);
/* Since its last report that was believed. */
bool balloon_counters_went_back(const BalloonGuest *b);

/* policy_balloon_learn.c: updates the memo after judging. */
void balloon_learn(const PolicyContext *c, BalloonGuest *b);
/* 0: none. */
uint64_t balloon_floor(const BalloonGuest *b);
/* By how much it is above what the guest has; 0 where that is less than a balloon shows for sure. */
uint64_t balloon_below_floor(const BalloonGuest *b);
/* balloon.minimum = "auto". */
uint64_t balloon_learned_minimum(const BalloonGuest *b);

/* policy_balloon_honest.c: what the host sees of the guest. */
bool balloon_claims_untouched(const PolicyContext *c, const BalloonGuest *b);
bool balloon_gave_nothing(const BalloonGuest *b);
bool balloon_would_free_nothing(const BalloonGuest *b, uint64_t spare);
/* Sets resident, from what is known of usable and taken. */
void balloon_see_resident(const PolicyContext *c, BalloonGuest *b);
/* What the host gains when the balloon takes @bytes, as far as can be known. */
uint64_t balloon_gain(const BalloonGuest *b, uint64_t bytes);

/*
 * policy_balloon_watch.c: compares the balloon with what was asked of it, and
 * updates the memo: under way, arrived, stuck, or moved by somebody else (then
 * it is disowned). Returns 0 or -ENOMEM.
 */
int balloon_guest_watch(PolicyContext *c, BalloonGuest *b);
/* Its balloon does not do what it says: not counted on for a while, longer each time in a row. */
void balloon_set_aside(const PolicyContext *c, BalloonGuest *b);
/* When that was, the last time. */
uint64_t balloon_set_aside_usec(const BalloonGuest *b);

/* policy_balloon_share.c: who gets which size. */
void balloon_decide_distress(BalloonDecision *d);
void balloon_decide_targets(BalloonDecision *d);
void balloon_decide_auto(BalloonDecision *d);
/* policy_balloon_preset.c. 0 or -ENOMEM. */
int balloon_decide_presets(BalloonDecision *d);
bool balloon_is_preset(const BalloonGuest *b);
/* Mode off: back to the original size, bounded by the maximum. */
void balloon_decide_back(BalloonDecision *d, BalloonGuest *b);
/* Keeps account: the guest's balloon goes to @to and no longer to @from. */
void balloon_promise(BalloonHost *h, const BalloonGuest *b, uint64_t from, uint64_t to);
/* Whether the host, or balloon.reclaim, wants memory from this guest of mode auto. */
bool balloon_is_wanted_from(const BalloonDecision *d, const BalloonGuest *b);
/* What the guest can lose now: down to its minimum, keeping its reserve. */
uint64_t balloon_spare(const BalloonGuest *b);

/*
 * policy_balloon_stats.c: the statistics period of a guest that has none is
 * switched on, and given back in mode off; which guests' statistics the next
 * decision needs. Return 0 or -ENOMEM.
 */
int balloon_set_stats_period(BalloonDecision *d, const BalloonGuest *b);
int balloon_want_stats(BalloonDecision *d, const BalloonGuest *b);

/* policy_balloon_text.c: appends to the plan. 0 or -ENOMEM. */
int balloon_add_action(BalloonDecision *d, const BalloonGuest *b);
int balloon_add_skip(BalloonDecision *d, const BalloonGuest *b, SkipReason why);

/* Its balloon made no progress; see policy_balloon_watch.c. */
static inline bool balloon_is_set_aside(const PolicyContext *c, const BalloonGuest *b) {
        return b->memo->balloon_stuck > 0 && c->snapshot->now_usec < b->memo->balloon_stuck_until_usec;
}

/*
 * Set aside because it does not grow. QEMU still has the request, so it gets memory when its driver wakes up: nobody
 * else is given that, but nothing is taken from others for it.
 */
static inline bool balloon_waits_to_grow(const BalloonGuest *b) {
        return !b->moving && b->memo->balloon_target_bytes > b->current;
}

static inline uint64_t balloon_may_still_take(const BalloonGuest *b) {
        return u64_sub(MIN(b->memo->balloon_target_bytes, b->maximum), b->current);
}

static inline uint64_t balloon_difference(uint64_t a, uint64_t b) {
        return a > b ? a - b : b - a;
}

static inline bool balloon_is_at(uint64_t a, uint64_t b) {
        return balloon_difference(a, b) <= BALLOON_TOLERANCE_BYTES;
}
