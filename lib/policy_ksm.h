/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the KSM controller share. */

#include "policy.h"

/* Values of the advisor_mode knob, which the kernel spells as words. */
#define KSM_ADVISOR_NONE UINT64_C(0)
#define KSM_ADVISOR_SCAN_TIME UINT64_C(1)

/* Passes until what can be merged is: the first may have begun before, and only takes checksums. */
#define KSM_CATCH_UP_SCANS 3U

/* That much more of the guests' memory is to be caught up with. */
#define KSM_GROWTH_PERMYRIAD 11000U

/* What a mode wants of the scanner. */
typedef struct KsmWish {
        bool run;
        bool unmerge;                   /* where it does not run: what is merged is to be separated again */
        bool set[_KSM_KNOB_MAX];        /* all but run, and only if it runs; what is not set and ours is given back */
        uint64_t value[_KSM_KNOB_MAX];
        char why[256];                  /* it runs, or not */
        char rate_why[128];             /* it runs at this rate; "": see why */
} KsmWish;

static inline void ksm_wish_set(KsmWish *wish, KsmKnob knob, uint64_t value) {
        wish->set[knob] = true;
        wish->value[knob] = value;
}

/*
 * One of the presets. Between two steps of its period it wants what it wanted last. The host's memory has to be
 * known.
 */
void ksm_wish_preset(PolicyContext *c, KsmMode mode, KsmWish *wish);

/* Mode auto. The host's memory has to be known. Returns 0 or -ENOMEM. */
int ksm_wish_auto(PolicyContext *c, KsmWish *wish);

/* Current memory of all guests. */
uint64_t ksm_guests_bytes(const Snapshot *snapshot);

/*
 * Whether the scanner works for nothing: since @since_scans it has made the KSM_CATCH_UP_SCANS passes, has merged
 * next to nothing, and nearly all it looks at counts as volatile.
 */
bool ksm_is_stuck(const KsmStatus *ksm, uint64_t since_scans);

/* Whether the kernel balances between nodes. */
bool ksm_balancing_is_on(const Host *h);
/* ... so that KSM may merge nothing, and the policy lets it be switched off (policy_kernel.c). */
bool ksm_balancing_may_yield(const PolicyContext *c);
/* Whether kernel.numa_balancing was switched by its mode auto since @since_usec; not when that is 0. */
bool ksm_balancing_was_switched(const PolicyContext *c, uint64_t since_usec);

/* The knob's text as the kernel has it now; -ENODATA where it has no such knob. */
int ksm_knob_text(const KsmStatus *ksm, unsigned knob, char ret[static 24]);
bool ksm_advisor_is_on(const KsmStatus *ksm);
/* ... because we switched it on: then pages_to_scan, which it changes all the time, is still ours to give back. */
bool ksm_advisor_is_ours(const Snapshot *snapshot, const State *state);
/* It is on when all that is ours was given back. */
bool ksm_advisor_remains(const Snapshot *snapshot, const State *state);

/* Adds the action that changes @knob from @old to @new; nothing when they are the same. -ENOMEM. */
int ksm_add_action(PolicyContext *c, unsigned knob, const char *old, const char *new, const char *why);

/*
 * Separates what is merged, where that is wished or needed to change merge_across_nodes, within the memory there is.
 * Whatever it plans, run has its wished value at the end of the plan; *ret_run says that this is already so. Returns
 * 0 or -ENOMEM.
 */
int ksm_plan_merging(PolicyContext *c, const KsmWish *wish, bool *ret_run);

/*
 * Gives merge_across_nodes back: @owned is ours and has not its original value. With what that takes of run, which
 * ends at its original, too. A Skip where memory does not suffice. 0 or -ENOMEM.
 */
int ksm_restore_merging(const Snapshot *snapshot, const State *state, const Owned *owned, Plan *plan);

/*
 * Says which guests' pages KSM may merge although they must not be shared, if that is to be said. *ret_forbidden: the
 * policy lets KSM not run for one of them, which *ret is. Returns 0 or -ENOMEM.
 */
int ksm_check_exposed(PolicyContext *c, KsmMode mode, const Guest **ret_forbidden);
