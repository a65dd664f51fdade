/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_eligible.h"
#include "policy_move.h"

/*
 * What stands against a move of a guest that runs.
 *
 * As in irqbalance, a move must not reverse an imbalance: afterwards the
 * target may not be more loaded than the source. A move for load must gain 5 %
 * of a CPU and a tenth of what its guest wants; the other moves may not
 * overload their target. The time since the guest was placed and the cool-down
 * since its last move must be over.
 *
 * Nodes that a guest has left are remembered for a day. For an hour it does not
 * go back to one, and after that only for ten times the gain: half of a CPU,
 * and as much as the guest wants. Demand that comes and goes would otherwise
 * send guests round and round; on days of bursts (tests/sim/days) more than half
 * of all returns are not worth their copying.
 *
 * To its memory, which cannot follow it, a guest may go at any time, but after
 * a move for load only when the load there has come down to half of what counts
 * as overload: what a node carries is known with the waiting that the guest
 * itself adds only when it is there.
 */

#define RETURN_NEVER_USEC USEC_PER_HOUR
#define RETURN_USEC USEC_PER_DAY
#define RETURN_GAINS 10
#define RETURN_LOAD_PERMYRIAD (MOVE_OVERLOAD_PERMYRIAD / 2)
/* A move for load gains 5 % of a CPU, and a tenth of what its guest wants. */
#define LEAST_GAIN_PERMYRIAD 500
#define LEAST_GAIN_SHARE 1000U
/* Below 1 % of a CPU nobody is moved. */
#define SCORE_PERMYRIAD 100

uint64_t placement_load(const PlacementNode *n) {
        return n->demand_permyriad / MAX(n->n_cpus, 1U);
}

/* Mean load of the nodes in @list that are not in @except, with @demand more (or less) there. */
static uint64_t load_of(const Placement *p, const NodeList *list, const NodeList *except, int64_t demand) {
        int64_t sum = demand;
        uint64_t cpus = 0;

        for (size_t i = 0; i < list->n; i++) {
                bool shared = false;

                for (size_t j = 0; j < except->n; j++)
                        shared = shared || except->at[j] == list->at[i];
                if (shared)
                        continue;
                sum += (int64_t)p->nodes[list->at[i]].demand_permyriad;
                cpus += p->nodes[list->at[i]].n_cpus;
        }
        return sum > 0 && cpus > 0 ? (uint64_t)sum / cpus : 0;
}

uint64_t move_cpus_of(const Placement *p, const NodeList *list) {
        uint64_t n = 0;

        for (size_t i = 0; i < list->n; i++)
                n += p->nodes[list->at[i]].n_cpus;
        return n;
}

/* The cgroup of @g leaves it memory and enough CPUs there. */
static bool within_limit(const Placement *p, const PlacementGuest *g, const NodeList *to) {
        unsigned n_cpus = 0;

        for (size_t i = 0; g->limited && i < to->n; i++) {
                if (!placement_allows(p, g, &p->nodes[to->at[i]]))
                        return false;
                n_cpus += placement_capacity(p, g, &p->nodes[to->at[i]]);
        }
        return !g->limited || g->n_vcpus <= n_cpus;
}

/* A node to which the memory of guests on @list goes lacks memory itself. */
static bool is_short(const Placement *p, const NodeList *list) {
        for (size_t i = 0; i < list->n; i++)
                if (p->nodes[p->nodes[list->at[i]].memory_at].short_bytes > 0)
                        return true;
        return false;
}

bool move_is_allowed(const Placement *p, MoveCandidate *c) {
        int64_t demand = (int64_t)c->guest->demand_permyriad;
        uint64_t target = load_of(p, &c->to, &c->home, demand);

        if (c->guest->n_vcpus > move_cpus_of(p, &c->to) || !within_limit(p, c->guest, &c->to))
                return false;
        c->load_after = load_of(p, &c->home, &c->to, -demand);
        c->load_to = target;
        if (c->cause == MOVE_LOAD)
                return target <= c->load_after;
        if (c->cause == MOVE_SHORTAGE && is_short(p, &c->to))
                return false;
        return target < MOVE_OVERLOAD_PERMYRIAD || target <= c->load_after;
}

/* It has a place, and the settings let it have another one. */
static bool is_placed(const PlacementGuest *g) {
        return g->managed && !g->fresh && !g->guest->starting && g->n_vcpus > 0 &&
               setting(g->settings, KEY_NUMA_POLICY) == NUMA_AUTO && memo_is_placed(g->memo);
}

bool placement_stays(const Placement *p, const PlacementGuest *g, SkipReason *ret_why, const char **ret_detail) {
        IdSet constraint;

        if (!is_placed(g))
                return false;
        if (placement_constraint(p, g->guest, &constraint)) {
                *ret_why = SKIP_USER_NUMATUNE;
                *ret_detail = placement_bound_text(g->guest);
                return true;
        }
        *ret_why = SKIP_BOUND;
        if (placement_policy(g) != CPU_SHARED && placement_policy(g) != CPU_PINNED)
                *ret_detail = "its CPUs are its own, and stay the same while it runs";
        else if (g->guest->n_cells > 0)
                *ret_detail = "it has NUMA cells, whose nodes stay the same while it runs";
        else if (memo_has_memory_only(g->memo))
                *ret_detail = "some of its memory is on nodes without CPUs, near those that it has";
        else
                return false;
        return true;
}

