/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the daemon tells monitoring, in Prometheus' text format: the one that
 * node_exporter's textfile collector reads. (It does not read OpenMetrics,
 * whose counters are declared without their _total; "# UNIT" and "# EOF" would
 * mean nothing there. Names and units keep to the rules of both.)
 *
 * Pure. The number of series is bounded: by nodes, by words that are
 * constants, and by @guests_max.
 */

#include "config.h"
#include "plan.h"
#include "snapshot.h"
#include "state.h"

/* Since the daemon started, but for those that say otherwise. */
typedef struct MetricsCounters {
        uint64_t cycles;
        uint64_t cycles_usec;                   /* spent in them */
        uint64_t done[_ACTION_KIND_MAX];
        uint64_t failed[_ACTION_KIND_MAX];
        uint64_t skips[_SKIP_REASON_MAX];       /* begun: one that goes on counts once */
        uint64_t skipped[_SKIP_REASON_MAX];     /* in the last decision */
        uint64_t gained[_MOVE_CAUSE_MAX];       /* moves, by what was measured afterwards */
        uint64_t not_gained[_MOVE_CAUSE_MAX];
        uint64_t restored;                      /* knobs given back */
} MetricsCounters;

typedef struct MetricsInput {
        const Snapshot *snapshot;
        const State *state;
        const Config *config;
        const MetricsCounters *counters;
        const bool *rules_active;               /* config->n_rules; NULL: not known yet */
        const char *version;
        uint64_t cycle_realtime_usec;           /* wall clock of the last cycle; 0: none yet */
        bool connected, paused, dry_run;
        /*
         * Guests with series of their own, at most. Only those that something was done to or that were placed;
         * of too many the largest.
         */
        uint64_t guests_max;
} MetricsInput;

typedef enum MetricsType { METRICS_GAUGE, METRICS_COUNTER } MetricsType;

/* A family: what kvmtuned-metrics(7) lists. */
typedef struct MetricsFamily {
        const char *name;
        MetricsType type;
        const char *help;
} MetricsFamily;

extern const MetricsFamily metrics_families[];
extern const size_t n_metrics_families;

/* -ENOMEM, -ENODATA: the snapshot has no topology. */
int metrics_format(const MetricsInput *in, char **ret);
