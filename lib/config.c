/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The settings as a value, and their resolution in layers: base, guests entries,
 * active rules, and what was set at run time; later wins, key by key. No I/O here: the policy
 * links this file.
 */

#include "config.h"

#include <fnmatch.h>
#include <strings.h>

#include "config_value.h"

static int config_set_defaults(Config *c) {
        for (size_t i = 0; i < _KEY_MAX; i++) {
                _cleanup_free_ char *problem = NULL;
                int r;

                r = config_value_parse((Key)i, config_keys[i].default_text, &c->base.values[i], &problem);
                if (r < 0)
                        return r;
        }
        return 0;
}

int config_new(Config **ret) {
        _cleanup_(config_freep) Config *c = NULL;
        int r;

        c = calloc(1, sizeof(Config));
        if (!c)
                return -ENOMEM;
        r = config_set_defaults(c);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

static void selector_done(GuestSelector *s) {
        free(s->name);
        free(s->uuid);
        free(s->class);
        free(s->title);
}

static void layer_done(SettingLayer *l) {
        free(l->keys);
        free(l->values);
}

Condition *condition_free(Condition *condition) {
        if (!condition)
                return NULL;
        for (size_t i = 0; i < condition->n_children; i++)
                (void)condition_free(condition->children[i]);
        free(condition->children);
        free(condition->schedules);
        free(condition);
        return NULL;
}

Config *config_free(Config *c) {
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_guests; i++) {
                selector_done(&c->guests[i].match);
                layer_done(&c->guests[i].set);
        }
        for (size_t i = 0; i < c->n_rules; i++) {
                free(c->rules[i].name);
                (void)condition_free(c->rules[i].when);
                selector_done(&c->rules[i].guests);
                layer_done(&c->rules[i].set);
        }
        for (size_t i = 0; i < c->n_strings; i++)
                free(c->strings[i]);
        for (size_t i = 0; i < c->n_runtime; i++)
                free(c->runtime[i].text);
        free(c->guests);
        free(c->rules);
        free(c->runtime);
        free(c->strings);
        free(c);
        return NULL;
}

int config_intern(Config *c, const char *text, const char **ret) {
        int r;

        for (size_t i = 0; i < c->n_strings; i++)
                if (streq(c->strings[i], text)) {
                        *ret = c->strings[i];
                        return 0;
                }
        r = GROW_ARRAY(c->strings, c->strings_capacity, c->n_strings);
        if (r < 0)
                return r;
        r = strdup_to(&c->strings[c->n_strings], text);
        if (r < 0)
                return r;
        *ret = c->strings[c->n_strings++];
        return 0;
}

int setting_layer_add(SettingLayer *l, Key key, const SettingValue *v) {
        int r;

        r = GROW_ARRAY(l->keys, l->keys_capacity, l->n);
        if (r >= 0)
                r = GROW_ARRAY(l->values, l->values_capacity, l->n);
        if (r < 0)
                return r;
        l->keys[l->n] = key;
        l->values[l->n++] = *v;
        return 0;
}

const SettingValue *setting_layer_find(const SettingLayer *l, Key key) {
        for (size_t i = 0; i < l->n; i++)
                if (l->keys[i] == key)
                        return &l->values[i];
        return NULL;
}

static void settings_apply(Settings *s, const SettingLayer *l) {
        for (size_t i = 0; i < l->n; i++)
                s->values[l->keys[i]] = l->values[i];
}

static bool rule_is_active(ActiveRules rules, size_t i) {
        return rules.active && rules.active[i];
}

static bool rule_applies(const Config *c, ActiveRules rules, size_t i, const Guest *g) {
        const Rule *rule = &c->rules[i];

        return rule_is_active(rules, i) && (!rule->has_guests || guest_selector_matches(&rule->guests, g));
}

const SettingLayer *config_layer(const Config *c, ActiveRules rules, const Guest *g, size_t i) {
        size_t rule = i - c->n_guests;

        if (i < c->n_guests)
                return g && guest_selector_matches(&c->guests[i].match, g) ? &c->guests[i].set : NULL;
        if (g ? !rule_applies(c, rules, rule, g) : !rule_is_active(rules, rule) || c->rules[rule].has_guests)
                return NULL;
        return &c->rules[rule].set;
}

static void resolve(const Config *c, ActiveRules rules, const Guest *g, Settings *ret) {
        *ret = c->base;
        for (size_t i = g ? 0 : c->n_guests; i < c->n_guests + c->n_rules; i++) {
                const SettingLayer *layer = config_layer(c, rules, g, i);

                if (layer)
                        settings_apply(ret, layer);
        }
        config_apply_runtime(c, g ? g->uuid : "", ret);
        config_settle_limits(c, rules, g, ret);
}

