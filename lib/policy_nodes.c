/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_nodes.h"

/*
 * The nodes of a guest: those that its configuration binds it to, or else the
 * best of the candidates. They are remembered, and hold until they are gone or
 * too small.
 */

/* Below this, where the memory of a running guest lies does not matter. */
#define RESIDENT_MINIMUM (64 * MIB)

IdSet placement_cpu_nodes(const Placement *p) {
        IdSet nodes = IDSET_EMPTY;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].n_cpus > 0)
                        (void)idset_add(&nodes, p->nodes[i].id);
        return nodes;
}

bool placement_bound_nodes(const Placement *p, const Guest *g, IdSet *ret) {
        bool libvirts_choice = g->numatune_placement_auto && g->numatune_mode != NUMATUNE_STRICT;
        IdSet nodes = IDSET_EMPTY, usable = IDSET_EMPTY;

        if (g->n_cells == 0 && g->numatune_mode == NUMATUNE_NONE)
                return false;
        for (size_t i = 0; i < g->n_cells; i++)
                nodes = idset_or(&nodes, &g->cells[i].nodeset);
        if (idset_is_empty(&nodes) && g->numatune_mode != NUMATUNE_NONE && !libvirts_choice)
                nodes = g->numatune_nodes;
        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].n_usable > 0 && idset_contains(&nodes, p->nodes[i].id))
                        (void)idset_add(&usable, p->nodes[i].id);
        if (idset_is_empty(&usable))
                return false;
        *ret = usable;
        return true;
}

bool placement_constraint(const Placement *p, const Guest *g, IdSet *ret) {
        IdSet nodes, cpu_nodes;

        if (!placement_bound_nodes(p, g, &nodes))
                return false;
        cpu_nodes = placement_cpu_nodes(p);
        nodes = idset_and(&nodes, &cpu_nodes);
        if (idset_is_empty(&nodes))
                return false;
        *ret = nodes;
        return true;
}

bool placement_advised(const Placement *p, const Guest *g, IdSet *ret) {
        IdSet cpu_nodes = placement_cpu_nodes(p), nodes = idset_and(&g->advised_nodes, &cpu_nodes);

        if (idset_is_empty(&nodes))
                return false;
        *ret = nodes;
        return true;
}

bool placement_still_valid(const Placement *p, const PlacementGuest *g) {
        const IdSet *nodes = &g->memo->nodes;
        unsigned present = 0, cpus = 0, cpu_nodes = 0;
        IdSet constraint;

        for (size_t i = 0; i < p->n_nodes; i++) {
                const PlacementNode *n = &p->nodes[i];

                cpu_nodes += n->n_cpus > 0;
                if (n->n_cpus == 0 || !idset_contains(nodes, n->id))
                        continue;
                present++;
                /* Dedicated CPUs come back: not too small for want of them. */
                cpus += n->n_usable;
        }
        if (present == 0 || present != idset_count(nodes))
                return false;
        if (placement_constraint(p, g->guest, &constraint))
                return idset_equal(&constraint, nodes);
        return g->n_vcpus <= cpus || present == cpu_nodes;
}

static int choose_constrained(PlacementGuest *g, const IdSet *constraint) {
        _cleanup_free_ char *nodes = NULL;
        int r;

        r = placement_format_nodes(constraint, &nodes);
        if (r < 0)
                return r;
        g->memo->nodes = *constraint;
        return strprintf_to(&g->reason, "%s: its %s binds it there", nodes,
                            g->guest->n_cells > 0 ? "guest NUMA cells or numatune" : "numatune");
}

static int choose_advised(PlacementGuest *g, const IdSet *advised) {
        _cleanup_free_ char *nodes = NULL;
        int r;

        r = placement_format_nodes(advised, &nodes);
        if (r < 0)
                return r;
        g->memo->nodes = *advised;
        return strprintf_to(&g->reason, "%s: libvirt was advised to start it there", nodes);
}

static int choose_best(Placement *p, PlacementGuest *g) {
        uint64_t enough = MAX(RESIDENT_MINIMUM, g->guest->starting ? g->guest->max_bytes / 4 : 0);
        Search s = {
                .p = p,
                .g = g,
                .resident_counts = g->resident_bytes != UNKNOWN_U64 && g->resident_bytes >= enough,
        };

        candidates_search_relaxing(&s);
        g->memo->nodes = s.best.nodes;
        return placement_format_choice(&s, &g->reason);
}

int placement_choose(Placement *p, PlacementGuest *g) {
        IdSet constraint, advised;
        int r;

        if (g->dedicated ? placement_bound_nodes(p, g->guest, &constraint)
                         : placement_constraint(p, g->guest, &constraint))
                r = choose_constrained(g, &constraint);
        else if (placement_advised(p, g->guest, &advised) &&
                 (!g->dedicated || placement_capacity_of(p, g, &advised) >= g->n_wanted))
                r = choose_advised(g, &advised);
        else
                r = choose_best(p, g);
        if (r < 0)
                return r;
        g->memo->placed_usec = p->now_usec;
        g->fresh = true;
        placement_account_nodes(p, g, &g->memo->nodes);
        return 0;
}
