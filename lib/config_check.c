/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the parts of a configuration say about each other: limits that must
 * keep an order, and conditions that can never hold.
 *
 * A condition is tried at every instant of the week at which one of its
 * schedules begins or ends (in between nothing changes). There each schedule
 * either holds or not, each threshold may do both, and `all`, `any`, `not`
 * follow, with one addition: the thresholds that an `all` (or a negated `any`)
 * forces on one metric must leave a value. That finds contradictions, not all
 * of them, and never calls one what is none: hysteresis is taken into account
 * by its wider limit, and dates are not held against each other.
 */

#include "config_load.h"
#include "config_value.h"
#include "rules.h"

#define MINUTES_PER_DAY 1440U

typedef struct Range {
        uint64_t low, high;
} Range;

/* Apart for values in percent, which cannot be compared with the others. */
typedef struct Ranges {
        Range of[_METRIC_MAX][2];
} Ranges;

/* Whether a condition can hold, whether it can not hold, at some instant. */
typedef struct Possible {
        bool yes, no;
} Possible;

static void narrow(Ranges *ranges, const Condition *c, bool want) {
        Range *range = &ranges->of[c->metric][c->percent];

        /* Several nodes, several times: each has a value of its own. */
        if (metric_scope(c->metric) == METRIC_OF_NODE || c->rate != RATE_NONE || c->average_usec > 0)
                return;
        if (want && c->above)
                range->low = MAX(range->low, c->clear);
        else if (want)
                range->high = MIN(range->high, c->clear);
        else if (c->for_usec > 0)
                return; /* off while it dwells: any value */
        else if (c->above)
                range->high = MIN(range->high, c->limit);
        else
                range->low = MAX(range->low, c->limit);
}

/* Narrows to the values that @c being @want forces. */
static void narrow_forced(Ranges *ranges, const Condition *c, bool want) {
        if (c->type == CONDITION_THRESHOLD)
                narrow(ranges, c, want);
        else if (c->type == CONDITION_NOT)
                narrow_forced(ranges, c->children[0], !want);
        else if (c->type == (want ? CONDITION_ALL : CONDITION_ANY))
                for (size_t i = 0; i < c->n_children; i++)
                        narrow_forced(ranges, c->children[i], want);
}

static bool limits_exclude_each_other(const Condition *c, bool want) {
        Ranges ranges;

        for (size_t i = 0; i < _METRIC_MAX; i++) {
                ranges.of[i][false] = (Range){ 0, UINT64_MAX };
                ranges.of[i][true] = (Range){ 0, PERMYRIAD_FULL };
        }
        narrow_forced(&ranges, c, want);
        for (size_t i = 0; i < _METRIC_MAX; i++)
                for (size_t j = 0; j < 2; j++)
                        if (ranges.of[i][j].low > ranges.of[i][j].high)
                                return true;
        return false;
}

/* The week at hand may be any: a schedule with dates may hold in it or not. */
static Possible schedule_possible_at(const Condition *c, const LocalTime *t) {
        Possible p = { .no = true };

        for (size_t i = 0; i < c->n_schedules; i++) {
                Schedule weekly = c->schedules[i];

                weekly.from_date = weekly.to_date = 0;
                if (!schedule_matches(&weekly, t) || schedule_never_holds(&c->schedules[i]))
                        continue;
                p.yes = true;
                if (c->schedules[i].from_date == 0)
                        p.no = false;
        }
        return p;
}

static Possible possible_at(const Condition *c, const LocalTime *t) {
        bool all = c->type == CONDITION_ALL;
        Possible p;

        switch (c->type) {
        case CONDITION_SCHEDULE:
                return schedule_possible_at(c, t);
        case CONDITION_THRESHOLD:
                return (Possible){ .yes = true, .no = true };
        case CONDITION_NOT:
                p = possible_at(c->children[0], t);
                return (Possible){ .yes = p.no, .no = p.yes };
        default:
                break;
        }
        p = (Possible){ .yes = all, .no = !all };
        for (size_t i = 0; i < c->n_children; i++) {
                Possible child = possible_at(c->children[i], t);

                p.yes = all ? p.yes && child.yes : p.yes || child.yes;
                p.no = all ? p.no || child.no : p.no && child.no;
        }
        if (all)
                p.yes = p.yes && !limits_exclude_each_other(c, true);
        else
                p.no = p.no && !limits_exclude_each_other(c, false);
        return p;
}

/* The minutes of a day at which a schedule of @c may begin or end. */
static void mark_edges(const Condition *c, bool edges[static MINUTES_PER_DAY]) {
        for (size_t i = 0; i < c->n_schedules; i++) {
                edges[c->schedules[i].start_minute % MINUTES_PER_DAY] = true;
                edges[c->schedules[i].end_minute % MINUTES_PER_DAY] = true;
        }
        for (size_t i = 0; i < c->n_children; i++)
                mark_edges(c->children[i], edges);
}

