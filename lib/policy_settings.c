/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The settings in force: base, guests entries and the rules that hold now. A
 * rule on metrics of a guest holds for some guests and not for others; among
 * the active rules it then counts as one that holds for any.
 */

#include "policy.h"
#include "rules.h"

static bool has_rules_of_guests(const Config *config) {
        for (size_t i = 0; i < config->n_rules; i++)
                if (config->rules[i].of_guest)
                        return true;
        return false;
}

/* The settings of guests to which the same layers apply. */
typedef struct SettingsKind {
        Settings settings;
        bool own;                       /* of one guest alone */
        bool layers[];
} SettingsKind;

/* A guest is compared with so many kinds: of many, most have one guest each. */
#define KINDS_LOOKED_AT 16U

static const SettingsKind *find_kind(const PolicySettings *s, const bool *layers, size_t n) {
        size_t last = s->n_kinds > KINDS_LOOKED_AT ? s->n_kinds - KINDS_LOOKED_AT : 0;

        for (size_t i = s->n_kinds; i > last; i--)
                if (!s->kinds[i - 1]->own && memcmp(s->kinds[i - 1]->layers, layers, n * sizeof(*layers)) == 0)
                        return s->kinds[i - 1];
        return NULL;
}

/* @layers is scratch, with room for all of them. */
static int resolve_as(const PolicyInput *in, const Guest *g, const bool *active, bool *layers, PolicySettings *s,
                      const Settings **ret) {
        const Config *config = in->config;
        size_t n = config->n_guests + config->n_rules;
        bool own = config_has_runtime(config, g->uuid);
        const SettingsKind *found;
        SettingsKind *kind;
        int r;

        config_layers_of_guest(config, (ActiveRules){ .active = active }, g, layers);
        found = own ? NULL : find_kind(s, layers, n);
        if (found) {
                *ret = &found->settings;
                return 0;
        }
        r = GROW_ARRAY(s->kinds, s->kinds_capacity, s->n_kinds);
        if (r < 0)
                return r;
        kind = malloc(sizeof(*kind) + n * sizeof(*layers));
        if (!kind)
                return -ENOMEM;
        config_resolve_guest(config, (ActiveRules){ .active = active }, g, &kind->settings);
        policy_yield(in, &kind->settings);
        kind->own = own;
        memcpy(kind->layers, layers, n * sizeof(*layers));
        s->kinds[s->n_kinds++] = kind;
        *ret = &kind->settings;
        return 0;
}

/* Room for what is looked at for each guest. */
typedef struct Scratch {
        bool *layers;
        bool *of_guest;                 /* active rules */
        bool *any;                      /* rules on metrics of a guest that hold for any */
} Scratch;

static void scratch_done(Scratch *x) {
        free(x->layers);
        free(x->of_guest);
        free(x->any);
}

static int resolve_guest(const PolicyInput *in, size_t i, State *state, PolicySettings *s, Scratch *x) {
        const Guest *g = in->snapshot->guests[i];
        int r;

        memcpy(x->of_guest, s->active, in->config->n_rules * sizeof(*x->of_guest));
        r = rules_evaluate_guest(in->config, in->snapshot, g, !in->only_uuid, state, x->of_guest);
        if (r >= 0)
                r = resolve_as(in, g, x->of_guest, x->layers, s, &s->guests[i]);
        if (r < 0)
                return r;
        for (size_t j = 0; j < in->config->n_rules; j++)
                x->any[j] = x->any[j] || (in->config->rules[j].of_guest && x->of_guest[j]);
        return 0;
}

