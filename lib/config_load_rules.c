/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The lists `guests` and `rules`: who is selected, and what is set. */

#include "config_load.h"
#include "rules.h"

/* Groups of settings in @group; members for which @skip holds were read elsewhere. */
static int load_layer(Loader *l, const config_setting_t *group, const char *skip, LayerKind kind, const char *rule,
                      SettingLayer *layer) {
        const char *names[CONFIG_GROUPS_MAX + 1];
        size_t n = config_group_names(names);

        if (skip)
                names[n++] = skip;
        for (int i = 0; i < config_setting_length(group); i++) {
                const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
                const char *name = config_setting_name(s);
                bool known = false;
                int r;

                if (skip && streq(name, skip))
                        continue;
                for (size_t j = 0; j < n && !known; j++)
                        known = streq(names[j], name);
                if (!known) {
                        setting_unknown(&l->errors, s, rule ? "set" : "guests", names, n);
                        continue;
                }
                r = load_setting_group(l, s, kind, rule, layer);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load_guest_override(Loader *l, const config_setting_t *s) {
        Config *c = l->config;
        size_t errors_before = l->errors.n;
        const config_setting_t *match;
        GuestOverride *entry;
        int r;

        if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
                load_type_error(l, s, "guests", "a group { match = { ... }; ... }");
                return 0;
        }
        r = GROW_ARRAY(c->guests, c->guests_capacity, c->n_guests);
        if (r < 0)
                return r;
        entry = &c->guests[c->n_guests++];
        *entry = (GuestOverride){ .line = config_setting_source_line(s) };
        match = config_setting_get_member(s, "match");
        if (match)
                r = load_selector(l, match, &entry->match);
        else
                setting_error(&l->errors, s, "guests entry without match; { match = { name = \"db-*\"; }; ... } is "
                              "needed, match = { } for every guest");
        if (r >= 0)
                r = load_layer(l, s, "match", LAYER_GUEST, NULL, &entry->set);
        if (r >= 0 && entry->set.n == 0 && l->errors.n == errors_before)
                setting_error(&l->errors, s, "guests entry sets nothing; at least one setting is needed");
        return r;
}

/* Calls @load for each element of the list @list. */
static int load_each(Loader *l, const config_setting_t *list, int (*load)(Loader *, const config_setting_t *)) {
        if (config_setting_type(list) != CONFIG_TYPE_LIST) {
                load_type_error(l, list, config_setting_name(list), "a list of groups ( { ... }, { ... } )");
                return 0;
        }
        for (int i = 0; i < config_setting_length(list); i++) {
                int r;

                r = load(l, config_setting_get_elem(list, (unsigned)i));
                if (r < 0)
                        return r;
        }
        return 0;
}

int load_guests(Loader *l, const config_setting_t *list) {
        return load_each(l, list, load_guest_override);
}

static int check_rule_name(Loader *l, const config_setting_t *s, const Rule *rule) {
        const Config *c = l->config;

        if (!*rule->name) {
                setting_error(&l->errors, s, "rule name is empty; a name is needed");
                return 0;
        }
        for (const Rule *other = c->rules; other < rule; other++)
                if (streq_ptr(other->name, rule->name)) {
                        setting_error(&l->errors, s, "rule \"%s\" is already defined at %s:%u; another name is "
                                      "needed", rule->name, other->file, other->line);
                        break;
                }
        return 0;
}

static int load_rule_name(Loader *l, const config_setting_t *s, Rule *rule) {
        const config_setting_t *member = config_setting_get_member(s, "name");
        const char *name;
        int r;

        if (!member) {
                setting_error(&l->errors, s, "rule without name; name = \"...\" is needed");
                return 0;
        }
        name = load_string(l, member, "rule name", "a string");
        if (!name)
                return 0;
        r = strdup_to(&rule->name, name);
        if (r < 0)
                return r;
        return check_rule_name(l, member, rule);
}

static int load_rule_when(Loader *l, const config_setting_t *s, Rule *rule) {
        const config_setting_t *when = config_setting_get_member(s, "when");
        size_t errors_before = l->errors.n;
        const char *problem;
        unsigned line;
        int r;

        if (!when) {
                setting_error(&l->errors, s, "rule without when; when = { ... } is needed");
                return 0;
        }
        r = load_condition(l, when, &rule->when);
        if (r < 0 || l->errors.n > errors_before)
                return r;
        r = condition_never_holds(rule->when, &line, &problem);
        if (r > 0)
                setting_error_at(&l->errors, rule->file, line, "rule can never be active: %s", problem);
        return r;
}

static int load_rule_set(Loader *l, const config_setting_t *s, Rule *rule) {
        const config_setting_t *set = config_setting_get_member(s, "set");
        LayerKind kind = rule->has_guests ? LAYER_GUEST : LAYER_RULE;
        size_t errors_before = l->errors.n;
        const char *name;
        int r;

        if (!set) {
                setting_error(&l->errors, s, "rule without set; set = { ... } is needed");
                return 0;
        }
        if (config_setting_type(set) != CONFIG_TYPE_GROUP) {
                load_type_error(l, set, "set", "a group { ... }");
                return 0;
        }
        r = config_intern(l->config, rule->name ? rule->name : "", &name);
        if (r >= 0)
                r = load_layer(l, set, NULL, kind, name, &rule->set);
        if (r >= 0 && rule->set.n == 0 && l->errors.n == errors_before)
                setting_error(&l->errors, set, "set is empty; at least one setting is needed");
        return r;
}

static void check_rule_members(Loader *l, const config_setting_t *s) {
        static const char *const known[] = { "name", "when", "guests", "set" };

        for (int i = 0; i < config_setting_length(s); i++) {
                const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);
                bool found = false;

                for (size_t j = 0; j < ELEMENTSOF(known); j++)
                        found |= streq(config_setting_name(member), known[j]);
                if (!found)
                        setting_unknown(&l->errors, member, "rule", known, ELEMENTSOF(known));
        }
}

