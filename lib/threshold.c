/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
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
 * The value may be the metric's change a second since the last look, in one
 * direction (the other counts 0; so does a counter that began anew). Of what a
 * guest reports, it is the change between two reports, however often they are
 * looked at. And it
 * may be the mean over a time W, which is exponential: a look after t weighs
 * t / (W + t), so that what was seen W ago still counts a third or so. The
 * kernel's load and pressure averages fade in the same way.
 */

#include "rules.h"

/*
 * A look so soon after the one before tells nothing of a rate, and shows the same report of a guest, whose time is
 * known to a second.
 */
#define SAMPLE_USEC (500 * USEC_PER_MSEC)

/* Means are kept finer than the values, else a slow one would stop short of its goal. */
#define FIXED_ONE UINT64_C(1024)

static bool beyond(const Condition *c, uint64_t value) {
        return c->above ? value > c->limit : value < c->limit;
}

static bool cleared(const Condition *c, uint64_t value) {
        return c->above ? value < c->clear : value > c->clear;
}

static uint64_t rate_of(const Condition *c, const ThresholdMemo *memo, uint64_t value, uint64_t usec) {
        uint64_t change = c->rate == RATE_RISING ? u64_sub(value, memo->seen_value)
                                                 : u64_sub(memo->seen_value, value);

        return u64_muldiv(change, USEC_PER_SEC, usec);
}

/* Weights @fixed by the time since the last look. */
static uint64_t mean_of(const Condition *c, const ThresholdMemo *memo, uint64_t fixed, uint64_t usec) {
        uint64_t whole = u64_add(c->average_usec, usec);

        if (!memo->mean_known || c->average_usec == 0)
                return fixed;
        return u64_add(u64_muldiv(memo->mean_fixed, c->average_usec, whole), u64_muldiv(fixed, usec, whole));
}

/* What a guest said is as old as its report. */
static uint64_t value_usec(const Condition *c, const MetricSource *from) {
        uint64_t now_usec = from->snapshot->now_usec;

        return metric_needs_stats(c->metric) ? u64_sub(now_usec, from->guest->stats.age_usec) : now_usec;
}

/* The metric was @value at @usec. */
static void take_sample(const Condition *c, uint64_t value, uint64_t usec, bool first, ThresholdMemo *memo) {
        uint64_t since_usec = u64_sub(usec, memo->seen_usec);

        if (first)
                memo->mean_known = false;
        if (c->rate == RATE_NONE || !first) {
                uint64_t sample = c->rate == RATE_NONE ? value : rate_of(c, memo, value, since_usec);

                memo->mean_fixed = mean_of(c, memo, u64_muldiv(sample, FIXED_ONE, 1), since_usec);
                memo->mean_known = true;
        }
        memo->seen_usec = MAX(usec, UINT64_C(1));
        memo->seen_value = value;
}

/* What is compared with the limits; -ENODATA: nothing yet. */
static int windowed_value(const Condition *c, uint64_t value, uint64_t usec, ThresholdMemo *memo, uint64_t *ret) {
        bool first = memo->seen_usec == 0 || memo->seen_usec > u64_add(usec, SAMPLE_USEC);

        if (c->rate == RATE_NONE && c->average_usec == 0) {
                *ret = value;
                return 0;
        }
        if (first || u64_sub(usec, memo->seen_usec) >= SAMPLE_USEC)
                take_sample(c, value, usec, first, memo);
        if (!memo->mean_known)
                return -ENODATA;
        *ret = memo->mean_fixed / FIXED_ONE + (memo->mean_fixed % FIXED_ONE >= FIXED_ONE / 2);
        return 0;
}

bool threshold_evaluate(const Condition *c, const MetricSource *from, ThresholdMemo *memo) {
        MetricSource source = { from->snapshot, from->guest, c->has_node, c->node, !c->above };
        uint64_t now_usec = from->snapshot->now_usec, value;
        bool was_raw = memo->raw;

        if (metric_value(&source, c->metric, c->percent, &value) < 0 ||
            windowed_value(c, value, value_usec(c, from), memo, &value) < 0)
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
        if (!was_raw || memo->raw_since_usec > now_usec)
                memo->raw_since_usec = now_usec;
        memo->active = u64_sub(now_usec, memo->raw_since_usec) >= c->for_usec;
        return memo->active;
}
