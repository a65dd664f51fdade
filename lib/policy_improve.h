/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Guests that get their nodes in the same decision were placed one after the
 * other, the largest first. Exchanging some of them may serve all of them
 * better. What "better" means is one number, the expected cost of a placement
 * in CPUs, of which an ideal one has as many as the guests have vCPUs:
 *
 *   cost = sum over guests of  v D / 10
 *        + sum over nodes of   u V (V / C - 1)      where V > C
 *        + v_all (D_max / 10 - 1) x (memory without room on its nodes / all memory)
 *
 *   v      online vCPUs of the guest, v_all of all guests placed in this decision
 *   D      mean SLIT distance (ACPI 6.5, 5.2.17; 10 is local) between its vCPUs and its pages: vCPUs over its nodes
 *          in proportion to their CPUs; the pages of a starting guest likewise, and those of a running one that
 *          follow it (numa.memory), which cost what copying them costs besides (policy_move_cost.c); other pages
 *          where they are
 *   V, C   vCPUs committed to a node, and its usable CPUs
 *   u      1/4, the share of the time that a vCPU is expected to be busy: the reciprocal of OpenStack Nova's
 *          default overcommit (initial_cpu_allocation_ratio = 4.0). u V (V / C - 1) is at least the expected time
 *          that V vCPUs, each busy with chance u, wait for one of C CPUs, and exact for u = 1.
 *
 * The SLIT ratio is what a guest pays that does nothing but wait for memory:
 * an upper bound as well.
 */

#include "policy_placement.h"

/* What the nodes were before any guest was placed in this decision. NULL: out of memory. */
PlacementNode *improve_begin(const Placement *p);

/*
 * Exchanges nodes among the @n guests in @fresh, which were placed in this
 * order in this decision, while the cost falls: one guest at a time, then two
 * at a time, as far as a budget of trials goes that is linear in @n. All of
 * them together get no more nodes than the search gave them, unless memory has no room
 * otherwise, or that costs 5 % more than to have more of them. Only guests whose nodes were
 * chosen freely take part. Accounts anew, and writes the reason of those that
 * changed. @before is from improve_begin(). -ENOMEM.
 */
int improve_placements(Placement *p, const PlacementNode *before, PlacementGuest *const *fresh, size_t n);
