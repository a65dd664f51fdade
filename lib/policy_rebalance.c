/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_eligible.h"
#include "policy_placement.h"

#include <inttypes.h>

/*
 * When the guests placed on a node want 85 % of its CPUs or more (busy time
 * and time spent waiting for a CPU, as measured), the guest whose departure to
 * the least loaded node lowers the larger of the two loads most goes there,
 * with its memory. At most one guest a decision, none while memory is moving.
 *
 * As in irqbalance, a move must not reverse an imbalance: afterwards the
 * target may not be more loaded than the source. It must also gain at least 5
 * points, and both the time since the guest was placed and the cool-down since
 * its last move must be over.
 */

#define OVERLOAD_PERMYRIAD 8500U
#define GAIN_PERMYRIAD 500U

typedef struct Move {
        PlacementNode *from, *to;
        PlacementGuest *guest;          /* NULL: none */
        uint64_t load_after;            /* of the source, the larger one */
        PlacementGuest *refused;        /* would have been better, but */
        uint64_t refused_load;
        SkipReason why;
        const char *detail;
} Move;

static uint64_t load_of(const PlacementNode *n, uint64_t demand) {
        return demand / MAX(n->n_cpus, 1U);
}

static bool find_pair(const Placement *p, Move *m) {
        for (size_t i = 0; i < p->n_nodes; i++) {
                PlacementNode *n = &p->nodes[i];
                uint64_t load = load_of(n, n->demand_permyriad);

                if (n->n_cpus == 0)
                        continue;
                if (!m->from || load > load_of(m->from, m->from->demand_permyriad))
                        m->from = n;
                if (!m->to || load < load_of(m->to, m->to->demand_permyriad))
                        m->to = n;
        }
        return m->from && m->from != m->to && load_of(m->from, m->from->demand_permyriad) >= OVERLOAD_PERMYRIAD;
}

/* On the source alone, free to leave it as far as settings and libvirt's configuration go. */
static bool is_candidate(const Placement *p, const PlacementGuest *g, const Move *m) {
        IdSet constraint;

        return g->managed && !g->fresh && !g->guest->starting && g->n_vcpus > 0 && g->n_vcpus <= m->to->n_cpus &&
               setting(g->settings, KEY_NUMA_POLICY) == NUMA_AUTO &&
               idset_contains(&g->memo->nodes, m->from->id) && idset_count(&g->memo->nodes) == 1 &&
               !placement_constraint(p, g->guest, &constraint);
}

/* The load of the source after @g went; false when that reverses the imbalance or gains too little. */
static bool helps(const PlacementGuest *g, const Move *m, uint64_t *ret_load) {
        uint64_t now = load_of(m->from, m->from->demand_permyriad);
        uint64_t from = load_of(m->from, u64_sub(m->from->demand_permyriad, g->demand_permyriad));
        uint64_t to = load_of(m->to, m->to->demand_permyriad + g->demand_permyriad);

        if (to > from || u64_sub(now, from) < GAIN_PERMYRIAD)
                return false;
        *ret_load = from;
        return true;
}

static bool may_move(const Placement *p, const PlacementGuest *g, Move *m, SkipReason *ret_why,
                     const char **ret_detail) {
        uint64_t placed = g->memo->placed_usec > p->now_usec ? 0 : g->memo->placed_usec;
        uint64_t rest = u64_add(placed, setting(g->settings, KEY_NUMA_COOLDOWN));
        IdSet target = idset_of(m->to->id);

        if (!policy_eligible(g->guest, ACTION_MOVE_MEMORY, ret_why, ret_detail))
                return false;
        if (p->now_usec < MAX(rest, placement_cooldown_end(p, g))) {
                *ret_why = SKIP_COOLDOWN;
                *ret_detail = "it was placed or moved less than its cool-down ago";
                return false;
        }
        if (u64_add(placement_need(g, &target), m->to->pending_bytes) > placement_room(m->to, g->guest)) {
                *ret_why = g->guest->hugepages ? SKIP_HUGEPAGES : SKIP_NO_CAPACITY;
                *ret_detail = "the less loaded node has no room for its memory";
                return false;
        }
        return true;
}

static void consider(const Placement *p, PlacementGuest *g, Move *m) {
        const char *detail;
        SkipReason why;
        uint64_t load;

        if (!is_candidate(p, g, m) || !helps(g, m, &load))
                return;
        if (may_move(p, g, m, &why, &detail)) {
                if (m->guest && load >= m->load_after)
                        return;
                m->guest = g;
                m->load_after = load;
                return;
        }
        if (m->refused && load >= m->refused_load)
                return;
        m->refused = g;
        m->refused_load = load;
        m->why = why;
        m->detail = detail;
}

static int describe(const Move *m, char **ret) {
        return strprintf_to(ret,
                            "node %u at %" PRIu64 " %% of its %u CPUs, node %u at %" PRIu64 " %% of its %u: "
                            "moving %s (%" PRIu64 " %% of one CPU) brings the larger to %" PRIu64 " %%",
                            m->from->id, load_of(m->from, m->from->demand_permyriad) / 100, m->from->n_cpus,
                            m->to->id, load_of(m->to, m->to->demand_permyriad) / 100, m->to->n_cpus,
                            m->guest->guest->name, m->guest->demand_permyriad / 100, m->load_after / 100);
}

/* Pins and memory follow from the new nodes. */
static void apply(Placement *p, const Move *m) {
        uint64_t vcpus = (uint64_t)m->guest->n_vcpus * PLACEMENT_MILLI;
        PlacementGuest *g = m->guest;

        m->from->commit_milli = u64_sub(m->from->commit_milli, vcpus);
        m->from->shared_milli = u64_sub(m->from->shared_milli, vcpus);
        m->from->demand_permyriad = u64_sub(m->from->demand_permyriad, g->demand_permyriad);
        g->memo->nodes = idset_of(m->to->id);
        placement_account_nodes(p, g, &g->memo->nodes);
        g->memo->placed_usec = p->now_usec;
        placement_note_move(p, g);
        g->moving = true;
}

int placement_rebalance(Placement *p) {
        Move m = { 0 };
        int r;

        if (p->context->only_uuid || p->context->snapshot->interval_usec == 0 || placement_move_under_way(p) ||
            !find_pair(p, &m))
                return 0;
        for (size_t i = 0; i < p->n_guests; i++)
                consider(p, &p->guests[i], &m);
        if (!m.guest && m.refused)
                return plan_add_skip(p->context->plan, ACTION_PIN_VCPU, m.refused->guest, m.why,
                                     "node %u at %" PRIu64 " %% of its %u CPUs, moving it to node %u would help: %s",
                                     m.from->id, load_of(m.from, m.from->demand_permyriad) / 100, m.from->n_cpus,
                                     m.to->id, m.detail);
        if (!m.guest)
                return 0;
        r = describe(&m, &m.guest->reason);
        if (r < 0)
                return r;
        apply(p, &m);
        return 0;
}
