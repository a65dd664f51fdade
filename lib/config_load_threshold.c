/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A condition { metric; above or below; clear; for; node; rate; average }. */

#include "config_load.h"
#include "parse.h"
#include "rules.h"

typedef struct Quantity {
        uint64_t value;
        bool percent;
} Quantity;

static const char *quantity_needed(const Condition *c) {
        Metric m = c->metric;

        if (c->rate != RATE_NONE)
                return metric_takes_size(m) ? "a rate (\"10 MiB/s\")" : "a rate (\"100/s\")";
        if (metric_takes_size(m) && metric_takes_percent(m))
                return "a percentage up to 100 % (\"15 %\") or a size (\"2 GiB\")";
        if (metric_takes_percent(m))
                return "a percentage up to 100 % (\"15 %\")";
        return metric_takes_size(m) ? "a size (\"2 GiB\")" : "a number";
}

/* "100/s", "100 / s". */
static int parse_number_rate(const char *text, uint64_t *ret) {
        _cleanup_free_ char *number = NULL;
        const char *slash = strchr(text, '/'), *unit;

        if (!slash)
                return -EINVAL;
        for (unit = slash + 1; *unit == ' '; unit++)
                ;
        if (!streq(unit, "s"))
                return -EINVAL;
        while (slash > text && slash[-1] == ' ')
                slash--;
        number = strndup(text, (size_t)(slash - text));
        return number ? parse_u64(number, ret) : -ENOMEM;
}

static int parse_quantity(const Condition *c, const char *text, Quantity *ret) {
        Metric m = c->metric;
        int r = -EINVAL;

        if (c->rate != RATE_NONE)
                return metric_takes_size(m) ? parse_rate(text, &ret->value) : parse_number_rate(text, &ret->value);
        if (metric_takes_number(m))
                return parse_u64(text, &ret->value);
        if (metric_takes_size(m))
                r = parse_size(text, &ret->value);
        if (r != -EINVAL || !metric_takes_percent(m))
                return r;
        ret->percent = true;
        r = parse_permyriad(text, &ret->value);
        return r >= 0 && ret->value > PERMYRIAD_FULL ? -ERANGE : r;
}

static bool is_bare_number(const char *text) {
        return *text && text[strspn(text, "0123456789. ")] == '\0';
}

/* Whether *ret was set. */
static bool load_quantity(Loader *l, const config_setting_t *s, const Condition *c, Quantity *ret) {
        const char *name = config_setting_name(s), *metric = metric_to_string(c->metric), *needed = quantity_needed(c);
        bool number = metric_takes_number(c->metric) && c->rate == RATE_NONE;
        const char *text;
        Quantity q = { 0 };
        int r;

        if (number && config_setting_type(s) == CONFIG_TYPE_INT && config_setting_get_int(s) >= 0) {
                *ret = (Quantity){ .value = (uint64_t)config_setting_get_int(s) };
                return true;
        }
        text = load_string(l, s, name, needed);
        if (!text)
                return false;
        r = parse_quantity(c, text, &q);
        if (r == -ERANGE)
                setting_error(&l->errors, s, "%s: \"%s\" is out of range for %s; %s is needed", name, text, metric,
                              needed);
        else if (r < 0)
                setting_error(&l->errors, s, "%s: \"%s\" %s %s; %s is needed", name, text,
                              !number && is_bare_number(text) ? "has no unit for" : "does not fit", metric, needed);
        else
                *ret = q;
        return r >= 0;
}

static bool load_limit(Loader *l, const config_setting_t *s, Condition *c) {
        const char *metric = metric_to_string(c->metric);
        Quantity q;

        if (!load_quantity(l, s, c, &q))
                return false;
        c->limit = q.value;
        c->percent = q.percent;
        if (c->above && q.percent && q.value >= PERMYRIAD_FULL)
                setting_error(&l->errors, s, "above: %s can never be above 100 %%; less is needed", metric);
        else if (!c->above && q.value == 0)
                setting_error(&l->errors, s, "below: %s can never be below 0; more is needed", metric);
        else {
                c->clear = c->above ? u64_add(c->limit, 1) : c->limit - 1;
                return true;
        }
        return false;
}

/* Beyond which @c would hold for ever once it holds. */
static bool never_clears(const Condition *c, const Quantity *clear) {
        return c->above ? clear->value == 0 : clear->percent && clear->value >= PERMYRIAD_FULL;
}

static void load_clear(Loader *l, const config_setting_t *s, Condition *c) {
        Quantity q;

        if (!load_quantity(l, s, c, &q))
                return;
        /* "0" is both a size and a percentage. */
        if (q.value > 0 && q.percent != c->percent)
                setting_error(&l->errors, s, "clear: %s but %s is %s; both in the same unit are needed",
                              q.percent ? "a percentage" : "a size", c->above ? "above" : "below",
                              c->percent ? "a percentage" : "a size");
        else if (c->above ? q.value > c->limit : q.value < c->limit)
                setting_error(&l->errors, s, "clear: beyond the limit; with %s it must be %s the limit or equal",
                              c->above ? "above" : "below", c->above ? "below" : "above");
        else if (never_clears(c, &q))
                setting_error(&l->errors, s, "clear: %s can never be %s; the rule would never end",
                              metric_to_string(c->metric), c->above ? "below 0" : "above 100 %");
        else
                c->clear = q.value;
}

