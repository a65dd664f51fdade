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
 * Evaluates every rule of @c but those of_guest, which are false. @active has
 * room for c->n_rules. Updates state->thresholds (grown to c->n_thresholds). A
 * threshold whose metric is not known keeps its last state; so do all of them
 * when the snapshot is not @fresh: its metrics were looked at before, and only
 * its time is new. Returns 0 or -ENOMEM; then thresholds may have been updated
 * in part. The truth table of a threshold is at the head of threshold.c.
 */
int rules_evaluate(const Config *c, const Snapshot *snapshot, bool fresh, State *state, bool *active);

/*
 * The rules of_guest, as they are for @guest: sets those elements of @active,
 * and leaves the others alone. Updates state->guest_thresholds. Where it is not
 * @fresh a threshold that nothing is remembered of does not hold, and it cannot
 * fail.
 */
int rules_evaluate_guest(const Config *c, const Snapshot *snapshot, const Guest *guest, bool fresh, State *state,
                         bool *active);

/* Whether any condition, or any part of it, needs what guests say of themselves (balloon statistics). */
bool rules_need_stats(const Condition *c);

/*
 * Seconds from @t until the next instant at which any schedule of @c may
 * change; 0 when there is no schedule. At most until the next quarter hour of
 * the wall clock: then the caller looks at the clock and asks again.
 *
 * This is what makes it right across DST changes. Schedules follow the wall
 * clock (a window inside the hour that is left out does not occur, one inside
 * the hour that is repeated occurs twice), and when the clock is put forward
 * or back a schedule may change at that instant, or be reached an hour sooner
 * or later than the wall clock at @t promises. Time zones change their offset
 * on a quarter hour of the wall clock (every rule of tzdata now in force), so
 * no answer reaches across such a change, and until then a second of the wall
 * clock is a second. A step of the clock (settimeofday, NTP) cannot be
 * foreseen: the caller asks again when it notices one, and in each cycle.
 */
unsigned rules_next_edge_sec(const Config *c, const LocalTime *t);

/*
 * Microseconds until a dwell (`for`) that is running ends; UINT64_MAX when
 * none is. @now_usec is that of the snapshot last evaluated. Never 0: a dwell
 * that is over but whose metric is not known waits for the metric, not for time.
 */
uint64_t rules_next_dwell_usec(const Config *c, const State *state, uint64_t now_usec);

/*
 * Reads "Mon..Fri 22:00-06:00", "Sat,Sun", "08:00-12:00,13:00-17:00",
 * "12-24..01-02", "2026-11-27 18:00-24:00", several separated by ";" (the
 * grammar is at the head of schedule.c). Appends to
 * *schedules; each window is one entry, any of them holding is enough.
 * -EINVAL malformed, -ENOMEM; on failure *n is unchanged. The array is the
 * caller's to free in each case.
 */
int schedule_parse(const char *text, Schedule **schedules, size_t *n, size_t *capacity);

/* Does @schedule hold at @t? Its start is inside, its end is not. */
bool schedule_matches(const Schedule *schedule, const LocalTime *t);

/* Dates with a year, none of which is one of its weekdays. */
bool schedule_never_holds(const Schedule *schedule);

/* As rules_next_edge_sec, of one schedule. */
unsigned schedule_next_edge_sec(const Schedule *schedule, const LocalTime *t);

/* Where a metric is looked up. */
typedef struct MetricSource {
        const Snapshot *snapshot;
        const Guest *guest;             /* NULL: metrics of a guest are not known */
        bool has_node;                  /* metrics of @node, else of the node where it is highest (@lowest: lowest) */
        unsigned node;
        bool lowest;
} MetricSource;

/*
 * The metric's value in its unit (permyriad of its whole with @percent).
 * -ENODATA: not known, or there is nothing it could be a share of (percent of
 * swap without swap; KSM of a kernel without KSM). -EINVAL: @metric cannot be
 * given that way. A negative ksm.profit counts as 0.
 */
int metric_value(const MetricSource *from, Metric metric, bool percent, uint64_t *ret);

/* @m is a metric in the following four. */
MetricScope metric_scope(Metric m);
/* Comes from the guest's balloon driver. */
bool metric_needs_stats(Metric m);

/* Whether limits can be given as a size, a percentage, a plain number. */
bool metric_takes_size(Metric m);
bool metric_takes_percent(Metric m);
bool metric_takes_number(Metric m);

/*
 * One look at a threshold: whether it holds. @from is completed with what @c
 * asks for. The table is at the head of threshold.c.
 */
bool threshold_evaluate(const Condition *c, const MetricSource *from, ThresholdMemo *memo);