/* Whether @c is @want at no instant of the week. */
static bool is_never(const Condition *c, bool want) {
        bool edges[MINUTES_PER_DAY] = { true };

        mark_edges(c, edges);
        for (int day = 0; day < 7; day++)
                for (unsigned minute = 0; minute < MINUTES_PER_DAY; minute++) {
                        LocalTime t = { .weekday = day, .hour = (int)(minute / 60), .minute = (int)(minute % 60) };
                        Possible p;

                        if (!edges[minute])
                                continue;
                        p = possible_at(c, &t);
                        if (want ? p.yes : p.no)
                                return false;
                }
        return true;
}

/* The innermost part of @c, which is never @want, that explains it. */
static const Condition *find_culprit(const Condition *c, bool want, bool *ret_want) {
        bool forces_all = c->type == (want ? CONDITION_ALL : CONDITION_ANY);

        if (c->type == CONDITION_NOT)
                return find_culprit(c->children[0], !want, ret_want);
        for (size_t i = 0; i < c->n_children; i++)
                if (!forces_all || is_never(c->children[i], want))
                        return find_culprit(c->children[i], want, ret_want);
        *ret_want = want;
        return c;
}

int condition_never_holds(const Condition *condition, unsigned *ret_line, const char **ret_problem) {
        const Condition *culprit;
        bool want;

        if (!is_never(condition, true))
                return 0;
        culprit = find_culprit(condition, true, &want);
        *ret_line = culprit->line;
        if (!want)
                *ret_problem = "what it negates always holds; a condition that can end is needed";
        else if (limits_exclude_each_other(culprit, true))
                *ret_problem = "its limits on one metric exclude each other; limits that leave a value are needed";
        else if (culprit->type == CONDITION_SCHEDULE)
                *ret_problem = "none of its dates is one of its weekdays; a date or a weekday that occurs is needed";
        else
                *ret_problem = "its schedules never hold at the same time; schedules that overlap are needed";
        return 1;
}

static const SettingValue *effective(const Config *c, const SettingLayer *layer, Key key) {
        const SettingValue *v = layer ? setting_layer_find(layer, key) : NULL;

        return v ? v : &c->base.values[key];
}

/* `40 % at kvmtuned.conf:3`, `30 % by default` */
static int describe_value(Key key, const SettingValue *v, char **ret) {
        _cleanup_free_ char *value = NULL;
        char *text = NULL;
        int r;

        r = config_value_format(key, v, &value);
        if (r >= 0)
                r = v->file ? strprintf_to(&text, "%s at %s:%u", value, v->file, v->line)
                            : strprintf_to(&text, "%s by default", value);
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

/* Reports it where @stop stands, or else @start. */
static int report_order(Loader *l, Key start, const SettingValue *low, Key stop, const SettingValue *high,
                        const SettingValue *at) {
        const KeyInfo *a = &config_keys[start], *b = &config_keys[stop];
        _cleanup_free_ char *low_text = NULL, *high_text = NULL;
        int r;

        r = describe_value(start, low, &low_text);
        if (r >= 0)
                r = describe_value(stop, high, &high_text);
        if (r < 0)
                return r;
        setting_error_at(&l->errors, at->file, at->line, "%s.%s (%s) is not above %s.%s (%s); a higher percentage "
                         "is needed", b->group, b->name, high_text, a->group, a->name, low_text);
        return 0;
}

/* @stop above @start, in @layer over the base settings (NULL: in these alone). */
static int check_order(Loader *l, const SettingLayer *layer, Key start, Key stop) {
        const SettingValue *low = effective(l->config, layer, start), *high = effective(l->config, layer, stop);
        const SettingValue *at = high->file ? high : low;

        if (layer) {
                at = setting_layer_find(layer, stop) ? high : setting_layer_find(layer, start);
                if (!at)
                        return 0;
        }
        return high->number > low->number ? 0 : report_order(l, start, low, stop, high, at);
}

static int check_layer(Loader *l, const SettingLayer *layer) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < LIMIT_PAIRS; i++)
                r = check_order(l, layer, config_limit_pairs[i][0], config_limit_pairs[i][1]);
        return r;
}

int check_limits(Loader *l) {
        int r;

        r = check_layer(l, NULL);
        for (size_t i = 0; r >= 0 && i < l->config->n_guests; i++)
                r = check_layer(l, &l->config->guests[i].set);
        for (size_t i = 0; r >= 0 && i < l->config->n_rules; i++)
                r = check_layer(l, &l->config->rules[i].set);
        return r;
}