static int resolve_guests(const PolicyInput *in, State *state, PolicySettings *s) {
        bool of_guests = has_rules_of_guests(in->config);
        size_t n = in->config->n_rules, n_rules = MAX(n, (size_t)1), n_layers = n_rules + in->config->n_guests;
        _cleanup_(scratch_done) Scratch x = {
                .layers = calloc(n_layers, sizeof(bool)),
                .of_guest = calloc(n_rules, sizeof(bool)),
                .any = calloc(n_rules, sizeof(bool)),
        };
        int r = 0;

        if (!x.layers || !x.of_guest || !x.any)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < in->snapshot->n_guests; i++)
                r = of_guests ? resolve_guest(in, i, state, s, &x)
                              : resolve_as(in, in->snapshot->guests[i], s->active, x.layers, s, &s->guests[i]);
        for (size_t j = 0; r >= 0 && j < n; j++)
                s->active[j] = s->active[j] || x.any[j];
        return r;
}

void policy_settings_done(PolicySettings *s) {
        for (size_t i = 0; i < s->n_kinds; i++)
                free(s->kinds[i]);
        free(s->kinds);
        free(s->active);
        free(s->guests);
        *s = (PolicySettings){ 0 };
}

int policy_settings(const PolicyInput *in, State *state, PolicySettings *ret) {
        _cleanup_(policy_settings_done) PolicySettings s = { 0 };
        int r;

        s.active = calloc(MAX(in->config->n_rules, (size_t)1), sizeof(*s.active));
        s.guests = calloc(MAX(in->snapshot->n_guests, (size_t)1), sizeof(*s.guests));
        if (!s.active || !s.guests)
                return -ENOMEM;
        r = rules_evaluate(in->config, in->snapshot, !in->only_uuid, state, s.active);
        if (r < 0)
                return r;
        config_resolve_host(in->config, (ActiveRules){ .active = s.active }, &s.host);
        policy_yield(in, &s.host);
        r = resolve_guests(in, state, &s);
        if (r < 0)
                return r;
        *ret = s;
        s = (PolicySettings){ 0 };
        return 0;
}

/* Limits of the host in its settings, those of guests in theirs. */
static int say_clashes(const Settings *s, KeyScope scope, Plan *plan) {
        for (size_t i = 0; i < LIMIT_PAIRS; i++) {
                _cleanup_free_ char *text = NULL;
                int r;

                if (config_keys[config_limit_pairs[i][0]].scope != scope)
                        continue;
                r = config_clash_format(s, i, &text);
                if (r > 0)
                        r = plan_add_note(plan, text);
                if (r < 0)
                        return r;
        }
        return 0;
}

int policy_say_clashes(const PolicySettings *s, Plan *plan) {
        int r;

        r = say_clashes(&s->host, SCOPE_HOST, plan);
        for (size_t i = 0; r >= 0 && i < s->n_kinds; i++)
                r = say_clashes(&s->kinds[i]->settings, SCOPE_GUEST, plan);
        return r;
}

static bool rules_want_stats(const Config *config, const Guest *g) {
        for (size_t i = 0; i < config->n_rules; i++)
                if (config->rules[i].of_guest && rules_need_stats(config->rules[i].when) &&
                    guest_selector_matches(&config->rules[i].guests, g))
                        return true;
        return false;
}

static int compare_uuids(const void *a, const void *b) {
        return strcmp(a, b);
}

int policy_want_stats(PolicyContext *c) {
        _cleanup_free_ char(*wanted)[UUID_TEXT_SIZE] = NULL;
        size_t n = c->plan->n_wanted_stats;
        int r = 0;

        if (!has_rules_of_guests(c->config))
                return 0;
        wanted = calloc(MAX(n, (size_t)1), sizeof(*wanted));
        if (!wanted)
                return -ENOMEM;
        if (n > 0)
                memcpy(wanted, c->plan->wanted_stats, n * sizeof(*wanted));
        qsort(wanted, n, sizeof(*wanted), compare_uuids);
        for (size_t i = 0; r >= 0 && i < c->snapshot->n_guests; i++) {
                const Guest *g = c->snapshot->guests[i];

                if (rules_want_stats(c->config, g) && !bsearch(g->uuid, wanted, n, sizeof(*wanted), compare_uuids))
                        r = plan_want_stats(c->plan, g);
        }
        return r;
}

