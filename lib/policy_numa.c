/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "policy_eligible.h"
#include "policy_placement.h"

#include <inttypes.h>

/*
 * Memory follows the guest to its nodes. What lies elsewhere is left there up
 * to 5 % of the resident memory or 4 MiB, whichever is more: the guest would not
 * notice, and QEMU's own pages always lie about a little. One guest at a time, the one with the most
 * remote memory first; while its pages may still be on their way, nobody else.
 *
 * After a move the guest is left alone for numa.cooldown, doubled with each
 * further move. When its memory has arrived, the count starts anew.
 */

#define REMOTE_PERMYRIAD 500U
#define REMOTE_MINIMUM (4 * MIB)
#define COOLDOWN_DOUBLINGS_MAX 6U

/* A time after now was noted before a reboot. */
uint64_t placement_cooldown_end(const Placement *p, const PlacementGuest *g) {
        uint64_t cooldown = setting(g->settings, KEY_NUMA_COOLDOWN);
        unsigned doublings = MIN(g->memo->moves, COOLDOWN_DOUBLINGS_MAX);

        if (g->memo->moved_usec == 0 || g->memo->moved_usec > p->now_usec)
                return 0;
        return u64_add(g->memo->moved_usec, u64_muldiv(cooldown, UINT64_C(1) << doublings, 1));
}

static uint64_t remote_bytes(const PlacementGuest *g) {
        return u64_sub(g->resident_bytes, placement_resident_on(g->guest, &g->memo->nodes));
}

static bool is_remote(const PlacementGuest *g, uint64_t remote) {
        return remote > MAX(permyriad_of(g->resident_bytes, REMOTE_PERMYRIAD), REMOTE_MINIMUM);
}

/* Its memory is ours to look after, and we know where it is. */
static bool concerns(const PlacementGuest *g) {
        return g->managed && placement_follows_memory(g) && g->resident_bytes != UNKNOWN_U64 &&
               !idset_is_empty(&g->memo->nodes);
}

void placement_note_move(const Placement *p, PlacementGuest *g) {
        g->memo->moved_usec = p->now_usec;
        if (g->memo->moves < UINT32_MAX)
                g->memo->moves++;
}

/* The pages of its last move may still be on their way. */
static bool under_way(const Placement *p, const PlacementGuest *g) {
        uint64_t rate = setting(g->settings, KEY_NUMA_MOVE_RATE), usec;

        if (!g->memo || g->memo->moved_usec == 0 || g->memo->moved_usec > p->now_usec || g->moving)
                return false;
        if (g->resident_bytes == UNKNOWN_U64 || idset_is_empty(&g->memo->nodes) || !is_remote(g, remote_bytes(g)))
                return false;
        usec = u64_muldiv(g->resident_bytes, USEC_PER_SEC, rate);
        return p->now_usec < u64_add(g->memo->moved_usec, u64_add(usec, p->context->snapshot->interval_usec));
}

bool placement_move_under_way(const Placement *p) {
        if (p->context->mover_busy)
                return true;
        for (size_t i = 0; i < p->n_guests; i++)
                if (under_way(p, &p->guests[i]))
                        return true;
        return false;
}

static bool has_room(const Placement *p, const PlacementGuest *g, uint64_t bytes) {
        uint64_t room = 0;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (idset_contains(&g->memo->nodes, p->nodes[i].id))
                        room = u64_add(room, placement_room(&p->nodes[i], g->guest));
        return bytes <= room;
}

