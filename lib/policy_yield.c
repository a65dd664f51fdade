/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Leaving levers to another manager. It is done in the settings and nowhere
 * else: with a domain's switches at "none", "keep" and "off" its controllers
 * give back what they had changed, where it is still theirs, and do no more.
 */

#include "competitor.h"
#include "policy.h"

typedef struct Lever {
        LeverDomain domain;
        Key key;
        uint64_t rest;                  /* its value that changes nothing; of a quantity: "keep" */
        ActionKind kind;                /* what is not done then */
} Lever;

/* Without cpu.policy numa.policy does nothing. */
static const Lever levers[] = {
        { LEVERS_PLACEMENT, KEY_CPU_POLICY, CPU_NONE, ACTION_PIN_VCPU },
        { LEVERS_KSM, KEY_KSM_MODE, KSM_KEEP, ACTION_SET_KSM },
        { LEVERS_BALLOON, KEY_BALLOON_MODE, BALLOON_OFF, ACTION_SET_BALLOON },
        { LEVERS_KERNEL, KEY_KERNEL_NUMA_BALANCING, KERNEL_KEEP, ACTION_SET_KERNEL },
        { LEVERS_KERNEL, KEY_HUGEPAGES_MODE, HUGEPAGES_KEEP, ACTION_SET_HUGEPAGES },
        { LEVERS_KERNEL, KEY_THP_ENABLED, THP_KEEP, ACTION_SET_THP },
        { LEVERS_KERNEL, KEY_THP_DEFRAG, THP_DEFRAG_KEEP, ACTION_SET_THP },
        { LEVERS_KERNEL, KEY_THP_PAGES_TO_SCAN, 0, ACTION_SET_THP },
        { LEVERS_KERNEL, KEY_THP_SCAN_SLEEP, 0, ACTION_SET_THP },
        { LEVERS_KERNEL, KEY_THP_MAX_PTES_NONE, 0, ACTION_SET_THP },
};

static bool rests(const SettingValue *v, const Lever *l) {
        return config_keys[l->key].allow_keep ? v->keep : v->number == l->rest;
}

static void yield(Settings *s, const Lever *l, const Competitor *to) {
        SettingValue *v = &s->values[l->key];

        if (!rests(v, l))
                *v = (SettingValue){ .number = l->rest,
                                     .keep = config_keys[l->key].allow_keep,
                                     .yielded_to = to->comm };
}

void policy_yield(const PolicyInput *in, Settings *s) {
        if (setting(&in->config->base, KEY_DAEMON_COMPETITORS) != COMPETITORS_YIELD)
                return;
        for (size_t i = 0; i < ELEMENTSOF(levers); i++) {
                const Competitor *to = competitor_of(in->snapshot->host.facts.managers, levers[i].domain);

                if (to)
                        yield(s, &levers[i], to);
        }
}

static int say(PolicyContext *c, const Lever *l, const Guest *g, const Settings *s) {
        const char *to = s->values[l->key].yielded_to;

        if (!to)
                return 0;
        return plan_add_skip(c->plan, l->kind, g, SKIP_YIELDED,
                             "%s runs, and daemon.competitors leaves %s.%s to it", to,
                             config_keys[l->key].group, config_keys[l->key].name);
}

/* One Skip of a kind: what is said again each time is not heard. */
static bool is_said(const Lever *l, const Settings *s) {
        for (const Lever *before = levers; before < l; before++)
                if (before->kind == l->kind && s->values[before->key].yielded_to)
                        return true;
        return false;
}

static int say_of_guests(PolicyContext *c, const Lever *l) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->snapshot->n_guests; i++)
                if (!c->only_uuid || streq(c->snapshot->guests[i]->uuid, c->only_uuid))
                        r = say(c, l, c->snapshot->guests[i], c->guests[i]);
        return r;
}

int policy_say_yielded(PolicyContext *c) {
        int r = 0;

        for (const Lever *l = levers; r >= 0 && l < levers + ELEMENTSOF(levers); l++) {
                if (config_keys[l->key].scope == SCOPE_GUEST)
                        r = say_of_guests(c, l);
                else if (!c->only_uuid && !is_said(l, &c->host))
                        r = say(c, l, NULL, &c->host);
        }
        return r;
}
