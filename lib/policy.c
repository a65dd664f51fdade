/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One decision, in this order: which rules hold; the effective settings of the
 * host and of each guest; a memo for each guest, and no memo for guests that
 * are gone; then each controller in turn, appending to one plan. Placement
 * comes first: where a guest's memory belongs does not depend on how much of
 * it there is. KSM comes before the balloon: it costs the guests nothing.
 */

#include "policy.h"
#include "rules.h"

#define RESERVE_AUTO_PERMYRIAD 500U
#define RESERVE_AUTO_MAX (4 * GIB)

uint64_t policy_host_reserve(const PolicyContext *c) {
        uint64_t total = c->snapshot->host.memory.total_bytes;

        return setting_amount(&c->host, KEY_HOST_RESERVED_MEMORY, total,
                              MIN(permyriad_of(total, RESERVE_AUTO_PERMYRIAD), RESERVE_AUTO_MAX));
}

/*
 * Whether @uuid is on the host. Asked in ascending order, a run of questions
 * costs one walk over the guests; *@at is where the last answer was found.
 */
static bool guest_is_here(const Snapshot *snapshot, const char *uuid, size_t *at) {
        if (*at > 0 && strcmp(snapshot->guests[*at - 1]->uuid, uuid) >= 0)
                *at = 0;
        while (*at < snapshot->n_guests && strcmp(snapshot->guests[*at]->uuid, uuid) < 0)
                (*at)++;
        return *at < snapshot->n_guests && streq(snapshot->guests[*at]->uuid, uuid);
}

/* A guest that left the host took its pins, balloon and statistics with it: nothing to give back. */
static void forget_gone_guests(const Snapshot *snapshot, State *state) {
        char uuid[UUID_TEXT_SIZE];
        size_t at = 0, i = 0;

        while (i < state->n_guests) {
                if (guest_is_here(snapshot, state->guests[i].uuid, &at)) {
                        i++;
                        continue;
                }
                memcpy(uuid, state->guests[i].uuid, sizeof(uuid));
                state_forget_guest(state, uuid);
        }
        for (i = at = 0; i < state->n_owned;) {
                if (state->owned[i].uuid[0] == '\0' || guest_is_here(snapshot, state->owned[i].uuid, &at)) {
                        i++;
                        continue;
                }
                memcpy(uuid, state->owned[i].uuid, sizeof(uuid));
                state_forget_guest(state, uuid);
        }
}

static int remember_guests(const Snapshot *snapshot, State *state) {
        GuestMemo *memo;
        int r;

        for (size_t i = 0; i < snapshot->n_guests; i++) {
                r = state_guest(state, snapshot->guests[i]->uuid, &memo);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool has_rules_of_guests(const Config *config) {
        for (size_t i = 0; i < config->n_rules; i++)
                if (config->rules[i].of_guest)
                        return true;
        return false;
}

/* Rules that are decided for each guest; @active then says which hold for any. */
static int resolve_guest(PolicyContext *c, size_t i, bool fresh, bool *active, bool *of_guest) {
        const Guest *g = c->snapshot->guests[i];
        int r;

        memcpy(of_guest, c->active_rules, c->config->n_rules * sizeof(*of_guest));
        r = rules_evaluate_guest(c->config, c->snapshot, g, fresh, c->state, of_guest);
        if (r < 0)
                return r;
        config_resolve_guest(c->config, (ActiveRules){ .active = of_guest }, g, &c->guests[i]);
        for (size_t j = 0; j < c->config->n_rules; j++)
                active[j] = active[j] || (c->config->rules[j].of_guest && of_guest[j]);
        return 0;
}

static int resolve_settings(PolicyContext *c, bool *active) {
        ActiveRules rules = { .active = c->active_rules };
        _cleanup_free_ bool *any = NULL, *of_guest = NULL;
        int r;

        config_resolve_host(c->config, rules, &c->host);
        if (!has_rules_of_guests(c->config)) {
                for (size_t i = 0; i < c->snapshot->n_guests; i++)
                        config_resolve_guest(c->config, rules, c->snapshot->guests[i], &c->guests[i]);
                return 0;
        }
        any = calloc(c->config->n_rules, sizeof(*any));
        of_guest = calloc(c->config->n_rules, sizeof(*of_guest));
        if (!any || !of_guest)
                return -ENOMEM;
        for (size_t i = 0; i < c->snapshot->n_guests; i++) {
                r = resolve_guest(c, i, !c->only_uuid, any, of_guest);
                if (r < 0)
                        return r;
        }
        for (size_t j = 0; j < c->config->n_rules; j++)
                active[j] = active[j] || any[j];
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

/* What the rules will look at next time, beside what the controllers want already. */
static int want_stats_for_rules(PolicyContext *c) {
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

static int run_controllers(PolicyContext *c) {
        static int (*const controllers[])(PolicyContext *) = { policy_placement, policy_ksm, policy_balloon };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(controllers); i++) {
                r = controllers[i](c);
                if (r < 0)
                        return r;
        }
        return 0;
}

int policy_decide(const PolicyInput *in, State *state, Plan **ret) {
        _cleanup_(plan_freep) Plan *plan = NULL;
        _cleanup_free_ Settings *guests = NULL;
        _cleanup_free_ bool *active = NULL;
        int r;

        active = calloc(MAX(in->config->n_rules, (size_t)1), sizeof(*active));
        guests = calloc(MAX(in->snapshot->n_guests, (size_t)1), sizeof(*guests));
        if (!active || !guests)
                return -ENOMEM;

        r = plan_new(&plan);
        if (r < 0)
                return r;
        r = rules_evaluate(in->config, in->snapshot, !in->only_uuid, state, active);
        if (r < 0)
                return r;
        if (!in->only_uuid && !in->guests_incomplete)
                forget_gone_guests(in->snapshot, state);
        r = remember_guests(in->snapshot, state);
        if (r < 0)
                return r;

        PolicyContext c = {
                .config = in->config,
                .snapshot = in->snapshot,
                .state = state,
                .plan = plan,
                .active_rules = active,
                .guests = guests,
                .only_uuid = in->only_uuid,
                .mover_busy = in->mover_busy,
                .moving_uuid = in->moving_uuid,
        };
        r = resolve_settings(&c, active);
        if (r >= 0)
                r = run_controllers(&c);
        if (r >= 0)
                r = want_stats_for_rules(&c);
        if (r < 0)
                return r;
        plan->active_rules = TAKE_PTR(active);
        plan->n_rules = in->config->n_rules;

        *ret = TAKE_PTR(plan);
        return 0;
}
