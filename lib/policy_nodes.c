/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_nodes.h"
#include "state_memo.h"

/*
 * The nodes of a guest: those that its configuration binds it to, or else the
 * best of the candidates. They are remembered, and hold until they are gone or
 * too small.
 */

/* Below this, where the memory of a running guest lies does not matter. */
#define RESIDENT_MINIMUM (64 * MIB)

/* A limit of its cgroup has come that its nodes do not keep; when it keeps no node at all, it is not ours to keep. */
static bool leaves_limit(const Placement *p, const PlacementGuest *g) {
        bool any = false, leaves = false;

        for (size_t i = 0; g->limited && i < p->n_nodes; i++) {
                const PlacementNode *n = &p->nodes[i];

                if (n->n_cpus == 0)
                        continue;
                if (placement_allows(p, g, n))
                        any = true;
                else if (idset_contains(memo_nodes(g->memo), n->id))
                        leaves = true;
        }
        return any && leaves;
}

bool placement_advised(const Placement *p, const PlacementGuest *g, IdSet *ret) {
        IdSet cpu_nodes, nodes;

        if (!g->advised)
                return false;
        cpu_nodes = placement_cpu_nodes(p);
        nodes = idset_and(&g->guest->advised_nodes, &cpu_nodes);
        if (idset_is_empty(&nodes))
                return false;
        *ret = nodes;
        return true;
}

static unsigned usable_by(const PlacementGuest *g, const PlacementNode *n) {
        IdSet cpus;

        if (!g->cpus_limited)
                return n->n_usable;
        cpus = placement_within_limit(g, &n->usable);
        return idset_count(&cpus);
}

bool placement_still_valid(const Placement *p, const PlacementGuest *g) {
        const IdSet *nodes = memo_nodes(g->memo);
        unsigned present = 0, cpus = 0, cpu_nodes = 0;
        IdSet constraint;

        for (size_t i = 0; i < p->n_nodes; i++) {
                const PlacementNode *n = &p->nodes[i];

                if (n->n_cpus == 0)
                        continue;
                cpu_nodes += placement_allows(p, g, n);
                if (!idset_contains(nodes, n->id))
                        continue;
                present++;
                /* Dedicated CPUs come back: not too small for want of them. */
                cpus += usable_by(g, n);
        }
        if (present == 0 || present != idset_count(nodes))
                return false;
        if (placement_constraint(p, g->guest, &constraint))
                return idset_equal(&constraint, nodes);
        if (leaves_limit(p, g))
                return false;
        if (cells_can_map(p, g))
                return cells_still_valid(p, g);
        return g->memo->n_cells == 0 && (g->n_vcpus <= cpus || present == cpu_nodes);
}

static int choose_bound(Placement *p, PlacementGuest *g, const IdSet *nodes, const char *why) {
        _cleanup_free_ char *list = NULL;
        int r;

        r = placement_format_nodes(nodes, &list);
        if (r >= 0)
                r = placement_put(p, g, nodes);
        if (r < 0)
                return r;
        return placement_say(p, g, "%s: %s", list, why);
}

/* Where its memory is bound to nodes without CPUs, those; else its devices' nodes. */
static IdSet near_nodes(const Placement *p, const PlacementGuest *g) {
        IdSet nodes;

        if (placement_constraint(p, g->guest, &nodes))
                return IDSET_EMPTY;
        if (placement_memory_bound(p, g->guest, &nodes))
                return nodes;
        return g->has_near ? g->guest->vfio_nodes : IDSET_EMPTY;
}

Search candidates_for(Placement *p, const PlacementGuest *g) {
        uint64_t enough = MAX(RESIDENT_MINIMUM, g->guest->starting ? g->guest->max_bytes / 4 : 0);
        Search s = {
                .p = p,
                .g = g,
                .resident_counts = g->resident_bytes != UNKNOWN_U64 && g->resident_bytes >= enough,
                .near = near_nodes(p, g),
                .untouched_bytes = placement_untouched(g),
                .cells = cells_can_map(p, g),
        };
        IdSet bound;

        s.need_varies = placement_need_varies(g);
        s.need_bytes = placement_need(g, &idset_none);
        for (size_t i = 0; g->limited && i < p->n_nodes; i++) {
                bool allowed = placement_allows(p, g, &p->nodes[i]);

                if (p->nodes[i].n_cpus == 0)
                        continue;
                s.limited = s.limited || !allowed;
                s.any_allowed = s.any_allowed || allowed;
        }
        s.near_counts = !idset_is_empty(&s.near);
        s.memory_elsewhere = placement_memory_bound(p, g->guest, &bound) &&
                             !placement_constraint(p, g->guest, &bound);
        s.harm_counts = s.resident_counts || !p->plain;
        return s;
}

static int choose_best(PlacementGuest *g, Search *s) {
        int r = 0;

        if (s->best.n_extra > 0)
                r = memo_make_memory_only(g->memo);
        if (r >= 0 && s->cells)
                r = cells_remember(s, g->memo);
        if (r >= 0)
                r = placement_put(s->p, g, &s->best.nodes);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < s->best.n_extra; i++)
                (void)idset_add(g->memo->memory_only, s->p->nodes[s->best.extra[i]].id);
        r = placement_format_choice(s, &g->reason);
        /* Advice has no plan. */
        if (r < 0 || !s->ignore_memory || s->best.memory_fits || !s->p->context->plan)
                return r;
        return plan_add_skip(s->p->context->plan, ACTION_MOVE_MEMORY, g->guest, SKIP_NO_CAPACITY,
                             "no set of nodes has room for all its memory: it is placed where most is free");
}

static int choose(Placement *p, PlacementGuest *g, CandidateList *list) {
        Search s = candidates_for(p, g);
        IdSet constraint, advised;
        bool bound, is_advised;
        int r;

        memo_drop_memory_only(g->memo);
        g->memo->n_cells = 0;
        s.list = list;
        bound = g->dedicated ? placement_bound_nodes(p, g->guest, &constraint)
                             : placement_constraint(p, g->guest, &constraint);
        is_advised = !bound && !s.cells && placement_advised(p, g, &advised) &&
                     (!(g->dedicated || g->cpus_limited) ||
                      placement_capacity_of(p, g, &advised) >= placement_wanted(g));
        if ((!bound && !is_advised) || list)
                candidates_search_relaxing(&s);
        if (bound)
                r = choose_bound(p, g, &constraint, placement_bound_text(g->guest));
        else if (is_advised)
                r = choose_bound(p, g, &advised, "libvirt was advised to start it there");
        else
                r = choose_best(g, &s);
        if (r < 0 || !list)
                return r;
        return placement_explain(&s, g, g->reason, true);
}

int placement_choose(Placement *p, PlacementGuest *g) {
        _cleanup_(candidate_list_done) CandidateList list = { 0 };
        bool explain = p->context->explain;
        int r = 0;

        if (explain)
                r = candidate_list_init(&list, p);
        if (r >= 0)
                r = choose(p, g, explain ? &list : NULL);
        if (r < 0)
                return r;
        g->memo->placed_usec = p->now_usec;
        g->fresh = true;
        placement_account_nodes(p, g, memo_nodes(g->memo));
        return 0;
}