static bool looks_at_guest(const Condition *c) {
        if (c->type == CONDITION_THRESHOLD)
                return metric_scope(c->metric) == METRIC_OF_GUEST;
        for (size_t i = 0; i < c->n_children; i++)
                if (looks_at_guest(c->children[i]))
                        return true;
        return false;
}

static int load_rule_parts(Loader *l, const config_setting_t *s, Rule *rule) {
        const config_setting_t *guests = config_setting_get_member(s, "guests");
        size_t errors_before = l->errors.n;
        int r;

        r = load_rule_name(l, s, rule);
        if (r >= 0)
                r = load_rule_when(l, s, rule);
        if (r >= 0 && rule->when && l->errors.n == errors_before) {
                rule->of_guest = looks_at_guest(rule->when);
                if (rule->of_guest && !guests)
                        setting_error(&l->errors, s, "rule looks at a metric of a guest; guests = { ... } is needed, "
                                      "guests = { } for each of them");
        }
        if (r >= 0 && guests) {
                rule->has_guests = true;
                r = load_selector(l, guests, &rule->guests);
        }
        return r < 0 ? r : load_rule_set(l, s, rule);
}

static int load_rule(Loader *l, const config_setting_t *s) {
        _cleanup_free_ char *file = NULL;
        Config *c = l->config;
        Rule *rule;
        int r;

        if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
                load_type_error(l, s, "rules", "a group { name = ...; when = ...; set = ...; }");
                return 0;
        }
        r = GROW_ARRAY(c->rules, c->rules_capacity, c->n_rules);
        if (r < 0)
                return r;
        rule = &c->rules[c->n_rules++];
        *rule = (Rule){ .line = config_setting_source_line(s) };
        r = setting_file(&l->errors, s, &file);
        if (r >= 0)
                r = config_intern(c, file, &rule->file);
        if (r < 0)
                return r;
        check_rule_members(l, s);
        return load_rule_parts(l, s, rule);
}

int load_rules(Loader *l, const config_setting_t *list) {
        return load_each(l, list, load_rule);
}
