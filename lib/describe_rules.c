/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "describe_internal.h"
#include "parse.h"
#include "rules.h"

static int format_metric(const Condition *c, uint64_t value, char **ret) {
        _cleanup_free_ char *text = NULL;
        char bytes[FORMAT_BYTES_MAX];
        int r;

        if (c->percent)
                r = format_permyriad(value, &text);
        else if (metric_takes_size(c->metric))
                r = strprintf_to(&text, "%s", format_bytes_short(value, bytes));
        else
                r = strprintf_to(&text, "%llu", (unsigned long long)value);
        if (r >= 0 && c->rate != RATE_NONE)
                r = strprintf_to(&text, "%s/s", text);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

/* A metric's rate is not in the snapshot, only itself. */
static void put_value(Value *v, const Condition *c, const Snapshot *s) {
        MetricSource from = { s, NULL, c->has_node, c->node, !c->above };
        _cleanup_free_ char *text = NULL;
        uint64_t value;
        int r;

        if (c->rate != RATE_NONE || metric_value(&from, c->metric, c->percent, &value) < 0)
                return;
        r = format_metric(c, value, &text);
        describe_put_text(v, "value", r, text);
}

static void put_threshold(Value *v, const Condition *c, const Description *d) {
        _cleanup_free_ char *limit = NULL, *dwell = NULL;
        int r;

        value_put_string(v, "metric", metric_to_string(c->metric));
        if (c->has_node)
                value_put_number(v, "node", c->node);
        if (c->rate != RATE_NONE)
                value_put_string(v, "rate", metric_rate_to_string(c->rate));
        r = format_metric(c, c->limit, &limit);
        describe_put_text(v, c->above ? "above" : "below", r, limit);
        r = c->for_usec > 0 ? format_duration(c->for_usec, &dwell) : -ENODATA;
        describe_put_text(v, "for", r, dwell);
        value_put_bool(v, "of_guest", metric_scope(c->metric) == METRIC_OF_GUEST);
        if (metric_scope(c->metric) == METRIC_OF_GUEST)
                return;
        put_value(v, c, d->snapshot);
        value_put_bool(v, "holds", c->threshold_index < d->decided->n_thresholds &&
                                           d->decided->thresholds[c->threshold_index].active);
}

static bool schedules_hold(const Condition *c, const LocalTime *t) {
        for (size_t i = 0; i < c->n_schedules; i++)
                if (schedule_matches(&c->schedules[i], t))
                        return true;
        return false;
}

/* Each leaf of the condition, in file order. */
static void put_leaves(Value *list, const Condition *c, const Description *d) {
        if (c->type == CONDITION_SCHEDULE || c->type == CONDITION_THRESHOLD) {
                Value *v = value_put_map(list, NULL);

                value_put_number(v, "line", c->line);
                value_put_string(v, "type", c->type == CONDITION_SCHEDULE ? "schedule" : "threshold");
                if (c->type == CONDITION_THRESHOLD)
                        put_threshold(v, c, d);
                else
                        value_put_bool(v, "holds", schedules_hold(c, &d->snapshot->local_time));
        }
        for (size_t i = 0; i < c->n_children; i++)
                put_leaves(list, c->children[i], d);
}

static void put_changes(Value *v, const Rule *rule) {
        Value *list = value_put_list(v, "set", VALUE_MAP);

        for (size_t i = 0; i < rule->set.n; i++) {
                const KeyInfo *info = &config_keys[rule->set.keys[i]];
                Settings one = { 0 };
                _cleanup_free_ char *text = NULL;
                Value *change = value_put_map(list, NULL);
                int r;

                one.values[rule->set.keys[i]] = rule->set.values[i];
                value_put_printf(change, "key", "%s.%s", info->group, info->name);
                r = setting_format(&one, rule->set.keys[i], &text);
                describe_put_text(change, "value", r, text);
        }
}

Value *describe_rules(const Description *d) {
        Value *list = value_new_list(VALUE_MAP);

        for (size_t i = 0; i < d->config->n_rules; i++) {
                const Rule *rule = &d->config->rules[i];
                Value *v = value_put_map(list, NULL);

                value_put_string(v, "name", rule->name);
                value_put_bool(v, "active", d->settings.active[i]);
                value_put_bool(v, "of_guest", rule->of_guest);
                value_put_string(v, "file", rule->file);
                value_put_number(v, "line", rule->line);
                if (rule->has_guests) {
                        Value *guests = value_put_map(v, "guests");

                        value_put_string(guests, "name", rule->guests.name);
                        value_put_string(guests, "uuid", rule->guests.uuid);
                        value_put_string(guests, "class", rule->guests.class);
                        value_put_string(guests, "title", rule->guests.title);
                }
                put_leaves(value_put_list(v, "when", VALUE_MAP), rule->when, d);
                put_changes(v, rule);
        }
        return list;
}