/* `for` and `average`. */
static void load_time(Loader *l, const config_setting_t *s, uint64_t minimum_usec, const char *needed,
                      uint64_t *ret_usec) {
        const char *name = config_setting_name(s), *text = load_string(l, s, name, needed);
        const char *problem = "is out of range";
        uint64_t usec;
        int r;

        if (!text)
                return;
        r = parse_duration(text, &usec);
        if (r >= 0 && usec >= minimum_usec && usec <= USEC_PER_DAY) {
                *ret_usec = usec;
                return;
        }
        if (r == -EINVAL)
                problem = is_bare_number(text) ? "has no unit" : "is malformed";
        setting_error(&l->errors, s, "%s: \"%s\" %s; %s is needed", name, text, problem, needed);
}

static void load_rate(Loader *l, const config_setting_t *s, Condition *c) {
        const char *text = load_string(l, s, "rate", "\"rising\" or \"falling\"");
        MetricRate rate;

        if (!text)
                return;
        rate = metric_rate_from_string(text);
        if ((int)rate < 0) {
                setting_error(&l->errors, s, "rate: \"%s\" is unknown; \"rising\" or \"falling\" is needed", text);
                /* So that the limits are not complained about. */
                c->rate = RATE_RISING;
        } else if (!metric_takes_size(c->metric) && !metric_takes_number(c->metric))
                setting_error(&l->errors, s, "rate: %s is a share already; a metric that is a size or a number is "
                              "needed", metric_to_string(c->metric));
        else
                c->rate = rate;
}

static void load_node(Loader *l, const config_setting_t *s, Condition *c) {
        if (config_setting_type(s) != CONFIG_TYPE_INT || config_setting_get_int(s) < 0 ||
            config_setting_get_int(s) >= (int)IDSET_MAX)
                load_type_error(l, s, "node", "the number of a NUMA node");
        else if (metric_scope(c->metric) != METRIC_OF_NODE)
                setting_error(&l->errors, s, "node: %s is not a metric of a node; node.memory.free, node.cpu.busy or "
                              "node.hugepages.free is needed", metric_to_string(c->metric));
        else {
                c->has_node = true;
                c->node = (unsigned)config_setting_get_int(s);
        }
}

/* What says how the metric is looked at; before its limits, whose unit depends on it. */
static void load_details(Loader *l, const config_setting_t *group, Condition *c) {
        const config_setting_t *node = config_setting_get_member(group, "node");
        const config_setting_t *rate = config_setting_get_member(group, "rate");
        const config_setting_t *average = config_setting_get_member(group, "average");

        if (node)
                load_node(l, node, c);
        if (rate)
                load_rate(l, rate, c);
        if (average)
                load_time(l, average, USEC_PER_SEC, "a time from 1 s to 1 d (\"5 min\")", &c->average_usec);
}

static bool load_metric(Loader *l, const config_setting_t *s, Condition *c) {
        const char *text = load_string(l, s, "metric", "a name such as \"host.memory.available\"");
        const char *known[_METRIC_MAX];
        _cleanup_free_ char *list = NULL;
        const char *nearest;

        if (!text)
                return false;
        c->metric = metric_from_string(text);
        if (c->metric >= 0)
                return true;
        for (size_t i = 0; i < _METRIC_MAX; i++)
                known[i] = metric_to_string((Metric)i);
        nearest = setting_nearest(text, known, _METRIC_MAX);
        if (nearest)
                setting_error(&l->errors, s, "unknown metric \"%s\"; did you mean \"%s\"?", text, nearest);
        else if (setting_list(known, _METRIC_MAX, &list) < 0)
                l->errors.out_of_memory = true;
        else
                setting_error(&l->errors, s, "unknown metric \"%s\"; %s is allowed", text, list);
        return false;
}

/* FNV-1a, 64 bits. */
static uint64_t mix(uint64_t hash, uint64_t value) {
        for (unsigned i = 0; i < sizeof(value); i++) {
                hash ^= value >> 8 * i & 0xff;
                hash *= UINT64_C(0x100000001b3);
        }
        return hash;
}

static uint64_t identity_of(const Condition *c) {
        const uint64_t parts[] = { (uint64_t)c->metric, c->above, c->percent, c->limit, c->clear, c->for_usec,
                                   c->has_node, c->node, (uint64_t)c->rate, c->average_usec };
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                hash = mix(hash, parts[i]);
        return hash;
}

int load_threshold(Loader *l, const config_setting_t *group, Condition *c) {
        const config_setting_t *metric = config_setting_get_member(group, "metric");
        const config_setting_t *above = config_setting_get_member(group, "above");
        const config_setting_t *below = config_setting_get_member(group, "below");
        const config_setting_t *clear = config_setting_get_member(group, "clear");
        const config_setting_t *dwell = config_setting_get_member(group, "for");

        c->type = CONDITION_THRESHOLD;
        c->threshold_index = l->config->n_thresholds++;
        c->above = above;
        if (dwell)
                load_time(l, dwell, 0, "a time from 0 to 1 d (\"30 s\")", &c->for_usec);
        if (!load_metric(l, metric, c))
                return 0;
        load_details(l, group, c);
        if (above && below)
                setting_error(&l->errors, below, "both above and below; one of them is needed");
        else if (!above && !below)
                setting_error(&l->errors, metric, "metric without limit; above or below is needed");
        else if (load_limit(l, above ? above : below, c) && clear)
                load_clear(l, clear, c);
        c->identity = identity_of(c);
        return 0;
}