bool placement_is_candidate(const Placement *p, const PlacementGuest *g) {
        const char *detail;
        SkipReason why;

        return is_placed(g) && !placement_stays(p, g, &why, &detail);
}

bool placement_may_move(const Placement *p, const PlacementGuest *g, SkipReason *ret_why, const char **ret_detail) {
        uint64_t placed = g->memo->placed_usec > p->now_usec ? 0 : g->memo->placed_usec;
        uint64_t rest = u64_add(placed, setting(g->settings, KEY_NUMA_COOLDOWN));

        if (p->now_usec >= MAX(rest, placement_cooldown_end(p, g)) && g->memo->move_cause == MOVE_NONE)
                return true;
        *ret_why = SKIP_COOLDOWN;
        *ret_detail = "it was placed or moved less than its cool-down ago";
        return false;
}

static bool has_room(const Placement *p, const PlacementGuest *g, const NodeList *to, uint64_t bytes) {
        IdSet memory = move_memory_of(p, to);
        uint64_t room = 0;

        for (size_t i = 0; i < p->n_nodes; i++) {
                const PlacementNode *n = &p->nodes[i];

                if (idset_contains(&memory, n->id))
                        room = u64_add(room, u64_sub(placement_room(n, g->guest),
                                                     n->memory_known ? n->pending_bytes : 0));
        }
        return bytes <= room;
}

bool move_may_go(const Placement *p, const MoveCandidate *c, const MoveValue *v, SkipReason *ret_why,
                 const char **ret_detail) {
        const PlacementGuest *g = c->guest;
        uint64_t spare = c->cause == MOVE_SHORTAGE ? c->from->short_bytes : 0;

        if (!placement_may_move(p, g, ret_why, ret_detail))
                return false;
        /* What one node lacks must not be lacking on another afterwards. */
        if (has_room(p, g, &c->to, u64_add(v->bytes, spare)))
                return true;
        *ret_why = g->guest->hugepages ? SKIP_HUGEPAGES : SKIP_NO_CAPACITY;
        *ret_detail = "the less loaded node has no room for its memory";
        return false;
}

/* When it left one of @to last, of what is remembered; 0: it did not. */
static uint64_t left_usec(const PlacementGuest *g, const Placement *p, const NodeList *to) {
        uint64_t usec = 0;

        for (unsigned k = 0; k < g->memo->n_left; k++)
                for (size_t i = 0; i < to->n; i++)
                        if (p->nodes[to->at[i]].id == g->memo->left[k].node && g->memo->left[k].usec <= p->now_usec)
                                usec = MAX(usec, g->memo->left[k].usec);
        return usec;
}

static bool returns(const Placement *p, const PlacementGuest *g, const NodeList *to) {
        uint64_t left = left_usec(g, p, to);

        return left > 0 && p->now_usec - left < RETURN_USEC;
}

int64_t move_gain_needed(const Placement *p, const PlacementGuest *g, const NodeList *to) {
        uint64_t share = permyriad_of(g->demand_permyriad, LEAST_GAIN_SHARE);
        int64_t least = (int64_t)MAX(share, (uint64_t)LEAST_GAIN_PERMYRIAD);

        if (!returns(p, g, to))
                return least;
        return p->now_usec - left_usec(g, p, to) < RETURN_NEVER_USEC ? INT64_MAX : RETURN_GAINS * least;
}

void move_note_left(const Placement *p, GuestMemo *m, unsigned node) {
        if (m->n_left == NODES_LEFT_MAX)
                memmove(m->left, m->left + 1, --m->n_left * sizeof(*m->left));
        m->left[m->n_left++] = (NodeLeft){ .node = node, .usec = p->now_usec };
}

/* Its vCPUs, within a day. */
static bool moved_lately(const Placement *p, const PlacementGuest *g) {
        uint64_t moved = g->memo->moved_usec;

        return g->memo->move_from > 0 && moved <= p->now_usec && p->now_usec - moved < RETURN_USEC;
}

bool move_pays(const Placement *p, const MoveCandidate *c, const MoveValue *v) {
        if (c->cause == MOVE_LOAD)
                return MIN(v->wait, v->score) >= move_gain_needed(p, c->guest, &c->to);
        if (c->cause == MOVE_SHORTAGE && returns(p, c->guest, &c->to))
                return v->score >= move_gain_needed(p, c->guest, &c->to);
        if (c->cause == MOVE_TO_MEMORY && moved_lately(p, c->guest) && c->load_to > RETURN_LOAD_PERMYRIAD)
                return false;
        return v->score >= SCORE_PERMYRIAD;
}
