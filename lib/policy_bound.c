/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy_placement.h"

/*
 * What binds a guest to nodes before any score is asked:
 *
 *   cells with <memnode>    the nodes of all cells together;
 *   numatune, every mode    its nodeset; what placement='auto' chose counts in mode strict alone, for the other
 *                           modes give way, and the choice was not the user's. It is still not when kvmtuned put
 *                           another in its place, after which libvirt calls the placement static, nor when that
 *                           was given back: libvirt has no call to make it auto again. Where it placed the vCPUs,
 *                           too, the user may have named the same nodes: then they bind, unless the guest's
 *                           definition still leaves them to libvirt;
 *   the cgroup              a limit of the administrator: the search stays within it.
 *
 * Of the nodes those with CPUs bind the vCPUs, all of them the memory. Where
 * none has CPUs, the vCPUs are free and prefer to be near.
 */

IdSet placement_cpu_nodes(const Placement *p) {
        IdSet nodes = IDSET_EMPTY;

        for (size_t i = 0; i < p->n_nodes; i++)
                if (p->nodes[i].n_cpus > 0)
                        (void)idset_add(&nodes, p->nodes[i].id);
        return nodes;
}

static bool by_cells(const Guest *g, IdSet *ret) {
        IdSet nodes = IDSET_EMPTY;

        for (size_t i = 0; i < g->n_cells; i++)
                nodes = idset_or(&nodes, &g->cells[i].nodeset);
        if (idset_is_empty(&nodes))
                return false;
        *ret = nodes;
        return true;
}

static bool is_libvirts_choice(const Guest *g) {
        if (g->numatune_placement_auto)
                return g->numatune_mode != NUMATUNE_STRICT;
        return g->numatune_mode == NUMATUNE_RESTRICTIVE && (!g->vcpu_placement_auto || g->numatune_defined_auto) &&
               idset_equal(&g->advised_nodes, &g->numatune_nodes);
}

static bool by_numatune(const Placement *p, const Guest *g, IdSet *ret) {
        if (g->numatune_mode == NUMATUNE_NONE || idset_is_empty(&g->numatune_nodes) || is_libvirts_choice(g))
                return false;
        if (g->numatune_mode == NUMATUNE_RESTRICTIVE && placement_owns_nodeset(p, g))
                return false;
        *ret = g->numatune_nodes;
        return true;
}

bool placement_memory_bound(const Placement *p, const Guest *g, IdSet *ret) {
        IdSet nodes, present = IDSET_EMPTY;

        if (g->n_cells == 0 && g->numatune_mode == NUMATUNE_NONE)
                return false;
        if (!by_cells(g, &nodes) && !by_numatune(p, g, &nodes))
                return false;
        for (size_t i = 0; i < p->n_nodes; i++)
                if (idset_contains(&nodes, p->nodes[i].id))
                        (void)idset_add(&present, p->nodes[i].id);
        if (idset_is_empty(&present))
                return false;
        *ret = present;
        return true;
}

bool placement_bound_nodes(const Placement *p, const Guest *g, IdSet *ret) {
        IdSet nodes, usable = IDSET_EMPTY;

        if (!placement_memory_bound(p, g, &nodes))
                return false;
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

const char *placement_bound_text(const Guest *g) {
        static const char *const texts[_NUMATUNE_MODE_MAX] = {
                [NUMATUNE_NONE] = "nothing binds its memory",
                [NUMATUNE_STRICT] = "numatune strict binds its memory there",
                [NUMATUNE_PREFERRED] = "numatune prefers its memory there",
                [NUMATUNE_INTERLEAVE] = "numatune interleaves its memory there",
                [NUMATUNE_RESTRICTIVE] = "numatune restrictive keeps its memory there",
        };
        IdSet nodes;

        if (by_cells(g, &nodes))
                return "its guest NUMA cells are bound there";
        if (g->numatune_placement_auto)
                return "numatune strict binds its memory there, as libvirt was advised (placement='auto')";
        return texts[g->numatune_mode];
}

bool placement_allows(const Placement *p, const PlacementGuest *g, const PlacementNode *n) {
        const IdSet *mems = &g->guest->cgroup_mems;

        if (!g->limited)
                return true;
        if (g->cpus_limited && !idset_intersects(&g->guest->cgroup_cpus, g->dedicated ? &n->usable : &n->cpus))
                return false;
        return idset_is_empty(mems) || idset_contains(mems, p->nodes[n->memory_at].id);
}