void config_resolve_host(const Config *c, ActiveRules rules, Settings *ret) {
        resolve(c, rules, NULL, ret);
}

void config_resolve_guest(const Config *c, ActiveRules rules, const Guest *g, Settings *ret) {
        resolve(c, rules, g, ret);
}

void config_layers_of_guest(const Config *c, ActiveRules rules, const Guest *g, bool *ret) {
        for (size_t i = 0; i < c->n_guests; i++)
                ret[i] = guest_selector_matches(&c->guests[i].match, g);
        for (size_t i = 0; i < c->n_rules; i++)
                ret[c->n_guests + i] = rule_applies(c, rules, i, g);
}

static bool glob_matches(const char *pattern, const char *text) {
        return !pattern || (text && fnmatch(pattern, text, 0) == 0);
}

/* A maximum of 0 is none. */
static bool is_between(uint64_t value, uint64_t minimum, uint64_t maximum) {
        return value >= minimum && (maximum == 0 || value <= maximum);
}

/* As long as its memory has not been looked at: where it is bound to. */
static bool is_on_node(const Guest *g, unsigned node) {
        uint64_t here = 0, sum = 0;

        for (size_t i = 0; i < g->n_node_memory; i++) {
                sum = u64_add(sum, g->node_memory[i].bytes);
                if (g->node_memory[i].node == node)
                        here = g->node_memory[i].bytes;
        }
        if (sum > 0)
                return here > sum / 2;
        return idset_count(&g->numatune_nodes) == 1 && idset_contains(&g->numatune_nodes, node);
}

static bool size_matches(const GuestSelector *s, const Guest *g) {
        if ((s->memory_at_least != 0 || s->memory_at_most != 0) &&
            (g->max_bytes == UNKNOWN_U64 || !is_between(g->max_bytes, s->memory_at_least, s->memory_at_most)))
                return false;
        return is_between(g->n_vcpus, s->vcpus_at_least, s->vcpus_at_most);
}

bool guest_selector_matches(const GuestSelector *s, const Guest *g) {
        if (s->uuid && strcasecmp(s->uuid, g->uuid) != 0)
                return false;
        if (s->class && !streq_ptr(s->class, g->class))
                return false;
        if (s->balloon != SELECT_ANY && (s->balloon == SELECT_WITH) != g->balloon_device)
                return false;
        if (!size_matches(s, g) || (s->has_node && !is_on_node(g, s->node)))
                return false;
        return glob_matches(s->name, g->name) && glob_matches(s->title, g->title);
}

bool setting_keeps(const Settings *s, Key key) {
        return s->values[key].keep;
}

uint64_t setting_amount(const Settings *s, Key key, uint64_t whole_bytes, uint64_t automatic_bytes) {
        const SettingValue *v = &s->values[key];

        if (v->automatic)
                return automatic_bytes;
        return v->percent ? permyriad_of(whole_bytes, v->number) : v->number;
}

bool setting_is_default(const Settings *s, Key key) {
        const SettingValue *v = &s->values[key];

        return !v->file && !v->runtime && !v->yielded_to && !config_displaced(s, key);
}

int setting_value_source(const SettingValue *v, char **ret) {
        char *text = NULL;
        int r;

        if (v->runtime)
                r = strprintf_to(&text, "runtime by uid %u", v->uid);
        else if (v->yielded_to)
                r = strprintf_to(&text, "yielded to %s", v->yielded_to);
        else if (!v->file)
                r = strdup_to(&text, "default");
        else if (v->rule)
                r = strprintf_to(&text, "rule \"%s\" (%s:%u)", v->rule, v->file, v->line);
        else
                r = strprintf_to(&text, "%s:%u", v->file, v->line);
        if (r < 0)
                return r;
        *ret = text;
        return 0;
}

int setting_source(const Settings *s, Key key, char **ret) {
        const SettingValue *displaced = config_displaced(s, key);
        _cleanup_free_ char *source = NULL, *value = NULL, *from = NULL;
        int r;

        if (!displaced)
                return setting_value_source(&s->values[key], ret);
        r = setting_value_source(&s->values[key], &source);
        if (r >= 0)
                r = config_value_format(key, displaced, &value);
        if (r >= 0)
                r = setting_value_source(displaced, &from);
        return r < 0 ? r : strprintf_to(ret, "%s, in place of %s, %s", source, value, from);
}

int setting_format(const Settings *s, Key key, char **ret) {
        return config_value_format(key, &s->values[key], ret);
}
