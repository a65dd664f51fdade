/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"

#include "policy_eligible.h"
#include "policy_improve.h"
#include "state_memo.h"

/*
 * One decision about CPUs and memory of all guests, in this order:
 *
 *   1. which guests it may act on: settings, whose pins they are, their state;
 *   2. what is where: CPUs that are some guest's own, then every guest that has
 *      a place, or that nobody places;
 *   3. CPUs for dedicated guests that wait for theirs, then a place for the
 *      other guests that have none; in both, the largest first, so that the
 *      small ones fill what is left; then exchanges among the latter that
 *      serve all of them better (policy_improve.h);
 *   4. whether earlier moves did any good;
 *   5. one move of a guest that runs, if one pays;
 *   6. pins, as they follow from the places;
 *   7. one memory move, as it follows from the places.
 *
 * The place of a guest is remembered (GuestMemo.nodes) and holds until its
 * nodes are gone or too small: on a steady host nothing is searched again.
 */

static int skip_pins(Placement *p, const PlacementGuest *g, SkipReason why, const char *detail) {
        return plan_add_skip_saying(p->context->plan, ACTION_PIN_VCPU, g->guest, why, detail);
}

/* Its cgroup leaves it no usable CPU. */
static const char *limit_text(const Placement *p, const Guest *g) {
        if (idset_is_subset(&g->cgroup_cpus, &p->topology->isolated))
                return "its cgroup is an isolated cpuset partition, whose CPUs are its own: it is not pinned";
        return "its cgroup leaves it only CPUs that are reserved or isolated: it is not pinned";
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
        if (placement_policy(g) != CPU_DEDICATED)
                memo_drop_cpus(g->memo);
        if (idset_is_empty(&p->usable))
                return skip_pins(p, g, SKIP_NO_CAPACITY, "every CPU of the host is reserved or isolated");
        if (g->cpus_limited && !idset_intersects(&g->guest->cgroup_cpus, &p->usable)) {
                r = placement_give_back(p, g);
                return r < 0 ? r : skip_pins(p, g, SKIP_NO_CAPACITY, limit_text(p, g->guest));
        }
        g->managed = true;
        if (setting(g->settings, KEY_NUMA_POLICY) == NUMA_NONE)
                memo_drop_nodes(g->memo);
        return 0;
}

static bool needs_place(const Placement *p, const PlacementGuest *g) {
        if (!g->managed || g->dedicated || setting(g->settings, KEY_NUMA_POLICY) == NUMA_NONE)
                return false;
        return !memo_is_placed(g->memo) || !placement_still_valid(p, g);
}

/* A guest to be served, with what decides when: a sort that looked it up would look all over the memory. */
typedef struct Queued {
        unsigned n_vcpus;
        uint64_t max_bytes;
        PlacementGuest *guest;
} Queued;

/* The largest first; of equal ones, the order of the guests is that of their uuids. */
static int compare_size(const void *a, const void *b) {
        const Queued *x = a, *y = b;

        if (x->n_vcpus != y->n_vcpus)
                return x->n_vcpus > y->n_vcpus ? -1 : 1;
        if (x->max_bytes != y->max_bytes)
                return x->max_bytes > y->max_bytes ? -1 : 1;
        return (x->guest > y->guest) - (x->guest < y->guest);
}

typedef struct Queue {
        PlacementGuest **guests;
        size_t n;
} Queue;

static int queue_init(const Placement *p, Queue *q) {
        q->guests = calloc(MAX(p->n_guests, (size_t)1), sizeof(PlacementGuest *));
        return q->guests ? 0 : -ENOMEM;
}

static void queue_done(Queue *q) {
        free(q->guests);
}

static int queue_sort(Queue *q) {
        _cleanup_free_ Queued *sorted = NULL;

        if (q->n < 2)
                return 0;
        sorted = calloc(q->n, sizeof(*sorted));
        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < q->n; i++)
                sorted[i] = (Queued){ q->guests[i]->n_vcpus, q->guests[i]->guest->max_bytes, q->guests[i] };
        qsort(sorted, q->n, sizeof(*sorted), compare_size);
        for (size_t i = 0; i < q->n; i++)
                q->guests[i] = sorted[i].guest;
        return 0;
}

/* Once the CPUs of the dedicated guests are settled: a place for @g, or room taken where it has one. */
static void queue_or_account(Placement *p, PlacementGuest *g, Queue *homeless) {
        if (needs_place(p, g))
                homeless->guests[homeless->n++] = g;
        else
                placement_account(p, g);
}

static int serve_dedicated(Placement *p, Queue *waiting, Queue *homeless) {
        int r;

        r = queue_sort(waiting);
        if (r >= 0)
                r = plan_reserve_skips(p->context->plan, waiting->n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < waiting->n; i++) {
                r = placement_dedicate(p, waiting->guests[i]);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < waiting->n; i++) {
                PlacementGuest *g = waiting->guests[i];

                if (g->refused && g->fresh)
                        placement_account_vcpus(p, g, memo_nodes(g->memo));
                else if (g->refused)
                        queue_or_account(p, g, homeless);
        }
        return 0;
}

