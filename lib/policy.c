/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One decision, in this order: which rules hold; the effective settings of the
 * host and of each guest; a memo for each guest, and no memo for guests that
 * are gone; then each controller in turn, appending to one plan. Placement
 * comes first: where a guest's memory belongs does not depend on how much of
 * it there is. The number of vCPUs comes after it: it looks at the load of the
 * CPUs a guest may use. KSM comes before the balloon: it costs the guests nothing.
 */

#include "policy.h"

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

int policy_remember_guests(const Snapshot *snapshot, State *state, GuestMemo ***ret) {
        _cleanup_free_ GuestMemo **memos = calloc(MAX(snapshot->n_guests, (size_t)1), sizeof(GuestMemo *));
        size_t at = 0;
        int r;

        if (!memos)
                return -ENOMEM;
        r = state_reserve_guests(state, snapshot->n_guests);
        for (size_t i = 0; r >= 0 && i < snapshot->n_guests; i++)
                if (!state_find_next_guest(state, &at, snapshot->guests[i]->uuid))
                        r = state_guest(state, snapshot->guests[i]->uuid, &memos[i]);
        if (r < 0)
                return r;
        /* Only now none of them moves any more. */
        at = 0;
        for (size_t i = 0; i < snapshot->n_guests; i++)
                memos[i] = state_find_next_guest(state, &at, snapshot->guests[i]->uuid);
        *ret = TAKE_PTR(memos);
        return 0;
}

static int run_controllers(PolicyContext *c) {
        static int (*const controllers[])(PolicyContext *) = {
                policy_placement, policy_vcpus, policy_ksm, policy_kernel, policy_thp, policy_hugepages,
                policy_memtune, policy_balloon,
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(controllers); i++) {
                r = controllers[i](c);
                if (r < 0)
                        return r;
        }
        return 0;
}

int policy_decide(const PolicyInput *in, State *state, Plan **ret) {
        _cleanup_(policy_settings_done) PolicySettings settings = { 0 };
        _cleanup_(plan_freep) Plan *plan = NULL;
        _cleanup_free_ GuestMemo **memos = NULL;
        int r;

        r = plan_new(&plan);
        if (r < 0)
                return r;
        if (!in->only_uuid && !in->guests_incomplete)
                forget_gone_guests(in->snapshot, state);
        r = policy_settings(in, state, &settings);
        if (r < 0)
                return r;
        r = policy_remember_guests(in->snapshot, state, &memos);
        if (r < 0)
                return r;

        PolicyContext c = {
                .config = in->config,
                .snapshot = in->snapshot,
                .state = state,
                .plan = plan,
                .active_rules = settings.active,
                .host = settings.host,
                .guests = settings.guests,
                .memos = memos,
                .only_uuid = in->only_uuid,
                .mover_busy = in->mover_busy,
                .moving_uuid = in->moving_uuid,
                .explain = in->explain,
        };
        r = policy_say_clashes(&settings, plan);
        if (r >= 0)
                r = policy_say_yielded(&c);
        if (r >= 0)
                r = run_controllers(&c);
        if (r >= 0)
                r = policy_want_stats(&c);
        if (r < 0)
                return r;
        plan->active_rules = TAKE_PTR(settings.active);
        plan->n_rules = in->config->n_rules;

        *ret = TAKE_PTR(plan);
        return 0;
}
