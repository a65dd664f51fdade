/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A rule is active while its condition holds. Conditions:
 *
 * schedule: any of its windows holds at the local time of the snapshot.
 * all, any: of the children. not: none of the children.
 *
 * threshold: a level with hysteresis and dwell. With "above L, clear C, for D"
 * ("below" is its mirror image: exchange < and >):
 *
 *     is      value            becomes   and
 *     off     unknown          off       a dwell that is running goes on
 *     off     <= L             off       the dwell is given up
 *     off     > L, for < D     off       the dwell begins, or goes on
 *     off     > L, for >= D    on        at once when D is 0
 *     on      unknown          on
 *     on      >= C             on        however it moves around L
 *     on      < C              off       the next time above L starts a dwell of its own
 *
 * Where the policy file gives no C, the loader takes L + 1 (L - 1 for below):
 * without hysteresis the value L itself switches off, so that also "above 0"
 * ends. With C = L given, the value L keeps the threshold as it is.
 *
 * "for" is the time between the first look that found the value above L and
 * this one, with no look in between that found it elsewhere. A clock that
 * reads less than when the dwell began (the host was booted since) begins it
 * again.
 *
 * Each threshold is looked at in each evaluation, also where its rule is
 * already decided by another part of the condition: its dwell runs on its own.
 */

#include "rules.h"

static bool beyond(const Condition *c, uint64_t value) {
        return c->above ? value > c->limit : value < c->limit;
}

static bool cleared(const Condition *c, uint64_t value) {
        return c->above ? value < c->clear : value > c->clear;
}

static bool evaluate_threshold(const Condition *c, const Snapshot *snapshot, ThresholdMemo *memo) {
        bool was_raw = memo->raw;
        uint64_t value;

        if (metric_value(snapshot, c->metric, c->percent, &value) < 0)
                return memo->active;
        memo->raw = beyond(c, value);
        if (memo->active) {
                if (!cleared(c, value))
                        return true;
                memo->active = false;
                was_raw = false;
        }
        if (!memo->raw) {
                memo->raw_since_usec = 0;
                return false;
        }
        if (!was_raw || memo->raw_since_usec > snapshot->now_usec)
                memo->raw_since_usec = snapshot->now_usec;
        memo->active = u64_sub(snapshot->now_usec, memo->raw_since_usec) >= c->for_usec;
        return memo->active;
}

static bool any_schedule_matches(const Condition *c, const LocalTime *t) {
        for (size_t i = 0; i < c->n_schedules; i++)
                if (schedule_matches(&c->schedules[i], t))
                        return true;
        return false;
}

static bool evaluate(const Condition *c, const Snapshot *snapshot, ThresholdMemo *memos) {
        size_t holding = 0;

        switch (c->type) {
        case CONDITION_SCHEDULE:
                return any_schedule_matches(c, &snapshot->local_time);
        case CONDITION_THRESHOLD:
                return evaluate_threshold(c, snapshot, &memos[c->threshold_index]);
        case CONDITION_ALL:
        case CONDITION_ANY:
        case CONDITION_NOT:
                break;
        }
        for (size_t i = 0; i < c->n_children; i++)
                holding += evaluate(c->children[i], snapshot, memos);
        if (c->type == CONDITION_ALL)
                return holding == c->n_children;
        return (holding > 0) == (c->type == CONDITION_ANY);
}

int rules_evaluate(const Config *c, const Snapshot *snapshot, State *state, bool *active) {
        int r;

        r = state_set_thresholds(state, c->n_thresholds);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_rules; i++)
                active[i] = evaluate(c->rules[i].when, snapshot, state->thresholds);
        return 0;
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

static uint64_t condition_next_dwell_usec(const Condition *c, const State *state, uint64_t now_usec) {
        uint64_t usec = UINT64_MAX;

        if (c->type == CONDITION_THRESHOLD && c->threshold_index < state->n_thresholds) {
                const ThresholdMemo *memo = &state->thresholds[c->threshold_index];
                uint64_t left = u64_sub(u64_add(memo->raw_since_usec, c->for_usec), now_usec);

                if (memo->raw && !memo->active && left > 0)
                        usec = left;
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
