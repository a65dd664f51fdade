/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"
#include "policy_eligible.h"
#include "policy_move.h"

#include <inttypes.h>

/*
 * Memory follows the guest to its nodes when that pays (policy_move_cost.c):
 * one guest at a time, the one that gains most for what there is to copy
 * first, but before all others one whose vCPUs were moved just now. While its
 * pages may still be on their way, nobody else.
 *
 * After a move the guest is left alone until the move is verified and
 * numa.cooldown is over, which each move that did not help doubles
 * (policy_verify.c). Pages that the kernel would not move are not tried again
 * as long as the guest has no more remote memory than them; and where it found
 * no more room, though some is free, not before there is more.
 */

#define COOLDOWN_DOUBLINGS_MAX 6U
#define FULL_STEP_BYTES (64 * MIB)
#define NARROW_BYTES (16 * MIB)

/* A time after now was noted before a reboot. */
uint64_t placement_cooldown_end(const Placement *p, const PlacementGuest *g) {
        uint64_t cooldown = setting(g->settings, KEY_NUMA_COOLDOWN);
        unsigned doublings = MIN(g->memo->moves, COOLDOWN_DOUBLINGS_MAX);

        if (g->memo->moved_usec == 0 || g->memo->moved_usec > p->now_usec)
                return 0;
        return u64_add(g->memo->moved_usec, u64_muldiv(cooldown, UINT64_C(1) << doublings, 1));
}

/* Its memory is ours to look after, and we know where it is. */
static bool concerns(const PlacementGuest *g) {
        return g->managed && placement_follows_memory(g) && g->resident_bytes != UNKNOWN_U64 &&
               memo_is_placed(g->memo);
}

/* The mover reports the end; without a report (after a restart) the rate tells how long it may take. */
bool placement_guest_moves(const Placement *p, const PlacementGuest *g) {
        const GuestMemo *m = g->memo;
        uint64_t usec;
        IdSet home;

        if (!m || m->moved_usec == 0 || m->moved_usec > p->now_usec || m->move_waits)
                return false;
        if (m->move_ended_usec >= m->moved_usec || g->resident_bytes == UNKNOWN_U64 || !memo_is_placed(m))
                return false;
        home = placement_memory_nodes(p, g);
        if (!move_is_remote(g, move_remote_bytes(g, &home)))
                return false;
        usec = u64_muldiv(g->resident_bytes, USEC_PER_SEC, setting(g->settings, KEY_NUMA_MOVE_RATE));
        return p->now_usec < u64_add(m->moved_usec, u64_add(usec, p->context->snapshot->interval_usec));
}

bool placement_move_under_way(const Placement *p) {
        if (p->context->mover_busy)
                return true;
        for (size_t i = 0; i < p->n_guests; i++)
                if (placement_guest_moves(p, &p->guests[i]))
                        return true;
        return false;
}

static uint64_t room_on(const Placement *p, const PlacementGuest *g, const IdSet *nodes) {
        uint64_t room = 0;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (idset_contains(nodes, p->nodes[i].id))
                        room = u64_add(room, placement_room(&p->nodes[i], g->guest));
        return room;
}

static bool has_room(const Placement *p, const PlacementGuest *g, const IdSet *nodes, uint64_t bytes) {
        uint64_t room = room_on(p, g, nodes), full = g->memo->full_bytes;

        return bytes <= room && (full == 0 || room >= u64_add(full, FULL_STEP_BYTES));
}

/* The kernel has just found no more room there: what is free now is what cannot be had. */
static void note_full(const Placement *p, const PlacementGuest *g) {
        IdSet home;

        if (g->memo->full_bytes != UNKNOWN_U64)
                return;
        home = placement_memory_nodes(p, g);
        g->memo->full_bytes = MAX(room_on(p, g, &home), UINT64_C(1));
}

/* Memory-only nodes only when the others have no room. */
static IdSet targets(const Placement *p, const PlacementGuest *g, uint64_t bytes) {
        IdSet home = placement_memory_nodes(p, g), others = idset_minus(&home, memo_memory_only(g->memo));

        return has_room(p, g, &others, bytes) ? others : home;
}

