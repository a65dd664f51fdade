/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A rule is active while its condition holds. Conditions:
 *
 * schedule: any of its windows holds at the local time of the snapshot.
 * threshold: see threshold.c.
 * all, any: of the children. not: none of the children.
 *
 * A rule that looks at a metric of a guest is decided for each guest it
 * selects, with thresholds of its own; what is not the guest's in it (a
 * schedule, a metric of the host) is the same for all.
 *
 * Each threshold is looked at in each evaluation, also where its rule is
 * already decided by another part of the condition: its dwell runs on its own.
 *
 * What is remembered of a threshold outlives the daemon and a reload; that of
 * another one which had its number in the policy before is not taken for it.
 */

#include "rules.h"

static const char *const metric_rate_table[_METRIC_RATE_MAX] = {
        [RATE_RISING] = "rising",
        [RATE_FALLING] = "falling",
};
DEFINE_STRING_TABLE(metric_rate, MetricRate, metric_rate_table)

typedef struct Look {
        MetricSource from;
        bool fresh;
        State *state;
} Look;

static bool any_schedule_matches(const Condition *c, const LocalTime *t) {
        for (size_t i = 0; i < c->n_schedules; i++)
                if (schedule_matches(&c->schedules[i], t))
                        return true;
        return false;
}

/* A look that is not fresh changes nothing, so there is nothing to make for it. */
static int guest_memo(const Condition *c, const Look *look, ThresholdMemo **ret) {
        const char *uuid = look->from.guest->uuid;

        if (look->fresh)
                return state_guest_threshold(look->state, uuid, c->threshold_index, ret);
        *ret = state_find_guest_threshold(look->state, uuid, c->threshold_index);
        return 0;
}

/* 1: it holds, 0: not, -ENOMEM. */
static int evaluate_threshold(const Condition *c, const Look *look) {
        ThresholdMemo *memo = NULL;
        int r = 0;

        if (metric_scope(c->metric) != METRIC_OF_GUEST)
                memo = &look->state->thresholds[c->threshold_index];
        else if (look->from.guest)
                r = guest_memo(c, look, &memo);
        if (r < 0 || !memo)
                return r;
        if (memo->of != c->identity)
                *memo = (ThresholdMemo){ .of = c->identity };
        return look->fresh ? threshold_evaluate(c, &look->from, memo) : memo->active;
}

/* Likewise. */
static int evaluate(const Condition *c, const Look *look) {
        size_t holding = 0;

        switch (c->type) {
        case CONDITION_SCHEDULE:
                return any_schedule_matches(c, &look->from.snapshot->local_time);
        case CONDITION_THRESHOLD:
                return evaluate_threshold(c, look);
        case CONDITION_ALL:
        case CONDITION_ANY:
        case CONDITION_NOT:
                break;
        }
        for (size_t i = 0; i < c->n_children; i++) {
                int r;

                r = evaluate(c->children[i], look);
                if (r < 0)
                        return r;
                holding += (size_t)r;
        }
        if (c->type == CONDITION_ALL)
                return holding == c->n_children;
        return (holding > 0) == (c->type == CONDITION_ANY);
}

int rules_evaluate(const Config *c, const Snapshot *snapshot, bool fresh, State *state, bool *active) {
        const Look look = { .from = { .snapshot = snapshot }, .fresh = fresh, .state = state };
        int r;

        r = state_set_thresholds(state, c->n_thresholds);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_rules; i++) {
                r = c->rules[i].of_guest ? 0 : evaluate(c->rules[i].when, &look);
                if (r < 0)
                        return r;
                active[i] = r > 0;
        }
        return 0;
}

int rules_evaluate_guest(const Config *c, const Snapshot *snapshot, const Guest *guest, bool fresh, State *state,
                         bool *active) {
        const Look look = { .from = { .snapshot = snapshot, .guest = guest }, .fresh = fresh, .state = state };
        int r;

        for (size_t i = 0; i < c->n_rules; i++) {
                const Rule *rule = &c->rules[i];

                if (!rule->of_guest)
                        continue;
                r = guest_selector_matches(&rule->guests, guest) ? evaluate(rule->when, &look) : 0;
                if (r < 0)
                        return r;
                active[i] = r > 0;
        }
        return 0;
}

bool rules_need_stats(const Condition *c) {
        if (c->type == CONDITION_THRESHOLD)
                return metric_needs_stats(c->metric);
        for (size_t i = 0; i < c->n_children; i++)
                if (rules_need_stats(c->children[i]))
                        return true;
        return false;
}

static unsigned sooner(unsigned a, unsigned b) {
        if (a == 0 || b == 0)
                return MAX(a, b);
        return MIN(a, b);
}

static unsigned condition_next_edge_sec(const Condition *c, const LocalTime *t) {
        unsigned sec = 0;

        for (size_t i = 0; i < c->n_schedules; i++)
                sec = sooner(sec, schedule_next_edge_sec(&c->schedules[i], t));
        for (size_t i = 0; i < c->n_children; i++)
                sec = sooner(sec, condition_next_edge_sec(c->children[i], t));
        return sec;
}

unsigned rules_next_edge_sec(const Config *c, const LocalTime *t) {
        unsigned sec = 0;

        for (size_t i = 0; i < c->n_rules; i++)
                sec = sooner(sec, condition_next_edge_sec(c->rules[i].when, t));
        return sec;
}

/* As long as @memo's dwell still takes. */
static uint64_t dwell_left_usec(const Condition *c, const ThresholdMemo *memo, uint64_t now_usec) {
        uint64_t left = u64_sub(u64_add(memo->raw_since_usec, c->for_usec), now_usec);

        return memo->raw && !memo->active && left > 0 ? left : UINT64_MAX;
}

/* Of guests' thresholds, the first dwell to end. */
static uint64_t guests_dwell_left_usec(const Condition *c, const State *state, uint64_t now_usec) {
        uint64_t usec = UINT64_MAX;

        for (size_t i = 0; i < state->n_guest_thresholds; i++)
                if (state->guest_thresholds[i].index == c->threshold_index)
                        usec = MIN(usec, dwell_left_usec(c, &state->guest_thresholds[i].memo, now_usec));
        return usec;
}

static uint64_t condition_next_dwell_usec(const Condition *c, const State *state, uint64_t now_usec) {
        uint64_t usec = UINT64_MAX;

        if (c->type == CONDITION_THRESHOLD && c->for_usec > 0) {
                if (metric_scope(c->metric) == METRIC_OF_GUEST)
                        usec = guests_dwell_left_usec(c, state, now_usec);
                else if (c->threshold_index < state->n_thresholds)
                        usec = dwell_left_usec(c, &state->thresholds[c->threshold_index], now_usec);
        }
        for (size_t i = 0; i < c->n_children; i++)
                usec = MIN(usec, condition_next_dwell_usec(c->children[i], state, now_usec));
        return usec;
}

uint64_t rules_next_dwell_usec(const Config *c, const State *state, uint64_t now_usec) {
        uint64_t usec = UINT64_MAX;

        for (size_t i = 0; i < c->n_rules; i++)
                usec = MIN(usec, condition_next_dwell_usec(c->rules[i].when, state, now_usec));
        return usec;
}
