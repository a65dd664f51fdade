/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_advise.h"

#include "policy_placement.h"

/*
 * The guest to come is put into a copy of the snapshot, as one that is starting
 * and of which nothing is resident, and the same search that places a guest of
 * the daemon is asked for its nodes. Its name is none a guests entry would
 * select but "*".
 */

/* Sorts behind every other, as the snapshot wants it. */
#define EXPECTED_UUID "ffffffff-ffff-ffff-ffff-ffffffffffff"

static int expected_guest(const AdviceRequest *request, Guest **ret) {
        _cleanup_(guest_freep) Guest *g = NULL;
        int r;

        r = guest_new("", EXPECTED_UUID, &g);
        if (r < 0)
                return r;
        r = guest_set_vcpus(g, request->vcpus);
        if (r < 0)
                return r;
        g->starting = true;
        g->max_bytes = g->current_bytes = request->memory_bytes;
        g->hugepages = request->hugepages;
        g->hugepage_bytes = request->hugepage_bytes;
        *ret = TAKE_PTR(g);
        return 0;
}

/* Where nobody measured, memory is as far as it got where it belongs: what is missing is all that counts. */
static void assume_local(PlacementGuest *g) {
        const Guest *guest = g->guest;

        if (g->resident_bytes != UNKNOWN_U64)
                return;
        if (guest->rss_bytes != UNKNOWN_U64)
                g->resident_bytes = guest->rss_bytes;
        else
                g->resident_bytes = guest->starting ? 0 : guest->current_bytes;
        g->movable = false;
}

static void account_present(Placement *p) {
        for (size_t i = 0; i + 1 < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];
                bool placed = g->memo && !g->memo->user_pinned && memo_is_placed(g->memo);
                IdSet advised;

                assume_local(g);
                if (!placed && placement_advised(p, g, &advised))
                        placement_account_nodes(p, g, &advised);
                else
                        placement_account(p, g);
        }
        placement_account_reservations(p);
}

/* Every node with CPUs that are not reserved, dedicated or not: nothing else is left. */
static int choose_anywhere(Placement *p, PlacementGuest *g) {
        IdSet nodes = IDSET_EMPTY;
        int r;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].n_usable > 0)
                        (void)idset_add(&nodes, p->nodes[i].id);
        r = placement_put(p, g, &nodes);
        if (r < 0)
                return r;
        return placement_say(p, g, "every usable CPU is dedicated to another guest: anywhere");
}

static bool has_memory(const Placement *p, const PlacementNode *n) {
        const Host *host = &p->context->snapshot->host;
        const NodeMemory *m = host_node(host, n->id);

        if (host->n_nodes > 0)
                return m && m->total_bytes > 0;
        return p->topology->nodes[n->index].memory_bytes > 0;
}

/* The node with memory that is nearest to those in @nodes; NULL: no node is known to have any. */
static const PlacementNode *nearest_memory(const Placement *p, const IdSet *nodes) {
        const PlacementNode *best = NULL;
        uint64_t best_distance = 0;

        for (size_t i = 0; i < p->n_nodes; i++) {
                uint64_t distance = 0;

                if (!has_memory(p, &p->nodes[i]))
                        continue;
                if (idset_contains(nodes, p->nodes[i].id))
                        return &p->nodes[i];
                for (size_t k = 0; k < p->n_nodes; k++)
                        if (idset_contains(nodes, p->nodes[k].id))
                                distance += topology_distance(p->topology, k, i);
                if (best && distance >= best_distance)
                        continue;
                best = &p->nodes[i];
                best_distance = distance;
        }
        return best;
}

static int choose(PolicyContext *c, IdSet *ret_nodes, char **ret_reason) {
        _cleanup_(placement_freep) Placement *p = NULL;
        const PlacementNode *memory;
        char *reason = NULL;
        PlacementGuest *g;
        IdSet nodes;
        int r;

        r = placement_new(c, &p);
        if (r < 0)
                return r;
        if (idset_is_empty(&p->usable))
                return -ENOSPC;
        placement_hold(p);
        account_present(p);
        g = &p->guests[p->n_guests - 1];
        nodes = placement_cpu_nodes(p);
        r = idset_is_empty(&nodes) ? choose_anywhere(p, g) : placement_choose(p, g);
        if (r < 0)
                return r;
        nodes = *memo_nodes(g->memo);
        memory = nearest_memory(p, &nodes);
        if (memory)
                (void)idset_add(&nodes, memory->id);
        r = strdup_to(&reason, g->reason);
        if (r < 0)
                return r;
        *ret_nodes = nodes;
        *ret_reason = reason;
        return 0;
}

/* @in->snapshot has the guest to come as its last. */
static int decide(const PolicyInput *in, const State *state, IdSet *ret_nodes, char **ret_reason) {
        _cleanup_(policy_settings_done) PolicySettings settings = { 0 };
        _cleanup_(state_freep) State *scratch = NULL;
        _cleanup_free_ GuestMemo **memos = NULL;
        int r;

        r = state_copy(state, &scratch);
        if (r < 0)
                return r;
        r = policy_settings(in, scratch, &settings);
        if (r < 0)
                return r;
        r = policy_remember_guests(in->snapshot, scratch, &memos);
        if (r < 0)
                return r;

        PolicyContext c = {
                .config = in->config,
                .snapshot = in->snapshot,
                .state = scratch,
                .active_rules = settings.active,
                .host = settings.host,
                .guests = settings.guests,
                .memos = memos,
        };
        return choose(&c, ret_nodes, ret_reason);
}

int policy_advise(const PolicyInput *in, const State *state, const AdviceRequest *request, IdSet *ret_nodes,
                  char **ret_reason) {
        _cleanup_(guest_freep) Guest *expected = NULL;
        _cleanup_free_ Guest **guests = NULL;
        Snapshot snapshot = *in->snapshot;
        int r;

        if (!snapshot.topology)
                return -ENODATA;
        r = expected_guest(request, &expected);
        if (r < 0)
                return r;
        guests = calloc(snapshot.n_guests + 1, sizeof(Guest *));
        if (!guests)
                return -ENOMEM;
        if (snapshot.n_guests > 0)
                memcpy(guests, snapshot.guests, snapshot.n_guests * sizeof(Guest *));
        guests[snapshot.n_guests++] = expected;
        snapshot.guests = guests;
        return decide(&(PolicyInput){ .config = in->config, .snapshot = &snapshot }, state, ret_nodes, ret_reason);
}
