/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The sets of nodes among which new guests are exchanged (policy_improve.c):
 * each node with CPUs, each with its nearest ones, and on hosts of up to four
 * nodes every set.
 */

#include "policy_placement.h"

#define NODE_SET_MAX 4U                 /* nodes of a set */

/* In p->nodes by index. */
typedef struct NodeSet {
        uint16_t nodes[NODE_SET_MAX];
        unsigned n, n_cpus;
        uint64_t bits;                  /* of each node, its index modulo 64 */
        uint64_t spread_micro;          /* mean distance / 10 between a vCPU and a page, both spread over it */
        size_t above, n_above;          /* in NodeSets.above: the sets that it is a part of, itself too */
} NodeSet;

typedef struct NodeSets {
        const Placement *p;
        NodeSet *sets;
        size_t n, capacity;
        uint16_t *above;
        size_t n_above, above_capacity;
} NodeSets;

/* -ENOMEM. */
int node_sets_init(NodeSets *s, const Placement *p);
void node_sets_done(NodeSets *s);
/* Which of them has the nodes with these numbers; SIZE_MAX: none. */
size_t node_sets_find(const NodeSets *s, const IdSet *ids);
/* The node numbers of one. */
IdSet node_sets_ids(const NodeSets *s, size_t set);