/* 1: the move can be made; 0: a Skip says why not. */
static int movable(Placement *p, const PlacementGuest *g, uint64_t remote) {
        Plan *plan = p->context->plan;
        char bytes[FORMAT_BYTES_MAX];
        const char *detail;
        SkipReason why;
        int r = 0;

        (void)format_bytes_short(remote, bytes);
        if (!policy_eligible(g->guest, ACTION_MOVE_MEMORY, &why, &detail))
                r = plan_add_skip(plan, ACTION_MOVE_MEMORY, g->guest, why, "%s remote; %s", bytes, detail);
        else if (!g->moving && p->now_usec < placement_cooldown_end(p, g))
                r = plan_add_skip(plan, ACTION_MOVE_MEMORY, g->guest, SKIP_COOLDOWN,
                                  "%s remote; moved %" PRIu64 " s ago, not again in the next %" PRIu64 " s", bytes,
                                  (p->now_usec - g->memo->moved_usec) / USEC_PER_SEC,
                                  (placement_cooldown_end(p, g) - p->now_usec) / USEC_PER_SEC);
        else if (!has_room(p, g, remote))
                r = plan_add_skip(plan, ACTION_MOVE_MEMORY, g->guest,
                                  g->guest->hugepages ? SKIP_HUGEPAGES : SKIP_NO_CAPACITY,
                                  "%s remote; its nodes have no room for that", bytes);
        else
                return 1;
        return r;
}

static int nodes_with_memory(const Guest *g, char **ret) {
        IdSet nodes = IDSET_EMPTY;

        for (size_t i = 0; i < g->n_node_memory; i++)
                if (g->node_memory[i].bytes > 0)
                        (void)idset_add(&nodes, g->node_memory[i].node);
        return idset_format(&nodes, ret);
}

/* Before its pages can go where its cgroup does not allow them. */
static int widen_nodeset(Placement *p, const PlacementGuest *g, const char *nodes, const char *source) {
        _cleanup_free_ char *old_value = NULL;
        int r;

        if (g->guest->numatune_mode != NUMATUNE_RESTRICTIVE ||
            idset_equal(&g->guest->numatune_nodes, &g->memo->nodes))
                return 0;
        r = idset_format(&g->guest->numatune_nodes, &old_value);
        if (r < 0)
                return r;
        return plan_add_action(p->context->plan, ACTION_SET_NODESET, g->guest, 0, old_value, nodes, source,
                               "its memory is about to move to node %s", nodes);
}

static int move(Placement *p, PlacementGuest *g, uint64_t remote) {
        _cleanup_free_ char *from = NULL, *to = NULL, *source = NULL;
        char bytes[FORMAT_BYTES_MAX], of[FORMAT_BYTES_MAX];
        int r;

        r = nodes_with_memory(g->guest, &from);
        if (r >= 0)
                r = idset_format(&g->memo->nodes, &to);
        if (r >= 0)
                r = setting_source(g->settings, KEY_NUMA_MEMORY, &source);
        if (r >= 0)
                r = widen_nodeset(p, g, to, source);
        if (r < 0)
                return r;
        if (!g->moving)
                placement_note_move(p, g);
        return plan_add_action(p->context->plan, ACTION_MOVE_MEMORY, g->guest, 0, from, to, source,
                               "%s of %s are not on node %s, where its vCPUs are placed",
                               format_bytes_short(remote, bytes), format_bytes_short(g->resident_bytes, of), to);
}

/*
 * The guest whose move comes next. *ret is NULL when there is none; a Skip for
 * each one that cannot be moved.
 */
static int select_guest(Placement *p, PlacementGuest **ret) {
        PlacementGuest *best = NULL;
        uint64_t best_remote = 0;
        int r;

        for (size_t i = 0; i < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];
                uint64_t remote;

                if (!concerns(g))
                        continue;
                remote = remote_bytes(g);
                if (!is_remote(g, remote)) {
                        g->memo->moves = 0;
                        continue;
                }
                r = movable(p, g, remote);
                if (r < 0)
                        return r;
                if (r == 0 || (best && !g->moving && (best->moving || remote <= best_remote)))
                        continue;
                best = g;
                best_remote = remote;
        }
        *ret = best && placement_move_under_way(p) ? NULL : best;
        return 0;
}

int placement_memory(Placement *p) {
        PlacementGuest *g;
        int r;

        r = select_guest(p, &g);
        if (r < 0 || !g)
                return r;
        return move(p, g, remote_bytes(g));
}
