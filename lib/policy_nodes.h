/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the parts of the choice of nodes share; nobody else includes it.
 *
 *   policy_nodes.c       whether a guest's nodes still do, and the choice
 *   policy_bound.c       what binds it
 *   policy_cells.c       a node for each of its NUMA cells
 *   policy_candidates.c  the sets of nodes that come into question
 *   policy_grow.c        how each of them grows
 *   policy_rating.c      their scores and their order
 *   policy_nodes_text.c  the choice in words
 *   policy_explain.c     the candidates and their scores, for people who ask
 */

#include "base.h"
#include "policy_placement.h"

/* So many memory-only nodes count as room of one set. */
#define EXTRA_NODES_MAX 8U

/* Harm is compared in steps of this: 5 % of remote memory. */
#define HARM_STEP_PERMYRIAD 125U

typedef struct Candidate {
        IdSet nodes;
        unsigned n, n_cpus;
        uint64_t commit_milli;          /* before this guest */
        uint64_t busy_permyriad;        /* sum */
        uint64_t room_bytes;
        uint64_t promised_bytes;        /* of it, to guests that run */
        uint64_t pair_distance;         /* sum over pairs of nodes */
        unsigned far_cpus;              /* on nodes without memory */
        uint64_t need_bytes;            /* memory to be brought there, or touched */
        uint16_t extra[EXTRA_NODES_MAX];/* memory-only nodes that count as room: indices */
        unsigned n_extra;
        uint16_t seed;                  /* index of the node it began with */
        unsigned unfit_cells;           /* guest NUMA cells that are too large for their node */
        uint64_t remote_permyriad;      /* of the guest's memory */
        bool cpus_fit, memory_fits;
        bool partial;                   /* too small, and listed only to say so */
        /* what is compared */
        bool fits;
        bool promises_kept;
        uint64_t near, harm, distance, commit, load, spare;
} Candidate;

/* Every candidate of a search, the best first, each set once. */
typedef struct CandidateList {
        Candidate *items;
        Candidate **sorted;
        size_t n, max;
} CandidateList;

typedef struct Search {
        Placement *p;
        const PlacementGuest *g;
        bool resident_counts;           /* where its memory is, matters */
        bool harm_counts;
        bool near_counts;               /* near is not empty */
        bool limited, any_allowed;      /* not every node with CPUs is allowed; but one is */
        bool memory_elsewhere;          /* it is bound to nodes without CPUs: no set needs room for it */
        bool cells;                     /* a node for each cell */
        bool overflow;                  /* memory-only nodes count as room */
        bool ignore_memory, ignore_overcommit;
        bool need_varies;               /* what memory a set of nodes has to have room for, depends on the set */
        uint64_t need_bytes;            /* else it is this; if so, this less what it has there */
        bool looked_up;                 /* p->shares holds what each node would add for this guest */
        IdSet near;                     /* nodes it had better be near to; may have no CPUs */
        uint64_t untouched_bytes;
        CandidateList *list;            /* NULL: nobody asks */
        Candidate best, second;
        size_t n_candidates;
} Search;

/* Fills @s->best, and @s->second when there are two. The caller has set what stands before them. */
void candidates_search(Search *s);
/* The same, giving up cpu.overcommit, memory, or both where no set of nodes has what is wanted. */
void candidates_search_relaxing(Search *s);
/* Negative: @a is better. *ret_term is what decided. */
int candidate_order(const Search *s, const Candidate *a, const Candidate *b, PlacementTerm *ret_term);
/* The scores of @nodes, whatever they are. */
Candidate candidate_of(const Search *s, const IdSet *nodes);
/* What stands in @s before a search for @g. */
Search candidates_for(Placement *p, const PlacementGuest *g);

/* "node 3", "nodes 0-1". -ENOMEM. */
int placement_format_nodes(const IdSet *nodes, char **ret);
/* Why @s->best was taken, and not @s->second. -ENOMEM. */
int placement_format_choice(const Search *s, const char **ret);

/* What @n has for @g's memory, less what is on its way there. */
uint64_t candidate_room(const PlacementNode *n, const Guest *g);
/* The nodes on which the guest's memory would belong: in @c, or in @buffer. */
const IdSet *candidate_memory(const Search *s, const Candidate *c, IdSet *buffer);
/* Sets need_bytes, cpus_fit, memory_fits and fits, and returns the last. */
bool candidate_fits(const Search *s, Candidate *c);
/* policy_rating.c. Fills in what else is compared, once that is set. */
void candidate_rate(const Search *s, Candidate *c);
void candidate_add(const Search *s, Candidate *c, const PlacementNode *n);
/* The same, with what the caller knows already. */
typedef struct CandidateGain {
        unsigned n_cpus;
        uint64_t distance;              /* sum, from the nodes that @c has */
        bool memory;                    /* that of @n, or the one it uses, does not count yet */
} CandidateGain;
void candidate_take(const Search *s, Candidate *c, const PlacementNode *n, const CandidateGain *gain);
/* The part of what is on @n (@whole) that is on the @n_cpus CPUs of it that the guest may have. */
uint64_t candidate_part_of(const Search *s, const PlacementNode *n, uint64_t whole, unsigned n_cpus);
/* Whether so many CPUs that carry so much are enough for the guest. */
bool candidate_cpus_fit(const Search *s, unsigned n_cpus, uint64_t commit_milli);
/* candidate_fits(), once it is known what memory has to have room there. */
void candidate_settle(const Search *s, Candidate *c, uint64_t need_bytes);
/* Where candidates are listed, @c, a node that is too small by itself. */
void candidate_list_partial(Search *s, const Candidate *c);
/* policy_grow.c. The candidate with the seed @seed. False: it is not complete; two better ones are, or it itself. */
bool candidate_grow(Search *s, Candidate *c, const PlacementNode *seed);
/* Whether a guest in @s may have CPUs of @n. */
bool candidate_may_have(const Search *s, const PlacementNode *n);

/* policy_cells.c. Whether each NUMA cell of @g is to have a node, and can. */
bool cells_can_map(const Placement *p, const PlacementGuest *g);
bool cells_still_valid(const Placement *p, const PlacementGuest *g);
/* The candidate with the largest cell on @seed. */
void cells_grow(const Search *s, Candidate *c, const PlacementNode *seed);
/* The map of s->best. -ENOMEM. */
int cells_remember(const Search *s, GuestMemo *m);
/* "cell 0 on node 2, cell 1 on node 3"; NULL when they are not mapped. -ENOMEM. */
int cells_format(const GuestMemo *m, char **ret);

/*
 * Puts @g's place (its memo's nodes), why it has it, and the candidates of @s
 * into the plan. @s was searched with a list, while @g was counted nowhere. -ENOMEM.
 */
int placement_explain(const Search *s, PlacementGuest *g, const char *text, bool fresh);

/* Room for every candidate of one search. -ENOMEM. */
int candidate_list_init(CandidateList *l, const Placement *p);
void candidate_list_done(CandidateList *l);
/* @c goes to its place, unless the same set is there. */
void candidate_list_put(const Search *s, const Candidate *c);
