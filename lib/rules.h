/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which rules hold at one instant. Pure: time and metrics come from the
 * snapshot, hysteresis and dwell from the state.
 */

#include "base.h"
#include "config.h"
#include "state.h"

/*
 * Evaluates every rule of @c. @active has room for c->n_rules. Updates
 * state->thresholds (grown to c->n_thresholds). A threshold whose metric is not
 * known keeps its last state. Returns 0 or -ENOMEM.
 */
int rules_evaluate(const Config *c, const Snapshot *snapshot, State *state, bool *active);

/* Does @schedule hold at @t? */
bool schedule_matches(const Schedule *schedule, const LocalTime *t);

/*
 * Seconds of local wall-clock time from @t until the next instant at which any
 * schedule of @c may change; 0 when there is no schedule. At most a day: after
 * a DST change or a clock step the caller simply asks again.
 */
unsigned rules_next_edge_sec(const Config *c, const LocalTime *t);

/*
 * Microseconds until a dwell (`for`) that is running may end; UINT64_MAX when
 * none is.
 */
uint64_t rules_next_dwell_usec(const Config *c, const State *state, uint64_t now_usec);

/*
 * Reads "Mon..Fri 22:00-06:00", "Sat,Sun", "08:00-12:00,13:00-17:00". Appends
 * to *schedules. -EINVAL malformed, -ENOMEM.
 */
int schedule_parse(const char *text, Schedule **schedules, size_t *n, size_t *capacity);

/* The metric's value in its unit (permyriad of its whole with @percent); -ENODATA when not known. */
int metric_value(const Snapshot *snapshot, Metric metric, bool percent, uint64_t *ret);
/* Whether @metric can be given as a size, a percentage, a plain number. */
bool metric_takes_size(Metric m);
bool metric_takes_percent(Metric m);
