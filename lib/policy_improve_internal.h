/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the parts of policy_improve.h share; nobody else includes it. Costs are
 * in millionths of a CPU (micro).
 *
 *   policy_improve.c         from the placement to a search, and back
 *   policy_improve_cost.c    what an assignment costs
 *   policy_improve_search.c  the search for a cheaper one
 *   policy_improve_exact.c   the search for the cheapest one, for a few guests
 */

#include "policy_improve.h"
#include "policy_node_sets.h"

#define MICRO UINT64_C(1000000)
/*
 * Only what is better by a ten-thousandth of a CPU is taken (at the default
 * rate, 92 MiB that need not be copied): ties stay as the search has broken them.
 */
#define LEAST_GAIN ((int64_t)MICRO / 10000)

/* Of a set: memory of guests on it or a part of it, and room for it. */
typedef struct SetMemory {
        int64_t wanted_mib, room_mib;
} SetMemory;

typedef struct Fresh {
        PlacementGuest *guest;
        size_t set, first, best;        /* in sets: now, as searched, and in the best assignment so far */
        uint64_t mib;                   /* that nodes where nothing of it is would have to take */
        bool follows;                   /* what is on its nodes already they need not take */
        uint64_t overcommit_permyriad;  /* cpu.overcommit */
        bool free;                      /* to get other nodes */
} Fresh;

typedef struct Improve {
        Placement *p;
        const PlacementNode *before;
        NodeSets sets;
        SetMemory *memory;              /* by set */
        size_t n_excess;                /* sets that more is wanted of than they have */
        Fresh *fresh;
        size_t n_fresh;
        size_t *order;                  /* of the free ones, for the next start */
        size_t n_order;
        int64_t *commit_milli, *searched_milli; /* by node: now, and as the search left it */
        int64_t homeless_micro;         /* cost of a MiB without room */
        bool tight;                     /* there can be such */
        size_t trials, budget;
        unsigned extra;                 /* nodes that all may have more than the search gave them */
        unsigned spare;                 /* nodes that they have fewer than that */
        int64_t least;                  /* cost of the best assignment so far */
} Improve;

static inline const NodeSet *improve_set(const Improve *m, size_t set) {
        return &m->sets.sets[set];
}

/* policy_improve_cost.c */

/* What @f commits of the node with index @node, one of @s. */
int64_t improve_share_milli(const Improve *m, const Fresh *f, const NodeSet *s, size_t node);
/* Puts @f on a set, or with @sign -1 takes it off. */
void improve_put(Improve *m, const Fresh *f, size_t set, int64_t sign);
/* Of pages that stay, where they are; of those that follow, copying them; of those yet to come, over @set. */
int64_t improve_guest_cost(const Improve *m, const Fresh *f, const NodeSet *set);
/* Of memory without room. */
int64_t improve_homeless_cost(const Improve *m);
/* The same with @f on @set, too. @f is on none. */
int64_t improve_homeless_cost_with(Improve *m, const Fresh *f, size_t set);
/* What it costs more to have @f on @set, with all others as they are, but for memory without room. @f is on none. */
int64_t improve_cost_of_putting(const Improve *m, const Fresh *f, size_t set);
int64_t improve_whole_cost(const Improve *m);

/* policy_improve_search.c */

/* Returns the least cost that was found, and leaves that assignment in Fresh.best. */
int64_t improve_search(Improve *m);
/* Enough CPUs, and within cpu.overcommit or where the search went beyond it already. @f is on none. A trial. */
bool improve_suits(Improve *m, const Fresh *f, size_t set);

/*
 * policy_improve_exact.c. Notes what is better than @m->least, with @m->extra nodes more than the search took, in
 * Fresh.best. false: it did not come to an end, or there are too many guests.
 */
bool improve_exactly(Improve *m);