/* What stands against sending @g's memory now; _SKIP_REASON_MAX: nothing. */
static SkipReason obstacle(const Placement *p, const PlacementGuest *g, const MoveValue *v,
                           const char **ret_detail) {
        IdSet to = targets(p, g, v->bytes);
        SkipReason why;

        if (!policy_eligible(g->guest, ACTION_MOVE_MEMORY, &why, ret_detail))
                return why;
        if (!g->memo->move_waits && (p->now_usec < placement_cooldown_end(p, g) || g->memo->move_cause != MOVE_NONE))
                return SKIP_COOLDOWN;
        if (!has_room(p, g, &to, v->bytes))
                return g->guest->hugepages ? SKIP_HUGEPAGES : SKIP_NO_CAPACITY;
        if (!g->memo->move_waits && v->score <= 0)
                return SKIP_NO_GAIN;
        return _SKIP_REASON_MAX;
}

static int skip(Placement *p, const PlacementGuest *g, const MoveValue *v, SkipReason why, const char *detail) {
        uint64_t end = placement_cooldown_end(p, g);
        Plan *plan = p->context->plan;
        char bytes[FORMAT_BYTES_MAX];

        (void)format_bytes_short(v->bytes, bytes);
        if (detail)
                return plan_add_skip(plan, ACTION_MOVE_MEMORY, g->guest, why, "%s remote; %s", bytes, detail);
        if (why == SKIP_COOLDOWN && end > p->now_usec)
                return plan_add_skip(plan, ACTION_MOVE_MEMORY, g->guest, why,
                                     "%s remote; moved %" PRIu64 " s ago, not again in the next %" PRIu64 " s", bytes,
                                     (p->now_usec - g->memo->moved_usec) / USEC_PER_SEC,
                                     (end - p->now_usec) / USEC_PER_SEC);
        if (why == SKIP_COOLDOWN)
                return plan_add_skip(plan, ACTION_MOVE_MEMORY, g->guest, why,
                                     "%s remote; what its last move did is still being measured", bytes);
        if (why == SKIP_NO_GAIN)
                return plan_add_skip(plan, ACTION_MOVE_MEMORY, g->guest, why,
                                     "%s remote; at %" PRIu64 " %% of one CPU in use, moving it does not pay within "
                                     "an hour", bytes, move_demand(g) / 100);
        return plan_add_skip(plan, ACTION_MOVE_MEMORY, g->guest, why,
                             "%s remote; its nodes have no room for that", bytes);
}

static int nodes_with_memory(const Guest *g, char **ret) {
        IdSet nodes = IDSET_EMPTY;

        for (size_t i = 0; i < g->n_node_memory; i++)
                if (g->node_memory[i].bytes > 0)
                        (void)idset_add(&nodes, g->node_memory[i].node);
        return idset_format(&nodes, ret);
}

static int set_nodeset(Placement *p, const PlacementGuest *g, const IdSet *nodes, const char *what,
                       const IdSet *where, const char *source) {
        _cleanup_free_ char *old_value = NULL, *new_value = NULL, *list = NULL;
        int r;

        r = idset_format(guest_nodeset(g->guest), &old_value);
        if (r >= 0)
                r = idset_format(nodes, &new_value);
        if (r >= 0)
                r = idset_format(where, &list);
        if (r < 0)
                return r;
        return plan_add_action(p->context->plan, ACTION_SET_NODESET, g->guest, 0, old_value, new_value, source,
                               "its memory %s node %s%s", what, list,
                               g->guest->numatune_placement_auto ?
                               "; libvirt calls its placement static from now on, not auto" : "");
}

/*
 * Before its pages can go where its cgroup does not allow them. They stay allowed where they are: what a cgroup (v2)
 * is not allowed any more the kernel moves itself, at full speed, and libvirt waits for that.
 * What binds it allows its nodes, and is the user's.
 */
static int widen_nodeset(Placement *p, const PlacementGuest *g, const IdSet *home, const char *source) {
        const IdSet *now = guest_nodeset(g->guest);
        IdSet bound, both = idset_or(now, home);

        if (g->guest->numatune_mode != NUMATUNE_RESTRICTIVE || idset_is_subset(home, now) ||
            placement_memory_bound(p, g->guest, &bound))
                return 0;
        return set_nodeset(p, g, &both, "is about to move to", home, source);
}

/* Its memory has come home: nothing of it is to go elsewhere any more. Little is left for the kernel to move. */
static int narrow_nodeset(Placement *p, const PlacementGuest *g) {
        IdSet home = placement_memory_nodes(p, g), now = *guest_nodeset(g->guest);
        _cleanup_free_ char *source = NULL;
        const char *detail;
        SkipReason why;
        int r;

        if (!placement_owns_nodeset(p, g->guest) || idset_equal(&now, &home) || !idset_is_subset(&home, &now))
                return 0;
        if (move_remote_bytes(g, &home) > NARROW_BYTES ||
            !policy_eligible(g->guest, ACTION_SET_NODESET, &why, &detail))
                return 0;
        r = setting_source(g->settings, KEY_NUMA_MEMORY, &source);
        if (r < 0)
                return r;
        return set_nodeset(p, g, &home, "has moved to", &home, source);
}