/* NULL: there are CPUs for @g to share. */
static const char *lacks_pool(const Placement *p, const PlacementGuest *g) {
        const Guest *guest = g->guest;
        IdSet nodes, cpus;

        if (idset_is_empty(&p->usable))
                return "every usable CPU is dedicated to another guest: it is not pinned";
        if (g->cpus_limited && !idset_intersects(&guest->cgroup_cpus, &p->usable))
                return "every usable CPU that its cgroup leaves it is dedicated to another guest: it is not pinned";
        if (setting(g->settings, KEY_NUMA_POLICY) == NUMA_NONE)
                return NULL;
        if (placement_bound_nodes(p, guest, &nodes) && !placement_constraint(p, guest, &nodes))
                return "every usable CPU of the nodes it is bound to is dedicated to another guest: it is not pinned";
        if (!g->cpus_limited || !placement_constraint(p, guest, &nodes))
                return NULL;
        cpus = placement_cpus(p, &nodes);
        if (idset_intersects(&guest->cgroup_cpus, &cpus))
                return NULL;
        return "its cgroup leaves it no usable CPU of the nodes it is bound to: it is not pinned";
}

/* Where all CPUs are other guests' own there is nothing to pin to, and the pins from before must not stay. */
static int unpin_without_pool(Placement *p) {
        bool dedicated = !idset_is_empty(&p->dedicated);
        int r;

        for (size_t i = 0; i < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];
                const char *why = NULL;

                if (g->managed && !g->dedicated && (dedicated || g->cpus_limited))
                        why = lacks_pool(p, g);

                if (!why)
                        continue;
                g->managed = false;
                r = placement_give_back(p, g);
                if (r < 0)
                        return r;
                r = skip_pins(p, g, SKIP_NO_CAPACITY, why);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int place_homeless(Placement *p, Queue *homeless) {
        _cleanup_free_ PlacementNode *before = improve_begin(p);
        size_t n = 0;
        int r;

        if (!before)
                return -ENOMEM;
        r = queue_sort(homeless);
        if (r < 0)
                return r;
        for (size_t i = 0; i < homeless->n; i++) {
                if (!homeless->guests[i]->managed)
                        continue;
                r = placement_choose(p, homeless->guests[i]);
                if (r < 0)
                        return r;
                homeless->guests[n++] = homeless->guests[i];
        }
        return improve_placements(p, before, homeless->guests, n);
}

static int place_guests(Placement *p) {
        _cleanup_(queue_done) Queue waiting = { 0 }, homeless = { 0 };
        int r;

        r = queue_init(p, &waiting);
        if (r >= 0)
                r = queue_init(p, &homeless);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];

                if (placement_waits_for_cpus(g)) {
                        waiting.guests[waiting.n++] = g;
                        continue;
                }
                p->sharing = p->sharing || (g->managed && !g->dedicated);
                queue_or_account(p, g, &homeless);
        }
        placement_account_reservations(p);
        r = serve_dedicated(p, &waiting, &homeless);
        if (r >= 0)
                r = unpin_without_pool(p);
        if (r < 0)
                return r;
        return place_homeless(p, &homeless);
}

/* Of guests that are new all threads are to be pinned. */
static int pin_guests(Placement *p) {
        size_t n = 0;
        int r;

        for (size_t i = 0; i < p->n_guests; i++)
                n += p->guests[i].managed && p->guests[i].fresh ? placement_threads(p->guests[i].guest) : 0;
        r = plan_reserve_actions(p->context->plan, n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_guests; i++) {
                if (!p->guests[i].managed)
                        continue;
                r = placement_pins(p, &p->guests[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* For the number of vCPUs: each needs a CPU of its own. */
static void note_spare_cpus(Placement *p) {
        for (size_t i = 0; i < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];

                if (!g->memo || setting(g->settings, KEY_VCPUS_MODE) == VCPUS_OFF)
                        continue;
                g->memo->cpus_spare = 0;
                if (g->managed && g->dedicated)
                        g->memo->cpus_spare = placement_capacity_of(
                                p, g, memo_is_placed(g->memo) ? memo_nodes(g->memo) : NULL);
        }
}

static int decide(Placement *p) {
        int r;

        for (size_t i = 0; i < p->n_guests; i++) {
                r = classify(p, &p->guests[i]);
                if (r < 0)
                        return r;
        }
        placement_measure_guests(p);
        placement_hold(p);
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
        note_spare_cpus(p);
        r = pin_guests(p);
        if (r < 0)
                return r;
        r = placement_report_intruders(p);
        if (r < 0)
                return r;
        r = placement_explain_others(p);
        if (r < 0)
                return r;
        r = placement_memory(p);
        if (r < 0)
                return r;
        return placement_watch_move(p);
}

static IdSet cpus_of(const PolicyContext *c, const char *uuid) {
        const GuestMemo *memo = state_find_guest(c->state, uuid);

        return memo ? *memo_cpus(memo) : IDSET_EMPTY;
}

int policy_placement(PolicyContext *c) {
        _cleanup_(placement_freep) Placement *p = NULL;
        IdSet before = IDSET_EMPTY, after;
        int r;

        if (!c->snapshot->topology)
                return 0;
        r = placement_new(c, &p);
        if (r < 0)
                return r;
        if (!c->only_uuid)
                return decide(p);
        before = cpus_of(c, c->only_uuid);
        r = decide(p);
        if (r < 0)
                return r;
        after = cpus_of(c, c->only_uuid);
        c->plan->concerns_others = !idset_equal(&before, &after);
        return 0;
}
