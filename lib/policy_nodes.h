/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the parts of the choice of nodes share; nobody else includes it.
 *
 *   policy_nodes.c       what binds a guest, whether its nodes still do, and the choice
 *   policy_candidates.c  the sets of nodes that come into question, and their order
 *   policy_nodes_text.c  the choice in words
 */

#include "base.h"
#include "policy_placement.h"

/* What can tell one set of nodes from another, in this order; see policy_candidates.c. */
typedef enum Term {
        TERM_NONE,                      /* the same set */
        TERM_FITS, TERM_SIZE, TERM_HARM, TERM_DISTANCE, TERM_COMMIT, TERM_LOAD, TERM_ROOM, TERM_NUMBER,
} Term;

typedef struct Candidate {
        IdSet nodes;
        unsigned n, n_cpus;
        uint64_t commit_milli;          /* before this guest */
        uint64_t busy_permyriad;        /* sum */
        uint64_t room_bytes;
        uint64_t pair_distance;         /* sum over pairs of nodes */
        uint64_t remote_permyriad;      /* of the guest's memory */
        /* what is compared */
        bool fits;
        uint64_t harm, distance, commit, load;
} Candidate;

typedef struct Search {
        Placement *p;
        const PlacementGuest *g;
        bool resident_counts;           /* criterion 2 applies */
        bool ignore_memory, ignore_overcommit;
        Candidate best, second;
        size_t n_candidates;
} Search;

/* Fills @s->best, and @s->second when there are two. The caller has set what stands before them. */
void candidates_search(Search *s);
/* The same, giving up cpu.overcommit, memory, or both where no set of nodes has what is wanted. */
void candidates_search_relaxing(Search *s);
/* Negative: @a is better. *ret_term is what decided. */
int candidate_order(const Search *s, const Candidate *a, const Candidate *b, Term *ret_term);

/* "node 3", "nodes 0-1". -ENOMEM. */
int placement_format_nodes(const IdSet *nodes, char **ret);
/* Why @s->best was taken, and not @s->second. -ENOMEM. */
int placement_format_choice(const Search *s, char **ret);
