/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The decision: (config, state, snapshot) -> (plan, next state). Pure: no
 * clock, no file, no global; the same input gives the same plan.
 *
 * `make layers` holds policy*.c to it: their objects reference no I/O.
 */

#include "base.h"
#include "config.h"
#include "plan.h"
#include "state.h"

typedef struct PolicyInput {
        const Config *config;
        const Snapshot *snapshot;
        /*
         * Non-NULL: decide for this guest only (it just started); the host and
         * the other guests are looked at but not touched.
         */
        const char *only_uuid;
} PolicyInput;

/*
 * Updates @state (rules, memos, bookkeeping of what is still ours; not the
 * ownership of the new actions: the caller does state_own() for what it will
 * do) and returns the plan. Returns 0 or -ENOMEM; on failure @state may be
 * half updated: pass a copy where that matters.
 */
int policy_decide(const PolicyInput *in, State *state, Plan **ret);

/* Everything one controller needs; the settings are resolved once. */
typedef struct PolicyContext {
        const Config *config;
        const Snapshot *snapshot;
        State *state;
        Plan *plan;
        const bool *active_rules;
        Settings host;
        Settings *guests;               /* parallel to snapshot->guests */
        const char *only_uuid;
} PolicyContext;

/* One controller each. Return 0 or -ENOMEM. */
int policy_placement(PolicyContext *c);         /* vCPU, emulator, iothread pins and memory: one decision */
int policy_ksm(PolicyContext *c);
int policy_balloon(PolicyContext *c);

/*
 * What to do to give everything back: for each owned knob that still holds our
 * value, an action that sets the original; for the others a Skip (taken over).
 * @state is not changed. Returns 0 or -ENOMEM.
 */
int policy_restore(const Snapshot *snapshot, const State *state, Plan **ret);

/*
 * The value of a knob as the snapshot shows it, in the canonical text of its
 * kind. -ENODATA when the snapshot does not know it, -ENOENT when the guest or
 * thread is gone, -ENOMEM.
 */
int policy_current_value(const Snapshot *snapshot, ActionKind kind, const char *uuid, unsigned index, char **ret);

/*
 * Whether a knob still holds what we gave it (ours or previous). CPU lists are
 * compared on the online CPUs (the kernel drops offline ones from a thread's
 * affinity); a balloon holds when it is at our value (1 MiB tolerance) or on
 * its way from previous/original to it.
 */
bool policy_still_ours(const Snapshot *snapshot, const Owned *owned, const char *current);