static int narrow_nodesets(Placement *p) {
        int r = 0;

        for (size_t i = 0; i < p->n_guests && r >= 0; i++)
                if (concerns(&p->guests[i]))
                        r = narrow_nodeset(p, &p->guests[i]);
        return r;
}

/* Also where every CPU of its nodes is its own, and none is left for others. */
static MoveValue value_at_home(const Placement *p, const PlacementGuest *g) {
        NodeList home = { .at = p->home };

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].n_usable > 0 && idset_contains(memo_nodes(g->memo), p->nodes[i].id))
                        p->home[home.n++] = (uint16_t)i;
        return move_value_of_memory(p, g, &home);
}

static int send_memory(Placement *p, PlacementGuest *g, const MoveValue *v) {
        _cleanup_free_ char *from = NULL, *to = NULL, *source = NULL, *value = NULL;
        IdSet home = placement_memory_nodes(p, g), target = targets(p, g, v->bytes);
        char bytes[FORMAT_BYTES_MAX], of[FORMAT_BYTES_MAX];
        int r;

        r = nodes_with_memory(g->guest, &from);
        if (r >= 0)
                r = idset_format(&target, &to);
        if (r >= 0)
                r = setting_source(g->settings, KEY_NUMA_MEMORY, &source);
        if (r >= 0)
                r = widen_nodeset(p, g, &home, source);
        if (r >= 0 && g->load_known)
                r = move_value_format(v, &value);
        if (r < 0)
                return r;
        g->memo->full_bytes = 0;
        if (!g->memo->move_waits)
                placement_begin_move(p, g, MOVE_REMOTE, NULL, v, placement_remote_permyriad(g, &home));
        g->memo->move_waits = false;
        g->memo->moved_usec = p->now_usec;
        return plan_add_action(p->context->plan, ACTION_MOVE_MEMORY, g->guest, 0, from, to, source,
                               "%s of %s are not on node %s, where %s%s%s",
                               format_bytes_short(v->bytes, bytes), format_bytes_short(g->resident_bytes, of), to,
                               idset_equal(&target, memo_nodes(g->memo)) ? "its vCPUs are placed"
                                                                         : "its memory belongs",
                               value ? "; " : "", value ?: "");
}

/* The guest whose memory comes next, *ret NULL when there is none. With @skips, a Skip for each that has to wait. */
static int select_guest(Placement *p, bool skips, PlacementGuest **ret, MoveValue *ret_value) {
        PlacementGuest *best = NULL;
        MoveValue best_value = { 0 };
        int r = 0;

        for (size_t i = 0; i < p->n_guests; i++) {
                PlacementGuest *g = &p->guests[i];
                const char *detail = NULL;
                SkipReason why;
                MoveValue v;
                IdSet home;

                if (!concerns(g))
                        continue;
                note_full(p, g);
                home = placement_memory_nodes(p, g);
                if (!move_is_remote(g, move_remote_bytes(g, &home)))
                        continue;
                v = value_at_home(p, g);
                why = obstacle(p, g, &v, &detail);
                if (why != _SKIP_REASON_MAX && skips)
                        r = skip(p, g, &v, why, detail);
                if (r < 0)
                        return r;
                if (why != _SKIP_REASON_MAX ||
                    (best && best->memo->move_waits && !g->memo->move_waits) ||
                    (best && best->memo->move_waits == g->memo->move_waits && move_value_order(&v, &best_value) >= 0))
                        continue;
                best = g;
                best_value = v;
        }
        *ret = best;
        *ret_value = best_value;
        return 0;
}

PlacementGuest *placement_next_memory(Placement *p, MoveValue *ret) {
        PlacementGuest *g = NULL;

        (void)select_guest(p, false, &g, ret);
        return g;
}

int placement_memory(Placement *p) {
        PlacementGuest *g;
        MoveValue v;
        int r;

        r = select_guest(p, true, &g, &v);
        if (r < 0 || placement_move_under_way(p))
                return r;
        return g ? send_memory(p, g, &v) : narrow_nodesets(p);
}
