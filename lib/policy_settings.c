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

/* @of_guest is scratch, @any is added to; both have room for every rule. */
static int resolve_guest(const PolicyInput *in, size_t i, State *state, PolicySettings *s, bool *of_guest,
                         bool *any) {
        const Guest *g = in->snapshot->guests[i];
        int r;

        memcpy(of_guest, s->active, in->config->n_rules * sizeof(*of_guest));
        r = rules_evaluate_guest(in->config, in->snapshot, g, !in->only_uuid, state, of_guest);
        if (r < 0)
                return r;
        config_resolve_guest(in->config, (ActiveRules){ .active = of_guest }, g, &s->guests[i]);
        for (size_t j = 0; j < in->config->n_rules; j++)
                any[j] = any[j] || (in->config->rules[j].of_guest && of_guest[j]);
        return 0;
}

static int resolve_guests(const PolicyInput *in, State *state, PolicySettings *s) {
        _cleanup_free_ bool *any = NULL, *of_guest = NULL;
        int r;

        if (!has_rules_of_guests(in->config)) {
                for (size_t i = 0; i < in->snapshot->n_guests; i++)
                        config_resolve_guest(in->config, (ActiveRules){ .active = s->active },
                                             in->snapshot->guests[i], &s->guests[i]);
                return 0;
        }
        any = calloc(in->config->n_rules, sizeof(*any));
        of_guest = calloc(in->config->n_rules, sizeof(*of_guest));
        if (!any || !of_guest)
                return -ENOMEM;
        for (size_t i = 0; i < in->snapshot->n_guests; i++) {
                r = resolve_guest(in, i, state, s, of_guest, any);
                if (r < 0)
                        return r;
        }
        for (size_t j = 0; j < in->config->n_rules; j++)
                s->active[j] = s->active[j] || any[j];
        return 0;
}

void policy_settings_done(PolicySettings *s) {
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
        r = resolve_guests(in, state, &s);
        if (r < 0)
                return r;
        *ret = s;
        s = (PolicySettings){ 0 };
        return 0;
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

