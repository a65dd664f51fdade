/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Moves of guests that run, as the parts of the placement controller that
 * decide and verify them share them.
 */

#include "policy_placement.h"

/* Indices into p->nodes of nodes with usable CPUs; borrowed. */
typedef struct NodeList {
        const uint16_t *at;
        size_t n;
} NodeList;

/* In permyriad of one CPU, what is gained positive. */
typedef struct MoveValue {
        uint64_t bytes;                 /* to copy */
        int64_t wait, remote, shortage; /* less waiting, less remote access, less want of memory */
        int64_t score;                  /* their sum, less the cost of copying */
} MoveValue;

#define MOVE_OVERLOAD_PERMYRIAD 8500U   /* of a node's CPUs */

/* policy_move_cost.c. */

/* What waits on @n by the model, from what is placed there: before any other question about moves from or to it. */
void move_model_node(PlacementNode *n);
/* The nodes of @nodes that have usable CPUs, in @buffer (room for p->n_nodes). */
NodeList move_node_list(const Placement *p, const IdSet *nodes, uint16_t *buffer);
/* Where the memory of a guest on @list belongs: there, or on the nearest nodes that have memory. */
IdSet move_memory_of(const Placement *p, const NodeList *list);
/* Share of a CPU that @g's vCPUs want; all of them when that was never measured. */
uint64_t move_demand(const PlacementGuest *g);
/* Bytes of @g that are not on @nodes, but could be. */
uint64_t move_remote_bytes(const PlacementGuest *g, const IdSet *nodes);
/* Too little is remote for the guest to notice. */
bool move_is_remote(const PlacementGuest *g, uint64_t remote_bytes);
/* Bringing @g's memory to the nodes it is placed on. */
MoveValue move_value_of_memory(const Placement *p, const PlacementGuest *g, const NodeList *home);
/* @g goes from @from to @to, with its memory where that can be moved. */
MoveValue move_value(const Placement *p, const PlacementGuest *g, const NodeList *from, const NodeList *to);
/* @a and @b, on @from and @to, change places. */
MoveValue move_value_of_swap(const Placement *p, const PlacementGuest *a, const PlacementGuest *b,
                             const NodeList *from, const NodeList *to);
/* What it costs that vCPUs which want @demand wait for @wait of it: see policy_move_cost.c. */
uint64_t move_wait_cost(uint64_t wait, uint64_t demand);
/* Whether @a is better than @b: by score, in steps of 1 % of a CPU, then by bytes to copy. Negative: @a is. */
int move_value_order(const MoveValue *a, const MoveValue *b);
/* "gains 34 % of one CPU for 2.0 GiB to copy" */
int move_value_format(const MoveValue *v, char **ret);

/* policy_numa.c. */

/* End of the time in which @g is not moved again. */
uint64_t placement_cooldown_end(const Placement *p, const PlacementGuest *g);
/* The mover is busy, or pages of an earlier move may still be on their way. */
bool placement_move_under_way(const Placement *p);
/* The same of one guest's. */
bool placement_guest_moves(const Placement *p, const PlacementGuest *g);
/* The guest whose memory would be sent next; NULL: none. Without a Skip. */
PlacementGuest *placement_next_memory(Placement *p, MoveValue *ret);

/* policy_verify.c. */

/* Notes that @g is moved now for @cause, to relieve @from, and what is expected of it. Its nodes are the new ones. */
void placement_begin_move(const Placement *p, PlacementGuest *g, MoveCause cause, const PlacementNode *from,
                          const MoveValue *v, uint64_t remote_before);
/* A move of vCPUs of a guest that runs is not verified yet: the loads of the nodes are not what they will be. */
bool placement_unverified(const Placement *p);
/* Remote memory of @g on @nodes, in permyriad of all of it. */
uint64_t placement_remote_permyriad(const PlacementGuest *g, const IdSet *nodes);

/* policy_rebalance.c. */

/* A move that is being looked for. */
typedef struct Move {
        MoveCause cause;
        PlacementGuest *guest, *other;  /* guest NULL: none yet; other: of a swap */
        const PlacementNode *from;      /* the node to be relieved */
        NodeList to;
        MoveValue value;
        uint64_t load_after;            /* of what it leaves */
        PlacementGuest *refused;        /* would have been moved, but */
        const PlacementNode *refused_from, *refused_to;
        MoveValue refused_value;
        SkipReason why;
        const char *detail;
} Move;

/* One set of nodes to which a guest might go. */
typedef struct MoveCandidate {
        MoveCause cause;
        PlacementGuest *guest;
        const PlacementNode *from;
        NodeList home, to;
        uint64_t load_after, load_to;   /* of what it leaves, and of where it goes: see move_is_allowed() */
} MoveCandidate;

/* policy_move_rules.c. */

/* Of what its guests want, in permyriad of its CPUs. */
uint64_t placement_load(const PlacementNode *n);
uint64_t move_cpus_of(const Placement *p, const NodeList *list);
/* Nothing but its cool-down and the room at the target can stand against moving @g. */
bool placement_is_candidate(const Placement *p, const PlacementGuest *g);
/* It is placed, and nothing that is measured ever moves it: it has CPUs of its own or NUMA cells, or is bound. */
bool placement_stays(const Placement *p, const PlacementGuest *g, SkipReason *ret_why, const char **ret_detail);
/* Nothing stands against it but the cool-down of @g; *ret_why is set when that does. */
bool placement_may_move(const Placement *p, const PlacementGuest *g, SkipReason *ret_why, const char **ret_detail);
/* No node gets worse by it, and @c->to can have the guest. Fills in the loads. */
bool move_is_allowed(const Placement *p, MoveCandidate *c);
/* @v is worth it. */
bool move_pays(const Placement *p, const MoveCandidate *c, const MoveValue *v);
/* Cool-down and room; *ret_why is set when they stand against it. */
bool move_may_go(const Placement *p, const MoveCandidate *c, const MoveValue *v, SkipReason *ret_why,
                 const char **ret_detail);
/* What moving @g for load has to gain; INT64_MAX: it left one of @to a short time ago. */
int64_t move_gain_needed(const Placement *p, const PlacementGuest *g, const NodeList *to);
/* The vCPUs of the guest leave @node now; for that memo_make_left() has made room. */
void move_note_left(const Placement *p, GuestMemo *m, unsigned node);

/* policy_move_apply.c. -ENOMEM. */
int move_carry_out(Placement *p, const Move *m);
/* Says of the guest that would have been moved why it was not. */
int move_skip_refused(Placement *p, const Move *m);

/* policy_swap.c. The best swap between the node @from and the node of index *@to, given to @m. -ENOMEM. */
int placement_swap(Placement *p, const PlacementNode *from, const uint16_t *to, Move *m);
