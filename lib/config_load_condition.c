/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What follows `when`: schedules, and `all`, `any`, `not` of conditions. Thresholds: config_load_threshold.c. */

#include "config_load.h"
#include "rules.h"

/* Deeper than anybody means it; bounds the recursion here and in the evaluation. */
#define CONDITION_DEPTH_MAX 16U

static int load_nested(Loader *l, const config_setting_t *group, unsigned depth, Condition **ret);

static int load_schedule(Loader *l, const config_setting_t *s, Condition *c) {
        const char *text = load_string(l, s, "schedule", "a string such as \"Mon..Fri 08:00-18:00\"");
        int r;

        c->type = CONDITION_SCHEDULE;
        if (!text)
                return 0;
        r = schedule_parse(text, &c->schedules, &c->n_schedules, &c->schedules_capacity);
        if (r == -EINVAL) {
                setting_error(&l->errors, s, "schedule: \"%s\" is malformed; dates, days and times such as \"Mon..Fri "
                              "08:00-18:00\", \"22:00-06:00\" or \"12-24..01-02 Sat,Sun\" are needed", text);
                return 0;
        }
        return r;
}

static int add_child(Loader *l, const config_setting_t *s, unsigned depth, Condition *c) {
        _cleanup_(condition_freep) Condition *child = NULL;
        int r;

        r = load_nested(l, s, depth + 1, &child);
        if (r < 0 || !child)
                return r;
        r = GROW_ARRAY(c->children, c->children_capacity, c->n_children);
        if (r < 0)
                return r;
        c->children[c->n_children++] = TAKE_PTR(child);
        return 0;
}

static int load_children(Loader *l, const config_setting_t *s, unsigned depth, ConditionType type, Condition *c) {
        const char *name = config_setting_name(s);

        c->type = type;
        if (config_setting_type(s) != CONFIG_TYPE_LIST) {
                load_type_error(l, s, name, "a list of conditions ( { ... }, { ... } )");
                return 0;
        }
        if (config_setting_length(s) == 0)
                setting_error(&l->errors, s, "%s is empty; at least one condition is needed", name);
        for (int i = 0; i < config_setting_length(s); i++) {
                int r;

                r = add_child(l, config_setting_get_elem(s, (unsigned)i), depth, c);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_kind(Loader *l, const config_setting_t *group, const config_setting_t *s, unsigned depth,
                     Condition *c) {
        const char *name = config_setting_name(s);

        if (streq(name, "schedule"))
                return load_schedule(l, s, c);
        if (streq(name, "metric"))
                return load_threshold(l, group, c);
        if (streq(name, "all"))
                return load_children(l, s, depth, CONDITION_ALL, c);
        if (streq(name, "any"))
                return load_children(l, s, depth, CONDITION_ANY, c);
        c->type = CONDITION_NOT;
        return add_child(l, s, depth, c);
}

static const char *const kinds[] = { "schedule", "metric", "all", "any", "not" };
static const char *const details[] = { "above", "below", "clear", "for", "node", "rate", "average" };

static bool is_one_of(const char *name, const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (streq(names[i], name))
                        return true;
        return false;
}

/*
 * The one member that says what kind of condition @group is. Reports when
 * there is none or a second one, unknown members, and details of a threshold
 * that is none.
 */
static const config_setting_t *find_kind(Loader *l, const config_setting_t *group) {
        const config_setting_t *kind = NULL, *stray = NULL;
        size_t errors_before = l->errors.n;

        for (int i = 0; i < config_setting_length(group); i++) {
                const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
                const char *name = config_setting_name(s);

                if (is_one_of(name, details, ELEMENTSOF(details)))
                        stray = stray ? stray : s;
                else if (!is_one_of(name, kinds, ELEMENTSOF(kinds))) {
                        const char *known[] = { "schedule", "metric", "all", "any", "not", "above", "below",
                                                "clear", "for", "node", "rate", "average" };

                        setting_unknown(&l->errors, s, "condition", known, ELEMENTSOF(known));
                } else if (kind)
                        setting_error(&l->errors, s, "\"%s\" and \"%s\" in one condition; only one is allowed, "
                                      "join them by all or any", config_setting_name(kind), name);
                else
                        kind = s;
        }
        if (stray && (!kind || !streq(config_setting_name(kind), "metric")))
                setting_error(&l->errors, stray, "\"%s\" without metric; metric = \"host.memory.available\" or "
                              "another one is needed", config_setting_name(stray));
        else if (!kind && l->errors.n == errors_before)
                setting_error(&l->errors, group, "condition is empty; schedule, metric, all, any or not is needed");
        return kind;
}

static int load_nested(Loader *l, const config_setting_t *group, unsigned depth, Condition **ret) {
        const char *name = config_setting_name(group);
        _cleanup_(condition_freep) Condition *c = NULL;
        const config_setting_t *kind;
        int r;

        if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
                load_type_error(l, group, name ? name : "condition", "a condition { ... }");
                return 0;
        }
        if (depth > CONDITION_DEPTH_MAX) {
                setting_error(&l->errors, group, "conditions nested deeper than %u; at most %u are allowed",
                              CONDITION_DEPTH_MAX, CONDITION_DEPTH_MAX);
                return 0;
        }
        kind = find_kind(l, group);
        if (!kind)
                return 0;
        c = calloc(1, sizeof(Condition));
        if (!c)
                return -ENOMEM;
        c->line = config_setting_source_line(kind);
        r = load_kind(l, group, kind, depth, c);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

int load_condition(Loader *l, const config_setting_t *group, Condition **ret) {
        return load_nested(l, group, 1, ret);
}
