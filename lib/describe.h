/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What people ask about a host: which guests there are, which settings are in
 * force and where they come from, which rules hold, and, of one guest, where it
 * is, what was done to it, what is not done and why, and what comes next. As
 * values (value.h): the daemon sends them, kvmtunectl prints them, and both can
 * be had from a recorded snapshot. org.kvmtuned1(5) lists the members.
 *
 * What is not known is left out.
 */

#include "config.h"
#include "plan.h"
#include "policy.h"
#include "state.h"
#include "value.h"

typedef struct Description {
        const Config *config;
        const Snapshot *snapshot;
        const State *state;             /* before the decision: what is so */
        State *decided;                 /* after it: a copy */
        PolicySettings settings;
        Plan *plan;                     /* what would be done now, with explanations; NULL: not asked for */
} Description;

/*
 * Decides on a copy of @state, so that nothing changes: who asks twice gets the
 * same answer. Without @with_plan only the settings are worked out, which costs
 * much less: enough for all but describe_guest(). @state, @in and what it points
 * to must outlive *ret. -ENOMEM.
 */
int describe_begin(const PolicyInput *in, const State *state, bool with_plan, Description *ret);
void describe_done(Description *d);

/* By name, or else by uuid; NULL when there is none. */
const Guest *describe_find(const Snapshot *s, const char *name_or_uuid);

/* All return a new value, or NULL without memory; ask value_complete(). */
Value *describe_host(const Snapshot *s, const State *state);
/* A list of maps, sorted by name. */
Value *describe_guests(const Description *d);
Value *describe_guest(const Description *d, const Guest *g);
/* A list of maps: the settings of @g, or of the host (NULL). */
Value *describe_settings(const Description *d, const Guest *g);
Value *describe_rules(const Description *d);
