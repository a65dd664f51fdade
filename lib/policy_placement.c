/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"

#include "policy_eligible.h"

/*
 * One decision about CPUs and memory of all guests, in this order:
 *
 *   1. which guests it may act on: settings, whose pins they are, their state;
 *   2. what is where: every guest that has a place, or that nobody places;
 *   3. a place for those that have none, the largest first, so that the small
 *      ones fill what is left;
 *   4. whether earlier moves did any good;
 *   5. one move of a guest that runs, if one pays;
 *   6. pins, as they follow from the places;
 *   7. one memory move, as it follows from the places.
 *
 * The place of a guest is remembered (GuestMemo.nodes) and holds until its
 * nodes are gone or too small: on a steady host nothing is searched again.
 */

static int skip_pins(Placement *p, const PlacementGuest *g, SkipReason why, const char *detail) {
        return plan_add_skip(p->context->plan, ACTION_PIN_VCPU, g->guest, why, "%s", detail);
}

static int classify(Placement *p, PlacementGuest *g) {
        const char *detail;
        SkipReason why;
        bool eligible;
        int r;

        if (!g->in_scope || !g->memo)
                return 0;
        placement_first_sight(p, g);
        eligible = policy_eligible(g->guest, ACTION_PIN_VCPU, &why, &detail);
        if (placement_policy(g) == CPU_NONE)
                return eligible ? placement_give_back(p, g) : 0;
        if (g->memo->user_pinned && eligible) {
                r = placement_give_back(p, g);
                if (r < 0)
                        return r;
        }
        if (g->memo->user_pinned)
                return skip_pins(p, g, SKIP_USER_PIN, "it is pinned by somebody else: its pins are left alone");
        if (!eligible)
                return skip_pins(p, g, why, detail);
        if (idset_is_empty(&p->usable))
                return skip_pins(p, g, SKIP_NO_CAPACITY, "every CPU of the host is reserved or isolated");
        g->managed = true;
        if (setting(g->settings, KEY_NUMA_POLICY) == NUMA_NONE)
                g->memo->nodes = IDSET_EMPTY;
        return 0;
}

static bool needs_place(const Placement *p, const PlacementGuest *g) {
        if (!g->managed || setting(g->settings, KEY_NUMA_POLICY) == NUMA_NONE)
                return false;
        return idset_is_empty(&g->memo->nodes) || !placement_still_valid(p, g);
}

static int compare_size(const void *a, const void *b) {
        const PlacementGuest *x = *(PlacementGuest *const *)a, *y = *(PlacementGuest *const *)b;

        if (x->n_vcpus != y->n_vcpus)
                return x->n_vcpus > y->n_vcpus ? -1 : 1;
        if (x->guest->max_bytes != y->guest->max_bytes)
                return x->guest->max_bytes > y->guest->max_bytes ? -1 : 1;
        return strcmp(x->guest->uuid, y->guest->uuid);
}

static int place_guests(Placement *p) {
        _cleanup_free_ PlacementGuest **homeless = NULL;
        size_t n = 0;
        int r;

        homeless = calloc(MAX(p->n_guests, (size_t)1), sizeof(PlacementGuest *));
        if (!homeless)
                return -ENOMEM;
        for (size_t i = 0; i < p->n_guests; i++)
                if (needs_place(p, &p->guests[i]))
                        homeless[n++] = &p->guests[i];
                else
                        placement_account(p, &p->guests[i]);
        placement_account_reservations(p);
        qsort(homeless, n, sizeof(PlacementGuest *), compare_size);
        for (size_t i = 0; i < n; i++) {
                r = placement_choose(p, homeless[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int pin_guests(Placement *p) {
        int r;

        for (size_t i = 0; i < p->n_guests; i++) {
                if (!p->guests[i].managed)
                        continue;
                r = placement_pins(p, &p->guests[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

int policy_placement(PolicyContext *c) {
        _cleanup_(placement_freep) Placement *p = NULL;
        int r;

        if (!c->snapshot->topology)
                return 0;
        r = placement_new(c, &p);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_guests; i++) {
                r = classify(p, &p->guests[i]);
                if (r < 0)
                        return r;
        }
        placement_measure_guests(p);
        r = place_guests(p);
        if (r < 0)
                return r;
        placement_measure_nodes(p);
        r = placement_verify(p);
        if (r < 0)
                return r;
        r = placement_rebalance(p);
        if (r < 0)
                return r;
        r = pin_guests(p);
        if (r < 0)
                return r;
        r = placement_memory(p);
        if (r < 0)
                return r;
        return placement_watch_move(p);
}
